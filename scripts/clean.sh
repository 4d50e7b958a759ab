#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Removes the build folder, if that is what it is.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -e "$BUILD" ] || exit 0
# Not what this, or the user's home, is in
for keep in "$top" "${HOME:-/}"; do
	if ! realpath -m --relative-to="$BUILD" "$keep" | grep -q '^\.\.'; then
		die "BUILD: $BUILD is not a folder to remove"
	fi
done
for mark in log linux linux.files results branch deb debian tools; do
	if [ -e "$BUILD/$mark" ]; then
		rm -rf "$BUILD"
		exit
	fi
done
rmdir "$BUILD" 2>/dev/null || die "BUILD: nothing was built in $BUILD; it is left alone"
