// SPDX-License-Identifier: GPL-2.0
/* See setting.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/palloc.h>

#include "check.h"
#include "file.h"
#include "setting.h"

unsigned int palloc_max_bits;

static struct {
	bool valid;
	char use_palloc[16], mask[32], mc_xor[16], debug_level[16], balance[16];
	struct palloc_map map;
} saved;

bool palloc_map_read(struct palloc_map *map)
{
	char buf[4096];

	if (palloc_gets("control", buf, sizeof(buf)) < 0)
		return false;
	return palloc_map_parse(map, buf);
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

/* Before and after the tests */

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

/* Leaves a mask of as many bits in force. */
void palloc_probe_max_bits(void)
{
	char text[32];
	unsigned int n;

	for (n = PALLOC_MAX_BITS; n; n--) {
		snprintf(text, sizeof(text), "%#llx", ((1ULL << n) - 1) << 12);
		if (!palloc_puts("palloc_mask", text))
			break;
	}
	palloc_max_bits = n;
}
