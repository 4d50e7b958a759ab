/* SPDX-License-Identifier: GPL-2.0 */
/* What a test finds, and what it has to say. */
#ifndef __PALLOC_TEST_CHECK_H
#define __PALLOC_TEST_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#include "../../kselftest.h"

/* Macros for the compiler to check the arguments of printf(). */
#define palloc_note(fmt, ...)	printf("# " fmt "\n", ##__VA_ARGS__)

/* Ends the program, or the child it is called in. */
#define palloc_bail(fmt, ...)							\
	(printf("%s " fmt "\n", palloc_bail_prefix(), ##__VA_ARGS__), palloc_give_up())

#define expect(cond)	palloc_expect(!!(cond), #cond, __FILE__, __LINE__)

bool palloc_expect(bool ok, const char *what, const char *file, int line);
void palloc_skip(const char *why);
bool palloc_skip_if(bool cond, const char *why);
const char *palloc_bail_prefix(void);
noreturn void palloc_give_up(void);
int palloc_exit_code(void);

/* The caller is the program itself, its children are not. */
void palloc_own(void);
bool palloc_is_owner(void);
pid_t palloc_owner(void);

/* From one of these to the other is a test. */
void palloc_check_nothing(void);
bool palloc_checked(const char **why_skipped);

#endif /* __PALLOC_TEST_CHECK_H */
