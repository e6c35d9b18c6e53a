/* A live IMAP account: what fetch reports, into mailboxes and rows. RFC 9051, 7162, 8474. */
#include "store/account.h"

/* The mailbox a message names: -1 and nothing more for one that is gone, a violation for one that never was. */
static ptrdiff_t box_said(struct acct *a, uint64_t id, const struct msg *m)
{
    ptrdiff_t i = box_at(a, id);
    if (i < 0 && (id == 0 || id > a->max_box))
        acct_violation(a, "%s for a mailbox of no account", msg_name(m->kind));
    return i;
}

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
    if (!db_box_open(a->db, o->box, o->uidvalidity, o->uidnext, o->exists, o->readonly, o->keywords_ok, o->keywords,
                     &dropped, &err)) {
        acct_db_error(a, &err);
        return;
    }
    if (!db_box_recount(a->db, o->box, o->modseq, &err))
        acct_db_error(a, &err);
    if (dropped && o->uidvalidity)
        acct_note(a, 1, ERR_NONE, "the server renumbered %s: its list is read anew", box_words(a, o->box));
    if (dropped)
        a->plan[i].have = 0;
    a->selected = o->box;
    a->boxes[i].readonly = o->readonly;
    a->boxes[i].busy = a->boxes[i].later = false;
    a->boxes[i].opened_at = clock_mono_ms();
    a->boxes[i].modseq_seen = o->modseq;
    plan_opened(a, o->box, o->uidnext);
    sync_box_opened(&a->plan[i], had, &(struct sync_opened){o->uidvalidity, o->uidnext, o->exists, o->resync});
    box_refresh(a, (size_t)i);
    if (a->plan[i].have == 0)
        a->plan[i].hi_uid = 0;
    if (a->plan[i].have == 0 || o->resync)
        a->boxes[i].same = true; /* all rows are of this line, or its MODSEQ told */
    box_thin_look(a, &a->plan[i]);
    box_modseq_store(a, (size_t)i);
}

static void on_keywords(struct acct *a, struct msg *m)
{
    const struct m_KEYWORDS *k = &m->u.KEYWORDS;
    struct err err = ERR_INIT;
    if (box_said(a, k->box, m) >= 0 && !db_box_keywords(a->db, k->box, k->keywords_ok, k->keywords, &err))
        acct_db_error(a, &err);
}

bool acct_row_put(struct acct *a, const struct m_ROW *r, uint64_t *id_r, bool *fresh_r)
{
    struct err err = ERR_INIT;
    struct db_row row = {.box = r->box,
                         .uid = r->uid,
                         .flags = r->flags,
                         .keywords = r->keywords,
                         .modseq = r->modseq,
                         .size = r->size,
                         .internal_date = r->internal_date,
                         .date = r->date ? r->date : r->internal_date,
                         .attrs = r->attrs,
                         .rcpts = r->rcpts,
                         DB_ROW_HEADER(r),
                         .emailid = r->emailid,
                         .threadid = r->threadid,
                         .preview = r->preview};
    if (!db_row_put(a->db, &row, id_r, fresh_r, &err)) {
        acct_db_error(a, &err);
        return false;
    }
    return true;
}

static void on_row(struct acct *a, struct msg *m)
{
    const struct m_ROW *r = &m->u.ROW;
    uint64_t id;
    bool fresh = false;
    ptrdiff_t i = box_said(a, r->box, m);
    if (i < 0)
        return;
    if (r->uid == 0) {
        acct_violation(a, "a row without a UID");
        return;
    }
    if (acct_row_put(a, r, &id, &fresh))
        sync_row_came(&a->plan[i], r->seq);
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
                           .rcpts = r->rcpts,
                           .refs = r->refs,
                           .list_id = r->list_id,
                           .emailid = r->emailid,
                           .threadid = r->threadid};
    if (box_said(a, r->box, m) >= 0 && !db_row_more(a->db, &more, &err))
        acct_db_error(a, &err);
}

static void on_flags(struct acct *a, struct msg *m)
{
    const struct m_FLAGS *f = &m->u.FLAGS;
    struct err err = ERR_INIT;
    struct str keywords = f->flags_only ? (struct str){NULL, 0} : f->keywords.n ? f->keywords : STR("");
    ptrdiff_t i = box_said(a, f->box, m);
    bool same = true;
    if (i < 0 || f->uid == 0)
        return;
    if (!db_row_same(a->db, f->box, f->uid, f->size, f->internal_date, &same, &err) ||
        !db_flags_put(a->db, f->box, f->uid, f->flags, keywords, f->modseq, &err))
        acct_db_error(a, &err);
    if (!same) { /* THREATS 45 */
        log_msg(LOG_WARN, "%s: UID %u of %s is another message than before", a->name, f->uid, box_words(a, f->box));
        a->plan[i].need_uids = true;
        a->plan[i].stuck = a->plan[i].compared = false;
    }
}

static void on_gone(struct acct *a, struct msg *m)
{
    const struct m_GONE *g = &m->u.GONE;
    struct err err = ERR_INIT;
    ptrdiff_t i = box_said(a, g->box, m);
    if (i < 0)
        return;
    for (size_t k = 0; k < ipc_ranges_count(g->ranges); k++) {
        uint32_t lo, hi;
        ipc_ranges_at(g->ranges, k, &lo, &hi);
        if (lo == 0 || hi < lo) {
            acct_violation(a, "GONE with an empty range");
            return;
        }
    }
    box_refresh(a, (size_t)i);
    uint32_t before = a->plan[i].have;
    if (!db_gone_ranges(a->db, g->box, g->ranges, &err)) {
        acct_db_error(a, &err);
        return;
    }
    box_refresh(a, (size_t)i);
    uint32_t less = before > a->plan[i].have ? before - a->plan[i].have : 0;
    a->plan[i].exists -= MIN(less, a->plan[i].exists);
    sync_rows_gone(&a->plan[i], (uint32_t)MIN(ranges_total(g->ranges), (uint64_t)UINT32_MAX)); /* known here or not */
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
    box_modseq_store(a, (size_t)i);
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
    uint32_t before = b.known, last = n > 0 ? ranges[n - 1].hi : 0;
    sync_compare_begin(h.plan);
    if (!db_uids(a->db, a->plan[i].id, ranges, n, hole, &h, &err))
        acct_db_error(a, &err);
    free(ranges);
    buf_fini(&normal);
    box_refresh(a, i);
    a->pass_removed += a->passes && before > a->plan[i].have ? before - a->plan[i].have : 0;
    a->plan[i].exists = (uint32_t)MIN(total, (uint64_t)UINT32_MAX);
    if (last < UINT32_MAX)
        a->plan[i].uidnext = MAX(a->plan[i].uidnext, last + 1);
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
    } table[] = {{MSG_ROW, on_row},          {MSG_ROW_MORE, on_row_more},
                 {MSG_FLAGS, on_flags},      {MSG_GONE, on_gone},
                 {MSG_EXISTS, on_exists},    {MSG_BOX_OPEN, on_box_open},
                 {MSG_BOX, on_box},          {MSG_MODSEQ, on_modseq},
                 {MSG_UIDS, on_uids},        {MSG_LIST_NEWS, watch_list_news},
                 {MSG_PUSHED, watch_pushed}, {MSG_KEYWORDS, on_keywords}};
    for (size_t i = 0; i < COUNT(table); i++)
        if (table[i].kind == m->kind) {
            table[i].handle(a, m);
            return;
        }
}
