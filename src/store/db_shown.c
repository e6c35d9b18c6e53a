/* A row's shown state, and everything that is counted from rows: mailboxes, ranks, threads. Each change of a row passes
 * through row_store, row_delete or row_counted, so the counters cannot drift. */
#include "store/db_int.h"

#define TAG_FLAGS (FLAG_SEEN | FLAG_FLAGGED | FLAG_ANSWERED | FLAG_FORWARDED | FLAG_DRAFT)

bool row_load(struct db *db, uint64_t id, struct rowc *r)
{
    sqlite3_stmt *st = q_ask(
        db, "SELECT box,thread,sbox,size,suid,flags,sflags,attrs,state,date,mh,name IS NOT NULL FROM msg WHERE id=?",
        "i", I(id));
    if (!q_step(db, st))
        return false;
    *r = (struct rowc){.id = id,
                       .box = sql_u64(st, 0),
                       .thread = sql_u64(st, 1),
                       .sbox = sql_u64(st, 2),
                       .size = sql_u64(st, 3),
                       .uid = sql_u32(st, 4),
                       .flags = sql_u32(st, 5),
                       .sflags = sql_u32(st, 6),
                       .attrs = sql_u32(st, 7),
                       .state = sql_u32(st, 8),
                       .date = sql_int(st, 9),
                       .mh = sql_u64(st, 10),
                       .named = sql_int(st, 11)};
    sqlite3_reset(st);
    return true;
}

static uint64_t placed(const struct rowc *r)
{
    return r && (r->uid || r->named) ? r->sbox : 0;
}

static void less(uint32_t *n)
{
    if (*n && *n != UINT32_MAX)
        --*n;
}

static void more(uint32_t *n)
{
    if (*n < UINT32_MAX - 1)
        ++*n;
}

/* What the server holds in each mailbox. A new row changes nothing of the server's own numbers: EXISTS and STATUS told
 * them. */
static void count_server(struct db *db, const struct rowc *old, const struct rowc *now)
{
    uint64_t from = placed(old), to = placed(now);
    bool was_unread = old && !(old->sflags & FLAG_SEEN), is_unread = now && !(now->sflags & FLAG_SEEN);
    if (from == to && was_unread == is_unread)
        return;
    struct box *b = from != to ? box_ref(db, from) : NULL;
    if (b) {
        less(&b->known);
        less(&b->exists);
        if (was_unread) {
            less(&b->known_unread);
            less(&b->unseen);
        }
        box_touch(db, b);
    }
    b = box_ref(db, to);
    if (!b || !now)
        return;
    box_touch(db, b);
    if (b->next && now->uid >= b->next)
        b->next = now->uid < UINT32_MAX ? now->uid + 1 : now->uid;
    if (from == to) {
        if (is_unread)
            more(&b->known_unread), more(&b->unseen);
        else
            less(&b->known_unread), less(&b->unseen);
        return;
    }
    more(&b->known);
    if (is_unread)
        more(&b->known_unread);
    if (old && (!b->filled || b->known > b->exists)) {
        more(&b->exists);
        if (is_unread)
            more(&b->unseen);
    } else if (!old && now->uid && b->uidnext && now->uid >= b->uidnext) {
        if (is_unread) /* later than the server's last word about its unread ones */
            more(&b->unseen);
        b->uidnext = now->uid < UINT32_MAX ? now->uid + 1 : now->uid;
    }
    b->exists = MAX(b->exists, b->known); /* a row proves its message */
}

static void count_shown(struct db *db, const struct rowc *r, int sign)
{
    struct box *b = box_ref(db, r->box);
    if (!b)
        return;
    rank_add(db, b, r, sign);
    if (sign > 0)
        more(&b->shown);
    else
        less(&b->shown);
    if (!(r->flags & FLAG_SEEN)) {
        if (sign > 0)
            more(&b->shown_unread);
        else
            less(&b->shown_unread);
    }
    box_touch(db, b);
}

static void count_thread(struct db *db, const struct rowc *r, int sign)
{
    if (r->box && r->thread)
        thread_count(db, r->box, r->thread, sign, r->flags & FLAG_SEEN ? 0 : sign, r->flags & FLAG_FLAGGED ? sign : 0,
                     r->date);
}

