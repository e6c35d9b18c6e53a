/* POP3: which messages of the maildrop are here, which may be deleted there. */
#include "store/ledger.h"
#include "mail/mark.h"

/* The entries of the files in a mailbox, by their tags: a set. */
static void trashed(struct db *db, uint64_t box, struct records *set)
{
    sqlite3_stmt *st = q_ask(db, "SELECT name FROM msg WHERE sbox=? AND name IS NOT NULL", "i", I(box));
    while (q_step(db, st)) {
        uint64_t tag = mark_read(sql_str(st, 0)).tag;
        sqlite3_stmt *of = tag ? q_ask(db, "SELECT id FROM uidl WHERE tag=? AND tag IS NOT NULL", "i", I(tag)) : NULL;
        while (of && q_step(db, of))
            records_set_bit(set, sql_u64(of, 0), true);
    }
}

bool db_pop_each(struct db *db, uint64_t trash, db_pop_fn *fn, void *arg, struct err *err)
{
    bool own;
    struct records in_trash;
    struct err why = ERR_INIT;
    if (!call_enter(db, &own, err))
        return false;
    records_init(&in_trash, db->dir, sizeof(uint64_t));
    if (trash)
        trashed(db, trash, &in_trash);
    struct pop *p = db->pop && db->pop->ended ? db->pop : NULL;
    for (uint32_t number = 1; p && number <= p->last && !db->failed; number++) {
        const struct listed *l = listed_get(p, number);
        if (!l->id)
            continue;
        sqlite3_stmt *st =
            q_ask(db, "SELECT state,failures,why,delivered,purged,checked,length(head)>0 FROM uidl WHERE id=?", "i",
                  I(l->id));
        if (!q_step(db, st))
            continue;
        struct db_pop found = {.id = l->id,
                               .number = number,
                               .size = l->size,
                               .state = (enum pop_state)sql_int(st, 0),
                               .failures = sql_u32(st, 1),
                               .why = (enum err_kind)sql_int(st, 2),
                               .delivered = sql_int(st, 3),
                               .purged = sql_int(st, 4) != 0,
                               .checked = sql_int(st, 5),
                               .hashed = sql_int(st, 6) != 0,
                               .unsure = l->unsure,
                               .sure = l->sure,
                               .in_trash = trash && records_bit(&in_trash, l->id)};
        sqlite3_reset(st);
        fn(arg, &found);
    }
    bool ok = records_ok(&in_trash, &why);
    records_fini(&in_trash);
    listed_ok(db);
    return (call_leave(db, own, err) && ok) || (why.kind ? err_set(err, why.kind, "%s", why.text) : false);
}

/* ---- Messages of which the header is here ------------------------------------------------------- */

/* A stub with that tag; 0: none. */
static uint64_t stub_with(struct db *db, uint64_t tag)
{
    uint64_t id = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT id,name FROM msg WHERE (state & 8) <> 0 AND name IS NOT NULL", "");
    while (q_step(db, st))
        if (mark_read(sql_str(st, 1)).tag == tag)
            id = sql_u64(st, 0);
    return id;
}

bool db_pop_stub(struct db *db, uint32_t number, uint64_t *msg_r, struct err *err)
{
    bool own;
    *msg_r = 0;
    struct pop *p = db->pop && db->pop->ended ? db->pop : NULL;
    const struct listed *l = p ? listed_get(p, number) : NULL;
    if (!l || !l->id || l->state != POP_STUB)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    uint64_t tag = 0, msg = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT tag,msg FROM uidl WHERE id=? AND tag IS NOT NULL", "i", I(l->id));
    if (q_step(db, st)) {
        tag = sql_u64(st, 0);
        msg = sql_u64(st, 1);
        sqlite3_reset(st);
    }
    st = q_ask(db, "SELECT name FROM msg WHERE id=? AND (state & 8) <> 0 AND name IS NOT NULL", "i", I(msg));
    if (tag && q_step(db, st)) {
        *msg_r = mark_read(sql_str(st, 0)).tag == tag ? msg : 0;
        sqlite3_reset(st);
    }
    if (tag && !*msg_r)
        *msg_r = stub_with(db, tag);
    return call_leave(db, own, err);
}

