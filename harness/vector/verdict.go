package vector

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cilium/ebpf"
)

// A Verdict is what a program returned, by the name that its type of program has for it ("XDP_TX", "TC_ACT_SHOT"), or as a
// number where it has none.
type Verdict string

func (v *Verdict) read(w *written) error {
	text, err := w.scalar("a verdict")
	*v = Verdict(text)
	return err
}

// families of names, from include/uapi/linux: bpf.h, pkt_cls.h, netfilter.h.
var (
	xdpVerdicts = map[string]int32{"XDP_ABORTED": 0, "XDP_DROP": 1, "XDP_PASS": 2, "XDP_TX": 3, "XDP_REDIRECT": 4}
	tcVerdicts  = map[string]int32{
		"TC_ACT_UNSPEC": -1, "TC_ACT_OK": 0, "TC_ACT_RECLASSIFY": 1, "TC_ACT_SHOT": 2, "TC_ACT_PIPE": 3, "TC_ACT_STOLEN": 4,
		"TC_ACT_QUEUED": 5, "TC_ACT_REPEAT": 6, "TC_ACT_REDIRECT": 7, "TC_ACT_TRAP": 8,
	}
	tcxVerdicts     = map[string]int32{"TCX_NEXT": -1, "TCX_PASS": 0, "TCX_DROP": 2, "TCX_REDIRECT": 7} // other names of TC's
	lwtVerdicts     = map[string]int32{"BPF_OK": 0, "BPF_DROP": 2, "BPF_REDIRECT": 7, "BPF_LWT_REROUTE": 128}
	dissectVerdicts = map[string]int32{"BPF_OK": 0, "BPF_DROP": 2, "BPF_FLOW_DISSECTOR_CONTINUE": 129}
	skVerdicts      = map[string]int32{"SK_DROP": 0, "SK_PASS": 1}
	nfVerdicts      = map[string]int32{"NF_DROP": 0, "NF_ACCEPT": 1, "NF_STOLEN": 2, "NF_QUEUE": 3, "NF_REPEAT": 4, "NF_STOP": 5}
)

// verdictsOf are the names of a type of program; empty where its return value is a plain number.
func verdictsOf(t ebpf.ProgramType) map[string]int32 {
	switch t {
	case ebpf.XDP:
		return xdpVerdicts
	case ebpf.SchedCLS, ebpf.SchedACT:
		return tcVerdicts
	case ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit, ebpf.LWTSeg6Local:
		return lwtVerdicts
	case ebpf.FlowDissector:
		return dissectVerdicts
	case ebpf.SkLookup, ebpf.SkSKB, ebpf.SkMsg:
		return skVerdicts
	case ebpf.Netfilter:
		return nfVerdicts
	}
	return nil
}

// VerdictOf is what a type of program calls a return value.
func VerdictOf(t ebpf.ProgramType, code uint32) Verdict {
	for name, value := range verdictsOf(t) {
		if value == int32(code) {
			return Verdict(name)
		}
	}
	return Verdict(strconv.FormatUint(uint64(code), 10))
}

// Code is the return value that a verdict names.
func (v Verdict) Code(t ebpf.ProgramType) (uint32, error) {
	known := verdictsOf(t)
	if value, ok := known[string(v)]; ok {
		return uint32(value), nil
	}
	if value, ok := tcxVerdicts[string(v)]; ok && (t == ebpf.SchedCLS || t == ebpf.SchedACT) {
		return uint32(value), nil
	}
	if n, err := strconv.ParseInt(string(v), 0, 32); err == nil && n < 0 {
		return uint32(n), nil
	}
	if n, err := strconv.ParseUint(string(v), 0, 32); err == nil {
		return uint32(n), nil
	}
	return 0, fmt.Errorf("%s", unknown(fmt.Sprintf("verdict of %s programs", t), string(v), slices.Sorted(maps.Keys(known))))
}
