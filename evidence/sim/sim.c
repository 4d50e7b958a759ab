// SPDX-License-Identifier: GPL-2.0
/*
 * The model. Time is counted in cycles of the cores, all of which run at one clock; DRAM has
 * a slower one, and is looked at once in each of its clocks in which it, or a core, has
 * something to do. Cores take turns within such a clock. Nothing depends on anything but
 * the traces and settings.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define NEVER		UINT64_MAX
#define MAX_FLIGHTS	(2 * MAX_QUEUE + MAX_CORES * MAX_WINDOW)
struct line {
	uint64_t number;
	uint64_t used;
	bool valid, dirty;
	struct cause owner;
};

struct cache {
	struct line *lines;
	uint64_t sets, ways;
	bool hashed, random;
};

/* A line that is on its way from memory */
struct flight {
	uint64_t line;
	uint64_t done;		/* NEVER: not known yet */
};

/* An access that a core waits for */
struct access {
	uint64_t insn;
	uint64_t done;
	uint64_t line;
};

struct core {
	const struct trace *trace;
	size_t pos;
	uint64_t insn;		/* of the record at pos */
	uint64_t next;		/* when it would be taken if nothing held it up */
	uint64_t hint;		/* held up: when this is known to change */
	uint64_t columns;	/* s->columns when it was held up */
	bool blocked, finished;
	uint64_t since, *reason; /* held up since then, to be counted there */
	uint64_t taken, last;	/* how many records, and when the last one */
	struct access accesses[MAX_WINDOW];
	int nr_accesses;
	struct cache l2;
	struct core_stats stats;
	uint64_t insn_base;
};

struct request {
	uint64_t line, arrival;
	struct place place;
	struct cause cause;
	bool opens, closes;	/* a row was opened, one was closed, for it */
};

struct queue {
	struct request r[MAX_QUEUE];
	int nr;
};

struct bank {
	int64_t row;		/* -1: none is open */
	struct cause opener;
	uint64_t next_act, next_pre, next_col;
	long streak;		/* column commands to the row */
	/* Of the scan of a queue */
	uint64_t scan;
	int oldest, hit;
};

struct rank {
	uint64_t acts[4], next_act, next_read, due;
	uint64_t group_col[16];	/* the last column command of each group, plus tCCD_L */
};

struct cell {
	uint64_t requests, conflicts;
};

