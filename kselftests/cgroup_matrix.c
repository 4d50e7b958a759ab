// SPDX-License-Identifier: GPL-2.0
/*
 * Proves what applies to cgroups after each step of many a sequence of changes: of
 * bins, policy and confinement, of the tree of groups, of the map, and of who lives
 * where. The sequences are tables. A row is an operation on a group and the error
 * it gets; then what the files of all groups read, where that has changed; then
 * what a process that lives in one of the groups is given, with MAP_PALLOC or not.
 */
#include <pthread.h>
#include <sys/stat.h>

#include "palloc_util.h"

#define PAGES	512

enum place {
	ROOT,
	A,	/* a */
	B,	/* a/b */
	C,	/* a/b/c */
	D,	/* a/d */
	NR_GROUPS,
};

enum op {
	BINS,		/* write a file of the group */
	EFFECTIVE,
	POLICY,
	CONFINE,
	STAT,
	SUBTREE,
	MAKE,		/* the group */
	REMOVE,
	DELEGATE,	/* the group to PALLOC_NOBODY */
	MOVE,		/* the process into the group */
	COLORS,		/* of the process's own choice */
	FALLBACK_MAP,	/* whether the process is strict about these */
	STRICT_MAP,
	MAP,		/* of colors: a mask, or what control takes */
	LOOK,		/* nothing */
	USER = 0x100,	/* by somebody without any privilege */
};

/*
 * A group's files read "BINS EFFECTIVE", followed by "strict" and "confine" where
 * that is what it was told; - is an empty line. The root has EFFECTIVE only.
 *
 * What the process is given: a list of colors, all of which it gets; "any";
 * "none", which is any, each page being counted as a fallback; or "fails".
 */
struct row {
	unsigned int op;
	enum place at;
	const char *value;
	int err;
	const char *want[NR_GROUPS];
	const char *plain, *region;
};

struct sequence {
	const struct row *row;
	unsigned int nr;
};

static const char *const file[] = {
	[BINS] = "palloc.bins",
	[EFFECTIVE] = "palloc.bins.effective",
	[POLICY] = "palloc.policy",
	[CONFINE] = "palloc.confine",
	[STAT] = "palloc.stat",
	[SUBTREE] = "cgroup.subtree_control",
};

static const char *path[NR_GROUPS];

/* The process */

struct order {
	char what;
	char text[64];
};

static struct {
	pid_t pid;
	int to, from;
	enum place home;
} proc;

static int obey(const struct order *o)
{
	int flags = o->what == 'r' ? MAP_PALLOC : 0;
	struct palloc_set set;
	int ret = -EDOM;
	void *p;

	switch (o->what) {
	case 'c':
		if (!palloc_map_read(&palloc_map))
			return -EIO;
		return palloc_set_colors(strcmp(o->text, "-") ? o->text : "") ? -errno : 0;
	case 's':
		return palloc_policy(PR_PALLOC_STRICT) ? -errno : 0;
	case 'f':
		return palloc_policy(PR_PALLOC_FALLBACK) ? -errno : 0;
	}

	if (!strcmp(o->text, "fails")) {
		p = palloc_map_pages(1, flags);
		ret = palloc_try_touch(p, 1, NULL) ? -EDOM : 0;
		palloc_free(p, 1);
		return ret;
	}
	if (!palloc_map_read(&palloc_map))
		return -EIO;
	if (!strcmp(o->text, "any")) {
		p = palloc_alloc(PALLOC_MANY, flags);
		ret = palloc_mixed(p, PALLOC_MANY) ? 0 : -EDOM;
		palloc_free(p, PALLOC_MANY);
		return ret;
	}
	p = palloc_alloc(PAGES, flags);
	if (!strcmp(o->text, "none")) {
		ret = 0;
	} else if (palloc_pure(p, PAGES, o->text)) {
		palloc_set_parse(&set, o->text);
		ret = palloc_seen(p, PAGES) == palloc_set_count(&set) ? 0 : -ENODATA;
	}
	palloc_free(p, PAGES);
	return ret;
}

