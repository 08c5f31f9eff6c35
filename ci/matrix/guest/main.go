// Command guest is the first process of a guest, and two small commands there: one static binary under three names.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	switch name := filepath.Base(os.Args[0]); {
	case name == "modprobe":
		exit(name, modprobe(os.Args[1:]))
	case name == "plainly":
		exit(name, plainly(os.Args[1:]))
	case os.Getpid() == 1:
		if err := boot(); err != nil {
			fmt.Println("guest:", err) // on the console, which the host keeps
		}
		powerOff()
	default:
		exit("guest", fmt.Errorf("this is the first process of a virtual machine that `skbench matrix` boots, and does nothing elsewhere"))
	}
}

func exit(name string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}
