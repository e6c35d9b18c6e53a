/* Plain text to lines: quotes, signatures, diffs, format=flowed (RFC 3676), links, uuencoded files, cards and
 * calendars. */
#include "mime/parts.h"

#include <strings.h>

/* ---- The writer --------------------------------------------------------------------------------- */
enum { ITEMS_FOR_TEXT = DOC_MAX_ITEMS - 20000 }; /* the rest is for parts, links and warnings */

bool lines_put(struct lines *l, const struct doc_item *it)
{
    if (l->full)
        return false;
    size_t more = 1 + (it->kind == DOC_TEXT ? it->text.n / (DOC_MAX_LINE - 4) : 0);
    if (it->kind == DOC_TEXT && (l->items + more > ITEMS_FOR_TEXT || l->out->n + it->text.n > l->out->max / 4 * 3)) {
        l->full = true;
        lines_warn(l, "The text is longer than can be shown; the rest is left out");
        return false;
    }
    l->items += more;
    return doc_put(l->out, it);
}

void lines_text(struct lines *l, unsigned level, enum doc_style style, struct str text, const struct doc_span *spans,
                size_t n)
{
    lines_put(l, &(struct doc_item){.kind = DOC_TEXT,
                                    .level = (uint8_t)MIN(level, (unsigned)DOC_MAX_DEPTH),
                                    .style = (uint8_t)style,
                                    .text = text,
                                    .spans = spans,
                                    .nspans = n});
}

void lines_warn(struct lines *l, const char *fmt, ...)
{
    if (l->warnings >= 30)
        return;
    l->warnings++;
    struct buf b = BUF_INIT(2000);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    doc_put(&l->warning_items, &(struct doc_item){.kind = DOC_WARNING, .text = buf_str(&b)});
    buf_fini(&b);
}

uint32_t lines_link(struct lines *l, struct str target)
{
    if (target.n == 0 || l->links >= MIME_LINKS_MAX)
        return 0;
    if (!doc_put(&l->link_items, &(struct doc_item){.kind = DOC_LINK, .number = l->links + 1, .text = target}))
        return 0;
    return ++l->links;
}

