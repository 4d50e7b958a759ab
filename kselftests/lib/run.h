/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runner: tests one after the other, on top of kselftest.h. What a test leaves
 * behind (children, groups, files that it changed, its own colors) is cleared away
 * after each, and the state of palloc is put back at the end, however that comes.
 */
#ifndef __PALLOC_TEST_RUN_H
#define __PALLOC_TEST_RUN_H

#define PALLOC_NEED_SYSCALLS	1
#define PALLOC_NEED_CGROUP	2

struct palloc_test {
	const char *name;
	void (*fn)(const void *arg);
	const void *arg;
};

const char *palloc_try_init(unsigned int needs);
void palloc_init(unsigned int needs);
void palloc_init_tool(void);
void palloc_run_tests(const struct palloc_test *tests, unsigned int n);

/* For a program that has nothing else to do than what is in its array tests. */
#define PALLOC_TEST_MAIN(needs)					\
int main(void)							\
{								\
	palloc_init(needs);					\
	palloc_run_tests(tests, ARRAY_SIZE(tests));		\
}

#endif /* __PALLOC_TEST_RUN_H */
