// SPDX-License-Identifier: GPL-2.0
/*
 * See palloc_util.h. Nothing here proves anything by itself; everything the
 * tests prove goes through palloc_impure(), which computes the color of every
 * present anonymous page of a range from its frame number.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/const.h>
#include <linux/io_uring.h>
#include <linux/loop.h>

#include "palloc_util.h"

#define PM_PRESENT	_BITULL(63)
#define PM_SWAP		_BITULL(62)
#define PM_FILE		_BITULL(61)
#define PM_EXCLUSIVE	_BITULL(56)
#define PM_PFN		(_BITULL(55) - 1)
#define PM_SWAP_TYPE	31

#define KPF_ANON	_BITULL(12)
#define KPF_COMPOUND_HEAD	_BITULL(15)
#define KPF_COMPOUND_TAIL	_BITULL(16)
#define KPF_THP		_BITULL(22)
#define KPF_ZERO_PAGE	_BITULL(24)

/* Of one test. The runner's own, of them all, is in the file settings. */
#define TIME_LIMIT	900

#define BLANKS		"\n "
#define BLOCK_SLACK	2
#define CG_MAX		64
#define PCP_FRACTION	"/proc/sys/vm/percpu_pagelist_high_fraction"
#define PROACTIVENESS	"/proc/sys/vm/compaction_proactiveness"

struct palloc_map palloc_map;
unsigned int palloc_max_bits;
size_t palloc_page_size;

static pid_t owner;
static unsigned int checks, failures;
static const char *skip_reason;
static bool have_syscalls;

static struct {
	bool valid;
	char use_palloc[16], mask[32], mc_xor[16], debug_level[16], balance[16];
	struct palloc_map map;
} saved;

/* Files of others that a test changes. */
static struct {
	const char *path;
	char text[64];
} kept[8];

static char pcp_fraction[32];

static char cg_root[PATH_MAX];
static char cg_path[CG_MAX][256];
static bool cg_enabled_here;

/* Files */

int palloc_file_write(const char *path, const void *buf, size_t len)
{
	ssize_t done;
	int fd, ret;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	done = write(fd, buf, len);
	if (done < 0)
		ret = -errno;
	else
		ret = (size_t)done == len ? 0 : -EIO;
	close(fd);
	return ret;
}

ssize_t palloc_file_read(const char *path, char *buf, size_t size)
{
	ssize_t n, done = 0;
	int fd;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((size_t)done < size - 1) {
		n = read(fd, buf + done, size - 1 - done);
		if (n < 0) {
			done = -errno;
			break;
		}
		if (!n)
			break;
		done += n;
	}
	close(fd);
	if (done >= 0)
		buf[done] = '\0';
	return done;
}

int palloc_write(const char *file, const void *buf, size_t len)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PALLOC_DIR "/%s", file);
	return palloc_file_write(path, buf, len);
}

int palloc_puts(const char *file, const char *text)
{
	return palloc_write(file, text, strlen(text));
}

ssize_t palloc_gets(const char *file, char *buf, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PALLOC_DIR "/%s", file);
	return palloc_file_read(path, buf, size);
}

static bool matches(const char *what, ssize_t len, const char *got, const char *want)
{
	if (len >= 0 && !strcmp(got, want))
		return true;
	if (len < 0)
		palloc_note("%s: %s", what, strerror(-len));
	else
		palloc_note("%s reads '%.*s' where '%.*s' was expected", what,
			    (int)strcspn(got, "\n"), got,
			    (int)strcspn(want, "\n"), want);
	return false;
}

bool palloc_reads(const char *file, const char *want)
{
	char buf[4096];

	return matches(file, palloc_gets(file, buf, sizeof(buf)), buf, want);
}

/* The same in sysfs. */
int palloc_sys_write(const char *file, const void *buf, size_t len)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PALLOC_SYSFS "/%s", file);
	return palloc_file_write(path, buf, len);
}

int palloc_sys_puts(const char *file, const char *text)
{
	return palloc_sys_write(file, text, strlen(text));
}

ssize_t palloc_sys_gets(const char *file, char *buf, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PALLOC_SYSFS "/%s", file);
	return palloc_file_read(path, buf, size);
}

bool palloc_sys_reads(const char *file, const char *want)
{
	char buf[8192];

	return matches(file, palloc_sys_gets(file, buf, sizeof(buf)), buf, want);
}

/* Maps and colors */

bool palloc_map_parse(struct palloc_map *map, const char *text)
{
	memset(map, 0, sizeof(*map));
	while (*text) {
		const char *end = strchrnul(text, '\n');
		__u64 fn = 0;

		while (text < end && *text != '#') {
			unsigned long bit;
			char *next;

			text += strspn(text, " \t");
			if (text >= end || *text == '#')
				break;
			bit = strtoul(text, &next, 10);
			if (next == text || bit > 63)
				return false;
			fn |= 1ULL << bit;
			text = next;
		}
		if (fn) {
			if (map->nbits == PALLOC_MAX_BITS)
				return false;
			map->fn[map->nbits++] = fn;
		}
		text = *end ? end + 1 : end;
	}
	return true;
}

bool palloc_map_read(struct palloc_map *map)
{
	char buf[4096];

	if (palloc_gets("control", buf, sizeof(buf)) < 0)
		return false;
	return palloc_map_parse(map, buf);
}

void palloc_map_text(const struct palloc_map *map, char *buf, size_t size)
{
	size_t used = 0;
	unsigned int i, bit;

	buf[0] = '\0';
	for (i = 0; i < map->nbits; i++) {
		const char *sep = "";

		for (bit = 0; bit < 64; bit++) {
			if (!(map->fn[i] >> bit & 1))
				continue;
			used += snprintf(buf + used, size - used, "%s%u", sep, bit);
			sep = " ";
		}
		used += snprintf(buf + used, size - used, "\n");
	}
}

void palloc_map_mask(struct palloc_map *map, __u64 mask)
{
	memset(map, 0, sizeof(*map));
	for (; mask && map->nbits < PALLOC_MAX_BITS; mask &= mask - 1)
		map->fn[map->nbits++] = mask & -mask;
}

bool palloc_map_same(const struct palloc_map *a, const struct palloc_map *b)
{
	return a->nbits == b->nbits &&
	       !memcmp(a->fn, b->fn, a->nbits * sizeof(a->fn[0]));
}

unsigned int palloc_bins(const struct palloc_map *map)
{
	return 1U << map->nbits;
}

unsigned int palloc_color(const struct palloc_map *map, __u64 pfn)
{
	__u64 addr = pfn * palloc_page_size;
	unsigned int i, color = 0;

	for (i = 0; i < map->nbits; i++)
		color |= (unsigned int)__builtin_parityll(addr & map->fn[i]) << i;
	return color;
}