static void lives(const void *arg)
{
	const int *pipes = arg;
	struct order order;
	int ret;

	palloc_steady();
	while (read(pipes[0], &order, sizeof(order)) == sizeof(order) && order.what != 'q') {
		ret = obey(&order);
		fflush(stdout);
		if (write(pipes[3], &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
}

static int tell(char what, const char *text)
{
	struct order order = { .what = what };
	int ret;

	snprintf(order.text, sizeof(order.text), "%s", text ?: "");
	if (write(proc.to, &order, sizeof(order)) != sizeof(order) || what == 'q' ||
	    read(proc.from, &ret, sizeof(ret)) != sizeof(ret))
		return -EPIPE;
	return ret;
}

static bool given(char what, const char *want)
{
	long before = palloc_cg_event(path[proc.home], "fallback");
	int ret;

	if (!want)
		return true;
	ret = tell(what, want);
	if (!ret && !strcmp(want, "none") &&
	    palloc_cg_event(path[proc.home], "fallback") - before < PAGES)
		ret = -ENODATA;
	if (ret)
		palloc_note("%s memory is not '%s': %s",
			    what == 'r' ? "MAP_PALLOC" : "other", want, strerror(-ret));
	return !ret;
}

/* Operations */

static int delegate(const char *dir)
{
	static const char *const names[] = {
		"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads",
	};
	char name[512];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
		if (chown(name, PALLOC_NOBODY, PALLOC_NOBODY))
			return -errno;
	}
	return 0;
}

/* Who was killed in a group may be leaving; who lives in it is not. */
static int remove_group(const char *cg, bool busy)
{
	unsigned int tries = busy ? 1 : 3000;

	while (rmdir(cg)) {
		if (errno != EBUSY || !--tries)
			return -errno;
		usleep(20000);
	}
	return 0;
}

static int operate(const struct row *row)
{
	const char *value = row->value ?: "\n";
	unsigned int op = row->op & ~USER;
	const char *cg = path[row->at];

	switch (op) {
	case MAKE:
		return mkdir(cg, 0755) ? -errno : 0;
	case REMOVE:
		return remove_group(cg, row->err);
	case DELEGATE:
		return delegate(cg);
	case MOVE:
		return palloc_cg_move(cg, proc.pid);
	case COLORS:
		return tell('c', row->value);
	case STRICT_MAP:
		return tell('s', NULL);
	case FALLBACK_MAP:
		return tell('f', NULL);
	case MAP:
		return palloc_puts(strchr(value, '\n') ? "control" : "palloc_mask", value);
	case LOOK:
		return 0;
	default:
		return palloc_cg_write(cg, file[op], value);
	}
}

static int operate_as_user(const struct row *row)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!palloc_be_nobody())
			_exit(255);
		_exit(-operate(row));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

/* What the files read */

static const char *line(const char *cg, const char *name)
{
	static char text[4][128];
	static unsigned int i;
	char *t = text[i++ % ARRAY_SIZE(text)];

	if (palloc_cg_read(cg, name, t, sizeof(text[0])) < 0)
		return "error";
	t[strcspn(t, "\n")] = '\0';
	return *t ? t : "-";
}

static void state(enum place g, char *text, size_t size)
{
	const char *cg = path[g];

	if (access(cg, F_OK))
		snprintf(text, size, "gone");
	else if (g == ROOT)
		snprintf(text, size, "%s", line(cg, "palloc.bins.effective"));
	else
		snprintf(text, size, "%s %s%s%s", line(cg, "palloc.bins"),
			 line(cg, "palloc.bins.effective"),
			 strcmp(line(cg, "palloc.policy"), "strict") ? "" : " strict",
			 strcmp(line(cg, "palloc.confine"), "1") ? "" : " confine");
}

static bool row_holds(const struct row *row, const char *now[NR_GROUPS])
{
	char text[300];
	bool ok = true;
	enum place g;
	int ret;

	ret = row->op & USER ? operate_as_user(row) : operate(row);
	if (ret != -row->err) {
		palloc_note("got %s, expected %s", ret ? strerror(-ret) : "success",
			    row->err ? strerror(row->err) : "success");
		return false;
	}
	if (!ret && (row->op & ~USER) == MOVE)
		proc.home = row->at;
	for (g = 0; g < NR_GROUPS; g++) {
		if (row->want[g])
			now[g] = row->want[g];
		state(g, text, sizeof(text));
		if (!strcmp(text, now[g]))
			continue;
		palloc_note("group %u reads '%s', expected '%s'", g, text, now[g]);
		ok = false;
	}
	return given('p', row->plain) && given('r', row->region) && ok;
}

static void test_sequence(const void *arg)
{
	const char *now[NR_GROUPS] = { "0-15", "- 0-15", "- 0-15", "- 0-15", "- 0-15" };
	const struct sequence *seq = arg;
	unsigned int i;
	int pipes[4];

	palloc_setup_mask(0xf000);
	path[ROOT] = palloc_cg_root();
	path[A] = palloc_cg_new(NULL, "a");
	path[B] = palloc_cg_new(path[A], "b");
	path[C] = palloc_cg_new(path[B], "c");
	path[D] = palloc_cg_new(path[A], "d");
	if (pipe(pipes) || pipe(pipes + 2))
		palloc_bail("pipe: %s", strerror(errno));
	proc.to = pipes[1];
	proc.from = pipes[2];
	proc.home = C;
	proc.pid = palloc_spawn(path[C], lives, pipes);
	close(pipes[0]);
	close(pipes[3]);

	for (i = 0; i < seq->nr; i++) {
		if (!expect(row_holds(&seq->row[i], now))) {
			palloc_note("in row %u", i + 1);
			break;
		}
	}
	tell('q', NULL);
	expect(palloc_reap(proc.pid));
	close(proc.to);
	close(proc.from);
	/* Children first; those that are made again are not known any more. */
	rmdir(path[C]);
	rmdir(path[B]);
	rmdir(path[D]);
}

#define SEQUENCE(name)								\
	static const struct sequence name = {					\
		.row = name##_rows, .nr = ARRAY_SIZE(name##_rows),		\
	}

/*        operation, group, value, error, { root, a, a/b, a/b/c, a/d }, process in a/b/c */

static const struct row narrow_rows[] = {
	{ LOOK, ROOT, NULL, 0, { NULL }, "any", NULL },
	{ BINS, A, "0-7", 0, { NULL, "0-7 0-7", "- 0-7", "- 0-7", "- 0-7" }, "0-7", NULL },
	{ BINS, B, "2-5", 0, { [B] = "2-5 2-5", [C] = "- 2-5" }, "2-5", NULL },
	{ BINS, C, "4-11", 0, { [C] = "4-11 4-5" }, "4-5", NULL },
	{ BINS, D, "6,9", 0, { [D] = "6,9 6" }, "4-5", NULL },
	{ BINS, C, "5", 0, { [C] = "5 5" }, "5", NULL },
	{ BINS, C, NULL, 0, { [C] = "- 2-5" }, "2-5", NULL },
	{ BINS, A, NULL, 0, { NULL, "- 0-15", "2-5 2-5", "- 2-5", "6,9 6,9" }, "2-5", NULL },
	{ BINS, B, NULL, 0, { [B] = "- 0-15", [C] = "- 0-15" }, "any", NULL },
	{ BINS, B, "0-15", 0, { [B] = "0-15 0-15", [C] = "- 0-15" }, "any", NULL },
};

SEQUENCE(narrow);

static const struct row disjoint_rows[] = {
	{ BINS, A, "0-3", 0, { NULL, "0-3 0-3", "- 0-3", "- 0-3", "- 0-3" }, NULL, NULL },
	{ BINS, B, "8-11", 0, { [B] = "8-11 0-3" }, "0-3", NULL },
	{ BINS, C, "8", 0, { [C] = "8 0-3" }, "0-3", NULL },
	{ BINS, C, "1,8", 0, { [C] = "1,8 1" }, "1", NULL },
	{ BINS, A, "0-8", 0, { NULL, "0-8 0-8", "8-11 8", "1,8 8", "- 0-8" }, "8", NULL },
	{ BINS, A, "12-15", 0, { NULL, "12-15 12-15", "8-11 12-15", "1,8 12-15", "- 12-15" },
		"12-15", NULL },
	{ BINS, D, "0-11", 0, { [D] = "0-11 12-15" }, NULL, NULL },
	{ BINS, A, NULL, 0, { NULL, "- 0-15", "8-11 8-11", "1,8 8", "0-11 0-11" }, "8", NULL },
};

SEQUENCE(disjoint);

static const struct row parents_rows[] = {
	{ BINS, C, "4-11", 0, { [C] = "4-11 4-11" }, "4-11", NULL },
	{ BINS, A, "0-7", 0, { NULL, "0-7 0-7", "- 0-7", "4-11 4-7", "- 0-7" }, "4-7", NULL },
	{ BINS, B, "5", 0, { [B] = "5 5", [C] = "4-11 5" }, "5", NULL },
	{ BINS, A, "0-4", 0, { NULL, "0-4 0-4", "5 0-4", "4-11 4", "- 0-4" }, "4", NULL },
	{ BINS, A, "0-3", 0, { NULL, "0-3 0-3", "5 0-3", "4-11 0-3", "- 0-3" }, "0-3", NULL },
	{ BINS, A, "0-15", 0, { NULL, "0-15 0-15", "5 5", "4-11 5", "- 0-15" }, "5", NULL },
	{ BINS, B, NULL, 0, { [B] = "- 0-15", [C] = "4-11 4-11" }, "4-11", NULL },
};

SEQUENCE(parents);

/* 4 bins, 16, 4, 2, 256, none, 16 */
static const struct row maps_rows[] = {
	{ BINS, A, "1,9-10", 0, { NULL, "1,9-10 1,9-10", "- 1,9-10", "- 1,9-10", "- 1,9-10" },
		"1,9-10", NULL },
	{ BINS, C, "9", 0, { [C] = "9 9" }, "9", NULL },
	{ BINS, D, "10,1", 0, { [D] = "1,10 1,10" }, NULL, NULL },
	{ MAP, ROOT, "0x3000", 0, { "0-3", "1,9-10 1", "- 1", "9 1", "1,10 1" }, "1", NULL },
	{ BINS, C, "9", ERANGE, { NULL }, "1", NULL },
	{ MAP, ROOT, "0xf000", 0, { "0-15", "1,9-10 1,9-10", "- 1,9-10", "9 9", "1,10 1,10" },
		"9", NULL },
	{ BINS, A, "9-10", 0, { NULL, "9-10 9-10", "- 9-10", "9 9", "1,10 10" }, "9", NULL },
	/* Nothing of what was asked for is there: that is not everything. */
	{ MAP, ROOT, "0x3000", 0, { "0-3", "9-10 -", "- -", "9 -", "1,10 -" }, "none", NULL },
	{ BINS, C, "2", 0, { [C] = "2 -" }, "none", NULL },
	{ BINS, D, NULL, 0, { [D] = "- -" }, NULL, NULL },
	{ POLICY, A, "strict", 0, { [A] = "9-10 - strict" }, "fails", NULL },
	{ MAP, ROOT, "0x1000", 0, { [ROOT] = "0-1" }, "fails", NULL },
	{ MAP, ROOT, "0xff000", 0, { "0-255", "9-10 9-10 strict", "- 9-10", "2 9-10", "- 9-10" },
		"9-10", NULL },
	{ MAP, ROOT, "0", 0, { "0", "9-10 - strict", "- -", "2 -", "- -" }, NULL, NULL },
	{ BINS, A, "0", 0, { NULL, "0 0 strict", "- 0", "2 0", "- 0" }, NULL, NULL },
	{ MAP, ROOT, "0xf000", 0, { [ROOT] = "0-15" }, "0", NULL },
	{ BINS, A, NULL, 0, { NULL, "- 0-15 strict", "- 0-15", "2 2", "- 0-15" }, "2", NULL },
};

SEQUENCE(maps);

/* Bit 6 is the same for all pages: 0 and 2 of 4 bins have some. */
static const struct row empty_bins_rows[] = {
	{ BINS, A, "1,3", 0, { NULL, "1,3 1,3", "- 1,3", "- 1,3", "- 1,3" }, "1,3", NULL },
	{ BINS, D, "3", 0, { [D] = "3 3" }, NULL, NULL },
	{ MAP, ROOT, "6\n12\n", 0, { "0,2", "1,3 -", "- -", "- -", "3 -" }, "none", NULL },
	{ BINS, A, "0-2", 0, { NULL, "0-2 0,2", "- 0,2", "- 0,2", "3 0,2" }, "0,2", NULL },
	{ BINS, A, "1", ENXIO, { NULL }, "0,2", NULL },
	{ BINS, A, "1,3", ENXIO, { NULL }, NULL, NULL },
	{ BINS, A, "4", ERANGE, { NULL }, NULL, NULL },
	{ BINS, C, "3", ENXIO, { NULL }, NULL, NULL },
	{ BINS, C, "2-3", 0, { [C] = "2-3 2" }, "2", NULL },
	{ BINS, A, "0-3", 0, { NULL, "0-3 0,2" }, "2", NULL },
	{ MAP, ROOT, "0x3000", 0, { "0-3", "0-3 0-3", "- 0-3", "2-3 2-3", "3 3" }, "2-3", NULL },
	/* There could be memory at 4 PiB, in bins 2 and 3, but there is none. */
	{ MAP, ROOT, "12\n52\n", 0, { NULL }, NULL, NULL },
	{ BINS, A, "3", ENXIO, { NULL }, NULL, NULL },
	{ BINS, A, "2-3", ENXIO, { NULL }, NULL, NULL },
	{ BINS, A, "1,3", 0, { NULL, "1,3 1,3", "- 1,3", "2-3 3" }, NULL, NULL },
	{ MAP, ROOT, "0x3000", 0, { NULL }, NULL, NULL },
};

SEQUENCE(empty_bins);

static const struct row refused_rows[] = {
	{ BINS, A, "1-2", 0, { NULL, "1-2 1-2", "- 1-2", "- 1-2", "- 1-2" }, NULL, NULL },
	{ BINS, A, "16", ERANGE, { NULL }, NULL, NULL },
	{ BINS, A, "0-16", ERANGE, { NULL }, NULL, NULL },
	{ BINS, A, "2-1", EINVAL, { NULL }, NULL, NULL },
	{ BINS, A, "one", EINVAL, { NULL }, NULL, NULL },
	{ POLICY, A, "strictly", EINVAL, { NULL }, NULL, NULL },
	{ POLICY, A, NULL, EINVAL, { NULL }, NULL, NULL },
	{ CONFINE, A, "2", EINVAL, { NULL }, NULL, NULL },
	{ CONFINE, A, "-1", EINVAL, { NULL }, NULL, NULL },
	{ CONFINE, A, "yes", EINVAL, { NULL }, NULL, NULL },
	{ CONFINE, A, NULL, EINVAL, { NULL }, NULL, NULL },
	{ EFFECTIVE, A, "1", EINVAL, { NULL }, NULL, NULL },
	{ STAT, A, "0", EINVAL, { NULL }, NULL, NULL },
	{ BINS, ROOT, "0-3", ENOENT, { NULL }, NULL, NULL },
	{ POLICY, ROOT, "strict", ENOENT, { NULL }, NULL, NULL },
	{ CONFINE, ROOT, "1", ENOENT, { NULL }, NULL, NULL },
	{ EFFECTIVE, ROOT, "1", EINVAL, { NULL }, NULL, NULL },
	{ STAT, ROOT, "0", EINVAL, { NULL }, "1-2", NULL },
};

SEQUENCE(refused);

/* Whoever is strict above is so below; of what colors is another matter. */
static const struct row policies_rows[] = {
	{ POLICY, A, "strict", 0, { [A] = "- 0-15 strict" }, "any", NULL },
	{ BINS, C, "9", 0, { [C] = "9 9" }, "9", NULL },
	{ MAP, ROOT, "0x3000", 0, { "0-3", "- 0-3 strict", "- 0-3", "9 -", "- 0-3" },
		"fails", NULL },
	{ POLICY, C, "fallback", 0, { NULL }, "fails", NULL },
	{ POLICY, A, "fallback", 0, { [A] = "- 0-3" }, "none", NULL },
	{ POLICY, C, "strict", 0, { [C] = "9 - strict" }, "fails", NULL },
	{ MOVE, D, NULL, 0, { NULL }, "any", NULL },
	{ BINS, D, "1", 0, { [D] = "1 1" }, "1", NULL },
};

SEQUENCE(policies);

/* a process chooses colors, and is confined */
static const struct row confine_rows[] = {
	{ BINS, A, "0-7", 0, { NULL, "0-7 0-7", "- 0-7", "- 0-7", "- 0-7" }, NULL, NULL },
	{ COLORS, C, "9", 0, { NULL }, "0-7", "9" },
	/* What it has already does not count any more. */
	{ CONFINE, A, "1", 0, { [A] = "0-7 0-7 confine" }, "0-7", "0-7" },
	{ COLORS, C, "9", EPERM, { NULL }, "0-7", "0-7" },
	{ COLORS, C, "7-8", EPERM, { NULL }, NULL, "0-7" },
	{ COLORS, C, "6-7", 0, { NULL }, "0-7", "6-7" },
	{ COLORS, C, "8", EPERM, { NULL }, NULL, "6-7" },
	{ COLORS, C, "-", 0, { NULL }, "0-7", "0-7" },
	{ COLORS, C, "0-7", 0, { NULL }, "0-7", "0-7" },
	/* It follows what applies to it, not to who confines it. */
	{ BINS, C, "2-3", 0, { [C] = "2-3 2-3" }, "2-3", "2-3" },
	{ COLORS, C, "4", EPERM, { NULL }, "2-3", "2-3" },
	{ COLORS, C, "3", 0, { NULL }, "2-3", "3" },
	{ BINS, C, "2", 0, { [C] = "2 2" }, "2", "2" },
	{ BINS, C, "3-4", 0, { [C] = "3-4 3-4" }, "3-4", "3" },
	/* There is no way out from below. */
	{ CONFINE, C, "0", 0, { NULL }, NULL, NULL },
	{ COLORS, C, "9", EPERM, { NULL }, "3-4", "3" },
	{ CONFINE, C, "1", 0, { [C] = "3-4 3-4 confine" }, NULL, "3" },
	{ CONFINE, A, "0", 0, { [A] = "0-7 0-7" }, NULL, NULL },
	{ COLORS, C, "5", EPERM, { NULL }, NULL, "3" },
	{ CONFINE, C, "0", 0, { [C] = "3-4 3-4" }, NULL, NULL },
	{ COLORS, C, "9", 0, { NULL }, "3-4", "9" },
};

SEQUENCE(confine);

/* It brings its map along. */
static const struct row confine_moves_rows[] = {
	{ BINS, D, "0-3", 0, { [D] = "0-3 0-3" }, NULL, NULL },
	{ CONFINE, D, "1", 0, { [D] = "0-3 0-3 confine" }, NULL, NULL },
	{ COLORS, C, "9", 0, { NULL }, "any", "9" },
	{ MOVE, D, NULL, 0, { NULL }, "0-3", "0-3" },
	{ COLORS, C, "9", EPERM, { NULL }, NULL, "0-3" },
	{ MOVE, C, NULL, 0, { NULL }, "any", "9" },
	{ COLORS, C, "1", 0, { NULL }, NULL, "1" },
	{ MOVE, D, NULL, 0, { NULL }, "0-3", "1" },
	/* Who may have any color is confined to nothing. */
	{ BINS, D, NULL, 0, { [D] = "- 0-15 confine" }, NULL, "1" },
	{ COLORS, C, "12", 0, { NULL }, "any", "12" },
	{ MOVE, ROOT, NULL, 0, { NULL }, NULL, "12" },
};

SEQUENCE(confine_moves);

/* Running out of one's own colors is no way to others. */
static const struct row confine_strict_rows[] = {
	{ BINS, C, "0-3,9", 0, { [C] = "0-3,9 0-3,9" }, NULL, NULL },
	{ COLORS, C, "9", 0, { NULL }, "0-3,9", "9" },
	{ POLICY, C, "strict", 0, { [C] = "0-3,9 0-3,9 strict" }, NULL, "9" },
	/* 9 is not there any more. */
	{ MAP, ROOT, "0x7000", 0, { "0-7", "- 0-7", "- 0-7", "0-3,9 0-3 strict", "- 0-7" },
		"0-3", NULL },
	{ STRICT_MAP, C, NULL, 0, { NULL }, "0-3", "fails" },
	{ FALLBACK_MAP, C, NULL, 0, { NULL }, "0-3", "any" },
	{ CONFINE, C, "1", 0, { [C] = "0-3,9 0-3 strict confine" }, "0-3", "0-3" },
	{ BINS, C, "0", 0, { [C] = "0 0 strict confine" }, "0", "0" },
	{ COLORS, C, "0", 0, { NULL }, "0", "0" },
	{ MAP, ROOT, "0xf000", 0, { "0-15", "- 0-15", "- 0-15", NULL, "- 0-15" }, NULL, NULL },
	{ BINS, C, "12", 0, { [C] = "12 12 strict confine" }, "12", "12" },
	{ COLORS, C, "12", 0, { NULL }, "12", "12" },
	/* Nothing is left. */
	{ MAP, ROOT, "0x7000", 0, { "0-7", "- 0-7", "- 0-7", "12 - strict confine", "- 0-7" },
		"fails", "fails" },
	{ COLORS, C, "1", EPERM, { NULL }, NULL, "fails" },
	{ CONFINE, C, "0", 0, { [C] = "12 - strict" }, "fails", "any" },
	{ COLORS, C, "1", 0, { NULL }, "fails", "1" },
};

SEQUENCE(confine_strict);

static const struct row moves_rows[] = {
	{ BINS, C, "0-3", 0, { [C] = "0-3 0-3" }, "0-3", NULL },
	{ BINS, D, "8-9", 0, { [D] = "8-9 8-9" }, "0-3", NULL },
	{ MOVE, D, NULL, 0, { NULL }, "8-9", NULL },
	{ MOVE, A, NULL, EBUSY, { NULL }, "8-9", NULL },
	{ MOVE, ROOT, NULL, 0, { NULL }, "any", NULL },
	{ MOVE, C, NULL, 0, { NULL }, "0-3", NULL },
	{ COLORS, C, "12", 0, { NULL }, "0-3", "12" },
	{ MOVE, D, NULL, 0, { NULL }, "8-9", "12" },
	{ BINS, A, "9-12", 0, { NULL, "9-12 9-12", "- 9-12", "0-3 9-12", "8-9 9" }, "9", "12" },
};

SEQUENCE(moves);

static const struct row removal_rows[] = {
	{ BINS, B, "4-5", 0, { [B] = "4-5 4-5", [C] = "- 4-5" }, "4-5", NULL },
	{ REMOVE, C, NULL, EBUSY, { NULL }, "4-5", NULL },
	{ REMOVE, B, NULL, EBUSY, { NULL }, NULL, NULL },
	{ MOVE, D, NULL, 0, { NULL }, "any", NULL },
	{ REMOVE, C, NULL, 0, { [C] = "gone" }, NULL, NULL },
	{ MAKE, C, NULL, 0, { [C] = "- 4-5" }, NULL, NULL },
	{ MAKE, C, NULL, EEXIST, { NULL }, NULL, NULL },
	{ BINS, C, "5-6", 0, { [C] = "5-6 5" }, NULL, NULL },
	{ CONFINE, C, "1", 0, { [C] = "5-6 5 confine" }, NULL, NULL },
	{ MOVE, C, NULL, 0, { NULL }, "5", NULL },
	{ BINS, B, NULL, 0, { [B] = "- 0-15", [C] = "5-6 5-6 confine" }, "5-6", NULL },
	{ MOVE, D, NULL, 0, { NULL }, "any", NULL },
	{ REMOVE, C, NULL, 0, { [C] = "gone" }, NULL, NULL },
	{ REMOVE, B, NULL, 0, { [B] = "gone" }, NULL, NULL },
	{ MAKE, B, NULL, 0, { [B] = "- 0-15" }, NULL, NULL },
	/* Of the controller, not of the group */
	{ BINS, B, "1", 0, { [B] = "1 1" }, NULL, NULL },
	{ BINS, D, "2", 0, { [D] = "2 2" }, "2", NULL },
	{ BINS, A, "0-3", 0, { NULL, "0-3 0-3" }, "2", NULL },
	{ SUBTREE, A, "-palloc", 0, { [B] = "error error", [D] = "error error" }, "0-3", NULL },
	{ SUBTREE, A, "+palloc", 0, { [B] = "- 0-3", [D] = "- 0-3" }, "0-3", NULL },
};

SEQUENCE(removal);

static const struct row delegation_rows[] = {
	{ BINS, A, "0-7", 0, { NULL, "0-7 0-7", "- 0-7", "- 0-7", "- 0-7" }, NULL, NULL },
	{ BINS, D, "6-7", 0, { [D] = "6-7 6-7" }, NULL, NULL },
	{ BINS | USER, D, "1", EACCES, { NULL }, NULL, NULL },
	{ SUBTREE | USER, A, "-palloc", EACCES, { NULL }, NULL, NULL },
	/* The process is to be theirs, and so is all below a/b. */
	{ DELEGATE, B, NULL, 0, { NULL }, NULL, NULL },
	{ MOVE, D, NULL, 0, { NULL }, "6-7", NULL },
	{ REMOVE, C, NULL, 0, { [C] = "gone" }, NULL, NULL },
	{ SUBTREE | USER, B, "-palloc", 0, { NULL }, NULL, NULL },
	{ MOVE, B, NULL, 0, { NULL }, "0-7", NULL },
	{ BINS, B, "2-5", 0, { [B] = "2-5 2-5" }, "2-5", NULL },
	/* What they were given they can't change ... */
	{ BINS | USER, B, "0-7", EACCES, { NULL }, NULL, NULL },
	{ POLICY | USER, B, "strict", EACCES, { NULL }, NULL, NULL },
	{ CONFINE | USER, B, "1", EACCES, { NULL }, NULL, NULL },
	{ BINS | USER, A, "0-7", EACCES, { NULL }, NULL, NULL },
	{ BINS | USER, D, "0-7", EACCES, { NULL }, NULL, NULL },
	{ MAKE | USER, C, NULL, 0, { [C] = "error error" }, NULL, NULL },
	{ MOVE | USER, C, NULL, 0, { NULL }, "2-5", NULL },
	{ SUBTREE | USER, B, "+palloc", 0, { [C] = "- 2-5" }, "2-5", NULL },
	/* ... but divide. */
	{ BINS | USER, C, "3-7", 0, { [C] = "3-7 3-5" }, "3-5", NULL },
	{ BINS | USER, C, "0", 0, { [C] = "0 2-5" }, "2-5", NULL },
	{ BINS | USER, C, "16", ERANGE, { NULL }, NULL, NULL },
	{ BINS | USER, C, "4", 0, { [C] = "4 4" }, "4", NULL },
	{ POLICY | USER, C, "strict", 0, { [C] = "4 4 strict" }, "4", NULL },
	{ POLICY | USER, C, "fallback", 0, { [C] = "4 4" }, "4", NULL },
	/* They are confined if that is wanted, and may be more so. */
	{ COLORS, C, "9", 0, { NULL }, "4", "9" },
	{ CONFINE, B, "1", 0, { [B] = "2-5 2-5 confine" }, "4", "4" },
	{ CONFINE | USER, B, "0", EACCES, { NULL }, NULL, NULL },
	{ CONFINE | USER, C, "0", 0, { NULL }, "4", "4" },
	{ COLORS, C, "9", EPERM, { NULL }, NULL, NULL },
	{ BINS | USER, C, NULL, 0, { [C] = "- 2-5" }, NULL, "2-5" },
	{ COLORS, C, "5", 0, { NULL }, "2-5", "5" },
	{ CONFINE | USER, C, "1", 0, { [C] = "- 2-5 confine" }, "2-5", "5" },
	/* There is no way out, nor in. */
	{ MOVE | USER, D, NULL, EACCES, { NULL }, NULL, NULL },
	{ MOVE | USER, ROOT, NULL, EACCES, { NULL }, "2-5", NULL },
	{ BINS, B, "2-3", 0, { [B] = "2-3 2-3 confine", [C] = "- 2-3 confine" }, "2-3", "2-3" },
	{ MOVE, D, NULL, 0, { NULL }, "6-7", "5" },
	{ MOVE | USER, C, NULL, EACCES, { NULL }, "6-7", NULL },
	{ REMOVE | USER, C, NULL, 0, { [C] = "gone" }, NULL, NULL },
	{ REMOVE | USER, D, NULL, EACCES, { NULL }, NULL, NULL },
};

SEQUENCE(delegation);

/* Threads: palloc is for processes, and leaves threaded cgroups alone. */

struct threads {
	const char *domain, *threaded;
};

static void *thread(void *arg)
{
	const struct threads *t = arg;
	char tid[16];

	snprintf(tid, sizeof(tid), "%ld", syscall(SYS_gettid));
	expect(palloc_cg_write(t->threaded, "cgroup.threads", tid) == 0);
	expect(palloc_given(PAGES, 0, "4-5"));
	expect(palloc_cg_bins(t->domain, "9") == 0);
	expect(palloc_given(PAGES, 0, "9"));
	/* A thread alone can't leave the group that has the colors. */
	expect(palloc_cg_write(palloc_cg_root(), "cgroup.threads", tid) == -EOPNOTSUPP);
	return NULL;
}

static void has_threads(const void *arg)
{
	pthread_t id;
	void *p;

	if (!expect(!pthread_create(&id, NULL, thread, (void *)arg)))
		return;
	pthread_join(id, NULL);
	p = palloc_alloc(PAGES, 0);
	expect(palloc_pure(p, PAGES, "9"));
}

static void test_threads(const void *arg)
{
	struct threads t;
	char text[64];

	t.domain = palloc_setup_cg("domain", NULL);
	t.threaded = palloc_cg_new(t.domain, "threaded");
	expect(palloc_cg_write(t.domain, "cgroup.subtree_control", "-palloc") == 0);
	expect(palloc_cg_write(t.threaded, "cgroup.type", "threaded") == 0);
	expect(palloc_cg_bins(t.domain, "4-5") == 0);
	expect(palloc_cg_read(t.threaded, "palloc.bins", text, sizeof(text)) == -ENOENT);
	expect(palloc_cg_write(t.domain, "cgroup.subtree_control", "+palloc") < 0);
	expect(palloc_cg_write(t.threaded, "cgroup.subtree_control", "+palloc") < 0);
	expect(palloc_run_in(t.domain, has_threads, &t));
}

/* Being watched: palloc.events says so where pages are of other colors than told. */

static void touches(const void *arg)
{
	void *p = palloc_alloc(PAGES, 0);

	palloc_free(p, PAGES);
}

static void test_watched(const void *arg)
{
	const char *top = palloc_setup_cg("top", NULL);
	const char *leaf = palloc_cg_with(top, "leaf", "9");
	int top_fd, leaf_fd;

	top_fd = palloc_cg_open_events(top);
	leaf_fd = palloc_cg_open_events(leaf);
	expect(palloc_run_in(leaf, touches, NULL));
	expect(palloc_notified(leaf_fd, false));
	expect(palloc_puts("palloc_mask", "0x3000") == 0);
	expect(palloc_cg_reads(leaf, "palloc.bins.effective", "\n"));
	expect(palloc_run_in(leaf, touches, NULL));
	expect(palloc_notified(leaf_fd, true));
	expect(palloc_notified(top_fd, true));
	expect(palloc_cg_event(leaf, "fallback") >= PAGES);
	expect(palloc_cg_event(top, "fallback") == palloc_cg_event(leaf, "fallback"));
	close(top_fd);
	close(leaf_fd);
}

/* 4 MiB of a color: there may be no more, but not another one. */
static void exhausts(const void *arg)
{
	const size_t pages = 2048;
	void *p;

	expect(palloc_set_color(5) == 0);
	expect(palloc_policy(PR_PALLOC_FALLBACK) == 0);
	palloc_steady();
	p = palloc_map_pages(pages, MAP_PALLOC);
	expect(palloc_try_touch(p, pages, NULL) < pages);
	palloc_free(p, pages);
}

static void test_exhausted(const void *arg)
{
	const char *cg;

	palloc_setup_mask(0xff000);
	cg = palloc_cg_with(NULL, "exhausted", "5-8");
	expect(palloc_cg_write(cg, "palloc.policy", "strict") == 0);
	expect(palloc_cg_write(cg, "palloc.confine", "1") == 0);
	expect(palloc_run_in(cg, exhausts, NULL));
}

static const struct palloc_test tests[] = {
	{ "groups within groups", test_sequence, &narrow },
	{ "bins that the parent does not have", test_sequence, &disjoint },
	{ "parents get less and more", test_sequence, &parents },
	{ "the map changes", test_sequence, &maps },
	{ "bins that no page is in", test_sequence, &empty_bins },
	{ "what is refused changes nothing", test_sequence, &refused },
	{ "policies", test_sequence, &policies },
	{ "confined", test_sequence, &confine },
	{ "confined after a move", test_sequence, &confine_moves },
	{ "confined by who is strict", test_sequence, &confine_strict },
	{ "moves", test_sequence, &moves },
	{ "removal", test_sequence, &removal },
	{ "delegation", test_sequence, &delegation },
	{ "confined by who is strict: the color runs out", test_exhausted, NULL },
	{ "threads", test_threads, NULL },
	{ "a fallback is notified", test_watched, NULL },
};

PALLOC_TEST_MAIN(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP)
