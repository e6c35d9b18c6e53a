/* Opening, bursts, small values: the frame in which the other files of the writing side work. */
#include <unistd.h>

#include "store/db_int.h"

/* ---- integer map -------------------------------------------------------------------------------- */

static struct imap_slot *imap_find(const struct imap *m, uint64_t key)
{
    for (size_t i = (size_t)(key * 0x9E3779B97F4A7C15u >> 17);; i++) {
        struct imap_slot *s = &m->slots[i & (m->cap - 1)];
        if (!s->key || s->key == key)
            return s;
    }
}

void *imap_get(const struct imap *m, uint64_t key)
{
    return m->cap ? imap_find(m, key)->value : NULL;
}

void imap_put(struct imap *m, uint64_t key, void *value)
{
    if (m->used * 2 >= m->cap) {
        struct imap old = *m;
        m->cap = old.cap ? old.cap * 2 : 64;
        m->slots = mem_array(m->cap, sizeof *m->slots);
        IMAP_EACH(&old, i)
        *imap_find(m, old.slots[i].key) = old.slots[i];
        free(old.slots);
    }
    struct imap_slot *s = imap_find(m, key);
    if (!s->key)
        m->used++;
    s->key = key;
    s->value = value;
}

void imap_fini(struct imap *m, void (*drop)(void *))
{
    if (drop)
        IMAP_EACH(m, i)
    drop(m->slots[i].value);
    free(m->slots);
    memset(m, 0, sizeof *m);
}

/* ---- statements --------------------------------------------------------------------------------- */

void db_broken(struct db *db, int rc)
{
    if (db->failed)
        return;
    db->failed = true;
    sql_fail(&db->q, rc, &db->why);
    if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
        db->why.sys = SQLITE_CORRUPT;
}

static sqlite3_stmt *ask(struct db *db, const char *text, const char *types, va_list ap)
{
    sqlite3_stmt *st = db->failed ? NULL : sql_vask(&db->q, text, types, ap);
    if (!st && !db->failed)
        db_broken(db, sqlite3_extended_errcode(db->q.h));
    return st;
}

sqlite3_stmt *q_ask(struct db *db, const char *text, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *st = ask(db, text, types, ap);
    va_end(ap);
    return st;
}

bool q_step(struct db *db, sqlite3_stmt *st)
{
    int rc = SQLITE_OK;
    if (!st)
        return false;
    if (sql_step(st, &rc))
        return true;
    if (rc != SQLITE_OK)
        db_broken(db, rc);
    return false;
}

static bool run(struct db *db, const char *text, const char *types, va_list ap)
{
    sqlite3_stmt *st = ask(db, text, types, ap);
    int rc = SQLITE_OK;
    if (st && sql_step(st, &rc))
        sqlite3_reset(st);
    if (rc != SQLITE_OK)
        db_broken(db, rc);
    return !db->failed;
}

bool q_run(struct db *db, const char *text, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    bool ok = run(db, text, types, ap);
    va_end(ap);
    return ok;
}

bool q_keep(struct db *db, const char *text, const char *types, ...)
{
    va_list ap;
    va_start(ap, types);
    bool ok = run(db, text, types, ap);
    va_end(ap);
    db->keep_dirty = true;
    return ok;
}

bool q_one(struct db *db, int64_t *value_r, const char *text, const char *types, ...)
{
    *value_r = 0;
    va_list ap;
    va_start(ap, types);
    sqlite3_stmt *st = ask(db, text, types, ap);
    va_end(ap);
    if (!st || !q_step(db, st))
        return false;
    *value_r = sql_int(st, 0);
    sqlite3_reset(st);
    return true;
}

struct str out_str(struct db *db, struct str s)
{
    char *p = arena_dup(db->out, s.p, s.n);
    return p ? (struct str){p, s.n} : STR("");
}

/* ---- bursts ------------------------------------------------------------------------------------- */

