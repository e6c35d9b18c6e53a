/* POP3: which messages of the maildrop are here, which may be deleted there. UIDLs are data; numbers are of one session
 * only and live in memory. */
#include "store/db_int.h"

#define POP_MAX 2000000
#define UIDL_MAX 1024

struct listed {
    uint32_t number;
    uint64_t size, id; /* id: ledger entry, 0 until matched */
    enum pop_state state;
    uint64_t hash;
};
struct pop {
    struct listed *list;
    size_t n, cap;
    struct buf uidls; /* u32 length + bytes, one after the other, until the end of the listing */
    bool ended;
};

void pop_free(struct pop **pp)
{
    struct pop *p = *pp;
    if (!p)
        return;
    free(p->list);
    buf_fini(&p->uidls);
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
    db->pop->uidls = BUF_INIT(256u << 20);
    return call_leave(db, own, err);
}

/* Memory alone: a listing costs no transaction before its end. */
bool db_pop_add(struct db *db, uint32_t number, uint64_t size, struct str uidl, struct err *err)
{
    struct pop *p = db->pop;
    uint32_t n = (uint32_t)MIN(uidl.n, UIDL_MAX);
    if (!p || p->ended)
        return err_set(err, ERR_USAGE, "no listing is running");
    if (p->n >= POP_MAX || !buf_reserve(&p->uidls, n + sizeof n))
        return err_set(err, ERR_LIMIT, "the maildrop lists more messages than tuimail accepts");
    if (p->n == p->cap)
        p->list = mem_resize(p->list, p->cap = p->cap ? p->cap * 2 : 256, sizeof *p->list);
    p->list[p->n++] = (struct listed){.number = number, .size = size};
    buf_add(&p->uidls, &n, sizeof n);
    buf_add(&p->uidls, uidl.p, n);
    return true;
}

struct entry {
    uint64_t id, size;
    enum pop_state state;
};

static size_t entries_of(struct db *db, struct str uidl, struct entry **e, size_t *cap)
{
    size_t n = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT id,size,state FROM uidl WHERE uidl=? ORDER BY id", "s", uidl);
    while (q_step(db, st)) {
        if (n == *cap)
            *e = mem_resize(*e, *cap = *cap ? *cap * 2 : 8, sizeof **e);
        (*e)[n++] = (struct entry){sql_u64(st, 0), sql_u64(st, 1), (enum pop_state)sql_int(st, 2)};
    }
    return n;
}

/* All listed messages that share a UIDL against all entries of it. Where fewer are listed than known, one not yet
 * delivered is never taken for one that was: at worst a message is fetched twice, never missed. */
static void match(struct db *db, struct pop *p, const size_t *at, size_t nat, struct str uidl, struct entry *e,
                  size_t ne, struct imap *seen)
{
    bool fewer = nat < ne;
    for (int pass = 0; pass < 2; pass++) {                 /* equal size first */
        for (int want = fewer ? 0 : 1; want < 2; want++) { /* of those, with fewer listed: the undelivered first */
            for (size_t i = 0; i < nat; i++) {
                struct listed *l = &p->list[at[i]];
                for (size_t k = 0; k < ne && !l->id; k++) {
                    if (!e[k].id || (pass == 0 && e[k].size != l->size) || (want == 0 && e[k].state != POP_SEEN))
                        continue;
                    l->id = e[k].id;
                    l->state = e[k].state;
                    e[k].id = 0;
                }
            }
        }
    }
    for (size_t i = 0; i < nat; i++) {
        struct listed *l = &p->list[at[i]];
        if (!l->id) {
            q_keep(db, "INSERT INTO uidl(uidl,size,state) VALUES(?,?,?)", "sii", uidl, I(l->size), I(POP_SEEN));
            l->id = (uint64_t)sqlite3_last_insert_rowid(db->q.h);
            l->state = POP_SEEN;
        } else if (l->state == POP_DELETED_PENDING_QUIT || l->state == POP_GONE) {
            l->state = POP_DELETE_WANTED; /* it is there: the deletion was not committed */
            q_keep(db, "UPDATE uidl SET state=? WHERE id=?", "ii", I(l->state), I(l->id));
        }
        imap_put(seen, l->id, p);
    }
}

struct key {
    uint64_t hash;
    size_t at, offset;
};

