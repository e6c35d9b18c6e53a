/* Channels in the loop. */
#include "store/server.h"

#include <poll.h>

#define RUN_MAX 128 /* messages of one peer in a turn, so that no peer starves another */
#define RUN_MAX_MS 10

struct peer {
    struct chan *chan;
    struct loop *loop;
    struct watch *watch, *again;
    const struct peer_ops *ops;
    void *arg;
    unsigned depth; /* callbacks under way: the memory must stay */
    bool freed, broken;
    struct err err;
};

static void peer_turn(void *arg, short revents);

static void events_set(struct peer *p)
{
    watch_events(p->watch, (short)(POLLIN | (chan_wants_write(p->chan) ? POLLOUT : 0)));
}

static void again_fired(void *arg)
{
    struct peer *p = arg;
    p->again = NULL;
    peer_turn(p, POLLIN);
}

static void again_soon(struct peer *p)
{
    if (!p->again)
        p->again = loop_after(p->loop, 0, again_fired, p);
}

struct peer *peer_new(struct loop *loop, int fd, enum role role, const struct peer_ops *ops, void *arg)
{
    struct peer *p = mem_new(sizeof *p);
    p->chan = chan_new(fd, ROLE_STORE, role);
    p->loop = loop;
    p->ops = ops;
    p->arg = arg;
    p->watch = loop_fd(loop, chan_fd(p->chan), POLLIN, peer_turn, p);
    return p;
}

static void destroy(struct peer *p)
{
    watch_free(&p->watch);
    watch_free(&p->again);
    chan_free(&p->chan);
    free(p);
}

void peer_free(struct peer **peer)
{
    struct peer *p = *peer;
    *peer = NULL;
    if (!p)
        return;
    if (p->depth) {
        p->freed = true;
        watch_events(p->watch, 0);
    } else {
        destroy(p);
    }
}

size_t peer_queued(const struct peer *p)
{
    return p ? chan_queued(p->chan) : 0;
}

void peer_send(struct peer *p, const struct msg *m, int fd)
{
    if (!p || p->freed || p->broken)
        return;
    if (log_wants(LOG_DEBUG)) {
        struct buf line = BUF_INIT(2000);
        msg_format(m, &line);
        log_msg(LOG_DEBUG, "to %s: %s", role_name(chan_peer(p->chan)), buf_z(&line));
        buf_fini(&line);
    }
    if (!chan_send(p->chan, m, fd, &p->err)) {
        p->broken = true;
        again_soon(p);
        return;
    }
    events_set(p);
}

/* One run of messages. Returns false when the peer is at its end. */
static bool receive(struct peer *p, bool *any)
{
    int64_t until = clock_mono_ms() + RUN_MAX_MS;
    for (unsigned i = 0; i < RUN_MAX; i++) {
        struct msg m;
        int n = chan_recv(p->chan, &m, &p->err);
        if (n < 0)
            return false;
        if (n == 0)
            return true;
        if (!*any && p->ops->begin)
            p->ops->begin(p->arg);
        *any = true;
        if (log_wants(LOG_DEBUG)) {
            struct buf line = BUF_INIT(2000);
            msg_format(&m, &line);
            log_msg(LOG_DEBUG, "from %s: %s", role_name(chan_peer(p->chan)), buf_z(&line));
            buf_fini(&line);
        }
        p->ops->message(p->arg, &m);
        if (p->freed || p->broken)
            return true;
        if (clock_mono_ms() >= until)
            break;
    }
    /* More may be in the socket; poll says so, and others have their turn first. */
    return true;
}

static void peer_turn(void *arg, short revents)
{
    struct peer *p = arg;
    bool any = false, open = true;
    p->depth++;
    if (!p->broken && chan_wants_write(p->chan) && !chan_flush(p->chan, &p->err))
        open = false;
    if (open && !p->broken && (revents & (POLLIN | POLLHUP | POLLERR)))
        open = receive(p, &any);
    if (any && p->ops->end)
        p->ops->end(p->arg);
    if (!p->freed && (!open || p->broken)) {
        watch_events(p->watch, 0);
        p->broken = true;
        p->ops->gone(p->arg, &p->err);
    } else if (!p->freed) {
        events_set(p);
    }
    p->depth--;
    if (p->freed && p->depth == 0)
        destroy(p);
}
