// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that pages of files and of shared memory that a colored cgroup brings in
 * are of its bins: of a file system on a disk, by read and by page fault, with
 * readahead, and by write; of tmpfs, memfd, shared anonymous and System V memory;
 * those of shared MAP_PALLOC regions of the region's colors; as huge pages where
 * the bins permit it, and larger folios of a file system. That pages that are there
 * stay; that running out of a color is counted, and is no error; that others are
 * not affected; that what uses the page of zeroes gets its color with the first
 * write; what is refused; and that files without a page cache, and devices, are.
 */
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "palloc_util.h"

#define PAGES		256
#define HUGE		(HUGE_SIZE / palloc_page_size)
#define BINS		"0-3"
#define DISK_BLOCKS	8192	/* of 1024 bytes */
#define LARGE		1536	/* more pages than a bin has, but fewer than the disk */
#define FEW		64
#define SHMEM_HUGE	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"
#define BLOCK		4096	/* of a file system with large folios */
#define PMEM		"/dev/pmem0"
#define DEVICE		"/dev/hmm_dmirror0"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static char dir[32];

/* Maps a file and looks at all of its pages, of which none is to be missing. */
static void *map_all(int fd, size_t pages)
{
	void *p = mmap(NULL, pages * palloc_page_size, PROT_READ, MAP_SHARED, fd, 0);
	size_t i, sum = 0;

	if (p == MAP_FAILED)
		palloc_bail("mmap: %s", strerror(errno));
	for (i = 0; i < pages; i++)
		sum += *palloc_at(p, i);
	expect(sum == pages * 'f');
	return p;
}

static bool file_pure(int fd, size_t pages, const char *list)
{
	void *p = map_all(fd, pages);
	bool pure = palloc_pure_any(p, pages, list);

	palloc_free(p, pages);
	return pure;
}

static void write_all(int fd, size_t pages)
{
	static char buf[4096];
	size_t i;

	memset(buf, 'f', sizeof(buf));
	for (i = 0; i < pages * palloc_page_size; i += sizeof(buf))
		if (write(fd, buf, sizeof(buf)) != sizeof(buf))
			palloc_bail("write: %s", strerror(errno));
}

static bool read_all(int fd, size_t pages)
{
	char buf[4096];
	size_t i;

	for (i = 0; i < pages * palloc_page_size; i += sizeof(buf))
		if (pread(fd, buf, sizeof(buf), i) != sizeof(buf) || buf[100] != 'f')
			return false;
	return true;
}

static int open_in(const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		palloc_bail("%s: %s", path, strerror(errno));
	return fd;
}

