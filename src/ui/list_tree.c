/* The tree of a thread whose messages are in several mailboxes, or in several accounts: what is in the list, and where
 * it is wanted what is filed elsewhere, one's own answers too. */
#include "mail/tree.h"
#include "ui/hits_int.h"

enum { PAIRS_MAX = 16, NODES_MAX = 5000, IDS_MAX = 64, BOXES_KNOWN = 16 };
#define NONE UINT32_MAX

struct member {
    struct ref ref;
    uint64_t box;
    int64_t date;
    uint32_t flags;
    uint32_t hit; /* its place among the hits; NONE */
    bool elsewhere;
};
struct grove {
    const struct list *list;
    struct tree_node *nodes;
    struct member *members;
    uint32_t n, cap;
    struct ref pairs[PAIRS_MAX]; /* threads it is made of: account, thread */
    unsigned npairs, account;    /* account: whose messages are added now */
    bool across;
    struct buf ids; /* Message-IDs that its messages have or refer to, for the other accounts */
    struct {
        size_t at, n;
    } id[IDS_MAX];
    unsigned nids;
    struct box_known {
        struct ref box;
        bool shown, inbox;
    } boxes[BOXES_KNOWN];
    unsigned nboxes;
    struct gather *out;
    struct err *err;
};

static void id_add(struct grove *g, struct str id)
{
    size_t at = g->ids.n;
    for (unsigned i = 0; i < g->nids; i++)
        if (str_eq((struct str){g->ids.p + g->id[i].at, g->id[i].n}, id))
            return;
    if (!id.n || g->nids == IDS_MAX || !g->across || g->list->accts->n < 2 || !buf_adds(&g->ids, id))
        return;
    g->id[g->nids].at = at;
    g->id[g->nids++].n = id.n;
}

/* What was thrown away or is not sent is no part of the conversation. */
static struct box_known box_known(struct grove *g, struct ref box)
{
    struct box_row row = {.id = 0};
    for (unsigned i = 0; i < g->nboxes; i++)
        if (ref_eq(g->boxes[i].box, box))
            return g->boxes[i];
    struct reader *reader = g->list->accts->list[box.account].reader;
    bool here = reader && reader_box(reader, box.id, &row, g->err) && row.id;
    struct box_known known = {
        .box = box,
        .shown = here && row.role != BOX_TRASH && row.role != BOX_JUNK && row.role != BOX_DRAFTS,
        .inbox = here && row.role == BOX_INBOX,
    };
    if (g->nboxes < BOXES_KNOWN)
        g->boxes[g->nboxes++] = known;
    return known;
}

/* Is it in the list itself? */
static bool listed(struct grove *g, struct member *m)
{
    const struct list *l = g->list;
    if (l->source == LIST_HITS) {
        m->hit = hit_index(l->hits, m->ref, STR(""));
        return m->hit != NONE && l->hits->at[m->hit].placed && l->hits->at[m->hit].here;
    }
    if (l->source == LIST_BOX)
        return m->ref.account == l->account && m->box == l->box;
    return box_known(g, (struct ref){m->ref.account, m->box}).inbox;
}

static struct tree_node *node_add(struct grove *g, struct member m)
{
    if (g->n == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 16;
        g->nodes = mem_resize(g->nodes, g->cap, sizeof *g->nodes);
        g->members = mem_resize(g->members, g->cap, sizeof *g->members);
    }
    g->members[g->n] = m;
    g->nodes[g->n] = (struct tree_node){.shown = true};
    return &g->nodes[g->n++];
}

static void on_node(void *arg, const struct thread_node *x)
{
    struct grove *g = arg;
    struct str refs = x->refs, id;
    if (g->n >= NODES_MAX)
        return;
    struct tree_node *node = node_add(
        g, (struct member){.ref = {g->account, x->id}, .box = x->box, .date = x->date, .flags = x->flags, .hit = NONE});
    node->key = x->msgid.n ? str_hash(x->msgid) : 0;
    id_add(g, x->msgid);
    while (node->nparents < TREE_PARENTS && tree_last_ref(&refs, &id)) {
        uint64_t key = id.n ? str_hash(id) : 0;
        if (key && key != node->key)
            node->parents[node->nparents++] = key;
        id_add(g, id);
    }
}

static void pair_add(struct grove *g, struct ref pair)
{
    for (unsigned i = 0; i < g->npairs; i++)
        if (ref_eq(g->pairs[i], pair))
            return;
    if (g->npairs == PAIRS_MAX || !pair.id)
        return;
    g->pairs[g->npairs++] = pair;
    g->account = pair.account;
    struct reader *reader = g->list->accts->list[pair.account].reader;
    if (reader)
        reader_thread_nodes(reader, pair.id, on_node, g, g->err);
}

/* Threads of the other accounts that have one of its messages, or refer to it. */
static void pairs_elsewhere(struct grove *g)
{
    const struct accts *accts = g->list->accts;
    uint64_t threads[PAIRS_MAX];
    struct str id[IDS_MAX];
    unsigned nids = g->nids;
    for (unsigned i = 0; i < nids; i++)
        id[i] = (struct str){g->ids.p + g->id[i].at, g->id[i].n};
    g->nids = IDS_MAX; /* what the others refer to is not looked for again */
    for (unsigned a = 0; a < accts->n && nids; a++) {
        size_t found = 0;
        if (accts->list[a].reader &&
            reader_threads_of(accts->list[a].reader, id, nids, threads, COUNT(threads), &found, g->err))
            for (size_t i = 0; i < found; i++)
                pair_add(g, (struct ref){a, threads[i]});
    }
}

