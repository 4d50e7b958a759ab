// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that palloc.recolor and PR_PALLOC_RECOLOR bring the pages that
 * processes have into the colors that are in force: after the bins of a cgroup
 * or the colors of a region have changed, and after a running program was moved
 * into a cgroup. That they move no page that has an allowed color, keep the
 * data, count what they did and what they could not do, and say so to whom it
 * is none of their business.
 */
#include <sys/uio.h>

#include "palloc_util.h"

#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/enabled"
#define PAGES		2048
#define PINNED		16

/* Seen by all processes. */
static struct shared {
	unsigned int ready, stop;
	int pipe[2];
	size_t kept;
} *shared;

/* Mapped before children are started, touched by these only. */
static char *mem;

static __u64 *cell(size_t i)
{
	return (__u64 *)(mem + i * palloc_page_size);
}

static void fill(void)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		*cell(i) = i;
}

static void expect_data(void)
{
	size_t i, bad = 0;

	for (i = 0; i < PAGES; i++)
		bad += *cell(i) != i;
	expect(!bad);
}

/* Goes on writing what is there already. */
static void stay(void)
{
	__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
		fill();
		usleep(1000);
	}
	expect_data();
}

static void runs(const void *arg)
{
	fill();
	stay();
}

static pid_t start(const char *cg, void (*fn)(const void *arg))
{
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = palloc_spawn(cg, fn, NULL);
	palloc_wait_for(&shared->ready);
	return pid;
}

static void stop(pid_t pid)
{
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	expect(palloc_reap(pid));
	expect(palloc_lossless());
}

static const char *begin(const char *bins)
{
	const char *cg;

	palloc_setup_mask(0xf000);
	expect(palloc_keep(THP_ENABLED));
	palloc_file_write(THP_ENABLED, "never", 5);
	palloc_tidy_memory();
	mem = palloc_map_pages(PAGES, 0);
	cg = palloc_cg_with(NULL, "recolor", bins);
	return cg;
}

static void end(void)
{
	palloc_free(mem, PAGES);
}

/*
 * What a run says of itself: at least @min pages, or just these. A page stays that
 * is busy just then, as when the child has found its mapping gone for a moment and
 * looks it up, or when NUMA balancing has it; another run moves it.  Returns how
 * many have failed in all runs.
 */
static long recolor_now(const char *cg, long min, long max, long failed)
{
	unsigned int tries = 0;
	long m = 0, f = -1, counted = 0;

	do {
		char text[128];
		long moved;

		expect(palloc_cg_write(cg, "palloc.recolor", "1") == 0);
		expect(palloc_cg_read(cg, "palloc.recolor", text, sizeof(text)) > 0);
		if (!expect(sscanf(text, "moved %ld\nfailed %ld\n", &moved, &f) == 2))
			return -1;
		m += moved;
		counted += f;
	} while (f > failed && ++tries < 100);
	if (!expect(m >= min && m <= max && f == failed))
		palloc_note("moved %ld of %ld to %ld, failed %ld of %ld", m, min, max,
			    f, failed);
	return counted;
}

/* The rest of a process's memory is some more. */
#define MORE	512

static void test_bins(const void *arg)
{
	const char *cg = begin("0-3");
	pid_t pid = start(cg, runs);

	expect(palloc_cg_reads(cg, "palloc.recolor", "moved 0\nfailed 0\n"));
	expect(palloc_pure_pid(pid, mem, PAGES, "0-3"));
	recolor_now(cg, 0, MORE, 0);
	expect(palloc_cg_bins(cg, "8-11") == 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "0-3"));
	recolor_now(cg, PAGES, PAGES + MORE, 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "8-11"));
	expect(palloc_process_pure(pid, "8-11", PAGES + 1));
	recolor_now(cg, 0, 0, 0);
	/* Half of the pages may stay. */
	expect(palloc_cg_bins(cg, "10-13") == 0);
	recolor_now(cg, PAGES / 2 - PAGES / 16, PAGES / 2 + PAGES / 16 + MORE / 2, 0);
	expect(palloc_process_pure(pid, "10-13", PAGES + 1));
	/* Without bins every color is right. */
	expect(palloc_cg_bins(cg, "\n") == 0);
	recolor_now(cg, 0, 0, 0);
	stop(pid);
	end();
}

