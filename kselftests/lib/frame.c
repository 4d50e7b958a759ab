// SPDX-License-Identifier: GPL-2.0
/* See frame.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "color.h"
#include "file.h"
#include "frame.h"

#define PM_SWAP_TYPE	31

#define KPF_ANON	_BITULL(12)
#define KPF_COMPOUND_HEAD	_BITULL(15)
#define KPF_COMPOUND_TAIL	_BITULL(16)
#define KPF_THP		_BITULL(22)
#define KPF_ZERO_PAGE	_BITULL(24)

#define SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"

/* None at the end of memory, where the file ends. */
__u64 palloc_page_flags(__u64 pfn)
{
	static int fd = -1;
	__u64 flags = 0;

	if (fd < 0)
		fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) < 0)
		palloc_bail("cannot read /proc/kpageflags");
	return flags;
}

/*
 * A page that is mapped once and not a file page is anonymous. What is mapped
 * several times (after fork) or has no struct page counts (zero page, vvar)
 * needs a second look.
 */
static bool is_anon(__u64 entry)
{
	__u64 flags;

	if (!(entry & PM_PRESENT) || (entry & PM_FILE) || !(entry & PM_PFN))
		return false;
	if (entry & PM_EXCLUSIVE)
		return true;
	flags = palloc_page_flags(entry & PM_PFN);
	return (flags & KPF_ANON) && !(flags & KPF_ZERO_PAGE);
}

static int open_pagemap(pid_t pid)
{
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/pagemap");
	return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * Real swap space has the low types.  The others stand for pages that are being
 * migrated, mostly.
 */
static bool is_moving(const __u64 *entry, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!(entry[i] & PM_PRESENT) && (entry[i] & PM_SWAP) &&
		    (entry[i] & PM_SWAP_TYPE) > PM_SWAP_TYPE / 2)
			return true;
	return false;
}

/* Waits for pages that are just being migrated, but not for ever. */
int palloc_walk_entries(pid_t pid, const void *addr, size_t pages,
			void (*page)(__u64 entry, void *ctx), void *ctx)
{
	__u64 at = (uintptr_t)addr / palloc_page_size, entry[512];
	int fd = open_pagemap(pid);
	unsigned int tries = 0;

	if (fd < 0)
		return -errno;
	while (pages) {
		size_t n = pages < ARRAY_SIZE(entry) ? pages : ARRAY_SIZE(entry);
		ssize_t got = pread(fd, entry, n * sizeof(entry[0]),
				    at * sizeof(entry[0]));
		size_t i;

		if (got <= 0) {
			got = got < 0 ? -errno : -EIO;
			close(fd);
			return got;
		}
		n = got / sizeof(entry[0]);
		if (is_moving(entry, n) && tries++ < 200) {
			usleep(10000);
			continue;
		}
		for (i = 0; i < n; i++)
			page(entry[i], ctx);
		at += n;
		pages -= n;
	}
	close(fd);
	return 0;
}

struct anon_walk {
	void (*page)(__u64 pfn, void *ctx);
	void *ctx;
};

static void walk_anon(__u64 entry, void *ctx)
{
	const struct anon_walk *walk = ctx;

	if (is_anon(entry))
		walk->page(entry & PM_PFN, walk->ctx);
}

/* Present anonymous pages only. */
int palloc_walk(pid_t pid, const void *addr, size_t pages,
		void (*page)(__u64 pfn, void *ctx), void *ctx)
{
	struct anon_walk anon = { page, ctx };

	return palloc_walk_entries(pid, addr, pages, walk_anon, &anon);
}

static void get_pfn(__u64 pfn, void *ctx)
{
	*(__u64 *)ctx = pfn;
}

/* The frame of one anonymous page, 0 if there is none. */
__u64 palloc_pfn(const void *addr)
{
	__u64 pfn = 0;

	palloc_walk(0, addr, 1, get_pfn, &pfn);
	return pfn;
}

/* The frame of a page, of a file or not; 0 if there is none. */
__u64 palloc_any_pfn(const void *addr)
{
	__u64 entry = 0;

	palloc_walk_entries(0, addr, 1, get_pfn, &entry);
	return entry & PM_PRESENT ? entry & PM_PFN : 0;
}

