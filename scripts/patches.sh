#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# Turns the git branch into patches/ and series, and back. With BASE=debian it is
# series.debian, and patches.debian/ gets only those patches that v6.6's can't stand for.
#
# "git format-patch" and "git am" do it. What is left here: headers that are the same for
# the same commits, wherever and whenever (format); a series' comments, which no commit has
# (new_series); which patches bases share (stands_for); and that no work is lost.
#
#   patches.sh export        branch palloc of BRANCH_DIR to patches/, series, copies
#   patches.sh export DIR    only patches and series, into DIR
#   patches.sh import        the series to branch palloc of BRANCH_DIR

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

repo=${BRANCH_DIR:-$BUILD/branch}
# What the user's configuration says must not show in the patches
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_COMMITTER_NAME='The palloc series authors' GIT_COMMITTER_EMAIL=palloc@example.org
kgit() { git -C "$repo" "$@"; }

# format DIR: the branch as patch files, the same for the same commits everywhere.
# Mail programs and b4 want a Message-Id, which git would make from the time.
format() {
	local p id first=
	mkdir -p "$1"
	kgit format-patch -q -o "$(realpath "$1")" --numbered --zero-commit --no-signature \
		--no-renames --full-index --diff-algorithm=myers "$base..palloc"
	for p in "$1"/*.patch; do
		[ -e "$p" ] || die "branch palloc of $repo has no commits after $base"
		id="<$(basename "$p" .patch)@palloc.example.org>"
		sed -i "0,/^Date: .*/s||&\nMessage-Id: $id${first:+\nIn-Reply-To: $first\nReferences: $first}|" "$p"
		first=${first:-$id}
	done
}

# new_series: the names on stdin, with the old series' comments above them. A banner
# whose first patch is gone or renamed moves to the next old patch that is still there.
new_series() {
	awk '
		function slug(name) { sub(/.*\//, "", name); sub(/^[0-9]+-/, "", name); return name }
		FILENAME == ARGV[1] { names[++n] = $0; here[slug($0)] = 1; next }
		/^[[:space:]]*(#|$)/ { pending = pending $0 "\n"; next }
		slug($1) in here { above[slug($1)] = pending; pending = "" }
		END {
			for (i = 1; i <= n; i++) print above[slug(names[i])] names[i]
			printf "%s", pending
		}' /dev/stdin "$([ -e "$series" ] && echo "$series" || echo /dev/null)"
}

# stands_for PATCH COMMIT: whether a patch of v6.6's does what a commit does
stands_for() {
	local index rc=0
	[ -e "$1" ] || return 1
	index=$(mktemp)
	if GIT_INDEX_FILE=$index kgit read-tree "$2^" &&
		GIT_INDEX_FILE=$index kgit apply --cached "$1" 2>/dev/null; then
		[ "$(GIT_INDEX_FILE=$index kgit write-tree)" = "$(kgit rev-parse "$2^{tree}")" ] || rc=1
	else
		rc=1
	fi
	rm -f "$index"
	return $rc
}

# export_to DIR: the base's patches and series
export_to() {
	local p n=0 name commits own=${series##*/series}
	mkdir -p "$1/patches$own"
	if [ "$base" = v6.6 ]; then
		format "$1/patches"
		(cd "$1/patches" && printf '%s\n' *.patch) | new_series >"$1/series"
		return
	fi
	format "$1/all"
	mapfile -t commits < <(kgit rev-list --reverse "$base..palloc")
	for p in "$1"/all/*.patch; do
		# Under the number that it has for v6.6
		name=${p##*/}
		name=$(cd "$top/patches" && printf '%s\n' [0-9]*"-${name#*-}")
		if [ ! -e "$top/patches/$name" ]; then name=${p##*/}; fi
		if stands_for "$top/patches/$name" "${commits[n]}"; then
			echo "patches/$name"
		else
			mv "$p" "$1/patches$own/$name"
			echo "patches$own/$name"
		fi
		n=$((n + 1))
	done | new_series >"$1/series$own"
	rm -r "$1/all"
}

copies() { sed '/^#/d' "$top/scripts/copies"; }

# sync_copies: from the branch to here, unless work would be lost here.
sync_copies() {
	local here there tmp
	tmp=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	copies | while read -r here there; do
		kgit archive palloc "${there%#*}" | tar -C "$tmp" -xf -
		rm -rf "$tmp/.copy"
		copy_of "$tmp" "$there" "$tmp/.copy"
		if diff -rq "$tmp/.copy" "$top/$here" >/dev/null 2>&1; then continue; fi
		if [ -n "$(git -C "$top" status --porcelain -- "$here")" ]; then
			die "$here has changes that are not committed and not in the branch: copy them to $there there, or commit them"
		fi
		if [ -d "$tmp/.copy" ]; then
			rsync -rlp --checksum --delete "$tmp/.copy/" "$top/$here/"
		else
			install -D -m 644 "$tmp/.copy" "$top/$here"
		fi
		say "$here is now as in the branch"
	done
}

export_branch() {
	local tmp own=${series##*/series}
	[ -z "$(kgit status --porcelain --untracked-files=no)" ] || die "$repo has uncommitted changes"
	if [ -n "${1-}" ]; then
		mkdir -p "$1"
		export_to "$1"
		return
	fi
	tmp=$(mktemp -d "$top/.patches.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	export_to "$tmp"
	mkdir -p "$top/patches$own"
	rsync -r --checksum --delete "$tmp/patches$own/" "$top/patches$own/"
	cat "$tmp/series$own" >"$series"
	rm -rf "$tmp"
	# The others' are the same
	if [ "$base" = v6.6 ]; then sync_copies; fi
	say "exported $(series_patches | wc -l) patches, $(find "$top/patches$own" -type f | wc -l) of them to patches$own"
}

# Whether the branch is what the series was exported from
exported() {
	local tmp rc=0 own=${series##*/series}
	tmp=$(mktemp -d)
	export_to "$tmp" && diff -rq "$tmp/patches$own" "$top/patches$own" >/dev/null &&
		diff -q "$tmp/series$own" "$series" >/dev/null || rc=1
	rm -rf "$tmp"
	return $rc
}

import_series() {
	local from
	if [ ! -e "$repo/.git" ]; then
		from=$("$top/scripts/tree.sh" pristine)
		mkdir -p "$repo"
		step "copying $title to $repo" "$BUILD/log/branch" \
			rsync -a --exclude=/.git "$from/" "$repo/"
		kgit init -q -b palloc
		step "committing it" "$BUILD/log/branch" kgit add -A -f
		GIT_AUTHOR_NAME=$GIT_COMMITTER_NAME GIT_AUTHOR_EMAIL=$GIT_COMMITTER_EMAIL \
			kgit commit -q -m "$title"
		kgit tag "$base"
	elif kgit rev-parse -q --verify palloc >/dev/null; then
		[ -z "$(kgit status --porcelain --untracked-files=no)" ] || die "$repo has uncommitted changes"
		[ "$(kgit rev-parse palloc)" = "$(kgit rev-parse "$base^0")" ] || exported ||
			die "branch palloc of $repo has commits that patches/ has not: make patches, or move the branch away"
		kgit checkout -q -B palloc "$base"
	fi
	patch_paths | xargs -r0 git -C "$repo" am -q ||
		{ kgit am --abort && die "git am refused the series"; }
	say "branch palloc of $repo: $(kgit rev-list --count "$base..palloc") commits on $title"
}

case ${1-} in
export) export_branch "${2-}" ;;
import) import_series ;;
*) die "usage: patches.sh export [DIR]|import" ;;
esac
