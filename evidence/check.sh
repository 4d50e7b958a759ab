#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Tests of the simulator, as TAP: check.sh DIR, with the programs in it. See the Makefile.

set -u
export LC_ALL=C
bin=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit

# The model's own; its points are ours
"$bin/sim-test" test.map >points
status=$?
points=$(grep -cE '^(not )?ok ' points)
failed=$(grep -c '^not ok ' points)
grep -v '^1\.\.' points
point() {
	local result=$1
	shift
	points=$((points + 1))
	if [ "$result" = 0 ]; then
		echo "ok $points - $*"
	else
		failed=$((failed + 1))
		if [ -s err ]; then sed 's/^/# /' err; fi
		echo "not ok $points - $*"
	fi
}
[ $status = 0 ]
point $? "the model's tests came to their end"

conf=(-c "$here/machines/cores.conf" -c "$here/machines/ddr3-1066.conf")
sim() { "$bin/palloc-sim" "$@" >out 2>err; }
# refused NAME TEXT OPTION...: with TEXT in the message, and without any output
refused() {
	local name=$1 text=$2 status
	shift 2
	sim "$@"
	status=$?
	[ $status = 1 ] && [ ! -s out ] && [ ! -e heat ] && [ "$(wc -l <err)" = 1 ] && grep -qF "$text" err
	point $? "refused: $name"
}

printf 'palloc-trace-text 1\n1 R 0\n100 W 40\n0 B 0\n3 R 80000 k\n' >text
printf 'palloc-trace-text 1\n1 R 40000000\n' >outside
printf 'palloc-trace-text 1\n1 R 0\nx R 0\n' >garbled
echo 'palloc-trace-text 1' >empty
head -c 1000 /dev/zero >zeroes

for machine in w3530 xor; do
	sim "${conf[@]}" -m "$here/maps/$machine.map" text
	point $? "a run with the map of $machine"
done
cp out first
sim "${conf[@]}" -m "$here/maps/xor.map" text && cmp -s out first
point $? "the same again is the same"
sim --print text && "$bin/palloc-sim" --print out >again 2>err && cmp -s out again
point $? "--print prints what can be read"
sim "${conf[@]}" -m "$here/maps/w3530.map" --ramulator requests text &&
	printf '0x0 R\n0x40 R\n0x80000 R\n' | cmp -s - requests
point $? "--ramulator writes a line for each request"
sim "${conf[@]}" -m "$here/maps/w3530.map" --place 0x183000 && [ "$(cat out)" = "bank 15 row 0 column 0" ]
point $? "--place tells the bank of an address"

# A trace as the plugin writes it: R 0 at instruction 1, W 0x40 ten later; its sum, by hand
# in the sense of another program
by_plugin() {
	perl -e '
		my $t = "palloc-trace 1 vcpu 0 line 64 l1 32K/8\n" . pack("C*", 1 << 3, 0, 10 << 3 | 1, 2, 3) .
			pack("Q<Q<", 2, 11);
		my $sum = 0x811c9dc5;
		$sum = (($sum ^ ord) * 0x01000193) & 0xffffffff for split //, $t;
		print $t, pack("L<", $sum);'
}
by_plugin >binary
sim --print binary && printf 'palloc-trace-text 1\n1 R 0\n10 W 40\n' | cmp -s - out
point $? "the format that the plugin writes"

size=$(stat -c %s binary)
cut=0
for ((n = 0; n < size; n++)); do
	head -c "$n" binary >part
	if sim --print part || [ -s out ]; then
		cut=1
		echo "# cut to $n bytes, it is taken"
	fi
done
point $cut "a trace that is cut off, wherever, is refused"
flipped=0
for ((n = 0; n < size; n++)); do
	perl -e 'local $/; $_ = <STDIN>; substr($_, $ARGV[0], 1) ^= "\x10"; print' "$n" <binary >part
	if sim --print part; then
		flipped=1
		echo "# with a wrong bit in byte $n, it is taken"
	fi
done
point $flipped "a trace that is damaged, wherever, is refused"

# The plugin, in the hands of what plays QEMU
cat >want <<EOT
palloc-trace-text 1
0 R 40
6 R 80 k
EOT
# The device's access is an instruction, too
gap=2
for ((n = 0; n < 15; n++)); do
	if ((n == 14)); then
		# Of 17 lines, the first goes, which was written to
		echo "$gap B 40" >>want
		gap=0
	fi
	printf '%d R %x\n' "$gap" $((0x10000 + 64 * n)) >>want
	gap=1
