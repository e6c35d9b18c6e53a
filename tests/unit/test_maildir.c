/* maildir: delivery, flags, folders, and what other programs and odd files do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "maildir/maildir.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
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
    f->m = maildir_open(root, true, &f->err);
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

struct order {
    struct fixture *f;
    struct buf names;
    bool renamed;
};

static bool note(void *arg, const struct maildir_file *file)
{
    struct order *o = arg;
    struct err err = ERR_INIT;
    buf_addf(&o->names, "%.*s%s ", STR_FMT(file->unique), file->flags & FLAG_SEEN ? "*" : "");
    if (!o->renamed) /* another program reads it meanwhile */
        assert_true(maildir_flags(o->f->m, STR(""), STR("1600000000.b"), FLAG_SEEN, &err));
    o->renamed = true;
    int fd = maildir_open_file(o->f->m, STR(""), file, &err);
    assert_true(fd >= 0);
    close(fd);
    return true;
}

static bool count_name(void *arg, struct str unique)
{
    unsigned *n = arg;
    *n += unique.n > 0;
    return true;
}

/* Newest first by the time in the name; what is renamed in the middle is not missed. */
static void test_scan_order(void **state)
{
    static const char *const names[] = {"new/1600000000.b", "cur/1700000000.c:2,", "cur/odd:2,", "new/1500000000.a",
                                        "cur/1800000000.d:2,F"};
    struct fixture *f = *state;
    struct order o = {.f = f, .names = BUF_INIT(1000)};
    struct buf path = BUF_INIT(1000);
    for (size_t i = 0; i < COUNT(names); i++) {
        buf_reset(&path);
        buf_addf(&path, "%s/mail/%s", f->dir, names[i]);
        assert_true(fs_write_atomic(buf_z(&path), 0600, STR("Subject: x\n\n"), &f->err));
    }
    assert_true(maildir_scan(f->m, STR(""), note, &o, NULL, &f->err));
    assert_string_equal(buf_z(&o.names), "1800000000.d 1700000000.c 1600000000.b* 1500000000.a odd ");
    struct maildir_file file;
    struct maildir_scan *s = maildir_scan_open(f->m, STR(""), &f->err);
    assert_true(s && maildir_scan_next(s, &file) && str_eqz(file.unique, "1800000000.d"));
    assert_true(maildir_remove(f->m, STR(""), STR("1700000000.c"), &f->err)); /* between two looks */
    assert_true(maildir_scan_next(s, &file) && str_eqz(file.unique, "1600000000.b") && file.size == 12);
    maildir_scan_close(&s);
    unsigned names_n = 0;
    assert_true(maildir_names(f->m, STR(""), count_name, &names_n, &f->err));
    assert_int_equal(names_n, 4);
    buf_fini(&path);
    buf_fini(&o.names);
}

static void full_path(struct fixture *f, const char *tail, struct buf *out)
{
    buf_reset(out);
    buf_addf(out, "%s/mail/%s", f->dir, tail);
}

static void list_is(struct fixture *f, const char *name, const char *want)
{
    struct buf path = BUF_INIT(600), list = BUF_INIT(1000);
    full_path(f, name, &path);
    assert_true(fs_read(buf_z(&path), 1000, &list, &f->err));
    assert_string_equal(buf_z(&list), want);
    buf_fini(&path);
    buf_fini(&list);
}

