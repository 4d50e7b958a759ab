// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that transparent huge pages, with nothing to configure, keep to the
 * colors: a set that all pages of some huge page are in gets such huge pages, at
 * page faults, any other set gets small pages of its colors; neither khugepaged
 * nor MADV_COLLAPSE, called by the process or by another one, replaces colored
 * pages by a huge page of other colors; and who has no colors gets huge pages
 * as ever.
 */
#include <sys/uio.h>

#include "palloc_util.h"

#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define KHUGEPAGED	THP "khugepaged/"
#define HUGE		4	/* so many huge pages make a region */

/* Pages of a size between, which Linux has since v6.8. */
#define LARGE_SIZE	(64UL << 10)
#define LARGE		THP "hugepages-64kB/enabled"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* 8 colors, of which a huge page has four: 0 to 3, or 4 to 7. */
#define MAP_HALF	"12\n13\n21\n"
/* 8 colors, each huge page is of one. */
#define MAP_ONE		"21\n22\n23\n"
/* 16 colors, of which a page of 64 KiB has one, or all. */
#define MAP_LARGE_ONE	"16\n17\n18\n19\n"
#define MAP_LARGE_ALL	"12\n13\n14\n15\n"
/* 4 colors; by XOR, every huge page has them all. */
#define MAP_ALL		"12 21\n13 22\n"

struct set {
	const char *map;
	const char *list;
	const char *huge;		/* colors of its huge pages, or NULL */
};

static const struct set half = { MAP_HALF, "4-7", "4-7" };
static const struct set half_more = { MAP_HALF, "0-3,5-6", "0-3" };
static const struct set one = { MAP_ONE, "5", "5" };
static const struct set two = { MAP_ONE, "0,6", "0,6" };
static const struct set part = { MAP_HALF, "0-2,4", NULL };
static const struct set part_one = { MAP_HALF, "5", NULL };
static const struct set large_one = { MAP_LARGE_ONE, "5,9", NULL };
static const struct set large_all = { MAP_LARGE_ALL, "5,9", NULL };
static const struct set mixed = { MAP_ALL, "0-2", NULL };

static size_t per_huge, region_pages;

static char *huge_at(void *p, size_t n)
{
	return (char *)p + n * HUGE_SIZE;
}

/* Room for HUGE huge pages. */
static void *map_region(int flags)
{
	char *p = palloc_map_pages(region_pages + per_huge, flags);

	return (void *)(((uintptr_t)p + HUGE_SIZE - 1) & -HUGE_SIZE);
}

static void *alloc_region(int flags)
{
	void *p = map_region(flags);

	palloc_touch(p, region_pages);
	return p;
}

/* Of small pages, but open to be made huge ones. */
static void *alloc_small(int flags)
{
	void *p = map_region(flags);

	madvise(p, HUGE * HUGE_SIZE, MADV_NOHUGEPAGE);
	palloc_touch(p, region_pages);
	expect(!palloc_is_huge(p));
	expect(madvise(p, HUGE * HUGE_SIZE, MADV_HUGEPAGE) == 0);
	return p;
}

static unsigned int count_huge(void *p)
{
	unsigned int i, n = 0;

	for (i = 0; i < HUGE; i++)
		n += palloc_is_huge(huge_at(p, i));
	return n;
}

/* What smaps says of the mapping at @p. */
static bool eligible(const void *p)
{
	unsigned long at = (uintptr_t)p, from, to;
	bool inside = false, found = false;
	char line[4096];
	FILE *f = fopen("/proc/self/smaps", "re");
	int value = 0;

	if (!f)
		palloc_bail("smaps: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from <= at && at < to;
		found = inside && sscanf(line, "THPeligible: %d", &value) == 1;
	}
	fclose(f);
	expect(found);
	return value;
}

static void set_knob(const char *path, const char *value)
{
	if (!palloc_knob(path, value))
		palloc_bail("%s: %s", path, strerror(errno));
}

