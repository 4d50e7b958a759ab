// SPDX-License-Identifier: GPL-2.0
/*
 * Proves what happens when a color runs out under each policy: that policies
 * are set, inherited and refused as documented, per cgroup and per process;
 * that a strict owner gets an error on every path that allocates for it, and
 * none before all pages of its colors are used, wherever they lie; that a
 * fallback owner never does; and that each event is counted where it belongs.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>

#include "palloc_util.h"

#define SELF	"/proc/self/exe"
#define KSM	"/sys/kernel/mm/ksm"
#define FEW	16
/* What else takes pages of a color: page tables, the page cache, slab. */
#define SLACK	(bin_pages / 8)

static __u64 mask;
static size_t bin_pages;	/* at most, a color has these */

/* Bins that are filled quickly, but of more than a few pages. */
static void size_up(void)
{
	unsigned int bits = 4;

	bin_pages = palloc_meminfo("MemTotal") * 1024 / palloc_page_size;
	while (bits < palloc_max_bits && bin_pages >> bits > 2048)
		bits++;
	mask = ((1ULL << bits) - 1) << 12;
	bin_pages >>= bits;
	palloc_note("%u bins of at most %zu pages", 1U << bits, bin_pages);
}

/* The files */

static bool policy_is(const char *cg, const char *policy)
{
	char want[32];

	snprintf(want, sizeof(want), "%s\n", policy);
	return palloc_cg_reads(cg, "palloc.policy", want);
}

static int set_policy(const char *cg, const char *policy)
{
	return palloc_cg_write(cg, "palloc.policy", policy);
}

static bool events_are(const char *cg, long fallback, long failed)
{
	long got[2] = {
		palloc_cg_event(cg, "fallback"), palloc_cg_event(cg, "failed")
	};

	if (got[0] == fallback && got[1] == failed)
		return true;
	palloc_note("%s: fallback %ld, failed %ld", cg, got[0], got[1]);
	return false;
}

static void test_policy_file(const void *arg)
{
	static const char * const junk[] = {
		"\n", "none", "Strict", "strict fallback", "strict,", "1",
		"fallbac", "fallbackk",
	};
	const char *cg = palloc_cg_new(NULL, "policy");
	unsigned int i;

	expect(policy_is(cg, "fallback"));
	expect(set_policy(cg, "strict\n") == 0);
	expect(policy_is(cg, "strict"));
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		if (!expect(set_policy(cg, junk[i]) == -EINVAL))
			palloc_note("'%s'", junk[i]);
		expect(policy_is(cg, "strict"));
	}
	expect(set_policy(cg, " fallback ") == 0);
	expect(policy_is(cg, "fallback"));
	expect(set_policy(cg, "strict") == 0);
	expect(set_policy(cg, "fallback") == 0);
	expect(policy_is(cg, "fallback"));
}

static void test_events_file(const void *arg)
{
	const char *cg = palloc_cg_new(NULL, "events");

	expect(palloc_cg_reads(cg, "palloc.events", "fallback 0\nfailed 0\nrecolor_failed 0\n"));
	expect(palloc_cg_write(cg, "palloc.events", "0") < 0);
}

static void test_not_on_root(const void *arg)
{
	char buf[64];

	expect(palloc_cg_read(palloc_cg_root(), "palloc.policy", buf,
			      sizeof(buf)) == -ENOENT);
	expect(palloc_cg_read(palloc_cg_root(), "palloc.events", buf,
			      sizeof(buf)) == -ENOENT);
}

/* What a child was configured for is its own; what applies is the parent's too. */
static void test_configured(const void *arg)
{
	const char *top = palloc_cg_new(NULL, "top");
	const char *sub = palloc_cg_new(top, "sub");

	expect(set_policy(top, "strict") == 0);
	expect(policy_is(sub, "fallback"));
	expect(set_policy(sub, "strict") == 0);
	expect(set_policy(top, "fallback") == 0);
	expect(policy_is(sub, "strict"));
}

/* prctl() */

static int raw_policy(unsigned long op, unsigned long arg3, unsigned long arg4,
		      unsigned long arg5)
{
	errno = 0;
	return prctl(PR_PALLOC_POLICY, op, arg3, arg4, arg5) ? errno : 0;
}

static void *sets_strict(void *arg)
{
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	return arg;
}

