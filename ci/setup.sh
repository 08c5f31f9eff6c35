#!/bin/sh
# Installs what skbench needs besides Go: `setup.sh run` to run it, `setup.sh test` to test it, `setup.sh dev` to rebuild and check it,
# `setup.sh matrix` to run suites on other kernels.
# On Debian and Ubuntu the packages are installed by name; elsewhere it says what is missing. Quick when all is there.
set -eu

export PATH="$PATH:/usr/sbin:/sbin" # where iptables is, though not in every PATH

# Debian's kernels are fetched by apt and checked with Debian's keys, which are a file: it stands in for a command.
debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring

# command:package
case "${1:-run}" in
run) needs="iptables-restore:iptables ip6tables-restore:iptables" ;;
test)
	needs="ip:iproute2 tcpdump:tcpdump nft:nftables xdp-filter:xdp-tools"
	# Any browser of this kind looks at the pages.
	command -v google-chrome >/dev/null || command -v chromium-browser >/dev/null || needs="$needs chromium:chromium"
	;;
matrix) needs="qemu-system-x86_64:qemu-system-x86 $debian_keyring iptables-restore:iptables nft:nftables ip:iproute2" ;;
dev) needs="clang-19:clang-19 llvm-strip-19:llvm-19 gcc:build-essential" ;; # gcc for the race detector
*)
	echo "usage: ${0##*/} [run|test|matrix|dev]" >&2
	exit 2
	;;
esac

fail() {
	echo "$*" >&2
	exit 1
}

# shellcheck disable=SC2016 # PATH is for the user's shell
command -v go >/dev/null ||
	fail 'skbench needs Go (https://go.dev/dl); if it is installed, it is not in the PATH: under sudo, use: sudo env "PATH=$PATH" make'
go list -m >/dev/null # Says so itself when this Go is too old for go.mod.

commands='' packages=''
for need in $needs; do
	[ -e "${need%:*}" ] || command -v "${need%:*}" >/dev/null && continue
	commands="$commands ${need%:*}"
	case " $packages " in *" ${need#*:} "*) ;; *) packages="$packages ${need#*:}" ;; esac
done
[ -n "$commands" ] || exit 0

command -v apt-get >/dev/null ||
	fail "Missing:$commands. Install them with this system's package manager (Debian calls the packages:$packages), then run this again."
[ "$(id -u)" -eq 0 ] || fail "Missing:$commands. Run: sudo apt-get install$packages"

export DEBIAN_FRONTEND=noninteractive
echo "installing$packages"
apt-get update -qq
# shellcheck disable=SC2086 # several words on purpose
apt-get install -y -qq --no-install-recommends $packages