static void setup(const char *map)
{
	palloc_setup_text(map);
	set_knob(THP "enabled", "always");
	palloc_tidy_memory();
}

/* Colors by cgroup, or as a region's. */
struct colored {
	const struct set *set;
	bool region;
};

static int begin(const struct colored *c)
{
	if (!c->region)
		return 0;
	expect(palloc_set_colors(c->set->list) == 0);
	return MAP_PALLOC;
}

static void run_in_group(const struct colored *c, void (*fn)(const void *arg))
{
	const char *cg = NULL;

	setup(c->set->map);
	if (!c->region)
		cg = palloc_cg_with(NULL, "thp", c->set->list);
	expect(palloc_run_in(cg, fn, c));
	expect(palloc_fallbacks() == 0);
}

static void is_as_set(const struct set *set, void *p)
{
	expect(count_huge(p) == (set->huge ? HUGE : 0));
	expect(palloc_pure(p, region_pages, set->huge ?: set->list));
}

/* At page faults */

static void faults(const void *arg)
{
	const struct colored *c = arg;
	int flags = begin(c);
	char *p = alloc_region(flags);
	size_t few = per_huge / 2;

	is_as_set(c->set, p);
	expect(eligible(p) == !!c->set->huge);
	/* Where there is no room for one, small pages. */
	p = map_region(flags);
	palloc_free(p + few * palloc_page_size, region_pages - few);
	palloc_touch(p, few);
	expect(!palloc_is_huge(p));
	expect(palloc_pure(p, few, c->set->list));
}

static void test_faults(const void *arg)
{
	run_in_group(arg, faults);
}

static void large_faults(const void *arg)
{
	const struct colored *c = arg;
	char *p = map_region(begin(c));
	size_t i, n = 0, large = 0;

	if (c->set == &large_one && !access(LARGE, F_OK))
		large = HUGE * HUGE_SIZE / LARGE_SIZE;
	palloc_touch(p, region_pages);
	for (i = 0; i < HUGE * HUGE_SIZE; i += LARGE_SIZE)
		n += palloc_is_folio(p + i, LARGE_SIZE / palloc_page_size);
	if (!expect(n == large))
		palloc_note("%zu of %zu", n, large);
	expect(palloc_pure(p, region_pages, c->set->list));
}

static void test_large_faults(const void *arg)
{
	if (!access(LARGE, F_OK))
		set_knob(LARGE, "always");
	run_in_group(arg, large_faults);
}

/* Read first, which maps a huge page of zeroes if anything huge. */
static void reads(const void *arg)
{
	const struct colored *c = arg;
	char *p = map_region(begin(c));

	expect(madvise(p, HUGE * HUGE_SIZE, MADV_POPULATE_READ) == 0);
	expect(palloc_seen(p, region_pages) == 0);
	palloc_touch(p, region_pages);
	expect(palloc_pure(p, region_pages, c->set->list));
	if (!c->set->huge)
		expect(count_huge(p) == 0);
}

static void test_reads(const void *arg)
{
	run_in_group(arg, reads);
}

/* A huge page that the parent still has, too, is copied in small pages. */
struct copy {
	const struct colored *c;
	void *p;
};

static void copies(const void *arg)
{
	const struct copy *copy = arg;

	expect(count_huge(copy->p) == HUGE);
	palloc_touch(copy->p, region_pages);
	expect(palloc_pure(copy->p, region_pages, copy->c->set->list));
}

static void test_copies(const void *arg)
{
	struct copy copy = { .c = arg };
	const char *cg;

	setup(copy.c->set->map);
	cg = palloc_cg_with(NULL, "thp", copy.c->set->list);
	copy.p = alloc_region(0);
	expect(palloc_run_in(cg, copies, &copy));
	expect(count_huge(copy.p) == HUGE);
	palloc_free(copy.p, region_pages);
}

