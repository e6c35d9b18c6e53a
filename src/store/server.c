/* Start, clients coming and going, spawn's messages, the clock, the end. */
#include "store/server.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/account.h"

#define LINGER_MS 2000
#define GRACE_MS 10000
#define GRACE_MAIL_MS 90000
#define TICK_MS 5000
#define TICK_RARE_MS 600000 /* where the system tells of a jump of its clock */
#define SYNC_MS 50
#define REST_MS 3000
#define SLEPT_S 30 /* the wall clock went on this much more than the timer: the machine slept */

uint64_t server_id(struct server *s)
{
    return ++s->last_id;
}

const char *clean_line(struct str raw)
{
    static struct buf out = {.max = 800};
    buf_reset(&out);
    text_from_bytes(str_sub(raw, 0, 380), TEXT_FOLD_SPACE, &out);
    return buf_z(&out);
}

/* ---- Clients ------------------------------------------------------------------------------------ */
static struct client *client_of(const struct server *s, uint64_t id)
{
    for (size_t i = 0; i < s->nclients; i++)
        if (s->clients[i]->id == id)
            return s->clients[i];
    return NULL;
}

bool server_has_client(const struct server *s, uint64_t client)
{
    return client_of(s, client) != NULL;
}

void server_broadcast(struct server *s, const struct msg *m)
{
    for (size_t i = 0; i < s->nclients; i++)
        if (s->clients[i]->greeted)
            peer_send(s->clients[i]->peer, m, -1);
}

void server_answer(struct server *s, uint64_t client, const struct msg *m, int fd)
{
    struct client *c = client_of(s, client);
    if (c)
        peer_send(c->peer, m, fd);
}

void server_refuse(struct server *s, uint64_t client, uint32_t req, enum err_kind kind, const char *text)
{
    ANSWER(s, client, -1, REFUSED, .req = req, .kind = kind, .text = str_z(text));
}

static void linger_over(void *arg);

static void ending_check(struct server *s)
{
    if (s->nclients == 0 && s->had_client && !s->linger)
        s->linger = loop_after(s->loop, LINGER_MS, linger_over, s);
}

static bool anything_on_the_wire(const struct server *s)
{
    for (size_t i = 0; i < s->naccts; i++)
        if (acct_busy(s->accts[i]))
            return true;
    return indexing_busy(s->indexing) || own_busy(s->own) || rules_busy(s->rules);
}

static uint64_t conf_stamp(const struct conf *conf)
{
    uint64_t all = 0;
    for (size_t i = 0; i < conf->nfiles; i++) {
        struct stat st;
        if (stat(conf->files[i], &st) != 0)
            continue;
        const int64_t is[] = {(int64_t)i, (int64_t)st.st_mtim.tv_sec, (int64_t)st.st_mtim.tv_nsec, (int64_t)st.st_size,
                              (int64_t)st.st_ino};
        all = all * 31 + str_hash((struct str){(const char *)is, sizeof is});
    }
    return all;
}

void server_conf_taken(struct server *s)
{
    s->conf_stamp = conf_stamp(s->conf);
}

int server_conf_changed(struct server *s)
{
    if (conf_stamp(s->conf) == s->conf_stamp)
        return 0;
    if (s->nclients > 1 || anything_on_the_wire(s))
        return 2;
    log_msg(LOG_INFO, "tuimailrc has changed: the store begins anew");
    loop_stop(s->loop);
    return 1;
}

static void linger_over(void *arg)
{
    struct server *s = arg;
    s->linger = NULL;
    if (s->nclients > 0) {
        s->ending_since = 0;
        return;
    }
    int64_t now = clock_mono_ms();
    if (s->ending_since == 0)
        s->ending_since = now;
    bool mail = false;
    for (size_t i = 0; i < s->naccts; i++)
        mail = mail || outbox_soon(s->accts[i]);
    if ((mail || anything_on_the_wire(s)) && now - s->ending_since < (mail ? GRACE_MAIL_MS : GRACE_MS)) {
        s->linger = loop_after(s->loop, 100, linger_over, s);
        return;
    }
    loop_stop(s->loop);
}

