// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that a MAP_PALLOC region is given only the colors its process has set,
 * on every way such a region can be made, grown, moved, split and refilled;
 * that it says so in smaps; that it is refused where it could not hold; that
 * all allowed colors are used evenly; and that the other regions of the
 * process, stack and heap among them, are left alone.
 */
#include <alloca.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "palloc_util.h"

#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	0x10000
#define UFFDIO_MOVE		_IOWR(UFFDIO, 0x05, struct uffdio_move)

struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};
#endif

#define PAGES	512

static void setup(const char *list)
{
	palloc_setup_mask(0xf000);
	if (palloc_set_colors(list))
		palloc_bail("set_color_map %s: %s", list, strerror(errno));
}

static void test_set_color(const void *arg)
{
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(11) == 0);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_pure(p, PAGES, "11"));
	expect(palloc_fallbacks() == 0);
	palloc_free(p, PAGES);
}

static void test_set_color_map(const void *arg)
{
	const char *list = arg;
	struct palloc_set set;
	void *p;

	setup(list);
	palloc_set_parse(&set, list);
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_pure(p, PAGES, list));
	expect(palloc_seen(p, PAGES) == palloc_set_count(&set));
	expect(palloc_fallbacks() == 0);
	palloc_free(p, PAGES);
}

static void test_flag(const void *arg)
{
	void *with, *without;

	setup("1");
	with = palloc_alloc(4, MAP_PALLOC);
	without = palloc_alloc(4, 0);
	expect(palloc_vm_flag(with, "pa"));
	expect(!palloc_vm_flag(without, "pa"));
	palloc_free(with, 4);
	palloc_free(without, 4);
}

/* Regions side by side do not merge, and each keeps its own rule. */
static void test_neighbours(const void *arg)
{
	void *p, *mid, *above;

	setup("2");
	p = palloc_map_pages(2 * PALLOC_MANY + PAGES, 0);
	mid = palloc_at(p, PALLOC_MANY);
	above = palloc_at(mid, PAGES);
	expect(mmap(mid, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_PALLOC, -1, 0) == mid);
	palloc_touch(p, 2 * PALLOC_MANY + PAGES);
	expect(palloc_mixed(p, PALLOC_MANY));
	expect(palloc_pure(mid, PAGES, "2"));
	expect(palloc_mixed(above, PALLOC_MANY));
	expect(!palloc_vm_flag(p, "pa"));
	expect(palloc_vm_flag(mid, "pa"));
	expect(!palloc_vm_flag(above, "pa"));
	palloc_free(p, 2 * PALLOC_MANY + PAGES);
}

static void test_others(const void *arg)
{
	void *region, *other;

	setup("7");
	region = palloc_alloc(PAGES, MAP_PALLOC);
	other = palloc_alloc(PALLOC_MANY, 0);
	expect(palloc_pure(region, PAGES, "7"));
	expect(palloc_mixed(other, PALLOC_MANY));
	palloc_free(region, PAGES);
	palloc_free(other, PALLOC_MANY);
}

static void test_heap(const void *arg)
{
	char *p, *from;

	setup("7");
	p = sbrk((PALLOC_MANY + 1) * palloc_page_size);
	if (!expect(p != (void *)-1))
		return;
	from = (char *)(((uintptr_t)p + palloc_page_size - 1) & -palloc_page_size);
	palloc_touch(from, PALLOC_MANY);
	expect(palloc_mixed(from, PALLOC_MANY));
	expect(!palloc_vm_flag(from, "pa"));
	sbrk(-(intptr_t)((PALLOC_MANY + 1) * palloc_page_size));
}

static void deep_stack(void)
{
	char *p = alloca((PAGES + 1) * palloc_page_size);
	char *from = (char *)(((uintptr_t)p + palloc_page_size - 1) & -palloc_page_size);
	size_t i;

	for (i = PAGES; i-- > 0;)
		*palloc_at(from, i) = 1;
	expect(palloc_mixed(from, PAGES));
}

static void test_stack(const void *arg)
{
	void *p;

	setup("7");
	/* The stack is short: what the per-CPU lists kept goes elsewhere. */
	p = palloc_map_pages(PALLOC_MANY, 0);
	madvise(p, PALLOC_MANY * palloc_page_size, MADV_NOHUGEPAGE);
	palloc_touch(p, PALLOC_MANY);
	deep_stack();
	palloc_free(p, PALLOC_MANY);
}

