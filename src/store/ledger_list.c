/* POP3: a listing of the maildrop is matched with the ledger: which messages are here, under whatever id. UIDLs are
 * data. In memory is nothing that grows with the maildrop but what several messages share one UIDL for. */
#include <unistd.h>

#include "store/ledger.h"

#define MISSED_S (30 * 86400) /* a message that is not listed for so long will not come back */
#define POP_MAX 2000000
#define UIDLS_HELD ((size_t)65536)
#define FORGET_AT_ONCE 256
#define SIZES (UINT64_C(1) << 22) /* sizes past it are one with a smaller one: a header more is looked at */

const struct listed *listed_get(struct pop *p, uint32_t number)
{
    return records_get(&p->list, number);
}

struct listed *listed_change(struct pop *p, uint32_t number)
{
    return records_at(&p->list, number);
}

static bool failed(struct db *db, const struct err *why)
{
    if (!db->failed) {
        db->failed = true;
        db->why = *why;
    }
    return false;
}

bool listed_ok(struct db *db)
{
    struct err why = ERR_INIT;
    const struct pop *p = db->pop;
    bool ok = !p || (records_ok(&p->list, &why) && records_ok(&p->heads, &why) && records_ok(&p->seen, &why) &&
                     records_ok(&p->twice, &why));
    return ok || failed(db, &why);
}

static void uidls_drop(struct pop *p)
{
    if (p->uidls >= 0)
        close(p->uidls);
    p->uidls = -1;
    buf_fini(&p->uidls_new);
}

void pop_free(struct pop **pp)
{
    struct pop *p = *pp;
    if (!p)
        return;
    records_fini(&p->list);
    records_fini(&p->heads);
    records_fini(&p->seen);
    records_fini(&p->twice);
    uidls_drop(p);
    free(p);
    *pp = NULL;
}

void db_pop_over(struct db *db)
{
    if (db->pop)
        sql_exec(&db->q, "PRAGMA main.cache_size=" KEEP_CACHE, &(struct err){.kind = ERR_NONE});
    pop_free(&db->pop);
}

bool db_pop_begin(struct db *db, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    db_pop_over(db);
    /* A walk over the whole ledger is no reason to have it in memory. */
    sql_exec(&db->q, "PRAGMA main.cache_size=-1024", &(struct err){.kind = ERR_NONE});
    struct pop *p = db->pop = mem_new(sizeof *p);
    records_init(&p->list, db->dir, sizeof(struct listed));
    records_init(&p->heads, db->dir, sizeof(struct head));
    records_init(&p->seen, db->dir, sizeof(uint64_t));
    records_init(&p->twice, db->dir, sizeof(uint64_t));
    p->uidls_new = BUF_INIT(UIDLS_HELD + UIDL_MAX + sizeof(uint16_t));
    p->uidls = -1;
    return call_leave(db, own, err);
}

/* ---- UIDLs, until the end of the listing -------------------------------------------------------- */

static bool uidls_write(struct db *db, struct pop *p, struct err *err)
{
    if (p->uidls < 0 && (p->uidls = fs_open_unnamed(db->dir, err)) < 0)
        return false;
    bool ok = fs_write_all(p->uidls, buf_str(&p->uidls_new), err);
    p->written += p->uidls_new.n;
    buf_reset(&p->uidls_new);
    return ok;
}

static bool uidls_add(struct db *db, struct pop *p, struct str uidl, uint64_t *at_r, struct err *err)
{
    uint16_t n = (uint16_t)uidl.n;
    if (p->uidls_new.n + n + sizeof n > UIDLS_HELD && !uidls_write(db, p, err))
        return false;
    *at_r = p->written + p->uidls_new.n;
    buf_add(&p->uidls_new, &n, sizeof n);
    buf_adds(&p->uidls_new, uidl);
    return true;
}

