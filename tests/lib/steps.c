/* For tests, by LD_PRELOAD: each step by which a program changes files, makes them durable or speaks to a server is
 * counted over all programs of a run and recorded, and the n-th of them fails or is the last one. tests/lib/steps.py is
 * the other side.
 *
 * The programs share one mapped file, named by TUIMAIL_STEPS, and its lock: the record is in the order in which things
 * happened. A step that a program does not live to see has not happened: it is killed before the call. Plain system
 * calls throughout, so that nothing of the C library is left half done and a sandbox's rules are all there is to obey.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* steps.py knows these. */
enum mode { COUNT_ONLY, KILL_ONE, KILL_ALL, FAIL_ONCE, FAIL_ON };
struct shared {
    uint64_t n;  /* steps so far */
    uint64_t at; /* the one it is about; 0 none */
    uint32_t mode, error;
    uint32_t kinds; /* those counted: 1 << (letter - 'A') */
    uint32_t fired; /* it happened */
    uint32_t npids;
    uint32_t failed; /* how often `error` was returned */
    uint32_t fold;   /* a write behind one into the same file is no step of its own */
    uint32_t last_pid;
    uint64_t last_ino;
    int64_t clock;       /* seconds that the clock is wrong */
    uint64_t used, size; /* of the record */
    uint32_t pids[1000];
    char role[16];    /* only this program's steps count; "" all */
    char under[1024]; /* only files below count */
};
struct record {
    uint32_t kind, pid;
    uint64_t step, ino, other, at;
    uint32_t len, len2;
};

static struct shared *sh;
static int lock_fd = -1;
static char preload[PATH_MAX + 32], role[16];
static unsigned char *records;

static void die(void)
{
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    syscall(SYS_exit_group, 137);
}

static bool all_dead(void)
{
    return sh->mode == KILL_ALL && sh->fired;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("TUIMAIL_STEPS"), *own = getenv("LD_PRELOAD");
    struct stat st;
    int fd = path && own ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    lock_fd = fcntl(fd, F_DUPFD_CLOEXEC, 300); /* out of the way */
    close(fd);
    if (fstat(lock_fd, &st) != 0)
        return;
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, lock_fd, 0);
    if (at == MAP_FAILED)
        return;
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    const char *name = strrchr(exe, '/');
    name = name ? name + 1 : exe;
    memcpy(role, name, strnlen(name, sizeof role - 1));
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", own);
    sh = at;
    records = (unsigned char *)at + sizeof *sh;
    uint32_t i = __atomic_fetch_add(&sh->npids, 1, __ATOMIC_SEQ_CST);
    if (i < sizeof sh->pids / sizeof *sh->pids)
        sh->pids[i] = (uint32_t)getpid();
    if (all_dead())
        die();
}

/* ---- A step ---------------------------------------------------------------------------------------- */

/* True where the call is to be made; false with errno where it has failed. The lock is held from here to leave(). */
static bool enter(int kind, uint64_t ino)
{
    while (syscall(SYS_flock, lock_fd, LOCK_EX) != 0 && errno == EINTR)
        continue;
    if (all_dead())
        die();
    if (!(sh->kinds & 1u << (kind - 'A')) || (sh->role[0] && strcmp(sh->role, role) != 0))
        return true;
    bool same = sh->fold && kind == 'W' && sh->last_ino == ino && sh->last_pid == (uint32_t)getpid();
    sh->last_ino = kind == 'W' ? ino : 0;
    sh->last_pid = (uint32_t)getpid();
    if (same && !(sh->mode == FAIL_ON && sh->failed))
        return true;
    uint64_t n = ++sh->n;
    bool now = sh->at && (n == sh->at || (sh->mode == FAIL_ON && n > sh->at));
    if (!now || sh->mode == COUNT_ONLY)
        return true;
    sh->fired = 1;
    if (sh->mode == KILL_ONE || sh->mode == KILL_ALL)
        die();
    sh->failed++;
    errno = (int)sh->error;
    return false;
}

static void leave(void)
{
    int saved = errno;
    syscall(SYS_flock, lock_fd, LOCK_UN);
    errno = saved;
}

