/* What the user wants, recorded and shown: groups, intents, items with their before-images, and where the messages
 * named are. */
#include "conf/conf.h"
#include "store/db_int.h"

/* ---- held: place and identity of the messages that intents name --------------------------------- */

void held_note(struct db *db, uint64_t msg)
{
    q_keep(db,
           "INSERT INTO held(msg,box,uidv,uid,name,mh,msgid,size,idate,date,flags) SELECT "
           "m.id,m.sbox,coalesce(b.uidvalidity,0),m.suid,m.name,m.mh,m.msgid,m.size,m.idate,m.date,m.sflags"
           " FROM msg m LEFT JOIN box b ON b.id=m.sbox WHERE m.id=? ON CONFLICT(msg) DO UPDATE SET "
           "box=excluded.box,uidv=excluded.uidv,uid=excluded.uid,name=excluded.name,size=excluded.size",
           "i", I(msg));
    struct rowc r; /* the mailbox in the table may be older than the one in memory */
    struct box *b = row_load(db, msg, &r) ? box_ref(db, r.sbox) : NULL;
    if (b && b->dirty)
        q_keep(db, "UPDATE held SET uidv=? WHERE msg=?", "ii", I(b->uidvalidity), I(msg));
}

void held_place(struct db *db, uint64_t msg, uint64_t box, uint32_t uidvalidity, uint32_t uid, struct str name)
{
    int64_t held;
    if (q_one(db, &held, "SELECT 1 FROM held WHERE msg=?", "i", I(msg)))
        q_keep(db, "UPDATE held SET box=?,uidv=?,uid=?,name=? WHERE msg=?", "iiini", I(box), I(uidvalidity), I(uid),
               name, I(msg));
}

void held_recover(struct db *db)
{
    struct place {
        uint64_t msg, box;
        uint32_t uidvalidity, uid;
        char *name;
        size_t n;
    } *list = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *st =
        q_ask(db,
              "SELECT h.msg,h.box,h.uidv,coalesce(h.uid,0),h.name FROM held h JOIN msg m ON m.id=h.msg "
              "JOIN box b ON b.id=h.box WHERE b.uidvalidity IN (h.uidv,0) AND (h.uid>0 OR h.name IS NOT NULL) "
              "AND (m.sbox<>h.box OR m.suid<>h.uid OR m.name IS NOT h.name)",
              "");
    while (q_step(db, st)) {
        struct str name = sql_str(st, 4);
        if (n == cap)
            list = mem_resize(list, cap = cap ? cap * 2 : 64, sizeof *list);
        list[n] = (struct place){.msg = sql_u64(st, 0),
                                 .box = sql_u64(st, 1),
                                 .uidvalidity = (uint32_t)sql_u64(st, 2),
                                 .uid = (uint32_t)sql_u64(st, 3),
                                 .name = mem_dup_n(name.n ? name.p : "", name.n),
                                 .n = name.n};
        n++;
    }
    for (size_t i = 0; i < n; i++) {
        struct box *b = box_ref(db, list[i].box);
        if (b && !b->uidvalidity && list[i].uidvalidity) /* this was not known either */
            b->uidvalidity = list[i].uidvalidity, box_touch(db, b);
        if (!db->failed)
            row_place(db, list[i].msg, list[i].box, list[i].uid, (struct str){list[i].name, list[i].n});
        free(list[i].name);
    }
    free(list);
}

void held_refresh_flag(struct db *db)
{
    int64_t any;
    q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM held h WHERE NOT EXISTS(SELECT 1 FROM msg WHERE id=h.msg))", "");
    db->has_held = any;
    pending_refresh_flag(db);
}

void pending_refresh_flag(struct db *db)
{
    int64_t any;
    q_one(db, &any, "SELECT EXISTS(SELECT 1 FROM intent WHERE state<3)", "");
    db->has_pending = any;
    if (db->nspans)
        spans_refresh(db);
}

