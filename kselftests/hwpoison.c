// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that pages with hardware errors leave the allocator, and come back
 * when the error is taken back, one by one: colored pages in use and free ones,
 * soft and hard, without a counter going wrong or the page's color being
 * handed out with it.
 */
#include "palloc_util.h"

#define MEMORY		"/sys/devices/system/memory"
#define INJECT		"/sys/kernel/debug/hwpoison/corrupt-pfn"
#define FILTER		"/sys/kernel/debug/hwpoison/corrupt-filter-"
#define PAGES		256
#define BAD		8
#define KPF_BUDDY	10
#define KPF_HWPOISON	19

static const char *group;

static bool has_flag(__u64 pfn, unsigned int flag)
{
	return palloc_page_flags(pfn) >> flag & 1;
}

static bool is_poisoned(__u64 pfn)
{
	return has_flag(pfn, KPF_HWPOISON);
}

static int write_number(const char *path, unsigned long long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", n);
	return palloc_file_puts(path, text);
}

/* A region of new pages has none of these. */
static bool has_none(const char *p, size_t pages, const __u64 *bad)
{
	size_t i, j, n = 0;

	for (i = 0; i < pages; i++) {
		__u64 pfn = palloc_pfn(p + i * palloc_page_size);

		for (j = 0; j < BAD; j++)
			n += pfn == bad[j];
	}
	return !n;
}

/* Takes back what was done; all is as before. */
static void take_back(const __u64 *bad)
{
	unsigned int i;

	for (i = 0; i < BAD; i++) {
		expect(is_poisoned(bad[i]));
		expect(palloc_unpoison(bad[i]) == 0);
		expect(!is_poisoned(bad[i]));
	}
	expect(palloc_meminfo("HardwareCorrupted") == 0);
}

static __u64 *shared_bad;

/* The data moves elsewhere; the page that was left is not used again. */
static void soft_offlines(const void *arg)
{
	char *p = palloc_alloc(PAGES, 0), *more;
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		p[i * palloc_page_size] = i;
	for (i = 0; i < BAD; i++) {
		char *at = p + i * 3 * palloc_page_size;

		shared_bad[i] = palloc_pfn(at);
		expect(palloc_soft_offline(at, 0) == 0);
		expect(palloc_pfn(at) && palloc_pfn(at) != shared_bad[i]);
		expect(palloc_verified());
	}
	for (i = 0; i < PAGES; i++)
		if (p[i * palloc_page_size] != (char)i)
			break;
	expect(i == PAGES);
	expect(palloc_pure(p, PAGES, "2"));
	more = palloc_alloc(4 * PAGES, 0);
	expect(palloc_pure(more, 4 * PAGES, "2"));
	expect(has_none(more, 4 * PAGES, shared_bad));
}

static void on_bus(int sig)
{
	_exit(0);
}

static void on_news(int sig)
{
}

/* The data is lost, and who looks for it is told. */
static void poisons(const void *arg)
{
	char *p = palloc_alloc(PAGES, 0), *more;
	unsigned int i;
	pid_t pid;

	/* Newer kernels tell who poisons it as well. */
	signal(SIGBUS, on_news);
	for (i = 0; i < BAD; i++) {
		char *at = p + i * 5 * palloc_page_size;

		shared_bad[i] = palloc_pfn(at);
		expect(madvise(at, palloc_page_size, MADV_HWPOISON) == 0);
		expect(is_poisoned(shared_bad[i]));
		expect(palloc_verified());
	}
	pid = fork();
	if (!pid) {
		signal(SIGBUS, on_bus);
		palloc_touch(p, 1);
		_exit(1);
	}
	expect(palloc_reap(pid));
	more = palloc_alloc(4 * PAGES, 0);
	expect(palloc_pure(more, 4 * PAGES, "2"));
	expect(has_none(more, 4 * PAGES, shared_bad));
}

/* Where free pages are: these were in use a moment ago. */
static void finds(const void *arg)
{
	char *p = palloc_alloc(PAGES, 0);
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		shared_bad[BAD + i] = palloc_pfn(p + i * palloc_page_size);
}

