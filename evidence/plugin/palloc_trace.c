// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's TCG that records memory accesses, per vCPU and with guest-physical
 * addresses, which a model of a first level cache does not hold.
 *
 *   -plugin palloc_trace.so,out=DIR[,l1_kib=32][,l1_ways=8][,max_records=N][,max_insns=N]
 *
 * The guest says when, by marks.h: a program that executes mark_start() has all vCPUs
 * recorded, mark_stop() ends that of the vCPU that executes it, mark_done() ends all. Each
 * vCPU's ends, too, when it has MAX_RECORDS or MAX_INSNS. Recording number N goes to
 * DIR/N.vcpuM.trace, of the format in README.md, and DIR/N.kernel, a list of the pages that
 * were accessed by kernel addresses.
 *
 * Debian has no package with qemu-plugin.h, so that the few prototypes are declared here:
 * those that QEMU has had since 7.2. Plugins say what version of the interface they are
 * for; we take the oldest that the running QEMU has, and look at which that is where
 * versions differ.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

struct qemu_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	int smp_vcpus;
	int max_vcpus;
};

enum { CB_NO_REGS };
enum { MEM_RW = 3 };

typedef void (*simple_cb)(uint64_t id);
typedef void (*vcpu_cb)(unsigned int vcpu, void *data);
typedef void (*mem_cb)(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data);
typedef void (*trans_cb)(uint64_t id, struct qemu_plugin_tb *tb);