/* The number of an entry that is listed; 0: none. */
static uint32_t number_of(struct pop *p, uint64_t id)
{
    if (!id || !records_bit(&p->seen, id))
        return 0;
    POP_EACH(p, number)
    if (listed_get(p, number)->id == id)
        return number;
    return 0;
}

bool db_pop_number(struct db *db, uint64_t msg, uint32_t *number_r, struct err *err)
{
    bool own;
    int64_t tag = 0;
    *number_r = 0;
    struct pop *p = db->pop && db->pop->ended ? db->pop : NULL;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st =
        q_ask(db, "SELECT name FROM msg WHERE id=? AND (state & 8) <> 0 AND name IS NOT NULL", "i", I(msg));
    if (q_step(db, st)) {
        tag = (int64_t)mark_read(sql_str(st, 0)).tag;
        sqlite3_reset(st);
    }
    st = q_ask(db, "SELECT id FROM uidl WHERE tag=?1 AND tag IS NOT NULL AND state=?2 ORDER BY msg=?3 DESC,id", "iii",
               I(tag), I(POP_STUB), I(msg));
    while (tag && p && q_step(db, st))
        *number_r = *number_r ? *number_r : number_of(p, sql_u64(st, 0));
    return call_leave(db, own, err);
}

/* ---- Changes of one message --------------------------------------------------------------------- */

/* NULL: nothing is. Until the next. */
static struct listed *listed_at(struct db *db, uint32_t number)
{
    struct pop *p = db->pop && db->pop->ended ? db->pop : NULL;
    return p && listed_get(p, number)->id ? listed_change(p, number) : NULL;
}

static bool not_listed(struct db *db, uint32_t number, bool own, struct err *err)
{
    listed_ok(db);
    return call_refuse(db, own, err, ERR_NO_MESSAGE, "message %u was not listed", number);
}

static bool pop_set(struct db *db, struct listed *l, enum pop_state state)
{
    l->state = (uint8_t)state;
    return q_keep(db, "UPDATE uidl SET state=? WHERE id=?", "ii", I(state), I(l->id));
}

/* The id of a message that the ledger knows by its file, when the row is lost: the cache was, or the last of it. */
uint64_t ledger_claim(struct db *db, struct str name)
{
    int64_t id = 0;
    if (db->has_ledger && name.n)
        q_one(db, &id,
              "SELECT u.msg FROM uidl u WHERE u.name=? AND u.name IS NOT NULL AND NOT EXISTS(SELECT 1 FROM msg WHERE "
              "id=u.msg) LIMIT 1",
              "s", name);
    return (uint64_t)id;
}

bool db_pop_delivered(struct db *db, uint32_t number, const struct db_row *row, struct str head, int64_t now,
                      uint64_t *msg_r, struct err *err)
{
    struct mark mark = mark_read(row->name);
    bool own;
    struct err e = ERR_INIT;
    *msg_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct listed *l = listed_at(db, number);
    if (!l)
        return not_listed(db, number, own, err);
    struct db_row put = *row;
    put.delivered = l->state == POP_SEEN;
    if (!db_row_put(db, &put, msg_r, NULL, &e))
        return call_refuse(db, own, err, e.kind, "%s", e.text);
    if (l->state == POP_SEEN) {
        pop_set(db, l, mark.stub ? POP_STUB : POP_DELIVERED);
        q_keep(db, "UPDATE uidl SET delivered=?,msg=?,name=?,why=0,failures=0,tag=nullif(?,0),head=? WHERE id=?",
               "iisini", now, I(*msg_r), row->name, I(mark.tag), str_sub(head, 0, HEAD_MAX), I(l->id));
        db->has_ledger = true;
        arrival_look(db, *msg_r, true, true); /* also one that a scan found first */
    }
    return call_leave(db, own, err);
}

/* The entry of a file: of those with its tag (equal UIDLs share it) the one that says so, or is as long as the mail;
 * none that has a row of its own. */
