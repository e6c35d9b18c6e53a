/* POP3: what to fetch and what to delete; delays of a line that was lost. */
#include "sync/sync.h"

static bool too_old(const struct pop_policy *p, int64_t delivered_at)
{
    /* A clock that ran backwards deletes nothing. */
    return delivered_at > 0 && p->now >= delivered_at && p->now - delivered_at >= (int64_t)p->days * 86400;
}

bool sync_pop_may_delete(const struct pop_policy *p, const struct pop_mail *m)
{
    if (m->known != POP_HAVE || m->unsure)
        return false;
    return m->deleted_here || (!p->keep && (!p->days_given || too_old(p, m->delivered_at)));
}

void sync_pop_plan(struct pop_mail *m, const struct pop_policy *p)
{
    bool large = p->max_size && m->size > p->max_size;
    bool hopeless = m->failures >= POP_FAILURES_MAX && !p->by_hand;
    m->take = m->known == POP_HAVE || hopeless ? POP_NOTHING
              : !large                         ? POP_WHOLE
              : m->known == POP_NEW            ? POP_HEADER
                                               : POP_NOTHING;
}

static void look_is(struct records *mails, size_t i, bool look)
{
    const struct pop_mail *m = records_get(mails, i);
    if (m->look == look)
        return;
    struct pop_mail *change = records_at(mails, i);
    change->look = look;
}

/* ---- Those that stand behind what was listed after them: all that is not in the longest rising run ---- */

/* The last of the best run of so many, and for each mail which precedes it in such a run. */
struct run_end {
    uint64_t order, at;
};
struct runs {
    struct records ends, before;
    size_t longest;
};

static void runs_add(struct runs *r, uint64_t order, size_t at)
{
    size_t lo = 0, hi = r->longest;
    const struct run_end *last = hi ? records_get(&r->ends, hi - 1) : NULL;
    if (last && last->order < order) /* as nearly all do */
        lo = hi;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct run_end *e = records_get(&r->ends, mid);
        if (e->order < order)
            lo = mid + 1;
        else
            hi = mid;
    }
    const struct run_end *e = lo ? records_get(&r->ends, lo - 1) : NULL;
    uint64_t *before = records_at(&r->before, at);
    *before = e ? e->at + 1 : 0;
    struct run_end *end = records_at(&r->ends, lo);
    *end = (struct run_end){order, at};
    r->longest = MAX(r->longest, lo + 1);
}

/* False where they are so many that the server's order says nothing. */
static bool stand_behind(struct records *mails, size_t n, struct runs *r)
{
    size_t known = 0, added = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pop_mail *m = records_get(mails, i);
        known += m->known != POP_NEW;
        look_is(mails, i, m->known != POP_NEW);
    }
    size_t few = MAX((size_t)16, known / 16);
    for (size_t i = 0; i < n; i++) {
        const struct pop_mail *m = records_get(mails, i);
        if (m->known == POP_NEW)
            continue;
        runs_add(r, m->order, i);
        if (++added - r->longest > few)
            return false;
    }
    const struct run_end *end = r->longest ? records_get(&r->ends, r->longest - 1) : NULL;
    for (uint64_t at = end ? end->at + 1 : 0; at > 0;) {
        look_is(mails, at - 1, false);
        const uint64_t *before = records_get(&r->before, at - 1);
        at = *before;
    }
    return true;
}

static bool out_of_order(struct records *mails, size_t n)
{
    bool rises = true;
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pop_mail *m = records_get(mails, i);
        rises = rises && m->order >= last;
        last = m->order;
        look_is(mails, i, false);
    }
    if (rises)
        return true;
    struct runs r = {.longest = 0};
    struct err why = ERR_INIT;
    records_init(&r.ends, mails->dir, sizeof(struct run_end));
    records_init(&r.before, mails->dir, sizeof(uint64_t));
    bool tells = stand_behind(mails, n, &r) && records_ok(&r.ends, &why) && records_ok(&r.before, &why);
    records_fini(&r.ends);
    records_fini(&r.before);
    return tells;
}

size_t sync_pop_look(struct records *mails, size_t n, int64_t now, bool idle, size_t max)
{
    bool ordered = out_of_order(mails, n);
    size_t found = 0, last = 0;
    int64_t latest = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pop_mail *m = records_get(mails, i);
        latest = MAX(latest, m->looked_at);
    }
    idle = idle && latest && now >= latest && now - latest < POP_LOOK_IDLE_S;
    for (size_t i = n; i-- > 0;) {
        const struct pop_mail *m = records_get(mails, i);
        bool moved = ordered && m->look, here = m->known != POP_NEW && !m->sure;
        int64_t at = MAX(m->looked_at, m->delivered_at), age = at - m->delivered_at;
        bool lately = now >= at && now - at < (moved || last < POP_LOOK_LAST ? POP_LOOK_S : MAX(age, POP_LOOK_S));
        last++;
        bool look = here && found < max && (moved ? !m->looked_at || !lately : !idle && !lately);
        look_is(mails, i, look);
        found += look;
    }
    return found;
}

int64_t sync_backoff_ms(unsigned attempt, uint32_t random)
{
    unsigned shift = attempt > 1 ? MIN(attempt - 1, 9u) : 0;
    int64_t ms = MIN((int64_t)1000 << shift, (int64_t)300000);
    return ms - (int64_t)(random % (uint32_t)(ms / 4 + 1));
}
