/* A pass over a POP3 maildrop: list, fetch, delete what is safe, end. RFC 1939, 2449.
 *
 * The order that loses nothing (THREATS 86): the file is on disk (fetch), then the ledger and the row, then db_sync,
 * and only then the DELE; what a QUIT did not commit is deleted again by the next pass and never fetched again. DELE
 * takes effect with QUIT alone, so all of them go together at the end, and the line never waits between messages. */
#include "store/account_pop.h"
#include "mail/mark.h"

#include <time.h>

#define SEEN_MS 4000 /* clients that come and go do not make a login each */

struct pop_policy pop_policy_of(const struct acct *a)
{
    return (struct pop_policy){.keep = a->conf->leave == LEAVE_KEEP,
                               .days_given = a->conf->leave == LEAVE_DAYS,
                               .days = a->conf->leave_days,
                               .max_size = a->conf->max_size,
                               .by_hand = a->passes != NULL,
                               .now = clock_wall()};
}

/* As listed, which may be anything. */
uint64_t pop_bytes(const struct pop_mail *m)
{
    return MIN(m->size, UINT64_C(1) << 40);
}

static void run_free(struct acct *a)
{
    pop_show_end(a);
    watch_free(&a->pop_show);
    if (a->poprun)
        records_fini(&a->poprun->mails);
    if (a->db)
        db_pop_over(a->db);
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

void pop_interval(struct acct *a)
{
    int64_t now = clock_mono_ms();
    if (a->pop && !a->poprun && a->pop_due > now)
        a->pop_due = MAX(now, a->pop_ended + (int64_t)a->conf->interval * 1000);
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

struct pop_mail *pop_mail_of(struct pop_run *r, uint32_t number)
{
    /* Most maildrops have all numbers. */
    size_t lo = 0, hi = r ? MIN(r->n, (size_t)number) : 0;
    if (hi > 0 && pop_mail(r, hi - 1)->number == number)
        return pop_mail_change(r, hi - 1);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (pop_mail(r, mid)->number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return r && lo < r->n && pop_mail(r, lo)->number == number ? pop_mail_change(r, lo) : NULL;
}

static void on_delivered(struct acct *a, const struct m_DELIVERED *d)
{
    struct pop_run *r = a->poprun;
    struct pop_mail *p = pop_mail_of(r, d->number);
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
    r->bytes += pop_bytes(p);
    pop_show(a, r->bytes);
}

/* -ERR for one message, to RETR or to DELE. */
static void on_failed(struct acct *a, const struct m_POP_FAILED *f)
{
    struct err err = ERR_INIT;
    struct pop_mail *p = pop_mail_of(a->poprun, f->number);
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

void pop_message(struct acct *a, struct msg *m)
{
    struct err err = ERR_INIT;
    if (a->poprun && !records_ok(&a->poprun->mails, &err)) {
        acct_line_failed(a, err.kind, str_z(err.text));
        return;
    }
    if (m->kind == MSG_POP_UIDLS)
        on_uidls(a, &m->u.POP_UIDLS);
    else if (m->kind == MSG_DELIVERED)
        on_delivered(a, &m->u.DELIVERED);
    else if (m->kind == MSG_POP_HEAD)
        pop_head(a, &m->u.POP_HEAD);
    else
        on_failed(a, &m->u.POP_FAILED);
}

/* ---- Phases ------------------------------------------------------------------------------------- */
struct plan {
    struct acct *a;
    struct pop_policy policy;
};

static void mail_add(void *arg, const struct db_pop *p)
{
    struct plan *plan = arg;
    struct acct *a = plan->a;
    struct pop_run *r = a->poprun;
    struct pop_mail *m = pop_mail_change(r, r->n++);
    *m = (struct pop_mail){.number = p->number,
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
    sync_pop_plan(m, &plan->policy);
    if (m->take == POP_WHOLE) {
        r->wanted++;
        r->bytes_wanted += pop_bytes(m);
    }
}

void pop_planned(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    static const char *const deletes[] = {
        [DELETES_NEVER] = "never", [DELETES_PURGED] = "purged", [DELETES_TRASH] = "trash"};
    a->pop_deletes = DELETES_NEVER;
    for (size_t i = 0; i < COUNT(deletes); i++)
        if (strcmp(a->conf->delete_on_server, deletes[i]) == 0)
            a->pop_deletes = (uint8_t)i;
    ptrdiff_t trash = a->pop_deletes == DELETES_TRASH ? box_role(a, BOX_TRASH) : -1;
    struct plan plan = {a, pop_policy_of(a)};
    if (!db_pop_each(a->db, trash < 0 ? 0 : a->plan[trash].id, mail_add, &plan, &err) || !records_ok(&r->mails, &err)) {
        acct_db_error(a, &err);
        acct_line_failed(a, err.kind, str_z(err.text));
        return;
    }
    r->began = clock_mono_ms();
    r->phase = POP_FETCHING;
}

bool pop_goes_on(struct acct *a, bool failed, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    if (!r)
        return false;
    r->waits = false;
    r->step = 0;
    if (failed)
        acct_line_failed(a, kind, text);
    return !failed;
}

static void list_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    uint32_t doubts = 0;
    (void)s;
    if (!pop_goes_on(a, kind != ERR_NONE, kind, text))
        return;
    if (!db_pop_end(a->db, clock_wall(), &doubts, &err) || (doubts && !pop_doubts(a, doubts, &err))) {
        acct_db_error(a, &err);
        acct_line_failed(a, err.kind, str_z(err.text));
    } else if (doubts == 0) {
        pop_planned(a);
    }
}

static void retr_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    (void)s;
    if (!r)
        return;
    r->bytes_before = r->bytes;
    for (size_t i = 0; i < r->n; i++)
        if (pop_mail(r, i)->asked)
            pop_mail_change(r, i)->asked = false;
    pop_goes_on(a, kind != ERR_NONE && !(kind == ERR_CANCELED && r->stopped), kind, text);
}

static void dele_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    struct pop_run *r = a->poprun;
    (void)s;
    if (!pop_goes_on(a, kind != ERR_NONE, kind, text))
        return;
    for (size_t i = 0; i < r->n; i++) {
        if (!pop_mail(r, i)->asked)
            continue;
        struct pop_mail *m = pop_mail_change(r, i);
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
bool pop_too_soon(struct acct *a, struct err *why)
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

void pop_begin(struct acct *a)
{
    a->poprun = mem_new(sizeof *a->poprun);
    records_init(&a->poprun->mails, db_dir(a->db), sizeof(struct pop_mail));
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
        at = newest ? r->n - 1 - at : at;
        const struct pop_mail *m = pop_mail(r, at);
        if (m->take == POP_NOTHING || m->known != POP_NEW || (m->failures > 0) != (r->at >= r->n))
            continue;
        uint32_t number = m->number | (m->take == POP_HEADER ? POP_HEAD_ONLY : 0);
        pop_mail_change(r, at)->asked = true;
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

/* The ledger has it, though not yet for good; false where it cannot be written: then nothing is deleted. */
static bool ledger_delete(struct acct *a, const struct pop_policy *p, struct buf *numbers)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    bool ok = db_begin(a->db, &err);
    for (size_t i = 0; ok && i < r->n && numbers->n + 8 <= numbers->max; i++) {
        if (pop_mail(r, i)->settled || !sync_pop_may_delete(p, pop_mail(r, i)) || pop_to_check(p, pop_mail(r, i)))
            continue;
        struct pop_mail *m = pop_mail_change(r, i);
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
    struct pop_policy p = pop_policy_of(a);
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
            pop_begin(a);
        else if (a->passes)
            acct_pass_end(a, why.kind, why.text);
        return;
    }
    if (r->waits)
        return;
    struct err err = ERR_INIT;
    if (!records_ok(&r->mails, &err)) {
        acct_line_failed(a, err.kind, str_z(err.text));
        return;
    }
    if (r->phase == POP_LISTING && !listing(a)) {
        acct_unkept(a, &a->said);
        return;
    }
    if (r->phase == POP_FETCHING)
        open_pump(a); /* what somebody waits for goes before all else, and before the end */
    if (r->phase == POP_FETCHING && !r->waits && !fetching(a) && !pop_completing(a))
        r->phase = POP_CHECKING;
    if (r->phase == POP_CHECKING && !r->waits && !pop_checking(a))
        r->phase = POP_DELETING;
    if (r->phase == POP_DELETING && !r->waits && !deleting(a))
        r->phase = POP_QUITTING;
    if (r->phase == POP_QUITTING && !r->waits)
        r->waits = STEP(a, quit_done, -1, STEP_POP_QUIT, .step = 0) != NULL;
}
