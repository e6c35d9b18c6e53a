/* Wrapping and drawing of a message. Lines are made as far as the screen needs them, so that a huge mail costs what is
 * looked at; a jump to the end makes them all once, in linear time. */
#include "ui/message.h"
#include "ui/bidi.h"
#include "ui/private.h"
#include "ui/theme.h"

enum {
    LABEL = 9,
    NAME_MAX_SHOWN = 40,
    FOLD_MIN = 20,
    FOLD_SHOWN = 6,
    FOLD_SCAN = 4000,
    HEADER_LINES = 6,
    TAGS_MAX = 2000,
    FILES_CHARS = 2000,
    LINKS_BEHIND = 64
};

/* The items of lines that are of no document: an empty one, and the tags below the header. */
#define NO_ITEM UINT32_MAX
#define TAGS_ITEM (UINT32_MAX - 1)

void message_init(struct message *m)
{
    *m = (struct message){.state = MESSAGE_NONE, .fold = true, .width = 80, .hit_line = SIZE_MAX};
}

static void drop_lines(struct message *m)
{
    m->nlines = 0;
    m->next_item = 0;
    m->hit_line = SIZE_MAX;
}

void message_close(struct message *m)
{
    doc_free(&m->doc);
    doc_free(&m->next);
    free(m->subject);
    free(m->lines);
    free(m->files);
    free(m->tags);
    m->files = m->tags = NULL;
    m->nfiles = 0;
    m->subject = NULL;
    m->lines = NULL;
    m->cap = 0;
    drop_lines(m);
    m->state = MESSAGE_NONE;
    m->ref = REF_NONE;
    m->top = 0;
    m->owed = 0;
    m->seek = SEEK_NONE;
    m->complete = false;
    m->why[0] = 0;
}

void message_fini(struct message *m)
{
    message_close(m);
    message_set_find(m, "");
}

void message_show(struct message *m, struct ref ref, struct str subject, unsigned flags)
{
    char *copy = mem_dup_n(subject.p ? subject.p : "", subject.n);
    message_close(m);
    m->subject = copy;
    m->ref = ref;
    m->flags = flags;
    m->state = MESSAGE_WAITING;
    m->doc = doc_new();
}

void message_set_tags(struct message *m, struct str tags)
{
    struct buf words = BUF_INIT(TAGS_MAX);
    if (tags.n > TAGS_MAX)
        for (tags.n = TAGS_MAX; tags.n && tags.p[tags.n] != ' '; tags.n--)
            continue;
    for (struct str word; str_split(&tags, ' ', &word);)
        if (word.n)
            buf_addf(&words, "%s%.*s", words.n ? ", " : "", STR_FMT(word));
    if (strcmp(buf_z(&words), m->tags ? m->tags : "") != 0) {
        free(m->tags);
        m->tags = words.n ? buf_take(&words, NULL) : NULL;
        m->width = 0; /* wrapped anew when it is drawn, and the place in the text stays */
    }
    buf_fini(&words);
}

void message_again(struct message *m)
{
    if (!m->doc || !doc_count(m->doc))
        return;
    doc_free(&m->next);
    m->next = doc_new();
}

bool message_feed(struct message *m, struct str bytes, struct err *err)
{
    if (m->next)
        return doc_feed(m->next, bytes, err);
    if (m->state != MESSAGE_WAITING && m->state != MESSAGE_READING)
        return true;
    m->state = MESSAGE_READING;
    return doc_feed(m->doc, bytes, err);
}

static void list_files(struct message *m)
{
    struct buf words = BUF_INIT(FILES_CHARS);
    m->nfiles = 0;
    for (size_t i = 0; i < doc_count(m->doc); i++) {
        const struct doc_item *item = doc_at(m->doc, i);
        if (item->kind != DOC_PART || !(item->flags & DOC_PART_ATTACHMENT))
            continue;
        struct str name = item->text.n ? item->text : item->name;
        buf_addf(&words, "%s%.*s ", m->nfiles++ ? ", " : "", STR_FMT(name));
        buf_add_size(&words, item->size);
    }
    free(m->files);
    m->files = m->nfiles ? buf_take(&words, NULL) : NULL;
    buf_fini(&words);
}

