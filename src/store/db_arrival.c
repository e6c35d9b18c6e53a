/* Mail that has come and that no rule has looked at. */
#include "conf/conf.h"
#include "store/db_int.h"

/* Where own mail and everything lies: a message that is there too has not been moved from there. */
static bool is_aside(struct db *db, uint64_t box)
{
    struct box *b = box_ref(db, box);
    uint8_t role = b ? box_role_of(b) : BOX_NONE;
    return role == BOX_SENT || role == BOX_DRAFTS || role == BOX_ALL || role == BOX_FLAGGED;
}

bool arrival_moved(struct db *db, const struct rowc *r)
{
    for (size_t i = 0; r->mh && i < COUNT(db->left); i++)
        if (db->left[i] == r->mh)
            return true;
    bool found = false;
    sqlite3_stmt *st =
        r->mh ? q_ask(db, "SELECT sbox FROM msg WHERE mh=?1 AND mh<>0 AND id<>?2 LIMIT 64", "ii", I(r->mh), I(r->id))
              : NULL;
    while (q_step(db, st)) {
        uint64_t box = sql_u64(st, 0);
        found = found || (box != r->sbox && !is_aside(db, box));
    }
    return found;
}

static bool rules_run_in(struct db *db, const struct box *b)
{
    return box_role_of(b) == BOX_INBOX ||
           (db->conf && conf_rules_in(db->conf, db->account, (struct str){b->utf8, b->utf8_n}));
}

bool arrival_look(struct db *db, uint64_t msg, bool sure, bool arrived)
{
    struct rowc r;
    if (!db->rules || !row_load(db, msg, &r) || r.box != r.sbox || (r.flags & FLAG_SEEN))
        return false;
    struct box *b = box_ref(db, r.box);
    if (!b || !rules_run_in(db, b) || row_ruled(db, msg))
        return false;
    bool fresh = r.uid ? b->base && r.uid >= b->base : arrived && b->filled;
    if (!sure && (!fresh || arrival_moved(db, &r)))
        return false;
    held_note(db, msg); /* its id outlives the cache */
    q_keep(db, "INSERT OR IGNORE INTO arrival(msg,box) VALUES(?,?)", "ii", I(msg), I(r.box));
    db->has_arrivals = true;
    return true;
}

/* What the rules left unread where a person looks for new mail, or have not looked at for too long. */
static void announce_one(struct db *db, uint64_t msg)
{
    struct rowc r;
    int64_t idate = 0, other;
    struct box *b = row_load(db, msg, &r) ? box_ref(db, r.box) : NULL;
    uint8_t role = b ? box_role_of(b) : BOX_TRASH;
    if (msg <= db->arrivals_told || (role != BOX_INBOX && role != BOX_NONE) || (r.flags & FLAG_SEEN))
        return;
    q_one(db, &idate, "SELECT idate FROM msg WHERE id=?", "i", I(msg));
    if ((idate && idate < clock_wall() - NEWS_S) || /* or one's own that comes back */
        (r.mh &&
         q_one(db, &other, "SELECT 1 FROM msg WHERE mh=?1 AND mh<>0 AND id<>?2 LIMIT 1", "ii", I(r.mh), I(r.id))))
        return;
    b->fresh++;
    box_touch(db, b);
}

bool db_arrivals_tell(struct db *db, struct err *err)
{
    bool own;
    uint64_t told = db->arrivals_told;
    if (!db->has_arrivals)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT msg FROM arrival WHERE msg>? ORDER BY msg LIMIT 10000", "i", I(told));
    while (q_step(db, st)) {
        announce_one(db, sql_u64(st, 0));
        told = sql_u64(st, 0);
    }
    db->arrivals_told = told;
    return call_leave(db, own, err);
}

bool db_arrivals_any(const struct db *db)
{
    return db->has_arrivals;
}

/* What has left its mailbox was put elsewhere by somebody, and what has gone has gone; a list that is being read again
 * may bring it yet. */
static void forget_gone(struct db *db)
{
    uint64_t boxes[64];
    size_t n = 0;
    q_keep(db, "DELETE FROM arrival WHERE EXISTS(SELECT 1 FROM msg WHERE id=arrival.msg AND box<>arrival.box)", "");
    sqlite3_stmt *st = q_ask(db,
                             "SELECT DISTINCT box FROM arrival WHERE NOT EXISTS(SELECT 1 FROM msg WHERE "
                             "id=arrival.msg) LIMIT 64",
                             "");
    while (q_step(db, st) && n < COUNT(boxes))
        boxes[n++] = sql_u64(st, 0);
    for (size_t i = 0; i < n; i++) {
        struct box *b = box_ref(db, boxes[i]);
        if (!b || b->filled)
            q_keep(db, "DELETE FROM arrival WHERE box=? AND NOT EXISTS(SELECT 1 FROM msg WHERE id=arrival.msg)", "i",
                   I(boxes[i]));
    }
}

#define WITH_TEXT I(ROW_BODY | ROW_TEXT | ROW_FAILED | ROW_STUB)

bool db_arrivals(struct db *db, bool body, uint64_t *msgs, size_t max, struct db_arrivals *found_r, struct err *err)
{
    bool own;
    int64_t all = 0;
    *found_r = (struct db_arrivals){0};
    if (!db->has_arrivals)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    forget_gone(db);
    q_one(db, &all, "SELECT count(*) FROM arrival", "");
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT m.id FROM arrival a CROSS JOIN msg m ON m.id=a.msg WHERE (m.istate & 15)=0 AND (m.attrs & "
              "?1) AND (?2=0 OR (m.state & ?3)) ORDER BY m.id LIMIT ?4",
              "iiii", I(ROW_FULL), I(body), WITH_TEXT, I(max));
    while (q_step(db, st) && found_r->ready < max)
        msgs[found_r->ready++] = sql_u64(st, 0);
    found_r->waiting = (uint32_t)MAX(all - (int64_t)found_r->ready, (int64_t)0);
    db->has_arrivals = all > 0;
    return call_leave(db, own, err);
}

bool db_arrivals_bare(struct db *db, uint64_t *msgs, size_t max, size_t *n_r, struct err *err)
{
    bool own;
    *n_r = 0;
    if (!db->has_arrivals)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT m.id FROM arrival a CROSS JOIN msg m ON m.id=a.msg WHERE (m.attrs & ?1) AND NOT "
                             "(m.state & ?2) ORDER BY m.id DESC LIMIT ?3",
                             "iii", I(ROW_FULL), WITH_TEXT, I(max));
    while (q_step(db, st) && *n_r < max)
        msgs[(*n_r)++] = sql_u64(st, 0);
    return call_leave(db, own, err);
}

bool db_arrivals_done(struct db *db, const uint64_t *msgs, size_t n, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n && !db->failed; i++) {
        announce_one(db, msgs[i]);
        q_keep(db, "DELETE FROM arrival WHERE msg=?", "i", I(msgs[i]));
    }
    return call_leave(db, own, err);
}