/* The lists that Dovecot and Courier keep beside the folders: read, and changed as they would. */
static void test_subscriptions(void **state)
{
    static const struct {
        const char *file, *before, *after, *gone;
    } lists[] = {
        {"subscriptions", "a.b\nINBOX\na\nSent\n", "x.b\nINBOX\nx\nSent\nNeu\n", "x.b\nINBOX\nx\nNeu\n"},
        {"subscriptions", "V\t2\n\na\tb\nINBOX\na\nSent\n", "V\t2\n\nx\tb\nINBOX\nx\nSent\nNeu\n",
         "V\t2\n\nx\tb\nINBOX\nx\nNeu\n"},
        {"courierimapsubscribed", "INBOX\nINBOX.a.b\nINBOX.a\nINBOX.Sent",
         "INBOX\nINBOX.x.b\nINBOX.x\nINBOX.Sent\nINBOX.Neu\n", "INBOX\nINBOX.x.b\nINBOX.x\nINBOX.Neu\n"},
    };
    struct fixture *f = *state;
    struct buf path = BUF_INIT(600);
    assert_null(maildir_subscriptions(f->m));
    assert_false(maildir_subscribe(f->m, STR(""), STR("a"), &f->err));
    assert_int_equal(f->err.kind, ERR_USAGE);
    for (size_t i = 0; i < COUNT(lists); i++) {
        full_path(f, lists[i].file, &path);
        assert_true(fs_write_atomic(buf_z(&path), 0640, str_z(lists[i].before), &f->err));
        struct maildir_subs *s = maildir_subscriptions(f->m);
        assert_true(maildir_subscribed(s, STR("a")) && maildir_subscribed(s, STR("a.b")) &&
                    maildir_subscribed(s, STR("Sent")));
        assert_false(maildir_subscribed(s, STR("b")) || maildir_subscribed(s, STR("")) ||
                     maildir_subscribed(s, STR("a.")));
        maildir_subscriptions_free(&s);
        assert_true(maildir_subscribe(f->m, STR("a"), STR("x"), &f->err));
        assert_true(maildir_subscribe(f->m, STR(""), STR("Neu"), &f->err));
        assert_true(maildir_subscribe(f->m, STR(""), STR("x"), &f->err)); /* is there */
        list_is(f, lists[i].file, lists[i].after);
        assert_true(maildir_subscribe(f->m, STR("Sent"), STR(""), &f->err));
        list_is(f, lists[i].file, lists[i].gone);
        struct stat st;
        assert_true(stat(buf_z(&path), &st) == 0 && (st.st_mode & 0777) == 0640);
        buf_addz(&path, ".lock");
        assert_true(fs_write_atomic(buf_z(&path), 0600, STR(""), &f->err));
        assert_false(maildir_subscribe(f->m, STR("x"), STR(""), &f->err)); /* another program has it */
        list_is(f, lists[i].file, lists[i].gone);
        unlink(buf_z(&path));
        full_path(f, lists[i].file, &path);
        unlink(buf_z(&path));
    }
    buf_fini(&path);
}