static void record(int kind, uint64_t ino, uint64_t other, uint64_t at, const void *p, size_t len, const void *q,
                   size_t len2)
{
    struct record r = {.kind = (uint32_t)kind,
                       .pid = (uint32_t)getpid(),
                       .step = sh->n,
                       .ino = ino,
                       .other = other,
                       .at = at,
                       .len = (uint32_t)len,
                       .len2 = (uint32_t)len2};
    if (sh->used + sizeof r + len + len2 > sh->size) {
        sh->size = 0; /* steps.py sees that it is not whole */
        return;
    }
    unsigned char *to = records + sh->used;
    memcpy(to, &r, sizeof r);
    if (len)
        memcpy(to + sizeof r, p, len);
    if (len2)
        memcpy(to + sizeof r + len, q, len2);
    sh->used += sizeof r + len + len2;
}

/* ---- Which files and sockets --------------------------------------------------------------------- */

static bool line(int fd)
{
    int domain = 0;
    socklen_t n = sizeof domain;
    return syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
           (domain == AF_INET || domain == AF_INET6);
}

static bool plain_file(int fd, struct stat *st)
{
    return sh && fd > 2 && fd != lock_fd && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_nlink > 0;
}

static bool watched(int dir, const char *path)
{
    /* What is named from a directory is in the store; of whole paths those below. Logs, and what SQLite maps, hold
     * nothing. */
    size_t n = sh ? strlen(path) : 0;
    if (!sh || (dir == AT_FDCWD && strncmp(path, sh->under, strlen(sh->under)) != 0))
        return false;
    return !strstr(path, "/log/") && (n < 4 || strcmp(path + n - 4, "-shm") != 0);
}

/* The directory of a path, and its last name. */
static uint64_t place(int dir, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    struct stat st;
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    *name = slash ? slash + 1 : path;
    return fstatat(dir, parent, &st, 0) == 0 ? st.st_ino : 0;
}

/* ---- The calls ------------------------------------------------------------------------------------- */

static ssize_t put(int fd, const void *p, size_t n, off_t at, bool positioned, long flags)
{
    struct stat st;
    bool file = plain_file(fd, &st), wire = !file && sh && !positioned && fd > 2 && line(fd);
    ssize_t done = -1;
    bool go = (!file && !wire) || enter(wire ? 'N' : 'W', file ? st.st_ino : 0);
    if (go) {
        if (file && !positioned) {
            at = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND ? st.st_size : syscall(SYS_lseek, fd, 0, SEEK_CUR);
            done = syscall(SYS_write, fd, p, n);
        } else if (file || positioned) {
            done = syscall(SYS_pwrite64, fd, p, n, at);
        } else if (flags >= 0) {
            done = syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
        } else {
            done = syscall(SYS_write, fd, p, n);
        }
        int saved = errno;
        if ((file || wire) && done > 0)
            record(file ? 'W' : 'N', file ? st.st_ino : 0, 0, (uint64_t)at, p, (size_t)done, NULL, 0);
        errno = saved;
    }
    if (file || wire)
        leave();
    return done;
}

ssize_t write(int fd, const void *p, size_t n)
{
    return put(fd, p, n, 0, false, -1);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return put(fd, p, n, at, true, -1);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return put(fd, p, n, at, true, -1);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    return put(fd, p, n, 0, false, flags);
}

/* A short write is one: the caller goes on. */
ssize_t writev(int fd, const struct iovec *v, int n)
{
    struct stat st;
    if (n > 0 && (plain_file(fd, &st) || (sh && fd > 2 && line(fd))))
        return put(fd, v->iov_base, v->iov_len, 0, false, -1);
    return syscall(SYS_writev, fd, v, n);
}

static int on_file(int kind, int fd, long call, uint64_t a, uint64_t b, uint64_t c)
{
    struct stat st;
    bool ours = sh && fd > 2 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && st.st_nlink > 0;
    int r = -1;
    if (!ours || enter(kind, 0))
        r = (int)syscall(call, fd, a, b, c);
    if (ours && (r == 0 || kind == 'S')) /* what a failed sync was for is lost: the next one does not know of it */
        record(r == 0 ? kind : 'E', st.st_ino, S_ISDIR(st.st_mode), a, NULL, 0, NULL, 0);
    if (ours)
        leave();
    return r;
}

int fsync(int fd)
{
    return on_file('S', fd, SYS_fsync, 0, 0, 0);
}

int fdatasync(int fd)
{
    return on_file('S', fd, SYS_fdatasync, 0, 0, 0);
}

int syncfs(int fd)
{
    return on_file('Y', fd, SYS_syncfs, 0, 0, 0);
}

int ftruncate(int fd, off_t n)
{
    return on_file('T', fd, SYS_ftruncate, (uint64_t)n, 0, 0);
}

