// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that set_color and set_color_map take every valid argument, refuse
 * every invalid one with the documented error, and that a refused call leaves
 * the process's map in force (seen in the colors of the next pages); that they
 * act on the whole process and need no privilege.
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "palloc_util.h"

#define PAGES		64
#define LONG_BITS	(8 * sizeof(long))

/* The process's map, seen from outside: what a new region is given. */
static bool in_force(const char *list)
{
	return palloc_given(PAGES, MAP_PALLOC, list);
}

static bool cleared(void)
{
	return palloc_given(PALLOC_MANY, MAP_PALLOC, NULL);
}

static void test_set_color(const void *arg)
{
	unsigned int color;
	char list[16];

	palloc_setup_mask(0xf000);
	for (color = 0; color < 16; color++) {
		snprintf(list, sizeof(list), "%u", color);
		expect(palloc_set_color(color) == 0);
		expect(in_force(list));
	}
}

static const unsigned int color_bins = 16;
static const unsigned int color_next = 17;
static const unsigned int color_1024 = 1024;
static const unsigned int color_int_max = INT_MAX;
static const unsigned int color_top_bit = 1U << 31;
static const unsigned int color_minus_one = -1;

static void test_bad_color(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_set_colors("1,13") == 0);
	errno = 0;
	expect(palloc_set_color(*(const unsigned int *)arg) == -1 && errno == EINVAL);
	expect(in_force("1,13"));
}

static void test_one_bin(const void *arg)
{
	unsigned long map = 1;

	palloc_setup_mask(0);
	expect(palloc_set_color(0) == 0);
	expect(palloc_set_color(1) == -1 && errno == EINVAL);
	expect(palloc_set_color_map(&map, 1) == 0);
	map = 2;
	expect(palloc_set_color_map(&map, 2) == -1 && errno == EINVAL);
	palloc_map_mask(&palloc_map, 0xf000);
	expect(cleared());
}

static void test_most_bins(const void *arg)
{
	unsigned int bins = 1U << palloc_max_bits;
	struct palloc_set set;
	char list[32];

	palloc_setup_mask(((1ULL << palloc_max_bits) - 1) << 12);
	snprintf(list, sizeof(list), "%u", bins - 1);
	expect(palloc_set_color(bins - 1) == 0);
	expect(in_force(list));
	snprintf(list, sizeof(list), "1,%u", bins - 2);
	palloc_set_parse(&set, list);
	expect(palloc_set_color_map(set.bits, bins) == 0);
	expect(in_force(list));
	expect(palloc_set_color(bins) == -1 && errno == EINVAL);
	expect(in_force(list));
}

struct good_map {
	unsigned long word;
	unsigned long nbits;
	const char *list;
};

static const struct good_map map_some = { 0x8421, 16, "0,5,10,15" };
/* Only nbits bits count: what lies past them in the word is not looked at. */
static const struct good_map map_rest_5 = { ~0x1dUL, 5, "1" };
static const struct good_map map_rest_16 = { ~0xfff7UL, 16, "3" };
static const struct good_map map_rest_63 = { 1UL << 63 | 0x4, 63, "2" };
/* More bits than bins are fine as long as they are not set. */
static const struct good_map map_wide = { 0x0210, 64, "4,9" };

static void test_map(const void *arg)
{
	const struct good_map *m = arg;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color_map(&m->word, m->nbits) == 0);
	expect(in_force(m->list));
}

static void test_map_longest(const void *arg)
{
	unsigned long map[PALLOC_LONGS] = { 0x0021 };

	palloc_setup_mask(0xf000);
	expect(palloc_set_color_map(map, 1UL << palloc_max_bits) == 0);
	expect(in_force("0,5"));
}

/* 65 bits: a second word is read, of which one bit counts. */
static void test_map_second_word(const void *arg)
{
	unsigned long map[2] = { 0x2, ~1UL };

	palloc_setup_mask(0xf000);
	if (palloc_skip_if(palloc_max_bits < 7, "built for fewer than 128 bins"))
		return;
	expect(palloc_set_color_map(map, LONG_BITS + 1) == 0);
	expect(in_force("1"));
	map[1] = 1;
	expect(palloc_set_color_map(map, LONG_BITS + 1) == -1 && errno == EINVAL);
	expect(in_force("1"));
}

/* Clearing */

struct clearing {
	unsigned long nbits;
	enum { POINTER_NULL, POINTER_BAD, POINTER_ZERO } pointer;
};

static const struct clearing clear_bad = { 0, POINTER_BAD };