static void prctl_values(const void *arg)
{
	pthread_t thread;

	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_FALLBACK);
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_STRICT);
	expect(raw_policy(PR_PALLOC_GET + 1, 0, 0, 0) == EINVAL);
	expect(raw_policy(-1UL, 0, 0, 0) == EINVAL);
	expect(raw_policy(1UL << 32, 0, 0, 0) == EINVAL);
	expect(raw_policy(PR_PALLOC_FALLBACK, 1, 0, 0) == EINVAL);
	expect(raw_policy(PR_PALLOC_FALLBACK, 0, 1, 0) == EINVAL);
	expect(raw_policy(PR_PALLOC_FALLBACK, 0, 0, 1) == EINVAL);
	expect(raw_policy(PR_PALLOC_GET, 1, 0, 0) == EINVAL);
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_STRICT);
	expect(palloc_policy(PR_PALLOC_FALLBACK) == 0);
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_FALLBACK);
	/* One for all threads. */
	if (!expect(!pthread_create(&thread, NULL, sets_strict, NULL)))
		return;
	pthread_join(thread, NULL);
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_STRICT);
	/* Colors that come and go leave it alone. */
	palloc_set_color(0);
	palloc_set_color_map(NULL, 0);
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_STRICT);
}

static void test_prctl(const void *arg)
{
	expect(palloc_run_in(NULL, prctl_values, NULL));
}

static void forked(const void *arg)
{
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_STRICT);
	expect(palloc_policy(PR_PALLOC_FALLBACK) == 0);
}

static void execs(const void *arg)
{
	char * const argv[] = { "policy", "policy", NULL };

	execv(SELF, argv);
	expect(!"execv returned");
}

static void forks_and_execs(const void *arg)
{
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	expect(palloc_run_in(NULL, forked, NULL));
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_STRICT);
	expect(palloc_run_in(NULL, execs, NULL));
	expect(palloc_policy(PR_PALLOC_GET) == PR_PALLOC_STRICT);
}

static void test_fork_exec(const void *arg)
{
	expect(palloc_run_in(NULL, forks_and_execs, NULL));
}

/* Running out */

/*
 * A region that is too large for the color, filled up to a SIGBUS, and another:
 * looking for pages reclaims some memory, which may free a page of the color.
 * For the same reason, single pages may be had even after that, but not FEW.
 */
struct full {
	char *p;
	size_t size, n;
};

static bool fill(struct full *f, int flags)
{
	struct palloc_sigbus bus = { .code = 0 };
	size_t more;
	char *end;

	f->size = 2 * bin_pages;
	f->p = palloc_map_pages(f->size, flags);
	f->n = palloc_try_touch(f->p, f->size, &bus);
	end = palloc_at(f->p, f->n);
	do {
		more = palloc_try_touch(palloc_at(f->p, f->n), f->size - f->n, NULL);
		f->n += more;
	} while (more);
	if (f->n < f->size && bus.code == BUS_ADRERR && (char *)bus.addr == end)
		return true;
	palloc_note("%zu of %zu pages, code %d, addr %p for %p", f->n, f->size,
		    bus.code, bus.addr, end);
	return false;
}

static void unfill(struct full *f)
{
	palloc_free(f->p, f->size);
}

/*
 * In a child, in a group or with a map, which has bin 1. One CPU, as pages that
 * were just mapped are kept for a moment by that on which they were.
 */
static void begin_strict(int flags)
{
	if (flags & MAP_PALLOC) {
		if (palloc_set_color(1) || palloc_policy(PR_PALLOC_STRICT))
			palloc_bail("set_color: %s", strerror(errno));
	}
	palloc_pin(0);
	palloc_steady();
}

static void fills(const void *arg)
{
	const int flags = *(const int *)arg;
	unsigned long checked, wrong;
	struct full f;
	bool bus;
	size_t n;
	char *p;

	begin_strict(flags);
	bus = fill(&f, flags);
	wrong = palloc_impure(0, f.p, f.n, "1", &checked);
	unfill(&f);
	expect(bus);
	expect(wrong == 0);
	expect(checked == f.n);
	/* It did not end before there was little left. */
	palloc_note("%zu of at most %zu pages", f.n, bin_pages);
	expect(f.n >= bin_pages / 2 && f.n <= bin_pages);
	/* All of it is there again, at once. */
	p = palloc_map_pages(f.n, flags);
	n = palloc_try_touch(p, f.n, NULL);
	palloc_free(p, f.n);
	if (!expect(n + SLACK >= f.n))
		palloc_note("only %zu pages came back", n);
}

