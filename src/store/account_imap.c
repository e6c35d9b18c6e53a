/* A live IMAP account: what fetch reports into rows, and the steps that the plan (sync/) asks for. RFC 9051, 7162,
 * 8474. */
#include "store/account.h"

#define TRIES_MAX 3

/* ---- Mailboxes ---------------------------------------------------------------------------------- */
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
    static char words[200];
    snprintf(words, sizeof words, "%s", i < 0 ? "a mailbox" : clean_line(box_utf8(&a->boxes[i])));
    return words;
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
            b->opened_at = a->boxes[was].opened_at;
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

/* The mailbox a message names: -1 and nothing more for one that is gone, a violation for one that never was. */
static ptrdiff_t box_said(struct acct *a, uint64_t id, const struct msg *m)
{
    ptrdiff_t i = box_at(a, id);
    if (i < 0 && (id == 0 || id > a->max_box))
        acct_violation(a, "%s for a mailbox of no account", msg_name(m->kind));
    return i;
}

/* ---- What fetch says ---------------------------------------------------------------------------- */
static uint8_t role_by_option(const struct acct *a, struct str utf8)
{
    const struct account *c = a->conf;
    const struct {
        const char *name;
        uint8_t role;
    } options[] = {{c->archive, BOX_ARCHIVE}, {c->sent, BOX_SENT}, {c->drafts, BOX_DRAFTS},
                   {c->trash, BOX_TRASH},     {c->spam, BOX_JUNK}, {c->inbox, BOX_INBOX}};
    for (size_t i = 0; i < COUNT(options); i++)
        if (options[i].name && options[i].name[0] && str_eq(utf8, acct_own_name(a, str_z(options[i].name))))
            return options[i].role;
    return BOX_NONE;
}

static void on_box(struct acct *a, struct msg *m)
{
    const struct m_BOX *b = &m->u.BOX;
    struct err err = ERR_INIT;
    struct db_box had = {0};
    uint64_t id = 0;
    if (b->counts) {
        watch_counts(a, b);
        return;
    }
    bool known = db_box_by_name(a->db, b->name, &had, &err);
    uint32_t attrs_before = known ? had.attrs : 0;
    struct db_box put = {.name = b->name,
                         .utf8 = b->utf8,
                         .delim = (char)b->delim,
                         .attrs = b->attrs,
                         .role = b->role < BOX_OUTBOX ? b->role : BOX_NONE,
                         .uidvalidity = b->uidvalidity,
                         .uidnext = b->uidnext,
                         .modseq = b->modseq,
                         .exists = b->total,
                         .unread = b->unread,
                         .size = b->size,
                         .objid = b->id};
    if (!db_box_put(a->db, &put, &id, &err)) {
        acct_db_error(a, &err);
        return;
    }
    uint8_t role = role_by_option(a, b->utf8);
    if (role && !db_box_set_role(a->db, id, role, &err))
        acct_db_error(a, &err);
    a->max_box = MAX(a->max_box, id);
    ptrdiff_t i = box_at(a, id);
    if (i < 0 || attrs_before != b->attrs || !str_eq(box_name(&a->boxes[i]), b->name)) {
        a->changed_boxes = true;
        if (i < 0)
            return;
    }
    if (!known && !db_box_get(a->db, id, &had, &err)) /* renamed elsewhere */
        return;
    if (b->total != UINT32_MAX)
        watch_counted(a, (size_t)i, b, &had);
}

static void modseq_store(struct acct *a, size_t i)
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

/* Is there a row for the second pass? Asked when the plan comes to it, for rows come and go meanwhile. */
static void thin_look(struct acct *a, struct sync_box *p)
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

static step_fn rows_done;

