# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For scripts that need to know the kernel that the series is for: lib.sh, and the
# choice of a base; sourced, not run. See use_base there.
#
# It is what BASE says, else what the tree in LINUX is, else v6.6, unless that is neither
# in the cache nor to be had from kernel.org within seconds, and there is apt.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

choose_base() {
	local chosen=$BUILD/.base version
	if [ -n "${BASE-}" ]; then
		use_base "$BASE"
	elif [ -n "${LINUX-}" ]; then
		# Which may be none, as tree.sh will say
		version=$(kernel_version "$LINUX") || true
		use_base "$(base_of "$version")"
	elif [ -d "$cache/linux-6.6" ] || ! command -v apt-get >/dev/null; then
		use_base v6.6
	elif [ "$(sed 's/ .*//' "$chosen" 2>/dev/null)" = "$START" ]; then
		# Said already, by this run of make
		use_base "$(sed 's/.* //' "$chosen")"
	else
		if curl -sfI -o /dev/null --connect-timeout 5 --max-time 10 "$url"; then
			use_base v6.6
		else
			use_base debian
			echo "$(elapsed) no Linux v6.6 in $cache, and kernel.org does not answer: using Debian's kernel source instead (BASE=debian)" >&2
		fi
		mkdir -p "$(dirname "$chosen")"
		echo "$START $base" >"$chosen"
	fi
	export BASE=$base
	# Builds of other bases don't get into each other's way
	if [ "$base" != v6.6 ]; then BUILD=${BUILD%"/$base"}/$base; fi
}
choose_base
# Where what is not the same on all architectures is built, and its results
out=$BUILD
if [ "$ARCH" != x86 ]; then out=$BUILD/$ARCH; fi
