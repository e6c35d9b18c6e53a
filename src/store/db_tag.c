/* Tags by (Message-ID, fingerprint), their keywords, and the addresses met. */
#include "conf/conf.h"
#include "mail/lookup.h"
#include "store/db_int.h"

#define OTHERS_FIRST_S 5 /* the device that set a tag runs its rules before this one's */

void db_set_self(struct db *db, struct str self)
{
    free(db->self);
    db->self = mem_dup_n(self.n ? self.p : "", self.n);
}

void db_set_tag_names(struct db *db, struct tag_names names)
{
    db->names = names;
}

bool tag_goes(const struct db *db, struct str tag)
{
    struct buf keyword = BUF_INIT(4 * TAG_KEYWORD_MAX);
    bool goes = db->labels ? tag_is(tag) && !tag_reserved(tag) : tag_to_keyword(&db->names, tag, &keyword);
    buf_fini(&keyword);
    return goes;
}

static bool has_word(struct str list, struct str word)
{
    struct str w;
    while (str_split(&list, ' ', &w))
        if (str_case_eq(w, word))
            return true;
    return false;
}

static bool has_signed(struct str list, char sign, struct str word)
{
    struct str w;
    while (str_split(&list, ' ', &w))
        if (w.n > 1 && w.p[0] == sign && str_case_eq(str_sub(w, 1, w.n), word))
            return true;
    return false;
}

bool box_keeps(const struct box *b, struct str keyword)
{
    return !b || b->keywords_ok || has_word(str_z(b->keeps ? b->keeps : ""), keyword);
}

/* What of "+x -y" the server is told, as keywords of that mailbox; labels are told as they are. */
void tags_wire(const struct db *db, const struct box *b, struct str words, struct buf *out)
{
    struct buf all = BUF_INIT(16384);
    struct str rest, w;
    if (db->labels) {
        buf_adds(out, words);
        return;
    }
    tags_to_keywords(&db->names, words, &all);
    for (rest = buf_str(&all); str_split(&rest, ' ', &w);)
        if (w.n > 1 && box_keeps(b, str_sub(w, 1, w.n)))
            buf_addf(out, "%s%.*s", out->n ? " " : "", STR_FMT(w));
    buf_fini(&all);
}

struct intent_of {
    uint64_t intent, group;
};

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

/* ---- keywords of the server ---- */

/* The tag of this message that is `tag` but for its case, as servers take keywords; false: none. */
static bool tag_here(struct db *db, uint64_t mh, uint64_t fp, struct str tag, struct buf *out)
{
    sqlite3_stmt *st = q_ask(db, "SELECT tag FROM tag WHERE mh=? AND fp=?", "ii", I(mh), I(fp));
    bool found = false;
    while (q_step(db, st))
        if (!found && str_case_eq(sql_str(st, 0), tag))
            found = buf_adds(out, sql_str(st, 0));
    return found;
}

static uint64_t folded_hash(struct str tag)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < tag.n; i++) {
        char c = tag.p[i];
        h = (h ^ (unsigned char)(c >= 'A' && c <= 'Z' ? c | 32 : c)) * 1099511628211u;
    }
    return h ? h : 1;
}

/* A server gives all of a mailbox the spelling that it met first; here a tag is spelled as it was first known. */
static struct str spelling(struct db *db, struct str tag)
{
    if (!db->spelled) {
        db->spelled = true;
        sqlite3_stmt *st = q_ask(db, "SELECT DISTINCT tag FROM tag LIMIT 20000", "");
        while (q_step(db, st)) {
            struct str one = sql_str(st, 0);
            uint64_t h = folded_hash(one);
            if (!imap_get(&db->spellings, h))
                imap_put(&db->spellings, h, mem_dup_n(one.p, one.n));
        }
    }
    uint64_t h = folded_hash(tag);
    const char *known = imap_get(&db->spellings, h);
    if (known && str_case_eqz(tag, known))
        return str_z(known);
    if (!known)
        imap_put(&db->spellings, h, mem_dup_n(tag.p, tag.n));
    return tag;
}

static bool tag_of_word(struct db *db, struct str word, struct buf *out)
{
    buf_reset(out);
    return db->labels ? tag_goes(db, word) && buf_adds(out, word) : tag_of_keyword(&db->names, word, out);
}

/* Is it a tag of another word of the list too? */
static bool tag_of_any(struct db *db, struct str words, struct str tag)
{
    struct buf other = BUF_INIT(4 * TAG_KEYWORD_MAX);
    bool found = false;
    struct str w;
    while (!found && str_split(&words, ' ', &w))
        found = w.n && tag_of_word(db, w, &other) && str_case_eq(buf_str(&other), tag);
    buf_fini(&other);
    return found;
}