void message_done(struct message *m)
{
    if (m->next) {
        doc_free(&m->doc);
        m->doc = m->next;
        m->next = NULL;
        drop_lines(m);
        m->seek = m->seek ? SEEK_ON : SEEK_NONE;
    }
    m->state = MESSAGE_SHOWN;
    m->complete = true;
    list_files(m);
}

void message_fail(struct message *m, const char *why)
{
    doc_free(&m->next);
    if (doc_count(m->doc) > 0) { /* what came is worth more than a word */
        message_done(m);
    } else {
        m->state = MESSAGE_FAILED;
    }
    snprintf(m->why, sizeof m->why, "%s", why);
}

void message_fold(struct message *m, bool fold)
{
    m->fold = fold;
    drop_lines(m);
    m->top = 0;
}

/* ---- making lines ---- */
static void add_line(struct message *m, struct message_line line)
{
    if (m->nlines >= MESSAGE_LINES_MAX)
        return;
    if (m->nlines == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 128;
        m->lines = mem_resize(m->lines, m->cap, sizeof *m->lines);
    }
    m->lines[m->nlines++] = line;
}

static struct doc_item item_of(const struct message *m, uint32_t item)
{
    return item == TAGS_ITEM ? (struct doc_item){.kind = DOC_HEADER, .name = STR("Tags"), .text = str_z(m->tags)}
                             : *doc_at(m->doc, item);
}

static bool is_item(const struct message *m, const struct message_line *line)
{
    return line->item == TAGS_ITEM ? m->tags != NULL : line->item < doc_count(m->doc);
}

struct wrapping {
    struct message *m;
    uint32_t item;
    unsigned n, max;
};

static void wrapped(void *arg, size_t from, size_t to)
{
    struct wrapping *w = arg;
    if (w->n++ < w->max)
        add_line(w->m, (struct message_line){w->item, (uint32_t)from, (uint32_t)to, 0, w->n == 1});
}

static unsigned indent_of(const struct doc_item *item)
{
    if (item->kind == DOC_HEADER) /* a name is never cut: the value begins behind it */
        return MAX((unsigned)LABEL, (unsigned)MIN(item->name.n, (size_t)NAME_MAX_SHOWN) + 1);
    if (item->kind == DOC_TEXT && item->level && !(item->text.n && item->text.p[0] == '>'))
        return MIN(item->level, 8u) * 2;
    return 0;
}

static bool shown(const struct message *m, const struct doc_item *item)
{
    if (item->kind == DOC_PART)
        return (item->flags & (DOC_PART_ATTACHMENT | DOC_PART_ENCRYPTED)) || (m->flags & VIEW_STRUCTURE);
    return item->kind != DOC_META && item->kind != DOC_LINK;
}

static bool is_quote(const struct doc_item *item)
{
    return item->kind == DOC_TEXT && item->level > 0;
}

/* How many items of a quotation that begins at `at` are folded away after its first lines: 0 for none; SIZE_MAX: more
 * has to come before that is known. */
static size_t fold_of(const struct message *m, size_t at)
{
    size_t n = doc_count(m->doc), to = at;
    if (!m->fold || (at > 0 && is_quote(doc_at(m->doc, at - 1))))
        return 0;
    while (to < n && to - at < FOLD_SCAN && is_quote(doc_at(m->doc, to)))
        to++;
    if (to == n && !m->complete)
        return SIZE_MAX;
    return to - at > FOLD_MIN ? to - at - FOLD_SHOWN : 0;
}

static void add_item(struct message *m, size_t i, const struct doc_item *item)
{
    unsigned indent = indent_of(item);
    struct wrapping w = {m, (uint32_t)i, 0, UINT32_MAX};
    if (item->kind == DOC_HEADER && !(m->flags & VIEW_ALL_HEADERS))
        w.max = HEADER_LINES;
    if (item->text.n && item->kind != DOC_PART)
        doc_wrap(item, m->width > indent + 4 ? m->width - indent : 4, wrapped, &w);
    if (!w.n)
        add_line(m, (struct message_line){(uint32_t)i, 0, 0, 0, true});
    if (w.n > w.max)
        m->lines[m->nlines - 1].folded = (uint16_t)MIN(w.n - w.max, UINT16_MAX);
}

