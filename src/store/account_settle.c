/* Places and outcomes that are not known: looking. A message is found by its UID, or by the server's id of it, or by
 * Message-ID and size; what a lost command brought to its target has a UID from the target's UIDNEXT of then on. */
#include "store/replay.h"

static void look_done(struct acct *a, struct step *s, enum err_kind kind, struct str text);

static bool look_send(struct acct *a, struct batch_run *r, size_t item, bool target)
{
    const struct db_batch *b = &r->b;
    const struct db_item *it = &b->items[item];
    ptrdiff_t to = box_at(a, b->target);
    bool all = to >= 0 && a->boxes[to].role == BOX_ALL; /* it has been there before */
    struct step *s = STEP(a, look_done, -1, STEP_FIND, .box = target ? b->target : b->box,
                          .name = target ? b->target_name : b->box_name, .msgid = it->msgid, .emailid = it->emailid,
                          .size = it->size, .uid = target || !b->uidvalidity ? 0 : it->uid,
                          .uid_lo = target && !all ? b->target_next : 0);
    if (s) {
        s->a = item;
        s->b = target;
        s->box = target ? b->target : b->box;
    }
    if (a->tail != (target ? b->target : b->box))
        a->tail = 0; /* fetch may have looked into another mailbox */
    return run_sent(r, s);
}

static void unsettled(struct acct *a, const struct batch_run *r, const struct db_item *it, enum err_kind kind,
                      const char *why)
{
    struct err err = ERR_INIT;
    const struct db_batch *b = &r->b;
    acct_note(a, 2, kind, "%s a message of %s in %s: %s", verb_of(b->kind), a->name, box_words(a, b->box), why);
    if (!db_item_failed(a->db, it->intent, it->msg, kind, why, &err))
        acct_db_error(a, &err);
}

static void settle_item(struct acct *a, struct batch_run *r, const struct db_item *it, const struct look *l)
{
    struct err err = ERR_INIT;
    if (it->msgid.n == 0 && it->size == 0)
        unsettled(a, r, it, ERR_UNKNOWN_OUTCOME, "it was cut off and cannot be looked up: look in both mailboxes");
    else if (r->b.kind == INTENT_MOVE && l->source && l->target && l->source_validity && !stays_behind(a, &r->b))
        r->halves++; /* a COPY that came without its deletion */
    else if (l->target &&
             !db_item_moved(a->db, it->intent, it->msg, l->uidvalidity, l->twice ? 0 : l->uid, STR(""), &err))
        acct_db_error(a, &err);
    else if (!l->target && (l->source || r->b.kind != INTENT_MOVE))
        r->requeue = true;
    else if (!l->target)
        unsettled(a, r, it, ERR_NO_MESSAGE, "it is neither there nor in the target of the move any more");
}

static bool settle_send(struct acct *a, struct batch_run *r)
{
    r->n = MIN(r->b.nitems - r->at, (size_t)SETTLE_MAX);
    bool any = false;
    for (size_t i = r->at; i < r->at + r->n; i++) {
        if (r->b.items[i].msgid.n == 0 && r->b.items[i].size == 0)
            continue;
        if (r->b.kind == INTENT_MOVE)
            any = look_send(a, r, i, false) || any;
        any = look_send(a, r, i, true) || any;
    }
    return any;
}

static void settle_end(struct acct *a, struct batch_run *r)
{
    struct err err = ERR_INIT;
    bool ok = r->requeue ? db_intents_requeue(a->db, r->b.intents, r->b.nintents, &err)
                         : db_intents_done(a->db, r->b.intents, r->b.nintents, &err);
    if (!ok)
        acct_db_error(a, &err);
    if (!r->requeue && r->b.kind == INTENT_APPEND)
        outbox_unlink(a->srv, r->b.arg);
    run_free(a, r);
}

/* The originals of what was copied have gone, or are at least marked: the moves are whole. */
static void halves_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = s->data;
    struct err err = ERR_INIT;
    (void)text;
    if (line_error(kind) || try_later(kind)) {
        run_free(a, r); /* looked up again when the line is back */
        return;
    }
    for (size_t i = 0; i < r->b.nitems; i++) {
        const struct look *l = &r->looks[i];
        const struct db_item *it = &r->b.items[i];
        if (l->source && l->target &&
            !db_item_moved(a->db, it->intent, it->msg, l->uidvalidity, l->twice ? 0 : l->uid, STR(""), &err))
            acct_db_error(a, &err);
    }
    settle_end(a, r);
}

