// Command canload proves that this kernel loads a BPF program and frees it again, within ten seconds. A kernel whose BPF is stuck does not
// refuse a program but never answers, and whoever waits for it cannot even be killed: so a child process tries, and is not waited for.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
)

const patience = 10 * time.Second

func main() {
	if len(os.Args) == 2 && os.Args[1] == "load" {
		exitOn(load())
		return
	}
	self, err := os.Executable()
	exitOn(err)
	exitOn(watch(exec.Command(self, "load"), patience))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// watch lets a child load a program. Nothing of the child's is waited for when it is stuck, and it shares no pipe whose end a caller awaits.
func watch(cmd *exec.Cmd, patience time.Duration) error {
	said, err := os.CreateTemp("", "canload-")
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		why, _ := os.ReadFile(said.Name())
		return fmt.Errorf("this machine cannot load a BPF program: %s", why)
	case <-time.After(patience):
		cmd.Process.Kill() // In vain where the kernel is stuck, so nobody waits for it.
		return fmt.Errorf("the kernel did not load a BPF program within %v: its BPF is stuck, and only a reboot mends that", patience)
	}
}

func load() error {
	if err := rlimit.RemoveMemlock(); err != nil { // Needed before Linux 5.11.
		return err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.SocketFilter,
		License:      "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return err
	}
	return prog.Close()
}