static unsigned long long control_count(const char *line)
{
	char buf[4096], *at;

	if (palloc_gets("control", buf, sizeof(buf)) < 0)
		palloc_bail("cannot read control");
	at = strstr(buf, line);
	if (!at)
		palloc_bail("control has no line %s", line);
	return strtoull(at + strlen(line), NULL, 10);
}

unsigned long long palloc_fallbacks(void)
{
	return control_count("# fallback ");
}

unsigned long long palloc_failures(void)
{
	return control_count("# failed ");
}

void palloc_set_add(struct palloc_set *set, unsigned int color)
{
	const unsigned int width = 8 * sizeof(long);

	set->bits[color / width] |= 1UL << color % width;
}

void palloc_set_parse(struct palloc_set *set, const char *list)
{
	memset(set, 0, sizeof(*set));
	while (*list) {
		char *next;
		unsigned long from, to;

		from = strtoul(list, &next, 10);
		to = from;
		if (*next == '-')
			to = strtoul(next + 1, &next, 10);
		if (next == list || to >= PALLOC_MAX_BINS)
			palloc_bail("bad color list in the test: %s", list);
		for (; from <= to; from++)
			palloc_set_add(set, from);
		list = *next == ',' ? next + 1 : next;
	}
}

bool palloc_set_has(const struct palloc_set *set, unsigned int color)
{
	const unsigned int width = 8 * sizeof(long);

	return set->bits[color / width] >> color % width & 1;
}

unsigned int palloc_set_count(const struct palloc_set *set)
{
	unsigned int i, n = 0;

	for (i = 0; i < PALLOC_LONGS; i++)
		n += __builtin_popcountl(set->bits[i]);
	return n;
}

/* Putting a setting in force */

void palloc_enable(bool on)
{
	int ret = palloc_puts("use_palloc", on ? "1" : "0");

	if (ret)
		palloc_bail("use_palloc: %s", strerror(-ret));
}

/* Partner 0 leaves an address bit on its own. */
static int forget_pairs(void)
{
	char text[1024];
	size_t len = 0;
	int bit;

	for (bit = 1; bit < 64; bit++)
		len += snprintf(text + len, sizeof(text) - len, "xor %d 0\n", bit);
	return palloc_puts("control", text);
}

static void fresh_start(void)
{
	palloc_enable(false);
	if (forget_pairs() || palloc_puts("control", "reset\n") ||
	    palloc_puts("use_mc_xor", "0"))
		palloc_bail("cannot reset palloc");
}

void palloc_setup_mask(__u64 mask)
{
	char text[32];
	int ret;

	fresh_start();
	snprintf(text, sizeof(text), "0x%llx", mask);
	ret = palloc_puts("palloc_mask", text);
	if (ret)
		palloc_bail("palloc_mask %s: %s", text, strerror(-ret));
	palloc_map_mask(&palloc_map, mask);
	palloc_enable(true);
}

void palloc_setup_text(const char *text)
{
	int ret;

	fresh_start();
	ret = palloc_puts("control", text);
	if (ret)
		palloc_bail("control refuses a map: %s", strerror(-ret));
	if (!palloc_map_parse(&palloc_map, text))
		palloc_bail("bad map in the test");
	palloc_enable(true);
}

/* System calls */

long palloc_set_color(unsigned int color)
{
	return syscall(__NR_set_color, color);
}

long palloc_set_color_map(const unsigned long *map, unsigned long nbits)
{
	return syscall(__NR_set_color_map, map, nbits);
}

long palloc_set_colors(const char *list)
{
	struct palloc_set set;

	palloc_set_parse(&set, list);
	return palloc_set_color_map(set.bits, palloc_bins(&palloc_map));
}

/* Of the calling process's own map: PR_PALLOC_FALLBACK, _STRICT, or _GET. */
int palloc_policy(int op)
{
	return prctl(PR_PALLOC_POLICY, op, 0, 0, 0);
}

/* Pages */

