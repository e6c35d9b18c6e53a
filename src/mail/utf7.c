/* See utf7.h. */
#include "mail/utf7.h"

#include <string.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int base64_value(char c)
{
    const char *p = c ? strchr(base64_digits, c) : NULL;
    return p ? (int)(p - base64_digits) : -1;
}

static bool utf16_put(uint32_t unit, uint32_t *high, struct buf *out)
{
    char u[4];
    uint32_t cp = unit;
    if (*high) {
        if (unit < 0xDC00 || unit > 0xDFFF)
            return false;
        cp = 0x10000 + ((*high - 0xD800) << 10) + (unit - 0xDC00);
        *high = 0;
    } else if (unit >= 0xD800 && unit <= 0xDBFF) {
        *high = unit;
        return true;
    }
    unsigned n = utf8_encode(cp, u);
    return n && cp >= 0x20 && buf_add(out, u, n);
}

/* One "&...-" section; *i stands behind the '&' and then behind the '-'. */
static bool section_decode(struct str name, size_t *i, struct buf *out)
{
    uint32_t bits = 0, high = 0;
    unsigned nbits = 0;
    size_t from = *i;
    for (; *i < name.n && name.p[*i] != '-'; (*i)++) {
        int v = base64_value(name.p[*i]);
        if (v < 0)
            return false;
        bits = (bits << 6 | (uint32_t)v) & 0xFFFFFF;
        nbits += 6;
        if (nbits >= 16) {
            nbits -= 16;
            if (!utf16_put(bits >> nbits & 0xFFFF, &high, out))
                return false;
        }
    }
    if (*i >= name.n)
        return false;
    (*i)++;
    if (*i == from + 1) /* "&-" */
        return buf_addc(out, '&');
    return !high && nbits < 6 && (bits & ((1u << nbits) - 1)) == 0;
}

bool mail_utf7_decode(struct str name, struct buf *out)
{
    size_t start = out->n, i = 0;
    bool ok = true, raw8 = false;
    while (i < name.n && ok) {
        char c = name.p[i++];
        if (c == '&') {
            ok = section_decode(name, &i, out);
        } else {
            raw8 = raw8 || (unsigned char)c >= 0x80;
            ok = buf_addc(out, c);
        }
    }
    if (ok && (!raw8 || utf8_valid((struct str){out->p + start, out->n - start})))
        return true;
    out->n = start;
    buf_adds(out, name);
    return false;
}

static void section_encode(const uint16_t *units, size_t n, struct buf *out)
{
    uint32_t bits = 0;
    unsigned nbits = 0;
    buf_addc(out, '&');
    for (size_t i = 0; i < n; i++) {
        bits = bits << 16 | units[i];
        nbits += 16;
        while (nbits >= 6) {
            nbits -= 6;
            buf_addc(out, base64_digits[bits >> nbits & 63]);
        }
        bits &= (1u << nbits) - 1;
    }
    if (nbits)
        buf_addc(out, base64_digits[bits << (6 - nbits) & 63]);
    buf_addc(out, '-');
}

bool mail_utf7_encode(struct str utf8, struct buf *out)
{
    uint16_t units[256];
    size_t n = 0, start = out->n;
    while (utf8.n || n) {
        uint32_t cp = 0;
        unsigned len = utf8.n ? utf8_decode(utf8, &cp) : 0;
        if (utf8.n && (!len || cp < 0x20 || cp == 0x7F)) {
            out->n = start;
            return false;
        }
        bool plain = utf8.n && cp < 0x7F;
        if (n && (plain || !utf8.n || n > COUNT(units) - 2)) {
            section_encode(units, n, out);
            n = 0;
        }
        if (!utf8.n)
            break;
        if (plain) {
            buf_addc(out, (char)cp);
            if (cp == '&')
                buf_addc(out, '-');
        } else if (cp >= 0x10000) {
            units[n++] = (uint16_t)(0xD800 + ((cp - 0x10000) >> 10));
            units[n++] = (uint16_t)(0xDC00 + ((cp - 0x10000) & 0x3FF));
        } else {
            units[n++] = (uint16_t)cp;
        }
        utf8 = str_sub(utf8, len, utf8.n);
    }
    return !out->full;
}
