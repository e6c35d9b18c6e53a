/* Mail whose answer is waited for, and threads that are muted.
 *
 * A message that waits bears the tag remind, where other devices see it; when it is due, and since when an answer
 * counts, is kept in keep.db. Without the tag (undone, or taken off elsewhere) its time passes unnoticed. */
#include "store/account.h"

#define NAME "remind/"
#define TAG "remind"
#define LATER_S 5
#define PATIENCE_MS 600000 /* for a line that does not come up: then what is known here decides */
#define MSGS_MAX 4096

/* ---- is there an answer? ------------------------------------------------------------------------ */
struct answer {
    struct acct *acct;
    uint64_t msg;
    int64_t since;
    bool any;
};

static bool from_me(const struct acct *a, struct str addr)
{
    return addr.n && account_owns(a->conf, addr);
}

static void answers(void *arg, const struct db_threaded *t)
{
    struct answer *x = arg;
    ptrdiff_t i = box_at(x->acct, t->box);
    uint8_t role = i >= 0 ? x->acct->boxes[i].role : BOX_NONE;
    if (t->id == x->msg || role == BOX_DRAFTS || role == BOX_JUNK || role == BOX_SENT || from_me(x->acct, t->from_addr))
        return;
    /* what a sender claims as date does not count where the arrival is known */
    x->any = x->any || (t->internal_date ? t->internal_date : t->date) >= x->since;
}

static bool answered(struct acct *a, uint64_t msg, int64_t since, bool *any_r, struct err *err)
{
    struct answer x = {a, msg, since, false};
    bool ok = db_thread_each(a->db, msg, answers, &x, err);
    *any_r = x.any;
    return ok;
}

/* ---- asking for it ------------------------------------------------------------------------------ */
struct one {
    uint64_t id, thread;
    int64_t date, since;
    bool inbox, waits; /* waits: it is this one of its thread that comes back */
    bool over;         /* answered already */
};

static bool look(struct acct *a, struct one *o, uint64_t inbox, struct err *err)
{
    struct db_msg m;
    if (!db_msg_get(a->db, o->id, &m, err))
        return false;
    o->thread = m.thread;
    o->date = m.date;
    o->inbox = m.box == inbox;
    bool own = from_me(a, m.from_addr);
    o->since = !own ? clock_wall() : m.internal_date ? m.internal_date : m.date;
    return answered(a, o->id, o->since, &o->over, err);
}

static bool newest(const struct one *list, size_t n, size_t at)
{
    const struct one *me = &list[at];
    for (const struct one *o = list; o < list + n; o++)
        if (o != me && o->thread == me->thread && me->thread && (o->date > me->date || (o->date == me->date && o > me)))
            return false;
    return true;
}

static bool timer(struct acct *a, const struct one *o, int64_t due, struct err *err)
{
    struct db_msg m;
    struct buf arg = BUF_INIT(1200);
    char name[40];
    snprintf(name, sizeof name, NAME "%llu", (unsigned long long)o->id);
    bool ok = db_msg_get(a->db, o->id, &m, err);
    if (ok)
        buf_addf(&arg, "%lld %lld %.*s", (long long)o->since, (long long)due, STR_FMT(m.msgid));
    ok = ok && db_timer_set(a->db, name, due, buf_str(&arg), err);
    buf_fini(&arg);
    return ok;
}

static bool record(struct acct *a, const struct one *list, size_t n, bool inbox, bool waits, uint64_t target,
                   const char *tags, uint64_t *group, uint32_t *count, struct err *err)
{
    uint64_t *ids = mem_array(n + 1, sizeof *ids), mine = 0;
    size_t k = 0;
    uint32_t did = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].inbox == inbox && list[i].waits == waits && !list[i].over)
            ids[k++] = list[i].id;
    struct db_intent in = {.kind = INTENT_RULES,
                           .msgs = ids,
                           .n = k,
                           .target = inbox ? target : 0,
                           .arg = waits ? str_z(tags) : STR(""),
                           .now = clock_wall(),
                           .group = *group};
    bool ok = k == 0 || (!in.target && !in.arg.n) || db_intent_add(a->db, &in, &mine, NULL, &did, err);
    free(ids);
    *group = *group ? *group : mine;
    *count += did;
    return ok;
}

static bool wait_for(struct acct *a, struct one *list, size_t n, int64_t due, uint64_t *group, uint32_t *count,
                     struct err *err)
{
    uint64_t inbox = acct_role_box(a, BOX_INBOX, err), archive = 0;
    bool ok = inbox != 0, any = false, off = due == 0;
    for (size_t i = 0; ok && i < n; i++) {
        ok = look(a, &list[i], inbox, err);
        list[i].over = list[i].over && !off;
        any = any || !list[i].over;
    }
    if (ok && !any)
        ok = err_set(err, ERR_USAGE, n == 1 ? "it is answered already" : "they are answered already");
    for (size_t i = 0; ok && i < n; i++) {
        list[i].waits = off || newest(list, n, i);
        if (list[i].waits && !list[i].over)
            ok = timer(a, &list[i], due, err);
        if (list[i].inbox && !off && !archive)
            ok = ok && (archive = acct_role_box(a, BOX_ARCHIVE, err)) != 0;
    }
    const char *tags = off ? "-" TAG : "+" TAG;
    return ok && record(a, list, n, true, true, archive, tags, group, count, err) &&
           (off || record(a, list, n, true, false, archive, tags, group, count, err)) &&
           record(a, list, n, false, true, 0, tags, group, count, err);
}

