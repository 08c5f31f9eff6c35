package vector_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// mistake runs a suite that cannot be used, and returns why. The suite stands for a file in testdata.
func mistake(t *testing.T, text string) string {
	t.Helper()
	suites, err := vector.ReadSuites("testdata/x.yaml", []byte(text))
	for _, s := range suites {
		result := s.Run(t.Context(), vector.Options{Artifacts: t.TempDir()})
		err = result.Err
	}
	require.Error(t, err)
	var input *vector.InputError
	require.ErrorAs(t, err, &input, "%v", err)
	require.NotContains(t, err.Error(), "\n", "one sentence")
	return err.Error()
}

// one is a suite of one vector on the program mirror.
func one(vector string) string {
	return "object: mirror_bpfel.o\nprogram: mirror\nvectors:\n  - " + vector
}

// fixtures is a suite of one fixture on the program mirror.
func fixtures(fixture string) string {
	return "object: mirror_bpfel.o\nprogram: mirror\nfixtures: [\n  " + fixture + "]"
}

// on is a suite that fills maps of tables.c.
func on(contents string) string {
	return "object: tables_bpfel.o\nprogram: look\nmaps:\n  " + contents + "\nvectors: [{packet: {udp: {src: 10.0.0.1, dst: 10.0.0.2}}}]"
}

