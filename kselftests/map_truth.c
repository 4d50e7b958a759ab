// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that /sys/kernel/mm/palloc tells the truth about a map: all maps of
 * drama-pp's database, written through each door, read back with the bins, empty
 * bins and groups that this program works out from their functions and from
 * which pages /proc/kpageflags has; llc and l2 are the bits that the caches in
 * sysfs have. And that what is refused leaves the map in force, and last_cmd_status
 * tells why.
 */
#include <sys/stat.h>
#include <linux/const.h>

#include "palloc_util.h"

#define KPF_BUDDY	_BITULL(10)
#define KPF_NOPAGE	_BITULL(20)
#define KPF_RESERVED	_BITULL(32)

#define PAGE_BITS	12
#define REGION_PAGES	1024

/* The published figures: functions, bins that no page can be in, groups. */
struct truth {
	const char *text;
	unsigned int empty, groups;
};

struct row {
	unsigned long total, free;
};

/* What the files are to say. */
static struct expected {
	char map[4096], bins[16], full_order[16], empty_bins[8192], nr_groups[16];
	char groups[8192], status[256];
	unsigned int nr_empty;
	unsigned long total[PALLOC_MAX_BINS];
} want;

/* Pages that the page allocator manages, by frame number. */
static unsigned char *managed;
static unsigned long nr_frames;

static void read_frames(void)
{
	static __u64 flags[1 << 15];
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	unsigned long i, n;
	ssize_t len;

	if (fd < 0)
		palloc_bail("/proc/kpageflags: %s", strerror(errno));
	while ((len = read(fd, flags, sizeof(flags))) > 0) {
		n = len / sizeof(flags[0]);
		managed = realloc(managed, nr_frames + n);
		if (!managed)
			palloc_bail("no memory");
		for (i = 0; i < n; i++)
			managed[nr_frames + i] = !(flags[i] & (KPF_NOPAGE | KPF_RESERVED));
		nr_frames += n;
	}
	close(fd);
}

/* How many of them each bin has; from one page to the next low bits change only. */
static void count_frames(const struct palloc_map *map, unsigned long *total)
{
	unsigned int change[64], color = 0, sum = 0, bit;
	unsigned long pfn;

	for (bit = 0; bit < 64 - PAGE_BITS; bit++) {
		sum ^= palloc_color(map, 1ULL << bit);
		change[bit] = sum;
	}
	memset(total, 0, PALLOC_MAX_BINS * sizeof(*total));
	for (pfn = 0; pfn < nr_frames; pfn++) {
		if (pfn)
			color ^= change[__builtin_ctzl(pfn)];
		total[color] += managed[pfn];
	}
}

/* All colors that addresses have of which only some bits are set. */
static unsigned int span(const struct palloc_map *map, unsigned int from,
			 unsigned int to, bool *in)
{
	unsigned int bins = palloc_bins(map), bit, i, c, color, n = 0;
	bool old[PALLOC_MAX_BINS];

	memset(in, 0, PALLOC_MAX_BINS * sizeof(*in));
	in[0] = true;
	for (bit = from; bit < to; bit++) {
		for (color = 0, i = 0; i < map->nbits; i++)
			color |= (map->fn[i] >> bit & 1) << i;
		memcpy(old, in, sizeof(old));
		for (c = 0; c < bins; c++)
			in[c ^ color] |= old[c];
	}
	for (c = 0; c < bins; c++)
		n += in[c];
	return n;
}

static size_t list_text(const bool *in, char *buf)
{
	unsigned int from, to;
	size_t len = 0;

	for (from = 0; from < PALLOC_MAX_BINS; from = to + 1) {
		to = from;
		if (!in[from])
			continue;
		while (to + 1 < PALLOC_MAX_BINS && in[to + 1])
			to++;
		len += sprintf(buf + len, to == from ? "%s%u" : "%s%u-%u",
			       len ? "," : "", from, to);
	}
	len += sprintf(buf + len, "\n");
	return len;
}