int ftruncate64(int fd, off64_t n)
{
    return on_file('T', fd, SYS_ftruncate, (uint64_t)n, 0, 0);
}

static int named(int kind, int dir, const char *path, long flags, long mode)
{
    bool ours = watched(dir, path), created = false;
    struct stat st;
    int r = -1;
    bool there = ours && kind != 'U' && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    bool counts = ours && (!there || (kind == 'C' && flags & O_TRUNC));
    if (!counts || enter(kind, 0)) {
        if (kind == 'C')
            r = (int)syscall(SYS_openat, dir, path, flags, mode);
        else if (kind == 'D')
            r = (int)syscall(SYS_mkdirat, dir, path, mode);
        else
            r = (int)syscall(SYS_unlinkat, dir, path, flags);
        int saved = errno;
        created = kind == 'U'   ? r == 0
                  : kind == 'D' ? r == 0 && fstatat(dir, path, &st, 0) == 0
                                : r >= 0 && fstat(r, &st) == 0;
        if (counts && created) {
            const char *name;
            uint64_t in = place(dir, path, &name);
            record(kind, kind == 'U' ? 0 : st.st_ino, in, (uint64_t)mode, name, strlen(name), NULL, 0);
        }
        errno = saved;
    }
    if (counts)
        leave();
    return r;
}

static int opened(int dir, const char *path, int flags, va_list ap)
{
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    if (flags & (O_CREAT | O_TRUNC))
        return named('C', dir, path, flags, (long)mode);
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define OPEN(name, first, dir)                                                                                         \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        int fd = opened(dir, path, flags, ap);                                                                         \
        va_end(ap);                                                                                                    \
        return fd;                                                                                                     \
    }
int open(const char *path, int flags, ...) OPEN(open, path, AT_FDCWD) int open64(const char *path, int flags, ...)
    OPEN(open64, path, AT_FDCWD) int openat(int dir, const char *path, int flags, ...)
        OPEN(openat, path, dir) int openat64(int dir, const char *path, int flags, ...) OPEN(openat64, path, dir)

            int mkdirat(int dir, const char *path, mode_t mode)
{
    return named('D', dir, path, 0, (long)mode);
}

int mkdir(const char *path, mode_t mode)
{
    return named('D', AT_FDCWD, path, 0, (long)mode);
}

int unlinkat(int dir, const char *path, int flags)
{
    return named('U', dir, path, flags, 0);
}

int unlink(const char *path)
{
    return named('U', AT_FDCWD, path, 0, 0);
}

static int moved(int kind, int dir, const char *path, int dir2, const char *path2, unsigned flags)
{
    bool ours = watched(dir, path);
    int r = -1;
    if (!ours || enter(kind, 0))
        r = kind == 'R' ? (int)syscall(SYS_renameat2, dir, path, dir2, path2, flags)
                        : (int)syscall(SYS_linkat, dir, path, dir2, path2, flags);
    int saved = errno;
    if (ours && r == 0) {
        const char *name, *name2;
        uint64_t in = place(dir, path, &name), in2 = place(dir2, path2, &name2);
        record(kind, in, in2, 0, name, strlen(name), name2, strlen(name2));
    }
    errno = saved;
    if (ours)
        leave();
    return r;
}

int renameat2(int dir, const char *path, int dir2, const char *path2, unsigned flags)
{
    return moved('R', dir, path, dir2, path2, flags);
}

int renameat(int dir, const char *path, int dir2, const char *path2)
{
    return moved('R', dir, path, dir2, path2, 0);
}

int rename(const char *path, const char *path2)
{
    return moved('R', AT_FDCWD, path, AT_FDCWD, path2, 0);
}

int linkat(int dir, const char *path, int dir2, const char *path2, int flags)
{
    return moved('L', dir, path, dir2, path2, (unsigned)flags);
}

int link(const char *path, const char *path2)
{
    return moved('L', AT_FDCWD, path, AT_FDCWD, path2, 0);
}

time_t time(time_t *t)
{
    struct timespec now = {0};
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    now.tv_sec += sh ? sh->clock : 0;
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}

/* A program's environment is cleaned by who starts it: this library goes along. */
int execve(const char *path, char *const argv[], char *const envp[])
{
    size_t n = 0;
    while (envp[n])
        n++;
    char *env[n + 2];
    memcpy(env, envp, n * sizeof *env);
    env[n] = sh ? preload : NULL;
    env[n + 1] = NULL;
    return (int)syscall(SYS_execve, path, argv, env);
}
