/* Display document: its bytes, and the reader that trusts none of them.
 *
 * An item: u32 length of what follows, u8 kind, level, style, 0, u32 number, flags, parent, u64 size, u32 bytes of the
 * name, u32 bytes of the text, u32 spans, then name, text and the spans (u32 from, to, link, u8 kind each). Integers
 * are little-endian. */
#include "mail/doc.h"

enum { FIXED = 36, SPAN = 13, NAME_MOST = 1024, PARTS_OF_LINE = DOC_MAX_SPANS * 2 + 2 };

/* ---- Writer ------------------------------------------------------------------------------------- */
static void put32(struct buf *b, uint32_t v)
{
    char p[4] = {(char)(v & 0xff), (char)(v >> 8 & 0xff), (char)(v >> 16 & 0xff), (char)(v >> 24)};
    buf_add(b, p, 4);
}

static bool put_one(struct buf *out, const struct doc_item *it, struct str name, struct str text, size_t from,
                    const struct doc_span *spans, size_t nspans)
{
    size_t len = FIXED + name.n + text.n + nspans * SPAN;
    if (out->full || !buf_reserve(out, len + 4))
        return false;
    put32(out, (uint32_t)len);
    char head[4] = {(char)it->kind, (char)it->level, (char)it->style, 0};
    buf_add(out, head, 4);
    put32(out, it->number);
    put32(out, it->flags);
    put32(out, it->parent);
    put32(out, (uint32_t)(it->size & 0xffffffffu));
    put32(out, (uint32_t)(it->size >> 32));
    put32(out, (uint32_t)name.n);
    put32(out, (uint32_t)text.n);
    put32(out, (uint32_t)nspans);
    buf_adds(out, name);
    buf_adds(out, text);
    for (size_t i = 0; i < nspans; i++) {
        put32(out, (uint32_t)(spans[i].from - from));
        put32(out, (uint32_t)(spans[i].to - from));
        put32(out, spans[i].link);
        buf_addc(out, (char)spans[i].kind);
    }
    return !out->full;
}

/* End of a piece of at most `max` bytes, not inside a UTF-8 character. */
static size_t piece_end(struct str s, size_t from, size_t max)
{
    if (s.n - from <= max)
        return s.n;
    size_t e = from + max;
    for (unsigned k = 0; k < 3 && e > from + 1 && ((unsigned char)s.p[e] & 0xc0) == 0x80; k++)
        e--;
    return e;
}

bool doc_put(struct buf *out, const struct doc_item *it)
{
    struct str name = str_sub(it->name, 0, NAME_MOST);
    size_t from = 0, next = 0;
    do { /* a text line over the maximum goes on in further items; any other string is cut */
        size_t to = piece_end(it->text, from, DOC_MAX_LINE);
        struct doc_span spans[DOC_MAX_SPANS];
        size_t n = 0;
        for (size_t i = next; i < it->nspans && n < DOC_MAX_SPANS && it->spans[i].from < to; i++) {
            struct doc_span s = it->spans[i];
            s.from = MAX(s.from, (uint32_t)from);
            s.to = MIN(s.to, (uint32_t)to);
            if (s.from < s.to)
                spans[n++] = s;
            if (it->spans[i].to <= to && i == next)
                next++;
        }
        if (!put_one(out, it, name, str_sub(it->text, from, to), from, spans, n))
            return false;
        from = to;
    } while (it->kind == DOC_TEXT && from < it->text.n);
    return true;
}

/* ---- Reader ------------------------------------------------------------------------------------- */
struct doc {
    struct buf in; /* the item under way */
    struct arena *arena;
    struct doc_item *items;
    size_t count, cap;
    uint64_t bytes;
    struct err err; /* sticky */
};

struct doc *doc_new(void)
{
    struct doc *d = mem_new(sizeof *d);
    /* cleaning makes three bytes of one at most */
    d->arena = arena_new((size_t)DOC_MAX_BYTES * 4);
    buf_init(&d->in, 2u << 20);
    return d;
}

void doc_free(struct doc **dp)
{
    struct doc *d = *dp;
    if (!d)
        return;
    buf_fini(&d->in);
    arena_free(&d->arena);
    free(d->items);
    free(d);
    *dp = NULL;
}

static uint32_t get32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

