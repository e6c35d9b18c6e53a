/* The mailbox list and its counts: LIST with SPECIAL-USE and STATUS in one command where the server can (RFC 5258,
 * 5819, 6154), else piecemeal. */
#include "fetch/imap.h"

#define STATUS_AT_ONCE 32 /* STATUS commands under way */
#define PROBE_MAX 64

struct entry {
    struct str name; /* in the arena */
    char delim;
    uint8_t role;
    uint32_t attrs;
    uint32_t total, unread, uidnext, uidvalidity;
    uint64_t modseq;
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
                            .uidvalidity = UINT32_MAX};
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

static bool box_tell(struct session *s, const struct entry *e, struct err *err)
{
    struct buf utf8 = BUF_INIT(3 * IMAP_NAME_MAX);
    imap_name_decode(e->name, &utf8);
    bool ok = FETCH_SEND(s->f, err, BOX, .name = e->name, .utf8 = buf_str(&utf8), .delim = (uint8_t)e->delim,
                         .attrs = e->attrs, .role = e->role, .total = e->total, .unread = e->unread,
                         .uidnext = e->uidnext, .uidvalidity = e->uidvalidity, .modseq = e->modseq);
    buf_fini(&utf8);
    return ok;
}

/* What other clients make, rename and remove: told by the server unasked (RFC 5465 5.4, 5.5). */
static bool list_news(struct session *s, const struct imap_list *l, struct err *err)
{
    struct buf utf8 = BUF_INIT(3 * IMAP_NAME_MAX);
    imap_name_decode(l->name, &utf8);
    bool ok = FETCH_SEND(s->f, err, LIST_NEWS, .old = l->oldname, .name = l->name,
                         .utf8 = str_sub(buf_str(&utf8), 0, MIN(utf8.n, (size_t)IMAP_NAME_MAX)));
    buf_fini(&utf8);
    return ok;
}

bool imap_on_list(struct session *s, const struct imap_event *ev, struct err *err)
{
    struct box_list *l = s->list;
    if (ev->what == IMAP_LIST || ev->what == IMAP_LSUB) {
        if (l)
            entry_put(l, &ev->list, ev->what == IMAP_LSUB);
        return l || ev->what == IMAP_LSUB || list_news(s, &ev->list, err);
    }
    const struct imap_status *st = &ev->status;
    struct entry *e = entry_find(l, st->name);
    if (!e) {
        if (st->unseen == UINT32_MAX)
            watch_ask(s, st->name);
        return FETCH_SEND(s->f, err, BOX, .name = st->name, .total = st->messages, .unread = st->unseen,
                          .uidnext = st->uidnext, .uidvalidity = st->uidvalidity, .modseq = st->modseq, .counts = 1);
    }
    e->total = st->messages;
    e->unread = st->unseen;
    e->uidnext = st->uidnext;
    e->uidvalidity = st->uidvalidity;
    e->modseq = st->modseq;
    return true;
}

static const char *status_items(const struct session *s)
{
    return imap_caps(s->imap) & IMAP_CAP_CONDSTORE ? "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"
                                                   : "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)";
}

/* STATUS of names, many under way. A NO is that mailbox's affair. */
static bool status_all(struct session *s, struct str (*name_at)(void *arg, size_t i), void *arg, size_t n,
                       struct err *err)
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
                imap_cmd_string(s->imap, &c, name);
                imap_cmd_add(&c, " %s", status_items(s));
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

static bool list_extended(struct session *s, bool status, struct err *err)
{
    uint64_t caps = imap_caps(s->imap);
    uint32_t tag;
    struct buf cmd = BUF_INIT(400);
    buf_addz(&cmd, "LIST \"\" \"*\" RETURN (SUBSCRIBED CHILDREN");
    if (caps & IMAP_CAP_SPECIAL_USE)
        buf_addz(&cmd, " SPECIAL-USE");
    if (status)
        buf_addf(&cmd, " STATUS %s", status_items(s));
    buf_addc(&cmd, ')');
    bool ok = imap_sendf(s->imap, &tag, err, "%s", buf_z(&cmd));
    buf_fini(&cmd);
    if (!ok)
        return session_lost(s, err);
    fetch_ahead(s->f);
    return session_done(s, tag, NULL, err);
}