static void client_gone(void *arg, const struct err *err)
{
    struct client *c = arg;
    struct server *s = c->srv;
    if (err->kind)
        log_msg(LOG_INFO, "client: %s", err->text);
    for (size_t i = 0; i < s->nclients; i++)
        if (s->clients[i] == c) {
            s->clients[i] = s->clients[--s->nclients];
            break;
        }
    screen_gone(c);
    for (size_t i = 0; i < s->naccts; i++) {
        open_cancel(s->accts[i], c->id, 0);
        rows_cancel(s->accts[i], c->id);
        seek_cancel(s->accts[i], c->id, 0);
        import_cancel(s->accts[i], c->id);
    }
    peer_free(&c->peer);
    free(c);
    ending_check(s);
}

static void client_received(void *arg, struct msg *m)
{
    client_message(arg, m);
}

static const struct peer_ops client_ops = {.message = client_received, .gone = client_gone};

static bool same_user(int fd)
{
    struct ucred cred;
    socklen_t n = sizeof cred;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 && cred.uid == geteuid();
}

static void client_add(struct server *s, int fd)
{
    if (!same_user(fd) || s->nclients == CLIENT_MAX) {
        log_msg(LOG_WARN, "a connection of %s was refused",
                s->nclients == CLIENT_MAX ? "one client too many" : "another user");
        close(fd);
        return;
    }
    struct client *c = mem_new(sizeof *c);
    c->srv = s;
    c->id = server_id(s);
    c->peer = peer_new(s->loop, fd, ROLE_UI, &client_ops, c);
    s->clients[s->nclients++] = c;
    s->had_client = true;
    s->ending_since = 0;
    watch_free(&s->linger);
}

static void listen_ready(void *arg, short revents)
{
    struct server *s = arg;
    if (revents & (POLLERR | POLLNVAL)) {
        log_msg(LOG_ERROR, "the listening socket failed");
        watch_free(&s->listen_watch);
        return;
    }
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        client_add(s, fd);
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        log_msg(LOG_WARN, "accept: %s", strerror(errno));
}

/* ---- spawn -------------------------------------------------------------------------------------- */
void server_spawn(struct server *s, const struct msg *m)
{
    peer_send(s->spawn, m, -1);
}

struct acct *server_acct(struct server *s, struct str name)
{
    for (size_t i = 0; i < s->naccts; i++)
        if (str_eqz(name, s->accts[i]->name))
            return s->accts[i];
    return NULL;
}

static void take_fd(struct msg *m)
{
    m->fd = -1;
}

static void spawn_started(struct server *s, struct msg *m)
{
    const struct m_STARTED *st = &m->u.STARTED;
    struct acct *a = server_acct(s, st->account);
    int fd = m->fd;
    take_fd(m);
    if (st->role == ROLE_INDEX)
        indexing_started(s->indexing, st->tag, fd);
    else if (st->role == ROLE_OWN)
        own_started(s->own, st->tag, fd);
    else if (st->role == ROLE_SEARCH)
        rules_started(s->rules, st->tag, fd);
    else if (a && st->role == ROLE_FETCH)
        acct_started(a, st->tag, fd);
    else if (a && st->role == ROLE_SEND)
        outbox_started(a, st->tag, fd);
    else if (a && st->role == ROLE_SIEVE)
        sieve_started(a, st->tag, fd);
    else
        close(fd);
}

static void spawn_exited(struct server *s, const struct m_EXITED *e)
{
    struct acct *a = server_acct(s, e->account);
    if (e->role == ROLE_INDEX)
        indexing_exited(s->indexing, e->tag, e->status, e->text);
    else if (e->role == ROLE_OWN)
        own_exited(s->own, e->tag, e->status, e->text);
    else if (e->role == ROLE_SEARCH)
        rules_exited(s->rules, e->tag, e->text);
    else if (a)
        acct_exited(a, (enum role)e->role, e->tag, e->text);
}

