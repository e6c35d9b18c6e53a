/* POP3: which messages of the maildrop are here, which may be deleted there. UIDLs are data; numbers are of one session
 * only and live in memory. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mail/mark.h"
#include "store/db_int.h"

#define HEAD_MAX 32
#define MISSED_S (30 * 86400) /* a message that is not listed for so long will not come back */

#define POP_MAX 2000000
#define UIDL_MAX 1024

struct listed {
    uint64_t size, id; /* id: ledger entry, 0 until matched */
    uint32_t number;
    uint32_t head; /* 1 + where in pop.heads; 0: not looked at */
    enum pop_state state;
    bool doubt, unsure; /* unsure: known by its UIDL alone, and that is not enough to delete it */
    bool sure;          /* known by its header */
};
struct head {
    unsigned char n, id[HEAD_MAX];
};
struct key { /* by its UIDL */
    uint64_t hash;
    uint32_t at;
};
/* What a listing needs of memory is bound by some tens of bytes for each message: UIDLs past SPILL are kept in a file,
 * and the ledger is read row by row. */
struct pop {
    struct listed *list;
    struct key *keys; /* until matched */
    uint32_t n, cap;
    struct head *heads; /* of those in doubt */
    uint32_t nheads, heads_cap;
    struct buf uidls; /* u32 length + bytes, one after the other, until the end of the listing */
    int spill;        /* those before them; -1: none are */
    size_t at;        /* so far they are read */
    bool matched, ended;
};
#define SPILL ((size_t)1 << 20)

static void uidls_drop(struct pop *p)
{
    if (p->spill >= 0)
        close(p->spill);
    p->spill = -1;
    buf_fini(&p->uidls);
}

void pop_free(struct pop **pp)
{
    struct pop *p = *pp;
    if (!p)
        return;
    free(p->list);
    free(p->keys);
    free(p->heads);
    uidls_drop(p);
    free(p);
    *pp = NULL;
}

bool db_pop_begin(struct db *db, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    pop_free(&db->pop);
    db->pop = mem_new(sizeof *db->pop);
    db->pop->uidls = BUF_INIT(SPILL + UIDL_MAX + sizeof(uint32_t));
    db->pop->spill = -1;
    return call_leave(db, own, err);
}

/* Into a file that has no name: it is gone with this program. */
static bool uidls_spill(struct db *db, struct pop *p, struct err *err)
{
    if (p->spill < 0) {
        char *path = path_join(db->dir, "listing");
        p->spill = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        bool ok = p->spill >= 0 || err_sys(err, err_from_errno(errno), errno, "cannot make %s", path);
        if (ok)
            unlink(path);
        free(path);
        if (!ok)
            return false;
    }
    bool ok = fs_write_all(p->spill, buf_str(&p->uidls), err);
    buf_reset(&p->uidls);
    return ok;
}

/* Before the first is read. */
static bool uidls_rewind(struct db *db, struct pop *p, struct err *err)
{
    p->at = 0;
    return p->spill < 0 || (uidls_spill(db, p, err) && (lseek(p->spill, 0, SEEK_SET) == 0 ||
                                                        err_sys(err, ERR_IO, errno, "cannot read the listing")));
}

/* So many bytes of what comes next; NULL where they cannot be read. Borrowed until the next call. */
static const char *uidls_take(struct pop *p, size_t n)
{
    if (p->spill >= 0 && p->uidls.n - p->at < n) {
        size_t left = p->uidls.n - p->at;
        memmove(p->uidls.p, p->uidls.p + p->at, left);
        p->uidls.n = left;
        p->at = 0;
        while (p->uidls.n < n && buf_reserve(&p->uidls, 65536)) {
            ssize_t got = read(p->spill, p->uidls.p + p->uidls.n, 65536);
            if (got <= 0)
                break;
            p->uidls.n += (size_t)got;
        }
    }
    if (p->uidls.n - p->at < n)
        return NULL;
    p->at += n;
    return p->uidls.p + p->at - n;
}