/* Behind the last field of the header: the tags, and an empty line where more follows. */
static void end_header(struct message *m, bool more)
{
    const struct message_line *last = m->nlines ? &m->lines[m->nlines - 1] : NULL;
    if (!last || last->item >= TAGS_ITEM || doc_at(m->doc, last->item)->kind != DOC_HEADER)
        return;
    struct doc_item tags = item_of(m, TAGS_ITEM);
    if (m->tags)
        add_item(m, TAGS_ITEM, &tags);
    if (more)
        add_line(m, (struct message_line){.item = NO_ITEM});
}

/* Makes lines until there are `want`, or no more items. */
static void make_lines(struct message *m, size_t want)
{
    size_t n = m->doc ? doc_count(m->doc) : 0;
    while (m->next_item < n && m->nlines < want) {
        size_t i = m->next_item;
        const struct doc_item *item = doc_at(m->doc, i);
        if (!shown(m, item)) {
            m->next_item++;
            continue;
        }
        size_t fold = is_quote(item) ? fold_of(m, i) : 0;
        if (fold == SIZE_MAX)
            return;
        m->next_item++;
        if (item->kind != DOC_HEADER)
            end_header(m, true);
        add_item(m, i, item);
        if (!fold)
            continue;
        for (size_t k = 1; k < FOLD_SHOWN; k++)
            add_item(m, i + k, doc_at(m->doc, i + k));
        add_line(
            m, (struct message_line){(uint32_t)(i + FOLD_SHOWN), 0, 0, (uint16_t)MIN(fold, (size_t)UINT16_MAX), true});
        m->next_item = i + FOLD_SHOWN + fold;
    }
    if (m->complete && m->next_item >= n && m->nlines < want)
        end_header(m, false);
}

/* Makes the line with this text, or what comes next to it, the top one; false where it is not here. */
static bool top_at(struct message *m, struct message_spot spot)
{
    for (size_t i = 0; m->doc; i++) {
        if (i >= m->nlines)
            make_lines(m, m->nlines + 256);
        if (i >= m->nlines)
            break;
        const struct message_line *line = &m->lines[i];
        if (line->item < TAGS_ITEM && (line->item > spot.item || (line->item == spot.item && line->to > spot.at))) {
            m->top = i;
            return true;
        }
    }
    return false;
}

void message_width(struct message *m, unsigned cols)
{
    cols = MAX(cols, 4u);
    if (m->width == cols)
        return;
    struct message_line at = m->top && m->top < m->nlines ? m->lines[m->top] : (struct message_line){0};
    bool moved = m->top > 0 && at.item < TAGS_ITEM;
    m->width = cols;
    m->top = 0;
    drop_lines(m);
    if (moved) /* the text at the top stays at the top */
        top_at(m, (struct message_spot){at.item, at.from});
}

struct message_spot message_spot(const struct message *m)
{
    size_t i = m->top;
    if (m->seek)
        return m->sought;
    while (i && i < m->nlines && m->lines[i].item >= TAGS_ITEM)
        i++;
    return i && i < m->nlines ? (struct message_spot){m->lines[i].item, m->lines[i].from}
                              : (struct message_spot){.item = 0};
}

void message_seek(struct message *m, struct message_spot spot)
{
    m->seek = spot.item || spot.at ? SEEK_ON : SEEK_NONE;
    m->sought = spot;
}

static bool all_made(const struct message *m)
{
    return m->complete && m->next_item >= doc_count(m->doc);
}

bool message_scroll(struct message *m, int64_t by, unsigned height)
{
    size_t old = m->top;
    m->seek = SEEK_NONE;
    if (!m->doc)
        return false;
    if (by < 0 && m->owed) {
        m->owed = m->owed > -by ? m->owed + by : 0;
        return true;
    }
    if (by < 0) {
        m->top = m->top > (size_t)-by ? m->top - (size_t)-by : 0;
        return m->top != old;
    }
    make_lines(m, m->top + (size_t)by + height);
    size_t most = m->nlines > height ? m->nlines - height : 0;
    m->top = MIN(m->top + (size_t)by, most);
    if (!m->complete && m->state != MESSAGE_FAILED && m->top - old < (size_t)by) {
        m->owed = MIN(m->owed + by - (int64_t)(m->top - old), (int64_t)MESSAGE_LINES_MAX);
        return true;
    }
    return m->top != old;
}

void message_top(struct message *m)
{
    m->top = 0;
    m->owed = 0;
    m->seek = SEEK_NONE;
}

