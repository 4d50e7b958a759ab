// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that colored pages count in no counter twice and that none gets lost:
 * after each workload the lengths of the free lists, buddyinfo and zoneinfo
 * agree, the kernel's check of its index (if it has one) is content, then and
 * in the midst of it, and the free memory is again in as many large blocks as
 * it was.
 */
#include "palloc_util.h"

#define PAGES		8192	/* 32 MiB */
#define CHUNK		64
#define ROUNDS		2

static const char *group;

static void fills(const void *arg)
{
	const char *list = arg;
	void *p = palloc_alloc(PAGES, 0);

	expect(palloc_pure(p, PAGES, list));
	expect(palloc_verified());
}

static void fills_region(const void *arg)
{
	const char *list = arg;
	void *p;

	expect(palloc_set_colors(list) == 0);
	p = palloc_alloc(PAGES / 4, MAP_PALLOC);
	expect(palloc_pure(p, PAGES / 4, list));
	expect(palloc_verified());
}

/* Frees every other chunk, and fills the holes again, so that blocks are small. */
static void makes_holes(const void *arg)
{
	const char *list = arg;
	char *p = palloc_alloc(PAGES, 0);
	size_t i, round;

	for (round = 0; round < 4; round++) {
		for (i = round % 2; i < PAGES / CHUNK; i += 2)
			madvise(p + i * CHUNK * palloc_page_size,
				CHUNK * palloc_page_size, MADV_DONTNEED);
		expect(palloc_verified());
		palloc_touch(p, PAGES);
	}
	expect(palloc_pure(p, PAGES, list));
}

static void copies(const void *arg)
{
	const char *list = arg;
	char *p = palloc_alloc(PAGES / 2, 0);
	pid_t pid = fork();

	if (!pid) {
		palloc_touch(p, PAGES / 2);
		expect(palloc_pure(p, PAGES / 2, list));
		expect(palloc_verified());
		_exit(palloc_exit_code());
	}
	expect(pid > 0);
	palloc_touch(p, PAGES / 4);
	expect(palloc_reap(pid));
}

/* Colored pages between those of a file, which go first. */
static void caches(const void *arg)
{
	const char *list = arg;
	static char page[4096];
	char *p = palloc_map_pages(PAGES, 0);
	int fd = memfd_create("cache", MFD_CLOEXEC);
	size_t i;

	expect(fd >= 0);
	for (i = 0; i < PAGES; i++) {
		if (write(fd, page, sizeof(page)) != sizeof(page))
			break;
		p[i * palloc_page_size] = 1;
	}
	expect(i == PAGES);
	close(fd);
	expect(palloc_pure(p, PAGES, list));
	expect(palloc_verified());
}

/* Huge pages of any color are split up next to colored ones. */
static void huge(const void *arg)
{
	const size_t step = 512;
	char *p = palloc_map_pages(PAGES, 0);
	size_t i;

	madvise(p, PAGES * palloc_page_size, MADV_HUGEPAGE);
	palloc_touch(p, PAGES);
	for (i = 0; i < PAGES; i += step)
		madvise(p + (i + i / step % step) * palloc_page_size,
			palloc_page_size, MADV_DONTNEED);
	expect(palloc_verified());
}

static const struct load {
	const char *bins;
	void (*fn)(const void *arg);
	const char *colors;
} loads[] = {
	{ "0-3", fills, "0-3" },
	{ NULL, fills_region, "7" },
	{ "1,6,11", makes_holes, "1,6,11" },
	{ "8-15", copies, "8-15" },
	{ "4-7", caches, "4-7" },
	{ NULL, huge, NULL },
};

static void run(const struct load *load)
{
	const char *cg = NULL;

	if (load->bins) {
		cg = group;
		expect(palloc_cg_bins(cg, load->bins) == 0);
	}
	expect(palloc_run_in(cg, load->fn, load->colors));
}

static void test_load(const void *arg)
{
	const struct load *load = arg;
	long before;
	unsigned int i, order = 0;

	group = palloc_setup_cg("lossless", NULL);
	/* Once before, for what the kernel keeps for the next time. */
	run(load);
	palloc_tidy_memory();
	expect(palloc_lossless());
	before = palloc_highest_blocks(&order);
	for (i = 0; i < ROUNDS; i++)
		run(load);
	palloc_tidy_memory();
	expect(palloc_blocks_back(before));
	expect(palloc_lossless());
	expect(palloc_fallbacks() == 0);
}

/* The index goes and comes, whatever is free then. */
static void test_off(const void *arg)
{
	palloc_setup_mask(0xf000);
	run(&loads[0]);
	palloc_enable(false);
	expect(palloc_lossless());
	palloc_free(palloc_alloc(PAGES, 0), PAGES);
	palloc_tidy_memory();
	expect(palloc_lossless());
	palloc_enable(true);
	expect(palloc_lossless());
}

static void test_off_group(const void *arg)
{
	group = palloc_cg_new(NULL, "lossless");
	test_off(arg);
}

static const struct palloc_test tests[] = {
	{ "a cgroup fills memory", test_load, &loads[0] },
	{ "a MAP_PALLOC region fills memory", test_load, &loads[1] },
	{ "a cgroup makes and fills holes", test_load, &loads[2] },
	{ "a cgroup forks and copies", test_load, &loads[3] },
	{ "a cgroup next to a page cache", test_load, &loads[4] },
	{ "huge pages without colors", test_load, &loads[5] },
	{ "switched off, and on again", test_off_group, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP)
