#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Cost per page of the patched kernel next to stock v6.6, both built alike. The
# guest's clock counts instructions, so that two runs give the same digits.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pristine=$("$top/scripts/tree.sh" pristine)
"$top/scripts/tree.sh" patched
"$top/scripts/kernel.sh" bench-stock "$pristine" guest
"$top/scripts/kernel.sh" bench-palloc "$BUILD/linux" guest palloc
"$top/scripts/kselftest.sh" bench-palloc

out=$BUILD/bench
mkdir -p "$out"
: >"$out/log"
for kernel in stock palloc; do
	"$top/scripts/guest.sh" --raw --icount --cpus 1 --memory 1G --test-limit 1800 \
		--set NAME=bench --set LIMIT=1800 \
		--add "$BUILD/kselftest:kselftest" --add "$top/scripts/guest/bench.sh:script" \
		"bench-$kernel" "$BUILD/bench-$kernel/arch/x86/boot/bzImage" script
	sed -n "s/^bench /$kernel /p" "$BUILD/results/bench-$kernel/bench.out" >>"$out/log"
done

# A line is: kernel, scenario, round, "fault" ns "unmap" ns per page, "worst" ns. The
# first round is shown apart, as it also sorts pages. Ratios are to the stock kernel.
{
	echo "kernel,scenario,fault_ns,unmap_ns,first_sum_ns,worst_ns,first_to_stock,to_stock"
	awk '
		$3 == "SKIP" { next }
		{ id = $1 "," $2; sum = $5 + $7 }
		!(id in first) { first[id] = sum; order[++n] = id }
		{ last[id] = sum; fault[id] = $5; unmap[id] = $7 }
		$9 > worst[id] { worst[id] = $9 + 0 }
		END {
			for (i = 1; i <= n; i++) {
				id = order[i]
				base = "stock," (id ~ /,mixed/ ? "mixed_stock" : "stock")
				if (!last[base]) exit 1
				printf "%s,%d,%d,%d,%d,%.3f,%.3f\n", id, fault[id], unmap[id], first[id], worst[id],
					first[id] / first[base], last[id] / last[base]
			}
		}' "$out/log"
} >"$out/bench.csv"
(($(wc -l <"$out/bench.csv") > 1)) || die "no results in $BUILD/results/bench-stock/bench.out"
sed -e 's/,/ | /g; s/.*/| & |/' -e '1a |---|---|--:|--:|--:|--:|--:|--:|' "$out/bench.csv" >"$out/bench.md"
awk -F , '{ printf "%-7s %-12s %9s %9s %13s %9s %15s %9s\n", $1, $2, $3, $4, $5, $6, $7, $8 }' "$out/bench.csv"
say "the same in $out/bench.md and $out/bench.csv"
