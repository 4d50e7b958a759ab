// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that the tool palloc (tools/mm/palloc-tool) does what palloc(8) says, by what
 * it prints, its exit status, and what is left in the kernel afterwards; that what
 * it shows of a process is what the process has; that its JSON is well-formed; and
 * that a program which knows nothing of colors gets them with libpalloc_preload.so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "palloc_util.h"

#define PAGES		300
#define DEPTH		10

static char out[1 << 17];

/* One step. */
static void run(const char *command, int status, const char *output)
{
	struct palloc_step step = { command, status, output };

	palloc_note("%s", command);
	palloc_step(&step);
}

/* Steps up to one without a command. */
static void run_all(const struct palloc_step *step)
{
	for (; step->command; step++)
		run(step->command, step->status, step->output);
}

/* The same, with 16 bins and palloc enabled. */
static void test_steps(const void *arg)
{
	palloc_setup_mask(0xf000);
	run_all(arg);
}

/* JSON: the end of the value that begins at @s, NULL if it is not well-formed */

static const char *json_value(const char *s, int depth);

static const char *json_string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < ' ')
			return NULL;
		if (*s == '\\' && !strchr("\"\\/bfnrtu", *++s))
			return NULL;
	}
	return s + 1;
}

static const char *json_list(const char *s, char end, int depth)
{
	if (*++s == end)
		return s + 1;
	for (;; s++) {
		if (end == '}') {
			s = json_string(s);
			if (!s || *s++ != ':')
				return NULL;
		}
		s = json_value(s, depth);
		if (!s || *s == end)
			return s ? s + 1 : NULL;
		if (*s != ',')
			return NULL;
	}
}

static const char *json_value(const char *s, int depth)
{
	size_t len;

	if (depth > DEPTH)
		return NULL;
	switch (*s) {
	case '{':
		return json_list(s, '}', depth + 1);
	case '[':
		return json_list(s, ']', depth + 1);
	case '"':
		return json_string(s);
	case 't':
		return strncmp(s, "true", 4) ? NULL : s + 4;
	case 'f':
		return strncmp(s, "false", 5) ? NULL : s + 5;
	default:
		s += *s == '-';
		len = strspn(s, "0123456789");
		return len && (len == 1 || *s != '0') ? s + len : NULL;
	}
}

/* Runs a command that succeeds and prints one JSON object. */
static bool json(const char *fmt, ...)
{
	char command[512];
	const char *end;
	va_list args;
	int status;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	status = palloc_shell(command, out, sizeof(out));
	end = *out == '{' ? json_value(out, 0) : NULL;
	if (!status && end && !*end)
		return true;
	palloc_note("%s: status %d, not JSON at '%.40s' of '%.400s'", command, status,
		    end ? end : "?", out);
	return false;
}

/* The number at the first place where @out has this key, -1 if it is nowhere. */
static long number(const char *key)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	at = strstr(out, quoted);
	return at ? strtol(at + strlen(quoted), NULL, 10) : -1;
}

/* How many pages of a kind a bin has, by the histogram in @out. */
static long in_bin(unsigned int bin, const char *key)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), "{\"bin\":%u,", bin);
	at = strstr(out, "\"histogram\"");
	at = at ? strstr(at, wanted) : NULL;
	snprintf(wanted, sizeof(wanted), "\"%s\":", key);
	at = at ? strstr(at, wanted) : NULL;
	return at ? strtol(at + strlen(wanted), NULL, 10) : -1;
}

static const struct palloc_step usage_steps[] = {
	{ "palloc", 2, "Usage:*palloc status*" },
	{ "palloc --version", 0, "palloc [0-9]*" },
	{ "palloc --help", 0,
	  "Usage:*palloc status*palloc detect*palloc run --bins*palloc run --map*" },
	{ "palloc help run", 0, "Usage:*palloc run*" },
	{ "palloc help run | grep -c 'palloc status'", 1, "0" },
	{ "palloc show --help", 0, "Usage:\n  palloc show*" },
	{ "palloc nonsense", 2, "palloc: there is no command nonsense\nUsage:*" },
	{ "palloc status --nonsense", 2, "palloc: status: *nonsense\nUsage:\n  palloc status*" },
	{ "palloc status more", 2, "Usage:*" },
	{ "palloc enable more", 2, "Usage:*" },
	{ "palloc map 0x1000 0x2000", 2, "Usage:*" },
	{ "palloc show", 2, "Usage:*" },
	{ "palloc move", 2, "Usage:*" },
	{ "palloc detect more", 2, "Usage:\n  palloc detect*" },
	{ "palloc detect --memory 5X", 1, "palloc: 5X is no size*" },
	{ "palloc detect --memory", 2, "palloc: detect: a value is missing for --memory\nUsage:*" },
	{ "palloc detect --bogus", 2, "palloc: detect: there is no option --bogus\nUsage:*" },
	{ "palloc check --hogs 0", 1, "palloc: 0 is no number from 1 *" },
	{ "palloc map none && palloc check", 1, "*palloc: there is no map to check:*" },
	{ "palloc run", 2, "Usage:*" },
	{ "palloc run true", 2, "Usage:*" },
	{ "palloc run --bins 0-3", 2, "Usage:*" },
	{ "palloc status >/dev/full", 1, "palloc: standard output: *" },
	{ "palloc status >&-", 1, "palloc: standard output: Bad file*" },
	{ "palloc status --$(printf '\\033')x", 2, "palloc: status: *--\\\\033x\nUsage:*" },
	{ }
};