/* That of the next message, in the order of the list. */
static bool uidls_next(struct pop *p, struct str *uidl_r)
{
    uint32_t n;
    const char *length = uidls_take(p, sizeof n);
    if (!length)
        return false;
    memcpy(&n, length, sizeof n);
    *uidl_r = (struct str){uidls_take(p, n), n};
    return uidl_r->p != NULL;
}

/* Memory, mostly: a listing costs no transaction before its end. */
bool db_pop_add(struct db *db, uint32_t number, uint64_t size, struct str uidl, struct err *err)
{
    struct pop *p = db->pop;
    uint32_t n = (uint32_t)MIN(uidl.n, UIDL_MAX);
    if (!p || p->matched)
        return err_set(err, ERR_USAGE, "no listing is running");
    if (p->n >= POP_MAX)
        return err_set(err, ERR_LIMIT, "the maildrop lists more messages than tuimail accepts");
    if (p->uidls.n + n + sizeof n > SPILL && !uidls_spill(db, p, err))
        return false;
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap + p->cap / 2 : 256;
        p->list = mem_resize(p->list, p->cap, sizeof *p->list);
        p->keys = mem_resize(p->keys, p->cap, sizeof *p->keys);
    }
    p->keys[p->n] = (struct key){sql_hash(&db->q, str_sub(uidl, 0, n)), p->n};
    p->list[p->n++] = (struct listed){.number = number, .size = size};
    buf_add(&p->uidls, &n, sizeof n);
    buf_add(&p->uidls, uidl.p, n);
    return true;
}

struct entry {
    uint64_t id, size; /* id 0: taken */
    enum pop_state state;
    bool missing;
};

static bool same_size(uint64_t a, uint64_t b)
{
    return a == b || a == 0 || b == 0; /* 0: the server did not say */
}

/* A UIDL may be used again once its message is gone (RFC 1939 7), and gone it is where a QUIT was done, confirmed or
 * not.
 */
static bool was_deleted(enum pop_state state)
{
    return state == POP_DELETE_WANTED || state == POP_DELETED_PENDING_QUIT || state == POP_GONE;
}

/* All listed messages that share a UIDL against all entries of it. Where fewer are listed than known, one not yet
 * delivered is never taken for one that was: at worst a message is fetched twice, never missed. */
static void match(struct pop *p, const struct key *at, size_t nat, struct entry *e, size_t ne)
{
    bool fewer = nat < ne;
    for (int doubt = 0; doubt < 2; doubt++) {              /* equal size first, and listed last time */
        for (int want = fewer ? 0 : 1; want < 2; want++) { /* of those, with fewer listed: the undelivered first */
            for (size_t i = 0; i < nat; i++) {
                struct listed *l = &p->list[at[i].at];
                for (size_t k = 0; k < ne && !l->id; k++) {
                    bool sure = !e[k].missing && same_size(e[k].size, l->size);
                    if (!e[k].id || (doubt == 0 && !sure) || (want == 0 && e[k].state != POP_SEEN))
                        continue;
                    l->id = e[k].id;
                    l->state = e[k].state;
                    l->doubt = l->state != POP_SEEN && (doubt || was_deleted(l->state));
                    l->unsure = l->doubt && !same_size(e[k].size, l->size);
                    e[k].id = 0;
                }
            }
        }
    }
}

