/* The message list: a window of rows around the cursor, read by key in screenfuls and never by row number, so that a
 * list of a million rows costs what a screen costs and a change elsewhere never moves what the user looks at. */
#include "ui/list_int.h"

enum { WINDOW_MIN = 32, SAME_DATE_MAX = 5000 };

void list_init(struct list *l, struct accts *accts, struct changes *changes)
{
    *l = (struct list){.accts = accts, .changes = changes, .height = 20};
}

void row_free(struct list_row *row)
{
    free(row->mem);
    row->mem = NULL;
}

void rows_free(struct list_row *rows, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        row_free(&rows[i]);
    free(rows);
}

static void drop_window(struct list *l)
{
    rows_free(l->rows, l->n);
    l->rows = NULL;
    l->n = l->cur = l->top = 0;
    l->base = 0;
    l->first_here = l->last_here = true;
    l->rank = l->total = l->unread = 0;
    l->older = UINT32_MAX;
    l->stale = true;
}

void list_clear_hits(struct list *l)
{
    for (size_t i = 0; i < l->nhits; i++) {
        free(l->hits[i].from);
        free(l->hits[i].subject);
        free(l->hits[i].path);
    }
    free(l->hits);
    l->hits = NULL;
    l->nhits = 0;
    l->full_hits = false;
    if (l->source == LIST_HITS)
        drop_window(l);
}

void list_fini(struct list *l)
{
    drop_window(l);
    list_clear_hits(l);
    refs_fini(&l->turned);
    free(l->title);
    free(l->query);
    l->title = l->query = NULL;
}

static void show(struct list *l, enum list_source source, struct str title)
{
    char *copy = mem_dup_n(title.p ? title.p : "", title.n);
    drop_window(l);
    list_clear_hits(l);
    free(l->title);
    free(l->query);
    l->title = copy;
    l->query = NULL;
    l->source = source;
    l->filter = LIST_ALL;
    l->outgoing = false;
}

void list_show_box(struct list *l, unsigned account, uint64_t box, struct str title)
{
    show(l, LIST_BOX, title);
    l->account = account;
    l->box = box;
}

void list_show_inboxes(struct list *l, struct str title)
{
    show(l, LIST_INBOXES, title);
}

void list_show_hits(struct list *l, struct str title)
{
    show(l, LIST_HITS, title);
}

void list_add_hit(struct list *l, const struct hit *hit)
{
    if (l->nhits >= HITS_MAX)
        return;
    if (l->nhits % 64 == 0)
        l->hits = mem_resize(l->hits, l->nhits + 64, sizeof *l->hits);
    l->hits[l->nhits++] = (struct hit){.ref = hit->ref,
                                       .date = hit->date,
                                       .from = mem_dup_z(hit->from),
                                       .subject = mem_dup_z(hit->subject),
                                       .path = mem_dup_z(hit->path)};
    if (l->last_here || l->n == 0)
        l->stale = true;
}

static bool kept_by(const struct list_row *row, enum list_filter filter)
{
    return filter == LIST_ALL || (filter == LIST_UNREAD ? !(row->flags & FLAG_SEEN) : row->flags & FLAG_FLAGGED);
}

void list_set_filter(struct list *l, enum list_filter filter)
{
    struct err err = ERR_INIT;
    if (l->filter == filter)
        return;
    /* The cursor goes where something stays: to the nearest row below, else above, else to the first. */
    if (l->n && !kept_by(&l->rows[l->cur], filter)) {
        unsigned i = l->cur, k = i;
        while (i < l->n && !kept_by(&l->rows[i], filter))
            i++;
        while (i == l->n && k > 0 && !kept_by(&l->rows[k], filter))
            k--;
        unsigned to = i < l->n ? i : k;
        if (!kept_by(&l->rows[to], filter) || !list_goto(l, l->rows[to].ref, &err))
            l->stay = STAY_NEWEST;
    }
    l->stale = true;
    l->filter = filter;
}

static void clamp_top(struct list *l)
{
    if (l->top > l->cur)
        l->top = l->cur;
    if (l->cur - l->top >= l->height)
        l->top = l->cur - l->height + 1;
    if (l->top + l->height > l->n && l->last_here)
        l->top = l->n > l->height ? l->n - l->height : 0;
}

