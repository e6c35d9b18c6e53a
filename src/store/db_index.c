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
           /* below 0 until the index knows that it is gone; the user's own database keeps nothing either */
           -I(clock_wall() + (db->owns ? 0 : UNINDEX_AFTER)));
    db->has_unindex = true;
    if (db->owns)
        own_gone_note(db, buf_str(&path));
    buf_fini(&path);
}

/* ---- How many wait ------------------------------------------------------------------------------ */

static void count_one(struct db *db, unsigned istate, int sign)
{
    db->waits.all += (istate & INDEX_WAITS) != 0 ? sign : 0;
    db->waits.first += (istate & INDEX_FIRST) != 0 ? sign : 0;
    db->waits.own += (istate & INDEX_WHAT_OWN) != 0 ? sign : 0;
}

/* index_moved(was, now): 0 where there was no row, or is none. */
static void on_moved(sqlite3_context *c, int n, sqlite3_value **values)
{
    struct db *db = sqlite3_user_data(c);
    if (n != 2 || !db->waits.known)
        return;
    count_one(db, (unsigned)sqlite3_value_int(values[0]), -1);
    count_one(db, (unsigned)sqlite3_value_int(values[1]), 1);
}

/* Triggers of this connection alone, so that no statement can forget it. */
bool index_counted(struct db *db, struct err *err)
{
    int rc = sqlite3_create_function_v2(db->q.h, "index_moved", 2, SQLITE_UTF8 | SQLITE_INNOCUOUS, db, on_moved, NULL,
                                        NULL, NULL);
    if (rc != SQLITE_OK)
        return sql_fail(&db->q, rc, err);
    return sql_exec(&db->q,
                    "CREATE TEMP TRIGGER index_changed AFTER UPDATE OF istate ON cache.msg WHEN OLD.istate<>NEW.istate "
                    "BEGIN SELECT index_moved(OLD.istate,NEW.istate); END;"
                    "CREATE TEMP TRIGGER index_came AFTER INSERT ON cache.msg WHEN NEW.istate<>0 "
                    "BEGIN SELECT index_moved(0,NEW.istate); END;"
                    "CREATE TEMP TRIGGER index_went AFTER DELETE ON cache.msg WHEN OLD.istate<>0 "
                    "BEGIN SELECT index_moved(OLD.istate,0); END;",
                    err);
}

static void count_all(struct db *db)
{
    int64_t texts = 0;
    if (db->waits.known)
        return;
    q_one(db, &db->waits.first, "SELECT count(*) FROM msg WHERE (istate & 7) <> 0", "");
    q_one(db, &texts, "SELECT count(*) FROM msg WHERE (istate & 8) <> 0 AND (istate & 7) = 0", "");
    q_one(db, &db->waits.own, "SELECT count(*) FROM msg WHERE (istate & 32) <> 0", "");
    db->waits.all = db->waits.first + texts;
    db->waits.known = !db->failed;
}

bool db_index_pending(struct db *db, struct db_index_waiting *waiting_r, struct err *err)
{
    bool own;
    int64_t gone = 0;
    *waiting_r = (struct db_index_waiting){0};
    if (!call_enter(db, &own, err))
        return false;
    count_all(db);
    if (db->has_unindex)
        q_one(db, &gone, "SELECT count(*) FROM (SELECT 1 FROM unindex WHERE due<0 LIMIT 1000)", "");
    waiting_r->all = (uint32_t)(db->waits.all + gone);
    waiting_r->texts = (uint32_t)(db->waits.all - db->waits.first);
    return call_leave(db, own, err);
}

/* ---- Handing out -------------------------------------------------------------------------------- */

#define WHOLE_MAX 200 /* where no more wait than these, none waits twice */

/* What index was given of a message, until it says that it has it. */
struct handed {
    uint64_t seq;
    unsigned what, then; /* then: what the row waits for when that is done */
    size_t n;
    char path[];
};

static void hand_note(struct db *db, uint64_t msg, const struct handed *of, struct str path)
{
    struct handed *h = mem_new(sizeof *h + path.n);
    *h = *of;
    h->n = path.n;
    memcpy(h->path, path.p, path.n);
    free(imap_get(&db->handed, msg));
    imap_put(&db->handed, msg, h);
}

struct waiting {
    uint64_t id;
    uint64_t seq;
    int64_t date;
    unsigned istate;
};

/* Tags that are flags. */
static const struct {
    uint32_t flag;
    bool set;
    const char *tag;
} flag_map[] = {{FLAG_SEEN, false, "unread"},
                {FLAG_FLAGGED, true, "flagged"},
                {FLAG_ANSWERED, true, "replied"},
                {FLAG_FORWARDED, true, "passed"},
                {FLAG_DRAFT, true, "draft"}};

