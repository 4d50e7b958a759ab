// SPDX-License-Identifier: GPL-2.0
/*
 * Measures what a page costs, with and without colors. No assertions.
 *
 * A pass maps memory, touches each page, and unmaps it. The first pass is
 * reported apart from later ones, as it also sorts pages by color. What is said
 * on the command line is set up first; what was there before is put back at the
 * end. Without -m nothing of palloc is used: that is for any kernel.
 */
#include <getopt.h>
#include <sys/resource.h>
#include <time.h>

#include "palloc_util.h"

#define MIXED_SLOTS	64
#define MIXED_STEPS	2000
#define MIXED_PAGES	512
/* Pages that one of two touches before it is the other's turn. */
#define TURN		8
/* Passes, and pages of all passes together, at least. */
#define PASSES		5
#define PAGES		65536

static const char *name = "bench", *bins, *other_bins, *colors;
static size_t pages, kib = 65536;
static __u64 mask;
static unsigned int tasks = 1, percent = 75;
static bool off, locks, fragment;
static bool mixed, turns, regions;

/* What a pass is for */
enum pass { TIME, WORST, COLORS };

struct cost {
	__u64 fault, unmap, worst;
	size_t pages, wrong;
};

static __u64 clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static __u64 now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static long preempted(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

/* Of a fault during which another task was let run, only its own time counts. */
static __u64 worst_fault(char *p, size_t n, __u64 worst)
{
	for (; n; n--, p += palloc_page_size) {
		long before = preempted();
		__u64 cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), t = now();

		*p = 1;
		t = now() - t;
		if (t <= worst)
			continue;
		cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
		if (preempted() != before)
			t = cpu;
		if (t > worst)
			worst = t;
	}
	return worst;
}

static void *map(size_t n, int flags)
{
	void *p = palloc_map_pages(n, flags);

	madvise(p, n * palloc_page_size, MADV_NOHUGEPAGE);
	return p;
}

/* A region in steps, each of a letter that can be sent to another task */

static size_t chunk;	/* pages of a step: all of them, unless there are two regions */

struct region {
	int flags;
	char *p, *at;
	__u64 worst;
};

static void step(struct region *r, char what)
{
	switch (what) {
	case 'm':
		r->p = map(pages, r->flags);
		r->at = r->p;
		break;
	case 't':
		palloc_touch(r->at, chunk);
		r->at += chunk * palloc_page_size;
		break;
	case 'w':
		r->worst = worst_fault(r->at, chunk, r->worst);
		r->at += chunk * palloc_page_size;
		break;
	case 'z':
		r->at -= chunk * palloc_page_size;
		madvise(r->at, chunk * palloc_page_size, MADV_DONTNEED);
		break;
	case 'u':
		palloc_free(r->p, pages);
		break;
	}
}

/* The second of two: this task's, or that of a partner at the end of pipes. */
static struct region second;
static int to_partner[2], from_partner[2];

static void partner(const void *arg)
{
	char what;

	close(to_partner[1]);
	while (read(to_partner[0], &what, 1) == 1) {
		step(&second, what);
		if (write(from_partner[1], &what, 1) != 1)
			return;
	}
}

static void both(struct region *r, char what)
{
	step(r, what);
	if (regions)
		step(&second, what);
	else if (turns && (write(to_partner[1], &what, 1) != 1 ||
			   read(from_partner[0], &what, 1) != 1))
		palloc_bail("the other task is gone");
}

static unsigned long wrong_pages(const void *p)
{
	unsigned long checked;

	return colors || bins ? palloc_impure(0, p, pages, colors ?: bins, &checked) : 0;
}

static void plain_pass(struct cost *c, enum pass what)
{
	struct region r = { .flags = colors ? MAP_PALLOC : 0, .worst = c->worst };
	__u64 start, touched;
	size_t done;

	both(&r, 'm');
	start = now();
	for (done = 0; done < pages; done += chunk)
		both(&r, what == WORST ? 'w' : 't');
	touched = now();
	if (what == COLORS)
		c->wrong = wrong_pages(r.p);
	/* Unmapping by steps would be about VMAs. */
	for (done = 0; chunk < pages && done < pages; done += chunk)
		both(&r, 'z');
	both(&r, 'u');
	c->worst = r.worst;
	if (what != TIME)
		return;
	c->fault += touched - start;
	c->unmap += now() - touched;
	c->pages += chunk < pages ? 2 * pages : pages;
}

