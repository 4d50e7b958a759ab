// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that running out of a color is survived while there is other memory:
 * the task that asks for more of it than there is lives on with pages of other
 * colors, each of them counted in control's fallback line; nobody is killed; a
 * bystander keeps its data and can go on allocating; another color of the set is
 * used first; and the color is there again once it has been freed. And that, under both policies,
 * with few or many colors, and with several tasks at once, it is no business of
 * anybody else's: nobody's memory is taken, the page cache stays, the log is
 * silent, and all memory comes back.
 */
#include <pthread.h>
#include <time.h>

#include "palloc_util.h"

#define PAGES		512
#define ROUNDS		3
#define MAX_TASKS	16

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
	size_t pages;
	unsigned int stop, rounds;
};

/* Has data, and keeps allocating, while others run out of their color. */
static void bystander(const void *arg)
{
	struct bystander *b = (struct bystander *)arg;
	const size_t n = b->pages * palloc_page_size / sizeof(unsigned int);
	unsigned int *p = palloc_alloc(b->pages, 0);
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

static void begin_with(__u64 with_mask, size_t pages)
{
	palloc_setup_mask(with_mask);
	kills = palloc_vmstat("oom_kill");
	if (!shared)
		shared = palloc_shared(1);
	shared->pages = pages;
	shared->stop = 0;
	shared->rounds = 0;
	bystander_pid = palloc_spawn(NULL, bystander, shared);
	/* The bystander's data must be there before the memory goes. */
	palloc_wait_for(&shared->rounds);
}

static void begin(void)
{
	begin_with(mask, 2048);
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
	unsigned long other;
	void *p;

	p = palloc_alloc(pages, flags);
	palloc_count(0, p, pages, &hist);
	expect(hist.pages == pages);
	counted = palloc_fallbacks() - before;
	other = hist.pages - hist.n[1];
	palloc_note("%zu pages: %lu of the color, %lu others, fallback %llu",
		    pages, hist.n[1], other, counted);
	/* A tenth more than all memory's share was asked for. */
	expect(other >= bin_pages / 20);
	expect(counted >= other);
	/* A color that is called exhausted has been used before. */
	expect(hist.n[1] >= bin_pages / 2);
	palloc_free(p, pages);
}

static void overfill_cgroup(const void *arg)
{
	overfill(0);
}

static void overfill_map(const void *arg)
{
	expect(palloc_set_color(1) == 0);
	overfill(MAP_PALLOC);
}

static void test_cgroup(const void *arg)
{
	unsigned long long before;
	const char *cg;

	if (!enough_memory(1))
		return;
	begin();
	cg = palloc_cg_with(NULL, "full", "1");
	expect(palloc_run_in(cg, overfill_cgroup, NULL));
	end();
	/* The color is there again. */
	before = palloc_fallbacks();
	expect(palloc_run_in(cg, palloc_allocates, "1"));
	expect(palloc_fallbacks() == before);
}

static void test_map_palloc(const void *arg)
{
	unsigned long long before;
	void *p;

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

static void two_threads(const void *arg)
{
	size_t half = (bin_pages + bin_pages / 10) / 2;
	unsigned long long before = palloc_fallbacks();
	void *p = palloc_map_pages(2 * half, 0);
	unsigned long wrong, checked, counted;

	expect(palloc_touch_by_threads(2, p, half, half));
	wrong = palloc_impure(0, p, 2 * half, "1", &checked);
	counted = palloc_fallbacks() - before;
	palloc_note("fallback %lu", counted);
	expect(checked == 2 * half);
	expect(wrong > 0);
	expect(wrong <= counted);
}

static void test_threads(const void *arg)
{
	const char *cg;

	if (!enough_memory(1))
		return;
	begin();
	cg = palloc_cg_with(NULL, "full", "1");
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

	if (!enough_memory(1))
		return;
	begin();
	cg = palloc_cg_with(NULL, "full", "1");
	expect(palloc_run_in(cg, with_another_left, cg));
	end();
}

/* Address bits below the page size are 0: nobody has color 1. */
static void test_empty_color(const void *arg)
{
	unsigned long wrong, checked;
	void *p;

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

/* A page cache that can be reclaimed: what is read of a block device. */
struct cache {
	int id, fd;
	size_t pages;
};

static bool cache_fill(struct cache *c, size_t pages)
{
	char path[64], byte;
	size_t i;

	c->id = palloc_zram_add(pages);
	if (c->id < 0)
		return false;
	c->pages = pages;
	snprintf(path, sizeof(path), "/dev/zram%d", c->id);
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	for (i = 0; i < pages; i++)
		if (pread(c->fd, &byte, 1, i * palloc_page_size) != 1)
			palloc_bail("reading %s: %s", path, strerror(errno));
	return true;
}

static size_t cache_kept(const struct cache *c)
{
	/* Mapped no longer than needed, or a child's mlockall() would keep it. */
	const size_t size = c->pages * palloc_page_size;
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, c->fd, 0);
	unsigned char *vec = malloc(c->pages);
	size_t i, n = 0;

	if (p == MAP_FAILED || !vec || mincore(p, size, vec))
		palloc_bail("mincore: %s", strerror(errno));
	munmap(p, size);
	for (i = 0; i < c->pages; i++)
		n += vec[i] & 1;
	free(vec);
	return n;
}

static void cache_drop(struct cache *c)
{
	close(c->fd);
	palloc_zram_remove(c->id);
}

static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		palloc_bail("/dev/kmsg: %s", strerror(errno));
	return fd;
}

/* How many lines the kernel has logged since. */
static unsigned int log_close(int fd)
{
	unsigned int lines = 0;
	char line[8192];
	ssize_t n;

	errno = 0;
	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (n > 0 && lines++ < 4)
			palloc_note("log: %.*s", (int)n - 1, line);
		errno = 0;
	}
	close(fd);
	return lines;
}

