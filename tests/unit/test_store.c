/* store: the real program over socket pairs; this test is spawn, the client and a scripted fetch, send and index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "store/read.h"

#define WAIT_MS 20000

struct world {
    char dir[64], *root, *rc;
    pid_t pid;
    struct chan *spawn, *client, *fetch, *send, *index;
    uint64_t fetch_tag, send_tag;
    struct err err;
};
static struct world w;

/* ---- The world ---------------------------------------------------------------------------------- */
static int drop_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void pair(struct chan **ours, enum role self, int *theirs)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    *ours = chan_new(fds[0], self, ROLE_STORE);
    *theirs = fds[1];
}

static void client_join(void)
{
    int fd;
    pair(&w.client, ROLE_UI, &fd);
    assert_true(SEND(w.spawn, fd, &w.err, CLIENT_FD, .config = STR("")));
    close(fd);
    assert_true(SEND(w.client, -1, &w.err, HELLO, .version = IPC_VERSION, .program = STR("test")));
}

static void store_start(void)
{
    int fd;
    const char *argv[] = {"-c", w.rc, "--store", w.root, NULL};
    w.err = ERR_INIT;
    if (!role_start(ROLE_STORE, argv, -1, &w.pid, &fd, &w.err))
        fail_msg("%s", w.err.text);
    w.spawn = chan_new(fd, ROLE_SPAWN, ROLE_STORE);
    client_join();
}

static void store_kill(int signo)
{
    int status;
    if (w.pid > 0) {
        kill(w.pid, signo);
        waitpid(w.pid, &status, 0);
    }
    w.pid = 0;
    chan_free(&w.spawn);
    chan_free(&w.client);
    chan_free(&w.fetch);
    chan_free(&w.send);
    chan_free(&w.index);
}

static void world_new(const char *account)
{
    memset(&w, 0, sizeof w);
    snprintf(w.dir, sizeof w.dir, "/tmp/tuimail-store-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    w.root = path_join(w.dir, "root");
    w.rc = path_join(w.dir, "tuimailrc");
    if (!fs_write_atomic(w.rc, 0600, str_z(account), &w.err))
        fail_msg("%s", w.err.text);
    store_start();
}

static int world_end(void **state)
{
    (void)state;
    store_kill(SIGKILL);
    if (w.dir[0])
        nftw(w.dir, drop_file, 16, FTW_DEPTH | FTW_PHYS);
    free(w.root);
    free(w.rc);
    memset(&w, 0, sizeof w);
    return 0;
}

/* ---- Waiting for a message; what is not waited for is passed over ------------------------------- */
static struct msg spawn_next(enum msg_kind kind, enum role role)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    struct msg m;
    while (chan_wait(w.spawn, until, &m, &w.err) == 1) {
        bool right = m.kind == kind;
        if (right && kind == MSG_START)
            right = m.u.START.role == role;
        if (right)
            return m;
    }
    fail_msg("store did not say %s to spawn: %s", msg_name(kind), w.err.text);
    return m;
}

static struct msg next(struct chan *c, enum msg_kind kind)
{
    int64_t until = clock_mono_ms() + WAIT_MS;
    struct msg m;
    struct buf seen = BUF_INIT(4000);
    while (chan_wait(c, until, &m, &w.err) == 1) {
        if (m.kind == kind) {
            buf_fini(&seen);
            return m;
        }
        msg_format(&m, &seen);
        buf_addc(&seen, '\n');
        if (m.fd >= 0)
            close(m.fd);
    }
    fail_msg("store did not say %s: %s\nseen:\n%s", msg_name(kind), w.err.text, buf_z(&seen));
    return m;
}

/* The very next message but for those to be passed over. */
static struct msg next_step(void)
{
    struct msg m;
    if (chan_wait(w.fetch, clock_mono_ms() + WAIT_MS, &m, &w.err) != 1)
        fail_msg("no step came: %s", w.err.text);
    return m;
}

#define FETCH(NAME, ...) assert_true(SEND(w.fetch, -1, &w.err, NAME, __VA_ARGS__))
#define CLIENT(fd, NAME, ...) assert_true(SEND(w.client, (fd), &w.err, NAME, __VA_ARGS__))

static void done(uint32_t step)
{
    FETCH(DONE, .step = step);
}

static void fetch_start(void)
{
    int fd;
    struct msg m = spawn_next(MSG_START, ROLE_FETCH);
    w.fetch_tag = m.u.START.tag;
    char account[65];
    snprintf(account, sizeof account, "%.*s", STR_FMT(m.u.START.account));
    chan_free(&w.fetch);
    pair(&w.fetch, ROLE_FETCH, &fd);
    assert_true(SEND(w.spawn, fd, &w.err, STARTED, .role = ROLE_FETCH, .account = str_z(account), .tag = w.fetch_tag));
    close(fd);
    FETCH(READY, .sandbox = STR("none"));
}

static void online(void)
{
    /* What the store asked before it heard that the line was gone ends as every step does. */
    struct msg m;
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (chan_wait(w.fetch, until, &m, &w.err) == 1 && m.kind != MSG_STEP_CONNECT) {
        if (m.fd >= 0)
            close(m.fd);
        if (str_starts(str_z(msg_name(m.kind)), STR("STEP_")) && m.kind != MSG_STEP_CANCEL)
            FETCH(DONE, .step = m.u.STEP_CLOSE.step, .kind = ERR_LINE, .text = STR("no connection"));
    }
    assert_int_equal(m.kind, MSG_STEP_CONNECT);
    FETCH(ONLINE, .caps = 1, .caps_text = STR("IMAP4rev1"));
    done(m.u.STEP_CONNECT.step);
}

static uint64_t inbox, archive, sent, trash;

static void box(const char *name, uint32_t total, uint8_t role)
{
    FETCH(BOX, .name = str_z(name), .utf8 = str_z(name), .delim = '/', .role = role, .total = total, .unread = total,
          .uidnext = total + 1, .uidvalidity = 7);
}

/* Arrived not long ago: older mail is no news. The same in the whole run. */
static int64_t recent(void)
{
    static int64_t at;
    at = at ? at : clock_wall() - 1000;
    return at;
}

static void row(uint64_t b, uint32_t uid)
{
    char id[40], subject[40];
    snprintf(id, sizeof id, "m%u@example.org", uid);
    snprintf(subject, sizeof subject, "subject %u", uid);
    FETCH(ROW, .box = b, .uid = uid, .seq = uid, .size = 1000 + uid, .internal_date = recent() + uid,
          .date = 1700000000 + uid, .attrs = ROW_FULL, .from_name = STR("Alice"), .from_addr = STR("alice@example.org"),
          .subject = str_z(subject), .msgid = str_z(id));
}

static void no_row(void *arg, const struct msg_row *r)
{
    (void)arg;
    (void)r;
}

struct found {
    uint64_t ids[64];
    uint32_t flags[64];
    size_t n, pending; /* of them so many wait for the server */
};

static void collect(void *arg, const struct msg_row *r)
{
    struct found *f = arg;
    assert_true(f->n < 64);
    f->flags[f->n] = r->flags;
    f->pending += (r->state & ROW_PENDING) != 0;
    f->ids[f->n++] = r->id;
}

static struct found rows_of(uint64_t b)
{
    char *state = path_join(w.root, "state");
    struct reader *r = reader_open(state, "work", &w.err);
    struct found f = {.n = 0};
    assert_non_null(r);
    assert_true(reader_rows(r, b, LIST_ALL, NULL, true, 64, collect, &f, &w.err));
    reader_close(&r);
    free(state);
    (void)no_row;
    return f;
}

static void box_seen(void *arg, const struct box_row *b)
{
    (void)arg;
    uint64_t *ids[] = {&inbox, &archive, &sent, &trash};
    const char *names[] = {"INBOX", "Archive", "Sent", "Trash"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eqz(b->utf8, names[i]))
            *ids[i] = b->id;
}

static void read_boxes(void)
{
    char *state = path_join(w.root, "state");
    struct reader *r = reader_open(state, "work", &w.err);
    assert_non_null(r);
    assert_true(reader_boxes(r, box_seen, NULL, &w.err));
    reader_close(&r);
    free(state);
}

/* Answers the plan's steps until STEP_WATCH comes: `n` messages in INBOX, nothing elsewhere. Fails on any step that
 * changes something. */
static void serve_until_watch(uint32_t n)
{
    for (;;) {
        struct msg m = next_step();
        uint32_t lo;
        switch (m.kind) {
        case MSG_STEP_SELECT:
            if (str_eqz(m.u.STEP_SELECT.name, "INBOX"))
                inbox = m.u.STEP_SELECT.box;
            FETCH(BOX_OPEN, .box = m.u.STEP_SELECT.box, .uidvalidity = 7,
                  .uidnext = m.u.STEP_SELECT.box == inbox ? n + 1 : 1, .exists = m.u.STEP_SELECT.box == inbox ? n : 0,
                  .resync = 1, .keywords_ok = 1);
            done(m.u.STEP_SELECT.step);
            break;
        case MSG_STEP_ROWS_TOP:
            lo = n > m.u.STEP_ROWS_TOP.count ? n - m.u.STEP_ROWS_TOP.count + 1 : 1;
            for (uint32_t uid = n; uid >= lo && m.u.STEP_ROWS_TOP.box == inbox; uid--)
                row(inbox, uid);
            done(m.u.STEP_ROWS_TOP.step);
            break;
        case MSG_STEP_LIST:
            box("INBOX", n, BOX_INBOX);
            box("Archive", 0, BOX_ARCHIVE);
            box("Sent", 0, BOX_SENT);
            box("Trash", 0, BOX_TRASH);
            done(m.u.STEP_LIST.step);
            do { /* the store may take them in several bursts */
                next(w.client, MSG_CHANGED);
                read_boxes();
            } while (!inbox || !archive || !sent || !trash);
            break;
        case MSG_STEP_ROWS:
            done(m.u.STEP_ROWS.step);
            break;
        case MSG_STEP_UIDS:
            fail_msg("nothing is to be compared");
            break;
        case MSG_STEP_STATUS:
            done(m.u.STEP_STATUS.step);
            break;
        case MSG_STEP_WATCH:
            done(m.u.STEP_WATCH.step);
            return;
        default:
            fail_msg("unexpected %s", msg_name(m.kind));
        }
    }
}

