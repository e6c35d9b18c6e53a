/* See archive.h. */
#include "cli/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 200 /* how soon Ctrl-C is seen */
#define PASS_MS (60 * 60 * 1000)
#define ROLE_MS (10 * 60 * 1000)

static volatile sig_atomic_t stopped;

static void on_stop(int signo)
{
    (void)signo;
    stopped = 1;
}

bool desk_stopped(void)
{
    return stopped != 0;
}

/* ---- Open and close ----------------------------------------------------------------------------- */
static bool readers_open(struct desk *d, struct err *err)
{
    const struct conf *conf = d->cli->conf;
    char *state = cli_state(d->cli->conf, d->cli->root);
    bool ok = true;
    d->accounts = mem_array(conf->naccounts + 1, sizeof *d->accounts);
    for (d->n = 0; ok && d->n < conf->naccounts; d->n++) {
        struct desk_account *a = &d->accounts[d->n];
        a->conf = &conf->accounts[d->n];
        a->imap = a->conf->in.proto == PROTO_IMAP;
        a->state = ACCOUNT_CONNECTING;
        a->reader = reader_open(state, a->conf->name, err);
        ok = a->reader != NULL;
    }
    free(state);
    return ok;
}

bool desk_open(struct desk *d, struct cli *cli, const char *does, bool aside, struct err *err)
{
    const struct client_args args = {
        .config = cli->config, .root = cli->root, .program = "archive", .offline = cli->offline, .aside = aside};
    struct sigaction stop = {.sa_handler = on_stop};
    *d = (struct desk){.cli = cli, .does = does, .tty = isatty(STDERR_FILENO)};
    stopped = 0;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
    d->client = client_connect(&args, err);
    return d->client && readers_open(d, err);
}

/* It ends by itself with its channel, and first what it was given. */
static void role_end(struct open_role *r)
{
    const struct timespec wait = {.tv_nsec = 10 * 1000 * 1000};
    chan_free(&r->chan);
    for (int i = 0; i < 500; i++) {
        if (waitpid(r->pid, NULL, WNOHANG) != 0) {
            r->pid = 0;
            return;
        }
        nanosleep(&wait, NULL);
    }
    role_close(r);
}

void desk_close(struct desk *d)
{
    if (d->role.pid > 0)
        role_end(&d->role);
    for (size_t i = 0; i < d->n; i++)
        if (d->accounts[i].reader)
            reader_close(&d->accounts[i].reader);
    free(d->accounts);
    d->accounts = NULL;
    d->n = 0;
    client_close(&d->client);
}

/* ---- The store ---------------------------------------------------------------------------------- */
static void note_account(struct desk *d, const struct m_ACCOUNT *m)
{
    for (size_t i = 0; i < d->n; i++) {
        struct desk_account *a = &d->accounts[i];
        if (!str_eqz(m->account, a->conf->name))
            continue;
        a->state = (enum account_state)m->state;
        a->queued = m->queued;
        struct buf text = BUF_INIT(sizeof a->text - 1);
        text_from_bytes(m->text, TEXT_FOLD_SPACE, &text);
        snprintf(a->text, sizeof a->text, "%s", buf_z(&text));
        buf_fini(&text);
    }
}

static void note_secret(struct desk *d, const struct m_SECRET_WANTED *m)
{
    for (size_t i = 0; i < d->n; i++)
        if (str_eqz(m->account, d->accounts[i].conf->name) && m->service == SERVICE_INCOMING)
            d->accounts[i].wants_secret = true;
}

void desk_note(struct desk *d, const struct msg *m)
{
    if (m->kind == MSG_ACCOUNT)
        note_account(d, &m->u.ACCOUNT);
    else if (m->kind == MSG_JOB_STOP)
        stopped = 1;
    else if (m->kind == MSG_SECRET_WANTED)
        note_secret(d, &m->u.SECRET_WANTED);
}

int desk_receive(struct desk *d, int64_t deadline_ms, struct msg *m, struct err *err)
{
    for (;;) {
        int64_t now = clock_mono_ms();
        if (stopped)
            return 0;
        struct err gone = ERR_INIT;
        int got = chan_wait(d->client->chan, MIN(deadline_ms, now + STEP_MS), m, &gone);
        if (got < 0) {
            err_set(err, ERR_CHANNEL, "the store ended; see %s", d->client->log);
            return -1;
        }
        if (got == 0 && now + STEP_MS > deadline_ms)
            return 0;
        if (got == 0)
            continue;
        desk_note(d, m);
        return 1;
    }
}

bool desk_line(const struct desk_account *a)
{
    return a->imap && !a->wants_secret && (a->state == ACCOUNT_CONNECTING || a->state == ACCOUNT_ONLINE);
}

static bool refused(const struct msg *m, struct err *err)
{
    struct buf text = BUF_INIT(sizeof err->text - 1);
    text_from_bytes(m->u.REFUSED.text, TEXT_FOLD_SPACE, &text);
    uint32_t kind = m->u.REFUSED.kind;
    err_set(err, kind > ERR_NONE && kind < ERR_COUNT ? (enum err_kind)kind : ERR_CHANNEL, "%s", buf_z(&text));
    buf_fini(&text);
    return false;
}