static void test_populate(const void *arg)
{
	void *p;

	setup("3,9");
	p = palloc_map_pages(PAGES, MAP_PALLOC | MAP_POPULATE);
	expect(palloc_pure(p, PAGES, "3,9"));
	palloc_free(p, PAGES);
}

static void test_populate_write(const void *arg)
{
	void *p;

	setup("3,9");
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	if (madvise(p, PAGES * palloc_page_size, MADV_POPULATE_WRITE) && errno == EINVAL)
		palloc_skip("no MADV_POPULATE_WRITE");
	else
		expect(palloc_pure(p, PAGES, "3,9"));
	palloc_free(p, PAGES);
}

static void test_mlock(const void *arg)
{
	void *p;

	setup("4");
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	expect(mlock(p, PAGES * palloc_page_size) == 0);
	expect(palloc_pure(p, PAGES, "4"));
	expect(munlock(p, PAGES * palloc_page_size) == 0);
	palloc_free(p, PAGES);
}

static void test_mlock_onfault(const void *arg)
{
	void *p;

	setup("4");
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	expect(syscall(__NR_mlock2, p, PAGES * palloc_page_size, 1 /* MLOCK_ONFAULT */) == 0);
	palloc_touch(p, PAGES / 2);
	expect(palloc_pure(p, PAGES / 2, "4"));
	palloc_free(p, PAGES);
}

static void locks_all(const void *arg)
{
	void *p;

	expect(palloc_set_color(4) == 0);
	expect(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	expect(palloc_pure(p, PAGES, "4"));
	p = palloc_map_pages(PALLOC_MANY, 0);
	expect(palloc_mixed(p, PALLOC_MANY));
}

static void test_mlockall(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_run_in(NULL, locks_all, NULL));
}

static void test_mprotect(const void *arg)
{
	size_t third = PAGES / 4;
	void *p;

	setup("6");
	p = palloc_map_pages(3 * third, MAP_PALLOC);
	palloc_touch(p, third);
	expect(mprotect(palloc_at(p, third), third * palloc_page_size, PROT_READ) == 0);
	expect(palloc_vm_flag(p, "pa"));
	expect(palloc_vm_flag(palloc_at(p, third), "pa"));
	expect(palloc_vm_flag(palloc_at(p, 2 * third), "pa"));
	expect(palloc_vmas(p, 3 * third) == 3);
	palloc_touch(palloc_at(p, 2 * third), third);
	expect(mprotect(palloc_at(p, third), third * palloc_page_size,
			PROT_READ | PROT_WRITE) == 0);
	palloc_touch(palloc_at(p, third), third);
	expect(palloc_vmas(p, 3 * third) == 1);
	expect(palloc_vm_flag(p, "pa"));
	expect(palloc_pure(p, 3 * third, "6"));
	palloc_free(p, 3 * third);
}

/* Made without any access first, as allocators reserve their space. */
static void test_mprotect_none(const void *arg)
{
	void *p;

	setup("6");
	p = mmap(NULL, PAGES * palloc_page_size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_PALLOC | MAP_NORESERVE, -1, 0);
	if (!expect(p != MAP_FAILED))
		return;
	expect(mprotect(p, PAGES * palloc_page_size, PROT_READ | PROT_WRITE) == 0);
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES, "6"));
	palloc_free(p, PAGES);
}

static void test_munmap_hole(const void *arg)
{
	void *p, *q;

	setup("10");
	p = palloc_alloc(PAGES, MAP_PALLOC);
	palloc_free(palloc_at(p, PAGES / 4), PAGES / 4);
	q = mmap(palloc_at(p, PAGES / 4), PAGES / 4 * palloc_page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_PALLOC, -1, 0);
	expect(q == palloc_at(p, PAGES / 4));
	palloc_touch(q, PAGES / 4);
	expect(palloc_vm_flag(q, "pa"));
	expect(palloc_pure(p, PAGES, "10"));
	palloc_free(p, PAGES);
}

static void test_mremap_grow(const void *arg)
{
	void *p, *q;

	setup("5,13");
	p = palloc_alloc(PAGES / 2, MAP_PALLOC);
	q = mremap(p, PAGES / 2 * palloc_page_size, PAGES * palloc_page_size, MREMAP_MAYMOVE);
	if (!expect(q != MAP_FAILED))
		return;
	palloc_touch(palloc_at(q, PAGES / 2), PAGES / 2);
	expect(palloc_vm_flag(q, "pa"));
	expect(palloc_vm_flag(palloc_at(q, PAGES - 1), "pa"));
	expect(palloc_pure(q, PAGES, "5,13"));
	palloc_free(q, PAGES);
}