/* Not in the page cache any more. */
static void drop(int fd)
{
	/* What can't be written to can't be synced. */
	if ((fsync(fd) && errno != EINVAL) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		palloc_note("dropping a file: %s", strerror(errno));
}

static const char *colored_cg(void)
{
	const char *cg = palloc_cg_new(NULL, "cache");

	expect(palloc_cg_bins(cg, BINS) == 0);
	return cg;
}

/* A file system on a disk */

/*
 * As mkfs.minix does, version 1 with names of 14 characters: a block for nothing,
 * the superblock, a block for each of the bitmaps of inodes and zones, two of
 * inodes, and the root directory.
 */
static void make_minix(int fd)
{
	static unsigned char fs[7 * 1024];
	struct {
		__u16 ninodes, nzones, imap_blocks, zmap_blocks, first_zone, log_size;
		__u32 max_size;
		__u16 magic, state;
	} super = { 64, DISK_BLOCKS, 1, 1, 6, 0, 7 << 20, 0x137f, 1 };
	struct {
		__u16 mode, uid;
		__u32 size, time;
		__u8 gid, nlinks;
		__u16 zone[9];
	} root = { S_IFDIR | 0755, 0, 32, 0, 0, 2, { 6 } };

	memset(fs, 0, sizeof(fs));
	memcpy(fs + 1024, &super, sizeof(super));
	fs[2048] = 3;
	fs[3072] = 3;
	memcpy(fs + 4096, &root, sizeof(root));
	memcpy(fs + 6144, "\1\0.", 3);
	memcpy(fs + 6160, "\1\0..", 4);
	if (write(fd, fs, sizeof(fs)) != sizeof(fs))
		palloc_bail("making a file system: %s", strerror(errno));
}

static void reads_disk(const void *arg)
{
	int fd = open_in("read", O_RDONLY);

	expect(read_all(fd, PAGES));
	expect(file_pure(fd, PAGES, BINS));
	close(fd);
	fd = open_in("fault", O_RDONLY);
	expect(file_pure(fd, PAGES, BINS));
	close(fd);
	/* Readahead, of which nobody waits for the end. */
	fd = open_in("ahead", O_RDONLY);
	expect(readahead(fd, 0, PAGES * palloc_page_size) == 0);
	expect(file_pure(fd, PAGES, BINS));
	close(fd);
	fd = open_in("write", O_RDWR | O_CREAT);
	write_all(fd, PAGES);
	expect(file_pure(fd, PAGES, BINS));
	close(fd);
}

static void reads_disk_any(const void *arg)
{
	int fd = open_in("read", O_RDONLY);

	expect(read_all(fd, PAGES));
	close(fd);
}

static bool mount_loop(int backing, const char *type, unsigned long flags)
{
	char path[32];
	int writable = palloc_loop_add(backing, 512, 0, path);
	int disk = writable < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);

	close(backing);
	/* Newer kernels may mount nothing that is open for writing. */
	close(writable);
	if (disk < 0 || mount(path, dir, type, flags, NULL)) {
		palloc_skip("no loop device or no such file system");
		return false;
	}
	close(disk);
	return true;
}

static bool mount_disk(void)
{
	int backing = memfd_create("disk", MFD_CLOEXEC);

	if (ftruncate(backing, DISK_BLOCKS * 1024))
		palloc_bail("memfd: %s", strerror(errno));
	make_minix(backing);
	return mount_loop(backing, "minix", 0);
}

static void test_disk(const void *arg)
{
	static const char *const files[] = { "read", "fault", "ahead" };
	const char *cg;
	unsigned int i;
	__u64 before[2];
	void *p, *soak;
	int fd;

	if (!mount_disk())
		return;
	palloc_setup_mask(0xf000);
	cg = colored_cg();
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open_in(files[i], O_RDWR | O_CREAT);
		write_all(fd, PAGES);
		drop(fd);
		close(fd);
	}
	expect(palloc_run_in(cg, reads_disk, NULL));
	expect(palloc_fallbacks() == 0);

	/* Pages that are there are not replaced, by neither. */
	fd = open_in("read", O_RDONLY);
	expect(palloc_run_in(NULL, reads_disk_any, NULL));
	expect(file_pure(fd, PAGES, BINS));
	drop(fd);
	soak = palloc_soak();
	p = map_all(fd, 1);
	palloc_free(p, 1);
	expect(palloc_run_in(NULL, reads_disk_any, NULL));
	p = map_all(fd, PAGES);
	palloc_free(soak, PALLOC_MANY);
	before[0] = palloc_any_pfn(p);
	before[1] = palloc_any_pfn(palloc_at(p, PAGES - 1));
	expect(palloc_run_in(cg, reads_disk_any, NULL));
	expect(before[0] && palloc_any_pfn(p) == before[0]);
	expect(before[1] && palloc_any_pfn(palloc_at(p, PAGES - 1)) == before[1]);
	expect(!palloc_pure_any(p, PAGES, BINS));
	palloc_free(p, PAGES);
	close(fd);
	expect(umount(dir) == 0);
}

/* A file that is larger than what there is of the color is not in its way. */
static void reads_large(const void *arg)
{
	int fd = open_in("large", O_RDONLY);
	void *p;

	palloc_steady();
	expect(read_all(fd, LARGE));
	expect(palloc_fallbacks() > 0);
	p = palloc_map_pages(FEW, 0);
	expect(palloc_try_touch(p, FEW, NULL) == FEW);
	expect(palloc_pure(p, FEW, "5"));
	palloc_free(p, FEW);
	close(fd);
}

