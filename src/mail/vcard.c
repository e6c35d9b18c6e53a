/* See vcard.h. */
#include "mail/vcard.h"

#include "mail/mail.h"

static void add(struct buf *out, struct str s)
{
    buf_adds(out, str_sub(s, 0, out->max - out->n));
}

/* ---- One property ------------------------------------------------------------------------------- */
struct property {
    struct str name; /* without its group */
    bool qp, base64;
    struct str charset, value;
};

static void take_parameter(struct property *p, struct str word)
{
    size_t at;
    struct str name = word, value = STR("");
    if (str_find(word, '=', &at)) {
        name = str_sub(word, 0, at);
        value = str_sub(word, at + 1, word.n);
    }
    if (str_case_eqz(name, "ENCODING") || value.n == 0) {
        struct str how = value.n ? value : name;
        p->qp = p->qp || str_case_eqz(how, "QUOTED-PRINTABLE");
        p->base64 = p->base64 || str_case_eqz(how, "B") || str_case_eqz(how, "BASE64");
    }
    if (str_case_eqz(name, "CHARSET"))
        p->charset = value;
}

/* [group.]NAME[;PARAMETER]...:value. A parameter's value may be quoted, with ; and : in it. */
static bool property_parse(struct str line, struct property *p)
{
    size_t from = 0, i, dot;
    bool quoted = false, first = true;
    *p = (struct property){.qp = false};
    for (i = 0; i < line.n; i++) {
        quoted ^= line.p[i] == '"';
        if (quoted || (line.p[i] != ';' && line.p[i] != ':'))
            continue;
        struct str word = str_sub(line, from, i);
        if (first)
            p->name = str_find(word, '.', &dot) ? str_sub(word, dot + 1, word.n) : word;
        else
            take_parameter(p, word);
        first = false;
        from = i + 1;
        if (line.p[i] == ':') {
            p->value = str_sub(line, i + 1, line.n);
            return p->name.n > 0;
        }
    }
    return false;
}

static void decode(const struct property *p, struct buf *out)
{
    struct buf raw = BUF_INIT(VCARD_LINE_MAX);
    size_t bad;
    buf_reset(out);
    if (p->qp)
        mail_qp_decode(p->value, false, &raw);
    else if (p->base64)
        mail_base64_decode(p->value, &raw);
    else
        add(&raw, p->value);
    if (p->charset.n > 0)
        mail_to_utf8(p->charset, buf_str(&raw), out, &bad);
    else
        add(out, buf_str(&raw));
    buf_fini(&raw);
}

/* Takes what stands before `sep`, without its escapes, into *out; an escaped separator does not count. */
static bool take_item(struct str *rest, char sep, struct buf *out)
{
    size_t i = 0;
    buf_reset(out);
    if (rest->p == NULL)
        return false;
    for (; i < rest->n && rest->p[i] != sep; i++) {
        char c = rest->p[i];
        if (c == '\\' && i + 1 < rest->n) {
            c = rest->p[++i];
            c = c == 'n' || c == 'N' ? ' ' : c;
        }
        buf_addc(out, c);
    }
    *rest = i < rest->n ? str_sub(*rest, i + 1, rest->n) : (struct str){NULL, 0};
    return true;
}

static struct str keep(struct arena *arena, struct str s)
{
    s = str_trim(s);
    const char *p = s.n > 0 ? arena_dup(arena, s.p, s.n) : NULL;
    return p != NULL ? (struct str){p, s.n} : STR("");
}

static struct str without(struct str s, const char *prefix)
{
    return str_case_starts(s, str_z(prefix)) ? str_sub(s, strlen(prefix), s.n) : s;
}

/* Family;Given;Additional;Prefix;Suffix as people say it. */
static void full_name(struct str value, struct buf *out)
{
    static const unsigned order[] = {3, 1, 2, 0, 4};
    struct buf parts[5], item = BUF_INIT(VCARD_LINE_MAX);
    for (size_t i = 0; i < COUNT(parts); i++) {
        parts[i] = BUF_INIT(VCARD_LINE_MAX);
        if (take_item(&value, ';', &item))
            add(&parts[i], str_trim(buf_str(&item)));
    }
    buf_reset(out);
    for (size_t i = 0; i < COUNT(order); i++)
        if (parts[order[i]].n > 0) {
            add(out, out->n ? STR(" ") : STR(""));
            add(out, buf_str(&parts[order[i]]));
        }
    for (size_t i = 0; i < COUNT(parts); i++)
        buf_fini(&parts[i]);
    buf_fini(&item);
}

/* ---- A card ------------------------------------------------------------------------------------- */
struct vcard_reader {
    struct arena *arena;
    struct vcard card;
    struct buf physical; /* the line that is being read */
    struct buf line;     /* with what continues it */
    struct buf text, item;
    bool in, has_fn;
    bool soft; /* quoted-printable: a "=" at the end joins the next line (vCard 2.1) */
};

static void take_email(struct vcard_reader *r)
{
    struct str addr = without(str_trim(buf_str(&r->item)), "mailto:");
    struct vcard *c = &r->card;
    if (c->nemails < VCARD_EMAILS_MAX && mail_addr_valid(addr))
        c->emails[c->nemails++] = keep(r->arena, addr);
}