void list_set_height(struct list *l, unsigned height)
{
    height = MAX(height, 1u);
    if (height > l->height && (l->n < height * 3))
        l->stale = true;
    l->height = height;
    if (l->n)
        clamp_top(l);
}

void list_stale(struct list *l)
{
    l->stale = true;
}

/* ---- rows ---- */
static struct str keep(char **at, struct str s)
{
    struct str kept = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

struct list_row row_copy(unsigned account, const struct msg_row *from)
{
    size_t size = from->from_name.n + from->from_addr.n + from->to.n + from->subject.n + from->msgid.n +
                  from->list_id.n + from->tags.n + 1;
    struct list_row row = {.ref = {account, from->id},
                           .box = from->box,
                           .thread = from->thread,
                           .date = from->date,
                           .size = from->size,
                           .flags = from->flags,
                           .attrs = from->attrs,
                           .state = from->state,
                           .mem = mem_new(size)};
    char *at = row.mem;
    row.from_name = keep(&at, from->from_name);
    row.from_addr = keep(&at, from->from_addr);
    row.to = keep(&at, from->to);
    row.subject = keep(&at, from->subject);
    row.msgid = keep(&at, from->msgid);
    row.list_id = keep(&at, from->list_id);
    row.tags = keep(&at, from->tags);
    return row;
}

bool row_changes(const struct list *l, struct list_row *row)
{
    bool stays = true;
    for (size_t i = 0; i < l->changes->n; i++) {
        const struct change *c = &l->changes->list[i];
        if (!ref_eq(c->ref, row->ref))
            continue;
        row->flags = (row->flags | c->set) & ~c->clear;
        row->pending = true;
        stays = stays && !(c->hide && l->source != LIST_HITS);
    }
    if (l->filter == LIST_UNREAD)
        stays = stays && !(row->flags & FLAG_SEEN);
    else if (l->filter == LIST_FLAGGED)
        stays = stays && (row->flags & FLAG_FLAGGED);
    return stays;
}

/* Newest first; between accounts of the same second the order of the accounts, so that the order is total. */
static int row_order(const struct list_row *a, const struct list_row *b)
{
    if (a->date != b->date)
        return a->date > b->date ? -1 : 1;
    if (a->ref.account != b->ref.account)
        return a->ref.account < b->ref.account ? -1 : 1;
    return a->ref.id > b->ref.id ? -1 : a->ref.id < b->ref.id;
}

struct list_row row_again(const struct list_row *old)
{
    return row_copy(old->ref.account, &(struct msg_row){.id = old->ref.id,
                                                        .box = old->box,
                                                        .thread = old->thread,
                                                        .date = old->date,
                                                        .size = old->size,
                                                        .flags = old->flags,
                                                        .attrs = old->attrs,
                                                        .state = old->state,
                                                        .from_name = old->from_name,
                                                        .from_addr = old->from_addr,
                                                        .to = old->to,
                                                        .subject = old->subject,
                                                        .msgid = old->msgid,
                                                        .list_id = old->list_id,
                                                        .tags = old->tags});
}

void gather_add(struct gather *g, struct list_row row)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 64;
        g->rows = mem_resize(g->rows, g->cap, sizeof *g->rows);
    }
    g->rows[g->n++] = row;
}

bool gather_trim(struct gather *g, bool older, unsigned want)
{
    if (g->n <= want)
        return false;
    unsigned drop = g->n - want, from = older ? want : 0;
    for (unsigned i = from; i < from + drop; i++)
        row_free(&g->rows[i]);
    if (!older)
        memmove(g->rows, g->rows + drop, want * sizeof *g->rows);
    g->n = want;
    return true;
}

void list_accounts(const struct list *l, unsigned *lo_r, unsigned *hi_r)
{
    *lo_r = l->source == LIST_BOX ? l->account : 0;
    *hi_r = MIN(l->source == LIST_BOX ? l->account + 1 : l->accts->n, l->accts->n);
}

