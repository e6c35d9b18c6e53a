/* Finding, starting and coming back to the store. */
#include "client/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETRY_MS 50
/* A store that comes up and goes without a word this often will not come up. */
#define SILENT_ENDS_MAX 4

/* -1 where nobody listens. */
static int socket_connect(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof un.sun_path)
        return -1;
    memcpy(un.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof un) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool client_running(const struct client_args *args)
{
    struct err ignored = ERR_INIT;
    char *path = ipc_socket_path(args->root, &ignored);
    int fd = path != NULL ? socket_connect(path) : -1;
    free(path);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* ---- Starting spawn ---- */

struct start {
    pid_t pid; /* 0: none runs that we started */
    int words; /* what it says before it has a log */
};

static bool spawn_start(struct client *c, struct start *start, int *fd_r, struct err *err)
{
    const char *argv[5];
    size_t n = 0;
    if (c->config[0] != '\0') {
        argv[n++] = "-c";
        argv[n++] = c->config;
    }
    argv[n++] = "--store";
    argv[n++] = c->root;
    argv[n] = NULL;
    start->words = memfd_create("spawn", MFD_CLOEXEC);
    if (role_start(ROLE_SPAWN, argv, start->words, &start->pid, fd_r, err))
        return true;
    start->pid = 0;
    return false;
}

static void start_fini(struct start *start)
{
    if (start->words >= 0)
        close(start->words);
    start->words = -1;
}

/* True where spawn ended for good with words for the user; a busy lock or an orderly end means: try the socket again.
 */
static bool spawn_failed(struct start *start, struct err *err)
{
    int status;
    if (start->pid == 0 || waitpid(start->pid, &status, WNOHANG) != start->pid)
        return false;
    start->pid = 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code < SPAWN_FAILED || code >= SPAWN_FAILED + ERR_COUNT)
        return false;
    struct buf text = BUF_INIT(2000), safe = BUF_INIT(sizeof err->text - 1);
    struct err ignored = ERR_INIT;
    if (start->words >= 0 && lseek(start->words, 0, SEEK_SET) == 0)
        fs_read_fd(start->words, text.max, &text, &ignored);
    text_from_bytes(str_trim(buf_str(&text)), TEXT_FOLD_SPACE, &safe);
    err_set(err, (enum err_kind)(code - SPAWN_FAILED), "%s",
            safe.n > 0 ? buf_z(&safe) : "the store could not be started");
    buf_fini(&text);
    buf_fini(&safe);
    return true;
}

/* ---- Handshake ---- */

/* 1: welcome; 0: the store went without a word; -1: *err says why not. */
static int handshake(struct client *c, int fd, int64_t deadline, struct err *err)
{
    struct msg m;
    struct err said = ERR_INIT;
    c->chan = chan_new(fd, ROLE_UI, ROLE_STORE);
    if (!SEND(c->chan, -1, &said, HELLO, .version = IPC_VERSION, .program = str_z(c->program),
              .config = str_z(c->config),
              .offline = c->offline ? 1
                         : c->aside ? 2
                                    : 0))
        goto gone;
    said = ERR_INIT;
    for (;;) {
        struct err bad = ERR_INIT;
        int got = chan_wait(c->chan, deadline, &m, &bad);
        if (got == 0) {
            err_set(err, ERR_TIMEOUT, "the store did not answer; see %s", c->log);
            goto failed;
        }
        if (got < 0) /* a store that is just ending resets the connection: as if it had said nothing */
            break;
        if (m.fd >= 0)
            close(m.fd);
        if (m.kind == MSG_WELCOME && m.u.WELCOME.version != IPC_VERSION) {
            err_set(err, ERR_CHANNEL, "a store of another version runs; end the other tuimail programs");
            goto failed;
        }
        if (m.kind == MSG_WELCOME) {
            c->schema = m.u.WELCOME.schema;
            return 1;
        }
        /* What it has to say before it ends is the reason. */
        uint32_t kind = m.kind == MSG_NOTE && m.u.NOTE.level >= 2 ? m.u.NOTE.kind
                        : m.kind == MSG_REFUSED                   ? m.u.REFUSED.kind
                                                                  : ERR_NONE;
        struct str words = m.kind == MSG_NOTE ? m.u.NOTE.text : m.u.REFUSED.text;
        if (kind != ERR_NONE && kind < ERR_COUNT) {
            struct buf safe = BUF_INIT(sizeof said.text - 1);
            text_from_bytes(words, TEXT_FOLD_SPACE, &safe);
            err_set(&said, (enum err_kind)kind, "%s", buf_z(&safe));
            buf_fini(&safe);
        }
    }
gone:
    if (said.kind == ERR_NONE || said.kind == ERR_CHANNEL) {
        chan_free(&c->chan);
        return 0;
    }
    *err = said;
failed:
    chan_free(&c->chan);
    return -1;
}

