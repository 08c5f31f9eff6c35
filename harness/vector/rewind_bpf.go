package vector

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel rewind rewind.c -- -mcpu=v3 -isystem ../../bpf/include -Wall -Wextra -Wno-unused-parameter -Werror
