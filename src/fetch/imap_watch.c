/* Watching: what is done on the line when no step waits. NOTIFY (RFC 5465) tells of every mailbox, IDLE (RFC 2177) of
 * the selected one; without both NOOP now and then. */
#include "fetch/imap.h"

#define RENEW_MS 290000 /* an IDLE: keeps a NAT's memory of the line, and shows that the line still lives */
#define IDLE_AFTER_MS 1000
#define POLL_MS 120000 /* without IDLE */
#define NOTIFY_AGAIN_MS 600000
#define NOTIFY_TRIES 4
#define ASK_MAX 16384

/* ---- NOTIFY ------------------------------------------------------------------------------------- */
/* Removals in the selected mailbox wait for IDLE (SELECTED-DELAYED): sequence numbers hold while a command runs. */
bool watch_notify(struct session *s, struct err *err)
{
    struct watching *w = &s->watch;
    if (!(imap_caps(s->imap) & IMAP_CAP_NOTIFY) || w->pushed || w->notify_tag || w->notify_tries >= NOTIFY_TRIES ||
        clock_mono_ms() < w->notify_at)
        return true;
    w->notify_tries++;
    return imap_sendf(s->imap, &w->notify_tag, err,
                      "NOTIFY SET (SELECTED-DELAYED (MessageNew (UID FLAGS) MessageExpunge FlagChange)) "
                      "(PERSONAL (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)) "
                      "(SUBSCRIBED (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))") ||
           session_lost(s, err);
}

static bool pushed_tell(struct session *s, bool on, struct err *err)
{
    s->watch.pushed = on;
    return FETCH_SEND(s->f, err, PUSHED, .on = on);
}

bool watch_notified(struct session *s, struct err *err)
{
    uint32_t tag = s->watch.notify_tag;
    struct err refused = ERR_INIT;
    if (!tag)
        return true;
    s->watch.notify_tag = 0;
    if (session_done(s, tag, NULL, &refused))
        return pushed_tell(s, true, err);
    if (s->f->lost || s->f->ended) {
        *err = refused;
        return false;
    }
    log_msg(LOG_INFO, "NOTIFY: %s", refused.text);
    s->watch.notify_tries = NOTIFY_TRIES;
    return true;
}

bool watch_overflow(struct session *s, struct err *err)
{
    if (!s->watch.pushed)
        return true;
    s->watch.notify_at = clock_mono_ms() + NOTIFY_AGAIN_MS;
    return pushed_tell(s, false, err);
}

void watch_ask(struct session *s, struct str name)
{
    struct buf *ask = &s->watch.ask;
    if (!s->watch.pushed || s->watch.asking || name.n + 1 > ASK_MAX - ask->n)
        return;
    ask->max = ASK_MAX;
    buf_adds(ask, name);
    buf_addc(ask, '\0');
}

static bool ask_now(struct session *s, struct err *err)
{
    s->watch.asking = true;
    bool ok = imap_status_names(s, buf_str(&s->watch.ask), err);
    s->watch.asking = false;
    buf_reset(&s->watch.ask);
    return ok;
}

void watch_reset(struct session *s)
{
    uint64_t box = s->watch.box;
    buf_fini(&s->watch.ask);
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
    } while (data && !s->watch.ask.n && !fetch_pending(s->f));
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
    while (!fetch_pending(s->f) && clock_mono_ms() < until) {
        bool idle = (imap_caps(s->imap) & IMAP_CAP_IDLE) && !w->idle_refused;
        if (!watch_notify(s, err) || !watch_notified(s, err) || (w->ask.n && !ask_now(s, err)))
            return false;
        int64_t turn = MIN(until, clock_mono_ms() + (idle ? RENEW_MS : POLL_MS));
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
    if (s->watch.box && s->selected != s->watch.box && !select_ensure(s, s->watch.box, false, &err)) {
        if (f->lost)
            return;
        s->watch.box = 0; /* gone: the store hears of it at its next select */
    }
    if (!watch_line(s, until, &err) && !f->ended)
        fetch_lost(f, &err);
}