struct sim {
	struct config c;
	const struct map *map;
	struct core cores[MAX_CORES];
	int nr_cores;
	struct cache llc;
	struct flight flights[MAX_FLIGHTS];
	int nr_flights;
	struct queue reads, writes;
	bool draining;
	struct bank banks[MAX_BANKS];
	struct rank ranks[MAX_RANKS];
	int rank_shift;
	uint64_t next_col;	/* any rank: tCCD_S */
	uint64_t bus_end;
	int bus_rank;
	bool bus_write;
	uint64_t scans, refreshes;
	uint64_t columns;	/* column commands: they end what cores wait for */
	uint64_t dram_next;	/* nothing happens in DRAM before, unless requests come */
	uint64_t random;
	bool counting;
	uint64_t base;		/* cycle at which it began */
	struct kernel_page *pages;
	size_t nr_pages, room_pages;
	FILE *commands, *requests, *heat;
	uint64_t slice;
	struct cell cells[MAX_BANKS][MAX_CORES];
};

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t random_number(struct sim *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

/* ---- What is counted ---- */

static struct kernel_page *kernel_page(struct sim *s, uint64_t page)
{
	size_t i;

	for (i = 0; i < s->nr_pages; i++) {
		if (s->pages[i].page == page)
			return &s->pages[i];
	}
	if (s->nr_pages == s->room_pages) {
		s->room_pages = s->room_pages ? 2 * s->room_pages : 64;
		s->pages = realloc(s->pages, s->room_pages * sizeof(*s->pages));
		if (!s->pages)
			die("no memory");
	}
	s->pages[s->nr_pages] = (struct kernel_page){ .page = page };
	return &s->pages[s->nr_pages++];
}

static void count_conflict(struct sim *s, const struct cause *who, const struct cause *by)
{
	struct core_stats *stats = &s->cores[who->core].stats;

	if (who->core == by->core)
		return;
	if (who->kernel || by->kernel) {
		stats->conflicts_kernel_by[by->core]++;
		if (!who->core)
			kernel_page(s, by->kernel ? by->page : who->page)->conflicts++;
	} else {
		stats->conflicts_by[by->core]++;
	}
}

static void count_eviction(struct sim *s, const struct cause *who, const struct cause *by)
{
	struct core_stats *stats = &s->cores[who->core].stats;

	if (who->core == by->core)
		return;
	if (who->kernel || by->kernel) {
		stats->evictions_kernel_by[by->core]++;
		if (!who->core)
			kernel_page(s, by->kernel ? by->page : who->page)->evictions++;
	} else {
		stats->evictions_by[by->core]++;
	}
}

static void heat_print(struct sim *s)
{
	int bank, core;

	for (bank = 0; bank < s->c.banks; bank++) {
		for (core = 0; core < s->nr_cores; core++) {
			struct cell *cell = &s->cells[bank][core];

			if (cell->requests)
				fprintf(s->heat, "%" PRIu64 ",%d,%d,%" PRIu64 ",%" PRIu64 "\n",
					s->slice - s->base, bank, core, cell->requests,
					cell->conflicts);
			*cell = (struct cell){};
		}
	}
}

static void heat_flush(struct sim *s, uint64_t cycle)
{
	if (!s->heat || !s->counting || cycle < s->slice + s->c.slice)
		return;
	heat_print(s);
	s->slice += (cycle - s->slice) / s->c.slice * s->c.slice;
}

static void start_counting(struct sim *s, uint64_t now)
{
	int i;

	s->counting = true;
	s->base = s->slice = now;
	s->nr_pages = 0;
	for (i = 0; i < s->nr_cores; i++) {
		s->cores[i].stats = (struct core_stats){};
		s->cores[i].insn_base = s->cores[i].insn;
		s->cores[i].since = max(s->cores[i].since, now);
	}
	memset(s->cells, 0, sizeof(s->cells));
}

/* ---- Caches ---- */

static void cache_init(struct cache *c, long kib, long ways)
{
	*c = (struct cache){ .ways = ways };
	if (!kib)
		return;
	c->sets = (kib << 10 >> LINE_SHIFT) / ways;
	c->lines = calloc(c->sets * ways, sizeof(*c->lines));
	if (!c->lines)
		die("no memory for a cache of %ld KiB", kib);
}

static struct line *cache_set(struct cache *c, uint64_t number)
{
	uint64_t set = number, bits = __builtin_ctzl(c->sets);

	/* Higher bits on top of the set number's, as in an LLC whose slices are hashed */
	if (c->hashed)
		set ^= number >> bits ^ number >> (bits + 5) ^ number >> (bits + 11);
	return c->lines + (set & (c->sets - 1)) * c->ways;
}

static struct line *cache_find(struct cache *c, uint64_t number)
{
	struct line *set, *l;

	if (!c->sets)
		return NULL;
	set = cache_set(c, number);
	for (l = set; l < set + c->ways; l++) {
		if (l->valid && l->number == number)
			return l;
	}
	return NULL;
}

static struct line *cache_victim(struct sim *s, struct cache *c, uint64_t number)
{
	struct line *set = cache_set(c, number), *l, *oldest = set;

	for (l = set; l < set + c->ways; l++) {
		if (!l->valid)
			return l;
		if (l->used < oldest->used)
			oldest = l;
	}
	if (c->random)
		return set + random_number(s) % c->ways;
	return oldest;
}

/* ---- To memory ---- */

static void log_request(struct sim *s, uint64_t line, char type)
{
	if (s->requests)
		fprintf(s->requests, "0x%" PRIx64 " %c\n", line << LINE_SHIFT, type);
}

static void enqueue(struct sim *s, struct queue *q, uint64_t line, uint64_t arrival,
		    const struct cause *cause)
{
	s->dram_next = 0;
	q->r[q->nr++] = (struct request){
		.line = line,
		.arrival = arrival,
		.place = map_place(s->map, &s->c, line << LINE_SHIFT),
		.cause = *cause,
	};
}

static void write_back(struct sim *s, uint64_t line, uint64_t now, const struct cause *by)
{
	int i;

	for (i = 0; i < s->writes.nr; i++) {
		if (s->writes.r[i].line == line)
			return;
	}
	s->cores[by->core].stats.dram_writes++;
	log_request(s, line, 'W');
	enqueue(s, &s->writes, line, now + s->c.llc_cycles + s->c.path_cycles, by);
}

/* A line that is pushed out: the core's doing, but the kernel's page if the line is in one */
static void push_out(struct sim *s, const struct line *l, uint64_t now, const struct cause *by)
{
	struct cause cause = *by;

	if (l->owner.kernel) {
		cause.kernel = true;
		cause.page = l->number >> (12 - LINE_SHIFT);
	}
	write_back(s, l->number, now, &cause);
}

static struct flight *find_flight(struct sim *s, uint64_t line, uint64_t now)
{
	int i;

	for (i = 0; i < s->nr_flights; i++) {
		if (s->flights[i].done <= now)
			s->flights[i--] = s->flights[--s->nr_flights];
		else if (s->flights[i].line == line)
			return &s->flights[i];
	}
	return NULL;
}

/* Flights that are over were dropped by find_flight() */
static bool misses_left(struct sim *s, uint64_t *hint)
{
	int i;

	if (!s->c.shared_misses || s->nr_flights < s->c.shared_misses)
		return true;
	for (i = 0; i < s->nr_flights; i++)
		*hint = min(*hint, s->flights[i].done);
	return false;
}

static void llc_insert(struct sim *s, uint64_t number, uint64_t now, const struct cause *by,
		       bool dirty)
{
	struct line *l = cache_victim(s, &s->llc, number), *inner;
	int i;

	if (l->valid) {
		count_eviction(s, &l->owner, by);
		for (i = 0; s->c.llc_inclusive && i < s->nr_cores; i++) {
			inner = cache_find(&s->cores[i].l2, l->number);
			if (inner) {
				l->dirty |= inner->dirty;
				inner->valid = false;
			}
		}
		if (l->dirty)
			push_out(s, l, now, by);
	}
	*l = (struct line){
		.number = number, .used = now, .valid = true, .dirty = dirty, .owner = *by,
	};
}

static void l2_insert(struct sim *s, struct core *core, uint64_t number, uint64_t now,
		      const struct cause *by)
{
	struct line *l, *outer;

	if (!core->l2.sets)
		return;
	l = cache_victim(s, &core->l2, number);
	if (l->valid && l->dirty) {
		outer = cache_find(&s->llc, l->number);
		if (outer)
			outer->dirty = true;
		else if (s->llc.sets && !s->c.llc_inclusive)
			llc_insert(s, l->number, now, by, true);
		else
			push_out(s, l, now, by);
	}
	*l = (struct line){ .number = number, .used = now, .valid = true, .owner = *by };
}

static bool room_for_writes(struct sim *s)
{
	return s->writes.nr + MAX_PUSHED <= s->c.write_queue;
}

/* ---- Cores ---- */

static bool hold_up(struct sim *s, struct core *core, uint64_t now, uint64_t *reason,
		    uint64_t hint)
{
	core->columns = s->columns;
	core->blocked = true;
	core->hint = hint;
	core->since = now;
	core->reason = reason;
	return false;
}

static void finish_record(struct sim *s, struct core *core, uint64_t now)
{
	core->blocked = false;
	core->stats.records++;
	core->taken++;
	core->last = now;
	if (++core->pos == core->trace->nr) {
		core->pos = 0;
		/* The others go on until core 0 has finished */
		if (core == s->cores)
			core->finished = true;
	}
	core->insn += core->trace->record[core->pos].gap;
	core->next = now + core->trace->record[core->pos].gap;
	if (core == s->cores && core->taken == (uint64_t)s->c.warmup)
		start_counting(s, now);
}

static void wait_for(struct core *core, uint64_t line, uint64_t done)
{
	core->accesses[core->nr_accesses++] = (struct access){
		.insn = core->insn, .done = done, .line = line,
	};
}

/* What a first level cache has given up and was written to */
static bool take_back(struct sim *s, struct core *core, uint64_t line, uint64_t now,
		      const struct cause *by)
{
	struct line *l = cache_find(&core->l2, line);

	if (!l)
		l = cache_find(&s->llc, line);
	if (l) {
		l->dirty = true;
	} else {
		if (!room_for_writes(s))
			return hold_up(s, core, now, &core->stats.wait_queue, NEVER);
		write_back(s, line, now, by);
	}
	finish_record(s, core, now);
	return true;
}

static bool in_write_queue(struct sim *s, uint64_t line)
{
	int i;

	for (i = 0; i < s->writes.nr; i++) {
		if (s->writes.r[i].line == line)
			return true;
	}
	return false;
}

/* Takes the core's next record, or tells until when it is held up, if that is known */
static bool take(struct sim *s, struct core *core, uint64_t now)
{
	const struct record *r = &core->trace->record[core->pos];
	struct cause by = {
		.core = core - s->cores, .kernel = r->kernel, .page = r->line >> (12 - LINE_SHIFT),
	};
	uint64_t line = r->line, hint = NEVER, first;
	struct flight *flight;
	struct line *l;
	int i, to = 0;

	if (core->blocked && now > core->since)
		*core->reason += now - core->since;
	core->blocked = false;
	for (i = 0; i < core->nr_accesses; i++) {
		if (core->accesses[i].done > now) {
			hint = min(hint, core->accesses[i].done);
			core->accesses[to++] = core->accesses[i];
		}
	}
	core->nr_accesses = to;
	if (r->type == BACK)
		return take_back(s, core, line, now, &by);

	if (to) {
		first = core->accesses[0].insn;
		if (first + s->c.window <= core->insn || to == MAX_WINDOW ||
		    s->c.dependent >> by.core & 1)
			return hold_up(s, core, now, &core->stats.wait_window, hint);
		if (s->c.core_misses && to >= s->c.core_misses)
			return hold_up(s, core, now, &core->stats.wait_core, hint);
	}

	l = cache_find(&core->l2, line);
	if (l) {
		l->used = now;
		core->stats.l2_hits++;
		flight = find_flight(s, line, now);
		wait_for(core, line, flight ? flight->done : now + s->c.l2_cycles);
		finish_record(s, core, now);
		return true;
	}
	if (!room_for_writes(s))
		return hold_up(s, core, now, &core->stats.wait_queue, NEVER);
	flight = find_flight(s, line, now);
	l = cache_find(&s->llc, line);
	if (l) {
		l->used = now;
		l->owner = by;
		core->stats.llc_hits++;
		wait_for(core, line, flight ? flight->done : now + s->c.llc_cycles);
	} else if (flight) {
		wait_for(core, line, flight->done);
	} else {
		if (!misses_left(s, &hint))
			return hold_up(s, core, now, &core->stats.wait_shared, hint);
		if (s->reads.nr >= s->c.queue)
			return hold_up(s, core, now, &core->stats.wait_queue, NEVER);
		core->stats.llc_misses++;
		if (in_write_queue(s, line)) {
			wait_for(core, line, now + s->c.llc_cycles + 2 * s->c.path_cycles);
		} else {
			core->stats.dram_reads++;
			log_request(s, line, 'R');
			enqueue(s, &s->reads, line, now + s->c.llc_cycles + s->c.path_cycles, &by);
			s->flights[s->nr_flights++] = (struct flight){ .line = line, .done = NEVER };
			wait_for(core, line, NEVER);
		}
		if (s->llc.sets)
			llc_insert(s, line, now, &by, false);
	}
	l2_insert(s, core, line, now, &by);
	finish_record(s, core, now);
	return true;
}

static void arrived(struct sim *s, const struct request *r, uint64_t done)
{
	int i, j;

	s->cores[r->cause.core].stats.read_cycles += done - r->arrival;
	for (i = 0; i < s->nr_flights; i++) {
		if (s->flights[i].line == r->line && s->flights[i].done == NEVER)
			s->flights[i].done = done;
	}
	for (i = 0; i < s->nr_cores; i++) {
		struct core *core = &s->cores[i];

		for (j = 0; j < core->nr_accesses; j++) {
			if (core->accesses[j].line == r->line && core->accesses[j].done == NEVER)
				core->accesses[j].done = done;
		}
	}
}

/* ---- DRAM ---- */

static int rank_of(struct sim *s, int bank)
{
	return bank >> s->rank_shift;
}

static int group_of(struct sim *s, int bank)
{
	return bank & (s->c.bank_groups - 1);
}

static void log_command(struct sim *s, uint64_t t, const char *name, int bank, uint64_t row)
{
	if (s->commands)
		fprintf(s->commands, "%" PRIu64 " %s %d %" PRIu64 "\n", t, name, bank, row);
}

/*
 * Refreshes of a rank that are due: at once if its rows can be closed, else nothing else is
 * done in the rank until they can. Returns when that is, or 0. If nobody wanted anything, this
 * is called late, but finds the state that it would have found in time.
 */
static uint64_t refresh(struct sim *s, int nr, uint64_t t)
{
	struct rank *rank = &s->ranks[nr];
	int i, first = s->c.banks / s->c.ranks * nr, last = first + s->c.banks / s->c.ranks;

	while (s->c.refi && rank->due <= t) {
		uint64_t start = rank->due, idle = 0;
		bool open = false;

		for (i = first; i < last; i++) {
			if (s->banks[i].row >= 0) {
				open = true;
				start = max(start, s->banks[i].next_pre);
			} else {
				idle = max(idle, s->banks[i].next_act);
			}
		}
		if (start > t)
			return start;
		if (open)
			log_command(s, start, "PRE", -1, nr);
		start = max(start + (open ? s->c.rp : 0), idle);
		log_command(s, start, "REF", nr, 0);
		for (i = first; i < last; i++) {
			s->banks[i].row = -1;
			s->banks[i].next_act = start + s->c.rfc;
		}
		rank->due += s->c.refi;
		s->refreshes++;
	}
	return 0;
}

/* When a bank can take a column command, and, in turn, the bus its data */
static uint64_t column_ready(struct sim *s, int bank, bool write, uint64_t *turn)
{
	int r = rank_of(s, bank);
	struct rank *rank = &s->ranks[r];
	uint64_t ready, bus = s->bus_end, lead = write ? s->c.cwl : s->c.cl;

	ready = max(s->banks[bank].next_col, s->next_col);
	ready = max(ready, rank->group_col[group_of(s, bank)]);
	if (!write)
		ready = max(ready, rank->next_read);
	if (bus) {
		/* Two clocks for the bus to turn from reading to writing */
		if (write && !s->bus_write)
			bus += 2;
		else if (r != s->bus_rank)
			bus += s->c.rtrs;
	}
	*turn = bus > lead ? max(ready, bus - lead) : ready;
	return ready;
}

static uint64_t act_ready(struct sim *s, int bank)
{
	struct rank *rank = &s->ranks[rank_of(s, bank)];
	uint64_t ready = max(s->banks[bank].next_act, rank->next_act);

	/* acts[0] is the last but three; 0: there has been none */
	return rank->acts[0] ? max(ready, rank->acts[0] - 1 + s->c.faw) : ready;
}

static void do_column(struct sim *s, struct queue *q, int i, uint64_t t)
{
	bool write = q == &s->writes;
	struct request r = q->r[i];
	struct bank *bank = &s->banks[r.place.bank];
	int nr = rank_of(s, r.place.bank);
	struct rank *rank = &s->ranks[nr];
	struct core_stats *stats = &s->cores[r.cause.core].stats;

	log_command(s, t, write ? "WR" : "RD", r.place.bank, r.place.row);
	s->bus_end = t + (write ? s->c.cwl : s->c.cl) + s->c.burst;
	s->bus_rank = nr;
	s->bus_write = write;
	s->next_col = t + s->c.ccd_s;
	rank->group_col[group_of(s, r.place.bank)] = t + s->c.ccd_l;
	if (write) {
		rank->next_read = max(rank->next_read, s->bus_end + s->c.wtr);
		bank->next_pre = max(bank->next_pre, s->bus_end + s->c.wr);
	} else {
		bank->next_pre = max(bank->next_pre, t + s->c.rtp);
		arrived(s, &r, s->bus_end * s->c.clock_ratio + s->c.path_cycles);
	}
	s->columns++;
	bank->streak++;
	if (r.closes)
		stats->row_conflicts++;
	else if (r.opens)
		stats->row_misses++;
	else
		stats->row_hits++;
	if (s->heat)
		s->cells[r.place.bank][r.cause.core].requests++;
	memmove(q->r + i, q->r + i + 1, (q->nr - i - 1) * sizeof(*q->r));
	q->nr--;
}

static void do_precharge(struct sim *s, struct request *r, uint64_t t)
{
	struct bank *bank = &s->banks[r->place.bank];

	log_command(s, t, "PRE", r->place.bank, bank->row);
	count_conflict(s, &r->cause, &bank->opener);
	if (s->heat && r->cause.core != bank->opener.core)
		s->cells[r->place.bank][r->cause.core].conflicts++;
	bank->row = -1;
	bank->next_act = max(bank->next_act, t + s->c.rp);
	r->closes = true;
}

static void do_activate(struct sim *s, struct request *r, uint64_t t)
{
	struct bank *bank = &s->banks[r->place.bank];
	struct rank *rank = &s->ranks[rank_of(s, r->place.bank)];

	log_command(s, t, "ACT", r->place.bank, r->place.row);
	bank->row = r->place.row;
	bank->opener = r->cause;
	bank->streak = 0;
	bank->next_col = t + s->c.rcd;
	bank->next_pre = t + s->c.ras;
	bank->next_act = t + s->c.ras + s->c.rp;
	rank->next_act = t + s->c.rrd;
	memmove(rank->acts, rank->acts + 1, sizeof(rank->acts) - sizeof(*rank->acts));
	rank->acts[3] = t + 1;
	r->opens = true;
}

/*
 * FR-FCFS: of the requests of a queue, the oldest whose row is open and that is ready; else
 * the oldest of a bank's requests may open its row, and close another that nobody in the
 * queue wants. Returns when something may happen next.
 */
static uint64_t schedule(struct sim *s, struct queue *q, uint64_t t)
{
	uint64_t ready, turn, hint = NEVER, held[MAX_RANKS] = {};
	/* In the order of the queue: each bank's oldest, and the oldest with its open row */
	int oldest[MAX_QUEUE], hits[MAX_QUEUE], nr_oldest = 0, nr_hits = 0, i;

	for (i = 0; i < s->c.ranks; i++) {
		held[i] = refresh(s, i, t);
		if (held[i])
			hint = min(hint, held[i]);
		else if (s->c.refi)
			hint = min(hint, s->ranks[i].due);
	}
	s->scans++;
	for (i = 0; i < q->nr; i++) {
		struct request *r = &q->r[i];
		struct bank *bank = &s->banks[r->place.bank];

		if (r->arrival > t * s->c.clock_ratio) {
			hint = min(hint, (r->arrival + s->c.clock_ratio - 1) / s->c.clock_ratio);
			continue;
		}
		if (bank->scan != s->scans) {
			bank->scan = s->scans;
			bank->oldest = i;
			bank->hit = -1;
			oldest[nr_oldest++] = i;
		}
		/* If there was enough of the row, it is the oldest's turn */
		if (bank->hit < 0 && bank->row == (int64_t)r->place.row &&
		    (i == bank->oldest || !s->c.hit_cap || bank->streak < s->c.hit_cap)) {
			bank->hit = i;
			hits[nr_hits++] = i;
		}
	}
	for (i = 0; i < nr_hits; i++) {
		int bank = q->r[hits[i]].place.bank;

		if (held[rank_of(s, bank)])
			continue;
		ready = column_ready(s, bank, q == &s->writes, &turn);
		if (turn <= t) {
			do_column(s, q, hits[i], t);
			return t + 1;
		}
		hint = min(hint, turn);
		/* It has its turn: younger ones of the rank that has the bus would never let it */
		if (ready <= t)
			break;
	}
	for (i = 0; i < nr_oldest; i++) {
		struct request *r = &q->r[oldest[i]];
		struct bank *bank = &s->banks[r->place.bank];

		if (bank->hit >= 0 || held[rank_of(s, r->place.bank)])
			continue;
		ready = bank->row < 0 ? act_ready(s, r->place.bank) : bank->next_pre;
		if (ready <= t) {
			if (bank->row < 0)
				do_activate(s, r, t);
			else
				do_precharge(s, r, t);
			return t + 1;
		}
		hint = min(hint, ready);
	}
	return hint;
}

static uint64_t dram(struct sim *s, uint64_t t)
{
	bool reading = s->reads.nr && s->reads.r[0].arrival <= t * s->c.clock_ratio;
	uint64_t hint = NEVER;

	if (!s->reads.nr && !s->writes.nr)
		return NEVER;
	if (s->writes.nr >= s->c.write_high)
		s->draining = true;
	else if (s->writes.nr <= s->c.write_low)
		s->draining = false;
	if (reading && !s->draining)
		return schedule(s, &s->reads, t);
	/* A read that arrives may end this */
	if (s->reads.nr && !reading)
		hint = (s->reads.r[0].arrival + s->c.clock_ratio - 1) / s->c.clock_ratio;
	return s->writes.nr ? min(hint, schedule(s, &s->writes, t)) : hint;
}

/* ---- All of it ---- */

struct sim *sim_new(const struct config *c, const struct map *m, struct trace *traces, int nr_cores)
{
	struct sim *s = calloc(1, sizeof(*s));
	int i;

	if (!s)
		die("no memory");
	s->c = *c;
	s->map = m;
	s->nr_cores = nr_cores;
	s->random = 0x9e3779b97f4a7c15 * (2 * c->seed + 1);
	cache_init(&s->llc, c->llc_kib, c->llc_ways);
	s->llc.hashed = c->llc_hash;
	s->llc.random = c->llc_policy == POLICY_RANDOM;
	for (i = 0; i < c->banks; i++)
		s->banks[i].row = -1;
	s->rank_shift = __builtin_ctzl(c->banks / c->ranks);
	for (i = 0; i < c->ranks; i++)
		s->ranks[i].due = c->refi * (i + 1) / c->ranks;
	for (i = 0; i < nr_cores; i++) {
		struct core *core = &s->cores[i];

		core->trace = &traces[i];
		/* Another seed, another phase */
		if (i && c->seed)
			core->pos = random_number(s) % traces[i].nr;
		core->insn = core->next = traces[i].record[core->pos].gap;
		cache_init(&core->l2, c->l2_kib, c->l2_ways);
	}
	return s;
}

void sim_free(struct sim *s)
{
	int i;

	for (i = 0; i < s->nr_cores; i++)
		free(s->cores[i].l2.lines);
	free(s->llc.lines);
	free(s->pages);
	free(s);
}

void sim_log_commands(struct sim *s, FILE *to)
{
	s->commands = to;
}

void sim_log_requests(struct sim *s, FILE *to)
{
	s->requests = to;
}

void sim_heat(struct sim *s, FILE *to)
{
	s->heat = to;
}

static void run_core(struct sim *s, struct core *core, uint64_t start, uint64_t end)
{
	uint64_t now;

	if (core->finished)
		return;
	now = max(core->next, start);
	if (core->blocked && core->columns == s->columns)
		now = max(core->hint, start);
	while (now < end) {
		if (take(s, core, now)) {
			if (core->finished)
				return;
			now = core->next;
		} else {
			/* Later in this clock, if it is known when, or in the next */
			now = core->hint;
		}
	}
}

void sim_run(struct sim *s)
{
	struct core *victim = &s->cores[0];
	uint64_t t = 0, next, ratio = s->c.clock_ratio, end = 0;
	int i;

	if (!s->c.warmup)
		start_counting(s, 0);
	for (;;) {
		for (i = 0; i < s->nr_cores; i++)
			run_core(s, &s->cores[(t + i) % s->nr_cores], t * ratio, (t + 1) * ratio);
		if (t >= s->dram_next)
			s->dram_next = dram(s, t);
		next = s->dram_next;
		heat_flush(s, t * ratio);
		if (victim->finished) {
			end = victim->last;
			for (i = 0; i < victim->nr_accesses; i++)
				end = max(end, victim->accesses[i].done);
			if (end != NEVER)
				break;
		}
		for (i = 0; i < s->nr_cores; i++) {
			struct core *core = &s->cores[i];

			if (!core->finished)
				next = min(next, (core->blocked ? core->hint : core->next) / ratio);
		}
		t = max(t + 1, next);
	}
	if (s->heat)
		heat_print(s);
	for (i = 0; i < s->nr_cores; i++) {
		s->cores[i].stats.cycles = end - s->base;
		s->cores[i].stats.insns = s->cores[i].insn - s->cores[i].insn_base;
	}
}

const struct core_stats *sim_stats(const struct sim *s, int core)
{
	return &s->cores[core].stats;
}

const struct kernel_page *sim_kernel_pages(const struct sim *s, size_t *nr)
{
	*nr = s->nr_pages;
	return s->pages;
}

uint64_t sim_refreshes(const struct sim *s)
{
	return s->refreshes;
}
