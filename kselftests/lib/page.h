/* SPDX-License-Identifier: GPL-2.0 */
/* The colors that pages have. pid 0 is the caller. */
#ifndef __PALLOC_TEST_PAGE_H
#define __PALLOC_TEST_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "color.h"

/*
 * Pages enough to tell an unrestricted region: the first ones may all be what
 * colored tasks have freed and the (short) per-CPU lists have kept.
 */
#define PALLOC_MANY	4096

struct palloc_hist {
	unsigned long pages;
	unsigned long n[PALLOC_MAX_BINS];
};

long palloc_count(pid_t pid, const void *addr, size_t pages, struct palloc_hist *hist);
long palloc_count_all(pid_t pid, bool colored_only, struct palloc_hist *hist);
unsigned int palloc_seen(const void *addr, size_t pages);
bool palloc_mixed(const void *addr, size_t pages);
unsigned long palloc_impure(pid_t pid, const void *addr, size_t pages,
			    const char *list, unsigned long *checked);
bool palloc_pure_any(const void *addr, size_t pages, const char *list);
bool palloc_pure_pid(pid_t pid, const void *addr, size_t pages, const char *list);
bool palloc_pure(const void *addr, size_t pages, const char *list);
bool palloc_given(size_t pages, int flags, const char *list);
bool palloc_given_all(size_t pages, int flags, const char *list);
bool palloc_process_pure(pid_t pid, const char *list, unsigned long want);

/* In a child: whether it is given these colors; any if @arg is NULL. */
void palloc_allocates(const void *arg);

#endif /* __PALLOC_TEST_PAGE_H */
