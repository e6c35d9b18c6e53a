/* Undo and redo: what was not sent is dropped, for the rest the inverse is appended, and only where the message still
 * is as the group left it. */
#include "store/db_int.h"

enum group_state { GROUP_ACTIVE, GROUP_UNDONE, GROUP_CLOSED };

struct group {
    uint64_t id, stamp, deed;
    uint32_t round;
    enum intent_kind kind;
};

/* deed 0: of whichever. */
static bool group_find(struct db *db, bool redo, uint64_t deed, struct group *g)
{
    static const char *const sql[2][2] = {
        {"SELECT id,stamp,round,kind,deed FROM ugroup WHERE state=0 ORDER BY id DESC LIMIT 1",
         "SELECT id,stamp,round,kind,deed FROM ugroup WHERE state=0 AND deed=? AND deed<>0 ORDER BY id DESC LIMIT 1"},
        {"SELECT id,stamp,round,kind,deed FROM ugroup WHERE state=1 ORDER BY id LIMIT 1",
         "SELECT id,stamp,round,kind,deed FROM ugroup WHERE state=1 AND deed=? AND deed<>0 ORDER BY id LIMIT 1"}};
    sqlite3_stmt *st = deed ? q_ask(db, sql[redo][1], "i", (int64_t)deed) : q_ask(db, sql[redo][0], "");
    if (!q_step(db, st))
        return false;
    *g = (struct group){.id = sql_u64(st, 0),
                        .stamp = sql_u64(st, 1),
                        .round = sql_u32(st, 2),
                        .kind = (enum intent_kind)sql_int(st, 3),
                        .deed = (uint64_t)sql_int(st, 4)};
    sqlite3_reset(st);
    return true;
}

bool db_undo_peek(struct db *db, bool redo, uint64_t deed, struct db_undo_next *next_r, struct err *err)
{
    bool own;
    struct group g;
    *next_r = (struct db_undo_next){0};
    if (!call_enter(db, &own, err))
        return false;
    if (group_find(db, redo, deed, &g))
        *next_r = (struct db_undo_next){.group = g.id, .stamp = g.stamp, .deed = g.deed};
    return call_leave(db, own, err);
}

bool db_deed_messages(struct db *db, uint64_t deed, uint32_t *messages_r, struct err *err)
{
    bool own;
    int64_t n = 0;
    if (!call_enter(db, &own, err))
        return false;
    q_one(db, &n,
          "SELECT count(DISTINCT t.msg) FROM ugroup g JOIN intent i ON i.grp=g.id AND i.inverse=0 JOIN item t ON "
          "t.intent=i.id WHERE g.deed=? AND g.deed<>0",
          "i", (int64_t)deed);
    *messages_r = (uint32_t)n;
    return call_leave(db, own, err);
}

bool db_undo_close(struct db *db, uint64_t deed, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    q_keep(db, "UPDATE ugroup SET state=? WHERE deed=? AND deed<>0", "ii", I(GROUP_CLOSED), (int64_t)deed);
    return call_leave(db, own, err);
}

static char *tags_inverse(const char *words)
{
    char *w = mem_dup_z(words);
    for (char *p = w; p && *p; p++)
        if (p == w || p[-1] == ' ')
            *p = *p == '+' ? '-' : '+';
    return w;
}

/* One message of an intent that the server has, or is about to have. */
static bool revert_item(struct maker *m, const struct intent *in, const struct item *t)
{
    struct db *db = m->db;
    struct rowc r;
    if (in->kind == INTENT_COPY || in->kind == INTENT_APPEND)
        return row_load(db, t->copy, &r) && r.box == in->target && make_purge(m, t->copy, 0);
    if (!row_load(db, t->msg, &r) || !r.box)
        return false;
    if (in->kind == INTENT_FLAGS) {
        uint32_t mask = (t->bflags ^ t->aflags) & ~(r.flags ^ t->aflags); /* changed by us and still as we left it */
        return mask && make_flags(m, t->msg, mask & t->bflags, mask & ~t->bflags);
    }
    if (in->kind == INTENT_MOVE)
        return r.box == in->target && box_ref(db, t->bbox) && make_move(m, t->msg, t->bbox);
    if (in->kind == INTENT_TAGS && t->tags) {
        char *words = tags_inverse(t->tags);
        bool ok = make_tags(m, t->msg, str_z(words));
        free(words);
        return ok;
    }
    return false;
}

