#!/usr/bin/env -S bash -p
# SPDX-License-Identifier: GPL-2.0
# What the series asks of who reads it, and of who keeps it up: how much of each patch a later
# one removes or moves, how large it is, and how many lines it adds to stock files. Fails
# above the limits that are set here.
#
# A patch's lines are all that it adds. Of these a later patch removes those that it takes
# out or replaces; what comes back as it was elsewhere in the same patch is moved. Code is
# what is neither test (*test*.c), nor under tools, samples or Documentation, nor MAINTAINERS.
# Stock files are those that the base has, lines what the whole series adds to them there; under
# arch, init, lib, tools and Documentation they are not counted: tables of system calls,
# menus, copies, text.

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

max_patches=28		# that a maintainer reads in an hour
max_code=900		# lines of code in a patch
max_patch=5		# percent of a patch's lines that later ones remove or move
max_all=1		# percent of the lines of all patches with code
small=20		# lines: below, percents say nothing
max_page_alloc=60	# lines added to mm/page_alloc.c
max_stock=450		# and to all stock files of mm, kernel, fs and include
max_header=250		# lines of mm/palloc.h, all that the rest of mm sees

pristine=${PRISTINE:-$("$top/scripts/tree.sh" pristine)}
repo=$(mktemp -d)
trap 'rm -rf "$repo"' EXIT
touched_files | copy_files "$pristine" "$repo"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
commit() { git -C "$repo" -c user.name=rework -c user.email=rework@localhost -c gc.auto=0 commit -q --no-verify -m "$1"; }
git -C "$repo" -c init.defaultBranch=series init -q
git -C "$repo" add -A -f
commit stock
git -C "$repo" tag stock
while IFS= read -r p; do
	git -C "$repo" apply --index --whitespace=nowarn "$patches/$p"
	commit "${p##*/}"
done < <(series_patches)
header=0
if [ -e "$repo/mm/palloc.h" ]; then header=$(wc -l <"$repo/mm/palloc.h"); fi

{
	git -C "$repo" log -p -U0 --reverse --no-renames --no-color --no-ext-diff --diff-algorithm=myers \
		--format='patch %s' stock..
	echo end
	# Those that stock has
	git -C "$repo" diff --numstat --no-renames --diff-filter=MT stock
} | perl -e '
	use strict;
	my ($max_patches, $max_code, $max_patch, $max_all, $small, $max_page_alloc, $max_stock, $max_header,
	    $header) = @ARGV;
	my ($n, $file, $in, @name, @added, @code, @removed, @moved, @gone, %new, %owner) = (0);

	# Lines that the patch has taken from earlier ones, and that are there again
	sub finish {
		for (@gone) {
			my ($of, $text) = @$_;
			$removed[$of]++;
			next unless $text =~ /\w.*\w.*\w/ && $new{$text}-- > 0;
			$moved[$of]++;
		}
		(@gone, %new) = ();
	}
	my ($stock, %stock) = (0);
	while (<STDIN>) {
		chomp;
		if (/^patch (.*)/) { finish(); $name[++$n] = $1; $added[$n] = $code[$n] = $removed[$n] = $moved[$n] = 0; $in = 0 }
		elsif (/^end$/) { finish(); last }
		elsif (/^diff --git a\/(.*) b\//) { $file = $1; $in = 0 }
		elsif (/^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/) {
			# Where it is by now: what came before in this patch has moved it
			my ($at, $minus, $plus) = ($3, $2 // 1, $4 // 1);
			$at++ unless $plus;
			my $lines = $owner{$file} //= [];
			$#$lines = $at + $minus - 2 if $#$lines < $at + $minus - 2;
			my @was = splice(@$lines, $at - 1, $minus, ($n) x $plus);
			my $test = $file =~ m{^(tools|samples|Documentation)/|test[^/]*\.c$|^MAINTAINERS$};
			$added[$n] += $plus;
			$code[$n] += $plus unless $test;
			for my $of (@was) { chomp(my $line = <STDIN>); push(@gone, [$of, substr($line, 1)]) if $of }
			for (1 .. $plus) { chomp(my $line = <STDIN>); $new{substr($line, 1)}++ }
		}
	}
	while (<STDIN>) {
		my ($plus, undef, $path) = /^(\d+)\s+(\d+)\s+(.*)/ or next;
		next unless $path =~ m{^(mm|kernel|fs|include)/};
		$stock{$path} = $plus;
		$stock += $plus;
	}

	my (@wrong, $all, $gone, $moved);
	print "added   code  later removed or moved\n";
	for (1 .. $n) {
		my $percent = $added[$_] ? 100 * $removed[$_] / $added[$_] : 0;
		printf "%5d  %5d  %5d  %5.1f %%  %s\n", $added[$_], $code[$_], $removed[$_], $percent, $name[$_];
		push(@wrong, sprintf("%.1f %% of what %s adds, later patches remove or move: at most %d %%", $percent, $name[$_], $max_patch))
			if $added[$_] >= $small && $percent > $max_patch;
		push(@wrong, "$name[$_] adds $code[$_] lines of code: at most $max_code") if $code[$_] > $max_code;
		if ($code[$_]) { $all += $added[$_]; $gone += $removed[$_]; $moved += $moved[$_] }
	}
	my $percent = $all ? 100 * $gone / $all : 0;
	printf "%5d         %5d  %5.1f %%  of patches with code, in all; %d lines are moved as they are\n", $all, $gone, $percent, $moved;
	push(@wrong, sprintf("%.1f %% of the lines of patches with code, later ones remove or move: at most %d %%", $percent, $max_all)) if $percent > $max_all;
	push(@wrong, "$n patches: at most $max_patches") if $n > $max_patches;
	print "\nlines added to stock files of mm, kernel, fs and include\n";
	printf "%5d  %s\n", $stock{$_}, $_ for sort { $stock{$b} <=> $stock{$a} || $a cmp $b } keys(%stock);
	printf "%5d  in all %d\n%5d  is the length of mm/palloc.h\n", $stock, scalar(keys(%stock)), $header;
	my $page_alloc = $stock{"mm/page_alloc.c"} // 0;
	push(@wrong, "$page_alloc lines are added to mm/page_alloc.c: at most $max_page_alloc") if $page_alloc > $max_page_alloc;
	push(@wrong, "$stock lines are added to stock files: at most $max_stock") if $stock > $max_stock;
	push(@wrong, "mm/palloc.h has $header lines: at most $max_header") if $header > $max_header;
	print "\n" if @wrong;
	print "too much: $_\n" for @wrong;
	exit(@wrong != 0)
' $max_patches $max_code $max_patch $max_all $small $max_page_alloc $max_stock $max_header "$header"
