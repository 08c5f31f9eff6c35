package bpf

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// SessionFate is what became of a TCP session that one of the node's processes has established.
type SessionFate uint8

// The fates; lib/session.h says more on each.
const (
	SessionFollowed = SessionFate(redirSessionFateSESSION_FOLLOWED) // one end: a session with both ends on the node counts twice
	SessionRemote   = SessionFate(redirSessionFateSESSION_REMOTE)
	SessionOnWire   = SessionFate(redirSessionFateSESSION_ON_WIRE)
	SessionRefused  = SessionFate(redirSessionFateSESSION_REFUSED)
)

var sessionFateNames = []string{
	SessionFollowed: "FOLLOWED", SessionRemote: "REMOTE", SessionOnWire: "ON_WIRE", SessionRefused: "REFUSED",
}

func (f SessionFate) String() string { return nameOf(sessionFateNames, int(f), "SessionFate") }

// MessageWay is which way a message of a followed session went: Redirected from socket to socket, else through the stack,
// for the reason that it names. A message is what one write, or a part of a long one, hands to TCP.
type MessageWay uint8

// The ways; lib/session.h says more on each.
const (
	MessageRedirected = MessageWay(redirMessageWayMESSAGE_REDIRECTED)
	MessageAlone      = MessageWay(redirMessageWayMESSAGE_ALONE)
	MessageUnread     = MessageWay(redirMessageWayMESSAGE_UNREAD)
	MessageAwaited    = MessageWay(redirMessageWayMESSAGE_AWAITED)
	MessageFull       = MessageWay(redirMessageWayMESSAGE_FULL)
	MessageUrgent     = MessageWay(redirMessageWayMESSAGE_URGENT)
	MessageClosing    = MessageWay(redirMessageWayMESSAGE_CLOSING)
	MessageWrapped    = MessageWay(redirMessageWayMESSAGE_WRAPPED)
	MessageStopped    = MessageWay(redirMessageWayMESSAGE_STOPPED)
)

var messageWayNames = []string{
	MessageRedirected: "REDIRECTED", MessageAlone: "ALONE", MessageUnread: "UNREAD", MessageAwaited: "AWAITED",
	MessageFull: "FULL", MessageUrgent: "URGENT", MessageClosing: "CLOSING", MessageWrapped: "WRAPPED",
	MessageStopped: "STOPPED",
}

func (w MessageWay) String() string { return nameOf(messageWayNames, int(w), "MessageWay") }

// Traffic is a number of messages, and their bytes.
type Traffic struct{ Messages, Bytes uint64 }

// SessionMetrics tells what became of the node's TCP sessions and of the messages of those that are followed. What is zero
// is not in it.
type SessionMetrics struct {
	Sessions map[SessionFate]uint64
	Messages map[MessageWay]Traffic
}

// SessionMetrics counts since the node was loaded with Options.RedirectSessions; without, it is empty.
func (n *Node) SessionMetrics() (SessionMetrics, error) {
	m := SessionMetrics{Sessions: map[SessionFate]uint64{}, Messages: map[MessageWay]Traffic{}}
	if n.Maps.Sessions == nil {
		return m, nil
	}
	var fate redirSessionFate
	var sessions []uint64
	entries := n.maps[redirMapSessionCounts].Iterate()
	for entries.Next(&fate, &sessions) {
		for _, s := range sessions {
			if s != 0 {
				m.Sessions[SessionFate(fate)] += s
			}
		}
	}
	if err := entries.Err(); err != nil {
		return m, fmt.Errorf("bpf: session metrics: %w", err)
	}
	var way redirMessageWay
	var traffic []redirTraffic
	entries = n.maps[redirMapMessageCounts].Iterate()
	for entries.Next(&way, &traffic) {
		var sum Traffic
		for _, t := range traffic {
			sum.Messages += t.Messages
			sum.Bytes += t.Bytes
		}
		if sum.Messages != 0 {
			m.Messages[MessageWay(way)] = sum
		}
	}
	if err := entries.Err(); err != nil {
		return m, fmt.Errorf("bpf: session metrics: %w", err)
	}
	return m, nil
}

