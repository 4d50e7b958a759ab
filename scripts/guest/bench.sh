#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What scripts/bench.sh does in the guest, in the folder of the kselftest programs.
# PARTS names the parts to run; OPTION is for palloc_bench. The stock kernel runs the rows without -m, the
# patched one those with -m: a row is compared with that of its part and size.

# part, row, and how palloc_bench is called
rows='
main       stock           plain
main       stock           plain -s 32768
main       stock           plain -s 2048
main       stock           plain -s 512
main       off             plain -m 0xf000 -o
main       enabled         plain -m 0xf000
main       cgroup_4_of_16  plain -m 0xf000 -b 0-3
main       region_1_of_16  plain -m 0xf000 -c 3 -s 32768
main       1_of_256        plain -m 0xff000 -b 5 -s 2048
main       1_of_1024       plain -m 0x3ff000 -b 5 -s 512

mixed      stock           mixed
mixed      off             mixed -m 0xf000 -o
mixed      enabled         mixed -m 0xf000
mixed      cgroup_4_of_16  mixed -m 0xf000 -b 0-3
mixed      region_1_of_16  mixed -m 0xf000 -c 3

fragmented stock           plain
fragmented stock           plain -s 16384
fragmented off             plain -m 0xf000 -o
fragmented enabled         plain -m 0xf000
fragmented cgroup_4_of_16  plain -m 0xf000 -b 0-3
fragmented region_1_of_16  plain -m 0xf000 -c 3 -s 16384

turns      stock           turns -s 32768
turns      enabled         turns -m 0xf000 -s 32768
turns      two_cgroups     turns -m 0xf000 -b 0-3 -B 4-7 -s 32768

regions    stock           regions -s 16384
regions    region_and_cgroup regions -m 0xf000 -b 0-3 -c 5 -s 16384

sizes      stock           plain
sizes      stock           plain -s 32768
sizes      cgroup_4_of_16  plain -m 0xf000 -b 0-3
sizes      region_1_of_16  plain -m 0xf000 -c 3 -s 32768

colors     stock           plain
colors     stock           plain -s 32768
colors     stock           plain -s 8192
colors     stock           plain -s 2048
colors     stock           plain -s 512
colors     1_of_4          plain -m 0x3000 -b 1
colors     1_of_16         plain -m 0xf000 -b 5 -s 32768
colors     1_of_64         plain -m 0x3f000 -b 5 -s 8192
colors     1_of_256        plain -m 0xff000 -b 5 -s 2048
colors     1_of_1024       plain -m 0x3ff000 -b 5 -s 512
colors     4_of_16         plain -m 0xf000 -b 4-7
colors     16_of_64        plain -m 0x3f000 -b 16-31
colors     64_of_256       plain -m 0xff000 -b 64-127
colors     256_of_1024     plain -m 0x3ff000 -b 256-511

remap      free            remap -m 0xf000
remap      3/4_allocated   remap -m 0xf000
remap      fragmented      remap -m 0xf000

compact    stock           compact
compact    off             compact -m 0xf000 -o
compact    enabled         compact -m 0xf000
compact    cgroup_12_of_16 compact -m 0xf000 -b 0-11

tasks      stock           plain -t 4 -s 16384
tasks      cgroup_4_of_16  plain -t 4 -m 0xf000 -b 0-3 -s 16384
tasks      region_1_of_16  plain -t 4 -m 0xf000 -c 3 -s 8192
tasks      stock           plain -t 4 -s 8192
'

# What a map allocates, by the kernel's own events: an index is allocated on its
# zone's node, the map on any.
memory() {
	tracing=/sys/kernel/debug/tracing
	palloc=/sys/kernel/debug/palloc
	zones=$(grep -c '^ *managed *[1-9]' /proc/zoneinfo)
	echo 1 >$palloc/use_palloc
	for mask in 0xf000 0xff000 0x3ff000; do
		echo 1 >$tracing/events/kmem/kmalloc/enable
		echo 1 >$tracing/events/percpu/percpu_alloc_percpu/enable
		echo >$tracing/trace
		echo $mask >$palloc/palloc_mask
		echo 0 >$tracing/events/enable
		awk -v mask=$mask -v zones="$zones" '
			!/call_site=[a-z_]*(kvmalloc|palloc|index|pcp)/ { next }
			{ for (i = 1; i <= NF; i++) if (split($i, pair, "=") == 2) value[pair[1]] = pair[2] }
			/percpu_alloc_percpu/ { percpu += value["size"]; next }
			value["node"] < 0 { map += value["bytes_alloc"]; next }
			{ zone += value["bytes_alloc"] }
			END {
				printf "bench memory %s map_bytes %d zone_bytes %d zone_cpu_bytes %d\n",
					mask, map, zone / zones, percpu / zones
			}' $tracing/trace
	done
	echo 0 >$palloc/use_palloc
	echo 0 >$palloc/palloc_mask
}

# hold OPTION...: a process that takes memory, until release
hold() {
	./palloc_bench hold "$@" >/tmp/hold &
	holder=$!
	until grep -q holding /tmp/hold; do sleep 1; done
	echo "# $(grep -h 'Normal\|DMA32' /proc/buddyinfo)"
}
release() {
	[ -z "$holder" ] || kill $holder
	[ -z "$holder" ] || wait $holder
	holder=
}

# shellcheck source=/dev/null
. /settings
echo never >/sys/kernel/mm/transparent_hugepage/enabled
# Where a region comes to lie makes 1.5 %
echo 0 >/proc/sys/kernel/randomize_va_space
# What runs now and then would run in another row after every change
echo 0 >/proc/sys/vm/compaction_proactiveness
patched=
[ ! -d /sys/kernel/debug/palloc ] || patched=yes
holder=
failed=0
for part in $PARTS; do
	case $part in
	fragmented) hold -p 99 -f ;;
	memory) [ -z "$patched" ] || memory ;;
	esac
	while read -r of row call; do
		[ "$of" = "$part" ] || continue
		case $call in *" -m "*) uses=yes ;; *) uses= ;; esac
		[ "$uses" = "$patched" ] || continue
		case $row in
		3/4_allocated) hold -p 75 ;;
		fragmented) hold -p 99 -f ;;
		esac
		# shellcheck disable=SC2086
		./palloc_bench $call $OPTION -n "$part $row" || failed=1
		[ "$part" != remap ] || release
	done <<-EOT
		$rows
	EOT
	release
done
exit $failed
