/* The best first. */
#include "search/run.h"

#define RANKED_MAX 5000u

/* The newest RANKED_MAX hits, by how much of their header was asked for; the others follow, newest first. */
struct ranking {
    struct query_words *words;
    struct ranked {
        char *id; /* libnotmuch's */
        struct side *side;
        unsigned score;
        uint32_t at;
    } list[RANKED_MAX];
    uint32_t n;
};

void ranking_begin(struct run *r)
{
    r->ranking = mem_new(sizeof *r->ranking);
    r->ranking->words = query_words_new(r->m->query);
}

bool ranking_full(const struct run *r)
{
    return r->ranking->n == RANKED_MAX;
}

void ranking_free(struct run *r)
{
    for (uint32_t i = 0; r->ranking != NULL && i < r->ranking->n; i++)
        free(r->ranking->list[i].id);
    if (r->ranking != NULL)
        query_words_free(&r->ranking->words);
    free(r->ranking);
    r->ranking = NULL;
}

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

void rank(struct run *r, struct side *side)
{
    struct ranking *k = r->ranking;
    notmuch_message_t *m = side->first;
    struct str from = str_z(notmuch_message_get_header(m, "from")),
               subject = str_z(notmuch_message_get_header(m, "subject"));
    unsigned n = query_words_in(k->words, PLACE_SUBJECT, subject);
    unsigned score =
        n * 4 + (n > 0 && n == query_words_count(k->words) ? 8 : 0) + query_words_in(k->words, PLACE_FROM, from) * 3;
    k->list[k->n] = (struct ranked){mem_dup_z(notmuch_message_get_message_id(m)), side, score, k->n};
    k->n++;
}

bool send_ranked(struct run *r, uint32_t limit, uint32_t skip, bool *canceled_r, struct err *err)
{
    struct ranking *k = r->ranking;
    bool ok = true;
    if (k->n > 0)
        qsort(k->list, k->n, sizeof *k->list, by_score);
    for (uint32_t i = skip; ok && !*canceled_r && i < k->n && r->hits < limit; i++) {
        notmuch_message_t *m = NULL, *twin;
        if (notmuch_database_find_message(k->list[i].side->db, k->list[i].id, &m) != NOTMUCH_STATUS_SUCCESS ||
            m == NULL)
            continue;
        twin = k->list[i].side == &r->own ? known_to(r->ours.db, m) : NULL;
        ok = send_hit(r, m, twin, err);
        if (twin != NULL)
            notmuch_message_destroy(twin);
        notmuch_message_destroy(m);
        *canceled_r = ok && i % 16 == 15 && superseded(r);
    }
    ranking_free(r);
    return ok;
}
