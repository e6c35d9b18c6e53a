/* Rank of a row in its mailbox, and of a thread: counters per block of about a thousand, kept beside the rows, so that
 * the scroll bar, End and percent jumps cost the same at a thousand and at a million rows. */
#include "store/db_int.h"

static struct rank_block *rank_append(struct ranks *r, struct rank_block k)
{
    if (!r->block || r->n == r->cap)
        r->block = mem_resize(r->block, r->cap = r->cap ? r->cap * 2 : 16, sizeof *r->block);
    r->block[r->n] = k;
    return &r->block[r->n++];
}

static void rank_load(struct db *db, struct ranks *r, int64_t key)
{
    if (r->block)
        return;
    r->key = key;
    sqlite3_stmt *st = q_ask(db, "SELECT date,id,n,unread,flagged FROM rank WHERE box=? ORDER BY date,id", "i", key);
    while (q_step(db, st))
        rank_append(r, (struct rank_block){.date = sql_int(st, 0),
                                           .id = sql_u64(st, 1),
                                           .n = sql_u32(st, 2),
                                           .unread = sql_u32(st, 3),
                                           .flagged = sql_u32(st, 4),
                                           .stored = true});
}

static void load_rows(struct db *db, struct box *b)
{
    rank_load(db, &b->rows, I(b->id));
    if (!b->rows.n)
        rank_append(&b->rows, (struct rank_block){.date = INT64_MIN, .dirty = true});
}

/* Those of a cache from before they were counted are counted once. */
static void load_threads(struct db *db, struct box *b)
{
    rank_load(db, &b->threads, -I(b->id));
    if (b->threads.block)
        return;
    struct rank_block *k = rank_append(&b->threads, (struct rank_block){.date = INT64_MIN, .dirty = true});
    sqlite3_stmt *st = q_ask(db, "SELECT newest,thread FROM thread WHERE box=? ORDER BY newest,thread", "i", I(b->id));
    for (; q_step(db, st); k->n++)
        if (k->n == RANK_BLOCK / 2)
            k = rank_append(&b->threads,
                            (struct rank_block){.date = sql_int(st, 0), .id = sql_u64(st, 1), .dirty = true});
}

static struct rank_block *rank_block_of(struct ranks *r, int64_t date, uint64_t id)
{
    size_t lo = 0, hi = r->n; /* the last block whose bound is not above the key */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        const struct rank_block *k = &r->block[mid];
        if (k->date < date || (k->date == date && k->id <= id))
            lo = mid;
        else
            hi = mid;
    }
    return &r->block[lo];
}

static uint32_t add(uint32_t n, int sign)
{
    return sign > 0 ? n + 1 : n ? n - 1 : 0;
}

void rank_add(struct db *db, struct box *b, const struct rowc *r, int sign)
{
    load_rows(db, b);
    struct rank_block *k = rank_block_of(&b->rows, r->date, r->id);
    k->n = add(k->n, sign);
    if (!(r->flags & FLAG_SEEN))
        k->unread = add(k->unread, sign);
    if (r->flags & FLAG_FLAGGED)
        k->flagged = add(k->flagged, sign);
    k->dirty = true;
}

void rank_change(struct db *db, struct box *b, const struct rowc *old, const struct rowc *now)
{
    uint32_t diff = old->flags ^ now->flags;
    if (!(diff & (FLAG_SEEN | FLAG_FLAGGED)))
        return;
    load_rows(db, b);
    struct rank_block *k = rank_block_of(&b->rows, now->date, now->id);
    if (diff & FLAG_SEEN)
        k->unread = add(k->unread, now->flags & FLAG_SEEN ? -1 : 1);
    if (diff & FLAG_FLAGGED)
        k->flagged = add(k->flagged, now->flags & FLAG_FLAGGED ? 1 : -1);
    k->dirty = true;
}

