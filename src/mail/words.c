/* Charsets by iconv, and encoded words (RFC 2047, with the language tags of RFC 2231 5). */
#include "mail/mail.h"

#include <errno.h>
#include <iconv.h>

/* ---- Charset names ------------------------------------------------------------------------------ */
enum charset { CHARSET_ICONV, CHARSET_GUESS, CHARSET_UTF8, CHARSET_1252, CHARSET_REFUSED };
struct alias {
    const char *name;
    enum charset how;
    const char *iconv;
};
/* What senders mean by a name, where that differs from the name or spares a conversion. */
static const struct alias aliases[] = {
    {"", CHARSET_GUESS, NULL},
    {"us-ascii", CHARSET_GUESS, NULL},
    {"ascii", CHARSET_GUESS, NULL},
    {"ansi_x3.4-1968", CHARSET_GUESS, NULL},
    {"646", CHARSET_GUESS, NULL},
    {"unknown-8bit", CHARSET_GUESS, NULL},
    {"x-unknown", CHARSET_GUESS, NULL},
    {"unknown", CHARSET_GUESS, NULL},
    {"8bit", CHARSET_GUESS, NULL},
    {"7bit", CHARSET_GUESS, NULL},
    {"binary", CHARSET_GUESS, NULL},
    {"default", CHARSET_GUESS, NULL},
    {"utf-8", CHARSET_UTF8, NULL},
    {"utf8", CHARSET_UTF8, NULL},
    {"unicode-1-1-utf-8", CHARSET_UTF8, NULL},
    {"iso-8859-1", CHARSET_1252, NULL},
    {"iso8859-1", CHARSET_1252, NULL},
    {"iso_8859-1", CHARSET_1252, NULL},
    {"8859-1", CHARSET_1252, NULL},
    {"latin1", CHARSET_1252, NULL},
    {"latin-1", CHARSET_1252, NULL},
    {"l1", CHARSET_1252, NULL},
    {"windows-1252", CHARSET_1252, NULL},
    {"cp1252", CHARSET_1252, NULL},
    {"cp-1252", CHARSET_1252, NULL},
    {"x-ansi", CHARSET_1252, NULL},
    {"utf-7", CHARSET_REFUSED, NULL},
    {"utf7", CHARSET_REFUSED, NULL},
    {"unicode-1-1-utf-7", CHARSET_REFUSED, NULL},
    {"csunicode11utf7", CHARSET_REFUSED, NULL},
    {"x-unicode-2-0-utf-7", CHARSET_REFUSED, NULL},
    {"utf-7-imap", CHARSET_REFUSED, NULL},
    {"utf-16", CHARSET_ICONV, "UTF-16"},
    {"gb2312", CHARSET_ICONV, "GB18030"},
    {"gbk", CHARSET_ICONV, "GB18030"},
    {"x-gbk", CHARSET_ICONV, "GB18030"},
    {"cp936", CHARSET_ICONV, "GB18030"},
    {"gb_2312-80", CHARSET_ICONV, "GB18030"},
    {"hz-gb-2312", CHARSET_ICONV, "HZ"},
    {"big5", CHARSET_ICONV, "BIG5-HKSCS"},
    {"x-big5", CHARSET_ICONV, "BIG5-HKSCS"},
    {"cn-big5", CHARSET_ICONV, "BIG5-HKSCS"},
    {"shift_jis", CHARSET_ICONV, "CP932"},
    {"shift-jis", CHARSET_ICONV, "CP932"},
    {"sjis", CHARSET_ICONV, "CP932"},
    {"x-sjis", CHARSET_ICONV, "CP932"},
    {"windows-31j", CHARSET_ICONV, "CP932"},
    {"ks_c_5601-1987", CHARSET_ICONV, "CP949"},
    {"ksc5601", CHARSET_ICONV, "CP949"},
    {"ks_c_5601", CHARSET_ICONV, "CP949"},
    {"euc-kr", CHARSET_ICONV, "CP949"},
    {"windows-949", CHARSET_ICONV, "CP949"},
    {"iso-8859-8-i", CHARSET_ICONV, "ISO-8859-8"},
    {"iso-8859-8-e", CHARSET_ICONV, "ISO-8859-8"},
    {"iso-8859-9", CHARSET_ICONV, "CP1254"},
    {"iso-8859-11", CHARSET_ICONV, "CP874"},
    {"tis-620", CHARSET_ICONV, "CP874"},
    {"windows-874", CHARSET_ICONV, "CP874"},
    {"cp-850", CHARSET_ICONV, "CP850"},
    {"x-mac-roman", CHARSET_ICONV, "MACINTOSH"},
    {"macroman", CHARSET_ICONV, "MACINTOSH"},
};

