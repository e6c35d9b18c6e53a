#include "fetch/fetch.h"

#include <poll.h>
#include <unistd.h>

#define CHANNEL_STUCK_MS 120000
#define CANCEL_GRACE_MS 2000
#define IDLE_MAX_MS 3600000

/* What overtakes what: what the user looks at, then what the user did, then what the user waits for but knows to be
 * long, then what is likely to be looked at next, then everything else. */
enum step_class { CLASS_URGENT, CLASS_ACTION, CLASS_LONG, CLASS_AHEAD, CLASS_BACKGROUND };

struct step {
    struct step *next, *outer;
    uint32_t number;
    enum step_class class;
    bool canceled, ahead, goes_on;
    struct buf packet; /* the message borrows from it */
    struct msg msg;
};

static enum step_class step_class_of(const struct msg *m)
{
    switch (m->kind) {
    case MSG_STEP_ROWS_TOP:
        return m->u.STEP_ROWS_TOP.urgent ? CLASS_URGENT : CLASS_BACKGROUND;
    case MSG_STEP_ROWS:
        return m->u.STEP_ROWS.urgent ? CLASS_URGENT : CLASS_BACKGROUND;
    case MSG_STEP_BODY:
        if (m->u.STEP_BODY.want.n)
            return m->u.STEP_BODY.urgent ? CLASS_LONG : CLASS_BACKGROUND;
        return m->u.STEP_BODY.urgent ? CLASS_URGENT : CLASS_AHEAD;
    case MSG_STEP_POP_BODY:
        return CLASS_LONG;
    case MSG_STEP_SELECT:
        return m->u.STEP_SELECT.urgent ? CLASS_URGENT : CLASS_ACTION;
    case MSG_STEP_MAILDIR_OPEN:
        return CLASS_URGENT;
    case MSG_STEP_MAILDIR_SCAN: /* before a maildrop that takes its time, but it may take its own */
        return CLASS_AHEAD;
    case MSG_STEP_MAILDIR_READ: /* in their order */
    case MSG_STEP_MAILDIR_FLAGS:
    case MSG_STEP_MAILDIR_MOVE:
    case MSG_STEP_MAILDIR_REMOVE:
    case MSG_STEP_MAILDIR_ADD:
    case MSG_STEP_MAILDIR_BOX:
    case MSG_STEP_STORE:
    case MSG_STEP_CLAIM:
    case MSG_STEP_MOVE:
    case MSG_STEP_EXPUNGE:
    case MSG_STEP_APPEND:
    case MSG_STEP_BOX:
    case MSG_STEP_FIND:
        return CLASS_ACTION;
    default:
        return CLASS_BACKGROUND;
    }
}

/* Box a step works in, or 0. */
static uint64_t step_box(const struct msg *m)
{
    switch (m->kind) {
    case MSG_STEP_SELECT:
        return m->u.STEP_SELECT.box;
    case MSG_STEP_ROWS_TOP:
        return m->u.STEP_ROWS_TOP.box;
    case MSG_STEP_ROWS:
        return m->u.STEP_ROWS.box;
    case MSG_STEP_MORE:
        return m->u.STEP_MORE.box;
    case MSG_STEP_SEARCH:
        return m->u.STEP_SEARCH.box;
    case MSG_STEP_BODY:
        return m->u.STEP_BODY.box;
    case MSG_STEP_STORE:
        return m->u.STEP_STORE.box;
    case MSG_STEP_CLAIM:
        return m->u.STEP_CLAIM.box;
    case MSG_STEP_MOVE:
        return m->u.STEP_MOVE.box;
    case MSG_STEP_EXPUNGE:
        return m->u.STEP_EXPUNGE.box;
    default:
        return 0;
    }
}

static bool step_must_follow(const struct step *s, const struct step *earlier)
{
    if (earlier->class <= s->class)
        return true;
    switch (earlier->msg.kind) {
    case MSG_STEP_CONNECT:
    case MSG_STEP_CLOSE:
        return true;
    case MSG_STEP_SELECT:
        return step_box(&s->msg) == earlier->msg.u.STEP_SELECT.box;
    default:
        return false;
    }
}

static const struct step_handler *step_find(const struct fetch *f, enum msg_kind kind)
{
    const struct step_handler *const tables[] = {f->protocol->steps, file_steps,
                                                 f->account->in.proto == PROTO_IMAP ? NULL : local_steps};
    for (size_t t = 0; t < COUNT(tables); t++)
        for (const struct step_handler *h = tables[t]; h && h->kind != MSG_NONE; h++)
            if (h->kind == kind)
                return h;
    return NULL;
}

