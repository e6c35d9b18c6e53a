/* Windows of rows in the orders that a list can have, each a walk along its index. */
#include "store/read_int.h"

#define FEW 20000 /* so many filtered rows are sorted; more are met soon enough on a walk along the index */

/* ---- statements --------------------------------------------------------------------------------- */
#define UNREAD " AND (flags & 1) = 0"
#define FLAGGED " AND (flags & 4) <> 0"
#define DATED(filter, sign, dir)                                                                                       \
    "SELECT 0,date,id FROM msg WHERE box=?1" filter " AND (date,id)" sign "(?3,?4) ORDER BY date " dir ",id " dir      \
    " LIMIT ?5"
#define WALK(col, index, filter, sign, dir)                                                                            \
    "SELECT " col ",date,id FROM msg INDEXED BY msg_" index " WHERE box=?1" filter " AND (" col ",date,id)" sign       \
    "(?2,?3,?4) ORDER BY " col " " dir ",date " dir ",id " dir " LIMIT ?5"

static const char *const dated[][2] = {
    [LIST_ALL] = {DATED("", ">", "ASC"), DATED("", "<", "DESC")},
    [LIST_UNREAD] = {DATED(UNREAD, ">", "ASC"), DATED(UNREAD, "<", "DESC")},
    [LIST_FLAGGED] = {DATED(FLAGGED, ">", "ASC"), DATED(FLAGGED, "<", "DESC")},
};

#define SPAN(what, col, index, filter, up, down)                                                                       \
    "SELECT " what " FROM msg INDEXED BY msg_" index " WHERE box=?1" filter " AND (" col ",date,id)" down              \
    "(?2,?3,?4) AND (" col ",date,id)" up "(?5,?6,?7)"
#define FAR(col, index, filter, up, down, dir)                                                                         \
    SPAN(col ",date,id", col, index, filter, up, down)                                                                 \
    " ORDER BY " col " " dir ",date " dir ",id " dir " LIMIT 1 OFFSET ?8"

/* Of one order: along its index, or by sorting what the filter leaves; and how far it is from one key to another. */
struct texts {
    const char *walk[3][2], *sort[3][2]; /* [filter][down] */
    const char *far[3][2], *count[3][2]; /* [filter][few] */
};
#define TEXTS(col, up, up_dir, down, down_dir)                                                                         \
    {                                                                                                                  \
        .walk = {[LIST_ALL] = {WALK(col, col, "", up, up_dir), WALK(col, col, "", down, down_dir)},                    \
                 [LIST_UNREAD] = {WALK(col, col, UNREAD, up, up_dir), WALK(col, col, UNREAD, down, down_dir)},         \
                 [LIST_FLAGGED] = {WALK(col, col, FLAGGED, up, up_dir), WALK(col, col, FLAGGED, down, down_dir)}},     \
        .sort = {[LIST_UNREAD] = {WALK(col, "unread", UNREAD, up, up_dir),                                             \
                                  WALK(col, "unread", UNREAD, down, down_dir)},                                        \
                 [LIST_FLAGGED] = {WALK(col, "flagged", FLAGGED, up, up_dir),                                          \
                                   WALK(col, "flagged", FLAGGED, down, down_dir)}},                                    \
        .far = {[LIST_ALL] = {FAR(col, col, "", up, down, down_dir)},                                                  \
                [LIST_UNREAD] = {FAR(col, col, UNREAD, up, down, down_dir),                                            \
                                 FAR(col, "unread", UNREAD, up, down, down_dir)},                                      \
                [LIST_FLAGGED] = {FAR(col, col, FLAGGED, up, down, down_dir),                                          \
                                  FAR(col, "flagged", FLAGGED, up, down, down_dir)}},                                  \
        .count = {[LIST_ALL] = {SPAN("count(*)", col, col, "", up, down)},                                             \
                  [LIST_UNREAD] = {SPAN("count(*)", col, col, UNREAD, up, down),                                       \
                                   SPAN("count(*)", col, "unread", UNREAD, up, down)},                                 \
                  [LIST_FLAGGED] = {SPAN("count(*)", col, col, FLAGGED, up, down),                                     \
                                    SPAN("count(*)", col, "flagged", FLAGGED, up, down)}},                             \
    }
#define FALLS(col) TEXTS(col, ">", "ASC", "<", "DESC")
#define RISES(col) TEXTS(col, "<", "DESC", ">", "ASC")
static const struct texts texts[ORDER_COUNT] = {[ORDER_ARRIVAL] = FALLS("arrived"),
                                                [ORDER_SIZE] = FALLS("size"),
                                                [ORDER_FROM] = RISES("fkey"),
                                                [ORDER_SUBJECT] = RISES("skey")};

