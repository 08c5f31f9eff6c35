package feature

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"

	"github.com/skbench/skbench/bpf"
)

// First releases are those of the mainline kernel, where all the types of program listed have it: the kernel's history, and the table in
// docs/kernel-versions.md of github.com/iovisor/bcc.

// What the machine itself must offer.
var (
	Namespaces = declare(Feature{Name: "network namespaces", Kind: Machine, Config: []string{"CONFIG_NET_NS"},
		probe: func() error { return inNamespace(func() error { return nil }) }})
	BPF = declare(Feature{Name: "BPF system call", Kind: Machine, Since: mustParse("3.18"), Config: []string{"CONFIG_BPF_SYSCALL"},
		probe: func() error { return features.HaveProgramType(ebpf.SocketFilter) }})
	JIT = declare(Feature{Name: "BPF just-in-time compiler", Kind: Machine, Since: mustParse("3.16"), Config: []string{"CONFIG_BPF_JIT"},
		Mend: "sysctl -w net.core.bpf_jit_enable=1", probe: jitIsOn})
	ISAv3 = declare(Feature{Name: "BPF instructions v3", Kind: Machine, Since: mustParse("5.1"), probe: features.HaveV3ISA})
	BTF   = declare(Feature{Name: "kernel type information (BTF)", Kind: Machine, Since: mustParse("5.4"), Config: []string{"CONFIG_DEBUG_INFO_BTF"},
		probe: exists("/sys/kernel/btf/vmlinux")})
	BoundedLoops  = declare(Feature{Name: "bounded loops", Kind: Machine, Since: mustParse("5.3"), probe: features.HaveBoundedLoops})
	LargePrograms = declare(Feature{Name: "programs of more than 4096 instructions", Kind: Machine, Since: mustParse("5.2"),
		probe: features.HaveLargeInstructions})
	Cgroup2 = declare(Feature{Name: "cgroup2 mounted", Kind: Machine, Since: mustParse("4.5"), Config: []string{"CONFIG_CGROUPS"},
		Mend: "mount -t cgroup2 none /sys/fs/cgroup/unified", probe: mounted("cgroup2")})
	CgroupFolders = declare(Feature{Name: "cgroup2 folders of our own", Kind: Machine, Since: mustParse("5.7"), Config: []string{"CONFIG_CGROUPS"},
		Mend: "run as root where cgroup2 is mounted for writing: socket programs need it, all else works without", probe: cgroupFolders})
	NetNSCookie      = declare(Feature{Name: "cookies of network namespaces (SO_NETNS_COOKIE)", Kind: Machine, Since: mustParse("5.14"), probe: netnsCookie})
	PacketSocket     = declare(Feature{Name: "packet sockets", Kind: Machine, Config: []string{"CONFIG_PACKET"}, probe: packetSocket})
	HardwareCounters = declare(Feature{Name: "hardware performance counters", Kind: Machine, Config: []string{"CONFIG_PERF_EVENTS"},
		Mend: "most virtual machines have none; CPU time is still measured", probe: hardwareCounter})
)

