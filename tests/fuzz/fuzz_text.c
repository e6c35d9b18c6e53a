/* The gate to the screen: any bytes become valid UTF-8 that holds nothing a terminal obeys, whose width is the sum of
 * its graphemes, and which the gate then lets through unchanged. The first byte is flags, the second the room. */
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_chars(struct text t, unsigned flags)
{
    struct str s = {t.p, t.n};
    uint32_t cp, before = 0;
    while (s.n) {
        unsigned len = utf8_decode(s, &cp);
        if (!len)
            bug("a text that is not UTF-8");
        if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
            bug("control %x in a text", (unsigned)cp);
        if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0x200e || cp == 0x200f)
            bug("bidi control %x in a text", (unsigned)cp);
        if ((flags & TEXT_ASCII) && cp >= 0x7f)
            bug("%x in an ASCII text", (unsigned)cp);
        if ((flags & TEXT_FOLD_SPACE) && cp == ' ' && before == ' ')
            bug("two blanks where one was asked for");
        before = cp;
        s = str_sub(s, len, s.n);
    }
}

static void check_cover(struct text t)
{
    struct text rest = t, g;
    size_t n = 0;
    unsigned cols = 0;
    while (text_next(&rest, &g)) {
        if (g.p != t.p + n || g.n == 0 || g.cols > 2)
            bug("a grapheme of %zu bytes and %u columns at %zu", g.n, g.cols, n);
        n += g.n;
        cols += g.cols;
    }
    if (n != t.n || cols != t.cols)
        bug("graphemes of %zu bytes and %u columns in a text of %zu and %u", n, cols, t.n, t.cols);
    for (unsigned want = 0; want <= MIN(t.cols, 40u); want++) {
        struct text fit = text_fit(t, want);
        if (fit.p != t.p || fit.n > t.n || fit.cols > want || fit.cols + 2 <= MIN(want, t.cols))
            bug("%u columns where %u were to be filled", fit.cols, want);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned flags = data[0] & (TEXT_KEEP_TABS | TEXT_ASCII | TEXT_FOLD_SPACE);
    size_t room = data[1] ? data[1] : 8 * size + 64; /* a TAB may become 8 blanks, a byte 3 */
    struct buf out = BUF_INIT(room), again = BUF_INIT(room);
    text_set_ambiguous_wide((data[0] & 0x80) != 0);
    struct text t = text_from_bytes((struct str){(const char *)data + 2, size - 2}, flags, &out);
    if (t.n != out.n || t.n > room)
        bug("a text of %zu bytes in %zu", t.n, out.n);
    check_chars(t, flags);
    check_cover(t);
    struct text same = text_from_bytes((struct str){t.p, t.n}, flags, &again);
    bool cut = data[1] != 0; /* such a text may end with a blank that a text to its end would not */
    if (!cut && (same.n != t.n || same.cols != t.cols || (t.n && memcmp(same.p, t.p, t.n) != 0)))
        bug("a clean text of %zu bytes became one of %zu", t.n, same.n);
    buf_fini(&out);
    buf_fini(&again);
    return 0;
}
