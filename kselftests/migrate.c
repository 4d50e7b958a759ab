// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that a page that replaces another has a color of its owner: whatever
 * moves pages about, compaction, soft offlining, a node that is asked for with
 * mbind(), move_pages() or migrate_pages(), or a NUMA hint, all of a colored
 * cgroup's and region's pages keep to their colors, and their data; huge pages
 * stay such, or are split where they can't have the colors. And that
 * compaction stays of use where half of the memory is colored.
 */
#include <glob.h>
#include <sched.h>
#include <time.h>

#include "palloc_util.h"

#define COMPACT		"/proc/sys/vm/compact_memory"
#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define SCAN		"/sys/kernel/debug/sched/numa_balancing"
#define NODE1		"/sys/devices/system/node/node1"
#define TIERS		"/sys/devices/virtual/memory_tiering/memory_tier*/nodelist"
#define DEMOTION	"/sys/kernel/mm/numa/demotion_enabled"

#define MPOL_BIND	2
#define MPOL_MF_MOVE	2

#define PAGES		8192
#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/enabled"
#define BINS		"0-5"
#define REGION		"7-9"

/* What a process has: memory of its cgroup's colors and a region of its own. */
static struct part {
	const char *list;
	int flags;
	char *p;
	__u64 *pfn;
} parts[] = {
	{ BINS, 0, NULL, NULL },
	{ REGION, MAP_PALLOC, NULL, NULL },
};

static char *aligned(char *p)
{
	return (char *)(((uintptr_t)p + HUGE_SIZE - 1) & -HUGE_SIZE);
}

static __u64 *cell(char *p, size_t i)
{
	return (__u64 *)(p + i * palloc_page_size);
}

/* Not 0: what splits a huge page may map the page of zeroes in place of another (v6.12). */
static size_t data(size_t page, unsigned int part)
{
	return (page ^ part) + 1;
}

/* Fills the parts; of each @keep pages in @of, those past the first go again. */
static void fill(size_t pages, unsigned int keep, unsigned int of)
{
	unsigned int k;
	size_t i;

	for (k = 0; k < ARRAY_SIZE(parts); k++) {
		struct part *part = &parts[k];

		part->p = aligned(palloc_map_pages(pages + HUGE_SIZE / palloc_page_size,
						   part->flags));
		part->pfn = calloc(pages, sizeof(*part->pfn));
		for (i = 0; i < pages; i++)
			*cell(part->p, i) = data(i, k);
		for (i = 0; i < pages; i++) {
			if (i % of >= keep)
				madvise(cell(part->p, i), palloc_page_size, MADV_DONTNEED);
			else
				part->pfn[i] = palloc_pfn(cell(part->p, i));
		}
	}
}

/* How many pages are elsewhere now. All are of their colors and have their data. */
static size_t moved_well(size_t pages)
{
	size_t moved = 0, bad = 0, i;
	unsigned long checked;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(parts); k++) {
		struct part *part = &parts[k];

		expect(palloc_impure(0, part->p, pages, part->list, &checked) == 0);
		expect(checked);
		for (i = 0; i < pages; i++) {
			if (!part->pfn[i])
				continue;
			moved += part->pfn[i] != palloc_pfn(cell(part->p, i));
			bad += *cell(part->p, i) != data(i, k);
		}
	}
	expect(!bad);
	return moved;
}

static void compacted(const void *arg)
{
	size_t moved;

	expect(palloc_set_colors(REGION) == 0);
	fill(PAGES, 1, 3);
	expect(moved_well(PAGES) == 0);
	expect(palloc_file_write(COMPACT, "1", 1) == 0);
	moved = moved_well(PAGES);
	palloc_note("%zu pages were moved", moved);
	expect(moved);
}

static void soft_offlined(const void *arg)
{
	__u64 bad[2 * 8];
	unsigned int k, i, n = 0;

	expect(palloc_set_colors(REGION) == 0);
	fill(64, 1, 1);
	for (k = 0; k < ARRAY_SIZE(parts); k++)
		for (i = 0; i < 8; i++) {
			bad[n++] = parts[k].pfn[i * 3];
			expect(palloc_soft_offline(cell(parts[k].p, i * 3), 0) == 0);
		}
	expect(moved_well(64) == n);
	while (n--)
		expect(palloc_unpoison(bad[n]) == 0);
}

