/* Days of a list that is grouped by them. A folded one is one row, the first of its messages, which is drawn as the
 * day's heading; what lies between its two ends is passed over by key, so that a day of a hundred thousand messages
 * costs no more than one of three. */
#include "ui/hits_int.h"

#include <time.h>

enum { COUNT_MAX = 1000, AHEAD = 8, READ = 1000 };

static bool local_day(int64_t date, int days, struct tm *t)
{
    time_t at = (time_t)date;
    if (!localtime_r(&at, t))
        return false;
    t->tm_mday += days;
    t->tm_hour = t->tm_min = t->tm_sec = 0;
    t->tm_isdst = -1;
    return true;
}

int day_of(int64_t date)
{
    struct tm t;
    return local_day(date, 0, &t) ? t.tm_year * 366 + t.tm_yday : 0;
}

/* Stands between the day and the one after it (or, last, before it), and is none of the list: between rows of that very
 * second and those of the one before. */
struct list_row day_edge(const struct list *l, int64_t date, bool after)
{
    struct tm t;
    int64_t at = local_day(date, after, &t) ? (int64_t)mktime(&t) : date;
    if (after ? at <= date : at > date) /* a year that no calendar has */
        at = date + after;
    struct list_row row = {.newest = at, .ref.account = l->accts->n, .lead.account = l->accts->n};
    row.date = l->order == ORDER_ARRIVAL ? -(INT64_C(1) << 40) : at;
    row.arrived = at;
    return row;
}

/* ---- which are folded ---- */
bool days_folded(const struct list *l)
{
    return list_grouped(l) && (l->fold_days || l->turned_days.n);
}

static bool folded(const struct list *l, int day)
{
    return list_grouped(l) && refs_has(&l->turned_days, (struct ref){0, (uint64_t)day}) != l->fold_days;
}

bool day_hides(const struct list *l, const struct list_row *row)
{
    return days_folded(l) && folded(l, day_of(list_row_date(l, row)));
}

void list_fold_day(struct list *l, const struct list_row *row, bool fold)
{
    int day = day_of(list_row_date(l, row));
    struct ref at = {0, (uint64_t)day};
    if (!list_grouped(l) || folded(l, day) == fold)
        return;
    if (!refs_drop(&l->turned_days, at))
        refs_add(&l->turned_days, at);
    l->stale = true;
    l->stay = STAY_ROW;
}

void list_fold_days(struct list *l, bool fold)
{
    refs_clear(&l->turned_days);
    l->fold_days = fold;
    l->stale = true;
    if (l->cur)
        l->stay = STAY_ROW;
}

/* ---- rows ---- */
struct list_row day_row(struct list_row first)
{
    first.folded = first.folded_day = true;
    first.place = (struct thread_place){.last = true};
    first.place_no = 0;
    return first;
}

bool day_first(const struct list *l, const struct list_row *of, struct list_row *row_r, struct err *err)
{
    int64_t date = list_row_date(l, of);
    struct list_row from = day_edge(l, date, !l->reverse);
    struct gather got;
    bool end, ok = rows_plain(l, &from, true, 1, &got, &end, err);
    bool here = ok && got.n && day_of(list_row_date(l, &got.rows[0])) == day_of(date);
    *row_r = (struct list_row){.mem = NULL};
    if (here) {
        *row_r = day_row(got.rows[0]);
        got.rows[0].mem = NULL;
    }
    rows_free(got.rows, got.n);
    return here;
}

/* Of threads merged and cut short, the last may lack some of its rows. */
static void drop_cut(const struct list *l, struct gather *got, bool down, unsigned want)
{
    if (!list_threaded(l) || got->n < want)
        return;
    unsigned n = 1;
    struct ref group = got->rows[down ? got->n - 1 : 0].group;
    while (n < got->n && ref_eq(got->rows[down ? got->n - 1 - n : n].group, group))
        n++;
    if (n == got->n)
        return;
    for (unsigned i = 0; i < n; i++)
        row_free(&got->rows[down ? got->n - 1 - i : i]);
    got->n -= n;
    if (!down)
        memmove(got->rows, got->rows + n, got->n * sizeof *got->rows);
}

static void turn(struct gather *g)
{
    for (unsigned a = 0, b = g->n; a + 1 < b--; a++) {
        struct list_row swap = g->rows[a];
        g->rows[a] = g->rows[b];
        g->rows[b] = swap;
    }
}

/* Takes rows, the next one first, up to the first of a folded day, which is its row; *at_r: where to go on. */
static bool take_rows(const struct list *l, struct gather *got, bool down, struct gather *out, struct list_row *at_r,
                      struct err *err)
{
    unsigned i = 0;
    bool met = false;
    for (; i < got->n && !met; i++) {
        struct list_row *row = &got->rows[down ? i : got->n - 1 - i], first;
        met = day_hides(l, row);
        if (!met || down)
            gather_add(out, met ? day_row(*row) : *row);
        else if (day_first(l, row, &first, err))
            gather_add(out, first);
        *at_r = met ? day_edge(l, list_row_date(l, row), down == l->reverse) : *row;
        if (met && !down)
            row_free(row);
    }
    for (; i < got->n; i++)
        row_free(&got->rows[down ? i : got->n - 1 - i]);
    free(got->rows);
    return met;
}