static void gather_row(void *arg, const struct msg_row *row)
{
    struct gather *g = arg;
    struct list_row copy = row_copy(g->account, row);
    g->got++;
    if (row_changes(g->list, &copy))
        gather_add(g, copy);
    else
        row_free(&copy);
}

/* The key that makes account `b` go on where (date, account a, id) stands in the order of row_order. */
static struct row_key key_for(const struct list_row *from, unsigned b)
{
    struct row_key key = {from->date, from->ref.id};
    if (b != from->ref.account)
        key.id = (b > from->ref.account) ? (uint64_t)INT64_MAX : 0;
    return key;
}

static int order_rows(const void *a, const void *b)
{
    return row_order(a, b);
}

/* Reads about `want` rows beyond `from` (NULL: from the end of the list), from all accounts that take part. The rows
 * come newest first. *end_r: there is nothing beyond them. */
static bool read_rows(const struct list *l, const struct list_row *from, bool older, unsigned want, struct gather *out,
                      bool *end_r, struct err *err)
{
    bool ok = true;
    unsigned lo, hi;
    if (list_threaded(l))
        return threads_read(l, from, older, want, out, end_r, err);
    list_accounts(l, &lo, &hi);
    *out = (struct gather){.list = l};
    *end_r = true;
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        struct row_key key;
        if (!reader)
            continue;
        if (from)
            key = key_for(from, a);
        out->account = a;
        out->got = 0;
        ok = reader_rows(reader, l->source == LIST_BOX ? l->box : 0, l->filter, from ? &key : NULL, older, want,
                         gather_row, out, err) &&
             ok;
        if (out->got >= want)
            *end_r = false;
    }
    if (out->n > 1)
        qsort(out->rows, out->n, sizeof *out->rows, order_rows);
    if (l->source != LIST_BOX && gather_trim(out, older, want))
        *end_r = false;
    return ok;
}

/* The cursor's row read again; false where it is no longer in the list. */
static bool read_cursor(const struct list *l, const struct list_row *old, struct list_row *row_r)
{
    struct reader *reader = l->accts->list[old->ref.account].reader;
    struct msg_row raw = {.id = 0};
    struct box_row box = {.id = 0};
    struct err err = ERR_INIT;
    if (!reader || !reader_row(reader, old->ref.id, &raw, &err) || !raw.id)
        return false;
    *row_r = row_copy(old->ref.account, &raw);
    bool here = row_changes(l, row_r);
    if (l->source == LIST_BOX)
        here = here && row_r->box == l->box;
    else
        here = here && reader_box(reader, row_r->box, &box, &err) && box.id && box.role == BOX_INBOX;
    return here;
}

static unsigned window_half(const struct list *l)
{
    return MAX((unsigned)WINDOW_MIN, l->height * 2);
}

/* Replaces the window: rows above, the cursor's row (or none), rows below. */
static void set_window(struct list *l, struct gather *above, const struct list_row *cursor, struct gather *below)
{
    unsigned n = above->n + (cursor ? 1 : 0) + below->n;
    struct list_row *rows = mem_array(MAX(n, 1u), sizeof *rows);
    if (above->n)
        memcpy(rows, above->rows, above->n * sizeof *rows);
    if (cursor)
        rows[above->n] = *cursor;
    if (below->n)
        memcpy(rows + above->n + (cursor ? 1 : 0), below->rows, below->n * sizeof *rows);
    free(above->rows);
    free(below->rows);
    rows_free(l->rows, l->n);
    l->rows = rows;
    l->n = n;
    l->cur = n ? MIN(above->n, n - 1) : 0;
}

static bool read_end(struct list *l, bool newest, struct err *err)
{
    struct gather got, none = {.n = 0};
    bool end;
    bool ok = read_rows(l, NULL, newest, window_half(l) * 2, &got, &end, err);
    if (newest)
        set_window(l, &none, NULL, &got);
    else
        set_window(l, &got, NULL, &none);
    l->first_here = newest || end;
    l->last_here = !newest || end;
    l->cur = newest ? 0 : (l->n ? l->n - 1 : 0);
    l->top = newest ? 0 : l->cur;
    clamp_top(l);
    return ok;
}

