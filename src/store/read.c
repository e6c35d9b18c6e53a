/* Mailboxes and windows of rows, straight from covering indexes. */
#include "store/read_int.h"

#include <unistd.h>

#include "store/db.h"

/* ---- opening ------------------------------------------------------------------------------------ */

static void reader_shut(struct reader *r)
{
    sql_fini(&r->q);
    r->open = r->within = false;
}

static bool version_check(struct reader *r, struct err *err)
{
    int rc = SQLITE_OK;
    sqlite3_stmt *st = sql_ask(&r->q, "PRAGMA main.user_version", "");
    int64_t version = sql_step(st, &rc) ? sql_int(st, 0) : 0;
    if (st)
        sqlite3_reset(st);
    if (rc != SQLITE_OK)
        return sql_fail(&r->q, rc, err);
    if (version > DB_SCHEMA)
        return err_set(err, ERR_STORE_NEWER, "the store has schema %lld, this program knows %d", (long long)version,
                       DB_SCHEMA);
    return true;
}

static bool attach(struct reader *r, const char *cache, struct err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(r->q.h, "ATTACH ? AS cache", -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, cache, -1, SQLITE_TRANSIENT);
        rc = sqlite3_step(st);
    }
    bool ok = rc == SQLITE_DONE || sql_fail(&r->q, rc, err);
    sqlite3_finalize(st);
    return ok;
}

/* 1: open; 0: nothing there yet; -1: *err. */
static int reader_try(struct reader *r, struct err *err)
{
    char *keep = path_join(r->dir, SQL_KEEP_NAME), *cache = path_join(r->dir, SQL_CACHE_NAME);
    int result = -1;
    struct stat s;
    if (stat(keep, &s) || !s.st_size || stat(cache, &r->cache) || !r->cache.st_size) {
        result = 0;
    } else {
        int rc = sql_open(&r->q, keep, SQLITE_OPEN_READONLY);
        if (rc != SQLITE_OK) {
            sql_fail(&r->q, rc, err);
        } else {
            sqlite3_busy_timeout(r->q.h, 1000);
            int64_t n = 0;
            if (sql_harden(&r->q, err) && version_check(r, err) && attach(r, cache, err) && sql_load_key(&r->q, err)) {
                /* A store that is just being made has its files but not yet its tables. */
                sqlite3_stmt *st = sql_ask(&r->q, "SELECT count(*) FROM cache.sqlite_schema WHERE name='msg'", "");
                if (sql_step(st, &rc)) {
                    n = sql_int(st, 0);
                    sqlite3_reset(st);
                }
                result = rc != SQLITE_OK ? (sql_fail(&r->q, rc, err), -1) : n ? 1 : 0;
            } else if (err->kind == ERR_STORE && !r->q.has_key && sqlite3_errcode(r->q.h) == SQLITE_ERROR) {
                result = 0; /* keep.db has no tables yet */
            }
        }
    }
    free(keep);
    free(cache);
    if (result < 1)
        reader_shut(r);
    else
        r->opened++;
    r->open = result == 1;
    return result;
}

struct reader *reader_open(const char *state_dir, const char *account, struct err *err)
{
    char *dir = sql_account_dir(state_dir, account, err);
    if (!dir)
        return NULL;
    struct reader *r = mem_new(sizeof *r);
    r->dir = dir;
    r->account = mem_dup_z(account);
    r->out = arena_new(64u << 20);
    if (reader_try(r, err) < 0)
        reader_close(&r);
    return r;
}

void reader_close(struct reader **rp)
{
    struct reader *r = *rp;
    if (!r)
        return;
    reader_shut(r);
    arena_free(&r->out);
    free(r->account);
    free(r->dir);
    free(r);
    *rp = NULL;
}

/* The store sets a damaged cache aside and makes another: follow the name, not the file. */
static bool moved_away(const struct reader *r)
{
    char *cache = path_join(r->dir, SQL_CACHE_NAME);
    struct stat s;
    bool moved = stat(cache, &s) || s.st_ino != r->cache.st_ino || s.st_dev != r->cache.st_dev;
    free(cache);
    return moved;
}