static void announce(struct db *db, uint64_t box, uint32_t fresh)
{
    for (size_t i = 0; i < db->nchanged; i++)
        if (db->changed[i].box == box) {
            db->changed[i].fresh += fresh;
            return;
        }
    if (db->nchanged == db->changed_cap) {
        db->changed_cap = db->changed_cap ? db->changed_cap * 2 : 16;
        db->changed = mem_resize(db->changed, db->changed_cap, sizeof *db->changed);
    }
    db->changed[db->nchanged++] = (struct announce){box, fresh};
}

static void free_value(void *p)
{
    free(p);
}

static void drop_memory(struct db *db)
{
    imap_fini(&db->boxes, box_free);
    imap_fini(&db->threads, free_value);
    imap_fini(&db->addrs, free_value);
    db->boxes_all = false;
    db->list_changed = false;
    db->nconflicts_new = 0;
    db->next_msg = db->end_msg = db->next_box = db->end_box = 0;
}

static bool txn_begin(struct db *db, struct err *err)
{
    db->failed = false;
    db->keep_dirty = false;
    sqlite3_stmt *st = sql_get(&db->q, "BEGIN IMMEDIATE");
    int rc = SQLITE_ERROR;
    if (st)
        sql_step(st, &rc);
    if (rc != SQLITE_OK)
        return sql_fail(&db->q, rc, err);
    if (db->spans_stale)
        spans_refresh(db);
    db->spans_stale = false;
    return true;
}

/* Marks a damaged cache so that the next start sets it aside. */
static void note_damage(struct db *db)
{
    if (db->why.sys == SQLITE_CORRUPT)
        sqlite3_exec(db->q.h, "INSERT OR REPLACE INTO main.meta(name,value) VALUES('cache-damaged',1)", NULL, NULL,
                     NULL);
}

static void txn_rollback(struct db *db)
{
    for (size_t i = 0; i < db->q.cap; i++)
        if (db->q.slots[i].st)
            sqlite3_reset(db->q.slots[i].st);
    if (!sqlite3_get_autocommit(db->q.h))
        sqlite3_exec(db->q.h, "ROLLBACK", NULL, NULL, NULL);
    note_damage(db);
    drop_memory(db);
    db->spans_stale = true;
    db->bodies_known = false;
    db->waits.known = false;
}

static bool txn_commit(struct db *db, struct err *err)
{
    if (!db->failed) {
        thread_flush(db);
        addr_flush(db);
        box_flush_all(db);
    }
    if (!db->failed) {
        sqlite3_stmt *st = sql_get(&db->q, "COMMIT");
        int rc = SQLITE_ERROR;
        if (st)
            sql_step(st, &rc);
        if (rc != SQLITE_OK)
            db_broken(db, rc);
    }
    if (db->failed) {
        *err = db->why;
        txn_rollback(db);
        db->failed = false;
        return false;
    }
    if (db->keep_dirty)
        db->unsynced = true;
    IMAP_EACH(&db->boxes, i)
    {
        struct box *b = db->boxes.slots[i].value;
        if (b && b->changed) {
            announce(db, b->id, b->fresh);
            b->changed = false;
            b->fresh = 0;
        }
    }
    if (db->list_changed)
        announce(db, 0, 0);
    db->list_changed = false;
    for (size_t i = 0; i < db->nconflicts_new; i++) {
        if (db->nconflicts == db->conflicts_cap) {
            db->conflicts_cap = db->conflicts_cap ? db->conflicts_cap * 2 : 8;
            db->conflicts = mem_resize(db->conflicts, db->conflicts_cap, sizeof *db->conflicts);
        }
        db->conflicts[db->nconflicts++] = db->conflicts_new[i];
    }
    db->nconflicts_new = 0;
    return true;
}

bool db_begin(struct db *db, struct err *err)
{
    if (db->burst)
        bug("db_begin inside a burst");
    if (!txn_begin(db, err))
        return false;
    db->burst = true;
    return true;
}

bool db_commit(struct db *db, struct err *err)
{
    if (!db->burst)
        bug("db_commit outside a burst");
    db->burst = false;
    return txn_commit(db, err);
}

void db_rollback(struct db *db)
{
    if (!db->burst)
        return;
    db->burst = false;
    txn_rollback(db);
    db->failed = false;
}

