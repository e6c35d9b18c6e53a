/* What else is in a message's thread: whether somebody answered, and whether the user wants to see no more of it. */
#include "store/db_int.h"

#define THREAD_MAX 5000

bool db_thread_each(struct db *db, uint64_t msg, db_threaded_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT id,box,flags,idate,date,from_addr FROM msg WHERE thread=(SELECT thread FROM msg "
                             "WHERE id=?1) AND box<>0 ORDER BY date DESC,id DESC LIMIT ?2",
                             "ii", I(msg), I(THREAD_MAX));
    while (q_step(db, st)) {
        struct db_threaded t = {.id = sql_u64(st, 0),
                                .box = sql_u64(st, 1),
                                .flags = sql_u32(st, 2),
                                .internal_date = sql_int(st, 3),
                                .date = sql_int(st, 4),
                                .from_addr = sql_str(st, 5)};
        fn(arg, &t);
    }
    return call_leave(db, own, err);
}

bool db_msg_known(struct db *db, struct str msgid, uint64_t *msg_r, struct err *err)
{
    bool own;
    int64_t id = 0;
    uint64_t mh = sql_msgid_hash(&db->q, msgid);
    *msg_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    if (mh && q_one(db, &id, "SELECT id FROM msg WHERE mh=? AND mh<>0 AND box<>0 ORDER BY id LIMIT 1", "i", I(mh)))
        *msg_r = (uint64_t)id;
    return call_leave(db, own, err);
}

/* ---- muted threads ------------------------------------------------------------------------------ */
/* Is any message muted? Asked of the table once, then known by what is changed. */
bool mutes_any(struct db *db)
{
    int64_t one;
    if (db->mutes == MUTES_UNKNOWN)
        db->mutes =
            q_one(db, &one, "SELECT 1 FROM tag WHERE tag=? LIMIT 1", "s", STR(TAG_MUTED)) ? MUTES_SOME : MUTES_NONE;
    return db->mutes == MUTES_SOME;
}

static bool thread_muted(struct db *db, const struct rowc *r)
{
    int64_t one;
    return q_one(db, &one,
                 "SELECT 1 FROM msg o CROSS JOIN tag t ON t.mh=o.mh WHERE o.thread=? AND o.mh<>0 AND t.tag=? LIMIT 1",
                 "is", I(r->thread), STR(TAG_MUTED));
}

bool mute_look(struct db *db, uint64_t msg, bool arrived)
{
    struct rowc r;
    struct db_box archive;
    struct err none = ERR_INIT;
    uint64_t group;
    uint32_t count;
    if (!mutes_any(db) || !row_load(db, msg, &r) || r.box != r.sbox || (r.flags & FLAG_SEEN))
        return false;
    struct box *b = box_ref(db, r.box);
    uint8_t role = b ? box_role_of(b) : BOX_TRASH;
    bool fresh = b && (r.uid ? b->base && r.uid >= b->base : arrived);
    if (!fresh || (role != BOX_INBOX && role != BOX_NONE) || b->readonly || arrival_moved(db, &r) ||
        !thread_muted(db, &r))
        return false;
    bool files = role == BOX_INBOX && db_box_by_role(db, BOX_ARCHIVE, &archive, &none);
    struct db_intent in = {.kind = INTENT_RULES,
                           .msgs = &msg,
                           .n = 1,
                           .target = files ? archive.id : 0,
                           .set = FLAG_SEEN,
                           .arg = STR("+" TAG_MUTED),
                           .now = clock_wall(),
                           .automatic = true};
    return db_intent_add(db, &in, &group, NULL, &count, &none);
}
