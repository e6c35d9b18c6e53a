/* The second connection: it tells what happens in the mailboxes that are not open. By NOTIFY (RFC 5465) of all of them,
 * where the server has it; else, while the user looks at another mailbox, of INBOX by IDLE. It tells counts and names
 * alone; rows are the first connection's. NOTIFY is not for the first one: Dovecot 2.3 writes such news into the middle
 * of a literal that it is sending, and nothing is fetched here. It is opened when nothing else is to do, given up
 * without a word to the user when the server refuses it, and never holds the first one up. */
#include "fetch/imap.h"

#include <sys/epoll.h>

#define AFTER_MS 3000   /* idle so long: now there is time to log in */
#define AGAIN_MS 600000 /* after a refusal or a line lost */
#define BUSY_MS 10000   /* a step came while it logged in */
#define RENEW_MS 290000
#define ANSWER_MS 10000 /* of an answer that has begun: the first connection waits meanwhile */
#define FAILURES 3
#define ASK_MAX 16384
#define ASK_AT_ONCE 32 /* commands */

struct second {
    struct session *s;
    struct stream *stream; /* NULL: not open */
    struct imap *imap;
    bool connecting, reading, news; /* news: INBOX has some */
    bool pushed, notify_refused;
    struct buf ask; /* mailboxes whose number of unread mails NOTIFY did not say, a NUL behind each */
    unsigned failures;
    int64_t at; /* monotonic: when the next thing is due */
};

/* Once for each name. */
static void ask(struct second *x, struct str name)
{
    struct str rest = buf_str(&x->ask), asked;
    while (str_split(&rest, '\0', &asked))
        if (str_eq(asked, name))
            return;
    if (name.n >= ASK_MAX - x->ask.n)
        return;
    buf_adds(&x->ask, name);
    buf_addc(&x->ask, '\0');
}

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
        if (ev->status.unseen == UINT32_MAX && imap_idle_on(x->imap)) /* not where it is the answer to that */
            ask(x, ev->status.name);
        return imap_status_news(x->s, &ev->status, err);
    case IMAP_LIST:
        return imap_list_news(x->s, &ev->list, err);
    case IMAP_OK:
    case IMAP_NO:
        return !str_case_eqz(ev->code, "NOTIFICATIONOVERFLOW") ||
               err_set(err, ERR_SERVER_NO, "the server gave NOTIFY up");
    default:
        return true;
    }
}

static void pushed_tell(struct second *x, bool on)
{
    struct err err = ERR_INIT;
    if (x->pushed != on)
        FETCH_SEND(x->s->f, &err, PUSHED, .on = on);
    x->pushed = on;
}

static void close_it(struct second *x)
{
    struct fetch *f = x->s->f;
    f->side = NULL;
    if (x->stream)
        epoll_ctl(f->wake_fd, EPOLL_CTL_DEL, stream_fd(x->stream), NULL);
    imap_free(&x->imap);
    stream_close(&x->stream);
    buf_fini(&x->ask);
    pushed_tell(x, false);
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

static bool status(struct second *x, struct str name, struct err *err)
{
    struct imap_cmd c;
    uint32_t tag;
    imap_cmd_init(&c, "STATUS ");
    imap_cmd_mailbox(x->imap, &c, name);
    imap_cmd_add(&c, " (MESSAGES UNSEEN UIDNEXT UIDVALIDITY%s)",
                 imap_caps(x->imap) & IMAP_CAP_CONDSTORE ? " HIGHESTMODSEQ" : "");
    if (!imap_send(x->imap, &c, &tag, err))
        return err->kind == ERR_USAGE; /* a name that cannot be sent is not asked for */
    imap_forget(x->imap, tag);
    return true;
}

static bool idle_again(struct second *x, struct err *err)
{
    struct str rest = buf_str(&x->ask), name;
    bool ok = imap_idle_end(x->imap, err) && (!x->news || status(x, STR("INBOX"), err));
    for (unsigned n = 0; ok && n < ASK_AT_ONCE && str_split(&rest, '\0', &name); n++)
        ok = name.n == 0 || status(x, name, err);
    buf_reset(&x->ask);
    x->news = false;
    return ok && imap_idle_send(x->imap, err);
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
    if (ok && (x->news || x->ask.n) && imap_idle_on(x->imap))
        ok = idle_again(x, &err);
    x->reading = false;
    if (!ok)
        failed(x, &err);
}

/* All mailboxes' counts come first, so that no change falls between them and the news. */
static bool notify(struct second *x, bool *on_r, struct err *err)
{
    uint32_t tag;
    bool alive;
    struct err refused = ERR_INIT;
    if (!imap_sendf(
            x->imap, &tag, err,
            "NOTIFY SET STATUS (PERSONAL (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)) "
            "(SUBSCRIBED (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"))
        return false;
    *on_r = imap_done(x->imap, tag, &alive, &refused);
    if (!alive) {
        *err = refused;
        return false;
    }
    if (!*on_r)
        log_msg(LOG_INFO, "NOTIFY: %s", refused.text);
    x->notify_refused = !*on_r;
    return true;
}

static bool log_in(struct second *x, bool *pushed_r, struct err *err)
{
    struct fetch *f = x->s->f;
    struct stream_options o = f->stream_options;
    struct imap_handler h = {.arg = x, .event = on_event};
    uint32_t tag;
    bool alive;
    *pushed_r = false;
    o.wake_fd = chan_fd(f->chan);
    o.on_wake = on_wake;
    o.on_rest = NULL;
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
    if ((imap_caps(x->imap) & IMAP_CAP_NOTIFY) && !notify(x, pushed_r, err))
        return false;
    if (!*pushed_r && !(imap_sendf(x->imap, &tag, err, "EXAMINE INBOX") && imap_done(x->imap, tag, &alive, err)))
        return false;
    return imap_idle_send(x->imap, err);
}

static void open_it(struct second *x)
{
    struct fetch *f = x->s->f;
    struct err err = ERR_INIT;
    bool pushed;
    x->connecting = true;
    bool ok = log_in(x, &pushed, &err);
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
    pushed_tell(x, pushed);
    log_msg(LOG_INFO, "second connection: %s watched", x->pushed ? "all mailboxes are" : "INBOX is");
    x->at = clock_mono_ms() + RENEW_MS;
    f->side = read_it;
    read_it(f); /* what came with the last answer */
}

static bool wanted(struct session *s)
{
    const struct watching *w = &s->watch;
    const struct box *b = box_find(s, w->box);
    struct fetch *f = s->f;
    bool notify = (imap_caps(s->imap) & IMAP_CAP_NOTIFY) && !(s->second && s->second->notify_refused);
    return f->account->connections > 1U + f->searching && f->wake_fd >= 0 && !w->idle_refused &&
           (imap_caps(s->imap) & IMAP_CAP_IDLE) && b &&
           (notify || !str_case_eqz((struct str){b->name, b->name_len}, "INBOX")) && !fetch_has_tunnel(f);
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
        x->ask.max = ASK_MAX;
        x->at = now + AFTER_MS;
    }
    if (now >= x->at)
        open_it(x);
    return x->at;
}

void second_wake(struct fetch *f)
{
    struct session *s = f->session;
    struct second *x = s ? s->second : NULL;
    if (!x || !x->stream || x->connecting || x->reading || !f->searching || f->account->connections > 2)
        return;
    close_it(x);
    x->at = clock_mono_ms() + AFTER_MS;
}

void second_close(struct session *s)
{
    if (!s->second)
        return;
    close_it(s->second);
    free(s->second);
    s->second = NULL;
}