struct proof {
	unsigned int bits;
	bool strict;
};

struct hungry {
	const char *cg;
	size_t each, impure;
	unsigned int tasks;
	bool strict;
	unsigned int met;
	size_t pages[ROUNDS];
};

/* All tasks wait for each other, for the @nr-th time. */
static void meet(struct hungry *h, unsigned int nr)
{
	__atomic_add_fetch(&h->met, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&h->met, __ATOMIC_ACQUIRE) < nr * h->tasks)
		usleep(10000);
}

/*
 * One of several tasks that ask for twice the color together. It gets into the
 * group when it has all else that it needs.
 */
static void hungry(const void *arg)
{
	struct hungry *h = (struct hungry *)arg;
	unsigned long checked;
	unsigned int round;
	size_t n;
	char *p;

	palloc_steady();
	expect(palloc_cg_move(h->cg, 0) == 0);
	for (round = 0; round < ROUNDS; round++) {
		meet(h, 2 * round + 1);
		p = palloc_map_pages(h->each, 0);
		n = palloc_try_touch(p, h->each, NULL);
		/* And again. */
		n += palloc_try_touch(p + n * palloc_page_size, h->each - n, NULL);
		__atomic_add_fetch(&h->pages[round], n, __ATOMIC_RELAXED);
		if (h->strict)
			__atomic_add_fetch(&h->impure,
					   palloc_impure(0, p, n, "1", &checked),
					   __ATOMIC_RELAXED);
		meet(h, 2 * round + 2);
		palloc_free(p, h->each);
		expect(h->strict || n == h->each);
	}
}

static void starve(struct hungry *h)
{
	pid_t pid[MAX_TASKS];
	unsigned int i;

	for (i = 0; i < h->tasks; i++)
		pid[i] = palloc_spawn(NULL, hungry, h);
	palloc_reap_all(pid, h->tasks);
}