static const char *strict_group(const char *parent, const char *name)
{
	const char *cg = palloc_cg_new(parent, name);

	expect(palloc_cg_bins(cg, "1") == 0);
	expect(set_policy(cg, "strict") == 0);
	return cg;
}

static void test_strict_cgroup(const void *arg)
{
	const char *top, *cg, *sibling;
	const int flags = 0;
	long failed;

	palloc_setup_mask(mask);
	top = palloc_cg_new(NULL, "top");
	cg = strict_group(top, "strict");
	sibling = strict_group(top, "sibling");
	expect(palloc_run_in(cg, fills, &flags));
	failed = palloc_cg_event(cg, "failed");
	/* The SIGBUS and another. */
	expect(failed >= 2);
	expect(events_are(cg, 0, failed));
	expect(events_are(top, 0, failed));
	expect(events_are(sibling, 0, 0));
	expect(palloc_failures() == (unsigned long long)failed);
	expect(palloc_fallbacks() == 0);
	expect(palloc_puts("control", "reset\n") == 0);
	expect(palloc_failures() == 0);
	expect(events_are(cg, 0, failed));
}

static void test_strict_map(const void *arg)
{
	const int flags = MAP_PALLOC;
	const char *cg;

	palloc_setup_mask(mask);
	cg = palloc_cg_with(NULL, "other", "2");
	expect(palloc_run_in(cg, fills, &flags));
	/* It was not the cgroup's colors that ran out. */
	expect(events_are(cg, 0, 0));
	expect(palloc_failures() >= 2);
	expect(palloc_fallbacks() == 0);
}

/* Pages of the color that lie on another CPU's lists are there to be had. */
static void other_cpu(const void *arg)
{
	struct full f;
	size_t n, got;
	int i;

	begin_strict(MAP_PALLOC);
	expect(fill(&f, MAP_PALLOC));
	unfill(&f);
	n = f.n - SLACK;
	for (i = 0; i < 6; i++) {
		char *p = palloc_map_pages(n, MAP_PALLOC);

		palloc_pin(i & 1);
		got = palloc_try_touch(p, n, NULL);
		palloc_free(p, n);
		if (!expect(got == n)) {
			palloc_note("round %d: %zu of %zu pages", i, got, n);
			break;
		}
	}
}

static void test_other_cpu(const void *arg)
{
	palloc_setup_mask(mask);
	if (palloc_skip_if(sysconf(_SC_NPROCESSORS_ONLN) < 2, "needs two CPUs"))
		return;
	/* As long as they get. */
	palloc_short_lists(false);
	expect(palloc_run_in(NULL, other_cpu, NULL));
	palloc_short_lists(true);
}

/* Who allocates other than by touching */

static void populates(const void *arg)
{
	const int flags = *(const int *)arg;
	const size_t size = 2 * bin_pages * palloc_page_size;
	int fd = open(SELF, O_RDONLY | O_CLOEXEC), ret, err;
	struct full f;
	bool filled;
	char *p;

	begin_strict(flags);

	p = palloc_map_pages(2 * bin_pages, flags);
	ret = mlock(p, size);
	err = errno;
	munmap(p, size);
	expect(ret == -1 && err == ENOMEM);

	p = palloc_map_pages(2 * bin_pages, flags);
	ret = madvise(p, size, MADV_POPULATE_WRITE);
	err = errno;
	munmap(p, size);
	expect(ret == -1 && err == EFAULT);

	/* Its errors are never reported. */
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | flags, -1, 0);
	munmap(p, size);
	expect(p != MAP_FAILED);

	/* The kernel gets EFAULT for what a process gets a SIGBUS for. */
	filled = fill(&f, flags);
	for (p = palloc_at(f.p, f.n); p < palloc_at(f.p, f.size); p += ret) {
		ret = read(fd, p, palloc_page_size);
		err = errno;
		if (ret <= 0)
			break;
	}
	unfill(&f);
	expect(filled);
	expect(ret == -1 && err == EFAULT);
	close(fd);
}

static void test_populate(const void *arg)
{
	static const int flags[] = { 0, MAP_PALLOC };
	const char *cg;

	palloc_setup_mask(mask);
	cg = strict_group(NULL, "populate");
	expect(palloc_run_in(cg, populates, &flags[0]));
	expect(palloc_run_in(NULL, populates, &flags[1]));
	expect(palloc_fallbacks() == 0);
}

