// SPDX-License-Identifier: GPL-2.0
/* See cgroup.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "check.h"
#include "file.h"
#include "setting.h"

#define CG_MAX		64

static char cg_root[PATH_MAX];
static char cg_path[CG_MAX][256];
static bool cg_enabled_here;

bool palloc_cg_init(void)
{
	char line[4096], dir[PATH_MAX], type[64], path[PATH_MAX + 64];
	FILE *f = fopen("/proc/self/mounts", "re");

	if (!f)
		return false;
	while (!cg_root[0] && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %4095s %63s", dir, type) == 2 &&
		    !strcmp(type, "cgroup2"))
			snprintf(cg_root, sizeof(cg_root), "%s", dir);
	fclose(f);
	if (!cg_root[0])
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", cg_root);
	if (palloc_file_read(path, line, sizeof(line)) < 0 || !strstr(line, "palloc"))
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", cg_root);
	if (palloc_file_read(path, line, sizeof(line)) < 0)
		return false;
	if (strstr(line, "palloc"))
		return true;
	cg_enabled_here = !palloc_file_write(path, "+palloc", 7);
	return cg_enabled_here;
}

const char *palloc_cg_root(void)
{
	return cg_root;
}

/* A group below @parent, or below the root. Removed when the test ends. */
const char *palloc_cg_new(const char *parent, const char *name)
{
	unsigned int i;
	int ret;

	for (i = 0; i < CG_MAX && cg_path[i][0]; i++)
		;
	if (i == CG_MAX)
		palloc_bail("too many cgroups");
	if (parent) {
		ret = palloc_cg_write(parent, "cgroup.subtree_control", "+palloc");
		if (ret)
			palloc_bail("enabling palloc below %s: %s", parent, strerror(-ret));
	} else {
		parent = cg_root;
	}
	snprintf(cg_path[i], sizeof(cg_path[i]), "%.180s/palloc_test.%d.%.40s",
		 parent, palloc_owner(), name);
	if (mkdir(cg_path[i], 0755)) {
		ret = errno;
		cg_path[i][0] = '\0';
		palloc_bail("mkdir of cgroup %s: %s", name, strerror(ret));
	}
	return cg_path[i];
}

static int cg_rmdir(const char *cg)
{
	unsigned int tries;

	/* An exiting task leaves its group a moment after it can be reaped. */
	for (tries = 0; tries < 3000; tries++) {
		if (!rmdir(cg))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(20000);
	}
	return -errno;
}

int palloc_cg_remove(const char *cg)
{
	unsigned int i;
	int ret = cg_rmdir(cg);

	for (i = 0; i < CG_MAX && !ret; i++)
		if (cg == cg_path[i])
			cg_path[i][0] = '\0';
	return ret;
}

/* Children were registered after their parents: remove backwards. */
void palloc_cg_remove_all(void)
{
	unsigned int i;

	for (i = CG_MAX; i-- > 0;) {
		if (!cg_path[i][0])
			continue;
		palloc_cg_write(cg_path[i], "cgroup.kill", "1");
		/* A child of ours may have removed it already. */
		if (!cg_rmdir(cg_path[i]) || errno == ENOENT)
			cg_path[i][0] = '\0';
	}
}

int palloc_cg_bins(const char *cg, const char *list)
{
	return palloc_cg_write(cg, "palloc.bins", list);
}

/* A new group with bins. */
const char *palloc_cg_with(const char *parent, const char *name, const char *bins)
{
	const char *cg = palloc_cg_new(parent, name);

	expect(palloc_cg_bins(cg, bins) == 0);
	return cg;
}

/* How most tests begin: 16 bins, and a group that has some of them, or all if NULL. */
const char *palloc_setup_cg(const char *name, const char *bins)
{
	palloc_setup_mask(0xf000);
	return bins ? palloc_cg_with(NULL, name, bins) : palloc_cg_new(NULL, name);
}

/*
 * Have a cgroup run out of bins: those of 4 to 7 that it is given have pages at the
 * time, and none from when address bit 40 tells them from 0 to 3.
 */
int palloc_cg_bins_gone(const char *cg, const char *list)
{
	int ret = palloc_puts("control", "12\n13\n14\n");

	if (!ret)
		ret = palloc_cg_bins(cg, list);
	return palloc_puts("control", PALLOC_MAP_GONE) ?: ret;
}

/* How often an event was, -1 if palloc.events has no such line. */
long palloc_cg_event(const char *cg, const char *key)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/palloc.events", cg);
	return palloc_keyed(path, key);
}

/* For palloc_notified(): read, so that only changes from now on count. */
int palloc_cg_open_events(const char *cg)
{
	char path[PATH_MAX + 64], buf[128];
	int fd;

	snprintf(path, sizeof(path), "%s/palloc.events", cg);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf)) <= 0)
		palloc_bail("%s: %s", path, strerror(errno));
	return fd;
}

/* Whether a file is said to have changed, which may take a moment. */
bool palloc_notified(int fd, bool want)
{
	struct pollfd pfd = { .fd = fd, .events = POLLPRI };
	int ret = poll(&pfd, 1, want ? 60000 : 0);

	return want ? ret == 1 && (pfd.revents & POLLPRI) : !ret;
}

/* pid 0 is the caller. */
int palloc_cg_move(const char *cg, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return palloc_cg_write(cg, "cgroup.procs", text);
}

/* At the end of all tests. */
void palloc_cg_exit(void)
{
	palloc_cg_remove_all();
	if (cg_enabled_here)
		palloc_cg_write(cg_root, "cgroup.subtree_control", "-palloc");
	cg_enabled_here = false;
}
