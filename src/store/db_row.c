/* Rows as the server tells them: new ones, flags, removals, whole sets of UIDs. */
#include "mail/mail.h"
#include "mail/mark.h"
#include "store/db_int.h"

/* ---- putting ------------------------------------------------------------------------------------ */

struct put {
    const struct db_row *in;
    struct str from_name, from_addr, to, subject, msgid, refs, list_id, kw, name, path, emailid, threadid, preview;
    struct sort_keys sort;
    uint64_t mh;
    uint32_t attrs, state, flags;
};

static const struct {
    const char *name;
    uint32_t flag;
} flag_keywords[] = {{"$Forwarded", FLAG_FORWARDED}, {"$Junk", FLAG_JUNK}, {"$NotJunk", FLAG_NOTJUNK},
                     {"$MDNSent", FLAG_MDNSENT},     {"Junk", FLAG_JUNK},  {"NonJunk", FLAG_NOTJUNK}};

static uint32_t keyword_flags(struct str kw)
{
    uint32_t flags = 0;
    struct str word;
    while (str_split(&kw, ' ', &word))
        for (size_t i = 0; i < COUNT(flag_keywords); i++)
            if (str_case_eqz(word, flag_keywords[i].name))
                flags |= flag_keywords[i].flag;
    return flags;
}

struct sort_keys sort_keys_of(struct str from_name, struct str from_addr, struct str subject)
{
    struct sort_keys k;
    k.from_n = text_sort_key(from_name, k.from, sizeof k.from);
    if (!k.from_n)
        k.from_n = text_sort_key(from_addr, k.from, sizeof k.from);
    k.subject_n = text_sort_key(mail_subject_base(subject), k.subject, sizeof k.subject);
    return k;
}

static struct put put_bound(struct db *db, const struct db_row *in)
{
    struct put p = {.in = in,
                    .from_name = str_sub(in->from_name, 0, 256),
                    .from_addr = str_sub(in->from_addr, 0, 320),
                    .to = str_sub(in->to, 0, 512),
                    .subject = str_sub(in->subject, 0, 1024),
                    .msgid = str_sub(sql_msgid(in->msgid), 0, 512),
                    .refs = str_sub(in->refs, 0, 4096),
                    .list_id = str_sub(in->list_id, 0, 256),
                    .kw = str_trim(str_sub(in->keywords, 0, KW_MAX)),
                    .name = str_sub(in->name, 0, 255),
                    .path = str_sub(in->path, 0, DB_PATH_MAX),
                    .emailid = str_sub(in->emailid, 0, 255),
                    .threadid = str_sub(in->threadid, 0, 255),
                    .preview = str_sub(in->preview, 0, 1024)};
    p.sort = sort_keys_of(p.from_name, p.from_addr, p.subject);
    p.mh = sql_msgid_hash(&db->q, p.msgid);
    p.attrs = in->attrs | (p.name.n ? ROW_FULL : 0);
    p.state = mark_read(p.name).stub ? ROW_STUB : (in->state & (ROW_BODY | ROW_STUB)) | (p.path.n ? ROW_BODY : 0);
    p.flags = in->flags | keyword_flags(p.kw);
    return p;
}

static uint64_t row_at(struct db *db, uint64_t box, uint32_t uid, struct str name)
{
    int64_t id;
    if (uid)
        q_one(db, &id, "SELECT id FROM msg WHERE sbox=? AND suid=? AND suid>0", "ii", I(box), I(uid));
    else
        q_one(db, &id, "SELECT id FROM msg WHERE sbox=? AND name=? AND name IS NOT NULL", "is", I(box), name);
    return (uint64_t)id;
}

/* A row that is expected here: moved, copied or appended by a command that was sent, or settled without a UID. */
static uint64_t row_expected(struct db *db, uint64_t box, const struct put *p)
{
    int64_t id = 0;
    if (!p->mh || !(db->has_pending || db->has_loose))
        return 0;
    q_one(db, &id,
          "SELECT m.id FROM msg m WHERE m.mh=?1 AND m.mh<>0 AND m.box=?2 AND NOT (m.sbox=?2 AND (m.suid>0 OR m.name IS "
          "NOT NULL)) AND ("
          " (m.state & 65536) AND (m.size=?3 OR m.size=0)"
          " OR EXISTS(SELECT 1 FROM item t CROSS JOIN intent i ON i.id=t.intent WHERE t.msg=m.id AND t.state=0 AND "
          "i.target=?2 AND i.state IN (1,2) AND (i.kind=?4 AND m.size=?3 OR i.kind=?5))"
          " OR m.size=?3 AND EXISTS(SELECT 1 FROM item t JOIN intent i ON i.id=t.intent WHERE t.copy=m.id AND t.copy>0 "
          "AND t.state=0 AND i.state IN (1,2) AND i.kind=?6)) ORDER BY m.id LIMIT 1",
          "iiiiii", I(p->mh), I(box), I(p->in->size), I(INTENT_MOVE), I(INTENT_APPEND), I(INTENT_COPY));
    return (uint64_t)id;
}

