/* Mail on its way out, and points in time that outlive a restart. */
#include "store/db_int.h"

bool db_outbox_add(struct db *db, const struct db_outbox *o, uint64_t *id_r, struct err *err)
{
    bool own;
    *id_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    if (o->state != OUTBOX_HELD && o->state != OUTBOX_QUEUED)
        return call_refuse(db, own, err, ERR_USAGE, "a new mail is held or queued");
    q_keep(db,
           "INSERT INTO outbox(state,created,due,sender,rcpts,subject,msgid,file,answers,forwards) "
           "VALUES(?,?,?,?,?,?,?,?,?,?)",
           "iiisssssii", I(o->state), o->created, o->due, str_sub(o->sender, 0, 320), o->rcpts,
           str_sub(o->subject, 0, 1024), str_sub(sql_msgid(o->msgid), 0, 512), o->file, I(o->answers), I(o->forwards));
    uint64_t id = (uint64_t)sqlite3_last_insert_rowid(db->q.h);
    if (!call_leave(db, own, err))
        return false;
    *id_r = id;
    return true;
}

#define OUTBOX_SQL                                                                                                     \
    "SELECT id,state,created,due,sender,rcpts,subject,msgid,file,answers,forwards,tries,why,text FROM outbox "

static struct db_outbox outbox_read(struct db *db, sqlite3_stmt *st)
{
    return (struct db_outbox){.id = sql_u64(st, 0),
                              .state = (enum outbox_state)sql_int(st, 1),
                              .created = sql_int(st, 2),
                              .due = sql_int(st, 3),
                              .sender = out_str(db, sql_str(st, 4)),
                              .rcpts = out_str(db, sql_str(st, 5)),
                              .subject = out_str(db, sql_str(st, 6)),
                              .msgid = out_str(db, sql_str(st, 7)),
                              .file = out_str(db, sql_str(st, 8)),
                              .answers = sql_u64(st, 9),
                              .forwards = sql_int(st, 10),
                              .tries = sql_u32(st, 11),
                              .why = (enum err_kind)sql_int(st, 12),
                              .text = out_str(db, sql_str(st, 13))};
}

bool db_outbox_get(struct db *db, uint64_t id, struct db_outbox *out_r, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    arena_reset(db->out);
    sqlite3_stmt *st = q_ask(db, OUTBOX_SQL "WHERE id=?", "i", I(id));
    if (!q_step(db, st))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "no such mail in the outbox");
    *out_r = outbox_read(db, st);
    sqlite3_reset(st);
    return call_leave(db, own, err);
}

/* Which state may follow which; what may have gone out goes again only by the user's act. */
static bool may_follow(enum outbox_state from, enum outbox_state to, bool by_user)
{
    static const uint8_t next[] = {
        [OUTBOX_HELD] = 1 << OUTBOX_HELD | 1 << OUTBOX_QUEUED | 1 << OUTBOX_SENDING | 1 << OUTBOX_CANCELED,
        [OUTBOX_QUEUED] =
            1 << OUTBOX_HELD | 1 << OUTBOX_QUEUED | 1 << OUTBOX_SENDING | 1 << OUTBOX_REFUSED | 1 << OUTBOX_CANCELED,
        [OUTBOX_SENDING] = 1 << OUTBOX_QUEUED | 1 << OUTBOX_SENT | 1 << OUTBOX_REFUSED | 1 << OUTBOX_UNKNOWN,
        [OUTBOX_SENT] = 1 << OUTBOX_SENT | 1 << OUTBOX_FILED,
        [OUTBOX_REFUSED] = 1 << OUTBOX_REFUSED | 1 << OUTBOX_CANCELED,
        [OUTBOX_UNKNOWN] = 1 << OUTBOX_UNKNOWN | 1 << OUTBOX_SENT | 1 << OUTBOX_CANCELED,
        [OUTBOX_FILED] = 1 << OUTBOX_FILED,
        [OUTBOX_CANCELED] = 1 << OUTBOX_CANCELED,
    };
    bool again = by_user && to == OUTBOX_QUEUED && (from == OUTBOX_REFUSED || from == OUTBOX_UNKNOWN);
    return again || (from < COUNT(next) && to < COUNT(next) && next[from] >> to & 1);
}

