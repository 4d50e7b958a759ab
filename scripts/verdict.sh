#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Judges what a guest left in a results folder: verdict.sh [--raw] DIR
#
# Reads console.log, report.log and, if the runner had to stop the guest, timeout.
# Writes one TAP file per test and "summary" with the numbers passed, failed and
# skipped; prints the outcome, and what a test noted on a point that failed.
# Everything that is wrong counts as a failure of its own, and a skip is wrong
# too unless its test is listed in EXPECTED_SKIPS: our guest has every feature.
# Fails if anything did.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

raw=0 suffix=tap
if [ "$1" = --raw ]; then
	raw=1 suffix=out
	shift
fi
dir=$1

splat='BUG:|WARNING:|Call [Tt]race:|Kernel panic|Oops|general protection fault|KASAN:|UBSAN:|KFENCE:'
splat+='|Bad page|bad page|list_(add|del) corruption|possible (circular|recursive|irq lock|deadlock)|inconsistent lock state'
splat+='|suspicious RCU usage|held lock freed|lock held when returning|scheduling while atomic|sleeping function called'
splat+='|soft lockup|hard LOCKUP|rcu: INFO:|blocked for more than|page allocation failure|Out of memory:'
splat+='|pagealloc: (single bit|memory corruption)|[Uu]nable to handle (kernel|page fault)|Internal error:'

# Split the report: the lines between "test" and "exit" marks are a test's output.
awk -v dir="$dir" -v raw=$raw -v suffix=$suffix -v notes=30 -v skips=" ${EXPECTED_SKIPS-} " '
	function wrong(text) { print "FAILED " name ": " text; failed++; bad++ }
	function finish(status) {
		if (raw) {
			if (status == 0) passed++
			else wrong("exit status " status)
			return
		}
		if (!planned && !(status == 4))
			wrong("no plan")
		else if (planned && plan != points)
			wrong("planned " plan ", saw " points)
		if (status != 0 && status != 4 && !bad)
			wrong(status == 124 || status == 137 || status == 143 ? "ran out of time" : "exit status " status)
		if (status == 4 && !skipped_here) skip("the whole test")
		printf "%-7s %s: %d points\n", bad ? "FAILED" : "ok", name, points
	}
	function skip(text) {
		skipped_here++
		if (index(skips, " " name " ")) skipped++
		else wrong("unexpected skip: " text)
	}
	/^@@ boot$/ { booted = 1; next }
	/^@@ end$/ { ended = 1; next }
	/^@@ test / {
		name = $3; file = dir "/" name "." suffix; tests++
		printf "" >file
		plan = points = planned = bad = skipped_here = 0
		running = 1; nr_notes = 0
		next
	}
	/^@@ exit / { close(file); running = 0; finish($4); next }
	!running { next }
	/^$/ && !raw { next }
	{ print >file }
	raw { next }
	/^1\.\.[0-9]+/ {
		if (planned++) wrong("two plans")
		plan = substr($1, 4) + 0
		if (plan == 0 && !skipped_here) skip($0)
	}
	# What a test has to say of a point comes before it
	/^# / { note[nr_notes++ % notes] = $0 }
	/^ok / { points++; nr_notes = 0 }
	/^ok .*# *SKIP/ { skip($0); next }
	/^ok / { passed++ }
	/^not ok / {
		points++
		wrong($0)
		for (i = nr_notes > notes ? nr_notes - notes : 0; i < nr_notes; i++)
			print "        " note[i % notes]
		nr_notes = 0
	}
	END {
		name = "guest"
		if (running) wrong("ended during " file)
		else if (!booted) wrong("did not boot")
		else if (!ended) wrong("did not reach the end")
		else if (!tests) wrong("ran no test")
		printf "%d %d %d\n", passed, failed, skipped >(dir "/summary")
	}' "$dir/report.log" >"$dir/verdict"

read -r passed failed skipped <"$dir/summary"
complain() {
	echo "FAILED guest: $*" >>"$dir/verdict"
	failed=$((failed + 1))
}
if [ -s "$dir/timeout" ]; then complain "$(cat "$dir/timeout")"; fi
# A test may want the OOM killer to kill a process that it calls "oom_victim"
console() {
	awk '
		/invoked oom-killer:/ { trace = killing = 1 }
		killing && trace && /Call [Tt]race:/ { trace = 0; next }
		/Out of memory: Killed process [0-9]+ \(oom_victim\)/ { killing = 0; next }
		{ print }' "$dir/console.log"
}
if found=$(console | grep -aE "$splat" | head -n 5) && [ -n "$found" ]; then
	while IFS= read -r line; do complain "console: $line"; done <<<"$found"
fi
echo "$passed $failed $skipped" >"$dir/summary"

if ((raw)); then
	grep '^FAILED' "$dir/verdict" || true
else
	cat "$dir/verdict"
fi
if ((failed)); then
	echo "console log: $dir/console.log"
	exit 1
fi
