/* The codec under every row and every damage, the channel under a hostile peer, and what a started program inherits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void pair(enum role left, enum role right, struct chan **a, struct chan **b)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    *a = chan_new(fds[0], left, right);
    *b = chan_new(fds[1], right, left);
}

/* ---- Codec ---- */

/* A packet of `kind` with every field filled, by way of the decoder: a long run of a pattern is cut down to what fits.
 */
static bool packet_of(unsigned kind, struct buf *out)
{
    struct msg m;
    struct err err = ERR_INIT;
    char raw[256] = {0};
    raw[0] = (char)(kind & 0xff);
    raw[1] = (char)(kind >> 8);
    for (size_t n = 4; n <= sizeof raw; n++) /* all fields zero or empty: the shortest packet */
        if (msg_decode((struct str){raw, n}, &m, &err)) {
            assert_int_equal(m.kind, kind);
            buf_reset(out);
            return msg_encode(&m, out) && out->n == n && memcmp(out->p, raw, n) == 0;
        }
    return false;
}

static void every_row_comes_back(void **state)
{
    (void)state;
    struct buf packet = BUF_INIT(IPC_PACKET_MAX), line = BUF_INIT(4096);
    for (unsigned kind = 1; kind < MSG_COUNT; kind++) {
        struct msg m;
        struct err err = ERR_INIT;
        if (!packet_of(kind, &packet))
            fail_msg("%s", msg_name((enum msg_kind)kind));
        /* cut anywhere, or with a byte more, it is refused */
        for (size_t n = 0; n < packet.n; n++)
            assert_false(msg_decode((struct str){packet.p, n}, &m, &err));
        assert_int_equal(err.kind, ERR_CHANNEL);
        buf_addc(&packet, 'x');
        assert_false(msg_decode(buf_str(&packet), &m, &err));
        buf_reset(&line);
        m.kind = (enum msg_kind)kind;
        msg_format(&m, &line);
        assert_true(str_starts(buf_str(&line), str_z(msg_name((enum msg_kind)kind))));
    }
    buf_fini(&packet);
    buf_fini(&line);
}

static void fields_keep_their_values(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(IPC_PACKET_MAX);
    struct err err = ERR_INIT;
    struct msg m = {.kind = MSG_ROW, .fd = -1}, back;
    m.u.ROW = (struct m_ROW){.box = UINT64_MAX,
                             .uid = 7,
                             .date = INT64_MIN,
                             .internal_date = -1,
                             .subject = {"a\0b\xff", 4},
                             .list_id = STR("<list>")};
    assert_true(msg_encode(&m, &out));
    assert_true(msg_decode(buf_str(&out), &back, &err));
    assert_int_equal(back.u.ROW.box, UINT64_MAX);
    assert_int_equal(back.u.ROW.uid, 7);
    assert_true(back.u.ROW.date == INT64_MIN && back.u.ROW.internal_date == -1);
    assert_true(str_eq(back.u.ROW.subject, m.u.ROW.subject));
    assert_true(str_eqz(back.u.ROW.list_id, "<list>"));
    buf_fini(&out);
}

/* At its maximum a string passes, over it the encoder cuts and the decoder refuses. */
static void bounds_of_a_string(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(IPC_PACKET_MAX);
    struct err err = ERR_INIT;
    char text[402];
    memset(text, 'x', sizeof text);
    for (size_t n = 399; n <= 401; n++) {
        struct msg m = {.kind = MSG_ALERT, .u.ALERT = {.text = {text, n}}}, back;
        buf_reset(&out);
        assert_true(msg_encode(&m, &out));
        assert_true(msg_decode(buf_str(&out), &back, &err));
        assert_int_equal(back.u.ALERT.text.n, MIN(n, 400));
    }
    out.p[4] = (char)(401 & 0xff); /* the length, 400 before */
    out.p[5] = (char)(401 >> 8);
    assert_true(buf_addc(&out, 'x'));
    struct msg back;
    assert_false(msg_decode(buf_str(&out), &back, &err));
    out.p[4] = out.p[5] = out.p[6] = out.p[7] = (char)0xff;
    assert_false(msg_decode(buf_str(&out), &back, &err));
    assert_false(msg_decode((struct str){NULL, 0}, &back, &err));
    assert_false(msg_decode((struct str){"\xff\xff\xff\xff", 4}, &back, &err));
    buf_fini(&out);
}