static int by_hash(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* The listed messages with that UIDL. */
static const struct key *keys_of(const struct pop *p, uint64_t hash, size_t *n_r)
{
    size_t lo = 0, hi = p->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->keys[mid].hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (*n_r = 0; lo + *n_r < p->n && p->keys[lo + *n_r].hash == hash; ++*n_r)
        ;
    return p->keys + lo;
}

/* By UIDL, in one walk over the ledger. Through its hash: under a key of our own, equal hash means equal UIDL. */
static void match_all(struct db *db, struct pop *p)
{
    struct entry *e = NULL; /* those with one UIDL */
    size_t n = 0, cap = 0, nkeys = 0;
    uint64_t hash = 0;
    if (p->n)
        qsort(p->keys, p->n, sizeof *p->keys, by_hash);
    sqlite3_stmt *st = q_ask(db, "SELECT uidl,id,size,state,missing FROM uidl ORDER BY uidl,id", "");
    for (bool more = true; more;) {
        more = q_step(db, st);
        uint64_t next = more ? sql_hash(&db->q, sql_str(st, 0)) : 0;
        if (n && (!more || next != hash)) {
            const struct key *keys = keys_of(p, hash, &nkeys);
            match(p, keys, nkeys, e, n);
            n = 0;
        }
        if (n == cap)
            e = mem_resize(e, cap = cap ? cap * 2 : 64, sizeof *e);
        hash = next;
        if (more)
            e[n++] = (struct entry){sql_u64(st, 1), sql_u64(st, 2), (enum pop_state)sql_int(st, 3), sql_int(st, 4) > 0};
    }
    free(e);
    free(p->keys);
    p->keys = NULL;
}

/* ---- Which entries are listed ------------------------------------------------------------------- */
struct ids {
    uint64_t *id;
    size_t n;
};

static int by_id(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* As it is now. The caller frees ids.id. */
static struct ids ids_of(const struct pop *p)
{
    struct ids ids = {.id = mem_array(p->n ? p->n : 1, sizeof *ids.id)};
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].id)
            ids.id[ids.n++] = p->list[i].id;
    qsort(ids.id, ids.n, sizeof *ids.id, by_id);
    return ids;
}

static bool ids_has(const struct ids *ids, uint64_t id)
{
    return bsearch(&id, ids->id, ids->n, sizeof id, by_id) != NULL;
}

/* Entries that nothing listed is: by their sizes messages are suspected to be one of them. */
static uint32_t doubt_all(struct db *db, struct pop *p)
{
    struct imap sizes = {0};
    struct ids matched = ids_of(p);
    uint32_t doubts = 0;
    size_t nmatched = 0, nvanished = 0;
    for (size_t i = 0; i < p->n; i++)
        nmatched += p->list[i].id && p->list[i].state != POP_SEEN;
    sqlite3_stmt *st = q_ask(db, "SELECT id,size,missing FROM uidl WHERE head IS NOT NULL", "");
    while (q_step(db, st))
        if (!ids_has(&matched, sql_u64(st, 0))) {
            nvanished += sql_int(st, 2) == 0;
            imap_put(&sizes, sql_u64(st, 1) + 1, p);
        }
    for (size_t i = 0; i < p->n; i++) {
        struct listed *l = &p->list[i];
        if (!l->id && (imap_get(&sizes, l->size + 1) || (nmatched == 0 && nvanished > 0)))
            l->doubt = true;
        doubts += l->doubt;
    }
    free(matched.id);
    imap_fini(&sizes, NULL);
    return doubts;
}

/* "": it was not looked at. */
static struct str head_of(const struct pop *p, const struct listed *l)
{
    const struct head *h = l->head ? &p->heads[l->head - 1] : NULL;
    return h ? (struct str){(const char *)h->id, h->n} : STR("");
}

static void head_is(struct pop *p, struct listed *l, struct str head)
{
    if (!l->head) {
        if (p->nheads == p->heads_cap)
            p->heads = mem_resize(p->heads, p->heads_cap = p->heads_cap ? p->heads_cap * 2 : 16, sizeof *p->heads);
        l->head = ++p->nheads;
    }
    struct head *h = &p->heads[l->head - 1];
    h->n = (unsigned char)MIN(head.n, (size_t)HEAD_MAX);
    memcpy(h->id, head.p ? head.p : "", h->n);
}

static bool has_head(struct db *db, uint64_t id, const struct listed *l, bool *same_r)
{
    struct str head = head_of(db->pop, l);
    if (!head.n)
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT head FROM uidl WHERE id=? AND length(head)>0", "i", I(id));
    if (!q_step(db, st))
        return false;
    *same_r = str_eq(sql_str(st, 0), head);
    sqlite3_reset(st);
    return true;
}

/* A message that was here under another UIDL, and is not listed under its own; 0: none. known: of the UIDLs, found: by
 * their headers. */
