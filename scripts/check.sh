#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# What can be checked without building a kernel. Each test_ function is a test; it
# runs in a scratch folder of its own, as a shell that stops at the first error.
#
#   check.sh [TEST...]

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

# A test, in its scratch folder
if [ "${1-}" = --run ]; then
	test=$2
	set -E
	trap 'echo "check.sh:$LINENO: $BASH_COMMAND" >&2' ERR
else
	test=
fi
apply=$top/scripts/apply.sh
# Hooks, signatures and the like are not for the repositories that tests make
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null

# mini DIR: an unpatched tree that has just the files which the series touches, and what
# it is recognized by; patched DIR: the same with the series. Both are made once.
mini() { cp -a "$TREES/mini" "$1"; }
patched() { cp -a "$TREES/patched" "$1"; }
make_trees() {
	mkdir -p "$TREES/mini/mm"
	(touched_files; printf '%s\n' Makefile Kbuild .gitattributes) | sort -u |
		copy_files "$PRISTINE" "$TREES/mini"
	cp -a "$TREES/mini" "$TREES/patched"
	patch_series "$TREES/patched"
}
mini_git() {
	mini "$1"
	git -C "$1" init -q -b palloc
	git -C "$1" config user.name check
	git -C "$1" config user.email check@localhost
	git -C "$1" add -A -f
	git -C "$1" commit -q -m "$title"
	git -C "$1" tag "$base"
}
git_am() {
	patch_paths | xargs -r0 git -C "$1" am -q
}
# snapshot DIR: names, modes and contents, less .git
snapshot() {
	(cd "$1" && find . -path ./.git -prune -o -printf '%p %m\n' | sort &&
		find . -path ./.git -prune -o -type f -exec sha256sum {} + | sort)
}
# What a command's exit status has to be
exits() {
	local want=$1 got=0
	shift
	"$@" >out 2>&1 || got=$?
	cat out
	((got == want))
}

# One patch; not again if it was found well before, by the same checkpatch. That keeps
# a cache in the current folder, hence one for each patch.
checkpatch() {
	local seen
	seen=$BUILD/checkpatch/$(cat "$PRISTINE/scripts/checkpatch.pl" "$top/scripts/checkpatch-ignore" \
		"$1" | sha256sum | cut -d ' ' -f 1)
	if [ -e "$seen" ]; then return; fi
	(cd "$(mktemp -d -p .)" && "$PRISTINE/scripts/checkpatch.pl" --root="$PRISTINE" --strict \
		--no-summary --terse --show-types --ignore "$ignore" "$1") &&
		mkdir -p "$BUILD/checkpatch" && touch "$seen"
}
test_checkpatch() {
	ignore=$(grep -v '^#' "$top/scripts/checkpatch-ignore" | cut -f 1 | paste -sd ,)
	export ignore top
	export -f checkpatch
	# shellcheck disable=SC2016
	patch_paths | xargs -r0 -n 1 -P "$JOBS" bash -c 'checkpatch "$1"' -
}

# What readers and keepers of the series are asked for; its report is printed
test_rework() { "$top/scripts/rework.sh"; }

