/* A pass over a POP3 maildrop: list, fetch, delete what is safe, end. RFC 1939, 2449.
 *
 * The order that loses nothing (THREATS 86): the file is on disk (fetch), then the ledger and the row, then db_sync,
 * and only then the DELE; what a QUIT did not commit is deleted again by the next pass and never fetched again. DELE
 * takes effect with QUIT alone, so all of them go together at the end, and the line never waits between messages. */
#include "mail/mark.h"
#include "store/account.h"

#include <time.h>

#define SEEN_MS 4000 /* clients that come and go do not make a login each */
#define SHOWN_MS 250
#define RATE_MS 1000 /* before this nothing is said of speed */

#define LOOK_MAX 128 /* headers of kept mail that are looked at in one pass */

enum pop_phase { POP_CONNECTING, POP_LISTING, POP_LOOKING, POP_FETCHING, POP_CHECKING, POP_DELETING, POP_QUITTING };
/* A listed message whose header is a row here. */
struct pop_body {
    uint32_t number;
    uint64_t msg;
};
struct pop_run {
    enum pop_phase phase;
    struct pop_body *bodies;             /* by number, rising */
    size_t nbodies, cap_bodies, at_body; /* at_body: those before it are through */
    struct pop_mail *mails;              /* by number, rising */
    size_t n, cap, at; /* at: so many of them have been gone through, in the order of option fetch-order */
    bool waits;        /* a step is under way */
    uint32_t step;     /* which, of those that can be stopped; else 0 */
    bool stopped;      /* by the user: what is here is finished, no more is fetched */
    uint64_t inbox;
    uint32_t fresh, deleted, failed, left_out; /* left_out: too large, and no header to show */
    uint32_t headers;                          /* of the fresh ones, those of which that is all there is */
    struct err ledger;                         /* why nothing (more) was deleted */
    bool dele_sent;
    bool chosen; /* what is looked at of that which stays */
    /* progress */
    uint32_t wanted, came;
    uint64_t bytes, bytes_wanted, bytes_before; /* before: those of the steps that ended */
    int64_t began, shown;                       /* monotonic; shown 0: nothing was */
    uint64_t to_show;
};

static struct pop_policy policy_of(const struct acct *a)
{
    return (struct pop_policy){.keep = a->conf->leave == LEAVE_KEEP,
                               .days_given = a->conf->leave == LEAVE_DAYS,
                               .days = a->conf->leave_days,
                               .max_size = a->conf->max_size,
                               .by_hand = a->passes != NULL,
                               .now = clock_wall()};
}

/* As listed, which may be anything. */
static uint64_t bytes_of(const struct pop_mail *m)
{
    return MIN(m->size, UINT64_C(1) << 40);
}

static void show_end(struct acct *a)
{
    if (a->poprun && a->poprun->shown)
        BROADCAST(a->srv, PROGRESS, .req = 0, .account = str_z(a->name));
}

static void run_free(struct acct *a)
{
    show_end(a);
    watch_free(&a->pop_show);
    if (a->poprun) {
        free(a->poprun->mails);
        free(a->poprun->bodies);
    }
    free(a->poprun);
    a->poprun = NULL;
    a->pop_ended = clock_mono_ms();
    a->pop_due = a->pop_ended + (int64_t)a->conf->interval * 1000;
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

static void stopped_words(const struct pop_run *r, char words[120])
{
    snprintf(words, 120, "stopped after %u of %u; the rest comes next time", r->came, r->wanted);
}

void pop_drop(struct acct *a, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    (void)text;
    if (!a->poprun)
        return;
    if (a->poprun->dele_sent && !db_pop_quit(a->db, false, &err))
        acct_db_error(a, &err);
    a->pass_fresh += a->poprun->fresh;
    a->pass_bytes += a->poprun->bytes;
    a->pass_kept = (uint32_t)a->poprun->n;
    /* The back-off says when; or it was about one message, and the others are still wanted. */
    bool again = kind != ERR_CANCELED || (!a->poprun->stopped && a->poprun->came < a->poprun->wanted);
    if (a->poprun->stopped) {
        char words[120];
        stopped_words(a->poprun, words);
        acct_pass_end(a, ERR_CANCELED, words);
    }
    run_free(a);
    if (again)
        a->pop_due = 0;
}

/* ---- Progress and its end ----------------------------------------------------------------------- */
static void show_fired(void *arg);

/* So many times a second at most, and what came last. */
static void show(struct acct *a, uint64_t bytes)
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
        show(a, a->poprun->to_show);
}

