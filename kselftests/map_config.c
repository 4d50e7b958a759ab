// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that each way of describing a color map (palloc_mask, XOR pairs,
 * map.txt lines through control) puts exactly that map in force: it reads back,
 * it decides how many bins there are, and pages that are handed out have the
 * colors that this program computes from their physical addresses.
 * And that each bad input is refused with the documented error and leaves the
 * map in force, files and pages alike.
 */
#include <sys/stat.h>
#include <dirent.h>

#include "palloc_util.h"

#define REGION_PAGES	32
#define SAMPLE_PAGES	1024

static char big[1 << 20];

/* One color of the map: a region that asks for it has only pages of it. */
static bool color_obeyed(unsigned int color)
{
	char list[16];
	bool pure;
	void *p;

	snprintf(list, sizeof(list), "%u", color);
	if (!expect(palloc_set_color(color) == 0))
		return false;
	p = palloc_alloc(REGION_PAGES, MAP_PALLOC);
	pure = expect(palloc_pure(p, REGION_PAGES, list));
	palloc_free(p, REGION_PAGES);
	palloc_set_color_map(NULL, 0);
	return pure;
}

/*
 * palloc_map is what allocations follow. Colors are taken from pages seen:
 * a map may have colors that no page of this machine has.
 */
static void check_colored_by_map(void)
{
	static struct palloc_hist hist;
	unsigned int bins = palloc_bins(&palloc_map), i, done = 0;
	void *p;

	errno = 0;
	expect(palloc_set_color(bins) == -1 && errno == EINVAL);

	memset(&hist, 0, sizeof(hist));
	p = palloc_alloc(SAMPLE_PAGES, 0);
	expect(palloc_count(0, p, SAMPLE_PAGES, &hist) == SAMPLE_PAGES);
	palloc_free(p, SAMPLE_PAGES);

	for (i = 0; i < bins && done < 3; i++) {
		if (!hist.n[i] || (done == 1 && i < bins / 2))
			continue;
		done++;
		if (!color_obeyed(i))
			return;
	}
	for (i = bins; i-- > 0;)
		if (hist.n[i])
			break;
	color_obeyed(i);
	expect(done);
}

static void check_in_force(void)
{
	struct palloc_map map;

	if (!expect(palloc_map_read(&map)))
		return;
	if (!expect(palloc_map_same(&map, &palloc_map))) {
		char got[512], want[512], *at;

		palloc_map_text(&map, got, sizeof(got));
		palloc_map_text(&palloc_map, want, sizeof(want));
		for (at = got; (at = strchr(at, '\n'));)
			*at = ',';
		for (at = want; (at = strchr(at, '\n'));)
			*at = ',';
		palloc_note("in force: %s expected: %s", got, want);
		return;
	}
	check_colored_by_map();
}

/* The files */

static void test_files(const void *arg)
{
	static const char * const names[] = {
		"alloc_balance", "control", "debug_level", "palloc_mask",
		"use_mc_xor", "use_palloc",
	};
	unsigned int i, n = 0;
	struct dirent *entry;
	char path[512];
	struct stat st;
	DIR *dir;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), PALLOC_DIR "/%s", names[i]);
		if (!expect(stat(path, &st) == 0))
			continue;
		if (!expect((st.st_mode & 07777) == 0600))
			palloc_note("%s has mode %o", names[i], st.st_mode & 07777);
	}
	dir = opendir(PALLOC_DIR);
	expect(dir);
	if (!dir)
		return;
	/* verify is there with CONFIG_DEBUG_VM only. */
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.' && strcmp(entry->d_name, "verify");
	closedir(dir);
	expect(n == ARRAY_SIZE(names));
}