static void work_out(const struct palloc_map *map)
{
	unsigned int bins = palloc_bins(map), reachable, order, highest, c, i, groups = 0;
	bool in[PALLOC_MAX_BINS], group[PALLOC_MAX_BINS], done[PALLOC_MAX_BINS] = { };
	size_t len = 0;

	memset(&want, 0, sizeof(want));
	palloc_map_text(map, want.map, sizeof(want.map));
	sprintf(want.bins, "%u\n", bins);

	reachable = span(map, PAGE_BITS, 64, in);
	palloc_highest_blocks(&highest);
	sprintf(want.full_order, "none\n");
	for (order = 0; order <= highest; order++) {
		if (span(map, PAGE_BITS, PAGE_BITS + order, in) == reachable) {
			sprintf(want.full_order, "%u\n", order);
			break;
		}
	}

	count_frames(map, want.total);
	memset(in, 0, sizeof(in));
	for (c = 0; c < bins; c++) {
		in[c] = !want.total[c];
		want.nr_empty += in[c];
	}
	list_text(in, want.empty_bins);
	span(map, 0, PAGE_BITS, in);
	for (c = 0; c < bins; c++) {
		if (done[c])
			continue;
		memset(group, 0, sizeof(group));
		for (i = 0; i < bins; i++)
			group[c ^ i] = in[i];
		for (i = 0; i < bins; i++)
			done[i] |= group[i];
		len += list_text(group, want.groups + len);
		groups++;
	}
	sprintf(want.nr_groups, "%u\n", groups);

	len = 0;
	if (want.nr_empty)
		len = sprintf(want.status,
			      "warning: %u of %u bins can hold no page, see empty_bins\n",
			      want.nr_empty, bins);
	if (groups < bins)
		len += sprintf(want.status + len,
			       "warning: pages span bins, of which there are %u groups, see groups\n",
			       groups);
	if (!len)
		sprintf(want.status, "ok\n");
}

/* The number of lines of memory, or -1 if they are not as they should be. */
static int read_memory(struct row *rows)
{
	unsigned int bin, n = 0;
	char line[128], end;
	FILE *f;

	f = fopen(PALLOC_SYSFS "/memory", "re");
	if (!f)
		return -1;
	while (n < PALLOC_MAX_BINS && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%u %lu %lu%c", &bin, &rows[n].total, &rows[n].free,
			   &end) != 4 || end != '\n' || bin != n ||
		    rows[n].free > rows[n].total) {
			palloc_note("memory has a line '%.*s'", (int)strcspn(line, "\n"),
				    line);
			n = -1;
			break;
		}
		n++;
	}
	fclose(f);
	return n;
}

/* Everything that can be read is as was worked out. */
static bool all_true(void)
{
	static struct row rows[PALLOC_MAX_BINS];
	struct palloc_map control;
	bool ok = true;
	int n, i;

	ok &= expect(palloc_sys_reads("map", want.map));
	ok &= expect(palloc_sys_reads("bins", want.bins));
	ok &= expect(palloc_sys_reads("full_order", want.full_order));
	ok &= expect(palloc_sys_reads("empty_bins", want.empty_bins));
	ok &= expect(palloc_sys_reads("nr_groups", want.nr_groups));
	ok &= expect(palloc_sys_reads("groups", want.groups));
	ok &= expect(palloc_map_read(&control));
	ok &= expect(palloc_map_same(&control, &palloc_map));
	n = read_memory(rows);
	ok &= expect(n == (int)palloc_bins(&palloc_map));
	for (i = 0; i < n; i++)
		if (!expect(rows[i].total == want.total[i]))
			return false;
	return ok;
}

/* "14 18\n15 19\n" as "14^18,15^19" */
static void one_word(const char *text, char *word)
{
	char *at;

	memmove(word, text, strlen(text) + 1);
	for (at = word; *at; at++) {
		if (*at == ' ')
			*at = '^';
		if (*at == '\n')
			*at = at[1] ? ',' : '\0';
	}
}

static void forget(void)
{
	expect(palloc_sys_puts("map", "0xf000\n") == 0);
	expect(palloc_sys_reads("bins", "16\n"));
}

static void test_published(const void *arg)
{
	const struct truth *t = arg;
	bool in[PALLOC_MAX_BINS];
	unsigned int bins;
	char word[4096], text[32];

	palloc_enable(false);
	palloc_map_parse(&palloc_map, t->text);
	bins = palloc_bins(&palloc_map);
	one_word(t->text, word);
	if (palloc_map.nbits > palloc_max_bits) {
		snprintf(text, sizeof(text), "%u functions", palloc_map.nbits);
		expect(palloc_sys_puts("map", word) == -ERANGE);
		return;
	}
	work_out(&palloc_map);
	/* What this program works out is what was published. */
	expect(bins - span(&palloc_map, PAGE_BITS, 64, in) == t->empty);
	snprintf(text, sizeof(text), "%u\n", t->groups);
	expect(!strcmp(text, want.nr_groups));
	expect(want.nr_empty >= t->empty);

	forget();
	expect(palloc_puts("control", t->text) == 0);
	expect(palloc_sys_reads("last_cmd_status", want.status));
	all_true();
	forget();
	expect(palloc_sys_puts("map", t->text) == 0);
	expect(palloc_sys_reads("last_cmd_status", want.status));
	all_true();
	forget();
	expect(palloc_sys_puts("map", word) == 0);
	expect(palloc_sys_reads("last_cmd_status", want.status));
	all_true();
	expect(palloc_reads("palloc_mask", "0x0000000000000000\n"));
}

