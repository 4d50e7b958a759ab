// SPDX-License-Identifier: GPL-2.0
/*
 * Proves what palloc.stat counts: every page that is handed out by color, once,
 * under the color that it has; also those of any color, where the colors have run
 * out; in the cgroup of whose memory it is, and in all above, also when it is
 * removed.
 */
#include <sched.h>

#include "palloc_util.h"

#define PAGES	1000

struct counts {
	long hits, refills, splits, pages;
	long bin[PALLOC_MAX_BINS];
};

static struct counts before, after;

/* It has these lines, in this order, and no others. */
static void read_stat(const char *cg, struct counts *st)
{
	static char text[65536];
	char *line = text, *end;
	unsigned int i;
	char want[32];

	memset(st, 0, sizeof(*st));
	if (!expect(palloc_cg_read(cg, "palloc.stat", text, sizeof(text)) > 0))
		return;
	for (i = 0; *line; line = end + 1, i++) {
		long *value = i == 0 ? &st->hits : i == 1 ? &st->refills :
			      i == 2 ? &st->splits : &st->bin[i - 3];

		end = strchr(line, '\n');
		if (!expect(end) || !expect(i < 3 + palloc_bins(&palloc_map)))
			return;
		snprintf(want, sizeof(want), i == 0 ? "hits %%ld" : i == 1 ? "refills %%ld" :
			 i == 2 ? "splits %%ld" : "bin%u %%ld", i - 3);
		if (!expect(sscanf(line, want, value) == 1))
			return;
		if (i >= 3)
			st->pages += *value;
	}
	expect(i == 3 + palloc_bins(&palloc_map));
}

static void expect_unchanged(void)
{
	expect(!memcmp(&before, &after, sizeof(before)));
}

/*
 * A process that does nothing between its steps, so that a step can be counted: it
 * touches pages, and tells what colors they are of.
 */

struct task {
	pid_t pid;
	int to, from;
};

struct step {
	bool region, huge, last;
	size_t pages;
};

static void works(const void *arg)
{
	static struct palloc_hist hist;
	const int *pipes = arg;
	const size_t huge = 2 << 20;
	struct step step;
	char *p, *q;

	palloc_steady();
	while (read(pipes[0], &step, sizeof(step)) == sizeof(step) && !step.last) {
		size_t size = (step.pages + 1) * palloc_page_size + (step.huge ? huge : 0);

		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			 (step.region ? MAP_PALLOC : 0), -1, 0);
		if (!expect(p != MAP_FAILED))
			return;
		q = p;
		if (step.huge) {
			q = (char *)(((uintptr_t)p + huge - 1) & ~(huge - 1));
			madvise(q, step.pages * palloc_page_size, MADV_HUGEPAGE);
		} else {
			madvise(p, size, MADV_NOHUGEPAGE);
		}
		palloc_touch(q, step.pages);
		memset(&hist, 0, sizeof(hist));
		palloc_count(0, q, step.pages, &hist);
		munmap(p, size);
		if (write(pipes[3], &hist, sizeof(hist)) != sizeof(hist))
			return;
	}
}

static void tell(struct task *task, size_t pages, bool region, bool huge)
{
	struct step step = { .region = region, .huge = huge, .pages = pages };

	expect(write(task->to, &step, sizeof(step)) == sizeof(step));
}

static void result(struct task *task, struct palloc_hist *hist)
{
	size_t done = 0;
	ssize_t n;

	while (done < sizeof(*hist)) {
		n = read(task->from, (char *)hist + done, sizeof(*hist) - done);
		if (n <= 0)
			break;
		done += n;
	}
	expect(done == sizeof(*hist));
}

static void start_as(struct task *task, const char *cg, void (*fn)(const void *arg))
{
	static struct palloc_hist nothing;
	int pipes[4];

	if (pipe(pipes) || pipe(pipes + 2))
		palloc_bail("pipe: %s", strerror(errno));
	task->pid = palloc_spawn(cg, fn, pipes);
	close(pipes[0]);
	close(pipes[3]);
	task->to = pipes[1];
	task->from = pipes[2];
	/* Until it has all that it needs */
	tell(task, 0, false, false);
	result(task, &nothing);
}

static void start(struct task *task, const char *cg)
{
	start_as(task, cg, works);
}

static void finish(struct task *task)
{
	const struct step last = { .last = true };

	expect(write(task->to, &last, sizeof(last)) == sizeof(last));
	expect(palloc_reap(task->pid));
	close(task->to);
	close(task->from);
}

/* Each page, and no other, is counted, by its color. */
static bool expect_counted(const struct palloc_hist *hist)
{
	unsigned int i;
	bool ok = true;

	for (i = 0; i < palloc_bins(&palloc_map); i++) {
		if (after.bin[i] - before.bin[i] == (long)hist->n[i])
			continue;
		palloc_note("bin%u: counted %ld, there are %ld", i,
			    after.bin[i] - before.bin[i], hist->n[i]);
		ok = false;
	}
	return expect(ok) && expect(after.pages - before.pages == (long)hist->pages);
}

