package matrix

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/ci/matrix/kernel"
	"github.com/skbench/skbench/ci/matrix/vm"
)

// findAccelerator tells whether KVM works here, by booting the kernel with it: where it does not, asking the system for it often succeeds all the
// same. The answer is kept until the machine boots again.
func (r *run) findAccelerator(ctx context.Context, k *kernel.Ready) vm.Accelerator {
	file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return vm.TCG
	}
	file.Close()
	kept := filepath.Join(r.cache.Dir, "kvm")
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		if text, err := os.ReadFile(kept); err == nil {
			if at, answer, ok := strings.Cut(string(text), " "); ok && at == strings.TrimSpace(string(boot)) {
				return vm.Accelerator(answer)
			}
		}
	}
	answer := vm.KVM
	if !r.provesKVM(ctx, k) {
		r.say("KVM boots no kernel here: using emulation")
		answer = vm.TCG
	}
	if ctx.Err() == nil {
		_ = os.WriteFile(kept, []byte(strings.TrimSpace(string(boot))+" "+string(answer)), 0o644) // Else the next run asks again.
	}
	return answer
}

func (r *run) provesKVM(ctx context.Context, k *kernel.Ready) bool {
	const patience = 10 * time.Second
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	root := filepath.Join(r.work, "kvm.cpio")
	if err := r.initramfs(k, job.Job{}, root); err != nil {
		return false
	}
	defer os.Remove(root)
	machine := vm.Machine{Image: k.Image, Initramfs: root, Accelerator: vm.KVM, Console: filepath.Join(r.work, "kvm.console")}
	_, err := machine.Run(ctx, func(job.Record) {})
	return err == nil
}
