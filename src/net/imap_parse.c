/* One framed answer -> one event. The FETCH grammar is libetpan's; this file takes out of a FETCH what that grammar
 * does not know or cannot hold. The other answers are imap_answers.c's. */
#include "net/imap_internal.h"

#define ANSWER_ARENA_MAX (32u << 20)

struct imap_parser {
    struct etpan *etpan;
    struct arena *arena;
    struct buf keywords, fetch;
    bool utf8;
};

struct imap_parser *imap_parser_new(void)
{
    struct imap_parser *p = mem_new(sizeof(*p));
    p->etpan = etpan_new();
    p->arena = arena_new(ANSWER_ARENA_MAX);
    buf_init(&p->keywords, 4096);
    buf_init(&p->fetch, IMAP_LINE_MAX + 16 * IMAP_LITERAL_KEPT);
    return p;
}

void imap_parser_free(struct imap_parser **pp)
{
    struct imap_parser *p = *pp;
    if (!p)
        return;
    etpan_free(&p->etpan);
    arena_free(&p->arena);
    buf_fini(&p->keywords);
    buf_fini(&p->fetch);
    free(p);
    *pp = NULL;
}

void imap_parser_utf8(struct imap_parser *p, bool on)
{
    p->utf8 = on;
}

/* ---- Cursor ------------------------------------------------------------------------------------- */
struct cursor cursor_on(struct str s)
{
    const char *p = s.n ? s.p : ""; /* nothing may come as NULL */
    return (struct cursor){.p = p, .end = p + s.n};
}

struct str cursor_rest(const struct cursor *c)
{
    return (struct str){c->p, (size_t)(c->end - c->p)};
}

bool cursor_is(struct cursor *c, char ch)
{
    if (c->p == c->end || *c->p != ch)
        return false;
    c->p++;
    return true;
}

void cursor_space(struct cursor *c)
{
    if (!cursor_is(c, ' '))
        c->bad = true;
    while (cursor_is(c, ' '))
        ;
}

struct str cursor_word(struct cursor *c)
{
    const char *from = c->p;
    while (c->p < c->end && !strchr(" ()\r\n", *c->p))
        c->p++;
    /* strchr finds the NUL too: a NUL inside a word ends it and fails whoever expects more */
    return (struct str){from, (size_t)(c->p - from)};
}

bool cursor_number(struct cursor *c, uint64_t *n_r)
{
    struct str word = cursor_word(c);
    return str_u64(word, n_r);
}

bool imap_literal_size(struct str line, uint64_t *size_r, size_t *start_r)
{
    size_t i = line.n;
    if (!i || line.p[--i] != '}')
        return false;
    size_t end = i;
    if (i && line.p[i - 1] == '+')
        end = --i;
    while (i && line.p[i - 1] >= '0' && line.p[i - 1] <= '9')
        i--;
    if (i == end || !i || line.p[i - 1] != '{')
        return false;
    *start_r = i - 1;
    /* More digits than a number holds: the size of an attack, kept as a size that every limit refuses. */
    if (!str_u64(str_sub(line, i, end), size_r))
        *size_r = UINT64_MAX;
    return true;
}

static bool literal_at(struct cursor *c, struct str *data_r)
{
    const char *nl = memchr(c->p, '\n', (size_t)MIN(c->end - c->p, 32));
    uint64_t n;
    size_t start;
    if (!nl || nl == c->p)
        return false;
    struct str line = {c->p, (size_t)(nl - c->p)};
    if (line.p[line.n - 1] == '\r')
        line.n--;
    if (!imap_literal_size(line, &n, &start) || start != 0 || n > (uint64_t)(c->end - nl - 1))
        return false;
    *data_r = (struct str){nl + 1, (size_t)n};
    c->p = c->behind = nl + 1 + n;
    return true;
}

/* The inside of a quoted string, backslashes still there; the cursor stands on the opening quote. */
static struct str quoted_at(struct cursor *c, bool *escaped_r)
{
    const char *from = ++c->p;
    *escaped_r = false;
    while (c->p < c->end && *c->p != '"') {
        if (*c->p == '\\' && c->p + 1 < c->end) {
            *escaped_r = true;
            c->p++;
        }
        c->p++;
    }
    struct str s = {from, (size_t)(c->p - from)};
    if (!cursor_is(c, '"'))
        c->bad = true;
    return s;
}

static struct str unescape(struct str raw, struct arena *arena)
{
    char *p = arena_alloc(arena, raw.n + 1);
    size_t n = 0;
    if (!p)
        return (struct str){"", 0};
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n)
            i++;
        p[n++] = raw.p[i];
    }
    return (struct str){p, n};
}

