#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Installs the Debian packages that are missing; says nothing if none is.
#
#   deps.sh [PACKAGE...]    those that everything needs, and these

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

packages=(
	gcc libc6-dev make bc bison flex perl python3 cpio rsync xz-utils kmod
	libelf-dev libssl-dev patch quilt git curl ca-certificates ccache
	qemu-system-x86 busybox-static shellcheck b4 dwarves
	build-essential debhelper fakeroot zstd lz4
)
tools="gcc bc bison flex perl cpio rsync xz patch git curl qemu-system-x86_64 busybox shellcheck"
if [ "$ARCH" = arm64 ]; then
	packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm)
	tools+=" aarch64-linux-gnu-gcc qemu-system-aarch64 $busybox"
fi
packages+=("$@")

if ! command -v apt-get >/dev/null; then
	missing=
	for tool in $tools; do
		command -v "$tool" >/dev/null || missing+=" $tool"
	done
	[ -z "$missing" ] || die "no apt-get here; please install:$missing"
	exit
fi

# The busybox for a guest of another architecture: from the same mirrors, checked by the
# same keys, but with lists and a state of its own, as dpkg need not know of it
fetch_busybox() {
	local dir
	dir=$(mktemp -d) || return
	(
		cd "$dir" || exit
		mkdir -p lists/partial cache/archives/partial
		touch status
		options=(-q -o "APT::Architecture=$ARCH" -o "APT::Architectures=$ARCH"
			-o "Dir::State=$dir" -o "Dir::State::status=$dir/status" -o "Dir::Cache=$dir/cache"
			-o APT::Sandbox::User= -o Acquire::Languages=none)
		apt-get "${options[@]}" update
		apt-get "${options[@]}" download busybox-static || exit
		dpkg-deb -x busybox-static_*.deb files || exit
		mkdir -p "$(dirname "$busybox")"
		mv files/bin/busybox "$busybox"
	) && rm -rf "$dir"
}
if [ "$ARCH" != x86 ] && [ ! -x "$busybox" ]; then
	step "downloading a busybox for $ARCH" "$BUILD/log/busybox" fetch_busybox
fi

missing=()
for p in "${packages[@]}"; do
	# shellcheck disable=SC2016
	if [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" != installed ]; then
		missing+=("$p")
	fi
done
((${#missing[@]})) || exit 0

root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || die "as root, please run: apt-get install ${missing[*]}"
	root=(sudo)
	# It may ask for a password, which step would hide
	sudo true
fi
export DEBIAN_FRONTEND=noninteractive
apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"; }
install() {
	apt install --no-install-recommends "${missing[@]}" || {
		apt update && apt install --no-install-recommends "${missing[@]}"
	}
}
step "installing ${missing[*]}" "$BUILD/log/deps" install
