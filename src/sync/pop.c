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

void sync_pop_plan(struct pop_mail *mails, size_t n, const struct pop_policy *p)
{
    for (size_t i = 0; i < n; i++) {
        struct pop_mail *m = &mails[i];
        bool large = p->max_size && m->size > p->max_size;
        bool hopeless = m->failures >= POP_FAILURES_MAX && !p->by_hand;
        m->take = m->known == POP_HAVE || hopeless ? POP_NOTHING
                  : !large                         ? POP_WHOLE
                  : m->known == POP_NEW            ? POP_HEADER
                                                   : POP_NOTHING;
    }
}

/* Those that stand behind what was listed after them: all that is not in the longest rising run. False where that is so
 * many that the server's order says nothing. */
static bool out_of_order(struct pop_mail *mails, size_t n)
{
    size_t run = 0, known = 0;
    uint32_t *ends = NULL, *before = NULL; /* ends[k]: the last of the best run of k + 1; before: what precedes in it */
    bool rises = true;
    uint64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        mails[i].look = false;
        rises = rises && mails[i].order >= last;
        last = mails[i].order;
    }
    if (rises || n > UINT32_MAX)
        return rises;
    ends = mem_array(n, sizeof *ends);
    before = mem_array(n, sizeof *before);
    for (size_t i = 0; i < n; i++) {
        if (mails[i].known == POP_NEW)
            continue;
        size_t lo = 0, hi = run;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (mails[ends[mid]].order < mails[i].order)
                lo = mid + 1;
            else
                hi = mid;
        }
        before[i] = lo ? ends[lo - 1] : UINT32_MAX;
        ends[lo] = (uint32_t)i;
        run = MAX(run, lo + 1);
        known++;
        mails[i].look = true;
    }
    for (uint32_t i = run ? ends[run - 1] : UINT32_MAX; i != UINT32_MAX; i = before[i])
        mails[i].look = false;
    free(ends);
    free(before);
    return known - run <= MAX((size_t)16, known / 16);
}

size_t sync_pop_look(struct pop_mail *mails, size_t n, int64_t now, bool idle, size_t max)
{
    bool ordered = out_of_order(mails, n);
    size_t found = 0, last = 0;
    int64_t latest = 0;
    for (size_t i = 0; i < n; i++)
        latest = MAX(latest, mails[i].looked_at);
    idle = idle && latest && now >= latest && now - latest < POP_LOOK_IDLE_S;
    for (size_t i = n; i-- > 0;) {
        struct pop_mail *m = &mails[i];
        bool moved = ordered && m->look, here = m->known != POP_NEW && !m->sure;
        int64_t at = MAX(m->looked_at, m->delivered_at), age = at - m->delivered_at;
        bool lately = now >= at && now - at < (moved || last < POP_LOOK_LAST ? POP_LOOK_S : MAX(age, POP_LOOK_S));
        last++;
        m->look = here && found < max && (moved ? !m->looked_at || !lately : !idle && !lately);
        found += m->look;
    }
    return found;
}

int64_t sync_backoff_ms(unsigned attempt, uint32_t random)
{
    unsigned shift = attempt > 1 ? MIN(attempt - 1, 9u) : 0;
    int64_t ms = MIN((int64_t)1000 << shift, (int64_t)300000);
    return ms - (int64_t)(random % (uint32_t)(ms / 4 + 1));
}
