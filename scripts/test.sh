#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Runs stages of the tests, all of them whatever fails, and closes with the sum:
# test.sh [check] [guest] [debug] [variants] [matrix]
#
# To us, each guest is one thread, and so are the compilers. So guests start as soon as their
# kernel is there, while the next one is built with what they leave of the CPUs; those that
# take longest first, and the tests of the debug kernel in two guests.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

guests=$((JOBS < 4 ? JOBS : 4))
for stage; do rm -rf "$out/results/$stage"; done
built=$(mktemp -d)
# job COMMAND...: in the background, in a group that ends with us
job() {
	set -m
	"$@" &
	set +m
}
# shellcheck disable=SC2317
finish() {
	local pid
	trap '' INT TERM HUP
	for pid in $(jobs -p); do kill -- "-$pid" 2>/dev/null || true; done
	rm -rf "$built"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# What a guest with the debug kernel takes
debug=(--memory 2G --time-scale 5 --boot-limit 300 --append "page_poison=1 page_owner=on slub_debug=FZPU")

# What shows that every path keeps its color
paths='fork_exec remote thp page_cache swap ksm migrate recolor'

# boot NAME KERNEL TESTS OPTION...: in the queue; all tests if there are none, every second
# for "odd" and "even". The outcome is in results/NAME.
queue=()
boot() { queue+=("$2 $(printf '%q ' "$@")"); }
# guest NAME KERNEL TESTS OPTION...: boots it
guest() {
	local name=$1 kernel=$2 list=$3 half
	shift 3
	case $list in
	odd | even)
		half=$([ "$list" = odd ] && echo 1 || echo 0)
		list=$({ if [ -n "${TESTS-}" ]; then tr -s ' ' '\n' <<<"$TESTS"; else sed 's/.*://' "$out/kselftest/kselftest-list.txt"; fi; } |
			awk -v half="$half" 'NF && ++n % 2 == half' | paste -sd ' ')
		if [ -z "$list" ]; then return; fi
		;;
	*) list=${TESTS:-$list} ;;
	esac
	if [ "$(cat "$built/$kernel" 2>/dev/null)" != ok ] ||
		! "$top/scripts/guest.sh" --add "$out/kselftest:kselftest" --set KUNIT=yes \
			--set "TESTS=${list:+ $list }" "$@" "$name" "$out/$kernel/$image" kselftest; then
		mkdir -p "$out/results/$name"
		touch "$out/results/$name/failed"
	fi
}
# All of the queue, with at most so many jobs at a time, of which the builder is one
run_queue() {
	local i
	while ((${#queue[@]})); do
		if (($(jobs -rp | wc -l) < guests)); then
			for i in "${!queue[@]}"; do
				if [ -e "$built/${queue[i]%% *}" ] || ! kill -0 "$builder" 2>/dev/null; then
					eval "job guest ${queue[i]#* }"
					unset "queue[i]"
					continue 2
				fi
			done
		fi
		sleep 0.5
	done
	wait
}
variant() { boot "variants/$1" "${@:2}"; }

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

# Memory laid out in other ways, what else takes pages off the free lists, and other
# numbers of CPUs
boot_variants() {
	local guard=debug_guardpage_minorder=1 version
	version=$(kernel_version "$BUILD/linux")
	if [[ $version =~ ^6\.12\.([0-9]+) ]] && ((BASH_REMATCH[1] < 117)); then
		say "guardpage has no guard pages: Linux $version counts free pages wrong with them"
		guard=
	fi
	variant guardpage debug map_change --memory 1G --time-scale 5 --boot-limit 300 \
		--append "debug_pagealloc=on page_poison=1 $guard"
	variant cpus guest "policy exhaustion stress lossless $paths" --cpus 4
	variant nodes guest "zones lossless hotplug four_cases $paths" --cpus 4 "${two_nodes[@]}"
	variant cpu guest "$paths" --cpus 1
	variant shuffle guest "lossless map_change hotplug" --append page_alloc.shuffle=1
	variant movable guest "zones lossless hotplug hwpoison cma" --append movablecore=400M
	variant normal guest "zones lossless cma" --memory 6G
	variant bootmap guest "boot_param map_truth four_cases" \
		--append palloc.map=14^18,15^19,16^20,17^21 --append palloc.enabled=1
	variant bootbad guest "boot_param map_truth" --append palloc.map=14^18,zebra \
		--append palloc.enabled=2
	variant nocache guest "boot_param map_truth" --cpus 1 --append palloc.map=l2 "${no_cache[@]}"
	variant disabled guest "no_cgroup future syscalls map_palloc" --append cgroup_disable=palloc
	if [[ $version == 6.12.* ]]; then
		# Large folios of all sizes
		variant mthp guest "$paths" --append "thp_anon=16K-1M:always;2M:inherit"
	fi
	if [ "$ARCH" = x86 ]; then boot_variants_x86; fi
}

# What arm64 has no way to: memory that was held back at boot can't be added (plain guests
# have some that is), QEMU tells nothing of caches, and no memory is soft reserved,
# persistent or a device's without firmware
boot_variants_x86() {
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
}

# Tests that are left out elsewhere, and the guests where they must not be
only='nodes migrate NUMA hints'
if [ "$ARCH" = x86 ]; then
	only+='
added hotplug memory is added
devices migrate demotion
devices remote an IOMMU maps: cgroup
devices remote a device'\''s memory, pinned: cgroup
devices page_cache files without a page cache'
fi

# The paths with each number of CPUs and nodes, in both kernels; too long for each day
boot_matrix() {
	local cpus nodes
	for cpus in 1 4; do
		for nodes in 1 2; do
			boot "matrix/debug-$cpus-$nodes" debug "$paths" "${debug[@]}" --cpus $cpus \
				--append numa=fake=$nodes
			boot "matrix/guest-$cpus-$nodes" guest "$paths" --cpus $cpus --append numa=fake=$nodes
		done
	done
}

# needs STAGE: the kernels that it boots
needs() {
	case $1 in
	check) ;;
	guest | debug) echo "$1" ;;
	variants)
		echo guest debug
		if [ "$ARCH" = x86 ]; then echo devices; fi
		;;
	matrix) echo guest debug ;;
	*) die "no such stage: $1" ;;
	esac
}
needed=$(for stage; do needs "$stage"; done)
# In the order in which they are built
kernels=
for kernel in guest debug devices; do
	if [[ $needed =~ (^|[[:space:]])$kernel($|[[:space:]]) ]]; then kernels+=" $kernel"; fi
