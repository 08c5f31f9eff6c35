package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// Options are what a load may choose besides the node's Config. The zero value is good.
type Options struct {
	Sizes MapSizes
	// Events receives this node's events, and may be shared by many nodes: see [NewEvents]. Nil: the node makes its own.
	Events *ebpf.Map
	// WithoutSockets leaves out the programs at sockets: services are balanced packet by packet alone.
	WithoutSockets bool
	// RedirectSessions moves the data of TCP sessions between two of the node's pods from socket to socket, past the
	// stack and every device (see CanRedirectSessions). Byte streams, their ends and their writers' pace stay as they were.
	// What else the kernel (5.10 to 7.3) owes to processes of these pods, it does not keep; say OnWire of the endpoints of
	// those who rely on it:
	//
	//   - splice(2) from a socket, as Go's io.Copy from socket to socket does, never gets what was redirected;
	//   - recv(2) does not wait for a full buffer (MSG_WAITALL), and a blocking one may fail with EAGAIN at a reset;
	//   - recv(2) of urgent data, while something redirected is not read, returns that;
	//   - FIONREAD tells 0 of data that came through the stack, on some releases, or of data that was redirected, on others;
	//   - what was sent with MSG_ZEROCOPY, and redirected, is never reported done;
	//   - TLS in the kernel is refused (TLS_TX: EINVAL), on some releases;
	//   - closing a socket that was not read to its end ends the session without a reset.
	RedirectSessions bool
	// WithoutSocketRelease: do as on a kernel where programs cannot tell which socket is closed (before 5.12). What sockets knew
	// stays then until it is evicted.
	WithoutSocketRelease bool
	// WithoutXDP leaves out the program at XDP, a fifth of what the verifier has to look at: those at TC do all of its work.
	WithoutXDP bool
	// OnlyXDP loads the program at XDP alone, for a server behind a balancer: it takes what is for its stack out of the tunnel.
	OnlyXDP bool
	// LogDir is where the verifier's log goes when it rejects a program; "" is the system's folder for temporary files.
	LogDir string
}

// MapSizes are the largest numbers of entries, except EventBytes. Zero means the default.
type MapSizes struct {
	Flows      uint32 // two per connection; 65536
	Claims     uint32 // sets of five tuples that answers may still come to: as many as new flows in four seconds; 16384
	Datagrams  uint32 // whose fragments are translated; 4096
	Services   uint32 // frontends; 8192
	Slots      uint32 // of all services, those with the same backends share theirs: one a backend, or a Maglev table; 262144
	Backends   uint32 // 16384
	Clients    uint32 // that affinity remembers; 16384
	Sockets    uint32 // peers of sockets, one for each service that a socket talks to; 65536
	Sources    uint32 // source ranges; 4096
	Pods       uint32 // of this node; 256
	Prefixes   uint32 // 4096
	Directs    uint32 // backends here that other nodes send to, counted once for each frontend; 16384
	EventBytes uint32 // of the ring buffer, a power of two and of pages; 1 MiB
	Sessions   uint32 // two per TCP session between two of the node's pods; 65536
}

// Node is the programs and maps of one node. Methods that change state may be called from any goroutine.
type Node struct {
	Programs Programs
	Maps     Maps

	programs map[string]*ebpf.Program // by their names in C
	maps     map[string]*ebpf.Map
	services *serviceTable
	config   Config
}

// Programs are a node's programs, ready to attach.
type Programs struct {
	XDPEntry      *ebpf.Program // XDP on the NIC; nil with WithoutXDP
	FromNetdev    *ebpf.Program // TC ingress of the NIC
	ToNetdev      *ebpf.Program // TC egress of the NIC
	FromContainer *ebpf.Program // TC ingress of each lxc device
	ToContainer   *ebpf.Program // TC egress of each lxc device
	FromNetwork   *ebpf.Program // TC ingress of the WireGuard device; nil without Config.WireGuard

	// At the sockets of the node and its pods, in the order in which they are to be attached; those of services not with
	// WithoutSockets, the one that follows sessions only with RedirectSessions.
	Sockets []SocketProgram
}

// SocketProgram is a program at a system call on sockets.
type SocketProgram struct {
	Place   ebpf.AttachType // of a control group
	Program *ebpf.Program
}

// socketPrograms are those at sockets: what gives addresses back before what takes them away.
var socketPrograms = []struct {
	name  string // in C
	place ebpf.AttachType
}{
	{sockProgSockRelease, ebpf.AttachCgroupInetSockRelease},
	{sockProgGetpeername4, ebpf.AttachCgroupInet4GetPeername},
	{sockProgGetpeername6, ebpf.AttachCgroupInet6GetPeername},
	{sockProgRecvmsg4, ebpf.AttachCGroupUDP4Recvmsg},
	{sockProgRecvmsg6, ebpf.AttachCGroupUDP6Recvmsg},
	{sockProgSendmsg4, ebpf.AttachCGroupUDP4Sendmsg},
	{sockProgSendmsg6, ebpf.AttachCGroupUDP6Sendmsg},
	{sockProgConnect4, ebpf.AttachCGroupInet4Connect},
	{sockProgConnect6, ebpf.AttachCGroupInet6Connect},
	{sockopsProgFollowSessions, ebpf.AttachCGroupSockOps},
}