static void test_switches(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_reads("use_palloc", "1\n"));
	expect(palloc_puts("use_palloc", "0\n") == 0);
	expect(palloc_reads("use_palloc", "0\n"));
	expect(palloc_puts("control", "enable\n") == 0);
	expect(palloc_reads("use_palloc", "1\n"));
	expect(palloc_puts("control", "disable\n") == 0);
	expect(palloc_reads("use_palloc", "0\n"));
	expect(palloc_puts("use_mc_xor", "1\n") == 0);
	expect(palloc_reads("use_mc_xor", "1\n"));
	expect(palloc_puts("use_mc_xor", "0\n") == 0);
	expect(palloc_reads("use_mc_xor", "0\n"));
	expect(palloc_puts("alloc_balance", "4\n") == 0);
	expect(palloc_reads("alloc_balance", "4\n"));
	expect(palloc_puts("alloc_balance", "4294967295\n") == 0);
	expect(palloc_reads("alloc_balance", "4294967295\n"));
	expect(palloc_puts("debug_level", "1\n") == 0);
	expect(palloc_reads("debug_level", "1\n"));
	expect(palloc_puts("debug_level", "0\n") == 0);
	expect(palloc_reads("debug_level", "0\n"));
}

static void test_control_state(const void *arg)
{
	char buf[4096];

	palloc_setup_mask(0xf000);
	expect(palloc_gets("control", buf, sizeof(buf)) > 0);
	expect(strstr(buf, "# palloc: enabled, 16 bins\n"));
	expect(strstr(buf, "# fallback 0\n"));
	expect(strstr(buf, "\n12\n13\n14\n15\n"));
	palloc_setup_mask(0x3000);
	palloc_enable(false);
	expect(palloc_gets("control", buf, sizeof(buf)) > 0);
	expect(strstr(buf, "# palloc: disabled, 4 bins\n"));
}

/* palloc_mask */

struct mask_case {
	const char *text, *reads;
	__u64 mask;
};

static const struct mask_case mask_hex = { "0x0000f000", "0x000000000000f000\n", 0xf000 };
static const struct mask_case mask_newline = { "0xf000\n", "0x000000000000f000\n", 0xf000 };
static const struct mask_case mask_decimal = { "61440", "0x000000000000f000\n", 0xf000 };
static const struct mask_case mask_octal = { "0170000", "0x000000000000f000\n", 0xf000 };
static const struct mask_case mask_scattered = { "0x00183000", "0x0000000000183000\n", 0x183000 };
static const struct mask_case mask_one_bit = { "0x4000", "0x0000000000004000\n", 0x4000 };
static const struct mask_case mask_high = {
	"0x8000000000003000", "0x8000000000003000\n", 0x8000000000003000
};

static void test_mask(const void *arg)
{
	const struct mask_case *c = arg;

	palloc_setup_mask(0x6000);
	expect(palloc_puts("palloc_mask", c->text) == 0);
	expect(palloc_reads("palloc_mask", c->reads));
	palloc_map_mask(&palloc_map, c->mask);
	check_in_force();
}

static void test_mask_none(const void *arg)
{
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_puts("palloc_mask", "0") == 0);
	expect(palloc_reads("palloc_mask", "0x0000000000000000\n"));
	palloc_map_mask(&palloc_map, 0);
	expect(palloc_set_color(1) == -1 && errno == EINVAL);
	expect(palloc_set_color(0) == 0);
	p = palloc_alloc(PALLOC_MANY, MAP_PALLOC);
	/* With no map nothing is restricted: count colors as if there were one. */
	palloc_map_mask(&palloc_map, 0xf000);
	expect(palloc_mixed(p, PALLOC_MANY));
	palloc_free(p, PALLOC_MANY);
}

static void test_mask_widest(const void *arg)
{
	__u64 mask = ((1ULL << palloc_max_bits) - 1) << 12;
	char text[32];

	palloc_setup_mask(0xf000);
	snprintf(text, sizeof(text), "%#llx", mask);
	expect(palloc_puts("palloc_mask", text) == 0);
	palloc_map_mask(&palloc_map, mask);
	check_in_force();
}

