// SPDX-License-Identifier: GPL-2.0
/* See process.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/sched.h>

#include "cgroup.h"
#include "check.h"
#include "process.h"
#include "region.h"
#include "setting.h"

static noreturn void child(pid_t parent, const char *cg, int there,
			   void (*fn)(const void *arg), const void *arg)
{
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(KSFT_FAIL);
	palloc_check_nothing();
	if (cg) {
		ret = palloc_cg_move(cg, 0);
		if (ret)
			palloc_bail("moving into %s: %s", cg, strerror(-ret));
	}
	close(there);
	fn(arg);
	fflush(stdout);
	_exit(palloc_exit_code());
}

pid_t palloc_spawn(const char *cg, void (*fn)(const void *arg), const void *arg)
{
	pid_t parent = getpid(), pid;
	int there[2];
	char none;

	if (pipe2(there, O_CLOEXEC))
		palloc_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(there[0]);
		child(parent, cg, there[1], fn, arg);
	}
	close(there[1]);
	if (pid < 0)
		palloc_bail("fork: %s", strerror(errno));
	/* Whatever the caller does to the child next, it is to find it in the group. */
	while (read(there[0], &none, 1) < 0 && errno == EINTR)
		;
	close(there[0]);
	return pid;
}

/* As palloc_spawn(), but the child never runs outside of the group. */
pid_t palloc_clone_into(const char *cg, void (*fn)(const void *arg), const void *arg)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
	};
	pid_t parent = getpid(), pid;
	int fd = open(cg, O_DIRECTORY | O_CLOEXEC | O_PATH);

	if (fd < 0)
		palloc_bail("open %s: %s", cg, strerror(errno));
	args.cgroup = fd;
	fflush(stdout);
	pid = syscall(__NR_clone3, &args, sizeof(args));
	if (!pid)
		child(parent, NULL, -1, fn, arg);
	close(fd);
	if (pid < 0)
		palloc_bail("clone3: %s", strerror(errno));
	return pid;
}

bool palloc_reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	if (WIFEXITED(status))
		palloc_note("child exited with %d", WEXITSTATUS(status));
	else
		palloc_note("child died of signal %d", WTERMSIG(status));
	return false;
}

/* All of them are to have succeeded. */
void palloc_reap_all(const pid_t *pid, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		expect(palloc_reap(pid[i]));
}

/* Whether it lived until then. */
bool palloc_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

bool palloc_run_in(const char *cg, void (*fn)(const void *arg), const void *arg)
{
	return palloc_reap(palloc_spawn(cg, fn, arg));
}

/* Waits for what another process sets in shared memory, until the time limit. */
void palloc_wait_for(const unsigned int *what)
{
	while (!__atomic_load_n(what, __ATOMIC_ACQUIRE))
		usleep(10000);
}

void palloc_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		palloc_note("cannot pin to CPU %d", cpu);
}

void palloc_pause(const void *arg)
{
	for (;;)
		pause();
}

#define MAX_THREADS	8

struct share {
	void *p;
	size_t pages;
};

static void *touches(void *arg)
{
	const struct share *share = arg;

	palloc_touch(share->p, share->pages);
	return NULL;
}

bool palloc_touch_by_threads(unsigned int threads, void *p, size_t pages, size_t step)
{
	pthread_t thread[MAX_THREADS];
	struct share share[MAX_THREADS];
	unsigned int i, n;

	for (n = 0; n < threads && n < MAX_THREADS; n++) {
		share[n] = (struct share) { palloc_at(p, n * step), pages };
		if (pthread_create(&thread[n], NULL, touches, &share[n]))
			break;
	}
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	return n == threads;
}

bool palloc_be_nobody(void)
{
	return !setgroups(0, NULL) && !setresgid(PALLOC_NOBODY, PALLOC_NOBODY, PALLOC_NOBODY) &&
	       !setresuid(PALLOC_NOBODY, PALLOC_NOBODY, PALLOC_NOBODY);
}

void palloc_test_inside(const void *arg)
{
	const struct palloc_inside *in = arg;
	const char *cg = NULL, *other = NULL;

	palloc_setup_mask(0xf000);
	if (in->bins)
		cg = palloc_cg_with(NULL, "inside", in->bins);
	if (in->other)
		other = palloc_cg_with(NULL, "other", in->other);
	expect(palloc_run_in(cg, in->fn, other ?: in->bins));
	expect(palloc_fallbacks() == 0);
}
