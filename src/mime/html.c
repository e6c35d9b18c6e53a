/* HTML to lines: gumbo makes the tree, an iterative walk makes text. Nothing is fetched, nothing is run, hidden text is
 * left out. */
#include <gumbo.h>

#include "mime/parts.h"

#include <strings.h>

enum { LISTS = 16, LINE_SOFT_MAX = 60000, ANCHOR_MAX = 300 };

struct html {
    struct lines *l;
    struct buf line;
    struct doc_span spans[DOC_MAX_SPANS];
    size_t nspans;
    unsigned level, last_level, pre, strong, emphasis, code;
    int heading;
    bool space;  /* a blank is due before the next word */
    bool marker; /* the next line begins a list item */
    bool blank_due, any;
    struct {
        bool ordered;
        unsigned counter;
    } list[LISTS];
    unsigned lists;
    uint32_t link;
    size_t link_from;
    struct str target;
    struct buf anchor; /* what the link shows */
    size_t strong_from, emphasis_from, code_from, hidden;
};

/* ---- Lines -------------------------------------------------------------------------------------- */
static void span(struct html *h, size_t from, enum doc_span_kind kind, uint32_t link)
{
    if (h->nspans < DOC_MAX_SPANS && from < h->line.n)
        h->spans[h->nspans++] =
            (struct doc_span){.from = (uint32_t)from, .to = (uint32_t)h->line.n, .kind = (uint8_t)kind, .link = link};
}

/* Spans that go on over a line's end are closed in it and opened in the next. */
static void close_spans(struct html *h)
{
    if (h->link)
        span(h, h->link_from, DOC_SPAN_LINK, h->link);
    if (h->strong)
        span(h, h->strong_from, DOC_SPAN_STRONG, 0);
    if (h->emphasis)
        span(h, h->emphasis_from, DOC_SPAN_EMPHASIS, 0);
    if (h->code)
        span(h, h->code_from, DOC_SPAN_CODE, 0);
    h->link_from = h->strong_from = h->emphasis_from = h->code_from = 0;
}

