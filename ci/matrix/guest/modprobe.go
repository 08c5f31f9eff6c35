package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
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

// load loads a module, or all that an alias stands for, with what they need first. A name that no module has is the kernel's own, or nothing.
func load(name string) error {
	text, err := os.ReadFile(initramfs.IndexPath)
	if err != nil {
		return err
	}
	var index initramfs.Index
	if err := json.Unmarshal(text, &index); err != nil {
		return fmt.Errorf("%s: %w", initramfs.IndexPath, err)
	}
	name = strings.ReplaceAll(name, "-", "_")
	l := loader{index: index, seen: map[string]bool{}}
	if _, ok := index.Modules[name]; ok {
		return l.load(name)
	}
	var errs []error
	for _, alias := range index.Aliases {
		if ok, _ := path.Match(alias.Pattern, name); ok {
			errs = append(errs, l.load(alias.Module))
		}
	}
	return errors.Join(errs...)
}

type loader struct {
	index initramfs.Index
	seen  map[string]bool
}

func (l loader) load(name string) error {
	if l.seen[name] {
		return nil
	}
	l.seen[name] = true
	module := l.index.Modules[name]
	for _, need := range module.Needs {
		if err := l.load(need); err != nil {
			return err
		}
	}
	file, err := os.Open(module.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.FinitModule(int(file.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", name, err)
	}
	return nil
}
