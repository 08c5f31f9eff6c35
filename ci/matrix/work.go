package matrix

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// workFolder makes a folder for what a run builds, and removes those of runs that were killed: a lock tells which are in use. done removes it.
func workFolder(below string) (folder string, done func(), err error) {
	if err := os.MkdirAll(below, 0o755); err != nil {
		return "", nil, err
	}
	others, err := filepath.Glob(filepath.Join(below, "run-*"))
	if err != nil {
		return "", nil, err
	}
	for _, other := range others {
		if lock, err := lockFolder(other); err == nil {
			os.RemoveAll(other)
			lock.Close()
		}
	}
	folder, err = os.MkdirTemp(below, "run-")
	if err != nil {
		return "", nil, fmt.Errorf("%w: make room in %s, or choose another folder with XDG_CACHE_HOME", err, below)
	}
	lock, err := lockFolder(folder)
	if err != nil {
		os.RemoveAll(folder)
		return "", nil, err
	}
	return folder, func() {
		os.RemoveAll(folder)
		lock.Close()
	}, nil
}

// lockFolder locks a folder until the file is closed, or its process has gone. It fails where another process has it.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