/* Is it news to a person? It just arrived, where mail arrives, unread: no copy of one's own, nothing that was moved
 * by any client (it has been elsewhere, or left there a moment ago), nothing old. */
static bool is_news(struct db *db, const struct box *b, int64_t internal_date, const struct rowc *r)
{
    uint8_t role = box_role_of(b);
    int64_t other;
    if (!(r->uid ? b->base && r->uid >= b->base : db->local) || (r->flags & FLAG_SEEN) || r->box != b->id ||
        (role != BOX_INBOX && role != BOX_NONE) || (internal_date && internal_date < clock_wall() - NEWS_S))
        return false;
    for (size_t i = 0; r->mh && i < COUNT(db->left); i++)
        if (db->left[i] == r->mh)
            return false;
    return !r->mh ||
           !q_one(db, &other, "SELECT 1 FROM msg WHERE mh=?1 AND mh<>0 AND id<>?2 LIMIT 1", "ii", I(r->mh), I(r->id));
}

static void put_insert(struct db *db, struct box *b, const struct put *p, uint64_t id)
{
    const struct db_row *in = p->in;
    struct rowc r = {.id = id,
                     .sbox = b->id,
                     .box = b->id,
                     .uid = in->uid,
                     .named = p->name.n > 0,
                     .size = in->size,
                     .flags = p->flags,
                     .sflags = p->flags,
                     .attrs = p->attrs,
                     .state = p->state,
                     .date = in->date,
                     .mh = p->mh};
    row_shown(db, &r);
    r.thread = thread_assign(db, id, 0, p->mh, p->refs, p->threadid, p->attrs & ROW_FULL ? p->subject : STR(""));
    q_run(db,
          "INSERT INTO "
          "msg(id,box,date,flags,attrs,state,thread,size,sbox,suid,sflags,mh,idate,istate,iseq,from_name,from_addr,to_,"
          "subject,msgid,list_id,kw,name,refs,body,emailid,preview,fkey,skey,arrived)"
          " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,1,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
          "iiiiiiiiiiiiiinnnnnnnnnnnnssi", I(id), I(r.box), r.date, I(r.flags), I(r.attrs), I(r.state), I(r.thread),
          I(r.size), I(r.sbox), I(r.uid), I(r.sflags), I(r.mh), in->internal_date,
          I(p->attrs & ROW_FULL ? INDEX_WHAT_MAIL : 0), p->from_name, p->from_addr, p->to, p->subject, p->msgid,
          p->list_id, p->kw, p->name, p->refs, p->path, p->emailid, p->preview, SORT_KEY(p->sort, from),
          SORT_KEY(p->sort, subject), in->internal_date ? in->internal_date : r.date);
    row_counted(db, NULL, &r);
    if (p->kw.n)
        tags_keywords(db, id, p->mh, sql_fingerprint(&db->q, p->from_addr, p->subject, in->date), STR(""), p->kw,
                      false);
    if (p->from_addr.n && box_role_of(b) != BOX_JUNK)
        addr_note(db, p->from_name, p->from_addr, 1, in->date);
    if (p->attrs & ROW_FULL)
        addr_wrote_to(db, in->rcpts, in->date);
    if (db->scan_box == b->id)
        imap_put(&db->scan, id, db);
    /* where threads are muted, what its thread is has to be known first */
    bool whole = (p->attrs & ROW_FULL) || !mutes_any(db);
    bool muted = whole && mute_look(db, id, in->delivered || (in->arrived && b->filled));
    bool waits = !muted && arrival_look(db, id, in->delivered, in->arrived);
    if (whole && !muted && !waits && is_news(db, b, in->internal_date, &r))
        b->fresh++;
    if (db->has_unindex) { /* it came back under the path that was to be forgotten */
        struct buf path = BUF_INIT(2048);
        struct db_msg m = {
            .sbox = b->id, .uidvalidity = b->uidvalidity, .uid = in->uid, .name = p->name, .body = p->path};
        if (db_index_place(db, &m, &path))
            q_keep(db, "DELETE FROM unindex WHERE path=?", "s", buf_str(&path));
        buf_fini(&path);
    }
}

/* References that come late join threads. */
static void thread_late(struct db *db, uint64_t id, uint64_t was, uint64_t mh, struct str refs, struct str threadid)
{
    struct rowc old, now;
    struct buf subject = BUF_INIT(1024);
    if (db->by_subject) {
        sqlite3_stmt *st = q_ask(db, "SELECT subject FROM msg WHERE id=?", "i", I(id));
        while (q_step(db, st))
            buf_adds(&subject, str_sub(sql_str(st, 0), 0, 1024));
    }
    uint64_t thread = thread_assign(db, id, was, mh, refs, threadid, buf_str(&subject));
    buf_fini(&subject);
    if (!row_load(db, id, &old) || old.thread == thread)
        return;
    now = old;
    now.thread = thread;
    row_store(db, &old, &now);
}

