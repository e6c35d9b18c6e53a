/* How far a pass over a maildrop is: count, bytes, rate, what is left. */
#include "store/account_pop.h"

#define SHOWN_MS 250
#define RATE_MS 1000 /* before this nothing is said of speed */

void pop_show_end(struct acct *a)
{
    if (a->poprun && a->poprun->shown)
        BROADCAST(a->srv, PROGRESS, .req = 0, .account = str_z(a->name));
}

static void show_fired(void *arg);

/* So many times a second at most, and what came last. */
void pop_show(struct acct *a, uint64_t bytes)
{
    struct pop_run *r = a->poprun;
    int64_t now = clock_mono_ms(), ms = now - r->began, left = MAX(r->shown, r->began) + SHOWN_MS - now;
    r->to_show = bytes = MIN(bytes, r->bytes_wanted);
    if (left > 0) {
        if (!a->pop_show)
            a->pop_show = loop_after(a->srv->loop, left, show_fired, a);
        return;
    }
    r->shown = now;
    struct buf text = BUF_INIT(200);
    buf_addf(&text, "%u of %u, ", r->came, r->wanted);
    buf_add_size(&text, bytes);
    buf_addz(&text, " of ");
    buf_add_size(&text, r->bytes_wanted);
    if (ms >= RATE_MS && bytes > 0) {
        uint64_t rate = bytes * 1000 / (uint64_t)ms, rest = (r->bytes_wanted - bytes) / MAX(rate, UINT64_C(1));
        buf_addz(&text, ", ");
        buf_add_size(&text, rate);
        if (rest >= 120)
            buf_addf(&text, "/s, %llu min left", (unsigned long long)(rest / 60));
        else
            buf_addf(&text, "/s, %llu s left", (unsigned long long)rest);
    }
    BROADCAST(a->srv, PROGRESS, .req = 0, .account = str_z(a->name), .done = bytes, .total = r->bytes_wanted,
              .text = buf_str(&text));
    buf_fini(&text);
}

static void show_fired(void *arg)
{
    struct acct *a = arg;
    watch_free(&a->pop_show);
    if (a->poprun && a->poprun->phase == POP_FETCHING)
        pop_show(a, a->poprun->to_show);
}

void pop_progress(struct acct *a, const struct m_STEP_PROGRESS *p)
{
    struct pop_run *r = a->poprun;
    if (r && r->phase == POP_FETCHING && r->step == p->step)
        pop_show(a, r->bytes_before + MIN(p->done, UINT64_MAX / 4));
}
