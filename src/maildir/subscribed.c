/* The list of subscribed folders beside them: Dovecot's "subscriptions" (names with dots, or since 2.3 "V 2" and tabs
 * between the levels), Courier's "courierimapsubscribed" (below "INBOX."). Both replace it under another name. */
#include "maildir/int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MAX ((size_t)4 << 20)
#define LOCK_TRIES 20 /* 50 ms each: whoever has it writes a few lines */

enum format { DOVECOT, DOVECOT_2, COURIER };
static const char *const files[] = {"subscriptions", "courierimapsubscribed"};
static const char version_2[] = "V\t2", below[] = "INBOX.";

struct maildir_subs {
    uint64_t *folders; /* hashes, rising: who makes two alike is drawn dim */
    size_t n, cap;
};

bool md_is_subscriptions(const char *name)
{
    return strcmp(name, files[0]) == 0 || strcmp(name, files[1]) == 0;
}

static bool read_list(struct maildir *m, unsigned which, struct buf *out)
{
    struct err err = ERR_INIT;
    int fd = openat(m->fd, files[which], O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    buf_reset(out);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fs_read_fd(fd, LIST_MAX, out, &err);
    if (fd >= 0)
        close(fd);
    return ok;
}

static enum format format_of(unsigned which, struct str list)
{
    return which == 1 ? COURIER : str_starts(list, str_z(version_2)) ? DOVECOT_2 : DOVECOT;
}

/* The folder that a line names, in `out`; false: none. */
static bool folder_of(enum format format, struct str line, struct buf *out)
{
    buf_reset(out);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || (format == DOVECOT_2 && str_eqz(line, version_2)))
        return false;
    if (format == COURIER) {
        if (!str_starts(line, str_z(below)))
            return false;
        line = str_sub(line, sizeof below - 1, line.n);
    }
    if (!buf_adds(out, line))
        return false;
    for (size_t i = 0; format == DOVECOT_2 && i < out->n; i++)
        if (out->p[i] == '\t')
            out->p[i] = '.';
    return true;
}

static void line_of(enum format format, struct str folder, struct buf *out)
{
    if (format == COURIER)
        buf_addz(out, below);
    for (size_t i = 0; i < folder.n; i++)
        buf_addc(out, format == DOVECOT_2 && folder.p[i] == '.' ? '\t' : folder.p[i]);
    buf_addc(out, '\n');
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct maildir_subs *maildir_subscriptions(struct maildir *m)
{
    struct maildir_subs *s = NULL;
    struct buf list = BUF_INIT(LIST_MAX), folder = BUF_INIT(1024);
    for (unsigned which = 0; which < COUNT(files); which++) {
        struct str line, rest;
        if (!read_list(m, which, &list))
            continue;
        s = s ? s : mem_new(sizeof *s);
        for (rest = buf_str(&list); str_split(&rest, '\n', &line);) {
            if (!folder_of(format_of(which, buf_str(&list)), line, &folder))
                continue;
            if (s->n == s->cap)
                s->folders = mem_resize(s->folders, s->cap = s->cap ? 2 * s->cap : 64, sizeof *s->folders);
            s->folders[s->n++] = str_hash(buf_str(&folder));
        }
    }
    if (s && s->n > 1)
        qsort(s->folders, s->n, sizeof *s->folders, by_value);
    buf_fini(&list);
    buf_fini(&folder);
    return s;
}

bool maildir_subscribed(const struct maildir_subs *s, struct str folder)
{
    uint64_t hash = str_hash(folder);
    return s && s->n && bsearch(&hash, s->folders, s->n, sizeof hash, by_value);
}

void maildir_subscriptions_free(struct maildir_subs **s)
{
    if (*s)
        free((*s)->folders);
    free(*s);
    *s = NULL;
}

/* The list without `from`, or with `to` in its place and in that of what is below it; or with `to` alone at its end. */
static bool changed(enum format format, struct str list, struct str from, struct str to, struct buf *out)
{
    struct buf folder = BUF_INIT(1024), is = BUF_INIT(1024);
    struct str line, rest = list;
    bool there = false;
    while (str_split(&rest, '\n', &line)) {
        if (line.n == 0 && rest.n == 0)
            break;
        bool names = folder_of(format, line, &folder), same = names && str_eq(buf_str(&folder), from);
        bool under = names && from.n && to.n && str_starts(buf_str(&folder), from) && folder.n > from.n &&
                     folder.p[from.n] == '.';
        there = there || (names && str_eq(buf_str(&folder), to));
        if (from.n && to.n && (same || under)) {
            buf_reset(&is);
            buf_adds(&is, to);
            buf_adds(&is, str_sub(buf_str(&folder), from.n, folder.n));
            line_of(format, buf_str(&is), out);
        } else if (!(from.n && same)) {
            buf_adds(out, line);
            buf_addc(out, '\n');
        }
    }
    if (!from.n && !there)
        line_of(format, to, out);
    buf_fini(&folder);
    buf_fini(&is);
    return !out->full;
}

/* As Dovecot does: the lock is the new file. */
static int lock_list(struct maildir *m, const char *lock, struct err *err)
{
    for (int i = 0;; i++) {
        int fd = openat(m->fd, lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            return err_sys(err, err_from_errno(errno), errno, "cannot change the subscriptions in %s", m->path), -1;
        if (i == LOCK_TRIES)
            return err_set(err, ERR_IO, "the subscriptions in %s are locked by another program (%s)", m->path, lock),
                   -1;
        usleep(50000);
    }
}

static bool change_list(struct maildir *m, unsigned which, struct str from, struct str to, bool *is_r, struct err *err)
{
    struct buf list = BUF_INIT(LIST_MAX), fresh = BUF_INIT(LIST_MAX);
    char lock[40];
    struct stat st;
    if (fstatat(m->fd, files[which], &st, AT_SYMLINK_NOFOLLOW) < 0)
        return true;
    *is_r = true;
    snprintf(lock, sizeof lock, "%s.lock", files[which]);
    int fd = lock_list(m, lock, err);
    if (fd < 0)
        return false;
    bool ok =
        (read_list(m, which, &list) && changed(format_of(which, buf_str(&list)), buf_str(&list), from, to, &fresh)) ||
        err_set(err, ERR_LIMIT, "the subscriptions in %s cannot be read", m->path);
    ok = ok && fs_write_all(fd, buf_str(&fresh), err);
    if (ok && (fchmod(fd, st.st_mode & 0777) < 0 || fsync(fd) < 0 || renameat(m->fd, lock, m->fd, files[which]) < 0))
        ok = err_sys(err, err_from_errno(errno), errno, "cannot change the subscriptions in %s", m->path);
    if (!ok)
        unlinkat(m->fd, lock, 0);
    close(fd);
    buf_fini(&list);
    buf_fini(&fresh);
    return ok;
}

bool maildir_subscribe(struct maildir *m, struct str from, struct str to, struct err *err)
{
    bool is = false, ok = true;
    for (unsigned which = 0; ok && which < COUNT(files); which++)
        ok = change_list(m, which, from, to, &is, err);
    return ok &&
           (is || err_set(err, ERR_USAGE, "%s has no list of subscriptions, so all folders are shown alike", m->path));
}