static void senders_and_files_as_the_table_says(void **state)
{
    (void)state;
    assert_true(msg_permitted(MSG_ROW, ROLE_FETCH));
    assert_false(msg_permitted(MSG_ROW, ROLE_VIEW));
    assert_true(msg_permitted(MSG_READY, ROLE_FETCH) && msg_permitted(MSG_READY, ROLE_INDEX) &&
                msg_permitted(MSG_READY, ROLE_SEND));
    assert_false(msg_permitted(MSG_READY, ROLE_VIEW));
    assert_false(msg_permitted(MSG_NONE, ROLE_STORE));
    assert_false(msg_permitted((enum msg_kind)9999, ROLE_STORE));
    assert_true(msg_carries_fd(MSG_SECRET));
    assert_false(msg_carries_fd(MSG_READY));
    for (unsigned kind = 1; kind < MSG_COUNT; kind++) {
        unsigned senders = 0;
        for (unsigned role = 0; role < ROLE_COUNT; role++)
            senders += msg_permitted((enum msg_kind)kind, (enum role)role);
        /* READY is said by each program that the store has started */
        assert_true(senders >= 1 && senders <= (kind == MSG_READY ? 6 : 5));
    }
}

static void packed_lists(void **state)
{
    (void)state;
    struct buf ids = BUF_INIT(24), ranges = BUF_INIT(1000);
    assert_true(ipc_ids_add(&ids, 1) && ipc_ids_add(&ids, UINT64_MAX) && ipc_ids_add(&ids, 3));
    assert_false(ipc_ids_add(&ids, 4));
    assert_int_equal(ipc_ids_count(buf_str(&ids)), 3);
    assert_int_equal(ipc_ids_at(buf_str(&ids), 1), UINT64_MAX);
    assert_int_equal(ipc_ids_at(buf_str(&ids), 3), 0);
    assert_int_equal(ipc_ids_count((struct str){"1234567", 7}), 0);
    uint32_t lo, hi;
    assert_true(ipc_ranges_add(&ranges, 1, 1) && ipc_ranges_add(&ranges, 2, 4) &&
                ipc_ranges_add(&ranges, 9, UINT32_MAX) && ipc_ranges_add(&ranges, 0, 0));
    assert_int_equal(ipc_ranges_count(buf_str(&ranges)), 3);
    ipc_ranges_at(buf_str(&ranges), 0, &lo, &hi);
    assert_true(lo == 1 && hi == 4);
    ipc_ranges_at(buf_str(&ranges), 1, &lo, &hi);
    assert_true(lo == 9 && hi == UINT32_MAX);
    ipc_ranges_at(buf_str(&ranges), 3, &lo, &hi);
    assert_true(lo == 0 && hi == 0);
    buf_fini(&ids);
    buf_fini(&ranges);
}

/* Each comes back as it was; what is cut short anywhere, or too long, is none. */
static void packed_mails(void **state UNUSED)
{
    struct buf mails = BUF_INIT(60);
    uint32_t number;
    uint64_t size;
    struct str uidl;
    assert_true(ipc_mails_add(&mails, 1, UINT64_MAX, STR("a\0/")));
    assert_true(ipc_mails_add(&mails, UINT32_MAX, 0, STR("")));
    assert_false(ipc_mails_add(&mails, 3, 0, STR("longer than there is room for")));
    for (size_t n = 0; n <= mails.n; n++) {
        struct str rest = str_sub(buf_str(&mails), 0, n);
        bool one = ipc_mails_next(&rest, &number, &size, &uidl);
        assert_int_equal(one, n >= 17);
        assert_true(!one || (number == 1 && size == UINT64_MAX && str_eq(uidl, STR("a\0/"))));
        bool two = one && ipc_mails_next(&rest, &number, &size, &uidl);
        assert_int_equal(two, n == mails.n);
        assert_true(!two || (number == UINT32_MAX && size == 0 && uidl.n == 0));
        assert_int_equal(rest.n == 0, n == 0 || n == 17 || n == mails.n);
    }
    struct str far = {"\1\0\0\0\0\0\0\0\0\0\0\0\377\377xx", 16};
    assert_false(ipc_mails_next(&far, &number, &size, &uidl));
    buf_fini(&mails);
}

/* ---- Channel ---- */