uint64_t held_claim(struct db *db, struct box *b, uint32_t uid, struct str name, struct str msgid, uint64_t size)
{
    int64_t id = 0, mh = I(sql_msgid_hash(&db->q, msgid));
    if (uid)
        q_one(db, &id,
              "SELECT h.msg FROM held h WHERE h.box=? AND h.uid=? AND h.uid>0 AND h.uidv=? AND (h.mh=?4 OR h.mh=0 OR "
              "?4=0) AND NOT EXISTS(SELECT 1 FROM msg WHERE id=h.msg)",
              "iiii", I(b->id), I(uid), I(b->uidvalidity), mh);
    else
        q_one(db, &id,
              "SELECT h.msg FROM held h WHERE h.box=? AND h.name=? AND h.name IS NOT NULL AND NOT EXISTS(SELECT 1 FROM "
              "msg WHERE id=h.msg)",
              "is", I(b->id), name);
    if (!id && mh && uid) /* its UID is of an older life of the mailbox */
        q_one(db, &id,
              "SELECT h.msg FROM held h WHERE h.mh=? AND h.mh<>0 AND h.box=? AND h.uid=0 AND h.size=? AND NOT "
              "EXISTS(SELECT 1 FROM msg WHERE id=h.msg) ORDER BY h.msg LIMIT 1",
              "iii", mh, I(b->id), I(size));
    if (id)
        q_keep(db, "UPDATE held SET uidv=?,uid=?,name=? WHERE msg=?", "iini", I(b->uidvalidity), I(uid), name, id);
    return (uint64_t)id;
}

/* ---- loading ------------------------------------------------------------------------------------ */

bool intent_load(struct db *db, uint64_t id, struct intent *in)
{
    sqlite3_stmt *st = q_ask(db,
                             "SELECT grp,inverse,kind,state,box,target,fset,fclear,due,arg,utf8,old,oldutf8,tnext,uids "
                             "FROM intent WHERE id=?",
                             "i", I(id));
    if (!q_step(db, st))
        return false;
    *in = (struct intent){.id = id,
                          .group = sql_u64(st, 0),
                          .inverse = sql_int(st, 1),
                          .kind = (enum intent_kind)sql_int(st, 2),
                          .state = (enum intent_state)sql_int(st, 3),
                          .box = sql_u64(st, 4),
                          .target = sql_u64(st, 5),
                          .set = sql_u32(st, 6),
                          .clear = sql_u32(st, 7),
                          .due = sql_int(st, 8),
                          .next = sql_u32(st, 13),
                          .arg = BUF_INIT(4096),
                          .utf8 = BUF_INIT(4096),
                          .old = BUF_INIT(4096),
                          .old_utf8 = BUF_INIT(4096),
                          .uids = BUF_INIT(65536)};
    buf_adds(&in->arg, sql_str(st, 9));
    buf_adds(&in->utf8, sql_str(st, 10));
    buf_adds(&in->old, sql_str(st, 11));
    buf_adds(&in->old_utf8, sql_str(st, 12));
    buf_adds(&in->uids, sql_str(st, 14));
    sqlite3_reset(st);
    return true;
}

void intent_fini(struct intent *in)
{
    buf_fini(&in->arg);
    buf_fini(&in->utf8);
    buf_fini(&in->old);
    buf_fini(&in->old_utf8);
    buf_fini(&in->uids);
}

struct item *items_load(struct db *db, uint64_t intent, size_t *n_r)
{
    struct item *items = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *st = q_ask(db, "SELECT msg,copy,bbox,bflags,aflags,state,tags FROM item WHERE intent=? ORDER BY msg",
                             "i", I(intent));
    while (q_step(db, st)) {
        if (n == cap)
            items = mem_resize(items, cap = cap ? cap * 2 : 32, sizeof *items);
        struct str tags = sql_str(st, 6);
        items[n++] = (struct item){.msg = sql_u64(st, 0),
                                   .copy = sql_u64(st, 1),
                                   .bbox = sql_u64(st, 2),
                                   .bflags = sql_u32(st, 3),
                                   .aflags = sql_u32(st, 4),
                                   .state = (enum item_state)sql_int(st, 5),
                                   .tags = tags.n ? mem_dup_n(tags.p, tags.n) : NULL};
    }
    *n_r = n;
    return items;
}

void items_free(struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(items[i].tags);
    free(items);
}

/* ---- making ------------------------------------------------------------------------------------- */

void maker_fini(struct maker *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->made[i].arg);
    free(m->made);
}