/* What is around `anchor`, by threads: the rest of its own stands next to it. */
static bool around_thread(struct list *l, const struct list_row *anchor, struct err *err)
{
    struct gather own, above, below;
    unsigned at;
    threads_own(l, anchor, &own, &at, err);
    bool ok = threads_read(l, &own.rows[at], false, window_half(l), &above, &l->first_here, err);
    ok = threads_read(l, &own.rows[at], true, window_half(l), &below, &l->last_here, err) && ok;
    struct list_row cursor = own.rows[at];
    struct gather rest = {.n = 0};
    for (unsigned i = 0; i < at; i++)
        gather_add(&above, own.rows[i]);
    for (unsigned i = at + 1; i < own.n; i++)
        gather_add(&rest, own.rows[i]);
    for (unsigned i = 0; i < below.n; i++)
        gather_add(&rest, below.rows[i]);
    free(below.rows);
    free(own.rows);
    set_window(l, &above, &cursor, &rest);
    return ok;
}

static bool around_row(struct list *l, const struct list_row *anchor, struct err *err)
{
    struct gather above, below;
    struct list_row cursor = {.mem = NULL}, old = *anchor;
    bool here = read_cursor(l, anchor, &cursor);
    if (!here) { /* shown as it was, greyed, until the user moves on */
        if (!cursor.mem)
            cursor = row_again(&old);
        cursor.ghost = true;
        cursor.date = old.date;
    }
    bool ok = read_rows(l, &cursor, false, window_half(l), &above, &l->first_here, err);
    ok = read_rows(l, &cursor, true, window_half(l), &below, &l->last_here, err) && ok;
    set_window(l, &above, &cursor, &below);
    return ok;
}

/* Reads the window again around `anchor` (one of our rows, or a row of the list that is not in the window). */
static bool read_around(struct list *l, const struct list_row *anchor, unsigned line, struct err *err)
{
    bool was_top = l->first_here && l->top == 0;
    bool ok = list_threaded(l) ? around_thread(l, anchor, err) : around_row(l, anchor, err);
    l->top = l->cur > line ? l->cur - line : 0;
    if (was_top && l->first_here && l->cur < l->height)
        l->top = 0; /* at the head of the list new mail is seen coming */
    clamp_top(l);
    return ok;
}

/* ---- hits ---- */
/* Has it left the list that these hits are out of? It stays in sight, greyed: undo brings it back to its place. */
static bool has_left(const struct list *of, const struct list_row *row)
{
    struct box_row box = {.id = 0};
    struct err err = ERR_INIT;
    struct reader *reader = of->accts->list[row->ref.account].reader;
    if (of->source == LIST_BOX)
        return row->box != of->box;
    return of->source == LIST_INBOXES && reader && reader_box(reader, row->box, &box, &err) && box.role != BOX_INBOX;
}

static struct list_row hit_row(const struct list *l, const struct hit *hit)
{
    struct msg_row raw = {.id = 0};
    struct err err = ERR_INIT;
    struct list_row row;
    struct reader *reader = hit->ref.id ? l->accts->list[hit->ref.account].reader : NULL;
    if (reader && reader_row(reader, hit->ref.id, &raw, &err) && raw.id) {
        row = row_copy(hit->ref.account, &raw);
        row.ghost = l->limits && has_left(l->limits, &row);
    } else {
        raw = (struct msg_row){.id = hit->ref.id,
                               .date = hit->date,
                               .flags = FLAG_SEEN,
                               .from_name = str_z(hit->from),
                               .subject = str_z(hit->subject)};
        row = row_copy(hit->ref.account, &raw);
        row.ghost = true;
    }
    row_changes(l, &row);
    return row;
}

static void read_hits(struct list *l, size_t at, unsigned line)
{
    unsigned half = window_half(l);
    size_t lo = at > half ? at - half : 0, hi = MIN(l->nhits, at + half + 1);
    struct gather all = {.n = 0}, none = {.n = 0};
    all.rows = mem_array(hi > lo ? hi - lo : 1, sizeof *all.rows);
    for (size_t i = lo; i < hi; i++)
        all.rows[all.n++] = hit_row(l, &l->hits[i]);
    set_window(l, &none, NULL, &all);
    l->base = lo;
    l->first_here = lo == 0;
    l->last_here = hi == l->nhits;
    l->cur = l->n ? (unsigned)MIN(at - lo, (size_t)l->n - 1) : 0;
    l->top = l->cur > line ? l->cur - line : 0;
    clamp_top(l);
}