static bool revert_box(struct maker *m, const struct intent *in)
{
    struct box *b = box_ref(m->db, in->box);
    if (!b)
        return false;
    if (in->kind == INTENT_BOX_RENAME)
        return str_eq((struct str){b->utf8, b->utf8_n}, buf_str(&in->utf8)) &&
               make_box(m, INTENT_BOX_RENAME, b->id, buf_str(&in->old), buf_str(&in->old_utf8));
    if (in->kind == INTENT_BOX_SUBSCRIBE || in->kind == INTENT_BOX_UNSUBSCRIBE) {
        bool is = (b->attrs & BOX_SUBSCRIBED) != 0, was = in->kind == INTENT_BOX_UNSUBSCRIBE;
        return is != was && make_box(m, was ? INTENT_BOX_SUBSCRIBE : INTENT_BOX_UNSUBSCRIBE, b->id, STR(""), STR(""));
    }
    bool empty = !b->shown && !b->known && (!b->exists || b->exists == UINT32_MAX);
    return in->kind == INTENT_BOX_CREATE && empty &&
           make_box(m, INTENT_BOX_DELETE, b->id, (struct str){b->name, b->name_n}, (struct str){b->utf8, b->utf8_n});
}

/* Takes back an intent that was not sent. */
static uint32_t drop(struct db *db, const struct intent *in, const struct item *items, size_t n)
{
    uint32_t count = intent_on_box(in->kind);
    if (in->uids.n)
        return span_end_without(db, in, INTENT_DROPPED, ERR_CANCELED, "undone");
    for (size_t i = 0; i < n; i++)
        count += items[i].state == ITEM_PENDING;
    intent_end_without(db, in->id, INTENT_DROPPED, ERR_CANCELED, "undone");
    for (size_t i = 0; in->kind == INTENT_TAGS && i < n; i++) {
        uint64_t mh, fp;
        if (!items[i].tags)
            continue;
        char *words = tags_inverse(items[i].tags);
        tag_identity(db, items[i].msg, &mh, &fp);
        if (mh || fp)
            tags_change(db, mh, fp, str_z(words), NULL);
        row_queue(db, items[i].msg, INDEX_WHAT_TAGS);
        free(words);
    }
    return count;
}

bool db_intent_drop(struct db *db, uint64_t intent, uint32_t *count_r, struct err *err)
{
    bool own;
    struct intent in;
    size_t n;
    *count_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    if (!intent_load(db, intent, &in))
        return call_refuse(db, own, err, ERR_NO_MESSAGE, "it does not wait any more");
    enum intent_state state = in.state;
    if (state == INTENT_QUEUED) {
        struct item *items = items_load(db, intent, &n);
        tagged_forget(db, in.group);
        *count_r = drop(db, &in, items, n);
        items_free(items, n);
        q_keep(db,
               "UPDATE ugroup SET state=? WHERE id=? AND NOT EXISTS(SELECT 1 FROM intent WHERE grp=ugroup.id AND "
               "state<?)",
               "iii", I(GROUP_CLOSED), I(in.group), I(INTENT_REFUSED));
    }
    intent_fini(&in);
    if (state != INTENT_QUEUED)
        return call_refuse(db, own, err, state < INTENT_DONE ? ERR_NOT_UNDOABLE : ERR_NO_MESSAGE,
                           state < INTENT_DONE ? "it is on its way to the server" : "it does not wait any more");
    return call_leave(db, own, err);
}