static const char imap_rc[] =
    "account work imaps://alice@imap.example.org\nset -a work send smtps://alice@smtp.example.org\n";

static void imap_up(uint32_t n)
{
    inbox = archive = sent = trash = 0;
    world_new(imap_rc);
    fetch_start();
    online();
    serve_until_watch(n);
    assert_int_equal(rows_of(inbox).n, n);
}

static void intent(uint32_t req, enum intent_kind kind, const uint64_t *ids, size_t n, uint64_t target)
{
    struct buf b = BUF_INIT(32768);
    for (size_t i = 0; i < n; i++)
        ipc_ids_add(&b, ids[i]);
    CLIENT(-1, INTENT, .req = req, .account = STR("work"), .kind = (uint8_t)kind, .msgs = buf_str(&b),
           .target = target);
    buf_fini(&b);
}

static size_t uids_in(struct str ranges, uint32_t *uids, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < ipc_ranges_count(ranges); i++) {
        uint32_t lo, hi;
        ipc_ranges_at(ranges, i, &lo, &hi);
        for (; n < max; lo = lo < hi ? lo + 1 : lo - 1) { /* STEP_POP_RETR counts down too */
            uids[n++] = lo;
            if (lo == hi)
                break;
        }
    }
    return n;
}

/* ---- A search on the server: a second fetch ------------------------------------------------------ */
#define SEEK(NAME, ...) assert_true(SEND(seek, -1, &w.err, NAME, __VA_ARGS__))

static void search_ask(uint32_t req)
{
    CLIENT(-1, SERVER_SEARCH, .req = req, .account = STR("work"), .query = STR("zebra"), .box = inbox);
}

/* The program that the store asks for, up to its first search. */
static struct chan *seek_start(void)
{
    struct chan *seek;
    int fd;
    struct msg m = spawn_next(MSG_START, ROLE_FETCH);
    assert_int_equal(m.u.START.searches, 1);
    pair(&seek, ROLE_FETCH, &fd);
    assert_true(SEND(w.spawn, fd, &w.err, STARTED, .role = ROLE_FETCH, .account = STR("work"), .tag = m.u.START.tag));
    close(fd);
    SEEK(READY, .sandbox = STR("none"));
    SEEK(DONE, .step = next(seek, MSG_STEP_CONNECT).u.STEP_CONNECT.step);
    return seek;
}

/* The next mailbox that is asked has these UIDs. */
static void seek_finds(struct chan *seek, const char *name, uint32_t lo, uint32_t hi)
{
    struct buf ranges = BUF_INIT(64);
    struct msg m = next(seek, MSG_STEP_SEARCH);
    uint64_t b = m.u.STEP_SEARCH.box;
    uint32_t step = m.u.STEP_SEARCH.step;
    assert_true(str_eqz(m.u.STEP_SEARCH.name, name));
    if (lo)
        ipc_ranges_add(&ranges, lo, hi);
    SEEK(BOX_OPEN, .box = b, .uidvalidity = 7, .uidnext = 100, .exists = 99, .keywords_ok = 1);
    SEEK(UIDS, .step = step, .box = b, .last = 1, .ranges = buf_str(&ranges));
    SEEK(SEARCHED, .step = step, .box = b, .total = lo ? hi - lo + 1 : 0);
    SEEK(DONE, .step = step);
    buf_fini(&ranges);
}

static void ended(struct chan *seek)
{
    struct msg m;
    int got;
    while ((got = chan_wait(seek, clock_mono_ms() + WAIT_MS, &m, &w.err)) == 1)
        ;
    assert_int_equal(got, -1);
    chan_free(&seek);
}

/* The mailbox on the screen first, not Trash; what is here is told at once, what is not is fetched: the newest page
 * first where it is newer than the list. */
static void a_server_search(void **state)
{
    (void)state;
    imap_up(3);
    search_ask(5);
    struct chan *seek = seek_start();
    seek_finds(seek, "INBOX", 2, 4);
    struct msg m = next(w.client, MSG_SERVER_HITS);
    assert_int_equal(m.u.SERVER_HITS.req, 5);
    assert_int_equal(ipc_ids_count(m.u.SERVER_HITS.msgs), 2);
    SEEK(DONE, .step = next(seek, MSG_STEP_ROWS_TOP).u.STEP_ROWS_TOP.step);
    m = next(seek, MSG_STEP_ROWS);
    uint32_t uids[4], step = m.u.STEP_ROWS.step;
    assert_int_equal(uids_in(m.u.STEP_ROWS.uids, uids, 4), 1);
    assert_int_equal(uids[0], 4);
    struct chan *other = w.fetch;
    w.fetch = seek;
    row(inbox, 4);
    row(inbox, 9); /* nobody found it */
    w.fetch = other;
    SEEK(DONE, .step = step);
    assert_int_equal(ipc_ids_count(next(w.client, MSG_SERVER_HITS).u.SERVER_HITS.msgs), 1);
    seek_finds(seek, "Archive", 0, 0);
    seek_finds(seek, "Sent", 0, 0);
    m = next(w.client, MSG_SERVER_DONE);
    assert_int_equal(m.u.SERVER_DONE.kind, ERR_NONE);
    assert_int_equal(m.u.SERVER_DONE.hits, 3);
    assert_int_equal(m.u.SERVER_DONE.asked, 3);
    assert_int_equal(m.u.SERVER_DONE.more, 0);
    /* the line is kept; where it has died meanwhile it is opened anew, and nobody hears of it */
    search_ask(6);
    m = next(seek, MSG_STEP_SEARCH);
    SEEK(DONE, .step = m.u.STEP_SEARCH.step, .kind = ERR_LINE, .text = STR("gone"));
    SEEK(DONE, .step = next(seek, MSG_STEP_CONNECT).u.STEP_CONNECT.step);
    seek_finds(seek, "INBOX", 1, 1);
    m = next(w.client, MSG_SERVER_HITS);
    assert_int_equal(m.u.SERVER_HITS.req, 6);
    /* called off: its program ends, for a search cannot be */
    next(seek, MSG_STEP_SEARCH);
    CLIENT(-1, CANCEL, .req = 6);
    assert_int_equal(next(w.client, MSG_SERVER_DONE).u.SERVER_DONE.kind, ERR_CANCELED);
    ended(seek);
}

/* What was not asked, and what no list can hold. */
static void a_server_search_answered_wrongly(void **state)
{
    (void)state;
    imap_up(3);
    for (unsigned i = 0; i < 3; i++) {
        search_ask(10 + i);
        struct chan *seek = seek_start();
        uint32_t step = next(seek, MSG_STEP_SEARCH).u.STEP_SEARCH.step;
        struct buf ranges = BUF_INIT(64);
        ipc_ranges_add(&ranges, i == 1 ? 5 : 1, i == 0 ? 4000000000u : 1);
        if (i == 2)
            SEEK(DELIVERED, .step = step, .number = 1);
        else
            SEEK(UIDS, .step = step, .box = inbox, .last = 1, .ranges = buf_str(&ranges));
        struct msg m = next(w.client, MSG_SERVER_DONE);
        assert_int_equal(m.u.SERVER_DONE.req, 10 + i);
        assert_int_equal(m.u.SERVER_DONE.kind, ERR_CHANNEL);
        assert_int_equal(m.u.SERVER_DONE.hits, 0);
        ended(seek);
        buf_fini(&ranges);
    }
    /* a mailbox that was numbered anew has none of what it says */
    search_ask(20);
    struct chan *seek = seek_start();
    struct msg m = next(seek, MSG_STEP_SEARCH);
    struct buf all = BUF_INIT(64);
    ipc_ranges_add(&all, 1, 3);
    uint32_t step = m.u.STEP_SEARCH.step;
    SEEK(BOX_OPEN, .box = inbox, .uidvalidity = 8, .uidnext = 100, .exists = 99, .keywords_ok = 1);
    SEEK(UIDS, .step = step, .box = inbox, .last = 1, .ranges = buf_str(&all));
    SEEK(DONE, .step = step, .kind = ERR_NO_MESSAGE, .text = STR("the server has numbered the mailbox anew"));
    seek_finds(seek, "Archive", 0, 0);
    seek_finds(seek, "Sent", 0, 0);
    m = next(w.client, MSG_SERVER_DONE);
    assert_int_equal(m.u.SERVER_DONE.hits, 0);
    assert_int_equal(m.u.SERVER_DONE.kind, ERR_NO_MESSAGE);
    chan_free(&seek);
    buf_fini(&all);
}

