// SPDX-License-Identifier: GPL-2.0
/*
 * Proves that colors follow the address space: fork inherits the process's map
 * and each side's copies of shared pages have its own colors; a change on one
 * side is not seen on the other; exec clears the map, and in a cgroup starts
 * with nothing but the group's colors; threads and CLONE_VM children share one
 * map; a child cloned into a cgroup has that group's colors from its first page.
 */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>

#include "palloc_util.h"

#define PAGES	512
#define SELF	"/proc/self/exe"

static void setup(const char *list)
{
	palloc_setup_mask(0xf000);
	if (list && palloc_set_colors(list))
		palloc_bail("set_color_map %s: %s", list, strerror(errno));
}

static bool in_force(const char *list)
{
	return palloc_given(PAGES, MAP_PALLOC, list);
}

static void has_map(const void *arg)
{
	expect(in_force(arg));
}

static void test_inherit(const void *arg)
{
	setup("5,6");
	expect(palloc_run_in(NULL, has_map, "5,6"));
	expect(in_force("5,6"));
}

static void has_child_with_map(const void *arg)
{
	expect(palloc_run_in(NULL, has_map, arg));
	expect(in_force(arg));
}

static void has_grandchild_with_map(const void *arg)
{
	expect(palloc_run_in(NULL, has_child_with_map, arg));
	expect(in_force(arg));
}

static void test_grandchildren(const void *arg)
{
	setup("11");
	expect(palloc_run_in(NULL, has_grandchild_with_map, "11"));
}

static void test_no_map(const void *arg)
{
	setup("11");
	expect(palloc_set_color_map(NULL, 0) == 0);
	expect(palloc_given(PALLOC_MANY, MAP_PALLOC, NULL));
}

/* Copies on write */

struct cow {
	void *p;
	const char *list;
	const char *set;	/* what the child makes its map, or NULL */
};

static void child_breaks(const void *arg)
{
	const struct cow *cow = arg;
	__u64 shared = palloc_pfn(cow->p);

	if (cow->set)
		expect(palloc_set_colors(cow->set) == 0);
	palloc_touch(cow->p, PAGES);
	expect(shared && palloc_pfn(cow->p) != shared);
	expect(palloc_pure(cow->p, PAGES, cow->list));
}

static void test_cow_child(const void *arg)
{
	struct cow cow = { .list = "5" };

	setup("5");
	cow.p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_run_in(NULL, child_breaks, &cow));
	expect(palloc_pure(cow.p, PAGES, "5"));
	palloc_free(cow.p, PAGES);
}

static void test_cow_child_changed(const void *arg)
{
	struct cow cow = { .list = "9", .set = "9" };

	setup("5");
	cow.p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_run_in(NULL, child_breaks, &cow));
	expect(palloc_pure(cow.p, PAGES, "5"));
	expect(in_force("5"));
	palloc_free(cow.p, PAGES);
}

/* The child keeps the shared pages while the parent writes. */
static void test_cow_parent(const void *arg)
{
	__u64 shared;
	pid_t pid;
	void *p;

	setup("5");
	p = palloc_alloc(PAGES, MAP_PALLOC);
	shared = palloc_pfn(p);
	pid = palloc_spawn(NULL, palloc_pause, NULL);
	palloc_touch(p, PAGES);
	expect(shared && palloc_pfn(p) != shared);
	expect(palloc_pure(p, PAGES, "5"));
	expect(palloc_kill(pid));
	palloc_free(p, PAGES);
}

static void writes_again(const void *arg)
{
	const struct cow *cow = arg;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		palloc_touch(cow->p, PAGES);
		expect(palloc_pure(cow->p, PAGES, cow->list));
	}
}

/* Several children and the parent copy the same pages at the same time. */
static void test_cow_race(const void *arg)
{
	struct cow cow = { .list = "5-6" };
	pid_t pid[4];
	unsigned int i;

	setup("5-6");
	cow.p = palloc_alloc(PAGES, MAP_PALLOC);
	for (i = 0; i < 4; i++)
		pid[i] = palloc_spawn(NULL, writes_again, &cow);
	writes_again(&cow);
	palloc_reap_all(pid, 4);
	palloc_free(cow.p, PAGES);
}