/* None at the end of memory, where the file ends. */
static __u64 page_flags(__u64 pfn)
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
	flags = page_flags(entry & PM_PFN);
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
static int walk_entries(pid_t pid, const void *addr, size_t pages,
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
static int walk(pid_t pid, const void *addr, size_t pages,
		void (*page)(__u64 pfn, void *ctx), void *ctx)
{
	struct anon_walk anon = { page, ctx };

	return walk_entries(pid, addr, pages, walk_anon, &anon);
}

static void get_pfn(__u64 pfn, void *ctx)
{
	*(__u64 *)ctx = pfn;
}

/* The frame of one anonymous page, 0 if there is none. */
__u64 palloc_pfn(const void *addr)
{
	__u64 pfn = 0;

	walk(0, addr, 1, get_pfn, &pfn);
	return pfn;
}

/* Whether a page is one of several that are allocated as one, a large folio. */
bool palloc_is_large(const void *addr)
{
	__u64 pfn = palloc_any_pfn(addr);

	return pfn && (page_flags(pfn) & KPF_THP);
}

/* Whether a large folio of so many pages begins there. */
bool palloc_is_folio(const void *addr, size_t pages)
{
	__u64 pfn = palloc_any_pfn(addr);
	size_t i;

	if (!palloc_is_large(addr) || !(page_flags(pfn) & KPF_COMPOUND_HEAD))
		return false;
	for (i = 1; i < pages; i++)
		if (!(page_flags(pfn + i) & KPF_COMPOUND_TAIL))
			return false;
	return !(page_flags(pfn + pages) & KPF_COMPOUND_TAIL);
}

bool palloc_is_huge(const void *addr)
{
	return palloc_is_folio(addr, HUGE_SIZE / palloc_page_size);
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
			ret = palloc_file_write(PALLOC_SOFT_OFFLINE, text, strlen(text));
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
	return palloc_file_write(PALLOC_UNPOISON, text, strlen(text));
}

static void add_page(__u64 pfn, void *ctx)
{
	struct palloc_hist *hist = ctx;

	hist->pages++;
	hist->n[palloc_color(&palloc_map, pfn)]++;
}

/* Adds to hist; returns how many pages hist has now, or -errno. */
long palloc_count(pid_t pid, const void *addr, size_t pages, struct palloc_hist *hist)
{
	int ret = walk(pid, addr, pages, add_page, hist);

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
		ret = walk(pid, (void *)ranges[i].from,
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
	ret = walk(pid, addr, pages, check_page, &im);
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
	    !(page_flags(entry & PM_PFN) & KPF_ZERO_PAGE))
		check_page(entry & PM_PFN, ctx);
}

/* Every page of the range is mapped by the caller, and of an allowed color. */
bool palloc_pure_any(const void *addr, size_t pages, const char *list)
{
	struct impure im = { .checked = 0 };

	palloc_set_parse(&im.set, list);
	if (walk_entries(0, addr, pages, check_any_page, &im))
		palloc_bail("cannot read /proc/self/pagemap");
	if (im.wrong || im.checked != pages)
		palloc_note("%lu of %zu pages outside %s, first pfn %llu color %u; %zu not mapped",
			    im.wrong, pages, list, im.pfn,
			    palloc_color(&palloc_map, im.pfn), pages - im.checked);
	return !im.wrong && im.checked == pages;
}

static void count_absent(__u64 entry, void *ctx)
{
	*(size_t *)ctx += !(entry & PM_PRESENT);
}

/* The frame of a page, of a file or not; 0 if there is none. */
__u64 palloc_any_pfn(const void *addr)
{
	__u64 entry = 0;

	walk_entries(0, addr, 1, get_pfn, &entry);
	return entry & PM_PRESENT ? entry & PM_PFN : 0;
}

/* How many pages of the range are not mapped, as those swapped out. */
size_t palloc_absent(pid_t pid, const void *addr, size_t pages)
{
	size_t n = 0;

	if (walk_entries(pid, addr, pages, count_absent, &n))
		palloc_bail("cannot read pagemap of %d", pid);
	return n;
}

static void count_zero(__u64 entry, void *ctx)
{
	*(size_t *)ctx += (entry & PM_PRESENT) && (entry & PM_PFN) &&
			  (page_flags(entry & PM_PFN) & KPF_ZERO_PAGE);
}

/* How many pages of the range map the page of zeroes. */
size_t palloc_zeroes(const void *addr, size_t pages)
{
	size_t n = 0;

	if (walk_entries(0, addr, pages, count_zero, &n))
		palloc_bail("cannot read /proc/self/pagemap");
	return n;
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

/* All anonymous pages of the caller, at least @want of them, are pure. */
bool palloc_process_pure(const char *list, unsigned long want)
{
	static struct palloc_hist hist;
	unsigned long wrong = 0;
	struct palloc_set set;
	unsigned int i;

	memset(&hist, 0, sizeof(hist));
	palloc_set_parse(&set, list);
	palloc_count_all(0, false, &hist);
	for (i = 0; i < PALLOC_MAX_BINS; i++)
		if (!palloc_set_has(&set, i))
			wrong += hist.n[i];
	if (wrong || hist.pages < want)
		palloc_note("process: %lu of %lu pages outside %s", wrong, hist.pages, list);
	return !wrong && hist.pages >= want;
}

static unsigned int scan_smaps(uintptr_t from, uintptr_t to, const char *flag,
			       bool *all)
{
	unsigned int n = 0;
	bool inside = false;
	char line[4096];
	FILE *f;

	*all = true;
	f = fopen("/proc/self/smaps", "re");
	if (!f)
		palloc_bail("cannot read smaps");
	while (fgets(line, sizeof(line), f)) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			inside = a < to && b > from;
			n += inside;
		} else if (inside && flag && !strncmp(line, "VmFlags:", 8)) {
			if (!strstr(line, flag))
				*all = false;
		}
	}
	fclose(f);
	return n;
}

bool palloc_vm_flag(const void *addr, const char *flag)
{
	char padded[8];
	bool all;

	snprintf(padded, sizeof(padded), " %s", flag);
	return scan_smaps((uintptr_t)addr, (uintptr_t)addr + 1, padded, &all) == 1 && all;
}

unsigned int palloc_vmas(const void *addr, size_t pages)
{
	uintptr_t from = (uintptr_t)addr;
	bool all;

	return scan_smaps(from, from + pages * palloc_page_size, NULL, &all);
}

void *palloc_map_pages(size_t pages, int flags)
{
	void *p = mmap(NULL, pages * palloc_page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		palloc_bail("mmap of %zu pages, flags %#x: %s", pages, flags, strerror(errno));
	return p;
}

void palloc_touch(void *addr, size_t pages)
{
	char *p = addr;

	for (; pages; pages--, p += palloc_page_size)
		*p = 1;
}

void *palloc_alloc(size_t pages, int flags)
{
	void *p = palloc_map_pages(pages, flags);

	palloc_touch(p, pages);
	return p;
}

void palloc_free(void *addr, size_t pages)
{
	munmap(addr, pages * palloc_page_size);
}

/*
 * Has all memory of the caller, and some more stack, in place, so that the only
 * page it will lack is one that a test touches.
 */
void palloc_steady(void)
{
	const size_t size = 256 << 10;

	explicit_bzero(alloca(size), size);
	if (mlockall(MCL_CURRENT))
		palloc_bail("mlockall: %s", strerror(errno));
}

/*
 * Pins pages for long, for writing, as buffers of an io_uring. Returns a file
 * descriptor, which lets go of them when it is closed, or -1.
 */
int palloc_pin_pages(void *addr, size_t pages)
{
	struct iovec iov = { .iov_base = addr, .iov_len = pages * palloc_page_size };
	struct io_uring_params params = { .flags = 0 };
	int fd = syscall(__NR_io_uring_setup, 1, &params);

	if (fd >= 0 && syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static sigjmp_buf bus_jump;
static size_t bus_page;
static struct palloc_sigbus *bus_info;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (bus_info) {
		bus_info->code = info->si_code;
		bus_info->addr = info->si_addr;
	}
	siglongjmp(bus_jump, 1);
}

/*
 * Touches pages up to one that ends in SIGBUS; returns how many it could. For one
 * thread at a time.
 */
size_t palloc_try_touch(void *addr, size_t pages, struct palloc_sigbus *bus)
{
	struct sigaction act = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	struct sigaction old;
	char *p = addr;

	bus_info = bus;
	if (sigaction(SIGBUS, &act, &old))
		palloc_bail("sigaction: %s", strerror(errno));
	bus_page = 0;
	if (!sigsetjmp(bus_jump, 1)) {
		for (; bus_page < pages; bus_page++) {
			p[bus_page * palloc_page_size] = 1;
			/* The store comes before the count. */
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		}
	}
	sigaction(SIGBUS, &old, NULL);
	return bus_page;
}

/* Text values */

static long keyed(const char *path, const char *key)
{
	size_t len = strlen(key);
	long value = -1;
	char line[256];
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, len) || !strchr(": ", line[len]))
			continue;
		value = strtol(line + len + 1, NULL, 10);
		break;
	}
	fclose(f);
	return value;
}

/* In KiB. */
long palloc_meminfo(const char *key)
{
	return keyed("/proc/meminfo", key);
}

