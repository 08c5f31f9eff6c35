package vector_test

// The objects are committed, so that testing needs no compiler.
//
//go:generate -command compile clang-19 -O2 -g -target bpf -mcpu=v3 -isystem ../../bpf/include -Wall -Wextra -Wno-unused-parameter -Werror -fdebug-compilation-dir=. -c
//go:generate compile testdata/mirror.c -o testdata/mirror_bpfel.o
//go:generate compile testdata/untouched.c -o testdata/untouched_bpfel.o
//go:generate compile testdata/tables.c -o testdata/tables_bpfel.o
//go:generate compile testdata/calls.c -o testdata/calls_bpfel.o
//go:generate compile testdata/kinds.c -o testdata/kinds_bpfel.o
//go:generate compile testdata/live.c -o testdata/live_bpfel.o
//go:generate compile testdata/small.c -o testdata/small_bpfel.o
//go:generate compile testdata/forward.c -o testdata/forward_bpfel.o
//go:generate sh -c "llvm-strip-19 -g testdata/*_bpfel.o"
