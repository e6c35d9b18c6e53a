/* Hits by threads: those of one thread of an account are together, and those that the index calls one conversation.
 * Which threads there are is made anew from all hits, in some milliseconds for a hundred thousand and seldom enough;
 * the trees are made of what comes near the screen. */
#include "ui/hits_int.h"

#define SHARE 20 /* a twentieth of the time at most */
#define NONE UINT32_MAX

void groups_free(struct hits *h)
{
    struct groups *g = &h->groups;
    free(g->members);
    free(g->first);
    free(g->of);
    free(g->stands);
    free(g->newest);
    *g = (struct groups){.old = true};
}

/* The thread of a message as a number of its account; one that is in no thread is alone. */
static uint64_t thread_of(const struct hit_at *a)
{
    return a->thread ? a->thread : UINT64_C(1) << 63 | (a->id ? a->id << 1 : a->more << 1 | 1u);
}

static struct ref group_of(const struct hits *h, uint32_t g)
{
    const struct hit_at *a = &h->at[h->groups.stands[g]];
    return (struct ref){a->account, thread_of(a)};
}

/* ---- which there are ---- */
struct joined {
    const struct hits *h;
    uint32_t *up; /* of each hit another one of its thread; itself at the end */
    uint32_t *slots, mask;
};

static uint32_t top_of(uint32_t *up, uint32_t i)
{
    while (up[i] != i)
        i = up[i] = up[up[i]];
    return i;
}

