/* Files: published whole or not at all; nothing is followed or waited for that is not a regular file. */
#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool check_private(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot look at %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_PERMISSION, "%s is not a directory", path);
    if (st.st_uid != geteuid())
        return err_set(err, ERR_PERMISSION, "%s belongs to another user", path);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return err_set(err, ERR_PERMISSION, "%s can be written by others; run chmod go-w on it", path);
    return true;
}

bool fs_sync_dir(const char *dir, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot open the directory %s", dir);
    bool ok = fsync(fd) == 0;
    int saved = errno;
    close(fd);
    return ok || err_sys(err, err_from_errno(saved), saved, "cannot make the directory %s durable", dir);
}

static bool sync_parent(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return fs_sync_dir(".", err);
    char *dir = mem_dup_n(path, slash == path ? 1 : (size_t)(slash - path));
    bool ok = fs_sync_dir(dir, err);
    free(dir);
    return ok;
}

/* A new directory is there after a cut of the power too, so far as the one above may be opened. */
static bool make_dir(const char *path, bool last, struct err *err)
{
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST || (!last && (errno == EROFS || errno == EACCES)) ||
               err_sys(err, err_from_errno(errno), errno, "cannot make the directory %s", path);
    struct err why = ERR_INIT;
    if (sync_parent(path, &why) || why.kind == ERR_PERMISSION)
        return true;
    rmdir(path); /* so that the next attempt makes it durable */
    *err = why;
    return false;
}

bool fs_mkdir_private(const char *path, struct err *err)
{
    char *copy = mem_dup_z(path);
    bool ok = true;
    for (char *p = copy + 1; ok && *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        ok = make_dir(copy, false, err);
        *p = '/';
    }
    free(copy);
    return ok && make_dir(path, true, err) && check_private(path, err);
}

bool fs_commit(int fd, const char *tmp, const char *final, struct err *err)
{
    /* A failed fsync means lost, never "try again": the kernel may have dropped the pages (THREATS 159). */
    bool ok = fsync(fd) == 0 || err_sys(err, err_from_errno(errno), errno, "cannot write %s", final);
    if (close(fd) < 0 && ok)
        ok = err_sys(err, err_from_errno(errno), errno, "cannot write %s", final);
    if (ok && rename(tmp, final) < 0)
        ok = err_sys(err, err_from_errno(errno), errno, "cannot rename a file to %s", final);
    if (!ok) {
        unlink(tmp);
        return false;
    }
    return sync_parent(final, err);
}

int fs_open_unnamed(const char *dir, struct err *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT))
        return fd >= 0 ? fd : (err_sys(err, err_from_errno(errno), errno, "cannot make a file in %s", dir), -1);
    char *path = path_join(dir, "unnamed"); /* for a moment: not every file system can do without */
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        err_sys(err, err_from_errno(errno), errno, "cannot make %s", path);
    else
        unlink(path);
    free(path);
    return fd;
}

bool fs_write_all(int fd, struct str data, struct err *err)
{
    while (data.n) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "cannot write");
        data = str_sub(data, (size_t)n, data.n);
    }
    return true;
}

bool fs_write_atomic(const char *path, mode_t mode, struct str data, struct err *err)
{
    unsigned char r[8];
    char hex[17];
    struct buf tmp = BUF_INIT(8192);
    fs_random(r, sizeof r);
    hex_encode(r, sizeof r, hex);
    if (!buf_addf(&tmp, "%s.tmp-%s", path, hex)) {
        buf_fini(&tmp);
        return err_set(err, ERR_LIMIT, "the path is too long");
    }
    int fd = open(tmp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    bool ok = fd >= 0 || err_sys(err, err_from_errno(errno), errno, "cannot write %s", path);
    if (ok && !fs_write_all(fd, data, err)) {
        err_prefix(err, "%s", path);
        close(fd);
        unlink(tmp.p);
        ok = false;
    } else if (ok) {
        ok = fs_commit(fd, tmp.p, path, err);
    }
    buf_fini(&tmp);
    return ok;
}

bool fs_read_fd(int fd, size_t max, struct buf *out, struct err *err)
{
    size_t start = out->n;
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, err_from_errno(errno), errno, "cannot read");
        if (n == 0)
            return true;
        if (out->n - start + (size_t)n > max || !buf_add(out, chunk, (size_t)n))
            return err_set(err, ERR_LIMIT, "more than %zu bytes", max);
    }
}

bool fs_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot open %s", path);
    struct stat st;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!ok)
        err_set(err, ERR_IO, "%s is not a regular file", path);
    else if (!fs_read_fd(fd, max, out, err)) {
        err_prefix(err, "%s", path);
        ok = false;
    }
    close(fd);
    return ok;
}

bool fs_has_room(const char *path, uint64_t bytes)
{
    struct statvfs vfs;
    return statvfs(path, &vfs) != 0 || (uint64_t)vfs.f_bavail * vfs.f_frsize >= bytes;
}

bool fs_only_files(const char *dir, struct err *err)
{
    struct stat st;
    const char *bad = NULL;
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT || err_sys(err, err_from_errno(errno), errno, "%s", dir);
    for (struct dirent *e; !bad && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
            (fstatat(dirfd(d), e->d_name, &st, 0) || !S_ISREG(st.st_mode)))
            bad = e->d_name;
    bool ok = !bad || err_set(err, ERR_IO, "%s/%s is no file", dir, bad);
    closedir(d);
    return ok;
}

bool fs_is_network(const char *path)
{
    /* NFS, SMB, CIFS, SMB2, FUSE, AFS, Coda, 9p, Ceph: magic numbers of statfs(2). */
    static const unsigned long kinds[] = {0x6969,     0x517b,     0xff534d42, 0xfe534d42, 0x65735546,
                                          0x5346414f, 0x73757245, 0x01021997, 0x00c36400};
    struct statfs fs;
    if (statfs(path, &fs) < 0)
        return false;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == kinds[i])
            return true;
    return false;
}

void fs_random(void *p, size_t n)
{
    unsigned char *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            bug("no random numbers");
        at += got;
        n -= (size_t)got;
    }
}

bool fd_cloexec(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC) == 0;
}

bool fd_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0;
}

int64_t clock_mono_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_wall(void)
{
    return (int64_t)time(NULL);
}
