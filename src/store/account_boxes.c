/* The mailboxes of an account as the store holds them in memory: what is known of each beside its rows, and the facts
 * that the plan (sync/) decides by. */
#include "store/account.h"

struct str box_name(const struct box *b)
{
    return (struct str){b->name, b->name_n};
}

struct str box_utf8(const struct box *b)
{
    return (struct str){b->utf8, b->utf8_n};
}

ptrdiff_t box_at(struct acct *a, uint64_t id)
{
    if (a->box_hint < a->nboxes && a->plan[a->box_hint].id == id)
        return (ptrdiff_t)a->box_hint;
    size_t lo = 0, hi = a->nboxes;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (a->plan[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == a->nboxes || a->plan[lo].id != id)
        return -1;
    a->box_hint = lo;
    return (ptrdiff_t)lo;
}

ptrdiff_t box_role(struct acct *a, uint8_t role)
{
    struct db_box b;
    struct err err = ERR_INIT;
    return db_box_by_role(a->db, role, &b, &err) ? box_at(a, b.id) : -1;
}

const char *box_words(struct acct *a, uint64_t id)
{
    ptrdiff_t i = box_at(a, id);
    static struct buf words = {.max = 200}; /* not clean_line's, which often holds the reason in the same note */
    if (i < 0)
        return "a mailbox";
    buf_reset(&words);
    text_from_bytes(box_utf8(&a->boxes[i]), TEXT_FOLD_SPACE, &words);
    return buf_z(&words);
}

static void facts_from(struct sync_box *p, const struct db_box *b)
{
    p->have = b->known;
    p->hi_uid = b->uid_high;
}

void box_refresh(struct acct *a, size_t i)
{
    struct db_box b;
    struct err err = ERR_INIT;
    if (db_box_get(a->db, a->plan[i].id, &b, &err)) {
        facts_from(&a->plan[i], &b);
        a->boxes[i].uidvalidity = b.uidvalidity;
        a->boxes[i].modseq = b.modseq;
    }
}

struct loading {
    struct acct *a;
    struct box *boxes;
    struct sync_box *plan;
    size_t n, cap;
};

static void box_load(void *arg, const struct db_box *b)
{
    struct loading *l = arg;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 32;
        l->boxes = mem_resize(l->boxes, l->cap, sizeof *l->boxes);
        l->plan = mem_resize(l->plan, l->cap, sizeof *l->plan);
    }
    struct box *x = &l->boxes[l->n];
    struct sync_box *p = &l->plan[l->n++];
    *x = (struct box){.name = mem_dup_n(b->name.p, b->name.n),
                      .name_n = b->name.n,
                      .utf8 = mem_dup_n(b->utf8.p, b->utf8.n),
                      .utf8_n = b->utf8.n,
                      .delim = b->delim,
                      .attrs = b->attrs,
                      .uidvalidity = b->uidvalidity,
                      .unread = b->unread,
                      .modseq = b->modseq,
                      .role = b->role,
                      .readonly = b->readonly,
                      .creating = b->creating};
    *p = (struct sync_box){.id = b->id, .exists = b->exists == UINT32_MAX ? 0 : b->exists, .uidnext = b->uidnext};
}

static int by_id(const void *x, const void *y)
{
    uint64_t a = ((const struct sync_box *)x)->id, b = ((const struct sync_box *)y)->id;
    return a < b ? -1 : a > b;
}

void acct_boxes_load(struct acct *a)
{
    struct loading l = {.a = a};
    struct err err = ERR_INIT;
    a->changed_boxes = false;
    if (!db_boxes_each(a->db, box_load, &l, &err))
        acct_db_error(a, &err);
    /* Ids rise with creation, and the order of the two arrays is one: sort pairs only where the database gave another
     * order. */
    bool sorted = true;
    for (size_t i = 1; i < l.n; i++)
        sorted = sorted && l.plan[i - 1].id < l.plan[i].id;
    if (!sorted) {
        struct sync_box *plan = mem_array(l.n, sizeof *plan);
        struct box *boxes = mem_array(l.n, sizeof *boxes);
        for (size_t i = 0; i < l.n; i++) {
            plan[i] = l.plan[i];
            plan[i].count_tag = (uint32_t)i;
        }
        qsort(plan, l.n, sizeof *plan, by_id);
        for (size_t i = 0; i < l.n; i++)
            boxes[i] = l.boxes[plan[i].count_tag];
        free(l.plan);
        free(l.boxes);
        l.plan = plan;
        l.boxes = boxes;
    }
    for (size_t i = 0; i < l.n; i++) {
        struct sync_box *p = &l.plan[i];
        struct box *b = &l.boxes[i];
        ptrdiff_t was = box_at(a, p->id);
        if (was >= 0) {
            uint32_t tag = p->count_tag;
            *p = a->plan[was];
            p->count_tag = tag;
            b->tries = a->boxes[was].tries;
            b->modseq_seen = a->boxes[was].modseq_seen;
            b->busy = a->boxes[was].busy;
            b->later = a->boxes[was].later;
            b->same = a->boxes[was].same;
            /* under another name its files have other paths */
            b->scan = !a->imap && (a->boxes[was].scan || !str_eq(box_name(b), box_name(&a->boxes[was])));
            b->opened_at = a->boxes[was].opened_at;
        } else {
            b->scan = !a->imap;
        }
        p->selectable = !(b->attrs & (BOX_NOSELECT | BOX_NONEXISTENT)) && !b->creating;
        p->inbox = b->role == BOX_INBOX;
        p->watched = p->id == a->watched;
        p->low = b->role == BOX_TRASH || b->role == BOX_JUNK;
        p->on_request = b->role == BOX_ALL || b->role == BOX_FLAGGED || b->role == BOX_IMPORTANT;
        a->max_box = MAX(a->max_box, p->id);
    }
    for (size_t i = 0; i < a->nboxes; i++) {
        free(a->boxes[i].name);
        free(a->boxes[i].utf8);
    }
    free(a->boxes);
    free(a->plan);
    a->boxes = l.boxes;
    a->plan = l.plan;
    a->nboxes = l.n;
    a->box_hint = 0;
    for (size_t i = 0; i < a->nboxes; i++)
        box_refresh(a, i);
    cache_policies(a);
}