static void step_free(struct step *s)
{
    if (s->msg.fd >= 0)
        close(s->msg.fd);
    buf_fini(&s->packet);
    free(s);
}

static bool step_done(struct fetch *f, uint32_t number, const struct err *err)
{
    struct err e = ERR_INIT;
    bool ok = fetch_send(f,
                         &(struct msg){.kind = MSG_DONE,
                                       .fd = -1,
                                       .u.DONE = {.step = number, .kind = err->kind, .text = str_z(err->text)}},
                         -1, &e);
    log_msg(LOG_DEBUG, "step %u: %s%s%s", number, err->kind ? err_name(err->kind) : "done", err->kind ? ": " : "",
            err->kind ? err->text : "");
    return ok;
}

/* ---- Queue -------------------------------------------------------------------------------------- */
static void queue_add(struct fetch *f, const struct msg *m)
{
    struct step *s = mem_new(sizeof(*s));
    struct err err = ERR_INIT;
    s->number = m->u.STEP_CONNECT.step; /* the first field of every STEP_* message */
    s->class = step_class_of(m);
    buf_init(&s->packet, IPC_PACKET_MAX);
    if (!msg_encode(m, &s->packet) || !msg_decode(buf_str(&s->packet), &s->msg, &err))
        bug("a decoded message does not encode: %s", msg_name(m->kind));
    s->msg.fd = m->fd;
    struct step **at = &f->queue;
    for (struct step **p = &f->queue; *p; p = &(*p)->next)
        if (step_must_follow(s, *p))
            at = &(*p)->next;
    s->next = *at;
    *at = s;
    f->queued++;
}

static struct step *queue_take(struct fetch *f)
{
    struct step *s = f->queue;
    f->queue = s->next;
    s->next = NULL;
    f->queued--;
    return s;
}

/* Until when an answer under way is still read, to save the line. */
static int64_t grace_ends(const struct fetch *f)
{
    return f->close_by ? f->close_by : clock_mono_ms() + CANCEL_GRACE_MS;
}

static void queue_cancel(struct fetch *f, uint32_t number)
{
    for (struct step *s = f->current; s; s = s->outer)
        if (s->number == number)
            s->canceled = true;
    if (f->current && f->current->canceled) {
        f->canceled = true;
        if (f->gentle && !f->cancel_by)
            f->cancel_by = grace_ends(f);
    }
    for (struct step **p = &f->queue; *p; p = &(*p)->next)
        if ((*p)->number == number) {
            struct step *s = *p;
            if (s->ahead) { /* its commands are on the wire: it ends when they are answered */
                s->canceled = true;
                return;
            }
            *p = s->next;
            f->queued--;
            struct err err = ERR_INIT;
            err_set(&err, ERR_CANCELED, "canceled");
            step_done(f, number, &err);
            step_free(s);
            return;
        }
}

bool fetch_peek(const struct fetch *f, unsigned i, struct step_view *view_r)
{
    const struct step *s = f->queue;
    while (s && i--)
        s = s->next;
    if (!s)
        return false;
    *view_r = (struct step_view){.step = s->number, .urgent = s->class == CLASS_URGENT, .msg = &s->msg};
    return true;
}

/* ---- Channel ------------------------------------------------------------------------------------ */
static void channel_message(struct fetch *f, struct msg *m)
{
    if (m->kind == MSG_STEP_CANCEL) {
        queue_cancel(f, m->u.STEP_CANCEL.step);
    } else if (m->kind == MSG_SEARCHING) {
        f->searching = m->u.SEARCHING.on;
    } else if (m->kind == MSG_SECRET) {
        if (f->given >= 0)
            close(f->given);
        f->given = m->fd;
        f->given_need = m->u.SECRET.need;
        m->fd = -1;
    } else if (m->kind == MSG_STEP_FILE_OPEN) { /* needs no line, and nobody waits for what the line is doing */
        struct err err = ERR_INIT;
        fetch_file_open(f, &m->u.STEP_FILE_OPEN, &err);
        step_done(f, m->u.STEP_FILE_OPEN.step, &err);
    } else if (m->kind == MSG_STEP_FILE_LINK) {
        struct err err = ERR_INIT;
        fetch_file_link(f, &m->u.STEP_FILE_LINK, &err);
        step_done(f, m->u.STEP_FILE_LINK.step, &err);
    } else if (step_find(f, m->kind)) {
        if (m->kind == MSG_STEP_CLOSE && f->stream) /* the line may be dead: what is asked on it is not waited for */
            f->cancel_by = f->close_by = grace_ends(f);
        queue_add(f, m);
        m->fd = -1;
    } else {
        struct err err = ERR_INIT;
        err_set(&err, ERR_CHANNEL, "%s is no step of this account's protocol", msg_name(m->kind));
        step_done(f, m->u.STEP_CONNECT.step, &err);
    }
    if (m->fd >= 0)
        close(m->fd);
}