static void test_moved_in(const void *arg)
{
	const char *cg = begin("4-6");
	pid_t pid = start(NULL, runs);

	expect(palloc_cg_move(cg, pid) == 0);
	recolor_now(cg, PAGES / 2, PAGES + MORE, 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "4-6"));
	expect(palloc_process_pure(pid, "4-6", PAGES + 1));
	stop(pid);
	end();
}

/* It is for all below, too, but for nobody else. */
static void test_below(const void *arg)
{
	const char *cg = begin("0-7"), *below = palloc_cg_new(cg, "below");
	pid_t pid = start(below, runs);

	expect(palloc_cg_bins(below, "0-1") == 0);
	recolor_now(cg, PAGES / 2, PAGES + MORE, 0);
	expect(palloc_cg_reads(below, "palloc.recolor", "moved 0\nfailed 0\n"));
	expect(palloc_pure_pid(pid, mem, PAGES, "0-1"));
	expect(palloc_cg_bins(below, "2-3") == 0);
	expect(palloc_cg_write(palloc_cg_new(NULL, "other"), "palloc.recolor", "1") == 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "0-1"));
	stop(pid);
	end();
}

static void test_disabled(const void *arg)
{
	const char *cg = begin("0-3");
	pid_t pid = start(NULL, runs);

	expect(palloc_cg_move(cg, pid) == 0);
	palloc_enable(false);
	recolor_now(cg, 0, 0, 0);
	palloc_enable(true);
	recolor_now(cg, PAGES / 2, PAGES + MORE, 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "0-3"));
	stop(pid);
	end();
}

/* Nobody can have these pages elsewhere. */
static void pins(const void *arg)
{
	struct iovec iov = { .iov_base = mem, .iov_len = PINNED * palloc_page_size };

	fill();
	expect(pipe(shared->pipe) == 0);
	expect(vmsplice(shared->pipe[1], &iov, 1, 0) == (ssize_t)iov.iov_len);
	__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
	palloc_wait_for(&shared->stop);
	close(shared->pipe[0]);
	close(shared->pipe[1]);
	shared->stop = 0;
	stay();
}

static long recolor_pid(unsigned long pid, struct palloc_recolor *r)
{
	return prctl(PR_PALLOC_RECOLOR, pid, r, 0, 0) ? -errno : 0;
}

/* The same for a process: exactly so many, in the end. */
static long recolor_pid_now(unsigned long pid, size_t moved, size_t failed)
{
	unsigned int tries = 0;
	struct palloc_recolor r;
	size_t m = 0;
	long counted = 0;

	do {
		r = (struct palloc_recolor) { 77, 77 };
		if (!expect(recolor_pid(pid, &r) == 0))
			return -1;
		m += r.moved;
		counted += r.failed;
	} while (r.failed > failed && ++tries < 100);
	if (!expect(m == moved && r.failed == failed))
		palloc_note("moved %zu of %zu, failed %llu of %zu", m, moved,
			    (unsigned long long)r.failed, failed);
	return counted;
}

static void test_pinned(const void *arg)
{
	const char *cg = begin("0-3"), *below = palloc_cg_new(cg, "below");
	const char *beside = palloc_cg_new(cg, "beside");
	const char *const groups[] = { cg, below, beside };
	pid_t pid = start(below, pins);
	long counted;
	int fd[3], i;

	for (i = 0; i < 3; i++)
		fd[i] = palloc_cg_open_events(groups[i]);
	expect(palloc_cg_bins(cg, "4-7") == 0);
	counted = recolor_now(cg, PAGES - PINNED, PAGES - PINNED + MORE, PINNED);
	for (i = 0; i < 3; i++) {
		long want = groups[i] == beside ? 0 : counted;

		expect(palloc_cg_event(groups[i], "recolor_failed") == want);
		expect(palloc_notified(fd[i], want));
		close(fd[i]);
	}
	/* Nothing has run out. */
	expect(palloc_cg_event(cg, "fallback") == 0);
	expect(palloc_cg_event(cg, "failed") == 0);
	/* Another attempt counts, too. */
	counted += recolor_pid_now(pid, 0, PINNED);
	expect(palloc_cg_event(cg, "recolor_failed") == counted);
	expect(palloc_cg_event(below, "recolor_failed") == counted);
	expect(palloc_pure_pid(pid, mem, PINNED, "0-3"));
	expect(palloc_pure_pid(pid, cell(PINNED), PAGES - PINNED, "4-7"));
	shared->ready = 0;
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	palloc_wait_for(&shared->ready);
	counted += recolor_now(cg, PINNED, PINNED + MORE, 0);
	expect(palloc_cg_event(cg, "recolor_failed") == counted);
	expect(palloc_process_pure(pid, "4-7", PAGES + 1));
	stop(pid);
	end();
}