static void note_box(struct db_undone *u, uint64_t box)
{
    u->several = u->several || (u->box && u->box != box);
    u->box = u->several ? 0 : box;
}

/* The mark that goes with a move to or from Spam, the move before a removal: the other counts. */
static bool beside(const struct db_undone *u, const struct intent *in)
{
    return ((u->kind == INTENT_SPAM || u->kind == INTENT_HAM) && in->kind == INTENT_FLAGS) ||
           (u->kind == INTENT_PURGE && in->kind == INTENT_MOVE);
}

/* The newest of those that came back is where the user looks. */
static void note_back(struct db *db, struct db_undone *u, const struct intent *in, uint64_t msg)
{
    struct rowc r;
    if ((in->kind != INTENT_MOVE && in->kind != INTENT_PURGE) || !row_load(db, msg, &r) || !r.box)
        return;
    if (u->back && (r.date < u->back_date || (r.date == u->back_date && msg < u->back)))
        return;
    u->back = msg;
    u->back_date = r.date;
}

static void revert(struct maker *m, uint64_t intent, struct db_undone *u)
{
    struct intent in;
    if (!intent_load(m->db, intent, &in))
        return;
    size_t n;
    struct item *items = items_load(m->db, in.id, &n);
    uint32_t count = u->count, skipped = u->skipped;
    note_box(u, in.box);
    if (in.state == INTENT_QUEUED)
        u->count += drop(m->db, &in, items, n);
    else if (in.uids.n && in.state <= INTENT_DONE)
        u->count += make_span(m, in.box, in.clear, in.set, false, buf_str(&in.uids));
    else if (intent_on_box(in.kind) && in.state <= INTENT_DONE)
        *(revert_box(m, &in) ? &u->count : &u->skipped) += 1;
    for (size_t i = 0; i < n && !m->db->failed; i++) {
        bool happened = items[i].state == ITEM_DONE || (items[i].state == ITEM_PENDING && in.state != INTENT_QUEUED);
        if (happened)
            *(revert_item(m, &in, &items[i]) ? &u->count : &u->skipped) += 1;
        if (items[i].state == ITEM_PENDING || happened)
            note_back(m->db, u, &in, items[i].msg);
    }
    if (beside(u, &in))
        u->count = count, u->skipped = skipped;
    items_free(items, n);
    intent_fini(&in);
}

static bool again_item(struct maker *m, const struct intent *in, const struct item *t)
{
    switch (in->kind) {
    case INTENT_FLAGS: {
        uint32_t mask = t->bflags ^ t->aflags;
        return make_flags(m, t->msg, mask & t->aflags, mask & ~t->aflags);
    }
    case INTENT_MOVE:
        return box_ref(m->db, in->target) && make_move(m, t->msg, in->target);
    case INTENT_COPY:
        return box_ref(m->db, in->target) && make_copy(m, t->msg, in->target);
    case INTENT_PURGE:
        return make_purge(m, t->msg, m->now + m->db->purge_hold);
    case INTENT_TAGS:
        return t->tags && make_tags(m, t->msg, str_z(t->tags));
    default:
        return false;
    }
}

static void again(struct maker *m, uint64_t intent, struct db_undone *u)
{
    struct intent in;
    if (!intent_load(m->db, intent, &in))
        return;
    if (in.uids.n) {
        uint32_t before = m->count;
        if (in.set & FLAG_SEEN)
            make_all_read(m, in.box);
        u->count += m->count - before;
    } else if (intent_on_box(in.kind)) {
        int64_t taken = 0;
        bool can = in.kind == INTENT_BOX_CREATE
                       ? !q_one(m->db, &taken, "SELECT 1 FROM boxid WHERE name=?", "s", buf_str(&in.arg))
                       : box_ref(m->db, in.box) != NULL;
        uint64_t box = can ? make_box(m, in.kind, in.box, buf_str(&in.arg), buf_str(&in.utf8)) : 0;
        *(box ? &u->count : &u->skipped) += 1;
        in.box = box ? box : in.box; /* a mailbox that is created again is another one */
    }
    size_t n;
    struct item *items = items_load(m->db, in.id, &n);
    if (!beside(u, &in))
        note_box(u, intent_on_box(in.kind) ? in.box : in.target);
    for (size_t i = 0; i < n && !m->db->failed; i++) {
        bool did = again_item(m, &in, &items[i]);
        if (!beside(u, &in))
            *(did ? &u->count : &u->skipped) += 1;
    }
    items_free(items, n);
    intent_fini(&in);
}

