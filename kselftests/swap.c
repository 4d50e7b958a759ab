// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that pages come back from swap in colors that their owner may have,
 * whoever has read them in: tasks of two colors and one of none lie interleaved
 * in swap, are read ahead for each other, by MADV_WILLNEED of their own and of
 * others, by fork, by writeback of zswap, and by swapoff.  With zram, which is
 * read at once, with a loop device, which is not, and with zswap before it.  And
 * that what is in the swap cache keeps its color when it is moved.
 */
#include <linux/loop.h>
#include <sys/swap.h>

#include "palloc_util.h"

#define PAGES		256
#define SWAP_PAGES	16384
#define OWNERS		3
#define ZSWAP		"/sys/module/zswap/parameters"
#define READAHEAD	"/sys/kernel/mm/swap/vma_ra_enabled"
#define CLUSTER		"/proc/sys/vm/page-cluster"
#define KPF_SWAPCACHE	13

enum device { ZRAM, LOOP, ZSWAP_LOOP };

/* What a child does when its parent says so; it answers with a byte. */
enum order { FILL = 'f', READ = 'r', WRITE = 'w', CHECK = 'c', FORK = 'F', END = 'e',
	     STEADY = 's', FAIL = 'b' };

struct owner {
	const char *cg;
	const char *list;	/* its bins, or NULL for any */
	bool shared;
	unsigned int id;
	pid_t pid;
	int pidfd;
	int say, hear;		/* the parent's ends ... */
	int listen, answer;	/* ... and the child's */
	char *p;
};

struct space {
	int zram, loop;
	char path[32];
};

static struct owner owner[OWNERS];
static struct space space;

static unsigned long *at(const struct owner *o, size_t page)
{
	return (unsigned long *)(o->p + page * palloc_page_size);
}

/* Something else on each page, for zswap and zram to store. */
static unsigned long content(const struct owner *o, size_t page)
{
	return (o->id + 1) * 1000003UL + page;
}

static bool intact(const struct owner *o)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		if (*at(o, i) != content(o, i) || at(o, i)[100] != ~content(o, i))
			return false;
	return true;
}

static bool pure(const struct owner *o)
{
	if (!o->list)
		return true;
	return o->shared ? palloc_pure_any(o->p, PAGES, o->list) :
			   palloc_pure(o->p, PAGES, o->list);
}

static void forked(const void *arg)
{
	struct owner *o = (struct owner *)arg;

	o->list = owner[1 - o->id].list;
	expect(palloc_cg_move(owner[1 - o->id].cg, 0) == 0);
	expect(intact(o));
	expect(pure(o));
}

static void lives(const void *arg)
{
	struct owner *o = (struct owner *)arg;
	struct palloc_sigbus bus;
	char order = 0;
	size_t i;

	while (order != END && read(o->listen, &order, 1) == 1) {
		switch (order) {
		case FILL:
			for (i = 0; i < PAGES; i++) {
				*at(o, i) = content(o, i);
				at(o, i)[100] = ~content(o, i);
			}
			break;
		case READ:
			expect(intact(o));
			break;
		case WRITE:
			for (i = 0; i < PAGES; i++)
				*at(o, i) = content(o, i);
			expect(intact(o));
			break;
		case CHECK:
			expect(intact(o));
			expect(pure(o));
			break;
		case STEADY:
			palloc_steady();
			munlock(o->p, PAGES * palloc_page_size);
			break;
		case FAIL:
			expect(palloc_try_touch(at(o, 0) + 1, PAGES, &bus) == 0);
			expect(bus.code == BUS_ADRERR && bus.addr == at(o, 0) + 1);
			break;
		case FORK:
			/* The child of one is of the other's cgroup, and first. */
			expect(palloc_run_in(NULL, forked, o));
			expect(intact(o));
			expect(pure(o));
			break;
		}
		if (write(o->answer, &order, 1) != 1)
			break;
	}
}

static void tell(struct owner *o, enum order order)
{
	char c = order;

	if (write(o->say, &c, 1) != 1 || read(o->hear, &c, 1) != 1)
		palloc_bail("a child is gone");
}

