/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the palloc tests and tools share: the debugfs files with save and
 * restore, colors of physical pages, control groups, children, and a small
 * runner on top of kselftest.h.
 *
 * The color arithmetic here is written apart from the kernel's on purpose: a
 * test asks the kernel for pages and computes their colors itself.
 */
#ifndef __PALLOC_UTIL_H
#define __PALLOC_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <linux/palloc.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "../kselftest.h"

#define PALLOC_DIR	"/sys/kernel/debug/palloc"
#define PALLOC_SYSFS	"/sys/kernel/mm/palloc"
#define PALLOC_SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"
#define PALLOC_UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"
/* No memory of a guest is that far up: there are no pages of colors 4 to 7. */
#define PALLOC_MAP_GONE	"12\n13\n40\n"
#define PALLOC_MAX_BITS	10
#define PALLOC_MAX_BINS	1024U
/* A huge page, where pages have 4 KiB. */
#define HUGE_SIZE	(2UL << 20)
/*
 * Pages enough to tell an unrestricted region: the first ones may all be what
 * colored tasks have freed and the (short) per-CPU lists have kept.
 */
#define PALLOC_MANY	4096
#define PALLOC_LONGS	(PALLOC_MAX_BINS / (8 * sizeof(long)))

/* The C library's headers may be older than the kernel's. */
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE	0x100000
#endif
#ifndef __NR_set_color
#define __NR_set_color		(-1)
#define __NR_set_color_map	(-1)
#endif

/* One XOR function of address bits per color bit. */
struct palloc_map {
	unsigned int nbits;
	__u64 fn[PALLOC_MAX_BITS];
};

struct palloc_set {
	unsigned long bits[PALLOC_LONGS];
};

struct palloc_hist {
	unsigned long pages;
	unsigned long n[PALLOC_MAX_BINS];
};

/* The map a test has put in force, and what the kernel was built for. */
extern struct palloc_map palloc_map;
extern unsigned int palloc_max_bits;
extern size_t palloc_page_size;

/* Files. 0 or a length on success, -errno on failure. */
int palloc_file_write(const char *path, const void *buf, size_t len);
ssize_t palloc_file_read(const char *path, char *buf, size_t size);
int palloc_write(const char *file, const void *buf, size_t len);
int palloc_puts(const char *file, const char *text);
ssize_t palloc_gets(const char *file, char *buf, size_t size);
bool palloc_reads(const char *file, const char *want);
int palloc_sys_write(const char *file, const void *buf, size_t len);
int palloc_sys_puts(const char *file, const char *text);
ssize_t palloc_sys_gets(const char *file, char *buf, size_t size);
bool palloc_sys_reads(const char *file, const char *want);

/* Maps and colors. */
bool palloc_map_parse(struct palloc_map *map, const char *text);
bool palloc_map_read(struct palloc_map *map);
void palloc_map_text(const struct palloc_map *map, char *buf, size_t size);
void palloc_map_mask(struct palloc_map *map, __u64 mask);
bool palloc_map_same(const struct palloc_map *a, const struct palloc_map *b);
unsigned int palloc_bins(const struct palloc_map *map);
unsigned int palloc_color(const struct palloc_map *map, __u64 pfn);
unsigned long long palloc_fallbacks(void);
unsigned long long palloc_failures(void);
void palloc_set_parse(struct palloc_set *set, const char *list);
void palloc_set_add(struct palloc_set *set, unsigned int color);
bool palloc_set_has(const struct palloc_set *set, unsigned int color);
unsigned int palloc_set_count(const struct palloc_set *set);

/* Putting a setting in force; these end the program when they cannot. */
void palloc_setup_mask(__u64 mask);
void palloc_setup_text(const char *text);
void palloc_enable(bool on);

/* System calls. */
long palloc_set_color(unsigned int color);
long palloc_set_color_map(const unsigned long *map, unsigned long nbits);
long palloc_set_colors(const char *list);
int palloc_policy(int op);

/*
 * Pages. pid 0 is the caller. But where it says "any", only present anonymous
 * pages count: file pages and the zero page are of no color.
 */
__u64 palloc_pfn(const void *addr);
__u64 palloc_any_pfn(const void *addr);
bool palloc_is_large(const void *addr);
bool palloc_is_folio(const void *addr, size_t pages);
bool palloc_is_huge(const void *addr);
size_t palloc_find_flag(unsigned int flag, __u64 *pfn, size_t max);
void palloc_drain_lru(void);
int palloc_soft_offline(void *addr, __u64 pfn);
int palloc_unpoison(__u64 pfn);
long palloc_count(pid_t pid, const void *addr, size_t pages, struct palloc_hist *hist);
long palloc_count_all(pid_t pid, bool colored_only, struct palloc_hist *hist);
unsigned int palloc_seen(const void *addr, size_t pages);
bool palloc_mixed(const void *addr, size_t pages);
unsigned long palloc_impure(pid_t pid, const void *addr, size_t pages,
			    const char *list, unsigned long *checked);
