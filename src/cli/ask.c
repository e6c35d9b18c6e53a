/* Questions to the program search. */
#include "cli/cli.h"

#include <unistd.h>

#define ANSWER_MS (5 * 60 * 1000)

/* One request: its hits, its count. */
static bool ask(struct chan *search, const struct question *q, uint32_t limit, enum query_count count, hit_fn *fn,
                void *arg, uint32_t *count_r, struct err *err)
{
    static uint32_t last;
    struct m_QUERY query = {.req = ++last,
                            .query = str_z(q->query),
                            .account = str_z(q->account),
                            .offset = q->offset,
                            .limit = limit,
                            .count = count,
                            .order = (uint8_t)q->order,
                            .all = q->all,
                            .msgs = q->msgs};
    struct msg m = {.kind = MSG_QUERY, .fd = -1, .u.QUERY = query};
    bool ok = chan_send(search, &m, -1, err) && chan_drain(search, clock_mono_ms() + 10000, err);
    while (ok) {
        int got = chan_wait(search, clock_mono_ms() + ANSWER_MS, &m, err);
        if (got <= 0)
            return err->kind != ERR_NONE ? false : err_set(err, got ? ERR_CHANNEL : ERR_TIMEOUT, "search broke off");
        if (m.fd >= 0)
            close(m.fd);
        if (m.kind == MSG_HIT && m.u.HIT.req == query.req) {
            ok = fn(arg, &m.u.HIT, err);
        } else if (m.kind == MSG_HIT_COUNT && m.u.HIT_COUNT.req == query.req && count_r) {
            *count_r = m.u.HIT_COUNT.count;
        } else if (m.kind == MSG_QUERY_DONE && m.u.QUERY_DONE.req == query.req) {
            const struct m_QUERY_DONE *d = &m.u.QUERY_DONE;
            if (d->kind == ERR_NONE && d->text.n)
                fprintf(stderr, "tuimail: %.*s\n", STR_FMT(d->text));
            return d->kind == ERR_NONE ||
                   err_set(err, (enum err_kind)MIN(d->kind, (uint32_t)ERR_COUNT - 1), "%.*s", STR_FMT(d->text));
        }
    }
    return false;
}

bool search_ask(struct chan *search, const struct question *q, hit_fn *fn, void *arg, struct err *err)
{
    return ask(search, q, q->limit ? q->limit : UINT32_MAX, COUNT_NONE, fn, arg, NULL, err);
}

static bool no_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    (void)arg, (void)h, (void)err;
    return true;
}

bool search_count(struct chan *search, const struct question *q, enum query_count what, uint32_t *count_r,
                  struct err *err)
{
    return ask(search, q, 0, what, no_hit, NULL, count_r, err);
}

bool cli_query(const struct cli *cli, struct buf *query, struct err *err)
{
    for (int i = 0; i < cli->argc; i++)
        buf_addf(query, "%s%s", i ? " " : "", cli->argv[i]);
    if (query->full)
        return err_set(err, ERR_LIMIT, "the query is longer than 8 KB");
    return query->n > 0 || err_set(err, ERR_USAGE, "the query is missing; \"*\" finds all");
}