done
for qemu in old new; do
	mkdir "$qemu"
	"$bin/plugin-test-$qemu" "$bin/palloc_trace.so" "$qemu" >out 2>err
	status=$?
	[ $status = 1 ] && grep -q 'the guest ended in recording 1, which is cut off' err
	point $? "plugin, $qemu interface: a guest that ends in a recording is an error"
	sim --print "$qemu/0.vcpu0.trace" && diff want out >err
	point $? "plugin, $qemu interface: reads, writes, hits, what is pushed out"
	sim --print "$qemu/0.vcpu1.trace" && printf 'palloc-trace-text 1\n2 W 2000\n1 R 4000\n' | diff - out >err
	point $? "plugin, $qemu interface: each vCPU's own, until its end"
	echo '0 0 ffff888000000000 1006 1' | diff - "$qemu/0.kernel" >err
	point $? "plugin, $qemu interface: the kernel's pages"
	! sim --print "$qemu/1.vcpu1.trace"
	point $? "plugin, $qemu interface: what is cut off is refused"
done
"$bin/plugin-test-old" "$bin/palloc_trace.so" nowhere >out 2>err
[ $? = 2 ] && grep -q 'out=nowhere: No such file' err
point $? "plugin: a folder that is not there"

map=(-m "$here/maps/w3530.map")
refused "a trace that is not there" "nothing: No such file" "${conf[@]}" "${map[@]}" nothing
refused "a file that is no trace" "zeroes: not a trace" "${conf[@]}" "${map[@]}" zeroes
refused "a trace without accesses" "empty: nothing was recorded" "${conf[@]}" "${map[@]}" empty
refused "a line that can't be read" "garbled:3: not of the form" "${conf[@]}" "${map[@]}" garbled
refused "an address that the machine does not have" "not in the machine's 1024 MiB" \
	"${conf[@]}" "${map[@]}" outside

echo '12 x' >bad.map
refused "a map with something else in it" "bad.map:1: an address bit is needed" "${conf[@]}" -m bad.map text
printf '12\n13\n19\n30\n' >bad.map
refused "a map with an address bit that the machine does not have" "no address bit 30" \
	"${conf[@]}" -m bad.map text
printf '12\n13\n19\n5 20\n' >bad.map
refused "a map with a bit within a cache line" "address bit 5" "${conf[@]}" -m bad.map text
printf '12\n13\n19\n' >bad.map
refused "a map of fewer banks than the machine has" "a map of 8 banks, the machine has 16" \
	"${conf[@]}" -m bad.map text
printf '12 13\n13 19\n19 20\n12 20\n' >bad.map
refused "a map with a function that others imply" "function 3 is the XOR of others" \
	"${conf[@]}" -m bad.map text
refused "a map that is not there" "nothing.map: No such file" "${conf[@]}" -m nothing.map text

refused "a setting that there is not" 'no setting "colour"' "${conf[@]}" "${map[@]}" -s colour=1 text
refused "a value that makes no sense" "ranks is a number from 1" "${conf[@]}" "${map[@]}" -s ranks=x text
refused "sets that are not a power of two" "not a power of two" "${conf[@]}" "${map[@]}" \
	-s llc_kib=3000 text
refused "a warm-up that is longer than the trace" "warmup takes" "${conf[@]}" "${map[@]}" -s warmup=100 text
refused "a trace that is too short to be a hog's" "min_records wants 5" "${conf[@]}" "${map[@]}" \
	-s min_records=5 text text
refused "output that can't be written" "/nothing/heat: No such file" "${conf[@]}" "${map[@]}" \
	-s slice=10 --heat /nothing/heat text

if [ -e /dev/full ]; then
	"$bin/palloc-sim" "${conf[@]}" "${map[@]}" text >/dev/full 2>err
	[ $? = 1 ] && grep -q 'No space left' err
	point $? "no space left for the results is an error"
	ln -s /dev/full full
	"$bin/palloc-sim" "${conf[@]}" "${map[@]}" --commands full text >out 2>err
	[ $? = 1 ] && [ ! -s out ] && grep -q 'No space left' err && [ -L full ]
	point $? "no space left for other output is an error"
fi

echo "1..$points"
((failed == 0))
