/* The index program against a real notmuch database, compared with what the notmuch command says of it; and search
 * beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"

struct place {
    char dir[64];
    char *root, *config;
    struct chan *index;
    pid_t pid;
    char ready[201];
};

static void run(const char *const *argv, struct buf *out)
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
static void notmuch_says(const struct place *p, const char *what, const char *query, const char *expected)
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

static void start_index(struct place *p)
{
    struct err err = ERR_INIT;
    struct msg m;
    int fd;
    if (!role_start(ROLE_INDEX, (const char *const[]){"--store", p->root, NULL}, -1, &p->pid, &fd, &err))
        fail_msg("%s", err.text);
    p->index = chan_new(fd, ROLE_STORE, ROLE_INDEX);
    assert_int_equal(chan_wait(p->index, clock_mono_ms() + 20000, &m, &err), 1);
    assert_int_equal(m.kind, MSG_READY);
    memset(p->ready, 0, sizeof p->ready);
    memcpy(p->ready, m.u.READY.sandbox.p, m.u.READY.sandbox.n);
}

static void end_index(struct place *p, int signo)
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
static uint64_t expect(struct place *p, enum msg_kind kind, uint64_t job)
{
    struct err err = ERR_INIT;
    struct msg m;
    if (chan_wait(p->index, clock_mono_ms() + 60000, &m, &err) != 1)
        fail_msg("%s instead of %s", err.text, msg_name(kind));
    if (m.kind == MSG_INDEX_FAILED && kind != m.kind)
        fail_msg("job %d: %.*s", (int)m.u.INDEX_FAILED.job, STR_FMT(m.u.INDEX_FAILED.text));
    assert_int_equal(m.kind, kind);
    assert_int_equal(kind == MSG_INDEX_DONE ? m.u.INDEX_DONE.job : m.u.INDEX_FAILED.job, job);
    return kind == MSG_INDEX_DONE ? m.u.INDEX_DONE.revision : m.u.INDEX_FAILED.kind;
}

static uint64_t commit(struct place *p, uint64_t job)
{
    struct err err = ERR_INIT;
    assert_true(SEND(p->index, -1, &err, INDEX_COMMIT, .job = job));
    return expect(p, MSG_INDEX_DONE, job);
}

static void header(struct place *p, uint64_t job, const char *path, const char *msgid, const char *from,
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

static char *mail_file(const struct place *p, const char *path)
{
    struct buf b = BUF_INIT(4096);
    buf_addf(&b, "%s/mail/%s", p->root, path);
    return buf_take(&b, NULL);
}

static bool there(const struct place *p, const char *path)
{
    char *full = mail_file(p, path);
    bool is = access(full, F_OK) == 0;
    free(full);
    return is;
}

static void write_mail(const struct place *p, const char *path, const char *text)
{
    struct err err = ERR_INIT;
    char *full = mail_file(p, path), *slash = strrchr(full, '/');
    *slash = '\0';
    assert_true(fs_mkdir_private(full, &err));
    *slash = '/';
    assert_true(fs_write_atomic(full, 0600, str_z(text), &err));
    free(full);
}

static void add(struct place *p, uint64_t job, const char *path, const char *tags)
{
    struct err err = ERR_INIT;
    assert_true(SEND(p->index, -1, &err, INDEX_ADD, .job = job, .path = str_z(path), .tags = str_z(tags)));
}

static int setup(void **state)
{
    struct place *p = mem_new(sizeof *p);
    memcpy(p->dir, "/tmp/tuimail-index-XXXXXX", sizeof "/tmp/tuimail-index-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->root = path_join(p->dir, "root");
    p->config = path_join(p->root, "index/config");
    setenv("HOME", p->dir, 1);
    setenv("XDG_CONFIG_HOME", p->dir, 1);
    start_index(p);
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 0), ERR_INDEX); /* a new one: send everything */
    *state = p;
    return 0;
}

static int teardown(void **state)
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

