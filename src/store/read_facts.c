/* What the store knows of an account's server, in words: for `:account` and doctor. Words of the server are raw. */
#include "store/db.h"
#include "store/read_int.h"

#define LARGEST 5

/* ---- quota -------------------------------------------------------------------------------------- */
bool reader_quota(struct reader *r, quota_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT root,resource,used,lim FROM quota ORDER BY root,resource LIMIT 256", "");
    while (sql_step(st, &rc)) {
        struct quota_row q = {
            .root = sql_str(st, 0), .resource = sql_str(st, 1), .used = sql_u64(st, 2), .limit = sql_u64(st, 3)};
        fn(arg, &q);
    }
    return read_end(r, rc, err);
}

static void kib_words(uint64_t kib, struct buf *out)
{
    buf_add_size(out, MIN(kib, UINT64_MAX / 1024) * 1024);
}

void quota_words(const struct quota_row *q, struct buf *out)
{
    if (str_case_eqz(q->resource, "STORAGE")) {
        kib_words(q->used, out);
        buf_addz(out, " of ");
        kib_words(q->limit, out);
        return;
    }
    buf_addf(out, "%llu of %llu ", (unsigned long long)q->used, (unsigned long long)q->limit);
    if (str_case_eqz(q->resource, "MESSAGE"))
        buf_addz(out, "messages");
    else if (str_case_eqz(q->resource, "MAILBOX"))
        buf_addz(out, "mailboxes");
    else
        buf_adds(out, q->resource);
}

unsigned quota_percent(const struct quota_row *q)
{
    if (q->limit == 0 || q->used >= q->limit)
        return q->used ? 100 : 0;
    return (unsigned)(q->used / q->limit * 100 + q->used % q->limit * 100 / q->limit);
}

/* ---- all ---------------------------------------------------------------------------------------- */
bool reader_server(struct reader *r, const char *name, struct buf *out, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT value FROM server WHERE name=?", "s", str_z(name));
    while (sql_step(st, &rc))
        buf_adds(out, sql_str(st, 0));
    return read_end(r, rc, err);
}

struct facts {
    fact_fn *fn;
    void *arg;
};

static void quota_fact(void *arg, const struct quota_row *q)
{
    const struct facts *f = arg;
    struct buf words = BUF_INIT(1200);
    if (q->root.n)
        buf_addf(&words, "%.*s: ", STR_FMT(q->root));
    quota_words(q, &words);
    buf_addf(&words, " (%u %%)", quota_percent(q));
    f->fn(f->arg, "quota", buf_z(&words), quota_percent(q));
    buf_fini(&words);
}

/* "name: Dovecot", "version: 2.3" -> "Dovecot, version 2.3" */
static void server_words(struct str lines, struct buf *out)
{
    struct str line;
    while (str_split(&lines, '\n', &line)) {
        size_t colon;
        if (!str_find(line, ':', &colon))
            continue;
        struct str name = str_sub(line, 0, colon), value = str_trim(str_sub(line, colon + 1, line.n));
        buf_addz(out, out->n ? ", " : "");
        if (!str_case_eqz(name, "name"))
            buf_addf(out, "%.*s ", STR_FMT(name));
        buf_adds(out, value);
    }
}

/* RFC 2449 6.5, 6.7 */
static bool limit_facts(struct reader *r, fact_fn *fn, void *arg, struct err *err)
{
    struct buf text = BUF_INIT(20), words = BUF_INIT(100);
    uint32_t n;
    bool ok = reader_server(r, "expire", &text, err);
    if (ok && str_u32(buf_str(&text), &n)) {
        if (n > 0)
            buf_addf(&words, "%u day%s at least", n, n == 1 ? "" : "s");
        else
            buf_addz(&words, "until it is fetched");
        fn(arg, "mail is kept", buf_z(&words), 0);
    }
    buf_reset(&text);
    buf_reset(&words);
    ok = ok && reader_server(r, "delay", &text, err);
    if (ok && str_u32(buf_str(&text), &n)) {
        buf_addf(&words, "%u s at least", n);
        fn(arg, "between two logins", buf_z(&words), 0);
    }
    buf_fini(&text);
    buf_fini(&words);
    return ok;
}

/* What the last pass met in a POP3 maildrop, by what has become of it. */
static bool maildrop_facts(struct reader *r, fact_fn *fn, void *arg, struct err *err)
{
    static const char *const of[] = {[POP_SEEN] = "to be fetched",
                                     [POP_DELIVERED] = "here",
                                     [POP_DELETE_WANTED] = "to be deleted there",
                                     [POP_DELETED_PENDING_QUIT] = "to be deleted there",
                                     [POP_STUB] = "with its header alone"};
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct buf words = BUF_INIT(400);
    uint64_t all = 0;
    sqlite3_stmt *st = sql_ask(&r->q,
                               "SELECT state,count(*),sum(failures>0) FROM uidl WHERE missing=0 AND state<>? "
                               "GROUP BY state ORDER BY state<>?",
                               "ii", (int64_t)POP_GONE, (int64_t)POP_DELIVERED);
    while (sql_step(st, &rc)) {
        uint64_t state = sql_u64(st, 0), failed = sql_u64(st, 2);
        if (state >= COUNT(of) || !of[state])
            continue;
        all += sql_u64(st, 1);
        buf_addf(&words, ", %llu %s", (unsigned long long)sql_u64(st, 1), of[state]);
        if (state == POP_SEEN && failed)
            buf_addf(&words, " (%llu failed)", (unsigned long long)failed);
    }
    bool ok = read_end(r, rc, err);
    struct buf whole = BUF_INIT(440);
    if (ok && all)
        buf_addf(&whole, "%llu mail%s%s", (unsigned long long)all, all == 1 ? "" : "s", buf_z(&words));
    if (whole.n)
        fn(arg, "maildrop", buf_z(&whole), 0);
    buf_fini(&whole);
    buf_fini(&words);
    return ok;
}

bool reader_facts(struct reader *r, fact_fn *fn, void *arg, struct err *err)
{
    struct facts f = {fn, arg};
    struct buf text = BUF_INIT(8192), words = BUF_INIT(8192);
    bool ok = reader_server(r, "id", &text, err);
    server_words(buf_str(&text), &words);
    if (ok && words.n)
        fn(arg, "server", buf_z(&words), 0);
    ok = ok && limit_facts(r, fn, arg, err) && maildrop_facts(r, fn, arg, err) && reader_quota(r, quota_fact, &f, err);
    buf_reset(&words);
    int rc = SQLITE_OK, ready = ok ? read_begin(r, err) : 0;
    if (ready == 1) {
        sqlite3_stmt *st =
            sql_ask(&r->q, "SELECT utf8,size FROM box WHERE size>0 AND hidden=0 ORDER BY size DESC LIMIT ?", "i",
                    (int64_t)LARGEST);
        while (sql_step(st, &rc)) {
            buf_addf(&words, "%s%.*s ", words.n ? ", " : "", STR_FMT(sql_str(st, 0)));
            buf_add_size(&words, sql_u64(st, 1));
        }
        ok = read_end(r, rc, err);
        if (words.n)
            fn(arg, "largest mailboxes", buf_z(&words), 0);
    }
    buf_fini(&text);
    buf_fini(&words);
    return ok && ready >= 0;
}
