// SPDX-License-Identifier: GPL-2.0
/* See run.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "check.h"
#include "color.h"
#include "file.h"
#include "frame.h"
#include "memory.h"
#include "region.h"
#include "run.h"
#include "setting.h"
#include "shell.h"

/* Of one test. The runner's own, of them all, is in the file settings. */
#define TIME_LIMIT	900
#define PROACTIVENESS	"/proc/sys/vm/compaction_proactiveness"

static bool have_syscalls;

static void cleanup(void)
{
	if (!palloc_is_owner())
		return;
	palloc_shell_exit();
	palloc_cg_exit();
	palloc_restore();
	palloc_restore_kept();
	palloc_short_lists(false);
}

static void on_signal(int sig)
{
	if (palloc_is_owner()) {
		printf("Bail out! %s\n", sig == SIGALRM ? "time limit" : strsignal(sig));
		fflush(stdout);
		cleanup();
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

/* For the tools, and for a test program that has executed itself. */
void palloc_init_tool(void)
{
	palloc_page_size = sysconf(_SC_PAGESIZE);
}

/*
 * Finds out what the kernel has and remembers the state of palloc, to be put
 * back at exit. Returns what is missing, or NULL.
 */
const char *palloc_try_init(unsigned int needs)
{
	static const int sigs[] = {
		SIGHUP, SIGINT, SIGTERM, SIGALRM, SIGABRT, SIGSEGV, SIGBUS,
	};
	unsigned int i;
	__u64 pfn;
	char *probe;

	palloc_init_tool();
	palloc_own();
	if (geteuid())
		return "needs root";
	if (access(PALLOC_DIR "/control", F_OK))
		return "no " PALLOC_DIR " (CONFIG_CGROUP_PALLOC, debugfs)";
	have_syscalls = !palloc_set_color_map(NULL, 0);
	if ((needs & PALLOC_NEED_SYSCALLS) && !have_syscalls)
		return "no set_color system calls";
	if (access("/proc/kpageflags", R_OK))
		return "no /proc/kpageflags (CONFIG_PROC_PAGE_MONITOR)";
	probe = palloc_alloc(1, 0);
	pfn = palloc_pfn(probe);
	palloc_free(probe, 1);
	if (!pfn)
		return "/proc/self/pagemap does not show frame numbers";

	for (i = 0; i < ARRAY_SIZE(sigs); i++)
		signal(sigs[i], on_signal);
	atexit(cleanup);
	if ((needs & PALLOC_NEED_CGROUP) && !palloc_cg_init())
		return "no palloc controller in a cgroup2 hierarchy";
	if (!palloc_save())
		palloc_bail("cannot read the state of palloc");
	palloc_enable(false);
	palloc_probe_max_bits();
	return NULL;
}

/* Ends the program with a SKIP where the kernel lacks what the tests need. */
void palloc_init(unsigned int needs)
{
	const char *missing;

	ksft_print_header();
	missing = palloc_try_init(needs);
	if (!missing && palloc_max_bits < 4)
		missing = "CONFIG_PALLOC_MAX_BITS is below 4";
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		exit(KSFT_SKIP);
	}
	palloc_short_lists(true);
}

static void test_begin(void)
{
	palloc_check_nothing();
	alarm(TIME_LIMIT);
	/* Compaction moves pages; it need not do so unasked. */
	if (palloc_keep(PROACTIVENESS))
		palloc_file_write(PROACTIVENESS, "0", 1);
}

static bool test_end(const char **why_skipped)
{
	if (have_syscalls)
		palloc_set_color_map(NULL, 0);
	palloc_cg_remove_all();
	palloc_restore_kept();
	return palloc_checked(why_skipped);
}

/* All of them, and ends the program. */
void palloc_run_tests(const struct palloc_test *tests, unsigned int n)
{
	struct timespec from, to;
	const char *why;
	unsigned int i;
	bool ok;

	ksft_set_plan(n);
	for (i = 0; i < n; i++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		test_begin();
		tests[i].fn(tests[i].arg);
		ok = test_end(&why);
		clock_gettime(CLOCK_MONOTONIC, &to);
		palloc_note("took %.2f s", to.tv_sec - from.tv_sec +
			    (to.tv_nsec - from.tv_nsec) / 1e9);
		if (why)
			ksft_test_result_skip("%s: %s\n", tests[i].name, why);
		else
			ksft_test_result(ok, "%s\n", tests[i].name);
	}
	ksft_finished();
}