static uint64_t by_head(struct db *db, const struct listed *l, const struct ids *known, const struct imap *found,
                        enum pop_state *state_r)
{
    uint64_t id = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT id,state FROM uidl WHERE head=? ORDER BY abs(size-?),id", "si",
                             head_of(db->pop, l), I(l->size));
    while (q_step(db, st))
        if (!id && !ids_has(known, sql_u64(st, 0)) && !imap_get(found, sql_u64(st, 0))) {
            id = sql_u64(st, 0);
            *state_r = (enum pop_state)sql_int(st, 1);
        }
    return id;
}

static void listed_now(struct db *db, struct listed *l)
{
    if (was_deleted(l->state) && l->state != POP_DELETE_WANTED) {
        l->state = POP_DELETE_WANTED; /* it is there: the deletion was not committed */
        q_keep(db, "UPDATE uidl SET state=? WHERE id=?", "ii", I(l->state), I(l->id));
    }
}

static void settle_known(struct db *db, struct pop *p)
{
    for (size_t i = 0; i < p->n && !db->failed; i++) {
        struct listed *l = &p->list[i];
        bool same = true, looked = l->id && l->doubt && has_head(db, l->id, l, &same);
        if (l->id && l->doubt && (looked ? !same : l->state == POP_GONE))
            l->id = 0; /* another message, of an id that was used before */
        l->unsure = l->unsure && l->id && !looked;
        l->sure = looked && l->id;
        if (l->id && l->doubt && !l->unsure)
            q_keep(db, "UPDATE uidl SET missing=0,size=? WHERE id=?", "ii", I(l->size), I(l->id));
        if (l->id)
            listed_now(db, l);
    }
}

/* Those that no UIDL tells: known by their headers, or new. */
static void settle_rest(struct db *db, struct pop *p, uint32_t *known_r)
{
    struct err err = ERR_INIT;
    struct ids known = ids_of(p);
    struct imap found = {0};
    struct str uidl;
    bool ok = uidls_rewind(db, p, &err);
    for (size_t i = 0; ok && i < p->n && !db->failed; i++) {
        struct listed *l = &p->list[i];
        ok = uidls_next(p, &uidl) || err_set(&err, ERR_IO, "the listing cannot be read again");
        if (!ok || l->id)
            continue;
        l->id = head_of(p, l).n ? by_head(db, l, &known, &found, &l->state) : 0;
        if (l->id) {
            ++*known_r;
            imap_put(&found, l->id, p);
            q_keep(db, "UPDATE uidl SET uidl=?,size=?,missing=0 WHERE id=?", "sii", uidl, I(l->size), I(l->id));
        } else {
            q_keep(db, "INSERT INTO uidl(uidl,size,state) VALUES(?,?,?)", "sii", uidl, I(l->size), I(POP_SEEN));
            l->id = (uint64_t)sqlite3_last_insert_rowid(db->q.h);
            l->state = POP_SEEN;
        }
        listed_now(db, l);
    }
    imap_fini(&found, NULL);
    free(known.id);
    if (!ok && !db->failed) {
        db->failed = true;
        db->why = err;
    }
}

/* A listing may lack what is there (a server in trouble), and what has gone may come back: what is here, and was not to
 * be deleted, is remembered for a while. */
static void forget_unlisted(struct db *db, const struct pop *p, int64_t now)
{
    struct gone {
        uint64_t id;
        bool keep;
    } *ids = NULL;
    size_t n = 0, cap = 0;
    struct ids listed = ids_of(p);
    sqlite3_stmt *st = q_ask(db, "SELECT id,state,missing FROM uidl", "");
    while (q_step(db, st)) {
        int64_t state = sql_int(st, 1), missing = sql_int(st, 2);
        bool keep = (state == POP_DELIVERED || state == POP_STUB) && (!missing || missing > now - MISSED_S);
        if (ids_has(&listed, sql_u64(st, 0)) || (keep && missing))
            continue;
        if (n == cap)
            ids = mem_resize(ids, cap = cap ? cap * 2 : 64, sizeof *ids);
        ids[n++] = (struct gone){sql_u64(st, 0), keep};
    }
    for (size_t i = 0; i < n; i++)
        if (ids[i].keep)
            q_keep(db, "UPDATE uidl SET missing=? WHERE id=?", "ii", MAX(now, (int64_t)1), I(ids[i].id));
        else
            q_keep(db, "DELETE FROM uidl WHERE id=?", "i", I(ids[i].id));
    free(ids);
    free(listed.id);
}