/* The name in lower case in `out`; false for one that could steer iconv ("//TRANSLIT", a path) or is no name at all. */
static bool charset_name(struct str raw, char out[48])
{
    raw = str_trim(raw);
    if (raw.n >= 48)
        return false;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == ':' ||
                  c == '+';
        if (!ok)
            return false;
        out[i] = c;
    }
    out[raw.n] = '\0';
    return true;
}

/* ---- Windows-1252 and UTF-8 without iconv ------------------------------------------------------- */
static void add_cp(struct buf *out, uint32_t cp)
{
    char u[4];
    unsigned n = utf8_encode(cp, u);
    buf_add(out, u, n);
}

static void from_1252(struct str s, struct buf *out)
{
    static const uint16_t high[32] = {0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                      0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
                                      0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                      0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};
    size_t run = 0;
    for (size_t i = 0; i < s.n && !out->full; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 128)
            continue;
        buf_add(out, s.p + run, i - run);
        add_cp(out, c < 160 ? high[c - 128] : c);
        run = i + 1;
    }
    if (run < s.n)
        buf_add(out, s.p + run, s.n - run);
}

static void from_utf8(struct str s, struct buf *out, size_t *bad)
{
    size_t invalid = 0, wide = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        unsigned n = (unsigned char)s.p[i] < 128 ? 1 : utf8_decode(str_sub(s, i, s.n), &cp);
        wide += n > 1;
        invalid += n == 0;
        i += n ? n : 1;
    }
    if (invalid == 0) {
        buf_adds(out, s);
        return;
    }
    if (wide == 0) { /* a wrong label, not damage */
        from_1252(s, out);
        return;
    }
    *bad += invalid;
    for (size_t i = 0; i < s.n && !out->full;) {
        uint32_t cp;
        unsigned n = (unsigned char)s.p[i] < 128 ? 1 : utf8_decode(str_sub(s, i, s.n), &cp);
        if (n)
            buf_add(out, s.p + i, n);
        else
            add_cp(out, 0xfffd);
        i += n ? n : 1;
    }
}

/* ---- iconv --------------------------------------------------------------------------------------
 */
/* Opening a descriptor loads a table from disk: keep the last few, unknown names too. */
static struct cached {
    char name[48];
    iconv_t cd;
    bool used;
} cache[8];
static unsigned cache_next;

static iconv_t converter(const char *name)
{
    for (size_t i = 0; i < COUNT(cache); i++) {
        if (cache[i].used && strcmp(cache[i].name, name) == 0) {
            if (cache[i].cd != (iconv_t)-1)
                iconv(cache[i].cd, NULL, NULL, NULL, NULL);
            return cache[i].cd;
        }
    }
    struct cached *c = &cache[cache_next++ % COUNT(cache)];
    if (c->used && c->cd != (iconv_t)-1)
        iconv_close(c->cd);
    size_t n = MIN(strlen(name), sizeof c->name - 1);
    memcpy(c->name, name, n);
    c->name[n] = '\0';
    c->cd = iconv_open("UTF-8", c->name);
    c->used = true;
    return c->cd;
}

static size_t unit_of(const char *name)
{
    if (strncasecmp(name, "utf-16", 6) == 0 || strncasecmp(name, "ucs-2", 5) == 0)
        return 2;
    if (strncasecmp(name, "utf-32", 6) == 0 || strncasecmp(name, "ucs-4", 5) == 0)
        return 4;
    return 1;
}

static bool from_iconv(const char *name, struct str s, struct buf *out, size_t *bad)
{
    iconv_t cd = converter(name);
    if (cd == (iconv_t)-1)
        return false;
    size_t unit = unit_of(name), left = s.n;
    /* iconv's prototype lacks the const that its contract has */
    union {
        const char *c;
        char *p;
    } in = {.c = s.p};
    while (left > 0 && !out->full) {
        char piece[4096], *o = piece;
        size_t room = sizeof piece, before = left;
        size_t r = iconv(cd, &in.p, &left, &o, &room);
        int e = errno;
        buf_add(out, piece, (size_t)(o - piece));
        if (r != (size_t)-1)
            break;
        if (e == E2BIG) {
            if (left == before && room == sizeof piece)
                break; /* no progress: never again */
            continue;
        }
        add_cp(out, 0xfffd);
        ++*bad;
        if (e != EILSEQ)
            break; /* cut inside a character */
        size_t skip = MIN(unit, left);
        in.p += skip;
        left -= skip;
    }
    char tail[64], *o = tail;
    size_t room = sizeof tail;
    iconv(cd, NULL, NULL, &o, &room);
    buf_add(out, tail, (size_t)(o - tail));
    return true;
}

