/* Borrowed bytes, and the encodings small enough to live beside them. */
#include "base/base.h"

struct str str_z(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

struct str str_sub(struct str s, size_t from, size_t to)
{
    to = MIN(to, s.n);
    from = MIN(from, to);
    return (struct str){s.p ? s.p + from : NULL, to - from};
}

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eqz(struct str a, const char *z)
{
    return str_eq(a, str_z(z));
}

static unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_case_eq(struct str a, struct str b)
{
    return a.n == b.n && str_case_starts(a, b);
}

bool str_case_eqz(struct str a, const char *z)
{
    return str_case_eq(a, str_z(z));
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_case_starts(struct str s, struct str prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (fold(s.p[i]) != fold(prefix.p[i]))
            return false;
    return true;
}

bool str_find(struct str s, char c, size_t *at_r)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    if (!at)
        return false;
    *at_r = (size_t)(at - s.p);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *rest, char c, struct str *piece_r)
{
    size_t at;
    if (!rest->p)
        return false;
    if (str_find(*rest, c, &at)) {
        *piece_r = str_sub(*rest, 0, at);
        *rest = str_sub(*rest, at + 1, rest->n);
    } else {
        *piece_r = *rest;
        *rest = (struct str){NULL, 0};
    }
    return true;
}

bool str_u64(struct str s, uint64_t *value_r)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *value_r = v;
    return true;
}

bool str_u32(struct str s, uint32_t *value_r)
{
    uint64_t v;
    if (!str_u64(s, &v) || v > UINT32_MAX)
        return false;
    *value_r = (uint32_t)v;
    return true;
}

uint64_t str_hash(struct str s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
    return h;
}

unsigned str_distance(struct str a, struct str b, unsigned limit)
{
    enum { WORD = 48 };
    unsigned char rows[3][WORD + 1];
    if (a.n > WORD || b.n > WORD)
        return limit + 1;
    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = (unsigned char)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned char *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned cost = fold(a.p[i - 1]) != fold(b.p[j - 1]);
            unsigned d = MIN(MIN(up[j] + 1u, row[j - 1] + 1u), up[j - 1] + cost);
            if (i > 1 && j > 1 && fold(a.p[i - 1]) == fold(b.p[j - 2]) && fold(a.p[i - 2]) == fold(b.p[j - 1]))
                d = MIN(d, up2[j - 2] + 1u);
            row[j] = (unsigned char)d;
        }
    }
    unsigned d = rows[a.n % 3][b.n];
    return d > limit ? limit + 1 : d;
}

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool base64_encode(struct str in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i += 3) {
        uint32_t v = 0;
        size_t left = MIN(in.n - i, (size_t)3);
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < left ? (unsigned char)in.p[i + k] : 0u);
        char four[4];
        for (size_t k = 0; k < 4; k++)
            four[k] = k <= left ? base64_alphabet[v >> (18 - 6 * k) & 63] : '=';
        if (!buf_add(out, four, 4))
            return false;
    }
    return true;
}

static int base64_value(char c)
{
    const char *at = c ? strchr(base64_alphabet, c) : NULL;
    return at ? (int)(at - base64_alphabet) : -1;
}

bool base64_decode(struct str in, struct buf *out)
{
    uint32_t v = 0;
    unsigned bits = 0, pads = 0, count = 0;
    for (size_t i = 0; i < in.n; i++) {
        if (is_blank(in.p[i]))
            continue;
        count++;
        if (in.p[i] == '=') {
            pads++;
            continue;
        }
        int d = base64_value(in.p[i]);
        if (d < 0 || pads)
            return false;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (!buf_addc(out, (char)(v >> bits & 255)))
                return false;
        }
    }
    return count % 4 == 0 && pads <= 2 && (v & ((1u << bits) - 1)) == 0;
}

void hex_encode(const void *p, size_t n, char *out)
{
    const unsigned char *in = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[in[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
    }
    out[2 * n] = '\0';
}
