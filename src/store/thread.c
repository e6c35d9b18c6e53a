/* Threads, assigned when a message is stored (RFC 5256, REFERENCES, its linking by Message-ID, References and
 * In-Reply-To; equal subjects join messages where the option threads-by-subject says so). A thread is a set of messages
 * that refer to each other, directly or through messages that are not here: `tref` remembers the ids referred to. Sets
 * are joined, never walked: no recursion, and a loop of references is a set like any other. */
#include "mail/mail.h"
#include "store/db_int.h"

#define REFS_MAX 64 /* the first and the last of a longer list */

struct thread_delta {
    uint64_t box, thread;
    int count, unread, flagged;
    int64_t newest;
    bool added, removed; /* removed: the newest must be looked up */
};

void thread_count(struct db *db, uint64_t box, uint64_t thread, int count, int unread, int flagged, int64_t date)
{
    uint64_t key = (thread * 0x9E3779B97F4A7C15u) ^ (box << 48 | box);
    struct thread_delta *d;
    while ((d = imap_get(&db->threads, key ? key : 1)) && (d->box != box || d->thread != thread))
        key += 0x51ED2701;
    if (!d) {
        d = mem_new(sizeof *d);
        d->box = box;
        d->thread = thread;
        imap_put(&db->threads, key ? key : 1, d);
    }
    d->count += count;
    d->unread += unread;
    d->flagged += flagged;
    if (count > 0) {
        d->newest = d->added ? MAX(d->newest, date) : date;
        d->added = true;
    } else {
        d->removed = true;
    }
}

/* Adds the change to the thread's row, without its date. */
static void flush_counts(struct db *db, const struct thread_delta *d, int64_t newest)
{
    q_run(db,
          "INSERT INTO thread VALUES(?,?,?,max(?,0),max(?,0),max(?,0)) ON CONFLICT DO UPDATE SET "
          "newest=excluded.newest,count=count+?4,unread=max(unread+?5,0),flagged=max(flagged+?6,0)",
          "iiiiii", I(d->box), I(d->thread), newest, I(d->count), I(d->unread), I(d->flagged));
}

static void flush_one(struct db *db, const struct thread_delta *d)
{
    int64_t was = 0, now = d->newest;
    bool had = q_one(db, &was, "SELECT newest FROM thread WHERE box=? AND thread=?", "ii", I(d->box), I(d->thread));
    bool has = true;
    if (!d->removed)
        now = had ? MAX(was, now) : now;
    else
        has = q_one(db, &now, "SELECT date FROM msg WHERE thread=? AND box=? ORDER BY date DESC LIMIT 1", "ii",
                    I(d->thread), I(d->box));
    if (has)
        flush_counts(db, d, now);
    else
        q_run(db, "DELETE FROM thread WHERE box=? AND thread=?", "ii", I(d->box), I(d->thread));
    struct box *b = had == has && was == now ? NULL : box_ref(db, d->box);
    if (b && (had || has))
        rank_thread(db, b, d->thread, had ? &was : NULL, has ? &now : NULL);
}

void thread_flush(struct db *db)
{
    IMAP_EACH(&db->threads, i)
    {
        struct thread_delta *d = db->threads.slots[i].value;
        if (!d->added && !d->removed)
            continue;
        flush_one(db, d);
        free(d);
        db->threads.slots[i].value = NULL;
    }
    /* Freed above one by one; the table itself goes too, a burst may have touched a hundred thousand. */
    imap_fini(&db->threads, NULL);
}

/* Everything of `lost` belongs to `kept` from now on. */
static void thread_join(struct db *db, uint64_t kept, uint64_t lost)
{
    sqlite3_stmt *st = q_ask(db, "SELECT box,flags,date FROM msg WHERE thread=?", "i", I(lost));
    while (q_step(db, st)) {
        uint64_t box = sql_u64(st, 0);
        uint32_t flags = sql_u32(st, 1);
        int64_t date = sql_int(st, 2);
        if (!box)
            continue;
        int unread = flags & FLAG_SEEN ? 0 : 1, flagged = flags & FLAG_FLAGGED ? 1 : 0;
        thread_count(db, box, lost, -1, -unread, -flagged, date);
        thread_count(db, box, kept, 1, unread, flagged, date);
        struct box *b = imap_get(&db->boxes, box); /* a statement runs: do not load another */
        if (b)
            box_touch(db, b);
    }
    q_run(db, "UPDATE msg SET thread=? WHERE thread=?", "ii", I(kept), I(lost));
    q_run(db, "UPDATE tref SET thread=? WHERE thread=?", "ii", I(kept), I(lost));
}

struct found {
    uint64_t threads[REFS_MAX * 2 + 6];
    size_t n;
};

static void found_add(struct found *f, int64_t thread)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->threads[i] == (uint64_t)thread)
            return;
    if (thread && f->n < COUNT(f->threads))
        f->threads[f->n++] = (uint64_t)thread;
}

static void find_threads(struct db *db, struct found *f, uint64_t h)
{
    int64_t thread;
    if (q_one(db, &thread, "SELECT thread FROM tref WHERE h=?", "i", I(h)))
        found_add(f, thread);
    if (q_one(db, &thread, "SELECT thread FROM msg WHERE mh=? AND mh<>0 LIMIT 1", "i", I(h)))
        found_add(f, thread);
}