/* The whole mail takes the place of its stub, wherever and with whatever flags that is. */
static void test_replace(void **state)
{
    struct fixture *f = *state;
    struct buf stub = BUF_INIT(300), whole = BUF_INIT(300), copy = BUF_INIT(300), path = BUF_INIT(600);
    struct maildir_file file;
    struct mark mark = {.tag = 7, .stub = 4096};
    struct delivery *d = maildir_begin(f->m, STR(""), &f->err);
    assert_int_equal(write(delivery_fd(d), "Subject: x\n\n", 12), 12);
    delivery_mark(d, &mark);
    assert_true(delivery_commit(&d, 0, &stub, &f->err));
    assert_true(mark_read(buf_str(&stub)).stub == 4096 && mark_read(buf_str(&stub)).tag == 7);
    assert_true(mark_whole(buf_str(&stub), &whole));
    assert_true(mark_read(buf_str(&whole)).stub == 0 && mark_read(buf_str(&whole)).tag == 7);
    assert_true(maildir_copy(f->m, STR(""), buf_str(&stub), STR(""), 0, &copy, &f->err)); /* a stub too */
    assert_true(mark_read(buf_str(&copy)).stub == 4096 && mark_read(buf_str(&copy)).tag == 7);
    assert_false(str_eq(buf_str(&copy), buf_str(&stub)));
    assert_true(maildir_flags(f->m, STR(""), buf_str(&stub), FLAG_SEEN | FLAG_FLAGGED, &f->err));
    d = maildir_begin(f->m, STR(""), &f->err);
    assert_int_equal(write(delivery_fd(d), "Subject: x\n\nall of it\n", 22), 22);
    assert_true(delivery_replace(&d, buf_str(&stub), buf_str(&whole), &f->err));
    assert_null(d);
    int fd = maildir_message(f->m, STR(""), buf_str(&whole), &file, &path, &f->err);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file.size, 22);
    assert_int_equal(file.flags, FLAG_SEEN | FLAG_FLAGGED);
    assert_int_equal(maildir_message(f->m, STR(""), buf_str(&stub), &file, NULL, &f->err), -1);
    assert_int_equal(scan(f, "", NULL).n, 2);
    /* removed by somebody meanwhile: nothing comes in its place, and nothing is left in tmp */
    d = maildir_begin(f->m, STR(""), &f->err);
    f->err = ERR_INIT;
    assert_false(delivery_replace(&d, buf_str(&stub), buf_str(&whole), &f->err));
    assert_int_equal(f->err.kind, ERR_NO_MESSAGE);
    assert_null(d);
    assert_int_equal(scan(f, "", NULL).n, 2);
    /* names that only look like ours */
    static const char *const others[] = {"1.x_s0000000000001000.other", "1.x_s000000000000100g.tuimail",
                                         "_s0000000000001000", ".tuimail", "1.x_t0000000000000001_s0000000000001000"};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_true(mark_read(str_z(others[i])).stub == 0);
    buf_fini(&stub);
    buf_fini(&whole);
    buf_fini(&copy);
    buf_fini(&path);
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
        delivery_mark(d, &(struct mark){.tag = 0x0123456789abcdefu});
        if (round == 0) {
            assert_false(delivery_is(d, STR("1.none.tuimail"), &file, &path));
            assert_true(delivery_commit(&d, 0, &first, &f->err));
            assert_true(mark_read(buf_str(&first)).tag == 0x0123456789abcdefu);
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
    assert_true(mark_read(buf_str(&second)).tag == 0);
    assert_true(mark_read(STR("1.x_t0123456789abcdeF.tuimail")).tag == 0);
    assert_true(mark_read(STR("_t0123456789abcdef")).tag == 0);
    assert_true(mark_read(STR("")).tag == 0);
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

/* THREATS 114: FIFO, symlink, socket, directory, odd names: skipped, counted but for hidden ones, no hang. */
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
    assert_int_equal(odd, 3);
    assert_int_equal(maildir_message(f->m, STR(""), STR("fifo"), NULL, NULL, &f->err), -1);
    assert_int_equal(maildir_message(f->m, STR(""), STR("link"), NULL, NULL, &f->err), -1);
    assert_int_equal(maildir_message(f->m, STR(""), STR("../../etc/passwd"), NULL, NULL, &f->err), -1);
    buf_fini(&p);
}

static void list(void *arg, struct str folder, struct str id)
{
    (void)id;
    buf_addf(arg, "%.*s|", STR_FMT(folder));
}

