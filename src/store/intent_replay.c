/* Intents on their way to the server: which may go, in what company, and what became of them. */
#include "store/db_int.h"

#define SCAN_MAX 4000 /* pending intents looked at for one batch */
#define BOX_OPS_MAX 64

void db_batch_free(struct batch_mem **bp)
{
    struct batch_mem *b = *bp;
    if (!b)
        return;
    free(b->intents);
    free(b->items);
    arena_free(&b->text);
    free(b);
    *bp = NULL;
}

struct batch_mem *db_batch_take(struct db *db)
{
    struct batch_mem *m = db->batch;
    db->batch = NULL;
    return m;
}

/* ---- ends --------------------------------------------------------------------------------------- */

void intent_set(struct db *db, uint64_t intent, enum intent_state state, enum err_kind why, const char *text)
{
    bool final = state >= INTENT_DONE;
    q_keep(db, "UPDATE intent SET state=?,why=?,text=?,ended=? WHERE id=?", "iinii", I(state), I(why), str_z(text),
           I(final ? clock_wall() : 0), I(intent));
    if (final)
        pending_refresh_flag(db);
}

void item_end(struct db *db, uint64_t intent, uint64_t msg, enum item_state state)
{
    q_keep(db, "UPDATE item SET state=? WHERE intent=? AND msg=? AND state=0", "iii", I(state), I(intent), I(msg));
}

void intent_settle(struct db *db, uint64_t intent, enum err_kind why, const char *text)
{
    int64_t state, done;
    if (!q_one(db, &state, "SELECT state FROM intent WHERE id=?", "i", I(intent)) || state >= INTENT_DONE)
        return;
    if (q_one(db, &done, "SELECT 1 FROM item WHERE intent=? AND state=0 LIMIT 1", "i", I(intent)))
        return;
    bool any = q_one(db, &done, "SELECT 1 FROM item WHERE intent=? AND state=1 LIMIT 1", "i", I(intent));
    intent_set(db, intent, any ? INTENT_DONE : INTENT_REFUSED, any ? ERR_NONE : why, any ? "" : text);
}

static void conflict(struct db *db, const struct intent *in, uint64_t msg, enum err_kind why, const char *text)
{
    struct db_conflict c = {.group = in->group, .intent = in->id, .msg = msg, .kind = in->kind, .why = why};
    sqlite3_stmt *st = q_ask(db, "SELECT subject FROM msg WHERE id=?", "i", I(msg));
    struct buf subject = BUF_INIT(200);
    if (msg && q_step(db, st)) {
        buf_addf(&subject, "\"%.*s\" in ", STR_FMT(str_sub(sql_str(st, 0), 0, 120)));
        sqlite3_reset(st);
    }
    struct box *b = box_ref(db, in->box);
    snprintf(c.text, sizeof c.text, "%s%.*s: %s", buf_z(&subject), b ? (int)MIN(b->utf8_n, (size_t)100) : 1,
             b ? b->utf8 : "?", text);
    buf_fini(&subject);
    conflict_note(db, &c);
}

struct pending {
    uint64_t intent;
    enum intent_kind kind;
    enum intent_state state;
};

/* The pending intents of one message, in order. */
static size_t pending_of(struct db *db, uint64_t msg, struct pending *p, size_t max)
{
    size_t n = 0;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT i.id,i.kind,i.state FROM item t CROSS JOIN intent i ON i.id=t.intent WHERE "
                             "t.msg=? AND t.state=0 AND i.state<3 ORDER BY t.intent",
                             "i", I(msg));
    while (q_step(db, st))
        if (n < max)
            p[n++] =
                (struct pending){sql_u64(st, 0), (enum intent_kind)sql_int(st, 1), (enum intent_state)sql_int(st, 2)};
    return n;
}

bool intent_explains_gone(struct db *db, uint64_t msg)
{
    struct pending p[64];
    if (claim_waits(db, msg)) /* the device that has it was quicker */
        claim_lost(db, msg);
    size_t n = pending_of(db, msg, p, COUNT(p));
    for (size_t i = 0; i < n; i++)
        if (p[i].kind == INTENT_MOVE && (p[i].state == INTENT_SENT || p[i].state == INTENT_UNKNOWN))
            return true;
    for (size_t i = 0; i < n; i++) {
        struct intent in;
        if (!intent_load(db, p[i].intent, &in))
            continue;
        bool meant = in.kind == INTENT_PURGE;
        item_end(db, in.id, msg, meant ? ITEM_DONE : ITEM_REFUSED);
        if (!meant)
            conflict(
                db, &in, msg, ERR_NO_MESSAGE,
                "the message was removed from the mailbox by another program before the change reached the server");
        intent_settle(db, in.id, ERR_NO_MESSAGE, "the message was gone");
        intent_fini(&in);
    }
    return false;
}

