package vector

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Run runs the suites of a file, each vector as a subtest.
func Run(t *testing.T, file string) {
	t.Helper()
	suites, err := ReadFile(file)
	require.NoError(t, err)
	for _, s := range suites {
		RunSuite(t, s)
	}
}

// RunSuite runs one suite, each vector as a subtest.
func RunSuite(t *testing.T, s *Suite) {
	t.Helper()
	Options{}.RunSuite(t, s)
}

// RunSuite is the function RunSuite with options.
func (o Options) RunSuite(t *testing.T, s *Suite) {
	t.Helper()
	t.Run(s.Name, func(t *testing.T) {
		result := s.Run(t.Context(), o)
		for _, v := range result.Vectors {
			t.Run(v.Name, func(t *testing.T) {
				if v.Skipped != "" {
					t.Skip(v.Skipped)
				}
				if v.Failure != nil {
					t.Error("\n" + v.Failure.String())
				}
			})
		}
		require.NoError(t, result.Err)
	})
}
