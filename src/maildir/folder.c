/* Maildir++ folders. */
#include "maildir/int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool md_is_folder(int root, const char *name)
{
    char path[300];
    struct stat st;
    if (name[0] != '.' || name[1] == '\0' || name[1] == '.')
        return false;
    snprintf(path, sizeof path, "%s/cur", name);
    return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Its number and its birth: numbers are given again. */
static void identity(int root, const char *name, struct buf *out)
{
    struct statx s;
    buf_reset(out);
    if (statx(root, name, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &s) == 0 && (s.stx_mask & STATX_BTIME))
        buf_addf(out, "%llu.%lld.%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec,
                 (unsigned)s.stx_btime.tv_nsec);
}

bool maildir_folders(struct maildir *m, maildir_folder_fn *fn, void *arg, struct err *err)
{
    int fd = openat(m->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct buf id = BUF_INIT(80);
    if (!d) {
        err_sys(err, err_from_errno(errno), errno, "cannot list %s", m->path);
        if (fd >= 0)
            close(fd);
        return false;
    }
    fn(arg, STR(""), STR(""));
    for (struct dirent *e; (e = readdir(d));)
        if (md_is_folder(m->fd, e->d_name)) {
            identity(m->fd, e->d_name, &id);
            fn(arg, str_z(e->d_name + 1), buf_str(&id));
        }
    closedir(d);
    buf_fini(&id);
    return true;
}

bool maildir_create(struct maildir *m, struct str folder, struct err *err)
{
    static const char *const subs[] = {"", "/tmp", "/new", "/cur", "/maildirfolder"};
    char dir[256], path[300];
    if (folder.n == 0)
        return maildir_check(m, err);
    if (!md_new_folder(folder, err) || !md_folder_dir(folder, dir, err))
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

enum { FOLDERS_MAX = 100000 };
struct rename_all {
    struct maildir *m;
    struct str from, to;
    struct err *err;
    char **names;
    size_t n, cap;
};

static void collect(void *arg, struct str folder, struct str id)
{
    struct rename_all *r = arg;
    (void)id;
    bool below = str_starts(folder, r->from) && folder.n > r->from.n && folder.p[r->from.n] == '.';
    if (!(below || str_eq(folder, r->from)) || r->n == FOLDERS_MAX)
        return;
    if (r->n == r->cap)
        r->names = mem_resize(r->names, r->cap = r->cap ? 2 * r->cap : 64, sizeof *r->names);
    r->names[r->n++] = mem_dup_n(folder.p, folder.n);
}

/* The folder itself goes behind those below it: as long as it has its old name, who was killed in between goes on. */
static void itself_last(struct rename_all *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(str_z(r->names[i]), r->from)) {
            char *name = r->names[i];
            r->names[i] = r->names[r->n - 1];
            r->names[r->n - 1] = name;
            return;
        }
}

/* The directories of a folder and of what it is to be. */
static bool names_of(const struct rename_all *r, const char *name, char a[256], char b[256])
{
    struct buf to = BUF_INIT(254);
    buf_adds(&to, r->to);
    bool ok = buf_addz(&to, name + r->from.n) || err_set(r->err, ERR_LIMIT, "the folder's name is too long");
    ok = ok && md_folder_dir(str_z(name), a, r->err) && md_folder_dir(buf_str(&to), b, r->err);
    buf_fini(&to);
    return ok;
}

static bool may_rename(const struct rename_all *r, const char *name)
{
    char a[256], b[256];
    struct stat st;
    if (!names_of(r, name, a, b))
        return false;
    return fstatat(r->m->fd, b, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
           err_set(r->err, ERR_USAGE, "the folder \"%s\" exists already", b + 1);
}

static bool rename_one(const struct rename_all *r, const char *name, bool back)
{
    char a[256], b[256];
    if (!names_of(r, name, a, b))
        return false;
    return renameat(r->m->fd, back ? b : a, r->m->fd, back ? a : b) == 0 ||
           err_sys(r->err, err_from_errno(errno), errno, "cannot rename the folder \"%s\"", name);
}

bool maildir_rename(struct maildir *m, struct str folder, struct str to, struct err *err)
{
    if (folder.n == 0 || to.n == 0)
        return err_set(err, ERR_USAGE, "the INBOX cannot be renamed");
    if (!md_new_folder(to, err))
        return false;
    struct rename_all r = {.m = m, .from = folder, .to = to, .err = err};
    bool ok = maildir_folders(m, collect, &r, err);
    if (ok && r.n == 0)
        ok = err_set(err, ERR_NO_MAILBOX, "the folder \"%.*s\" does not exist", STR_FMT(folder));
    if (r.n == FOLDERS_MAX)
        ok = err_set(err, ERR_LIMIT, "more than %d folders", FOLDERS_MAX);
    itself_last(&r);
    size_t done = 0;
    for (size_t i = 0; i < r.n; i++)
        ok = ok && may_rename(&r, r.names[i]);
    while (ok && done < r.n && (ok = rename_one(&r, r.names[done], false)))
        done++;
    struct err ignored = ERR_INIT;
    r.err = &ignored;
    while (!ok && done > 0)
        rename_one(&r, r.names[--done], true);
    if (ok && fsync(m->fd) < 0)
        ok = err_sys(err, err_from_errno(errno), errno, "cannot make %s durable", m->path);
    for (size_t i = 0; i < r.n; i++)
        free(r.names[i]);
    free(r.names);
    return ok;
}

/* Names that begin so are no folder's, to us and to others. */
#define REMOVED "..tuimail."

/* A directory of files and of directories of files, and nothing deeper. */
static bool remove_dir(int root, const char *path, bool top)
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(dirfd(d), e->d_name, 0) != 0 && top)
            remove_dir(dirfd(d), e->d_name, false);
    closedir(d);
    return unlinkat(root, path, AT_REMOVEDIR) == 0;
}

bool maildir_delete(struct maildir *m, struct str folder, struct err *err)
{
    char dir[256], gone[100], unique[64];
    if (folder.n == 0)
        return err_set(err, ERR_USAGE, "the INBOX cannot be deleted");
    if (!md_folder_dir(folder, dir, err))
        return false;
    if (!md_is_folder(m->fd, dir))
        return err_set(err, ERR_NO_MAILBOX, "the folder \"%.*s\" does not exist", STR_FMT(folder));
    /* All at once for everybody; what is left of it after a crash is removed later. */
    md_new_unique(unique);
    snprintf(gone, sizeof gone, REMOVED "%s", unique);
    if (renameat(m->fd, dir, m->fd, gone) < 0 || fsync(m->fd) < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot delete the folder \"%.*s\"", STR_FMT(folder));
    remove_dir(m->fd, gone, true);
    return true;
}

void md_sweep_folders(struct maildir *m)
{
    int fd = openat(m->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0)
        close(fd);
    for (struct dirent *e; d && (e = readdir(d));)
        if (str_starts(str_z(e->d_name), STR(REMOVED)))
            remove_dir(m->fd, e->d_name, true);
    if (d)
        closedir(d);
}
