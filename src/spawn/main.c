/* The program: keeps store alive, does what store asks, and ends with it. */
#include "spawn/internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASHES_MAX 5
#define STORE_TERM_MS 5000

static bool store_start(struct spawn *, int client_fd, struct err *);

/* ---- Store's channel ---- */

static void store_kill(void *arg)
{
    struct spawn *s = arg;
    s->store_kill = NULL;
    if (s->store_pid != 0)
        kill(s->store_pid, SIGKILL);
}

/* A store that cannot be reached is dead, or on its way to an end in order that needs a moment more: SIGCHLD tells. One
 * that is stuck is killed. */
static void store_unreachable(struct spawn *s, const struct err *err)
{
    if (!s->store_kill)
        log_msg(LOG_INFO, "%s", err->text);
    watch_free(&s->store_watch);
    if (!s->store_kill && s->store_pid != 0)
        s->store_kill = loop_after(s->loop, STORE_TERM_MS, store_kill, s);
}

void spawn_tell(struct spawn *s, bool sent, const struct err *err)
{
    if (!sent)
        store_unreachable(s, err);
    else if (s->store_watch != NULL)
        watch_events(s->store_watch, chan_wants_write(s->store) ? POLLIN | POLLOUT : POLLIN);
}

/* The file may have changed since: a new account is started without a new spawn. */
static void conf_refresh(struct spawn *s)
{
    static struct stat last;
    struct stat st;
    struct conf *fresh;
    struct err err = ERR_INIT;
    if (s->config[0] == '\0' || stat(s->config, &st) != 0)
        return;
    bool same = st.st_ino == last.st_ino && st.st_size == last.st_size && st.st_mtim.tv_sec == last.st_mtim.tv_sec &&
                st.st_mtim.tv_nsec == last.st_mtim.tv_nsec;
    last = st;
    if (same)
        return;
    if (!conf_load(s->config, &fresh, NULL, &err)) {
        log_msg(LOG_WARN, "%s", err.text);
        return;
    }
    conf_free(&s->conf);
    s->conf = fresh;
    settings_run(s->conf, buf_str(&s->settings));
}

/* An option is another from now on: here, and in what is started. The store has seen to it that it fits. */
static void on_setting(struct spawn *s, struct str text)
{
    struct line line;
    struct err err = ERR_INIT;
    const char *account;
    unsigned number = 1;
    if (line_next(&text, "", &number, &line, &err) != 1)
        return;
    if (setting_option(&line, &account) != NULL && settings_add(&s->settings, &line, &err)) {
        settings_run(s->conf, buf_str(&s->settings));
        role_env(SETTINGS_ENV, buf_str(&s->settings));
        token_forget(s, account);
    }
    if (err.kind != ERR_NONE)
        log_msg(LOG_WARN, "%s", err.text);
    line_fini(&line);
}

static void store_message(struct spawn *s, const struct msg *m)
{
    switch (m->kind) {
    case MSG_START:
        conf_refresh(s);
        child_start(s, (enum role)m->u.START.role, m->u.START.account, m->u.START.tag, m->u.START.searches);
        break;
    case MSG_STOP:
        child_stop(s, (enum role)m->u.STOP.role, m->u.STOP.account, m->u.STOP.tag);
        break;
    case MSG_SETTING:
        conf_refresh(s);
        on_setting(s, m->u.SETTING.line);
        break;
    case MSG_SECRET_GET:
        conf_refresh(s);
        secret_get(s, &m->u.SECRET_GET);
        break;
    default:
        if (m->fd >= 0)
            close(m->fd);
        log_msg(LOG_ERROR, "store sent %s here", msg_name(m->kind));
        kill(s->store_pid, SIGKILL);
        break;
    }
}

static void store_ready(void *arg, short revents)
{
    struct spawn *s = arg;
    struct err err = ERR_INIT;
    struct msg m;
    if ((revents & POLLOUT) != 0)
        spawn_tell(s, chan_flush(s->store, &err), &err);
    int got = chan_recv(s->store, &m, &err);
    if (got > 0) {
        store_message(s, &m);
        return;
    }
    if (got == 0)
        return;
    if (err.kind != ERR_NONE)
        store_unreachable(s, &err);
    else
        watch_free(&s->store_watch);
}

/* ---- Life of store ---- */

static bool store_start(struct spawn *s, int client_fd, struct err *err)
{
    int fd;
    if (!spawn_role(s, ROLE_STORE, "", false, &s->store_pid, &fd, err))
        return false;
    s->store_runs++;
    s->store_started = clock_mono_ms();
    s->store = chan_new(fd, ROLE_SPAWN, ROLE_STORE);
    s->store_watch = loop_fd(s->loop, fd, POLLIN, store_ready, s);
    struct err sent = ERR_INIT;
    spawn_tell(s, SEND(s->store, s->listen_fd, &sent, LISTEN_FD, .path = str_z(s->socket_path)), &sent);
    if (client_fd >= 0)
        spawn_tell(s, SEND(s->store, client_fd, &sent, CLIENT_FD, .config = str_z(s->config)), &sent);
    return true;
}

static void end(struct spawn *s, int status)
{
    if (s->ending)
        return;
    s->ending = true;
    s->exit_status = status;
    watch_free(&s->restart);
    children_end(s);
}

