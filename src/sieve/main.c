/* sieve -c FILE --store DIR ACCOUNT: works on the scripts of the account's ManageSieve server. The channel to the store
 * is fd 3.
 *
 * READY; then SIEVE -> SIEVE_DONE, one after the other, with SECRET_ASK -> SECRET in
 * between. The line is kept for the next request; a minute without one ends the program. It has one account's
 * configuration, the secret and the fd of a script, a network limited to one port, and no file it could open for
 * writing. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "net/line.h"
#include "net/managesieve.h"
#include "net/sasl.h"

#define MEMORY_MAX (UINT64_C(256) << 20)
#define IDLE_MS 60000
#define FRESH_MS 2000            /* a line that answered so lately is not asked whether it lives */
#define GIVE_MS (10 * 60 * 1000) /* a person may have to type the password */
#define TELL_MS 60000

struct program {
    struct conf *conf;
    const struct account *account;
    struct stream_options options;
    struct chan *chan;
    struct secret secret;
    struct err unfit; /* why no line can be opened: a file of TLS that cannot be read */
    struct stream *stream;
    struct managesieve *session;
    int64_t answered; /* monotonic: the session's last answer */
    bool ended;       /* the store is gone */
};

/* ---- The channel -------------------------------------------------------------------------------- */

/* During a request the store says nothing more; when it ends, the request is broken off. */
static bool on_wake(void *arg)
{
    struct program *p = arg;
    struct msg m;
    struct err err = ERR_INIT;
    int r = chan_recv(p->chan, &m, &err);
    if (r > 0 && m.fd >= 0)
        close(m.fd);
    p->ended = p->ended || r < 0;
    return p->ended;
}

static bool ask(void *arg, enum need need, bool refused, int *fd_r, struct err *err)
{
    struct program *p = arg;
    int64_t deadline = clock_mono_ms() + GIVE_MS;
    if (!SEND(p->chan, -1, err, SECRET_ASK, .service = SERVICE_SIEVE, .need = (uint8_t)need, .refused = refused))
        return false;
    for (;;) {
        struct msg m;
        int r = chan_wait(p->chan, deadline, &m, err);
        if (r < 0) {
            p->ended = true;
            return err->kind != ERR_NONE ? false : err_set(err, ERR_CHANNEL, "the store is gone");
        }
        if (r == 0)
            return err_set(err, ERR_TIMEOUT, "the store does not give what the login needs");
        if (m.kind == MSG_SECRET && m.u.SECRET.need == need) {
            *fd_r = m.fd;
            return true;
        }
        if (m.fd >= 0)
            close(m.fd);
    }
}

/* ---- The line ----------------------------------------------------------------------------------- */

static void hang_up(struct program *p)
{
    managesieve_free(&p->session);
    stream_close(&p->stream);
}

static struct line_way way(struct program *p)
{
    return (struct line_way){
        .account = p->account, .service = SERVICE_SIEVE, .options = &p->options, .ask = ask, .arg = p};
}

static bool log_in(struct program *p, struct err *err)
{
    const struct endpoint *ep = &p->account->sieve;
    bool login = account_login(p->account, SERVICE_SIEVE) != LOGIN_NOTHING;
    bool known = !login && ep->tls == TLS_NONE && account_tunnel(p->account, SERVICE_SIEVE)[0];
    struct line_way w = way(p);
    *err = p->unfit;
    for (bool last = false; err->kind == ERR_NONE; last = true) {
        if (!line_open(&w, &p->secret, &p->stream, err))
            return false;
        p->session = managesieve_new(p->stream, ep->host);
        if (known ? managesieve_enter(p->session, err)
                  : managesieve_greet(p->session, ep->tls == TLS_STARTTLS, err) &&
                        (!login || managesieve_login(p->session, account_user(p->account, SERVICE_SIEVE), &p->secret,
                                                     ep->tls == TLS_NONE, err)))
            return true;
        hang_up(p);
        if (!(last ? line_refused : line_again)(&w, &p->secret, err))
            return false;
        *err = ERR_INIT;
    }
    return false;
}

/* A session that answers. One that waited may have been closed by the server: it is asked first, because a script
 * that is renamed twice is not renamed. */
static bool have_session(struct program *p, struct err *err)
{
    if (p->session != NULL && clock_mono_ms() - p->answered > FRESH_MS) {
        struct err lost = ERR_INIT;
        if (!managesieve_noop(p->session, &lost) && lost.kind != ERR_SERVER_NO)
            hang_up(p);
    }
    return p->session != NULL || log_in(p, err);
}

/* ---- Requests ----------------------------------------------------------------------------------- */

static void put_script(void *arg, struct str name, bool active)
{
    struct buf *out = arg;
    if (managesieve_name_ok(name)) /* no other can be named to the server either */
        buf_addf(out, "%c %.*s\n", active ? '+' : '-', STR_FMT(name));
}

static bool list(struct managesieve *s, struct buf *out, struct err *err)
{
    struct str rest = managesieve_capabilities(s), line;
    while (str_split(&rest, '\n', &line)) {
        size_t at;
        if (line.n > 0 && !str_find(line, '\r', &at) && !str_find(line, '\0', &at))
            buf_addf(out, "= %.*s\n", STR_FMT(line));
    }
    return managesieve_list(s, put_script, out, err);
}

