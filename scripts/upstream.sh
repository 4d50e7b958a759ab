#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Runs the kernel's own tests of mm and cgroup on stock v6.6 and on the patched kernel,
# built alike, in the same guest, and compares them, test by test and point by point.
# What is run is in scripts/upstream.list. TESTS="A B" runs only these.
#
# Some of these tests depend on time. What differs is therefore run again, up to
# ROUNDS times (8) on both; a point differs if it has had no result on both kernels.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

rounds=${ROUNDS:-8}
list=$top/scripts/upstream.list
out=$BUILD/upstream
install=$out/kselftest

pristine=$("$top/scripts/tree.sh" pristine)
"$top/scripts/tree.sh" patched
"$top/scripts/kernel.sh" upstream-stock "$pristine" guest upstream
"$top/scripts/kernel.sh" upstream-palloc patched guest palloc upstream

# From the patched tree, which has the same: the headers of both are not
build() {
	make -C "$BUILD/linux" ARCH=x86 O="$BUILD/upstream-palloc" -j "$JOBS" headers
	rm -rf "$install"
	make -C "$BUILD/linux/tools/testing/selftests" ARCH=x86_64 O="$BUILD/upstream-palloc" \
		TARGETS="mm cgroup" -j "$JOBS" INSTALL_PATH="$install" install
}
mkdir -p "$out"
step "building the tests of mm and cgroup" "$BUILD/log/upstream" build

# What busybox lacks for the scripts, and what the C library loads when a thread is
# cancelled
extra=()
for program in bash lscpu fmt; do extra+=(--add "$(command -v $program):bin/$program"); done
extra+=(--add "$(gcc -print-file-name=libgcc_s.so.1):lib/x86_64-linux-gnu/libgcc_s.so.1")

# Whether any of the tests, all if there are none, is for a wide guest, or for the other
any() {
	awk -v tests="$2" -v want="$1" '
		/^#/ || !NF { next }
		tests != "" && !index(tests, " " $2 " ") { next }
		($4 == "wide" ? "wide" : "plain") == want { found = 1 }
		END { exit !found }' "$list"
}

# boot KERNEL ROUND TESTS: runs tests; a line for each point, "test: point: result"
boot() {
	local guest name dir size
	for guest in plain wide; do
		any $guest "$3" || continue
		name=upstream/$1-$2-$guest dir=$BUILD/results/upstream/$1-$2-$guest size=()
		if [ $guest = wide ]; then size=(--cpus 8 --append numa=fake=2); fi
		say "$1, round $2, $guest guest"
		# The tests' exit status and the kernel's messages are what is compared
		"$top/scripts/guest.sh" --raw --memory 2G --set "TESTS=$3" --append numa_balancing=disable \
			"${size[@]}" --add "$install:kselftest" --add "$list:upstream.list" "${extra[@]}" \
			"$name" "$BUILD/upstream-$1/arch/x86/boot/bzImage" upstream >"$dir.log" 2>&1 || true
		grep -qx '@@ end' "$dir/report.log" || die "the guest did not come to its end: $dir"
		points "$dir" | number >"$dir/points"
	done
}

# Numbers that are times, addresses or process ids are no part of a point's name
points() {
	local test status
	sed -nE 's/^@@ exit ([^ ]+) ([0-9]+)$/\1 \2/p' "$1/report.log" | while read -r test status; do
		case $status in
		0) status=passed ;;
		4) status=skipped ;;
		124 | 137 | 143) status=timeout ;;
		*) status=failed ;;
		esac
		echo "$test: exit: $status"
		# TAP, uffd-unit-tests, khugepaged, va_high_addr_switch
		sed -nE -e 's/\x1b\[[0-9;]*m//g; s/.*\r//' -e 's/^ok ([0-9]+ .*# *SKIP).*/\1: skipped/p;t' \
			-e 's/^not ok ([0-9]+ .*)/\1: failed/p;t' -e 's/^ok ([0-9]+ .*)/\1: passed/p;t' \
			-e 's/^(Testing .*)\.\.\. *(done|skipped|failed).*/\1: \2/p;t' \
			-e 's/^(.*[^.])\.{3,} *(OK|Fail|Skip)$/\1: \2/p;t' \
			-e 's/^(.*): 0x[0-9a-f]+ - (OK|FAILED)$/\1: \2/p' "$1/$test.out" |
			sed -E "s/0x[0-9a-f]+/0x/g; s/[0-9]+(\.[0-9]+)? ?(ns|us|ms|s|sec|seconds)\>//g; s|^|$test: |" |
			# Which runs the same points as often as it can in some seconds
			if [ "$test" = test_stress ]; then sort -u; else cat; fi
	done
	# What the kernel has complained of
	grep -aoE '(WARNING: CPU|BUG: [^:]*|Oops|general protection fault|INFO: task|soft lockup).*' "$1/console.log" |
		sed -E 's/[0-9]+//g; s/^/console: /; s/$/: complained/' || true
}

