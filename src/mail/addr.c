/* Address lists (RFC 5322 3.4, 4.4) read with repair, and addresses written. */
#include "mail/mail.h"

#include <strings.h>

/* One pass over the value; the address under way is in the bufs, so that nothing is looked at twice. */
struct scan {
    struct str s;
    size_t i;
    struct arena *arena;
    struct mail_addrs *out;
    size_t cap;
    struct buf phrase; /* words before '<': quotes resolved */
    struct buf bare;   /* the same with quotes: an address without <> is looked for in it */
    struct buf angle;
    struct buf comment;
    struct buf hold; /* words cut off by a comma: perhaps "Last, First <a@b>" */
    struct str group;
    unsigned holds;
    bool has_angle, has_at, quoted, in_group, group_empty, blank;
    bool no_quote, no_comment; /* no closing one further on: searched once */
};

static struct str keep(struct scan *c, struct str s)
{
    char *p = s.n ? arena_dup(c->arena, s.p, s.n) : NULL;
    if (s.n && !p)
        c->out->cut = true;
    return p ? (struct str){p, s.n} : (struct str){"", 0};
}

static void emit(struct scan *c, struct str name, struct str addr)
{
    struct mail_addrs *a = c->out;
    if (a->count >= MAIL_ADDRESSES_MAX) {
        a->cut = true;
        return;
    }
    if (a->count == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        struct mail_addr *list = arena_alloc(c->arena, cap * sizeof *list);
        if (!list) {
            a->cut = true;
            return;
        }
        if (a->count)
            memcpy(list, a->list, a->count * sizeof *list);
        a->list = list;
        c->cap = cap;
    }
    if (addr.n > MAIL_ADDR_MAX) {
        addr.n = MAIL_ADDR_MAX;
        a->broken = true;
    }
    struct mail_addr *e = &a->list[a->count];
    *e = (struct mail_addr){.name = mail_words(str_trim(name), c->arena), .addr = keep(c, addr), .group = c->group};
    a->count++;
    c->group_empty = false;
}

static void item_reset(struct scan *c)
{
    buf_reset(&c->phrase);
    buf_reset(&c->bare);
    buf_reset(&c->angle);
    buf_reset(&c->comment);
    c->has_angle = c->has_at = c->quoted = c->blank = false;
}

static void hold_flush(struct scan *c)
{
    if (c->holds) {
        c->out->broken = true;
        emit(c, buf_str(&c->hold), (struct str){"", 0});
    }
    buf_reset(&c->hold);
    c->holds = 0;
}

/* ---- An address without <> ---------------------------------------------------------------------- */
/* "john . doe @ example.org": the obsolete blanks around dots and '@' go. */
static void join_obsolete(struct buf *b)
{
    size_t n = 0;
    bool quote = false;
    for (size_t i = 0; i < b->n; i++) {
        char ch = b->p[i];
        if (ch == '"')
            quote = !quote;
        if (!quote && ch == ' ') {
            char next = i + 1 < b->n ? b->p[i + 1] : 0, last = n ? b->p[n - 1] : 0;
            if (next == '@' || last == '@' || (last == '.' && n > 1) || next == '.')
                continue;
        }
        b->p[n++] = ch;
    }
    b->n = n;
}

static size_t token_end(struct str s, size_t i)
{
    bool quote = false;
    for (; i < s.n && (quote || s.p[i] != ' '); i++)
        if (s.p[i] == '"')
            quote = !quote;
    return i;
}

/* The last token with an '@' is the address, the others are its name. */
static bool split_bare(struct str s, struct str *addr_r, struct buf *name)
{
    struct str addr = {NULL, 0};
    for (size_t i = 0; i < s.n;) {
        size_t e = token_end(s, i), at;
        struct str t = str_sub(s, i, e);
        if (str_find(t, '@', &at) && t.n > 1)
            addr = t;
        i = e + 1;
    }
    if (!addr.p)
        return false;
    size_t from = (size_t)(addr.p - s.p);
    buf_adds(name, str_sub(s, 0, from));
    buf_adds(name, str_sub(s, MIN(from + addr.n + 1, s.n), s.n));
    *addr_r = addr;
    return true;
}

/* "alice at example.org": three tokens and no more. */
static bool spelled_at(struct str s, struct buf *out)
{
    size_t a, b;
    if (!str_find(s, ' ', &a))
        return false;
    struct str rest = str_sub(s, a + 1, s.n);
    if (!str_find(rest, ' ', &b) || !str_case_eqz(str_sub(rest, 0, b), "at"))
        return false;
    struct str domain = str_sub(rest, b + 1, rest.n);
    size_t dot, blank;
    if (domain.n == 0 || str_find(domain, ' ', &blank) || !str_find(domain, '.', &dot))
        return false;
    buf_adds(out, str_sub(s, 0, a));
    buf_addc(out, '@');
    buf_adds(out, domain);
    return true;
}