static void end_listing(struct db *db, struct pop *p, int64_t now, uint32_t *known_r)
{
    settle_known(db, p);
    settle_rest(db, p, known_r);
    forget_unlisted(db, p, now);
    uidls_drop(p);
    p->ended = true;
}

bool db_pop_end(struct db *db, int64_t now, uint32_t *doubts_r, struct err *err)
{
    bool own;
    uint32_t known = 0;
    *doubts_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct pop *p = db->pop;
    if (!p || p->matched)
        return call_refuse(db, own, err, ERR_USAGE, "no listing is running");
    p->matched = true;
    match_all(db, p);
    *doubts_r = doubt_all(db, p);
    if (*doubts_r == 0)
        end_listing(db, p, now, &known);
    return call_leave(db, own, err);
}

bool db_pop_doubts(struct db *db, db_pop_number_fn *fn, void *arg, struct err *err)
{
    const struct pop *p = db->pop;
    if (!p || !p->matched || p->ended)
        return err_set(err, ERR_USAGE, "no listing is in doubt");
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].doubt)
            fn(arg, p->list[i].number, p->list[i].id ? 0 : p->list[i].size);
    return true;
}

static struct listed *number_at(struct pop *p, uint32_t number)
{
    if (number && number <= p->n && p->list[number - 1].number == number)
        return &p->list[number - 1];
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].number == number)
            return &p->list[i];
    return NULL;
}

bool db_pop_head(struct db *db, uint32_t number, struct str head, struct err *err)
{
    struct listed *l = db->pop && db->pop->matched && !db->pop->ended ? number_at(db->pop, number) : NULL;
    if (!l || !l->doubt || head.n == 0 || head.n > HEAD_MAX)
        return err_set(err, ERR_NO_MESSAGE, "message %u was not in doubt", number);
    head_is(db->pop, l, head);
    return true;
}

bool db_pop_settle(struct db *db, int64_t now, uint32_t *known_r, struct err *err)
{
    bool own;
    *known_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    if (!db->pop || !db->pop->matched || db->pop->ended)
        return call_refuse(db, own, err, ERR_USAGE, "no listing is in doubt");
    end_listing(db, db->pop, now, known_r);
    return call_leave(db, own, err);
}

/* Tags of the files in a mailbox, or of the stubs with their rows. */
static void tags_in(struct db *db, uint64_t box, struct imap *tags)
{
    sqlite3_stmt *st = box ? q_ask(db, "SELECT id,name FROM msg WHERE sbox=? AND name IS NOT NULL", "i", I(box))
                           : q_ask(db, "SELECT id,name FROM msg WHERE (state & 8) <> 0 AND name IS NOT NULL", "");
    while (q_step(db, st)) {
        uint64_t tag = mark_read(sql_str(st, 1)).tag;
        if (tag)
            imap_put(tags, tag, (void *)(uintptr_t)sql_u64(st, 0));
    }
}

bool db_pop_each(struct db *db, uint64_t trash, db_pop_fn *fn, void *arg, struct err *err)
{
    bool own;
    struct imap trashed = {0};
    if (!call_enter(db, &own, err))
        return false;
    if (trash)
        tags_in(db, trash, &trashed);
    struct pop *p = db->pop && db->pop->ended ? db->pop : NULL;
    for (size_t i = 0; p && i < p->n; i++) {
        const struct listed *l = &p->list[i];
        sqlite3_stmt *st =
            q_ask(db, "SELECT state,failures,why,delivered,purged,tag,checked,length(head)>0 FROM uidl WHERE id=?", "i",
                  I(l->id));
        if (!q_step(db, st))
            continue;
        struct db_pop found = {.id = l->id,
                               .number = l->number,
                               .size = l->size,
                               .state = (enum pop_state)sql_int(st, 0),
                               .failures = sql_u32(st, 1),
                               .why = (enum err_kind)sql_int(st, 2),
                               .delivered = sql_int(st, 3),
                               .checked = sql_int(st, 6),
                               .unsure = l->unsure,
                               .sure = l->sure,
                               .hashed = sql_int(st, 7) != 0,
                               .purged = sql_int(st, 4) != 0,
                               .in_trash = sql_u64(st, 5) && imap_get(&trashed, sql_u64(st, 5))};
        sqlite3_reset(st);
        fn(arg, &found);
    }
    imap_fini(&trashed, NULL);
    return call_leave(db, own, err);
}

