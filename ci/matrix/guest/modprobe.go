package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/initramfs"
)

// modprobe loads what the kernel asks for: modprobe -q -- NAME.
func modprobe(args []string) error {
	var errs []error
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			errs = append(errs, load(arg))
		}
	}
	return errors.Join(errs...)
}

// load loads a module, or all that an alias stands for. A name that no module has is of what the kernel has built in, or of nothing.
func load(name string) error {
	text, err := os.ReadFile(initramfs.IndexPath)
	if err != nil {
		return err
	}
	index := initramfs.ParseIndex(string(text))
	for _, module := range index.Find(name) {
		// To read a module that is there already would take longer than all else here.
		if state, err := os.ReadFile("/sys/module/" + module + "/initstate"); err == nil && strings.TrimSpace(string(state)) == "live" {
			continue
		}
		if err := insert(index.Modules[module].Path); err != nil {
			return fmt.Errorf("load %s: %w", module, err)
		}
	}
	return nil
}

func insert(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.FinitModule(int(file.Fd()), "", 0); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
