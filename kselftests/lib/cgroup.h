/* SPDX-License-Identifier: GPL-2.0 */
/* Control groups. */
#ifndef __PALLOC_TEST_CGROUP_H
#define __PALLOC_TEST_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "file.h"

bool palloc_cg_init(void);
void palloc_cg_remove_all(void);
void palloc_cg_exit(void);

const char *palloc_cg_root(void);
const char *palloc_cg_new(const char *parent, const char *name);
const char *palloc_cg_with(const char *parent, const char *name, const char *bins);
const char *palloc_setup_cg(const char *name, const char *bins);
int palloc_cg_remove(const char *cg);
int palloc_cg_bins_gone(const char *cg, const char *list);
int palloc_cg_bins(const char *cg, const char *list);
long palloc_cg_event(const char *cg, const char *key);
int palloc_cg_open_events(const char *cg);
bool palloc_notified(int fd, bool want);
int palloc_cg_move(const char *cg, pid_t pid);

#define palloc_cg_write(cg, file, text)		palloc_dir_puts(cg, file, text)
#define palloc_cg_read(cg, file, buf, size)	palloc_dir_read(cg, file, buf, size)
#define palloc_cg_reads(cg, file, want)		palloc_dir_reads(cg, file, want)

#endif /* __PALLOC_TEST_CGROUP_H */