long palloc_vmstat(const char *key)
{
	return keyed("/proc/vmstat", key);
}

/* Control groups */

bool palloc_cg_init(void)
{
	char line[4096], dir[PATH_MAX], type[64], path[PATH_MAX + 64];
	FILE *f = fopen("/proc/self/mounts", "re");

	if (!f)
		return false;
	while (!cg_root[0] && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %4095s %63s", dir, type) == 2 &&
		    !strcmp(type, "cgroup2"))
			snprintf(cg_root, sizeof(cg_root), "%s", dir);
	fclose(f);
	if (!cg_root[0])
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", cg_root);
	if (palloc_file_read(path, line, sizeof(line)) < 0 || !strstr(line, "palloc"))
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", cg_root);
	if (palloc_file_read(path, line, sizeof(line)) < 0)
		return false;
	if (strstr(line, "palloc"))
		return true;
	cg_enabled_here = !palloc_file_write(path, "+palloc", 7);
	return cg_enabled_here;
}

const char *palloc_cg_root(void)
{
	return cg_root;
}

/* A group below @parent, or below the root. Removed when the test ends. */
const char *palloc_cg_new(const char *parent, const char *name)
{
	unsigned int i;
	int ret;

	for (i = 0; i < CG_MAX && cg_path[i][0]; i++)
		;
	if (i == CG_MAX)
		palloc_bail("too many cgroups");
	if (parent) {
		ret = palloc_cg_write(parent, "cgroup.subtree_control", "+palloc");
		if (ret)
			palloc_bail("enabling palloc below %s: %s", parent, strerror(-ret));
	} else {
		parent = cg_root;
	}
	snprintf(cg_path[i], sizeof(cg_path[i]), "%.180s/palloc_test.%d.%.40s",
		 parent, owner, name);
	if (mkdir(cg_path[i], 0755)) {
		ret = errno;
		cg_path[i][0] = '\0';
		palloc_bail("mkdir of cgroup %s: %s", name, strerror(ret));
	}
	return cg_path[i];
}

static int cg_rmdir(const char *cg)
{
	unsigned int tries;

	/* An exiting task leaves its group a moment after it can be reaped. */
	for (tries = 0; tries < 3000; tries++) {
		if (!rmdir(cg))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(20000);
	}
	return -errno;
}

int palloc_cg_remove(const char *cg)
{
	unsigned int i;
	int ret = cg_rmdir(cg);

	for (i = 0; i < CG_MAX && !ret; i++)
		if (cg == cg_path[i])
			cg_path[i][0] = '\0';
	return ret;
}

/* Children were registered after their parents: remove backwards. */
static void cg_remove_all(void)
{
	unsigned int i;

	for (i = CG_MAX; i-- > 0;) {
		if (!cg_path[i][0])
			continue;
		palloc_cg_write(cg_path[i], "cgroup.kill", "1");
		/* A child of ours may have removed it already. */
		if (!cg_rmdir(cg_path[i]) || errno == ENOENT)
			cg_path[i][0] = '\0';
	}
}

int palloc_cg_write(const char *cg, const char *file, const char *text)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", cg, file);
	return palloc_file_write(path, text, strlen(text));
}

ssize_t palloc_cg_read(const char *cg, const char *file, char *buf, size_t size)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", cg, file);
	return palloc_file_read(path, buf, size);
}

bool palloc_cg_reads(const char *cg, const char *file, const char *want)
{
	char buf[8192];

	return matches(file, palloc_cg_read(cg, file, buf, sizeof(buf)), buf, want);
}

int palloc_cg_bins(const char *cg, const char *list)
{
	return palloc_cg_write(cg, "palloc.bins", list);
}

/*
 * Have a cgroup run out of bins: those of 4 to 7 that it is given have pages at the
 * time, and none from when address bit 40 tells them from 0 to 3.
 */
int palloc_cg_bins_gone(const char *cg, const char *list)
{
	int ret = palloc_puts("control", "12\n13\n14\n");

	if (!ret)
		ret = palloc_cg_bins(cg, list);
	return palloc_puts("control", PALLOC_MAP_GONE) ?: ret;
}

/* How often an event was, -1 if palloc.events has no such line. */
long palloc_cg_event(const char *cg, const char *key)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/palloc.events", cg);
	return keyed(path, key);
}

/* For palloc_notified(): read, so that only changes from now on count. */
int palloc_cg_open_events(const char *cg)
{
	char path[PATH_MAX + 64], buf[128];
	int fd;

	snprintf(path, sizeof(path), "%s/palloc.events", cg);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf)) <= 0)
		palloc_bail("%s: %s", path, strerror(errno));
	return fd;
}

/* Whether a file is said to have changed, which may take a moment. */
bool palloc_notified(int fd, bool want)
{
	struct pollfd pfd = { .fd = fd, .events = POLLPRI };
	int ret = poll(&pfd, 1, want ? 60000 : 0);

	return want ? ret == 1 && (pfd.revents & POLLPRI) : !ret;
}

/* pid 0 is the caller. */
int palloc_cg_move(const char *cg, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return palloc_cg_write(cg, "cgroup.procs", text);
}

/* Children */

static noreturn void child(pid_t parent, const char *cg, int there,
			   void (*fn)(const void *arg), const void *arg)
{
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(KSFT_FAIL);
	failures = 0;
	if (cg) {
		ret = palloc_cg_move(cg, 0);
		if (ret)
			palloc_bail("moving into %s: %s", cg, strerror(-ret));
	}
	close(there);
	fn(arg);
	fflush(stdout);
	_exit(palloc_exit_code());
}

pid_t palloc_spawn(const char *cg, void (*fn)(const void *arg), const void *arg)
{
	pid_t parent = getpid(), pid;
	int there[2];
	char none;

	if (pipe2(there, O_CLOEXEC))
		palloc_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(there[0]);
		child(parent, cg, there[1], fn, arg);
	}
	close(there[1]);
	if (pid < 0)
		palloc_bail("fork: %s", strerror(errno));
	/* Whatever the caller does to the child next, it is to find it in the group. */
	while (read(there[0], &none, 1) < 0 && errno == EINTR)
		;
	close(there[0]);
	return pid;
}

/* As palloc_spawn(), but the child never runs outside of the group. */
pid_t palloc_clone_into(const char *cg, void (*fn)(const void *arg), const void *arg)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
	};
	pid_t parent = getpid(), pid;
	int fd = open(cg, O_DIRECTORY | O_CLOEXEC | O_PATH);

	if (fd < 0)
		palloc_bail("open %s: %s", cg, strerror(errno));
	args.cgroup = fd;
	fflush(stdout);
	pid = syscall(__NR_clone3, &args, sizeof(args));
	if (!pid)
		child(parent, NULL, -1, fn, arg);
	close(fd);
	if (pid < 0)
		palloc_bail("clone3: %s", strerror(errno));
	return pid;
}

