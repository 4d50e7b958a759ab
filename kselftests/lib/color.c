// SPDX-License-Identifier: GPL-2.0
/* See color.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "color.h"

struct palloc_map palloc_map;
size_t palloc_page_size;

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
