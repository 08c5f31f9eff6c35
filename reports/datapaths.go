package reports

import (
	"cmp"
	"slices"
)

// baseline is the datapath that the others are measured against.
const baseline = "iptables"

// emptyPath is the pseudo datapath that is nothing but the wire.
const emptyPath = "empty"

// datapath is how a report shows a datapath.
type datapath struct {
	value string // in params
	name  string
	tone  tone // of its bars
}

// datapaths stand in the order in which they are shown.
var datapaths = []datapath{
	{"xdp", "XDP", blue},
	{"xdp-generic", "XDP generic", sky},
	{"tc", "TC", green},
	{"ebpf", "eBPF", blue},
	{baseline, "iptables", grey},
	{"nftables", "nftables", amber},
	{"ipvs", "IPVS", plum},
	{emptyPath, "empty path", pale},
}

// rankOf orders datapaths; one that is not known comes after those that are.
func rankOf(value string) int {
	i := slices.IndexFunc(datapaths, func(d datapath) bool { return d.value == value })
	if i < 0 {
		return len(datapaths)
	}
	return i
}

// compareValues orders two values of one parameter: datapaths as above, then
// numbers by size, then words by the alphabet.
func compareValues(a, b string) int {
	x, okX := number(a)
	y, okY := number(b)
	byNumber := 0
	if okX && okY {
		byNumber = cmp.Compare(x, y)
	}
	return cmp.Or(cmp.Compare(rankOf(a), rankOf(b)), byNumber, cmp.Compare(a, b))
}

// toneOf is the tone of a bar, blue if it is none of these datapaths.
func toneOf(b bar) tone {
	if i := rankOf(b.value); i < len(datapaths) {
		return datapaths[i].tone
	}
	return blue
}
