/* The mailbox list and its counts: LIST with SPECIAL-USE and STATUS in one command where the server can (RFC 5258,
 * 5819, 6154), else piecemeal. Namespaces and quota are asked in the same flight. */
#include "fetch/imap.h"

#define STATUS_AT_ONCE 32 /* STATUS commands under way */
#define PROBE_MAX 64

struct entry {
    struct str name; /* in the arena */
    char delim;
    uint8_t role;
    uint32_t attrs;
    uint32_t total, unread, uidnext, uidvalidity;
    uint64_t modseq, size;
    struct str id; /* in the arena */
};
struct box_list {
    struct arena *arena;
    struct entry *entries;
    size_t n, cap;
    uint32_t *hash; /* index + 1 */
    size_t nhash;
    uint64_t seed;
};

void list_free(struct session *s)
{
    if (!s->list)
        return;
    arena_free(&s->list->arena);
    free(s->list->entries);
    free(s->list->hash);
    free(s->list);
    s->list = NULL;
}

static struct box_list *list_new(struct session *s)
{
    list_free(s);
    struct box_list *l = s->list = mem_new(sizeof(*l));
    l->arena = arena_new(64u << 20);
    l->nhash = BOXES_MAX * 2;
    l->hash = mem_array(l->nhash, sizeof(*l->hash));
    fs_random(&l->seed, sizeof(l->seed));
    return l;
}

/* The slot of a name. The seed and the bound on probes keep chosen names from making this slow. */
static uint32_t *hash_slot(struct box_list *l, struct str name)
{
    uint64_t h = (str_hash(name) ^ l->seed) * UINT64_C(0x9E3779B97F4A7C15);
    for (unsigned i = 0; i < PROBE_MAX; i++) {
        uint32_t *at = &l->hash[(size_t)((h >> 20) + i) % l->nhash];
        if (!*at || str_eq(l->entries[*at - 1].name, name))
            return at;
    }
    return NULL;
}

static struct entry *entry_find(struct box_list *l, struct str name)
{
    uint32_t *at = l ? hash_slot(l, name) : NULL;
    return at && *at ? &l->entries[*at - 1] : NULL;
}

static void entry_put(struct box_list *l, const struct imap_list *in, bool lsub)
{
    struct entry *e = entry_find(l, in->name);
    if (!e && !lsub) {
        uint32_t *at = hash_slot(l, in->name);
        char *name = at && l->n < BOXES_MAX ? arena_dup(l->arena, in->name.p, in->name.n) : NULL;
        if (!name)
            return;
        if (l->n == l->cap) {
            l->cap = l->cap ? l->cap * 2 : 64;
            l->entries = mem_resize(l->entries, l->cap, sizeof(*l->entries));
        }
        e = &l->entries[l->n++];
        *e = (struct entry){.name = {name, in->name.n},
                            .total = UINT32_MAX,
                            .unread = UINT32_MAX,
                            .uidnext = UINT32_MAX,
                            .uidvalidity = UINT32_MAX,
                            .size = UINT64_MAX};
        *at = (uint32_t)l->n;
    }
    if (!e)
        return;
    if (lsub) {
        e->attrs |= BOX_SUBSCRIBED;
        return;
    }
    e->delim = in->delim;
    e->attrs |= in->attrs;
    e->role = in->role ? in->role : e->role;
}

/* The name as it is shown: decoded, one's own without what all of them begin with, unless another one bears it so. */
static void name_shown(struct session *s, struct str name, struct buf *utf8)
{
    struct str own = space_own_name(s, name);
    imap_name_decode(entry_find(s->list, own) ? name : own, utf8);
    utf8->n = MIN(utf8->n, (size_t)IMAP_NAME_MAX);
}

