/* A pass over a POP3 maildrop: list, fetch, delete what is safe, end. RFC 1939, 2449.
 *
 * The order that loses nothing (THREATS 86): the file is on disk (fetch), then the ledger and the row, then db_sync,
 * and only then the DELE; what a QUIT did not commit is deleted again by the next pass and never fetched again. */
#include "store/account.h"

#define WINDOW 100
#define DELE_WINDOW 1000
#define FAILURES_MAX 3
#define SEEN_MS 4000 /* clients that come and go do not make a login each */

enum pop_phase { POP_CONNECTING, POP_LISTING, POP_FETCHING, POP_DELETING, POP_QUITTING };
struct pop_run {
    enum pop_phase phase;
    struct pop_mail *mails;
    size_t n, cap, at; /* at: first mail behind the present window */
    size_t from;       /* first mail of the window */
    bool waits;        /* a step is under way */
    uint64_t inbox;
    uint32_t fresh, deleted, failed;
    uint64_t bytes;
    bool dele_sent;
};

static struct pop_policy policy_of(const struct acct *a)
{
    return (struct pop_policy){.keep = a->conf->leave == LEAVE_KEEP,
                               .days_given = a->conf->leave == LEAVE_DAYS,
                               .days = a->conf->leave_days,
                               .max_size = a->conf->max_size,
                               .now = clock_wall()};
}

static void run_free(struct acct *a)
{
    if (a->poprun)
        free(a->poprun->mails);
    free(a->poprun);
    a->poprun = NULL;
    a->pop_ended = clock_mono_ms();
    a->pop_due = a->pop_ended + (int64_t)MAX(a->conf->interval, 10u) * 1000;
}

static void pop_timer_fired(void *arg)
{
    struct acct *a = arg;
    a->pop_timer = NULL;
    acct_pump(a);
}

void pop_seen(struct acct *a)
{
    if (a->poprun)
        return;
    int64_t now = clock_mono_ms();
    a->pop_due = MIN(a->pop_due, MAX(now, a->pop_ended + SEEN_MS));
    watch_free(&a->pop_timer);
    a->pop_timer = loop_after(a->srv->loop, MAX(a->pop_due - now, (int64_t)0), pop_timer_fired, a);
}

void pop_drop(struct acct *a, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    (void)kind;
    (void)text;
    if (!a->poprun)
        return;
    if (a->poprun->dele_sent && !db_pop_quit(a->db, false, &err))
        acct_db_error(a, &err);
    a->pass_fresh += a->poprun->fresh;
    a->pass_bytes += a->poprun->bytes;
    a->pass_kept = (uint32_t)a->poprun->n;
    run_free(a);
}

/* ---- What fetch says ---------------------------------------------------------------------------- */
static void on_uidl(struct acct *a, const struct m_POP_UIDL *u)
{
    struct err err = ERR_INIT;
    if (!a->poprun || a->poprun->phase != POP_LISTING || !acct_step_find(a, u->step, MSG_STEP_POP_LIST) ||
        u->number == 0)
        acct_violation(a, "a listing that was not asked for");
    else if (!db_pop_add(a->db, u->number, u->size, u->uidl, &err))
        acct_db_error(a, &err);
}

static struct pop_mail *in_window(struct acct *a, uint32_t number)
{
    struct pop_run *r = a->poprun;
    for (size_t i = r ? r->from : 0; r && r->phase == POP_FETCHING && i < r->at; i++)
        if (r->mails[i].number == number && r->mails[i].retr)
            return &r->mails[i];
    return NULL;
}

static void on_delivered(struct acct *a, const struct m_DELIVERED *d)
{
    struct pop_mail *p = in_window(a, d->number);
    struct err err = ERR_INIT;
    uint64_t id;
    size_t at;
    if (!p || !acct_step_find(a, d->step, MSG_STEP_POP_RETR) || d->name.n == 0 || str_find(d->name, '/', &at) ||
        !acct_path_ok(d->path)) {
        acct_violation(a, "a delivery that was not asked for");
        return;
    }
    struct db_row row = {.box = a->poprun->inbox,
                         .name = d->name,
                         .flags = d->flags,
                         .size = d->size,
                         .internal_date = d->internal_date,
                         .date = d->date ? d->date : d->internal_date,
                         .attrs = d->attrs | ROW_FULL,
                         .state = ROW_BODY,
                         DB_ROW_HEADER(d)};
    if (!db_pop_delivered(a->db, d->number, &row, clock_wall(), &id, &err) ||
        !db_body_is(a->db, id, d->path, STR(""), &err)) {
        acct_db_error(a, &err);
        return;
    }
    p->known = POP_HAVE;
    p->delivered_at = clock_wall();
    a->poprun->fresh++;
    a->poprun->bytes += d->size;
}

