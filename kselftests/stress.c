// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that colors hold under load: processes in cgroups and with MAP_PALLOC
 * regions map, grow, empty, fork and unmap at random (with fixed seeds) while
 * others churn without colors on the same CPUs, and no page of a wrong color is
 * found that the kernel has not counted as a fallback. That changing the map,
 * switching palloc off and on, moving tasks and making and removing groups
 * under this load breaks nothing: afterwards colors hold again, and the free
 * memory comes back, in large blocks too.
 */
#include <linux/kernel-page-flags.h>
#include <sched.h>

#include "palloc_util.h"

#define WORKERS		8
#define CHURNERS	2
#define SLOTS		12
#define SLOT_PAGES	48
#define ITERATIONS	100
#define CHANGES		100
#define MEMORY_SLACK	(16UL << 20)
#define BLOCK_SLACK	2

/* Four in cgroups, four with MAP_PALLOC, one of these in a cgroup too. */
static const struct kind {
	const char *bins;
	const char *colors;
} kinds[WORKERS] = {
	{ "0-3", NULL }, { "4-7", NULL }, { "8", NULL }, { "9-11,15", NULL },
	{ NULL, "12" }, { NULL, "0,5,10" }, { NULL, "13-14" }, { "8", "2-3" },
};

/* Seen by all processes. */
static struct shared {
	unsigned int stop;
	unsigned long checked, wrong, forks;
} *shared;

static const char *group[WORKERS];

struct worker {
	unsigned int index;
	unsigned int iterations;	/* 0: until stopped */
	bool check;
};

static struct slot {
	char *p;
	size_t pages;
} slots[SLOTS];

static unsigned int seed;

static unsigned int rnd(unsigned int below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static const char *allowed(const struct worker *w)
{
	return kinds[w->index].colors ?: kinds[w->index].bins;
}

static void check(const struct worker *w, const struct slot *slot)
{
	unsigned long wrong, checked;

	if (!w->check || !slot->p)
		return;
	wrong = palloc_impure(0, slot->p, slot->pages, allowed(w), &checked);
	__atomic_add_fetch(&shared->checked, checked, __ATOMIC_RELAXED);
	__atomic_add_fetch(&shared->wrong, wrong, __ATOMIC_RELAXED);
}

static void unmap(struct slot *slot)
{
	if (slot->p)
		palloc_free(slot->p, slot->pages);
	slot->p = NULL;
}

static void resize(struct slot *slot)
{
	size_t pages = 1 + rnd(SLOT_PAGES);
	char *p;

	p = mremap(slot->p, slot->pages * palloc_page_size, pages * palloc_page_size,
		   MREMAP_MAYMOVE);
	if (!expect(p != MAP_FAILED))
		return;
	slot->p = p;
	slot->pages = pages;
	palloc_touch(p, pages);
}

/* The child copies everything, and looks at it; the parent copies some. */
static void forked(const struct worker *w)
{
	unsigned int i;
	pid_t pid;

	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < SLOTS; i++) {
			if (!slots[i].p)
				continue;
			palloc_touch(slots[i].p, slots[i].pages);
			check(w, &slots[i]);
		}
		_exit(0);
	}
	if (!expect(pid > 0))
		return;
	for (i = 0; i < SLOTS; i += 2)
		if (slots[i].p)
			palloc_touch(slots[i].p, slots[i].pages);
	expect(palloc_reap(pid));
	__atomic_add_fetch(&shared->forks, 1, __ATOMIC_RELAXED);
}

static void step(const struct worker *w)
{
	struct slot *slot = &slots[rnd(SLOTS)];
	unsigned int what = rnd(32);

	if (!slot->p) {
		slot->pages = 1 + rnd(SLOT_PAGES);
		slot->p = palloc_map_pages(slot->pages,
					   kinds[w->index].colors ? MAP_PALLOC : 0);
		palloc_touch(slot->p, slot->pages);
	} else if (what < 8) {
		unmap(slot);
	} else if (what < 16) {
		resize(slot);
	} else if (what < 24) {
		madvise(slot->p, slot->pages * palloc_page_size, MADV_DONTNEED);
		palloc_touch(slot->p, 1 + rnd(slot->pages));
	} else if (what < 27) {
		mprotect(slot->p, palloc_page_size, PROT_READ);
		mprotect(slot->p, palloc_page_size, PROT_READ | PROT_WRITE);
		palloc_touch(slot->p, slot->pages);
	} else if (what < 28) {
		forked(w);
	} else {
		palloc_touch(slot->p, slot->pages);
	}
	check(w, slot);
}

