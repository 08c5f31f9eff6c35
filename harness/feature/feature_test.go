package feature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestTableAgreesWithThisKernel holds the first releases in the table against what the probes say here.
func TestTableAgreesWithThisKernel(t *testing.T) {
	needRoot(t)
	kernel, err := Kernel()
	require.NoError(t, err)
	release, err := Release()
	require.NoError(t, err)
	carriesBack := strings.Contains(release, ".el") // Red Hat's kernels have features of later releases.

	for _, found := range Report() {
		text, err := json.Marshal(found)
		require.NoError(t, err)
		t.Attr("finding", string(text)) // so that a run over many kernels has its table without asking each of them twice
		t.Run(found.Name, func(t *testing.T) {
			switch {
			case found.State == Yes:
				require.True(t, carriesBack || !kernel.Less(found.Since), "it is there on %v, though said to be first in %v", kernel, found.Since)
			case found.State == Inconclusive:
				t.Log(found.explain())
			case kernel.Less(found.Since):
				require.Contains(t, found.Reason, "first in Linux "+found.Since.String())
			default:
				require.NotEmpty(t, found.Reason)
				require.NotContains(t, found.Reason, ebpf.ErrNotSupported.Error(),
					"said to be in Linux since %v, but not on %v, and nothing tells why", found.Since, kernel)
			}
		})
	}
}

func TestFeaturesAreToldApart(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range table {
		key := string(f.Kind) + " " + f.Name
		require.False(t, seen[key], "%s is in the table twice", key)
		seen[key] = true
	}
}

func TestJudge(t *testing.T) {
	kernel, err := Kernel()
	require.NoError(t, err)
	next := Version{kernel.Major + 1, 0, 0}
	old := Version{2, 6, 0}
	for _, test := range []struct {
		name    string
		feature Feature
		answer  error
		want    Finding
	}{
		{
			name: "yes", feature: Feature{Mend: "apt-get install it"},
			want: Finding{State: Yes},
		},
		{
			name: "of a later kernel", feature: Feature{Since: next}, answer: fmt.Errorf("in XDP programs: %w", ebpf.ErrNotSupported),
			want: Finding{Since: next, State: No, Reason: fmt.Sprintf("first in Linux %v, this is %v", next, kernel)},
		},
		{
			name: "refused, with a mend", feature: Feature{Since: old, Mend: "switch it on"}, answer: no("switched off"),
			want: Finding{Since: old, State: No, Reason: "switched off", Mend: "switch it on"},
		},
		{
			name: "neither yes nor no", answer: errors.New("the verifier rejects the probe"),
			want: Finding{State: Inconclusive, Reason: "the verifier rejects the probe"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, test.feature.judge(test.answer))
		})
	}
}

func TestKernelThatNeverAnswers(t *testing.T) {
	t.Cleanup(func() { stuck.Store(nil) })
	never := &Feature{Name: "bpf_redirect", probe: func() error { select {} }}
	require.ErrorContains(t, never.answer(10*time.Millisecond), "only a reboot mends that")

	next := &Feature{Name: "bpf_loop", probe: func() error { panic("must not be tried") }}
	finding := next.judge(next.answer(time.Hour))
	require.Equal(t, Inconclusive, finding.State)
	require.Equal(t, "not tried, since the kernel did not answer on bpf_redirect", finding.Reason)
}

func TestNeed(t *testing.T) {
	there := found(Finding{Name: "bpf_loop", State: Yes})
	late := found(Finding{Name: "bpf_redirect_peer", Since: Version{5, 10, 0}, State: No, Reason: "first in Linux 5.10, this is 5.4"})
	tool := found(Finding{Name: "nft", State: No, Reason: "no command nft", Mend: "apt-get install nftables"})
	odd := found(Finding{Name: "arena", State: Inconclusive, Reason: "the verifier rejects the probe"})
	for _, test := range []struct {
		name    string
		needs   []*Feature
		skipped string
		attrs   map[string]string
	}{
		{name: "all there", needs: []*Feature{there}},
		{
			name: "a datapath called as its tool", needs: []*Feature{found(Finding{Name: "iptables", State: No, Reason: "needs iptables: no command iptables-restore"})},
			skipped: "needs iptables: no command iptables-restore", attrs: map[string]string{"unsupported": "iptables"},
		},
		{
			name: "a later kernel's", needs: []*Feature{there, late}, skipped: "needs bpf_redirect_peer: first in Linux 5.10, this is 5.4",
			attrs: map[string]string{"unsupported": "bpf_redirect_peer", "since": "5.10"},
		},
		{
			name: "a tool", needs: []*Feature{tool}, skipped: "needs nft: no command nft; apt-get install nftables",
			attrs: map[string]string{"unsupported": "nft"},
		},
		{
			name: "unclear", needs: []*Feature{odd}, skipped: "needs arena: the verifier rejects the probe",
			attrs: map[string]string{"inconclusive": "arena"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tb := &recorder{}
			Need(tb, test.needs...)
			require.Equal(t, test.skipped, tb.skipped)
			require.Equal(t, test.attrs, tb.attrs)
		})
	}
}

