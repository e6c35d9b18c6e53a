/* Rank, searches by key, tags, threads, outbox, addresses. */
#include "store/read_int.h"

#include "mail/lookup.h"

/* ---- rank --------------------------------------------------------------------------------------- */

static int64_t one(struct reader *r, int *rc, sqlite3_stmt *st)
{
    int64_t v = 0;
    (void)r;
    if (*rc != SQLITE_OK)
        return 0;
    if (sql_step(st, rc)) {
        v = sql_int(st, 0);
        sqlite3_reset(st);
    }
    return v;
}

#define SUMS(column)                                                                                                   \
    {                                                                                                                  \
        "SELECT coalesce(sum(" column "),0) FROM rank WHERE box=?1 AND (date,id)>(?2,?3)",                             \
            "SELECT coalesce(sum(" column "),0) FROM rank WHERE box=?1",                                               \
            "SELECT date,id," column " FROM rank WHERE box=?1 ORDER BY date DESC,id DESC"                              \
    }
static const char *const sums[][3] = {
    [LIST_ALL] = SUMS("n"), [LIST_UNREAD] = SUMS("unread"), [LIST_FLAGGED] = SUMS("flagged")};

#define RANGE(filter) "SELECT count(*) FROM msg WHERE box=?1" filter " AND (date,id)>(?2,?3) AND (date,id)<(?4,?5)"
#define OFFSET(filter)                                                                                                 \
    "SELECT id FROM msg WHERE box=?1" filter " AND (date,id)<(?2,?3) ORDER BY date DESC,id DESC LIMIT 1 OFFSET ?4"
#define UNREAD " AND (flags & 1) = 0"
#define FLAGGED " AND (flags & 4) <> 0"
static const char *const in_block[] = {
    [LIST_ALL] = RANGE(""), [LIST_UNREAD] = RANGE(UNREAD), [LIST_FLAGGED] = RANGE(FLAGGED)};
static const char *const at_offset[] = {
    [LIST_ALL] = OFFSET(""), [LIST_UNREAD] = OFFSET(UNREAD), [LIST_FLAGGED] = OFFSET(FLAGGED)};

/* Rows of one mailbox that stand above `key`. */
static int64_t rank_in(struct reader *r, uint64_t box, enum list_filter f, struct row_key key, int *rc)
{
    struct row_key end = KEY_NEWEST;
    int64_t above = one(r, rc, sql_ask(&r->q, sums[f][0], "iii", (int64_t)box, key.date, (int64_t)key.id));
    if (*rc != SQLITE_OK)
        return 0;
    sqlite3_stmt *st =
        sql_ask(&r->q, "SELECT date,id FROM rank WHERE box=?1 AND (date,id)>(?2,?3) ORDER BY date,id LIMIT 1", "iii",
                (int64_t)box, key.date, (int64_t)key.id);
    if (sql_step(st, rc)) {
        end = ROW_KEY(sql_int(st, 0), sql_u64(st, 1));
        sqlite3_reset(st);
    }
    return above + one(r, rc,
                       sql_ask(&r->q, in_block[f], "iiiii", (int64_t)box, key.date, (int64_t)key.id, end.date,
                               (int64_t)end.id));
}

int64_t read_total(struct reader *r, uint64_t box, enum list_filter f, int *rc)
{
    return one(r, rc, sql_ask(&r->q, sums[f][1], "i", (int64_t)box));
}

bool reader_rank(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *key, uint32_t *rank_r,
                 uint32_t *total_r, struct err *err)
{
    *rank_r = *total_r = 0;
    if ((size_t)filter >= COUNT(sums))
        return err_set(err, ERR_USAGE, "unknown filter");
    int rc, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    uint64_t boxes[READ_BOXES_MAX];
    size_t n = read_boxes_of(r, box, boxes, &rc);
    int64_t rank = 0, total = 0;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        rank += rank_in(r, boxes[i], filter, *key, &rc);
        total += read_total(r, boxes[i], filter, &rc);
    }
    *rank_r = (uint32_t)rank;
    *total_r = (uint32_t)total;
    return read_end(r, rc, err);
}