static bool list_plain(struct session *s, struct err *err)
{
    uint32_t list, lsub;
    struct err ignored = ERR_INIT;
    if (!imap_sendf(s->imap, &list, err, "LIST \"\" \"*\"") || !imap_sendf(s->imap, &lsub, err, "LSUB \"\" \"*\""))
        return session_lost(s, err);
    bool ok = session_done(s, list, NULL, err);
    if (!s->f->lost && !session_done(s, lsub, NULL, &ignored) && s->f->lost) {
        *err = ignored;
        ok = false;
    }
    return ok;
}

bool imap_step_list(struct fetch *f, struct msg *m, struct err *err)
{
    (void)m;
    struct session *s;
    if (!session_need(f, &s, err))
        return false;
    uint64_t caps = imap_caps(s->imap);
    /* In the same flight and before the list, so that no change falls between the two. */
    if (!watch_notify(s, err))
        return false;
    struct box_list *l = list_new(s);
    bool extended = (caps & IMAP_CAP_LIST_EXTENDED) != 0, status = (caps & IMAP_CAP_LIST_STATUS) != 0;
    bool ok = extended && list_extended(s, status, err);
    if (!ok && !f->lost) { /* not offered, or offered and refused */
        status = false;
        ok = list_plain(s, err);
    }
    ok = ok && (status || status_all(s, entry_name, l, l->n, err));
    if (f->lost)
        return false; /* list_free comes with the line's end */
    for (size_t i = 0; ok && i < l->n; i++)
        if (!(l->entries[i].attrs & BOX_NONEXISTENT))
            ok = box_tell(s, &l->entries[i], err);
    list_free(s);
    return ok && watch_notified(s, err);
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
    bool ok = status_all(s, names_at, &names, names.n, err);
    free(names.list);
    return ok;
}

bool imap_step_status(struct fetch *f, struct msg *m, struct err *err)
{
    struct session *s;
    return session_need(f, &s, err) && imap_status_names(s, m->u.STEP_STATUS.names, err);
}

/* ---- CREATE, RENAME, DELETE, SUBSCRIBE ---------------------------------------------------------- */
bool imap_step_box(struct fetch *f, struct msg *m, struct err *err)
{
    static const char *const words[] = {[BOX_CREATE] = "CREATE ",
                                        [BOX_RENAME] = "RENAME ",
                                        [BOX_DELETE] = "DELETE ",
                                        [BOX_SUBSCRIBE] = "SUBSCRIBE ",
                                        [BOX_UNSUBSCRIBE] = "UNSUBSCRIBE "};
    const struct m_STEP_BOX *q = &m->u.STEP_BOX;
    struct session *s;
    struct imap_cmd c;
    struct buf own = BUF_INIT(4 * IMAP_NAME_MAX);
    uint32_t tag, sub = 0;
    if (!session_need(f, &s, err))
        return false;
    if (q->op >= COUNT(words) || !q->name.n)
        return err_set(err, ERR_USAGE, "no such operation on a mailbox");
    imap_cmd_init(&c, words[q->op]);
    bool ok = true;
    if (q->op == BOX_CREATE) {
        ok = imap_name_encode(q->name, &own);
        imap_cmd_string(s->imap, &c, buf_str(&own));
    } else {
        imap_cmd_string(s->imap, &c, q->name);
    }
    if (q->op == BOX_RENAME) {
        ok = imap_name_encode(q->to, &own) && own.n;
        imap_cmd_add(&c, " ");
        imap_cmd_string(s->imap, &c, buf_str(&own));
    }
    if (!ok) {
        imap_cmd_fini(&c);
        buf_fini(&own);
        return err_set(err, ERR_USAGE, "a mailbox name is valid UTF-8 without control characters");
    }
    ok = imap_send(s->imap, &c, &tag, err) || (err->kind != ERR_USAGE && session_lost(s, err));
    if (ok && own.n) { /* what we make is to be seen by other clients that show subscribed mailboxes */
        imap_cmd_init(&c, "SUBSCRIBE ");
        imap_cmd_string(s->imap, &c, buf_str(&own));
        ok = imap_send(s->imap, &c, &sub, err) || session_lost(s, err);
        imap_forget(s->imap, sub);
    }
    buf_fini(&own);
    return ok && session_done(s, tag, NULL, err);
}
