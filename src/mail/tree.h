/* The messages of a thread as a tree: each reply below what it answers, or what that answered where it is not shown; by
 * date among themselves. References are hostile: loops end, nothing recurses (THREATS 108). */
#ifndef TUIMAIL_MAIL_TREE_H
#define TUIMAIL_MAIL_TREE_H

#include "base/base.h"

/* Of a message's references that many, the last: its parent, or what replaces one that is not here. */
#define TREE_PARENTS 8
#define TREE_NONE UINT32_MAX
struct tree_node {
    uint64_t key;                   /* a hash of its Message-ID; 0 none */
    uint64_t parents[TREE_PARENTS]; /* likewise, nearest first */
    uint32_t nparents;
    bool shown;
    uint32_t parent, child, last, next; /* tree_link's */
};
/* The last id of blank separated references, without <>, is taken off them; false where none is left. Hostile. */
bool tree_last_ref(struct str *refs, struct str *id_r);
/* Sets parent, child, last and next of each node; nodes come oldest first. Time by n times TREE_PARENTS. */
void tree_link(struct tree_node *, uint32_t n);
/* Where one stands: lines bit n: what stands above it at depth n + 1 is followed by another reply. */
struct tree_place {
    uint32_t depth;
    bool last;
    uint64_t lines;
};
typedef void tree_fn(void *arg, uint32_t node, const struct tree_place *);
/* Those that are shown, from the top down, once each. */
void tree_walk(const struct tree_node *, uint32_t n, tree_fn *, void *arg);

#endif