/* Copies: of the zero page, of a file's page, and of a page shared by fork. */
static void copies(const void *arg)
{
	const size_t size = FEW * palloc_page_size;
	char *zero, *file, *shared;
	size_t n[4], i, sum = 0;
	struct full f;
	pid_t pid;
	int fd;

	begin_strict(MAP_PALLOC);
	fd = memfd_create("policy", MFD_CLOEXEC);
	expect(ftruncate(fd, size) == 0);
	zero = palloc_map_pages(FEW, MAP_PALLOC);
	shared = palloc_alloc(FEW, MAP_PALLOC);
	file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_PALLOC,
		    fd, 0);
	if (!expect(file != MAP_FAILED))
		return;
	for (i = 0; i < FEW; i++)
		sum += *palloc_at(zero, i) + *palloc_at(file, i / 2);
	expect(sum == 0);
	/* Its own memory has no colors, just its MAP_PALLOC regions. */
	pid = palloc_spawn(NULL, palloc_pause, NULL);
	expect(fill(&f, MAP_PALLOC));
	n[0] = palloc_try_touch(zero, FEW, NULL);
	n[1] = palloc_try_touch(file, FEW / 2, NULL);
	n[2] = palloc_try_touch(shared, FEW, NULL);
	/* Not read before. */
	n[3] = palloc_try_touch(palloc_at(file, FEW / 2), FEW / 2, NULL);
	unfill(&f);
	expect(n[0] < FEW);
	expect(n[1] < FEW / 2);
	expect(n[2] < FEW);
	expect(n[3] < FEW / 2);
	expect(palloc_try_touch(zero, FEW, NULL) == FEW);
	expect(palloc_try_touch(file, FEW, NULL) == FEW);
	expect(palloc_try_touch(shared, FEW, NULL) == FEW);
	palloc_kill(pid);
	close(fd);
}

static void test_copies(const void *arg)
{
	palloc_setup_mask(mask);
	expect(palloc_run_in(NULL, copies, NULL));
	expect(palloc_fallbacks() == 0);
}

static void forks_pinned(const void *arg)
{
	int fd, err, status;
	struct full f;
	pid_t pid;
	char *p;

	begin_strict(MAP_PALLOC);
	p = palloc_alloc(FEW, MAP_PALLOC);
	fd = palloc_pin_pages(p, FEW);
	if (fd < 0)
		palloc_bail("io_uring: %s", strerror(errno));
	expect(fill(&f, MAP_PALLOC));
	pid = fork();
	err = errno;
	if (!pid)
		_exit(0);
	unfill(&f);
	if (expect(pid == -1 && err == ENOMEM)) {
		pid = fork();
		if (!pid)
			_exit(0);
	}
	if (expect(pid > 0))
		expect(waitpid(pid, &status, 0) == pid && !status);
	close(fd);
}

static void test_fork(const void *arg)
{
	struct io_uring_params params = { .flags = 0 };
	int fd = syscall(__NR_io_uring_setup, 1, &params);

	if (palloc_skip_if(fd < 0, "no io_uring"))
		return;
	close(fd);
	palloc_setup_mask(mask);
	expect(palloc_run_in(NULL, forks_pinned, NULL));
	expect(palloc_fallbacks() == 0);
}

/* What EAGAIN is for: some of it was copied. Returns errno, or 0 at the end. */
static int copy_on(int fd, struct uffdio_copy *copy)
{
	copy->copy = 0;
	while (ioctl(fd, UFFDIO_COPY, copy)) {
		if (errno != EAGAIN || copy->copy <= 0)
			return errno;
		copy->dst += copy->copy;
		copy->src += copy->copy;
		copy->len -= copy->copy;
		copy->copy = 0;
	}
	return 0;
}

static void copies_by_uffd(const void *arg)
{
	const size_t size = FEW * palloc_page_size;
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .len = size };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC), ret;
	struct full f;
	char *p, *src;

	if (fd < 0)
		palloc_bail("userfaultfd: %s", strerror(errno));
	begin_strict(MAP_PALLOC);
	p = palloc_map_pages(FEW, MAP_PALLOC);
	src = palloc_alloc(FEW, 0);
	reg.range.start = (uintptr_t)p;
	reg.range.len = size;
	copy.dst = (uintptr_t)p;
	copy.src = (uintptr_t)src;
	expect(ioctl(fd, UFFDIO_API, &api) == 0);
	expect(ioctl(fd, UFFDIO_REGISTER, &reg) == 0);
	expect(fill(&f, MAP_PALLOC));
	ret = copy_on(fd, &copy);
	unfill(&f);
	expect(ret == ENOMEM);
	expect(copy_on(fd, &copy) == 0);
	expect(palloc_pure(p, FEW, "1"));
	close(fd);
}

