package vector

// The object is committed, so that running needs no compiler.
//
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type packet -type turn timer timer.c -- -mcpu=v3 -isystem ../../bpf/include -Wall -Wextra -Wno-unused-parameter -Werror