static void test_clear(const void *arg)
{
	static unsigned long zero[PALLOC_LONGS];
	const struct clearing *c = arg;
	const unsigned long *map = NULL;

	if (c->pointer == POINTER_BAD)
		map = (void *)-4096L;
	else if (c->pointer == POINTER_ZERO)
		map = zero;
	palloc_setup_mask(0xf000);
	expect(palloc_set_color(6) == 0);
	expect(in_force("6"));
	expect(palloc_set_color_map(map, c->nbits) == 0);
	expect(cleared());
}

/* Clearing by zero bits in the middle of a longer, zero map. */
static void test_clear_longest(const void *arg)
{
	static unsigned long zero[PALLOC_LONGS];

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(6) == 0);
	expect(palloc_set_color_map(zero, 1UL << palloc_max_bits) == 0);
	expect(cleared());
}

/* Bad maps */

static void bad_map(const unsigned long *map, unsigned long nbits, int err)
{
	palloc_setup_mask(0xf000);
	if (!expect(palloc_set_colors("1,13") == 0))
		return;
	errno = 0;
	if (!expect(palloc_set_color_map(map, nbits) == -1 && errno == err))
		palloc_note("nbits %#lx: got %s, expected %s", nbits, strerror(errno),
			    strerror(err));
	expect(in_force("1,13"));
}

static const unsigned long bits_2_40 = 1UL << 40;
static const unsigned long bits_2_32 = 1UL << 32;
static const unsigned long bits_2_32_16 = (1UL << 32) + 16;
static const unsigned long bits_2_63 = 1UL << 63;
static const unsigned long bits_all = ~0UL;

/* A map that would be fine if the number of bits were cut to 32 bits. */
static void test_bad_nbits(const void *arg)
{
	static const unsigned long map[PALLOC_LONGS] = { 0x0004 };

	bad_map(map, *(const unsigned long *)arg, EINVAL);
}

static void test_bad_nbits_next(const void *arg)
{
	static const unsigned long map[PALLOC_LONGS + 1] = { 0x0004 };

	bad_map(map, (1UL << palloc_max_bits) + 1, EINVAL);
}

static void test_bad_bit(const void *arg)
{
	unsigned long map[PALLOC_LONGS] = { 0x0004 };
	unsigned int bit = *(const unsigned int *)arg;

	if (palloc_skip_if(bit >= 1U << palloc_max_bits, "built for fewer bins"))
		return;
	map[bit / LONG_BITS] |= 1UL << bit % LONG_BITS;
	bad_map(map, 1UL << palloc_max_bits, EINVAL);
}

static const unsigned int bit_16 = 16;
static const unsigned int bit_63 = 63;
static const unsigned int bit_64 = 64;
static const unsigned int bit_255 = 255;

static void test_null(const void *arg)
{
	bad_map(NULL, 16, EFAULT);
}

static void test_unmapped(const void *arg)
{
	void *p = palloc_map_pages(1, 0);

	palloc_free(p, 1);
	bad_map(p, 16, EFAULT);
}

static void test_no_read(const void *arg)
{
	void *p = palloc_alloc(1, 0);

	expect(mprotect(p, palloc_page_size, PROT_NONE) == 0);
	bad_map(p, 16, EFAULT);
	palloc_free(p, 1);
}

static void test_kernel_pointer(const void *arg)
{
	bad_map((void *)-4096L, 16, EFAULT);
	bad_map((void *)(1UL << 63), 16, EFAULT);
}

/* The last word of a page: one word fits, a second one does not. */
static void test_crossing(const void *arg)
{
	char *p = palloc_alloc(2, 0);
	unsigned long *last = (unsigned long *)(p + palloc_page_size) - 1;

	palloc_free(p + palloc_page_size, 1);
	*last = 0x0008;
	palloc_setup_mask(0xf000);
	expect(palloc_set_color_map(last, 64) == 0);
	expect(in_force("3"));
	if (palloc_max_bits >= 7) {
		bad_map(last, 128, EFAULT);
		bad_map(last, 65, EFAULT);
	}
	palloc_free(p, 1);
}

/* What is wrong with the number is found before the pointer is used. */
static void test_order_of_checks(const void *arg)
{
	bad_map(NULL, 1UL << 40, EINVAL);
	bad_map((void *)-4096L, (1UL << palloc_max_bits) + 1, EINVAL);
}

/* Whole process */

struct shared {
	pthread_barrier_t barrier;
	bool pure[3];
};

static void *other_thread(void *arg)
{
	struct shared *s = arg;

	pthread_barrier_wait(&s->barrier);
	s->pure[0] = in_force("9");
	pthread_barrier_wait(&s->barrier);
	if (palloc_set_color(2) == 0)
		s->pure[1] = in_force("2");
	pthread_barrier_wait(&s->barrier);
	return NULL;
}