static struct palloc_hist hist;

static void step_counts(struct task *task, const char *cg, size_t pages, bool region,
			bool huge)
{
	read_stat(cg, &before);
	tell(task, pages, region, huge);
	result(task, &hist);
	read_stat(cg, &after);
	expect(hist.pages == pages);
	expect_counted(&hist);
}

static void test_exact(const void *arg)
{
	struct task task;
	const char *cg = palloc_setup_cg("exact", "0-3");
	unsigned int i;

	start(&task, cg);
	for (i = 0; i < 4; i++)
		step_counts(&task, cg, PAGES, false, false);
	/* Lists may be drained by others at times, but are there mostly. */
	expect(after.hits - before.hits > PAGES / 2);
	expect(after.hits <= after.pages);
	expect(after.refills > 0 && after.refills < after.hits);
	expect(after.splits > 0);
	step_counts(&task, cg, 1, false, false);
	step_counts(&task, cg, 0, false, false);
	expect_unchanged();
	finish(&task);
}

/* What is not allocated by color is not counted. */
static void test_no_colors(const void *arg)
{
	struct task task;
	const char *cg = palloc_setup_cg("none", NULL);

	start(&task, cg);
	read_stat(cg, &before);
	expect(before.pages == 0 && before.hits == 0);
	tell(&task, PAGES, false, false);
	result(&task, &hist);
	tell(&task, PAGES, true, false);
	result(&task, &hist);
	read_stat(cg, &after);
	expect_unchanged();
	finish(&task);
}

static void test_above(const void *arg)
{
	const char *top, *leaf, *other;
	struct task task;

	top = palloc_setup_cg("top", NULL);
	leaf = palloc_cg_new(top, "leaf");
	other = palloc_cg_new(top, "other");
	expect(palloc_cg_bins(top, "4-7") == 0);
	start(&task, leaf);
	step_counts(&task, leaf, PAGES, false, false);
	step_counts(&task, top, PAGES, false, false);
	step_counts(&task, palloc_cg_root(), PAGES, false, false);
	/* Who is moved counts elsewhere. */
	expect(palloc_cg_move(other, task.pid) == 0);
	step_counts(&task, other, PAGES, false, false);
	step_counts(&task, top, PAGES, false, false);
	read_stat(leaf, &before);
	tell(&task, PAGES, false, false);
	result(&task, &hist);
	read_stat(leaf, &after);
	expect_unchanged();
	finish(&task);
}

static void test_removed(const void *arg)
{
	const char *top, *leaf;
	struct task task;
	unsigned int i;

	top = palloc_setup_cg("top", NULL);
	for (i = 0; i < 3; i++) {
		leaf = palloc_cg_with(top, "leaf", "4-7");
		start(&task, leaf);
		step_counts(&task, top, PAGES, false, false);
		finish(&task);
		read_stat(top, &before);
		expect(palloc_cg_remove(leaf) == 0);
		read_stat(top, &after);
		expect_unchanged();
	}
	/* Also when nothing is left of them. */
	sleep(1);
	read_stat(top, &after);
	expect_unchanged();
	expect(after.pages >= 3 * PAGES);
}

static int *stop;

static void reads(const void *arg)
{
	const char *top = arg;

	read_stat(top, &before);
	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		read_stat(top, &after);
		if (!expect(after.pages >= before.pages) || !expect(after.hits >= before.hits))
			return;
		before = after;
	}
}

static void allocates(const void *arg)
{
	palloc_free(palloc_alloc(PAGES, 0), PAGES);
}

/* Counts pass to the group above when the kernel is done with one: never none, nor twice. */
static void test_never_less(const void *arg)
{
	const char *top, *leaf[8];
	unsigned int i, round;
	char name[8];
	pid_t reader;

	top = palloc_setup_cg("top", "4-7");
	*stop = 0;
	reader = palloc_spawn(NULL, reads, top);
	for (round = 0; round < 8; round++) {
		for (i = 0; i < ARRAY_SIZE(leaf); i++) {
			snprintf(name, sizeof(name), "leaf%u", i);
			leaf[i] = palloc_cg_new(top, name);
			expect(palloc_run_in(leaf[i], allocates, NULL));
		}
		for (i = 0; i < ARRAY_SIZE(leaf); i++)
			expect(palloc_cg_remove(leaf[i]) == 0);
	}
	read_stat(top, &before);
	sleep(1);
	read_stat(top, &after);
	expect_unchanged();
	__atomic_store_n(stop, 1, __ATOMIC_RELEASE);
	expect(palloc_reap(reader));
	expect(after.pages >= (long)(8 * ARRAY_SIZE(leaf) * PAGES));
}

/* Pages of all colors, which come and go on the CPU that this is started on. */
static void churns(const void *arg)
{
	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		allocates(NULL);
		usleep(10000);
	}
}