static uint64_t entry_of(struct db *db, uint64_t msg, struct str name)
{
    struct mark mark = mark_read(name);
    int64_t id = 0;
    if (mark.tag)
        q_one(db, &id,
              "SELECT u.id FROM uidl u WHERE u.tag=?1 AND u.tag IS NOT NULL AND (u.msg=?2 OR NOT EXISTS(SELECT 1 FROM "
              "msg WHERE id=u.msg)) ORDER BY u.msg=?2 DESC,u.size=?3 DESC,u.id LIMIT 1",
              "iii", I(mark.tag), I(msg), I(mark.stub));
    return (uint64_t)id;
}

static void state_follows(struct db *db, uint64_t id, enum pop_state state)
{
    uint32_t number = db->pop ? number_of(db->pop, id) : 0;
    if (number)
        listed_change(db->pop, number)->state = (uint8_t)state;
}

static void entry_whole(struct db *db, uint64_t id, uint64_t msg, struct str name, int64_t now)
{
    int64_t state;
    if (!id || !q_one(db, &state, "SELECT state FROM uidl WHERE id=?", "i", I(id)) || state != POP_STUB)
        return;
    q_keep(db, "UPDATE uidl SET state=?,delivered=?,msg=?,name=?,failures=0,why=0 WHERE id=?", "iiisi",
           I(POP_DELIVERED), now, I(msg), name, I(id));
    state_follows(db, id, POP_DELIVERED);
}

bool db_pop_whole(struct db *db, uint64_t msg, struct str name, int64_t now, struct err *err)
{
    bool own;
    struct mark mark = mark_read(name);
    if (!mark.tag || mark.stub)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    entry_whole(db, entry_of(db, msg, name), msg, name, now);
    return call_leave(db, own, err);
}

bool db_pop_body_is(struct db *db, uint64_t msg, uint64_t box, struct str name, struct str path, uint32_t flags,
                    int64_t now, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    entry_whole(db, entry_of(db, msg, name), msg, name, now);
    struct err e = ERR_INIT;
    if (!db_name_is(db, msg, box, name, flags, &e) || !db_body_is(db, msg, path, STR(""), &e))
        return call_refuse(db, own, err, e.kind, "%s", e.text);
    row_queue(db, msg, INDEX_WHAT_MAIL);
    return call_leave(db, own, err);
}

uint64_t db_pop_stub_of(struct db *db, uint64_t box, struct str name)
{
    struct mark mark = mark_read(name);
    struct buf whole = BUF_INIT(255);
    struct err ignored = ERR_INIT;
    uint64_t id = 0;
    bool own;
    if (!mark.tag || mark.stub || !call_enter(db, &own, &ignored))
        return 0;
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT m.id,m.name FROM uidl u CROSS JOIN msg m ON m.id=u.msg WHERE u.tag=?2 AND u.tag IS "
              "NOT NULL AND m.sbox=?1 AND m.name IS NOT NULL",
              "ii", I(box), I(mark.tag));
    while (q_step(db, st)) {
        buf_reset(&whole);
        if (mark_read(sql_str(st, 1)).stub && mark_whole(sql_str(st, 1), &whole) && str_eq(buf_str(&whole), name))
            id = sql_u64(st, 0);
    }
    buf_fini(&whole);
    return call_leave(db, own, &ignored) ? id : 0;
}

bool db_pop_purged(struct db *db, uint64_t msg, struct str name, int64_t now, struct err *err)
{
    bool own;
    uint64_t other = 0;
    struct mark mark = mark_read(name);
    if (!mark.tag)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    uint64_t id = entry_of(db, msg, name);
    if (mark.stub) /* of its copies the last one counts */
        other = stub_with(db, mark.tag);
    if (id && (!other || other == msg)) {
        q_keep(db, "UPDATE uidl SET purged=1 WHERE id=?", "i", I(id));
        entry_whole(db, id, msg, name, now);
    }
    return call_leave(db, own, err);
}

/* A change of one listed message. */
static struct listed *pop_enter(struct db *db, uint32_t number, bool *own, struct err *err)
{
    if (!call_enter(db, own, err))
        return NULL;
    struct listed *l = listed_at(db, number);
    if (!l)
        not_listed(db, number, *own, err);
    return l;
}

