/* Maildir++ folders, and the news that other programs make. */
#include "maildir/int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(int root, const char *name)
{
    char path[300];
    struct stat st;
    if (name[0] != '.' || name[1] == '\0' || name[1] == '.')
        return false;
    snprintf(path, sizeof path, "%s/cur", name);
    return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

bool maildir_folders(struct maildir *m, maildir_folder_fn *fn, void *arg, struct err *err)
{
    int fd = openat(m->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        err_sys(err, err_from_errno(errno), errno, "cannot list %s", m->path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    fn(arg, (struct str){"", 0});
    for (struct dirent *e; (e = readdir(d));)
        if (is_folder(m->fd, e->d_name))
            fn(arg, str_z(e->d_name + 1));
    closedir(d);
    return true;
}

bool maildir_create(struct maildir *m, struct str folder, struct err *err)
{
    static const char *const subs[] = {"", "/tmp", "/new", "/cur", "/maildirfolder"};
    char dir[256], path[300];
    if (!md_folder_dir(folder, dir, err))
        return false;
    for (size_t i = 0; i < COUNT(subs); i++) {
        snprintf(path, sizeof path, "%s%s", dir, subs[i]);
        int failed = 0;
        if (i == COUNT(subs) - 1) { /* Maildir++: marks it as a folder for delivery agents */
            int fd = openat(m->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
            failed = fd < 0 || close(fd) < 0;
        } else {
            failed = mkdirat(m->fd, path, 0700) < 0 && errno != EEXIST;
        }
        if (failed)
            return err_sys(err, err_from_errno(errno), errno, "cannot make the folder \"%.*s\" in %s", STR_FMT(folder),
                           m->path);
    }
    int fd = openat(m->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && fsync(fd) == 0 && fsync(m->fd) == 0;
    if (!ok)
        err_sys(err, err_from_errno(errno), errno, "cannot make %s durable", m->path);
    if (fd >= 0)
        close(fd);
    return ok;
}

struct rename_all {
    struct maildir *m;
    struct str from, to;
    struct err *err;
    char *names[4096];
    size_t n;
};

static void collect(void *arg, struct str folder)
{
    struct rename_all *r = arg;
    bool below = str_starts(folder, r->from) && folder.n > r->from.n && folder.p[r->from.n] == '.';
    if ((below || str_eq(folder, r->from)) && r->n < COUNT(r->names))
        r->names[r->n++] = mem_dup_n(folder.p, folder.n);
}

static bool rename_one(struct rename_all *r, const char *name)
{
    char a[256], b[256];
    struct buf to = BUF_INIT(254);
    struct stat st;
    buf_adds(&to, r->to);
    bool ok = buf_addz(&to, name + r->from.n) || err_set(r->err, ERR_LIMIT, "the folder's name is too long");
    ok = ok && md_folder_dir(str_z(name), a, r->err) && md_folder_dir(buf_str(&to), b, r->err);
    if (ok && fstatat(r->m->fd, b, &st, AT_SYMLINK_NOFOLLOW) == 0)
        ok = err_set(r->err, ERR_USAGE, "the folder \"%s\" exists already", buf_z(&to));
    if (ok && renameat(r->m->fd, a, r->m->fd, b) < 0)
        ok = err_sys(r->err, err_from_errno(errno), errno, "cannot rename the folder \"%s\"", name);
    buf_fini(&to);
    return ok;
}

bool maildir_rename(struct maildir *m, struct str folder, struct str to, struct err *err)
{
    if (folder.n == 0 || to.n == 0)
        return err_set(err, ERR_USAGE, "the INBOX cannot be renamed");
    struct rename_all *r = mem_new(sizeof *r);
    *r = (struct rename_all){.m = m, .from = folder, .to = to, .err = err};
    bool ok = maildir_folders(m, collect, r, err);
    if (ok && r->n == 0)
        ok = err_set(err, ERR_NO_MAILBOX, "the folder \"%.*s\" does not exist", STR_FMT(folder));
    for (size_t i = 0; i < r->n; i++) {
        ok = ok && rename_one(r, r->names[i]);
        free(r->names[i]);
    }
    if (ok && fsync(m->fd) < 0)
        ok = err_sys(err, err_from_errno(errno), errno, "cannot make %s durable", m->path);
    free(r);
    return ok;
}

static bool empty_dir(int root, const char *path)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return errno == ENOENT;
    }
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            ok = unlinkat(dirfd(d), e->d_name, 0) == 0;
    closedir(d);
    return ok && unlinkat(root, path, AT_REMOVEDIR) == 0;
}

bool maildir_delete(struct maildir *m, struct str folder, struct err *err)
{
    static const char *const subs[] = {"cur", "new", "tmp"};
    char dir[256], path[300];
    if (folder.n == 0)
        return err_set(err, ERR_USAGE, "the INBOX cannot be deleted");
    if (!md_folder_dir(folder, dir, err))
        return false;
    if (!is_folder(m->fd, dir))
        return err_set(err, ERR_NO_MAILBOX, "the folder \"%.*s\" does not exist", STR_FMT(folder));
    for (size_t i = 0; i < COUNT(subs); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, subs[i]);
        if (!empty_dir(m->fd, path))
            return err_sys(err, err_from_errno(errno), errno, "cannot delete the folder \"%.*s\"", STR_FMT(folder));
    }
    if (!empty_dir(m->fd, dir))
        return err_sys(err, err_from_errno(errno), errno, "the folder \"%.*s\" holds something that is no mail",
                       STR_FMT(folder));
    return true;
}

int maildir_watch_fd(struct maildir *m)
{
    if (m->inotify < 0)
        m->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return m->inotify;
}

bool maildir_watch(struct maildir *m, struct str folder)
{
    static const char *const subs[] = {"new", "cur"};
    char dir[256];
    struct err err = ERR_INIT;
    if (maildir_watch_fd(m) < 0 || !md_folder_dir(folder, dir, &err))
        return false;
    for (size_t i = 0; i < m->nwatches; i++)
        if (str_eqz(folder, m->watches[i].folder))
            return true;
    bool ok = m->nwatches + COUNT(subs) <= MAILDIR_WATCHES;
    for (size_t i = 0; ok && i < COUNT(subs); i++) {
        struct buf path = BUF_INIT(PATH_MAX);
        buf_addf(&path, "%s/%s/%s", m->path, dir, subs[i]);
        int wd = inotify_add_watch(m->inotify, buf_z(&path),
                                   IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR);
        buf_fini(&path);
        ok = wd >= 0;
        if (ok) {
            m->watches[m->nwatches].wd = wd;
            m->watches[m->nwatches++].folder = mem_dup_n(folder.p, folder.n);
        }
    }
    return ok;
}

void maildir_watch_read(struct maildir *m, maildir_folder_fn *fn, void *arg)
{
    _Alignas(struct inotify_event) char events[8192];
    bool changed[MAILDIR_WATCHES] = {false}, all = false;
    ssize_t n;
    while (m->inotify >= 0 && (n = read(m->inotify, events, sizeof events)) > 0) {
        for (char *p = events; p < events + n;) {
            struct inotify_event e;
            memcpy(&e, p, sizeof e);
            all = all || (e.mask & IN_Q_OVERFLOW);
            for (size_t i = 0; i < m->nwatches; i++)
                changed[i] = changed[i] || m->watches[i].wd == e.wd;
            p += sizeof e + e.len;
        }
    }
    for (size_t i = 0; i + 1 < m->nwatches; i += 2) /* new and cur of a folder stand side by side */
        if (all || changed[i] || changed[i + 1])
            fn(arg, str_z(m->watches[i].folder));
}
