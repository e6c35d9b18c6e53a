/* Rows of a list as they are read from the databases: their order, and what is beyond a row, of one account or of
 * several merged. */
#include "ui/list_int.h"

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

static struct str keep(char **at, struct str s)
{
    struct str kept = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

struct list_row row_of_file(unsigned account, const struct msg_row *from, struct str path)
{
    size_t size = path.n + from->from_name.n + from->from_addr.n + from->to.n + from->subject.n + from->msgid.n +
                  from->list_id.n + from->tags.n + from->sort_from.n + from->sort_subject.n + 1;
    struct list_row row = {.ref = {account, from->id},
                           .box = from->box,
                           .thread = from->thread,
                           .date = from->date,
                           .arrived = from->arrived,
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
    row.sort_from = keep(&at, from->sort_from);
    row.sort_subject = keep(&at, from->sort_subject);
    row.path = keep(&at, path);
    return row;
}

struct list_row row_copy(unsigned account, const struct msg_row *from)
{
    return row_of_file(account, from, STR(""));
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
        stays = stays && !(c->hide && (l->source != LIST_HITS || l->limits));
    }
    return stays && row_kept(row, l->filter);
}

bool row_kept(const struct list_row *row, enum list_filter filter)
{
    return filter == LIST_ALL || (filter == LIST_UNREAD ? !(row->flags & FLAG_SEEN) : row->flags & FLAG_FLAGGED);
}

struct row_key row_place(const struct list *l, const struct list_row *row)
{
    struct row_key key = row_key_of(&(struct msg_row){.id = row->ref.id ? row->ref.id : row->hit,
                                                      .date = row->date,
                                                      .arrived = row->arrived,
                                                      .size = row->size,
                                                      .sort_from = row->sort_from,
                                                      .sort_subject = row->sort_subject},
                                    l->order);
    if (l->order == ORDER_RELEVANCE)
        key.number = row->score;
    return key;
}

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_text(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : compare((int64_t)a.n, (int64_t)b.n);
}

int key_compare(enum list_order order, const struct row_key *x, unsigned account_x, const struct row_key *y,
                unsigned account_y)
{
    int sign = ORDER_RISES(order) ? 1 : -1, c = compare(x->number, y->number);
    c = c ? c : compare_text(x->text, y->text);
    c = c ? c : compare(x->date, y->date);
    if (!c && account_x != account_y)
        return compare(account_x, account_y);
    return sign * (c ? c : compare((int64_t)x->id, (int64_t)y->id));
}

int list_compare(const struct list *l, const struct list_row *a, const struct list_row *b)
{
    if (list_threaded(l))
        return threads_order(l, a, b);
    struct row_key x = row_place(l, a), y = row_place(l, b);
    int c = key_compare(l->order, &x, a->ref.account, &y, b->ref.account);
    return l->reverse ? -c : c;
}

void gather_sort(struct gather *g)
{
    struct list_row *from = g->rows, *to = mem_array(g->n + 1u, sizeof *to), *swap;
    for (unsigned run = 1; run < g->n; run *= 2) {
        for (unsigned lo = 0; lo < g->n; lo += 2 * run) {
            unsigned a = lo, mid = MIN(lo + run, g->n), b = mid, end = MIN(lo + 2 * run, g->n);
            for (unsigned i = lo; i < end; i++)
                to[i] = b == end || (a < mid && list_compare(g->list, &from[a], &from[b]) <= 0) ? from[a++] : from[b++];
        }
        swap = from;
        from = to;
        to = swap;
    }
    g->rows = from;
    g->cap = g->n;
    free(to);
}

struct list_row row_again(const struct list_row *old)
{
    struct list_row row = row_of_file(old->ref.account,
                                      &(struct msg_row){.id = old->ref.id,
                                                        .box = old->box,
                                                        .thread = old->thread,
                                                        .date = old->date,
                                                        .arrived = old->arrived,
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
                                                        .tags = old->tags,
                                                        .sort_from = old->sort_from,
                                                        .sort_subject = old->sort_subject},
                                      old->path);
    row.group = old->group;
    row.lead = old->lead;
    row.hit = old->hit;
    row.sources = old->sources;
    return row;
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

/* The key that makes account `b` go on where the row of another stands in key_compare. */
struct row_key row_key_for(const struct list *l, const struct list_row *from, unsigned b)
{
    struct row_key key = row_place(l, from);
    if (b != from->ref.account)
        key.id = (b > from->ref.account) != ORDER_RISES(l->order) ? (uint64_t)INT64_MAX : 0;
    return key;
}

bool rows_read(const struct list *l, const struct list_row *from, bool down, unsigned want, struct gather *out,
               bool *end_r, struct err *err)
{
    return (days_folded(l) ? days_read : rows_plain)(l, from, down, want, out, end_r, err);
}

bool rows_plain(const struct list *l, const struct list_row *from, bool down, unsigned want, struct gather *out,
                bool *end_r, struct err *err)
{
    bool ok = true, natural = down != l->reverse;
    unsigned lo, hi;
    if (list_threaded(l))
        return threads_read(l, from, down, want, out, end_r, err);
    if (l->source == LIST_HITS)
        return hits_rows(l, from, down, want, out, end_r);
    list_accounts(l, &lo, &hi);
    *out = (struct gather){.list = l};
    *end_r = true;
    for (unsigned a = lo; a < hi; a++) {
        struct reader *reader = l->accts->list[a].reader;
        struct row_key key;
        if (!reader)
            continue;
        if (from)
            key = row_key_for(l, from, a);
        out->account = a;
        out->got = 0;
        ok = reader_sorted(reader, l->source == LIST_BOX ? l->box : 0, l->filter, l->order, from ? &key : NULL, natural,
                           want, gather_row, out, err) &&
             ok;
        if (out->got >= want)
            *end_r = false;
    }
    if (out->n > 1)
        gather_sort(out);
    if (l->source != LIST_BOX && gather_trim(out, down, want))
        *end_r = false;
    return ok;
}

bool row_read(const struct list *l, const struct list_row *old, struct list_row *row_r)
{
    struct reader *reader = l->accts->list[old->ref.account].reader;
    struct msg_row raw = {.id = 0};
    struct box_row box = {.id = 0};
    struct err err = ERR_INIT;
    if (l->source == LIST_HITS)
        return hits_row(l, old, row_r);
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