// Maps are a node's maps, shared by its programs. Prefer the methods of Node.
type Maps struct {
	CT         *ebpf.Map
	Frontends  *ebpf.Map
	LeadsTo    *ebpf.Map // from frontends to services
	Services   *ebpf.Map
	Slots      *ebpf.Map
	Backends   *ebpf.Map
	Affinities *ebpf.Map
	Members    *ebpf.Map
	SockNamed  *ebpf.Map // the services that sockets named, by backend; nil with WithoutSockets
	SockKept   *ebpf.Map // the backends that UDP sockets keep, by service; nil with WithoutSockets
	Sources    *ebpf.Map
	Endpoints  *ebpf.Map
	Devices    *ebpf.Map
	IPCache    *ebpf.Map
	Direct     *ebpf.Map
	Metrics    *ebpf.Map
	Events     *ebpf.Map
	Sessions   *ebpf.Map // nil without RedirectSessions
}

// objects parses the embedded ELF files, once. Nothing is loaded before, so it is the place to lift the limit on locked
// memory, against which kernels before 5.11 count maps.
var objects = sync.OnceValues(func() ([]*ebpf.CollectionSpec, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("bpf: the limit on locked memory: %w: are you root?", err)
	}
	var specs []*ebpf.CollectionSpec
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadXdp, loadHost, loadLxc, loadCt, loadSock, loadNetwork} {
		spec, err := load()
		if err != nil {
			return nil, fmt.Errorf("bpf: embedded object: %w", err)
		}
		specs = append(specs, spec)
	}
	return specs, nil
})

// Load loads the programs of one node. Close releases them.
//
// When the verifier rejects a program, the error names the program and the file that holds the verifier's whole log.
func Load(cfg Config, opts Options) (_ *Node, err error) {
	constants, err := cfg.raw()
	if err != nil {
		return nil, err
	}
	parsed, err := objects()
	if err != nil {
		return nil, err
	}

	node := &Node{config: cfg, maps: map[string]*ebpf.Map{}, programs: map[string]*ebpf.Program{}}
	defer func() {
		if err != nil {
			node.Close()
		}
	}()
	if opts.Events != nil {
		if node.maps[hostMapEvents], err = opts.Events.Clone(); err != nil {
			return nil, fmt.Errorf("bpf: map events: %w", err)
		}
		opts.Sizes.EventBytes = opts.Events.MaxEntries()
	}
	for _, spec := range parsed {
		if opts.WithoutSockets && spec.Programs[sockProgConnect4] != nil || opts.OnlyXDP && spec.Programs[xdpProgXdpEntry] == nil {
			continue
		}
		if cfg.WireGuard == 0 && spec.Programs[networkProgFromNetwork] != nil {
			continue
		}
		if opts.WithoutXDP && spec.Programs[xdpProgXdpEntry] != nil {
			continue
		}
		spec = spec.Copy()
		if opts.WithoutSocketRelease {
			delete(spec.Programs, sockProgSockRelease)
		}
		if err := spec.Variables[hostVarConfig].Set(constants); err != nil {
			return nil, fmt.Errorf("bpf: constants: %w", err)
		}
		if err := node.loadObject(spec, opts); err != nil {
			return nil, err
		}
	}
	if opts.RedirectSessions {
		if err := node.loadSessions(opts); err != nil {
			return nil, err
		}
	}
	node.name()
	node.services, err = newServiceTable(node.Maps)
	return node, err
}

// loadObject loads an object whose constants are set.
func (n *Node) loadObject(spec *ebpf.CollectionSpec, opts Options) error {
	opts.Sizes.apply(spec.Maps)
	if sets := spec.Variables[hostVarClaimSets]; sets != nil {
		if err := sets.Set(spec.Maps[hostMapClaims].MaxEntries); err != nil {
			return fmt.Errorf("bpf: constants: %w", err)
		}
	}
	if err := n.makeMaps(spec); err != nil {
		return err
	}
	return n.loadPrograms(spec, opts.LogDir)
}

// makeMaps makes those maps of spec that no object before it had.
func (n *Node) makeMaps(spec *ebpf.CollectionSpec) error {
	for name, mapSpec := range spec.Maps {
		if n.maps[name] != nil || isConstants(name) {
			continue
		}
		m, err := ebpf.NewMap(mapSpec)
		if err != nil {
			return fmt.Errorf("bpf: map %s with %d entries: %w", name, mapSpec.MaxEntries, err)
		}
		n.maps[name] = m
	}
	return nil
}

// isConstants tells .rodata, which each object has for itself.
func isConstants(name string) bool { return strings.HasPrefix(name, ".") }

