// Command workload stands for an application in a cluster of ours: a server that tells its name, and
// a client to ask from inside a pod.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const port = ":8080"

func main() {
	if len(os.Args) == 3 && os.Args[1] == "get" {
		get(os.Args[2])
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "resolve" {
		resolve(os.Args[2])
		return
	}
	serve()
}

// serve answers every request with the host name until it is told to stop.
func serve() {
	name, err := os.Hostname()
	check(err)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		check(http.ListenAndServe(port, http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(answer, name)
		})))
	}()
	fmt.Println(name, "serves", port)
	<-stop
}

func get(url string) {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	check(err)
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	check(err)
}

func resolve(name string) {
	addresses, err := net.LookupHost(name)
	check(err)
	for _, address := range addresses {
		fmt.Println(address)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