static bool made_same(const struct made *a, const struct made *key)
{
    return a->kind == key->kind && a->box == key->box && a->target == key->target && a->set == key->set &&
           a->clear == key->clear && a->n < ITEMS_PER_INTENT && !strcmp(a->arg ? a->arg : "", key->arg ? key->arg : "");
}

static struct made *maker_intent(struct maker *m, const struct made *key, int64_t due, struct str utf8,
                                 enum intent_state state)
{
    for (size_t i = m->n; i-- > 0;)
        if (made_same(&m->made[i], key))
            return &m->made[i];
    if (m->n == m->cap)
        m->made = mem_resize(m->made, m->cap = m->cap ? m->cap * 2 : 8, sizeof *m->made);
    struct made *d = &m->made[m->n++];
    *d = *key;
    d->arg = mem_dup_z(key->arg);
    d->n = 0;
    q_keep(m->db,
           "INSERT INTO intent(grp,round,inverse,kind,state,box,target,fset,fclear,arg,utf8,due) "
           "VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
           "iiiiiiiiissi", I(m->group), I(m->round), I(m->inverse), I(key->kind), I(state), I(key->box), I(key->target),
           I(key->set), I(key->clear), str_z(key->arg), utf8, due);
    d->id = (uint64_t)sqlite3_last_insert_rowid(m->db->q.h);
    if (state < INTENT_DONE)
        m->db->has_pending = true;
    return d;
}

static void maker_item(struct maker *m, struct made *d, const struct rowc *r, uint32_t after, uint64_t copy,
                       struct str tags, enum item_state state)
{
    held_note(m->db, r->id);
    q_keep(m->db, "INSERT OR IGNORE INTO item(intent,msg,state,bflags,aflags,bbox,copy,tags) VALUES(?,?,?,?,?,?,?,?)",
           "iiiiiiin", I(d->id), I(r->id), I(state), I(r->flags), I(after), I(r->box), I(copy), tags);
    d->n++;
    m->count++;
}

bool make_flags(struct maker *m, uint64_t msg, uint32_t set, uint32_t clear)
{
    struct rowc r, now;
    if (!row_load(m->db, msg, &r) || !r.box)
        return false;
    now = r;
    now.flags = (r.flags | set) & ~clear;
    if (now.flags == r.flags)
        return false;
    struct made *d =
        maker_intent(m, &(struct made){.kind = INTENT_FLAGS, .box = r.box, .set = set & ~clear, .clear = clear}, 0,
                     STR(""), INTENT_QUEUED);
    maker_item(m, d, &r, now.flags, 0, STR(""), ITEM_PENDING);
    now.state |= ROW_PENDING;
    row_store(m->db, &r, &now);
    return true;
}

bool make_move(struct maker *m, uint64_t msg, uint64_t target)
{
    struct rowc r, now;
    if (!row_load(m->db, msg, &r) || !r.box || r.box == target)
        return false;
    struct made *d =
        maker_intent(m, &(struct made){.kind = INTENT_MOVE, .box = r.box, .target = target}, 0, STR(""), INTENT_QUEUED);
    maker_item(m, d, &r, r.flags, 0, STR(""), ITEM_PENDING);
    now = r;
    now.box = target;
    now.state |= ROW_PENDING;
    row_store(m->db, &r, &now);
    return true;
}

bool make_purge(struct maker *m, uint64_t msg, int64_t due)
{
    struct rowc r, now;
    if (!row_load(m->db, msg, &r) || !r.box)
        return false;
    struct made *d = maker_intent(m, &(struct made){.kind = INTENT_PURGE, .box = r.box}, due, STR(""), INTENT_QUEUED);
    maker_item(m, d, &r, r.flags, 0, STR(""), ITEM_PENDING);
    now = r;
    now.box = 0;
    now.state |= ROW_PENDING;
    row_store(m->db, &r, &now);
    return true;
}

