#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Runs stress-ng's memory stressors in colored cgroups of a guest, for MINUTES of the
# guest's time, 30 by default, while the colors of all pages of these cgroups are
# checked, over and over. Fails on a page of a wrong color that the kernel has not
# counted as a fallback, on data that stress-ng finds changed, and on anything that
# the kernel complains about.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

minutes=${MINUTES:-30}
[[ $minutes =~ ^[1-9][0-9]*$ ]] || die "MINUTES: $minutes is not a number of minutes"
results=$BUILD/results/stress

"$top/scripts/tree.sh" patched
"$top/scripts/kernel.sh" stress patched guest palloc stress
"$top/scripts/kselftest.sh" stress

rc=0
# TCG lets the guest's time pass more slowly than ours, the more so on a busy machine
"$top/scripts/guest.sh" --raw --memory 2G --cpus "${CPUS:-2}" \
	--set NAME=stress-ng --set LIMIT=$((minutes * 60 + 300)) --set SECONDS_LONG=$((minutes * 60)) \
	--test-limit $((minutes * 300 + 600)) \
	--add "$BUILD/kselftest:kselftest" --add "$top/scripts/guest/stress.sh:script" \
	--add "$(command -v stress-ng):bin/stress-ng" \
	stress "$BUILD/stress/arch/x86/boot/bzImage" script || rc=$?
tail -n 40 "$results/stress-ng.out" 2>/dev/null || true
if ((rc)); then die "the whole output: $results/stress-ng.out"; fi
