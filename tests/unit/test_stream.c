/* net/stream: lines, deadlines, cancel, TLS verdicts, compression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>

#include "net/resolve.h"
#include "net/stream.h"
#include "net_cert.h"
#include "net_peer.h"

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

static struct cert ca, stranger_ca;
static char *ca_path;

static struct stream_options options(void)
{
    return (struct stream_options){
        .connect_ms = 20000, .answer_ms = 20000, .ca_file = ca_path, .pin = "", .wake_fd = -1};
}

static void is_line(struct stream *s, const char *want)
{
    struct err err = ERR_INIT;
    struct str line;
    if (!stream_line(s, 1000, &line, &err))
        fail_msg("%s", err.text);
    if (!str_eqz(line, want))
        fail_msg("got \"%.*s\", not \"%s\"", STR_FMT(line), want);
}

/* ---- Lines -------------------------------------------------------------------------------------- */

static const char lines[] = "one\r\n\r\ntwo\nthree\r\r\n\n";

static void in_pieces(int fd, const void *arg)
{
    size_t step = *(const size_t *)arg;
    for (size_t at = 0; at < sizeof lines - 1; at += step)
        say_n(fd, lines + at, MIN(step, sizeof lines - 1 - at));
}

/* THREATS 74: any segmentation gives the same lines; THREATS 56: the end of the connection is an error. */
static void test_lines(void **state UNUSED)
{
    for (size_t step = 1; step < sizeof lines; step++) {
        struct stream_options o = options();
        int fd;
        pid_t pid = peer_start(in_pieces, &step, &fd);
        struct stream *s = stream_from_fds(fd, fd, &o);
        is_line(s, "one");
        is_line(s, "");
        is_line(s, "two");
        is_line(s, "three\r");
        is_line(s, "");
        struct err err = ERR_INIT;
        struct str line;
        assert_false(stream_line(s, 100, &line, &err));
        assert_int_equal(err.kind, ERR_LINE);
        struct err again = ERR_INIT;
        assert_false(stream_fill(s, &again));
        assert_int_equal(again.kind, ERR_LINE);
        assert_int_equal(stream_bytes_in(s), sizeof lines - 1);
        stream_close(&s);
        assert_int_equal(peer_wait(pid), 0);
    }
}

static void long_line(int fd, const void *arg)
{
    size_t n = *(const size_t *)arg;
    char *p = mem_new(n + 3);
    memset(p, 'x', n);
    memcpy(p + n, "\r\n", 3);
    say_n(fd, p, n + 2);
    say(fd, "next\r\n");
    free(p);
}

/* THREATS 29: the cap on a line, one below, at and above it. */
static void test_line_cap(void **state UNUSED)
{
    static const size_t caps[] = {10, 70000, 1000000};
    for (size_t i = 0; i < COUNT(caps); i++) {
        for (size_t n = caps[i] - 1; n <= caps[i] + 1; n++) {
            struct stream_options o = options();
            int fd;
            pid_t pid = peer_start(long_line, &n, &fd);
            struct stream *s = stream_from_fds(fd, fd, &o);
            struct err err = ERR_INIT;
            struct str line;
            bool ok = stream_line(s, caps[i], &line, &err);
            assert_int_equal(ok, n <= caps[i]);
            if (ok) {
                assert_int_equal(line.n, n);
                is_line(s, "next");
            } else {
                assert_int_equal(err.kind, ERR_LIMIT);
            }
            stream_close(&s);
            assert_int_equal(peer_wait(pid), 0);
        }
    }
}

static void endless(int fd, const void *arg UNUSED)
{
    static char block[65536];
    memset(block, 'y', sizeof block);
    for (;;)
        say_n(fd, block, sizeof block);
}

/* THREATS 29: what nobody takes may not grow without bound. */
static void test_untaken_cap(void **state UNUSED)
{
    struct stream_options o = options();
    int fd;
    pid_t pid = peer_start(endless, NULL, &fd);
    struct stream *s = stream_from_fds(fd, fd, &o);
    struct err err = ERR_INIT;
    while (stream_fill(s, &err))
        assert_true(stream_peek(s).n <= 16u << 20);
    assert_int_equal(err.kind, ERR_LIMIT);
    stream_close(&s);
    assert_int_equal(peer_wait(pid), 0);
}