static void test_uffd(const void *arg)
{
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (palloc_skip_if(fd < 0, "no userfaultfd"))
		return;
	close(fd);
	palloc_setup_mask(mask);
	expect(palloc_run_in(NULL, copies_by_uffd, NULL));
	expect(palloc_fallbacks() == 0);
}

/* What was swapped out comes back to a new page. */
static void swaps_in(const void *arg)
{
	const size_t size = FEW * palloc_page_size;
	unsigned int tries;
	struct full f;
	size_t n, i;
	char *p;

	begin_strict(MAP_PALLOC);
	p = palloc_map_pages(FEW, MAP_PALLOC);
	for (i = 0; i < FEW; i++)
		*palloc_at(p, i) = i + 1;
	/* A page may be in use just then. */
	for (tries = 0; tries < 50 && palloc_absent(0, p, FEW) < FEW; tries++) {
		palloc_drain_lru();
		expect(madvise(p, size, MADV_PAGEOUT) == 0);
		usleep(20000);
	}
	for (i = 0; i < FEW; i++)
		expect(!palloc_pfn(palloc_at(p, i)));
	expect(fill(&f, MAP_PALLOC));
	n = palloc_try_touch(p + 1, FEW, NULL);
	unfill(&f);
	expect(n < FEW);
	expect(palloc_try_touch(p + 1, FEW, NULL) == FEW);
	for (i = 0; i < FEW; i++)
		expect(*palloc_at(p, i) == (char)(i + 1));
	expect(palloc_pure(p, FEW, "1"));
}

static void test_swap(const void *arg)
{
	const unsigned int pages = 8192;
	int id = palloc_zram_add(pages);
	char path[32];

	if (palloc_skip_if(id < 0, "no zram"))
		return;
	snprintf(path, sizeof(path), "/dev/zram%d", id);
	palloc_mkswap(path, pages);
	if (expect(!swapon(path, 0))) {
		palloc_setup_mask(mask);
		expect(palloc_run_in(NULL, swaps_in, NULL));
		expect(palloc_fallbacks() == 0);
		expect(!swapoff(path));
	}
	palloc_zram_remove(id);
}

/* Pages that KSM has merged need new ones to be told apart again. */
static void unmerges(const void *arg)
{
	const size_t size = FEW * palloc_page_size;
	unsigned int tries;
	struct full f;
	int ret, err;
	char *p;

	/* Once it has colors it is not merged any more. */
	palloc_pin(0);
	palloc_steady();
	p = palloc_map_pages(FEW, MAP_PALLOC);
	memset(p, 0x5a, size);
	expect(madvise(p, size, MADV_MERGEABLE) == 0);
	for (tries = 0; palloc_file_number(KSM "/pages_sharing") < FEW - 1 && tries < 60000;
	     tries++)
		usleep(10000);
	expect(palloc_file_write(KSM "/run", "0", 1) == 0);
	expect(palloc_pfn(p) == palloc_pfn(palloc_at(p, FEW - 1)));
	expect(palloc_set_color(1) == 0 && palloc_policy(PR_PALLOC_STRICT) == 0);
	expect(fill(&f, MAP_PALLOC));
	ret = madvise(p, size, MADV_UNMERGEABLE);
	err = errno;
	unfill(&f);
	/* Which is madvise()'s word for ENOMEM. */
	expect(ret == -1 && err == EAGAIN);
	expect(madvise(p, size, MADV_UNMERGEABLE) == 0);
	expect(palloc_pfn(p) != palloc_pfn(palloc_at(p, FEW - 1)));
	expect(palloc_pure(p, FEW, "1"));
}

static void test_ksm(const void *arg)
{
	if (!palloc_keep(KSM "/run") || !palloc_keep(KSM "/sleep_millisecs")) {
		palloc_skip("no KSM");
		return;
	}
	palloc_setup_mask(mask);
	expect(palloc_file_write(KSM "/sleep_millisecs", "1", 1) == 0);
	/* It still counts what others have left merged. */
	expect(palloc_file_write(KSM "/run", "2", 1) == 0);
	expect(palloc_file_write(KSM "/run", "1", 1) == 0);
	expect(palloc_run_in(NULL, unmerges, NULL));
	expect(palloc_fallbacks() == 0);
}

struct target {
	char *p;
	unsigned int ready;
};

