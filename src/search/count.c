/* How many hits there are. */
#include "search/run.h"

/* All ids of a side that `fn` wants. */
static bool each_id(struct run *r, struct side *side, void (*fn)(struct run *, notmuch_message_t *, uint32_t *),
                    uint32_t *n, bool *canceled_r, struct err *err)
{
    if (!side_ask(side, NULL, err))
        return false;
    for (unsigned looked = 1; !*canceled_r; looked++) {
        if (!side_next(side, err))
            return false;
        if (side->first == NULL)
            break;
        fn(r, side->first, n);
        notmuch_message_destroy(side->first);
        side->first = NULL;
        *canceled_r = looked % 64 == 0 && superseded(r);
    }
    return true;
}

/* Those of the user's own that ours has too are looked for among ours. */
static void count_own(struct run *r, notmuch_message_t *m, uint32_t *n)
{
    notmuch_message_t *twin = known_to(r->ours.db, m);
    if (twin != NULL && !is_hidden(r, twin))
        str_set_add(&r->seen, str_z(notmuch_message_get_message_id(m)), NULL);
    *n += twin == NULL || !is_hidden(r, twin);
    if (twin != NULL)
        notmuch_message_destroy(twin);
}

/* Of ours, what is counted as the user's own, or is not there at all. */
static void count_both(struct run *r, notmuch_message_t *m, uint32_t *n)
{
    *n += str_set_has(&r->seen, str_z(notmuch_message_get_message_id(m))) || left_to_own(r, m);
}

static void count_files(struct run *r, notmuch_message_t *m, uint32_t *n)
{
    (void)r;
    *n += (uint32_t)MAX(notmuch_message_count_files(m), 0);
}

static bool count_side(struct run *r, struct side *side, uint32_t *n, struct err *err)
{
    unsigned count = 0;
    notmuch_status_t status = r->m->count == COUNT_THREADS ? notmuch_query_count_threads(side->q, &count)
                                                           : notmuch_query_count_messages(side->q, &count);
    if (status != NOTMUCH_STATUS_SUCCESS)
        query_error(side->db, status, err);
    *n += count;
    return status == NOTMUCH_STATUS_SUCCESS;
}

bool count_hits(struct run *r, uint32_t *count_r, bool *canceled_r, struct err *err)
{
    uint32_t ours = 0, own = 0, both = 0;
    if (r->m->count > COUNT_MESSAGES && r->own.db != NULL)
        return err_set(err, ERR_USAGE, "threads and files are counted in one index: name an account");
    if (r->m->count == COUNT_FILES) {
        *count_r = 0;
        return r->ours.db == NULL || each_id(r, &r->ours, count_files, count_r, canceled_r, err);
    }
    bool ok = r->ours.db == NULL || count_side(r, &r->ours, &ours, err);
    str_set_free(&r->seen);
    ok = ok && (r->own.db == NULL || each_id(r, &r->own, count_own, &own, canceled_r, err));
    ok = ok && ((r->seen.n == 0 && !r->own_rules) || *canceled_r || ours == 0 ||
                each_id(r, &r->ours, count_both, &both, canceled_r, err));
    *count_r = ours + own - both;
    return ok;
}
