/* Tags by (Message-ID, fingerprint), their keywords, and the addresses met. */
#include "conf/conf.h"
#include "store/db_int.h"

bool tag_valid(struct str tag)
{
    if (!tag.n || tag.n > 200 || tag.p[0] == '-' || tag.p[0] == '+' || !utf8_valid(tag))
        return false;
    for (size_t i = 0; i < tag.n; i++)
        if ((unsigned char)tag.p[i] <= ' ' || tag.p[i] == 0x7f)
            return false;
    return true;
}

bool db_tag_keyword(struct str tag)
{
    if (!tag_valid(tag) || tag_reserved(tag) || tag.n > 100)
        return false;
    for (size_t i = 0; i < tag.n; i++) /* an atom: RFC 9051 9, flag-keyword */
        if ((unsigned char)tag.p[i] >= 0x7f || strchr("(){%*\"\\]", tag.p[i]))
            return false;
    return true;
}

bool tag_goes(const struct db *db, struct str tag)
{
    return db->labels ? tag_valid(tag) && !tag_reserved(tag) : db_tag_keyword(tag);
}

static bool has_tag(struct db *db, uint64_t mh, uint64_t fp, struct str tag)
{
    int64_t one;
    return q_one(db, &one, "SELECT 1 FROM tag WHERE mh=? AND fp=? AND tag=?", "iis", I(mh), I(fp), tag);
}

bool tags_change(struct db *db, uint64_t mh, uint64_t fp, struct str words, struct buf *did)
{
    bool any = false;
    struct str w;
    while (str_split(&words, ' ', &w)) {
        if (w.n < 2 || (w.p[0] != '+' && w.p[0] != '-'))
            continue;
        struct str tag = str_sub(w, 1, w.n);
        bool add = w.p[0] == '+';
        if (add == has_tag(db, mh, fp, tag))
            continue;
        any = true;
        if (add && str_eqz(tag, TAG_MUTED))
            db->mutes = MUTES_SOME;
        if (add)
            q_keep(db, "INSERT INTO tag(mh,fp,tag) VALUES(?,?,?)", "iis", I(mh), I(fp), tag);
        else
            q_keep(db, "DELETE FROM tag WHERE mh=? AND fp=? AND tag=?", "iis", I(mh), I(fp), tag);
        if (did) {
            if (did->n)
                buf_addc(did, ' ');
            buf_adds(did, w);
        }
    }
    if (any && mh) /* each copy gives its tags to the index */
        q_run(db, "UPDATE msg SET istate=istate|?1,iseq=iseq+1 WHERE mh=?2 AND mh<>0 AND (attrs & 32) <> 0", "ii",
              I(INDEX_WHAT_TAGS), I(mh));
    return any;
}

static bool has_word(struct str list, struct str word)
{
    struct str w;
    while (str_split(&list, ' ', &w))
        if (str_case_eq(w, word))
            return true;
    return false;
}

/* A tag the user has just changed is not undone by an older word of the server. */
static bool tag_pending(struct db *db, uint64_t msg, struct str tag)
{
    bool pending = false;
    if (!db->has_pending)
        return false;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT t.tags FROM item t CROSS JOIN intent i ON i.id=t.intent WHERE t.msg=? AND "
                             "t.state=0 AND i.state<3 AND i.kind=?",
                             "ii", I(msg), I(INTENT_TAGS));
    while (q_step(db, st)) {
        struct str words = sql_str(st, 0), w;
        while (str_split(&words, ' ', &w))
            pending = pending || (w.n > 1 && str_eq(str_sub(w, 1, w.n), tag));
    }
    return pending;
}

void tags_keywords(struct db *db, uint64_t msg, uint64_t mh, uint64_t fp, struct str was, struct str now)
{
    bool any = false;
    struct str w, rest = now;
    for (int pass = 0; pass < 2; pass++, rest = was) {
        while (str_split(&rest, ' ', &w)) {
            if (!tag_goes(db, w) || has_word(pass ? now : was, w) || tag_pending(db, msg, w))
                continue;
            struct buf words = BUF_INIT(256);
            buf_addc(&words, pass ? '-' : '+');
            buf_adds(&words, w);
            any = tags_change(db, mh, fp, buf_str(&words), NULL) || any;
            buf_fini(&words);
        }
    }
    if (any)
        row_queue(db, msg, INDEX_WHAT_TAGS);
}

void tag_identity(struct db *db, uint64_t msg, uint64_t *mh_r, uint64_t *fp_r)
{
    *mh_r = *fp_r = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT mh,from_addr,subject,date FROM msg WHERE id=?", "i", I(msg));
    if (q_step(db, st)) {
        *mh_r = sql_u64(st, 0);
        *fp_r = sql_fingerprint(&db->q, sql_str(st, 1), sql_str(st, 2), sql_int(st, 3));
        sqlite3_reset(st);
    }
}

