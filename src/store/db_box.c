/* Mailboxes: identity in keep.db, state and counters in cache.db, both kept in memory while in use and written at
 * commit. */
#include "store/db_int.h"

void box_free(void *p)
{
    struct box *b = p;
    if (!b)
        return;
    free(b->name);
    free(b->utf8);
    free(b->rows.block);
    free(b->threads.block);
    free(b->objid);
    free(b->keeps);
    free(b);
}

#define BOX_SQL                                                                                                        \
    "SELECT "                                                                                                          \
    "b.id,b.name,b.utf8,b.delim,b.attrs,b.role,b.uidvalidity,b.uidnext,b.base,b.modseq,b.exists_,b.unseen,b.known,b."  \
    "known_unread,"                                                                                                    \
    "b.shown,b.shown_unread,b.readonly,b.keywords_ok,b.filled,b.hidden,b.listed,k.role,k.creating,b.objid,b.size,"     \
    "b.keeps,b.told "                                                                                                  \
    "FROM box b "                                                                                                      \
    "JOIN "                                                                                                            \
    "boxid k ON k.id=b.id"

static struct box *box_read(sqlite3_stmt *st)
{
    struct box *b = mem_new(sizeof *b);
    struct str name = sql_str(st, 1), utf8 = sql_str(st, 2);
    *b = (struct box){.id = sql_u64(st, 0),
                      .name = mem_dup_n(name.p, name.n),
                      .name_n = name.n,
                      .utf8 = mem_dup_n(utf8.p, utf8.n),
                      .utf8_n = utf8.n,
                      .delim = (char)sql_int(st, 3),
                      .attrs = sql_u32(st, 4),
                      .role = (uint8_t)sql_int(st, 5),
                      .uidvalidity = sql_u32(st, 6),
                      .uidnext = sql_u32(st, 7),
                      .base = sql_u32(st, 8),
                      .modseq = sql_u64(st, 9),
                      .exists = sql_u32(st, 10),
                      .unseen = sql_u32(st, 11),
                      .known = sql_u32(st, 12),
                      .known_unread = sql_u32(st, 13),
                      .shown = sql_u32(st, 14),
                      .shown_unread = sql_u32(st, 15),
                      .readonly = sql_int(st, 16),
                      .keywords_ok = sql_int(st, 17),
                      .filled = sql_int(st, 18),
                      .hidden = sql_int(st, 19),
                      .listed = sql_u64(st, 20),
                      .role_set = (uint8_t)sql_int(st, 21),
                      .creating = sql_int(st, 22)};
    struct str objid = sql_str(st, 23);
    b->size = sql_u64(st, 24);
    b->objid = objid.n ? mem_dup_n(objid.p, objid.n) : NULL;
    struct str keeps = sql_str(st, 25);
    b->keeps = keeps.n ? mem_dup_n(keeps.p, keeps.n) : NULL;
    b->told = sql_int(st, 26);
    return b;
}

struct box *box_ref(struct db *db, uint64_t id)
{
    if (!id)
        return NULL;
    struct box *b = imap_get(&db->boxes, id);
    if (b || db->boxes_all)
        return b;
    sqlite3_stmt *st = q_ask(db, BOX_SQL " WHERE b.id=?", "i", I(id));
    if (q_step(db, st)) {
        b = box_read(st);
        sqlite3_reset(st);
        imap_put(&db->boxes, id, b);
    }
    return b;
}

void boxes_load(struct db *db)
{
    if (db->boxes_all)
        return;
    sqlite3_stmt *st = q_ask(db, BOX_SQL, "");
    while (q_step(db, st))
        if (!imap_get(&db->boxes, sql_u64(st, 0))) {
            struct box *b = box_read(st);
            imap_put(&db->boxes, b->id, b);
        }
    db->boxes_all = !db->failed;
}

void box_touch(struct db *db, struct box *b)
{
    (void)db;
    b->dirty = true;
    b->changed = true;
}

