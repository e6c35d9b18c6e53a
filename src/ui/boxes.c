/* The mailbox pane: all inboxes, saved searches, then each account with its mailboxes. */
#include "query/query.h"
#include "ui/model.h"

#include <limits.h>

void boxes_init(struct boxes *b)
{
    *b = (struct boxes){.height = 20, .stale = true};
}

static void items_free(struct box_item *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        free(list[i].name);
        free(list[i].path);
        free(list[i].query);
    }
    free(list);
}

void boxes_fini(struct boxes *b)
{
    items_free(b->list, b->n);
    boxes_init(b);
}

static struct box_item *add(struct boxes *b)
{
    if (b->n >= BOXES_MAX)
        return NULL;
    if (b->n % 64 == 0)
        b->list = mem_resize(b->list, b->n + 64, sizeof *b->list);
    struct box_item *item = &b->list[b->n++];
    *item = (struct box_item){.kind = BOXK_BOX};
    return item;
}

/* ---- The tree of an account's mailboxes --------------------------------------------------------- */
enum { DEPTH_MAX = 16 };
#define NONE UINT_MAX
#define LEVEL '\1' /* the delimiter, in a key */

struct node {
    struct box_item item;
    char *key;     /* whose, then the path: as bytes, a mailbox comes right before what is below it */
    unsigned rank; /* the place in the reader's order; a parent comes no later than what is below it */
    unsigned depth, parent, child, last, next;
};
struct reading {
    struct boxes *boxes;
    unsigned account;
    const char *only; /* the account's option mailboxes */
    unsigned inbox_unread, inbox_total;
    struct node *nodes;
    unsigned n;
};

/* Is `name` among the words of `list` (blank or comma separated)? */
static bool in_words(const char *list, struct str name)
{
    struct str rest = str_z(list), word;
    while (rest.n) {
        size_t i = 0;
        while (i < rest.n && rest.p[i] != ' ' && rest.p[i] != ',')
            i++;
        word = str_sub(rest, 0, i);
        rest = str_sub(rest, i + 1, rest.n);
        if (word.n && str_eq(word, name))
            return true;
    }
    return false;
}

/* What of `path` is left below the item `above`; nothing if it is not below it. */
static struct str below(const struct box_item *above, struct str path, char delim)
{
    struct str parent = str_z(above->path);
    bool is = delim && path.n > parent.n + 1 && str_starts(path, parent) && path.p[parent.n] == delim;
    return is ? str_sub(path, parent.n + 1, path.n) : (struct str){NULL, 0};
}

static struct node *add_node(struct reading *r, struct box_item item, char *key, unsigned rank)
{
    if (r->n % 64 == 0)
        r->nodes = mem_resize(r->nodes, r->n + 64, sizeof *r->nodes);
    struct node *node = &r->nodes[r->n++];
    *node = (struct node){
        .item = item, .key = key, .rank = rank, .parent = NONE, .child = NONE, .last = NONE, .next = NONE};
    return node;
}

static uint32_t whose(const struct box_item *item)
{
    return item->attrs & (BOX_OTHERS | BOX_SHARED);
}

static void read_box(void *arg, const struct box_row *row)
{
    struct reading *r = arg;
    if (r->only && r->only[0] && row->role != BOX_INBOX && !in_words(r->only, row->utf8) &&
        !in_words(r->only, row->name))
        return;
    if (r->n >= BOXES_MAX)
        return;
    struct box_item item = {.kind = BOXK_BOX,
                            .account = r->account,
                            .id = row->id,
                            .role = row->role,
                            .attrs = row->attrs,
                            .total = row->total == UINT32_MAX ? 0 : row->total,
                            .unread = row->unread == UINT32_MAX ? 0 : row->unread,
                            .known = row->known,
                            .unasked = row->local,
                            .delim = row->delim,
                            .path = mem_dup_n(row->utf8.p, row->utf8.n)};
    char *key = mem_array(row->utf8.n + 2, 1);
    key[0] = (char)('0' + (whose(&item) & BOX_OTHERS ? 1 : whose(&item) ? 2 : 0));
    for (size_t i = 0; item.path[i]; i++)
        key[i + 1] = row->delim && item.path[i] == row->delim ? LEVEL : item.path[i] == LEVEL ? '?' : item.path[i];
    add_node(r, item, key, r->n);
    if (row->role == BOX_INBOX) {
        r->inbox_unread += item.unread;
        r->inbox_total += item.total;
    }
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const struct node *const *)a)->key, (*(const struct node *const *)b)->key);
}