static bool box_tell(struct session *s, const struct entry *e, struct err *err)
{
    struct buf utf8 = BUF_INIT(3 * IMAP_NAME_MAX);
    uint32_t whose = space_attrs(s, e->name);
    name_shown(s, e->name, &utf8);
    bool ok = FETCH_SEND(s->f, err, BOX, .name = e->name, .utf8 = buf_str(&utf8), .delim = (uint8_t)e->delim,
                         .attrs = e->attrs | whose, .role = whose ? BOX_NONE : e->role, .total = e->total,
                         .unread = e->unread, .uidnext = e->uidnext, .uidvalidity = e->uidvalidity, .modseq = e->modseq,
                         .id = e->id, .size = e->size);
    buf_fini(&utf8);
    return ok;
}

/* What other clients make, rename and remove: told by the server unasked (RFC 5465 5.4, 5.5). */
bool imap_list_news(struct session *s, const struct imap_list *l, struct err *err)
{
    struct buf utf8 = BUF_INIT(3 * IMAP_NAME_MAX);
    name_shown(s, l->name, &utf8);
    bool ok = FETCH_SEND(s->f, err, LIST_NEWS, .old = l->oldname, .name = l->name, .utf8 = buf_str(&utf8));
    buf_fini(&utf8);
    return ok;
}

bool imap_status_news(struct session *s, const struct imap_status *st, struct err *err)
{
    return FETCH_SEND(s->f, err, BOX, .name = st->name, .total = st->messages, .unread = st->unseen,
                      .uidnext = st->uidnext, .uidvalidity = st->uidvalidity, .modseq = st->modseq, .counts = 1,
                      .size = UINT64_MAX);
}

bool imap_on_list(struct session *s, const struct imap_event *ev, struct err *err)
{
    struct box_list *l = s->list;
    if (ev->what == IMAP_LIST || ev->what == IMAP_LSUB) {
        if (l)
            entry_put(l, &ev->list, ev->what == IMAP_LSUB);
        return l || ev->what == IMAP_LSUB || imap_list_news(s, &ev->list, err);
    }
    const struct imap_status *st = &ev->status;
    if (append_on_status(s, st))
        return true;
    struct entry *e = entry_find(l, st->name);
    if (!e)
        return imap_status_news(s, st, err);
    /* What it does not say may have been said before. */
    e->total = st->messages != UINT32_MAX ? st->messages : e->total;
    e->unread = st->unseen != UINT32_MAX ? st->unseen : e->unread;
    e->uidnext = st->uidnext != UINT32_MAX ? st->uidnext : e->uidnext;
    e->uidvalidity = st->uidvalidity != UINT32_MAX ? st->uidvalidity : e->uidvalidity;
    e->modseq = st->modseq ? st->modseq : e->modseq;
    e->size = st->size != UINT64_MAX ? st->size : e->size;
    char *id = st->mailboxid.n ? arena_dup(l->arena, st->mailboxid.p, st->mailboxid.n) : NULL;
    if (id)
        e->id = (struct str){id, st->mailboxid.n};
    return true;
}

/* Cyrus 3.6 gives other bytes than the id in a LIST with STATUS, in a STATUS the right ones. */
static bool ids_apart(const struct session *s)
{
    return (imap_caps(s->imap) & IMAP_CAP_OBJECTID) && (imap_caps(s->imap) & IMAP_CAP_CREATEDMODSEQ);
}

/* SIZE only with a quota: then it says where the room is; without one it makes some servers open every mailbox. */
static const char *status_items(const struct session *s)
{
    static char items[120];
    uint64_t caps = imap_caps(s->imap);
    bool size = (caps & IMAP_CAP_STATUS_SIZE) && (caps & IMAP_CAP_QUOTA) && s->list;
    snprintf(items, sizeof items, "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY%s%s%s)",
             caps & IMAP_CAP_CONDSTORE ? " HIGHESTMODSEQ" : "",
             (caps & IMAP_CAP_OBJECTID) && s->list && !ids_apart(s) ? " MAILBOXID" : "", size ? " SIZE" : "");
    return items;
}