static void headers_are_found_and_their_files_go(void **state)
{
    struct place *p = *state;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "Budget for Größe", 1700000000, "unread todo", "");
    header(p, 2, "work/1.7/2", "b@example.org", "Bob", "Re: Budget for Größe", 1700000100, "unread", "a@example.org");
    header(p, 3, "work/1.7/3", "c@example.org", "Carol", "Slides", 1700000200, "", "");
    uint64_t first = commit(p, 3);
    assert_false(there(p, "work/1.7/1") || there(p, "work/1.7/3"));
    notmuch_says(p, "messages", "*", "id:a@example.org\nid:b@example.org\nid:c@example.org\n");
    notmuch_says(p, "messages", "from:alice", "id:a@example.org\n");
    notmuch_says(p, "messages", "subject:größe and tag:unread", "id:a@example.org\nid:b@example.org\n");
    notmuch_says(p, "messages", "to:carol@example.org and not tag:unread", "id:c@example.org\n");
    notmuch_says(p, "messages", "date:@1700000050..@1700000150", "id:b@example.org\n");
    notmuch_says(p, "tags", "id:a@example.org", "todo\nunread\n");
    struct buf thread = BUF_INIT(100);
    notmuch_says(p, "messages", "thread:{id:b@example.org}", "id:a@example.org\nid:b@example.org\n");
    buf_fini(&thread);
    /* tags: the whole set, by id and by path */
    struct err err = ERR_INIT;
    assert_true(
        SEND(p->index, -1, &err, INDEX_TAGS, .job = 4, .msgid = STR("a@example.org"), .tags = STR("todo done")));
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = 5, .path = STR("work/1.7/2"), .tags = STR("")));
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = 6, .msgid = STR("nobody"), .tags = STR("x")));
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 6), ERR_NO_MESSAGE);
    assert_true(commit(p, 6) > first);
    notmuch_says(p, "tags", "id:a@example.org", "done\ntodo\n");
    notmuch_says(p, "tags", "*", "done\ntodo\n");
    /* moves and removals need no file */
    assert_true(
        SEND(p->index, -1, &err, INDEX_MOVE, .job = 7, .path = STR("work/1.7/1"), .path_to = STR("work/9.1/5")));
    assert_true(SEND(p->index, -1, &err, INDEX_REMOVE, .job = 8, .path = STR("work/1.7/3")));
    assert_true(SEND(p->index, -1, &err, INDEX_REMOVE, .job = 9, .path = STR("work/1.7/99")));
    commit(p, 9);
    notmuch_says(p, "messages", "path:work/9.1", "id:a@example.org\n");
    notmuch_says(p, "messages", "path:work/1.7", "id:b@example.org\n");
    notmuch_says(p, "messages", "subject:slides", "");
    notmuch_says(p, "tags", "id:a@example.org", "done\ntodo\n");
    assert_false(there(p, "work/9.1/5"));
}

static const char body_mail[] = "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: Budget\n"
                                "Date: Tue, 14 Nov 2023 22:13:20 +0000\nMessage-ID: <a@example.org>\n"
                                "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
                                "--x\nContent-Type: text/plain\n\nthe quick zebra\n--x\nContent-Type: application/pdf\n"
                                "Content-Disposition: attachment; filename=plan.pdf\n\nnone\n--x--\n";

static void a_body_is_indexed_under_the_same_path(void **state)
{
    struct place *p = *state;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "todo", "");
    header(p, 2, "work/2.7/8", "a@example.org", "Alice", "Budget", 1700000000, "todo", ""); /* a copy elsewhere */
    commit(p, 2);
    notmuch_says(p, "messages", "zebra", "");
    write_mail(p, "work/1.7/1", body_mail);
    add(p, 3, "work/1.7/1", "todo unread");
    commit(p, 3);
    notmuch_says(p, "messages", "zebra", "id:a@example.org\n");
    notmuch_says(p, "messages", "*", "id:a@example.org\n");
    notmuch_says(p, "messages", "attachment:plan.pdf", "id:a@example.org\n");
    notmuch_says(p, "messages", "path:work/2.7", "id:a@example.org\n"); /* the path without a file is still one */
    notmuch_says(p, "tags", "*", "attachment\ntodo\nunread\n");
    assert_true(there(p, "work/1.7/1"));
    assert_false(there(p, "work/2.7/8"));
    /* a header job must not write over the mail */
    header(p, 4, "work/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "todo", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 4), ERR_PERMISSION);
    commit(p, 4);
    assert_true(there(p, "work/1.7/1"));
    notmuch_says(p, "messages", "zebra", "id:a@example.org\n");
}

