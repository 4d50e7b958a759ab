// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that a page has its owner's colors whoever it is that brings it in:
 * another process that writes to memory which its owner has never touched, by
 * process_vm_writev(), ptrace() or /proc/PID/mem, or that answers its page
 * faults through userfaultfd; a kernel thread that reads into it for io_uring; a
 * breakpoint or uprobe that replaces a page of its text; a device that writes to
 * it, or has had it in its own memory; or I/O that pins pages for long. It makes
 * no difference whether the other process has colors of its own, and an owner
 * without colors is not given those of the other one.
 */
#include <linux/io_uring.h>
#include <linux/iommufd.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "../../../../drivers/iommu/iommufd/iommufd_test.h"
#include "../../../../lib/test_hmm_uapi.h"
#include "../../../../mm/gup_test.h"
#include "palloc_util.h"

#define PAGES		64
#define OWNER		"0-3"
#define REGION		"5,12"
#define WRITER		"8-11"

#define UPROBE_TYPE	"/sys/bus/event_source/devices/uprobe/type"
#define NOP		0x90
#define RET		0xc3
#define INT3		0xcc

/* Those of drivers for no device, which are not everywhere. */
#define HMM		"/dev/hmm_dmirror0"
#define HMM_COHERENT	"/dev/hmm_dmirror2"
#define IOMMU		"/dev/iommu"

/* Whose memory is written to; seen by both. */
struct target {
	pid_t pid;
	size_t pages;
	char *p;
	char path[64];			/* of the file that is mapped there */
	int fd;				/* of its userfaultfd, ring or device */
	size_t tail;			/* where the ring's submission queue has it */
	unsigned int ioas;		/* what an IOMMU is to map */
	bool ready;
};

struct method {
	const char *name;
	/* In the owner: makes t->p. */
	void (*map)(struct target *t, int flags);
	/* In the writer. */
	void (*write)(const struct target *t);
	const char *device;		/* that it needs, or NULL */
};

/* The owner's side */

static void map_anon(struct target *t, int flags)
{
	t->p = palloc_map_pages(t->pages, flags);
}

static void map_uffd(struct target *t, int flags)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	map_anon(t, flags);
	t->fd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (t->fd < 0 || ioctl(t->fd, UFFDIO_API, &api))
		palloc_bail("userfaultfd: %s", strerror(errno));
	reg.range.start = (uintptr_t)t->p;
	reg.range.len = t->pages * palloc_page_size;
	if (ioctl(t->fd, UFFDIO_REGISTER, &reg))
		palloc_bail("UFFDIO_REGISTER: %s", strerror(errno));
}

/*
 * A ring with a read into each page that the owner's kernel thread will do, if
 * somebody says so, or, if @sqe_flags are IOSQE_ASYNC, have another one do.
 */
static void have_ring(struct target *t, int file, unsigned int sqe_flags)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQPOLL,
		.sq_thread_idle = 1,
	};
	size_t i, n = t->pages;
	struct io_uring_sqe *sqe;
	unsigned int *array;
	char *ring;

	t->fd = syscall(__NR_io_uring_setup, n, &params);
	if (t->fd < 0)
		palloc_bail("io_uring_setup: %s", strerror(errno));
	t->tail = params.sq_off.tail;
	ring = mmap(NULL, params.sq_off.array + n * sizeof(*array), PROT_READ | PROT_WRITE,
		    MAP_SHARED, t->fd, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, n * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd,
		   IORING_OFF_SQES);
	if (ring == MAP_FAILED || sqe == MAP_FAILED)
		palloc_bail("mmap of a ring: %s", strerror(errno));
	array = (unsigned int *)(ring + params.sq_off.array);
	for (i = 0; i < n; i++) {
		sqe[i] = (struct io_uring_sqe){
			.opcode = IORING_OP_READ,
			.flags = sqe_flags,
			.fd = file,
			.addr = (uintptr_t)palloc_at(t->p, i),
			.len = palloc_page_size,
		};
		array[i] = i;
	}
}

/* Never waits, so that it is read by the thread that polls the ring. */
static void map_sqpoll(struct target *t, int flags)
{
	map_anon(t, flags);
	have_ring(t, open("/dev/zero", O_RDONLY | O_CLOEXEC), 0);
}

static void map_iowq(struct target *t, int flags)
{
	int fd = memfd_create("palloc", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, palloc_page_size))
		palloc_bail("memfd: %s", strerror(errno));
	map_anon(t, flags);
	have_ring(t, fd, IOSQE_ASYNC);
}