static int by_start(const void *a, const void *b)
{
    const struct doc_span *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static void flush(struct html *h)
{
    close_spans(h);
    size_t n = h->line.n;
    while (!h->pre && n > 0 && h->line.p[n - 1] == ' ')
        n--;
    if (n > 0 || h->pre) {
        if (h->blank_due && h->any)
            lines_text(h->l, MIN(h->level, h->last_level), DOC_PLAIN, (struct str){"", 0}, NULL, 0);
        h->last_level = h->level;
        h->blank_due = false;
        qsort(h->spans, h->nspans, sizeof *h->spans, by_start);
        enum doc_style style = h->pre ? DOC_PRE : h->heading ? DOC_HEADING : DOC_PLAIN;
        lines_text(h->l, h->level, style, str_sub(buf_str(&h->line), 0, n), h->spans, h->nspans);
        h->any = true;
    }
    buf_reset(&h->line);
    h->nspans = 0;
    h->space = false;
}

static void block(struct html *h, bool margin)
{
    if (h->line.n)
        flush(h);
    h->space = false;
    h->blank_due |= margin;
}

static void begin_line(struct html *h)
{
    if (h->line.n || h->lists == 0 || h->pre)
        return;
    for (unsigned i = 1; i < MIN(h->lists, (unsigned)LISTS); i++)
        buf_addz(&h->line, "  ");
    unsigned at = MIN(h->lists, (unsigned)LISTS) - 1;
    if (!h->marker)
        buf_addz(&h->line, "  ");
    else if (h->list[at].ordered)
        buf_addf(&h->line, "%u. ", ++h->list[at].counter);
    else
        buf_addz(&h->line, "* ");
    h->marker = false;
    if (h->link)
        h->link_from = h->line.n;
}

static void add_piece(struct html *h, struct str s)
{
    begin_line(h);
    if (h->space && h->line.n && h->line.p[h->line.n - 1] != ' ')
        buf_addc(&h->line, ' ');
    h->space = false;
    buf_adds(&h->line, s);
    if (h->link && h->anchor.n + s.n < ANCHOR_MAX)
        buf_adds(&h->anchor, s);
    if (h->line.n > LINE_SOFT_MAX)
        flush(h);
}

/* Bytes of an invisible character that only separates or pads: soft hyphen, zero width, BOM, combining grapheme joiner.
 */
static size_t invisible(struct str s)
{
    static const char *const signs[] = {"\xc2\xad",     "\xe2\x80\x8b", "\xe2\x80\x8c",
                                        "\xe2\x81\xa0", "\xef\xbb\xbf", "\xcd\x8f"};
    for (size_t i = 0; i < COUNT(signs); i++)
        if (str_starts(s, str_z(signs[i])))
            return strlen(signs[i]);
    return 0;
}

static void add_text(struct html *h, struct str s)
{
    size_t from = 0, i = 0;
    while (i < s.n && !h->l->full) {
        char c = s.p[i];
        bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
        bool nbsp = c == '\xc2' && i + 1 < s.n && s.p[i + 1] == '\xa0';
        size_t drop = blank || nbsp || !((unsigned char)c & 0x80) ? 0 : invisible(str_sub(s, i, s.n));
        if (!blank && !nbsp && !drop) {
            i++;
            continue;
        }
        if (i > from)
            add_piece(h, str_sub(s, from, i));
        if (nbsp && h->line.n)
            buf_addc(&h->line, ' ');
        h->space |= blank;
        i += nbsp ? 2 : drop ? drop : 1;
        from = i;
    }
    if (i > from)
        add_piece(h, str_sub(s, from, i));
}

static void add_pre(struct html *h, struct str s)
{
    while (s.n && !h->l->full) {
        size_t e = s.n;
        bool end = str_find(s, '\n', &e);
        struct str piece = str_sub(s, 0, MIN(e, (size_t)LINE_SOFT_MAX));
        end &= piece.n == e;
        if (h->line.n + piece.n > LINE_SOFT_MAX)
            flush(h);
        buf_adds(&h->line, str_sub(piece, 0, piece.n - (piece.n && piece.p[piece.n - 1] == '\r')));
        if (end)
            flush(h);
        s = str_sub(s, piece.n + end, s.n);
    }
}

/* ---- Attributes --------------------------------------------------------------------------------- */
static struct str attribute(const GumboNode *n, const char *name)
{
    const GumboAttribute *a = gumbo_get_attribute(&n->v.element.attributes, name);
    return a ? str_z(a->value) : (struct str){NULL, 0};
}

/* Declarations that make text invisible. Colours are not compared: too much honest mail would vanish. */
static bool style_hides(struct str s)
{
    static const char *const hides[] = {"display:none", "visibility:hidden", "mso-hide:all",
                                        "font-size:0",  "max-height:0",      "opacity:0"};
    char flat[2048];
    size_t n = 0;
    for (size_t i = 0; i < s.n && n + 1 < sizeof flat; i++)
        if ((unsigned char)s.p[i] > 32)
            flat[n++] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
    flat[n] = '\0';
    for (size_t i = 0; i < COUNT(hides); i++) {
        size_t len = strlen(hides[i]);
        for (const char *p = flat; (p = strstr(p, hides[i])); p += len) {
            bool whole = p == flat || p[-1] == ';';
            char after = p[len];
            if (whole && (hides[i][len - 1] != '0' || (after != '.' && !(after >= '0' && after <= '9'))))
                return true;
        }
    }
    return false;
}

static bool is_hidden(const GumboNode *n)
{
    struct str style = attribute(n, "style");
    return attribute(n, "hidden").p || (style.p && style_hides(style));
}

static bool tiny(const GumboNode *n)
{
    struct str w = attribute(n, "width"), h = attribute(n, "height");
    return (w.p && (str_eqz(w, "0") || str_eqz(w, "1") || str_eqz(w, "1px"))) ||
           (h.p && (str_eqz(h, "0") || str_eqz(h, "1") || str_eqz(h, "1px")));
}

/* ---- Links -------------------------------------------------------------------------------------- */
/* Host of "scheme://user@host:port/"; empty for other URLs. *user_r: something stands before an '@'. */
static struct str url_host(struct str url, bool *user_r)
{
    const char *p = url.n ? memmem(url.p, url.n, "://", 3) : NULL;
    *user_r = false;
    if (!p)
        return (struct str){"", 0};
    struct str s = str_sub(url, (size_t)(p - url.p) + 3, url.n);
    size_t end = 0, at;
    while (end < s.n && !strchr("/?#\\", s.p[end]))
        end++;
    s.n = end;
    while (str_find(s, '@', &at)) {
        s = str_sub(s, at + 1, s.n);
        *user_r = true;
    }
    if (str_find(s, ':', &at))
        s.n = at;
    return s;
}

/* The host that a link's text claims: the text is a URL or nothing but a host name. */
static struct str shown_host(struct str text)
{
    bool user;
    size_t dot, blank;
    text = str_trim(text);
    if (str_find(text, ' ', &blank) || !str_find(text, '.', &dot) || dot == 0)
        return (struct str){"", 0};
    if (memmem(text.p, text.n, "://", 3))
        return url_host(text, &user);
    size_t end = 0;
    while (end < text.n && !strchr("/?#:", text.p[end]))
        end++;
    struct str host = str_sub(text, 0, end);
    size_t last = host.n;
    while (last > 0 && host.p[last - 1] != '.')
        last--;
    bool name = host.n > last + 1 && !str_find(host, '@', &blank);
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 128;
        name &= letter || c == '.' || (i < last && ((c >= '0' && c <= '9') || c == '-'));
    }
    return name ? host : (struct str){"", 0};
}

