/* maildir: delivery, flags, folders, and what other programs and odd files do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "maildir/maildir.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct maildir *m;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = mem_new(sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/tuimail-md-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    char *root = path_join(f->dir, "mail");
    f->m = maildir_open(root, &f->err);
    free(root);
    assert_non_null(f->m);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    maildir_close(&f->m);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", f->dir, (char *)NULL);
        _exit(1);
    }
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *folder, const char *text, uint32_t flags, struct buf *unique)
{
    struct delivery *d = maildir_begin(f->m, str_z(folder), &f->err);
    assert_non_null(d);
    assert_true(fs_write_all(delivery_fd(d), str_z(text), &f->err));
    buf_reset(unique);
    assert_true(delivery_commit(&d, flags, unique, &f->err));
}

struct seen {
    unsigned n;
    uint32_t flags;
    uint64_t size;
};

static bool count(void *arg, const struct maildir_file *file)
{
    struct seen *s = arg;
    s->n++;
    s->flags = file->flags;
    s->size = file->size;
    return true;
}

static struct seen scan(struct fixture *f, const char *folder, unsigned *odd)
{
    struct seen s = {0};
    unsigned skipped = 0;
    assert_true(maildir_scan(f->m, str_z(folder), count, &s, &skipped, &f->err));
    if (odd)
        *odd = skipped;
    return s;
}

static void full_path(struct fixture *f, const char *tail, struct buf *out)
{
    buf_reset(out);
    buf_addf(out, "%s/mail/%s", f->dir, tail);
}

/* THREATS 86: what was named before a crash is known again by its tag and its bytes. */
static void test_tag(void **state)
{
    struct fixture *f = *state;
    struct buf first = BUF_INIT(300), second = BUF_INIT(300), path = BUF_INIT(600);
    struct maildir_file file;
    for (int round = 0; round < 3; round++) {
        static const char *const bodies[] = {"Subject: x\n\nbody\n", "Subject: x\n\nbody\n", "Subject: x\n\nbodY\n"};
        struct delivery *d = maildir_begin(f->m, STR(""), &f->err);
        assert_non_null(d);
        assert_int_equal(write(delivery_fd(d), bodies[round], strlen(bodies[round])), (ssize_t)strlen(bodies[round]));
        delivery_tag(d, 0x0123456789abcdefu);
        if (round == 0) {
            assert_false(delivery_is(d, STR("1.none.tuimail"), &file, &path));
            assert_true(delivery_commit(&d, 0, &first, &f->err));
            assert_true(maildir_tag(buf_str(&first)) == 0x0123456789abcdefu);
            assert_true(maildir_flags(f->m, STR(""), buf_str(&first), FLAG_SEEN, &f->err));
            continue;
        }
        assert_int_equal(delivery_is(d, buf_str(&first), &file, &path), round == 1);
        if (round == 1) {
            assert_int_equal(file.flags, FLAG_SEEN);
            assert_non_null(strstr(buf_z(&path), "cur/"));
        }
        delivery_abort(&d);
    }
    put(f, "", "Subject: y\n\n", 0, &second);
    assert_true(maildir_tag(buf_str(&second)) == 0);
    assert_true(maildir_tag(STR("1.x_t0123456789abcdeF.tuimail")) == 0);
    assert_true(maildir_tag(STR("_t0123456789abcdef")) == 0);
    assert_true(maildir_tag(STR("")) == 0);
    assert_int_equal(scan(f, "", NULL).n, 2);
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&path);
}

static void test_deliver_flags_remove(void **state)
{
    struct fixture *f = *state;
    struct buf u = BUF_INIT(300);
    put(f, "", "Subject: x\n\nbody\n", 0, &u);
    struct seen s = scan(f, "", NULL);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.flags, 0);
    assert_int_equal(s.size, 17);
    assert_true(maildir_flags(f->m, STR(""), buf_str(&u), FLAG_SEEN | FLAG_FLAGGED | FLAG_JUNK, &f->err));
    assert_int_equal(scan(f, "", NULL).flags, FLAG_SEEN | FLAG_FLAGGED);
    assert_true(maildir_flags(f->m, STR(""), buf_str(&u), 0, &f->err));
    assert_int_equal(scan(f, "", NULL).flags, 0);
    assert_true(maildir_remove(f->m, STR(""), buf_str(&u), &f->err));
    assert_false(maildir_remove(f->m, STR(""), buf_str(&u), &f->err));
    assert_int_equal(f->err.kind, ERR_NO_MESSAGE);
    buf_fini(&u);
}

