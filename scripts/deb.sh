#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Packages the patched kernel for installing, with the kernel's own bindeb-pkg: the
# configuration in KCONFIG, or the running kernel's, or the default one, and
# palloc.config on top. Packages land in $BUILD/deb.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

src=$BUILD/linux out=$BUILD/deb/linux
running=/boot/config-$(uname -r)
cc=gcc
if command -v ccache >/dev/null; then cc="ccache gcc"; fi

configure() {
	if [ -n "${KCONFIG-}" ]; then
		cp "$KCONFIG" "$out/.config"
	elif [ -r "$running" ]; then
		cp "$running" "$out/.config"
	else
		make -C "$src" ARCH=x86 O="$out" x86_64_defconfig
	fi
	cd "$src"
	scripts/kconfig/merge_config.sh -m -O "$out" "$out/.config" "$top/configs/palloc.config"
	# A distribution's keys are not here; its debug information would take 10 GB
	scripts/config --file "$out/.config" --set-str LOCALVERSION -palloc \
		--set-str SYSTEM_TRUSTED_KEYS '' --set-str SYSTEM_REVOCATION_KEYS '' \
		--disable LOCALVERSION_AUTO --disable DEBUG_INFO_BTF --enable DEBUG_INFO_NONE \
		--disable DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT --disable DEBUG_INFO_DWARF4 \
		--disable DEBUG_INFO_DWARF5
	make ARCH=x86 O="$out" olddefconfig
	if grep '^CONFIG' "$top/configs/palloc.config" | grep -vxFf "$out/.config"; then
		echo "these did not land in $out/.config"
		return 1
	fi
}

"$top/scripts/tree.sh" patched
mkdir -p "$out"
rm -f "$BUILD"/deb/*.deb "$BUILD"/deb/*.buildinfo "$BUILD"/deb/*.changes
step "configuring the kernel to install${KCONFIG:+ from $KCONFIG}" "$BUILD/log/deb.config" configure
step "building packages" "$BUILD/log/deb.build" \
	make -C "$src" ARCH=x86 O="$out" CC="$cc" KDEB_PKGVERSION=1 -j "$JOBS" bindeb-pkg
ls -sh "$BUILD"/deb/*.deb
echo "To install: apt install $BUILD/deb/linux-image-*.deb"