void intent_row_arrived(struct db *db, uint64_t msg, uint64_t box)
{
    uint64_t intents[8], msgs[8];
    size_t n = 0;
    sqlite3_stmt *st = q_ask(db,
                             "SELECT i.id,t.msg FROM item t CROSS JOIN intent i ON i.id=t.intent WHERE t.msg=?1 AND "
                             "t.state=0 AND i.state IN (1,2) AND i.target=?2 AND i.kind IN (?3,?4)"
                             " UNION SELECT i.id,t.msg FROM item t JOIN intent i ON i.id=t.intent WHERE t.copy=?1 AND "
                             "t.copy>0 AND t.state=0 AND i.state IN (1,2) AND i.target=?2",
                             "iiii", I(msg), I(box), I(INTENT_MOVE), I(INTENT_APPEND));
    while (q_step(db, st))
        if (n < COUNT(intents)) {
            intents[n] = sql_u64(st, 0);
            msgs[n++] = sql_u64(st, 1);
        }
    for (size_t i = 0; i < n; i++) {
        item_end(db, intents[i], msgs[i], ITEM_DONE);
        intent_settle(db, intents[i], ERR_NONE, "");
        row_refresh(db, msgs[i]);
    }
    row_refresh(db, msg);
}

/* ---- choosing a batch --------------------------------------------------------------------------- */

struct chooser {
    struct db *db;
    struct intent *pending;
    size_t n;
    uint64_t ops[BOX_OPS_MAX]; /* mailboxes with an earlier creation, renaming or deletion */
    size_t nops;
};

static bool op_before(const struct chooser *c, uint64_t box)
{
    for (size_t i = 0; box && i < c->nops; i++)
        if (c->ops[i] == box)
            return true;
    return c->nops == BOX_OPS_MAX && box;
}

static bool earlier_on_same(struct db *db, uint64_t intent)
{
    int64_t one;
    return q_one(db, &one,
                 "SELECT 1 FROM item a CROSS JOIN item b ON b.msg=a.msg AND b.intent<a.intent CROSS JOIN intent j ON "
                 "j.id=b.intent WHERE a.intent=? AND a.state=0 AND b.state=0 AND j.state<3 LIMIT 1",
                 "i", I(intent)) ||
           q_one(db, &one,
                 "SELECT 1 FROM item a CROSS JOIN item b ON b.copy=a.msg AND b.copy>0 AND b.intent<a.intent CROSS JOIN "
                 "intent j ON j.id=b.intent WHERE a.intent=? AND a.state=0 AND b.state=0 AND j.state<3 LIMIT 1",
                 "i", I(intent));
}

static bool earlier_on_box(struct db *db, const struct intent *in)
{
    int64_t one;
    return q_one(db, &one, "SELECT 1 FROM intent WHERE state<3 AND id<? AND (box=? OR target=?) LIMIT 1", "iii",
                 I(in->id), I(in->box), I(in->box));
}

/* What an APPEND replaces goes when the new form is there, not before. */
static bool replacement_under_way(struct db *db, const struct intent *in)
{
    int64_t one;
    return in->kind == INTENT_PURGE &&
           q_one(db, &one, "SELECT 1 FROM intent WHERE grp=? AND kind=? AND state<3 LIMIT 1", "ii", I(in->group),
                 I(INTENT_APPEND));
}

bool db_append_replaces(struct db *db, uint64_t intent, uint64_t box, uint32_t *uid_r, struct err *err)
{
    bool own;
    int64_t uid = 0;
    *uid_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct box *b = box_ref(db, box);
    if (b && b->uidvalidity &&
        q_one(
            db, &uid,
            "SELECT h.uid FROM intent a CROSS JOIN intent p ON p.grp=a.grp CROSS JOIN item t ON t.intent=p.id CROSS "
            "JOIN held h ON h.msg=t.msg WHERE a.id=? AND p.kind=? AND p.state=0 AND t.state=0 AND h.box=? AND h.uidv=? "
            "AND h.uid>0 LIMIT 1",
            "iiii", I(intent), I(INTENT_PURGE), I(box), I(b->uidvalidity)))
        *uid_r = (uint32_t)uid;
    return call_leave(db, own, err);
}