int read_begin(struct reader *r, struct err *err)
{
    arena_reset(r->out);
    if (r->within)
        return 1;
    if (r->open && moved_away(r))
        reader_shut(r);
    if (!r->open) {
        int tried = reader_try(r, err);
        if (tried < 1)
            return tried;
    }
    int rc = SQLITE_ERROR;
    sqlite3_stmt *st = sql_get(&r->q, "BEGIN");
    if (st)
        sql_step(st, &rc);
    r->within = rc == SQLITE_OK && r->held;
    return rc == SQLITE_OK ? 1 : (sql_fail(&r->q, rc, err), -1);
}

static void commit(struct reader *r)
{
    int end = SQLITE_ERROR;
    sqlite3_stmt *st = sql_get(&r->q, "COMMIT");
    if (st)
        sql_step(st, &end);
    r->within = false;
    if (end != SQLITE_OK)
        reader_shut(r); /* whatever holds it: begin anew */
}

bool read_end(struct reader *r, int rc, struct err *err)
{
    bool ok = rc == SQLITE_OK || sql_fail(&r->q, rc, err);
    if (!r->held || !ok)
        commit(r);
    return ok;
}

void reader_hold(struct reader *r)
{
    r->held++;
}

void reader_release(struct reader *r)
{
    if (--r->held == 0 && r->within)
        commit(r);
}

struct str read_str(struct reader *r, struct str s)
{
    char *p = arena_dup(r->out, s.p, s.n);
    return p ? (struct str){p, s.n} : STR("");
}

uint64_t reader_version(struct reader *r)
{
    struct err e = ERR_INIT;
    if (r->open && moved_away(r))
        reader_shut(r);
    if (!r->open && reader_try(r, &e) < 1)
        return 0;
    static const char *const pragmas[] = {"PRAGMA main.data_version", "PRAGMA cache.data_version"};
    uint64_t v = r->opened;
    for (size_t i = 0; i < COUNT(pragmas); i++) {
        int rc;
        sqlite3_stmt *st = sql_ask(&r->q, pragmas[i], "");
        uint64_t x = 0;
        if (sql_step(st, &rc)) {
            x = sql_u64(st, 0);
            sqlite3_reset(st);
        }
        v = v * 0x100000001B3u + x;
    }
    return v ? v : 1;
}

bool reader_unindexed(struct reader *r)
{
    int rc;
    if (reader_version(r) == 0)
        return false;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT 1 FROM msg WHERE (istate & 7) <> 0 LIMIT 1", "");
    bool any = sql_step(st, &rc);
    if (any)
        sqlite3_reset(st);
    return any;
}

/* ---- mailboxes ---------------------------------------------------------------------------------- */

#define BOX_SQL                                                                                                        \
    "SELECT b.id,b.name,b.utf8,b.delim,b.attrs,CASE WHEN k.role THEN k.role ELSE b.role END,b.exists_,b.unseen,"       \
    "b.known,b.known_unread,b.shown,b.shown_unread,b.readonly,b.filled,b.uidvalidity,b.size FROM box b JOIN boxid k "  \
    "ON "                                                                                                              \
    "k.id=b.id "

static uint32_t settle(int64_t n)
{
    return n < 0 ? 0 : n > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)n;
}

/* Shown numbers: with all rows here, the rows shown; else the server's number and what pending intents change about it.
 */
static void box_row_read(struct reader *r, sqlite3_stmt *st, struct box_row *b)
{
    int64_t exists = sql_int(st, 6), unseen = sql_int(st, 7), known = sql_int(st, 8), known_unread = sql_int(st, 9);
    int64_t shown = sql_int(st, 10), shown_unread = sql_int(st, 11);
    bool all = exists == UINT32_MAX || (sql_int(st, 13) && exists <= known);
    *b = (struct box_row){.id = sql_u64(st, 0),
                          .name = read_str(r, sql_str(st, 1)),
                          .utf8 = read_str(r, sql_str(st, 2)),
                          .delim = (char)sql_int(st, 3),
                          .attrs = sql_u32(st, 4),
                          .role = (uint8_t)sql_int(st, 5),
                          .known = settle(known),
                          .size = sql_u64(st, 15),
                          .readonly = sql_int(st, 12)};
    b->total = settle(all ? shown : exists + shown - known);
    b->unread = settle(all || unseen == UINT32_MAX ? shown_unread : unseen + shown_unread - known_unread);
    b->unread = MIN(b->unread, b->total);
    if (!b->role)
        b->role = sql_role_by_name(b->name, b->utf8, b->delim);
    b->local = !sql_int(st, 14) && exists == UINT32_MAX;
}

