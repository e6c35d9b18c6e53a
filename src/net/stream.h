/* net/stream: a connection with deadlines, cancellation and limits: TCP or a command's pipes, TLS by OpenSSL on top.
 *
 * Used by `fetch`, `send` and `sieve`. All calls block until done, the deadline, or a cancel; each wait also polls
 * `wake_fd` (the channel): when it becomes readable `on_wake` runs (it must take what made the fd readable), and when
 * that returns true the call ends with ERR_CANCELED. After any error the connection is unusable: every later call fails
 * with the same error; close it. SIGPIPE is ignored process-wide. Bytes read are hostile. TLS: >= 1.2, SNI, chain and
 * host name verified always; a pin replaces chain and name, never adds trust to another key. RFC 8446, 6125, 8314. */
#ifndef TUIMAIL_NET_STREAM_H
#define TUIMAIL_NET_STREAM_H

#include "base/base.h"
#include "conf/conf.h"

struct stream;
struct stream_options {
    int connect_ms;        /* DNS + TCP + TLS in all; 0: 60,000 */
    int answer_ms;         /* whole answer; 0: 120,000 */
    const char *ca_file;   /* "" the system's; else it replaces those; read before the sandbox by stream_setup */
    const char *cert_file; /* "" or NULL: none; the client's certificate, read by stream_setup */
    const char *pin;       /* "" or sha256/BASE64 of the SubjectPublicKeyInfo; several separated by blanks or commas */
    int wake_fd;           /* -1 none */
    bool (*on_wake)(void *arg);
    bool (*on_rest)(void *arg); /* or NULL: called before each wait, does a few milliseconds of work; true: has more */
    void *arg;
};
/* Loads CA store, providers, resolver and charset data so that a sandbox may be entered after it. Once per process. */
bool stream_setup(const struct stream_options *, struct err *);
/* Resolves in a child process with a deadline (a dead resolver must not hang us), tries the addresses in turn within
 * one total deadline (RFC 8305 order), then TLS where `ep->tls` is TLS_IMPLICIT. Errors: ERR_DNS, ERR_CONNECT,
 * ERR_TIMEOUT, ERR_TLS*, ERR_CANCELED. */
struct stream *stream_open(const struct endpoint *ep, const struct stream_options *, struct err *);
/* The private key of cert_file as PEM, with its password (or NULL), for every connection from now on. Once per process;
 * both stay the caller's. ERR_SECRET: unreadable, another key, a wrong password. */
bool stream_private_key(const struct secret *pem, const struct secret *password, struct err *);
bool stream_has_private_key(void);
/* The line is a command's standard input and output, whose other end is `fd` (taken over): as stream_open from there.
 */
struct stream *stream_tunnel(int fd, const struct endpoint *ep, const struct stream_options *, struct err *);
/* From two fds of our own (tests); takes them over. */
struct stream *stream_from_fds(int rfd, int wfd, const struct stream_options *);
void stream_close(struct stream **); /* NULL-safe; never waits */
/* STARTTLS/STLS: ERR_PROTOCOL when bytes are left unread in the buffer (injection). */
bool stream_starttls(struct stream *, const char *host, struct err *);
bool stream_is_tls(const struct stream *);
bool stream_is_tunnel(const struct stream *);
bool stream_showed_certificate(const struct stream *); /* the server asked for ours and got it */
/* "sha256/PIN": the key of the server, whose identity is proven; false without TLS. */
bool stream_key(const struct stream *, struct buf *out);
/* "TLS 1.3, AES-256-GCM, issued by ..., sha256/PIN" for doctor; "" without TLS. */
void stream_describe(const struct stream *, struct buf *out);
/* Channel binding data for SCRAM-PLUS: tls-exporter (1.3; RFC 9266), tls-unique (1.2 with extended master secret) or
 * tls-server-end-point (RFC 5929); false where none. */
bool stream_channel_binding(const struct stream *, const char **type_r, struct buf *out);
void stream_channel_binding_off(struct stream *); /* the server does not know ours: none from here on */

void stream_deadline(struct stream *, int64_t mono_ms); /* of everything that follows; -1 none */
/* A new answer begins: it may take answer_ms in all, and a second more for each KiB that crosses the wire (a slow line
 * may carry a large body; one byte every two seconds may not: THREATS 28). Replaces the deadline; in force when a
 * stream is new. */
void stream_answer(struct stream *);
/* Sends what is written (also what on_wake writes meanwhile), then waits until at least one more byte has been read;
 * end of file is ERR_LINE. ERR_LIMIT when 16 MiB lie untaken. */
bool stream_fill(struct stream *, struct err *);
struct str
stream_peek(const struct stream *); /* bytes read and not taken; borrowed until the next fill, line or flush */
void stream_take(struct stream *, size_t n);
/* A line without its CRLF (a bare LF ends one too), at most `max` bytes else ERR_LIMIT; borrowed until the next stream
 * call. */
bool stream_line(struct stream *, size_t max, struct str *line_r, struct err *);
/* Data or end there? Waits until the deadline, or until `on_wake` has run once (then *yes_r is false). A cancel here
 * leaves the stream usable. */
bool stream_readable(struct stream *, int64_t deadline_ms, bool *yes_r, struct err *);
/* Buffered; stream_flush (or the next wait for an answer) sends. stream_write flushes by itself beyond 64 KiB. While
 * the line takes nothing, what the server sends is read into the buffer, so that two full pipes cannot block each
 * other. What is sent is wiped from memory. */
bool stream_write(struct stream *, struct str, struct err *);
bool stream_printf(struct stream *, struct err *, const char *fmt, ...) PRINTF(3, 4);
bool stream_flush(struct stream *, struct err *);
int stream_fd(const struct stream *);
uint64_t stream_bytes_in(const struct stream *);
uint64_t stream_bytes_out(const struct stream *);
/* Inserts DEFLATE (RFC 4978) from the next byte on; ERR_LIMIT when the server's data inflate beyond 1:200 (a bomb).
 * False with ERR_CONFIG where built without zlib: see stream_can_compress. */
bool stream_can_compress(void);
bool stream_compress(struct stream *, struct err *);

#endif
