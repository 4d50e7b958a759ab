#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs stages of the tests, all of them whatever fails, and closes with the sum:
# test.sh [check] [guest] [debug] [variants]

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

tests=()
if [ -n "${TESTS-}" ]; then tests=(--set "TESTS= $TESTS "); else tests=(--set TESTS=); fi

# What a guest with the debug kernel takes
debug=(--memory 2G --time-scale 5 --boot-limit 300 --append "page_poison=1 page_owner=on slub_debug=FZPU")

# variant NAME KERNEL TESTS OPTION...: a boot of its own
variant() {
	local name=$1 kernel=$2 list=$3 ok=yes p=0 f=0 k=0
	shift 3
	"$top/scripts/guest.sh" --add "$out/kselftest:kselftest" --set KUNIT=yes \
		--set "TESTS= ${TESTS:-$list} " "$@" "variants/$name" "$out/$kernel/$image" kselftest || ok=no
	if [ -f "$out/results/variants/$name/summary" ]; then
		read -r p f k <"$out/results/variants/$name/summary"
	fi
	if [ $ok = no ] && ((f == 0)); then f=1; fi
	sum=($((sum[0] + p)) $((sum[1] + f)) $((sum[2] + k)))
}

# ran VARIANT PROGRAM TEST: fails if a test was left out that only this guest can run
ran() {
	if [ -n "${TESTS-}" ] || grep -q " $3\$" "$out/results/variants/$1/$2.tap"; then return; fi
	echo "FAILED  variants/$1: $2 has left out: $3"
	sum[1]=$((sum[1] + 1))
}

# Memory laid out in other ways, what else takes pages off the free lists, and other
# numbers of CPUs
variants() {
	local paths='fork_exec remote thp page_cache swap ksm migrate recolor' two_nodes no_cache
	case $ARCH in
	x86)
		two_nodes=(--append numa=fake=2)
		no_cache=(--qemu "-cpu max,vendor=GenuineIntel,level=3")
		;;
	arm64)
		two_nodes=(--qemu "-object memory-backend-ram,id=node0,size=512M -numa node,cpus=0-1,memdev=node0"
			--qemu "-object memory-backend-ram,id=node1,size=512M -numa node,cpus=2-3,memdev=node1")
		# It never knows any
		no_cache=()
		;;
	esac
	sum=(0 0 0)
	rm -rf "$out/results/variants"
	variant shuffle guest "lossless map_change hotplug" --append page_alloc.shuffle=1
	variant nodes guest "zones lossless hotplug four_cases $paths" --cpus 4 "${two_nodes[@]}"
	variant movable guest "zones lossless hotplug hwpoison cma" --append movablecore=400M
	variant normal guest "zones lossless cma" --memory 6G
	variant cpus guest "policy exhaustion stress lossless $paths" --cpus 4
	variant cpu guest "$paths" --cpus 1
	variant bootmap guest "boot_param map_truth four_cases" \
		--append palloc.map=14^18,15^19,16^20,17^21 --append palloc.enabled=1
	variant bootbad guest "boot_param map_truth" --append palloc.map=14^18,zebra \
		--append palloc.enabled=2
	variant nocache guest "boot_param map_truth" --cpus 1 --append palloc.map=l2 \
		"${no_cache[@]}"
	variant disabled guest "no_cgroup future syscalls map_palloc" --append cgroup_disable=palloc
	ran nodes migrate "NUMA hints"
	if [ "$ARCH" = x86 ]; then variants_x86; fi
	echo "${sum[*]}" >"$out/results/variants/summary"
	((sum[1] == 0))
}

# What arm64 has no way to: memory that was held back at boot can't be added (plain guests
# have some that is), QEMU tells nothing of caches, and no memory is soft reserved,
# persistent or a device's without firmware
variants_x86() {
	variant added guest "zones hotplug" --memory 1280M --append mem=1G
	# 1 GiB, of which some is persistent; as slower memory, half as much; two devices'
	# own 256 MiB each; and the rest, of which the BIOS has a few pages
	variant devices devices "migrate remote page_cache" --memory 2176M \
		--qemu "-object memory-backend-ram,id=fast,size=1G -numa node,cpus=0-1,memdev=fast" \
		--qemu "-object memory-backend-ram,id=slow,size=1152M -numa node,memdev=slow" \
		--append "memmap=16M!1008M,512M%1G-1+0xefffffff,640M\$1536M" \
		--append "memhp_default_state=online_movable" \
		--append "test_hmm.spm_addr_dev0=0x60000000 test_hmm.spm_addr_dev1=0x70000000"
	variant bootllc guest "boot_param map_truth" --qemu "-cpu max,vendor=GenuineIntel" \
		--append palloc.map=llc --append palloc.enabled=1
	ran added hotplug "memory is added"
	ran devices migrate demotion
	ran devices remote "an IOMMU maps: cgroup"
	ran devices remote "a device's memory, pinned: cgroup"
	ran devices page_cache "files without a page cache"
}

variants; echo "rc $?"; cat $out/results/variants/summary
