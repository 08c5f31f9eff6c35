package harness

import (
	"fmt"
	"strings"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// Hop is one sighting of a packet. All hops of a lab share one clock.
type Hop struct {
	Time    uint64 // CLOCK_MONOTONIC, nanoseconds
	Machine string
	Device  string // empty where the sighting is of the whole machine: netfilter
	At      string // "in" or "out" of the device's capture, or the program: "xdp", "from-container", "netfilter"
	Detail  string // what it did there: "TX", "REDIRECT_PEER", "mangle FORWARD"
	Reason  string // why it was dropped
	Data    []byte // the frame as it left the hop, perhaps cut short
}

// String is the form that Trace's patterns are held against: "node1/eth0 in",
// "node1/eth0 xdp TX", "node1 netfilter mangle FORWARD".
func (h Hop) String() string {
	where := h.Machine
	if h.Device != "" {
		where += "/" + h.Device
	}
	s := where + " " + h.At
	for _, word := range []string{h.Detail, h.Reason} {
		if word != "" {
			s += " " + word
		}
	}
	return s
}

// matches says whether the hop's text begins with the pattern's words, or the hop is
// on the machine that the pattern names alone.
func (h Hop) matches(pattern string) bool {
	return h.Machine == pattern || strings.HasPrefix(h.String()+" ", pattern+" ")
}

// at says whether the hop's text after its place begins with the words.
func (h Hop) at(words string) bool {
	_, after, _ := strings.Cut(h.String(), " ")
	return strings.HasPrefix(after+" ", words+" ")
}

// headers prints what the hop shows of the packet, as far as it can be read.
func (h Hop) headers() string {
	p, err := packet.Decode(h.Data)
	if err != nil {
		return fmt.Sprintf("%d bytes: %v", len(h.Data), err)
	}
	return p.String()
}

// captured makes the hop of a frame that the tap saw.
func captured(f topo.Frame) Hop {
	return Hop{Time: f.Time, Machine: f.Device.Machine, Device: f.Device.Name, At: f.Direction.String(), Data: f.Data}
}
