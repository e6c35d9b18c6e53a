/* IMAP: the next step of a connection. */
#include "sync/sync.h"

static struct sync_step step(enum sync_kind kind, const struct sync_box *b)
{
    return (struct sync_step){.kind = kind, .box = b ? b->id : 0};
}

/* ---- What is missing ---------------------------------------------------------------------------- */
static void gap_drop(struct sync_box *b, unsigned i)
{
    b->ngaps--;
    memmove(b->gaps + i, b->gaps + i + 1, (b->ngaps - i) * sizeof *b->gaps);
}

/* Below every other. Without room the lowest grows: rows that are here come again, which does no harm. */
void sync_gap(struct sync_box *b, uint32_t lo, uint32_t hi)
{
    if (b->ngaps == SYNC_GAPS) {
        b->gaps[0].lo = lo;
        return;
    }
    memmove(b->gaps + 1, b->gaps, b->ngaps * sizeof *b->gaps);
    b->gaps[0] = (struct sync_span){lo, hi};
    b->ngaps++;
}

void sync_compare_begin(struct sync_box *b)
{
    b->ngaps = 0;
    b->fruitless = 0;
}

void sync_compare_end(struct sync_box *b)
{
    b->compared = true;
    b->stuck = !b->ngaps && b->exists > b->have;
}

/* Takes a span out of those that are missing. */
static void gaps_cut(struct sync_box *b, uint32_t lo, uint32_t hi)
{
    for (unsigned i = b->ngaps; i-- > 0;) {
        struct sync_span *g = &b->gaps[i];
        if (g->hi < lo || g->lo > hi)
            continue;
        if (g->lo < lo && g->hi > hi) {
            if (b->ngaps == SYNC_GAPS) { /* the lowest grows */
                b->gaps[1].lo = b->gaps[0].lo;
                gap_drop(b, 0);
                gaps_cut(b, lo, hi);
                return;
            }
            memmove(g + 1, g, (b->ngaps - i) * sizeof *g);
            b->ngaps++;
            g[0].hi = lo - 1;
            g[1].lo = hi + 1;
            return;
        }
        if (g->lo < lo)
            g->hi = lo - 1;
        else if (g->hi > hi)
            g->lo = hi + 1;
        else
            gap_drop(b, i);
    }
}

void sync_row_came(struct sync_box *b, uint32_t seq)
{
    if (seq)
        gaps_cut(b, seq, seq);
}

void sync_rows_came(struct sync_box *b, uint32_t lo, uint32_t hi, uint32_t have_before)
{
    gaps_cut(b, lo, hi);
    if (lo <= b->want.hi && hi >= b->want.lo) {
        if (hi < b->want.hi)
            b->want.lo = hi + 1;
        else
            b->want.hi = lo > b->want.lo ? lo - 1 : 0;
    }
    b->fruitless = b->have > have_before ? 0 : b->fruitless + 1;
    if (b->fruitless && (!b->compared || b->fruitless > SYNC_FRUITLESS))
        b->ngaps = 0;
    b->stuck = b->compared && !b->ngaps && b->exists > b->have;
}

/* Which ones went is not known by number: a gap may now begin lower, and ends where it did at most. */
void sync_rows_gone(struct sync_box *b, uint32_t n)
{
    uint32_t from = 1;
    for (unsigned i = 0; i < b->ngaps; i++) {
        struct sync_span *g = &b->gaps[i];
        g->lo = g->lo > n ? MAX(g->lo - n, from) : from;
        g->hi = MIN(g->hi, b->exists);
        if (g->lo > g->hi)
            gap_drop(b, i--);
        else
            from = g->hi + 1;
    }
}

/* ---- Where the user looks --------------------------------------------------------------------- */
bool sync_knows(const struct sync_box *b)
{
    return b->opened && (b->ngaps || b->exists <= b->have || b->stuck);
}

struct sync_place sync_place(const struct sync_box *b, uint32_t seq)
{
    struct sync_place p = {0};
    for (unsigned i = 0; i < b->ngaps; i++) {
        const struct sync_span *g = &b->gaps[i];
        p.missing = p.missing || (g->lo <= seq && seq <= g->hi);
        if (g->hi > seq)
            p.newer += g->hi - MAX(g->lo, seq + 1) + 1;
        if (g->lo < seq)
            p.older += MIN(g->hi, seq - 1) - g->lo + 1;
    }
    return p;
}