// sight is what bpf_redir may know of the kernel's own structures.
type sight struct {
	rdonlyCast  bool // typed memory: else by bpf_probe_read_kernel
	syscallRegs bool // and the arguments of the system call that sends
}

// CanRedirectSessions returns why this kernel cannot redirect the messages of TCP sessions from socket to socket without
// danger to them; nil: it can.
func CanRedirectSessions() error {
	_, err := kernelSight()
	return err
}

// kernelSight finds out once. Without sight of the socket at the other end, nothing would bound what a reader has not read
// and keep what was redirected behind what went through the stack.
var kernelSight = sync.OnceValues(func() (sight, error) {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return sight{}, fmt.Errorf("bpf: redirect sessions: the kernel does not tell its types: %w", err)
	}
	var s sight
	var cast *btf.Func
	s.rdonlyCast = types.TypeByName("bpf_rdonly_cast", &cast) == nil
	if !s.rdonlyCast {
		if err := features.HaveProgramHelper(ebpf.SkMsg, asm.FnProbeReadKernel); err != nil {
			return sight{}, fmt.Errorf("bpf: redirect sessions: no program may look at the socket at the other end, "+
				"which needs bpf_rdonly_cast (Linux 6.2) or a kernel that is not in lockdown=confidentiality: %w", err)
		}
	}
	s.syscallRegs = runtime.GOARCH == "amd64"
	return s, nil
})

// sessionObjects parses the embedded ELF files of bpf_sockops and bpf_redir, once.
var sessionObjects = sync.OnceValues(func() ([]*ebpf.CollectionSpec, error) {
	var specs []*ebpf.CollectionSpec
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadSockops, loadRedir} {
		spec, err := load()
		if err != nil {
			return nil, fmt.Errorf("bpf: embedded object: %w", err)
		}
		specs = append(specs, spec)
	}
	return specs, nil
})

// loadSessions loads bpf_sockops and bpf_redir, and has the map sessions run the latter on what its sockets send.
func (n *Node) loadSessions(opts Options) error {
	sight, err := kernelSight()
	if err != nil {
		return err
	}
	parsed, err := sessionObjects()
	if err != nil {
		return err
	}
	constants := map[string]uint8{redirVarHasRdonlyCast: flag(sight.rdonlyCast), redirVarHasSyscallRegs: flag(sight.syscallRegs)}
	for _, spec := range parsed {
		spec = spec.Copy()
		for name, value := range constants {
			if spec.Variables[name] == nil {
				continue
			}
			if err := spec.Variables[name].Set(value); err != nil {
				return fmt.Errorf("bpf: constants: %w", err)
			}
		}
		if err := n.loadObject(spec, opts); err != nil {
			return err
		}
	}
	err = link.RawAttachProgram(link.RawAttachProgramOptions{
		Target: n.maps[redirMapSessions].FD(), Program: n.programs[redirProgRedirectMessage], Attach: ebpf.AttachSkMsgVerdict,
	})
	if err != nil {
		return fmt.Errorf("bpf: attach %s to the map %s: %w", redirProgRedirectMessage, redirMapSessions, err)
	}
	return nil
}

// StopRedirecting sends all further messages of all sessions through the stack. Readers find what was redirected before,
// and first. Close does it too: programs and maps stay in the kernel until the last session that they follow has ended.
func (n *Node) StopRedirecting() error {
	if n.maps[redirMapStopped] == nil {
		return nil
	}
	if err := n.maps[redirMapStopped].Put(uint32(0), uint32(1)); err != nil && !errors.Is(err, unix.EBADF) {
		return fmt.Errorf("bpf: stop redirecting: %w", err)
	}
	return nil
}