static bool same_site(struct str a, struct str b)
{
    if (str_case_starts(a, STR("www.")))
        a = str_sub(a, 4, a.n);
    if (str_case_starts(b, STR("www.")))
        b = str_sub(b, 4, b.n);
    struct str s = a.n < b.n ? a : b, l = a.n < b.n ? b : a;
    struct str tail = str_sub(l, l.n - s.n, l.n);
    return str_case_eq(s, tail) && (l.n == s.n || l.p[l.n - s.n - 1] == '.');
}

static void check_link(struct html *h)
{
    bool user;
    struct str host = url_host(h->target, &user), claim = shown_host(buf_str(&h->anchor));
    if (user)
        lines_warn(h->l, "Link %u hides its host behind an '@': it goes to %.*s", h->link,
                   (int)MIN(host.n, (size_t)100), host.p);
    else if (host.n && claim.n && !same_site(host, claim))
        lines_warn(h->l, "Link %u shows %.*s but goes to %.*s", h->link, (int)MIN(claim.n, (size_t)100), claim.p,
                   (int)MIN(host.n, (size_t)100), host.p);
}

static void link_begin(struct html *h, const GumboNode *n)
{
    struct str target = attribute(n, "href");
    if (!target.p)
        return;
    target = str_trim(target);
    if (target.n == 0 || target.p[0] == '#' || h->link)
        return;
    if (h->space && h->line.n) {
        buf_addc(&h->line, ' ');
        h->space = false;
    }
    h->link = lines_link(h->l, target);
    h->target = target;
    h->link_from = h->line.n;
    buf_reset(&h->anchor);
}

static void link_end(struct html *h)
{
    if (!h->link)
        return;
    if (h->anchor.n) {
        span(h, h->link_from, DOC_SPAN_LINK, h->link);
        buf_addf(&h->line, "[%u]", h->link);
        check_link(h);
    }
    h->link = 0;
}

static void image(struct html *h, const GumboNode *n)
{
    struct str alt = attribute(n, "alt");
    alt = alt.p ? str_trim(str_sub(alt, 0, 500)) : alt;
    if (alt.n == 0 && (tiny(n) || alt.p)) /* a counter, or declared as mere decoration */
        return;
    struct buf b = BUF_INIT(600);
    buf_addz(&b, alt.n ? "[image: " : "[image");
    for (size_t i = 0; alt.p && i < alt.n; i++)
        buf_addc(&b, (unsigned char)alt.p[i] <= 32 ? ' ' : alt.p[i]);
    buf_addc(&b, ']');
    add_piece(h, buf_str(&b));
    buf_fini(&b);
}

/* ---- The walk ----------------------------------------------------------------------------------- */
static bool is_skipped(GumboTag t)
{
    static const GumboTag tags[] = {
        GUMBO_TAG_HEAD,   GUMBO_TAG_SCRIPT, GUMBO_TAG_STYLE,  GUMBO_TAG_TITLE,  GUMBO_TAG_TEMPLATE, GUMBO_TAG_NOSCRIPT,
        GUMBO_TAG_OBJECT, GUMBO_TAG_IFRAME, GUMBO_TAG_SVG,    GUMBO_TAG_MATH,   GUMBO_TAG_SELECT,   GUMBO_TAG_EMBED,
        GUMBO_TAG_VIDEO,  GUMBO_TAG_AUDIO,  GUMBO_TAG_CANVAS, GUMBO_TAG_APPLET, GUMBO_TAG_FRAMESET};
    for (size_t i = 0; i < COUNT(tags); i++)
        if (tags[i] == t)
            return true;
    return false;
}