static uint64_t at_rank_one(struct reader *r, uint64_t box, enum list_filter f, uint32_t rank, int *rc)
{
    int64_t above = 0;
    struct row_key end = KEY_NEWEST;
    bool found = false;
    sqlite3_stmt *st = sql_ask(&r->q, sums[f][2], "i", (int64_t)box);
    while (!found && sql_step(st, rc)) {
        int64_t n = sql_int(st, 2);
        if (above + n > rank) {
            found = true;
        } else {
            above += n;
            end = ROW_KEY(sql_int(st, 0), sql_u64(st, 1));
        }
    }
    if (!found)
        return 0;
    sqlite3_reset(st);
    return (uint64_t)one(
        r, rc, sql_ask(&r->q, at_offset[f], "iiii", (int64_t)box, end.date, (int64_t)end.id, (int64_t)rank - above));
}

/* Over several mailboxes: the date that holds the rank is found by halving, then the few rows of that date are walked.
 */
static uint64_t at_rank_many(struct reader *r, const uint64_t *boxes, size_t n, enum list_filter f, uint32_t rank,
                             int *rc)
{
    int64_t lo = -(INT64_C(1) << 40), hi = INT64_C(1) << 40, above = 0;
    while (lo < hi && *rc == SQLITE_OK) { /* the least date with at most `rank` rows newer than it */
        int64_t mid = lo + (hi - lo) / 2, newer = 0;
        for (size_t i = 0; i < n; i++)
            newer += rank_in(r, boxes[i], f, ROW_KEY(mid, INT64_MAX), rc);
        if (newer <= rank)
            hi = mid;
        else
            lo = mid + 1;
    }
    for (size_t i = 0; i < n; i++)
        above += rank_in(r, boxes[i], f, ROW_KEY(lo, INT64_MAX), rc);
    uint64_t steps = (uint64_t)rank - (uint64_t)above + 1;
    if (*rc != SQLITE_OK || above > rank || steps > 1000000)
        return 0;
    struct row_key *keys = mem_array(steps, sizeof *keys);
    size_t have = read_keys_of(r, boxes, n, (struct sorted){ORDER_DATE, f}, &ROW_KEY(lo, INT64_MAX), true,
                               (unsigned)steps, keys, rc);
    uint64_t id = have == steps ? keys[have - 1].id : 0;
    free(keys);
    return id;
}

bool reader_at_rank(struct reader *r, uint64_t box, enum list_filter filter, uint32_t rank, struct msg_row *row_r,
                    struct err *err)
{
    *row_r = (struct msg_row){.id = 0};
    if ((size_t)filter >= COUNT(sums))
        return err_set(err, ERR_USAGE, "unknown filter");
    int rc, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    uint64_t boxes[READ_BOXES_MAX];
    size_t n = read_boxes_of(r, box, boxes, &rc);
    uint64_t id = 0;
    if (rc == SQLITE_OK && n == 1)
        id = at_rank_one(r, boxes[0], filter, rank, &rc);
    else if (rc == SQLITE_OK && n)
        id = at_rank_many(r, boxes, n, filter, rank, &rc);
    if (id && rc == SQLITE_OK)
        read_row(r, id, row_r, &rc);
    return read_end(r, rc, err);
}

/* ---- by key ------------------------------------------------------------------------------------- */

bool read_rows_by(struct reader *r, sqlite3_stmt *st, unsigned max, struct str msgid, msg_row_fn *fn, void *arg,
                  struct err *err)
{
    int rc = SQLITE_OK;
    size_t n = 0, cap = 0;
    uint64_t *ids = NULL;
    while (sql_step(st, &rc)) {
        if (n == max) {
            sqlite3_reset(st);
            break;
        }
        if (n == cap)
            ids = mem_resize(ids, cap = cap ? cap * 2 : 64, sizeof *ids);
        ids[n++] = sql_u64(st, 0);
    }
    struct msg_row *rows = mem_array(n ? n : 1, sizeof *rows);
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
        read_row(r, ids[i], &rows[i], &rc);
    bool ok = read_end(r, rc, err);
    for (size_t i = 0; ok && i < n; i++)
        if (rows[i].id && rows[i].box && (!msgid.p || str_eq(rows[i].msgid, msgid)))
            fn(arg, &rows[i]);
    free(rows);
    free(ids);
    return ok;
}