/* A device that mirrors the owner's page tables, and may have pages itself. */
static int open_hmm(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		palloc_bail("%s: %s", path, strerror(errno));
	return fd;
}

static bool hmm(int fd, unsigned long request, void *p, size_t pages)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)p,
		.ptr = (uintptr_t)malloc(pages * palloc_page_size),
		.npages = pages,
	};
	bool ok = !ioctl(fd, request, &cmd);

	free((void *)(uintptr_t)cmd.ptr);
	return ok && cmd.cpages == pages;
}

static void map_mirrored(struct target *t, int flags)
{
	map_anon(t, flags);
	t->fd = open_hmm(HMM);
}

static void map_migrated(struct target *t, int flags)
{
	map_mirrored(t, flags);
	madvise(t->p, t->pages * palloc_page_size, MADV_NOHUGEPAGE);
	palloc_touch(t->p, t->pages);
	if (!hmm(t->fd, HMM_DMIRROR_MIGRATE_TO_DEV, t->p, t->pages))
		palloc_bail("HMM_DMIRROR_MIGRATE_TO_DEV: %s", strerror(errno));
}

/* What an IOMMU is to map, as soon as somebody attaches a device to it. */
static void map_iommu(struct target *t, int flags)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.length = t->pages * palloc_page_size,
		.iova = MOCK_APERTURE_START,
	};

	map_anon(t, flags);
	t->fd = open(IOMMU, O_RDWR | O_CLOEXEC);
	if (t->fd < 0 || ioctl(t->fd, IOMMU_IOAS_ALLOC, &alloc))
		palloc_bail("%s: %s", IOMMU, strerror(errno));
	map.ioas_id = alloc.out_ioas_id;
	map.user_va = (uintptr_t)t->p;
	if (ioctl(t->fd, IOMMU_IOAS_MAP, &map))
		palloc_bail("IOMMU_IOAS_MAP: %s", strerror(errno));
	t->ioas = alloc.out_ioas_id;
}

/* A program's text: each page is a function that does nothing. */
static void map_text(struct target *t, int flags)
{
	size_t size = t->pages * palloc_page_size, i;
	char *text = malloc(size);
	int fd;

	if (!text)
		palloc_bail("malloc: %s", strerror(errno));
	memset(text, NOP, size);
	for (i = 1; i <= t->pages; i++)
		*(palloc_at(text, i) - 1) = (char)RET;
	snprintf(t->path, sizeof(t->path), "/tmp/palloc_remote.%d", getpid());
	fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		palloc_bail("%s: %s", t->path, strerror(errno));
	free(text);
	t->p = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | flags, fd, 0);
	if (t->p == MAP_FAILED)
		palloc_bail("mmap of text: %s", strerror(errno));
	close(fd);
}

static void waits(struct target *t)
{
	__atomic_store_n(&t->ready, true, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

/* The writer's side */

static void write_vm(const struct target *t)
{
	size_t size = t->pages * palloc_page_size;
	struct iovec local = { .iov_base = calloc(1, size), .iov_len = size };
	struct iovec remote = { .iov_base = t->p, .iov_len = size };

	expect(process_vm_writev(t->pid, &local, 1, &remote, 1, 0) == (ssize_t)size);
	free(local.iov_base);
}

static bool attach(const struct target *t)
{
	int status;

	return expect(!ptrace(PTRACE_ATTACH, t->pid, NULL, NULL)) &&
	       expect(waitpid(t->pid, &status, __WALL) == t->pid && WIFSTOPPED(status));
}

static void write_ptrace(const struct target *t)
{
	size_t i;

	if (!attach(t))
		return;
	for (i = 0; i < t->pages; i++)
		if (!expect(!ptrace(PTRACE_POKEDATA, t->pid, palloc_at(t->p, i), (void *)1L)))
			break;
	expect(!ptrace(PTRACE_DETACH, t->pid, NULL, NULL));
}

/* What a debugger does to have a program stop somewhere. */
static void write_breakpoints(const struct target *t)
{
	long word;
	size_t i;

	if (!attach(t))
		return;
	for (i = 0; i < t->pages; i++) {
		errno = 0;
		word = ptrace(PTRACE_PEEKTEXT, t->pid, palloc_at(t->p, i), NULL);
		expect(!errno && (word & 0xff) == NOP);
		word = (word & ~0xffL) | INT3;
		if (!expect(!ptrace(PTRACE_POKETEXT, t->pid, palloc_at(t->p, i), (void *)word)))
			break;
	}
	expect(!ptrace(PTRACE_DETACH, t->pid, NULL, NULL));
}

static void write_mem(const struct target *t)
{
	char path[64];
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (!expect(fd >= 0))
		return;
	for (i = 0; i < t->pages; i++)
		if (!expect(pwrite(fd, "x", 1, (uintptr_t)palloc_at(t->p, i)) == 1))
			break;
	close(fd);
}

/* What the owner has opened. */
static int get_fd(const struct target *t)
{
	int pidfd = syscall(__NR_pidfd_open, t->pid, 0);
	int fd = syscall(__NR_pidfd_getfd, pidfd, t->fd, 0);

	if (!expect(fd >= 0))
		palloc_note("pidfd_getfd: %s", strerror(errno));
	close(pidfd);
	return fd;
}

static void copy_uffd(const struct target *t, const void *from)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)t->p,
		.src = (uintptr_t)from,
		.len = t->pages * palloc_page_size,
	};
	int fd = get_fd(t);

	expect(!ioctl(fd, UFFDIO_COPY, &copy) && copy.copy == (__s64)copy.len);
	close(fd);
}