/* ---- Tests -------------------------------------------------------------------------------------- */
static void starts_and_shows_the_first_page(void **state)
{
    (void)state;
    world_new(imap_rc);
    struct msg m = next(w.client, MSG_WELCOME);
    assert_int_equal(m.u.WELCOME.version, IPC_VERSION);
    assert_true(str_eqz(m.u.WELCOME.root, w.root));
    m = next(w.client, MSG_ACCOUNT);
    assert_true(str_eqz(m.u.ACCOUNT.account, "work"));
    fetch_start();
    m = next(w.fetch, MSG_STEP_CONNECT);
    uint32_t connect = m.u.STEP_CONNECT.step;
    /* The password travels as a pipe from spawn to fetch; where none is configured the client types it. */
    FETCH(SECRET_ASK, .service = SERVICE_INCOMING, .text = STR("login"));
    m = spawn_next(MSG_SECRET_GET, ROLE_COUNT);
    assert_true(SEND(w.spawn, -1, &w.err, SECRET_NONE, .account = STR("work"), .service = SERVICE_INCOMING,
                     .tag = m.u.SECRET_GET.tag, .kind = ERR_SECRET));
    m = next(w.client, MSG_SECRET_WANTED);
    assert_int_equal(m.u.SECRET_WANTED.service, SERVICE_INCOMING);
    /* INBOX and its first page are asked for before the login is through. */
    m = next(w.fetch, MSG_STEP_SELECT);
    assert_true(str_eqz(m.u.STEP_SELECT.name, "INBOX"));
    uint32_t select = m.u.STEP_SELECT.step;
    inbox = m.u.STEP_SELECT.box;
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    uint32_t top = m.u.STEP_ROWS_TOP.step;
    assert_int_equal(m.u.STEP_ROWS_TOP.below_seq, 0);
    int p[2];
    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "sesame\n", 7), 7);
    close(p[1]);
    CLIENT(p[0], SECRET_GIVEN, .account = STR("work"), .service = SERVICE_INCOMING);
    close(p[0]);
    m = next(w.fetch, MSG_SECRET);
    struct secret secret = {0};
    assert_true(secret_read(m.fd, clock_mono_ms() + 5000, &secret, &w.err));
    assert_string_equal(secret.p, "sesame");
    secret_free(&secret);
    FETCH(ONLINE, .caps = 1, .caps_text = STR("IMAP4rev1"));
    done(connect);
    do
        m = next(w.client, MSG_ACCOUNT);
    while (m.u.ACCOUNT.state != ACCOUNT_ONLINE);
    FETCH(BOX_OPEN, .box = inbox, .uidvalidity = 7, .uidnext = 11, .exists = 10, .keywords_ok = 1);
    done(select);
    for (uint32_t uid = 10; uid > 0; uid--)
        row(inbox, uid);
    done(top);
    serve_until_watch(10);
    struct found f = rows_of(inbox);
    assert_int_equal(f.n, 10);
    /* New mail: EXISTS, the rows above the highest, one CHANGED that says so. */
    FETCH(EXISTS, .box = inbox, .exists = 11);
    m = next(w.fetch, MSG_STEP_ROWS);
    assert_int_equal(m.u.STEP_ROWS.uid_lo, 11);
    assert_int_equal(m.u.STEP_ROWS.uid_hi, 0);
    uint32_t step = m.u.STEP_ROWS.step;
    row(inbox, 11);
    done(step);
    do
        m = next(w.client, MSG_CHANGED);
    while (m.u.CHANGED.box != inbox || m.u.CHANGED.fresh == 0);
    assert_int_equal(m.u.CHANGED.fresh, 1);
    assert_int_equal(rows_of(inbox).n, 11);
    FETCH(GONE, .box = inbox, .ranges = ((struct str){"\2\0\0\0\3\0\0\0", 8}));
    do
        m = next(w.client, MSG_CHANGED);
    while (m.u.CHANGED.box != inbox);
    assert_int_equal(rows_of(inbox).n, 9);
}

/* A new account, its line up, INBOX and its first page of `n` answered, its mailboxes not yet listed. */
static void first_page(uint32_t n)
{
    inbox = archive = sent = trash = 0;
    world_new(imap_rc);
    fetch_start();
    online();
    struct msg m = next(w.fetch, MSG_STEP_SELECT);
    inbox = m.u.STEP_SELECT.box;
    FETCH(BOX_OPEN, .box = inbox, .uidvalidity = 7, .uidnext = n + 1, .exists = n, .keywords_ok = 1);
    done(m.u.STEP_SELECT.step);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    for (uint32_t uid = n; uid > 0; uid--)
        row(inbox, uid);
    done(m.u.STEP_ROWS_TOP.step);
}

/* The first page of a new account comes before its mailboxes: what is done to it waits for them. */
static void an_action_waits_for_the_first_list(void **state)
{
    (void)state;
    first_page(10);
    struct msg m = next(w.fetch, MSG_STEP_LIST);
    struct found f = rows_of(inbox);
    assert_int_equal(f.n, 10);
    intent(1, INTENT_ARCHIVE, f.ids, 1, 0);
    intent(2, INTENT_TRASH, &f.ids[1], 2, 0);
    intent(3, INTENT_SPAM, &f.ids[3], 1, 0);
    CLIENT(-1, UNDO, .req = 4); /* of the last one */
    struct msg said = next(w.client, MSG_REFUSED);
    assert_int_equal(said.u.REFUSED.req, 3);
    said = next(w.client, MSG_UNDONE);
    assert_int_equal(said.u.UNDONE.count, 1);
    assert_int_equal(rows_of(inbox).n, 10);
    box("INBOX", 10, BOX_INBOX);
    box("Keep", 0, BOX_ARCHIVE);
    box("Bin", 0, BOX_TRASH);
    done(m.u.STEP_LIST.step);
    said = next(w.client, MSG_INTENT_OK);
    assert_int_equal(said.u.INTENT_OK.req, 1);
    assert_int_equal(said.u.INTENT_OK.count, 1);
    said = next(w.client, MSG_INTENT_OK);
    assert_int_equal(said.u.INTENT_OK.req, 2);
    assert_int_equal(said.u.INTENT_OK.count, 2);
    assert_int_equal(rows_of(inbox).n, 7);
    for (unsigned i = 0; i < 2; i++) {
        do
            m = next_step();
        while (m.kind != MSG_STEP_MOVE && m.kind != MSG_STEP_STATUS);
        if (m.kind == MSG_STEP_STATUS) { /* where what is lost would be looked for */
            done(m.u.STEP_STATUS.step);
            i--;
            continue;
        }
        assert_true(str_eqz(m.u.STEP_MOVE.target_name, i == 0 ? "Keep" : "Bin"));
    }
}

/* Where the line breaks before that, it is told so. */
static void an_action_does_not_wait_for_a_line_that_broke(void **state)
{
    (void)state;
    first_page(1);
    next(w.fetch, MSG_STEP_LIST);
    struct found f = rows_of(inbox);
    assert_int_equal(f.n, 1);
    intent(1, INTENT_ARCHIVE, f.ids, 1, 0);
    FETCH(LOST, .kind = ERR_LINE, .text = STR("cut"));
    struct msg m = next(w.client, MSG_REFUSED);
    assert_int_equal(m.u.REFUSED.req, 1);
    assert_int_equal(m.u.REFUSED.kind, ERR_LINE);
    assert_int_equal(rows_of(inbox).n, 1);
}

static void archives_merge_and_undo_brings_back(void **state)
{
    (void)state;
    uint32_t uids[64];
    imap_up(30);
    struct found f = rows_of(inbox);
    intent(1, INTENT_ARCHIVE, f.ids, 1, 0);
    struct msg m = next(w.client, MSG_INTENT_OK);
    assert_int_equal(m.u.INTENT_OK.count, 1);
    assert_int_equal(rows_of(inbox).n, 29); /* shown at once */
    assert_int_equal(rows_of(archive).n, 1);
    m = next(w.fetch, MSG_STEP_MOVE);
    uint32_t step = m.u.STEP_MOVE.step;
    assert_true(str_eqz(m.u.STEP_MOVE.target_name, "Archive"));
    assert_int_equal(uids_in(m.u.STEP_MOVE.uids, uids, 64), 1);
    assert_int_equal(uids[0], 30);
    /* The others come while that is on the wire, one by one: some go at once behind it, the rest as one command. */
    for (uint32_t i = 1; i < 30; i++) {
        intent(1 + i, INTENT_ARCHIVE, &f.ids[i], 1, 0);
        next(w.client, MSG_INTENT_OK);
    }
    assert_int_equal(rows_of(inbox).n, 0);
    uint32_t steps[4] = {step};
    for (unsigned i = 1; i < 4; i++) {
        m = next(w.fetch, MSG_STEP_MOVE);
        steps[i] = m.u.STEP_MOVE.step;
        assert_int_equal(uids_in(m.u.STEP_MOVE.uids, uids, 64), 1);
        assert_int_equal(uids[0], 30 - i);
    }
    for (uint32_t i = 0; i < 4; i++) {
        FETCH(MOVED, .step = steps[i], .box = inbox, .uid = 30 - i, .target = archive, .uidvalidity = 7,
              .uid_to = 1 + i);
        if (i == 0) /* one place is free: all that wait go together */
            done(steps[i]);
    }
    m = next(w.fetch, MSG_STEP_MOVE);
    step = m.u.STEP_MOVE.step;
    assert_int_equal(uids_in(m.u.STEP_MOVE.uids, uids, 64), 26);
    for (uint32_t i = 0; i < 26; i++)
        FETCH(MOVED, .step = step, .box = inbox, .uid = uids[i], .target = archive, .uidvalidity = 7, .uid_to = 5 + i);
    for (unsigned i = 1; i < 4; i++)
        done(steps[i]);
    done(step);
    do
        m = next(w.client, MSG_ACCOUNT);
    while (m.u.ACCOUNT.queued != 0);
    CLIENT(-1, UNDO, .req = 90);
    m = next(w.client, MSG_UNDONE);
    assert_int_equal(m.u.UNDONE.count, 1);
    assert_true(str_eqz(m.u.UNDONE.text, "1 message back in INBOX"));
    assert_int_equal(rows_of(inbox).n, 1);
    m = next(w.fetch, MSG_STEP_MOVE);
    assert_true(str_eqz(m.u.STEP_MOVE.target_name, "INBOX"));
    assert_int_equal(m.u.STEP_MOVE.box, archive);
    assert_int_equal(uids_in(m.u.STEP_MOVE.uids, uids, 64), 1);
    assert_int_equal(uids[0], 5); /* UID 1 was the last archived, at Archive's UID 5 */
}

