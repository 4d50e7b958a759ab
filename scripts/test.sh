#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs stages of the tests, all of them whatever fails, and closes with the sum:
# test.sh [check] [guest] [debug] [variants] [matrix]

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

bzimage=arch/x86/boot/bzImage
tests=()
if [ -n "${TESTS-}" ]; then tests=(--set "TESTS= $TESTS "); else tests=(--set TESTS=); fi

# What a guest with the debug kernel takes
debug=(--memory 2G --time-scale 5 --boot-limit 300 --append "page_poison=1 page_owner=on slub_debug=FZPU")

# What shows that every path keeps its color
paths='fork_exec remote thp page_cache swap ksm migrate recolor'

# variant NAME KERNEL TESTS OPTION...: a boot of its own, of those of $stage
variant() {
	local name=$1 kernel=$2 list=$3 ok=yes p=0 f=0 k=0
	shift 3
	"$top/scripts/guest.sh" --add "$BUILD/kselftest:kselftest" --set KUNIT=yes \
		--set "TESTS= ${TESTS:-$list} " "$@" "$stage/$name" "$BUILD/$kernel/$bzimage" kselftest || ok=no
	if [ -f "$BUILD/results/$stage/$name/summary" ]; then
		read -r p f k <"$BUILD/results/$stage/$name/summary"
	fi
	if [ $ok = no ] && ((f == 0)); then f=1; fi
	sum=($((sum[0] + p)) $((sum[1] + f)) $((sum[2] + k)))
}

# ran VARIANT PROGRAM TEST: fails if a test was left out that only this guest can run
ran() {
	if [ -n "${TESTS-}" ] || grep -q " $3\$" "$BUILD/results/variants/$1/$2.tap"; then return; fi
	echo "FAILED  variants/$1: $2 has left out: $3"
	sum[1]=$((sum[1] + 1))
}

# Memory laid out in other ways, what else takes pages off the free lists, and other
# numbers of CPUs
variants() {
	variant shuffle guest "lossless map_change hotplug" --append page_alloc.shuffle=1
	variant nodes guest "zones lossless hotplug four_cases $paths" --cpus 4 --append numa=fake=2
	variant movable guest "zones lossless hotplug hwpoison cma" --append movablecore=400M
	variant normal guest "zones lossless cma" --memory 6G
	variant added guest "zones hotplug" --memory 1280M --append mem=1G
	# 1 GiB, of which some is persistent; as slower memory, half as much; two devices'
	# own 256 MiB each; and the rest, of which the BIOS has a few pages
	variant devices devices "migrate remote page_cache" --memory 2176M \
		--qemu "-object memory-backend-ram,id=fast,size=1G -numa node,cpus=0-1,memdev=fast" \
		--qemu "-object memory-backend-ram,id=slow,size=1152M -numa node,memdev=slow" \
		--append "memmap=16M!1008M,512M%1G-1+0xefffffff,640M\$1536M" \
		--append "memhp_default_state=online_movable" \
		--append "test_hmm.spm_addr_dev0=0x60000000 test_hmm.spm_addr_dev1=0x70000000"
	variant cpus guest "policy exhaustion stress lossless $paths" --cpus 4
	variant cpu guest "$paths" --cpus 1
	variant bootmap guest "boot_param map_truth four_cases" \
		--append palloc.map=14^18,15^19,16^20,17^21 --append palloc.enabled=1
	variant bootllc guest "boot_param map_truth" --qemu "-cpu max,vendor=GenuineIntel" \
		--append palloc.map=llc --append palloc.enabled=1
	variant bootbad guest "boot_param map_truth" --append palloc.map=14^18,zebra \
		--append palloc.enabled=2
	variant nocache guest "boot_param map_truth" --cpus 1 --append palloc.map=l2 \
		--qemu "-cpu max,vendor=GenuineIntel,level=3"
	variant disabled guest "no_cgroup future syscalls map_palloc" --append cgroup_disable=palloc
	variant guardpage debug map_change --memory 1G --time-scale 5 --boot-limit 300 \
		--append "debug_pagealloc=on debug_guardpage_minorder=1 page_poison=1"
	ran nodes migrate "NUMA hints"
	ran added hotplug "memory is added"
	ran devices migrate demotion
	ran devices remote "an IOMMU maps: cgroup"
	ran devices remote "a device's memory, pinned: cgroup"
	ran devices page_cache "files without a page cache"
}

# The paths with each number of CPUs and nodes, in both kernels; too long for each day
matrix() {
	local cpus nodes
	for cpus in 1 4; do
		for nodes in 1 2; do
			variant "guest-$cpus-$nodes" guest "$paths" --cpus $cpus --append numa=fake=$nodes
			variant "debug-$cpus-$nodes" debug "$paths" "${debug[@]}" --cpus $cpus \
				--append numa=fake=$nodes
		done
	done
}

# boots: the variants, or the matrix
boots() {
	local rc=0
	sum=(0 0 0)
	rm -rf "$BUILD/results/$stage"
	"$stage" || rc=$?
	echo "${sum[*]}" >"$BUILD/results/$stage/summary"
	((rc == 0 && sum[1] == 0))
}

stage() {
	case $1 in
	check) "$top/scripts/check.sh" ;;
	guest)
		"$top/scripts/tree.sh" patched &&
			"$top/scripts/kernel.sh" guest patched guest palloc kunit &&
			"$top/scripts/kselftest.sh" guest &&
			"$top/scripts/guest.sh" --add "$BUILD/kselftest:kselftest" --set KUNIT=yes "${tests[@]}" \
				guest "$BUILD/guest/$bzimage" kselftest
		;;
	debug)
		"$top/scripts/tree.sh" patched &&
			"$top/scripts/kernel.sh" debug patched guest palloc kunit debug &&
			"$top/scripts/kselftest.sh" debug &&
			"$top/scripts/guest.sh" --add "$BUILD/kselftest:kselftest" --set KUNIT=yes "${tests[@]}" \
				"${debug[@]}" debug "$BUILD/debug/$bzimage" kselftest
		;;
	variants)
		"$top/scripts/tree.sh" patched &&
			"$top/scripts/kernel.sh" guest patched guest palloc kunit &&
			"$top/scripts/kernel.sh" debug patched guest palloc kunit debug &&
			"$top/scripts/kernel.sh" devices patched guest palloc kunit devices &&
			"$top/scripts/kselftest.sh" guest &&
			boots
		;;
	matrix)
		"$top/scripts/tree.sh" patched &&
			"$top/scripts/kernel.sh" guest patched guest palloc kunit &&
			"$top/scripts/kernel.sh" debug patched guest palloc kunit debug &&
			"$top/scripts/kselftest.sh" guest &&
			boots
		;;
	*) die "no such stage: $1" ;;
	esac
}

passed=0 failed=0 skipped=0
for stage; do
	summary=$BUILD/results/$stage/summary
	rm -f "$summary"
	ok=yes
	stage "$stage" || ok=no
	p=0 f=0 k=0
	if [ -f "$summary" ]; then read -r p f k <"$summary"; fi
	# A stage that broke, or that says it is well without a result, has failed
	if [ $ok = no ] && ((f == 0)); then f=1; fi
	if ((p + f + k == 0)); then f=1; fi
	say "$stage: $p passed, $f failed, $k skipped"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + k))
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