/* ---- reading again ---- */
static void read_rank(struct list *l)
{
    struct err err = ERR_INIT;
    if (list_threaded(l)) {
        threads_rank(l);
        return;
    }
    l->rank = l->total = 0;
    if (l->source == LIST_HITS) {
        l->total = (uint32_t)l->nhits;
        l->rank = (uint32_t)l->base + l->cur;
        return;
    }
    unsigned lo, hi;
    list_accounts(l, &lo, &hi);
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        struct row_key key = l->n ? key_for(&l->rows[l->cur], a) : (struct row_key){INT64_MAX, (uint64_t)INT64_MAX};
        uint32_t rank = 0, total = 0;
        if (reader && reader_rank(reader, l->source == LIST_BOX ? l->box : 0, l->filter, &key, &rank, &total, &err)) {
            l->rank += rank;
            l->total += total;
        }
    }
}

bool list_update(struct list *l, struct err *err)
{
    bool changed = l->stale, ok = true;
    for (unsigned a = 0; a < l->accts->n; a++) {
        struct acct *acct = &l->accts->list[a];
        uint64_t version = acct->reader ? reader_version(acct->reader) : 0;
        if (version != acct->version) {
            acct->version = version;
            changed = true;
        }
    }
    if (l->source == LIST_NONE)
        return false;
    if (!changed) {
        uint32_t rank = l->rank, total = l->total;
        if (l->rank_old)
            read_rank(l);
        return rank != l->rank || total != l->total;
    }
    l->stale = false;
    if (l->source == LIST_HITS)
        read_hits(l, l->base + l->cur, l->cur - l->top);
    else if (!l->n || l->stay == STAY_NEWEST || l->stay == STAY_OLDEST)
        ok = read_end(l, l->stay != STAY_OLDEST, err);
    else {
        ok = read_around(l, &l->rows[l->cur], l->cur - l->top, err);
        if (l->n == 1 && l->rows[0].ghost && l->first_here && l->last_here && l->filter == LIST_ALL)
            ok = read_end(l, true, err); /* nothing but the ghost is left: an empty list says more */
    }
    read_rank(l);
    (void)ok;
    return true;
}

const struct list_row *list_cursor(const struct list *l)
{
    return l->n ? &l->rows[l->cur] : NULL;
}

const struct list_row *list_find(const struct list *l, struct ref ref)
{
    for (unsigned i = 0; i < l->n; i++)
        if (ref.id && ref_eq(l->rows[i].ref, ref))
            return &l->rows[i];
    return NULL;
}

/* ---- moving ---- */
/* Takes the ghost that the cursor left out of the window. */
static void bury(struct list *l, struct ref left)
{
    if (l->source == LIST_HITS)
        return;
    for (unsigned i = 0; i < l->n; i++) {
        if (!l->rows[i].ghost || !ref_eq(l->rows[i].ref, left) || i == l->cur)
            continue;
        row_free(&l->rows[i]);
        memmove(&l->rows[i], &l->rows[i + 1], (l->n - i - 1) * sizeof *l->rows);
        l->n--;
        if (l->cur > i)
            l->cur--;
        if (l->top > i)
            l->top--;
        return;
    }
}

static bool near_edge(const struct list *l)
{
    return (!l->first_here && l->cur < l->height) || (!l->last_here && l->n - l->cur <= l->height);
}

static void moved(struct list *l, struct ref left, struct err *err)
{
    l->stay = STAY_ROW;
    bool threads = list_threaded(l);
    for (unsigned i = 0; i < l->n && threads; i++)
        if (ref_eq(l->rows[i].ref, left)) {
            threads_moved(l, i);
            break;
        }
    bury(l, left);
    clamp_top(l);
    if (near_edge(l)) {
        if (l->source == LIST_HITS)
            read_hits(l, l->base + l->cur, l->cur - l->top);
        else
            read_around(l, &l->rows[l->cur], l->cur - l->top, err);
    }
    if (!threads)
        read_rank(l);
}