static unsigned flag_bits(uint32_t flags)
{
    unsigned bits = 0;
    for (size_t i = 0; i < COUNT(flag_map); i++)
        bits |= ((flags & flag_map[i].flag) != 0) == flag_map[i].set ? 1u << i : 0;
    return bits;
}

static void flag_tags(const struct db_msg *m, struct buf *out)
{
    unsigned bits = flag_bits(m->flags);
    for (size_t i = 0; i < COUNT(flag_map); i++)
        if (bits & 1u << i)
            buf_addf(out, "%s%s", out->n ? " " : "", flag_map[i].tag);
}

/* What is to be done of what waits, and what then waits still. */
static void divide(const struct waiting *w, bool whole, struct db_index_job *job, struct handed *of)
{
    bool known = job->path_was.n > 0, there = known && str_eq(job->path_was, job->path), file = job->msg.body.n > 0;
    unsigned what = w->istate & INDEX_FIRST, lost = w->istate & INDEX_WHAT_LOST;
    bool text = (w->istate & INDEX_WHAT_TEXT) || (lost && (what & INDEX_WHAT_PATH));
    if (!known)
        what |= INDEX_WHAT_MAIL;
    else if (there)
        what &= ~(unsigned)INDEX_WHAT_PATH;
    else if (!(what & INDEX_WHAT_MAIL))
        what |= INDEX_WHAT_PATH;
    if (what & INDEX_WHAT_MAIL) {
        text = job->header = file && !whole && job->msg.size > INDEX_SMALL;
        lost = 0;
    } else if (text) {
        lost = 0;
        if (what == 0 && file)
            what = INDEX_WHAT_TEXT;
        text = file && what != INDEX_WHAT_TEXT;
    }
    job->what = of->what = what;
    of->then = (w->istate & ~(INDEX_WAITS | INDEX_WHAT_LOST | INDEX_WHAT_OWN)) | lost | (text ? INDEX_WHAT_TEXT : 0u);
}

static void hand_out(struct db *db, const struct waiting *w, bool whole, db_index_fn *fn, void *arg)
{
    struct db_index_job job = {.header = false};
    struct handed of = {.seq = w->seq};
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
        job.path = buf_str(&path);
        job.path_was = buf_str(&was);
        job.tags = buf_str(&tags);
        divide(w, whole, &job, &of);
        hand_note(db, w->id, &of, job.path);
        if (job.what)
            fn(arg, &job);
        else
            q_run(db, "UPDATE msg SET istate=?1 | (istate & 32) WHERE id=?2", "ii", I(of.then), I(w->id));
    }
    buf_fini(&path);
    buf_fini(&was);
    buf_fini(&tags);
}

static size_t waiting_read(struct db *db, sqlite3_stmt *st, struct waiting *w, size_t n, size_t max)
{
    while (q_step(db, st) && n < max)
        w[n++] = (struct waiting){sql_u64(st, 0), sql_u64(st, 2), sql_int(st, 3), sql_u32(st, 1)};
    return n;
}

void db_index_texts(struct db *db)
{
    db->handed_at.date = INT64_MAX;
    db->handed_at.id = INT64_MAX;
}

