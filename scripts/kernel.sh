#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Configures and builds a kernel: kernel.sh NAME SOURCE FRAGMENT...
#
# NAME is the folder under $BUILD, or $BUILD/arm64; SOURCE a tree, or "patched"; FRAGMENTs
# are files of configs/, merged in this order, after the architecture's, on top of
# allnoconfig.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

name=$1 src=$2
shift 2
if [ "$src" = patched ]; then src=$BUILD/linux; fi
for path in "$src" "$out"; do
	[[ $path =~ ^[]a-zA-Z0-9_./,+@%=~^-]*$ ]] || die "Kbuild can't cope with the path $path: choose another with BUILD=DIR"
done
log=$out/log/$name out=$out/$name
fragments=()
for f in "$ARCH" "$@"; do fragments+=("$top/configs/$f.config"); done
mkdir -p "$out"

configure() {
	cd "$src"
	CROSS_COMPILE=$cross scripts/kconfig/merge_config.sh -n -O "$out" "${fragments[@]}"
}

# merge_config.sh only warns about options that did not make it. The palloc options
# may be missing from a stock kernel, which has none of them.
verify() {
	local option want missing=
	while read -r option want; do
		if grep -qxF "$want" "$out/.config"; then continue; fi
		case $want in "#"*) if ! grep -q "^$option=" "$out/.config"; then continue; fi ;; esac
		if [[ $option == *PALLOC* ]] && ! has_palloc "$src"; then continue; fi
		missing+=" $want"
	done < <(sed -nE 's/^(# )?(CONFIG_[A-Z0-9_]+)[= ].*/\2 &/p' "${fragments[@]}" |
		awk '{ last[$1] = $0 } END { for (o in last) print last[o] }' | sort)
	[ -z "$missing" ] || die "options that did not land in $out/.config:$missing"
}

cc=${cross}gcc
# What another checkout has compiled needs not be compiled again; no debug information tells
# where that was
export CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=yes
if command -v ccache >/dev/null; then cc="ccache $cc"; fi
step "configuring kernel $name" "$log.config" configure
verify
step "building kernel $name" "$log.build" \
	make -C "$src" ARCH="$ARCH" CROSS_COMPILE="$cross" O="$out" CC="$cc" -j "$JOBS" "${image##*/}"