static void box_flush(struct db *db, struct box *b)
{
    rank_flush(db, b);
    if (!b->dirty)
        return;
    b->dirty = false;
    q_run(db,
          "UPDATE box SET "
          "name=?,utf8=?,delim=?,attrs=?,role=?,uidvalidity=?,uidnext=?,base=?,modseq=?,exists_=?,unseen=?,known=?,"
          "known_unread=?,shown=?,shown_unread=?,readonly=?,keywords_ok=?,filled=?,hidden=?,listed=?,objid=?,size=?,"
          "keeps=?,told=? "
          "WHERE "
          "id=?",
          "ssiiiiiiiiiiiiiiiiiininii", ((struct str){b->name, b->name_n}), ((struct str){b->utf8, b->utf8_n}),
          I(b->delim), I(b->attrs), I(b->role), I(b->uidvalidity), I(b->uidnext), I(b->base), I(b->modseq),
          I(b->exists), I(b->unseen), I(b->known), I(b->known_unread), I(b->shown), I(b->shown_unread), I(b->readonly),
          I(b->keywords_ok), I(b->filled), I(b->hidden), I(b->listed), str_z(b->objid), I(b->size), str_z(b->keeps),
          I(b->told), I(b->id));
}

void box_flush_all(struct db *db)
{
    IMAP_EACH(&db->boxes, i)
    if (db->boxes.slots[i].value)
        box_flush(db, db->boxes.slots[i].value);
}

uint8_t box_role_of(const struct box *b)
{
    if (b->role_set)
        return b->role_set;
    return b->role ? b->role
                   : sql_role_by_name((struct str){b->name, b->name_n}, (struct str){b->utf8, b->utf8_n}, b->delim);
}

static void rename_memory(struct box *b, struct str name, struct str utf8)
{
    char *n = mem_dup_n(name.p, name.n), *u = mem_dup_n(utf8.p, utf8.n);
    free(b->name);
    free(b->utf8);
    b->name = n;
    b->name_n = name.n;
    b->utf8 = u;
    b->utf8_n = utf8.n;
}

static void box_copy(struct db *db, const struct box *b, struct db_box *r)
{
    *r = (struct db_box){.id = b->id,
                         .name = out_str(db, (struct str){b->name, b->name_n}),
                         .utf8 = out_str(db, (struct str){b->utf8, b->utf8_n}),
                         .delim = b->delim,
                         .attrs = b->attrs,
                         .role = box_role_of(b),
                         .uidvalidity = b->uidvalidity,
                         .uidnext = b->uidnext,
                         .modseq = b->modseq,
                         .exists = b->exists,
                         .unread = b->unseen,
                         .known = b->known,
                         .readonly = b->readonly,
                         .keywords_ok = b->keywords_ok,
                         .filled = b->filled && (b->exists == UINT32_MAX || b->exists <= b->known),
                         .creating = b->creating,
                         .size = b->size,
                         .objid = out_str(db, str_z(b->objid))};
    int64_t v;
    if (b->known && !db->local) {
        q_one(db, &v, "SELECT coalesce(min(suid),0) FROM msg WHERE sbox=? AND suid>0", "i", I(b->id));
        r->uid_low = (uint32_t)v;
        q_one(db, &v, "SELECT coalesce(max(suid),0) FROM msg WHERE sbox=? AND suid>0", "i", I(b->id));
        r->uid_high = (uint32_t)v;
    }
}

static struct box *box_named(struct db *db, struct str name)
{
    int64_t id;
    if (str_case_eqz(name, "INBOX") && !db->local)
        name = STR("INBOX"); /* one mailbox in any case of letters (RFC 9051 5.1) */
    return q_one(db, &id, "SELECT id FROM boxid WHERE name=?", "s", name) ? box_ref(db, (uint64_t)id) : NULL;
}

struct box *box_made(struct db *db, struct str name, struct str utf8, char delim)
{
    uint64_t id = id_box(db);
    q_keep(db, "INSERT INTO boxid(id,name,utf8,delim) VALUES(?,?,?,?)", "issi", I(id), name, utf8, I(delim));
    q_run(db, "INSERT INTO box(id,name,utf8,delim) VALUES(?,?,?,?)", "issi", I(id), name, utf8, I(delim));
    db->list_changed = true;
    if (db->failed)
        return NULL;
    struct box *b = mem_new(sizeof *b);
    *b = (struct box){
        .id = id, .delim = delim, .exists = UINT32_MAX, .unseen = UINT32_MAX, .keywords_ok = true, .size = UINT64_MAX};
    rename_memory(b, name, utf8);
    imap_put(&db->boxes, id, b);
    return b;
}