/* ---- Time and cancel ---------------------------------------------------------------------------- */

static void silent(int fd, const void *arg UNUSED)
{
    char b[1000];
    while (read(fd, b, sizeof b) > 0)
        continue;
}

static void drip(int fd, const void *arg UNUSED)
{
    for (;;) {
        say(fd, "z");
        poll(NULL, 0, 5);
    }
}

/* THREATS 27, 28: silence, and a byte now and then: both end at the deadline of the whole answer. */
static void test_deadline(void **state UNUSED)
{
    peer_fn *const peers[] = {silent, drip};
    for (size_t i = 0; i < COUNT(peers); i++) {
        struct stream_options o = options();
        o.answer_ms = 60;
        int fd;
        pid_t pid = peer_start(peers[i], NULL, &fd);
        struct stream *s = stream_from_fds(fd, fd, &o);
        struct err err = ERR_INIT;
        struct str line;
        assert_false(stream_line(s, 1u << 20, &line, &err));
        assert_int_equal(err.kind, ERR_TIMEOUT);
        stream_close(&s);
        assert_int_equal(peer_wait(pid), 0);
    }
}

struct wake {
    int fd;
    unsigned seen;
    bool cancel;
};

static bool on_wake(void *arg)
{
    struct wake *w = arg;
    char c;
    if (read(w->fd, &c, 1) == 1)
        w->seen++;
    return w->cancel;
}

/* A cancel ends a silent wait, and one that never waits because the server floods. */
static void test_cancel(void **state UNUSED)
{
    peer_fn *const peers[] = {silent, endless};
    for (size_t i = 0; i < COUNT(peers); i++) {
        int pipefd[2];
        assert_int_equal(pipe(pipefd), 0);
        struct wake w = {.fd = pipefd[0], .cancel = true};
        struct stream_options o = options();
        o.wake_fd = pipefd[0];
        o.on_wake = on_wake;
        o.arg = &w;
        int fd;
        pid_t pid = peer_start(peers[i], NULL, &fd);
        struct stream *s = stream_from_fds(fd, fd, &o);
        assert_int_equal(write(pipefd[1], "!", 1), 1);
        struct err err = ERR_INIT;
        while (stream_fill(s, &err))
            stream_take(s, stream_peek(s).n);
        assert_int_equal(err.kind, ERR_CANCELED);
        assert_int_equal(w.seen, 1);
        stream_close(&s);
        assert_int_equal(peer_wait(pid), 0);
        close(pipefd[0]);
        close(pipefd[1]);
    }
}

static void greet_when_asked(int fd, const void *arg UNUSED)
{
    hear(fd, "GO");
    say(fd, "yes\r\n");
    hear_end(fd);
}

/* A wake that is no cancel ends stream_readable early and harms nothing; a time-out neither. */
static void test_readable(void **state UNUSED)
{
    int pipefd[2];
    assert_int_equal(pipe(pipefd), 0);
    struct wake w = {.fd = pipefd[0]};
    struct stream_options o = options();
    o.wake_fd = pipefd[0];
    o.on_wake = on_wake;
    o.arg = &w;
    int fd;
    pid_t pid = peer_start(greet_when_asked, NULL, &fd);
    struct stream *s = stream_from_fds(fd, fd, &o);
    struct err err = ERR_INIT;
    bool yes = true;
    assert_true(stream_readable(s, clock_mono_ms() + 10, &yes, &err));
    assert_false(yes);
    assert_int_equal(write(pipefd[1], "!", 1), 1);
    assert_true(stream_readable(s, -1, &yes, &err));
    assert_false(yes);
    assert_int_equal(w.seen, 1);
    assert_true(stream_printf(s, &err, "%s\r\n", "GO"));
    assert_true(stream_readable(s, -1, &yes, &err));
    assert_true(yes);
    is_line(s, "yes");
    stream_close(&s);
    assert_int_equal(peer_wait(pid), 0);
    close(pipefd[0]);
    close(pipefd[1]);
}

