/* Delivery and messages. The order of delivery is qmail's: nothing is named in new/ or cur/ before it is on the disk.
 */
#include "maildir/int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool not_there(const char *root, struct err *err)
{
    return err_set(
        err, ERR_NO_MAILDIR,
        "%s is no Maildir now (cur and new are missing): mount or restore it, or for an empty one make those "
        "two directories there",
        root);
}

static bool is_dir(int fd, const char *name)
{
    struct stat st;
    return fstatat(fd, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

/* mutt's way of nesting: Maildirs in plain directories. What has those is no Maildir++ that lacks its own. */
static bool is_plain_tree(int fd, char name_r[256])
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    bool found = false;
    if (!d && copy >= 0)
        close(copy);
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        char cur[264], fresh[264];
        snprintf(cur, sizeof cur, "%s/cur", e->d_name);
        snprintf(fresh, sizeof fresh, "%s/new", e->d_name);
        found = e->d_name[0] != '.' && is_dir(fd, cur) && is_dir(fd, fresh);
        if (found)
            snprintf(name_r, 256, "%s", e->d_name);
    }
    if (d)
        closedir(d);
    return found;
}

/* Is the directory, which is no Maildir, one to make a Maildir of? */
static bool may_make(int fd, const char *root, struct err *err)
{
    char name[256];
    return !is_plain_tree(fd, name) ||
           err_set(err, ERR_CONFIG,
                   "%.60s holds Maildirs as plain directories (%.30s); folders are read as Maildir++ alone: give "
                   "maildir:%.60s/%.30s",
                   root, name, root, name);
}

struct maildir *maildir_open(const char *root, bool make, struct err *err)
{
    static const char *const subs[] = {"cur", "new", "tmp"};
    /* one that is there is as its owner wants it: shared ones belong to others */
    if (make && access(root, F_OK) != 0 && !fs_mkdir_private(root, err))
        return NULL;
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0;
    if (!ok && errno == ENOTDIR)
        err_set(err, ERR_CONFIG, "%s is a file, and a Maildir is a directory; an mbox is taken in with tuimail import",
                root);
    else if (!ok && errno == ENOENT)
        not_there(root, err);
    else if (!ok)
        err_sys(err, err_from_errno(errno), errno, "cannot open %s", root);
    if (ok && !(is_dir(fd, "cur") && is_dir(fd, "new")))
        ok = make ? may_make(fd, root, err) : not_there(root, err);
    for (size_t i = 0; i < COUNT(subs) && ok; i++)
        if (!is_dir(fd, subs[i]) && mkdirat(fd, subs[i], 0700) < 0 && errno != EEXIST && make)
            ok = err_sys(err, err_from_errno(errno), errno, "cannot make %s/%s", root, subs[i]);
    if (!ok) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (fsync(fd) < 0) { /* what is delivered into them is only as durable as they are */
        err_sys(err, err_from_errno(errno), errno, "cannot make %s durable", root);
        close(fd);
        return NULL;
    }
    struct maildir *m = mem_new(sizeof *m);
    m->fd = fd;
    m->network = fs_is_network(root);
    m->path = mem_dup_z(root);
    return m;
}

bool maildir_check(struct maildir *m, struct err *err)
{
    struct stat now, was;
    bool is = stat(m->path, &now) == 0 && fstat(m->fd, &was) == 0 && now.st_dev == was.st_dev &&
              now.st_ino == was.st_ino && is_dir(m->fd, "cur") && is_dir(m->fd, "new");
    return is || not_there(m->path, err);
}

void maildir_close(struct maildir **m)
{
    if (!*m)
        return;
    md_watch_free(&(*m)->watches);
    close((*m)->fd);
    free((*m)->path);
    free(*m);
    *m = NULL;
}

struct delivery {
    struct maildir *m;
    struct str folder; /* owned */
    int fd, tmp;       /* the file, and its directory */
    bool ok;           /* while it is committed */
    char tmp_name[64], unique[208];
    uint32_t flags; /* of its own */
};

#define GROUP_SYNC                                                                                                     \
    4 /* files; for fewer, fsync of each is less than the sync of a file system that others write too                  \
       */

