/* Watching: what is done on the line when no step waits. IDLE (RFC 2177), NOOP now and then without it. */
#include "fetch/imap.h"

#define IDLE_RENEW_MS (25 * 60 * 1000) /* RFC 2177: before the server's 30 minutes */
#define IDLE_AFTER_MS 1000
#define POLL_MS (2 * 60 * 1000) /* without IDLE */
#define SLEPT_S 30              /* the clocks differ by this much: the machine slept */

static bool session_noop(struct session *s, struct err *err)
{
    uint32_t tag;
    return imap_sendf(s->imap, &tag, err, "NOOP") && (session_done(s, tag, NULL, err) || !s->f->lost);
}

bool imap_step_watch(struct fetch *f, struct msg *m, struct err *err)
{
    struct session *s;
    if (!session_need(f, &s, err))
        return false;
    s->watch = m->u.STEP_WATCH.box;
    if (s->watch && !box_find(s, s->watch))
        return err_set(err, ERR_NO_MAILBOX, "the mailbox of this step was never selected");
    return true;
}

/* Waits for data, steps or `until`. False: the line is gone. */
static bool watch_wait(struct session *s, int64_t until, bool *data_r, struct err *err)
{
    *data_r = false;
    time_t wall = time(NULL);
    int64_t mono = clock_mono_ms();
    while (!*data_r && !fetch_pending(s->f) && clock_mono_ms() < until) {
        int64_t slice = MIN(until, clock_mono_ms() + 20000);
        if (!stream_readable(s->f->stream, slice, data_r, err))
            return false;
        if ((time(NULL) - wall) - (clock_mono_ms() - mono) / 1000 > SLEPT_S)
            return true; /* the machine slept: see at once whether the line still lives (THREATS 58, 166) */
    }
    return true;
}

static bool watch_idle(struct session *s, int64_t until, struct err *err)
{
    bool on, data;
    /* Steps come in bursts: an IDLE between two of them would make the second wait for its "+". */
    if (!watch_wait(s, MIN(until, clock_mono_ms() + IDLE_AFTER_MS), &data, err))
        return s->f->ended;
    if (data && !imap_idle_read(s->imap, err))
        return false;
    if (data || fetch_pending(s->f))
        return session_news(s, err);
    if (!imap_idle_begin(s->imap, &on, err))
        return false;
    if (!on) {
        s->idle_refused = true;
        return true;
    }
    int64_t renew = clock_mono_ms() + IDLE_RENEW_MS;
    do {
        if (!watch_wait(s, MIN(until, renew), &data, err))
            return s->f->ended;
        if (data && (!imap_idle_read(s->imap, err) || !session_news(s, err)))
            return false;
    } while (data && !fetch_pending(s->f));
    if (!imap_idle_end(s->imap, err))
        return false;
    return fetch_pending(s->f) || session_noop(s, err);
}

void imap_idle(struct fetch *f, int64_t until)
{
    struct session *s = f->session;
    struct err err = ERR_INIT;
    bool data, ok = true;
    if (!s || !s->imap) {
        fetch_idle(f, until);
        return;
    }
    f->canceled = false;
    f->cancel_by = 0;
    if (s->watch && s->selected != s->watch && !select_ensure(s, s->watch, false, &err)) {
        if (f->lost)
            return;
        s->watch = 0; /* gone: the store hears of it at its next select */
    }
    if ((imap_caps(s->imap) & IMAP_CAP_IDLE) && !s->idle_refused) {
        ok = watch_idle(s, until, &err);
    } else {
        ok = watch_wait(s, MIN(until, clock_mono_ms() + POLL_MS), &data, &err) &&
             (!data || imap_idle_read(s->imap, &err)) && (data || fetch_pending(f) || session_noop(s, &err)) &&
             session_news(s, &err);
    }
    if (!ok && !f->ended)
        fetch_lost(f, &err);
}