static void refusal_returns_to_the_truth(void **state)
{
    (void)state;
    imap_up(3);
    struct found f = rows_of(inbox);
    intent(1, INTENT_ARCHIVE, f.ids, 2, 0);
    struct msg m = next(w.fetch, MSG_STEP_MOVE);
    FETCH(DONE, .step = m.u.STEP_MOVE.step, .kind = ERR_SERVER_NO, .text = STR("no moving \x1b[31m today"));
    do
        m = next(w.client, MSG_NOTE);
    while (m.u.NOTE.kind != ERR_SERVER_NO);
    char text[401];
    snprintf(text, sizeof text, "%.*s", STR_FMT(m.u.NOTE.text));
    assert_non_null(strstr(text, "INBOX of work"));
    assert_non_null(strstr(text, "no moving"));
    assert_null(strchr(text, 0x1b));
    next(w.client, MSG_CHANGED);
    assert_int_equal(rows_of(inbox).n, 3);
    assert_int_equal(rows_of(archive).n, 0);
}

static void what_is_opened_waits_for_the_next_line(void **state)
{
    (void)state;
    imap_up(3);
    struct found f = rows_of(inbox);
    CLIENT(-1, OPEN, .req = 5, .account = STR("work"), .msg = f.ids[0]);
    CLIENT(-1, OPEN, .req = 6, .account = STR("work"), .msg = f.ids[1], .prefetch = 1);
    struct msg m = next(w.fetch, MSG_STEP_BODY), other = next(w.fetch, MSG_STEP_BODY);
    assert_int_equal(m.u.STEP_BODY.msg, f.ids[0]);
    FETCH(DONE, .step = m.u.STEP_BODY.step, .kind = ERR_PROTOCOL, .text = STR("astray"));
    FETCH(DONE, .step = other.u.STEP_BODY.step, .kind = ERR_LINE, .text = STR("astray"));
    FETCH(LOST, .kind = ERR_PROTOCOL, .text = STR("astray"));
    m = next(w.client, MSG_REFUSED);
    assert_int_equal(m.u.REFUSED.req, 6);
    online();
    m = next(w.fetch, MSG_STEP_BODY);
    assert_int_equal(m.u.STEP_BODY.msg, f.ids[0]);
    /* Once: a message that breaks each line is not asked for without end. */
    FETCH(DONE, .step = m.u.STEP_BODY.step, .kind = ERR_PROTOCOL, .text = STR("astray"));
    m = next(w.client, MSG_REFUSED);
    assert_int_equal(m.u.REFUSED.req, 5);
    assert_int_equal(m.u.REFUSED.kind, ERR_PROTOCOL);
    FETCH(LOST, .kind = ERR_PROTOCOL, .text = STR("astray"));
    online();
    /* Nor is it waited for while there is no line to be had. */
    CLIENT(-1, OPEN, .req = 7, .account = STR("work"), .msg = f.ids[2]);
    m = next(w.fetch, MSG_STEP_BODY);
    FETCH(DONE, .step = m.u.STEP_BODY.step, .kind = ERR_LINE, .text = STR("reset"));
    FETCH(LOST, .kind = ERR_LINE, .text = STR("reset"));
    do
        m = next(w.client, MSG_REFUSED);
    while (m.u.REFUSED.req != 7);
}

static void lost_line_is_settled_by_looking(void **state)
{
    (void)state;
    imap_up(3);
    struct found f = rows_of(inbox);
    intent(1, INTENT_ARCHIVE, f.ids, 1, 0);
    struct msg m = next(w.fetch, MSG_STEP_MOVE);
    FETCH(DONE, .step = m.u.STEP_MOVE.step, .kind = ERR_LINE, .text = STR("connection reset"));
    FETCH(LOST, .kind = ERR_LINE, .text = STR("connection reset"));
    online();
    unsigned looks = 0;
    while (looks < 2) {
        m = next_step();
        assert_int_not_equal(m.kind, MSG_STEP_MOVE); /* never again before it has looked */
        if (m.kind != MSG_STEP_FIND)
            fail_msg("%s before looking", msg_name(m.kind));
        assert_true(str_eqz(m.u.STEP_FIND.msgid, "m3@example.org"));
        bool target = str_eqz(m.u.STEP_FIND.name, "Archive");
        uint32_t step = m.u.STEP_FIND.step;
        if (target)
            FETCH(FOUND, .step = step, .box = m.u.STEP_FIND.box, .uidvalidity = 7, .uid = 44, .size = 1003,
                  .internal_date = recent() + 3);
        done(step);
        looks++;
    }
    do
        m = next(w.client, MSG_ACCOUNT);
    while (m.u.ACCOUNT.queued != 0);
    serve_until_watch(2); /* which refuses a second move */
    assert_int_equal(rows_of(archive).n, 1);
    assert_int_equal(rows_of(inbox).n, 2);
    /* The same with a message that did not go: the move is sent again. */
    f = rows_of(inbox);
    intent(2, INTENT_ARCHIVE, f.ids, 1, 0);
    m = next(w.fetch, MSG_STEP_MOVE);
    store_kill(SIGKILL); /* under way when the store dies: unknown too */
    store_start();
    fetch_start();
    online();
    for (looks = 0; looks < 2; looks++) {
        m = next(w.fetch, MSG_STEP_FIND);
        uint32_t step = m.u.STEP_FIND.step;
        if (str_eqz(m.u.STEP_FIND.name, "INBOX"))
            FETCH(FOUND, .step = step, .box = m.u.STEP_FIND.box, .uidvalidity = 7, .uid = 2, .size = 1002,
                  .internal_date = recent() + 2);
        done(step);
    }
    /* Where the target's UIDs have got to is asked first: without it the next loss could not be settled. */
    m = next(w.fetch, MSG_STEP_STATUS);
    assert_true(str_eqz(m.u.STEP_STATUS.names, "Archive"));
    uint32_t status = m.u.STEP_STATUS.step;
    box("Archive", 1, BOX_ARCHIVE);
    done(status);
    /* No MODSEQ, another line: is UID 2 still what it was (THREATS 45)? */
    uint32_t uids[4];
    m = next(w.fetch, MSG_STEP_FLAGS);
    assert_int_equal(uids_in(m.u.STEP_FLAGS.uids, uids, 4), 1);
    assert_int_equal(uids[0], 2);
    done(m.u.STEP_FLAGS.step);
    m = next(w.fetch, MSG_STEP_MOVE);
    assert_int_equal(m.u.STEP_MOVE.uidvalidity, 7);
    assert_int_equal(uids_in(m.u.STEP_MOVE.uids, uids, 4), 1);
    assert_int_equal(uids[0], 2);
}

/* Another connection may tell of a mail before the one that has the mailbox open knows it. */
static void news_is_taken_from_the_connection_that_has_it(void **state)
{
    (void)state;
    imap_up(3);
    FETCH(BOX, .name = STR("INBOX"), .total = 4, .unread = 4, .uidnext = 5, .uidvalidity = 7, .counts = 1,
          .size = UINT64_MAX);
    next(w.client, MSG_CHANGED);
    CLIENT(-1, OPEN, .req = 5, .account = STR("work"), .msg = rows_of(inbox).ids[0]);
    struct msg m = next_step();
    assert_int_equal(m.kind, MSG_STEP_BODY); /* no rows that it would not have yet */
    CLIENT(-1, CANCEL, .req = 5);
    next(w.fetch, MSG_STEP_CANCEL);
    next(w.client, MSG_REFUSED);
    FETCH(DONE, .step = m.u.STEP_BODY.step, .kind = ERR_CANCELED, .text = STR("stopped"));
    FETCH(EXISTS, .box = inbox, .exists = 4);
    m = next_step();
    assert_int_equal(m.kind, MSG_STEP_ROWS);
    assert_int_equal(m.u.STEP_ROWS.uid_lo, 4);
    /* A server that has not got so far sends no row: what it has by its own word is then asked for again. */
    done(m.u.STEP_ROWS.step);
    m = next_step();
    assert_int_equal(m.kind, MSG_STEP_UIDS);
    uint32_t step = m.u.STEP_UIDS.step;
    struct buf uids = BUF_INIT(64);
    ipc_ranges_add(&uids, 1, 4);
    FETCH(UIDS, .step = step, .box = inbox, .last = 1, .ranges = buf_str(&uids));
    buf_fini(&uids);
    done(step);
    m = next_step();
    assert_int_equal(m.kind, MSG_STEP_ROWS);
    assert_int_equal(m.u.STEP_ROWS.uid_lo, 4);
    row(inbox, 4);
    done(m.u.STEP_ROWS.step);
    do
        m = next(w.client, MSG_CHANGED);
    while (m.u.CHANGED.box != inbox || m.u.CHANGED.fresh == 0);
    assert_int_equal(rows_of(inbox).n, 4);
}

static void body_is_fetched_once_and_opened(void **state)
{
    (void)state;
    imap_up(3);
    struct found f = rows_of(inbox);
    CLIENT(-1, OPEN, .req = 5, .account = STR("work"), .msg = f.ids[0]);
    struct msg m = next(w.fetch, MSG_STEP_BODY);
    assert_int_equal(m.u.STEP_BODY.uid, 3);
    assert_true(m.u.STEP_BODY.urgent);
    uint32_t step = m.u.STEP_BODY.step;
    FETCH(STEP_PROGRESS, .step = step, .done = 10, .total = 1003);
    assert_int_equal(next(w.client, MSG_PROGRESS).u.PROGRESS.total, 1003);
    FETCH(BODY_AT, .step = step, .box = inbox, .uid = 3, .msg = f.ids[0], .bytes = 1003, .path = STR("cache/3"));
    done(step);
    m = next(w.fetch, MSG_STEP_FILE_OPEN);
    assert_true(str_eqz(m.u.STEP_FILE_OPEN.path, "cache/3"));
    int fd = memfd_create("mail", MFD_CLOEXEC);
    assert_int_equal(write(fd, "Subject: x\r\n", 12), 12);
    step = m.u.STEP_FILE_OPEN.step;
    assert_true(SEND(w.fetch, fd, &w.err, MAILDIR_FD, .step = step));
    close(fd);
    done(step);
    m = next(w.client, MSG_BODY);
    assert_int_equal(m.u.BODY.req, 5);
    char text[32];
    assert_int_equal(pread(m.fd, text, sizeof text, 0), 12);
    close(m.fd);
    /* The second time the file is here. */
    CLIENT(-1, OPEN, .req = 6, .account = STR("work"), .msg = f.ids[0]);
    do
        m = next_step();
    while (m.kind != MSG_STEP_FILE_OPEN && m.kind != MSG_STEP_BODY);
    assert_int_equal(m.kind, MSG_STEP_FILE_OPEN);
    CLIENT(-1, OPEN, .req = 7, .account = STR("work"), .msg = 99999);
    assert_int_equal(next(w.client, MSG_REFUSED).u.REFUSED.kind, ERR_NO_MESSAGE);
}

