/* SPDX-License-Identifier: GPL-2.0 */
/* What is in force: the map, on and off, and what the caller has chosen. */
#ifndef __PALLOC_TEST_SETTING_H
#define __PALLOC_TEST_SETTING_H

#include <stdbool.h>
#include <linux/types.h>

#include "color.h"

/* No memory of a guest is that far up: there are no pages of colors 4 to 7. */
#define PALLOC_MAP_GONE	"12\n13\n40\n"

#ifndef __NR_set_color
#define __NR_set_color		(-1)
#define __NR_set_color_map	(-1)
#endif

/* What the kernel was built for. */
extern unsigned int palloc_max_bits;

bool palloc_map_read(struct palloc_map *map);
unsigned long long palloc_fallbacks(void);
unsigned long long palloc_failures(void);

/* Putting a setting in force; these end the program when they cannot. */
void palloc_setup_mask(__u64 mask);
void palloc_setup_text(const char *text);
void palloc_enable(bool on);

/* System calls. */
long palloc_set_color(unsigned int color);
long palloc_set_color_map(const unsigned long *map, unsigned long nbits);
long palloc_set_colors(const char *list);
int palloc_policy(int op);

/* Remembers all that the tests change, and puts it back. */
bool palloc_save(void);
void palloc_restore(void);
void palloc_probe_max_bits(void);

#endif /* __PALLOC_TEST_SETTING_H */