bool db_pop_failed(struct db *db, uint32_t number, enum err_kind why, struct err *err)
{
    bool own;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    q_keep(db, "UPDATE uidl SET failures=failures+1,why=? WHERE id=?", "ii", I(why), I(l->id));
    if (l->state == POP_DELETE_WANTED) /* a DELE that was refused: it is there for sure */
        pop_set(db, l, POP_DELIVERED);
    return call_leave(db, own, err);
}

bool db_pop_compare(struct db *db, uint32_t number, struct str head, int64_t now, enum pop_is *is_r, struct err *err)
{
    bool own, same = true;
    *is_r = POP_UNKNOWN;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    listed_head_is(db->pop, l, head);
    bool known = listed_has_head(db, l->id, l, &same);
    if (head.n)
        *is_r = same ? POP_SAME : POP_OTHER;
    if (*is_r == POP_SAME && !known)
        q_keep(db, "UPDATE uidl SET head=? WHERE id=?", "si", head, I(l->id));
    if (*is_r == POP_SAME)
        l->unsure = false;
    if (*is_r != POP_OTHER)
        q_keep(db, "UPDATE uidl SET checked=? WHERE id=?", "ii", now, I(l->id));
    return call_leave(db, own, err);
}

bool db_pop_other(struct db *db, uint32_t number, int64_t now, enum pop_state *state_r, struct err *err)
{
    bool own;
    struct buf uidl = BUF_INIT(UIDL_MAX);
    *state_r = POP_SEEN;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT uidl FROM uidl WHERE id=?", "i", I(l->id));
    if (q_step(db, st)) {
        buf_adds(&uidl, sql_str(st, 0));
        sqlite3_reset(st);
    }
    q_keep(db, "UPDATE uidl SET missing=? WHERE id=?", "ii", MAX(now, (int64_t)1), I(l->id));
    records_set_bit(&db->pop->seen, l->id, false);
    st = q_ask(db, "SELECT id,state FROM uidl WHERE head=? AND missing<>0 ORDER BY abs(size-?),id", "si",
               listed_head(db->pop, l), I(l->size));
    l->id = 0;
    l->state = POP_SEEN;
    if (q_step(db, st)) {
        l->id = sql_u64(st, 0);
        l->state = (uint8_t)sql_int(st, 1);
        sqlite3_reset(st);
        q_keep(db, "UPDATE uidl SET uidl=?,size=?,missing=0 WHERE id=?", "sii", buf_str(&uidl), I(l->size), I(l->id));
    } else {
        q_keep(db, "INSERT INTO uidl(uidl,size,state) VALUES(?,?,?)", "sii", buf_str(&uidl), I(l->size), I(POP_SEEN));
        l->id = (uint64_t)sqlite3_last_insert_rowid(db->q.h);
    }
    records_set_bit(&db->pop->seen, l->id, true);
    l->sure = true;
    l->unsure = false;
    *state_r = (enum pop_state)l->state;
    buf_fini(&uidl);
    return call_leave(db, own, err);
}

bool db_pop_delete(struct db *db, uint32_t number, struct err *err)
{
    bool own;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    if (l->state == POP_SEEN || l->state == POP_STUB || l->unsure)
        return call_refuse(db, own, err, ERR_USAGE, "message %u is not here for sure", number);
    if (l->state == POP_DELIVERED)
        pop_set(db, l, POP_DELETE_WANTED);
    return call_leave(db, own, err);
}

bool db_pop_dele_ok(struct db *db, uint32_t number, struct err *err)
{
    bool own;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    if (l->state == POP_DELETE_WANTED)
        pop_set(db, l, POP_DELETED_PENDING_QUIT);
    return call_leave(db, own, err);
}

bool db_pop_quit(struct db *db, bool ok, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    enum pop_state state = ok ? POP_GONE : POP_DELETE_WANTED;
    q_keep(db, "UPDATE uidl SET state=? WHERE state=?", "ii", I(state), I(POP_DELETED_PENDING_QUIT));
    for (uint32_t number = 1; db->pop && number <= db->pop->last; number++)
        if (listed_get(db->pop, number)->state == POP_DELETED_PENDING_QUIT)
            listed_change(db->pop, number)->state = (uint8_t)state;
    return call_leave(db, own, err);
}
