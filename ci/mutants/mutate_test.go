package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMutate(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"	if (a < b) /* c < d */":       {"comparison turned: if (a >= b)", "bound off by one: if (a <= b)"},
		"	return DROP_FRAGMENT;":        {"return code changed: return DROP_NONE;"},
		"	pkt->tuple.sport = entry->x;": {"step left out: ;"},
		"	slow->reply_key = key;":       {"reverse-NAT step left out: ;"},
		"	ip->check = csum_update(ip->check, x);": {
			"checksum update left out: ;", "checksum update left out: ip->check = (ip->check) + 0 * csum_update(ip->check, x);", "step left out: ;",
		},
		"	if (bpf_map_update_elem(&ct, &k, &v, BPF_NOEXIST))": {
			"map update left out: if (!&bpf_map_update_elem && bpf_map_update_elem(&ct, &k, &v, BPF_NOEXIST))",
			"flag cleared: if (bpf_map_update_elem(&ct, &k, &v, BPF_ANY))",
		},
		"	frag_off = bpf_ntohs(ip->frag_off);":     {"byte swap removed: frag_off = (ip->frag_off);", "step left out: ;"},
		"	return drop(ctx, POINT_XDP, DROP_FULL);": {"return code changed: return pass(ctx, POINT_XDP);"},
		"	flags = CT_REPLY | CT_LOCAL;":            {"flag cleared: flags = 0 | CT_LOCAL;", "flag cleared: flags = CT_REPLY | 0;", "step left out: ;"},
		" * a comment: x < y":                      nil,
		"#define X(a) (a == 1)":                    nil,
	} {
		var got []string
		for _, m := range mutate("lib/x.h", 7, line) {
			require.Equal(t, line, m.Old)
			require.Equal(t, 7, m.Line)
			got = append(got, m.Kind+": "+strings.TrimSpace(m.New))
		}
		if strings.Contains(line, "csum_update") {
			want = want[:2] // leaving the step out is the same as leaving the update out
		}
		require.Equal(t, want, got, line)
	}
}

func TestSampleIsSeeded(t *testing.T) {
	t.Parallel()
	var all []mutant
	for i := range 100 {
		all = append(all, mutant{Line: i})
	}
	require.Equal(t, draw(all, 10, 1), draw(all, 10, 1))
	require.NotEqual(t, draw(all, 10, 1), draw(all, 10, 2))
	require.Len(t, draw(all, 10, 1), 10)
}

func TestSummary(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := mutant{"lib/x.h", 7, "bound off by one", "	if (a < b)", "	if (a <= b)"}
	done := []result{{m, killed, "TestA"}, {m, killed, "TestB"}, {m, killed, "TestB"}, {m, survived, ""}, {m, rejected, ""}, {m, same, ""}}
	require.NoError(t, summarise(&out, done, 100))
	require.Contains(t, out.String(), "score 75.0 % (of all 100 mutants, with 95 % confidence: 30.1 to 95.4 %)")
	require.Contains(t, out.String(), "lib/x.h:7 bound off by one: if (a < b)  →  if (a <= b)")
}

func TestHashLeavesOutFolders(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "file"), []byte("text"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(folder, "folder"), 0o755))
	var hashed strings.Builder
	require.NoError(t, hashFiles(&hashed, folder+"/*"))
	require.Equal(t, folder+"/file 4\ntext", hashed.String())
}

// What the compiler does not say of the mutant's line says nothing of the mutant.
func TestOnlyTheMutantIsBlamed(t *testing.T) {
	t.Parallel()
	m := mutant{File: "lib/x.h", Line: 7}
	for says, blamed := range map[string]bool{
		"In file included from bpf_xdp.c:9:\n./lib/x.h:7:12: error: expected expression": true,
		"lib/x.h:71:12: error: expected expression":                                      false,
		"fatal error: error in backend: IO failure on output stream: No space left":      false,
		"": false,
	} {
		require.Equal(t, blamed, errDoesNotCompile{errors.New("x"), says}.blames(m), says)
	}
}

// First come the tests that run the line, then those of its file, the quickest of each first.
func TestWhoMeetsAMutant(t *testing.T) {
	t.Parallel()
	of := func(name string, seconds int, file string, lines ...int) *test {
		return &test{name, time.Duration(seconds) * time.Second, map[string][]int{file: lines}}
	}
	b := &bench{tests: []*test{of("near", 1, "lib/x.h", 8), of("far", 2, "lib/y.h", 7), of("here", 3, "lib/x.h", 6, 7), of("long", 9, "lib/x.h", 7)}}
	require.Equal(t, [][]string{{"here"}, {"long"}, {"near"}}, b.groups(place{"lib/x.h", 7}))
	b.within = 4 * time.Second
	require.Equal(t, [][]string{{"here"}}, b.groups(place{"lib/x.h", 7}))
}
