package vector_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// Fixtures of a group come one after the other, wherever they stand, and keep their order.
func TestFixturesByGroup(t *testing.T) {
	suites, err := vector.ReadFile("testdata/groups.json")
	require.NoError(t, err)
	require.Len(t, suites, 1)
	var order []string
	for _, v := range suites[0].Vectors {
		order = append(order, v.Group+" "+v.Name)
	}
	require.Equal(t, []string{"a first", "a second of its group", "b first", "b second of its group"}, order)
}

// In Go, fixtures are vectors like others.
func TestFixturesInGo(t *testing.T) {
	vectors, err := vector.ReadFixtures("testdata/fixtures.json")
	require.NoError(t, err)
	var names []string
	for _, v := range vectors {
		names = append(names, v.Name)
	}
	require.Equal(t, []string{"1: IPv4 comes back", "2: whatever its identification", "what is no IPv4 passes", "4"}, names)
	vector.RunSuite(t, &vector.Suite{Name: "fixtures", Object: "testdata/mirror_bpfel.o", Program: "mirror", Vectors: vectors})

	_, err = vector.ReadFixtures("testdata/none.json")
	require.ErrorContains(t, err, "the fixtures cannot be read")
	_, err = vector.ReadFile("testdata/fixtures.json")
	require.ErrorContains(t, err, "testdata/fixtures.json:1:1: these are fixtures, which say no program: name them in a suite, as fixtures: fixtures.json")
}

// A vector finds what the one before left only within its group.
func TestGroupsShareState(t *testing.T) {
	vectors := "{group: a, program: once, " + syn + ", want: {verdict: XDP_TX}}\n" +
		"  - {group: a, program: once, " + syn + ", want: {verdict: XDP_DROP}}\n" +
		"  - {program: once, " + syn + ", want: {verdict: XDP_TX}}\n" +
		"  - {group: a, program: once, " + syn + ", want: {verdict: XDP_TX}}\n" +
		"  - {group: b, program: once, " + syn + ", want: {verdict: XDP_TX}}"
	result := read(t, one(vectors)).Run(t.Context(), vector.Options{Artifacts: t.TempDir()})
	require.NoError(t, result.Err)
	require.Zero(t, result.Failed(), "%v", result.Vectors)
}