static void test_abort_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct buf path = BUF_INIT(4096);
    struct delivery *d = maildir_begin(f->m, STR(""), &f->err);
    assert_true(fs_write_all(delivery_fd(d), STR("half"), &f->err));
    delivery_abort(&d);
    assert_int_equal(scan(f, "", NULL).n, 0);
    full_path(f, "tmp", &path);
    assert_int_equal(rmdir(buf_z(&path)), 0); /* empty */
    /* THREATS 160: the directory is gone or cannot be written: an error, no crash. */
    assert_null(maildir_begin(f->m, STR(""), &f->err));
    assert_int_equal(f->err.kind, ERR_NO_MAILBOX);
    buf_fini(&path);
}

/* A killed delivery's file goes after an hour; a fresh one, and one of another program, stay. */
static void test_sweep(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"1.Rold_1.tuimail", "2.Rnew_2.tuimail", "3.M1P2.host"};
    struct buf path = BUF_INIT(4096);
    for (size_t i = 0; i < COUNT(names); i++) {
        struct buf tail = BUF_INIT(100);
        buf_addf(&tail, "tmp/%s", names[i]);
        full_path(f, buf_z(&tail), &path);
        close(open(buf_z(&path), O_CREAT | O_WRONLY, 0600));
        struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
        if (i != 1)
            assert_int_equal(utimensat(AT_FDCWD, buf_z(&path), old, 0), 0);
        buf_fini(&tail);
    }
    maildir_sweep(f->m, STR(""));
    full_path(f, "tmp/1.Rold_1.tuimail", &path);
    assert_int_not_equal(access(buf_z(&path), F_OK), 0);
    full_path(f, "tmp/2.Rnew_2.tuimail", &path);
    assert_int_equal(access(buf_z(&path), F_OK), 0);
    full_path(f, "tmp/3.M1P2.host", &path);
    assert_int_equal(access(buf_z(&path), F_OK), 0);
    buf_fini(&path);
}

/* Another program changed the flags, with letters of its own. */
static void test_foreign_rename(void **state)
{
    struct fixture *f = *state;
    struct buf u = BUF_INIT(300), a = BUF_INIT(4096), b = BUF_INIT(4096), p = BUF_INIT(4096);
    put(f, "", "x", 0, &u);
    buf_addf(&p, "new/%s", buf_z(&u));
    full_path(f, buf_z(&p), &a);
    buf_reset(&p);
    buf_addf(&p, "cur/%s:2,Sab", buf_z(&u));
    full_path(f, buf_z(&p), &b);
    assert_int_equal(rename(buf_z(&a), buf_z(&b)), 0);
    assert_true(maildir_flags(f->m, STR(""), buf_str(&u), FLAG_SEEN | FLAG_ANSWERED, &f->err));
    buf_reset(&p);
    int fd = maildir_message(f->m, STR(""), buf_str(&u), NULL, &p, &f->err);
    assert_true(fd >= 0);
    close(fd);
    assert_non_null(strstr(buf_z(&p), ":2,RSab"));
    buf_fini(&u);
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&p);
}

/* THREATS 114: FIFO, symlink, socket, directory, odd names: skipped, counted, no hang. */
static void test_odd_files(void **state)
{
    struct fixture *f = *state;
    struct buf p = BUF_INIT(4096);
    unsigned odd;
    full_path(f, "new/fifo", &p);
    assert_int_equal(mkfifo(buf_z(&p), 0600), 0);
    full_path(f, "cur/link:2,S", &p);
    assert_int_equal(symlink("/etc/passwd", buf_z(&p)), 0);
    full_path(f, "cur/dir:2,", &p);
    assert_int_equal(mkdir(buf_z(&p), 0700), 0);
    full_path(f, "cur/.hidden", &p);
    close(open(buf_z(&p), O_CREAT | O_WRONLY, 0600));
    full_path(f, "cur/new\nline\033[2J:2,F", &p);
    close(open(buf_z(&p), O_CREAT | O_WRONLY, 0600));
    struct seen s = scan(f, "", &odd);
    assert_int_equal(s.n, 1); /* a control character is no reason to lose a mail */
    assert_int_equal(odd, 4);
    assert_int_equal(maildir_message(f->m, STR(""), STR("fifo"), NULL, NULL, &f->err), -1);
    assert_int_equal(maildir_message(f->m, STR(""), STR("link"), NULL, NULL, &f->err), -1);
    assert_int_equal(maildir_message(f->m, STR(""), STR("../../etc/passwd"), NULL, NULL, &f->err), -1);
    buf_fini(&p);
}

