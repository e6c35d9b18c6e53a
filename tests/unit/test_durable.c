/* maildir: the order in which a group of deliveries becomes durable, and what a disk that fails in the middle leaves.
 *
 * The calls that make something durable or visible are played here: they are written down, may fail, and else do what
 * libc's do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "maildir/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MANY 10

static struct buf calls;  /* "S" syncfs, "r" the state of one file asked, "f" fsync of a file, "n" its name given, "d"
                             fsync of a directory */
static const char *fails; /* the call of this letter fails, */
static int at;            /* the at-th of them; all from there on */
static int failure;       /* with this errno */

static bool ask(char letter)
{
    buf_addc(&calls, letter);
    if (fails != NULL && *fails == letter && at-- <= 0) {
        errno = failure;
        return false;
    }
    return true;
}

int syncfs(int fd)
{
    return ask('S') ? (int)syscall(SYS_syncfs, fd) : -1;
}

int sync_file_range(int fd, off_t from, off_t n, unsigned flags)
{
    return ask('r') ? (int)syscall(SYS_sync_file_range, fd, from, n, flags) : -1;
}

int fsync(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return ask(S_ISDIR(st.st_mode) ? 'd' : 'f') ? (int)syscall(SYS_fsync, fd) : -1;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return ask('n') ? (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0) : -1;
}

struct fixture {
    char dir[64];
    struct maildir *m;
    struct err errs[MANY];
    char names[MANY][128];
};

static int setup(void **state)
{
    struct fixture *f = mem_new(sizeof *f);
    struct err err = ERR_INIT;
    snprintf(f->dir, sizeof f->dir, "/tmp/tuimail-durable-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    fails = NULL;
    buf_init(&calls, 1000);
    f->m = maildir_open(f->dir, true, &err);
    assert_non_null(f->m);
    buf_reset(&calls);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    maildir_close(&f->m);
    buf_fini(&calls);
    if (fork() == 0) {
        execlp("rm", "rm", "-rf", f->dir, (char *)NULL);
        _exit(1);
    }
    free(f);
    return 0;
}

static void commit(struct fixture *f, size_t n)
{
    struct delivery *d[MANY];
    for (size_t i = 0; i < n; i++) {
        d[i] = maildir_begin(f->m, STR(""), &f->errs[i]);
        assert_non_null(d[i]);
        delivery_mark(d[i], &(struct mark){.tag = i + 1});
        snprintf(f->names[i], sizeof f->names[i], "%s", delivery_unique(d[i]));
        assert_true(fs_write_all(delivery_fd(d[i]), STR("Subject: x\n\nbody\n"), &f->errs[i]));
    }
    buf_reset(&calls);
    delivery_commit_all(d, n, 0, f->errs);
    for (size_t i = 0; i < n; i++)
        assert_null(d[i]);
}

/* Is it in the folder's new/? Nothing may be left in tmp/, whatever happened. */
static bool is_new(struct fixture *f, size_t i)
{
    struct buf path = BUF_INIT(1000);
    buf_addf(&path, "%s/tmp", f->dir);
    DIR *tmp = opendir(buf_z(&path));
    assert_non_null(tmp);
    for (struct dirent *e; (e = readdir(tmp)) != NULL;)
        assert_int_equal(e->d_name[0], '.');
    closedir(tmp);
    buf_reset(&path);
    buf_addf(&path, "%s/new/%s", f->dir, f->names[i]);
    bool is = access(buf_z(&path), F_OK) == 0;
    buf_fini(&path);
    return is;
}

/* THREATS 86: no name before the bytes of all are on the disk; said only when the names are. */
static void test_order(void **state)
{
    struct fixture *f = *state;
    commit(f, MANY);
    assert_string_equal(buf_z(&calls), "Srrrrrrrrrrnnnnnnnnnnd");
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(f->errs[i].kind, ERR_NONE);
        assert_true(is_new(f, i));
        assert_true(mark_read(str_z(f->names[i])).tag == i + 1);
    }
    commit(f, 2);
    assert_string_equal(buf_z(&calls), "ffnnd");
    commit(f, 0);
    assert_string_equal(buf_z(&calls), "");
}

/* THREATS 159: the disk could not take one of them; only that one is lost, and said to be. */
static void test_one_file_fails(void **state)
{
    struct fixture *f = *state;
    fails = "r", at = MANY - 1, failure = EIO;
    commit(f, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(f->errs[i].kind, i < MANY - 1 ? ERR_NONE : ERR_IO);
        assert_int_equal(is_new(f, i), i < MANY - 1);
    }
}

/* The error of a file system is not one of ours: each file answers for itself. */
static void test_whole_sync_fails(void **state)
{
    struct fixture *f = *state;
    fails = "S", at = 0, failure = EIO;
    commit(f, MANY);
    assert_string_equal(buf_z(&calls), "Sffffffffffnnnnnnnnnnd");
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(f->errs[i].kind, ERR_NONE);
}

static void test_names_fail(void **state)
{
    struct fixture *f = *state;
    fails = "n", at = 4, failure = ENOSPC;
    commit(f, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(f->errs[i].kind, i < 4 ? ERR_NONE : ERR_DISK_FULL);
        assert_int_equal(is_new(f, i), i < 4);
    }
}

/* Names that may not last are none: nothing is said to be here, and nothing is. */
static void test_directory_fails(void **state)
{
    struct fixture *f = *state;
    fails = "d", at = 0, failure = EIO;
    commit(f, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(f->errs[i].kind, ERR_IO);
        assert_false(is_new(f, i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_file_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole_sync_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directory_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
