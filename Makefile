# skbench. `make bench` and `make test` are all that a user needs; both install what is missing and need root.

GO        ?= go
OUT       ?= out/bench
TESTFLAGS ?=

# Flags of skbench bench, by day and by night, and the folder that keeps the nights.
BENCH  ?=
NIGHTS ?= out/nightly

# How often residue kills, how many packets storm sends through a program, how long fuzz takes for a parser, flags of mutants.
KILLS        ?= 100
STORM        ?= 1000000
FUZZ         ?= 10m
MUTANTSFLAGS ?=

# Of the matrix: where to, which kernels (all of ci/kernels.yaml if empty), further flags.
MATRIX_OUT  ?= out/matrix
KERNELS     ?=
MATRIXFLAGS ?=
comma       := ,

export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help bench nightly test matrix matrix-quick test-vm repeatability race stream residue storm fuzz mutants check generate setup setup-test setup-matrix setup-dev clean root-%

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bench: root-bench setup ## the main job: XDP, TC and iptables side by side, as a page with plots; BENCH='--quick' takes a minute
	$(GO) build -buildvcs=auto -o skbench .
	./skbench bench --out $(OUT) $(BENCH)

nightly: root-nightly setup ## all benchmarks, compared with the last good night in out/nightly; BENCH='--quick' takes two minutes
	$(GO) build -buildvcs=auto -o skbench .
	ci/nightly.sh $(NIGHTS) $(BENCH)

test: root-test setup setup-test ## all tests
	$(GO) test -count=1 $(TESTFLAGS) ./...

matrix: setup-matrix ## every scenario on many kernels, in virtual machines, as a page (no root needed once QEMU is there)
	$(GO) build -o skbench .
	./skbench matrix --out $(MATRIX_OUT) $(if $(KERNELS),--kernels $(KERNELS)) $(MATRIXFLAGS)

matrix-quick: ## one scenario of each kind on one old and one new kernel
	@$(MAKE) --no-print-directory matrix MATRIXFLAGS=--quick KERNELS=$(or $(KERNELS),5.10$(comma)7.3)

test-vm: setup-matrix ## the scenarios in one virtual machine, where this machine's kernel must not or cannot load BPF programs
	@$(MAKE) --no-print-directory matrix MATRIX_OUT=out/test-vm KERNELS=$(or $(KERNELS),6.12)

repeatability: root-repeatability setup ## how well two runs agree, and whether a datapath that is 10 % slower is found: on a quiet machine, 90 minutes
	$(GO) run ./ci/repeatability

stream: root-stream ## a capture of 10 GiB through a program, in little memory (minutes)
	$(GO) test -count=1 -timeout 1h -v -run CapturesAreStreamed ./harness/vector -capture-mib 10240

race: root-race setup setup-test setup-dev ## all tests under the race detector, but those that run virtual machines
	$(GO) test -count=1 -race $$($(GO) list ./... | grep -v -e /ci/matrix -e /ci/residue)

residue: root-residue setup ## kill running labs at random moments, and show that they leave nothing
	$(GO) build -o out/residue ./ci/residue
	$(GO) test -c -o out/scenarios.test ./scenarios
	out/residue -kill-random $(KILLS) -within 3s -- out/scenarios.test

storm: root-storm setup ## a million random and mutated packets through each program, and as many socket calls
	$(GO) test -count=1 -timeout 60m -run '^TestStorm' ./bpf -storm $(STORM)

fuzz: ## random input for each parser, FUZZ=10m each
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z]*' harness | sed 's|/[^/]*:func | |' | while read -r folder target; do \
		echo "== $$folder $$target"; \
		nice -n 19 $(GO) test -run '^$$' -fuzz "^$$target"'$$' -fuzztime $(FUZZ) -fuzzminimizetime 10x ./$$folder || exit 1; \
	done

mutants: root-mutants setup setup-dev ## break the C sources one line at a time, and tell what no test notices: MUTANTSFLAGS="-only lib/nat.h" or "-sample 300"
	$(GO) build -o out/mutants.bin ./ci/mutants
	nice -n 19 out/mutants.bin $(MUTANTSFLAGS)

check: setup-dev ## formatting, vet, staticcheck, import order, C warnings, generated files
	@test -z "$$(gofmt -l .)" || { echo "not formatted, run gofmt -w on:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test ./ci/layout
	ci/check-generated.sh

generate: setup-dev ## rebuild the BPF objects and their Go code (clang-19)
	$(GO) generate ./...

setup: ## install what running needs
	@ci/setup.sh run

setup-test: ## install what the tests need beyond that
	@ci/setup.sh test

setup-matrix: ## install what the matrix needs beyond that: QEMU
	@ci/setup.sh matrix

setup-dev: ## install what check, generate and race need
	@ci/setup.sh dev

clean: ## remove what was built and measured
	rm -rf skbench out

root-%:
	@test "$$(id -u)" -eq 0 || { echo "make $* needs root: it makes network namespaces and loads BPF programs; run: sudo env \"PATH=\$$PATH\" make $*" >&2; exit 1; }
