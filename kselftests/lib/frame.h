/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page frames: what pagemap and kpageflags have of them. pid 0 is the caller. But where
 * it says "any", only present anonymous pages count: file pages and the zero page
 * are of no color.
 */
#ifndef __PALLOC_TEST_FRAME_H
#define __PALLOC_TEST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/const.h>
#include <linux/types.h>

/* A huge page, where pages have 4 KiB. */
#define HUGE_SIZE	(2UL << 20)

#define PM_PRESENT	_BITULL(63)
#define PM_SWAP		_BITULL(62)
#define PM_FILE		_BITULL(61)
#define PM_EXCLUSIVE	_BITULL(56)
#define PM_PFN		(_BITULL(55) - 1)

#define PALLOC_UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"

/* The C library's headers may be older than the kernel's. */
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

__u64 palloc_page_flags(__u64 pfn);
int palloc_walk_entries(pid_t pid, const void *addr, size_t pages,
			void (*page)(__u64 entry, void *ctx), void *ctx);
int palloc_walk(pid_t pid, const void *addr, size_t pages,
		void (*page)(__u64 pfn, void *ctx), void *ctx);

__u64 palloc_pfn(const void *addr);
__u64 palloc_any_pfn(const void *addr);
bool palloc_is_zero_page(__u64 pfn);
bool palloc_is_large(const void *addr);
bool palloc_is_folio(const void *addr, size_t pages);
bool palloc_is_huge(const void *addr);
size_t palloc_absent(pid_t pid, const void *addr, size_t pages);
size_t palloc_zeroes(const void *addr, size_t pages);
size_t palloc_find_flag(unsigned int flag, __u64 *pfn, size_t max);

void palloc_drain_lru(void);
int palloc_soft_offline(void *addr, __u64 pfn);
int palloc_unpoison(__u64 pfn);

#endif /* __PALLOC_TEST_FRAME_H */