/* Joins it with the first that had the same number. */
static void join(struct joined *j, uint32_t i, bool conversation)
{
    const struct hit_at *at = j->h->at, *a = &at[i];
    uint64_t key = conversation ? a->conversation : thread_of(a) + a->account * UINT64_C(0x632BE59BD9B4E019);
    uint32_t s = (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & j->mask;
    for (; j->slots[s]; s = (s + 1) & j->mask) {
        const struct hit_at *b = &at[j->slots[s] - 1];
        if (conversation ? a->conversation == b->conversation
                         : a->account == b->account && thread_of(a) == thread_of(b)) {
            j->up[top_of(j->up, i)] = top_of(j->up, j->slots[s] - 1);
            return;
        }
    }
    j->slots[s] = i + 1;
}

static uint32_t *join_all(const struct hits *h)
{
    struct joined j = {.h = h, .up = mem_array(h->n + 1u, sizeof *j.up), .mask = 1023};
    while (j.mask < 2 * h->nshown)
        j.mask = j.mask * 2 + 1;
    for (uint32_t i = 0; i < h->n; i++)
        j.up[i] = i;
    for (unsigned conversation = 0; conversation < 2; conversation++) {
        j.slots = mem_array(j.mask + 1u, sizeof *j.slots);
        for (uint32_t i = 0; i < h->nshown; i++)
            if (!conversation || h->at[h->shown[i]].conversation)
                join(&j, h->shown[i], conversation);
        free(j.slots);
    }
    return j.up;
}

static bool stands_before(const struct hits *h, uint32_t a, uint32_t b)
{
    const struct hit_at *x = &h->at[a], *y = &h->at[b];
    return x->account != y->account ? x->account < y->account : thread_of(x) < thread_of(y);
}

/* The hits come newest first, so the threads come by their newest. */
static void group_all(struct hits *h)
{
    struct groups *g = &h->groups;
    uint32_t *up = join_all(h), *number = mem_array(h->n + 1u, sizeof *number), *fill;
    groups_free(h);
    g->of = mem_array(h->n + 1u, sizeof *g->of);
    g->first = mem_array(h->nshown + 2u, sizeof *g->first);
    g->stands = mem_array(h->nshown + 1u, sizeof *g->stands);
    g->members = mem_array(h->nshown + 1u, sizeof *g->members);
    g->nof = h->n;
    memset(g->of, 0xff, (h->n + 1u) * sizeof *g->of);
    for (uint32_t s = 0; s < h->nshown; s++) {
        uint32_t i = h->shown[s], top = top_of(up, i);
        if (!number[top]) {
            number[top] = ++g->n;
            g->stands[g->n - 1] = i;
        }
        uint32_t at = g->of[i] = number[top] - 1;
        g->first[at + 1]++;
        if (stands_before(h, i, g->stands[at]))
            g->stands[at] = i;
    }
    g->newest = mem_array(g->n + 1u, sizeof *g->newest);
    for (uint32_t k = 0; k < g->n; k++)
        g->first[k + 1] += g->first[k];
    fill = up; /* its room is as good as any */
    memcpy(fill, g->first, g->n * sizeof *fill);
    for (uint32_t s = 0; s < h->nshown; s++)
        g->members[fill[g->of[h->shown[s]]]++] = h->shown[s];
    for (uint32_t k = 0; k < g->n; k++)
        g->newest[k] = h->at[g->members[g->first[k]]].date;
    free(up);
    free(number);
}

bool groups_make(struct list *l)
{
    struct hits *h = l->hits;
    struct groups *g = &h->groups;
    int64_t now = l->clock();
    if (!g->old || (g->n && now - g->made_ms < g->cost_ms * SHARE))
        return false;
    group_all(h);
    g->old = false;
    g->made_ms = l->clock();
    g->cost_ms = g->made_ms - now;
    return true;
}

/* ---- rows ---- */
/* The newest that is there, unread where any of them is. */
static bool lone_row(const struct list *l, uint32_t g, struct gather *out)
{
    const struct hits *h = l->hits;
    uint32_t seen = FLAG_SEEN;
    struct list_row row;
    for (uint32_t k = h->groups.first[g]; k < h->groups.first[g + 1]; k++) {
        if (!hit_read(l, h->groups.members[k], &row)) {
            row_free(&row);
            continue;
        }
        for (k = h->groups.first[g]; k < h->groups.first[g + 1]; k++)
            seen &= h->at[h->groups.members[k]].seen ? (uint32_t)FLAG_SEEN : 0;
        if (h->groups.first[g + 1] - h->groups.first[g] > 1)
            row.flags = (row.flags & ~(uint32_t)FLAG_SEEN) | seen;
        row.place = (struct thread_place){.last = true};
        gather_add(out, row);
        return true;
    }
    return false;
}

static void group_rows(const struct list *l, uint32_t g, struct gather *out, struct err *err)
{
    const struct hits *h = l->hits;
    uint32_t lo = h->groups.first[g], hi = h->groups.first[g + 1];
    const struct hit_at *newest = &h->at[h->groups.members[lo]];
    struct ref group = group_of(h, g);
    unsigned from = out->n;
    bool fold = hi - lo > 1 && thread_folded(l, group);
    if (fold || (hi - lo == 1 && !l->across))
        lone_row(l, g, out);
    else
        grove_hits(l, h->groups.members + lo, hi - lo, out, err);
    for (unsigned i = from; i < out->n; i++) {
        struct list_row *row = &out->rows[i];
        row->group = group;
        row->lead = (struct ref){newest->account, newest->id ? newest->id : newest->more};
        row->newest = h->groups.newest[g];
        row->count = fold ? hi - lo : out->n - from;
        row->place_no = i - from;
        row->folded = fold;
    }
}

/* ---- where they stand ---- */
/* How many stand above the row's thread, not reversed; with: and itself. */
static uint32_t above(const struct list *l, const struct list_row *row, bool with)
{
    const struct hits *h = l->hits;
    struct row_key key = ROW_KEY(row->newest, row->lead.id);
    uint32_t lo = 0, hi = h ? h->groups.n : 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2, i = h->groups.members[h->groups.first[mid]];
        struct row_key at = ROW_KEY(h->groups.newest[mid], h->at[i].id ? h->at[i].id : h->at[i].more);
        int c = key_compare(ORDER_DATE, &at, h->at[i].account, &key, row->lead.account);
        if (c < 0 || (with && c == 0))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The thread of the row, whether its message is a hit or was one; NONE. */
static uint32_t group_at(const struct list *l, const struct list_row *row)
{
    const struct hits *h = l->hits;
    uint32_t i = hit_index(h, row->ref, row->msgid), g = i != NONE && i < h->groups.nof ? h->groups.of[i] : NONE;
    for (uint32_t k = 0; g == NONE && h && k < h->groups.n; k++)
        if (ref_eq(group_of(h, k), row->group))
            g = k;
    return g;
}

bool groups_read(const struct list *l, const struct list_row *from, bool down, unsigned want, struct gather *out,
                 bool *end_r, struct err *err)
{
    const struct hits *h = l->hits;
    bool rising = down != l->reverse;
    int64_t n = h ? h->groups.n : 0, i = rising ? 0 : n - 1;
    *out = (struct gather){.list = l};
    if (from)
        i = (int64_t)above(l, from, rising) - !rising;
    for (; i >= 0 && i < n && out->n < want; i += rising ? 1 : -1)
        group_rows(l, (uint32_t)i, out, err);
    *end_r = i < 0 || i >= n;
    if (out->n > 1)
        gather_sort(out);
    return err->kind == ERR_NONE;
}

void groups_count(const struct list *l, const struct list_row *top, const struct list_row *bottom, struct day_count *c)
{
    const struct hits *h = l->hits;
    if (!h)
        return;
    uint32_t g = above(l, top, false), end = above(l, bottom, false);
    for (uint32_t k = h->groups.first[g]; g < end && k < h->groups.first[end]; k++, c->n++)
        c->unread += !h->at[h->groups.members[k]].seen;
}

bool groups_own(const struct list *l, const struct list_row *anchor, struct gather *out, struct err *err)
{
    uint32_t g = group_at(l, anchor);
    *out = (struct gather){.list = l, .account = anchor->ref.account};
    if (g != NONE)
        group_rows(l, g, out, err);
    return out->n > 0;
}

void groups_rank(const struct list *l, uint32_t *rank_r, uint32_t *total_r)
{
    const struct list_row *row = list_cursor(l);
    *total_r = l->hits ? l->hits->groups.n : 0;
    *rank_r = row ? above(l, row, false) : 0;
    if (row && l->reverse)
        *rank_r = *total_r > *rank_r ? *total_r - 1 - *rank_r : 0;
}

bool groups_at_rank(const struct list *l, uint32_t rank, struct list_row *row_r)
{
    const struct hits *h = l->hits;
    uint32_t n = h ? h->groups.n : 0;
    if (rank >= n)
        return false;
    uint32_t g = l->reverse ? n - 1 - rank : rank, i = h->groups.members[h->groups.first[g]];
    return hit_read(l, i, row_r);
}

bool groups_refs(const struct list *l, const struct list_row *row, struct refs *out)
{
    const struct hits *h = l->hits;
    uint32_t g = list_threaded(l) ? group_at(l, row) : NONE, i = hit_index(h, row->ref, row->msgid);
    for (uint32_t k = g == NONE ? 0 : h->groups.first[g]; g != NONE && k < h->groups.first[g + 1]; k++)
        refs_add(out, (struct ref){h->at[h->groups.members[k]].account, h->at[h->groups.members[k]].id});
    for (uint32_t k = 0; g == NONE && i != NONE && k < h->n; k++) {
        const struct hit_at *a = &h->at[k], *b = &h->at[i];
        if (a->here && ((a->account == b->account && thread_of(a) == thread_of(b)) ||
                        (a->conversation && a->conversation == b->conversation)))
            refs_add(out, (struct ref){a->account, a->id});
    }
    return true;
}

/* The oldest unread of the nearest thread that has one. */
struct ref groups_unread(const struct list *l, bool down)
{
    const struct hits *h = l->hits;
    bool rising = down != l->reverse;
    int64_t n = h->groups.n, i = (int64_t)above(l, list_cursor(l), rising) - !rising;
    for (; i >= 0 && i < n; i += rising ? 1 : -1)
        for (uint32_t k = h->groups.first[i + 1]; k-- > h->groups.first[i];) {
            const struct hit_at *a = &h->at[h->groups.members[k]];
            struct list_row row;
            if (a->seen || !a->id)
                continue;
            bool unread = hit_read(l, h->groups.members[k], &row) && !(row.flags & FLAG_SEEN);
            row_free(&row);
            if (unread)
                return (struct ref){a->account, a->id};
        }
    return REF_NONE;
}
