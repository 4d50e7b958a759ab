#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Turns the git branch into patches/ and series, and back.
#
#   patches.sh export        branch palloc of BRANCH_DIR to patches/, series, copies
#   patches.sh export DIR    only patches and series, into DIR
#   patches.sh import        patches/ to branch palloc of BRANCH_DIR

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

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
		--no-renames --full-index --diff-algorithm=myers v6.6..palloc
	for p in "$1"/*.patch; do
		[ -e "$p" ] || die "branch palloc of $repo has no commits after v6.6"
		id="<$(basename "$p" .patch)@palloc.example.org>"
		sed -i "0,/^Date: .*/s||&\nMessage-Id: $id${first:+\nIn-Reply-To: $first\nReferences: $first}|" "$p"
		first=${first:-$id}
	done
}

# new_series DIR: the old series' comments above the new names. A banner whose first
# patch is gone or renamed moves to the next old patch that is still there.
new_series() {
	awk '
		function slug(name) { sub(/^[0-9]+-/, "", name); return name }
		FILENAME == ARGV[1] { names[++n] = $0; here[slug($0)] = 1; next }
		/^[[:space:]]*(#|$)/ { pending = pending $0 "\n"; next }
		slug($1) in here { above[slug($1)] = pending; pending = "" }
		END {
			for (i = 1; i <= n; i++) print above[slug(names[i])] names[i]
			printf "%s", pending
		}' <(cd "$1" && printf '%s\n' *.patch) "$([ -e "$series" ] && echo "$series" || echo /dev/null)"
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
	local tmp
	[ -z "$(kgit status --porcelain --untracked-files=no)" ] || die "$repo has uncommitted changes"
	if [ -n "${1-}" ]; then
		format "$1/patches"
		new_series "$1/patches" >"$1/series"
		return
	fi
	tmp=$(mktemp -d "$top/.patches.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	format "$tmp/patches"
	new_series "$tmp/patches" >"$tmp/series"
	mkdir -p "$patches"
	rsync -r --checksum --delete "$tmp/patches/" "$patches/"
	cat "$tmp/series" >"$series"
	rm -rf "$tmp"
	sync_copies
	say "exported $(series_patches | wc -l) patches"
}

# Whether the branch is what patches/ was exported from
exported() {
	local tmp rc=0
	tmp=$(mktemp -d)
	format "$tmp" && diff -rq "$tmp" "$patches" >/dev/null || rc=1
	rm -rf "$tmp"
	return $rc
}

import_series() {
	local from
	if [ ! -e "$repo/.git" ]; then
		from=$("$top/scripts/tree.sh" pristine)
		mkdir -p "$repo"
		step "copying Linux v6.6 to $repo" "$BUILD/log/branch" \
			rsync -a --exclude=/.git "$from/" "$repo/"
		kgit init -q -b palloc
		step "committing it" "$BUILD/log/branch" kgit add -A -f
		GIT_AUTHOR_NAME=$GIT_COMMITTER_NAME GIT_AUTHOR_EMAIL=$GIT_COMMITTER_EMAIL \
			kgit commit -q -m 'Linux 6.6'
		kgit tag v6.6
	elif kgit rev-parse -q --verify palloc >/dev/null; then
		[ -z "$(kgit status --porcelain --untracked-files=no)" ] || die "$repo has uncommitted changes"
		[ "$(kgit rev-parse palloc)" = "$(kgit rev-parse v6.6^0)" ] || exported ||
			die "branch palloc of $repo has commits that patches/ has not: make patches, or move the branch away"
		kgit checkout -q -B palloc v6.6
	fi
	series_patches | sed "s|^|$patches/|" | xargs -d '\n' git -C "$repo" am -q ||
		{ kgit am --abort && die "git am refused the series"; }
	say "branch palloc of $repo: $(kgit rev-list --count v6.6..palloc) commits on v6.6"
}

case ${1-} in
export) export_branch "${2-}" ;;
import) import_series ;;
*) die "usage: patches.sh export [DIR]|import" ;;
esac