static void on_box_open(struct acct *a, struct msg *m)
{
    const struct m_BOX_OPEN *o = &m->u.BOX_OPEN;
    struct err err = ERR_INIT;
    ptrdiff_t i = box_said(a, o->box, m);
    bool dropped = false;
    if (i < 0)
        return;
    if (o->resync > 2) {
        acct_violation(a, "BOX_OPEN with an unknown word");
        return;
    }
    for (size_t k = 0; k < a->nboxes; k++)
        a->plan[k].opened = false;
    uint32_t had = a->boxes[i].uidvalidity;
    box_refresh(a, (size_t)i);
    if (!db_box_open(a->db, o->box, o->uidvalidity, o->uidnext, o->exists, o->readonly, o->keywords_ok, &dropped,
                     &err)) {
        acct_db_error(a, &err);
        return;
    }
    if (!db_box_recount(a->db, o->box, o->modseq, &err))
        acct_db_error(a, &err);
    if (dropped) {
        acct_note(a, 1, ERR_NONE, "the server renumbered %s: its list is read anew", box_words(a, o->box));
        a->plan[i].have = 0;
    }
    a->selected = o->box;
    a->boxes[i].readonly = o->readonly;
    a->boxes[i].busy = a->boxes[i].later = false;
    a->boxes[i].opened_at = clock_mono_ms();
    a->boxes[i].modseq_seen = o->modseq;
    for (size_t k = 0; k < a->nsteps; k++) /* rows asked for behind this SELECT */
        if (a->steps[k]->done == rows_done && a->steps[k]->box == o->box)
            a->steps[k]->a = o->uidnext;
    sync_box_opened(&a->plan[i], had, &(struct sync_opened){o->uidvalidity, o->uidnext, o->exists, o->resync});
    box_refresh(a, (size_t)i);
    if (a->plan[i].have == 0)
        a->plan[i].hi_uid = 0;
    thin_look(a, &a->plan[i]);
    modseq_store(a, (size_t)i);
}

static void on_row(struct acct *a, struct msg *m)
{
    const struct m_ROW *r = &m->u.ROW;
    struct err err = ERR_INIT;
    uint64_t id;
    bool fresh = false;
    ptrdiff_t i = box_said(a, r->box, m);
    if (i < 0)
        return;
    if (r->uid == 0) {
        acct_violation(a, "a row without a UID");
        return;
    }
    struct db_row row = {.box = r->box,
                         .uid = r->uid,
                         .flags = r->flags,
                         .keywords = r->keywords,
                         .modseq = r->modseq,
                         .size = r->size,
                         .internal_date = r->internal_date,
                         .date = r->date ? r->date : r->internal_date,
                         .attrs = r->attrs,
                         .from_name = r->from_name,
                         .from_addr = r->from_addr,
                         .to = r->to,
                         .subject = r->subject,
                         .msgid = r->msgid,
                         .refs = r->refs,
                         .list_id = r->list_id};
    if (!db_row_put(a->db, &row, &id, &fresh, &err))
        acct_db_error(a, &err);
    a->pass_fresh += a->passes && fresh;
}

static void on_row_more(struct acct *a, struct msg *m)
{
    const struct m_ROW_MORE *r = &m->u.ROW_MORE;
    struct err err = ERR_INIT;
    struct db_more more = {.box = r->box,
                           .uid = r->uid,
                           .attrs = r->attrs,
                           .internal_date = r->internal_date,
                           .to = r->to,
                           .refs = r->refs,
                           .list_id = r->list_id};
    if (box_said(a, r->box, m) >= 0 && !db_row_more(a->db, &more, &err))
        acct_db_error(a, &err);
}

static void on_flags(struct acct *a, struct msg *m)
{
    const struct m_FLAGS *f = &m->u.FLAGS;
    struct err err = ERR_INIT;
    struct str keywords = f->flags_only ? (struct str){NULL, 0} : f->keywords.n ? f->keywords : STR("");
    if (box_said(a, f->box, m) >= 0 && f->uid != 0 &&
        !db_flags_put(a->db, f->box, f->uid, f->flags, keywords, f->modseq, &err))
        acct_db_error(a, &err);
}

static void on_gone(struct acct *a, struct msg *m)
{
    const struct m_GONE *g = &m->u.GONE;
    struct err err = ERR_INIT;
    ptrdiff_t i = box_said(a, g->box, m);
    if (i < 0)
        return;
    if (g->uid_lo == 0 || g->uid_hi < g->uid_lo) {
        acct_violation(a, "GONE with an empty range");
        return;
    }
    box_refresh(a, (size_t)i);
    uint32_t before = a->plan[i].have;
    if (!db_gone(a->db, g->box, g->uid_lo, g->uid_hi, &err)) {
        acct_db_error(a, &err);
        return;
    }
    box_refresh(a, (size_t)i);
    uint32_t less = before > a->plan[i].have ? before - a->plan[i].have : 0;
    a->plan[i].exists -= MIN(less, a->plan[i].exists);
    sync_rows_gone(&a->plan[i], g->uid_hi - g->uid_lo + (g->uid_hi - g->uid_lo < UINT32_MAX)); /* known here or not */
    a->pass_removed += a->passes ? less : 0;
}