static int by_rank(const void *a, const void *b)
{
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* The indices of all nodes, in order. */
static unsigned *sorted(const struct reading *r, int (*by)(const void *, const void *))
{
    const struct node **at = mem_array(MAX(r->n, 1u), sizeof(struct node *));
    unsigned *order = mem_array(MAX(r->n, 1u), sizeof *order);
    for (unsigned i = 0; i < r->n; i++)
        at[i] = &r->nodes[i];
    qsort(at, r->n, sizeof(struct node *), by);
    for (unsigned i = 0; i < r->n; i++)
        order[i] = (unsigned)(at[i] - r->nodes);
    free(at);
    return order;
}

/* Where the level behind `from` ends in the key; 0 where it is the last. An empty level is none. */
static size_t level_end(const char *key, size_t from)
{
    for (size_t i = from + 1; key[i]; i++)
        if (key[i] == LEVEL && key[i - 1] != LEVEL && i > 1 && key[i + 1])
            return i;
    return 0;
}

static bool is_below(const struct reading *r, unsigned node, unsigned above)
{
    const char *key = r->nodes[above].key;
    size_t n = strlen(key);
    return !strncmp(r->nodes[node].key, key, n) && r->nodes[node].key[n] == LEVEL && r->nodes[node].key[n + 1];
}

static void put_below(struct reading *r, unsigned node, unsigned parent)
{
    struct node *at = &r->nodes[node];
    size_t skip = parent == NONE ? 0 : strlen(r->nodes[parent].key); /* as long as the path and its delimiter */
    at->parent = parent;
    at->depth = parent == NONE ? 0 : r->nodes[parent].depth + 1;
    at->item.depth = at->depth;
    at->item.name = mem_dup_z(at->item.path + skip);
}

/* Each below its parent. One that the server does not have, or that is not shown, is a line that cannot be opened. */
static void grow(struct reading *r)
{
    unsigned *order = sorted(r, by_key), rows = r->n, above = NONE;
    for (unsigned i = 0; i < rows; i++) {
        unsigned at = order[i];
        while (above != NONE && !is_below(r, at, above))
            above = r->nodes[above].parent;
        size_t end = above == NONE ? 0 : strlen(r->nodes[above].key);
        while ((end = level_end(r->nodes[at].key, end)) && r->n < 2 * BOXES_MAX &&
               (above == NONE || r->nodes[above].depth + 1 < DEPTH_MAX)) {
            struct box_item item = {.kind = BOXK_PARENT,
                                    .account = r->account,
                                    .attrs = whose(&r->nodes[at].item) | BOX_NOSELECT,
                                    .delim = r->nodes[at].item.delim,
                                    .path = mem_dup_n(r->nodes[at].item.path, end - 1)};
            add_node(r, item, mem_dup_n(r->nodes[at].key, end), NONE);
            put_below(r, r->n - 1, above);
            above = r->n - 1;
        }
        put_below(r, at, above);
        if (r->nodes[at].depth < DEPTH_MAX)
            above = at;
        for (unsigned up = r->nodes[at].parent; up != NONE; up = r->nodes[up].parent)
            r->nodes[up].rank = MIN(r->nodes[up].rank, r->nodes[at].rank);
    }
    free(order);
    order = sorted(r, by_rank);
    for (unsigned i = 0; i < r->n; i++) {
        unsigned at = order[i], up = r->nodes[at].parent;
        if (up == NONE)
            continue;
        if (r->nodes[up].child == NONE)
            r->nodes[up].child = at;
        else
            r->nodes[r->nodes[up].last].next = at;
        r->nodes[up].last = at;
    }
    free(order);
}

/* What is not one's own stands under a line of its own. */
static void heading(struct reading *r, uint32_t of)
{
    struct box_item *item = add(r->boxes);
    if (!item)
        return;
    item->kind = BOXK_HEADING;
    item->account = r->account;
    item->id = of;
    item->name = mem_dup_z(of & BOX_SHARED ? "shared" : "other users");
}

static void put_item(struct reading *r, struct node *node)
{
    struct box_item *item = add(r->boxes);
    if (!item)
        return;
    *item = node->item;
    node->item.name = node->item.path = NULL;
}

static void put_tree(struct reading *r, unsigned root)
{
    for (unsigned at = root; at != NONE;) {
        put_item(r, &r->nodes[at]);
        unsigned next = r->nodes[at].child;
        for (unsigned up = at; next == NONE && up != root; up = r->nodes[up].parent)
            next = r->nodes[up].next;
        at = next;
    }
}

/* The account's mailboxes, in the reader's order, as a tree. */
static bool read_boxes(struct reading *r, struct reader *reader, struct err *err)
{
    bool ok = reader_boxes(reader, read_box, r, err);
    uint32_t of = 0;
    grow(r);
    unsigned *order = sorted(r, by_rank);
    for (unsigned i = 0; i < r->n; i++) {
        const struct node *node = &r->nodes[order[i]];
        if (node->parent != NONE)
            continue;
        if (whose(&node->item) != of)
            heading(r, of = whose(&node->item));
        put_tree(r, order[i]);
    }
    free(order);
    for (unsigned i = 0; i < r->n; i++) {
        free(r->nodes[i].key);
        free(r->nodes[i].item.name);
        free(r->nodes[i].item.path);
    }
    free(r->nodes);
    r->nodes = NULL;
    r->n = 0;
    return ok;
}

/* Where the user subscribes to mailboxes at all, the others stand back. */
static void set_aside(struct boxes *b, unsigned account)
{
    bool any = false;
    for (unsigned i = 0; i < b->n; i++)
        any = any ||
              (b->list[i].kind == BOXK_BOX && b->list[i].account == account && (b->list[i].attrs & BOX_SUBSCRIBED));
    for (unsigned i = 0; any && i < b->n; i++)
        if (b->list[i].kind == BOXK_BOX && b->list[i].account == account)
            b->list[i].aside = !(b->list[i].attrs & BOX_SUBSCRIBED) && b->list[i].role != BOX_INBOX;
}

static bool same(const struct box_item *a, const struct box_item *b)
{
    if (a->kind == BOXK_SAVED && b->kind == BOXK_SAVED)
        return !strcmp(a->name, b->name);
    return a->kind == b->kind && a->account == b->account && a->id == b->id;
}

static void carry_counts(struct boxes *b, const struct box_item *old, unsigned n)
{
    for (unsigned i = 0; i < b->n; i++)
        for (unsigned j = 0; b->list[i].kind == BOXK_SAVED && j < n; j++)
            if (same(&b->list[i], &old[j])) {
                b->list[i].unread = old[j].unread;
                b->list[i].total = old[j].total;
                b->list[i].counted = old[j].counted;
            }
}

static bool can_open(const struct box_item *item)
{
    return (item->kind < BOXK_ACCOUNT || item->kind == BOXK_BOX) && !(item->attrs & (BOX_NOSELECT | BOX_NONEXISTENT));
}

/* Where the cursor goes: to its own row, else to the next that is there still, else to the one before. */
static unsigned place(const struct boxes *b, const struct box_item *old, unsigned old_n, unsigned cur)
{
    for (unsigned step = 0; step < 2 * old_n; step++) {
        unsigned at = step < old_n ? cur + step : cur - (step - old_n) - 1; /* wraps below the first: not < old_n */
        for (unsigned i = 0; at < old_n && can_open(&old[at]) && i < b->n; i++)
            if (same(&b->list[i], &old[at]))
                return i;
    }
    return 0;
}

/* Those of an account stand below its name. */
static void add_saved(struct boxes *b, const struct conf *conf, const char *account, unsigned a)
{
    for (size_t i = 0; i < conf->nsaved; i++) {
        const struct saved *s = &conf->saved[i];
        struct box_item *item = strcmp(s->account, account) == 0 ? add(b) : NULL;
        if (!item)
            continue;
        struct buf query = BUF_INIT(QUERY_MAX);
        query_of_saved(s->query, s->account, &query);
        item->kind = BOXK_SAVED;
        item->account = a;
        item->depth = account[0] != 0;
        item->saved = i;
        item->name = mem_dup_z(s->name);
        item->query = mem_dup_z(buf_z(&query));
        buf_fini(&query);
    }
}

bool boxes_update(struct boxes *b, struct accts *accts, const struct conf *conf, struct err *err)
{
    struct box_item *old = b->list, *item;
    unsigned old_n = b->n, old_cur = b->cur;
    bool ok = true;
    if (!b->stale)
        return true;
    b->stale = false;
    b->list = NULL;
    b->n = 0;
    struct reading r = {.boxes = b};
    item = add(b);
    item->kind = BOXK_INBOXES;
    item->name = mem_dup_z("All inboxes");
    add_saved(b, conf, "", 0);
    for (unsigned a = 0; a < accts->n; a++) {
        if (!(item = add(b)))
            break;
        item->kind = BOXK_ACCOUNT;
        item->account = a;
        item->name = mem_dup_z(accts->list[a].name);
        add_saved(b, conf, accts->list[a].name, a);
        r.account = a;
        r.only = accts->list[a].conf ? accts->list[a].conf->mailboxes : NULL;
        if (accts->list[a].reader)
            ok = read_boxes(&r, accts->list[a].reader, err) && ok;
        set_aside(b, a);
    }
    b->list[0].unread = r.inbox_unread;
    b->list[0].total = r.inbox_total;
    carry_counts(b, old, old_n);
    unsigned line = b->cur - MIN(b->top, b->cur);
    b->cur = place(b, old, old_n, old_cur);
    b->top = b->cur > line ? b->cur - line : 0;
    items_free(old, old_n);
    return ok;
}

void boxes_move(struct boxes *b, int64_t by)
{
    int64_t at = (int64_t)b->cur, step = by < 0 ? -1 : 1, best = at;
    for (int64_t left = by < 0 ? -by : by; left > 0;) {
        at += step;
        if (at < 0 || at >= (int64_t)b->n)
            break;
        if (can_open(&b->list[at])) {
            best = at;
            left--;
        }
    }
    b->cur = (unsigned)best;
}

const struct box_item *boxes_at(const struct boxes *b, unsigned i)
{
    return i < b->n ? &b->list[i] : NULL;
}

const struct box_item *boxes_cursor(const struct boxes *b)
{
    return boxes_at(b, b->cur);
}

const struct box_item *boxes_find(const struct boxes *b, unsigned account, uint64_t id)
{
    for (unsigned i = 0; i < b->n; i++)
        if (b->list[i].kind == BOXK_BOX && b->list[i].account == account && b->list[i].id == id)
            return &b->list[i];
    return NULL;
}

const struct box_item *boxes_role(const struct boxes *b, unsigned account, uint8_t role)
{
    for (unsigned i = 0; i < b->n; i++)
        if (b->list[i].kind == BOXK_BOX && b->list[i].account == account && b->list[i].role == role)
            return &b->list[i];
    return NULL;
}

void boxes_goto(struct boxes *b, const struct box_item *item)
{
    b->cur = (unsigned)(item - b->list);
}

bool box_within(const struct box_item *item, const struct box_item *above)
{
    return !strcmp(item->path, above->path) || below(above, str_z(item->path), item->delim).n > 0;
}

void boxes_follow(struct boxes *b, const struct list *l)
{
    b->browsed = false;
    for (unsigned i = 0; i < b->n; i++) {
        const struct box_item *item = &b->list[i];
        bool shown =
            (l->source == LIST_INBOXES && item->kind == BOXK_INBOXES) ||
            (l->source == LIST_BOX && item->kind == BOXK_BOX && item->account == l->account && item->id == l->box) ||
            (l->source == LIST_HITS && item->kind == BOXK_SAVED && l->title && !strcmp(l->title, item->name));
        if (shown)
            b->cur = i;
    }
}
