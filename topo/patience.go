package topo

import (
	"os"
	"strconv"
	"sync"
	"time"
)

// Patience is how long to wait for something that comes within d on a machine that runs as it should: as many times longer as SKBENCH_SLOWDOWN
// says, which is set where instructions are emulated. What does come is not waited for any longer.
func Patience(d time.Duration) time.Duration { return time.Duration(slowdown()) * d }

// slowdown is 1 or more.
var slowdown = sync.OnceValue(func() int {
	n, err := strconv.Atoi(os.Getenv("SKBENCH_SLOWDOWN"))
	if err != nil {
		return 1
	}
	return max(n, 1)
})
