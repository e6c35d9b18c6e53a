/* Messages of a maildrop of which the header is here: their bodies, when one is opened or max-size is greater. */
#include "mail/mark.h"
#include "store/account_pop.h"

static void body_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct pop_run *r = a->poprun;
    if (r && r->step == s->number) {
        r->waits = false;
        r->step = 0;
    }
    open_step_done(a, s, kind, text);
}

static struct step *body_send(struct acct *a, uint32_t number, uint64_t msg)
{
    struct db_msg m;
    struct err err = ERR_INIT;
    if (!db_msg_get(a->db, msg, &m, &err) || m.name.n == 0 || !(m.state & ROW_STUB))
        return NULL;
    struct step *s = STEP(a, body_done, -1, STEP_POP_BODY, .number = number, .box = m.sbox,
                          .folder = local_folder(a, m.sbox), .name = m.name);
    if (s) {
        s->msg = msg;
        s->box = m.sbox;
        s->a = number;
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
    struct pop_mail *p = pop_mail_of(a->poprun, (uint32_t)s->a);
    if (!db_pop_body_is(a->db, s->msg, m->box, m->name, m->path, m->flags, clock_wall(), &err)) {
        acct_db_error(a, &err);
    } else if (p) {
        p->known = POP_HAVE;
        p->sure = true;
        p->delivered_at = clock_wall();
        a->poprun->came += p->take == POP_WHOLE;
        a->poprun->bytes += pop_bytes(p);
    }
}

/* max-size is greater than it was: what was left out comes. */
bool pop_completing(struct acct *a)
{
    struct pop_run *r = a->poprun;
    struct err err = ERR_INIT;
    while (!r->stopped && r->at_body < r->n) {
        const struct pop_mail *m = pop_mail(r, r->at_body++);
        uint32_t number = m->number;
        uint64_t msg;
        if (m->take != POP_WHOLE || m->known != POP_PARTLY)
            continue;
        if (!db_pop_stub(a->db, number, &msg, &err)) {
            acct_db_error(a, &err);
            return false;
        }
        struct step *s = msg ? body_send(a, number, msg) : NULL;
        if (!s)
            continue;
        r->waits = true;
        r->step = s->number;
        return true;
    }
    return false;
}

struct step *pop_want(struct acct *a, uint64_t msg, struct err *why)
{
    struct pop_run *r = a->poprun;
    uint32_t number;
    *why = ERR_INIT;
    if (!r || r->phase < POP_FETCHING || r->phase >= POP_QUITTING) {
        if (!r && pop_too_soon(a, why))
            return NULL;
        if (!r && !a->connect_step)
            pop_begin(a);
        return NULL;
    }
    if (!db_pop_number(a->db, msg, &number, why))
        return NULL;
    if (number)
        return body_send(a, number, msg);
    err_set(why, ERR_NO_MESSAGE, "it is not on the server any more: this header is all there is");
    return NULL;
}