static void ids(void *arg, struct str folder, struct str id)
{
    buf_addf(arg, "%.*s=%.*s|", STR_FMT(folder), STR_FMT(id));
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
    assert_true(maildir_copy(f->m, STR("Lists.kernel"), buf_str(&u), STR(""), 7, &copy, &f->err));
    assert_int_equal(maildir_copy_key(buf_str(&copy)), 7);
    assert_int_equal(maildir_copy_key(buf_str(&u)), 0);
    struct buf again = BUF_INIT(255); /* whoever made it died before anybody heard of it */
    assert_true(maildir_copied(f->m, buf_str(&u), STR(""), 7, &again, &f->err));
    assert_true(str_eq(buf_str(&again), buf_str(&copy)));
    struct err none = ERR_INIT;
    assert_false(maildir_copied(f->m, buf_str(&u), STR(""), 8, &again, &none));
    assert_int_equal(none.kind, ERR_NONE);
    buf_fini(&again);
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

/* All or none: where one of the new names is taken nothing is renamed. */
static void test_rename_is_whole(void **state)
{
    struct fixture *f = *state;
    struct buf before = BUF_INIT(4096), after = BUF_INIT(4096);
    static const char *const made[] = {"a", "a.b", "a.c", "x.c"};
    for (size_t i = 0; i < COUNT(made); i++)
        assert_true(maildir_create(f->m, str_z(made[i]), &f->err));
    assert_true(maildir_folders(f->m, ids, &before, &f->err));
    assert_false(maildir_rename(f->m, STR("a"), STR("x"), &f->err));
    assert_int_equal(f->err.kind, ERR_USAGE);
    assert_true(maildir_folders(f->m, ids, &after, &f->err));
    assert_string_equal(buf_z(&before), buf_z(&after));
    assert_false(maildir_rename(f->m, STR("a"), STR("y/z"), &f->err));
    assert_true(maildir_rename(f->m, STR("a"), STR("y"), &f->err));
    buf_reset(&after);
    assert_true(maildir_folders(f->m, ids, &after, &f->err));
    /* the same folders under other names, by their ids */
    struct str rest = buf_str(&before), one;
    unsigned n = 0;
    while (str_split(&rest, '|', &one)) {
        size_t at;
        if (!str_find(one, '=', &at) || at + 1 == one.n)
            continue;
        struct buf id = BUF_INIT(100);
        buf_adds(&id, str_sub(one, at, one.n));
        buf_addc(&id, '|');
        assert_non_null(strstr(buf_z(&after), buf_z(&id)));
        buf_fini(&id);
        n++;
    }
    assert_true(n == 4 || n == 0); /* a file system without times of birth */
    assert_non_null(strstr(buf_z(&after), "|y.b="));
    buf_fini(&before);
    buf_fini(&after);
}

/* A folder that is deleted is gone at once; what a crash left of it is swept. */
static void test_delete_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct buf u = BUF_INIT(300), path = BUF_INIT(4096);
    assert_true(maildir_create(f->m, STR("Lists"), &f->err));
    put(f, "Lists", "x", FLAG_SEEN, &u);
    assert_true(maildir_delete(f->m, STR("Lists"), &f->err));
    full_path(f, ".Lists", &path);
    assert_int_not_equal(access(buf_z(&path), F_OK), 0);
    assert_true(maildir_create(f->m, STR("Half"), &f->err));
    put(f, "Half", "x", 0, &u);
    struct buf left = BUF_INIT(4096);
    full_path(f, ".Half", &path);
    full_path(f, "..tuimail.1.x.tuimail", &left);
    assert_int_equal(rename(buf_z(&path), buf_z(&left)), 0);
    maildir_sweep(f->m, STR(""));
    assert_int_not_equal(access(buf_z(&left), F_OK), 0);
    buf_fini(&u);
    buf_fini(&path);
    buf_fini(&left);
}

/* THREATS 160: moved away, a Maildir is not an empty one; it is not made anew where it should be mounted. */
static void test_away(void **state)
{
    struct fixture *f = *state;
    struct buf here = BUF_INIT(4096), there = BUF_INIT(4096);
    full_path(f, "", &here);
    here.p[--here.n] = '\0';
    buf_addf(&there, "%s/away", f->dir);
    assert_true(maildir_check(f->m, &f->err));
    assert_int_equal(rename(buf_z(&here), buf_z(&there)), 0);
    assert_false(maildir_check(f->m, &f->err));
    assert_int_equal(f->err.kind, ERR_NO_MAILDIR);
    f->err = ERR_INIT;
    assert_null(maildir_open(buf_z(&here), false, &f->err));
    assert_int_equal(f->err.kind, ERR_NO_MAILDIR);
    assert_int_equal(mkdir(buf_z(&here), 0700), 0); /* a mount point */
    f->err = ERR_INIT;
    assert_false(maildir_check(f->m, &f->err));
    assert_null(maildir_open(buf_z(&here), false, &f->err));
    assert_int_equal(f->err.kind, ERR_NO_MAILDIR);
    assert_int_equal(rmdir(buf_z(&here)), 0);
    assert_int_equal(rename(buf_z(&there), buf_z(&here)), 0);
    assert_true(maildir_check(f->m, &f->err));
    buf_fini(&here);
    buf_fini(&there);
}