void message_bottom(struct message *m, unsigned height)
{
    m->seek = SEEK_NONE;
    if (m->doc && !m->complete && m->state != MESSAGE_FAILED)
        m->owed = MESSAGE_LINES_MAX;
    make_lines(m, SIZE_MAX);
    m->top = m->nlines > height ? m->nlines - height : 0;
}

/* ---- finding ---- */
static struct str line_str(const struct message *m, const struct message_line *line)
{
    return is_item(m, line) ? str_sub(item_of(m, line->item).text, line->from, line->to) : (struct str){"", 0};
}

void message_set_find(struct message *m, const char *text)
{
    free(m->find);
    query_words_free(&m->piece);
    m->find = *text ? mem_dup_z(text) : NULL;
    m->piece = *text ? query_words_piece(str_z(text)) : NULL;
    m->hit_line = SIZE_MAX;
}

static const struct query_words *marks(const struct message *m)
{
    return m->piece ? m->piece : m->words;
}

bool message_marked(const struct message *m)
{
    return query_words_count(marks(m)) > 0;
}

/* Which words of a search may be marked in it. */
static unsigned place_of(const struct message *m, const struct doc_item *item)
{
    static const struct {
        const char *name;
        unsigned place;
    } fields[] = {{"from", PLACE_FROM}, {"sender", PLACE_FROM}, {"reply-to", PLACE_FROM},  {"to", PLACE_TO},
                  {"cc", PLACE_TO},     {"bcc", PLACE_TO},      {"subject", PLACE_SUBJECT}};
    if (m->piece)
        return PLACE_ANY;
    if (item->kind == DOC_TEXT)
        return PLACE_BODY;
    for (size_t i = 0; item->kind == DOC_HEADER && i < COUNT(fields); i++)
        if (str_case_eqz(item->name, fields[i].name))
            return fields[i].place;
    return 0;
}

/* The next hit of a line from *at_r on. */
static bool hit_in(const struct message *m, const struct message_line *line, size_t *at_r, size_t *end_r)
{
    struct str s = line_str(m, line);
    if (!s.n)
        return false;
    struct doc_item item = item_of(m, line->item);
    return query_words_find(marks(m), place_of(m, &item), s, at_r, end_r);
}

/* The first of a line that begins at `from` or later, or the last that begins before it. */
static bool hit_of(const struct message *m, const struct message_line *line, bool forward, size_t from, size_t *at_r)
{
    size_t at = forward ? from : 0, end;
    bool any = false;
    for (; hit_in(m, line, &at, &end) && (forward || at < from); at = end) {
        any = true;
        *at_r = at;
        if (forward)
            break;
    }
    return any;
}

enum message_found message_find(struct message *m, bool forward, unsigned height)
{
    if (!m->doc || !message_marked(m))
        return FOUND_NONE;
    make_lines(m, SIZE_MAX);
    if (!m->nlines)
        return FOUND_NONE;
    size_t most = m->nlines > height ? m->nlines - height : 0, at;
    /* where the last one is, unless it was scrolled away */
    bool on = m->hit_line >= m->top && m->hit_line < m->top + height && m->hit_line < m->nlines;
    size_t first = on ? m->hit_line : forward ? MIN(m->top, m->nlines - 1) : MIN(m->top + height, m->nlines) - 1;
    size_t from = on ? m->hit_at + forward : forward ? 0 : SIZE_MAX;
    for (size_t step = 0; step <= m->nlines; step++, from = forward ? 0 : SIZE_MAX) {
        size_t i = (forward ? first + step : first + 2 * m->nlines - step) % m->nlines;
        if (!hit_of(m, &m->lines[i], forward, from, &at))
            continue;
        bool around = forward ? i < first || step == m->nlines : i > first || step == m->nlines;
        m->hit_line = i;
        m->hit_at = at;
        if (i < m->top || i >= m->top + height)
            m->top = MIN(i > height / 3 ? i - height / 3 : 0, most);
        return around ? FOUND_AROUND : FOUND;
    }
    return FOUND_NONE;
}

