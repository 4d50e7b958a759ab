/* SPDX-License-Identifier: GPL-2.0 */
/* Files in short. 0 or a length on success, -errno on failure. */
#ifndef __PALLOC_TEST_FILE_H
#define __PALLOC_TEST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PALLOC_DIR	"/sys/kernel/debug/palloc"
#define PALLOC_SYSFS	"/sys/kernel/mm/palloc"

int palloc_file_write(const char *path, const void *buf, size_t len);
ssize_t palloc_file_read(const char *path, char *buf, size_t size);
int palloc_file_puts(const char *path, const char *text);
long long palloc_file_number(const char *path);
int palloc_dir_write(const char *dir, const char *file, const void *buf, size_t len);
int palloc_dir_puts(const char *dir, const char *file, const char *text);
ssize_t palloc_dir_read(const char *dir, const char *file, char *buf, size_t size);
bool palloc_dir_reads(const char *dir, const char *file, const char *want);

/* Those in debugfs, and those in sysfs. */
#define palloc_write(file, buf, len)	palloc_dir_write(PALLOC_DIR, file, buf, len)
#define palloc_puts(file, text)		palloc_dir_puts(PALLOC_DIR, file, text)
#define palloc_gets(file, buf, size)	palloc_dir_read(PALLOC_DIR, file, buf, size)
#define palloc_reads(file, want)	palloc_dir_reads(PALLOC_DIR, file, want)

#define palloc_sys_write(file, buf, len)	palloc_dir_write(PALLOC_SYSFS, file, buf, len)
#define palloc_sys_puts(file, text)		palloc_dir_puts(PALLOC_SYSFS, file, text)
#define palloc_sys_gets(file, buf, size)	palloc_dir_read(PALLOC_SYSFS, file, buf, size)
#define palloc_sys_reads(file, want)		palloc_dir_reads(PALLOC_SYSFS, file, want)

/* Values with a name; -1 if there is none. */
long palloc_keyed(const char *path, const char *key);
long palloc_meminfo(const char *key);
long palloc_vmstat(const char *key);

/* What is put back when the test ends. */
bool palloc_keep(const char *path);
bool palloc_knob(const char *path, const char *text);
void palloc_restore_kept(void);

#endif /* __PALLOC_TEST_FILE_H */