static const struct truth dell_xps = {
	"14 18\n15 19\n16 20\n17 21\n8 9 12 13 14 15\n", 0, 16
};

static const struct truth toshiba = { "14 18\n15 19\n16 20\n17 21\n", 0, 16 };
static const struct truth w3553 = { "13\n14\n16\n20\n21\n", 0, 32 };
static const struct truth e3_1220 = {
	"7 14\n15 19\n16 20\n17 21\n18 22\n8 9 12 13 15 18\n", 0, 16
};

static const struct truth e5_2608l = {
	"6 22\n19 23\n20 24\n21 25\n8 13 15 17 27\n6 7 12 14 16 18 26\n", 0, 8
};

static const struct truth pi_4 = { "12\n13\n14\n", 0, 8 };
static const struct truth pi_5_banklow = { "12\n13\n14\n31\n", 0, 16 };
static const struct truth pi_5 = { "12\n30\n31\n32\n", 0, 16 };
static const struct truth jetson_nano = {
	"13 19 20 21 24 25 26 28\n10 12 14 16 17 21 25 27 28\n"
	"10 16 17 18 22 23 27 29 30\n10 11 13 15 16 20 22 24 25 29\n", 0, 4
};

static const struct truth orin_nano = {
	"11 17 19 25 27 28 31\n9 12 22 23 24 31 33\n10 17 21 27 29 32 33\n"
	"10 11 15 20 21 22 24 29\n13 14 16 20 24 27 30 33\n"
	"9 12 16 17 20 21 24 26 27\n10 14 15 17 18 24 25 26 27\n", 0, 16
};

static const struct truth orin_agx = {
	"11 14 16 20 21 22 33\n9 11 12 16 19 23 27 28\n12 13 18 22 25 29 30 31\n"
	"10 11 12 17 19 20 23 32\n10 11 13 14 18 27 28 34\n"
	"11 12 13 16 19 24 33 35\n10 13 17 21 24 25 26 29 34\n"
	"14 15 17 21 25 28 31 34 35\n", 0, 32
};

static const struct truth ryzen = {
	"8\n19\n11 20 25\n12 21 26\n9 22 27\n10 23 28\n13 24 29\n6 9 10 11 12 13\n",
	128, 8
};

static const struct truth i7_8700 = {
	"7 14\n15 20\n16 21\n17 22\n18 23\n19 24\n8 9 12 13 18 19\n", 0, 32
};

/* Other ways to write one. */

struct spelled {
	const char *text, *reads;
};

static void test_spelled(const void *arg)
{
	const struct spelled *s = arg;

	palloc_enable(false);
	forget();
	expect(palloc_sys_puts("map", s->text) == 0);
	palloc_map_parse(&palloc_map, s->reads);
	work_out(&palloc_map);
	expect(palloc_sys_reads("last_cmd_status", want.status));
	all_true();
	expect(palloc_reads("palloc_mask", "0x0000000000000000\n"));
}

static void test_widest(const void *arg)
{
	__u64 mask = ((1ULL << palloc_max_bits) - 1) << PAGE_BITS;
	char text[32], reads[256] = "";
	struct spelled s = { text, reads };
	struct palloc_map map;

	snprintf(text, sizeof(text), "%#llx", mask);
	palloc_map_mask(&map, mask);
	palloc_map_text(&map, reads, sizeof(reads));
	test_spelled(&s);
}

static void test_mask_file(const void *arg)
{
	palloc_setup_mask(0xf000);
	palloc_enable(false);
	expect(palloc_puts("palloc_mask", "0x183000\n") == 0);
	palloc_map_mask(&palloc_map, 0x183000);
	work_out(&palloc_map);
	expect(palloc_sys_reads("last_cmd_status", want.status));
	all_true();
	expect(palloc_puts("use_mc_xor", "1") == 0);
	expect(palloc_puts("control", "xor 13 17\n") == 0);
	palloc_map.fn[1] |= 1ULL << 17;
	work_out(&palloc_map);
	expect(palloc_sys_reads("last_cmd_status", want.status));
	all_true();
}