/* Without what is said of a virtual machine, if this is one. */
#define MAP		"palloc map 2>/dev/null"
#define IS_VIRTUAL	"cat /proc/cpuinfo /proc/device-tree/model 2>/dev/null | tr -d '\\0' | " \
			"grep -qE '^flags.* hypervisor|dummy-virt'"

static const struct palloc_step map_steps[] = {
	{ MAP, 0, "12\n13\n14\n15" },
	{ "palloc map 0x183000", 0, "16 bins*" },
	{ MAP, 0, "12\n13\n19\n20" },
	{ "palloc map 14^18,15^19,20", 0, "8 bins*" },
	{ MAP, 0, "14 18\n15 19\n20" },
	{ "grep -v '^#' " PALLOC_DIR "/control", 0, "14 18\n15 19\n20" },
	{ "printf '# two\\n14 18\\n\\n15 19' > /tmp/palloc_test.map", 0, "" },
	{ "palloc map /tmp/palloc_test.map", 0, "4 bins*" },
	{ MAP, 0, "14 18\n15 19" },
	{ "rm /tmp/palloc_test.map", 0, "" },
	{ "echo 16 | palloc map -", 0, "2 bins*" },
	{ MAP, 0, "16" },
	/* The functions of a map can be had back, as a map. */
	{ "palloc map 8^13,14^16 && palloc map | palloc map - && " MAP, 0,
	  "*4 bins*\n*4 bins*\n8 13\n14 16" },
	/* Out of a detector's list these are functions. */
	{ "palloc map 0x4080", 0, "*palloc: *0x4080*: palloc map 7^14\n*" },
	{ "palloc map 0x22000", 0, "palloc: *0x22000*: palloc map 13^17\n4 bins*" },
	{ "palloc map 0x3000 2>&1 | grep -v 'virtual machine'", 0, "4 bins" },
	{ "echo 0x4080 0x88000 | palloc map -", 1,
	  "*functions*:\n  palloc map 7^14,15^19\npalloc: map - is refused*" },
	{ "palloc map 8^13,14^16", 0, "*4 bins*" },
	/* What is refused changes nothing. */
	{ "palloc map 13,14,13^14", 1, "palloc: map 13,14,13^14 is refused, *: *" },
	{ "palloc map 99", 1, "palloc: map 99 is refused, *" },
	{ "palloc map 0x3ffffff000", 1, "palloc: map 0x3ffffff000 is refused, *" },
	{ "echo nonsense | palloc map -", 1, "palloc: map - is refused, *" },
	{ "palloc map /nonexistent", 1, "palloc: /nonexistent: No such file*0xf000*llc*" },
	{ "palloc map /dev/null", 1, "palloc: /dev/null is empty; palloc map none *" },
	{ MAP, 0, "8 13\n14 16" },
	{ "palloc disable && " MAP " 0xf000", 0, "16 bins; next: palloc enable" },
	/* Told once, and only where it is one, for which no published map is taken. */
	{ IS_VIRTUAL " && n=1 || n=0", 0, "" },
	{ "echo $(($(palloc status | grep -c 'virtual machine (') - n))", 0, "0" },
	{ "echo $(($(palloc map 2>&1 >/dev/null | grep -c 'virtual machine (') - n))", 0, "0" },
	{ "echo $(($(palloc map 0xf000 2>&1 | grep -c 'virtual machine (') - n))", 0, "0" },
	{ "test $n = 0 || palloc map auto 2>&1 | grep -q 'auto: this is a virtual machine ('", 0,
	  "" },
	{ MAP, 0, "12\n13\n14\n15" },
	{ "palloc map none", 0, "1 bins*" },
	{ "palloc map", 0, "palloc: there is no map*" },
	{ "palloc enable", 0, "palloc: there is no map yet*palloc map 0xf000" },
	{ }
};

/* From a machine that is a model to a map that the kernel has taken */
static const struct palloc_step detect_steps[] = {
	{ "printf 'memory 2G\\nfunction 12\\nfunction 13 17\\nwrong 5\\n' > /tmp/palloc_test.model",
	  0, "" },
	{ "palloc detect --model /tmp/palloc_test.model -o /tmp/palloc_test.map", 0,
	  "*\n  12\n  13 17\n*palloc map /tmp/palloc_test.map" },
	{ "palloc map /tmp/palloc_test.map", 0, "4 bins*" },
	{ MAP, 0, "12\n13 17" },
	/* What is no map leaves file and kernel as they were. */
	{ "echo flat >> /tmp/palloc_test.model", 0, "" },
	{ "palloc detect --model /tmp/palloc_test.model -o /tmp/palloc_test.map", 15,
	  "*palloc: no pair of addresses takes longer*What to do: *" },
	{ "palloc map /tmp/palloc_test.map && " MAP, 0, "4 bins*\n12\n13 17" },
	{ "rm /tmp/palloc_test.model /tmp/palloc_test.map", 0, "" },
	{ }
};

