/* The message list: a window of rows around the cursor, read by key in screenfuls and never by row number, so that a
 * list of a million rows costs what a screen costs and a change elsewhere never moves what the user looks at. */
#include "ui/list_int.h"

enum { WINDOW_MIN = 32 };

void list_init(struct list *l, struct accts *accts, struct changes *changes)
{
    *l = (struct list){.accts = accts, .changes = changes, .clock = clock_mono_ms, .height = 20};
}

static void drop_window(struct list *l)
{
    rows_free(l->rows, l->n);
    l->rows = NULL;
    l->n = l->cur = l->top = 0;
    l->first_here = l->last_here = true;
    l->rank = l->total = l->unread = 0;
    l->rank_unknown = l->count.on = false;
    l->older = UINT32_MAX;
    l->stale = true;
    seek_end(l);
}

void list_clear_hits(struct list *l)
{
    hits_fini(l);
    l->asked = 0;
    l->full_hits = false;
    if (l->source == LIST_HITS)
        drop_window(l);
}

static bool waits_for_hit(const struct list *l)
{
    return l->source == LIST_HITS && l->stay == STAY_ASKED && awaits(&l->awaited);
}

void list_to_newest(struct list *l)
{
    drop_window(l);
    if (!waits_for_hit(l))
        l->stay = STAY_NEWEST;
}

void list_fini(struct list *l)
{
    drop_window(l);
    row_free(&l->count.to);
    list_clear_hits(l);
    refs_fini(&l->turned);
    refs_fini(&l->turned_days);
    free(l->title);
    free(l->query);
    free(l->typed);
    query_words_free(&l->words);
    free(l->words_of);
    l->title = l->query = l->typed = l->words_of = NULL;
}