static void forks_and_breaks(const void *arg)
{
	struct cow cow = { .list = arg };
	void *colored;

	/* An ordinary region of a task in a cgroup. */
	cow.p = palloc_alloc(PAGES, 0);
	expect(palloc_run_in(NULL, child_breaks, &cow));
	expect(palloc_pure(cow.p, PAGES, arg));
	/* And a colored one. */
	expect(palloc_set_color(14) == 0);
	colored = palloc_alloc(PAGES, MAP_PALLOC);
	cow.p = colored;
	cow.list = "14";
	expect(palloc_run_in(NULL, child_breaks, &cow));
}

/* Who of a parent and a child in different groups writes first, and then both. */
struct two {
	const char *cg;
	char *p;
	int go[2], done[2];
};

static void child_writes_later(const void *arg)
{
	const struct two *two = arg;
	char c;

	palloc_touch(two->p, PAGES / 2);
	expect(palloc_pure(two->p, PAGES / 2, "8-11"));
	expect(write(two->done[1], "", 1) == 1);
	expect(read(two->go[0], &c, 1) == 1);
	palloc_touch(two->p, PAGES);
	expect(palloc_pure(two->p, PAGES / 2, "8-11"));
	/*
	 * The parent has left the rest, which it had made, to this child, which may
	 * use it as it is, or copy what the kernel still holds.
	 */
	expect(palloc_pure(palloc_at(two->p, PAGES / 2), PAGES / 2, "0-3,8-11"));
}

static void parent_writes_between(const void *arg)
{
	struct two two = *(const struct two *)arg;
	__u64 shared;
	pid_t pid;
	char c;

	two.p = palloc_alloc(PAGES, 0);
	shared = palloc_pfn(palloc_at(two.p, PAGES - 1));
	pid = palloc_clone_into(two.cg, child_writes_later, &two);
	expect(read(two.done[0], &c, 1) == 1);
	palloc_touch(two.p, PAGES);
	expect(shared && palloc_pfn(palloc_at(two.p, PAGES - 1)) != shared);
	expect(palloc_pure(two.p, PAGES, "0-3"));
	expect(write(two.go[1], "", 1) == 1);
	expect(palloc_reap(pid));
}

static void test_cow_two_groups(const void *arg)
{
	struct two two;
	const char *cg = palloc_setup_cg("parent", "0-3");

	two.cg = palloc_cg_with(NULL, "child", "8-11");
	if (!expect(pipe2(two.go, O_CLOEXEC) == 0 && pipe2(two.done, O_CLOEXEC) == 0))
		return;
	expect(palloc_run_in(cg, parent_writes_between, &two));
	close(two.go[0]);
	close(two.go[1]);
	close(two.done[0]);
	close(two.done[1]);
}

/* What is shared is copied with the colors that hold when it is written to. */
static void moves_and_breaks(const void *arg)
{
	void *p = palloc_alloc(PAGES, 0);
	pid_t pid = palloc_spawn(NULL, palloc_pause, NULL);

	expect(palloc_cg_move(arg, 0) == 0);
	palloc_touch(p, PAGES / 2);
	expect(palloc_pure(p, PAGES / 2, "8-11"));
	expect(palloc_pure(palloc_at(p, PAGES / 2), PAGES / 2, "0-3"));
	expect(palloc_cg_bins(arg, "6") == 0);
	palloc_touch(palloc_at(p, PAGES / 2), PAGES / 2);
	expect(palloc_pure(p, PAGES / 2, "8-11"));
	expect(palloc_pure(palloc_at(p, PAGES / 2), PAGES / 2, "6"));
	expect(palloc_kill(pid));
}

/* Pages pinned for I/O stay the parent's, and are copied while it forks. */

struct pinned {
	const char *into;	/* a group for the child, or NULL */
	const char *bins;	/* the child's */
	void *plain, *colored;
	__u64 pfn[2];
};

