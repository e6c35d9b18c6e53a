/* spawn and client with stand-ins for the programs: this binary is also store and fetch, by the name it is started
 * under. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"

/* ---- The stand-ins ---- */

static void note_all(struct chan **clients, size_t n, const char *fmt, const char *a, const char *b)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(400);
    buf_addf(&text, "%s %s %s", fmt, a, b);
    for (size_t i = 0; i < n; i++)
        if (clients[i] != NULL)
            SEND(clients[i], -1, &err, NOTE, .text = buf_str(&text));
    buf_fini(&text);
}

/* Commands come as the account of a FETCH_NOW: "start NAME", "stop NAME", "secret NAME", "end", "close", "crash". */
static void store_command(struct chan *spawn, struct str command)
{
    struct err err = ERR_INIT;
    struct str word;
    str_split(&command, ' ', &word);
    if (str_eqz(word, "crash"))
        raise(SIGKILL);
    if (str_eqz(word, "end"))
        _exit(0);
    if (str_eqz(word, "close")) { /* an end in order that takes its time: no longer to be reached, not yet gone */
        SEND(spawn, -1, &err, START, .role = ROLE_FETCH, .account = STR("work"), .tag = 7);
        close(chan_fd(spawn));
        poll(NULL, 0, 500);
        _exit(0);
    }
    if (str_eqz(word, "start"))
        SEND(spawn, -1, &err, START, .role = ROLE_FETCH, .account = command, .tag = 7);
    if (str_eqz(word, "index"))
        SEND(spawn, -1, &err, START, .role = ROLE_STORE, .tag = 8);
    if (str_eqz(word, "stop"))
        SEND(spawn, -1, &err, STOP, .role = ROLE_FETCH, .account = command, .tag = 7);
    if (str_eqz(word, "secret"))
        SEND(spawn, -1, &err, SECRET_GET, .account = command, .tag = 9);
}

static void store_from_spawn(struct msg *m, int *listen_fd, struct chan **clients, size_t *n, struct chan **fetch)
{
    struct err err = ERR_INIT;
    char name[65] = {0}, text[201] = {0};
    struct secret secret = {0};
    switch (m->kind) {
    case MSG_LISTEN_FD:
        *listen_fd = m->fd;
        break;
    case MSG_CLIENT_FD:
        clients[(*n)++] = chan_new(m->fd, ROLE_STORE, ROLE_UI);
        break;
    case MSG_STARTED:
        memcpy(name, m->u.STARTED.account.p, m->u.STARTED.account.n);
        *fetch = chan_new(m->fd, ROLE_STORE, ROLE_FETCH);
        note_all(clients, *n, "started", name, "");
        break;
    case MSG_EXITED:
        memcpy(name, m->u.EXITED.account.p, m->u.EXITED.account.n);
        memcpy(text, m->u.EXITED.text.p, m->u.EXITED.text.n);
        note_all(clients, *n, "exited", name, text);
        break;
    case MSG_SECRET_PIPE:
        if (secret_read(m->fd, clock_mono_ms() + 10000, &secret, &err))
            note_all(clients, *n, "secret", secret.p, "");
        else
            note_all(clients, *n, "secret-bad", err.text, "");
        secret_free(&secret);
        break;
    case MSG_SECRET_NONE:
        note_all(clients, *n, "secret-none", "", "");
        break;
    default:
        _exit(99);
    }
}

static int store_main(void)
{
    struct chan *spawn = chan_new(IPC_CHANNEL_FD, ROLE_STORE, ROLE_SPAWN), *clients[16] = {NULL}, *fetch = NULL;
    int listen_fd = -1;
    size_t n = 0;
    for (;;) {
        struct pollfd p[19] = {{.fd = chan_fd(spawn), .events = POLLIN}, {.fd = listen_fd, .events = POLLIN}};
        struct msg m;
        struct err err = ERR_INIT;
        p[2] = (struct pollfd){.fd = fetch != NULL ? chan_fd(fetch) : -1, .events = POLLIN};
        for (size_t i = 0; i < n; i++)
            p[3 + i] = (struct pollfd){.fd = clients[i] != NULL ? chan_fd(clients[i]) : -1, .events = POLLIN};
        bool used = false;
        for (size_t i = 0; i < n; i++)
            used = used || clients[i] != NULL;
        /* a test that failed leaves nobody who could end it */
        if (poll(p, 3 + n, used ? -1 : 10000) == 0)
            return 0;
        if (p[0].revents != 0) {
            int got = chan_recv(spawn, &m, &err);
            if (got < 0)
                return 98;
            if (got > 0)
                store_from_spawn(&m, &listen_fd, clients, &n, &fetch);
        }
        if (p[1].revents != 0 && n < COUNT(clients)) {
            int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                clients[n++] = chan_new(fd, ROLE_STORE, ROLE_UI);
        }
        if (p[2].revents != 0) {
            int got = chan_recv(fetch, &m, &err);
            if (got > 0)
                note_all(clients, n, "from-fetch", msg_name(m.kind), "");
            else
                chan_free(&fetch);
        }
        for (size_t i = 0; i < n; i++) {
            if (clients[i] == NULL || p[3 + i].revents == 0)
                continue;
            int got = chan_recv(clients[i], &m, &err);
            if (got < 0)
                chan_free(&clients[i]);
            else if (got > 0 && m.kind == MSG_HELLO)
                /* the schema tells which store answered */
                SEND(clients[i], -1, &err, WELCOME, .version = IPC_VERSION, .schema = (uint32_t)getpid());
            else if (got > 0 && m.kind == MSG_FETCH_NOW)
                store_command(spawn, m.u.FETCH_NOW.account);
        }
    }
}

