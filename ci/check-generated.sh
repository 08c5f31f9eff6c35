#!/bin/sh
# Rebuilds the generated files in place and fails when that changed one: then the new ones are to be committed. C warnings are errors in this.
set -eu
cd "$(dirname "$0")/.."

sums() {
	git ls-files -z --cached --others --exclude-standard -- '*_bpfel.go' '*_bpfel.o' | xargs -0 -r sha256sum
}

before=$(mktemp)
after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT

sums >"$before"
make --no-print-directory generate
sums >"$after"
diff "$before" "$after" >&2 || {
	echo "generated files were not up to date; they are now: commit them" >&2
	exit 1
}