bool db_tags(struct db *db, uint64_t msg, struct buf *out, struct err *err)
{
    bool own;
    uint64_t mh, fp;
    if (!call_enter(db, &own, err))
        return false;
    tag_identity(db, msg, &mh, &fp);
    size_t start = out->n;
    sqlite3_stmt *st = q_ask(db, "SELECT tag FROM tag WHERE mh=? AND fp=? ORDER BY tag", "ii", I(mh), I(fp));
    while (q_step(db, st)) {
        if (out->n > start)
            buf_addc(out, ' ');
        buf_adds(out, sql_str(st, 0));
    }
    return call_leave(db, own, err);
}

/* ---- addresses ---------------------------------------------------------------------------------- */

struct addr_delta {
    uint64_t weight;
    int64_t last;
    size_t addr_n, name_n;
    char text[]; /* address, lower case; as spelled; name */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

void addr_note(struct db *db, struct str name, struct str addr, unsigned weight, int64_t when)
{
    if (addr.n < 3 || addr.n > 320 || !memchr(addr.p, '@', addr.n))
        return;
    name = str_sub(name, 0, 256);
    char low[320];
    for (size_t i = 0; i < addr.n; i++)
        low[i] = lower(addr.p[i]);
    uint64_t h = sql_hash(&db->q, (struct str){low, addr.n});
    struct addr_delta *d = imap_get(&db->addrs, h);
    if (!d) {
        d = mem_new(sizeof *d + addr.n * 2 + name.n);
        d->addr_n = addr.n;
        d->name_n = name.n;
        memcpy(d->text, low, addr.n);
        memcpy(d->text + addr.n, addr.p, addr.n);
        if (name.n)
            memcpy(d->text + 2 * addr.n, name.p, name.n);
        d->last = when;
        imap_put(&db->addrs, h, d);
    }
    d->weight += weight;
    d->last = MAX(d->last, when);
}

/* The words by which a person looks for an address: beginnings of name parts, of the local part and of the domain. */
static void addr_words(struct db *db, int64_t id, struct str s)
{
    size_t from = 0, words = 0;
    for (size_t i = 0; i <= s.n && words < 12; i++) {
        unsigned char c = i < s.n ? (unsigned char)s.p[i] : ' ';
        bool inside = c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '_' || c == '+';
        if (inside)
            continue;
        if (i > from) {
            char w[64];
            size_t n = MIN(i - from, sizeof w);
            for (size_t k = 0; k < n; k++)
                w[k] = lower(s.p[from + k]);
            q_run(db, "INSERT OR IGNORE INTO addrword(word,addr) VALUES(?,?)", "si", ((struct str){w, n}), id);
            words++;
        }
        from = i + 1;
    }
}

static void addr_write(struct db *db, const struct addr_delta *d)
{
    int64_t id = 0;
    struct str addr = {d->text, d->addr_n}, spelled = {d->text + d->addr_n, d->addr_n},
               name = {d->text + 2 * d->addr_n, d->name_n};
    bool known = q_one(db, &id, "SELECT id FROM addr WHERE addr=?", "s", addr);
    if (known) {
        int64_t renamed = 0;
        q_one(db, &renamed, "SELECT 1 FROM addr WHERE id=? AND coalesce(name,x'')=x'' AND ?<>x''", "is", id, name);
        q_run(db,
              "UPDATE addr SET weight=weight+?,name=CASE WHEN ?2<>x'' AND (last<=?3 OR coalesce(name,x'')=x'') THEN ?2 "
              "ELSE name END,last=max(last,?3) WHERE id=?4",
              "isii", I(d->weight), name, d->last, id);
        if (renamed)
            addr_words(db, id, name);
        return;
    }
    q_run(db, "INSERT INTO addr(addr,spelled,name,weight,last) VALUES(?,?,?,?,?)", "sssii", addr, spelled, name,
          I(d->weight), d->last);
    id = sqlite3_last_insert_rowid(db->q.h);
    addr_words(db, id, addr);
    addr_words(db, id, name);
}

void addr_flush(struct db *db)
{
    IMAP_EACH(&db->addrs, i)
    {
        if (!db->failed)
            addr_write(db, db->addrs.slots[i].value);
        free(db->addrs.slots[i].value);
    }
    imap_fini(&db->addrs, NULL);
}

bool db_address_met(struct db *db, struct str name, struct str addr, unsigned weight, int64_t when, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    addr_note(db, name, addr, weight, when);
    return call_leave(db, own, err);
}
