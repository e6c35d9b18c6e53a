/* oauth -c FILE --store DIR ACCOUNT: see oauth.h. The channel is fd 3. */
#include "oauth/oauth.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define MEMORY_MAX (UINT64_C(512) << 20)
#define SECRET_MS 60000
#define IDLE_MS (5 * 60 * 1000) /* for the order to come */

enum order { ORDER_NONE, ORDER_REFRESH, ORDER_LOGIN };

static bool take_secret(struct grant *g, struct msg *m, struct err *err)
{
    struct secret *into = m->u.OAUTH_GIVEN.what == OAUTH_REFRESH_TOKEN   ? &g->refresh
                          : m->u.OAUTH_GIVEN.what == OAUTH_CLIENT_SECRET ? &g->client
                          : m->u.OAUTH_GIVEN.what == OAUTH_PASTED        ? &g->pasted
                                                                         : NULL;
    int fd = m->fd;
    m->fd = -1;
    if (into == NULL) {
        close(fd);
        return err_set(err, ERR_CHANNEL, "an unknown secret was given");
    }
    secret_free(into);
    return secret_read(fd, clock_mono_ms() + SECRET_MS, into, err);
}

static bool take(struct grant *g, struct msg *m, enum order *order, struct err *err)
{
    bool ok = true;
    switch (m->kind) {
    case MSG_OAUTH_GIVEN:
        ok = take_secret(g, m, err);
        break;
    case MSG_OAUTH_LISTEN:
        if (g->listen_fd >= 0)
            close(g->listen_fd);
        g->listen_fd = m->fd;
        g->port = (uint16_t)m->u.OAUTH_LISTEN.port;
        m->fd = -1;
        break;
    case MSG_OAUTH_REFRESH:
        *order = ORDER_REFRESH;
        break;
    case MSG_OAUTH_LOGIN:
        *order = ORDER_LOGIN;
        break;
    default:
        ok = err_set(err, ERR_CHANNEL, "%s is not for this program", msg_name(m->kind));
        break;
    }
    if (m->fd >= 0)
        close(m->fd);
    return ok;
}

static bool gone(struct grant *g, struct err *err)
{
    g->ended = true;
    return err->kind == ERR_NONE ? err_set(err, ERR_CANCELED, "canceled") : false;
}

bool grant_serve(struct grant *g, struct err *err)
{
    enum order again = ORDER_NONE;
    struct msg m;
    int r;
    while ((r = chan_recv(g->chan, &m, err)) > 0)
        if (!take(g, &m, &again, err))
            return false;
    return r == 0 || gone(g, err);
}

bool grant_wait(struct grant *g, int64_t mono_ms, struct err *err)
{
    for (int64_t left; (left = mono_ms - clock_mono_ms()) > 0;) {
        struct pollfd p = {.fd = chan_fd(g->chan), .events = POLLIN};
        poll(&p, 1, (int)MIN(left, (int64_t)60000));
        if (!grant_serve(g, err))
            return false;
    }
    return true;
}

/* What is ordered, once all that belongs to it has been given. */
static bool order_get(struct grant *g, enum order *order, struct err *err)
{
    int64_t deadline = clock_mono_ms() + IDLE_MS;
    *order = ORDER_NONE;
    while (*order == ORDER_NONE) {
        struct msg m;
        int r = chan_wait(g->chan, deadline, &m, err);
        if (r < 0)
            return gone(g, err);
        if (r == 0)
            return err_set(err, ERR_TIMEOUT, "nothing is asked for");
        if (!take(g, &m, order, err))
            return false;
    }
    return true;
}

static bool confine(struct grant *g, struct err *err)
{
    const char *const urls[] = {g->oauth.token_url, g->oauth.device_url};
    struct sandbox box = {.role = ROLE_OAUTH,
                          .read_paths = {g->oauth.ca_file[0] != '\0' ? g->oauth.ca_file : NULL},
                          .tcp_ports = {53},
                          .memory_max = MEMORY_MAX};
    char host[256], report[200];
    size_t n = 1;
    for (size_t i = 0; i < COUNT(urls); i++)
        if (https_parse(urls[i], false, host, &box.tcp_ports[n]))
            n++;
    return http_setup(err) && sandbox_enter(&box, report, err) &&
           SEND(g->chan, -1, err, READY, .sandbox = str_z(report));
}

static bool run(struct grant *g, struct err *err)
{
    enum order order = ORDER_NONE;
    if (!confine(g, err))
        return false;
    bool ok = order_get(g, &order, err) && (order == ORDER_REFRESH ? grant_refresh(g, err)
                                            : g->oauth.device      ? grant_device(g, err)
                                                                   : grant_code(g, err));
    if (g->ended)
        return true;
    struct err lost = ERR_INIT;
    if (!ok && order == ORDER_REFRESH) /* of a login the terminal tells */
        log_msg(LOG_WARN, "%s: %s", g->account->name, err->text);
    bool told =
        SEND(g->chan, -1, &lost, OAUTH_DONE, .kind = ok ? ERR_NONE : err->kind, .text = str_z(ok ? "" : err->text)) &&
        chan_drain(g->chan, clock_mono_ms() + SECRET_MS, &lost);
    if (!told)
        *err = lost;
    return told; /* a grant that failed is not a fault of this program */
}

int main(int argc, char **argv)
{
    struct grant g = {.listen_fd = -1};
    struct conf_program p;
    struct err err = ERR_INIT;
    log_open("oauth", LOG_INFO);
    signal(SIGPIPE, SIG_IGN);
    bool ok = conf_program(argc, argv, true, &p, &err);
    if (ok) {
        log_open("oauth", (enum log_level)p.conf->log_level);
        g.account = conf_account(p.conf, p.account);
        ok = g.account != NULL || err_set(&err, ERR_NO_ACCOUNT, "no account %s in %s", p.account, p.conf->file);
    }
    ok = ok && account_oauth(g.account, &g.oauth, &err);
    if (ok && fcntl(IPC_CHANNEL_FD, F_GETFD) < 0)
        ok = err_set(&err, ERR_USAGE, "oauth is started by spawn or tuimail login, with its channel on descriptor %d",
                     IPC_CHANNEL_FD);
    if (ok) {
        /* Who started it decides what it may be told: what it takes is the same. */
        g.chan = chan_new(IPC_CHANNEL_FD, ROLE_OAUTH, ROLE_SPAWN);
        ok = run(&g, &err);
    }
    if (!ok)
        log_msg(LOG_ERROR, "%s", err.text);
    secret_free(&g.refresh);
    secret_free(&g.client);
    secret_free(&g.pasted);
    chan_free(&g.chan);
    if (g.listen_fd >= 0)
        close(g.listen_fd);
    conf_free(&p.conf);
    return ok ? 0 : err_exit(err.kind);
}