static bool may_go(struct chooser *c, struct intent *in)
{
    if (in->state != INTENT_QUEUED || op_before(c, in->box) || op_before(c, in->target))
        return false;
    if (intent_on_box(in->kind))
        return !earlier_on_box(c->db, in);
    struct box *target = box_ref(c->db, in->target);
    if (target && target->creating)
        return false;
    int64_t one;
    if (in->uids.n && q_one(c->db, &one, "SELECT 1 FROM intent WHERE state<3 AND id<? AND box=? AND kind=? LIMIT 1",
                            "iii", I(in->id), I(in->box), I(INTENT_FLAGS)))
        return false;
    return !earlier_on_same(c->db, in->id) && !replacement_under_way(c->db, in) && intent_place(c->db, in) &&
           !op_before(c, in->box) && !span_before(c->db, in);
}

bool intents_merge(const struct intent *a, const struct intent *b)
{
    return a->kind == b->kind && !a->uids.n && !b->uids.n && !intent_on_box(a->kind) && a->kind != INTENT_APPEND &&
           a->box == b->box && a->target == b->target && a->set == b->set && a->clear == b->clear &&
           str_eq(buf_str(&a->arg), buf_str(&b->arg));
}

static int by_uid(const void *a, const void *b)
{
    const struct db_item *x = a, *y = b;
    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return (x->msg > y->msg) - (x->msg < y->msg);
}

static struct str keep_str(struct batch_mem *m, struct str s)
{
    char *p = arena_dup(m->text, s.p, s.n);
    return p ? (struct str){p, s.n} : STR("");
}

/* What is sent comes from keep.db alone, so that it can be sent also when cache.db is lost (with it, only the server's
 * ids for messages). */
void batch_items(struct db *db, struct batch_mem *m, const struct intent *in, uint32_t *uidvalidity)
{
    struct box *b = box_ref(db, in->box);
    sqlite3_stmt *st = q_ask(db,
                             "SELECT t.msg,t.copy,h.box,h.uidv,h.uid,h.name,h.msgid,h.size,h.idate,(SELECT emailid "
                             "FROM msg WHERE id=t.msg),(SELECT kw FROM msg WHERE id=t.msg) FROM item t LEFT "
                             "JOIN held h ON h.msg=t.msg WHERE t.intent=? AND t.state=0",
                             "i", I(in->id));
    while (q_step(db, st)) {
        if (m->nitems == m->items_cap)
            m->items = mem_resize(m->items, m->items_cap = m->items_cap ? m->items_cap * 2 : 64, sizeof *m->items);
        struct db_item *t = &m->items[m->nitems++];
        *t = (struct db_item){.intent = in->id,
                              .msg = sql_u64(st, 0),
                              .copy = sql_u64(st, 1),
                              .msgid = keep_str(m, sql_str(st, 6)),
                              .emailid = keep_str(m, sql_str(st, 9)),
                              .size = sql_u64(st, 7),
                              .internal_date = sql_int(st, 8),
                              .keywords = in->kind == INTENT_APPEND ? keep_str(m, sql_str(st, 10)) : STR(""),
                              .name = STR("")};
        uint32_t uidv = sql_u32(st, 3);
        bool here = sql_u64(st, 2) == in->box && in->kind != INTENT_APPEND;
        if (here && sql_u32(st, 4) && (!b || !b->uidvalidity || b->uidvalidity == uidv) &&
            (!*uidvalidity || *uidvalidity == uidv)) {
            t->uid = sql_u32(st, 4);
            *uidvalidity = uidv;
        }
        if (here)
            t->name = keep_str(m, sql_str(st, 5));
    }
}

void batch_fill(struct db *db, const struct intent *first, struct db_batch *r)
{
    struct batch_mem *m = db->batch;
    struct box *b = box_ref(db, first->box), *t = box_ref(db, first->target);
    if (m->nitems)
        qsort(m->items, m->nitems, sizeof *m->items, by_uid);
    r->kind = first->kind;
    r->box = first->box;
    r->target = first->target;
    r->set = first->set;
    r->clear = first->clear;
    r->uids = keep_str(m, buf_str(&first->uids));
    r->arg = keep_str(m, buf_str(&first->arg));
    r->utf8 = keep_str(m, buf_str(&first->utf8));
    r->box_name = b ? keep_str(m, (struct str){b->name, b->name_n}) : STR("");
    r->target_next = first->state == INTENT_UNKNOWN ? first->next : t ? t->next : 0;
    r->target_name = t ? keep_str(m, (struct str){t->name, t->name_n}) : STR("");
    r->intents = m->intents;
    r->nintents = m->nintents;
    r->items = m->items;
    r->nitems = m->nitems;
}