void qemu_plugin_reset(uint64_t id, simple_cb cb);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, trans_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, vcpu_cb cb, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, vcpu_cb cb,
					    int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_cb cb, int flags,
				      int rw, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(uint64_t id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
/* To version 2 it returns the bytes, from version 3 on it copies them */
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(uint32_t info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *hwaddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

/* Before QEMU looks at it: which version this is, only a function that is new in 2 tells */
__attribute__((constructor)) static void choose_version(void)
{
	if (dlsym(RTLD_DEFAULT, "qemu_plugin_num_vcpus"))
		qemu_plugin_version = 2;
}

#define LINE_SHIFT	6
#define MAX_VCPUS	16
/* Where a vCPU's count begins: accesses of a block that runs already are before the first */
#define FIRST_INSN	65536
#define NR_PAGES	4096	/* of the kernel, that are told apart; a power of two */

/* The instruction of marks.h: nopl 0x6c6170NN(%rax,%rax,1) */
static const uint8_t mark[8] = { 0x0f, 0x1f, 0x84, 0x00, 0, 0x70, 0x61, 0x6c };

enum { MARK_START = 1, MARK_STOP, MARK_DONE };
enum record { READ, WRITE, BACK, END };

struct line {
	uint64_t number;
	uint64_t used;
	bool valid;
	bool dirty;
	bool kernel;
};

struct page {
	uint64_t pfn;
	uint64_t vaddr;
	uint64_t pc;
	uint64_t count;
};

struct vcpu {
	FILE *file;
	uint64_t insns;		/* before the block that runs */
	uint64_t last_insn;	/* of the record before */
	uint64_t last_line;
	uint64_t records;
	uint32_t sum;		/* FNV-1a of all bytes of the file */
	uint64_t clock;
	struct line *lines;
	struct page *pages;
	uint64_t other_pages;	/* accesses to pages that found no place in the table */
};

static struct vcpu vcpus[MAX_VCPUS];
static int nr_vcpus;
static const char *out = ".";
static uint64_t l1_kib = 32, l1_ways = 8, l1_sets;
static uint64_t max_records = 4000000, max_insns = 1000000000;
static uint64_t plugin_id;
static int interface;
static int nr_recordings;
static bool recording, instrument;

static void fail(const char *what, const char *name)
{
	fprintf(stderr, "palloc_trace: %s %s: %s\n", what, name, strerror(errno));
	/* Not exit(): QEMU's threads are in the midst of things */
	_exit(1);
}

static void put(struct vcpu *v, const void *data, size_t size)
{
	const uint8_t *byte = data;
	size_t i;

	for (i = 0; i < size; i++)
		v->sum = (v->sum ^ byte[i]) * 0x01000193;
	if (fwrite(data, 1, size, v->file) != size)
		fail("can't write to", out);
}

static void put_number(struct vcpu *v, uint64_t n)
{
	uint8_t bytes[10];
	size_t size = 0;

	do {
		bytes[size++] = (n & 127) | (n > 127 ? 128 : 0);
		n >>= 7;
	} while (n);
	put(v, bytes, size);
}

static void put_record(struct vcpu *v, enum record type, bool kernel, uint64_t insn,
		       uint64_t line)
{
	int64_t delta = line - v->last_line;

	/* Of the block in which it began, or that an interrupt left */
	if (insn < v->last_insn)
		insn = v->last_insn;
	put_number(v, (insn - v->last_insn) << 3 | kernel << 2 | type);
	put_number(v, (uint64_t)delta << 1 ^ (uint64_t)(delta >> 63));
	v->last_insn = insn;
	v->last_line = line;
	v->records++;
}

static void put_end(struct vcpu *v)
{
	uint64_t numbers[2] = { v->records, v->insns - FIRST_INSN };
	uint32_t sum;

	put_number(v, END);
	put(v, numbers, sizeof(numbers));
	sum = v->sum;
	if (fwrite(&sum, 1, sizeof(sum), v->file) != sizeof(sum) || fclose(v->file))
		fail("can't write to", out);
	v->file = NULL;
}

static void count_page(struct vcpu *v, uint64_t pfn, uint64_t vaddr, uint64_t pc)
{
	struct page *page;
	uint64_t i, h = pfn * 0x9e3779b97f4a7c15 >> 32;

	for (i = 0; i < 64; i++) {
		page = &v->pages[(h + i) % NR_PAGES];
		if (!page->count)
			*page = (struct page){ .pfn = pfn, .vaddr = vaddr, .pc = pc };
		if (page->pfn == pfn) {
			page->count++;
			return;
		}
	}
	v->other_pages++;
}

/* Data of an instruction: where it is in its block, and its address */
struct insn {
	uint64_t index;
	uint64_t pc;
};

static void on_access(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	struct vcpu *v = &vcpus[vcpu];
	const struct qemu_plugin_hwaddr *hwaddr;
	struct line *set, *line, *victim;
	struct insn *insn = data;
	uint64_t number, now, i;
	bool kernel = vaddr >> 63;

	if (!v->file)
		return;
	hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	if (!hwaddr || qemu_plugin_hwaddr_is_io(hwaddr))
		return;
	number = qemu_plugin_hwaddr_phys_addr(hwaddr) >> LINE_SHIFT;
	set = victim = v->lines + number % l1_sets * l1_ways;
	for (i = 0; i < l1_ways; i++) {
		line = set + i;
		if (line->valid && line->number == number) {
			line->used = ++v->clock;
			line->dirty |= qemu_plugin_mem_is_store(info);
			return;
		}
		if (!line->valid || (victim->valid && line->used < victim->used))
			victim = line;
	}
	now = v->insns + insn->index;
	if (v->records >= max_records || now >= FIRST_INSN + max_insns) {
		/* What this vCPU does from here on is left out */
		put_end(v);
		return;
	}
	if (victim->valid && victim->dirty)
		put_record(v, BACK, victim->kernel, now, victim->number);
	put_record(v, qemu_plugin_mem_is_store(info) ? WRITE : READ, kernel, now, number);
	if (kernel)
		count_page(v, number >> 6, vaddr & ~4095UL, insn->pc);
	*victim = (struct line){
		.number = number,
		.used = ++v->clock,
		.valid = true,
		.dirty = qemu_plugin_mem_is_store(info),
		.kernel = kernel,
	};
}

static void on_block(unsigned int vcpu, void *data)
{
	vcpus[vcpu].insns += (uintptr_t)data;
}

static void start(void)
{
	char name[4096];
	int i;

	for (i = 0; i < nr_vcpus; i++) {
		struct vcpu *v = &vcpus[i];
		struct line *lines = v->lines;
		struct page *pages = v->pages;

		if (!lines)
			lines = malloc(l1_sets * l1_ways * sizeof(*lines));
		if (!pages)
			pages = malloc(NR_PAGES * sizeof(*pages));
		if (!lines || !pages)
			fail("no memory for", "a vCPU");
		memset(lines, 0, l1_sets * l1_ways * sizeof(*lines));
		memset(pages, 0, NR_PAGES * sizeof(*pages));
		*v = (struct vcpu){
			.lines = lines,
			.pages = pages,
			.sum = 0x811c9dc5,
			.insns = FIRST_INSN,
			.last_insn = FIRST_INSN,
		};
		snprintf(name, sizeof(name), "%s/%d.vcpu%d.trace", out, nr_recordings, i);
		v->file = fopen(name, "w");
		if (!v->file)
			fail("can't create", name);
		snprintf(name, sizeof(name), "palloc-trace 1 vcpu %d line %d l1 %dK/%d\n", i,
			 1 << LINE_SHIFT, (int)l1_kib, (int)l1_ways);
		put(v, name, strlen(name));
	}
	recording = true;
}

static void done(void)
{
	char name[4096];
	FILE *file;
	int i, p;

	recording = false;
	snprintf(name, sizeof(name), "%s/%d.kernel", out, nr_recordings++);
	file = fopen(name, "w");
	if (!file)
		fail("can't create", name);
	for (i = 0; i < nr_vcpus; i++) {
		struct vcpu *v = &vcpus[i];

		if (v->file)
			put_end(v);
		for (p = 0; p < NR_PAGES; p++) {
			struct page *page = &v->pages[p];

			if (page->count)
				fprintf(file, "%d %llx %llx %llx %llu\n", i,
					(unsigned long long)page->pfn,
					(unsigned long long)page->vaddr,
					(unsigned long long)page->pc,
					(unsigned long long)page->count);
		}
		if (v->other_pages)
			fprintf(file, "%d other 0 0 %llu\n", i, (unsigned long long)v->other_pages);
	}
	if (ferror(file) | fclose(file))
		fail("can't write to", name);
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb);
static void at_exit(uint64_t id, void *data);

static void arm(uint64_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
}

/*
 * Until the first recording, only marks are looked for, and the guest is fast. Then all code
 * is translated anew, with callbacks that stay: taking them away again makes QEMU 7.2 call
 * what it has freed, as it forgets to clear a pointer to the callbacks of an instruction
 * that ends a block.
 */
static void on_mark(unsigned int vcpu, void *data)
{
	if ((uintptr_t)data == MARK_STOP && vcpus[vcpu].file)
		put_end(&vcpus[vcpu]);
	if ((uintptr_t)data == MARK_DONE && recording)
		done();
	if ((uintptr_t)data != MARK_START || recording)
		return;
	start();
	if (!instrument)
		qemu_plugin_reset(plugin_id, arm);
	instrument = true;
}

static bool read_insn(struct qemu_plugin_insn *insn, uint8_t bytes[8])
{
	if (qemu_plugin_insn_size(insn) != 8)
		return false;
	if (interface > 2) {
		size_t (*copy)(const struct qemu_plugin_insn *insn, void *to, size_t size) =
			(void *)qemu_plugin_insn_data;

		return copy(insn, bytes, 8) == 8;
	}
	memcpy(bytes, qemu_plugin_insn_data(insn), 8);
	return true;
}

/*
 * What callbacks get is never freed, as blocks may be executed until QEMU drops them, which
 * nobody tells. One recording translates some thousand instructions.
 */
static struct insn *insn_data(uint64_t index, uint64_t pc)
{
	static struct insn *pool;
	static size_t left;

	if (!left) {
		left = 65536;
		pool = malloc(left * sizeof(*pool));
		if (!pool)
			fail("no memory for", "instructions");
	}
	left--;
	*pool = (struct insn){ .index = index, .pc = pc };
	return pool++;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	uint8_t bytes[8];

	if (instrument)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS,
						     (void *)(uintptr_t)n);
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (read_insn(insn, bytes)) {
			uint8_t which = bytes[4];

			bytes[4] = 0;
			if (!memcmp(bytes, mark, sizeof(mark)))
				qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, CB_NO_REGS,
								       (void *)(uintptr_t)which);
		}
		/* The block was counted as a whole when it was entered */
		if (instrument)
			qemu_plugin_register_vcpu_mem_cb(insn, on_access, CB_NO_REGS, MEM_RW,
							 insn_data(i - n,
								   qemu_plugin_insn_vaddr(insn)));
	}
}

