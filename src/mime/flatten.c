/* HTML made harmless for a tree builder, before it is one.
 *
 * The HTML algorithm walks the open elements for each tag and opens unclosed formatting elements again in each block,
 * with copies of their attributes: deep or unclosed markup costs quadratic time and memory. So tags past a depth are
 * left out here (their text stays), and so is what is never shown. */
#include "mime/parts.h"

enum { DEPTH = 400, FORMATS = 16, FORMAT_ATTRS = 200, LINK_ATTRS = 8192, PARTS = 200, NAME = 16 };

enum tag_kind {
    TAG_NESTS,   /* any other element */
    TAG_BLOCK,   /* ends what is open inside it */
    TAG_FORMAT,  /* opened again in the next block if it was not ended */
    TAG_FREE,    /* void, or ended by the next of its kind */
    TAG_DROP,    /* the tag goes, what it encloses stays */
    TAG_RAW,     /* goes up to its end tag, or to the end of the text */
    TAG_FOREIGN, /* goes up to its end tag if there is one */
};
struct tag_row {
    char name[NAME];
    enum tag_kind kind;
};
static const struct tag_row rows[] = {
    {"div", TAG_BLOCK},        {"table", TAG_BLOCK},      {"ul", TAG_BLOCK},      {"ol", TAG_BLOCK},
    {"dl", TAG_BLOCK},         {"blockquote", TAG_BLOCK}, {"center", TAG_BLOCK},  {"section", TAG_BLOCK},
    {"article", TAG_BLOCK},    {"pre", TAG_BLOCK},        {"header", TAG_BLOCK},  {"footer", TAG_BLOCK},
    {"a", TAG_FORMAT},         {"b", TAG_FORMAT},         {"big", TAG_FORMAT},    {"code", TAG_FORMAT},
    {"em", TAG_FORMAT},        {"font", TAG_FORMAT},      {"i", TAG_FORMAT},      {"nobr", TAG_FORMAT},
    {"s", TAG_FORMAT},         {"small", TAG_FORMAT},     {"strike", TAG_FORMAT}, {"strong", TAG_FORMAT},
    {"tt", TAG_FORMAT},        {"u", TAG_FORMAT},         {"br", TAG_FREE},       {"img", TAG_FREE},
    {"hr", TAG_FREE},          {"wbr", TAG_FREE},         {"p", TAG_FREE},        {"li", TAG_FREE},
    {"td", TAG_FREE},          {"tr", TAG_FREE},          {"th", TAG_FREE},       {"tbody", TAG_FREE},
    {"thead", TAG_FREE},       {"tfoot", TAG_FREE},       {"dt", TAG_FREE},       {"dd", TAG_FREE},
    {"html", TAG_FREE},        {"body", TAG_FREE},        {"head", TAG_FREE},     {"meta", TAG_DROP},
    {"link", TAG_DROP},        {"base", TAG_DROP},        {"input", TAG_DROP},    {"area", TAG_DROP},
    {"col", TAG_DROP},         {"param", TAG_DROP},       {"source", TAG_DROP},   {"track", TAG_DROP},
    {"embed", TAG_DROP},       {"object", TAG_DROP},      {"marquee", TAG_DROP},  {"applet", TAG_DROP},
    {"button", TAG_DROP},      {"frameset", TAG_DROP},    {"frame", TAG_DROP},    {"image", TAG_DROP},
    {"optgroup", TAG_DROP},    {"option", TAG_DROP},      {"colgroup", TAG_DROP}, {"form", TAG_DROP},
    {"script", TAG_RAW},       {"style", TAG_RAW},        {"title", TAG_RAW},     {"textarea", TAG_RAW},
    {"xmp", TAG_RAW},          {"iframe", TAG_RAW},       {"noembed", TAG_RAW},   {"noframes", TAG_RAW},
    {"plaintext", TAG_RAW},    {"svg", TAG_FOREIGN},      {"math", TAG_FOREIGN},  {"select", TAG_FOREIGN},
    {"template", TAG_FOREIGN}, {"noscript", TAG_FOREIGN},
};