static void on_exists(struct acct *a, struct msg *m)
{
    const struct m_EXISTS *e = &m->u.EXISTS;
    struct err err = ERR_INIT;
    ptrdiff_t i = box_said(a, e->box, m);
    if (i < 0)
        return;
    struct sync_box *p = &a->plan[i];
    p->grew = p->grew || e->exists > p->exists;
    p->need_uids = p->need_uids || e->exists < p->have;
    p->exists = e->exists;
    p->stuck = p->compared = false;
    p->fruitless = 0;
    if (!db_box_exists(a->db, e->box, e->exists, &err))
        acct_db_error(a, &err);
}

static void on_modseq(struct acct *a, struct msg *m)
{
    const struct m_MODSEQ *s = &m->u.MODSEQ;
    ptrdiff_t i = box_said(a, s->box, m);
    if (i < 0)
        return;
    a->boxes[i].modseq_seen = MAX(a->boxes[i].modseq_seen, s->modseq);
    a->plan[i].uidnext = MAX(a->plan[i].uidnext, s->uidnext);
    modseq_store(a, (size_t)i);
}

/* Of UIDs that the server has and we have not, which sequence numbers are they? */
struct holes {
    struct sync_box *plan;
    const struct db_range *ranges; /* of the server, rising */
    size_t at;                     /* the range last met and */
    uint64_t below;                /* how many messages lie below it */
    uint32_t above;                /* newer ones are the next step's own */
};

static void hole(void *arg, uint32_t lo, uint32_t hi)
{
    struct holes *h = arg;
    hi = MIN(hi, h->above);
    while (h->at > 0 && h->ranges[h->at].lo > hi) {
        h->at--;
        h->below -= (uint64_t)h->ranges[h->at].hi - h->ranges[h->at].lo + 1;
    }
    const struct db_range *r = &h->ranges[h->at];
    if (lo > hi || hi < r->lo || h->below + (hi - r->lo) + 1 > UINT32_MAX)
        return;
    sync_gap(h->plan, (uint32_t)h->below + (MAX(lo, r->lo) - r->lo) + 1, (uint32_t)h->below + (hi - r->lo) + 1);
}

static void uids_compare(struct acct *a, size_t i)
{
    struct buf normal = BUF_INIT(a->uids.max);
    struct db_box b = {0};
    struct err err = ERR_INIT;
    if (!ranges_normal(buf_str(&a->uids), &normal) || !db_box_get(a->db, a->plan[i].id, &b, &err)) {
        buf_fini(&normal);
        return;
    }
    size_t n = ipc_ranges_count(buf_str(&normal));
    struct db_range *ranges = mem_array(n + 1, sizeof *ranges);
    for (size_t k = 0; k < n; k++)
        ipc_ranges_at(buf_str(&normal), k, &ranges[k].lo, &ranges[k].hi);
    uint64_t total = ranges_total(buf_str(&normal));
    struct holes h = {.plan = &a->plan[i], .ranges = ranges, .above = b.uid_high};
    if (n > 0) {
        h.at = n - 1;
        h.below = total - ((uint64_t)ranges[n - 1].hi - ranges[n - 1].lo + 1);
    }
    uint32_t before = b.known;
    sync_compare_begin(h.plan);
    if (!db_uids(a->db, a->plan[i].id, ranges, n, hole, &h, &err))
        acct_db_error(a, &err);
    free(ranges);
    buf_fini(&normal);
    box_refresh(a, i);
    a->pass_removed += a->passes && before > a->plan[i].have ? before - a->plan[i].have : 0;
    a->plan[i].exists = (uint32_t)MIN(total, (uint64_t)UINT32_MAX);
    sync_compare_end(&a->plan[i]);
}