/* What is no Maildir and not to become one is told as what it is, and left as it is. */
static void test_no_maildir(void **state)
{
    struct fixture *f = *state;
    struct buf root = BUF_INIT(4096), path = BUF_INIT(4096);
    static const char *const parts[] = {"", "/inbox", "/inbox/cur", "/inbox/new", "/inbox/tmp"};
    for (size_t i = 0; i < COUNT(parts); i++) {
        buf_reset(&path);
        buf_addf(&path, "%s/plain%s", f->dir, parts[i]);
        assert_int_equal(mkdir(buf_z(&path), 0700), 0);
    }
    buf_addf(&root, "%s/plain", f->dir);
    assert_null(maildir_open(buf_z(&root), true, &f->err));
    assert_int_equal(f->err.kind, ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "/plain/inbox"));
    buf_addz(&root, "/cur");
    assert_int_not_equal(access(buf_z(&root), F_OK), 0);
    buf_reset(&path);
    buf_addf(&path, "%s/mbox", f->dir);
    close(open(buf_z(&path), O_CREAT | O_WRONLY, 0600));
    f->err = ERR_INIT;
    assert_null(maildir_open(buf_z(&path), true, &f->err));
    assert_int_equal(f->err.kind, ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "import"));
    buf_fini(&root);
    buf_fini(&path);
}

/* ---- News ---- */
static void news(void *arg, const struct maildir_news *n)
{
    static const char *const words[] = {[MAILDIR_FILE_IS] = "is",
                                        [MAILDIR_FILE_GONE] = "gone",
                                        [MAILDIR_FILE_MOVED] = "moved",
                                        [MAILDIR_FOLDER_CHANGED] = "folder",
                                        [MAILDIR_FOLDERS_CHANGED] = "folders"};
    buf_addf(arg, "%s", words[n->what]);
    if (n->what == MAILDIR_FILE_MOVED)
        buf_addf(arg, " %u:%.*s", (unsigned)n->was_box, STR_FMT(n->was));
    if (n->what != MAILDIR_FOLDERS_CHANGED)
        buf_addf(arg, " %u:%.*s", (unsigned)n->box, STR_FMT(n->file.unique));
    if (n->what == MAILDIR_FILE_IS || n->what == MAILDIR_FILE_MOVED)
        buf_addf(arg, " %.*s", STR_FMT(n->file.path));
    buf_addc(arg, '|');
}

static void expect_news(struct fixture *f, const char *want)
{
    struct buf got = BUF_INIT(1u << 20);
    struct pollfd p = {.fd = maildir_watch_fd(f->m), .events = POLLIN};
    if (want[0])
        assert_int_equal(poll(&p, 1, 5000), 1);
    maildir_watch_read(f->m, news, &got);
    assert_string_equal(buf_z(&got), want);
    buf_fini(&got);
}

static void touch_file(struct fixture *f, const char *tail)
{
    struct buf path = BUF_INIT(4096);
    full_path(f, tail, &path);
    int fd = open(buf_z(&path), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x\n", 2), 2);
    close(fd);
    buf_fini(&path);
}

static void rename_file(struct fixture *f, const char *from, const char *to)
{
    struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);
    full_path(f, from, &a);
    full_path(f, to, &b);
    assert_int_equal(rename(buf_z(&a), buf_z(&b)), 0);
    buf_fini(&a);
    buf_fini(&b);
}

static void unlink_file(struct fixture *f, const char *tail)
{
    struct buf path = BUF_INIT(4096);
    full_path(f, tail, &path);
    assert_int_equal(unlink(buf_z(&path)), 0);
    buf_fini(&path);
}

