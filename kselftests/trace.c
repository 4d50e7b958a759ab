// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that debug_level 1 makes colored allocations visible in the trace, one
 * line each with task, pfn, color and found/want, as the guides grep for them;
 * that every line is true (the color is that of the pfn, and one the task may
 * have); that tasks without colors leave no line; that colors that run out leave
 * one, and with debug_level 2 what was recolored and what map there is; and
 * that 0 stops them.
 */
#include <limits.h>

#include "palloc_util.h"

#ifndef PR_PALLOC_RECOLOR
#define PR_PALLOC_RECOLOR	0x50414c44
#endif

#define MIB		4
#define PAGES		512
#define TRACING_ON	"/sys/kernel/debug/tracing/tracing_on"
#define TRACE		"/sys/kernel/debug/tracing/trace"

struct lines {
	unsigned long n, bad;
	struct palloc_set seen;
};

static void clear_trace(void)
{
	int fd = open(TRACE, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		palloc_bail("cannot clear the trace");
	close(fd);
}

/* The number after a word. */
static bool number_after(const char *line, const char *word, __u64 *value)
{
	const char *found = strstr(line, word);

	return found && sscanf(found + strlen(word), "%llu", value) == 1;
}

static bool line_is_true(const char *line, const struct palloc_set *set,
			 struct palloc_set *seen)
{
	const char *fraction = strstr(line, " found/want ");
	__u64 pfn, color, found, want;

	if (!fraction ||
	    sscanf(fraction, " found/want %llu/%llu", &found, &want) != 2)
		return false;
	if (!number_after(line, " pfn ", &pfn) ||
	    !number_after(line, " color ", &color) || color >= PALLOC_MAX_BINS)
		return false;
	palloc_set_add(seen, color);
	return palloc_set_has(set, color) && color == palloc_color(&palloc_map, pfn) &&
	       want && found == want;
}

/* grep palloc | grep task */
static struct lines grep_trace(const char *task, const char *list)
{
	struct lines lines = { .n = 0 };
	struct palloc_set set;
	char line[1024];
	FILE *f;

	palloc_set_parse(&set, list);
	f = fopen(TRACE, "re");
	if (!f)
		palloc_bail("cannot read the trace");
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || !strstr(line, "palloc") || !strstr(line, task))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (!lines.n++)
			palloc_note("%s", line);
		if (!line_is_true(line, &set, &lines.seen) && !lines.bad++)
			palloc_note("not so: %s", line);
	}
	fclose(f);
	return lines;
}

/* The guides' program, next to this one. */
static void microbenchmark(const void *arg)
{
	char path[PATH_MAX], mib[16], *slash;
	char * const argv[] = { "microbenchmark", mib, NULL };
	ssize_t n;

	snprintf(mib, sizeof(mib), "%d", MIB);
	n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	if (n < 0)
		palloc_bail("readlink: %s", strerror(errno));
	path[n] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash + 1, 32, "microbenchmark");
	/* What it prints is not TAP. */
	if (!freopen("/dev/null", "w", stdout))
		palloc_bail("freopen: %s", strerror(errno));
	execv(path, argv);
	palloc_bail("%s: %s", path, strerror(errno));
}

static bool start(const char *debug_level)
{
	palloc_setup_mask(0xf000);
	if (!palloc_keep(TRACING_ON)) {
		palloc_skip("no " TRACE);
		return false;
	}
	if (!expect(palloc_file_write(TRACING_ON, "1", 1) == 0))
		return false;
	clear_trace();
	return expect(palloc_puts("debug_level", debug_level) == 0);
}

static void stop(void)
{
	palloc_puts("debug_level", "0");
}

static void test_cgroup(const void *arg)
{
	struct lines lines;
	const char *cg;

	if (!start(arg))
		return;
	cg = palloc_cg_with(NULL, "trace", "0-3");
	expect(palloc_run_in(cg, microbenchmark, NULL));
	stop();
	lines = grep_trace("microbenchmark-", "0-3");
	palloc_note("%lu lines for %d pages, %u colors", lines.n, MIB * 256,
		    palloc_set_count(&lines.seen));
	expect(lines.n >= MIB * 256);
	expect(palloc_set_count(&lines.seen) == 4);
	expect(!lines.bad);
}

static void colored_region(const void *arg)
{
	void *p;

	expect(palloc_set_color(5) == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_pure(p, PAGES, "5"));
}

static void test_map_palloc(const void *arg)
{
	struct lines lines;
	char task[32];
	pid_t pid;

	if (!start("1"))
		return;
	pid = palloc_spawn(NULL, colored_region, NULL);
	expect(palloc_reap(pid));
	stop();
	snprintf(task, sizeof(task), "-%d ", pid);
	lines = grep_trace(task, "5");
	expect(lines.n >= PAGES);
	expect(!lines.bad);
}

static void test_stock_task(const void *arg)
{
	if (!start("1"))
		return;
	expect(palloc_run_in(NULL, microbenchmark, NULL));
	stop();
	expect(grep_trace("microbenchmark-", "0-15").n == 0);
}

