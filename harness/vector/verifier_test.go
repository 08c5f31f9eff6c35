package vector_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// read reads the one suite of a text that stands for a file in testdata.
func read(t testing.TB, text string) *vector.Suite {
	t.Helper()
	suites, err := vector.ReadSuites("testdata/x.yaml", []byte(text))
	require.NoError(t, err)
	require.Len(t, suites, 1)
	return suites[0]
}

func TestVerifierIsAskedAndCompared(t *testing.T) {
	result := read(t, "object: mirror_bpfel.o").Run(t.Context(), vector.Options{Verifier: true})
	require.NoError(t, result.Err)
	verified := map[string]vector.Verified{}
	for _, v := range result.Verified {
		verified[v.Program] = v
	}
	require.Len(t, verified, 5, "all programs, as no vector names one")
	require.Greater(t, verified["mirror"].Instructions, verified["paint"].Instructions)
	require.Positive(t, verified["mirror"].Stack)

	file := filepath.Join(t.TempDir(), "verifier.json")
	results := []*vector.Result{result}
	require.NoError(t, vector.SaveVerified(file, results))
	before, err := vector.ReadVerified(file)
	require.NoError(t, err)
	require.Equal(t, result.Verified, before)

	for i := range before {
		if before[i].Program == "mirror" {
			before[i].Instructions = 2 * before[i].Instructions
		}
	}
	var out bytes.Buffer
	require.NoError(t, vector.WriteVerified(&out, results, before[:len(before)-1]))
	for line := range strings.Lines(out.String()) {
		require.Equal(t, strings.HasPrefix(line, "mirror "), strings.Contains(line, "(-50.0 %)"), line)
		require.Equal(t, strings.HasPrefix(line, before[len(before)-1].Program+" "), strings.Contains(line, "(new)"), line)
	}

	require.NoError(t, os.WriteFile(file, []byte(`{"schema": "another"}`), 0o600))
	_, err = vector.ReadVerified(file)
	require.ErrorContains(t, err, "these are no figures of the verifier")
}

func TestRejectionIsToldWithStatisticsToo(t *testing.T) {
	suite := read(t, "object: calls_bpfel.o\nprogram: refused\nvectors: [{packet: {hex: 00}}]")
	result := suite.Run(t.Context(), vector.Options{Verifier: true, Artifacts: t.TempDir()})
	require.ErrorContains(t, result.Err, "invalid access to packet")
}

func TestVectorsAreTimed(t *testing.T) {
	suite := read(t, one("{name: a, "+syn+", want: {verdict: XDP_TX}}\n  - {name: b, program: once, "+syn+", want: {verdict: XDP_DROP}}"))
	result := suite.Run(t.Context(), vector.Options{Time: &vector.Measurement{Samples: 3, Runs: 1000}, Artifacts: t.TempDir()})
	require.NoError(t, result.Err)
	require.Len(t, result.Vectors[0].Timing.Samples, 3)
	require.Nil(t, result.Vectors[1].Timing, "it failed")
}
