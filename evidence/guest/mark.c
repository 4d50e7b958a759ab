// SPDX-License-Identifier: GPL-2.0
/* mark start|stop|done: for programs that have no marks in them */

#include <stdio.h>
#include <string.h>

#include "marks.h"

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "start")) {
		mark_start();
	} else if (argc == 2 && !strcmp(argv[1], "stop")) {
		mark_stop();
	} else if (argc == 2 && !strcmp(argv[1], "done")) {
		mark_done();
	} else {
		fprintf(stderr, "Usage: mark start|stop|done\n");
		return 1;
	}
	return 0;
}