static void at_exit(uint64_t id, void *data)
{
	if (!recording)
		return;
	fprintf(stderr, "palloc_trace: the guest ended in recording %d, which is cut off\n",
		nr_recordings);
	_exit(1);
}

static bool number(const char *arg, const char *name, uint64_t min, uint64_t max, uint64_t *to)
{
	size_t length = strlen(name);
	uint64_t value;
	char *end;

	if (strncmp(arg, name, length) || arg[length] != '=')
		return false;
	value = strtoull(arg + length + 1, &end, 0);
	if (*end || end == arg + length + 1 || value < min || value > max) {
		fprintf(stderr, "palloc_trace: %s: a number from %llu to %llu is needed\n", arg,
			(unsigned long long)min, (unsigned long long)max);
		exit(1);
	}
	*to = value;
	return true;
}

EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	int i;

	if (!info->system_emulation || strcmp(info->target_name, "x86_64")) {
		fprintf(stderr, "palloc_trace: this is for qemu-system-x86_64\n");
		return 1;
	}
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4)) {
			out = strdup(argv[i] + 4);
		} else if (!number(argv[i], "l1_kib", 1, 1024, &l1_kib) &&
			   !number(argv[i], "l1_ways", 1, 64, &l1_ways) &&
			   !number(argv[i], "max_records", 1, 1UL << 40, &max_records) &&
			   !number(argv[i], "max_insns", 1, 1UL << 40, &max_insns)) {
			fprintf(stderr, "palloc_trace: unknown option %s\n", argv[i]);
			return 1;
		}
	}
	l1_sets = (l1_kib << 10 >> LINE_SHIFT) / l1_ways;
	nr_vcpus = info->smp_vcpus;
	if (nr_vcpus > MAX_VCPUS || !l1_sets) {
		fprintf(stderr, "palloc_trace: up to %d vCPUs, and a set of cache lines\n",
			MAX_VCPUS);
		return 1;
	}
	if (access(out, W_OK)) {
		fprintf(stderr, "palloc_trace: out=%s: %s\n", out, strerror(errno));
		return 1;
	}
	plugin_id = id;
	interface = info->version.cur;
	arm(id);
	return 0;
}
