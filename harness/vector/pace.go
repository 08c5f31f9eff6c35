package vector

import (
	"sync"

	"golang.org/x/sys/unix"
)

// A pace holds those back who release programs, over all of the process. The kernel frees a program later, by a job of its system
// work queue, which has room for 1,024 (kernel/workqueue.c, WQ_DFL_ACTIVE); once all of those wait for a lock whose owner waits for a job behind
// them, BPF is dead until the machine is started again. So after so many programs one waits until the kernel has begun to free those
// before.
type pace struct {
	mu    sync.Mutex
	count int
}

// closing is the pace of the process.
var closing pace

// together is how many programs are released without a pause.
const together = 128

// step is called after each program that was released.
func (p *pace) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count++; p.count%together == 0 {
		// An RCU grace period, after which the jobs of programs released before it are in the queue. A kernel without this call cannot be held back.
		_, _, _ = unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0)
	}
}

const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL (include/uapi/linux/membarrier.h)
