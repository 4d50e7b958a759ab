/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A shell that keeps its state from one command to the next, with the folder of
 * the test programs in PATH, or, where only root may go there, one with copies.
 */
#ifndef __PALLOC_TEST_SHELL_H
#define __PALLOC_TEST_SHELL_H

#include <stddef.h>

/* Returns the exit status, or -1. */
int palloc_shell(const char *command, char *out, size_t size);
void palloc_shell_end(void);
void palloc_shell_exit(void);

/* A line for the shell, and what it has to lead to. */
struct palloc_step {
	const char *command;
	int status;
	const char *output;	/* a pattern as fnmatch() has them, NULL for any */
};

void palloc_step(const void *arg);

#endif /* __PALLOC_TEST_SHELL_H */
