/* Header blocks: lines to fields (RFC 5322 2.2, 3.6.8, 4.5.8). */
#include "mail/mail.h"

struct lines {
    struct str s;
    size_t at;
    char end; /* '\n', or '\r' for a block without any LF */
};

/* One line without its end; false at the end of the bytes. */
static bool line_next(struct lines *l, struct str *line_r, bool *ended_r)
{
    if (l->at >= l->s.n)
        return false;
    const char *p = l->s.p + l->at, *e = memchr(p, l->end, l->s.n - l->at);
    size_t n = e ? (size_t)(e - p) : l->s.n - l->at;
    l->at += n + (e ? 1 : 0);
    *ended_r = e != NULL;
    while (l->end == '\n' && e && n > 0 && p[n - 1] == '\r')
        n--;
    *line_r = (struct str){p, n};
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Length of the field name at the front of a line; 0 where the line is no field. *colon_r: where the colon is. */
static size_t name_length(struct str line, size_t *colon_r)
{
    size_t i = 0;
    while (i < line.n && line.p[i] > 32 && line.p[i] < 127 && line.p[i] != ':')
        i++;
    size_t n = i;
    while (i < line.n && is_blank(line.p[i]))
        i++;
    *colon_r = i;
    return i < line.n && line.p[i] == ':' ? n : 0;
}

struct builder {
    struct mail_header *h;
    struct arena *arena;
    size_t cap;
    struct str name;
    const char *from, *to; /* raw value, over its folds */
    bool open, folded;
};

static bool room(struct builder *b)
{
    struct mail_header *h = b->h;
    if (h->count < b->cap)
        return true;
    if (h->count >= MAIL_FIELDS_MAX)
        return false;
    size_t cap = b->cap ? MIN(b->cap * 2, (size_t)MAIL_FIELDS_MAX) : 32;
    struct mail_field *f = arena_alloc(b->arena, cap * sizeof *f);
    if (!f)
        return false;
    if (h->count)
        memcpy(f, h->fields, h->count * sizeof *f);
    h->fields = f;
    b->cap = cap;
    return true;
}

/* Takes the line ends of folds out: they are the only CR and LF that go. */
static struct str unfold(struct builder *b, struct str raw)
{
    char *d = arena_alloc(b->arena, raw.n + 1);
    if (!d) {
        b->h->cut = true;
        return (struct str){"", 0};
    }
    size_t n = 0;
    bool lf = memchr(raw.p, '\n', raw.n) != NULL;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '\n' || (!lf && c == '\r'))
            continue;
        if (c == '\r') {
            size_t j = i;
            while (j < raw.n && raw.p[j] == '\r')
                j++;
            if (j < raw.n && raw.p[j] == '\n') {
                i = j;
                continue;
            }
        }
        d[n++] = c;
    }
    return (struct str){d, n};
}

static void field_end(struct builder *b)
{
    if (!b->open)
        return;
    b->open = false;
    if (!room(b)) {
        b->h->cut = true;
        return;
    }
    struct str value = {b->from, (size_t)(b->to - b->from)};
    if (b->folded)
        value = unfold(b, value);
    b->h->fields[b->h->count++] = (struct mail_field){.name = b->name, .value = str_trim(value)};
}

static void field_line(struct builder *b, struct str line, bool first)
{
    if (is_blank(line.p[0])) {
        if (b->open) {
            b->to = line.p + line.n;
            b->folded = true;
        } else {
            b->h->broken = true;
        }
        return;
    }
    field_end(b);
    if (first && (str_starts(line, STR("From ")) || str_starts(line, STR(">From "))))
        return;
    size_t colon, n = name_length(line, &colon);
    if (n == 0) {
        b->h->broken = true;
        return;
    }
    b->name = (struct str){line.p, n};
    b->from = line.p + colon + 1;
    b->to = line.p + line.n;
    b->open = true;
    b->folded = false;
}

void mail_header_parse(struct str bytes, struct arena *arena, struct mail_header *h)
{
    *h = (struct mail_header){0};
    struct builder b = {.h = h, .arena = arena};
    struct lines l = {.s = bytes, .end = '\n'};
    if (bytes.n && !memchr(bytes.p, '\n', bytes.n))
        l.end = '\r';
    struct str line;
    bool ended, first = true;
    while (line_next(&l, &line, &ended)) {
        if (line.n == 0) {
            h->complete = true;
            break;
        }
        size_t start = (size_t)(line.p - bytes.p);
        if (start >= MAIL_HEADER_MAX) {
            h->cut = true;
            continue; /* only the end of the block is still looked for */
        }
        if (start + line.n > MAIL_HEADER_MAX) {
            line.n = MAIL_HEADER_MAX - start;
            h->cut = true;
        }
        field_line(&b, line, first);
        first = false;
    }
    field_end(&b);
    h->size = l.at;
}

struct str mail_header_get(const struct mail_header *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (str_case_eqz(h->fields[i].name, name))
            return h->fields[i].value;
    return (struct str){NULL, 0};
}

size_t mail_header_count(const struct mail_header *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->count; i++)
        n += str_case_eqz(h->fields[i].name, name);
    return n;
}

const char *mail_header_duplicate(const struct mail_header *h)
{
    static const char *const once[] = {"From",
                                       "Sender",
                                       "Subject",
                                       "Date",
                                       "To",
                                       "Cc",
                                       "Reply-To",
                                       "Message-ID",
                                       "In-Reply-To",
                                       "References",
                                       "MIME-Version",
                                       "Content-Type",
                                       "Content-Transfer-Encoding"};
    const struct mail_field *seen[COUNT(once)] = {0};
    for (size_t i = 0; i < h->count; i++) {
        for (size_t k = 0; k < COUNT(once); k++) {
            if (!str_case_eqz(h->fields[i].name, once[k]))
                continue;
            if (seen[k] && !str_eq(seen[k]->value, h->fields[i].value))
                return once[k];
            seen[k] = &h->fields[i];
            break;
        }
    }
    return NULL;
}