/* Ends the burst that was begun, and answers the client by what `ok` says. */
static void asked_end(struct acct *a, uint64_t client, uint32_t req, bool begun, bool ok, uint64_t group,
                      uint32_t count, struct err *err)
{
    if (begun && !ok)
        db_rollback(a->db);
    else if (begun)
        ok = db_commit(a->db, err);
    if (ok)
        ANSWER(a->srv, client, -1, INTENT_OK, .req = req, .group = group, .count = count);
    else
        server_refuse(a->srv, client, req, err->kind, err->text);
    watch_free(&a->snooze_timer);
}

/* Actions need mailboxes to be known. */
static bool ready(struct acct *a, size_t n, struct err *err)
{
    if (!n || n > MSGS_MAX)
        return err_set(err, ERR_USAGE, n ? "too many messages at once" : "there is no message");
    return acct_listed(a) ||
           err_set(err, ERR_OFFLINE, "the mailboxes of %s are not known yet: try again when it is connected", a->name);
}

void remind_ask(struct acct *a, uint64_t client, const struct m_SNOOZE *m)
{
    struct err err = ERR_INIT;
    size_t n = ipc_ids_count(m->msgs);
    struct one *list = mem_array(n + 1, sizeof *list);
    uint64_t group = 0;
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++)
        list[i] = (struct one){.id = ipc_ids_at(m->msgs, i)};
    bool begun = ready(a, n, &err) && db_begin(a->db, &err);
    bool ok = begun && wait_for(a, list, n, MAX(m->due, (int64_t)0), &group, &count, &err);
    free(list);
    asked_end(a, client, m->req, begun, ok, group, count, &err);
}

/* ---- its time has come -------------------------------------------------------------------------- */
/* Has the account seen what came until then? */
static bool up_to_date(struct acct *a, int64_t due)
{
    ptrdiff_t i = box_role(a, BOX_INBOX);
    int64_t now = clock_mono_ms();
    bool ok = a->offline; /* by the user's word: what is known here decides */
    if (a->imap)
        ok = ok || (a->line == LINE_UP && i >= 0 && a->plan[i].was_open && !a->plan[i].dirty && !a->plan[i].grew &&
                    !a->plan[i].thin);
    else
        ok = ok || (!local_busy(a) && (!a->pop || (a->pop_ended && now - a->pop_ended < (clock_wall() - due) * 1000)));
    a->remind_since = ok ? 0 : a->remind_since ? a->remind_since : now;
    return ok || now - a->remind_since > PATIENCE_MS;
}

/* The message that the timer is about, if it waits still; *since_r: an answer is one that came behind it. "SINCE DUE
 * MESSAGE-ID" */
static uint64_t waiting(struct acct *a, struct str name, struct str arg, int64_t *since_r, int64_t *due_r,
                        struct err *err)
{
    struct db_msg m;
    struct err none = ERR_INIT;
    struct str rest = arg, word;
    uint64_t id = 0, since = 0, due = 0, found = 0;
    if (!str_u64(str_sub(name, sizeof NAME - 1, name.n), &id) || !str_split(&rest, ' ', &word) ||
        !str_u64(word, &since) || !str_split(&rest, ' ', &word) || !str_u64(word, &due))
        return 0;
    *since_r = (int64_t)since;
    *due_r = (int64_t)due;
    if (db_msg_get(a->db, id, &m, &none) && m.box)
        found = id;
    else if (rest.p && rest.n && !db_msg_known(a->db, rest, &found, err))
        return 0;
    struct buf tags = BUF_INIT(16384);
    bool tagged = false;
    if (found && db_tags(a->db, found, &tags, err)) {
        rest = buf_str(&tags);
        while (str_split(&rest, ' ', &word))
            tagged = tagged || str_eqz(word, TAG);
    }
    buf_fini(&tags);
    return tagged ? found : 0;
}

static bool change(struct acct *a, uint64_t msg, uint64_t target, uint32_t set, uint32_t clear, const char *tags,
                   struct err *err)
{
    uint64_t group = 0;
    uint32_t count;
    struct db_intent in = {.kind = INTENT_RULES,
                           .msgs = &msg,
                           .n = 1,
                           .target = target,
                           .set = set,
                           .clear = clear,
                           .arg = str_z(tags),
                           .now = clock_wall(),
                           .automatic = true};
    return db_intent_add(a->db, &in, &group, NULL, &count, err);
}