/* A row is whole now: what had to wait for that. */
static void whole_now(struct db *db, uint64_t id)
{
    struct rowc r;
    int64_t idate = 0, waits;
    if (!mutes_any(db) || mute_look(db, id, false) || !row_load(db, id, &r))
        return;
    struct box *b = box_ref(db, r.box);
    q_one(db, &idate, "SELECT idate FROM msg WHERE id=?", "i", I(id));
    if (!b || !r.uid || !is_news(db, b, idate, &r) ||
        (db->has_arrivals && q_one(db, &waits, "SELECT 1 FROM arrival WHERE msg=?", "i", I(id))))
        return;
    b->fresh++;
    box_touch(db, b);
}

static void put_update(struct db *db, const struct put *p, uint64_t id)
{
    const struct db_row *in = p->in;
    struct rowc old, now;
    if (!row_load(db, id, &old))
        return;
    bool thin = !(p->attrs & ROW_FULL) && (old.attrs & ROW_FULL);
    sqlite3_stmt *st = q_ask(db, "SELECT kw FROM msg WHERE id=?", "i", I(id));
    struct buf was = BUF_INIT(KW_MAX);
    if (q_step(db, st)) {
        buf_adds(&was, sql_str(st, 0));
        sqlite3_reset(st);
    }
    now = old;
    now.sflags = p->flags;
    now.attrs = thin ? old.attrs : p->attrs;
    if (old.attrs & ROW_PARTS)
        now.attrs = (now.attrs & ~(uint32_t)ROW_ATTACHMENT) | (old.attrs & (ROW_ATTACHMENT | ROW_PARTS));
    now.state |= p->state;
    now.date = in->date ? in->date : old.date;
    bool fuller = (p->attrs & ROW_FULL) && !(old.attrs & ROW_FULL);
    bool rewritten = p->name.n && in->size != old.size;
    if (!thin)
        q_run(
            db,
            "UPDATE msg SET from_name=coalesce(?,from_name),from_addr=coalesce(?,from_addr),to_=coalesce(?,to_),"
            "subject=coalesce(?,subject),msgid=coalesce(?,msgid),list_id=coalesce(?,list_id),refs=coalesce(?,refs),"
            "emailid=coalesce(?,emailid),preview=coalesce(?,preview),size=coalesce(nullif(?10,0),size),idate=coalesce("
            "nullif(?11,0),idate),arrived=coalesce(nullif(?11,0),arrived),istate=istate|?,iseq=iseq+1 WHERE id=?",
            "nnnnnnnnniiii", p->from_name, p->from_addr, p->to, p->subject, p->msgid, p->list_id, p->refs, p->emailid,
            p->preview, I(in->size), in->internal_date, I(fuller || rewritten ? INDEX_WHAT_MAIL : 0), I(id));
    if (!thin) /* where the mail does not say them anew they stay */
        q_run(db,
              "UPDATE msg SET fkey=CASE ?1 WHEN x'' THEN fkey ELSE ?1 END,skey=CASE ?2 WHEN x'' THEN skey ELSE ?2 END "
              "WHERE id=?3 AND (fkey<>?1 OR skey<>?2)",
              "ssi", SORT_KEY(p->sort, from), SORT_KEY(p->sort, subject), I(id));
    if (p->mh && p->mh != old.mh)
        q_run(db, "UPDATE msg SET mh=? WHERE id=?", "ii", I(p->mh), I(id));
    if (!str_eq(buf_str(&was), p->kw)) {
        q_run(db, "UPDATE msg SET kw=? WHERE id=?", "ni", p->kw, I(id));
        uint64_t mh, fp;
        tag_identity(db, id, &mh, &fp);
        tags_keywords(db, id, mh, fp, buf_str(&was), p->kw, true);
    }
    buf_fini(&was);
    if (p->path.n)
        q_run(
            db,
            "UPDATE msg SET istate=CASE WHEN body IS ?1 THEN istate ELSE istate|4 END,iseq=iseq+1,body=?1 WHERE id=?2",
            "si", p->path, I(id));
    row_shown(db, &now);
    row_store(db, &old, &now);
    if (fuller || (p->mh && p->mh != old.mh))
        thread_late(db, id, old.thread, p->mh ? p->mh : old.mh, p->refs, p->threadid);
    if (fuller)
        whole_now(db, id);
}