bool db_in_burst(const struct db *db)
{
    return db->burst;
}

bool call_enter(struct db *db, bool *own_r, struct err *err)
{
    *own_r = false;
    if (db->burst || db->busy) {
        if (!db->failed)
            return true;
        *err = db->why;
        return false;
    }
    if (!txn_begin(db, err))
        return false;
    *own_r = db->busy = true; /* calls from within it join it */
    return true;
}

bool call_leave(struct db *db, bool own, struct err *err)
{
    if (own) {
        db->busy = false;
        return txn_commit(db, err);
    }
    if (db->failed)
        *err = db->why;
    return !db->failed;
}

bool call_refuse(struct db *db, bool own, struct err *err, enum err_kind kind, const char *fmt, ...)
{
    if (!call_leave(db, own, err))
        return false;
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(err, kind, "%s", text);
}

bool db_needs_sync(const struct db *db)
{
    return db->unsynced;
}

void db_rest(struct db *db, bool indexed)
{
    if (db->burst || db->busy)
        return;
    drop_memory(db);
    if (indexed)
        imap_fini(&db->handed, free_value);
    sqlite3_db_release_memory(db->q.h);
}

bool db_sync(struct db *db, struct err *err)
{
    if (db->burst)
        bug("db_sync inside a burst");
    if (!db->unsynced)
        return true;
    /* A FULL commit syncs the log with everything before it; an empty commit would write nothing. */
    if (!sql_exec(&db->q, "PRAGMA main.synchronous=FULL", err))
        return false;
    bool ok = sql_exec(
        &db->q, "INSERT INTO main.meta(name,value) VALUES('tick',1) ON CONFLICT(name) DO UPDATE SET value=value+1",
        err);
    struct err e = ERR_INIT;
    if (!sql_exec(&db->q, "PRAGMA main.synchronous=NORMAL", &e) && ok) {
        *err = e;
        ok = false;
    }
    if (ok)
        db->unsynced = false;
    return ok;
}

bool db_take_changed(struct db *db, uint64_t *box_r, uint32_t *fresh_r)
{
    if (!db->nchanged)
        return false;
    *box_r = db->changed[0].box;
    *fresh_r = db->changed[0].fresh;
    memmove(db->changed, db->changed + 1, --db->nchanged * sizeof *db->changed);
    return true;
}

void conflict_note(struct db *db, const struct db_conflict *c)
{
    if (db->nconflicts_new >= 1000)
        return; /* a mailbox's worth: the rest would say the same */
    if (db->nconflicts_new == db->conflicts_new_cap) {
        db->conflicts_new_cap = db->conflicts_new_cap ? db->conflicts_new_cap * 2 : 8;
        db->conflicts_new = mem_resize(db->conflicts_new, db->conflicts_new_cap, sizeof *db->conflicts_new);
    }
    db->conflicts_new[db->nconflicts_new++] = *c;
}

bool db_take_conflict(struct db *db, struct db_conflict *conflict_r)
{
    if (!db->nconflicts)
        return false;
    *conflict_r = db->conflicts[0];
    memmove(db->conflicts, db->conflicts + 1, --db->nconflicts * sizeof *db->conflicts);
    return true;
}

/* ---- ids: reserved in blocks, so that the loss of cache.db cannot bring one back ---------------- */

static uint64_t id_next(struct db *db, const char *name, uint64_t block, uint64_t *next, uint64_t *end)
{
    if (*next == *end) {
        int64_t high = 1;
        q_one(db, &high, "SELECT value FROM meta WHERE name=?", "s", str_z(name));
        if (high < 1)
            high = 1;
        *next = (uint64_t)high;
        *end = *next + block;
        q_keep(db, "INSERT INTO meta(name,value) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
               "si", str_z(name), I(*end));
    }
    return (*next)++;
}

uint64_t id_msg(struct db *db)
{
    return id_next(db, "next-msg", 4096, &db->next_msg, &db->end_msg);
}
uint64_t id_box(struct db *db)
{
    return id_next(db, "next-box", 1, &db->next_box, &db->end_box);
}

