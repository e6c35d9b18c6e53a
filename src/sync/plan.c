/* IMAP: the next step of a connection. */
#include "sync/sync.h"

static struct sync_step step(enum sync_kind kind, const struct sync_box *b)
{
    return (struct sync_step){.kind = kind, .box = b ? b->id : 0};
}

/* What an open mailbox still lacks before its list is right (not: complete). */
static bool urgent_step(const struct sync_box *b, struct sync_step *s)
{
    if (b->have == 0 && b->exists > 0 && !b->stuck) {
        *s = step(SYNC_TOP, b);
        s->urgent = b->watched;
        s->count = SYNC_FIRST_PAGE;
        return true;
    }
    bool above = b->uidnext > b->fetched_uidnext && b->uidnext > b->hi_uid + 1;
    if (b->have > 0 && (b->grew || above) && b->hi_uid != UINT32_MAX) {
        *s = step(SYNC_NEW, b);
        s->urgent = b->watched;
        s->uid_lo = b->hi_uid + 1;
        return true;
    }
    if (b->need_uids) {
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

/* Older rows, newest first. Rows are filled from the top without a gap and a removal only lowers sequence numbers, so
 * the rows not known are those up to exists - have. Where that is wrong (a full disk took some of a slice) the answer
 * overlaps, and sync_slice_came() begins a walk through all. */
static bool backfill_step(const struct sync_box *b, struct sync_step *s)
{
    if (b->stuck || b->have == 0 || b->exists <= b->have)
        return false;
    *s = step(SYNC_TOP, b);
    s->below_seq = b->walk ? MIN(b->walk, b->exists) : b->exists - b->have;
    s->count = SYNC_SLICE;
    return true;
}

void sync_slice_came(struct sync_box *b, uint32_t have_before)
{
    if (b->exists <= b->have) {
        b->walk = 0;
    } else if (b->walk) {
        b->walk -= MIN(b->walk, (uint32_t)SYNC_SLICE);
        b->stuck = b->walk == 0;
    } else if (b->have <= have_before) {
        b->walk = b->walked || b->exists > SYNC_WALK_MAX ? 0 : b->exists;
        b->walked = true;
        b->stuck = b->walk == 0;
    }
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
    return !b->was_open || b->dirty || (b->opened && open_lacks(b)) || (!b->opened && !b->stuck && b->exists > b->have);
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
    }
    b->opened = b->was_open = true;
    b->dirty = b->stuck = b->failed = false;
    b->exists = o->exists;
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
