// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that palloc.bins decides which colors the tasks of a cgroup are given:
 * every anonymous page touched in the group has one of its bins, and all of its
 * bins are used; that bad lists are refused and leave the old list in force;
 * that a child stays within its parent; that moving a task, rewriting the list
 * and removing the group work on live tasks; and that readers and allocators
 * see either the old or the new list while it is being rewritten.
 */
#include <pthread.h>
#include <sched.h>

#include "palloc_util.h"

#define PAGES	512

static void allocates(const void *arg)
{
	expect(palloc_given_all(PAGES, 0, arg));
}

static void test_files(const void *arg)
{
	const char *cg;
	char buf[64];

	palloc_setup_mask(0xf000);
	expect(palloc_cg_read(palloc_cg_root(), "palloc.bins", buf, sizeof(buf)) == -ENOENT);
	expect(palloc_cg_reads(palloc_cg_root(), "palloc.bins.effective", "0-15\n"));
	cg = palloc_cg_new(NULL, "files");
	expect(palloc_cg_reads(cg, "palloc.bins", "\n"));
	expect(palloc_cg_reads(cg, "palloc.bins.effective", "0-15\n"));
	expect(palloc_cg_write(cg, "palloc.bins.effective", "1") < 0);
	expect(palloc_run_in(cg, palloc_allocates, NULL));
}

struct list_case {
	const char *text, *reads, *list;
};

static const struct list_case list_mixed = { "0,2,5-7", "0,2,5-7\n", "0,2,5-7" };
static const struct list_case list_order = { "15,0,1", "0-1,15\n", "0-1,15" };
static const struct list_case list_overlap = { "0-3,2-5", "0-5\n", "0-5" };
static const struct list_case list_joined = { "1,2,3", "1-3\n", "1-3" };

static void test_list(const void *arg)
{
	const struct list_case *c = arg;
	const char *cg = palloc_setup_cg("list", c->text);

	expect(palloc_cg_reads(cg, "palloc.bins", c->reads));
	expect(palloc_cg_reads(cg, "palloc.bins.effective", c->reads));
	expect(palloc_run_in(cg, allocates, c->list));
	expect(palloc_fallbacks() == 0);
}

/* Long but sane: 1000 times the same bin is that bin. */
static void test_long_list(const void *arg)
{
	char text[2048] = "";
	const char *cg = palloc_setup_cg("long", NULL);
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		text[2 * i] = '7';
		text[2 * i + 1] = i < 999 ? ',' : '\0';
	}
	expect(palloc_cg_bins(cg, text) == 0);
	expect(palloc_cg_reads(cg, "palloc.bins", "7\n"));
	expect(palloc_run_in(cg, allocates, "7"));
}

static void test_clear(const void *arg)
{
	const char *cg = palloc_setup_cg("clear", "2");

	expect(palloc_run_in(cg, allocates, "2"));
	expect(palloc_cg_bins(cg, "\n") == 0);
	expect(palloc_cg_reads(cg, "palloc.bins", "\n"));
	expect(palloc_run_in(cg, palloc_allocates, NULL));
}

/* 256 bins (or what the kernel has): a set across several words. */
static void test_many_bins(const void *arg)
{
	unsigned int bins = 1U << palloc_max_bits;
	char list[64], reads[72];
	const char *cg;

	palloc_setup_mask(((1ULL << palloc_max_bits) - 1) << 12);
	cg = palloc_cg_new(NULL, "many");
	snprintf(list, sizeof(list), "0,%u,%u-%u", bins / 2 - 1, bins - 3, bins - 1);
	snprintf(reads, sizeof(reads), "%s\n", list);
	expect(palloc_cg_bins(cg, list) == 0);
	expect(palloc_cg_reads(cg, "palloc.bins", reads));
	expect(palloc_run_in(cg, allocates, list));
	snprintf(list, sizeof(list), "%u", bins);
	expect(palloc_cg_bins(cg, list) == -ERANGE);
	expect(palloc_cg_reads(cg, "palloc.bins", reads));
}

