// Command node is the Kubernetes half of a node, in one binary: the first argument names the
// component, the rest are that component's own arguments.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// commands holds a constructor, not a command, for each component: both register global flags when
// constructed, so only the chosen one may be built.
var commands = map[string]func() *cobra.Command{
	"kubelet":    func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kube-proxy": kubeproxy.NewProxyCommand,
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: node COMPONENT [ARGUMENT...]")
	}
	component := os.Args[1]
	os.Args = os.Args[1:]
	command, known := commands[component]
	if !known {
		fail("node: unknown component " + component)
	}
	os.Exit(cli.Run(command()))
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}