static void test_mremap_move(const void *arg)
{
	__u64 pfn;
	void *p, *q;

	setup("5");
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	palloc_touch(p, PAGES / 2);
	pfn = palloc_pfn(p);
	q = palloc_map_pages(PAGES, 0);
	expect(mremap(p, PAGES * palloc_page_size, PAGES * palloc_page_size,
		      MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	expect(pfn && palloc_pfn(q) == pfn);
	palloc_touch(palloc_at(q, PAGES / 2), PAGES / 2);
	expect(palloc_vm_flag(q, "pa"));
	expect(palloc_pure(q, PAGES, "5"));
	palloc_free(q, PAGES);
}

static void test_mremap_shrink(const void *arg)
{
	void *p;

	setup("5");
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(mremap(p, PAGES * palloc_page_size, PAGES / 2 * palloc_page_size, 0) == p);
	expect(palloc_pure(p, PAGES / 2, "5"));
	palloc_free(p, PAGES / 2);
}

static void test_dontneed(const void *arg)
{
	void *p;

	setup("8");
	p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_pure(p, PAGES, "8"));
	expect(madvise(p, PAGES * palloc_page_size, MADV_DONTNEED) == 0);
	expect(palloc_seen(p, PAGES) == 0);
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES, "8"));
	/* What is set meanwhile counts for the refill. */
	expect(palloc_set_color(9) == 0);
	expect(madvise(p, PAGES / 2 * palloc_page_size, MADV_DONTNEED) == 0);
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES / 2, "9"));
	expect(palloc_pure(palloc_at(p, PAGES / 2), PAGES / 2, "8"));
	palloc_free(p, PAGES);
}

/* A file of PAGES pages, filled. */
static int make_file(void)
{
	int fd = memfd_create("palloc_test", MFD_CLOEXEC);
	char buf[4096];
	size_t i;

	memset(buf, 'f', sizeof(buf));
	for (i = 0; fd >= 0 && i < PAGES * palloc_page_size; i += sizeof(buf))
		if (write(fd, buf, sizeof(buf)) != sizeof(buf)) {
			close(fd);
			fd = -1;
		}
	return fd;
}

static void test_file_cow(const void *arg)
{
	bool read_first = arg;
	unsigned long sum = 0;
	int fd;
	char *p;
	size_t i;

	setup("12");
	fd = make_file();
	if (!expect(fd >= 0))
		return;
	p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_PALLOC, fd, 0);
	close(fd);
	if (!expect(p != MAP_FAILED))
		return;
	expect(palloc_vm_flag(p, "pa"));
	if (read_first) {
		for (i = 0; i < PAGES; i++)
			sum += *palloc_at(p, i);
		expect(sum == PAGES * 'f');
		/* The file's own pages are of no color. */
		expect(palloc_seen(p, PAGES) == 0);
	}
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES, "12"));
	for (i = 0, sum = 0; i < PAGES; i++)
		sum += p[i * palloc_page_size] == 1 && p[i * palloc_page_size + 1] == 'f';
	expect(sum == PAGES);
	palloc_free(p, PAGES);
}

struct refused {
	int flags;
	bool file;
};

static const struct refused shared_validate = { MAP_SHARED_VALIDATE, true };
static const struct refused huge = { MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, false };

static void test_refused(const void *arg)
{
	const struct refused *r = arg;
	int fd = -1;
	void *p;

	setup("1");
	if (r->file) {
		fd = make_file();
		if (!expect(fd >= 0))
			return;
	}
	errno = 0;
	p = mmap(NULL, 1 << 21, PROT_READ | PROT_WRITE, r->flags | MAP_PALLOC, fd, 0);
	if (r->flags == MAP_SHARED_VALIDATE)
		expect(p == MAP_FAILED && (errno == EINVAL || errno == EOPNOTSUPP));
	else
		expect(p == MAP_FAILED && errno == EINVAL);
	if (fd >= 0)
		close(fd);
}