static bool is_own(struct db *db, uint64_t id)
{
    sqlite3_stmt *st = q_ask(db, "SELECT from_addr FROM msg WHERE id=?", "i", I(id));
    bool own = q_step(db, st) && db->self && mail_addr_is_self(sql_str(st, 0), str_z(db->self));
    sqlite3_reset(st);
    return own;
}

bool db_row_more(struct db *db, const struct db_more *in, struct err *err)
{
    bool own;
    struct rowc old, now;
    struct str to = str_sub(in->to, 0, 512), refs = str_sub(in->refs, 0, 4096), list_id = str_sub(in->list_id, 0, 256);
    struct str emailid = str_sub(in->emailid, 0, 255), threadid = str_sub(in->threadid, 0, 255);
    if (!call_enter(db, &own, err))
        return false;
    uint64_t id = in->uid ? row_at(db, in->box, in->uid, STR("")) : 0;
    if (id && row_load(db, id, &old)) {
        bool fuller = !(old.attrs & ROW_FULL);
        now = old;
        now.attrs |= in->attrs | ROW_FULL;
        now.date = old.date ? old.date : in->internal_date;
        q_run(db,
              "UPDATE msg SET to_=coalesce(?,to_),list_id=coalesce(?,list_id),refs=coalesce(?,refs),"
              "emailid=coalesce(?,emailid),idate=coalesce(nullif(?5,0),idate),arrived=coalesce(nullif(?5,0),arrived),"
              "istate=istate|?,iseq=iseq+1 WHERE id=?",
              "nnnniii", to, list_id, refs, emailid, in->internal_date, I(fuller ? INDEX_WHAT_MAIL : 0), I(id));
        row_store(db, &old, &now);
        if (fuller && (refs.n || threadid.n || db->by_subject))
            thread_late(db, id, old.thread, old.mh, refs, threadid);
        if (fuller && in->rcpts.n && is_own(db, id))
            addr_wrote_to(db, in->rcpts, now.date);
        if (fuller)
            whole_now(db, id);
        struct box *b = box_ref(db, old.box);
        if (b) /* markers are shown */
            box_touch(db, b);
    }
    return call_leave(db, own, err);
}

static void gone_one(struct db *db, uint64_t id)
{
    struct rowc r;
    if (!row_load(db, id, &r))
        return;
    if (db->has_pending && intent_explains_gone(db, id)) {
        struct rowc now = r;
        now.uid = 0;
        now.named = false;
        row_store(db, &r, &now);
        held_place(db, id, r.sbox, 0, 0, STR(""));
        return;
    }
    db->left[db->nleft++ % COUNT(db->left)] = r.mh;
    row_delete(db, &r);
}

bool db_row_put(struct db *db, const struct db_row *in, uint64_t *id_r, bool *fresh_r, struct err *err)
{
    bool own, fresh = false;
    *id_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct box *b = box_ref(db, in->box);
    if (!b || (!in->uid && !in->name.n))
        return call_refuse(db, own, err, b ? ERR_USAGE : ERR_NO_MAILBOX,
                           b ? "a row without a place" : "no such mailbox");
    struct put p = put_bound(db, in);
    uint64_t id = row_at(db, b->id, in->uid, p.name);
    struct rowc r;
    if (id && p.mh && row_load(db, id, &r) && r.mh && r.mh != p.mh) {
        gone_one(db, id); /* a server that gives a UID twice: another message, never the old one's intents */
        id = 0;
    }
    if (!id && (id = row_expected(db, b->id, &p))) {
        row_place(db, id, b->id, in->uid, p.name);
        intent_row_arrived(db, id, b->id);
    }
    if (!id) {
        if (db->has_held)
            id = held_claim(db, b, in->uid, p.name, p.msgid, in->size);
        if (!id)
            id = ledger_claim(db, p.name);
        if (!id)
            id = id_msg(db);
        fresh = true;
        put_insert(db, b, &p, id);
    } else {
        put_update(db, &p, id);
    }
    if (p.name.n && db->scan_box == b->id)
        imap_put(&db->scan, id, db); /* its file was seen */
    *id_r = id;
    if (fresh_r)
        *fresh_r = fresh;
    return call_leave(db, own, err);
}

/* ---- flags and removals ------------------------------------------------------------------------- */

static void flags_one(struct db *db, uint64_t id, uint32_t flags, struct str kw, bool has_kw)
{
    struct rowc old, now;
    if (!row_load(db, id, &old))
        return;
    if (has_kw) {
        kw = str_trim(str_sub(kw, 0, KW_MAX));
        flags |= keyword_flags(kw);
        sqlite3_stmt *st = q_ask(db, "SELECT kw,from_addr,subject FROM msg WHERE id=?", "i", I(id));
        if (q_step(db, st)) {
            struct buf was = BUF_INIT(KW_MAX);
            buf_adds(&was, sql_str(st, 0));
            uint64_t fp = sql_fingerprint(&db->q, sql_str(st, 1), sql_str(st, 2), old.date);
            sqlite3_reset(st);
            if (!str_eq(buf_str(&was), kw)) {
                q_run(db, "UPDATE msg SET kw=? WHERE id=?", "ni", kw, I(id));
                tags_keywords(db, id, old.mh, fp, buf_str(&was), kw, true);
            }
            buf_fini(&was);
        }
    }
    if (flags == old.sflags)
        return;
    now = old;
    now.sflags = flags;
    row_shown(db, &now);
    row_store(db, &old, &now);
}

