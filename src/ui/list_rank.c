/* Numbers of rows: how many there are, where the cursor is among them, the row of a number, the rows between two. */
#include "ui/list_int.h"

enum { SAME_DATE_MAX = 5000, COUNT_MS = 4, COUNT_ROWS = 20000, COUNT_FILTERED = 2000, RANGE_READ = 1000 };

/* Rows, and the rank in the order by date, by the store's counters. */
static void count_dated(struct list *l)
{
    struct err err = ERR_INIT;
    unsigned lo, hi;
    enum list_order order = l->order;
    l->rank = l->total = 0;
    l->order = ORDER_DATE;
    list_accounts(l, &lo, &hi);
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        struct row_key key = l->n ? row_key_for(l, &l->rows[l->cur], a) : ROW_KEY(INT64_MAX, (uint64_t)INT64_MAX);
        uint32_t rank = 0, total = 0;
        if (reader && reader_rank(reader, l->source == LIST_BOX ? l->box : 0, l->filter, &key, &rank, &total, &err)) {
            l->rank += rank;
            l->total += total;
        }
    }
    l->order = order;
}

/* The rank of a row with so many rows behind it; a ghost is none of the total. */
static uint32_t rank_before(const struct list *l, uint32_t behind, bool ghost)
{
    return l->total > behind + !ghost ? l->total - behind - !ghost : 0;
}

/* In another order than by date the rank is known at both ends; elsewhere the rows above are counted, a piece at a
 * time: a million rows take a tenth of a second, which no key shall wait for. */
static void count_begin(struct list *l)
{
    unsigned lo, hi;
    row_free(&l->count.to);
    l->count = (struct list_count){.on = false};
    bool whole = !days_folded(l);
    l->rank_unknown = !whole || (!l->first_here && !l->last_here);
    if (whole && l->first_here) {
        l->rank = l->cur;
    } else if (whole && l->last_here) {
        l->rank = rank_before(l, l->n - 1 - l->cur, l->rows[l->cur].ghost);
    } else {
        list_accounts(l, &lo, &hi);
        l->count = (struct list_count){.on = true, .account = lo, .to = row_again(&l->rows[l->cur])};
        l->count.to.ghost = l->rows[l->cur].ghost;
    }
}

bool list_counting(const struct list *l)
{
    return l->count.on || l->seek || hits_busy(l);
}

static bool count_piece(const struct list *l, struct list_count *c, struct reader *reader)
{
    struct row_key to = row_key_for(l, &c->to, c->account), at = c->at;
    struct err err = ERR_INIT;
    uint32_t n = 0;
    bool done = true;
    reader_sorted_count(reader, l->source == LIST_BOX ? l->box : 0, l->filter, l->order, at.id ? &at : NULL, &to,
                        l->filter == LIST_ALL ? COUNT_ROWS : COUNT_FILTERED, &n, &at, &done, &err);
    c->n += n;
    c->at = at;
    if (done)
        c->at = (struct row_key){.id = 0};
    c->at.text.n = MIN(c->at.text.n, sizeof c->text);
    if (c->at.text.n)
        memcpy(c->text, at.text.p, c->at.text.n);
    c->at.text.p = c->text;
    return done;
}

void rank_count(struct list *l)
{
    struct list_count *c = &l->count;
    int64_t start = l->clock();
    unsigned lo, hi;
    list_accounts(l, &lo, &hi);
    while (c->account < hi && l->clock() - start < COUNT_MS) {
        struct reader *reader = l->accts->list[c->account].reader;
        if (!reader || count_piece(l, c, reader))
            c->account++;
    }
    if (c->account < hi)
        return;
    l->rank = l->reverse ? rank_before(l, c->n, c->to.ghost) : c->n;
    l->rank = (uint32_t)MAX((int64_t)l->rank + c->moved, (int64_t)0);
    l->rank_unknown = c->on = false;
    row_free(&c->to);
}

void rank_read(struct list *l)
{
    if (l->source == LIST_HITS)
        l->unread = hits_unread_count(l);
    if (list_threaded(l)) {
        threads_rank(l);
        return;
    }
    if (l->source == LIST_HITS) {
        hits_rank(l, &l->rank, &l->total);
        return;
    }
    count_dated(l);
    if (l->order != ORDER_DATE && l->n)
        count_begin(l);
    else if (l->reverse && l->n)
        l->rank = rank_before(l, l->rank, l->rows[l->cur].ghost);
    if (l->count.on)
        rank_count(l);
}

/* The cursor came from row `from` of the window; a ghost there is none of the total. */
void rank_moved(struct list *l, unsigned from)
{
    int64_t by = (int64_t)l->cur - from;
    if (by > 0 && l->rows[from].ghost)
        by--;
    if (l->rank_unknown)
        l->count.moved += by;
    else
        l->rank = (uint32_t)MAX((int64_t)l->rank + by, (int64_t)0);
}

