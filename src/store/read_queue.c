/* What was done here and is not on the server yet. */
#include "store/read_int.h"

/* Messages of an intent, and the one that stands for all. */
static void queue_item(struct reader *r, struct queue_row *q, int *rc)
{
    uint64_t msg = 0;
    sqlite3_stmt *st =
        sql_ask(&r->q, "SELECT count(*),max(msg) FROM item WHERE intent=? AND state=0", "i", (int64_t)q->intent);
    if (*rc == SQLITE_OK && sql_step(st, rc)) {
        q->count = sql_u32(st, 0);
        msg = sql_u64(st, 1);
        sqlite3_reset(st);
    }
    st = sql_ask(&r->q, "SELECT subject FROM msg WHERE id=?", "i", (int64_t)msg);
    if (msg && *rc == SQLITE_OK && sql_step(st, rc)) {
        q->subject = read_str(r, sql_str(st, 0));
        sqlite3_reset(st);
    }
}

bool reader_queue(struct reader *r, unsigned max, queue_row_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct queue_row *rows = mem_array(max ? max : 1, sizeof *rows);
    size_t n = 0;
    sqlite3_stmt *st = sql_ask(
        &r->q,
        "SELECT "
        "i.id,i.kind,i.state,i.fset,i.fclear,i.due,i.arg,i.utf8,i.inverse,b.utf8,t.utf8,i.oldutf8,length(i.uids) FROM "
        "intent i LEFT JOIN boxid b ON b.id=i.box LEFT JOIN boxid t ON t.id=i.target WHERE i.state<3 ORDER BY "
        "i.id LIMIT ?",
        "i", (int64_t)max);
    while (sql_step(st, &rc))
        if (n < max)
            rows[n++] = (struct queue_row){.intent = sql_u64(st, 0),
                                           .kind = (enum intent_kind)sql_int(st, 1),
                                           .state = (uint8_t)sql_int(st, 2),
                                           .set = sql_u32(st, 3),
                                           .clear = sql_u32(st, 4),
                                           .due = sql_int(st, 5),
                                           .arg = read_str(r, sql_str(st, sql_str(st, 7).n ? 7 : 6)),
                                           .inverse = sql_int(st, 8) != 0,
                                           .whole = sql_int(st, 12) > 0,
                                           .box = read_str(r, sql_str(st, sql_str(st, 11).n ? 11 : 9)),
                                           .target = read_str(r, sql_str(st, 10))};
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
        queue_item(r, &rows[i], &rc);
    bool ok = read_end(r, rc, err);
    for (size_t i = 0; ok && i < n; i++)
        fn(arg, &rows[i]);
    free(rows);
    return ok;
}