/* Two functions become one by their partners. */
static void test_xor_dependent(const void *arg)
{
	palloc_setup_mask(0x2a000);
	expect(palloc_puts("control", "xor 13 17\nxor 17 13\n") == 0);
	expect(palloc_puts("use_mc_xor", "1") == -EINVAL);
	expect(palloc_sys_reads("last_cmd_status",
				"function 2 (13 17) is the same as function 0\n"));
	expect(palloc_reads("use_mc_xor", "0\n"));
	expect(palloc_sys_reads("map", "13\n15\n17\n"));
	expect(palloc_puts("control", "xor 17 0\n") == 0);
	expect(palloc_sys_reads("last_cmd_status", "ok\n"));
	expect(palloc_puts("use_mc_xor", "1") == 0);
	expect(palloc_sys_reads("last_cmd_status", "ok\n"));
	expect(palloc_sys_reads("map", "13 17\n15\n17\n"));
}

/* Files */

static void test_files(const void *arg)
{
	static const struct {
		const char *name;
		mode_t mode;
	} files[] = {
		{ "enabled", 0644 }, { "map", 0644 }, { "bins", 0444 },
		{ "full_order", 0444 }, { "empty_bins", 0444 }, { "nr_groups", 0444 },
		{ "groups", 0444 }, { "memory", 0400 }, { "last_cmd_status", 0444 },
	};
	char path[256];
	struct stat st;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), PALLOC_SYSFS "/%s", files[i].name);
		if (!expect(stat(path, &st) == 0))
			continue;
		if (!expect((st.st_mode & 07777) == files[i].mode))
			palloc_note("%s has mode %o", files[i].name, st.st_mode & 07777);
	}
}

static void test_enabled(const void *arg)
{
	static const char text[] = "14 18\n15 19\n16 20\n17 21\n";

	palloc_enable(false);
	expect(palloc_sys_reads("enabled", "0\n"));
	expect(palloc_sys_puts("map", "14^18,15^19,16^20,17^21") == 0);
	expect(palloc_sys_puts("enabled", "1\n") == 0);
	expect(palloc_sys_reads("enabled", "1\n"));
	expect(palloc_reads("use_palloc", "1\n"));
	palloc_map_parse(&palloc_map, text);
	expect(palloc_set_color(9) == 0);
	expect(palloc_given(REGION_PAGES, MAP_PALLOC, "9"));
	expect(palloc_puts("use_palloc", "0") == 0);
	expect(palloc_sys_reads("enabled", "0\n"));
	expect(palloc_puts("control", "enable\n") == 0);
	expect(palloc_sys_reads("enabled", "1\n"));
	expect(palloc_sys_puts("enabled", "0") == 0);
	expect(palloc_reads("use_palloc", "0\n"));
	expect(palloc_sys_reads("map", text));
}

/* Memory */

static unsigned long zones_sum(const char *key)
{
	unsigned long sum = 0, n;
	char line[256], word[64];
	FILE *f;

	f = fopen("/proc/zoneinfo", "re");
	if (!f)
		palloc_bail("/proc/zoneinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %63s %lu", word, &n) == 2 && !strcmp(word, key))
			sum += n;
	fclose(f);
	return sum;
}

static unsigned long sum_rows(const struct row *rows, unsigned int n, bool free)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		sum += free ? rows[i].free : rows[i].total;
	return sum;
}

/* Both count what changes as they read it, so they have to agree only at times. */
static void test_memory_sums(const void *arg)
{
	static struct row rows[PALLOC_MAX_BINS];
	long table = 0, zones = 0;
	char buf[16];
	int i, n = 0;

	palloc_enable(false);
	expect(palloc_sys_puts("map", arg) == 0);
	for (i = 0; i < 100; i++) {
		palloc_puts("control", "flush\n");
		palloc_file_read("/proc/sys/vm/stat_refresh", buf, sizeof(buf));
		n = read_memory(rows);
		table = sum_rows(rows, n, true);
		zones = zones_sum("nr_free_pages");
		if (labs(table - zones) <= 128)
			break;
	}
	palloc_note("free: %ld pages in bins, %ld in zones", table, zones);
	expect(labs(table - zones) <= 128);
	palloc_note("all: %lu pages in bins, %lu in zones", sum_rows(rows, n, false),
		    zones_sum("managed"));
	expect(sum_rows(rows, n, false) == zones_sum("managed"));
}