/* Pages that nobody owns, and that were brought in by who has colors no more. */
static void soft_offlined_file(const void *arg)
{
	const size_t pages = 64, n = 16;
	size_t i, moved = 0, same = 0;
	int fd = memfd_create("migrate", MFD_CLOEXEC);
	__u64 pfn[64];
	char *p;

	if (fd < 0 || ftruncate(fd, pages * palloc_page_size))
		palloc_bail("memfd: %s", strerror(errno));
	p = mmap(NULL, pages * palloc_page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	palloc_touch(p, pages);
	expect(palloc_pure_any(p, pages, BINS));
	for (i = 0; i < pages; i++)
		pfn[i] = palloc_any_pfn(cell(p, i));
	expect(palloc_cg_move(palloc_cg_root(), 0) == 0);
	for (i = 0; i < n; i++)
		expect(palloc_soft_offline(cell(p, 3 * i), 0) == 0);
	palloc_touch(p, pages);
	for (i = 0; i < pages; i++) {
		__u64 now = palloc_any_pfn(cell(p, i));

		moved += now != pfn[i];
		same += palloc_color(&palloc_map, now) == palloc_color(&palloc_map, pfn[i]);
	}
	expect(moved == n);
	expect(same == pages);
	for (i = 0; i < n; i++)
		expect(palloc_unpoison(pfn[3 * i]) == 0);
}

/* Returns how many huge blocks compaction has made, where half of the memory is colored. */
static long compaction_makes(bool colored)
{
	struct palloc_compaction c = {
		.cg = palloc_cg_new(NULL, "half"),
		.list = colored ? "0-11" : NULL,
	};

	palloc_enable(colored);
	expect(palloc_cg_bins(c.cg, "0-11") == 0);
	palloc_compact(&c);
	palloc_note("palloc %s: of %zu pages free before, %zu and %zu used", colored ? "on" : "off",
		    c.free, c.used[0], c.used[1]);
	palloc_note("%ld huge blocks, %ld after compaction", c.before, c.after);
	expect(palloc_cg_remove(c.cg) == 0);
	return c.after - c.before;
}

static void test_effective(const void *arg)
{
	long off, on;

	palloc_setup_mask(0xf000);
	off = compaction_makes(false);
	on = compaction_makes(true);
	expect(off > 0);
	/* Blocks that are filled with pages of 12 colors of 16 may keep holes. */
	expect(on >= off / 2);
	expect(palloc_lossless());
}

/* Between nodes */

static bool seconds_since(const struct timespec *start, long seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec >= seconds;
}

static int page_node(void *addr)
{
	int status = -1;

	syscall(__NR_move_pages, 0, 1UL, &addr, NULL, &status, 0);
	return status;
}

static void mbinds(size_t pages, int node)
{
	unsigned long mask = 1UL << node;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(parts); k++)
		expect(syscall(__NR_mbind, parts[k].p, pages * palloc_page_size, MPOL_BIND,
			       &mask, 64UL, MPOL_MF_MOVE) == 0);
}

static void moves_pages(size_t pages, int node)
{
	void **addrs = calloc(pages, sizeof(*addrs));
	int *nodes = calloc(pages, sizeof(*nodes));
	int *status = calloc(pages, sizeof(*status));
	unsigned int k, tries;
	size_t i, left;

	for (k = 0; k < ARRAY_SIZE(parts); k++) {
		for (i = 0; i < pages; i++) {
			addrs[i] = cell(parts[k].p, i);
			nodes[i] = node;
		}
		/* A page may be in use just then. */
		for (tries = 0, left = 1; left && tries < 100; tries++) {
			if (tries)
				palloc_drain_lru();
			expect(syscall(__NR_move_pages, 0, pages, addrs, nodes, status,
				       MPOL_MF_MOVE) == 0);
			for (i = left = 0; i < pages; i++)
				left += status[i] != node;
		}
		expect(!left);
	}
	free(addrs);
	free(nodes);
	free(status);
}

static void migrates_pages(size_t pages, int node)
{
	unsigned long from = 1UL << !node, to = 1UL << node;

	(void)pages;
	expect(syscall(__NR_migrate_pages, 0, 64UL, &from, &to) >= 0);
}

/*
 * From a CPU of this node, touches pages that are on the other one, until hints
 * have brought some here.
 */
