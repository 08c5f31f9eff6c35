package bpf

// The objects are committed, so that running needs no compiler. -mcpu=v3 is what Linux 5.1 and later verify; the stripping
// of DWARF leaves BTF, and no path of the machine that built them.
//
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -no-global-types xdp bpf_xdp.c -- -mcpu=v3 -isystem include -Wall -Wextra -Werror -fno-strict-aliasing
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -no-global-types lxc bpf_lxc.c -- -mcpu=v3 -isystem include -Wall -Wextra -Werror -fno-strict-aliasing
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type event -type trace_point -type verdict -type drop_reason -type entity -type ct_flag -type service_flag host bpf_host.c -- -mcpu=v3 -isystem include -Wall -Wextra -Werror -fno-strict-aliasing
