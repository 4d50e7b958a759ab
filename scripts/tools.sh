#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Builds the tool and its library for the machine that this runs on, in $BUILD/tools. That
# takes neither a kernel nor its source: of the series, only files that it adds are used, which
# are the same for all kernels, and the C library's headers.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=
for program in git make cc; do command -v $program >/dev/null || missing+=" ${program/cc/gcc libc6-dev}"; done
[ -z "$missing" ] || die "please install:$missing"

flags=/usr/include/linux/kernel-page-flags.h
src=$BUILD/tools
# Its makefile is a part of that of the folder above
makefile=palloc-tool/palloc.mk
build() {
	local new
	rm -rf "$src"
	mkdir -p "$src/include/uapi/linux"
	mapfile -t new < <(new_files | grep -E '^(tools/mm|include/uapi)/')
	patch_series "$src" "${new[@]/#/--include=}" || return
	if [ ! -e $flags ]; then
		echo "there is no $flags: please install linux-libc-dev"
		return 1
	fi
	cp $flags "$src/include/uapi/linux/"
	make -C "$src/tools/mm" -f $makefile CFLAGS='-O2 -g -Wall -Wextra -pthread'
}
step "building the tool" "$BUILD/log/tools" build
find "$src/tools/mm" -type f -perm -u=x -printf '%p\n' | sort
echo "To install: sudo make -C $src/tools/mm -f $makefile sbindir=/usr/sbin install"
