#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Boots the patched kernel and shows pages being colored; with "shell", gives a shell
# there instead.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

kernel=$out/guest/$image
"$top/scripts/kselftest.sh" guest
if [ "${1-}" = shell ]; then
	exec "$top/scripts/guest.sh" --interactive --add "$out/kselftest:kselftest" shell "$kernel" shell
fi
rc=0
"$top/scripts/guest.sh" --raw --set NAME=demo --set LIMIT=120 \
	--add "$out/kselftest:kselftest" --add "$top/scripts/guest/demo.sh:script" \
	demo "$kernel" script || rc=$?
cat "$out/results/demo/demo.out"
exit $rc
