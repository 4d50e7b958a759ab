// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what a page costs, with and without colors: time per page of a loop
 * of first touches and of the munmap after it, and the worst single fault of a
 * second loop. No assertions. Each scenario sets up palloc itself, and what was
 * there before is put back at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "palloc_util.h"

#define MIXED_SLOTS	64
#define MIXED_STEPS	2000
#define MIXED_PAGES	512

struct scenario {
	const char *name;
	const char *what;
	unsigned int kib;	/* unless -m is given */
	__u64 mask;
	bool palloc;		/* needs it in the kernel */
	bool enabled;
	const char *bins;	/* of a cgroup */
	const char *colors;	/* of the process, with MAP_PALLOC */
	bool mixed;
};

static const struct scenario scenarios[] = {
	{ .name = "stock", .what = "any kernel, palloc not enabled", .kib = 65536 },
	{ .name = "off", .what = "16 bins set up, use_palloc 0", .kib = 65536,
	  .palloc = true, .mask = 0xf000 },
	{ .name = "enabled", .what = "16 bins, enabled, task without colors", .kib = 65536,
	  .palloc = true, .mask = 0xf000, .enabled = true },
	{ .name = "cgroup", .what = "bins 0-3 of 16", .kib = 65536,
	  .palloc = true, .mask = 0xf000, .enabled = true, .bins = "0-3" },
	{ .name = "map_palloc", .what = "MAP_PALLOC, 1 color of 16", .kib = 32768,
	  .palloc = true, .mask = 0xf000, .enabled = true, .colors = "3" },
	{ .name = "bins256", .what = "1 bin of 256", .kib = 2048,
	  .palloc = true, .mask = 0xff000, .enabled = true, .bins = "5" },
	{ .name = "bins1024", .what = "1 bin of 1024", .kib = 512,
	  .palloc = true, .mask = 0x3ff000, .enabled = true, .bins = "5" },
	{ .name = "mixed_stock", .what = "sizes mixed, palloc not enabled", .mixed = true },
	{ .name = "mixed", .what = "sizes mixed, bins 0-3 of 16", .mixed = true,
	  .palloc = true, .mask = 0xf000, .enabled = true, .bins = "0-3" },
};

static unsigned int rounds = 5;
static size_t mib;
static const char *missing;

static __u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void *map(const struct scenario *s, size_t pages)
{
	void *p = palloc_map_pages(pages, s->colors ? MAP_PALLOC : 0);

	madvise(p, pages * palloc_page_size, MADV_NOHUGEPAGE);
	return p;
}

static __u64 worst_fault(char *p, size_t pages)
{
	__u64 worst = 0;

	for (; pages; pages--, p += palloc_page_size) {
		__u64 t = now();

		*p = 1;
		t = now() - t;
		if (t > worst)
			worst = t;
	}
	return worst;
}

static void report(const struct scenario *s, unsigned int round, __u64 fault,
		   __u64 unmap, __u64 worst, size_t pages)
{
	printf("bench %s %u fault %llu unmap %llu worst %llu\n", s->name, round,
	       (unsigned long long)(fault / pages), (unsigned long long)(unmap / pages),
	       (unsigned long long)worst);
}

static void plain(const struct scenario *s, unsigned int round)
{
	size_t pages = (mib ? mib << 20 : (size_t)s->kib << 10) / palloc_page_size;
	__u64 start, touched, end, worst;
	void *p;

	p = map(s, pages);
	start = now();
	palloc_touch(p, pages);
	touched = now();
	palloc_free(p, pages);
	end = now();

	p = map(s, pages);
	worst = worst_fault(p, pages);
	palloc_free(p, pages);
	report(s, round, touched - start, end - touched, worst, pages);
}

static unsigned int seed;

