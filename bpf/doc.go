// Package bpf is the pod datapath: C programs, compiled and embedded, and what user space needs to load them, fill their
// maps and read what they report.
//
// Programs are loaded once per node. Nothing in them depends on a pod but by a map lookup, so one [Node] serves all its pods:
//
//	xdp_entry       XDP on the NIC         services to backends on other nodes, answered out of the same NIC
//	from_netdev     TC ingress of the NIC  what XDP left: services, replies, delivery to pods
//	to_netdev       TC egress of the NIC   masquerading
//	from_container  TC ingress of an lxc   services, replies, delivery to pods, the way out
//	to_container    TC egress of an lxc    what the node's own stack sends to the pod
//	connect4, …     sockets of a cgroup    services become backends in the system call that names them (lib/sock.h)
//	follow_sessions sock_ops of a cgroup   takes note of TCP sessions between two pods of the node (lib/session.h)
//	redirect_message sk_msg on those       what is written to one socket of a session goes to the other, past the stack
//
// The C sources are in this folder and in lib, one concept per header, each header with its types, its map and its
// accessors. lib/ct.h tells how flows are kept, lib/flow.h how they are opened, lib/claim.h how late answers find nobody else,
// lib/bypass.h what becomes of flows past services, lib/service.h how services change under traffic, lib/dsr.h
// how backends answer clients directly.
package bpf
