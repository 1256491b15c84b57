#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deps.sh [lint] [fuzz] [bench]: install what is missing to build and test on Debian 12 or later; with a word, what that
# target needs on top. Nothing is fetched, and no root is needed, where everything is there.
set -eu

build=(make gcc libc6-dev linux-libc-dev pkg-config bpftool libbpf-dev libxdp-dev libnl-3-dev libnl-route-3-dev libnl-idiag-3-dev libcap-ng-dev
	libjansson-dev libpcap-dev libelf-dev zlib1g-dev)
run=(python3 python3-scapy nginx-light nftables iproute2 ethtool util-linux curl nmap)
lint=(clang-format-19 cppcheck shellcheck mandoc python3)
fuzz=(clang-19 libclang-rt-19-dev)
bench=(nftables iptables ipset conntrack xdp-tools ethtool gnuplot-nox)

has() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

wanted=("${build[@]}" "${run[@]}")
for word; do
	case $word in
	lint) wanted+=("${lint[@]}") ;;
	fuzz) wanted+=("${fuzz[@]}") ;;
	bench) wanted+=("${bench[@]}") ;;
	*) echo "deps.sh: unknown word '$word'; expected lint, fuzz or bench" >&2; exit 2 ;;
	esac
done

missing=()
for package in "${wanted[@]}"; do
	has "$package" || missing+=("$package")
done
need_clang=
has clang-19 || has clang || need_clang=yes
[ ${#missing[@]} = 0 ] && [ -z "$need_clang" ] && exit 0

if ! command -v apt-get >/dev/null; then
	echo "missing, and there is no apt-get here to install: ${missing[*]} ${need_clang:+clang}" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "missing: ${missing[*]} ${need_clang:+clang}; run 'make deps' as root" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "installing: ${missing[*]} ${need_clang:+clang}"
log=$(mktemp)
# A package that is only a tool here (nginx) must not start a service: refuse it for as long as apt-get runs.
policy=/usr/sbin/policy-rc.d
ours=
trap '[ -z "$ours" ] || rm -f "$policy"; rm -f "$log"' EXIT
trap 'exit 130' INT TERM
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	ours=yes
fi

quiet() {
	"$@" >"$log" 2>&1 || {
		cat "$log" >&2
		echo "'$*' failed" >&2
		exit 1
	}
}
quiet apt-get update
# clang 19 makes smaller programs for the verifier; the distribution's own will do.
if [ -n "$need_clang" ]; then
	if apt-cache show clang-19 >/dev/null 2>&1; then
		missing+=(clang-19)
	else
		missing+=(clang)
	fi
fi
quiet apt-get install -y --no-install-recommends "${missing[@]}"
