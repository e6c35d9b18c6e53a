/* Mail that goes out of sight and comes back unread at its time, and the timers of that and of remind.c. Other devices
 * see the mailbox it waits in; when it is due is kept in keep.db. What was moved on from there meanwhile, here or
 * elsewhere, is left alone. */
#include "store/account.h"

#define NAME "snooze/"
#define LOOK_S 3600 /* clocks jump */
#define LATER_S 15
#define SOON_MS 5000 /* where it cannot be looked at now */
#define MSGS_MAX 4096

static const char *box_wanted(const struct acct *a)
{
    return a->conf->snoozed && a->conf->snoozed[0] ? a->conf->snoozed : "Snoozed";
}

/* The mailbox it waits in, if there is one. */
static uint64_t box_there(struct acct *a)
{
    struct buf name = BUF_INIT(4000), shown = BUF_INIT(1000);
    struct db_box b = {.id = 0};
    struct err err = ERR_INIT;
    acct_box_name(a, str_z(box_wanted(a)), &name, &shown);
    uint64_t id = db_box_by_name(a->db, buf_str(&name), &b, &err) ? b.id : 0;
    buf_fini(&name);
    buf_fini(&shown);
    return id;
}

/* ---- going --------------------------------------------------------------------------------------- */
static void timer_name(uint64_t msg, char out[40])
{
    snprintf(out, 40, NAME "%llu", (unsigned long long)msg);
}

/* Where it comes back to: where it is, or was when it first went. "BOX MESSAGE-ID" */
static bool remember(struct acct *a, uint64_t msg, uint64_t waits_in, int64_t due, struct err *err)
{
    struct db_msg m;
    struct buf arg = BUF_INIT(1100);
    char name[40];
    int64_t was;
    timer_name(msg, name);
    bool ok = db_msg_get(a->db, msg, &m, err);
    if (ok && m.box == waits_in)
        ok = db_timer_get(a->db, name, &was, &arg, err);
    if (ok && !arg.n)
        buf_addf(&arg, "%llu %.*s", (unsigned long long)(m.box == waits_in ? 0 : m.box), STR_FMT(m.msgid));
    ok = ok && db_timer_set(a->db, name, due, buf_str(&arg), err);
    buf_fini(&arg);
    return ok;
}

static bool go(struct acct *a, const uint64_t *ids, size_t n, int64_t due, uint64_t *group, uint32_t *count,
               struct err *err)
{
    uint64_t mine = 0, own = 0; /* undo brings the mail back; the mailbox stays */
    uint64_t target = acct_folder(a, box_wanted(a), &own, true, err);
    bool ok = target != 0;
    for (size_t i = 0; ok && i < n; i++)
        ok = remember(a, ids[i], target, due, err);
    struct db_intent in = {
        .kind = INTENT_MOVE, .msgs = ids, .n = n, .target = target, .now = clock_wall(), .group = *group};
    ok = ok && db_intent_add(a->db, &in, &mine, NULL, count, err);
    *group = *group ? *group : mine;
    return ok;
}

void snooze_ask(struct acct *a, uint64_t client, const struct m_SNOOZE *m)
{
    struct err err = ERR_INIT;
    size_t n = ipc_ids_count(m->msgs);
    uint64_t *ids = mem_array(n + 1, sizeof *ids), group = 0;
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++)
        ids[i] = ipc_ids_at(m->msgs, i);
    bool ok = n > 0 && n <= MSGS_MAX && m->due >= 0;
    if (!ok)
        err_set(&err, ERR_USAGE, "no message, or no time, to snooze");
    else if (!acct_listed(a))
        ok = err_set(&err, ERR_OFFLINE, "the mailboxes of %s are not known yet: try again when it is connected",
                     a->name);
    if (ok) {
        ok = db_begin(a->db, &err) && go(a, ids, n, MAX(m->due, (int64_t)1), &group, &count, &err);
        if (!ok)
            db_rollback(a->db);
        else
            ok = db_commit(a->db, &err);
    }
    free(ids);
    if (ok)
        ANSWER(a->srv, client, -1, INTENT_OK, .req = m->req, .group = group, .count = (uint32_t)n);
    else
        server_refuse(a->srv, client, m->req, err.kind, err.text);
    watch_free(&a->snooze_timer);
}

/* ---- coming back --------------------------------------------------------------------------------- */
/* Is all of that mailbox known here? Where lists are read anew, what waits in it may not have been met yet. */
static bool all_known(struct acct *a, uint64_t box)
{
    ptrdiff_t i = box_at(a, box);
    if (!a->imap)
        return !local_busy(a);
    return i >= 0 ? a->plan[i].was_open && a->plan[i].exists <= a->plan[i].have : box == 0 && a->listed;
}