void box_modseq_store(struct acct *a, size_t i)
{
    struct err err = ERR_INIT;
    struct sync_box *p = &a->plan[i];
    /* What a removal or flag scan has still to find must be found again next time. */
    if (a->boxes[i].modseq_seen == 0 || p->need_uids || p->flags_below > 1 || p->have == 0)
        return;
    if (!db_box_synced(a->db, p->id, a->boxes[i].modseq_seen, p->uidnext, &err))
        acct_db_error(a, &err);
    a->boxes[i].modseq_seen = 0;
}

static void range_any(void *arg, uint32_t lo, uint32_t hi)
{
    (void)lo;
    (void)hi;
    *(bool *)arg = true;
}

void box_thin_look(struct acct *a, struct sync_box *p)
{
    struct err err = ERR_INIT;
    bool any = false;
    if (p->page_thin)
        p->more_below = 0;
    if (!db_thin(a->db, p->id, p->more_below, 1, range_any, &any, &err))
        acct_db_error(a, &err);
    p->thin = any;
    p->page_thin = p->page_thin && any;
}

bool acct_listed(const struct acct *a)
{
    return !a->imap || a->listed || a->nboxes > 1 || (a->nboxes == 1 && a->boxes[0].delim);
}

void imap_begin(struct acct *a)
{
    const char *inbox = a->conf->inbox;
    struct db_box put = {.name = STR("INBOX"),
                         .utf8 = STR("INBOX"),
                         .role = BOX_INBOX,
                         .exists = UINT32_MAX,
                         .unread = UINT32_MAX,
                         .uidnext = UINT32_MAX,
                         .uidvalidity = UINT32_MAX};
    struct err err = ERR_INIT;
    uint64_t id;
    if (inbox && inbox[0] && !str_case_eqz(str_z(inbox), "INBOX"))
        return;
    if (!db_box_put(a->db, &put, &id, &err))
        acct_db_error(a, &err);
    acct_boxes_load(a);
}

uint64_t acct_folder(struct acct *a, const char *folder, uint64_t *group, bool automatic, struct err *err)
{
    static const struct {
        const char *word;
        uint8_t role;
    } roles[] = {{"INBOX", BOX_INBOX}, {"Archive", BOX_ARCHIVE}, {"Trash", BOX_TRASH},  {"Junk", BOX_JUNK},
                 {"Spam", BOX_JUNK},   {"Sent", BOX_SENT},       {"Drafts", BOX_DRAFTS}};
    struct buf name = BUF_INIT(4000), shown = BUF_INIT(1000);
    struct db_box b = {.id = 0};
    struct err none = ERR_INIT;
    uint64_t made = 0;
    uint32_t count = 0;
    uint8_t role = BOX_NONE;
    acct_box_name(a, str_z(folder), &name, &shown);
    for (size_t i = 0; i < COUNT(roles); i++)
        if (str_case_eqz(str_z(folder), roles[i].word))
            role = roles[i].role;
    if (role != BOX_INBOX && db_box_by_name(a->db, buf_str(&name), &b, &none)) {
        made = b.id;
    } else if (role != BOX_NONE) {
        made = acct_role_box(a, role, err);
    } else if (a->imap || local_name_ok(a, buf_str(&name), err)) {
        struct db_intent in = {.kind = INTENT_BOX_CREATE,
                               .arg = buf_str(&name),
                               .utf8 = buf_str(&shown),
                               .now = clock_wall(),
                               .automatic = automatic,
                               .group = *group};
        uint64_t mine = 0;
        if (db_intent_add(a->db, &in, &mine, &made, &count, err) && !*group)
            *group = mine;
        a->changed_boxes = true;
        rules_box_made(a->srv->rules);
    }
    buf_fini(&name);
    buf_fini(&shown);
    return made;
}
