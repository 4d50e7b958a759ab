#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Builds palloc in configurations that the test guest does not have, and fails on a
# compiler warning (W=1) in the files that the series touches which stock v6.6 does
# not give.
#
#   check-configs.sh [NAME...]    all, or these; the test guest is always built

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

# name | goal | variables of make | fragments of configs/ | options on top, without CONFIG_
#
# The goal is vmlinux, all of a small kernel; objects, those of mm/ and of the files
# that the series touches elsewhere; or refused, where palloc can't be had. To be
# without an option is at times to be without those that select it. Rows of one
# compiler and architecture share a folder, where only what depends on a difference
# is built again.
#
# Sparse does not follow locks that are taken under a condition, so that it complains of
# whatever walks page tables. v6.6 has PREEMPT_RT for no architecture: rt is a Kconfig
# that says this one can.
configs='
guest             | objects |          | guest palloc kunit |
no-kunit          | objects |          | guest palloc       |
no-page-monitor   | objects |          | guest palloc kunit | EXPERT=y PROC_PAGE_MONITOR=n HWPOISON_INJECT=n
no-ftrace         | objects |          | guest palloc kunit | FTRACE=n
no-debugfs        | objects |          | guest palloc kunit | DEBUG_FS=n
no-sysfs          | objects |          | guest palloc kunit | EXPERT=y SYSFS=n
no-ksm            | objects |          | guest palloc kunit | KSM=n
no-thp            | objects |          | guest palloc kunit | TRANSPARENT_HUGEPAGE=n
no-hugetlbfs      | objects |          | guest palloc kunit | HUGETLBFS=n
no-isolation      | objects |          | guest palloc kunit | CMA=n MEMORY_HOTREMOVE=n MEMORY_FAILURE=n COMPACTION=n TRANSPARENT_HUGEPAGE=n
no-memory-failure | objects |          | guest palloc kunit | MEMORY_FAILURE=n
no-cma            | objects |          | guest palloc kunit | CMA=n
no-hotplug        | objects |          | guest palloc kunit | MEMORY_HOTPLUG=n
no-compaction     | objects |          | guest palloc kunit | COMPACTION=n TRANSPARENT_HUGEPAGE=n
no-migration      | objects |          | guest palloc kunit | MIGRATION=n COMPACTION=n TRANSPARENT_HUGEPAGE=n CMA=n MEMORY_HOTREMOVE=n NUMA=n ZSMALLOC=n ZRAM=n ZSWAP=n
no-shmem          | objects |          | guest palloc kunit | EXPERT=y SHMEM=n
no-swap           | objects |          | guest palloc kunit | SWAP=n
no-memcg          | objects |          | guest palloc kunit | MEMCG=n
no-numa           | objects |          | guest palloc kunit | NUMA=n
no-smp            | objects |          | guest palloc kunit | SMP=n
max-bits-1        | objects |          | guest palloc kunit | PALLOC_MAX_BITS=1
preempt           | objects |          | guest palloc kunit | PREEMPT=y
preempt-rt        | objects | KBUILD_KCONFIG=rt | guest palloc kunit | EXPERT=y PREEMPT_RT=y
debug             | objects |          | guest palloc kunit debug |
devices           | objects |          | guest palloc kunit devices |
sparse            | objects | C=2 CF=-Wno-context | guest palloc kunit |
no-mmu            | refused | ARCH=arm | palloc             | MMU=n
tiny              | vmlinux |          |                    | 64BIT=y EXPERT=y SYSFS=n SHMEM=n
tiny-sysfs        | vmlinux |          |                    | 64BIT=y SYSFS=y SMP=y
tiny-debugfs      | vmlinux |          |                    | 64BIT=y EXPERT=y SYSFS=n DEBUG_FS=y BLOCK=y SWAP=y
tiny-kunit        | vmlinux |          | kunit              | 64BIT=y
i386-tiny         | vmlinux |          |                    | 64BIT=n EXPERT=y SYSFS=n SHMEM=n
i386              | objects |          | guest palloc kunit | 64BIT=n HIGHMEM4G=y
i386-pae          | objects |          | guest palloc kunit | 64BIT=n HIGHMEM64G=y X86_PAE=y
i386-no-smp       | objects |          | guest palloc kunit | 64BIT=n HIGHMEM4G=y SMP=n
clang             | objects | LLVM=1   | guest palloc kunit |
clang-tiny        | vmlinux | LLVM=1   |                    | 64BIT=y EXPERT=y SYSFS=n SHMEM=n
clang-i386        | objects | LLVM=1   | guest palloc kunit | 64BIT=n HIGHMEM4G=y
'

work=$BUILD/configs
src=$BUILD/linux
cc=
if command -v ccache >/dev/null; then cc="ccache "; fi

