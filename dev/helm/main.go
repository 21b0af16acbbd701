// Command helm is Helm itself, built from its module at the version that go.mod names: what an
// admin would have installed, without fetching a program from a site.
package main

import (
	"errors"
	"fmt"
	"os"

	helmcmd "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
)

func main() {
	// Who set a field is told by this name, whatever the binary is called.
	kube.ManagedFieldsManager = "helm"
	command, err := helmcmd.NewRootCmd(os.Stdout, os.Args[1:], helmcmd.SetupLogging)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := command.Execute(); err != nil {
		os.Exit(exitCode(err))
	}
}

// exitCode returns the code that a failed command asks for, or 1.
func exitCode(failure error) int {
	if asked, ok := errors.AsType[helmcmd.CommandError](failure); ok {
		return asked.ExitCode
	}
	return 1
}
