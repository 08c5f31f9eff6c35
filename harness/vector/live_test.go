package vector_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector"
)

// alive runs a suite of testdata/live_bpfel.o live, too, and returns the result of the last vector, which is the live one.
func alive(t *testing.T, attach, vectors string) vector.VectorResult {
	t.Helper()
	result := read(t, `
object: live_bpfel.o
network: {devices: [{name: nic0}, {name: nic1}]}
attach: [`+attach+`]
vectors:
  - `+vectors).Run(t.Context(), vector.Options{Live: true, Artifacts: t.TempDir()})
	require.NoError(t, result.Err)
	last := result.Vectors[len(result.Vectors)-1]
	require.True(t, strings.HasSuffix(last.Name, " live"), last.Name)
	return last
}

const (
	onXDP     = "{program: xdp_command, device: nic0, hook: xdp}"
	onIngress = "{program: tc_in, device: nic0, hook: tc ingress}"
	onEgress  = "{program: tc_out, device: nic0, hook: tc egress}"
)

// says is a vector of a program with a packet that says what to do.
func says(program, command, more string) string {
	return "{program: " + program + ", packet: {ethernet: {type: 0x88b5}, raw: {hex: " + command + " 00000000}}" + more + "}"
}

// What is sent meets the same end as what BPF_PROG_RUN runs on, at every hook.
func TestLiveAgrees(t *testing.T) {
	suites, err := vector.ReadFile("testdata/live.yaml")
	require.NoError(t, err)
	result := suites[0].Run(t.Context(), vector.Options{Live: true, Artifacts: t.TempDir()})
	require.NoError(t, result.Err)
	require.Len(t, result.Vectors, 32)
	for _, v := range result.Vectors {
		require.Nil(t, v.Failure, "%s: %s", v.Name, v.Failure)
		require.Empty(t, v.Skipped, v.Name)
	}
}

// A difference is a failure that says both.
func TestLiveFindsDifferences(t *testing.T) {
	for name, test := range map[string]struct{ attach, vector, want string }{
		"sent back":  {onXDP, says("xdp_command", "04", ""), "BPF_PROG_RUN: XDP_DROP, so it is dropped; live: it is sent back"},
		"delivered":  {onIngress, says("tc_in", "04", ""), "BPF_PROG_RUN: TC_ACT_SHOT, so it is dropped; live: it is delivered"},
		"on its way": {onEgress, says("tc_out", "04", ""), "BPF_PROG_RUN: TC_ACT_SHOT, so it is dropped; live: it is delivered"},
		"packet":     {onXDP, says("xdp_command", "05", ""), "BPF_PROG_RUN and live: it is sent back, as another packet"},
		// Two programs on one way: the one before has its say, too.
		"two programs": {onXDP + ", " + onIngress, says("tc_in", "00", ", context: {ingress: nic0}"), "BPF_PROG_RUN and live: it is delivered, as another packet"},
	} {
		t.Run(name, func(t *testing.T) {
			live := alive(t, test.attach, test.vector)
			require.NotNil(t, live.Failure)
			require.Equal(t, test.want, live.Failure.Differences)
			require.FileExists(t, live.Failure.Capture)
		})
	}
	live := alive(t, onXDP, says("xdp_command", "05", ""))
	words := strings.Join(strings.Fields(live.Failure.String()), " ")
	require.Contains(t, words, "-> Raw 0500000000 0501010000 0501000000")
}

// What cannot be sent is skipped, and says why.
func TestLiveSkips(t *testing.T) {
	for name, test := range map[string]struct{ attach, vector, why string }{
		"nowhere":        {onXDP, says("tc_in", "00", ""), "program tc_in is attached nowhere"},
		"elsewhere":      {onXDP, says("xdp_command", "00", ", context: {ingress: nic1}"), "program xdp_command is not attached to nic1"},
		"in two places":  {onXDP + ", {program: xdp_command, device: nic1, hook: xdp}", says("xdp_command", "00", ""), "program xdp_command is attached to nic0 and nic1: the context has to name one"},
		"mark":           {onIngress, says("tc_in", "00", ", context: {mark: 1}"), "a context with mark cannot be sent"},
		"metadata":       {onXDP, says("xdp_command", "00", ", context: {ingress: nic0, meta: abcd}"), "a context with meta cannot be sent"},
		"long":           {onXDP, "{program: xdp_command, packet: {ethernet: {type: 0x88b5}, raw: {zeros: 1501}}}", "a packet of 1515 bytes is longer than the MTU, 1500, allows"},
		"tagged":         {onXDP, "{program: xdp_command, packet: {ethernet: {type: 0x8100}, raw: {zeros: 46}}}", "the kernel takes VLAN tags off packets before it hands them on"},
		"failed already": {onXDP, says("xdp_command", "00", ", want: {verdict: XDP_TX}"), "it fails by BPF_PROG_RUN"},
		"many runs":      {onXDP, says("xdp_command", "01", ", repeat: 5000"), "it runs more than 4096 times"},
		"by chance":      {onXDP, says("xdp_command", "08", ", repeat: 64"), "ends in another verdict each time"},
	} {
		t.Run(name, func(t *testing.T) {
			live := alive(t, test.attach, test.vector)
			require.Nil(t, live.Failure)
			require.Contains(t, live.Skipped, test.why)
		})
	}
}

func TestMistakesAboutAttachments(t *testing.T) {
	suite := func(attach string) string {
		return "object: live_bpfel.o\nnetwork: {devices: [{name: nic0}]}\nattach: " + attach + "\nvectors: [" + says("xdp_command", "00", "") + "]"
	}
	for name, test := range map[string]struct{ suite, says string }{
		"none":    {strings.Replace(suite(""), "attach: \n", "", 1), "x.yaml:1:1: the suite attaches no program to a device, so nothing can be sent: say under attach where programs stand"},
		"hook":    {suite("[{program: xdp_command, device: nic0, hook: xpd}]"), `x.yaml:3:53: there is no hook "xpd"; did you mean "xdp"?`},
		"device":  {suite("[{program: xdp_command, device: nic1, hook: xdp}]"), `x.yaml:3:41: there is no device "nic1"; did you mean "nic0"? (devices stand under network)`},
		"program": {suite("[{program: xdp_comand, device: nic0, hook: xdp}]"), `x.yaml:3:20: there is no program "xdp_comand"; did you mean "xdp_command"?`},
		"type":    {suite("[{program: tc_in, device: nic0, hook: xdp}]"), "x.yaml:3:47: program tc_in is of type SchedCLS, which does not stand at xdp"},
	} {
		t.Run(name, func(t *testing.T) {
			suites, err := vector.ReadSuites("testdata/x.yaml", []byte(test.suite))
			if err == nil {
				err = suites[0].Run(t.Context(), vector.Options{Live: true}).Err
			}
			require.ErrorContains(t, err, test.says)
		})
	}
}
