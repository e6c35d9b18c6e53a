/* What the server says of itself: namespaces, quota, its name (RFC 2342, 9208 and 2087, 2971). Asked beside the list of
 * mailboxes, in the same flight. */
#include "fetch/imap.h"

#define TIGHT 80 /* percent */

void facts_reset(struct session *s)
{
    for (size_t i = 0; i < s->facts.n; i++)
        free(s->facts.list[i].prefix);
    free(s->facts.list);
    s->facts = (struct facts){.n = 0};
}

/* ---- Namespaces --------------------------------------------------------------------------------- */
static struct str prefix_of(const struct space *n)
{
    return (struct str){n->prefix, n->prefix_n};
}

/* "shared" is the top of "shared/". */
static bool is_in(const struct space *n, struct str name)
{
    struct str prefix = prefix_of(n);
    bool top = n->delim && prefix.n == name.n + 1 && prefix.p[name.n] == n->delim;
    return str_starts(name, top ? str_sub(prefix, 0, name.n) : prefix);
}

/* The most exact one that the name lies in, or NULL. */
static const struct space *space_of(const struct session *s, struct str name)
{
    const struct space *best = NULL;
    for (size_t i = 0; i < s->facts.n; i++) {
        const struct space *n = &s->facts.list[i];
        if (is_in(n, name) && (!best || n->prefix_n > best->prefix_n))
            best = n;
    }
    return best;
}

static const struct space *own_space(const struct session *s)
{
    for (size_t i = 0; i < s->facts.n; i++)
        if (s->facts.list[i].kind == IMAP_NS_PERSONAL)
            return &s->facts.list[i];
    return NULL;
}

uint32_t space_attrs(const struct session *s, struct str name)
{
    const struct space *n = space_of(s, name);
    return !n || str_case_eqz(name, "INBOX") ? 0
           : n->kind == IMAP_NS_OTHERS       ? BOX_OTHERS
           : n->kind == IMAP_NS_SHARED       ? BOX_SHARED
                                             : 0;
}

struct str space_own_name(const struct session *s, struct str name)
{
    const struct space *own = own_space(s);
    bool below = own && own->prefix_n && name.n > own->prefix_n && space_of(s, name) == own;
    struct str rest = below ? str_sub(name, own->prefix_n, name.n) : name;
    return str_case_eqz(rest, "INBOX") ? name : rest; /* there is one INBOX */
}

static bool on_namespace(struct session *s, const struct imap_namespaces *all, struct err *err)
{
    bool asked = s->facts.asked, quota_round = s->facts.quota_round, tight = s->facts.tight;
    facts_reset(s);
    s->facts.asked = asked;
    s->facts.quota_round = quota_round;
    s->facts.tight = tight;
    s->facts.list = mem_array(all->n + 1, sizeof(*s->facts.list));
    for (unsigned i = 0; i < all->n; i++)
        s->facts.list[s->facts.n++] = (struct space){.prefix = mem_dup_n(all->list[i].prefix.p, all->list[i].prefix.n),
                                                     .prefix_n = all->list[i].prefix.n,
                                                     .delim = all->list[i].delim,
                                                     .kind = all->list[i].kind};
    const struct space *own = own_space(s);
    return FETCH_SEND(s->f, err, NAMESPACE, .prefix = own ? prefix_of(own) : STR(""),
                      .delim = own ? (uint8_t)own->delim : 0);
}

bool space_hidden(const struct session *s, size_t i, struct str *prefix_r)
{
    const struct space *n = &s->facts.list[i];
    *prefix_r = prefix_of(n);
    /* a wildcard in the prefix would ask for more than it */
    return n->kind != IMAP_NS_PERSONAL && n->prefix_n && !memchr(n->prefix, '*', n->prefix_n) &&
           !memchr(n->prefix, '%', n->prefix_n);
}

/* ---- Quota -------------------------------------------------------------------------------------- */
static bool on_quota(struct session *s, const struct imap_quota *q, struct err *err)
{
    /* One that comes outside of a round would seem to be all there is. */
    for (unsigned i = 0; s->facts.quota_round && i < q->n; i++) {
        const struct imap_resource *r = &q->list[i];
        s->facts.tight = s->facts.tight || r->used > r->limit / 100 * TIGHT;
        if (!FETCH_SEND(s->f, err, QUOTA, .root = q->root, .resource = r->name, .used = r->used, .limit = r->limit))
            return false;
    }
    return true;
}

bool quota_ask(struct session *s, struct str name, uint32_t *tag_r, struct err *err)
{
    struct imap_cmd c;
    *tag_r = 0;
    if (!(imap_caps(s->imap) & IMAP_CAP_QUOTA))
        return true;
    imap_cmd_init(&c, "GETQUOTAROOT ");
    imap_cmd_mailbox(s->imap, &c, name);
    s->facts.quota_round = true;
    s->facts.tight = false;
    return imap_send(s->imap, &c, tag_r, err) || session_lost(s, err);
}

bool quota_finish(struct session *s, uint32_t tag, struct err *err)
{
    struct err refused = ERR_INIT;
    if (!tag)
        return true;
    bool ok = session_done(s, tag, NULL, &refused);
    s->facts.quota_round = false;
    if (!ok && (s->f->lost || s->f->ended)) {
        *err = refused;
        return false;
    }
    return FETCH_SEND(s->f, err, QUOTA, .root = STR(""), .resource = STR(""));
}

bool quota_refused(struct session *s, struct str name, struct err *err)
{
    uint32_t tag;
    struct err ignored = ERR_INIT;
    if (err->kind == ERR_OVERQUOTA && !s->f->lost && quota_ask(s, name, &tag, &ignored))
        quota_finish(s, tag, &ignored);
    return false;
}

bool quota_changed(struct session *s, struct err *err)
{
    uint32_t tag;
    return !s->facts.tight || (quota_ask(s, STR("INBOX"), &tag, err) && quota_finish(s, tag, err));
}

/* ---- Its name ----------------------------------------------------------------------------------- */
static bool on_id(struct session *s, const struct imap_id *id, struct err *err)
{
    struct buf text = BUF_INIT(2000);
    for (unsigned i = 0; i < id->n; i++) {
        size_t before = text.n;
        buf_adds(&text, id->list[i].name);
        buf_addz(&text, ": ");
        for (size_t k = 0; k < id->list[i].value.n; k++) /* a line each */
            buf_addc(&text, id->list[i].value.p[k] == '\n' ? ' ' : id->list[i].value.p[k]);
        buf_addc(&text, '\n');
        if (text.full) {
            text.n = before;
            break;
        }
    }
    bool ok = FETCH_SEND(s->f, err, SERVER_ID, .text = buf_str(&text));
    buf_fini(&text);
    return ok;
}

bool imap_on_server(struct session *s, const struct imap_event *ev, struct err *err)
{
    return ev->what == IMAP_NAMESPACE ? on_namespace(s, ev->namespaces, err)
           : ev->what == IMAP_QUOTA   ? on_quota(s, ev->quota, err)
           : ev->what == IMAP_ID      ? on_id(s, ev->id, err)
                                      : true;
}

bool facts_ask(struct session *s, uint32_t *tag_r, struct err *err)
{
    *tag_r = 0;
    if (s->facts.asked)
        return true;
    s->facts.asked = true;
    if (!(imap_caps(s->imap) & IMAP_CAP_NAMESPACE))
        return FETCH_SEND(s->f, err, NAMESPACE, .prefix = STR(""));
    return imap_sendf(s->imap, tag_r, err, "NAMESPACE") || session_lost(s, err);
}