/* How many rows are of a later date, in all accounts of the list. */
static uint32_t later_than(const struct list *l, int64_t date)
{
    struct err err = ERR_INIT;
    struct row_key key = ROW_KEY(date + 1, 0);
    uint32_t n = 0, rank = 0, total;
    unsigned lo, hi;
    if (list_threaded(l))
        return threads_later(l, date);
    list_accounts(l, &lo, &hi);
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        if (reader && reader_rank(reader, l->source == LIST_BOX ? l->box : 0, l->filter, &key, &rank, &total, &err))
            n += rank;
    }
    return n;
}

/* ---- the row of a number, in another order than by date ---- */
/* Rows are passed along the index of each account, some at a time, until so many have been. Of k accounts that each go
 * on by a k-th of what is left, the one that comes least far has passed none but rows before the one that is sought. */
struct list_seek {
    uint32_t rank, left; /* left: rows to pass, the one that is sought too */
    struct sought {
        struct row_key at; /* the last one passed; id 0: none */
        char text[64];
        bool end;
    } of[ACCOUNTS_MAX];
};

void seek_end(struct list *l)
{
    free(l->seek);
    l->seek = NULL;
}

static void key_keep(struct sought *to, struct row_key at)
{
    to->at = at;
    to->at.text.n = MIN(at.text.n, sizeof to->text);
    if (to->at.text.n)
        memcpy(to->text, at.text.p, to->at.text.n);
}

static struct row_key key_of(const struct sought *s)
{
    struct row_key at = s->at;
    at.text.p = s->text;
    return at;
}

/* The account that comes least far with `by` rows; false: none has so many. */
static bool least_far(struct list *l, uint32_t by, unsigned *account_r, struct sought *to, struct err *err)
{
    struct list_seek *s = l->seek;
    bool any = false;
    unsigned lo, hi;
    list_accounts(l, &lo, &hi);
    for (unsigned a = lo; a < hi; a++) {
        struct row_key at, from = key_of(&s->of[a]);
        uint32_t n = 0;
        bool done = true;
        if (s->of[a].end ||
            !reader_sorted_count(l->accts->list[a].reader, l->source == LIST_BOX ? l->box : 0, l->filter, l->order,
                                 from.id ? &from : NULL, NULL, by, &n, &at, &done, err))
            continue;
        s->of[a].end = !n;
        struct row_key best = key_of(to);
        if (done || (any && key_compare(l->order, &at, a, &best, *account_r) >= 0))
            continue;
        any = true;
        *account_r = a;
        key_keep(to, at);
    }
    return any;
}

/* The last of those that were passed. */
static struct ref last_passed(const struct list *l)
{
    const struct list_seek *s = l->seek;
    struct row_key best = {.id = 0};
    unsigned account = 0;
    for (unsigned a = 0; a < ACCOUNTS_MAX; a++) {
        struct row_key at = key_of(&s->of[a]);
        if (at.id && (!best.id || key_compare(l->order, &at, a, &best, account) > 0)) {
            best = at;
            account = a;
        }
    }
    return (struct ref){account, best.id};
}

bool seek_on(struct list *l, struct err *err)
{
    struct list_seek *s = l->seek;
    int64_t start = l->clock();
    uint32_t most = l->filter == LIST_ALL ? COUNT_ROWS : COUNT_FILTERED;
    unsigned lo, hi;
    if (l->stay != STAY_ASKED) { /* a key came first */
        seek_end(l);
        return false;
    }
    list_accounts(l, &lo, &hi);
    do {
        struct sought to = {.end = false};
        unsigned account = 0, k = 0;
        for (unsigned a = lo; a < hi; a++)
            k += !s->of[a].end;
        uint32_t by = MIN(MAX(s->left / MAX(k, 1u), 1u), most);
        if (!least_far(l, by, &account, &to, err)) { /* some have gone meanwhile: there is no such row */
            seek_end(l);
            return l->reverse ? list_first(l, err) : list_last(l, err);
        }
        key_keep(&s->of[account], key_of(&to));
        s->left -= by;
    } while (s->left && l->clock() - start < COUNT_MS);
    if (s->left)
        return false;
    struct ref to = last_passed(l);
    uint32_t rank = s->rank;
    seek_end(l);
    l->stay = STAY_ROW;
    if (list_reach(l, to, err)) { /* it need not be counted again */
        l->rank = rank;
        l->rank_unknown = l->count.on = false;
    }
    return true;
}

static bool seek_begin(struct list *l, uint32_t rank, struct err *err)
{
    unsigned lo, hi;
    seek_end(l);
    l->seek = mem_new(sizeof *l->seek);
    l->seek->rank = rank;
    l->seek->left = (l->reverse ? rank_before(l, rank, false) : rank) + 1;
    list_accounts(l, &lo, &hi);
    for (unsigned a = 0; a < ACCOUNTS_MAX; a++)
        l->seek->of[a].end = a < lo || a >= hi || !l->accts->list[a].reader;
    l->stay = STAY_ASKED;
    seek_on(l, err);
    return err->kind == ERR_NONE;
}

