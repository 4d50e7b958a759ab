// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that KSM merges no page of who has colors, not with one of other colors,
 * not with one of none, not with the page of zeroes: by MADV_MERGEABLE and by
 * PR_SET_MEMORY_MERGE, for cgroups and for MAP_PALLOC regions; that it goes on
 * merging what has none; that who gets colors afterwards writes to a page of
 * these; and that what is merged keeps its color when it is moved.
 */
#include "palloc_util.h"

#define PAGES	64
#define SCANS	3
#define KSM	"/sys/kernel/mm/ksm"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE	67
#endif

/* Two colored, two not, all with the same contents. */
#define OWNERS	4

struct owner {
	const char *cg;
	const char *list;	/* its colors, NULL for any */
	bool region;		/* they are of a MAP_PALLOC region */
	bool any;		/* by PR_SET_MEMORY_MERGE */
	int ready, go;		/* the ends of pipes */
};

static void write_number(const char *path, const char *text)
{
	if (palloc_file_puts(path, text))
		palloc_bail("cannot write %s", path);
}

static bool wait_scans(unsigned int scans)
{
	const long until = palloc_file_number(KSM "/full_scans") + scans;
	unsigned int tries;

	for (tries = 0; tries < 60000; tries++) {
		if (palloc_file_number(KSM "/full_scans") >= until)
			return true;
		usleep(10000);
	}
	return false;
}

static size_t distinct(const char *p, size_t pages)
{
	size_t i, j, n = 0;
	__u64 pfn[PAGES];

	for (i = 0; i < pages; i++) {
		pfn[i] = palloc_pfn(p + i * palloc_page_size);
		for (j = 0; j < i && pfn[j] != pfn[i]; j++)
			;
		n += pfn[i] && j == i;
	}
	return n;
}

/* Half of the pages are the same, half are empty. */
static void owns(const void *arg)
{
	const struct owner *o = arg;
	const size_t size = 2 * PAGES * palloc_page_size;
	char *p, *zero, c = 0;
	size_t i;

	if (o->region)
		expect(palloc_set_colors(o->list) == 0);
	if (o->any)
		expect(prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) == 0);
	p = palloc_map_pages(2 * PAGES, o->region ? MAP_PALLOC : 0);
	madvise(p, size, MADV_NOHUGEPAGE);
	zero = p + PAGES * palloc_page_size;
	memset(p, 0x5a, PAGES * palloc_page_size);
	memset(zero, 0, PAGES * palloc_page_size);
	if (!o->any)
		expect(madvise(p, size, MADV_MERGEABLE) == 0);

	/* All are ready, then KSM has scanned. */
	if (write(o->ready, &c, 1) != 1 || read(o->go, &c, 1) != 1)
		palloc_bail("the parent is gone");
	if (o->list) {
		expect(distinct(p, PAGES) == PAGES);
		expect(distinct(zero, PAGES) == PAGES);
		expect(palloc_zeroes(zero, PAGES) == 0);
		expect(palloc_pure(p, 2 * PAGES, o->list));
		if (!o->region)
			expect(palloc_file_number("/proc/self/ksm_merging_pages") == 0);
	} else {
		expect(distinct(p, PAGES) == 1);
		expect(palloc_zeroes(zero, PAGES) == PAGES);
		expect(palloc_file_number("/proc/self/ksm_merging_pages") > 0);
	}
	for (i = 0; i < PAGES; i++)
		expect(p[i * palloc_page_size] == 0x5a && !zero[i * palloc_page_size]);
	if (write(o->ready, &c, 1) != 1)
		palloc_bail("the parent is gone");
	/* Nobody goes while others look. */
	if (read(o->go, &c, 1) < 0)
		palloc_bail("the parent is gone");
}

static bool begin(void)
{
	if (!palloc_keep(KSM "/run") || !palloc_keep(KSM "/sleep_millisecs") ||
	    !palloc_keep(KSM "/pages_to_scan") || !palloc_keep(KSM "/use_zero_pages")) {
		palloc_skip("no KSM");
		return false;
	}
	palloc_setup_mask(0xf000);
	write_number(KSM "/sleep_millisecs", "1");
	write_number(KSM "/pages_to_scan", "2000");
	write_number(KSM "/use_zero_pages", "1");
	return true;
}

struct way {
	bool region, any;
};