/* A purge that went out, or is on its way, cannot come back. */
static bool is_final(struct db *db, const struct group *g)
{
    int64_t n;
    return q_one(db, &n,
                 "SELECT 1 FROM intent WHERE grp=? AND round=? AND inverse=0 AND kind IN (?,?) AND state IN (1,2,3) "
                 "LIMIT 1",
                 "iiii", I(g->id), I(g->round), I(INTENT_PURGE), I(INTENT_BOX_DELETE)) &&
           !q_one(db, &n, "SELECT 1 FROM intent WHERE grp=? AND round=? AND inverse=0 AND state=0 LIMIT 1", "ii",
                  I(g->id), I(g->round));
}

bool db_undo(struct db *db, bool redo, uint64_t deed, int64_t now, struct db_undone *undone_r, struct err *err)
{
    bool own;
    struct group g;
    *undone_r = (struct db_undone){0};
    if (!call_enter(db, &own, err))
        return false;
    if (!group_find(db, redo, deed, &g))
        return call_refuse(db, own, err, ERR_NOT_UNDOABLE, redo ? "nothing to redo" : "nothing to undo");
    if (!redo && is_final(db, &g)) {
        q_keep(db, "UPDATE ugroup SET state=2 WHERE id=?", "i", I(g.id));
        return call_refuse(db, own, err, ERR_NOT_UNDOABLE, "it is final: what is deleted for good does not come back");
    }
    if (!redo)
        tagged_forget(db, g.id);
    struct db_undone u = {.group = g.id, .kind = g.kind};
    struct maker m = {.db = db, .group = g.id, .round = redo ? g.round + 1 : g.round, .inverse = !redo, .now = now};
    uint64_t *ids = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *st = redo ? q_ask(db, "SELECT id FROM intent WHERE grp=? AND round=? AND inverse=0 ORDER BY id", "ii",
                                    I(g.id), I(g.round))
                            : q_ask(db, "SELECT id FROM intent WHERE grp=? AND round=? AND inverse=0 ORDER BY id DESC",
                                    "ii", I(g.id), I(g.round));
    while (q_step(db, st)) {
        if (n == cap)
            ids = mem_resize(ids, cap = cap ? cap * 2 : 16, sizeof *ids);
        ids[n++] = sql_u64(st, 0);
    }
    for (size_t i = 0; i < n && !db->failed; i++) {
        if (redo)
            again(&m, ids[i], &u);
        else
            revert(&m, ids[i], &u);
    }
    free(ids);
    int64_t msgs;
    if (g.kind == INTENT_RULES && u.count > 0 && /* several changes of one message are one thing to the user */
        q_one(db, &msgs,
              "SELECT count(DISTINCT t.msg) FROM item t JOIN intent i ON i.id=t.intent WHERE i.grp=? AND i.inverse=0",
              "i", I(g.id)))
        u.count = MIN(u.count, (uint32_t)msgs);
    q_keep(db, "UPDATE ugroup SET state=?,round=? WHERE id=?", "iii",
           I(redo                      ? GROUP_ACTIVE
             : g.kind == INTENT_APPEND ? GROUP_CLOSED /* what it was made of is gone */
                                       : GROUP_UNDONE),
           I(m.round), I(g.id));
    maker_fini(&m);
    if (!call_leave(db, own, err))
        return false;
    *undone_r = u;
    return true;
}
