/* What belongs to the root: its lock, its socket, its logs. */
#include "spawn/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A name of this machine that outlives a change of its host name, and the host name for people: "ID HOST". */
static void machine(struct buf *out)
{
    char host[256] = "localhost";
    struct buf id = BUF_INIT(64);
    struct err ignored = ERR_INIT;
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        memcpy(host, "localhost", sizeof "localhost");
    bool has_id = fs_read("/etc/machine-id", 64, &id, &ignored) && str_trim(buf_str(&id)).n > 0;
    buf_adds(out, has_id ? str_trim(buf_str(&id)) : str_z(host));
    buf_addf(out, " %s", host);
    buf_fini(&id);
}

/* The file says "ID HOST PID\n" while held, and is empty when the last holder ended in order. */
static bool held_elsewhere(int fd, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(1024), own = BUF_INIT(512);
    struct str id, host = {NULL, 0}, own_id = {NULL, 0};
    struct err ignored = ERR_INIT;
    bool other = false;
    machine(&own);
    if (lseek(fd, 0, SEEK_SET) == 0 && fs_read_fd(fd, 1024, &text, &ignored)) {
        struct str rest = buf_str(&text), own_rest = buf_str(&own);
        bool said = rest.n > 0 && str_split(&rest, ' ', &id) && str_split(&rest, ' ', &host);
        other = said && str_split(&own_rest, ' ', &own_id) && !str_eq(id, own_id);
    }
    if (other) {
        struct buf name = BUF_INIT(200);
        text_from_bytes(host, TEXT_LINE, &name);
        err_set(err, ERR_STORE_LOCKED, "the store is held on the host %s; if tuimail does not run there, remove %s",
                buf_z(&name), path);
        buf_fini(&name);
    }
    buf_fini(&text);
    buf_fini(&own);
    return other;
}

int lock_take(const char *root, int *fd_r, struct err *err)
{
    char *path = path_join(root, "lock");
    int status = 0, fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct buf own = BUF_INIT(512);
    if (fd < 0) {
        err_sys(err, err_from_errno(errno), errno, "cannot open %s", path);
        status = SPAWN_FAILED + (int)err->kind;
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        status = held_elsewhere(fd, path, err) ? SPAWN_FAILED + (int)err->kind : SPAWN_BUSY;
    } else if (held_elsewhere(fd, path, err)) {
        status = SPAWN_FAILED + (int)err->kind;
    } else {
        machine(&own);
        buf_addf(&own, " %ld\n", (long)getpid());
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0 || !fs_write_all(fd, buf_str(&own), err)) {
            err_sys(err, err_from_errno(errno), errno, "cannot write %s", path);
            status = SPAWN_FAILED + (int)err->kind;
        }
    }
    if (status != 0 && fd >= 0)
        close(fd);
    else
        *fd_r = fd;
    buf_fini(&own);
    free(path);
    return status;
}

void lock_drop(int fd)
{
    if (ftruncate(fd, 0) != 0)
        log_msg(LOG_WARN, "cannot empty the lock");
    close(fd);
}

int listen_at(const char *path, struct err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof un.sun_path) {
        err_set(err, ERR_CONFIG, "the path of the socket is too long: %s; set XDG_RUNTIME_DIR to a shorter one", path);
        return -1;
    }
    memcpy(un.sun_path, path, n + 1);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(077);
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&un, sizeof un) == 0 && listen(fd, 64) == 0;
    int errnum = errno;
    umask(old);
    if (ok)
        return fd;
    if (fd >= 0)
        close(fd);
    err_sys(err, err_from_errno(errnum), errnum, "cannot listen at %s", path);
    return -1;
}

int log_file(const char *root, const char *name)
{
    struct err err = ERR_INIT;
    char *dir = path_join(root, "log");
    struct buf path = BUF_INIT(8192), old = BUF_INIT(8192);
    struct stat st;
    int fd = -1;
    buf_addf(&path, "%s/%s.log", dir, name);
    buf_addf(&old, "%s.1", buf_z(&path));
    if (fs_mkdir_private(dir, &err) && !path.full && !old.full) {
        if (lstat(buf_z(&path), &st) == 0 && st.st_size > SPAWN_LOG_MAX)
            rename(buf_z(&path), buf_z(&old));
        fd = open(buf_z(&path), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    buf_fini(&path);
    buf_fini(&old);
    free(dir);
    return fd;
}

void status_word(int status, char out[64])
{
    const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    if (WIFEXITED(status))
        snprintf(out, 64, "exit status %d", WEXITSTATUS(status));
    else if (name != NULL)
        snprintf(out, 64, "signal %s", name);
    else
        snprintf(out, 64, "signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}