bool palloc_reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	if (WIFEXITED(status))
		palloc_note("child exited with %d", WEXITSTATUS(status));
	else
		palloc_note("child died of signal %d", WTERMSIG(status));
	return false;
}

bool palloc_run_in(const char *cg, void (*fn)(const void *arg), const void *arg)
{
	return palloc_reap(palloc_spawn(cg, fn, arg));
}

/* The shell */

static struct {
	pid_t pid;
	FILE *to, *from;
} shell;

static void shell_start(void)
{
	char dir[PATH_MAX], path[2 * PATH_MAX];
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || !getcwd(dir, sizeof(dir)))
		palloc_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	shell.pid = fork();
	if (!shell.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		snprintf(path, sizeof(path), "%s:%s", dir, getenv("PATH") ?: "/bin:/usr/bin");
		setenv("PATH", path, 1);
		execl("/bin/sh", "sh", NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	shell.to = fdopen(in[1], "w");
	shell.from = fdopen(out[0], "r");
	if (shell.pid < 0 || !shell.to || !shell.from)
		palloc_bail("cannot start a shell: %s", strerror(errno));
}

/* It ends when there is nothing more to read. */
void palloc_shell_end(void)
{
	if (!shell.pid)
		return;
	fclose(shell.to);
	fclose(shell.from);
	waitpid(shell.pid, NULL, 0);
	shell.pid = 0;
}

int palloc_shell(const char *command, char *out, size_t size)
{
	static const char mark[] = "@@ status ";
	char line[4096];
	size_t len = 0;

	if (!shell.pid)
		shell_start();
	out[0] = '\0';
	/* The mark is on a line of its own, wherever the output ends. */
	fprintf(shell.to, "%s\nprintf '\\n%s%%d\\n' $?\n", command, mark);
	fflush(shell.to);
	while (fgets(line, sizeof(line), shell.from)) {
		if (!strncmp(line, mark, strlen(mark))) {
			while (len && out[len - 1] == '\n')
				out[--len] = '\0';
			return atoi(line + strlen(mark));
		}
		if (len + strlen(line) < size)
			len += sprintf(out + len, "%s", line);
	}
	palloc_shell_end();
	return -1;
}

void palloc_step(const void *arg)
{
	const struct palloc_step *step = arg;
	char out[16384], *line, *save;
	int status = palloc_shell(step->command, out, sizeof(out));
	bool same = !step->output || !fnmatch(step->output, out, 0);

	if (expect(status == step->status) & expect(same))
		return;
	palloc_note("status %d, expected %d; the output:", status, step->status);
	for (line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		palloc_note("  %s", line);
	if (!same)
		palloc_note("expected was: %s", step->output);
}

void palloc_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		palloc_note("cannot pin to CPU %d", cpu);
}

/*
 * Makes the per-CPU lists short, or lets them be as long as they were. They may
 * keep tens of MiB of what has been freed, and all of a large region may come
 * from there: not the time to judge what an unrestricted task is given, nor how
 * much is free.
 */
void palloc_short_lists(bool on)
{
	const size_t pages = 1024;
	cpu_set_t before, one;
	int cpu;

	if (!pcp_fraction[0] &&
	    palloc_file_read(PCP_FRACTION, pcp_fraction, sizeof(pcp_fraction)) <= 0)
		return;
	if (!on) {
		palloc_file_write(PCP_FRACTION, pcp_fraction, strlen(pcp_fraction));
		return;
	}
	palloc_file_write(PCP_FRACTION, "1000000", 7);
	/* A list gets shorter when something is freed to it. */
	if (sched_getaffinity(0, sizeof(before), &before))
		return;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (!sched_setaffinity(0, sizeof(one), &one)) {
			void *p = palloc_map_pages(pages, 0);

			madvise(p, pages * palloc_page_size, MADV_NOHUGEPAGE);
			palloc_touch(p, pages);
			palloc_free(p, pages);
		}
	}
	sched_setaffinity(0, sizeof(before), &before);
}

/* Block devices */

/* The number of a new one, /dev/zramN, or -1 if there is no zram. */
int palloc_zram_add(size_t pages)
{
	char text[32], path[64];
	int id;

	if (palloc_file_read("/sys/class/zram-control/hot_add", text, sizeof(text)) <= 0)
		return -1;
	id = atoi(text);
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", id);
	snprintf(text, sizeof(text), "%zu", pages * palloc_page_size);
	if (palloc_file_write(path, text, strlen(text)))
		palloc_bail("cannot size %s", path);
	return id;
}

void palloc_zram_remove(int id)
{
	char text[16];
	int ret;

	snprintf(text, sizeof(text), "%d", id);
	ret = palloc_file_write("/sys/class/zram-control/hot_remove", text, strlen(text));
	if (ret)
		palloc_note("removing zram%d: %s", id, strerror(-ret));
}

/*
 * A loop device on a file or disk, of which it puts the path into path[32]. It
 * goes with the descriptor that is returned, or -1 if there are none.
 */
int palloc_loop_add(int backing, unsigned int block_size, unsigned int flags, char *path)
{
	struct loop_config config = {
		.fd = backing, .block_size = block_size,
		.info.lo_flags = flags | LO_FLAGS_AUTOCLEAR,
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), id, fd;

	if (control < 0)
		return -1;
	id = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(path, 32, "/dev/loop%d", id);
	fd = id < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (backing < 0 || fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config))
		palloc_bail("loop device: %s", strerror(errno));
	return fd;
}

/* As mkswap does. */
void palloc_mkswap(const char *path, unsigned int pages)
{
	const unsigned int info[3] = { 1, pages - 1, 0 };
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, info, sizeof(info), 1024) != sizeof(info) ||
	    pwrite(fd, "SWAPSPACE2", 10, palloc_page_size - 10) != 10 || fsync(fd))
		palloc_bail("%s: %s", path, strerror(errno));
	close(fd);
}

/* Free memory */

/* Memory that nobody needs becomes free memory, in blocks as large as can be. */
void palloc_tidy_memory(void)
{
	sync();
	palloc_file_write("/proc/sys/vm/drop_caches", "3", 1);
	/* Pages on per-CPU lists keep large blocks apart. */
	palloc_puts("control", "flush\n");
	/* Not there without CONFIG_COMPACTION. */
	palloc_file_write("/proc/sys/vm/compact_memory", "1", 1);
	palloc_puts("control", "flush\n");
}

