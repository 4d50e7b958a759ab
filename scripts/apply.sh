#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Applies the series to a Linux tree, v6.6 or 6.12, or takes it out again.
#
# "git apply" does the work, on copies of the touched files. What is left here is to put the
# result in place so that, whatever comes between, the tree is patched or as it was: it is
# made ready in a folder of the tree, where a disk that is full shows, and then files change
# places by renaming, while signals wait. A list tells what is on its way until all is done;
# what kill -9 leaves is put back by the list, when this runs again.

# Run as "sh apply.sh", too, and whatever functions the user's shell has exported
case $- in *p*) ;; *) exec bash -p "$0" "$@" ;; esac
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh" || exit

usage() {
	cat <<-EOT
	Usage: scripts/apply.sh [--check|--reverse] [--no-quilt] LINUX_DIR

	Applies the palloc series to the Linux tree in LINUX_DIR, a plain tree or a git
	work tree, of v6.6, 6.6.y, or 6.12 as in Debian's package linux-source-6.12. All
	of it is tried on a copy of the touched files first; a tree that it does not fit,
	without fuzz, is left as it was, and what does not fit is listed.

	  --check     only say whether the series would apply or is applied
	  --reverse   take the series out again
	  --no-quilt  leave nothing for quilt, even if it is installed

	In a plain tree, and if quilt is installed, the patches are as if pushed with quilt,
	so that "quilt pop" and "quilt push" work there afterwards.

	Exit status: 0 done, or nothing to do; 1 the series does not fit, or could not be
	written, the tree is as it was; 2 wrong usage; 3 LINUX_DIR is neither a 6.6 nor a
	6.12 tree.
	EOT
}

what=apply quilt=yes dir=
for arg; do
	case $arg in
	--check | --reverse)
		if [ "$what" != apply ]; then dir= && break; fi
		what=${arg#--}
		;;
	--no-quilt) quilt=no ;;
	-h | --help)
		usage
		exit
		;;
	-*) dir= && break ;;
	*)
		if [ -n "$dir" ]; then dir= && break; fi
		dir=$arg
		;;
	esac
done
if [ -z "$dir" ]; then
	usage >&2
	exit 2
fi

version=$(kernel_version "$dir") || {
	echo "$dir is not a Linux source tree" >&2
	exit 3
}
unknown=
case $version in
6.6*-rc* | 6.12*-rc*) unknown=yes ;;
6.6) ;;
6.6-*) echo "warning: $dir is Linux $version; the series was made and tested for v6.6" >&2 ;;
6.6.*) echo "warning: $dir is Linux $version; the series was tested for v6.6 and 6.6.93" >&2 ;;
6.12.[1-9]*) ;;
6.12 | 6.12-*) echo "warning: $dir is Linux $version; the series was made and tested for 6.12 as Debian has it" >&2 ;;
*) unknown=yes ;;
esac
# Stable kernels were v6.6 at first
case $version in
6.6.*) candidates='v6.6 6.6.y' ;;
*) candidates=$(base_of "$version") ;;
esac
cd -- "$dir"
dir=$PWD
for p in git perl; do
	$p --version >/dev/null 2>&1 || die "$p is needed: apt install $p, or make deps"
done

stage=$dir/.palloc-apply
signals=(HUP INT QUIT PIPE ALRM TERM USR1 USR2 XCPU XFSZ)
staged='' scratch=''

# remove FOLDER: also where there is something wrong with rm
remove() { rm -rf "$1" 2>/dev/null || find "$1" -delete 2>/dev/null || ! [ -e "$1" ]; }
# places forward|back: has what the list names change places, or takes it back from wherever
# it has got to. In one process, for it to be short.
places() {
	# shellcheck disable=SC2016
	perl -e '
		my ($way, $dir, $stage) = @ARGV;
		my ($old, $new, @parents) = ("$stage/old", "$stage/new");
		sub place { rename($_[0], $_[1]) or die "apply.sh: $_[0]: $!\n" }
		open(my $list, "<", "$stage/list") or die "$stage/list: $!\n";
		while (<$list>) {
			my ($how, $f) = /^(\w+) (.*)$/;
			my @path = split("/", $f);
			my @folders = map { join("/", $dir, @path[0 .. $_]) } 0 .. $#path - 1;
			if ($way eq "back") {
				if (-e "$old/$f") { place("$old/$f", "$dir/$f") }
				elsif ($how eq "add" && -e "$dir/$f" && !-e "$new/$f") { place("$dir/$f", "$new/$f") }
				push(@parents, reverse(@folders)) if $how eq "add";
			} else {
				if ($how eq "add") { mkdir($_) for @folders }
				else { place("$dir/$f", "$old/$f") }
				if ($how ne "remove") { place("$new/$f", "$dir/$f") }
				else { push(@parents, reverse(@folders)) }
			}
		}
		# Those that are empty now
		rmdir($_) for @parents;
		place("$stage/list", "$stage/done")' "$1" "$dir" "$stage"
}
# put_back: the tree is as it was
put_back() { [ ! -e "$stage/list" ] || places back; }
finish() {
	local status=$?
	trap '' "${signals[@]}"
	if [ -z "$staged" ]; then
		:
	elif ! put_back; then
		echo "apply.sh: $dir could not be put back; what is missing there is in $stage. Run this again." >&2
		staged=
	elif [ "$staged" != "done" ]; then
		echo "apply.sh: interrupted or failed; $dir is as it was" >&2
	fi
	if [ -n "$staged" ] && ! remove "$stage"; then echo "apply.sh: cannot remove $stage" >&2; fi
	if [ -n "$scratch" ]; then remove "$scratch" || true; fi
	if ((status > 3)); then exit 1; fi
}
trap finish EXIT
trap 'echo "apply.sh: line $LINENO failed" >&2' ERR
trap 'exit 1' "${signals[@]}"