bool days_read(const struct list *l, const struct list_row *from, bool down, unsigned want, struct gather *out,
               bool *end_r, struct err *err)
{
    bool ok = true, has = from != NULL;
    unsigned step = want;
    struct list_row at = {.mem = NULL};
    if (from)
        at = day_hides(l, from) ? day_edge(l, list_row_date(l, from), down == l->reverse) : *from;
    *out = (struct gather){.list = l};
    for (*end_r = false; ok && out->n < want && !*end_r; has = true) {
        struct gather got;
        ok = rows_plain(l, has ? &at : NULL, down, step, &got, end_r, err);
        if (!*end_r)
            drop_cut(l, &got, down, step);
        if (!got.n) {
            free(got.rows);
            break;
        }
        if (take_rows(l, &got, down, out, &at, err)) {
            *end_r = false;
            step = MIN(want, (unsigned)AHEAD); /* the next day is folded too, most likely */
        } else {
            step = MIN(want, step * 4);
        }
    }
    if (!down)
        turn(out);
    return ok;
}

bool day_refs(const struct list *l, const struct list_row *of, struct refs *out, struct err *err)
{
    int64_t date = list_row_date(l, of);
    struct list_row at = day_edge(l, date, !l->reverse), bottom = day_edge(l, date, l->reverse), last = {.mem = NULL};
    bool ok = true;
    for (bool end = false; ok && !end;) {
        struct gather got;
        ok = rows_plain(l, last.mem ? &last : &at, true, READ, &got, &end, err);
        end = end || !got.n;
        bool past = false;
        for (unsigned i = 0; ok && i < got.n && !past; i++) {
            const struct list_row *row = &got.rows[i];
            past = list_compare(l, row, &bottom) > 0;
            if (!past && row->folded)
                ok = list_thread_refs(l, row, out, err);
            else if (!past)
                refs_add(out, row->ref);
        }
        end = end || past;
        row_free(&last);
        last = (struct list_row){.mem = NULL};
        if (got.n)
            last = got.rows[--got.n];
        rows_free(got.rows, got.n);
    }
    row_free(&last);
    return ok;
}

/* ---- how many a folded one has ---- */
static void count_thread(void *arg, const struct thread_row *t)
{
    struct day_count *c = arg;
    if (t->newest < c->from) {
        c->past = true;
        return;
    }
    if (c->past)
        return;
    c->at = ROW_KEY(t->newest, t->thread);
    c->n += t->count;
    c->unread += t->unread;
    c->threads++;
}

static void count_threads(const struct list *l, struct reader *reader, uint64_t box, const struct row_key *top,
                          struct day_count *c)
{
    struct err err = ERR_INIT;
    c->at = *top;
    c->past = false;
    for (unsigned had = UINT32_MAX; !c->past && c->threads != had && c->threads < COUNT_MAX;) {
        struct row_key at = c->at;
        had = c->threads;
        reader_threads(reader, box, l->filter, &at, true, 100, count_thread, c, &err);
    }
    c->more = c->more || c->threads >= COUNT_MAX;
}

static uint32_t rank_of(const struct list *l, struct reader *reader, enum list_filter filter, const struct row_key *key)
{
    struct err err = ERR_INIT;
    uint32_t rank = 0, total;
    return reader_rank(reader, l->source == LIST_BOX ? l->box : 0, filter, key, &rank, &total, &err) ? rank : 0;
}

/* By date the store has counters; by arrival they are counted, as far as COUNT_MAX. */
static uint32_t count_flat(const struct list *l, struct reader *reader, enum list_filter filter,
                           const struct row_key *top, const struct row_key *bottom, bool *more_r)
{
    struct err err = ERR_INIT;
    struct row_key at;
    uint32_t n = 0;
    bool done = true;
    if (l->order == ORDER_DATE) {
        uint32_t to = rank_of(l, reader, filter, bottom), from = rank_of(l, reader, filter, top);
        return to - MIN(to, from);
    }
    reader_sorted_count(reader, l->source == LIST_BOX ? l->box : 0, filter, l->order, top, bottom, COUNT_MAX, &n, &at,
                        &done, &err);
    *more_r = *more_r || !done;
    return n;
}

void day_count(const struct list *l, struct list_row *row)
{
    int64_t date = list_row_date(l, row);
    struct list_row top = day_edge(l, date, true), bottom = day_edge(l, date, false);
    struct day_count c = {.from = bottom.newest};
    unsigned lo, hi;
    if (l->source == LIST_HITS)
        hits_count(l, &top, &bottom, &c);
    list_accounts(l, &lo, &hi);
    for (unsigned a = lo; a < hi && l->source != LIST_HITS; a++) {
        struct reader *reader = l->accts->list[a].reader;
        uint64_t box = reader && list_threaded(l) ? box_of(l, a) : 0;
        struct row_key from = list_threaded(l) ? ROW_KEY(top.newest, 0) : row_key_for(l, &top, a);
        struct row_key to = list_threaded(l) ? from : row_key_for(l, &bottom, a);
        if (!reader || (list_threaded(l) && !box))
            continue;
        if (list_threaded(l)) {
            count_threads(l, reader, box, &from, &c);
            continue;
        }
        c.n += count_flat(l, reader, l->filter, &from, &to, &c.more);
        if (l->filter != LIST_FLAGGED)
            c.unread += count_flat(l, reader, LIST_UNREAD, &from, &to, &c.more);
    }
    row->day_n = c.n;
    row->day_unread = c.unread;
    row->day_more = c.more;
    row->day_counted = true;
    row->flags = (row->flags & ~(uint32_t)FLAG_SEEN) | (c.unread ? 0 : FLAG_SEEN);
}

void days_count(struct list *l)
{
    unsigned end = MIN(l->n, l->top + l->height);
    for (unsigned i = l->top; i < end; i++)
        if (l->rows[i].folded_day && !l->rows[i].day_counted && !l->rows[i].ghost)
            day_count(l, &l->rows[i]);
}