/* Into `uidl`. */
static bool uidls_get(struct db *db, struct pop *p, uint64_t at, struct buf *uidl)
{
    char bytes[sizeof(uint16_t) + UIDL_MAX];
    uint16_t n = 0;
    struct str held = {bytes, 0};
    buf_reset(uidl);
    if (at >= p->written) {
        held = str_sub(buf_str(&p->uidls_new), (size_t)(at - p->written), p->uidls_new.n);
    } else {
        ssize_t got = pread(p->uidls, bytes, sizeof bytes, (off_t)at);
        held.n = got > 0 ? (size_t)got : 0;
    }
    if (held.n >= sizeof n)
        memcpy(&n, held.p, sizeof n);
    if (held.n < sizeof n + n)
        return failed(db, &(struct err){.kind = ERR_IO, .text = "the listing cannot be read again"});
    return buf_adds(uidl, str_sub(held, sizeof n, sizeof n + n));
}

/* ---- By UIDL ------------------------------------------------------------------------------------ */

struct entry {
    uint64_t id, size; /* id 0: taken */
    enum pop_state state;
    bool missing, first; /* first: of its size */
};
/* A listed message among those of the same UIDL. */
struct member {
    uint64_t hash, size;
    uint32_t number;
    bool matched;
};

static bool same_size(uint64_t a, uint64_t b)
{
    return a == b || a == 0 || b == 0; /* 0: the server did not say */
}

/* A UIDL may be used again once its message is gone (RFC 1939 7), and gone it is where a QUIT was done, confirmed or
 * not. */
static bool was_deleted(enum pop_state state)
{
    return state == POP_DELETE_WANTED || state == POP_DELETED_PENDING_QUIT || state == POP_GONE;
}

static void is_entry(struct pop *p, struct listed *l, const struct entry *e, bool doubt)
{
    l->id = e->id;
    l->state = (uint8_t)e->state;
    l->doubt = e->state != POP_SEEN && (doubt || was_deleted(e->state));
    l->unsure = l->doubt && !same_size(e->size, l->size);
    records_set_bit(&p->seen, e->id, true);
}

/* One message and one entry have this UIDL, as far as is known. Where that is not so, all of them are matched at the
 * end. */
static void match_one(struct db *db, struct pop *p, struct listed *l, struct str uidl)
{
    struct entry e = {0};
    size_t n = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT id,size,state,missing FROM uidl WHERE uidl=? LIMIT 2", "s", uidl);
    while (q_step(db, st)) {
        e = (struct entry){sql_u64(st, 0), sql_u64(st, 1), (enum pop_state)sql_int(st, 2), sql_int(st, 3) > 0, false};
        n++;
    }
    if (n == 0)
        return;
    bool twice = n == 1 && records_bit(&p->seen, e.id);
    if (twice)
        records_set_bit(&p->twice, e.id, true);
    if (twice || n > 1)
        l->again = p->again = true;
    else
        is_entry(p, l, &e, e.missing || !same_size(e.size, l->size));
}

bool db_pop_add(struct db *db, uint32_t number, uint64_t size, struct str uidl, struct err *err)
{
    struct pop *p = db->pop;
    struct listed l = {.size = size, .here = true, .state = POP_SEEN};
    uidl = str_sub(uidl, 0, UIDL_MAX);
    if (!p || p->matched)
        return err_set(err, ERR_USAGE, "no listing is running");
    if (number == 0 || number > POP_MAX)
        return err_set(err, ERR_LIMIT, "the maildrop lists more messages than tuimail accepts");
    if (listed_get(p, number)->here)
        return err_set(err, ERR_USAGE, "message %u is listed twice", number);
    if (!uidls_add(db, p, uidl, &l.uidl, err))
        return false;
    match_one(db, p, &l, uidl);
    *listed_change(p, number) = l;
    p->n++;
    p->last = MAX(p->last, number);
    if (db->failed || !listed_ok(db)) {
        *err = db->why;
        return false;
    }
    return true;
}

static void member_is(struct pop *p, struct member *m, struct entry *e, bool doubt)
{
    is_entry(p, listed_change(p, m->number), e, doubt);
    m->matched = true;
    e->id = 0;
}