/* Their lists on a CPU are for others to have then, whoever frees pages of their colors. */
static void test_lists_of_removed(const void *arg)
{
	cpu_set_t before_cpus, one;
	unsigned int i;
	const char *cg;
	char bins[16];
	pid_t other;

	palloc_setup_mask(0xf000);
	sched_getaffinity(0, sizeof(before_cpus), &before_cpus);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	expect(sched_setaffinity(0, sizeof(one), &one) == 0);
	*stop = 0;
	other = palloc_spawn(NULL, churns, NULL);
	for (i = 0; i < 6; i++) {
		cg = palloc_cg_new(NULL, "gone");
		snprintf(bins, sizeof(bins), "%u-%u", 2 * i, 2 * i + 1);
		expect(palloc_cg_bins(cg, bins) == 0);
		expect(palloc_run_in(cg, allocates, NULL));
		expect(palloc_cg_remove(cg) == 0);
	}
	cg = palloc_cg_with(NULL, "here", "12-15");
	for (i = 0; i < 30; i++) {
		sleep(1);
		expect(palloc_run_in(cg, allocates, NULL));
		read_stat(cg, &after);
		if (after.hits)
			break;
	}
	expect(after.hits > 0);
	__atomic_store_n(stop, 1, __ATOMIC_RELEASE);
	expect(palloc_reap(other));
	sched_setaffinity(0, sizeof(before_cpus), &before_cpus);
}

/* Regions of a process's own colors count in its cgroup. */
static void own_colors(const void *arg)
{
	if (expect(palloc_set_color(9) == 0))
		works(arg);
}

static void test_region(const void *arg)
{
	const char *a = palloc_setup_cg("a", "0-3");
	const char *b = palloc_cg_new(NULL, "b");
	struct task task;

	start_as(&task, a, own_colors);
	step_counts(&task, a, PAGES, true, false);
	expect(hist.n[9] == PAGES);
	step_counts(&task, a, PAGES, false, false);
	expect(hist.n[9] == 0);
	/* One that has no bins */
	expect(palloc_cg_move(b, task.pid) == 0);
	step_counts(&task, b, PAGES, true, false);
	expect(hist.n[9] == PAGES);
	/* None */
	expect(palloc_cg_move(palloc_cg_root(), task.pid) == 0);
	step_counts(&task, palloc_cg_root(), PAGES, true, false);
	expect(hist.n[9] == PAGES);
	finish(&task);
}

/* Pages of any color are seen where they are. */
static void test_fallback(const void *arg)
{
	struct task task;
	const char *cg = palloc_setup_cg("fallback", "9");
	long events;

	expect(palloc_puts("palloc_mask", "0x3000") == 0);
	palloc_map_mask(&palloc_map, 0x3000);
	start(&task, cg);
	events = palloc_cg_event(cg, "fallback");
	step_counts(&task, cg, PAGES, false, false);
	expect(palloc_cg_event(cg, "fallback") - events == PAGES);
	expect(after.hits == before.hits);
	finish(&task);
}

static void test_huge(const void *arg)
{
	struct task task;
	const char *cg = palloc_setup_cg("huge", "0-15");

	start(&task, cg);
	step_counts(&task, cg, 1024, false, true);
	finish(&task);
}

static void test_many_bins(const void *arg)
{
	struct task task;
	const char *cg;

	palloc_setup_mask(((1ULL << palloc_max_bits) - 1) << 12);
	cg = palloc_cg_with(NULL, "many", "3-9");
	start(&task, cg);
	step_counts(&task, cg, 70, false, false);
	finish(&task);
}

/* On all CPUs at once */
static void test_at_once(const void *arg)
{
	static struct palloc_hist sum;
	struct task task[4];
	const char *cg = palloc_setup_cg("once", "0-7");
	unsigned int i, c, round;

	for (i = 0; i < ARRAY_SIZE(task); i++)
		start(&task[i], cg);
	for (round = 0; round < 4; round++) {
		read_stat(cg, &before);
		for (i = 0; i < ARRAY_SIZE(task); i++)
			tell(&task[i], PAGES, false, false);
		memset(&sum, 0, sizeof(sum));
		for (i = 0; i < ARRAY_SIZE(task); i++) {
			result(&task[i], &hist);
			sum.pages += hist.pages;
			for (c = 0; c < PALLOC_MAX_BINS; c++)
				sum.n[c] += hist.n[c];
		}
		read_stat(cg, &after);
		expect(sum.pages == ARRAY_SIZE(task) * PAGES);
		expect_counted(&sum);
	}
	for (i = 0; i < ARRAY_SIZE(task); i++)
		finish(&task[i]);
}

static const struct palloc_test tests[] = {
	{ "each page is counted by its color", test_exact, NULL },
	{ "memory without colors is not counted", test_no_colors, NULL },
	{ "groups above", test_above, NULL },
	{ "a group is removed", test_removed, NULL },
	{ "read while groups are removed", test_never_less, NULL },
	{ "lists of groups that are gone", test_lists_of_removed, NULL },
	{ "MAP_PALLOC regions", test_region, NULL },
	{ "colors that ran out", test_fallback, NULL },
	{ "huge pages", test_huge, NULL },
	{ "as many bins as built for", test_many_bins, NULL },
	{ "several processes at once", test_at_once, NULL },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	stop = palloc_shared(1);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
