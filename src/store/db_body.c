/* Bodies that are on this machine: which rows have them, which could, and the files that nobody needs any more. */
#include "mail/mark.h"
#include "store/db_int.h"

/* Bytes of a row's file: the list of what it lacks begins with them. */
#define BYTES_SQL "coalesce(CAST(CAST(absent AS TEXT) AS INTEGER),size)"

static uint64_t bytes_here(struct db *db, uint64_t msg)
{
    int64_t bytes = 0;
    q_one(db, &bytes, "SELECT " BYTES_SQL " FROM msg WHERE id=? AND body IS NOT NULL AND name IS NULL", "i", I(msg));
    return bytes > 0 ? (uint64_t)bytes : 0;
}

static void total_change(struct db *db, uint64_t before, uint64_t after)
{
    if (db->bodies_known)
        db->bodies_bytes = db->bodies_bytes - MIN(before, db->bodies_bytes) + after;
}

static bool body_state(struct db *db, uint64_t msg, uint32_t set, uint32_t clear, struct str path, struct str absent,
                       struct err *err)
{
    bool own;
    struct rowc old, now;
    if (!call_enter(db, &own, err))
        return false;
    if (!row_load(db, msg, &old))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "no such message");
    now = old;
    now.state = (old.state & ~clear) | set;
    uint64_t before = db->bodies_known ? bytes_here(db, msg) : 0;
    q_run(db, "UPDATE msg SET body=?,absent=?,btime=? WHERE id=?", "nnii", path, absent, I(clock_wall()), I(msg));
    if (db->bodies_known)
        total_change(db, before, bytes_here(db, msg));
    row_store(db, &old, &now);
    if (path.n)
        row_queue(db, msg, old.named ? INDEX_WHAT_PATH : INDEX_WHAT_TEXT);
    return call_leave(db, own, err);
}

/* The file of a Maildir says so itself. */
static bool is_stub(struct db *db, uint64_t msg)
{
    sqlite3_stmt *st = q_ask(db, "SELECT name FROM msg WHERE id=? AND name IS NOT NULL", "i", I(msg));
    if (!db->local || !q_step(db, st))
        return false;
    bool stub = mark_read(sql_str(st, 0)).stub != 0;
    sqlite3_reset(st);
    return stub;
}

bool db_body_is(struct db *db, uint64_t msg, struct str path, struct str absent, struct err *err)
{
    uint32_t set = !path.n ? 0 : is_stub(db, msg) ? ROW_STUB : absent.n ? ROW_TEXT : ROW_BODY;
    path = str_sub(path, 0, DB_PATH_MAX);
    return body_state(db, msg, set, ROW_BODY | ROW_TEXT | (path.n ? ROW_FAILED | ROW_STUB : 0), path, absent, err);
}

bool db_path_is(struct db *db, uint64_t msg, struct str path, struct err *err)
{
    bool own;
    int64_t differs;
    struct rowc r;
    if (!call_enter(db, &own, err))
        return false;
    path = str_sub(path, 0, DB_PATH_MAX);
    if (q_one(db, &differs, "SELECT body IS NOT ?2 FROM msg WHERE id=?1 AND name IS NOT NULL", "is", I(msg), path) &&
        differs && row_load(db, msg, &r)) {
        struct box *b = box_ref(db, r.box);
        q_run(db, "UPDATE msg SET body=?1,state=CASE WHEN state & ?3 THEN state ELSE state|?4 END WHERE id=?2", "siii",
              path, I(msg), I(ROW_STUB), I(ROW_BODY));
        row_queue(db, msg, INDEX_WHAT_PATH);
        if (b) /* the index hears of changes by their mailbox */
            box_touch(db, b);
    }
    return call_leave(db, own, err);
}

bool db_row_attachment(struct db *db, uint64_t msg, bool has, struct err *err)
{
    bool own;
    struct rowc old, now;
    if (!call_enter(db, &own, err))
        return false;
    if (!row_load(db, msg, &old))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "no such message");
    now = old;
    now.attrs = (old.attrs & ~(uint32_t)ROW_ATTACHMENT) | (has ? ROW_ATTACHMENT : 0) | ROW_PARTS;
    if (now.attrs != old.attrs)
        row_store(db, &old, &now);
    if ((now.attrs ^ old.attrs) & ROW_ATTACHMENT)
        row_queue(db, msg, INDEX_WHAT_TAGS);
    return call_leave(db, own, err);
}

