// SPDX-License-Identifier: GPL-2.0
/*
 * The program of the palloc guides that allocates memory and touches it, so
 * that the trace (debug_level 1) and palloc_hist have something to show. It
 * knows nothing of palloc: what it is given is decided by its cgroup.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_MIB		(1024 * 1024UL)
#define MAX_ROUNDS	1000000UL

static void usage(FILE *to)
{
	fputs("Usage: microbenchmark [-k] [-r ROUNDS] N\n"
	      "Allocates N MiB of memory and touches every page of it.\n"
	      "\n"
	      "  -r, --rounds ROUNDS  touch all pages so many times (default 1)\n"
	      "  -k, --keep           then keep the memory until killed\n"
	      "  -h, --help           this text\n", to);
}

static int parse(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || !*value || *value > max)
		return -1;
	return 0;
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "keep", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned long mib, rounds = 1, round, pages, i;
	size_t page_size = sysconf(_SC_PAGESIZE);
	int opt, keep = 0;
	char *p;

	while ((opt = getopt_long(argc, argv, "r:kh", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			if (parse(optarg, MAX_ROUNDS, &rounds)) {
				fprintf(stderr, "microbenchmark: bad number of rounds: %s\n",
					optarg);
				return 1;
			}
			break;
		case 'k':
			keep = 1;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind != argc - 1) {
		usage(stderr);
		return 1;
	}
	if (parse(argv[optind], MAX_MIB, &mib)) {
		fprintf(stderr, "microbenchmark: bad number of MiB: %s\n", argv[optind]);
		return 1;
	}

	p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		fprintf(stderr, "microbenchmark: cannot map %lu MiB: %s\n", mib,
			strerror(errno));
		return 1;
	}
	pages = (mib << 20) / page_size;
	for (round = 0; round < rounds; round++)
		for (i = 0; i < pages; i++)
			p[i * page_size] = round + 1;
	printf("microbenchmark: pid %d touched %lu pages (%lu MiB), %lu round%s\n",
	       getpid(), pages, mib, rounds, rounds == 1 ? "" : "s");
	fflush(stdout);
	if (keep)
		pause();
	return 0;
}
