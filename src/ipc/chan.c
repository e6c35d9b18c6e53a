/* A channel: packets of an AF_UNIX SOCK_SEQPACKET socket, an fd beside some of them.
 *
 * Whatever the peer sends, no descriptor stays open that the caller was not given: all that arrive are collected first,
 * and one that is not expected ends the channel. */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_MAX (8u << 20)

struct packet {
    struct packet *next;
    int fd; /* ours until sent, or -1 */
    size_t n;
    char bytes[];
};

struct chan {
    int fd;
    enum role self, peer;
    bool broken; /* a packet could not be sent, or a bad one came: nothing more goes out */
    struct packet *head, **tail;
    size_t queued;
    struct buf out;
    char in[IPC_PACKET_MAX + 1];
};

struct chan *chan_new(int fd, enum role self, enum role peer)
{
    struct chan *c = mem_new(sizeof *c);
    c->fd = fd;
    c->self = self;
    c->peer = peer;
    c->tail = &c->head;
    buf_init(&c->out, IPC_PACKET_MAX);
    fd_cloexec(fd, true);
    return c;
}

static void queue_pop(struct chan *c)
{
    struct packet *p = c->head;
    c->head = p->next;
    if (c->head == NULL)
        c->tail = &c->head;
    c->queued -= p->n;
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

void chan_free(struct chan **chan)
{
    struct chan *c = *chan;
    if (c == NULL)
        return;
    *chan = NULL;
    while (c->head != NULL)
        queue_pop(c);
    buf_fini(&c->out);
    close(c->fd);
    free(c);
}

int chan_fd(const struct chan *c)
{
    return c->fd;
}

enum role chan_peer(const struct chan *c)
{
    return c->peer;
}

bool chan_wants_write(const struct chan *c)
{
    return c->head != NULL;
}

size_t chan_queued(const struct chan *c)
{
    return c->queued;
}

/* ---- Sending ---- */

/* 1: the socket took it; 0: it is full; -1: the channel is broken. */
static int packet_put(struct chan *c, const char *bytes, size_t n, int fd, struct err *err)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_len = n};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;
    /* iov_base is not const in POSIX; sendmsg only reads it. */
    memcpy(&iov.iov_base, &bytes, sizeof iov.iov_base);
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        hdr.msg_control = control.room;
        hdr.msg_controllen = sizeof control.room;
        struct cmsghdr *cm = CMSG_FIRSTHDR(&hdr);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(cm), &fd, sizeof fd);
    }
    do
        sent = sendmsg(c->fd, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)n)
        return 1;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    c->broken = true;
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN))
        err_set(err, ERR_CHANNEL, "%s is gone", role_name(c->peer));
    else
        err_sys(err, ERR_CHANNEL, sent < 0 ? errno : EIO, "cannot send to %s", role_name(c->peer));
    return -1;
}