test_series_names_every_patch() {
	local own=patches${series##*/series}
	diff <(series_patches | grep -v "^patches/" | sed 's|.*/||' | sort) \
		<(cd "$top/$own" && find . -type f -printf '%P\n' | sort)
	diff <(series_patches | sed 's|.*/||') <(series_patches | sed 's|.*/||' | sort)
	patch_paths | xargs -r0 ls >/dev/null
}

# What the series add to the kernel is the same on all bases, up to the files that are
# there already, and what tells what they are like
test_new_files_are_the_same() {
	local b new
	for b in v6.6 "$base"; do
		use_base "$b"
		mkdir "$b"
		mapfile -t new < <(new_files)
		patch_series "$b" "${new[@]/#/--include=}"
	done
	diff -r -x palloc_base.h -x base.h v6.6 "$base"
}

test_applies_without_fuzz_and_reverses() {
	patched tree
	patch_series tree -R
	find tree -mindepth 1 -type d -empty ! -path tree/mm -delete
	diff -r "$TREES/mini" tree
}

apply_and_reverse() {
	snapshot tree >before
	exits 0 "$apply" --check "$@" tree
	snapshot tree | diff before -
	exits 0 "$apply" --reverse "$@" tree
	grep -q 'not applied' out
	snapshot tree | diff before -
	exits 0 "$apply" "$@" tree
	diff -r -x .git -x .pc tree "$TREES/patched"
	[ -z "$(find tree -name '*.orig' -o -name '*.rej')" ]
	snapshot tree >applied
	exits 0 "$apply" "$@" tree
	grep -q 'already applied' out
	snapshot tree | diff applied -
	exits 0 "$apply" --reverse "$@" tree
	snapshot tree | diff before -
}
test_apply_plain_tree_with_patch() {
	mini tree
	apply_and_reverse --no-quilt
	[ ! -e tree/.pc ]
}
# As if quilt had pushed them: what it has put down of some is the same, and it goes on
# from there. All are for "make test", and with BASE=..., as quilt takes its time.
test_apply_plain_tree_with_quilt() {
	local first=5 last=3
	command -v quilt >/dev/null || return 77
	if [ -n "${WHOLE-}" ]; then first=$(series_patches | wc -l) last=-a; fi
	mini tree
	exits 0 "$apply" tree
	diff -r -x .pc tree "$TREES/patched"
	cmp <(series_patches) tree/.pc/applied-patches
	mini own
	(cd own && QUILT_PATCHES=$patches QUILT_SERIES=$series quilt --quiltrc - push -q "$first")
	# But for the lists of all patches
	while read -r p; do diff -r "own/.pc/$p" "tree/.pc/$p"; done <own/.pc/applied-patches
	for p in .version .quilt_patches .quilt_series; do diff "own/.pc/$p" "tree/.pc/$p"; done
	(cd tree && quilt --quiltrc - pop -q "$last")
	if [ $last = -a ]; then
		find tree -mindepth 1 -type d -empty ! -path tree/mm -delete
		diff -r -x .pc tree "$TREES/mini"
		exits 0 "$apply" tree
	else
		(cd tree && quilt --quiltrc - push -q -a --fuzz=0)
	fi
	diff -r -x .pc tree "$TREES/patched"
	cmp <(series_patches) tree/.pc/applied-patches
	# Reversing wants no quilt
	exits 0 "$apply" --reverse --no-quilt tree
	diff -r tree "$TREES/mini"
}
test_apply_git_tree() {
	mini_git tree
	exits 0 "$apply" tree
	grep -q 'git am' out
	[ ! -e tree/.pc ]
	[ -n "$(git -C tree status --porcelain)" ]
	exits 0 "$apply" --reverse tree
	[ -z "$(git -C tree status --porcelain)" ]
}

# refused STATUS [once]: the refusals leave the tree as it was
refused() {
	local status=$1
	snapshot tree >before
	exits "$status" "$apply" tree
	cp out refusal
	if (($# == 1)); then
		exits "$status" "$apply" --check tree
		exits "$status" "$apply" --reverse tree
	fi
	snapshot tree | diff before -
}
test_apply_refuses_other_versions() {
	mini tree
	sed -i 's/^PATCHLEVEL = .*/PATCHLEVEL = 7/; s/^SUBLEVEL = .*/SUBLEVEL = 0/' tree/Makefile
	refused 3
	grep -q 'Linux 6\.7;' refusal
	sed -i 's/^PATCHLEVEL = .*/PATCHLEVEL = 6/; s/^EXTRAVERSION =.*/EXTRAVERSION = -rc7/' tree/Makefile
	refused 3 once
	rm tree/Makefile
	refused 3
	exits 2 "$apply"
	exits 2 "$apply" --frobnicate tree
	exits 2 "$apply" tree tree
	exits 3 "$apply" nowhere
}
test_apply_warns_of_stable_trees() {
	mini tree
	sed -i 's/^SUBLEVEL = .*/SUBLEVEL = 63/' tree/Makefile
	exits 0 "$apply" tree
	grep -q '^warning: .* Linux 6\.6\.63;' out
}
test_apply_refuses_rejects_and_fuzz() {
	local file
	mini tree
	# A changed line in the context of the series' last hunk, as far as a hunk has any
	file=$(touched_files | while read -r f; do
		if [ -e "$PRISTINE/$f" ]; then echo "$f"; fi
	done | tail -n 1)
	sed -i 's/$/ /' "tree/$file"
	refused 1
	grep -q "$file" refusal
}
test_apply_refuses_half_patched_trees() {
	mini tree
	apply_to tree "$patches/$(series_patches | head -n 1)"
	if (($(series_patches | wc -l) > 1)); then
		refused 1 once
		grep -q 'half patched' refusal
	fi
	rm -rf tree
	mini tree
	exits 0 "$apply" tree
	(cd tree && quilt --quiltrc - pop -q)
	snapshot tree >before
	exits 1 "$apply" tree
	snapshot tree | diff before -
}

# A tree of some vendor's: which patches and hunks do not fit, and what is to be read
test_apply_tells_what_does_not_fit() {
	mini tree
	sed -i 's/^SUBLEVEL = .*/SUBLEVEL = 30/; s/^EXTRAVERSION =.*/EXTRAVERSION = -vendor/' tree/Makefile
	sed -i 's/^\(.*\)kmem_cache_free(mm_cachep\(.*\)/\1vendor_free(mm_cachep\2/; s/unlikely/vendor_likely/' \
		tree/kernel/fork.c tree/mm/page_alloc.c tree/mm/memory.c
	rm tree/mm/ksm.c
	refused 1 once
	grep -qE 'of the [0-9]+ patches for .*, [1-9][0-9]* fit' <(tr '[:upper:]' '[:lower:]' <refusal)
	grep -q '^    mm/ksm.c: No such file' refusal
	grep -qE '^    mm/(page_alloc|memory)\.c:[0-9]+ \(.*\)$' refusal
	grep -q '^      see ".*"$' refusal
	sed -n 's/^      see "\(.*\)"$/\1/p' refusal | while read -r section; do
		grep -qF "$section: \`\`" "$top/Documentation/porting.rst"
	done
}

# checkout DIR: what apply.sh needs of this
checkout() {
	mkdir "$1"
	cp -a "$top"/{scripts,Documentation,series*,patches*,.gitattributes} "$1"
}
# What a user's surroundings may have, all at once
test_apply_in_odd_surroundings() {
	local odd=$'R&D a|b\\c\'s "o\nne"' run here=$PWD
	mkdir "$odd" "$odd/home" "$odd/tmp dir" bin other
	checkout "$odd/checkout"
	ln -s "$PWD/$odd/checkout/scripts/apply.sh" "bin/apply it"
	printf '%s\n' '[core]' 'autocrlf = true' 'attributesFile = /dev/zero' '[apply]' 'whitespace = error-all' \
		'ignorewhitespace = change' >"$odd/home/.gitconfig"
	echo 'QUILT_PATCHES=nowhere QUILT_PUSH_ARGS=--nonsense' >"$odd/home/.quiltrc"
	echo 'echo sourced; cd() { :; }; cp() { false; }; set -f; shopt -s nocasematch; alias mv=false' >other/env
	# The tree, in somebody else's repository, which ignores all
	git -C "$odd" init -q
	echo '*' >"$odd/.gitignore"
	mini "$odd/tree"
	mini tree
	snapshot tree >before
	# As others name it, too: with a dash, relative, by a link
	mv "$odd/tree" "$odd/-tree"
	ln -s -- -tree "$odd/link"
	# shellcheck disable=SC2317
	surroundings() {
		env CDPATH=/:"$here" BASH_ENV="$here/other/env" ENV="$here/other/env" 'BASH_FUNC_cd%%=() { :; }' \
			'BASH_FUNC_cp%%=() { false; }' 'BASH_FUNC_dirname%%=() { echo /; }' SHELLOPTS=noglob:noclobber \
			IFS=/ POSIXLY_CORRECT=1 GREP_OPTIONS=--invert-match GREP_COLORS=mt=1 TAR_OPTIONS=--nonsense \
			GIT_DIR="$top/.git" GIT_WORK_TREE=/ GIT_INDEX_FILE=/dev/null GIT_PREFIX=mm/ \
			GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.autocrlf GIT_CONFIG_VALUE_0=true \
			QUILT_PATCHES=nowhere QUILT_SERIES=nowhere QUILT_PC=.elsewhere PATCH_GET=1 \
			VERSION_CONTROL=numbered SIMPLE_BACKUP_SUFFIX=.o LC_ALL=tr_TR.UTF-8 LANGUAGE=tr \
			PERL5OPT=-Mnonsense TMPDIR="$here/$odd/tmp dir" HOME="$here/$odd/home" "$@"
	}
	(
		umask 077
		cd "$odd"
		# shellcheck disable=SC2016
		for run in 'surroundings -u HOME ../bin/apply\ it --no-quilt ./-tree' \
			'surroundings ../bin/apply\ it --reverse link' \
			'surroundings bash checkout/scripts/apply.sh --no-quilt "$PWD/link/"' \
			'surroundings bash checkout/scripts/apply.sh --reverse ./-tree'; do
			eval "$run"
			if [[ $run == *--reverse* ]]; then
				(cd -- ./-tree && snapshot .) | diff ../before -
			else
				diff -r ./-tree "$TREES/patched"
			fi
		done
	) >out 2>&1 || { cat out && false; }
	cat out
	grep -q 'Took .* patches out' out
	[ -z "$(ls -A "$odd/tmp dir")" ]
	[ "$(cd "$odd" && echo .[!.]* *)" = ".git .gitignore -tree checkout home link tmp dir" ]
}
test_make_in_odd_surroundings() {
	local odd='R&D a|b'
	checkout "$odd"
	cp "$top/Makefile" "$odd"
	cd "$odd"
	odd() { env -u HOME -u BUILD -u BASE CDPATH=/ KBUILD_OUTPUT=/nowhere "$@"; }
	exits 0 odd make help
	mkdir -p build/log
	exits 0 odd make clean
	[ ! -e build ]
	[ "$(LINUX=$PRISTINE odd scripts/tree.sh found)" = "$PRISTINE" ]
	# Kbuild can't live there: the first word is ours
	exits 1 odd scripts/kernel.sh guest "$PRISTINE" guest
	grep -q 'choose another with BUILD=' out
}
# By git with core.autocrlf, the series and scripts come as they are; not so a kernel
test_apply_with_autocrlf() {
	checkout checkout
	git -C checkout init -q
	git -C checkout add -A
	git -C checkout -c core.autocrlf=true checkout-index -a --prefix="$PWD/crlf/"
	exits 1 grep -rlI $'\r$' crlf
	mini tree
	exits 0 crlf/scripts/apply.sh --no-quilt tree
	diff -r tree "$TREES/patched"
	rm -rf tree
	mini tree
	find tree -type f -exec sed -i 's/$/\r/' {} +
	refused 1 once
	grep -q 'CR LF.*core.autocrlf=false' refusal
}
# As root in a user's tree: all stays the user's
test_apply_keeps_modes_and_owners() {
	mini tree
	chmod 640 tree/mm/page_alloc.c
	if ((EUID == 0)); then chown -R 12345:12346 tree; fi
	stat -c %u:%g tree >owner
	snapshot tree >before
	exits 0 "$apply" tree
	[ "$(stat -c %a tree/mm/page_alloc.c)" = 640 ]
	find tree/mm tree/include ! -type d -exec stat -c %u:%g {} + | sort -u | diff owner -
	exits 0 "$apply" --reverse tree
	snapshot tree | diff before -
}

# whole OUT STATUS: the tree is as before or as applied, what was said is true, and
# nothing is left of it
whole() {
	local state=broken
	snapshot tree >now
	if cmp -s now before; then state=plain; fi
	if cmp -s now applied || cmp -s now pushed; then state=patched; fi
	case $state in
	plain) (($2)) && ! grep -qE '^(Applied|Pushed)' "$1" ;;
	patched) (($2 == 0 || $2 > 128)) && ! grep -q 'as it was' "$1" ;;
	broken) false ;;
	esac || {
		cat "$1"
		echo "status $2, tree $state"
		diff before now | head
		false
	}
	[ -z "$(ls -A tmp)" ] || { ls -A tmp && false; }
}
# What signals to all of its processes do to it: at each program that it runs, and at
# random instants
test_apply_is_done_or_not_when_interrupted() {
	local tool n=0 rc took end signal signals=(TERM HUP INT) options=()
	mini tree
	snapshot tree >before
	mkdir tmp bin
	exits 0 "$apply" tree
	snapshot tree >pushed
	rm -rf tree
	mini tree
	took=$(date +%s%N)
	exits 0 "$apply" --no-quilt tree
	took=$((($(date +%s%N) - took) / 1000000))
	snapshot tree >applied
	export TMPDIR=$PWD/tmp
	for tool in git cp mv perl mkdir find flock rm; do
		rm -rf bin tree
		mini tree
		mkdir bin
		n=$((n + 1)) options=(--no-quilt)
		if ((n % 2)); then options=(); fi
		printf '#!/bin/sh\nkill -%s 0\nexec %s "$@"\n' "${signals[n % 3]}" "$(command -v $tool)" >bin/$tool
		chmod +x bin/$tool
		rc=0
		PATH=$PWD/bin:$PATH env --default-signal=INT setsid -w "$apply" "${options[@]}" tree >out 2>&1 || rc=$?
		rm -rf bin
		whole out $rc
	done
	# A program that fails, or can't be killed
	for tool in rm mv perl; do
		rm -rf tree
		mini tree
		mkdir bin
		printf '#!/bin/sh\nexit 1\n' >bin/$tool
		chmod +x bin/$tool
		rc=0
		PATH=$PWD/bin:$PATH "$apply" --no-quilt tree >out 2>&1 || rc=$?
		rm -r bin
		whole out $rc
	done
	end=$((SECONDS + ${STRESS_SECONDS:-6}))
	while ((SECONDS < end)); do
		signal=${signals[RANDOM % 3]} options=(--no-quilt)
		if ((RANDOM % 2)); then options=(); fi
		rm -rf tree
		mini tree
		env --default-signal=INT setsid "$apply" "${options[@]}" tree >out 2>&1 &
		rc=0
		sleep "$(awk -v ms=$((RANDOM % (took + 1))) 'BEGIN { print ms / 1000 }')"
		kill "-$signal" -- -$! 2>/dev/null || true
		wait $! || rc=$?
		whole out $rc
	done
}
# What kill -9 leaves in the middle is taken back by the next run, as long as no other runs
test_apply_puts_back_after_kill() {
	mini tree
	snapshot tree >before
	mkdir bin
	# Half of it
	cat >bin/perl <<-EOF
		#!/bin/sh
		[ "\$3" = forward ] || exec $(command -v perl) "\$@"
		cd .palloc-apply
		cp list all && head -n 40 all >list
		$(command -v perl) "\$@"
		mv all list
		kill -9 \$PPID
	EOF
	chmod +x bin/perl
	exits 137 env PATH="$PWD/bin:$PATH" "$apply" tree
	[ -e tree/.palloc-apply/list ]
	snapshot tree | diff before - >/dev/null && false
	exits 1 "$apply" --check tree
	grep -q 'was killed' out
	(
		exec 9<tree/.palloc-apply
		flock 9
		exits 1 "$apply" tree
		grep -q 'another apply.sh' out
	)
	exits 0 "$apply" --reverse tree
	grep -q 'not applied' out
	snapshot tree | diff before -
}
# Disks that are full, at every size up to what it takes, and one that can't be written to
test_apply_on_full_disks() {
	local rc size where enough=
	unshare -rm true || return 77
	for where in tmp tree; do
		for size in 1 2500 6000 10000 14000 60000; do
			mkdir tree tmp
			if [ $where = tmp ]; then cp -a "$TREES/mini/." tree; fi
			rc=0
			# shellcheck disable=SC2016
			unshare -rm bash -c '
				mount -t tmpfs -o size="$2"k full "$1" || exit
				if [ "$1" = tree ]; then cp -a "$3/mini/." tree || exit 9; fi
				TMPDIR=$PWD/tmp "$4" --no-quilt tree
				rc=$?
				test -z "$(ls -A tmp)" || exit 7
				cp -a tree copy
				exit $rc' - $where $size "$TREES" "$apply" >out 2>&1 || rc=$?
			echo "$where of $size KiB: $rc"
			cat out
			case $rc in
			# The tree alone was too large
			9) ;;
			0)
				diff -r copy "$TREES/patched"
				enough+=" $where"
				;;
			1)
				diff -r copy "$TREES/mini"
				[ -s out ]
				;;
			*) false ;;
			esac
			rm -rf copy tree tmp
			if [ $rc = 0 ]; then break; fi
		done
	done
	[ "$enough" = ' tmp tree' ]
	mini tree
	# shellcheck disable=SC2016
	exits 1 unshare -rm bash -c 'mount --bind tree tree && mount -o remount,ro,bind tree && "$1" tree' - "$apply"
	grep -q 'cannot write to' out
}