static int by_hash(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static struct str uidl_at(const struct pop *p, size_t offset)
{
    uint32_t n;
    memcpy(&n, p->uidls.p + offset, sizeof n);
    return (struct str){p->uidls.p + offset + sizeof n, n};
}

static void forget_unlisted(struct db *db, const struct imap *seen)
{
    uint64_t *ids = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT id FROM uidl", "");
    while (q_step(db, st))
        if (!imap_get(seen, sql_u64(st, 0))) {
            if (n == cap)
                ids = mem_resize(ids, cap = cap ? cap * 2 : 64, sizeof *ids);
            ids[n++] = sql_u64(st, 0);
        }
    for (size_t i = 0; i < n; i++)
        q_keep(db, "DELETE FROM uidl WHERE id=?", "i", I(ids[i]));
    free(ids);
}

bool db_pop_end(struct db *db, int64_t now, struct err *err)
{
    bool own;
    (void)now;
    if (!call_enter(db, &own, err))
        return false;
    struct pop *p = db->pop;
    if (!p || p->ended)
        return call_refuse(db, own, err, ERR_USAGE, "no listing is running");
    /* Grouped by UIDL through its hash: under a key of our own, equal hash means equal UIDL. */
    struct key *keys = mem_array(p->n ? p->n : 1, sizeof *keys);
    size_t offset = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct str u = uidl_at(p, offset);
        keys[i] = (struct key){sql_hash(&db->q, u), i, offset};
        offset += sizeof(uint32_t) + u.n;
    }
    qsort(keys, p->n, sizeof *keys, by_hash);
    struct imap seen = {0};
    struct entry *e = NULL;
    size_t cap = 0, *at = mem_array(p->n ? p->n : 1, sizeof *at);
    for (size_t i = 0; i < p->n && !db->failed;) {
        size_t n = 0;
        struct str u = uidl_at(p, keys[i].offset);
        uint64_t hash = keys[i].hash;
        for (; i < p->n && keys[i].hash == hash; i++)
            at[n++] = keys[i].at;
        size_t ne = entries_of(db, u, &e, &cap);
        match(db, p, at, n, u, e, ne, &seen);
    }
    forget_unlisted(db, &seen);
    imap_fini(&seen, NULL);
    free(e);
    free(at);
    free(keys);
    buf_fini(&p->uidls);
    p->ended = true;
    return call_leave(db, own, err);
}

bool db_pop_each(struct db *db, db_pop_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; db->pop && db->pop->ended && i < db->pop->n; i++) {
        const struct listed *l = &db->pop->list[i];
        sqlite3_stmt *st = q_ask(db, "SELECT state,failures,why,delivered,uidl FROM uidl WHERE id=?", "i", I(l->id));
        if (!q_step(db, st))
            continue;
        struct db_pop e = {.id = l->id,
                           .number = l->number,
                           .size = l->size,
                           .state = (enum pop_state)sql_int(st, 0),
                           .failures = sql_u32(st, 1),
                           .why = (enum err_kind)sql_int(st, 2),
                           .delivered = sql_int(st, 3),
                           .uidl = sql_str(st, 4)};
        fn(arg, &e);
        sqlite3_reset(st);
    }
    return call_leave(db, own, err);
}

static struct listed *listed_at(struct db *db, uint32_t number)
{
    struct pop *p = db->pop;
    if (!p || !p->ended)
        return NULL;
    if (number && number <= p->n && p->list[number - 1].number == number)
        return &p->list[number - 1];
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].number == number)
            return &p->list[i];
    return NULL;
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

bool db_pop_delivered(struct db *db, uint32_t number, const struct db_row *row, int64_t now, uint64_t *msg_r,
                      struct err *err)
{
    bool own;
    struct err e = ERR_INIT;
    *msg_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct listed *l = listed_at(db, number);
    if (!l)
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "message %u was not listed", number);
    if (!db_row_put(db, row, msg_r, NULL, &e))
        return call_refuse(db, own, err, e.kind, "%s", e.text);
    if (l->state == POP_SEEN) {
        pop_set(db, l, POP_DELIVERED);
        q_keep(db, "UPDATE uidl SET delivered=?,msg=?,name=?,why=0 WHERE id=?", "iisi", now, I(*msg_r), row->name,
               I(l->id));
        db->has_ledger = true;
        arrival_look(db, *msg_r, true, true);
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
    return call_leave(db, own, err);
}

bool db_pop_delete(struct db *db, uint32_t number, struct err *err)
{
    bool own;
    struct listed *l = pop_enter(db, number, &own, err);
    if (!l)
        return false;
    if (l->state == POP_SEEN)
        return call_refuse(db, own, err, ERR_USAGE, "message %u is not here yet", number);
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