static void has_copies(const void *arg)
{
	const struct pinned *pinned = arg;

	expect(pinned->pfn[0] && palloc_pfn(pinned->plain) != pinned->pfn[0]);
	expect(pinned->pfn[1] && palloc_pfn(pinned->colored) != pinned->pfn[1]);
	expect(palloc_pure(pinned->plain, PAGES, pinned->bins));
	expect(palloc_pure(pinned->colored, PAGES, "14-15"));
}

static void pins_and_forks(const void *arg)
{
	struct pinned pinned = *(const struct pinned *)arg;
	int fd[2];

	expect(palloc_set_colors("14-15") == 0);
	pinned.plain = palloc_map_pages(PAGES, 0);
	pinned.colored = palloc_map_pages(PAGES, MAP_PALLOC);
	fd[0] = palloc_pin_pages(pinned.plain, PAGES);
	fd[1] = palloc_pin_pages(pinned.colored, PAGES);
	expect(fd[0] >= 0 && fd[1] >= 0);
	pinned.pfn[0] = palloc_pfn(pinned.plain);
	pinned.pfn[1] = palloc_pfn(pinned.colored);
	if (pinned.into)
		expect(palloc_reap(palloc_clone_into(pinned.into, has_copies, &pinned)));
	else
		expect(palloc_run_in(NULL, has_copies, &pinned));
	/* As without a fork: a write is no reason to copy them. */
	palloc_touch(pinned.plain, PAGES);
	expect(palloc_pfn(pinned.plain) == pinned.pfn[0]);
	expect(palloc_pure(pinned.plain, PAGES, "0-3"));
	expect(palloc_pure(pinned.colored, PAGES, "14-15"));
}

static void test_pinned(const void *arg)
{
	struct pinned pinned = { .bins = "0-3" };
	const char *cg = palloc_setup_cg("pins", "0-3");

	if (arg) {
		pinned.bins = "8-11";
		pinned.into = palloc_cg_with(NULL, "into", pinned.bins);
	}
	expect(palloc_run_in(cg, pins_and_forks, &pinned));
}

/* Who may not start a child in a group does not use its colors up in the attempt. */
static void clones_nowhere(const void *arg)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = open(arg, O_DIRECTORY | O_PATH),
	};
	void *p = palloc_map_pages(PAGES, 0);
	pid_t pid;

	expect(palloc_pin_pages(p, PAGES) >= 0);
	expect(palloc_be_nobody());
	pid = syscall(__NR_clone3, &args, sizeof(args));
	if (!pid)
		_exit(0);
	expect(pid == -1 && errno == EACCES);
}

static void test_may_not(const void *arg)
{
	const char *cg, *victim;

	palloc_setup_text(PALLOC_MAP_GONE);
	cg = palloc_cg_with(NULL, "pins", "0-3");
	victim = palloc_cg_new(NULL, "victim");
	expect(palloc_cg_bins_gone(victim, "4") == 0);
	expect(palloc_cg_write(victim, "palloc.policy", "strict") == 0);
	expect(palloc_run_in(cg, clones_nowhere, victim));
	expect(palloc_cg_event(victim, "failed") == 0);
	expect(palloc_cg_event(victim, "fallback") == 0);
}

static void test_wipe(const void *arg)
{
	struct cow cow = { .list = "5" };

	setup("5");
	cow.p = palloc_alloc(PAGES, MAP_PALLOC);
	expect(madvise(cow.p, PAGES * palloc_page_size, MADV_WIPEONFORK) == 0);
	expect(palloc_run_in(NULL, writes_again, &cow));
	palloc_free(cow.p, PAGES);
}

/* Who sees a change */

static void changes(const void *arg)
{
	expect(palloc_set_colors(arg) == 0);
	expect(in_force(arg));
}

static void clears(const void *arg)
{
	void *p;

	expect(palloc_set_color_map(NULL, 0) == 0);
	p = palloc_alloc(PALLOC_MANY, MAP_PALLOC);
	expect(palloc_mixed(p, PALLOC_MANY));
}

static void test_child_changes(const void *arg)
{
	setup("5");
	expect(palloc_run_in(NULL, changes, "8"));
	expect(in_force("5"));
	expect(palloc_run_in(NULL, clears, NULL));
	expect(in_force("5"));
}

