// SPDX-License-Identifier: GPL-2.0
/* palloc-sim: replays traces, core 0's once, and prints what happened; see README.md */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim.h"

static const char usage[] =
	"Usage: palloc-sim -c FILE... -m MAP [OPTION]... TRACE...\n"
	"       palloc-sim --print TRACE\n"
	"       palloc-sim -c FILE... -m MAP --place ADDRESS\n"
	"\n"
	"Replays TRACEs, each on a core of its own, until the first has ended; the others begin\n"
	"again when they end.\n"
	"\n"
	"  -c FILE            settings: of the machine, of its DRAM\n"
	"  -s NAME=VALUE      one more setting\n"
	"  -m MAP             the map.txt of the banks\n"
	"  --heat FILE        requests by time, bank and core, as CSV (see setting slice)\n"
	"  --commands FILE    the commands to DRAM\n"
	"  --ramulator FILE   the requests to DRAM, as a trace for Ramulator\n"
	"  --print TRACE      as text\n"
	"  --place ADDRESS    the bank, row and column of an address\n";

enum { HEAT = 256, COMMANDS, RAMULATOR, PRINT, PLACE };

static const struct option options[] = {
	{ "heat", required_argument, NULL, HEAT },
	{ "commands", required_argument, NULL, COMMANDS },
	{ "ramulator", required_argument, NULL, RAMULATOR },
	{ "print", required_argument, NULL, PRINT },
	{ "place", required_argument, NULL, PLACE },
	{ "help", no_argument, NULL, 'h' },
	{}
};

struct output {
	const char *name;
	FILE *file;
};

static void open_output(struct output *o)
{
	if (!o->name)
		return;
	o->file = fopen(o->name, "w");
	if (!o->file)
		die("%s: %s", o->name, strerror(errno));
}

/* What could not be written whole is removed */
static void close_output(struct output *o)
{
	if (!o->file)
		return;
	if (ferror(o->file) | fclose(o->file)) {
		int error = errno;
		struct stat st;

		/* Not if it is a device, or the like */
		if (!lstat(o->name, &st) && S_ISREG(st.st_mode))
			remove(o->name);
		die("%s: can't be written: %s", o->name, strerror(error));
	}
}

static void print_stats(const struct core_stats *st, int core, int nr_cores)
{
#define P(name)	printf("core%d." #name " %" PRIu64 "\n", core, st->name)
	int i;

	P(cycles);
	P(insns);
	P(records);
	P(l2_hits);
	P(llc_hits);
	P(llc_misses);
	P(dram_reads);
	P(dram_writes);
	P(read_cycles);
	P(row_hits);
	P(row_misses);
	P(row_conflicts);
	P(wait_window);
	P(wait_core);
	P(wait_shared);
	P(wait_queue);
	for (i = 0; i < nr_cores; i++) {
		if (i == core)
			continue;
		printf("core%d.conflicts_by_core%d %" PRIu64 "\n", core, i, st->conflicts_by[i]);
		printf("core%d.conflicts_kernel_by_core%d %" PRIu64 "\n", core, i,
		       st->conflicts_kernel_by[i]);
		printf("core%d.evictions_by_core%d %" PRIu64 "\n", core, i, st->evictions_by[i]);
		printf("core%d.evictions_kernel_by_core%d %" PRIu64 "\n", core, i,
		       st->evictions_kernel_by[i]);
	}
#undef P
}

int main(int argc, char **argv)
{
	struct output heat = {}, commands = {}, requests = {};
	const char *map_file = NULL, *print = NULL, *place = NULL;
	struct trace traces[MAX_CORES] = {};
	const struct kernel_page *pages;
	struct config config;
	struct map map;
	struct sim *s;
	int c, i, nr;
	size_t j, nr_pages;
	char *value;

	config_default(&config);
	while ((c = getopt_long(argc, argv, "c:s:m:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			config_read(&config, optarg);
			break;
		case 's':
			value = strchr(optarg, '=');
			if (!value)
				die("-s %s: not NAME=VALUE", optarg);
			*value++ = 0;
			config_set(&config, optarg, value, "-s");
			break;
		case 'm':
			map_file = optarg;
			break;
		case HEAT:
			heat.name = optarg;
			break;
		case COMMANDS:
			commands.name = optarg;
			break;
		case RAMULATOR:
			requests.name = optarg;
			break;
		case PRINT:
			print = optarg;
			break;
		case PLACE:
			place = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 1;
		}
	}
	nr = argc - optind;
	if (print && !nr) {
		/* Any address will do */
		config.memory_mib = 1L << 32;
		trace_read(&traces[0], print, &config);
		trace_print(&traces[0], stdout);
		free(traces[0].record);
		return ferror(stdout) | fclose(stdout) ? 1 : 0;
	}
	if (print || !map_file || !nr == !place) {
		fputs(usage, stderr);
		return 1;
	}
	config_check(&config);
	map_read(&map, map_file, &config);
	if (place) {
		uint64_t address = strtoull(place, &value, 0);
		struct place p = map_place(&map, &config, address);

		if (*value || address >> 20 >= (uint64_t)config.memory_mib)
			die("--place %s: not an address of this machine", place);
		printf("bank %d row %" PRIu64 " column %" PRIu64 "\n", p.bank, p.row, p.column);
		return 0;
	}
	if (nr > MAX_CORES)
		die("at most %d cores", MAX_CORES);
	if (heat.name && !config.slice)
		die("--heat wants a setting: slice");
	/* All that may be wrong is looked at before anything is written */
	for (i = 0; i < nr; i++)
		trace_read(&traces[i], argv[optind + i], &config);
	for (i = 1; i < nr; i++) {
		if (traces[i].nr < (size_t)config.min_records)
			die("%s: %zu records, min_records wants %ld", argv[optind + i], traces[i].nr,
			    config.min_records);
	}
	if ((size_t)config.warmup >= traces[0].nr)
		die("%s: warmup takes %ld records, there are %zu", argv[optind], config.warmup,
		    traces[0].nr);
	open_output(&heat);
	open_output(&commands);
	open_output(&requests);
	if (heat.file)
		fputs("cycle,bank,core,requests,conflicts\n", heat.file);

	s = sim_new(&config, &map, traces, nr);
	sim_heat(s, heat.file);
	sim_log_commands(s, commands.file);
	sim_log_requests(s, requests.file);
	sim_run(s);
	close_output(&heat);
	close_output(&commands);
	close_output(&requests);

	for (i = 0; i < nr; i++)
		print_stats(sim_stats(s, i), i, nr);
	printf("refreshes %" PRIu64 "\n", sim_refreshes(s));
	pages = sim_kernel_pages(s, &nr_pages);
	for (j = 0; j < nr_pages; j++)
		printf("kernel_page %" PRIx64 " conflicts %" PRIu64 " evictions %" PRIu64 "\n",
		       pages[j].page, pages[j].conflicts, pages[j].evictions);
	sim_free(s);
	for (i = 0; i < nr; i++)
		free(traces[i].record);
	if (ferror(stdout) | fclose(stdout))
		die("can't write the results: %s", strerror(errno));
	return 0;
}