/* A function of sub-page bits only: the color bit is 0 for every page. */
static void test_mask_sub_page(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_puts("palloc_mask", "0x1800") == 0);
	palloc_map_mask(&palloc_map, 0x1800);
	check_in_force();
}

/* XOR pairs */

static void set_fn(unsigned int i, __u64 fn)
{
	palloc_map.fn[i] = fn;
}

static void test_xor(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_puts("control", "xor 13 17") == -EINVAL);
	expect(palloc_puts("control", "xor 13 17\n") == 0);
	/* Pairs wait for use_mc_xor. */
	check_in_force();
	expect(palloc_puts("use_mc_xor", "1") == 0);
	set_fn(1, 1ULL << 13 | 1ULL << 17);
	check_in_force();
	expect(palloc_puts("control", "xor 15 19\n") == 0);
	set_fn(3, 1ULL << 15 | 1ULL << 19);
	check_in_force();
	expect(palloc_reads("palloc_mask", "0x000000000000f000\n"));
	expect(palloc_puts("use_mc_xor", "0") == 0);
	palloc_map_mask(&palloc_map, 0xf000);
	check_in_force();
}

static void test_xor_before_mask(const void *arg)
{
	palloc_setup_mask(0);
	expect(palloc_puts("use_mc_xor", "1") == 0);
	expect(palloc_puts("control", "xor 12 16\nxor 14 18\n") == 0);
	expect(palloc_puts("palloc_mask", "0xf000") == 0);
	palloc_map_mask(&palloc_map, 0xf000);
	set_fn(0, 1ULL << 12 | 1ULL << 16);
	set_fn(2, 1ULL << 14 | 1ULL << 18);
	check_in_force();
}

/* A pair whose first bit is not in the mask belongs to no color bit. */
static void test_xor_outside_mask(const void *arg)
{
	palloc_setup_mask(0x3000);
	expect(palloc_puts("use_mc_xor", "1") == 0);
	expect(palloc_puts("control", "xor 15 19\n") == 0);
	check_in_force();
	expect(palloc_puts("palloc_mask", "0xb000") == 0);
	palloc_map_mask(&palloc_map, 0xb000);
	set_fn(2, 1ULL << 15 | 1ULL << 19);
	check_in_force();
}

/* Partner 0 takes a pair back, reset does not. */
static void test_xor_taken_back(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_puts("use_mc_xor", "1") == 0);
	expect(palloc_puts("control", "xor 13 17\nxor 14 18\n") == 0);
	set_fn(1, 1ULL << 13 | 1ULL << 17);
	set_fn(2, 1ULL << 14 | 1ULL << 18);
	check_in_force();
	expect(palloc_puts("control", "reset\n") == 0);
	check_in_force();
	expect(palloc_fallbacks() == 0);
	expect(palloc_puts("control", "xor 13 0\n") == 0);
	set_fn(1, 1ULL << 13);
	check_in_force();
}

static void test_flush(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_puts("control", "flush\n") == 0);
	expect(palloc_reads("use_palloc", "1\n"));
	check_in_force();
}

static void test_several_commands(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_puts("use_mc_xor", "1") == 0);
	palloc_enable(false);
	expect(palloc_puts("control", "xor 13 17\nflush\nxor 14 18\nenable\n") == 0);
	expect(palloc_reads("use_palloc", "1\n"));
	set_fn(1, 1ULL << 13 | 1ULL << 17);
	set_fn(2, 1ULL << 14 | 1ULL << 18);
	check_in_force();
}

/* map.txt */

static void test_text(const void *arg)
{
	const char *text = arg;

	palloc_setup_mask(0x3000);
	palloc_map_parse(&palloc_map, text);
	if (palloc_map.nbits > palloc_max_bits) {
		expect(palloc_puts("control", text) == -ERANGE);
		palloc_map_mask(&palloc_map, 0x3000);
		check_in_force();
		return;
	}
	expect(palloc_puts("control", text) == 0);
	check_in_force();
	expect(palloc_reads("palloc_mask", "0x0000000000000000\n"));
}