static void on_uids(struct acct *a, struct msg *m)
{
    const struct m_UIDS *u = &m->u.UIDS;
    ptrdiff_t i = box_said(a, u->box, m);
    struct step *s = acct_step_find(a, u->step, MSG_STEP_UIDS);
    if (s && s->data && u->ranges.n % 8 == 0) {
        replay_unseen(a, s, u);
        return;
    }
    if (!s || s->box != u->box || u->ranges.n % 8) {
        acct_violation(a, "UIDs that were not asked for");
        return;
    }
    if (a->uids_box != u->box)
        buf_reset(&a->uids);
    a->uids_box = u->box;
    if (!buf_adds(&a->uids, u->ranges)) {
        acct_violation(a, "more UIDs than a mailbox can hold");
        return;
    }
    if (!u->last)
        return;
    s->seen = true;
    if (i >= 0)
        uids_compare(a, (size_t)i);
    a->uids_box = 0;
    buf_fini(&a->uids);
}

void imap_message(struct acct *a, struct msg *m)
{
    static const struct {
        enum msg_kind kind;
        void (*handle)(struct acct *, struct msg *);
    } table[] = {
        {MSG_ROW, on_row},       {MSG_ROW_MORE, on_row_more},      {MSG_FLAGS, on_flags},     {MSG_GONE, on_gone},
        {MSG_EXISTS, on_exists}, {MSG_BOX_OPEN, on_box_open},      {MSG_BOX, on_box},         {MSG_MODSEQ, on_modseq},
        {MSG_UIDS, on_uids},     {MSG_LIST_NEWS, watch_list_news}, {MSG_PUSHED, watch_pushed}};
    for (size_t i = 0; i < COUNT(table); i++)
        if (table[i].kind == m->kind) {
            table[i].handle(a, m);
            return;
        }
}

/* ---- Steps of the plan -------------------------------------------------------------------------- */
static void plan_ended(struct acct *a, const struct step *s)
{
    if (a->plan_step == s->number)
        a->plan_step = 0;
    if (a->urgent_step == s->number)
        a->urgent_step = 0;
}

static void list_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    plan_ended(a, s);
    a->list_open = false;
    if (kind != ERR_NONE) {
        if (!line_error(kind) && kind != ERR_CANCELED) {
            acct_note(a, 1, kind, "the list of mailboxes could not be had: \"%s\"", clean_line(text));
            a->listed = true; /* what is known serves */
            a->list_at = clock_mono_ms();
        }
        return;
    }
    a->listed = true;
    a->list_at = clock_mono_ms();
    a->changed_boxes = true;
    watch_listed(a);
    if (!db_boxes_end(a->db, &err))
        acct_db_error(a, &err);
}

static void status_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)kind;
    (void)text;
    plan_ended(a, s);
}

static void select_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    plan_ended(a, s);
    if (kind == ERR_NONE || line_error(kind) || kind == ERR_CANCELED)
        return;
    ptrdiff_t i = box_at(a, s->box);
    if (a->selected == s->box)
        a->selected = 0;
    if (i < 0)
        return;
    a->plan[i].opened = false;
    if (kind == ERR_SERVER_TEMP) {
        watch_busy(a, (size_t)i, text);
        return;
    }
    a->plan[i].failed = true;
    acct_note(a, 1, kind, "%s cannot be opened: \"%s\"", box_words(a, s->box), clean_line(text));
    if (kind == ERR_NO_MAILBOX)
        a->list_at = 0;
}