/* ---- windows ------------------------------------------------------------------------------------ */
/* Beyond every row. No text of a key has the byte 0xff. */
static struct row_key key_end(enum list_order order, bool top)
{
    bool least = ORDER_RISES(order) == top;
    int64_t n = least ? INT64_MIN : INT64_MAX;
    return (struct row_key){n, least ? 0 : INT64_MAX, n, least ? STR("") : STR("\xff")};
}

static int64_t key_id(const struct row_key *k)
{
    return (int64_t)MIN(k->id, (uint64_t)INT64_MAX);
}

static struct row_key key_read(struct reader *r, sqlite3_stmt *st, enum list_order order)
{
    struct row_key k = ROW_KEY(sql_int(st, 1), sql_u64(st, 2));
    if (ORDER_RISES(order))
        k.text = read_str(r, sql_str(st, 0));
    else
        k.number = sql_int(st, 0);
    return k;
}

static bool are_few(struct reader *r, uint64_t box, struct sorted s, int *rc)
{
    return s.order != ORDER_DATE && s.filter != LIST_ALL && read_total(r, box, s.filter, rc) <= FEW;
}

static size_t keys_of_box(struct reader *r, uint64_t box, struct sorted s, const struct row_key *from, bool down,
                          unsigned max, struct row_key *keys, int *rc)
{
    struct row_key end = key_end(s.order, down), k = from ? *from : end;
    const struct texts *t = &texts[s.order];
    size_t n = 0;
    *rc = SQLITE_OK;
    bool few = are_few(r, box, s, rc);
    const char *text = s.order == ORDER_DATE ? dated[s.filter][down]
                       : few                 ? t->sort[s.filter][down]
                                             : t->walk[s.filter][down];
    sqlite3_stmt *st = ORDER_RISES(s.order)
                           ? sql_ask(&r->q, text, "isiii", (int64_t)box, k.text, k.date, key_id(&k), (int64_t)max)
                           : sql_ask(&r->q, text, "iiiii", (int64_t)box, k.number, k.date, key_id(&k), (int64_t)max);
    while (*rc == SQLITE_OK && sql_step(st, rc))
        if (n < max)
            keys[n++] = key_read(r, st, s.order);
    return n;
}

/* Does a stand above b, from the top down? */
static bool key_above(const struct row_key *a, const struct row_key *b, enum list_order order)
{
    size_t n = MIN(a->text.n, b->text.n);
    int text = n ? memcmp(a->text.p, b->text.p, n) : 0;
    if (!text)
        text = (a->text.n > b->text.n) - (a->text.n < b->text.n);
    bool more = a->number != b->number ? a->number > b->number
                : text                 ? text > 0
                : a->date != b->date   ? a->date > b->date
                                       : a->id > b->id;
    return more != ORDER_RISES(order);
}

size_t read_keys_of(struct reader *r, const uint64_t *boxes, size_t n, struct sorted s, const struct row_key *from,
                    bool down, unsigned max, struct row_key *keys, int *rc)
{
    *rc = SQLITE_OK;
    if (n == 1)
        return keys_of_box(r, boxes[0], s, from, down, max, keys, rc);
    struct row_key *more = mem_array(max ? max : 1, sizeof *more), *both = mem_array(max ? max : 1, sizeof *both);
    size_t have = 0;
    for (size_t i = 0; i < n && *rc == SQLITE_OK; i++) {
        size_t k = keys_of_box(r, boxes[i], s, from, down, max, more, rc), a = 0, b = 0, m = 0;
        while (m < max && (a < have || b < k))
            both[m++] = b == k || (a < have && key_above(&keys[a], &more[b], s.order) == down) ? keys[a++] : more[b++];
        memcpy(keys, both, m * sizeof *keys);
        have = m;
    }
    free(more);
    free(both);
    return have;
}