static void take_member(struct vcard_reader *r)
{
    struct str who = str_trim(buf_str(&r->item));
    struct vcard *c = &r->card;
    if (c->nmembers == VCARD_MEMBERS_MAX || who.n == 0)
        return;
    bool mail = str_case_starts(who, STR("mailto:"));
    c->members[c->nmembers++] = keep(r->arena, mail ? without(who, "mailto:") : without(who, "urn:uuid:"));
}

static void take_property(struct vcard_reader *r, const struct property *p)
{
    struct vcard *c = &r->card;
    struct str value;
    decode(p, &r->text);
    value = buf_str(&r->text);
    if (str_case_eqz(p->name, "N") && !r->has_fn && value.n > 0) {
        full_name(value, &r->item);
        if (r->item.n > 0)
            c->name = keep(r->arena, buf_str(&r->item));
        return;
    }
    bool list = str_case_eqz(p->name, "NICKNAME");
    if (value.n == 0 || !take_item(&value, list ? ',' : str_case_eqz(p->name, "ORG") ? ';' : '\0', &r->item))
        return;
    if (str_case_eqz(p->name, "FN") && !r->has_fn && r->item.n > 0) {
        c->name = keep(r->arena, buf_str(&r->item));
        r->has_fn = c->name.n > 0;
    } else if (str_case_eqz(p->name, "ORG") && c->name.n == 0) {
        c->name = keep(r->arena, buf_str(&r->item));
    } else if (list && c->nick.n == 0) {
        c->nick = keep(r->arena, buf_str(&r->item));
    } else if (str_case_eqz(p->name, "UID")) {
        c->uid = keep(r->arena, without(str_trim(buf_str(&r->item)), "urn:uuid:"));
    } else if (str_case_eqz(p->name, "KIND") || str_case_eqz(p->name, "X-ADDRESSBOOKSERVER-KIND")) {
        c->group = str_case_eqz(str_trim(buf_str(&r->item)), "group");
    } else if (str_case_eqz(p->name, "EMAIL")) {
        take_email(r);
    } else if (str_case_eqz(p->name, "MEMBER") || str_case_eqz(p->name, "X-ADDRESSBOOKSERVER-MEMBER")) {
        take_member(r);
    }
}

/* The line is whole: nothing continues it. */
static void take_line(struct vcard_reader *r)
{
    struct property p;
    if (r->in && r->line.n > 0 && property_parse(buf_str(&r->line), &p))
        take_property(r, &p);
    buf_reset(&r->line);
}

static void begin(struct vcard_reader *r)
{
    arena_reset(r->arena);
    r->card = (struct vcard){.name = STR(""), .nick = STR(""), .uid = STR("")};
    r->has_fn = false;
    r->in = true;
}

/* A line of the file, without its end; true: it ends a card. */
static bool take_physical(struct vcard_reader *r)
{
    struct str line = buf_str(&r->physical);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    bool joined = r->soft && r->line.n > 0 && r->line.p[r->line.n - 1] == '=';
    bool folded = !joined && line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'), ends = false;
    if (joined)
        r->line.p[--r->line.n] = '\0';
    if (joined || folded) {
        add(&r->line, folded ? str_sub(line, 1, line.n) : line);
    } else {
        take_line(r);
        struct str word = str_trim(line);
        ends = r->in && str_case_eqz(word, "END:VCARD");
        if (str_case_eqz(word, "BEGIN:VCARD"))
            begin(r);
        else if (!ends)
            add(&r->line, line);
        size_t colon;
        struct str head = str_find(line, ':', &colon) ? str_sub(line, 0, colon) : STR("");
        r->soft = head.n > 0 && memmem(head.p, head.n, "QUOTED-PRINTABLE", 16) != NULL;
    }
    if (ends)
        r->in = false;
    buf_reset(&r->physical);
    return ends;
}

struct vcard_reader *vcard_reader_new(void)
{
    struct vcard_reader *r = mem_new(sizeof *r);
    r->arena = arena_new(VCARD_BYTES_MAX);
    r->physical = r->line = BUF_INIT(VCARD_LINE_MAX);
    r->text = r->item = BUF_INIT(2 * VCARD_LINE_MAX);
    return r;
}

void vcard_reader_free(struct vcard_reader **rp)
{
    struct vcard_reader *r = *rp;
    *rp = NULL;
    if (r == NULL)
        return;
    struct buf *all[] = {&r->physical, &r->line, &r->text, &r->item};
    for (size_t i = 0; i < COUNT(all); i++)
        buf_fini(all[i]);
    arena_free(&r->arena);
    free(r);
}

const struct vcard *vcard_read(struct vcard_reader *r, struct str *data)
{
    struct str line;
    size_t at;
    while (data->n > 0) {
        bool whole = str_find(*data, '\n', &at);
        line = str_sub(*data, 0, whole ? at : data->n);
        *data = str_sub(*data, line.n + whole, data->n);
        add(&r->physical, line);
        if (whole && take_physical(r))
            return &r->card;
    }
    return NULL;
}

const struct vcard *vcard_read_end(struct vcard_reader *r)
{
    const struct vcard *card = take_physical(r) ? &r->card : NULL;
    r->in = r->soft = false;
    buf_reset(&r->line);
    return card;
}
