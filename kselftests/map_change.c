// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that a new map takes effect for the next page, also while others
 * allocate and free, that changing it again and again loses nothing, and that
 * over a large allocation each color of a set gets its share within 5 %.
 */
#include <pthread.h>

#include "palloc_util.h"

#define WORKERS		4
#define SINGLE		3	/* has one color; 1 has two, the others any */
#define PAGES		128
#define CHANGES		35
#define SHARE_PAGES	8192	/* 32 MiB */
#define HOLD_BYTES	(256UL << 20)

static const char * const maps[] = {
	"12\n13\n14\n15\n",
	"12 16\n13 17\n14 18\n15 19\n",
	"12\n13\n14\n15\n16\n17\n18\n19\n",
	"21 13\n",
	"13 18\n12 20 21\n",
	"15\n14\n13\n12\n",
	"12\n27\n",
};

static unsigned int *stop, *holding;	/* shared */

static bool stopped(void)
{
	return __atomic_load_n(stop, __ATOMIC_ACQUIRE);
}

/* Whatever the map is, these go on. */
static void work(const void *arg)
{
	unsigned int n = *(const unsigned int *)arg;
	/* Of a single color, of 256, there is not more. */
	const size_t pages = n == SINGLE ? 64 : 200;
	void *kept[8] = { NULL };

	palloc_pin(n % sysconf(_SC_NPROCESSORS_ONLN));
	while (!stopped()) {
		unsigned int i = n++ % ARRAY_SIZE(kept);

		if (kept[i])
			palloc_free(kept[i], pages);
		kept[i] = palloc_alloc(pages, 0);
		/* Who changes the map is to have its turn, too. */
		usleep(200);
	}
}

static void test_changes(const void *arg)
{
	static unsigned int index[WORKERS];
	pid_t pid[WORKERS];
	long before;
	unsigned int i, order = 0;
	const char *cg[WORKERS] = { NULL };

	cg[1] = palloc_setup_cg("load", "0-1");
	cg[SINGLE] = palloc_cg_with(NULL, "single", "0");
	palloc_tidy_memory();
	before = palloc_highest_blocks(&order);
	*stop = 0;
	for (i = 0; i < WORKERS; i++) {
		index[i] = i;
		pid[i] = palloc_spawn(cg[i], work, &index[i]);
	}
	for (i = 0; i < CHANGES; i++) {
		unsigned long wrong, checked;
		char list[16];
		void *p;

		palloc_map_parse(&palloc_map, maps[i % ARRAY_SIZE(maps)]);
		if (palloc_map.nbits > palloc_max_bits)
			continue;
		expect(palloc_puts("control", maps[i % ARRAY_SIZE(maps)]) == 0);
		snprintf(list, sizeof(list), "%u", i % palloc_bins(&palloc_map));
		expect(palloc_set_colors(list) == 0);
		p = palloc_alloc(PAGES, MAP_PALLOC);
		wrong = palloc_impure(0, p, PAGES, list, &checked);
		if (!expect(checked == PAGES && wrong == 0))
			palloc_note("map %zu", i % ARRAY_SIZE(maps));
		expect(palloc_verified());
		palloc_free(p, PAGES);
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELEASE);
	palloc_reap_all(pid, WORKERS);
	palloc_tidy_memory();
	expect(palloc_blocks_back(before));
	expect(palloc_lossless());
}

/* Has much free memory in small blocks until it is stopped. */
static void hold_pieces(const void *arg)
{
	const size_t pages = HOLD_BYTES / palloc_page_size, piece = 64;
	char *p = palloc_map_pages(pages, 0);
	size_t i;

	madvise(p, pages * palloc_page_size, MADV_NOHUGEPAGE);
	palloc_touch(p, pages);
	for (i = 0; i < pages; i += 2 * piece)
		expect(madvise(p + i * palloc_page_size, piece * palloc_page_size,
			       MADV_DONTNEED) == 0);
	__atomic_store_n(holding, 1, __ATOMIC_RELEASE);
	while (!stopped())
		usleep(1000);
}