bool reader_sorted(struct reader *r, uint64_t box, enum list_filter filter, enum list_order order,
                   const struct row_key *from, bool down, unsigned max, msg_row_fn *fn, void *arg, struct err *err)
{
    if ((size_t)filter >= COUNT(dated) || order >= ORDER_COUNT)
        return err_set(err, ERR_USAGE, "unknown filter or order");
    int rc, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    uint64_t boxes[READ_BOXES_MAX];
    max = MIN(max, 100000u);
    struct row_key *keys = mem_array(max ? max : 1, sizeof *keys);
    size_t n = read_boxes_of(r, box, boxes, &rc), found = 0;
    if (rc == SQLITE_OK)
        found = read_keys_of(r, boxes, n, (struct sorted){order, filter}, from, down, max, keys, &rc);
    struct msg_row *rows = mem_array(found ? found : 1, sizeof *rows);
    for (size_t i = 0; i < found && rc == SQLITE_OK; i++)
        read_row(r, keys[i].id, &rows[i], &rc);
    bool ok = read_end(r, rc, err);
    for (size_t i = 0; ok && i < found; i++)
        if (rows[i].id)
            fn(arg, &rows[i]);
    free(rows);
    free(keys);
    return ok;
}

bool reader_rows(struct reader *r, uint64_t box, enum list_filter filter, const struct row_key *from, bool older,
                 unsigned max, msg_row_fn *fn, void *arg, struct err *err)
{
    return reader_sorted(r, box, filter, ORDER_DATE, from, older, max, fn, arg, err);
}

/* ---- how far ------------------------------------------------------------------------------------ */
/* offset < 0: the text has none. */
static sqlite3_stmt *ask_span(struct reader *r, const char *text, uint64_t box, enum list_order order,
                              const struct row_key *a, const struct row_key *b, int64_t offset)
{
    return ORDER_RISES(order) ? sql_ask(&r->q, text, offset < 0 ? "isiisii" : "isiisiii", (int64_t)box, a->text,
                                        a->date, key_id(a), b->text, b->date, key_id(b), offset)
                              : sql_ask(&r->q, text, offset < 0 ? "iiiiiii" : "iiiiiiii", (int64_t)box, a->number,
                                        a->date, key_id(a), b->number, b->date, key_id(b), offset);
}

/* True: there are so many, and maybe more. */
static bool count_box(struct reader *r, uint64_t box, struct sorted s, const struct row_key *from,
                      const struct row_key *to, unsigned max, uint32_t *n_r, struct row_key *at_r, int *rc)
{
    bool few = are_few(r, box, s, rc), more = false;
    sqlite3_stmt *st = ask_span(r, texts[s.order].far[s.filter][few], box, s.order, from, to, (int64_t)max - 1);
    if (*rc == SQLITE_OK && sql_step(st, rc)) {
        more = true;
        *at_r = key_read(r, st, s.order);
        *n_r = max;
        sqlite3_reset(st);
    }
    if (more || *rc != SQLITE_OK)
        return more;
    st = ask_span(r, texts[s.order].count[s.filter][few], box, s.order, from, to, -1);
    if (sql_step(st, rc)) {
        *n_r = sql_u32(st, 0);
        sqlite3_reset(st);
    }
    return false;
}

/* An account with several inboxes. */
static bool count_merged(struct reader *r, const uint64_t *boxes, size_t n, struct sorted s, const struct row_key *from,
                         const struct row_key *to, unsigned max, uint32_t *n_r, struct row_key *at_r, int *rc)
{
    struct row_key *keys = mem_array(max, sizeof *keys);
    size_t got = read_keys_of(r, boxes, n, s, from, true, max, keys, rc), i = 0;
    while (i < got && keys[i].id != to->id && key_above(&keys[i], to, s.order))
        i++;
    *n_r = (uint32_t)i;
    if (i == max)
        *at_r = keys[max - 1];
    free(keys);
    return i == max;
}

bool reader_sorted_count(struct reader *r, uint64_t box, enum list_filter filter, enum list_order order,
                         const struct row_key *at, const struct row_key *to, unsigned max, uint32_t *n_r,
                         struct row_key *at_r, bool *done_r, struct err *err)
{
    *n_r = 0;
    *done_r = true;
    if (order == ORDER_DATE || order >= ORDER_COUNT || (size_t)filter >= COUNT(dated))
        return err_set(err, ERR_USAGE, "this order has counters");
    int rc, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct row_key from = at ? *at : key_end(order, true), end = to ? *to : key_end(order, false);
    struct sorted s = {order, filter};
    uint64_t boxes[READ_BOXES_MAX];
    size_t n = read_boxes_of(r, box, boxes, &rc);
    if (n == 1 && max && rc == SQLITE_OK)
        *done_r = !count_box(r, boxes[0], s, &from, &end, max, n_r, at_r, &rc);
    else if (n > 1 && max && rc == SQLITE_OK)
        *done_r = !count_merged(r, boxes, n, s, &from, &end, max, n_r, at_r, &rc);
    return read_end(r, rc, err);
}