static void write_uffd(const struct target *t)
{
	copy_uffd(t, palloc_alloc(t->pages, 0));
}

/*
 * The source has to be faulted in, for which the kernel lets go of the owner's
 * memory: it already has a page for it then.
 */
static void write_uffd_late(const struct target *t)
{
	copy_uffd(t, palloc_map_pages(t->pages, 0));
}

static void write_uffd_zeropage(const struct target *t)
{
	struct uffdio_zeropage zero = {
		.range.start = (uintptr_t)t->p,
		.range.len = t->pages * palloc_page_size,
	};
	int fd = get_fd(t);

	expect(!ioctl(fd, UFFDIO_ZEROPAGE, &zero) && zero.zeropage == (__s64)zero.range.len);
	close(fd);
	write_vm(t);
}

static void write_ring(const struct target *t)
{
	int fd = get_fd(t);
	char *ring = mmap(NULL, palloc_page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  IORING_OFF_SQ_RING);

	if (!expect(ring != MAP_FAILED))
		return;
	__atomic_store_n((unsigned int *)(ring + t->tail), t->pages, __ATOMIC_SEQ_CST);
	expect(syscall(__NR_io_uring_enter, fd, 0, (unsigned int)t->pages,
		       IORING_ENTER_SQ_WAKEUP | IORING_ENTER_GETEVENTS, NULL, 0UL) == 0);
	munmap(ring, palloc_page_size);
	close(fd);
}

static void write_uprobes(const struct target *t)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.uprobe_path = (uintptr_t)t->path,
	};
	char type[16];
	size_t i;

	if (!expect(palloc_file_read(UPROBE_TYPE, type, sizeof(type)) > 0))
		return;
	attr.type = atoi(type);
	/* They stay until this process ends. */
	for (i = 0; i < t->pages; i++) {
		attr.probe_offset = i * palloc_page_size;
		if (!expect(syscall(__NR_perf_event_open, &attr, t->pid, -1, -1,
				    PERF_FLAG_FD_CLOEXEC) >= 0))
			return;
	}
}

static void write_device(const struct target *t)
{
	int fd = get_fd(t);

	expect(hmm(fd, HMM_DMIRROR_WRITE, t->p, t->pages));
	close(fd);
}

static void write_migrate(const struct target *t)
{
	int fd = get_fd(t);

	expect(hmm(fd, HMM_DMIRROR_MIGRATE_TO_SYS, t->p, t->pages));
	close(fd);
}

static void write_attach(const struct target *t)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = t->ioas,
	};
	int fd = get_fd(t);

	expect(!ioctl(fd, IOMMU_TEST_CMD, &cmd));
	close(fd);
}

static const struct method methods[] = {
	{ "process_vm_writev", map_anon, write_vm, NULL },
	{ "ptrace", map_anon, write_ptrace, NULL },
	{ "/proc/PID/mem", map_anon, write_mem, NULL },
	{ "UFFDIO_COPY", map_uffd, write_uffd, NULL },
	{ "UFFDIO_COPY of untouched memory", map_uffd, write_uffd_late, NULL },
	{ "UFFDIO_ZEROPAGE and a write", map_uffd, write_uffd_zeropage, NULL },
	{ "io_uring, IORING_SETUP_SQPOLL", map_sqpoll, write_ring, NULL },
	{ "io_uring, IOSQE_ASYNC", map_iowq, write_ring, NULL },
	{ "breakpoints in text", map_text, write_breakpoints, NULL },
	{ "uprobes", map_text, write_uprobes, NULL },
	{ "a device writes", map_mirrored, write_device, HMM },
	{ "a device's memory, brought back", map_migrated, write_migrate, HMM },
	{ "a device's memory, page faults", map_migrated, write_vm, HMM },
	{ "an IOMMU maps", map_iommu, write_attach, IOMMU },
};