/* What the user sent stays where it is filed; a copy of it comes, unread as the message is meanwhile. */
static bool come_copy(struct acct *a, uint64_t msg, uint64_t inbox, struct err *err)
{
    uint64_t group = 0;
    uint32_t count;
    struct db_intent in = {
        .kind = INTENT_COPY, .msgs = &msg, .n = 1, .target = inbox, .now = clock_wall(), .automatic = true};
    return change(a, msg, 0, 0, FLAG_SEEN, "-" TAG, err) && db_intent_add(a->db, &in, &group, NULL, &count, err) &&
           change(a, msg, 0, FLAG_SEEN, 0, "", err);
}

static bool come(struct acct *a, uint64_t msg, uint64_t *origin_r, struct err *err)
{
    struct db_msg m;
    uint64_t inbox = acct_role_box(a, BOX_INBOX, err);
    *origin_r = inbox;
    if (!inbox || !db_msg_get(a->db, msg, &m, err))
        return false;
    ptrdiff_t i = box_at(a, m.box);
    if (i >= 0 && a->boxes[i].role == BOX_SENT)
        return come_copy(a, msg, inbox, err);
    return change(a, msg, m.box == inbox ? 0 : inbox, 0, FLAG_SEEN, "-" TAG, err);
}

bool remind_due(struct acct *a, struct str name, struct str arg, struct came *came_r, struct err *err)
{
    int64_t since = 0, due = 0;
    bool any = false;
    uint64_t msg = waiting(a, name, arg, &since, &due, err);
    *came_r = (struct came){.words = "no answer yet"};
    if (!msg)
        return err->kind == ERR_NONE;
    if (!up_to_date(a, due)) {
        came_r->later = clock_wall() + LATER_S;
        return true;
    }
    if (!answered(a, msg, since, &any, err))
        return false;
    if (any)
        return change(a, msg, 0, 0, 0, "-" TAG, err);
    came_r->msg = msg;
    return come(a, msg, &came_r->origin, err);
}

bool remind_is(struct str name)
{
    return str_starts(name, STR(NAME));
}

/* ---- muting ------------------------------------------------------------------------------------- */
struct members {
    uint64_t inbox;
    uint64_t *in, *out; /* in the inbox; elsewhere */
    size_t nin, nout, cap;
    uint64_t *threads; /* that were looked at */
    size_t nthreads;
};

static void member(void *arg, const struct db_threaded *t)
{
    struct members *x = arg;
    if (x->nin + x->nout == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 64;
        x->in = mem_resize(x->in, x->cap, sizeof *x->in);
        x->out = mem_resize(x->out, x->cap, sizeof *x->out);
    }
    if (t->box == x->inbox)
        x->in[x->nin++] = t->id;
    else
        x->out[x->nout++] = t->id;
}

static bool mute(struct acct *a, struct members *x, bool on, uint64_t *group, uint32_t *count, struct err *err)
{
    uint64_t mine = 0;
    uint32_t did = 0;
    struct db_intent in = {.kind = INTENT_RULES,
                           .msgs = x->in,
                           .n = x->nin,
                           .set = on ? FLAG_SEEN : 0,
                           .arg = on ? STR("+" TAG_MUTED) : STR("-" TAG_MUTED),
                           .now = clock_wall()};
    if (x->nin && on && !(in.target = acct_role_box(a, BOX_ARCHIVE, err)))
        return false;
    bool ok = !x->nin || db_intent_add(a->db, &in, &mine, NULL, &did, err);
    *group = mine;
    *count = did;
    in.msgs = x->out;
    in.n = x->nout;
    in.target = 0;
    in.group = mine;
    ok = ok && (!x->nout || db_intent_add(a->db, &in, &mine, NULL, &did, err));
    *group = *group ? *group : mine;
    *count += ok && x->nout ? did : 0;
    return ok;
}

/* All of the message's thread, once; a message that has gone has none. */
static bool members_of(struct acct *a, uint64_t msg, struct members *x, struct err *err)
{
    struct db_msg m;
    struct err none = ERR_INIT;
    if (!db_msg_get(a->db, msg, &m, &none))
        return true;
    for (size_t i = 0; i < x->nthreads; i++)
        if (x->threads[i] == m.thread)
            return true;
    x->threads[x->nthreads++] = m.thread;
    return db_thread_each(a->db, msg, member, x, err);
}

void mute_ask(struct acct *a, uint64_t client, const struct m_MUTE *m)
{
    struct err err = ERR_INIT;
    struct members x = {.cap = 0};
    uint64_t group = 0;
    uint32_t count = 0;
    size_t n = ipc_ids_count(m->msgs);
    bool begun = ready(a, n, &err) && db_begin(a->db, &err), ok = begun;
    x.inbox = ok ? acct_role_box(a, BOX_INBOX, &err) : 0;
    x.threads = mem_array(n + 1, sizeof *x.threads);
    for (size_t i = 0; ok && i < n; i++)
        ok = members_of(a, ipc_ids_at(m->msgs, i), &x, &err);
    if (ok && !x.nin && !x.nout)
        ok = err_set(&err, ERR_NO_MESSAGE, "the message does not exist any more");
    ok = ok && mute(a, &x, m->on != 0, &group, &count, &err);
    free(x.threads);
    free(x.in);
    free(x.out);
    asked_end(a, client, m->req, begun, ok, group, count, &err);
}
