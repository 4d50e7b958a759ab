# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# What the scripts share; sourced, not run.
#
# What well-kept tools do is theirs: "git apply" puts a series onto a folder, repository
# or not, without fuzz, and stops where a patch does not fit; rsync makes one folder's files
# another's; quilt is not run, but finds the folder .pc as it makes that. What is left here
# is which patches there are (series_patches), where they go (touched_files), and what of
# a series a tree has no place for (misfits).

# Started as "bash x.sh": with what the user's shell has exported, or BASH_ENV brought in
case $- in *p*) ;; *) exec bash -p "$0" "$@" ;; esac
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C
# What would have the shell, git and others do other things than what stands here
unset CDPATH GLOBIGNORE BASH_ENV ENV POSIXLY_CORRECT GREP_OPTIONS GREP_COLORS TAR_OPTIONS XZ_OPT \
	XZ_DEFAULTS RSYNC_RSH RSYNC_CONFIG CPIO_OPTIONS PERL5OPT PERL5LIB MAKEFILES "${!GIT_@}" "${!QUILT_@}"
# Kbuild's own, and what it takes along
unset "${!KBUILD_@}" "${!KCONFIG_@}" O V C W M LLVM LLVM_IAS CROSS_COMPILE CC LD HOSTCC CFLAGS \
	CPPFLAGS LDFLAGS KCFLAGS KCPPFLAGS KAFLAGS HOSTCFLAGS HOSTLDFLAGS LOCALVERSION INSTALL_PATH \
	INSTALL_MOD_PATH
# Without one: what the system says
if [ -z "${HOME-}" ]; then
	unset HOME
	export HOME=~
fi

lib=$(readlink -f "${BASH_SOURCE[0]}")
top=${lib%/scripts/lib.sh}
# This may be somebody else's, as it is to sudo
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$top
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

# The patches of the base's series in order, their paths, and the files that they touch.
series_patches() { sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$series"; }
patch_paths() {
	local p
	while IFS= read -r p; do printf '%s\0' "$patches/$p"; done < <(series_patches)
}
touched_files() {
	patch_paths | xargs -r0 sed -n 's|^diff --git a/\(.*\) b/\1$|\1|p' | sort -u
}

# Those of them that no base has, which are the same for all
new_files() {
	# shellcheck disable=SC2016
	patch_paths | xargs -r0 awk '/^diff --git/ { f = substr($4, 3) } /^new file mode/ { print f }' | sort -u
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

# git_alone COMMAND: git and what runs it, whatever repository this is in, and whatever the
# user has configured
git_alone() {
	HOME=/dev/null XDG_CONFIG_HOME=/dev/null GIT_DIR=/dev/null GIT_CONFIG_NOSYSTEM=1 \
		GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 "$@"
}
# apply_to DIR [OPTION]... PATCH...: git apply there
apply_to() { (cd -- "$1" && git_alone git apply --whitespace=nowarn "${@:2}"); }

# patch_series DIR [-R] [OPTION]...: the whole series, forward or back. What fails leaves
# some of it.
patch_series() {
	local files
	mapfile -d '' files < <(if [ "${2-}" = -R ]; then patch_paths | tac -s ''; else patch_paths; fi)
	apply_to "$@" "${files[@]}"
}

# misfits DIR: which of the series' patches and hunks do not fit DIR, of which all that
# does fit is patched; and what in porting.rst is about these places.
misfits() {
	local p out
	while IFS= read -r p; do
		echo "patch $p"
		if out=$(apply_to "$1" --reject "$patches/$p" 2>&1); then continue; fi
		sed -nE 's/^error: (.*: (No such file|already exists|wrong type).*)/file \1/p' <<<"$out" | sort -u
		find "$1" -name '*.rej' -printf 'rej %P\n' -exec sed 's/^/: /' {} \; | sed 's/\.rej$//'
		find "$1" -name '*.rej' -delete
	done < <(series_patches) | awk -v title="$title" '
		function flush(	t, best, hits, name) {
			if (!hunk) return
			for (name in section)
				if (text ~ ("(^|[^a-z_A-Z0-9])" name "($|[^a-z_A-Z0-9])")) hits[section[name]]++
			for (t in hits) if (best == "" || hits[t] > hits[best]) best = t
			split(at, part, / @@ ?/)
			line = part[1]; sub(/^@@ -/, "", line); sub(/,.*/, "", line)
			say("    " file ":" line (part[2] == "" ? "" : " (" part[2] ")"))
			if (best != "") say("      see \"" best "\"")
			hunk = 0
		}
		function say(line) {
			if (!said[nr]++) { bad++; report = report "  " patch "\n" }
			report = report line "\n"
		}
		FNR == NR {
			if (/^[^ ].*: ``/) {
				t = $0; sub(/: ``.*/, "", t)
				n = split($0, part, "``")
				for (i = 2; i <= n; i += 2) {
					sub(/\(\)$/, "", part[i])
					if (part[i] ~ /^[a-zA-Z_0-9]+$/) section[part[i]] = t
				}
			}
			next
		}
		!/^:/ || /^: @@ / { flush() }
		/^patch / { patch = $2; nr++; next }
		/^file / { say("    " substr($0, 6)); next }
		/^rej / { file = $2; next }
		/^: @@ / { hunk = 1; text = at = substr($0, 3); next }
		hunk { text = text "\n" substr($0, 4) }
		END {
			flush()
			if (!bad) { print "All " nr " patches for " title " fit."; exit }
			print "Of the " nr " patches for " title ", " nr - bad " fit as they are. Of the others these parts do not:"
			printf "%s", report
			print "What each place has to keep: Documentation/porting.rst, \"What is asked of a kernel\"."
		}' "$top/Documentation/porting.rst" -
}

# warnings LOG TREE FILES: the compiler's, in files of TREE that are listed in FILES,
# without the line numbers, which move
warnings() {
	grep -E ': (warning|error): ' "$1" | sed -E "s|^(\.\./)*$2/||; s/:[0-9]+(:[0-9]+)?: /: /" |
		grep -Ff "$3" | sort -u || true
}

# sync_files FROM TO: makes the files listed on stdin in TO what they are in FROM,
# present or absent; leaves alone, with their times, those that are so already.
# (Not by rsync: of a folder that is absent in FROM, newer ones say that it vanished, and fail.)
sync_files() {
	local file
	while IFS= read -r file; do
		if [ ! -e "$1/$file" ]; then
			rm -f "$2/$file"
		elif ! cmp -s "$1/$file" "$2/$file"; then
			mkdir -p "$(dirname "$2/$file")"
			cp --preserve=mode "$1/$file" "$2/$file"
		else
			chmod --reference="$1/$file" "$2/$file"
		fi
	done
}

# Whether the tree in $1 has palloc, wherever its files are, or an older one's
has_palloc() { [ -e "$1/mm/palloc.h" ] || [ -e "$1/mm/palloc" ] || [ -e "$1/mm/palloc.c" ]; }

# The version of the kernel tree in $1, such as 6.6, 6.6.63 or 6.7-rc1.
kernel_version() {
	[ -f "$1/Makefile" ] && [ -f "$1/Kbuild" ] && [ -d "$1/mm" ] || return 1
	awk -F ' *= *' '
		{ sub(/\r$/, "") }
		/^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=/ { v[$1] = $2 }
		/^NAME *=/ { exit }
		END {
			if (v["VERSION"] == "") exit 1
			printf "%s.%s", v["VERSION"], v["PATCHLEVEL"]
			if (v["SUBLEVEL"] + 0) printf ".%s", v["SUBLEVEL"]
			print v["EXTRAVERSION"]
		}' "$1/Makefile"
}
