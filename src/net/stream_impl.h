/* The inside of net/stream, for its own files only. */
#ifndef TUIMAIL_NET_STREAM_IMPL_H
#define TUIMAIL_NET_STREAM_IMPL_H

#include <poll.h>

#include "net/stream.h"

#define STREAM_ANSWER_MS 120000
#define STREAM_CONNECT_MS 60000
#define STREAM_IN_MAX (16u << 20) /* bytes that may lie unread in the buffer */
#define STREAM_CHUNK 65536u

/* ---- Waiting: the one place where this module sleeps -------------------------------------------- */
enum wait_result {
    WAIT_READY, /* an fd of the set has events */
    WAIT_WOKEN, /* on_wake ran and lets us go on; no fd is ready */
    WAIT_TIMEOUT,
    WAIT_CANCELED,
    WAIT_FAILED, /* poll itself: errno */
};
/* At most 14 fds; deadline -1: none; a deadline in the past looks once. */
enum wait_result net_wait(const struct stream_options *, struct pollfd *fds, unsigned n, int64_t deadline_ms);
/* As net_wait, but goes on after a wake and fills *err (ERR_TIMEOUT, ERR_CANCELED, ERR_IO); `what` names the thing
 * waited for. */
bool net_wait_ready(const struct stream_options *, struct pollfd *fds, unsigned n, int64_t deadline_ms,
                    const char *what, struct err *);

/* ---- Bytes through TLS, or not ------------------------------------------------------------------ */
enum io { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_EOF, IO_FAIL };

struct tls;
bool tls_setup(const char *ca_file, const char *cert_file, struct err *);
bool tls_showed_certificate(const struct tls *);
/* The fds stay the caller's. `host` as the user wrote it; NULL-safe pin. */
struct tls *tls_new(int rfd, int wfd, const char *host, const char *pin, struct err *);
void tls_free(struct tls **, bool say_goodbye);
/* One turn of the handshake; IO_OK only when it is done and the peer's identity is proven. */
enum io tls_handshake(struct tls *, struct err *);
enum io tls_read(struct tls *, char *p, size_t n, size_t *got_r, struct err *);
enum io tls_write(struct tls *, const char *p, size_t n, size_t *done_r, struct err *);
bool tls_key(const struct tls *, struct buf *out);
void tls_describe(const struct tls *, struct buf *out);
bool tls_channel_binding(const struct tls *, const char **type_r, struct buf *out);
void tls_wire_bytes(const struct tls *, uint64_t *in_r, uint64_t *out_r);

struct deflate;
struct stream {
    int rfd, wfd;
    char *host;
    struct stream_options opt; /* ca_file and pin are our own copies */
    char *pin;
    struct tls *tls;
    bool binding_off; /* no channel binding: the server does not know ours */
    struct deflate *deflate;
    int64_t deadline;      /* as set; -1 none */
    int64_t answer_from;   /* start of the answer, -1: `deadline` rules */
    uint64_t answer_bytes; /* of the wire, at its start */
    char *in;              /* in[in_at .. in_end) is unread */
    size_t in_at, in_end, in_cap, scanned;
    struct buf out;
    size_t out_at;                /* sent so far, while it is flushed */
    uint64_t bytes_in, bytes_out; /* without TLS */
    bool tunnel;                  /* a command's input and output */
    bool ended;                   /* end of file seen while data was still buffered */
    struct err broken;
};

/* One non-blocking read or write below compression; fills *err with IO_FAIL. */
enum io stream_raw_read(struct stream *, char *p, size_t n, size_t *got_r, struct err *);
enum io stream_raw_write(struct stream *, const char *p, size_t n, size_t *done_r, struct err *);
/* Remembers the error; returns false. */
bool stream_break(struct stream *, const struct err *);
struct stream *stream_new(int rfd, int wfd, const char *host, const struct stream_options *);
/* TLS on top of what is there, within the deadline of the stream. */
bool stream_secure(struct stream *, const char *host, struct err *);

void deflate_free(struct deflate **);
/* Reads through inflate: as stream_raw_read. */
enum io deflate_read(struct stream *, char *p, size_t n, size_t *got_r, struct err *);
/* Compresses `data` behind the end of `out`. */
bool deflate_add(struct deflate *, struct str data, struct buf *out);

#endif