void batch_begin(struct db *db, struct db_batch *r)
{
    db_batch_free(&db->batch);
    db->batch = mem_new(sizeof *db->batch);
    db->batch->text = arena_new(64u << 20);
    memset(r, 0, sizeof *r);
    r->arg = r->utf8 = r->uids = r->box_name = r->target_name = STR("");
}

size_t intents_pending(struct db *db, struct intent **list_r)
{
    uint64_t *ids = mem_array(SCAN_MAX, sizeof *ids);
    size_t n = 0, kept = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT id FROM intent WHERE state<3 ORDER BY id LIMIT ?", "i", I(SCAN_MAX));
    while (q_step(db, st) && n < SCAN_MAX)
        ids[n++] = sql_u64(st, 0);
    struct intent *list = mem_array(n ? n : 1, sizeof *list);
    for (size_t i = 0; i < n; i++)
        if (intent_load(db, ids[i], &list[kept]))
            kept++;
    free(ids);
    *list_r = list;
    return kept;
}

/* Told once for each mailbox. */
static void tags_stay_told(struct db *db, const struct intent *in, const char *why)
{
    struct box *b = box_ref(db, in->box);
    char text[300];
    if (db->local || !b || b->told)
        return;
    b->told = true;
    box_touch(db, b);
    snprintf(text, sizeof text, "%s; they are kept on this machine alone",
             *why       ? why
             : b->keeps ? "the server keeps not all tags there"
                        : "the server keeps no tags there");
    conflict(db, in, 0, ERR_NONE, text);
}

/* A mailbox that does not keep these keywords: the tags are kept here alone, nothing goes to the server. */
static bool done_here(struct db *db, const struct intent *in)
{
    struct box *b = box_ref(db, in->box);
    struct err e = ERR_INIT;
    if (in->kind != INTENT_TAGS || !b || b->keywords_ok)
        return false;
    struct buf wire = BUF_INIT(16384), all = BUF_INIT(16384);
    tags_wire(db, b, buf_str(&in->arg), &wire);
    tags_wire(db, NULL, buf_str(&in->arg), &all);
    bool here = !wire.n || db->labels;
    if (here || wire.n < all.n)
        tags_stay_told(db, in, "");
    if (here)
        db_intents_done(db, &in->id, 1, &e);
    buf_fini(&wire);
    buf_fini(&all);
    return here;
}

bool db_tags_stay(struct db *db, const uint64_t *intents, size_t n, const char *why, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct intent in;
        size_t k;
        if (!intent_load(db, intents[i], &in))
            continue;
        tags_stay_told(db, &in, why);
        struct item *items = items_load(db, in.id, &k);
        for (size_t j = 0; j < k; j++) {
            item_end(db, in.id, items[j].msg, ITEM_DONE);
            row_refresh(db, items[j].msg);
        }
        items_free(items, k);
        intent_settle(db, in.id, ERR_NONE, "");
        intent_fini(&in);
    }
    return call_leave(db, own, err);
}

bool db_tags_wire(struct db *db, uint64_t box, struct str tags, struct buf *out, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    tags_wire(db, box_ref(db, box), tags, out);
    return call_leave(db, own, err);
}

bool db_intent_next(struct db *db, int64_t now, unsigned max, struct db_batch *batch_r, int64_t *due_r, struct err *err)
{
    bool own;
    int64_t due = 0;
    batch_begin(db, batch_r);
    if (due_r)
        *due_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct chooser c = {.db = db};
    c.n = intents_pending(db, &c.pending);
    struct batch_mem *m = db->batch;
    m->intents = mem_array(c.n ? c.n : 1, sizeof *m->intents);
    const struct intent *first = NULL;
    size_t limit = MAX(max, ITEMS_PER_INTENT);
    for (size_t i = 0; i < c.n && !db->failed; i++) {
        struct intent *in = &c.pending[i];
        bool wait = in->state == INTENT_QUEUED && in->due > now;
        if (wait)
            due = !due || in->due < due ? in->due : due;
        if (!wait && (!first || intents_merge(first, in)) && may_go(&c, in) && (!first || intents_merge(first, in)) &&
            !done_here(db, in)) {
            int64_t n = 0;
            q_one(db, &n, "SELECT count(*) FROM item WHERE intent=? AND state=0", "i", I(in->id));
            if (!first || m->nitems + (size_t)n <= limit) {
                first = first ? first : in;
                m->intents[m->nintents++] = in->id;
                batch_items(db, m, in, &batch_r->uidvalidity);
            }
        }
        if (intent_on_box(in->kind) && c.nops < BOX_OPS_MAX)
            c.ops[c.nops++] = in->box;
    }
    if (first)
        batch_fill(db, first, batch_r);
    for (size_t i = 0; i < c.n; i++)
        intent_fini(&c.pending[i]);
    free(c.pending);
    if (due_r)
        *due_r = due;
    return call_leave(db, own, err);
}

