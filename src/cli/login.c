/* tuimail login ACCOUNT: consent at an OAuth 2.0 provider. The flow itself, and all that comes from outside, is in
 * libexec/oauth; here are the terminal and the place where the refresh token is kept. */
#include "cli/cli.h"
#include "client/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 15000
#define TOLD_MS 5000
#define PASTE_MAX 8192

struct consent {
    struct cli *cli;
    const struct account *account;
    struct oauth oauth;
    struct open_role role;
    struct secret refresh;
    struct buf typed;
    bool stdin_open;
};

/* ---- What the program needs --------------------------------------------------------------------- */

static bool give(struct consent *l, uint8_t what, int fd, struct err *err)
{
    return SEND(l->role.chan, fd, err, OAUTH_GIVEN, .what = what);
}

static bool give_client_secret(struct consent *l, struct err *err)
{
    int fd = -1, status = 0;
    pid_t pid = 0;
    if (l->account->oauth_client_secret_command[0] == '\0')
        return true;
    if (!secret_source(l->account, SERVICE_INCOMING, NEED_CLIENT, STDERR_FILENO, &fd, NULL, &pid, err))
        return false;
    bool ok = give(l, OAUTH_CLIENT_SECRET, fd, err);
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return ok && (status == 0 || err_set(err, ERR_SECRET, "oauth-client-secret-command failed"));
}

/* The port of the redirect where it names one, else any free one; on this machine only. */
static bool give_listener(struct consent *l, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    char host[256];
    uint16_t port = 0;
    int on = 1;
    if (l->oauth.device)
        return true;
    if (!https_parse(l->oauth.redirect_url, true, host, &port) ||
        strchr(l->oauth.redirect_url + strlen("http://"), ':') == NULL)
        port = 0;
    at.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && port != 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 8) == 0 &&
              getsockname(fd, (struct sockaddr *)&at, &n) == 0;
    if (!ok)
        err_sys(err, ERR_CONNECT, errno, "cannot listen on 127.0.0.1 port %u", (unsigned)port);
    ok = ok && SEND(l->role.chan, fd, err, OAUTH_LISTEN, .port = ntohs(at.sin_port));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool begin(struct consent *l, struct err *err)
{
    struct msg m;
    int got = chan_wait(l->role.chan, clock_mono_ms() + START_MS, &m, err);
    if (got == 0)
        return err_set(err, ERR_TIMEOUT, "libexec/oauth does not start");
    if (got < 0)
        return err->kind != ERR_NONE ? false : err_set(err, ERR_CHANNEL, "libexec/oauth ended at once");
    if (m.fd >= 0)
        close(m.fd);
    if (m.kind != MSG_READY)
        return err_set(err, ERR_CHANNEL, "libexec/oauth said %s", msg_name(m.kind));
    return give_client_secret(l, err) && give_listener(l, err) && SEND(l->role.chan, -1, err, OAUTH_LOGIN, .unused = 0);
}

/* ---- The terminal ------------------------------------------------------------------------------- */

static void show(struct consent *l, const struct m_OAUTH_SHOW *m)
{
    struct buf out = BUF_INIT(16384);
    if (m->code.n > 0) {
        buf_addz(&out, "Open this page in a browser, on any machine:\n\n    ");
        out_text(&out, m->url);
        buf_addz(&out, "\n\nand type in the code:\n\n    ");
        out_text(&out, m->code);
        buf_addf(&out, "\n\nIt is good for %u minutes. Waiting for your consent ...\n",
                 MAX((unsigned)m->expires_s / 60, 1u));
    } else {
        buf_addz(&out, "Open this page in a browser:\n\n");
        out_text(&out, m->url);
        buf_addz(&out,
                 "\n\nWaiting for your consent. If the browser runs on another machine, its last page will not load:\n"
                 "copy that page's address and paste it here, then press Enter.\n");
        l->stdin_open = true;
    }
    out_flush(&out);
    buf_fini(&out);
}

/* A line that the user pasted goes over as it is. */
static bool paste(struct consent *l, struct err *err)
{
    char chunk[1024];
    int ends[2];
    ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n <= 0) {
        l->stdin_open = n < 0 && (errno == EINTR || errno == EAGAIN);
        return true; /* the browser may still come */
    }
    if (!buf_add(&l->typed, chunk, (size_t)n))
        return err_set(err, ERR_USAGE, "what was pasted is too long");
    const char *end = memchr(l->typed.p, '\n', l->typed.n);
    if (end == NULL)
        return true;
    struct str line = str_trim(str_sub(buf_str(&l->typed), 0, (size_t)(end - l->typed.p)));
    bool ok = true;
    if (line.n > 0) {
        ok = pipe2(ends, O_CLOEXEC) == 0 || err_sys(err, ERR_IO, errno, "cannot make a pipe");
        if (ok) {
            ok = fs_write_all(ends[1], line, err) && fs_write_all(ends[1], STR("\n"), err);
            close(ends[1]);
            ok = ok && give(l, OAUTH_PASTED, ends[0], err);
            close(ends[0]);
        }
    }
    explicit_bzero(l->typed.p, l->typed.n);
    buf_reset(&l->typed);
    return ok;
}