static const struct palloc_step enable_steps[] = {
	{ "palloc disable; cat " PALLOC_DIR "/use_palloc", 0, "0" },
	{ "palloc status", 0, "palloc: disabled\n*" },
	{ "palloc enable; cat " PALLOC_DIR "/use_palloc", 0, "1" },
	{ "palloc status", 0, "palloc: enabled\n*map: 4 functions of address bits, 16 bins\n*" },
	{ }
};

#define ROOT		"/sys/fs/cgroup"
#define OWN		ROOT "$(sed -n s/^0:://p /proc/self/cgroup)/"
#define BINS		OWN "palloc.bins"
#define POLICY		OWN "palloc.policy"
#define NONE_LEFT	{ "ls -d /sys/fs/cgroup/palloc-run.*", 1, "*No such file*" }

static const struct palloc_step run_steps[] = {
	{ "palloc run --bins 0-3,8 -- sh -c 'cat " BINS "; echo $0' a", 0, "0-3,8\na" },
	NONE_LEFT,
	{ "palloc run --bins 2 sh -c 'cat " POLICY "'", 0, "fallback" },
	{ "palloc run --strict --bins 2 sh -c 'cat " POLICY "'", 0, "strict" },
	/* A cgroup of its own, also if it is run in one. */
	{ "palloc run -b 0-3 -- palloc run -b 4-5 -- sh -c 'cat " BINS ".effective'",
	  0, "4-5" },
	/* What the command exits with; errors of the tool itself */
	{ "palloc run --bins 1 -- false", 1, "" },
	{ "palloc run --bins 1 -- sh -c 'exit 2'", 2, "" },
	{ "palloc run --bins 1 -- sh -c 'kill -9 $$'", 137, "" },
	{ "palloc run --bins 1 -- /nonexistent", 127, "palloc: /nonexistent: No such file*" },
	{ "palloc run --bins 1 -- /", 126, "palloc: /: Permission denied" },
	{ "palloc run --bins 16 -- true", 125, "palloc: bins 16: the map has 16 bins, 0-15" },
	{ "palloc run --bins x -- true", 125, "palloc: bins x: not a list of bins*" },
	{ "palloc run --keep / -- true", 125, "palloc: --keep /: *" },
	{ "palloc run --keep ../x -- true", 125, "palloc: --keep ../x: *" },
	NONE_LEFT,
	/* Kept, used again, and below one that is kept */
	{ "palloc run --bins 0-7 --keep palloc_test.k -- true", 0, "" },
	{ "cat " ROOT "/palloc_test.k/palloc.bins", 0, "0-7" },
	{ "palloc run --keep palloc_test.k -- sh -c 'cat " BINS "'", 0, "0-7" },
	{ "palloc run --keep /palloc_test.k/a/b --bins 6-7 -- true", 0, "" },
	{ "cat /sys/fs/cgroup/palloc_test.k/a/b/palloc.bins.effective", 0, "6-7" },
	/* In no others than those that are asked for; then all is as it was. */
	{ "palloc run --keep palloc_test.k/c --bins 9 -- echo ran", 125, "palloc: bins 9: not all *"
	  " in " ROOT "/palloc_test.k/c, as " ROOT "/palloc_test.k has 0-7" },
	{ "ls -d " ROOT "/palloc_test.k/c", 1, "*No such file*" },
	{ "palloc run --keep palloc_test.k/a/b --bins 7-8 -- echo ran", 125,
	  "palloc: bins 7-8: *" },
	{ "cat " ROOT "/palloc_test.k/a/b/palloc.bins", 0, "6-7" },
	{ "echo 6-9 > " ROOT "/palloc_test.k/a/b/palloc.bins", 0, "" },
	{ "palloc run --keep palloc_test.k/a/b -- echo ran", 0,
	  "palloc: * 6-9, but has 6-7*\nran" },
	{ "palloc status", 0, "*\n/palloc_test.k * 0-7 *\n/palloc_test.k/a/b * 6-9 * 6-7 *" },
	{ "(cd " ROOT "/palloc_test.k && rmdir a/b a) && rmdir " ROOT "/palloc_test.k", 0, "" },
	/* As without the tool */
	{ "grep Sig[BI] /proc/self/status > /tmp/palloc_test.sig", 0, "" },
	{ "palloc run --bins 1 -- grep Sig[BI] /proc/self/status | cmp - /tmp/palloc_test.sig",
	  0, "" },
	{ "rm /tmp/palloc_test.sig", 0, "" },
	/* Told, but no reason not to run */
	{ "palloc disable; palloc run --bins 1 -- echo x", 0, "palloc: palloc is disabled*\nx" },
	{ "palloc map none; palloc run --bins 1 -- true", 125, "*palloc map 0xf000" },
	NONE_LEFT,
	{ }
};

/* What the one before has said is gone, as the one in the background may start late. */
#define START(command)	": > /tmp/palloc_test.out; palloc run -b 0-3 -- " command \
			" > /tmp/palloc_test.out 2>&1 & pid=$!; "