struct str cursor_string(struct cursor *c, struct arena *arena, bool *nil_r)
{
    struct str s = {"", 0};
    bool escaped;
    if (nil_r)
        *nil_r = false;
    if (c->p < c->end && *c->p == '~')
        c->p++;
    if (c->p == c->end) {
        c->bad = true;
    } else if (*c->p == '"') {
        s = quoted_at(c, &escaped);
        if (escaped)
            s = unescape(s, arena);
    } else if (*c->p == '{') {
        if (!literal_at(c, &s))
            c->bad = true;
    } else {
        s = cursor_word(c);
        if (!s.n)
            c->bad = true;
        if (nil_r && str_case_eqz(s, "NIL"))
            *nil_r = true;
    }
    return s;
}

struct str cursor_value(struct cursor *c)
{
    const char *from = c->p;
    unsigned depth = 0;
    struct str skip;
    bool escaped;
    do {
        if (c->p == c->end) {
            c->bad = true;
        } else if (*c->p == '(') {
            c->p++;
            if (++depth > IMAP_DEPTH_MAX)
                c->bad = true;
        } else if (*c->p == ')') {
            if (!depth)
                break;
            depth--;
            c->p++;
        } else if (*c->p == '"') {
            quoted_at(c, &escaped);
        } else if (*c->p == '{' || (*c->p == '~' && c->end - c->p > 1 && c->p[1] == '{')) {
            c->p += *c->p == '~';
            if (!literal_at(c, &skip))
                c->bad = true;
        } else if (*c->p == ' ') {
            if (!depth)
                break;
            c->p++;
        } else if (!cursor_word(c).n) {
            c->bad = true;
        }
    } while (depth && !c->bad);
    if (c->p == from)
        c->bad = true;
    return (struct str){from, (size_t)(c->p - from)};
}

/* ---- States: OK, NO, BAD, BYE, PREAUTH ---------------------------------------------------------- */
static const struct {
    const char *word;
    enum imap_what what;
} states[] = {{"OK", IMAP_OK}, {"NO", IMAP_NO}, {"BAD", IMAP_BAD}, {"BYE", IMAP_BYE}, {"PREAUTH", IMAP_PREAUTH}};

bool imap_parse_state(struct str line, struct imap_event *ev)
{
    struct cursor c = cursor_on(line);
    struct str word = cursor_word(&c);
    size_t i;
    for (i = 0; i < COUNT(states) && !str_case_eqz(word, states[i].word); i++)
        ;
    if (i == COUNT(states))
        return false;
    ev->what = states[i].what;
    struct str text = str_trim(cursor_rest(&c));
    if (text.n && text.p[0] == '[') {
        /* To the first ']' outside quotes: FLAGS words and BADCHARSET may hold one inside. A missing one: it is all
         * text. */
        struct cursor in = cursor_on(str_sub(text, 1, text.n));
        bool escaped;
        while (in.p < in.end && *in.p != ']') {
            if (*in.p == '"')
                quoted_at(&in, &escaped);
            else
                in.p++;
        }
        if (in.p < in.end) {
            struct str inside = str_sub(text, 1, (size_t)(in.p - text.p));
            size_t blank = inside.n;
            str_find(inside, ' ', &blank);
            ev->code = str_sub(inside, 0, blank);
            ev->args = str_trim(str_sub(inside, blank, inside.n));
            text = str_trim(str_sub(text, (size_t)(in.p - text.p) + 1, text.n));
        }
    }
    ev->text = text;
    return true;
}

bool imap_line_is_text(struct str line)
{
    struct imap_event ev = {0};
    if (line.n && line.p[0] == '+')
        return true;
    size_t blank;
    if (!str_find(line, ' ', &blank))
        return false;
    struct str rest = str_sub(line, blank + 1, line.n);
    return imap_parse_state(str_sub(rest, 0, MIN(rest.n, 8)), &ev);
}

/* ---- FETCH -------------------------------------------------------------------------------------- */
/* An item's name: up to a blank outside brackets and parentheses, as in BODY[HEADER.FIELDS (DATE FROM)]<0>. */
static struct str fetch_name(struct cursor *c)
{
    const char *from = c->p;
    unsigned bracket = 0;
    for (; c->p < c->end; c->p++) {
        if (*c->p == '[')
            bracket++;
        else if (*c->p == ']' && bracket)
            bracket--;
        else if (!bracket && strchr(" ()", *c->p))
            break;
    }
    return (struct str){from, (size_t)(c->p - from)};
}

