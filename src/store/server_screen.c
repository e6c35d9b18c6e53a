/* Command lines from one client to the screen of another: `tuimail cmd`. */
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

void screen_gone(struct client *c)
{
    struct server *s = c->srv;
    for (size_t i = s->nruns; i-- > 0;) {
        struct screen_run run = s->runs[i];
        if (run.screen != c->id && run.client != c->id)
            continue;
        s->runs[i] = s->runs[--s->nruns];
        if (run.screen == c->id)
            server_refuse(s, run.client, run.asked, ERR_CANCELED, "that tuimail has ended");
    }
}