/* Numbers that rise, four bytes each: the first ones, and those that on_wake writes meanwhile. */
enum { NUMBERS = 15000, MORE = 50000 };
struct numbers {
    int wake[2], go[2];
    struct stream *s;
    uint32_t next;
};

static void numbers_write(struct numbers *n, uint32_t count)
{
    struct err err = ERR_INIT;
    char *block = mem_new((size_t)count * 4);
    for (uint32_t i = 0; i < count; i++, n->next++)
        memcpy(block + (size_t)i * 4, &n->next, 4);
    if (!stream_write(n->s, (struct str){block, (size_t)count * 4}, &err))
        fail_msg("%s", err.text);
    free(block);
}

static bool on_numbers_wake(void *arg)
{
    struct numbers *n = arg;
    char c;
    if (read(n->wake[0], &c, 1) == 1 && write(n->go[1], "!", 1) == 1)
        numbers_write(n, MORE);
    return false;
}

/* Wakes the writer when a part of the first ones has come, and reads on when it is at it. */
static void reads_numbers(int fd, const void *arg)
{
    const struct numbers *n = arg;
    char bytes[4096], go;
    size_t have = 0;
    for (uint32_t at = 0; at < NUMBERS + MORE;) {
        ssize_t got = read(fd, bytes + have, sizeof bytes - have);
        if (got <= 0)
            _exit(1);
        if (at == 0 && have == 0 && (write(n->wake[1], "!", 1) != 1 || read(n->go[0], &go, 1) != 1))
            _exit(2);
        have += (size_t)got;
        size_t used = 0;
        for (; have - used >= 4; used += 4, at++)
            if (memcmp(bytes + used, &at, 4) != 0)
                _exit(3); /* twice, or not at all */
        memmove(bytes, bytes + used, have - used);
        have -= used;
    }
    hear_end(fd);
}

/* What on_wake writes while a flush waits for the line goes behind it, and nothing goes twice. */
static void test_written_while_it_is_flushed(void **state UNUSED)
{
    struct numbers n = {.next = 0};
    assert_int_equal(pipe(n.wake), 0);
    assert_int_equal(pipe(n.go), 0);
    struct stream_options o = options();
    o.wake_fd = n.wake[0];
    o.on_wake = on_numbers_wake;
    o.arg = &n;
    int fd, little = 4096;
    pid_t pid = peer_start(reads_numbers, &n, &fd);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
    n.s = stream_from_fds(fd, fd, &o);
    struct err err = ERR_INIT;
    numbers_write(&n, NUMBERS);
    while (n.next < NUMBERS + MORE)
        assert_true(stream_flush(n.s, &err));
    assert_true(stream_flush(n.s, &err));
    stream_close(&n.s);
    assert_int_equal(peer_wait(pid), 0);
    for (int i = 0; i < 2; i++) {
        close(n.wake[i]);
        close(n.go[i]);
    }
}

#define MUCH ((size_t)8 << 20)
static void writes_first(int fd, const void *arg UNUSED)
{
    static char block[65536];
    for (size_t n = 0; n < MUCH; n += sizeof block)
        say_n(fd, block, sizeof block);
    for (size_t n = 0; n < MUCH;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got <= 0)
            _exit(1);
        n += (size_t)got;
    }
}

/* Both sides write megabytes before they read: no deadlock. */
static void test_full_pipes(void **state UNUSED)
{
    struct stream_options o = options();
    int fd;
    pid_t pid = peer_start(writes_first, NULL, &fd);
    struct stream *s = stream_from_fds(fd, fd, &o);
    struct err err = ERR_INIT;
    char *p = mem_new(MUCH);
    assert_true(stream_write(s, (struct str){p, MUCH}, &err));
    assert_true(stream_flush(s, &err));
    free(p);
    size_t n = 0;
    do {
        n += stream_peek(s).n;
        stream_take(s, stream_peek(s).n);
    } while (n < MUCH && stream_fill(s, &err));
    assert_int_equal(n, MUCH);
    assert_int_equal(stream_bytes_out(s), MUCH);
    stream_close(&s);
    assert_int_equal(peer_wait(pid), 0);
}