bool reader_find_msgid(struct reader *r, struct str msgid, msg_row_fn *fn, void *arg, struct err *err)
{
    int ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    uint64_t mh = sql_msgid_hash(&r->q, msgid);
    msgid = sql_msgid(msgid);
    if (!msgid.n)
        return read_end(r, SQLITE_OK, err);
    return read_rows_by(r, sql_ask(&r->q, "SELECT id FROM msg WHERE mh=? AND mh<>0", "i", (int64_t)mh), 10000, msgid,
                        fn, arg, err);
}

struct tagged {
    const struct msg_row *of;
    struct str words;
    msg_row_fn *fn;
    void *arg;
    bool told;
};

static bool has_one(struct str tags, struct str words)
{
    struct str word, tag;
    for (struct str rest = words; rest.n > 0 && str_split(&rest, ' ', &word);)
        for (struct str all = tags; word.n > 1 && word.p[0] == '-' && all.n > 0 && str_split(&all, ' ', &tag);)
            if (str_eq(tag, str_sub(word, 1, word.n)))
                return true;
    return false;
}

static void tagged_row(void *arg, const struct msg_row *row)
{
    struct tagged *t = arg;
    const struct msg_row *of = t->of;
    if (t->told || row->date != of->date || !str_eq(row->from_addr, of->from_addr) ||
        !str_eq(row->subject, of->subject) || !has_one(row->tags, t->words))
        return;
    t->told = true;
    t->fn(t->arg, row);
}

bool reader_find_tagged(struct reader *r, const struct msg_row *of, struct str words, msg_row_fn *fn, void *arg,
                        struct err *err)
{
    struct tagged t = {of, words, fn, arg, false};
    return !of->msgid.n || reader_find_msgid(r, of->msgid, tagged_row, &t, err);
}

/* "BOX.UIDVALIDITY/UID" */
static bool path_numbers(struct str path, uint64_t *box, uint32_t *uidv, uint32_t *uid)
{
    struct str rest = path, a, b;
    return str_split(&rest, '.', &a) && str_split(&rest, '/', &b) && rest.p && str_u64(a, box) && str_u32(b, uidv) &&
           str_u32(rest, uid) && *uid;
}

bool reader_find_path(struct reader *r, struct str path, uint64_t *msg_r, uint64_t *box_r, struct err *err)
{
    *msg_r = *box_r = 0;
    struct str rest = path, account;
    if (!str_split(&rest, '/', &account) || !rest.p || !str_eqz(account, r->account))
        return true;
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    uint64_t box;
    uint32_t uidv, uid;
    sqlite3_stmt *st;
    if (path_numbers(rest, &box, &uidv, &uid)) {
        st = sql_ask(&r->q,
                     "SELECT m.id,m.box FROM msg m JOIN box b ON b.id=m.sbox WHERE m.sbox=? AND m.suid=? AND m.suid>0 "
                     "AND b.uidvalidity=?",
                     "iii", (int64_t)box, (int64_t)uid, (int64_t)uidv);
    } else {
        /* A Maildir file: its flags may have changed, its unique part has not. */
        struct str name = rest;
        for (size_t i = rest.n; i-- > 0;)
            if (rest.p[i] == '/') {
                name = str_sub(rest, i + 1, rest.n);
                break;
            }
        for (size_t i = 0; i + 1 < name.n; i++)
            if (name.p[i] == ':' && name.p[i + 1] == '2') {
                name = str_sub(name, 0, i);
                break;
            }
        st = sql_ask(
            &r->q,
            "SELECT m.id,m.box FROM box b CROSS JOIN msg m ON m.sbox=b.id WHERE m.name=? AND m.name IS NOT NULL "
            "ORDER BY m.body IS ? DESC LIMIT 1",
            "ss", name, rest);
    }
    if (sql_step(st, &rc)) {
        *msg_r = sql_u64(st, 0);
        *box_r = sql_u64(st, 1);
        sqlite3_reset(st);
    }
    return read_end(r, rc, err);
}