bool db_body_failed(struct db *db, uint64_t msg, struct err *err)
{
    return body_state(db, msg, ROW_FAILED, ROW_BODY | ROW_TEXT, STR(""), STR(""), err);
}

bool db_body_used(struct db *db, uint64_t msg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_run(db, "UPDATE msg SET btime=? WHERE id=? AND body IS NOT NULL AND name IS NULL", "ii", clock_wall(), I(msg));
    return call_leave(db, own, err);
}

bool db_bodies(struct db *db, int64_t *used, uint64_t *msg, unsigned max, db_body_fn *fn, void *arg, unsigned *seen_r,
               struct err *err)
{
    bool own;
    *seen_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT id,sbox,date,btime," BYTES_SQL ",body FROM msg WHERE body IS NOT NULL AND name IS NULL AND "
              "(btime,id)>(?,?) ORDER BY btime,id LIMIT ?",
              "iii", *used, I(*msg), I(max));
    while (q_step(db, st)) {
        struct db_body b = {.msg = sql_u64(st, 0),
                            .box = sql_u64(st, 1),
                            .date = sql_int(st, 2),
                            .used = sql_int(st, 3),
                            .size = sql_u64(st, 4),
                            .path = sql_str(st, 5)};
        *used = b.used;
        *msg = b.msg;
        ++*seen_r;
        fn(arg, &b);
    }
    return call_leave(db, own, err);
}

bool db_bodies_total(struct db *db, uint64_t *bytes_r, struct err *err)
{
    bool own;
    int64_t sum = 0;
    if (!call_enter(db, &own, err))
        return false;
    if (!db->bodies_known) {
        q_one(db, &sum, "SELECT coalesce(sum(" BYTES_SQL "),0) FROM msg WHERE body IS NOT NULL AND name IS NULL", "");
        db->bodies_bytes = (uint64_t)MAX(sum, (int64_t)0);
        db->bodies_known = !db->failed;
    }
    *bytes_r = db->bodies_bytes;
    return call_leave(db, own, err);
}

bool db_bodies_missing(struct db *db, uint64_t box, int64_t since, int64_t *date, uint64_t *id, unsigned max,
                       db_bare_fn *fn, void *arg, unsigned *seen_r, struct err *err)
{
    bool own;
    *seen_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT id,suid,date,size,sbox=?1 AND suid>0 AND (body IS NULL OR absent IS NOT NULL) AND "
                             "(state & ?2)=0 FROM msg "
                             "WHERE box=?1 AND (date,id)<(?3,?4) AND date>=?5 ORDER BY date DESC,id DESC LIMIT ?6",
                             "iiiiii", I(box), I(ROW_FAILED), *date, I(*id), since, I(max));
    while (q_step(db, st)) {
        struct db_bare b = {
            .msg = sql_u64(st, 0), .uid = sql_u32(st, 1), .date = sql_int(st, 2), .size = sql_u64(st, 3)};
        *date = b.date;
        *id = b.msg;
        ++*seen_r;
        if (sql_int(st, 4))
            fn(arg, &b);
    }
    return call_leave(db, own, err);
}

/* ---- files of rows that are gone ---------------------------------------------------------------- */

void body_dropped(struct db *db, const struct rowc *r)
{
    if (r->named || !(r->state & (ROW_BODY | ROW_TEXT)))
        return;
    total_change(db, db->bodies_known ? bytes_here(db, r->id) : 0, 0);
    sqlite3_stmt *st = q_ask(db, "SELECT body FROM msg WHERE id=? AND body IS NOT NULL", "i", I(r->id));
    if (!q_step(db, st))
        return;
    struct str path = sql_str(st, 0);
    if (path.n) {
        buf_adds(&db->dropped, path);
        buf_addc(&db->dropped, '\0');
    }
    sqlite3_reset(st);
}

static bool take_first(struct db *db, struct buf *list, struct buf *out)
{
    struct str first = buf_str(list);
    size_t end;
    if (db->burst || first.n == 0 || !str_find(first, '\0', &end))
        return false;
    buf_reset(out);
    buf_adds(out, str_sub(first, 0, end));
    buf_consume(list, end + 1);
    return true;
}

bool db_take_dropped(struct db *db, struct buf *path)
{
    return take_first(db, &db->dropped, path);
}

bool db_take_unfiled(struct db *db, struct buf *name)
{
    return take_first(db, &db->unfiled, name);
}