/* Bad input */

struct bad {
	const char *text;
	int err;
};

static void refused(const struct bad *b)
{
	const char *cg = palloc_cg_new(NULL, "bad");
	int ret;

	expect(palloc_cg_bins(cg, "1,6-7") == 0);
	ret = palloc_cg_bins(cg, b->text);
	if (!expect(ret == -b->err))
		palloc_note("'%.20s': got %s, expected %s", b->text,
			    ret ? strerror(-ret) : "success", strerror(b->err));
	expect(palloc_cg_reads(cg, "palloc.bins", "1,6-7\n"));
	expect(palloc_cg_reads(cg, "palloc.bins.effective", "1,6-7\n"));
	expect(palloc_run_in(cg, allocates, "1,6-7"));
}

static void test_bad(const void *arg)
{
	palloc_setup_mask(0xf000);
	refused(arg);
}

/* 100 KB; the first 4096 bytes alone would be fine. */
static void test_bad_long(const void *arg)
{
	const char *unit = arg;
	const size_t len = 100000, n = strlen(unit);
	struct bad b = { .err = EINVAL };
	char *text;
	size_t i;

	palloc_setup_mask(0xf000);
	text = malloc(len + 1);
	if (!text)
		palloc_bail("malloc: %s", strerror(errno));
	for (i = 0; i < len; i++)
		text[i] = unit[i % n];
	text[len] = '\0';
	b.text = text;
	refused(&b);
	free(text);
}

/* Without a map there is one bin. */
static void test_one_bin(const void *arg)
{
	const char *cg;

	palloc_setup_mask(0);
	cg = palloc_cg_new(NULL, "onebin");
	expect(palloc_cg_bins(cg, "1") == -ERANGE);
	expect(palloc_cg_bins(cg, "0") == 0);
	expect(palloc_cg_reads(cg, "palloc.bins", "0\n"));
	palloc_map_mask(&palloc_map, 0xf000);
	expect(palloc_run_in(cg, palloc_allocates, NULL));
}

/* What was configured outlives a map with fewer bins. */
static void test_fewer_bins(const void *arg)
{
	const char *cg = palloc_setup_cg("fewer", "2,9-10");

	expect(palloc_puts("palloc_mask", "0x3000") == 0);
	palloc_map_mask(&palloc_map, 0x3000);
	expect(palloc_run_in(cg, palloc_allocates, "0-3"));
	expect(palloc_puts("palloc_mask", "0xf000") == 0);
	palloc_map_mask(&palloc_map, 0xf000);
	expect(palloc_cg_reads(cg, "palloc.bins", "2,9-10\n"));
	expect(palloc_run_in(cg, allocates, "2,9-10"));
}

/* Hierarchy: rows of parent, child, what the child is given. */

struct tree_case {
	const char *parent, *child, *reads, *list;
};

static const struct tree_case tree_inside = { "0-7", "2-3", "2-3\n", "2-3" };
static const struct tree_case tree_across = { "0-7", "4-11", "4-7\n", "4-7" };
static const struct tree_case tree_inherit = { "0-2", "\n", "0-2\n", "0-2" };
static const struct tree_case tree_only_child = { "\n", "8,10", "8,10\n", "8,10" };

static void test_tree(const void *arg)
{
	const struct tree_case *c = arg;
	const char *parent = palloc_setup_cg("parent", NULL);
	const char *child = palloc_cg_with(parent, "child", c->child);
	char asked[64];

	expect(palloc_cg_bins(parent, c->parent) == 0);
	snprintf(asked, sizeof(asked), "%s%s", c->child, c->child[0] == '\n' ? "" : "\n");
	expect(palloc_cg_reads(child, "palloc.bins", asked));
	expect(palloc_cg_reads(child, "palloc.bins.effective", c->reads));
	expect(palloc_run_in(child, allocates, c->list));
}

