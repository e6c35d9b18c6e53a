/* What the search index still has to learn, and what it has to forget. */
#include "store/db_int.h"

bool db_index_place(struct db *db, const struct db_msg *m, struct buf *out)
{
    if (!m->sbox || (!m->uid && !m->name.n))
        return false;
    if (m->uid)
        return buf_addf(out, "%s/%llu.%u/%u", db->account, (unsigned long long)m->sbox, m->uidvalidity, m->uid);
    if (!m->body.n)
        return false;
    buf_addf(out, "%s/", db->account);
    return buf_adds(out, m->body);
}

void unindex_note(struct db *db, uint64_t msg)
{
    sqlite3_stmt *st = q_ask(db, "SELECT ipath FROM msg WHERE id=? AND ipath IS NOT NULL", "i", I(msg));
    if (!q_step(db, st))
        return;
    struct buf path = BUF_INIT(2048);
    buf_adds(&path, sql_str(st, 0));
    sqlite3_reset(st);
    q_keep(db, "INSERT OR REPLACE INTO unindex(path,due) VALUES(?,?)", "si", buf_str(&path),
           -I(clock_wall() + UNINDEX_AFTER)); /* below 0 until the index knows that it is gone */
    db->has_unindex = true;
    buf_fini(&path);
}

/* What index was given of a message, until it says that it has it. */
struct handed {
    uint64_t seq;
    size_t n;
    char path[];
};

static void hand_note(struct db *db, uint64_t msg, uint64_t seq, struct str path)
{
    struct handed *h = mem_new(sizeof *h + path.n);
    h->seq = seq;
    h->n = path.n;
    memcpy(h->path, path.p, path.n);
    free(imap_get(&db->handed, msg));
    imap_put(&db->handed, msg, h);
}

struct waiting {
    uint64_t id;
    uint64_t seq;
    unsigned what;
};

static void flag_tags(const struct db_msg *m, struct buf *out)
{
    static const struct {
        uint32_t flag;
        bool set;
        const char *tag;
    } map[] = {{FLAG_SEEN, false, "unread"},
               {FLAG_FLAGGED, true, "flagged"},
               {FLAG_ANSWERED, true, "replied"},
               {FLAG_FORWARDED, true, "passed"},
               {FLAG_DRAFT, true, "draft"}};
    for (size_t i = 0; i < COUNT(map); i++)
        if (((m->flags & map[i].flag) != 0) == map[i].set)
            buf_addf(out, "%s%s", out->n ? " " : "", map[i].tag);
}

static void hand_out(struct db *db, const struct waiting *w, db_index_fn *fn, void *arg)
{
    struct db_index_job job = {.what = w->what};
    struct buf path = BUF_INIT(2048), was = BUF_INIT(2048), tags = BUF_INIT(12288);
    struct err e = ERR_INIT;
    arena_reset(db->out);
    sqlite3_stmt *st = q_ask(db, "SELECT ipath FROM msg WHERE id=?", "i", I(w->id));
    if (q_step(db, st)) {
        buf_adds(&was, sql_str(st, 0));
        sqlite3_reset(st);
    }
    if (db_msg_get(db, w->id, &job.msg, &e) && db_index_place(db, &job.msg, &path)) {
        flag_tags(&job.msg, &tags);
        struct buf own = BUF_INIT(12000);
        db_tags(db, w->id, &own, &e);
        if (own.n) {
            buf_addf(&tags, "%s", tags.n ? " " : "");
            buf_adds(&tags, buf_str(&own));
        }
        buf_fini(&own);
        if (!was.n)
            job.what = INDEX_WHAT_MAIL;
        else if (str_eq(buf_str(&was), buf_str(&path)))
            job.what &= ~(unsigned)INDEX_WHAT_PATH;
        job.path = buf_str(&path);
        job.path_was = buf_str(&was);
        job.tags = buf_str(&tags);
        hand_note(db, w->id, w->seq, job.path);
        if (job.what)
            fn(arg, &job);
        else
            q_run(db, "UPDATE msg SET istate=0 WHERE id=?", "i", I(w->id));
    }
    buf_fini(&path);
    buf_fini(&was);
    buf_fini(&tags);
}

static size_t waiting_read(struct db *db, sqlite3_stmt *st, struct waiting *w, size_t n, size_t max)
{
    while (q_step(db, st) && n < max)
        w[n++] = (struct waiting){.id = sql_u64(st, 0), .what = sql_u32(st, 1), .seq = sql_u64(st, 2)};
    return n;
}