/* Whether a page is one of several that are allocated as one, a large folio. */
bool palloc_is_large(const void *addr)
{
	__u64 pfn = palloc_any_pfn(addr);

	return pfn && (palloc_page_flags(pfn) & KPF_THP);
}

/* Whether a large folio of so many pages begins there. */
bool palloc_is_folio(const void *addr, size_t pages)
{
	__u64 pfn = palloc_any_pfn(addr);
	size_t i;

	if (!palloc_is_large(addr) || !(palloc_page_flags(pfn) & KPF_COMPOUND_HEAD))
		return false;
	for (i = 1; i < pages; i++)
		if (!(palloc_page_flags(pfn + i) & KPF_COMPOUND_TAIL))
			return false;
	return !(palloc_page_flags(pfn + pages) & KPF_COMPOUND_TAIL);
}

bool palloc_is_huge(const void *addr)
{
	return palloc_is_folio(addr, HUGE_SIZE / palloc_page_size);
}

static void count_absent(__u64 entry, void *ctx)
{
	*(size_t *)ctx += !(entry & PM_PRESENT);
}

/* How many pages of the range are not mapped, as those swapped out. */
size_t palloc_absent(pid_t pid, const void *addr, size_t pages)
{
	size_t n = 0;

	if (palloc_walk_entries(pid, addr, pages, count_absent, &n))
		palloc_bail("cannot read pagemap of %d", pid);
	return n;
}

bool palloc_is_zero_page(__u64 pfn)
{
	return palloc_page_flags(pfn) & KPF_ZERO_PAGE;
}

static void count_zero(__u64 entry, void *ctx)
{
	*(size_t *)ctx += (entry & PM_PRESENT) && (entry & PM_PFN) &&
			  palloc_is_zero_page(entry & PM_PFN);
}

/* How many pages of the range map the page of zeroes. */
size_t palloc_zeroes(const void *addr, size_t pages)
{
	size_t n = 0;

	if (palloc_walk_entries(0, addr, pages, count_zero, &n))
		palloc_bail("cannot read /proc/self/pagemap");
	return n;
}

/* Pages of all memory that have a flag of /proc/kpageflags; up to @max. */
size_t palloc_find_flag(unsigned int flag, __u64 *pfn, size_t max)
{
	FILE *ranges = fopen("/proc/iomem", "re"), *flags = fopen("/proc/kpageflags", "re");
	unsigned long long from, to;
	char line[256];
	size_t n = 0;
	__u64 f;

	if (!ranges || !flags)
		palloc_bail("cannot read /proc/kpageflags");
	while (fgets(line, sizeof(line), ranges)) {
		if (!strstr(line, " : System RAM") ||
		    sscanf(line, "%llx-%llx", &from, &to) != 2)
			continue;
		from /= palloc_page_size;
		to /= palloc_page_size;
		fseek(flags, from * sizeof(f), SEEK_SET);
		for (; from <= to && fread(&f, sizeof(f), 1, flags) == 1; from++)
			if ((f >> flag & 1) && n < max)
				pfn[n++] = from;
	}
	fclose(flags);
	fclose(ranges);
	return n;
}

/* Has all CPUs put what they keep in batches on the LRU: nothing is to be moved. */
void palloc_drain_lru(void)
{
	syscall(__NR_move_pages, 0, 0UL, NULL, "", NULL, 0);
}

/*
 * Have a page replaced as if it had errors: a mapped one, or, if @addr is NULL, that
 * of a pfn. It is busy while somebody else looks at it, or it waits to be put on the
 * LRU; that does not last.
 */
int palloc_soft_offline(void *addr, __u64 pfn)
{
	unsigned int tries = 100;
	char text[32];
	int ret;

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)pfn * palloc_page_size);
	for (;;) {
		if (addr)
			ret = madvise(addr, palloc_page_size, MADV_SOFT_OFFLINE) ? -errno : 0;
		else
			ret = palloc_file_puts(SOFT_OFFLINE, text);
		if (ret != -EBUSY || !--tries)
			return ret;
		palloc_drain_lru();
		usleep(10000);
	}
}

/* Takes back what soft or hard offlining has done to a page. */
int palloc_unpoison(__u64 pfn)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)pfn);
	return palloc_file_puts(PALLOC_UNPOISON, text);
}
