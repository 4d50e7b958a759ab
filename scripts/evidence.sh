#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Shows what coloring does to row conflicts, evictions and slowdown: records the memory
# accesses of programs in guests, with a plugin of QEMU's, has a simulator replay them, and
# writes a report. See evidence/README.md.
#
# All of it is in $BUILD/evidence; a report is there if all of it was made, else none is.
# MACHINES, ARMS, VICTIMS and SEEDS may be set to have less, or more, of it. With STOCK=yes
# arm "stock" is a kernel without the series instead of one that does not use it.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

[ "$ARCH" = x86 ] || die "this is for ARCH=x86 only"
dir=$BUILD/evidence
here=$top/evidence
# Both with the same cores and caches, see there: the map, and the DRAM
machines=${MACHINES:-w3530:ddr3-1066 xor:ddr4-2400}
arms=${ARMS:-stock same banks sets wrong}
# What runs, and what disturbs it
victims=${VICTIMS:-latency/read bandwidth/write cache/write sqlite/write}
seeds=${SEEDS:-3}
[[ $seeds =~ ^[1-9][0-9]?$ ]] || die "SEEDS: a number from 1 to 99 is needed"

# No report, rather than one of before, or half of one
rm -rf "$dir"/{report.md,report.html,csv,plots,targets,new}
mkdir -p "$dir"/{bin,traces,runs,new}

# What traces, runs and the report take; a disk that fills up meanwhile is noticed, too
need=500
room=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
((room >= need)) || die "$dir: $need MiB are needed, $room are left"

step "building plugin and simulator" "$BUILD/log/evidence" make -C "$here" O="$dir/bin"

programs=$dir/programs
pack() {
	rm -rf "$programs"
	mkdir -p "$programs"
	cp "$dir/bin"/{load,mark,start.so,stop.so} "$here/guest/query.sql" "$programs"
	cp "$(command -v sqlite3)" "$programs"
	ldd "$(command -v sqlite3)" | sed -nE 's|.*[[:space:]](/[^ ]*) \(.*|\1|p' |
		xargs cp -L -t "$programs"
	mv "$programs"/ld-linux* "$programs/ld.so"
}
pack

# record MACHINE NAME KERNEL ARMS: the traces go to traces/NAME, the list of recordings to
# traces/NAME/list
record() {
	local to=$dir/traces/$2
	rm -rf "$to"
	mkdir -p "$to"
	# Whoever asks for random numbers or the time gets the same ones each time. An instruction
	# is 4 ns: waiting, which the kernel does while it boots, takes the emulator's time
	"$top/scripts/guest.sh" --raw --icount --cpus 4 --memory 1G --boot-limit 900 \
		--qemu "-plugin $dir/bin/palloc_trace.so,out=$to,max_records=300000,max_insns=30000000" \
		--qemu "-icount shift=2 -seed 1 -rtc base=2020-01-01,clock=vm" \
		--append "page_alloc.shuffle=1 kunit.enable=0" \
		--set NAME=evidence --set LIMIT=3600 --set "MACHINE=$1" --set "ARMS=$4" \
		--set "VICTIMS=$victims" --add "$programs:evidence/programs" \
		--add "$here/maps:evidence/maps" --add "$here/guest/record.sh:script" \
		"evidence/$2" "$3" script </dev/null
	sed -n 's/^recording //p' "$out/results/evidence/$2/evidence.out" >"$to/list"
	grep '^#' "$out/results/evidence/$2/evidence.out" >"$to/cgroups" || true
}

kernel=$out/guest/$image
stock=
if [ "${STOCK-}" = yes ] && [[ " $arms " == *" stock "* ]]; then
	pristine=$("$top/scripts/tree.sh" pristine)
	"$top/scripts/kernel.sh" evidence-stock "$pristine" guest
	stock=$out/evidence-stock/$image
fi
for machine in $machines; do
	name=${machine%:*}
	[ -e "$here/maps/$name.map" ] || die "MACHINES: there is no evidence/maps/$name.map"
	[ -e "$here/machines/${machine#*:}.conf" ] ||
		die "MACHINES: there is no evidence/machines/${machine#*:}.conf"
