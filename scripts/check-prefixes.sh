#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Builds every prefix of the series with palloc on and off, and fails on a compiler
# warning (W=1) in the files that the series touches which the unpatched kernel does not give.
#
# It builds the folders that the series touches; with FULL=1 the whole kernel. "git rebase -x"
# would want a repository of the kernel, which takes minutes to make; one tree that "git apply"
# takes from patch to patch has the same files written, and built, again.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

work=$BUILD/prefixes
src=$work/linux
cc=gcc
if command -v ccache >/dev/null; then cc="ccache gcc"; fi

pristine=$("$top/scripts/tree.sh" pristine)
mkdir -p "$work"
if [ ! -d "$src" ]; then
	step "copying $title" "$BUILD/log/copy" cp -a --reflink=auto "$pristine" "$src.new"
	mv "$src.new" "$src"
fi
touched_files | sort -u - <(cat "$work/files" 2>/dev/null || true) >"$work/touched"
cp "$work/touched" "$work/files"
# Only what differs is written, and built, again
sync_files "$pristine" "$src" <"$work/touched"

# The folders with code for this machine; not those in them, which are built with them and,
# as mm/palloc, may not be there yet
folders=vmlinux
if [ -z "${FULL-}" ]; then
	folders=$(grep -E '\.(c|S|tbl)$' "$work/touched" | grep -vE '^(tools|samples|Documentation|scripts)/' |
		grep -E '^arch/x86/|^[^a]|^a[^r]' | sed 's|/[^/]*$|/|; s|/syscalls/$|/|' | sort -u |
		awk 'last == "" || index($0, last) != 1 { print; last = $0 }')
fi

# build NAME FRAGMENT...
build() {
	local out=$work/$1 fragments=()
	shift
	for f; do fragments+=("$top/configs/$f.config"); done
	mkdir -p "$out"
	cd "$src"
	ARCH=x86 scripts/kconfig/merge_config.sh -n -O "$out" "${fragments[@]}" || return
	# shellcheck disable=SC2086
	make ARCH=x86 O="$out" CC="$cc" W=1 -k -j "$JOBS" $folders
}

passed=0 failed=0 n=0
for p in stock $(series_patches); do
	if [ "$p" != stock ]; then
		n=$((n + 1))
		apply_to "$src" "$patches/$p"
	fi
	for kind in on off; do
		log=$BUILD/log/prefix-$n-$kind
		case $kind in
		on) step "$p, palloc on" "$log" build on x86 guest palloc kunit ;;
		off) step "$p, palloc off" "$log" build off x86 guest ;;
		esac
		warnings "$log" "$src" "$work/touched" >"$work/warnings-$n-$kind"
		if ((n)) && ! diff "$work/warnings-0-$kind" "$work/warnings-$n-$kind" | grep '^>'; then
			passed=$((passed + 1))
		elif ((n)); then
			failed=$((failed + 1))
			echo "new warnings: $p, palloc $kind ($log)"
		fi
	done
done
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