/* ---- what became of them ------------------------------------------------------------------------ */

bool db_intents_sent(struct db *db, const uint64_t *intents, size_t n, struct err *err)
{
    bool own;
    int64_t target = 0;
    if (!call_enter(db, &own, err))
        return false;
    if (n)
        q_one(db, &target, "SELECT coalesce(target,0) FROM intent WHERE id=?", "i", I(intents[0]));
    struct box *b = box_ref(db, (uint64_t)target);
    for (size_t i = 0; i < n; i++)
        q_keep(db, "UPDATE intent SET state=1,tnext=? WHERE id=? AND state=0", "ii", I(b ? b->next : 0), I(intents[i]));
    return call_leave(db, own, err);
}

bool db_intents_requeue(struct db *db, const uint64_t *intents, size_t n, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n; i++)
        q_keep(db, "UPDATE intent SET state=0 WHERE id=? AND state IN (1,2)", "i", I(intents[i]));
    return call_leave(db, own, err);
}

/* The message of `item` is in the target: at that UID or name, or nobody said where. */
static void arrived(struct db *db, const struct intent *in, const struct item *t, uint32_t uidv, uint32_t uid,
                    struct str name)
{
    uint64_t row = in->kind == INTENT_MOVE ? t->msg : t->copy;
    struct box *b = box_ref(db, in->target);
    item_end(db, in->id, t->msg, ITEM_DONE);
    if (b && !uid && !name.n)
        b->next = 0; /* what came here is not told from what was */
    if (uid && b && b->uidvalidity != uidv) {
        if (b->uidvalidity || b->known)
            uid = 0; /* another life of the mailbox than the one we know */
        else
            b->uidvalidity = uidv, box_touch(db, b);
    }
    struct rowc r;
    if (!row_load(db, row, &r)) {
        held_place(db, row, in->target, uidv, uid, name);
    } else if (uid || name.n || r.sbox != in->target || !(r.uid || r.named)) {
        row_place(db, row, in->target, uid, name);
    } else {
        row_refresh(db, row);
    }
    if (row != t->msg)
        row_refresh(db, t->msg);
}

bool db_item_moved(struct db *db, uint64_t intent, uint64_t msg, uint32_t uidvalidity, uint32_t uid, struct str name,
                   struct err *err)
{
    bool own;
    struct intent in;
    if (!call_enter(db, &own, err))
        return false;
    if (intent_load(db, intent, &in)) {
        size_t n;
        struct item *items = items_load(db, intent, &n);
        for (size_t i = 0; i < n; i++)
            if ((items[i].msg == msg || (in.kind == INTENT_APPEND && !msg)) && items[i].state <= ITEM_DONE &&
                (in.kind == INTENT_MOVE || items[i].copy))
                if (items[i].state == ITEM_PENDING || uid || name.n)
                    arrived(db, &in, &items[i], uidvalidity, uid, str_sub(name, 0, 255));
        items_free(items, n);
        intent_settle(db, intent, ERR_NONE, "");
        intent_fini(&in);
    }
    return call_leave(db, own, err);
}

bool db_copy_begins(struct db *db, uint64_t copy, uint64_t *key_r)
{
    bool again = copy <= db->copies;
    db->copies = MAX(db->copies, copy);
    *key_r = sql_hash(&db->q, (struct str){(const char *)&copy, sizeof copy});
    *key_r += *key_r == 0; /* which says that there is none */
    return again;
}

bool db_item_found(struct db *db, uint64_t msg, uint64_t box, uint32_t uidvalidity, uint32_t uid, struct err *err)
{
    bool own;
    struct rowc r;
    if (!call_enter(db, &own, err))
        return false;
    struct box *b = box_ref(db, box);
    bool same_life = b && (b->uidvalidity == uidvalidity || !b->uidvalidity);
    if (same_life && row_load(db, msg, &r))
        row_place(db, msg, box, uid, STR(""));
    held_place(db, msg, box, uidvalidity, uid, STR(""));
    return call_leave(db, own, err);
}

bool db_item_failed(struct db *db, uint64_t intent, uint64_t msg, enum err_kind kind, const char *text, struct err *err)
{
    bool own;
    int64_t copy = 0;
    if (!call_enter(db, &own, err))
        return false;
    q_one(db, &copy, "SELECT copy FROM item WHERE intent=? AND msg=?", "ii", I(intent), I(msg));
    item_end(db, intent, msg, ITEM_REFUSED);
    row_refresh(db, msg);
    if (copy)
        row_refresh(db, (uint64_t)copy);
    intent_settle(db, intent, kind, text);
    return call_leave(db, own, err);
}

