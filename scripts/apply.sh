#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Applies the series to a Linux tree, v6.6 or 6.12, or takes it out again.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<-EOT
	Usage: scripts/apply.sh [--check|--reverse] [--no-quilt] LINUX_DIR

	Applies the palloc series to the Linux tree in LINUX_DIR, a plain tree or a git
	work tree, of v6.6, 6.6.y, or 6.12 as in Debian's package linux-source-6.12. All
	of it is tried on a copy of the touched files first; a tree that it does not fit,
	without fuzz, is left as it was.

	  --check     only say whether the series would apply or is applied
	  --reverse   take the series out again
	  --no-quilt  do not use quilt, even if it is installed

	In a plain tree, and if quilt is installed, the patches are pushed with quilt,
	so that "quilt pop" and "quilt push" work there afterwards.

	Exit status: 0 done, or nothing to do; 1 the series does not fit, the tree is
	untouched; 2 wrong usage; 3 LINUX_DIR is neither a 6.6 nor a 6.12 tree.
	EOT
}

what=apply quilt=yes dir=
for arg; do
	case $arg in
	--check | --reverse)
		if [ "$what" != apply ]; then dir= && break; fi
		what=${arg#--}
		;;
	--no-quilt) quilt=no ;;
	-h | --help)
		usage
		exit
		;;
	-*) dir= && break ;;
	*)
		if [ -n "$dir" ]; then dir= && break; fi
		dir=$arg
		;;
	esac
done
if [ -z "$dir" ]; then
	usage >&2
	exit 2
fi

version=$(kernel_version "$dir") || {
	echo "$dir is not a Linux source tree" >&2
	exit 3
}
case $version in
6.6*-rc* | 6.12*-rc*) unknown=yes ;;
6.6) ;;
6.6-*) echo "warning: $dir is Linux $version; the series was made and tested for v6.6" >&2 ;;
6.6.*) echo "warning: $dir is Linux $version; the series was tested for v6.6 and 6.6.93" >&2 ;;
6.12.[1-9]*) ;;
6.12 | 6.12-*) echo "warning: $dir is Linux $version; the series was made and tested for 6.12 as Debian has it" >&2 ;;
*) unknown=yes ;;
esac
if [ -n "${unknown-}" ]; then
	echo "$dir is Linux $version; the series is for v6.6 and 6.12" >&2
	exit 3
fi
# Stable kernels were v6.6 at first
case $version in
6.6.*) candidates='v6.6 6.6.y' ;;
*) candidates=$(base_of "$version") ;;
esac
dir=$(cd "$dir" && pwd)
command -v patch >/dev/null || die "patch(1) is needed: apt install patch, or make deps"

scratch=$(mktemp -d)
# Not named as anything local to a function that a signal may come in
tree=$dir writing=
# finish: whatever ends us while we write, the tree is as it was before
finish() {
	trap '' INT TERM HUP
	if [ -n "$writing" ]; then
		if [ "$writing" = quilt ]; then rm -rf "$tree/.pc"; fi
		sync_files "$scratch/original" "$tree" <"$scratch/files"
		echo "apply.sh: interrupted or failed; $tree is as it was" >&2
	fi
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# Both results are at hand then: the state of the tree tells which one counts.
state=
for base in $candidates; do
	use_base "$base"
	[ -s "$series" ] || die "there is no series in $series"
	rm -rf "${scratch:?}"/*
	touched_files >"$scratch/files"
	copy_files "$dir" "$scratch/original" <"$scratch/files"
	cp -a "$scratch/original" "$scratch/patched"
	cp -a "$scratch/original" "$scratch/plain"
	if problem=$(patch_series "$scratch/patched"); then
		state=plain
	elif patch_series "$scratch/plain" -R >/dev/null; then
		state=patched
	fi
	if [ -n "$state" ]; then break; fi
done
count=$(series_patches | wc -l)
if [ -z "$state" ]; then
	echo "The series does not fit the tree in $dir, which is left as it was." >&2
	echo "The first patch that does not apply: $problem" >&2
	if [ -s "$dir/.pc/applied-patches" ]; then
		echo "quilt has $(wc -l <"$dir/.pc/applied-patches") patches applied there: quilt pop -a first." >&2
	elif first=$(series_patches | head -n 1) &&
		patch -d "$dir" -p1 -F0 -s -R -f --dry-run <"$patches/$first" >/dev/null 2>&1; then
		echo "$first is in the tree already: it seems to be half patched." >&2
	elif [ -e "$dir/mm/palloc.c" ]; then
		echo "Another palloc patch is in the tree; take it out first (patch -R -p1 < it)." >&2
	fi
	exit 1
fi

if [ "$what-$state" = apply-plain ] || [ "$what-$state" = reverse-patched ]; then
	while IFS= read -r f; do
		for d in "$dir/$f" "$(dirname "$dir/$f")"; do
			if [ -e "$d" ] && [ ! -w "$d" ]; then die "cannot write to $d"; fi
		done
	done <"$scratch/files"
	[ -w "$dir" ] || die "cannot write to $dir"
fi

case $what-$state in
check-plain)
	echo "The series ($count patches) applies to Linux $version in $dir."
	;;
check-patched | apply-patched)
	echo "The series is already applied to $dir; nothing to do."
	;;
reverse-plain)
	echo "The series is not applied to $dir; nothing to do."
	;;
apply-plain)
	if [ $quilt = yes ] && [ ! -e "$dir/.git" ] && [ ! -s "$dir/.pc/applied-patches" ] &&
		command -v quilt >/dev/null; then
		writing=quilt
		(
			cd "$dir" || exit
			rm -rf .pc
			export QUILT_PATCHES=$patches QUILT_SERIES=$series QUILT_PC=.pc
			if ! quilt --quiltrc - push -a --fuzz=0 -q >"$scratch/quilt" 2>&1; then
				quilt --quiltrc - pop -a -f -q >/dev/null 2>&1 || true
				rm -rf .pc
				cat "$scratch/quilt" >&2
				exit 1
			fi
		)
		writing=
		echo "Pushed $count patches onto Linux $version in $dir with quilt."
	else
		writing="patch"
		sync_files "$scratch/patched" "$dir" <"$scratch/files"
		writing=
		echo "Applied $count patches to Linux $version in $dir."
		if [ -e "$dir/.git" ]; then
			echo "To have them as commits instead: git checkout the files, then git am those in $series"
		fi
	fi
	;;
reverse-patched)
	by="patch"
	if [ -s "$dir/.pc/applied-patches" ] && grep -qxFf <(series_patches) "$dir/.pc/applied-patches"; then
		cmp -s <(series_patches) "$dir/.pc/applied-patches" ||
			die "quilt has other patches applied in $dir as well: quilt pop them first"
		by="quilt"
	fi
	writing="patch"
	sync_files "$scratch/plain" "$dir" <"$scratch/files"
	writing=
	if [ $by = quilt ]; then rm -rf "$dir/.pc"; fi
	echo "Took $count patches out of $dir."
	;;
esac