static void test_calm(const void *arg)
{
	const struct proof *proof = arg;
	size_t all = palloc_meminfo("MemTotal") * 1024 / palloc_page_size;
	const size_t bin = all >> proof->bits;
	long free_before, free_after, failed, fallback, stolen, seconds;
	unsigned int round, lines;
	struct hungry *h;
	struct cache cache;
	const char *cg;
	size_t kept;
	int log;

	if (palloc_skip_if(proof->bits > palloc_max_bits, "CONFIG_PALLOC_MAX_BITS is too small"))
		return;
	/* For the tasks, the bystander and the cache, and to spare. */
	if ((size_t)palloc_meminfo("MemAvailable") * 1024 / palloc_page_size < all / 2) {
		palloc_skip("not enough free memory");
		return;
	}
	if (!cache_fill(&cache, all / 6)) {
		palloc_skip("no zram");
		return;
	}
	h = palloc_shared(1);
	h->tasks = sysconf(_SC_NPROCESSORS_ONLN);
	if (h->tasks > MAX_TASKS)
		h->tasks = MAX_TASKS;
	h->each = 2 * bin / h->tasks;
	h->strict = proof->strict;

	begin_with(((1ULL << proof->bits) - 1) << 12, all / 8);
	cg = palloc_cg_new(NULL, "calm");
	h->cg = cg;
	expect(palloc_cg_bins(cg, "1") == 0);
	expect(palloc_cg_write(cg, "palloc.policy",
			       proof->strict ? "strict" : "fallback") == 0);
	log = log_open();
	free_before = palloc_meminfo("MemFree");
	stolen = palloc_vmstat("pgsteal_direct");
	seconds = time(NULL);
	starve(h);
	stolen = palloc_vmstat("pgsteal_direct") - stolen;
	seconds = time(NULL) - seconds;
	for (round = 0; round < ROUNDS; round++) {
		palloc_note("round %u: %u tasks touched %zu pages where the bin has %zu",
			    round, h->tasks, h->pages[round], bin);
		/* But for what others have, and the bystander's changing pages. */
		expect(h->pages[round] >= bin / 4);
		if (proof->strict)
			expect(h->pages[round] < 2 * bin);
	}
	free_after = palloc_meminfo("MemFree");
	lines = log_close(log);
	kept = cache_kept(&cache);
	failed = palloc_cg_event(cg, "failed");
	fallback = palloc_cg_event(cg, "fallback");
	palloc_note("failed %ld, fallback %ld, cache %zu of %zu pages, free %ld of %ld KiB",
		    failed, fallback, kept, cache.pages, free_after, free_before);
	palloc_note("%ld pages reclaimed in %ld s, %u log lines", stolen, seconds, lines);
	if (proof->strict)
		expect(failed >= 2 * ROUNDS && fallback == 0);
	else
		expect(fallback >= (long)(ROUNDS * bin / 2) && failed == 0);
	expect(h->impure == 0);
	expect(lines < 10);
	/* A little is reclaimed now and then; the longer it takes, the more it is. */
	expect(stolen <= 256 * (1 + seconds / 10));
	expect(kept + stolen >= cache.pages - cache.pages / 8);
	expect(free_after >= free_before - (16 << 10));
	end();
	cache_drop(&cache);
	munmap(h, palloc_page_size);
}

static const struct proof fallback_16 = { 4, false };
static const struct proof fallback_256 = { 8, false };
static const struct proof fallback_1024 = { 10, false };
static const struct proof strict_1024 = { 10, true };

static const struct palloc_test tests[] = {
	{ "a cgroup runs out of its bin", test_cgroup, NULL },
	{ "a MAP_PALLOC region runs out of its color", test_map_palloc, NULL },
	{ "two threads run out of a bin", test_threads, NULL },
	{ "another color of the set is used first", test_another_left, NULL },
	{ "a color that no page has", test_empty_color, NULL },
	{ "1 of 16 bins, fallback, all else is calm", test_calm, &fallback_16 },
	{ "1 of 16 bins, strict, all else is calm", test_calm, &(const struct proof){ 4, true } },
	{ "1 of 256 bins, fallback, all else is calm", test_calm, &fallback_256 },
	{ "1 of 256 bins, strict, all else is calm", test_calm, &(const struct proof){ 8, true } },
	{ "1 of 1024 bins, fallback, all else is calm", test_calm, &fallback_1024 },
	{ "1 of 1024 bins, strict, all else is calm", test_calm, &strict_1024 },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	size_up();
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