static void test_merge(const void *arg)
{
	static const char *const list[OWNERS] = { "0-3", "8-11", NULL, NULL };
	const struct way *way = arg;
	int ready[2], go[OWNERS][2];
	struct owner owner[OWNERS];
	pid_t pid[OWNERS];
	char name[8], c = 0;
	unsigned int i;

	if (!begin())
		return;
	if (pipe(ready))
		palloc_bail("pipe: %s", strerror(errno));
	for (i = 0; i < OWNERS; i++) {
		if (pipe(go[i]))
			palloc_bail("pipe: %s", strerror(errno));
		owner[i] = (struct owner) {
			.list = list[i], .region = way->region && list[i], .any = way->any,
			.ready = ready[1], .go = go[i][0],
		};
		if (!way->region) {
			snprintf(name, sizeof(name), "ksm%u", i);
			owner[i].cg = palloc_cg_new(NULL, name);
			if (list[i])
				expect(palloc_cg_bins(owner[i].cg, list[i]) == 0);
		}
		pid[i] = palloc_spawn(owner[i].cg, owns, &owner[i]);
	}
	for (i = 0; i < OWNERS; i++)
		if (read(ready[0], &c, 1) != 1)
			palloc_bail("a child is gone");
	write_number(KSM "/run", "1");
	expect(wait_scans(SCANS + 2));
	for (i = 0; i < OWNERS; i++)
		if (write(go[i][1], &c, 1) != 1)
			palloc_bail("a child is gone");
	for (i = 0; i < OWNERS; i++)
		if (read(ready[0], &c, 1) != 1)
			palloc_bail("a child is gone");
	for (i = 0; i < OWNERS; i++)
		if (write(go[i][1], &c, 1) != 1)
			palloc_bail("a child is gone");
	for (i = 0; i < OWNERS; i++) {
		expect(palloc_reap(pid[i]));
		close(go[i][0]);
		close(go[i][1]);
	}
	close(ready[0]);
	close(ready[1]);
	write_number(KSM "/run", "2");
	expect(palloc_fallbacks() == 0);
}

static void gets_colors(const void *arg)
{
	const char *cg = arg;
	const size_t size = PAGES * palloc_page_size;
	__u64 pfn;
	char *p;

	p = palloc_map_pages(PAGES, 0);
	memset(p, 0x5a, size);
	expect(madvise(p, size, MADV_MERGEABLE) == 0);
	write_number(KSM "/run", "1");
	expect(wait_scans(SCANS + 2));
	expect(distinct(p, PAGES) == 1);
	pfn = palloc_pfn(p);
	expect(palloc_cg_move(cg, 0) == 0);
	expect(wait_scans(SCANS));
	/* Pages that are there stay ... */
	expect(palloc_pfn(p) == pfn && distinct(p, PAGES) == 1);
	/* ... until they are written to; and are not merged again. */
	palloc_touch(p, PAGES / 2);
	memset(p, 0x5a, size / 2);
	expect(wait_scans(SCANS));
	expect(distinct(p, PAGES / 2) == PAGES / 2);
	expect(palloc_pure(p, PAGES / 2, "6"));
	expect(madvise(p, size, MADV_UNMERGEABLE) == 0);
	expect(palloc_pure(p, PAGES, "6"));
}

static void test_before(const void *arg)
{
	const char *cg;

	if (!begin())
		return;
	cg = palloc_cg_with(NULL, "ksm", "6");
	expect(palloc_run_in(NULL, gets_colors, cg));
	write_number(KSM "/run", "2");
	expect(palloc_fallbacks() == 0);
}

/* Merged while it has no colors: of whom pages are can't be told any more. */
static void is_moved(const void *arg)
{
	const size_t n = PAGES / 2;
	size_t i, moved = 0, bad = 0;
	__u64 pfn[PAGES];
	char *p;

	p = palloc_map_pages(PAGES, 0);
	for (i = 0; i < PAGES; i++)
		memset(p + i * palloc_page_size, 1 + i % n, palloc_page_size);
	expect(palloc_pure(p, PAGES, arg));
	expect(palloc_cg_move(palloc_cg_root(), 0) == 0);
	expect(madvise(p, PAGES * palloc_page_size, MADV_MERGEABLE) == 0);
	write_number(KSM "/run", "1");
	expect(wait_scans(SCANS + 2));
	expect(distinct(p, PAGES) == n);
	for (i = 0; i < PAGES; i++)
		pfn[i] = palloc_pfn(p + i * palloc_page_size);
	/* They stay merged, but ksmd is not to look at them meanwhile. */
	write_number(KSM "/run", "0");
	/* In turns that no sequence of colors goes with. */
	for (i = 0; i < n; i++)
		expect(palloc_soft_offline(p + i * 7 % n * palloc_page_size, 0) == 0);
	for (i = 0; i < PAGES; i++) {
		moved += pfn[i] != palloc_pfn(p + i * palloc_page_size);
		bad += p[i * palloc_page_size] != (char)(1 + i % n);
	}
	expect(moved == PAGES && !bad);
	expect(distinct(p, PAGES) == n);
	expect(palloc_pure(p, PAGES, arg));
	for (i = 0; i < n; i++)
		expect(palloc_unpoison(pfn[i]) == 0);
}

static void test_moved(const void *arg)
{
	const char *list = "0-3", *cg;

	if (!begin())
		return;
	cg = palloc_cg_with(NULL, "ksm", list);
	expect(palloc_run_in(cg, is_moved, list));
	write_number(KSM "/run", "2");
	expect(palloc_fallbacks() == 0);
}

static const struct way any = { false, true };
static const struct way region = { true, false };

static const struct palloc_test tests[] = {
	{ "cgroups, MADV_MERGEABLE", test_merge, &(const struct way){ false, false } },
	{ "cgroups, PR_SET_MEMORY_MERGE", test_merge, &any },
	{ "regions, MADV_MERGEABLE", test_merge, &region },
	{ "regions, PR_SET_MEMORY_MERGE", test_merge, &(const struct way){ true, true } },
	{ "merged before it got colors", test_before, NULL },
	{ "merged pages are moved", test_moved, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_CGROUP | PALLOC_NEED_SYSCALLS)