/* What the user did last to the tag and the server does not have yet: '+', '-', 0 nothing. */
static char tag_pending(struct db *db, uint64_t msg, struct str tag, struct intent_of *of)
{
    char sign = 0;
    if (!db->has_pending)
        return 0;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT t.tags,i.id,i.grp FROM item t CROSS JOIN intent i ON i.id=t.intent WHERE t.msg=? "
                             "AND t.state=0 AND i.state<3 AND i.kind=? ORDER BY i.id",
                             "ii", I(msg), I(INTENT_TAGS));
    while (q_step(db, st)) {
        struct str words = sql_str(st, 0), w;
        while (str_split(&words, ' ', &w))
            if (w.n > 1 && str_case_eq(str_sub(w, 1, w.n), tag)) {
                sign = w.p[0];
                *of = (struct intent_of){sql_u64(st, 1), sql_u64(st, 2)};
            }
    }
    return sign;
}

/* Another device did the opposite of what waits here: what waits comes later, and is said to. */
static void tag_conflict(struct db *db, uint64_t msg, struct str tag, char mine, const struct intent_of *of)
{
    struct db_conflict c = {.group = of->group, .intent = of->intent, .msg = msg, .kind = INTENT_TAGS};
    struct buf subject = BUF_INIT(200);
    sqlite3_stmt *st = q_ask(db, "SELECT subject FROM msg WHERE id=?", "i", I(msg));
    if (q_step(db, st)) {
        buf_adds(&subject, str_sub(sql_str(st, 0), 0, 120));
        sqlite3_reset(st);
    }
    snprintf(c.text, sizeof c.text,
             "\"%s\": another device %s the tag %.*s while your %s waited; yours comes last and holds", buf_z(&subject),
             mine == '+' ? "took off" : "added", STR_FMT(str_sub(tag, 0, 60)), mine == '+' ? "tag" : "removal");
    conflict_note(db, &c);
    buf_fini(&subject);
}

static struct box *box_of_msg(struct db *db, uint64_t msg)
{
    struct rowc r;
    return row_load(db, msg, &r) ? box_ref(db, r.sbox) : NULL;
}

/* No flag has changed with it: its list and the index hear of it by its mailbox. */
static void row_tell(struct db *db, uint64_t msg)
{
    struct rowc r;
    struct box *b = row_load(db, msg, &r) ? box_ref(db, r.box) : NULL;
    if (b)
        box_touch(db, b);
}

void tags_keywords(struct db *db, uint64_t msg, uint64_t mh, uint64_t fp, struct str was, struct str now, bool heeded)
{
    struct buf did = BUF_INIT(16384);
    struct str w, rest = now;
    struct buf tag = BUF_INIT(4 * TAG_KEYWORD_MAX), words = BUF_INIT(2000), here = BUF_INIT(TAG_MAX + 1);
    for (int pass = 0; pass < 2; pass++, rest = was) {
        while (str_split(&rest, ' ', &w)) {
            struct intent_of of = {0};
            if (!w.n || has_word(pass ? now : was, w) || !tag_of_word(db, w, &tag) ||
                (pass && (tag_of_any(db, now, buf_str(&tag)) || !box_keeps(box_of_msg(db, msg), w))))
                continue;
            char mine = tag_pending(db, msg, buf_str(&tag), &of);
            if (mine && mine != (pass ? '-' : '+'))
                tag_conflict(db, msg, buf_str(&tag), mine, &of);
            buf_reset(&here);
            bool has = tag_here(db, mh, fp, buf_str(&tag), &here);
            if (mine || has != (pass != 0))
                continue;
            struct str name = has ? buf_str(&here) : spelling(db, buf_str(&tag));
            buf_reset(&words);
            buf_addf(&words, "%c%.*s", pass ? '-' : '+', STR_FMT(name));
            tags_change(db, mh, fp, buf_str(&words), &did);
        }
    }
    buf_fini(&tag);
    buf_fini(&words);
    buf_fini(&here);
    if (did.n) {
        row_queue(db, msg, INDEX_WHAT_TAGS);
        row_tell(db, msg);
    }
    if (did.n && heeded)
        tagged_note(db, msg, 0, buf_str(&did), clock_wall() + OTHERS_FIRST_S);
    buf_fini(&did);
}

