/* Who gets an answer, and mailto: links (RFC 6068). */
#include "mail/mail.h"

/* ---- Recipients --------------------------------------------------------------------------------- */
struct collect {
    struct arena *arena;
    struct str self;
    uint64_t *seen; /* open addressing over both lists: doubles cost no quadratic time */
    size_t slots;
};

static struct str lower(struct arena *arena, struct str s)
{
    char *p = arena_dup(arena, s.p, s.n);
    for (size_t i = 0; p && i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + 32);
    return p ? (struct str){p, s.n} : (struct str){"", 0};
}

/* False where the address was there already. A hostile collision costs its sender one recipient, nothing more. */
static bool remember(struct collect *c, struct str addr)
{
    struct str l = lower(c->arena, addr);
    uint64_t h = str_hash(l) | 1;
    for (size_t i = 0, at = h % c->slots; i < c->slots && i < 64; i++, at = (at + 1) % c->slots) {
        if (c->seen[at] == h)
            return false;
        if (c->seen[at] == 0) {
            c->seen[at] = h;
            return true;
        }
    }
    return true;
}

static void add_list(struct collect *c, struct mail_addrs *into, struct str raw, bool drop_self)
{
    struct mail_addrs a;
    mail_addrs_parse(raw, c->arena, &a);
    into->cut |= a.cut;
    struct mail_addr *list = arena_alloc(c->arena, (into->count + a.count + 1) * sizeof *list);
    if (!list) {
        into->cut = true;
        return;
    }
    if (into->count)
        memcpy(list, into->list, into->count * sizeof *list);
    into->list = list;
    for (size_t i = 0; i < a.count; i++) {
        struct mail_addr *e = &a.list[i];
        if (!mail_addr_valid(e->addr) || (drop_self && mail_addr_is_self(e->addr, c->self)) || !remember(c, e->addr))
            continue;
        e->group = (struct str){"", 0};
        into->list[into->count++] = *e;
    }
}

static bool first_addr(struct str raw, struct arena *arena, struct str *addr_r)
{
    struct mail_addrs a;
    mail_addrs_parse(raw, arena, &a);
    for (size_t i = 0; i < a.count; i++) {
        if (mail_addr_valid(a.list[i].addr)) {
            *addr_r = a.list[i].addr;
            return true;
        }
    }
    return false;
}

/* The address of "<mailto:list@example.org?subject=x>, ..." of List-Post (RFC 2369); "NO" gives none. */
static bool list_post(struct str raw, struct arena *arena, struct str *to_r)
{
    while (raw.n) {
        size_t open, close;
        if (!str_find(raw, '<', &open))
            return false;
        raw = str_sub(raw, open + 1, raw.n);
        if (!str_find(raw, '>', &close))
            return false;
        struct mailto m;
        struct err err = ERR_INIT;
        if (mailto_parse(str_trim(str_sub(raw, 0, close)), arena, &m, &err) && m.to.n) {
            *to_r = m.to;
            return true;
        }
        raw = str_sub(raw, close + 1, raw.n);
    }
    return false;
}

static bool only_self(struct str raw, struct str self, struct arena *arena)
{
    struct str a;
    return first_addr(raw, arena, &a) && mail_addr_is_self(a, self);
}

static void to_sender(const struct mail_original *o, struct collect *c, struct mail_reply *r)
{
    struct str a, from;
    bool own = only_self(o->from, c->self, c->arena);
    if (o->reply_to.n && first_addr(o->reply_to, c->arena, &a) && !(own && mail_addr_is_self(a, c->self))) {
        add_list(c, &r->to, o->reply_to, false);
        r->redirected |= !first_addr(o->from, c->arena, &from) || !mail_addr_same(a, from);
    } else if (own && o->to.n) {
        add_list(c, &r->to, o->to, false); /* going on with one's own mail */
    } else {
        add_list(c, &r->to, o->from.n ? o->from : o->sender, false);
    }
}

static void to_all(const struct mail_original *o, struct collect *c, struct mail_reply *r)
{
    struct str a;
    if (o->mail_followup_to.n && first_addr(o->mail_followup_to, c->arena, &a)) {
        add_list(c, &r->to, o->mail_followup_to, true);
        r->redirected = true;
        if (r->to.count)
            return;
    }
    to_sender(o, c, r);
    add_list(c, &r->to, o->to, true);
    add_list(c, &r->cc, o->cc, true);
}