static void a_spoofed_id_is_another_message(void **state)
{
    struct place *p = *state;
    struct buf out = BUF_INIT(1000);
    struct err err = ERR_INIT;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "todo", "");
    header(p, 2, "work/1.7/2", "a@example.org", "Mallory", "Winning lottery", 1700009999, "unread", "");
    /* the same mail through a list: date and sender are the same, the subject has a mark */
    header(p, 3, "work/1.7/3", "a@example.org", "Alice", "[news] Re: Budget", 1700000000, "todo", "");
    commit(p, 3);
    notmuch_says(p, "messages", "subject:budget", "id:a@example.org\n");
    notmuch_says(p, "messages", "id:a@example.org and subject:lottery", "");
    notmuch_says(p, "tags", "id:a@example.org", "todo\n");
    notmuch_says(p, "tags", "subject:lottery", "unread\n");
    notmuch_says(p, "messages", "path:work/1.7 and id:a@example.org", "id:a@example.org\n");
    struct buf config = BUF_INIT(1000), expected = BUF_INIT(1000);
    buf_addf(&config, "--config=%s", p->config);
    buf_addf(&expected, "%s/mail/.dup/work/1.7/2\n", p->root);
    run((const char *const[]){"notmuch", buf_z(&config), "search", "--output=files", "subject:lottery", NULL}, &out);
    assert_string_equal(buf_z(&out), buf_z(&expected));
    /* its tags and its end go by its own path */
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = 4, .msgid = STR("a@example.org"), .path = STR("work/1.7/2"),
                     .tags = STR("spam")));
    commit(p, 4);
    notmuch_says(p, "tags", "subject:lottery", "spam\n");
    notmuch_says(p, "tags", "id:a@example.org", "todo\n");
    assert_true(SEND(p->index, -1, &err, INDEX_REMOVE, .job = 5, .path = STR("work/1.7/2")));
    commit(p, 5);
    notmuch_says(p, "messages", "*", "id:a@example.org\n");
    buf_fini(&config);
    buf_fini(&expected);
    buf_fini(&out);
}

