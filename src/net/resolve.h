/* Host names to addresses, in a child process: a dead resolver blocks for 10 s and more, and cannot be interrupted any
 * other way. */
#ifndef TUIMAIL_NET_RESOLVE_H
#define TUIMAIL_NET_RESOLVE_H

#include <sys/socket.h>

#include "base/base.h"
#include "net/stream.h"

#define RESOLVE_MAX 16 /* addresses kept of an answer (THREATS 167) */

struct resolved {
    struct {
        struct sockaddr_storage addr;
        socklen_t len;
    } at[RESOLVE_MAX];
    unsigned n;
};
/* Addresses of host for TCP to `port`, families taken in turn beginning with the resolver's first choice (RFC 8305 4).
 * A literal address needs no child. Waits until the deadline; polls the wake fd. ERR_DNS, ERR_TIMEOUT, ERR_CANCELED. */
bool resolve_host(const char *host, uint16_t port, int64_t deadline_ms, const struct stream_options *,
                  struct resolved *out_r, struct err *);

#endif
