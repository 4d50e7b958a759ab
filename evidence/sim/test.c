// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the model against cases that were worked out by hand. With the defaults, in clocks:
 * a read that finds its bank closed takes ACT, tRCD 7, RD, tCL 7, burst 4: 18; a row has to
 * be open for tRAS 20 and takes tRP 7 to close. Unless a test says otherwise there are 8
 * banks, of address bits 13 to 15, with rows of 8 KiB: the row is in the bits from 16 on.
 */

#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define ROW(r)		((uint64_t)(r) << 16)
#define BANK(b)		((uint64_t)(b) << 13)
#define COL(c)		((uint64_t)(c) << 6)

static int points, failed;

static void check(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++points, name);
	failed += !good;
}

static void check_number(uint64_t got, uint64_t want, const char *name)
{
	if (got != want)
		printf("# got %lu, not %lu\n", got, want);
	check(got == want, name);
}

/* What one run did */
static struct config config;
static struct map map;
static struct core_stats stats[MAX_CORES];
static struct trace traces[MAX_CORES];
static struct record records[MAX_CORES][256];
static char *commands;
static uint64_t refreshes;

static void reset(void)
{
	int i;

	config_default(&config);
	map = (struct map){
		.nr = 3,
		.function = { 1 << 13, 1 << 14, 1 << 15 },
		.pivot = { 13, 14, 15 },
		.rest = ~0UL << LINE_SHIFT & ~(7UL << 13),
	};
	for (i = 0; i < MAX_CORES; i++)
		traces[i] = (struct trace){ .record = records[i] };
}

static void add(int core, uint32_t gap, int type, uint64_t address)
{
	struct trace *t = &traces[core];

	t->record[t->nr++] = (struct record){
		.line = address >> LINE_SHIFT, .type = type, .gap = gap,
	};
}

static void run(void)
{
	struct sim *s;
	size_t size;
	FILE *log;
	int i, nr = 0;

	free(commands);
	log = open_memstream(&commands, &size);
	if (!log)
		die("no memory");
	while (traces[nr].nr)
		nr++;
	config_check(&config);
	s = sim_new(&config, &map, traces, nr);
	sim_log_commands(s, log);
	sim_run(s);
	for (i = 0; i < nr; i++)
		stats[i] = *sim_stats(s, i);
	refreshes = sim_refreshes(s);
	sim_free(s);
	fclose(log);
}

static void check_commands(const char *want, const char *name)
{
	if (strcmp(commands, want))
		printf("# got:\n%s# not:\n%s", commands, want);
	check(!strcmp(commands, want), name);
}

