/* net/stream: a connection with deadlines, cancellation and limits: TCP or a command's pipes, TLS by OpenSSL on top.
 *
 * Used by `fetch` and `send`. All calls block until done, the deadline, or a cancel; each wait also polls `wake_fd` (the channel): when it
 * becomes readable `on_wake` runs, and when that returns true the call ends with ERR_CANCELED (the connection is then unusable: close it).
 * Bytes read are hostile. TLS: >= 1.2, SNI, chain and host name verified always; a pin replaces chain and name, never adds trust to another key.
 * RFC 8446, 6125, 8314. */
#ifndef TUIMAIL_NET_STREAM_H
#define TUIMAIL_NET_STREAM_H

#include "base/base.h"
#include "conf/conf.h"

struct stream;
struct stream_options {
    int connect_ms;      /* DNS + TCP + TLS in all; default 60,000 */
    int answer_ms;       /* whole answer; default 120,000 */
    const char *ca_file; /* "" the system's; read before the sandbox by stream_setup */
    const char *pin;     /* "" or sha256/BASE64 of the SubjectPublicKeyInfo */
    int wake_fd;         /* -1 none */
    bool (*on_wake)(void *arg);
    void *arg;
};
/* Loads CA store, providers, resolver and charset data so that a sandbox may be entered after it. Once per process. */
bool stream_setup(const struct stream_options *, struct err *);
/* Resolves in a child process with a deadline (a dead resolver must not hang us), tries the addresses in turn within one total deadline
 * (RFC 8305 order), then TLS where `ep->tls` is TLS_IMPLICIT. Errors: ERR_DNS, ERR_CONNECT, ERR_TIMEOUT, ERR_TLS*, ERR_CANCELED. */
struct stream *stream_open(const struct endpoint *ep, const struct stream_options *, struct err *);
/* From two fds of our own (tests, tunnels); takes them over. */
struct stream *stream_from_fds(int rfd, int wfd, const struct stream_options *);
void stream_close(struct stream **);                  /* NULL-safe; never waits */
/* STARTTLS/STLS: ERR_PROTOCOL when bytes are left unread in the buffer (injection). */
bool stream_starttls(struct stream *, const char *host, struct err *);
bool stream_is_tls(const struct stream *);
/* "TLS 1.3, AES-256-GCM, issued by ..., sha256/PIN" for doctor; "" without TLS. */
void stream_describe(const struct stream *, struct buf *out);
/* Channel binding data for SCRAM-PLUS: tls-exporter (1.3) or tls-unique; false where none. */
bool stream_channel_binding(const struct stream *, const char **type_r, struct buf *out);

void stream_deadline(struct stream *, int64_t mono_ms); /* of everything that follows; -1 none */
/* Bytes already read and not taken; fills until at least one byte is there. n = 0 never returned with true; end of file is ERR_LINE. */
bool stream_fill(struct stream *, struct err *);
struct str stream_peek(const struct stream *);        /* borrowed until the next fill or take */
void stream_take(struct stream *, size_t n);
/* A line without its CRLF (a bare LF ends one too), at most `max` bytes else ERR_LIMIT; borrowed until the next stream call. */
bool stream_line(struct stream *, size_t max, struct str *line_r, struct err *);
bool stream_readable(struct stream *, int64_t deadline_ms, bool *yes_r, struct err *); /* data or end there? waits until the deadline */
/* Buffered; stream_flush sends. stream_write flushes by itself beyond 64 KiB. */
bool stream_write(struct stream *, struct str, struct err *);
bool stream_printf(struct stream *, struct err *, const char *fmt, ...) PRINTF(3, 4);
bool stream_flush(struct stream *, struct err *);
int stream_fd(const struct stream *);
uint64_t stream_bytes_in(const struct stream *);
uint64_t stream_bytes_out(const struct stream *);
/* Inserts DEFLATE (RFC 4978) from the next byte on. */
bool stream_compress(struct stream *, struct err *);

#endif