static const char commented[] =
	"# banks of a board\n"
	"\n"
	"  12 16\n"
	"\t13\t17\t\n"
	"  \t\n"
	"#14 18\n"
	"14   18\n";

/* What control reads can be written to it: the same map is in force. */
static void test_round_trip(const void *arg)
{
	char before[4096], after[4096];

	palloc_setup_text(arg);
	expect(palloc_gets("control", before, sizeof(before)) > 0);
	palloc_setup_mask(0x3000);
	expect(palloc_puts("control", before) == 0);
	expect(palloc_gets("control", after, sizeof(after)) > 0);
	expect(!strcmp(before, after));
	palloc_map_parse(&palloc_map, arg);
	check_in_force();
}

/* All lines of one write are the map; none of the old one stays. */
static void test_text_replaces(const void *arg)
{
	palloc_setup_text("12 16\n13 17\n14 18\n15 19\n");
	check_in_force();
	expect(palloc_puts("control", "13 18\n12\n") == 0);
	palloc_map_parse(&palloc_map, "13 18\n12\n");
	check_in_force();
	expect(palloc_puts("palloc_mask", "0xc000") == 0);
	palloc_map_mask(&palloc_map, 0xc000);
	check_in_force();
	expect(palloc_reads("palloc_mask", "0x000000000000c000\n"));
}

static void test_text_longest(const void *arg)
{
	static const char line[] = "\n13 16\n12\n";
	const size_t len = 4095;

	palloc_setup_mask(0x3000);
	memset(big, 'x', len);
	big[0] = '#';
	memcpy(big + len - strlen(line), line, strlen(line));
	expect(palloc_write("control", big, len) == 0);
	palloc_map_parse(&palloc_map, line);
	check_in_force();
}

/* A change while enabled is for the next allocation; pages stay as they are. */
static void test_change_enabled(const void *arg)
{
	void *old, *new;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(5) == 0);
	old = palloc_alloc(64, MAP_PALLOC);
	expect(palloc_pure(old, 64, "5"));

	expect(palloc_puts("control", "12 16\n13 17\n14 18\n15 19\n") == 0);
	new = palloc_alloc(64, MAP_PALLOC);
	palloc_map_parse(&palloc_map, "12 16\n13 17\n14 18\n15 19\n");
	expect(palloc_pure(new, 64, "5"));
	palloc_free(new, 64);

	expect(palloc_puts("palloc_mask", "0xf0000") == 0);
	palloc_map_mask(&palloc_map, 0xf0000);
	expect(palloc_given(64, MAP_PALLOC, "5"));

	palloc_map_mask(&palloc_map, 0xf000);
	expect(palloc_pure(old, 64, "5"));
	palloc_free(old, 64);
}

/* The cgroup side follows the same map. */
static void test_cgroup_follows(const void *arg)
{
	const char *cg;

	palloc_setup_text("12 16\n13 17\n14 18\n15 19\n");
	cg = palloc_cg_with(NULL, "map", "0-3");
	expect(palloc_run_in(cg, palloc_allocates, "0-3"));
	expect(palloc_cg_bins(cg, "12-15") == 0);
	expect(palloc_run_in(cg, palloc_allocates, "12-15"));
	expect(palloc_puts("palloc_mask", "0x183000") == 0);
	palloc_map_mask(&palloc_map, 0x183000);
	expect(palloc_run_in(cg, palloc_allocates, "12-15"));
}

/* Bad input */

struct bad {
	const char *file;
	const char *text;
	int err;
	size_t len;		/* where strlen() is not the length */
};

static char snap[2][6][4096];

