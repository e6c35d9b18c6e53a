/* A list by threads: read thread by thread in the order of their newest messages, as the flat list is read row by row.
 * Nothing of it is built: what is not near the screen costs nothing. */
#include "ui/list_int.h"

#define RANK_SHARE 20 /* counting takes a twentieth of the time at most */

bool list_threaded(const struct list *l)
{
    return l->threads && l->order == ORDER_DATE && l->source != LIST_NONE;
}

void list_set_threads(struct list *l, bool on)
{
    if (l->threads == on)
        return;
    l->threads = on;
    l->stale = true;
    if (l->n && l->cur)
        l->stay = STAY_ROW;
}

bool thread_folded(const struct list *l, struct ref group)
{
    return refs_has(&l->turned, group) != l->fold;
}

void list_fold(struct list *l, bool fold)
{
    const struct list_row *row = list_cursor(l);
    if (!row || !list_threaded(l) || !row->group.id || thread_folded(l, row->group) == fold)
        return;
    struct ref group = row->group;
    if (!refs_drop(&l->turned, group))
        refs_add(&l->turned, group);
    l->stale = true;
    l->stay = STAY_ROW;
}

void list_fold_all(struct list *l, bool fold)
{
    refs_clear(&l->turned);
    l->fold = fold;
    l->stale = true;
    if (l->cur)
        l->stay = STAY_ROW;
}

void list_set_across(struct list *l, bool on)
{
    l->stale = l->stale || l->across != on;
    l->across = on;
}

int threads_order(const struct list *l, const struct list_row *a, const struct list_row *b)
{
    int down = l->reverse ? 1 : -1;
    if (a->newest != b->newest)
        return a->newest > b->newest ? down : -down;
    if (a->lead.account != b->lead.account)
        return a->lead.account < b->lead.account ? down : -down;
    if (a->lead.id != b->lead.id)
        return a->lead.id > b->lead.id ? down : -down;
    return a->place_no < b->place_no ? -1 : a->place_no > b->place_no;
}

uint64_t box_of(const struct list *l, unsigned account)
{
    struct box_row box = {.id = 0};
    struct err err = ERR_INIT;
    if (l->source == LIST_BOX)
        return l->box;
    return reader_box_by_role(l->accts->list[account].reader, BOX_INBOX, &box, &err) ? box.id : 0;
}

/* Where account `b` goes on from the thread of `from`, in the order of threads_order. */
static struct row_key key_for(const struct list_row *from, unsigned b)
{
    struct row_key key = ROW_KEY(from->newest, from->lead.id);
    if (b != from->lead.account)
        key.id = b > from->lead.account ? (uint64_t)INT64_MAX : 0;
    return key;
}

/* ---- the rows of one thread ---- */
static void tree_row(void *arg, const struct msg_row *row, const struct thread_place *place)
{
    struct gather *g = arg;
    struct list_row copy = row_copy(g->account, row);
    copy.place = *place;
    if (row_changes(g->list, &copy))
        gather_add(g, copy);
    else
        row_free(&copy);
}

/* The newest of `rows` alone, unread where any of them is. */
static void fold_rows(struct gather *g, unsigned from)
{
    unsigned keep = from;
    uint32_t seen = FLAG_SEEN;
    for (unsigned i = from; i < g->n; i++) {
        seen &= g->rows[i].flags;
        if (g->rows[i].date > g->rows[keep].date ||
            (g->rows[i].date == g->rows[keep].date && g->rows[i].ref.id > g->rows[keep].ref.id))
            keep = i;
    }
    struct list_row kept = g->rows[keep];
    for (unsigned i = from; i < g->n; i++)
        if (i != keep)
            row_free(&g->rows[i]);
    kept.flags = (kept.flags & ~(uint32_t)FLAG_SEEN) | seen;
    kept.place = (struct thread_place){.last = true};
    g->rows[from] = kept;
    g->n = from + 1;
}

static bool changing(const struct list *l, unsigned account)
{
    for (size_t i = 0; i < l->changes->n; i++)
        if (l->changes->list[i].ref.account == account)
            return true;
    return false;
}

static bool thread_rows(const struct list *l, uint64_t box, const struct thread_row *t, struct gather *out,
                        struct err *err)
{
    struct reader *reader = l->accts->list[out->account].reader;
    bool fold = t->count > 1 && thread_folded(l, (struct ref){out->account, t->thread}), ok = true;
    unsigned from = out->n, count = t->count;
    if (l->filter == LIST_ALL && (fold || (t->count == 1 && !l->across)) && !changing(l, out->account)) {
        struct msg_row row;
        ok = reader_thread_newest(reader, box, t->thread, &row, err);
        if (ok && row.id) {
            gather_add(out, row_copy(out->account, &row));
            out->rows[from].flags &= t->unread ? ~(uint32_t)FLAG_SEEN : UINT32_MAX;
            out->rows[from].place.last = true;
        }
    } else {
        if (l->filter != LIST_ALL || (l->across && !fold))
            grove_thread(l, out->account, t->thread, l->across && !fold, out, err);
        else
            ok = reader_thread_tree(reader, box, false, t->thread, tree_row, out, err);
        count = out->n - from;
        fold = fold && count > 1;
        if (fold)
            fold_rows(out, from);
    }
    for (unsigned i = from; i < out->n; i++) {
        struct list_row *row = &out->rows[i];
        row->group = row->lead = (struct ref){out->account, t->thread};
        row->newest = t->newest;
        row->count = count;
        row->place_no = i - from;
        row->folded = fold;
    }
    return ok;
}