static void test_news(void **state)
{
    struct fixture *f = *state;
    assert_true(maildir_create(f->m, STR("Other"), &f->err));
    assert_true(maildir_watch(f->m, STR(""), 1));
    assert_true(maildir_watch(f->m, STR("Other"), 2));
    expect_news(f, "");
    touch_file(f, "tmp/1.a");
    rename_file(f, "tmp/1.a", "new/1.a");
    expect_news(f, "is 1:1.a new/1.a|");
    rename_file(f, "new/1.a", "cur/1.a:2,S"); /* read: one change, not one gone and one new */
    expect_news(f, "is 1:1.a cur/1.a:2,S|");
    rename_file(f, "cur/1.a:2,S", "cur/1.a:2,FS");
    rename_file(f, "cur/1.a:2,FS", "cur/1.a:2,FSab"); /* another program's letters */
    expect_news(f, "is 1:1.a cur/1.a:2,FSab|");
    rename_file(f, "cur/1.a:2,FSab", ".Other/cur/1.a:2,FS"); /* to another folder: it is the same message */
    expect_news(f, "moved 1:1.a 2:1.a .Other/cur/1.a:2,FS|");
    rename_file(f, ".Other/cur/1.a:2,FS", "cur/2.b:2,"); /* and back, with another name, and on */
    rename_file(f, "cur/2.b:2,", "cur/3.c:2,T");
    expect_news(f, "moved 2:1.a 1:3.c cur/3.c:2,T|gone 1:2.b|");
    unlink_file(f, "cur/3.c:2,T");
    expect_news(f, "gone 1:3.c|");
    touch_file(f, "cur/4.d:2,");
    unlink_file(f, "cur/4.d:2,");
    expect_news(f, "gone 1:4.d|");
    /* without rename(2): the new name comes before the old one goes */
    struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);
    touch_file(f, "new/5.e");
    full_path(f, "new/5.e", &a);
    full_path(f, "cur/5.e:2,S", &b);
    expect_news(f, "is 1:5.e new/5.e|");
    assert_int_equal(link(buf_z(&a), buf_z(&b)), 0);
    expect_news(f, "is 1:5.e cur/5.e:2,S|");
    unlink_file(f, "new/5.e");
    expect_news(f, "is 1:5.e cur/5.e:2,S|"); /* found under its other name */
    /* what is no mail is no news */
    full_path(f, "cur/dir", &a);
    assert_int_equal(mkdir(buf_z(&a), 0700), 0);
    full_path(f, "cur/link:2,", &a);
    assert_int_equal(symlink("/etc/passwd", buf_z(&a)), 0);
    expect_news(f, "");
    buf_fini(&a);
    buf_fini(&b);
}

/* What is delivered by this program it knows already. */
static void test_news_of_others_alone(void **state)
{
    struct fixture *f = *state;
    struct buf u = BUF_INIT(300), want = BUF_INIT(400);
    assert_true(maildir_watch(f->m, STR(""), 1));
    for (int i = 0; i < 20; i++)
        put(f, "", "x", i % 2 ? FLAG_SEEN : 0, &u);
    touch_file(f, "new/foreign");
    put(f, "", "x", 0, &u);
    expect_news(f, "is 1:foreign new/foreign|");
    buf_addf(&want, "cur/%s:2,S", buf_z(&u));
    struct buf from = BUF_INIT(400);
    buf_addf(&from, "new/%s", buf_z(&u));
    rename_file(f, buf_z(&from), buf_z(&want)); /* by another program */
    buf_reset(&from);
    buf_addf(&from, "is 1:%s %s|", buf_z(&u), buf_z(&want));
    expect_news(f, buf_z(&from));
    buf_fini(&u);
    buf_fini(&want);
    buf_fini(&from);
}