bool desk_answer(struct desk *d, uint32_t req, struct msg *m, struct err *err)
{
    int64_t until = clock_mono_ms() + PASS_MS;
    for (;;) {
        int got = desk_receive(d, until, m, err);
        if (got <= 0)
            return got == 0 ? err_set(err, stopped ? ERR_CANCELED : ERR_TIMEOUT,
                                      stopped ? "stopped" : "no answer from the store")
                            : false;
        if (m->fd >= 0)
            close(m->fd);
        if (m->kind == MSG_INTENT_OK && m->u.INTENT_OK.req == req)
            return true;
        if (m->kind == MSG_REFUSED && m->u.REFUSED.req == req)
            return refused(m, err);
    }
}

/* One pass over the server: its mailboxes and what is in them. */
static bool pass(struct desk *d, struct desk_account *a, struct err *err)
{
    uint32_t req = ++d->req;
    int64_t until = clock_mono_ms() + PASS_MS;
    if (!SEND(d->client->chan, -1, err, FETCH_NOW, .req = req, .account = str_z(a->conf->name)))
        return false;
    for (;;) {
        struct msg m;
        int got = desk_receive(d, until, &m, err);
        if (got < 0)
            return false;
        if (got == 0)
            return err_set(err, stopped ? ERR_CANCELED : ERR_TIMEOUT, stopped ? "stopped" : "the server is slow");
        if (m.fd >= 0)
            close(m.fd);
        if (m.kind == MSG_FETCHED && m.u.FETCHED.req == req) {
            if (m.u.FETCHED.kind != ERR_NONE)
                desk_say(d, "%s: %.*s; what is on this machine is taken", a->conf->name, STR_FMT(m.u.FETCHED.text));
            break;
        }
        if (a->wants_secret) {
            desk_say(d, "%s: the password is needed; set password-command. What is on this machine is taken",
                     a->conf->name);
            break;
        }
        if (m.kind == MSG_PROGRESS)
            desk_progress(d, a->conf->name, m.u.PROGRESS.done, m.u.PROGRESS.total);
    }
    desk_progress_end(d);
    return true;
}

bool desk_settle(struct desk *d, struct desk_account *a, bool index, struct err *err)
{
    struct msg m;
    if (a->imap && !d->client->offline && !pass(d, a, err))
        return false;
    uint32_t req = ++d->req;
    if (!SEND(d->client->chan, -1, err, SETTLE, .req = req, .account = str_z(a->conf->name),
              .index = index ? SETTLE_ALL : SETTLE_NOTHING))
        return false;
    if (desk_answer(d, req, &m, err))
        return true;
    err_prefix(err, "%s", a->conf->name);
    return false;
}

/* ---- The program archive ------------------------------------------------------------------------ */
bool desk_role(struct desk *d, const char *what, const char *path, struct err *err)
{
    const char *argv[] = {what, path, NULL};
    int fd;
    if (!role_start(ROLE_ARCHIVE, argv, -1, &d->role.pid, &fd, err))
        return false;
    d->role.chan = chan_new(fd, ROLE_UI, ROLE_ARCHIVE);
    return true;
}

bool desk_role_receive(struct desk *d, struct msg *m, struct err *err)
{
    struct err gone = ERR_INIT;
    int got = chan_wait(d->role.chan, clock_mono_ms() + ROLE_MS, m, &gone);
    if (got > 0)
        return true;
    return err_set(err, got ? ERR_CHANNEL : ERR_TIMEOUT, "the program that reads and writes archives %s",
                   got ? "ended" : "does not answer");
}

/* ---- Words -------------------------------------------------------------------------------------- */
void desk_progress(struct desk *d, const char *what, uint64_t done, uint64_t total)
{
    int64_t now = clock_mono_ms();
    struct err err = ERR_INIT;
    if (now - d->said < 250)
        return;
    d->said = now;
    if (d->tty)
        fprintf(stderr, "\r%.60s %llu of %llu\033[K\r", what, (unsigned long long)done, (unsigned long long)total);
    if (!d->client || !d->client->chan)
        return;
    struct buf words = BUF_INIT(200);
    buf_addf(&words, "tuimail %s: %.150s", d->does, what);
    SEND(d->client->chan, -1, &err, JOB, .job = 0, .done = done, .total = total, .text = buf_str(&words));
    buf_fini(&words);
}

static void wipe_line(const struct desk *d)
{
    if (d->tty && d->said)
        fputs("\r\033[K", stderr);
}

void desk_progress_end(struct desk *d)
{
    struct err err = ERR_INIT;
    wipe_line(d);
    if (d->said && d->client && d->client->chan)
        SEND(d->client->chan, -1, &err, JOB, .job = 0);
    d->said = 0;
}

void desk_say(struct desk *d, const char *fmt, ...)
{
    struct buf line = BUF_INIT(4000), safe = BUF_INIT(8000);
    va_list args;
    va_start(args, fmt);
    buf_addv(&line, fmt, args);
    va_end(args);
    text_from_bytes(buf_str(&line), TEXT_FOLD_SPACE, &safe);
    wipe_line(d);
    fprintf(stderr, "tuimail: %s\n", buf_z(&safe));
    buf_fini(&line);
    buf_fini(&safe);
}

int desk_temporary(const char *dir, struct err *err)
{
#ifdef O_TMPFILE
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
#else
    int fd = -1;
#endif
    char *path = path_join(dir, ".import-XXXXXX");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    else
        err_sys(err, err_from_errno(errno), errno, "cannot make a file in %s", dir);
    free(path);
    return fd;
}