static bool halves_send(struct acct *a, struct batch_run *r)
{
    struct uid_set set = UID_SET_INIT(BATCH_MAX);
    struct buf uids = BUF_INIT(32768);
    uint32_t validity = 0;
    for (size_t i = 0; i < r->b.nitems; i++)
        if (r->looks[i].source && r->looks[i].target)
            if (!validity || validity == r->looks[i].source_validity) {
                validity = r->looks[i].source_validity;
                uid_set_add(&set, r->looks[i].source_uid);
            }
    bool ok = uid_set_pack(&set, &uids) && imap_select(a, r->b.box, false) &&
              run_sent(r, STEP(a, halves_done, -1, STEP_EXPUNGE, .box = r->b.box, .uids = buf_str(&uids),
                               .uidvalidity = validity));
    uid_set_fini(&set);
    buf_fini(&uids);
    return ok;
}

static void settle_next(struct acct *a, struct batch_run *r)
{
    for (;;) {
        for (size_t i = r->at; i < r->at + r->n; i++)
            settle_item(a, r, &r->b.items[i], &r->looks[i]);
        r->at += r->n;
        if (r->at >= r->b.nitems)
            break;
        if (settle_send(a, r))
            return;
    }
    if (!r->halves)
        settle_end(a, r);
    else if (!halves_send(a, r))
        run_free(a, r);
}

static void find_next(struct acct *a, struct batch_run *r)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < r->b.nitems; i++) {
        const struct db_item *it = &r->b.items[i];
        const struct look *l = &r->looks[i];
        bool ok = true;
        if (it->uid != 0 || (!l->asked && (it->msgid.n > 0 || it->emailid.n > 0)))
            continue;
        if (l->source && !l->twice) {
            ok = db_item_found(a->db, it->msg, r->b.box, l->uidvalidity, l->uid, &err);
        } else {
            acct_note(a, 2, ERR_NO_MESSAGE, "%s a message in %s of %s: %s", verb_of(r->b.kind), box_words(a, r->b.box),
                      a->name, l->twice ? "it is there twice" : "it is not there any more");
            ok = db_item_failed(a->db, it->intent, it->msg, ERR_NO_MESSAGE, "not found in its mailbox", &err);
        }
        if (!ok)
            acct_db_error(a, &err);
    }
    run_free(a, r); /* asked for again, now with places */
}

static void look_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = s->data;
    (void)text;
    if (s->box != a->tail)
        a->selected = 0;
    if (kind != ERR_NONE && (line_error(kind) || try_later(kind)) && r->kind == ERR_NONE)
        r->kind = kind;
    if (--r->outstanding > 0)
        return;
    if (r->kind != ERR_NONE)
        run_free(a, r); /* nothing is decided: looked up again when the line is back */
    else if (r->phase == PHASE_SETTLE)
        settle_next(a, r);
    else
        find_next(a, r);
}

void settle_found(struct acct *a, const struct m_FOUND *f)
{
    struct step *s = acct_step_find(a, f->step, MSG_STEP_FIND);
    const struct batch_run *r = s ? s->data : NULL;
    if (!r || f->box != s->box || f->uid == 0 || s->a >= r->b.nitems) {
        acct_violation(a, "a finding that was not asked for");
        return;
    }
    const struct db_item *it = &r->b.items[s->a];
    struct look *l = &r->looks[s->a];
    bool other = it->size && f->size && it->size != f->size && r->b.kind != INTENT_APPEND;
    if (s->b) {
        if (other || f->uid < r->b.target_next)
            return; /* another message with that id, or a copy that was there before */
        l->twice = l->target;
        l->target = true;
    } else if (r->phase == PHASE_FIND) {
        if (other)
            return;
        l->twice = l->source;
        l->source = true;
    } else {
        if (other || (it->uid && r->b.uidvalidity && f->uidvalidity != r->b.uidvalidity))
            return; /* another message under its UID */
        l->source = true;
        l->source_uid = f->uid;
        l->source_validity = f->uidvalidity;
        return;
    }
    l->uidvalidity = f->uidvalidity;
    l->uid = f->uid;
}

void settle_begin(struct acct *a, struct batch_run *r, enum phase phase)
{
    r->phase = phase;
    r->looks = mem_array(r->b.nitems + 1, sizeof *r->looks);
    if (phase == PHASE_SETTLE) {
        if (!settle_send(a, r))
            settle_next(a, r);
        return;
    }
    bool any = false;
    for (size_t i = 0, n = 0; i < r->b.nitems && n < SETTLE_MAX; i++)
        if (r->b.items[i].uid == 0 && (r->b.items[i].msgid.n > 0 || r->b.items[i].emailid.n > 0)) {
            r->looks[i].asked = look_send(a, r, i, false);
            any = r->looks[i].asked || any;
            n++;
        }
    if (!any)
        find_next(a, r);
}