/* STATUS of names, many under way. A NO is that mailbox's affair. */
static bool status_all(struct session *s, const char *items, struct str (*name_at)(void *arg, size_t i), void *arg,
                       size_t n, struct err *err)
{
    uint32_t tags[STATUS_AT_ONCE] = {0};
    size_t sent = 0, done = 0;
    while (done < n) {
        while (sent < n && sent - done < STATUS_AT_ONCE) {
            struct imap_cmd c;
            struct str name = name_at(arg, sent);
            tags[sent % STATUS_AT_ONCE] = 0;
            if (name.n) {
                imap_cmd_init(&c, "STATUS ");
                imap_cmd_mailbox(s->imap, &c, name);
                imap_cmd_add(&c, " %s", items);
                if (!imap_send(s->imap, &c, &tags[sent % STATUS_AT_ONCE], err))
                    return session_lost(s, err);
            }
            sent++;
        }
        uint32_t tag = tags[done++ % STATUS_AT_ONCE];
        if (tag && !session_done(s, tag, NULL, err) && (s->f->lost || s->f->ended))
            return false;
    }
    return true;
}

static struct str entry_name(void *arg, size_t i)
{
    struct box_list *l = arg;
    return l->entries[i].attrs & BOX_NOSELECT ? (struct str){NULL, 0} : l->entries[i].name;
}

/* prefix "" is all that the server shows by itself. */
static bool list_extended(struct session *s, struct str prefix, bool status, uint32_t *tag_r, struct err *err)
{
    struct imap_cmd c;
    struct buf pattern = BUF_INIT(2 * IMAP_NAME_MAX);
    buf_adds(&pattern, prefix);
    buf_addc(&pattern, '*');
    imap_cmd_init(&c, "LIST \"\" ");
    imap_cmd_mailbox(s->imap, &c, buf_str(&pattern));
    imap_cmd_add(&c, " RETURN (SUBSCRIBED CHILDREN%s", imap_caps(s->imap) & IMAP_CAP_SPECIAL_USE ? " SPECIAL-USE" : "");
    if (status)
        imap_cmd_add(&c, " STATUS %s", status_items(s));
    imap_cmd_add(&c, ")");
    buf_fini(&pattern);
    return imap_send(s->imap, &c, tag_r, err) || session_lost(s, err);
}

static bool list_plain(struct session *s, struct str prefix, struct err *err)
{
    static const char *const words[] = {"LIST \"\" ", "LSUB \"\" "};
    uint32_t tags[2];
    struct err ignored = ERR_INIT;
    struct buf pattern = BUF_INIT(2 * IMAP_NAME_MAX);
    bool ok = true;
    buf_adds(&pattern, prefix);
    buf_addc(&pattern, '*');
    for (size_t i = 0; ok && i < COUNT(words); i++) {
        struct imap_cmd c;
        imap_cmd_init(&c, words[i]);
        imap_cmd_mailbox(s->imap, &c, buf_str(&pattern));
        ok = imap_send(s->imap, &c, &tags[i], err) || session_lost(s, err);
    }
    buf_fini(&pattern);
    if (!ok)
        return false;
    ok = session_done(s, tags[0], NULL, err);
    if (!s->f->lost && !session_done(s, tags[1], NULL, &ignored) && s->f->lost) {
        *err = ignored;
        ok = false;
    }
    return ok;
}

static bool prefix_listed(const struct box_list *l, struct str prefix)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->entries[i].name.n > prefix.n && str_starts(l->entries[i].name, prefix))
            return true;
    return false;
}