static void test_threads(const void *arg)
{
	struct shared s = { .pure = { false } };
	pthread_t thread;

	palloc_setup_mask(0xf000);
	pthread_barrier_init(&s.barrier, NULL, 2);
	if (!expect(!pthread_create(&thread, NULL, other_thread, &s)))
		return;
	/* The other thread is there before the call. */
	expect(palloc_set_color(9) == 0);
	pthread_barrier_wait(&s.barrier);
	pthread_barrier_wait(&s.barrier);
	pthread_barrier_wait(&s.barrier);
	s.pure[2] = in_force("2");
	pthread_join(thread, NULL);
	expect(s.pure[0]);
	expect(s.pure[1]);
	expect(s.pure[2]);
}

static void test_process_only(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_set_color(9) == 0);
	/* Without MAP_PALLOC the call changes nothing. */
	expect(palloc_given(PALLOC_MANY, 0, NULL));
	expect(in_force("9"));
}

/*
 * Threads that fault while another one changes the map. The only colors of the
 * two maps are in different words: half of each would be no color, or both.
 */
#define CHANGES		2000

struct race {
	unsigned int low, high;
	unsigned int stop;
	unsigned long rounds, wrong;
};

static bool is_low_or_high(const struct race *r, const void *p)
{
	static const size_t few = PAGES / 4;
	struct palloc_hist *hist = calloc(1, sizeof(*hist));
	bool ok;

	if (!hist)
		palloc_bail("calloc: %s", strerror(errno));
	palloc_count(0, p, few, hist);
	ok = hist->pages == few && hist->n[r->low] + hist->n[r->high] == few;
	free(hist);
	return ok;
}

static void *faults(void *arg)
{
	struct race *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		void *p = palloc_alloc(PAGES / 4, MAP_PALLOC);

		if (!is_low_or_high(r, p))
			__atomic_add_fetch(&r->wrong, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&r->rounds, 1, __ATOMIC_RELAXED);
		palloc_free(p, PAGES / 4);
	}
	return NULL;
}

/* The child's map is one of both. */
static void inherits(const void *arg)
{
	static struct palloc_hist hist;
	const struct race *r = arg;
	void *p = palloc_alloc(PAGES / 4, MAP_PALLOC);

	palloc_count(0, p, PAGES / 4, &hist);
	expect(hist.n[r->low] == PAGES / 4 || hist.n[r->high] == PAGES / 4);
}

static void *changes(void *arg)
{
	struct race *r = arg;
	bool high = false;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		if (palloc_set_color(high ? r->high : r->low))
			__atomic_add_fetch(&r->wrong, 1, __ATOMIC_RELAXED);
		high = !high;
	}
	return NULL;
}

static void begin_race(struct race *r)
{
	palloc_setup_mask(((1ULL << palloc_max_bits) - 1) << 12);
	r->low = 3;
	r->high = (1U << palloc_max_bits) - 2;
	expect(palloc_set_color(r->low) == 0);
}

