#!/usr/bin/env bash
# Installs the real peers that the interop suite runs, under $PEERS (default: a folder in the user's cache): a chroot of
# Debian sid with nginx, HAProxy and curl, all with HTTP/3, aioquic and tshark; Caddy, built with Go; Chromium from the
# host's packages, and nftables, with which tests make routers and NATs of network namespaces. Idempotent; run as root on Debian, with a Debian mirror and a Go module proxy in reach. Takes about four
# minutes from nothing and a second when all is there. Steps can be chosen: install.sh host sid caddy npm report; npm, which only
# the matrix wants, is done when it is named
set -euo pipefail
PEERS=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/godwit-peers}
SID=$PEERS/sid
MIRROR=${MIRROR:-$(sed -nE 's#^(URIs:|deb( \[[^]]*\])?) *([a-z]+://[^ ]+/debian)/?( .*)?$#\3#p' \
	/etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 1p || true)}
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
mkdir -p "$PEERS/bin"

in_sid() {
	env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$SID" "$@"
}

# again runs a command that fetches from a network, up to three times.
again() {
	"$@" || { sleep 5; "$@"; } || { sleep 15; "$@"; }
}

install_host() {
	local need=()
	for p in debootstrap chromium iproute2 nftables; do
		dpkg -s "$p" >/dev/null 2>&1 || need+=("$p")
	done
	[ ${#need[@]} -eq 0 ] && return
	again apt-get update -qq
	again apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
}

install_sid() {
	[ -x "$SID/usr/bin/apt-get" ] || again debootstrap --variant=minbase --include=ca-certificates sid "$SID" "$MIRROR" >"$PEERS/debootstrap.log" 2>&1
	mountpoint -q "$SID/proc" || mount -t proc proc "$SID/proc"
	cp /etc/resolv.conf "$SID/etc/resolv.conf"
	if in_sid dpkg -s nginx haproxy curl python3-aioquic tshark >/dev/null 2>&1; then
		return
	fi
	printf '#!/bin/sh\nexit 101\n' >"$SID/usr/sbin/policy-rc.d" # packages must not start their servers
	chmod +x "$SID/usr/sbin/policy-rc.d"
	# A mirror's snapshot of sid is often older than its Release file allows.
	echo 'Acquire::Check-Valid-Until "false";' >"$SID/etc/apt/apt.conf.d/99snapshot"
	echo "deb $MIRROR sid main" >"$SID/etc/apt/sources.list"
	again in_sid apt-get update -qq
	again in_sid apt-get install -y -qq --no-install-recommends nginx haproxy curl python3-aioquic python-aioquic-doc \
		python3-wsproto python3-starlette python3-jinja2 tshark openssl >"$PEERS/apt.log" 2>&1
}

install_caddy() {
	[ -x "$PEERS/bin/caddy" ] || GOBIN="$PEERS/bin" again go install github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9
}

# quiche and quinn, by way of npm packages; optional, and not among the default steps.
install_npm() {
	mkdir -p "$PEERS/npm"
	[ -x "$PEERS/npm/node_modules/.bin/deno" ] && [ -d "$PEERS/npm/node_modules/@currentspace/http3" ] && return
	again npm install --prefix "$PEERS/npm" --no-audit --no-fund @currentspace/http3@0.9.0 deno@2.9.6 node@26.10.0 >"$PEERS/npm.log" 2>&1
}

report() {
	echo "nginx     $(in_sid nginx -v 2>&1 | sed 's/.*nginx\///') with $(in_sid nginx -V 2>&1 | tr ' ' '\n' | grep -c http_v3_module) HTTP/3 module"
	echo "haproxy   $(in_sid haproxy -v | sed -n '1s/.*version \([^ ]*\).*/\1/p')"
	echo "curl      $(in_sid curl -V | sed -n '1s/^curl \([^ ]*\).*/\1/p') $(in_sid curl -V | grep -o HTTP3)"
	echo "aioquic   $(in_sid python3 -c 'import aioquic; print(aioquic.__version__)')"
	echo "tshark    $(in_sid tshark --version 2>/dev/null | sed -n '1s/.*Wireshark) \([^ ]*\).*/\1/p')"
	echo "caddy     $(go version -m "$PEERS/bin/caddy" | awk '$1=="mod"{print $3}')"
	echo "chromium  $(chromium --version 2>/dev/null | cut -d' ' -f2)"
}

for step in ${*:-host sid caddy report}; do
	case $step in
	host) install_host ;;
	sid) install_sid ;;
	caddy) install_caddy ;;
	npm) install_npm ;;
	report) report ;;
	*) echo "install.sh: unknown step $step: the steps are host, sid, caddy, npm, report" >&2; exit 2 ;;
	esac
done