/* FLAGS as the grammar wants them: unreadable words left out. */
static bool put_flags(struct str list, struct buf *out)
{
    struct cursor c = cursor_on(list);
    const char *sep = "";
    if (!cursor_is(&c, '('))
        return false;
    buf_addz(out, "FLAGS (");
    while (c.p < c.end && !cursor_is(&c, ')')) {
        struct str word = cursor_word(&c);
        bool name = word.n > 1 && word.p[0] == '\\' && imap_keyword_valid(str_sub(word, 1, word.n));
        if (name || imap_keyword_valid(word)) {
            buf_addz(out, sep);
            buf_adds(out, word);
            sep = " ";
        }
        if (!word.n && !cursor_is(&c, ' '))
            return false;
    }
    return buf_addc(out, ')');
}

static bool put_text(const char *name, struct str value, struct buf *out)
{
    bool string = value.n && (value.p[0] == '"' || value.p[0] == '{');
    if (!string && !str_case_eqz(value, "NIL"))
        return false;
    buf_addf(out, "%s ", name);
    return buf_adds(out, value);
}

/* Gmail's labels as keywords; none of the server's own ("\\Inbox"). */
static void take_labels(struct imap_parser *p, struct str value, struct imap_fetch *f)
{
    struct cursor c = cursor_on(value);
    if (!cursor_is(&c, '('))
        return;
    f->has |= IMAP_HAS_LABELS;
    while (!c.bad && c.p < c.end && !cursor_is(&c, ')')) {
        struct str label = cursor_string(&c, p->arena, NULL);
        if (!c.bad && label.n && label.p[0] != '\\')
            imap_label_add(label, p->utf8, &p->keywords);
        while (cursor_is(&c, ' '))
            ;
    }
}

/* Gmail's ids are numbers of 64 bits. */
static struct str number_id(struct str value)
{
    uint64_t n;
    return str_u64(value, &n) ? value : (struct str){"", 0};
}

/* What the grammar does not know: RFC 8474, 8514, 8970, X-GM-EXT-1. */
static bool fetch_extra(struct imap_parser *p, struct str name, struct str value, struct imap_fetch *f)
{
    struct cursor c = cursor_on(value);
    bool nil;
    if (str_case_eqz(name, "EMAILID")) {
        f->emailid = imap_object_id(value);
    } else if (str_case_eqz(name, "THREADID")) {
        f->threadid = imap_object_id(value);
    } else if (str_case_eqz(name, "X-GM-MSGID")) {
        f->emailid = number_id(value);
    } else if (str_case_eqz(name, "X-GM-THRID")) {
        f->threadid = number_id(value);
    } else if (str_case_eqz(name, "X-GM-LABELS")) {
        take_labels(p, value, f);
    } else if (str_case_eqz(name, "SAVEDATE")) {
        if (imap_date_read(value, &f->savedate))
            f->has |= IMAP_HAS_SAVEDATE;
    } else if (str_case_eqz(name, "PREVIEW")) {
        struct str text = cursor_string(&c, p->arena, &nil);
        if (!nil && !c.bad) {
            f->preview = str_sub(text, 0, MIN(text.n, (size_t)IMAP_PREVIEW_MAX));
            f->has |= IMAP_HAS_PREVIEW;
        }
    } else {
        return false;
    }
    return true;
}

/* The bytes of a message or of a part, as they stand in the answer. */
static void take_body(struct imap_parser *p, struct str name, struct str value, struct imap_fetch *f)
{
    struct imap_fetch item = *f;
    struct cursor c = cursor_on(value);
    bool nil;
    if (!imap_body_item(name, &item))
        return;
    item.body = cursor_string(&c, p->arena, &nil);
    if (c.bad || (!nil && value.p[0] != '"' && value.p[0] != '{'))
        return;
    if (nil)
        item.body.n = 0;
    item.has |= nil ? IMAP_HAS_BODY | IMAP_BODY_NIL : IMAP_HAS_BODY;
    *f = item;
}