bool db_index_next(struct db *db, enum db_index_stage stage, unsigned max, db_index_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    count_all(db);
    struct waiting *w = mem_array(max ? max : 1, sizeof *w);
    size_t n = 0, arrivals = 0;
    bool whole = db->waits.first <= WHOLE_MAX;
    if (stage == INDEX_STAGE_FIRST) {
        db_index_texts(db);   /* its cursor serves the one stage or the other */
        if (db->has_arrivals) /* before what is only moved, for it may be filed by what the index says of it */
            arrivals = n =
                waiting_read(db,
                             q_ask(db,
                                   "SELECT m.id,m.istate,m.iseq,m.date FROM arrival a CROSS JOIN msg m ON m.id=a.msg "
                                   "WHERE (m.istate & 15)<>0 AND (m.suid>0 OR m.body IS NOT NULL) ORDER BY a.msg "
                                   "LIMIT ?",
                                   "i", I(max)),
                             w, n, max);
    }
    if (n < max && stage != INDEX_STAGE_TEXT)
        n = waiting_read(db,
                         q_ask(db,
                               "SELECT id,istate,iseq,date FROM msg WHERE (istate & 7) <> 0 AND (suid>0 OR (name "
                               "IS NOT NULL AND body IS NOT NULL)) AND (?1=0 OR NOT EXISTS(SELECT 1 FROM arrival a "
                               "WHERE a.msg=msg.id)) AND (date,id)<(?3,?4) ORDER BY date DESC,id DESC LIMIT ?2",
                               "iiii", I(db->has_arrivals), I(max - n), db->handed_at.date, I(db->handed_at.id)),
                         w, n, max);
    else if (stage == INDEX_STAGE_TEXT)
        n = waiting_read(db,
                         q_ask(db,
                               "SELECT id,istate,iseq,date FROM msg WHERE (istate & 8) <> 0 AND (istate & 7) = 0 AND "
                               "(date,id)<(?1,?2) ORDER BY date DESC,id DESC LIMIT ?3",
                               "iii", db->handed_at.date, I(db->handed_at.id), I(max)),
                         w, n, max);
    if (n > arrivals) {
        db->handed_at.date = w[n - 1].date;
        db->handed_at.id = w[n - 1].id;
    }
    for (size_t i = 0; i < n && !db->failed; i++)
        hand_out(db, &w[i], whole || i < arrivals, fn, arg);
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
        /* the user's own database hears of what ours has */
        unsigned hears = h && db->owns && (h->what & INDEX_FIRST) ? INDEX_WHAT_OWN : 0;
        if (h)
            q_run(
                db,
                "UPDATE msg SET ipath=?1,istate=CASE WHEN iseq=?2 THEN ?3 | (istate & 32) ELSE istate END WHERE id=?4",
                "siii", ((struct str){h->path, h->n}), I(h->seq), I(h->then | hears), I(msgs[i]));
    }
    return call_leave(db, own, err);
}

/* Nothing waits any more; the next change of its body queues it again, and so did one that came meanwhile: another
 * program has moved the file under the reader's eyes. What was to be moved there and is not where it was (a kill came
 * before that was known) is added anew. Where only the text could not be had the header stays found. */