bool reader_place(struct reader *r, uint64_t msg, struct buf *out, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st =
        sql_ask(&r->q,
                "SELECT m.sbox,coalesce(b.uidvalidity,0),m.suid,m.name,m.body FROM msg m LEFT JOIN box b ON "
                "b.id=m.sbox WHERE m.id=?",
                "i", (int64_t)msg);
    if (sql_step(st, &rc)) {
        if (sql_u32(st, 2))
            buf_addf(out, "%s/%llu.%u/%u", r->account, (unsigned long long)sql_u64(st, 0), sql_u32(st, 1),
                     sql_u32(st, 2));
        else if (sql_str(st, 4).n)
            buf_addf(out, "%s/%.*s", r->account, STR_FMT(sql_str(st, 4)));
        sqlite3_reset(st);
    }
    return read_end(r, rc, err);
}

bool reader_preview(struct reader *r, uint64_t msg, struct buf *out, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT preview FROM msg WHERE id=?", "i", (int64_t)msg);
    if (sql_step(st, &rc)) {
        buf_adds(out, sql_str(st, 0));
        sqlite3_reset(st);
    }
    return read_end(r, rc, err);
}

bool reader_tags(struct reader *r, uint64_t msg, struct buf *out, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    int64_t mh = 0, fp = 0;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT mh,from_addr,subject,date FROM msg WHERE id=?", "i", (int64_t)msg);
    if (sql_step(st, &rc)) {
        mh = sql_int(st, 0);
        fp = (int64_t)sql_fingerprint(&r->q, sql_str(st, 1), sql_str(st, 2), sql_int(st, 3));
        sqlite3_reset(st);
        read_tags(r, mh, fp, out, &rc);
    }
    return read_end(r, rc, err);
}

bool reader_tag_used(struct reader *r, struct str tag, bool begins, bool *used_r, struct err *err)
{
    *used_r = false;
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct buf last = BUF_INIT(1000);
    buf_adds(&last, tag);
    buf_addz(&last, begins ? "\xff" : ""); /* above every UTF-8 byte */
    *used_r = one(r, &rc,
                  sql_ask(&r->q, "SELECT 1 FROM tag WHERE tag>=? AND tag<=? LIMIT 1", "ss", tag, buf_str(&last))) != 0;
    buf_fini(&last);
    return read_end(r, rc, err);
}

bool reader_tag_names(struct reader *r, unsigned max, tag_count_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT tag,count(*) FROM tag GROUP BY tag LIMIT ?", "i", (int64_t)max);
    while (sql_step(st, &rc))
        fn(arg, sql_str(st, 0), (uint32_t)MIN(sql_int(st, 1), (int64_t)UINT32_MAX));
    return read_end(r, rc, err);
}

/* ---- outbox, pending ---------------------------------------------------------------------------- */

bool reader_outbox(struct reader *r, outbox_row_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT id,state,due,created,rcpts,subject,text FROM outbox ORDER BY id", "");
    while (sql_step(st, &rc)) {
        struct outbox_row o = {.id = sql_u64(st, 0),
                               .state = (uint8_t)sql_int(st, 1),
                               .due = sql_int(st, 2),
                               .created = sql_int(st, 3),
                               .rcpts = sql_str(st, 4),
                               .subject = sql_str(st, 5),
                               .text = sql_str(st, 6)};
        fn(arg, &o);
    }
    return read_end(r, rc, err);
}

bool reader_pending(struct reader *r, uint32_t *intents_r, uint32_t *outbox_r, struct err *err)
{
    *intents_r = *outbox_r = 0;
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    *intents_r = (uint32_t)one(r, &rc, sql_ask(&r->q, "SELECT count(*) FROM intent WHERE state<3", ""));
    *outbox_r = (uint32_t)one(r, &rc, sql_ask(&r->q, "SELECT count(*) FROM outbox WHERE state<3", ""));
    return read_end(r, rc, err);
}