static void waits_then_checks(const void *arg)
{
	char c;

	expect(read(*(const int *)arg, &c, 1) == 1);
	expect(in_force("5"));
}

static void test_parent_changes(const void *arg)
{
	int fds[2];
	pid_t pid;

	setup("5");
	if (!expect(pipe2(fds, O_CLOEXEC) == 0))
		return;
	pid = palloc_spawn(NULL, waits_then_checks, &fds[0]);
	expect(palloc_set_color(12) == 0);
	expect(write(fds[1], "x", 1) == 1);
	expect(palloc_reap(pid));
	expect(in_force("12"));
	close(fds[0]);
	close(fds[1]);
}

static int sets_seven(void *arg)
{
	syscall(__NR_set_color, 7);
	return 0;
}

static void test_clone_vm(const void *arg)
{
	static __u64 stack[2048];
	pid_t pid;

	setup("5");
	pid = clone(sets_seven, stack + ARRAY_SIZE(stack), CLONE_VM | SIGCHLD, NULL);
	if (!expect(pid > 0))
		return;
	expect(palloc_reap(pid));
	expect(in_force("7"));
}

/* exec */

static char long_arg[100000];

static void execs(const void *arg)
{
	const char *list = arg;
	char * const argv[] = {
		"fork_exec", list ? "pure" : "cleared", list ? (char *)list : "-",
		long_arg, NULL
	};

	memset(long_arg, 'x', sizeof(long_arg) - 1);
	execv(SELF, argv);
	expect(!"execv returned");
}

static void test_exec_clears(const void *arg)
{
	setup("5");
	expect(palloc_run_in(NULL, execs, NULL));
	expect(in_force("5"));
}

static void fails_exec(const void *arg)
{
	char * const argv[] = { "nothing", NULL };

	expect(execv("/nonexistent/nothing", argv) == -1 && errno == ENOENT);
	/* Found, but not something that can be executed. */
	expect(execv("/proc/self/maps", argv) == -1);
	expect(in_force("5"));
}

static void test_exec_fails(const void *arg)
{
	setup("5");
	expect(palloc_run_in(NULL, fails_exec, NULL));
}

static void test_exec_cgroup(const void *arg)
{
	const char *cg = palloc_setup_cg("exec", "0-3");

	expect(palloc_run_in(cg, execs, "0-3"));
	expect(palloc_cg_bins(cg, "13") == 0);
	expect(palloc_run_in(cg, execs, "13"));
}

static void test_vfork(const void *arg)
{
	char * const argv[] = { "fork_exec", "cleared", "-", NULL };
	pid_t pid;

	setup("5");
	fflush(stdout);
	pid = vfork();
	if (!pid) {
		execv(SELF, argv);
		_exit(KSFT_FAIL);
	}
	if (expect(pid > 0))
		expect(palloc_reap(pid));
	expect(in_force("5"));
}

/* The child of a vfork() that is moved leaves its parent's memory alone. */
static void moves_child(const void *arg)
{
	const char *other = arg;
	pid_t pid;

	fflush(stdout);
	pid = vfork();
	if (!pid)
		_exit(palloc_cg_move(other, getpid()) ? KSFT_FAIL : KSFT_PASS);
	if (expect(pid > 0))
		expect(palloc_reap(pid));
	expect(palloc_pure(palloc_alloc(PAGES, 0), PAGES, "0-3"));
}

/* Where a process shares its memory and ends, the memory is the other one's. */

struct heir {
	const char *cg;
	pid_t parent;
	int state;	/* 1: as it should be, -1: not */
};

static int inherits(void *arg)
{
	struct heir *heir = arg;

	while (getppid() == heir->parent)
		usleep(1000);
	__atomic_store_n(&heir->state,
			 !palloc_cg_move(heir->cg, getpid()) &&
			 palloc_pure(palloc_alloc(PAGES, 0), PAGES, "8") ? 1 : -1,
			 __ATOMIC_RELEASE);
	return 0;
}

static void leaves_heir(const void *arg)
{
	struct heir *heir = (void *)arg;
	const size_t size = 1 << 20;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	heir->parent = getpid();
	if (clone(inherits, stack + size, CLONE_VM | SIGCHLD, heir) < 0)
		heir->state = -1;
	_exit(KSFT_PASS);
}