bool make_copy(struct maker *m, uint64_t msg, uint64_t target)
{
    struct rowc r, c;
    if (!row_load(m->db, msg, &r) || !r.box)
        return false;
    uint64_t id = id_msg(m->db);
    struct made *d =
        maker_intent(m, &(struct made){.kind = INTENT_COPY, .box = r.box, .target = target}, 0, STR(""), INTENT_QUEUED);
    maker_item(m, d, &r, r.flags, id, STR(""), ITEM_PENDING);
    c = r;
    c.id = id;
    c.box = c.sbox = target;
    c.uid = 0;
    c.named = false;
    c.sflags = c.flags = r.flags;
    c.state = (r.state & ~(uint32_t)(ROW_BODY | ROW_TEXT | ROW_LOOSE)) | ROW_PENDING;
    q_run(m->db,
          "INSERT INTO "
          "msg(id,box,date,flags,attrs,state,thread,size,sbox,suid,sflags,mh,idate,istate,iseq,from_name,from_addr,to_,"
          "subject,msgid,list_id,kw,refs,emailid,fkey,skey,arrived)"
          " SELECT ?1,?2,date,?3,attrs,?4,thread,size,?2,0,?3,mh,idate,CASE WHEN (attrs & 32) THEN 1 ELSE 0 "
          "END,1,from_name,from_addr,to_,subject,msgid,list_id,kw,refs,emailid,fkey,skey,arrived FROM msg WHERE id=?5",
          "iiiii", I(id), I(target), I(c.flags), I(c.state), I(msg));
    row_counted(m->db, NULL, &c);
    held_note(m->db, id);
    struct rowc now = r;
    now.state |= ROW_PENDING;
    row_store(m->db, &r, &now);
    return true;
}

static bool any_keyword(const struct db *db, struct str words)
{
    struct str w;
    while (str_split(&words, ' ', &w))
        if (w.n > 1 && tag_goes(db, str_sub(w, 1, w.n)))
            return true;
    return false;
}

bool make_tags(struct maker *m, uint64_t msg, struct str words)
{
    struct db *db = m->db;
    struct rowc r, now;
    uint64_t mh, fp;
    if (!row_load(db, msg, &r) || !r.box)
        return false;
    tag_identity(db, msg, &mh, &fp);
    struct buf did = BUF_INIT(4096);
    bool changed = tags_change(db, mh, fp, words, &did);
    if (changed) {
        /* Local accounts have no keywords: there the tag is the whole act. */
        bool remote = !db->local && any_keyword(db, buf_str(&did));
        char *arg = mem_dup_n(words.p, words.n);
        struct made *d = maker_intent(m, &(struct made){.kind = INTENT_TAGS, .box = r.box, .arg = arg}, 0, STR(""),
                                      remote ? INTENT_QUEUED : INTENT_DONE);
        free(arg);
        maker_item(m, d, &r, r.flags, 0, buf_str(&did), remote ? ITEM_PENDING : ITEM_DONE);
        now = r;
        if (remote)
            now.state |= ROW_PENDING;
        row_store(db, &r, &now);
        row_queue(db, msg, INDEX_WHAT_TAGS);
        if (m->heeded)
            tagged_note(db, msg, m->group, buf_str(&did), 0);
    }
    buf_fini(&did);
    return changed;
}

/* Of the account's own mailboxes, for one that the server has not listed yet. */
static char own_delim(struct db *db)
{
    int64_t delim = 0;
    q_one(db, &delim, "SELECT delim FROM box WHERE delim<>0 AND (attrs & ?)=0 LIMIT 1", "i",
          I(BOX_OTHERS | BOX_SHARED));
    return (char)delim;
}

uint64_t make_box(struct maker *m, enum intent_kind kind, uint64_t box, struct str name, struct str utf8)
{
    struct db *db = m->db;
    struct box *b = kind == INTENT_BOX_CREATE ? box_made(db, name, utf8, own_delim(db)) : box_ref(db, box);
    if (!b)
        return 0;
    char *arg = mem_dup_n(name.p, name.n);
    struct made *d = maker_intent(m, &(struct made){.kind = kind, .box = b->id, .arg = arg, .n = ITEMS_PER_INTENT}, 0,
                                  utf8, INTENT_QUEUED);
    free(arg);
    q_keep(db, "UPDATE intent SET old=?,oldutf8=? WHERE id=?", "ssi", ((struct str){b->name, b->name_n}),
           ((struct str){b->utf8, b->utf8_n}), I(d->id));
    if (kind == INTENT_BOX_CREATE) {
        b->creating = true;
        b->filled = true;
        q_keep(db, "UPDATE boxid SET creating=1 WHERE id=?", "i", I(b->id));
    } else if (kind == INTENT_BOX_DELETE) {
        b->hidden = true;
    } else if (kind != INTENT_BOX_RENAME) {
        b->attrs ^= BOX_SUBSCRIBED;
    } else {
        free(b->utf8);
        b->utf8 = mem_dup_n(utf8.p, utf8.n);
        b->utf8_n = utf8.n;
    }
    box_touch(db, b);
    db->list_changed = true;
    m->count++;
    return b->id;
}

