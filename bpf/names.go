package bpf

import "fmt"

// Point is a program, as the place where a packet was seen.
type Point uint8

// The points.
const (
	AtXDP           = Point(hostTracePointPOINT_XDP)
	AtFromContainer = Point(hostTracePointPOINT_FROM_CONTAINER)
	AtToContainer   = Point(hostTracePointPOINT_TO_CONTAINER)
	AtFromNetdev    = Point(hostTracePointPOINT_FROM_NETDEV)
	AtToNetdev      = Point(hostTracePointPOINT_TO_NETDEV)
	AtFromNetwork   = Point(hostTracePointPOINT_FROM_NETWORK)

	// System calls on a socket: what is counted there are calls, without bytes.
	AtConnect     = Point(hostTracePointPOINT_CONNECT)
	AtSendmsg     = Point(hostTracePointPOINT_SENDMSG)
	AtRecvmsg     = Point(hostTracePointPOINT_RECVMSG)
	AtGetpeername = Point(hostTracePointPOINT_GETPEERNAME)
)

var pointNames = []string{
	AtXDP:           "xdp",
	AtFromContainer: "from-container",
	AtToContainer:   "to-container",
	AtFromNetdev:    "from-netdev",
	AtToNetdev:      "to-netdev",
	AtFromNetwork:   "from-network",
	AtConnect:       "connect",
	AtSendmsg:       "sendmsg",
	AtRecvmsg:       "recvmsg",
	AtGetpeername:   "getpeername",
}

func (p Point) String() string { return nameOf(pointNames, int(p), "Point") }

// Verdict is what a program decided.
type Verdict uint8

// The verdicts.
const (
	Pass          = Verdict(hostVerdictVERDICT_PASS) // on to the kernel's stack, or out as it was going
	Tx            = Verdict(hostVerdictVERDICT_TX)   // back out of the device it came in by
	Redirect      = Verdict(hostVerdictVERDICT_REDIRECT)
	RedirectPeer  = Verdict(hostVerdictVERDICT_REDIRECT_PEER)
	RedirectNeigh = Verdict(hostVerdictVERDICT_REDIRECT_NEIGH)
	Drop          = Verdict(hostVerdictVERDICT_DROP)
	Reject        = Verdict(hostVerdictVERDICT_REJECT)  // dropped, and its sender told by an ICMP error out of the same device
	Balance       = Verdict(hostVerdictVERDICT_BALANCE) // a service's address became a backend's, at a socket
	Restore       = Verdict(hostVerdictVERDICT_RESTORE) // and was given back to the application
)

var verdictNames = []string{
	Pass:          "PASS",
	Tx:            "TX",
	Redirect:      "REDIRECT",
	RedirectPeer:  "REDIRECT_PEER",
	RedirectNeigh: "REDIRECT_NEIGH",
	Drop:          "DROP",
	Reject:        "REJECT",
	Balance:       "BALANCE",
	Restore:       "RESTORE",
}

func (v Verdict) String() string { return nameOf(verdictNames, int(v), "Verdict") }

// DropReason is why a packet was dropped.
type DropReason uint8

// The reasons; lib/drop.h says more on each.
const (
	NoDrop         = DropReason(hostDropReasonDROP_NONE)
	Invalid        = DropReason(hostDropReasonDROP_INVALID)
	InvalidSource  = DropReason(hostDropReasonDROP_INVALID_SOURCE)
	NoEndpoint     = DropReason(hostDropReasonDROP_NO_ENDPOINT)
	Fragment       = DropReason(hostDropReasonDROP_FRAGMENT)
	NoBackend      = DropReason(hostDropReasonDROP_NO_BACKEND)
	SNATNoPort     = DropReason(hostDropReasonDROP_SNAT_NO_PORT)
	SNATNoAddress  = DropReason(hostDropReasonDROP_SNAT_NO_ADDRESS)
	CTFull         = DropReason(hostDropReasonDROP_CT_FULL)
	TTLExpired     = DropReason(hostDropReasonDROP_TTL_EXPIRED)
	TooBig         = DropReason(hostDropReasonDROP_TOO_BIG)
	NoRoute        = DropReason(hostDropReasonDROP_NO_ROUTE)
	NoNeighbour    = DropReason(hostDropReasonDROP_NO_NEIGHBOUR)
	NoRewrite      = DropReason(hostDropReasonDROP_REWRITE)
	NoRedirect     = DropReason(hostDropReasonDROP_REDIRECT)
	NoLocalBackend = DropReason(hostDropReasonDROP_NO_LOCAL_BACKEND)
	SourceRange    = DropReason(hostDropReasonDROP_SOURCE_RANGE)
	TunnelSource   = DropReason(hostDropReasonDROP_TUNNEL_SOURCE)
	TunnelECN      = DropReason(hostDropReasonDROP_TUNNEL_ECN)
	TunnelService  = DropReason(hostDropReasonDROP_TUNNEL_SERVICE)
	CTExpired      = DropReason(hostDropReasonDROP_CT_EXPIRED)
)

var reasonNames = []string{
	NoDrop:         "NONE",
	Invalid:        "INVALID",
	InvalidSource:  "INVALID_SOURCE",
	NoEndpoint:     "NO_ENDPOINT",
	Fragment:       "FRAGMENT",
	NoBackend:      "NO_BACKEND",
	SNATNoPort:     "SNAT_NO_PORT",
	SNATNoAddress:  "SNAT_NO_ADDRESS",
	CTFull:         "CT_FULL",
	TTLExpired:     "TTL_EXPIRED",
	TooBig:         "TOO_BIG",
	NoRoute:        "NO_ROUTE",
	NoNeighbour:    "NO_NEIGHBOUR",
	NoRewrite:      "REWRITE",
	NoRedirect:     "REDIRECT",
	NoLocalBackend: "NO_LOCAL_BACKEND",
	SourceRange:    "SOURCE_RANGE",
	TunnelSource:   "TUNNEL_SOURCE",
	TunnelECN:      "TUNNEL_ECN",
	TunnelService:  "TUNNEL_SERVICE",
	CTExpired:      "CT_EXPIRED",
}

func (r DropReason) String() string { return nameOf(reasonNames, int(r), "DropReason") }

func nameOf(names []string, i int, kind string) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}
