/* The one gate from hostile bytes to what may be drawn, and width by grapheme cluster (Unicode TR 29, TR 11).
 * Characters, widths and boundaries are utf8proc's. */
#include "base/base.h"

#include <utf8proc.h>

enum { CLUSTER_MAX = 8 }; /* characters of a grapheme cluster; the rest is dropped (THREATS 118) */

static bool ambiguous_wide;

void text_set_ambiguous_wide(bool wide)
{
    ambiguous_wide = wide;
}

unsigned utf8_decode(struct str s, uint32_t *cp_r)
{
    if (s.n == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned len = p[0] < 0x80                   ? 1
                   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                   : (p[0] & 0xf0) == 0xe0       ? 3
                   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                 : 0;
    if (len == 0 || len > s.n)
        return 0;
    uint32_t cp = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
    for (unsigned i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        return 0;
    *cp_r = cp;
    return len;
}

unsigned utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        return 0;
    unsigned len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (unsigned i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    out[0] = (char)((0xf00u >> len & 0xf0u) | cp);
    return len;
}

bool utf8_valid(struct str s)
{
    while (s.n) {
        uint32_t cp;
        unsigned len = utf8_decode(s, &cp);
        if (!len)
            return false;
        s = str_sub(s, len, s.n);
    }
    return true;
}

/* What a byte that is not UTF-8 most likely was: Windows-1252, the superset of Latin-1 that mail really uses. */
static uint32_t from_1252(unsigned char c)
{
    static const uint16_t high[32] = {0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                      0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd,
                                      0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                      0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};
    return c >= 0x80 && c < 0xa0 ? high[c - 0x80] : c;
}

/* Invisible characters that reorder, hide or join in ways a line of text cannot show truthfully. ZWJ (200D), ZWNJ
 * (200C) and the variation selectors FE00-FE0F belong to real writing and emoji and stay inside a grapheme. */
static bool is_deceptive(uint32_t cp)
{
    static const struct {
        uint32_t from, to;
    } ranges[] = {
        {0x00ad, 0x00ad}, {0x034f, 0x034f}, {0x061c, 0x061c},   {0x115f, 0x1160},   {0x17b4, 0x17b5}, {0x180b, 0x180f},
        {0x200b, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164}, {0xfeff, 0xfeff},
        {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < COUNT(ranges); i++)
        if (cp >= ranges[i].from && cp <= ranges[i].to)
            return true;
    return false;
}

/* A visible sign in place of a control or deceptive character. */
static uint32_t visible(uint32_t cp)
{
    if (cp < 0x20)
        return 0x2400 + cp;
    if (cp == 0x7f)
        return 0x2421;
    if (cp < 0xa0 && cp >= 0x80)
        return 0xfffd;
    if (is_deceptive(cp) || (cp & 0xfffe) == 0xfffe || (cp >= 0xfdd0 && cp <= 0xfdef))
        return 0xfffd;
    return cp;
}

/* Characters of East Asian ambiguous width that mail really holds, for terminals that draw them wide. */
static bool is_ambiguous(uint32_t cp)
{
    static const struct {
        uint32_t from, to;
    } ranges[] = {
        {0x00a1, 0x00a1}, {0x00a4, 0x00a4}, {0x00a7, 0x00a8}, {0x00aa, 0x00aa}, {0x00ae, 0x00ae}, {0x00b0, 0x00b4},
        {0x00b6, 0x00ba}, {0x00bc, 0x00bf}, {0x00d7, 0x00d7}, {0x00f7, 0x00f7}, {0x0391, 0x03a9}, {0x03b1, 0x03c9},
        {0x0401, 0x0401}, {0x0410, 0x044f}, {0x0451, 0x0451}, {0x2010, 0x2010}, {0x2013, 0x2016}, {0x2018, 0x2019},
        {0x201c, 0x201d}, {0x2020, 0x2022}, {0x2024, 0x2027}, {0x2030, 0x2030}, {0x2032, 0x2033}, {0x203b, 0x203b},
        {0x2103, 0x2103}, {0x2116, 0x2116}, {0x2121, 0x2122}, {0x2150, 0x217f}, {0x2190, 0x2199}, {0x2200, 0x22ff},
        {0x2460, 0x24e9}, {0x2500, 0x257f}, {0x2580, 0x258f}, {0x2592, 0x2595}, {0x25a0, 0x25ef}, {0x2605, 0x2606},
        {0x260e, 0x260f}, {0x2640, 0x2642}, {0x2660, 0x266f}, {0xfffd, 0xfffd},
    };
    for (size_t i = 0; i < COUNT(ranges); i++)
        if (cp >= ranges[i].from && cp <= ranges[i].to)
            return true;
    return false;
}

static unsigned char_cols(uint32_t cp)
{
    if (cp < 0x7f)
        return cp >= 0x20;
    if (ambiguous_wide && is_ambiguous(cp))
        return 2;
    int w = utf8proc_charwidth((utf8proc_int32_t)cp);
    return w < 0 ? 0 : (unsigned)w;
}

/* A cluster is as wide as its widest character, 2 when a variation selector asks for emoji; a regional pair is wide. */
static unsigned cluster_cols(unsigned cols, uint32_t cp)
{
    unsigned w = char_cols(cp);
    if (cp == 0xfe0f && cols == 1)
        return 2;
    if (cp >= 0x1f1e6 && cp <= 0x1f1ff)
        return 2;
    return MIN(MAX(cols, w), 2u);
}

static bool is_mark(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME ||
           c == UTF8PROC_CATEGORY_CF;
}

/* State of the cleaning: one character at a time, each either joins the cluster before it or begins one. */
struct cleaner {
    struct buf *out;
    unsigned flags, cols, cluster, members;
    uint32_t before;
    utf8proc_int32_t state;
    bool any, space;
};

static bool put_char(struct cleaner *c, uint32_t cp)
{
    char bytes[4];
    bool joins =
        c->any && !utf8proc_grapheme_break_stateful((utf8proc_int32_t)c->before, (utf8proc_int32_t)cp, &c->state);
    if (!c->any && is_mark(cp)) { /* a mark with nothing to stand on gets a dotted circle */
        if (!put_char(c, 0x25cc))
            return false;
        /* one that is for what comes behind it (U+0600) does not join */
        joins = !utf8proc_grapheme_break_stateful(0x25cc, (utf8proc_int32_t)cp, &c->state);
    }
    if (joins && c->members >= CLUSTER_MAX)
        return true;
    unsigned len = utf8_encode(cp, bytes);
    if (c->out->max - c->out->n < len)
        return false;
    buf_add(c->out, bytes, len);
    if (joins) {
        unsigned grown = cluster_cols(c->cluster, cp);
        c->cols += grown - c->cluster;
        c->cluster = grown;
        c->members++;
    } else {
        c->cluster = cluster_cols(0, cp);
        c->cols += c->cluster;
        c->members = 1;
    }
    c->before = cp;
    c->any = true;
    return true;
}

static bool put_tab(struct cleaner *c)
{
    do {
        if (!put_char(c, ' '))
            return false;
    } while (c->cols % 8);
    return true;
}

/* Joiners and variation selectors: marks that are invisible where they stand alone. */
static bool is_joiner(uint32_t cp)
{
    return cp == 0x200c || cp == 0x200d || (cp >= 0xfe00 && cp <= 0xfe0f);
}

/* What stands for a character where there is ASCII alone: punctuation has its like, all else a question mark. */
static uint32_t ascii_for(uint32_t cp)
{
    static const struct {
        uint16_t from, to;
        char is;
    } likes[] = {{0x00ab, 0x00ab, '"'}, {0x00b7, 0x00b7, '-'},  {0x00bb, 0x00bb, '"'}, {0x00d7, 0x00d7, 'x'},
                 {0x2010, 0x2015, '-'}, {0x2018, 0x201b, '\''}, {0x201c, 0x201f, '"'}, {0x2022, 0x2023, '*'},
                 {0x2026, 0x2026, '.'}, {0x2190, 0x2190, '<'},  {0x2192, 0x2192, '>'}, {0x2212, 0x2212, '-'}};
    for (size_t i = 0; i < COUNT(likes); i++)
        if (cp >= likes[i].from && cp <= likes[i].to)
            return (unsigned char)likes[i].is;
    return '?';
}

static bool put_clean(struct cleaner *c, uint32_t cp)
{
    if ((c->flags & TEXT_FOLD_SPACE) && (cp == ' ' || cp == '\t' || cp == '\r' || cp == '\n')) {
        c->space = true;
        return true;
    }
    /* ASCII has no marks. They go before the blanks are looked at, or a dropped mark would part them. */
    if ((c->flags & TEXT_ASCII) && !is_joiner(cp) && is_mark(visible(cp)))
        return true;
    if (c->space && !put_char(c, ' '))
        return false;
    c->space = false;
    if (cp == '\t' && (c->flags & TEXT_KEEP_TABS))
        return put_tab(c);
    cp = visible(cp);
    /* A joiner or selector at the start of a cluster would be invisible: shown instead. */
    if (is_joiner(cp) && (!c->any || c->before < 0x80))
        cp = 0xfffd;
    if ((c->flags & TEXT_ASCII) && cp >= 0x7f) {
        if (char_cols(cp) == 2 && !put_char(c, '?'))
            return false;
        cp = ascii_for(cp);
    }
    return put_char(c, cp);
}

struct text text_from_bytes(struct str raw, unsigned flags, struct buf *out)
{
    struct cleaner c = {.out = out, .flags = flags};
    size_t start = out->n;
    buf_reserve(out, 0);
    while (raw.n) {
        uint32_t cp;
        unsigned len = utf8_decode(raw, &cp);
        if (!len) {
            cp = from_1252((unsigned char)raw.p[0]);
            len = 1;
        }
        if (!put_clean(&c, cp))
            break;
        raw = str_sub(raw, len, raw.n);
    }
    return (struct text){out->p ? out->p + start : "", out->n - start, c.cols};
}

bool text_next(struct text *rest, struct text *grapheme_r)
{
    struct str s = {rest->p, rest->n};
    uint32_t before = 0, cp;
    utf8proc_int32_t state = 0;
    unsigned cols = 0;
    size_t used = 0;
    while (used < s.n) {
        unsigned len = utf8_decode(str_sub(s, used, s.n), &cp);
        if (!len)
            bug("text that is not UTF-8");
        if (used && utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)cp, &state))
            break;
        cols = cluster_cols(cols, cp);
        before = cp;
        used += len;
    }
    if (!used)
        return false;
    *grapheme_r = (struct text){s.p, used, cols};
    *rest = (struct text){s.p + used, s.n - used, rest->cols > cols ? rest->cols - cols : 0};
    return true;
}

struct text text_fit(struct text t, unsigned cols)
{
    struct text rest = t, g, fit = {t.p, 0, 0};
    if (t.cols <= cols)
        return t;
    while (text_next(&rest, &g) && fit.cols + g.cols <= cols) {
        fit.n += g.n;
        fit.cols += g.cols;
    }
    return fit;
}

/* ---- sorting ---- */
static bool is_blank(uint32_t cp)
{
    return cp <= ' ' || cp == 0xa0 || cp == 0x3000;
}

static bool is_word(uint32_t cp)
{
    return cp >= 0x80 || (cp >= '0' && cp <= '9') || ((cp | 32) >= 'a' && (cp | 32) <= 'z');
}

/* One character folded: nothing where it is a mark alone. */
static size_t fold_char(uint32_t cp, char *out, size_t room)
{
    utf8proc_int32_t parts[32];
    int boundary = 0;
    size_t n = 0;
    if (cp < 0x80) {
        if (room)
            *out = (char)(cp >= 'A' && cp <= 'Z' ? cp | 32 : cp);
        return room ? 1 : 0;
    }
    utf8proc_ssize_t got = utf8proc_decompose_char(
        (utf8proc_int32_t)cp, parts, (utf8proc_ssize_t)COUNT(parts),
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK | UTF8PROC_IGNORE, &boundary);
    for (utf8proc_ssize_t i = 0; i < got && i < (utf8proc_ssize_t)COUNT(parts); i++) {
        char bytes[4];
        unsigned len = utf8_encode((uint32_t)parts[i], bytes);
        if (n + len > room)
            break;
        memcpy(out + n, bytes, len);
        n += len;
    }
    return n;
}

size_t text_fold(struct str raw, char *out, size_t max)
{
    size_t n = 0;
    while (raw.n && n < max) {
        uint32_t cp;
        unsigned len = utf8_decode(raw, &cp);
        n += fold_char(len ? cp : from_1252((unsigned char)raw.p[0]), out + n, max - n);
        raw = str_sub(raw, len ? len : 1, raw.n);
    }
    return n;
}

size_t text_sort_key(struct str raw, char *out, size_t max)
{
    size_t n = 0;
    bool blank = false;
    while (raw.n && n < max) {
        uint32_t cp;
        unsigned len = utf8_decode(raw, &cp);
        if (!len) {
            cp = from_1252((unsigned char)raw.p[0]);
            len = 1;
        }
        raw = str_sub(raw, len, raw.n);
        if (is_blank(cp)) {
            blank = n > 0;
        } else if (n || is_word(cp)) {
            if (blank)
                out[n++] = ' ';
            blank = false;
            size_t more = fold_char(cp, out + n, max - n);
            if (!more && max - n < 4)
                break; /* no room for the next one */
            n += more;
        }
    }
    return n;
}
