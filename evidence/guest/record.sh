#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What scripts/evidence.sh has the guest do: experiments, with the files that a user of
# palloc would write to. A victim runs on CPU 0, three hogs on CPUs 1 to 3, each in a
# cgroup of its own; the victim's marks have the plugin record all of them.
#
# MACHINE, ARMS and VICTIMS, each with a kind of hogs, come from /settings.

# shellcheck source=/dev/null
. /settings
debugfs=/sys/kernel/debug/palloc
cgroup=/sys/fs/cgroup
files=/evidence

# bins ARM NUMBER: what cgroup NUMBER gets. On the w3530, bits 0 and 1 of a bin are also in
# the number of a cache set, 2 and 3 are not. On the xor, all banks have lines in all sets,
# which is what the two more functions, bits 4 and 5, are for.
bins() {
	case $MACHINE-$1 in
	w3530-same) echo 0 ;;
	w3530-banks) seq -s , $((4 * $2)) $((4 * $2 + 3)) ;;
	w3530-sets | w3530-wrong) seq -s , "$2" 4 15 ;;
	xor-same) seq -s , 0 16 63 ;;
	xor-banks) seq -s , "$2" 4 63 ;;
	xor-sets | xor-wrong) seq -s , $((16 * $2 + $2)) 4 $((16 * $2 + 15)) ;;
	esac
}

# In a cgroup: start NUMBER FILES COMMAND..., on that CPU. The programs' files are copied by
# a task of the cgroup, as pages of a file are those of who brings them in.
# shellcheck disable=SC2016
start='
	[ "$1" = none ] || echo $$ >"$1/cgroup.procs" || exit
	cd "$2" || exit
	for f in $3; do
		cp "/evidence/programs/$f" . || exit
	done
	cpu=$4
	shift 4
	exec taskset -c "$cpu" "$@"
'
start() {
	number=$1 need=$2
	shift 2
	group=$cgroup/part$number
	[ -d "$group" ] || group=none
	mkdir -p "/tmp/part$number"
	exec sh -c "$start" - "$group" "/tmp/part$number" "$need" "$number" "$@"
}

# How many accesses: scripts/evidence.sh takes the first ones as a warm-up
victim() {
	case $1 in
	# Its memory fits into a quarter of the LLC; it does something with it
	cache) start 0 load ./load latency -s 1024 -w 200 -r 32768 ;;
	latency) start 0 load ./load latency -s 12288 -r 12000 ;;
	bandwidth) start 0 load ./load read -s 12288 -r 24000 ;;
	sqlite)
		start 0 "start.so stop.so $(cd $files/programs && echo ld.so sqlite3 query.sql *.so.*)" \
			./ld.so --library-path . ./sqlite3 -batch :memory: \
			'.read query.sql'
		;;
	esac
}

set_up() {
	[ "$1" != stock ] || return 0
	map=$files/maps/$MACHINE-colors.map
	[ "$1" != wrong ] || map=$files/maps/$MACHINE-wrong.map
	cat "$map" >$debugfs/control || exit 1
	echo 1 >$debugfs/use_palloc
	for n in 0 1 2 3; do
		mkdir $cgroup/part$n
		bins "$1" $n >$cgroup/part$n/palloc.bins || exit 1
	done
}

# Nothing of an experiment is there in the next
tear_down() {
	# shellcheck disable=SC2086
	[ -z "$hogs" ] || kill $hogs
	wait
	hogs=
	rm -rf /tmp/part? /tmp/hog? /tmp/go*
	[ -e $cgroup/part0 ] || return 0
	for n in 0 1 2 3; do
		echo "# part$n bins $(cat $cgroup/part$n/palloc.bins.effective)" \
			"$(tr '\n' ' ' <$cgroup/part$n/palloc.events)"
		rmdir $cgroup/part$n
	done
	echo 0 >$debugfs/use_palloc
}

if [ -d $debugfs ]; then echo +palloc >$cgroup/cgroup.subtree_control; fi
hogs=
nr=0
failed=0
for arm in $ARMS; do
	for pair in $VICTIMS; do
		victim=${pair%/*} hog=${pair#*/}
		set_up "$arm"
		for n in 1 2 3; do
			start $n load ./load "$hog" -s 8192 -n $n >/tmp/hog$n &
			hogs="$hogs $!"
		done
		for n in 1 2 3; do
			until grep -q ready /tmp/hog$n 2>/dev/null; do sleep 0.005; done
		done
		(victim "$victim") >/tmp/victim || { failed=1; echo "# $arm $victim: $?"; }
		# The hogs, too, are to have their time
		: >/tmp/gomore
		for n in 1 2 3; do
			until [ -e /tmp/goenough$n ]; do sleep 0.02; done
		done
		$files/programs/mark
		echo "recording $nr $arm $victim $hog"
		nr=$((nr + 1))
				tear_down
	done
done
exit $failed
