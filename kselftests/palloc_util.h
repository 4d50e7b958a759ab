/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the palloc tests and tools share. Each file of lib/ calls only those that stand
 * above it here.
 */
#ifndef __PALLOC_UTIL_H
#define __PALLOC_UTIL_H

/* What nearly all of them need. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/palloc.h>
#include <linux/types.h>

#include "lib/check.h"
#include "lib/file.h"
#include "lib/color.h"
#include "lib/setting.h"
#include "lib/frame.h"
#include "lib/region.h"
#include "lib/page.h"
#include "lib/memory.h"
#include "lib/lossless.h"
#include "lib/disk.h"
#include "lib/shell.h"
#include "lib/cgroup.h"
#include "lib/process.h"
#include "lib/compact.h"
#include "lib/run.h"

#endif /* __PALLOC_UTIL_H */