static void work_single(const void *arg)
{
	palloc_pin(*(const unsigned int *)arg % sysconf(_SC_NPROCESSORS_ONLN));
	while (!stopped())
		palloc_free(palloc_alloc(64, 0), 64);
}

/*
 * Who has one color has its pages out of many blocks at once. With fewer colors,
 * these may be blocks that the index of the map before still has, for a while.
 */
static void test_pieces(const void *arg)
{
	static unsigned int index[WORKERS];
	pid_t pid[WORKERS], holder;
	const char *cg = palloc_setup_cg("single", "0");
	unsigned int i;

	*stop = 0;
	*holding = 0;
	holder = palloc_spawn(NULL, hold_pieces, NULL);
	palloc_wait_for(holding);
	for (i = 0; i < WORKERS; i++) {
		index[i] = i;
		pid[i] = palloc_spawn(cg, work_single, &index[i]);
	}
	for (i = 0; i < CHANGES; i++) {
		expect(palloc_puts("palloc_mask", i % 2 ? "0xf000" : "0xff000") == 0);
		usleep(1000);
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELEASE);
	palloc_reap_all(pid, WORKERS);
	expect(palloc_reap(holder));
	palloc_tidy_memory();
	expect(palloc_verified());
	expect(palloc_lossless());
}

struct share {
	const char *map;
	const char *colors;
	unsigned int threads;
	size_t pages;		/* if not SHARE_PAGES */
};

static void shares(const void *arg)
{
	const struct share *share = arg;
	const size_t pages = share->pages ?: SHARE_PAGES, part = pages / share->threads;
	static struct palloc_hist hist;
	unsigned long low = ~0UL, high = 0, mean;
	struct palloc_set set;
	unsigned int i;
	void *p;

	p = palloc_map_pages(pages, 0);
	expect(palloc_touch_by_threads(share->threads, p, part, part));
	expect(palloc_pure(p, pages, share->colors));

	memset(&hist, 0, sizeof(hist));
	expect(palloc_count(0, p, pages, &hist) == (long)pages);
	palloc_set_parse(&set, share->colors);
	for (i = 0; i < palloc_bins(&palloc_map); i++) {
		if (!palloc_set_has(&set, i))
			continue;
		low = hist.n[i] < low ? hist.n[i] : low;
		high = hist.n[i] > high ? hist.n[i] : high;
	}
	mean = pages / palloc_set_count(&set);
	palloc_note("%lu to %lu pages of a color, %lu on average", low, high, mean);
	expect(low * 100 >= mean * 95);
	expect(high * 100 <= mean * 105);
}

static void test_share(const void *arg)
{
	const struct share *share = arg;
	const char *cg;

	palloc_setup_text(share->map);
	cg = palloc_cg_with(NULL, "share", share->colors);
	/* The second time from what the first has freed. */
	expect(palloc_run_in(cg, shares, share));
	expect(palloc_run_in(cg, shares, share));
	expect(palloc_fallbacks() == 0);
}

static const struct share share_four = { "12\n13\n14\n15\n", "0-3", 1, 0 };
static const struct share share_odd = { "12\n13\n14\n15\n", "1,5,6,12,15", 1, 0 };
static const struct share share_xor = { "12 16\n13 17\n14 18\n15 19\n", "2-9", 1, 0 };
/* What earlier tasks have left on lists is not even; it counts less in more pages. */
static const struct share share_many = {
	"12\n13\n14\n15\n16\n17\n18\n19\n", "16-79", 1, 3 * SHARE_PAGES,
};

static const struct share share_threads = { "12\n13\n14\n15\n", "4-7", 4, 0 };

static const struct palloc_test tests[] = {
	{ "changing the map in a loop under load", test_changes, NULL },
	{ "changing the map while blocks are taken apart", test_pieces, NULL },
	{ "even share: neighbours", test_share, &share_four },
	{ "even share: here and there", test_share, &share_odd },
	{ "even share: XOR", test_share, &share_xor },
	{ "even share: 64 of 256 colors", test_share, &share_many },
	{ "even share: four threads", test_share, &share_threads },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	stop = palloc_shared(1);
	holding = stop + 1;
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