bool db_item_pending(struct db *db, uint64_t intent, uint64_t msg, bool *pending_r, struct err *err)
{
    bool own;
    int64_t one;
    if (!call_enter(db, &own, err))
        return false;
    *pending_r = q_one(db, &one, "SELECT 1 FROM item WHERE intent=? AND msg=? AND state=0", "ii", I(intent), I(msg));
    return call_leave(db, own, err);
}

bool db_item_stands(struct db *db, uint64_t intent, uint64_t msg, uint32_t uid, bool *stands_r, struct err *err)
{
    bool own;
    int64_t one;
    if (!call_enter(db, &own, err))
        return false;
    *stands_r = q_one(db, &one,
                      "SELECT 1 FROM item t CROSS JOIN held h ON h.msg=t.msg WHERE t.intent=? AND t.msg=? AND "
                      "t.state=0 AND h.uid=?",
                      "iii", I(intent), I(msg), I(uid));
    return call_leave(db, own, err);
}

/* ---- the end of a command ----------------------------------------------------------------------- */

static void done_item(struct db *db, const struct intent *in, const struct item *t)
{
    struct rowc r, now;
    if (in->kind == INTENT_MOVE || in->kind == INTENT_COPY || in->kind == INTENT_APPEND) {
        arrived(db, in, t, 0, 0, STR(""));
        return;
    }
    item_end(db, in->id, t->msg, ITEM_DONE);
    if (!row_load(db, t->msg, &r))
        return;
    if (in->kind == INTENT_PURGE) {
        row_delete(db, &r);
        return;
    }
    now = r;
    if (in->kind == INTENT_FLAGS)
        now.sflags = (r.sflags | in->set) & ~in->clear;
    if (in->kind == INTENT_TAGS && t->tags && !db->local)
        tags_told(db, t->msg, str_z(t->tags));
    row_shown(db, &now);
    row_store(db, &r, &now);
}

/* Server names below a renamed mailbox change with it (RFC 9051 6.3.6). */
static void renamed(struct db *db, const struct intent *in)
{
    struct err e = ERR_INIT;
    struct box *b = box_ref(db, in->box);
    if (!b)
        return;
    struct buf prefix = BUF_INIT(2048);
    char delim = b->delim;
    buf_adds(&prefix, buf_str(&in->old));
    buf_addc(&prefix, delim);
    boxes_load(db);
    db_box_renamed(db, in->box, buf_str(&in->arg), buf_str(&in->utf8), &e);
    for (size_t i = 0; delim && i < db->boxes.cap; i++) {
        struct box *k = db->boxes.slots[i].key ? db->boxes.slots[i].value : NULL;
        if (!k || !str_starts((struct str){k->name, k->name_n}, buf_str(&prefix)))
            continue;
        struct buf name = BUF_INIT(2048), utf8 = BUF_INIT(2048);
        size_t old_shown = in->old_utf8.n;
        buf_adds(&name, buf_str(&in->arg));
        buf_adds(&name, str_sub((struct str){k->name, k->name_n}, in->old.n, k->name_n));
        buf_adds(&utf8, buf_str(&in->utf8));
        buf_adds(&utf8, str_sub((struct str){k->utf8, k->utf8_n}, MIN(old_shown, k->utf8_n), k->utf8_n));
        db_box_renamed(db, k->id, buf_str(&name), buf_str(&utf8), &e);
        buf_fini(&name);
        buf_fini(&utf8);
    }
    buf_fini(&prefix);
}

void intent_box_done(struct db *db, const struct intent *in)
{
    struct box *b = box_ref(db, in->box);
    intent_set(db, in->id, INTENT_DONE, ERR_NONE, "");
    if (!b)
        return;
    if (in->kind == INTENT_BOX_RENAME) {
        renamed(db, in);
    } else if (in->kind == INTENT_BOX_DELETE) {
        box_remove(db, b);
    } else if (in->kind == INTENT_BOX_CREATE) {
        b->creating = false;
        b->listed = db->list_no;
        if (!db->local) /* a Maildir counts nothing but its rows */
            b->exists = b->unseen = 0;
        q_keep(db, "UPDATE boxid SET creating=0 WHERE id=?", "i", I(b->id));
        box_touch(db, b);
    }
}