static void spawn_message(void *arg, struct msg *m)
{
    struct server *s = arg;
    struct acct *a;
    switch (m->kind) {
    case MSG_LISTEN_FD:
        if (s->listen_fd < 0) {
            s->listen_fd = m->fd;
            take_fd(m);
            fd_nonblock(s->listen_fd, true);
            s->listen_watch = loop_fd(s->loop, s->listen_fd, POLLIN, listen_ready, s);
        }
        break;
    case MSG_CLIENT_FD:
        client_add(s, m->fd);
        take_fd(m);
        break;
    case MSG_STARTED:
        spawn_started(s, m);
        break;
    case MSG_EXITED:
        spawn_exited(s, &m->u.EXITED);
        break;
    case MSG_SECRET_PIPE:
        a = server_acct(s, m->u.SECRET_PIPE.account);
        if (a) {
            acct_secret(a, m->u.SECRET_PIPE.service, m->u.SECRET_PIPE.tag, m->fd, ERR_NONE, STR(""));
            take_fd(m);
        }
        break;
    case MSG_SECRET_NONE:
        a = server_acct(s, m->u.SECRET_NONE.account);
        if (a)
            acct_secret(a, m->u.SECRET_NONE.service, m->u.SECRET_NONE.tag, -1, (enum err_kind)m->u.SECRET_NONE.kind,
                        m->u.SECRET_NONE.text);
        break;
    case MSG_COMMAND_FAILED:
        a = server_acct(s, m->u.COMMAND_FAILED.account);
        if (a)
            acct_command_failed(a, m->u.COMMAND_FAILED.service, m->u.COMMAND_FAILED.tag, m->u.COMMAND_FAILED.text);
        break;
    default:
        break;
    }
    if (m->fd >= 0)
        close(m->fd);
}

static void spawn_gone(void *arg, const struct err *err)
{
    struct server *s = arg;
    /* Without spawn no program can be started and nobody hears of exits: what is durable stays, the next client starts
     * anew. */
    log_msg(err->kind ? LOG_ERROR : LOG_INFO, "spawn is gone%s%s", err->kind ? ": " : "", err->text);
    peer_free(&s->spawn);
    loop_stop(s->loop);
}

static const struct peer_ops spawn_ops = {.message = spawn_message, .gone = spawn_gone};

/* ---- Clock and disk ----------------------------------------------------------------------------- */
static void sync_now(void *arg)
{
    struct server *s = arg;
    s->sync_timer = NULL;
    for (size_t i = 0; i < s->naccts; i++) {
        struct err err = ERR_INIT;
        struct acct *a = s->accts[i];
        if (a->db && db_needs_sync(a->db) && !db_sync(a->db, &err))
            acct_db_error(a, &err);
    }
}

void server_sync_soon(struct server *s)
{
    if (!s->sync_timer)
        s->sync_timer = loop_after(s->loop, SYNC_MS, sync_now, s);
}

static void tick(void *arg)
{
    struct server *s = arg;
    int64_t mono = clock_mono_ms(), wall = clock_wall();
    bool slept = (wall - s->last_wall) - (mono - s->last_mono) / 1000 > SLEPT_S;
    s->last_mono = mono;
    s->last_wall = wall;
    s->tick = NULL;
    server_wake_by(s, mono + (s->jump ? TICK_RARE_MS : TICK_MS));
    for (size_t i = 0; i < s->naccts; i++) {
        if (slept)
            acct_woke(s->accts[i]);
        acct_pump(s->accts[i]);
    }
    indexing_pump(s->indexing);
    own_pump(s->own);
    rules_pump(s->rules);
}

