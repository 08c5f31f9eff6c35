package cilium_test

// The objects are committed, so that testing needs no compiler.
//
//go:generate -command compile clang-19 -O2 -g -target bpf -mcpu=v3 -isystem ../../../bpf/include -Wall -Wextra -Wno-unused-parameter -Werror -fdebug-compilation-dir=. -c
//go:generate compile testdata/reports.c -o testdata/reports_bpfel.o
//go:generate compile testdata/reports.c -DFIRST=100 -o testdata/reports_later_bpfel.o
//go:generate compile testdata/steps.c -o testdata/steps_bpfel.o
//go:generate compile testdata/broken.c -DBREAK=1 -o testdata/no_map_bpfel.o
//go:generate compile testdata/broken.c -DBREAK=2 -o testdata/no_check_bpfel.o
//go:generate compile testdata/broken.c -DBREAK=3 -o testdata/no_test_bpfel.o
//go:generate compile testdata/broken.c -DBREAK=4 -o testdata/refused_bpfel.o
//go:generate compile testdata/broken.c -DBREAK=5 -o testdata/two_checks_bpfel.o
//go:generate compile testdata/broken.c -DBREAK=6 -DFIRST=100 -o testdata/no_setup_bpfel.o
//go:generate sh -c "llvm-strip-19 -g testdata/*_bpfel.o"
