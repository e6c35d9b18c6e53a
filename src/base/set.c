/* A set of strings under a keyed hash. */
#include "base/base.h"

/* ---- SipHash-2-4 ---- */
static uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

uint64_t str_hash_keyed(struct str s, const uint8_t key[16])
{
    uint64_t k0 = load64(key), k1 = load64(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    const uint8_t *p = (const uint8_t *)s.p;
    size_t n = s.n;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t m = load64(p);
        v[3] ^= m;
        sip_round(v), sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)(s.n & 0xff) << 56;
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v), sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the set ---- */

/* The slot of the string, or the free one for it. */
static size_t slot(const struct str_set *set, struct str s)
{
    size_t at = (size_t)str_hash_keyed(s, set->key) & (set->nslots - 1);
    while (set->slots[at] && !str_eqz(s, set->list[set->slots[at] - 1]))
        at = (at + 1) & (set->nslots - 1);
    return at;
}

static void grow(struct str_set *set)
{
    if (!set->nslots)
        fs_random(set->key, sizeof set->key);
    set->nslots = set->nslots ? 2 * set->nslots : 1024;
    free(set->slots);
    set->slots = mem_array(set->nslots, sizeof *set->slots);
    set->list = mem_resize(set->list, set->nslots / 2, sizeof *set->list);
    for (size_t i = 0; i < set->n; i++)
        set->slots[slot(set, str_z(set->list[i]))] = (uint32_t)i + 1;
}

bool str_set_has(const struct str_set *set, struct str s)
{
    return set->nslots && set->slots[slot(set, s)];
}

bool str_set_add(struct str_set *set, struct str s, size_t *place_r)
{
    if (2 * (set->n + 1) > set->nslots && set->n < STR_SET_MAX)
        grow(set);
    size_t at = slot(set, s), place = set->slots[at] ? set->slots[at] - 1 : set->n;
    bool fresh = place == set->n;
    if (fresh && set->n == STR_SET_MAX)
        return false;
    if (fresh) {
        set->list[set->n++] = mem_dup_n(s.n ? s.p : "", s.n);
        set->slots[at] = (uint32_t)set->n;
    }
    if (place_r)
        *place_r = place;
    return fresh;
}

void str_set_free(struct str_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->list[i]);
    free(set->list);
    free(set->slots);
    *set = (struct str_set){.n = 0};
}