bool db_pop_stubs(struct db *db, db_pop_number_fn *fn, void *arg, struct err *err)
{
    bool own, any = false;
    struct imap stubs = {0};
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; db->pop && db->pop->ended && i < db->pop->n; i++) {
        const struct listed *l = &db->pop->list[i];
        int64_t tag = 0;
        if (l->state == POP_STUB && !any) /* most maildrops have none */
            tags_in(db, 0, &stubs);
        any = any || l->state == POP_STUB;
        if (l->state != POP_STUB ||
            !q_one(db, &tag, "SELECT tag FROM uidl WHERE id=? AND tag IS NOT NULL", "i", I(l->id)))
            continue;
        uint64_t msg = (uint64_t)(uintptr_t)imap_get(&stubs, (uint64_t)tag);
        if (msg)
            fn(arg, l->number, msg);
    }
    imap_fini(&stubs, NULL);
    return call_leave(db, own, err);
}

static struct listed *listed_at(struct db *db, uint32_t number)
{
    return db->pop && db->pop->ended ? number_at(db->pop, number) : NULL;
}

static bool pop_set(struct db *db, struct listed *l, enum pop_state state)
{
    l->state = state;
    return q_keep(db, "UPDATE uidl SET state=? WHERE id=?", "ii", I(state), I(l->id));
}

/* The id of a message that the ledger knows by its file, when the row is lost: the cache was, or the last of it. */
uint64_t ledger_claim(struct db *db, struct str name)
{
    int64_t id = 0;
    if (db->has_ledger && name.n)
        q_one(db, &id,
              "SELECT u.msg FROM uidl u WHERE u.name=? AND u.name IS NOT NULL AND NOT EXISTS(SELECT 1 FROM msg WHERE "
              "id=u.msg) LIMIT 1",
              "s", name);
    return (uint64_t)id;
}

bool db_pop_delivered(struct db *db, uint32_t number, const struct db_row *row, struct str head, int64_t now,
                      uint64_t *msg_r, struct err *err)
{
    struct mark mark = mark_read(row->name);
    bool own;
    struct err e = ERR_INIT;
    *msg_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct listed *l = listed_at(db, number);
    if (!l)
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "message %u was not listed", number);
    struct db_row put = *row;
    put.delivered = l->state == POP_SEEN;
    if (!db_row_put(db, &put, msg_r, NULL, &e))
        return call_refuse(db, own, err, e.kind, "%s", e.text);
    if (l->state == POP_SEEN) {
        pop_set(db, l, mark.stub ? POP_STUB : POP_DELIVERED);
        q_keep(db, "UPDATE uidl SET delivered=?,msg=?,name=?,why=0,failures=0,tag=nullif(?,0),head=? WHERE id=?",
               "iisini", now, I(*msg_r), row->name, I(mark.tag), str_sub(head, 0, HEAD_MAX), I(l->id));
        db->has_ledger = true;
        arrival_look(db, *msg_r, true, true); /* also one that a scan found first */
    }
    return call_leave(db, own, err);
}

/* The entry of a file: of those with its tag (equal UIDLs share it) the one that says so, or is as long as the mail;
 * none that has a row of its own. */
static uint64_t entry_of(struct db *db, uint64_t msg, struct str name)
{
    struct mark mark = mark_read(name);
    int64_t id = 0;
    if (mark.tag)
        q_one(db, &id,
              "SELECT u.id FROM uidl u WHERE u.tag=?1 AND u.tag IS NOT NULL AND (u.msg=?2 OR NOT EXISTS(SELECT 1 FROM "
              "msg WHERE id=u.msg)) ORDER BY u.msg=?2 DESC,u.size=?3 DESC,u.id LIMIT 1",
              "iii", I(mark.tag), I(msg), I(mark.stub));
    return (uint64_t)id;
}