static void item_bare(struct scan *c, bool comma)
{
    join_obsolete(&c->bare);
    struct buf name = BUF_INIT(c->bare.n + 1), fixed = BUF_INIT(c->bare.n + 1);
    struct str addr;
    if (c->has_at && split_bare(buf_str(&c->bare), &addr, &name)) {
        hold_flush(c);
        struct str n = str_trim(buf_str(&name));
        c->out->broken |= n.n > 0;
        emit(c, n.n ? n : buf_str(&c->comment), addr);
    } else if (spelled_at(buf_str(&c->bare), &fixed)) {
        hold_flush(c);
        c->out->broken = true;
        emit(c, buf_str(&c->comment), buf_str(&fixed));
    } else if (comma && c->phrase.n && !c->quoted && c->holds < 2 && c->phrase.n < 256) {
        if (c->holds)
            buf_addz(&c->hold, ", ");
        buf_adds(&c->hold, buf_str(&c->phrase));
        c->holds++;
    } else if (c->phrase.n || c->comment.n) {
        hold_flush(c);
        c->out->broken = true;
        emit(c, c->phrase.n ? buf_str(&c->phrase) : buf_str(&c->comment), (struct str){"", 0});
    }
    buf_fini(&name);
    buf_fini(&fixed);
}

static void item_end(struct scan *c, bool comma)
{
    if (!c->has_angle) {
        item_bare(c, comma);
    } else {
        struct buf name = BUF_INIT(c->hold.n + c->phrase.n + 8);
        if (c->holds) {
            c->out->broken = true;
            buf_adds(&name, buf_str(&c->hold));
            buf_addz(&name, ", ");
        }
        buf_adds(&name, c->phrase.n || c->holds ? buf_str(&c->phrase) : buf_str(&c->comment));
        buf_reset(&c->hold);
        c->holds = 0;
        struct str addr = buf_str(&c->angle);
        if (str_case_starts(addr, STR("mailto:")))
            addr = str_sub(addr, 7, addr.n);
        emit(c, buf_str(&name), addr);
        buf_fini(&name);
    }
    item_reset(c);
}