struct box_list {
    struct box_row *rows;
    size_t n, cap;
};

static bool boxes_collect(struct reader *r, struct box_list *l, int *rc)
{
    sqlite3_stmt *st = sql_ask(&r->q, BOX_SQL "WHERE b.hidden=0", "");
    *rc = SQLITE_OK;
    while (sql_step(st, rc)) {
        if (l->n == l->cap)
            l->rows = mem_resize(l->rows, l->cap = l->cap ? l->cap * 2 : 64, sizeof *l->rows);
        box_row_read(r, st, &l->rows[l->n++]);
    }
    return *rc == SQLITE_OK;
}

/* INBOX, roles, one's own others, other users', shared ones. */
static unsigned place_of(const struct box_row *b)
{
    return b->attrs & BOX_SHARED   ? BOX_ROLE_COUNT + 2u
           : b->attrs & BOX_OTHERS ? BOX_ROLE_COUNT + 1u
           : b->role               ? b->role
                                   : BOX_ROLE_COUNT;
}

static int by_place(const void *a, const void *b)
{
    const struct box_row *x = a, *y = b;
    unsigned rx = place_of(x), ry = place_of(y);
    if (rx != ry)
        return rx < ry ? -1 : 1;
    size_t n = MIN(x->utf8.n, y->utf8.n);
    for (size_t i = 0; i < n; i++) {
        unsigned char p = (unsigned char)x->utf8.p[i], q = (unsigned char)y->utf8.p[i];
        /* A mailbox's children follow it directly: the delimiter sorts below every other byte. */
        int vp = x->utf8.p[i] == x->delim ? -1 : p >= 'A' && p <= 'Z' ? p | 32 : p;
        int vq = y->utf8.p[i] == y->delim ? -1 : q >= 'A' && q <= 'Z' ? q | 32 : q;
        if (vp != vq)
            return vp < vq ? -1 : 1;
    }
    if (x->utf8.n != y->utf8.n)
        return x->utf8.n < y->utf8.n ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

bool reader_boxes(struct reader *r, box_row_fn *fn, void *arg, struct err *err)
{
    int rc, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    struct box_list l = {0};
    boxes_collect(r, &l, &rc);
    bool ok = read_end(r, rc, err);
    if (l.n)
        qsort(l.rows, l.n, sizeof *l.rows, by_place);
    for (size_t i = 0; ok && i < l.n; i++)
        fn(arg, &l.rows[i]);
    free(l.rows);
    return ok;
}

static bool box_one(struct reader *r, sqlite3_stmt *st, struct box_row *row_r, struct err *err)
{
    int rc = SQLITE_OK;
    if (sql_step(st, &rc)) {
        box_row_read(r, st, row_r);
        sqlite3_reset(st);
    }
    return read_end(r, rc, err);
}

static const struct box_row no_box = {.name = {"", 0}, .utf8 = {"", 0}};

bool read_box(struct reader *r, uint64_t id, struct box_row *row_r, int *rc)
{
    *row_r = no_box;
    *rc = SQLITE_OK;
    sqlite3_stmt *st = sql_ask(&r->q, BOX_SQL "WHERE b.id=? AND b.hidden=0", "i", (int64_t)id);
    if (!sql_step(st, rc))
        return false;
    box_row_read(r, st, row_r);
    sqlite3_reset(st);
    return true;
}

bool reader_box(struct reader *r, uint64_t box, struct box_row *row_r, struct err *err)
{
    *row_r = no_box;
    int rc, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    read_box(r, box, row_r, &rc);
    return read_end(r, rc, err);
}

bool reader_box_by_name(struct reader *r, struct str utf8, struct box_row *row_r, struct err *err)
{
    *row_r = no_box;
    int ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    return box_one(r, sql_ask(&r->q, BOX_SQL "WHERE b.utf8=? AND b.hidden=0 ORDER BY b.id LIMIT 1", "s", utf8), row_r,
                   err);
}

struct role_wanted {
    uint8_t role;
    struct box_row *row;
};

static void take_role(void *arg, const struct box_row *b)
{
    const struct role_wanted *w = arg;
    if (b->role == w->role && !w->row->id)
        *w->row = *b;
}

bool reader_box_by_role(struct reader *r, uint8_t role, struct box_row *row_r, struct err *err)
{
    *row_r = no_box;
    return reader_boxes(r, take_role, &(struct role_wanted){role, row_r}, err);
}

size_t read_boxes_of(struct reader *r, uint64_t box, uint64_t ids[READ_BOXES_MAX], int *rc)
{
    *rc = SQLITE_OK;
    if (box) {
        ids[0] = box;
        return 1;
    }
    size_t n = 0;
    sqlite3_stmt *st =
        sql_ask(&r->q,
                "SELECT b.id FROM box b JOIN boxid k ON k.id=b.id WHERE b.hidden=0 AND (k.role=?1 OR "
                "(k.role=0 AND (b.role=?1 OR (b.role=0 AND upper(CAST(b.name AS TEXT)) IN ('','INBOX')))))",
                "i", (int64_t)BOX_INBOX);
    while (sql_step(st, rc))
        if (n < READ_BOXES_MAX)
            ids[n++] = sql_u64(st, 0);
    return n;
}

/* ---- rows --------------------------------------------------------------------------------------- */

void read_tags(struct reader *r, int64_t mh, int64_t fp, struct buf *out, int *rc)
{
    size_t start = out->n;
    sqlite3_stmt *st = sql_ask(&r->q, "SELECT tag FROM tag WHERE mh=? AND fp=? ORDER BY tag", "ii", mh, fp);
    while (sql_step(st, rc)) {
        if (out->n > start)
            buf_addc(out, ' ');
        buf_adds(out, sql_str(st, 0));
    }
}

void read_row(struct reader *r, uint64_t id, struct msg_row *row, int *rc)
{
    *row = (struct msg_row){.from_name = STR(""),
                            .from_addr = STR(""),
                            .to = STR(""),
                            .subject = STR(""),
                            .msgid = STR(""),
                            .list_id = STR(""),
                            .sort_from = STR(""),
                            .sort_subject = STR(""),
                            .tags = STR("")};
    *rc = SQLITE_OK;
    sqlite3_stmt *st = sql_ask(&r->q,
                               "SELECT id,box,thread,date,size,flags,attrs,state,from_name,from_addr,to_,subject,msgid,"
                               "list_id,mh,idate,fkey,skey FROM msg WHERE id=?",
                               "i", (int64_t)id);
    if (!sql_step(st, rc))
        return;
    *row = (struct msg_row){.id = sql_u64(st, 0),
                            .box = sql_u64(st, 1),
                            .thread = sql_u64(st, 2),
                            .date = sql_int(st, 3),
                            .arrived = sql_int(st, 15),
                            .size = sql_u64(st, 4),
                            .flags = sql_u32(st, 5),
                            .attrs = sql_u32(st, 6),
                            .state = sql_u32(st, 7) & 0xffff,
                            .from_name = read_str(r, sql_str(st, 8)),
                            .from_addr = read_str(r, sql_str(st, 9)),
                            .to = read_str(r, sql_str(st, 10)),
                            .subject = read_str(r, sql_str(st, 11)),
                            .msgid = read_str(r, sql_str(st, 12)),
                            .list_id = read_str(r, sql_str(st, 13)),
                            .sort_from = read_str(r, sql_str(st, 16)),
                            .sort_subject = read_str(r, sql_str(st, 17))};
    int64_t mh = sql_int(st, 14);
    sqlite3_reset(st);
    struct buf tags = BUF_INIT(TAGS_MAX);
    read_tags(r, mh, (int64_t)sql_fingerprint(&r->q, row->from_addr, row->subject, row->date), &tags, rc);
    row->tags = read_str(r, buf_str(&tags));
    buf_fini(&tags);
}

bool reader_row(struct reader *r, uint64_t msg, struct msg_row *row_r, struct err *err)
{
    *row_r = (struct msg_row){.id = 0};
    int rc, ready = read_begin(r, err);
    if (ready < 1)
        return ready == 0;
    read_row(r, msg, row_r, &rc);
    if (!row_r->box)
        row_r->id = 0; /* hidden until its purge is done */
    return read_end(r, rc, err);
}