# Names that come again get a number
number() {
	awk '{
		point = $0; sub(/: [^:]*$/, "", point)
		again = seen[point]++ ? " #" seen[point] : ""
		print point again substr($0, length(point) + 1)
	}'
}

# What the kernels have no result in common for, and which tests these are of
differences() {
	awk '
		{ result = $0; sub(/.*: /, "", result); point = $0; sub(/: [^:]*$/, "", point) }
		{ kernel = FILENAME; sub(/-[0-9]+-[a-z]+\/points$/, "", kernel); sub(/.*\//, "", kernel) }
		{ seen[point] = 1; has[kernel, point, result] = 1; count[point, kernel]++
		  if (index(results[kernel, point], result) == 0) results[kernel, point] = results[kernel, point] " " result }
		END {
			for (p in seen) {
				same = 0
				n = split(results["stock", p], r, " ")
				for (i = 1; i <= n; i++) if (("palloc", p, r[i]) in has) same = 1
				if (!same) {
					printf "%s: stock%s, palloc%s\n", p,
						results["stock", p] == "" ? " nothing" : results["stock", p],
						results["palloc", p] == "" ? " nothing" : results["palloc", p]
				}
			}
		}' "$BUILD"/results/upstream/*/points | sort
}

rm -rf "$BUILD/results/upstream" "$out"/differences*
mkdir -p "$BUILD/results/upstream"
tests=${TESTS:+ $TESTS }
for ((round = 1; round <= rounds; round++)); do
	# At once: to us a guest is one thread
	pids=()
	for kernel in stock palloc; do
		boot $kernel $round "$tests" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
	differences >"$out/differences"
	cp "$out/differences" "$out/differences-$round"
	[ -s "$out/differences" ] || break
	say "round $round: $(wc -l <"$out/differences") differences"
	tests=" $(sed 's/:.*//' "$out/differences" | sort -u | grep -v '^console$' | tr '\n' ' ') "
	# Only the console differs: all tests, again
	if [ "$tests" = "  " ]; then tests=${TESTS:+ $TESTS }; fi
done

# The first round has everything
echo "test,stock,palloc,points" >"$out/results.csv"
awk '
	{ kernel = FILENAME; sub(/-[0-9]+-[a-z]+\/points$/, "", kernel); sub(/.*\//, "", kernel) }
	{ test = $1; sub(/:$/, "", test) }
	test == "console" { next }
	$2 == "exit:" { status[test, kernel] = $3; if (!(test in nr)) { nr[test] = ++n; name[n] = test }; next }
	{ points[test, kernel]++ }
	END { for (i = 1; i <= n; i++) { t = name[i]
		printf "%s,%s,%s,%d/%d\n", t, status[t, "stock"], status[t, "palloc"], points[t, "stock"], points[t, "palloc"] } }
	' "$BUILD"/results/upstream/{stock,palloc}-1-*/points >>"$out/results.csv"
echo "Tests, their result on either kernel, and how many points they have shown:"
sed 's/,/ /g' "$out/results.csv" | awk '{ printf "%-30s %-10s %-10s %s\n", $1, $2, $3, $4 }'
if ((round > 1)) && [ -s "$out/differences-1" ]; then
	echo "Different in the first round:"
	cat "$out/differences-1"
fi
if [ -s "$out/differences" ]; then
	echo "Different in each of $rounds rounds:"
	cat "$out/differences"
	exit 1
fi
echo "No difference after $((round > rounds ? rounds : round)) of $rounds rounds"