/* What a child asked for is kept, and given again once the parent allows it. */
static void test_tree_rewrite(const void *arg)
{
	const char *top, *mid, *leaf;

	top = palloc_setup_cg("top", NULL);
	mid = palloc_cg_new(top, "mid");
	leaf = palloc_cg_with(mid, "leaf", "4-11");
	expect(palloc_run_in(leaf, allocates, "4-11"));
	expect(palloc_cg_bins(top, "0-7") == 0);
	expect(palloc_run_in(leaf, allocates, "4-7"));
	expect(palloc_cg_reads(leaf, "palloc.bins", "4-11\n"));
	expect(palloc_cg_reads(mid, "palloc.bins.effective", "0-7\n"));
	expect(palloc_cg_bins(mid, "5") == 0);
	expect(palloc_run_in(leaf, allocates, "5"));
	expect(palloc_cg_bins(mid, "\n") == 0);
	expect(palloc_cg_bins(top, "\n") == 0);
	expect(palloc_cg_reads(leaf, "palloc.bins.effective", "4-11\n"));
	expect(palloc_run_in(leaf, allocates, "4-11"));
}

/* Asking for nothing of what the parent has is no way out of the parent. */
static void test_tree_disjoint(const void *arg)
{
	const char *parent = palloc_setup_cg("parent", NULL);
	const char *child = palloc_cg_new(parent, "child");

	expect(palloc_cg_bins(parent, "0-3") == 0);
	if (palloc_cg_bins(child, "8-11") == 0)
		expect(palloc_cg_reads(child, "palloc.bins", "8-11\n"));
	expect(palloc_run_in(child, palloc_allocates, "0-3"));
}

/* Live tasks */

/* Runs in one group, moves itself to another, and looks at what it was given where. */
static void mover(const void *arg)
{
	char *in_a, *in_b, *later;

	in_a = palloc_map_pages(PAGES, 0);
	palloc_touch(in_a, PAGES / 2);
	expect(palloc_pure(in_a, PAGES / 2, "0-3"));
	expect(palloc_cg_move(arg, 0) == 0);
	in_b = palloc_alloc(PAGES, 0);
	expect(palloc_pure(in_b, PAGES, "8-11"));
	/* The same region goes on with the new colors; old pages stay. */
	later = in_a + PAGES / 2 * palloc_page_size;
	palloc_touch(later, PAGES / 2);
	expect(palloc_pure(later, PAGES / 2, "8-11"));
	expect(palloc_pure(in_a, PAGES / 2, "0-3"));
	expect(palloc_cg_move(palloc_cg_root(), 0) == 0);
	palloc_allocates(NULL);
}

static void rewriter(const void *arg)
{
	const char *cg = arg;
	void *p;

	p = palloc_alloc(PAGES, 0);
	expect(palloc_pure(p, PAGES, "0-3"));
	expect(palloc_cg_bins(cg, "9") == 0);
	p = palloc_alloc(PAGES, 0);
	expect(palloc_pure(p, PAGES, "9"));
	expect(palloc_cg_bins(cg, "\n") == 0);
	palloc_allocates(NULL);
}

static void test_rewrite(const void *arg)
{
	const char *cg = palloc_setup_cg("rewrite", "0-3");

	expect(palloc_run_in(cg, rewriter, cg));
}

/* The group goes while its pages live on in a task that has left it. */
static void leaver(const void *arg)
{
	const char *cg = arg;
	unsigned int *p;
	size_t i, n = PAGES * palloc_page_size / sizeof(*p);

	p = palloc_alloc(PAGES, 0);
	for (i = 0; i < n; i++)
		p[i] = i;
	expect(palloc_cg_move(palloc_cg_root(), 0) == 0);
	expect(palloc_cg_remove(cg) == 0);
	expect(access(cg, F_OK) == -1 && errno == ENOENT);
	expect(palloc_pure(p, PAGES, "4-5"));
	for (i = 0; i < n; i++)
		if (p[i] != i)
			break;
	expect(i == n);
	palloc_free(p, PAGES);
	palloc_allocates(NULL);
}

