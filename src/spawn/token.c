/* Access tokens: libexec/oauth makes them of the refresh token, which passes through here unread; the access token
 * stays in memory until it expires, so that a second connection costs nothing. */
#include "spawn/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MARGIN_MS 60000 /* a token that ends so soon is not given out */
#define GRANT_MS 150000 /* for a password command and the provider together */
#define READ_MS 5000    /* a token is in its pipe before its message comes */
#define WAITERS_MAX 16

struct token {
    struct token *next;
    struct spawn *spawn;
    char account[65];
    struct secret access;
    int64_t expires; /* monotonic */
    struct secret_order waiters[WAITERS_MAX];
    size_t nwaiters;
    /* the refresh under way */
    struct child *child; /* libexec/oauth; NULL: none */
    struct chan *chan;
    struct watch *watch;
    int refresh_fd, client_fd;
    struct secret fresh; /* access token that came, until OAUTH_DONE */
    int64_t fresh_expires;
};

static struct token *token_of(struct spawn *s, const char *account)
{
    struct token *t = s->tokens;
    while (t != NULL && strcmp(t->account, account) != 0)
        t = t->next;
    if (t == NULL) {
        t = mem_new(sizeof *t);
        t->spawn = s;
        t->refresh_fd = t->client_fd = -1;
        snprintf(t->account, sizeof t->account, "%s", account);
        t->next = s->tokens;
        s->tokens = t;
    }
    return t;
}

/* ---- Answers ------------------------------------------------------------------------------------ */

static void give(struct token *t, const struct secret_order *o)
{
    int ends[2];
    struct err err = ERR_INIT;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_set(&err, ERR_SECRET, "cannot make a pipe for the token");
        secret_answer(t->spawn, o, -1, &err);
        return;
    }
    /* Less than a pipe holds: never waits. */
    if (!fs_write_all(ends[1], (struct str){t->access.p, t->access.n}, &err) || !fs_write_all(ends[1], STR("\n"), &err))
        log_msg(LOG_ERROR, "%s", err.text);
    close(ends[1]);
    secret_answer(t->spawn, o, ends[0], NULL);
    close(ends[0]);
}

/* The refresh is over: everybody who waits is told. */
static void settle(struct token *t, const struct err *err)
{
    struct err why = *err;
    if (why.kind == ERR_TOKEN)
        err_set(&why, ERR_TOKEN, "run: tuimail login %s: %s", t->account, err->text);
    for (size_t i = 0; i < t->nwaiters; i++) {
        if (why.kind == ERR_NONE)
            give(t, &t->waiters[i]);
        else
            secret_answer(t->spawn, &t->waiters[i], -1, &why);
    }
    t->nwaiters = 0;
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Lets go of the program; it ends by itself when its channel does. */
static void let_go(struct token *t)
{
    watch_free(&t->watch);
    chan_free(&t->chan);
    fd_close(&t->refresh_fd);
    fd_close(&t->client_fd);
    secret_free(&t->fresh);
    t->child = NULL;
}

static void finish(struct token *t, const struct err *err)
{
    if (err->kind == ERR_NONE) {
        secret_free(&t->access);
        t->access = t->fresh;
        t->expires = t->fresh_expires;
        t->fresh = (struct secret){.p = NULL};
    }
    let_go(t);
    settle(t, err);
}

/* ---- The program -------------------------------------------------------------------------------- */

static bool on_token(struct token *t, struct msg *m, struct err *err)
{
    struct secret token;
    struct err kept = ERR_INIT;
    int fd = m->fd;
    m->fd = -1;
    if (!secret_read(fd, clock_mono_ms() + READ_MS, &token, err))
        return false;
    if (m->u.OAUTH_TOKEN.what == OAUTH_ACCESS_TOKEN) {
        secret_free(&t->fresh);
        t->fresh = token;
        t->fresh_expires = clock_mono_ms() + (int64_t)MIN(m->u.OAUTH_TOKEN.expires_s, (uint32_t)INT32_MAX) * 1000;
        return true;
    }
    /* The provider replaced the refresh token: the old one may be of no use from now on. */
    if (!command_keep(t->spawn, t->account, &token, &kept))
        log_msg(LOG_ERROR, "%s: the new refresh token could not be kept: %s", t->account, kept.text);
    secret_free(&token);
    return true;
}

static bool order(struct token *t, struct err *err)
{
    bool ok = SEND(t->chan, t->refresh_fd, err, OAUTH_GIVEN, .what = OAUTH_REFRESH_TOKEN) &&
              (t->client_fd < 0 || SEND(t->chan, t->client_fd, err, OAUTH_GIVEN, .what = OAUTH_CLIENT_SECRET)) &&
              SEND(t->chan, -1, err, OAUTH_REFRESH, .unused = 0);
    fd_close(&t->refresh_fd);
    fd_close(&t->client_fd);
    return ok;
}

static void on_done(struct token *t, const struct m_OAUTH_DONE *done)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(380);
    text_from_bytes(done->text, TEXT_FOLD_SPACE, &text);
    if (done->kind != ERR_NONE || t->fresh.p == NULL)
        err_set(&err, done->kind != ERR_NONE && done->kind < ERR_COUNT ? (enum err_kind)done->kind : ERR_CHANNEL, "%s",
                text.n > 0 ? buf_z(&text) : "no token came");
    buf_fini(&text);
    finish(t, &err);
}

