/* What the server says of itself and of its limits: for the person who asks, and for the next start. */
#include "store/db_int.h"

#define QUOTA_MAX 256 /* rows: a server does not fill the disk with roots */

bool db_quota_clear(struct db *db, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_run(db, "DELETE FROM quota", "");
    return call_leave(db, own, err);
}

bool db_quota_put(struct db *db, struct str root, struct str resource, uint64_t used, uint64_t limit, struct err *err)
{
    bool own;
    int64_t n;
    if (!call_enter(db, &own, err))
        return false;
    if (q_one(db, &n, "SELECT count(*) FROM quota", "") && n < QUOTA_MAX)
        q_run(db, "INSERT OR REPLACE INTO quota(root,resource,used,lim) VALUES(?,?,?,?)", "ssii",
              str_sub(root, 0, 1000), str_sub(resource, 0, 64), I(MIN(used, (uint64_t)INT64_MAX)),
              I(MIN(limit, (uint64_t)INT64_MAX)));
    return call_leave(db, own, err);
}

bool db_server_set(struct db *db, const char *name, struct str value, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_run(db, "INSERT OR REPLACE INTO server(name,value) VALUES(?,?)", "ss", str_z(name), str_sub(value, 0, 8192));
    return call_leave(db, own, err);
}

bool db_server_get(struct db *db, const char *name, struct buf *out, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT value FROM server WHERE name=?", "s", str_z(name));
    while (q_step(db, st))
        buf_adds(out, sql_str(st, 0));
    return call_leave(db, own, err);
}