static void test_remove(const void *arg)
{
	const char *cg = palloc_setup_cg("remove", "4-5");

	expect(palloc_run_in(cg, leaver, cg));
}

static void test_remove_busy(const void *arg)
{
	const char *cg;
	unsigned int i;

	palloc_setup_mask(0xf000);
	for (i = 0; i < 20; i++) {
		cg = palloc_cg_new(NULL, "again");
		if (!expect(palloc_cg_bins(cg, "1") == 0) ||
		    !expect(palloc_run_in(cg, allocates, "1")) ||
		    !expect(palloc_cg_remove(cg) == 0))
			return;
	}
}

static void threads(const void *arg)
{
	void *p = palloc_map_pages(4 * PAGES, 0);

	expect(palloc_touch_by_threads(4, p, PAGES, PAGES));
	expect(palloc_pure(p, 4 * PAGES, arg));
}

static void test_two_groups(const void *arg)
{
	const char *a = palloc_setup_cg("a", "0-7");
	const char *b = palloc_cg_with(NULL, "b", "8-15");
	pid_t pid[4];
	unsigned int i;

	for (i = 0; i < 4; i++)
		pid[i] = palloc_spawn(i & 1 ? b : a, threads, i & 1 ? "8-15" : "0-7");
	palloc_reap_all(pid, 4);
}

/* Taking the controller away from the group's parent lifts the restriction. */
static void controller_goes(const void *arg)
{
	const char *parent = arg;

	expect(palloc_given(PAGES, 0, "6"));
	expect(palloc_cg_write(parent, "cgroup.subtree_control", "-palloc") == 0);
	palloc_allocates(NULL);
}

static void test_controller_goes(const void *arg)
{
	const char *parent = palloc_setup_cg("parent", NULL);
	const char *cg = palloc_cg_with(parent, "group", "6");

	expect(palloc_run_in(cg, controller_goes, parent));
}

/* Rewriting under load */

#define REWRITES	1000

struct shared {
	unsigned int stop, faults, reads;
};

static bool enough(const unsigned int *rounds)
{
	return __atomic_load_n(rounds, __ATOMIC_RELAXED) >= 10;
}

static void faulter(const void *arg)
{
	struct shared *shared = *(struct shared *const *)arg;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
		void *p = palloc_alloc(16, 0);

		if (!expect(palloc_pure(p, 16, "0-3,8-11")))
			return;
		palloc_free(p, 16);
		__atomic_add_fetch(&shared->faults, 1, __ATOMIC_RELAXED);
	}
}

struct reader {
	const char *cg;
	struct shared *shared;
};

static void reader(const void *arg)
{
	const struct reader *r = arg;
	char path[512], buf[64];

	snprintf(path, sizeof(path), "%s/palloc.bins", r->cg);
	while (!__atomic_load_n(&r->shared->stop, __ATOMIC_ACQUIRE)) {
		if (!expect(palloc_file_read(path, buf, sizeof(buf)) > 0) ||
		    !expect(!strcmp(buf, "0-3\n") || !strcmp(buf, "8-11\n")))
			return;
		__atomic_add_fetch(&r->shared->reads, 1, __ATOMIC_RELAXED);
		/* On one CPU a reader would read on in its whole time slice. */
		sched_yield();
	}
}

static void test_concurrent(const void *arg)
{
	struct shared *shared;
	struct reader r;
	unsigned int i;
	pid_t pid[4];

	r.cg = palloc_setup_cg("concurrent", "0-3");
	shared = palloc_shared(1);
	r.shared = shared;
	pid[0] = palloc_spawn(r.cg, faulter, &shared);
	pid[1] = palloc_spawn(r.cg, faulter, &shared);
	pid[2] = palloc_spawn(NULL, reader, &r);
	pid[3] = palloc_spawn(NULL, reader, &r);
	/* For as long as it takes all to come by; not for ever, if they gave up. */
	for (i = 0; i < 1000 * REWRITES; i++) {
		if (i >= REWRITES && enough(&shared->faults) && enough(&shared->reads))
			break;
		if (!expect(palloc_cg_bins(r.cg, i & 1 ? "0-3" : "8-11") == 0))
			break;
		/* A refused list in between must not show either. */
		if (i % 10 == 0 && !expect(palloc_cg_bins(r.cg, "0-99") < 0))
			break;
		sched_yield();
	}
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	palloc_reap_all(pid, 4);
	expect(enough(&shared->faults) && enough(&shared->reads));
	expect(palloc_cg_bins(r.cg, "0-3") == 0);
	expect(palloc_run_in(r.cg, allocates, "0-3"));
	palloc_free(shared, 1);
}