void pop_progress(struct acct *a, const struct m_STEP_PROGRESS *p)
{
    struct pop_run *r = a->poprun;
    if (r && r->phase == POP_FETCHING && r->step == p->step)
        show(a, r->bytes_before + MIN(p->done, UINT64_MAX / 4));
}

bool pop_stop(struct acct *a)
{
    struct pop_run *r = a->poprun;
    if (!r || r->stopped || r->phase >= POP_DELETING)
        return r != NULL;
    r->stopped = true;
    if (a->fetch && (a->connect_step || r->step))
        PEER_SEND(a->fetch, -1, STEP_CANCEL, .step = a->connect_step ? a->connect_step : r->step);
    return true;
}

/* ---- What fetch says ---------------------------------------------------------------------------- */
static void on_uidls(struct acct *a, const struct m_POP_UIDLS *u)
{
    struct err err = ERR_INIT;
    struct str rest = u->mails, uidl;
    uint32_t number;
    uint64_t size;
    bool asked = a->poprun && a->poprun->phase == POP_LISTING && acct_step_find(a, u->step, MSG_STEP_POP_LIST);
    bool ok = true;
    while (asked && ok && ipc_mails_next(&rest, &number, &size, &uidl)) {
        asked = number > 0;
        ok = !asked || db_pop_add(a->db, number, size, uidl, &err);
    }
    if (!asked || (ok && rest.n > 0))
        acct_violation(a, "a listing that was not asked for");
    else if (!ok)
        acct_db_error(a, &err);
}