static void snapshot(unsigned int which)
{
	static const char * const names[] = {
		"alloc_balance", "control", "debug_level", "palloc_mask",
		"use_mc_xor", "use_palloc",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		expect(palloc_gets(names[i], snap[which][i], sizeof(snap[0][0])) > 0);
}

static void refused(const struct bad *b)
{
	int ret;

	snapshot(0);
	ret = palloc_write(b->file, b->text, b->len ? b->len : strlen(b->text));
	if (!expect(ret == -b->err))
		palloc_note("%s: got %s, expected %s", b->file,
			    ret ? strerror(-ret) : "success", strerror(b->err));
	snapshot(1);
	expect(!memcmp(snap[0], snap[1], sizeof(snap[0])));
	check_in_force();
}

/* Once over a map from palloc_mask, once over one from map.txt. */
static void test_bad(const void *arg)
{
	memset(snap, 0, sizeof(snap));
	palloc_setup_mask(0xf000);
	if (!expect(palloc_puts("control", "xor 13 17\n") == 0) ||
	    !expect(palloc_puts("use_mc_xor", "1") == 0) ||
	    !expect(palloc_puts("alloc_balance", "3") == 0))
		return;
	set_fn(1, 1ULL << 13 | 1ULL << 17);
	refused(arg);
	palloc_setup_text("15 19\n14\n12 17\n");
	refused(arg);
}

static void test_bad_mask_bits(const void *arg)
{
	struct bad b = { .file = "palloc_mask", .err = ERANGE };
	char text[32];

	snprintf(text, sizeof(text), "%#llx",
		 (__u64)((1ULL << (palloc_max_bits + 1)) - 1) << 12);
	b.text = text;
	test_bad(&b);
}

static void test_bad_lines(const void *arg)
{
	struct bad b = { .file = "control", .err = ERANGE };
	char text[512];
	size_t used = 0;
	unsigned int i;

	for (i = 0; i <= palloc_max_bits; i++)
		used += snprintf(text + used, sizeof(text) - used, "%u\n", 12 + i);
	b.text = text;
	test_bad(&b);
}

static void test_bad_length(const void *arg)
{
	static const char line[] = "\n13 16\n12\n";
	struct bad b = { .file = "control", .err = EINVAL, .text = big };
	const size_t *len = arg;

	memset(big, 'x', *len);
	big[0] = '#';
	memcpy(big + *len - strlen(line), line, strlen(line));
	b.len = *len;
	test_bad(&b);
}

static void test_bad_pointer(const void *arg)
{
	struct bad b = { .file = "control", .err = EFAULT, .len = 7 };

	b.text = palloc_map_pages(1, 0);
	palloc_free((void *)b.text, 1);
	test_bad(&b);
}

static const size_t len_4096 = 4096;
static const size_t len_1m = sizeof(big);

#define BAD(what, file, text, err)	\
	{ "bad: " what, test_bad, &(const struct bad){ file, text, err, 0 } }
#define BAD_LEN(what, file, text, err)	\
	{ "bad: " what, test_bad, &(const struct bad){ file, text, err, sizeof(text) - 1 } }

static const struct palloc_test tests[] = {
	{ "six files, mode 0600", test_files, NULL },
	{ "switches read back", test_switches, NULL },
	{ "control shows state and map", test_control_state, NULL },
	{ "mask: hexadecimal", test_mask, &mask_hex },
	{ "mask: with newline", test_mask, &mask_newline },
	{ "mask: decimal", test_mask, &mask_decimal },
	{ "mask: octal", test_mask, &mask_octal },
	{ "mask: scattered bits", test_mask, &mask_scattered },
	{ "mask: one bit", test_mask, &mask_one_bit },
	{ "mask: a bit above memory", test_mask, &mask_high },
	{ "mask: 0 is no map", test_mask_none, NULL },
	{ "mask: as many bits as built for", test_mask_widest, NULL },
	{ "mask: a bit below the page size", test_mask_sub_page, NULL },
	{ "xor: pairs count once use_mc_xor is 1", test_xor, NULL },
	{ "xor: pairs given before the mask", test_xor_before_mask, NULL },
	{ "xor: a pair outside the mask", test_xor_outside_mask, NULL },
	{ "xor: a pair taken back", test_xor_taken_back, NULL },
	{ "flush changes nothing", test_flush, NULL },
	{ "several commands in one write", test_several_commands, NULL },
	{ "map.txt: single bits", test_text, "12\n13\n14\n15\n" },
	{ "map.txt: order of lines", test_text, "15\n12\n14\n13\n" },
	{ "map.txt: comments, blank lines, tabs", test_text, commented },
	{ "map.txt: Dell XPS-13", test_text,
	  "14 18\n15 19\n16 20\n17 21\n8 9 12 13 14 15\n" },
	{ "map.txt: Toshiba PORTEGE", test_text, "14 18\n15 19\n16 20\n17 21\n" },
	{ "map.txt: Xeon W3553", test_text, "13\n14\n16\n20\n21\n" },
	{ "map.txt: E3-1220 v5", test_text,
	  "7 14\n15 19\n16 20\n17 21\n18 22\n8 9 12 13 15 18\n" },
	{ "map.txt: Xeon E5-2608L v3", test_text,
	  "6 22\n19 23\n20 24\n21 25\n8 13 15 17 27\n6 7 12 14 16 18 26\n" },
	{ "map.txt: Raspberry Pi 4", test_text, "12\n13\n14\n" },
	{ "map.txt: Raspberry Pi 5, SDRAM_BANKLOW=4", test_text, "12\n13\n14\n31\n" },
	{ "map.txt: Raspberry Pi 5", test_text, "12\n30\n31\n32\n" },
	{ "map.txt: Jetson Nano", test_text,
	  "13 19 20 21 24 25 26 28\n10 12 14 16 17 21 25 27 28\n"
	  "10 16 17 18 22 23 27 29 30\n10 11 13 15 16 20 22 24 25 29\n" },
	{ "map.txt: Jetson Orin Nano", test_text,
	  "11 17 19 25 27 28 31\n9 12 22 23 24 31 33\n10 17 21 27 29 32 33\n"
	  "10 11 15 20 21 22 24 29\n13 14 16 20 24 27 30 33\n"
	  "9 12 16 17 20 21 24 26 27\n10 14 15 17 18 24 25 26 27\n" },
	{ "map.txt: Jetson Orin AGX", test_text,
	  "11 14 16 20 21 22 33\n9 11 12 16 19 23 27 28\n12 13 18 22 25 29 30 31\n"
	  "10 11 12 17 19 20 23 32\n10 11 13 14 18 27 28 34\n"
	  "11 12 13 16 19 24 33 35\n10 13 17 21 24 25 26 29 34\n"
	  "14 15 17 21 25 28 31 34 35\n" },
	{ "map.txt: Ryzen 9 9900X", test_text,
	  "8\n19\n11 20 25\n12 21 26\n9 22 27\n10 23 28\n13 24 29\n6 9 10 11 12 13\n" },
	{ "map.txt: i7-8700", test_text,
	  "7 14\n15 20\n16 21\n17 22\n18 23\n19 24\n8 9 12 13 18 19\n" },
	{ "round trip: single bits", test_round_trip, "12\n13\n14\n15\n" },
	{ "round trip: pairs", test_round_trip, "14 18\n15 19\n16 20\n17 21\n" },
	{ "round trip: wide functions", test_round_trip,
	  "13 19 20 21 24 25 26 28\n10 12 14 16 17 21 25 27 28\n" },
	{ "one write replaces the whole map", test_text_replaces, NULL },
	{ "a write of 4095 bytes", test_text_longest, NULL },
	{ "change while enabled: next allocation", test_change_enabled, NULL },
	{ "cgroup bins follow the map", test_cgroup_follows, NULL },

	BAD("palloc_mask 0xzz", "palloc_mask", "0xzz", EINVAL),
	BAD("palloc_mask zebra", "palloc_mask", "zebra", EINVAL),
	BAD("palloc_mask 0xf000 junk", "palloc_mask", "0xf000 junk", EINVAL),
	BAD("palloc_mask empty", "palloc_mask", "", EINVAL),
	BAD("palloc_mask with 64 bits", "palloc_mask", "0xffffffffffffffff", ERANGE),
	BAD("palloc_mask past 64 bits", "palloc_mask", "0x1000000000000f000", ERANGE),
	{ "bad: palloc_mask one bit too many", test_bad_mask_bits, NULL },
	BAD("use_palloc 2", "use_palloc", "2", EINVAL),
	BAD("use_palloc y", "use_palloc", "y", EINVAL),
	BAD("use_palloc empty", "use_palloc", "", EINVAL),
	BAD("use_mc_xor 2", "use_mc_xor", "2", EINVAL),
	BAD("use_mc_xor on", "use_mc_xor", "on", EINVAL),
	BAD("alloc_balance zebra", "alloc_balance", "zebra", EINVAL),
	BAD("debug_level zebra", "debug_level", "zebra", EINVAL),
	BAD("xor 99 1", "control", "xor 99 1\n", EINVAL),
	BAD("xor 13 64", "control", "xor 13 64\n", EINVAL),
	BAD("xor 0 13", "control", "xor 0 13\n", EINVAL),
	BAD("xor 5 5", "control", "xor 5 5\n", EINVAL),
	BAD("xor -1 13", "control", "xor -1 13\n", EINVAL),
	BAD("xor 4294967308 13", "control", "xor 4294967308 13\n", EINVAL),
	BAD("xor 13", "control", "xor 13\n", EINVAL),
	BAD("xor 13 17 18", "control", "xor 13 17 18\n", EINVAL),
	BAD("xor 13 zebra", "control", "xor 13 zebra\n", EINVAL),
	BAD("frobnicate", "control", "frobnicate\n", EINVAL),
	BAD("enable with an argument", "control", "enable now\n", EINVAL),
	BAD("Disable", "control", "Disable\n", EINVAL),
	BAD("unterminated command", "control", "disable", EINVAL),
	BAD("unterminated function", "control", "12 16", EINVAL),
	BAD("unterminated last line", "control", "12 16\n13 17", EINVAL),
	BAD("a good command before a bad one", "control", "disable\nfrobnicate\n", EINVAL),
	BAD("a good command before an unterminated one", "control", "disable\nflush", EINVAL),
	BAD("a good function before a bad one", "control", "12 16\n13 64\n", EINVAL),
	BAD("empty write", "control", "", EINVAL),
	BAD("commands and functions mixed", "control", "disable\n12 16\n", EINVAL),
	BAD("functions and commands mixed", "control", "12 16\ndisable\n", EINVAL),
	BAD("a bit past 63", "control", "12 64\n", EINVAL),
	BAD("a bit past 2^32", "control", "4294967308\n", EINVAL),
	BAD("a negative bit", "control", "-1\n", EINVAL),
	BAD("a hexadecimal bit", "control", "0x0c\n", EINVAL),
	BAD("bits with a comma", "control", "12,16\n", EINVAL),
	BAD("a bit named twice", "control", "12 16 12\n", EINVAL),
	BAD("a line twice", "control", "12 16\n12 16\n", EINVAL),
	BAD("dependent functions", "control", "12 16\n13\n16 13 12\n", EINVAL),
	BAD_LEN("a NUL in a command", "control", "disable\0\n", EINVAL),
	BAD_LEN("a NUL in a function", "control", "12\0 16\n", EINVAL),
	BAD_LEN("a NUL after a line", "control", "12 16\n\0\n", EINVAL),
	{ "bad: too many functions", test_bad_lines, NULL },
	{ "bad: 4096 bytes", test_bad_length, &len_4096 },
	{ "bad: 1 MiB", test_bad_length, &len_1m },
	{ "bad: unmapped buffer", test_bad_pointer, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP)
