/* Bytes of a message for a client: a file that is here is opened by fetch (the store sees no mail), another is fetched
 * first. A client gets a file description of its own, so that two readers do not share a position. */
#include "mail/absent.h"
#include "store/account.h"

#include <unistd.h>

#define OPENS_MAX 256
#define PATIENT_ATTEMPTS 2 /* a line that was lost is back within seconds, or is waited for by nobody */

enum open_state { OPEN_WAITS, OPEN_FETCHING, OPEN_OPENING };
struct open_req {
    struct open_req *next;
    uint64_t client, msg;
    uint32_t req, step;
    char want[128]; /* as in OPEN */
    bool prefetch, retried;
    unsigned patience; /* its line was lost: so many more failures of one it outlives; 0 none */
    bool fetched;      /* a step for it ended well */
    bool looked;       /* its place was looked up */
    bool overtake;     /* its step is an urgent one */
    bool glimpse;      /* of a stub: its header goes first, or has gone (glimpsed) */
    bool glimpsed;
    char *absent; /* OPEN_OPENING: of the file that is opened */
    enum open_state state;
};

static void open_remove(struct acct *a, struct open_req *o)
{
    for (struct open_req **p = &a->opens; *p; p = &(*p)->next)
        if (*p == o) {
            *p = o->next;
            free(o->absent);
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

/* The file that is here has what is wanted. */
static bool is_here(const struct open_req *o, const struct db_msg *m)
{
    struct absent part;
    if (!m->body.n || !o->want[0] || !m->absent.n)
        return m->body.n > 0;
    return strcmp(o->want, "*") != 0 && !absent_find(m->absent, str_z(o->want), &part);
}

void open_ask(struct acct *a, uint64_t client, const struct m_OPEN *ask)
{
    uint64_t msg = ask->msg;
    uint32_t req = ask->req;
    struct db_msg m;
    struct err err = ERR_INIT;
    unsigned n = 0;
    for (struct open_req *o = a->opens; o; o = o->next)
        n++;
    if (n >= OPENS_MAX) {
        server_refuse(a->srv, client, req, ERR_LIMIT, "too many messages are asked for at once");
        return;
    }
    if (!db_msg_get(a->db, msg, &m, &err)) {
        server_refuse(a->srv, client, req, err.kind, err.text);
        return;
    }
    struct open_req *o = mem_new(sizeof *o), **at = &a->opens;
    *o = (struct open_req){.client = client, .req = req, .msg = msg, .prefetch = ask->prefetch};
    snprintf(o->want, sizeof o->want, "%.*s", STR_FMT(ask->want));
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
        else if (o->patience > 1 && a->retry && a->attempt <= PATIENT_ATTEMPTS)
            o->patience--;
        else if (o->state == OPEN_WAITS && (a->imap || o->glimpsed) && !a->offline && (a->wait_change || a->retry)) {
            /* Only those that need the line; a file that is here is served. */
            struct db_msg m;
            struct err err = ERR_INIT;
            if (db_msg_get(a->db, o->msg, &m, &err) && (o->glimpsed || (!is_here(o, &m) && m.name.n == 0)))
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
            struct db_msg m;
            o->retried = true;
            o->state = OPEN_WAITS;
            o->step = 0;
            if (a->imap) {
                /* Or it has grown meanwhile. */
                if (db_msg_get(a->db, o->msg, &m, &err) && str_eq(m.absent, str_z(o->absent)) &&
                    !db_body_is(a->db, o->msg, STR(""), STR(""), &err))
                    acct_db_error(a, &err);
            } else if (db_msg_get(a->db, o->msg, &m, &err)) {
                ptrdiff_t box = box_at(a, m.sbox);
                if (box >= 0 && kind == ERR_NO_MESSAGE)
                    a->boxes[box].scan = true;
            }
        }
    }
}

static bool lost(enum err_kind kind)
{
    return kind == ERR_LINE || kind == ERR_TIMEOUT || kind == ERR_SERVER_BYE || kind == ERR_PROTOCOL;
}

static void body_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    char why[400];
    snprintf(why, sizeof why, "%s", clean_line(text));
    struct db_msg m;
    bool failed = kind != ERR_NONE && kind != ERR_CANCELED && (!line_error(kind) || kind == ERR_PROTOCOL) &&
                  db_msg_get(a->db, s->msg, &m, &err);
    /* A move that was on its way overtook it: the message is asked for where it is now. */
    bool moved = failed && (m.sbox != s->box || m.uid != s->a);
    if (failed && !moved && !m.body.n && !db_body_failed(a->db, s->msg, &err))
        acct_db_error(a, &err);
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->state != OPEN_FETCHING || o->step != s->number)
            continue;
        /* The next line may serve it, from where this one broke off; once. What was canceled is another one's, and took
         * the line along. */
        bool again = !o->prefetch && !o->patience && (lost(kind) || kind == ERR_CANCELED);
        if (again)
            o->patience = a->line == LINE_UP && lost(kind) ? 2 : 1; /* LOST comes, or came, or delays nothing */
        if (moved || again) {
            o->state = OPEN_WAITS;
            o->step = 0;
        } else if (kind != ERR_NONE) {
            open_refuse(a, o, kind, why);
        } else if (!s->seen) {
            if (o->client == 0 && !db_body_failed(a->db, o->msg, &err))
                acct_db_error(a, &err);
            open_refuse(a, o, ERR_NO_MESSAGE, "the server did not give the message");
        } else {
            o->state = OPEN_WAITS;
            o->fetched = true;
            o->step = 0;
        }
    }
}

