package vector_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// Any text is suites or a mistake that is told.
func FuzzReadSuites(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(content))
	}
	for _, text := range []string{
		"a: &a [*a]", "a: &a {<<: *a}", "? [a]\n: b", "a: !!binary b", "vectors: [{each: [{}]}]", "vectors: [{each: [{a: b}], name: $$a$a}]",
		"object: x\nvectors: [{packet: {hex: 00}, want: {verdict: 1, packet: unchanged}}]", "vectors: [{packet: {tcp: , raw: {zeros: 9}}}]",
		"maps: {a: {entries: [{key: {hex: 00}, cpus: [1], map: []}], exact: true, count: 1}}", "a: |\n b\n---\n--- \n...", "{a: {b: {c: [[[", "- - - - -",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		suites, err := vector.ReadSuites("x.yaml", []byte(text))
		if err == nil {
			require.NotEmpty(t, suites)
			return
		}
		var input *vector.InputError
		require.ErrorAs(t, err, &input)
		require.NotEmpty(t, input.Text)
	})
}

// Any text is fixtures or a mistake that is told.
func FuzzReadFixtures(f *testing.F) {
	for _, file := range []string{"testdata/fixtures.json", "testdata/groups.json"} {
		content, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(content))
	}
	for _, text := range []string{`[{"input": "AAAA", "retval": 1}]`, `[{"input": "AA==", "expected": "AA==", "mask": "/w==", "group": ""}]`, "[\t{}]", "[]", "{}", `"\ud800"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		suites, err := vector.ReadSuites("x.json", []byte(`{"fixtures": `+text+"}"))
		if err != nil {
			var input *vector.InputError
			require.ErrorAs(t, err, &input)
			require.NotEmpty(t, input.Text)
		}
		for _, s := range suites {
			for _, v := range s.Vectors {
				require.NotEmpty(t, v.Name+v.Group)
			}
		}
	})
}

// Any bytes are an object or a mistake that is told. Give it -fuzzminimizetime 10x, as make fuzz does: to make an object of kilobytes as
// small as may be takes the fuzzer a minute, and there is one for each way through the reader that is new.
func FuzzReadObject(f *testing.F) {
	files, err := filepath.Glob("testdata/*.o")
	require.NoError(f, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		object, err := vector.ReadObject("x.o", content)
		if err == nil {
			object.Programs()
			return
		}
		var input *vector.InputError
		require.ErrorAs(t, err, &input)
	})
}

// A file of two kilobytes may say that a variable has a terabyte: nobody waits for that to be read.
func TestObjectThatClaimsTooMuch(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/small_bpfel.o")
	require.NoError(t, err)
	_, err = vector.ReadObject("x.o", content)
	require.NoError(t, err)

	file, err := elf.NewFile(bytes.NewReader(content))
	require.NoError(t, err)
	const symbol, size = 24, 16 // bytes of one, and from where on it has its size
	table := file.Section(".symtab")
	binary.LittleEndian.PutUint64(content[table.Offset+table.Size-symbol+size:], 1<<40)
	_, err = vector.ReadObject("x.o", content)
	require.ErrorContains(t, err, "the variables of this object are of 1099511")
}