void row_counted(struct db *db, const struct rowc *old, const struct rowc *now)
{
    count_server(db, old, now);
    uint32_t diff = old && now ? (old->flags ^ now->flags) & (FLAG_SEEN | FLAG_FLAGGED) : 0;
    if (old && now && old->box == now->box && old->date == now->date) {
        struct box *b = box_ref(db, now->box);
        if (b && diff) {
            rank_change(db, b, old, now);
            if (diff & FLAG_SEEN) {
                if (now->flags & FLAG_SEEN)
                    less(&b->shown_unread);
                else
                    more(&b->shown_unread);
            }
        }
        if (b)
            box_touch(db, b);
        if (!diff && old->thread == now->thread)
            return;
    } else {
        if (old)
            count_shown(db, old, -1);
        if (now) {
            count_shown(db, now, 1);
            struct box *b = box_ref(db, now->box);
            if (b)
                rank_settle(db, b, now->date, now->id);
        }
    }
    if (old)
        count_thread(db, old, -1);
    if (now)
        count_thread(db, now, 1);
}

void row_store(struct db *db, const struct rowc *old, struct rowc *now)
{
    unsigned queue = 0;
    if (now->attrs & ROW_FULL) {
        if ((old->flags ^ now->flags) & TAG_FLAGS)
            queue |= INDEX_WHAT_TAGS;
        if (placed(now) && (old->sbox != now->sbox || old->uid != now->uid))
            queue |= INDEX_WHAT_PATH;
    }
    bool stays = old->box == now->box && old->date == now->date && old->thread == now->thread &&
                 old->sbox == now->sbox && old->uid == now->uid && old->named == now->named;
    if (stays) /* most changes: the indexes of place and order are left alone */
        q_run(db, "UPDATE msg SET flags=?1,attrs=?2,state=?3,sflags=?4,istate=istate|?5,iseq=iseq+(?5<>0) WHERE id=?6",
              "iiiiii", I(now->flags), I(now->attrs), I(now->state), I(now->sflags), I(queue), I(now->id));
    else
        q_run(db,
              "UPDATE msg SET box=?1,date=?2,arrived=CASE idate WHEN 0 THEN ?2 ELSE idate "
              "END,flags=?3,attrs=?4,state=?5,thread=?6,sbox=?7,suid=?8,sflags=?9,name=CASE "
              "WHEN "
              "?10 THEN name END,istate=istate|?11,iseq=iseq+(?11<>0) WHERE id=?12",
              "iiiiiiiiiiii", I(now->box), now->date, I(now->flags), I(now->attrs), I(now->state), I(now->thread),
              I(now->sbox), I(now->uid), I(now->sflags), I(now->named), I(queue), I(now->id));
    row_counted(db, old, now);
}

void row_delete(struct db *db, const struct rowc *r)
{
    unindex_note(db, r->id);
    body_dropped(db, r);
    q_run(db, "DELETE FROM msg WHERE id=?", "i", I(r->id));
    row_counted(db, r, NULL);
}

void row_shown(struct db *db, struct rowc *r)
{
    r->box = r->sbox;
    r->flags = r->sflags;
    r->state &= ~(uint32_t)ROW_PENDING;
    if (!db->has_pending)
        return;
    uint64_t seen = 0;
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT i.kind,i.fset,i.fclear,i.target,i.id FROM item t CROSS JOIN intent i ON i.id=t.intent "
              "WHERE t.msg=? AND t.state=0 AND i.state<3 ORDER BY t.intent",
              "i", I(r->id));
    while (q_step(db, st)) {
        spans_show(db, r, seen, sql_u64(st, 4));
        seen = sql_u64(st, 4);
        r->state |= ROW_PENDING;
        switch ((enum intent_kind)sql_int(st, 0)) {
        case INTENT_FLAGS:
            r->flags = (r->flags | sql_u32(st, 1)) & ~sql_u32(st, 2);
            break;
        case INTENT_MOVE:
            r->box = sql_u64(st, 3);
            break;
        case INTENT_PURGE:
            r->box = 0;
            break;
        case INTENT_COPY: /* its source stays as it is */
            break;
        default:
            break;
        }
    }
    spans_show(db, r, seen, UINT64_MAX);
    int64_t copied;
    if (!(r->state & ROW_PENDING) && !placed(r) &&
        q_one(db, &copied,
              "SELECT 1 FROM item t JOIN intent i ON i.id=t.intent WHERE t.copy=? AND t.copy>0 AND t.state=0 AND "
              "i.state<3",
              "i", I(r->id)))
        r->state |= ROW_PENDING;
}