static void test_change(const void *arg)
{
	void *before, *after;

	setup(MAP_HALF);
	expect(palloc_set_colors("0-3") == 0);
	before = alloc_region(MAP_PALLOC);
	expect(palloc_set_colors("0-2") == 0);
	after = alloc_region(MAP_PALLOC);
	expect(palloc_pure(before, region_pages, "0-3"));
	expect(count_huge(before) == HUGE);
	expect(palloc_pure(after, region_pages, "0-2"));
	expect(count_huge(after) == 0);
	palloc_free(before, region_pages);
	palloc_free(after, region_pages);
}

/*
 * One of 1,024 colors, and more memory than there is of it. Pages of other colors
 * are small ones, and counted.
 */
static void test_runs_out(const void *arg)
{
	unsigned long checked, wrong = 0;
	unsigned int i;
	void *p;

	setup("21\n22\n23\n24\n25\n26\n27\n28\n29\n30\n");
	expect(palloc_set_color(77) == 0);
	p = alloc_region(MAP_PALLOC);
	for (i = 0; i < HUGE; i++) {
		unsigned long here = palloc_impure(0, huge_at(p, i), per_huge, "77", &checked);

		expect(checked == per_huge);
		if (palloc_is_huge(huge_at(p, i)))
			expect(here == 0);
		wrong += here;
	}
	expect(wrong && palloc_fallbacks() >= wrong);
	palloc_free(p, region_pages);
}

/* MADV_COLLAPSE */

static void collapses(const void *arg)
{
	const struct colored *c = arg;
	void *p = alloc_small(begin(c));
	unsigned int i;

	expect(palloc_pure(p, region_pages, c->set->list));
	for (i = 0; i < HUGE; i++)
		madvise(huge_at(p, i), HUGE_SIZE, MADV_COLLAPSE);
	expect(palloc_pure(p, region_pages, c->set->list));
	if (!c->set->huge)
		expect(count_huge(p) == 0);
}

static void test_collapse(const void *arg)
{
	run_in_group(arg, collapses);
}

/*
 * By another process, which is there before the memory: what it shared with
 * that since fork() would not be collapsed.
 */
struct adviser {
	pid_t pid;
	int pidfd, pipe[2];
};

static void advises(const void *arg)
{
	const struct adviser *a = arg;
	unsigned int i;
	char *p;

	expect(read(a->pipe[0], &p, sizeof(p)) == sizeof(p));
	for (i = 0; i < HUGE; i++) {
		struct iovec iov = { .iov_base = huge_at(p, i), .iov_len = HUGE_SIZE };

		syscall(__NR_process_madvise, a->pidfd, &iov, 1, MADV_COLLAPSE, 0);
	}
}

static void have_adviser(struct adviser *a, const char *cg)
{
	a->pidfd = syscall(__NR_pidfd_open, getpid(), 0);
	if (a->pidfd < 0 || pipe(a->pipe))
		palloc_bail("pidfd_open, pipe: %s", strerror(errno));
	a->pid = palloc_spawn(cg, advises, a);
}

static void take_advice(struct adviser *a, void *p)
{
	expect(write(a->pipe[1], &p, sizeof(p)) == sizeof(p));
	expect(palloc_reap(a->pid));
	close(a->pidfd);
	close(a->pipe[0]);
	close(a->pipe[1]);
}

/* By one that has no colors; and by one that has some. */
static void is_collapsed(const void *arg)
{
	const struct colored *c = arg;
	const char *cg = palloc_cg_new(NULL, "adviser");
	struct adviser without, with;
	void *p;

	expect(palloc_cg_bins(cg, "1") == 0);
	have_adviser(&without, palloc_cg_root());
	have_adviser(&with, cg);
	p = alloc_small(begin(c));
	take_advice(&without, p);
	expect(palloc_pure(p, region_pages, c->set->list));
	take_advice(&with, p);
	expect(palloc_cg_remove(cg) == 0);
	expect(palloc_pure(p, region_pages, c->set->list));
	if (!c->set->huge)
		expect(count_huge(p) == 0);
}

