/* The connection: buffers, deadlines, waiting. Contract in the header; TLS, connecting and DEFLATE have files of their
 * own. */
#include "net/stream.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream_impl.h"

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

enum wait_result net_wait(const struct stream_options *o, struct pollfd *fds, unsigned n, int64_t deadline_ms)
{
    struct pollfd all[16];
    bool wake = o->wake_fd >= 0 && o->on_wake != NULL;
    if (n > COUNT(all) - 1)
        bug("net_wait: %u fds", n);
    for (;;) {
        int timeout = -1;
        if (deadline_ms >= 0) {
            int64_t left = deadline_ms - clock_mono_ms();
            timeout = (int)MAX(MIN(left, (int64_t)INT32_MAX), (int64_t)0);
        }
        if (timeout != 0 && o->on_rest != NULL && o->on_rest(o->arg))
            timeout = 0;
        if (n > 0)
            memcpy(all, fds, n * sizeof *fds);
        if (wake)
            all[n] = (struct pollfd){.fd = o->wake_fd, .events = POLLIN};
        int got = poll(all, n + (wake ? 1u : 0u), timeout);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return WAIT_FAILED;
        if (wake && all[n].revents != 0) {
            if (o->on_wake(o->arg))
                return WAIT_CANCELED;
            if (--got == 0)
                return WAIT_WOKEN;
        }
        if (n > 0)
            memcpy(fds, all, n * sizeof *fds);
        if (got > 0)
            return WAIT_READY;
        if (deadline_ms >= 0 && deadline_ms - clock_mono_ms() <= 0)
            return WAIT_TIMEOUT;
    }
}

static bool wait_failed(enum wait_result r, const char *what, struct err *err)
{
    switch (r) {
    case WAIT_READY:
    case WAIT_WOKEN:
        break;
    case WAIT_TIMEOUT:
        return err_set(err, ERR_TIMEOUT, "%s: no answer in time", what);
    case WAIT_CANCELED:
        return err_set(err, ERR_CANCELED, "canceled");
    case WAIT_FAILED:
        return err_sys(err, ERR_IO, errno, "%s: poll", what);
    }
    return true;
}

bool net_wait_ready(const struct stream_options *o, struct pollfd *fds, unsigned n, int64_t deadline_ms,
                    const char *what, struct err *err)
{
    enum wait_result r;
    while ((r = net_wait(o, fds, n, deadline_ms)) == WAIT_WOKEN)
        ;
    return wait_failed(r, what, err);
}

static uint64_t wire_bytes(const struct stream *s)
{
    return stream_bytes_in(s) + stream_bytes_out(s);
}

static int64_t limit_now(const struct stream *s)
{
    if (s->answer_from < 0)
        return s->deadline;
    uint64_t more = wire_bytes(s) - s->answer_bytes;
    return s->answer_from + s->opt.answer_ms + (int64_t)(more * 1000 / 1024);
}

bool stream_break(struct stream *s, const struct err *err)
{
    if (s->broken.kind == ERR_NONE)
        s->broken = *err;
    return false;
}

static bool is_broken(const struct stream *s, struct err *err)
{
    if (s->broken.kind == ERR_NONE)
        return false;
    *err = s->broken;
    return true;
}

static bool wait_for(struct stream *s, int fd, short events, struct err *err)
{
    struct pollfd p = {.fd = fd, .events = events};
    return net_wait_ready(&s->opt, &p, 1, limit_now(s), s->host, err) || stream_break(s, err);
}

/* A line that never runs dry would never wait, and so never see a cancel or its deadline. */
static bool look_up(struct stream *s, struct err *err)
{
    int64_t limit = limit_now(s);
    if (limit >= 0 && clock_mono_ms() > limit) {
        err_set(err, ERR_TIMEOUT, "%s: the answer takes too long", s->host);
        return stream_break(s, err);
    }
    if (s->opt.wake_fd >= 0 && net_wait(&s->opt, NULL, 0, 0) == WAIT_CANCELED) {
        err_set(err, ERR_CANCELED, "canceled");
        return stream_break(s, err);
    }
    return true;
}

/* ---- Making and closing ------------------------------------------------------------------------- */

struct stream *stream_new(int rfd, int wfd, const char *host, const struct stream_options *o)
{
    struct stream *s = mem_new(sizeof *s);
    s->rfd = rfd;
    s->wfd = wfd;
    s->host = mem_dup_z(host);
    s->opt = *o;
    s->pin = mem_dup_z(o->pin != NULL ? o->pin : "");
    s->opt.pin = s->pin;
    s->opt.ca_file = s->opt.cert_file = NULL;
    if (s->opt.answer_ms <= 0)
        s->opt.answer_ms = STREAM_ANSWER_MS;
    s->in_cap = STREAM_CHUNK;
    s->in = mem_new(s->in_cap);
    buf_init(&s->out, STREAM_IN_MAX);
    stream_answer(s);
    return s;
}