/* A power cut may keep the cache's last commits and lose keep's: never hand out what the cache holds. */
static void ids_check(struct db *db)
{
    static const struct {
        const char *name, *max;
    } counters[] = {
        {"next-msg", "SELECT coalesce(max(id),0)+1 FROM msg"},
        {"next-box", "SELECT max((SELECT coalesce(max(id),0) FROM box),(SELECT coalesce(max(id),0) FROM boxid))+1"}};
    for (size_t i = 0; i < COUNT(counters); i++) {
        int64_t low = 1, high = 0;
        q_one(db, &low, counters[i].max, "");
        q_one(db, &high, "SELECT value FROM meta WHERE name=?", "s", str_z(counters[i].name));
        if (high < low)
            q_keep(db, "INSERT INTO meta(name,value) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
                   "si", str_z(counters[i].name), low);
    }
}

/* ---- open and close ----------------------------------------------------------------------------- */

/* The two databases commit one after the other, the cache behind: after a crash between them its rows go where they
 * were known to be, and the shown state of touched rows is computed anew. */
static void recover(struct db *db, unsigned *opened)
{
    sqlite3_stmt *st;
    ids_check(db);
    pending_refresh_flag(db);
    q_run(db, "INSERT OR REPLACE INTO cmeta(name,value) VALUES('clean',0)", "");
    uint64_t *lost = NULL;
    size_t n = 0, cap = 0;
    st = q_ask(db, "SELECT id FROM intent WHERE state=1 AND state<3", "");
    while (q_step(db, st)) {
        if (n == cap)
            lost = mem_resize(lost, cap = cap ? cap * 2 : 64, sizeof *lost);
        lost[n++] = sql_u64(st, 0);
    }
    struct err e = ERR_INIT;
    if (n)
        db_intents_lost(db, lost, n, &e);
    n = 0;
    st = q_ask(db,
               "SELECT t.msg FROM intent i JOIN item t ON t.intent=i.id WHERE i.state<3 UNION SELECT t.copy FROM "
               "intent i JOIN item t ON t.intent=i.id WHERE i.state<3 AND t.copy>0 UNION SELECT id FROM msg WHERE "
               "suid=0 AND name IS NULL",
               "");
    while (q_step(db, st)) {
        if (n == cap)
            lost = mem_resize(lost, cap = cap ? cap * 2 : 64, sizeof *lost);
        lost[n++] = sql_u64(st, 0);
    }
    for (size_t i = 0; i < n; i++)
        row_refresh(db, lost[i]);
    held_recover(db);
    spans_recover(db);
    free(lost);
    q_keep(db, "UPDATE outbox SET state=? WHERE state=?", "ii", I(OUTBOX_UNKNOWN), I(OUTBOX_SENDING));
    int64_t any;
    if (q_one(db, &any, "SELECT 1 FROM intent WHERE state=2 AND state<3 LIMIT 1", "") && any)
        *opened |= DB_HAS_UNKNOWN;
    if (q_one(db, &any, "SELECT max(t.copy) FROM intent i JOIN item t ON t.intent=i.id WHERE i.state<3", ""))
        db->copies = (uint64_t)any;
    q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM unindex)", "");
    db->has_unindex = any;
    q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM uidl WHERE msg>0)", "");
    db->has_ledger = any;
    int64_t list_no = 0;
    q_one(db, &list_no, "SELECT coalesce(max(listed),0) FROM box", "");
    db->list_no = (uint64_t)list_no;
    q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM msg WHERE suid=0 AND name IS NULL)", "");
    db->has_loose = any;
    q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM claim)", "");
    db->has_claims = any;
    held_refresh_flag(db);
}

/* The first write makes the cache's log, and SQLite would wait for the disk, twice, before the list can be shown. It
 * need not: until the next checkpoint, which waits for the whole log, the file itself is as it was. */
static bool recover_all(struct db *db, unsigned *opened, struct err *err)
{
    bool own;
    if (!sql_exec(&db->q, "PRAGMA wal_autocheckpoint=0", err) ||
        !sql_exec(&db->q, "PRAGMA cache.synchronous=OFF", err) || !call_enter(db, &own, err))
        return false;
    recover(db, opened);
    return call_leave(db, own, err) && sql_exec(&db->q, "PRAGMA cache.synchronous=NORMAL", err) &&
           sql_exec(&db->q, "PRAGMA wal_autocheckpoint=10000", err);
}