static void test_large(const void *arg)
{
	const char *cg;
	int fd;

	if (!mount_disk())
		return;
	palloc_setup_mask(((1ULL << (palloc_max_bits - 1)) - 1) << 12);
	cg = palloc_cg_with(NULL, "cache", "5");
	expect(palloc_cg_write(cg, "palloc.policy", "strict") == 0);
	fd = open_in("large", O_RDWR | O_CREAT);
	write_all(fd, LARGE);
	drop(fd);
	close(fd);
	expect(palloc_run_in(cg, reads_large, NULL));
	expect(palloc_cg_event(cg, "failed") == 0);
	expect(umount(dir) == 0);
}

/*
 * As mkfs.erofs does, a file system of one file: a block for the superblock, one for
 * inodes, and one for the root directory come first.
 */
static void make_erofs(int fd, size_t pages)
{
	static unsigned char fs[3 * BLOCK];
	struct {
		__u32 magic, checksum, features;
		__u8 block_bits, more;
		__u16 root;
		__u64 ninodes, time;
		__u32 nsec, nblocks, inodes;
	} super = { 0xe0f5e1e2, 0, 0, 12, 0, 1, 2, 0, 0, 3 + pages, 1 };
	struct {
		__u16 format, nxattrs, mode, nlinks;
		__u32 size, reserved, block, ino;
		__u16 uid, gid;
		__u32 reserved2;
	} inodes[] = {
		{ 0 },
		{ 0, 0, S_IFDIR | 0755, 2, 43, 0, 2, 1, 0, 0, 0 },
		{ 0, 0, S_IFREG | 0644, 1, pages * BLOCK, 0, 3, 2, 0, 0, 0 },
	};
	struct {
		__u32 inode, inode_high;
		__u16 name;
		__u8 type, reserved;
	} entries[] = { { 1, 0, 36, 2, 0 }, { 1, 0, 37, 2, 0 }, { 2, 0, 39, 1, 0 } };

	memset(fs, 0, sizeof(fs));
	memcpy(fs + 1024, &super, sizeof(super));
	memcpy(fs + BLOCK, inodes, sizeof(inodes));
	memcpy(fs + 2 * BLOCK, entries, sizeof(entries));
	memcpy(fs + 2 * BLOCK + sizeof(entries), "...file", 7);
	if (write(fd, fs, sizeof(fs)) != sizeof(fs))
		palloc_bail("making a file system: %s", strerror(errno));
	write_all(fd, pages);
}

struct huge {
	__u64 mask;
	bool allowed;
};

static size_t count_large(void *p, size_t pages)
{
	size_t i, n = 0;

	for (i = 0; i < pages; i++)
		n += palloc_is_large(palloc_at(p, i));
	return n;
}

/* Reads a file, and once more by page faults; the most of it that is in large folios. */
static size_t reads_folios(size_t pages, const char *list)
{
	int fd = open_in("file", O_RDONLY);
	size_t read, mapped;
	void *p;

	drop(fd);
	expect(read_all(fd, pages));
	p = map_all(fd, pages);
	read = count_large(p, pages);
	expect(!list || palloc_pure_any(p, pages, list));
	palloc_free(p, pages);
	drop(fd);
	p = mmap(NULL, pages * palloc_page_size, PROT_READ, MAP_SHARED, fd, 0);
	madvise(p, pages * palloc_page_size, MADV_HUGEPAGE);
	expect(madvise(p, pages * palloc_page_size, MADV_POPULATE_READ) == 0);
	mapped = count_large(p, pages);
	expect(!list || palloc_pure_any(p, pages, list));
	palloc_free(p, pages);
	close(fd);
	palloc_note("%zu and %zu of %zu pages are in large folios", read, mapped, pages);
	return read < mapped ? read : mapped;
}

static void reads_large_folios(const void *arg)
{
	const struct huge *huge = arg;
	const size_t pages = 4 * HUGE;
	size_t large = reads_folios(pages, BINS);

	if (huge->allowed)
		expect(large > pages / 2);
}