/* What is taken of a bin is missing there, and nowhere else. */
static void test_memory_taken(const void *arg)
{
	static struct row before[16], after[16];
	const long pages = 8 * REGION_PAGES;
	unsigned int i;
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(6) == 0);
	palloc_puts("control", "flush\n");
	expect(read_memory(before) == 16);
	p = palloc_alloc(pages, MAP_PALLOC);
	expect(palloc_pure(p, pages, "6"));
	palloc_puts("control", "flush\n");
	expect(read_memory(after) == 16);
	palloc_free(p, pages);
	for (i = 0; i < 16; i++) {
		long taken = (long)before[i].free - (long)after[i].free;

		expect(before[i].total == after[i].total);
		if (!expect(i == 6 ? taken >= pages - 64 : taken < pages / 8))
			palloc_note("bin %u: %ld pages", i, taken);
	}
	palloc_puts("control", "flush\n");
	expect(read_memory(after) == 16);
	expect(labs((long)before[6].free - (long)after[6].free) < 64);
}

/* The table is longer than a page; a few bytes at a time it is the same. */
static void test_memory_pieces(const void *arg)
{
	static char whole[1 << 16], pieces[1 << 16];
	ssize_t n, len = 0;
	int fd, line;
	char *at;

	palloc_enable(false);
	test_widest(NULL);
	fd = open(PALLOC_SYSFS "/memory", O_RDONLY | O_CLOEXEC);
	if (!expect(fd >= 0))
		return;
	while ((n = read(fd, pieces + len, 7)) > 0)
		len += n;
	expect(n == 0);
	/* As it was when it was opened, however often it is read. */
	expect(lseek(fd, 0, SEEK_SET) == 0);
	for (len = 0; (n = read(fd, whole + len, sizeof(whole) - len)) > 0; )
		len += n;
	close(fd);
	expect(!strcmp(whole, pieces));
	for (at = pieces, line = 0; *at; line++) {
		expect(atoi(at) == line);
		at = strchrnul(at, '\n');
		at += !!*at;
	}
	expect(line == 1 << palloc_max_bits);
}

/* Whoever reads sees one map or the other, never a mix. */
static const char * const two_maps[] = { "12\n13\n", "14 18\n15 19\n16\n17\n20\n" };

static void change_maps(const void *arg)
{
	int i;

	for (i = 0; i < 400; i++)
		expect(palloc_sys_puts("map", two_maps[i % 2]) == 0);
}

static void test_changes(const void *arg)
{
	static struct row rows[PALLOC_MAX_BINS];
	unsigned int seen[2] = { };
	char buf[4096];
	pid_t child;
	int n, i;

	palloc_enable(false);
	expect(palloc_sys_puts("map", two_maps[0]) == 0);
	child = palloc_spawn(NULL, change_maps, NULL);
	for (i = 0; i < 60; i++) {
		expect(palloc_sys_gets("map", buf, sizeof(buf)) > 0);
		expect(!strcmp(buf, two_maps[0]) || !strcmp(buf, two_maps[1]));
		n = read_memory(rows);
		expect(n == 4 || n == 32);
		expect(sum_rows(rows, n, false) == zones_sum("managed"));
		seen[n == 32]++;
	}
	expect(palloc_reap(child));
	palloc_note("seen %u and %u times", seen[0], seen[1]);
}

/* Caches */

/*
 * What sysfs has of the CPUs' caches of a level, 0 for the last: the mask, or 0
 * and why there is none.
 */
