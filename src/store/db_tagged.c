/* Mail whose tags were changed, and that the rules have not looked at since. */
#include "conf/conf.h"
#include "store/db_int.h"

#define HOUR_MS (60 * 60 * 1000)
#define WORDS_MAX 4000 /* of a message that is tagged again and again before the rules look */

void tagged_note(struct db *db, uint64_t msg, uint64_t group, struct str tags, int64_t due)
{
    struct rowc r;
    if (!db->rules || !db->conf || !conf_rules_heed(db->conf, db->account, tags) || !row_load(db, msg, &r) || !r.box)
        return;
    held_note(db, msg); /* its id outlives the cache */
    q_keep(db,
           "INSERT INTO tagged(msg,box,grp,due,tags) VALUES(?1,?2,?3,?4,?5) ON CONFLICT(msg) DO UPDATE SET "
           "box=?2,grp=?3,due=?4,tags=CASE WHEN length(tags)+length(?5)<?6 THEN CAST(tags||' '||?5 AS BLOB) ELSE ?5 "
           "END",
           "iiiisi", I(msg), I(r.box), I(group), due, str_sub(tags, 0, WORDS_MAX), I(WORDS_MAX));
    db->has_tagged = true;
}

void tagged_forget(struct db *db, uint64_t group)
{
    if (db->has_tagged && group)
        q_keep(db, "DELETE FROM tagged WHERE grp=?", "i", I(group));
}

/* What has left its mailbox was put elsewhere by somebody; a list that is being read again may bring what is not here.
 */
static void forget_gone(struct db *db)
{
    q_keep(db,
           "DELETE FROM tagged WHERE EXISTS(SELECT 1 FROM msg WHERE id=tagged.msg AND box<>tagged.box) OR (NOT "
           "EXISTS(SELECT 1 FROM msg WHERE id=tagged.msg) AND NOT EXISTS(SELECT 1 FROM box WHERE id=tagged.box AND "
           "filled=0))",
           "");
}

#define READY                                                                                                          \
    "FROM tagged t CROSS JOIN msg m ON m.id=t.msg WHERE t.due<=?1 AND m.box=t.box AND (m.istate & 15)=0 AND (m.attrs " \
    "& ?2)"

size_t db_tagged(struct db *db, int64_t now, uint64_t *msgs, size_t max, struct db_tagged *t, struct err *err)
{
    bool own, found;
    size_t n = 0;
    int64_t deed = 0, any = 0;
    *t = (struct db_tagged){.group = 0};
    if (!db->has_tagged || !call_enter(db, &own, err))
        return 0;
    sqlite3_stmt *st = q_ask(db, "SELECT t.grp,t.tags " READY " ORDER BY t.msg LIMIT 1", "ii", now, I(ROW_FULL));
    found = q_step(db, st);
    if (found) {
        t->group = sql_u64(st, 0);
        struct str tags = str_sub(sql_str(st, 1), 0, sizeof t->tags - 1);
        memcpy(t->tags, tags.p, tags.n);
        sqlite3_reset(st);
        q_one(db, &deed, "SELECT deed FROM ugroup WHERE id=?", "i", I(t->group));
        t->deed = (uint64_t)deed;
        st = q_ask(db, "SELECT t.msg " READY " AND t.grp=?3 AND t.tags=?4 ORDER BY t.msg LIMIT ?5", "iiisi", now,
                   I(ROW_FULL), I(t->group), str_z(t->tags), I(max));
        while (q_step(db, st) && n < max)
            msgs[n++] = sql_u64(st, 0);
    } else {
        forget_gone(db);
        q_one(db, &t->due, "SELECT coalesce(min(due),0) FROM tagged WHERE due>?", "i", now);
        q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM tagged)", "");
        db->has_tagged = any;
    }
    return call_leave(db, own, err) ? n : 0;
}

bool db_tagged_take(struct db *db, const struct db_tagged *t, uint64_t msg, bool *is_r, struct err *err)
{
    bool own;
    int64_t box = 0;
    struct rowc r;
    *is_r = false;
    if (!call_enter(db, &own, err))
        return false;
    if (q_one(db, &box, "SELECT box FROM tagged WHERE msg=? AND grp=? AND tags=?", "iis", I(msg), I(t->group),
              str_z(t->tags))) {
        *is_r = row_load(db, msg, &r) && r.box == (uint64_t)box;
        q_keep(db, "DELETE FROM tagged WHERE msg=?", "i", I(msg));
    }
    return call_leave(db, own, err);
}

unsigned db_tagged_times(struct db *db, uint64_t msg)
{
    int64_t now = clock_mono_ms();
    if (now >= db->tagged_until) {
        imap_fini(&db->tagged_times, free);
        db->tagged_until = now + HOUR_MS;
    }
    unsigned *times = imap_get(&db->tagged_times, msg);
    if (!times)
        imap_put(&db->tagged_times, msg, times = mem_new(sizeof *times));
    return ++*times;
}

bool db_tagged_any(const struct db *db)
{
    return db->has_tagged;
}
