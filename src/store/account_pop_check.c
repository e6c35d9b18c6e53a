/* Are the messages of a maildrop those that the ledger means? Their headers say what their ids alone do not.
 *
 * A server may give the UIDL of a message that another client deleted to the next one, of the same size perhaps. So the
 * header of what is to be deleted is looked at before, unless it came in this session, and that of what stays once in a
 * while (sync_pop_look). A header that is not the one of the ledger is looked at once more by RETR, for there are
 * servers whose TOP says something else; then it is a new message, and fetched. */
#include "store/account_pop.h"

#define LOOK_MAX 128 /* headers of kept mail that are looked at in one pass */
#define NUMBERS_MAX 32768

/* ---- At the end of the listing ------------------------------------------------------------------ */

/* Where the headers could not be looked at, the UIDLs are believed. */
static void doubts_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    uint32_t known = 0, doubts = (uint32_t)s->a;
    if (!pop_goes_on(a, kind == ERR_CANCELED || line_error(kind), kind, text))
        return;
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
    pop_planned(a);
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

bool pop_doubts(struct acct *a, uint32_t doubts, struct err *err)
{
    struct pop_run *r = a->poprun;
    struct doubts d = {.numbers = BUF_INIT(NUMBERS_MAX), .max_size = a->conf->max_size};
    bool ok = db_pop_doubts(a->db, doubt_add, &d, err);
    struct step *s = ok ? STEP(a, doubts_done, -1, STEP_POP_HEADS, .numbers = buf_str(&d.numbers), .whole = 0) : NULL;
    if (s) {
        s->a = doubts;
        r->step = s->number;
        r->waits = true;
        r->phase = POP_LOOKING;
    }
    buf_fini(&d.numbers);
    return ok;
}

/* ---- Before the end of the pass ----------------------------------------------------------------- */

bool pop_to_check(const struct pop_policy *p, const struct pop_mail *m)
{
    return !m->sure && !m->nameless && sync_pop_may_delete(p, m);
}

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
    sync_pop_plan(m, p);
    if (m->take == POP_WHOLE) {
        r->wanted++;
        r->bytes_wanted += pop_bytes(m);
    }
}

/* The answer for one, or none. True: it is another message, and to be fetched. */
static bool was_checked(struct acct *a, struct pop_mail *m, const struct pop_policy *p, bool whole)
{
    struct err err = ERR_INIT;
    enum pop_is is;
    m->asked = false;
    if (!m->other && !m->sure && !db_pop_compare(a->db, m->number, STR(""), clock_wall(), &is, &err))
        acct_db_error(a, &err);
    if (!m->other && pop_to_check(p, m))
        log_msg(LOG_WARN, "%s: message %u stays on the server: its header cannot be looked at", a->name,
                (unsigned)m->number);
    if (!m->other || !whole)
        return false;
    m->other = false;
    other_found(a, m, p);
    return true;
}

static void checked(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    struct pop_policy p = pop_policy_of(a);
    bool whole = s->a != 0, fetch = false;
    if (!pop_goes_on(a, kind == ERR_CANCELED || line_error(kind), kind, text))
        return;
    for (size_t i = 0; i < r->n; i++) {
        const struct pop_mail *m = pop_mail(r, i);
        if (m->take != POP_NOTHING && m->known == POP_NEW && !m->other)
            pop_mail_change(r, i)->take = POP_NOTHING; /* it was tried */
        if (pop_mail(r, i)->asked)
            fetch = was_checked(a, pop_mail_change(r, i), &p, whole) || fetch;
    }
    if (fetch) {
        r->phase = POP_FETCHING;
        r->at = 0;
    }
}

static void check_add(struct pop_run *r, struct buf *numbers, size_t i, uint32_t bits)
{
    if (numbers->n + 16 > numbers->max)
        return;
    struct pop_mail *m = pop_mail_change(r, i);
    m->checked = m->asked = true;
    m->other = false;
    ipc_ranges_add(numbers, m->number | bits, m->number | bits);
}

bool pop_checking(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct buf numbers = BUF_INIT(NUMBERS_MAX);
    struct pop_policy p = pop_policy_of(a);
    for (size_t i = 0; i < r->n && !r->stopped; i++)
        if (pop_mail(r, i)->other)
            check_add(r, &numbers, i, 0);
    bool whole = numbers.n > 0;
    for (size_t i = 0; i < r->n && !whole && !r->stopped; i++)
        if (!pop_mail(r, i)->checked && pop_to_check(&p, pop_mail(r, i)))
            check_add(r, &numbers, i, 0);
    if (!whole && !r->chosen)
        sync_pop_look(&r->mails, r->n, p.now, r->came == 0 && r->headers == 0 && numbers.n == 0, LOOK_MAX);
    r->chosen = r->chosen || !whole;
    for (size_t i = 0; i < r->n && !whole && !r->stopped; i++)
        if (pop_mail(r, i)->look && !pop_mail(r, i)->checked)
            check_add(r, &numbers, i, POP_HEAD_ONLY);
    struct step *s =
        numbers.n ? STEP(a, checked, -1, STEP_POP_HEADS, .numbers = buf_str(&numbers), .whole = whole) : NULL;
    if (s)
        s->a = whole;
    r->waits = s != NULL;
    r->step = s ? s->number : 0;
    buf_fini(&numbers);
    return s != NULL;
}

/* One that is looked at before it is deleted, or because it stays. */
static void on_checked(struct acct *a, const struct m_POP_HEAD *h)
{
    struct pop_mail *m = pop_mail_of(a->poprun, h->number);
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

void pop_head(struct acct *a, const struct m_POP_HEAD *h)
{
    struct err err = ERR_INIT;
    struct pop_run *r = a->poprun;
    bool asked = acct_step_find(a, h->step, MSG_STEP_POP_HEADS);
    if (asked && r && r->phase == POP_CHECKING)
        on_checked(a, h);
    else if (!asked || !db_pop_head(a->db, h->number, h->head, &err))
        acct_violation(a, "a header that was not asked for");
}