func TestMistakesAreTold(t *testing.T) {
	for name, test := range map[string]struct{ suite, says string }{
		"no YAML":            {"a: [1,\nb: 2", "x.yaml:1:4: sequence end token ']' not found"},
		"nothing":            {"# nothing", "x.yaml: there is no suite in this file"},
		"duplicate key":      {"object: a\nprogram: b\nobject: c", `x.yaml:3:1: mapping key "object" already defined at [1:1]`},
		"a list":             {"- a", "x.yaml:1:1: a mapping belongs here, not a list"},
		"a tag":              {"object: !!str a", "x.yaml:1:9: tags like !!str mean nothing here"},
		"alias of nothing":   {"object: *a", "x.yaml:1:9: no anchor &a stands before this alias"},
		"field":              {"objekt: a", `x.yaml:1:1: there is no field "objekt"; did you mean "object"?`},
		"field of vector":    {one("{pakket: {}}"), `x.yaml:4:6: there is no field "pakket"; did you mean "packet"?`},
		"no object":          {"vectors: []", "x.yaml:1:1: the suite names no object"},
		"object missing":     {"object: none.o", "x.yaml:1:9: testdata/none.o: there is no such object"},
		"object of text":     {"object: mirror.c", "x.yaml:1:9: testdata/mirror.c: this is no ELF object of BPF programs: name what clang -g -O2 -target bpf -c makes"},
		"object's type":      {"object: forward_bpfel.o", "map within a map names; declare a variable of that type, too"},
		"field of no sense":  {"set: {a: 1}", `x.yaml:1:1: there is no field "set", only name, extends, object, program, constants, `},
		"no program":         {"object: mirror_bpfel.o\nvectors: [{name: a}]", "x.yaml:1:1: no program is named: testdata/mirror_bpfel.o has [label mirror once paint talk]"},
		"program":            {"object: mirror_bpfel.o\nprogram: miror\nvectors: [{name: a}]", `x.yaml:2:10: there is no program "miror"; did you mean "mirror"?`},
		"program of a step":  {one("{steps: [{program: paunt}]}"), `x.yaml:4:24: there is no program "paunt"; did you mean "paint"?`},
		"steps and a packet": {one("{steps: [{}], packet: {hex: 00}}"), "x.yaml:4:13: a vector has steps, or a packet"},
		"rejected program":   {"object: calls_bpfel.o\nprogram: refused\nvectors: [{packet: {hex: 00}}]", "x.yaml:1:9: testdata/calls_bpfel.o: the kernel rejects it: program refused: load program: permission denied"},

		"no input":             {fixtures(`{"retval": 1}`), "x.yaml:4:3: a fixture needs an input: a packet in base64"},
		"nothing expected":     {fixtures(`{"input": "AAAA"}`), "x.yaml:4:3: this fixture expects nothing: give it expected or retval"},
		"no base64":            {fixtures(`{"input": "A*"}`), "x.yaml:4:13: this is not base64: illegal base64 data at input byte 1"},
		"mask too long":        {fixtures(`{"input": "AAAA", "expected": "AAAA", "mask": "AAAAAAAA"}`), "x.yaml:4:49: a mask has as many bytes as what is expected, 3, not 6"},
		"field of fixture":     {fixtures(`{"inptu": "AAAA"}`), `x.yaml:4:4: there is no field "inptu"; did you mean "input"?`},
		"fixture twice named":  {fixtures(`{"input": "AAAA", "input": "AAAA"}`), `x.yaml:4:21: mapping key "input" already defined at [4:4]`},
		"verdict of fixture":   {fixtures(`{"input": "AAAA", "retval": "XDP_TC"}`), `x.yaml:4:31: there is no verdict of XDP programs "XDP_TC"; did you mean "XDP_TX"?`},
		"short fixture":        {fixtures(`{"input": "AAAA", "retval": 1}`), "x.yaml:4:13: running mirror: a packet of 3 bytes is refused"},
		"fixtures of no file":  {"object: mirror_bpfel.o\nfixtures: none.json", "x.yaml:2:11: the fixtures cannot be read: open testdata/none.json: no such file or directory"},
		"fixtures of no list":  {"object: mirror_bpfel.o\nfixtures: groups.json", "testdata/groups.json:1:1: a list belongs here, not a mapping"},
		"mask of layers":       {one("{packet: {hex: 00}, want: {packet: {mask: {hex: ff}, tcp: {}}}}"), "x.yaml:4:47: a mask is for a packet in hex or base64"},
		"capture that is cut":  {one("{packet: {frame: {file: cut.pcap}}}"), "x.yaml:4:14: capture testdata/cut.pcap: frame 1: the capture ends within it"},
		"object that is cut":   {"object: cut.o", "x.yaml:1:9: testdata/cut.o: this is no ELF object of BPF programs: "},
		"object of no BPF":     {"object: /proc/self/exe", "x.yaml:1:9: /proc/self/exe: this is no ELF object of BPF programs: "},
		"call beyond an array": {"object: calls_bpfel.o\nprogram: entry\ntail_calls: {calls: {9: entry}}", "x.yaml:3:14: map calls has 4 slots, from 0 on, so there is no slot 9"},

		"verdict":           {one("{packet: {udp: {src: 10.0.0.1, dst: 10.0.0.2}}, want: {verdict: XDP_PAS}}"), `x.yaml:4:69: there is no verdict of XDP programs "XDP_PAS"; did you mean "XDP_PASS"?`},
		"layer":             {one("{packet: {tpc: {dst: 10.0.0.1}}}"), `x.yaml:4:15: there is no layer "tpc"; did you mean "tcp"?`},
		"layer's field":     {one("{packet: {tcp: {dest: 10.0.0.1}}}"), `x.yaml:4:21: there is no field of tcp "dest"; did you mean "dst"?`},
		"address":           {one("{packet: {tcp: {dst: 10.0.0.256}}}"), `x.yaml:4:26: an address and port belongs here, not "10.0.0.256"`},
		"port":              {one("{packet: {tcp: {dst: 10.0.0.1:70000}}}"), "x.yaml:4:26: port 70000 is too large: at most 65535 fits"},
		"port alone":        {one("{packet: {tcp: {dst: 70000}}}"), "x.yaml:4:26: port 70000 is too large: at most 65535 fits"},
		"flags":             {one("{packet: {tcp: {dst: 10.0.0.1, flags: SYN|AKC}}}"), `x.yaml:4:43: TCP flags belongs here, not "SYN|AKC"`},
		"number too large":  {one("{packet: {ipv4: {ttl: 256}}}"), "x.yaml:4:27: 256 is too large: at most 255 fits"},
		"octal number":      {one("{packet: {ipv4: {ttl: 017}}}"), `x.yaml:4:27: "017" starts with a zero`},
		"ICMP type":         {one("{packet: {icmp: {type: echo_requst}}}"), `x.yaml:4:28: there is no value "echo_requst"; did you mean "echo request"?`},
		"hex":               {one("{packet: {hex: 0g}}"), "x.yaml:4:20: this is not hex"},
		"two forms":         {one("{packet: {hex: 00, base64: AA==}}"), "x.yaml:4:14: a packet is one of"},
		"short packet":      {one("{packet: {hex: 0011}}"), "x.yaml:4:14: running mirror: a packet of 2 bytes is refused: the kernel wants an Ethernet header, 14 bytes"},
		"impossible packet": {one("{packet: {tcp: {src: fd00::1, dst: 10.0.0.1}}}"), "x.yaml:4:14: packet template: IPv6.Dst is 10.0.0.1, an address of the other family"},
		"no capture":        {one("{packet: {frame: {file: none.pcap}}}"), "x.yaml:4:14: there is no capture testdata/none.pcap"},
		"no such capture":   {one("{packet: {frame: {file: mirror.c}}}"), "x.yaml:4:14: capture testdata/mirror.c: this is no pcap or pcapng file"},

		"context field":   {one("{context: {mrk: 1}}"), `x.yaml:4:16: there is no field "mrk"; did you mean "mark"?`},
		"mark of XDP":     {one("{packet: {hex: 0000000000000000000000000000}, context: {mark: 1}}"), "x.yaml:4:67: the kernel takes no mark for a program of type XDP"},
		"meta of TC":      {one("{program: paint, packet: {hex: 0000000000000000000000000000}, context: {meta: abcd}}"), "x.yaml:4:83: the kernel takes no meta for a program of type SchedCLS"},
		"meta of 3":       {one("{packet: {hex: 0000000000000000000000000000}, context: {meta: abc}}"), "x.yaml:4:67: metadata is a multiple of 4 bytes, at most 252, not 3"},
		"device":          {one("{packet: {hex: 0000000000000000000000000000}, context: {ingress: eth0}}"), `x.yaml:4:70: there is no device "eth0", only lo`},
		"index":           {one("{packet: {hex: 0000000000000000000000000000}, context: {ingress: 77}}"), "x.yaml:4:14: running mirror: there is no device of that index"},
		"expected device": {one("{packet: {hex: 0000000000000000000000000000}, want: {context: {ingress: 1}}}"), "x.yaml:4:77: no ingress comes out of a program of type XDP"},

		"each of no list": {one("{each: 7}"), "x.yaml:4:12: a list belongs here, not \"7\""},
		"no column":       {one("{each: [{port: 1}], name: $prt}"), `x.yaml:4:31: there is no column "prt"; did you mean "port"?`},

		"map":               {on("by_adress: []"), `x.yaml:4:14: there is no map that can be filled "by_adress"; did you mean "by_address"?`},
		"member":            {on("by_address: [{key: 10.0.0.1, value: {vlann: 1}}]"), `x.yaml:4:40: there is no field "vlann"; did you mean "vlan"?`},
		"member of union":   {on("by_address: [{key: 10.0.0.1, value: {peer: {ip4: 1, low: 2}}}]"), "x.yaml:4:46: peer is a union: name one of its members"},
		"too many elements": {on("by_address: [{key: 10.0.0.1, value: {numbers: [1, 2, 3, 4]}}]"), "x.yaml:4:59: numbers has 3 elements, and these are 4"},
		"enumerator":        {on("by_address: [{key: 10.0.0.1, value: {colour: BLU}}]"), `x.yaml:4:48: there is no value of enum colour "BLU"; did you mean "BLUE"?`},
		"wide bitfield":     {on("by_address: [{key: 10.0.0.1, value: {narrow: 8}}]"), "x.yaml:4:48: 8 is too large for 3 bits"},
		"too large":         {on("by_address: [{key: 10.0.0.1, value: {vlan: 65536}}]"), "x.yaml:4:46: 65536 is too large for 16 bits"},
		"too small":         {on("by_address: [{key: 10.0.0.1, value: {offset: -40000}}]"), "x.yaml:4:48: -40000 is too small for 16 bits"},
		"text too long":     {on("by_address: [{key: 10.0.0.1, value: {name: 0123456789}}]"), "x.yaml:4:46: name has room for 9 letters, and these are 10"},
		"no number":         {on("counts: [{key: 0, value: many}]"), `x.yaml:4:28: a number belongs here: there is no device, nor a constant of the object, "many"`},
		"bytes":             {on("by_address: [{key: {hex: 0a}, value: {}}]"), "x.yaml:4:28: these are 1 bytes, and the value has 4"},
		"no key":            {on("counts: [{value: 1}]"), "x.yaml:4:12: an entry of map counts needs a key"},
		"beyond an array":   {on("counts: [{key: 4, value: 1}]"), "x.yaml:4:18: map counts has 4 entries, from 0 on, so there is no entry 4"},
		"IPv6 prefix":       {on("prefixes: [{key: fd00::/16, value: 1}]"), "x.yaml:4:20: the addresses of this map have 4 bytes, and those of fd00::/16 16"},
		"cpus":              {on("counts: [{key: 1, cpus: [1]}]"), "x.yaml:4:27: map counts has one value for all CPUs"},
		"value of maps":     {on("by_owner: [{key: 10.0.0.1, value: 7}]"), "x.yaml:4:37: map by_owner holds maps"},
		"map of values":     {on("counts: [{key: 1, map: []}]"), "x.yaml:4:26: map counts holds no maps"},
		"full map":          {on("recent_by_cpu: []\n  prefixes: [" + strings.Repeat("{key: 10.0.0.0/8, value: 1}, {key: 10.0.0.0/9, value: 1}, {key: 10.0.0.0/10, value: 1},", 3) + "{key: 10.0.0.0/11}, {key: 10.0.0.0/12}, {key: 10.0.0.0/13}, {key: 10.0.0.0/14}, {key: 10.0.0.0/15}, {key: 10.0.0.0/16}]"), "x.yaml:4:3: map prefixes has no room for more than 8 entries"},

		"size of no map":   {"object: tables_bpfel.o\nprogram: look\nmap_sizes: {counst: 1}", `x.yaml:3:13: there is no map "counst"; did you mean "counts"?`},
		"variable":         {"object: calls_bpfel.o\nprogram: entry\nconstants: {writen: 1}", `x.yaml:3:21: there is no variable "writen"; did you mean "written"?`},
		"variable's value": {"object: calls_bpfel.o\nprogram: entry\nconstants: {written: 0x100000000}", "x.yaml:3:22: 0x100000000 is too large for 32 bits"},
		"calls of no map":  {"object: calls_bpfel.o\nprogram: entry\ntail_calls: {cals: {1: entry}}", `x.yaml:3:14: there is no map "cals"; did you mean "calls"?`},
		"calls of a map":   {"object: tables_bpfel.o\nprogram: look\ntail_calls: {counts: {1: look}}", "x.yaml:3:14: map counts is of type Array, and tail calls go through a ProgramArray"},
		"call of nothing":  {"object: calls_bpfel.o\nprogram: entry\ntail_calls: {calls: {1: entri}}", `x.yaml:3:14: there is no program "entri"; did you mean "entry"?`},
		"network":          {"object: mirror_bpfel.o\nnetwork:\n  routes: [{to: 10.0.0.0/8}]", "x.yaml:3:3: the network cannot be: topo: the route to 10.0.0.0/8 leads nowhere"},
		"prefix":           {"object: mirror_bpfel.o\nnetwork:\n  routes: [{to: 10.0.0.0}]", `x.yaml:3:17: a prefix belongs here, not "10.0.0.0"`},
	} {
		t.Run(name, func(t *testing.T) { require.Contains(t, mistake(t, test.suite), test.says) })
	}
}