static void test_folios(const void *arg)
{
	int backing = memfd_create("disk", MFD_CLOEXEC);
	const struct huge *huge = arg;
	const size_t pages = 4 * HUGE;

	make_erofs(backing, pages);
	if (!mount_loop(backing, "erofs", MS_RDONLY))
		return;
	palloc_setup_mask(huge->mask);
	palloc_tidy_memory();
	expect(reads_folios(pages, NULL) > pages / 2);
	expect(palloc_run_in(colored_cg(), reads_large_folios, huge));
	expect(palloc_fallbacks() == 0);
	expect(umount(dir) == 0);
}

/* Memory that has no other file */

enum kind { TMPFS, MEMFD, ALLOCATED, ANON, SYSV, ZERO, NR_KINDS };

struct use {
	const char *list;	/* colors, or NULL for any */
	size_t pages;
};

static void *map_kind(enum kind kind, size_t pages)
{
	const size_t size = pages * palloc_page_size;
	int fd = -1, id;
	void *p;

	switch (kind) {
	case TMPFS:
		fd = open_in("file", O_RDWR | O_CREAT | O_TRUNC);
		write_all(fd, pages);
		break;
	case MEMFD:
		fd = memfd_create("palloc", MFD_CLOEXEC);
		if (ftruncate(fd, size))
			palloc_bail("memfd: %s", strerror(errno));
		break;
	case ALLOCATED:
		fd = memfd_create("palloc", MFD_CLOEXEC);
		if (fallocate(fd, 0, 0, size))
			palloc_bail("memfd: %s", strerror(errno));
		break;
	case ZERO:
		fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
		break;
	case SYSV:
		id = shmget(IPC_PRIVATE, size, 0600);
		p = shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL);
		goto touch;
	default:
		break;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (fd >= 0)
		close(fd);
touch:
	if (p == (void *)-1)
		palloc_bail("mapping of kind %d: %s", kind, strerror(errno));
	palloc_touch(p, pages);
	return p;
}

static void uses_shmem(const void *arg)
{
	const struct use *use = arg;
	enum kind kind;
	void *p;

	for (kind = 0; kind < NR_KINDS; kind++) {
		p = map_kind(kind, use->pages);
		/* Enough of them are of more colors than a few. */
		if (use->list ? !palloc_pure_any(p, use->pages, use->list) :
				palloc_pure_any(p, use->pages, BINS)) {
			palloc_note("kind %d", kind);
			expect(use->list ? !"pure" : !"mixed");
		}
		munmap(p, use->pages * palloc_page_size);
	}
}

static void test_shmem(const void *arg)
{
	static const struct use colored = { BINS, PAGES }, plain = { NULL, PALLOC_MANY };
	const char *cg;

	if (mount("tmpfs", dir, "tmpfs", 0, NULL))
		palloc_bail("tmpfs: %s", strerror(errno));
	palloc_setup_mask(0xf000);
	cg = colored_cg();
	expect(palloc_run_in(cg, uses_shmem, &colored));
	expect(palloc_run_in(NULL, uses_shmem, &plain));
	expect(palloc_run_in(cg, uses_shmem, &colored));
	expect(palloc_fallbacks() == 0);
	expect(umount(dir) == 0);
}

/* Whoever answers the page faults of a mapping, the colors are those of its owner. */
struct fault {
	int uffd;
	char *p;
};

static void answers(const void *arg)
{
	const struct fault *f = arg;
	struct uffdio_copy copy = {
		.dst = (uintptr_t)f->p,
		.src = (uintptr_t)palloc_alloc(PAGES, 0),
		.len = PAGES * palloc_page_size,
	};

	expect(!ioctl(f->uffd, UFFDIO_COPY, &copy) && copy.copy == (__s64)copy.len);
}

