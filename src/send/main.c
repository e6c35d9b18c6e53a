/* send -c FILE --store DIR ACCOUNT: hands one mail to the account's submission server and ends. The channel to the
 * store is fd 3.
 *
 * READY, SECRET_ASK -> SECRET; DELIVER (before or after the secret) -> RCPT_REFUSED ..., DELIVER_DONE; DELIVER_NOTHING
 * in its place: only the login. It has one account's configuration, the secret and the mail's fd, a network limited to
 * one port, and no file it could write. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "net/line.h"
#include "net/sasl.h"
#include "net/smtp.h"

#define MEMORY_MAX (UINT64_C(512) << 20)
#define IDLE_MS (5 * 60 * 1000) /* the store's whole time to hand over secret and mail */
#define SECRET_MS 60000
#define RCPTS_MAX 4096

/* What is to be sent: copies, because a message's strings end with the next one. */
struct job {
    char *sender, *rcpts;
    size_t sender_n, rcpts_n;
    int fd;       /* -1: not here yet */
    bool nothing; /* only the login is tried */
};

struct send {
    const struct account *account;
    struct stream_options stream_options;
    struct chan *chan;
    struct secret secret;
    struct err unfit; /* why no line can be opened: a file of TLS that cannot be read */
    struct job job;
    uint8_t need; /* of the last SECRET_ASK */
    int given;    /* what SECRET brought, until it is taken; -1 */
    bool ended;   /* the store is gone */
};

/* ---- The channel -------------------------------------------------------------------------------- */

/* During a delivery the store says nothing more; when it ends, the delivery is broken off. */
static bool on_wake(void *arg)
{
    struct send *s = arg;
    struct msg m;
    struct err err = ERR_INIT;
    int r = chan_recv(s->chan, &m, &err);
    if (r > 0 && m.fd >= 0)
        close(m.fd);
    s->ended = s->ended || r < 0;
    return s->ended;
}

static void take(struct send *s, const struct msg *m)
{
    struct job *job = &s->job;
    if (m->kind == MSG_SECRET && s->given < 0 && m->u.SECRET.need == s->need) {
        s->given = m->fd;
    } else if (m->kind == MSG_DELIVER && job->fd < 0) {
        const struct m_DELIVER *d = &m->u.DELIVER;
        job->sender = mem_dup_n(d->sender.p, d->sender.n);
        job->sender_n = d->sender.n;
        job->rcpts = mem_dup_n(d->rcpts.p, d->rcpts.n);
        job->rcpts_n = d->rcpts.n;
        job->fd = m->fd;
    } else if (m->kind == MSG_DELIVER_NOTHING) {
        job->nothing = true;
    } else if (m->fd >= 0) {
        close(m->fd);
    }
}

/* Serves the channel until *fd is there, or for the job's that it has none. */
static bool wait_for(struct send *s, const int *fd, const char *what, struct err *err)
{
    int64_t deadline = clock_mono_ms() + IDLE_MS;
    while (*fd < 0 && !(fd == &s->job.fd && s->job.nothing)) {
        struct msg m;
        int r = chan_wait(s->chan, deadline, &m, err);
        if (r < 0) {
            s->ended = true;
            return err->kind != ERR_NONE ? false : err_set(err, ERR_CHANNEL, "the store is gone");
        }
        if (r == 0)
            return err_set(err, ERR_TIMEOUT, "the store does not %s", what);
        take(s, &m);
    }
    return true;
}

static bool ask(void *arg, enum need need, bool refused, int *fd_r, struct err *err)
{
    struct send *s = arg;
    s->need = (uint8_t)need;
    if (!SEND(s->chan, -1, err, SECRET_ASK, .service = SERVICE_SUBMISSION, .need = (uint8_t)need, .refused = refused) ||
        !wait_for(s, &s->given, "give what the login needs", err))
        return false;
    *fd_r = s->given;
    s->given = -1;
    return true;
}

static void on_refused(void *arg, const char *rcpt, const struct err *why)
{
    struct send *s = arg;
    struct err err = ERR_INIT;
    if (!SEND(s->chan, -1, &err, RCPT_REFUSED, .rcpt = str_z(rcpt), .text = str_z(why->text)))
        s->ended = true;
}

/* ---- Delivery ----------------------------------------------------------------------------------- */

/* `lines` holds an addr-spec a line; a NUL or a line end within one cannot be hidden from smtp_address_ok, which sees
 * the NUL-terminated copy: a copy shorter than its line is refused here. */
static bool recipients(struct str lines, char **rcpts, size_t *n_r, struct err *err)
{
    struct str line;
    size_t n = 0;
    while (str_split(&lines, '\n', &line)) {
        if (line.n == 0)
            continue;
        if (n == RCPTS_MAX) {
            err_set(err, ERR_LIMIT, "more than %d recipients", RCPTS_MAX);
            break;
        }
        rcpts[n++] = mem_dup_n(line.p, line.n);
        if (strlen(rcpts[n - 1]) != line.n) {
            err_set(err, ERR_RECIPIENT, "an address holds a NUL byte");
            break;
        }
    }
    *n_r = n;
    return err->kind == ERR_NONE;
}

static struct line_way way(struct send *s)
{
    return (struct line_way){
        .account = s->account, .service = SERVICE_SUBMISSION, .options = &s->stream_options, .ask = ask, .arg = s};
}

static void hang_up(struct smtp **smtp, struct stream **stream)
{
    smtp_free(smtp);
    stream_close(stream);
}

