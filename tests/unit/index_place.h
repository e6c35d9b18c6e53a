/* The index program over a root of its own, with what the notmuch command says of its database. */
#ifndef TUIMAIL_INDEX_PLACE_H
#define TUIMAIL_INDEX_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "store/db.h"

static UNUSED const char body_mail[] =
    "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: Budget\n"
    "Date: Tue, 14 Nov 2023 22:13:20 +0000\nMessage-ID: <a@example.org>\n"
    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
    "--x\nContent-Type: text/plain\n\nthe quick zebra\n--x\nContent-Type: application/pdf\n"
    "Content-Disposition: attachment; filename=plan.pdf\n\nnone\n--x--\n";

struct place {
    char dir[64];
    char *root, *config;
    struct chan *index;
    pid_t pid;
    char ready[201];
    bool anew; /* it said at its start that the index is new */
    /* for search */
    char *rc;
    struct chan *search;
    pid_t search_pid;
    struct db *work, *home;
    uint64_t jobs;
};

static UNUSED void run(const char *const *argv, struct buf *out)
{
    int pipes[2], status;
    struct err err = ERR_INIT;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        union {
            const char *const *in;
            char *const *out;
        } args = {.in = argv};
        dup2(pipes[1], 1);
        execvp(argv[0], args.out);
        _exit(127);
    }
    close(pipes[1]);
    assert_true(fs_read_fd(pipes[0], 1 << 20, out, &err));
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* What the notmuch command answers to `search --output=WHAT QUERY`, lines sorted. */
static UNUSED void notmuch_says(const struct place *p, const char *what, const char *query, const char *expected)
{
    struct buf config = BUF_INIT(1000), output = BUF_INIT(100), out = BUF_INIT(1 << 20);
    buf_addf(&config, "--config=%s", p->config);
    buf_addf(&output, "--output=%s", what);
    run((const char *const[]){"notmuch", buf_z(&config), "search", buf_z(&output), "--sort=oldest-first",
                              "--exclude=false", "--", query, NULL},
        &out);
    if (strcmp(buf_z(&out), expected) != 0)
        fail_msg("%s: %s instead of %s", query, buf_z(&out), expected);
    buf_fini(&config);
    buf_fini(&output);
    buf_fini(&out);
}

static UNUSED void start_index(struct place *p)
{
    struct err err = ERR_INIT;
    struct msg m;
    int fd;
    if (!role_start(ROLE_INDEX, (const char *const[]){"--store", p->root, NULL}, -1, &p->pid, &fd, &err))
        fail_msg("%s", err.text);
    p->index = chan_new(fd, ROLE_STORE, ROLE_INDEX);
    assert_int_equal(chan_wait(p->index, clock_mono_ms() + 20000, &m, &err), 1);
    p->anew = m.kind == MSG_INDEX_FAILED && m.u.INDEX_FAILED.job == 0 && m.u.INDEX_FAILED.kind == ERR_INDEX;
    if (p->anew) /* before it takes any work, or the first batch would come twice */
        assert_int_equal(chan_wait(p->index, clock_mono_ms() + 20000, &m, &err), 1);
    while (m.kind == MSG_INDEX_TAGGED) /* by the notmuch command */
        assert_int_equal(chan_wait(p->index, clock_mono_ms() + 20000, &m, &err), 1);
    assert_int_equal(m.kind, MSG_READY);
    memset(p->ready, 0, sizeof p->ready);
    memcpy(p->ready, m.u.READY.sandbox.p, m.u.READY.sandbox.n);
}

static UNUSED void end_index(struct place *p, int signo)
{
    int status;
    if (signo != 0)
        kill(p->pid, signo);
    chan_free(&p->index);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    if (signo == 0)
        assert_int_equal(status, 0);
}

/* The next message of the program must be this one; its kind for INDEX_FAILED, its revision for INDEX_DONE. */
static UNUSED uint64_t expect(struct place *p, enum msg_kind kind, uint64_t job)
{
    struct err err = ERR_INIT;
    struct msg m;
    do { /* what the notmuch command has done between */
        if (chan_wait(p->index, clock_mono_ms() + 60000, &m, &err) != 1)
            fail_msg("%s instead of %s", err.text, msg_name(kind));
    } while (m.kind == MSG_INDEX_TAGGED);
    if (m.kind == MSG_INDEX_FAILED && kind != m.kind)
        fail_msg("job %d: %.*s", (int)m.u.INDEX_FAILED.job, STR_FMT(m.u.INDEX_FAILED.text));
    assert_int_equal(m.kind, kind);
    assert_int_equal(kind == MSG_INDEX_DONE ? m.u.INDEX_DONE.job : m.u.INDEX_FAILED.job, job);
    return kind == MSG_INDEX_DONE ? m.u.INDEX_DONE.revision : m.u.INDEX_FAILED.kind;
}