/* A process and its child have the same pages, and still do afterwards. */
static __u64 *pfns;

static void looks(void)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		pfns[i] = palloc_pfn(cell(i));
}

static void forks(const void *arg)
{
	unsigned long checked;
	size_t i, same = 0;
	pid_t pid;

	fill();
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
		palloc_wait_for(&shared->stop);
		expect(palloc_impure(0, mem, PAGES, "12-15", &checked) == 0);
		expect(checked == PAGES);
		expect_data();
		looks();
		_exit(palloc_exit_code());
	}
	palloc_wait_for(&shared->stop);
	expect(palloc_reap(pid));
	expect(palloc_impure(0, mem, PAGES, "12-15", &checked) == 0);
	for (i = 0; i < PAGES; i++)
		same += pfns[i] && pfns[i] == palloc_pfn(cell(i));
	expect(same == PAGES);
	expect_data();
}

static void test_shared(const void *arg)
{
	const char *cg = begin("0-3");
	pid_t pid;

	pfns = mmap(NULL, PAGES * sizeof(*pfns), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = start(cg, forks);
	expect(palloc_cg_bins(cg, "12-15") == 0);
	recolor_now(cg, PAGES, PAGES + 2 * MORE, 0);
	stop(pid);
	munmap(pfns, PAGES * sizeof(*pfns));
	end();
}

/* Huge pages are split where they can't be of the colors, else moved as they are. */

static bool are_huge(void)
{
	size_t i;

	for (i = 0; i < PAGES; i += HUGE_SIZE / palloc_page_size)
		if (!palloc_is_huge(cell(i)))
			return false;
	return true;
}

static void runs_huge(const void *arg)
{
	bool huge;

	madvise(mem, PAGES * palloc_page_size, MADV_HUGEPAGE);
	fill();
	huge = are_huge();
	expect(huge);
	stay();
	shared->kept = are_huge();
}

static void begin_huge(const char *bins, const char **cg)
{
	size_t bytes = PAGES * palloc_page_size;
	char *p;

	*cg = begin(bins);
	expect(palloc_file_write(THP_ENABLED, "madvise", 7) == 0);
	palloc_free(mem, PAGES);
	p = palloc_map_pages(PAGES + HUGE_SIZE / palloc_page_size, 0);
	mem = (char *)(((uintptr_t)p + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	if (mem > p)
		munmap(p, mem - p);
	munmap(mem + bytes, p + HUGE_SIZE - mem);
}

/* Linux v6.12 and later would give the pages of one that is split back. */
static void runs_zeroes(const void *arg)
{
	madvise(mem, PAGES * palloc_page_size, MADV_HUGEPAGE);
	memset(mem, 0, PAGES * palloc_page_size);
	expect(are_huge());
	__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void test_huge_split(const void *arg)
{
	const char *cg;
	pid_t pid;

	begin_huge("3-6", &cg);
	pid = start(NULL, arg ? runs_zeroes : runs_huge);
	expect(palloc_cg_move(cg, pid) == 0);
	/* A quarter of a huge page's pages are right. */
	recolor_now(cg, PAGES - PAGES / 4, PAGES - PAGES / 4 + MORE, 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "3-6"));
	stop(pid);
	expect(!shared->kept);
	end();
}

static void test_huge_kept(const void *arg)
{
	const char *cg;
	pid_t pid;

	begin_huge("1", &cg);
	palloc_setup_mask(0x600000);
	pid = start(NULL, runs_huge);
	expect(palloc_cg_move(cg, pid) == 0);
	recolor_now(cg, 0, PAGES + MORE, 0);
	expect(palloc_cg_bins(cg, "2") == 0);
	recolor_now(cg, PAGES, PAGES + MORE, 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "2"));
	stop(pid);
	expect(shared->kept);
	end();
}

static void test_file(const void *arg)
{
	const char *cg = begin("7");
	unsigned int color_wrong = 0;
	size_t i;
	pid_t pid;
	int fd;

	palloc_free(mem, PAGES);
	fd = memfd_create("recolor", 0);
	expect(ftruncate(fd, PAGES * palloc_page_size) == 0);
	mem = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	pid = start(NULL, runs);
	expect(palloc_cg_move(cg, pid) == 0);
	recolor_now(cg, PAGES / 2, PAGES + MORE, 0);
	stop(pid);
	/* It is all that the child has left, and shows when it is mapped here. */
	for (i = 0; i < PAGES; i++) {
		(void)__atomic_load_n(cell(i), __ATOMIC_RELAXED);
		color_wrong += palloc_color(&palloc_map, palloc_any_pfn(cell(i))) != 7;
	}
	expect(!color_wrong);
	expect_data();
	munmap(mem, PAGES * palloc_page_size);
}

static void test_cg_invalid(const void *arg)
{
	static const char * const bad[] = { "0\n", "2\n", "\n", "1 1\n", "-1\n", "now\n" };
	const char *cg = begin("0-3");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect(palloc_cg_write(cg, "palloc.recolor", bad[i]) == -EINVAL);
	recolor_now(cg, 0, 0, 0);
	end();
}

/* prctl() */

static void test_region(const void *arg)
{
	char *p, *other;
	__u64 pfn;

	begin("");
	expect(palloc_set_colors("3") == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	other = palloc_alloc(1, 0);
	pfn = palloc_pfn(other);
	expect(palloc_set_colors("9-10") == 0);
	recolor_pid_now(0, PAGES, 0);
	expect(palloc_pure(p, PAGES, "9-10"));
	expect(palloc_pfn(other) == pfn);
	recolor_pid_now(getpid(), 0, 0);
	palloc_free(p, PAGES);
	palloc_free(other, 1);
	end();
}

/* The region has its own colors, and what is next to it the group's. */
static void recolors_shared(const void *arg)
{
	struct palloc_recolor r = { 77, 77 };
	char *region, *other, *private;
	unsigned int tries = 0;

	expect(palloc_set_colors("3") == 0);
	region = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_PALLOC, -1, 0);
	other = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	private = palloc_alloc(PAGES, MAP_PALLOC);
	palloc_touch(region, PAGES);
	palloc_touch(other, PAGES);
	expect(palloc_pure_any(region, PAGES, "3"));
	/* What is there from before the move here aside, nothing is wrong. */
	do
		recolor_pid(0, &r);
	while (r.failed && ++tries < 100);
	expect(recolor_pid(0, &r) == 0 && r.moved == 0);
	expect(palloc_pure_any(region, PAGES, "3"));

	expect(palloc_set_colors("5") == 0);
	recolor_pid_now(0, 2 * PAGES, 0);
	expect(palloc_pure_any(region, PAGES, "5"));
	expect(palloc_pure(private, PAGES, "5"));
	expect(palloc_pure_any(other, PAGES, "8-11"));
}

static void region_child(const void *arg)
{
	expect(palloc_set_colors("3") == 0);
	mem = mmap(mem, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_PALLOC, -1, 0);
	fill();
	expect(palloc_set_colors("5") == 0);
	stay();
}

static void test_other_process(const void *arg)
{
	pid_t pid;

	begin("");
	pid = start(NULL, region_child);
	recolor_pid_now(pid, PAGES, 0);
	expect(palloc_pure_pid(pid, mem, PAGES, "5"));
	stop(pid);
	end();
}

static void unprivileged(const void *arg)
{
	const pid_t *root = arg;
	struct palloc_recolor r;
	char *p;

	expect(palloc_be_nobody());
	expect(recolor_pid(*root, &r) == -EPERM);
	expect(recolor_pid(1, &r) == -EPERM);
	expect(palloc_set_colors("3") == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_set_colors("4") == 0);
	recolor_pid_now(0, PAGES, 0);
	palloc_free(p, PAGES);
}

static void test_errors(const void *arg)
{
	struct palloc_recolor r;
	pid_t pid, self = getpid();

	begin("");
	expect(recolor_pid(0x3fffffff, &r) == -ESRCH);
	expect(recolor_pid(1UL << 32, &r) == -ESRCH);
	expect(recolor_pid(-1UL, &r) == -ESRCH);
	/* A kernel thread has no memory. */
	expect(recolor_pid(2, &r) == -EINVAL);
	expect(recolor_pid(0, NULL) == -EFAULT);
	expect(recolor_pid(0, (void *)-4096L) == -EFAULT);
	expect(prctl(PR_PALLOC_RECOLOR, 0, &r, 1, 0) == -1 && errno == EINVAL);
	expect(prctl(PR_PALLOC_RECOLOR, 0, &r, 0, 1) == -1 && errno == EINVAL);
	pid = palloc_spawn(NULL, unprivileged, &self);
	expect(palloc_reap(pid));
	end();
}

/* Interrupted again and again, in the end it has moved each page once. */
static void on_alarm(int sig)
{
}

static void test_interrupted(const void *arg)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	unsigned int calls = 0, interrupts = 0, again = 0;
	struct palloc_recolor r;
	size_t moved = 0;
	char *p;
	long ret;

	begin("");
	/* A node has too few pages of one color. */
	expect(palloc_set_colors("3-4") == 0);
	p = palloc_alloc(4 * PAGES, MAP_PALLOC);
	/* That a process is just exiting would be in the way. */
	madvise(p, 4 * PAGES * palloc_page_size, MADV_DONTFORK);
	expect(palloc_set_colors("9-10") == 0);
	sigaction(SIGVTALRM, &sa, &old);
	do {
		pid_t pid = fork();

		if (!pid) {
			usleep(1000 * (1 + calls % 8));
			kill(getppid(), SIGVTALRM);
			_exit(0);
		}
		ret = recolor_pid(0, &r);
		moved += r.moved;
		interrupts += ret == -EINTR;
		calls++;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	} while ((ret == -EINTR || (!ret && r.failed && ++again < 100)) && calls < 1000);
	sigaction(SIGVTALRM, &old, NULL);
	palloc_note("%u calls, %u interrupted", calls, interrupts);
	expect(ret == 0);
	expect(moved >= 4 * PAGES);
	expect(palloc_pure(p, 4 * PAGES, "9-10"));
	palloc_free(p, 4 * PAGES);
	end();
}

static const struct palloc_test tests[] = {
	{ "palloc.recolor: the bins have changed", test_bins, NULL },
	{ "palloc.recolor: a program was moved in", test_moved_in, NULL },
	{ "palloc.recolor: groups below", test_below, NULL },
	{ "palloc.recolor: palloc is disabled", test_disabled, NULL },
	{ "palloc.recolor: pinned pages", test_pinned, NULL },
	{ "palloc.recolor: pages shared after fork", test_shared, NULL },
	{ "palloc.recolor: huge pages are split", test_huge_split, NULL },
	{ "palloc.recolor: huge pages of zeroes are split", test_huge_split, "zeroes" },
	{ "palloc.recolor: huge pages are kept", test_huge_kept, NULL },
	{ "palloc.recolor: pages of a file", test_file, NULL },
	{ "palloc.recolor: what is not understood", test_cg_invalid, NULL },
	{ "PR_PALLOC_RECOLOR: regions", test_region, NULL },
	{ "PR_PALLOC_RECOLOR: shared regions", palloc_test_inside,
	  PALLOC_INSIDE("8-11", NULL, recolors_shared) },
	{ "PR_PALLOC_RECOLOR: of another process", test_other_process, NULL },
	{ "PR_PALLOC_RECOLOR: errors and privileges", test_errors, NULL },
	{ "PR_PALLOC_RECOLOR: interrupted", test_interrupted, NULL },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	shared = palloc_shared(1);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