static void opening(struct open_req *o, struct step *s, struct str absent)
{
    if (!s)
        return;
    free(o->absent);
    o->absent = mem_dup_n(absent.p, absent.n);
    s->msg = o->msg;
    o->step = s->number;
    o->state = OPEN_OPENING;
}

/* Joins a step that fetches the same. A step of a prefetch is overtaken by one that somebody waits for: *old_r. */
static bool open_joins(struct acct *a, struct open_req *o, uint32_t *old_r)
{
    for (const struct open_req *q = a->opens; q; q = q->next) {
        if (q == o || q->msg != o->msg || q->state != OPEN_FETCHING || strcmp(q->want, o->want) != 0)
            continue;
        if (!o->prefetch && !q->overtake) {
            *old_r = q->step;
            continue;
        }
        o->step = q->step;
        o->overtake = q->overtake;
        o->state = OPEN_FETCHING;
        return true;
    }
    return false;
}

static void open_not_here(struct acct *a, struct open_req *o, const char *what)
{
    char text[400];
    if (a->offline)
        snprintf(text, sizeof text, "%s: \":offline off %s\" connects, then open it again", what, a->name);
    else
        snprintf(text, sizeof text, "%s, and there is no connection (%.200s): \":reconnect %s\" tries now", what,
                 a->text[0] ? a->text : "not connected", a->name);
    open_refuse(a, o, ERR_OFFLINE, text);
}

/* ---- A message whose place is not known --------------------------------------------------------- */
static void look_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    a->selected = 0; /* fetch was in that mailbox */
    if (kind == ERR_NONE && s->seen && !db_item_found(a->db, s->msg, s->box, (uint32_t)s->b, (uint32_t)s->a, &err))
        acct_db_error(a, &err);
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->state != OPEN_FETCHING || o->step != s->number)
            continue;
        o->state = OPEN_WAITS;
        o->step = 0;
        o->looked = true;
        if (kind != ERR_NONE)
            open_refuse(a, o, kind, clean_line(text));
    }
}