void row_refresh(struct db *db, uint64_t id)
{
    struct rowc old, now;
    if (!row_load(db, id, &old))
        return;
    now = old;
    row_shown(db, &now);
    if (!placed(&now) && !(now.state & (ROW_PENDING | ROW_LOOSE))) {
        row_delete(db, &old);
        return;
    }
    if (now.box != old.box || now.flags != old.flags || now.state != old.state)
        row_store(db, &old, &now);
}

void row_queue(struct db *db, uint64_t id, unsigned what)
{
    q_run(db, "UPDATE msg SET istate=istate|?1,iseq=iseq+1 WHERE id=?2 AND (attrs & 32) <> 0", "ii", I(what), I(id));
}

/* The row that came by itself and the row that was moved here are one message: the moved one's id stays. */
static void row_merge(struct db *db, uint64_t id, uint64_t other)
{
    struct rowc o;
    if (!row_load(db, other, &o))
        return;
    q_keep(db, "UPDATE OR IGNORE item SET msg=?1 WHERE msg=?2", "ii", I(id), I(other));
    q_keep(db, "DELETE FROM item WHERE msg=?", "i", I(other));
    q_keep(db, "DELETE FROM held WHERE msg=?", "i", I(other));
    q_run(db,
          "UPDATE msg SET sflags=o.sflags,kw=o.kw,to_=CASE WHEN (o.attrs & 32) THEN o.to_ ELSE msg.to_ END,refs=CASE "
          "WHEN (o.attrs & 32) THEN o.refs ELSE msg.refs END,"
          "list_id=CASE WHEN (o.attrs & 32) THEN o.list_id ELSE msg.list_id "
          "END,body=coalesce(o.body,msg.body),absent=CASE WHEN o.body IS NULL THEN msg.absent ELSE o.absent "
          "END,btime=coalesce(o.btime,msg.btime) FROM msg o WHERE msg.id=? AND o.id=?",
          "ii", I(id), I(other));
    /* the same paths go on under the other id */
    q_run(db, "UPDATE msg SET ipath=NULL,body=NULL WHERE id=?", "i", I(other));
    row_delete(db, &o);
}

void row_place(struct db *db, uint64_t id, uint64_t box, uint32_t uid, struct str name)
{
    struct rowc old, now, came = {.id = 0};
    if (!row_load(db, id, &old))
        return;
    int64_t other = 0;
    if (uid)
        q_one(db, &other, "SELECT id FROM msg WHERE sbox=? AND suid=? AND suid>0", "ii", I(box), I(uid));
    else if (name.n)
        q_one(db, &other, "SELECT id FROM msg WHERE sbox=? AND name=? AND name IS NOT NULL", "is", I(box), name);
    bool merged = other && (uint64_t)other != id && row_load(db, (uint64_t)other, &came);
    struct box *b = box_ref(db, box);
    uint32_t exists = b ? b->exists : 0, unseen = b ? b->unseen : 0;
    now = old;
    now.sbox = box;
    now.uid = uid;
    now.named = name.n > 0;
    now.state &= ~(uint32_t)ROW_LOOSE;
    if (!uid && !name.n)
        now.state |= ROW_LOOSE, db->has_loose = true;
    if (merged) {
        row_merge(db, id, came.id);
        now.sflags = came.sflags;
        now.attrs |= came.attrs;
    }
    row_shown(db, &now);
    if (name.n) { /* the old place goes first: (mailbox, name) is unique */
        q_run(db, "UPDATE msg SET sbox=?,name=? WHERE id=?", "isi", I(box), name, I(id));
    }
    row_store(db, &old, &now);
    held_place(db, id, box, b ? b->uidvalidity : 0, uid, name);
    if (merged && b) { /* the same message: the server's mailbox holds as many as before */
        b->exists = MAX(exists, b->known);
        b->unseen = unseen;
    }
}
