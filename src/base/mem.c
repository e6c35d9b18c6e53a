/* Memory: failure of our own sizes ends the program; arenas bound what input may ask for. */
#include "base/base.h"

bool size_add(size_t a, size_t b, size_t *sum_r)
{
    return !__builtin_add_overflow(a, b, sum_r);
}

bool size_mul(size_t a, size_t b, size_t *product_r)
{
    return !__builtin_mul_overflow(a, b, product_r);
}

static void *must(void *p)
{
    if (!p)
        bug("out of memory");
    return p;
}

void *mem_new(size_t size)
{
    return must(calloc(1, size ? size : 1));
}

void *mem_array(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1));
}

void *mem_resize(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (!size_mul(count, size, &bytes))
        bug("size overflow in mem_resize");
    return must(realloc(old, bytes ? bytes : 1));
}

char *mem_dup_z(const char *z)
{
    return z ? mem_dup_n(z, strlen(z)) : NULL;
}

char *mem_dup_n(const char *p, size_t n)
{
    char *copy = must(malloc(n + 1));
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

enum { ARENA_BLOCK = 16384 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct arena_block *blocks; /* the newest first */
    size_t total, max;
};

struct arena *arena_new(size_t max)
{
    struct arena *a = mem_new(sizeof *a);
    a->max = max;
    return a;
}

static void free_blocks(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_free(struct arena **a)
{
    if (!*a)
        return;
    free_blocks((*a)->blocks);
    free(*a);
    *a = NULL;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = a->blocks;
    a->total = 0;
    if (!keep)
        return;
    free_blocks(keep->next);
    keep->next = NULL;
    if (keep->size > ARENA_BLOCK) {
        free(keep);
        a->blocks = NULL;
        return;
    }
    memset(keep->data, 0, keep->used);
    keep->used = 0;
    a->total = keep->size;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    size_t need;
    if (!size_add(size, align - 1, &need))
        return NULL;
    need &= ~(align - 1);
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < need) {
        size_t room = MAX(need, (size_t)ARENA_BLOCK), total;
        if (!size_add(a->total, room, &total))
            return NULL;
        if (total > a->max) { /* the last block may be a small one */
            room = need;
            if (!size_add(a->total, room, &total) || total > a->max)
                return NULL;
        }
        b = must(calloc(1, sizeof *b + room));
        b->size = room;
        b->next = a->blocks;
        a->blocks = b;
        a->total = total;
    }
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

char *arena_dup(struct arena *a, const char *p, size_t n)
{
    size_t bytes;
    if (!size_add(n, 1, &bytes))
        return NULL;
    char *copy = arena_alloc(a, bytes);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}