bool open_found(struct acct *a, const struct m_FOUND *f)
{
    struct step *s = acct_step_find(a, f->step, MSG_STEP_FIND);
    struct db_msg m, at;
    struct err err = ERR_INIT, none = ERR_INIT;
    if (!s || s->done != look_done)
        return false;
    /* Another message with that id, or one that has been there before. */
    if (f->box != s->box || f->uid <= s->a || !db_msg_get(a->db, s->msg, &m, &err) ||
        (m.size && f->size && m.size != f->size) || db_msg_at(a->db, f->box, f->uid, &at, &none))
        return true;
    s->seen = true;
    s->a = f->uid;
    s->b = f->uidvalidity;
    return true;
}

/* It was moved on a server that does not say where to (no UIDPLUS), and the new place is not listed yet. */
static void open_look(struct acct *a, struct open_req *o, const struct db_msg *m)
{
    ptrdiff_t at = box_at(a, m->sbox);
    if (at < 0 || m->msgid.n == 0 || o->looked) {
        open_refuse(a, o, ERR_NO_MESSAGE, "the server has not said where the message is now");
        return;
    }
    if ((m->state & ROW_PENDING) || a->batch)
        return; /* what is on its way settles it */
    struct step *s = STEP(a, look_done, -1, STEP_FIND, .box = m->sbox, .name = box_name(&a->boxes[at]),
                          .msgid = m->msgid, .size = m->size);
    if (!s)
        return;
    s->msg = o->msg;
    s->box = m->sbox;
    a->tail = 0;
    o->step = s->number;
    o->state = OPEN_FETCHING;
}

static void open_body(struct acct *a, struct open_req *o, const struct db_msg *m)
{
    struct db_msg now;
    struct err err = ERR_INIT;
    uint32_t old = 0;
    if (open_joins(a, o, &old) || o->patience > 1)
        return;
    if (a->line != LINE_UP) {
        /* else the line is on its way */
        if (a->offline || a->held || a->wait_change || a->restart || (a->retry && !o->patience))
            open_not_here(a, o, "not fetched before");
        return;
    }
    if (m->uid == 0) {
        open_look(a, o, m);
        return;
    }
    if (o->fetched) {
        open_refuse(a, o, ERR_NO_MESSAGE, "the server did not give that part of the message");
        return;
    }
    /* Nothing comes between a SELECT and the change that follows it. */
    if (a->batch && a->tail != m->sbox)
        return;
    uint64_t box = m->sbox;
    if (!imap_select(a, box, !o->prefetch) || !db_msg_get(a->db, o->msg, &now, &err))
        return;
    /* Without a file that it could be put into, a part comes with all others. */
    struct str want = o->want[0] && !now.body.n ? STR("*") : str_z(o->want);
    struct step *s = STEP(a, body_done, -1, STEP_BODY, .urgent = !o->prefetch, .box = box, .uid = now.uid,
                          .msg = o->msg, .size = now.size, .want = want, .path = now.body, .absent = now.absent);
    if (!s)
        return;
    s->msg = o->msg;
    s->box = box;
    s->a = now.uid;
    o->step = s->number;
    o->overtake = !o->prefetch;
    o->state = OPEN_FETCHING;
    for (struct open_req *q = a->opens; old && q; q = q->next)
        if (q->step == old && q->state == OPEN_FETCHING) {
            q->step = s->number;
            q->overtake = true;
        }
    if (old)
        PEER_SEND(a->fetch, -1, STEP_CANCEL, .step = old);
}

/* Another mailbox has the same mail with its file (Gmail has all mail in All Mail too): that is linked to this place.
 */
static void linked(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    if (kind == ERR_NO_MESSAGE) {
        if (!db_body_is(a->db, s->b, STR(""), STR(""), &err)) /* a file that is not there */
            acct_db_error(a, &err);
    } else if (kind == ERR_IO) {
        a->no_links = true;
        log_msg(LOG_WARN, "%s: cached mail cannot be linked: %s", a->name, clean_line(text));
    }
    for (struct open_req *o = a->opens; o; o = o->next)
        if (o->state == OPEN_FETCHING && o->step == s->number) {
            o->state = OPEN_WAITS;
            o->step = 0;
        }
}