bool db_intents_done(struct db *db, const uint64_t *intents, size_t n, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct intent in;
        size_t k;
        if (!intent_load(db, intents[i], &in))
            continue;
        if (in.state < INTENT_DONE && intent_on_box(in.kind)) {
            intent_box_done(db, &in);
        } else if (in.state < INTENT_DONE && in.uids.n) {
            span_done(db, &in);
        } else if (in.state < INTENT_DONE) {
            struct item *items = items_load(db, in.id, &k);
            for (size_t j = 0; j < k && !db->failed; j++)
                if (items[j].state == ITEM_PENDING)
                    done_item(db, &in, &items[j]);
            items_free(items, k);
            intent_settle(db, in.id, ERR_NONE, "");
        }
        intent_fini(&in);
    }
    return call_leave(db, own, err);
}

static void refused_box(struct db *db, const struct intent *in, enum intent_state state, enum err_kind kind,
                        const char *text)
{
    struct box *b = box_ref(db, in->box);
    intent_set(db, in->id, state, kind, text);
    if (!b)
        return;
    if (in->kind == INTENT_BOX_CREATE) {
        box_remove(db, b);
        return;
    }
    if (in->kind == INTENT_BOX_DELETE) {
        b->hidden = false;
    } else if (in->kind != INTENT_BOX_RENAME) {
        b->attrs ^= BOX_SUBSCRIBED;
    } else {
        free(b->utf8);
        b->utf8 = mem_dup_n(buf_z(&in->old_utf8), in->old_utf8.n);
        b->utf8_n = in->old_utf8.n;
    }
    db->list_changed = true;
    box_touch(db, b);
}

/* Ends a pending intent without effect: rows show again what the server has. */
static void end_without(struct db *db, const struct intent *in, enum intent_state state, enum err_kind kind,
                        const char *text)
{
    if (intent_on_box(in->kind)) {
        refused_box(db, in, state, kind, text);
        return;
    }
    if (in->uids.n) {
        span_end_without(db, in, state, kind, text);
        return;
    }
    size_t n;
    struct item *items = items_load(db, in->id, &n);
    bool any_done = false;
    q_keep(db, "UPDATE item SET state=? WHERE intent=? AND state=0", "ii",
           I(state == INTENT_DROPPED ? ITEM_DROPPED : ITEM_REFUSED), I(in->id));
    for (size_t i = 0; i < n; i++)
        any_done = any_done || items[i].state == ITEM_DONE;
    intent_set(db, in->id, any_done ? INTENT_DONE : state, kind, text);
    if (in->kind == INTENT_APPEND && state == INTENT_DROPPED && !any_done && in->arg.n) {
        buf_adds(&db->unfiled, buf_str(&in->arg));
        buf_addc(&db->unfiled, '\0');
    }
    for (size_t i = 0; i < n && !db->failed; i++) {
        if (items[i].state != ITEM_PENDING)
            continue;
        row_refresh(db, items[i].msg);
        if (items[i].copy)
            row_refresh(db, items[i].copy);
    }
    items_free(items, n);
}

void intent_end_without(struct db *db, uint64_t intent, enum intent_state state, enum err_kind kind, const char *text)
{
    struct intent in;
    if (!intent_load(db, intent, &in))
        return;
    if (in.state < INTENT_DONE)
        end_without(db, &in, state, kind, text);
    intent_fini(&in);
}

/* An APPEND that failed replaces nothing. */
static void replaced_keep(struct db *db, uint64_t append)
{
    uint64_t ids[16];
    size_t n = 0;
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT p.id FROM intent a CROSS JOIN intent p ON p.grp=a.grp WHERE a.id=? AND a.kind=? AND "
              "p.kind=? AND p.state<3",
              "iii", I(append), I(INTENT_APPEND), I(INTENT_PURGE));
    while (q_step(db, st))
        if (n < COUNT(ids))
            ids[n++] = sql_u64(st, 0);
    for (size_t i = 0; i < n; i++)
        intent_end_without(db, ids[i], INTENT_DROPPED, ERR_NONE, "");
}

bool db_intents_refused(struct db *db, const uint64_t *intents, size_t n, enum err_kind kind, const char *text,
                        struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n && !db->failed; i++) {
        intent_end_without(db, intents[i], INTENT_REFUSED, kind, text);
        replaced_keep(db, intents[i]);
    }
    return call_leave(db, own, err);
}

static size_t ids_of(struct db *db, sqlite3_stmt *st, uint64_t **ids_r)
{
    size_t n = 0, cap = 0;
    *ids_r = NULL;
    while (q_step(db, st)) {
        if (n == cap)
            *ids_r = mem_resize(*ids_r, cap = cap ? cap * 2 : 32, sizeof **ids_r);
        (*ids_r)[n++] = sql_u64(st, 0);
    }
    return n;
}

