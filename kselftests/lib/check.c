// SPDX-License-Identifier: GPL-2.0
/* See check.h. */
#include <errno.h>
#include <unistd.h>

#include "check.h"

static pid_t owner;
static unsigned int checks, failures;
static const char *skip_reason;

void palloc_own(void)
{
	owner = getpid();
}

bool palloc_is_owner(void)
{
	return getpid() == owner;
}

pid_t palloc_owner(void)
{
	return owner;
}

void palloc_check_nothing(void)
{
	checks = 0;
	failures = 0;
	skip_reason = NULL;
}

/* A test that checked nothing has not passed. */
bool palloc_checked(const char **why_skipped)
{
	*why_skipped = failures ? NULL : skip_reason;
	if (!checks && !skip_reason)
		palloc_note("nothing was checked");
	return checks && !failures;
}

int palloc_exit_code(void)
{
	return failures ? KSFT_FAIL : KSFT_PASS;
}

bool palloc_expect(bool ok, const char *what, const char *file, int line)
{
	int err = errno;

	__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);
	if (ok)
		return true;
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	printf("# %s:%d: not so: %s (errno %d)\n", file, line, what, err);
	return false;
}

void palloc_skip(const char *why)
{
	skip_reason = why;
}

bool palloc_skip_if(bool cond, const char *why)
{
	if (cond)
		palloc_skip(why);
	return cond;
}

const char *palloc_bail_prefix(void)
{
	return getpid() == owner ? "Bail out!" : "#";
}

void palloc_give_up(void)
{
	if (getpid() == owner)
		exit(KSFT_FAIL);
	fflush(stdout);
	_exit(KSFT_FAIL);
}
