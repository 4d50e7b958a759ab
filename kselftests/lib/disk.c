// SPDX-License-Identifier: GPL-2.0
/* See disk.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/loop.h>

#include "check.h"
#include "color.h"
#include "disk.h"
#include "file.h"

/* The number of a new one, /dev/zramN, or -1 if there is no zram. */
int palloc_zram_add(size_t pages)
{
	int id = palloc_file_number("/sys/class/zram-control/hot_add");
	char text[32], path[64];

	if (id < 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", id);
	snprintf(text, sizeof(text), "%zu", pages * palloc_page_size);
	if (palloc_file_puts(path, text))
		palloc_bail("cannot size %s", path);
	return id;
}

void palloc_zram_remove(int id)
{
	char text[16];
	int ret;

	snprintf(text, sizeof(text), "%d", id);
	ret = palloc_file_puts("/sys/class/zram-control/hot_remove", text);
	if (ret)
		palloc_note("removing zram%d: %s", id, strerror(-ret));
}

/*
 * A loop device on a file or disk, of which it puts the path into path[32]. It
 * goes with the descriptor that is returned, or -1 if there are none.
 */
int palloc_loop_add(int backing, unsigned int block_size, unsigned int flags, char *path)
{
	struct loop_config config = {
		.fd = backing, .block_size = block_size,
		.info.lo_flags = flags | LO_FLAGS_AUTOCLEAR,
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), id, fd;

	if (control < 0)
		return -1;
	id = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(path, 32, "/dev/loop%d", id);
	fd = id < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (backing < 0 || fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config))
		palloc_bail("loop device: %s", strerror(errno));
	return fd;
}

/* As mkswap does. */
void palloc_mkswap(const char *path, unsigned int pages)
{
	const unsigned int info[3] = { 1, pages - 1, 0 };
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, info, sizeof(info), 1024) != sizeof(info) ||
	    pwrite(fd, "SWAPSPACE2", 10, palloc_page_size - 10) != 10 || fsync(fd))
		palloc_bail("%s: %s", path, strerror(errno));
	close(fd);
}
