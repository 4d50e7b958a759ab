// SPDX-License-Identifier: GPL-2.0
/*
 * Watches the tasks of cgroups while they run: each of their anonymous pages is
 * to have one of the colors that its cgroup has when the tool starts. For tasks
 * that were started in the cgroup and have no MAP_PALLOC regions.
 *
 * A page that looks wrong is looked at again: what was seen may have been of a
 * process that has ended since, or of a page on its way out. Pages that the
 * kernel has counted as fallbacks may be wrong.
 */
#include <limits.h>
#include <sys/resource.h>
#include <time.h>

#include "palloc_util.h"

#define GROUPS		8
#define CHUNK		512		/* pages looked at in one go */
#define MOST		(256UL << 20)	/* of one mapping, from anywhere in it */
#define LOOKS		4
#define REMEMBERED	4096
#define REPORTED	20

static struct group {
	const char *path;
	struct palloc_set set;
	unsigned long processes, pages;
} groups[GROUPS];

static unsigned int nr_groups;

/* Pages that are wrong, each once. */
static struct bad {
	int pid;
	unsigned long addr;
} bad[REMEMBERED];

static unsigned long nr_bad;

/* Those that looked wrong once, and were right or gone when looked at again. */
static unsigned long nr_passing;

static bool known(int pid, unsigned long addr)
{
	unsigned long i;

	for (i = 0; i < nr_bad && i < REMEMBERED; i++)
		if (bad[i].pid == pid && bad[i].addr == addr)
			return true;
	return false;
}

/* The one color of the page, -1 if there is no anonymous page. */
static int color_at(int pid, unsigned long addr)
{
	static struct palloc_hist hist;
	unsigned int i;

	memset(&hist, 0, sizeof(hist));
	if (palloc_count(pid, (void *)addr, 1, &hist) != 1)
		return -1;
	for (i = 0; !hist.n[i]; i++)
		;
	return i;
}

static bool in_group(const struct group *g, int pid)
{
	char path[64], text[PATH_MAX], *at;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (palloc_file_read(path, text, sizeof(text)) <= 0)
		return false;
	at = strstr(text, "0::");
	if (!at)
		return false;
	at += 3;
	len = strcspn(at, "\n");
	at[len] = '\0';
	return strlen(g->path) >= len && !strcmp(g->path + strlen(g->path) - len, at);
}

static void passing(const struct group *g, int pid, unsigned long addr, int color, int now)
{
	if (nr_passing++ < REPORTED)
		printf("wrong for a moment: %s, PID %d, address %#lx, color %d, then %d\n",
		       g->path, pid, addr, color, now);
}

/* Wrong now, and a few times more, at the same color all the time? */
static void look_again(const struct group *g, int pid, unsigned long addr)
{
	int color = color_at(pid, addr), now, i;
	char path[64], comm[64] = "";

	if (color < 0 || palloc_set_has(&g->set, color) || known(pid, addr))
		return;
	for (i = 0; i < LOOKS; i++) {
		usleep(20000);
		now = color_at(pid, addr);
		if (now != color) {
			passing(g, pid, addr, color, now);
			return;
		}
	}
	if (!in_group(g, pid)) {
		passing(g, pid, addr, color, -1);
		return;
	}
	if (nr_bad < REMEMBERED)
		bad[nr_bad] = (struct bad){ pid, addr };
	if (nr_bad++ >= REPORTED)
		return;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	palloc_file_read(path, comm, sizeof(comm));
	printf("wrong: %s, PID %d (%.*s), address %#lx, color %d\n", g->path, pid,
	       (int)strcspn(comm, "\n"), comm, addr, color);
}

static void look_at_range(struct group *g, int pid, unsigned long from, unsigned long to)
{
	const unsigned int bins = palloc_bins(&palloc_map);
	static struct palloc_hist hist;
	unsigned long addr, i, n;
	unsigned int color;
	bool wrong;

	if (to - from > MOST) {
		n = (to - from - MOST) / palloc_page_size;
		from += random() % n * palloc_page_size;
		to = from + MOST;
	}
	for (addr = from; addr < to; addr += n * palloc_page_size) {
		n = (to - addr) / palloc_page_size;
		if (n > CHUNK)
			n = CHUNK;
		memset(&hist, 0, sizeof(hist));
		if (palloc_count(pid, (void *)addr, n, &hist) < 0)
			return;
		g->pages += hist.pages;
		for (color = 0, wrong = false; color < bins; color++)
			wrong |= hist.n[color] && !palloc_set_has(&g->set, color);
		for (i = 0; wrong && i < n; i++)
			look_again(g, pid, addr + i * palloc_page_size);
	}
}

static void look_at_process(struct group *g, int pid)
{
	char path[64], line[PATH_MAX + 128];
	unsigned long from, to;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && !strstr(line, "[v"))
			look_at_range(g, pid, from, to);
	fclose(f);
	g->processes++;
}

static void look_at_group(struct group *g)
{
	static char text[65536];
	char *at, *save;

	if (palloc_cg_read(g->path, "cgroup.procs", text, sizeof(text)) < 0)
		return;
	for (at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save))
		look_at_process(g, atoi(at));
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void report(void)
{
	unsigned int i;

	for (i = 0; i < nr_groups; i++)
		printf("%s: %lu pages looked at, in %lu looks at a process\n", groups[i].path,
		       groups[i].pages, groups[i].processes);
	printf("%lu wrong, %lu more for a moment, %llu fallbacks, %llu failures\n", nr_bad,
	       nr_passing, palloc_fallbacks(), palloc_failures());
	fflush(stdout);
}

int main(int argc, char *argv[])
{
	time_t end, next;
	int i;

	if (argc < 3 || argc > 2 + GROUPS) {
		fprintf(stderr,
			"Usage: palloc_sample SECONDS CGROUP...\n"
			"Checks the colors of all pages of the cgroups' tasks for so long.\n");
		return 1;
	}
	palloc_init_tool();
	if (!palloc_map_read(&palloc_map)) {
		fputs("palloc_sample: cannot read " PALLOC_DIR "/control\n", stderr);
		return 1;
	}
	for (i = 2; i < argc; i++) {
		struct group *g = &groups[nr_groups++];
		char list[4096];

		g->path = argv[i];
		if (palloc_cg_read(g->path, "palloc.bins.effective", list, sizeof(list)) <= 1) {
			fprintf(stderr, "palloc_sample: %s has no bins\n", g->path);
			return 1;
		}
		list[strcspn(list, "\n")] = '\0';
		palloc_set_parse(&g->set, list);
	}
	/* Where there is a lot of load, to look often all the same. */
	setpriority(PRIO_PROCESS, 0, -15);
	end = seconds() + atoi(argv[1]);
	next = seconds() + 60;
	while (seconds() < end) {
		for (i = 0; i < (int)nr_groups; i++)
			look_at_group(&groups[i]);
		if (seconds() >= next) {
			next += 60;
			report();
		}
		usleep(100000);
	}
	report();
	for (i = 0; i < (int)nr_groups; i++)
		if (!groups[i].pages)
			return 1;
	return nr_bad > palloc_fallbacks();
}
