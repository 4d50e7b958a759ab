// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that hibernation, which walks all free lists to leave free pages out
 * of its image, and the return from it do no harm to colored pages or to the
 * index of free ones.
 */
#include <sys/swap.h>

#include "palloc_util.h"

#define DISK		"/sys/power/disk"
#define STATE		"/sys/power/state"
#define SWAP_PAGES	65536
#define PAGES		2048

static struct shared {
	unsigned int ready, back;
} *shared;

static void sleeps(const void *arg)
{
	static __u64 pfn[PAGES];
	size_t i, moved = 0;
	char *p, *more;

	p = palloc_alloc(PAGES, 0);
	/* For the image's sake, others are swapped out. */
	expect(mlock(p, PAGES * palloc_page_size) == 0);
	for (i = 0; i < PAGES; i++) {
		*(size_t *)(p + i * palloc_page_size) = i;
		pfn[i] = palloc_pfn(p + i * palloc_page_size);
	}
	__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
	palloc_wait_for(&shared->back);
	for (i = 0; i < PAGES; i++) {
		moved += pfn[i] != palloc_pfn(p + i * palloc_page_size);
		if (*(size_t *)(p + i * palloc_page_size) != i)
			break;
	}
	expect(i == PAGES);
	expect(moved == 0);
	expect(palloc_pure(p, PAGES, "9-11"));
	more = palloc_alloc(PAGES, 0);
	expect(palloc_pure(more, PAGES, "9-11"));
	expect(palloc_verified());
}

static void test_hibernation(const void *arg)
{
	const char *cg;
	pid_t pid;
	int ret;

	/* Writes an image, reads it at once, and goes on from there. */
	expect(palloc_keep(DISK));
	if (!expect(palloc_file_write(DISK, "test_resume", 11) == 0))
		return;
	cg = palloc_setup_cg("hibernation", "9-11");
	memset(shared, 0, sizeof(*shared));
	pid = palloc_spawn(cg, sleeps, NULL);
	palloc_wait_for(&shared->ready);
	ret = palloc_file_write(STATE, "disk", 4);
	palloc_note("hibernation returned %d", ret);
	expect(ret == 0);
	expect(palloc_verified());
	__atomic_store_n(&shared->back, 1, __ATOMIC_RELEASE);
	expect(palloc_reap(pid));
	expect(palloc_fallbacks() == 0);
	expect(palloc_lossless());
}

static const struct palloc_test tests[] = {
	{ "hibernation and back", test_hibernation, NULL },
	{ "hibernation and back again", test_hibernation, NULL },
};

int main(void)
{
	char swap[32];
	int zram;

	palloc_init(PALLOC_NEED_CGROUP);
	shared = palloc_shared(1);
	if (access(DISK, W_OK)) {
		printf("1..0 # SKIP no hibernation (CONFIG_HIBERNATION)\n");
		return KSFT_SKIP;
	}
	zram = palloc_zram_add(SWAP_PAGES);
	if (zram < 0) {
		printf("1..0 # SKIP no swap on zram (CONFIG_ZRAM)\n");
		return KSFT_SKIP;
	}
	snprintf(swap, sizeof(swap), "/dev/zram%d", zram);
	palloc_mkswap(swap, SWAP_PAGES);
	if (swapon(swap, 0))
		palloc_bail("swapon %s: %s", swap, strerror(errno));
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