bool db_flags_put(struct db *db, uint64_t box, uint32_t uid, uint32_t flags, struct str keywords, uint64_t modseq,
                  struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    uint64_t id = uid ? row_at(db, box, uid, STR("")) : 0;
    struct box *b = id ? box_ref(db, box) : NULL;
    uint32_t unseen = b ? b->unseen : 0;
    if (id)
        flags_one(db, id, flags, keywords, keywords.p != NULL);
    if (b && modseq && modseq <= b->counted_modseq)
        b->unseen = unseen; /* STATUS counted it already */
    return call_leave(db, own, err);
}

bool db_row_same(struct db *db, uint64_t box, uint32_t uid, uint64_t size, int64_t internal_date, bool *same_r,
                 struct err *err)
{
    bool own;
    int64_t id;
    struct rowc r;
    *same_r = true;
    if (!size && !internal_date)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    if (q_one(
            db, &id,
            "SELECT id FROM msg WHERE sbox=?1 AND suid=?2 AND suid>0 AND ((size>0 AND ?3>0 AND size<>?3) OR (idate<>0 "
            "AND ?4<>0 AND idate<>?4))",
            "iiii", I(box), I(uid), I(size), internal_date) &&
        row_load(db, (uint64_t)id, &r)) {
        row_delete(db, &r);
        *same_r = false;
    }
    if (db->has_pending &&
        q_one(db, &id,
              "SELECT msg FROM held WHERE box=?1 AND uid=?2 AND uid>0 AND ((size>0 AND ?3>0 AND size<>?3) OR (idate<>0 "
              "AND ?4<>0 AND idate<>?4))",
              "iiii", I(box), I(uid), I(size), internal_date)) {
        held_place(db, (uint64_t)id, box, 0, 0, STR(""));
        held_refresh_flag(db);
        *same_r = false;
    }
    return call_leave(db, own, err);
}

struct ids {
    uint64_t *p;
    size_t n, cap;
};

static void ids_add(struct ids *a, uint64_t id)
{
    if (a->n == a->cap)
        a->p = mem_resize(a->p, a->cap = a->cap ? a->cap * 2 : 64, sizeof *a->p);
    a->p[a->n++] = id;
}

static void gone_ids(struct db *db, struct ids *a)
{
    for (size_t i = 0; i < a->n && !db->failed; i++)
        gone_one(db, a->p[i]);
    free(a->p);
}

static void gone_span(struct db *db, uint64_t box, uint32_t lo, uint32_t hi)
{
    struct ids a = {0};
    sqlite3_stmt *st =
        q_ask(db, "SELECT id FROM msg WHERE sbox=? AND suid BETWEEN ? AND ? AND suid>0", "iii", I(box), I(lo), I(hi));
    while (q_step(db, st))
        ids_add(&a, sql_u64(st, 0));
    gone_ids(db, &a);
}

bool db_gone(struct db *db, uint64_t box, uint32_t lo, uint32_t hi, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    gone_span(db, box, lo, hi);
    return call_leave(db, own, err);
}

/* Thousands of ranges may name nothing that is here: those outside of the known UIDs cost no look. */
bool db_gone_ranges(struct db *db, uint64_t box, struct str ranges, struct err *err)
{
    bool own;
    int64_t low = 0, high = 0;
    if (!call_enter(db, &own, err))
        return false;
    q_one(db, &low, "SELECT coalesce(min(suid),0) FROM msg WHERE sbox=? AND suid>0", "i", I(box));
    q_one(db, &high, "SELECT coalesce(max(suid),0) FROM msg WHERE sbox=? AND suid>0", "i", I(box));
    for (size_t i = 0; i < ipc_ranges_count(ranges) && !db->failed; i++) {
        uint32_t lo, hi;
        ipc_ranges_at(ranges, i, &lo, &hi);
        if (lo <= high && hi >= low)
            gone_span(db, box, lo, hi);
    }
    return call_leave(db, own, err);
}

/* A new life of the mailbox (UIDVALIDITY) or its end: its rows go without a word to their intents, which find them
 * again or end in db_box_gone. */
