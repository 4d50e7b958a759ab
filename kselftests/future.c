// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that after prctl(PR_PALLOC_FUTURE, 1) all private anonymous memory that a
 * process maps is of its colors, wherever it comes from, and nothing else is; that
 * it is for the process, its children and until exec; and that memory that was
 * there before is left as it is.
 *
 * It needs no cgroup: where these are, or the controller is off, makes no difference.
 */
#include <pthread.h>

#include "palloc_util.h"

#define PAGES	64

static int future(unsigned long on, unsigned long arg3, unsigned long arg4,
		  unsigned long arg5)
{
	return prctl(PR_PALLOC_FUTURE, on, arg3, arg4, arg5) ? errno : 0;
}

static bool is_region(const void *p)
{
	return palloc_vm_flag(p, "pa");
}

static void *map(int flags, int fd)
{
	void *p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		palloc_bail("mmap: %s", strerror(errno));
	return p;
}

static void *anon(void)
{
	return map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void is_colored(void *p, const char *list)
{
	expect(is_region(p));
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES, list));
}

struct body {
	void (*fn)(const void *arg);
};

/* Each in a child, which leaves nothing behind */
static void test(const void *arg)
{
	const struct body *body = arg;

	palloc_setup_mask(0xf000);
	expect(palloc_reap(palloc_spawn(NULL, body->fn, NULL)));
}

static void arguments(const void *arg)
{
	expect(future(2, 0, 0, 0) == EINVAL);
	expect(future(-1UL, 0, 0, 0) == EINVAL);
	expect(future(1, 1, 0, 0) == EINVAL);
	expect(future(1, 0, 1, 0) == EINVAL);
	expect(future(1, 0, 0, 1) == EINVAL);
	expect(!is_region(anon()));
	expect(future(1, 0, 0, 0) == 0);
	expect(future(1, 0, 0, 0) == 0);
	expect(future(2, 0, 0, 0) == EINVAL);
	expect(is_region(anon()));
	expect(future(0, 0, 0, 0) == 0);
	expect(!is_region(anon()));
}

static void mmaps(const void *arg)
{
	void *old = anon(), *p;

	expect(palloc_set_color(5) == 0);
	expect(future(1, 0, 0, 0) == 0);
	p = anon();
	is_colored(p, "5");
	expect(!is_region(old));
	/* What was there stays so when it grows or moves, and so does what is new. */
	old = mremap(old, PAGES * palloc_page_size, 2 * PAGES * palloc_page_size, MREMAP_MAYMOVE);
	expect(old != MAP_FAILED && !is_region(old));
	p = mremap(p, PAGES * palloc_page_size, 2 * PAGES * palloc_page_size, MREMAP_MAYMOVE);
	expect(p != MAP_FAILED && is_region(p));
	palloc_touch(p, 2 * PAGES);
	expect(palloc_pure(p, 2 * PAGES, "5"));
	/* It is a region as any other. */
	expect(palloc_set_colors("8-9") == 0);
	is_colored(anon(), "8-9");
	expect(future(0, 0, 0, 0) == 0);
	expect(is_region(p));
	expect(is_region(palloc_map_pages(1, MAP_PALLOC)));
	expect(!is_region(anon()));
}

static void heap(const void *arg)
{
	void *p;

	expect(palloc_set_color(5) == 0);
	expect(future(1, 0, 0, 0) == 0);
	/* A part of the first page may be of the old heap. */
	p = sbrk((PAGES + 1) * palloc_page_size);
	if (!expect(p != (void *)-1))
		return;
	p = (char *)p + palloc_page_size - (uintptr_t)p % palloc_page_size;
	is_colored(p, "5");
	p = malloc(PAGES * palloc_page_size + 100000);
	if (!expect(p))
		return;
	p = (char *)p + palloc_page_size - (uintptr_t)p % palloc_page_size;
	is_colored(p, "5");
}

static void *uses_stack(void *arg)
{
	char *here, space[PAGES * 4096];

	explicit_bzero(space, sizeof(space));
	here = (char *)((uintptr_t)space & -palloc_page_size) + palloc_page_size;
	expect(is_region(here));
	expect(palloc_pure(here, PAGES - 2, "5"));
	return arg;
}

