// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that running out of a color is survived while there is other memory:
 * the task that asks for more of it than there is lives on with pages of other
 * colors, each of them counted in control's fallback line (or moved there by
 * compaction, which is counted too); nobody is killed; a bystander keeps its
 * data and can go on allocating; another color of the set is used first; and
 * the color is there again once it has been freed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "palloc_util.h"

#define PAGES		512
#define BYSTANDER_PAGES	2048

static __u64 mask;
static size_t bin_pages;	/* at most, a color has these */

/* One bin of 16, or of more where that would be too much to fill. */
static void size_up(void)
{
	unsigned int bits = 4;

	bin_pages = palloc_meminfo("MemTotal") * 1024 / palloc_page_size;
	while (bits < palloc_max_bits && (bin_pages >> bits) * palloc_page_size > 80 << 20)
		bits++;
	mask = ((1ULL << bits) - 1) << 12;
	bin_pages >>= bits;
	palloc_note("%u bins of at most %zu pages", 1U << bits, bin_pages);
}

static bool enough_memory(unsigned int bins)
{
	size_t kib = bins * bin_pages * palloc_page_size / 1024;

	if ((size_t)palloc_meminfo("MemAvailable") >= 2 * kib + (64 << 10))
		return true;
	palloc_skip("not enough free memory");
	return false;
}

struct bystander {
	unsigned int stop, rounds;
};

/* Has data, and keeps allocating, while others run out of their color. */
static void bystander(const void *arg)
{
	struct bystander *b = (struct bystander *)arg;
	const size_t n = BYSTANDER_PAGES * palloc_page_size / sizeof(unsigned int);
	unsigned int *p = palloc_alloc(BYSTANDER_PAGES, 0);
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = i;
	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		palloc_free(palloc_alloc(64, 0), 64);
		__atomic_add_fetch(&b->rounds, 1, __ATOMIC_RELAXED);
		usleep(1000);
	}
	for (i = 0; i < n; i++)
		if (p[i] != i)
			break;
	expect(i == n);
}

static struct bystander *shared;
static pid_t bystander_pid;
static long kills;