/* ---- Links in plain text ------------------------------------------------------------------------ */
static bool is_url_byte(unsigned char c)
{
    return c > 32 && c != 127 && c != '<' && c != '>' && c != '"' && c != '`' && c != '{' && c != '}';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Length of a URL that begins here; 0 for none. */
static size_t url_length(struct str s, size_t at)
{
    static const char *const schemes[] = {"https://", "http://", "ftp://", "mailto:"};
    struct str rest = str_sub(s, at, s.n);
    for (size_t k = 0; k < COUNT(schemes); k++) {
        size_t n = strlen(schemes[k]), end = n;
        if (!str_case_starts(rest, str_z(schemes[k])))
            continue;
        while (end < rest.n && is_url_byte((unsigned char)rest.p[end]))
            end++;
        int open = 0;
        for (size_t i = n; i < end; i++)
            open += rest.p[i] == '(' ? 1 : rest.p[i] == ')' ? -1 : 0;
        while (end > n && strchr(".,;:!?'*_)]", rest.p[end - 1])) { /* what ends a sentence is not the URL's */
            if (rest.p[end - 1] == ')' && open++ >= 0)
                break;
            end--;
        }
        return end > n ? end : 0;
    }
    return 0;
}

void lines_plain(struct lines *l, unsigned level, enum doc_style style, struct str s)
{
    struct doc_span spans[DOC_MAX_SPANS];
    size_t n = 0;
    for (size_t i = 0; i + 7 < s.n && n < DOC_MAX_SPANS && i < DOC_MAX_LINE;) {
        const char *colon = memchr(s.p + i, ':', s.n - i);
        if (!colon)
            break;
        size_t at = (size_t)(colon - s.p), start = at;
        while (start > i && at - start < 6 && is_word(s.p[start - 1]))
            start--;
        size_t len = start > 0 && is_word(s.p[start - 1]) ? 0 : url_length(s, start);
        uint32_t link = len ? lines_link(l, str_sub(s, start, start + len)) : 0;
        if (link)
            spans[n++] = (struct doc_span){
                .from = (uint32_t)start, .to = (uint32_t)(start + len), .kind = DOC_SPAN_LINK, .link = link};
        i = len ? start + len : at + 1;
    }
    lines_text(l, level, style, s, spans, n);
}

/* ---- Lines of text ------------------------------------------------------------------------------ */
static bool next_line(struct str *rest, struct str *line_r)
{
    if (rest->n == 0)
        return false;
    const char *e = memchr(rest->p, '\n', rest->n);
    size_t n = e ? (size_t)(e - rest->p) : rest->n;
    *line_r = (struct str){rest->p, n};
    *rest = str_sub(*rest, n + (e ? 1 : 0), rest->n);
    while (line_r->n && line_r->p[line_r->n - 1] == '\r')
        line_r->n--;
    return true;
}

/* "> > >text", ">>text": marks and the blanks between them. */
static unsigned quote_depth(struct str *line)
{
    unsigned depth = 0;
    size_t i = 0, end = 0;
    while (i < line->n &&
           (line->p[i] == '>' || (line->p[i] == ' ' && depth > 0 && i + 1 < line->n && line->p[i + 1] == '>'))) {
        if (line->p[i] == '>') {
            depth++;
            end = i + 1;
        }
        i++;
    }
    if (depth && end < line->n && line->p[end] == ' ')
        end++;
    *line = str_sub(*line, end, line->n);
    return depth;
}

static bool diff_starts(struct str line, struct str rest)
{
    struct str next;
    if (str_starts(line, STR("diff --git ")) || str_starts(line, STR("Index: ")))
        return true;
    return str_starts(line, STR("--- ")) && next_line(&rest, &next) && str_starts(next, STR("+++ "));
}

static enum doc_style diff_style(struct str line)
{
    static const struct {
        const char *prefix;
        enum doc_style style;
    } table[] = {{"+++ ", DOC_HEADING},    {"--- ", DOC_HEADING}, {"diff ", DOC_HEADING}, {"index ", DOC_HEADING},
                 {"Index: ", DOC_HEADING}, {"@@", DOC_DIFF_HUNK}, {"+", DOC_DIFF_ADD},    {"-", DOC_DIFF_DELETE}};
    for (size_t i = 0; i < COUNT(table); i++)
        if (str_starts(line, str_z(table[i].prefix)))
            return table[i].style;
    return DOC_PRE;
}

void show_plain(struct lines *l, struct str text, bool diff)
{
    struct str line;
    bool signature = false;
    while (!l->full && next_line(&text, &line)) {
        if (str_eqz(line, "-- ") || (diff && str_eqz(line, "--"))) {
            signature = true;
            diff = false;
        } else if (!signature && !diff && diff_starts(line, text)) {
            diff = true;
        }
        if (diff) {
            lines_text(l, 0, diff_style(line), line, NULL, 0);
            continue;
        }
        unsigned depth = str_starts(line, STR(">From ")) ? 0 : quote_depth(&line);
        if (depth)
            signature = false;
        lines_plain(l, depth, signature ? DOC_SIGNATURE : DOC_PLAIN, line);
    }
}

struct flow {
    struct lines *l;
    struct buf para;
    unsigned depth;
    bool open, signature;
};

static void flow_end(struct flow *f)
{
    if (f->open)
        lines_plain(f->l, f->depth, f->signature ? DOC_SIGNATURE : DOC_PLAIN, buf_str(&f->para));
    buf_reset(&f->para);
    f->open = false;
}

void show_flowed(struct lines *l, struct str text, bool delsp)
{
    struct flow f = {.l = l};
    struct str line;
    buf_init(&f.para, text.n + 1);
    while (!l->full && next_line(&text, &line)) {
        unsigned depth = 0;
        while (line.n && line.p[0] == '>') {
            depth++;
            line = str_sub(line, 1, line.n);
        }
        if (line.n && line.p[0] == ' ')
            line = str_sub(line, 1, line.n); /* stuffed */
        bool separator = str_eqz(line, "-- ");
        if (f.open && (f.depth != depth || separator))
            flow_end(&f);
        if (separator || (f.signature && depth))
            f.signature = separator;
        bool soft = !separator && line.n && line.p[line.n - 1] == ' ';
        f.depth = depth;
        f.open = true;
        buf_adds(&f.para, str_sub(line, 0, soft && delsp ? line.n - 1 : line.n));
        if (!soft)
            flow_end(&f);
    }
    flow_end(&f);
    buf_fini(&f.para);
}

/* ---- uuencode ----------------------------------------------------------------------------------- */
static bool uu_line(struct str line)
{
    if (line.n == 0 || line.p[0] < 32 || line.p[0] > 96 || line.n > 100)
        return false;
    size_t bytes = (size_t)(line.p[0] - 32) & 63, want = (bytes + 2) / 3 * 4;
    for (size_t i = 1; i < line.n; i++)
        if (line.p[i] < 32 || line.p[i] > 96)
            return false;
    return line.n - 1 >= MIN(want, bytes * 4 / 3) && line.n - 1 <= want + 2;
}

/* "begin 644 name" */
static bool uu_begin(struct str line, struct str *name_r)
{
    if (!str_starts(line, STR("begin ")) || line.n < 11)
        return false;
    size_t i = 6;
    while (i < line.n && line.p[i] >= '0' && line.p[i] <= '7')
        i++;
    if (i < 9 || i > 10 || i >= line.n || line.p[i] != ' ')
        return false;
    *name_r = str_trim(str_sub(line, i, line.n));
    return name_r->n > 0;
}

void uu_find(struct str text, uu_fn *fn, void *arg)
{
    struct str rest = text, line, name;
    while (next_line(&rest, &line)) {
        if (!uu_begin(line, &name))
            continue;
        size_t from = (size_t)(rest.p - text.p), to = from, n = 0;
        struct str ahead = rest;
        while (next_line(&ahead, &line) && uu_line(line)) { /* cut short is a file as well (THREATS 101) */
            to = (size_t)(ahead.p - text.p);
            n++;
        }
        if (n == 0)
            continue;
        fn(arg, name, from, MIN(to, text.n));
        rest = str_sub(text, to, text.n);
    }
}

void uu_decode(struct str lines, struct buf *out)
{
    struct str line;
    while (!out->full && next_line(&lines, &line) && uu_line(line)) {
        size_t bytes = (size_t)(line.p[0] - 32) & 63;
        for (size_t i = 1; bytes > 0 && i < line.n; i += 4) {
            unsigned v[4];
            for (size_t k = 0; k < 4; k++)
                v[k] = i + k < line.n ? (unsigned)(line.p[i + k] - 32) & 63 : 0;
            char d[3] = {(char)((v[0] << 2 | v[1] >> 4) & 0xff), (char)((v[1] << 4 | v[2] >> 2) & 0xff),
                         (char)((v[2] << 6 | v[3]) & 0xff)};
            buf_add(out, d, MIN(bytes, sizeof d));
            bytes -= MIN(bytes, sizeof d);
        }
    }
}

/* ---- Calendars and cards: a few words, never an answer (THREATS 136) ---------------------------- */
static void show_properties(struct lines *l, struct str text, const char *const (*wanted)[2], size_t n)
{
    struct str rest = str_sub(text, 0, 65536), line;
    struct buf full = BUF_INIT(65536 + 16);
    unsigned shown = 0;
    bool more = next_line(&rest, &line);
    while (more && shown < 40) {
        buf_reset(&full);
        buf_adds(&full, line);
        while ((more = next_line(&rest, &line)) && line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
            buf_adds(&full, str_sub(line, 1, line.n));
        struct str s = buf_str(&full);
        size_t colon;
        if (!str_find(s, ':', &colon))
            continue;
        size_t name = 0;
        while (name < colon && s.p[name] != ';')
            name++;
        for (size_t i = 0; i < n; i++) {
            if (!str_case_eqz(str_sub(s, 0, name), wanted[i][0]))
                continue;
            struct buf b = BUF_INIT(4096);
            buf_addf(&b, "%s: ", wanted[i][1]);
            struct str v = str_sub(s, colon + 1, colon + 1 + 2000);
            for (size_t k = 0; k < v.n; k++) {
                bool escape = v.p[k] == '\\' && k + 1 < v.n;
                k += escape;
                buf_addc(&b, escape && (v.p[k] == 'n' || v.p[k] == 'N') ? ' ' : v.p[k]);
            }
            lines_text(l, 0, DOC_PRE, buf_str(&b), NULL, 0);
            buf_fini(&b);
            shown++;
            break;
        }
    }
    buf_fini(&full);
}

void show_calendar(struct lines *l, struct str text)
{
    static const char *const wanted[][2] = {{"METHOD", "Calendar"}, {"SUMMARY", "What"},   {"DTSTART", "From"},
                                            {"DTEND", "To"},        {"LOCATION", "Where"}, {"ORGANIZER", "Organizer"},
                                            {"STATUS", "Status"}};
    show_properties(l, text, wanted, COUNT(wanted));
}

void show_vcard(struct lines *l, struct str text)
{
    static const char *const wanted[][2] = {
        {"FN", "Card"}, {"ORG", "Organisation"}, {"EMAIL", "Mail"}, {"TEL", "Telephone"}};
    show_properties(l, text, wanted, COUNT(wanted));
}