static void tell_all(enum order order)
{
	unsigned int i;

	/* The one of any color comes first, and its readahead with it. */
	for (i = OWNERS; i-- > 0;)
		tell(&owner[i], order);
}

static void begin(const char *const list[OWNERS], bool shared)
{
	unsigned int i;
	int a[2], b[2];
	char name[8];

	for (i = 0; i < OWNERS; i++) {
		snprintf(name, sizeof(name), "swap%u", i);
		owner[i].cg = palloc_cg_new(NULL, name);
		if (list[i])
			expect(palloc_cg_bins(owner[i].cg, list[i]) == 0);
	}
	for (i = 0; i < OWNERS; i++) {
		struct owner *o = &owner[i];

		if (pipe(a) || pipe(b))
			palloc_bail("pipe: %s", strerror(errno));
		*o = (struct owner) {
			.cg = o->cg, .list = list[i], .id = i, .shared = shared,
			.say = a[1], .listen = a[0], .hear = b[0], .answer = b[1],
		};
		o->p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
			    (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
		if (o->p == MAP_FAILED)
			palloc_bail("mmap: %s", strerror(errno));
		madvise(o->p, PAGES * palloc_page_size, MADV_NOHUGEPAGE);
		o->pid = palloc_spawn(o->cg, lives, o);
		o->pidfd = syscall(__NR_pidfd_open, o->pid, 0);
		if (o->pidfd < 0)
			palloc_bail("pidfd_open: %s", strerror(errno));
	}
	for (i = 0; i < OWNERS; i++)
		tell(&owner[i], FILL);
}

static void end(void)
{
	unsigned int i;

	for (i = 0; i < OWNERS; i++) {
		struct owner *o = &owner[i];

		tell(o, END);
		expect(palloc_reap(o->pid));
		close(o->pidfd);
		close(o->say);
		close(o->hear);
		close(o->listen);
		close(o->answer);
		palloc_free(o->p, PAGES);
		palloc_cg_remove(o->cg);
	}
}

static bool advise(const struct owner *o, size_t page, size_t pages, int advice)
{
	struct iovec range = { at(o, page), pages * palloc_page_size };

	return syscall(__NR_process_madvise, o->pidfd, &range, 1, advice, 0) ==
	       (ssize_t)range.iov_len;
}

/*
 * Has all pages swapped out, in turns, so that they lie interleaved, and out of
 * the swap cache, too, where those of a loop device stay after they are written.
 */
static void swap_out(void)
{
	unsigned int tries, i;
	size_t page, out = 0;
	char text[16];

	for (tries = 0; tries < 50 && out < OWNERS * PAGES; tries++) {
		if (tries) {
			palloc_drain_lru();
			usleep(20000);
		}
		for (page = 0; page < PAGES; page++)
			for (i = 0; i < OWNERS; i++)
				expect(advise(&owner[i], page, 1, MADV_PAGEOUT));
		for (i = 0, out = 0; i < OWNERS; i++)
			out += palloc_absent(owner[i].pid, owner[i].p, PAGES);
	}
	expect(out == OWNERS * PAGES);
	for (tries = 0; tries < 3; tries++) {
		usleep(5000);
		snprintf(text, sizeof(text), "%ldK", palloc_meminfo("SwapCached"));
		palloc_cg_write(palloc_cg_root(), "memory.reclaim", text);
	}
	palloc_note("swapped out: %zu, kB still in the swap cache: %ld", out,
		    palloc_meminfo("SwapCached"));
}

/* Swap space.  A loop device is there for zram not to be read at once. */
static bool space_new(enum device device)
{
	space = (struct space) { .loop = -1 };
	space.zram = palloc_zram_add(SWAP_PAGES);
	if (space.zram < 0)
		return false;
	snprintf(space.path, sizeof(space.path), "/dev/zram%d", space.zram);
	if (device != ZRAM) {
		int fd = open(space.path, O_RDWR | O_CLOEXEC);

		space.loop = palloc_loop_add(fd, palloc_page_size, LO_FLAGS_DIRECT_IO,
					     space.path);
		close(fd);
		if (space.loop < 0)
			return false;
	}
	if (device == ZSWAP_LOOP &&
	    palloc_file_write(ZSWAP "/enabled", "1", 1))
		palloc_bail("zswap: cannot be enabled");
	palloc_mkswap(space.path, SWAP_PAGES);
	if (swapon(space.path, 0))
		palloc_bail("swapon %s: %s", space.path, strerror(errno));
	return true;
}

static void space_free(void)
{
	if (space.loop >= 0)
		close(space.loop);
	palloc_zram_remove(space.zram);
}

static void test_swap(const void *arg)
{
	static const char *const list[OWNERS] = { "0-3", "8-11", NULL };
	const enum device device = *(const enum device *)arg;
	unsigned int i, shared;

	if (!palloc_keep(CLUSTER) || !palloc_keep(READAHEAD) ||
	    (device == ZSWAP_LOOP && (!palloc_keep(ZSWAP "/enabled") ||
				      !palloc_keep(ZSWAP "/max_pool_percent"))) ||
	    !space_new(device)) {
		palloc_skip("no such swap");
		return;
	}
	/* What lies around in swap is read, not what does in the address space. */
	expect(palloc_file_write(CLUSTER, "5", 1) == 0);
	expect(palloc_file_write(READAHEAD, "0", 1) == 0);
	palloc_setup_mask(0xf000);
	for (shared = 0; shared < 2; shared++) {
		begin(list, shared);
		tell_all(CHECK);

		swap_out();
		tell_all(READ);
		tell_all(CHECK);

		swap_out();
		tell_all(WRITE);
		tell_all(CHECK);

		/* All are read by one of no color, for all. */
		swap_out();
		for (i = 0; i < OWNERS; i++)
			expect(advise(&owner[i], 0, PAGES, MADV_WILLNEED));
		palloc_note("kB in the swap cache: %ld", palloc_meminfo("SwapCached"));
		tell_all(READ);
		tell_all(CHECK);

		if (!shared) {
			swap_out();
			tell(&owner[0], FORK);
			tell_all(CHECK);
		}

		if (device == ZSWAP_LOOP && !shared) {
			/* A full pool is emptied, through the swap cache. */
			swap_out();
			expect(palloc_file_write(ZSWAP "/max_pool_percent", "0", 1) == 0);
			tell(&owner[2], WRITE);
			expect(advise(&owner[2], 0, PAGES, MADV_PAGEOUT));
			usleep(300000);
			palloc_note("kB in the swap cache: %ld", palloc_meminfo("SwapCached"));
			tell_all(WRITE);
			tell_all(CHECK);
			expect(palloc_file_write(ZSWAP "/max_pool_percent", "20", 2) == 0);
		}

		/* Shared memory is of nobody who would be known by then. */
		swap_out();
		for (i = 0; !shared && i < OWNERS; i++)
			expect(advise(&owner[i], 0, PAGES / 2, MADV_WILLNEED));
		expect(swapoff(space.path) == 0);
		for (i = 0; !shared && i < OWNERS; i++)
			expect(palloc_absent(owner[i].pid, owner[i].p, PAGES) == 0);
		if (!shared)
			tell_all(CHECK);
		else
			tell_all(READ);
		end();
		if (!shared && !expect(swapon(space.path, 0) == 0))
			break;
	}
	expect(palloc_fallbacks() == 0);
	space_free();
}

/* The pages are in the swap cache only: no writeback, no CPU's batch refers to them. */
static void written(void)
{
	while (palloc_vmstat("nr_writeback") > 0)
		usleep(10000);
	palloc_drain_lru();
}

/* There are no pages of colors 4 to 7: what the swap cache has must not do. */
static void test_strict(const void *arg)
{
	static const char *const list[OWNERS] = { "0-1", "2-3", NULL };
	unsigned int i;

	if (!palloc_keep(CLUSTER) || !palloc_keep(READAHEAD) || !space_new(LOOP)) {
		palloc_skip("no such swap");
		return;
	}
	palloc_setup_text(PALLOC_MAP_GONE);
	begin(list, false);
	expect(palloc_cg_write(owner[0].cg, "palloc.policy", "strict") == 0);
	tell(&owner[0], STEADY);
	tell(&owner[1], STEADY);
	swap_out();
	for (i = 0; i < OWNERS; i++)
		expect(advise(&owner[i], 0, PAGES, MADV_WILLNEED));
	written();
	expect(palloc_cg_bins_gone(owner[0].cg, "4") == 0);
	written();
	tell(&owner[0], FAIL);
	expect(palloc_cg_event(owner[0].cg, "failed") > 0);
	expect(palloc_fallbacks() == 0);

	/* Who is not strict gets what is there. */
	expect(palloc_cg_bins_gone(owner[1].cg, "5") == 0);
	written();
	tell(&owner[1], READ);
	expect(palloc_cg_event(owner[1].cg, "fallback") == PAGES);

	expect(swapoff(space.path) == -1 && errno == ENOMEM);
	expect(palloc_absent(owner[0].pid, owner[0].p, PAGES) == PAGES);

	expect(palloc_cg_bins(owner[0].cg, list[0]) == 0);
	tell(&owner[0], READ);
	tell(&owner[0], CHECK);
	expect(swapoff(space.path) == 0);
	end();
	space_free();
}

/* In the swap cache, pages are of nobody; but their colors are somebody's. */
static void test_moved(const void *arg)
{
	static const char *const list[OWNERS] = { "0-3", "8-11", NULL };
	/* Not only of the owners' pages: others' may not have been written yet. */
	static __u64 before[SWAP_PAGES + 1], after[SWAP_PAGES + 1];
	const size_t max = ARRAY_SIZE(before), n = PAGES / 2;
	int colors[16] = { 0 };
	size_t in_cache, i, j, bad = 0;

	if (!palloc_keep(CLUSTER) || !palloc_keep(READAHEAD) || !space_new(LOOP)) {
		palloc_skip("no such swap");
		return;
	}
	palloc_setup_mask(0xf000);
	begin(list, false);
	swap_out();
	expect(advise(&owner[0], 0, PAGES, MADV_WILLNEED));
	in_cache = palloc_find_flag(KPF_SWAPCACHE, before, max);
	expect(in_cache >= PAGES && in_cache < max);
	for (i = 0; i < in_cache; i++)
		colors[palloc_color(&palloc_map, before[i])]++;
	expect(colors[0] && colors[3] && colors[0] + colors[1] + colors[2] + colors[3] >= PAGES);
	for (i = 0; i < n; i++)
		expect(palloc_soft_offline(NULL, before[i]) == 0);
	expect(palloc_find_flag(KPF_SWAPCACHE, after, max) == in_cache);
	for (i = 0; i < in_cache; i++) {
		colors[palloc_color(&palloc_map, after[i])]--;
		for (j = 0; j < n; j++)
			bad += after[i] == before[j];
	}
	expect(!bad);
	for (i = 0; i < ARRAY_SIZE(colors); i++)
		expect(!colors[i]);
	tell_all(READ);
	tell_all(CHECK);
	for (i = 0; i < n; i++)
		expect(palloc_unpoison(before[i]) == 0);
	expect(palloc_fallbacks() == 0);
	expect(swapoff(space.path) == 0);
	end();
	space_free();
}

static const enum device zram = ZRAM, loop = LOOP, zswap = ZSWAP_LOOP;

static const struct palloc_test tests[] = {
	{ "zram", test_swap, &zram },
	{ "a loop device", test_swap, &loop },
	{ "zswap", test_swap, &zswap },
	{ "strict owners", test_strict, NULL },
	{ "the swap cache is moved", test_moved, NULL },
};

int main(void)
{
	palloc_init(PALLOC_NEED_CGROUP);
	palloc_pin(0);
	palloc_steady();
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
