/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Children. Each ends with its parent, so that none is left behind, and is in its
 * group when this returns.
 */
#ifndef __PALLOC_TEST_PROCESS_H
#define __PALLOC_TEST_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/sched.h>

pid_t palloc_spawn(const char *cg, void (*fn)(const void *arg), const void *arg);
pid_t palloc_clone_into(const char *cg, void (*fn)(const void *arg), const void *arg);
void palloc_wait_for(const unsigned int *what);
bool palloc_reap(pid_t pid);
void palloc_reap_all(const pid_t *pid, unsigned int n);
bool palloc_kill(pid_t pid);
bool palloc_run_in(const char *cg, void (*fn)(const void *arg), const void *arg);
void palloc_pin(int cpu);

/* Nothing, until it is killed. */
void palloc_pause(const void *arg);

/* Threads that touch @pages pages each, @step pages apart. */
bool palloc_touch_by_threads(unsigned int threads, void *p, size_t pages, size_t step);

/* For good: who has no privilege at all. */
#define PALLOC_NOBODY	65534

bool palloc_be_nobody(void);

/*
 * A test: @fn in a group with @bins, or in none if NULL. Its argument is another
 * group, with the bins @other; or the bins, if that is NULL.
 */
struct palloc_inside {
	const char *bins, *other;
	void (*fn)(const void *arg);
};

#define PALLOC_INSIDE(bins, other, fn)	(&(const struct palloc_inside){ bins, other, fn })

void palloc_test_inside(const void *arg);

#endif /* __PALLOC_TEST_PROCESS_H */
