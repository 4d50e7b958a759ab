// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that memory and CPUs come and go while colored pages are allocated:
 * the counters agree, the index is sound and colors hold, before and after, and
 * while they are away.
 */
#include "palloc_util.h"

#define MEMORY		"/sys/devices/system/memory"
#define CPU		"/sys/devices/system/cpu"
#define WORKERS		4
#define PAGES		256
#define KEPT		4
#define ROUNDS		3

static unsigned int *stop;

/*
 * Allocates and frees, with colors in the cgroup, without elsewhere. All workers together
 * never have all pages of these colors in one memory block.
 */
static void work(const void *arg)
{
	void *kept[KEPT] = { NULL };
	const char *list = arg;
	unsigned long checked;
	unsigned int n = 0;

	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		unsigned int i = n++ % ARRAY_SIZE(kept);

		/* What was moved meanwhile has kept its color. */
		if (kept[i] && list && !i)
			expect(palloc_impure(0, kept[i], PAGES, list, &checked) == 0);
		if (kept[i])
			palloc_free(kept[i], PAGES);
		kept[i] = palloc_alloc(PAGES, 0);
	}
	expect(n);
}

static pid_t pid[WORKERS];
static const char *group;

/* With one map all the time, colors can be checked all the time. */
static void start(bool one_map)
{
	unsigned int i;

	group = palloc_setup_cg("hotplug", "4-6");
	*stop = 0;
	for (i = 0; i < WORKERS; i++)
		pid[i] = palloc_spawn(i & 1 ? NULL : group, work,
				      one_map && !(i & 1) ? "4-6" : NULL);
}

static void finish(void)
{
	__atomic_store_n(stop, 1, __ATOMIC_RELEASE);
	palloc_reap_all(pid, WORKERS);
	expect(palloc_run_in(group, palloc_allocates, "4-6"));
	expect(palloc_fallbacks() == 0);
	expect(palloc_lossless());
}

static int set_state(const char *dir, unsigned int n, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%u/%s", dir, n, file);
	return palloc_file_puts(path, text);
}

static bool is_online(unsigned int block)
{
	char path[128], state[32];

	snprintf(path, sizeof(path), MEMORY "/memory%u/state", block);
	return palloc_file_read(path, state, sizeof(state)) > 0 &&
	       !strcmp(state, "online\n");
}

/* Most blocks hold something that cannot be moved, but not all. */
static void test_memory(const void *arg)
{
	unsigned int block, moved = 0;

	palloc_tidy_memory();
	start(true);
	for (block = 1; block < 64 && moved < ROUNDS; block++) {
		if (!is_online(block) ||
		    set_state(MEMORY "/memory", block, "state", "offline"))
			continue;
		moved++;
		expect(palloc_verified());
		expect(palloc_run_in(group, palloc_allocates, "4-6"));
		expect(set_state(MEMORY "/memory", block, "state", "online") == 0);
		expect(is_online(block));
		expect(palloc_verified());
	}
	palloc_note("%u memory blocks were offline", moved);
	expect(moved);
	finish();
}

static void test_cpus(const void *arg)
{
	unsigned int cpus = sysconf(_SC_NPROCESSORS_CONF), round, i;

	start(false);
	for (round = 0; round < ROUNDS; round++) {
		for (i = 1; i < cpus; i++)
			expect(set_state(CPU "/cpu", i, "online", "0") == 0);
		expect(sysconf(_SC_NPROCESSORS_ONLN) == 1);
		expect(palloc_verified());
		expect(palloc_run_in(group, palloc_allocates, "4-6"));
		/* The map changes while they are away. */
		expect(palloc_puts("palloc_mask", "0x1e000") == 0);
		expect(palloc_puts("palloc_mask", "0xf000") == 0);
		for (i = 1; i < cpus; i++)
			expect(set_state(CPU "/cpu", i, "online", "1") == 0);
		expect((unsigned int)sysconf(_SC_NPROCESSORS_ONLN) == cpus);
		expect(palloc_verified());
	}
	finish();
}

/* Memory that mem= kept back: a zone that had none, or more of one that is there. */

static unsigned long long mem_limit(void)
{
	char line[4096], *at;

	if (palloc_file_read("/proc/cmdline", line, sizeof(line)) <= 0)
		return 0;
	at = strstr(line, " mem=");
	return at ? strtoull(at + 5, &at, 0) << (*at == 'G' ? 30 : 20) : 0;
}

static void fills_added(const void *arg)
{
	unsigned long long from = *(const unsigned long long *)arg;
	size_t pages = 8 * PAGES, added = 0, i;
	char *p = palloc_alloc(pages, 0);

	expect(palloc_pure(p, pages, "4-6"));
	for (i = 0; i < pages; i++)
		added += palloc_pfn(p + i * palloc_page_size) * palloc_page_size >= from;
	palloc_note("%zu of %zu pages in the memory that was added", added, pages);
	expect(added);
}

static void test_added(const void *arg)
{
	unsigned long long size, from = mem_limit();
	char text[64];
	unsigned int block, round;

	expect(palloc_file_read(MEMORY "/block_size_bytes", text, sizeof(text)) > 0);
	size = strtoull(text, NULL, 16);
	block = from / size;
	start(false);
	snprintf(text, sizeof(text), "0x%llx", from);
	expect(palloc_file_puts(MEMORY "/probe", text) == 0);
	for (round = 0; round < ROUNDS; round++) {
		if (!is_online(block))
			expect(set_state(MEMORY "/memory", block, "state",
					 "online_movable") == 0);
		expect(is_online(block));
		expect(palloc_verified());
		expect(palloc_run_in(group, fills_added, &from));
		expect(set_state(MEMORY "/memory", block, "state", "offline") == 0);
		expect(palloc_verified());
		expect(palloc_puts("palloc_mask", "0x1e000") == 0);
		expect(palloc_puts("palloc_mask", "0xf000") == 0);
		expect(palloc_verified());
	}
	finish();
}

static const struct palloc_test tests[] = {
	{ "memory goes offline and comes back", test_memory, NULL },
	{ "CPUs go offline and come back", test_cpus, NULL },
	{ "memory is added", test_added, NULL },
};

int main(void)
{
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	stop = palloc_shared(1);
	/* Memory can only be added where mem= on the command line has left some. */
	palloc_run_tests(tests, ARRAY_SIZE(tests) - !mem_limit());
}