/* The server has been told: its keywords of the message are what they were and this. */
void tags_told(struct db *db, uint64_t msg, struct str did)
{
    struct buf wire = BUF_INIT(16384), was = BUF_INIT(8192), kw = BUF_INIT(KW_MAX);
    struct str rest, w;
    tags_wire(db, box_of_msg(db, msg), did, &wire);
    sqlite3_stmt *st = q_ask(db, "SELECT kw FROM msg WHERE id=?", "i", I(msg));
    if (q_step(db, st)) {
        buf_adds(&was, sql_str(st, 0));
        sqlite3_reset(st);
    }
    for (rest = buf_str(&was); str_split(&rest, ' ', &w);)
        if (w.n && !has_signed(buf_str(&wire), '-', w))
            buf_addf(&kw, "%s%.*s", kw.n ? " " : "", STR_FMT(w));
    for (rest = buf_str(&wire); str_split(&rest, ' ', &w);)
        if (w.n > 1 && w.p[0] == '+' && !has_word(buf_str(&kw), str_sub(w, 1, w.n)) && kw.n + w.n < KW_MAX)
            buf_addf(&kw, "%s%.*s", kw.n ? " " : "", STR_FMT(str_sub(w, 1, w.n)));
    if (!str_eq(buf_str(&kw), buf_str(&was)))
        q_run(db, "UPDATE msg SET kw=? WHERE id=?", "ni", buf_str(&kw), I(msg));
    buf_fini(&wire);
    buf_fini(&was);
    buf_fini(&kw);
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

#define WROTE_WEIGHT 4       /* to whom one writes oneself, against who writes */
#define TWICE_S (60 * 86400) /* twice as often met counts as much as so much later */

/* What addresses are ordered by: how often and how lately. A number that needs no clock: twice the weight is as good as
 * TWICE_S more of time, so what was met often is overtaken when it was not met for long. */
static int64_t addr_rank(int64_t weight, int64_t last)
{
    int64_t w = MAX(weight, 1), twice = 0;
    while (w >> (twice + 1))
        twice++;
    return MAX(last, 0) + twice * TWICE_S + (w - ((int64_t)1 << twice)) * TWICE_S / ((int64_t)1 << twice);
}

void addr_note(struct db *db, struct str name, struct str addr, unsigned weight, int64_t when)
{
    if (addr.n < 3 || addr.n > 320 || !memchr(addr.p, '@', addr.n))
        return;
    name = str_sub(name, 0, 256);
    when = MIN(when, clock_wall()); /* the Date of a mail says what its sender likes */
    char low[320];
    for (size_t i = 0; i < addr.n; i++)
        low[i] = addr.p[i] >= 'A' && addr.p[i] <= 'Z' ? (char)(addr.p[i] | 32) : addr.p[i];
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

void addr_wrote_to(struct db *db, struct str rcpts, int64_t when)
{
    struct str line, addr;
    while (rcpts.n > 0 && str_split(&rcpts, '\n', &line))
        if (str_split(&line, '\t', &addr))
            addr_note(db, line, addr, WROTE_WEIGHT, when);
}

/* The words by which a person looks for an address: beginnings of name parts, of the local part and of the domain. */
static void addr_words(struct db *db, int64_t id, struct str s)
{
    struct lookup words;
    struct str word;
    lookup_begin(&words, s);
    for (unsigned n = 0; n < 12 && lookup_next(&words, &word); n++)
        q_run(db, "INSERT OR IGNORE INTO addrword(word,addr) VALUES(?,?)", "si", word, id);
}

static void addr_write(struct db *db, const struct addr_delta *d)
{
    int64_t id = 0, weight = d->weight, last = d->last;
    struct str addr = {d->text, d->addr_n}, spelled = {d->text + d->addr_n, d->addr_n},
               name = {d->text + 2 * d->addr_n, d->name_n};
    bool nameless = false, newer = true;
    sqlite3_stmt *st = q_ask(db, "SELECT id,weight,last,name FROM addr WHERE addr=?", "s", addr);
    bool known = q_step(db, st);
    if (known) {
        id = sql_int(st, 0);
        weight += sql_int(st, 1);
        newer = sql_int(st, 2) <= last;
        last = MAX(last, sql_int(st, 2));
        nameless = sql_str(st, 3).n == 0;
    }
    sqlite3_reset(st);
    if (known) {
        q_run(db,
              "UPDATE addr SET weight=?,last=?,rank=?,name=CASE WHEN ?4<>x'' AND ?5 THEN ?4 ELSE name END WHERE id=?6",
              "iiisii", weight, last, addr_rank(weight, last), name, (int64_t)(newer || nameless), id);
        if (nameless && name.n)
            addr_words(db, id, name);
        return;
    }
    q_run(db, "INSERT INTO addr(addr,spelled,name,weight,last,rank) VALUES(?,?,?,?,?,?)", "sssiii", addr, spelled, name,
          weight, last, addr_rank(weight, last));
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

bool db_wrote_to(struct db *db, struct str rcpts, int64_t when, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    addr_wrote_to(db, rcpts, when);
    return call_leave(db, own, err);
}

bool db_address_met(struct db *db, struct str name, struct str addr, unsigned weight, int64_t when, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    addr_note(db, name, addr, weight, when);
    return call_leave(db, own, err);
}