static bool log_in(struct send *s, struct smtp **smtp_r, struct stream **stream_r, struct err *err)
{
    const struct endpoint *out = &s->account->out;
    bool login = account_login(s->account, SERVICE_SUBMISSION) != LOGIN_NOTHING;
    struct line_way w = way(s);
    for (bool last = false;; last = true) {
        if (!line_open(&w, &s->secret, stream_r, err))
            return false;
        *smtp_r = smtp_new(*stream_r, out->host);
        if (smtp_greet(*smtp_r, out->tls == TLS_STARTTLS, err) &&
            (!login || smtp_login(*smtp_r, out->user, &s->secret, out->tls == TLS_NONE, err)))
            return true;
        hang_up(smtp_r, stream_r);
        if (!(last ? line_refused : line_again)(&w, &s->secret, err))
            return false;
    }
}

/* mail NULL: the login is all. */
static bool submit(struct send *s, const struct smtp_mail *mail, struct err *err)
{
    struct stream *stream;
    struct smtp *smtp;
    if (!log_in(s, &smtp, &stream, err))
        return false;
    bool ok = !mail || smtp_send(smtp, mail, err);
    if (ok)
        smtp_quit(smtp);
    hang_up(&smtp, &stream);
    return ok;
}

static bool deliver(struct send *s, const struct job *job, struct err *err)
{
    if (job->nothing)
        return submit(s, NULL, err);
    char **rcpts = mem_array(RCPTS_MAX, sizeof *rcpts);
    size_t n = 0;
    bool ok = recipients((struct str){job->rcpts, job->rcpts_n}, rcpts, &n, err);
    if (ok && strlen(job->sender) != job->sender_n)
        ok = err_set(err, ERR_RECIPIENT, "the sender holds a NUL byte");
    if (ok) {
        struct smtp_mail mail = {.sender = job->sender,
                                 .rcpts = (const char *const *)rcpts,
                                 .nrcpts = n,
                                 .fd = job->fd,
                                 .refused = on_refused,
                                 .arg = s};
        ok = submit(s, &mail, err);
    }
    for (size_t i = 0; i < n; i++)
        free(rcpts[i]);
    free(rcpts);
    return ok;
}

static bool run(struct send *s, struct err *err)
{
    struct job *job = &s->job;
    struct line_way w = way(s);
    /* The store gives the mail away only when the login has what it needs. */
    *err = s->unfit;
    bool ok = err->kind == ERR_NONE && line_secret(&w, &s->secret, err) &&
              wait_for(s, &job->fd, "say what to send", err) && deliver(s, job, err);
    secret_free(&s->secret);
    if (s->given >= 0)
        close(s->given);
    if (job->fd >= 0)
        close(job->fd);
    free(job->sender);
    free(job->rcpts);
    if (s->ended)
        return err_set(err, ERR_CHANNEL, "the store is gone");
    struct err lost = ERR_INIT;
    bool told =
        SEND(s->chan, -1, &lost, DELIVER_DONE, .kind = ok ? ERR_NONE : err->kind, .text = str_z(ok ? "" : err->text)) &&
        chan_drain(s->chan, clock_mono_ms() + SECRET_MS, &lost);
    if (!told)
        *err = lost;
    return told; /* a delivery that failed is the store's to tell, not a fault of this program */
}

/* ---- Start -------------------------------------------------------------------------------------- */

static bool confine(struct send *s, const struct conf *conf, struct err *err)
{
    char report[200];
    s->stream_options = (struct stream_options){.connect_ms = (int)conf->connect_timeout * 1000,
                                                .answer_ms = (int)conf->timeout * 1000,
                                                .ca_file = s->account->tls_ca_file,
                                                .cert_file = s->account->tls_cert_file,
                                                .pin = s->account->tls_pin,
                                                .wake_fd = chan_fd(s->chan),
                                                .on_wake = on_wake,
                                                .arg = s};
    struct sandbox box = {.role = ROLE_SEND, .tcp_ports = {s->account->out.port, 53}, .memory_max = MEMORY_MAX};
    stream_setup(&s->stream_options, &s->unfit);
    return sasl_setup(err) && sandbox_enter(&box, report, err) &&
           SEND(s->chan, -1, err, READY, .sandbox = str_z(report));
}

int main(int argc, char **argv)
{
    struct send s = {.job = {.fd = -1}, .given = -1};
    struct conf_program p;
    struct err err = ERR_INIT;
    log_open("send", LOG_INFO);
    bool ok = conf_program(argc, argv, true, &p, &err);
    if (ok) {
        log_open("send", (enum log_level)p.conf->log_level);
        s.account = conf_account(p.conf, p.account);
        if (s.account == NULL || s.account->out.proto != PROTO_SMTP)
            ok = err_set(&err, ERR_NO_ACCOUNT, "account %s has no submission server in %s", p.account, p.conf->file);
    }
    if (ok && fcntl(IPC_CHANNEL_FD, F_GETFD) < 0)
        ok =
            err_set(&err, ERR_USAGE, "send is started by the store, with its channel on descriptor %d", IPC_CHANNEL_FD);
    if (ok) {
        s.chan = chan_new(IPC_CHANNEL_FD, ROLE_SEND, ROLE_STORE);
        ok = confine(&s, p.conf, &err) && run(&s, &err);
    }
    if (!ok)
        log_msg(LOG_ERROR, "%s", err.text);
    secret_free(&s.secret);
    chan_free(&s.chan);
    conf_free(&p.conf);
    return ok ? 0 : err_exit(err.kind);
}
