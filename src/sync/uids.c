/* UID sets and ranges. Sets of RFC 9051 4.1.1 are never expanded element by element (doc/THREATS 49). */
#include "sync/sync.h"

#include "ipc/ipc.h"

void uid_set_fini(struct uid_set *s)
{
    free(s->uids);
    s->uids = NULL;
    s->n = s->cap = 0;
}

bool uid_set_add(struct uid_set *s, uint32_t uid)
{
    if (uid == 0 || s->n >= s->max)
        return false;
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->uids = mem_resize(s->uids, s->cap, sizeof *s->uids);
    }
    s->uids[s->n++] = uid;
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

bool uid_set_pack(struct uid_set *s, struct buf *out)
{
    if (s->n > 1)
        qsort(s->uids, s->n, sizeof *s->uids, by_number);
    for (size_t i = 0; i < s->n;) {
        size_t j = i;
        while (j + 1 < s->n && s->uids[j + 1] - s->uids[j] <= 1)
            j++;
        if (!ipc_ranges_add(out, s->uids[i], s->uids[j]))
            return false;
        i = j + 1;
    }
    return true;
}

struct range {
    uint32_t lo, hi;
};

static int by_lo(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

bool ranges_normal(struct str ranges, struct buf *out)
{
    size_t n = ipc_ranges_count(ranges), m = 0;
    if (n == 0)
        return true;
    struct range *r = mem_array(n, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        struct range x;
        ipc_ranges_at(ranges, i, &x.lo, &x.hi);
        if (x.lo != 0 && x.hi >= x.lo)
            r[m++] = x;
    }
    qsort(r, m, sizeof *r, by_lo);
    bool ok = true;
    for (size_t i = 0; i < m && ok;) {
        struct range x = r[i++];
        while (i < m && (x.hi == UINT32_MAX || r[i].lo <= x.hi + 1)) {
            x.hi = MAX(x.hi, r[i].hi);
            i++;
        }
        ok = ipc_ranges_add(out, x.lo, x.hi);
    }
    free(r);
    return ok;
}

uint64_t ranges_total(struct str normal)
{
    uint64_t total = 0;
    size_t n = ipc_ranges_count(normal);
    for (size_t i = 0; i < n; i++) {
        uint32_t lo, hi;
        ipc_ranges_at(normal, i, &lo, &hi);
        total += (uint64_t)hi - lo + 1;
    }
    return total;
}