static struct pop_mail *mail_of(struct pop_run *r, uint32_t number)
{
    size_t lo = 0, hi = r ? r->n : 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->mails[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return r && lo < r->n && r->mails[lo].number == number ? &r->mails[lo] : NULL;
}

static void on_delivered(struct acct *a, const struct m_DELIVERED *d)
{
    struct pop_run *r = a->poprun;
    struct pop_mail *p = mail_of(r, d->number);
    struct err err = ERR_INIT;
    uint64_t id;
    size_t at;
    struct mark mark = mark_read(d->name);
    if (!p || !p->asked || r->phase != POP_FETCHING || !acct_step_find(a, d->step, MSG_STEP_POP_RETR) ||
        (p->take == POP_HEADER) != (mark.stub != 0) || d->name.n == 0 || str_find(d->name, '/', &at) ||
        !acct_path_ok(d->path)) {
        acct_violation(a, "a delivery that was not asked for");
        return;
    }
    struct db_row row = {.box = r->inbox,
                         .name = d->name,
                         .flags = d->flags,
                         .size = mark.stub ? mark.stub : d->size,
                         .internal_date = d->internal_date,
                         .date = d->date ? d->date : d->internal_date,
                         .attrs = d->attrs | ROW_FULL,
                         .state = mark.stub ? ROW_STUB : ROW_BODY,
                         DB_ROW_HEADER(d)};
    if (!db_pop_delivered(a->db, d->number, &row, d->head, clock_wall(), &id, &err) ||
        !db_body_is(a->db, id, d->path, STR(""), &err)) {
        acct_db_error(a, &err);
        return;
    }
    p->asked = false;
    p->known = mark.stub ? POP_PARTLY : POP_HAVE;
    p->delivered_at = clock_wall();
    p->sure = true;
    r->fresh++;
    r->headers += mark.stub != 0;
    r->came++;
    r->bytes += bytes_of(p);
    show(a, r->bytes);
}

/* -ERR for one message, to RETR or to DELE. */
static void on_failed(struct acct *a, const struct m_POP_FAILED *f)
{
    struct err err = ERR_INIT;
    struct pop_mail *p = mail_of(a->poprun, f->number);
    if (!p || !p->asked || f->kind >= ERR_COUNT) {
        acct_violation(a, "a failure of nothing");
        return;
    }
    p->asked = false;
    bool dele = a->poprun->phase == POP_DELETING;
    if (!dele) {
        a->poprun->failed += p->take == POP_WHOLE;
        a->poprun->left_out += p->take == POP_HEADER;
    }
    /* What fails each time is told of once (THREATS 81, 88). */
    if (p->failures > 0 && !a->passes) {
        ;
    } else if (!dele && p->take == POP_HEADER) {
        struct buf size = BUF_INIT(40);
        buf_add_size(&size, p->size);
        acct_note(
            a, 1, (enum err_kind)f->kind,
            "a mail of %s stays on the server, over max-size and without a header to show: %s; a greater max-size "
            "fetches it",
            buf_z(&size), clean_line(f->text));
        buf_fini(&size);
    } else {
        acct_note(a, 1, (enum err_kind)f->kind,
                  dele ? "message %u of %s is here, but could not be deleted on the server: %s"
                       : "message %u of %s stays on the server: %s",
                  (unsigned)f->number, a->name, clean_line(f->text));
    }
    if (!db_pop_failed(a->db, f->number, (enum err_kind)f->kind, &err))
        acct_db_error(a, &err);
}

/* One that is looked at before it is deleted, or because it stays. */
static void on_checked(struct acct *a, const struct m_POP_HEAD *h)
{
    struct pop_run *r = a->poprun;
    struct pop_mail *m = mail_of(r, h->number);
    struct err err = ERR_INIT;
    enum pop_is is;
    if (!m || !m->asked || h->head.n == 0) {
        acct_violation(a, "a header that was not asked for");
    } else if (!db_pop_compare(a->db, h->number, h->head, clock_wall(), &is, &err)) {
        acct_db_error(a, &err);
    } else {
        m->other = is == POP_OTHER;
        m->sure = is == POP_SAME;
    }
}

static void on_head(struct acct *a, const struct m_POP_HEAD *h)
{
    struct err err = ERR_INIT;
    struct pop_run *r = a->poprun;
    bool asked = acct_step_find(a, h->step, MSG_STEP_POP_HEADS);
    if (asked && r && r->phase == POP_CHECKING)
        on_checked(a, h);
    else if (!asked || !db_pop_head(a->db, h->number, h->head, &err))
        acct_violation(a, "a header that was not asked for");
}

void pop_message(struct acct *a, struct msg *m)
{
    if (m->kind == MSG_POP_UIDLS)
        on_uidls(a, &m->u.POP_UIDLS);
    else if (m->kind == MSG_DELIVERED)
        on_delivered(a, &m->u.DELIVERED);
    else if (m->kind == MSG_POP_HEAD)
        on_head(a, &m->u.POP_HEAD);
    else
        on_failed(a, &m->u.POP_FAILED);
}

/* ---- Phases ------------------------------------------------------------------------------------- */
static int by_number(const void *a, const void *b)
{
    const struct pop_mail *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static void mail_add(void *arg, const struct db_pop *p)
{
    struct acct *a = arg;
    struct pop_run *r = a->poprun;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->mails = mem_resize(r->mails, r->cap, sizeof *r->mails);
    }
    r->mails[r->n++] =
        (struct pop_mail){.number = p->number,
                          .size = p->size,
                          .known = p->state == POP_SEEN   ? POP_NEW
                                   : p->state == POP_STUB ? POP_PARTLY
                                                          : POP_HAVE,
                          .unsure = p->unsure,
                          .sure = p->sure,
                          .nameless = !p->hashed,
                          .order = p->id,
                          .looked_at = p->checked,
                          .deleted_here = a->pop_deletes != DELETES_NEVER &&
                                          (p->purged || (a->pop_deletes == DELETES_TRASH && p->in_trash)),
                          /* A full disk or a server's passing trouble is no fault of the message. */
                          .failures = err_scope(p->why) == SCOPE_MESSAGE ? p->failures : MIN(p->failures, 1u),
                          .delivered_at = p->delivered};
}

static void body_add(void *arg, uint32_t number, uint64_t msg)
{
    struct acct *a = arg;
    struct pop_run *r = a->poprun;
    if (r->nbodies == r->cap_bodies) {
        r->cap_bodies = r->cap_bodies ? r->cap_bodies * 2 : 16;
        r->bodies = mem_resize(r->bodies, r->cap_bodies, sizeof *r->bodies);
    }
    r->bodies[r->nbodies++] = (struct pop_body){number, msg};
}

/* The ledger has the listing: what is to be done? */
static void planned(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    static const char *const deletes[] = {
        [DELETES_NEVER] = "never", [DELETES_PURGED] = "purged", [DELETES_TRASH] = "trash"};
    a->pop_deletes = DELETES_NEVER;
    for (uint8_t i = 0; i < COUNT(deletes); i++)
        if (strcmp(a->conf->delete_on_server, deletes[i]) == 0)
            a->pop_deletes = i;
    ptrdiff_t trash = a->pop_deletes == DELETES_TRASH ? box_role(a, BOX_TRASH) : -1;
    if (!db_pop_each(a->db, trash < 0 ? 0 : a->plan[trash].id, mail_add, a, &err) ||
        !db_pop_stubs(a->db, body_add, a, &err)) {
        acct_db_error(a, &err);
        acct_line_failed(a, err.kind, str_z(err.text));
        return;
    }
    struct pop_policy p = policy_of(a);
    if (r->n)
        qsort(r->mails, r->n, sizeof *r->mails, by_number);
    sync_pop_plan(r->mails, r->n, &p);
    for (size_t i = 0; i < r->n; i++)
        if (r->mails[i].take == POP_WHOLE) {
            r->wanted++;
            r->bytes_wanted += bytes_of(&r->mails[i]);
        }
    r->began = clock_mono_ms();
    r->phase = POP_FETCHING;
}

/* Where the headers could not be looked at, the UIDLs are believed. */
static void heads_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    uint32_t known = 0, doubts = (uint32_t)s->a;
    if (!r)
        return;
    r->waits = false;
    r->step = 0;
    if (kind == ERR_CANCELED || line_error(kind)) {
        acct_line_failed(a, kind, text);
        return;
    }
    if (!db_pop_settle(a->db, clock_wall(), &known, &err)) {
        acct_db_error(a, &err);
        acct_line_failed(a, err.kind, str_z(err.text));
        return;
    }
    if (known)
        log_msg(LOG_INFO, "%s: %u messages have new UIDLs and were known by their headers", a->name, known);
    if (kind != ERR_NONE && doubts > 1)
        acct_note(
            a, 1, kind,
            "the server gives other ids than before to %u messages of %s and no headers to know them by; mail that "
            "is here already may come again",
            doubts, a->name);
    planned(a);
}