# places: patches in a folder, without where it all is: other releases of a base that
# moves on have the same lines elsewhere
places() {
	(cd "$1" && sed -E '/^index /d; s/^@@ .*/@@/' ./*.patch)
}
test_git_am_and_export_round_trip() {
	local own=${series##*/series}
	mini_git tree
	git_am tree
	BRANCH_DIR=tree "$top/scripts/patches.sh" export out
	if [ "$base" = v6.6 ]; then
		diff -r out/patches "$top/patches"
	else
		diff <(places "out/patches$own") <(places "$top/patches$own")
		diff <(ls "out/patches$own") <(ls "$top/patches$own")
	fi
	diff "out/series$own" "$series"
	diff -r -x .git tree "$TREES/patched"
}

test_b4_shazam() {
	command -v b4 || return 77
	mini_git tree
	patch_paths | xargs -r0 cat >mbox
	id=$(sed -n 's/^Message-Id: <\(.*\)>$/\1/p' "$patches/$(series_patches | head -n 1)")
	(cd tree && HOME=$PWD/.. b4 --offline-mode shazam -m ../mbox "$id")
	mini_git am
	git_am am
	diff -r -x .git tree am
	[ "$(git -C tree rev-list --count "$base"..)" = "$(series_patches | wc -l)" ]
}

