/* BODYSTRUCTURE -> a flat list of parts. The open multiparts stand on a stack of our own; lists that mean nothing here
 * are skipped by cursor_value, which counts its depth too. */
#include "net/imap_internal.h"

struct reading {
    struct cursor c;
    struct arena *arena;
    struct imap_part *parts;
    size_t n;
    struct {
        uint32_t part, children;
    } open[IMAP_PARTS_DEPTH];
    size_t depth;
    bool too_much;
};

static void spaces(struct cursor *c)
{
    while (cursor_is(c, ' '))
        ;
}

static bool at(const struct cursor *c, char ch)
{
    return c->p < c->end && *c->p == ch;
}

/* A string, NIL as "". A list where a string should stand is skipped: "". */
static struct str string(struct reading *r)
{
    bool nil = false;
    spaces(&r->c);
    if (at(&r->c, '(')) {
        cursor_value(&r->c);
        return (struct str){"", 0};
    }
    if (r->c.p == r->c.end || at(&r->c, ')'))
        return (struct str){"", 0};
    struct str s = cursor_string(&r->c, r->arena, &nil);
    return nil ? (struct str){"", 0} : s;
}

static struct imap_params params(struct reading *r)
{
    struct imap_param list[IMAP_PARAMS_MAX];
    size_t n = 0;
    spaces(&r->c);
    if (!at(&r->c, '(')) {
        string(r);
        return (struct imap_params){0};
    }
    cursor_is(&r->c, '(');
    for (;;) {
        spaces(&r->c);
        if (r->c.bad || r->c.p == r->c.end || cursor_is(&r->c, ')'))
            break;
        struct imap_param p = {.name = string(r)};
        p.value = string(r);
        if (p.name.n && n < COUNT(list))
            list[n++] = p;
    }
    struct imap_param *copy = n ? arena_alloc(r->arena, n * sizeof *list) : NULL;
    if (!copy)
        return (struct imap_params){0};
    memcpy(copy, list, n * sizeof *list);
    return (struct imap_params){copy, n};
}

/* "(" string SP params ")" */
static void disposition(struct reading *r, struct imap_part *p)
{
    cursor_is(&r->c, '(');
    p->disposition = string(r);
    p->disposition_params = params(r);
    spaces(&r->c);
    while (!r->c.bad && r->c.p < r->c.end && !at(&r->c, ')')) {
        cursor_value(&r->c);
        spaces(&r->c);
    }
    if (!cursor_is(&r->c, ')'))
        r->c.bad = true;
}

/* What follows up to the parenthesis that closes the part. The disposition is the first list among it: MD5 before it is
 * a string, the language behind it is of no use here. */
static void rest(struct reading *r, struct imap_part *p)
{
    bool found = false;
    for (;;) {
        spaces(&r->c);
        if (r->c.bad || cursor_is(&r->c, ')'))
            return;
        if (r->c.p == r->c.end) {
            r->c.bad = true;
        } else if (at(&r->c, '(') && !found) {
            disposition(r, p);
            found = true;
        } else {
            cursor_value(&r->c);
        }
    }
}

static struct imap_part *part_add(struct reading *r)
{
    struct imap_part *up = NULL;
    uint32_t child = 1;
    if (r->n == IMAP_PARTS_MAX) {
        r->too_much = true;
        return NULL;
    }
    struct imap_part *p = &r->parts[r->n++];
    *p = (struct imap_part){.size = UINT64_MAX};
    if (r->depth) {
        p->parent = r->open[r->depth - 1].part + 1;
        child = ++r->open[r->depth - 1].children;
        up = &r->parts[p->parent - 1];
    }
    int n = snprintf(p->section, sizeof p->section, "%s%s%u", up ? up->section : "", up && up->section[0] ? "." : "",
                     child);
    if (n < 0 || (size_t)n >= sizeof p->section)
        r->too_much = true;
    return p;
}