/* The upper half of block `at` becomes one of its own, from the row that `middle` finds on. False without one. */
static struct rank_block *rank_split(struct db *db, struct ranks *r, size_t at, const char *middle, int64_t box)
{
    struct rank_block *k = &r->block[at];
    struct rank_block fresh = {.dirty = true};
    sqlite3_stmt *st = q_ask(db, middle, "iiii", box, k->date, I(k->id), I(k->n / 2));
    if (!q_step(db, st))
        return NULL;
    fresh.date = sql_int(st, 0);
    fresh.id = sql_u64(st, 1);
    sqlite3_reset(st);
    fresh.n = k->n - k->n / 2;
    k->n -= fresh.n;
    k->dirty = true;
    rank_append(r, fresh);
    memmove(r->block + at + 2, r->block + at + 1, (r->n - at - 2) * sizeof *r->block);
    r->block[at + 1] = fresh;
    return &r->block[at + 1];
}

void rank_settle(struct db *db, struct box *b, int64_t date, uint64_t id)
{
    load_rows(db, b);
    struct ranks *r = &b->rows;
    size_t at = (size_t)(rank_block_of(r, date, id) - r->block);
    if (r->block[at].n <= RANK_BLOCK)
        return;
    struct rank_block *fresh = rank_split(
        db, r, at, "SELECT date,id FROM msg WHERE box=?1 AND (date,id)>=(?2,?3) ORDER BY date,id LIMIT 1 OFFSET ?4",
        I(b->id));
    if (!fresh)
        return;
    struct rank_block *k = &r->block[at];
    bool last = at + 2 == r->n;
    int64_t end_date = last ? INT64_MAX : fresh[1].date, end_id = last ? INT64_MAX : I(fresh[1].id), v;
    q_one(db, &v, "SELECT count(*) FROM msg WHERE box=? AND (flags & 1) = 0 AND (date,id)>=(?,?) AND (date,id)<(?,?)",
          "iiiii", I(b->id), fresh->date, I(fresh->id), end_date, end_id);
    fresh->unread = (uint32_t)v;
    q_one(db, &v, "SELECT count(*) FROM msg WHERE box=? AND (flags & 4) <> 0 AND (date,id)>=(?,?) AND (date,id)<(?,?)",
          "iiiii", I(b->id), fresh->date, I(fresh->id), end_date, end_id);
    fresh->flagged = (uint32_t)v;
    k->unread -= MIN(k->unread, fresh->unread);
    k->flagged -= MIN(k->flagged, fresh->flagged);
}

void rank_thread(struct db *db, struct box *b, uint64_t thread, const int64_t *was, const int64_t *now)
{
    struct ranks *r = &b->threads;
    if (!r->block) { /* counted as the table is, which has it already */
        load_threads(db, b);
        if (r->block[0].dirty)
            return;
    }
    if (was) {
        struct rank_block *k = rank_block_of(r, *was, thread);
        k->n = add(k->n, -1);
        k->dirty = true;
    }
    if (!now)
        return;
    struct rank_block *k = rank_block_of(r, *now, thread);
    k->n++;
    k->dirty = true;
    if (k->n > RANK_BLOCK)
        rank_split(db, r, (size_t)(k - r->block),
                   "SELECT newest,thread FROM thread WHERE box=?1 AND (newest,thread)>=(?2,?3) ORDER BY newest,thread "
                   "LIMIT 1 OFFSET ?4",
                   I(b->id));
}

static void flush(struct db *db, struct ranks *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct rank_block *k = &r->block[i];
        if (!k->n && i) { /* empty: its range falls to the block before */
            if (k->stored)
                q_run(db, "DELETE FROM rank WHERE box=? AND date=? AND id=?", "iii", r->key, k->date, I(k->id));
            continue;
        }
        if (k->dirty) {
            q_run(db, "INSERT OR REPLACE INTO rank(box,date,id,n,unread,flagged) VALUES(?,?,?,?,?,?)", "iiiiii", r->key,
                  k->date, I(k->id), I(k->n), I(k->unread), I(k->flagged));
            k->stored = true;
            k->dirty = false;
        }
        r->block[kept++] = *k;
    }
    r->n = kept;
}

void rank_flush(struct db *db, struct box *b)
{
    flush(db, &b->rows);
    flush(db, &b->threads);
}
