// SPDX-License-Identifier: GPL-2.0
/*
 * See page.h. Everything the tests prove goes through check_page(), which computes
 * the color of a page from its frame number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "color.h"
#include "frame.h"
#include "page.h"
#include "region.h"

static void add_page(__u64 pfn, void *ctx)
{
	struct palloc_hist *hist = ctx;

	hist->pages++;
	hist->n[palloc_color(&palloc_map, pfn)]++;
}

/* Adds to hist; returns how many pages hist has now, or -errno. */
long palloc_count(pid_t pid, const void *addr, size_t pages, struct palloc_hist *hist)
{
	int ret = palloc_walk(pid, addr, pages, add_page, hist);

	return ret ? ret : (long)hist->pages;
}

/*
 * All of a process's anonymous pages, or only those of its MAP_PALLOC regions.
 * The list of regions is taken first: the pages counted are the process's,
 * which may be this one.
 */
long palloc_count_all(pid_t pid, bool colored_only, struct palloc_hist *hist)
{
	char path[64], line[4096];
	struct range {
		unsigned long from, to;
	} *ranges = NULL;
	unsigned long from = 0, to = 0;
	size_t i, n = 0;
	int ret = 0;
	FILE *f;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/smaps");
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			bool special = !!strstr(line, "[v");

			from = special ? 0 : a;
			to = special ? 0 : b;
		} else if (!strncmp(line, "VmFlags:", 8) && from < to) {
			struct range *more;

			if (colored_only && !strstr(line, " pa"))
				continue;
			more = realloc(ranges, (n + 1) * sizeof(*ranges));
			if (!more) {
				ret = -ENOMEM;
				break;
			}
			ranges = more;
			ranges[n].from = from;
			ranges[n++].to = to;
		}
	}
	fclose(f);
	for (i = 0; i < n && !ret; i++)
		ret = palloc_walk(pid, (void *)ranges[i].from,
				  (ranges[i].to - ranges[i].from) / palloc_page_size,
				  add_page, hist);
	free(ranges);
	return ret ? ret : (long)hist->pages;
}

/* How many different colors a range shows. */
unsigned int palloc_seen(const void *addr, size_t pages)
{
	static struct palloc_hist hist;
	unsigned int i, seen = 0;

	memset(&hist, 0, sizeof(hist));
	palloc_count(0, addr, pages, &hist);
	for (i = 0; i < PALLOC_MAX_BINS; i++)
		seen += hist.n[i] != 0;
	return seen;
}

/*
 * An unrestricted range of PALLOC_MANY pages shows at least half of the colors:
 * the buddy allocator hands out neighbouring pages.
 */
bool palloc_mixed(const void *addr, size_t pages)
{
	unsigned int seen = palloc_seen(addr, pages);

	if (seen >= palloc_bins(&palloc_map) / 2 && seen > 1)
		return true;
	palloc_note("only %u of %u colors seen over %zu pages", seen,
		    palloc_bins(&palloc_map), pages);
	return false;
}

struct impure {
	struct palloc_set set;
	unsigned long checked, wrong;
	__u64 pfn;		/* of the first one that is wrong */
};

static void check_page(__u64 pfn, void *ctx)
{
	struct impure *im = ctx;

	im->checked++;
	if (palloc_set_has(&im->set, palloc_color(&palloc_map, pfn)))
		return;
	if (!im->wrong++)
		im->pfn = pfn;
}

/* Returns how many pages have a color that is not in the list. */
unsigned long palloc_impure(pid_t pid, const void *addr, size_t pages,
			    const char *list, unsigned long *checked)
{
	struct impure im = { .checked = 0 };
	int ret;

	palloc_set_parse(&im.set, list);
	ret = palloc_walk(pid, addr, pages, check_page, &im);
	if (ret)
		palloc_note("pagemap: %s", strerror(-ret));
	if (im.wrong)
		palloc_note("%lu of %lu pages outside %s, the first has pfn %llu color %u",
			    im.wrong, im.checked, list, im.pfn,
			    palloc_color(&palloc_map, im.pfn));
	*checked = im.checked;
	return im.wrong;
}

/* As check_page(), for pages of files as well. */
static void check_any_page(__u64 entry, void *ctx)
{
	if ((entry & PM_PRESENT) && (entry & PM_PFN) &&
	    !palloc_is_zero_page(entry & PM_PFN))
		check_page(entry & PM_PFN, ctx);
}

/* Every page of the range is mapped by the caller, and of an allowed color. */
bool palloc_pure_any(const void *addr, size_t pages, const char *list)
{
	struct impure im = { .checked = 0 };

	palloc_set_parse(&im.set, list);
	if (palloc_walk_entries(0, addr, pages, check_any_page, &im))
		palloc_bail("cannot read /proc/self/pagemap");
	if (im.wrong || im.checked != pages)
		palloc_note("%lu of %zu pages outside %s, first pfn %llu color %u; %zu not mapped",
			    im.wrong, pages, list, im.pfn,
			    palloc_color(&palloc_map, im.pfn), pages - im.checked);
	return !im.wrong && im.checked == pages;
}

/* Every page of the range is present, anonymous, and of an allowed color. */
bool palloc_pure_pid(pid_t pid, const void *addr, size_t pages, const char *list)
{
	unsigned long checked, wrong;

	wrong = palloc_impure(pid, addr, pages, list, &checked);
	if (checked != pages || !checked)
		palloc_note("%lu pages checked where %zu were expected", checked, pages);
	return !wrong && checked && checked == pages;
}

bool palloc_pure(const void *addr, size_t pages, const char *list)
{
	return palloc_pure_pid(0, addr, pages, list);
}

/* New memory is of these colors; of all of them, if @list is NULL. */
bool palloc_given(size_t pages, int flags, const char *list)
{
	void *p = palloc_alloc(pages, flags);
	bool ok = list ? palloc_pure(p, pages, list) : palloc_mixed(p, pages);

	palloc_free(p, pages);
	return ok;
}

/* The same, and each color of the list is used. */
bool palloc_given_all(size_t pages, int flags, const char *list)
{
	void *p = palloc_alloc(pages, flags);
	struct palloc_set set;
	bool ok;

	palloc_set_parse(&set, list);
	ok = palloc_pure(p, pages, list) && palloc_seen(p, pages) == palloc_set_count(&set);
	palloc_free(p, pages);
	return ok;
}

void palloc_allocates(const void *arg)
{
	expect(palloc_given(arg ? 512 : PALLOC_MANY, 0, arg));
}

/* All anonymous pages of a process, at least @want of them, are pure. */
bool palloc_process_pure(pid_t pid, const char *list, unsigned long want)
{
	static struct palloc_hist hist;
	unsigned long wrong = 0;
	struct palloc_set set;
	unsigned int i;

	memset(&hist, 0, sizeof(hist));
	palloc_set_parse(&set, list);
	palloc_count_all(pid, false, &hist);
	for (i = 0; i < PALLOC_MAX_BINS; i++)
		if (!palloc_set_has(&set, i))
			wrong += hist.n[i];
	if (wrong || hist.pages < want)
		palloc_note("process: %lu of %lu pages outside %s", wrong, hist.pages, list);
	return !wrong && hist.pages >= want;
}