/* ---- drawing ---- */
static style text_style(const struct doc_item *item)
{
    static const style by_style[] = {[DOC_PLAIN] = THING_NORMAL,
                                     [DOC_SIGNATURE] = THING_SIGNATURE,
                                     [DOC_DIFF_ADD] = THING_DIFF_ADD,
                                     [DOC_DIFF_DELETE] = THING_DIFF_DELETE,
                                     [DOC_DIFF_HUNK] = THING_DIFF_HUNK,
                                     [DOC_HEADING] = THING_HEADING,
                                     [DOC_PRE] = THING_CODE};
    if (item->style && item->style < COUNT(by_style))
        return by_style[item->style];
    if (item->level)
        return item->level == 1 ? THING_QUOTE1 : item->level == 2 ? THING_QUOTE2 : THING_QUOTE3;
    return THING_NORMAL;
}

static style span_style(const struct doc_span *span)
{
    return span->kind == DOC_SPAN_LINK ? THING_LINK : span->kind == DOC_SPAN_CODE ? THING_CODE : THING_STRONG;
}

static unsigned clean_flags(const struct grid *g)
{
    return TEXT_KEEP_TABS | (g->ascii ? TEXT_ASCII : 0u);
}

static unsigned put_raw(struct grid *g, struct rect r, unsigned y, unsigned x, struct str s, style st)
{
    struct buf clean = BUF_INIT(DOC_MAX_LINE * 4);
    unsigned used = grid_text(g, r, y, x, text_from_bytes(s, clean_flags(g), &clean), st);
    buf_fini(&clean);
    return used;
}

static unsigned cols_of(const struct grid *g, struct str s)
{
    struct buf clean = BUF_INIT(DOC_MAX_LINE * 4);
    unsigned cols = text_from_bytes(s, clean_flags(g), &clean).cols;
    buf_fini(&clean);
    return cols;
}

/* The target of a span. Links stand at the end of a document, numbered in their order, so that it is found at once. */
static struct str target_of(const struct message *m, uint32_t number)
{
    size_t n = doc_count(m->doc), last = n;
    while (last > 0 && n - last < LINKS_BEHIND && doc_at(m->doc, last - 1)->kind != DOC_LINK)
        last--;
    const struct doc_item *item = last ? doc_at(m->doc, last - 1) : NULL;
    if (!item || item->kind != DOC_LINK || number > item->number || item->number - number >= last)
        return STR("");
    item = doc_at(m->doc, last - 1 - (item->number - number));
    return item->kind == DOC_LINK && item->number == number ? item->text : STR("");
}

/* The host of "scheme://host:port/path", or of "host/path"; with what stands before an @, so that it is that of no
 * link.
 */
static struct str host_of(struct str url)
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i + 3 <= url.n && !from; i++)
        from = memcmp(url.p + i, "://", 3) == 0 ? i + 3 : 0;
    url = str_sub(url, from, url.n);
    while (n < url.n && !strchr("/?#:", url.p[n]))
        n++;
    return str_sub(url, 0, n);
}

/* Does the text name a host, and not that of the target? */
static bool deceives(struct str text, struct str target)
{
    bool blank = false, dot = false, url = false;
    text = str_trim(text);
    for (size_t i = 0; i < text.n; i++) {
        blank = blank || (unsigned char)text.p[i] <= ' ';
        dot = dot || (text.p[i] == '.' && i > 0 && i + 1 < text.n);
        url = url || (text.p[i] == ':' && i + 2 < text.n && text.p[i + 1] == '/' && text.p[i + 2] == '/');
    }
    struct str host = host_of(target), claim = host_of(text);
    if (str_case_starts(target, STR("mailto:")))
        return url;
    size_t authority = (size_t)(host.p - target.p);
    while (authority < target.n && !strchr("/?#", target.p[authority]))
        authority++;
    if (memchr(target.p, '@', authority))
        return true; /* a name before the host that is taken for it */
    bool www = str_case_starts(host, STR("www.")) && str_case_eq(str_sub(host, 4, host.n), claim);
    return (url || (dot && !blank)) && !www && !str_case_eq(host, claim);
}

/* Only what the command links would open, and what says where it goes: the terminal opens it without a question. */
static void link_cells(const struct message *m, struct grid *g, struct rect r, unsigned y, unsigned x, unsigned n,
                       const struct doc_item *item, const struct doc_span *span)
{
    struct str target = span->kind == DOC_SPAN_LINK ? target_of(m, span->link) : STR("");
    if (target.n && ui_url_allowed(target) && !deceives(str_sub(item->text, span->from, span->to), target))
        grid_link(g, r, y, x, n, target);
}