/* Its date is found by halving, then the few rows of that date are walked. */
bool list_reach_rank(struct list *l, uint32_t rank, struct err *err)
{
    int64_t lo = -(INT64_C(1) << 40), hi = INT64_C(1) << 40;
    struct gather got;
    bool end, reverse = l->reverse;
    if (l->source == LIST_HITS)
        return reach_hit(l, rank, err);
    if (l->order != ORDER_DATE)
        return seek_begin(l, rank, err);
    if (reverse)
        rank = rank_before(l, rank, false);
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (later_than(l, mid) <= rank)
            hi = mid;
        else
            lo = mid + 1;
    }
    uint32_t walk = rank - MIN(rank, later_than(l, lo));
    struct list_row from = {
        .date = lo + 1, .newest = lo + 1, .ref = {.account = l->accts->n}, .lead = {.account = l->accts->n}};
    l->reverse = false;
    rows_plain(l, &from, true, MIN(walk, (uint32_t)SAME_DATE_MAX) + 1, &got, &end, err);
    l->reverse = reverse;
    struct ref to = got.n ? got.rows[MIN(walk, got.n - 1)].ref : REF_NONE;
    rows_free(got.rows, got.n);
    return to.id && list_reach(l, to, err);
}

/* ---- ranges ---- */
/* The row of a message that need not be in the window, and what of its thread stands below it. */
static bool row_of(const struct list *l, struct ref ref, struct list_row *row_r, struct gather *below, struct err *err)
{
    struct msg_row raw = {.id = 0};
    struct reader *reader = l->accts->list[ref.account].reader;
    struct gather own = {.list = l, .account = ref.account};
    unsigned at = 0;
    struct list_row row = {.mem = NULL};
    *below = (struct gather){.list = l};
    if (l->source == LIST_HITS)
        hits_find(l, ref, STR(""), &row);
    else if (reader && reader_row(reader, ref.id, &raw, err) && raw.id)
        row = row_copy(ref.account, &raw);
    if (!row.mem)
        return err->kind == ERR_NONE ? err_set(err, ERR_USAGE, "an end of the range is gone") : false;
    if (list_threaded(l))
        threads_own(l, &row, &own, &at, err);
    else
        gather_add(&own, row_again(&row));
    row_free(&row);
    for (unsigned i = 0; i < own.n; i++) {
        if (i == at)
            *row_r = own.rows[i];
        else if (i > at)
            gather_add(below, own.rows[i]);
        else
            row_free(&own.rows[i]);
    }
    free(own.rows);
    return true;
}

static bool add_rows(const struct list *l, const struct gather *g, const struct list_row *last, struct refs *out,
                     struct err *err)
{
    bool more = true;
    for (unsigned i = 0; i < g->n && more; i++) {
        more = list_compare(l, &g->rows[i], last) <= 0;
        if (more && g->rows[i].folded)
            more = list_thread_refs(l, &g->rows[i], out, err);
        else if (more)
            refs_add(out, g->rows[i].ref);
    }
    return more;
}

bool list_range(const struct list *l, struct ref a, struct ref b, struct refs *out, struct err *err)
{
    struct list_row x, y;
    struct gather below_x, below_y;
    if (!row_of(l, a, &x, &below_x, err))
        return false;
    if (!row_of(l, b, &y, &below_y, err)) {
        row_free(&x);
        rows_free(below_x.rows, below_x.n);
        return false;
    }
    bool turn = list_compare(l, &x, &y) > 0, ok = true, end = false;
    struct list_row from = turn ? y : x, last = turn ? x : y;
    if (day_hides(l, &last)) { /* its day whole */
        int64_t date = list_row_date(l, &last);
        row_free(&last);
        last = day_edge(l, date, l->reverse);
    }
    struct gather first = {.list = l}, got = turn ? below_y : below_x;
    gather_add(&first, row_again(&from));
    first.rows[0].folded = from.folded;
    first.rows[0].newest = from.newest;
    first.rows[0].place_no = from.place_no;
    bool more = add_rows(l, &first, &last, out, err) && add_rows(l, &got, &last, out, err);
    while (ok && more && !end) {
        struct gather next;
        ok = rows_plain(l, &from, true, RANGE_READ, &next, &end, err);
        more = next.n && add_rows(l, &next, &last, out, err);
        rows_free(got.rows, got.n);
        got = next;
        if (more) { /* its own place goes on from the last row */
            row_free(&from);
            from = got.rows[--got.n];
        }
    }
    rows_free(got.rows, got.n);
    rows_free(first.rows, first.n);
    rows_free(turn ? below_x.rows : below_y.rows, turn ? below_x.n : below_y.n);
    row_free(&from);
    row_free(&last);
    return ok;
}