static bool stopped(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE);
}

static void work(const void *arg)
{
	const struct worker *w = arg;
	unsigned int i;

	seed = w->index + 1;
	palloc_pin(w->index % sysconf(_SC_NPROCESSORS_ONLN));
	if (kinds[w->index].colors)
		expect(palloc_set_colors(kinds[w->index].colors) == 0);
	for (i = 0; w->iterations ? i < w->iterations : !stopped(); i++)
		step(w);
	for (i = 0; i < SLOTS; i++) {
		check(w, &slots[i]);
		unmap(&slots[i]);
	}
}

/* Without colors, on the same CPUs: what it frees is what others are given. */
static void churn(const void *arg)
{
	unsigned int n = 0;

	palloc_pin(*(const unsigned int *)arg % sysconf(_SC_NPROCESSORS_ONLN));
	while (!stopped()) {
		size_t pages = 1 + (n++ * 7) % 100;

		palloc_free(palloc_alloc(pages, 0), pages);
	}
	expect(n);
}

static struct worker workers[WORKERS];
static pid_t worker_pid[WORKERS], churner_pid[CHURNERS];

static void start(unsigned int iterations, bool check_colors)
{
	static const unsigned int cpu[CHURNERS] = { 0, 1 };
	unsigned int i;

	/* Long per-CPU lists are where colors would be mixed up. */
	palloc_short_lists(false);
	palloc_setup_mask(0xf000);
	memset(shared, 0, sizeof(*shared));
	for (i = 0; i < WORKERS; i++) {
		char name[16];

		group[i] = NULL;
		if (kinds[i].bins) {
			snprintf(name, sizeof(name), "worker%u", i);
			group[i] = palloc_cg_with(NULL, name, kinds[i].bins);
		}
		workers[i].index = i;
		workers[i].iterations = iterations;
		workers[i].check = check_colors;
		worker_pid[i] = palloc_spawn(group[i], work, &workers[i]);
	}
	for (i = 0; i < CHURNERS; i++)
		churner_pid[i] = palloc_spawn(NULL, churn, &cpu[i]);
}

static void stop(void)
{
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
}

static void finish(void)
{
	palloc_reap_all(worker_pid, WORKERS);
	stop();
	palloc_reap_all(churner_pid, CHURNERS);
}

static void settled(const void *arg)
{
	const struct kind *kind = arg;
	void *p;

	if (kind->colors)
		expect(palloc_set_colors(kind->colors) == 0);
	p = palloc_alloc(256, kind->colors ? MAP_PALLOC : 0);
	expect(palloc_pure(p, 256, kind->colors ?: kind->bins));
}

/* After the storm each kind is given its colors again. */
static void check_settled(void)
{
	unsigned long long before = palloc_fallbacks();
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		expect(palloc_run_in(group[i], settled, &kinds[i]));
	expect(palloc_fallbacks() == before);
}

/* The state at the start, for the last test. */

static long free_before, blocks_before;

/*
 * Aligned blocks of an order of which every page is free. A page that some
 * CPU keeps on a list of its own isn't; it holds up the whole block.
 */
static long free_blocks(unsigned int order)
{
	const size_t pages = 1UL << order;
	long blocks = 0;
	__u64 *flags;
	ssize_t n;
	size_t i;
	int fd;

	fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	flags = calloc(pages, sizeof(*flags));
	if (fd < 0 || !flags)
		palloc_bail("/proc/kpageflags: %s", strerror(errno));
	do {
		n = read(fd, flags, pages * sizeof(*flags));
		for (i = 0; i < pages && (flags[i] & 1ULL << KPF_BUDDY); i++)
			;
		blocks += n == (ssize_t)(pages * sizeof(*flags)) && i == pages;
	} while (n == (ssize_t)(pages * sizeof(*flags)));
	free(flags);
	close(fd);
	return blocks;
}