pristine=$("$top/scripts/tree.sh" pristine)
"$top/scripts/tree.sh" patched
mkdir -p "$work"
touched_files >"$work/touched"
# Of mm/, not everything is in every configuration
objects=$(grep '\.c$' "$work/touched" | grep -vE '^(tools|samples|Documentation|scripts)/' |
	sed 's|^mm/.*|mm/|; s|\.c$|.o|' | sort -u)
(cat "$src/Kconfig" && printf 'config ARCH_SUPPORTS_RT\n\tdef_bool y\n') >"$work/rt"

# build SOURCE OUT: of the row that is in the variables
build() {
	local fragments=() f goals=$goal compiler=gcc
	for f in ${configs_on/guest/x86 guest}; do fragments+=("$top/configs/$f.config"); done
	mkdir -p "$2"
	# shellcheck disable=SC2086
	printf 'CONFIG_%s\n' CGROUPS=y CGROUP_PALLOC=y $options >"$2/options.config"
	cd "$1" || return
	# shellcheck disable=SC2086
	env ARCH=x86 $vars scripts/kconfig/merge_config.sh -n -Q -O "$2" "${fragments[@]}" \
		"$2/options.config" || return
	verify "$2" || return
	if [ "$goal" = refused ]; then return; fi
	if [ "$goal" = objects ]; then
		goals=$objects
		for f in fs/proc:PROC_FS kernel/trace:EVENT_TRACING; do
			if ! grep -qx "CONFIG_${f#*:}=y" "$2/.config"; then goals=$(grep -v "^${f%:*}/" <<<"$goals"); fi
		done
	fi
	if [[ $vars == *LLVM* ]]; then compiler=clang; fi
	# shellcheck disable=SC2086
	make ARCH=x86 O="$2" CC="$cc$compiler" W=1 -k -j "$JOBS" $vars $goals
}

# verify OUT: whether the row's own options are what it says
verify() {
	local o wrong=
	while read -r o; do
		case $o in
		*PALLOC*) if ! has_palloc .; then continue; fi ;;
		esac
		if [ "$goal" = refused ] && [ "$o" = CONFIG_CGROUP_PALLOC=y ]; then o=${o%y}n; fi
		if [ "${o%=n}" != "$o" ]; then
			if ! grep -q "^${o%n}" "$1/.config"; then continue; fi
		elif grep -qxF "$o" "$1/.config"; then
			continue
		fi
		wrong+=" $o"
	done <"$1/options.config"
	[ -z "$wrong" ] || {
		echo "not in $1/.config:$wrong"
		return 1
	}
}

# missing: symbols of mm/ that are used, and would be there in the test guest
missing() {
	local used=("$out/mm/built-in.a") o
	for o in $objects; do
		if [ -f "$out/$o" ]; then used+=("$out/$o"); fi
	done
	nm -P --defined-only "$out/mm/built-in.a" | awk '$2 ~ /[A-Z]/ { print $1 }' | sort -u >"$work/has"
	if [ "$name" = guest ]; then cp "$work/has" "$work/guest"; fi
	nm -P --undefined-only "${used[@]}" | awk '$2 == "U" { print $1 }' | sort -u |
		comm -12 - "$work/guest" | comm -23 - "$work/has" | sed 's/^/undefined: /'
}

# new_warnings: those that stock does not give, of which more are looked for only when
# there are some that it is not known to give
new_warnings() {
	local goal=objects
	touch "$work/known"
	warnings "$log" "$src" "$work/touched" | grep -Fvxf "$work/known" >"$work/new" || return 0
	(step "$name, stock" "$log-stock" build "$pristine" "$out-stock") >&2 || return 0
	warnings "$log-stock" "$pristine" "$work/touched" >>"$work/known"
	grep -Fvxf "$work/known" "$work/new" || true
}

passed=0 failed=0
while IFS='|' read -r name goal vars configs_on options; do
	name=${name// /} goal=${goal// /}
	if [ -z "$name" ] || { (($#)) && [[ " guest $* " != *" $name "* ]]; }; then continue; fi
	read -r vars <<<"${vars/KBUILD_KCONFIG=rt/KBUILD_KCONFIG=$work/rt}"
	out=$work/x86
	if [[ $options == *64BIT=n* ]]; then out=$work/i386; fi
	case $vars in
	*LLVM*) out+=-clang ;;
	*/rt*) out+=-rt ;;
	*ARCH*) out=$work/other ;;
	esac
	log=$BUILD/log/config-$name
	if ! (step "$name" "$log" build "$src" "$out"); then
		wrong="does not build"
	else
		wrong=$(new_warnings && if [ "$goal" = objects ]; then missing; fi)
	fi
	if [ -z "$wrong" ]; then
		passed=$((passed + 1))
		echo "ok      $name"
	else
		failed=$((failed + 1))
		echo "$wrong"
		echo "FAILED  $name ($log)"
	fi
done <<<"$configs"
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