if [ -e "$stage" ]; then
	exec 9<"$stage"
	flock -n 9 || die "another apply.sh is at work in $dir"
	[ "$what" != check ] || die "an apply.sh was killed when it wrote to $dir; without --check, this puts it back first"
	if [ -e "$stage/list" ]; then
		put_back || die "$dir is half patched, as an apply.sh was killed there, and can't be put back; what is missing is in $stage"
		echo "apply.sh: one was killed in $dir when it wrote; it is as it was before that, first" >&2
	fi
	remove "$stage" || die "cannot remove $stage"
	exec 9<&-
fi

scratch=$(mktemp -d) || die "cannot make a folder in ${TMPDIR:-/tmp}"
no_space="see what is left of space there"
# copy NAME: of the touched files as they are
copy() { cp -a "$scratch/original" "$scratch/$1" || die "cannot copy files to $scratch: $no_space"; }

# The state of the tree tells which of both results counts
state=
for base in $candidates; do
	use_base "$base"
	[ -s "$series" ] || die "there is no series in $series"
	remove "$scratch/original" && remove "$scratch/patched" && remove "$scratch/plain"
	if ! touched_files >"$scratch/files" || ! copy_files "$dir" "$scratch/original" <"$scratch/files"; then
		die "cannot copy files to $scratch: $no_space"
	fi
	copy patched
	if [ -n "$unknown" ]; then
		# It is only told what would be
		if fits=$(patch_series "$scratch/patched" 2>&1); then fits=yes; fi
	elif problem=$(patch_series "$scratch/patched" 2>&1); then
		state=plain
	elif copy plain && problem+=$(patch_series "$scratch/plain" -R 2>&1); then
		state=patched
	elif grep -v 'patch failed\|patch does not apply\|already exists in\|No such file' <<<"$problem" >&2; then
		die "git apply failed for another reason than that it does not fit"
	fi
	if [ -n "$state" ]; then break; fi
done
count=$(series_patches | wc -l)
if [ -z "$state" ]; then
	status=1
	if [ -n "$unknown" ]; then
		echo "$dir is Linux $version; the series is for v6.6 and 6.12. It is left as it was." >&2
		status=3
	else
		echo "The series does not fit the tree in $dir, which is left as it was." >&2
	fi
	first=$(series_patches | head -n 1)
	if [ -s "$dir/.pc/applied-patches" ]; then
		echo "quilt has $(wc -l <"$dir/.pc/applied-patches") patches applied there: quilt pop -a first." >&2
	elif grep -q $'\r$' "$dir/Makefile"; then
		echo "Its lines end in CR LF, with which it does not build either: check it out with core.autocrlf=false." >&2
	elif apply_to "$scratch/original" -R --check "$patches/$first" 2>/dev/null; then
		echo "$first is in the tree already: it seems to be half patched." >&2
	elif has_palloc "$dir"; then
		echo "Another palloc patch is in the tree; take it out first (patch -R -p1 < it)." >&2
	elif [ "${fits-}" = yes ]; then
		echo "All $count patches for $title would fit, but nothing of it has been tried." >&2
	elif [ "$what" != reverse ]; then
		misfits "$scratch/original" >&2
	fi
	exit $status
fi

