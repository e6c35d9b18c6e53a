/* Owned bytes with a mandatory maximum and a sticky failure. */
#include "base/base.h"

void buf_init(struct buf *b, size_t max)
{
    *b = BUF_INIT(max);
}

void buf_fini(struct buf *b)
{
    free(b->p);
    *b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->full = false;
    if (b->p)
        b->p[0] = '\0';
}

bool buf_reserve(struct buf *b, size_t more)
{
    size_t need;
    if (b->full || !size_add(b->n, more, &need) || need > b->max) {
        b->full = true;
        return false;
    }
    if (need >= b->cap || !b->p) {
        size_t cap = MAX(b->cap + b->cap / 2, need + 1);
        cap = MAX(cap, (size_t)64);
        b->p = mem_resize(b->p, cap, 1);
        b->cap = cap;
        b->p[b->n] = '\0';
    }
    return true;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
    if (!buf_reserve(b, n))
        return false;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
    return true;
}

bool buf_addc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_addz(struct buf *b, const char *z)
{
    return buf_add(b, z, strlen(z));
}

bool buf_adds(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.n);
}

bool buf_addv(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    bool ok = n >= 0 && buf_reserve(b, (size_t)n);
    if (ok) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return ok;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_addv(b, fmt, ap);
    va_end(ap);
    return ok;
}

bool buf_add_size(struct buf *b, uint64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    uint64_t unit = 1;
    size_t u = 0;
    for (; bytes / unit >= 1024 && u + 1 < COUNT(units); u++)
        unit *= 1024;
    uint64_t whole = bytes / unit, rest = bytes % unit, tenths = whole * 10 + (rest * 10 + unit / 2) / unit;
    if (u && tenths < 100)
        return buf_addf(b, "%llu.%llu %s", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10),
                        units[u]);
    whole += rest >= unit - rest;
    return buf_addf(b, "%llu %s", (unsigned long long)whole, units[u]);
}

void buf_consume(struct buf *b, size_t n)
{
    n = MIN(n, b->n);
    if (!n)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = '\0';
}

struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

const char *buf_z(const struct buf *b)
{
    return b->p ? b->p : "";
}

char *buf_take(struct buf *b, size_t *n_r)
{
    char *p = b->p ? b->p : mem_new(1);
    if (n_r)
        *n_r = b->n;
    *b = BUF_INIT(b->max);
    return p;
}
