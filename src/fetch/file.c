/* Cached bodies: opening them for the store by the path that BODY_AT named. */
#include "fetch/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* "BOXKEY/UID" and nothing else: hex digits, a slash, digits. */
static bool path_ok(struct str path)
{
    size_t i = 0, slash;
    if (!str_find(path, '/', &slash) || slash != 32 || path.n < 34 || path.n > 43)
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

static bool step_file_open(struct fetch *f, struct msg *m, struct err *err)
{
    struct str path = m->u.STEP_FILE_OPEN.path;
    if (!path_ok(path))
        return err_set(err, ERR_CHANNEL, "no path of a cached message");
    char *copy = mem_dup_n(path.p, path.n);
    copy[32] = 0;
    int fd = open_below(f->account_fd, copy, copy + 33);
    int saved = errno;
    free(copy);
    if (fd < 0 && saved == ENOENT)
        return err_set(err, ERR_NO_MESSAGE, "the cached message is gone");
    if (fd < 0)
        return err_sys(err, err_from_errno(saved), saved, "cached message");
    bool ok = FETCH_SEND_FD(f, fd, err, MAILDIR_FD, .step = fetch_step(f), .name = path);
    close(fd);
    return ok;
}

const struct step_handler file_steps[] = {{MSG_STEP_FILE_OPEN, step_file_open, NULL}, {MSG_NONE, NULL, NULL}};
