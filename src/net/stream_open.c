/* Connecting: addresses tried with a short head start each, all within one total deadline (RFC 8305), then TLS. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/resolve.h"
#include "net/stream_impl.h"

#define STAGGER_MS 250
#define RACE_MAX 8 /* attempts at the same time */

struct race {
    const struct resolved *to;
    unsigned next; /* address not yet tried */
    struct pollfd at[RACE_MAX];
    unsigned n;
    int last_errno;
};

bool stream_setup(const struct stream_options *o, struct err *err)
{
    signal(SIGPIPE, SIG_IGN);
    return tls_setup(o->ca_file != NULL ? o->ca_file : "", o->cert_file != NULL ? o->cert_file : "", err);
}

/* Starts the next address; true when it is connected already (a local one may be). */
static bool race_start(struct race *r, int *fd_r)
{
    const struct sockaddr *a = (const struct sockaddr *)&r->to->at[r->next].addr;
    socklen_t len = r->to->at[r->next].len;
    r->next++;
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        r->last_errno = errno;
        return false;
    }
    if (connect(fd, a, len) == 0) {
        *fd_r = fd;
        return true;
    }
    if (errno != EINPROGRESS && errno != EINTR) {
        r->last_errno = errno;
        close(fd);
        return false;
    }
    r->at[r->n++] = (struct pollfd){.fd = fd, .events = POLLOUT};
    return false;
}

/* Takes one attempt that has ended off the field; true when it has won. */
static bool race_collect(struct race *r, int *fd_r)
{
    for (unsigned i = 0; i < r->n; i++) {
        if (r->at[i].revents == 0)
            continue;
        int fd = r->at[i].fd, e = 0;
        socklen_t len = sizeof e;
        r->at[i] = r->at[--r->n];
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0 && e == 0) {
            *fd_r = fd;
            return true;
        }
        r->last_errno = e != 0 ? e : errno;
        close(fd);
        i--;
    }
    return false;
}

static bool race_run(struct race *r, const char *host, unsigned port, int64_t deadline, const struct stream_options *o,
                     int *fd_r, struct err *err)
{
    int64_t start_next = 0;
    for (;;) {
        int64_t now = clock_mono_ms();
        if (now >= deadline)
            return err_set(err, ERR_TIMEOUT, "%s port %u: no connection in time", host, port);
        bool more = r->next < r->to->n && r->n < RACE_MAX;
        if (more && (r->n == 0 || now >= start_next)) {
            if (race_start(r, fd_r))
                return true;
            start_next = now + STAGGER_MS;
            continue;
        }
        if (r->n == 0)
            return err_sys(err, ERR_CONNECT, r->last_errno, "%s port %u", host, port);
        switch (net_wait(o, r->at, r->n, more ? MIN(deadline, start_next) : deadline)) {
        case WAIT_CANCELED:
            return err_set(err, ERR_CANCELED, "canceled");
        case WAIT_FAILED:
            return err_sys(err, ERR_IO, errno, "%s port %u: poll", host, port);
        case WAIT_READY:
            if (race_collect(r, fd_r))
                return true;
            break;
        case WAIT_WOKEN:
        case WAIT_TIMEOUT:
            break;
        }
    }
}

/* Small commands go out at once; a dead link shows itself within about a minute (THREATS 58, 166). All best effort. */
static void tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},          {SOL_SOCKET, SO_KEEPALIVE, 1},
#ifdef TCP_KEEPIDLE
        {IPPROTO_TCP, TCP_KEEPIDLE, 60},        {IPPROTO_TCP, TCP_KEEPINTVL, 15}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
#endif
#ifdef TCP_USER_TIMEOUT
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000},
#endif
    };
    for (size_t i = 0; i < COUNT(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static int connect_ms(const struct stream_options *o)
{
    return o->connect_ms > 0 ? o->connect_ms : STREAM_CONNECT_MS;
}

/* TLS from the first byte where the URL says so. */
static struct stream *ready(struct stream *s, const struct endpoint *ep, int64_t deadline, struct err *err)
{
    stream_deadline(s, deadline);
    if (ep->tls == TLS_IMPLICIT && !stream_secure(s, ep->host, err))
        stream_close(&s);
    else
        stream_answer(s);
    return s;
}

struct stream *stream_open(const struct endpoint *ep, const struct stream_options *o, struct err *err)
{
    int64_t deadline = clock_mono_ms() + connect_ms(o);
    struct resolved to = {.n = 0};
    if (!resolve_host(ep->host, ep->port, deadline, o, &to, err))
        return NULL;
    struct race race = {.to = &to};
    int fd = -1;
    bool won = race_run(&race, ep->host, ep->port, deadline, o, &fd, err);
    for (unsigned i = 0; i < race.n; i++)
        close(race.at[i].fd);
    if (!won)
        return NULL;
    tune(fd);
    return ready(stream_new(fd, fd, ep->host, o), ep, deadline, err);
}

struct stream *stream_tunnel(int fd, const struct endpoint *ep, const struct stream_options *o, struct err *err)
{
    fd_nonblock(fd, true);
    struct stream *s = stream_new(fd, fd, ep->host, o);
    s->tunnel = true;
    return ready(s, ep, clock_mono_ms() + connect_ms(o), err);
}
