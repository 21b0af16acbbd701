package main

import (
	"os"
	"strconv"
	"time"
)

// parentVariable names the environment variable with the process ID of the parent whose end must
// end this component too. Unset, the component lives on its own.
const parentVariable = "CONTROLPLANE_PARENT_PID"

// pollInterval bounds how long a component may outlive its parent.
const pollInterval = 250 * time.Millisecond

// dieWithParent ends this process when its parent ends, however that ends: kill -9 included. The
// kernel's parent-death signal follows the thread that started us, which for a threaded parent may
// end early; so the parent's ID is watched instead, which changes when the whole process is gone.
func dieWithParent() {
	parent, err := strconv.Atoi(os.Getenv(parentVariable))
	if err != nil {
		return
	}
	go func() {
		for os.Getppid() == parent {
			time.Sleep(pollInterval)
		}
		os.Exit(1)
	}()
}
