/* One framed answer -> one event. The FETCH grammar is libetpan's; this file takes out of a FETCH what that grammar
 * does not know or cannot hold, and reads the other answers, whose extensions it lacks (ESEARCH, STATUS SIZE, LIST's
 * extended data ...). */
#include "net/imap_internal.h"

#define ANSWER_ARENA_MAX (32u << 20)

struct imap_parser {
    struct etpan *etpan;
    struct arena *arena;
    struct buf keywords, fetch;
};

struct imap_parser *imap_parser_new(void)
{
    struct imap_parser *p = mem_new(sizeof(*p));
    p->etpan = etpan_new();
    p->arena = arena_new(ANSWER_ARENA_MAX);
    buf_init(&p->keywords, 1024);
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

/* ---- Cursor ------------------------------------------------------------------------------------- */
struct cursor cursor_on(struct str s)
{
    return (struct cursor){.p = s.p, .end = s.p + s.n};
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
    c->p = nl + 1 + n;
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

/* ---- LIST, STATUS, ESEARCH, VANISHED ------------------------------------------------------------ */
static const struct {
    const char *word;
    uint32_t attr;
    uint8_t role;
} box_words[] = {
    {"\\Noselect", BOX_NOSELECT, 0},
    {"\\NonExistent", BOX_NONEXISTENT | BOX_NOSELECT, 0},
    {"\\Noinferiors", BOX_NOINFERIORS, 0},
    {"\\HasChildren", BOX_HASCHILDREN, 0},
    {"\\Subscribed", BOX_SUBSCRIBED, 0},
    {"\\Archive", 0, BOX_ARCHIVE},
    {"\\Drafts", 0, BOX_DRAFTS},
    {"\\Sent", 0, BOX_SENT},
    {"\\Trash", 0, BOX_TRASH},
    {"\\Junk", 0, BOX_JUNK},
    {"\\All", 0, BOX_ALL},
    {"\\Flagged", 0, BOX_FLAGGED},
    {"\\Important", 0, BOX_IMPORTANT},
};

static bool name_ok(struct str name)
{
    return name.n <= IMAP_NAME_MAX && !memchr(name.p, 0, name.n);
}

static bool parse_list(struct cursor *c, struct arena *arena, struct imap_list *l)
{
    bool nil;
    if (!cursor_is(c, '('))
        return false;
    while (c->p < c->end && !cursor_is(c, ')')) {
        struct str word = cursor_word(c);
        for (size_t i = 0; i < COUNT(box_words); i++)
            if (str_case_eqz(word, box_words[i].word)) {
                l->attrs |= box_words[i].attr;
                l->role = box_words[i].role ? box_words[i].role : l->role;
            }
        if (!word.n && !cursor_is(c, ' '))
            return false;
    }
    cursor_space(c);
    struct str delim = cursor_string(c, arena, &nil);
    if (!nil && delim.n == 1)
        l->delim = delim.p[0];
    cursor_space(c);
    if (c->bad)
        return false;
    l->name = cursor_string(c, arena, NULL);
    /* "()" after the name is extended data; but an unquoted name may hold odd bytes, which cursor_word keeps. */
    if (str_case_eqz(l->name, "INBOX"))
        l->role = BOX_INBOX;
    return !c->bad && l->name.n && name_ok(l->name);
}

static bool parse_status(struct cursor *c, struct arena *arena, struct imap_status *s)
{
    static const struct {
        const char *word;
        size_t at;
    } items[] = {{"MESSAGES", offsetof(struct imap_status, messages)},
                 {"UNSEEN", offsetof(struct imap_status, unseen)},
                 {"UIDNEXT", offsetof(struct imap_status, uidnext)},
                 {"UIDVALIDITY", offsetof(struct imap_status, uidvalidity)}};
    s->messages = s->unseen = s->uidnext = s->uidvalidity = UINT32_MAX;
    s->name = cursor_string(c, arena, NULL);
    cursor_space(c);
    if (c->bad || !name_ok(s->name) || !cursor_is(c, '('))
        return false;
    while (c->p < c->end && *c->p != ')') {
        uint64_t n = 0;
        struct str word = cursor_word(c), raw;
        cursor_space(c);
        raw = cursor_value(c);
        if (c->bad)
            return false;
        if (str_u64(raw, &n)) {
            for (size_t i = 0; i < COUNT(items); i++)
                if (str_case_eqz(word, items[i].word) && n < UINT32_MAX)
                    *(uint32_t *)(void *)((char *)s + items[i].at) = (uint32_t)n;
            if (str_case_eqz(word, "HIGHESTMODSEQ") && n <= INT64_MAX)
                s->modseq = n;
        }
        while (cursor_is(c, ' '))
            ;
    }
    return true;
}

/* A tag of ours: "T" and a number. */
static uint32_t tag_number(struct str tag)
{
    uint32_t n;
    return tag.n > 1 && tag.p[0] == 'T' && str_u32(str_sub(tag, 1, tag.n), &n) ? n : 0;
}

static bool parse_esearch(struct cursor *c, struct arena *arena, struct imap_event *ev)
{
    ev->count = UINT32_MAX;
    while (c->p < c->end && !c->bad) {
        while (cursor_is(c, ' '))
            ;
        if (cursor_is(c, '(')) { /* (TAG "T7") */
            struct str word = cursor_word(c);
            cursor_space(c);
            struct str tag = cursor_string(c, arena, NULL);
            if (str_case_eqz(word, "TAG"))
                ev->number = tag_number(tag);
            if (!cursor_is(c, ')'))
                return false;
            continue;
        }
        struct str word = cursor_word(c), value;
        if (str_case_eqz(word, "UID")) {
            ev->uid = true;
            continue;
        }
        if (!word.n)
            return c->p == c->end;
        cursor_space(c);
        value = cursor_value(c);
        if (str_case_eqz(word, "ALL"))
            ev->set = value;
        else if (str_case_eqz(word, "COUNT") && !str_u32(value, &ev->count))
            ev->count = UINT32_MAX;
    }
    return !c->bad;
}

static bool parse_vanished(struct cursor *c, struct imap_event *ev)
{
    if (cursor_is(c, '(')) {
        ev->earlier = str_case_eqz(cursor_word(c), "EARLIER");
        if (!cursor_is(c, ')'))
            return false;
        cursor_space(c);
    }
    ev->set = cursor_word(c);
    return !c->bad && ev->set.n;
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

static bool is_date(struct str v)
{
    /* "dd-mmm-yyyy hh:mm:ss +zzzz": everything else stays away from the parser */
    static const char form[] = "\"__-___-____ __:__:__ _____\"";
    if (v.n != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (form[i] == '_' ? (unsigned char)v.p[i] <= 0x1F || v.p[i] == '"' : form[i] != v.p[i])
            return false;
    return true;
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

/* Copies one item in the form that the grammar takes, or leaves it out. */
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
    } else if (str_case_eqz(name, "INTERNALDATE")) {
        put = is_date(value) && buf_addz(out, "INTERNALDATE ") && buf_adds(out, value);
    } else if (str_case_eqz(name, "FLAGS")) {
        put = put_flags(value, out);
    } else if (str_case_starts(name, STR("BODY[HEADER")) || str_case_eqz(name, "RFC822.HEADER")) {
        put = put_text("BODY[HEADER]", value, out);
    } else if (str_case_eqz(name, "BODY[]") || str_case_eqz(name, "RFC822")) {
        put = put_text("BODY[]", value, out);
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
    if (c->bad) {
        f->has = IMAP_BROKEN;
        return uid != 0;
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

static bool parse_word(struct imap_parser *p, struct str word, struct cursor *c, struct imap_event *ev)
{
    static const struct {
        const char *word;
        enum imap_what what;
    } words[] = {
        {"CAPABILITY", IMAP_CAPABILITY}, {"ENABLED", IMAP_ENABLED}, {"LIST", IMAP_LIST},     {"LSUB", IMAP_LSUB},
        {"STATUS", IMAP_STATUS},         {"FLAGS", IMAP_FLAGS},     {"SEARCH", IMAP_SEARCH}, {"ESEARCH", IMAP_ESEARCH},
        {"VANISHED", IMAP_VANISHED}};
    size_t i;
    bool ok = true;
    for (i = 0; i < COUNT(words) && !str_case_eqz(word, words[i].word); i++)
        ;
    if (i == COUNT(words))
        return false;
    if (c->p < c->end)
        cursor_space(c);
    ev->text = cursor_rest(c);
    switch (words[i].what) {
    case IMAP_LIST:
    case IMAP_LSUB:
        ok = parse_list(c, p->arena, &ev->list);
        break;
    case IMAP_STATUS:
        ok = parse_status(c, p->arena, &ev->status);
        break;
    case IMAP_ESEARCH:
        ok = parse_esearch(c, p->arena, ev);
        break;
    case IMAP_VANISHED:
        ok = parse_vanished(c, ev);
        break;
    case IMAP_SEARCH:
    case IMAP_FLAGS:
        ev->set = ev->text;
        break;
    default:
        break;
    }
    if (ok)
        ev->what = words[i].what;
    return ok;
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
    bool ok = str_u64(word, &n) ? parse_numbered(p, &c, n, ev) : parse_word(p, word, &c, ev);
    if (!ok)
        *ev = (struct imap_event){.what = IMAP_SKIPPED, .text = rest};
}