static void store_again(void *arg)
{
    struct spawn *s = arg;
    struct err err = ERR_INIT;
    s->restart = NULL;
    if (!s->ending && !store_start(s, -1, &err)) {
        log_msg(LOG_ERROR, "%s", err.text);
        end(s, SPAWN_FAILED + (int)err.kind);
    }
}

/* 0 and sysexits(3) are store's own decisions; anything else is a crash, and clients come back for the next one. */
static void store_ended(struct spawn *s, int status)
{
    char word[64];
    status_word(status, word);
    watch_free(&s->store_watch);
    watch_free(&s->store_kill);
    chan_free(&s->store);
    s->store_pid = 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (s->ending)
        return;
    if (code == 0 || (code >= 64 && code <= 78)) {
        log_msg(code == 0 ? LOG_INFO : LOG_ERROR, "store ended: %s", word);
        end(s, code);
        return;
    }
    if (clock_mono_ms() - s->store_started > 60000)
        s->store_crashes = 0;
    log_msg(LOG_ERROR, "store crashed: %s", word);
    children_end(s);
    if (++s->store_crashes >= CRASHES_MAX)
        end(s, SPAWN_FAILED + ERR_STORE);
    else
        s->restart = loop_after(s->loop, 100 << s->store_crashes, store_again, s);
}

static void on_child(void *arg)
{
    struct spawn *s = arg;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->store_pid)
            store_ended(s, status);
        else
            child_ended(s, pid, status);
    }
}

static void on_term(void *arg)
{
    struct spawn *s = arg;
    if (s->store_pid != 0)
        kill(s->store_pid, SIGTERM);
    if (!s->store_kill)
        s->store_kill = loop_after(s->loop, STORE_TERM_MS, store_kill, s);
    end(s, 0);
}

/* ---- Start ---- */

NORETURN static void refuse(int status, const struct err *err)
{
    /* The client reads this line: the log of the root may not exist. */
    if (err->kind != ERR_NONE)
        fprintf(stderr, "%s\n", err->text);
    exit(status);
}

NORETURN static void refuse_err(const struct err *err)
{
    refuse(SPAWN_FAILED + (int)err->kind, err);
}

static void arguments(struct spawn *s, int argc, char **argv, struct err *err)
{
    struct conf_program p;
    if (!conf_program(argc, argv, false, &p, err))
        refuse_err(err);
    s->config = mem_dup_z(p.config);
    const char *settings = getenv(SETTINGS_ENV);
    if (settings != NULL) {
        buf_addz(&s->settings, settings);
        role_env(SETTINGS_ENV, buf_str(&s->settings));
        unsetenv(SETTINGS_ENV); /* it is not for the commands */
    }
    s->conf = p.conf;
    char *root = conf_root(s->conf, p.store, err);
    if (root == NULL || !fs_mkdir_private(root, err))
        refuse_err(err);
    s->root = realpath(root, NULL);
    free(root);
    if (s->root == NULL) {
        err_sys(err, err_from_errno(errno), errno, "cannot resolve the store");
        refuse_err(err);
    }
}

int main(int argc, char **argv)
{
    struct spawn s = {.lock_fd = -1, .listen_fd = -1, .settings = BUF_INIT(SETTINGS_MAX)};
    struct err err = ERR_INIT;
    char report[200];
    log_open("spawn", LOG_INFO);
    arguments(&s, argc, argv, &err);
    int status = lock_take(s.root, &s.lock_fd, &err);
    if (status != 0)
        refuse(status, &err);
    if (!sandbox_enter(&(struct sandbox){.role = ROLE_SPAWN}, report, &err) ||
        (s.socket_path = ipc_socket_path(s.root, &err)) == NULL || (s.listen_fd = listen_at(s.socket_path, &err)) < 0) {
        lock_drop(s.lock_fd);
        refuse_err(&err);
    }
    s.loop = loop_new();
    struct watch *watches[] = {loop_signal(s.loop, SIGCHLD, on_child, &s), loop_signal(s.loop, SIGTERM, on_term, &s),
                               loop_signal(s.loop, SIGINT, on_term, &s), loop_signal(s.loop, SIGHUP, on_term, &s)};
    bool started = store_start(&s, IPC_CHANNEL_FD, &err);
    if (started) {
        close(IPC_CHANNEL_FD);
        int log = log_file(s.root, "spawn");
        if (log >= 0) {
            dup2(log, STDOUT_FILENO);
            dup2(log, STDERR_FILENO);
            close(log);
        }
        while (!s.ending || s.store_pid != 0 || s.children != NULL)
            loop_once(s.loop, -1);
    } else {
        fprintf(stderr, "%s\n", err.text);
        s.exit_status = SPAWN_FAILED + (int)err.kind;
    }
    unlink(s.socket_path);
    close(s.listen_fd);
    lock_drop(s.lock_fd);
    for (size_t i = 0; i < COUNT(watches); i++)
        watch_free(&watches[i]);
    tokens_end(&s);
    loop_free(&s.loop);
    conf_free(&s.conf);
    buf_fini(&s.settings);
    free(s.config);
    free(s.root);
    free(s.socket_path);
    return s.exit_status;
}
