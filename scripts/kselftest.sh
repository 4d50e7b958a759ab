#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds the patched tree's palloc kselftests, and with them the tool, statically, and
# installs them into $BUILD/kselftest: kselftest.sh KERNEL, whose headers they use.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

src=$BUILD/linux out=$BUILD/$1
build() {
	make -C "$src" ARCH=x86 O="$out" -j "$JOBS" headers
	rm -rf "$BUILD/kselftest"
	make -C "$src/tools/testing/selftests" ARCH=x86 O="$out" TARGETS=palloc \
		USERLDFLAGS=-static FORCE_TARGETS=1 -j "$JOBS" \
		INSTALL_PATH="$BUILD/kselftest" install
}
step "building kselftests" "$BUILD/log/kselftest" build