/* Mailboxes of others that a list of everything leaves out (RFC 2342 4): one round trip, where there are such. */
static bool list_hidden(struct session *s, bool extended, bool status, struct err *err)
{
    uint32_t tags[IMAP_NAMESPACES_MAX] = {0};
    struct str prefix;
    struct err refused = ERR_INIT;
    bool ok = true;
    for (size_t i = 0; ok && i < s->facts.n && i < IMAP_NAMESPACES_MAX; i++)
        if (extended && space_hidden(s, i, &prefix) && !prefix_listed(s->list, prefix))
            ok = list_extended(s, prefix, status, &tags[i], err);
    for (size_t i = 0; ok && i < COUNT(tags); i++)
        ok = !tags[i] || session_done(s, tags[i], NULL, &refused) || !(s->f->lost || s->f->ended);
    for (size_t i = 0; ok && i < s->facts.n; i++)
        if (!extended && space_hidden(s, i, &prefix) && !prefix_listed(s->list, prefix))
            ok = list_plain(s, prefix, &refused) || !(s->f->lost || s->f->ended);
    if (!ok && refused.kind)
        *err = refused;
    return ok;
}

static bool list_all(struct session *s, struct box_list *l, struct err *err)
{
    uint64_t caps = imap_caps(s->imap);
    bool extended = (caps & IMAP_CAP_LIST_EXTENDED) != 0, status = (caps & IMAP_CAP_LIST_STATUS) != 0, ok = false;
    uint32_t spaces, quota = 0, tag;
    struct err refused = ERR_INIT;
    if (!facts_ask(s, &spaces, err) || (extended && !list_extended(s, (struct str){NULL, 0}, status, &tag, err)) ||
        !quota_ask(s, STR("INBOX"), &quota, err))
        return false;
    if (spaces && !session_done(s, spaces, NULL, &refused) && (s->f->lost || s->f->ended)) {
        *err = refused;
        return false;
    }
    ok = extended && session_done(s, tag, NULL, err);
    if (!ok && !s->f->lost) { /* not offered, or offered and refused */
        extended = status = false;
        ok = list_plain(s, (struct str){NULL, 0}, err);
    }
    return ok && list_hidden(s, extended, status, err) &&
           (status || status_all(s, status_items(s), entry_name, l, l->n, err)) &&
           (!ids_apart(s) || status_all(s, "(MAILBOXID)", entry_name, l, l->n, err)) && quota_finish(s, quota, err);
}

bool imap_step_list(struct fetch *f, struct msg *m, struct err *err)
{
    (void)m;
    struct session *s;
    if (!session_need(f, &s, err))
        return false;
    struct box_list *l = list_new(s);
    bool ok = list_all(s, l, err);
    if (f->lost)
        return false; /* list_free comes with the line's end */
    for (size_t i = 0; ok && i < l->n; i++)
        if (!(l->entries[i].attrs & BOX_NONEXISTENT))
            ok = box_tell(s, &l->entries[i], err);
    list_free(s);
    return ok;
}

struct names {
    struct str *list;
    size_t n;
};

static struct str names_at(void *arg, size_t i)
{
    return ((struct names *)arg)->list[i];
}

/* A NUL between the names: none holds one. */
bool imap_status_names(struct session *s, struct str rest, struct err *err)
{
    struct str name;
    struct names names = {0};
    names.list = mem_array(rest.n + 1, sizeof(*names.list));
    while (str_split(&rest, 0, &name))
        if (name.n)
            names.list[names.n++] = name;
    bool ok = status_all(s, status_items(s), names_at, &names, names.n, err);
    free(names.list);
    return ok;
}

bool imap_step_status(struct fetch *f, struct msg *m, struct err *err)
{
    struct session *s;
    return session_need(f, &s, err) && imap_status_names(s, m->u.STEP_STATUS.names, err);
}

/* ---- CREATE, RENAME, DELETE, SUBSCRIBE ---------------------------------------------------------- */
static const char *const uses[BOX_ROLE_COUNT] = {[BOX_ARCHIVE] = "\\Archive",
                                                 [BOX_DRAFTS] = "\\Drafts",
                                                 [BOX_SENT] = "\\Sent",
                                                 [BOX_TRASH] = "\\Trash",
                                                 [BOX_JUNK] = "\\Junk"};

static bool name_plain(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7F)
            return false;
    return true;
}