static void test_stopped(const void *arg)
{
	const char *cg;

	if (!start("1"))
		return;
	cg = palloc_cg_with(NULL, "trace", "0-3");
	expect(palloc_run_in(cg, microbenchmark, NULL));
	expect(grep_trace("microbenchmark-", "0-3").n > 0);
	stop();
	clear_trace();
	expect(palloc_run_in(cg, microbenchmark, NULL));
	expect(grep_trace("microbenchmark-", "0-3").n == 0);
}

/* Lines of a task that have a text, "grep palloc | grep task | grep text". */
static unsigned long count_lines(const char *task, const char *text)
{
	unsigned long n = 0;
	char line[1024];
	FILE *f;

	f = fopen(TRACE, "re");
	if (!f)
		palloc_bail("cannot read the trace");
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || !strstr(line, "palloc") || !strstr(line, task) ||
		    !strstr(line, text))
			continue;
		if (!n++)
			palloc_note("%.*s", (int)strcspn(line, "\n"), line);
	}
	fclose(f);
	return n;
}

/* Bins 1 and 3 of this map can hold no page: these have run out at once. */
static void without_pages(const void *arg)
{
	struct palloc_sigbus bus;
	void *p;

	expect(palloc_set_colors("1,3") == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_absent(0, p, PAGES) == 0);
	palloc_free(p, PAGES);
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	p = palloc_map_pages(1, MAP_PALLOC);
	expect(palloc_try_touch(p, 1, &bus) == 0);
	palloc_free(p, 1);
}

static void test_ran_out(const void *arg)
{
	char task[32];
	pid_t pid;

	if (!start(arg))
		return;
	expect(palloc_puts("palloc_mask", "0x1800") == 0);
	pid = palloc_spawn(NULL, without_pages, NULL);
	expect(palloc_reap(pid));
	stop();
	snprintf(task, sizeof(task), "-%d ", pid);
	expect(count_lines(task, "palloc_fallback: Found no page of colors 1,3 order 0\n") ==
	       PAGES);
	expect(count_lines(task, "palloc_fail: Found no page of colors 1,3 order 0\n") == 1);
	expect(count_lines(task, "palloc_alloc:") == 0);
}

/* What was moved is told with the process and the numbers that it is told. */
static void recolored(const void *arg)
{
	__u64 count[2], moved = 0;
	unsigned int runs = 0;
	char text[128];
	void *p;

	expect(palloc_set_color(2) == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_set_color(3) == 0);
	/* A page may be in use just then. */
	do {
		if (!expect(prctl(PR_PALLOC_RECOLOR, 0, count, 0, 0) == 0))
			break;
		moved += count[0];
	} while (++runs < 100 && count[1]);
	expect(palloc_pure(p, PAGES, "3"));
	expect(moved >= PAGES);
	snprintf(text, sizeof(text), "palloc_recolor: Recolored pid %d moved %llu failed %llu\n",
		 getpid(), count[0], count[1]);
	expect(arg ? count_lines("", text) > 0 : !count_lines("", text));
	expect(count_lines("", "palloc_recolor:") == (arg ? runs : 0));
}

static void test_recolor(const void *arg)
{
	if (!start(arg ? "2" : "1"))
		return;
	expect(palloc_run_in(NULL, recolored, arg));
	stop();
}

static void test_map(const void *arg)
{
	char task[32];

	if (!start(arg ? "2" : "1"))
		return;
	expect(palloc_puts("control", "14 18\n15 19\n16\n") == 0);
	expect(palloc_puts("use_palloc", "0") == 0);
	expect(palloc_puts("palloc_mask", "0x3000") == 0);
	expect(palloc_puts("palloc_mask", "0xzz") == -EINVAL);
	expect(palloc_puts("control", "12\n12\n") == -EINVAL);
	stop();
	snprintf(task, sizeof(task), "-%d ", getpid());
	expect(count_lines(task, "palloc_map: ") == (arg ? 3 : 0));
	expect(count_lines(task, "palloc_map: Map of 3 functions 8 bins enabled\n") == !!arg);
	expect(count_lines(task, "palloc_map: Map of 3 functions 8 bins disabled\n") == !!arg);
	expect(count_lines(task, "palloc_map: Map of 2 functions 4 bins disabled\n") == !!arg);
}

static const struct palloc_test tests[] = {
	{ "debug_level 1: a line for each colored page", test_cgroup, "1" },
	{ "debug_level 2: the same", test_cgroup, "2" },
	{ "debug_level 1: MAP_PALLOC", test_map_palloc, NULL },
	{ "debug_level 1: nothing of a stock task", test_stock_task, NULL },
	{ "debug_level 1: colors that have run out", test_ran_out, "1" },
	{ "debug_level 2: colors that have run out", test_ran_out, "2" },
	{ "debug_level 1: nothing of what is recolored", test_recolor, NULL },
	{ "debug_level 2: what is recolored", test_recolor, "2" },
	{ "debug_level 1: nothing of maps", test_map, NULL },
	{ "debug_level 2: maps", test_map, "2" },
	{ "debug_level 0: stopped", test_stopped, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP)
