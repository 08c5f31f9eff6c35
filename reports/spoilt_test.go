package reports

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What cannot be read is named wherever the run is shown, and no verdict rests on it.
func TestSpoiltRunIsRendered(t *testing.T) {
	t.Parallel()
	path := write(t, strings.Replace(good, "[1, 2, 3]", "[1, NaN, 3]", 1))
	dir := filepath.Dir(path)
	rendered, err := Render(dir, Options{})
	require.NoError(t, err)
	require.Equal(t, 2, exitCode(t, rendered.Err()))
	require.NotContains(t, rendered.Verdict(), "XDP", "its figures were not read")
	for _, name := range []string{"index.html", "summary.md", "junit.xml"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		if name != "summary.md" {
			require.Contains(t, string(text), path+":6: NaN is no figure", name)
		}
		if name != "junit.xml" {
			require.Contains(t, string(text), "1 place of the files cannot be read", name)
		}
	}
	require.FileExists(t, filepath.Join(dir, "pps.png"), "the rest is drawn")
}

// A case that lacks a datapath which others have is named, and not counted as like them.
func TestMissingSides(t *testing.T) {
	t.Parallel()
	run := runOf(
		figureOf("pps", "datapath=xdp size=64", "packets/s", 2e6), figureOf("pps", "datapath=iptables size=64", "packets/s", 1e6),
		figureOf("pps", "datapath=xdp size=512", "packets/s", 2e6),
	)
	require.Equal(t, []string{"Packets per second (512 bytes): iptables was not measured, so nothing is said of it there."}, incomplete(run))
	require.Equal(t, "XDP forwards 2.0 times what iptables does.", verdict(run))
	require.Empty(t, incomplete(sample(t)))

	run.Results = run.Results[2:]
	require.Equal(t, "No verdict: these results do not set a datapath beside iptables.", verdict(run))
}
