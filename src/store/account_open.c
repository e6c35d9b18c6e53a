/* Bytes of a message for a client: a file that is here is opened by fetch (the store sees no mail), another is fetched
 * first. A client gets a file description of its own, so that two readers do not share a position. */
#include "store/account.h"

#include <unistd.h>

#define OPENS_MAX 256

enum open_state { OPEN_WAITS, OPEN_FETCHING, OPEN_OPENING };
struct open_req {
    struct open_req *next;
    uint64_t client, msg;
    uint32_t req, step;
    bool prefetch, retried;
    enum open_state state;
};

static void open_remove(struct acct *a, struct open_req *o)
{
    for (struct open_req **p = &a->opens; *p; p = &(*p)->next)
        if (*p == o) {
            *p = o->next;
            free(o);
            return;
        }
}

static void open_refuse(struct acct *a, struct open_req *o, enum err_kind kind, const char *text)
{
    server_refuse(a->srv, o->client, o->req, kind, text);
    open_remove(a, o);
}

bool open_wants(const struct acct *a, uint64_t msg)
{
    const struct open_req *o = a->opens;
    while (o && o->msg != msg)
        o = o->next;
    return o != NULL;
}

void open_ask(struct acct *a, uint64_t client, uint32_t req, uint64_t msg, bool prefetch)
{
    struct db_msg m;
    struct err err = ERR_INIT;
    unsigned n = 0;
    for (struct open_req *o = a->opens; o; o = o->next)
        n++;
    if (!a->db) {
        server_refuse(a->srv, client, req, a->why, a->text);
        return;
    }
    if (n >= OPENS_MAX) {
        server_refuse(a->srv, client, req, ERR_LIMIT, "too many messages are asked for at once");
        return;
    }
    if (!db_msg_get(a->db, msg, &m, &err)) {
        server_refuse(a->srv, client, req, err.kind, err.text);
        return;
    }
    struct open_req *o = mem_new(sizeof *o), **at = &a->opens;
    *o = (struct open_req){.client = client, .req = req, .msg = msg, .prefetch = prefetch};
    while (*at)
        at = &(*at)->next;
    *at = o;
    acct_pump(a);
}

void open_cancel(struct acct *a, uint64_t client, uint32_t req)
{
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->client != client || (req && o->req != req))
            continue;
        bool shared = false;
        for (struct open_req *q = a->opens; q; q = q->next)
            shared = shared || (q != o && q->step == o->step);
        if (o->state == OPEN_FETCHING && !shared && a->fetch)
            PEER_SEND(a->fetch, -1, STEP_CANCEL, .step = o->step);
        if (req)
            server_refuse(a->srv, client, req, ERR_CANCELED, "canceled");
        open_remove(a, o);
    }
}

void open_fail_all(struct acct *a, enum err_kind kind, const char *text, bool local_too)
{
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->state == OPEN_FETCHING || local_too)
            open_refuse(a, o, kind, text);
        else if (o->state == OPEN_WAITS && a->imap && !a->offline && (a->wait_change || a->retry)) {
            /* Only those that need the line; a file that is here is served. */
            struct db_msg m;
            struct err err = ERR_INIT;
            if (db_msg_get(a->db, o->msg, &m, &err) && m.body.n == 0 && m.name.n == 0)
                open_refuse(a, o, kind, text);
        }
    }
}

/* Ends a file step: the fd has gone to the client, or the file is not there. */
static void file_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->state != OPEN_OPENING || o->step != s->number)
            continue;
        if (kind == ERR_NONE) {
            open_refuse(a, o, ERR_IO, "the file was not given");
        } else if (kind == ERR_CHANNEL || o->retried) {
            open_refuse(a, o, kind, clean_line(text));
        } else {
            /* Removed or renamed under us: a cached body is fetched again, a Maildir is read again. */
            o->retried = true;
            o->state = OPEN_WAITS;
            o->step = 0;
            if (a->imap) {
                if (!db_body_is(a->db, o->msg, STR(""), &err))
                    acct_db_error(a, &err);
            } else {
                a->scan_wanted = true;
                a->scan_at = 0;
            }
        }
    }
}

static void body_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    char why[400];
    snprintf(why, sizeof why, "%s", clean_line(text));
    if (kind != ERR_NONE && kind != ERR_CANCELED && !line_error(kind) && !db_body_failed(a->db, s->msg, &err))
        acct_db_error(a, &err);
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->state != OPEN_FETCHING || o->step != s->number)
            continue;
        if (kind != ERR_NONE) {
            open_refuse(a, o, kind, why);
        } else if (!s->seen) {
            open_refuse(a, o, ERR_NO_MESSAGE, "the server did not give the message");
        } else {
            o->state = OPEN_WAITS;
            o->step = 0;
        }
    }
}

static void opening(struct open_req *o, struct step *s)
{
    if (!s)
        return;
    s->msg = o->msg;
    o->step = s->number;
    o->state = OPEN_OPENING;
}

