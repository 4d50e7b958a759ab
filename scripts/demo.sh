#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots the patched kernel and shows pages being colored.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$top/scripts/kselftest.sh" guest
rc=0
"$top/scripts/guest.sh" --raw --set NAME=demo --set LIMIT=120 \
	--add "$BUILD/kselftest:kselftest" --add "$top/scripts/guest/demo.sh:script" \
	demo "$BUILD/guest/arch/x86/boot/bzImage" script || rc=$?
cat "$BUILD/results/demo/demo.out"
exit $rc
