/* The mailbox pane: all inboxes, saved searches, then each account with its mailboxes. */
#include "ui/model.h"

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

enum { DEPTH_MAX = 16 };
struct reading {
    struct boxes *boxes;
    unsigned account;
    const char *only; /* the account's option mailboxes */
    unsigned inbox_unread, inbox_total;
    unsigned above[DEPTH_MAX], nabove; /* the last item and those that it is below */
    uint32_t whose;                    /* BOX_OTHERS or BOX_SHARED of the last one */
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

/* What is not one's own stands under a line of its own. */
static void heading(struct reading *r, uint32_t whose)
{
    struct box_item *item = add(r->boxes);
    r->whose = whose;
    r->nabove = 0;
    if (!item)
        return;
    item->kind = BOXK_HEADING;
    item->account = r->account;
    item->id = whose;
    item->name = mem_dup_z(whose & BOX_SHARED ? "shared" : "other users");
}

static void read_box(void *arg, const struct box_row *row)
{
    struct reading *r = arg;
    if (r->only && r->only[0] && row->role != BOX_INBOX && !in_words(r->only, row->utf8) &&
        !in_words(r->only, row->name))
        return;
    if ((row->attrs & (BOX_OTHERS | BOX_SHARED)) != r->whose)
        heading(r, row->attrs & (BOX_OTHERS | BOX_SHARED));
    struct box_item *item = add(r->boxes);
    if (!item)
        return;
    /* Indented below its parent where that is the row above; its whole path else. */
    struct str name = {NULL, 0};
    while (r->nabove && !name.n)
        if (!(name = below(&r->boxes->list[r->above[r->nabove - 1]], row->utf8, row->delim)).n)
            r->nabove--;
    unsigned depth = r->nabove;
    name = name.n ? name : row->utf8;
    if (r->nabove < DEPTH_MAX)
        r->above[r->nabove++] = r->boxes->n - 1;
    item->account = r->account;
    item->id = row->id;
    item->role = row->role;
    item->attrs = row->attrs;
    item->total = row->total == UINT32_MAX ? 0 : row->total;
    item->unread = row->unread == UINT32_MAX ? 0 : row->unread;
    item->known = row->known;
    item->unasked = row->local;
    item->delim = row->delim;
    item->depth = depth;
    item->name = mem_dup_n(name.p, name.n);
    item->path = mem_dup_n(row->utf8.p, row->utf8.n);
    if (row->role == BOX_INBOX) {
        r->inbox_unread += item->unread;
        r->inbox_total += item->total;
    }
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
    return a->kind == b->kind && a->account == b->account && a->id == b->id && a->saved == b->saved;
}

static void carry_counts(struct boxes *b, const struct box_item *old, unsigned n)
{
    for (unsigned i = 0; i < b->n; i++)
        for (unsigned j = 0; b->list[i].kind == BOXK_SAVED && j < n; j++)
            if (same(&b->list[i], &old[j])) {
                b->list[i].unread = old[j].unread;
                b->list[i].counted = old[j].counted;
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
    for (size_t i = 0; i < conf->nsaved; i++) {
        if (!(item = add(b)))
            break;
        item->kind = BOXK_SAVED;
        item->saved = i;
        item->name = mem_dup_z(conf->saved[i].name);
        item->query = mem_dup_z(conf->saved[i].query);
    }
    for (unsigned a = 0; a < accts->n; a++) {
        if (!(item = add(b)))
            break;
        item->kind = BOXK_ACCOUNT;
        item->account = a;
        item->name = mem_dup_z(accts->list[a].name);
        r.account = a;
        r.nabove = 0;
        r.whose = 0;
        r.only = accts->list[a].conf ? accts->list[a].conf->mailboxes : NULL;
        if (accts->list[a].reader)
            ok = reader_boxes(accts->list[a].reader, read_box, &r, err) && ok;
        set_aside(b, a);
    }
    b->list[0].unread = r.inbox_unread;
    b->list[0].total = r.inbox_total;
    carry_counts(b, old, old_n);
    unsigned line = b->cur - MIN(b->top, b->cur);
    b->cur = 0;
    for (unsigned i = 0; i < b->n && old_cur < old_n; i++)
        if (same(&b->list[i], &old[old_cur]))
            b->cur = i;
    b->top = b->cur > line ? b->cur - line : 0;
    items_free(old, old_n);
    return ok;
}

static bool can_open(const struct box_item *item)
{
    return (item->kind < BOXK_ACCOUNT || item->kind == BOXK_BOX) && !(item->attrs & (BOX_NOSELECT | BOX_NONEXISTENT));
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

bool box_within(const struct box_item *item, const struct box_item *above)
{
    return !strcmp(item->path, above->path) || below(above, str_z(item->path), item->delim).n > 0;
}

void boxes_follow(struct boxes *b, const struct list *l)
{
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