/* Takes PALLOC_MANY pages: what was freed last, and of some colors only, is among them. */
void *palloc_soak(void)
{
	void *p = palloc_map_pages(PALLOC_MANY, 0);

	palloc_puts("control", "flush\n");
	madvise(p, PALLOC_MANY * palloc_page_size, MADV_NOHUGEPAGE);
	madvise(p, PALLOC_MANY * palloc_page_size, MADV_DONTFORK);
	palloc_touch(p, PALLOC_MANY);
	return p;
}

/*
 * How well compaction does: two processes have most of the memory, then keep some
 * of it, here and there, and it is compacted.
 */

#define COMPACT_PAGES	(128UL << 10)

struct tenants {
	unsigned int filled[2], thinned[2], stop;
};

struct tenant {
	struct tenants *all;
	unsigned int index;
	size_t pages;
	unsigned int keep;	/* of 16 */
	const char *list;	/* of its colors, or NULL for any */
};

/* Waits for what another process sets in shared memory, until the time limit. */
void palloc_wait_for(const unsigned int *what)
{
	while (!__atomic_load_n(what, __ATOMIC_ACQUIRE))
		usleep(10000);
}

static void tenant(const void *arg)
{
	const struct tenant *t = arg;
	char *p = palloc_map_pages(t->pages, MAP_NORESERVE);
	unsigned int seed = t->index;
	unsigned long checked;
	size_t i;

	madvise(p, t->pages * palloc_page_size, MADV_NOHUGEPAGE);
	if (t->index)
		palloc_wait_for(&t->all->filled[0]);
	palloc_touch(p, t->pages);
	__atomic_store_n(&t->all->filled[t->index], 1, __ATOMIC_RELEASE);
	palloc_wait_for(&t->all->filled[1]);
	for (i = 0; i < t->pages; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 28 >= t->keep)
			madvise(p + i * palloc_page_size, palloc_page_size, MADV_DONTNEED);
	}
	__atomic_store_n(&t->all->thinned[t->index], 1, __ATOMIC_RELEASE);
	palloc_wait_for(&t->all->stop);
	if (t->list)
		expect(palloc_impure(0, p, t->pages, t->list, &checked) == 0);
}

/* Free blocks of the size of a huge page, those they make up counted as such. */
static long huge_blocks(void)
{
	char line[512], *save, *word;
	long sum = 0;
	FILE *f;

	f = fopen("/proc/buddyinfo", "re");
	while (f && fgets(line, sizeof(line), f)) {
		int n = 0;

		for (word = strtok_r(line, "\n ", &save); word;
		     word = strtok_r(NULL, "\n ", &save))
			if (n++ >= 4 + 9)
				sum += strtol(word, NULL, 10) << (n - 1 - 4 - 9);
	}
	if (f)
		fclose(f);
	return sum;
}

/* Huge pages, which compaction leaves alone, are for what would take too long. */
static void *ballast(size_t *pages)
{
	size_t free_pages = palloc_meminfo("MemFree") * 1024 / palloc_page_size;
	void *p;

	*pages = free_pages > COMPACT_PAGES ? free_pages - COMPACT_PAGES : 0;
	if (!*pages)
		return NULL;
	p = palloc_map_pages(*pages, MAP_NORESERVE);
	madvise(p, *pages * palloc_page_size, MADV_HUGEPAGE);
	palloc_touch(p, *pages);
	return p;
}