bool list_move(struct list *l, int64_t by, struct err *err)
{
    l->stay = STAY_ROW;
    bool any = false;
    if (!l->n)
        return false;
    struct ref left = l->rows[l->cur].ref;
    while (by != 0) {
        int64_t room = by > 0 ? (int64_t)(l->n - 1 - l->cur) : (int64_t)l->cur;
        int64_t step = MIN(by > 0 ? by : -by, room);
        if (step == 0)
            break;
        l->cur = by > 0 ? l->cur + (unsigned)step : l->cur - (unsigned)step;
        by = by > 0 ? by - step : by + step;
        any = true;
        moved(l, left, err);
        left = l->rows[l->cur].ref;
    }
    return any;
}

bool list_first(struct list *l, struct err *err)
{
    l->stay = STAY_ROW;
    if (!l->n)
        return false;
    struct ref left = l->rows[l->cur].ref;
    if (l->first_here) {
        l->cur = l->top = 0;
        moved(l, left, err);
    } else if (l->source == LIST_HITS)
        read_hits(l, 0, 0);
    else
        read_end(l, true, err);
    l->older = UINT32_MAX;
    if (list_threaded(l))
        l->rank = 0;
    else
        read_rank(l);
    return true;
}

bool list_last(struct list *l, struct err *err)
{
    if (!l->n)
        return false;
    struct ref left = l->rows[l->cur].ref;
    if (l->last_here) {
        l->cur = l->n - 1;
        moved(l, left, err);
    } else if (l->source == LIST_HITS)
        read_hits(l, l->nhits - 1, l->height);
    else
        read_end(l, false, err);
    l->stay = STAY_OLDEST;
    l->older = 0;
    if (list_threaded(l))
        l->rank = l->total ? l->total - 1 : 0;
    else
        read_rank(l);
    return true;
}

bool list_goto(struct list *l, struct ref ref, struct err *err)
{
    l->stay = STAY_ROW;
    for (unsigned i = 0; i < l->n; i++) {
        if (!ref_eq(l->rows[i].ref, ref))
            continue;
        struct ref left = l->rows[l->cur].ref;
        l->cur = i;
        moved(l, left, err);
        return true;
    }
    return false;
}

bool list_reach(struct list *l, struct ref ref, struct err *err)
{
    struct msg_row raw = {.id = 0};
    struct reader *reader = ref.account < l->accts->n ? l->accts->list[ref.account].reader : NULL;
    if (list_goto(l, ref, err))
        return true;
    if (l->source == LIST_HITS || !reader || !reader_row(reader, ref.id, &raw, err) || !raw.id ||
        (l->source == LIST_BOX && raw.box != l->box))
        return false;
    struct list_row anchor = row_copy(ref.account, &raw);
    l->top = 1; /* not at the head */
    read_around(l, &anchor, l->height / 3, err);
    row_free(&anchor);
    l->rank_cost_ms = 0; /* counted now, whatever it takes */
    read_rank(l);
    return true;
}

void list_copy(struct list *l, const struct list *from, struct err *err)
{
    const struct list_row *row = list_cursor(from);
    struct list own;
    list_init(&own, from->accts, from->changes);
    *l = *from;
    l->rows = NULL; /* what is owned is made anew */
    l->hits = NULL;
    l->n = 0;
    l->nhits = 0;
    l->turned = own.turned;
    l->title = mem_dup_z(from->title ? from->title : "");
    l->query = from->query ? mem_dup_z(from->query) : NULL;
    drop_window(l);
    for (size_t i = 0; i < from->nhits; i++)
        list_add_hit(l, &from->hits[i]);
    for (size_t i = 0; i < from->turned.n; i++)
        refs_add(&l->turned, from->turned.list[i]);
    l->stay = STAY_ROW;
    if (row && list_update(l, err) &&
        !(l->source == LIST_HITS ? list_reach_rank(l, (uint32_t)(from->base + from->cur), err)
                                 : list_reach(l, row->ref, err)))
        list_stale(l);
}

