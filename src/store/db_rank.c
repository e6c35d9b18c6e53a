/* Rank of a row in its mailbox: counters per block of about a thousand rows, kept beside the rows, so that the scroll
 * bar, End and percent jumps cost the same at a thousand and at a million rows. */
#include "store/db_int.h"

static void rank_load(struct db *db, struct box *b)
{
    if (b->rank)
        return;
    b->rank_cap = 16;
    b->rank = mem_array(b->rank_cap, sizeof *b->rank);
    sqlite3_stmt *st =
        q_ask(db, "SELECT date,id,n,unread,flagged FROM rank WHERE box=? ORDER BY date,id", "i", I(b->id));
    while (q_step(db, st)) {
        if (b->nrank == b->rank_cap)
            b->rank = mem_resize(b->rank, b->rank_cap *= 2, sizeof *b->rank);
        b->rank[b->nrank++] = (struct rank_block){.date = sql_int(st, 0),
                                                  .id = sql_u64(st, 1),
                                                  .n = sql_u32(st, 2),
                                                  .unread = sql_u32(st, 3),
                                                  .flagged = sql_u32(st, 4),
                                                  .stored = true};
    }
    if (!b->nrank)
        b->rank[b->nrank++] = (struct rank_block){.date = INT64_MIN, .dirty = true};
}

static struct rank_block *rank_block_of(struct box *b, int64_t date, uint64_t id)
{
    size_t lo = 0, hi = b->nrank; /* the last block whose bound is not above the key */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        const struct rank_block *k = &b->rank[mid];
        if (k->date < date || (k->date == date && k->id <= id))
            lo = mid;
        else
            hi = mid;
    }
    return &b->rank[lo];
}

static uint32_t add(uint32_t n, int sign)
{
    return sign > 0 ? n + 1 : n ? n - 1 : 0;
}

void rank_add(struct db *db, struct box *b, const struct rowc *r, int sign)
{
    rank_load(db, b);
    struct rank_block *k = rank_block_of(b, r->date, r->id);
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
    rank_load(db, b);
    struct rank_block *k = rank_block_of(b, now->date, now->id);
    if (diff & FLAG_SEEN)
        k->unread = add(k->unread, now->flags & FLAG_SEEN ? -1 : 1);
    if (diff & FLAG_FLAGGED)
        k->flagged = add(k->flagged, now->flags & FLAG_FLAGGED ? 1 : -1);
    k->dirty = true;
}

void rank_settle(struct db *db, struct box *b, int64_t date, uint64_t id)
{
    rank_load(db, b);
    struct rank_block *k = rank_block_of(b, date, id);
    if (k->n <= RANK_BLOCK)
        return;
    size_t at = (size_t)(k - b->rank);
    struct rank_block fresh = {.dirty = true};
    int64_t end_date = at + 1 < b->nrank ? k[1].date : INT64_MAX, end_id = at + 1 < b->nrank ? I(k[1].id) : INT64_MAX,
            v;
    sqlite3_stmt *st =
        q_ask(db, "SELECT date,id FROM msg WHERE box=?1 AND (date,id)>=(?2,?3) ORDER BY date,id LIMIT 1 OFFSET ?4",
              "iiii", I(b->id), k->date, I(k->id), I(k->n / 2));
    if (!q_step(db, st))
        return;
    fresh.date = sql_int(st, 0);
    fresh.id = sql_u64(st, 1);
    sqlite3_reset(st);
    fresh.n = k->n - k->n / 2;
    q_one(db, &v, "SELECT count(*) FROM msg WHERE box=? AND (flags & 1) = 0 AND (date,id)>=(?,?) AND (date,id)<(?,?)",
          "iiiii", I(b->id), fresh.date, I(fresh.id), end_date, end_id);
    fresh.unread = (uint32_t)v;
    q_one(db, &v, "SELECT count(*) FROM msg WHERE box=? AND (flags & 4) <> 0 AND (date,id)>=(?,?) AND (date,id)<(?,?)",
          "iiiii", I(b->id), fresh.date, I(fresh.id), end_date, end_id);
    fresh.flagged = (uint32_t)v;
    k->n -= fresh.n;
    k->unread -= MIN(k->unread, fresh.unread);
    k->flagged -= MIN(k->flagged, fresh.flagged);
    k->dirty = true;
    if (b->nrank == b->rank_cap)
        b->rank = mem_resize(b->rank, b->rank_cap *= 2, sizeof *b->rank);
    memmove(b->rank + at + 2, b->rank + at + 1, (b->nrank - at - 1) * sizeof *b->rank);
    b->rank[at + 1] = fresh;
    b->nrank++;
}

void rank_flush(struct db *db, struct box *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->nrank; i++) {
        struct rank_block *k = &b->rank[i];
        if (!k->n && i) { /* empty: its range falls to the block before */
            if (k->stored)
                q_run(db, "DELETE FROM rank WHERE box=? AND date=? AND id=?", "iii", I(b->id), k->date, I(k->id));
            continue;
        }
        if (k->dirty) {
            q_run(db, "INSERT OR REPLACE INTO rank(box,date,id,n,unread,flagged) VALUES(?,?,?,?,?,?)", "iiiiii",
                  I(b->id), k->date, I(k->id), I(k->n), I(k->unread), I(k->flagged));
            k->stored = true;
            k->dirty = false;
        }
        b->rank[kept++] = *k;
    }
    if (b->rank)
        b->nrank = kept;
}