static void on_failed(struct acct *a, const struct m_POP_FAILED *f)
{
    struct err err = ERR_INIT;
    if (!in_window(a, f->number) || f->kind >= ERR_COUNT) {
        acct_violation(a, "a failure of nothing");
        return;
    }
    a->poprun->failed++;
    acct_note(a, 1, (enum err_kind)f->kind, "message %u of %s stays on the server: %s", (unsigned)f->number, a->name,
              clean_line(f->text));
    if (!db_pop_failed(a->db, f->number, (enum err_kind)f->kind, &err))
        acct_db_error(a, &err);
}

void pop_message(struct acct *a, struct msg *m)
{
    if (m->kind == MSG_POP_UIDL)
        on_uidl(a, &m->u.POP_UIDL);
    else if (m->kind == MSG_DELIVERED)
        on_delivered(a, &m->u.DELIVERED);
    else
        on_failed(a, &m->u.POP_FAILED);
}

/* ---- Phases ------------------------------------------------------------------------------------- */
static void mail_add(void *arg, const struct db_pop *p)
{
    struct acct *a = arg;
    struct pop_run *r = a->poprun;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->mails = mem_resize(r->mails, r->cap, sizeof *r->mails);
    }
    enum pop_known known = p->state == POP_SEEN ? POP_NEW : p->state == POP_DELIVERED ? POP_HAVE : POP_DELETED;
    r->mails[r->n++] =
        (struct pop_mail){.number = p->number, .size = p->size, .known = known, .delivered_at = p->delivered};
    /* One that failed again and again does not hold up the others for ever; a pass by hand tries it. */
    if (known == POP_NEW && p->failures >= FAILURES_MAX && !a->passes)
        r->n--;
}

static void list_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    (void)s;
    if (!r)
        return;
    r->waits = false;
    if (kind != ERR_NONE) {
        acct_line_failed(a, kind, text);
        return;
    }
    if (!db_pop_end(a->db, clock_wall(), &err) || !db_pop_each(a->db, mail_add, a, &err)) {
        acct_db_error(a, &err);
        acct_line_failed(a, err.kind, str_z(err.text));
        return;
    }
    struct pop_policy p = policy_of(a);
    sync_pop_plan(r->mails, r->n, &p);
    r->phase = POP_FETCHING;
}

static void retr_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)s;
    if (!a->poprun)
        return;
    a->poprun->waits = false;
    if (kind != ERR_NONE) {
        acct_line_failed(a, kind, text);
        return;
    }
    /* What came may be deleted as far as the policy says: begin() of the next phase makes it durable first. */
    struct pop_policy p = policy_of(a);
    for (size_t i = a->poprun->from; i < a->poprun->at; i++) {
        struct pop_mail *m = &a->poprun->mails[i];
        if (m->retr && m->known == POP_HAVE)
            m->dele = sync_pop_may_delete(&p, m->delivered_at);
        m->retr = false;
    }
    a->poprun->phase = POP_DELETING;
}

static void dele_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    struct pop_run *r = a->poprun;
    (void)s;
    if (!r)
        return;
    r->waits = false;
    if (kind != ERR_NONE && (line_error(kind) || kind == ERR_CANCELED)) {
        acct_line_failed(a, kind, text);
        return;
    }
    if (kind != ERR_NONE)
        acct_note(a, 1, kind, "a message could not be deleted on the server: %s", clean_line(text));
    for (size_t i = 0; i < r->at; i++) {
        struct pop_mail *m = &r->mails[i];
        if (!m->dele || m->known != POP_DELETED || !m->asked)
            continue;
        m->asked = m->dele = false;
        if (kind == ERR_NONE) {
            r->deleted++;
            if (!db_pop_dele_ok(a->db, m->number, &err))
                acct_db_error(a, &err);
        }
    }
    r->phase = POP_DELETING;
}

static void quit_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    struct pop_run *r = a->poprun;
    (void)s;
    if (!r)
        return;
    bool ok = kind == ERR_NONE;
    if (!db_pop_quit(a->db, ok, &err))
        acct_db_error(a, &err);
    if (!ok && r->deleted > 0)
        acct_note(a, 1, kind, "the server did not confirm the end (%s): %u deletions are made sure of next time",
                  clean_line(text), r->deleted);
    a->pass_fresh += r->fresh;
    a->pass_bytes += r->bytes;
    a->pass_removed += ok ? r->deleted : 0;
    a->pass_kept = (uint32_t)r->n - (ok ? r->deleted : 0);
    uint32_t failed = r->failed;
    run_free(a);
    a->line = LINE_DOWN;
    a->attempt = 0;
    acct_state(a, ACCOUNT_ONLINE, ERR_NONE, "");
    acct_pass_end(a, failed ? ERR_SERVER_NO : ERR_NONE, failed ? "some messages could not be fetched" : "");
}