bool mail_to_utf8(struct str charset, struct str bytes, struct buf *out, size_t *bad_r)
{
    char name[48];
    size_t bad = 0;
    enum charset how = CHARSET_ICONV;
    const char *to = name;
    if (!charset_name(charset, name)) {
        how = CHARSET_REFUSED;
    } else {
        for (size_t i = 0; i < COUNT(aliases); i++) {
            if (strcmp(aliases[i].name, name) == 0) {
                how = aliases[i].how;
                to = aliases[i].iconv ? aliases[i].iconv : name;
                break;
            }
        }
    }
    bool known = true;
    if (how == CHARSET_GUESS)
        how = utf8_valid(bytes) ? CHARSET_UTF8 : CHARSET_1252;
    if (how == CHARSET_UTF8)
        from_utf8(bytes, out, &bad);
    else if (how == CHARSET_1252)
        from_1252(bytes, out);
    else
        known = how == CHARSET_ICONV && from_iconv(to, bytes, out, &bad);
    if (!known)
        buf_adds(out, bytes);
    if (bad_r)
        *bad_r = bad;
    return known;
}

/* ---- Transfer encodings ------------------------------------------------------------------------- */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void mail_qp_decode(struct str s, bool word, struct buf *out)
{
    for (size_t i = 0; i < s.n && !out->full; i++) {
        char c = s.p[i];
        if (c == '=' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0) {
            buf_addc(out, (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2])));
            i += 2;
        } else if (c == '=' && !word) {
            size_t j = i + 1; /* a soft line break, with the blanks some gateways add */
            while (j < s.n && (s.p[j] == ' ' || s.p[j] == '\t'))
                j++;
            if (j < s.n && s.p[j] == '\r')
                j++;
            if (j < s.n && s.p[j] == '\n')
                i = j;
            else if (j < s.n)
                buf_addc(out, c);
        } else {
            buf_addc(out, word && c == '_' ? ' ' : c);
        }
    }
}

void mail_base64_decode(struct str s, struct buf *out)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < s.n && !out->full; i++) {
        unsigned char c = (unsigned char)s.p[i];
        unsigned v;
        if (c >= 'A' && c <= 'Z')
            v = c - 'A';
        else if (c >= 'a' && c <= 'z')
            v = c - 'a' + 26u;
        else if (c >= '0' && c <= '9')
            v = c - '0' + 52u;
        else if (c == '+' || c == '-')
            v = 62;
        else if (c == '/' || c == '_')
            v = 63;
        else if (c == '=') { /* the next quantum starts afresh: joined pieces are common */
            bits = 0;
            continue;
        } else
            continue;
        acc = (acc << 6 | v) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_addc(out, (char)(acc >> bits & 0xff));
        }
    }
}

/* ---- Encoded words ------------------------------------------------------------------------------
 */
struct word {
    struct str charset, text;
    bool base64;
    size_t end;
};
/* Positions of "?=" and "=?" found by earlier searches: each byte is searched once, however many words do not end. */
struct finder {
    size_t close, open;
    bool close_known, open_known;
};

static size_t find2(struct str s, size_t from, const char two[2])
{
    const char *p = from < s.n ? memmem(s.p + from, s.n - from, two, 2) : NULL;
    return p ? (size_t)(p - s.p) : SIZE_MAX;
}

static bool word_at(struct str s, size_t at, struct finder *f, struct word *w)
{
    size_t i = at + 2, start = i;
    while (i < s.n && i - start < 80 && s.p[i] != '?' && (unsigned char)s.p[i] > 32)
        i++;
    if (i == start || i + 3 >= s.n || s.p[i] != '?' || s.p[i + 2] != '?')
        return false;
    w->charset = str_sub(s, start, i);
    size_t star;
    if (str_find(w->charset, '*', &star))
        w->charset.n = star;
    char e = s.p[i + 1];
    if (e != 'q' && e != 'Q' && e != 'b' && e != 'B')
        return false;
    w->base64 = e == 'b' || e == 'B';
    size_t text = i + 3;
    if (!f->close_known || f->close < text) {
        f->close = find2(s, text, "?=");
        f->close_known = true;
    }
    if (f->close == SIZE_MAX)
        return false;
    if (!f->open_known || f->open < text) {
        f->open = find2(s, text, "=?");
        f->open_known = true;
    }
    if (f->open != SIZE_MAX && f->open + 1 < f->close)
        return false; /* another word begins first: this one never ends */
    w->text = str_sub(s, text, f->close);
    w->end = f->close + 2;
    return true;
}

static void flush_words(struct str charset, struct buf *bytes, struct buf *out)
{
    if (bytes->n)
        mail_to_utf8(charset, buf_str(bytes), out, NULL);
    buf_reset(bytes);
}

