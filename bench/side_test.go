package bench

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is up is returned in its order, whichever was up first, though another one failed.
func TestSidesComeUpAtOnce(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("one CPU brings up one side at a time")
	}
	first := make(chan bool)
	up, err := atOnce([]func() (string, error){
		func() (string, error) { <-first; return "first", nil },
		func() (string, error) { defer close(first); return "second", nil },
		func() (string, error) { return "", errors.New("no third") },
		func() (string, error) { return "fourth", nil },
	})
	require.EqualError(t, err, "no third")
	require.Equal(t, []string{"first", "second", "fourth"}, up)
}