static void show(struct list *l, enum list_source source, struct str title)
{
    char *copy = mem_dup_n(title.p ? title.p : "", title.n);
    drop_window(l);
    list_clear_hits(l);
    free(l->title);
    free(l->query);
    free(l->typed);
    l->title = copy;
    l->query = l->typed = NULL;
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

void list_set_filter(struct list *l, enum list_filter filter)
{
    struct err err = ERR_INIT;
    if (l->filter == filter)
        return;
    /* The cursor goes where something stays: to the nearest row below, else above, else to the first. */
    if (l->n && !row_kept(&l->rows[l->cur], filter)) {
        unsigned i = l->cur, k = i;
        while (i < l->n && !row_kept(&l->rows[i], filter))
            i++;
        while (i == l->n && k > 0 && !row_kept(&l->rows[k], filter))
            k--;
        unsigned to = i < l->n ? i : k;
        if (!row_kept(&l->rows[to], filter) || !list_goto(l, l->rows[to].ref, &err))
            l->stay = STAY_NEWEST;
    }
    l->stale = true;
    l->filter = filter;
    seek_end(l);
    hits_reorder(l);
}

/* ---- what is on the screen ---- */
bool list_grouped(const struct list *l)
{
    return l->group && l->height >= 4 && (l->order == ORDER_DATE || l->order == ORDER_ARRIVAL);
}

void list_set_group(struct list *l, bool on)
{
    l->stale = l->stale || l->group != on;
    l->group = on;
}

static bool heading(const struct list *l, unsigned top, unsigned i)
{
    return list_grouped(l) && !l->rows[i].folded_day && (i == top || l->rows[i].day != l->rows[i - 1].day);
}

bool list_heading(const struct list *l, unsigned i)
{
    return heading(l, l->top, i);
}

unsigned list_lines(const struct list *l, unsigned from, unsigned to)
{
    unsigned lines = to - from;
    for (unsigned i = from; i <= to && list_grouped(l); i++)
        lines += heading(l, from, i);
    return lines;
}

unsigned list_page(const struct list *l)
{
    unsigned i = l->top;
    while (i < l->n && list_lines(l, l->top, i) < l->height)
        i++;
    return list_grouped(l) ? MAX(i - l->top, 1u) : l->height;
}

/* The first row of the screen where row `i` shall be on line `line`, or above it where there is nothing to fill it. */
static unsigned top_for(const struct list *l, unsigned i, unsigned line)
{
    unsigned top = i;
    if (!list_grouped(l))
        return i > line ? i - line : 0;
    while (top > 0 && list_lines(l, top - 1, i) <= line)
        top--;
    return top;
}

static void clamp_top(struct list *l)
{
    if (l->top > l->cur)
        l->top = l->cur;
    if (list_lines(l, l->top, l->cur) >= l->height)
        l->top = top_for(l, l->cur, l->height - 1);
    if (l->last_here && l->n && list_lines(l, l->top, l->n - 1) < l->height) /* no empty lines below rows */
        l->top = top_for(l, l->n - 1, l->height - 1);
}

void list_set_height(struct list *l, unsigned height)
{
    bool grouped = list_grouped(l);
    height = MAX(height, 1u);
    if (height > l->height && (l->n < height * 3))
        l->stale = true;
    l->height = height;
    l->stale = l->stale || (list_grouped(l) != grouped && (l->fold_days || l->turned_days.n));
    if (l->n)
        clamp_top(l);
}

void list_stale(struct list *l)
{
    l->stale = true;
}

static unsigned window_half(const struct list *l)
{
    return MAX((unsigned)WINDOW_MIN, l->height * 2);
}

int64_t list_row_date(const struct list *l, const struct list_row *row)
{
    return list_threaded(l) ? row->newest : l->order == ORDER_ARRIVAL && row->arrived ? row->arrived : row->date;
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
    for (unsigned i = 0; i < n && l->group; i++)
        rows[i].day = day_of(list_row_date(l, &rows[i]));
}

static bool read_end(struct list *l, bool first, struct err *err)
{
    struct gather got, none = {.n = 0};
    bool end;
    bool ok = rows_read(l, NULL, first, window_half(l) * 2, &got, &end, err);
    if (first)
        set_window(l, &none, NULL, &got);
    else
        set_window(l, &got, NULL, &none);
    l->first_here = first || end;
    l->last_here = !first || end;
    l->cur = first ? 0 : (l->n ? l->n - 1 : 0);
    l->top = first ? 0 : l->cur;
    clamp_top(l);
    return ok;
}

/* Of the folded day that `anchor` is of: its first row, or as it was where the last of its messages has gone. */
static struct list_row row_of_day(const struct list *l, const struct list_row *anchor, struct err *err)
{
    struct list_row row;
    if (day_first(l, anchor, &row, err))
        return row;
    row = day_row(row_again(anchor));
    row.newest = anchor->newest;
    row.ghost = row.day_counted = true;
    row.day_n = anchor->day_n;
    row.day_unread = anchor->day_unread;
    return row;
}

/* What is around `anchor`, by threads: the rest of its own stands next to it. */
static bool around_thread(struct list *l, const struct list_row *anchor, struct err *err)
{
    struct gather own, above, below;
    unsigned at;
    threads_own(l, anchor, &own, &at, err);
    if (day_hides(l, &own.rows[at])) {
        struct list_row day = row_of_day(l, &own.rows[at], err);
        rows_free(own.rows, own.n);
        own = (struct gather){.list = l};
        gather_add(&own, day);
        at = 0;
    }
    bool ok = rows_read(l, &own.rows[at], false, window_half(l), &above, &l->first_here, err);
    ok = rows_read(l, &own.rows[at], true, window_half(l), &below, &l->last_here, err) && ok;
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
    bool hidden = day_hides(l, anchor), here = !hidden && row_read(l, anchor, &cursor);
    if (hidden) {
        cursor = row_of_day(l, anchor, err);
    } else if (!here) { /* shown as it was, where it was, greyed, until the user moves on */
        struct list_row now = cursor;
        cursor = row_again(&old);
        cursor.ghost = true;
        if (now.mem) {
            cursor.flags = now.flags;
            cursor.box = now.box;
            cursor.pending = now.pending;
        }
        row_free(&now);
    }
    bool ok = rows_read(l, &cursor, false, window_half(l), &above, &l->first_here, err);
    ok = rows_read(l, &cursor, true, window_half(l), &below, &l->last_here, err) && ok;
    set_window(l, &above, &cursor, &below);
    return ok;
}

/* Reads the window again around `anchor` (one of our rows, or a row of the list that is not in the window). */
static bool read_around(struct list *l, const struct list_row *anchor, unsigned line, struct err *err)
{
    bool was_top = l->first_here && l->top == 0;
    bool ok = list_threaded(l) ? around_thread(l, anchor, err) : around_row(l, anchor, err);
    l->top = top_for(l, l->cur, line);
    if (was_top && l->first_here && l->cur < l->height)
        l->top = 0; /* at the head of the list new mail is seen coming */
    clamp_top(l);
    return ok;
}

/* ---- reading again ---- */
/* Where is the newest? There a list begins. */
static bool newest_last(const struct list *l)
{
    return l->reverse && (l->order == ORDER_DATE || l->order == ORDER_ARRIVAL);
}

bool list_dated(const struct list *l)
{
    return !list_threaded(l) && l->source != LIST_HITS && l->order == ORDER_DATE && !l->reverse;
}

const struct query_words *list_searched(struct list *l)
{
    const char *query = l->source == LIST_HITS && l->query ? l->query : "";
    if (l->words && !strcmp(query, l->words_of))
        return l->words;
    query_words_free(&l->words);
    free(l->words_of);
    l->words_of = mem_dup_z(query);
    l->words = query_words_new(str_z(query));
    return l->words;
}

void list_set_order(struct list *l, enum list_order order, bool reverse)
{
    if (order == ORDER_RELEVANCE && l->source != LIST_HITS)
        order = ORDER_DATE;
    if (l->order == order && l->reverse == reverse)
        return;
    l->order = order;
    l->reverse = reverse;
    l->stale = true;
    hits_reorder(l);
    seek_end(l);
    l->older = UINT32_MAX;
    l->rank_unknown = l->count.on = false;
    if (l->n && l->stay != STAY_NEWEST)
        l->stay = STAY_ROW;
}

/* Reads the window around a row of the list that is not in it; takes the row. */
static void reach_row(struct list *l, struct list_row *anchor, struct err *err)
{
    l->stay = STAY_ROW;
    l->top = 1; /* not at the head */
    read_around(l, anchor, l->height / 3, err);
    row_free(anchor);
    l->rank_cost_ms = 0; /* counted now, whatever it takes */
    rank_read(l);
}

void list_await(struct list *l, const struct awaited *what)
{
    l->awaited = *what;
    l->stay = awaits(what) ? STAY_ASKED : l->stay;
    l->stale = true;
}

/* To the hit that is waited for, if it has come. */
static bool arrive(struct list *l, struct err *err)
{
    struct list_row row;
    if (!waits_for_hit(l))
        return false;
    bool here = hits_find(l, l->awaited.ref, str_z(l->awaited.msgid), &row);
    if (here)
        reach_row(l, &row, err);
    else
        row_free(&row);
    if (!here && l->full_hits && !hits_busy(l)) /* it is none any more */
        l->stay = STAY_NEWEST;
    return here;
}

/* `again`: a database changed since. */
static bool update(struct list *l, bool again, struct err *err)
{
    bool changed = l->stale || again, ok = true;
    changed = hits_update(l, again) || changed;
    if (l->source == LIST_NONE)
        return false;
    if (l->seek && seek_on(l, err))
        return true;
    if (!changed) {
        uint32_t rank = l->rank, total = l->total;
        if (l->rank_old)
            rank_read(l);
        else if (l->count.on)
            rank_count(l);
        return rank != l->rank || total != l->total;
    }
    l->stale = false;
    if (arrive(l, err))
        return true;
    if (!l->n || l->stay == STAY_NEWEST || l->stay == STAY_OLDEST || waits_for_hit(l))
        ok = read_end(l, l->stay != STAY_OLDEST && !newest_last(l), err);
    else {
        ok = read_around(l, &l->rows[l->cur], list_lines(l, l->top, l->cur), err);
        if (l->n == 1 && l->rows[0].ghost && l->first_here && l->last_here && l->filter == LIST_ALL && !hits_busy(l))
            ok = read_end(l, !newest_last(l), err); /* nothing but the ghost is left: an empty list says more */
    }
    rank_read(l);
    (void)ok;
    return true;
}

bool list_update(struct list *l, struct err *err)
{
    bool again = false;
    for (unsigned a = 0; a < l->accts->n; a++) {
        struct acct *acct = &l->accts->list[a];
        uint64_t version = acct->reader ? reader_version(acct->reader) : 0;
        again = again || version != acct->version;
        acct->version = version;
        if (acct->reader)
            reader_hold(acct->reader);
    }
    bool changed = update(l, again, err);
    days_count(l);
    for (unsigned a = 0; a < l->accts->n; a++)
        if (l->accts->list[a].reader)
            reader_release(l->accts->list[a].reader);
    return changed;
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
    for (unsigned i = 0; i < l->n; i++) {
        if (!l->rows[i].ghost || l->rows[i].hit || !ref_eq(l->rows[i].ref, left) || i == l->cur)
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
    bool days = days_folded(l); /* rows are not messages, then */
    bool threads = !days && list_threaded(l);
    bool sorted = !days && !threads && l->source != LIST_HITS && l->order != ORDER_DATE;
    for (unsigned i = 0; i < l->n && (threads || sorted); i++)
        if (ref_eq(l->rows[i].ref, left)) {
            if (threads)
                threads_moved(l, i);
            else
                rank_moved(l, i);
            break;
        }
    bury(l, left);
    clamp_top(l);
    if (near_edge(l))
        read_around(l, &l->rows[l->cur], list_lines(l, l->top, l->cur), err);
    if (!threads && !sorted)
        rank_read(l);
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
    } else {
        read_end(l, true, err);
    }
    l->older = UINT32_MAX;
    if (list_threaded(l))
        l->rank = 0;
    else
        rank_read(l);
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
    } else {
        read_end(l, false, err);
    }
    l->stay = STAY_OLDEST;
    l->older = 0;
    if (list_threaded(l))
        l->rank = l->total ? l->total - 1 : 0;
    else
        rank_read(l);
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
    struct list_row anchor = {.mem = NULL};
    if (list_goto(l, ref, err))
        return true;
    if (l->source == LIST_HITS) {
        if (!hits_find(l, ref, STR(""), &anchor)) {
            row_free(&anchor);
            return false;
        }
    } else if (!reader || !reader_row(reader, ref.id, &raw, err) || !raw.id ||
               (l->source == LIST_BOX && raw.box != l->box)) {
        return false;
    } else {
        anchor = row_copy(ref.account, &raw);
    }
    reach_row(l, &anchor, err);
    return true;
}