void mail_words_decode(struct str s, struct buf *out)
{
    struct buf bytes = BUF_INIT(s.n + 16);
    struct finder f = {0};
    struct str charset = {"", 0};
    size_t literal = 0; /* start of what is not yet written */
    bool after_word = false;
    for (size_t i = 0; i < s.n;) {
        const char *p = memchr(s.p + i, '=', s.n - i);
        if (!p)
            break;
        i = (size_t)(p - s.p);
        struct word w;
        if (i + 1 >= s.n || s.p[i + 1] != '?' || !word_at(s, i, &f, &w)) {
            i++;
            continue;
        }
        struct str between = str_sub(s, literal, i);
        bool joined = after_word && str_trim(between).n == 0;
        if (!joined || !str_case_eq(charset, w.charset)) {
            flush_words(charset, &bytes, out);
            if (!joined)
                buf_adds(out, between);
        }
        charset = w.charset;
        if (w.base64)
            mail_base64_decode(w.text, &bytes);
        else
            mail_qp_decode(w.text, true, &bytes);
        after_word = true;
        literal = i = w.end;
    }
    flush_words(charset, &bytes, out);
    buf_adds(out, str_sub(s, literal, s.n));
    buf_fini(&bytes);
}

struct str mail_words(struct str raw, struct arena *arena)
{
    if (raw.n == 0)
        return (struct str){"", 0};
    struct buf b = BUF_INIT(raw.n * 4 + 64);
    mail_words_decode(raw, &b);
    char *p = arena_dup(arena, b.p ? b.p : "", b.n);
    struct str r = p ? (struct str){p, b.n} : (struct str){"", 0};
    buf_fini(&b);
    return r;
}

/* ---- Making words -------------------------------------------------------------------------------
 */
static bool token_needs_word(struct str t)
{
    for (size_t i = 0; i < t.n; i++)
        if ((unsigned char)t.p[i] >= 127 || (t.p[i] == '=' && i + 1 < t.n && t.p[i + 1] == '?'))
            return true;
    return t.n > 900; /* no fold could keep the line within 998 bytes */
}

static bool word_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!*+-/", c));
}

static void encode_run(struct str s, struct buf *out)
{
    size_t high = 0;
    for (size_t i = 0; i < s.n; i++)
        high += !word_plain((unsigned char)s.p[i]) && s.p[i] != ' ';
    bool base64 = high * 2 > s.n;
    size_t room = 75 - 12; /* "=?UTF-8?Q?" and "?=" */
    for (size_t i = 0; i < s.n;) {
        if (i)
            buf_addc(out, ' ');
        buf_addz(out, base64 ? "=?UTF-8?B?" : "=?UTF-8?Q?");
        size_t used = 0, from = i;
        while (i < s.n) {
            uint32_t cp;
            unsigned n = utf8_decode(str_sub(s, i, s.n), &cp);
            n = n ? n : 1;
            unsigned char c = (unsigned char)s.p[i];
            size_t cost = base64 ? n : n == 1 && (word_plain(c) || c == ' ') ? 1 : 3u * n;
            if (used + cost > (base64 ? room / 4 * 3 : room))
                break;
            used += cost;
            for (unsigned k = 0; !base64 && k < n; k++) {
                unsigned char b = (unsigned char)s.p[i + k];
                if (b == ' ')
                    buf_addc(out, '_');
                else if (word_plain(b))
                    buf_addc(out, (char)b);
                else
                    buf_addf(out, "=%02X", b);
            }
            i += n;
        }
        if (base64)
            base64_encode(str_sub(s, from, i), out);
        buf_addz(out, "?=");
    }
}

void mail_words_encode(struct str raw, struct buf *out)
{
    struct buf s = BUF_INIT(raw.n * 3 + 16);
    mail_to_utf8(STR(""), raw, &s, NULL);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
            s.p[i] = ' ';
    struct str t = str_trim(buf_str(&s));
    /* from the first token that needs it to the end of the last one, so that the blanks between them survive */
    size_t from = SIZE_MAX, to = 0;
    for (size_t i = 0; i < t.n;) {
        size_t j = i;
        while (j < t.n && t.p[j] != ' ')
            j++;
        if (token_needs_word(str_sub(t, i, j))) {
            from = MIN(from, i);
            to = j;
        }
        i = j + 1;
    }
    if (from == SIZE_MAX) {
        buf_adds(out, t);
    } else {
        buf_adds(out, str_sub(t, 0, from));
        encode_run(str_sub(t, from, to), out);
        buf_adds(out, str_sub(t, to, t.n));
    }
    buf_fini(&s);
}