/* Lets the protocol send what waiting steps will ask, in their order, as long as it takes them. */
static void steps_ahead(struct fetch *f)
{
    for (struct step *s = f->queue; s && !f->lost; s = s->next) {
        const struct step_handler *h = step_find(f, s->msg.kind);
        if (s->ahead)
            continue;
        if (!h->ahead || !h->ahead(f, s->number, &s->msg))
            break;
        s->ahead = true;
    }
}

static bool interrupted(const struct fetch *f)
{
    return f->ended || (f->canceled && !f->gentle);
}

bool fetch_wake(void *arg)
{
    struct fetch *f = arg;
    struct err err = ERR_INIT;
    struct msg m;
    int n;
    if (f->ended)
        return true;
    if (chan_wants_write(f->chan) && !chan_flush(f->chan, &err)) {
        f->ended = true;
        return true;
    }
    while (f->queued < FETCH_QUEUE_MAX && (n = chan_recv(f->chan, &m, &err)) != 0) {
        if (n < 0) {
            if (err.kind)
                log_msg(LOG_ERROR, "%s", err.text);
            f->ended = true;
            return true;
        }
        channel_message(f, &m);
    }
    if (f->queue && f->stream && !f->lost && f->protocol->may_send && f->protocol->may_send(f))
        steps_ahead(f);
    if (f->side)
        f->side(f);
    if (f->protocol->wake)
        f->protocol->wake(f);
    if (f->cancel_by && f->stream)
        stream_deadline(f->stream, f->cancel_by);
    return interrupted(f);
}

bool fetch_send(struct fetch *f, const struct msg *m, int fd, struct err *err)
{
    if (f->ended)
        return err_set(err, ERR_CHANNEL, "the store is gone");
    /* What the socket does not take must go before we wait for anything else: waits on a server do not flush the
     * channel. */
    if (!chan_send(f->chan, m, fd, err) ||
        (chan_wants_write(f->chan) && !chan_drain(f->chan, clock_mono_ms() + CHANNEL_STUCK_MS, err)))
        f->ended = true;
    return !f->ended;
}

void fetch_progress(struct fetch *f, uint64_t done, uint64_t total)
{
    struct err err = ERR_INIT;
    int64_t now = clock_mono_ms();
    if (now - f->progress_ms < 250)
        return;
    f->progress_ms = now;
    FETCH_SEND(f, &err, STEP_PROGRESS, .step = fetch_step(f), .done = done, .total = total);
}

/* ---- Running ------------------------------------------------------------------------------------ */
uint32_t fetch_step(const struct fetch *f)
{
    return f->current ? f->current->number : 0;
}

bool fetch_pending(const struct fetch *f)
{
    return f->queue || f->ended;
}

bool fetch_lost(struct fetch *f, const struct err *err)
{
    if (!f->lost) {
        f->lost = true;
        f->lost_err = *err;
    }
    return false;
}

static void step_run(struct fetch *f, struct step *s)
{
    const struct step_handler *h = step_find(f, s->msg.kind);
    struct err err = ERR_INIT;
    s->outer = f->current;
    f->current = s;
    f->canceled = s->canceled;
    f->cancel_by = s->canceled ? grace_ends(f) : f->close_by;
    bool gentle = f->gentle;
    f->gentle = false;
    f->progress_ms = clock_mono_ms();
    log_msg(LOG_DEBUG, "step %u: %s", s->number, msg_name(s->msg.kind));
    if (!h->run(f, &s->msg, &err)) {
        if (!err.kind)
            bug("%s failed without an error", msg_name(s->msg.kind));
    } else {
        err.kind = ERR_NONE;
        err.text[0] = 0;
    }
    if (!s->goes_on)
        step_done(f, s->number, &err);
    f->current = s->outer;
    f->gentle = gentle;
    f->canceled = f->current && f->current->canceled;
    if (s->msg.kind == MSG_STEP_CLOSE)
        f->close_by = 0;
    f->cancel_by = f->close_by;
    step_free(s);
}