done

# The kernels one by one, those that come first with all tests' programs; once guests run,
# with what they leave
build() {
	local kernel fragments first=yes nice=()
	for kernel in $kernels; do
		fragments=(guest palloc kunit)
		if [ "$kernel" != guest ]; then fragments+=("$kernel"); fi
		if "${nice[@]}" "$top/scripts/kernel.sh" "$kernel" patched "${fragments[@]}" &&
			{ [ -z "$first" ] || "$top/scripts/kselftest.sh" "$kernel"; }; then
			echo ok >"$built/$kernel.new"
		else
			echo failed >"$built/$kernel.new"
		fi
		mv "$built/$kernel.new" "$built/$kernel"
		if [ -n "$first" ] && [ "$(cat "$built/$kernel")" = failed ]; then return 1; fi
		first='' nice=(nice -n 19)
	done
}

if (($# > 1)); then export WHOLE=yes; fi
if [[ " $* " == *" check "* ]]; then "$top/scripts/check.sh" || true; fi
# A stage without results has failed
if [ -n "$kernels" ] && "$top/scripts/tree.sh" patched; then
	# In this order
	for stage in debug guest variants matrix; do
		if [[ " $* " != *" $stage "* ]]; then continue; fi
		case $stage in
		guest) boot guest guest '' ;;
		debug)
			boot debug/1 debug odd "${debug[@]}"
			# KUnit's tests have run in the other
			boot debug/2 debug even "${debug[@]}" --set KUNIT=no --append kunit.enable=0
			;;
		variants | matrix) "boot_$stage" ;;
		esac
	done
	job build
	builder=$!
	run_queue
fi

passed=0 failed=0 skipped=0
for stage; do
	sum=(0 0 0)
	# A stage of one part, or of several
	for part in "$out/results/$stage" "$out/results/$stage"/*/; do
		[ -e "$part/summary" ] || [ -e "$part/failed" ] || continue
		p=0 f=0 k=0
		if [ -f "$part/summary" ]; then read -r p f k <"$part/summary"; fi
		# What broke has failed, too
		if [ -e "$part/failed" ] && ((f == 0)); then f=1; fi
		sum=($((sum[0] + p)) $((sum[1] + f)) $((sum[2] + k)))
	done
	if [ "$stage" = variants ] && [ -z "${TESTS-}" ]; then
		while read -r part program name; do
			if ! grep -q " $name\$" "$out/results/variants/$part/$program.tap"; then
				echo "FAILED  variants/$part: $program has left out: $name"
				sum[1]=$((sum[1] + 1))
			fi
		done <<<"$only"
	fi
	if ((sum[0] + sum[1] + sum[2] == 0)); then sum[1]=1; fi
	say "$stage: ${sum[0]} passed, ${sum[1]} failed, ${sum[2]} skipped"
	passed=$((passed + sum[0])) failed=$((failed + sum[1])) skipped=$((skipped + sum[2]))
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