static void is_answered(const void *arg)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	const char *const by[] = { palloc_cg_root(), arg };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(by); i++) {
		struct fault f = { .uffd = syscall(__NR_userfaultfd, O_CLOEXEC) };
		struct uffdio_api api = { .api = UFFD_API };

		f.p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (f.uffd < 0 || f.p == MAP_FAILED || ioctl(f.uffd, UFFDIO_API, &api))
			palloc_bail("userfaultfd: %s", strerror(errno));
		reg.range.start = (uintptr_t)f.p;
		reg.range.len = PAGES * palloc_page_size;
		if (ioctl(f.uffd, UFFDIO_REGISTER, &reg))
			palloc_bail("UFFDIO_REGISTER: %s", strerror(errno));
		expect(palloc_run_in(by[i], answers, &f));
		close(f.uffd);
		expect(palloc_pure_any(f.p, PAGES, BINS));
	}
}

/* Moves where there are no pages for it, and touches shared memory there. */
static void fails_never(const void *arg)
{
	void *p, *q;

	palloc_steady();
	p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	q = palloc_map_pages(1, 0);
	expect(palloc_cg_move(arg, 0) == 0);
	expect(palloc_try_touch(p, PAGES, NULL) == PAGES);
	expect(palloc_try_touch(q, 1, NULL) == 0);
}

static void region_fails_never(const void *arg)
{
	void *p, *q;

	expect(palloc_set_color(4) == 0);
	expect(palloc_policy(PR_PALLOC_STRICT) == 0);
	p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_PALLOC, -1, 0);
	q = palloc_map_pages(1, MAP_PALLOC);
	expect(palloc_try_touch(p, PAGES, NULL) == PAGES);
	expect(palloc_try_touch(q, 1, NULL) == 0);
}

/* There are no pages of colors 4 to 7. */
static void test_runs_out(const void *arg)
{
	const char *cg;

	palloc_setup_text(PALLOC_MAP_GONE);
	cg = palloc_cg_new(NULL, "cache");
	expect(palloc_cg_bins_gone(cg, "4") == 0);
	expect(palloc_cg_write(cg, "palloc.policy", "strict") == 0);
	expect(palloc_run_in(NULL, fails_never, cg));
	expect(palloc_cg_event(cg, "fallback") == PAGES);
	expect(palloc_cg_event(cg, "failed") > 0);
}

static void test_region_runs_out(const void *arg)
{
	palloc_setup_text(PALLOC_MAP_GONE);
	expect(palloc_run_in(NULL, region_fails_never, NULL));
	expect(palloc_fallbacks() == PAGES);
}

/* Shared MAP_PALLOC regions */

static void touches_rest(const void *arg)
{
	void *p = (void *)arg;

	palloc_touch(palloc_at(p, PAGES), PAGES);
	expect(palloc_set_color(6) == 0);
	palloc_touch(palloc_at(p, 2 * PAGES), PAGES);
}

static void test_region(const void *arg)
{
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(5) == 0);
	p = mmap(NULL, 3 * PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_PALLOC, -1, 0);
	if (!expect(p != MAP_FAILED))
		return;
	expect(palloc_vm_flag(p, "pa"));
	palloc_touch(p, PAGES);
	expect(palloc_run_in(NULL, touches_rest, p));
	palloc_touch(p, 3 * PAGES);
	expect(palloc_pure_any(p, 2 * PAGES, "5"));
	expect(palloc_pure_any(palloc_at(p, 2 * PAGES), PAGES, "6"));
	palloc_free(p, 3 * PAGES);
	expect(palloc_fallbacks() == 0);
}

static void region_in_cg(const void *arg)
{
	void *p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_PALLOC, -1, 0);

	/* Without colors of its own it has the cgroup's. */
	palloc_touch(p, PAGES / 2);
	expect(palloc_pure_any(p, PAGES / 2, BINS));
	expect(palloc_set_color(9) == 0);
	palloc_touch(palloc_at(p, PAGES / 2), PAGES / 2);
	expect(palloc_pure_any(palloc_at(p, PAGES / 2), PAGES / 2, "9"));
}

/* Huge pages */