static void hostile_fetch_is_ended(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct msg m;
    } lies[] = {
        {"a row of no mailbox", {.kind = MSG_ROW, .fd = -1, .u.ROW = {.box = 4000, .uid = 1}}},
        {"the end of no step", {.kind = MSG_DONE, .fd = -1, .u.DONE = {.step = 4000}}},
        {"an unknown error", {.kind = MSG_DONE, .fd = -1, .u.DONE = {.step = 1, .kind = 4000}}},
        {"a body nobody asked for",
         {.kind = MSG_BODY_AT,
          .fd = -1,
          .u.BODY_AT = {.step = 1, .box = 1, .uid = 1, .msg = 1, .path = {"../../x", 7}}}},
        {"a move nobody asked for",
         {.kind = MSG_MOVED, .fd = -1, .u.MOVED = {.step = 1, .box = 1, .uid = 1, .target = 2}}},
        {"another protocol's word", {.kind = MSG_POP_UIDLS, .fd = -1, .u.POP_UIDLS = {.step = 1}}},
        {"files nobody asked for", {.kind = MSG_FILES, .fd = -1, .u.FILES = {.step = 1, .paths = {"a/1", 3}}}},
        {"a claim nobody made", {.kind = MSG_CLAIMED, .fd = -1, .u.CLAIMED = {.step = 1, .box = 1, .sure = 1}}},
        {"UIDs nobody asked for", {.kind = MSG_UIDS, .fd = -1, .u.UIDS = {.step = 1, .box = 1, .last = 1}}},
    };
    imap_up(2);
    for (size_t i = 0; i < COUNT(lies); i++) {
        assert_true(chan_send(w.fetch, &lies[i].m, -1, &w.err));
        struct msg m;
        do
            m = next(w.client, MSG_NOTE);
        while (m.u.NOTE.kind != ERR_CHANNEL);
        assert_int_equal(spawn_next(MSG_STOP, ROLE_COUNT).u.STOP.tag, w.fetch_tag);
        /* Started again, later and later; a request of the user does not wait for that. */
        CLIENT(-1, FETCH_NOW, .req = 50, .account = STR("work"));
        fetch_start();
        online();
        serve_until_watch(2);
        next(w.client, MSG_FETCHED);
        assert_int_equal(rows_of(inbox).n, 2);
    }
}

/* The program asks for the password before it takes the mail. */
static void send_start(void)
{
    int fd;
    struct msg m = spawn_next(MSG_START, ROLE_SEND);
    w.send_tag = m.u.START.tag;
    chan_free(&w.send);
    pair(&w.send, ROLE_SEND, &fd);
    assert_true(SEND(w.spawn, fd, &w.err, STARTED, .role = ROLE_SEND, .account = STR("work"), .tag = w.send_tag));
    close(fd);
    assert_true(SEND(w.send, -1, &w.err, READY, .sandbox = STR("none")));
    assert_true(SEND(w.send, -1, &w.err, SECRET_ASK, .service = SERVICE_SUBMISSION));
    m = spawn_next(MSG_SECRET_GET, ROLE_COUNT);
    assert_int_equal(m.u.SECRET_GET.service, SERVICE_SUBMISSION);
    int p[2];
    assert_int_equal(pipe(p), 0);
    close(p[1]);
    assert_true(SEND(w.spawn, p[0], &w.err, SECRET_PIPE, .account = STR("work"), .service = SERVICE_SUBMISSION,
                     .tag = m.u.SECRET_GET.tag));
    close(p[0]);
    m = next(w.send, MSG_SECRET);
    close(m.fd);
}

static uint64_t submit(uint32_t req, uint32_t hold, uint64_t answers)
{
    static const char mail[] =
        "From: alice@example.org\nTo: bob@example.org\nSubject: hello\nMessage-ID: <out@example.org>\n\nline\n.\n";
    int fd = memfd_create("mail", MFD_CLOEXEC);
    assert_int_equal(write(fd, mail, sizeof mail - 1), (ssize_t)sizeof mail - 1);
    CLIENT(fd, SUBMIT, .req = req, .account = STR("work"), .sender = STR("alice@example.org"),
           .rcpts = STR("bob@example.org\n"), .hold_s = hold, .answers = answers);
    close(fd);
    struct msg m = next(w.client, MSG_SUBMITTED);
    assert_int_equal(m.u.SUBMITTED.req, req);
    return m.u.SUBMITTED.out;
}

static void outbox_becomes(uint64_t id, enum outbox_state state)
{
    struct msg m;
    do
        m = next(w.client, MSG_OUTBOX);
    while (m.u.OUTBOX.out != id || m.u.OUTBOX.state != state);
}

static void outbox_sends_once_and_files(void **state)
{
    (void)state;
    imap_up(2);
    struct found f = rows_of(inbox);
    uint64_t id = submit(1, 3600, 0);
    outbox_becomes(id, OUTBOX_HELD);
    CLIENT(-1, OUTBOX_ACT, .req = 2, .account = STR("work"), .out = id, .act = OUTBOX_ACT_CANCEL);
    outbox_becomes(id, OUTBOX_CANCELED);
    id = submit(3, 0, f.ids[0]);
    send_start();
    struct msg m = next(w.send, MSG_DELIVER);
    assert_true(str_eqz(m.u.DELIVER.sender, "alice@example.org"));
    char text[200] = "";
    assert_true(pread(m.fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "Subject: hello\r\n")); /* line ends are put right */
    assert_null(strstr(text, "\r\r"));
    close(m.fd);
    assert_true(SEND(w.send, -1, &w.err, DELIVER_DONE, .kind = ERR_NONE));
    outbox_becomes(id, OUTBOX_SENT);
    outbox_becomes(id, OUTBOX_FILED);
    bool stored = false, filed = false;
    while (!stored || !filed) {
        m = next_step();
        if (m.kind == MSG_STEP_APPEND) {
            assert_true(str_eqz(m.u.STEP_APPEND.name, "Sent"));
            assert_int_equal(m.u.STEP_APPEND.flags, FLAG_SEEN);
            assert_true(pread(m.fd, text, sizeof text - 1, 0) > 0);
            close(m.fd);
            FETCH(APPENDED, .step = m.u.STEP_APPEND.step, .box = m.u.STEP_APPEND.box, .uidvalidity = 7, .uid = 9);
            filed = true;
            done(m.u.STEP_APPEND.step);
        } else if (m.kind == MSG_STEP_STORE) {
            assert_int_equal(m.u.STEP_STORE.add, FLAG_ANSWERED);
            stored = true;
            done(m.u.STEP_STORE.step);
        } else if (m.kind == MSG_STEP_SELECT) {
            FETCH(BOX_OPEN, .box = m.u.STEP_SELECT.box, .uidvalidity = 7, .uidnext = 3, .exists = 2, .resync = 1);
            done(m.u.STEP_SELECT.step);
        }
    }
    do
        m = next(w.client, MSG_ACCOUNT);
    while (m.u.ACCOUNT.queued != 0);
    assert_int_equal(rows_of(sent).n, 1);
    /* The line broke after the final dot: unknown, and never sent again by itself (THREATS 149). */
    id = submit(4, 0, 0);
    send_start();
    m = next(w.send, MSG_DELIVER);
    close(m.fd);
    assert_true(SEND(w.send, -1, &w.err, DELIVER_DONE, .kind = ERR_UNKNOWN_OUTCOME, .text = STR("line lost")));
    outbox_becomes(id, OUTBOX_UNKNOWN);
    store_kill(SIGKILL);
    store_start();
    next(w.client, MSG_WELCOME);
    CLIENT(-1, UNDO, .req = 77); /* something it answers after its start */
    next(w.client, MSG_REFUSED);
    struct msg s;
    while (chan_recv(w.spawn, &s, &w.err) == 1)
        assert_false(s.kind == MSG_START && s.u.START.role == ROLE_SEND);
    /* The user may. */
    CLIENT(-1, OUTBOX_ACT, .req = 5, .account = STR("work"), .out = id, .act = OUTBOX_ACT_SEND_NOW);
    send_start();
    m = next(w.send, MSG_DELIVER);
    close(m.fd);
    assert_true(
        SEND(w.send, -1, &w.err, RCPT_REFUSED, .rcpt = STR("bob@example.org"), .text = STR("550 no such user")));
    assert_true(SEND(w.send, -1, &w.err, DELIVER_DONE, .kind = ERR_RECIPIENT, .text = STR("refused")));
    outbox_becomes(id, OUTBOX_REFUSED);
}

/* ---- POP3 --------------------------------------------------------------------------------------- */
static const char pop_rc[] = "account work pop3s://alice@pop.example.net\nset -a work leave delete\n";