static void open_body(struct acct *a, struct open_req *o, const struct db_msg *m)
{
    for (struct open_req *q = a->opens; q; q = q->next)
        if (q != o && q->msg == o->msg && q->state == OPEN_FETCHING) {
            o->step = q->step;
            o->state = OPEN_FETCHING;
            return;
        }
    if (a->offline) {
        open_refuse(a, o, ERR_OFFLINE, "the message is not on this machine");
        return;
    }
    if (a->line != LINE_UP) {
        if (a->wait_change || a->retry || a->restart)
            open_refuse(a, o, ERR_OFFLINE, a->text[0] ? a->text : "the message is not on this machine");
        return; /* the line is on its way */
    }
    if (m->uid == 0 || m->sbox == 0) {
        open_refuse(a, o, ERR_NO_MESSAGE, "the server has not said where the message is now");
        return;
    }
    /* Nothing comes between a SELECT and the change that follows it. */
    if (a->batch && a->tail != m->sbox)
        return;
    uint64_t box = m->sbox;
    uint32_t uid = m->uid;
    if (!imap_select(a, box, !o->prefetch))
        return;
    struct step *s = STEP(a, body_done, -1, STEP_BODY, .urgent = !o->prefetch, .box = box, .uid = uid, .msg = o->msg);
    if (!s)
        return;
    s->msg = o->msg;
    s->box = box;
    s->a = uid;
    o->step = s->number;
    o->state = OPEN_FETCHING;
}

void open_pump(struct acct *a)
{
    for (struct open_req *o = a->opens, *next; o; o = next) {
        struct db_msg m;
        struct err err = ERR_INIT;
        next = o->next;
        if (o->state != OPEN_WAITS)
            continue;
        if (!db_msg_get(a->db, o->msg, &m, &err))
            open_refuse(a, o, err.kind, err.text);
        else if (!a->imap && m.name.n > 0)
            opening(o, STEP(a, file_done, -1, STEP_MAILDIR_OPEN, .folder = local_folder(a, m.sbox), .name = m.name));
        else if (!a->imap)
            open_refuse(a, o, ERR_NO_MESSAGE, "the file of the message is not there");
        else if (m.body.n > 0)
            opening(o, STEP(a, file_done, -1, STEP_FILE_OPEN, .path = m.body));
        else
            open_body(a, o, &m);
    }
}

bool acct_path_ok(struct str path)
{
    struct str rest = path, piece;
    size_t at;
    if (path.n == 0 || path.n > 500 || str_find(path, '\0', &at))
        return false;
    while (str_split(&rest, '/', &piece))
        if (piece.n == 0 || str_eqz(piece, ".") || str_eqz(piece, ".."))
            return false;
    return true;
}

static void on_body_at(struct acct *a, const struct m_BODY_AT *b)
{
    struct step *s = acct_step_find(a, b->step, MSG_STEP_BODY);
    struct err err = ERR_INIT;
    if (!s || s->msg != b->msg || s->box != b->box || s->a != b->uid || !acct_path_ok(b->path)) {
        acct_violation(a, "a body that was not asked for");
        return;
    }
    s->seen = true;
    a->pass_bytes += b->bytes;
    if (!db_body_is(a->db, b->msg, b->path, &err))
        acct_db_error(a, &err);
}

void open_message(struct acct *a, struct msg *m)
{
    if (m->kind == MSG_BODY_AT) {
        on_body_at(a, &m->u.BODY_AT);
        return;
    }
    uint32_t step = m->kind == MSG_MAILDIR_FD ? m->u.MAILDIR_FD.step : m->u.STEP_PROGRESS.step;
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->step != step || o->state == OPEN_WAITS)
            continue;
        if (m->kind == MSG_STEP_PROGRESS) {
            ANSWER(a->srv, o->client, -1, PROGRESS, .req = o->req, .done = m->u.STEP_PROGRESS.done,
                   .total = m->u.STEP_PROGRESS.total);
        } else if (o->state == OPEN_OPENING) {
            ANSWER(a->srv, o->client, m->fd, BODY, .req = o->req, .msg = o->msg);
            open_remove(a, o);
        }
    }
    /* An answer to somebody who left meanwhile is nothing wrong; a file nobody asked for is. */
    if (m->kind == MSG_MAILDIR_FD && !acct_step_find(a, step, MSG_STEP_MAILDIR_OPEN) &&
        !acct_step_find(a, step, MSG_STEP_FILE_OPEN))
        acct_violation(a, "a file that was not asked for");
    if (m->kind == MSG_STEP_PROGRESS)
        for (struct pass *p = a->passes; p; p = p->next)
            ANSWER(a->srv, p->client, -1, PROGRESS, .req = p->req, .done = m->u.STEP_PROGRESS.done,
                   .total = m->u.STEP_PROGRESS.total);
}
