// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that what a process does with colors of its own works without the cgroup
 * controller, that is with cgroup_disable=palloc on the kernel's command line, as
 * well as with it; and that the controller is gone then.
 */
#include <sys/stat.h>

#include "palloc_util.h"

#define PAGES	256

static bool disabled;

static bool is_disabled(void)
{
	char text[4096];

	return palloc_file_read("/proc/cmdline", text, sizeof(text)) > 0 &&
	       strstr(text, "cgroup_disable=palloc");
}

/* The last number of its line in /proc/cgroups. */
static bool listed_as_enabled(void)
{
	char text[4096], *line;
	int enabled = -1;

	if (palloc_file_read("/proc/cgroups", text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, "\npalloc\t");
	expect(line && sscanf(line, " palloc %*d %*d %d", &enabled) == 1);
	return enabled == 1;
}

static void test_controller(const void *arg)
{
	static const char *const files[] = { "palloc.stat", "palloc.bins.effective" };
	char text[4096];
	unsigned int i;

	expect(listed_as_enabled() == !disabled);
	expect(palloc_cg_init() == !disabled);
	for (i = 0; i < ARRAY_SIZE(files); i++)
		expect((palloc_cg_read(palloc_cg_root(), files[i], text, sizeof(text)) > 0) ==
		       !disabled);
	expect((palloc_cg_write(palloc_cg_root(), "cgroup.subtree_control", "+palloc") == 0) ==
	       !disabled);
}

static void in_color(const void *arg)
{
	expect(palloc_given(PAGES, MAP_PALLOC, arg));
	expect(palloc_given(PALLOC_MANY, 0, NULL));
}

static void test_region(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_set_color(5) == 0);
	in_color("5");
	expect(palloc_set_colors("0,9-10") == 0);
	in_color("0,9-10");
	expect(palloc_reap(palloc_spawn(NULL, in_color, "0,9-10")));
}

/* A group of somebody else's controllers, or of none */
static void test_group(const void *arg)
{
	char path[512];

	palloc_setup_mask(0xf000);
	snprintf(path, sizeof(path), "%s/palloc_test.%d", palloc_cg_root(), getpid());
	if (!expect(!mkdir(path, 0755)))
		return;
	expect(palloc_set_color(7) == 0);
	expect(palloc_run_in(path, in_color, "7"));
	expect(palloc_reap(palloc_clone_into(path, in_color, "7")));
	expect(palloc_cg_remove(path) == 0);
}

static void test_runs_out(const void *arg)
{
	unsigned long long fallbacks;
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(9) == 0);
	expect(palloc_puts("palloc_mask", "0x3000") == 0);
	palloc_map_mask(&palloc_map, 0x3000);
	fallbacks = palloc_fallbacks();
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_fallbacks() - fallbacks >= PAGES);
	palloc_free(p, PAGES);
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	expect(palloc_try_touch(p, PAGES, NULL) == 0);
	palloc_free(p, PAGES);
	expect(palloc_policy(PR_PALLOC_FALLBACK) == 0);
}

static void test_recolor(const void *arg)
{
	unsigned int tries = 0;
	struct palloc_recolor r;
	__u64 moved = 0;
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(5) == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_set_color(11) == 0);
	expect(palloc_pure(p, PAGES, "5"));
	/* A page may be in use just then. */
	do {
		if (!expect(prctl(PR_PALLOC_RECOLOR, 0, &r, 0, 0) == 0))
			break;
		moved += r.moved;
	} while (r.failed && ++tries < 100);
	expect(moved >= PAGES && !r.failed);
	expect(palloc_pure(p, PAGES, "11"));
	palloc_free(p, PAGES);
}

static const struct palloc_test tests[] = {
	{ "the controller is there, unless disabled", test_controller, NULL },
	{ "MAP_PALLOC regions", test_region, NULL },
	{ "in a cgroup without palloc", test_group, NULL },
	{ "colors that ran out", test_runs_out, NULL },
	{ "recoloring", test_recolor, NULL },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS);
	disabled = is_disabled();
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
