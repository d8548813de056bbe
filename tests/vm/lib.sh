# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the scripts that build and boot the test machine. Source it; it runs nothing.
# shellcheck shell=bash

EMBER_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
EMBER_VM=$EMBER_TOP/tests/vm
EMBER_CACHE=${EMBER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ember}

say() { printf 'ember: %s\n' "$*" >&2; }
die() {
	printf 'ember: error: %s\n' "$*" >&2
	exit "${EMBER_DIE_STATUS:-1}"
}

# need_disk BYTES WHAT: refuse early rather than fail half-way through a build.
need_disk() {
	local have
	mkdir -p "$EMBER_CACHE" || die "cannot create $EMBER_CACHE: set XDG_CACHE_HOME to a writable directory"
	have=$(df --output=avail -B1 "$EMBER_CACHE" | tail -n 1)
	[ "$have" -ge "$1" ] || die "$2 needs $(($1 >> 20)) MiB in $EMBER_CACHE, $((have >> 20)) MiB are free: make room or set XDG_CACHE_HOME"
}

need_root() {
	[ "$(id -u)" = 0 ] || die "must run as root (it builds a Debian root with mmdebstrap and chroot): use sudo"
	unshare -m true 2>/dev/null || die "this root may not create mount namespaces (a container?): run on a machine or in a privileged container"
}

# The host tools, one Debian package a line: package, and the file that proves it is there.
host_packages() {
	cat <<-'LIST'
		qemu-system-x86 /usr/bin/qemu-system-x86_64
		qemu-utils /usr/bin/qemu-img
		mmdebstrap /usr/bin/mmdebstrap
		e2fsprogs /sbin/mke2fs
		cpio /usr/bin/cpio
		xz-utils /usr/bin/xz
		gcc /usr/bin/gcc
		libc6-dev /usr/include/stdio.h
		make /usr/bin/make
		python3 /usr/bin/python3
		python3-yaml /usr/lib/python3/dist-packages/yaml/__init__.py
		debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
		rsync /usr/bin/rsync
		util-linux /usr/bin/flock
		mount /usr/bin/mount
	LIST
}

ensure_host_packages() {
	local package file missing=()
	while read -r package file; do
		[ -e "$file" ] || missing+=("$package")
	done < <(host_packages)
	[ ${#missing[@]} = 0 ] && return
	command -v apt-get >/dev/null || die "missing: ${missing[*]} (no apt-get here: a Debian 12 or 13 machine is needed)"
	say "installing on this machine: ${missing[*]}"
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
		>"$EMBER_CACHE/apt.log" 2>&1 ||
		die "apt-get install ${missing[*]} failed (network?): see $EMBER_CACHE/apt.log"
}

# The mirror that apt of this machine already uses for Debian's main archive.
debian_mirror() {
	local uri
	uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" && $3 == "Debian" && $4 == "main" { print $1; exit }')
	[ -n "$uri" ] || uri=$(apt-get indextargets --format '$(REPO_URI) $(SUITE)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 ~ /\/debian\/$/ { print $1; exit }')
	[ -n "$uri" ] || die "apt knows no Debian archive (apt-get indextargets is empty): run apt-get update, check /etc/apt/sources.list.d"
	printf '%s\n' "$uri"
}

# By content only: two checkouts of the same sources share one root.
root_hash() { cat "$EMBER_VM/build-root" "$EMBER_VM/root.packages" | sha256sum | cut -c1-16 | tr -d '\n'; }
root_dir() { printf '%s/root-%s' "$EMBER_CACHE" "$(root_hash)"; }

# in_root DIR COMMAND...: run COMMAND in the Debian root DIR with /proc, /dev and a private mount table.
#   IN_ROOT_SRC=DIR    seen as /src
#   IN_ROOT_LAYER=DIR  laid over the root, to be read
#   IN_ROOT_UPPER=DIR  laid over the root, and takes all changes (with DIR.work beside it)
in_root() {
	local root=$1
	shift
	unshare -m --propagation private bash -c '
		set -e
		root=$1; shift
		[ -z "$IN_ROOT_SRC" ] || mkdir -p "$root/src"
		if [ -n "$IN_ROOT_LAYER$IN_ROOT_UPPER" ]; then
			layers=lowerdir=${IN_ROOT_LAYER:+$IN_ROOT_LAYER:}$root
			[ -z "$IN_ROOT_UPPER" ] || layers+=,upperdir=$IN_ROOT_UPPER,workdir=$IN_ROOT_UPPER.work
			mount -t overlay overlay -o "$layers" "$root"
		else
			mount --bind "$root" "$root"
		fi
		mount -t proc proc "$root/proc"
		mount -t sysfs -o ro sysfs "$root/sys"
		mount -t tmpfs tmpfs "$root/tmp"
		mount --rbind /dev "$root/dev"
		[ -z "$IN_ROOT_SRC" ] || mount --bind "$IN_ROOT_SRC" "$root/src"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb "$@"
	' in_root "$root" "$@"
}