static void state_follows(struct db *db, uint64_t id, enum pop_state state)
{
    for (size_t i = 0; db->pop && i < db->pop->n; i++)
        if (db->pop->list[i].id == id)
            db->pop->list[i].state = state;
}

static void entry_whole(struct db *db, uint64_t id, uint64_t msg, struct str name, int64_t now)
{
    int64_t state;
    if (!id || !q_one(db, &state, "SELECT state FROM uidl WHERE id=?", "i", I(id)) || state != POP_STUB)
        return;
    q_keep(db, "UPDATE uidl SET state=?,delivered=?,msg=?,name=?,failures=0,why=0 WHERE id=?", "iiisi",
           I(POP_DELIVERED), now, I(msg), name, I(id));
    state_follows(db, id, POP_DELIVERED);
}

bool db_pop_whole(struct db *db, uint64_t msg, struct str name, int64_t now, struct err *err)
{
    bool own;
    struct mark mark = mark_read(name);
    if (!mark.tag || mark.stub)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    entry_whole(db, entry_of(db, msg, name), msg, name, now);
    return call_leave(db, own, err);
}

bool db_pop_body_is(struct db *db, uint64_t msg, uint64_t box, struct str name, struct str path, uint32_t flags,
                    int64_t now, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    entry_whole(db, entry_of(db, msg, name), msg, name, now);
    struct err e = ERR_INIT;
    if (!db_name_is(db, msg, box, name, flags, &e) || !db_body_is(db, msg, path, STR(""), &e))
        return call_refuse(db, own, err, e.kind, "%s", e.text);
    row_queue(db, msg, INDEX_WHAT_MAIL);
    return call_leave(db, own, err);
}

uint64_t db_pop_stub_of(struct db *db, uint64_t box, struct str name)
{
    struct mark mark = mark_read(name);
    struct buf whole = BUF_INIT(255);
    struct err ignored = ERR_INIT;
    uint64_t id = 0;
    bool own;
    if (!mark.tag || mark.stub || !call_enter(db, &own, &ignored))
        return 0;
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT m.id,m.name FROM uidl u CROSS JOIN msg m ON m.id=u.msg WHERE u.tag=?2 AND u.tag IS "
              "NOT NULL AND m.sbox=?1 AND m.name IS NOT NULL",
              "ii", I(box), I(mark.tag));
    while (q_step(db, st)) {
        buf_reset(&whole);
        if (mark_read(sql_str(st, 1)).stub && mark_whole(sql_str(st, 1), &whole) && str_eq(buf_str(&whole), name))
            id = sql_u64(st, 0);
    }
    buf_fini(&whole);
    return call_leave(db, own, &ignored) ? id : 0;
}

bool db_pop_purged(struct db *db, uint64_t msg, struct str name, int64_t now, struct err *err)
{
    bool own;
    int64_t other = 0;
    struct mark mark = mark_read(name);
    if (!mark.tag)
        return true;
    if (!call_enter(db, &own, err))
        return false;
    uint64_t id = entry_of(db, msg, name);
    if (mark.stub) { /* of its copies the last one counts */
        struct imap stubs = {0};
        tags_in(db, 0, &stubs);
        other = (int64_t)(uintptr_t)imap_get(&stubs, mark.tag);
        imap_fini(&stubs, NULL);
    }
    if (id && (!other || (uint64_t)other == msg)) {
        q_keep(db, "UPDATE uidl SET purged=1 WHERE id=?", "i", I(id));
        entry_whole(db, id, msg, name, now);
    }
    return call_leave(db, own, err);
}

/* A change of one listed message. */
static struct listed *pop_enter(struct db *db, uint32_t number, bool *own, struct err *err)
{
    if (!call_enter(db, own, err))
        return NULL;
    struct listed *l = listed_at(db, number);
    if (!l)
        call_refuse(db, *own, err, ERR_NO_MESSAGE, "message %u was not listed", number);
    return l;
}