static unsigned int seed;

static unsigned int rnd(unsigned int below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Sizes mixed, freed in random order: the same steps in every pass and kernel. */
static void mixed_pass(struct cost *c, enum pass what)
{
	struct {
		char *p;
		size_t n;
	} slot[MIXED_SLOTS] = { 0 };
	unsigned int at;

	seed = 1;
	for (at = 0; at < MIXED_STEPS + MIXED_SLOTS; at++) {
		/* At the end all that is left goes. */
		bool last = at >= MIXED_STEPS;
		unsigned int i = last ? at - MIXED_STEPS : rnd(MIXED_SLOTS);
		__u64 t;

		if (slot[i].p) {
			t = now();
			palloc_free(slot[i].p, slot[i].n);
			if (what == TIME)
				c->unmap += now() - t;
			slot[i].p = NULL;
		} else if (!last) {
			/* Many small ones, some large. */
			slot[i].n = 1 + rnd(1 + rnd(MIXED_PAGES));
			slot[i].p = map(slot[i].n, colors ? MAP_PALLOC : 0);
			if (what == WORST) {
				c->worst = worst_fault(slot[i].p, slot[i].n, c->worst);
				continue;
			}
			t = now();
			palloc_touch(slot[i].p, slot[i].n);
			c->fault += now() - t;
			c->pages += slot[i].n;
		}
	}
}

static void pass(struct cost *c, enum pass what)
{
	if (mixed)
		mixed_pass(c, what);
	else
		plain_pass(c, what);
}

/* zone->lock, all zones together, where the kernel has CONFIG_LOCK_STAT */

struct lock_stat {
	unsigned long contended, taken;
	double longest, all;
};

static void locks_reset(void)
{
	if (locks && palloc_file_write("/proc/lock_stat", "0", 1))
		palloc_bail("no /proc/lock_stat (CONFIG_LOCK_STAT)");
}

static struct lock_stat locks_read(void)
{
	FILE *f = fopen("/proc/lock_stat", "re");
	struct lock_stat s = { 0 };
	char line[512], *at;

	if (!f)
		palloc_bail("no /proc/lock_stat (CONFIG_LOCK_STAT)");
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "&zone->lock:");
		if (at && sscanf(at, "&zone->lock: %*u %lu %*f %*f %*f %*f %*u %lu %*f %lf %lf",
				 &s.contended, &s.taken, &s.longest, &s.all) == 4)
			break;
	}
	fclose(f);
	return s;
}

static void locks_print(const char *key, double per)
{
	struct lock_stat s = locks_read();

	printf(" %s %.1f contended %lu hold %.2f longest %.2f", key, s.taken / per,
	       s.contended, s.taken ? s.all / s.taken : 0, s.longest);
}

/* The measurements */

static unsigned int passes(void)
{
	return pages * PASSES < PAGES ? PAGES / pages : PASSES;
}

static size_t *touched;	/* by all tasks */

/* Returns right after a timer tick: a short first pass then has none. */
static void after_tick(void)
{
	__u64 last, t = now(), end = t + 20000000;

	do {
		last = t;
		t = now();
	} while (t - last < 2000 && t < end);
}