/* ---- The flow ----------------------------------------------------------------------------------- */

static bool receive(struct consent *l, struct msg *m, bool *done, struct err *err)
{
    bool ok = true;
    int fd = m->fd;
    m->fd = -1;
    if (m->kind == MSG_OAUTH_SHOW) {
        show(l, &m->u.OAUTH_SHOW);
    } else if (m->kind == MSG_OAUTH_TOKEN && m->u.OAUTH_TOKEN.what == OAUTH_REFRESH_TOKEN) {
        secret_free(&l->refresh);
        ok = secret_read(fd, clock_mono_ms() + START_MS, &l->refresh, err);
        fd = -1;
    } else if (m->kind == MSG_OAUTH_DONE) {
        *done = true;
        uint32_t kind = m->u.OAUTH_DONE.kind;
        ok = kind == ERR_NONE ||
             err_set(err, kind < ERR_COUNT ? (enum err_kind)kind : ERR_CHANNEL, "%.*s", STR_FMT(m->u.OAUTH_DONE.text));
    }
    if (fd >= 0)
        close(fd); /* the access token is spawn's business, when one is wanted */
    return ok;
}

static bool flow(struct consent *l, struct err *err)
{
    bool done = false;
    while (!done) {
        struct pollfd p[2] = {{.fd = chan_fd(l->role.chan), .events = POLLIN},
                              {.fd = l->stdin_open ? STDIN_FILENO : -1, .events = POLLIN}};
        struct msg m;
        int got;
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return err_sys(err, ERR_IO, errno, "poll");
        if (p[1].revents != 0 && !paste(l, err))
            return false;
        while (!done && (got = chan_recv(l->role.chan, &m, err)) != 0) {
            if (got < 0)
                return err->kind != ERR_NONE ? false : err_set(err, ERR_CHANNEL, "libexec/oauth ended");
            if (!receive(l, &m, &done, err))
                return false;
        }
    }
    return l->refresh.p != NULL || err_set(err, ERR_PROTOCOL, "no refresh token came");
}

static bool keep(struct consent *l, struct err *err)
{
    int status = 0;
    pid_t pid = 0;
    if (!secret_keep(l->account, &l->refresh, STDERR_FILENO, &pid, err))
        return false;
    while (pid != 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0 || err_set(err, ERR_SECRET, "the token was not kept: %s failed",
                                  l->account->token_save_command[0] ? "token-save-command" : "secret-tool");
}

/* A store that runs tries the account again; it is waited for, because what a client says and does not stay for is
 * lost. */
static void tell_store(const struct consent *l)
{
    const struct client_args args = {.config = l->cli->config, .root = l->cli->root, .program = "login"};
    struct err err = ERR_INIT;
    struct client *c = client_running(&args) ? client_connect(&args, &err) : NULL;
    int64_t deadline = clock_mono_ms() + TOLD_MS;
    bool told = c == NULL || !SEND(c->chan, -1, &err, FETCH_NOW, .req = 1, .account = str_z(l->account->name)) ||
                !chan_drain(c->chan, deadline, &err);
    while (!told) {
        struct msg m;
        if (chan_wait(c->chan, deadline, &m, &err) <= 0)
            break;
        told = m.kind == MSG_FETCHED || m.kind == MSG_REFUSED ||
               (m.kind == MSG_ACCOUNT && str_eqz(m.u.ACCOUNT.account, l->account->name) &&
                (m.u.ACCOUNT.state == ACCOUNT_CONNECTING || m.u.ACCOUNT.state == ACCOUNT_ONLINE));
        if (m.fd >= 0)
            close(m.fd);
    }
    client_close(&c);
}

static bool prepare(struct consent *l, struct err *err)
{
    if (l->cli->argc != 1)
        return err_set(err, ERR_USAGE, "login takes the name of one account");
    if ((l->account = cli_account(l->cli, l->cli->argv[0], err)) == NULL)
        return false;
    if (!account_has_oauth(l->account))
        return err_set(err, ERR_CONFIG, "account %s logs in by %s: option oauth-provider is not set", l->account->name,
                       l->account->token_command[0] ? "token-command" : "password");
    return account_oauth(l->account, &l->oauth, err) && secret_keepable(l->account, err);
}

int login_main(struct cli *cli)
{
    struct consent l = {.cli = cli, .typed = BUF_INIT(PASTE_MAX)};
    struct err err = ERR_INIT;
    bool ok = cli_options(cli, NULL, 0, &err) && prepare(&l, &err) &&
              role_open(cli, ROLE_OAUTH, l.account->name, &l.role, &err);
    if (ok) {
        ok = begin(&l, &err) && flow(&l, &err) && keep(&l, &err);
        role_close(&l.role);
    }
    if (ok) {
        printf("%s: tuimail may use the account now\n", l.account->name);
        fflush(stdout);
        tell_store(&l);
    }
    secret_free(&l.refresh);
    if (l.typed.p != NULL)
        explicit_bzero(l.typed.p, l.typed.cap);
    buf_fini(&l.typed);
    return ok ? 0 : cli_fail(&err);
}
