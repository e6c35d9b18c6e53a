/* Intents on flags of whole ranges of UIDs (a mailbox marked as read): no item for each message, one command, and they
 * hold for messages that have no row here yet. Where such messages lie among the ranges, the server is asked first
 * which of them are unread, so that undo gives back what was. */
#include "store/db_int.h"

#define SPAN_RANGES 4000 /* of one intent: what one step carries */

void spans_forget(struct db *db)
{
    for (size_t i = 0; i < db->nspans; i++)
        free(db->spans[i].uids);
    free(db->spans);
    db->spans = NULL;
    db->nspans = 0;
}

void spans_refresh(struct db *db)
{
    spans_forget(db);
    sqlite3_stmt *st =
        q_ask(db, "SELECT id,box,fset,fclear,uids FROM intent WHERE state<3 AND uids IS NOT NULL ORDER BY id", "");
    while (q_step(db, st)) {
        struct str uids = sql_str(st, 4);
        db->spans = mem_resize(db->spans, db->nspans + 1, sizeof *db->spans);
        db->spans[db->nspans++] = (struct span){.intent = sql_u64(st, 0),
                                                .box = sql_u64(st, 1),
                                                .set = sql_u32(st, 2),
                                                .clear = sql_u32(st, 3),
                                                .uids = mem_dup_n(uids.p, uids.n),
                                                .n = uids.n};
    }
}

static bool among(struct str ranges, uint32_t uid)
{
    size_t lo = 0, hi = ipc_ranges_count(ranges);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        uint32_t from, to;
        ipc_ranges_at(ranges, mid, &from, &to);
        if (uid < from)
            hi = mid;
        else if (uid > to)
            lo = mid + 1;
        else
            return true;
    }
    return false;
}

void spans_show(const struct db *db, struct rowc *r, uint64_t after, uint64_t before)
{
    for (size_t i = 0; i < db->nspans; i++) {
        const struct span *s = &db->spans[i];
        if (s->intent <= after || s->intent >= before || !r->uid || r->sbox != s->box || r->box != s->box ||
            !among((struct str){s->uids, s->n}, r->uid))
            continue;
        r->flags = (r->flags | s->set) & ~s->clear;
        r->state |= ROW_PENDING;
    }
}

bool span_before(const struct db *db, const struct intent *in)
{
    for (size_t i = 0; i < db->nspans; i++)
        if (db->spans[i].intent < in->id && db->spans[i].box == in->box)
            return true;
    return false;
}

/* The rows in the ranges that do not show `want` of the flags in `mask`; caller frees. */
static size_t rows_in(struct db *db, uint64_t box, struct str ranges, uint32_t mask, uint32_t want, uint64_t **ids_r)
{
    uint64_t *ids = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < ipc_ranges_count(ranges); i++) {
        uint32_t lo, hi;
        ipc_ranges_at(ranges, i, &lo, &hi);
        sqlite3_stmt *st =
            q_ask(db, "SELECT id FROM msg WHERE sbox=? AND suid BETWEEN ? AND ? AND suid>0 AND (flags & ?)<>?", "iiiii",
                  I(box), I(lo), I(hi), I(mask), I(want));
        while (q_step(db, st)) {
            if (n == cap)
                ids = mem_resize(ids, cap = cap ? cap * 2 : 256, sizeof *ids);
            ids[n++] = sql_u64(st, 0);
        }
    }
    *ids_r = ids;
    return n;
}

static uint32_t refresh_rows(struct db *db, const uint64_t *ids, size_t n)
{
    uint32_t changed = 0;
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct rowc was, is;
        bool had = row_load(db, ids[i], &was);
        row_refresh(db, ids[i]);
        changed += had && row_load(db, ids[i], &is) && is.flags != was.flags;
    }
    return changed;
}

static void span_insert(struct db *db, uint64_t group, uint32_t round, bool inverse, uint64_t box, uint32_t set,
                        uint32_t clear, bool ask, struct str uids)
{
    q_keep(db,
           "INSERT INTO intent(grp,round,inverse,kind,state,box,target,fset,fclear,arg,utf8,due,uids) "
           "VALUES(?,?,?,?,0,?,0,?,?,?,x'',0,?)",
           "iiiiiiiss", I(group), I(round), I(inverse), I(INTENT_FLAGS), I(box), I(set), I(clear),
           ask ? STR("?") : STR(""), uids);
    db->has_pending = true;
}

uint32_t make_span(struct maker *m, uint64_t box, uint32_t set, uint32_t clear, bool ask, struct str ranges)
{
    struct db *db = m->db;
    uint64_t *ids;
    size_t n = rows_in(db, box, ranges, set | clear, set, &ids);
    for (size_t at = 0; at < ranges.n; at += SPAN_RANGES * 8)
        span_insert(db, m->group, m->round, m->inverse, box, set, clear, ask,
                    str_sub(ranges, at, MIN(ranges.n, at + SPAN_RANGES * 8)));
    spans_refresh(db);
    uint32_t changed = refresh_rows(db, ids, n);
    free(ids);
    m->count += changed;
    return changed;
}

/* Everything but what is known to be read or elsewhere by now; gaps between unread ones are taken along. */
static void unread_ranges(struct db *db, const struct box *b, bool whole, struct buf *out)
{
    uint64_t lo = 1, last = 0;
    bool any = false;
    sqlite3_stmt *st = q_ask(
        db, "SELECT suid,box=sbox AND (flags & 1)=0 FROM msg WHERE sbox=? AND suid>0 ORDER BY suid", "i", I(b->id));
    while (q_step(db, st)) {
        uint32_t uid = sql_u32(st, 0);
        last = uid;
        if (sql_int(st, 1)) {
            any = true;
            continue;
        }
        if (uid > lo && (any || !whole))
            ipc_ranges_add(out, (uint32_t)lo, uid - 1);
        lo = (uint64_t)uid + 1;
        any = false;
    }
    uint64_t top = MAX(last, (uint64_t)MAX(b->next, b->uidnext) - (b->next || b->uidnext));
    if (lo <= top && (any || !whole))
        ipc_ranges_add(out, (uint32_t)lo, (uint32_t)top);
}