static void measure(const void *cg)
{
	struct cost first = { 0 }, later = { 0 };
	unsigned int i;

	if (colors && palloc_set_colors(colors))
		palloc_bail("set_color_map: %s", strerror(errno));
	if (turns) {
		if (pipe(to_partner) || pipe(from_partner))
			palloc_bail("pipe: %s", strerror(errno));
		palloc_spawn(cg, partner, NULL);
	}
	after_tick();
	pass(&first, TIME);
	if (!locks)
		pass(&later, WORST);
	for (i = 1; i < passes(); i++) {
		pass(&later, TIME);
		if (!locks)
			pass(&later, WORST);
	}
	__atomic_add_fetch(touched, first.pages + later.pages, __ATOMIC_RELAXED);
	/* The lock is everybody's: run() reports it. */
	if (locks)
		return;
	if (!mixed)
		pass(&later, COLORS);
	printf("bench %s kib %zu fault %.1f unmap %.1f first %.1f sum %.1f worst %llu",
	       name, kib, 1.0 * later.fault / later.pages, 1.0 * later.unmap / later.pages,
	       1.0 * (first.fault + first.unmap) / first.pages,
	       1.0 * (later.fault + later.unmap) / later.pages,
	       (unsigned long long)later.worst);
	printf(" fallback %llu wrong %zu\n", mask ? palloc_fallbacks() : 0, later.wrong);
}

static bool run(void)
{
	const char *cg = NULL, *other_cg = NULL;
	unsigned int i;
	bool ok = true;
	pid_t pid[64];

	if (bins) {
		cg = palloc_cg_new(NULL, "bench");
		if (palloc_cg_bins(cg, bins))
			palloc_bail("cannot set bins %s", bins);
	}
	if (other_bins) {
		other_cg = palloc_cg_new(NULL, "other");
		if (palloc_cg_bins(other_cg, other_bins))
			palloc_bail("cannot set bins %s", other_bins);
	}
	touched = mmap(NULL, sizeof(*touched), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (touched == MAP_FAILED)
		palloc_bail("mmap: %s", strerror(errno));
	locks_reset();
	for (i = 0; i < tasks; i++)
		pid[i] = palloc_spawn(cg, measure, other_cg);
	for (i = 0; i < tasks; i++)
		ok &= palloc_reap(pid[i]);
	if (locks) {
		printf("bench %s kib %zu", name, kib);
		locks_print("locks", *touched / 1000.0);
		printf(" fallback %llu\n", mask ? palloc_fallbacks() : 0);
	}
	if (cg)
		palloc_cg_remove(cg);
	if (other_cg)
		palloc_cg_remove(other_cg);
	return ok;
}

/* How long it takes to have another map in force, in microseconds. */
static bool remap(void)
{
	double gib = palloc_meminfo("MemTotal") / 1048576.0;
	char text[2][32];
	unsigned int i;
	__u64 t;

	snprintf(text[0], sizeof(text[0]), "%#llx", (unsigned long long)mask << 1);
	snprintf(text[1], sizeof(text[1]), "%#llx", (unsigned long long)mask);
	locks_reset();
	t = now();
	for (i = 0; i < 4; i++)
		if (palloc_puts("palloc_mask", text[i % 2]))
			palloc_bail("cannot change the map");
	t = now() - t;
	printf("bench %s us %.0f us_per_gib %.0f", name, t / 4000.0, t / 4000.0 / gib);
	if (locks)
		locks_print("locks", 4);
	putchar('\n');
	return true;
}

/*
 * Takes some of the free memory, says so, and keeps it until it is killed; to
 * fragment the rest, gives every other page back, more or less.
 */
static bool hold(void)
{
	size_t n = palloc_meminfo("MemFree") * 1024 / palloc_page_size * percent / 100, i;
	char *p = map(n, 0);

	palloc_touch(p, n);
	for (i = 0; fragment && i < n; i++)
		if (rnd(2))
			madvise(p + i * palloc_page_size, palloc_page_size, MADV_DONTNEED);
	printf("holding\n");
	pause();
	return true;
}

/* How many huge blocks compaction makes of memory that is full of holes. */
static bool compact(void)
{
	struct palloc_compaction c = { .list = off ? NULL : bins };

	if (bins) {
		c.cg = palloc_cg_new(NULL, "bench");
		if (palloc_cg_bins(c.cg, bins))
			palloc_bail("cannot set bins %s", bins);
	}
	palloc_compact(&c);
	printf("bench %s free %zu used %zu moved %ld before %ld after %ld\n", name, c.free,
	       c.used[0] + c.used[1], c.moved, c.before, c.after);
	if (c.cg)
		palloc_cg_remove(c.cg);
	return true;
}

static void usage(void)
{
	fputs("Usage: palloc_bench [OPTION]... WORK\n"
	      "Prints one line \"bench NAME KEY VALUE...\". Times are in ns, of a page: of\n"
	      "touching and unmapping it, of both, in the first pass and in later ones; of the\n"
	      "worst single touch; and how many pages did not get their color.\n\n"
	      "WORK:\n"
	      "  plain      one region, touched and unmapped\n"
	      "  mixed      regions of many sizes, unmapped in random order\n"
	      "  turns      two tasks that take turns\n"
	      "  regions    two regions of a task that take turns, the first with -c\n"
	      "  remap      changes of the map, and back\n"
	      "  compact    free blocks of the size of a huge page, before and after memory\n"
	      "             that has holes is compacted; half of it is the cgroup's\n"
	      "  hold       takes memory and keeps it until killed\n\n"
	      "  -n NAME    in the output\n"
	      "  -s KIB     of a region (default 65536)\n"
	      "  -m MASK    palloc_mask; without it, palloc is left alone\n"
	      "  -o         but disabled\n"
	      "  -b BINS    of the task's cgroup\n"
	      "  -B BINS    of the other task's\n"
	      "  -c COLORS  for set_color_map(), and MAP_PALLOC\n"
	      "  -t TASKS   at once, with -l\n"
	      "  -l         use of zone->lock instead of times: how often per 1,000 pages, or\n"
	      "             per change of the map, how long, at most and on average, in us\n"
	      "  -p PERCENT of the free memory to hold (default 75)\n"
	      "  -f         then free a random half of it, page by page\n", stdout);
}

static unsigned long parse_number(const char *text, unsigned long max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || text[0] == '-' || !value || value > max) {
		fprintf(stderr, "palloc_bench: not a number that fits: %s\n", text);
		exit(1);
	}
	return value;
}

