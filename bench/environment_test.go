package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What may explain a figure is one line of text, and the same twice but for the time.
func TestEnvironmentIsTold(t *testing.T) {
	first, second := environment(1), environment(1)
	for _, key := range []string{"time", "kernel", "cpu", "cpus", "goos", "goarch", "pinning", "method", "objects", "wire"} {
		require.NotEmpty(t, first[key], key)
		require.NotContains(t, first[key], "\n", key)
	}
	require.Regexp(t, `^ct [0-9a-f]{12}, host [0-9a-f]{12}, .*xdp [0-9a-f]{12}$`, first["objects"])
	delete(first, "time")
	delete(second, "time")
	require.Equal(t, first, second)
}