struct doubts {
    struct buf numbers; /* past its end: believed */
    uint64_t max_size;
};

/* What is not fetched whole anyway is not worth more than its header. */
static void doubt_add(void *arg, uint32_t number, uint64_t size)
{
    struct doubts *d = arg;
    number |= d->max_size && size > d->max_size ? POP_HEAD_ONLY : 0;
    ipc_ranges_add(&d->numbers, number, number);
}

static void list_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    struct doubts d = {.numbers = BUF_INIT(32768), .max_size = a->conf->max_size};
    uint32_t doubts = 0;
    (void)s;
    if (!r)
        return;
    r->waits = false;
    r->step = 0;
    if (kind != ERR_NONE) {
        acct_line_failed(a, kind, text);
    } else if (!db_pop_end(a->db, clock_wall(), &doubts, &err) ||
               (doubts && !db_pop_doubts(a->db, doubt_add, &d, &err))) {
        acct_db_error(a, &err);
        acct_line_failed(a, err.kind, str_z(err.text));
    } else if (doubts == 0) {
        planned(a);
    } else if ((s = STEP(a, heads_done, -1, STEP_POP_HEADS, .numbers = buf_str(&d.numbers), .whole = 0))) {
        s->a = doubts;
        r->step = s->number;
        r->waits = true;
        r->phase = POP_LOOKING;
    }
    buf_fini(&d.numbers);
}