/* Kind by kind: which of a line's controls are kept as what. */
static unsigned text_flags_of(enum doc_kind kind)
{
    switch (kind) {
    case DOC_TEXT:
        return TEXT_KEEP_TABS;
    case DOC_HEADER:
    case DOC_META:
    case DOC_BANNER:
    case DOC_WARNING:
        return TEXT_FOLD_SPACE;
    case DOC_PART:
    case DOC_LINK:
        break;
    }
    return TEXT_LINE;
}

static bool plain_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 32 || s.p[i] == 127)
            return false;
    return true;
}

static bool clean(struct doc *d, struct str raw, unsigned flags, struct str *out_r)
{
    char *p;
    if (raw.n == 0) {
        *out_r = (struct str){"", 0};
        return true;
    }
    if (plain_ascii(raw) && !(flags & TEXT_FOLD_SPACE)) {
        p = arena_dup(d->arena, raw.p, raw.n);
        *out_r = (struct str){p, raw.n};
        return p != NULL;
    }
    struct buf b = BUF_INIT(raw.n * 8 + 64);
    struct text t = text_from_bytes(raw, flags, &b);
    p = arena_dup(d->arena, t.p, t.n);
    *out_r = (struct str){p, t.n};
    buf_fini(&b);
    return p != NULL;
}

static int by_offset(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t moved(const uint32_t *from, const uint32_t *to, size_t n, uint32_t at)
{
    size_t lo = 0, hi = n;
    while (lo + 1 < hi) {
        size_t mid = (lo + hi) / 2;
        if (from[mid] <= at)
            lo = mid;
        else
            hi = mid;
    }
    return to[lo];
}

/* Cleans a line piece by piece between the ends of its spans, so that the spans can be moved to the cleaned text. */
static bool clean_spans(struct doc *d, struct doc_item *it, struct str raw, struct doc_span *spans, size_t n)
{
    uint32_t cuts[PARTS_OF_LINE], to[PARTS_OF_LINE];
    size_t k = 0, unique = 0;
    cuts[k++] = 0;
    cuts[k++] = (uint32_t)raw.n;
    for (size_t i = 0; i < n; i++) {
        cuts[k++] = spans[i].from;
        cuts[k++] = spans[i].to;
    }
    qsort(cuts, k, sizeof *cuts, by_offset);
    for (size_t i = 0; i < k; i++)
        if (unique == 0 || cuts[unique - 1] != cuts[i])
            cuts[unique++] = cuts[i];
    struct buf b = BUF_INIT(raw.n * 8 + 64);
    for (size_t i = 0; i < unique; i++) {
        to[i] = (uint32_t)b.n;
        if (i + 1 < unique)
            text_from_bytes(str_sub(raw, cuts[i], cuts[i + 1]), text_flags_of(it->kind), &b);
    }
    for (size_t i = 0; i < n; i++) {
        spans[i].from = moved(cuts, to, unique, spans[i].from);
        spans[i].to = moved(cuts, to, unique, spans[i].to);
    }
    char *p = arena_dup(d->arena, buf_z(&b), b.n);
    it->text = (struct str){p, b.n};
    buf_fini(&b);
    return p != NULL;
}

static bool read_spans(struct doc *d, struct doc_item *it, const char *p, size_t n, struct str raw)
{
    if (n == 0)
        return clean(d, raw, text_flags_of(it->kind), &it->text);
    struct doc_span *s = arena_alloc(d->arena, n * sizeof *s);
    if (!s)
        return false;
    for (size_t i = 0; i < n; i++, p += SPAN) {
        s[i] = (struct doc_span){.from = get32(p), .to = get32(p + 4), .link = get32(p + 8), .kind = (uint8_t)p[12]};
        s[i].to = MIN(s[i].to, (uint32_t)raw.n);
        s[i].from = MIN(s[i].from, s[i].to);
    }
    it->spans = s;
    it->nspans = n;
    return clean_spans(d, it, raw, s, n);
}

static bool full(struct doc *d)
{
    return err_set(&d->err, ERR_LIMIT, "the message is too large to show whole");
}

static bool add_item(struct doc *d, const char *p, size_t len)
{
    uint32_t name = get32(p + 24), text = get32(p + 28), spans = get32(p + 32);
    struct doc_item it = {.kind = (enum doc_kind)(uint8_t)p[0], .level = (uint8_t)p[1], .style = (uint8_t)p[2]};
    if (name > NAME_MOST || text > DOC_MAX_LINE || spans > DOC_MAX_SPANS ||
        len != FIXED + (size_t)name + text + (size_t)spans * SPAN || it.kind < DOC_HEADER || it.kind > DOC_META)
        return err_set(&d->err, ERR_PARSE, "the document is damaged");
    if (it.style > DOC_PRE)
        it.style = DOC_PLAIN;
    it.level = MIN(it.level, DOC_MAX_DEPTH);
    it.number = get32(p + 4);
    it.flags = get32(p + 8);
    it.parent = get32(p + 12);
    it.size = get32(p + 16) | (uint64_t)get32(p + 20) << 32;
    if (d->count == DOC_MAX_ITEMS)
        return full(d);
    if (d->count == d->cap) {
        d->cap = d->cap ? MIN(d->cap * 2, (size_t)DOC_MAX_ITEMS) : 64;
        d->items = mem_resize(d->items, d->cap, sizeof *d->items);
    }
    struct str raw = {p + FIXED + name, text};
    if (!clean(d, (struct str){p + FIXED, name}, TEXT_FOLD_SPACE, &it.name) ||
        !read_spans(d, &it, p + FIXED + name + text, spans, raw))
        return full(d);
    d->items[d->count++] = it;
    return true;
}

bool doc_feed(struct doc *d, struct str bytes, struct err *err)
{
    if (d->err.kind == ERR_NONE && (d->bytes += bytes.n) > DOC_MAX_BYTES)
        full(d);
    while (d->err.kind == ERR_NONE && bytes.n) {
        size_t want = d->in.n < 4 ? 4 - d->in.n : get32(d->in.p) + 4 - d->in.n;
        size_t take = MIN(want, bytes.n);
        buf_add(&d->in, bytes.p, take);
        bytes = str_sub(bytes, take, bytes.n);
        if (d->in.n < 4)
            break;
        size_t len = get32(d->in.p);
        if (len < FIXED || len > FIXED + NAME_MOST + DOC_MAX_LINE + DOC_MAX_SPANS * SPAN) {
            err_set(&d->err, ERR_PARSE, "the document is damaged");
        } else if (d->in.n == len + 4) {
            add_item(d, d->in.p + 4, len);
            buf_reset(&d->in);
        }
    }
    if (d->err.kind == ERR_NONE)
        return true;
    *err = d->err;
    return false;
}

size_t doc_count(const struct doc *d)
{
    return d->count;
}

const struct doc_item *doc_at(const struct doc *d, size_t i)
{
    return i < d->count ? &d->items[i] : NULL;
}

const struct doc_item *doc_named(const struct doc *d, enum doc_kind kind, const char *name)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].kind == kind && str_case_eqz(d->items[i].name, name))
            return &d->items[i];
    return NULL;
}