/* Copies one item in the form that the grammar takes, takes it as it is, or leaves it out. */
static void fetch_item(struct imap_parser *p, struct str name, struct str value, struct imap_fetch *f)
{
    struct buf *out = &p->fetch;
    size_t before = out->n;
    bool put = false;
    uint64_t n = 0;
    buf_addz(out, before && out->p[before - 1] != '(' ? " " : "");
    if (str_case_eqz(name, "UID")) {
        put = str_u64(value, &n) && n && n <= UINT32_MAX && buf_addf(out, "UID %u", (unsigned)n);
        f->uid = put ? (uint32_t)n : 0;
    } else if (str_case_eqz(name, "RFC822.SIZE")) {
        put = str_u64(value, &n) && n <= UINT32_MAX && buf_addf(out, "RFC822.SIZE %u", (unsigned)n);
    } else if (str_case_eqz(name, "MODSEQ")) {
        struct str in = value.n > 2 && value.p[0] == '(' ? str_sub(value, 1, value.n - 1) : value;
        if (str_u64(in, &n) && n <= INT64_MAX) {
            f->modseq = n;
            f->has |= IMAP_HAS_MODSEQ;
        }
    } else if (fetch_extra(p, name, value, f)) {
        put = false;
    } else if (str_case_eqz(name, "INTERNALDATE")) {
        if (imap_date_read(value, &f->date)) /* the grammar would take a wrong one for a broken answer */
            f->has |= IMAP_HAS_DATE;
    } else if (str_case_eqz(name, "FLAGS")) {
        put = put_flags(value, out);
    } else if (str_case_starts(name, STR("BODY[HEADER")) || str_case_eqz(name, "RFC822.HEADER")) {
        put = put_text("BODY[HEADER]", value, out);
    } else if (str_case_eqz(name, "BODYSTRUCTURE")) {
        f->structure = value;
        f->has |= IMAP_HAS_STRUCTURE;
    } else {
        take_body(p, name, value, f);
    }
    if (!put || out->full) {
        out->full = false;
        out->n = before;
        if (out->p)
            out->p[before] = 0;
    }
}

static bool parse_fetch(struct imap_parser *p, uint32_t seq, struct cursor *c, struct imap_fetch *f)
{
    buf_reset(&p->fetch);
    buf_addf(&p->fetch, "* %u FETCH (", (unsigned)seq);
    if (!seq || !cursor_is(c, '('))
        return false;
    while (!c->bad && c->p < c->end && *c->p != ')') {
        struct str name = fetch_name(c);
        cursor_space(c);
        struct str value = cursor_value(c);
        if (c->bad)
            break;
        if (value.n && value.p[0] == '~')
            value = str_sub(value, 1, value.n);
        fetch_item(p, name, value, f);
        while (cursor_is(c, ' '))
            ;
    }
    f->seq = seq;
    uint32_t uid = f->uid;
    if (c->bad || c->p == c->end) { /* a list that does not end was not read as it was meant */
        /* What was wrong stood before the bytes where the answer ends right behind them (quotes of iCloud's). */
        bool astray = c->behind && !str_eqz((struct str){c->behind, (size_t)(c->end - c->behind)}, ")");
        f->has = IMAP_BROKEN | (astray ? (uint32_t)IMAP_ASTRAY : 0);
        return uid != 0 || astray;
    }
    bool any = p->fetch.p[p->fetch.n - 1] != '(';
    buf_addc(&p->fetch, ')');
    if (any && !etpan_fetch(p->etpan, buf_str(&p->fetch), p->arena, &p->keywords, f)) {
        *f = (struct imap_fetch){.seq = seq, .uid = uid, .has = IMAP_BROKEN};
        return uid != 0;
    }
    f->keywords = buf_str(&p->keywords);
    return true;
}

/* ---- All ---------------------------------------------------------------------------------------- */
static bool parse_numbered(struct imap_parser *p, struct cursor *c, uint64_t n, struct imap_event *ev)
{
    cursor_space(c);
    struct str word = cursor_word(c);
    if (c->bad || n > UINT32_MAX)
        return false;
    ev->number = (uint32_t)n;
    if (str_case_eqz(word, "EXISTS")) {
        ev->what = IMAP_EXISTS;
    } else if (str_case_eqz(word, "EXPUNGE") && n) {
        ev->what = IMAP_EXPUNGE;
    } else if (str_case_eqz(word, "FETCH") && n) {
        cursor_space(c);
        if (!parse_fetch(p, ev->number, c, &ev->fetch))
            return false;
        ev->what = IMAP_FETCH;
    } else {
        return false;
    }
    return true;
}

void imap_parse(struct imap_parser *p, struct str answer, struct imap_event *ev)
{
    *ev = (struct imap_event){.what = IMAP_SKIPPED};
    arena_reset(p->arena);
    buf_reset(&p->keywords);
    struct cursor c = cursor_on(answer);
    if (cursor_is(&c, '+')) {
        ev->what = IMAP_CONTINUE;
        ev->text = str_trim(cursor_rest(&c));
        return;
    }
    if (!cursor_is(&c, '*') || !cursor_is(&c, ' '))
        return;
    while (cursor_is(&c, ' '))
        ;
    struct str rest = cursor_rest(&c), word;
    uint64_t n;
    if (imap_parse_state(rest, ev))
        return;
    word = cursor_word(&c);
    bool ok = str_u64(word, &n) ? parse_numbered(p, &c, n, ev) : imap_answer(p->arena, p->utf8, word, &c, ev);
    if (!ok)
        *ev = (struct imap_event){.what = IMAP_SKIPPED, .text = rest};
}