static void test_left(const void *arg)
{
	struct heir *heir = palloc_shared(1);
	unsigned int i;
	const char *cg;

	cg = palloc_setup_cg("parent", "0-3");
	heir->cg = palloc_cg_with(NULL, "heir", "8");
	expect(palloc_run_in(cg, leaves_heir, heir));
	for (i = 0; !__atomic_load_n(&heir->state, __ATOMIC_ACQUIRE) && i < 60000; i++)
		usleep(10000);
	expect(heir->state == 1);
}

/* Whenever a task is moved while it calls exec, it ends up with the colors. */
static void test_exec_moved(const void *arg)
{
	char * const argv[] = { "fork_exec", "waits", "8-9", NULL };
	static char word[16 << 10], *envp[65];
	const char *cg;
	unsigned int i;

	/* What takes time is copying these, into memory that is not yet its. */
	memset(word, 'x', sizeof(word) - 1);
	word[1] = '=';
	for (i = 0; i < ARRAY_SIZE(envp) - 1; i++)
		envp[i] = word;
	cg = palloc_setup_cg("late", "8-9");
	for (i = 0; i < 40; i++) {
		int go[2];
		pid_t pid;

		if (!expect(pipe(go) == 0))
			return;
		fflush(stdout);
		pid = fork();
		if (!pid) {
			dup2(go[0], STDIN_FILENO);
			close(go[1]);
			execve(SELF, argv, envp);
			_exit(KSFT_FAIL);
		}
		usleep(i * 100);
		expect(palloc_cg_move(cg, pid) == 0);
		expect(write(go[1], "", 1) == 1);
		close(go[0]);
		close(go[1]);
		if (!expect(palloc_reap(pid)))
			return;
	}
}

static void test_posix_spawn(const void *arg)
{
	char * const argv[] = { "fork_exec", "cleared", "-", NULL };
	pid_t pid;

	setup("5");
	fflush(stdout);
	if (expect(posix_spawn(&pid, SELF, NULL, NULL, argv, environ) == 0))
		expect(palloc_reap(pid));
	expect(in_force("5"));
}

static void spawns(const void *arg)
{
	char * const argv[] = { "fork_exec", "pure", (char *)arg, NULL };
	pid_t pid;

	fflush(stdout);
	if (expect(posix_spawn(&pid, SELF, NULL, NULL, argv, environ) == 0))
		expect(palloc_reap(pid));
}

/* Not a function to return from: what the child does to the stack, the parent sees. */
static __always_inline long clone3(struct clone_args *args)
{
#ifdef __aarch64__
	register long x8 asm("x8") = __NR_clone3;
	register long x0 asm("x0") = (long)args;
	register long x1 asm("x1") = sizeof(*args);

	asm volatile("svc 0" : "+r" (x0) : "r" (x1), "r" (x8) : "memory");
	return x0;
#else
	long ret;

	asm volatile("syscall" : "=a" (ret) : "0" (__NR_clone3), "D" (args),
		     "S" (sizeof(*args)) : "rcx", "r11", "memory");
	return ret;
#endif
}

/*
 * As posix_spawn() into a cgroup, raw: until it calls exec, the child uses its
 * parent's memory, which has the parent's colors.
 */
static void spawns_into(const void *arg)
{
	char * const argv[] = { "fork_exec", "pure", "8-11", NULL };
	void *p = palloc_map_pages(PAGES, 0);
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = open(arg, O_DIRECTORY | O_CLOEXEC | O_PATH),
	};
	pid_t pid;

	fflush(stdout);
	pid = clone3(&args);
	if (!pid) {
		palloc_touch(p, PAGES);
		execv(SELF, argv);
		_exit(KSFT_FAIL);
	}
	if (expect(pid > 0))
		expect(palloc_reap(pid));
	expect(palloc_pure(p, PAGES, "0-3"));
	expect(palloc_pure(palloc_alloc(PAGES, 0), PAGES, "0-3"));
	close(args.cgroup);
}

/* Threads */