/* On any kernel. The first of the processes has most of it, and is of c->cg. */
void palloc_compact(struct palloc_compaction *c)
{
	struct tenants *all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tenant t[2] = {
		{ .all = all, .index = 0, .keep = 12, .list = c->list },
		{ .all = all, .index = 1, .keep = 6 },
	};
	size_t heavy, usable, reserve;
	unsigned int i;
	pid_t pid[2];
	char buf[32];
	void *weight;

	if (all == MAP_FAILED)
		palloc_bail("mmap: %s", strerror(errno));
	palloc_tidy_memory();
	weight = ballast(&heavy);
	c->free = palloc_meminfo("MemFree") * 1024 / palloc_page_size;
	/* With several nodes and huge pages, the kernel keeps a lot to itself. */
	if (palloc_file_read("/proc/sys/vm/min_free_kbytes", buf, sizeof(buf)) < 0)
		palloc_bail("cannot read min_free_kbytes");
	reserve = 2 * strtoul(buf, NULL, 10) * 1024 / palloc_page_size;
	usable = c->free * 14 / 16;
	if (c->free < usable + reserve)
		usable = c->free > reserve ? c->free - reserve : 0;
	t[0].pages = usable * 10 / 14;
	t[1].pages = usable * 4 / 14;
	for (i = 0; i < 2; i++) {
		c->used[i] = t[i].pages * t[i].keep / 16;
		pid[i] = palloc_spawn(i ? NULL : c->cg, tenant, &t[i]);
	}
	for (i = 0; i < 2; i++)
		palloc_wait_for(&all->thinned[i]);
	palloc_puts("control", "flush\n");
	c->before = huge_blocks();
	c->moved = palloc_vmstat("pgmigrate_success");
	expect(palloc_file_write("/proc/sys/vm/compact_memory", "1", 1) == 0);
	c->moved = palloc_vmstat("pgmigrate_success") - c->moved;
	palloc_puts("control", "flush\n");
	c->after = huge_blocks();
	__atomic_store_n(&all->stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		expect(palloc_reap(pid[i]));
	if (heavy)
		palloc_free(weight, heavy);
	munmap(all, sizeof(*all));
}

/* Blocks of the highest order, all zones; and what that order is. */
long palloc_highest_blocks(unsigned int *order)
{
	char line[512], *save, *word;
	long sum = 0;
	FILE *f;

	f = fopen("/proc/buddyinfo", "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		char *last = NULL;
		int words = 0;

		for (word = strtok_r(line, BLANKS, &save); word;
		     word = strtok_r(NULL, BLANKS, &save)) {
			last = word;
			words++;
		}
		/* "Node 0, zone DMA", then a number for each order. */
		if (words < 5)
			continue;
		sum += strtol(last, NULL, 10);
		*order = words - 5;
	}
	fclose(f);
	return sum;
}

/*
 * After palloc_tidy_memory() there are as many blocks of the highest order as
 * before, but for two that the kernel may need.  What processes that have ended
 * leave to RCU and to workers is free a little later.
 */
bool palloc_blocks_back(long before)
{
	unsigned int order, tries;
	long after = palloc_highest_blocks(&order);

	for (tries = 0; tries < 20 && after < before - BLOCK_SLACK; tries++) {
		usleep(100000);
		palloc_tidy_memory();
		after = palloc_highest_blocks(&order);
	}
	palloc_note("blocks of order %u: %ld before, %ld after", order, before, after);
	return before > 0 && after >= before - BLOCK_SLACK;
}

/* What the kernel's own check says, where it has one (CONFIG_DEBUG_VM). */
bool palloc_verified(void)
{
	char buf[16384], *line, *save;
	ssize_t n = palloc_gets("verify", buf, sizeof(buf));

	if (n == -ENOENT)
		return true;
	if (n > 4 && !strcmp(buf + n - 4, "\nok\n"))
		return true;
	palloc_note("verify: %s", n < 0 ? strerror(-n) : "bad");
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		palloc_note("  %s", line);
	return false;
}

#define ORDERS	32
#define ZONES	32

/* A zone's free memory, as three files tell it. */
struct zone_free {
	char name[64];				/* "Node 0, zone DMA" */
	long listed[ORDERS];			/* blocks on the free lists */
	long isolated;				/* pages on these that do not count */
	long cma;				/* pages on these of type CMA */
	long blocks[ORDERS];			/* what buddyinfo says */
	long free, free_cma;			/* what zoneinfo says */
	bool too_many;				/* to be listed */
};

static struct zone_free *zone_find(struct zone_free *zones, const char *line, int *end)
{
	char zone[32], name[64] = "";
	int node, i;

	*end = 0;
	if (sscanf(line, " Node %d, zone %31[^\n, ]%n", &node, zone, end) != 2)
		return NULL;
	snprintf(name, sizeof(name), "Node %d, zone %s", node, zone);
	for (i = 0; i < ZONES; i++) {
		if (!zones[i].name[0])
			memcpy(zones[i].name, name, sizeof(name));
		if (!strcmp(zones[i].name, name))
			return &zones[i];
	}
	palloc_bail("more than %d zones", ZONES);
}

static void read_types(struct zone_free *zones, const char *line)
{
	char type[32], *at;
	struct zone_free *z;
	int end, more;
	long n, pages;
	int order;

	z = zone_find(zones, line, &end);
	if (!z || sscanf(line + end, ", type %31s%n", type, &more) != 1)
		return;
	for (at = (char *)line + end + more, order = 0; order < ORDERS; order++) {
		char *next;

		at += strspn(at, BLANKS);
		if (*at == '>') {
			z->too_many = true;
			at++;
		}
		n = strtol(at, &next, 10);
		if (next == at)
			break;
		at = next;
		pages = n << order;
		z->listed[order] += n;
		if (!strcmp(type, "Isolate"))
			z->isolated += pages;
		if (!strcmp(type, "CMA"))
			z->cma += pages;
	}
}

static void read_blocks(struct zone_free *zones, const char *line)
{
	struct zone_free *z;
	char *at, *next;
	int end, order;

	z = zone_find(zones, line, &end);
	if (!z)
		return;
	for (at = (char *)line + end, order = 0; order < ORDERS; order++, at = next) {
		long n = strtol(at, &next, 10);

		if (next == at)
			break;
		z->blocks[order] = n;
	}
}

static void read_counts(struct zone_free *zones, const char *line)
{
	static struct zone_free *z;
	struct zone_free *here;
	int end;

	here = zone_find(zones, line, &end);
	if (here)
		z = here;
	if (!z)
		return;
	if (sscanf(line, " nr_free_pages %ld", &z->free) == 1 ||
	    sscanf(line, " nr_free_cma %ld", &z->free_cma) == 1)
		return;
}

static void read_zones(const char *path, struct zone_free *zones,
		       void (*line_fn)(struct zone_free *zones, const char *line))
{
	char line[1024];
	FILE *f = fopen(path, "re");

	if (!f)
		palloc_bail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		line_fn(zones, line);
	fclose(f);
}

static bool zone_agrees(const struct zone_free *z, bool tell)
{
	long pages = -z->isolated;
	bool agrees = true;
	int order;

	for (order = 0; order < ORDERS; order++) {
		pages += z->blocks[order] << order;
		if (z->too_many || z->listed[order] == z->blocks[order])
			continue;
		agrees = false;
		if (tell)
			palloc_note("%s, order %d: %ld blocks on lists, %ld in buddyinfo",
				    z->name, order, z->listed[order], z->blocks[order]);
	}
	if (pages != z->free || z->cma != z->free_cma) {
		agrees = false;
		if (tell)
			palloc_note("%s: %ld pages in blocks, %ld CMA; zoneinfo %ld, %ld CMA",
				    z->name, pages, z->cma, z->free, z->free_cma);
	}
	return agrees;
}

/*
 * The free lists, and what counts them, agree. Where the kernel has no check of
 * its own, files tell it that are not read at one moment: what is wrong each
 * time is wrong, so nobody else may be busy.
 */
bool palloc_lossless(void)
{
	static struct zone_free zones[ZONES];
	const int tries = 100;
	bool agree = false;
	char buf[16];
	int i, n;

	if (!access(PALLOC_DIR "/verify", F_OK))
		return palloc_verified();
	for (n = 0; n < tries && !agree; n++) {
		if (n)
			usleep(20000);
		memset(zones, 0, sizeof(zones));
		read_zones("/proc/pagetypeinfo", zones, read_types);
		read_zones("/proc/buddyinfo", zones, read_blocks);
		/* Adds up what the CPUs have counted. */
		palloc_file_read("/proc/sys/vm/stat_refresh", buf, sizeof(buf));
		read_zones("/proc/zoneinfo", zones, read_counts);
		agree = true;
		for (i = 0; i < ZONES && zones[i].name[0]; i++)
			agree &= zone_agrees(&zones[i], n == tries - 1);
		agree &= i > 0;
	}
	return agree;
}

/* Test plumbing */

int palloc_exit_code(void)
{
	return failures ? KSFT_FAIL : KSFT_PASS;
}

bool palloc_expect(bool ok, const char *what, const char *file, int line)
{
	int err = errno;

	__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);
	if (ok)
		return true;
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	printf("# %s:%d: not so: %s (errno %d)\n", file, line, what, err);
	return false;
}

void palloc_skip(const char *why)
{
	skip_reason = why;
}

const char *palloc_bail_prefix(void)
{
	return getpid() == owner ? "Bail out!" : "#";
}

void palloc_give_up(void)
{
	if (getpid() == owner)
		exit(KSFT_FAIL);
	fflush(stdout);
	_exit(KSFT_FAIL);
}

