/* view: the program itself, behind its channel and inside its sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/ipc.h"
#include "mail/doc.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer {
    pid_t pid;
    struct chan *chan;
};

static void start(struct peer *p)
{
    struct err err = ERR_INIT;
    const char *const argv[] = {NULL};
    int fd;
    if (!role_start(ROLE_VIEW, argv, -1, &p->pid, &fd, &err))
        fail_msg("%s", err.text);
    p->chan = chan_new(fd, ROLE_UI, ROLE_VIEW);
}

static void stop(struct peer *p)
{
    int status;
    chan_free(&p->chan);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A memory file with these bytes, read from its start by nobody yet: its offset is at the end. */
static int file_of(struct str bytes)
{
    struct err err = ERR_INIT;
    int fd = memfd_create("mail", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(fs_write_all(fd, bytes, &err));
    return fd;
}

/* Collects a document until its VIEW_DONE; returns the result's kind. */
static enum err_kind wait_done(struct peer *p, uint32_t req, struct doc *d)
{
    struct err err = ERR_INIT;
    struct msg m;
    for (int i = 0; i < 100000; i++) {
        int got = chan_wait(p->chan, clock_mono_ms() + 60000, &m, &err);
        if (got <= 0)
            fail_msg("view is gone: %s", err.text);
        if (m.kind == MSG_VIEW_DATA) {
            assert_int_equal(m.u.VIEW_DATA.req, req);
            assert_non_null(d);
            assert_true(doc_feed(d, m.u.VIEW_DATA.bytes, &err));
            continue;
        }
        assert_int_equal(m.kind, MSG_VIEW_DONE);
        assert_int_equal(m.u.VIEW_DONE.req, req);
        return (enum err_kind)m.u.VIEW_DONE.kind;
    }
    return ERR_LIMIT;
}

static struct doc *view(struct peer *p, uint32_t req, struct str mail, uint32_t flags)
{
    struct err err = ERR_INIT;
    struct doc *d = doc_new();
    int fd = file_of(mail);
    assert_true(SEND(p->chan, fd, &err, VIEW, .req = req, .width = 80, .flags = flags));
    close(fd);
    assert_int_equal(wait_done(p, req, d), ERR_NONE);
    return d;
}

static void read_file(int fd, struct buf *out)
{
    struct err err = ERR_INIT;
    assert_true(lseek(fd, 0, SEEK_SET) == 0);
    assert_true(fs_read_fd(fd, out->max, out, &err));
}

static void test_document(void **state)
{
    (void)state;
    struct peer p;
    struct err err = ERR_INIT;
    start(&p);
    /* a converter that is loaded from disk, inside the sandbox */
    struct doc *d = view(
        &p, 1,
        STR("From: a@b.c\nSubject: =?gb2312?B?1tDOxA==?=\nContent-Type: text/plain; charset=koi8-r\n\n\xf0\xd2\xc9\n"),
        0);
    assert_true(str_eqz(doc_named(d, DOC_HEADER, "subject")->text, "\xe4\xb8\xad\xe6\x96\x87"));
    assert_true(str_eqz(doc_at(d, doc_count(d) - 1)->text, "\xd0\x9f\xd1\x80\xd0\xb8"));
    doc_free(&d);
    /* a long one, in many pieces */
    struct buf b = BUF_INIT(8u << 20);
    buf_addz(&b, "From: a@b.c\n\n");
    for (int i = 0; i < 100000; i++)
        buf_addf(&b, "line %d\n", i);
    d = view(&p, 2, buf_str(&b), 0);
    assert_true(str_eqz(doc_at(d, doc_count(d) - 1)->text, "line 99999"));
    doc_free(&d);
    /* the message of the last VIEW is the one whose parts are given */
    int out = memfd_create("out", MFD_CLOEXEC);
    assert_true(SEND(p.chan, out, &err, VIEW_PART, .req = 3, .part = 0));
    assert_int_equal(wait_done(&p, 3, NULL), ERR_NONE);
    struct buf back = BUF_INIT(8u << 20);
    read_file(out, &back);
    assert_true(str_eq(buf_str(&back), buf_str(&b)));
    assert_true(SEND(p.chan, out, &err, VIEW_PART, .req = 4, .part = 7));
    assert_int_equal(wait_done(&p, 4, NULL), ERR_NO_MESSAGE);
    close(out);
    buf_fini(&b);
    buf_fini(&back);
    stop(&p);
}

/* THREATS 131: a mail full of remote things is read by a program that the system allows no socket. */
static void test_no_network(void **state)
{
    (void)state;
    struct peer p;
    struct err err = ERR_INIT;
    struct buf status = BUF_INIT(65536), path = BUF_INIT(64);
    start(&p);
    struct doc *d = view(&p, 1,
                         STR("Subject: x\nContent-Type: text/html\n\n<link rel=stylesheet "
                             "href=http://x.example/a.css><img src=http://x.example/a.png alt=pic>"
                             "<iframe src=http://x.example/></iframe><meta http-equiv=refresh "
                             "content=\"0;http://x.example/\"><object data=file:///etc/passwd></object>words"),
                         0);
    assert_true(str_eqz(doc_at(d, doc_count(d) - 1)->text, "[image: pic]words"));
    doc_free(&d);
    buf_addf(&path, "/proc/%d/status", (int)p.pid);
    int fd = open(buf_z(&path), O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fs_read_fd(fd, status.max, &status, &err) && memmem(status.p, status.n, "\nSeccomp:", 9))
        assert_non_null(memmem(status.p, status.n, "\nSeccomp:\t2", 11));
    if (fd >= 0)
        close(fd);
    buf_fini(&status);
    buf_fini(&path);
    stop(&p);
}

/* A pipe that ends, and one part of a hostile message. */
static void test_pipe(void **state)
{
    (void)state;
    struct peer p;
    struct err err = ERR_INIT;
    int ends[2];
    start(&p);
    assert_int_equal(pipe(ends), 0);
    struct doc *d = doc_new();
    assert_true(SEND(p.chan, ends[0], &err, VIEW, .req = 1, .width = 80));
    close(ends[0]);
    assert_true(fs_write_all(ends[1], STR("Subject: piped\n\nwords\n"), &err));
    close(ends[1]);
    assert_int_equal(wait_done(&p, 1, d), ERR_NONE);
    assert_true(str_eqz(doc_named(d, DOC_HEADER, "subject")->text, "piped"));
    doc_free(&d);
    struct buf b = BUF_INIT(8u << 20);
    buf_addz(&b, "To: ");
    for (int i = 0; i < 500000; i++)
        buf_addz(&b, "a:");
    buf_addz(&b, "\n\nafter\n");
    d = view(&p, 2, buf_str(&b), 0);
    assert_true(str_eqz(doc_at(d, doc_count(d) - 1)->text, "after"));
    doc_free(&d);
    buf_fini(&b);
    stop(&p);
}

static void test_build(void **state)
{
    (void)state;
    struct peer p;
    struct err err = ERR_INIT;
    start(&p);
    int text = file_of(STR("Hello\n")), att = file_of(STR("\1\2\3")), out = memfd_create("out", MFD_CLOEXEC);
    assert_true(SEND(p.chan, text, &err, BUILD, .req = 1,
                     .headers = STR("From: a@b.c\nTo: d@e.f\nSubject: x\nBcc: secret@b.c\n")));
    assert_true(
        SEND(p.chan, att, &err, BUILD_ATTACH, .req = 1, .name = STR("x.bin"), .type = STR("application/x-test")));
    assert_true(SEND(p.chan, out, &err, BUILD_END, .req = 1));
    assert_int_equal(wait_done(&p, 1, NULL), ERR_NONE);
    struct buf mail = BUF_INIT(1u << 20);
    read_file(out, &mail);
    assert_null(memmem(mail.p, mail.n, "secret", 6));
    struct doc *d = view(&p, 2, buf_str(&mail), 0);
    assert_true(str_eqz(doc_named(d, DOC_HEADER, "to")->text, "d@e.f"));
    const struct doc_item *last = doc_at(d, doc_count(d) - 1);
    assert_true(last->kind == DOC_PART && str_eqz(last->text, "x.bin") && last->size == 3);
    doc_free(&d);
    /* errors come back by their kind, and the program lives on */
    assert_true(SEND(p.chan, text, &err, BUILD, .req = 3, .headers = STR("From: a@b.c\nTo: nobody\n")));
    assert_int_equal(wait_done(&p, 3, NULL), ERR_RECIPIENT);
    assert_true(SEND(p.chan, out, &err, BUILD_END, .req = 4));
    assert_int_equal(wait_done(&p, 4, NULL), ERR_USAGE);
    close(text);
    close(att);
    close(out);
    buf_fini(&mail);
    stop(&p);
}

/* A message that no client may send ends the program, not the client. */
static void test_bad_peer(void **state)
{
    (void)state;
    struct peer p;
    int status;
    start(&p);
    assert_true(write(chan_fd(p.chan), "\xff\xff\xff\xff", 4) == 4);
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    chan_free(&p.chan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document), cmocka_unit_test(test_no_network), cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_build),    cmocka_unit_test(test_bad_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
