#!/usr/bin/env bash
# One night: measures everything, compares it with the last good night, repeats the run if something looks worse, and leaves a page.
#
#   ci/nightly.sh FOLDER [FLAGS OF skbench bench...]     measures on this machine
#   SHARDS='shards/*' ci/nightly.sh FOLDER               joins what other machines measured with --shard
#
# FOLDER holds a folder for each night, named by its time, and the link latest. A night on which something became worse has a file worse.txt, and later
# nights are compared with the one before it; remove the file to accept what changed. The exit status is that of skbench report render.
set -euo pipefail

nights=${1:?usage: ci/nightly.sh FOLDER [FLAGS OF skbench bench...]}
shift
night=$nights/$(date -u +%Y-%m-%dT%H%M%SZ)
mkdir -p "$night"
failed=0

# measure runs the benchmarks; a benchmark that fails costs only its own figures, and the night its exit status.
measure() {
	./skbench bench --out "$1" "${@:2}" || failed=$?
	[ -f "$1/results.json" ] || { rm -rf "$night"; echo "nothing was measured" >&2; exit 1; }
}

# The profile is recorded in a run of its own, since recording takes time from what is measured. The last CPU is the one that is measured on.
profile() {
	local recording=$night/perf.data
	if ! command -v perf >/dev/null; then
		echo '# perf is not installed: install it (Debian calls the package linux-perf)' >"$night/profile.perf"
	elif ! perf record -q -e cpu-clock -F 49 -C "$(($(nproc --all) - 1))" -g -o "$recording" -- \
		./skbench bench --quick --only pps --out "$night/profiled" >/dev/null 2>"$night/perf.log"; then
		echo "# perf could not record: $(grep -v '^$' "$night/perf.log" | tail -n 1)" >"$night/profile.perf"
	else
		perf script -i "$recording" 2>/dev/null >"$night/profile.perf"
	fi
	rm -rf "$recording" "$night/perf.log" "$night/profiled"
}

render() { ./skbench report render "$night" --history "$nights" "$@"; }

if [ -n "${SHARDS:-}" ]; then
	# shellcheck disable=SC2086 # several folders
	./skbench report merge $SHARDS --out "$night" || [ -f "$night/results.json" ]
	echo '# the run was made of parts, measured on several machines' >"$night/profile.perf"
else
	rm -f "$nights"/*/profile.perf # large, and on their pages already
	measure "$night" "$@"
	profile
fi
status=0
render || status=$?
if [ "$status" -eq 3 ] && [ -z "${SHARDS:-}" ]; then
	echo "measuring once more, since something looks worse"
	measure "$night/again" "$@"
	status=0
	render --again "$night/again" || status=$?
fi
ln -sfn "$(basename "$night")" "$nights/latest"
[ "$status" -ne 0 ] || status=$failed
exit "$status"