static void hinted(const void *arg)
{
	const size_t pages = 1024;
	unsigned int cpu, node, k;
	struct timespec start;
	size_t i, there;

	palloc_pin(0);
	expect(syscall(__NR_getcpu, &cpu, &node, NULL) == 0);
	expect(palloc_set_colors(REGION) == 0);
	fill(pages, 1, 1);
	moves_pages(pages, !node);
	for (k = 0; k < ARRAY_SIZE(parts); k++)
		for (i = 0; i < pages; i++)
			parts[k].pfn[i] = palloc_pfn(cell(parts[k].p, i));
	/*
	 * Not earlier: v6.6 gives no hints for what is mapped once it has been
	 * through the address space twice.
	 */
	expect(palloc_file_write(BALANCING, "1", 1) == 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (k = 0; k < ARRAY_SIZE(parts); k++)
			for (i = 0; i < pages; i++)
				(void)__atomic_load_n(cell(parts[k].p, i), __ATOMIC_RELAXED);
		there = 0;
		for (k = 0; k < ARRAY_SIZE(parts); k++)
			for (i = 0; i < pages; i++)
				there += page_node(cell(parts[k].p, i)) == (int)node;
	} while (there < pages && !seconds_since(&start, there ? 30 : 300));
	palloc_note("%zu of %zu pages on node %u", there, 2 * pages, node);
	expect(there);
	expect(moved_well(pages) >= there);
}

/* A node of the fastest of several tiers of memory, or -1 if there is but one. */
static int fast_node(void)
{
	int node = -1, best = 0, tier;
	char text[64];
	size_t i;
	glob_t g;

	if (glob(TIERS, 0, NULL, &g))
		return -1;
	for (i = 0; i < g.gl_pathc; i++) {
		tier = atoi(g.gl_pathv[i] + strlen(TIERS) - strlen("*/nodelist"));
		if (palloc_file_read(g.gl_pathv[i], text, sizeof(text)) > 0 &&
		    (node < 0 || tier < best)) {
			best = tier;
			node = atoi(text);
		}
	}
	if (g.gl_pathc < 2)
		node = -1;
	globfree(&g);
	return node;
}

/* Reclaim has pages go to slower memory, where there is some. */
static void demoted(const void *arg)
{
	const size_t pages = 1024;
	int fast = fast_node();
	struct timespec start;
	size_t i, slow;
	unsigned int k;

	expect(palloc_set_colors(REGION) == 0);
	fill(pages, 1, 1);
	moves_pages(pages, fast);
	for (k = 0; k < ARRAY_SIZE(parts); k++)
		for (i = 0; i < pages; i++)
			parts[k].pfn[i] = palloc_pfn(cell(parts[k].p, i));
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		palloc_cg_write(palloc_cg_root(), "memory.reclaim", "16M");
		slow = 0;
		for (k = 0; k < ARRAY_SIZE(parts); k++)
			for (i = 0; i < pages; i++)
				slow += page_node(cell(parts[k].p, i)) != fast;
	} while (slow < pages && !seconds_since(&start, slow ? 30 : 300));
	palloc_note("%zu of %zu pages on slower nodes", slow, 2 * pages);
	expect(slow);
	expect(moved_well(pages) >= slow);
}

/* How many of the parts' huge pages are. */
static size_t count_huge(size_t pages)
{
	size_t n = 0, i;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(parts); k++)
		for (i = 0; i < pages; i += HUGE_SIZE / palloc_page_size)
			n += palloc_is_huge(cell(parts[k].p, i));
	return n;
}

/* What is moved between nodes, and how. */
struct between {
	void (*move)(size_t pages, int node);
	__u64 mask;
	bool huge;		/* huge pages, of which each may have one color ... */
	const char *before;	/* ... or which were there before they had any */
};

static void between_nodes(const void *arg)
{
	const struct between *b = arg;
	const size_t pages = 1024, huge = 2 * pages * palloc_page_size / HUGE_SIZE;
	unsigned int k, round;
	size_t i, moved, there;

	/* All pages are on one node at first, as huge pages stay that need not move. */
	palloc_pin(0);
	if (!b->before)
		expect(palloc_set_colors(REGION) == 0);
	fill(pages, 1, 1);
	expect(count_huge(pages) == (b->huge ? huge : 0));
	if (b->before) {
		expect(palloc_set_colors(REGION) == 0);
		expect(palloc_cg_move(b->before, 0) == 0);
	}
	for (round = 0; round < 4; round++) {
		int node = !page_node(cell(parts[0].p, 0));

		b->move(pages, node);
		moved = moved_well(pages);
		there = 0;
		for (k = 0; k < ARRAY_SIZE(parts); k++)
			for (i = 0; i < pages; i++)
				there += page_node(cell(parts[k].p, i)) == node;
		palloc_note("node %d: %zu of %zu pages there, %zu elsewhere than at first",
			    node, there, 2 * pages, moved);
		expect(there == 2 * pages);
		expect(count_huge(pages) == (b->huge && !b->before ? huge : 0));
	}
}

