/* Cached bodies, by the path that BODY_AT named: opened for the store, removed, listed. */
#include "fetch/fetch.h"
#include "net/imap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_NAME 32 /* bytes */

bool fetch_body_path(struct str path)
{
    size_t i = 0, slash;
    if (!str_find(path, '/', &slash) || slash != FOLDER_NAME || path.n < 34 || path.n > 43)
        return false;
    for (; i < slash; i++)
        if (!strchr("0123456789abcdef", path.p[i]) || !path.p[i])
            return false;
    for (i = slash + 1; i < path.n; i++)
        if (path.p[i] < '0' || path.p[i] > '9')
            return false;
    return true;
}

/* Component by component, no link followed. -1 with errno. */
static int open_below(int dir_fd, const char *dir, const char *name)
{
    int sub = openat(dir_fd, dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0)
        return -1;
    int fd = openat(sub, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int saved = errno;
    struct stat st;
    close(sub);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        fd = -1;
        saved = EINVAL;
    }
    errno = saved;
    return fd;
}

int fetch_body_open(struct fetch *f, struct str path, struct err *err)
{
    if (!fetch_body_path(path)) {
        err_set(err, ERR_CHANNEL, "no path of a cached message");
        return -1;
    }
    char *copy = mem_dup_n(path.p, path.n);
    copy[FOLDER_NAME] = 0;
    int fd = open_below(f->account_fd, copy, copy + FOLDER_NAME + 1);
    int saved = errno;
    free(copy);
    if (fd < 0 && saved == ENOENT)
        err_set(err, ERR_NO_MESSAGE, "the cached message is gone");
    else if (fd < 0)
        err_sys(err, err_from_errno(saved), saved, "cached message");
    return fd;
}

bool fetch_file_open(struct fetch *f, const struct m_STEP_FILE_OPEN *q, struct err *err)
{
    struct stat st;
    int fd = fetch_body_open(f, q->path, err);
    if (fd < 0)
        return false;
    bool ok = !q->bytes || (fstat(fd, &st) == 0 && (uint64_t)st.st_size == q->bytes) ||
              err_set(err, ERR_NO_MESSAGE, "the cached message is another than the one that is meant");
    ok = ok && FETCH_SEND_FD(f, fd, err, MAILDIR_FD, .step = q->step, .name = q->path);
    close(fd);
    return ok;
}

