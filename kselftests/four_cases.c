// SPDX-License-Identifier: GPL-2.0
/*
 * Proves who decides a page's color, for each combination of cgroup, MAP_PALLOC
 * and process map:
 *
 *   no cgroup, no MAP_PALLOC            any color
 *   no cgroup, MAP_PALLOC, map          the process's map
 *   no cgroup, MAP_PALLOC, no map       any color
 *   cgroup,    no MAP_PALLOC            the cgroup's bins
 *   cgroup,    MAP_PALLOC, map          the process's map
 *   cgroup,    MAP_PALLOC, no map       the cgroup's bins
 *
 * alone, together in one process, and in several processes at once.
 */
#include "palloc_util.h"

#define PAGES	512
#define ROUNDS	20

struct row {
	const char *bins;	/* of the cgroup, NULL: no cgroup */
	const char *map;	/* of the process, NULL: none */
	int flags;
	const char *given;	/* NULL: any color */
};

static void allocates(const void *arg)
{
	const struct row *row = arg;

	if (row->map)
		expect(palloc_set_colors(row->map) == 0);
	if (row->given)
		expect(palloc_given_all(PAGES, row->flags, row->given));
	else
		expect(palloc_given(PALLOC_MANY, row->flags, NULL));
}

static void test_row(const void *arg)
{
	const struct row *row = arg;
	const char *cg = NULL;

	palloc_setup_mask(0xf000);
	if (row->bins)
		cg = palloc_cg_with(NULL, "row", row->bins);
	expect(palloc_run_in(cg, allocates, row));
	expect(palloc_fallbacks() == 0);
}

#define ROW(what, bins, map, flags, given) \
	{ what, test_row, &(const struct row){ bins, map, flags, given } }

/* All of them in one process that has been put into a group. */
static void all_in_one(const void *arg)
{
	void *plain, *colored;

	plain = palloc_alloc(PAGES, 0);
	expect(palloc_pure(plain, PAGES, "0-3"));
	expect(palloc_given(PAGES, MAP_PALLOC, "0-3"));

	expect(palloc_set_color(9) == 0);
	colored = palloc_map_pages(PAGES, MAP_PALLOC);
	palloc_free(plain, PAGES);
	plain = palloc_map_pages(PAGES, 0);
	/* Touched in turns: the rule changes from page to page. */
	for (size_t i = 0; i < PAGES; i++) {
		palloc_touch((char *)plain + i * palloc_page_size, 1);
		palloc_touch((char *)colored + i * palloc_page_size, 1);
	}
	expect(palloc_pure(plain, PAGES, "0-3"));
	expect(palloc_pure(colored, PAGES, "9"));

	expect(palloc_set_color_map(NULL, 0) == 0);
	expect(madvise(colored, PAGES * palloc_page_size, MADV_DONTNEED) == 0);
	palloc_touch(colored, PAGES);
	expect(palloc_pure(colored, PAGES, "0-3"));

	expect(palloc_set_color(9) == 0);
	expect(palloc_cg_move(palloc_cg_root(), 0) == 0);
	expect(madvise(colored, PAGES * palloc_page_size, MADV_DONTNEED) == 0);
	palloc_touch(colored, PAGES);
	expect(palloc_pure(colored, PAGES, "9"));
	palloc_free(plain, PAGES);
	expect(palloc_given(PALLOC_MANY, 0, NULL));
}

static void again_and_again(const void *arg)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++)
		allocates(arg);
}

/* Every row at the same time: nobody is given what was meant for another. */
static void test_at_once(const void *arg)
{
	static const struct row rows[] = {
		{ NULL, NULL, 0, NULL },
		{ NULL, "5", MAP_PALLOC, "5" },
		{ NULL, "6,11", MAP_PALLOC, "6,11" },
		{ NULL, "5", 0, NULL },
		{ "0-3", NULL, 0, "0-3" },
		{ "8", NULL, 0, "8" },
		{ "0-3", "12", MAP_PALLOC, "12" },
		{ "8", NULL, MAP_PALLOC, "8" },
	};
	pid_t pid[ARRAY_SIZE(rows)];
	const char *wide, *narrow;
	unsigned int i;

	wide = palloc_setup_cg("wide", "0-3");
	narrow = palloc_cg_with(NULL, "narrow", "8");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *cg = NULL;

		if (rows[i].bins)
			cg = strcmp(rows[i].bins, "8") ? wide : narrow;
		pid[i] = palloc_spawn(cg, again_and_again, &rows[i]);
	}
	palloc_reap_all(pid, ARRAY_SIZE(rows));
	expect(palloc_fallbacks() == 0);
}

static const struct palloc_test tests[] = {
	ROW("no cgroup, no MAP_PALLOC: any", NULL, NULL, 0, NULL),
	ROW("no cgroup, no MAP_PALLOC, process map: any", NULL, "9", 0, NULL),
	ROW("no cgroup, MAP_PALLOC, one color: that color", NULL, "9", MAP_PALLOC, "9"),
	ROW("no cgroup, MAP_PALLOC, colors: these", NULL, "1,8-9", MAP_PALLOC, "1,8-9"),
	ROW("no cgroup, MAP_PALLOC, no process map: any", NULL, NULL, MAP_PALLOC, NULL),
	ROW("cgroup, no MAP_PALLOC: bins", "0-3", NULL, 0, "0-3"),
	ROW("cgroup, no MAP_PALLOC, process map: bins", "0-3", "9", 0, "0-3"),
	ROW("cgroup, MAP_PALLOC, other colors: process map", "0-3", "9", MAP_PALLOC, "9"),
	ROW("cgroup, MAP_PALLOC, wider: process map", "2", "0-7", MAP_PALLOC, "0-7"),
	ROW("cgroup, MAP_PALLOC, narrower: process map", "0-7", "2", MAP_PALLOC, "2"),
	ROW("cgroup, MAP_PALLOC, no process map: bins", "0-3", NULL, MAP_PALLOC, "0-3"),
	ROW("cgroup of no bins, no MAP_PALLOC: any", "\n", NULL, 0, NULL),
	ROW("cgroup of no bins, MAP_PALLOC: process map", "\n", "9", MAP_PALLOC, "9"),
	{ "all in one process", palloc_test_inside,
	  PALLOC_INSIDE("0-3", NULL, all_in_one) },
	{ "eight processes at once", test_at_once, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP)