void server_wake_by(struct server *s, int64_t mono_ms)
{
    int64_t now = clock_mono_ms();
    if (mono_ms == INT64_MAX || (s->tick && s->tick_at <= mono_ms))
        return;
    watch_free(&s->tick);
    s->tick_at = MAX(mono_ms, now);
    s->tick = loop_after(s->loop, s->tick_at - now, tick, s);
}

static void jumped(void *arg)
{
    server_wake_by(arg, clock_mono_ms());
}

/* A list of 100,000 mails passes through tens of megabytes of page cache and heap; at rest neither serves anybody. */
static void rest(void *arg)
{
    struct server *s = arg;
    int64_t left = s->stirred_at + REST_MS - clock_mono_ms();
    s->rest = NULL;
    if (left > 0) {
        s->rest = loop_after(s->loop, left, rest, s);
        return;
    }
    for (size_t i = 0; i < s->naccts; i++)
        if (s->accts[i]->db)
            db_rest(s->accts[i]->db, !indexing_busy(s->indexing));
    malloc_trim(0);
}

void server_bursts(struct server *s, bool open)
{
    for (size_t i = 0; i < s->naccts; i++) {
        struct err err = ERR_INIT;
        struct acct *a = s->accts[i];
        if (a && a->db && db_in_burst(a->db) != open && !(open ? db_begin(a->db, &err) : db_commit(a->db, &err)))
            acct_db_error(a, &err);
    }
}

void server_stir(struct server *s)
{
    s->stirred_at = clock_mono_ms();
    if (!s->rest)
        s->rest = loop_after(s->loop, REST_MS, rest, s);
}

static void on_term(void *arg)
{
    loop_stop(((struct server *)arg)->loop);
}

/* ---- Whole -------------------------------------------------------------------------------------- */
static void server_close(struct server *s)
{
    sync_now(s);
    rules_free(&s->rules);
    own_free(&s->own);
    indexing_free(&s->indexing);
    while (s->nclients > 0) {
        struct client *c = s->clients[--s->nclients];
        peer_free(&c->peer);
        free(c);
    }
    for (size_t i = 0; i < s->naccts; i++)
        acct_free(&s->accts[i]);
    free(s->accts);
    s->naccts = 0;
    peer_free(&s->spawn);
    watch_free(&s->listen_watch);
    watch_free(&s->linger);
    watch_free(&s->tick);
    watch_free(&s->rest);
    watch_free(&s->jump);
    watch_free(&s->sync_timer);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
}

int server_run(struct conf *conf, const char *root, int chan_fd)
{
    struct server *s = mem_new(sizeof *s);
    s->loop = loop_new();
    s->conf = conf;
    s->conf_stamp = conf_stamp(conf);
    s->root = mem_dup_z(root);
    s->state_dir = conf->state_dir && conf->state_dir[0] ? path_expand_home(conf->state_dir) : path_join(root, "state");
    s->outbox_dir = path_join(root, "outbox");
    s->listen_fd = -1;
    s->last_mono = clock_mono_ms();
    s->last_wall = clock_wall();
    struct watch *term = loop_signal(s->loop, SIGTERM, on_term, s), *hup = loop_signal(s->loop, SIGHUP, on_term, s);
    s->indexing = indexing_new(s);
    s->own = own_new(s);
    s->rules = rules_new(s);
    s->accts = mem_array(conf->naccounts + 1, sizeof(struct acct *));
    for (size_t i = 0; i < conf->naccounts; i++)
        s->accts[s->naccts++] = acct_new(s, &conf->accounts[i]);
    s->spawn = peer_new(s->loop, chan_fd, ROLE_SPAWN, &spawn_ops, s);
    s->jump = loop_clock_jump(s->loop, jumped, s);
    server_wake_by(s, clock_mono_ms());
    server_stir(s);
    loop_run(s->loop);
    int status = s->exit_status;
    server_close(s);
    watch_free(&term);
    watch_free(&hup);
    loop_free(&s->loop);
    free(s->root);
    free(s->state_dir);
    free(s->outbox_dir);
    free(s);
    return status;
}