static bool box_command(struct session *s, const char *word, struct str name, struct str to, const char *use,
                        uint32_t *tag_r, struct err *err)
{
    struct imap_cmd c;
    imap_cmd_init(&c, word);
    imap_cmd_mailbox(s->imap, &c, name);
    if (to.n) {
        imap_cmd_add(&c, " ");
        imap_cmd_mailbox(s->imap, &c, to);
    }
    if (use)
        imap_cmd_add(&c, " (USE (%s))", use);
    return imap_send(s->imap, &c, tag_r, err) || (err->kind != ERR_USAGE && session_lost(s, err));
}

/* A mailbox of that name made by another client meanwhile is what was wanted (RFC 5530). */
static bool created(struct session *s, uint32_t tag, struct err *err)
{
    struct imap_result r = {.code = STR("")};
    if (session_done(s, tag, &r, err))
        return true;
    if (s->f->lost || s->f->ended || !str_case_eqz(r.code, "ALREADYEXISTS"))
        return false;
    err->kind = ERR_NONE;
    return true;
}

/* What it is for is a gift to other programs: a server that refuses to be told makes the mailbox all the same. */
static bool box_create_for(struct session *s, struct str name, const char *use, struct err *err)
{
    uint32_t tag;
    if (!box_command(s, "CREATE ", name, STR(""), use, &tag, err))
        return false;
    if (created(s, tag, err))
        return true;
    return !s->f->lost && !s->f->ended && err->kind == ERR_SERVER_NO &&
           box_command(s, "CREATE ", name, STR(""), NULL, &tag, err) && created(s, tag, err);
}

bool imap_step_box(struct fetch *f, struct msg *m, struct err *err)
{
    static const char *const words[] = {[BOX_CREATE] = "CREATE ",
                                        [BOX_RENAME] = "RENAME ",
                                        [BOX_DELETE] = "DELETE ",
                                        [BOX_SUBSCRIBE] = "SUBSCRIBE ",
                                        [BOX_UNSUBSCRIBE] = "UNSUBSCRIBE "};
    const struct m_STEP_BOX *q = &m->u.STEP_BOX;
    struct session *s;
    struct str to = q->op == BOX_RENAME ? q->to : STR("");
    uint32_t tag, sub = 0;
    if (!session_need(f, &s, err))
        return false;
    if (q->op >= COUNT(words) || !q->name.n || (q->op == BOX_RENAME && !to.n))
        return err_set(err, ERR_USAGE, "no such operation on a mailbox");
    if (!name_plain(q->op == BOX_RENAME ? to : q->op == BOX_CREATE ? q->name : STR("")))
        return err_set(err, ERR_USAGE, "a mailbox name has no control characters");
    const char *use = q->op == BOX_CREATE && q->role < COUNT(uses) ? uses[q->role] : NULL;
    if (q->op == BOX_DELETE && !select_leave(s, q->name, err))
        return false;
    bool made = q->op == BOX_CREATE || q->op == BOX_RENAME;
    if (use && (imap_caps(s->imap) & IMAP_CAP_CREATE_SPECIAL_USE)) {
        if (!box_create_for(s, q->name, use, err))
            return false;
        tag = 0;
    } else if (!box_command(s, words[q->op], q->name, to, NULL, &tag, err)) {
        return false;
    }
    if (made) { /* what we make is to be seen by other clients that show subscribed mailboxes */
        if (!box_command(s, "SUBSCRIBE ", q->op == BOX_RENAME ? to : q->name, STR(""), NULL, &sub, err))
            return false;
        imap_forget(s->imap, sub);
    }
    if (!tag || (q->op == BOX_CREATE ? created(s, tag, err) : session_done(s, tag, NULL, err)))
        return true;
    /* Cyrus keeps what is deleted for a while, under its name and the second: one of that name a second. */
    if (q->op == BOX_DELETE && err->kind == ERR_SERVER_NO && strstr(err->text, "already exists"))
        err->kind = ERR_SERVER_TEMP;
    return false;
}