static const char *begin(__u64 mask)
{
	const char *cg;

	palloc_setup_mask(mask);
	cg = palloc_cg_with(NULL, "migrate", BINS);
	expect(palloc_keep(THP_ENABLED));
	palloc_file_write(THP_ENABLED, "always", 6);
	palloc_tidy_memory();
	return cg;
}

static void end(void)
{
	expect(palloc_fallbacks() == 0);
	palloc_tidy_memory();
	expect(palloc_lossless());
}

static void run(const void *arg)
{
	void (*fn)(const void *arg) = *(void (* const *)(const void *))arg;

	expect(palloc_run_in(begin(0xf000), fn, NULL));
	end();
}

static void test_nodes(const void *arg)
{
	struct between b = *(const struct between *)arg;
	const char *cg = begin(b.mask);

	if (b.before)
		b.before = cg;
	expect(palloc_run_in(b.before ? NULL : cg, between_nodes, &b));
	end();
}

static void test_hints(const void *arg)
{
	static const char * const files[] = {
		BALANCING, SCAN "/scan_delay_ms", SCAN "/scan_period_min_ms",
	};
	static const char * const values[] = { "0", "10", "20" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		/* Not all are there without CONFIG_SCHED_DEBUG. */
		if (palloc_keep(files[i]))
			expect(palloc_file_puts(files[i], values[i]) == 0);
	}
	run(arg);
}

static void test_demotion(const void *arg)
{
	expect(palloc_keep(DEMOTION));
	expect(palloc_file_write(DEMOTION, "1", 1) == 0);
	run(arg);
}

static void (* const demoted_fn)(const void *arg) = demoted;
static void (* const compacted_fn)(const void *arg) = compacted;
static void (* const soft_offlined_fn)(const void *arg) = soft_offlined;
static void (* const soft_offlined_file_fn)(const void *arg) = soft_offlined_file;
static const struct between by_mbind = { mbinds, 0xf000, false, NULL };
static const struct between by_migrate_pages = { migrates_pages, 0xf000, false, NULL };
static const struct between huge_mbind = { mbinds, 0x1e00000, true, NULL };
static const struct between huge_move_pages = { moves_pages, 0x1e00000, true, NULL };
static const struct between huge_migrate_pages = { migrates_pages, 0x1e00000, true, NULL };
static const struct between split_mbind = { mbinds, 0xf000, true, "" };
static const struct between split_move_pages = { moves_pages, 0xf000, true, "" };
static const struct between split_migrate_pages = { migrates_pages, 0xf000, true, "" };
static void (* const hinted_fn)(const void *arg) = hinted;

static const struct palloc_test tests[] = {
	{ "compaction", run, &compacted_fn },
	{ "compaction where half of the memory is colored", test_effective, NULL },
	{ "MADV_SOFT_OFFLINE", run, &soft_offlined_fn },
	{ "MADV_SOFT_OFFLINE of a file's pages", run, &soft_offlined_file_fn },
	/* Where there are two nodes, as with numa=fake=2 */
	{ "mbind with MPOL_MF_MOVE", test_nodes, &by_mbind },
	{ "move_pages", test_nodes, &(const struct between){ moves_pages, 0xf000, false, NULL } },
	{ "migrate_pages", test_nodes, &by_migrate_pages },
	{ "mbind of huge pages", test_nodes, &huge_mbind },
	{ "move_pages of huge pages", test_nodes, &huge_move_pages },
	{ "migrate_pages of huge pages", test_nodes, &huge_migrate_pages },
	{ "mbind of huge pages to be split", test_nodes, &split_mbind },
	{ "move_pages of huge pages to be split", test_nodes, &split_move_pages },
	{ "migrate_pages of huge pages to be split", test_nodes, &split_migrate_pages },
	{ "NUMA hints", test_hints, &hinted_fn },
	/* Where there are two tiers of memory, and nothing else there */
	{ "demotion", test_demotion, &demoted_fn },
};

int main(void)
{
	const struct palloc_test *first = tests;
	unsigned int n = ARRAY_SIZE(tests) - 1;

	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	/* The others are about memory of one kind. */
	if (fast_node() >= 0) {
		first += n;
		n = 1;
	} else if (access(NODE1, F_OK)) {
		n -= 10;
	}
	palloc_run_tests(first, n);
}