static void rows(void)
{
	reset();
	add(0, 0, READ, 0);
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n", "a closed bank: a row is opened, then read");
	check_number(stats[0].cycles, 18, "it takes tRCD, tCL and the burst");
	check_number(stats[0].row_misses, 1, "it counts as a row miss");

	reset();
	add(0, 0, READ, 0);
	add(0, 100, READ, COL(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n100 RD 0 0\n", "row hit: it is read at once");
	check_number(stats[0].cycles, 111, "it takes tCL and the burst");
	check_number(stats[0].row_hits, 1, "it counts as a row hit");

	reset();
	add(0, 0, READ, 0);
	add(0, 100, READ, ROW(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n100 PRE 0 0\n107 ACT 0 1\n114 RD 0 1\n",
		       "row conflict: a row is closed, and one opened");
	check_number(stats[0].cycles, 125, "it takes tRP, tRCD, tCL and the burst");
	check_number(stats[0].row_conflicts, 1, "it counts as a row conflict");
	check_number(stats[0].conflicts_by[0], 0, "but not as one that others caused");

	reset();
	add(0, 0, READ, 0);
	add(0, 0, READ, ROW(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n20 PRE 0 0\n27 ACT 0 1\n34 RD 0 1\n",
		       "a row is open for tRAS");
	check_number(stats[0].cycles, 45, "two rows of a bank, at once: one after the other");
}

static void banks(void)
{
	int i;

	reset();
	add(0, 0, READ, 0);
	add(0, 0, READ, BANK(1));
	run();
	check_commands("0 ACT 0 0\n4 ACT 1 0\n7 RD 0 0\n11 RD 1 0\n",
		       "bank parallelism: rows of two banks are opened tRRD apart");
	check_number(stats[0].cycles, 22, "the second takes a burst more, on the bus");

	reset();
	for (i = 0; i < 5; i++)
		add(0, 0, READ, BANK(i));
	run();
	check_commands("0 ACT 0 0\n4 ACT 1 0\n7 RD 0 0\n8 ACT 2 0\n11 RD 1 0\n12 ACT 3 0\n"
		       "15 RD 2 0\n19 RD 3 0\n20 ACT 4 0\n27 RD 4 0\n",
		       "no more than four rows of a rank are opened within tFAW");

	reset();
	config.bank_groups = 2;
	config.ccd_l = 6;
	add(0, 0, READ, 0);
	add(0, 0, READ, BANK(1));
	add(0, 0, READ, BANK(2));
	run();
	/* Banks 0 and 2 are of a group: from 7 on, tCCD_L 6 are over before tCCD_S of bank 1 */
	check_commands("0 ACT 0 0\n4 ACT 1 0\n7 RD 0 0\n8 ACT 2 0\n11 RD 1 0\n15 RD 2 0\n",
		       "bank groups: another group after tCCD_S");
	reset();
	config.bank_groups = 2;
	config.ccd_l = 6;
	add(0, 0, READ, 0);
	add(0, 100, READ, COL(1));
	add(0, 0, READ, COL(2));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n100 RD 0 0\n106 RD 0 0\n",
		       "bank groups: the same group after tCCD_L");

	reset();
	config.ranks = 2;
	add(0, 0, READ, 0);
	add(0, 0, READ, BANK(4));
	run();
	/* tRRD is of a rank: the other opens at 1. Data from 14 to 18, and then from 19 on */
	check_commands("0 ACT 0 0\n1 ACT 4 0\n7 RD 0 0\n12 RD 4 0\n",
		       "the bus turns from rank to rank in tRTRS");
}

static void refreshing(void)
{
	reset();
	config.refi = 100;
	add(0, 0, READ, 0);
	add(0, 110, READ, COL(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n100 PRE -1 0\n107 REF 0 0\n167 ACT 0 0\n174 RD 0 0\n",
		       "refresh: the row is closed, tRP, tRFC, and it is opened again");
	check_number(stats[0].cycles, 185, "a read at that time waits for all of that");
	check_number(refreshes, 1, "refreshes are counted");
	check_number(stats[0].row_conflicts, 0, "nobody's conflict");

	reset();
	config.refi = 100;
	add(0, 95, READ, 0);
	run();
	/* Opened at 95, not to be closed before 115; and the rank is kept free from 100 on */
	check_commands("95 ACT 0 0\n115 PRE -1 0\n122 REF 0 0\n182 ACT 0 0\n189 RD 0 0\n",
		       "refresh: a row that was just opened is closed after tRAS");

	reset();
	config.refi = 100;
	config.ranks = 2;
	add(0, 51, READ, BANK(4));
	run();
	/* Of two ranks, the first is refreshed at 50, the second at 100 */
	check_commands("50 REF 0 0\n51 ACT 4 0\n58 RD 4 0\n", "a refresh is of one rank");
}

static void order(void)
{
	reset();
	add(0, 0, READ, 0);
	add(0, 0, READ, ROW(1));
	add(0, 0, READ, COL(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n11 RD 0 0\n20 PRE 0 0\n27 ACT 0 1\n34 RD 0 1\n",
		       "queue order: a later one whose row is open comes first");
	check_number(stats[0].row_hits, 1, "which is a hit");

	reset();
	config.hit_cap = 1;
	add(0, 0, READ, 0);
	add(0, 0, READ, ROW(1));
	add(0, 0, READ, COL(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n20 PRE 0 0\n27 ACT 0 1\n34 RD 0 1\n"
		       "47 PRE 0 1\n54 ACT 0 0\n61 RD 0 0\n",
		       "queue order: with hit_cap, not after that many");

	reset();
	add(0, 0, READ, ROW(1));
	add(0, 0, READ, ROW(2));
	add(0, 0, READ, ROW(3));
	run();
	check_commands("0 ACT 0 1\n7 RD 0 1\n20 PRE 0 1\n27 ACT 0 2\n34 RD 0 2\n"
		       "47 PRE 0 2\n54 ACT 0 3\n61 RD 0 3\n",
		       "queue order: else the oldest comes first");

	reset();
	add(0, 0, BACK, 0);
	add(0, 20, READ, COL(1));
	run();
	check_commands("0 ACT 0 0\n7 WR 0 0\n21 RD 0 0\n",
		       "a read comes tWTR after the data of a write");

	reset();
	add(0, 0, BACK, 0);
	add(0, 0, READ, BANK(1));
	run();
	check_commands("0 ACT 1 0\n7 RD 1 0\n", "reads come before writes");

	reset();
	config.write_high = 2;
	config.write_low = 1;
	add(0, 0, BACK, 0);
	add(0, 0, BACK, COL(1));
	add(0, 0, READ, BANK(1));
	run();
	/* Two writes are too many: one is made, at 7, its data ends at 17, tWTR */
	check_commands("0 ACT 0 0\n7 WR 0 0\n8 ACT 1 0\n21 RD 1 0\n",
		       "unless writes are too many, of which then some are made");

	reset();
	config.queue = 1;
	add(0, 0, READ, 0);
	add(0, 0, READ, BANK(1));
	run();
	/* There is room again after 7 */
	check_commands("0 ACT 0 0\n7 RD 0 0\n8 ACT 1 0\n15 RD 1 0\n", "a full queue takes no more");
	check_number(stats[0].wait_queue, 8, "the wait for it is counted");
}

static void cores(void)
{
	reset();
	config.core_misses = 1;
	add(0, 0, READ, 0);
	add(0, 0, READ, BANK(1));
	run();
	check_number(stats[0].cycles, 36, "one miss register: one after the other");
	check_number(stats[0].wait_core, 18, "the wait for it is counted");

	reset();
	config.shared_misses = 1;
	add(0, 0, READ, 0);
	add(0, 2, READ, COL(1));
	add(1, 1, READ, BANK(1));
	add(1, 100000, READ, BANK(1));
	run();
	/* Core 1 would be next at 1, but there is no register until 18; then core 0 has it */
	check_number(stats[0].wait_shared + stats[1].wait_shared > 0, 1,
		     "one shared miss register: cores wait for each other");
	check_number(stats[0].llc_misses, 2, "all is served");

	reset();
	config.window = 4;
	add(0, 0, READ, 0);
	add(0, 3, READ, BANK(1));
	add(0, 1, READ, BANK(2));
	run();
	check_commands("0 ACT 0 0\n4 ACT 1 0\n7 RD 0 0\n11 RD 1 0\n18 ACT 2 0\n25 RD 2 0\n",
		       "no more than window instructions are under way");

	reset();
	config.dependent = 1;
	add(0, 0, READ, 0);
	add(0, 0, READ, BANK(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n18 ACT 1 0\n25 RD 1 0\n",
		       "dependent: an access waits for the one before");

	reset();
	config.clock_ratio = 5;
	config.path_cycles = 20;
	add(0, 0, READ, 0);
	run();
	check_commands("4 ACT 0 0\n11 RD 0 0\n", "slower DRAM: the way there takes 20 cycles");
	check_number(stats[0].cycles, 22 * 5 + 20, "and as many back");
}

static void others(void)
{
	reset();
	add(0, 0, READ, 0);
	add(0, 200, READ, COL(1));
	add(1, 100, READ, ROW(1));
	add(1, 100000, READ, ROW(1));
	run();
	check_commands("0 ACT 0 0\n7 RD 0 0\n100 PRE 0 0\n107 ACT 0 1\n114 RD 0 1\n"
		       "200 PRE 0 1\n207 ACT 0 0\n214 RD 0 0\n",
		       "same bank: another core closes a row, which has to be opened again");
	check_number(stats[0].conflicts_by[1], 1, "a conflict that core 1 caused");
	check_number(stats[1].conflicts_by[0], 1, "and one that core 0 caused");

	reset();
	add(0, 0, READ, 0);
	add(0, 200, READ, COL(1));
	add(1, 100, READ, BANK(1) | ROW(1));
	add(1, 100000, READ, BANK(1) | ROW(1));
	run();
	check_number(stats[0].row_hits, 1, "a bank of its own: the row is still open");
	check_number(stats[0].conflicts_by[1], 0, "and nobody caused a conflict");

	reset();
	add(0, 0, READ, 0);
	add(0, 200, READ, COL(1));
	add(1, 100, READ, ROW(1));
	add(1, 100000, READ, ROW(1));
	records[1][0].kernel = 1;
	run();
	check(!stats[0].conflicts_by[1] && stats[0].conflicts_kernel_by[1] == 1,
	      "what the kernel causes on another core is counted apart");
}

/* 2 KiB with 2 ways: 16 sets, lines that are 1 KiB apart meet */
static void small_llc(void)
{
	reset();
	config.llc_kib = 2;
	config.llc_ways = 2;
	config.llc_cycles = 3;
}

static void llc(void)
{
	small_llc();
	add(0, 0, READ, 0);
	add(0, 100, READ, 0);
	run();
	check(stats[0].llc_hits == 1 && stats[0].dram_reads == 1, "LLC: what was read is there");
	check_number(stats[0].cycles, 103, "a hit takes llc_cycles");

	small_llc();
	add(0, 0, READ, 0);
	add(0, 10, READ, 0);
	run();
	check_number(stats[0].cycles, 21, "a hit on a line that is on its way waits for that");

	small_llc();
	add(0, 0, READ, 0);
	add(0, 100, READ, 1024);
	add(0, 100, READ, 0);
	add(0, 100, READ, 2048);
	add(0, 100, READ, 0);
	add(0, 100, READ, 1024);
	run();
	check(stats[0].llc_hits == 2 && stats[0].dram_reads == 4,
	      "LLC conflict: of three lines in two ways, the least recently used goes");

	small_llc();
	add(0, 0, READ, 0);
	add(0, 1000, READ, 0);
	add(1, 100, READ, 1024);
	add(1, 100, READ, 2048);
	add(1, 100000, READ, 2048);
	run();
	check(stats[0].dram_reads == 2 && stats[0].evictions_by[1] == 1,
	      "LLC conflict: an eviction that core 1 caused");

	small_llc();
	add(0, 0, READ, 0);
	add(0, 1000, READ, 0);
	add(1, 100, READ, 1024 + 64);
	add(1, 100, READ, 2048 + 64);
	add(1, 100, READ, 3072 + 64);
	add(1, 100000, READ, 2048 + 64);
	run();
	check(stats[0].llc_hits == 1 && stats[0].evictions_by[1] == 0,
	      "sets of its own: none");

	small_llc();
	add(0, 0, READ, 0);
	add(0, 0, BACK, 0);
	add(0, 100, READ, 1024);
	add(0, 100, READ, 2048);
	run();
	check_number(stats[0].dram_writes, 1, "a line that was written to goes back to memory");

	small_llc();
	config.l2_kib = 1;
	config.l2_ways = 4;
	config.l2_cycles = 2;
	config.llc_inclusive = 1;
	add(0, 0, READ, 0);
	add(0, 100, READ, 0);
	add(0, 1000, READ, 0);
	add(1, 200, READ, 1024);
	add(1, 100, READ, 2048);
	add(1, 100000, READ, 2048);
	run();
	check(stats[0].l2_hits == 1 && stats[0].dram_reads == 2,
	      "inclusive: what the LLC gives up, a core's own cache does, too");
	config.llc_inclusive = 0;
	run();
	check(stats[0].l2_hits == 2 && stats[0].dram_reads == 1, "not inclusive: it does not");

	small_llc();
	config.llc_hash = 1;
	add(0, 0, READ, 0);
	add(0, 100, READ, 1024);
	add(0, 100, READ, 2048);
	add(0, 100, READ, 0);
	run();
	/* Line 16 has bit 4, line 32 bit 5: with these on top, they are in sets 1 and 3 */
	check_number(stats[0].llc_hits, 1, "hashed: lines that are a way apart do not meet");
}

static void randomness(void)
{
	struct core_stats first[3];
	uint64_t seed, i, differ = 0;

	for (seed = 0; seed < 3; seed++) {
		small_llc();
		config.llc_policy = POLICY_RANDOM;
		config.seed = seed;
		for (i = 0; i < 200; i++)
			add(0, 50, READ, i * i % 5 * 1024);
		run();
		first[seed] = stats[0];
		run();
		check(!memcmp(&first[seed], &stats[0], sizeof(stats[0])),
		      "pseudo-random replacement: the same again with the same seed");
		differ += seed && first[seed].llc_hits != first[0].llc_hits;
	}
	check(differ > 0, "and something else with others");
}

static void write_map(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		die("can't write %s", name);
}

static void maps(const char *file)
{
	static uint8_t seen[1 << 20 >> LINE_SHIFT];
	struct place p;
	uint64_t address;
	int twice = 0;

	reset();
	config.banks = 16;
	config.row_kib = 2;
	config.memory_mib = 1;
	write_map(file, "# a comment\n12 16\n13 17\n14 18\n\n9 15 19\n");
	map_read(&map, file, &config);
	check_number(map_place(&map, &config, 1 << 12).bank, 1, "map: bit 12 is of function 0");
	check_number(map_place(&map, &config, 1 << 12 | 1 << 16).bank, 0, "bits 12 and 16 cancel");
	check_number(map_place(&map, &config, 1 << 9 | 1 << 14).bank, 12, "bits 9 and 14");
	memset(seen, 0, sizeof(seen));
	for (address = 0; address < 1 << 20; address += 64) {
		uint64_t place;

		p = map_place(&map, &config, address);
		/* 1 MiB in 16 banks with rows of 32 lines: 32 rows each */
		place = (p.bank * 32 + p.row) * 32 + p.column;
		if (p.row >= 32 || p.column >= 32 || seen[place]++)
			twice++;
	}
	check_number(twice, 0, "each line of memory has a place of its own");
}

int main(int argc, char **argv)
{
	rows();
	banks();
	refreshing();
	order();
	cores();
	others();
	llc();
	randomness();
	if (argc > 1)
		maps(argv[1]);
	printf("1..%d\n", points);
	return failed > 0;
}