/* ---- TLS ---------------------------------------------------------------------------------------- */

struct server {
    const struct cert *cert;
    int max_version;
    int close_how; /* 0: waits for the client; 1: close_notify; 2: cut */
    bool inject;
};

static void tls_server(int fd, const void *arg)
{
    const struct server *v = arg;
    hear(fd, "STARTTLS");
    say(fd, v->inject ? "OK\r\n* injected\r\n" : "OK\r\n");
    SSL *ssl = cert_accept(fd, v->cert, v->max_version);
    if (ssl == NULL)
        _exit(2);
    char b[32] = "";
    if (SSL_write(ssl, "inside\r\n", 8) != 8)
        _exit(3);
    if (v->close_how == 1)
        SSL_shutdown(ssl);
    if (v->close_how != 0)
        return;
    if (SSL_read(ssl, b, sizeof b - 1) <= 0)
        _exit(4); /* the client left without a word: it refused us */
    SSL_write(ssl, b, (int)strlen(b));
    while (SSL_read(ssl, b, sizeof b) > 0)
        continue;
}

static bool upgrade(const struct server *v, const char *host, const char *pin, struct stream **s_r, pid_t *pid_r,
                    struct err *err)
{
    struct stream_options o = options();
    o.pin = pin;
    int fd;
    *pid_r = peer_start(tls_server, v, &fd);
    *s_r = stream_from_fds(fd, fd, &o);
    assert_true(stream_printf(*s_r, err, "STARTTLS\r\n"));
    assert_true(stream_flush(*s_r, err));
    is_line(*s_r, "OK");
    return stream_starttls(*s_r, host, err);
}

static void pin_of(const struct cert *c, char out[80])
{
    unsigned char *der = NULL, md[32];
    int n = i2d_PUBKEY(c->key, &der);
    assert_true(n > 0);
    EVP_Digest(der, (size_t)n, md, NULL, EVP_sha256(), NULL);
    struct buf b = BUF_INIT(80);
    base64_encode((struct str){(char *)md, 32}, &b);
    snprintf(out, 80, "sha256/%s", buf_z(&b));
    buf_fini(&b);
    OPENSSL_free(der);
}

