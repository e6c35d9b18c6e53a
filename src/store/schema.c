/* The two databases' tables, their migrations, and the decision what to do with a file that is not as it should be. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/db_int.h"

#define CACHE_SCHEMA 11
#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)
#define CLEAN_CHECK_MAX (64 << 20) /* after a crash a cache up to this size is checked whole */

static const char keep_1[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE boxid(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, utf8 BLOB, delim INTEGER, role INTEGER NOT "
    "NULL DEFAULT 0, creating INTEGER NOT NULL DEFAULT 0);"
    /* Where the messages are that intents and undo name: enough to replay without cache.db. */
    "CREATE TABLE held(msg INTEGER PRIMARY KEY, box INTEGER, uidv INTEGER, uid INTEGER, name BLOB, mh INTEGER, msgid "
    "BLOB, size INTEGER, idate INTEGER, date INTEGER, flags INTEGER);"
    "CREATE INDEX held_mh ON held(mh) WHERE mh<>0;"
    "CREATE INDEX held_place ON held(box, uid) WHERE uid>0;"
    "CREATE INDEX held_name ON held(box, name) WHERE name IS NOT NULL;"
    "CREATE TABLE ugroup(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER, state INTEGER, stamp INTEGER, created "
    "INTEGER, count INTEGER, round INTEGER, target INTEGER);"
    "CREATE INDEX ugroup_state ON ugroup(state, id);"
    "CREATE TABLE intent(id INTEGER PRIMARY KEY AUTOINCREMENT, grp INTEGER, round INTEGER, inverse INTEGER, kind "
    "INTEGER, state INTEGER, box INTEGER, target INTEGER,"
    " fset INTEGER, fclear INTEGER, arg BLOB, utf8 BLOB, old BLOB, oldutf8 BLOB, due INTEGER, why INTEGER, text BLOB, "
    "ended INTEGER);"
    "CREATE INDEX intent_pending ON intent(id) WHERE state<3;"
    "CREATE INDEX intent_group ON intent(grp, round);"
    "CREATE TABLE item(intent INTEGER, msg INTEGER, state INTEGER, bflags INTEGER, aflags INTEGER, bbox INTEGER, copy "
    "INTEGER, tags BLOB, PRIMARY KEY(intent, msg)) WITHOUT ROWID;"
    "CREATE INDEX item_msg ON item(msg, intent);"
    "CREATE INDEX item_copy ON item(copy) WHERE copy>0;"
    "CREATE TABLE uidl(id INTEGER PRIMARY KEY, uidl BLOB NOT NULL, size INTEGER, state INTEGER, failures INTEGER NOT "
    "NULL DEFAULT 0, why INTEGER NOT NULL DEFAULT 0, delivered INTEGER, msg INTEGER);"
    "CREATE INDEX uidl_uidl ON uidl(uidl);"
    "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER, created INTEGER, due INTEGER, sender "
    "BLOB, rcpts BLOB, subject BLOB, msgid BLOB, file BLOB, answers INTEGER, forwards INTEGER,"
    " tries INTEGER NOT NULL DEFAULT 0, why INTEGER NOT NULL DEFAULT 0, text BLOB);"
    "CREATE INDEX outbox_due ON outbox(due) WHERE state<2;"
    "CREATE TABLE timer(name TEXT PRIMARY KEY, due INTEGER, arg BLOB) WITHOUT ROWID;"
    "CREATE INDEX timer_due ON timer(due);"
    "CREATE TABLE tag(mh INTEGER, fp INTEGER, tag BLOB, PRIMARY KEY(mh, fp, tag)) WITHOUT ROWID;"
    "CREATE TABLE unindex(path BLOB PRIMARY KEY, due INTEGER) WITHOUT ROWID;"
    "CREATE INDEX unindex_due ON unindex(due);";

/* tnext: UIDNEXT of the target when the command left, for telling what the command brought from what was there. */
static const char keep_2[] = "ALTER TABLE intent ADD COLUMN tnext INTEGER NOT NULL DEFAULT 0;";

/* uids: of flags changed in whole ranges, packed. */
static const char keep_3[] = "ALTER TABLE intent ADD COLUMN uids BLOB;"
                             "CREATE INDEX intent_uids ON intent(id) WHERE state<3 AND uids IS NOT NULL;";

/* Messages that came and that no rule has looked at. */
static const char keep_4[] = "CREATE TABLE arrival(msg INTEGER PRIMARY KEY);";

/* name: the file of the message. */
static const char keep_5[] = "ALTER TABLE uidl ADD COLUMN name BLOB;"
                             "CREATE INDEX uidl_name ON uidl(name) WHERE name IS NOT NULL;";

/* Step n brings schema n to n + 1; each is released once and never edited after. */

/* tag: by which the file of a message is known (mail/mark.h); head: by which a message is, under whatever UIDL;
 * missing: when it was first not listed; purged: deleted here for good. */
static const char keep_6[] = "ALTER TABLE uidl ADD COLUMN tag INTEGER;"
                             "ALTER TABLE uidl ADD COLUMN head BLOB;"
                             "ALTER TABLE uidl ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;"
                             "ALTER TABLE uidl ADD COLUMN purged INTEGER NOT NULL DEFAULT 0;"
                             "CREATE INDEX uidl_tag ON uidl(tag) WHERE tag IS NOT NULL;"
                             "CREATE INDEX uidl_head ON uidl(head) WHERE head IS NOT NULL;";

/* All tags by name, with how many messages have each. */
static const char keep_7[] = "CREATE INDEX tag_tag ON tag(tag);";

/* checked: when its header was last compared with that of the listed message. */
static const char keep_8[] = "ALTER TABLE uidl ADD COLUMN checked INTEGER NOT NULL DEFAULT 0;";

/* box: where it arrived. claim: messages whose intents of the group `grp` wait until the server gave them to this
 * device; state 1: it was asked. */
static const char keep_9[] = "ALTER TABLE arrival ADD COLUMN box INTEGER NOT NULL DEFAULT 0;"
                             "UPDATE arrival SET box=coalesce((SELECT box FROM held WHERE msg=arrival.msg),0);"
                             "CREATE TABLE claim(msg INTEGER PRIMARY KEY, grp INTEGER, state INTEGER);";

/* Of the user's own notmuch database: tags that both have, and paths that it has not heard are gone. */
static const char keep_10[] = "CREATE TABLE owntag(mh INTEGER, fp INTEGER, tag BLOB, PRIMARY KEY(mh, fp, tag)) WITHOUT "
                              "ROWID;"
                              "CREATE TABLE owngone(path BLOB PRIMARY KEY) WITHOUT ROWID;";

/* deed: of the client, one for all that the user did by one key. */
static const char keep_11[] = "ALTER TABLE ugroup ADD COLUMN deed INTEGER NOT NULL DEFAULT 0;"
                              "CREATE INDEX ugroup_deed ON ugroup(deed, id) WHERE deed<>0;";

/* Messages whose tags were changed and that the rules have not looked at: where they were, as part of which undo group,
 * what was changed, and from when on. */
static const char keep_12[] =
    "CREATE TABLE tagged(msg INTEGER PRIMARY KEY, box INTEGER NOT NULL, grp INTEGER NOT NULL, "
    "due INTEGER NOT NULL, tags BLOB NOT NULL);"
    "CREATE INDEX tagged_group ON tagged(grp);";

static const char *const keep_steps[] = {keep_1, keep_2, keep_3, keep_4,  keep_5,  keep_6,
                                         keep_7, keep_8, keep_9, keep_10, keep_11, keep_12};

static const char cache_1[] =
    "CREATE TABLE cache.cmeta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE cache.box(id INTEGER PRIMARY KEY, name BLOB, utf8 BLOB, delim INTEGER NOT NULL DEFAULT 0, attrs "
    "INTEGER NOT NULL DEFAULT 0, role INTEGER NOT NULL DEFAULT 0, uidvalidity INTEGER NOT NULL DEFAULT 0, uidnext "
    "INTEGER NOT NULL DEFAULT 0, base INTEGER NOT NULL DEFAULT 0, modseq INTEGER NOT NULL DEFAULT 0, exists_ INTEGER "
    "NOT NULL DEFAULT 4294967295, unseen INTEGER NOT NULL DEFAULT 4294967295, known INTEGER NOT NULL DEFAULT 0, "
    "known_unread INTEGER NOT NULL DEFAULT 0, shown INTEGER NOT NULL DEFAULT 0, shown_unread INTEGER NOT NULL DEFAULT "
    "0, readonly INTEGER NOT NULL DEFAULT 0, keywords_ok INTEGER NOT NULL DEFAULT 1, filled INTEGER NOT NULL DEFAULT "
    "0, "
    "hidden INTEGER NOT NULL DEFAULT 0, listed INTEGER NOT NULL DEFAULT 0, objid BLOB, size INTEGER NOT NULL DEFAULT "
    "-1, keeps BLOB, told INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX cache.box_objid ON box(objid) WHERE objid IS NOT NULL;"
    "CREATE TABLE cache.quota(root BLOB, resource BLOB, used INTEGER, lim INTEGER, PRIMARY KEY(root, resource)) "
    "WITHOUT ROWID;"
    "CREATE TABLE cache.server(name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;"
    "CREATE TABLE cache.msg(id INTEGER PRIMARY KEY, box INTEGER NOT NULL, date INTEGER NOT NULL, flags INTEGER NOT "
    "NULL, attrs INTEGER NOT NULL, state INTEGER NOT NULL, thread INTEGER NOT NULL,"
    " size INTEGER NOT NULL, sbox INTEGER NOT NULL, suid INTEGER NOT NULL, sflags INTEGER NOT NULL, mh INTEGER NOT "
    "NULL, idate INTEGER NOT NULL, istate INTEGER NOT NULL DEFAULT 0, iseq INTEGER NOT NULL DEFAULT 0,"
    " ipath BLOB, btime INTEGER, from_name BLOB, from_addr BLOB, to_ BLOB, subject BLOB, msgid BLOB, list_id BLOB, kw "
    "BLOB, name BLOB, body BLOB, absent BLOB, refs BLOB, emailid BLOB, preview BLOB,"
    " fkey BLOB NOT NULL DEFAULT x'', skey BLOB NOT NULL DEFAULT x''," /* sort keys of sender and subject */
    " arrived INTEGER NOT NULL);"                                      /* idate, date where it is not known */
    "CREATE INDEX cache.msg_list ON msg(box, date, id);"
    "CREATE INDEX cache.msg_arrived ON msg(box, arrived, date, id);"
    "CREATE INDEX cache.msg_size ON msg(box, size, date, id);"
    "CREATE INDEX cache.msg_fkey ON msg(box, fkey, date, id);"
    "CREATE INDEX cache.msg_skey ON msg(box, skey, date, id);"
    "CREATE INDEX cache.msg_unread ON msg(box, date, id, flags) WHERE (flags & 1) = 0;"
    "CREATE INDEX cache.msg_flagged ON msg(box, date, id, flags) WHERE (flags & 4) <> 0;"
    "CREATE UNIQUE INDEX cache.msg_place ON msg(sbox, suid) WHERE suid > 0;"
    "CREATE UNIQUE INDEX cache.msg_name ON msg(sbox, name) WHERE name IS NOT NULL;"
    "CREATE INDEX cache.msg_loose ON msg(sbox) WHERE suid = 0 AND name IS NULL;"
    "CREATE INDEX cache.msg_mh ON msg(mh) WHERE mh <> 0;"
    "CREATE INDEX cache.msg_thread ON msg(thread, date, id);"
    "CREATE INDEX cache.msg_thin ON msg(sbox, suid) WHERE (attrs & 32) = 0;"
    /* What the search index lacks: all but the text of bodies, that text, and what the user's own database lacks. */
    "CREATE INDEX cache.msg_index ON msg(date, id) WHERE (istate & 7) <> 0;"
    "CREATE INDEX cache.msg_index_text ON msg(date, id) WHERE (istate & 8) <> 0;"
    "CREATE INDEX cache.msg_index_own ON msg(date, id) WHERE (istate & 32) <> 0;"
    "CREATE INDEX cache.msg_body ON msg(btime) WHERE body IS NOT NULL AND name IS NULL;"
    "CREATE INDEX cache.msg_stub ON msg(id) WHERE (state & 8) <> 0;"
    "CREATE TABLE cache.thread(box INTEGER, thread INTEGER, newest INTEGER, count INTEGER, unread INTEGER, flagged "
    "INTEGER, PRIMARY KEY(box, thread)) WITHOUT ROWID;"
    "CREATE INDEX cache.thread_list ON thread(box, newest, thread);"
    "CREATE TABLE cache.tref(h INTEGER PRIMARY KEY, thread INTEGER);" /* message ids that others refer to: unknown
                                                                         parents too */
    "CREATE INDEX cache.tref_thread ON tref(thread);"
    "CREATE TABLE cache.rank(box INTEGER, date INTEGER, id INTEGER, n INTEGER, unread INTEGER, flagged INTEGER, "
    "PRIMARY KEY(box, date, id)) WITHOUT ROWID;"
    "CREATE TABLE cache.addr(id INTEGER PRIMARY KEY, addr BLOB UNIQUE, spelled BLOB, name BLOB, weight INTEGER, last "
    "INTEGER, rank INTEGER);"
    "CREATE INDEX cache.addr_rank ON addr(rank);"
    "CREATE TABLE cache.addrword(word BLOB, addr INTEGER, PRIMARY KEY(word, addr)) WITHOUT ROWID;";

/* Indexes that a cache of before gets when it is opened. */
static const char cache_later[] =
    "CREATE INDEX IF NOT EXISTS cache.thread_unread ON thread(box, newest, thread) WHERE unread>0;"
    "CREATE INDEX IF NOT EXISTS cache.thread_flagged ON thread(box, newest, thread) WHERE flagged>0;";

static bool user_version(struct sql *q, const char *pragma, int *version_r, struct err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(q->h, pragma, -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        *version_r = sqlite3_column_int(st, 0);
        rc = SQLITE_OK;
    }
    bool ok = rc == SQLITE_OK || sql_fail(q, rc, err);
    sqlite3_finalize(st);
    return ok;
}

/* The first row of a text pragma is "ok". */
static bool says_ok(struct sql *q, const char *pragma)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(q->h, pragma, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW &&
              str_eqz(sql_str(st, 0), "ok");
    sqlite3_finalize(st);
    return ok;
}

/* Files are made by us with the right mode before SQLite sees them: it gives -wal and -shm the same. */
static bool make_private(const char *path, bool *made_r, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    *made_r = fd >= 0;
    if (fd < 0 && errno == EEXIST)
        fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot open %s", path);
    struct stat s;
    bool ok = true;
    if (fstat(fd, &s) || !S_ISREG(s.st_mode))
        ok = err_set(err, ERR_STORE, "%s is not a file", path);
    else if (s.st_uid != geteuid())
        ok = err_set(err, ERR_PERMISSION, "%s belongs to another user", path);
    else if (s.st_mode & 077)
        fchmod(fd, 0600);
    close(fd);
    return ok;
}

static bool wal_mode(struct sql *q, const char *pragma, struct err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(q->h, pragma, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    bool wal = rc == SQLITE_ROW && str_eqz(sql_str(st, 0), "wal");
    bool ok =
        wal || (rc == SQLITE_ROW ? err_set(err, ERR_STORE, "the store's file system cannot hold a write-ahead log")
                                 : sql_fail(q, rc, err));
    sqlite3_finalize(st);
    return ok;
}

static void fresh_key(struct sql *q)
{
    uint8_t key[16];
    fs_random(key, sizeof key);
    sqlite3_stmt *st =
        sql_ask(q, "INSERT INTO meta(name,value) VALUES('hash-key',?)", "s", ((struct str){(char *)key, sizeof key}));
    int rc;
    sql_step(st, &rc);
}

/* A copy beside it before a migration, so that a bad step loses nothing. */
static bool keep_backup(struct sql *q, const char *path, int version, struct err *err)
{
    struct buf name = BUF_INIT(8192);
    buf_addf(&name, "%s.%d.bak", path, version);
    unlink(buf_z(&name));
    sqlite3_stmt *st = sql_ask(q, "VACUUM INTO CAST(? AS TEXT)", "s", buf_str(&name));
    int rc = SQLITE_ERROR;
    if (st)
        sql_step(st, &rc);
    bool ok = rc == SQLITE_OK || sql_fail(q, rc, err);
    if (ok)
        chmod(buf_z(&name), 0600);
    buf_fini(&name);
    return ok;
}

static bool keep_migrate(struct sql *q, const char *path, int version, struct err *err)
{
    if (version > 0 && !keep_backup(q, path, version, err))
        return false;
    if (!sql_exec(q, "BEGIN IMMEDIATE", err))
        return false;
    bool ok = true;
    for (int v = version; ok && v < DB_SCHEMA; v++)
        ok = sql_exec(q, keep_steps[v], err);
    if (ok && version == 0)
        fresh_key(q);
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA main.user_version=%d", DB_SCHEMA);
    ok = ok && sql_exec(q, pragma, err) && sql_exec(q, "COMMIT", err);
    if (!ok)
        sqlite3_exec(q->h, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

static bool keep_open(struct db *db, const char *path, unsigned *opened, struct err *err)
{
    bool made;
    if (!make_private(path, &made, err))
        return false;
    int rc = sql_open(&db->q, path, SQLITE_OPEN_READWRITE);
    if (rc != SQLITE_OK)
        return sql_fail(&db->q, rc, err);
    sqlite3_busy_timeout(db->q.h, 5000);
    int version = 0;
    struct err e = ERR_INIT;
    if (!sql_harden(&db->q, err))
        return false;
    if (!wal_mode(&db->q, "PRAGMA main.journal_mode=WAL", &e) ||
        !user_version(&db->q, "PRAGMA main.user_version", &version, &e)) {
        if (e.kind != ERR_STORE) {
            *err = e;
            return false;
        }
        return err_set(err, ERR_STORE,
                       "%s is damaged (%s); it holds changes not yet on the server, so it is not rebuilt by itself: "
                       "restore a copy, or move it away to begin anew",
                       path, e.text);
    }
    if (version > DB_SCHEMA)
        return err_set(err, ERR_STORE_NEWER, "%s has schema %d, this program knows %d", path, version, DB_SCHEMA);
    if (version < 0)
        return err_set(err, ERR_STORE, "%s is damaged (schema %d): restore a copy, or move it away to begin anew", path,
                       version);
    if (version == 0)
        *opened |= DB_NEW;
    else if (!says_ok(&db->q, "PRAGMA main.quick_check(1)"))
        return err_set(err, ERR_STORE,
                       "%s is damaged; it holds changes not yet on the server, so it is not rebuilt by itself: restore "
                       "a copy, or move it away to begin anew",
                       path);
    if (!sql_exec(&db->q, "PRAGMA main.synchronous=NORMAL", err) ||
        !sql_exec(&db->q, "PRAGMA main.cache_size=" KEEP_CACHE, err))
        return false;
    return version == DB_SCHEMA || keep_migrate(&db->q, path, version, err);
}

static bool cache_attach(struct db *db, const char *path, struct err *err)
{
    bool made;
    if (!make_private(path, &made, err))
        return false;
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db->q.h, "ATTACH ? AS cache", -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, path, -1, SQLITE_TRANSIENT);
        rc = sqlite3_step(st);
    }
    bool ok = rc == SQLITE_DONE || sql_fail(&db->q, rc, err);
    sqlite3_finalize(st);
    return ok;
}

static uint64_t key_word(const struct db *db)
{
    return sql_hash(&db->q, STR("cache of this keep"));
}

static bool cache_value(struct db *db, const char *text, int64_t *value_r)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(db->q.h, text, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
    *value_r = ok ? sql_int(st, 0) : 0;
    sqlite3_finalize(st);
    return ok;
}

/* 1: usable; 0: empty, to be made; -1: not usable. */
static int cache_judge(struct db *db, struct err *err)
{
    int version = 0;
    if (!wal_mode(&db->q, "PRAGMA cache.journal_mode=WAL", err) ||
        !user_version(&db->q, "PRAGMA cache.user_version", &version, err))
        return -1;
    if (version == 0) {
        int64_t tables = 1;
        cache_value(db, "SELECT count(*) FROM cache.sqlite_schema", &tables);
        return tables ? -1 : 0;
    }
    int64_t mark = 0, clean = 0, pages = 0, size = 0, probe, damaged = 0;
    if (version != CACHE_SCHEMA || !cache_value(db, "SELECT value FROM cache.cmeta WHERE name='keep'", &mark) ||
        (uint64_t)mark != key_word(db))
        return -1;
    if (!cache_value(db, "SELECT max(id) FROM cache.msg", &probe) ||
        !cache_value(db, "SELECT count(*) FROM cache.box WHERE id NOT IN (SELECT id FROM main.boxid)", &probe) || probe)
        return -1;
    cache_value(db, "SELECT value FROM cache.cmeta WHERE name='clean'", &clean);
    cache_value(db, "SELECT value FROM main.meta WHERE name='cache-damaged'", &damaged);
    if (damaged)
        return -1;
    if (!sql_exec(&db->q, cache_later, err))
        return -1;
    cache_value(db, "PRAGMA cache.page_count", &pages);
    cache_value(db, "PRAGMA cache.page_size", &size);
    if (!clean && pages * size <= CLEAN_CHECK_MAX && !says_ok(&db->q, "PRAGMA cache.quick_check(1)"))
        return -1;
    return 1;
}

/* Mailboxes keep their ids when the cache is lost, or that part of a burst which belonged to it: of the two logs one is
 * written first. */
static const char boxes_of_keep[] = "INSERT INTO cache.box(id,name,utf8,delim) SELECT id,name,utf8,coalesce(delim,0) "
                                    "FROM main.boxid WHERE id NOT IN (SELECT id FROM cache.box)";

static bool cache_make(struct db *db, struct err *err)
{
    if (!sql_exec(&db->q, "BEGIN IMMEDIATE", err))
        return false;
    bool ok = sql_exec(&db->q, cache_1, err) && sql_exec(&db->q, cache_later, err) &&
              sql_exec(&db->q, "PRAGMA cache.user_version=" STRING(CACHE_SCHEMA), err);
    if (ok) {
        sqlite3_stmt *st =
            sql_ask(&db->q, "INSERT INTO cache.cmeta(name,value) VALUES('keep',?)", "i", I(key_word(db)));
        int rc;
        sql_step(st, &rc);
        ok = rc == SQLITE_OK || sql_fail(&db->q, rc, err);
        ok = ok && sql_exec(&db->q, boxes_of_keep, err);
        ok = ok && sql_exec(&db->q, "DELETE FROM main.meta WHERE name='cache-damaged'", err);
    }
    ok = ok && sql_exec(&db->q, "COMMIT", err);
    if (!ok)
        sqlite3_exec(db->q.h, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

static void set_aside(const char *path)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < COUNT(tails); i++) {
        struct buf from = BUF_INIT(8192), to = BUF_INIT(8192);
        buf_addf(&from, "%s%s", path, tails[i]);
        buf_addf(&to, "%s.bad%s", path, tails[i]);
        if (rename(buf_z(&from), buf_z(&to)) && errno != ENOENT)
            unlink(buf_z(&from));
        else if (i == 2)
            unlink(buf_z(&to));
        buf_fini(&from);
        buf_fini(&to);
    }
}

static bool cache_open(struct db *db, const char *path, unsigned *opened, struct err *err)
{
    struct err why = ERR_INIT;
    int judged = -1;
    if (cache_attach(db, path, &why))
        judged = cache_judge(db, &why);
    if (judged < 0) {
        if (why.kind == ERR_DISK_FULL || why.kind == ERR_IO || why.kind == ERR_PERMISSION) {
            *err = why;
            return false;
        }
        log_msg(LOG_WARN, "%s cannot be used (%s): set aside and rebuilt", path,
                why.kind ? why.text : "damaged or of another version");
        sqlite3_exec(db->q.h, "DETACH cache", NULL, NULL, NULL);
        set_aside(path);
        *opened |= DB_CACHE_REBUILT;
        if (!cache_attach(db, path, err) || !wal_mode(&db->q, "PRAGMA cache.journal_mode=WAL", err))
            return false;
        judged = 0;
    }
    if (judged == 0) {
        *opened |= DB_CACHE_NEW;
        if (!cache_make(db, err))
            return false;
    } else if (!sql_exec(&db->q, boxes_of_keep, err)) {
        return false;
    }
    return sql_exec(&db->q, "PRAGMA cache.synchronous=NORMAL", err) &&
           sql_exec(&db->q, "PRAGMA cache.cache_size=-32768", err) &&
           sql_exec(&db->q, "PRAGMA cache.journal_size_limit=67108864", err);
}

bool schema_open(struct db *db, const char *path_keep, const char *path_cache, unsigned *opened_r, struct err *err)
{
    if (!keep_open(db, path_keep, opened_r, err) || !sql_load_key(&db->q, err))
        return false;
    if (!db->q.has_key)
        return err_set(err, ERR_STORE, "%s is damaged (no key): restore a copy, or move it away to begin anew",
                       path_keep);
    if (!cache_open(db, path_cache, opened_r, err))
        return false;
    /* Read-only readers need the log files to exist also while no writer has the databases open. */
    int on = 1;
    sqlite3_file_control(db->q.h, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    sqlite3_file_control(db->q.h, "cache", SQLITE_FCNTL_PERSIST_WAL, &on);
    /* What is not cut off at the end is read at the next start, all of it. */
    if (!sql_exec(&db->q, "PRAGMA main.journal_size_limit=67108864", err))
        return false;
    return sql_exec(&db->q, "PRAGMA wal_autocheckpoint=10000", err) &&
           sql_exec(&db->q, "PRAGMA temp_store=MEMORY", err) && index_counted(db, err);
}