/* ---- Tokens ------------------------------------------------------------------------------------- */
static bool blank_at(const struct scan *c)
{
    char ch = c->s.p[c->i];
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

static void add_blank(struct scan *c)
{
    if (c->blank && c->phrase.n)
        buf_addc(&c->phrase, ' ');
    if (c->blank && c->bare.n)
        buf_addc(&c->bare, ' ');
    c->blank = false;
}

/* Content of a quoted string from its opening quote; false without a closing one. Leaves `i` behind it. */
static bool quoted(struct scan *c, struct buf *resolved, struct buf *verbatim)
{
    size_t j = c->i + 1;
    while (!c->no_quote && j < c->s.n && c->s.p[j] != '"')
        j += c->s.p[j] == '\\' ? 2 : 1;
    if (c->no_quote || j >= c->s.n) {
        c->no_quote = true;
        c->out->broken = true;
        return false;
    }
    if (verbatim)
        buf_adds(verbatim, str_sub(c->s, c->i, j + 1));
    for (size_t k = c->i + 1; resolved && k < j; k++) {
        if (c->s.p[k] == '\\' && k + 1 < j)
            k++;
        buf_addc(resolved, c->s.p[k]);
    }
    c->i = j + 1;
    return true;
}

/* A comment with its nested ones; its text replaces `into` (NULL: dropped). False without its end. */
static bool comment(struct scan *c, struct buf *into)
{
    size_t depth = 0, j = c->i;
    while (!c->no_comment && j < c->s.n) {
        char ch = c->s.p[j];
        if (ch == '\\')
            j++;
        else if (ch == '(')
            depth++;
        else if (ch == ')' && --depth == 0)
            break;
        j++;
    }
    if (c->no_comment || j >= c->s.n) {
        c->no_comment = true;
        c->out->broken = true;
        return false;
    }
    if (into) {
        buf_reset(into);
        for (size_t k = c->i + 1; k < j; k++) {
            if (c->s.p[k] == '\\' && k + 1 < j)
                k++;
            buf_addc(into, c->s.p[k]);
        }
    }
    c->i = j + 1;
    return true;
}

/* From '<': up to '>', or where another address plainly begins. */
static void angle(struct scan *c)
{
    c->i++;
    bool route = false;
    while (c->i < c->s.n) {
        char ch = c->s.p[c->i];
        if (ch == '>') {
            c->i++;
            break;
        }
        if (ch == '<' || ((ch == ',' || ch == ';') && !route)) {
            c->out->broken = true;
            break;
        }
        if (ch == '"' && quoted(c, NULL, &c->angle))
            continue;
        if (ch == '(' && comment(c, NULL))
            continue;
        if (ch == '@' && c->angle.n == 0)
            route = true;
        if (route && ch == ':') { /* obsolete route: only what follows counts */
            buf_reset(&c->angle);
            route = false;
        } else if (!blank_at(c)) {
            buf_addc(&c->angle, ch);
        }
        c->i++;
    }
    c->has_angle = true;
    c->blank = true;
}

/* An encoded word is one token, whatever specials it wrongly holds. Its end, or 0. */
static size_t word_end(struct str s, size_t i)
{
    unsigned marks = 0;
    size_t j = i + 2;
    if (i + 1 >= s.n || s.p[i] != '=' || s.p[i + 1] != '?')
        return 0;
    for (; j < s.n && (unsigned char)s.p[j] > 32; j++) {
        if (s.p[j] != '?')
            continue;
        if (++marks == 3)
            return j + 1 < s.n && s.p[j + 1] == '=' ? j + 2 : 0;
    }
    return 0;
}

static void atom(struct scan *c)
{
    add_blank(c);
    size_t start = c->i, e = word_end(c->s, c->i);
    if (e) {
        c->i = e;
    } else {
        c->i++; /* the first byte may be a special that stands for itself here */
        while (c->i < c->s.n && !blank_at(c) && !memchr("\"(<,;:@", c->s.p[c->i], 7))
            c->i++;
    }
    struct str t = str_sub(c->s, start, c->i);
    buf_adds(&c->phrase, t);
    buf_adds(&c->bare, t);
}

/* '@', and a domain literal behind it as one piece: it holds ':' */
static void at_sign(struct scan *c)
{
    c->has_at = true;
    add_blank(c);
    size_t n = 1;
    if (c->i + 1 < c->s.n && c->s.p[c->i + 1] == '[') {
        struct str look = str_sub(c->s, c->i, c->i + 80);
        size_t close;
        if (str_find(look, ']', &close))
            n = close + 1;
    }
    struct str t = str_sub(c->s, c->i, c->i + n);
    buf_adds(&c->phrase, t);
    buf_adds(&c->bare, t);
    c->i += n;
}

static void colon(struct scan *c)
{
    c->i++;
    if (c->has_at || c->has_angle) {
        c->out->broken = true;
        item_end(c, false);
        return;
    }
    if (str_case_eqz(buf_str(&c->phrase), "mailto")) {
        item_reset(c);
        return;
    }
    hold_flush(c);
    c->group = mail_words(str_trim(buf_str(&c->phrase)), c->arena);
    c->in_group = c->group_empty = true;
    item_reset(c);
}

static void group_end(struct scan *c)
{
    hold_flush(c);
    if (c->in_group && c->group_empty)
        emit(c, (struct str){"", 0}, (struct str){"", 0});
    c->in_group = false;
    c->group = (struct str){"", 0};
}

static void step(struct scan *c)
{
    char ch = c->s.p[c->i];
    if (blank_at(c)) {
        c->blank = true;
        c->i++;
    } else if (ch == ',') {
        c->i++;
        item_end(c, true);
    } else if (ch == ';') {
        c->i++;
        item_end(c, false);
        group_end(c);
    } else if (ch == ':') {
        colon(c);
    } else if (ch == '@') {
        at_sign(c);
    } else if (ch == '<') {
        if (c->has_angle) { /* a second address without a comma: both are shown */
            c->out->broken = true;
            item_end(c, false);
        }
        angle(c);
    } else if (ch == '(' && !c->no_comment) {
        if (comment(c, c->has_angle && c->phrase.n ? NULL : &c->comment))
            c->blank = true;
    } else if (ch == '"' && !c->no_quote) {
        add_blank(c);
        if (quoted(c, &c->phrase, &c->bare))
            c->quoted = true;
    } else {
        atom(c);
    }
}

void mail_addrs_parse(struct str raw, struct arena *arena, struct mail_addrs *out)
{
    *out = (struct mail_addrs){0};
    struct scan c = {.s = raw, .arena = arena, .out = out, .group = {"", 0}};
    struct buf *bufs[] = {&c.phrase, &c.bare, &c.angle, &c.comment, &c.hold};
    for (size_t i = 0; i < COUNT(bufs); i++)
        buf_init(bufs[i], raw.n + 4096);
    while (c.i < raw.n && !out->cut)
        step(&c);
    if (!out->cut) {
        item_end(&c, false);
        group_end(&c);
    }
    for (size_t i = 0; i < COUNT(bufs); i++)
        buf_fini(bufs[i]);
}

/* ---- Comparing and checking --------------------------------------------------------------------- */
bool mail_addr_same(struct str a, struct str b)
{
    return a.n > 0 && str_case_eq(a, b);
}

bool mail_addr_is_self(struct str addr, struct str self)
{
    for (size_t i = 0; i < self.n;) {
        size_t e = i;
        while (e < self.n && !memchr(" ,;\t\r\n<>", self.p[e], 8))
            e++;
        if (mail_addr_same(addr, str_sub(self, i, e)))
            return true;
        i = e + 1;
    }
    return false;
}

bool mail_addr_valid(struct str a)
{
    if (a.n < 3 || a.n > MAIL_ADDR_MAX || !utf8_valid(a) || a.p[0] == '-')
        return false;
    bool quote = false;
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < a.n; i++) {
        unsigned char c = (unsigned char)a.p[i];
        if (c < 32 || c == 127)
            return false;
        if (c == '"' && at == SIZE_MAX && (i == 0 || quote)) {
            quote = !quote;
            if (!quote && (i + 1 >= a.n || a.p[i + 1] != '@'))
                return false;
            continue;
        }
        if (quote) {
            i += c == '\\' && i + 1 < a.n && (unsigned char)a.p[i + 1] >= 32 && a.p[i + 1] != 127;
            continue;
        }
        if (c == '@') {
            if (at != SIZE_MAX)
                return false;
            at = i;
        } else if (memchr(" <>(),;\\\"", c, 9) ||
                   ((c == ':' || c == '[' || c == ']') && (at == SIZE_MAX || a.p[at + 1] != '['))) {
            return false;
        }
    }
    return !quote && at != SIZE_MAX && at > 0 && at + 1 < a.n && a.p[at + 1] != '-' && a.p[at + 1] != '.';
}