static void uses_huge(const void *arg)
{
	const struct huge *huge = arg;
	const size_t pages = 4 * HUGE;
	int fd = memfd_create("huge", MFD_CLOEXEC);
	char *p;

	if (ftruncate(fd, pages * palloc_page_size))
		palloc_bail("memfd: %s", strerror(errno));
	p = mmap(NULL, pages * palloc_page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	palloc_touch(p, pages);
	expect(palloc_pure_any(p, pages, BINS));
	expect(palloc_is_huge(p) == huge->allowed);
	/* Nobody makes a huge page of any color of them either. */
	if (!huge->allowed) {
		expect(palloc_cg_move(palloc_cg_root(), 0) == 0);
		expect(madvise(p, pages * palloc_page_size, MADV_COLLAPSE) == -1 &&
		       errno == EINVAL);
		palloc_touch(p, pages);
		expect(palloc_pure_any(p, pages, BINS));
	}
}

static void test_huge(const void *arg)
{
	const struct huge *huge = arg;

	if (!palloc_keep(SHMEM_HUGE) || palloc_file_write(SHMEM_HUGE, "always", 6)) {
		palloc_skip("no huge pages of shared memory");
		return;
	}
	palloc_setup_mask(huge->mask);
	palloc_tidy_memory();
	expect(palloc_run_in(colored_cg(), uses_huge, huge));
	expect(palloc_fallbacks() == 0);
}

/* Reads of what was never written to */

static void reads_zeroes(const void *arg)
{
	const char *list = arg;
	const size_t pages = 2 * HUGE;
	unsigned long sum = 0;
	size_t i;
	char *p;

	if (!palloc_set_color(2))
		list = "2";
	p = palloc_map_pages(pages, MAP_PALLOC);
	for (i = 0; i < pages; i++)
		sum += *palloc_at(p, i);
	expect(sum == 0);
	expect(palloc_zeroes(p, pages) == pages);
	expect(palloc_fallbacks() == 0);
	/* One page, then all. */
	p[0] = 1;
	expect(palloc_pure(p, 1, list));
	expect(palloc_zeroes(p, pages) == pages - 1);
	palloc_touch(p, pages);
	expect(palloc_pure(p, pages, list));
}

static void test_zero(const void *arg)
{
	palloc_setup_mask(0xf000);
	expect(palloc_run_in(colored_cg(), reads_zeroes, BINS));
	expect(palloc_run_in(NULL, reads_zeroes, BINS));
}

/* What is refused, and what is not */

static bool maps(int fd, int flags)
{
	void *p = mmap(NULL, palloc_page_size, PROT_READ | PROT_WRITE, flags | MAP_PALLOC, fd, 0);

	if (p == MAP_FAILED)
		return false;
	palloc_free(p, 1);
	return true;
}

static void test_refused(const void *arg)
{
	struct io_uring_params params = { 0 };
	int fd;
	void *p;

	palloc_setup_mask(0xf000);
	expect(palloc_set_color(5) == 0);
	fd = memfd_create("palloc", MFD_CLOEXEC);
	expect(ftruncate(fd, palloc_page_size) == 0);
	expect(maps(fd, MAP_PRIVATE));
	expect(!maps(fd, MAP_SHARED) && errno == EINVAL);
	expect(!maps(fd, MAP_SHARED_VALIDATE) && errno == EINVAL);
	close(fd);

	/* What a device has made anonymous memory is that. */
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	expect(!maps(fd, MAP_SHARED) && errno == EINVAL);
	p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_PALLOC, fd, 0);
	if (expect(p != MAP_FAILED)) {
		palloc_touch(p, PAGES);
		expect(palloc_pure(p, PAGES, "5"));
		palloc_free(p, PAGES);
	}
	close(fd);

	/* Neither a regular file nor anonymous. */
	fd = syscall(__NR_io_uring_setup, 1, &params);
	if (expect(fd >= 0)) {
		expect(!maps(fd, MAP_PRIVATE) && errno == EINVAL);
		expect(!maps(fd, MAP_SHARED) && errno == EINVAL);
		p = mmap(NULL, palloc_page_size, PROT_READ, MAP_PRIVATE, fd, 0);
		expect(p != MAP_FAILED);
		close(fd);
	}
}

/* Files on memory, and devices */