/* ---- Are they those that the ledger means? ------------------------------------------------------
 * A server may give the UIDL of a message that another client deleted to the next one, of the same size perhaps. So the
 * header of what is to be deleted is looked at before, unless it came in this session, and that of what stays once in a
 * while (sync_pop_look). A header that is not the one of the ledger is looked at once more by RETR, for there are
 * servers whose TOP says something else; then it is a new message, and fetched. */
static void other_found(struct acct *a, struct pop_mail *m, const struct pop_policy *p)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    enum pop_state state;
    if (!db_pop_other(a->db, m->number, clock_wall(), &state, &err)) {
        acct_db_error(a, &err);
        return;
    }
    log_msg(LOG_INFO, "%s: message %u has the UIDL of another one that was here", a->name, (unsigned)m->number);
    m->known = state == POP_SEEN ? POP_NEW : state == POP_STUB ? POP_PARTLY : POP_HAVE;
    m->deleted_here = false;
    m->failures = 0;
    m->delivered_at = clock_wall(); /* what was known before is not deleted by its age in this pass */
    sync_pop_plan(m, 1, p);
    if (m->take == POP_WHOLE) {
        r->wanted++;
        r->bytes_wanted += bytes_of(m);
    }
}

/* It is to be deleted, and its id alone says what it is. */
static bool to_check(const struct pop_policy *p, const struct pop_mail *m)
{
    return !m->sure && !m->nameless && sync_pop_may_delete(p, m);
}

static void checked(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    struct pop_policy p = policy_of(a);
    struct err err = ERR_INIT;
    enum pop_is is;
    bool whole = s->a != 0, fetch = false;
    if (!r)
        return;
    r->waits = false;
    r->step = 0;
    if (kind == ERR_CANCELED || line_error(kind)) {
        acct_line_failed(a, kind, text);
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        struct pop_mail *m = &r->mails[i];
        if (m->take != POP_NOTHING && m->known == POP_NEW && !m->other)
            m->take = POP_NOTHING; /* it was tried */
        if (!m->asked)
            continue;
        m->asked = false;
        if (!m->other && !m->sure && !db_pop_compare(a->db, m->number, STR(""), clock_wall(), &is, &err))
            acct_db_error(a, &err);
        if (!m->other && to_check(&p, m))
            log_msg(LOG_WARN, "%s: message %u stays on the server: its header cannot be looked at", a->name,
                    (unsigned)m->number);
        if (!m->other || !whole)
            continue;
        m->other = false;
        other_found(a, m, &p);
        fetch = true;
    }
    if (fetch) {
        r->phase = POP_FETCHING;
        r->at = 0;
    }
}

static void check_add(struct buf *numbers, struct pop_mail *m, uint32_t bits)
{
    if (numbers->n + 16 > numbers->max)
        return;
    m->checked = m->asked = true;
    m->other = false;
    ipc_ranges_add(numbers, m->number | bits, m->number | bits);
}

/* False when there is nothing (more) to look at. */
static bool checking(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct buf numbers = BUF_INIT(32768);
    struct pop_policy p = policy_of(a);
    for (size_t i = 0; i < r->n && !r->stopped; i++)
        if (r->mails[i].other)
            check_add(&numbers, &r->mails[i], 0);
    bool whole = numbers.n > 0;
    for (size_t i = 0; i < r->n && !whole && !r->stopped; i++)
        if (!r->mails[i].checked && to_check(&p, &r->mails[i]))
            check_add(&numbers, &r->mails[i], 0);
    if (!whole && !r->chosen)
        sync_pop_look(r->mails, r->n, p.now, r->came == 0 && r->headers == 0 && numbers.n == 0, LOOK_MAX);
    r->chosen = r->chosen || !whole;
    for (size_t i = 0; i < r->n && !whole && !r->stopped; i++)
        if (r->mails[i].look && !r->mails[i].checked)
            check_add(&numbers, &r->mails[i], POP_HEAD_ONLY);
    struct step *s =
        numbers.n ? STEP(a, checked, -1, STEP_POP_HEADS, .numbers = buf_str(&numbers), .whole = whole) : NULL;
    if (s)
        s->a = whole;
    r->waits = s != NULL;
    r->step = s ? s->number : 0;
    buf_fini(&numbers);
    return s != NULL;
}