static void test_threads(const void *arg)
{
	const unsigned int n = 8;
	char *p;

	setup("5,9");
	p = palloc_map_pages(n * PAGES, MAP_PALLOC);
	expect(palloc_touch_by_threads(n, p, PAGES, PAGES));
	expect(palloc_pure(p, n * PAGES, "5,9"));
	expect(palloc_fallbacks() == 0);
	palloc_free(p, n * PAGES);
}

/* All threads in the same pages, so that they race for each fault. */
static void test_threads_same(const void *arg)
{
	char *p;

	setup("5,9");
	p = palloc_map_pages(PAGES, MAP_PALLOC);
	expect(palloc_touch_by_threads(4, p, PAGES, 0));
	expect(palloc_pure(p, PAGES, "5,9"));
	palloc_free(p, PAGES);
}

struct refill {
	char *p;
	unsigned int stop;
};

static void *refills(void *arg)
{
	struct refill *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		madvise(r->p, PAGES * palloc_page_size, MADV_DONTNEED);
		palloc_touch(r->p, PAGES);
	}
	return NULL;
}

/* fork while a thread keeps faulting: both sides stay pure. */
static void test_threads_fork(const void *arg)
{
	struct refill r = { .stop = 0 };
	struct cow cow = { .list = "5" };
	pthread_t thread;
	unsigned int i;

	setup("5");
	r.p = palloc_map_pages(2 * PAGES, MAP_PALLOC);
	cow.p = palloc_at(r.p, PAGES);
	palloc_touch(cow.p, PAGES);
	if (!expect(!pthread_create(&thread, NULL, refills, &r)))
		return;
	for (i = 0; i < 8; i++)
		if (!expect(palloc_run_in(NULL, writes_again, &cow)))
			break;
	__atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	palloc_touch(r.p, 2 * PAGES);
	expect(palloc_pure(r.p, 2 * PAGES, "5"));
	palloc_free(r.p, 2 * PAGES);
}

/* Into a cgroup */

struct into {
	void *plain, *colored;
	const char *bins;
};

static void is_inside(const void *arg)
{
	const struct into *into = arg;
	void *p = palloc_alloc(PAGES, 0);

	expect(palloc_pure(p, PAGES, into->bins));
	/* What was shared with the parent is copied with the child's colors. */
	palloc_touch(into->plain, PAGES);
	expect(palloc_pure(into->plain, PAGES, into->bins));
	palloc_touch(into->colored, PAGES);
	expect(palloc_pure(into->colored, PAGES, "15"));
}

static void clones_into(const void *arg)
{
	struct into into = { .bins = "2-3" };

	into.plain = palloc_alloc(PAGES, 0);
	expect(palloc_set_color(15) == 0);
	into.colored = palloc_alloc(PAGES, MAP_PALLOC);
	expect(palloc_reap(palloc_clone_into(arg, is_inside, &into)));
	expect(palloc_pure(into.colored, PAGES, "15"));
}

static void test_clone_into_exec(const void *arg)
{
	const char *cg;

	setup("5");
	cg = palloc_cg_with(NULL, "into", "2-3");
	expect(palloc_reap(palloc_clone_into(cg, execs, "2-3")));
}

/* Exit under load */

static void touches_forever(const void *arg)
{
	for (;;)
		palloc_free(palloc_alloc(PAGES, MAP_PALLOC), PAGES);
}

static void test_kill(const void *arg)
{
	unsigned int i, round;
	pid_t pid[4];
	void *p;

	setup("5");
	p = palloc_alloc(PAGES, MAP_PALLOC);
	for (round = 0; round < 15; round++) {
		for (i = 0; i < 4; i++)
			pid[i] = palloc_spawn(NULL, touches_forever, NULL);
		usleep(1000 * (1 + round % 7));
		for (i = 0; i < 4; i++)
			kill(pid[i], SIGKILL);
		for (i = 0; i < 4; i++)
			expect(palloc_kill(pid[i]));
		if (!expect(in_force("5")))
			break;
	}
	expect(palloc_pure(p, PAGES, "5"));
	expect(palloc_fallbacks() == 0);
	palloc_free(p, PAGES);
}