static void test_news_of_folders(void **state)
{
    struct fixture *f = *state;
    struct buf path = BUF_INIT(4096);
    assert_true(maildir_watch_folders(f->m));
    full_path(f, ".Made", &path);
    assert_int_equal(mkdir(buf_z(&path), 0700), 0);
    expect_news(f, "folders|");
    full_path(f, ".Made/cur", &path); /* it becomes one only now */
    assert_int_equal(mkdir(buf_z(&path), 0700), 0);
    expect_news(f, "folders|");
    touch_file(f, "dovecot-uidlist");
    expect_news(f, "");
    touch_file(f, "subscriptions");
    expect_news(f, "folders|");
    rename_file(f, ".Made", ".Renamed");
    expect_news(f, "folders|");
    full_path(f, ".Renamed/new", &path);
    assert_int_equal(mkdir(buf_z(&path), 0700), 0);
    expect_news(f, "folders|");
    assert_true(maildir_watch(f->m, STR("Renamed"), 7));
    rename_file(f, ".Renamed", ".Again"); /* the watch follows; its name is told anew by its number */
    expect_news(f, "folders|");
    assert_true(maildir_watch(f->m, STR("Again"), 7));
    touch_file(f, ".Again/new/1.a");
    expect_news(f, "is 7:1.a .Again/new/1.a|");
    assert_true(maildir_delete(f->m, STR("Again"), &f->err));
    struct buf got = BUF_INIT(1u << 20);
    maildir_watch_read(f->m, news, &got);
    assert_non_null(strstr(buf_z(&got), "folders|"));
    full_path(f, "", &path);
    path.p[--path.n] = '\0';
    struct buf away = BUF_INIT(4096);
    buf_addf(&away, "%s/away", f->dir);
    assert_int_equal(rename(buf_z(&path), buf_z(&away)), 0); /* all of it */
    expect_news(f, "folders|");
    assert_int_equal(rename(buf_z(&away), buf_z(&path)), 0);
    buf_fini(&got);
    buf_fini(&path);
    buf_fini(&away);
}

/* Where no events come from, the time of the directories tells. */
static void test_news_by_time(void **state)
{
    struct fixture *f = *state;
    struct buf got = BUF_INIT(4096);
    struct rlimit was, none;
    assert_true(maildir_create(f->m, STR("Other"), &f->err));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 0; /* as where the user has as many watches as he may have */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool watched = maildir_watch(f->m, STR(""), 1);
    watched = maildir_watch(f->m, STR("Other"), 2) || watched;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_false(watched);
    maildir_watch_poll(f->m, news, &got);
    assert_string_equal(buf_z(&got), "");
    touch_file(f, ".Other/new/1.a");
    maildir_watch_read(f->m, news, &got);
    maildir_watch_poll(f->m, news, &got);
    assert_string_equal(buf_z(&got), "folder 2:|");
    maildir_watch_poll(f->m, news, &got); /* once */
    assert_string_equal(buf_z(&got), "folder 2:|");
    buf_fini(&got);
}

/* More than the kernel keeps: what was lost is not known, so all is looked at. */
static void test_news_lost(void **state)
{
    struct fixture *f = *state;
    struct buf got = BUF_INIT(1u << 20), a = BUF_INIT(4096), b = BUF_INIT(4096);
    unsigned max = 0;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (!limit || fscanf(limit, "%u", &max) != 1 || max > 100000) {
        if (limit)
            fclose(limit);
        skip();
    }
    fclose(limit);
    assert_true(maildir_create(f->m, STR("Other"), &f->err));
    assert_true(maildir_watch(f->m, STR(""), 1));
    assert_true(maildir_watch(f->m, STR("Other"), 2));
    touch_file(f, "cur/1.a:2,");
    full_path(f, "cur/1.a:2,", &a);
    full_path(f, "cur/1.a:2,S", &b);
    for (unsigned i = 0; i < max / 2 + 10; i++)
        assert_int_equal(rename(buf_z(i % 2 ? &b : &a), buf_z(i % 2 ? &a : &b)), 0);
    maildir_watch_read(f->m, news, &got);
    assert_non_null(strstr(buf_z(&got), "folder 1:|"));
    assert_non_null(strstr(buf_z(&got), "folder 2:|"));
    touch_file(f, "new/2.b");
    expect_news(f, "is 1:2.b new/2.b|"); /* and on from there */
    buf_fini(&got);
    buf_fini(&a);
    buf_fini(&b);
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
        cmocka_unit_test_setup_teardown(test_scan_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subscriptions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deliver_flags_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abort_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rename_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_maildir, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_of_others_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_of_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_by_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unique, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
