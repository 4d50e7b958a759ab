/* SPDX-License-Identifier: GPL-2.0 */
/* What tells the plugin to record; without it, these do nothing */
#ifndef MARKS_H
#define MARKS_H

#include <fcntl.h>
#include <unistd.h>

/* There, the hogs begin; until then they don't take the emulator's time */
#define GO	"/tmp/go"

#define mark(n) do {								\
	asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, " #n ", 0x70, 0x61, 0x6c"	\
		     ::: "memory");						\
} while (0)

static inline void mark_start(void)
{
	close(open(GO, O_WRONLY | O_CREAT, 0600));
	usleep(3000);
	mark(1);
}

static inline void mark_stop(void)
{
	mark(2);
}

static inline void mark_done(void)
{
	mark(3);
}

#endif