static void thread(const void *arg)
{
	pthread_t id;

	expect(palloc_set_color(5) == 0);
	expect(future(1, 0, 0, 0) == 0);
	if (expect(!pthread_create(&id, NULL, uses_stack, NULL)))
		pthread_join(id, NULL);
}

/* All of it can be mapped as ever. */
static void not_for(const void *arg)
{
	int file, memfd = memfd_create("palloc", 0), zero = open("/dev/zero", O_RDWR);
	char name[] = "/tmp/palloc.XXXXXX";
	void *p;

	file = mkstemp(name);
	unlink(name);
	if (!expect(file >= 0 && memfd >= 0 && zero >= 0) ||
	    !expect(!ftruncate(file, PAGES * palloc_page_size)) ||
	    !expect(!ftruncate(memfd, PAGES * palloc_page_size)))
		return;
	expect(future(1, 0, 0, 0) == 0);
	expect(!is_region(map(MAP_SHARED, file)));
	expect(!is_region(map(MAP_PRIVATE, file)));
	expect(!is_region(map(MAP_SHARED, memfd)));
	expect(!is_region(map(MAP_PRIVATE, memfd)));
	expect(!is_region(map(MAP_PRIVATE, zero)));
	expect(!is_region(map(MAP_SHARED | MAP_ANONYMOUS, -1)));
	/* Where it is asked for, it is. */
	expect(is_region(map(MAP_PRIVATE | MAP_PALLOC, file)));
	expect(is_region(map(MAP_SHARED | MAP_ANONYMOUS | MAP_PALLOC, -1)));
	/* There are none to be had, but they are not refused for being colored. */
	p = mmap(NULL, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		 MAP_NORESERVE, -1, 0);
	if (expect(p != MAP_FAILED))
		expect(!is_region(p));
}

static void in_child(const void *arg)
{
	expect(is_region(anon()));
	is_colored(anon(), arg);
	expect(future(0, 0, 0, 0) == 0);
	expect(!is_region(anon()));
}

static void forks(const void *arg)
{
	expect(palloc_set_color(5) == 0);
	expect(future(1, 0, 0, 0) == 0);
	expect(palloc_reap(palloc_spawn(NULL, in_child, "5")));
	expect(is_region(anon()));
}

#define EXECUTED "is all as at first?"

static void execs(const void *arg)
{
	expect(palloc_set_color(5) == 0);
	expect(future(1, 0, 0, 0) == 0);
	fflush(stdout);
	execl("/proc/self/exe", "future", EXECUTED, NULL);
	palloc_bail("exec: %s", strerror(errno));
}

static int executed(void)
{
	int here;

	palloc_init_tool();
	return is_region(anon()) || is_region(&here) || is_region(sbrk(palloc_page_size));
}

static void locked(const void *arg)
{
	expect(future(1, 0, 0, 0) == 0);
	expect(!mlockall(MCL_FUTURE));
	expect(is_region(anon()) && palloc_vm_flag(anon(), "lo"));
	expect(future(0, 0, 0, 0) == 0);
	expect(!is_region(anon()) && palloc_vm_flag(anon(), "lo"));
	expect(future(1, 0, 0, 0) == 0);
	expect(!munlockall());
	expect(is_region(anon()) && !palloc_vm_flag(anon(), "lo"));
}

#define BODY(fn)	(&(const struct body){ fn })

static const struct palloc_test tests[] = {
	{ "on, off, and what is refused", test, BODY(arguments) },
	{ "mmap", test, BODY(mmaps) },
	{ "heap", test, BODY(heap) },
	{ "stack of a thread", test, BODY(thread) },
	{ "files, shared memory and hugetlbfs", test, BODY(not_for) },
	{ "fork inherits it", test, BODY(forks) },
	{ "exec clears it", test, BODY(execs) },
	{ "next to mlockall", test, BODY(locked) },
};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], EXECUTED))
		return executed();
	palloc_init(PALLOC_NEED_SYSCALLS);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