static void is_full(const void *arg)
{
	struct target *target = (struct target *)arg;
	struct full f;

	begin_strict(MAP_PALLOC);
	expect(fill(&f, MAP_PALLOC));
	target->p = palloc_at(f.p, f.n);
	__atomic_store_n(&target->ready, true, __ATOMIC_RELEASE);
	pause();
}

/* From outside, by one who has pages of any color. */
static void test_remote(const void *arg)
{
	struct target *target = palloc_shared(1);
	const size_t size = FEW * palloc_page_size;
	struct iovec local, remote;
	ssize_t ret = 0;
	pid_t pid;
	char *p;

	palloc_setup_mask(mask);
	pid = palloc_spawn(NULL, is_full, target);
	palloc_wait_for(&target->ready);
	if (expect(target->p)) {
		local.iov_base = palloc_alloc(FEW, 0);
		for (p = target->p; p < target->p + size; p += ret) {
			local.iov_len = target->p + size - p;
			remote.iov_len = local.iov_len;
			remote.iov_base = p;
			errno = 0;
			ret = process_vm_writev(pid, &local, 1, &remote, 1, 0);
			if (ret <= 0)
				break;
		}
		expect(ret == -1 && errno == EFAULT);
		palloc_free(local.iov_base, FEW);
	}
	palloc_kill(pid);
	munmap(target, palloc_page_size);
}

/* Which policy applies */

/* Touches twice as much as there is; returns how far it came. */
static size_t overdo(int flags)
{
	char *p = palloc_map_pages(2 * bin_pages, flags);
	size_t n = palloc_try_touch(p, 2 * bin_pages, NULL);

	palloc_free(p, 2 * bin_pages);
	return n;
}

static void all_of_it(const void *arg)
{
	palloc_steady();
	expect(overdo(*(const int *)arg) == 2 * bin_pages);
}

static void not_all_of_it(const void *arg)
{
	palloc_steady();
	expect(overdo(*(const int *)arg) < 2 * bin_pages);
}

static void test_hierarchy(const void *arg)
{
	const char *top, *mid, *cg;
	const int flags = 0;

	palloc_setup_mask(mask);
	top = palloc_cg_new(NULL, "top");
	mid = palloc_cg_new(top, "mid");
	cg = palloc_cg_with(mid, "cg", "1");
	expect(palloc_run_in(cg, all_of_it, &flags));
	expect(palloc_cg_event(cg, "fallback") >= (long)bin_pages);
	expect(events_are(top, palloc_cg_event(cg, "fallback"), 0));
	/* Of groups that have no colors themselves. */
	expect(set_policy(top, "strict") == 0);
	expect(palloc_run_in(cg, not_all_of_it, &flags));
	expect(palloc_cg_event(cg, "failed") > 0);
	expect(palloc_cg_event(mid, "failed") == palloc_cg_event(cg, "failed"));
	expect(set_policy(top, "fallback") == 0);
	expect(palloc_run_in(cg, all_of_it, &flags));
	expect(set_policy(mid, "strict") == 0);
	expect(palloc_run_in(cg, not_all_of_it, &flags));
	/* New bins keep the policy, new groups start with it. */
	expect(palloc_cg_bins(cg, "\n") == 0);
	expect(palloc_cg_bins(mid, "1") == 0);
	expect(palloc_run_in(cg, not_all_of_it, &flags));
	cg = palloc_cg_new(mid, "new");
	expect(palloc_run_in(cg, not_all_of_it, &flags));
	/* Who may have any color does not run out of it. */
	expect(palloc_cg_bins(mid, "\n") == 0);
	expect(palloc_run_in(cg, all_of_it, &flags));
}

/* The same task, while it runs. */
static void sees_changes(const void *arg)
{
	const char *top = arg;

	palloc_steady();
	expect(overdo(0) == 2 * bin_pages);
	expect(set_policy(top, "strict") == 0);
	expect(overdo(0) < 2 * bin_pages);
	expect(set_policy(top, "fallback") == 0);
	expect(overdo(0) == 2 * bin_pages);
}

static void test_changes(const void *arg)
{
	const char *top, *cg;

	palloc_setup_mask(mask);
	top = palloc_cg_new(NULL, "top");
	cg = palloc_cg_with(top, "cg", "1");
	expect(palloc_run_in(cg, sees_changes, top));
}