static void uses(const void *arg)
{
	char *more = palloc_alloc(4 * PAGES, 0);

	expect(palloc_pure(more, 4 * PAGES, "2"));
	expect(has_none(more, 4 * PAGES, shared_bad));
}

static void begin(void)
{
	group = palloc_setup_cg("hwpoison", "2");
}

static void test_used(const void *arg)
{
	void (*fn)(const void *arg) = *(void (* const *)(const void *))arg;

	begin();
	expect(palloc_run_in(group, fn, NULL));
	expect(palloc_lossless());
	take_back(shared_bad);
	expect(palloc_lossless());
	expect(palloc_fallbacks() == 0);
}

static void test_free(const void *arg)
{
	const char *file = arg;
	char path[128];
	unsigned int i, n = 0, tries;

	begin();
	snprintf(path, sizeof(path), MEMORY "/%s", file);
	/* Else the first compaction below moves what there is to pages that are found. */
	palloc_tidy_memory();
	expect(palloc_run_in(group, finds, NULL));
	/* The kernel may have some in use by now, or still. */
	for (tries = 0; n < BAD && tries < 50; tries++) {
		if (tries)
			usleep(100000);
		palloc_tidy_memory();
		for (i = BAD; i < BAD + PAGES && n < BAD; i += 7) {
			if (!has_flag(shared_bad[i], KPF_BUDDY))
				continue;
			shared_bad[n] = shared_bad[i];
			expect(write_number(path, shared_bad[n] * palloc_page_size) == 0);
			expect(is_poisoned(shared_bad[n++]));
			expect(palloc_verified());
		}
	}
	if (!expect(n == BAD))
		return;
	expect(palloc_run_in(group, uses, NULL));
	expect(palloc_lossless());
	take_back(shared_bad);
	expect(palloc_lossless());
	expect(palloc_fallbacks() == 0);
}

/* Who asks for a file system's pages only doesn't get free ones, nor a look at their lists. */
static void test_filter(const void *arg)
{
	static const int at[] = { -2, 1, 2, 6 };
	unsigned int i, k, n = 0;
	char *p;

	if (palloc_skip_if(access(INJECT, W_OK), "no " INJECT))
		return;
	palloc_setup_mask(0xf000);
	palloc_keep(FILTER "enable");
	palloc_keep(FILTER "dev-major");
	expect(write_number(FILTER "dev-major", 1) == 0);
	expect(write_number(FILTER "enable", 1) == 0);
	/* What is left of the blocks that these come from is free, in small blocks. */
	expect(palloc_set_color(2) == 0);
	p = palloc_alloc(4 * PAGES, MAP_PALLOC);
	for (i = 0; i < 4 * PAGES; i++) {
		__u64 pfn = palloc_pfn(p + i * palloc_page_size);

		for (k = 0; k < ARRAY_SIZE(at) && n < PAGES; k++) {
			if (!has_flag(pfn + at[k], KPF_BUDDY))
				continue;
			n++;
			expect(write_number(INJECT, pfn + at[k]) == 0);
			if (!expect(!is_poisoned(pfn + at[k])))
				return;
		}
	}
	expect(n > 0);
	palloc_free(p, 4 * PAGES);
}

static void (* const soft_fn)(const void *arg) = soft_offlines;
static void (* const hard_fn)(const void *arg) = poisons;

static const struct palloc_test tests[] = {
	{ "MADV_SOFT_OFFLINE of colored pages", test_used, &soft_fn },
	{ "MADV_HWPOISON of colored pages", test_used, &hard_fn },
	{ "soft_offline_page of free pages", test_free, "soft_offline_page" },
	{ "hard_offline_page of free pages", test_free, "hard_offline_page" },
	{ "a filter by device, and free pages", test_filter, NULL },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	if (access(PALLOC_UNPOISON, W_OK)) {
		printf("1..0 # SKIP no " PALLOC_UNPOISON " (CONFIG_HWPOISON_INJECT)\n");
		return KSFT_SKIP;
	}
	shared_bad = palloc_shared(1);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