void delivery_mark(struct delivery *d, const struct mark *mark)
{
    char words[MARK_MAX];
    int stem = (int)(strlen(d->tmp_name) - strlen(MARK_END));
    mark_write(mark, words);
    snprintf(d->unique, sizeof d->unique, "%.*s%s" MARK_END, stem, d->tmp_name, words);
}

void delivery_name(struct delivery *d, struct str unique)
{
    snprintf(d->unique, sizeof d->unique, "%.*s", STR_FMT(unique));
}

static bool same_bytes(int a, int b)
{
    static char x[65536], y[65536];
    for (;;) {
        ssize_t n = read(a, x, sizeof x);
        if (n <= 0)
            return n == 0 && read(b, y, 1) == 0;
        for (ssize_t got = 0; got < n;) {
            ssize_t k = read(b, y + got, (size_t)(n - got));
            if (k <= 0)
                return false;
            got += k;
        }
        if (memcmp(x, y, (size_t)n) != 0)
            return false;
    }
}

bool delivery_is(const struct delivery *d, struct str unique, struct maildir_file *file_r, struct buf *path_r)
{
    struct err err = ERR_INIT;
    struct stat st;
    size_t before = path_r->n;
    int there = maildir_message(d->m, d->folder, unique, file_r, path_r, &err);
    if (there < 0)
        return false;
    int here = openat(d->tmp, d->tmp_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool same = here >= 0 && fstat(here, &st) == 0 && (uint64_t)st.st_size == file_r->size && same_bytes(here, there) &&
                fsync(there) == 0;
    static const char *const subs[] = {"new", "cur"};
    for (size_t i = 0; i < COUNT(subs) && same; i++) { /* whoever named it may have died before this */
        int dir = md_open_dir(d->m, d->folder, subs[i], &err);
        same = dir >= 0 && fsync(dir) == 0;
        if (dir >= 0)
            close(dir);
    }
    if (here >= 0)
        close(here);
    close(there);
    if (!same)
        path_r->n = before;
    return same;
}

struct delivery *maildir_begin(struct maildir *m, struct str folder, struct err *err)
{
    int tmp = md_open_dir(m, folder, "tmp", err);
    if (tmp < 0)
        return NULL;
    struct delivery *d = mem_new(sizeof *d);
    md_new_unique(d->tmp_name);
    snprintf(d->unique, sizeof d->unique, "%s", d->tmp_name);
    d->m = m;
    d->tmp = tmp;
    d->folder = (struct str){mem_dup_n(folder.p, folder.n), folder.n};
    d->fd = openat(tmp, d->tmp_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->fd < 0) {
        err_sys(err, err_from_errno(errno), errno, "cannot create a file in %s", m->path);
        delivery_abort(&d);
    }
    return d;
}

int delivery_fd(const struct delivery *d)
{
    return d->fd;
}

void delivery_abort(struct delivery **d)
{
    if (!*d)
        return;
    if ((*d)->fd >= 0) {
        close((*d)->fd);
        unlinkat((*d)->tmp, (*d)->tmp_name, 0);
    }
    close((*d)->tmp);
    free((void *)(uintptr_t)(*d)->folder.p);
    free(*d);
    *d = NULL;
}

void delivery_flags(struct delivery *d, uint32_t flags)
{
    d->flags = flags;
}

const char *delivery_unique(const struct delivery *d)
{
    return d->unique;
}

/* From here on the first of them that failed is in errs, and d->ok is false. */
static void fail(struct delivery *d, struct err *err, const char *what)
{
    d->ok = err_sys(err, err_from_errno(errno), errno, "cannot %s %s", what, d->m->path);
}

/* What was written to each is on the disk. One syncfs costs as many flushes of the disk as one fsync; its error may be
 * about any file of the file system, so each of ours is asked for its own. */
static void sync_files(struct delivery **d, size_t n, struct err *errs)
{
    bool whole = n >= GROUP_SYNC && !d[0]->m->network && syncfs(d[0]->fd) == 0;
    for (size_t i = 0; i < n; i++)
        if (whole ? sync_file_range(d[i]->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER) < 0
                  : fsync(d[i]->fd) < 0)
            fail(d[i], &errs[i], "write a mail to");
}

/* Gives it its name; on failure nothing of it is left. */
static void publish(struct delivery *d, int dir, const char *name, struct err *err)
{
    int fd = d->fd;
    d->fd = -1; /* abort unlinks only what is still in tmp */
    if (close(fd) < 0)
        fail(d, err, "write a mail to");
    else if (renameat(d->tmp, d->tmp_name, dir, name) < 0)
        fail(d, err, "publish a mail in");
    if (!d->ok)
        unlinkat(d->tmp, d->tmp_name, 0);
}

static void final_name(const struct delivery *d, uint32_t flags, char name[256])
{
    snprintf(name, 256, "%s", d->unique);
    if (flags)
        md_format_name(str_z(d->unique), flags | d->flags, "", name);
}

void delivery_commit_all(struct delivery **d, size_t n, uint32_t flags, struct err *errs)
{
    char name[256];
    int dir = n > 0 ? md_open_dir(d[0]->m, d[0]->folder, flags ? "cur" : "new", &errs[0]) : -1;
    for (size_t i = 0; i < n; i++) {
        d[i]->ok = dir >= 0;
        if (dir < 0)
            errs[i] = errs[0];
    }
    if (dir >= 0)
        sync_files(d, n, errs);
    for (size_t i = 0; i < n; i++)
        if (d[i]->ok) {
            final_name(d[i], flags, name);
            publish(d[i], dir, name, &errs[i]);
        }
    if (dir >= 0 && fsync(dir) < 0) {
        int saved = errno;
        for (size_t i = 0; i < n; i++)
            if (d[i]->ok) { /* not safe, so not delivered */
                errno = saved;
                fail(d[i], &errs[i], "make durable what is new in");
                final_name(d[i], flags, name);
                unlinkat(dir, name, 0);
            }
    }
    for (size_t i = 0; i < n; i++)
        if (d[i]->ok) {
            final_name(d[i], flags, name);
            md_watch_own(d[i]->m, d[i]->folder, flags != 0, name);
        }
    if (dir >= 0)
        close(dir);
    for (size_t i = 0; i < n; i++)
        delivery_abort(&d[i]);
}

bool delivery_commit(struct delivery **d, uint32_t flags, struct buf *unique_r, struct err *err)
{
    struct err why = ERR_INIT;
    size_t before = unique_r->n;
    buf_addz(unique_r, (*d)->unique);
    delivery_commit_all(d, 1, flags, &why);
    if (why.kind == ERR_NONE)
        return true;
    unique_r->n = before;
    *err = why;
    return false;
}

/* What another program renamed while it was replaced has the older bytes and the newer flags. */
static void take_leftover(struct delivery *d, struct str unique, struct str whole)
{
    const char *sub;
    char name[256];
    struct str u;
    uint32_t flags;
    struct err err = ERR_INIT;
    if (!md_find(d->m, d->folder, unique, &sub, name, &err))
        return;
    int dir = md_open_dir(d->m, d->folder, sub, &err);
    if (dir < 0)
        return;
    if (unlinkat(dir, name, 0) == 0 && md_parse_name(name, &u, &flags))
        maildir_flags(d->m, d->folder, whole, flags, &err);
    close(dir);
}

bool delivery_replace(struct delivery **dp, struct str unique, struct str whole, struct err *err)
{
    struct delivery *d = *dp;
    const char *sub = "cur";
    char name[256], wanted[256];
    bool ok = fsync(d->fd) == 0 || err_sys(err, err_from_errno(errno), errno, "cannot write a mail to %s", d->m->path);
    ok = ok && md_find(d->m, d->folder, unique, &sub, name, err);
    int dir = ok ? md_open_dir(d->m, d->folder, sub, err) : -1;
    ok = dir >= 0;
    /* Over the old file first, then to its own name: there is never both nor neither. */
    if (ok && renameat(d->tmp, d->tmp_name, dir, name) < 0)
        ok = err_sys(err, err_from_errno(errno), errno, "cannot publish a mail in %s", d->m->path);
    if (ok) {
        close(d->fd);
        d->fd = -1;
        snprintf(wanted, sizeof wanted, "%.*s%s", STR_FMT(whole), name + unique.n);
        if (renameat(dir, name, dir, wanted) < 0)
            ok = err_sys(err, errno == ENOENT ? ERR_NO_MESSAGE : err_from_errno(errno), errno,
                         "cannot rename a message of %s", d->m->path);
    }
    if (ok)
        take_leftover(d, unique, whole);
    if (ok && fsync(dir) < 0)
        ok = err_sys(err, err_from_errno(errno), errno, "cannot make %s durable", d->m->path);
    if (dir >= 0)
        close(dir);
    delivery_abort(dp);
    return ok;
}

enum { SWEEP_AFTER = 3600 };

void maildir_sweep(struct maildir *m, struct str folder)
{
    struct err err = ERR_INIT;
    if (folder.n == 0)
        md_sweep_folders(m);
    int tmp = md_open_dir(m, folder, "tmp", &err);
    DIR *d = tmp >= 0 ? fdopendir(tmp) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        struct str name = str_z(e->d_name), end = STR(".tuimail");
        struct stat st;
        if (name.n > end.n && str_eq(str_sub(name, name.n - end.n, name.n), end) &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime < clock_wall() - SWEEP_AFTER)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
    else if (tmp >= 0)
        close(tmp);
}

int maildir_message(struct maildir *m, struct str folder, struct str unique, struct maildir_file *file_r,
                    struct buf *path_r, struct err *err)
{
    const char *sub;
    char name[256], dir[256];
    struct stat st;
    if (!md_folder_dir(folder, dir, err) || !md_find(m, folder, unique, &sub, name, err))
        return -1;
    int d = md_open_dir(m, folder, sub, err);
    if (d < 0)
        return -1;
    int fd = openat(d, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    int saved = errno;
    close(d);
    if (fd < 0) {
        err_sys(err, saved == ENOENT ? ERR_NO_MESSAGE : err_from_errno(saved), saved, "cannot open %.100s of %s", name,
                m->path);
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        err_set(err, ERR_NO_MESSAGE, "a message of %s is not a regular file", m->path);
        return -1;
    }
    if (file_r) {
        struct str u;
        *file_r = (struct maildir_file){.unique = unique, .size = (uint64_t)st.st_size, .mtime = (int64_t)st.st_mtime};
        md_parse_name(name, &u, &file_r->flags);
    }
    if (path_r)
        md_path(dir, sub, name, path_r);
    return fd;
}

/* One rename between two directories of this Maildir, both made durable. */
static bool relocate(struct maildir *m, struct str from, const char *sub, const char *name, struct str to,
                     const char *new_name, struct err *err)
{
    int a = md_open_dir(m, from, sub, err), b = a < 0 ? -1 : md_open_dir(m, to, "cur", err);
    bool ok = b >= 0;
    if (ok && renameat(a, name, b, new_name) < 0)
        ok = err_sys(err, errno == ENOENT ? ERR_NO_MESSAGE : err_from_errno(errno), errno, "cannot rename its file");
    if (ok && (fsync(b) < 0 || fsync(a) < 0))
        ok = err_sys(err, err_from_errno(errno), errno, "cannot make %s durable", m->path);
    if (a >= 0)
        close(a);
    if (b >= 0)
        close(b);
    return ok;
}

static const char *letters_of(const char *name)
{
    const char *info = strstr(name, ":2,");
    return info ? info + 3 : "";
}

bool maildir_flags(struct maildir *m, struct str folder, struct str unique, uint32_t flags, struct err *err)
{
    const char *sub;
    char name[256], renamed[256];
    for (int tries = 0; tries < 3; tries++) { /* another program may rename it under us */
        if (!md_find(m, folder, unique, &sub, name, err))
            return false;
        md_format_name(unique, flags, letters_of(name), renamed);
        if (strcmp(sub, "cur") == 0 && strcmp(name, renamed) == 0)
            return true;
        if (relocate(m, folder, sub, name, folder, renamed, err))
            return true;
        if (err->kind != ERR_NO_MESSAGE)
            return false;
    }
    return false;
}

bool maildir_move(struct maildir *m, struct str folder, struct str unique, struct str target, struct err *err)
{
    const char *sub;
    char name[256], renamed[256];
    struct str u;
    uint32_t flags;
    for (int tries = 0; tries < 3; tries++) {
        if (!md_find(m, folder, unique, &sub, name, err))
            return false;
        md_parse_name(name, &u, &flags);
        md_format_name(unique, flags, letters_of(name), renamed);
        if (relocate(m, folder, sub, name, target, renamed, err))
            return true;
        if (err->kind != ERR_NO_MESSAGE)
            return false;
    }
    return false;
}

/* A copy is named after its original and the key: whoever makes it again finds it. */
static void copy_name(struct str unique, uint64_t key, const struct mark *mark, char name[208])
{
    char words[MARK_MAX] = "";
    size_t digits = 0;
    while (digits < unique.n && digits < 12 && unique.p[digits] >= '0' && unique.p[digits] <= '9')
        digits++;
    if (mark->stub) /* else the copy is a mail of its own */
        mark_write(mark, words);
    snprintf(name, 208, "%.*s.C%016llx%s" MARK_END, digits ? (int)digits : 1, digits ? unique.p : "0",
             (unsigned long long)key, words);
}

uint64_t maildir_copy_key(struct str unique)
{
    size_t at;
    uint64_t key = 0;
    if (!str_find(unique, '.', &at) || unique.n < at + 18 || unique.p[at + 1] != 'C')
        return 0;
    for (size_t i = at + 2; i < at + 18; i++) {
        const char *digits = "0123456789abcdef", *digit = memchr(digits, unique.p[i], 16);
        if (!digit)
            return 0;
        key = key << 4 | (uint64_t)(digit - digits);
    }
    return key;
}

bool maildir_copied(struct maildir *m, struct str unique, struct str target, uint64_t key, struct buf *unique_r,
                    struct err *err)
{
    char name[208], file[256];
    const char *sub;
    struct mark marks[] = {mark_read(unique), {0}};
    struct err ignored = ERR_INIT;
    for (size_t i = 0; i < COUNT(marks); i++) { /* the body of a stub may have come to either since */
        copy_name(unique, key, &marks[i], name);
        if (!md_find(m, target, str_z(name), &sub, file, &ignored))
            continue;
        int dir = md_open_dir(m, target, sub, err);
        bool ok = dir >= 0 &&
                  (fsync(dir) == 0 || err_sys(err, err_from_errno(errno), errno, "cannot make %s durable", m->path));
        if (dir >= 0)
            close(dir);
        return ok && buf_addz(unique_r, name);
    }
    return false;
}

bool maildir_copy(struct maildir *m, struct str folder, struct str unique, struct str target, uint64_t key,
                  struct buf *unique_r, struct err *err)
{
    struct maildir_file f;
    int fd = maildir_message(m, folder, unique, &f, NULL, err);
    if (fd < 0)
        return false;
    struct delivery *d = maildir_begin(m, target, err);
    bool ok = d != NULL;
    struct mark mark = mark_read(unique);
    if (ok && key)
        copy_name(unique, key, &mark, d->unique);
    else if (ok && mark.stub) /* else the copy is a mail of its own */
        delivery_mark(d, &mark);
    char chunk[65536];
    ssize_t n = 0;
    while (ok && (n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        ok = n > 0 ? fs_write_all(d->fd, (struct str){chunk, (size_t)n}, err)
                   : err_sys(err, err_from_errno(errno), errno, "cannot read a message of %s", m->path);
    }
    close(fd);
    if (ok)
        return delivery_commit(&d, f.flags, unique_r, err);
    delivery_abort(&d);
    return false;
}

bool maildir_remove(struct maildir *m, struct str folder, struct str unique, struct err *err)
{
    const char *sub;
    char name[256];
    if (!md_find(m, folder, unique, &sub, name, err))
        return false;
    int d = md_open_dir(m, folder, sub, err);
    if (d < 0)
        return false;
    bool ok = unlinkat(d, name, 0) == 0 && fsync(d) == 0;
    if (!ok)
        err_sys(err, errno == ENOENT ? ERR_NO_MESSAGE : err_from_errno(errno), errno, "cannot remove a message of %s",
                m->path);
    close(d);
    return ok;
}