static void pop_begin(void)
{
    struct msg m;
    for (;;) {
        m = next_step();
        if (m.kind == MSG_STEP_MAILDIR_SCAN) {
            if (str_eqz(m.u.STEP_MAILDIR_SCAN.folder, "*"))
                FETCH(BOX, .name = STR(""), .utf8 = STR("INBOX"), .delim = '.', .total = UINT32_MAX,
                      .unread = UINT32_MAX);
            done(m.u.STEP_MAILDIR_SCAN.step);
        } else if (m.kind == MSG_STEP_CONNECT) {
            done(m.u.STEP_CONNECT.step);
            return;
        } else {
            fail_msg("unexpected %s", msg_name(m.kind));
        }
    }
}

static void pop_list(uint32_t n)
{
    struct msg m = next(w.fetch, MSG_STEP_POP_LIST);
    uint32_t step = m.u.STEP_POP_LIST.step;
    struct buf mails = BUF_INIT(32768);
    for (uint32_t i = 1; i <= n; i++) {
        char uidl[20];
        snprintf(uidl, sizeof uidl, "uidl-%u", i);
        assert_true(ipc_mails_add(&mails, i, 100, str_z(uidl)));
    }
    FETCH(POP_UIDLS, .step = step, .mails = buf_str(&mails));
    buf_fini(&mails);
    done(step);
}

static void delivered(uint32_t step, uint32_t i)
{
    char name[20], path[30];
    snprintf(name, sizeof name, "17000.%u", i);
    snprintf(path, sizeof path, "new/17000.%u", i);
    FETCH(DELIVERED, .step = step, .number = i, .name = str_z(name), .path = str_z(path), .size = 100,
          .internal_date = 17000 + i);
}

/* The headers of so many messages are asked for, and are not to be had. */
static void looked_at(uint32_t *numbers, size_t n)
{
    struct msg m = next_step();
    assert_int_equal(m.kind, MSG_STEP_POP_HEADS);
    assert_int_equal(uids_in(m.u.STEP_POP_HEADS.numbers, numbers, 10), n);
    FETCH(DONE, .step = m.u.STEP_POP_HEADS.step, .kind = ERR_SERVER_NO, .text = STR("no TOP"));
}

static void pop_deletes_only_what_the_ledger_has(void **state)
{
    (void)state;
    uint32_t numbers[10];
    world_new(pop_rc);
    fetch_start();
    pop_begin();
    pop_list(3);
    struct msg m = next(w.fetch, MSG_STEP_POP_RETR);
    assert_int_equal(uids_in(m.u.STEP_POP_RETR.numbers, numbers, 10), 3);
    assert_true(numbers[0] == 3 && numbers[1] == 2 && numbers[2] == 1); /* newest first */
    uint32_t step = m.u.STEP_POP_RETR.step;
    /* Two arrive, one is refused; no DELE before the window is durable, and none for the third. */
    delivered(step, 1);
    delivered(step, 2);
    FETCH(POP_FAILED, .step = step, .number = 3, .kind = ERR_SERVER_NO, .text = STR("-ERR locked"));
    assert_int_equal(chan_wait(w.fetch, clock_mono_ms() + 200, &m, &w.err), 0);
    done(step);
    m = next_step();
    assert_int_equal(m.kind, MSG_STEP_POP_DELE);
    assert_int_equal(uids_in(m.u.STEP_POP_DELE.numbers, numbers, 10), 2);
    step = m.u.STEP_POP_DELE.step;
    /* The store dies here: both are in the ledger, so the next run deletes them and fetches only the third (THREATS 86,
     * 87). */
    store_kill(SIGKILL);
    store_start();
    fetch_start();
    pop_begin();
    pop_list(3);
    looked_at(numbers, 2); /* what was to be deleted may be other mail of the same id */
    m = next_step();
    assert_int_equal(m.kind, MSG_STEP_POP_RETR);
    assert_int_equal(uids_in(m.u.STEP_POP_RETR.numbers, numbers, 10), 1);
    assert_int_equal(numbers[0], 3);
    step = m.u.STEP_POP_RETR.step;
    delivered(step, 3);
    done(step);
    m = next(w.fetch, MSG_STEP_POP_DELE);
    assert_int_equal(uids_in(m.u.STEP_POP_DELE.numbers, numbers, 10), 3);
    done(m.u.STEP_POP_DELE.step);
    /* QUIT fails: nothing was deleted for sure. */
    m = next(w.fetch, MSG_STEP_POP_QUIT);
    FETCH(DONE, .step = m.u.STEP_POP_QUIT.step, .kind = ERR_LINE, .text = STR("closed"));
    do
        m = next(w.client, MSG_NOTE);
    while (m.u.NOTE.kind != ERR_LINE);
    CLIENT(-1, FETCH_NOW, .req = 9, .account = STR(""));
    pop_begin();
    pop_list(3);
    looked_at(numbers, 3);
    m = next_step();
    assert_int_equal(m.kind, MSG_STEP_POP_DELE); /* no RETR */
    done(m.u.STEP_POP_DELE.step);
    m = next(w.fetch, MSG_STEP_POP_QUIT);
    done(m.u.STEP_POP_QUIT.step);
    m = next(w.client, MSG_FETCHED);
    assert_int_equal(m.u.FETCHED.req, 9);
    assert_int_equal(m.u.FETCHED.removed, 3);
    assert_int_equal(m.u.FETCHED.kept, 0);
    assert_true(m.u.FETCHED.last);
}

/* ---- A local Maildir ---------------------------------------------------------------------------- */
static void one_more(void *arg, const struct msg_row *r)
{
    (void)r;
    *(unsigned *)arg += 1;
}

static unsigned rows_in(uint64_t b)
{
    char *state = path_join(w.root, "state");
    struct reader *r = reader_open(state, "work", &w.err);
    unsigned n = 0;
    assert_non_null(r);
    assert_true(reader_rows(r, b, LIST_ALL, NULL, true, 1000, one_more, &n, &w.err));
    reader_close(&r);
    free(state);
    return n;
}

/* One action on more messages than steps can be under way: each gets its own all the same. */
static void maildir_many_at_once(void **state)
{
    (void)state;
    enum { MANY = 700 };
    struct msg m;
    struct buf ids = BUF_INIT(8 * MANY + 8);
    bool scanned = false;
    inbox = archive = 0;
    world_new("account work maildir:/nonexistent/Maildir\n");
    fetch_start();
    m = next(w.fetch, MSG_STEP_MAILDIR_SCAN);
    FETCH(BOX, .name = STR(""), .utf8 = STR("INBOX"), .delim = '.', .total = UINT32_MAX, .unread = UINT32_MAX);
    done(m.u.STEP_MAILDIR_SCAN.step);
    while (!scanned) {
        m = next(w.fetch, MSG_STEP_MAILDIR_SCAN);
        scanned = m.u.STEP_MAILDIR_SCAN.folder.n == 0;
        uint64_t box = m.u.STEP_MAILDIR_SCAN.box;
        uint32_t step = m.u.STEP_MAILDIR_SCAN.step;
        for (unsigned i = 1; scanned && i <= MANY; i++) {
            char name[20], path[30];
            snprintf(name, sizeof name, "%u.a", i);
            snprintf(path, sizeof path, "new/%u.a", i);
            FETCH(MAILDIR_ROW, .box = box, .name = str_z(name), .path = str_z(path), .size = 10, .internal_date = i);
            ipc_ids_add(&ids, i);
        }
        done(step);
        assert_true(chan_drain(w.fetch, clock_mono_ms() + WAIT_MS, &w.err));
    }
    do {
        next(w.client, MSG_CHANGED);
        read_boxes();
    } while (!inbox || rows_in(inbox) < MANY);
    CLIENT(-1, INTENT, .req = 1, .account = STR("work"), .kind = INTENT_FLAGS, .msgs = buf_str(&ids),
           .flags = FLAG_SEEN);
    for (unsigned i = 0; i < MANY; i++) {
        m = next(w.fetch, MSG_STEP_MAILDIR_FLAGS);
        assert_int_equal(m.u.STEP_MAILDIR_FLAGS.flags, FLAG_SEEN);
        done(m.u.STEP_MAILDIR_FLAGS.step);
    }
    do
        m = next(w.client, MSG_ACCOUNT);
    while (m.u.ACCOUNT.queued != 0);
    buf_fini(&ids);
}