static void messages_pass_with_their_files(void **state)
{
    (void)state;
    unsigned before = open_fds();
    struct chan *store, *fetch;
    struct err err = ERR_INIT;
    struct msg m;
    int pipes[2];
    pair(ROLE_STORE, ROLE_FETCH, &store, &fetch);
    assert_int_equal(chan_recv(fetch, &m, &err), 0);
    assert_int_equal(chan_wait(fetch, clock_mono_ms() + 10, &m, &err), 0);
    assert_true(SEND(store, -1, &err, STEP_CONNECT, .step = 3));
    assert_int_equal(chan_wait(fetch, -1, &m, &err), 1);
    assert_int_equal(m.kind, MSG_STEP_CONNECT);
    assert_int_equal(m.u.STEP_CONNECT.step, 3);
    assert_int_equal(m.fd, -1);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_true(SEND(store, pipes[0], &err, SECRET, .service = SERVICE_INCOMING));
    close(pipes[0]);
    assert_int_equal(write(pipes[1], "hi", 2), 2);
    close(pipes[1]);
    assert_int_equal(chan_recv(fetch, &m, &err), 1);
    char got[3] = {0};
    assert_true((fcntl(m.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(read(m.fd, got, 2), 2);
    assert_string_equal(got, "hi");
    close(m.fd);
    /* what was sent before the peer went is still read; then the end, without an error kind */
    assert_true(SEND(fetch, -1, &err, DONE, .step = 3));
    chan_free(&fetch);
    assert_int_equal(chan_recv(store, &m, &err), 1);
    assert_int_equal(chan_recv(store, &m, &err), -1);
    assert_int_equal(err.kind, ERR_NONE);
    assert_false(SEND(store, -1, &err, STEP_CONNECT, .step = 4));
    assert_int_equal(err.kind, ERR_CHANNEL);
    chan_free(&store);
    assert_null(store);
    chan_free(&store);
    assert_int_equal(open_fds(), before);
}

/* A peer that reads nothing: the queue grows to its cap, then the channel is broken; files in the queue do not leak. */
static void a_stuck_peer_meets_the_cap(void **state)
{
    (void)state;
    unsigned before = open_fds(), sent = 0;
    struct chan *store, *fetch;
    struct err err = ERR_INIT;
    static char names[32768];
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pair(ROLE_STORE, ROLE_FETCH, &store, &fetch);
    while (sent < 10000 && SEND(store, -1, &err, STEP_STATUS, .names = {names, sizeof names})) {
        if (sent++ % 16 == 0 && !SEND(store, null_fd, &err, STEP_APPEND, .step = sent))
            break;
    }
    close(null_fd);
    assert_true(sent > 100 && sent < 1000);
    assert_int_equal(err.kind, ERR_CHANNEL);
    assert_true(chan_wants_write(store) && chan_queued(store) <= 8u << 20);
    assert_int_not_equal(open_fds(), before + 2);
    chan_free(&store);
    chan_free(&fetch);
    assert_int_equal(open_fds(), before);
}

static void a_slow_peer_gets_all_in_order(void **state)
{
    (void)state;
    unsigned before = open_fds();
    struct chan *store, *fetch;
    struct err err = ERR_INIT;
    struct msg m;
    static char names[20000];
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pair(ROLE_STORE, ROLE_FETCH, &store, &fetch);
    for (uint32_t i = 0; i < 200; i++)
        assert_true(i % 10 == 9 ? SEND(store, null_fd, &err, STEP_APPEND, .step = i)
                                : SEND(store, -1, &err, STEP_STATUS, .step = i, .names = {names, sizeof names}));
    assert_true(chan_wants_write(store));
    assert_false(chan_drain(store, clock_mono_ms() + 20, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    for (uint32_t i = 0; i < 200; i++) {
        assert_true(chan_flush(store, &err));
        assert_int_equal(chan_recv(fetch, &m, &err), 1);
        assert_int_equal(m.kind, i % 10 == 9 ? MSG_STEP_APPEND : MSG_STEP_STATUS);
        assert_int_equal(m.kind == MSG_STEP_APPEND ? m.u.STEP_APPEND.step : m.u.STEP_STATUS.step, i);
        if (m.fd >= 0)
            close(m.fd);
    }
    assert_true(chan_drain(store, clock_mono_ms(), &err));
    close(null_fd);
    chan_free(&store);
    chan_free(&fetch);
    assert_int_equal(open_fds(), before);
}

/* Sends raw bytes with `nfds` files beside them, as a taken-over program could. */
static void send_raw(int sock, const void *bytes, size_t n, unsigned nfds)
{
    char copy[IPC_PACKET_MAX + 100];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(64 * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    memcpy(copy, bytes, n);
    struct iovec iov = {copy, n};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds > 0) {
        int fds[64];
        for (unsigned i = 0; i < nfds; i++)
            fds[i] = 2;
        hdr.msg_control = control.room;
        hdr.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *cm = CMSG_FIRSTHDR(&hdr);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
    }
    assert_int_equal(sendmsg(sock, &hdr, MSG_NOSIGNAL), (ssize_t)n);
}

static void hostile_packets_end_the_channel_only(void **state)
{
    (void)state;
    static const char big[IPC_PACKET_MAX + 2];
    struct buf done = BUF_INIT(IPC_PACKET_MAX), secret = BUF_INIT(IPC_PACKET_MAX), ready = BUF_INIT(IPC_PACKET_MAX);
    msg_encode(&(struct msg){.kind = MSG_DONE}, &done);
    msg_encode(&(struct msg){.kind = MSG_SECRET}, &secret); /* fetch may not send it */
    msg_encode(&(struct msg){.kind = MSG_MAILDIR_FD}, &ready);
    const struct {
        const char *bytes;
        size_t n;
        unsigned nfds;
        enum err_kind kind;
    } cases[] = {
        {"", 0, 0, ERR_NONE},
        {"", 0, 1, ERR_NONE},
        {"x", 1, 0, ERR_CHANNEL},
        {"x", 1, 1, ERR_CHANNEL},
        {big, sizeof big, 1, ERR_CHANNEL},
        {big, sizeof big, 0, ERR_CHANNEL},
        {done.p, done.n, 1, ERR_CHANNEL},
        {done.p, done.n, 2, ERR_CHANNEL},
        {done.p, done.n, 60, ERR_CHANNEL},
        {secret.p, secret.n, 1, ERR_CHANNEL},
        {ready.p, ready.n, 0, ERR_CHANNEL},
        {ready.p, ready.n, 2, ERR_CHANNEL},
        {ready.p, ready.n, 4, ERR_CHANNEL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned before = open_fds();
        int fds[2];
        struct msg m;
        struct err err = ERR_INIT;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
        struct chan *store = chan_new(fds[0], ROLE_STORE, ROLE_FETCH);
        send_raw(fds[1], cases[i].bytes, cases[i].n, cases[i].nfds);
        assert_int_equal(chan_recv(store, &m, &err), -1);
        assert_int_equal(m.fd, -1);
        assert_int_equal(err.kind, cases[i].kind);
        chan_free(&store);
        close(fds[1]);
        assert_int_equal(open_fds(), before);
    }
    buf_fini(&done);
    buf_fini(&secret);
    buf_fini(&ready);
}

/* ---- Programs ---- */

static void names_of_roles(void **state)
{
    (void)state;
    enum role role;
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        assert_true(role_from_name(role_name((enum role)i), &role));
        assert_int_equal(role, i);
    }
    assert_false(role_from_name("root", &role));
}

/* A role program that writes down what it got: its arguments, descriptors, environment and signals. */
static const char probe[] = "#!/bin/sh\n"
                            "exec >\"$2\"\n"
                            "echo args $1\n"
                            "n=0; while [ $n -lt 64 ]; do test -e /proc/$$/fd/$n && echo fd $n; n=$((n + 1)); done\n"
                            "env | cut -d= -f1 | sort | sed 's/^/env /'\n"
                            "grep -E '^Sig(Blk|Ign):' /proc/self/status\n"
                            "echo stdin $(readlink /proc/$$/fd/0)\n"
                            "echo terminal $(cut -d' ' -f7 /proc/$$/stat)\n";

static void a_program_inherits_nothing(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[] = "/tmp/tuimail-ipc-XXXXXX";
    struct buf out = BUF_INIT(65536);
    pid_t pid;
    int fd, status;
    assert_non_null(mkdtemp(dir));
    char *program = path_join(dir, "view"), *answer = path_join(dir, "answer");
    assert_true(fs_write_atomic(program, 0700, STR(probe), &err));
    const char *saved = getenv("TUIMAIL_LIBEXEC");
    char *old = mem_dup_z(saved);
    setenv("TUIMAIL_LIBEXEC", dir, 1);
    setenv("LD_PRELOAD_X", "1", 1);
    setenv("MAIL_PASSWORD", "secret", 1);
    setenv("LC_PAPER", "C", 1);
    int leak = open("/dev/null", O_RDONLY); /* not close-on-exec, as a library might leave one */
    unsigned before = open_fds();
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    const char *args[] = {"one two", answer, NULL};
    bool started = role_start(ROLE_VIEW, args, -1, &pid, &fd, &err);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (!started)
        fail_msg("%s", err.text);
    assert_int_equal(open_fds(), before + 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    close(leak);
    assert_true(fs_read(answer, 65536, &out, &err));
    const char *z = buf_z(&out);
    assert_non_null(strstr(z, "args one two\n"));
    /* 10 is the shell's own script */
    if (strstr(z, "fd 0\nfd 1\nfd 2\nfd 3\nfd 10\nenv ") == NULL)
        fail_msg("%s", z);
    assert_non_null(strstr(z, "env LC_PAPER\n"));
    assert_non_null(strstr(z, "env PATH\n"));
    assert_null(strstr(z, "MAIL_PASSWORD"));
    assert_null(strstr(z, "LD_PRELOAD_X"));
    assert_non_null(strstr(z, "stdin /dev/null\n"));
    assert_non_null(strstr(z, "terminal 0\n"));
    assert_non_null(strstr(z, "SigBlk:\t0000000000000000\n"));
    const char *ignored = strstr(z, "SigIgn:\t");
    assert_non_null(ignored);
    /* 32 and 33 are the C library's own: no program can reset them, and some make(1) ignores them */
    assert_int_equal(strtoull(ignored + 8, NULL, 16) & ~UINT64_C(0x180000000), 0);
    /* a program that is not there is an error with its path, and leaves nothing behind */
    before = open_fds();
    assert_false(role_start(ROLE_SEARCH, NULL, -1, &pid, &fd, &err));
    assert_non_null(strstr(err.text, "/search"));
    assert_int_equal(open_fds(), before);
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
    unlink(answer);
    unlink(program);
    rmdir(dir);
    if (old != NULL)
        setenv("TUIMAIL_LIBEXEC", old, 1);
    else
        unsetenv("TUIMAIL_LIBEXEC");
    free(old);
    free(program);
    free(answer);
    buf_fini(&out);
}

static void nothing(int signo)
{
    (void)signo;
}

/* Starts programs while Ctrl-C is sent to the whole group again and again; how many of them it ended. */
static int ended_by_keys(int n)
{
    int ended = 0, status;
    setpgid(0, 0);
    signal(SIGINT, nothing);
    pid_t typist = fork();
    if (typist == 0) {
        signal(SIGINT, SIG_IGN);
        for (pid_t parent = getppid(); getppid() == parent;)
            kill(0, SIGINT);
        _exit(0);
    }
    for (int i = 0; i < n; i++) {
        struct err err = ERR_INIT;
        pid_t pid;
        int fd;
        if (!role_start(ROLE_VIEW, NULL, -1, &pid, &fd, &err))
            return n;
        close(fd);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        ended += WIFSIGNALED(status);
    }
    kill(typist, SIGKILL);
    return ended;
}

static void a_key_at_the_terminal_ends_no_program_that_starts(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[] = "/tmp/tuimail-ipc-XXXXXX";
    int status;
    assert_non_null(mkdtemp(dir));
    char *program = path_join(dir, "view"), *old = mem_dup_z(getenv("TUIMAIL_LIBEXEC"));
    assert_true(fs_write_atomic(program, 0700, STR("#!/bin/sh\nexit 0\n"), &err));
    setenv("TUIMAIL_LIBEXEC", dir, 1);
    pid_t pid = fork();
    if (pid == 0)
        _exit(ended_by_keys(100));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    setenv("TUIMAIL_LIBEXEC", old ? old : "", 1);
    unlink(program);
    rmdir(dir);
    free(program);
    free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_back),
        cmocka_unit_test(fields_keep_their_values),
        cmocka_unit_test(bounds_of_a_string),
        cmocka_unit_test(senders_and_files_as_the_table_says),
        cmocka_unit_test(packed_lists),
        cmocka_unit_test(packed_mails),
        cmocka_unit_test(messages_pass_with_their_files),
        cmocka_unit_test(a_stuck_peer_meets_the_cap),
        cmocka_unit_test(a_slow_peer_gets_all_in_order),
        cmocka_unit_test(hostile_packets_end_the_channel_only),
        cmocka_unit_test(names_of_roles),
        cmocka_unit_test(a_program_inherits_nothing),
        cmocka_unit_test(a_key_at_the_terminal_ends_no_program_that_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