static void connect_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)s;
    a->connect_step = 0;
    if (kind != ERR_NONE) {
        struct err why = a->secret_err;
        bool no_secret = kind == ERR_CANCELED && why.kind;
        a->secret_err = ERR_INIT;
        acct_line_failed(a, no_secret ? why.kind : kind, no_secret ? str_z(why.text) : text);
        return;
    }
    acct_connected(a);
    if (a->poprun) {
        a->poprun->waits = false;
        a->poprun->phase = POP_LISTING;
    }
}

static void begin(struct acct *a)
{
    a->poprun = mem_new(sizeof *a->poprun);
    struct step *s = STEP(a, connect_done, -1, STEP_CONNECT, .step = 0);
    if (!s) {
        run_free(a);
        return;
    }
    a->poprun->waits = true;
    a->connect_step = s->number;
    a->line = LINE_CONNECTING;
    acct_state(a, ACCOUNT_CONNECTING, ERR_NONE, "");
}

static bool listing(struct acct *a)
{
    struct err err = ERR_INIT;
    ptrdiff_t inbox = box_role(a, BOX_INBOX);
    if (inbox >= 0)
        a->poprun->inbox = a->plan[inbox].id;
    else if (!db_box_put(a->db,
                         &(struct db_box){.name = STR(""),
                                          .utf8 = STR("INBOX"),
                                          .role = BOX_INBOX,
                                          .exists = UINT32_MAX,
                                          .unread = UINT32_MAX},
                         &a->poprun->inbox, &err))
        return acct_db_error(a, &err), false;
    if (!db_pop_begin(a->db, &err))
        return acct_db_error(a, &err), false;
    a->poprun->waits = STEP(a, list_done, -1, STEP_POP_LIST, .step = 0) != NULL;
    return true;
}

/* The next window of messages; false when there is none left. */
static bool fetching(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct buf numbers = BUF_INIT(32768);
    size_t n = 0;
    r->from = r->at;
    for (; r->at < r->n && n < WINDOW; r->at++)
        if (r->mails[r->at].retr) {
            ipc_ranges_add(&numbers, r->mails[r->at].number, r->mails[r->at].number);
            n++;
        }
    if (n > 0)
        r->waits = STEP(a, retr_done, -1, STEP_POP_RETR, .numbers = buf_str(&numbers)) != NULL;
    buf_fini(&numbers);
    return n > 0;
}

/* DELE for what is delivered and durable; false when nothing (more) is to be deleted among what was handled. */
static bool deleting(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct buf numbers = BUF_INIT(32768);
    struct err err = ERR_INIT;
    size_t n = 0;
    for (size_t i = 0; i < r->at && n < DELE_WINDOW; i++) {
        struct pop_mail *m = &r->mails[i];
        if (!m->dele || m->retr)
            continue;
        if (!db_pop_delete(a->db, m->number, &err)) {
            acct_db_error(a, &err);
            m->dele = false;
            continue;
        }
        m->known = POP_DELETED;
        m->asked = true;
        ipc_ranges_add(&numbers, m->number, m->number);
        n++;
    }
    if (n > 0 && !db_sync(a->db, &err)) {
        /* Not durable: nothing is deleted on the server. */
        acct_db_error(a, &err);
        for (size_t i = 0; i < r->at; i++)
            r->mails[i].dele = false;
        n = 0;
    }
    if (n > 0) {
        r->dele_sent = true;
        r->waits = STEP(a, dele_done, -1, STEP_POP_DELE, .numbers = buf_str(&numbers)) != NULL;
    }
    buf_fini(&numbers);
    return n > 0;
}

void pop_pump(struct acct *a)
{
    struct pop_run *r = a->poprun;
    if (!r) {
        if (clock_mono_ms() >= a->pop_due && !a->offline && !a->wait_change && !a->retry && !a->connect_step)
            begin(a);
        return;
    }
    if (r->waits)
        return;
    if (r->phase == POP_LISTING && !listing(a)) {
        acct_line_failed(a, ERR_STORE, STR("the ledger cannot be written"));
        return;
    }
    while (!r->waits && (r->phase == POP_FETCHING || r->phase == POP_DELETING)) {
        if (r->phase == POP_DELETING) {
            if (!deleting(a))
                r->phase = POP_FETCHING;
        } else if (!fetching(a)) {
            /* What was known before is deleted with the last window. */
            if (!deleting(a)) {
                r->phase = POP_QUITTING;
                break;
            }
        }
    }
    if (r->phase == POP_QUITTING && !r->waits)
        r->waits = STEP(a, quit_done, -1, STEP_POP_QUIT, .step = 0) != NULL;
}