// recorder is a test that notes how it is skipped.
type recorder struct {
	testing.TB
	skipped string
	attrs   map[string]string
}

func (*recorder) Helper() {}

func (r *recorder) Skip(args ...any) { r.skipped = fmt.Sprint(args...) }

func (r *recorder) Attr(key, value string) {
	if r.attrs == nil {
		r.attrs = map[string]string{}
	}
	r.attrs[key] = value
}

func found(f Finding) *Feature {
	return &Feature{Name: f.Name, Since: f.Since, find: func() Finding { return f }}
}

func TestEitherOf(t *testing.T) {
	yes := found(Finding{Name: "TCX", State: Yes})
	nope := found(Finding{Name: "clsact", State: No, Reason: "built without it"})
	unclear := found(Finding{Name: "netkit", State: Inconclusive, Reason: "who knows"})

	require.Equal(t, Yes, eitherOf(nope, yes).Check().State)
	require.Equal(t, Finding{Name: "clsact or netkit", State: Inconclusive, Reason: "who knows"}, eitherOf(nope, unclear).Check())
	require.Equal(t, Finding{Name: "clsact or clsact", State: No, Reason: "built without it"}, eitherOf(nope, nope).Check())
}

func TestAFeatureThatIsNowhere(t *testing.T) {
	needRoot(t)
	for name, probe := range map[string]func() error{
		"device":          func() error { return inNamespace(func() error { return addDevice("nosuchdevice") }) },
		"qdisc":           qdisc("nosuchqdisc"),
		"generic netlink": genericNetlink("NOSUCHFAMILY"),
		"command":         inNamespaceRun("", "no-such-command"),
		"rules":           inNamespaceRun("*nosuchtable\nCOMMIT\n", "iptables-restore"),
		"file":            exists("/no/such/file"),
		"mount":           mounted("nosuchfs"),
		"socket":          func() error { return socket(unix.AF_MAX - 1) },
		"program type":    loads(ebpf.ProgramType(1000), ebpf.AttachNone),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, saysNo := errors.AsType[no](probe())
			require.True(t, saysNo, "got %v", probe())
		})
	}
}

func TestHelperName(t *testing.T) {
	for fn, want := range map[asm.BuiltinFunc]string{
		asm.FnRedirectPeer:           "bpf_redirect_peer",
		asm.FnTcpRawGenSyncookieIpv4: "bpf_tcp_raw_gen_syncookie_ipv4",
	} {
		require.Equal(t, want, HelperName(fn))
	}
}

func TestText(t *testing.T) {
	var text bytes.Buffer
	require.NoError(t, WriteText(&text, []Finding{
		{Name: "TC by TCX", Kind: Hook, Since: Version{6, 6, 0}, State: No, Reason: "first in Linux 6.6, this is 5.10"},
		{Name: "sk_msg", Kind: Hook, State: Yes},
		{Name: "nft", Kind: Tool, State: No, Reason: "no such command", Mend: "apt-get install nftables"},
	}))
	require.Equal(t, `hook
  no   TC by TCX  since 6.6  first in Linux 6.6, this is 5.10
  yes  sk_msg

tool
  no   nft                   no such command; apt-get install nftables
`, text.String())
}

func TestJSON(t *testing.T) {
	finding := Finding{Name: "bpf_loop", Kind: Helper, Since: Version{5, 17, 0}, State: Yes}
	text, err := json.Marshal([]Finding{finding, {Name: "perf", Kind: Tool, State: Yes}})
	require.NoError(t, err)
	require.JSONEq(t, `[{"name": "bpf_loop", "kind": "helper", "since": "5.17", "state": "yes"}, {"name": "perf", "kind": "tool", "state": "yes"}]`, string(text))

	var back []Finding
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, finding, back[0])
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to load BPF programs and make namespaces")
	}
}