static __u64 cache_mask(int level, const char **why, int *last)
{
	unsigned long sets = 0, line = 0;
	char path[128], type[32];
	int cpu, index;

	*last = 0;
	for (cpu = 0; cpu < 64; cpu++) {
		unsigned long cpu_sets = 0, cpu_line = 0;
		int cpu_level = 0;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache", cpu);
		if (access(path, F_OK))
			continue;
		for (index = 0; index < 8; index++) {
			static const char * const names[] = {
				"level", "number_of_sets", "coherency_line_size",
			};
			unsigned long v[3] = { };
			unsigned int i;
			char buf[32];

			for (i = 0; i < 3; i++) {
				snprintf(path, sizeof(path),
					 "/sys/devices/system/cpu/cpu%d/cache/index%d/%s",
					 cpu, index, names[i]);
				if (palloc_file_read(path, buf, sizeof(buf)) > 0)
					v[i] = strtoul(buf, NULL, 10);
			}
			snprintf(path, sizeof(path),
				 "/sys/devices/system/cpu/cpu%d/cache/index%d/type",
				 cpu, index);
			if (palloc_file_read(path, type, sizeof(type)) <= 0 ||
			    !strcmp(type, "Instruction\n"))
				continue;
			if (level ? (int)v[0] == level : (int)v[0] > cpu_level) {
				cpu_level = v[0];
				cpu_sets = v[1];
				cpu_line = v[2];
			}
		}
		*why = "no cache information";
		if (!cpu_sets || !cpu_line)
			return 0;
		*why = "CPUs have different caches";
		if (sets && (sets != cpu_sets || line != cpu_line || *last != cpu_level))
			return 0;
		sets = cpu_sets;
		line = cpu_line;
		*last = cpu_level;
	}
	*why = "no cache information";
	if (!sets)
		return 0;
	*why = "the number of sets is not a power of two";
	if (sets & (sets - 1))
		return 0;
	*why = "all sets are within a page";
	return (sets * line - 1) & ~((1ULL << PAGE_BITS) - 1);
}

static void test_cache(const void *arg)
{
	const char *name = arg, *why;
	char status[512];
	int last, ret;
	__u64 mask;

	palloc_enable(false);
	forget();
	mask = cache_mask(!strcmp(name, "llc") ? 0 : 2, &why, &last);
	ret = palloc_sys_puts("map", name);
	if (!mask) {
		palloc_note("there should be none: %s", why);
		expect(ret < 0);
		snprintf(status, sizeof(status), "%s: %s\n", name, why);
		expect(palloc_sys_reads("last_cmd_status", status));
		expect(palloc_sys_reads("bins", "16\n"));
		return;
	}
	palloc_note("mask %#llx, level %d", mask, last);
	if ((unsigned int)__builtin_popcountll(mask) > palloc_max_bits) {
		expect(ret == -ERANGE);
		expect(palloc_sys_reads("bins", "16\n"));
		return;
	}
	expect(ret == 0);
	palloc_map_mask(&palloc_map, mask);
	work_out(&palloc_map);
	all_true();
	/* Other warnings come first. */
	snprintf(status, sizeof(status), "%s%s%s",
		 want.nr_empty || last <= 2 ? want.status : "",
		 last > 2 ? name : "",
		 last > 2 ? ": warning: may be hashed, as most caches of level 3 are\n" : "");
	expect(palloc_sys_reads("last_cmd_status", status));
}

/* What is refused */

struct bad {
	const char *door, *text;
	int err;
	const char *why;
	size_t len;		/* where strlen() is not the length */
};

static int write_door(const char *door, const char *text, size_t len)
{
	if (!strncmp(door, "sysfs ", 6))
		return palloc_sys_write(door + 6, text, len);
	return palloc_write(door, text, len);
}

static void test_bad(const void *arg)
{
	const struct bad *b = arg;
	char status[256];
	int ret;

	palloc_setup_text("15 19\n14\n12 17\n");
	ret = write_door(b->door, b->text, b->len ? b->len : strlen(b->text));
	if (!expect(ret == -b->err))
		palloc_note("%s: got %s, expected %s", b->door,
			    ret ? strerror(-ret) : "success", strerror(b->err));
	snprintf(status, sizeof(status), "%s\n", b->why);
	expect(palloc_sys_reads("last_cmd_status", status));
	work_out(&palloc_map);
	all_true();
	expect(palloc_sys_reads("enabled", "1\n"));
	/* And forgotten with the next map. */
	expect(palloc_sys_puts("map", "0x3000") == 0);
	expect(palloc_sys_reads("last_cmd_status", "ok\n"));
}

static void test_mask_too_wide(const void *arg)
{
	struct bad b = {
		.door = "sysfs map", .text = "0xffffffffffffffff", .err = ERANGE,
	};
	char why[128];

	snprintf(why, sizeof(why), "64 functions are more than CONFIG_PALLOC_MAX_BITS (%u)",
		 palloc_max_bits);
	b.why = why;
	test_bad(&b);
}