/* ---- windows ---- */
struct found {
    struct thread_row *rows;
    unsigned n, cap;
};

static void add_thread(void *arg, const struct thread_row *row)
{
    struct found *f = arg;
    if (f->n == f->cap)
        f->rows = mem_resize(f->rows, f->cap = f->cap ? f->cap * 2 : 64, sizeof *f->rows);
    f->rows[f->n++] = *row;
}

bool threads_read(const struct list *l, const struct list_row *from, bool down, unsigned want, struct gather *out,
                  bool *end_r, struct err *err)
{
    bool ok = true;
    unsigned lo, hi;
    if (l->source == LIST_HITS)
        return groups_read(l, from, down, want, out, end_r, err);
    list_accounts(l, &lo, &hi);
    *out = (struct gather){.list = l};
    *end_r = true;
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        uint64_t box = reader ? box_of(l, a) : 0;
        struct row_key key;
        struct found f = {.n = 0};
        if (!box)
            continue;
        if (from)
            key = key_for(from, a);
        out->account = a;
        ok =
            reader_threads(reader, box, l->filter, from ? &key : NULL, down != l->reverse, want, add_thread, &f, err) &&
            ok;
        unsigned i = 0, before = out->n;
        for (; i < f.n && out->n - before < want; i++)
            ok = thread_rows(l, box, &f.rows[i], out, err) && ok;
        if (i < f.n || f.n >= want)
            *end_r = false;
        free(f.rows);
    }
    if (out->n > 1)
        gather_sort(out);
    if (l->source != LIST_BOX && gather_trim(out, down, want))
        *end_r = false;
    return ok;
}

/* The thread that the message belongs to now, threads are joined; or that shows it, in another account. */
static struct ref thread_now(const struct list *l, const struct list_row *row, struct err *err)
{
    struct msg_row raw = {.id = 0};
    struct reader *reader = l->accts->list[row->ref.account].reader;
    if (row->group.id && row->group.account != row->ref.account)
        return row->group;
    bool here = reader && row->ref.id && reader_row(reader, row->ref.id, &raw, err) && raw.id;
    return (struct ref){row->ref.account, here ? raw.thread : row->thread};
}

void threads_own(const struct list *l, const struct list_row *anchor, struct gather *out, unsigned *at_r,
                 struct err *err)
{
    struct ref now = thread_now(l, anchor, err);
    struct reader *reader = l->accts->list[now.account].reader;
    uint64_t box = reader && l->source != LIST_HITS ? box_of(l, now.account) : 0;
    struct thread_row t = {.thread = 0};
    *out = (struct gather){.list = l, .account = now.account};
    *at_r = 0;
    if (l->source == LIST_HITS)
        groups_own(l, anchor, out, err);
    else if (box && reader_thread_row(reader, box, now.id, &t, err) && t.thread)
        thread_rows(l, box, &t, out, err);
    for (unsigned i = 0; i < out->n; i++)
        if (out->rows[i].folded || (ref_eq(out->rows[i].ref, anchor->ref) && out->rows[i].hit == anchor->hit)) {
            *at_r = i;
            return;
        }
    /* shown as it was, greyed, until the user moves on; the others of the thread make room */
    struct list_row ghost = row_again(anchor);
    unsigned at = MIN(anchor->place_no, out->n);
    ghost.ghost = true;
    ghost.place = anchor->place;
    ghost.group = out->n ? out->rows[0].group : anchor->group;
    ghost.lead = out->n ? out->rows[0].lead : anchor->lead;
    ghost.newest = out->n ? out->rows[0].newest : anchor->newest ? anchor->newest : anchor->date;
    gather_add(out, ghost);
    memmove(&out->rows[at + 1], &out->rows[at], (out->n - 1 - at) * sizeof *out->rows);
    out->rows[at] = ghost;
    for (unsigned i = 0; i < out->n; i++)
        out->rows[i].place_no = i;
    *at_r = at;
}

/* ---- numbers ---- */
void threads_rank(struct list *l)
{
    struct err err = ERR_INIT;
    int64_t now = l->clock();
    unsigned lo, hi;
    l->rank_old = l->source != LIST_HITS && l->total && now - l->rank_ms < l->rank_cost_ms * RANK_SHARE;
    if (l->rank_old)
        return;
    if (l->source == LIST_HITS) {
        groups_rank(l, &l->rank, &l->total);
        return;
    }
    list_accounts(l, &lo, &hi);
    l->rank = l->total = 0;
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        uint64_t box = reader ? box_of(l, a) : 0;
        struct row_key key = l->n ? key_for(&l->rows[l->cur], a) : ROW_KEY(INT64_MAX, (uint64_t)INT64_MAX);
        uint32_t rank = 0, total = 0;
        if (box && reader_thread_rank(reader, box, l->filter, &key, &rank, &total, &err)) {
            l->rank += rank;
            l->total += total;
        }
    }
    if (l->reverse)
        l->rank = l->total > l->rank ? l->total - 1 - l->rank : 0;
    l->rank_ms = l->clock();
    l->rank_cost_ms = l->rank_ms - now;
}

