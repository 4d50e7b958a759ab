// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that a machine comes up as the boot parameters palloc.map and
 * palloc.enabled say: with that map, before there is any user space; that what
 * is wrong is logged, told in last_cmd_status, and does no harm; and that without
 * them palloc is off. Runs before what changes the map.
 */
#include <sys/klog.h>
#include <sys/stat.h>

#include "palloc_util.h"

#define REGION_PAGES	512

/* What was there before palloc_init(), which tries maps. */
static char map_text[4096], enabled[16], status[512];
static char param_map[1024], param_enabled[64];
static struct palloc_map booted;
static bool by_name, map_bad;
static long color_set;
static unsigned long impure, checked;

/* The value of a parameter; the last one counts. */
static void param(const char *name, char *value, size_t size)
{
	char line[4096], *word, *save;

	value[0] = '\0';
	if (palloc_file_read("/proc/cmdline", line, sizeof(line)) < 0)
		palloc_bail("/proc/cmdline");
	for (word = strtok_r(line, "\n ", &save); word; word = strtok_r(NULL, "\n ", &save))
		if (!strncmp(word, name, strlen(name)))
			snprintf(value, size, "%s", word + strlen(name));
}

/* A parameter's map as a map.txt; false if it is none. */
static bool parse_param(const char *value, struct palloc_map *map)
{
	char text[1024], *at;

	memset(map, 0, sizeof(*map));
	if (!*value || !strcmp(value, "none"))
		return true;
	if (!strncmp(value, "0x", 2)) {
		palloc_map_mask(map, strtoull(value, NULL, 16));
		return true;
	}
	if (value[strspn(value, "0123456789^,")])
		return false;
	snprintf(text, sizeof(text), "%s", value);
	for (at = text; *at; at++)
		*at = *at == '^' ? ' ' : *at == ',' ? '\n' : *at;
	return palloc_map_parse(map, text);
}

static bool is_enabled(void)
{
	return !strcmp(param_enabled, "1");
}

/* What is not from the command line was changed since, by whoever uses palloc. */
static bool changed_since(void)
{
	if ((!booted.nbits || *param_map) && (enabled[0] == '0' || *param_enabled))
		return false;
	palloc_skip("palloc was configured since it was booted");
	return true;
}

static void test_map(const void *arg)
{
	struct palloc_map map;
	char text[4096];

	if (changed_since())
		return;
	/* What is wrong is no map. What names mean is for map_truth to test. */
	map_bad = by_name ? palloc_sys_puts("map", param_map) :
		  !parse_param(param_map, &map);
	if (by_name && !map_bad) {
		expect(palloc_sys_reads("map", map_text));
		expect(booted.nbits > 0);
		return;
	}
	if (map_bad)
		memset(&map, 0, sizeof(map));
	palloc_map_text(&map, text, sizeof(text));
	if (!expect(!strcmp(text, map_text)))
		palloc_note("came up with: %s", map_text);
}

static void test_enabled(const void *arg)
{
	if (changed_since())
		return;
	expect(!strcmp(enabled, is_enabled() ? "1\n" : "0\n"));
}

static bool logged(const char *text)
{
	static char log[1 << 20];
	int len = klogctl(3, log, sizeof(log) - 1);

	if (!expect(len > 0))
		return false;
	log[len] = '\0';
	return strstr(log, text);
}

static void test_status(const void *arg)
{
	bool enabled_bad = *param_enabled && param_enabled[strspn(param_enabled, "01")];
	char line[2048];

	if (changed_since())
		return;
	if (!map_bad && !enabled_bad) {
		expect(!strcmp(status, "ok\n") || strstr(status, "warning: "));
		if (strstr(status, "warning: "))
			expect(logged("palloc: map="));
		expect(!logged("palloc: enabled="));
		return;
	}
	expect(strcmp(status, "ok\n"));
	snprintf(line, sizeof(line), "palloc: map=%s: ", param_map);
	expect(logged(line) == map_bad);
	/* What was wrong last is what the file has. */
	if (enabled_bad)
		snprintf(line, sizeof(line), "palloc: enabled=%s: %s", param_enabled, status);
	else
		snprintf(line, sizeof(line), "palloc: map=%s: %s", param_map, status);
	expect(logged(line));
}

static void test_pages(const void *arg)
{
	if (changed_since())
		return;
	if (is_enabled() && booted.nbits) {
		expect(color_set == 0);
		expect(checked == REGION_PAGES);
		expect(impure == 0);
	} else {
		expect(color_set == -1 || impure > 0);
	}
}

static const struct palloc_test tests[] = {
	{ "the map", test_map, NULL },
	{ "enabled", test_enabled, NULL },
	{ "last_cmd_status and the log", test_status, NULL },
	{ "pages", test_pages, NULL },
};

static void read_first(const char *file, char *buf, size_t size)
{
	if (palloc_sys_gets(file, buf, size) < 0)
		buf[0] = '\0';
}

static void try_color(void)
{
	void *p;

	palloc_init_tool();
	palloc_map = booted;
	color_set = palloc_set_color(1);
	p = palloc_alloc(REGION_PAGES, MAP_PALLOC);
	impure = palloc_impure(0, p, REGION_PAGES, "1", &checked);
	palloc_free(p, REGION_PAGES);
}

int main(void)
{
	read_first("map", map_text, sizeof(map_text));
	read_first("enabled", enabled, sizeof(enabled));
	read_first("last_cmd_status", status, sizeof(status));
	palloc_map_parse(&booted, map_text);
	try_color();
	param("palloc.map=", param_map, sizeof(param_map));
	param("palloc.enabled=", param_enabled, sizeof(param_enabled));
	by_name = !strcmp(param_map, "llc") || !strcmp(param_map, "l2");
	palloc_init(PALLOC_NEED_SYSCALLS);
	palloc_note("booted with map '%s', enabled '%s'", param_map, param_enabled);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