static void leaf(struct reading *r, struct imap_part *p)
{
    p->type = string(r);
    p->subtype = string(r);
    p->params = params(r);
    p->id = string(r);
    string(r); /* description */
    p->encoding = string(r);
    struct str size = string(r);
    if (!str_u64(size, &p->size))
        p->size = UINT64_MAX;
    spaces(&r->c);
    if (str_case_eqz(p->type, "message") && at(&r->c, '(')) {
        cursor_value(&r->c); /* envelope */
        spaces(&r->c);
        if (at(&r->c, '('))
            cursor_value(&r->c); /* its structure: an enclosed message is one part */
    }
    rest(r, p);
}

/* One part or the opening of a multipart; false at what is neither. */
static bool part(struct reading *r)
{
    if (!cursor_is(&r->c, '('))
        return false;
    struct imap_part *p = part_add(r);
    if (!p)
        return false;
    spaces(&r->c);
    if (!at(&r->c, '(')) {
        leaf(r, p);
        return true;
    }
    p->multipart = true;
    p->type = STR("multipart");
    if (r->n == 1)
        p->section[0] = 0;
    if (r->depth == IMAP_PARTS_DEPTH) {
        r->too_much = true;
        return false;
    }
    r->open[r->depth].part = (uint32_t)(r->n - 1);
    r->open[r->depth++].children = 0;
    return true;
}

static void multipart_close(struct reading *r)
{
    struct imap_part *p = &r->parts[r->open[--r->depth].part];
    p->subtype = string(r);
    p->params = params(r);
    rest(r, p);
}

bool imap_structure_parse(struct str value, struct arena *arena, struct imap_structure *structure_r)
{
    struct reading r = {.c = cursor_on(value), .arena = arena};
    r.parts = mem_array(IMAP_PARTS_MAX, sizeof *r.parts);
    bool ok = part(&r);
    while (ok && r.depth && !r.c.bad && !r.too_much) {
        spaces(&r.c);
        if (at(&r.c, '('))
            ok = part(&r);
        else if (r.c.p == r.c.end)
            ok = false;
        else
            multipart_close(&r);
    }
    ok = ok && !r.c.bad && !r.too_much && !r.depth;
    struct imap_part *parts = ok ? arena_alloc(arena, r.n * sizeof *parts) : NULL;
    if (parts)
        memcpy(parts, r.parts, r.n * sizeof *parts);
    *structure_r = (struct imap_structure){parts, parts ? r.n : 0};
    free(r.parts);
    return parts != NULL;
}

struct str imap_param(const struct imap_params *params, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < params->n; i++) {
        struct str s = params->list[i].name;
        if (s.n > n && s.p[n] == '*')
            s.n = n;
        if (str_case_eqz(s, name))
            return params->list[i].value;
    }
    return (struct str){"", 0};
}

bool imap_body_item(struct str item, struct imap_fetch *f)
{
    size_t open, close;
    struct str s = item;
    f->binary = str_case_starts(item, STR("BINARY["));
    f->partial = false;
    f->origin = 0;
    f->section = (struct str){"", 0};
    if (str_case_eqz(item, "RFC822"))
        return true;
    if ((!f->binary && !str_case_starts(item, STR("BODY["))) || !str_find(s, '[', &open) || !str_find(s, ']', &close))
        return false;
    f->section = str_sub(s, open + 1, close);
    s = str_sub(s, close + 1, s.n);
    if (s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>') {
        f->partial = true;
        if (!str_u64(str_sub(s, 1, s.n - 1), &f->origin))
            return false;
    } else if (s.n) {
        return false;
    }
    return imap_section_valid(f->section);
}

bool imap_section_valid(struct str s)
{
    bool digit = false;
    if (s.n >= IMAP_SECTION_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' ? !digit : s.p[i] < '0' || s.p[i] > '9')
            return false;
        digit = s.p[i] != '.';
    }
    return s.n == 0 || digit;
}
