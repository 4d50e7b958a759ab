// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that hibernation, which walks all free lists to leave free pages out
 * of its image, and the return from it do no harm to colored pages or to the
 * index of free ones.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "palloc_util.h"

#define DISK		"/sys/power/disk"
#define STATE		"/sys/power/state"
#define ZRAM		"/sys/block/zram0"
#define SWAP		"/dev/zram0"
#define SWAP_PAGES	65536U
#define PAGES		2048

static struct shared {
	unsigned int ready, back;
} *shared;

/* A swap area's first page. */
static bool make_swap(void)
{
	char page[4096] = { 0 };
	__u32 *info = (__u32 *)(page + 1024);
	int fd, n;

	snprintf(page, sizeof(page), "%zu", SWAP_PAGES * sizeof(page));
	if (palloc_file_write(ZRAM "/disksize", page, strlen(page)))
		return false;
	memset(page, 0, sizeof(page));
	info[0] = 1;			/* version */
	info[1] = SWAP_PAGES - 1;	/* last page */
	memcpy(page + sizeof(page) - 10, "SWAPSPACE2", 10);
	fd = open(SWAP, O_WRONLY | O_CLOEXEC | O_SYNC);
	if (fd < 0)
		return false;
	n = write(fd, page, sizeof(page));
	return !close(fd) && n == sizeof(page) && !swapon(SWAP, 0);
}

static void wait_for(const unsigned int *what)
{
	unsigned int tries;

	for (tries = 0; tries < 30000; tries++) {
		if (__atomic_load_n(what, __ATOMIC_ACQUIRE))
			return;
		usleep(10000);
	}
	palloc_bail("waited too long");
}

static void sleeps(const void *arg)
{
	static __u64 pfn[PAGES];
	size_t i, moved = 0;
	char *p, *more;

	(void)arg;
	p = palloc_alloc(PAGES, 0);
	/* For the image's sake, others are swapped out. */
	expect(mlock(p, PAGES * palloc_page_size) == 0);
	for (i = 0; i < PAGES; i++) {
		*(size_t *)(p + i * palloc_page_size) = i;
		pfn[i] = palloc_pfn(p + i * palloc_page_size);
	}
	__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
	wait_for(&shared->back);
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

	(void)arg;
	/* Writes an image, reads it at once, and goes on from there. */
	expect(palloc_keep(DISK));
	if (!expect(palloc_file_write(DISK, "test_resume", 11) == 0))
		return;
	palloc_setup_mask(0xf000);
	cg = palloc_cg_new(NULL, "hibernation");
	expect(palloc_cg_bins(cg, "9-11") == 0);
	memset(shared, 0, sizeof(*shared));
	pid = palloc_spawn(cg, sleeps, NULL);
	wait_for(&shared->ready);
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
	ksft_print_header();
	palloc_init(PALLOC_NEED_CGROUP);
	shared = mmap(NULL, palloc_page_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		palloc_bail("mmap: %s", strerror(errno));
	if (access(DISK, W_OK)) {
		printf("1..0 # SKIP no hibernation (CONFIG_HIBERNATION)\n");
		return KSFT_SKIP;
	}
	if (!make_swap()) {
		printf("1..0 # SKIP no swap on zram (CONFIG_ZRAM)\n");
		return KSFT_SKIP;
	}
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