/* In a group that is strict, if @arg says so, with a region of each kind. */
static void regions(const void *arg)
{
	const bool group_strict = *(const bool *)arg;
	const size_t all = 2 * bin_pages;

	palloc_steady();
	/* Without a map, MAP_PALLOC or the process's policy change nothing. */
	expect((overdo(MAP_PALLOC) == all) == !group_strict);
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	expect((overdo(MAP_PALLOC) == all) == !group_strict);
	expect((overdo(0) == all) == !group_strict);
	expect(palloc_set_color(2) == 0);
	expect(overdo(MAP_PALLOC) < all);
	expect((overdo(0) == all) == !group_strict);
	expect(palloc_policy(PR_PALLOC_FALLBACK) == 0);
	expect(overdo(MAP_PALLOC) == all);
	expect((overdo(0) == all) == !group_strict);
	/* Its own map again, and the cgroup's policy with the cgroup's colors. */
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	expect(palloc_set_color_map(NULL, 0) == 0);
	expect((overdo(MAP_PALLOC) == all) == !group_strict);
}

static void test_regions(const void *arg)
{
	bool group_strict;
	const char *cg;

	palloc_setup_mask(mask);
	cg = palloc_cg_with(NULL, "regions", "1");
	group_strict = false;
	expect(palloc_run_in(cg, regions, &group_strict));
	expect(palloc_cg_event(cg, "failed") == 0);
	group_strict = true;
	expect(set_policy(cg, "strict") == 0);
	expect(palloc_run_in(cg, regions, &group_strict));
	expect(palloc_cg_event(cg, "failed") > 0);
}

/* Colors that the map does not have, or that no page has. */
static void unreachable(const void *arg)
{
	char *p = palloc_map_pages(FEW, MAP_PALLOC);

	palloc_setup_mask(0xf000);
	expect(palloc_set_colors("8-15") == 0);
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	palloc_setup_mask(0x7000);
	expect(palloc_try_touch(p, FEW, NULL) == 0);
	expect(palloc_failures() == 1);
	palloc_enable(false);
	expect(palloc_try_touch(p, FEW / 2, NULL) == FEW / 2);
	palloc_enable(true);
	expect(palloc_try_touch(p, FEW, NULL) == FEW / 2);
	palloc_setup_mask(0);
	expect(palloc_try_touch(p, FEW, NULL) == FEW);
	palloc_free(p, FEW);

	/* Address bits below the page size are 0: nobody has color 1. */
	palloc_setup_mask(0x1800);
	expect(palloc_set_color(1) == 0);
	p = palloc_map_pages(FEW, MAP_PALLOC);
	expect(palloc_try_touch(p, FEW, NULL) == 0);
	expect(palloc_fallbacks() == 0);
	expect(palloc_policy(PR_PALLOC_FALLBACK) == 0);
	expect(palloc_try_touch(p, FEW, NULL) == FEW);
	expect(palloc_fallbacks() == FEW);
	palloc_free(p, FEW);
}

static void test_unreachable(const void *arg)
{
	expect(palloc_run_in(NULL, unreachable, NULL));
}

