// SPDX-License-Identifier: GPL-2.0
/* Settings and maps, and what is wrong with them */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("palloc-sim: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

struct setting {
	const char *name;
	size_t offset;
	long value;		/* unless set */
	long min, max;
};

#define S(name, value, min, max) { #name, offsetof(struct config, name), value, min, max }

/* Those of a machine without any caches and queues to speak of: files have the others */
static const struct setting settings[] = {
	S(window, 128, 1, MAX_WINDOW), S(core_misses, 10, 0, MAX_WINDOW),
	S(dependent, 0, 0, (1 << MAX_CORES) - 1),
	S(l2_kib, 0, 0, 1 << 20), S(l2_ways, 8, 1, 64), S(l2_cycles, 10, 0, 1000),
	S(llc_kib, 0, 0, 1 << 20), S(llc_ways, 16, 1, 64), S(llc_cycles, 0, 0, 1000),
	S(llc_policy, POLICY_LRU, 0, 0), S(llc_inclusive, 0, 0, 1), S(llc_hash, 0, 0, 1),
	S(shared_misses, 0, 0, MAX_QUEUE), S(path_cycles, 0, 0, 1000),
	S(queue, 64, 1, MAX_QUEUE), S(write_queue, 32, 1, MAX_QUEUE),
	S(write_high, 24, 1, MAX_QUEUE), S(write_low, 8, 0, MAX_QUEUE), S(hit_cap, 0, 0, 1 << 20),
	S(clock_ratio, 1, 1, 16),
	S(cl, 7, 1, 100), S(cwl, 6, 1, 100), S(rcd, 7, 1, 100), S(rp, 7, 1, 100),
	S(ras, 20, 1, 200), S(rrd, 4, 1, 100), S(faw, 20, 1, 200), S(wr, 8, 1, 100),
	S(wtr, 4, 1, 100), S(rtp, 4, 1, 100), S(ccd_s, 4, 1, 100), S(ccd_l, 4, 1, 100),
	S(burst, 4, 1, 16), S(rtrs, 1, 0, 10), S(refi, 0, 0, 1 << 20), S(rfc, 60, 1, 10000),
	S(ranks, 1, 1, MAX_RANKS), S(bank_groups, 1, 1, 16), S(banks, 8, 1, MAX_BANKS),
	S(row_kib, 8, 1, 64),
	S(memory_mib, 1024, 1, 1 << 24),
	S(seed, 0, 0, 1L << 32), S(slice, 0, 0, 1L << 40), S(warmup, 0, 0, 1L << 40),
	S(min_records, 0, 0, 1L << 40),
};

#define NR_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static long *field(struct config *c, const struct setting *s)
{
	return (long *)((char *)c + s->offset);
}

void config_default(struct config *c)
{
	size_t i;

	for (i = 0; i < NR_SETTINGS; i++)
		*field(c, &settings[i]) = settings[i].value;
}

void config_set(struct config *c, const char *name, const char *value, const char *where)
{
	const struct setting *s;
	char *end;
	long n;

	for (s = settings; strcmp(s->name, name); s++) {
		if (s == settings + NR_SETTINGS - 1)
			die("%s: there is no setting \"%s\"", where, name);
	}
	if (!strcmp(name, "llc_policy")) {
		if (!strcmp(value, "lru"))
			c->llc_policy = POLICY_LRU;
		else if (!strcmp(value, "random"))
			c->llc_policy = POLICY_RANDOM;
		else
			die("%s: llc_policy is lru or random, not \"%s\"", where, value);
		return;
	}
	errno = 0;
	n = strtol(value, &end, 0);
	if (errno || *end || end == value || n < s->min || n > s->max)
		die("%s: %s is a number from %ld to %ld, not \"%s\"", where, name, s->min, s->max,
		    value);
	*field(c, s) = n;
}

void config_read(struct config *c, const char *file)
{
	char line[256], where[320], name[64], value[64], more;
	FILE *f = fopen(file, "r");
	int nr = 0;

	if (!f)
		die("%s: %s", file, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		snprintf(where, sizeof(where), "%s:%d", file, ++nr);
		line[strcspn(line, "#")] = 0;
		switch (sscanf(line, " %63s %63s %c", name, value, &more)) {
		case EOF:
			break;
		case 2:
			config_set(c, name, value, where);
			break;
		default:
			die("%s: a line has a name and a value", where);
		}
	}
	if (ferror(f))
		die("%s: %s", file, strerror(errno));
	fclose(f);
}

static bool power_of_two(long n)
{
	return n > 0 && !(n & (n - 1));
}

void config_check(const struct config *c)
{
	if (c->llc_kib && !power_of_two((c->llc_kib << 10 >> LINE_SHIFT) / c->llc_ways))
		die("llc_kib, llc_ways: the number of sets is not a power of two");
	if (c->l2_kib && !power_of_two((c->l2_kib << 10 >> LINE_SHIFT) / c->l2_ways))
		die("l2_kib, l2_ways: the number of sets is not a power of two");
	if (!power_of_two(c->banks) || !power_of_two(c->ranks) || !power_of_two(c->bank_groups) ||
	    c->ranks * c->bank_groups > c->banks)
		die("banks, ranks, bank_groups: not powers of two, or more ranks than banks");
	if (!power_of_two(c->row_kib))
		die("row_kib: not a power of two");
	if (c->write_high + MAX_PUSHED > c->write_queue || c->write_low >= c->write_high)
		die("write_low < write_high <= write_queue - %d is needed", MAX_PUSHED);
}

/* The kernel's rules: each function's bits are ones that the machine has, none is implied */
static void map_reduce(struct map *m, const char *file)
{
	uint64_t reduced[MAX_FUNCTIONS];
	int i, j;

	m->rest = ~0UL >> LINE_SHIFT << LINE_SHIFT;
	for (i = 0; i < m->nr; i++) {
		reduced[i] = m->function[i];
		for (j = 0; j < i; j++) {
			if (reduced[i] >> m->pivot[j] & 1)
				reduced[i] ^= reduced[j];
		}
		if (!reduced[i])
			die("%s: function %d is the XOR of others", file, i);
		m->pivot[i] = __builtin_ctzl(reduced[i]);
		m->rest &= ~(1UL << m->pivot[i]);
	}
}

void map_read(struct map *m, const char *file, const struct config *c)
{
	FILE *f = fopen(file, "r");
	char line[1024], *at, *end;
	int nr = 0;

	if (!f)
		die("%s: %s", file, strerror(errno));
	*m = (struct map){};
	while (fgets(line, sizeof(line), f)) {
		uint64_t bits = 0;

		nr++;
		line[strcspn(line, "#\n")] = 0;
		for (at = line; *at; at = end) {
			long bit = strtol(at, &end, 10);

			if (end == at) {
				if (!at[strspn(at, " \t\r")])
					break;
				die("%s:%d: an address bit is needed, not \"%s\"", file, nr, at);
			}
			if (bit < LINE_SHIFT || bit > 62)
				die("%s:%d: address bit %ld is in a cache line, or none", file, nr,
				    bit);
			if (c->memory_mib << 20 <= 1L << bit)
				die("%s:%d: with %ld MiB of memory there is no address bit %ld",
				    file, nr, c->memory_mib, bit);
			bits ^= 1UL << bit;
		}
		if (!bits)
			continue;
		if (m->nr == MAX_FUNCTIONS)
			die("%s: more than %d functions", file, MAX_FUNCTIONS);
		m->function[m->nr++] = bits;
	}
	if (ferror(f))
		die("%s: %s", file, strerror(errno));
	fclose(f);
	if (1L << m->nr != c->banks)
		die("%s: a map of %d banks, the machine has %ld", file, 1 << m->nr, c->banks);
	map_reduce(m, file);
}

struct place map_place(const struct map *m, const struct config *c, uint64_t address)
{
	uint64_t packed = 0, row_lines = c->row_kib << 10 >> LINE_SHIFT;
	struct place p = {};
	uint64_t rest;
	int i, to = 0;

	for (i = 0; i < m->nr; i++)
		p.bank |= __builtin_parityl(address & m->function[i]) << i;
	/* What is left of an address without the bits that the bank stands for */
	for (rest = m->rest; rest && (rest & -rest) <= address; rest &= rest - 1)
		packed |= (address >> __builtin_ctzl(rest) & 1) << to++;
	p.column = packed % row_lines;
	p.row = packed / row_lines;
	return p;
}
