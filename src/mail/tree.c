/* Trees of threads. */
#include "mail/tree.h"

bool tree_last_ref(struct str *refs, struct str *id_r)
{
    size_t at = refs->n;
    if (!at)
        return false;
    while (at && refs->p[at - 1] != ' ')
        at--;
    struct str id = str_trim(str_sub(*refs, at, refs->n));
    *refs = str_sub(*refs, 0, at ? at - 1 : 0);
    if (id.n && id.p[0] == '<')
        id = str_sub(id, 1, id.n);
    *id_r = id.n && id.p[id.n - 1] == '>' ? str_sub(id, 0, id.n - 1) : id;
    return true;
}

struct known {
    uint64_t key;
    uint32_t at;
};

static int by_key(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Of several of one Message-ID the one that is shown, else the oldest. */
static uint32_t known_at(const struct known *known, const struct tree_node *nodes, uint32_t n, uint64_t key)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (known[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint32_t first = lo < n && known[lo].key == key ? known[lo].at : TREE_NONE;
    for (uint32_t end = lo + TREE_PARENTS; lo < n && lo < end && known[lo].key == key; lo++)
        if (nodes[known[lo].at].shown)
            return known[lo].at;
    return first;
}

/* Is `x` above `y`? What would close a ring is no parent. */
static bool above(const struct tree_node *nodes, uint32_t x, uint32_t y)
{
    while (y != TREE_NONE && y != x)
        y = nodes[y].parent;
    return y == x;
}

/* The nearest shown one above, or none. */
static uint32_t shown_parent(const struct tree_node *nodes, uint32_t i)
{
    uint32_t p = nodes[i].parent;
    while (p != TREE_NONE && !nodes[p].shown)
        p = nodes[p].parent;
    return p;
}

void tree_link(struct tree_node *nodes, uint32_t n)
{
    struct known *known = mem_array(n ? n : 1, sizeof *known);
    for (uint32_t i = 0; i < n; i++) {
        known[i] = (struct known){nodes[i].key, i};
        nodes[i].parent = nodes[i].child = nodes[i].last = nodes[i].next = TREE_NONE;
    }
    qsort(known, n, sizeof *known, by_key);
    for (uint32_t i = 0; i < n; i++) {
        struct tree_node *x = &nodes[i];
        for (uint32_t k = 0; k < x->nparents && x->parent == TREE_NONE; k++) {
            uint32_t p = known_at(known, nodes, n, x->parents[k]);
            if (p != TREE_NONE && !above(nodes, i, p))
                x->parent = p;
        }
    }
    free(known);
    /* Those that are not shown leave their children to what is above them. */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = nodes[i].shown ? shown_parent(nodes, i) : TREE_NONE;
        if (p == TREE_NONE)
            continue;
        if (nodes[p].last == TREE_NONE)
            nodes[p].child = i;
        else
            nodes[nodes[p].last].next = i;
        nodes[p].last = i;
    }
}

/* Down to the first child, else on to the next one here or above. */
static void walk_below(const struct tree_node *nodes, uint32_t root, tree_fn *fn, void *arg)
{
    struct tree_place place = {.depth = 0};
    for (uint32_t i = root; i != TREE_NONE;) {
        const struct tree_node *x = &nodes[i];
        place.last = x->next == TREE_NONE;
        fn(arg, i, &place);
        if (x->child != TREE_NONE) {
            /* bit 0 stands for depth 1 */
            if (place.depth && place.depth <= 64)
                place.lines = (place.lines & ~(UINT64_C(1) << (place.depth - 1))) | (uint64_t)!place.last
                                                                                        << (place.depth - 1);
            place.depth++;
            i = x->child;
            continue;
        }
        while (i != root && nodes[i].next == TREE_NONE) {
            i = shown_parent(nodes, i);
            place.depth--;
        }
        i = i == root ? TREE_NONE : nodes[i].next;
    }
}

void tree_walk(const struct tree_node *nodes, uint32_t n, tree_fn *fn, void *arg)
{
    for (uint32_t root = 0; root < n; root++)
        if (nodes[root].shown && shown_parent(nodes, root) == TREE_NONE)
            walk_below(nodes, root, fn, arg);
}
