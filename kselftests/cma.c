// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that colored pages may lie in a CMA area, make room when a driver
 * wants it, or when they are to be pinned for long, and take no page of it
 * meanwhile; they keep their color, or, if there is no other page of it, get
 * another, which is counted; the data lives on, the counters agree, and the area
 * serves the color again afterwards.
 */
#include <dirent.h>

#include "palloc_util.h"

#define CMA_DIR		"/sys/kernel/debug/cma"
#define STEP		4
#define ROOM		64
#define MAX_PAGES	0x40000
#define WANT		4

static char area[128];
static long area_start, area_pages;

static struct shared {
	unsigned int filled, moved, done;
} *shared;

static long area_number(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", area, file);
	return palloc_file_number(path);
}

static int area_command(const char *file, long pages)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", pages);
	return palloc_dir_puts(area, file, text);
}

/* A page that somebody holds for a moment is in the way of all. */
static int area_alloc(long pages)
{
	unsigned int tries;
	int ret = -EBUSY;

	for (tries = 0; tries < 200 && ret; tries++) {
		if (tries)
			usleep(100000);
		ret = area_command("alloc", pages);
	}
	return ret;
}

/* The first area of 4 MiB and more. */
static bool find_area(void)
{
	DIR *dir = opendir(CMA_DIR);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(area, sizeof(area), CMA_DIR "/%.64s", entry->d_name);
		area_start = area_number("base_pfn");
		area_pages = area_number("count");
		if (area_start > 0 && area_pages >= 1024)
			break;
		area_pages = 0;
	}
	if (dir)
		closedir(dir);
	return area_pages > 0;
}

static size_t pages_in_area(const char *p, size_t pages)
{
	size_t i, n = 0;

	for (i = 0; i < pages; i++) {
		long pfn = palloc_pfn(p + i * palloc_page_size);

		n += pfn >= area_start && pfn < area_start + area_pages;
	}
	return n;
}

/* Takes the color's pages until some are of the area, or there is no other. */
static size_t fill(char *p, size_t from)
{
	unsigned long long before = palloc_fallbacks();
	size_t n, in_area = 0;

	for (n = from; n < MAX_PAGES && in_area < WANT; n += STEP) {
		size_t i;

		palloc_touch(p + n * palloc_page_size, STEP);
		for (i = n; i < n + STEP; i++)
			*(size_t *)(p + i * palloc_page_size) = i;
		in_area += pages_in_area(p + n * palloc_page_size, STEP);
		if (palloc_fallbacks() != before)
			break;
	}
	return n;
}

/* Frees what was taken last, but in the area: what is there will need room. */
static size_t make_room(char *p, size_t pages)
{
	size_t freed = 0;

	while (pages-- && freed < ROOM) {
		char *at = p + pages * palloc_page_size;

		if (pages_in_area(at, 1))
			continue;
		madvise(at, palloc_page_size, MADV_DONTNEED);
		freed++;
	}
	return freed;
}

struct want {
	const char *list;
	bool all;		/* the color's pages, those elsewhere included */
	bool pinned;		/* they leave because they are pinned for long */
};

/* Pins what lies in the area, which is no place for it. */
static void pin_all(char *p, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++)
		if (pages_in_area(p + i * palloc_page_size, 1))
			expect(palloc_pin_pages(p + i * palloc_page_size, 1) >= 0);
}

