// SPDX-License-Identifier: GPL-2.0
/*
 * An extension for sqlite3 that has nothing but a mark, START or not. Commands would be run by a
 * shell, whose file nobody of the victim's has brought in, and which would be recorded, too.
 */

#include "marks.h"

int sqlite3_extension_init(void *db, char **message, const void *api);

int sqlite3_extension_init(void *db, char **message, const void *api)
{
#ifdef START
	mark_start();
#else
	mark_stop();
#endif
	return 0;
}