uint32_t sync_seq(const struct sync_box *b, uint32_t newer)
{
    uint32_t top = b->exists;
    for (unsigned i = b->ngaps; i-- > 0;) {
        const struct sync_span *g = &b->gaps[i];
        uint32_t here = top > g->hi ? top - g->hi : 0;
        if (newer < here)
            break;
        newer -= here;
        top = g->lo - 1;
    }
    return top > newer ? top - newer : MIN(top, 1u);
}

void sync_want(struct sync_box *b, uint32_t seq, uint32_t newer, uint32_t older)
{
    uint32_t lo = seq > older ? seq - older : 1; /* at the end of the list more of the newer ones */
    b->want = (struct sync_span){lo, (uint32_t)MIN((uint64_t)lo + older + newer, (uint64_t)UINT32_MAX)};
}

/* ---- Steps -------------------------------------------------------------------------------------- */
static bool top_step(struct sync_step *s, const struct sync_box *b, uint32_t below, uint32_t count)
{
    *s = step(SYNC_TOP, b);
    s->below_seq = below;
    s->count = count;
    return true;
}

/* What is missing of the rows that the user looks at, in one step: what is here in between comes again. */
static bool want_step(const struct sync_box *b, struct sync_step *s)
{
    uint32_t lo = UINT32_MAX, hi = 0;
    for (unsigned i = 0; i < b->ngaps && b->want.hi && !b->stuck; i++) {
        const struct sync_span *g = &b->gaps[i];
        if (g->lo > b->want.hi || g->hi < b->want.lo)
            continue;
        lo = MIN(lo, MAX(g->lo, b->want.lo));
        hi = MIN(g->hi, b->want.hi);
    }
    if (!hi)
        return false;
    top_step(s, b, hi, hi - lo + 1);
    s->urgent = true;
    return true;
}

/* What an open mailbox still lacks before its list is right (not: complete). */
static bool urgent_step(const struct sync_box *b, struct sync_step *s)
{
    const struct sync_span all = {1, b->exists}; /* the first mail of a mailbox that was empty */
    const struct sync_span *top = b->ngaps                                 ? &b->gaps[b->ngaps - 1]
                                  : !b->have && b->exists && !b->fruitless ? &all
                                                                           : NULL;
    if (top && top->hi >= b->exists && !b->stuck) {
        s->whole = b->exists <= SYNC_FIRST_PAGE && !b->watched;
        top_step(s, b, 0, SYNC_FIRST_PAGE);
        s->urgent = b->watched;
        return true;
    }
    if (want_step(b, s))
        return true;
    bool above = b->uidnext > b->fetched_uidnext && b->uidnext > b->hi_uid + 1;
    if (b->have > 0 && (b->grew || above) && b->hi_uid != UINT32_MAX) {
        *s = step(SYNC_NEW, b);
        s->urgent = b->watched;
        s->whole = true;
        s->uid_lo = b->hi_uid + 1;
        return true;
    }
    /* Rows are missing, and where is not known: the UIDs say it. */
    bool lost = b->exists > b->have && !b->ngaps && !b->compared && !b->stuck;
    if (b->need_uids || lost) {
        *s = step(SYNC_UIDS, b);
        return true;
    }
    if (b->flags_below > 1) {
        *s = step(SYNC_FLAGS, b);
        s->uid_hi = b->flags_below - 1;
        s->uid_lo = b->flags_below > SYNC_FLAG_SLICE ? b->flags_below - SYNC_FLAG_SLICE : 1;
        return true;
    }
    return false;
}

/* Older rows, newest first, then what they still lack. */
static bool backfill_step(const struct sync_box *b, struct sync_step *s)
{
    if (b->page_thin) {
        *s = step(SYNC_MORE, b);
        s->count = SYNC_FIRST_PAGE;
        return true;
    }
    if (b->ngaps && !b->stuck) {
        const struct sync_span *g = &b->gaps[b->ngaps - 1];
        uint32_t n = MIN(g->hi - g->lo + 1, (uint32_t)SYNC_SLICE);
        /* Before a long fill its other end, a page: the End key then waits for nothing. */
        if (b->ngaps == 1 && g->lo == 1 && g->hi > SYNC_SLICE)
            return top_step(s, b, SYNC_FIRST_PAGE, SYNC_FIRST_PAGE);
        top_step(s, b, g->hi, n);
        s->whole = n <= SYNC_SMALL;
        return true;
    }
    if (b->thin) {
        *s = step(SYNC_MORE, b);
        s->count = SYNC_SLICE;
        return true;
    }
    return false;
}

static bool open_lacks(const struct sync_box *b)
{
    struct sync_step s;
    return urgent_step(b, &s) || backfill_step(b, &s);
}