/* Remembers all that the tests change. */
bool palloc_save(void)
{
	if (palloc_gets("use_palloc", saved.use_palloc, sizeof(saved.use_palloc)) <= 0 ||
	    palloc_gets("palloc_mask", saved.mask, sizeof(saved.mask)) <= 0 ||
	    palloc_gets("use_mc_xor", saved.mc_xor, sizeof(saved.mc_xor)) <= 0 ||
	    palloc_gets("debug_level", saved.debug_level, sizeof(saved.debug_level)) <= 0 ||
	    palloc_gets("alloc_balance", saved.balance, sizeof(saved.balance)) <= 0 ||
	    !palloc_map_read(&saved.map))
		return false;
	saved.valid = true;
	return true;
}

/*
 * Remembers one more file; false if it is not there. Of a list of choices the
 * one in brackets is the value.
 */
bool palloc_keep(const char *path)
{
	char buf[256], *text = buf, *end;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kept) && kept[i].path; i++)
		if (!strcmp(kept[i].path, path))
			return true;
	if (i == ARRAY_SIZE(kept) || palloc_file_read(path, buf, sizeof(buf)) <= 0)
		return false;
	if (strchr(buf, '['))
		text = strchr(buf, '[') + 1;
	end = text + strcspn(text, "]\n");
	*end = '\0';
	snprintf(kept[i].text, sizeof(kept[i].text), "%.60s", text);
	kept[i].path = path;
	return true;
}

static void restore_kept(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kept); i++) {
		if (kept[i].path &&
		    palloc_file_write(kept[i].path, kept[i].text, strlen(kept[i].text)))
			palloc_note("could not restore %s", kept[i].path);
		kept[i].path = NULL;
	}
}

/*
 * A map that came from palloc_mask goes back the same way: the file must read
 * as before. Pairs given while use_mc_xor was 0 cannot be read, nor restored.
 */
static int restore_map(void)
{
	__u64 mask = strtoull(saved.mask, NULL, 0);
	char text[4096];
	unsigned int i;
	int ret;

	ret = forget_pairs();
	if (ret)
		return ret;
	if (!mask && saved.map.nbits) {
		palloc_map_text(&saved.map, text, sizeof(text));
		return palloc_puts("control", text);
	}
	ret = palloc_puts("palloc_mask", saved.mask);
	for (i = 0; i < saved.map.nbits && !ret; i++, mask &= mask - 1) {
		__u64 partner = saved.map.fn[i] & ~(mask & -mask);

		if (!partner)
			continue;
		snprintf(text, sizeof(text), "xor %d %d\n", __builtin_ctzll(mask),
			 __builtin_ctzll(partner));
		ret = palloc_puts("control", text);
	}
	return ret;
}

void palloc_restore(void)
{
	if (!saved.valid)
		return;
	saved.valid = false;
	if (palloc_puts("use_palloc", "0") || restore_map() ||
	    palloc_puts("use_mc_xor", saved.mc_xor) ||
	    palloc_puts("debug_level", saved.debug_level) ||
	    palloc_puts("alloc_balance", saved.balance) ||
	    palloc_puts("use_palloc", saved.use_palloc))
		palloc_note("could not restore the state of palloc");
}

static void cleanup(void)
{
	if (getpid() != owner)
		return;
	palloc_shell_end();
	cg_remove_all();
	if (cg_enabled_here)
		palloc_cg_write(cg_root, "cgroup.subtree_control", "-palloc");
	cg_enabled_here = false;
	palloc_restore();
	restore_kept();
	palloc_short_lists(false);
}

static void on_signal(int sig)
{
	if (getpid() == owner) {
		printf("Bail out! %s\n", sig == SIGALRM ? "time limit" : strsignal(sig));
		fflush(stdout);
		cleanup();
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static unsigned int probe_max_bits(void)
{
	char text[32];
	unsigned int n;

	for (n = PALLOC_MAX_BITS; n; n--) {
		snprintf(text, sizeof(text), "%#llx", ((1ULL << n) - 1) << 12);
		if (!palloc_puts("palloc_mask", text))
			break;
	}
	return n;
}

/* For the tools, and for a test program that has executed itself. */
void palloc_init_tool(void)
{
	palloc_page_size = sysconf(_SC_PAGESIZE);
}

/*
 * Finds out what the kernel has and remembers the state of palloc, to be put
 * back at exit. Returns what is missing, or NULL.
 */
const char *palloc_try_init(unsigned int needs)
{
	static const int sigs[] = {
		SIGHUP, SIGINT, SIGTERM, SIGALRM, SIGABRT, SIGSEGV, SIGBUS,
	};
	unsigned int i;
	__u64 pfn;
	char *probe;

	palloc_init_tool();
	owner = getpid();
	if (geteuid())
		return "needs root";
	if (access(PALLOC_DIR "/control", F_OK))
		return "no " PALLOC_DIR " (CONFIG_CGROUP_PALLOC, debugfs)";
	have_syscalls = !palloc_set_color_map(NULL, 0);
	if ((needs & PALLOC_NEED_SYSCALLS) && !have_syscalls)
		return "no set_color system calls";
	if (access("/proc/kpageflags", R_OK))
		return "no /proc/kpageflags (CONFIG_PROC_PAGE_MONITOR)";
	probe = palloc_alloc(1, 0);
	pfn = palloc_pfn(probe);
	palloc_free(probe, 1);
	if (!pfn)
		return "/proc/self/pagemap does not show frame numbers";

	for (i = 0; i < ARRAY_SIZE(sigs); i++)
		signal(sigs[i], on_signal);
	atexit(cleanup);
	if ((needs & PALLOC_NEED_CGROUP) && !palloc_cg_init())
		return "no palloc controller in a cgroup2 hierarchy";
	if (!palloc_save())
		palloc_bail("cannot read the state of palloc");
	palloc_enable(false);
	palloc_max_bits = probe_max_bits();
	return NULL;
}

/* Ends the program with a SKIP where the kernel lacks what the tests need. */
void palloc_init(unsigned int needs)
{
	const char *missing = palloc_try_init(needs);

	if (!missing && palloc_max_bits < 4)
		missing = "CONFIG_PALLOC_MAX_BITS is below 4";
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		exit(KSFT_SKIP);
	}
	palloc_short_lists(true);
}

void palloc_test_begin(void)
{
	checks = 0;
	failures = 0;
	skip_reason = NULL;
	alarm(TIME_LIMIT);
	/* Compaction moves pages; it need not do so unasked. */
	if (palloc_keep(PROACTIVENESS))
		palloc_file_write(PROACTIVENESS, "0", 1);
}

/* A test that checked nothing has not passed. */
bool palloc_test_end(const char **why_skipped)
{
	if (have_syscalls)
		palloc_set_color_map(NULL, 0);
	cg_remove_all();
	restore_kept();
	*why_skipped = failures ? NULL : skip_reason;
	if (!checks && !skip_reason)
		palloc_note("nothing was checked");
	return checks && !failures;
}
