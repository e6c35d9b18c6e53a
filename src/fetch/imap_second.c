/* The second connection: where the server has no NOTIFY and the user looks at another mailbox, it watches INBOX by
 * IDLE, so that new mail is seen at once. It tells counts alone; rows are the first connection's. It is opened when
 * nothing else is to do, given up without a word to the user when the server refuses it, and never holds the first one
 * up. */
#include "fetch/imap.h"

#include <sys/epoll.h>

#define AFTER_MS 3000   /* idle so long: now there is time to log in */
#define AGAIN_MS 600000 /* after a refusal or a line lost */
#define BUSY_MS 10000   /* a step came while it logged in */
#define RENEW_MS 290000
#define ANSWER_MS 10000 /* of an answer that has begun: the first connection waits meanwhile */
#define FAILURES 3

struct second {
    struct session *s;
    struct stream *stream; /* NULL: not open */
    struct imap *imap;
    bool connecting, reading, news;
    unsigned failures;
    int64_t at; /* monotonic: when the next thing is due */
};

static bool on_event(void *arg, const struct imap_event *ev, struct err *err)
{
    struct second *x = arg;
    switch (ev->what) {
    case IMAP_EXISTS:
    case IMAP_EXPUNGE:
    case IMAP_VANISHED:
    case IMAP_FETCH:
        x->news = true;
        return true;
    case IMAP_STATUS:
        return FETCH_SEND(x->s->f, err, BOX, .name = ev->status.name, .total = ev->status.messages,
                          .unread = ev->status.unseen, .uidnext = ev->status.uidnext,
                          .uidvalidity = ev->status.uidvalidity, .modseq = ev->status.modseq, .counts = 1);
    default:
        return true;
    }
}

static void close_it(struct second *x)
{
    struct fetch *f = x->s->f;
    f->side = NULL;
    if (x->stream)
        epoll_ctl(f->wake_fd, EPOLL_CTL_DEL, stream_fd(x->stream), NULL);
    imap_free(&x->imap);
    stream_close(&x->stream);
}

static void failed(struct second *x, const struct err *err)
{
    bool busy = err->kind == ERR_CANCELED;
    log_msg(LOG_INFO, "second connection: %s", err->text);
    close_it(x);
    x->failures += !busy;
    x->at = clock_mono_ms() + (busy ? BUSY_MS : AGAIN_MS);
}

/* A step ends the login; later the channel is only emptied. */
static bool on_wake(void *arg)
{
    struct second *x = arg;
    return fetch_wake(x->s->f) || (x->connecting && fetch_pending(x->s->f));
}

static bool idle_again(struct second *x, struct err *err)
{
    uint32_t tag;
    if (!imap_idle_end(x->imap, err))
        return false;
    if (x->news) {
        x->news = false;
        if (!imap_sendf(x->imap, &tag, err, "STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY%s)",
                        imap_caps(x->imap) & IMAP_CAP_CONDSTORE ? " HIGHESTMODSEQ" : ""))
            return false;
        imap_forget(x->imap, tag);
    }
    return imap_idle_send(x->imap, err);
}

/* Called from every wait: takes what is there. */
static void read_it(struct fetch *f)
{
    struct second *x = session_of(f)->second;
    struct err err = ERR_INIT;
    if (x->reading)
        return;
    x->reading = true;
    bool ok = imap_idle_read(x->imap, &err);
    if (ok && imap_idle_over(x->imap))
        ok = err_set(&err, ERR_SERVER_NO, "the server ends IDLE by itself");
    if (ok && x->news && imap_idle_on(x->imap))
        ok = idle_again(x, &err);
    x->reading = false;
    if (!ok)
        failed(x, &err);
}

static bool log_in(struct second *x, struct err *err)
{
    struct fetch *f = x->s->f;
    struct stream_options o = f->stream_options;
    struct imap_handler h = {.arg = x, .event = on_event};
    uint32_t tag;
    bool alive;
    o.wake_fd = chan_fd(f->chan);
    o.on_wake = on_wake;
    o.arg = x;
    o.answer_ms = ANSWER_MS;
    if (!fetch_open_also(f, &o, &x->stream, err))
        return false;
    x->imap = imap_new(x->stream, &h, ANSWER_MS);
    if (!imap_login(x->imap, &f->account->in, &f->secret, err))
        return false;
    fetch_logged_in(f);
    if (!(imap_caps(x->imap) & IMAP_CAP_IDLE))
        return err_set(err, ERR_SERVER_NO, "no IDLE");
    return imap_sendf(x->imap, &tag, err, "EXAMINE INBOX") && imap_done(x->imap, tag, &alive, err) &&
           imap_idle_send(x->imap, err);
}

static void open_it(struct second *x)
{
    struct fetch *f = x->s->f;
    struct err err = ERR_INIT;
    x->connecting = true;
    bool ok = log_in(x, &err);
    x->connecting = x->news = false;
    if (ok) {
        struct epoll_event ev = {.events = EPOLLIN};
        ok = epoll_ctl(f->wake_fd, EPOLL_CTL_ADD, stream_fd(x->stream), &ev) == 0 ||
             err_set(&err, ERR_IO, "it cannot be watched");
    }
    if (!ok) {
        failed(x, &err);
        return;
    }
    log_msg(LOG_INFO, "second connection: INBOX is watched");
    x->at = clock_mono_ms() + RENEW_MS;
    f->side = read_it;
    read_it(f); /* what came with the last answer */
}

static bool wanted(struct session *s)
{
    const struct watching *w = &s->watch;
    const struct box *b = box_find(s, w->box);
    struct fetch *f = s->f;
    return f->account->connections > 1 && f->wake_fd >= 0 && !w->pushed && !w->idle_refused &&
           (imap_caps(s->imap) & IMAP_CAP_IDLE) && b && !str_case_eqz((struct str){b->name, b->name_len}, "INBOX") &&
           !fetch_has_tunnel(f);
}

int64_t second_tick(struct session *s)
{
    struct second *x = s->second;
    int64_t now = clock_mono_ms();
    struct err err = ERR_INIT;
    if (x && x->stream) {
        if (now < x->at)
            return x->at;
        x->at = now + RENEW_MS;
        /* Its "+" since the last time is what shows that the line lives. */
        bool ok = imap_idle_on(x->imap) ? idle_again(x, &err) : err_set(&err, ERR_TIMEOUT, "no answer");
        if (!ok)
            failed(x, &err);
        return x->at;
    }
    if (!wanted(s) || (x && x->failures >= FAILURES))
        return INT64_MAX;
    if (!x) {
        x = s->second = mem_new(sizeof *x);
        x->s = s;
        x->at = now + AFTER_MS;
    }
    if (now >= x->at)
        open_it(x);
    return x->at;
}

void second_close(struct session *s)
{
    if (!s->second)
        return;
    close_it(s->second);
    free(s->second);
    s->second = NULL;
}