static void retr_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    (void)s;
    if (!r)
        return;
    r->waits = false;
    r->step = 0;
    r->bytes_before = r->bytes;
    for (size_t i = 0; i < r->n; i++)
        r->mails[i].asked = false;
    if (kind != ERR_NONE && !(kind == ERR_CANCELED && r->stopped))
        acct_line_failed(a, kind, text);
}

static void dele_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    struct pop_run *r = a->poprun;
    (void)s;
    if (!r)
        return;
    r->waits = false;
    if (kind != ERR_NONE) {
        acct_line_failed(a, kind, text);
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        struct pop_mail *m = &r->mails[i];
        if (!m->asked)
            continue;
        m->asked = false;
        r->deleted++;
        if (!db_pop_dele_ok(a->db, m->number, &err))
            acct_db_error(a, &err);
    }
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
    char words[120] = "";
    if (r->stopped)
        stopped_words(r, words);
    else if (r->failed)
        snprintf(words, sizeof words, "%u message%s could not be fetched", r->failed, r->failed == 1 ? "" : "s");
    else if (r->left_out)
        snprintf(words, sizeof words, "%u left on the server: over max-size, without a header to show", r->left_out);
    else if (r->headers)
        snprintf(words, sizeof words,
                 "of %u the header alone: over max-size, the rest comes when one is opened or max-size is greater",
                 r->headers);
    enum err_kind why = r->stopped ? ERR_CANCELED : r->failed ? ERR_SERVER_NO : r->ledger.kind;
    if (why != ERR_NONE && why == r->ledger.kind)
        snprintf(words, sizeof words, "nothing was deleted on the server: %.80s", r->ledger.text);
    a->pass_fresh += r->fresh;
    a->pass_bytes += r->bytes;
    a->pass_removed += ok ? r->deleted : 0;
    a->pass_kept = (uint32_t)r->n - (ok ? r->deleted : 0);
    run_free(a);
    a->line = LINE_DOWN;
    a->attempt = 0;
    acct_state(a, ACCOUNT_ONLINE, ERR_NONE, "");
    acct_pass_end(a, why, words);
}

/* EXPIRE (RFC 2449): the server deletes before the option would. */
static void expire_tell(struct acct *a)
{
    bool sooner = a->pop_expire != UINT32_MAX && a->conf->leave != LEAVE_DELETE &&
                  (a->conf->leave == LEAVE_KEEP || a->pop_expire < a->conf->leave_days);
    if (!sooner || a->expire_told)
        return;
    a->expire_told = true;
    if (a->pop_expire == 0)
        acct_note(a, 1, ERR_NONE,
                  "the server of %s keeps nothing that was fetched (EXPIRE 0), whatever option leave says", a->name);
    else
        acct_note(a, 1, ERR_NONE, "the server of %s keeps mail for %u day%s (EXPIRE), whatever option leave says",
                  a->name, a->pop_expire, a->pop_expire == 1 ? "" : "s");
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
    expire_tell(a);
    if (a->poprun) {
        a->poprun->waits = false;
        a->poprun->phase = POP_LISTING;
    }
}

/* LOGIN-DELAY (RFC 2449): a login before its time would be refused, and may be held against the user. */
static bool pop_too_soon(struct acct *a, struct err *why)
{
    int64_t now = clock_mono_ms(), next = a->pop_login + (int64_t)a->pop_delay * 1000;
    if (a->pop_delay == 0 || a->pop_login == 0 || now >= next)
        return false;
    char at[40];
    time_t when = (time_t)(clock_wall() + (next - now + 999) / 1000);
    struct tm tm;
    strftime(at, sizeof at, "%H:%M:%S", localtime_r(&when, &tm));
    a->pop_due = next;
    return err_set(why, ERR_SERVER_TEMP, "the server wants %u s between two logins (LOGIN-DELAY): the next is at %s",
                   a->pop_delay, at),
           true;
}

