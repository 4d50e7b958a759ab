// SPDX-License-Identifier: GPL-2.0
/* See lossless.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "file.h"
#include "lossless.h"
#include "setting.h"

#define BLANKS	"\n "

/* What the kernel's own check says, where it has one (CONFIG_DEBUG_VM). */
bool palloc_verified(void)
{
	char buf[16384], *line, *save;
	ssize_t n = palloc_gets("verify", buf, sizeof(buf));

	if (n == -ENOENT)
		return true;
	if (n > 4 && !strcmp(buf + n - 4, "\nok\n"))
		return true;
	palloc_note("verify: %s", n < 0 ? strerror(-n) : "bad");
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		palloc_note("  %s", line);
	return false;
}

#define ORDERS	32
#define ZONES	32

/* A zone's free memory, as three files tell it. */
struct zone_free {
	char name[64];				/* "Node 0, zone DMA" */
	long listed[ORDERS];			/* blocks on the free lists */
	long isolated;				/* pages on these that do not count */
	long cma;				/* pages on these of type CMA */
	long blocks[ORDERS];			/* what buddyinfo says */
	long free, free_cma;			/* what zoneinfo says */
	bool too_many;				/* to be listed */
};

static struct zone_free *zone_find(struct zone_free *zones, const char *line, int *end)
{
	char zone[32], name[64] = "";
	int node, i;

	*end = 0;
	if (sscanf(line, " Node %d, zone %31[^\n, ]%n", &node, zone, end) != 2)
		return NULL;
	snprintf(name, sizeof(name), "Node %d, zone %s", node, zone);
	for (i = 0; i < ZONES; i++) {
		if (!zones[i].name[0])
			memcpy(zones[i].name, name, sizeof(name));
		if (!strcmp(zones[i].name, name))
			return &zones[i];
	}
	palloc_bail("more than %d zones", ZONES);
}

static void read_types(struct zone_free *zones, const char *line)
{
	char type[32], *at;
	struct zone_free *z;
	int end, more;
	long n, pages;
	int order;

	z = zone_find(zones, line, &end);
	if (!z || sscanf(line + end, ", type %31s%n", type, &more) != 1)
		return;
	for (at = (char *)line + end + more, order = 0; order < ORDERS; order++) {
		char *next;

		at += strspn(at, BLANKS);
		if (*at == '>') {
			z->too_many = true;
			at++;
		}
		n = strtol(at, &next, 10);
		if (next == at)
			break;
		at = next;
		pages = n << order;
		z->listed[order] += n;
		if (!strcmp(type, "Isolate"))
			z->isolated += pages;
		if (!strcmp(type, "CMA"))
			z->cma += pages;
	}
}

static void read_blocks(struct zone_free *zones, const char *line)
{
	struct zone_free *z;
	char *at, *next;
	int end, order;

	z = zone_find(zones, line, &end);
	if (!z)
		return;
	for (at = (char *)line + end, order = 0; order < ORDERS; order++, at = next) {
		long n = strtol(at, &next, 10);

		if (next == at)
			break;
		z->blocks[order] = n;
	}
}

static void read_counts(struct zone_free *zones, const char *line)
{
	static struct zone_free *z;
	struct zone_free *here;
	int end;

	here = zone_find(zones, line, &end);
	if (here)
		z = here;
	if (!z)
		return;
	if (sscanf(line, " nr_free_pages %ld", &z->free) == 1 ||
	    sscanf(line, " nr_free_cma %ld", &z->free_cma) == 1)
		return;
}

static void read_zones(const char *path, struct zone_free *zones,
		       void (*line_fn)(struct zone_free *zones, const char *line))
{
	char line[1024];
	FILE *f = fopen(path, "re");

	if (!f)
		palloc_bail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		line_fn(zones, line);
	fclose(f);
}

static bool zone_agrees(const struct zone_free *z, bool tell)
{
	long pages = -z->isolated;
	bool agrees = true;
	int order;

	for (order = 0; order < ORDERS; order++) {
		pages += z->blocks[order] << order;
		if (z->too_many || z->listed[order] == z->blocks[order])
			continue;
		agrees = false;
		if (tell)
			palloc_note("%s, order %d: %ld blocks on lists, %ld in buddyinfo",
				    z->name, order, z->listed[order], z->blocks[order]);
	}
	if (pages != z->free || z->cma != z->free_cma) {
		agrees = false;
		if (tell)
			palloc_note("%s: %ld pages in blocks, %ld CMA; zoneinfo %ld, %ld CMA",
				    z->name, pages, z->cma, z->free, z->free_cma);
	}
	return agrees;
}

/*
 * The free lists, and what counts them, agree. Where the kernel has no check of
 * its own, files tell it that are not read at one moment: what is wrong each
 * time is wrong, so nobody else may be busy.
 */
bool palloc_lossless(void)
{
	static struct zone_free zones[ZONES];
	const int tries = 100;
	bool agree = false;
	char buf[16];
	int i, n;

	if (!access(PALLOC_DIR "/verify", F_OK))
		return palloc_verified();
	for (n = 0; n < tries && !agree; n++) {
		if (n)
			usleep(20000);
		memset(zones, 0, sizeof(zones));
		read_zones("/proc/pagetypeinfo", zones, read_types);
		read_zones("/proc/buddyinfo", zones, read_blocks);
		/* Adds up what the CPUs have counted. */
		palloc_file_read("/proc/sys/vm/stat_refresh", buf, sizeof(buf));
		read_zones("/proc/zoneinfo", zones, read_counts);
		agree = true;
		for (i = 0; i < ZONES && zones[i].name[0]; i++)
			agree &= zone_agrees(&zones[i], n == tries - 1);
		agree &= i > 0;
	}
	return agree;
}
