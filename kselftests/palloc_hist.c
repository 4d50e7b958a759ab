// SPDX-License-Identifier: GPL-2.0
/*
 * Shows which colors the anonymous pages of a process have, as bars. The map is
 * the one in force; the colors are computed here from the page frame numbers.
 */
#include <getopt.h>
#include <limits.h>

#include "palloc_util.h"

#define BAR_WIDTH	50

static struct palloc_hist hist;

static void usage(FILE *to)
{
	fputs("Usage: palloc_hist [-r] PID\n"
	      "Shows how many present anonymous pages of a process have which color.\n"
	      "\n"
	      "  -r  only those in MAP_PALLOC regions\n"
	      "  -h  this text\n", to);
}

/* A run of colors that no page has is one line. */
static void print_bars(unsigned int bins)
{
	static const char bar[BAR_WIDTH + 1] =
		"##################################################";
	unsigned long most = 1;
	unsigned int i, end;
	char name[32];

	for (i = 0; i < bins; i++)
		if (hist.n[i] > most)
			most = hist.n[i];
	printf("%9s %8s %6s\n", "color", "pages", "%");
	for (i = 0; i < bins; i = end) {
		int width = (hist.n[i] * BAR_WIDTH + most - 1) / most;

		end = i + 1;
		while (!hist.n[i] && end < bins && !hist.n[end])
			end++;
		if (end == i + 1)
			snprintf(name, sizeof(name), "%u", i);
		else
			snprintf(name, sizeof(name), "%u-%u", i, end - 1);
		printf("%9s %8lu %6.1f%s%.*s\n", name, hist.n[i],
		       hist.pages ? 100.0 * hist.n[i] / hist.pages : 0.0,
		       width ? "  " : "", width, bar);
	}
}

int main(int argc, char *argv[])
{
	char path[64], comm[64] = "";
	unsigned int i, bins, used = 0;
	bool colored_only = false;
	char *end;
	long pid, ret;
	int opt;

	while ((opt = getopt(argc, argv, "rh")) != -1) {
		switch (opt) {
		case 'r':
			colored_only = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind != argc - 1) {
		usage(stderr);
		return 1;
	}
	errno = 0;
	pid = strtol(argv[optind], &end, 10);
	if (errno || end == argv[optind] || *end || pid <= 0 || pid > INT_MAX) {
		fprintf(stderr, "palloc_hist: bad PID: %s\n", argv[optind]);
		return 1;
	}
	if (geteuid()) {
		fputs("palloc_hist: page frame numbers are shown to root only\n", stderr);
		return 1;
	}
	palloc_init_tool();
	if (!palloc_map_read(&palloc_map)) {
		fputs("palloc_hist: cannot read " PALLOC_DIR "/control\n", stderr);
		return 1;
	}
	ret = palloc_count_all(pid, colored_only, &hist);
	if (ret < 0) {
		fprintf(stderr, "palloc_hist: PID %ld: %s\n", pid,
			ret == -ENOENT ? "no such process" : strerror(-ret));
		return 1;
	}

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	palloc_file_read(path, comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	bins = palloc_bins(&palloc_map);
	for (i = 0; i < bins; i++)
		used += hist.n[i] != 0;
	printf("%s (PID %ld), %s\n", comm, pid,
	       colored_only ? "MAP_PALLOC regions" : "all anonymous pages");
	print_bars(bins);
	printf("%lu pages, %u of %u colors used\n", hist.pages, used, bins);
	return 0;
}