static void tag_keyword_add(const struct db *db, struct str tag, struct buf *kw)
{
    struct buf word = BUF_INIT(4 * TAG_KEYWORD_MAX);
    if (tag_to_keyword(&db->names, tag, &word) && kw->n + word.n < KW_MAX)
        buf_addf(kw, "%s%s", kw->n ? " " : "", buf_z(&word));
    buf_fini(&word);
}

/* The tags that came with the mail; those that can be keywords are said to the server with it. */
static void append_tags(struct db *db, const struct rowc *r, const struct db_row *w, struct buf *kw)
{
    struct buf add = BUF_INIT(4096);
    struct str rest = w->keywords, word;
    while (str_split(&rest, ' ', &word)) {
        if (!tag_is(word) || tag_reserved(word))
            continue;
        buf_addf(&add, "%s+%.*s", add.n ? " " : "", STR_FMT(word));
        if (!db->local && !db->labels)
            tag_keyword_add(db, word, kw);
    }
    if (add.n)
        tags_change(db, r->mh, sql_fingerprint(&db->q, w->from_addr, w->subject, w->date), buf_str(&add), NULL);
    buf_fini(&add);
}

static uint64_t make_append(struct maker *m, const struct db_intent *in)
{
    struct db *db = m->db;
    const struct db_row *w = in->row;
    struct rowc r = {.id = id_msg(db),
                     .box = in->target,
                     .sbox = in->target,
                     .size = w->size,
                     .flags = w->flags,
                     .sflags = w->flags,
                     .attrs = w->attrs,
                     .state = (w->state & (ROW_BODY | ROW_TEXT | ROW_STUB)) | ROW_PENDING,
                     .date = w->date,
                     .mh = sql_msgid_hash(&db->q, w->msgid)};
    struct buf kw = BUF_INIT(KW_MAX);
    struct sort_keys sort =
        sort_keys_of(str_sub(w->from_name, 0, 256), str_sub(w->from_addr, 0, 320), str_sub(w->subject, 0, 1024));
    append_tags(db, &r, w, &kw);
    r.thread = thread_assign(db, r.id, 0, r.mh, str_sub(w->refs, 0, 4096), STR(""), w->subject);
    q_run(db,
          "INSERT INTO "
          "msg(id,box,date,flags,attrs,state,thread,size,sbox,suid,sflags,mh,idate,istate,iseq,from_name,from_addr,to_,"
          "subject,msgid,list_id,refs,kw,fkey,skey,arrived)"
          " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?2,0,?4,?9,?10,CASE WHEN (?5 & 32) THEN 1 ELSE 0 "
          "END,1,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,CASE ?10 WHEN 0 THEN ?3 ELSE ?10 END)",
          "iiiiiiiiiinnnnnnnnss", I(r.id), I(r.box), r.date, I(r.flags), I(r.attrs), I(r.state), I(r.thread), I(r.size),
          I(r.mh), w->internal_date, str_sub(w->from_name, 0, 256), str_sub(w->from_addr, 0, 320),
          str_sub(w->to, 0, 512), str_sub(w->subject, 0, 1024), str_sub(sql_msgid(w->msgid), 0, 512),
          str_sub(w->list_id, 0, 256), str_sub(w->refs, 0, 4096), buf_str(&kw), SORT_KEY(sort, from),
          SORT_KEY(sort, subject));
    buf_fini(&kw);
    row_counted(db, NULL, &r);
    char *arg = mem_dup_n(in->arg.p, in->arg.n);
    struct made *d = maker_intent(m,
                                  &(struct made){.kind = INTENT_APPEND,
                                                 .box = in->target,
                                                 .target = in->target,
                                                 .set = w->flags,
                                                 .arg = arg,
                                                 .n = ITEMS_PER_INTENT},
                                  0, STR(""), INTENT_QUEUED);
    free(arg);
    maker_item(m, d, &r, r.flags, r.id, STR(""), ITEM_PENDING);
    return r.id;
}

