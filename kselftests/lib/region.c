// SPDX-License-Identifier: GPL-2.0
/* See region.h. */
#include <alloca.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/io_uring.h>

#include "check.h"
#include "color.h"
#include "region.h"

void *palloc_map_pages(size_t pages, int flags)
{
	void *p = mmap(NULL, pages * palloc_page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		palloc_bail("mmap of %zu pages, flags %#x: %s", pages, flags, strerror(errno));
	return p;
}

/* What children have in common with their parent. */
void *palloc_shared(size_t pages)
{
	void *p = mmap(NULL, pages * palloc_page_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		palloc_bail("mmap of %zu shared pages: %s", pages, strerror(errno));
	return p;
}

void palloc_touch(void *addr, size_t pages)
{
	char *p = addr;

	for (; pages; pages--, p += palloc_page_size)
		*p = 1;
}

void *palloc_alloc(size_t pages, int flags)
{
	void *p = palloc_map_pages(pages, flags);

	palloc_touch(p, pages);
	return p;
}

void palloc_free(void *addr, size_t pages)
{
	munmap(addr, pages * palloc_page_size);
}

/*
 * Has all memory of the caller, and some more stack, in place, so that the only
 * page it will lack is one that a test touches.
 */
void palloc_steady(void)
{
	const size_t size = 256 << 10;

	explicit_bzero(alloca(size), size);
	if (mlockall(MCL_CURRENT))
		palloc_bail("mlockall: %s", strerror(errno));
}

/*
 * Pins pages for long, for writing, as buffers of an io_uring. Returns a file
 * descriptor, which lets go of them when it is closed, or -1.
 */
int palloc_pin_pages(void *addr, size_t pages)
{
	struct iovec iov = { .iov_base = addr, .iov_len = pages * palloc_page_size };
	struct io_uring_params params = { .flags = 0 };
	int fd = syscall(__NR_io_uring_setup, 1, &params);

	if (fd >= 0 && syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static sigjmp_buf bus_jump;
static size_t bus_page;
static struct palloc_sigbus *bus_info;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	if (bus_info) {
		bus_info->code = info->si_code;
		bus_info->addr = info->si_addr;
	}
	siglongjmp(bus_jump, 1);
}

/*
 * Touches pages up to one that ends in SIGBUS; returns how many it could. For one
 * thread at a time.
 */
size_t palloc_try_touch(void *addr, size_t pages, struct palloc_sigbus *bus)
{
	struct sigaction act = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	struct sigaction old;
	char *p = addr;

	bus_info = bus;
	if (sigaction(SIGBUS, &act, &old))
		palloc_bail("sigaction: %s", strerror(errno));
	bus_page = 0;
	if (!sigsetjmp(bus_jump, 1)) {
		for (; bus_page < pages; bus_page++) {
			p[bus_page * palloc_page_size] = 1;
			/* The store comes before the count. */
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		}
	}
	sigaction(SIGBUS, &old, NULL);
	return bus_page;
}

static unsigned int scan_smaps(uintptr_t from, uintptr_t to, const char *flag,
			       bool *all)
{
	unsigned int n = 0;
	bool inside = false;
	char line[4096];
	FILE *f;

	*all = true;
	f = fopen("/proc/self/smaps", "re");
	if (!f)
		palloc_bail("cannot read smaps");
	while (fgets(line, sizeof(line), f)) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			inside = a < to && b > from;
			n += inside;
		} else if (inside && flag && !strncmp(line, "VmFlags:", 8)) {
			if (!strstr(line, flag))
				*all = false;
		}
	}
	fclose(f);
	return n;
}

bool palloc_vm_flag(const void *addr, const char *flag)
{
	char padded[8];
	bool all;

	snprintf(padded, sizeof(padded), " %s", flag);
	return scan_smaps((uintptr_t)addr, (uintptr_t)addr + 1, padded, &all) == 1 && all;
}

unsigned int palloc_vmas(const void *addr, size_t pages)
{
	uintptr_t from = (uintptr_t)addr;
	bool all;

	return scan_smaps(from, from + pages * palloc_page_size, NULL, &all);
}