// loadPrograms loads the programs of spec onto the node's maps.
func (n *Node) loadPrograms(spec *ebpf.CollectionSpec, logDir string) error {
	shared := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if !isConstants(name) {
			shared[name] = n.maps[name]
		}
	}
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared})
	if err != nil {
		return rejected(err, logDir)
	}
	defer loaded.Close()
	for name := range spec.Programs {
		n.programs[name] = loaded.DetachProgram(name)
	}
	return nil
}

// rejected turns the verifier's complaint into one sentence and a file with the whole log.
func rejected(err error, dir string) error {
	var complaint *ebpf.VerifierError
	if !errors.As(err, &complaint) {
		return fmt.Errorf("bpf: %w", err)
	}
	file, createErr := os.CreateTemp(dir, "verifier-*.log")
	if createErr != nil {
		return fmt.Errorf("bpf: %w (and no place for the verifier's log: %w)", err, createErr)
	}
	defer file.Close()
	if _, writeErr := fmt.Fprintf(file, "%+v\n", complaint); writeErr != nil {
		return fmt.Errorf("bpf: %w (and the verifier's log cannot be written: %w)", err, writeErr)
	}
	return fmt.Errorf("bpf: the kernel's verifier rejects a program, see %s: %w", file.Name(), err)
}

// name gives programs and maps their places in the node.
func (n *Node) name() {
	n.Programs = Programs{
		XDPEntry:      n.programs[xdpProgXdpEntry],
		FromNetdev:    n.programs[hostProgFromNetdev],
		ToNetdev:      n.programs[hostProgToNetdev],
		FromContainer: n.programs[lxcProgFromContainer],
		ToContainer:   n.programs[lxcProgToContainer],
		FromNetwork:   n.programs[networkProgFromNetwork],
	}
	for _, p := range socketPrograms {
		if program := n.programs[p.name]; program != nil {
			n.Programs.Sockets = append(n.Programs.Sockets, SocketProgram{p.place, program})
		}
	}
	n.Maps = Maps{
		CT:         n.maps[hostMapCt],
		Frontends:  n.maps[hostMapFrontends],
		LeadsTo:    n.maps[hostMapLeadsTo],
		Services:   n.maps[hostMapServices],
		Slots:      n.maps[hostMapSlots],
		Backends:   n.maps[hostMapBackends],
		Affinities: n.maps[hostMapAffinities],
		Members:    n.maps[hostMapMembers],
		SockNamed:  n.maps[sockMapSockNamed],
		SockKept:   n.maps[sockMapSockKept],
		Sources:    n.maps[hostMapSources],
		Endpoints:  n.maps[hostMapEndpoints],
		Devices:    n.maps[hostMapDevices],
		IPCache:    n.maps[hostMapIpcache],
		Direct:     n.maps[hostMapDirect],
		Metrics:    n.maps[hostMapMetrics],
		Events:     n.maps[hostMapEvents],
		Sessions:   n.maps[sockopsMapSessions],
	}
}

func (s MapSizes) apply(specs map[string]*ebpf.MapSpec) {
	for name, size := range map[string]uint32{
		hostMapCt:          s.Flows,
		hostMapClaims:      s.Claims,
		hostMapDatagrams:   s.Datagrams,
		hostMapFrontends:   s.Services,
		hostMapLeadsTo:     2 * s.Services, // all of them can make room for others at once
		hostMapServices:    2 * s.Services, // or change
		hostMapSlots:       s.Slots,
		hostMapMembers:     s.Slots,
		hostMapBackends:    s.Backends,
		hostMapAffinities:  s.Clients,
		sockMapSockNamed:   s.Sockets,
		sockMapSockKept:    s.Sockets,
		hostMapSources:     s.Sources,
		hostMapEndpoints:   2 * s.Pods, // one per family
		hostMapDevices:     s.Pods,
		hostMapIpcache:     s.Prefixes,
		hostMapDirect:      s.Directs,
		hostMapEvents:      s.EventBytes,
		sockopsMapSessions: s.Sessions,
	} {
		if spec := specs[name]; spec != nil && size != 0 {
			spec.MaxEntries = size
		}
	}
}

// NewEvents makes a ring buffer of so many bytes (a power of two and of pages; 0: 1 MiB) that any number of nodes may
// share, so that their events come in order.
func NewEvents(bytes uint32) (*ebpf.Map, error) {
	parsed, err := objects()
	if err != nil {
		return nil, err
	}
	specs := map[string]*ebpf.MapSpec{hostMapEvents: parsed[0].Maps[hostMapEvents].Copy()}
	MapSizes{EventBytes: bytes}.apply(specs)
	events, err := ebpf.NewMap(specs[hostMapEvents])
	if err != nil {
		return nil, fmt.Errorf("bpf: ring buffer of %d bytes: %w", bytes, err)
	}
	return events, nil
}

// Close releases programs and maps, one after the other. A program that is still attached stays in the kernel until its
// link goes.
func (n *Node) Close() error {
	errs := []error{n.StopRedirecting()}
	for _, program := range n.programs {
		errs = append(errs, program.Close())
	}
	for _, table := range n.maps {
		errs = append(errs, table.Close())
	}
	if n.services != nil {
		errs = append(errs, n.services.fence.close())
	}
	return errors.Join(errs...)
}