void make_all_read(struct maker *m, uint64_t box)
{
    struct db *db = m->db;
    struct box *b = box_ref(db, box);
    size_t n = 0, cap = 0;
    uint64_t *ids = NULL;
    if (!b)
        return;
    /* What is shown here and is not here yet on the server is changed one by one. */
    sqlite3_stmt *st = q_ask(db, "SELECT id FROM msg WHERE box=?1 AND (flags & 1)=0 AND (?2 OR sbox<>?1 OR suid=0)",
                             "ii", I(box), I(db->local));
    while (q_step(db, st)) {
        if (n == cap)
            ids = mem_resize(ids, cap = cap ? cap * 2 : 256, sizeof *ids);
        ids[n++] = sql_u64(st, 0);
    }
    for (size_t i = 0; i < n && !db->failed; i++)
        make_flags(m, ids[i], FLAG_SEEN, 0);
    free(ids);
    if (db->local)
        return;
    struct buf ranges = BUF_INIT(16u << 20);
    bool whole = b->filled && b->exists <= b->known;
    unread_ranges(db, b, whole, &ranges);
    if (ranges.n) {
        uint32_t unseen = b->unseen == UINT32_MAX ? 1 : b->unseen,
                 rows = make_span(m, box, FLAG_SEEN, 0, !whole, buf_str(&ranges));
        if (!whole && rows < unseen)
            m->count += unseen - rows; /* those without a row, as far as the server told their number */
    }
    buf_fini(&ranges);
}

bool db_span_narrow(struct db *db, uint64_t intent, struct str ranges, struct err *err)
{
    bool own;
    struct intent in;
    if (!call_enter(db, &own, err))
        return false;
    if (intent_load(db, intent, &in) && in.state < INTENT_DONE && in.uids.n) {
        uint64_t *ids;
        size_t n = rows_in(db, in.box, buf_str(&in.uids), 0, 1, &ids);
        q_keep(db, "UPDATE intent SET uids=?,arg=x'' WHERE id=?", "si", str_sub(ranges, 0, SPAN_RANGES * 8), I(intent));
        for (size_t at = SPAN_RANGES * 8; at < ranges.n; at += SPAN_RANGES * 8) {
            int64_t round = 0;
            q_one(db, &round, "SELECT round FROM intent WHERE id=?", "i", I(intent));
            span_insert(db, in.group, (uint32_t)round, in.inverse, in.box, in.set, in.clear, false,
                        str_sub(ranges, at, MIN(ranges.n, at + SPAN_RANGES * 8)));
        }
        if (!ranges.n)
            intent_set(db, intent, INTENT_DONE, ERR_NONE, "");
        spans_refresh(db);
        refresh_rows(db, ids, n);
        free(ids);
        intent_fini(&in);
    }
    return call_leave(db, own, err);
}

void span_done(struct db *db, const struct intent *in)
{
    uint64_t *ids;
    struct box *b = box_ref(db, in->box);
    size_t n = rows_in(db, in->box, buf_str(&in->uids), 0, 1, &ids);
    intent_set(db, in->id, INTENT_DONE, ERR_NONE, "");
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct rowc was, now;
        if (!row_load(db, ids[i], &was))
            continue;
        now = was;
        now.sflags = (was.sflags | in->set) & ~in->clear;
        row_shown(db, &now);
        if (now.sflags != was.sflags || now.flags != was.flags || now.state != was.state)
            row_store(db, &was, &now);
    }
    free(ids);
    if (b && (in->set & FLAG_SEEN)) { /* those without a row are read too */
        b->unseen = b->known_unread;
        box_touch(db, b);
    }
}

uint32_t span_end_without(struct db *db, const struct intent *in, enum intent_state state, enum err_kind kind,
                          const char *text)
{
    uint64_t *ids;
    size_t n = rows_in(db, in->box, buf_str(&in->uids), 0, 1, &ids);
    intent_set(db, in->id, state, kind, text);
    uint32_t changed = refresh_rows(db, ids, n);
    free(ids);
    return changed;
}

void spans_renumbered(struct db *db, uint64_t box)
{
    for (size_t i = db->nspans; i-- > 0;) {
        struct intent in;
        if (i >= db->nspans || db->spans[i].box != box || !intent_load(db, db->spans[i].intent, &in))
            continue;
        struct db_conflict c = {.group = in.group, .intent = in.id, .kind = in.kind, .why = ERR_NO_MESSAGE};
        snprintf(c.text, sizeof c.text, "the server renumbered the mailbox before it was marked read: do it again");
        conflict_note(db, &c);
        span_end_without(db, &in, INTENT_REFUSED, ERR_NO_MESSAGE, "the mailbox was renumbered");
        intent_fini(&in);
    }
}

void spans_recover(struct db *db)
{
    spans_refresh(db);
    for (size_t i = 0; i < db->nspans; i++) {
        uint64_t *ids;
        size_t n = rows_in(db, db->spans[i].box, (struct str){db->spans[i].uids, db->spans[i].n}, 0, 1, &ids);
        refresh_rows(db, ids, n);
        free(ids);
    }
}