bool db_pop_failed(struct db *db, uint32_t number, enum err_kind why, struct err *err)
{
    bool own;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    q_keep(db, "UPDATE uidl SET failures=failures+1,why=? WHERE id=?", "ii", I(why), I(l->id));
    if (l->state == POP_DELETE_WANTED) /* a DELE that was refused: it is there for sure */
        pop_set(db, l, POP_DELIVERED);
    return call_leave(db, own, err);
}

bool db_pop_compare(struct db *db, uint32_t number, struct str head, int64_t now, enum pop_is *is_r, struct err *err)
{
    bool own, same = true;
    *is_r = POP_UNKNOWN;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    head_is(db->pop, l, head);
    bool known = has_head(db, l->id, l, &same);
    if (head.n)
        *is_r = same ? POP_SAME : POP_OTHER;
    if (*is_r == POP_SAME && !known)
        q_keep(db, "UPDATE uidl SET head=? WHERE id=?", "si", head, I(l->id));
    if (*is_r == POP_SAME)
        l->unsure = false;
    if (*is_r != POP_OTHER)
        q_keep(db, "UPDATE uidl SET checked=? WHERE id=?", "ii", now, I(l->id));
    return call_leave(db, own, err);
}

bool db_pop_other(struct db *db, uint32_t number, int64_t now, enum pop_state *state_r, struct err *err)
{
    bool own;
    struct buf uidl = BUF_INIT(UIDL_MAX);
    *state_r = POP_SEEN;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT uidl FROM uidl WHERE id=?", "i", I(l->id));
    if (q_step(db, st)) {
        buf_adds(&uidl, sql_str(st, 0));
        sqlite3_reset(st);
    }
    q_keep(db, "UPDATE uidl SET missing=? WHERE id=?", "ii", MAX(now, (int64_t)1), I(l->id));
    st = q_ask(db, "SELECT id,state FROM uidl WHERE head=? AND missing<>0 ORDER BY abs(size-?),id", "si",
               head_of(db->pop, l), I(l->size));
    l->id = 0;
    l->state = POP_SEEN;
    if (q_step(db, st)) {
        l->id = sql_u64(st, 0);
        l->state = (enum pop_state)sql_int(st, 1);
        sqlite3_reset(st);
        q_keep(db, "UPDATE uidl SET uidl=?,size=?,missing=0 WHERE id=?", "sii", buf_str(&uidl), I(l->size), I(l->id));
    } else {
        q_keep(db, "INSERT INTO uidl(uidl,size,state) VALUES(?,?,?)", "sii", buf_str(&uidl), I(l->size), I(POP_SEEN));
        l->id = (uint64_t)sqlite3_last_insert_rowid(db->q.h);
    }
    l->sure = true;
    l->unsure = false;
    *state_r = l->state;
    buf_fini(&uidl);
    return call_leave(db, own, err);
}

bool db_pop_delete(struct db *db, uint32_t number, struct err *err)
{
    bool own;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    if (l->state == POP_SEEN || l->state == POP_STUB || l->unsure)
        return call_refuse(db, own, err, ERR_USAGE, "message %u is not here for sure", number);
    if (l->state == POP_DELIVERED)
        pop_set(db, l, POP_DELETE_WANTED);
    return call_leave(db, own, err);
}

bool db_pop_dele_ok(struct db *db, uint32_t number, struct err *err)
{
    bool own;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    if (l->state == POP_DELETE_WANTED)
        pop_set(db, l, POP_DELETED_PENDING_QUIT);
    return call_leave(db, own, err);
}

bool db_pop_quit(struct db *db, bool ok, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    enum pop_state state = ok ? POP_GONE : POP_DELETE_WANTED;
    q_keep(db, "UPDATE uidl SET state=? WHERE state=?", "ii", I(state), I(POP_DELETED_PENDING_QUIT));
    for (size_t i = 0; db->pop && i < db->pop->n; i++)
        if (db->pop->list[i].state == POP_DELETED_PENDING_QUIT)
            db->pop->list[i].state = state;
    return call_leave(db, own, err);
}