/* THREATS 10, 11, 14, 16: who is believed, and what is said when not. */
static void test_tls_verdicts(void **state UNUSED)
{
    enum { DAY = 86400 };
    static const struct {
        const char *what;
        bool foreign;
        const char *cn, *san, *host;
        long from, to;
        enum err_kind want;
        const char *says;
    } rows[] = {
        {"name", false, "x", "DNS:mail.example.org", "mail.example.org", -DAY, DAY, ERR_NONE, ""},
        {"name, other case and a trailing dot", false, "x", "DNS:mail.example.org", "Mail.Example.org.", -DAY, DAY,
         ERR_NONE, ""},
        {"second name", false, "x", "DNS:a.example.org,DNS:mail.example.org", "mail.example.org", -DAY, DAY, ERR_NONE,
         ""},
        {"address", false, "x", "IP:127.0.0.1", "127.0.0.1", -DAY, DAY, ERR_NONE, ""},
        {"IPv6 address", false, "x", "IP:::1", "::1", -DAY, DAY, ERR_NONE, ""},
        {"address as a DNS name", false, "x", "DNS:127.0.0.1", "127.0.0.1", -DAY, DAY, ERR_TLS_HOST,
         "not for 127.0.0.1"},
        {"wildcard", false, "x", "DNS:*.example.org", "mail.example.org", -DAY, DAY, ERR_NONE, ""},
        {"wildcard of two labels", false, "x", "DNS:*.example.org", "a.mail.example.org", -DAY, DAY, ERR_TLS_HOST,
         "*.example.org"},
        {"partial wildcard", false, "x", "DNS:m*.example.org", "mail.example.org", -DAY, DAY, ERR_TLS_HOST,
         "m*.example.org"},
        {"wrong host", false, "x", "DNS:www.example.org", "mail.example.org", -DAY, DAY, ERR_TLS_HOST,
         "is for www.example.org, not for mail.example.org"},
        {"CN fits, SAN does not", false, "mail.example.org", "DNS:www.example.org", "mail.example.org", -DAY, DAY,
         ERR_TLS_HOST, "www.example.org"},
        {"CN alone", false, "mail.example.org", NULL, "mail.example.org", -DAY, DAY, ERR_TLS_HOST, "no host at all"},
        {"expired", false, "x", "DNS:mail.example.org", "mail.example.org", -2 * DAY, -DAY, ERR_TLS_EXPIRED, "expired"},
        {"not yet valid", false, "x", "DNS:mail.example.org", "mail.example.org", DAY, 2 * DAY, ERR_TLS_NOT_YET,
         "not valid yet"},
        {"unknown authority", true, "x", "DNS:mail.example.org", "mail.example.org", -DAY, DAY, ERR_TLS_UNKNOWN_CA,
         "sha256/"},
        {"unknown authority, wrong host", true, "x", "DNS:www.example.org", "mail.example.org", -DAY, DAY,
         ERR_TLS_UNKNOWN_CA, "www.example.org"},
        {"unknown authority, expired", true, "x", "DNS:mail.example.org", "mail.example.org", -2 * DAY, -DAY,
         ERR_TLS_UNKNOWN_CA, "sha256/"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cert leaf =
            cert_make(rows[i].foreign ? &stranger_ca : &ca, rows[i].cn, rows[i].san, rows[i].from, rows[i].to);
        struct server v = {.cert = &leaf};
        char right[80], wrong[80], both[200];
        pin_of(&leaf, right);
        pin_of(&ca, wrong);
        snprintf(both, sizeof both, "%s, %s", wrong, right);
        const struct {
            const char *pin;
            enum err_kind want;
        } pins[] = {{"", rows[i].want}, {right, ERR_NONE}, {both, ERR_NONE}, {wrong, ERR_TLS_PIN}};
        for (size_t k = 0; k < COUNT(pins); k++) {
            struct err err = ERR_INIT;
            struct stream *s;
            pid_t pid;
            bool ok = upgrade(&v, rows[i].host, pins[k].pin, &s, &pid, &err);
            if (err.kind != pins[k].want)
                fail_msg("%s, pin %zu: %s (%s)", rows[i].what, k, err_name(err.kind), err.text);
            assert_int_equal(ok, pins[k].want == ERR_NONE);
            if (!ok && strstr(err.text, k == 0 ? rows[i].says : right) == NULL)
                fail_msg("%s: \"%s\" does not say %s", rows[i].what, err.text, rows[i].says);
            if (!ok && pins[k].want == ERR_TLS_UNKNOWN_CA && strstr(err.text, right) == NULL)
                fail_msg("%s: \"%s\" lacks the key", rows[i].what, err.text);
            if (ok) {
                assert_true(stream_is_tls(s));
                is_line(s, "inside");
                assert_true(stream_printf(s, &err, "back\r\n"));
                is_line(s, "back");
                struct buf b = BUF_INIT(500);
                stream_describe(s, &b);
                assert_non_null(strstr(buf_z(&b), right));
                assert_non_null(strstr(buf_z(&b), "TLS 1.3"));
                buf_fini(&b);
            } else {
                struct err e2 = ERR_INIT;
                assert_false(stream_printf(s, &e2, "secret\r\n") && stream_flush(s, &e2));
            }
            stream_close(&s);
            /* A refused server has not got one byte from us inside TLS. */
            int status = peer_wait(pid);
            assert_true(ok ? status == 0 : status == 2 || status == 3 || status == 4);
        }
        cert_free(&leaf);
    }
}

/* THREATS 14: TLS 1.1 is refused, 1.2 is not. */
static void test_tls_floor(void **state UNUSED)
{
    struct cert leaf = cert_make(&ca, "x", "DNS:mail.example.org", -10, 86400);
    for (int k = 0; k < 2; k++) {
        struct server v = {.cert = &leaf, .max_version = k == 0 ? TLS1_1_VERSION : TLS1_2_VERSION, .close_how = 1};
        struct err err = ERR_INIT;
        struct stream *s;
        pid_t pid;
        assert_int_equal(upgrade(&v, "mail.example.org", "", &s, &pid, &err), k == 1);
        assert_int_equal(err.kind, k == 0 ? ERR_TLS : ERR_NONE);
        stream_close(&s);
        peer_wait(pid);
    }
    cert_free(&leaf);
}

/* THREATS 5: plain text behind the OK. */
static void test_starttls_injection(void **state UNUSED)
{
    struct cert leaf = cert_make(&ca, "x", "DNS:mail.example.org", -10, 86400);
    struct server v = {.cert = &leaf, .inject = true};
    struct err err = ERR_INIT;
    struct stream *s;
    pid_t pid;
    assert_false(upgrade(&v, "mail.example.org", "", &s, &pid, &err));
    assert_int_equal(err.kind, ERR_PROTOCOL);
    stream_close(&s);
    assert_int_equal(peer_wait(pid), 2);
    cert_free(&leaf);
}

/* A cut line is told from a closed one; both are errors, and what came before is not lost. */
static void test_tls_truncation(void **state UNUSED)
{
    struct cert leaf = cert_make(&ca, "x", "DNS:mail.example.org", -10, 86400);
    for (int how = 1; how <= 2; how++) {
        struct server v = {.cert = &leaf, .close_how = how};
        struct err err = ERR_INIT;
        struct stream *s;
        pid_t pid;
        assert_true(upgrade(&v, "mail.example.org", "", &s, &pid, &err));
        is_line(s, "inside");
        assert_false(stream_fill(s, &err));
        assert_int_equal(err.kind, ERR_LINE);
        assert_non_null(strstr(err.text, how == 1 ? "closed" : "cut"));
        stream_close(&s);
        assert_int_equal(peer_wait(pid), 0);
    }
    cert_free(&leaf);
}

static void binding_server(int fd, const void *arg)
{
    const struct server *v = arg;
    hear(fd, "STARTTLS");
    say(fd, "OK\r\n");
    SSL *ssl = cert_accept(fd, v->cert, v->max_version);
    unsigned char b[64];
    size_t n = 32;
    if (ssl == NULL)
        _exit(2);
    if (v->max_version == 0)
        SSL_export_keying_material(ssl, b, 32, "EXPORTER-Channel-Binding", 24, NULL, 0, 0);
    else
        n = SSL_get_peer_finished(ssl, b, sizeof b);
    SSL_write(ssl, b, (int)n);
    SSL_shutdown(ssl);
}

/* RFC 9266, 5929: both ends see the same channel binding. */
static void test_channel_binding(void **state UNUSED)
{
    struct cert leaf = cert_make(&ca, "x", "DNS:mail.example.org", -10, 86400);
    for (int k = 0; k < 2; k++) {
        struct server v = {.cert = &leaf, .max_version = k == 0 ? 0 : TLS1_2_VERSION};
        struct stream_options o = options();
        struct err err = ERR_INIT;
        int fd;
        pid_t pid = peer_start(binding_server, &v, &fd);
        struct stream *s = stream_from_fds(fd, fd, &o);
        assert_true(stream_printf(s, &err, "STARTTLS\r\n"));
        is_line(s, "OK");
        assert_true(stream_starttls(s, "mail.example.org", &err));
        struct buf b = BUF_INIT(100);
        const char *type;
        assert_true(stream_channel_binding(s, &type, &b));
        assert_string_equal(type, k == 0 ? "tls-exporter" : "tls-unique");
        while (stream_peek(s).n < b.n)
            assert_true(stream_fill(s, &err));
        assert_true(str_eq(stream_peek(s), buf_str(&b)));
        buf_fini(&b);
        stream_close(&s);
        assert_int_equal(peer_wait(pid), 0);
    }
    cert_free(&leaf);
}

/* ---- Opening ------------------------------------------------------------------------------------ */

static void tls_from_start(int fd, const void *arg)
{
    const struct server *v = arg;
    SSL *ssl = cert_accept(fd, v->cert, 0);
    if (ssl == NULL)
        _exit(2);
    SSL_write(ssl, "inside\r\n", 8);
    char b[8];
    while (SSL_read(ssl, b, sizeof b) > 0)
        continue;
}

static void plain_greeting(int fd, const void *arg UNUSED)
{
    say(fd, "* OK plain\r\n");
    char b[1000];
    if (read(fd, b, sizeof b) <= 0)
        _exit(1);
}

static void test_open(void **state UNUSED)
{
    char host[] = "localhost";
    struct cert leaf = cert_make(&ca, "x", "DNS:localhost", -10, 86400);
    struct server v = {.cert = &leaf};
    struct stream_options o = options();
    struct err err = ERR_INIT;
    struct endpoint ep = {.proto = PROTO_IMAP, .tls = TLS_IMPLICIT, .host = host};
    pid_t pid = peer_listen(tls_from_start, &v, &ep.port);
    struct stream *s = stream_open(&ep, &o, &err);
    if (s == NULL)
        fail_msg("%s", err.text);
    is_line(s, "inside");
    stream_close(&s);
    assert_int_equal(peer_wait(pid), 0);

    /* THREATS 15: a port that speaks plain text, then one that says nothing: no way round TLS. */
    pid = peer_listen(plain_greeting, NULL, &ep.port);
    assert_null(stream_open(&ep, &o, &err));
    assert_int_equal(err.kind, ERR_TLS);
    peer_wait(pid);
    char address[] = "127.0.0.1"; /* no name to be resolved in that short time */
    ep.host = address;
    o.connect_ms = 300;
    pid = peer_listen(silent, NULL, &ep.port);
    assert_null(stream_open(&ep, &o, &err));
    assert_int_equal(err.kind, ERR_TIMEOUT);
    peer_wait(pid);

    /* THREATS 167: nobody there, and no such name. */
    o.connect_ms = 20000;
    ep.host = host;
    int l = listen_loopback(&ep.port);
    close(l);
    assert_null(stream_open(&ep, &o, &err));
    assert_int_equal(err.kind, ERR_CONNECT);
    char nowhere[] = "no-such-host.invalid";
    ep.host = nowhere;
    assert_null(stream_open(&ep, &o, &err));
    assert_int_equal(err.kind, ERR_DNS);
    char odd[] = "mail.example.org\r\nX";
    ep.host = odd;
    assert_null(stream_open(&ep, &o, &err));
    assert_int_equal(err.kind, ERR_DNS);
    cert_free(&leaf);
}

static void test_resolve(void **state UNUSED)
{
    struct stream_options o = options();
    struct err err = ERR_INIT;
    struct resolved r;
    assert_true(resolve_host("127.0.0.1", 25, clock_mono_ms(), &o, &r, &err));
    assert_int_equal(r.n, 1);
    assert_int_equal(r.at[0].addr.ss_family, AF_INET);
    assert_true(resolve_host("::1", 25, clock_mono_ms(), &o, &r, &err));
    assert_int_equal(r.at[0].addr.ss_family, AF_INET6);
    assert_true(resolve_host("localhost", 25, clock_mono_ms() + 20000, &o, &r, &err));
    assert_true(r.n >= 1);
    for (unsigned i = 1; i + 1 < r.n; i++) /* both families in turn while both last */
        assert_true(r.at[i].len <= sizeof r.at[i].addr);
    /* THREATS 167: a deadline in the past ends it, whatever the resolver does; the child is gone. */
    assert_false(resolve_host("localhost", 25, clock_mono_ms() - 1, &o, &r, &err));
    assert_int_equal(err.kind, ERR_DNS);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_setup_errors(void **state UNUSED)
{
    struct stream_options o = options();
    struct err err = ERR_INIT;
    o.ca_file = "/nonexistent/ca.pem";
    assert_false(stream_setup(&o, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_non_null(strstr(err.text, "/nonexistent/ca.pem"));
    o.ca_file = ca_path;
    assert_true(stream_setup(&o, &err));
}

/* ---- DEFLATE ------------------------------------------------------------------------------------ */

#ifdef HAVE_ZLIB
static void deflate_server(int fd, const void *arg)
{
    bool bomb = *(const bool *)arg;
    static unsigned char plain[1 << 16], packed[1 << 16];
    z_stream out = {.zalloc = NULL}, in = {.zalloc = NULL};
    deflateInit2(&out, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    inflateInit2(&in, -15);
    hear(fd, "COMPRESS");
    /* The OK and the first compressed bytes in one segment. */
    memcpy(packed, "OK\r\n", 4);
    out.next_in = (unsigned char *)(uintptr_t) "hello\r\n";
    out.avail_in = 7;
    out.next_out = packed + 4;
    out.avail_out = sizeof packed - 4;
    deflate(&out, Z_SYNC_FLUSH);
    say_n(fd, (char *)packed, sizeof packed - out.avail_out);
    for (int i = 0; bomb && i < 1000; i++) {
        out.next_in = plain;
        out.avail_in = sizeof plain;
        out.next_out = packed;
        out.avail_out = sizeof packed;
        deflate(&out, Z_NO_FLUSH);
        say_n(fd, (char *)packed, sizeof packed - out.avail_out);
    }
    /* What the client says comes back as it was. */
    for (;;) {
        ssize_t got = read(fd, packed, sizeof packed);
        if (got <= 0)
            return;
        in.next_in = packed;
        in.avail_in = (unsigned)got;
        in.next_out = plain;
        in.avail_out = sizeof plain;
        inflate(&in, Z_SYNC_FLUSH);
        out.next_in = plain;
        out.avail_in = (unsigned)(sizeof plain - in.avail_out);
        out.next_out = packed;
        out.avail_out = sizeof packed;
        deflate(&out, Z_SYNC_FLUSH);
        say_n(fd, (char *)packed, sizeof packed - out.avail_out);
    }
}

static void test_deflate(void **state UNUSED)
{
    for (int k = 0; k < 2; k++) {
        bool bomb = k == 1;
        struct stream_options o = options();
        struct err err = ERR_INIT;
        int fd;
        pid_t pid = peer_start(deflate_server, &bomb, &fd);
        struct stream *s = stream_from_fds(fd, fd, &o);
        assert_true(stream_can_compress());
        assert_true(stream_printf(s, &err, "COMPRESS\r\n"));
        is_line(s, "OK");
        assert_true(stream_compress(s, &err));
        is_line(s, "hello");
        if (bomb) { /* THREATS 63 */
            while (stream_fill(s, &err))
                stream_take(s, stream_peek(s).n);
            assert_int_equal(err.kind, ERR_LIMIT);
        } else {
            for (int i = 0; i < 100; i++) {
                assert_true(stream_printf(s, &err, "line %d\r\n", i));
                char want[32];
                snprintf(want, sizeof want, "line %d", i);
                is_line(s, want);
            }
        }
        stream_close(&s);
        assert_int_equal(peer_wait(pid), 0);
    }
}
#endif

static int setup(void **state UNUSED)
{
    ca = cert_make(NULL, "Test authority", NULL, -400000, 400000);
    stranger_ca = cert_make(NULL, "Another authority", NULL, -400000, 400000);
    ca_path = cert_file(&ca);
    struct stream_options o = options();
    struct err err = ERR_INIT;
    return stream_setup(&o, &err) ? 0 : -1;
}

static int teardown(void **state UNUSED)
{
    unlink(ca_path);
    free(ca_path);
    cert_free(&ca);
    cert_free(&stranger_ca);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),          cmocka_unit_test(test_line_cap),
        cmocka_unit_test(test_untaken_cap),    cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_cancel),         cmocka_unit_test(test_readable),
        cmocka_unit_test(test_full_pipes),     cmocka_unit_test(test_tls_verdicts),
        cmocka_unit_test(test_tls_floor),      cmocka_unit_test(test_starttls_injection),
        cmocka_unit_test(test_tls_truncation), cmocka_unit_test(test_channel_binding),
        cmocka_unit_test(test_open),           cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_setup_errors),   cmocka_unit_test(test_written_while_it_is_flushed),
#ifdef HAVE_ZLIB
        cmocka_unit_test(test_deflate),
#endif
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