/* ---- which are shown ---- */
struct same {
    uint64_t key;
    uint32_t at;
    bool elsewhere;
};

static int by_key(const void *a, const void *b)
{
    const struct same *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->elsewhere != y->elsewhere)
        return x->elsewhere ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

/* A copy of what is shown already is not shown again: the one in the list, else the first. */
static void hide_copies(struct grove *g)
{
    struct same *same = mem_array(g->n + 1u, sizeof *same);
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i++)
        if (g->nodes[i].shown && g->nodes[i].key)
            same[n++] = (struct same){g->nodes[i].key, i, g->members[i].elsewhere};
    qsort(same, n, sizeof *same, by_key);
    for (uint32_t i = 1; i < n; i++)
        if (same[i].key == same[i - 1].key && same[i].elsewhere)
            g->nodes[same[i].at].shown = false;
    free(same);
}

struct dated {
    int64_t date;
    struct ref ref;
    uint32_t at;
};

static int by_date(const void *a, const void *b)
{
    const struct dated *x = a, *y = b;
    if (x->date != y->date)
        return x->date < y->date ? -1 : 1;
    if (x->ref.account != y->ref.account)
        return x->ref.account < y->ref.account ? -1 : 1;
    return (x->ref.id > y->ref.id) - (x->ref.id < y->ref.id);
}

static void oldest_first(struct grove *g)
{
    struct dated *order = mem_array(g->n + 1u, sizeof *order);
    struct tree_node *nodes = mem_array(g->n + 1u, sizeof *nodes);
    struct member *members = mem_array(g->n + 1u, sizeof *members);
    for (uint32_t i = 0; i < g->n; i++)
        order[i] = (struct dated){g->members[i].date, g->members[i].ref, i};
    qsort(order, g->n, sizeof *order, by_date);
    for (uint32_t i = 0; i < g->n; i++) {
        nodes[i] = g->nodes[order[i].at];
        members[i] = g->members[order[i].at];
    }
    free(order);
    free(g->nodes);
    free(g->members);
    g->nodes = nodes;
    g->members = members;
}

static void on_place(void *arg, uint32_t i, const struct tree_place *place)
{
    struct grove *g = arg;
    const struct member *m = &g->members[i];
    struct list_row row = {.mem = NULL};
    struct msg_row raw = {.id = 0};
    struct reader *reader = g->list->accts->list[m->ref.account].reader;
    bool kept = false;
    if (m->hit != NONE && !m->elsewhere) {
        kept = hit_read(g->list, m->hit, &row);
    } else if (reader && reader_row(reader, m->ref.id, &raw, g->err) && raw.id) {
        row = row_copy(m->ref.account, &raw);
        kept = row_changes(g->list, &row);
    }
    row.place = (struct thread_place){place->depth, place->last, place->lines, m->elsewhere};
    if (kept)
        gather_add(g->out, row);
    else
        row_free(&row);
}

static bool wanted(const struct list *l, const struct member *m)
{
    return row_kept(&(struct list_row){.flags = m->flags}, l->filter);
}

static void grove_end(struct grove *g)
{
    const struct list *l = g->list;
    if (g->across && l->accts->n > 1)
        pairs_elsewhere(g);
    for (uint32_t i = 0; i < g->n; i++) {
        struct member *m = &g->members[i];
        if (m->hit != NONE)
            continue;
        if (listed(g, m)) { /* all inboxes: what is in that of another account has a thread of its own there */
            g->nodes[i].shown = l->source == LIST_HITS || (m->ref.account == g->pairs[0].account && wanted(l, m));
            continue;
        }
        m->hit = NONE;
        m->elsewhere = true;
        g->nodes[i].shown = g->across && wanted(l, m) && box_known(g, (struct ref){m->ref.account, m->box}).shown;
    }
    if (g->across)
        hide_copies(g);
    oldest_first(g);
    tree_link(g->nodes, g->n);
    tree_walk(g->nodes, g->n, on_place, g);
    free(g->nodes);
    free(g->members);
    buf_fini(&g->ids);
}

void grove_hits(const struct list *l, const uint32_t *hits, uint32_t n, struct gather *out, struct err *err)
{
    struct grove g = {.list = l, .across = l->across, .out = out, .err = err, .ids = BUF_INIT(32768)};
    for (uint32_t i = 0; i < n; i++) {
        const struct hit_at *a = &l->hits->at[hits[i]];
        if (a->thread)
            pair_add(&g, (struct ref){a->account, a->thread});
        else
            node_add(&g, (struct member){.ref = {a->account, a->id}, .date = a->date, .hit = hits[i]});
    }
    grove_end(&g);
}

void grove_thread(const struct list *l, unsigned account, uint64_t thread, bool across, struct gather *out,
                  struct err *err)
{
    struct grove g = {.list = l, .across = across, .out = out, .err = err, .ids = BUF_INIT(32768)};
    pair_add(&g, (struct ref){account, thread});
    grove_end(&g);
}
