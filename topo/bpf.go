package topo

// The objects are committed, so that running needs no compiler.
//
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type header tap tap.c -- -mcpu=v3 -isystem ../bpf/include -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel mute mute.c -- -mcpu=v3 -isystem ../bpf/include -Wall -Wextra -Werror
