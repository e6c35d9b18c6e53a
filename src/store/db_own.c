/* What the user's own notmuch database has to hear, and what it says. */
#include "store/db_int.h"

#define KNOWN "own" /* "UUID REVISION"; revision 0: all of it is to be looked through */
/* Rows below this id were not compared yet since the account came below its root; 0: all were. */
#define PASS "own-pass"

static void known_read(struct db *db, struct buf *uuid, uint64_t *revision_r)
{
    struct buf value = BUF_INIT(200);
    struct err ignored = ERR_INIT;
    struct str rest, word;
    *revision_r = 0;
    db_meta_get(db, KNOWN, &value, &ignored);
    rest = buf_str(&value);
    if (str_split(&rest, ' ', &word) && str_u64(rest, revision_r))
        buf_adds(uuid, word);
    buf_fini(&value);
}

static void known_write(struct db *db, struct str uuid, uint64_t revision)
{
    struct buf value = BUF_INIT(200);
    struct err ignored = ERR_INIT; /* what failed fails the whole call */
    if (uuid.n > 0)
        buf_addf(&value, "%.*s %llu", STR_FMT(uuid), (unsigned long long)revision);
    db_meta_set(db, KNOWN, buf_str(&value), &ignored);
    buf_fini(&value);
}

static void pass_write(struct db *db, uint64_t below)
{
    char value[32];
    struct err ignored = ERR_INIT;
    snprintf(value, sizeof value, "%llu", (unsigned long long)below);
    db->own_pass = db->own_passed = below;
    db_meta_set(db, PASS, str_z(value), &ignored);
}

static void pass_read(struct db *db)
{
    struct buf value = BUF_INIT(32);
    struct err ignored = ERR_INIT;
    uint64_t below = 0;
    db_meta_get(db, PASS, &value, &ignored);
    str_u64(buf_str(&value), &below);
    db->own_pass = db->own_passed = below;
    buf_fini(&value);
}

bool db_own_known(struct db *db, struct buf *uuid, uint64_t *revision_r, struct err *err)
{
    bool own;
    int64_t one;
    if (!call_enter(db, &own, err))
        return false;
    known_read(db, uuid, revision_r);
    db->owns = uuid->n > 0;
    pass_read(db);
    db->own_gone = q_one(db, &one, "SELECT 1 FROM owngone LIMIT 1", "");
    return call_leave(db, own, err);
}

static void forget_waiting(struct db *db)
{
    q_run(db, "UPDATE msg SET istate=istate & ~32 WHERE (istate & 32) <> 0", "");
    q_keep(db, "DELETE FROM owngone", "");
    db->own_gone = false;
}

bool db_own_at(struct db *db, struct str uuid, struct err *err)
{
    bool own;
    uint64_t revision;
    struct buf was = BUF_INIT(100);
    if (!call_enter(db, &own, err))
        return false;
    known_read(db, &was, &revision);
    db->owns = uuid.n > 0;
    if (!db->owns && was.n > 0) {
        known_write(db, uuid, 0);
        forget_waiting(db);
    } else if (db->owns && (revision == 0 || !str_eq(uuid, buf_str(&was)))) {
        if (!str_eq(uuid, buf_str(&was)))
            q_keep(db, "DELETE FROM owntag", "");
        known_write(db, uuid, 0);
        pass_write(db, INT64_MAX);
    }
    buf_fini(&was);
    return call_leave(db, own, err);
}

bool db_own_looked(struct db *db, uint64_t revision, struct err *err)
{
    bool own;
    uint64_t before;
    struct buf uuid = BUF_INIT(100);
    if (!call_enter(db, &own, err))
        return false;
    known_read(db, &uuid, &before);
    if (uuid.n > 0 && before != revision)
        known_write(db, buf_str(&uuid), revision);
    buf_fini(&uuid);
    return call_leave(db, own, err);
}

bool db_own_unset(struct db *db, struct err *err)
{
    bool own;
    uint64_t revision;
    struct buf uuid = BUF_INIT(100);
    if (!call_enter(db, &own, err))
        return false;
    known_read(db, &uuid, &revision);
    db->owns = false;
    if (revision != 0) {
        known_write(db, buf_str(&uuid), 0);
        forget_waiting(db);
    }
    buf_fini(&uuid);
    return call_leave(db, own, err);
}

/* ---- From there --------------------------------------------------------------------------------- */

static void put_word(struct buf *words, char sign, struct str tag)
{
    buf_addf(words, "%s%c%.*s", words->n ? " " : "", sign, STR_FMT(tag));
}

/* The tags that both have change by these words. */
static void agree(struct db *db, uint64_t mh, uint64_t fp, struct str words)
{
    struct str w;
    while (str_split(&words, ' ', &w)) {
        if (w.n < 2)
            continue;
        struct str tag = str_sub(w, 1, w.n);
        if (w.p[0] == '+')
            q_keep(db, "INSERT OR IGNORE INTO owntag(mh,fp,tag) VALUES(?,?,?)", "iis", I(mh), I(fp), tag);
        else
            q_keep(db, "DELETE FROM owntag WHERE mh=? AND fp=? AND tag=?", "iis", I(mh), I(fp), tag);
    }
}

/* What was changed there since both had the same. */
static void changed_there(struct db *db, uint64_t mh, uint64_t fp, struct str tags, struct buf *words)
{
    struct str w;
    struct buf both = BUF_INIT(16384);
    sqlite3_stmt *st = q_ask(db, "SELECT tag FROM owntag WHERE mh=? AND fp=?", "ii", I(mh), I(fp));
    while (q_step(db, st)) {
        buf_addz(&both, both.n ? " " : "");
        buf_adds(&both, sql_str(st, 0));
        if (!words_have(tags, sql_str(st, 0)))
            put_word(words, '-', sql_str(st, 0));
    }
    while (str_split(&tags, ' ', &w))
        if (tag_is(w) && !tag_reserved(w) && !words_have(buf_str(&both), w))
            put_word(words, '+', w);
    buf_fini(&both);
}