#define BAD(what, text, err) \
	{ "bad: " what, test_bad, &(const struct bad){ text, err } }

static const struct palloc_test tests[] = {
	{ "files of a new group: unrestricted", test_files, NULL },
	{ "list: a range", test_list, &(const struct list_case){ "0-3", "0-3\n", "0-3" } },
	{ "list: with newline", test_list, &(const struct list_case){ "4-5\n", "4-5\n", "4-5" } },
	{ "list: bins and ranges", test_list, &list_mixed },
	{ "list: one bin", test_list, &(const struct list_case){ "3", "3\n", "3" } },
	{ "list: the last bin", test_list, &(const struct list_case){ "15", "15\n", "15" } },
	{ "list: all bins", test_list, &(const struct list_case){ "0-15", "0-15\n", "0-15" } },
	{ "list: any order", test_list, &list_order },
	{ "list: overlapping ranges", test_list, &list_overlap },
	{ "list: neighbours are joined", test_list, &list_joined },
	{ "list: 2 KB of text", test_long_list, NULL },
	{ "list: as many bins as built for", test_many_bins, NULL },
	{ "empty: no restriction again", test_clear, NULL },
	BAD("16 of 16 bins", "16", ERANGE),
	BAD("0-16 of 16 bins", "0-16", ERANGE),
	BAD("1024", "1024", ERANGE),
	BAD("1000000", "1000000", ERANGE),
	BAD("4294967296", "4294967296", ERANGE),
	BAD("3-1", "3-1", EINVAL),
	BAD("zebra", "zebra", EINVAL),
	BAD("-1", "-1", EINVAL),
	BAD("0-", "0-", EINVAL),
	BAD("0x1", "0x1", EINVAL),
	BAD("0-3 zebra", "0-3 zebra", EINVAL),
	BAD("0-3;5", "0-3;5", EINVAL),
	{ "bad: 100 KB of letters", test_bad_long, "zebra" },
	{ "bad: 100 KB of good bins", test_bad_long, "0," },
	{ "bad: 100 KB of digits", test_bad_long, "1" },
	{ "bad: 100 KB of newlines", test_bad_long, "\n" },
	{ "no map: one bin", test_one_bin, NULL },
	{ "a map with fewer bins and back", test_fewer_bins, NULL },
	{ "tree: child inside of parent", test_tree, &tree_inside },
	{ "tree: child reaches out of parent", test_tree, &tree_across },
	{ "tree: child inherits", test_tree, &tree_inherit },
	{ "tree: parent unrestricted", test_tree, &tree_only_child },
	{ "tree: parents rewritten", test_tree_rewrite, NULL },
	{ "tree: child disjoint from parent", test_tree_disjoint, NULL },
	{ "moving a task: next allocation", palloc_test_inside,
	  PALLOC_INSIDE("0-3", "8-11", mover) },
	{ "rewriting bins: next allocation", test_rewrite, NULL },
	{ "removing a group with live pages", test_remove, NULL },
	{ "creating and removing in a loop", test_remove_busy, NULL },
	{ "threads faulting at once", palloc_test_inside, PALLOC_INSIDE("3,12", NULL, threads) },
	{ "two groups at once", test_two_groups, NULL },
	{ "disabling the controller", test_controller_goes, NULL },
	{ "rewriting while tasks fault and read", test_concurrent, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP)