static void list(void *arg, struct str folder)
{
    buf_addf(arg, "%.*s|", STR_FMT(folder));
}

static void test_folders(void **state)
{
    struct fixture *f = *state;
    struct buf u = BUF_INIT(300), names = BUF_INIT(4096), copy = BUF_INIT(300);
    assert_true(maildir_create(f->m, STR("Lists"), &f->err));
    assert_true(maildir_create(f->m, STR("Lists.kernel"), &f->err));
    assert_true(maildir_create(f->m, STR("Lists"), &f->err));
    static const char *const bad[] = {"../x", "a/b", ".hidden", "a..b", "x\n", "end."};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(maildir_create(f->m, str_z(bad[i]), &f->err));
        assert_int_equal(f->err.kind, ERR_USAGE);
    }
    put(f, "", "x", FLAG_SEEN, &u);
    assert_true(maildir_move(f->m, STR(""), buf_str(&u), STR("Lists.kernel"), &f->err));
    assert_int_equal(scan(f, "", NULL).n, 0);
    assert_int_equal(scan(f, "Lists.kernel", NULL).flags, FLAG_SEEN);
    assert_true(maildir_copy(f->m, STR("Lists.kernel"), buf_str(&u), STR(""), &copy, &f->err));
    assert_string_not_equal(buf_z(&copy), buf_z(&u));
    assert_int_equal(scan(f, "", NULL).flags, FLAG_SEEN);
    assert_false(maildir_move(f->m, STR(""), buf_str(&copy), STR("Nowhere"), &f->err));
    assert_int_equal(f->err.kind, ERR_NO_MAILBOX);
    assert_int_equal(scan(f, "", NULL).n, 1);
    assert_true(maildir_rename(f->m, STR("Lists"), STR("Groups"), &f->err));
    assert_true(maildir_folders(f->m, list, &names, &f->err));
    assert_non_null(strstr(buf_z(&names), "|Groups.kernel|"));
    assert_null(strstr(buf_z(&names), "Lists"));
    assert_true(maildir_delete(f->m, STR("Groups.kernel"), &f->err));
    assert_false(maildir_delete(f->m, STR("Groups.kernel"), &f->err));
    assert_false(maildir_delete(f->m, STR(""), &f->err));
    buf_fini(&u);
    buf_fini(&names);
    buf_fini(&copy);
}

static void test_watch(void **state)
{
    struct fixture *f = *state;
    struct buf u = BUF_INIT(300), names = BUF_INIT(4096);
    assert_true(maildir_create(f->m, STR("Other"), &f->err));
    assert_true(maildir_watch(f->m, STR("")));
    assert_true(maildir_watch(f->m, STR("Other")));
    put(f, "Other", "x", 0, &u);
    struct pollfd p = {.fd = maildir_watch_fd(f->m), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    maildir_watch_read(f->m, list, &names);
    assert_string_equal(buf_z(&names), "Other|");
    buf_fini(&u);
    buf_fini(&names);
}

/* THREATS 161: names stay unique when the clock stands still. */
static void test_unique(void **state)
{
    struct fixture *f = *state;
    struct buf a = BUF_INIT(300), b = BUF_INIT(300);
    for (int i = 0; i < 200; i++) {
        put(f, "", "x", 0, i % 2 ? &a : &b);
        assert_string_not_equal(buf_z(&a), buf_z(&b));
    }
    assert_int_equal(scan(f, "", NULL).n, 200);
    buf_fini(&a);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tag, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deliver_flags_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abort_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unique, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