struct step *open_link(struct acct *a, const struct db_msg *m, bool whole)
{
    struct db_msg twin;
    struct err err = ERR_INIT;
    ptrdiff_t i = box_at(a, m->sbox);
    if (a->no_links || i < 0 || !m->uid || m->body.n)
        return NULL;
    uint64_t msg = m->id, box = m->sbox;
    uint32_t uid = m->uid;
    if (!db_body_twin(a->db, msg, &twin, &err)) {
        acct_db_error(a, &err);
        return NULL;
    }
    if (!twin.id || (whole && twin.absent.n))
        return NULL;
    const struct box *b = &a->boxes[i];
    struct step *s =
        STEP(a, linked, -1, STEP_FILE_LINK, .path = twin.body, .absent = twin.absent, .box = box,
             .name = (struct str){b->name, b->name_n}, .uidvalidity = b->uidvalidity, .uid = uid, .msg = msg);
    if (s) {
        s->msg = msg;
        s->box = box;
        s->a = uid;
        s->b = twin.id;
    }
    return s;
}

static bool open_linked(struct acct *a, struct open_req *o, const struct db_msg *m)
{
    struct step *s = open_link(a, m, false);
    if (s) {
        o->step = s->number;
        o->state = OPEN_FETCHING;
    }
    return s != NULL;
}

static void open_file(struct acct *a, struct open_req *o, const struct db_msg *m)
{
    struct str rest;
    uint64_t bytes;
    struct err err = ERR_INIT;
    absent_open(m->absent, &bytes, &rest);
    opening(o, STEP(a, file_done, -1, STEP_FILE_OPEN, .path = m->body, .bytes = bytes), m->absent);
    if (!o->prefetch && !db_body_used(a->db, o->msg, &err))
        acct_db_error(a, &err);
}

static void open_maildir(struct acct *a, struct open_req *o, const struct db_msg *m)
{
    o->glimpse = a->pop && (m->state & ROW_STUB) && !o->prefetch;
    opening(o, STEP(a, file_done, -1, STEP_MAILDIR_OPEN, .folder = local_folder(a, m->sbox), .name = m->name), STR(""));
}

/* Its header has been shown; now its body, where there can be a line. */
static void open_stub(struct acct *a, struct open_req *o, uint64_t size)
{
    struct err why = ERR_INIT;
    uint32_t old = 0;
    if (open_joins(a, o, &old))
        return;
    bool never = a->offline || a->held || a->wait_change || a->restart || (a->retry && !o->patience);
    if (!never && a->retry)
        return; /* the line is on its way */
    struct step *s = never ? NULL : pop_want(a, o->msg, &why);
    struct buf text = BUF_INIT(600);
    buf_add_size(&text, size);
    if (s) {
        o->step = s->number;
        o->state = OPEN_FETCHING;
        o->overtake = true;
    } else if (never) {
        buf_addz(&text, ", still on the server");
        open_not_here(a, o, buf_z(&text));
    } else if (why.kind) {
        buf_addf(&text, ": %s", why.text);
        open_refuse(a, o, why.kind, buf_z(&text));
    }
    buf_fini(&text);
}