bool db_own_tags(struct db *db, struct str msgid, struct str path, struct str tags, int64_t now, struct err *err)
{
    bool own;
    uint64_t ids[INDEX_ROWS_MAX], mh, fp;
    struct maker m = {.db = db, .now = now, .heeded = true};
    if (!call_enter(db, &own, err))
        return false;
    size_t n = index_rows(db, msgid, path, ids);
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct buf words = BUF_INIT(32768);
        struct rowc r;
        tag_identity(db, ids[i], &mh, &fp);
        changed_there(db, mh, fp, tags, &words);
        if (words.n > 0 && !words.full && row_load(db, ids[i], &r) && r.box) {
            make_tags(&m, ids[i], buf_str(&words));
            agree(db, mh, fp, buf_str(&words));
        }
        buf_fini(&words);
    }
    maker_fini(&m);
    return call_leave(db, own, err);
}

/* ---- To there ----------------------------------------------------------------------------------- */

void own_gone_note(struct db *db, struct str path)
{
    q_keep(db, "INSERT OR REPLACE INTO owngone(path) VALUES(?)", "s", path);
    db->own_gone = true;
}

bool db_own_waits(struct db *db)
{
    return db->owns && (!db->waits.known || db->waits.own > 0 || db->own_gone || db->own_pass > 0);
}

static void changed_here(struct db *db, uint64_t msg, struct buf *words)
{
    uint64_t mh, fp;
    tag_identity(db, msg, &mh, &fp);
    sqlite3_stmt *st = q_ask(db,
                             "SELECT tag,1 FROM tag WHERE mh=?1 AND fp=?2 AND tag NOT IN (SELECT tag FROM owntag WHERE "
                             "mh=?1 AND fp=?2) UNION ALL SELECT tag,0 FROM owntag WHERE mh=?1 AND fp=?2 AND tag NOT IN "
                             "(SELECT tag FROM tag WHERE mh=?1 AND fp=?2)",
                             "ii", I(mh), I(fp));
    while (q_step(db, st))
        put_word(words, sql_int(st, 1) ? '+' : '-', sql_str(st, 0));
}

bool db_own_next(struct db *db, unsigned max, db_own_fn *fn, void *arg, struct err *err)
{
    bool own;
    struct db_own_job *jobs = mem_array(max + 1, sizeof *jobs);
    size_t n = 0;
    if (!call_enter(db, &own, err)) {
        free(jobs);
        return false;
    }
    sqlite3_stmt *st = q_ask(db,
                             "SELECT id,iseq FROM msg WHERE (istate & 32) <> 0 AND (istate & 7)=0 AND name IS NOT NULL "
                             "AND body IS NOT NULL ORDER BY date DESC,id DESC LIMIT ?",
                             "i", I(max));
    while (q_step(db, st))
        if (n < max)
            jobs[n++] = (struct db_own_job){.msg = sql_u64(st, 0), .seq = sql_u64(st, 1)};
    db->own_passed = db->own_pass;
    if (n < max && db->own_pass > 0) {
        size_t before = n;
        st = q_ask(db,
                   "SELECT id,iseq FROM msg WHERE id<? AND (istate & 39)=0 AND name IS NOT NULL AND body IS NOT NULL "
                   "ORDER BY id DESC LIMIT ?",
                   "ii", I(db->own_pass), I(max - n));
        while (q_step(db, st))
            if (n < max)
                jobs[n++] = (struct db_own_job){.msg = sql_u64(st, 0), .seq = sql_u64(st, 1)};
        db->own_passed = n == max && n > before ? jobs[n - 1].msg : 0;
        if (n == 0)
            pass_write(db, 0);
    }
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct buf path = BUF_INIT(2048), words = BUF_INIT(16384);
        struct db_msg m;
        struct err e = ERR_INIT;
        arena_reset(db->out);
        changed_here(db, jobs[i].msg, &words);
        if (db_msg_get(db, jobs[i].msg, &m, &e) && db_index_place(db, &m, &path)) {
            jobs[i].path = buf_str(&path);
            jobs[i].words = buf_str(&words);
            fn(arg, &jobs[i]);
        }
        buf_fini(&path);
        buf_fini(&words);
    }
    free(jobs);
    return call_leave(db, own, err);
}

bool db_own_done(struct db *db, uint64_t msg, uint64_t seq, struct str words, struct err *err)
{
    bool own;
    uint64_t mh, fp;
    if (!call_enter(db, &own, err))
        return false;
    tag_identity(db, msg, &mh, &fp);
    agree(db, mh, fp, words);
    q_run(db, "UPDATE msg SET istate=istate & ~32 WHERE id=? AND iseq=?", "ii", I(msg), I(seq));
    return call_leave(db, own, err);
}

bool db_own_kept(struct db *db, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    if (db->own_passed != db->own_pass)
        pass_write(db, db->own_passed);
    return call_leave(db, own, err);
}

bool db_own_gone_next(struct db *db, unsigned max, db_own_path_fn *fn, void *arg, struct err *err)
{
    bool own;
    size_t n = 0;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT path FROM owngone LIMIT ?", "i", I(max));
    for (; q_step(db, st); n++)
        fn(arg, sql_str(st, 0));
    db->own_gone = n > 0;
    return call_leave(db, own, err);
}

bool db_own_gone_done(struct db *db, struct str path, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_keep(db, "DELETE FROM owngone WHERE path=?", "s", path);
    return call_leave(db, own, err);
}