struct tag {
    char name[NAME]; /* lower case, cut */
    enum tag_kind kind;
    bool end;
    size_t attrs; /* bytes between the name and '>' */
    size_t parts; /* at least as many as attributes: they are compared with each other */
};
struct flat {
    struct buf *out;
    char open[DEPTH][NAME];
    size_t depth;
    char format[FORMATS][NAME];
    size_t formats, tags;
    bool dropped;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The tag at '<'; returns its length with '>', 0 where it never ends. */
static size_t read_tag(struct str s, struct tag *t)
{
    size_t i = 1, n = 0;
    *t = (struct tag){.kind = TAG_NESTS};
    if (i < s.n && s.p[i] == '/') {
        t->end = true;
        i++;
    }
    while (i < s.n && !strchr(" \t\r\n\f/>", s.p[i])) {
        if (n + 1 < NAME)
            t->name[n++] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
        i++;
    }
    size_t from = i;
    while (i < s.n && s.p[i] != '>') {
        t->parts += strchr(" \t\r\n\f/=", s.p[i]) != NULL && s.p[i] != '\0';
        if (s.p[i++] != '=')
            continue;
        while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r' || s.p[i] == '\n'))
            i++;
        if (i >= s.n || (s.p[i] != '"' && s.p[i] != '\''))
            continue;
        const char *e = memchr(s.p + i + 1, s.p[i], s.n - i - 1);
        if (!e)
            return 0;
        i = (size_t)(e - s.p) + 1;
    }
    t->attrs = i - from;
    for (size_t k = 0; k < COUNT(rows); k++)
        if (strcmp(rows[k].name, t->name) == 0)
            t->kind = rows[k].kind;
    return i < s.n ? i + 1 : 0;
}

static size_t find_end(struct str s, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i + n + 2 <= s.n; i++) {
        const char *p = memchr(s.p + i, '<', s.n - i - n - 1);
        if (!p)
            break;
        i = (size_t)(p - s.p);
        if (s.p[i + 1] == '/' && str_case_starts(str_sub(s, i + 2, s.n), (struct str){name, n}))
            return i;
    }
    return SIZE_MAX;
}

static bool format_tag(struct flat *f, const struct tag *t)
{
    if (!t->end) {
        if (f->formats == FORMATS)
            return false;
        memcpy(f->format[f->formats++], t->name, NAME);
        return true;
    }
    for (size_t i = f->formats; i > 0; i--) {
        if (strcmp(f->format[i - 1], t->name) == 0) {
            memmove(f->format[i - 1], f->format[i], (f->formats - i) * NAME);
            f->formats--;
            return true;
        }
    }
    return false;
}

/* An end tag reaches no further than the table it stands in. */
static bool nested_tag(struct flat *f, const struct tag *t)
{
    if (!t->end) {
        if (f->depth == DEPTH)
            return false;
        memcpy(f->open[f->depth++], t->name, NAME);
        return true;
    }
    for (size_t i = f->depth; i > 0; i--) {
        if (strcmp(f->open[i - 1], t->name) == 0) {
            f->depth = i - 1;
            return true;
        }
        if (strcmp(f->open[i - 1], "table") == 0)
            return false;
        bool block = false; /* an inline element's end tag does not end blocks */
        for (size_t k = 0; k < COUNT(rows) && t->kind != TAG_BLOCK; k++)
            block |= rows[k].kind == TAG_BLOCK && strcmp(rows[k].name, f->open[i - 1]) == 0;
        if (block)
            return false;
    }
    return false;
}

static void put_tag(struct flat *f, const struct tag *t, struct str bytes)
{
    bool keep = t->kind == TAG_FREE;
    if (++f->tags > MIME_TAGS_MAX) {
        f->dropped = true;
        return;
    }
    if (t->kind == TAG_FORMAT)
        keep = format_tag(f, t);
    else if (t->kind == TAG_NESTS || t->kind == TAG_BLOCK)
        keep = nested_tag(f, t);
    if (!keep)
        return;
    size_t most = strcmp(t->name, "a") == 0 ? LINK_ATTRS : FORMAT_ATTRS;
    if (t->parts > PARTS || (t->kind == TAG_FORMAT && t->attrs > most))
        buf_addf(f->out, "<%s%s>", t->end ? "/" : "", t->name);
    else
        buf_adds(f->out, bytes);
}

bool html_flatten(struct str s, struct buf *out)
{
    struct flat *f = mem_new(sizeof *f);
    bool no_comment_end = false;
    f->out = out;
    while (s.n && !out->full) {
        size_t lt = s.n;
        str_find(s, '<', &lt);
        buf_adds(out, str_sub(s, 0, lt));
        s = str_sub(s, lt, s.n);
        if (s.n < 2)
            break;
        size_t n = 1;
        if (str_starts(s, STR("<!--"))) {
            const char *e = no_comment_end ? NULL : memmem(s.p + 2, s.n - 2, "-->", 3);
            no_comment_end = !e;
            n = e ? (size_t)(e - s.p) + 3 : s.n;
        } else if (s.p[1] == '!' || s.p[1] == '?') {
            n = str_find(s, '>', &n) ? n + 1 : s.n;
        } else if (is_letter(s.p[1]) || (s.p[1] == '/' && s.n > 2 && is_letter(s.p[2]))) {
            struct tag t;
            n = read_tag(s, &t);
            if (n == 0)
                break;
            put_tag(f, &t, str_sub(s, 0, n));
            if (!t.end && (t.kind == TAG_RAW || (t.kind == TAG_FOREIGN && f->tags < MIME_TAGS_MAX))) {
                size_t end = find_end(str_sub(s, n, s.n), t.name);
                n = end != SIZE_MAX ? n + end : t.kind == TAG_RAW ? s.n : n;
                f->tags += t.kind == TAG_FOREIGN && end == SIZE_MAX ? 5000 : 0; /* a search in vain has its price */
            }
        } else {
            buf_addz(out, "&lt;");
        }
        s = str_sub(s, n, s.n);
    }
    bool whole = !f->dropped;
    free(f);
    return whole;
}