void fetch_ahead(struct fetch *f)
{
    if (f->stream && !f->lost)
        steps_ahead(f);
}

bool fetch_join(struct fetch *f, enum msg_kind kind)
{
    struct step *s = f->queue;
    const struct step_handler *h = step_find(f, kind);
    while (s && s->ahead)
        s = s->next;
    if (!s || s->msg.kind != kind || !h->ahead || f->lost)
        return false;
    s->ahead = h->ahead(f, s->number, &s->msg);
    return s->ahead;
}

static void lost_tell(struct fetch *f)
{
    struct err err = ERR_INIT;
    if (f->protocol->closed)
        f->protocol->closed(f);
    stream_close(&f->stream);
    /* What was sent ahead went down with the line, whatever broke it. */
    struct err gone = f->lost_err;
    if (gone.kind == ERR_PROTOCOL)
        gone.kind = ERR_LINE;
    for (struct step **p = &f->queue; *p;) {
        struct step *s = *p;
        if (!s->ahead || s->msg.kind == MSG_STEP_MAILDIR_ADD) { /* that is on this machine */
            p = &s->next;
            continue;
        }
        *p = s->next;
        f->queued--;
        step_done(f, s->number, &gone);
        step_free(s);
    }
    f->lost = false;
    log_msg(LOG_INFO, "connection ended: %s", f->lost_err.text);
    FETCH_SEND(f, &err, LOST, .kind = f->lost_err.kind, .text = str_z(f->lost_err.text));
}

void fetch_goes_on(struct fetch *f)
{
    f->current->goes_on = true;
}

void fetch_ends(struct fetch *f, uint32_t step, const struct err *err)
{
    step_done(f, step, err);
}

bool fetch_rest(void *arg)
{
    struct fetch *f = arg;
    return !f->ended && f->protocol->rest && f->protocol->rest(f);
}

void fetch_lasts(struct fetch *f)
{
    f->current->class = CLASS_BACKGROUND;
}

bool fetch_overtaken(const struct fetch *f)
{
    return f->depth == 0 && f->queue && f->queue->class < f->current->class && f->queue->msg.kind != MSG_STEP_CONNECT &&
           f->queue->msg.kind != MSG_STEP_CLOSE && !(f->line_busy && f->queue->msg.kind == MSG_STEP_POP_BODY);
}

bool fetch_yield(struct fetch *f, struct err *err)
{
    fetch_wake(f);
    if (f->depth == 0) {
        while (!f->lost && !f->ended && !f->canceled && fetch_overtaken(f)) {
            f->depth++;
            step_run(f, queue_take(f));
            f->depth--;
        }
        fetch_rest(f);
    }
    if (f->ended)
        return err_set(err, ERR_CHANNEL, "the store is gone");
    if (f->lost) {
        *err = f->lost_err;
        return false;
    }
    return !f->canceled || err_set(err, ERR_CANCELED, "canceled");
}

void fetch_idle(struct fetch *f, int64_t until_ms)
{
    int64_t left = until_ms - clock_mono_ms();
    struct pollfd p = {.fd = chan_fd(f->chan), .events = (short)(POLLIN | (chan_wants_write(f->chan) ? POLLOUT : 0))};
    poll(&p, 1, (int)MAX(0, MIN(left, 60000)));
}

void fetch_run(struct fetch *f)
{
    while (!f->ended) {
        fetch_wake(f);
        while (!f->ended && (f->queue || fetch_rest(f))) {
            if (f->queue) {
                f->depth = 0;
                step_run(f, queue_take(f));
            }
            if (f->lost)
                lost_tell(f);
            fetch_wake(f);
        }
        if (f->ended)
            break;
        (f->protocol->idle ? f->protocol->idle : fetch_idle)(f, clock_mono_ms() + IDLE_MAX_MS);
        if (f->lost)
            lost_tell(f);
    }
    if (f->protocol->closed)
        f->protocol->closed(f);
    stream_close(&f->stream);
    while (f->queue)
        step_free(queue_take(f));
}