static void begin(void)
{
	unsigned int tries;

	palloc_setup_mask(mask);
	kills = palloc_vmstat("oom_kill");
	if (!shared) {
		shared = mmap(NULL, palloc_page_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (shared == MAP_FAILED)
			palloc_bail("mmap: %s", strerror(errno));
	}
	shared->stop = 0;
	shared->rounds = 0;
	bystander_pid = palloc_spawn(NULL, bystander, shared);
	/* The bystander's data must be there before the memory goes. */
	for (tries = 0; tries < 3000; tries++) {
		if (__atomic_load_n(&shared->rounds, __ATOMIC_RELAXED))
			break;
		usleep(10000);
	}
}

static void end(void)
{
	expect(shared->rounds);
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	expect(palloc_reap(bystander_pid));
	expect(palloc_vmstat("oom_kill") == kills);
}

/* Touches more than the color has; the excess is counted, page by page. */
static void overfill(int flags)
{
	static struct palloc_hist hist;
	size_t pages = bin_pages + bin_pages / 10;
	unsigned long long before = palloc_fallbacks(), counted;
	long moved = palloc_vmstat("pgmigrate_success");
	unsigned long other;
	unsigned int tries;
	void *p;

	p = palloc_alloc(pages, flags);
	/* A page that is just being migrated comes back. */
	for (tries = 0; tries < 100 && hist.pages != pages; tries++) {
		if (tries)
			usleep(10000);
		memset(&hist, 0, sizeof(hist));
		palloc_count(0, p, pages, &hist);
	}
	expect(hist.pages == pages);
	counted = palloc_fallbacks() - before;
	moved = palloc_vmstat("pgmigrate_success") - moved;
	other = hist.pages - hist.n[1];
	palloc_note("%zu pages: %lu of the color, %lu others, fallback %llu, migrated %ld",
		    pages, hist.n[1], other, counted, moved);
	/* A tenth more than all memory's share was asked for. */
	expect(other >= bin_pages / 20);
	/* A page that was moved has made room for another of its color. */
	expect(counted > 0 || moved > 0);
	expect(counted + moved >= other);
	/* A color that is called exhausted has been used before. */
	expect(hist.n[1] >= bin_pages / 2);
	palloc_free(p, pages);
}

static void overfill_cgroup(const void *arg)
{
	(void)arg;
	overfill(0);
}

static void overfill_map(const void *arg)
{
	(void)arg;
	expect(palloc_set_color(1) == 0);
	overfill(MAP_PALLOC);
}

static void fills_pure(const void *arg)
{
	void *p = palloc_alloc(PAGES, 0);

	expect(palloc_pure(p, PAGES, arg));
}

static void test_cgroup(const void *arg)
{
	unsigned long long before;
	const char *cg;

	(void)arg;
	if (!enough_memory(1))
		return;
	begin();
	cg = palloc_cg_new(NULL, "full");
	expect(palloc_cg_bins(cg, "1") == 0);
	expect(palloc_run_in(cg, overfill_cgroup, NULL));
	end();
	/* The color is there again. */
	before = palloc_fallbacks();
	expect(palloc_run_in(cg, fills_pure, "1"));
	expect(palloc_fallbacks() == before);
}

static void test_map_palloc(const void *arg)
{
	unsigned long long before;
	void *p;

	(void)arg;
	if (!enough_memory(1))
		return;
	begin();
	expect(palloc_run_in(NULL, overfill_map, NULL));
	end();
	before = palloc_fallbacks();
	expect(palloc_set_color(1) == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_pure(p, PAGES, "1"));
	expect(palloc_fallbacks() == before);
	palloc_free(p, PAGES);
}

static char *half_region;

static void *touches_half(void *arg)
{
	palloc_touch(arg, (bin_pages + bin_pages / 10) / 2);
	return NULL;
}

static void two_threads(const void *arg)
{
	size_t half = (bin_pages + bin_pages / 10) / 2;
	unsigned long long before = palloc_fallbacks();
	long moved = palloc_vmstat("pgmigrate_success");
	unsigned long wrong, checked, counted;
	pthread_t thread;

	(void)arg;
	half_region = palloc_map_pages(2 * half, 0);
	if (!expect(!pthread_create(&thread, NULL, touches_half, half_region)))
		return;
	touches_half(half_region + half * palloc_page_size);
	pthread_join(thread, NULL);
	wrong = palloc_impure(0, half_region, 2 * half, "1", &checked);
	counted = palloc_fallbacks() - before;
	moved = palloc_vmstat("pgmigrate_success") - moved;
	palloc_note("fallback %lu, migrated %ld", counted, moved);
	expect(checked + moved >= 2 * half);
	/* A page that was moved has made room for another of its color. */
	expect(counted > 0 || moved > 0);
	expect(wrong > 0);
	expect(wrong <= counted + moved);
}

static void test_threads(const void *arg)
{
	const char *cg;

	(void)arg;
	if (!enough_memory(1))
		return;
	begin();
	cg = palloc_cg_new(NULL, "full");
	expect(palloc_cg_bins(cg, "1") == 0);
	expect(palloc_run_in(cg, two_threads, NULL));
	end();
}

static void with_another_left(const void *arg)
{
	size_t pages = bin_pages + bin_pages / 10;
	unsigned long long before;
	const char *cg = arg;
	void *full, *p;

	full = palloc_alloc(pages, 0);
	/* Now with one more bin: it is used before any other color. */
	expect(palloc_cg_bins(cg, "1,5") == 0);
	before = palloc_fallbacks();
	p = palloc_alloc(PAGES, 0);
	expect(palloc_pure(p, PAGES, "1,5"));
	expect(palloc_fallbacks() == before);
	palloc_free(full, pages);
}

static void test_another_left(const void *arg)
{
	const char *cg;

	(void)arg;
	if (!enough_memory(1))
		return;
	begin();
	cg = palloc_cg_new(NULL, "full");
	expect(palloc_cg_bins(cg, "1") == 0);
	expect(palloc_run_in(cg, with_another_left, cg));
	end();
}

/* Address bits below the page size are 0: nobody has color 1. */
static void test_empty_color(const void *arg)
{
	unsigned long wrong, checked;
	void *p;

	(void)arg;
	begin();
	palloc_setup_mask(0x1800);
	expect(palloc_set_color(1) == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	wrong = palloc_impure(0, p, PAGES, "1", &checked);
	expect(checked == PAGES);
	expect(wrong == PAGES);
	expect(palloc_fallbacks() >= PAGES);
	palloc_free(p, PAGES);
	end();
}

static const struct palloc_test tests[] = {
	{ "a cgroup runs out of its bin", test_cgroup, NULL },
	{ "a MAP_PALLOC region runs out of its color", test_map_palloc, NULL },
	{ "two threads run out of a bin", test_threads, NULL },
	{ "another color of the set is used first", test_another_left, NULL },
	{ "a color that no page has", test_empty_color, NULL },
};

int main(void)
{
	ksft_print_header();
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	size_up();
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