// Where programs can be attached, and how they can be run. XDP and veth's driver mode for it are older (4.8, 4.19); what is tried, and what
// skbench uses, is its bpf_link.
var (
	XDPNative  = declare(Feature{Name: "XDP in driver mode on a veth", Kind: Hook, Since: mustParse("5.9"), probe: attachXDP(link.XDPDriverMode)})
	XDPGeneric = declare(Feature{Name: "XDP in generic mode", Kind: Hook, Since: mustParse("5.9"), probe: attachXDP(link.XDPGenericMode)})
	Clsact     = declare(Feature{Name: "TC by clsact", Kind: Hook, Since: mustParse("4.5"),
		Config: []string{"CONFIG_NET_SCH_INGRESS", "CONFIG_NET_CLS_BPF", "CONFIG_NET_CLS_ACT"}, probe: attachClsact})
	TCX     = declare(Feature{Name: "TC by TCX", Kind: Hook, Since: mustParse("6.6"), Config: []string{"CONFIG_NET_XGRESS"}, probe: attachTCX})
	Connect = declare(Feature{Name: "cgroup connect", Kind: Hook, Since: mustParse("4.17"), Config: []string{"CONFIG_CGROUP_BPF"},
		probe: loads(ebpf.CGroupSockAddr, ebpf.AttachCGroupInet4Connect, ebpf.AttachCGroupInet6Connect)})
	UDPSendmsg = declare(Feature{Name: "cgroup sendmsg", Kind: Hook, Since: mustParse("4.18"), Config: []string{"CONFIG_CGROUP_BPF"},
		probe: loads(ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP4Sendmsg, ebpf.AttachCGroupUDP6Sendmsg)})
	UDPRecvmsg = declare(Feature{Name: "cgroup recvmsg", Kind: Hook, Since: mustParse("5.2"), Config: []string{"CONFIG_CGROUP_BPF"},
		probe: loads(ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP4Recvmsg, ebpf.AttachCGroupUDP6Recvmsg)})
	GetPeername = declare(Feature{Name: "cgroup getpeername", Kind: Hook, Since: mustParse("5.8"), Config: []string{"CONFIG_CGROUP_BPF"},
		probe: loads(ebpf.CGroupSockAddr, ebpf.AttachCgroupInet4GetPeername, ebpf.AttachCgroupInet6GetPeername)})
	SockOps = declare(Feature{Name: "sock_ops", Kind: Hook, Since: mustParse("4.13"), Config: []string{"CONFIG_CGROUP_BPF"},
		probe: loads(ebpf.SockOps, ebpf.AttachCGroupSockOps)})
	SkMsg = declare(Feature{Name: "sk_msg", Kind: Hook, Since: mustParse("4.17"), Config: []string{"CONFIG_NET_SOCK_MSG"},
		probe: loads(ebpf.SkMsg, ebpf.AttachSkMsgVerdict)})
	SkMsgSight = declare(Feature{Name: "sk_msg programs that see other sockets", Kind: Hook, Config: []string{"CONFIG_DEBUG_INFO_BTF"},
		Mend: "before 6.2, boot without lockdown=confidentiality", probe: bpf.CanRedirectSessions})
	SkLookup     = declare(Feature{Name: "sk_lookup", Kind: Hook, Since: mustParse("5.9"), probe: loads(ebpf.SkLookup, ebpf.AttachSkLookup)})
	NetfilterBPF = declare(Feature{Name: "netfilter programs", Kind: Hook, Since: mustParse("6.4"), Config: []string{"CONFIG_NETFILTER_BPF_LINK"},
		probe: loads(ebpf.Netfilter, ebpf.AttachNetfilter)})
	TracepointBTF = declare(Feature{Name: "BTF tracepoints (tp_btf)", Kind: Hook, Since: mustParse("5.5"),
		Config: []string{"CONFIG_DEBUG_INFO_BTF", "CONFIG_BPF_EVENTS"}, probe: loadsTracing(ebpf.AttachTraceRawTp, "kfree_skb")})
	Fentry = declare(Feature{Name: "function entry (fentry)", Kind: Hook, Since: mustParse("5.5"),
		Config: []string{"CONFIG_DEBUG_INFO_BTF", "CONFIG_BPF_EVENTS"}, probe: loadsTracing(ebpf.AttachTraceFEntry, "ip_rcv")})
	LiveFrames = declare(Feature{Name: "XDP live frames (BPF_PROG_RUN)", Kind: Hook, Since: mustParse("5.18"), probe: runLiveFrames})
	UDPAbort   = declare(Feature{Name: "abort of UDP sockets", Kind: Hook, Since: mustParse("4.9"),
		Config: []string{"CONFIG_INET_UDP_DIAG", "CONFIG_INET_DIAG_DESTROY"}, probe: abortUDP})
	AFXDP = declare(Feature{Name: "AF_XDP sockets", Kind: Hook, Since: mustParse("4.18"), Config: []string{"CONFIG_XDP_SOCKETS"}, probe: xdpSocket})
)

// Helper functions, each tried in the types of program that call it. Those that every kernel of the matrix has are not listed.
var (
	FIBLookup       = helper("4.18", asm.FnFibLookup, ebpf.SchedCLS, ebpf.XDP)
	FIBMTU          = declare(Feature{Name: "bpf_fib_lookup tells the MTU", Kind: Helper, Since: mustParse("5.12"), probe: fibTellsMTU})
	SockHashUpdate  = helper("4.18", asm.FnSockHashUpdate, ebpf.SockOps)
	MsgRedirectHash = helper("4.18", asm.FnMsgRedirectHash, ebpf.SkMsg)
	SocketCookie    = helper("5.7", asm.FnGetSocketCookie, ebpf.CGroupSock)
	SetRetval       = declare(Feature{Name: "bpf_set_retval", Kind: Helper, Since: mustParse("6.1"), probe: callsSetRetval})
	SkLookupTCP     = helper("5.0", asm.FnSkLookupTcp, ebpf.SchedCLS, ebpf.XDP)
	SkAssign        = helper("5.7", asm.FnSkAssign, ebpf.SchedCLS)
	GetNetnsCookie  = helper("5.7", asm.FnGetNetnsCookie, ebpf.CGroupSockAddr)
	RingbufReserve  = helper("5.8", asm.FnRingbufReserve, ebpf.SchedCLS, ebpf.XDP)
	RedirectPeer    = helper("5.10", asm.FnRedirectPeer, ebpf.SchedCLS)
	RedirectNeigh   = helper("5.10", asm.FnRedirectNeigh, ebpf.SchedCLS)
	CheckMTU        = helper("5.12", asm.FnCheckMtu, ebpf.SchedCLS, ebpf.XDP)
	TimerInit       = helper("5.15", asm.FnTimerInit, ebpf.SchedCLS, ebpf.XDP)
	Loop            = helper("5.17", asm.FnLoop, ebpf.SchedCLS, ebpf.XDP)
	XDPLoadBytes    = helper("5.18", asm.FnXdpLoadBytes, ebpf.XDP)
	RawGenSyncookie = helper("6.0", asm.FnTcpRawGenSyncookieIpv4, ebpf.SchedCLS, ebpf.XDP)
)

