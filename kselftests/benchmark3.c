// SPDX-License-Identifier: GPL-2.0
/*
 * The program of the palloc guides that uses the system calls: it makes color 0
 * the process's only color, maps a region with MAP_PALLOC and walks through its
 * cache lines.
 */
#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <strings.h>

#include "palloc_util.h"

#define CACHE_LINE	64UL

static void usage(FILE *to)
{
	fputs("Usage: benchmark3 [-k] -a ACCESSES -s SIZE\n"
	      "Sets color 0, maps SIZE bytes with MAP_PALLOC and makes ACCESSES\n"
	      "cache-line accesses to them.\n"
	      "\n"
	      "  -a ACCESSES  a number; K and M are thousands and millions\n"
	      "  -s SIZE      bytes; K, KB, M, MB, G, GB are powers of 1024\n"
	      "  -k           then keep the region until killed\n"
	      "  -h           this text\n", to);
}

/* Returns 0 for what is not a number that can be used. */
static unsigned long parse(const char *text, unsigned long unit, bool bytes)
{
	static const char units[] = "KMG";
	unsigned long value, factor = 1;
	const char *at;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return 0;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno)
		return 0;
	at = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (at) {
		for (; at >= units; at--)
			factor *= unit;
		end++;
	}
	if (bytes && !strcasecmp(end, "B"))
		end++;
	if (*end || value > LONG_MAX / factor)
		return 0;
	return value * factor;
}

int main(int argc, char *argv[])
{
	unsigned long accesses = 0, size = 0, lines, i, at;
	bool keep = false;
	char *p;
	int opt;

	while ((opt = getopt(argc, argv, "a:s:kh")) != -1) {
		switch (opt) {
		case 'a':
			accesses = parse(optarg, 1000, false);
			if (!accesses) {
				fprintf(stderr, "benchmark3: bad number of accesses: %s\n",
					optarg);
				return 1;
			}
			break;
		case 's':
			size = parse(optarg, 1024, true);
			if (!size) {
				fprintf(stderr, "benchmark3: bad size: %s\n", optarg);
				return 1;
			}
			break;
		case 'k':
			keep = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind != argc || !accesses || !size) {
		usage(stderr);
		return 1;
	}

	lines = (size + CACHE_LINE - 1) / CACHE_LINE;
	printf("Cache accesses: %lu\n", accesses);
	printf("Size of allocated region in bytes: %lu\n", size);
	printf("%lu unique cache lines will be accessed\n", accesses < lines ? accesses : lines);
	printf("\nStarting benchmark...\n\n");
	fflush(stdout);

	if (palloc_set_color(0)) {
		fprintf(stderr, "Syscall set_color failed: %s\n", strerror(errno));
		return 1;
	}
	printf("Syscall set_color succeeded!\n");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_PALLOC, -1, 0);
	if (p == MAP_FAILED) {
		fprintf(stderr, "mmap of %lu bytes failed: %s\n", size, strerror(errno));
		return 1;
	}
	for (i = 0, at = 0; i < accesses; i++) {
		p[at * CACHE_LINE]++;
		/* Each access is made, however the loop is compiled. */
		asm volatile("" : : "r" (p) : "memory");
		if (++at == lines)
			at = 0;
	}
	printf("Benchmark completed\n");
	fflush(stdout);
	if (keep)
		pause();
	return 0;
}