static const struct palloc_test tests[] = {
	{ "fork: the child has the map", test_inherit, NULL },
	{ "fork: grandchildren have the map", test_grandchildren, NULL },
	{ "fork: a cleared map stays cleared", test_no_map, NULL },
	{ "copy on write in the child", test_cow_child, NULL },
	{ "copy on write in a child with another map", test_cow_child_changed, NULL },
	{ "copy on write in the parent", test_cow_parent, NULL },
	{ "copy on write in all at once", test_cow_race, NULL },
	{ "copy on write in a cgroup", palloc_test_inside,
	  PALLOC_INSIDE("0-3", NULL, forks_and_breaks) },
	{ "copy on write, parent and child in two groups", test_cow_two_groups, NULL },
	{ "copy on write after a move", palloc_test_inside,
	  PALLOC_INSIDE("0-3", "8-11", moves_and_breaks) },
	{ "pinned pages are copied", test_pinned, NULL },
	{ "pinned pages are copied, CLONE_INTO_CGROUP", test_pinned, "into" },
	{ "pinned pages, and a group that may not be joined", test_may_not, NULL },
	{ "MADV_WIPEONFORK", test_wipe, NULL },
	{ "a change in the child is the child's", test_child_changes, NULL },
	{ "a change in the parent is the parent's", test_parent_changes, NULL },
	{ "CLONE_VM shares the map", test_clone_vm, NULL },
	{ "exec clears the map", test_exec_clears, NULL },
	{ "an exec that fails does not", test_exec_fails, NULL },
	{ "exec in a cgroup: all pages are pure", test_exec_cgroup, NULL },
	{ "vfork and exec", test_vfork, NULL },
	{ "vfork, and the child is moved", palloc_test_inside,
	  PALLOC_INSIDE("0-3", "8", moves_child) },
	{ "left by who it was made for, and moved", test_left, NULL },
	{ "moved during exec", test_exec_moved, NULL },
	{ "posix_spawn", test_posix_spawn, NULL },
	{ "posix_spawn in a cgroup", palloc_test_inside, PALLOC_INSIDE("4,10", NULL, spawns) },
	{ "CLONE_VM, CLONE_INTO_CGROUP and exec", palloc_test_inside,
	  PALLOC_INSIDE("0-3", "8-11", spawns_into) },
	{ "eight threads faulting", test_threads, NULL },
	{ "threads racing for the same pages", test_threads_same, NULL },
	{ "fork while a thread faults", test_threads_fork, NULL },
	{ "CLONE_INTO_CGROUP", palloc_test_inside, PALLOC_INSIDE(NULL, "2-3", clones_into) },
	{ "CLONE_INTO_CGROUP from another group", palloc_test_inside,
	  PALLOC_INSIDE("8-11", "2-3", clones_into) },
	{ "CLONE_INTO_CGROUP and exec", test_clone_into_exec, NULL },
	{ "killed while faulting", test_kill, NULL },
};

/* This program, executed by one of its tests. */
static int executed(const char *what, const char *list)
{
	void *p;

	palloc_init_tool();
	palloc_map_mask(&palloc_map, 0xf000);
	if (!strcmp(what, "cleared")) {
		p = palloc_alloc(PALLOC_MANY, MAP_PALLOC);
		expect(palloc_mixed(p, PALLOC_MANY));
	} else if (!strcmp(what, "waits")) {
		char byte;

		expect(read(STDIN_FILENO, &byte, 1) == 1);
		expect(palloc_pure(palloc_alloc(64, 0), 64, list));
	} else {
		/* More than what follows: stack, arguments, data, heap. */
		p = palloc_alloc(PAGES, 0);
		expect(palloc_pure(p, PAGES, list));
		expect(palloc_process_pure(0, list, PAGES + 8));
	}
	return palloc_exit_code();
}

int main(int argc, char *argv[])
{
	if (argc > 2)
		return executed(argv[1], argv[2]);
	palloc_init(PALLOC_NEED_SYSCALLS | PALLOC_NEED_CGROUP);
	palloc_run_tests(tests, ARRAY_SIZE(tests));
}
