/* net/line: an account's line, open up to its greeting, with what its login needs: through its tunnel command or to its
 * host and port, with its client certificate. For all protocols alike. Used by
 * `fetch`, `send` and `sieve`. */
#ifndef TUIMAIL_NET_LINE_H
#define TUIMAIL_NET_LINE_H

#include "conf/conf.h"
#include "net/stream.h"

struct line_way {
    const struct account *account;
    enum service service;
    const struct stream_options *options;
    /* Gets what only `spawn` can (another program's fd), which the caller then owns. refused: the server did not take
     * the last access token. Blocks. */
    bool (*ask)(void *arg, enum need, bool refused, int *fd_r, struct err *);
    void *arg;
};
/* Asks for the secret of the login where it needs one and it is not there (p NULL). line_open does it by itself. */
bool line_secret(const struct line_way *, struct secret *, struct err *);
/* `secret` is asked for where the login needs one and it is not there (p NULL); it stays NULL where it needs none.
 * Blocks as stream_open does. ERR_SECRET, what `ask` says, and the errors of stream_open. */
bool line_open(const struct line_way *, struct secret *, struct stream **stream_r, struct err *);
/* After a login that failed with *err: was it an access token that the server refused? Then a fresh one is asked for,
 * and true means: open the line and log in again, once. Else false with *err as it was, or ERR_TOKEN, which names what
 * the user can do. The refused secret is wiped. */
bool line_again(const struct line_way *, struct secret *, struct err *);
/* The same after the second try: false, with ERR_TOKEN. */
bool line_refused(const struct line_way *, struct secret *, struct err *);
#endif
