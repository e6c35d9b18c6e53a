/* From a message to another one of its thread: what it answers, where the thread began, the one before and after it. */
#include "mail/tree.h"
#include "ui/private.h"

struct kin {
    struct ui *ui;
    unsigned account;
    uint64_t box, hidden, shown; /* the message's own mailbox; the last ones looked at */
    struct tree_node *nodes;     /* newest first, then the other way round, as tree_link wants them */
    struct place {
        uint64_t id, box;
    } * at;
    uint32_t n, cap;
};

static void kin_fini(struct kin *k)
{
    free(k->nodes);
    free(k->at);
}

/* What was thrown away or is not sent is no part of the conversation, unless one reads there. */
static bool counts(struct kin *k, uint64_t box)
{
    struct box_row row = {.id = 0};
    struct err err = ERR_INIT;
    if (box == k->box || box == k->shown)
        return true;
    if (box == k->hidden)
        return false;
    bool is = reader_box(k->ui->accts.list[k->account].reader, box, &row, &err) && row.id && row.role != BOX_TRASH &&
              row.role != BOX_JUNK && row.role != BOX_DRAFTS;
    *(is ? &k->shown : &k->hidden) = box;
    return is;
}

static void on_node(void *arg, const struct thread_node *x)
{
    struct kin *k = arg;
    struct str refs = x->refs, id;
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->nodes = mem_resize(k->nodes, k->cap, sizeof *k->nodes);
        k->at = mem_resize(k->at, k->cap, sizeof *k->at);
    }
    k->at[k->n] = (struct place){x->id, x->box};
    struct tree_node *node = &k->nodes[k->n++];
    *node = (struct tree_node){.key = x->msgid.n ? str_hash(x->msgid) : 0, .shown = true};
    while (node->nparents < TREE_PARENTS && tree_last_ref(&refs, &id))
        if (id.n && str_hash(id) != node->key)
            node->parents[node->nparents++] = str_hash(id);
}

/* What counts, oldest first. */
static void in_order(struct kin *k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->n; i++)
        if (counts(k, k->at[i].box)) {
            k->at[n] = k->at[i];
            k->nodes[n++] = k->nodes[i];
        }
    k->n = n;
    for (uint32_t i = 0, j = n; i + 1 < j; i++) {
        j--;
        struct tree_node node = k->nodes[i];
        struct place at = k->at[i];
        k->nodes[i] = k->nodes[j];
        k->at[i] = k->at[j];
        k->nodes[j] = node;
        k->at[j] = at;
    }
}

/* Can it be in the list, beyond the rows that are on hand? */
static bool listed(const struct ui *ui, const struct list *l, struct ref to, uint64_t in)
{
    struct box_row box = {.id = 0};
    struct err err = ERR_INIT;
    if (l->source != LIST_INBOXES)
        return l->source == LIST_HITS || (l->filter == LIST_ALL && to.account == l->account && in == l->box);
    return l->filter == LIST_ALL && reader_box(ui->accts.list[to.account].reader, in, &box, &err) &&
           box.role == BOX_INBOX;
}

/* To the message: in this list where it is there, else in the conversation. What was being read stays open. */
static bool go_to(struct ui *ui, struct ref to, uint64_t in, struct err *err)
{
    struct list *l = ui_list(ui);
    const struct list_row *row;
    bool reading = ui->message.state != MESSAGE_NONE;
    bool there = list_goto(l, to, err) || (listed(ui, l, to, in) && list_reach(l, to, err));
    if (there && (row = list_cursor(l)) && row->folded && !ref_eq(row->ref, to)) {
        list_fold(l, false);
        list_update(l, err);
        list_goto(l, to, err);
    }
    row = list_cursor(l);
    if (row && ref_eq(row->ref, to)) {
        ui_follow(ui);
        return true;
    }
    if (!run_conversation(ui, NULL, err))
        return false;
    return !list_goto(ui_list(ui), to, err) || !reading || run_open(ui, NULL, err);
}

enum way { TO_PARENT, TO_ROOT, TO_NEXT, TO_PREVIOUS };

static uint32_t step(const struct kin *k, uint32_t at, enum way way)
{
    switch (way) {
    case TO_NEXT:
        return at + 1 < k->n ? at + 1 : TREE_NONE;
    case TO_PREVIOUS:
        return at ? at - 1 : TREE_NONE;
    default:
        return k->nodes[at].parent;
    }
}

static bool go(struct ui *ui, enum way way, struct err *err)
{
    static const char *const none[] = {[TO_PARENT] = "it answers no message that is here",
                                       [TO_ROOT] = "it is the first of its thread",
                                       [TO_NEXT] = "it is the newest of its thread",
                                       [TO_PREVIOUS] = "it is the oldest of its thread"};
    const struct list_row *row = ui_row(ui);
    struct reader *reader = row && row->ref.id ? ui->accts.list[row->ref.account].reader : NULL;
    struct msg_row fresh = {.id = 0}; /* threads that grew together since the list was read */
    if (!reader || !reader_row(reader, row->ref.id, &fresh, err) || !fresh.thread)
        return err->kind == ERR_NONE && err_set(err, ERR_USAGE, "no thread is known for this message");
    struct kin k = {.ui = ui, .account = row->ref.account, .box = row->box};
    uint32_t at = 0, to;
    unsigned times = way == TO_ROOT ? UINT32_MAX : ui_times(ui);
    bool ok = reader_thread_nodes(reader, fresh.thread, on_node, &k, err);
    in_order(&k);
    tree_link(k.nodes, k.n);
    while (at < k.n && k.at[at].id != row->ref.id)
        at++;
    uint32_t from = at;
    for (unsigned i = 0; at < k.n && i < MIN(times, k.n) && (to = step(&k, at, way)) != TREE_NONE; i++)
        at = to;
    struct ref target = {k.account, at < k.n ? k.at[at].id : 0};
    uint64_t in = at < k.n ? k.at[at].box : 0;
    kin_fini(&k);
    if (ok && (at == from || !target.id))
        return err_set(err, ERR_USAGE, "%s", none[way]);
    return ok && go_to(ui, target, in, err);
}

#define GO(name, way)                                                                                                  \
    bool name(void *context, const struct cmd_args *args, struct err *err)                                             \
    {                                                                                                                  \
        (void)args;                                                                                                    \
        return go(context, way, err);                                                                                  \
    }
GO(run_parent, TO_PARENT)
GO(run_root, TO_ROOT)
GO(run_next_in_thread, TO_NEXT)
GO(run_previous_in_thread, TO_PREVIOUS)