done
names=
pids=
for machine in $machines; do
	name=${machine%:*}
	while (($(jobs -rp | wc -l) >= JOBS)); do sleep 0.5; done
	if [ -n "$stock" ]; then
		record "$name" "$name" "$kernel" "${arms/stock/}" &
		pids+=" $!"
		record "$name" "$name-stock" "$stock" stock &
		names+=" $name-stock"
	else
		record "$name" "$name" "$kernel" "$arms" &
	fi
	pids+=" $!"
	names+=" $name"
done
for pid in $pids; do wait "$pid" || die "a guest failed, there is no report"; done

# The runs of the simulator, a line each: name, options, traces
plan() {
	local machine name from nr arm victim hog trace hogs seed options all only
	for machine in $machines; do
		name=${machine%:*}
		for from in $names; do
			[ "${from%-stock}" = "$name" ] || continue
			while read -r nr arm victim hog; do
				trace=$dir/traces/$from/$nr.vcpu
				options="-c $here/machines/cores.conf -c $here/machines/${machine#*:}.conf"
				# A hog that hardly ran would disturb nobody
				options+=" -m $here/maps/$name.map -s min_records=100000"
				# A pass through its memory, where that is to be cached; and whose
				# accesses wait for each other
				case $victim in
				cache) options+=" -s warmup=16500 -s dependent=1" ;;
				latency) options+=" -s warmup=1000 -s dependent=1" ;;
				*) options+=" -s warmup=5000" ;;
				esac
				run() { echo "$name.$arm.$victim.$hog.$1.$2.$seed $options $3 -s seed=$seed"; }
				all=
				for hogs in 0 1 2 3; do
					all+=" $trace$hogs.trace"
					seed=1
					run base "$hogs" "" | sed "s|\$|$all|"
				done
				for ((seed = 2; seed <= seeds; seed++)); do
					run base 3 "" | sed "s|\$|$all|"
				done
				seed=1
				# What is shared whatever the colors, and caches that are not as told
				case $arm-$victim in
				stock-latency | sets-latency | stock-cache | sets-cache)
					for hogs in 0 3; do
						only=$all
						if ((!hogs)); then only=${trace}0.trace; fi
						run misses16 "$hogs" "-s shared_misses=16" | sed "s|\$| $only|"
						run misses8 "$hogs" "-s shared_misses=8" | sed "s|\$| $only|"
						run random "$hogs" "-s llc_policy=random" | sed "s|\$| $only|"
						run hashed "$hogs" "-s llc_hash=1" | sed "s|\$| $only|"
					done
					;;
				esac
			done <"$dir/traces/$from/list"
		done
	done
}
simulate() {
	local name=$1 heat=()
	shift
	if [[ $name =~ \.latency\.read\.base\.3\.1$ ]]; then
		heat=(-s slice=100000 --heat "$dir/runs/$name.heat")
	fi
	"$dir/bin/palloc-sim" "${heat[@]}" "$@" >"$dir/runs/$name.new" || return
	mv "$dir/runs/$name.new" "$dir/runs/$name"
}
export -f simulate
export dir
rm -rf "$dir/runs"
mkdir -p "$dir/runs"
plan >"$dir/plan"
simulations() { xargs -P "$JOBS" -L 1 bash -c 'simulate "$@"' - <"$dir/plan"; }
step "simulating $(wc -l <"$dir/plan") runs" "$BUILD/log/evidence-runs" simulations

step "writing the report" "$BUILD/log/evidence-report" \
	python3 "$here/report.py" "$dir" "$out/guest/System.map" "$dir/new"
mv "$dir/new"/* "$dir"
rmdir "$dir/new"
cat "$dir/report.md"
say "the report: $dir/report.html and report.md"
# Partitions that are not isolated, or a wrong map that does not show, are an error
! grep -q '^- NOT MET' "$dir/targets"