static void test_process_madvise(const void *arg)
{
	run_in_group(arg, is_collapsed);
}

/* Who has no colors */

static void has_huge_pages(const void *arg)
{
	int flags = arg ? MAP_PALLOC : 0;
	struct adviser adviser;
	void *p;

	have_adviser(&adviser, NULL);
	p = alloc_region(flags);
	expect(count_huge(p) == HUGE);
	p = alloc_small(flags);
	expect(madvise(p, HUGE * HUGE_SIZE, MADV_COLLAPSE) == 0);
	expect(count_huge(p) == HUGE);
	p = alloc_small(flags);
	take_advice(&adviser, p);
	expect(count_huge(p) == HUGE);
}

static void test_uncolored(const void *arg)
{
	const char *cg;

	setup(MAP_ALL);
	expect(palloc_run_in(NULL, has_huge_pages, arg));
	cg = palloc_cg_new(NULL, "empty");
	expect(palloc_run_in(cg, has_huge_pages, arg));
}

/* khugepaged */

/* What it is let loose on; seen by all. */
struct scan {
	const char *cg, *list;
	bool region, huge, moved, outside;
	unsigned int ready, *done;
	pid_t pid;
};

static void same_frames(void *p, const __u64 *pfn)
{
	size_t i;

	for (i = 0; i < region_pages; i++)
		if (palloc_pfn(huge_at(p, 0) + i * palloc_page_size) != pfn[i])
			break;
	expect(i == region_pages);
}

static void is_scanned(const void *arg)
{
	struct scan *s = (struct scan *)arg;
	__u64 *pfn = calloc(region_pages, sizeof(*pfn));
	int flags = s->region ? MAP_PALLOC : 0;
	void *p, *before = NULL;
	size_t i;

	if (s->region)
		expect(palloc_set_colors(s->list) == 0);
	if (s->moved) {
		/* Had no colors, so that khugepaged knows it already. */
		before = alloc_small(0);
		expect(palloc_cg_move(s->cg, 0) == 0);
		for (i = 0; i < region_pages; i++)
			pfn[i] = palloc_pfn(huge_at(before, 0) + i * palloc_page_size);
	}
	p = alloc_small(flags);
	__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
	if (s->outside) {
		/* It is done with all others when it has been here thrice. */
		while (count_huge(p) < HUGE)
			usleep(10000);
		return;
	}
	palloc_wait_for(s->done);
	expect(palloc_pure(p, region_pages, s->list));
	if (!s->huge)
		expect(count_huge(p) == 0);
	if (before)
		same_frames(before, pfn);
}

static long full_scans(void)
{
	return palloc_file_number(KHUGEPAGED "full_scans");
}

static void test_khugepaged(const void *arg)
{
	const char *whole, *partial;
	struct scan *s;
	unsigned int i, n = 0;
	unsigned int *done;
	long from;

	setup(MAP_HALF);
	whole = palloc_cg_with(NULL, "whole", "4-7");
	partial = palloc_cg_with(NULL, "partial", "0-2,4");
	s = palloc_shared(1);
	done = (unsigned int *)(s + 16);
	s[n++] = (struct scan){ .cg = partial, .list = "0-2,4" };
	s[n++] = (struct scan){ .cg = whole, .list = "4-7", .huge = true };
	s[n++] = (struct scan){ .cg = partial, .list = "1", .region = true };
	s[n++] = (struct scan){ .list = "0-3", .region = true, .huge = true };
	s[n++] = (struct scan){ .cg = partial, .list = "0-2,4", .moved = true };
	s[n++] = (struct scan){ .outside = true };
	set_knob(KHUGEPAGED "scan_sleep_millisecs", "1000000000");
	set_knob(KHUGEPAGED "alloc_sleep_millisecs", "0");
	set_knob(KHUGEPAGED "pages_to_scan", "1000000");
	for (i = 0; i < n; i++) {
		s[i].done = done;
		s[i].pid = palloc_spawn(s[i].moved ? NULL : s[i].cg, is_scanned, &s[i]);
		while (!__atomic_load_n(&s[i].ready, __ATOMIC_ACQUIRE)) {
			usleep(1000);
			if (!expect(waitpid(s[i].pid, NULL, WNOHANG) == 0))
				return;
		}
	}
	set_knob(KHUGEPAGED "scan_sleep_millisecs", "0");
	/* The last one ends when it has only huge pages. */
	expect(palloc_reap(s[n - 1].pid));
	for (from = full_scans(); full_scans() < from + 3;)
		usleep(10000);
	__atomic_store_n(done, 1, __ATOMIC_RELEASE);
	for (i = 0; i < n - 1; i++)
		if (!expect(palloc_reap(s[i].pid)))
			palloc_note("that was the one with %s", s[i].list);
	expect(palloc_fallbacks() == 0);
	palloc_free(s, 1);
}

