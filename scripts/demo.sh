#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Boots the patched kernel and shows pages being colored; with "shell", gives a shell
# there instead.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

bzimage=$BUILD/guest/arch/x86/boot/bzImage
"$top/scripts/kselftest.sh" guest
if [ "${1-}" = shell ]; then
	exec "$top/scripts/guest.sh" --interactive --add "$BUILD/kselftest:kselftest" shell "$bzimage" shell
fi
rc=0
"$top/scripts/guest.sh" --raw --set NAME=demo --set LIMIT=120 \
	--add "$BUILD/kselftest:kselftest" --add "$top/scripts/guest/demo.sh:script" \
	demo "$bzimage" script || rc=$?
cat "$BUILD/results/demo/demo.out"
exit $rc
