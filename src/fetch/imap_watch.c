/* Watching: what is done on the line when no step waits: IDLE (RFC 2177) tells of the selected mailbox; without it NOOP
 * now and then. The other mailboxes are the second connection's (imap_second.c). */
#include "fetch/imap.h"

#define RENEW_MS 290000 /* an IDLE: keeps a NAT's memory of the line, and shows that the line still lives */
#define IDLE_AFTER_MS 1000
#define POLL_MS 120000 /* without IDLE */

/* ---- Flags without a UID (no QRESYNC, and the message has not been named since the SELECT) ------ */
void watch_nameless(struct session *s, uint32_t seq)
{
    struct watching *w = &s->watch;
    for (uint32_t i = 0; i < MIN(w->nnameless, (uint32_t)COUNT(w->nameless)); i++)
        if (w->nameless[i] == seq)
            return;
    w->nameless_lo = w->nnameless ? MIN(w->nameless_lo, seq) : seq;
    w->nameless_hi = MAX(w->nameless_hi, seq);
    if (w->nnameless < COUNT(w->nameless))
        w->nameless[w->nnameless] = seq;
    if (w->nnameless <= COUNT(w->nameless))
        w->nnameless++;
}

void watch_expunged(struct session *s, uint32_t seq)
{
    struct watching *w = &s->watch;
    if (!w->nnameless)
        return;
    w->nameless_lo -= w->nameless_lo > seq;
    w->nameless_hi -= w->nameless_hi >= seq && w->nameless_hi > 1;
    if (w->nnameless > COUNT(w->nameless))
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->nnameless; i++)
        if (w->nameless[i] != seq)
            w->nameless[kept++] = w->nameless[i] - (w->nameless[i] > seq);
    w->nnameless = kept;
}

void watch_deselected(struct session *s)
{
    s->watch.nnameless = s->watch.nameless_lo = s->watch.nameless_hi = 0;
}

/* By sequence number: while this command runs none of them moves (RFC 9051 7.5.1). */
static bool names_now(struct session *s, struct err *err)
{
    struct watching *w = &s->watch;
    struct buf set = BUF_INIT(2048);
    uint32_t tag;
    if (w->nnameless > COUNT(w->nameless))
        buf_addf(&set, "%u:%u", w->nameless_lo, w->nameless_hi);
    else
        for (uint32_t i = 0; i < w->nnameless; i++)
            buf_addf(&set, "%s%u", i ? "," : "", w->nameless[i]);
    watch_deselected(s);
    bool ok = imap_sendf(s->imap, &tag, err, "FETCH %s (UID FLAGS%s)", buf_z(&set), s->modseq ? " MODSEQ" : "") ||
              session_lost(s, err);
    buf_fini(&set);
    return ok && (session_done(s, tag, NULL, err) || !(s->f->lost || s->f->ended));
}

void watch_reset(struct session *s)
{
    uint64_t box = s->watch.box;
    s->watch = (struct watching){.box = box};
}

bool imap_step_watch(struct fetch *f, struct msg *m, struct err *err)
{
    struct session *s;
    if (!session_need(f, &s, err))
        return false;
    s->watch.box = m->u.STEP_WATCH.box;
    if (s->watch.box && !box_find(s, s->watch.box))
        return err_set(err, ERR_NO_MAILBOX, "the mailbox of this step was never selected");
    return true;
}

/* ---- Waiting ------------------------------------------------------------------------------------ */
/* Waits for data, steps or `until`. A machine that slept is the store's to see: it closes the line. False: the line is
 * gone. */
static bool watch_wait(struct session *s, int64_t until, bool *data_r, struct err *err)
{
    *data_r = false;
    while (!*data_r && !fetch_pending(s->f) && clock_mono_ms() < until)
        if (!stream_readable(s->f->stream, until, data_r, err))
            return false;
    return true;
}

static bool noop(struct session *s, struct err *err)
{
    uint32_t tag;
    return imap_sendf(s->imap, &tag, err, "NOOP") && (session_done(s, tag, NULL, err) || !s->f->lost);
}

/* One IDLE, to the end of `until`, a step or a question that its news bring up. Its renewal is the keepalive: the "+"
 * of the next one proves the line. */
static bool idle_once(struct session *s, int64_t until, struct err *err)
{
    bool on, data;
    if (!imap_idle_begin(s->imap, &on, err))
        return false;
    if (!on) {
        s->watch.idle_refused = true;
        return true;
    }
    if (!session_news(s, err)) /* what came with the "+" */
        return false;
    do {
        if (!watch_wait(s, until, &data, err))
            return s->f->ended;
        if (data && (!imap_idle_read(s->imap, err) || !session_news(s, err)))
            return false;
        if (imap_idle_over(s->imap)) { /* a server that has enough of it at once (THREATS 59): ask now and then */
            s->watch.idle_refused = true;
            return true;
        }
    } while (data && !s->watch.nnameless && !fetch_pending(s->f));
    return imap_idle_end(s->imap, err);
}

static bool poll_once(struct session *s, int64_t until, struct err *err)
{
    bool data;
    if (!watch_wait(s, until, &data, err))
        return s->f->ended;
    if (data)
        return imap_idle_read(s->imap, err) && session_news(s, err);
    return fetch_pending(s->f) || (noop(s, err) && session_news(s, err));
}

static bool watch_line(struct session *s, int64_t until, struct err *err)
{
    struct watching *w = &s->watch;
    bool data;
    /* Steps come in bursts: an IDLE between two of them would make the second wait for its "+". */
    if (!watch_wait(s, MIN(until, clock_mono_ms() + IDLE_AFTER_MS), &data, err))
        return s->f->ended;
    if (data && (!imap_idle_read(s->imap, err) || !session_news(s, err)))
        return false;
    if (!fetch_pending(s->f) && w->box && s->selected != w->box && !select_ensure(s, w->box, false, err)) {
        if (s->f->lost || s->f->ended)
            return false;
        w->box = 0; /* gone: the store hears of it at its next select */
    }
    while (!fetch_pending(s->f) && clock_mono_ms() < until) {
        bool idle = (imap_caps(s->imap) & IMAP_CAP_IDLE) && !w->idle_refused;
        if (w->nnameless && s->selected && !names_now(s, err))
            return false;
        int64_t turn = MIN(until, clock_mono_ms() + (idle ? RENEW_MS : POLL_MS));
        turn = MIN(turn, second_tick(s));
        if (fetch_pending(s->f))
            break;
        if (!(idle ? idle_once(s, turn, err) : poll_once(s, turn, err)))
            return false;
    }
    return true;
}

void imap_idle(struct fetch *f, int64_t until)
{
    struct session *s = f->session;
    struct err err = ERR_INIT;
    if (!s || !s->imap) {
        fetch_idle(f, until);
        return;
    }
    f->canceled = false;
    f->cancel_by = 0;
    if (!watch_line(s, until, &err) && !f->ended)
        fetch_lost(f, &err);
}