struct stream *stream_from_fds(int rfd, int wfd, const struct stream_options *o)
{
    signal(SIGPIPE, SIG_IGN);
    fd_nonblock(rfd, true);
    fd_nonblock(wfd, true);
    return stream_new(rfd, wfd, "the server", o);
}

void stream_close(struct stream **sp)
{
    struct stream *s = *sp;
    if (s == NULL)
        return;
    tls_free(&s->tls, s->broken.kind == ERR_NONE);
    deflate_free(&s->deflate);
    close(s->rfd);
    if (s->wfd != s->rfd)
        close(s->wfd);
    explicit_bzero(s->in, s->in_cap);
    free(s->in);
    if (s->out.p != NULL)
        explicit_bzero(s->out.p, s->out.cap);
    buf_fini(&s->out);
    free(s->host);
    free(s->pin);
    free(s);
    *sp = NULL;
}

void stream_deadline(struct stream *s, int64_t mono_ms)
{
    s->deadline = mono_ms;
    s->answer_from = -1;
}

void stream_answer(struct stream *s)
{
    s->answer_from = clock_mono_ms();
    s->answer_bytes = wire_bytes(s);
}

/* ---- One step of reading and writing ------------------------------------------------------------ */

enum io stream_raw_read(struct stream *s, char *p, size_t n, size_t *got_r, struct err *err)
{
    if (s->tls != NULL)
        return tls_read(s->tls, p, n, got_r, err);
    for (;;) {
        ssize_t got = read(s->rfd, p, n);
        if (got > 0) {
            *got_r = (size_t)got;
            s->bytes_in += (uint64_t)got;
            return IO_OK;
        }
        if (got == 0)
            return IO_EOF;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return IO_WANT_READ;
        if (errno != EINTR) {
            err_sys(err, ERR_LINE, errno, "%s: the connection was lost", s->host);
            return IO_FAIL;
        }
    }
}