bool db_index_failed(struct db *db, uint64_t msg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    const struct handed *h = imap_get(&db->handed, msg);
    if (h && h->what == INDEX_WHAT_TEXT)
        q_run(db, "UPDATE msg SET istate=CASE WHEN iseq=?1 THEN ?2 ELSE istate END WHERE id=?3", "iii", I(h->seq),
              I(h->then | INDEX_WHAT_LOST), I(msg));
    else
        q_run(db,
              "UPDATE msg SET istate=CASE WHEN (?3>=0 AND iseq<>?3) OR ((istate & ?1)=0 AND ipath IS NOT NULL) THEN ?1 "
              "ELSE 0 END,ipath=NULL WHERE id=?2",
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

/* ---- What other programs did to the tags of the index ------------------------------------------- */

unsigned db_flag_tag(struct str tag)
{
    for (size_t i = 0; i < COUNT(flag_map); i++)
        if (str_eqz(tag, flag_map[i].tag))
            return 1u << i;
    return 0;
}

unsigned db_flag_tags_all(const struct db_flag_tags *f)
{
    return f->living > 0 ? f->of_living | (f->of_dead & ~db_flag_tag(STR("unread"))) : f->of_dead;
}

/* Mail whose id in the index is not its own: of all mailboxes' files of that name the one that is there. */
static size_t row_at(struct db *db, struct str path, uint64_t *id_r)
{
    struct str rest = path, name = path;
    size_t flags, n = 0, account = strlen(db->account);
    while (str_split(&rest, '/', &name))
        ;
    if (str_find(name, ':', &flags))
        name = str_sub(name, 0, flags);
    sqlite3_stmt *st = q_ask(db,
                             "SELECT m.id,m.body FROM box b CROSS JOIN msg m ON m.sbox=b.id AND m.name=? AND m.name IS "
                             "NOT NULL WHERE m.body IS NOT NULL",
                             "s", name);
    while (q_step(db, st))
        if (n == 0 && path.n > account && path.p[account] == '/' && str_eqz(str_sub(path, 0, account), db->account) &&
            str_eq(str_sub(path, account + 1, path.n), sql_str(st, 1))) {
            *id_r = sql_u64(st, 0);
            n = 1;
        }
    return n;
}

/* "ACCOUNT/BOX.UIDVALIDITY/UID" */
static size_t row_of_uid(struct db *db, struct str path, uint64_t *id_r)
{
    struct str rest = path, account, box, uidv;
    uint64_t number;
    uint32_t validity, uid;
    int64_t id;
    if (!str_split(&rest, '/', &account) || !str_eqz(account, db->account) || !str_split(&rest, '.', &box) ||
        !str_split(&rest, '/', &uidv) || !rest.p || !str_u64(box, &number) || !str_u32(uidv, &validity) ||
        !str_u32(rest, &uid) || !uid)
        return 0;
    struct box *b = box_ref(db, number);
    if (!b || b->uidvalidity != validity ||
        !q_one(db, &id, "SELECT id FROM msg WHERE sbox=? AND suid=? AND suid>0", "ii", I(number), I(uid)))
        return 0;
    *id_r = (uint64_t)id;
    return 1;
}

size_t index_rows(struct db *db, struct str msgid, struct str path, uint64_t ids[static INDEX_ROWS_MAX])
{
    uint64_t mh = sql_msgid_hash(&db->q, msgid);
    size_t n = 0;
    sqlite3_stmt *st = mh ? q_ask(db, "SELECT id FROM msg WHERE mh=? AND mh<>0 LIMIT 256", "i", I(mh)) : NULL;
    while (st && q_step(db, st))
        if (n < INDEX_ROWS_MAX)
            ids[n++] = sql_u64(st, 0);
    if (n == 0 && path.n > 0)
        n = db->local ? row_at(db, path, ids) : row_of_uid(db, path, ids);
    return n;
}

static bool row_lives(struct db *db, const struct rowc *r)
{
    struct box *b = box_ref(db, r->box);
    uint8_t role = b ? box_role_of(b) : BOX_NONE;
    return r->box && role != BOX_TRASH && role != BOX_JUNK;
}

bool db_flag_tags(struct db *db, struct str msgid, struct str path, struct db_flag_tags *sum, struct err *err)
{
    bool own;
    uint64_t ids[INDEX_ROWS_MAX];
    if (!call_enter(db, &own, err))
        return false;
    size_t n = index_rows(db, msgid, path, ids);
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct rowc r;
        int64_t istate = 0;
        if (!row_load(db, ids[i], &r))
            continue;
        q_one(db, &istate, "SELECT istate FROM msg WHERE id=?", "i", I(ids[i]));
        sum->waits = sum->waits || (istate & (INDEX_WHAT_MAIL | INDEX_WHAT_TAGS));
        sum->rows++;
        if (row_lives(db, &r)) {
            sum->living++;
            sum->of_living |= flag_bits(r.flags);
        } else {
            sum->of_dead |= flag_bits(r.flags);
        }
    }
    return call_leave(db, own, err);
}

bool words_have(struct str words, struct str word)
{
    struct str w;
    while (str_split(&words, ' ', &w))
        if (str_eq(w, word))
            return true;
    return false;
}

/* "+x -y" that makes the message's tags those. */
static void tags_differ(struct db *db, uint64_t msg, struct str tags, struct buf *words)
{
    struct str w, rest = tags;
    uint64_t mh, fp;
    struct buf have = BUF_INIT(16384);
    tag_identity(db, msg, &mh, &fp);
    sqlite3_stmt *st = q_ask(db, "SELECT tag FROM tag WHERE mh=? AND fp=?", "ii", I(mh), I(fp));
    while (q_step(db, st)) {
        buf_addz(&have, have.n ? " " : "");
        buf_adds(&have, sql_str(st, 0));
        if (!words_have(tags, sql_str(st, 0)))
            buf_addf(words, "%s-%.*s", words->n ? " " : "", STR_FMT(sql_str(st, 0)));
    }
    while (str_split(&rest, ' ', &w))
        if (tag_is(w) && !tag_reserved(w) && !words_have(buf_str(&have), w))
            buf_addf(words, "%s+%.*s", words->n ? " " : "", STR_FMT(w));
    buf_fini(&have);
}

bool db_tags_from_index(struct db *db, struct str msgid, struct str path, struct str tags, unsigned add, unsigned drop,
                        int64_t now, struct err *err)
{
    bool own;
    uint64_t ids[INDEX_ROWS_MAX];
    struct maker m = {.db = db, .now = now, .heeded = true};
    uint32_t set = 0, clear = 0;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < COUNT(flag_map); i++) {
        unsigned bit = 1u << i;
        if ((add | drop) & bit)
            *(((add & bit) != 0) == flag_map[i].set ? &set : &clear) |= flag_map[i].flag;
    }
    size_t n = index_rows(db, msgid, path, ids);
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct buf words = BUF_INIT(16384);
        tags_differ(db, ids[i], tags, &words);
        if (words.n)
            make_tags(&m, ids[i], buf_str(&words));
        if (set | clear)
            make_flags(&m, ids[i], set, clear);
        buf_fini(&words);
        row_queue(db, ids[i], INDEX_WHAT_TAGS);
    }
    maker_fini(&m);
    return call_leave(db, own, err);
}