bool db_outbox_set(struct db *db, uint64_t id, enum outbox_state state, int64_t due, enum err_kind why,
                   const char *text, bool by_user, struct err *err)
{
    bool own;
    int64_t from;
    if (!call_enter(db, &own, err))
        return false;
    if (!q_one(db, &from, "SELECT state FROM outbox WHERE id=?", "i", I(id)))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "no such mail in the outbox");
    if (!may_follow((enum outbox_state)from, state, by_user))
        return call_refuse(db, own, err, ERR_USAGE, "the mail's state does not allow it");
    q_keep(
        db,
        "UPDATE outbox SET state=?1,due=CASE WHEN ?2<>0 THEN ?2 ELSE due END,why=?3,text=?4,tries=tries+?5 WHERE id=?6",
        "iiisii", I(state), due, I(why), str_z(text), I(state == OUTBOX_SENDING), I(id));
    return call_leave(db, own, err);
}

bool db_outbox_next(struct db *db, uint64_t *id_r, int64_t *due_r, struct err *err)
{
    bool own;
    *id_r = 0;
    *due_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT id,due FROM outbox WHERE state<2 ORDER BY due LIMIT 1", "");
    if (q_step(db, st)) {
        *id_r = sql_u64(st, 0);
        *due_r = sql_int(st, 1);
        sqlite3_reset(st);
    }
    return call_leave(db, own, err);
}

bool db_outbox_each(struct db *db, db_outbox_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, OUTBOX_SQL "ORDER BY id", "");
    while (q_step(db, st)) {
        arena_reset(db->out);
        struct db_outbox o = outbox_read(db, st);
        fn(arg, &o);
    }
    return call_leave(db, own, err);
}

bool db_outbox_forget(struct db *db, uint64_t id, struct err *err)
{
    bool own;
    int64_t state;
    if (!call_enter(db, &own, err))
        return false;
    if (!q_one(db, &state, "SELECT state FROM outbox WHERE id=?", "i", I(id)))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "no such mail in the outbox");
    if (state != OUTBOX_FILED && state != OUTBOX_CANCELED)
        return call_refuse(db, own, err, ERR_USAGE, "the mail is still needed");
    q_keep(db, "DELETE FROM outbox WHERE id=?", "i", I(id));
    return call_leave(db, own, err);
}

/* ---- timers ------------------------------------------------------------------------------------- */

bool db_timer_set(struct db *db, const char *name, int64_t when, struct str arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    if (when)
        q_keep(db,
               "INSERT INTO timer(name,due,arg) VALUES(?,?,?) ON CONFLICT(name) DO UPDATE SET "
               "due=excluded.due,arg=excluded.arg",
               "sis", str_z(name), when, arg);
    else
        q_keep(db, "DELETE FROM timer WHERE name=?", "s", str_z(name));
    return call_leave(db, own, err);
}

bool db_timer_get(struct db *db, const char *name, int64_t *when_r, struct buf *arg, struct err *err)
{
    bool own;
    *when_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT due,arg FROM timer WHERE name=?", "s", str_z(name));
    if (q_step(db, st)) {
        *when_r = sql_int(st, 0);
        buf_adds(arg, sql_str(st, 1));
        sqlite3_reset(st);
    }
    return call_leave(db, own, err);
}

bool db_timer_next(struct db *db, int64_t now, struct buf *name, struct buf *arg, int64_t *when_r, struct err *err)
{
    bool own;
    *when_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT name,due,arg FROM timer ORDER BY due LIMIT 1", "");
    if (q_step(db, st)) {
        *when_r = sql_int(st, 1);
        if (*when_r <= now) {
            buf_adds(name, sql_str(st, 0));
            buf_adds(arg, sql_str(st, 2));
        }
        sqlite3_reset(st);
    }
    return call_leave(db, own, err);
}