/* ---- addresses ---------------------------------------------------------------------------------- */

#define ADDRESS_FEW 2000   /* that many are all looked at */
#define ADDRESS_WALK 20000 /* else the best, up to so many */

/* The words that are looked for; `last` is above all that begin so. */
struct wanted {
    char text[8][LOOKUP_WORD_MAX + 1];
    size_t len[8];
    unsigned n;
};

static void wanted_take(struct wanted *w, struct str prefix)
{
    struct lookup words;
    struct str one;
    lookup_begin(&words, prefix);
    for (w->n = 0; w->n < COUNT(w->len) && lookup_next(&words, &one); w->n++) {
        memcpy(w->text[w->n], one.p, one.n);
        w->text[w->n][one.n] = (char)0xff; /* above every UTF-8 byte: all words that begin so */
        w->len[w->n] = one.n;
    }
}

static struct str wanted_word(const struct wanted *w, unsigned i, bool end)
{
    return (struct str){w->text[i], w->len[i] + end};
}

static bool is_wanted(const struct wanted *w, struct str name, struct str addr)
{
    bool all = true;
    for (unsigned i = 0; all && i < w->n; i++)
        all = lookup_has(name, wanted_word(w, i, false)) || lookup_has(addr, wanted_word(w, i, false));
    return all;
}

/* The word that fewest have; *few_r: no more than can all be looked at. */
static unsigned rarest(struct reader *r, const struct wanted *w, bool *few_r, int *rc)
{
    int64_t best = INT64_MAX;
    unsigned at = 0;
    for (unsigned i = 0; i < w->n; i++) {
        int64_t n = one(r, rc,
                        sql_ask(&r->q, "SELECT count(*) FROM (SELECT 1 FROM addrword WHERE word>=? AND word<? LIMIT ?)",
                                "ssi", wanted_word(w, i, false), wanted_word(w, i, true), (int64_t)ADDRESS_FEW + 1));
        if (n < best) {
            best = n;
            at = i;
        }
    }
    *few_r = best <= ADDRESS_FEW;
    return at;
}

bool reader_addresses(struct reader *r, struct str prefix, unsigned max, address_fn *fn, void *arg, struct err *err)
{
    int rc = SQLITE_OK, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct wanted w;
    size_t have = 0;
    bool few = false;
    wanted_take(&w, prefix);
    max = MIN(max, 200u);
    unsigned first = rarest(r, &w, &few, &rc);
    struct address_row *best = mem_array(max + 1, sizeof *best);
    sqlite3_stmt *st =
        few ? sql_ask(&r->q,
                      "SELECT DISTINCT a.id,a.name,a.spelled,a.rank FROM addrword w CROSS JOIN addr a ON a.id=w.addr "
                      "WHERE w.word>=? AND w.word<?",
                      "ss", wanted_word(&w, first, false), wanted_word(&w, first, true))
            : sql_ask(&r->q, "SELECT id,name,spelled,rank FROM addr ORDER BY rank DESC LIMIT ?", "i",
                      (int64_t)ADDRESS_WALK);
    while ((few || have < max) && sql_step(st, &rc)) {
        struct address_row c = {.name = sql_str(st, 1), .addr = sql_str(st, 2), .rank = sql_int(st, 3)};
        if (!max || (have == max && c.rank <= best[max - 1].rank) || !is_wanted(&w, c.name, c.addr))
            continue;
        size_t at = have < max ? have++ : max - 1;
        for (; at > 0 && c.rank > best[at - 1].rank; at--)
            best[at] = best[at - 1];
        best[at] = c;
        best[at].name = read_str(r, c.name);
        best[at].addr = read_str(r, c.addr);
    }
    sqlite3_reset(st);
    bool ok = read_end(r, rc, err);
    for (size_t i = 0; ok && i < have; i++)
        fn(arg, &best[i]);
    free(best);
    return ok;
}