enum display { INLINE, BLOCK, SPACED };
static enum display display_of(GumboTag t)
{
    static const struct {
        GumboTag tag;
        enum display display;
    } table[] = {{GUMBO_TAG_P, SPACED},         {GUMBO_TAG_H1, SPACED},         {GUMBO_TAG_H2, SPACED},
                 {GUMBO_TAG_H3, SPACED},        {GUMBO_TAG_H4, SPACED},         {GUMBO_TAG_H5, SPACED},
                 {GUMBO_TAG_H6, SPACED},        {GUMBO_TAG_BLOCKQUOTE, SPACED}, {GUMBO_TAG_UL, SPACED},
                 {GUMBO_TAG_OL, SPACED},        {GUMBO_TAG_PRE, SPACED},        {GUMBO_TAG_TABLE, SPACED},
                 {GUMBO_TAG_DL, SPACED},        {GUMBO_TAG_FIGURE, SPACED},     {GUMBO_TAG_DIV, BLOCK},
                 {GUMBO_TAG_LI, BLOCK},         {GUMBO_TAG_TR, BLOCK},          {GUMBO_TAG_SECTION, BLOCK},
                 {GUMBO_TAG_ARTICLE, BLOCK},    {GUMBO_TAG_HEADER, BLOCK},      {GUMBO_TAG_FOOTER, BLOCK},
                 {GUMBO_TAG_ADDRESS, BLOCK},    {GUMBO_TAG_DT, BLOCK},          {GUMBO_TAG_DD, BLOCK},
                 {GUMBO_TAG_CENTER, BLOCK},     {GUMBO_TAG_FORM, BLOCK},        {GUMBO_TAG_FIELDSET, BLOCK},
                 {GUMBO_TAG_FIGCAPTION, BLOCK}, {GUMBO_TAG_MAIN, BLOCK},        {GUMBO_TAG_NAV, BLOCK},
                 {GUMBO_TAG_ASIDE, BLOCK},      {GUMBO_TAG_DETAILS, BLOCK},     {GUMBO_TAG_SUMMARY, BLOCK},
                 {GUMBO_TAG_CAPTION, BLOCK},    {GUMBO_TAG_BODY, BLOCK}};
    for (size_t i = 0; i < COUNT(table); i++)
        if (table[i].tag == t)
            return table[i].display;
    return INLINE;
}

static void counted_span(struct html *h, unsigned *depth, size_t *from, enum doc_span_kind kind, int step)
{
    if (step > 0) {
        if ((*depth)++ == 0)
            *from = h->line.n;
    } else if (*depth > 0 && --*depth == 0) {
        span(h, *from, kind, 0);
    }
}

/* What a tag means besides its display; step: 1 entering, -1 leaving. */
static void effect(struct html *h, const GumboNode *n, int step)
{
    switch (n->v.element.tag) {
    case GUMBO_TAG_H1:
    case GUMBO_TAG_H2:
    case GUMBO_TAG_H3:
    case GUMBO_TAG_H4:
    case GUMBO_TAG_H5:
    case GUMBO_TAG_H6:
        h->heading += step;
        break;
    case GUMBO_TAG_BLOCKQUOTE:
        h->level += (unsigned)step;
        break;
    case GUMBO_TAG_PRE:
        h->pre += (unsigned)step;
        break;
    case GUMBO_TAG_UL:
    case GUMBO_TAG_OL:
        if (step > 0 && h->lists < LISTS) {
            h->list[h->lists].ordered = n->v.element.tag == GUMBO_TAG_OL;
            h->list[h->lists].counter = 0;
        }
        h->lists += (unsigned)step;
        break;
    case GUMBO_TAG_LI:
        h->marker = step > 0;
        break;
    case GUMBO_TAG_A:
        if (step > 0)
            link_begin(h, n);
        else
            link_end(h);
        break;
    case GUMBO_TAG_B:
    case GUMBO_TAG_STRONG:
    case GUMBO_TAG_TH:
        counted_span(h, &h->strong, &h->strong_from, DOC_SPAN_STRONG, step);
        break;
    case GUMBO_TAG_I:
    case GUMBO_TAG_EM:
        counted_span(h, &h->emphasis, &h->emphasis_from, DOC_SPAN_EMPHASIS, step);
        break;
    case GUMBO_TAG_CODE:
    case GUMBO_TAG_TT:
    case GUMBO_TAG_KBD:
        counted_span(h, &h->code, &h->code_from, DOC_SPAN_CODE, step);
        break;
    default:
        break;
    }
}