static void begin(struct acct *a)
{
    a->poprun = mem_new(sizeof *a->poprun);
    a->poprun->waits = acct_connect(a, connect_done);
    if (!a->poprun->waits)
        run_free(a);
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
    struct step *s = STEP(a, list_done, -1, STEP_POP_LIST, .step = 0);
    a->poprun->waits = s != NULL;
    a->poprun->step = s ? s->number : 0;
    return true;
}

/* What is wanted, in the order of option fetch-order, as much as one step can name; false when nothing is left. */
static bool fetching(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct buf numbers = BUF_INIT(32768);
    bool newest = strcmp(a->conf->fetch_order, "oldest") != 0;
    uint32_t first = 0, last = 0; /* of the run of numbers that is gathered */
    /* One that failed before may end the line again: those come when all others are here (THREATS 82). */
    for (; !r->stopped && r->at < 2 * r->n && numbers.n + 16 <= numbers.max; r->at++) {
        size_t at = r->at % r->n;
        struct pop_mail *m = &r->mails[newest ? r->n - 1 - at : at];
        if (m->take == POP_NOTHING || m->known != POP_NEW || (m->failures > 0) != (r->at >= r->n))
            continue;
        m->asked = true;
        uint32_t number = m->number | (m->take == POP_HEADER ? POP_HEAD_ONLY : 0);
        if (first && number != (newest ? last - 1 : last + 1)) {
            ipc_ranges_add(&numbers, first, last);
            first = 0;
        }
        first = first ? first : number;
        last = number;
    }
    if (first)
        ipc_ranges_add(&numbers, first, last);
    struct step *s = numbers.n ? STEP(a, retr_done, -1, STEP_POP_RETR, .numbers = buf_str(&numbers)) : NULL;
    r->waits = s != NULL;
    r->step = s ? s->number : 0;
    buf_fini(&numbers);
    return s != NULL;
}

/* ---- Bodies of which the header is here --------------------------------------------------------- */
static void body_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    if (r && r->step == s->number) {
        r->waits = false;
        r->step = 0;
    }
    open_step_done(a, s, kind, text);
}

static struct step *body_send(struct acct *a, const struct pop_body *b)
{
    struct db_msg m;
    struct err err = ERR_INIT;
    if (!db_msg_get(a->db, b->msg, &m, &err) || m.name.n == 0 || !(m.state & ROW_STUB))
        return NULL;
    struct step *s = STEP(a, body_done, -1, STEP_POP_BODY, .number = b->number, .box = m.sbox,
                          .folder = local_folder(a, m.sbox), .name = m.name);
    if (s) {
        s->msg = b->msg;
        s->box = m.sbox;
        s->a = b->number;
    }
    return s;
}

void pop_body_is(struct acct *a, const struct m_MAILDIR_IS *m)
{
    const struct step *s = acct_step_find(a, m->step, MSG_STEP_POP_BODY);
    struct err err = ERR_INIT;
    if (m->box != s->box || mark_read(m->name).stub || !acct_path_ok(m->path)) {
        acct_violation(a, "a body that was not asked for");
        return;
    }
    struct pop_mail *p = mail_of(a->poprun, (uint32_t)s->a);
    if (!db_pop_body_is(a->db, s->msg, m->box, m->name, m->path, m->flags, clock_wall(), &err)) {
        acct_db_error(a, &err);
    } else if (p) {
        p->known = POP_HAVE;
        p->sure = true;
        p->delivered_at = clock_wall();
        a->poprun->came += p->take == POP_WHOLE;
        a->poprun->bytes += bytes_of(p);
    }
}

/* max-size is greater than it was: what was left out comes. */
static bool completing(struct acct *a)
{
    struct pop_run *r = a->poprun;
    for (; !r->stopped && r->at_body < r->nbodies; r->at_body++) {
        const struct pop_mail *m = mail_of(r, r->bodies[r->at_body].number);
        struct step *s =
            m && m->take == POP_WHOLE && m->known == POP_PARTLY ? body_send(a, &r->bodies[r->at_body]) : NULL;
        if (!s)
            continue;
        r->waits = true;
        r->step = s->number;
        r->at_body++;
        return true;
    }
    return false;
}