/* With what it replaces: that goes only when the new form is there (may_go, db_intents_refused). */
static void make_append_for(struct maker *m, const struct db_intent *in)
{
    make_append(m, in);
    for (size_t i = 0; i < in->n; i++)
        make_purge(m, in->msgs[i], in->now);
}

/* ---- adding: first everything that can be refused, then the change ------------------------------ */

static uint8_t target_role(enum intent_kind kind)
{
    return kind == INTENT_ARCHIVE ? BOX_ARCHIVE
           : kind == INTENT_TRASH ? BOX_TRASH
           : kind == INTENT_SPAM  ? BOX_JUNK
           : kind == INTENT_HAM   ? BOX_INBOX
                                  : BOX_NONE;
}

static bool is_move(enum intent_kind k)
{
    return k == INTENT_MOVE || target_role(k);
}

static bool check_tags(struct str words, struct err *err)
{
    struct str w;
    size_t n = 0;
    while (str_split(&words, ' ', &w)) {
        struct str tag = str_sub(w, 1, w.n);
        if (!w.n)
            continue;
        if ((w.p[0] != '+' && w.p[0] != '-') || !tag_is(tag))
            return err_set(err, ERR_USAGE, "tags are given as +name or -name");
        if (tag_reserved(tag))
            return err_set(err, ERR_USAGE, "the tag '%.*s' follows the message's flags and place; change those",
                           STR_FMT(tag));
        n++;
    }
    return n || err_set(err, ERR_USAGE, "no tag given");
}

static bool check_box_op(struct db *db, const struct db_intent *in, struct err *err)
{
    int64_t id;
    if (in->kind != INTENT_BOX_CREATE && !box_ref(db, in->box))
        return err_set(err, ERR_NO_MAILBOX, "no such mailbox");
    if (in->kind == INTENT_BOX_DELETE)
        return true;
    if (in->kind == INTENT_BOX_SUBSCRIBE || in->kind == INTENT_BOX_UNSUBSCRIBE) {
        bool is = (box_ref(db, in->box)->attrs & BOX_SUBSCRIBED) != 0;
        return is != (in->kind == INTENT_BOX_SUBSCRIBE) ||
               err_set(err, ERR_USAGE, is ? "the mailbox is subscribed already" : "the mailbox is not subscribed");
    }
    if (!in->arg.n || in->arg.n > 1000 || memchr(in->arg.p, '\r', in->arg.n) || memchr(in->arg.p, '\n', in->arg.n) ||
        memchr(in->arg.p, 0, in->arg.n))
        return err_set(err, ERR_USAGE, "not a mailbox name");
    if (q_one(db, &id, "SELECT id FROM boxid WHERE name=?", "s", in->arg) && (uint64_t)id != in->box)
        return err_set(err, ERR_USAGE, "a mailbox of that name exists");
    return true;
}

static bool check_msgs(struct db *db, const struct db_intent *in, struct err *err)
{
    size_t found = 0;
    for (size_t i = 0; i < in->n; i++) {
        struct rowc r;
        if (!row_load(db, in->msgs[i], &r) || !r.box)
            continue;
        found++;
        struct box *b = box_ref(db, r.box);
        if (b && b->readonly && in->kind != INTENT_COPY && in->kind != INTENT_TAGS)
            return err_set(err, ERR_READ_ONLY, "the mailbox can only be read");
        if (in->kind == INTENT_COPY && (r.state & ROW_STUB)) /* the server's mail is one, and comes once */
            return err_set(err, ERR_USAGE, "only the header of this mail is here: open it first, then copy it");
    }
    return found || err_set(err, ERR_NO_MESSAGE, "the message does not exist any more");
}