void intent_box_gone(struct db *db, uint64_t box)
{
    uint64_t *ids;
    if (!db->has_pending)
        return;
    size_t n = ids_of(
        db, q_ask(db, "SELECT id FROM intent WHERE state<3 AND (box=?1 OR target=?1) ORDER BY id DESC", "i", I(box)),
        &ids);
    for (size_t i = 0; i < n && !db->failed; i++) {
        struct intent in;
        if (!intent_load(db, ids[i], &in))
            continue;
        if (in.state < INTENT_DONE) {
            bool meant = in.kind == INTENT_BOX_DELETE && in.box == box;
            if (!meant)
                conflict(db, &in, 0, ERR_NO_MAILBOX,
                         in.box == box ? "the mailbox does not exist any more"
                                       : "the target does not exist any more; choose another mailbox");
            if (intent_on_box(in.kind))
                intent_set(db, in.id, meant ? INTENT_DONE : INTENT_REFUSED, meant ? ERR_NONE : ERR_NO_MAILBOX, "");
            else
                end_without(db, &in, INTENT_REFUSED, ERR_NO_MAILBOX, "the mailbox was gone");
        }
        intent_fini(&in);
    }
    free(ids);
}

bool db_intents_discard(struct db *db, uint32_t *count_r, struct err *err)
{
    bool own;
    uint64_t *ids;
    *count_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    size_t n = ids_of(db, q_ask(db, "SELECT id FROM intent WHERE state<3 ORDER BY id DESC", ""), &ids);
    for (size_t i = 0; i < n && !db->failed; i++)
        intent_end_without(db, ids[i], INTENT_REFUSED, ERR_CANCELED, "discarded");
    q_keep(db, "UPDATE ugroup SET state=2", "");
    free(ids);
    *count_r = (uint32_t)n;
    return call_leave(db, own, err);
}

/* ---- counting and forgetting -------------------------------------------------------------------- */

bool db_intent_counts(struct db *db, struct db_counts *c, struct err *err)
{
    bool own;
    int64_t n;
    *c = (struct db_counts){0};
    if (!call_enter(db, &own, err))
        return false;
    sqlite3_stmt *st = q_ask(db, "SELECT state,count(*) FROM intent WHERE state<3 GROUP BY state", "");
    while (q_step(db, st))
        *(sql_int(st, 0) == INTENT_QUEUED ? &c->queued
          : sql_int(st, 0) == INTENT_SENT ? &c->sent
                                          : &c->unknown) = sql_u32(st, 1);
    q_one(db, &n,
          "SELECT count(DISTINCT t.msg) FROM intent i CROSS JOIN item t ON t.intent=i.id WHERE i.state<3 AND t.state=0",
          "");
    c->messages = (uint32_t)n;
    return call_leave(db, own, err);
}

enum intent_state db_intent_state(struct db *db, uint64_t intent)
{
    bool own;
    int64_t state = INTENT_DONE;
    struct err e = ERR_INIT;
    if (call_enter(db, &own, &e)) {
        if (!q_one(db, &state, "SELECT state FROM intent WHERE id=?", "i", I(intent)))
            state = INTENT_DONE;
        call_leave(db, own, &e);
    }
    return (enum intent_state)state;
}

bool db_intents_prune(struct db *db, int64_t before, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_keep(db,
           "DELETE FROM ugroup WHERE created<? AND id<=(SELECT coalesce(max(id),0)-1000 FROM ugroup) AND NOT "
           "EXISTS(SELECT 1 FROM intent WHERE grp=ugroup.id AND state<3)",
           "i", before);
    q_keep(db,
           "DELETE FROM intent WHERE state>=3 AND coalesce(ended,0)<? AND NOT EXISTS(SELECT 1 FROM ugroup WHERE "
           "id=intent.grp)",
           "i", before);
    q_keep(db, "DELETE FROM item WHERE NOT EXISTS(SELECT 1 FROM intent WHERE id=item.intent)", "");
    claims_prune(db);
    q_keep(db,
           "DELETE FROM held WHERE NOT EXISTS(SELECT 1 FROM item WHERE msg=held.msg) AND NOT EXISTS(SELECT 1 FROM item "
           "WHERE copy=held.msg AND copy>0) AND NOT EXISTS(SELECT 1 FROM arrival WHERE msg=held.msg) AND NOT "
           "EXISTS(SELECT 1 "
           "FROM tagged WHERE msg=held.msg)",
           "");
    return call_leave(db, own, err);
}