static void rows_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct err err = ERR_INIT;
    plan_ended(a, s);
    ptrdiff_t i = box_at(a, s->box);
    if (i < 0)
        return;
    struct sync_box *p = &a->plan[i];
    box_refresh(a, (size_t)i);
    if (kind == ERR_SERVER_TEMP) {
        watch_busy(a, (size_t)i, text);
        return;
    }
    if (kind != ERR_NONE) {
        if (!line_error(kind) && kind != ERR_CANCELED && ++a->boxes[i].tries >= TRIES_MAX) {
            p->failed = true;
            acct_note(a, 1, kind, "rows of %s could not be had: \"%s\"", box_words(a, s->box), clean_line(text));
        }
        return;
    }
    a->boxes[i].tries = 0;
    if (s->kind == MSG_STEP_ROWS || s->b == 0) {
        p->fetched_uidnext = (uint32_t)s->a;
        if (p->exists <= p->have || s->kind == MSG_STEP_ROWS)
            p->grew = false;
    }
    if (s->kind == MSG_STEP_ROWS_TOP) {
        uint32_t hi = s->hi ? MIN(s->hi, p->exists) : p->exists;
        sync_rows_came(p, hi > s->count ? hi - s->count + 1 : 1, hi, (uint32_t)s->b);
        p->page_thin = p->page_thin || s->count <= SYNC_FIRST_PAGE;
        p->thin = true;
        p->more_below = 0;
    }
    if (p->exists <= p->have && !db_box_filled(a->db, p->id, &err))
        acct_db_error(a, &err);
    modseq_store(a, (size_t)i);
}

static void scan_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    plan_ended(a, s);
    ptrdiff_t i = box_at(a, s->box);
    if (i < 0 || line_error(kind) || kind == ERR_CANCELED)
        return;
    if (kind != ERR_NONE)
        acct_note(a, 1, kind, "%s could not be compared: \"%s\"", box_words(a, s->box), clean_line(text));
    if (s->kind == MSG_STEP_UIDS)
        a->plan[i].need_uids = false;
    else
        a->plan[i].flags_below = kind == ERR_NONE ? (uint32_t)s->a : 0;
    box_refresh(a, (size_t)i);
    modseq_store(a, (size_t)i);
}

static void watch_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)kind;
    (void)text;
    if (a->watch_step == s->number)
        a->watch_step = 0;
}

static struct step *send_select(struct acct *a, size_t i, bool urgent)
{
    const struct sync_box *p = &a->plan[i];
    const struct box *b = &a->boxes[i];
    bool known = p->have > 0;
    struct step *s = STEP(a, select_done, -1, STEP_SELECT, .urgent = urgent, .box = p->id, .name = box_name(b),
                          .uidvalidity = known ? b->uidvalidity : 0, .modseq = known ? b->modseq : 0,
                          .uidnext = known ? p->hi_uid + (p->hi_uid < UINT32_MAX) : 0);
    if (s) {
        s->box = p->id;
        a->tail = p->id;
        a->watching = 0;
    }
    return s;
}

bool imap_select(struct acct *a, uint64_t box, bool urgent)
{
    ptrdiff_t i = box_at(a, box);
    if (i < 0)
        return false;
    if (a->tail == box && a->line == LINE_UP)
        return true;
    return send_select(a, (size_t)i, urgent) != NULL;
}

/* What lists of sent mail show at first is to whom. */
static uint8_t fields_for(const struct acct *a, size_t i, const struct sync_step *n)
{
    bool sent = a->boxes[i].role == BOX_SENT || a->boxes[i].role == BOX_DRAFTS;
    return n->whole ? ROWS_WHOLE : sent ? ROWS_FIRST_TO : ROWS_FIRST;
}

static struct step *send_top(struct acct *a, const struct sync_box *p, const struct sync_step *n)
{
    struct step *s = STEP(a, rows_done, -1, STEP_ROWS_TOP, .urgent = n->urgent, .box = p->id, .below_seq = n->below_seq,
                          .count = n->count, .fields = fields_for(a, (size_t)(p - a->plan), n));
    if (s) {
        s->hi = n->below_seq;
        s->count = n->count;
        s->box = p->id;
        s->a = p->uidnext;
        s->b = p->have;
    }
    return s;
}

static struct step *send_status(struct acct *a)
{
    struct buf names = BUF_INIT(32768);
    for (size_t i = 0; i < a->nboxes; i++) {
        const struct sync_box *p = &a->plan[(i + a->status_from) % a->nboxes];
        const struct box *b = &a->boxes[(i + a->status_from) % a->nboxes];
        if (!p->selectable || p->opened)
            continue;
        if (names.n + b->name_n + 1 > names.max) {
            /* The rest has its turn next time. */
            a->status_from = (i + a->status_from) % a->nboxes;
            break;
        }
        if (names.n > 0)
            buf_addc(&names, '\0');
        buf_adds(&names, box_name(b));
    }
    a->status_at = clock_mono_ms();
    struct step *s = names.n > 0 ? STEP(a, status_done, -1, STEP_STATUS, .names = buf_str(&names)) : NULL;
    buf_fini(&names);
    return s;
}

