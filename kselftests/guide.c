// SPDX-License-Identifier: GPL-2.0
/*
 * The workflow of the guides to PALLOC for v6.6, line by line, as they have it,
 * with the output that they show. A shell is given one line after the other; it
 * is the same one throughout, as it moves itself into a cgroup.
 *
 * Left out is what is done before the kernel runs: getting and patching its source,
 * its configuration, build and installation, GRUB, and gcc for benchmark3. Of dmesg,
 * in which the old patch wrote each set_color(), benchmark3's own output and the
 * trace tell the same here.
 */
#include "palloc_util.h"

#define DEBUGFS		PALLOC_DIR "/"
#define CGROUPS		"/sys/fs/cgroup/"
#define TRACING		"/sys/kernel/debug/tracing/"
#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"
#define MICROBENCHMARK	"cat " TRACING "trace | grep palloc | grep microbenchmark"
#define NOTHING		""

static const struct palloc_step steps[] = {
	/* Enable PALLOC */
	{ "sudo ls " DEBUGFS, 0,
	  "alloc_balance\ncontrol\ndebug_level\npalloc_mask\nuse_mc_xor\nuse_palloc*" },
	{ "sudo cat " DEBUGFS "use_palloc", 0, "0" },
	{ "echo 1 | sudo tee " DEBUGFS "use_palloc", 0, "1" },
	{ "sudo cat " DEBUGFS "use_palloc", 0, "1" },

	/* Detecting DRAM bank bits: address bits as they are, and Haswell's XOR */
	{ "echo 0x00183000 > " DEBUGFS "palloc_mask", 0, NOTHING },
	{ "cat " DEBUGFS "control", 0, "*, 16 bins\n*\n12\n13\n19\n20" },
	{ "echo xor 13 17 > " DEBUGFS "control", 0, NOTHING },
	{ "echo 1 > " DEBUGFS "use_mc_xor", 0, NOTHING },
	{ "cat " DEBUGFS "control", 0, "*, 16 bins\n*\n12\n13 17\n19\n20" },
	{ "echo 0 > " DEBUGFS "use_mc_xor", 0, NOTHING },

	/* Detecting cache bits mask */
	{ "echo 0x0000f000 | sudo tee " DEBUGFS "palloc_mask", 0, "0x0000f000" },
	{ "cat " DEBUGFS "control", 0, "*, 16 bins\n*\n12\n13\n14\n15" },

	/* CGROUP partition setting */
	{ "echo \"+palloc\" | sudo tee " CGROUPS "cgroup.subtree_control", 0, "+palloc" },
	{ "sudo mkdir " CGROUPS "part1", 0, NOTHING },
	{ "echo 0-3 | sudo tee " CGROUPS "part1/palloc.bins", 0, "0-3" },
	{ "echo $$ | sudo tee " CGROUPS "part1/cgroup.procs", 0, "[0-9]*" },
	{ "echo 1 | sudo tee " DEBUGFS "use_palloc", 0, "1" },

	/* Verify PALLOC enabled and everything worked correctly */
	{ "cat " DEBUGFS "use_palloc", 0, "1" },
	{ "cat " CGROUPS "part1/palloc.bins", 0, "0-3" },
	{ "cat " CGROUPS "part1/cgroup.procs", 0, "[0-9]*" },

	/* Other options */
	{ "echo 1 | sudo tee " DEBUGFS "debug_level", 0, "1" },
	{ "echo 4 | sudo tee " DEBUGFS "alloc_balance", 0, "4" },
	{ "echo never | sudo tee " THP, 0, "never" },

	/* Testing PALLOC with microbenchmark.c */
	{ "echo $$ | sudo tee " CGROUPS "part1/cgroup.procs", 0, "[0-9]*" },
	{ "./microbenchmark 4 > /dev/null &", 0, NULL },
	{ "wait", 0, NULL },
	{ "sudo " MICROBENCHMARK, 0,
	  "*microbenchmark-*palloc_alloc: Found colored page pfn * color [0-3] * found/want 4/4*" },
	/* Every one of these lines */
	{ MICROBENCHMARK " | grep -v 'color [0-3] .*found/want 4/4'", 1, NOTHING },
	/* and no fewer than it has pages */
	{ "test $(" MICROBENCHMARK " | wc -l) -ge 1024", 0, NOTHING },

	/* Any other process, by its PID */
	{ "sleep 100 & echo $! | sudo tee " CGROUPS "part1/cgroup.procs", 0, "[0-9]*" },
	{ "kill $! && wait $!", 143, NULL },

	/* finer_coloring: not in a cgroup. The lines before that still hold */
	{ "echo $$ > " CGROUPS "cgroup.procs", 0, NOTHING },
	{ "./benchmark3 -a 1M -s 4KB", 0,
	  "Cache accesses: 1000000\n"
	  "Size of allocated region in bytes: 4096\n"
	  "64 unique cache lines will be accessed\n"
	  "\n"
	  "Starting benchmark...\n"
	  "\n"
	  "Syscall set_color succeeded!\n"
	  "Benchmark completed" },
	{ "cat " TRACING "trace | grep palloc | grep benchmark3", 0,
	  "*benchmark3-*palloc_alloc: Found colored page pfn * color 0 order 0 found/want 1/1*" },
	/* Only MAP_PALLOC allocations use it: one page */
	{ "cat " TRACING "trace | grep palloc | grep -c benchmark3", 0, "1" },
};

#define NR_STEPS	ARRAY_SIZE(steps)

/* The guides' names are taken, or the machine is not what they expect. */
static const char *prepare(void)
{
	char out[256];

	if (access(CGROUPS "cgroup.controllers", F_OK))
		return "no cgroup v2 on " CGROUPS;
	if (!access(CGROUPS "part1", F_OK))
		return CGROUPS "part1 is there";
	if (access(TRACING "trace", F_OK) || access(THP, F_OK))
		return "no trace or no huge pages";
	/* The programs are here; there may be no sudo */
	palloc_shell("sudo() { \"$@\"; }", out, sizeof(out));
	palloc_shell("echo 1 > " TRACING "tracing_on; echo > " TRACING "trace", out, sizeof(out));
	return NULL;
}

static void finish(void)
{
	palloc_shell_end();
	rmdir(CGROUPS "part1");
}

static void step(const void *arg)
{
	palloc_keep(THP);
	palloc_step(arg);
}

int main(void)
{
	static struct palloc_test tests[NR_STEPS];
	const char *missing;
	unsigned int i;

	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	missing = prepare();
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		return KSFT_SKIP;
	}
	atexit(finish);
	palloc_puts("palloc_mask", "0");
	for (i = 0; i < NR_STEPS; i++)
		tests[i] = (struct palloc_test) { steps[i].command, step, &steps[i] };
	palloc_run_tests(tests, NR_STEPS);
}