bool reach_hit(struct list *l, uint32_t rank, struct err *err)
{
    struct list_row anchor = {.mem = NULL};
    bool there = list_threaded(l) ? groups_at_rank(l, rank, &anchor) : hits_at_rank(l, rank, &anchor);
    if (there && !list_goto(l, anchor.ref, err))
        reach_row(l, &anchor, err);
    else
        row_free(&anchor);
    return there;
}

void list_copy(struct list *l, const struct list *from, struct err *err)
{
    const struct list_row *row = list_cursor(from);
    struct list own;
    list_init(&own, from->accts, from->changes);
    *l = *from;
    l->rows = NULL; /* what is owned is made anew */
    l->words = NULL;
    l->words_of = NULL;
    l->hits = hits_copy(from->hits);
    l->seek = NULL;
    l->n = 0;
    l->turned = own.turned;
    l->turned_days = own.turned_days;
    l->count = own.count;
    l->title = mem_dup_z(from->title ? from->title : "");
    l->query = from->query ? mem_dup_z(from->query) : NULL;
    l->typed = from->typed ? mem_dup_z(from->typed) : NULL;
    drop_window(l);
    for (struct ref ref = REF_NONE; refs_next(&from->turned, &ref);)
        refs_add(&l->turned, ref);
    for (struct ref ref = REF_NONE; refs_next(&from->turned_days, &ref);)
        refs_add(&l->turned_days, ref);
    l->stay = STAY_ROW;
    if (row && list_update(l, err) && !list_reach(l, row->ref, err))
        list_stale(l);
}