void threads_moved(struct list *l, unsigned from)
{
    unsigned lo = MIN(from, l->cur), hi = MAX(from, l->cur);
    uint32_t crossed = 0;
    for (unsigned i = lo + 1; i <= hi; i++)
        crossed += !ref_eq(l->rows[i].group, l->rows[i - 1].group);
    l->rank = from < l->cur ? l->rank + crossed : l->rank - MIN(crossed, l->rank);
}

uint32_t threads_later(const struct list *l, int64_t date)
{
    struct err err = ERR_INIT;
    struct row_key key = ROW_KEY(date + 1, 0);
    uint32_t n = 0, rank = 0, total;
    unsigned lo, hi;
    list_accounts(l, &lo, &hi);
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        uint64_t box = reader ? box_of(l, a) : 0;
        if (box && reader_thread_rank(reader, box, l->filter, &key, &rank, &total, &err))
            n += rank;
    }
    return n;
}

/* ---- messages of a thread ---- */
struct refs_of {
    unsigned account;
    struct refs *out;
    struct ref unread, newest;
    int64_t unread_date, newest_date;
};

static void ref_row_of(struct refs_of *o, struct ref ref, uint32_t flags, int64_t date)
{
    if (o->out)
        refs_add(o->out, ref);
    if (!(flags & FLAG_SEEN) && (!o->unread.id || date < o->unread_date)) {
        o->unread = ref;
        o->unread_date = date;
    }
    if (!o->newest.id || date >= o->newest_date) {
        o->newest = ref;
        o->newest_date = date;
    }
}

static void ref_row(void *arg, const struct msg_row *row, const struct thread_place *place)
{
    struct refs_of *o = arg;
    (void)place;
    ref_row_of(o, (struct ref){o->account, row->id}, row->flags, row->date);
}

static bool thread_refs(const struct list *l, unsigned account, uint64_t thread, struct refs_of *o, struct err *err)
{
    struct reader *reader = l->accts->list[account].reader;
    uint64_t box = reader && thread ? box_of(l, account) : 0;
    o->account = account;
    return !box || reader_thread_tree(reader, box, false, thread, ref_row, o, err);
}

bool list_thread_refs(const struct list *l, const struct list_row *row, struct refs *out, struct err *err)
{
    struct refs_of o = {.out = out};
    if (row->folded_day)
        return day_refs(l, row, out, err);
    struct ref thread = list_threaded(l) && row->group.id ? row->group : (struct ref){row->ref.account, row->thread};
    if (l->source == LIST_HITS)
        return groups_refs(l, row, out);
    bool ok = thread_refs(l, thread.account, thread.id, &o, err);
    if (ok && !o.newest.id)
        refs_add(out, row->ref);
    return ok;
}

struct ref list_thread_unread(const struct list *l, const struct list_row *row, struct err *err)
{
    struct refs_of o = {.out = NULL};
    struct refs hits = {.n = 0};
    if (l->source == LIST_HITS)
        groups_refs(l, row, &hits);
    else
        thread_refs(l, row->group.account, row->group.id, &o, err);
    for (struct ref ref = REF_NONE; refs_next(&hits, &ref);) {
        struct list_row at;
        if (hits_find(l, ref, STR(""), &at))
            ref_row_of(&o, ref, at.flags, at.date);
        row_free(&at);
    }
    refs_fini(&hits);
    return o.unread.id ? o.unread : o.newest.id ? o.newest : row->ref;
}

struct ref threads_unread(const struct list *l, bool down, struct err *err)
{
    struct list_row best = {.ref = REF_NONE};
    unsigned lo, hi;
    if (l->source == LIST_HITS)
        return groups_unread(l, down);
    list_accounts(l, &lo, &hi);
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        uint64_t box = reader ? box_of(l, a) : 0;
        struct row_key key = key_for(&l->rows[l->cur], a);
        struct found f = {.n = 0};
        if (box && reader_threads(reader, box, LIST_UNREAD, &key, down != l->reverse, 1, add_thread, &f, err) && f.n) {
            struct list_row row = {.lead = {a, f.rows[0].thread}, .newest = f.rows[0].newest};
            if (!best.lead.id || (threads_order(l, &row, &best) < 0) == down)
                best = row;
        }
        free(f.rows);
    }
    if (!best.lead.id)
        return REF_NONE;
    struct refs_of o = {.out = NULL};
    thread_refs(l, best.lead.account, best.lead.id, &o, err);
    return o.unread;
}