static struct step *send_list(struct acct *a)
{
    struct err err = ERR_INIT;
    if (!db_boxes_begin(a->db, &err)) {
        acct_db_error(a, &err);
        return NULL;
    }
    a->list_open = true;
    a->status_at = clock_mono_ms(); /* counts come with the list */
    return STEP(a, list_done, -1, STEP_LIST, .step = 0);
}

static void range_add(void *arg, uint32_t lo, uint32_t hi)
{
    ipc_ranges_add(arg, lo, hi); /* full: the rest has its turn later */
}

static void more_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    plan_ended(a, s);
    ptrdiff_t i = box_at(a, s->box);
    if (i < 0 || line_error(kind) || kind == ERR_CANCELED)
        return;
    if (!a->plan[i].page_thin)
        a->plan[i].more_below = (uint32_t)s->a; /* what still lacks something is not to be had */
    a->plan[i].page_thin = false;
    if (kind == ERR_NONE)
        return;
    a->plan[i].thin = false; /* it is tried again when the mailbox is opened again */
    log_msg(LOG_WARN, "%s: the second pass over %s: %s", a->name, box_words(a, s->box), clean_line(text));
}

static struct step *send_more(struct acct *a, struct sync_box *p, uint32_t count)
{
    struct buf uids = BUF_INIT(32768);
    struct err err = ERR_INIT;
    struct step *s = NULL;
    if (!db_thin(a->db, p->id, p->page_thin ? 0 : p->more_below, count, range_add, &uids, &err))
        acct_db_error(a, &err);
    else if (uids.n > 0)
        s = STEP(a, more_done, -1, STEP_MORE, .box = p->id, .uids = buf_str(&uids));
    if (s) {
        uint32_t lo, hi;
        ipc_ranges_at(buf_str(&uids), ipc_ranges_count(buf_str(&uids)) - 1, &lo, &hi);
        s->box = p->id;
        s->a = lo;
    }
    buf_fini(&uids);
    return s;
}

static struct step *plan_send(struct acct *a, const struct sync_step *n)
{
    ptrdiff_t i = n->box ? box_at(a, n->box) : -1;
    struct sync_box *p = i >= 0 ? &a->plan[i] : NULL;
    struct step *s = NULL;
    if (!p && n->kind != SYNC_LIST && n->kind != SYNC_STATUS)
        return NULL; /* nothing to do, or a mailbox that has gone */
    switch (n->kind) {
    case SYNC_LIST:
        return send_list(a);
    case SYNC_STATUS:
        return send_status(a);
    case SYNC_SELECT:
        s = send_select(a, (size_t)i, n->urgent);
        if (s && p->have == 0) /* the first page in the same round trip */
            s = send_top(a, p, &(struct sync_step){.urgent = n->urgent, .count = SYNC_FIRST_PAGE});
        return s;
    case SYNC_TOP:
        return send_top(a, p, n);
    case SYNC_NEW:
        s = STEP(a, rows_done, -1, STEP_ROWS, .urgent = n->urgent, .box = n->box, .uid_lo = n->uid_lo);
        break;
    case SYNC_MORE:
        return send_more(a, p, n->count);
    case SYNC_FLAGS:
        s = STEP(a, scan_done, -1, STEP_FLAGS, .box = n->box, .uid_lo = n->uid_lo, .uid_hi = n->uid_hi);
        if (s)
            s->box = n->box, s->a = n->uid_lo;
        return s;
    case SYNC_UIDS:
        s = STEP(a, scan_done, -1, STEP_UIDS, .box = n->box);
        break;
    case SYNC_WATCH:
        s = STEP(a, watch_done, -1, STEP_WATCH, .box = n->box);
        if (s) {
            s->box = n->box;
            a->watching = n->box;
            a->watch_step = s->number;
        }
        return s;
    case SYNC_NOTHING:
        break;
    }
    if (s) {
        s->box = n->box;
        s->a = p->uidnext;
        s->b = p->have;
    }
    return s;
}