/* Goes there, and unfolds the day that hides it. */
static bool reach_open(struct list *l, struct ref to, struct err *err)
{
    if (!list_reach(l, to, err))
        return false;
    if (!l->rows[l->cur].folded_day)
        return true;
    list_fold_day(l, &l->rows[l->cur], false);
    return list_reach(l, to, err);
}

/* The nearest unread row beyond the cursor, from the databases. */
static bool unread_beyond(struct list *l, bool older, struct err *err)
{
    struct gather got;
    bool end, found = false;
    struct list_row from = l->rows[l->cur];
    enum list_filter filter = l->filter;
    if (filter == LIST_FLAGGED && l->source != LIST_HITS)
        return false;
    if (list_threaded(l) || l->source == LIST_HITS) {
        struct ref to = list_threaded(l) ? threads_unread(l, older, err) : hits_unread(l, older);
        return to.id && reach_open(l, to, err);
    }
    l->filter = LIST_UNREAD;
    rows_plain(l, &from, older, 8, &got, &end, err);
    l->filter = filter;
    if (got.n) {
        const struct list_row *to = older ? &got.rows[0] : &got.rows[got.n - 1];
        found = reach_open(l, to->ref, err);
    }
    rows_free(got.rows, got.n);
    return found;
}

/* A folded day with unread messages is unfolded on the way; true: this one was. */
static bool unfold_unread(struct list *l, unsigned i, struct err *err)
{
    struct list_row *row = &l->rows[i];
    if (!row->folded_day || row->ghost)
        return false;
    if (!row->day_counted)
        day_count(l, row);
    if (row->flags & FLAG_SEEN)
        return false;
    list_fold_day(l, row, false);
    read_around(l, &l->rows[l->cur], list_lines(l, l->top, l->cur), err);
    return true;
}

bool list_unread(struct list *l, bool older, struct err *err)
{
    l->stay = STAY_ROW;
    if (!l->n)
        return false;
    if (older && unfold_unread(l, l->cur, err) && !(l->rows[l->cur].flags & FLAG_SEEN))
        return true;
    for (unsigned i = l->cur;;) {
        if (older ? i + 1 >= l->n : i == 0)
            break;
        i = older ? i + 1 : i - 1;
        if (unfold_unread(l, i, err))
            i = l->cur;
        else if (!(l->rows[i].flags & FLAG_SEEN) && !l->rows[i].ghost)
            return list_goto(l, l->rows[i].ref, err);
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
    if (l->cur >= l->n || l->top > l->cur || list_lines(l, l->top, l->cur) >= l->height)
        bug("cursor %u outside rows %u..%u of %u", l->cur, l->top, l->top + l->height, l->n);
    for (unsigned i = 0; i < l->n; i++) {
        if (l->rows[i].ghost && i != l->cur && !l->rows[i].hit)
            bug("a ghost away from the cursor");
        int order = i == 0 ? -1 : list_compare(l, &l->rows[i - 1], &l->rows[i]);
        if (order >= 0)
            bug("rows %u and %u out of order", i - 1, i);
    }
}
