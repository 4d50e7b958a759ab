/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How well compaction does: two processes have most of the memory, then keep some
 * of it, here and there, and it is compacted.
 */
#ifndef __PALLOC_TEST_COMPACT_H
#define __PALLOC_TEST_COMPACT_H

#include <stddef.h>

struct palloc_compaction {
	const char *cg, *list;		/* of whom, and his colors; or NULL */
	size_t free, used[2];		/* pages */
	long before, after, moved;	/* huge blocks, and pages */
};

void palloc_compact(struct palloc_compaction *c);

#endif /* __PALLOC_TEST_COMPACT_H */