static void colored(const void *arg)
{
	char *p = palloc_map_pages(MAX_PAGES, MAP_NORESERVE);
	const struct want *want = arg;
	const char *list = want->list;
	unsigned long long before;
	unsigned long checked, other;
	size_t n, i, freed = 0, bad = 0;

	madvise(p, MAX_PAGES * palloc_page_size, MADV_NOHUGEPAGE);
	n = fill(p, 0);
	palloc_note("%zu pages, %zu of them in the area", n, pages_in_area(p, n));
	expect(pages_in_area(p, n) > 0);
	expect(palloc_pure(p, n, list));
	expect(palloc_verified());
	before = palloc_fallbacks();
	if (want->all) {
		char *q = palloc_map_pages(MAX_PAGES, MAP_NORESERVE);

		madvise(q, MAX_PAGES * palloc_page_size, MADV_NOHUGEPAGE);
		for (i = 0; i < MAX_PAGES && palloc_fallbacks() == before; i++)
			palloc_touch(q + i * palloc_page_size, 1);
		palloc_note("%zu more pages", i);
		before = palloc_fallbacks();
	} else {
		freed = make_room(p, n);
	}
	if (want->pinned) {
		pin_all(p, n);
		expect(pages_in_area(p, n) == 0);
	}
	__atomic_store_n(&shared->filled, 1, __ATOMIC_RELEASE);

	palloc_wait_for(&shared->moved);
	/* The color may run out now, but the area is not touched. */
	expect(pages_in_area(p, n) == 0);
	other = palloc_impure(0, p, n, list, &checked);
	palloc_note("%lu of %lu pages have another color, fallback %llu", other, checked,
		    palloc_fallbacks() - before);
	expect(other <= palloc_fallbacks() - before);
	expect(checked == n - freed && (want->all || !other));
	for (i = 0; i < n; i++) {
		char *at = p + i * palloc_page_size;

		bad += palloc_pfn(at) && *(size_t *)at != i;
	}
	expect(!bad);
	palloc_touch(p + n * palloc_page_size, ROOM);
	expect(pages_in_area(p, n + ROOM) == 0);
	expect(palloc_verified());
	__atomic_store_n(&shared->done, 1, __ATOMIC_RELEASE);
}

static void test_area(const void *arg)
{
	const struct want *want = arg;
	const char *cg;
	long pages;
	pid_t pid;

	palloc_setup_mask(palloc_max_bits < 8 ? 0xf000 : 0xff000);
	cg = palloc_cg_with(NULL, "cma", want->list);
	palloc_tidy_memory();
	pages = area_pages - area_number("used");
	expect(pages > 0);
	/* Compaction may have moved other pages there. */
	expect(area_alloc(pages) == 0);
	expect(area_command("free", pages) == 0);
	memset(shared, 0, sizeof(*shared));
	pid = palloc_spawn(cg, colored, want);
	palloc_wait_for(&shared->filled);

	expect(area_alloc(pages) == 0);
	expect(area_number("used") == area_pages);
	expect(palloc_verified());
	__atomic_store_n(&shared->moved, 1, __ATOMIC_RELEASE);
	palloc_wait_for(&shared->done);
	expect(palloc_reap(pid));
	expect(palloc_lossless());
	expect(area_command("free", pages) == 0);
	expect(area_number("used") == area_pages - pages);
	palloc_tidy_memory();
	expect(palloc_lossless());
}

static const struct want three = { "3", false, false };
static const struct want twelve = { "12", false, false };
static const struct want all = { "5", true, false };
static const struct want pinned = { "9", false, true };
static const struct want all_pinned = { "10", true, true };

static const struct palloc_test tests[] = {
	{ "colored pages leave a CMA area", test_area, &three },
	{ "colored pages leave a CMA area again", test_area, &three },
	{ "another color's pages leave a CMA area", test_area, &twelve },
	{ "pages of a color that ran out leave a CMA area", test_area, &all },
	{ "pages that are pinned for long leave a CMA area", test_area, &pinned },
	{ "pinned pages of a color that ran out leave a CMA area", test_area, &all_pinned },
};

int main(void)
{
	palloc_init(PALLOC_NEED_CGROUP);
	if (!find_area()) {
		printf("1..0 # SKIP no area in " CMA_DIR " (CONFIG_CMA_DEBUGFS)\n");
		return KSFT_SKIP;
	}
	shared = palloc_shared(1);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
