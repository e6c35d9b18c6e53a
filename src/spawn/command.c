/* The user's commands: passwords, tokens, keys, tunnels. What they print on standard error is kept for the case that
 * they fail; what they print on standard output never comes here. */
#include "spawn/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX 4096

struct command {
    enum need need;
    uint8_t service;
    int end;    /* the command's end of its output: closed after its failure was told */
    int errors; /* its standard error; -1 */
    struct watch *end_watch, *errors_watch;
    struct buf said;
};

static const char *const names[NEED_COUNT + 1] = {
    [NEED_LOGIN] = "password command",
    [NEED_KEY] = "tls-key-command",
    [NEED_KEY_PASSWORD] = "key password command",
    [NEED_TUNNEL] = "tunnel command",
    [NEED_REFRESH] = "password command",
    [NEED_CLIENT] = "oauth-client-secret-command",
    [NEED_COUNT] = "token-save-command",
};

void command_free(struct command **cp)
{
    struct command *c = *cp;
    if (c == NULL)
        return;
    *cp = NULL;
    watch_free(&c->end_watch);
    watch_free(&c->errors_watch);
    if (c->end >= 0)
        close(c->end);
    if (c->errors >= 0)
        close(c->errors);
    buf_fini(&c->said);
    free(c);
}

/* The newest bytes count. */
static void errors_read(struct command *c)
{
    char chunk[1024];
    ssize_t n;
    while ((n = read(c->errors, chunk, sizeof chunk)) > 0) {
        if (c->said.n + (size_t)n > SAID_MAX)
            buf_consume(&c->said, MIN(c->said.n, (size_t)n));
        buf_add(&c->said, chunk, (size_t)n);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        watch_free(&c->errors_watch);
}

static void on_errors(void *arg, short revents)
{
    (void)revents;
    errors_read(arg);
}

/* The other end of a tunnel was closed: a command that does not end by itself is ended. */
static void on_hang_up(void *arg, short revents)
{
    struct child *c = arg;
    (void)revents;
    watch_free(&c->command->end_watch);
    child_term(c);
}

static void on_time_over(void *arg)
{
    struct child *c = arg;
    c->timer = NULL;
    buf_reset(&c->command->said);
    buf_addf(&c->command->said, "no end after %d s", COMMAND_MS / 1000);
    child_kill(c, SIGKILL);
}

/* A tunnel that nobody uses any more may end as it likes: what its user says of the line is the better word. */
static bool is_left(const struct command *c)
{
    struct pollfd p = {.fd = c->need == NEED_TUNNEL ? c->end : -1};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

static struct str last_line(struct str text)
{
    text = str_trim(text);
    size_t from = text.n;
    while (from > 0 && text.p[from - 1] != '\n' && text.p[from - 1] != '\r')
        from--;
    return str_sub(text, from, text.n);
}

void command_ended(struct child *child, int status, const char *word)
{
    struct command *c = child->command;
    struct spawn *s = child->spawn;
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(400);
    kill(-child->pid, SIGKILL); /* what it left in its group must not hold the pipe's end open */
    if (status == 0 || is_left(c))
        return;
    if (c->errors >= 0)
        errors_read(c);
    buf_addf(&text, "%s: %s", names[c->need], word);
    if (c->said.n > 0) {
        buf_addz(&text, ": ");
        text_from_bytes(last_line(buf_str(&c->said)), TEXT_FOLD_SPACE, &text);
    }
    log_msg(LOG_WARN, "%s: %s", child->account, buf_z(&text));
    if (s->store != NULL && !s->ending && child->store == s->store_runs)
        spawn_tell(s,
                   SEND(s->store, -1, &err, COMMAND_FAILED, .account = str_z(child->account), .service = c->service,
                        .tag = child->tag, .text = buf_str(&text)),
                   &err);
    buf_fini(&text);
}

static void command_add(struct spawn *s, const struct secret_order *o, pid_t pid, int end, int errors)
{
    struct child *child = child_add(s, ROLE_COUNT, str_z(o->account), o->tag);
    struct command *c = child->command = mem_new(sizeof *c);
    *c = (struct command){.need = o->need, .service = o->service, .end = end, .errors = errors};
    buf_init(&c->said, SAID_MAX);
    child->pid = pid;
    child->started = clock_mono_ms();
    fd_nonblock(errors, true);
    c->errors_watch = loop_fd(s->loop, errors, POLLIN, on_errors, c);
    if (c->need == NEED_TUNNEL)
        c->end_watch = loop_fd(s->loop, end, 0, on_hang_up, child);
    else
        child->timer = loop_after(s->loop, COMMAND_MS, on_time_over, child);
}

/* Runs `begin` with a pipe for the standard error of what it starts. */
static bool run(struct spawn *s, const struct secret_order *o, const struct secret *token, int *fd_r, struct err *err)
{
    const struct account *a = conf_account(s->conf, o->account);
    int end = -1, errors[2];
    pid_t pid = 0;
    if (a == NULL || s->nchildren >= CHILDREN_MAX)
        return err_set(err, ERR_NO_ACCOUNT, "no such account");
    if (pipe2(errors, O_CLOEXEC) != 0)
        return err_sys(err, ERR_SECRET, errno, "cannot make a pipe for a command");
    bool ok = token != NULL ? secret_keep(a, token, errors[1], &pid, err)
                            : secret_source(a, (enum service)o->service, o->need, errors[1], fd_r, &end, &pid, err);
    close(errors[1]);
    if (ok && pid != 0)
        command_add(s, o, pid, end, errors[0]);
    else
        close(errors[0]);
    return ok;
}

bool command_open(struct spawn *s, const struct secret_order *o, int *fd_r, struct err *err)
{
    return run(s, o, NULL, fd_r, err);
}

bool command_keep(struct spawn *s, const char *account, const struct secret *token, struct err *err)
{
    struct secret_order o = {.need = NEED_COUNT};
    snprintf(o.account, sizeof o.account, "%s", account);
    return run(s, &o, token, NULL, err);
}

/* ---- What store asks for ------------------------------------------------------------------------ */

void secret_answer(struct spawn *s, const struct secret_order *o, int fd, const struct err *why)
{
    struct err err = ERR_INIT;
    bool sent;
    if (s->store == NULL || s->ending || o->store != s->store_runs)
        return;
    if (fd >= 0)
        sent =
            SEND(s->store, fd, &err, SECRET_PIPE, .account = str_z(o->account), .service = o->service, .tag = o->tag);
    else
        sent = SEND(s->store, -1, &err, SECRET_NONE, .account = str_z(o->account), .service = o->service, .tag = o->tag,
                    .kind = (uint32_t)why->kind, .text = str_z(why->text));
    spawn_tell(s, sent, &err);
}

void secret_get(struct spawn *s, const struct m_SECRET_GET *get)
{
    struct err err = ERR_INIT;
    struct secret_order o = {
        .need = (enum need)get->need, .service = get->service, .tag = get->tag, .store = s->store_runs};
    int fd = -1;
    memcpy(o.account, get->account.p, MIN(get->account.n, sizeof o.account - 1));
    const struct account *a = account_known(s, get->account) ? conf_account(s->conf, o.account) : NULL;
    if (a != NULL && get->need == NEED_LOGIN && account_has_oauth(a) && a->token_command[0] == '\0') {
        token_get(s, &o, get->refused);
        return;
    }
    if (a == NULL || get->need > NEED_TUNNEL)
        err_set(&err, ERR_NO_ACCOUNT, "no such account");
    else
        command_open(s, &o, &fd, &err);
    secret_answer(s, &o, fd, &err);
    if (fd >= 0)
        close(fd);
}