test_copies_match() {
	patched tree
	sed '/^#/d' "$top/scripts/copies" | while read -r here there; do
		# Whatever git ignores may lie around here
		if [ -d "$top/$here" ] && [ -e "$top/.git" ]; then
			(cd "$top/$here" && git ls-files -co --exclude-standard . | sort -u | copy_files . "$OLDPWD/here")
		else
			cp -a "$top/$here" here
		fi
		copy_of tree "$there" there
		diff -r there here
		rm -rf here there
	done
}

# The tests that the table of paths names exist: whole, or, as those of remote are,
# put together of the name of a method and that of a kind
test_paths_name_tests() {
	local line program name part n=0
	grep -o '[a-z_]*: "[^"]*"$' "$top/Documentation/design.rst" >named
	while IFS= read -r line; do
		program=$top/kselftests/${line%%:*}.c name=${line#*: }
		n=$((n + 1))
		if grep -qF "{ $name," "$program"; then continue; fi
		for part in "${name%%: *}\"" "\"${name#*: }"; do
			grep -qF "{ $part," "$program" || { echo "no test: $line" && false; }
		done
	done <named
	((n > 0))
}

# kernel_doc TREE: what kernel-doc has to say of the files listed on stdin, as far as
# the tree has them, less line numbers
kernel_doc() {
	(cd "$1" && while IFS= read -r f; do if [ -e "$f" ]; then echo "$f"; fi; done |
		xargs -d '\n' "$PRISTINE/scripts/kernel-doc" -none 2>&1) |
		sed 's/^\([^:]*\):[0-9]*:/\1:/' | sort
}
# What can be said of it without Sphinx: no complaints but those that stock has
test_kernel_doc() {
	patched tree
	touched_files | grep '\.[ch]$' | grep -v '^tools/testing/' >sources
	kernel_doc "$PRISTINE" <sources >before
	kernel_doc tree <sources >after
	exits 1 grep -Fvxf before after
	# To Sphinx, bold text without an end, and a list without items
	new_files | grep -E '^(mm|include)/.*\.[ch]$' >new
	(cd tree && exits 123 xargs -a ../new \
		grep -nE '^ \*.*@[a-z_]+\[[a-z0-9]|^ \* (Return|Context): [0-9]+\.$')
	# A title without an empty line above it is part of a paragraph
	awk 'FNR == 1 { a = b = "" }
		/^(===+|---+|~~~+)$/ && b ~ /[^-=~]/ && a ~ /[^-=~]/ {
			print FILENAME ":" FNR ": no title: " b
			bad = 1
		}
		{ a = b; b = $0 }
		END { exit bad }' "$top"/Documentation/*.rst
}

# The tool's completion, with a shell, a terminal and keys: no name of a cgroup is
# expanded, and what gets into the line is that name, as a word
test_completion_of_names() {
	local name key want
	mini tree
	patch_series tree
	# shellcheck disable=SC2016
	for name in plain 'a b' '$(touch ran)' '`touch ran`' 'back\x2dslash' -dash .dot '~' "it's" '"' \
		'b;touch ran' '*' 'user@1000.service' 'c@a:b=c' $'new\nline' $'esc\e[31m'; do
		mkdir -p "cgroup two/$name"
		touch "cgroup two/$name/palloc.bins"
	done
	touch "cgroup two/cgroup.controllers"
	mkdir covered
	printf '%s\n' "none $PWD/covered cgroup2 rw 0 0" "none / ext4 rw 0 0" \
		"none $PWD/cgroup\\040two cgroup2 rw 0 0" >mounts
	cat >rc <<-'EOT'
	. tree/tools/mm/palloc-tool/completion.bash
	eval "of$(declare -f _palloc_cgroup_root)"
	_palloc_cgroup_root() { of_palloc_cgroup_root <mounts; }
	palloc() { printf '%q ' "$@" && echo; } >>got
	EOT
	# Keys, and what is to come of them. A name that would do harm is left out, or quoted.
	# shellcheck disable=SC2016
	while read -r key want; do
		printf 'palloc show %s\t\n' "${key//_/\\ }" >>keys
		echo "show $want " >>want
	done <<-'EOT'
	/pl /plain
	/a /a\ b
	/a_ /a\ b
	/\$ /\$\(touch\ ran\)
	/\` /\`touch\ ran\`
	/back /back\\x2dslash
	/- /-dash
	/. /.dot
	/~ /~
	/it /it\'s
	/\" /\"
	/b\; /b\;touch\ ran
	/\* /\*
	/us /user@1000.service
	/user@1 /user@1000.service
	/c@a: /c@a:b=c
	/c@a:b= /c@a:b=c
	/n /n
	/e /e
	"/pl /plain
	EOT
	echo 'bind "set completion-query-items 0"; bind "set page-completions off"' >>keys
	printf 'palloc %s\t\n' st 'status --j' 'run --keep /pl' 'run --keep=/pl' >>keys
	printf '%s \n' status 'status --json' 'run --keep /plain' 'run --keep=/plain' >>want
	# All there are, twice TAB
	printf 'palloc move /\t\t\nexit\n' >>keys
	echo 'move / ' >>want
	timeout 30 script -qec 'bash --noprofile --rcfile rc -i' typed <keys >/dev/null
	diff want got
	[ ! -e ran ]
	# They are shown, but for what a terminal would obey
	grep -q '  /plain' typed
	if grep 'esc\|line' typed; then return 1; fi
}

# The tool's detector of bank maps: published maps are found again in models of machines,
# what is no map is refused for the right reason, and the commands say so
test_detect() {
	mini tree
	patch_series tree
	mkdir -p tree/include/uapi/linux
	cp "$PRISTINE/include/uapi/linux/kernel-page-flags.h" tree/include/uapi/linux/
	make -C tree/tools/mm -f palloc-tool/palloc.mk OUTPUT="$PWD/" \
		CFLAGS='-O2 -Wall -Wextra -Werror -pthread' "$PWD/palloc" "$PWD/palloc-detect-test"
	./palloc-detect-test ./palloc
}

# The one header for programs, next to whatever C library there is, in either order
test_header_in_c_and_cxx() {
	local file compile
	patched tree
	mkdir linux
	cp tree/include/uapi/linux/palloc.h linux/
	printf '#include <%s>\n' sys/mman.h sys/prctl.h sys/syscall.h linux/palloc.h linux/palloc.h >last.c
	printf '#include <%s>\n' linux/palloc.h sys/mman.h sys/prctl.h sys/syscall.h unistd.h >first.c
	cat >>first.c <<-'EOF'
		int main(void)
		{
			struct palloc_recolor r = { 0, 0 };
			unsigned long map = 1;
			void *p = mmap(0, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_PALLOC, -1, 0);

			return syscall(__NR_set_color, 1) || syscall(__NR_set_color_map, &map, 1) ||
			       prctl(PR_PALLOC_POLICY, PR_PALLOC_STRICT, 0, 0, 0) ||
			       prctl(PR_PALLOC_FUTURE, 1, 0, 0, 0) ||
			       prctl(PR_PALLOC_RECOLOR, 0, &r, 0, 0) || p == MAP_FAILED;
		}
	EOF
	cp first.c first.cc
	cp last.c last.cc
	for file in first last; do
		for compile in 'gcc -std=gnu90' 'gcc -std=c11 -D_GNU_SOURCE' 'gcc -D__STRICT_ANSI__ -D_GNU_SOURCE'; do
			$compile -Wall -Wextra -Werror -I . -c $file.c
		done
		for compile in 'g++ -std=c++98' 'g++ -std=c++20'; do
			$compile -Wall -Wextra -Werror -I . -c $file.cc
		done
	done
}

# The tool, for whoever has no kernel's source
test_tools() {
	BUILD=$PWD/build LINUX=/nowhere "$top/scripts/tools.sh" >out
	cat out
	$(sed -n '/\/palloc$/p' out) --help >help
	grep -q palloc help
	grep -q '^To install: ' out
	eval "$(sed -n 's/^To install: sudo //p' out) DESTDIR=$PWD/root"
	[ -x root/usr/sbin/palloc ]
}

# What gets into the guest can be read there, whatever umask its files were made under
test_guest_files_can_be_read() {
	command -v cpio >/dev/null && command -v busybox >/dev/null || return 77
	umask 077
	mkdir -p bin tests/sub
	printf '#!/bin/sh\n' | tee tests/program >tests/sub/text
	chmod +x tests/program
	# In place of QEMU
	cat >bin/qemu-system-x86_64 <<-EOF
		#!/bin/sh
		while [ "\$1" != -initrd ]; do shift; done
		cp "\$2" "$PWD/initrd"
	EOF
	chmod +x bin/qemu-system-x86_64
	: >kernel
	env ARCH=x86 BUILD="$PWD/build" PATH="$PWD/bin:$PATH" "$top/scripts/guest.sh" \
		--icount --add "$PWD/tests:tests" name kernel kselftest || true
	cpio -itv --quiet <initrd | tee list
	grep -q '^-rwxr-xr-x .* tests/program$' list
	grep -q '^-rw-r--r-- .* tests/sub/text$' list
	grep -q '^-rwxr-xr-x .* init$' list
	exits 1 grep -vE '^(.r..r..r|l)' list
	exits 1 grep -vE '^([^d]|d..x..x..x)' list
}

# test.sh with what it calls replaced: each kernel's guests run, all tests of the debug kernel
# once, beside the next build; what does not build has failed, and nothing outlives it
test_tests_are_run() {
	local pid
	checkout checkout
	mkdir -p build/linux
	cp "$PRISTINE"/{Makefile,Kbuild} build/linux
	mkdir build/linux/mm
	printf '#!/bin/sh\n' >checkout/scripts/tree.sh
	cat >checkout/scripts/kselftest.sh <<-'EOF'
		#!/bin/sh
		mkdir -p "$BUILD/kselftest"
		printf 'palloc:%s\n' a b c d e >"$BUILD/kselftest/kselftest-list.txt"
	EOF
	cat >checkout/scripts/kernel.sh <<-'EOF'
		#!/bin/sh
		echo "build $1" >>"$BUILD/events"
		# Until a guest runs beside it
		if [ "$1" != guest ] && [ "$BESIDE" ]; then until grep -q '^boot guest' "$BUILD/events"; do sleep 0.1; done; fi
		[ "$1" != "$BROKEN" ]
	EOF
	cat >checkout/scripts/guest.sh <<-'EOF'
		#!/bin/sh
		while [ "${1#--}" != "$1" ]; do
			case $2 in TESTS=*) tests=${2#TESTS=} ;; esac
			shift 2
		done
		echo "boot $1$tests" >>"$BUILD/events"
		[ -z "$HANG" ] || sleep 100
		mkdir -p "$BUILD/results/$1"
		echo 2 0 0 >"$BUILD/results/$1/summary"
	EOF
	chmod +x checkout/scripts/*.sh
	# shellcheck disable=SC2317
	run() { env -u TESTS ARCH=x86 BASE=v6.6 JOBS=2 BUILD="$PWD/build" "$@"; }
	exits 0 run BESIDE=yes checkout/scripts/test.sh guest debug
	[ "$(tail -n 1 out)" = '6 passed, 0 failed, 0 skipped' ]
	printf '%s\n' 'boot debug/1 a c e ' 'boot debug/2 b d ' 'boot guest' 'build debug' 'build guest' |
		diff - <(sort build/events)
	exits 1 run BROKEN=debug checkout/scripts/test.sh guest debug
	[ "$(tail -n 1 out)" = '2 passed, 2 failed, 0 skipped' ]
	exits 1 run BROKEN=guest checkout/scripts/test.sh guest debug
	[ "$(tail -n 1 out)" = '0 passed, 3 failed, 0 skipped' ]
	exits 0 run TESTS=x checkout/scripts/test.sh debug
	[ "$(tail -n 1 out)" = '2 passed, 0 failed, 0 skipped' ]
	rm build/events
	env -u TESTS ARCH=x86 BASE=v6.6 JOBS=2 BUILD="$PWD/build" HANG=yes checkout/scripts/test.sh guest >out 2>&1 &
	pid=$!
	until grep -q boot build/events 2>/dev/null; do sleep 0.1; done
	kill $pid
	wait $pid || true
	for _ in {1..100}; do
		if ! pgrep -f "$PWD/checkout/scripts/guest.sh" >/dev/null; then return; fi
		sleep 0.1
	done
	false
}

# Whatever goes wrong, what runs it finds the sum in the last line
test_ci_closes_with_the_sum() {
	local sum='^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'
	mkdir -p ci/.ci ci/scripts
	cp "$top/.ci/run" ci/.ci
	printf '#!/bin/sh\nexit 1\n' >ci/scripts/tree.sh
	chmod +x ci/scripts/tree.sh
	exits 1 ci/.ci/run
	[ "$(tail -n 1 out)" = '0 passed, 1 failed, 0 skipped' ]
	printf '#!/bin/sh\n' >ci/scripts/tree.sh
	printf 'test:\n\t@false\n' >ci/Makefile
	exits 2 ci/.ci/run
	[ "$(tail -n 1 out)" = '0 passed, 1 failed, 0 skipped' ]
	printf 'test:\n\t@echo 3 passed, 2 failed, 1 skipped; false\n' >ci/Makefile
	exits 2 ci/.ci/run
	[ "$(tail -n 1 out)" = '3 passed, 2 failed, 1 skipped' ]
	[ "$(grep -cE "$sum" out)" = 1 ]
	printf 'test:\n\t@echo 3 passed, 0 failed, 0 skipped\n' >ci/Makefile
	exits 0 ci/.ci/run
	[ "$(tail -n 1 out)" = '3 passed, 0 failed, 0 skipped' ]
}

test_shellcheck() {
	shellcheck --version >/dev/null
	shellcheck -x -P SCRIPTDIR "$top"/scripts/*.sh "$top"/scripts/guest/* "$top/.ci/run"
	find "$top/kselftests" -name '*.sh' -exec shellcheck {} +
}

# verdict REPORT CONSOLE "PASSED FAILED SKIPPED" [OPTION]: what verdict.sh has to say
verdict() {
	local rc=0
	rm -rf v
	mkdir v
	printf '%b\n' "$1" >v/report.log
	printf '%b\n' "$2" >v/console.log
	"$top/scripts/verdict.sh" ${4:+"$4"} v || rc=$?
	[ "$(cat v/summary)" = "$3" ]
	case $3 in
	*" 0 "*) ((rc == 0)) ;;
	*) ((rc == 1)) ;;
	esac
}
test_verdict() {
	local tap='TAP version 13\n1..2\nok 1 a\nok 2 b'
	local good="@@ boot\n\n@@ test t 45\n$tap\n\n@@ exit t 0\n\n@@ end"
	verdict "$good" 'all is well' '2 0 0'
	printf '%b\n' "$tap" | diff - v/t.tap
	# The guest's end
	verdict "${good%@@*}" '' '2 1 0'
	verdict "@@ boot\n@@ test t 45\n1..2\nok 1 a" '' '1 1 0'
	verdict '@@ boot\n@@ end' '' '0 1 0'
	verdict '' '' '0 1 0'
	# A test's own failures
	verdict "${good/ok 2/# why\\nnot ok 2}" '' '1 1 0'
	grep -q '# why$' v/verdict
	verdict "${good/ok 1/# else\\nok 1}" '' '2 0 0'
	grep -q '# else' v/verdict && return 1
	verdict "${good/exit t 0/exit t 1}" '' '2 1 0'
	verdict "${good/exit t 0/exit t 124}" '' '2 1 0'
	grep -q 'ran out of time' v/verdict
	verdict "${good/1..2/1..3}" '' '2 1 0'
	verdict "${good/1..2/}" '' '2 1 0'
	verdict "${good/1..2/1..2\\n1..2}" '' '2 1 0'
	verdict "${good/ok 2 b/ok 2 b\\nok 3 c}" '' '3 1 0'
	# Skips
	verdict "${good/ok 2 b/ok 2 # SKIP no b}" '' '1 1 0'
	EXPECTED_SKIPS="s t" verdict "${good/ok 2 b/ok 2 # SKIP no b}" '' '1 0 1'
	verdict '@@ boot\n@@ test t 45\n1..0 # SKIP none\n@@ exit t 4\n@@ end' '' '0 1 0'
	EXPECTED_SKIPS=t verdict '@@ boot\n@@ test t 45\n1..0 # SKIP none\n@@ exit t 4\n@@ end' '' '0 0 1'
	# What the kernel complains of
	local line
	while IFS= read -r line; do
		verdict "$good" "fine\n[    1.000000] $line\nfine" '2 1 0'
	done <<-'LINES'
		WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1 foo+0x1/0x2
		BUG: KASAN: use-after-free in foo
		BUG: Bad page state in process a  pfn:00001
		 Call Trace:
		Call trace:
		Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
		Internal error: SP/PC alignment exception: 000000008a000000 [#1] SMP
		Kernel panic - not syncing: Fatal exception
		WARNING: possible circular locking dependency detected
		WARNING: suspicious RCU usage
		rcu: INFO: rcu_sched self-detected stall on CPU
		watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:1]
		INFO: task a:1 blocked for more than 120 seconds.
		Oops: 0000 [#1] SMP
		a: page allocation failure: order:0, mode:0x0
		list_add corruption. next->prev should be prev
		UBSAN: shift-out-of-bounds in mm/palloc.c:1:1
	LINES
	# What user space asked for is none of it
	verdict "$good" 'Unable to handle swap header version -2' '2 0 0'
	# A process that was to be killed, another one, and a splat meanwhile
	local oom='a invoked oom-killer: x\n Call Trace:\n' killed='Out of memory: Killed process 7'
	verdict "$good" "$oom$killed (oom_victim) total-vm:1kB" '2 0 0'
	verdict "$good" "$oom$killed (a) total-vm:1kB" '2 1 0'
	verdict "$good" "$oom Call Trace:\n$killed (oom_victim)" '2 1 0'
	# Output that is no TAP
	verdict '@@ boot\n@@ test t 45\nanything\n@@ exit t 0\n@@ end' '' '1 0 0' --raw
	verdict '@@ boot\n@@ test t 45\nanything\n@@ exit t 1\n@@ end' '' '0 1 0' --raw
}

if [ -n "$test" ]; then
	"test_$test"
	exit
fi

results=$out/results/check
rm -rf "$results"
mkdir -p "$results"
tests=("$@")
if ((!${#tests[@]})); then
	mapfile -t tests < <(declare -F | sed -n 's/^declare -f test_//p' |
		while read -r t; do echo "$(grep -n "^test_$t()" "${BASH_SOURCE[0]}" | cut -d : -f 1) $t"; done |
		sort -n | cut -d ' ' -f 2)
fi
# Those that other bases' series are not for, whose patches are numbered in two ways; those
# that v6.6's is not for; and those that bases other than the one chosen get, as all of
# them take a minute each: BASE=... for the others
own=' b4_shazam apply_warns_of_stable_trees '
others=' new_files_are_the_same '
brief=' series_names_every_patch applies_without_fuzz_and_reverses '
# Those that take long: for "make test", and with BASE=..., so that the others take less than
# a minute
long=' checkpatch detect tools b4_shazam verdict tests_are_run apply_plain_tree_with_quilt
 apply_in_odd_surroundings apply_tells_what_does_not_fit apply_on_full_disks
 apply_is_done_or_not_when_interrupted '
long=${long//$'\n'/}

# Those whose output is worth reading anyway
printed=' rework '

# run_test BASE TEST; several at a time, hence the verdicts are not in order
run_test() {
	local rc=0 scratch verdict name=$1.$2
	scratch=$(mktemp -d)
	(cd "$scratch" && BASE=$1 "$top/scripts/check.sh" --run "$2" >"$results/$name.log" 2>&1 </dev/null) || rc=$?
	rm -rf "$scratch"
	case $rc in
	0) verdict=ok ;;
	77) verdict=skipped ;;
	*) verdict=FAILED ;;
	esac
	echo $verdict >"$results/$name.verdict"
	say "$(printf '%-7s %s: %s' $verdict "$1" "${2//_/ }")"
	if [[ $printed == *" $2 "* ]]; then
		cat "$results/$name.log"
	elif [ $verdict = FAILED ]; then
		tail -n 15 "$results/$name.log"
	fi
}

# The base that this is about, then all others that there is a tree of
chosen=$base
ran=0 trees=()
trap 'rm -rf "${trees[@]}"' EXIT
for b in $chosen ${bases//$chosen/}; do
	if [ "$b" = "$chosen" ]; then
		PRISTINE=$("$top/scripts/tree.sh" pristine)
	else
		PRISTINE=$(BASE=$b LINUX='' "$top/scripts/tree.sh" found)
	fi
	use_base "$b"
	if [ -z "$PRISTINE" ]; then
		say "the series for $title is not checked: there is no tree of it here"
		continue
	fi
	TREES=$(mktemp -d)
	trees+=("$TREES")
	export PRISTINE TREES
	make_trees
	for t in "${tests[@]}"; do
		if [ "$b" != "$chosen" ] && [[ $brief != *" $t "* ]]; then continue; fi
		if [ -z "${WHOLE-}" ] && [ $# = 0 ] && [[ $long == *" $t "* ]]; then
			say "not run without BASE=$b, but by make test: ${t//_/ }"
			continue
		fi
		if [ "$b" = v6.6 ] && [[ $others == *" $t "* ]]; then continue; fi
		if [ "$b" != v6.6 ] && [[ $own == *" $t "* ]]; then continue; fi
		while (($(jobs -rp | wc -l) >= JOBS)); do wait -n; done
		ran=$((ran + 1))
		run_test "$b" "$t" &
	done
done
wait
verdicts() { cat "$results"/*.verdict | grep -cx "$1" || true; }
passed=$(verdicts ok) skipped=$(verdicts skipped)
failed=$((ran - passed - skipped))
echo "$passed $failed $skipped" >"$results/summary"
((failed == 0))