bool palloc_pure_any(const void *addr, size_t pages, const char *list);
size_t palloc_absent(pid_t pid, const void *addr, size_t pages);
size_t palloc_zeroes(const void *addr, size_t pages);
bool palloc_pure_pid(pid_t pid, const void *addr, size_t pages, const char *list);
bool palloc_pure(const void *addr, size_t pages, const char *list);
bool palloc_process_pure(const char *list, unsigned long want);
bool palloc_vm_flag(const void *addr, const char *flag);
unsigned int palloc_vmas(const void *addr, size_t pages);
void *palloc_map_pages(size_t pages, int flags);
void palloc_touch(void *addr, size_t pages);
void *palloc_alloc(size_t pages, int flags);
void palloc_free(void *addr, size_t pages);
int palloc_pin_pages(void *addr, size_t pages);

/* Where touching pages has ended in a SIGBUS. */
struct palloc_sigbus {
	int code;
	void *addr;
};

void palloc_steady(void);
size_t palloc_try_touch(void *addr, size_t pages, struct palloc_sigbus *bus);

/* Control groups. */
bool palloc_cg_init(void);
const char *palloc_cg_root(void);
const char *palloc_cg_new(const char *parent, const char *name);
int palloc_cg_remove(const char *cg);
int palloc_cg_write(const char *cg, const char *file, const char *text);
ssize_t palloc_cg_read(const char *cg, const char *file, char *buf, size_t size);
bool palloc_cg_reads(const char *cg, const char *file, const char *want);
int palloc_cg_bins_gone(const char *cg, const char *list);
int palloc_cg_bins(const char *cg, const char *list);
long palloc_cg_event(const char *cg, const char *key);
int palloc_cg_open_events(const char *cg);
bool palloc_notified(int fd, bool want);
int palloc_cg_move(const char *cg, pid_t pid);

/*
 * Children. Each ends with its parent, so that none is left behind, and is in its
 * group when this returns.
 */
pid_t palloc_spawn(const char *cg, void (*fn)(const void *arg), const void *arg);
pid_t palloc_clone_into(const char *cg, void (*fn)(const void *arg), const void *arg);
void palloc_wait_for(const unsigned int *what);
bool palloc_reap(pid_t pid);
bool palloc_run_in(const char *cg, void (*fn)(const void *arg), const void *arg);
void palloc_pin(int cpu);
void palloc_short_lists(bool on);

/*
 * A shell that keeps its state from one command to the next, with the folder of
 * the test programs in PATH. Returns the exit status, or -1.
 */
int palloc_shell(const char *command, char *out, size_t size);
void palloc_shell_end(void);

/* A line for the shell, and what it has to lead to. */
struct palloc_step {
	const char *command;
	int status;
	const char *output;	/* a pattern as fnmatch() has them, NULL for any */
};

void palloc_step(const void *arg);

/* A block device that takes no memory for what was never written to it. */
int palloc_zram_add(size_t pages);
void palloc_zram_remove(int id);
int palloc_loop_add(int backing, unsigned int block_size, unsigned int flags, char *path);
void palloc_mkswap(const char *path, unsigned int pages);

/* Text values. */
long palloc_meminfo(const char *key);
long palloc_vmstat(const char *key);

/* How well compaction does, where somebody has half of the memory. */
struct palloc_compaction {
	const char *cg, *list;		/* of whom, and his colors; or NULL */
	size_t free, used[2];		/* pages */
	long before, after, moved;	/* huge blocks, and pages */
};

/* Free memory. */
void palloc_compact(struct palloc_compaction *c);
void palloc_tidy_memory(void);
void *palloc_soak(void);
long palloc_highest_blocks(unsigned int *order);
bool palloc_blocks_back(long before);
bool palloc_verified(void);
bool palloc_lossless(void);

/* Test plumbing. */
#define PALLOC_NEED_SYSCALLS	1
#define PALLOC_NEED_CGROUP	2

/* Macros for the compiler to check the arguments of printf(). */
#define palloc_note(fmt, ...)	printf("# " fmt "\n", ##__VA_ARGS__)

/* Ends the program, or the child it is called in. */
#define palloc_bail(fmt, ...)							\
	(printf("%s " fmt "\n", palloc_bail_prefix(), ##__VA_ARGS__), palloc_give_up())

#define expect(cond)	palloc_expect(!!(cond), #cond, __FILE__, __LINE__)

bool palloc_expect(bool ok, const char *what, const char *file, int line);
void palloc_skip(const char *why);
const char *palloc_bail_prefix(void);
noreturn void palloc_give_up(void);
const char *palloc_try_init(unsigned int needs);
void palloc_init(unsigned int needs);
void palloc_init_tool(void);
int palloc_exit_code(void);
bool palloc_keep(const char *path);
bool palloc_save(void);
void palloc_restore(void);
void palloc_test_begin(void);
bool palloc_test_end(const char **why_skipped);

struct palloc_test {
	const char *name;
	void (*fn)(const void *arg);
	const void *arg;
};

/* In the header because kselftest.h keeps its counters per source file. */
static inline void palloc_run_tests(const struct palloc_test *tests, unsigned int n)
{
	const char *why;
	unsigned int i;
	bool ok;

	ksft_set_plan(n);
	for (i = 0; i < n; i++) {
		palloc_test_begin();
		tests[i].fn(tests[i].arg);
		ok = palloc_test_end(&why);
		if (why)
			ksft_test_result_skip("%s: %s\n", tests[i].name, why);
		else
			ksft_test_result(ok, "%s\n", tests[i].name);
	}
	ksft_finished();
}

#endif /* __PALLOC_UTIL_H */