/* The message that the timer is about, if it waits still; its origin, or the inbox where that is gone. */
static uint64_t waiting(struct acct *a, struct str name, struct str arg, uint64_t *origin_r)
{
    struct err err = ERR_INIT;
    struct db_msg m;
    struct db_box b;
    uint64_t id = 0, box = box_there(a), found = 0;
    struct str rest = arg, word;
    *origin_r = 0;
    if (!box || !str_starts(name, STR(NAME)) || !str_u64(str_sub(name, sizeof NAME - 1, name.n), &id) ||
        !str_split(&rest, ' ', &word))
        return 0;
    if (db_msg_get(a->db, id, &m, &err) && m.box == box)
        found = id;
    else if (rest.p && rest.n && !db_row_by_msgid(a->db, box, rest, &found, &err))
        return 0;
    if (!str_u64(word, origin_r) || !*origin_r || !db_box_get(a->db, *origin_r, &b, &err))
        *origin_r = acct_role_box(a, BOX_INBOX, &err);
    return found;
}

static bool come(struct acct *a, uint64_t msg, uint64_t origin, struct err *err)
{
    uint64_t group = 0;
    uint32_t count;
    struct db_intent
        unread =
            {.kind = INTENT_FLAGS, .msgs = &msg, .n = 1, .clear = FLAG_SEEN, .now = clock_wall(), .automatic = true},
        back = {.kind = INTENT_MOVE, .msgs = &msg, .n = 1, .target = origin, .now = clock_wall(), .automatic = true};
    return db_intent_add(a->db, &unread, &group, NULL, &count, err) &&
           db_intent_add(a->db, &back, &group, NULL, &count, err);
}

static void say(struct acct *a, const struct came *c)
{
    struct err err = ERR_INIT;
    struct db_msg m;
    if (db_msg_get(a->db, c->msg, &m, &err))
        acct_note(a, 0, ERR_NONE, "%s: %s", c->words, clean_line(m.subject));
    BROADCAST(a->srv, CHANGED, .account = str_z(a->name), .box = c->origin, .fresh = 1);
}

static bool snooze_due(struct acct *a, struct str name, struct str arg, struct came *c, struct err *err)
{
    *c = (struct came){.words = "back"};
    c->msg = waiting(a, name, arg, &c->origin);
    if (!c->msg && !all_known(a, box_there(a)))
        c->later = clock_wall() + LATER_S;
    if (!c->origin)
        c->msg = 0;
    return !c->msg || come(a, c->msg, c->origin, err);
}

/* One that is due. False: none is, or it could not be done. */
static bool one_comes(struct acct *a, int64_t *next_r)
{
    struct buf name = BUF_INIT(64), arg = BUF_INIT(1200);
    struct err err = ERR_INIT;
    struct came c = {0};
    bool ok = db_timer_next(a->db, clock_wall(), &name, &arg, next_r, &err), due = ok && name.n;
    if (due) {
        ok = db_begin(a->db, &err) &&
             (remind_is(buf_str(&name)) ? remind_due(a, buf_str(&name), buf_str(&arg), &c, &err)
                                        : snooze_due(a, buf_str(&name), buf_str(&arg), &c, &err)) &&
             db_timer_set(a->db, buf_z(&name), c.later, buf_str(&arg), &err);
        if (!ok)
            db_rollback(a->db);
        else
            ok = db_commit(a->db, &err);
        if (ok && c.msg && c.origin)
            say(a, &c);
    }
    if (!ok)
        acct_db_error(a, &err);
    buf_fini(&name);
    buf_fini(&arg);
    return ok && due;
}

static void timer_fired(void *arg)
{
    struct acct *a = arg;
    int64_t next = 0, ms = SOON_MS;
    a->snooze_timer = NULL;
    if (a->db && !db_in_burst(a->db) && a->nboxes) {
        while (one_comes(a, &next))
            continue;
        int64_t wait = next ? next - clock_wall() : LOOK_S;
        ms = MIN(MAX(wait, (int64_t)1), (int64_t)LOOK_S) * 1000;
    }
    a->snooze_timer = loop_after(a->srv->loop, ms, timer_fired, a);
    acct_settle(a);
}

void snooze_pump(struct acct *a)
{
    if (!a->snooze_timer)
        a->snooze_timer = loop_after(a->srv->loop, 0, timer_fired, a);
}

void snooze_free(struct acct *a)
{
    watch_free(&a->snooze_timer);
}