#define UNTIL(what)	"n=999; until " what "; do n=$((n - 1)); [ $n = 0 ] && exit; sleep .2; done"

static const struct palloc_step signals_steps[] = {
	{ START("sleep 1000") "procs=" ROOT "/palloc-run.$pid/cgroup.procs", 0, NULL },
	{ UNTIL("grep -qs sleep /proc/$(cat $procs 2>/dev/null)/comm"), 0, "" },
	{ "kill -TERM $pid; wait $pid", 143, NULL },
	NONE_LEFT,
	{ START("sh -c 'trap \"echo told; exit 3\" USR1; echo ready; while :; do sleep 0.1; done'"),
	  0, NULL },
	{ UNTIL("grep -q ready /tmp/palloc_test.out"), 0, NULL },
	{ "kill -USR1 $pid; wait $pid", 3, NULL },
	{ "cat /tmp/palloc_test.out", 0, "ready\ntold" },
	NONE_LEFT,
	/* What is left behind is waited for, or killed on request. */
	{ START("sh -c 'sleep 1000 & echo done'"), 0, NULL },
	{ UNTIL("grep -q waiting /tmp/palloc_test.out"), 0, NULL },
	{ "cat /tmp/palloc_test.out", 0, "done\npalloc: waiting *" },
	{ "kill $(cat " ROOT "/palloc-run.$pid/cgroup.procs); wait $pid", 0, NULL },
	NONE_LEFT,
	{ START("sh -c 'sleep 1000 & echo done'"), 0, NULL },
	{ UNTIL("grep -q waiting /tmp/palloc_test.out"), 0, NULL },
	{ "kill -TERM $pid; wait $pid", 0, NULL },
	NONE_LEFT,
	/* What nohup ignores, stays ignored. */
	{ ": > /tmp/palloc_test.out; (trap '' HUP; exec palloc run -b 0-3 -- sh -c 'sleep 1000 &')"
	  " > /tmp/palloc_test.out 2>&1 & pid=$!", 0, NULL },
	{ UNTIL("grep -q waiting /tmp/palloc_test.out"), 0, NULL },
	{ "kill -HUP $pid; sleep 1; kill -TERM $pid && wait $pid", 0, NULL },
	NONE_LEFT,
	{ "rm /tmp/palloc_test.out", 0, "" },
	{ }
};

static void test_run_colors(const void *arg)
{
	unsigned int bin;
	long anon = 0;

	(void)arg;
	palloc_setup_mask(0xf000);
	if (!expect(json("palloc run --bins 5,9 -- palloc show --json self")))
		return;
	expect(number("bins") == 16);
	expect(number("outside") == 0);
	expect(strstr(out, "\"effective\":\"5,9\""));
	expect(strstr(out, "\"comm\":\"palloc\""));
	for (bin = 0; bin < 16; bin++) {
		if (bin == 5 || bin == 9)
			anon += in_bin(bin, "anon");
		else
			expect(in_bin(bin, "anon") == 0);
	}
	expect(anon > 5 && anon == number("anon"));
}

