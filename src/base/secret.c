/* Secrets: their own pages, locked where allowed, kept out of cores, wiped. */
#include "base/base.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SECRET_MAP = 16384 }; /* SECRET_MAX + NUL, in whole pages */

struct secret secret_new(struct str s)
{
    char *p = mmap(NULL, SECRET_MAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        bug("no memory for a secret");
    (void)mlock(p, SECRET_MAP);
#ifdef MADV_DONTDUMP
    (void)madvise(p, SECRET_MAP, MADV_DONTDUMP);
#endif
    size_t n = MIN(s.n, (size_t)SECRET_MAX);
    if (n)
        memcpy(p, s.p, n);
    p[n] = '\0';
    return (struct secret){.p = p, .n = n};
}

void secret_free(struct secret *s)
{
    if (!s->p)
        return;
    explicit_bzero(s->p, SECRET_MAP);
    munmap(s->p, SECRET_MAP);
    *s = (struct secret){.p = NULL};
}

/* Reads to the end of the file, the deadline or, with `line`, the first line end; more than that is not kept. */
static bool read_into(int fd, int64_t deadline_ms, bool line, struct secret *into, struct err *err)
{
    bool ended = false;
    while (!ended && into->n < SECRET_MAX) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0)
            return err_set(err, ERR_SECRET, "the password did not come in time");
        int ready = poll(&pfd, 1, (int)MIN(left, (int64_t)60000));
        if (ready < 0 && errno != EINTR)
            return err_sys(err, ERR_SECRET, errno, "cannot wait for the password");
        if (ready <= 0)
            continue;
        ssize_t n = read(fd, into->p + into->n, SECRET_MAX - into->n);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return err_sys(err, ERR_SECRET, errno, "cannot read the password");
        ended = n == 0 || (line && memchr(into->p + into->n, '\n', (size_t)n));
        into->n += (size_t)n;
    }
    if (!ended)
        return err_set(err, ERR_SECRET, "the password is longer than %d bytes", SECRET_MAX);
    char *end = line ? memchr(into->p, '\n', into->n) : NULL;
    if (end)
        into->n = (size_t)(end - into->p);
    if (into->n && into->p[into->n - 1] == '\r')
        into->n--;
    if (into->n == 0)
        return err_set(err, ERR_SECRET, "the password is empty");
    if (memchr(into->p, '\0', into->n))
        return err_set(err, ERR_SECRET, "the password holds a NUL byte");
    explicit_bzero(into->p + into->n, SECRET_MAP - into->n);
    return true;
}

static bool read_secret(int fd, int64_t deadline_ms, bool line, struct secret *secret_r, struct err *err)
{
    struct secret s = secret_new((struct str){NULL, 0});
    fd_nonblock(fd, true); /* a pipe shared with the command: harmless to it, it only writes */
    bool ok = read_into(fd, deadline_ms, line, &s, err);
    close(fd);
    if (ok)
        *secret_r = s;
    else
        secret_free(&s);
    return ok;
}

bool secret_read(int fd, int64_t deadline_ms, struct secret *secret_r, struct err *err)
{
    return read_secret(fd, deadline_ms, true, secret_r, err);
}

bool secret_read_all(int fd, int64_t deadline_ms, struct secret *secret_r, struct err *err)
{
    return read_secret(fd, deadline_ms, false, secret_r, err);
}