struct step *pop_want(struct acct *a, uint64_t msg, struct err *why)
{
    struct pop_run *r = a->poprun;
    *why = ERR_INIT;
    if (!r || r->phase < POP_FETCHING || r->phase >= POP_QUITTING) {
        if (!r && pop_too_soon(a, why))
            return NULL;
        if (!r && !a->connect_step)
            begin(a);
        return NULL;
    }
    for (int fresh = 0; fresh < 2; fresh++) {
        for (size_t i = 0; i < r->nbodies; i++)
            if (r->bodies[i].msg == msg)
                return body_send(a, &r->bodies[i]);
        /* Or its header came in this very pass. */
        r->nbodies = r->at_body = 0;
        if (!db_pop_stubs(a->db, body_add, a, why))
            return NULL;
    }
    err_set(why, ERR_NO_MESSAGE, "it is not on the server any more: this header is all there is");
    return NULL;
}

/* The ledger has it, though not yet for good; false where it cannot be written: then nothing is deleted. */
static bool ledger_delete(struct acct *a, const struct pop_policy *p, struct buf *numbers)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    bool ok = db_begin(a->db, &err);
    for (size_t i = 0; ok && i < r->n && numbers->n + 8 <= numbers->max; i++) {
        struct pop_mail *m = &r->mails[i];
        if (m->settled || !sync_pop_may_delete(p, m) || to_check(p, m))
            continue;
        m->settled = true;
        ok = db_pop_delete(a->db, m->number, &err) && ipc_ranges_add(numbers, m->number, m->number);
        m->asked = ok;
    }
    ok = ok && db_commit(a->db, &err) && (numbers->n == 0 || db_sync(a->db, &err));
    if (!ok) {
        db_rollback(a->db);
        acct_db_error(a, &err);
        r->ledger = err;
        buf_reset(numbers);
    }
    return ok;
}

/* DELE for what is here for good and may go; false when nothing (more) is to be deleted. */
static bool deleting(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct buf numbers = BUF_INIT(32768);
    struct pop_policy p = policy_of(a);
    bool ok = ledger_delete(a, &p, &numbers) && numbers.n > 0 &&
              STEP(a, dele_done, -1, STEP_POP_DELE, .numbers = buf_str(&numbers)) != NULL;
    r->waits = ok;
    r->dele_sent = r->dele_sent || ok;
    buf_fini(&numbers);
    return ok;
}

void pop_pump(struct acct *a)
{
    struct pop_run *r = a->poprun;
    /* While folders are looked at, the line is opened and the maildrop listed, no more. */
    if (a->list_open || a->list_wanted || (a->scanning && r && r->phase >= POP_FETCHING))
        return;
    if (!r) {
        struct err why = ERR_INIT;
        if (clock_mono_ms() < a->pop_due || a->offline || a->held || a->wait_change || a->retry || a->connect_step)
            return;
        if (!pop_too_soon(a, &why))
            begin(a);
        else if (a->passes)
            acct_pass_end(a, why.kind, why.text);
        return;
    }
    if (r->waits)
        return;
    if (r->phase == POP_LISTING && !listing(a)) {
        acct_unkept(a, &a->said);
        return;
    }
    if (r->phase == POP_FETCHING)
        open_pump(a); /* what somebody waits for goes before all else, and before the end */
    if (r->phase == POP_FETCHING && !r->waits && !fetching(a) && !completing(a))
        r->phase = POP_CHECKING;
    if (r->phase == POP_CHECKING && !r->waits && !checking(a))
        r->phase = POP_DELETING;
    if (r->phase == POP_DELETING && !r->waits && !deleting(a))
        r->phase = POP_QUITTING;
    if (r->phase == POP_QUITTING && !r->waits)
        r->waits = STEP(a, quit_done, -1, STEP_POP_QUIT, .step = 0) != NULL;
}