bool db_index_next(struct db *db, unsigned max, db_index_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    struct waiting *w = mem_array(max ? max : 1, sizeof *w);
    size_t n = 0;
    if (db->has_arrivals) /* before what is only moved, for it may be filed by what the index says of it */
        n = waiting_read(db,
                         q_ask(db,
                               "SELECT m.id,m.istate,m.iseq FROM arrival a CROSS JOIN msg m ON m.id=a.msg WHERE "
                               "m.istate>0 AND (m.suid>0 OR m.body IS NOT NULL) ORDER BY a.msg LIMIT ?",
                               "i", I(max)),
                         w, n, max);
    if (n < max)
        n = waiting_read(
            db,
            q_ask(db,
                  "SELECT id,istate,iseq FROM msg WHERE istate>0 AND (suid>0 OR (name IS NOT NULL AND body "
                  "IS NOT NULL)) AND (?1=0 OR NOT EXISTS(SELECT 1 FROM arrival a WHERE a.msg=msg.id)) ORDER BY date "
                  "DESC,id DESC LIMIT ?2",
                  "ii", I(db->has_arrivals), I(max - n)),
            w, n, max);
    for (size_t i = 0; i < n && !db->failed; i++)
        hand_out(db, &w[i], fn, arg);
    free(w);
    return call_leave(db, own, err);
}

bool db_index_done(struct db *db, const uint64_t *msgs, size_t n, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n && !db->failed; i++) {
        const struct handed *h = imap_get(&db->handed, msgs[i]);
        if (h)
            q_run(db, "UPDATE msg SET ipath=?1,istate=CASE WHEN iseq=?2 THEN 0 ELSE istate END WHERE id=?3", "sii",
                  ((struct str){h->path, h->n}), I(h->seq), I(msgs[i]));
    }
    return call_leave(db, own, err);
}

/* Nothing waits any more; the next change of its body queues it again, and so did one that came meanwhile: another
 * program has moved the file under the reader's eyes. What was to be moved there and is not where it was (a kill came
 * before that was known) is added anew. */
bool db_index_failed(struct db *db, uint64_t msg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    const struct handed *h = imap_get(&db->handed, msg);
    q_run(db,
          "UPDATE msg SET istate=CASE WHEN (?3>=0 AND iseq<>?3) OR ((istate & ?1)=0 AND ipath IS NOT NULL) THEN ?1 "
          "ELSE 0 "
          "END,ipath=NULL WHERE id=?2",
          "iii", I(INDEX_WHAT_MAIL), I(msg), h ? I(h->seq) : -1);
    return call_leave(db, own, err);
}

bool db_index_again(struct db *db, uint64_t msg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_run(db, "UPDATE msg SET istate=?,iseq=iseq+1 WHERE id=?", "ii", I(INDEX_WHAT_MAIL), I(msg));
    return call_leave(db, own, err);
}

bool db_index_pending(struct db *db, uint32_t *count_r, struct err *err)
{
    bool own;
    int64_t n;
    if (!call_enter(db, &own, err))
        return false;
    q_one(db, &n, "SELECT (SELECT count(*) FROM msg WHERE istate>0)+(SELECT count(*) FROM unindex WHERE due<0)", "");
    *count_r = (uint32_t)n;
    return call_leave(db, own, err);
}

bool db_index_reset(struct db *db, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_run(db, "UPDATE msg SET istate=?,iseq=iseq+1,ipath=NULL WHERE (attrs & 32) <> 0", "i", I(INDEX_WHAT_MAIL));
    q_keep(db, "DELETE FROM unindex", "");
    db->has_unindex = false;
    return call_leave(db, own, err);
}

bool db_unindex_next(struct db *db, int64_t now, unsigned max, db_path_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT path,due<0 FROM unindex WHERE due<=? ORDER BY due LIMIT ?", "ii", now, I(max));
    while (q_step(db, st))
        fn(arg, sql_str(st, 0), sql_int(st, 1));
    return call_leave(db, own, err);
}

bool db_unindex_done(struct db *db, struct str path, bool gone, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    if (gone)
        q_keep(db, "UPDATE unindex SET due=-due WHERE path=? AND due<0", "s", path);
    else
        q_keep(db, "DELETE FROM unindex WHERE path=? AND due>=0", "s", path);
    return call_leave(db, own, err);
}