/* ---- Connecting ---- */

bool client_reconnect(struct client *c, struct err *err)
{
    struct start start = {.pid = c->spawn, .words = -1};
    int64_t deadline = clock_mono_ms() + CLIENT_START_MS;
    unsigned silent = 0;
    int got = 0;
    chan_free(&c->chan);
    char *path = ipc_socket_path(c->root, err);
    if (path == NULL)
        return false;
    if (start.pid != 0 && waitpid(start.pid, NULL, WNOHANG) == start.pid)
        start.pid = 0;
    while (got == 0) {
        int fd = socket_connect(path);
        /* The first client: nobody answers, and no spawn of ours is on its way. */
        if (fd < 0 && start.pid == 0) {
            start_fini(&start);
            if (!spawn_start(c, &start, &fd, err))
                break;
        }
        if (fd >= 0) {
            got = handshake(c, fd, deadline, err);
            if (got != 0)
                break;
        }
        bool ours = start.pid != 0;
        if (spawn_failed(&start, err))
            break;
        silent += ours && start.pid == 0 && fd >= 0;
        if (silent >= SILENT_ENDS_MAX || clock_mono_ms() >= deadline) {
            err_set(err, ERR_STORE, "the store does not start; see %s", c->log);
            break;
        }
        poll(NULL, 0, RETRY_MS);
    }
    c->spawn = start.pid;
    start_fini(&start);
    free(path);
    return got > 0;
}

struct client *client_connect(const struct client_args *args, struct err *err)
{
    struct client *c = mem_new(sizeof *c);
    c->config = mem_dup_z(args->config != NULL ? args->config : "");
    c->root = mem_dup_z(args->root);
    c->program = mem_dup_z(args->program);
    c->offline = args->offline;
    c->aside = args->aside;
    c->log = path_join(args->root, "log");
    if (!client_reconnect(c, err))
        client_close(&c);
    return c;
}

void client_close(struct client **client)
{
    struct client *c = *client;
    if (c == NULL)
        return;
    *client = NULL;
    chan_free(&c->chan);
    if (c->spawn != 0)
        waitpid(c->spawn, NULL, WNOHANG);
    free(c->config);
    free(c->root);
    free(c->program);
    free(c->log);
    free(c);
}

/* ---- Waiting ---- */

/* The kinds that answer a request have `req` first. */
static uint32_t msg_req(const struct msg *m)
{
    uint32_t req;
    memcpy(&req, &m->u, sizeof req);
    return req;
}

int client_wait(struct client *c, enum msg_kind kind, uint32_t req, int64_t deadline_ms, client_other_fn *other,
                void *arg, struct msg *msg_r, struct err *err)
{
    if (c->chan == NULL)
        return err_set(err, ERR_CHANNEL, "no connection to the store"), -1;
    for (;;) {
        struct err gone = ERR_INIT;
        int got = chan_wait(c->chan, deadline_ms, msg_r, &gone);
        if (got < 0) {
            err_set(err, ERR_CHANNEL, "%s", gone.kind != ERR_NONE ? gone.text : "the store ended");
            return -1;
        }
        if (got == 0 || (msg_r->kind == kind && msg_req(msg_r) == req))
            return got;
        if (msg_r->kind == MSG_REFUSED && msg_r->u.REFUSED.req == req) {
            struct buf safe = BUF_INIT(sizeof err->text - 1);
            uint32_t why = msg_r->u.REFUSED.kind;
            text_from_bytes(msg_r->u.REFUSED.text, TEXT_FOLD_SPACE, &safe);
            err_set(err, why > ERR_NONE && why < ERR_COUNT ? (enum err_kind)why : ERR_CHANNEL, "%s", buf_z(&safe));
            buf_fini(&safe);
            return -1;
        }
        if (other != NULL)
            other(arg, msg_r);
        else if (msg_r->fd >= 0)
            close(msg_r->fd);
    }
}