static void maildir_rows_and_moves(void **state)
{
    (void)state;
    struct msg m;
    inbox = archive = 0;
    world_new("account work maildir:/nonexistent/Maildir\n");
    fetch_start();
    m = next(w.fetch, MSG_STEP_MAILDIR_SCAN);
    assert_true(str_eqz(m.u.STEP_MAILDIR_SCAN.folder, "*"));
    uint32_t step = m.u.STEP_MAILDIR_SCAN.step;
    FETCH(BOX, .name = STR(""), .utf8 = STR("INBOX"), .delim = '.', .total = UINT32_MAX, .unread = UINT32_MAX);
    FETCH(BOX, .name = STR(".Archive"), .utf8 = STR("Archive"), .delim = '.', .total = UINT32_MAX,
          .unread = UINT32_MAX);
    done(step);
    for (unsigned folders = 0, reads = 0; folders < 2 || reads < 2;) { /* in whatever order they are asked for */
        m = next_step();
        if (m.kind == MSG_STEP_MAILDIR_SCAN) {
            folders++;
            step = m.u.STEP_MAILDIR_SCAN.step;
            uint64_t b = m.u.STEP_MAILDIR_SCAN.box;
            if (m.u.STEP_MAILDIR_SCAN.folder.n == 0) {
                FETCH(MAILDIR_FILE, .box = b, .name = STR("1.a"), .size = 10);
                FETCH(MAILDIR_FILE, .box = b, .name = STR("2.b"), .flags = FLAG_SEEN, .size = 10);
            }
            done(step);
        } else {
            assert_int_equal(m.kind, MSG_STEP_MAILDIR_READ);
            step = m.u.STEP_MAILDIR_READ.step;
            bool first = str_eqz(m.u.STEP_MAILDIR_READ.name, "1.a");
            reads++;
            FETCH(MAILDIR_ROW, .box = m.u.STEP_MAILDIR_READ.box, .name = first ? STR("1.a") : STR("2.b"),
                  .path = first ? STR("new/1.a") : STR("cur/2.b:2,S"), .flags = first ? 0 : FLAG_SEEN, .size = 10,
                  .internal_date = first ? 100 : 99, .msgid = first ? STR("a@x") : STR("b@x"));
            done(step);
        }
    }
    struct found f;
    do {
        next(w.client, MSG_CHANGED);
        read_boxes();
        f = rows_of(inbox);
    } while (f.n < 2);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.flags[0], 0);
    assert_int_equal(f.flags[1], FLAG_SEEN);
    intent(1, INTENT_ARCHIVE, f.ids, 1, 0);
    m = next(w.fetch, MSG_STEP_MAILDIR_MOVE);
    assert_true(str_eqz(m.u.STEP_MAILDIR_MOVE.name, "1.a"));
    assert_true(str_eqz(m.u.STEP_MAILDIR_MOVE.target_folder, ".Archive"));
    step = m.u.STEP_MAILDIR_MOVE.step;
    FETCH(MAILDIR_IS, .step = step, .box = archive, .name = STR("1.a"), .path = STR(".Archive/cur/1.a:2,"));
    done(step);
    while (rows_of(archive).pending > 0) /* an account that was told before the intent has nothing queued either */
        next(w.client, MSG_CHANGED);
    assert_int_equal(rows_of(archive).n, 1);
    /* The file of one that moved is opened in its new folder. */
    CLIENT(-1, OPEN, .req = 2, .account = STR("work"), .msg = f.ids[0]);
    m = next(w.fetch, MSG_STEP_MAILDIR_OPEN);
    assert_true(str_eqz(m.u.STEP_MAILDIR_OPEN.folder, ".Archive"));
    FETCH(DONE, .step = m.u.STEP_MAILDIR_OPEN.step, .kind = ERR_NO_MESSAGE, .text = STR("gone"));
    m = next(w.fetch, MSG_STEP_MAILDIR_SCAN); /* it looks what became of it */
    FETCH(MAILDIR_ROW, .box = inbox, .name = STR("3.c"), .path = STR("../../etc/passwd"));
    do
        m = next(w.client, MSG_NOTE);
    while (m.u.NOTE.kind != ERR_CHANNEL);
}

/* ---- The index ---------------------------------------------------------------------------------- */
static uint64_t index_start(void)
{
    int fd;
    struct msg m = spawn_next(MSG_START, ROLE_INDEX);
    uint64_t tag = m.u.START.tag;
    chan_free(&w.index);
    pair(&w.index, ROLE_INDEX, &fd);
    assert_true(SEND(w.spawn, fd, &w.err, STARTED, .role = ROLE_INDEX, .tag = tag));
    close(fd);
    assert_true(SEND(w.index, -1, &w.err, READY, .sandbox = STR("none")));
    return tag;
}

/* One message kills the program whenever it sees it: it is found and left out, and all the others are indexed. */
static void index_quarantines_the_one_that_kills(void **state)
{
    (void)state;
    bool indexed[31] = {false};
    unsigned crashes = 0;
    imap_up(30);
    uint64_t tag = index_start();
    for (;;) {
        struct msg m;
        bool batch[31] = {false}, crash = false;
        uint64_t last = 0;
        for (;;) {
            assert_int_equal(chan_wait(w.index, clock_mono_ms() + WAIT_MS, &m, &w.err), 1);
            if (m.kind == MSG_INDEX_COMMIT)
                break;
            assert_int_equal(m.kind, MSG_INDEX_HEADER);
            unsigned uid = 0;
            char id[64];
            snprintf(id, sizeof id, "%.*s", STR_FMT(m.u.INDEX_HEADER.msgid));
            assert_int_equal(sscanf(id, "m%u@", &uid), 1);
            assert_in_range(uid, 1, 30);
            snprintf(id, sizeof id, "%.*s", (int)MIN(m.u.INDEX_HEADER.tags.n, 63), m.u.INDEX_HEADER.tags.p);
            assert_non_null(strstr(id, "unread"));
            assert_non_null(strstr(id, "inbox"));
            batch[uid] = true;
            crash = crash || uid == 17;
        }
        last = m.u.INDEX_COMMIT.job;
        if (crash) {
            assert_true(++crashes < 12);
            chan_free(&w.index);
            assert_true(SEND(w.spawn, -1, &w.err, EXITED, .role = ROLE_INDEX, .tag = tag, .status = SIGSEGV,
                             .text = STR("signal SEGV")));
            tag = index_start();
            continue;
        }
        for (unsigned i = 1; i <= 30; i++)
            indexed[i] = indexed[i] || batch[i];
        assert_true(SEND(w.index, -1, &w.err, INDEX_DONE, .job = last, .revision = 1));
        if (next(w.client, MSG_INDEXED).u.INDEXED.pending == 0)
            break;
    }
    for (unsigned i = 1; i <= 30; i++)
        assert_int_equal(indexed[i], i != 17);
}

/* A program that ends by itself (no room, no permission) blames no message: all of them come again, however often. */
static void index_that_ends_blames_no_message(void **state)
{
    (void)state;
    struct msg m;
    imap_up(1);
    for (unsigned round = 0; round < 5; round++) {
        uint64_t tag = index_start();
        do
            assert_int_equal(chan_wait(w.index, clock_mono_ms() + WAIT_MS, &m, &w.err), 1);
        while (m.kind != MSG_INDEX_COMMIT);
        if (round == 4)
            break;
        chan_free(&w.index);
        assert_true(SEND(w.spawn, -1, &w.err, EXITED, .role = ROLE_INDEX, .tag = tag, .status = 77 << 8,
                         .text = STR("exit status 77")));
    }
    assert_true(SEND(w.index, -1, &w.err, INDEX_DONE, .job = m.u.INDEX_COMMIT.job, .revision = 1));
    assert_int_equal(next(w.client, MSG_INDEXED).u.INDEXED.pending, 0);
}

struct count {
    uint32_t rows, full;
    int64_t newest, oldest;
};

static void count_row(void *arg, const struct msg_row *r)
{
    struct count *c = arg;
    c->rows++;
    c->full += (r->attrs & ROW_FULL) != 0;
    c->newest = c->newest ? c->newest : r->date;
    c->oldest = r->date;
}

static struct count counted(void)
{
    char *state = path_join(w.root, "state");
    struct reader *r = reader_open(state, "work", &w.err);
    struct count c = {0};
    assert_non_null(r);
    assert_true(reader_rows(r, inbox, LIST_ALL, NULL, true, 10000, count_row, &c, &w.err));
    reader_close(&r);
    free(state);
    return c;
}

/* Of a row that thin_rows() made. */
static uint32_t row_uid(uint64_t msg)
{
    char *state = path_join(w.root, "state");
    struct reader *r = reader_open(state, "work", &w.err);
    struct msg_row row;
    assert_non_null(r);
    assert_true(reader_row(r, msg, &row, &w.err));
    assert_true(row.id == msg);
    reader_close(&r);
    free(state);
    return (uint32_t)(row.date - 1700000000);
}

/* uid = seq; what the first pass says. */
static void thin_rows(uint32_t lo, uint32_t hi)
{
    for (uint32_t uid = lo; uid <= hi; uid++)
        FETCH(ROW, .box = inbox, .uid = uid, .seq = uid, .size = 9, .date = 1700000000 + uid, .subject = STR("s"));
}

/* Answers STEP_MORE for at most `max` rows. */
static uint32_t more_rows(const struct m_STEP_MORE *q, uint32_t max)
{
    uint32_t n = 0;
    for (size_t i = 0; i < ipc_ranges_count(q->uids); i++) {
        uint32_t lo, hi;
        ipc_ranges_at(q->uids, i, &lo, &hi);
        for (uint32_t uid = hi; uid >= lo && n < max; uid--, n++)
            FETCH(ROW_MORE, .box = inbox, .uid = uid, .internal_date = 1, .to = STR("bob"));
    }
    return n;
}