static void plan_begin(struct acct *a, const struct sync_step *n)
{
    struct step *s = plan_send(a, n);
    if (!s || n->kind == SYNC_WATCH)
        return;
    if (n->urgent)
        a->urgent_step = s->number;
    else
        a->plan_step = s->number;
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

/* The server is asked for all of it in the flight of the login. Not where changes of the user wait: their outcome is
 * looked for before the rows are compared. */
void imap_connecting(struct acct *a)
{
    const struct sync_box *p = sync_first(a->plan, a->nboxes);
    struct db_counts counts = {0};
    struct err err = ERR_INIT;
    if (!db_intent_counts(a->db, &counts, &err) || counts.queued + counts.sent + counts.unknown > 0)
        return;
    if (!p || !send_select(a, (size_t)(p - a->plan), p->watched))
        return;
    struct sync_step n = {
        .kind = p->have > 0 ? SYNC_NEW : SYNC_TOP, .box = p->id, .urgent = p->watched, .count = SYNC_FIRST_PAGE};
    n.uid_lo = p->hi_uid + (p->hi_uid < UINT32_MAX);
    plan_begin(a, &n);
}

static int64_t since(int64_t then)
{
    return then == 0 ? INT64_MAX : (clock_mono_ms() - then) / 1000;
}

void imap_want_oldest(struct acct *a, uint64_t box)
{
    ptrdiff_t i = box_at(a, box);
    if (i >= 0)
        a->plan[i].want_oldest = true;
    acct_pump(a);
}

void imap_pump(struct acct *a)
{
    if (a->changed_boxes && !a->list_open)
        acct_boxes_load(a);
    if (a->line != LINE_UP)
        return;
    bool replaying = replay_pump(a);
    /* A user who looks elsewhere overtakes one background step, but never stands between a SELECT and the change that
     * needs it. */
    if (replaying || a->urgent_step)
        return;
    ptrdiff_t sel = box_at(a, a->selected);
    if (sel >= 0)
        box_refresh(a, (size_t)sel);
    struct sync_facts f = {.online = true,
                           .pushed = a->pushed,
                           .listed = a->listed,
                           .deep = a->passes != NULL,
                           .idle_sync = true,
                           .since_list = since(a->list_at),
                           .since_status = since(a->status_at),
                           .since_fore = a->fore_at ? since(a->fore_at) : 0,
                           .selected = a->selected,
                           .watching = a->watching != 0 && a->watching == a->selected,
                           .boxes = a->plan,
                           .nboxes = a->nboxes};
    if (sel >= 0 && (a->plan[sel].watched || (a->plan[sel].inbox && !a->watched)))
        a->fore_at = clock_mono_ms();
    struct sync_step n = sync_next(&f);
    for (unsigned k = 0; n.kind == SYNC_MORE && !a->plan_step && k < 2; k++) {
        ptrdiff_t i = box_at(a, n.box);
        if (i < 0)
            return;
        thin_look(a, &a->plan[i]);
        if (a->plan[i].thin)
            break;
        n = sync_next(&f);
    }
    if (a->passes && !a->plan_step && !sync_busy(&f) && !replay_pending(a)) {
        for (size_t i = 0; i < a->nboxes; i++)
            a->pass_kept += a->plan[i].have;
        acct_pass_end(a, ERR_NONE, "");
        f.deep = false;
    }
    /* Nothing is missing in any list: the line is free for bodies. */
    bool rests =
        !a->plan_step && !sync_busy(&f) && (n.kind == SYNC_NOTHING || n.kind == SYNC_WATCH || n.kind == SYNC_SELECT);
    if (rests && !a->opens && cache_pump(a, sel < 0 || (!a->plan[sel].watched && (a->watched || !a->plan[sel].inbox))))
        return;
    /* Who acts on a mailbox does so again: another one is not selected between two keys. */
    if (n.kind == SYNC_SELECT && !n.urgent && a->selected && n.box != a->selected && !a->passes && replay_quiet(a))
        return;
    if (n.kind != SYNC_NOTHING && (n.urgent || !a->plan_step))
        plan_begin(a, &n);
}
