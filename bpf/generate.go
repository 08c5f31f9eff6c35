package bpf

// The objects are committed, so that running needs no compiler. -mcpu=v3 is what Linux 5.1 and later verify. No path of the
// machine that builds gets into them: another checkout makes the same bytes.
//
//go:generate -command compile go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-mcpu=v3 -isystem include -Wall -Wextra -Werror -fno-strict-aliasing"
//go:generate compile -no-global-types xdp bpf_xdp.c
//go:generate compile -no-global-types lxc bpf_lxc.c
//go:generate compile -no-global-types ct bpf_ct.c
//go:generate compile -no-global-types network bpf_network.c
//go:generate compile -no-global-types -type sock_peer sock bpf_sock.c
//go:generate compile -type event -type trace_point -type verdict -type drop_reason -type entity -type ct_flag -type ct_state -type datagram -type datagram_ports -type service_flag -type set host bpf_host.c
//go:generate compile -no-global-types sockops bpf_sockops.c
//go:generate compile -no-global-types -type session_fate -type message_way -type traffic redir bpf_redir.c