// Map types.
var (
	LRUHash    = mapType("LRU hash", "4.10", ebpf.LRUHash)
	LPMTrie    = mapType("longest-prefix-match trie", "4.11", ebpf.LPMTrie)
	HashOfMaps = mapType("hash of maps", "4.12", ebpf.HashOfMaps)
	DevMap     = mapType("device map", "4.14", ebpf.DevMap)
	CPUMap     = mapType("CPU map", "4.15", ebpf.CPUMap)
	XSKMap     = mapType("AF_XDP socket map", "4.18", ebpf.XSKMap, "CONFIG_XDP_SOCKETS")
	SockHash   = mapType("socket hash", "4.18", ebpf.SockHash, "CONFIG_NET_SOCK_MSG")
	RingBuf    = mapType("ring buffer", "5.8", ebpf.RingBuf)
	Arena      = mapType("arena", "6.9", ebpf.Arena)
)

// Devices, made in a namespace of their own.
var (
	Veth      = device("veth", "", "CONFIG_VETH")
	Bridge    = device("bridge", "", "CONFIG_BRIDGE")
	VXLAN     = device("vxlan", "3.7", "CONFIG_VXLAN")
	Geneve    = device("geneve", "3.18", "CONFIG_GENEVE")
	IPIP      = device("ipip", "", "CONFIG_NET_IPIP")
	IP6Tunnel = device("ip6tnl", "", "CONFIG_IPV6_TUNNEL")
	WireGuard = device("wireguard", "5.6", "CONFIG_WIREGUARD")
	Netkit    = device("netkit", "6.7", "CONFIG_NETKIT")
	Dummy     = device("dummy", "", "CONFIG_DUMMY")
	Netem     = declare(Feature{Name: "netem", Kind: Device, Config: []string{"CONFIG_NET_SCH_NETEM"}, probe: qdisc("netem")})
	FQ        = declare(Feature{Name: "fq", Kind: Device, Since: mustParse("3.12"), Config: []string{"CONFIG_NET_SCH_FQ"}, probe: qdisc("fq")})
	ESP       = declare(Feature{Name: "IPsec ESP", Kind: Device, Config: []string{"CONFIG_XFRM_USER", "CONFIG_INET_ESP", "CONFIG_CRYPTO_GCM"},
		probe: addESP})
)

// Packet filters: the command and the tables that it wants of the kernel.
var (
	IPTables = declare(Feature{Name: "iptables", Kind: Netfilter, Mend: install("iptables"),
		probe: inNamespaceRun(kubeProxyLike("192.0.2.1"), "iptables-restore", "--noflush")})
	IP6Tables = declare(Feature{Name: "ip6tables", Kind: Netfilter, Mend: install("iptables"),
		probe: inNamespaceRun(kubeProxyLike("[2001:db8::1]"), "ip6tables-restore", "--noflush")})
	NFTables = declare(Feature{Name: "nftables", Kind: Netfilter, Since: mustParse("3.13"), Config: []string{"CONFIG_NF_TABLES"},
		probe: func() error { return inNamespace(addNftables) }})
	IPVS = declare(Feature{Name: "IPVS", Kind: Netfilter, Config: []string{"CONFIG_IP_VS"}, probe: genericNetlink("IPVS")})
)

// Datapaths, by what each cannot do without.
var (
	EBPFDatapath = datapath("ebpf", Namespaces, Veth, Bridge, BPF, ISAv3, RingBuf, LRUHash, LPMTrie, FIBLookup, eitherOf(XDPNative, XDPGeneric),
		eitherOf(TCX, Clsact))
	EBPFSockets      = datapath("ebpf at sockets", CgroupFolders, Connect, UDPSendmsg, UDPRecvmsg, GetPeername, GetNetnsCookie)
	EBPFSessions     = datapath("ebpf from socket to socket", CgroupFolders, SockOps, SkMsg, SockHash, SockHashUpdate, MsgRedirectHash, SkMsgSight)
	IPTablesDatapath = datapath("iptables", Namespaces, Veth, Bridge, IPTables, IP6Tables)
	NFTablesDatapath = datapath("nftables", Namespaces, Veth, Bridge, NFTables)
	IPVSDatapath     = datapath("ipvs", Namespaces, Veth, Bridge, IPVS, IPTables, IP6Tables)
)

// Commands that parts of skbench call.
var (
	Clang    = tool("clang-19", "clang-19", "to rebuild the BPF programs")
	Strip    = tool("llvm-strip-19", "llvm-19", "to rebuild the BPF programs")
	QEMU     = tool("qemu-system-x86_64", "qemu-system-x86", "to run suites on other kernels")
	NFT      = tool("nft", "nftables", "to test the nftables datapath")
	Perf     = tool("perf", "linux-perf", "to profile a datapath")
	Chromium = tool("chromium", "chromium", "to test the report pages")
)
