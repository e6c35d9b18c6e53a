/* Running a query: the notmuch side. */
#include "search/run.h"

#define HELD_HITS 16 /* are looked up at once, and then the client may have something new */
#define TRIES 4      /* a commit may pull the database from under a query: opened again, asked again */

bool superseded(struct run *r)
{
    struct err err = ERR_INIT;
    int got = chan_recv(r->s->client, r->next, &err);
    r->gone = got < 0;
    return got != 0;
}

/* The first message of a side, taken from it. */
static bool send_first(struct run *r, struct side *side, uint32_t *at, uint32_t skip, struct err *err)
{
    notmuch_message_t *m = side->first, *twin = NULL;
    bool ok = true;
    if (r->m->msgs.n > 0)
        ok = send_only(r, m, err);
    else if (wanted(r, side, &twin)) {
        bool later = (*at)++ >= skip;
        if (r->ranking != NULL)
            rank(r, side);
        else if (later)
            ok = send_hit(r, m, twin, err);
    }
    if (twin != NULL)
        notmuch_message_destroy(twin);
    notmuch_message_destroy(m);
    side->first = NULL;
    return ok;
}

/* How many there are, as soon as the first of them are told; where all are counted here in one step. */
static bool count_early(struct run *r, bool *canceled_r, struct err *err)
{
    uint32_t count;
    if (!r->m->brief || !r->m->count || r->counted || r->hits < FIRST_PAGE || r->own.db != NULL)
        return true;
    r->counted = true;
    return count_hits(r, &count, canceled_r, err) &&
           sent(r, SEND(r->s->client, -1, err, HIT_COUNT, .req = r->m->req, .count = count), err);
}

/* Goes on to the next slice where the last one is through. What it brought is told before, so that the first hits are
 * on the screen while others are looked for. */
static bool next_first(struct run *r, struct side **side_r, struct err *err)
{
    for (bool more = true; more;) {
        if (!side_next(&r->ours, err) || !side_next(&r->own, err))
            return false;
        if ((*side_r = side_of_next(r)) != NULL)
            return true;
        if ((r->hits < FIRST_PAGE && !send_batch(r, err)) || !slices_next(r, &more, err))
            return false;
    }
    return true;
}

static bool send_hits(struct run *r, const char *text, bool *canceled_r, struct err *err)
{
    bool only = r->m->msgs.n > 0; /* what was sent by an earlier try is sent again: it is the same messages */
    uint32_t at = 0, limit = only ? UINT32_MAX : r->m->limit, skip = only ? 0 : r->m->offset + r->hits;
    slices_begin(r, text);
    ranking_free(r);
    if (!only && limit > 0 && r->m->order == SEARCH_RELEVANCE)
        ranking_begin(r);
    for (unsigned looked = 1; r->hits < limit; looked++) {
        struct side *side = NULL;
        if (!next_first(r, &side, err))
            return false;
        if (r->ranking != NULL && (side == NULL || ranking_full(r)) && !send_ranked(r, limit, skip, canceled_r, err))
            return false;
        if (side == NULL || *canceled_r)
            break;
        r->slices.hits++;
        if (looked % HELD_HITS == 1)
            places_hold(r, true);
        if (!send_first(r, side, &at, skip, err) || !count_early(r, canceled_r, err))
            return false;
        if (looked % HELD_HITS == 0) {
            places_hold(r, false);
            *canceled_r = superseded(r);
            if (*canceled_r)
                return true;
        }
    }
    return true;
}

static bool ask(struct run *r, const char *text, uint32_t *count_r, bool *canceled_r, struct err *err)
{
    struct side *const sides[] = {&r->own, &r->ours}; /* what is being built is newer */
    if (!open_both(r, text, err))
        return false;
    only_free(r);
    bool ok = true;
    for (size_t i = 0; ok && i < COUNT(sides); i++)
        ok = sides[i]->db == NULL || side_query(r, sides[i], text, &sides[i]->q, err);
    ok = ok && send_hits(r, text, canceled_r, err);
    places_hold(r, false);
    if (r->m->msgs.n > 0)
        *count_r = (uint32_t)r->nonly;
    else if (ok && r->m->count && !r->counted && !*canceled_r)
        ok = count_hits(r, count_r, canceled_r, err);
    return ok;
}

/* The query within its mailbox. False: there is no such mailbox, and nothing in it. */
static bool in_box(struct search *s, const struct m_QUERY *m, const struct buf *query, struct buf *out)
{
    struct buf box = BUF_INIT(64u << 10);
    bool ok = query_box(s, m->account, m->box, &box) && query_both(buf_str(query), buf_str(&box), out);
    buf_fini(&box);
    return ok;
}

bool search_run(struct search *s, const struct m_QUERY *m, struct msg *next_r, struct err *err)
{
    struct run r = {.s = s, .m = m, .next = next_r};
    struct buf text = BUF_INIT(256u << 10);
    struct err why = ERR_INIT;
    bool canceled = false;
    /* what is asked for by its id needs no path of the account */
    struct buf own = BUF_INIT(128u << 10);
    bool part = m->msgs.n > 0 || m->box != 0, ok = search_expand(s, m->query, part ? STR("") : m->account, &own, &why);
    uint32_t count = 0;
    batch_init(&r);
    if (ok && m->box != 0)
        ok = in_box(s, m, &own, &text);
    else
        buf_adds(&text, buf_str(&own));
    buf_fini(&own);
    /* The answer's number is copied: the message that supersedes this one takes the place of its strings. */
    uint32_t req = m->req;
    next_r->kind = MSG_NONE;
    limit_begin(m);
    for (unsigned i = 0; ok && i < TRIES; i++) {
        why = ERR_INIT;
        bool done = ask(&r, buf_z(&text), &count, &canceled, &why);
        close_index(&r);
        if (!r.gone)
            send_batch(&r, &why);
        if (done || why.kind != ERR_INDEX || r.gone)
            break;
    }
    limit_end();
    ranking_free(&r);
    buf_fini(&text);
    buf_fini(&r.batch);
    only_free(&r);
    free(r.held);
    if (r.gone)
        return false;
    if (canceled)
        err_set(&why, ERR_CANCELED, "superseded");
    if (why.kind == ERR_NONE) /* found is what there is; and this is said of the rest */
        memcpy(why.text, r.own_err.text, sizeof why.text);
    if (why.kind == ERR_NONE && m->count && !r.counted &&
        !SEND(s->client, -1, err, HIT_COUNT, .req = req, .count = count))
        return false;
    return SEND(s->client, -1, err, QUERY_DONE, .req = req, .kind = (uint32_t)why.kind, .hits = r.hits,
                .text = str_z(why.text));
}
