/* SPDX-License-Identifier: GPL-2.0 */
/* Free memory. */
#ifndef __PALLOC_TEST_MEMORY_H
#define __PALLOC_TEST_MEMORY_H

#include <stdbool.h>

/* More than there are. */
#define PALLOC_ORDERS	32

void palloc_tidy_memory(void);
void *palloc_soak(void);
void palloc_short_lists(bool on);
unsigned int palloc_free_blocks(long *blocks);
long palloc_highest_blocks(unsigned int *order);
bool palloc_blocks_back(long before);

#endif /* __PALLOC_TEST_MEMORY_H */