/* `text` holds the script for what reads one, and gets what is given. */
static bool act(struct managesieve *s, const struct m_SIEVE *m, struct buf *text, struct err *err)
{
    switch ((enum sieve_verb)m->verb) {
    case SIEVE_LIST:
        return list(s, text, err);
    case SIEVE_GET:
        return managesieve_get(s, m->name, text, err);
    case SIEVE_PUT:
        return managesieve_put(s, m->name, buf_str(text), err);
    case SIEVE_CHECK:
        return managesieve_check(s, buf_str(text), err);
    case SIEVE_ACTIVATE:
        return managesieve_activate(s, m->name, err);
    case SIEVE_DELETE:
        return managesieve_remove(s, m->name, err);
    case SIEVE_RENAME:
        return managesieve_rename(s, m->name, m->to, err);
    case SIEVE_VERB_COUNT:
        break;
    }
    return err_set(err, ERR_USAGE, "an unknown request");
}

static bool takes_text(const struct m_SIEVE *m)
{
    return m->verb == SIEVE_PUT || m->verb == SIEVE_CHECK;
}

static bool gives_text(const struct m_SIEVE *m)
{
    return m->verb == SIEVE_LIST || m->verb == SIEVE_GET;
}

/* The message's strings live until the next receive, which a login may need: they are copied. */
static bool serve(struct program *p, const struct msg *msg, struct err *err)
{
    struct m_SIEVE m = msg->u.SIEVE;
    char *name = mem_dup_n(m.name.p, m.name.n), *to = mem_dup_n(m.to.p, m.to.n);
    struct buf text = BUF_INIT(2 * SIEVE_SCRIPT_MAX);
    struct err lost = ERR_INIT;
    m.name = (struct str){name, m.name.n};
    m.to = (struct str){to, m.to.n};
    bool ok = (!takes_text(&m) || fs_read_fd(msg->fd, SIEVE_SCRIPT_MAX, &text, err)) && have_session(p, err) &&
              act(p->session, &m, &text, err) && (!gives_text(&m) || fs_write_all(msg->fd, buf_str(&text), err));
    struct str said = p->session != NULL ? managesieve_said(p->session) : STR("");
    bool warned = ok && p->session != NULL && managesieve_warned(p->session);
    bool told = SEND(p->chan, -1, &lost, SIEVE_DONE, .req = m.req, .kind = ok ? ERR_NONE : err->kind,
                     .text = str_z(ok ? "" : err->text), .warned = warned, .said = said) &&
                chan_drain(p->chan, clock_mono_ms() + TELL_MS, &lost);
    p->answered = clock_mono_ms();
    /* What the server refused leaves the session as it was; anything else may not. */
    if (!ok && err->kind != ERR_SERVER_NO && err->kind != ERR_OVERQUOTA && err->kind != ERR_NO_FILE &&
        err->kind != ERR_USAGE && err->kind != ERR_CONFIG)
        hang_up(p);
    buf_fini(&text);
    free(name);
    free(to);
    return told;
}

static bool run(struct program *p, struct err *err)
{
    while (!p->ended) {
        struct msg m;
        struct err why = ERR_INIT;
        int r = chan_wait(p->chan, clock_mono_ms() + IDLE_MS, &m, err);
        if (r == 0 || (r < 0 && err->kind == ERR_NONE))
            break;
        if (r < 0)
            return false;
        bool ok = m.kind != MSG_SIEVE || serve(p, &m, &why);
        if (m.fd >= 0)
            close(m.fd);
        if (!ok)
            break;
    }
    if (p->session != NULL)
        managesieve_logout(p->session);
    hang_up(p);
    return true;
}

/* ---- Start -------------------------------------------------------------------------------------- */

static bool confine(struct program *p, struct err *err)
{
    const struct conf *conf = p->conf;
    char report[200];
    p->options = (struct stream_options){.connect_ms = (int)conf->connect_timeout * 1000,
                                         .answer_ms = (int)conf->timeout * 1000,
                                         .ca_file = p->account->tls_ca_file,
                                         .cert_file = p->account->tls_cert_file,
                                         .pin = p->account->tls_pin,
                                         .wake_fd = chan_fd(p->chan),
                                         .on_wake = on_wake,
                                         .arg = p};
    struct sandbox box = {.role = ROLE_SIEVE, .tcp_ports = {p->account->sieve.port, 53}, .memory_max = MEMORY_MAX};
    stream_setup(&p->options, &p->unfit);
    return sasl_setup(err) && sandbox_enter(&box, report, err) &&
           SEND(p->chan, -1, err, READY, .sandbox = str_z(report));
}

int main(int argc, char **argv)
{
    struct program s = {.ended = false};
    struct conf_program p;
    struct err err = ERR_INIT;
    log_open("sieve", LOG_INFO);
    bool ok = conf_program(argc, argv, true, &p, &err);
    if (ok) {
        log_open("sieve", (enum log_level)p.conf->log_level);
        s.conf = p.conf;
        s.account = conf_account(p.conf, p.account);
        if (s.account == NULL)
            ok = err_set(&err, ERR_NO_ACCOUNT, "no account %s in %s", p.account, p.conf->file);
    }
    if (ok && fcntl(IPC_CHANNEL_FD, F_GETFD) < 0)
        ok = err_set(&err, ERR_USAGE, "sieve is started by the store, with its channel on descriptor %d",
                     IPC_CHANNEL_FD);
    if (ok) {
        s.chan = chan_new(IPC_CHANNEL_FD, ROLE_SIEVE, ROLE_STORE);
        ok = (s.account->sieve.proto == PROTO_SIEVE ||
              err_set(&err, ERR_NO_ACCOUNT, "account %s has no server of scripts", p.account)) &&
             confine(&s, &err) && run(&s, &err);
    }
    if (!ok)
        log_msg(LOG_ERROR, "%s", err.text);
    secret_free(&s.secret);
    chan_free(&s.chan);
    conf_free(&p.conf);
    return ok ? 0 : err_exit(err.kind);
}
