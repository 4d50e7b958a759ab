#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What scripts/evidence.sh has the guest do: experiments, with the files that a user of
# palloc would write to. A victim runs on CPU 0, three hogs on CPUs 1 to 3, each in a
# cgroup of its own; the victim's marks have the plugin record all of them.
#
# MACHINE, ARMS and VICTIMS come from /settings.

# shellcheck source=/dev/null
. /settings
debugfs=/sys/kernel/debug/palloc
cgroup=/sys/fs/cgroup
files=/evidence

# bins ARM NUMBER: what cgroup NUMBER gets. On the w3530, bits 0 and 1 of a bin are also in
# the number of a cache set, 2 and 3 are not. On the i5-2520m, all banks have lines in all sets,
# which is what the two more functions, bits 4 and 5, are for.
bins() {
	case $MACHINE-$1 in
	w3530-same) echo 0 ;;
	w3530-banks) seq -s , $((4 * $2)) $((4 * $2 + 3)) ;;
	w3530-sets | w3530-wrong) seq -s , "$2" 4 15 ;;
	i5-2520m-same) seq -s , 0 16 63 ;;
	i5-2520m-banks) seq -s , "$2" 4 63 ;;
	i5-2520m-sets | i5-2520m-wrong) seq -s , $((16 * $2 + $2)) 4 $((16 * $2 + 15)) ;;
	esac
}

# In a cgroup: start NUMBER COMMAND..., on that CPU. The program's file is copied by a task
# of the cgroup, as pages of a file are those of who brings them in.
# shellcheck disable=SC2016
start='
	[ "$1" = none ] || echo $$ >"$1/cgroup.procs" || exit
	cd "$2" || exit
	cp -r "$3/." . || exit
	cpu=$4
	shift 4
	exec taskset -c "$cpu" "$@"
'
start() {
	number=$1
	shift
	group=$cgroup/part$number
	[ -d "$group" ] || group=none
	mkdir -p "/tmp/part$number"
	sh -c "$start" - "$group" "/tmp/part$number" $files/programs "$number" "$@"
}

victim() {
	case $1 in
	# Its memory fits into a quarter of the LLC; it does something with it
	cache) start 0 ./load latency -s 1536 -w 200 -r 73728 ;;
	latency) start 0 ./load latency -s 12288 -r 40000 ;;
	bandwidth) start 0 ./load read -s 12288 -r 80000 ;;
	sqlite)
		start 0 ./ld.so --library-path . ./sqlite3 -batch :memory: \
			'.read query.sql'
		;;
	esac
}

set_up() {
	[ "$1" != stock ] || return 0
	map=$files/$MACHINE.map
	[ "$1" != wrong ] || map=$files/$MACHINE-wrong.map
	cat "$map" >$debugfs/control || exit 1
	echo 1 >$debugfs/use_palloc
	for n in 0 1 2 3; do
		mkdir $cgroup/part$n
		bins "$1" $n >$cgroup/part$n/palloc.bins || exit 1
	done
}

# Nothing of an experiment is there in the next
tear_down() {
	[ -z "$hogs" ] || kill $hogs
	wait
	hogs=
	rm -rf /tmp/part?
	[ -e $cgroup/part0 ] || return 0
	for n in 0 1 2 3; do
		echo "# part$n bins $(cat $cgroup/part$n/palloc.bins.effective)" \
			$(cat $cgroup/part$n/palloc.events)
		rmdir $cgroup/part$n
	done
	echo 0 >$debugfs/use_palloc
}

if [ -d $debugfs ]; then echo +palloc >$cgroup/cgroup.subtree_control; fi
hogs=
nr=0
failed=0
for arm in $ARMS; do
	for victim in $VICTIMS; do
		set_up "$arm"
		for n in 1 2 3; do
			start $n ./load write -s 8192 >/tmp/hog$n &
			hogs="$hogs $!"
		done
		for n in 1 2 3; do
			until grep -q ready /tmp/hog$n; do sleep 0.05; done
		done
		victim "$victim" >/tmp/victim || { failed=1; echo "# $arm $victim: $?"; }
		echo "recording $nr $arm $victim"
		nr=$((nr + 1))
		rm -f /tmp/hog?
		tear_down
	done
done
exit $failed