static void hostile_mail_fails_alone(void **state)
{
    struct place *p = *state;
    struct buf bomb = BUF_INIT(4 << 20);
    write_mail(p, "work/new/good1", body_mail);
    buf_addz(&bomb, "From: Mallory <m@example.org>\nSubject: tarantula\nMessage-ID: <bomb@example.org>\nTo: ");
    for (unsigned i = 0; i < 50000; i++)
        buf_addz(&bomb, "a:");
    buf_addz(&bomb, "\n\nbody\n");
    write_mail(p, "work/new/bomb1", buf_z(&bomb));
    /* the same inside an embedded message, folded */
    buf_reset(&bomb);
    buf_addz(&bomb, "From: Mallory <m@example.org>\nSubject: scorpion\nMessage-ID: <bomb2@example.org>\n"
                    "MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: x\nCc: ");
    for (unsigned i = 0; i < 50000; i++)
        buf_addz(&bomb, "a:\n ");
    buf_addz(&bomb, "\n\nbody\n");
    write_mail(p, "work/new/bomb2", buf_z(&bomb));
    write_mail(p, "work/new/empty", "");
    write_mail(p, "work/new/prose", "this is no mail\n\nat all\n");
    char *fifo = mail_file(p, "work/new/fifo"), *link = mail_file(p, "work/new/link");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    free(fifo);
    free(link);
    add(p, 1, "work/new/bomb1", "unread");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 1), ERR_LIMIT);
    add(p, 2, "work/new/bomb2", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 2), ERR_LIMIT);
    add(p, 3, "work/new/empty", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 3), ERR_PARSE);
    add(p, 4, "work/new/prose", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 4), ERR_PARSE);
    add(p, 5, "work/new/fifo", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 5), ERR_PARSE);
    add(p, 6, "work/new/link", "");
    expect(p, MSG_INDEX_FAILED, 6);
    add(p, 7, "../../etc/passwd", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 7), ERR_USAGE);
    add(p, 8, "work/new/nothing", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 8), ERR_NO_MESSAGE);
    header(p, 9, "/tmp/x", "x@example.org", "X", "X", 1, "", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 9), ERR_USAGE);
    add(p, 10, "work/new/good1", "unread");
    header(p, 11, "work/1.7/3", "evil id\r\nBcc: x", "Eve\nBcc: y", "bell\a\nSubject: twice", 5, "odd",
           "<bad> ok@example.org");
    commit(p, 11);
    notmuch_says(p, "messages", "zebra", "id:a@example.org\n");
    notmuch_says(p, "messages", "subject:tarantula and tag:unread", "id:bomb@example.org\n"); /* by what a list shows */
    notmuch_says(p, "messages", "subject:scorpion", "id:bomb2@example.org\n");
    notmuch_says(p, "tags", "subject:bell and subject:twice", "odd\n");
    notmuch_says(p, "messages", "subject:twice and (id:evil or to:x or to:y)", "");
    buf_fini(&bomb);
}

static void only_a_commit_counts(void **state)
{
    struct place *p = *state;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "One", 1700000000, "", "");
    commit(p, 1);
    for (unsigned i = 2; i < 300; i++) {
        char path[40], id[40];
        snprintf(path, sizeof path, "work/1.7/%u", i);
        snprintf(id, sizeof id, "m%u@example.org", i);
        header(p, i, path, id, "Bob", "Two", 1700000000 + i, "", "");
    }
    end_index(p, SIGKILL);
    notmuch_says(p, "messages", "*", "id:a@example.org\n");
    start_index(p);
    /* sent again, over what the killed one left */
    for (unsigned i = 2; i < 300; i++) {
        char path[40], id[40];
        snprintf(path, sizeof path, "work/1.7/%u", i);
        snprintf(id, sizeof id, "m%u@example.org", i);
        header(p, i, path, id, "Bob", "Two", 1700000000 + i, "", "");
    }
    commit(p, 299);
    notmuch_says(p, "messages", "subject:two and date:@1700000297..@1700000298",
                 "id:m297@example.org\nid:m298@example.org\n");
    assert_false(there(p, "work/1.7/50"));
}

static void a_damaged_index_is_set_aside(void **state)
{
    struct place *p = *state;
    char *dir = path_join(p->root, "index/xapian");
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "One", 1700000000, "", "");
    commit(p, 1);
    end_index(p, 0);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char *file = path_join(dir, e->d_name);
        struct err err = ERR_INIT;
        if (e->d_name[0] != '.')
            assert_true(fs_write_atomic(file, 0600, STR("damaged"), &err));
        free(file);
    }
    closedir(d);
    start_index(p);
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 0), ERR_INDEX);
    header(p, 2, "work/1.7/2", "b@example.org", "Bob", "Two", 1700000000, "", "");
    commit(p, 2);
    notmuch_says(p, "messages", "*", "id:b@example.org\n");
    char *index = path_join(p->root, "index");
    unsigned broken = 0;
    d = opendir(index);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        broken += strncmp(e->d_name, "broken-", 7) == 0;
    closedir(d);
    assert_int_equal(broken, 1);
    free(index);
    free(dir);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(headers_are_found_and_their_files_go),
        TEST(a_body_is_indexed_under_the_same_path),
        TEST(a_spoofed_id_is_another_message),
        TEST(hostile_mail_fails_alone),
        TEST(only_a_commit_counts),
        TEST(a_damaged_index_is_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
