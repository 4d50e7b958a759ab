# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# What the scripts share; sourced, not run.

set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$(realpath -m "${BUILD:-$top/build}")
JOBS=${JOBS:-$(nproc)}
# Started by make, elapsed times count from make's start
START=${START:-$(date +%s)}
export BUILD JOBS START

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/palloc
url=https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.6.tar.xz

# use_base BASE: a base is a kernel that there is a series for. All but v6.6 have a
# folder with the patches that differ from v6.6's; their series names these folders, too.
use_base() {
	base=$1
	case $base in
	v6.6) title='Linux v6.6' series=$top/series patches=$top/patches ;;
	6.6.y) title="Linux 6.6.y" series=$top/series.6.6.y patches=$top ;;
	debian) title="Debian's Linux 6.12" series=$top/series.debian patches=$top ;;
	*) die "BASE: $base is none of $bases" ;;
	esac
}
bases='v6.6 6.6.y debian'
# base_of VERSION: the base that a tree of this version is, or is nearest to
base_of() {
	case $1 in
	6.12 | 6.12.*) echo debian ;;
	6.6.[0-9]*) echo 6.6.y ;;
	*) echo v6.6 ;;
	esac
}
use_base v6.6

# The architecture: the kernel's file, the prefix of the compiler's name, and a busybox
# that is linked statically
case ${ARCH:-x86} in
x86 | x86_64) ARCH=x86 image=arch/x86/boot/bzImage cross='' busybox=$(command -v busybox || true) ;;
arm64) image=arch/arm64/boot/Image cross=aarch64-linux-gnu- busybox=$cache/busybox-arm64 ;;
*) die "ARCH: $ARCH is neither x86 nor arm64" ;;
esac
export ARCH

# Objects then hit the cache wherever the build folder is
export CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1
# Same source, same kernel
export KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=palloc KBUILD_BUILD_HOST=palloc
# Variables of our make are not meant for the kernel's
unset MAKEFLAGS MFLAGS MAKEOVERRIDES

elapsed() { printf '[%4ds]' $(($(date +%s) - START)); }
say() { echo "$(elapsed) $*"; }

# step TEXT LOG COMMAND...: runs COMMAND with its output in LOG and shows for how
# long: in place on a terminal, else with a line every half minute.
step() {
	local text=$1 log=$2 pid shown=0 now rc=0
	shift 2
	mkdir -p "$(dirname "$log")"
	say "$text"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	# A terminal's Ctrl-C reaches the command by itself; a plain kill does not
	trap 'kill $pid 2>/dev/null; exit 130' INT TERM
	while kill -0 $pid 2>/dev/null; do
		sleep 0.5
		now=$(date +%s)
		if [ -t 1 ]; then
			printf '\r\033[K%s %s: %.60s' "$(elapsed)" "$text" "$(tail -n 1 "$log")"
		elif ((shown == 0)); then
			shown=$now
		elif ((now - shown >= 30)); then
			shown=$now
			say "$text: $(tail -n 1 "$log" | cut -c -60)"
		fi
	done
	wait $pid || rc=$?
	trap - INT TERM
	if [ -t 1 ]; then printf '\r\033[K'; fi
	if ((rc)); then
		tail -n 25 "$log" >&2
		die "failed: $text (the whole output: $log)"
	fi
}

# The patches of the base's series in order, the files they touch.
series_patches() { sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$series"; }
touched_files() {
	series_patches | sed "s|^|$patches/|" | xargs -r -d '\n' \
		sed -n 's|^diff --git a/\(.*\) b/\1$|\1|p' | sort -u
}

# copy_files FROM TO: those of the files listed on stdin that exist in FROM.
copy_files() {
	local f to
	to=$(realpath "$2")
	mkdir -p "$to"
	while IFS= read -r f; do
		if [ -e "$1/$f" ]; then echo "$f"; fi
	done | (cd "$1" && xargs -r -d '\n' cp -a --parents -t "$to")
}

# copy_of TREE THERE TO: what stands at THERE, of scripts/copies, in a tree. After
# a # in THERE comes the title of the one section of an rst file that is meant.
copy_of() {
	if [ "$2" = "${2%#*}" ]; then
		cp -a "$1/$2" "$3"
	else
		awk -v title="${2#*#}" '
			/^---/ { inside = last == title; held = inside }
			inside && NR > 1 && !held { print last }
			held { print last; held = 0 }
			{ last = $0 }' "$1/${2%#*}" >"$3"
	fi
}

# patch_series DIR [-R]: the whole series, forward or back, no fuzz; on failure
# the name of the first patch that does not fit and what patch(1) says.
patch_series() {
	local p out list how=-N
	list=$(series_patches)
	if [ "${2-}" = -R ]; then
		how="-R -f"
		list=$(tac <<<"$list")
	fi
	for p in $list; do
		# shellcheck disable=SC2086
		if ! out=$(patch -d "$1" -p1 -F0 -E -r - --no-backup-if-mismatch $how \
			<"$patches/$p" 2>&1); then
			echo "$p"
			awk '/ing file / { file = $0; next } /Hunk.* succeeded/ { next } { print file "\n" $0; file = "" }' \
				<<<"$out" | grep . | sed -n 1,6p
			return 1
		fi
	done
}

# warnings LOG TREE FILES: the compiler's, in files of TREE that are listed in FILES,
# without the line numbers, which move
warnings() {
	grep -E ': (warning|error): ' "$1" | sed -E "s|^(\.\./)*$2/||; s/:[0-9]+(:[0-9]+)?: /: /" |
		grep -Ff "$3" | sort -u || true
}

# sync_files FROM TO: makes the files listed on stdin in TO what they are in FROM,
# present or absent; leaves alone, with their times, those that are so already.
sync_files() {
	local f dir
	while IFS= read -r f; do
		if [ -e "$1/$f" ]; then
			if cmp -s "$1/$f" "$2/$f" && [ "$(stat -c %a "$1/$f")" = "$(stat -c %a "$2/$f")" ]; then
				continue
			fi
			mkdir -p "$2/$(dirname "$f")"
			cp --preserve=mode --remove-destination "$1/$f" "$2/$f"
		elif [ -e "$2/$f" ]; then
			rm "$2/$f"
			dir=$(dirname "$f")
			(cd "$2" && rmdir -p --ignore-fail-on-non-empty "$dir")
		fi
	done
}

# The version of the kernel tree in $1, such as 6.6, 6.6.63 or 6.7-rc1.
kernel_version() {
	[ -f "$1/Makefile" ] && [ -f "$1/Kbuild" ] && [ -d "$1/mm" ] || return 1
	awk -F ' *= *' '
		/^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=/ { v[$1] = $2 }
		/^NAME *=/ { exit }
		END {
			if (v["VERSION"] == "") exit 1
			printf "%s.%s", v["VERSION"], v["PATCHLEVEL"]
			if (v["SUBLEVEL"] + 0) printf ".%s", v["SUBLEVEL"]
			print v["EXTRAVERSION"]
		}' "$1/Makefile"
}
