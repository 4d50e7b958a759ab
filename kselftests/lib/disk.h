/* SPDX-License-Identifier: GPL-2.0 */
/* Block devices, of which one takes no memory for what was never written to it. */
#ifndef __PALLOC_TEST_DISK_H
#define __PALLOC_TEST_DISK_H

#include <stddef.h>

int palloc_zram_add(size_t pages);
void palloc_zram_remove(int id);
int palloc_loop_add(int backing, unsigned int block_size, unsigned int flags, char *path);
void palloc_mkswap(const char *path, unsigned int pages);

#endif /* __PALLOC_TEST_DISK_H */