static void counts_put(struct db *db, struct box *b, const struct db_counted *c)
{
    if ((c->exists != UINT32_MAX && c->exists != b->exists) || (c->unread != UINT32_MAX && c->unread != b->unseen)) {
        b->exists = c->exists != UINT32_MAX ? c->exists : b->exists;
        b->unseen = c->unread != UINT32_MAX ? c->unread : b->unseen;
        box_touch(db, b);
    }
    if (c->unread != UINT32_MAX) {
        b->counted_unseen = c->unread;
        b->counted_modseq = c->modseq;
    }
    if (c->uidnext != UINT32_MAX)
        b->next = MAX(b->next, c->uidnext);
    bool same = c->uidvalidity == UINT32_MAX || c->uidvalidity == b->uidvalidity;
    if (same && c->uidnext != UINT32_MAX && c->uidnext > b->uidnext) {
        b->uidnext = c->uidnext;
        b->dirty = true;
    }
}

/* The name goes to another mailbox of the server; whether this one has a new name or is gone, the rest of the list
 * says. No server's name begins so. */
static void box_unname(struct db *db, struct box *b)
{
    struct buf name = BUF_INIT(1000);
    buf_addf(&name, "\x01%llu", (unsigned long long)b->id);
    rename_memory(b, buf_str(&name), (struct str){b->utf8, b->utf8_n});
    q_keep(db, "UPDATE boxid SET name=? WHERE id=?", "si", buf_str(&name), I(b->id));
    box_touch(db, b);
    buf_fini(&name);
}

static struct box *box_with_id(struct db *db, struct str objid)
{
    int64_t id;
    return q_one(db, &id, "SELECT id FROM box WHERE objid=?", "s", objid) ? box_ref(db, (uint64_t)id) : NULL;
}

/* The mailbox that a BOX speaks of: by the server's id of it where it has one, for names change hands (RFC 8474). */
static struct box *box_meant(struct db *db, struct str name, struct str utf8, struct str objid)
{
    struct box *named = box_named(db, name), *same = objid.n ? box_with_id(db, objid) : NULL;
    if (!objid.n || (named && (!named->objid || str_eqz(objid, named->objid))))
        return named;
    if (named && !db->listing)
        return named; /* the next list says what became of the others */
    if (same && same->listed == db->list_no)
        same = NULL; /* one id for two mailboxes of one list means nothing */
    if (named && !same && db->local)
        return named; /* a directory that was put back from a copy */
    if (named)
        box_unname(db, named);
    if (!same)
        return NULL;
    rename_memory(same, name, utf8);
    q_keep(db, "UPDATE boxid SET name=?,utf8=? WHERE id=?", "ssi", name, utf8, I(same->id));
    db->list_changed = true;
    box_touch(db, same);
    return same;
}

bool db_box_put(struct db *db, const struct db_box *in, uint64_t *id_r, struct err *err)
{
    bool own;
    *id_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    struct str name = str_sub(in->name, 0, 1000), utf8 = str_sub(in->utf8.n ? in->utf8 : in->name, 0, 1000);
    struct str objid = str_sub(in->objid, 0, 255);
    if (str_case_eqz(name, "INBOX") && !db->local)
        name = STR("INBOX");
    if (!(in->attrs & BOX_NONEXISTENT))
        intent_box_listed(db, name);
    struct box *b = box_meant(db, name, utf8, objid);
    if (!b) {
        int64_t n;
        q_one(db, &n, "SELECT count(*) FROM boxid", "");
        if (n >= BOX_MAX)
            return call_refuse(db, own, err, ERR_LIMIT, "more than %d mailboxes", BOX_MAX);
        b = box_made(db, name, utf8, in->delim);
        if (!b)
            return call_leave(db, own, err);
    }
    if (objid.n && !(b->objid && str_eqz(objid, b->objid))) {
        free(b->objid);
        b->objid = mem_dup_n(objid.p, objid.n);
        b->dirty = true;
        /* at once: the rest of the list is looked up by it */
        q_run(db, "UPDATE box SET objid=? WHERE id=?", "si", objid, I(b->id));
    }
    *id_r = b->id;
    if (b->creating && !(in->attrs & BOX_NONEXISTENT)) {
        b->creating = false;
        q_keep(db, "UPDATE boxid SET creating=0 WHERE id=?", "i", I(b->id));
    }
    int64_t renaming = 0, subscribing = 0;
    if (db->has_pending)
        q_one(db, &renaming, "SELECT 1 FROM intent WHERE state<3 AND kind=? AND box=?", "ii", I(INTENT_BOX_RENAME),
              I(b->id));
    uint32_t attrs = in->attrs;
    if (db->has_pending && ((attrs ^ b->attrs) & BOX_SUBSCRIBED) &&
        q_one(db, &subscribing, "SELECT 1 FROM intent WHERE state<3 AND kind IN (?,?) AND box=?", "iii",
              I(INTENT_BOX_SUBSCRIBE), I(INTENT_BOX_UNSUBSCRIBE), I(b->id)))
        attrs ^= BOX_SUBSCRIBED;
    bool named = renaming || str_eq((struct str){b->utf8, b->utf8_n}, utf8);
    if (!named || b->attrs != attrs || b->role != in->role || b->delim != in->delim) {
        if (!named)
            rename_memory(b, name, utf8);
        b->attrs = attrs;
        b->role = in->role;
        b->delim = in->delim;
        q_keep(db, "UPDATE boxid SET utf8=?,delim=? WHERE id=?", "sii", ((struct str){b->utf8, b->utf8_n}), I(b->delim),
               I(b->id));
        db->list_changed = true;
        box_touch(db, b);
    }
    counts_put(db, b, &(struct db_counted){in->exists, in->unread, in->uidvalidity, in->uidnext, in->modseq});
    if (in->size != UINT64_MAX && (in->size || in->exists == 0) && in->size != b->size) {
        b->size = in->size;
        b->dirty = true;
    }
    if (b->listed != db->list_no) {
        b->listed = db->list_no;
        b->dirty = true;
    }
    return call_leave(db, own, err);
}

