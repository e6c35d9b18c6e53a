/* A live IMAP account: the steps that the plan (sync/) asks for, sent and ended. */
#include "store/account.h"

#define TRIES_MAX 3
#define NEWS_FEW 5 /* mails that came just now, whose first words are asked for */

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
            acct_note(a, 1, kind, "the list of mailboxes could not be had: %s", clean_line(text));
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
    acct_note(a, 1, kind, "%s cannot be opened: %s", box_words(a, s->box), clean_line(text));
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
            acct_note(a, 1, kind, "rows of %s could not be had: %s", box_words(a, s->box), clean_line(text));
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
    box_modseq_store(a, (size_t)i);
}

static void scan_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    plan_ended(a, s);
    ptrdiff_t i = box_at(a, s->box);
    if (i < 0 || line_error(kind) || kind == ERR_CANCELED)
        return;
    if (kind != ERR_NONE)
        acct_note(a, 1, kind, "%s could not be compared: %s", box_words(a, s->box), clean_line(text));
    if (s->kind == MSG_STEP_UIDS)
        a->plan[i].need_uids = false;
    else
        a->plan[i].flags_below = kind == ERR_NONE ? (uint32_t)s->a : 0;
    if (s->kind == MSG_STEP_FLAGS && kind == ERR_NONE && s->a <= 1)
        a->boxes[i].same = true;
    box_refresh(a, (size_t)i);
    box_modseq_store(a, (size_t)i);
}

static void watch_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)kind;
    (void)text;
    if (a->watch_step == s->number)
        a->watch_step = 0;
}

void plan_opened(struct acct *a, uint64_t box, uint32_t uidnext)
{
    for (size_t k = 0; k < a->nsteps; k++)
        if (a->steps[k]->done == rows_done && a->steps[k]->box == box)
            a->steps[k]->a = uidnext;
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
                          .count = n->count, .fields = fields_for(a, (size_t)(p - a->plan), n), .total = p->exists);
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
    for (size_t i = 0; a->plan && i < a->nboxes; i++) {
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

static struct step *plan_send(struct acct *a, const struct sync_step *n);

/* A mailbox, and in the same round trip its first page, or what is new. */
static struct step *send_open(struct acct *a, const struct sync_box *p, bool urgent)
{
    struct sync_step n = {
        .kind = p->have > 0 ? SYNC_NEW : SYNC_TOP, .box = p->id, .urgent = urgent, .count = SYNC_FIRST_PAGE};
    n.uid_lo = p->hi_uid + (p->hi_uid < UINT32_MAX);
    return send_select(a, (size_t)(p - a->plan), urgent) ? plan_send(a, &n) : NULL;
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
        return n->urgent || p->have == 0 ? send_open(a, p, n->urgent) : send_select(a, (size_t)i, false);
    case SYNC_TOP:
        return send_top(a, p, n);
    case SYNC_NEW:
        s = STEP(a, rows_done, -1, STEP_ROWS, .urgent = n->urgent, .box = n->box, .uid_lo = n->uid_lo,
                 .fields = p->exists > p->have && p->exists - p->have <= NEWS_FEW ? ROWS_NEWS : ROWS_WHOLE);
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

static void plan_under_way(struct acct *a, const struct step *s, bool urgent)
{
    if (s && urgent)
        a->urgent_step = s->number;
    else if (s)
        a->plan_step = s->number;
}

static void plan_begin(struct acct *a, const struct sync_step *n)
{
    struct step *s = plan_send(a, n);
    if (n->kind != SYNC_WATCH)
        plan_under_way(a, s, n->urgent);
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
    if (p)
        plan_under_way(a, send_open(a, p, p->watched), p->watched);
}

static int64_t since(int64_t then)
{
    return then == 0 ? INT64_MAX : (clock_mono_ms() - then) / 1000;
}

void imap_pump(struct acct *a)
{
    if (a->changed_boxes && !a->list_open)
        acct_boxes_load(a);
    rows_pump(a);
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
        box_thin_look(a, &a->plan[i]);
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
