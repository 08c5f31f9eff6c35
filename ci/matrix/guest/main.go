// Command guest is the first process of a guest, and its modprobe: one static binary under two names.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if filepath.Base(os.Args[0]) == "modprobe" {
		if err := modprobe(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "modprobe:", err)
			os.Exit(1)
		}
		return
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest is the first process of a virtual machine that `skbench matrix` boots: it does nothing elsewhere")
		os.Exit(2)
	}
	if err := boot(); err != nil {
		fmt.Println("guest:", err) // on the console, which the host keeps
	}
	powerOff()
}
