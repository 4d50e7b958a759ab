/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps, colors, and sets of them. The arithmetic is written apart from the kernel's
 * on purpose: a test asks the kernel for pages and computes their colors itself.
 */
#ifndef __PALLOC_TEST_COLOR_H
#define __PALLOC_TEST_COLOR_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define PALLOC_MAX_BITS	10
#define PALLOC_MAX_BINS	1024U
#define PALLOC_LONGS	(PALLOC_MAX_BINS / (8 * sizeof(long)))

/* One XOR function of address bits per color bit. */
struct palloc_map {
	unsigned int nbits;
	__u64 fn[PALLOC_MAX_BITS];
};

struct palloc_set {
	unsigned long bits[PALLOC_LONGS];
};

/* The map a test has put in force. */
extern struct palloc_map palloc_map;
extern size_t palloc_page_size;

bool palloc_map_parse(struct palloc_map *map, const char *text);
void palloc_map_text(const struct palloc_map *map, char *buf, size_t size);
void palloc_map_mask(struct palloc_map *map, __u64 mask);
bool palloc_map_same(const struct palloc_map *a, const struct palloc_map *b);
unsigned int palloc_bins(const struct palloc_map *map);
unsigned int palloc_color(const struct palloc_map *map, __u64 pfn);
void palloc_set_parse(struct palloc_set *set, const char *list);
void palloc_set_add(struct palloc_set *set, unsigned int color);
bool palloc_set_has(const struct palloc_set *set, unsigned int color);
unsigned int palloc_set_count(const struct palloc_set *set);

#endif /* __PALLOC_TEST_COLOR_H */
