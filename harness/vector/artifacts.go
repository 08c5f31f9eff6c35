package vector

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/skbench/skbench/topo"
)

// folder is where files about what went wrong go.
func (o *Options) folder() (string, error) {
	folder := o.Artifacts
	if folder == "" {
		folder = filepath.Join(os.TempDir(), "skbench-vectors")
	}
	return folder, os.MkdirAll(folder, 0o755)
}

// Keep keeps the frames of a failure in a pcapng file, and says in the failure where that is. A failure without a packet has none.
func (o *Options) Keep(suite, vector string, f *Failure) (err error) {
	if len(f.Sent) > 0 {
		f.Capture, err = o.writeCapture(suite, vector, f)
	}
	return err
}

// writeCapture writes the frames of a failure into a pcapng file that no other run writes, each of an interface that says what
// it is. It returns the file's path.
func (o *Options) writeCapture(suite, vector string, f *Failure) (path string, err error) {
	folder, err := o.folder()
	if err != nil {
		return "", err
	}
	var devices []topo.Device
	var frames []topo.Frame
	for i, part := range []struct {
		name  string
		frame []byte
	}{{"sent", f.Sent}, {"want", f.Want}, {"got", f.Got}} {
		device := topo.Device{Machine: suite, Name: part.name, Index: i + 1, MAC: make([]byte, 6)}
		devices = append(devices, device)
		if part.frame != nil {
			frames = append(frames, topo.Frame{Time: uint64(i), Device: device, Direction: topo.In, Len: len(part.frame), Data: part.frame})
		}
	}
	file, err := os.CreateTemp(folder, fileName(suite+"-"+vector)+"-*.pcapng")
	if err != nil {
		return "", fmt.Errorf("a capture of what failed: %w", err)
	}
	defer file.Close()
	return file.Name(), topo.WritePcapng(file, devices, frames)
}

// fileName is a text with everything replaced that is awkward in a name of a file.
func fileName(text string) string {
	const most = 80
	name := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, text)
	return name[:min(len(name), most)]
}
