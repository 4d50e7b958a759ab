// SPDX-License-Identifier: GPL-2.0
/* Traces, as the plugin writes them, and as text for cases made by hand */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define MAGIC		"palloc-trace 1 "
#define MAGIC_TEXT	"palloc-trace-text 1\n"

static void add(struct trace *t, size_t *room, struct record r, const char *file)
{
	if (t->nr == *room) {
		*room = *room ? 2 * *room : 4096;
		t->record = realloc(t->record, *room * sizeof(*t->record));
		if (!t->record)
			die("%s: no memory for this trace", file);
	}
	t->record[t->nr++] = r;
}

static uint64_t number(const uint8_t **at, const uint8_t *end, const char *file)
{
	uint64_t n = 0;
	int shift;

	for (shift = 0; shift < 64; shift += 7) {
		if (*at == end)
			die("%s: cut off", file);
		n |= (uint64_t)(**at & 127) << shift;
		if (!(*(*at)++ & 128))
			return n;
	}
	die("%s: not a trace, or a damaged one", file);
}

static void read_binary(struct trace *t, const uint8_t *data, const uint8_t *end,
			const char *file)
{
	const uint8_t *at = memchr(data, '\n', end - data), *byte;
	uint64_t line = 0, n, delta, numbers[2];
	uint32_t sum = 0x811c9dc5, stored;
	size_t room = 0;

	if (!at++)
		die("%s: cut off", file);
	for (;;) {
		n = number(&at, end, file);
		if ((n & 3) == END)
			break;
		delta = number(&at, end, file);
		line += delta >> 1 ^ -(delta & 1);
		if (line >> 50 || n >> 3 > UINT32_MAX)
			die("%s: not a trace, or a damaged one", file);
		add(t, &room, (struct record){
			.line = line, .type = n & 3, .kernel = n >> 2 & 1, .gap = n >> 3,
		}, file);
	}
	if (end - at < (long)(sizeof(numbers) + sizeof(sum)))
		die("%s: cut off", file);
	memcpy(numbers, at, sizeof(numbers));
	at += sizeof(numbers);
	for (byte = data; byte < at; byte++)
		sum = (sum ^ *byte) * 0x01000193;
	memcpy(&stored, at, sizeof(stored));
	if (numbers[0] != t->nr || stored != sum || at + sizeof(stored) != end)
		die("%s: damaged: its checksum is wrong", file);
}

static void read_text(struct trace *t, char *data, const char *file)
{
	char *line, *next;
	size_t room = 0;
	int nr = 1;

	for (line = data + strlen(MAGIC_TEXT); *line; line = next) {
		char type[2], flag[2] = "";
		uint64_t gap, address;
		char more;
		int got;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		nr++;
		line[strcspn(line, "#")] = 0;
		got = sscanf(line, " %" SCNu64 " %1[RWB] %" SCNx64 " %1[k] %c", &gap, type,
			     &address, flag, &more);
		if (got == EOF)
			continue;
		if (got < 3 || got > 4 || gap > UINT32_MAX || address >> 56)
			die("%s:%d: not of the form \"GAP R|W|B ADDRESS [k]\"", file, nr);
		add(t, &room, (struct record){
			.line = address >> LINE_SHIFT, .gap = gap, .kernel = *flag == 'k',
			.type = *type == 'R' ? READ : *type == 'W' ? WRITE : BACK,
		}, file);
	}
}

void trace_read(struct trace *t, const char *file, const struct config *c)
{
	FILE *f = fopen(file, "r");
	uint64_t limit = (uint64_t)c->memory_mib << 20 >> LINE_SHIFT;
	char *data;
	long size;
	size_t i;

	*t = (struct trace){};
	if (!f || fseek(f, 0, SEEK_END))
		die("%s: %s", file, strerror(errno));
	size = ftell(f);
	if (size < 0)
		die("%s: %s", file, strerror(errno));
	rewind(f);
	data = malloc(size + 1);
	if (!data)
		die("%s: no memory for this trace", file);
	if (fread(data, 1, size, f) != (size_t)size)
		die("%s: %s", file, strerror(errno));
	fclose(f);
	data[size] = 0;
	if (!strncmp(data, MAGIC, strlen(MAGIC)))
		read_binary(t, (uint8_t *)data, (uint8_t *)data + size, file);
	else if (!strncmp(data, MAGIC_TEXT, strlen(MAGIC_TEXT)))
		read_text(t, data, file);
	else
		die("%s: not a trace", file);
	free(data);
	if (!t->nr)
		die("%s: nothing was recorded", file);
	for (i = 0; i < t->nr; i++) {
		if (t->record[i].line >= limit)
			die("%s: address %#" PRIx64 " is not in the machine's %ld MiB", file,
			    (uint64_t)t->record[i].line << LINE_SHIFT, c->memory_mib);
	}
}

void trace_print(const struct trace *t, FILE *to)
{
	size_t i;

	fputs(MAGIC_TEXT, to);
	for (i = 0; i < t->nr; i++) {
		const struct record *r = &t->record[i];

		fprintf(to, "%u %c %" PRIx64 "%s\n", r->gap, "RWB"[r->type],
			(uint64_t)r->line << LINE_SHIFT, r->kernel ? " k" : "");
	}
}
