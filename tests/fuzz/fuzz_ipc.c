/* A packet from a taken-over peer: decodes or ends the channel, never more; what decodes has one encoding only. */
#include "ipc/ipc.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lists(struct str s)
{
    uint32_t lo, hi;
    for (size_t i = 0; i <= ipc_ids_count(s); i++)
        (void)ipc_ids_at(s, i);
    for (size_t i = 0; i <= ipc_ranges_count(s); i++)
        ipc_ranges_at(s, i, &lo, &hi);
}

/* The first byte says who sends; the rest is one packet. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf again = BUF_INIT(IPC_PACKET_MAX), line = BUF_INIT(65536);
    struct err err = ERR_INIT;
    struct msg m;
    int fds[2];
    if (size < 2 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return 0;
    enum role peer = (enum role)(data[0] % ROLE_COUNT);
    struct str packet = {(const char *)data + 1, size - 1};
    check_lists(packet);
    bool good = msg_decode(packet, &m, &err);
    if (good) {
        msg_format(&m, &line);
        if (!msg_encode(&m, &again) || !str_eq(buf_str(&again), packet))
            bug("%s has two encodings", msg_name(m.kind));
    }
    bool welcome = good && msg_permitted(m.kind, peer) && !msg_carries_fd(m.kind);
    struct chan *c = chan_new(fds[0], ROLE_STORE, peer);
    if (send(fds[1], packet.p, packet.n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)packet.n) {
        int got = chan_recv(c, &m, &err);
        if (got != (welcome ? 1 : -1))
            bug("a channel took what the decoder did not");
    }
    close(fds[1]);
    chan_free(&c);
    buf_fini(&again);
    buf_fini(&line);
    return 0;
}