/* A userfaultfd that moves pages, as it can since v6.8, or -1. */
static int uffd_for_move(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Within a region pages keep their colors; to and from other memory they would not. */
static void test_uffd_move(const void *arg)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	const int flags[] = { MAP_PALLOC, 0 };
	struct uffdio_move move;
	unsigned int from, to;
	void *src, *dst;
	int fd, ret;

	setup("7");
	fd = uffd_for_move();
	for (from = 0; from < 2; from++) {
		for (to = 0; to < 2; to++) {
			src = palloc_alloc(16, flags[from]);
			dst = palloc_map_pages(16, flags[to]);
			reg.range.start = (unsigned long)dst;
			reg.range.len = 16 * palloc_page_size;
			expect(ioctl(fd, UFFDIO_REGISTER, &reg) == 0);
			move = (struct uffdio_move){
				.dst = (unsigned long)dst,
				.src = (unsigned long)src,
				.len = 16 * palloc_page_size,
			};
			ret = ioctl(fd, UFFDIO_MOVE, &move);
			if (from == to)
				expect(ret == 0 && move.move == (__s64)move.len);
			else
				expect(ret == -1 && errno == EINVAL);
			if (flags[from])
				expect(palloc_pure(from == to ? dst : src, 16, "7"));
			palloc_free(src, 16);
			palloc_free(dst, 16);
		}
	}
	close(fd);
}

/* Reads map the zero page, which has no color; the write has to bring one. */
static void test_read_first(const void *arg)
{
	unsigned long sum = 0;
	size_t i;
	char *p;

	setup("14");
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	for (i = 0; i < PAGES; i++)
		sum += *palloc_at(p, i);
	expect(sum == 0);
	expect(palloc_seen(p, PAGES) == 0);
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES, "14"));
	palloc_free(p, PAGES);
}

/* A large aligned region would be served with huge pages if it could. */
static void test_huge_aligned(const void *arg)
{
	const size_t huge_pages = (4 << 20) / palloc_page_size;
	char *p, *from;

	setup("0-3");
	p = palloc_map_pages(huge_pages + PAGES, MAP_PALLOC);
	from = (char *)(((uintptr_t)p + (2 << 20) - 1) & -(uintptr_t)(2 << 20));
	madvise(from, 4 << 20, MADV_HUGEPAGE);
	palloc_touch(from, huge_pages);
	expect(palloc_pure(from, huge_pages, "0-3"));
	palloc_free(p, huge_pages + PAGES);
}

static void test_grows_down(const void *arg)
{
	const size_t room = 4096, first = 16, more = 128;
	char *p, *top;

	setup("15");
	p = palloc_map_pages(room, 0);
	palloc_free(p, room);
	top = palloc_at(p, room - first);
	if (!expect(mmap(top, first * palloc_page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE |
			 MAP_PALLOC, -1, 0) == top))
		return;
	palloc_touch(top, first);
	for (size_t i = 1; i <= more; i++)
		*(top - i * palloc_page_size) = 1;
	expect(palloc_vm_flag(top - more * palloc_page_size, "pa"));
	expect(palloc_pure(top - more * palloc_page_size, more + first, "15"));
	palloc_free(top - more * palloc_page_size, more + first);
}

/* Changing the set is for the next allocation; clearing it lifts it. */
static void test_change(const void *arg)
{
	void *p;

	setup("1");
	p = palloc_map_pages(3 * PAGES + PALLOC_MANY, MAP_PALLOC);
	/* While the set is cleared a huge page could take the last part too. */
	madvise(p, (3 * PAGES + PALLOC_MANY) * palloc_page_size, MADV_NOHUGEPAGE);
	palloc_touch(p, PAGES);
	expect(palloc_set_colors("2-3") == 0);
	palloc_touch(palloc_at(p, PAGES), PAGES);
	expect(palloc_set_color_map(NULL, 0) == 0);
	palloc_touch(palloc_at(p, 2 * PAGES), PALLOC_MANY);
	expect(palloc_set_color(4) == 0);
	palloc_touch(palloc_at(p, 2 * PAGES + PALLOC_MANY), PAGES);
	expect(palloc_pure(p, PAGES, "1"));
	expect(palloc_pure(palloc_at(p, PAGES), PAGES, "2-3"));
	expect(palloc_mixed(palloc_at(p, 2 * PAGES), PALLOC_MANY));
	expect(palloc_pure(palloc_at(p, 2 * PAGES + PALLOC_MANY), PAGES, "4"));
	palloc_free(p, 3 * PAGES + PALLOC_MANY);
}

