// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that nothing is restricted while use_palloc is 0, whatever has been
 * configured; that switching is for the next allocation and loses no setting;
 * and that a task that uses no colors keeps huge pages while palloc is enabled,
 * and a restricted one is not given any.
 */
#include "palloc_util.h"

#define PAGES		512
#define HUGE_COUNT	4
#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/enabled"

static void test_cgroup(const void *arg)
{
	const char *cg = palloc_setup_cg("off", "0-3");

	palloc_enable(false);
	expect(palloc_run_in(cg, palloc_allocates, NULL));
	expect(palloc_fallbacks() == 0);
	/* Bins can be read and written all the same. */
	expect(palloc_cg_reads(cg, "palloc.bins", "0-3\n"));
	expect(palloc_cg_bins(cg, "16") == -ERANGE);
	expect(palloc_cg_bins(cg, "5,7") == 0);
	expect(palloc_run_in(cg, palloc_allocates, NULL));
	palloc_enable(true);
	expect(palloc_run_in(cg, palloc_allocates, "5,7"));
	palloc_enable(false);
	expect(palloc_run_in(cg, palloc_allocates, NULL));
}

static void test_map_palloc(const void *arg)
{
	void *p;

	palloc_setup_mask(0xf000);
	palloc_enable(false);
	expect(palloc_set_color(16) == -1 && errno == EINVAL);
	expect(palloc_set_color(3) == 0);
	p = palloc_alloc(PALLOC_MANY, MAP_PALLOC);
	expect(palloc_vm_flag(p, "pa"));
	expect(palloc_mixed(p, PALLOC_MANY));
	/* The same region: what is filled in later follows the switch. */
	palloc_enable(true);
	expect(madvise(p, PAGES * palloc_page_size, MADV_DONTNEED) == 0);
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES, "3"));
	palloc_enable(false);
	expect(madvise(p, PALLOC_MANY * palloc_page_size, MADV_DONTNEED) == 0);
	palloc_touch(p, PALLOC_MANY);
	expect(palloc_mixed(p, PALLOC_MANY));
	palloc_free(p, PALLOC_MANY);
}

static void test_disable_command(const void *arg)
{
	const char *cg = palloc_setup_cg("off", "1");

	expect(palloc_run_in(cg, palloc_allocates, "1"));
	expect(palloc_puts("control", "disable\n") == 0);
	expect(palloc_run_in(cg, palloc_allocates, NULL));
	expect(palloc_puts("control", "enable\n") == 0);
	expect(palloc_run_in(cg, palloc_allocates, "1"));
}

/* The map that is set while off is the one in force once on. */
static void test_map_while_off(const void *arg)
{
	const char *cg;

	palloc_setup_mask(0x3000);
	palloc_enable(false);
	expect(palloc_puts("control", "12 16\n13 17\n14 18\n") == 0);
	expect(palloc_reads("use_palloc", "0\n"));
	palloc_map_parse(&palloc_map, "12 16\n13 17\n14 18\n");
	cg = palloc_cg_with(NULL, "off", "6");
	palloc_enable(true);
	expect(palloc_run_in(cg, palloc_allocates, "6"));
}

static void test_toggle(const void *arg)
{
	unsigned int i;
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(8) == 0);
	for (i = 0; i < 50; i++) {
		palloc_enable(false);
		p = palloc_alloc(64, MAP_PALLOC);
		palloc_free(p, 64);
		palloc_enable(true);
		p = palloc_alloc(64, MAP_PALLOC);
		if (!expect(palloc_pure(p, 64, "8")))
			return;
		palloc_free(p, 64);
	}
	expect(palloc_fallbacks() == 0);
}

/* Huge pages */

/* How many of HUGE_COUNT aligned pieces are huge pages; pure if there is a list. */
static unsigned int huge_pages(const char *list)
{
	const size_t per = HUGE_SIZE / palloc_page_size;
	const size_t pages = (HUGE_COUNT + 1) * per;
	unsigned int i, n = 0;
	char *p, *from;

	p = palloc_map_pages(pages, 0);
	from = (char *)(((uintptr_t)p + HUGE_SIZE - 1) & -HUGE_SIZE);
	expect(madvise(from, HUGE_COUNT * HUGE_SIZE, MADV_HUGEPAGE) == 0);
	palloc_touch(from, HUGE_COUNT * per);
	for (i = 0; i < HUGE_COUNT; i++)
		n += palloc_is_huge(from + i * HUGE_SIZE);
	if (list)
		expect(palloc_pure(from, HUGE_COUNT * per, list));
	palloc_free(p, pages);
	return n;
}

static void no_huge(const void *arg)
{
	expect(huge_pages(arg) == 0);
}

static void some_huge(const void *arg)
{
	expect(huge_pages(arg) > 0);
}

static void test_huge(const void *arg)
{
	unsigned int before, after;
	const char *cg;

	palloc_setup_mask(0xf000);
	palloc_enable(false);
	if (!palloc_keep(THP_ENABLED) || palloc_file_write(THP_ENABLED, "madvise", 7)) {
		palloc_skip("no transparent huge pages");
		return;
	}
	palloc_tidy_memory();
	before = huge_pages(NULL);
	if (palloc_skip_if(!before, "no huge page to be had"))
		return;
	palloc_enable(true);
	after = huge_pages(NULL);
	palloc_note("huge pages of %d: %u disabled, %u enabled", HUGE_COUNT, before, after);
	expect(after > 0);

	cg = palloc_cg_new(NULL, "huge");
	expect(palloc_run_in(cg, some_huge, NULL));
	expect(palloc_cg_bins(cg, "0-3") == 0);
	expect(palloc_run_in(cg, no_huge, "0-3"));
	expect(palloc_cg_bins(cg, "0-15") == 0);
	expect(palloc_run_in(cg, some_huge, "0-15"));
}

static const struct palloc_test tests[] = {
	{ "off: cgroup bins do not count", test_cgroup, NULL },
	{ "off: MAP_PALLOC does not count", test_map_palloc, NULL },
	{ "disable and enable by control", test_disable_command, NULL },
	{ "a map set while off", test_map_while_off, NULL },
	{ "switching 50 times", test_toggle, NULL },
	{ "huge pages for unrestricted tasks only", test_huge, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP)
