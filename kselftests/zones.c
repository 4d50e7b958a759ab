// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that a color is found in every zone of every node, one after the other
 * as a zone has no more of it, and on the node that a task is bound to. What
 * zones there are depends on the machine and on movablecore= and numa=fake= on
 * the command line.
 */
#include <linux/mempolicy.h>

#include "palloc_util.h"

#define ZONES		16
#define STEP		64
#define PAGES		512
/* Smaller zones may be kept for those who can use no other. */
#define MIN_PAGES	8192

static struct zone {
	char name[32];
	int node;
	long start, spanned, free;
	size_t got;
} zones[ZONES];

static int nr_zones;
static const char *group;

static void read_zones(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	struct zone *z = NULL;
	char line[256];

	if (!f)
		palloc_bail("/proc/zoneinfo: %s", strerror(errno));
	nr_zones = 0;
	while (fgets(line, sizeof(line), f) && nr_zones < ZONES) {
		struct zone new = { .got = 0 };

		if (sscanf(line, "Node %d, zone %31s", &new.node, new.name) == 2) {
			z = &zones[nr_zones++];
			*z = new;
		}
		if (!z)
			continue;
		if (sscanf(line, " pages free %ld", &z->free) == 1 ||
		    sscanf(line, " spanned %ld", &z->spanned) == 1 ||
		    sscanf(line, " start_pfn: %ld", &z->start) == 1)
			continue;
	}
	fclose(f);
}

static struct zone *zone_of(__u64 pfn)
{
	int i;

	for (i = 0; i < nr_zones; i++)
		if ((long)pfn >= zones[i].start &&
		    (long)pfn < zones[i].start + zones[i].spanned)
			return &zones[i];
	return NULL;
}

static bool zone_counts(const struct zone *z)
{
	return z->free >= MIN_PAGES;
}

static bool all_zones_seen(void)
{
	int i;

	for (i = 0; i < nr_zones; i++)
		if (zone_counts(&zones[i]) && !zones[i].got)
			return false;
	return true;
}

static void look(const char *p, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++) {
		struct zone *z = zone_of(palloc_pfn(p + i * palloc_page_size));

		if (z)
			z->got++;
	}
}

/* Takes a color's pages until each zone has given some. */
static void takes_all(const void *arg)
{
	const char *list = arg;
	size_t pages = 0, n = 0;
	char *p;
	int i;

	for (i = 0; i < nr_zones; i++)
		pages += zones[i].free / palloc_bins(&palloc_map);
	p = palloc_map_pages(pages + STEP, 0);
	while (!all_zones_seen() && n < pages && !palloc_fallbacks()) {
		palloc_touch(p + n * palloc_page_size, STEP);
		look(p + n * palloc_page_size, STEP);
		n += STEP;
	}
	for (i = 0; i < nr_zones; i++) {
		if (zones[i].spanned)
			palloc_note("node %d zone %s: %zu pages of %ld free", zones[i].node,
				    zones[i].name, zones[i].got, zones[i].free);
		if (zone_counts(&zones[i]))
			expect(zones[i].got);
	}
	expect(palloc_pure(p, n, list));
	expect(palloc_fallbacks() == 0);
	expect(palloc_verified());
}

static void test_zones(const void *arg)
{
	const char *list = arg;

	palloc_setup_mask(palloc_max_bits < 8 ? 0xf000 : 0xff000);
	group = palloc_cg_with(NULL, "zones", list);
	palloc_tidy_memory();
	read_zones();
	expect(palloc_run_in(group, takes_all, list));
	palloc_tidy_memory();
	expect(palloc_lossless());
}

static void bound(const void *arg)
{
	unsigned long mask = 1UL << *(const int *)arg;
	size_t i, elsewhere = 0;
	char *p;

	expect(syscall(__NR_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)) == 0);
	p = palloc_alloc(PAGES, 0);
	expect(palloc_pure(p, PAGES, "4-7"));
	for (i = 0; i < PAGES; i++) {
		struct zone *z = zone_of(palloc_pfn(p + i * palloc_page_size));

		elsewhere += !z || z->node != *(const int *)arg;
	}
	expect(elsewhere == 0);
}

static void interleaved(const void *arg)
{
	unsigned long mask = *(const unsigned long *)arg;
	size_t i, seen[8 * sizeof(mask)] = { 0 };
	char *p;

	expect(syscall(__NR_set_mempolicy, MPOL_INTERLEAVE, &mask, 8 * sizeof(mask)) == 0);
	p = palloc_alloc(PAGES, 0);
	expect(palloc_pure(p, PAGES, "4-7"));
	for (i = 0; i < PAGES; i++) {
		struct zone *z = zone_of(palloc_pfn(p + i * palloc_page_size));

		if (z)
			seen[z->node]++;
	}
	for (i = 0; i < 8 * sizeof(mask); i++)
		if (mask & 1UL << i)
			expect(seen[i] >= (size_t)PAGES / __builtin_popcountl(mask) - 1);
}

static void test_nodes(const void *arg)
{
	unsigned long nodes = 0;
	int i, node;

	group = palloc_setup_cg("nodes", "4-7");
	read_zones();
	for (i = 0; i < nr_zones; i++)
		if (zone_counts(&zones[i]))
			nodes |= 1UL << zones[i].node;
	expect(nodes);
	for (node = 0; nodes >> node; node++)
		if (nodes & 1UL << node)
			expect(palloc_run_in(group, bound, &node));
	expect(palloc_run_in(group, interleaved, &nodes));
	expect(palloc_fallbacks() == 0);
	expect(palloc_lossless());
}

static const struct palloc_test tests[] = {
	{ "a color of every zone", test_zones, "7" },
	{ "another color of every zone", test_zones, "0" },
	{ "nodes that a task is bound to", test_nodes, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_CGROUP)