static int fetch_main(const char *account)
{
    struct chan *store = chan_new(IPC_CHANNEL_FD, ROLE_FETCH, ROLE_STORE);
    struct err err = ERR_INIT;
    struct msg m;
    if (strcmp(account, "home") == 0)
        _exit(3);
    if (strcmp(account, "deaf") == 0)
        signal(SIGTERM, SIG_IGN);
    SEND(store, -1, &err, READY, .sandbox = str_z("none"));
    while (chan_wait(store, -1, &m, &err) > 0)
        continue;
    if (strcmp(account, "deaf") == 0)
        for (;;)
            pause();
    _exit(0);
}

/* ---- The tests ---- */

struct place {
    char dir[64];
    char *root, *config, *libexec, *runtime;
};

static const char config_text[] = "account work imaps://alice@imap.example.org\n"
                                  "set -a work password-command \"echo sesame; sleep 1000 & echo $! >$HOME/sleeper\"\n"
                                  "account home imaps://alice@imap.example.net\n"
                                  "account deaf imaps://bob@imap.example.net\n";

static int setup(void **state)
{
    struct place *p = mem_new(sizeof *p);
    struct err err = ERR_INIT;
    char self[PATH_MAX];
    memcpy(p->dir, "/tmp/tuimail-spawn-XXXXXX", sizeof "/tmp/tuimail-spawn-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    const char *real = getenv("TEST_SPAWN_LIBEXEC");
    p->root = path_join(p->dir, "root");
    p->config = path_join(p->dir, "tuimailrc");
    p->libexec = path_join(p->dir, "libexec");
    p->runtime = path_join(p->dir, "run");
    assert_int_equal(mkdir(p->libexec, 0700), 0);
    assert_int_equal(mkdir(p->runtime, 0700), 0);
    const char *const names[] = {"store", "fetch", "spawn"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char *link = path_join(p->libexec, names[i]);
        char *target = i == 2 ? path_join(real, "spawn") : mem_dup_z(self);
        assert_int_equal(symlink(target, link), 0);
        free(link);
        free(target);
    }
    assert_true(fs_write_atomic(p->config, 0600, str_z(config_text), &err));
    setenv("TUIMAIL_LIBEXEC", p->libexec, 1);
    setenv("XDG_RUNTIME_DIR", p->runtime, 1);
    setenv("HOME", p->dir, 1);
    *state = p;
    return 0;
}

static void rm_tree(const char *dir)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

static int teardown(void **state)
{
    struct place *p = *state;
    rm_tree(p->dir);
    free(p->root);
    free(p->config);
    free(p->libexec);
    free(p->runtime);
    free(p);
    return 0;
}

static struct client *connected(const struct place *p)
{
    struct err err = ERR_INIT;
    struct client *c =
        client_connect(&(struct client_args){.config = p->config, .root = p->root, .program = "test"}, &err);
    if (c == NULL)
        fail_msg("%s", err.text);
    return c;
}

static void command(struct client *c, const char *word)
{
    struct err err = ERR_INIT;
    assert_true(SEND(c->chan, -1, &err, FETCH_NOW, .account = str_z(word)));
}

/* Waits for the store's note that begins so. */
static void expect(struct client *c, const char *note)
{
    struct msg m;
    struct err err = ERR_INIT;
    int64_t deadline = clock_mono_ms() + 20000;
    while (chan_wait(c->chan, deadline, &m, &err) > 0)
        if (m.kind == MSG_NOTE) {
            if (str_starts(m.u.NOTE.text, str_z(note)))
                return;
            fail_msg("%.*s instead of %s", STR_FMT(m.u.NOTE.text), note);
        }
    fail_msg("no %s", note);
}

static struct buf lock_text(const struct place *p)
{
    struct buf text = BUF_INIT(1000);
    struct err err = ERR_INIT;
    char *path = path_join(p->root, "lock");
    fs_read(path, 1000, &text, &err);
    free(path);
    return text;
}

/* After the store's orderly end everything is gone: the lock is empty, and so is the socket's directory. */
static void ended_by(struct client *c, const struct place *p, const char *word)
{
    struct err err = ERR_INIT;
    char *path = ipc_socket_path(p->root, &err);
    bool locked = true, there = true;
    command(c, word);
    for (unsigned i = 0; i < 1000 && (locked || there); i++) {
        struct buf text = lock_text(p);
        locked = text.n > 0;
        there = access(path, F_OK) == 0;
        buf_fini(&text);
        poll(NULL, 0, 10);
    }
    assert_false(locked || there);
    free(path);
    for (unsigned i = 0; i < 1000 && waitpid(c->spawn, NULL, WNOHANG) == 0; i++)
        poll(NULL, 0, 10);
    c->spawn = 0;
    client_close(&c);
}

static void ended(struct client *c, const struct place *p)
{
    ended_by(c, p, "end");
}

static void first_and_second_client(void **state)
{
    struct place *p = *state;
    struct client *a = connected(p), *b = connected(p);
    struct stat st;
    struct buf lock = lock_text(p);
    char host[256] = {0};
    gethostname(host, sizeof host - 1);
    assert_int_equal(a->schema, b->schema); /* the same store */
    assert_int_equal(b->spawn, 0);
    assert_non_null(strstr(buf_z(&lock), host));
    char *log = path_join(p->root, "log/store.log");
    assert_int_equal(stat(log, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(log);
    buf_fini(&lock);
    client_close(&b);
    ended(a, p);
    a = connected(p); /* and again from nothing */
    ended(a, p);
}

static void two_first_clients_at_once(void **state)
{
    struct place *p = *state;
    int pipes[2];
    uint32_t schemas[4];
    assert_int_equal(pipe(pipes), 0);
    for (unsigned i = 0; i < COUNT(schemas); i++)
        if (fork() == 0) {
            struct err err = ERR_INIT;
            struct client *c =
                client_connect(&(struct client_args){.config = p->config, .root = p->root, .program = "test"}, &err);
            uint32_t schema = c != NULL ? c->schema : 0;
            if (c == NULL)
                fprintf(stderr, "%s\n", err.text);
            if (write(pipes[1], &schema, sizeof schema) != sizeof schema)
                _exit(1);
            poll(NULL, 0, 300);
            _exit(0);
        }
    for (unsigned i = 0; i < COUNT(schemas); i++)
        assert_int_equal(read(pipes[0], &schemas[i], sizeof schemas[i]), sizeof schemas[i]);
    for (unsigned i = 0; i < COUNT(schemas); i++) {
        assert_int_not_equal(schemas[i], 0);
        assert_int_equal(schemas[i], schemas[0]);
    }
    close(pipes[0]);
    close(pipes[1]);
    for (unsigned i = 0; i < COUNT(schemas); i++)
        wait(NULL);
    struct client *c = connected(p);
    assert_int_equal(c->schema, schemas[0]);
    ended(c, p);
}

static void programs_start_stop_and_fail(void **state)
{
    struct place *p = *state;
    struct client *c = connected(p);
    command(c, "start work");
    expect(c, "started work");
    expect(c, "from-fetch READY");
    command(c, "stop work");
    expect(c, "exited work signal TERM");
    command(c, "start nobody");
    expect(c, "exited nobody no such account");
    command(c, "start ../work");
    expect(c, "exited ../work no such account");
    command(c, "index"); /* asks for a second store: not on the list */
    expect(c, "exited  no program");
    /* after a bad end it is started later, not at once: 250 ms, then 500 */
    int64_t asked = 0;
    for (unsigned i = 0; i < 3; i++) {
        int64_t asked_before = asked;
        asked = clock_mono_ms();
        command(c, "start home");
        expect(c, "started home");
        assert_true(i == 0 || clock_mono_ms() - asked_before >= 125 * (1 << i));
        expect(c, "exited home exit status 3");
    }
    /* one that ignores SIGTERM is killed */
    command(c, "start deaf");
    expect(c, "started deaf");
    expect(c, "from-fetch READY");
    command(c, "stop deaf");
    expect(c, "exited deaf signal KILL");
    command(c, "start deaf");
    expect(c, "started deaf");
    expect(c, "from-fetch READY");
    ended(c, p);
}

/* THREATS 22, 169: what a password command leaves behind goes with it. */
static void secrets_by_command(void **state)
{
    struct place *p = *state;
    struct client *c = connected(p);
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(100);
    uint64_t pid = 0;
    command(c, "secret work");
    expect(c, "secret sesame");
    command(c, "secret home");
    expect(c, "secret-none");
    command(c, "secret nobody");
    expect(c, "secret-none");
    char *path = path_join(p->dir, "sleeper");
    for (unsigned i = 0; i < 1000 && text.n == 0; i++) {
        buf_reset(&text);
        fs_read(path, 100, &text, &err);
        poll(NULL, 0, 10);
    }
    assert_true(str_u64(str_trim(buf_str(&text)), &pid) && pid > 1);
    ended(c, p);
    /* what the command left behind went with it */
    int gone = -1;
    for (unsigned i = 0; i < 1000 && gone != 0; i++) {
        struct buf status = BUF_INIT(4096);
        char proc[64];
        snprintf(proc, sizeof proc, "/proc/%llu/status", (unsigned long long)pid);
        gone = fs_read(proc, 4096, &status, &err) && strstr(buf_z(&status), "State:\tZ") == NULL;
        buf_fini(&status);
        poll(NULL, 0, 10);
    }
    assert_int_equal(gone, 0);
    buf_fini(&text);
    free(path);
}

static void a_crashed_store_comes_back(void **state)
{
    struct place *p = *state;
    struct err err = ERR_INIT;
    struct msg m;
    struct client *c = connected(p);
    uint32_t first = c->schema;
    command(c, "start deaf"); /* of the old store; must not outlive it, nor be told to the new one */
    expect(c, "started deaf");
    command(c, "crash");
    assert_int_equal(client_wait(c, MSG_FETCHED, 1, clock_mono_ms() + 10000, NULL, NULL, &m, &err), -1);
    assert_int_equal(err.kind, ERR_CHANNEL);
    if (!client_reconnect(c, &err))
        fail_msg("%s", err.text);
    assert_int_not_equal(c->schema, first);
    command(c, "start work");
    expect(c, "started work");
    ended(c, p);
}

static void a_store_that_ends_is_left_the_time(void **state)
{
    struct place *p = *state;
    ended_by(connected(p), p, "close");
}

static void a_killed_spawn_is_replaced(void **state)
{
    struct place *p = *state;
    struct err err = ERR_INIT;
    struct msg m;
    struct client *c = connected(p);
    uint32_t first = c->schema;
    command(c, "start work");
    expect(c, "started work");
    expect(c, "from-fetch READY");
    assert_int_equal(kill(c->spawn, SIGKILL), 0);
    assert_int_equal(client_wait(c, MSG_FETCHED, 1, clock_mono_ms() + 10000, NULL, NULL, &m, &err), -1);
    if (!client_reconnect(c, &err))
        fail_msg("%s", err.text);
    assert_int_not_equal(c->schema, first);
    ended(c, p);
}

/* THREATS 162: two at once, also from another host. */
static void a_lock_from_another_host(void **state)
{
    struct place *p = *state;
    struct err err = ERR_INIT;
    char *path = path_join(p->root, "lock");
    assert_true(fs_mkdir_private(p->root, &err));
    assert_true(fs_write_atomic(path, 0600, STR("0123456789abcdef otherhost 17\n"), &err));
    struct client *c =
        client_connect(&(struct client_args){.config = p->config, .root = p->root, .program = "test"}, &err);
    assert_null(c);
    assert_int_equal(err.kind, ERR_STORE_LOCKED);
    assert_non_null(strstr(err.text, "otherhost"));
    assert_non_null(strstr(err.text, path));
    unlink(path);
    c = connected(p);
    ended(c, p);
    free(path);
}

static void a_bad_config_is_named(void **state)
{
    struct place *p = *state;
    struct err err = ERR_INIT;
    assert_true(fs_write_atomic(p->config, 0600, STR("acount x\n"), &err));
    struct client *c =
        client_connect(&(struct client_args){.config = p->config, .root = p->root, .program = "test"}, &err);
    assert_null(c);
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_non_null(strstr(err.text, "tuimailrc:1"));
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/');
    name = name != NULL ? name + 1 : argv[0];
    if (strcmp(name, "store") == 0)
        return store_main();
    if (strcmp(name, "fetch") == 0)
        return fetch_main(argv[argc - 1]);
    /* by hand in the build directory it is ./libexec */
    char *libexec = realpath(getenv("TUIMAIL_LIBEXEC") != NULL ? getenv("TUIMAIL_LIBEXEC") : "libexec", NULL);
    setenv("TEST_SPAWN_LIBEXEC", libexec != NULL ? libexec : "", 1);
    free(libexec);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(first_and_second_client),  TEST(two_first_clients_at_once),  TEST(programs_start_stop_and_fail),
        TEST(secrets_by_command),       TEST(a_crashed_store_comes_back), TEST(a_store_that_ends_is_left_the_time),
        TEST(a_lock_from_another_host), TEST(a_killed_spawn_is_replaced), TEST(a_bad_config_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