static void a_list_with_a_gap_is_filled_and_passed_over_twice(void **state)
{
    (void)state;
    world_new(imap_rc);
    fetch_start();
    online();
    struct msg m = next(w.fetch, MSG_STEP_SELECT);
    inbox = m.u.STEP_SELECT.box;
    FETCH(BOX_OPEN, .box = inbox, .uidvalidity = 7, .uidnext = 1001, .exists = 1000, .keywords_ok = 1);
    done(m.u.STEP_SELECT.step);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    assert_int_equal(m.u.STEP_ROWS_TOP.fields, ROWS_FIRST);
    thin_rows(941, 1000);
    done(m.u.STEP_ROWS_TOP.step);
    m = next(w.fetch, MSG_STEP_LIST);
    box("INBOX", 1000, BOX_INBOX);
    done(m.u.STEP_LIST.step);
    m = next(w.fetch, MSG_STEP_MORE); /* the page first */
    assert_int_equal(more_rows(&m.u.STEP_MORE, 10000), 60);
    done(m.u.STEP_MORE.step);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    uint32_t fill = m.u.STEP_ROWS_TOP.step;
    assert_int_equal(m.u.STEP_ROWS_TOP.below_seq, 940);
    assert_int_equal(m.u.STEP_ROWS_TOP.count, 940);
    /* A row that is here is answered at once. */
    CLIENT(-1, WANT_ROWS, .req = 70, .account = STR("work"), .box = inbox, .rank = 9);
    m = next(w.client, MSG_ROW_AT);
    assert_int_equal(m.u.ROW_AT.req, 70);
    assert_int_equal(row_uid(m.u.ROW_AT.msg), 991);
    assert_int_equal(m.u.ROW_AT.older, 940);
    /* A row in the middle and, another one instead, the End key, while the fill is under way. */
    CLIENT(-1, WANT_ROWS, .req = 71, .account = STR("work"), .box = inbox, .rank = 500);
    CLIENT(-1, WANT_ROWS, .req = 72, .account = STR("work"), .box = inbox, .rank = UINT32_MAX);
    m = next(w.client, MSG_REFUSED);
    assert_int_equal(m.u.REFUSED.req, 71);
    assert_int_equal(m.u.REFUSED.kind, ERR_CANCELED);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    assert_true(m.u.STEP_ROWS_TOP.urgent);
    assert_int_equal(m.u.STEP_ROWS_TOP.below_seq, 540);
    assert_int_equal(m.u.STEP_ROWS_TOP.count, 81);
    thin_rows(460, 540);
    done(m.u.STEP_ROWS_TOP.step);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    assert_true(m.u.STEP_ROWS_TOP.urgent);
    assert_int_equal(m.u.STEP_ROWS_TOP.below_seq, 81);
    thin_rows(1, 81);
    done(m.u.STEP_ROWS_TOP.step);
    m = next(w.client, MSG_ROW_AT);
    assert_int_equal(m.u.ROW_AT.req, 72);
    assert_int_equal(row_uid(m.u.ROW_AT.msg), 1);
    assert_int_equal(m.u.ROW_AT.older, 0);
    assert_true(chan_drain(w.fetch, clock_mono_ms() + WAIT_MS, &w.err));
    while (counted().rows < 60 + 81 + 81) /* the first of them was the answer */
        next(w.client, MSG_CHANGED);
    /* The cursor goes to a row of the middle: what is missing around it. */
    CLIENT(-1, WANT_ROWS, .req = 73, .account = STR("work"), .box = inbox, .rank = 500);
    m = next(w.client, MSG_ROW_AT);
    assert_int_equal(row_uid(m.u.ROW_AT.msg), 500);
    assert_int_equal(m.u.ROW_AT.older, 459 - 81);
    CLIENT(-1, WANT_ROWS, .req = 74, .account = STR("work"), .box = inbox, .msg = m.u.ROW_AT.msg);
    m = next(w.client, MSG_ROW_AT);
    assert_int_equal(m.u.ROW_AT.older, 459 - 81);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    assert_int_equal(m.u.STEP_ROWS_TOP.below_seq, 560);
    assert_int_equal(m.u.STEP_ROWS_TOP.count, 121);
    thin_rows(440, 560);
    done(m.u.STEP_ROWS_TOP.step);
    assert_true(chan_drain(w.fetch, clock_mono_ms() + WAIT_MS, &w.err));
    while (counted().rows < 60 + 81 + 121)
        next(w.client, MSG_CHANGED);
    assert_int_equal(counted().oldest, 1700000001);
    /* The line is lost in the middle of the fill: what is missing is found by the UIDs, and is a gap. */
    thin_rows(841, 940);
    FETCH(DONE, .step = fill, .kind = ERR_LINE, .text = STR("reset"));
    FETCH(LOST, .kind = ERR_LINE, .text = STR("reset"));
    online();
    m = next(w.fetch, MSG_STEP_SELECT);
    FETCH(BOX_OPEN, .box = inbox, .uidvalidity = 7, .uidnext = 1001, .exists = 1000, .resync = 1, .keywords_ok = 1);
    done(m.u.STEP_SELECT.step);
    m = next(w.fetch, MSG_STEP_ROWS);
    done(m.u.STEP_ROWS.step);
    m = next(w.fetch, MSG_STEP_UIDS);
    struct buf all = BUF_INIT(64);
    ipc_ranges_add(&all, 1, 1000);
    FETCH(UIDS, .step = m.u.STEP_UIDS.step, .box = inbox, .last = 1, .ranges = buf_str(&all));
    buf_fini(&all);
    done(m.u.STEP_UIDS.step);
    m = next(w.fetch, MSG_STEP_LIST);
    box("INBOX", 1000, BOX_INBOX);
    done(m.u.STEP_LIST.step);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    assert_int_equal(m.u.STEP_ROWS_TOP.below_seq, 840);
    assert_int_equal(m.u.STEP_ROWS_TOP.count, 280);
    thin_rows(561, 840);
    done(m.u.STEP_ROWS_TOP.step);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    assert_int_equal(m.u.STEP_ROWS_TOP.below_seq, 439);
    assert_int_equal(m.u.STEP_ROWS_TOP.count, 358);
    thin_rows(82, 439);
    done(m.u.STEP_ROWS_TOP.step);
    /* The second pass, and the end of fetch in its middle: the rest is asked for again, and nothing is double. */
    m = next(w.fetch, MSG_STEP_MORE);
    assert_int_equal(more_rows(&m.u.STEP_MORE, 300), 300);
    chan_free(&w.fetch);
    fetch_start();
    online();
    m = next(w.fetch, MSG_STEP_SELECT);
    FETCH(BOX_OPEN, .box = inbox, .uidvalidity = 7, .uidnext = 1001, .exists = 1000, .resync = 1, .keywords_ok = 1);
    done(m.u.STEP_SELECT.step);
    m = next(w.fetch, MSG_STEP_ROWS);
    done(m.u.STEP_ROWS.step);
    m = next(w.fetch, MSG_STEP_LIST);
    box("INBOX", 1000, BOX_INBOX);
    done(m.u.STEP_LIST.step);
    m = next(w.fetch, MSG_STEP_MORE);
    assert_in_range(more_rows(&m.u.STEP_MORE, 10000), 640, 940); /* what it said last may have been lost with it */
    done(m.u.STEP_MORE.step);
    assert_true(chan_drain(w.fetch, clock_mono_ms() + WAIT_MS, &w.err));
    while (counted().full < 1000)
        next(w.client, MSG_CHANGED);
    assert_int_equal(counted().rows, 1000);
    assert_int_equal(counted().newest, 1700001000);
}

static void uidvalidity_drops_that_mailbox_alone(void **state)
{
    (void)state;
    imap_up(3);
    FETCH(LOST, .kind = ERR_LINE, .text = STR("reset"));
    online();
    struct msg m = next(w.fetch, MSG_STEP_SELECT);
    assert_int_equal(m.u.STEP_SELECT.uidvalidity, 7);
    FETCH(BOX_OPEN, .box = inbox, .uidvalidity = 8, .uidnext = 2, .exists = 1, .resync = 0);
    done(m.u.STEP_SELECT.step);
    m = next(w.fetch, MSG_STEP_ROWS); /* sent with the SELECT: of the old numbers, there is nothing above */
    assert_int_equal(m.u.STEP_ROWS.uid_lo, 4);
    done(m.u.STEP_ROWS.step);
    m = next(w.fetch, MSG_STEP_ROWS_TOP);
    row(inbox, 1);
    done(m.u.STEP_ROWS_TOP.step);
    do
        m = next(w.client, MSG_CHANGED);
    while (m.u.CHANGED.box != inbox);
    next(w.fetch, MSG_STEP_LIST);
    assert_int_equal(rows_of(inbox).n, 1);
}

/* Sent, and the screen left at once: the mail goes all the same, and then the program ends. */
static void held_mail_goes_after_the_last_client(void **state)
{
    (void)state;
    int status = -1;
    world_new(imap_rc);
    next(w.client, MSG_WELCOME);
    submit(1, 3, 0);
    chan_free(&w.client);
    send_start();
    struct msg m = next(w.send, MSG_DELIVER);
    close(m.fd);
    assert_true(SEND(w.send, -1, &w.err, DELIVER_DONE, .kind = ERR_NONE));
    assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
    w.pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void last_client_ends_it(void **state)
{
    (void)state;
    int status = -1;
    world_new(imap_rc);
    next(w.client, MSG_WELCOME);
    chan_free(&w.client);
    assert_int_equal(waitpid(w.pid, &status, 0), w.pid);
    w.pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(starts_and_shows_the_first_page, world_end),
        cmocka_unit_test_teardown(an_action_waits_for_the_first_list, world_end),
        cmocka_unit_test_teardown(an_action_does_not_wait_for_a_line_that_broke, world_end),
        cmocka_unit_test_teardown(archives_merge_and_undo_brings_back, world_end),
        cmocka_unit_test_teardown(refusal_returns_to_the_truth, world_end),
        cmocka_unit_test_teardown(what_is_opened_waits_for_the_next_line, world_end),
        cmocka_unit_test_teardown(lost_line_is_settled_by_looking, world_end),
        cmocka_unit_test_teardown(news_is_taken_from_the_connection_that_has_it, world_end),
        cmocka_unit_test_teardown(body_is_fetched_once_and_opened, world_end),
        cmocka_unit_test_teardown(hostile_fetch_is_ended, world_end),
        cmocka_unit_test_teardown(outbox_sends_once_and_files, world_end),
        cmocka_unit_test_teardown(pop_deletes_only_what_the_ledger_has, world_end),
        cmocka_unit_test_teardown(maildir_many_at_once, world_end),
        cmocka_unit_test_teardown(maildir_rows_and_moves, world_end),
        cmocka_unit_test_teardown(index_quarantines_the_one_that_kills, world_end),
        cmocka_unit_test_teardown(index_that_ends_blames_no_message, world_end),
        cmocka_unit_test_teardown(uidvalidity_drops_that_mailbox_alone, world_end),
        cmocka_unit_test_teardown(a_list_with_a_gap_is_filled_and_passed_over_twice, world_end),
        cmocka_unit_test_teardown(held_mail_goes_after_the_last_client, world_end),
        cmocka_unit_test_teardown(a_server_search, world_end),
        cmocka_unit_test_teardown(a_server_search_answered_wrongly, world_end),
        cmocka_unit_test_teardown(last_client_ends_it, world_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
