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

int64_t sync_backoff_ms(unsigned attempt, uint32_t random)
{
    unsigned shift = attempt > 1 ? MIN(attempt - 1, 9u) : 0;
    int64_t ms = MIN((int64_t)1000 << shift, (int64_t)300000);
    return ms - (int64_t)(random % (uint32_t)(ms / 4 + 1));
}
