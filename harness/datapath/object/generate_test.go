package object_test

// The object is committed, so that testing needs no compiler.
//
//go:generate clang-19 -O2 -g -target bpf -mcpu=v3 -isystem ../../../bpf/include -Wall -Wextra -Wno-unused-parameter -Werror -fdebug-compilation-dir=. -c testdata/filter.c -o testdata/filter_bpfel.o
//go:generate llvm-strip-19 -g testdata/filter_bpfel.o