func TestRejectedProgramsKeepTheirLog(t *testing.T) {
	suites, err := vector.ReadSuites("testdata/x.yaml", []byte("object: calls_bpfel.o\nprogram: refused\nvectors: [{packet: {hex: 00}}]"))
	require.NoError(t, err)
	folder := t.TempDir()
	result := suites[0].Run(t.Context(), vector.Options{Artifacts: folder})
	require.ErrorContains(t, result.Err, "whole log: "+folder)
	logs, err := filepath.Glob(folder + "/*.log")
	require.NoError(t, err)
	require.Len(t, logs, 1)
	log, err := os.ReadFile(logs[0])
	require.NoError(t, err)
	require.Contains(t, string(log), "invalid access to packet")
}

func TestOneBadSuiteStopsNoOther(t *testing.T) {
	folder := t.TempDir()
	good, err := filepath.Abs("testdata/mirror_bpfel.o")
	require.NoError(t, err)
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	head := "object: " + good + "\nprogram: mirror\nvectors:\n  - "
	passes := head + "{packet: {tcp: {src: 10.0.0.1, dst: 10.0.0.2:80}}, want: {verdict: XDP_TX}}"
	files := []string{
		write("bad.yaml", "a: b"),
		write("good.yaml", passes),
		write("failing.yaml", strings.Replace(passes, "XDP_TX", "XDP_DROP", 1)),
		filepath.Join(folder, "none.yaml"),
	}
	results := vector.RunFiles(t.Context(), files, vector.Options{}, nil)
	require.Len(t, results, 4)
	require.Error(t, results[0].Err)
	require.NoError(t, results[1].Err)
	require.Zero(t, results[1].Failed())
	require.Equal(t, 1, results[2].Failed())
	require.ErrorContains(t, results[3].Err, "there is no such suite")

	for status, some := range map[int][]*vector.Result{2: results, 1: results[1:3]} {
		var exit interface{ ExitCode() int }
		require.ErrorAs(t, vector.Err(some), &exit)
		require.Equal(t, status, exit.ExitCode())
	}
	require.NoError(t, vector.Err(results[1:2]))
}