void box_drop_rows(struct db *db, struct box *b)
{
    struct ids a = {0};
    sqlite3_stmt *st = q_ask(
        db,
        "SELECT id FROM msg WHERE sbox=?1 AND suid>0 UNION ALL SELECT id FROM msg WHERE sbox=?1 AND name IS NOT NULL",
        "i", I(b->id));
    while (q_step(db, st))
        ids_add(&a, sql_u64(st, 0));
    for (size_t i = 0; i < a.n && !db->failed; i++) {
        struct rowc r;
        if (row_load(db, a.p[i], &r))
            row_delete(db, &r);
    }
    free(a.p);
}

static int by_lo(const void *a, const void *b)
{
    uint32_t x = ((const struct db_range *)a)->lo, y = ((const struct db_range *)b)->lo;
    return (x > y) - (x < y);
}

/* Sorted, joined, without the impossible; returns the new count. */
static size_t ranges_normal(struct db_range *r, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct db_range x = r[i];
        if (x.lo > x.hi)
            x = (struct db_range){x.hi, x.lo};
        if (x.hi) /* UID 0 does not exist */
            r[kept++] = (struct db_range){MAX(x.lo, 1), x.hi};
    }
    n = kept;
    if (!n)
        return 0;
    qsort(r, n, sizeof *r, by_lo);
    kept = 0;
    for (size_t i = 1; i < n; i++) {
        if (r[i].lo <= r[kept].hi || r[i].lo == r[kept].hi + 1)
            r[kept].hi = MAX(r[kept].hi, r[i].hi);
        else
            r[++kept] = r[i];
    }
    return kept + 1;
}

bool db_rows_above(struct db *db, uint64_t box, uint32_t uid, uint32_t *n_r, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT count(*) FROM msg WHERE sbox=? AND suid>?", "ii", I(box), I(uid));
    *n_r = q_step(db, st) ? sql_u32(st, 0) : 0;
    sqlite3_reset(st);
    return call_leave(db, own, err);
}

bool db_row_by_msgid(struct db *db, uint64_t box, struct str msgid, uint64_t *msg_r, struct err *err)
{
    bool own;
    int64_t id = 0;
    *msg_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    uint64_t mh = sql_msgid_hash(&db->q, msgid);
    if (mh && q_one(db, &id, "SELECT id FROM msg WHERE mh=? AND mh<>0 AND box=? LIMIT 1", "ii", I(mh), I(box)))
        *msg_r = (uint64_t)id;
    return call_leave(db, own, err);
}

bool db_row_below(struct db *db, uint64_t box, uint32_t n, uint64_t *msg_r, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT id FROM msg WHERE sbox=?1 AND box=?1 AND suid>0 AND suid<=(SELECT suid FROM msg "
              "WHERE sbox=?1 AND suid>0 ORDER BY suid DESC LIMIT 1 OFFSET ?2) ORDER BY suid DESC LIMIT 1",
              "ii", I(box), I(n));
    *msg_r = q_step(db, st) ? sql_u64(st, 0) : 0;
    sqlite3_reset(st);
    return call_leave(db, own, err);
}

bool db_uids(struct db *db, uint64_t box, const struct db_range *ranges, size_t n, db_range_fn *missing, void *arg,
             struct err *err)
{
    bool own, any_missing = false;
    if (!call_enter(db, &own, err))
        return false;
    struct db_range *r = mem_array(n ? n : 1, sizeof *r);
    if (n)
        memcpy(r, ranges, n * sizeof *r);
    n = ranges_normal(r, n);
    struct ids a = {0};
    /* Both walked from the top: what has a row but no range is gone; what has a range but no row is missing. */
    size_t at = n;
    uint32_t top = 0; /* highest UID of the current range not yet accounted for */
    bool open = false;
    sqlite3_stmt *st = q_ask(db, "SELECT suid,id FROM msg WHERE sbox=? AND suid>0 ORDER BY suid DESC", "i", I(box));
    bool more = q_step(db, st);
    while (at > 0 || more || open) {
        if (!open && at > 0) {
            at--;
            top = r[at].hi;
            open = true;
        }
        uint32_t uid = more ? sql_u32(st, 0) : 0;
        if (open && (!more || uid < r[at].lo)) { /* no further row in this range */
            if (top >= r[at].lo) {
                any_missing = true;
                missing(arg, r[at].lo, top);
            }
            open = false;
            continue;
        }
        if (!more)
            break;
        if (!open || uid > r[at].hi) {
            ids_add(&a, sql_u64(st, 1));
        } else {
            if (uid < top) {
                any_missing = true;
                missing(arg, uid + 1, top);
            }
            if (uid == r[at].lo)
                open = false;
            else
                top = uid - 1;
        }
        more = q_step(db, st);
    }
    if (more)
        sqlite3_reset(st);
    free(r);
    gone_ids(db, &a);
    if (!any_missing) { /* everything there is has a row: who still waits for his place waits in vain */
        a = (struct ids){0};
        st = q_ask(db, "SELECT id FROM msg WHERE sbox=? AND suid=0 AND name IS NULL AND (state & 1)=0", "i", I(box));
        while (q_step(db, st))
            ids_add(&a, sql_u64(st, 0));
        gone_ids(db, &a);
    }
    return call_leave(db, own, err);
}