/* A piece of a line, in one style. */
static void draw_pieces(const struct message *m, struct grid *g, struct rect r, unsigned y, unsigned x,
                        const struct doc_item *item, const struct message_line *line, style base)
{
    size_t at = line->from;
    for (size_t s = 0; s <= item->nspans && at < line->to; s++) {
        bool last = s == item->nspans;
        size_t from = last ? line->to : MIN(MAX((size_t)item->spans[s].from, at), (size_t)line->to);
        size_t to = last ? line->to : MIN((size_t)item->spans[s].to, (size_t)line->to);
        x += put_raw(g, r, y, x, str_sub(item->text, at, from), base);
        at = from;
        if (!last && to > at) {
            unsigned used = put_raw(g, r, y, x, str_sub(item->text, at, to), span_style(&item->spans[s]));
            link_cells(m, g, r, y, x, used, item, &item->spans[s]);
            x += used;
            at = to;
        }
    }
}

static void draw_hits(const struct message *m, struct grid *g, struct rect r, unsigned y, unsigned indent,
                      const struct message_line *line)
{
    struct str s = line_str(m, line);
    size_t at = 0, end;
    for (; hit_in(m, line, &at, &end); at = end) {
        bool here = m->hit_line < m->nlines && line == &m->lines[m->hit_line] && at == m->hit_at;
        grid_overlay(g, r, y, indent + cols_of(g, str_sub(s, 0, at)), cols_of(g, str_sub(s, at, end)),
                     here ? STYLE_HIT_HERE : STYLE_HIT);
    }
}

static void draw_part(struct grid *g, struct rect r, unsigned y, const struct doc_item *item)
{
    struct buf line = BUF_INIT(2000);
    struct text sign = grid_sign(g, SIGN_ATTACHMENT);
    buf_addf(&line, "%.*s %.*s  %.*s  ", (int)sign.n, sign.p, STR_FMT(item->text), STR_FMT(item->name));
    buf_add_size(&line, item->size);
    if (item->flags & DOC_PART_ENCRYPTED)
        buf_addz(&line, "  encrypted");
    if (item->flags & DOC_PART_TRUNCATED)
        buf_addz(&line, "  cut");
    if (item->flags & DOC_PART_ABSENT)
        buf_addz(&line, "  not fetched");
    put_raw(g, r, y, 0, buf_str(&line), THING_PART);
    buf_fini(&line);
}

static void draw_folded(struct grid *g, struct rect r, unsigned y, unsigned x, unsigned n)
{
    char word[40];
    snprintf(word, sizeof word, "[+ %u lines]", n);
    put_raw(g, r, y, x, str_z(word), THING_MARKER);
}

static bool is_blank(const struct grid *g, struct rect r, unsigned y, unsigned x)
{
    const struct cell *c = grid_at(g, r.y + y, r.x + x);
    return c->n == 1 && c->p[0] == ' ';
}

/* A right-to-left paragraph begins at its right end, a header field beside its name. */
static void arrange(const struct message *m, struct grid *g, struct rect r, unsigned y, unsigned indent,
                    const struct doc_item *item)
{
    bool rtl = bidi_is_rtl(item->text);
    unsigned end = MIN(MAX(m->width, indent), r.cols);
    if (item->kind != DOC_TEXT || !rtl)
        while (end > indent && is_blank(g, r, y, end - 1))
            end--;
    bidi_cells(g, r, y, indent, end - indent, rtl);
}