#define CGROUP(set)	(&(const struct colored){ &(set), false })
#define REGION(set)	(&(const struct colored){ &(set), true })

static const struct palloc_test tests[] = {
	{ "all colors of a huge page: cgroup", test_faults, CGROUP(half) },
	{ "all colors of a huge page: region", test_faults, REGION(half) },
	{ "and some more colors: cgroup", test_faults, CGROUP(half_more) },
	{ "and some more colors: region", test_faults, REGION(half_more) },
	{ "one color for each huge page: cgroup", test_faults, CGROUP(one) },
	{ "one color for each huge page: region", test_faults, REGION(one) },
	{ "two colors for each huge page", test_faults, CGROUP(two) },
	{ "64 KiB, one color: cgroup", test_large_faults, CGROUP(large_one) },
	{ "64 KiB, one color: region", test_large_faults, REGION(large_one) },
	{ "64 KiB, all colors: cgroup", test_large_faults, CGROUP(large_all) },
	{ "64 KiB, all colors: region", test_large_faults, REGION(large_all) },
	{ "not all colors: cgroup", test_faults, CGROUP(part) },
	{ "not all colors: region", test_faults, REGION(part) },
	{ "one color of a huge page: cgroup", test_faults, CGROUP(part_one) },
	{ "one color of a huge page: region", test_faults, REGION(part_one) },
	{ "not all colors, XOR: cgroup", test_faults, CGROUP(mixed) },
	{ "not all colors, XOR: region", test_faults, REGION(mixed) },
	{ "read first, all colors: cgroup", test_reads, CGROUP(half) },
	{ "read first, all colors: region", test_reads, REGION(half) },
	{ "read first, not all colors: cgroup", test_reads, CGROUP(part) },
	{ "read first, not all colors: region", test_reads, REGION(part) },
	{ "copied after fork, all colors", test_copies, CGROUP(half) },
	{ "copied after fork, not all colors", test_copies, CGROUP(part) },
	{ "the set is changed", test_change, NULL },
	{ "the color runs out", test_runs_out, NULL },
	{ "MADV_COLLAPSE, all colors: cgroup", test_collapse, CGROUP(half) },
	{ "MADV_COLLAPSE, all colors: region", test_collapse, REGION(half) },
	{ "MADV_COLLAPSE, not all colors: cgroup", test_collapse, CGROUP(part) },
	{ "MADV_COLLAPSE, not all colors: region", test_collapse, REGION(part) },
	{ "process_madvise, all colors: cgroup", test_process_madvise, CGROUP(half) },
	{ "process_madvise, all colors: region", test_process_madvise, REGION(half) },
	{ "process_madvise, not all colors: cgroup", test_process_madvise, CGROUP(part) },
	{ "process_madvise, not all colors: region", test_process_madvise, REGION(part) },
	{ "no colors", test_uncolored, NULL },
	{ "no colors, MAP_PALLOC", test_uncolored, "region" },
	{ "khugepaged", test_khugepaged, NULL },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	per_huge = HUGE_SIZE / palloc_page_size;
	region_pages = HUGE * per_huge;
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
