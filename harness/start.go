package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// Start brings up a lab for a test and takes it down when the test ends. On a
// machine that lacks what the datapath needs the test is skipped. A test
// that failed leaves a pcapng of everything captured and says where it lies. A
// checksum that was wrong on any device, or a capture that lost frames, fails the
// test whatever it looked at.
func Start(t testing.TB, topology topo.Topology, datapath Datapath, opts ...Option) *Lab {
	t.Helper()
	feature.Need(t, append(datapath.Needs(), encryptionNeeds[topology.Encryption]...)...)
	lab, err := New(t.Context(), topology, datapath, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		lab.checkRecording(t)
		if t.Failed() && !lab.captured.Load() {
			if note := lab.captureNote(t); note != "" {
				t.Log(note)
			}
		}
		if err := lab.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	return lab
}

// encryptionNeeds are what a machine must have for a topology's encryption.
var encryptionNeeds = map[topo.Encryption][]*feature.Feature{
	topo.WireGuard: {feature.WireGuard},
	topo.IPsec:     {feature.ESP},
}

// Datapaths are those that a scenario must hold on.
type Datapaths []Datapath

// Run runs a scenario on a lab of each datapath, for IPv4 and IPv6, as subtests
// "ebpf/IPv4" and so on. Labs run beside each other, the families of one lab one
// after the other.
func (ds Datapaths) Run(t *testing.T, topology topo.Topology, scenario func(*testing.T, *Lab)) {
	t.Helper()
	for _, d := range ds {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			lab := Start(t, topology, d)
			t.Run("IPv4", func(t *testing.T) { scenario(t, lab) })
			t.Run("IPv6", func(t *testing.T) { scenario(t, lab.IPv6()) })
		})
	}
}

// checkRecording fails the test for what no packet of any test may show.
func (l *Lab) checkRecording(t testing.TB) {
	if !l.observed {
		return
	}
	if err := l.Sync(context.Background()); err != nil {
		t.Errorf("wait for the lab's reports: %v", err)
	}
	if lost := l.capture.Lost(); lost > 0 {
		t.Errorf("the capture lost %d frames: send fewer at once", lost)
	}
	if l.network.Topology().Offloads {
		return // checksums are left to devices that are not there
	}
	frames := l.recording.captured()
	for _, f := range frames {
		p, err := packet.Decode(f.Data)
		if err != nil {
			continue // deliberately broken packets are a test's own business
		}
		if wrong, ok := errors.AsType[*packet.ChecksumError](l.verifyChecksums(p)); ok {
			t.Errorf("%s %s: %v\n%s", f.Device, captured(f).At, wrong, p.Describe())
			return
		}
	}
}

// verifyChecksums is strict but for what the datapath says that it leaves.
func (l *Lab) verifyChecksums(p *packet.Packet) error {
	if l.datapath.LeavesQuotedChecksums() {
		return packet.VerifyChecksums(p, packet.StaleQuote)
	}
	return packet.VerifyChecksums(p)
}

// Frames returns all that was captured in the lab so far, of all devices, whoever sent it.
func (l *Lab) Frames(t testing.TB) []topo.Frame {
	t.Helper()
	if err := l.Sync(t.Context()); err != nil {
		t.Fatalf("wait for the lab's reports: %v", err)
	}
	return l.recording.captured()
}

// captureNote writes all captured frames to a file and says where it is, empty where nothing was captured.
func (l *Lab) captureNote(t testing.TB) string {
	frames := l.recording.captured()
	if len(frames) == 0 {
		return ""
	}
	path, err := l.writeCapture(t.Name(), frames)
	if err != nil {
		return fmt.Sprintf("the capture could not be written: %v", err)
	}
	l.captured.Store(true)
	return "capture: " + path
}

func (l *Lab) writeCapture(test string, frames []topo.Frame) (string, error) {
	dir := os.Getenv("SKBENCH_CAPTURES")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "skbench-captures")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	name := strings.NewReplacer("/", "-", " ", "_").Replace(test)
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pcapng", name, os.Getpid())))
	if err != nil {
		return "", err
	}
	err = topo.WritePcapng(file, l.network.Devices(), frames)
	return file.Name(), errors.Join(err, file.Close())
}