bool db_thin(struct db *db, uint64_t box, uint32_t below, unsigned max, db_range_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(
        db, "SELECT suid FROM msg WHERE sbox=? AND (attrs & 32) = 0 AND suid>0 AND suid<? ORDER BY suid DESC LIMIT ?",
        "iii", I(box), below ? I(below) : INT64_MAX, I(max));
    uint32_t lo = 0, hi = 0;
    while (q_step(db, st)) {
        uint32_t uid = sql_u32(st, 0);
        if (lo && uid == lo - 1) {
            lo = uid;
            continue;
        }
        if (lo)
            fn(arg, lo, hi);
        lo = hi = uid;
    }
    if (lo)
        fn(arg, lo, hi);
    return call_leave(db, own, err);
}

/* ---- Maildir folders ---------------------------------------------------------------------------- */

bool db_scan_begin(struct db *db, uint64_t box, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    imap_fini(&db->scan, NULL);
    db->scan_box = box;
    db->scan_lacks = false;
    return call_leave(db, own, err);
}

/* A file name has no room for $Junk and its like: they stay as the row has them. */
#define FLAGS_OF_NAME                                                                                                  \
    ((uint32_t)(FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT | FLAG_FORWARDED))

static void name_said(struct db *db, uint64_t id, uint32_t sflags, struct str path, uint32_t flags)
{
    struct err err = ERR_INIT;
    if ((sflags & FLAGS_OF_NAME) != (flags & FLAGS_OF_NAME))
        flags_one(db, id, (sflags & ~FLAGS_OF_NAME) | (flags & FLAGS_OF_NAME), STR(""), false);
    if (path.n)
        db_path_is(db, id, path, &err);
}

bool db_scan_seen(struct db *db, uint64_t box, struct str name, struct str path, uint32_t flags, uint64_t size,
                  bool *known_r, struct err *err)
{
    bool own;
    *known_r = false;
    if (!call_enter(db, &own, err))
        return false;
    /* of most nothing changed: one look */
    sqlite3_stmt *st = q_ask(db,
                             "SELECT id,sflags,size,state,body IS ?3 FROM msg WHERE sbox=?1 AND name=?2 AND name IS "
                             "NOT NULL",
                             "iss", I(box), name, str_sub(path, 0, DB_PATH_MAX));
    if (q_step(db, st)) {
        uint64_t id = sql_u64(st, 0);
        uint32_t sflags = sql_u32(st, 1);
        bool same_path = sql_int(st, 4) != 0;
        /* of a mail whose body stays on a server the file is shorter */
        *known_r = sql_u64(st, 2) == size || (sql_u32(st, 3) & (uint32_t)ROW_STUB);
        sqlite3_reset(st);
        if (db->scan_box == box)
            imap_put(&db->scan, id, db);
        name_said(db, id, sflags, same_path ? STR("") : path, flags);
    }
    db->scan_lacks = db->scan_lacks || (!*known_r && db->scan_box == box);
    return call_leave(db, own, err);
}

bool db_name_moved(struct db *db, uint64_t box, struct str name, uint64_t target, struct str to, struct str path,
                   uint32_t flags, bool *known_r, struct err *err)
{
    bool own;
    struct rowc r;
    if (!call_enter(db, &own, err))
        return false;
    uint64_t id = row_at(db, box, 0, name);
    *known_r = id && row_load(db, id, &r);
    if (*known_r) {
        row_place(db, id, target, 0, str_sub(to, 0, 255));
        name_said(db, id, r.sflags, path, flags);
        if (db->scan_box == target)
            imap_put(&db->scan, id, db);
    } /* else a row that the target has is of the file that was there before */
    return call_leave(db, own, err);
}

bool db_scan_end(struct db *db, uint64_t box, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    if (db->scan_box == box) {
        struct ids a = {0};
        sqlite3_stmt *st = q_ask(db, "SELECT id FROM msg WHERE sbox=? AND name IS NOT NULL", "i", I(box));
        while (q_step(db, st))
            if (!imap_get(&db->scan, sql_u64(st, 0)))
                ids_add(&a, sql_u64(st, 0));
        gone_ids(db, &a);
        imap_fini(&db->scan, NULL);
        db->scan_box = 0;
        struct box *b = box_ref(db, box);
        if (b && !b->filled && !db->scan_lacks) {
            b->filled = true;
            box_touch(db, b);
        }
    }
    return call_leave(db, own, err);
}

bool db_name_gone(struct db *db, uint64_t box, struct str name, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    uint64_t id = row_at(db, box, 0, name);
    if (id)
        gone_one(db, id);
    return call_leave(db, own, err);
}