static bool check(struct db *db, const struct db_intent *in, uint64_t *target_r, struct err *err)
{
    *target_r = in->target;
    if (intent_on_box(in->kind))
        return check_box_op(db, in, err);
    if (in->kind == INTENT_MARK_ALL_READ) {
        struct box *b = box_ref(db, in->box);
        if (!b)
            return err_set(err, ERR_NO_MAILBOX, "no such mailbox");
        return !(b->readonly && b->known) || err_set(err, ERR_READ_ONLY, "the mailbox can only be read");
    }
    if (is_move(in->kind) || in->kind == INTENT_COPY || in->kind == INTENT_APPEND) {
        struct db_box role;
        if (!*target_r && target_role(in->kind)) {
            if (!db_box_by_role(db, target_role(in->kind), &role, err))
                return db->failed ? false
                                  : err_set(err, ERR_NO_MAILBOX, "the account has no mailbox for this: set %s",
                                            in->kind == INTENT_ARCHIVE ? "archive"
                                            : in->kind == INTENT_TRASH ? "trash"
                                                                       : "spam");
            *target_r = role.id;
        }
        struct box *b = box_ref(db, *target_r);
        if (!b || b->hidden)
            return err_set(err, ERR_NO_MAILBOX, "no such mailbox");
        if ((b->readonly && b->known) || (b->attrs & BOX_NOSELECT))
            return err_set(err, ERR_READ_ONLY, "the target mailbox takes no messages");
        if (in->kind == INTENT_APPEND)
            return in->row || err_set(err, ERR_USAGE, "nothing to append");
    }
    if (in->kind == INTENT_RULES && in->target) {
        struct box *b = box_ref(db, in->target);
        if (!b || b->hidden || (b->readonly && b->known) || (b->attrs & BOX_NOSELECT))
            return err_set(err, b && !b->hidden ? ERR_READ_ONLY : ERR_NO_MAILBOX,
                           "the target mailbox takes no messages");
    }
    if ((in->kind == INTENT_TAGS || (in->kind == INTENT_RULES && in->arg.n)) && !check_tags(in->arg, err))
        return false;
    if (in->kind < INTENT_FLAGS || in->kind >= INTENT_KIND_COUNT)
        return err_set(err, ERR_USAGE, "unknown kind of change %d", (int)in->kind);
    return check_msgs(db, in, err);
}

/* What tells the server's filter too: RFC 9051 2.3.2. Not where the mailbox keeps no keywords. */
static void make_judged(struct maker *m, uint64_t msg, bool spam)
{
    struct rowc r;
    uint32_t count = m->count;
    struct box *b = row_load(m->db, msg, &r) ? box_ref(m->db, r.box) : NULL;
    if (b && b->keywords_ok && !m->db->local)
        make_flags(m, msg, spam ? FLAG_JUNK : FLAG_NOTJUNK, spam ? FLAG_NOTJUNK : FLAG_JUNK);
    m->count = count; /* the move counts */
}

static bool is_in(struct maker *m, uint64_t msg, uint64_t box)
{
    struct rowc r;
    return row_load(m->db, msg, &r) && r.box == box;
}

static void make_gone(struct maker *m, uint64_t msg, const struct db_intent *in)
{
    uint32_t count = m->count;
    if (in->via && !is_in(m, msg, in->via))
        make_move(m, msg, in->via);
    m->count = count; /* the removal counts */
    make_purge(m, msg, in->now + m->db->purge_hold);
}

static void make_ruled(struct maker *m, uint64_t msg, const struct db_intent *in)
{
    uint32_t count = m->count;
    if (in->claim && row_ruled(m->db, msg)) /* meanwhile another device has it */
        return;
    bool flags = (in->set || in->clear) && make_flags(m, msg, in->set, in->clear);
    bool tags = in->arg.n && make_tags(m, msg, in->arg);
    bool moved = in->target && make_move(m, msg, in->target);
    m->count = count + (flags || tags || moved);
    if (in->claim && m->count > count)
        claim_note(m->db, msg, m->group);
}

