#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What "make demo" does in the guest, in the folder of the kselftest programs.

show() {
	echo "# $*"
	eval "$*"
}
say() { printf '\n%s\n\n' "$*"; }

say "Color pages by address bits 12 to 15, which makes 16 bins; keep part1 to four of them:"
show 'echo 0x0000f000 > /sys/kernel/debug/palloc/palloc_mask'
show 'echo +palloc > /sys/fs/cgroup/cgroup.subtree_control'
show 'mkdir /sys/fs/cgroup/part1'
show 'echo 0-3 > /sys/fs/cgroup/part1/palloc.bins'
show 'echo 1 > /sys/kernel/debug/palloc/debug_level'
show 'echo 1 > /sys/kernel/debug/palloc/use_palloc'
show 'cat /sys/kernel/debug/palloc/control'

say "A task that knows nothing of colors gets pages of any:"
show './microbenchmark -k 4 &'
stock=$!
sleep 2
show "./palloc_hist $stock"
kill $stock

say "The same program in part1:"
# The outer shell's own pages stay what they are: a task is colored by where it was started
show "sh -c 'echo \$\$ > /sys/fs/cgroup/part1/cgroup.procs; exec ./microbenchmark -k 4' &"
part1=$!
sleep 2
show "./palloc_hist $part1"
show 'grep palloc /sys/kernel/debug/tracing/trace | grep microbenchmark | tail -n 4'
kill $part1

say "A program outside of part1 that asks for color 0 with set_color and MAP_PALLOC:"
show './benchmark3 -a 1M -s 4MB'
show './benchmark3 -k -a 1M -s 4MB > /dev/null &'
colored=$!
sleep 2
show "./palloc_hist $colored -r"
kill $colored
