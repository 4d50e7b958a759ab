// SPDX-License-Identifier: GPL-2.0
/* See shell.h. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "shell.h"

static struct {
	pid_t pid;
	FILE *to, *from;
} shell;

/* What it finds in the folder of the test programs; of a copy, if one had to be made. */
static const char * const tools[] = { "palloc", "libpalloc_preload.so" };
static char dir[PATH_MAX], copy[] = "/tmp/palloc_tools_XXXXXX";
static bool copied;

static const char *tool(const char *where, const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", where, name);
	return path;
}

/* Users of any kind may go there, and run what is there. */
static bool open_to_all(void)
{
	char part[PATH_MAX];
	struct stat st;
	unsigned int i;
	size_t len;

	for (i = 0; i < ARRAY_SIZE(tools); i++)
		if (!stat(tool(dir, tools[i]), &st) && (st.st_mode & 0555) != 0555)
			return false;
	for (len = strlen(dir); len; len--) {
		if (len < strlen(dir) && dir[len] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)len, dir);
		if (stat(part, &st) || !(st.st_mode & 0001))
			return false;
	}
	return true;
}

static void copy_tool(const char *name)
{
	char buf[65536];
	ssize_t n;
	int from = open(tool(dir, name), O_RDONLY | O_CLOEXEC);
	int to = from < 0 ? -1 : open(tool(copy, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

	if (from < 0)
		return;
	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			break;
	if (n || fchmod(to, 0755))
		palloc_bail("copying %s: %s", name, strerror(errno));
	close(from);
	close(to);
}

/*
 * Some tests are not root, but who built or installed the tests may have kept them
 * to himself, as with umask 077.
 */
static void choose_dir(void)
{
	unsigned int i;

	if (!getcwd(dir, sizeof(dir)))
		palloc_bail("getcwd: %s", strerror(errno));
	if (open_to_all())
		return;
	if (!mkdtemp(copy) || chmod(copy, 0755))
		palloc_bail("%s: %s", copy, strerror(errno));
	copied = true;
	for (i = 0; i < ARRAY_SIZE(tools); i++)
		copy_tool(tools[i]);
	snprintf(dir, sizeof(dir), "%s", copy);
}

/* At the end of all tests. */
void palloc_shell_exit(void)
{
	unsigned int i;

	palloc_shell_end();
	for (i = 0; copied && i < ARRAY_SIZE(tools); i++)
		unlink(tool(copy, tools[i]));
	if (copied)
		rmdir(copy);
	copied = false;
}

static void shell_start(void)
{
	char path[2 * PATH_MAX];
	int in[2], out[2];

	if (!dir[0])
		choose_dir();
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		palloc_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	shell.pid = fork();
	if (!shell.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		snprintf(path, sizeof(path), "%s:%s", dir, getenv("PATH") ?: "/bin:/usr/bin");
		setenv("PATH", path, 1);
		execl("/bin/sh", "sh", NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	shell.to = fdopen(in[1], "w");
	shell.from = fdopen(out[0], "r");
	if (shell.pid < 0 || !shell.to || !shell.from)
		palloc_bail("cannot start a shell: %s", strerror(errno));
}

/* It ends when there is nothing more to read. */
void palloc_shell_end(void)
{
	if (!shell.pid)
		return;
	fclose(shell.to);
	fclose(shell.from);
	waitpid(shell.pid, NULL, 0);
	shell.pid = 0;
}

int palloc_shell(const char *command, char *out, size_t size)
{
	static const char mark[] = "@@ status ";
	char line[4096];
	size_t len = 0;

	if (!shell.pid)
		shell_start();
	out[0] = '\0';
	/* The mark is on a line of its own, wherever the output ends. */
	fprintf(shell.to, "%s\nprintf '\\n%s%%d\\n' $?\n", command, mark);
	fflush(shell.to);
	while (fgets(line, sizeof(line), shell.from)) {
		if (!strncmp(line, mark, strlen(mark))) {
			while (len && out[len - 1] == '\n')
				out[--len] = '\0';
			return atoi(line + strlen(mark));
		}
		if (len + strlen(line) < size)
			len += sprintf(out + len, "%s", line);
	}
	palloc_shell_end();
	return -1;
}

void palloc_step(const void *arg)
{
	const struct palloc_step *step = arg;
	char out[16384], *line, *save;
	int status = palloc_shell(step->command, out, sizeof(out));
	bool same = !step->output || !fnmatch(step->output, out, 0);

	if (expect(status == step->status) & expect(same))
		return;
	palloc_note("status %d, expected %d; the output:", status, step->status);
	for (line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		palloc_note("  %s", line);
	if (!same)
		palloc_note("expected was: %s", step->output);
}