static void test_notify(const void *arg)
{
	const char *top, *cg, *sibling;
	const int flags = 0;
	int fd[3], i;

	palloc_setup_mask(mask);
	top = palloc_cg_new(NULL, "top");
	cg = strict_group(top, "cg");
	sibling = strict_group(top, "sibling");
	fd[0] = palloc_cg_open_events(cg);
	fd[1] = palloc_cg_open_events(top);
	fd[2] = palloc_cg_open_events(sibling);
	for (i = 0; i < 3; i++)
		expect(palloc_notified(fd[i], false));
	expect(palloc_run_in(cg, not_all_of_it, &flags));
	expect(palloc_notified(fd[0], true));
	expect(palloc_notified(fd[1], true));
	expect(palloc_notified(fd[2], false));
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* Who waits for the last pages of a color can be killed. */
static void fails_for_ever(const void *arg)
{
	struct target *target = (struct target *)arg;
	struct full f;

	begin_strict(MAP_PALLOC);
	expect(fill(&f, MAP_PALLOC));
	__atomic_store_n(&target->ready, true, __ATOMIC_RELEASE);
	for (;;)
		palloc_try_touch(palloc_at(f.p, f.n), 1, NULL);
}

static void test_killed(const void *arg)
{
	struct target *target = palloc_shared(1);
	const int flags = MAP_PALLOC;
	pid_t pid[4];
	int i;

	palloc_setup_mask(mask);
	for (i = 0; i < 4; i++)
		pid[i] = palloc_spawn(NULL, fails_for_ever, target);
	palloc_wait_for(&target->ready);
	usleep(300000);
	for (i = 0; i < 4; i++)
		kill(pid[i], SIGKILL);
	for (i = 0; i < 4; i++)
		expect(palloc_kill(pid[i]));
	expect(palloc_run_in(NULL, fills, &flags));
	munmap(target, palloc_page_size);
}

/*
 * Memory itself is short, and with it every color: then the OOM killer is right
 * to make some, and who is strict waits for that and gets his colors.
 */
static void takes_all_memory(const void *arg)
{
	struct target *target = (struct target *)arg;
	size_t total = palloc_meminfo("MemTotal") * 1024 / palloc_page_size, n;
	char *p = palloc_map_pages(total, 0);

	/* A name for who reads the console. */
	prctl(PR_SET_NAME, "oom_victim");
	expect(palloc_file_write("/proc/self/oom_score_adj", "1000", 4) == 0);
	/* Well above the watermarks, so that it is not killed by what it does. */
	for (n = 0; palloc_meminfo("MemFree") > palloc_meminfo("MemTotal") / 10; n += 256)
		palloc_touch(palloc_at(p, n), 256);
	__atomic_store_n(&target->ready, true, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static void gets_its_share(const void *arg)
{
	const size_t pages = *(const size_t *)arg;
	char *p = palloc_map_pages(pages, 0);
	unsigned long checked;

	expect(palloc_try_touch(p, pages, NULL) == pages);
	expect(palloc_impure(0, p, pages, "0-14", &checked) == 0);
	expect(checked == pages);
	palloc_free(p, pages);
}

static void test_memory_short(const void *arg)
{
	struct target *target = palloc_shared(1);
	/* More than is left, most of which is of its colors. */
	size_t pages = palloc_meminfo("MemTotal") * 1024 / palloc_page_size / 8;
	const char *cg = palloc_cg_new(NULL, "short");
	long kills = palloc_vmstat("oom_kill");
	int status = 0;
	pid_t hog;

	palloc_setup_mask(0xf000);
	expect(palloc_cg_bins(cg, "0-14") == 0);
	expect(set_policy(cg, "strict") == 0);
	hog = palloc_spawn(NULL, takes_all_memory, target);
	palloc_wait_for(&target->ready);
	expect(palloc_run_in(cg, gets_its_share, &pages));
	expect(events_are(cg, 0, 0));
	/* Its memory may be free before it is gone. */
	if (!expect(palloc_vmstat("oom_kill") > kills))
		kill(hog, SIGKILL);
	expect(waitpid(hog, &status, 0) == hog);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	munmap(target, palloc_page_size);
}

static const struct palloc_test tests[] = {
	{ "palloc.policy takes fallback and strict", test_policy_file, NULL },
	{ "palloc.events", test_events_file, NULL },
	{ "no policy and no events on the root", test_not_on_root, NULL },
	{ "a group keeps what it was configured for", test_configured, NULL },
	{ "prctl", test_prctl, NULL },
	{ "fork inherits the policy, exec clears it", test_fork_exec, NULL },
	{ "a strict cgroup runs out", test_strict_cgroup, NULL },
	{ "a strict map runs out", test_strict_map, NULL },
	{ "pages on another CPU's lists", test_other_cpu, NULL },
	{ "mlock, MADV_POPULATE_WRITE, read", test_populate, NULL },
	{ "copies on write", test_copies, NULL },
	{ "fork with pinned pages", test_fork, NULL },
	{ "UFFDIO_COPY", test_uffd, NULL },
	{ "swapping in", test_swap, NULL },
	{ "MADV_UNMERGEABLE", test_ksm, NULL },
	{ "process_vm_writev", test_remote, NULL },
	{ "strict above is strict below", test_hierarchy, NULL },
	{ "a change applies to the next page", test_changes, NULL },
	{ "whose colors, his policy", test_regions, NULL },
	{ "colors that there are not", test_unreachable, NULL },
	{ "palloc.events notifies", test_notify, NULL },
	{ "tasks that fail are killed", test_killed, NULL },
	{ "memory is short as well", test_memory_short, NULL },
};

int main(int argc, char *argv[])
{
	/* Executed by itself. */
	if (argc == 2 && !strcmp(argv[1], "policy"))
		return palloc_policy(PR_PALLOC_GET) == PR_PALLOC_FALLBACK ?
		       KSFT_PASS : KSFT_FAIL;

	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	size_up();
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