static void test_race_faults(const void *arg)
{
	struct race r = { .stop = 0 };
	pthread_t thread[3];
	unsigned int i;

	begin_race(&r);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		if (!expect(!pthread_create(&thread[i], NULL, faults, &r)))
			return;
	for (i = 0; i < CHANGES || !__atomic_load_n(&r.rounds, __ATOMIC_RELAXED); i++) {
		if (!expect(palloc_set_color(i & 1 ? r.low : r.high) == 0))
			break;
		/* On one CPU all changes would be made in one time slice. */
		if (i % 4 == 0)
			sched_yield();
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	expect(r.rounds && !r.wrong);
	expect(palloc_fallbacks() == 0);
}

static void test_race_fork(const void *arg)
{
	struct race r = { .stop = 0 };
	pthread_t thread;
	unsigned int i;

	begin_race(&r);
	if (!expect(!pthread_create(&thread, NULL, changes, &r)))
		return;
	for (i = 0; i < 50; i++)
		if (!expect(palloc_run_in(NULL, inherits, &r)))
			break;
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	expect(!r.wrong);
}

/* Unprivileged: root has to look at the pages, their owner may not. */

struct handover {
	void *region;
	long ret[4];
	int err;
	unsigned int ready;
};

static void nobody(const void *arg)
{
	struct handover *h = (struct handover *)arg;
	unsigned long map = 1 << 11;

	if (!palloc_be_nobody())
		palloc_bail("cannot drop privileges");
	/* Changing ids has reset it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	h->ret[0] = palloc_set_color(16);
	h->err = errno;
	h->ret[1] = palloc_set_color(3);
	h->region = palloc_alloc(2 * PAGES, MAP_PALLOC);
	palloc_free(h->region, PAGES);
	h->region = (char *)h->region + PAGES * palloc_page_size;
	h->ret[2] = palloc_set_color_map(&map, 16);
	h->ret[3] = madvise(h->region, PAGES / 2 * palloc_page_size, MADV_DONTNEED);
	palloc_touch(h->region, PAGES / 2);
	__atomic_store_n(&h->ready, 1, __ATOMIC_RELEASE);
	pause();
}

static void test_unprivileged(const void *arg)
{
	struct handover *h;
	pid_t pid;

	palloc_setup_mask(0xf000);
	h = palloc_shared(1);
	pid = palloc_spawn(NULL, nobody, h);
	palloc_wait_for(&h->ready);
	expect(h->ret[0] == -1 && h->err == EINVAL);
	expect(h->ret[1] == 0);
	expect(h->ret[2] == 0);
	expect(h->ret[3] == 0);
	expect(palloc_pure_pid(pid, h->region, PAGES / 2, "11"));
	expect(palloc_pure_pid(pid, (char *)h->region + PAGES / 2 * palloc_page_size,
			       PAGES / 2, "3"));
	palloc_kill(pid);
	palloc_free(h, 1);
}

static const struct palloc_test tests[] = {
	{ "set_color: every color", test_set_color, NULL },
	{ "set_color: color = bins", test_bad_color, &color_bins },
	{ "set_color: color = bins + 1", test_bad_color, &color_next },
	{ "set_color: 1024", test_bad_color, &color_1024 },
	{ "set_color: INT_MAX", test_bad_color, &color_int_max },
	{ "set_color: 2^31", test_bad_color, &color_top_bit },
	{ "set_color: -1", test_bad_color, &color_minus_one },
	{ "one bin only", test_one_bin, NULL },
	{ "as many bins as built for", test_most_bins, NULL },
	{ "set_color_map: all colors", test_map, &(const struct good_map){ 0xffff, 16, "0-15" } },
	{ "set_color_map: some colors", test_map, &map_some },
	{ "set_color_map: 2 bits", test_map, &(const struct good_map){ 0x3, 2, "0-1" } },
	{ "set_color_map: 1 bit", test_map, &(const struct good_map){ 0x1, 1, "0" } },
	{ "set_color_map: 5 bits of a word", test_map, &map_rest_5 },
	{ "set_color_map: 16 bits of a word", test_map, &map_rest_16 },
	{ "set_color_map: 63 bits of a word", test_map, &map_rest_63 },
	{ "set_color_map: more bits than bins", test_map, &map_wide },
	{ "set_color_map: as many bits as built for", test_map_longest, NULL },
	{ "set_color_map: 65 bits", test_map_second_word, NULL },
	{ "clear: nbits 0 and NULL", test_clear, &(const struct clearing){ 0, POINTER_NULL } },
	{ "clear: nbits 0 does not read the pointer", test_clear, &clear_bad },
	{ "clear: 16 zero bits", test_clear, &(const struct clearing){ 16, POINTER_ZERO } },
	{ "clear: 1 zero bit", test_clear, &(const struct clearing){ 1, POINTER_ZERO } },
	{ "clear: all zero bits", test_clear_longest, NULL },
	{ "bad nbits: 2^40", test_bad_nbits, &bits_2_40 },
	{ "bad nbits: 2^32", test_bad_nbits, &bits_2_32 },
	{ "bad nbits: 2^32 + 16", test_bad_nbits, &bits_2_32_16 },
	{ "bad nbits: 2^63", test_bad_nbits, &bits_2_63 },
	{ "bad nbits: all ones", test_bad_nbits, &bits_all },
	{ "bad nbits: one past the largest map", test_bad_nbits_next, NULL },
	{ "bad bit: bins", test_bad_bit, &bit_16 },
	{ "bad bit: last of the first word", test_bad_bit, &bit_63 },
	{ "bad bit: first of the second word", test_bad_bit, &bit_64 },
	{ "bad bit: 255", test_bad_bit, &bit_255 },
	{ "bad pointer: NULL", test_null, NULL },
	{ "bad pointer: unmapped", test_unmapped, NULL },
	{ "bad pointer: not readable", test_no_read, NULL },
	{ "bad pointer: kernel", test_kernel_pointer, NULL },
	{ "bad pointer: crossing into an unmapped page", test_crossing, NULL },
	{ "nbits is checked before the pointer", test_order_of_checks, NULL },
	{ "whole process: set in one thread, seen in another", test_threads, NULL },
	{ "whole process: changed while threads fault", test_race_faults, NULL },
	{ "whole process: changed while it forks", test_race_fork, NULL },
	{ "regions without MAP_PALLOC are left alone", test_process_only, NULL },
	{ "unprivileged", test_unprivileged, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS)
