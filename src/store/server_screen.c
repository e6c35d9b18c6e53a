/* What other clients have to do with screens: `tuimail cmd` sends command lines to one, and each is told of jobs. */
#include "store/server.h"

static struct client *newest_screen(struct server *s)
{
    struct client *found = NULL;
    for (size_t i = 0; i < s->nclients; i++)
        if (s->clients[i]->screen && (!found || s->clients[i]->id > found->id))
            found = s->clients[i];
    return found;
}

void screen_ask(struct client *c, const struct m_COMMAND *m)
{
    struct server *s = c->srv;
    struct client *screen = newest_screen(s);
    if (!screen) {
        server_refuse(s, c->id, m->req, ERR_NO_SCREEN, "no tuimail with a screen runs with this store: start one");
        return;
    }
    if (s->nruns == SCREEN_RUNS_MAX) {
        server_refuse(s, c->id, m->req, ERR_LIMIT, "too many commands wait for that screen");
        return;
    }
    struct screen_run *run = &s->runs[s->nruns++];
    *run = (struct screen_run){c->id, screen->id, (uint32_t)server_id(s), m->req};
    PEER_SEND(screen->peer, -1, RUN, .req = run->req, .text = m->text);
}

void screen_ran(struct client *c, const struct m_RAN *m)
{
    struct server *s = c->srv;
    for (size_t i = 0; i < s->nruns; i++) {
        struct screen_run run = s->runs[i];
        if (run.screen != c->id || run.req != m->req)
            continue;
        s->runs[i] = s->runs[--s->nruns];
        ANSWER(s, run.client, -1, RAN, .req = run.asked, .ok = m->ok, .text = m->text);
        return;
    }
}

/* ---- Jobs ---------------------------------------------------------------------------------------- */
static void tell_job(const struct client *screen, const struct client *c)
{
    PEER_SEND(screen->peer, -1, JOB, .job = c->job, .done = c->job_done, .total = c->job_total,
              .text = str_z(c->job_text));
}

void screen_jobs(struct client *screen)
{
    struct server *s = screen->srv;
    for (size_t i = 0; i < s->nclients; i++)
        if (s->clients[i]->job)
            tell_job(screen, s->clients[i]);
}

void screen_job(struct client *c, const struct m_JOB *m)
{
    struct server *s = c->srv;
    if (c->screen || (!c->job && !m->text.n))
        return;
    c->job = c->job ? c->job : (uint32_t)server_id(s);
    c->job_done = m->done;
    c->job_total = m->total;
    snprintf(c->job_text, sizeof c->job_text, "%.*s", STR_FMT(m->text));
    for (size_t i = 0; i < s->nclients; i++)
        if (s->clients[i]->screen)
            tell_job(s->clients[i], c);
    if (!m->text.n)
        c->job = 0;
}

void screen_job_stop(struct client *c, const struct m_JOB_STOP *m)
{
    struct server *s = c->srv;
    for (size_t i = 0; i < s->nclients; i++)
        if (m->job && s->clients[i]->job == m->job)
            PEER_SEND(s->clients[i]->peer, -1, JOB_STOP, .job = m->job);
}

void screen_gone(struct client *c)
{
    struct server *s = c->srv;
    screen_job(c, &(struct m_JOB){.job = 0});
    for (size_t i = s->nruns; i-- > 0;) {
        struct screen_run run = s->runs[i];
        if (run.screen != c->id && run.client != c->id)
            continue;
        s->runs[i] = s->runs[--s->nruns];
        if (run.screen == c->id)
            server_refuse(s, run.client, run.asked, ERR_CANCELED, "that tuimail has ended");
    }
}