static void wait_here(const void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* Some of everything */
static void take_pages(const void *arg)
{
	int fd = memfd_create("palloc_test", 0);
	void *p;

	palloc_alloc(PAGES, 0);
	expect(palloc_set_color(7) == 0);
	palloc_alloc(PAGES, MAP_PALLOC);
	expect(ftruncate(fd, PAGES * palloc_page_size) == 0);
	p = mmap(NULL, PAGES * palloc_page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	expect(p != MAP_FAILED);
	palloc_touch(p, PAGES);
	/* A second mapping adds no page. */
	p = mmap(NULL, PAGES * palloc_page_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	expect(p != MAP_FAILED);
	/* Pages of zeroes are not counted. */
	madvise(palloc_map_pages(PAGES, 0), PAGES * palloc_page_size, MADV_POPULATE_READ);
	if (arg)
		expect(write(*(const int *)arg, "", 1) == 1);
	wait_here(NULL);
}

static pid_t spawn_ready(const char *cg, void (*fn)(const void *arg))
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC))
		palloc_bail("pipe: %s", strerror(errno));
	pid = palloc_spawn(cg, fn, &ready[1]);
	close(ready[1]);
	expect(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	palloc_reap(pid);
}

/* What the tool shows is what is there, by another's count. */
static void test_show(const void *arg)
{
	static struct palloc_hist all, regions;
	char command[64];
	const char *cg;
	unsigned int bin;
	pid_t pid;

	(void)arg;
	palloc_setup_mask(0xf000);
	cg = palloc_cg_new(NULL, "show");
	expect(palloc_cg_bins(cg, "0-3") == 0);
	pid = spawn_ready(cg, take_pages);
	memset(&all, 0, sizeof(all));
	memset(&regions, 0, sizeof(regions));
	expect(palloc_count_all(pid, false, &all) > 0);
	expect(palloc_count_all(pid, true, &regions) == PAGES);

	if (expect(json("palloc show --json %d", pid))) {
		expect(number("pid") == pid);
		expect(number("map_palloc") == PAGES);
		/* Programs are files or shared memory, it depends on the file system. */
		expect(number("shmem") >= PAGES);
		expect(number("file") >= 0 && number("shmem") + number("file") < 2 * PAGES);
		expect(number("anon") == (long)(all.pages - regions.pages));
		expect(number("pages") == number("anon") + number("file") + number("shmem") +
		       number("map_palloc"));
		for (bin = 0; bin < 16; bin++) {
			expect(in_bin(bin, "map_palloc") == (long)regions.n[bin]);
			expect(in_bin(bin, "anon") == (long)(all.n[bin] - regions.n[bin]));
		}
		expect(in_bin(7, "map_palloc") == PAGES);
	}

	/* Of a cgroup each page once: this one has one process. */
	if (expect(json("palloc show --json %s", cg))) {
		expect(number("processes") == 1);
		expect(number("map_palloc") == PAGES);
		expect(number("anon") == (long)(all.pages - regions.pages));
	}
	expect(json("palloc show --json %s", cg + strlen(palloc_cg_root())));
	expect(json("palloc show --json %s/", cg + strlen(palloc_cg_root()) + 1));

	snprintf(command, sizeof(command), "palloc show %d", pid);
	run(command, 0,
	    "tool (PID *): * of 16 bins used\n* MAP_PALLOC 300 (P)\n"
	    "      bin     pages     %\n        0\\* *#*\n        7  *PP*\n"
	    "\\* bins of /palloc_test*: 0-3*");
	end(pid);
	run(command, 1, "palloc: there is no process *");
	run("palloc show nonsense", 1,
	    "palloc: there is no cgroup /sys/fs/cgroup/nonsense: *");
	run("palloc show 0", 1, "palloc: there is no process 0");
	/* A kernel thread has no pages. */
	run("palloc show 2", 0, "kthreadd (PID 2): 0 pages*");
}

/* Names that a terminal or a shell would obey */
#define NAME		"palloc_test.\\033]0;x\\a $(touch ran)\\377"

static const struct palloc_step names_steps[] = {
	{ "name=$(printf '" NAME "'); palloc run -b 3 -k \"$name\" -- true", 0, "" },
	{ "palloc status", 0, "*\n$'/palloc_test.\\\\033]0;x\\\\007 $(touch ran)\\\\377' * 3 *" },
	{ "palloc show \"$name\"", 0,
	  "$'palloc_test.\\\\033]0;x\\\\007 $(touch ran)\\\\377' (0 processes): 0 pages*" },
	{ "palloc status --json | grep -o 'palloc_test[^\"]*'", 0,
	  "palloc_test.\\\\u001b]0;x\\\\u0007 $(touch ran)\\\\ufffd" },
	{ "palloc run -b x -k \"$name\" -- true", 125, "palloc: bins x: *" },
	{ "palloc show \"$name.not\"", 1,
	  "palloc: there is no cgroup " ROOT
	  "/palloc_test.\\\\033]0;x\\\\007 $(touch ran)\\\\377.not:*" },
	{ "rmdir \"" ROOT "/$name\"", 0, "" },
	/* For a shell, as it can be copied */
	{ "palloc run -b 3 -k \"palloc_test.it's\" -- true", 0, "" },
	{ "palloc status | grep -o \"^.*palloc_test[^ ]*\"", 0, "'/palloc_test.it'\\\\''s'" },
	{ "rmdir \"" ROOT "/palloc_test.it's\"", 0, "" },
	/* Not hidden */
	{ "palloc run -b 3 -k .palloc_test -- true; palloc status", 0, "*\n/.palloc_test * 3 *" },
	{ "rmdir " ROOT "/.palloc_test", 0, "" },
	{ }
};

/* A name of its own, and pages of a file whose name is like that of the kernel's pages */
static void called_what_it_likes(const void *arg)
{
	int fd = open("/tmp/[vdso]", O_RDWR | O_CREAT | O_TRUNC, 0600);
	void *p;

	expect(prctl(PR_SET_NAME, "\033[31m", 0, 0, 0) == 0);
	expect(ftruncate(fd, PALLOC_MANY * palloc_page_size) == 0);
	p = mmap(NULL, PALLOC_MANY * palloc_page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	expect(p != MAP_FAILED && unlink("/tmp/[vdso]") == 0);
	palloc_touch(p, PALLOC_MANY);
	expect(write(*(const int *)arg, "", 1) == 1);
	wait_here(NULL);
}

static void test_names(const void *arg)
{
	char command[64];
	pid_t pid;

	test_steps(arg);
	pid = spawn_ready(NULL, called_what_it_likes);
	snprintf(command, sizeof(command), "palloc show %d", pid);
	run(command, 0, "\\\\033\\[31m (PID *): * pages*");
	expect(json("palloc show --json %d", pid));
	expect(strstr(out, "\"comm\":\"\\u001b[31m\""));
	expect(number("shmem") + number("file") >= PALLOC_MANY);
	end(pid);
}

static void *last_thread(void *arg)
{
	char path[64], text[512] = "";

	/* Until the main thread is a zombie */
	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	while (!strstr(text, "State:\tZ")) {
		palloc_file_read(path, text, sizeof(text));
		usleep(1000);
	}
	expect(write(*(const int *)arg, "", 1) == 1);
	wait_here(NULL);
	return NULL;
}

static void without_main_thread(const void *arg)
{
	pthread_t id;

	palloc_alloc(PAGES, 0);
	expect(pthread_create(&id, NULL, last_thread, (void *)arg) == 0);
	syscall(SYS_exit, 0);
}

/* Of a process whose main thread has exited, /proc shows no memory. */
static void test_no_main_thread(const void *arg)
{
	const char *cg;
	char text[64];
	pid_t pid;

	(void)arg;
	palloc_setup_mask(0xf000);
	cg = palloc_cg_new(NULL, "nomain");
	pid = spawn_ready(cg, without_main_thread);
	expect(json("palloc show --json %d", pid) && number("anon") >= PAGES);
	expect(json("palloc show --json %s", cg) && number("anon") >= PAGES);
	expect(palloc_cg_bins(cg, "0-3") == 0);
	expect(json("palloc show --json %d", pid) && number("outside") > PAGES / 2);
	snprintf(text, sizeof(text), "palloc move %d", pid);
	palloc_shell(text, out, sizeof(out));
	palloc_note("%s: %s", text, out);
	expect(atol(out) > PAGES / 2);
	expect(json("palloc show --json %d", pid) && number("outside") < 50);
	end(pid);
}

static void plain_pages(const void *arg)
{
	palloc_alloc(PAGES, 0);
	expect(write(*(const int *)arg, "", 1) == 1);
	wait_here(NULL);
}

static void test_move(const void *arg)
{
	const char *cg;
	char text[512];
	pid_t pid[2];
	void *soak;
	int i;

	(void)arg;
	palloc_setup_mask(0xf000);
	cg = palloc_cg_new(NULL, "move");
	expect(palloc_cg_bins(cg, "0-3") == 0);
	soak = palloc_soak();
	for (i = 0; i < 2; i++)
		pid[i] = spawn_ready(NULL, plain_pages);
	palloc_free(soak, PALLOC_MANY);
	for (i = 0; i < 2; i++) {
		expect(palloc_cg_move(cg, pid[i]) == 0);
		expect(json("palloc show --json %d", pid[i]) && number("outside") > PAGES / 2);
		snprintf(text, sizeof(text), "palloc show %d | tail -n 1", pid[i]);
		run(text, 0, "* anon pages are outside of these: palloc move *");
		if (i)
			snprintf(text, sizeof(text), "palloc move %s", cg);
		else
			snprintf(text, sizeof(text), "palloc move %d", pid[i]);
		/* What it shares with this process since fork() stays. */
		palloc_shell(text, out, sizeof(out));
		palloc_note("%s: %s", text, out);
		expect(atol(out) > PAGES / 2);
		expect(strstr(out, " pages moved, "));
		expect(json("palloc show --json %d", pid[i]) && number("outside") < 50);
		end(pid[i]);
	}
	run("palloc move /", 1, "palloc: the root cgroup *");
	run("palloc move 2", 1, "palloc: process 2 has no memory*");
}

/* Memory of a program that knows nothing of colors; it checks by itself. */
static const struct palloc_step preload_steps[] = {
	{ "./unaware 5,9", 1, "*not ok*" },
	{ "palloc run --map 5,9 -- ./unaware 5,9", 0,
	  "heap: * pages ok\nlarge block: * pages ok\nstack of a thread: * pages ok" },
	/* Beside a cgroup's bins */
	{ "palloc run --map 5 --bins 0-3 -- ./unaware 5", 0, "heap: * ok\n*" },
	/* Where the cgroup is confined to its own colors */
	{ "palloc run -b 8-11 -k palloc_test.c -- sh -c 'echo 1 > " OWN "palloc.confine'", 0, "" },
	{ "palloc run -k palloc_test.c -- palloc run --map 5 -- ./unaware 5", 125,
	  "palloc: colors 5: the cgroup /palloc_test.c is confined to others:*" },
	{ "palloc run -k palloc_test.c -- palloc run --map 9 -- ./unaware 9", 0, "heap: * ok\n*" },
	{ "rmdir " ROOT "/palloc_test.c", 0, "" },
	/* AddressSanitizer is to start, also where a script starts it. */
	{ "printf '#!/bin/sh\\necho $ASAN_OPTIONS' > /tmp/palloc_test.x; "
	  "chmod 755 /tmp/palloc_test.x",
	  0, "" },
	{ "palloc run --map 5 -- /tmp/palloc_test.x", 0, "verify_asan_link_order=0" },
	{ "ASAN_OPTIONS=debug=0 palloc run --map 5 -- /tmp/palloc_test.x", 0,
	  "debug=0:verify_asan_link_order=0" },
	{ "rm /tmp/palloc_test.x", 0, "" },
	/* What has no say for the loader. The tool is such a program where the tests run. */
	{ "palloc run --map 5 -- palloc help", 125, "palloc: *palloc is linked statically*--bins" },
	/* Nor has it for who gets another group's privileges, though root has more. */
	{ "cp unaware /tmp/palloc_test.x; chown 0:65534 /tmp/palloc_test.x;"
	  "chmod 2755 /tmp/palloc_test.x", 0, "" },
	{ "palloc run --map 5 -- /tmp/palloc_test.x 5", 125, "palloc: *has privileges*--bins" },
	{ "chmod 755 /tmp/palloc_test.x; palloc run --map 5 -- /tmp/palloc_test.x 5", 0,
	  "heap: * ok\n*" },
	{ "rm /tmp/palloc_test.x", 0, "" },
	{ "palloc run --map 16 -- ./unaware 5", 125, "palloc: bins 16: the map has 16 bins, 0-15" },
	{ "palloc run --map x -- ./unaware 5", 125, "palloc: bins x: not a list*" },
	{ "palloc run --map '' -- ./unaware 5", 125, "palloc: --map needs at least one color" },
	{ "PALLOC_COLORS=16 LD_PRELOAD=./libpalloc_preload.so ./unaware 5", 125,
	  "libpalloc_preload: set_color_map: *" },
	{ "PALLOC_COLORS=5- LD_PRELOAD=./libpalloc_preload.so ./unaware 5", 125,
	  "libpalloc_preload: PALLOC_COLORS*" },
	NONE_LEFT,
	{ }
};

static void test_status(const void *arg)
{
	const char *cg;
	char text[512];

	(void)arg;
	palloc_setup_mask(0xf000);
	cg = palloc_cg_new(NULL, "status");
	expect(palloc_cg_bins(cg, "4-6") == 0);
	if (expect(json("palloc status --json"))) {
		expect(strstr(out, "\"built_in\":true,\"enabled\":true,"));
		expect(strstr(out, "\"map\":[[12],[13],[14],[15]],\"bins\":16,"));
		snprintf(text, sizeof(text), "{\"name\":\"%s\",\"bins\":\"4-6\",",
			 cg + strlen(palloc_cg_root()));
		expect(strstr(out, text));
		expect(number("fallback") == 0);
		expect(number("nr_groups") == 16);
		expect(strstr(out, "\"memory\":[{\"bin\":0,\"total\":"));
		expect(strstr(out, "{\"bin\":15,"));
	}
	run(IS_VIRTUAL " && n=1 || n=0", 0, "");
	run("echo $(($(palloc status --json | grep -c '\"hypervisor\":') - n))", 0, "0");
	expect(json("palloc status --json --all"));
	run("palloc status", 0,
	    "palloc: enabled\n*color bit 3: 15\nempty bins: none\ngroups: 16, *\n"
	    "colors ran out: 0 *\n*bin        MiB       free\n*\n      15 * #*\n"
	    "/palloc_test.*.status * 4-6 * fallback *");
	/* More bins than fit on a screen */
	palloc_setup_mask(0xff000);
	run("palloc status | wc -l", 0, "[1-3][0-9]");
	expect(json("palloc status --json") && strstr(out, "{\"bin\":255,"));
	/* A map that says less than it has bins */
	run("palloc map 13,14^18,8^9^10", 0,
	    "palloc: *\n8 bins, of which no page has 4-7, in 4 groups *");
	run("palloc status", 0, "*\nempty bins: 4-7\ngroups: 4, *\n  group 0: 0,4\n*");
	run("palloc run --bins 4-7 -- true", 125, "palloc: bins 4-7: no page has any *; *4-7");
	/* Names that JSON has to quote */
	run("palloc run -b 1 -k 'palloc_test.\"\\' -- true", 0, "");
	expect(json("palloc status --json"));
	expect(strstr(out, "palloc_test.\\\"\\\\\""));
	run("rmdir '/sys/fs/cgroup/palloc_test.\"\\'", 0, "");
}

/* Errors say what to do. Each time in a world of its own. */
#define WITHOUT(what, command)	"unshare -m sh -c 'umount -l " what " && " command "'"

static const struct palloc_step missing_steps[] = {
	{ WITHOUT("/sys/fs/cgroup", "palloc run --bins 1 -- true"), 125,
	  "palloc: cgroup v2 is not mounted: mount -t cgroup2 *" },
	/* The first one is covered, the other one isn't. */
	{ "unshare -m sh -c 'mount -t tmpfs none " ROOT " && mkdir \"" ROOT "/a b\" &&"
	  " mount -t cgroup2 none \"" ROOT "/a b\" && palloc run -b 3 -- palloc show --json self' |"
	  " grep -o '.effective.:.3.'", 0, "\"effective\":\"3\"" },
	{ WITHOUT("/sys/fs/cgroup", "palloc status"), 0, "palloc: enabled*no cgroup v2 *" },
	{ WITHOUT("/sys", "palloc status"), 1, "palloc: sysfs is not mounted: mount -t sysfs *" },
	{ WITHOUT("/proc", "palloc status"), 1, "palloc: /proc is not mounted: mount -t proc *" },
	{ }
};

/* Where the root of a namespace has processes, and then has none, as the tool has said */
static void in_namespace(const void *arg)
{
#define BUSY	"palloc: " ROOT " has processes of its own*mkdir " ROOT "/rest\n*"
	static const struct palloc_step steps[] = {
		{ "palloc run --bins 1 -- true", 125, BUSY },
		{ "palloc run --bins 1 --keep x -- true", 125, BUSY },
		{ "palloc run --bins 1 -- true 2>&1 | sed '1d; s/.*first: //' "
		  "> /tmp/palloc_test.sh",
		  0, "" },
		{ ". /tmp/palloc_test.sh; rm /tmp/palloc_test.sh", 0, "" },
		{ "palloc run --bins 1 -- sh -c 'cat " BINS "'", 0, "1" },
		NONE_LEFT,
		{ }
	};

	(void)arg;
	if (!expect(unshare(CLONE_NEWNS | CLONE_NEWCGROUP) == 0) ||
	    !expect(umount2(ROOT, MNT_DETACH) == 0) ||
	    !expect(mount("none", ROOT, "cgroup2", 0, NULL) == 0))
		return;
	run_all(steps);
	palloc_shell_end();
}

static void test_namespace(const void *arg)
{
	char command[256];
	const char *cg;

	(void)arg;
	palloc_setup_mask(0xf000);
	palloc_shell_end();
	cg = palloc_cg_new(NULL, "namespace");
	if (!expect(palloc_run_in(cg, in_namespace, NULL)))
		return;
	snprintf(command, sizeof(command), UNTIL("rmdir %s/rest"), cg);
	run(command, 0, NULL);
}

static void as_nobody(const void *arg)
{
	static const struct palloc_step steps[] = {
		{ "palloc map none", 1, "palloc: *root*" },
		{ "palloc enable", 1, "palloc: *root*" },
		{ "palloc detect", 1, "*palloc: *root*" },
		{ "palloc show 1", 1, "palloc: *root*" },
		{ "palloc move 1", 1, "palloc: *root*" },
		{ "palloc run --bins 1 -- true", 125, "palloc: *root*" },
		{ }
	};

	(void)arg;
	if (!expect(setgid(65534) == 0) || !expect(setuid(65534) == 0))
		return;
	run_all(steps);
	palloc_shell_end();
}

/* In a cgroup that was given to the user, with a cgroup for the user's processes */
static void delegated(const void *arg)
{
	const char *cg = arg;
	char command[512];

	if (!expect(setgid(65534) == 0) || !expect(setuid(65534) == 0))
		return;
	snprintf(command, sizeof(command), "palloc run -b 2,9 -k %s/of/user -- echo ran",
		 cg + strlen(ROOT));
	run(command, 125, "palloc: bins 2,9: not all *");
	snprintf(command, sizeof(command), "palloc run -b 2 -k %s/of/user -- cat %s/of/user/%s",
		 cg + strlen(ROOT), cg, "palloc.bins.effective");
	run(command, 0, "2");
	snprintf(command, sizeof(command), "rmdir %s/of/user %s/of", cg, cg);
	run(command, 0, "");
	palloc_shell_end();
}

static void test_nobody(const void *arg)
{
	static const char * const files[] = { "", "/cgroup.procs", "/cgroup.subtree_control" };
	const char *cg, *own;
	char path[512];
	unsigned int i;

	(void)arg;
	palloc_setup_mask(0xf000);
	palloc_shell_end();
	expect(palloc_run_in(NULL, as_nobody, NULL));

	cg = palloc_cg_new(NULL, "delegated");
	expect(palloc_cg_bins(cg, "0-3") == 0);
	own = palloc_cg_new(cg, "own");
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s%s", cg, files[i]);
		expect(chown(path, 65534, 65534) == 0);
		snprintf(path, sizeof(path), "%s%s", own, files[i]);
		expect(chown(path, 65534, 65534) == 0);
	}
	expect(palloc_run_in(own, delegated, cg));
}

static const struct palloc_test tests[] = {
	{ "usage, and what is no command", test_steps, usage_steps },
	{ "map", test_steps, map_steps },
	{ "detect", test_steps, detect_steps },
	{ "enable and disable", test_steps, enable_steps },
	{ "run", test_steps, run_steps },
	{ "run and signals", test_steps, signals_steps },
	{ "run gives colors, show sees them", test_run_colors, NULL },
	{ "show: process and cgroup, by kind", test_show, NULL },
	{ "names that a terminal or a shell would obey", test_names, names_steps },
	{ "show and move: the main thread has exited", test_no_main_thread, NULL },
	{ "move: process and cgroup", test_move, NULL },
	{ "status, and its JSON", test_status, NULL },
	{ "run --map: a program that knows nothing of colors", test_steps, preload_steps },
	{ "nothing mounted, or covered", test_steps, missing_steps },
	{ "a namespace whose root has processes", test_namespace, NULL },
	{ "not root", test_nobody, NULL },
};

int main(void)
{
	char buf[256];

	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	if (strcmp(palloc_cg_root(), "/sys/fs/cgroup") ||
	    palloc_shell("command -v palloc", buf, sizeof(buf))) {
		puts("1..0 # SKIP no tools/mm/palloc, or no cgroup v2 on " ROOT);
		return KSFT_SKIP;
	}
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