static void maps_dax(const void *arg)
{
	int fd = open_in("file", O_RDONLY);
	size_t i, here = 0;
	void *p;

	/* The file's own pages, one after the other. */
	p = map_all(fd, PAGES);
	for (i = 0; i < PAGES; i++)
		here += palloc_any_pfn(palloc_at(p, i)) == palloc_any_pfn(p) + i;
	expect(palloc_any_pfn(p) && here == PAGES);
	palloc_free(p, PAGES);
	expect(!maps(fd, MAP_PRIVATE) && errno == EINVAL);

	/* Copies of them are as any. */
	p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	expect(madvise(p, PAGES / 2 * palloc_page_size, MADV_POPULATE_READ) == 0);
	palloc_touch(p, PAGES);
	expect(palloc_pure(p, PAGES, BINS));
	palloc_free(p, PAGES);
	close(fd);
}

static void test_dax(const void *arg)
{
	int fd = open(PMEM, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		palloc_bail("%s: %s", PMEM, strerror(errno));
	make_erofs(fd, PAGES);
	if (fsync(fd) || close(fd) || mount(PMEM, dir, "erofs", MS_RDONLY, "dax=always"))
		palloc_bail("erofs on %s: %s", PMEM, strerror(errno));
	palloc_setup_mask(0xf000);
	expect(palloc_run_in(colored_cg(), maps_dax, NULL));
	expect(palloc_fallbacks() == 0);
	expect(umount(dir) == 0);
}

static void test_device(const void *arg)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	void *p;

	if (fd < 0)
		palloc_bail("%s: %s", DEVICE, strerror(errno));
	palloc_setup_mask(0xf000);
	expect(palloc_set_color(5) == 0);
	p = mmap(NULL, palloc_page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	expect(p != MAP_FAILED);
	expect(!maps(fd, MAP_PRIVATE) && errno == EINVAL);
	expect(!maps(fd, MAP_SHARED) && errno == EINVAL);
	close(fd);
}

static const struct huge no_huge = { 0xf000, false };
static const struct huge has_huge = { 0x1e00000, true };

static const struct palloc_test tests[] = {
	{ "a file system on a disk", test_disk, NULL },
	{ "a file larger than the color", test_large, NULL },
	{ "tmpfs and shared memory", test_shmem, NULL },
	{ "UFFDIO_COPY into shared memory", palloc_test_inside,
	  PALLOC_INSIDE(BINS, "12-15", is_answered) },
	{ "shared memory of a strict cgroup whose color runs out", test_runs_out, NULL },
	{ "a shared region whose color runs out", test_region_runs_out, NULL },
	{ "a shared region and fork", test_region, NULL },
	{ "a shared region in a cgroup", palloc_test_inside,
	  PALLOC_INSIDE(BINS, NULL, region_in_cg) },
	{ "huge pages that the bins do not permit", test_huge, &no_huge },
	{ "huge pages that the bins permit", test_huge, &has_huge },
	{ "large folios that the bins do not permit", test_folios, &no_huge },
	{ "large folios that the bins permit", test_folios, &has_huge },
	{ "the page of zeroes", test_zero, NULL },
	{ "what is refused", test_refused, NULL },
	/* Where there is persistent memory, and a driver for no device */
	{ "files without a page cache", test_dax, NULL },
	{ "a device's own pages", test_device, NULL },
};

static pid_t owner;

/* Children leave by exit(), too, where they give up. */
static void remove_dir(void)
{
	if (getpid() == owner)
		rmdir(dir);
}

int main(void)
{
	unsigned int n = ARRAY_SIZE(tests);

	palloc_init(PALLOC_NEED_CGROUP | PALLOC_NEED_SYSCALLS);
	snprintf(dir, sizeof(dir), "/tmp/palloc_XXXXXX");
	if (!mkdtemp(dir))
		palloc_bail("%s: %s", dir, strerror(errno));
	owner = getpid();
	atexit(remove_dir);
	if (access(PMEM, F_OK) || access(DEVICE, F_OK))
		n -= 2;
	palloc_run_tests(tests, n);
}
