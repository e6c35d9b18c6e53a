/* A pass over a POP3 maildrop: list, fetch, delete what is safe, end. RFC 1939, 2449.
 *
 * The order that loses nothing (THREATS 86): the file is on disk (fetch), then the ledger and the row, then db_sync,
 * and only then the DELE; what a QUIT did not commit is deleted again by the next pass and never fetched again. DELE
 * takes effect with QUIT alone, so all of them go together at the end, and the line never waits between messages. */
#include "store/account.h"

#define SEEN_MS 4000 /* clients that come and go do not make a login each */
#define SHOWN_MS 250
#define RATE_MS 1000 /* before this nothing is said of speed */

enum pop_phase { POP_CONNECTING, POP_LISTING, POP_FETCHING, POP_DELETING, POP_QUITTING };
struct pop_run {
    enum pop_phase phase;
    struct pop_mail *mails; /* by number, rising */
    size_t n, cap, at;      /* at: so many of them have been gone through, in the order of option fetch-order */
    bool waits;             /* a step is under way */
    uint32_t step;          /* which, of those that can be stopped; else 0 */
    bool stopped;           /* by the user: what is here is finished, no more is fetched */
    uint64_t inbox;
    uint32_t fresh, deleted, failed;
    bool dele_sent;
    /* progress */
    uint32_t wanted, came;
    uint64_t bytes, bytes_wanted, bytes_before; /* before: those of the steps that ended */
    int64_t began, shown;                       /* monotonic; shown 0: nothing was */
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
    if (a->poprun)
        free(a->poprun->mails);
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
    run_free(a);
    if (kind != ERR_CANCELED) /* the back-off says when */
        a->pop_due = 0;
}

/* ---- Progress and its end ----------------------------------------------------------------------- */
static void show(struct acct *a, uint64_t bytes)
{
    struct pop_run *r = a->poprun;
    int64_t now = clock_mono_ms(), ms = now - r->began;
    if (now - MAX(r->shown, r->began) < SHOWN_MS)
        return;
    r->shown = now;
    bytes = MIN(bytes, r->bytes_wanted);
    struct buf text = BUF_INIT(200);
    buf_addf(&text, "%u of %u, ", r->came, r->wanted);
    buf_add_size(&text, bytes);
    buf_addz(&text, " of ");
    buf_add_size(&text, r->bytes_wanted);
    if (ms >= RATE_MS && bytes > 0) {
        uint64_t rate = bytes * 1000 / (uint64_t)ms, left = (r->bytes_wanted - bytes) / MAX(rate, UINT64_C(1));
        buf_addz(&text, ", ");
        buf_add_size(&text, rate);
        if (left >= 120)
            buf_addf(&text, "/s, %llu min left", (unsigned long long)(left / 60));
        else
            buf_addf(&text, "/s, %llu s left", (unsigned long long)left);
    }
    BROADCAST(a->srv, PROGRESS, .req = 0, .account = str_z(a->name), .done = bytes, .total = r->bytes_wanted,
              .text = buf_str(&text));
    buf_fini(&text);
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
static void on_uidl(struct acct *a, const struct m_POP_UIDL *u)
{
    struct err err = ERR_INIT;
    if (!a->poprun || a->poprun->phase != POP_LISTING || !acct_step_find(a, u->step, MSG_STEP_POP_LIST) ||
        u->number == 0)
        acct_violation(a, "a listing that was not asked for");
    else if (!db_pop_add(a->db, u->number, u->size, u->uidl, &err))
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
    if (!p || !p->asked || r->phase != POP_FETCHING || !acct_step_find(a, d->step, MSG_STEP_POP_RETR) ||
        d->name.n == 0 || str_find(d->name, '/', &at) || !acct_path_ok(d->path)) {
        acct_violation(a, "a delivery that was not asked for");
        return;
    }
    struct db_row row = {.box = r->inbox,
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
    p->asked = false;
    p->known = POP_HAVE;
    p->delivered_at = clock_wall();
    r->fresh++;
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
    if (!dele)
        a->poprun->failed++;
    /* One whose DELETE is refused each time is told of once (THREATS 88). */
    if (!dele || p->failures == 0 || a->passes)
        acct_note(a, 1, (enum err_kind)f->kind,
                  dele ? "message %u of %s is here, but could not be deleted on the server: %s"
                       : "message %u of %s stays on the server: %s",
                  (unsigned)f->number, a->name, clean_line(f->text));
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
    r->mails[r->n++] = (struct pop_mail){.number = p->number,
                                         .size = p->size,
                                         .known = p->state == POP_SEEN ? POP_NEW : POP_HAVE,
                                         .failures = p->failures,
                                         .delivered_at = p->delivered};
}

static void list_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    (void)s;
    if (!r)
        return;
    r->waits = false;
    r->step = 0;
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
        snprintf(words, sizeof words, "stopped after %u of %u; the rest comes next time", r->came, r->wanted);
    else if (r->failed)
        snprintf(words, sizeof words, "%u message%s could not be fetched", r->failed, r->failed == 1 ? "" : "s");
    enum err_kind why = r->stopped ? ERR_CANCELED : r->failed ? ERR_SERVER_NO : ERR_NONE;
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
        if (m->take != POP_WHOLE || (m->failures > 0) != (r->at >= r->n))
            continue;
        m->asked = true;
        if (first && m->number != (newest ? last - 1 : last + 1)) {
            ipc_ranges_add(&numbers, first, last);
            first = 0;
        }
        first = first ? first : m->number;
        last = m->number;
    }
    if (first)
        ipc_ranges_add(&numbers, first, last);
    struct step *s = numbers.n ? STEP(a, retr_done, -1, STEP_POP_RETR, .numbers = buf_str(&numbers)) : NULL;
    r->waits = s != NULL;
    r->step = s ? s->number : 0;
    buf_fini(&numbers);
    return s != NULL;
}

/* The ledger has it, though not yet for good; false where it cannot be written: then nothing is deleted. */
static bool ledger_delete(struct acct *a, const struct pop_policy *p, struct buf *numbers)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    bool ok = db_begin(a->db, &err);
    for (size_t i = 0; ok && i < r->n && numbers->n + 8 <= numbers->max; i++) {
        struct pop_mail *m = &r->mails[i];
        if (m->settled || !sync_pop_may_delete(p, m))
            continue;
        m->settled = true;
        ok = db_pop_delete(a->db, m->number, &err) && ipc_ranges_add(numbers, m->number, m->number);
        m->asked = ok;
    }
    ok = ok && db_commit(a->db, &err) && (numbers->n == 0 || db_sync(a->db, &err));
    if (!ok) {
        db_rollback(a->db);
        acct_db_error(a, &err);
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
    if (!r) {
        if (clock_mono_ms() >= a->pop_due && !a->offline && !a->held && !a->wait_change && !a->retry &&
            !a->connect_step)
            begin(a);
        return;
    }
    if (r->waits)
        return;
    if (r->phase == POP_LISTING && !listing(a)) {
        acct_line_failed(a, ERR_STORE, STR("the ledger cannot be written"));
        return;
    }
    if (r->phase == POP_FETCHING && !r->waits && !fetching(a))
        r->phase = POP_DELETING;
    if (r->phase == POP_DELETING && !r->waits && !deleting(a))
        r->phase = POP_QUITTING;
    if (r->phase == POP_QUITTING && !r->waits)
        r->waits = STEP(a, quit_done, -1, STEP_POP_QUIT, .step = 0) != NULL;
}
