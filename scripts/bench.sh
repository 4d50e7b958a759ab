#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Cost per page of the patched kernel next to stock v6.6, both built alike.
#
#   bench.sh            the main tables
#   bench.sh more       use of zone->lock, growth with the number of colors and the
#                       size of memory, cost of a change of the map, memory taken,
#                       what compaction is good for
#   bench.sh all        both
#
# With one CPU the guest's clock counts instructions, so that two runs give the same
# digits, but for the last one or two and the worst fault. With several it cannot,
# so that only counts are printed then.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

# which, kernels, memory, CPUs, measured, parts (see scripts/guest/bench.sh)
guests='
bench bench    1G  1 time  main mixed fragmented turns regions
more  lockstat 1G  1 locks main mixed fragmented turns regions remap
more  lockstat 1G  4 locks tasks
more  lockstat 4G  1 locks remap
more  bench    1G  1 time  colors sizes remap memory
more  bench    512M 1 time compact
more  bench    4G  1 time  sizes remap
more  bench    12G 1 time  sizes remap
'
# output file, measured, parts, columns; with a slash at its end, a column is the
# ratio to the stock kernel
cost='kib fault unmap first sum worst first/ sum/ worst/ fallback wrong'
tables="
bench       time  main|mixed|fragmented|turns|regions       $cost
growth      time  colors|sizes                              $cost
remap       time  remap                                     us us_per_gib
memory      time  memory                                    map_bytes zone_bytes zone_cpu_bytes
compaction  time  compact                                   free used moved before after
locks       locks main|mixed|fragmented|turns|regions       kib locks locks/ contended hold hold/ longest longest/ fallback
locks_cpus  locks tasks                                     kib locks locks/ contended fallback
locks_remap locks remap                                     locks hold longest
"

which=${1:-bench}
out=$BUILD/bench
mkdir -p "$out"

guests=$(awk -v which="$which" 'which == $1 || (NF && which == "all")' <<<"$guests")
[ -n "$guests" ] || die "usage: bench.sh [bench|more|all]"

pristine=$("$top/scripts/tree.sh" pristine)
"$top/scripts/tree.sh" patched
# shellcheck disable=SC2013
for kernel in $(awk '{ print $2 }' <<<"$guests" | sort -u); do
	fragment=
	if [ "$kernel" != bench ]; then fragment=$kernel; fi
	# shellcheck disable=SC2086
	"$top/scripts/kernel.sh" "$kernel-stock" "$pristine" guest $fragment
	# shellcheck disable=SC2086
	"$top/scripts/kernel.sh" "$kernel-palloc" patched guest palloc $fragment
done
"$top/scripts/kselftest.sh" bench-palloc

# A line of the log: memory and CPUs, "time" or "locks", "stock" or "palloc", part, row,
# then keys and values
: >"$out/log.$which"
while read -r _ kernel memory cpus measured parts; do
	icount=--icount
	if ((cpus > 1)); then icount=; fi
	option=
	if [ "$measured" = locks ]; then option=-l; fi
	for series in stock palloc; do
		name=$kernel-$series-$memory-$cpus
		"$top/scripts/guest.sh" --raw $icount --cpus "$cpus" --memory "$memory" --boot-limit 600 \
			--set NAME=bench --set LIMIT=3600 --set "PARTS=$parts" --set "OPTION=$option" \
			--add "$BUILD/kselftest:kselftest" --add "$top/scripts/guest/bench.sh:script" \
			"$name" "$BUILD/$kernel-$series/arch/x86/boot/bzImage" script </dev/null
		sed -n "s|^bench |$memory/$cpus $measured $series |p" "$BUILD/results/$name/bench.out" \
			>>"$out/log.$which"
	done
done <<<"$guests"

# table MEASURED PARTS COLUMN...: as CSV; nothing if nothing of it was run
table() {
	awk -v measured="$1" -v parts="^($2)\$" -v columns="${*:3}" '
		$2 != measured || $4 !~ parts { next }
		{
			delete value
			for (i = 6; i < NF; i += 2) value[$i] = $(i + 1)
			base = $1 " " $4 " " value["kib"] " "
		}
		$3 == "stock" { for (key in value) stock[base key] = value[key] }
		!lines++ {
			n = split(columns, column, " ")
			line = "guest,kernel,part,row"
			for (i = 1; i <= n; i++) line = line "," column[i]
			gsub("/", " to stock", line)
			print line
		}
		{
			line = $1 "," $3 "," $4 "," $5
			# Such a row says nothing about the cost of colors
			if (value["fallback"] + value["wrong"]) line = line " (NOT ALL COLORED)"
			for (i = 1; i <= n; i++) {
				key = column[i]
				if (sub("/$", "", key)) {
					by = stock[base key]
					line = line "," (by > 0 ? sprintf("%.3f", value[key] / by) : "-")
				} else {
					line = line "," value[key]
				}
			}
			print line
		}' "$out/log.$which"
}

# show NAME: prints NAME.csv in columns, and makes NAME.md of it
show() {
	sed -e 's/,/ | /g; s/.*/| & |/' -e '1{p;s/[^|]\+/---/g}' "$out/$1.csv" >"$out/$1.md"
	echo
	awk -F , '
		{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
		END {
			for (r = 1; r <= NR; r++) {
				line = ""
				for (i = 1; i <= NF; i++) {
					left = cell[NR, i] !~ /^[-0-9.]+$/
					line = line sprintf(left ? "%-*s  " : "%*s  ", width[i], cell[r, i])
				}
				sub(/ +$/, "", line)
				print line
			}
		}' "$out/$1.csv"
	say "the same in $out/$1.csv and $1.md"
}

# struct_sizes KERNEL: of the structures that palloc adds to, from an object compiled
# once more, with debug information
struct_sizes() {
	local object=$work/page_alloc.o cmd
	cmd=$(sed -nE 's/^[a-z]*cmd_[^ ]* := ([^;]*) ;.*/\1/p' "$BUILD/$1/mm/.page_alloc.o.cmd")
	cmd=${cmd/ -o mm\/page_alloc.o / -g -o $object }
	(cd "$BUILD/$1" && eval "${cmd//mm\/.page_alloc.o.d/$object.d}")
	pahole -s "$object" | awk -v kernel="${1#*-}" '
		$1 ~ /^(page|zone|per_cpu_pages|task_struct|mm_struct)$/ { size[$1] = $2 }
		END { for (s in size) printf "%s,struct %s,%d\n", kernel, s, size[s] }' | sort
}

while read -r name measured parts columns; do
	[ -n "$name" ] || continue
	# shellcheck disable=SC2086
	table "$measured" "$parts" $columns >"$out/$name.csv"
	if [ -s "$out/$name.csv" ]; then show "$name"; fi
done <<<"$tables"

if [ "$which" != bench ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	{
		echo kernel,structure,bytes
		struct_sizes bench-stock
		struct_sizes bench-palloc
	} >"$out/structs.csv"
	show structs
fi
