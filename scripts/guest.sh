#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Boots a kernel in QEMU, runs a payload in it and judges the outcome.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

usage() {
	cat <<-EOT
	Usage: scripts/guest.sh [OPTION]... NAME KERNEL PAYLOAD

	Boots KERNEL (a bzImage, or an Image of arm64) in QEMU with an initramfs made of
	busybox, the init script and PAYLOAD (a file of scripts/guest/). Console log,
	results and one TAP file per test go to \$BUILD/results/NAME, or, of arm64,
	\$BUILD/arm64/results/NAME.

	  --add SRC:DEST      put the file or folder SRC into the guest as /DEST, and the
	                      shared libraries that its programs need
	  --set NAME=VALUE    a shell variable for the payload
	  --append WORDS      for the kernel's command line
	  --qemu WORDS        for QEMU's command line
	  --memory SIZE       default 1G
	  --cpus N            default 2
	  --time-scale N      multiply the tests' own time limits
	  --boot-limit S, --test-limit S, --shutdown-limit S
	                      seconds for each phase; a test's default is its own limit
	                      plus a minute
	  --raw               the payload's output is no TAP
	  --icount            count instructions instead of time (for benchmarks)
	  --interactive       connect the console to the terminal
	EOT
}

add=() set=() append='' qemu_words='' memory=1G cpus=2 scale=1 boot_limit=180 test_limit='' shutdown_limit=60
raw='' icount='' interactive=''
while [ $# -gt 0 ]; do
	case $1 in
	--raw) raw=--raw ;;
	--icount) icount=yes ;;
	--interactive) interactive=yes ;;
	-h | --help)
		usage
		exit
		;;
	--*)
		[ $# -ge 2 ] || die "$1 wants a value"
		case $1 in
		--add) add+=("$2") ;;
		--set) set+=("$2") ;;
		--append) append+=" $2" ;;
		--qemu) qemu_words+=" $2" ;;
		--memory) memory=$2 ;;
		--cpus) cpus=$2 ;;
		--time-scale) scale=$2 ;;
		--boot-limit) boot_limit=$2 ;;
		--test-limit) test_limit=$2 ;;
		--shutdown-limit) shutdown_limit=$2 ;;
		*) die "unknown option $1" ;;
		esac
		shift
		;;
	*) break ;;
	esac
	shift
done
if [ $# -ne 3 ]; then
	usage >&2
	exit 2
fi
case $ARCH in
x86) console=ttyS0 report=ttyS1 words=' reboot=t' ;;
# Pages that are taken from memory while it goes online, v6.6 may count as free for ever;
# so what is in the initramfs is to have its pages before
arm64) console=ttyAMA0 report=ttyS0 words=' memhp_default_state=online_movable initramfs_async=0' ;;
esac
# A host that lends its CPUs to others takes that from whoever runs in the guest; of the
# lowest priority, and in an RCU reader, that one's turn can come again after half a minute
words+=' rcupdate.rcu_cpu_stall_timeout=300'
name=$1 kernel=$2 payload=$top/scripts/guest/$3
[ -f "$kernel" ] || die "there is no kernel $kernel"
results=$out/results/$name
rm -rf "$results"
mkdir -p "$results"
work=$(mktemp -d)
qemu=''
trap 'if [ -n "$qemu" ]; then kill $qemu 2>/dev/null || true; fi; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# initramfs PAYLOAD FILE
initramfs() {
	local root=$work/root pair v
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,proc,sys}
	cp "$busybox" "$root/bin/busybox"
	ln -s busybox "$root/bin/sh"
	install -m 755 "$top/scripts/guest/init" "$root/init"
	install -m 644 "$1" "$root/payload"
	{
		echo "TIME_SCALE=$scale CONSOLE=$console REPORT=$report"
		for v in "${set[@]}"; do printf "%s='%s'\n" "${v%%=*}" "${v#*=}"; done
	} >"$root/settings"
	for pair in "${add[@]}"; do
		mkdir -p "$root/$(dirname "${pair#*:}")"
		cp -aLT "${pair%%:*}" "$root/${pair#*:}"
	done
	# What is not linked statically needs its libraries
	if [ "$ARCH" = x86 ]; then
		{ find "$root" -type f -perm -u=x -exec ldd {} + 2>/dev/null || true; } |
			sed -nE 's|.*[[:space:]](/[^ ]*) \(.*|\1|p' | sort -u | xargs -r cp -L --parents -t "$root"
	else
		# ldd runs what it looks at; they are where the cross compiler has them
		mkdir -p "$root/lib"
		{ find "$root" -type f -perm -u=x -exec readelf -l -d {} + 2>/dev/null || true; } |
			sed -nE 's|.*\(NEEDED\).*\[(.*)\]|\1|p; s|.*interpreter: .*/(.*)\]|\1|p' | sort -u |
			xargs -I '{}' "${cross}gcc" '-print-file-name={}' | xargs -r cp -L -t "$root/lib"
	fi
	# Not what a umask of 077 made of it: some tests are not root
	chmod -R u+rwX,go+rX "$root"
	(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) >"$2"
}