/* Never through a link, and never onto itself. */
static bool link_body(struct fetch *f, struct str path, const char *key, const char *to)
{
    char from[64];
    snprintf(from, sizeof from, "%.*s", STR_FMT(path));
    from[FOLDER_NAME] = 0;
    int dir = openat(f->account_fd, from, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int target = openat(f->account_fd, key, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const char *name = from + FOLDER_NAME + 1;
    bool same = strcmp(from, key) == 0 && strcmp(name, to) == 0;
    bool ok = dir >= 0 && target >= 0 && !same && linkat(dir, name, target, to, 0) == 0;
    if (!ok && !same && dir >= 0 && target >= 0 && errno == EEXIST) /* of an earlier time: no row knows it */
        ok = unlinkat(target, to, 0) == 0 && linkat(dir, name, target, to, 0) == 0;
    int saved = same ? EINVAL : errno;
    if (dir >= 0)
        close(dir);
    if (target >= 0)
        close(target);
    errno = saved;
    return ok;
}

bool fetch_file_link(struct fetch *f, const struct m_STEP_FILE_LINK *q, struct err *err)
{
    char key[33], path[64], to[16];
    if (!fetch_body_path(q->path) || !q->uid)
        return err_set(err, ERR_CHANNEL, "no path of a cached message");
    imap_box_key(q->name, q->uidvalidity, key);
    snprintf(to, sizeof to, "%u", q->uid);
    snprintf(path, sizeof path, "%s/%s", key, to);
    char *dir = path_join(f->account_dir, key);
    bool ok = fs_mkdir_private(dir, err);
    free(dir);
    if (!ok)
        return false;
    if (!link_body(f, q->path, key, to)) {
        if (errno == ENOENT)
            return err_set(err, ERR_NO_MESSAGE, "the cached message is gone");
        return err_sys(err, ERR_IO, errno, "cached message");
    }
    return FETCH_SEND(f, err, BODY_AT, .step = q->step, .box = q->box, .uid = q->uid, .msg = q->msg,
                      .path = str_z(path), .absent = q->absent);
}

static bool step_files_drop(struct fetch *f, struct msg *m, struct err *err)
{
    struct str rest = m->u.STEP_FILES_DROP.paths, path;
    while (str_split(&rest, '\0', &path)) {
        if (path.n == 0)
            continue;
        if (!fetch_body_path(path))
            return err_set(err, ERR_CHANNEL, "no path of a cached message");
        char *copy = mem_dup_n(path.p, path.n);
        copy[FOLDER_NAME] = 0;
        int dir = openat(f->account_fd, copy, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        bool ok = dir < 0 || unlinkat(dir, copy + FOLDER_NAME + 1, 0) == 0 || errno == ENOENT;
        if (!ok)
            err_sys(err, err_from_errno(errno), errno, "cached message");
        if (dir >= 0)
            close(dir);
        if (ok)
            unlinkat(f->account_fd, copy, AT_REMOVEDIR); /* where it was the last one */
        free(copy);
        if (!ok)
            return false;
    }
    return true;
}

struct listing {
    struct fetch *f;
    struct buf paths;
    struct err *err;
};

static bool list_flush(struct listing *l)
{
    bool ok = l->paths.n == 0 || FETCH_SEND(l->f, l->err, FILES, .step = fetch_step(l->f), .paths = buf_str(&l->paths));
    buf_reset(&l->paths);
    return ok;
}

/* Calls `each` with every name in a directory below the account's; one that cannot be read is passed by. */
static bool each_name(struct listing *l, const char *dir, bool (*each)(struct listing *, const char *dir, const char *))
{
    int fd = openat(l->f->account_fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    bool ok = true;
    if (!d && fd >= 0)
        close(fd);
    for (struct dirent *e; ok && d && (e = readdir(d));)
        ok = each(l, dir, e->d_name);
    if (d)
        closedir(d);
    return ok;
}

static bool list_file(struct listing *l, const char *dir, const char *name)
{
    char path[64];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n >= (int)sizeof path || !fetch_body_path(str_z(path)))
        return true;
    if (l->paths.n + (size_t)n + 1 > l->paths.max && !list_flush(l))
        return false;
    buf_add(&l->paths, path, (size_t)n + 1);
    return true;
}

static bool list_folder(struct listing *l, const char *dir, const char *name)
{
    (void)dir;
    return strlen(name) != FOLDER_NAME || each_name(l, name, list_file);
}

#define STALE_S (7 * 86400) /* parts that nobody went on with */

/* Parts stay for a while: a transfer goes on from there. */
static bool sweep_parts(struct listing *l, const char *dir, const char *name)
{
    char path[NAME_MAX + 8];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (fstatat(l->f->account_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        st.st_mtime < clock_wall() - STALE_S)
        unlinkat(l->f->account_fd, path, 0);
    return true;
}

static bool sweep_body(struct listing *l, const char *dir, const char *name)
{
    char path[NAME_MAX + 8];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (strncmp(name, "body.", 5) == 0)
        unlinkat(l->f->account_fd, path, 0);
    return true;
}

void fetch_files_sweep(struct fetch *f)
{
    struct err err = ERR_INIT;
    each_name(&(struct listing){.f = f, .err = &err}, "tmp", sweep_body);
}

static bool step_files_list(struct fetch *f, struct msg *m, struct err *err)
{
    struct listing l = {f, BUF_INIT(32768), err};
    (void)m;
    bool ok = each_name(&l, "tmp", sweep_parts) && each_name(&l, ".", list_folder) && list_flush(&l);
    buf_fini(&l.paths);
    return ok;
}

const struct step_handler file_steps[] = {
    {MSG_STEP_FILES_DROP, step_files_drop, NULL}, {MSG_STEP_FILES_LIST, step_files_list, NULL}, {MSG_NONE, NULL, NULL}};
