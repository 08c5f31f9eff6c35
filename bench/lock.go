package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile is held by the run that measures on this machine. The kernel lets go of
// it when the process ends, however it ends; the empty file stays.
var lockFile = filepath.Join(os.TempDir(), "skbench-bench.lock")

// lockMachine returns once no other run is under way on the machine, and none begins
// before unlock is called.
func lockMachine(ctx context.Context, path string, say func(string)) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("bench: the lock of the machine's one run: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(path)
		say(fmt.Sprintf("another run is under way (process %s): waiting for its end", strings.TrimSpace(string(holder))))
		err = waitForLock(ctx, file)
	}
	if err == nil {
		_ = file.Truncate(0)
		_, _ = fmt.Fprintln(file, os.Getpid()) // for those who wait
		return func() { _ = file.Truncate(0); file.Close() }, nil
	}
	if ctx.Err() == nil { // else it is still being waited for
		file.Close()
	}
	return nil, fmt.Errorf("bench: lock %s: %w", path, err)
}

// waitForLock gives up at the context's end; who waits for the kernel then lets the
// lock go again.
func waitForLock(ctx context.Context, file *os.File) error {
	locked := make(chan error)
	go func() {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX)
		for errors.Is(err, unix.EINTR) {
			err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
		}
		select {
		case locked <- err:
		case <-ctx.Done():
			file.Close()
		}
	}()
	select {
	case err := <-locked:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
