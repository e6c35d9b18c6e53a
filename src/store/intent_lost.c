/* Intents whose command went out and whose answer did not come: settled by looking, never by doing it twice. */
#include "store/db_int.h"

bool db_intents_lost(struct db *db, const uint64_t *intents, size_t n, struct err *err)
{
    bool own;
    if (!call_enter(db, &own, err))
        return false;
    for (size_t i = 0; i < n; i++)
        q_keep(
            db,
            "UPDATE intent SET state=CASE WHEN ?1=0 AND kind NOT IN (?2,?3,?4,?5,?6) THEN 2 ELSE 0 END WHERE id=?7 AND "
            "state=1",
            "iiiiiii", I(db->local), I(INTENT_FLAGS), I(INTENT_TAGS), I(INTENT_PURGE), I(INTENT_BOX_SUBSCRIBE),
            I(INTENT_BOX_UNSUBSCRIBE), I(intents[i]));
    return call_leave(db, own, err);
}

/* ---- messages ----------------------------------------------------------------------------------- */

/* What a resync has shown needs no asking. */
static void settle_known(struct db *db, const struct intent *in)
{
    size_t n;
    struct item *items = items_load(db, in->id, &n);
    for (size_t i = 0; i < n; i++) {
        struct rowc r;
        uint64_t row = in->kind == INTENT_MOVE ? items[i].msg : items[i].copy;
        if (items[i].state == ITEM_PENDING && row_load(db, row, &r) && r.sbox == in->target && (r.uid || r.named)) {
            item_end(db, in->id, items[i].msg, ITEM_DONE);
            row_refresh(db, items[i].msg);
            row_refresh(db, row);
        }
    }
    items_free(items, n);
    intent_settle(db, in->id, ERR_NONE, "");
}

bool db_unknown_next(struct db *db, struct db_batch *batch_r, struct err *err)
{
    bool own;
    int64_t any;
    batch_begin(db, batch_r);
    if (!call_enter(db, &own, err))
        return false;
    struct intent *list = NULL;
    size_t n =
        q_one(db, &any, "SELECT 1 FROM intent WHERE state=2 AND state<3 LIMIT 1", "") ? intents_pending(db, &list) : 0;
    struct batch_mem *m = db->batch;
    const struct intent *first = NULL;
    m->intents = mem_array(n + 1, sizeof *m->intents);
    for (size_t i = 0; i < n && !db->failed; i++) {
        const struct intent *in = &list[i];
        if (in->state != INTENT_UNKNOWN || intent_on_box(in->kind) ||
            (first && (!intents_merge(first, in) || first->next != in->next)))
            continue;
        settle_known(db, in);
        size_t before = m->nitems;
        batch_items(db, m, in, &batch_r->uidvalidity);
        if (m->nitems > before) {
            first = first ? first : in;
            m->intents[m->nintents++] = in->id;
        }
    }
    if (first)
        batch_fill(db, first, batch_r);
    for (size_t i = 0; i < n; i++)
        intent_fini(&list[i]);
    free(list);
    return call_leave(db, own, err);
}

/* ---- mailboxes ---------------------------------------------------------------------------------- */

void intent_box_listed(struct db *db, struct str name)
{
    int64_t id;
    struct intent in;
    if (!db->has_pending ||
        !q_one(db, &id,
               "SELECT id FROM intent WHERE state=2 AND state<3 AND kind IN (?,?) AND arg=? ORDER BY id LIMIT 1", "iis",
               I(INTENT_BOX_CREATE), I(INTENT_BOX_RENAME), name) ||
        !intent_load(db, (uint64_t)id, &in))
        return;
    intent_box_done(db, &in);
    intent_fini(&in);
}

void intent_boxes_listed(struct db *db)
{
    if (db->has_pending) /* a mailbox deleted is not listed, and its intent ended with it; one made or renamed is */
        q_keep(db, "UPDATE intent SET state=0 WHERE state=2 AND kind IN (?,?,?)", "iii", I(INTENT_BOX_CREATE),
               I(INTENT_BOX_RENAME), I(INTENT_BOX_DELETE));
}