static void enter(struct html *h, const GumboNode *n)
{
    GumboTag t = n->v.element.tag;
    enum display d = display_of(t);
    if (d != INLINE)
        block(h, d == SPACED && h->lists == 0);
    if ((t == GUMBO_TAG_TD || t == GUMBO_TAG_TH) && h->line.n)
        buf_addz(&h->line, "  ");
    effect(h, n, 1);
    if (t == GUMBO_TAG_BR) {
        if (h->line.n)
            flush(h);
        else
            h->blank_due = true;
    } else if (t == GUMBO_TAG_HR) {
        block(h, false);
        add_piece(h, STR("--------------------"));
        block(h, false);
    } else if (t == GUMBO_TAG_IMG) {
        image(h, n);
    }
}

static void leave(struct html *h, const GumboNode *n)
{
    enum display d = display_of(n->v.element.tag);
    if (d == INLINE)
        effect(h, n, -1);
    if (d != INLINE) {
        block(h, d == SPACED && h->lists <= 1);
        effect(h, n, -1);
    }
}

static void leaf(struct html *h, const GumboNode *n)
{
    if (n->type != GUMBO_NODE_TEXT && n->type != GUMBO_NODE_WHITESPACE && n->type != GUMBO_NODE_CDATA)
        return;
    if (h->pre)
        add_pre(h, str_z(n->v.text.text));
    else
        add_text(h, str_z(n->v.text.text));
}

static const GumboNode *next_node(struct html *h, const GumboNode *n, const GumboNode *root, bool down)
{
    if (down && n->type == GUMBO_NODE_ELEMENT && n->v.element.children.length)
        return n->v.element.children.data[0];
    for (;;) {
        if (n->type == GUMBO_NODE_ELEMENT && down)
            leave(h, n);
        if (n == root || !n->parent || n->parent->type != GUMBO_NODE_ELEMENT)
            return NULL;
        const GumboVector *v = &n->parent->v.element.children;
        size_t next = n->index_within_parent + 1;
        if (next < v->length)
            return v->data[next];
        n = n->parent;
        down = true;
    }
}

static void walk(struct html *h, const GumboNode *root)
{
    const GumboNode *n = root;
    while (n && !h->l->full) {
        bool down = true;
        if (n->type == GUMBO_NODE_TEMPLATE) {
            down = false;
        } else if (n->type != GUMBO_NODE_ELEMENT) {
            leaf(h, n);
        } else if (is_skipped(n->v.element.tag) || is_hidden(n)) {
            h->hidden += is_hidden(n);
            down = false;
        } else {
            enter(h, n);
        }
        n = next_node(h, n, root, down);
    }
}

void show_html(struct lines *l, struct str html)
{
    struct html h = {.l = l};
    struct buf flat = BUF_INIT(MIME_HTML_MAX * 2u);
    l->html += html.n;
    if (l->html > 2u * MIME_HTML_MAX) { /* of all parts together: time is bounded too */
        lines_warn(l, "The mail has more HTML than is shown");
        return;
    }
    if (html.n > MIME_HTML_MAX || !html_flatten(html, &flat))
        lines_warn(l, "The HTML text is too large; a part of it is not shown as it should be");
    if (html.n > MIME_HTML_MAX)
        html_flatten(str_sub(html, 0, MIME_HTML_MAX), &flat);
    struct str s = buf_str(&flat);
    GumboOptions options = kGumboDefaultOptions;
    options.max_errors = 0;
    buf_init(&h.line, LINE_SOFT_MAX * 2 + 4096);
    buf_init(&h.anchor, ANCHOR_MAX + 16);
    GumboOutput *g = gumbo_parse_with_options(&options, s.p ? s.p : "", s.n);
    if (g) {
        if (g->root)
            walk(&h, g->root);
        h.pre = 0;
        flush(&h);
        gumbo_destroy_output(&options, g);
    }
    buf_fini(&flat);
    buf_fini(&h.line);
    buf_fini(&h.anchor);
}