/* ---- Writing ------------------------------------------------------------------------------------ */
static bool is_atoms(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool ok = c >= 128 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  (c && strchr("!#$%&'*+-/=?^_`{|}~ ", c));
        if (!ok || (c == ' ' && (i == 0 || s.p[i - 1] == ' ')))
            return false;
    }
    return true;
}

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 128)
            return false;
    return true;
}

static void add_quoted(struct str s, struct buf *out)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, s.p[i]);
    }
    buf_addc(out, '"');
}

static void addr_write(struct str name, struct str addr, bool encode, struct buf *out)
{
    struct buf n = BUF_INIT(name.n * 3 + 16);
    mail_to_utf8(STR(""), name, &n, NULL);
    for (size_t i = 0; i < n.n; i++)
        if ((unsigned char)n.p[i] < 32 || n.p[i] == 127)
            n.p[i] = ' ';
    struct str s = str_trim(buf_str(&n));
    bool word = memmem(s.n ? s.p : "", s.n, "=?", 2) != NULL; /* must not be taken for an encoded word */
    if (encode && s.n && (!is_ascii(s) || word || s.n > 900))
        mail_words_encode(s, out);
    else if (s.n && is_atoms(s))
        buf_adds(out, s);
    else if (s.n)
        add_quoted(s, out);
    if (s.n && addr.n)
        buf_addc(out, ' ');
    if (addr.n) {
        if (s.n)
            buf_addc(out, '<');
        for (size_t i = 0; i < addr.n; i++)
            if ((unsigned char)addr.p[i] >= 32 && addr.p[i] != 127)
                buf_addc(out, addr.p[i]);
        if (s.n)
            buf_addc(out, '>');
    }
    buf_fini(&n);
}

void mail_addr_format(struct str name, struct str addr, struct buf *out)
{
    addr_write(name, addr, true, out);
}

void mail_addr_show(struct str name, struct str addr, struct buf *out)
{
    addr_write(name, addr, false, out);
}

void mail_addrs_show(const struct mail_addrs *a, struct buf *out)
{
    struct str group = {"", 0};
    bool first = true;
    for (size_t i = 0; i < a->count; i++) {
        const struct mail_addr *e = &a->list[i];
        bool same = str_eq(e->group, group);
        if (group.n && !same)
            buf_addc(out, ';');
        if (!first)
            buf_addz(out, ", ");
        if (e->group.n && !same) {
            addr_write(e->group, (struct str){"", 0}, false, out);
            buf_addz(out, ": ");
        }
        mail_addr_show(e->name, e->addr, out);
        group = e->group;
        first = false;
    }
    if (group.n)
        buf_addc(out, ';');
}