/* How many rows are of a later date, in all accounts of the list. */
static uint32_t later_than(const struct list *l, int64_t date)
{
    struct err err = ERR_INIT;
    struct row_key key = {date + 1, 0};
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

/* Its date is found by halving, then the few rows of that date are walked. */
bool list_reach_rank(struct list *l, uint32_t rank, struct err *err)
{
    int64_t lo = -(INT64_C(1) << 40), hi = INT64_C(1) << 40;
    struct gather got;
    bool end;
    if (l->source == LIST_HITS) {
        if (l->nhits)
            read_hits(l, MIN((size_t)rank, l->nhits - 1), l->height / 3);
        read_rank(l);
        return l->nhits > 0;
    }
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (later_than(l, mid) <= rank)
            hi = mid;
        else
            lo = mid + 1;
    }
    uint32_t walk = rank - MIN(rank, later_than(l, lo));
    struct list_row from = {.date = lo + 1, .newest = lo + 1, .ref = {.account = l->accts->n}};
    read_rows(l, &from, true, MIN(walk, (uint32_t)SAME_DATE_MAX) + 1, &got, &end, err);
    struct ref to = got.n ? got.rows[MIN(walk, got.n - 1)].ref : REF_NONE;
    rows_free(got.rows, got.n);
    return to.id && list_reach(l, to, err);
}

/* The nearest unread row beyond the cursor, from the databases. */
static bool unread_beyond(struct list *l, bool older, struct err *err)
{
    struct gather got;
    bool end, found = false;
    struct list_row from = l->rows[l->cur];
    enum list_filter filter = l->filter;
    if (filter == LIST_FLAGGED)
        return false;
    if (list_threaded(l)) {
        struct ref to = threads_unread(l, older, err);
        return to.id && list_reach(l, to, err);
    }
    l->filter = LIST_UNREAD;
    read_rows(l, &from, older, 8, &got, &end, err);
    l->filter = filter;
    if (got.n) {
        const struct list_row *to = older ? &got.rows[0] : &got.rows[got.n - 1];
        found = list_reach(l, to->ref, err);
    }
    rows_free(got.rows, got.n);
    return found;
}

bool list_unread(struct list *l, bool older, struct err *err)
{
    l->stay = STAY_ROW;
    if (!l->n)
        return false;
    for (unsigned i = l->cur;;) {
        if (older ? i + 1 >= l->n : i == 0)
            break;
        i = older ? i + 1 : i - 1;
        if (!(l->rows[i].flags & FLAG_SEEN) && !l->rows[i].ghost)
            return list_goto(l, l->rows[i].ref, err);
    }
    if (l->source == LIST_HITS) {
        struct ref at = l->rows[l->cur].ref;
        while (list_move(l, older ? 1 : -1, err))
            if (!(l->rows[l->cur].flags & FLAG_SEEN) && !l->rows[l->cur].ghost)
                return true;
        list_goto(l, at, err);
        return false;
    }
    if (older ? l->last_here : l->first_here)
        return false;
    return unread_beyond(l, older, err);
}

struct ref list_after(const struct list *l, struct ref ref)
{
    for (unsigned i = 0; i < l->n; i++)
        if (ref_eq(l->rows[i].ref, ref))
            return i + 1 < l->n ? l->rows[i + 1].ref : i > 0 ? l->rows[i - 1].ref : REF_NONE;
    return REF_NONE;
}

void list_check(const struct list *l)
{
    if (l->n == 0) {
        if (l->cur || l->top)
            bug("cursor in an empty list");
        return;
    }
    if (l->cur >= l->n || l->top > l->cur || l->cur - l->top >= l->height)
        bug("cursor %u outside rows %u..%u of %u", l->cur, l->top, l->top + l->height, l->n);
    for (unsigned i = 0; i < l->n; i++) {
        if (l->rows[i].ghost && i != l->cur && l->source != LIST_HITS)
            bug("a ghost away from the cursor");
        int order = i == 0             ? -1
                    : list_threaded(l) ? threads_order(&l->rows[i - 1], &l->rows[i])
                                       : row_order(&l->rows[i - 1], &l->rows[i]);
        if (order >= 0 && l->source != LIST_HITS)
            bug("rows %u and %u out of order", i - 1, i);
    }
}
