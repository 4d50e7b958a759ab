/* SPDX-License-Identifier: GPL-2.0 */
/* A model of cores, caches and DRAM that replays traces: see README.md */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LINE_SHIFT	6
#define MAX_CORES	8
#define MAX_FUNCTIONS	10
#define MAX_BANKS	(1 << MAX_FUNCTIONS)
#define MAX_RANKS	8
#define MAX_QUEUE	256
#define MAX_WINDOW	512
/* Dirty lines that one access can push out: of a core's cache, and, for these, of the LLC */
#define MAX_PUSHED	3

/* Prints "palloc-sim: ..." and ends, before anything has been written */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* ---- Configuration: lines "name value", see README.md ---- */

enum { POLICY_LRU, POLICY_RANDOM };

struct config {
	/* Cores */
	long window;		/* instructions that may be under way */
	long core_misses;	/* miss registers of a core, 0: no limit */
	long dependent;		/* bit for each core: an access waits for the one before */
	/* Caches; cycles from a core's access until its data */
	long l2_kib, l2_ways, l2_cycles;
	long llc_kib, llc_ways, llc_cycles, llc_policy, llc_inclusive, llc_hash;
	long shared_misses;	/* miss registers of the LLC, 0: no limit */
	long path_cycles;	/* from the LLC to the controller, and as much back */
	/* Memory controller */
	long queue, write_queue, write_high, write_low, hit_cap;
	/* DRAM, in its clocks */
	long clock_ratio;	/* core cycles in one of these */
	long cl, cwl, rcd, rp, ras, rrd, faw, wr, wtr, rtp, ccd_s, ccd_l, burst, rtrs, refi, rfc;
	long ranks, bank_groups, banks, row_kib;
	/* Machine */
	long memory_mib;
	/* Of the run */
	long seed;
	long slice;		/* cycles of a slice of the heat map, 0: none */
	long warmup;		/* records of core 0 before anything is counted */
	long min_records;	/* of the other cores' traces */
};

void config_default(struct config *c);
void config_set(struct config *c, const char *name, const char *value, const char *where);
void config_read(struct config *c, const char *file);
void config_check(const struct config *c);

/* ---- Map: from addresses to banks, rows and columns ---- */

struct map {
	int nr;
	uint64_t function[MAX_FUNCTIONS];
	int pivot[MAX_FUNCTIONS];	/* address bits that banks stand for */
	uint64_t rest;			/* the others */
};

struct place {
	int bank;
	uint64_t row;
	uint64_t column;
};

void map_read(struct map *m, const char *file, const struct config *c);
struct place map_place(const struct map *m, const struct config *c, uint64_t address);

/* ---- Traces ---- */

enum record_type { READ, WRITE, BACK, END };

struct record {
	uint64_t line : 56;
	uint64_t type : 2;
	uint64_t kernel : 1;
	uint32_t gap;		/* instructions since the record before */
};

struct trace {
	struct record *record;
	size_t nr;
};

void trace_read(struct trace *t, const char *file, const struct config *c);
void trace_print(const struct trace *t, FILE *to);

/* ---- The model ---- */

/* Who an access is of */
struct cause {
	int8_t core;
	bool kernel;
	uint64_t page;
};

struct core_stats {
	uint64_t cycles, insns, records;
	uint64_t l2_hits, llc_hits, llc_misses;
	uint64_t dram_reads, dram_writes;
	uint64_t read_cycles;		/* from the LLC's miss to the data */
	uint64_t row_hits, row_misses, row_conflicts;
	/* Cycles that an access had to wait before it was taken */
	uint64_t wait_window, wait_core, wait_shared, wait_queue;
	/* What others did to it: conflicts with rows that core N opened, evictions by it */
	uint64_t conflicts_by[MAX_CORES], conflicts_kernel_by[MAX_CORES];
	uint64_t evictions_by[MAX_CORES], evictions_kernel_by[MAX_CORES];
};

struct kernel_page {
	uint64_t page;
	uint64_t conflicts;
	uint64_t evictions;
};

struct sim;

struct sim *sim_new(const struct config *c, const struct map *m, struct trace *traces,
		    int nr_cores);
void sim_free(struct sim *s);
/* Commands to DRAM, each as a line "CLOCK ACT|PRE|RD|WR|REF BANK ROW" (of REF, the rank) */
void sim_log_commands(struct sim *s, FILE *to);
/* What goes to DRAM, in Ramulator's format: a line "0xADDRESS R|W" */
void sim_log_requests(struct sim *s, FILE *to);
void sim_heat(struct sim *s, FILE *to);
void sim_run(struct sim *s);
const struct core_stats *sim_stats(const struct sim *s, int core);
const struct kernel_page *sim_kernel_pages(const struct sim *s, size_t *nr);
uint64_t sim_refreshes(const struct sim *s);

#endif