/* One of them, with an owner and a writer of some kind. */
struct remote {
	const struct method *method;
	bool group;			/* the owner is in a cgroup with OWNER */
	bool region;			/* the memory is a region with REGION */
	bool writer;			/* the writer is in a cgroup with WRITER */
	struct target *t;
};

static const char *owners_list(const struct remote *r)
{
	if (r->region)
		return REGION;
	return r->group ? OWNER : NULL;
}

static void owns(const void *arg)
{
	const struct remote *r = arg;

	r->t->pid = getpid();
	if (r->region && palloc_set_colors(REGION))
		palloc_bail("set_color_map: %s", strerror(errno));
	r->method->map(r->t, r->region ? MAP_PALLOC : 0);
	waits(r->t);
}

/* Its pages are all there, and show at least half of the colors. */
static bool mixed(const struct target *t)
{
	static struct palloc_hist hist;
	unsigned int i, seen = 0;

	palloc_count(t->pid, t->p, t->pages, &hist);
	for (i = 0; i < palloc_bins(&palloc_map); i++)
		seen += hist.n[i] != 0;
	return hist.pages == t->pages && seen >= palloc_bins(&palloc_map) / 2;
}

static void writes(const void *arg)
{
	const struct remote *r = arg;
	const char *list = owners_list(r);
	static struct palloc_hist hist;
	void *own;

	/* Nothing of it is there yet. */
	expect(palloc_count(r->t->pid, r->t->p, r->t->pages, &hist) == 0);
	r->method->write(r->t);
	if (list)
		expect(palloc_pure_pid(r->t->pid, r->t->p, r->t->pages, list));
	else
		expect(mixed(r->t));
	/* And the writer goes on with its own colors. */
	own = palloc_alloc(PAGES, 0);
	if (r->writer)
		expect(palloc_pure(own, PAGES, WRITER));
}

static void test_remote(const void *arg)
{
	struct remote r = *(const struct remote *)arg;
	const char *owner = NULL, *writer = NULL;
	pid_t pid;

	palloc_setup_mask(0xf000);
	r.t = palloc_shared(1);
	r.t->pages = owners_list(&r) ? PAGES : PALLOC_MANY;
	if (r.group)
		owner = palloc_cg_with(NULL, "owner", OWNER);
	if (r.writer)
		writer = palloc_cg_with(NULL, "writer", WRITER);
	pid = palloc_spawn(owner, owns, &r);
	while (!__atomic_load_n(&r.t->ready, __ATOMIC_ACQUIRE) && !waitpid(pid, NULL, WNOHANG))
		usleep(1000);
	if (expect(r.t->ready))
		expect(palloc_run_in(writer, writes, &r));
	palloc_kill(pid);
	if (r.t->path[0])
		unlink(r.t->path);
	expect(palloc_fallbacks() == 0);
	palloc_free(r.t, 1);
}

/* Pages pinned for long, by the owner itself */

struct pin {
	const char *list;
	void *shared;			/* pages that are the parent's, too */
	bool region;
	bool device;			/* pages are in a device's memory first */
	void (*fn)(void *p);
};

static void pin_uring(void *p)
{
	int fd = palloc_pin_pages(p, PAGES);

	if (expect(fd >= 0))
		close(fd);
}

/* For reading: takes a page that is shared away from the others, unwritten. */
static void pin_read(void *p)
{
	struct pin_longterm_test pin = {
		.addr = (uintptr_t)p,
		.size = PAGES * palloc_page_size,
	};
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		palloc_bail("gup_test (CONFIG_GUP_TEST): %s", strerror(errno));
	if (expect(!ioctl(fd, PIN_LONGTERM_TEST_START, &pin)))
		expect(!ioctl(fd, PIN_LONGTERM_TEST_STOP));
	close(fd);
}