# qemu_run ACCELERATOR INITRAMFS DIR CONSOLE
qemu_run() {
	local machine
	case $ARCH in
	# One socket per CPU, since the MP table, all there is without ACPI, counts sockets
	x86)
		machine=(qemu-system-x86_64 -machine pc -smp "$cpus,sockets=$cpus" -m "$memory"
			-serial "$4" -serial "file:$3/report.log")
		;;
	# Only memory that is added later can go offline
	arm64)
		# shellcheck disable=SC2054
		machine=(qemu-system-aarch64 -machine virt -smp "$cpus" -m "$memory,maxmem=64G"
			-object memory-backend-ram,id=added,size=256M
			-device virtio-mem-pci,memdev=added,requested-size=256M
			-serial "$4" -device pci-serial,chardev=report
			-chardev "file,id=report,path=$3/report.log")
		;;
	esac
	# shellcheck disable=SC2086
	exec "${machine[@]}" -nodefaults -no-user-config -display none -nic none -no-reboot \
		$1 $qemu_words -kernel "$kernel" -initrd "$2" \
		-append "console=$console ignore_loglevel panic=-1$words$append"
}

# KVM needs a CPU that has it, a device that may be opened, and to work
kvm_works() {
	[ "$ARCH" = x86 ] && [ -w /dev/kvm ] && grep -qwE '^flags.*(vmx|svm)' /proc/cpuinfo || return 1
	: >"$work/empty"
	initramfs "$work/empty" "$work/trial.cpio"
	mkdir -p "$work/trial"
	qemu_run "-cpu host -accel kvm" "$work/trial.cpio" "$work/trial" null >/dev/null 2>&1 </dev/null &
	local trial=$!
	for _ in {1..60}; do
		kill -0 $trial 2>/dev/null || break
		sleep 0.5
	done
	kill $trial 2>/dev/null || true
	wait $trial || true
	grep -qx '@@ end' "$work/trial/report.log" 2>/dev/null
}

# One thread for all CPUs: with several, QEMU 7.2 at times lets a CPU run into the
# breakpoint that the kernel puts there while it changes a static key
accel="-cpu max -accel tcg,thread=single"
if [ -n "$icount" ]; then
	accel="-cpu max,-erms,-fsrm -accel tcg,thread=single -icount shift=0,sleep=off"
elif kvm_works; then
	accel="-cpu host -accel kvm"
fi

initramfs "$payload" "$work/initramfs.cpio"
if [ -n "$interactive" ]; then
	(qemu_run "$accel" "$work/initramfs.cpio" "$results" mon:stdio)
	exit
fi

say "guest $name: booting (${accel##*-accel }, $cpus CPUs, $memory)"
qemu_run "$accel" "$work/initramfs.cpio" "$results" "file:$results/console.log" \
	>"$results/qemu.log" 2>&1 </dev/null &
qemu=$!

# Follow the guest's marks; each starts a phase with a time limit of its own.
phase=boot limit=$boot_limit since=$(date +%s) seen=0
while kill -0 $qemu 2>/dev/null; do
	sleep 0.3
	while IFS= read -r mark; do
		seen=$((seen + 1)) since=$(date +%s)
		# shellcheck disable=SC2086
		set -- $mark
		case $2 in
		test)
			phase="test $3" limit=${test_limit:-$(($4 + 60))}
			if [ -t 1 ]; then printf '\r\033[K%s guest %s: %s' "$(elapsed)" "$name" "$3"; fi
			;;
		exit)
			phase="after $3" limit=60
			if [ ! -t 1 ]; then say "guest $name: $3 exited with $4"; fi
			;;
		boot) phase=payload limit=60 ;;
		end) phase=shutdown limit=$shutdown_limit ;;
		esac
	# sed leaves a line that is not all there yet without its newline; read skips it
	done < <(sed -n '/^@@ /p' "$results/report.log" 2>/dev/null | tail -n +$((seen + 1)))
	if (($(date +%s) - since > limit)); then
		kill $qemu 2>/dev/null || true
		echo "$phase took longer than $limit s" >"$results/timeout"
	fi
done
if [ -t 1 ]; then printf '\r\033[K'; fi
wait $qemu || echo "QEMU ended with status $?: $(tail -n 1 "$results/qemu.log")" >>"$results/timeout"
qemu=''

"$top/scripts/verdict.sh" $raw "$results"
