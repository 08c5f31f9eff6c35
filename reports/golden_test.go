package reports

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what the tests got to testdata, instead of comparing")

// sample reads the run that all golden files come from.
func sample(tb testing.TB) *Results {
	tb.Helper()
	results, err := ReadResults("testdata/results.json")
	require.NoError(tb, err)
	return results
}

// golden returns the wanted content of testdata/name, which is got after -update.
func golden(tb testing.TB, name string, got []byte) []byte {
	tb.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(tb, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(tb, err, "make it with: go test ./reports -update")
	return want
}