static void pins(const void *arg)
{
	const struct pin *pin = arg;
	void *p = pin->shared;

	if (pin->region)
		expect(palloc_set_colors(pin->list) == 0);
	if (pin->device) {
		p = palloc_alloc(PAGES, pin->region ? MAP_PALLOC : 0);
		/* CPUs can use it, so that it stays mapped. */
		expect(hmm(open_hmm(HMM_COHERENT), HMM_DMIRROR_MIGRATE_TO_DEV, p, PAGES));
		expect(!palloc_pure(p, PAGES, pin->list));
	} else if (!p) {
		p = palloc_map_pages(PAGES, pin->region ? MAP_PALLOC : 0);
		pin->fn(p);
		expect(palloc_pure(p, PAGES, pin->list));
		p = palloc_map_pages(PAGES, pin->region ? MAP_PALLOC : 0);
		/* The page of zeroes. */
		expect(madvise(p, PAGES * palloc_page_size, MADV_POPULATE_READ) == 0);
		expect(palloc_seen(p, PAGES) == 0);
	}
	pin->fn(p);
	expect(palloc_pure(p, PAGES, pin->list));
}

static void test_pin(const void *arg)
{
	struct pin pin = *(const struct pin *)arg;
	const char *cg = palloc_setup_cg("pins", OWNER);
	void *p;

	pin.list = pin.region ? REGION : OWNER;
	expect(palloc_run_in(cg, pins, &pin));
	if (pin.device) {
		expect(palloc_fallbacks() == 0);
		return;
	}
	/* Copies of pages that are shared since fork(). */
	p = palloc_map_pages(PAGES, pin.region ? MAP_PALLOC : 0);
	madvise(p, PAGES * palloc_page_size, MADV_NOHUGEPAGE);
	palloc_touch(p, PAGES);
	pin.shared = p;
	expect(palloc_run_in(cg, pins, &pin));
	expect(palloc_fallbacks() == 0);
	palloc_free(p, PAGES);
}

static const struct pin uring_region = { .fn = pin_uring, .region = true };
static const struct pin read_region = { .fn = pin_read, .region = true };
static const struct pin device_group = { .fn = pin_read, .device = true };
static const struct pin device_region = { .fn = pin_read, .device = true, .region = true };

static const struct palloc_test pin_tests[] = {
	{ "io_uring's buffers: cgroup", test_pin, &(const struct pin){ .fn = pin_uring } },
	{ "io_uring's buffers: region", test_pin, &uring_region },
	{ "pinned for reading: cgroup", test_pin, &(const struct pin){ .fn = pin_read } },
	{ "pinned for reading: region", test_pin, &read_region },
	/* Where a device has such memory. */
	{ "a device's memory, pinned: cgroup", test_pin, &device_group },
	{ "a device's memory, pinned: region", test_pin, &device_region },
};

static const struct kind {
	const char *name;
	bool group, region, writer;
} kinds[] = {
	{ "cgroup", true, false, false },
	{ "cgroup, colored writer", true, false, true },
	{ "region", false, true, false },
	{ "region in a cgroup, colored writer", true, true, true },
	{ "no colors, colored writer", false, false, true },
};

#define REMOTES	(ARRAY_SIZE(methods) * ARRAY_SIZE(kinds))

/* Each method with each kind of owner and writer. */
int main(void)
{
	static struct palloc_test tests[REMOTES + ARRAY_SIZE(pin_tests)];
	static struct remote remotes[REMOTES];
	static char names[REMOTES][80];
	unsigned int i, j, n = 0;

	for (i = 0; i < ARRAY_SIZE(methods); i++) {
		if (methods[i].device && access(methods[i].device, F_OK))
			continue;
		for (j = 0; j < ARRAY_SIZE(kinds); j++) {
			const struct kind *k = &kinds[j];

			/* Text that has no colors takes many more pages to tell. */
			if (methods[i].map == map_text && !k->group && !k->region)
				continue;
			snprintf(names[n], sizeof(names[n]), "%s: %s", methods[i].name, k->name);
			remotes[n] = (struct remote){
				.method = &methods[i],
				.group = k->group,
				.region = k->region,
				.writer = k->writer,
			};
			tests[n] = (struct palloc_test){ names[n], test_remote, &remotes[n] };
			n++;
		}
	}
	for (i = 0; i < ARRAY_SIZE(pin_tests); i++) {
		const struct pin *pin = pin_tests[i].arg;

		if (!pin->device || !access(HMM_COHERENT, F_OK))
			tests[n++] = pin_tests[i];
	}
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	palloc_run_tests(tests, n);
}