# swap FROM: the touched files that differ become what they are in FROM
swap() {
	local f d differ same=() executable=() added=()
	differ=$'\n'$(cd "$scratch" && { diff -rq original "${1##*/}" || (($? == 1)); } | sed -n 's|^Files original/\(.*\) and .*|\1|p')$'\n'
	while IFS= read -r f; do
		if [ ! -e "$1/$f" ]; then
			[ -e "$scratch/original/$f" ] || continue
			echo "remove $f"
		elif [ ! -e "$scratch/original/$f" ]; then
			echo "add $f"
			added+=("$1/$f")
		else
			[[ $differ == *$'\n'$f$'\n'* ]] || continue
			echo "change $f"
			same+=("$f")
			if [ -x "$1/$f" ]; then executable+=("$1/$f"); fi
		fi
		for d in "$dir/$f" "$dir/${f%/*}"; do
			if [ -e "$d" ] && [ ! -w "$d" ]; then die "cannot write to $d"; fi
		done
	done <"$scratch/files" >"$scratch/list"
	[ -w "$dir" ] || die "cannot write to $dir"
	case $what:$pc in
	apply:yes) if [ -e "$dir/.pc" ]; then echo 'change .pc'; else echo 'add .pc'; fi ;;
	reverse:yes) echo 'remove .pc' ;;
	esac >>"$scratch/list"
	# Modes and owners stay; what is new is the tree's owner's
	if ((${#same[@]})); then
		(cd "$scratch/original" && cp --attributes-only --preserve=mode,ownership --parents -t "$1" "${same[@]}")
	fi
	if ((${#executable[@]})); then chmod +x "${executable[@]}"; fi
	if ((EUID == 0 && ${#added[@]})); then chown --reference="$dir" "${added[@]}"; fi

	trap '' "${signals[@]}"
	mkdir "$stage" || die "cannot write to $dir"
	staged=yes
	trap 'exit 1' "${signals[@]}"
	exec 9<"$stage"
	flock -n 9
	mkdir "$stage/new" "$stage/old"
	if [ "$what:$pc" = apply:yes ]; then find "$1/.pc" -name .timestamp -exec touch {} +; fi
	(cd "$1" && sed '/^remove /d; s/^[a-z]* //' "$scratch/list" | tr '\n' '\0' |
		xargs -r0 cp -a --parents -t "$stage/new")
	(cd "$stage/old" && sed -n 's|^[a-z]* \(.*\)/.*|\1|p' "$scratch/list" | sort -u | tr '\n' '\0' |
		xargs -r0 mkdir -p)
	cp "$scratch/list" "$stage/list.new"

	trap '' "${signals[@]}"
	mv -T "$stage/list.new" "$stage/list"
	places forward
	staged="done"
	if remove "$stage"; then staged=; fi
}

# quilt_folder TREE: pushes the series onto TREE, and leaves there what quilt would: each
# patch's files, as they were before it
quilt_folder() {
	mkdir "$1/.pc"
	echo 2 >"$1/.pc/.version"
	echo "$patches" >"$1/.pc/.quilt_patches"
	echo "$series" >"$1/.pc/.quilt_series"
	series_patches >"$1/.pc/applied-patches"
	(
		cd "$1"
		# shellcheck disable=SC2016
		git_alone perl -MFile::Copy -MFile::Path=mkpath -e '
			my $patches = shift;
			while (<STDIN>) {
				chomp;
				my $to = ".pc/$_";
				mkpath($to);
				open(my $patch, "<", "$patches/$_") or die "$_: $!\n";
				for (".timestamp", map { m{^diff --git a/.* b/(.*)$} ? $1 : () } <$patch>) {
					mkpath(m{^(.*)/} ? "$to/$1" : $to);
					open(my $file, ">", "$to/$_") or die "$to/$_: $!\n";
					next unless -e $_;
					my @was = stat(_);
					copy($_, $file) && close($file) or die "$to/$_: $!\n";
					chmod($was[2] & 07777, "$to/$_");
					utime($was[8], $was[9], "$to/$_");
				}
				system("git", "apply", "--whitespace=nowarn", "$patches/$_") == 0 or exit 1;
			}' "$patches" <"$1/.pc/applied-patches"
	)
}

pc=
case $what-$state in
check-plain)
	message="The series ($count patches) applies to Linux $version in $dir."
	;;
check-patched | apply-patched)
	message="The series is already applied to $dir; nothing to do."
	;;
reverse-plain)
	message="The series is not applied to $dir; nothing to do."
	;;
apply-plain)
	message="Applied $count patches to Linux $version in $dir."
	if [ $quilt = yes ] && [ ! -e "$dir/.git" ] && [ ! -s "$dir/.pc/applied-patches" ] &&
		command -v quilt >/dev/null; then
		pc=yes
		remove "$scratch/patched"
		copy patched
		quilt_folder "$scratch/patched"
		message="Pushed $count patches onto Linux $version in $dir, as quilt does."
	elif [ -e "$dir/.git" ]; then
		message+="
To have them as commits instead: git checkout the files, then git am those in $series"
	fi
	swap "$scratch/patched"
	;;
reverse-patched)
	if [ -s "$dir/.pc/applied-patches" ] && grep -qxFf <(series_patches) "$dir/.pc/applied-patches"; then
		cmp -s <(series_patches) "$dir/.pc/applied-patches" ||
			die "quilt has other patches applied in $dir as well: quilt pop them first"
		pc=yes
	fi
	swap "$scratch/plain"
	message="Took $count patches out of $dir."
	;;
esac
# Nobody may be listening any more
echo "$message" || true
