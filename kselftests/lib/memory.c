// SPDX-License-Identifier: GPL-2.0
/* See memory.h. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "color.h"
#include "file.h"
#include "memory.h"
#include "page.h"
#include "region.h"
#include "setting.h"

#define BLOCK_SLACK	2
#define PCP_FRACTION	"/proc/sys/vm/percpu_pagelist_high_fraction"

/* Memory that nobody needs becomes free memory, in blocks as large as can be. */
void palloc_tidy_memory(void)
{
	sync();
	palloc_file_write("/proc/sys/vm/drop_caches", "3", 1);
	/* Pages on per-CPU lists keep large blocks apart. */
	palloc_puts("control", "flush\n");
	/* Not there without CONFIG_COMPACTION. */
	palloc_file_write("/proc/sys/vm/compact_memory", "1", 1);
	palloc_puts("control", "flush\n");
}

/* Takes PALLOC_MANY pages: what was freed last, and of some colors only, is among them. */
void *palloc_soak(void)
{
	void *p = palloc_map_pages(PALLOC_MANY, 0);

	palloc_puts("control", "flush\n");
	madvise(p, PALLOC_MANY * palloc_page_size, MADV_NOHUGEPAGE);
	madvise(p, PALLOC_MANY * palloc_page_size, MADV_DONTFORK);
	palloc_touch(p, PALLOC_MANY);
	return p;
}

static char pcp_fraction[32];

/*
 * Makes the per-CPU lists short, or lets them be as long as they were. They may
 * keep tens of MiB of what has been freed, and all of a large region may come
 * from there: not the time to judge what an unrestricted task is given, nor how
 * much is free.
 */
void palloc_short_lists(bool on)
{
	const size_t pages = 1024;
	cpu_set_t before, one;
	int cpu;

	if (!pcp_fraction[0] &&
	    palloc_file_read(PCP_FRACTION, pcp_fraction, sizeof(pcp_fraction)) <= 0)
		return;
	if (!on) {
		palloc_file_puts(PCP_FRACTION, pcp_fraction);
		return;
	}
	palloc_file_write(PCP_FRACTION, "1000000", 7);
	/* A list gets shorter when something is freed to it. */
	if (sched_getaffinity(0, sizeof(before), &before))
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (!sched_setaffinity(0, sizeof(one), &one)) {
			void *p = palloc_map_pages(pages, 0);

			madvise(p, pages * palloc_page_size, MADV_NOHUGEPAGE);
			palloc_touch(p, pages);
			palloc_free(p, pages);
		}
	}
	sched_setaffinity(0, sizeof(before), &before);
}

/* Free blocks of each order, all zones; returns how many orders there are. */
unsigned int palloc_free_blocks(long *blocks)
{
	unsigned int order = 0;
	char line[512], *save, *word;
	FILE *f;

	memset(blocks, 0, PALLOC_ORDERS * sizeof(*blocks));
	f = fopen("/proc/buddyinfo", "re");
	if (!f)
		palloc_bail("cannot read /proc/buddyinfo");
	while (fgets(line, sizeof(line), f)) {
		/* "Node 0, zone DMA", then a number for each order. */
		unsigned int words = 0;

		for (word = strtok_r(line, "\n ", &save); word;
		     word = strtok_r(NULL, "\n ", &save))
			if (words++ >= 4 && words - 5 < PALLOC_ORDERS)
				blocks[words - 5] += strtol(word, NULL, 10);
		order = words > 4 ? words - 4 : order;
	}
	fclose(f);
	return order;
}

/* Those of the highest order, and what that is. */
long palloc_highest_blocks(unsigned int *order)
{
	long blocks[PALLOC_ORDERS];

	*order = palloc_free_blocks(blocks) - 1;
	return blocks[*order];
}

/*
 * After palloc_tidy_memory() there are as many blocks of the highest order as
 * before, but for two that the kernel may need.  What processes that have ended
 * leave to RCU and to workers is free a little later.
 */
bool palloc_blocks_back(long before)
{
	unsigned int order, tries;
	long after = palloc_highest_blocks(&order);

	for (tries = 0; tries < 20 && after < before - BLOCK_SLACK; tries++) {
		usleep(100000);
		palloc_tidy_memory();
		after = palloc_highest_blocks(&order);
	}
	palloc_note("blocks of order %u: %ld before, %ld after", order, before, after);
	return before > 0 && after >= before - BLOCK_SLACK;
}
