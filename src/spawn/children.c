/* The programs that store asks for. */
#include "spawn/internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Penalties: a program that ends badly is not started again at once, whoever asks ---- */

#define DELAY_FIRST 250
#define DELAY_MAX 60000
#define GOOD_RUN_MS 60000 /* a run of this length clears the record */

static struct penalty *penalty_of(struct spawn *s, enum role role, const char *account)
{
    for (size_t i = 0; i < s->npenalties; i++)
        if (s->penalties[i].role == role && strcmp(s->penalties[i].account, account) == 0)
            return &s->penalties[i];
    return NULL;
}

static void penalty_note(struct spawn *s, const struct child *c, int status)
{
    struct penalty *p = penalty_of(s, c->role, c->account);
    int64_t now = clock_mono_ms();
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (good || now - c->started >= GOOD_RUN_MS) {
        if (p != NULL)
            *p = s->penalties[--s->npenalties];
        if (good)
            return;
        p = NULL;
    }
    if (p == NULL) {
        if (s->npenalties == COUNT(s->penalties))
            s->npenalties--;
        p = &s->penalties[s->npenalties++];
        *p = (struct penalty){.role = c->role, .delay = DELAY_FIRST / 2};
        memcpy(p->account, c->account, sizeof p->account);
    }
    p->delay = MIN(p->delay * 2, DELAY_MAX);
    p->not_before = now + p->delay;
}

/* ---- The list ---- */

struct child *child_add(struct spawn *s, enum role role, struct str account, uint64_t tag)
{
    struct child *c = mem_new(sizeof *c);
    c->role = role;
    c->tag = tag;
    c->store = s->store_runs;
    c->spawn = s;
    memcpy(c->account, account.p, MIN(account.n, sizeof c->account - 1));
    c->next = s->children;
    s->children = c;
    s->nchildren++;
    return c;
}

static void child_drop(struct child *c)
{
    struct spawn *s = c->spawn;
    command_free(&c->command);
    for (struct child **at = &s->children; *at != NULL; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            s->nchildren--;
            break;
        }
    watch_free(&c->timer);
    free(c);
}

static void tell_exited(struct spawn *s, const struct child *c, int status, const char *text)
{
    struct err err = ERR_INIT;
    if (s->store == NULL || s->ending || c->store != s->store_runs)
        return;
    spawn_tell(s,
               SEND(s->store, -1, &err, EXITED, .role = (uint8_t)c->role, .account = str_z(c->account), .tag = c->tag,
                    .status = (uint32_t)status, .text = str_z(text)),
               &err);
}

/* ---- Starting and stopping ---- */

bool spawn_role(struct spawn *s, enum role role, const char *account, bool searches, pid_t *pid_r, int *chan_fd_r,
                struct err *err)
{
    const char *argv[7];
    size_t n = 0;
    if (s->config[0] != '\0') {
        argv[n++] = "-c";
        argv[n++] = s->config;
    }
    argv[n++] = "--store";
    argv[n++] = s->root;
    if (account[0] != '\0')
        argv[n++] = account;
    if (searches)
        argv[n++] = "--search";
    argv[n] = NULL;
    int log = log_file(s->root, role_name(role));
    bool ok = role_start(role, argv, log, pid_r, chan_fd_r, err);
    if (log >= 0)
        close(log);
    if (ok)
        log_msg(LOG_DEBUG, "%s %s started as %ld", role_name(role), account, (long)*pid_r);
    return ok;
}

static void child_run(struct child *c)
{
    struct spawn *s = c->spawn;
    struct err err = ERR_INIT;
    int fd;
    if (!spawn_role(s, c->role, c->account, c->searches, &c->pid, &fd, &err)) {
        log_msg(LOG_ERROR, "%s", err.text);
        tell_exited(s, c, 127 << 8, err.text);
        child_drop(c);
        return;
    }
    c->started = clock_mono_ms();
    bool sent =
        SEND(s->store, fd, &err, STARTED, .role = (uint8_t)c->role, .account = str_z(c->account), .tag = c->tag);
    close(fd);
    spawn_tell(s, sent, &err);
}

static void delay_over(void *arg)
{
    struct child *c = arg;
    c->timer = NULL;
    if (c->spawn->store == NULL || c->spawn->ending || c->store != c->spawn->store_runs)
        child_drop(c);
    else
        child_run(c);
}

bool account_known(struct spawn *s, struct str account)
{
    char name[65] = {0};
    if (account.n == 0 || account.n > 64 || memchr(account.p, '\0', account.n) != NULL)
        return false;
    memcpy(name, account.p, account.n);
    return conf_account(s->conf, name) != NULL;
}

void child_start(struct spawn *s, enum role role, struct str account, uint64_t tag, bool searches)
{
    bool needs_account = role == ROLE_FETCH || role == ROLE_SEND || role == ROLE_SIEVE;
    struct child *c = child_add(s, role, needs_account ? account : STR(""), tag);
    const char *refused = NULL;
    c->searches = searches && role == ROLE_FETCH;
    if (!needs_account && role != ROLE_INDEX && role != ROLE_OWN && role != ROLE_SEARCH)
        refused = "no program that may be asked for";
    else if (needs_account && !account_known(s, account))
        refused = "no such account";
    else if (s->nchildren > CHILDREN_MAX)
        refused = "too many programs";
    if (refused != NULL) {
        log_msg(LOG_WARN, "%s not started: %s", role_name(role), refused);
        tell_exited(s, c, 127 << 8, refused);
        child_drop(c);
        return;
    }
    const struct penalty *p = penalty_of(s, role, c->account);
    int64_t wait = p != NULL ? p->not_before - clock_mono_ms() : 0;
    if (wait > 0)
        c->timer = loop_after(s->loop, wait, delay_over, c);
    else
        child_run(c);
}

void child_kill(struct child *c, int signo)
{
    /* A command leads a group; its own children hold its pipe. */
    if (c->command != NULL)
        kill(-c->pid, signo);
    kill(c->pid, signo);
}

static void term_over(void *arg)
{
    struct child *c = arg;
    c->timer = NULL;
    child_kill(c, SIGKILL);
}

void child_term(struct child *c)
{
    watch_free(&c->timer);
    child_kill(c, SIGTERM);
    c->timer = loop_after(c->spawn->loop, TERM_MS, term_over, c);
}

void child_stop(struct spawn *s, enum role role, struct str account, uint64_t tag)
{
    for (struct child *c = s->children, *next; c != NULL; c = next) {
        next = c->next;
        if (c->role != role || c->tag != tag || c->store != s->store_runs || !str_eqz(account, c->account))
            continue;
        if (c->pid != 0) {
            child_term(c);
        } else {
            tell_exited(s, c, 0, "not started");
            child_drop(c);
        }
    }
}

void children_end(struct spawn *s)
{
    for (struct child *c = s->children, *next; c != NULL; c = next) {
        next = c->next;
        if (c->pid == 0)
            child_drop(c);
        else
            child_term(c);
    }
}

bool child_ended(struct spawn *s, pid_t pid, int status)
{
    char word[64];
    for (struct child *c = s->children; c != NULL; c = c->next) {
        if (c->pid != pid)
            continue;
        status_word(status, word);
        if (c->command != NULL) {
            command_ended(c, status, word);
        } else if (c->role == ROLE_OAUTH) {
            token_program_ended(c, word);
        } else {
            if (status != 0)
                log_msg(LOG_WARN, "%s %s: %s", role_name(c->role), c->account, word);
            penalty_note(s, c, status);
            tell_exited(s, c, status, word);
        }
        child_drop(c);
        return true;
    }
    return false;
}
