#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Builds the patched tree's palloc kselftests, and with them the tool, statically, and
# installs them into $out/kselftest: kselftest.sh KERNEL, whose headers they use.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

src=$BUILD/linux kernel=$out/$1 to=$out/kselftest
build() {
	local make=(make ARCH="$ARCH" CROSS_COMPILE="$cross" O="$kernel" -j "$JOBS")
	"${make[@]}" -C "$src" headers
	rm -rf "$to"
	"${make[@]}" -C "$src/tools/testing/selftests" TARGETS=palloc USERLDFLAGS=-static \
		FORCE_TARGETS=1 INSTALL_PATH="$to" install
}
step "building kselftests" "$out/log/kselftest" build