int main(int argc, char *argv[])
{
	const char *work, *missing;
	bool (*fn)(void) = run;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:m:ob:B:c:t:lp:fh")) != -1) {
		switch (opt) {
		case 'n':
			name = optarg;
			break;
		case 's':
			kib = parse_number(optarg, 1UL << 30);
			break;
		case 'm':
			mask = parse_number(optarg, ~0UL);
			break;
		case 'o':
			off = true;
			break;
		case 'b':
			bins = optarg;
			break;
		case 'B':
			other_bins = optarg;
			break;
		case 'c':
			colors = optarg;
			break;
		case 't':
			tasks = parse_number(optarg, 64);
			break;
		case 'l':
			locks = true;
			break;
		case 'p':
			percent = parse_number(optarg, 100);
			break;
		case 'f':
			fragment = true;
			break;
		case 'h':
			usage();
			return 0;
		default:
			goto bad;
		}
	}
	work = optind == argc - 1 ? argv[optind] : "";
	mixed = !strcmp(work, "mixed");
	turns = !strcmp(work, "turns");
	regions = !strcmp(work, "regions");
	if (!strcmp(work, "hold")) {
		fn = hold;
	} else if (!strcmp(work, "compact") && (mask || !bins)) {
		fn = compact;
	} else if (!strcmp(work, "remap") && mask) {
		fn = remap;
	} else if ((!mixed && !turns && !regions && strcmp(work, "plain")) ||
		 (!mask && (bins || other_bins || colors)) || (tasks > 1 && !locks)) {
		goto bad;
	}

	/* Line by line: forked children write too. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	palloc_init_tool();
	pages = kib * 1024 / palloc_page_size / TURN * TURN;
	chunk = turns || regions ? TURN : pages;
	if (mask) {
		missing = palloc_try_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
		if (missing)
			palloc_bail("%s", missing);
		palloc_setup_mask(mask);
		palloc_enable(!off);
	}
	return fn() ? 0 : 1;
bad:
	fprintf(stderr, "palloc_bench: that makes no sense, see palloc_bench -h\n");
	return 1;
}
