#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Finds an unpatched Linux v6.6 tree, and makes the patched copy to build from.
#
#   tree.sh pristine   prints where v6.6 is; downloads it if need be
#   tree.sh patched    brings $BUILD/linux up to date with the series

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

url=https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.6.tar.xz
sha256=d926a06c63dd8ac7df3f86ee1ffc2ce2a3b81a2d168484e76b5b389aba8e56d0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/palloc

check_pristine() {
	local version
	version=$(kernel_version "$1") || die "LINUX: $1 is not a Linux source tree"
	[ "$version" = 6.6 ] || die "LINUX: $1 is Linux $version; an unpatched v6.6 is needed"
	if [ -e "$1/.config" ] || [ -d "$1/include/config" ]; then
		die "LINUX: a kernel has been built in $1; a clean tree is needed (make mrproper there)"
	fi
	if [ -e "$1/mm/palloc.c" ]; then
		die "LINUX: $1 has palloc in it already; an unpatched v6.6 is needed (take it out with scripts/apply.sh --reverse, or patch -R)"
	fi
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
		die "no Linux v6.6 here: name a tree with LINUX=DIR, put one into $cache/linux-6.6, or let $url be reached."
	fi
	echo "$sha256  $tmp/linux.tar.xz" | sha256sum --check --quiet >&2 ||
		die "$url is not what it should be (sha256)"
	echo "$(elapsed) unpacking it" >&2
	tar -C "$tmp" -xf "$tmp/linux.tar.xz"
	mv -T "$tmp/linux-6.6" "$cache/linux-6.6"
	rm -rf "$tmp"
	trap - EXIT
}

pristine() {
	local dir=${LINUX:-$cache/linux-6.6}
	if [ ! -d "$dir" ]; then
		if [ -n "${LINUX-}" ]; then die "LINUX: there is no $dir"; fi
		download
	fi
	dir=$(cd "$dir" && pwd)
	check_pristine "$dir"
	echo "$dir"
}

# Only files that the series changes are ever written again, and of those only the
# ones that come out different, so that what was built from the others stays valid.
patched() {
	local from to=$BUILD/linux scratch problem
	from=$(pristine)
	mkdir -p "$BUILD"
	if [ ! -d "$to" ] || [ "$(cat "$BUILD/linux.from" 2>/dev/null)" != "$from" ]; then
		rm -rf "$to" "$to.new" "$BUILD/linux.files"
		step "copying Linux v6.6 from $from" "$BUILD/log/copy" \
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
	problem=$(patch_series "$scratch/new") || die "the series does not apply to $from: $problem"
	# Before it is true: a run that is stopped here is made good by the next
	cp "$scratch/files" "$BUILD/linux.files"
	sync_files "$scratch/new" "$to" <"$scratch/files"
	touched_files >"$BUILD/linux.files"
	say "the series ($(series_patches | wc -l) patches) is applied in $to"
}

case ${1-} in
pristine) pristine ;;
patched) patched ;;
*) die "usage: tree.sh pristine|patched" ;;
esac
