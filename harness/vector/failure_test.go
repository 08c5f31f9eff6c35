package vector_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
	"github.com/skbench/skbench/harness/vector/capture"
)

// fail runs a suite of one vector, which fails.
func fail(t *testing.T, text string) *vector.Failure {
	t.Helper()
	suites, err := vector.ReadSuites("testdata/x.yaml", []byte(text))
	require.NoError(t, err)
	result := suites[0].Run(t.Context(), vector.Options{Artifacts: t.TempDir()})
	require.NoError(t, result.Err)
	require.Len(t, result.Vectors, 1)
	require.NotNil(t, result.Vectors[0].Failure)
	return result.Vectors[0].Failure
}

const syn = "packet: {tcp: {src: 10.0.0.1:4000, dst: 10.0.0.2:80, flags: SYN}}"

func TestFailuresSayWhatDiffers(t *testing.T) {
	for name, test := range map[string]struct {
		suite string
		says  []string
	}{
		"verdict":     {one("{" + syn + ", want: {verdict: XDP_PASS}}"), []string{"verdict: want XDP_PASS, got XDP_TX", "sent IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP SYN ttl 64", "got  IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP SYN ttl 7"}},
		"number":      {one("{program: paint, " + syn + ", want: {verdict: 5}}"), []string{"verdict: want TC_ACT_QUEUED, got TC_ACT_OK"}},
		"layers":      {one("{" + syn + ", want: {packet: {ipv4: {ttl: 63}, tcp: {dst: 10.0.0.2:81}}}}"), []string{"-> IPv4.TTL 64 63 7", "-> TCP.Dst 10.0.0.2:80 10.0.0.2:81 10.0.0.2:80", "~ Ethernet.Src 02:00:00:00:00:01 02:00:00:00:00:02"}},
		"a zero":      {one("{" + syn + ", want: {packet: {ipv4: {ttl: 0}}}}"), []string{"-> IPv4.TTL 64 0 7"}},
		"layer":       {one("{" + syn + ", want: {packet: {ipv4: {}, udp: {}}}}"), []string{"-> layer 3 UDP TCP"}},
		"unchanged":   {one("{" + syn + ", want: {packet: unchanged}}"), []string{"packet: byte 5 is 01, want 02", "-> Ethernet.Dst 02:00:00:00:00:02 02:00:00:00:00:02 02:00:00:00:00:01"}},
		"bytes":       {one("{" + syn + ", want: {packet: {hex: 0200000000}}}"), nil},
		"more bytes":  {one("{" + syn + ", want: {packet: {exact: true, hex: 020000000001}}}"), []string{"packet: want 6 bytes, got 54"}},
		"exactly":     {one("{" + syn + ", want: {packet: {exact: true, ethernet: {src: 02:00:00:00:00:02, dst: 02:00:00:00:00:01}, ipv4: {ttl: 7, id: 9}, tcp: {src: 10.0.0.1:4000, dst: 10.0.0.2:80}}}}"), []string{"packet: byte 19 is 00, want 09", "-> IPv4.ID 0 9 0"}},
		"fixture":     {fixtures(`{"input": "AgAAAAACAgAAAAABCABFAA==", "expected": "AgAAAAACAgAAAAABCABF"}`), []string{"packet: want 15 bytes, got 16"}},
		"masked":      {one("{" + syn + ", want: {packet: {exact: true, hex: 020000000009, mask: {hex: ffffffffff00}}}}"), []string{"packet: want 6 bytes, got 54"}},
		"in the mask": {one("{" + syn + ", want: {packet: {hex: 020000000009, mask: {hex: ff00000000ff}}}}"), []string{"packet: byte 5 is 01, want 09", "-> Ethernet.Dst 02:00:00:00:00:02 02:00:00:00:00:09 02:00:00:00:00:01"}},
		"beyond it":   {one("{" + syn + ", want: {packet: {hex: 030000000009, mask: {hex: 00}}}}"), []string{"packet: byte 5 is 01, want 09"}},
		"context":     {one("{program: paint, " + syn + ", context: {priority: 3}, want: {context: {mark: 4, cb: [2, 0]}}}"), []string{"context: want mark 4, got 3", "context: want cb [2 0], got [1 0]"}},
		"metadata":    {one("{program: label, " + syn + ", context: {ingress: 1}, want: {context: {meta: {hex: '0200'}}}}"), []string{"context: want meta 0200, got 01000000"}},
		"no metadata": {one("{" + syn + ", want: {context: {meta: {hex: '0200'}}}}"), []string{"context: want meta 0200, got "}},
		"printed":     {one("{program: talk, " + syn + ", want: {verdict: XDP_DROP}}"), []string{"printed: packet of 54 bytes", "printed: second line"}},
		"step":        {one("{steps: [{" + syn + "}, {program: once, " + syn + ", repeat: 3, want: {verdict: XDP_TX}}]}"), []string{"step 2, program once", "run 2", "verdict: want XDP_TX, got XDP_DROP"}},

		"no entry":    {changed("seen_by_cpu: [{key: 10.0.0.9, value: {}}]"), []string{"map seen_by_cpu: want entry 10.0.0.9, got none", "there is 10.0.0.1: cpus: ["}},
		"an entry":    {changed("recent: [{key: {addr: 10.0.0.1, port: 80}, absent: true}]"), []string{"map recent: want no entry {addr: 10.0.0.1, port: 80}, got 1"}},
		"value":       {changed("by_address: [{key: 10.0.0.1, value: {port: {be: 442}, colour: GREEN, offset: 0}}]"), []string{"map by_address, entry 10.0.0.1:", "-> port 442 443", "colour GREEN GREEN", "-> offset 0 -1"}},
		"too many":    {changed("recent: {exact: true, entries: []}"), []string{"map recent: entry {addr: 10.0.0.1, port: 80} is too many: 1"}},
		"of an array": {changed("counts: {exact: true, entries: [{key: 2}]}"), []string{"map counts: entry 1 is too many: 1"}},
		"count":       {changed("recent: {count: 2}"), []string{"map recent: want 2 entries, got 1"}},
		"inner map":   {changed("by_number: [{key: 0, map: [{key: 54, value: 7}]}]"), []string{"map by_number, entry 0:", "map in by_number, entry 54:", "-> the value 7 1"}},
		"bitfield":    {changed("by_address: [{key: 10.0.0.1, value: {last: 8, up: true}}]"), []string{"-> last 8 9", "-> up true false"}},
		"as bytes":    {changed("recent: [{key: {addr: 10.0.0.1, port: 80}, value: {hex: 02000000}}]"), []string{"-> the value 2 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.says == nil {
				suites, err := vector.ReadSuites("testdata/x.yaml", []byte(test.suite))
				require.NoError(t, err)
				vector.RunSuite(t, suites[0])
				return
			}
			text := fail(t, test.suite).String()
			words := strings.Join(strings.Fields(text), " ")
			for _, says := range test.says {
				require.Contains(t, words, strings.Join(strings.Fields(says), " "), "%s", text)
			}
		})
	}
}

// changed is a suite in which the program change runs, and maps are expected.
func changed(contents string) string {
	return "object: tables_bpfel.o\nprogram: change\nmaps: {by_address: [{key: 10.0.0.1}], by_number: [{key: 0, map: []}]}\n" +
		"vectors:\n  - {packet: {udp: {src: 10.0.0.1, dst: 10.0.0.2}}, want: {maps: {" + contents + "}}}"
}

func TestFailuresKeepACapture(t *testing.T) {
	f := fail(t, one("{name: a/b, "+syn+", want: {packet: {ipv4: {ttl: 63}, tcp: {src: 10.0.0.1:4000, dst: 10.0.0.2:80}}}}"))
	reader, err := capture.Open(f.Capture)
	require.NoError(t, err)
	defer reader.Close()
	for _, want := range [][]byte{f.Sent, f.Want, f.Got} {
		require.NotEmpty(t, want)
		frame, err := reader.Next()
		require.NoError(t, err)
		require.Equal(t, want, frame.Data)
	}
	content, err := os.ReadFile(f.Capture)
	require.NoError(t, err)
	require.Contains(t, string(content), "x/want", "the name of an interface")
}