void open_step_done(struct acct *a, const struct step *s, enum err_kind kind, struct str text)
{
    char why[400];
    snprintf(why, sizeof why, "%s", clean_line(text));
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->state != OPEN_FETCHING || o->step != s->number)
            continue;
        /* The next line may serve it; once. */
        bool again = lost(kind) && !o->patience;
        if (again)
            o->patience = a->line == LINE_UP ? 2 : 1; /* LOST comes, or came */
        if (again || kind == ERR_NONE) {
            o->state = OPEN_WAITS;
            o->step = 0;
        } else {
            open_refuse(a, o, kind, why);
        }
    }
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
        else if (a->pop && (m.state & ROW_STUB) && !o->prefetch && o->glimpsed)
            open_stub(a, o, m.size);
        else if (!a->imap && m.name.n > 0)
            open_maildir(a, o, &m);
        else if (!a->imap)
            open_refuse(a, o, ERR_NO_MESSAGE, "the file of the message is not there");
        else if (is_here(o, &m) && o->client == 0) /* for the rules: the index reads it */
            open_remove(a, o);
        else if (is_here(o, &m))
            open_file(a, o, &m);
        else if (!open_linked(a, o, &m) && db_msg_get(a->db, o->msg, &m, &err))
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
    uint64_t bytes;
    struct str rest;
    s = s ? s : acct_step_find(a, b->step, MSG_STEP_FILE_LINK);
    if (!s || s->msg != b->msg || s->box != b->box || s->a != b->uid || !acct_path_ok(b->path) ||
        !absent_open(b->absent, &bytes, &rest)) {
        acct_violation(a, "a body that was not asked for");
        return;
    }
    s->seen = true;
    a->pass_bytes += b->bytes;
    bool ok = db_body_is(a->db, b->msg, b->path, b->absent, &err);
    if (ok && b->attachments != BODY_ATTACHMENTS_UNKNOWN)
        ok = db_row_attachment(a->db, b->msg, b->attachments == BODY_HAS_ATTACHMENTS, &err);
    if (!ok)
        acct_db_error(a, &err);
}

/* The beginning of a message is here, or all of it: whoever waits for it sees it. */
static void on_body_begun(struct acct *a, const struct msg *m)
{
    const struct m_BODY_BEGUN *b = &m->u.BODY_BEGUN;
    uint64_t bytes;
    struct str rest;
    if (!acct_step_find(a, b->step, MSG_STEP_BODY) || !absent_open(b->absent, &bytes, &rest)) {
        acct_violation(a, "a body that was not asked for");
        return;
    }
    for (struct open_req *o = a->opens, *next; o; o = next) {
        next = o->next;
        if (o->step != b->step || o->state != OPEN_FETCHING || o->prefetch || o->want[0])
            continue;
        ANSWER(a->srv, o->client, m->fd, BODY, .req = o->req, .msg = o->msg, .more = !b->all, .absent = b->absent);
        if (b->all)
            open_remove(a, o);
    }
}

void open_message(struct acct *a, struct msg *m)
{
    if (m->kind == MSG_BODY_AT) {
        on_body_at(a, &m->u.BODY_AT);
        return;
    }
    if (m->kind == MSG_BODY_BEGUN) {
        on_body_begun(a, m);
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
            ANSWER(a->srv, o->client, m->fd, BODY, .req = o->req, .msg = o->msg, .more = o->glimpse,
                   .absent = str_z(o->absent));
            if (o->glimpse) {
                o->glimpse = false;
                o->glimpsed = true;
                o->state = OPEN_WAITS;
                o->step = 0;
            } else {
                open_remove(a, o);
            }
        }
    }
    /* An answer to somebody who left meanwhile is nothing wrong; a file nobody asked for is. */
    if (m->kind == MSG_MAILDIR_FD && !acct_step_find(a, step, MSG_STEP_MAILDIR_OPEN) &&
        !acct_step_find(a, step, MSG_STEP_FILE_OPEN))
        acct_violation(a, "a file that was not asked for");
    if (m->kind == MSG_STEP_PROGRESS && a->pop)
        pop_progress(a, &m->u.STEP_PROGRESS);
    else if (m->kind == MSG_STEP_PROGRESS)
        for (struct pass *p = a->passes; p; p = p->next)
            ANSWER(a->srv, p->client, -1, PROGRESS, .req = p->req, .done = m->u.STEP_PROGRESS.done,
                   .total = m->u.STEP_PROGRESS.total);
}