static UNUSED uint64_t commit(struct place *p, uint64_t job)
{
    struct err err = ERR_INIT;
    assert_true(SEND(p->index, -1, &err, INDEX_COMMIT, .job = job));
    return expect(p, MSG_INDEX_DONE, job);
}

static UNUSED void header(struct place *p, uint64_t job, const char *path, const char *msgid, const char *from,
                          const char *subject, int64_t date, const char *tags, const char *refs)
{
    struct err err = ERR_INIT;
    struct buf addr = BUF_INIT(100);
    buf_addf(&addr, "%s@example.org", from);
    assert_true(SEND(p->index, -1, &err, INDEX_HEADER, .job = job, .path = str_z(path), .tags = str_z(tags),
                     .date = date, .from_name = str_z(from), .from_addr = buf_str(&addr),
                     .to = STR("Bob Example, carol@example.org"), .subject = str_z(subject), .msgid = str_z(msgid),
                     .refs = str_z(refs), .list_id = STR("news.example.org")));
    buf_fini(&addr);
}

static UNUSED char *mail_file(const struct place *p, const char *path)
{
    struct buf b = BUF_INIT(4096);
    buf_addf(&b, "%s/mail/%s", p->root, path);
    return buf_take(&b, NULL);
}

static UNUSED bool there(const struct place *p, const char *path)
{
    char *full = mail_file(p, path);
    bool is = access(full, F_OK) == 0;
    free(full);
    return is;
}

static UNUSED void write_mail(const struct place *p, const char *path, const char *text)
{
    struct err err = ERR_INIT;
    char *full = mail_file(p, path), *slash = strrchr(full, '/');
    *slash = '\0';
    assert_true(fs_mkdir_private(full, &err));
    *slash = '/';
    assert_true(fs_write_atomic(full, 0600, str_z(text), &err));
    free(full);
}

static UNUSED void add(struct place *p, uint64_t job, const char *path, const char *tags)
{
    struct err err = ERR_INIT;
    assert_true(SEND(p->index, -1, &err, INDEX_ADD, .job = job, .path = str_z(path), .tags = str_z(tags)));
}

static UNUSED int setup(void **state)
{
    struct place *p = mem_new(sizeof *p);
    memcpy(p->dir, "/tmp/tuimail-index-XXXXXX", sizeof "/tmp/tuimail-index-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->root = path_join(p->dir, "root");
    p->config = path_join(p->root, "index/config");
    setenv("HOME", p->dir, 1);
    setenv("XDG_CONFIG_HOME", p->dir, 1);
    start_index(p);
    assert_true(p->anew); /* a new one: send everything */
    *state = p;
    return 0;
}

static UNUSED int teardown(void **state)
{
    struct place *p = *state;
    struct buf out = BUF_INIT(1000);
    if (p->index != NULL)
        end_index(p, 0);
    run((const char *const[]){"rm", "-rf", "--", p->dir, NULL}, &out);
    buf_fini(&out);
    free(p->root);
    free(p->config);
    free(p);
    return 0;
}

static UNUSED void tags_job(struct place *p, uint64_t job, const char *path, const char *tags)
{
    struct err err = ERR_INIT;
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = job, .path = str_z(path), .tags = str_z(tags)));
}

static UNUSED void move_job(struct place *p, uint64_t job, const char *path, const char *to)
{
    struct err err = ERR_INIT;
    assert_true(SEND(p->index, -1, &err, INDEX_MOVE, .job = job, .path = str_z(path), .path_to = str_z(to)));
}

static UNUSED void remove_job(struct place *p, uint64_t job, const char *path)
{
    struct err err = ERR_INIT;
    assert_true(SEND(p->index, -1, &err, INDEX_REMOVE, .job = job, .path = str_z(path)));
}

#endif