/* Hashes of the ids in `refs`, each once; of a long list the first and the last. */
static size_t hash_refs(struct db *db, struct str refs, uint64_t mh, uint64_t *h)
{
    size_t n = 0;
    struct str word;
    while (str_split(&refs, ' ', &word)) {
        uint64_t x = sql_msgid_hash(&db->q, word);
        bool known = !x || x == mh;
        for (size_t i = 0; i < n && !known; i++)
            known = h[i] == x;
        if (known)
            continue;
        if (n == REFS_MAX) {
            memmove(h + 1, h + 2, (REFS_MAX - 2) * sizeof *h);
            n--;
        }
        h[n++] = x;
    }
    return n;
}

/* The server's conversation as one more id that its messages refer to; the blank sets it apart from those. */
static uint64_t hash_server(struct db *db, struct str threadid)
{
    struct buf id = BUF_INIT(300);
    buf_addc(&id, ' ');
    buf_adds(&id, threadid);
    uint64_t h = sql_hash(&db->q, buf_str(&id));
    buf_fini(&id);
    return h;
}

void db_set_threads(struct db *db, bool by_subject)
{
    db->by_subject = by_subject;
}

/* Its base subject as one more id; 0 where it has none. Two blanks set it apart. */
static uint64_t hash_subject(struct db *db, struct str subject)
{
    char key[256] = "  ";
    size_t n = text_sort_key(mail_subject_base(subject), key + 2, sizeof key - 2);
    return n ? sql_hash(&db->q, (struct str){key, n + 2}) : 0;
}

uint64_t thread_assign(struct db *db, uint64_t msg, uint64_t own, uint64_t mh, struct str refs, struct str threadid,
                       struct str subject)
{
    struct found f = {.n = 0};
    uint64_t h[REFS_MAX + 2], by_subject = db->by_subject && !refs.n ? hash_subject(db, subject) : 0;
    size_t n = refs.n ? hash_refs(db, refs, mh, h) : 0;
    if (threadid.n)
        h[n++] = hash_server(db, threadid);
    if (by_subject)
        h[n++] = by_subject;
    found_add(&f, I(own));
    if (mh)
        find_threads(db, &f, mh);
    for (size_t i = 0; i < n; i++)
        find_threads(db, &f, h[i]);
    uint64_t thread = f.n ? f.threads[0] : msg; /* a thread bears the id of its first message */
    for (size_t i = 1; i < f.n; i++)
        thread = MIN(thread, f.threads[i]);
    for (size_t i = 0; i < f.n; i++)
        if (f.threads[i] != thread)
            thread_join(db, thread, f.threads[i]);
    for (size_t i = 0; i < n; i++)
        q_run(db, "INSERT INTO tref(h,thread) VALUES(?,?) ON CONFLICT DO NOTHING", "ii", I(h[i]), I(thread));
    return thread;
}

/* ---- by subject, what is here already ---- */
static void by_subject(struct db *db, uint64_t id)
{
    struct rowc old, now;
    struct buf subject = BUF_INIT(1024);
    bool any = false;
    sqlite3_stmt *st =
        q_ask(db, "SELECT subject FROM msg WHERE id=? AND (attrs & 32)<>0 AND coalesce(length(refs),0)=0", "i", I(id));
    while (q_step(db, st)) {
        any = true;
        buf_adds(&subject, str_sub(sql_str(st, 0), 0, 1024));
    }
    if (any && row_load(db, id, &old)) {
        uint64_t thread = thread_assign(db, id, old.thread, old.mh, STR(""), STR(""), buf_str(&subject));
        if (row_load(db, id, &old) && old.thread != thread) {
            now = old;
            now.thread = thread;
            row_store(db, &old, &now);
        }
    }
    buf_fini(&subject);
}

bool db_threads_again(struct db *db, unsigned max, bool *more_r, struct err *err)
{
    uint64_t ids[THREADS_AGAIN_MAX];
    int64_t at = 0;
    size_t n = 0;
    bool own;
    *more_r = false;
    if (!call_enter(db, &own, err))
        return false;
    bool begun = q_one(db, &at, "SELECT value FROM cmeta WHERE name='subjects'", "");
    if (!db->by_subject) {
        if (begun)
            q_run(db, "DELETE FROM cmeta WHERE name='subjects'", "");
        return call_leave(db, own, err);
    }
    max = MIN(max, (unsigned)THREADS_AGAIN_MAX);
    sqlite3_stmt *st = q_ask(db, "SELECT id FROM msg WHERE id>? ORDER BY id LIMIT ?", "ii", at, I(max));
    while (q_step(db, st))
        if (n < max)
            ids[n++] = sql_u64(st, 0);
    for (size_t i = 0; i < n; i++) /* the oldest first: each joins the thread that is there */
        by_subject(db, ids[i]);
    if (n)
        q_run(db, "INSERT OR REPLACE INTO cmeta(name,value) VALUES('subjects',?)", "i", I(ids[n - 1]));
    *more_r = n == max;
    return call_leave(db, own, err);
}
