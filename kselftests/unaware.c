// SPDX-License-Identifier: GPL-2.0
/*
 * A program for the test "tool", which allocates memory as programs do that know
 * nothing of colors, and then tells which of it is MAP_PALLOC and has the colors
 * of the list that it is given. Fails if any of it has not.
 */
#include <pthread.h>

#include "palloc_util.h"

#define CHUNK		4000
#define CHUNKS		256
#define LARGE		(4UL << 20)
#define STACK		(256UL << 10)

static const char *colors;

/* All whole pages from @from to @to are there, MAP_PALLOC, and of these colors. */
static bool colored(const char *what, const void *from, const void *to)
{
	const uintptr_t mask = palloc_page_size - 1;
	uintptr_t start = ((uintptr_t)from + mask) & ~mask;
	size_t pages = (((uintptr_t)to & ~mask) - start) / palloc_page_size;
	bool ok = palloc_vm_flag((void *)start, "pa") &
		  palloc_pure((void *)start, pages, colors);

	printf("%s: %zu pages %s\n", what, pages, ok ? "ok" : "not ok");
	return ok;
}

static void *in_thread(void *arg)
{
	char room[STACK];

	memset(room, 1, sizeof(room));
	return colored("stack of a thread", room, room + sizeof(room)) ? arg : NULL;
}

int main(int argc, char *argv[])
{
	char *small[CHUNKS], *large;
	pthread_t id;
	void *ret;
	bool ok;
	int i;

	palloc_init_tool();
	if (argc != 2 || !palloc_map_read(&palloc_map))
		return 2;
	colors = argv[1];

	/* Too small for mmap() and, together, too large for what was there before. */
	for (i = 0; i < CHUNKS; i++) {
		small[i] = malloc(CHUNK);
		memset(small[i], 1, CHUNK);
	}
	large = malloc(LARGE);
	memset(large, 1, LARGE);
	ok = colored("heap", small[CHUNKS / 2], small[CHUNKS - 1] + CHUNK);
	ok &= colored("large block", large, large + LARGE);
	if (pthread_create(&id, NULL, in_thread, small) || pthread_join(id, &ret) || !ret)
		ok = false;
	return ok ? 0 : 1;
}