static void test_purity(const void *arg)
{
	unsigned long long fallbacks;

	start(ITERATIONS, true);
	finish();
	fallbacks = palloc_fallbacks();
	palloc_note("%lu pages checked, %lu wrong, %lu forks, fallback %llu",
		    shared->checked, shared->wrong, shared->forks, fallbacks);
	expect(shared->checked > WORKERS * ITERATIONS);
	expect(shared->forks > 0);
	expect(shared->wrong == 0);
	/* There is plenty of memory: nothing to fall back for. */
	expect(fallbacks == 0);
	check_settled();
}

static void test_map_change(const void *arg)
{
	static const char * const maps[] = {
		"12 16\n13 17\n14 18\n15 19\n", "12\n13\n14\n15\n", "13 18\n12 20 21\n",
		"15\n14\n13\n12\n", "14 18\n15 19\n16 20\n17 21\n",
	};
	unsigned int i;

	start(0, false);
	for (i = 0; i < CHANGES; i++) {
		if (i % 6 == 5)
			expect(palloc_puts("palloc_mask", i & 1 ? "0x183000" : "0") == 0);
		else
			expect(palloc_puts("control", maps[i % ARRAY_SIZE(maps)]) == 0);
		if (i % 10 == 0)
			expect(palloc_puts("control", "12\n12\n") == -EINVAL);
		usleep(2000);
	}
	expect(palloc_puts("palloc_mask", "0xf000") == 0);
	stop();
	finish();
	palloc_map_mask(&palloc_map, 0xf000);
	check_settled();
}

static void test_switch(const void *arg)
{
	unsigned int i;

	start(0, false);
	for (i = 0; i < CHANGES; i++) {
		palloc_enable(i & 1);
		usleep(2000);
	}
	stop();
	finish();
	palloc_enable(true);
	check_settled();
}

static void test_moves(const void *arg)
{
	unsigned int i;

	start(0, false);
	for (i = 0; i < CHANGES; i++) {
		pid_t pid = worker_pid[i % 4];
		const char *cg = palloc_cg_new(NULL, "passing");

		expect(palloc_cg_bins(cg, i & 1 ? "1" : "2-14") == 0);
		expect(palloc_cg_move(cg, pid) == 0);
		usleep(1000);
		expect(palloc_cg_bins(cg, "\n") == 0);
		expect(palloc_cg_move(group[i % 4], pid) == 0);
		/* A child that was forked there may still be on its way out. */
		if (!expect(palloc_cg_remove(cg) == 0))
			break;
	}
	stop();
	finish();
	check_settled();
}

static void test_memory_returns(const void *arg)
{
	long slack = MEMORY_SLACK / palloc_page_size, now, blocks, whole;
	unsigned int order = 0;

	palloc_tidy_memory();
	now = palloc_vmstat("nr_free_pages");
	blocks = palloc_highest_blocks(&order);
	whole = free_blocks(order);
	palloc_note("free pages %ld before, %ld after", free_before, now);
	palloc_note("blocks of order %u: %ld before, %ld after, %ld could be",
		    order, blocks_before, blocks, whole);
	expect(free_before > 0 && now > 0);
	expect(now >= free_before - slack);
	/* A page counted free twice would show as more than there was. */
	expect(now <= free_before + slack);
	/* What is wholly free is one block. */
	expect(whole > 0 && blocks >= whole - BLOCK_SLACK);
	expect(palloc_lossless());
}

static const struct palloc_test tests[] = {
	{ "colors hold under load", test_purity, NULL },
	{ "changing the map under load", test_map_change, NULL },
	{ "switching off and on under load", test_switch, NULL },
	{ "moving tasks under load", test_moves, NULL },
	{ "free memory comes back, in large blocks", test_memory_returns, NULL },
};

int main(void)
{
	unsigned int order = 0;

	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	shared = palloc_shared(1);
	palloc_tidy_memory();
	free_before = palloc_vmstat("nr_free_pages");
	blocks_before = palloc_highest_blocks(&order);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