static bool packet_queue(struct chan *c, const char *bytes, size_t n, int fd, struct err *err)
{
    if (c->queued + n > QUEUE_MAX) {
        c->broken = true;
        return err_set(err, ERR_CHANNEL, "%s takes no messages", role_name(c->peer));
    }
    int own = -1;
    if (fd >= 0 && (own = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
        return err_sys(err, err_from_errno(errno), errno, "cannot pass a file to %s", role_name(c->peer));
    struct packet *p = mem_new(sizeof *p + n);
    p->fd = own;
    p->n = n;
    memcpy(p->bytes, bytes, n);
    *c->tail = p;
    c->tail = &p->next;
    c->queued += n;
    return true;
}

bool chan_send(struct chan *c, const struct msg *m, int fd, struct err *err)
{
    if (!msg_permitted(m->kind, c->self))
        bug("%s may not send %s", role_name(c->self), msg_name(m->kind));
    if (msg_carries_fd(m->kind) != (fd >= 0))
        bug("%s %s a descriptor", msg_name(m->kind), fd >= 0 ? "cannot carry" : "needs");
    if (c->broken)
        return err_set(err, ERR_CHANNEL, "%s is gone", role_name(c->peer));
    buf_reset(&c->out);
    if (!msg_encode(m, &c->out))
        bug("%s does not fit a packet", msg_name(m->kind));
    if (!chan_flush(c, err))
        return false;
    int taken = c->head == NULL ? packet_put(c, c->out.p, c->out.n, fd, err) : 0;
    return taken < 0 ? false : taken > 0 || packet_queue(c, c->out.p, c->out.n, fd, err);
}

bool chan_flush(struct chan *c, struct err *err)
{
    while (c->head != NULL) {
        struct packet *p = c->head;
        int taken = packet_put(c, p->bytes, p->n, p->fd, err);
        if (taken <= 0)
            return taken == 0;
        queue_pop(c);
    }
    return true;
}

/* Milliseconds for poll(2) until the deadline; -1 for ever. */
static int poll_ms(int64_t deadline_ms)
{
    if (deadline_ms < 0)
        return -1;
    int64_t left = deadline_ms - clock_mono_ms();
    return left <= 0 ? 0 : (int)MIN(left, INT32_MAX);
}

bool chan_drain(struct chan *c, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        if (!chan_flush(c, err))
            return false;
        if (c->head == NULL)
            return true;
        struct pollfd pfd = {.fd = c->fd, .events = POLLOUT};
        int ms = poll_ms(deadline_ms);
        if (poll(&pfd, 1, ms) == 0 && ms >= 0)
            return err_set(err, ERR_TIMEOUT, "%s takes no messages", role_name(c->peer));
    }
}

/* ---- Receiving ---- */

/* Collects every descriptor that came: the first is kept for the message, the others are closed and counted. */
static unsigned take_fds(struct msghdr *hdr, int *fd_r)
{
    unsigned n = 0;
    *fd_r = -1;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(hdr); cm != NULL; cm = CMSG_NXTHDR(hdr, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++, n++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cm) + i * sizeof fd, sizeof fd);
            if (n == 0)
                *fd_r = fd;
            else
                close(fd);
        }
    }
    return n;
}

static int recv_bad(struct chan *c, int fd, struct err *err)
{
    c->broken = true;
    if (fd >= 0)
        close(fd);
    err_prefix(err, "%s", role_name(c->peer));
    return -1;
}

int chan_recv(struct chan *c, struct msg *msg_r, struct err *err)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = c->in, .iov_len = sizeof c->in};
    struct msghdr hdr = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t n;
    int fd;
    *err = ERR_INIT;
    msg_r->kind = MSG_NONE;
    msg_r->fd = -1;
    do
        n = recvmsg(c->fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < 0 && errno == ECONNRESET)
        return -1;
    if (n < 0) {
        err_sys(err, ERR_CHANNEL, errno, "cannot receive");
        return recv_bad(c, -1, err);
    }
    unsigned nfds = take_fds(&hdr, &fd);
    if (n == 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if ((hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || nfds > 1) {
        err_set(err, ERR_CHANNEL, "packet too long, or with too many files");
        return recv_bad(c, fd, err);
    }
    if (!msg_decode((struct str){c->in, (size_t)n}, msg_r, err))
        return recv_bad(c, fd, err);
    if (!msg_permitted(msg_r->kind, c->peer)) {
        err_set(err, ERR_CHANNEL, "sent %s, which it may not", msg_name(msg_r->kind));
        msg_r->kind = MSG_NONE;
        return recv_bad(c, fd, err);
    }
    if (msg_carries_fd(msg_r->kind) != (fd >= 0)) {
        err_set(err, ERR_CHANNEL, "sent %s %s a file", msg_name(msg_r->kind), fd >= 0 ? "with" : "without");
        msg_r->kind = MSG_NONE;
        return recv_bad(c, fd, err);
    }
    msg_r->fd = fd;
    return 1;
}

int chan_wait(struct chan *c, int64_t deadline_ms, struct msg *msg_r, struct err *err)
{
    for (;;) {
        int got = chan_recv(c, msg_r, err);
        if (got != 0)
            return got;
        /* A peer that is gone shows as the end of the stream; what it sent before is read first. */
        struct err ignored = ERR_INIT;
        if (!c->broken)
            chan_flush(c, &ignored);
        struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
        if (c->head != NULL && !c->broken)
            pfd.events |= POLLOUT;
        int ms = poll_ms(deadline_ms);
        if (poll(&pfd, 1, ms) == 0 && ms >= 0 && clock_mono_ms() >= deadline_ms) {
            got = chan_recv(c, msg_r, err);
            return got;
        }
    }
}