static void draw_line(const struct message *m, struct grid *g, struct rect r, unsigned y,
                      const struct message_line *line)
{
    if (!is_item(m, line))
        return;
    const struct doc_item its = item_of(m, line->item), *item = &its;
    unsigned indent = indent_of(item), x = indent;
    style st = THING_NORMAL;
    switch (item->kind) {
    case DOC_HEADER:
        if (line->first) {
            struct rect label = {r.y, r.x, r.rows, MIN(r.cols, indent - 1)};
            grid_field(g, label, y, 0, indent - 1, TEXT(""), THING_HEADER_NAME);
            put_raw(g, label, y, 0, item->name, THING_HEADER_NAME);
        }
        st = str_case_eqz(item->name, "subject") ? THING_SUBJECT : THING_HEADER;
        break;
    case DOC_BANNER:
    case DOC_WARNING:
        st = item->kind == DOC_BANNER ? THING_BANNER : THING_WARNING;
        grid_fill_row(g, r, y, st);
        break;
    case DOC_PART:
        draw_part(g, r, y, item);
        return;
    default:
        st = text_style(item);
        for (unsigned i = 0; i + 1 < indent; i += 2)
            grid_text(g, r, y, i, TEXT("> "), st);
    }
    if (line->folded && !line->to) {
        draw_folded(g, r, y, x, line->folded);
        return;
    }
    draw_pieces(m, g, r, y, x, item, line, st);
    if (line->folded)
        draw_folded(g, r, y, r.cols > 14 ? r.cols - 14 : 0, line->folded);
    if (message_marked(m))
        draw_hits(m, g, r, y, indent, line);
    arrange(m, g, r, y, indent, item);
}

static void draw_state(const struct message *m, struct grid *g, struct rect r)
{
    static const char *const words[] = {"", "waiting for the message", "reading the message", "",
                                        "the message cannot be shown"};
    struct buf line = BUF_INIT(4096);
    if (m->subject)
        grid_field(g, r, 0, 0, r.cols, text_from_bytes(str_z(m->subject), TEXT_FOLD_SPACE | clean_flags(g), &line),
                   THING_SUBJECT);
    put_raw(g, r, 2, 0, str_z(words[m->state]), THING_MARKER);
    struct str why = str_z(m->why); /* words of ours: cut into rows */
    for (unsigned y = 3; why.n && y < r.rows; y++) {
        size_t n = MIN(why.n, (size_t)r.cols);
        while (n < why.n && n > 1 && why.p[n] != ' ')
            n--;
        put_raw(g, r, y, 0, str_sub(why, 0, n), THING_MARKER);
        why = str_trim(str_sub(why, n, why.n));
    }
    buf_fini(&line);
}

void message_draw(struct message *m, struct grid *g, struct rect r)
{
    if (m->state == MESSAGE_NONE)
        return;
    if (!m->doc || doc_count(m->doc) == 0) {
        draw_state(m, g, r);
        return;
    }
    message_width(m, r.cols);
    if (m->seek == SEEK_ON)
        m->seek = top_at(m, m->sought) ? SEEK_NONE : m->complete ? SEEK_MORE : SEEK_ON;
    int64_t owed = m->owed;
    m->owed = 0;
    if (owed)
        message_scroll(m, owed, r.rows);
    make_lines(m, m->top + r.rows + 1);
    size_t most = m->nlines > 0 ? m->nlines - 1 : 0;
    m->top = MIN(m->top, most);
    for (unsigned y = 0; y < r.rows && m->top + y < m->nlines; y++)
        draw_line(m, g, r, y, &m->lines[m->top + y]);
}

const char *message_place(const struct message *m, unsigned height, char out[16])
{
    if (!m->doc || m->state == MESSAGE_NONE || !doc_count(m->doc))
        return "";
    if (all_made(m) && m->top + height >= m->nlines)
        return m->top ? "end" : "all";
    size_t at = m->top + height < m->nlines ? m->lines[m->top + height].item : m->next_item;
    if (at >= TAGS_ITEM)
        at = 0;
    snprintf(out, 16, "%u%%", (unsigned)(at * 100 / MAX(doc_count(m->doc), (size_t)1)));
    return out;
}

const struct doc_item *message_link(const struct message *m, size_t i)
{
    for (size_t k = 0; m->doc && k < doc_count(m->doc); k++) {
        const struct doc_item *item = doc_at(m->doc, k);
        if (item->kind == DOC_LINK && i-- == 0)
            return item;
    }
    return NULL;
}

struct str doc_absent(const struct doc *doc, uint32_t number)
{
    for (size_t i = 0; doc && i < doc_count(doc); i++) {
        const struct doc_item *item = doc_at(doc, i);
        if (item->kind == DOC_META && item->number == number && str_eqz(item->name, "absent"))
            return item->text;
    }
    return (struct str){"", 0};
}

struct str message_value(const struct message *m, enum doc_kind kind, const char *name)
{
    const struct doc_item *item = m->doc ? doc_named(m->doc, kind, name) : NULL;
    return item ? item->text : (struct str){"", 0};
}
