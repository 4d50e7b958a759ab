#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What scripts/stress.sh does in the guest, in the folder of the kselftest programs:
# SECONDS_LONG seconds of load in two colored cgroups and one without colors.

# shellcheck source=/dev/null
. /settings
palloc=/sys/kernel/debug/palloc
cg=/sys/fs/cgroup
kernel_mm=/sys/kernel/mm
failed=0

fail() {
	echo "stress: FAILED: $*"
	failed=1
}

# Swap, and a file system for what the stressors make: both take memory only for what
# is written to them
[ -e /dev/zram0 ] || cat /sys/class/zram-control/hot_add >/dev/null
echo 1G >/sys/block/zram0/disksize
if ! mkswap /dev/zram0 >/dev/null || ! swapon /dev/zram0; then fail "no swap"; fi
id=$(cat /sys/class/zram-control/hot_add)
echo 512M >"/sys/block/zram$id/disksize"
mkdir -p /scratch
if ! mke2fs "/dev/zram$id" >/dev/null 2>&1 || ! mount -t ext2 "/dev/zram$id" /scratch; then
	fail "no ext2"
fi

# Whatever may replace a page is to be busy
echo always >$kernel_mm/transparent_hugepage/enabled
echo 100 >$kernel_mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
echo 1 >$kernel_mm/ksm/run
echo 80 >/proc/sys/vm/swappiness
if [ -e /sys/module/zswap/parameters/enabled ]; then
	echo Y >/sys/module/zswap/parameters/enabled
fi

echo 0xf000 >$palloc/palloc_mask
echo reset >$palloc/control
echo 1 >$palloc/use_palloc
echo "+palloc +memory +pids" >$cg/cgroup.subtree_control || fail "no controllers"

# group NAME BINS: stress-ng in a cgroup; with less memory than it uses, so that it swaps
group() {
	mkdir "$cg/$1" "/scratch/$1"
	echo "$2" >"$cg/$1/palloc.bins"
	echo 160M >"$cg/$1/memory.high"
	sh -c "echo \$\$ >$cg/$1/cgroup.procs; exec stress-ng --temp-path /scratch/$1 --timeout $((SECONDS_LONG + 10))s \
		--vm 1 --vm-bytes 96M --fork 1 --mmap 1 --mmap-bytes 48M --mremap 1 --mremap-bytes 32M \
		--madvise 1 --userfaultfd 1 --userfaultfd-bytes 16M --swap 1 \
		--verify --metrics-brief" >"/tmp/$1.log" 2>&1 &
	eval "pid_$1=\$!"
}
group a 0-3
group b 5,8-11
group plain ''
sleep 5

# Compaction moves pages; what it does is no reason to fail
sh -c 'while sleep 10; do echo 1 >/proc/sys/vm/compact_memory; done' &
compacts=$!

./palloc_sample "$SECONDS_LONG" $cg/a $cg/b || fail "colors"
kill $compacts

for name in a b plain; do
	eval "pid=\$pid_$name"
	# shellcheck disable=SC2154
	wait "$pid" || fail "stress-ng in $name: status $?"
	echo "stress-ng in $name:"
	cat "/tmp/$name.log"
	echo "palloc.events of $name: $(tr '\n' ' ' <"$cg/$name/palloc.events")"
done
# So that one sees what was going on
grep -E '^(pswpin|pswpout|zswpin|zswpout|pgsteal_direct|pgmigrate_success|compact_isolated|thp_fault_alloc|thp_collapse_alloc|thp_split_page) ' /proc/vmstat
exit $failed