/* Every allowed color between half of and twice its share. */
static void test_even(const void *arg)
{
	static struct palloc_hist hist;
	const char *list = arg;
	const size_t pages = 4096;
	struct palloc_set set;
	unsigned int i, n;
	void *p;

	setup(list);
	palloc_set_parse(&set, list);
	n = palloc_set_count(&set);
	memset(&hist, 0, sizeof(hist));
	p = palloc_alloc(pages, MAP_PALLOC);
	expect(palloc_pure(p, pages, list));
	expect(palloc_count(0, p, pages, &hist) == (long)pages);
	for (i = 0; i < 16; i++) {
		if (!palloc_set_has(&set, i))
			continue;
		if (!expect(hist.n[i] >= pages / n / 2 && hist.n[i] <= 2 * pages / n))
			palloc_note("color %u: %lu of %zu pages", i, hist.n[i], pages);
	}
	palloc_free(p, pages);
}

/* The pages a colored region gives back serve anyone, and the other way round. */
static void test_reuse(const void *arg)
{
	unsigned int i;

	setup("2");
	for (i = 0; i < 8; i++) {
		void *colored = palloc_alloc(PAGES, MAP_PALLOC);
		void *plain = palloc_alloc(PALLOC_MANY, 0);
		bool ok = expect(palloc_pure(colored, PAGES, "2"));

		ok &= expect(palloc_mixed(plain, PALLOC_MANY));
		/* In turns, so that either is what comes back first. */
		if (i & 1)
			palloc_free(colored, PAGES);
		palloc_free(plain, PALLOC_MANY);
		if (!(i & 1))
			palloc_free(colored, PAGES);
		if (!ok)
			return;
	}
}

static const struct palloc_test tests[] = {
	{ "one color by set_color", test_set_color, NULL },
	{ "one color by set_color_map", test_set_color_map, "6" },
	{ "neighbouring colors", test_set_color_map, "0-3" },
	{ "scattered colors", test_set_color_map, "0,5,6,15" },
	{ "all colors but one", test_set_color_map, "0-8,10-15" },
	{ "smaps says pa", test_flag, NULL },
	{ "neighbours keep their own rule", test_neighbours, NULL },
	{ "other regions are left alone", test_others, NULL },
	{ "the heap is left alone", test_heap, NULL },
	{ "the stack is left alone", test_stack, NULL },
	{ "MAP_POPULATE", test_populate, NULL },
	{ "MADV_POPULATE_WRITE", test_populate_write, NULL },
	{ "mlock", test_mlock, NULL },
	{ "mlock2 on fault", test_mlock_onfault, NULL },
	{ "mlockall for the future", test_mlockall, NULL },
	{ "mprotect splits and merges", test_mprotect, NULL },
	{ "mprotect from PROT_NONE", test_mprotect_none, NULL },
	{ "munmap of a part and mapping it again", test_munmap_hole, NULL },
	{ "mremap grows", test_mremap_grow, NULL },
	{ "mremap moves", test_mremap_move, NULL },
	{ "mremap shrinks", test_mremap_shrink, NULL },
	{ "MADV_DONTNEED and refill", test_dontneed, NULL },
	{ "private file: copy on a write after reads", test_file_cow, "read first" },
	{ "private file: copy on the first write", test_file_cow, NULL },
	{ "refused: shared file", test_refused, &(const struct refused){ MAP_SHARED, true } },
	{ "refused: MAP_SHARED_VALIDATE", test_refused, &shared_validate },
	{ "refused: MAP_HUGETLB", test_refused, &huge },
	{ "read, then write", test_read_first, NULL },
	{ "large and aligned", test_huge_aligned, NULL },
	{ "MAP_GROWSDOWN", test_grows_down, NULL },
	{ "changing the set: next allocation", test_change, NULL },
	{ "even use of 4 neighbouring colors", test_even, "4-7" },
	{ "even use of 5 scattered colors", test_even, "0,3,7,8,14" },
	{ "even use of all but one color", test_even, "0-14" },
	{ "pages change hands", test_reuse, NULL },
	/* Last, as not all kernels can */
	{ "UFFDIO_MOVE", test_uffd_move, NULL },
};

int main(void)
{
	int fd = uffd_for_move();

	if (fd >= 0)
		close(fd);
	palloc_init(PALLOC_NEED_SYSCALLS);
	palloc_run_tests(tests, ARRAY_SIZE(tests) - (fd < 0));
}