static int by_size(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* Those first that were listed last time. */
static int entries_by_size(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->missing != y->missing)
        return x->missing ? 1 : -1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    if (x->first != y->first)
        return x->first ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* What has no partner yet, in order: listed without a size, with entries that have none, or any with any. */
enum rest { REST_UNSIZED, REST_UNSIZED_ENTRIES, REST_SEEN, REST_ANY };
static void match_rest(struct pop *p, struct member *m, size_t n, struct entry *e, size_t ne, enum rest rest)
{
    bool doubt = rest == REST_SEEN || rest == REST_ANY;
    for (size_t i = 0, k = 0; i < n && k < ne;) {
        if (m[i].matched || (rest == REST_UNSIZED && m[i].size))
            i++;
        else if (!e[k].id || (!doubt && e[k].missing) || (rest == REST_UNSIZED_ENTRIES && e[k].size) ||
                 (rest == REST_SEEN && e[k].state != POP_SEEN))
            k++;
        else
            member_is(p, &m[i++], &e[k++], doubt);
    }
}

/* All listed messages that share a UIDL against all entries of it: of equal size first, and listed last time. Where
 * fewer are listed than known, one not yet delivered is never taken for one that was: at worst a message is fetched
 * twice, never missed. */
static void match_group(struct pop *p, struct member *m, size_t n, struct entry *e, size_t ne)
{
    for (size_t k = 0; k < ne; k++)
        e[k].first = n < ne && e[k].state == POP_SEEN;
    qsort(m, n, sizeof *m, by_size);
    qsort(e, ne, sizeof *e, entries_by_size);
    for (size_t i = 0, k = 0; i < n && k < ne && !e[k].missing;) {
        if (m[i].size == e[k].size)
            member_is(p, &m[i++], &e[k++], false);
        else if (m[i].size < e[k].size)
            i++;
        else
            k++;
    }
    match_rest(p, m, n, e, ne, REST_UNSIZED);
    match_rest(p, m, n, e, ne, REST_UNSIZED_ENTRIES);
    if (n < ne)
        match_rest(p, m, n, e, ne, REST_SEEN);
    match_rest(p, m, n, e, ne, REST_ANY);
}

static int by_hash(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static void match_members(struct db *db, struct pop *p, struct member *m, size_t n, struct buf *uidl)
{
    struct entry *e = NULL;
    size_t ne = 0, cap = 0;
    if (!uidls_get(db, p, listed_get(p, m->number)->uidl, uidl))
        return;
    sqlite3_stmt *st = q_ask(db, "SELECT id,size,state,missing FROM uidl WHERE uidl=?", "s", buf_str(uidl));
    while (q_step(db, st)) {
        if (ne == cap)
            e = mem_resize(e, cap = cap ? cap * 2 : 16, sizeof *e);
        e[ne++] =
            (struct entry){sql_u64(st, 0), sql_u64(st, 1), (enum pop_state)sql_int(st, 2), sql_int(st, 3) > 0, false};
    }
    if (ne)
        match_group(p, m, n, e, ne);
    free(e);
}

/* Those whose UIDL several messages or entries have. */
static void match_again(struct db *db, struct pop *p)
{
    struct member *m = NULL;
    struct buf uidl = BUF_INIT(UIDL_MAX);
    size_t n = 0, cap = 0;
    POP_EACH(p, number)
    {
        struct listed l = *listed_get(p, number);
        if (l.id && records_bit(&p->twice, l.id)) {
            records_set_bit(&p->seen, l.id, false);
            l = (struct listed){.size = l.size, .uidl = l.uidl, .here = true, .again = true};
            *listed_change(p, number) = l;
        }
        if (!l.again)
            continue;
        if (n == cap)
            m = mem_resize(m, cap = cap ? cap * 2 : 64, sizeof *m);
        m[n] = (struct member){.number = number, .size = l.size};
        if (!uidls_get(db, p, l.uidl, &uidl))
            break;
        m[n++].hash = sql_hash(&db->q, buf_str(&uidl)); /* under a key of our own, equal hash means equal UIDL */
    }
    if (n)
        qsort(m, n, sizeof *m, by_hash);
    for (size_t from = 0, to; from < n && !db->failed; from = to) {
        for (to = from + 1; to < n && m[to].hash == m[from].hash; to++)
            ;
        match_members(db, p, m + from, to - from, &uidl);
    }
    buf_fini(&uidl);
    free(m);
}

/* ---- By header ---------------------------------------------------------------------------------- */

/* Entries that nothing listed is: by their sizes messages are suspected to be one of them. */
static uint32_t doubt_all(struct db *db, struct pop *p)
{
    struct records sizes;
    struct err why = ERR_INIT;
    uint32_t doubts = 0;
    size_t nmatched = 0, nvanished = 0;
    records_init(&sizes, db->dir, sizeof(uint64_t));
    POP_EACH(p, number)
    {
        const struct listed *l = listed_get(p, number);
        nmatched += l->id && l->state != POP_SEEN;
    }
    sqlite3_stmt *st = q_ask(db, "SELECT id,size,missing FROM uidl WHERE head IS NOT NULL", "");
    while (q_step(db, st))
        if (!records_bit(&p->seen, sql_u64(st, 0))) {
            nvanished += sql_int(st, 2) == 0;
            records_set_bit(&sizes, sql_u64(st, 1) % SIZES, true);
        }
    POP_EACH(p, number)
    {
        const struct listed *l = listed_get(p, number);
        if (l->here && !l->id && (records_bit(&sizes, l->size % SIZES) || (nmatched == 0 && nvanished > 0)))
            listed_change(p, number)->doubt = true;
        doubts += listed_get(p, number)->doubt;
    }
    if (!records_ok(&sizes, &why))
        failed(db, &why);
    records_fini(&sizes);
    return doubts;
}

struct str listed_head(struct pop *p, const struct listed *l)
{
    const struct head *h = l->head ? records_get(&p->heads, l->head - 1) : NULL;
    return h ? (struct str){(const char *)h->id, h->n} : STR("");
}

void listed_head_is(struct pop *p, struct listed *l, struct str head)
{
    if (!l->head)
        l->head = ++p->nheads;
    struct head *h = records_at(&p->heads, l->head - 1);
    h->n = (unsigned char)MIN(head.n, (size_t)HEAD_MAX);
    memcpy(h->id, head.p ? head.p : "", h->n);
}

bool listed_has_head(struct db *db, uint64_t id, const struct listed *l, bool *same_r)
{
    struct str head = listed_head(db->pop, l);
    if (!head.n)
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT head FROM uidl WHERE id=? AND length(head)>0", "i", I(id));
    if (!q_step(db, st))
        return false;
    *same_r = str_eq(sql_str(st, 0), head);
    sqlite3_reset(st);
    return true;
}

/* A message that was here under another UIDL, and is not listed under its own; 0: none. */
static uint64_t by_head(struct db *db, const struct listed *l, enum pop_state *state_r)
{
    uint64_t id = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT id,state FROM uidl WHERE head=? ORDER BY abs(size-?),id", "si",
                             listed_head(db->pop, l), I(l->size));
    while (q_step(db, st))
        if (!id && !records_bit(&db->pop->seen, sql_u64(st, 0))) {
            id = sql_u64(st, 0);
            *state_r = (enum pop_state)sql_int(st, 1);
        }
    return id;
}

/* ---- What the listing comes to ------------------------------------------------------------------ */

static void listed_now(struct db *db, struct listed *l)
{
    if (was_deleted(l->state) && l->state != POP_DELETE_WANTED) {
        l->state = POP_DELETE_WANTED; /* it is there: the deletion was not committed */
        q_keep(db, "UPDATE uidl SET state=? WHERE id=?", "ii", I(l->state), I(l->id));
    }
}

static void settle_known(struct db *db, struct pop *p)
{
    for (uint32_t number = 1; number <= p->last && !db->failed; number++) {
        const struct listed *was = listed_get(p, number);
        if (!was->id || (!was->doubt && !was_deleted(was->state)))
            continue;
        struct listed l = *was;
        bool same = true, looked = l.doubt && listed_has_head(db, l.id, &l, &same);
        if (l.doubt && (looked ? !same : l.state == POP_GONE)) {
            records_set_bit(&p->seen, l.id, false);
            l.id = 0; /* another message, of an id that was used before */
        }
        l.unsure = l.unsure && l.id && !looked;
        l.sure = looked && l.id;
        if (l.id && l.doubt && !l.unsure)
            q_keep(db, "UPDATE uidl SET missing=0,size=? WHERE id=?", "ii", I(l.size), I(l.id));
        if (l.id)
            listed_now(db, &l);
        *listed_change(p, number) = l;
    }
}

/* Those that no UIDL tells: known by their headers, or new. */
static void settle_rest(struct db *db, struct pop *p, uint32_t *known_r)
{
    struct buf uidl = BUF_INIT(UIDL_MAX);
    for (uint32_t number = 1; number <= p->last && !db->failed; number++) {
        const struct listed *was = listed_get(p, number);
        if (!was->here || was->id)
            continue;
        struct listed l = *was;
        enum pop_state state = POP_SEEN;
        if (!uidls_get(db, p, l.uidl, &uidl))
            break;
        l.id = listed_head(p, &l).n ? by_head(db, &l, &state) : 0;
        l.state = (uint8_t)state;
        if (l.id) {
            ++*known_r;
            q_keep(db, "UPDATE uidl SET uidl=?,size=?,missing=0 WHERE id=?", "sii", buf_str(&uidl), I(l.size), I(l.id));
            listed_now(db, &l);
        } else {
            q_keep(db, "INSERT INTO uidl(uidl,size,state) VALUES(?,?,?)", "sii", buf_str(&uidl), I(l.size),
                   I(POP_SEEN));
            l.id = (uint64_t)sqlite3_last_insert_rowid(db->q.h);
        }
        records_set_bit(&p->seen, l.id, true);
        *listed_change(p, number) = l;
    }
    buf_fini(&uidl);
}

/* A listing may lack what is there (a server in trouble), and what has gone may come back: what is here, and was not to
 * be deleted, is remembered for a while. */
static void forget_unlisted(struct db *db, struct pop *p, int64_t now)
{
    struct gone {
        uint64_t id;
        bool keep;
    } gone[FORGET_AT_ONCE];
    uint64_t after = 0;
    for (size_t n = COUNT(gone); n == COUNT(gone) && !db->failed;) {
        n = 0;
        sqlite3_stmt *st = q_ask(db, "SELECT id,state,missing FROM uidl WHERE id>? ORDER BY id", "i", I(after));
        while (n < COUNT(gone) && q_step(db, st)) {
            after = sql_u64(st, 0);
            int64_t state = sql_int(st, 1), missing = sql_int(st, 2);
            bool keep = (state == POP_DELIVERED || state == POP_STUB) && (!missing || missing > now - MISSED_S);
            if (!records_bit(&p->seen, after) && !(keep && missing))
                gone[n++] = (struct gone){after, keep};
        }
        sqlite3_reset(st);
        for (size_t i = 0; i < n; i++)
            if (gone[i].keep)
                q_keep(db, "UPDATE uidl SET missing=? WHERE id=?", "ii", MAX(now, (int64_t)1), I(gone[i].id));
            else
                q_keep(db, "DELETE FROM uidl WHERE id=?", "i", I(gone[i].id));
    }
}

/* Nothing is forgotten because what is known of the listing could not be kept. */
static void end_listing(struct db *db, struct pop *p, int64_t now, uint32_t *known_r)
{
    settle_known(db, p);
    settle_rest(db, p, known_r);
    if (listed_ok(db))
        forget_unlisted(db, p, now);
    listed_ok(db);
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
    if (p->again)
        match_again(db, p);
    *doubts_r = doubt_all(db, p);
    if (listed_ok(db) && *doubts_r == 0)
        end_listing(db, p, now, &known);
    return call_leave(db, own, err);
}

bool db_pop_doubts(struct db *db, db_pop_number_fn *fn, void *arg, struct err *err)
{
    struct pop *p = db->pop;
    if (!p || !p->matched || p->ended)
        return err_set(err, ERR_USAGE, "no listing is in doubt");
    POP_EACH(p, number)
    {
        const struct listed *l = listed_get(p, number);
        if (l->doubt)
            fn(arg, number, l->id ? 0 : l->size);
    }
    return records_ok(&p->list, err);
}

bool db_pop_head(struct db *db, uint32_t number, struct str head, struct err *err)
{
    struct pop *p = db->pop && db->pop->matched && !db->pop->ended ? db->pop : NULL;
    if (!p || !listed_get(p, number)->doubt || head.n == 0 || head.n > HEAD_MAX)
        return err_set(err, ERR_NO_MESSAGE, "message %u was not in doubt", number);
    listed_head_is(p, listed_change(p, number), head);
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
