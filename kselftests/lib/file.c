// SPDX-License-Identifier: GPL-2.0
/* See file.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "file.h"

/* Files of others that a test changes. */
static struct {
	const char *path;
	char text[64];
} kept[8];

int palloc_file_write(const char *path, const void *buf, size_t len)
{
	ssize_t done;
	int fd, ret;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	done = write(fd, buf, len);
	if (done < 0)
		ret = -errno;
	else
		ret = (size_t)done == len ? 0 : -EIO;
	close(fd);
	return ret;
}

ssize_t palloc_file_read(const char *path, char *buf, size_t size)
{
	ssize_t n, done = 0;
	int fd;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((size_t)done < size - 1) {
		n = read(fd, buf + done, size - 1 - done);
		if (n < 0) {
			done = -errno;
			break;
		}
		if (!n)
			break;
		done += n;
	}
	close(fd);
	if (done >= 0)
		buf[done] = '\0';
	return done;
}

int palloc_file_puts(const char *path, const char *text)
{
	return palloc_file_write(path, text, strlen(text));
}

/* What it has, as C writes it; -1 if it is not there. */
long long palloc_file_number(const char *path)
{
	char text[64];

	return palloc_file_read(path, text, sizeof(text)) > 0 ? strtoll(text, NULL, 0) : -1;
}

int palloc_dir_write(const char *dir, const char *file, const void *buf, size_t len)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return palloc_file_write(path, buf, len);
}

int palloc_dir_puts(const char *dir, const char *file, const char *text)
{
	return palloc_dir_write(dir, file, text, strlen(text));
}

ssize_t palloc_dir_read(const char *dir, const char *file, char *buf, size_t size)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return palloc_file_read(path, buf, size);
}

/* Whether a file reads so; says how it reads if not. */
bool palloc_dir_reads(const char *dir, const char *file, const char *want)
{
	char got[8192];
	ssize_t len = palloc_dir_read(dir, file, got, sizeof(got));

	if (len >= 0 && !strcmp(got, want))
		return true;
	if (len < 0)
		palloc_note("%s: %s", file, strerror(-len));
	else
		palloc_note("%s reads '%.*s' where '%.*s' was expected", file,
			    (int)strcspn(got, "\n"), got,
			    (int)strcspn(want, "\n"), want);
	return false;
}

/* The number after a word at the beginning of a line, -1 if there is none. */
long palloc_keyed(const char *path, const char *key)
{
	size_t len = strlen(key);
	long value = -1;
	char line[256];
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, len) || !strchr(": ", line[len]))
			continue;
		value = strtol(line + len + 1, NULL, 10);
		break;
	}
	fclose(f);
	return value;
}

/* In KiB. */
long palloc_meminfo(const char *key)
{
	return palloc_keyed("/proc/meminfo", key);
}

long palloc_vmstat(const char *key)
{
	return palloc_keyed("/proc/vmstat", key);
}

/*
 * Remembers one more file; false if it is not there. Of a list of choices the
 * one in brackets is the value.
 */
bool palloc_keep(const char *path)
{
	char buf[256], *text = buf, *end;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kept) && kept[i].path; i++)
		if (!strcmp(kept[i].path, path))
			return true;
	if (i == ARRAY_SIZE(kept) || palloc_file_read(path, buf, sizeof(buf)) <= 0)
		return false;
	if (strchr(buf, '['))
		text = strchr(buf, '[') + 1;
	end = text + strcspn(text, "]\n");
	*end = '\0';
	snprintf(kept[i].text, sizeof(kept[i].text), "%.60s", text);
	kept[i].path = path;
	return true;
}

/* Until the test ends. */
bool palloc_knob(const char *path, const char *text)
{
	return palloc_keep(path) && !palloc_file_puts(path, text);
}

void palloc_restore_kept(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kept); i++) {
		if (kept[i].path &&
		    palloc_file_puts(kept[i].path, kept[i].text))
			palloc_note("could not restore %s", kept[i].path);
		kept[i].path = NULL;
	}
}
