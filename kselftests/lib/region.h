/* SPDX-License-Identifier: GPL-2.0 */
/* Regions of the caller's memory. */
#ifndef __PALLOC_TEST_REGION_H
#define __PALLOC_TEST_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <linux/palloc.h>

#include "color.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif

static inline char *palloc_at(const void *addr, size_t page)
{
	return (char *)addr + page * palloc_page_size;
}

void *palloc_map_pages(size_t pages, int flags);
void *palloc_shared(size_t pages);
void palloc_touch(void *addr, size_t pages);
void *palloc_alloc(size_t pages, int flags);
void palloc_free(void *addr, size_t pages);
int palloc_pin_pages(void *addr, size_t pages);
bool palloc_vm_flag(const void *addr, const char *flag);
unsigned int palloc_vmas(const void *addr, size_t pages);

/* Where touching pages has ended in a SIGBUS. */
struct palloc_sigbus {
	int code;
	void *addr;
};

void palloc_steady(void);
size_t palloc_try_touch(void *addr, size_t pages, struct palloc_sigbus *bus);

#endif /* __PALLOC_TEST_REGION_H */