enum io stream_raw_write(struct stream *s, const char *p, size_t n, size_t *done_r, struct err *err)
{
    if (s->tls != NULL)
        return tls_write(s->tls, p, n, done_r, err);
    for (;;) {
        ssize_t done = write(s->wfd, p, n);
        if (done >= 0) {
            *done_r = (size_t)done;
            s->bytes_out += (uint64_t)done;
            return IO_OK;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return IO_WANT_WRITE;
        if (errno != EINTR) {
            err_sys(err, ERR_LINE, errno, "%s: the connection was lost", s->host);
            return IO_FAIL;
        }
    }
}

/* Room for at least one more chunk behind in_end. */
static bool in_reserve(struct stream *s, struct err *err)
{
    if (s->in_at == s->in_end) {
        s->in_at = s->in_end = s->scanned = 0;
        if (s->in_cap > 4 * STREAM_CHUNK) {
            s->in_cap = STREAM_CHUNK;
            s->in = mem_resize(s->in, s->in_cap, 1);
        }
    }
    if (s->in_cap - s->in_end >= STREAM_CHUNK / 2)
        return true;
    if (s->in_at > 0) {
        memmove(s->in, s->in + s->in_at, s->in_end - s->in_at);
        s->in_end -= s->in_at;
        s->scanned -= MIN(s->scanned, s->in_at);
        s->in_at = 0;
    }
    if (s->in_cap - s->in_end >= STREAM_CHUNK / 2)
        return true;
    if (s->in_cap >= STREAM_IN_MAX)
        return err_set(err, ERR_LIMIT, "%s sends more than %u bytes that nothing asked for", s->host, STREAM_IN_MAX);
    s->in_cap *= 2;
    s->in = mem_resize(s->in, s->in_cap, 1);
    return true;
}

/* Reads what is there without waiting: IO_OK when at least one byte came. */
static enum io read_some(struct stream *s, struct err *err)
{
    if (!in_reserve(s, err))
        return IO_FAIL;
    size_t got = 0;
    char *p = s->in + s->in_end;
    size_t room = s->in_cap - s->in_end;
    enum io r = s->deflate != NULL ? deflate_read(s, p, room, &got, err) : stream_raw_read(s, p, room, &got, err);
    if (r == IO_OK)
        s->in_end += got;
    else if (r == IO_EOF)
        s->ended = true;
    return r;
}

static bool end_of_file(struct stream *s, struct err *err)
{
    err_set(err, ERR_LINE, "%s closed the connection", s->host);
    return stream_break(s, err);
}

/* ---- Reading ------------------------------------------------------------------------------------ */

/* Waits for data; what `on_wake` has written is sent at once. */
static bool wait_to_read(struct stream *s, struct err *err)
{
    struct pollfd p = {.fd = s->rfd, .events = POLLIN};
    if (s->out.n > 0)
        return stream_flush(s, err);
    return wait_failed(net_wait(&s->opt, &p, 1, limit_now(s)), s->host, err) || stream_break(s, err);
}

bool stream_fill(struct stream *s, struct err *err)
{
    if (is_broken(s, err))
        return false;
    if (s->out.n > 0 && !stream_flush(s, err))
        return false;
    if (s->ended)
        return end_of_file(s, err);
    for (;;) {
        if (!look_up(s, err))
            return false;
        switch (read_some(s, err)) {
        case IO_OK:
            return true;
        case IO_EOF:
            return end_of_file(s, err);
        case IO_FAIL:
            return stream_break(s, err);
        case IO_WANT_READ:
            if (!wait_to_read(s, err))
                return false;
            break;
        case IO_WANT_WRITE:
            if (!wait_for(s, s->wfd, POLLOUT, err))
                return false;
            break;
        }
    }
}

struct str stream_peek(const struct stream *s)
{
    return (struct str){s->in + s->in_at, s->in_end - s->in_at};
}

void stream_take(struct stream *s, size_t n)
{
    if (n > s->in_end - s->in_at)
        bug("stream_take: %zu of %zu", n, s->in_end - s->in_at);
    s->in_at += n;
    if (s->scanned < s->in_at)
        s->scanned = s->in_at;
}

bool stream_line(struct stream *s, size_t max, struct str *line_r, struct err *err)
{
    if (is_broken(s, err))
        return false;
    for (;;) {
        if (s->scanned < s->in_at)
            s->scanned = s->in_at;
        const char *lf = s->in_end > s->scanned ? memchr(s->in + s->scanned, '\n', s->in_end - s->scanned) : NULL;
        size_t end = lf != NULL ? (size_t)(lf - s->in) : s->in_end;
        size_t n = end - s->in_at;
        if (n > 0 && s->in[end - 1] == '\r')
            n--; /* a CR at the buffer's end may be the line's: it does not count yet */
        if (n > max) {
            err_set(err, ERR_LIMIT, "%s sends a line over %zu bytes", s->host, max);
            return stream_break(s, err);
        }
        if (lf != NULL) {
            *line_r = (struct str){s->in + s->in_at, n};
            s->in_at = s->scanned = end + 1;
            return true;
        }
        s->scanned = s->in_end;
        if (!stream_fill(s, err))
            return false;
    }
}

bool stream_readable(struct stream *s, int64_t deadline_ms, bool *yes_r, struct err *err)
{
    *yes_r = false;
    if (is_broken(s, err))
        return false;
    if (s->out.n > 0 && !stream_flush(s, err))
        return false;
    for (;;) {
        if (s->in_end > s->in_at || s->ended) {
            *yes_r = true;
            return true;
        }
        /* Bytes may lie inside TLS or inflate where poll cannot see them, so reading comes before waiting. */
        struct pollfd p = {.fd = s->rfd, .events = POLLIN};
        switch (read_some(s, err)) {
        case IO_OK:
        case IO_EOF:
            continue;
        case IO_FAIL:
            return stream_break(s, err);
        case IO_WANT_READ:
            break;
        case IO_WANT_WRITE:
            p = (struct pollfd){.fd = s->wfd, .events = POLLOUT};
            break;
        }
        switch (net_wait(&s->opt, &p, 1, deadline_ms)) {
        case WAIT_READY:
            break;
        case WAIT_WOKEN:
        case WAIT_TIMEOUT:
            return true;
        case WAIT_CANCELED:
            return err_set(err, ERR_CANCELED, "canceled");
        case WAIT_FAILED:
            err_sys(err, ERR_IO, errno, "%s: poll", s->host);
            return stream_break(s, err);
        }
    }
}

/* ---- Writing ------------------------------------------------------------------------------------ */

/* Waits until the line takes bytes, reading meanwhile. `want` is what the last write asked for. */
static bool wait_to_write(struct stream *s, enum io want, struct err *err)
{
    bool reading = !s->ended && s->in_end - s->in_at < STREAM_IN_MAX / 2;
    struct pollfd p[2] = {{.fd = s->wfd, .events = want == IO_WANT_WRITE ? POLLOUT : 0},
                          {.fd = s->rfd, .events = reading || want == IO_WANT_READ ? POLLIN : 0}};
    if (!net_wait_ready(&s->opt, p, 2, limit_now(s), s->host, err))
        return stream_break(s, err);
    if (reading && (p[1].revents & (POLLIN | POLLHUP)) != 0 && read_some(s, err) == IO_FAIL)
        return stream_break(s, err);
    return true;
}

bool stream_flush(struct stream *s, struct err *err)
{
    if (is_broken(s, err))
        return false;
    /* Where it stands is the stream's: what on_wake writes meanwhile may flush too. */
    while (s->out_at < s->out.n) {
        size_t done = 0;
        if (!look_up(s, err))
            break;
        if (s->out_at == s->out.n)
            break;
        enum io r = stream_raw_write(s, s->out.p + s->out_at, s->out.n - s->out_at, &done, err);
        if (r == IO_OK) {
            s->out_at += done;
        } else if (r == IO_FAIL || r == IO_EOF) {
            if (r == IO_EOF)
                err_set(err, ERR_LINE, "%s closed the connection", s->host);
            stream_break(s, err);
            break;
        } else if (!wait_to_write(s, r, err)) {
            break;
        }
    }
    bool sent = s->out_at == s->out.n;
    if (s->out.n > 0)
        explicit_bzero(s->out.p, s->out.n);
    s->out.n = s->out_at = 0;
    return sent;
}

bool stream_write(struct stream *s, struct str data, struct err *err)
{
    if (is_broken(s, err))
        return false;
    while (data.n > 0) {
        struct str piece = str_sub(data, 0, STREAM_CHUNK);
        data = str_sub(data, piece.n, data.n);
        bool ok = s->deflate != NULL ? deflate_add(s->deflate, piece, &s->out) : buf_add(&s->out, piece.p, piece.n);
        if (!ok) {
            err_set(err, ERR_LIMIT, "%s: too much to send at once", s->host);
            return stream_break(s, err);
        }
        if (s->out.n > STREAM_CHUNK && !stream_flush(s, err))
            return false;
    }
    return true;
}

bool stream_printf(struct stream *s, struct err *err, const char *fmt, ...)
{
    struct buf b = BUF_INIT(1u << 20);
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_addv(&b, fmt, ap);
    va_end(ap);
    ok = ok ? stream_write(s, buf_str(&b), err) : err_set(err, ERR_LIMIT, "%s: a command over 1 MiB", s->host);
    if (b.p != NULL)
        explicit_bzero(b.p, b.cap);
    buf_fini(&b);
    return ok;
}

/* ---- TLS and what is known of the line ---------------------------------------------------------- */

bool stream_secure(struct stream *s, const char *host, struct err *err)
{
    s->tls = tls_new(s->rfd, s->wfd, host, s->pin, err);
    if (s->tls == NULL)
        return stream_break(s, err);
    for (;;) {
        switch (tls_handshake(s->tls, err)) {
        case IO_OK:
            return true;
        case IO_WANT_READ:
            if (!wait_for(s, s->rfd, POLLIN, err))
                return false;
            break;
        case IO_WANT_WRITE:
            if (!wait_for(s, s->wfd, POLLOUT, err))
                return false;
            break;
        case IO_EOF:
        case IO_FAIL:
            return stream_break(s, err);
        }
    }
}

bool stream_starttls(struct stream *s, const char *host, struct err *err)
{
    if (is_broken(s, err))
        return false;
    if (s->tls != NULL || s->deflate != NULL)
        bug("stream_starttls: the line is not bare");
    if (s->out.n > 0)
        bug("stream_starttls: %zu bytes not sent", s->out.n);
    if (s->in_end > s->in_at) {
        err_set(err, ERR_PROTOCOL, "%s sent plain text where encryption begins: somebody may have put it there", host);
        return stream_break(s, err);
    }
    if (s->ended)
        return end_of_file(s, err);
    return stream_secure(s, host, err);
}

bool stream_is_tls(const struct stream *s)
{
    return s->tls != NULL;
}

bool stream_is_tunnel(const struct stream *s)
{
    return s->tunnel;
}

bool stream_showed_certificate(const struct stream *s)
{
    return s->tls != NULL && tls_showed_certificate(s->tls);
}

bool stream_key(const struct stream *s, struct buf *out)
{
    return s->tls != NULL && tls_key(s->tls, out);
}

void stream_describe(const struct stream *s, struct buf *out)
{
    if (s->tunnel)
        buf_addz(out, s->tls != NULL ? "tunnel, " : "tunnel");
    if (s->tls != NULL)
        tls_describe(s->tls, out);
}

bool stream_channel_binding(const struct stream *s, const char **type_r, struct buf *out)
{
    return s->tls != NULL && !s->binding_off && tls_channel_binding(s->tls, type_r, out);
}

void stream_channel_binding_off(struct stream *s)
{
    s->binding_off = true;
}

int stream_fd(const struct stream *s)
{
    return s->rfd;
}

uint64_t stream_bytes_in(const struct stream *s)
{
    uint64_t in = 0, out = 0;
    if (s->tls != NULL)
        tls_wire_bytes(s->tls, &in, &out);
    return s->bytes_in + in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
    uint64_t in = 0, out = 0;
    if (s->tls != NULL)
        tls_wire_bytes(s->tls, &in, &out);
    return s->bytes_out + out;
}