/* Does this mailbox want to be selected? A mailbox never opened on this connection does, and one with news. */
static bool wants(const struct sync_box *b)
{
    if (!b->selectable || b->failed || (b->on_request && !b->watched))
        return false;
    return !b->was_open || b->dirty || (b->opened && open_lacks(b)) ||
           (!b->opened && !b->stuck && (b->exists > b->have || b->thin));
}

const struct sync_box *sync_first(const struct sync_box *boxes, size_t n)
{
    const struct sync_box *inbox = NULL, *watched = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct sync_box *b = &boxes[i];
        if (!b->selectable || b->failed)
            continue;
        if (b->watched)
            watched = b;
        if (b->inbox)
            inbox = b;
    }
    return watched ? watched : inbox;
}

/* The next mailbox for the background: the one that is open first (no second SELECT), then INBOX, others, low ones. */
static const struct sync_box *background(const struct sync_facts *f, const struct sync_box *fore)
{
    const struct sync_box *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < f->nboxes; i++) {
        const struct sync_box *b = &f->boxes[i];
        if (b == fore || !wants(b))
            continue;
        int rank = f->selected == b->id ? 4 : b->inbox ? 3 : b->low ? 1 : 2;
        if (rank > best_rank) {
            best = b;
            best_rank = rank;
        }
    }
    return best;
}

static struct sync_step within(const struct sync_facts *f, const struct sync_box *b)
{
    struct sync_step s;
    if (f->selected != b->id || !b->opened) {
        s = step(SYNC_SELECT, b);
        s.urgent = b->watched;
        return s;
    }
    if (urgent_step(b, &s) || backfill_step(b, &s))
        return s;
    return step(SYNC_NOTHING, NULL);
}

struct sync_step sync_next(const struct sync_facts *f)
{
    struct sync_step s;
    if (!f->online)
        return step(SYNC_NOTHING, NULL);
    const struct sync_box *fore = sync_first(f->boxes, f->nboxes);
    bool fore_open = fore && f->selected == fore->id && fore->opened;
    bool back = fore && !fore_open && (!fore->was_open || fore->dirty || f->since_fore >= SYNC_FORE_EVERY);
    if (back)
        return within(f, fore);
    if (fore_open && urgent_step(fore, &s))
        return s;
    if (!f->listed || f->since_list >= SYNC_LIST_EVERY)
        return step(SYNC_LIST, NULL);
    if (!f->pushed && f->since_status >= SYNC_STATUS_EVERY && f->nboxes > 1)
        return step(SYNC_STATUS, NULL);
    if (fore_open && backfill_step(fore, &s))
        return s;
    if (fore && !fore_open && wants(fore))
        return within(f, fore);
    if (f->deep || f->idle_sync) {
        const struct sync_box *b = background(f, fore);
        if (b) {
            s = within(f, b);
            if (s.kind != SYNC_NOTHING)
                return s;
        }
    }
    if (!fore || f->watching)
        return step(SYNC_NOTHING, NULL);
    return step(fore_open ? SYNC_WATCH : SYNC_SELECT, fore);
}

bool sync_busy(const struct sync_facts *f)
{
    if (!f->listed)
        return true;
    for (size_t i = 0; i < f->nboxes; i++)
        if (wants(&f->boxes[i]))
            return true;
    return false;
}

bool sync_box_opened(struct sync_box *b, uint32_t known_uidvalidity, const struct sync_opened *o)
{
    bool drop = b->have > 0 && (known_uidvalidity != o->uidvalidity || o->uidvalidity == 0);
    if (drop || b->have == 0) {
        b->have = 0;
        b->hi_uid = 0;
        b->fetched_uidnext = 0;
        sync_compare_begin(b);
        if (o->exists)
            sync_gap(b, 1, o->exists);
    } else if (o->resync != 1) {
        b->ngaps = 0; /* removals have moved the numbers */
    }
    b->opened = b->was_open = true;
    b->dirty = b->stuck = b->failed = b->compared = false;
    b->thin = b->page_thin = false;
    b->more_below = 0;
    b->exists = o->exists;
    sync_rows_gone(b, 0); /* no gap above the end */
    b->uidnext = o->uidnext;
    b->grew = b->have > 0 && o->exists > b->have && o->uidnext == 0;
    b->flags_below = 0;
    b->need_uids = false;
    if (b->have > 0 && o->resync != 1) {
        b->need_uids = true;
        if (o->resync == 0 && b->hi_uid < UINT32_MAX)
            b->flags_below = b->hi_uid + 1;
    }
    return drop;
}
