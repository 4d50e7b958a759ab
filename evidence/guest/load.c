// SPDX-License-Identifier: GPL-2.0
/*
 * Memory accesses to be measured, or to disturb others:
 *
 *   load latency|read|write -s KIB [-w WORK] [-r COUNT|-n NUMBER]
 *
 * latency follows pointers through all cache lines of KIB of memory, in an order without
 * a pattern, each access waiting for the one before; read and write go through them one
 * after the other. WORK instructions, or so, go between two accesses. After it has
 * gone through all of the memory once, it prints "ready", and, with -r, has COUNT accesses
 * recorded and ends, else, as hog NUMBER, waits for somebody to begin with that, and goes on for
 * ever.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "marks.h"

#define LINE	64

struct line {
	struct line *next;
	uint64_t value;
	char rest[LINE - 16];
};

static struct line *lines;
static size_t nr;
static volatile uint64_t sum;

/* A cycle through all lines, by Sattolo's algorithm */
static void link_lines(void)
{
	uint32_t *order = malloc(nr * sizeof(*order));
	uint64_t random = 88172645463325252;
	size_t i;

	if (!order) {
		perror("load: malloc");
		exit(1);
	}
	for (i = 0; i < nr; i++)
		order[i] = i;
	for (i = nr - 1; i > 0; i--) {
		size_t j;
		uint32_t swap;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		j = random % i;
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	for (i = 0; i < nr; i++)
		lines[order[i]].next = &lines[order[(i + 1) % nr]];
	free(order);
}

static inline void work(unsigned long n)
{
	for (n /= 2; n; n--)
		asm volatile("" : "+r" (n));
}

/* Each makes count accesses, of one kind, with n instructions between them */
static void latency(size_t count, unsigned long n)
{
	struct line *line = lines;

	for (; count; count--) {
		line = line->next;
		work(n);
	}
	sum += (uintptr_t)line;
}

static void reading(size_t count, unsigned long n)
{
	struct line *line;
	uint64_t s = 0;

	while (count) {
		for (line = lines; line < lines + nr && count; line++, count--) {
			s += line->value;
			work(n);
		}
	}
	sum += s;
}

static void writing(size_t count, unsigned long n)
{
	struct line *line;

	while (count) {
		for (line = lines; line < lines + nr && count; line++, count--) {
			*(volatile uint64_t *)&line->value = count;
			work(n);
		}
	}
}

int main(int argc, char **argv)
{
	void (*go)(size_t count, unsigned long n) = NULL;
	unsigned long kib = 0, busy = 0, record = 0;
	char going[32];
	int c, number = 0;

	if (argc > 1) {
		if (!strcmp(argv[1], "latency"))
			go = latency;
		else if (!strcmp(argv[1], "read"))
			go = reading;
		else if (!strcmp(argv[1], "write"))
			go = writing;
	}
	optind = 2;
	while (go && (c = getopt(argc, argv, "s:w:r:n:")) != -1) {
		switch (c) {
		case 's':
			kib = strtoul(optarg, NULL, 0);
			break;
		case 'w':
			busy = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			number = atoi(optarg);
			break;
		case 'r':
			record = strtoul(optarg, NULL, 0);
			break;
		default:
			go = NULL;
		}
	}
	if (!go || !kib || optind < argc) {
		fprintf(stderr, "Usage: load latency|read|write -s KIB [-w WORK] [-r COUNT|-n NUMBER]\n");
		return 1;
	}
	nr = kib * 1024 / LINE;
	lines = mmap(NULL, nr * LINE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (lines == MAP_FAILED) {
		perror("load: mmap");
		return 1;
	}
	if (go == latency)
		link_lines();
	go(nr, busy);
	puts("ready");
	fflush(stdout);
	if (!record) {
		while (access(GO, F_OK))
			usleep(500);
		snprintf(going, sizeof(going), GOING, number);
		close(open(going, O_WRONLY | O_CREAT, 0600));
		while (access(MORE, F_OK))
			go(nr, busy);
		go(2 * nr, busy);
		snprintf(going, sizeof(going), ENOUGH, number);
		close(open(going, O_WRONLY | O_CREAT, 0600));
		for (;;)
			go(nr, busy);
	}
	mark_start();
	go(record, busy);
	mark_stop();
	return 0;
}