bool db_name_is(struct db *db, uint64_t msg, uint64_t box, struct str name, uint32_t flags, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    struct rowc r;
    if (!row_load(db, msg, &r))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "no such message");
    row_place(db, msg, box, 0, str_sub(name, 0, 255));
    flags_one(db, msg, flags, STR(""), false);
    if (db->scan_box == box)
        imap_put(&db->scan, msg, db);
    return call_leave(db, own, err);
}

/* ---- reading one -------------------------------------------------------------------------------- */

#define MSG_SQL                                                                                                        \
    "SELECT "                                                                                                          \
    "m.id,m.box,m.sbox,coalesce(b.uidvalidity,0),m.suid,m.name,m.flags,m.sflags,m.attrs,m.state,m.size,m.thread,m."    \
    "idate,m.date,"                                                                                                    \
    "m.from_name,m.from_addr,m.to_,m.subject,m.msgid,m.refs,m.list_id,m.body,m.absent FROM msg m LEFT JOIN box b ON "  \
    "b.id=m.sbox "

void msg_read(struct db *db, sqlite3_stmt *st, struct db_msg *m)
{
    *m = (struct db_msg){.id = sql_u64(st, 0),
                         .box = sql_u64(st, 1),
                         .sbox = sql_u64(st, 2),
                         .uidvalidity = sql_u32(st, 3),
                         .uid = sql_u32(st, 4),
                         .name = out_str(db, sql_str(st, 5)),
                         .flags = sql_u32(st, 6),
                         .sflags = sql_u32(st, 7),
                         .attrs = sql_u32(st, 8),
                         .state = sql_u32(st, 9) & ROW_PUBLIC,
                         .size = sql_u64(st, 10),
                         .thread = sql_u64(st, 11),
                         .internal_date = sql_int(st, 12),
                         .date = sql_int(st, 13),
                         .from_name = out_str(db, sql_str(st, 14)),
                         .from_addr = out_str(db, sql_str(st, 15)),
                         .to = out_str(db, sql_str(st, 16)),
                         .subject = out_str(db, sql_str(st, 17)),
                         .msgid = out_str(db, sql_str(st, 18)),
                         .refs = out_str(db, sql_str(st, 19)),
                         .list_id = out_str(db, sql_str(st, 20)),
                         .body = out_str(db, sql_str(st, 21)),
                         .absent = out_str(db, sql_str(st, 22))};
}

static bool msg_answer(struct db *db, sqlite3_stmt *st, bool own, struct db_msg *m, struct err *err)
{
    arena_reset(db->out);
    if (!q_step(db, st))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "no such message");
    msg_read(db, st, m);
    sqlite3_reset(st);
    return call_leave(db, own, err);
}

bool db_msg_get(struct db *db, uint64_t msg, struct db_msg *msg_r, struct err *err)
{
    bool own;
    return call_enter(db, &own, err) && msg_answer(db, q_ask(db, MSG_SQL "WHERE m.id=?", "i", I(msg)), own, msg_r, err);
}

bool db_body_twin(struct db *db, uint64_t msg, struct db_msg *twin_r, struct err *err)
{
    bool own;
    *twin_r = (struct db_msg){.id = 0};
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db,
                             MSG_SQL "WHERE m.id IN (SELECT x.id FROM msg o JOIN msg x ON x.mh=o.mh AND "
                                     "x.emailid=o.emailid WHERE o.id=?1 AND o.mh<>0 "
                                     "UNION SELECT t.msg FROM item t JOIN intent i ON i.id=t.intent WHERE t.copy=?1 "
                                     "AND t.copy>0 AND i.kind=?2 "
                                     "UNION SELECT t.copy FROM item t JOIN intent i ON i.id=t.intent WHERE t.msg=?1 "
                                     "AND t.copy>0 AND i.kind=?2) "
                                     "AND m.id<>?1 AND m.body IS NOT NULL AND m.name IS NULL AND EXISTS(SELECT 1 FROM "
                                     "msg WHERE id=?1 AND body IS NULL) ORDER BY m.absent IS NOT NULL, m.id LIMIT 1",
                             "ii", I(msg), I(INTENT_COPY));
    arena_reset(db->out);
    if (q_step(db, st)) {
        msg_read(db, st, twin_r);
        sqlite3_reset(st);
    }
    return call_leave(db, own, err);
}

bool db_msg_at(struct db *db, uint64_t box, uint32_t uid, struct db_msg *msg_r, struct err *err)
{
    bool own;
    return call_enter(db, &own, err) &&
           msg_answer(db, q_ask(db, MSG_SQL "WHERE m.sbox=? AND m.suid=? AND m.suid>0", "ii", I(box), I(uid)), own,
                      msg_r, err);
}