bool db_boxes_begin(struct db *db, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    boxes_load(db);
    db->list_no++;
    db->listing = true;
    return call_leave(db, own, err);
}

/* The mailbox and everything in it leave. */
void box_remove(struct db *db, struct box *b)
{
    intent_box_gone(db, b->id);
    box_drop_rows(db, b);
    q_run(db, "DELETE FROM box WHERE id=?", "i", I(b->id));
    q_run(db, "DELETE FROM rank WHERE box IN (?1,-?1)", "i", I(b->id));
    q_run(db, "DELETE FROM thread WHERE box=?", "i", I(b->id));
    q_keep(db, "DELETE FROM boxid WHERE id=?", "i", I(b->id));
    db->list_changed = true;
    imap_put(&db->boxes, b->id, NULL);
    box_free(b);
}

bool db_boxes_end(struct db *db, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    boxes_load(db);
    db->listing = false;
    for (size_t i = 0; i < db->boxes.cap; i++) {
        struct box *b = db->boxes.slots[i].key ? db->boxes.slots[i].value : NULL;
        if (b && b->listed != db->list_no && !b->creating)
            box_remove(db, b);
    }
    intent_boxes_listed(db);
    return call_leave(db, own, err);
}

static void keeps_put(struct box *b, bool any, struct str keywords)
{
    b->told = b->told && !(any && !b->keywords_ok);
    b->keywords_ok = any;
    free(b->keeps);
    b->keeps = !any && keywords.n ? mem_dup_n(keywords.p, MIN(keywords.n, (size_t)KW_MAX)) : NULL;
}

bool db_box_open(struct db *db, uint64_t box, uint32_t uidvalidity, uint32_t uidnext, uint32_t exists, bool readonly,
                 bool keywords_ok, struct str keywords, bool *dropped_r, struct err *err)
{
    bool own;
    *dropped_r = false;
    if (!call_enter(db, &own, err))
        return false;
    struct box *b = box_ref(db, box);
    if (!b)
        return call_refuse(db, own, err, ERR_NO_MAILBOX, "no such mailbox");
    if (b->uidvalidity != uidvalidity || !uidvalidity) { /* none: no UID outlives its selection */
        if (b->uidvalidity || b->known) {
            *dropped_r = b->known > 0;
            box_drop_rows(db, b);
        }
        b->uidvalidity = uidvalidity;
        b->modseq = 0;
        b->base = b->uidnext = uidnext;
        b->filled = false;
        b->unseen = UINT32_MAX;
        held_refresh_flag(db);
        spans_renumbered(db, box);
        q_keep(db, "UPDATE held SET uid=0 WHERE box=?1 AND uid>0 AND (uidv<>?2 OR ?2=0)", "ii", I(box), I(uidvalidity));
    }
    if (!b->base)
        b->base = uidnext;
    if (uidnext)
        b->uidnext = b->next = uidnext;
    b->exists = exists;
    b->readonly = readonly;
    keeps_put(b, keywords_ok, keywords);
    box_touch(db, b);
    return call_leave(db, own, err);
}

/* Calls of the form: find the mailbox, change some fields. */
static struct box *box_enter(struct db *db, uint64_t box, bool *own, struct err *err)
{
    if (!call_enter(db, own, err))
        return NULL;
    struct box *b = box_ref(db, box);
    if (!b)
        call_refuse(db, *own, err, ERR_NO_MAILBOX, "no such mailbox");
    return b;
}