void mail_reply_recipients(const struct mail_original *o, enum mail_reply_kind kind, struct str self,
                           struct arena *arena, struct mail_reply *r)
{
    *r = (struct mail_reply){0};
    struct collect c = {.arena = arena, .self = self, .slots = 64};
    size_t bytes = o->from.n + o->reply_to.n + o->to.n + o->cc.n + o->mail_followup_to.n;
    while (c.slots < bytes / 2)
        c.slots *= 2;
    c.seen = arena_alloc(arena, c.slots * sizeof *c.seen);
    if (!c.seen) {
        r->to.cut = true;
        return;
    }
    struct str post;
    if (kind == MAIL_REPLY_LIST && list_post(o->list_post, arena, &post)) {
        add_list(&c, &r->to, post, false);
        r->to_list = r->to.count > 0;
    }
    if (r->to.count)
        return;
    if (kind == MAIL_REPLY_SENDER)
        to_sender(o, &c, r);
    else
        to_all(o, &c, r);
}

/* ---- mailto: ------------------------------------------------------------------------------------ */
static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void percent_decode(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
            buf_addc(out, (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2])));
            i += 2;
        } else {
            buf_addc(out, s.p[i]);
        }
    }
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
            return true;
    return false;
}

/* LF line ends; tabs stay, other controls go; cut at 64 KB. */
static struct str body_clean(struct str s, struct arena *arena)
{
    struct buf b = BUF_INIT(65536);
    for (size_t i = 0; i < s.n && !b.full; i++) {
        char c = s.p[i];
        if (c == '\r') {
            buf_addc(&b, '\n');
            i += i + 1 < s.n && s.p[i + 1] == '\n';
        } else if (c == '\n' || c == '\t' || ((unsigned char)c >= 32 && c != 127)) {
            buf_addc(&b, c);
        }
    }
    char *p = arena_dup(arena, buf_z(&b), b.n);
    struct str r = p ? (struct str){p, b.n} : (struct str){"", 0};
    buf_fini(&b);
    return r;
}

/* A second field of one name is added to an address list and otherwise ignored. */
static bool set_field(struct str *field, struct str value, bool addresses, struct arena *arena)
{
    if (value.n == 0)
        return true;
    if (field->n && !addresses)
        return false;
    struct buf b = BUF_INIT(1u << 18);
    if (field->n) {
        buf_adds(&b, *field);
        buf_addz(&b, ", ");
    }
    buf_adds(&b, value);
    char *p = arena_dup(arena, buf_z(&b), b.n);
    if (p)
        *field = (struct str){p, b.n};
    buf_fini(&b);
    return p != NULL;
}

static bool take_field(struct mailto *m, struct str name, struct str value, struct arena *arena, struct err *err)
{
    const struct {
        const char *name;
        struct str *field;
        bool addresses;
    } fields[] = {{"to", &m->to, true},
                  {"cc", &m->cc, true},
                  {"bcc", &m->bcc, true},
                  {"subject", &m->subject, false},
                  {"in-reply-to", &m->in_reply_to, false}};
    if (str_case_eqz(name, "body")) {
        if (memchr(value.n ? value.p : "", '\0', value.n))
            return err_set(err, ERR_PARSE, "the mailto: link holds a NUL in its text");
        m->ignored += m->body.n && value.n;
        if (m->body.n == 0)
            m->body = body_clean(value, arena);
        return true;
    }
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (!str_case_eqz(name, fields[i].name))
            continue;
        if (has_control(value))
            return err_set(err, ERR_PARSE, "the mailto: link hides a control character in its %s", fields[i].name);
        m->ignored += !set_field(fields[i].field, str_trim(value), fields[i].addresses, arena);
        return true;
    }
    m->ignored++;
    return true;
}

bool mailto_parse(struct str uri, struct arena *arena, struct mailto *m, struct err *err)
{
    struct str none = {"", 0};
    *m = (struct mailto){.to = none, .cc = none, .bcc = none, .subject = none, .in_reply_to = none, .body = none};
    if (!str_case_starts(uri, STR("mailto:")))
        return err_set(err, ERR_PARSE, "not a mailto: link");
    if (uri.n > 128 * 1024)
        return err_set(err, ERR_LIMIT, "the mailto: link is too long");
    struct str rest = str_sub(uri, 7, uri.n), to, pair;
    if (rest.n == 0)
        return true;
    struct buf value = BUF_INIT(uri.n + 1), name = BUF_INIT(uri.n + 1);
    str_split(&rest, '?', &to);
    percent_decode(to, &value);
    bool ok = take_field(m, STR("to"), buf_str(&value), arena, err);
    while (ok && rest.p && str_split(&rest, '&', &pair)) {
        if (str_case_starts(pair, STR("amp;"))) /* links copied out of HTML */
            pair = str_sub(pair, 4, pair.n);
        size_t eq = pair.n;
        str_find(pair, '=', &eq);
        buf_reset(&name);
        buf_reset(&value);
        percent_decode(str_sub(pair, 0, eq), &name);
        percent_decode(str_sub(pair, eq + 1, pair.n), &value);
        if (pair.n)
            ok = take_field(m, buf_str(&name), buf_str(&value), arena, err);
    }
    buf_fini(&value);
    buf_fini(&name);
    return ok;
}
