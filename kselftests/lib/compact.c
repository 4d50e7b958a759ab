// SPDX-License-Identifier: GPL-2.0
/* See compact.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "color.h"
#include "compact.h"
#include "file.h"
#include "frame.h"
#include "memory.h"
#include "page.h"
#include "process.h"
#include "region.h"
#include "setting.h"

#define COMPACT_PAGES	(128UL << 10)

struct tenants {
	unsigned int filled[2], thinned[2], stop;
};

struct tenant {
	struct tenants *all;
	unsigned int index;
	size_t pages;
	unsigned int keep;	/* of 16 */
	const char *list;	/* of its colors, or NULL for any */
};

static void tenant(const void *arg)
{
	const struct tenant *t = arg;
	char *p = palloc_map_pages(t->pages, MAP_NORESERVE);
	unsigned int seed = t->index;
	unsigned long checked;
	size_t i;

	madvise(p, t->pages * palloc_page_size, MADV_NOHUGEPAGE);
	if (t->index)
		palloc_wait_for(&t->all->filled[0]);
	palloc_touch(p, t->pages);
	__atomic_store_n(&t->all->filled[t->index], 1, __ATOMIC_RELEASE);
	palloc_wait_for(&t->all->filled[1]);
	for (i = 0; i < t->pages; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 28 >= t->keep)
			madvise(p + i * palloc_page_size, palloc_page_size, MADV_DONTNEED);
	}
	__atomic_store_n(&t->all->thinned[t->index], 1, __ATOMIC_RELEASE);
	palloc_wait_for(&t->all->stop);
	if (t->list)
		expect(palloc_impure(0, p, t->pages, t->list, &checked) == 0);
}

/* Free blocks of the size of a huge page, those they make up counted as such. */
static long huge_blocks(void)
{
	unsigned int huge = __builtin_ctzl(HUGE_SIZE / palloc_page_size), orders, i;
	long blocks[PALLOC_ORDERS], sum = 0;

	orders = palloc_free_blocks(blocks);
	for (i = huge; i < orders; i++)
		sum += blocks[i] << (i - huge);
	return sum;
}

/* Huge pages, which compaction leaves alone, are for what would take too long. */
static void *ballast(size_t *pages)
{
	size_t free_pages = palloc_meminfo("MemFree") * 1024 / palloc_page_size;
	void *p;

	*pages = free_pages > COMPACT_PAGES ? free_pages - COMPACT_PAGES : 0;
	if (!*pages)
		return NULL;
	p = palloc_map_pages(*pages, MAP_NORESERVE);
	madvise(p, *pages * palloc_page_size, MADV_HUGEPAGE);
	palloc_touch(p, *pages);
	return p;
}

/* On any kernel. The first of the processes has most of it, and is of c->cg. */
void palloc_compact(struct palloc_compaction *c)
{
	struct tenants *all = palloc_shared(1);
	struct tenant t[2] = {
		{ .all = all, .index = 0, .keep = 12, .list = c->list },
		{ .all = all, .index = 1, .keep = 6 },
	};
	size_t heavy, usable, reserve;
	unsigned int i;
	pid_t pid[2];
	void *weight;

	palloc_tidy_memory();
	weight = ballast(&heavy);
	c->free = palloc_meminfo("MemFree") * 1024 / palloc_page_size;
	/* With several nodes and huge pages, the kernel keeps a lot to itself. */
	reserve = 2 * palloc_file_number("/proc/sys/vm/min_free_kbytes") * 1024 / palloc_page_size;
	usable = c->free * 14 / 16;
	if (c->free < usable + reserve)
		usable = c->free > reserve ? c->free - reserve : 0;
	t[0].pages = usable * 10 / 14;
	t[1].pages = usable * 4 / 14;
	for (i = 0; i < 2; i++) {
		c->used[i] = t[i].pages * t[i].keep / 16;
		pid[i] = palloc_spawn(i ? NULL : c->cg, tenant, &t[i]);
	}
	for (i = 0; i < 2; i++)
		palloc_wait_for(&all->thinned[i]);
	palloc_puts("control", "flush\n");
	c->before = huge_blocks();
	c->moved = palloc_vmstat("pgmigrate_success");
	expect(palloc_file_write("/proc/sys/vm/compact_memory", "1", 1) == 0);
	c->moved = palloc_vmstat("pgmigrate_success") - c->moved;
	palloc_puts("control", "flush\n");
	c->after = huge_blocks();
	__atomic_store_n(&all->stop, 1, __ATOMIC_RELEASE);
	palloc_reap_all(pid, 2);
	if (heavy)
		palloc_free(weight, heavy);
	palloc_free(all, 1);
}
