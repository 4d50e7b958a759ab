#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Finds an unpatched kernel tree, and makes the patched copy to build from.
#
#   tree.sh pristine   prints where the base is; downloads or installs it if need be
#   tree.sh found      prints that if it takes neither, else nothing
#   tree.sh patched    brings $BUILD/linux up to date with the series

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

sha256=d926a06c63dd8ac7df3f86ee1ffc2ce2a3b81a2d168484e76b5b389aba8e56d0
package=linux-source-6.12
debian=/usr/src/$package.tar.xz

check_pristine() {
	local version
	version=$(kernel_version "$1") || die "LINUX: $1 is not a Linux source tree"
	case $base-$version in
	v6.6-6.6 | 6.6.y-6.6.[0-9]* | debian-6.12.*) ;;
	*) die "LINUX: $1 is Linux $version; an unpatched $title is needed" ;;
	esac
	if [ -e "$1/.config" ] || [ -d "$1/include/config" ]; then
		die "LINUX: a kernel has been built in $1; a clean tree is needed (make mrproper there)"
	fi
	if has_palloc "$1"; then
		die "LINUX: $1 has palloc in it already; an unpatched $title is needed (take it out with scripts/apply.sh --reverse, or patch -R)"
	fi
}

# unpack TARBALL DIR: the one folder that is in it, as DIR in the cache
unpack() {
	local tmp
	tmp=$(mktemp -d "$cache/unpack.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	echo "$(elapsed) unpacking $(basename "$1")" >&2
	tar -C "$tmp" -xf "$1"
	mv -T "$tmp"/* "$2"
	rm -rf "$tmp"
	trap - EXIT
}

download() {
	local tmp
	mkdir -p "$cache"
	tmp=$(mktemp -d "$cache/download.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	echo "$(elapsed) downloading $url" >&2
	if ! curl --fail --location --silent --show-error --connect-timeout 10 --retry 2 \
		--speed-limit 1000 --speed-time 60 -o "$tmp/linux.tar.xz" "$url" >&2; then
		die "no Linux v6.6 here: name a tree with LINUX=DIR, put one into $cache/linux-6.6, let $url be reached, or use Debian's with BASE=debian."
	fi
	echo "$sha256  $tmp/linux.tar.xz" | sha256sum --check --quiet >&2 ||
		die "$url is not what it should be (sha256)"
	unpack "$tmp/linux.tar.xz" "$cache/linux-6.6"
	rm -rf "$tmp"
}

# The folder in the cache that is the base, if it is at hand
cached() {
	case $base in
	v6.6) echo "$cache/linux-6.6" ;;
	6.6.y) find "$cache" -maxdepth 1 -name 'linux-6.6.[0-9]*' 2>/dev/null | sort -V | tail -n 1 ;;
	# An upgraded package is another tree
	debian) [ ! -e $debian ] ||
		echo "$cache/debian-$(dpkg-query -W -f '${Version}' $package 2>/dev/null || sha256sum <$debian | cut -c -16)" ;;
	esac
}

find_tree() {
	local dir
	if [ -n "${LINUX-}" ]; then
		dir=$LINUX
		[ -d "$dir" ] || die "LINUX: there is no $dir"
	else
		dir=$(cached)
		if [ ! -d "$dir" ] && [ "$base" = debian ] && [ -e $debian ]; then
			mkdir -p "$cache"
			unpack $debian "$dir"
		fi
	fi
	[ -d "$dir" ] || return 0
	dir=$(cd "$dir" && pwd)
	check_pristine "$dir"
	echo "$dir"
}

pristine() {
	local dir
	dir=$(find_tree)
	if [ -z "$dir" ]; then
		case $base in
		v6.6) download ;;
		6.6.y) die "no Linux 6.6.y here: name a tree with LINUX=DIR, or put one into $cache/linux-6.6.N" ;;
		debian) "$top/scripts/deps.sh" xz-utils $package >&2 ;;
		esac
		dir=$(find_tree)
	fi
	echo "$dir"
}

# Only files that the series changes are ever written again, and of those only the
# ones that come out different, so that what was built from the others stays valid.
patched() {
	local from to=$BUILD/linux scratch
	from=$(pristine)
	mkdir -p "$BUILD"
	if [ ! -d "$to" ] || [ "$(cat "$BUILD/linux.from" 2>/dev/null)" != "$from" ]; then
		rm -rf "$to" "$to.new" "$BUILD/linux.files"
		step "copying $title from $from" "$BUILD/log/copy" \
			cp -a --reflink=auto "$from" "$to.new"
		rm -rf "$to.new/.git"
		mv "$to.new" "$to"
		echo "$from" >"$BUILD/linux.from"
	fi
	scratch=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$scratch'" EXIT
	touched_files | sort -u - <(cat "$BUILD/linux.files" 2>/dev/null || true) >"$scratch/files"
	copy_files "$from" "$scratch/new" <"$scratch/files"
	if ! patch_series "$scratch/new" 2>/dev/null; then
		rm -rf "$scratch/new"
		copy_files "$from" "$scratch/new" <"$scratch/files"
		misfits "$scratch/new" >&2
		die "the series does not apply to $from"
	fi
	# Before it is true: a run that is stopped here is made good by the next
	cp "$scratch/files" "$BUILD/linux.files"
	sync_files "$scratch/new" "$to" <"$scratch/files"
	touched_files >"$BUILD/linux.files"
	say "the series for $title ($(series_patches | wc -l) patches) is applied in $to"
}

case ${1-} in
pristine) pristine ;;
found) find_tree ;;
patched) patched ;;
*) die "usage: tree.sh pristine|found|patched" ;;
esac