static unsigned int rnd(unsigned int below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* The same steps in every round and on every kernel. */
static void mixed(const struct scenario *s, unsigned int round)
{
	struct {
		char *p;
		size_t pages;
	} slot[MIXED_SLOTS];
	__u64 fault = 0, unmap = 0, worst = 0;
	size_t pages = 0;
	unsigned int step, pass;

	for (pass = 0; pass < 2; pass++) {
		memset(slot, 0, sizeof(slot));
		seed = 1;
		for (step = 0; step < MIXED_STEPS + MIXED_SLOTS; step++) {
			/* At the end all that is left goes. */
			bool last = step >= MIXED_STEPS;
			unsigned int i = last ? step - MIXED_STEPS : rnd(MIXED_SLOTS);
			__u64 t;

			if (slot[i].p) {
				t = now();
				palloc_free(slot[i].p, slot[i].pages);
				if (!pass)
					unmap += now() - t;
				slot[i].p = NULL;
			} else if (!last) {
				/* Many small ones, some large. */
				slot[i].pages = 1 + rnd(1 + rnd(MIXED_PAGES));
				slot[i].p = map(s, slot[i].pages);
				if (pass) {
					t = worst_fault(slot[i].p, slot[i].pages);
					if (t > worst)
						worst = t;
					continue;
				}
				t = now();
				palloc_touch(slot[i].p, slot[i].pages);
				fault += now() - t;
				pages += slot[i].pages;
			}
		}
	}
	report(s, round, fault, unmap, worst, pages);
}

static void measure(const void *arg)
{
	const struct scenario *s = arg;
	unsigned int round;

	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (s->colors && palloc_set_colors(s->colors))
		palloc_bail("set_color_map: %s", strerror(errno));
	for (round = 1; round <= rounds; round++) {
		if (s->mixed)
			mixed(s, round);
		else
			plain(s, round);
	}
}

static bool run(const struct scenario *s)
{
	const char *cg = NULL;
	bool ok;

	if (s->palloc && missing) {
		printf("bench %s SKIP %s\n", s->name, missing);
		return true;
	}
	if (s->palloc) {
		if (__builtin_popcountll(s->mask) > (int)palloc_max_bits) {
			printf("bench %s SKIP built for %u bins\n", s->name,
			       1U << palloc_max_bits);
			return true;
		}
		palloc_setup_mask(s->mask);
	}
	if (!missing)
		palloc_enable(s->enabled);
	if (s->bins) {
		cg = palloc_cg_new(NULL, s->name);
		if (palloc_cg_bins(cg, s->bins))
			palloc_bail("cannot set bins %s", s->bins);
	}
	ok = palloc_run_in(cg, measure, s);
	if (cg)
		palloc_cg_remove(cg);
	return ok;
}

static void usage(FILE *to)
{
	unsigned int i;

	fputs("Usage: palloc_bench SCENARIO [-m MIB] [-r ROUNDS]\n"
	      "Prints lines \"bench SCENARIO ROUND fault NS unmap NS worst NS\": time per\n"
	      "page of first touches and of munmap, and the worst single fault.\n\n", to);
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		fprintf(to, "  %-12s %s\n", scenarios[i].name, scenarios[i].what);
	fputs("  all          all of these that the kernel supports\n", to);
}

static bool number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	return !errno && end != text && !*end && text[0] != '-' && *value && *value <= max;
}

int main(int argc, char *argv[])
{
	unsigned int i, found = 0;
	unsigned long value;
	bool ok = true;
	int opt;

	while ((opt = getopt(argc, argv, "m:r:h")) != -1) {
		switch (opt) {
		case 'm':
		case 'r':
			if (!number(optarg, 1UL << 20, &value)) {
				fprintf(stderr, "palloc_bench: bad number: %s\n", optarg);
				return 1;
			}
			if (opt == 'm')
				mib = value;
			else
				rounds = value;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind != argc - 1) {
		usage(stderr);
		return 1;
	}
	/* Line by line: forked children write too. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	missing = palloc_try_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	for (i = 0; i < ARRAY_SIZE(scenarios); i++) {
		if (strcmp(argv[optind], "all") && strcmp(argv[optind], scenarios[i].name))
			continue;
		found++;
		ok &= run(&scenarios[i]);
	}
	if (!found) {
		fprintf(stderr, "palloc_bench: no such scenario: %s\n", argv[optind]);
		return 1;
	}
	return ok ? 0 : 1;
}