static void make_each(struct maker *m, const struct db_intent *in, uint64_t target)
{
    for (size_t i = 0; i < in->n && !m->db->failed; i++) {
        uint64_t id = in->msgs[i];
        if (in->kind == INTENT_SPAM || in->kind == INTENT_HAM)
            make_judged(m, id, in->kind == INTENT_SPAM);
        if (in->kind == INTENT_TRASH && is_in(m, id, target)) {
            if (in->box == target) /* seen in Trash: for good; seen elsewhere, it went there meanwhile */
                make_gone(m, id, in);
        } else if (is_move(in->kind))
            make_move(m, id, target);
        else if (in->kind == INTENT_COPY)
            make_copy(m, id, target);
        else if (in->kind == INTENT_FLAGS)
            make_flags(m, id, in->set, in->clear);
        else if (in->kind == INTENT_PURGE)
            make_gone(m, id, in);
        else if (in->kind == INTENT_TAGS)
            make_tags(m, id, in->arg);
        else if (in->kind == INTENT_RULES)
            make_ruled(m, id, in);
    }
}

void db_set_deed(struct db *db, uint64_t deed)
{
    db->deed = deed;
}

static uint64_t group_new(struct db *db, const struct db_intent *in, uint64_t target)
{
    static int64_t newest; /* of all accounts: each has its own database, and this program alone writes them */
    int64_t last = 0;
    q_one(db, &last, "SELECT stamp FROM ugroup ORDER BY id DESC LIMIT 1", "");
    int64_t stamp = newest = MAX(clock_wall() * 1000, MAX(last, newest) + 1);
    q_keep(db, "INSERT INTO ugroup(kind,state,stamp,created,count,round,target,deed) VALUES(?,?,?,?,0,1,?,?)", "iiiiii",
           I(in->kind), I(in->automatic ? 2 : 0), stamp, in->now, I(target), (int64_t)db->deed);
    return (uint64_t)sqlite3_last_insert_rowid(db->q.h);
}

/* Nothing came behind it that undo would take back first, and it was not undone itself. */
static bool group_open(struct db *db, uint64_t group)
{
    int64_t id = 0;
    return q_one(db, &id, "SELECT max(id) FROM ugroup WHERE state<>2 OR id=?", "i", I(group)) &&
           (uint64_t)id == group && !q_one(db, &id, "SELECT 1 FROM ugroup WHERE id=? AND state=1", "i", I(group));
}

static bool group_active(struct db *db, uint64_t group)
{
    int64_t one;
    return q_one(db, &one, "SELECT 1 FROM ugroup WHERE id=? AND state=0", "i", I(group));
}

bool db_intent_add(struct db *db, const struct db_intent *in, uint64_t *group_r, uint64_t *target_r, uint32_t *count_r,
                   struct err *err)
{
    bool own;
    uint64_t target = 0;
    struct err why = ERR_INIT;
    *group_r = 0;
    *count_r = 0;
    if (target_r)
        *target_r = 0;
    if (!call_enter(db, &own, err))
        return false;
    if (!check(db, in, &target, &why))
        return call_refuse(db, own, err, why.kind, "%s", why.text);
    bool joined = in->group && (in->follows ? group_active(db, in->group) : group_open(db, in->group));
    uint64_t group = joined ? in->group : group_new(db, in, target);
    struct maker m = {
        .db = db, .group = group, .round = 1, .now = in->now, .heeded = in->kind == INTENT_TAGS && !in->automatic};
    if (intent_on_box(in->kind))
        target = make_box(&m, in->kind, in->box, in->arg, in->utf8.n ? in->utf8 : in->arg);
    else if (in->kind == INTENT_APPEND)
        make_append_for(&m, in);
    else if (in->kind == INTENT_MARK_ALL_READ)
        make_all_read(&m, in->box);
    else
        make_each(&m, in, target);
    if (m.count) {
        if (!in->automatic && !in->follows)
            q_keep(db, "UPDATE ugroup SET state=2 WHERE state=1", "");
        q_keep(db, "UPDATE ugroup SET count=count+?1,kind=CASE WHEN ?2=?3 THEN ?3 ELSE kind END WHERE id=?4", "iiii",
               I(m.count), I(in->kind), I(INTENT_RULES), I(group));
    } else if (!joined) {
        q_keep(db, "DELETE FROM ugroup WHERE id=?", "i", I(group));
        group = 0;
    }
    uint32_t count = m.count;
    maker_fini(&m);
    if (!call_leave(db, own, err))
        return false;
    *group_r = group;
    *count_r = count;
    if (target_r)
        *target_r = target;
    return true;
}