/* ---- Wrapping ----------------------------------------------------------------------------------- */
void doc_wrap(const struct doc_item *it, unsigned cols, doc_wrap_fn *line, void *arg)
{
    bool hard =
        it->style == DOC_PRE || it->style == DOC_DIFF_ADD || it->style == DOC_DIFF_DELETE || it->style == DOC_DIFF_HUNK;
    struct text rest = {it->text.p, it->text.n, 0}, g;
    size_t start = 0, at = 0;         /* of the screen line, of the grapheme */
    size_t end = 0, next = 0;         /* last place to break: end of the text before it, start of the text after it */
    unsigned used = 0, used_next = 0; /* columns from start to `at`, from start to `next` */
    bool seen = false, was_blank = false;
    cols = MAX(cols, 1);
    if (it->text.n == 0) {
        line(arg, 0, 0);
        return;
    }
    while (text_next(&rest, &g)) {
        bool blank = g.n == 1 && g.p[0] == ' ';
        if (!hard && at > start && !blank && (was_blank ? seen : g.cols == 2)) {
            if (!was_blank)
                end = at;
            next = at;
            used_next = used;
        }
        if (blank && !was_blank)
            end = at;
        if (used + g.cols > cols && at > start && !(blank && !hard)) {
            if (next > start) {
                line(arg, start, end);
                start = next;
                used -= used_next;
            }
            if (used + g.cols > cols && at > start) {
                line(arg, start, at);
                start = at;
                used = 0;
            }
            next = start;
            seen = true;
        }
        seen |= !blank;
        was_blank = blank;
        used += g.cols;
        at += g.n;
    }
    size_t last = it->text.n;
    while (!hard && last > start && it->text.p[last - 1] == ' ' && start > 0)
        last--;
    line(arg, start, last);
}