static void test_too_many(const void *arg)
{
	struct bad b = { .door = arg, .err = ERANGE };
	char text[512], why[128];
	unsigned int i;
	size_t len = 0;

	for (i = 0; i <= palloc_max_bits; i++)
		len += snprintf(text + len, sizeof(text) - len, "%u\n", 12 + i);
	snprintf(why, sizeof(why), "%u functions are more than CONFIG_PALLOC_MAX_BITS (%u)",
		 palloc_max_bits + 1, palloc_max_bits);
	b.text = text;
	b.why = why;
	test_bad(&b);
	one_word(text, text);
	if (!strcmp(b.door, "sysfs map"))
		test_bad(&b);
}

/* More than sysfs takes at once must not be taken for a map that ends there. */
static void test_too_long(const void *arg)
{
	static char text[5000];
	struct bad b = {
		.door = arg, .text = text, .err = EINVAL, .why = "4096 bytes or more",
	};

	memset(text, '#', sizeof(text));
	memcpy(text, "12 16\n", 6);
	memcpy(text + sizeof(text) - 8, "\n13 17\n", 8);
	test_bad(&b);
}

#define TRUTH(what, truth)	{ "published: " what, test_published, &(truth) }
#define SPELLED(text, reads)	\
	{ "spelled: " #text, test_spelled, &(const struct spelled){ text, reads } }
#define BAD(what, door, text, err, why)	\
	{ "bad: " what, test_bad, &(const struct bad){ door, text, err, why, 0 } }
#define BAD_LEN(what, door, text, err, why)	\
	{ "bad: " what, test_bad,		\
	  &(const struct bad){ door, text, err, why, sizeof(text) - 1 } }

static const struct palloc_test tests[] = {
	{ "nine files and their modes", test_files, NULL },
	{ "enabled and use_palloc are one", test_enabled, NULL },
	TRUTH("Dell XPS-13", dell_xps),
	TRUTH("Toshiba PORTEGE R835P-56X", toshiba),
	TRUTH("Dell E6420", toshiba),
	TRUTH("Xeon W3553", w3553),
	TRUTH("E3-1220 v5", e3_1220),
	TRUTH("Xeon E5-2608L v3", e5_2608l),
	TRUTH("Raspberry Pi Zero 2", pi_4),
	TRUTH("Raspberry Pi 4", pi_4),
	TRUTH("Raspberry Pi 5, SDRAM_BANKLOW=4", pi_5_banklow),
	TRUTH("Raspberry Pi 5", pi_5),
	TRUTH("Jetson Nano", jetson_nano),
	TRUTH("Jetson Orin Nano", orin_nano),
	TRUTH("Jetson Orin AGX", orin_agx),
	TRUTH("Ryzen 9 9900X", ryzen),
	TRUTH("i7-8700", i7_8700),
	SPELLED("none", ""),
	SPELLED("0x0\n", ""),
	SPELLED("0xf000\n", "12\n13\n14\n15\n"),
	SPELLED("0x00183000", "12\n13\n19\n20\n"),
	SPELLED("0x8000000000003000", "12\n13\n63\n"),
	SPELLED("0x1800", "11\n12\n"),
	SPELLED("13", "13\n"),
	SPELLED("13\n", "13\n"),
	SPELLED(" 12,13\n", "12\n13\n"),
	SPELLED("15^14^13\n", "13 14 15\n"),
	SPELLED("# a board\n\n15\t14\n  13\n#12\n", "14 15\n13\n"),
	{ "as many bits as built for", test_widest, NULL },
	{ "palloc_mask and xor", test_mask_file, NULL },
	{ "xor that makes two functions one", test_xor_dependent, NULL },
	{ "memory: sums", test_memory_sums, "0xf000" },
	{ "memory: sums, no map", test_memory_sums, "none" },
	{ "memory: what is taken", test_memory_taken, NULL },
	{ "memory: read in pieces", test_memory_pieces, NULL },
	{ "read while maps change", test_changes, NULL },
	{ "llc", test_cache, "llc" },
	{ "l2", test_cache, "l2" },

	BAD("a name", "sysfs map", "zebra\n", EINVAL, "not a map: \"zebra\""),
	BAD("what looks like a name", "sysfs map", "l2c", EINVAL, "not a map: \"l2c\""),
	BAD("a command", "sysfs map", "flush\n", EINVAL, "not a map: \"flush\""),
	BAD("commands", "sysfs map", "xor 13 17\n", EINVAL, "not a map, but commands"),
	BAD("nothing", "sysfs map", "\n", EINVAL, "empty"),
	BAD("comments only", "sysfs map", "# 12\n\n", EINVAL, "empty"),
	BAD("a mask", "sysfs map", "0xzz\n", EINVAL, "not a mask: \"0xzz\""),
	BAD("a mask of no digits", "sysfs map", "0x", EINVAL, "not a mask: \"0x\""),
	BAD("a mask past 64 bits", "sysfs map", "0x1000000000000f000", ERANGE,
	    "not a mask: \"0x1000000000000f000\""),
	BAD("a mask and more", "sysfs map", "0xf000 junk\n", EINVAL,
	    "not an address bit (0 to 63): \"0xf000\""),
	BAD("a bit past 63", "sysfs map", "14^18,15^64\n", EINVAL,
	    "not an address bit (0 to 63): \"64\""),
	BAD("a decimal mask", "sysfs map", "61440", EINVAL,
	    "not an address bit (0 to 63): \"61440\""),
	BAD("an empty function", "sysfs map", "14^18,,15", EINVAL,
	    "not an address bit (0 to 63): \"\""),
	BAD("an empty last function", "sysfs map", "14^18,", EINVAL,
	    "not an address bit (0 to 63): \"\""),
	BAD("an empty bit", "sysfs map", "14^^18", EINVAL,
	    "not an address bit (0 to 63): \"\""),
	BAD("a bit twice", "sysfs map", "12,14^18^14", EINVAL,
	    "function 1 has bit 14 twice"),
	BAD("a function twice", "sysfs map", "12,14^18,18^14", EINVAL,
	    "function 2 (14 18) is the same as function 1"),
	BAD("dependent functions", "sysfs map", "14^18,15^19,14^15^18^19", EINVAL,
	    "function 2 (14 15 18 19) is the XOR of functions 0 and 1"),
	BAD("dependent functions in lines", "control", "8\n12\n9\n30\n8 9\n", EINVAL,
	    "function 4 (8 9) is the XOR of functions 0 and 2"),
	BAD("three dependent functions", "control", "12\n13\n31\n12 13 31\n", EINVAL,
	    "function 3 (12 13 31) is the XOR of functions 0, 1 and 2"),
	BAD("a line twice", "control", "12 16\n16 12\n", EINVAL,
	    "function 1 (12 16) is the same as function 0"),
	BAD("a cut off map.txt", "sysfs map", "14 18\n15 1", EINVAL,
	    "no newline after \"15 1\""),
	BAD("a cut off map.txt in control", "control", "14 18\n15 1", EINVAL,
	    "no newline after \"15 1\""),
	BAD("functions and a command", "sysfs map", "14 18\nenable\n", EINVAL,
	    "functions and other words don't mix"),
	BAD("a name among lines", "sysfs map", "14 18\nllc\n", EINVAL,
	    "not understood: \"llc\""),
	BAD("a name in control", "control", "llc\n", EINVAL, "not understood: \"llc\""),
	BAD("a long word", "control", "abcdefghijklmnopqrstuvwxyz\n", EINVAL,
	    "not understood: \"abcdefghijklmnopqrstuvwx\""),
	BAD("not printable", "control", "\x1b[2J\n", EINVAL,
	    "not understood: \"\\e[2J\""),
	BAD_LEN("a NUL", "sysfs map", "12\0 16\n", EINVAL, "has a NUL in it"),
	BAD_LEN("a NUL in control", "control", "12 16\n\0\n", EINVAL, "has a NUL in it"),
	BAD("xor", "control", "xor 13\n", EINVAL, "xor wants two different address bits"),
	BAD("palloc_mask", "palloc_mask", "0xzz", EINVAL, "not a mask: \"0xzz\""),
	BAD("use_mc_xor", "use_mc_xor", "2", EINVAL, "neither 0 nor 1"),
	BAD("enabled", "sysfs enabled", "2\n", EINVAL, "neither 0 nor 1"),
	BAD("enabled in words", "sysfs enabled", "yes\n", EINVAL, "neither 0 nor 1"),
	BAD("use_palloc", "use_palloc", "2\n", EINVAL, "neither 0 nor 1"),
	{ "bad: a mask with too many bits", test_mask_too_wide, NULL },
	{ "bad: too many functions", test_too_many, "sysfs map" },
	{ "bad: too many functions in control", test_too_many, "control" },
	{ "bad: too long", test_too_long, "control" },
	{ "bad: too long for sysfs", test_too_long, "sysfs map" },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS);
	read_frames();
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