static void on_program(void *arg, short revents)
{
    struct token *t = arg;
    struct err err = ERR_INIT;
    struct msg m;
    (void)revents;
    int got = chan_recv(t->chan, &m, &err);
    if (got == 0)
        return;
    bool ok = got > 0;
    if (got < 0 && err.kind == ERR_NONE)
        err_set(&err, ERR_CHANNEL, "the oauth program ended before it could say");
    else if (ok && m.kind == MSG_READY)
        ok = order(t, &err);
    else if (ok && m.kind == MSG_OAUTH_TOKEN)
        ok = on_token(t, &m, &err);
    else if (ok && m.kind == MSG_OAUTH_DONE)
        on_done(t, &m.u.OAUTH_DONE);
    else if (ok)
        ok = err_set(&err, ERR_CHANNEL, "the oauth program said %s", msg_name(m.kind));
    if (got > 0 && m.fd >= 0)
        close(m.fd);
    if (!ok)
        finish(t, &err);
}

void token_program_ended(struct child *c, const char *word)
{
    struct err err = ERR_INIT;
    for (struct token *t = c->spawn->tokens; t != NULL; t = t->next)
        if (t->child == c) {
            /* What it said last may still lie in the channel. */
            while (t->child == c && t->chan != NULL) {
                struct pollfd p = {.fd = chan_fd(t->chan), .events = POLLIN};
                if (poll(&p, 1, 0) <= 0)
                    break;
                on_program(t, POLLIN);
            }
            if (t->child == c) {
                err_set(&err, ERR_CHANNEL, "the oauth program ended: %s", word);
                finish(t, &err);
            }
        }
}

static void on_time_over(void *arg)
{
    struct child *c = arg;
    c->timer = NULL;
    child_kill(c, SIGKILL);
}

static bool begin(struct token *t, const struct secret_order *o, struct err *err)
{
    struct spawn *s = t->spawn;
    const struct account *a = conf_account(s->conf, t->account);
    struct secret_order need = *o;
    int fd = -1;
    pid_t pid;
    need.need = NEED_REFRESH;
    if (!command_open(s, &need, &t->refresh_fd, err)) {
        if (err->kind == ERR_SECRET) { /* nothing is configured, or the file is not there yet */
            struct err why = *err;
            err_set(err, ERR_TOKEN, "%s", why.text[0] != '\0' ? why.text : "no refresh token is kept");
        }
        return false;
    }
    need.need = NEED_CLIENT;
    if (a->oauth_client_secret_command[0] != '\0' && !command_open(s, &need, &t->client_fd, err))
        return false;
    if (!spawn_role(s, ROLE_OAUTH, t->account, false, &pid, &fd, err))
        return false;
    t->child = child_add(s, ROLE_OAUTH, str_z(t->account), 0);
    t->child->pid = pid;
    t->child->started = clock_mono_ms();
    t->child->timer = loop_after(s->loop, GRANT_MS, on_time_over, t->child);
    t->chan = chan_new(fd, ROLE_SPAWN, ROLE_OAUTH);
    t->watch = loop_fd(s->loop, fd, POLLIN, on_program, t);
    return true;
}

void token_get(struct spawn *s, const struct secret_order *o, bool refused)
{
    struct token *t = token_of(s, o->account);
    struct err err = ERR_INIT;
    if (refused)
        secret_free(&t->access);
    if (t->access.p != NULL && clock_mono_ms() < t->expires - MARGIN_MS) {
        give(t, o);
        return;
    }
    if (t->nwaiters == WAITERS_MAX) {
        err_set(&err, ERR_LIMIT, "too many wait for the token");
        secret_answer(s, o, -1, &err);
        return;
    }
    t->waiters[t->nwaiters++] = *o;
    if (t->child == NULL && !begin(t, o, &err)) {
        let_go(t);
        settle(t, &err);
    }
}

void token_forget(struct spawn *s, const char *account)
{
    for (struct token *t = s->tokens; t != NULL; t = t->next)
        if (strcmp(t->account, account) == 0)
            secret_free(&t->access);
}

void tokens_end(struct spawn *s)
{
    while (s->tokens != NULL) {
        struct token *t = s->tokens;
        s->tokens = t->next;
        let_go(t);
        secret_free(&t->access);
        free(t);
    }
}
