#include "mail/mark.h"

#include <stdio.h>

#define DIGITS 16u
#define PIECE (2 + DIGITS) /* "_t" and the digits */

/* The piece before byte `end` of the name; *end_r moves in front of it. */
static uint64_t piece(struct str unique, char letter, size_t *end)
{
    uint64_t n = 0;
    if (*end < PIECE || unique.p[*end - PIECE] != '_' || unique.p[*end - PIECE + 1] != letter)
        return 0;
    for (const char *at = unique.p + *end - DIGITS, *last = unique.p + *end; at < last; at++) {
        if (!((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f')))
            return 0;
        n = n << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    }
    if (n)
        *end -= PIECE;
    return n;
}

static struct mark read_at(struct str unique, size_t *stub_at)
{
    struct str end = STR(MARK_END);
    struct mark m = {0};
    size_t at = unique.n >= end.n && str_eq(str_sub(unique, unique.n - end.n, unique.n), end) ? unique.n - end.n : 0;
    m.tag = piece(unique, 't', &at);
    m.stub = piece(unique, 's', &at);
    *stub_at = at;
    return m;
}

struct mark mark_read(struct str unique)
{
    size_t at;
    return read_at(unique, &at);
}

void mark_write(const struct mark *m, char out[MARK_MAX])
{
    int n = 0;
    out[0] = '\0';
    if (m->stub)
        n = snprintf(out, MARK_MAX, "_s%016llx", (unsigned long long)m->stub);
    if (m->tag)
        snprintf(out + n, (size_t)(MARK_MAX - n), "_t%016llx", (unsigned long long)m->tag);
}

bool mark_whole(struct str unique, struct buf *out)
{
    size_t at;
    if (!read_at(unique, &at).stub)
        return buf_adds(out, unique);
    return buf_adds(out, str_sub(unique, 0, at)) && buf_adds(out, str_sub(unique, at + PIECE, unique.n));
}