bool db_open(const char *state_dir, const char *account, bool local, struct db **db_r, unsigned *opened_r,
             struct err *err)
{
    *db_r = NULL;
    *opened_r = 0;
    char *dir = sql_account_dir(state_dir, account, err);
    if (!dir || !fs_mkdir_private(dir, err)) {
        free(dir);
        return false;
    }
    struct db *db = mem_new(sizeof *db);
    db->account = mem_dup_z(account);
    db->dir = dir;
    db->local = local;
    db->purge_hold = 30;
    db->out = arena_new(8u << 20);
    db->dropped = BUF_INIT(64u << 20);
    db->unfiled = BUF_INIT(1u << 20);
    char *keep = path_join(dir, SQL_KEEP_NAME), *cache = path_join(dir, SQL_CACHE_NAME);
    bool ok = schema_open(db, keep, cache, opened_r, err) && recover_all(db, opened_r, err);
    free(keep);
    free(cache);
    db->nchanged = 0; /* nobody has read anything yet */
    if (!ok) {
        db_close(&db);
        return false;
    }
    *db_r = db;
    return true;
}

void db_close(struct db **dbp)
{
    struct db *db = *dbp;
    if (!db)
        return;
    if (db->q.h) {
        txn_rollback(db);
        sqlite3_exec(db->q.h, "INSERT OR REPLACE INTO cache.cmeta(name,value) VALUES('clean',1)", NULL, NULL, NULL);
    }
    drop_memory(db);
    imap_fini(&db->scan, NULL);
    imap_fini(&db->handed, free_value);
    imap_fini(&db->spellings, free_value);
    imap_fini(&db->tagged_times, free_value);
    pop_free(&db->pop);
    db_batch_free(&db->batch);
    spans_forget(db);
    sql_fini(&db->q);
    arena_free(&db->out);
    buf_fini(&db->dropped);
    buf_fini(&db->unfiled);
    free(db->changed);
    free(db->conflicts);
    free(db->conflicts_new);
    free(db->account);
    free(db->dir);
    free(db->self);
    free(db);
    *dbp = NULL;
}

const char *db_account(const struct db *db)
{
    return db->account;
}

const char *db_dir(const struct db *db)
{
    return db->dir;
}

void db_set_rules(struct db *db, bool on, const struct conf *conf)
{
    db->rules = on;
    db->conf = conf;
    db->has_arrivals = db->has_tagged = on; /* of an earlier run */
}

void db_set_purge_hold(struct db *db, uint32_t seconds)
{
    db->purge_hold = seconds;
}

void db_set_labels(struct db *db, bool on)
{
    db->labels = on;
}

/* ---- small values ------------------------------------------------------------------------------- */

/* The names users of db_meta_* give live apart from our own. */
bool db_meta_get(struct db *db, const char *name, struct buf *out, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st =
        q_ask(db, "SELECT value FROM meta WHERE name=CAST('u:' || CAST(? AS TEXT) AS BLOB)", "s", str_z(name));
    if (q_step(db, st)) {
        buf_adds(out, sql_str(st, 0));
        sqlite3_reset(st);
    }
    return call_leave(db, own, err);
}

bool db_meta_set(struct db *db, const char *name, struct str value, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_keep(db,
           "INSERT INTO meta(name,value) VALUES(CAST('u:' || CAST(? AS TEXT) AS BLOB),?) ON CONFLICT(name) DO UPDATE "
           "SET value=excluded.value",
           "ss", str_z(name), value);
    return call_leave(db, own, err);
}

bool db_identity(struct db *db, struct buf *out, struct err *err)
{
    return db_meta_get(db, "identity", out, err);
}
bool db_identity_set(struct db *db, struct str words, struct err *err)
{
    return db_meta_set(db, "capabilities", STR(""), err) && db_meta_set(db, "identity", words, err);
}