bool db_box_keywords(struct db *db, uint64_t box, bool any, struct str keywords, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    keeps_put(b, any, keywords);
    box_touch(db, b);
    return call_leave(db, own, err);
}

bool db_box_counts(struct db *db, uint64_t box, const struct db_counted *c, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    counts_put(db, b, c);
    return call_leave(db, own, err);
}

bool db_box_recount(struct db *db, uint64_t box, uint64_t modseq, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    if (modseq && modseq == b->counted_modseq && b->unseen != b->counted_unseen) {
        b->unseen = b->counted_unseen;
        box_touch(db, b);
    }
    return call_leave(db, own, err);
}

bool db_box_exists(struct db *db, uint64_t box, uint32_t exists, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    if (b->exists != exists) {
        b->exists = exists;
        box_touch(db, b);
    }
    return call_leave(db, own, err);
}

bool db_box_synced(struct db *db, uint64_t box, uint64_t modseq, uint32_t uidnext, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    b->modseq = modseq ? modseq : b->modseq;
    b->uidnext = uidnext ? uidnext : b->uidnext;
    b->dirty = true;
    return call_leave(db, own, err);
}

bool db_box_filled(struct db *db, uint64_t box, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    if (!b->filled) {
        b->filled = true;
        box_touch(db, b);
    }
    return call_leave(db, own, err);
}

static bool box_answer(struct db *db, struct box *b, bool own, struct db_box *box_r, struct err *err)
{
    arena_reset(db->out);
    if (!b)
        return call_refuse(db, own, err, ERR_NO_MAILBOX, "no such mailbox");
    box_copy(db, b, box_r);
    return call_leave(db, own, err);
}

bool db_box_get(struct db *db, uint64_t box, struct db_box *box_r, struct err *err)
{
    bool own;
    return call_enter(db, &own, err) && box_answer(db, box_ref(db, box), own, box_r, err);
}

bool db_box_by_name(struct db *db, struct str name, struct db_box *box_r, struct err *err)
{
    bool own;
    return call_enter(db, &own, err) && box_answer(db, box_named(db, name), own, box_r, err);
}

bool db_box_by_role(struct db *db, uint8_t role, struct db_box *box_r, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    boxes_load(db);
    struct box *best = NULL;
    /* The user's word wins, then the server's, then the older mailbox. */
    IMAP_EACH(&db->boxes, i)
    {
        struct box *b = db->boxes.slots[i].value;
        if (!b || b->hidden || box_role_of(b) != role)
            continue;
        int rank = b->role_set ? 2 : b->role ? 1 : 0, best_rank = !best ? -1 : best->role_set ? 2 : best->role ? 1 : 0;
        if (rank > best_rank || (rank == best_rank && b->id < best->id))
            best = b;
    }
    return box_answer(db, best, own, box_r, err);
}

bool db_box_set_role(struct db *db, uint64_t box, uint8_t role, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    if (b->role_set != role) {
        b->role_set = role;
        q_keep(db, "UPDATE boxid SET role=? WHERE id=?", "ii", I(role), I(box));
        db->list_changed = true;
    }
    return call_leave(db, own, err);
}

bool db_boxes_each(struct db *db, db_box_fn *fn, void *arg, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    boxes_load(db);
    IMAP_EACH(&db->boxes, i)
    {
        struct db_box r;
        arena_reset(db->out);
        if (!db->boxes.slots[i].value)
            continue;
        box_copy(db, db->boxes.slots[i].value, &r);
        fn(arg, &r);
    }
    return call_leave(db, own, err);
}

bool db_box_renamed(struct db *db, uint64_t box, struct str name, struct str utf8, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err), *other;
    if (!b)
        return false;
    other = box_named(db, name);
    if (other && other != b)
        box_remove(db, other); /* the server says this one bears the name now */
    rename_memory(b, name, utf8.n ? utf8 : name);
    q_keep(db, "UPDATE boxid SET name=?,utf8=? WHERE id=?", "ssi", ((struct str){b->name, b->name_n}),
           ((struct str){b->utf8, b->utf8_n}), I(box));
    b->listed = db->list_no;
    db->list_changed = true;
    box_touch(db, b);
    return call_leave(db, own, err);
}

bool db_box_gone(struct db *db, uint64_t box, struct err *err)
{
    bool own;
    struct box *b = box_enter(db, box, &own, err);
    if (!b)
        return false;
    box_remove(db, b);
    return call_leave(db, own, err);
}
