/* A whole POP3 session, login to QUIT, fed from bytes: no crash, no leak, no endless loop, and a message is claimed
 * whole only after its final dot. The bits of the first byte: lock step; what an earlier session knew (of which the
 * first line of the bytes is a part), over a tunnel, which begins in one flight; a language. */
#include <sys/socket.h>
#include <unistd.h>

#include "net/pop3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint32_t begun, ended;
};

static bool on_id(void *arg, uint32_t number, uint64_t size UNUSED, struct str uidl, struct err *err UNUSED)
{
    const struct pop3 *p = *(struct pop3 **)arg;
    if (number == 0 || number > pop3_count(p) || uidl.n == 0 || uidl.n > POP3_UIDL_MAX)
        bug("a message that cannot be");
    return true;
}

static bool on_begin(void *arg, uint32_t number, uint64_t size UNUSED, struct err *err)
{
    struct seen *s = arg;
    s->begun++;
    return number % 5 != 4 || err_set(err, ERR_DISK_FULL, "full");
}

static bool on_data(void *arg UNUSED, struct str bytes, struct err *err)
{
    return bytes.n % 251 != 250 || err_set(err, ERR_LIMIT, "enough");
}

static bool on_end(void *arg, uint32_t number UNUSED, const struct err *why UNUSED, struct err *err UNUSED)
{
    struct seen *s = arg;
    s->ended++;
    return true;
}

enum how { LOCKSTEP = 1, EXPECTS = 2, LANGUAGE = 4 };

static void expect(struct pop3 *p, struct str bytes)
{
    struct buf words = BUF_INIT(POP3_WORDS_MAX), again = BUF_INIT(POP3_WORDS_MAX);
    size_t n;
    if (!str_find(bytes, '\n', &n))
        n = 0;
    buf_addz(&words, "fuzz; PIPELINING; USER; ");
    buf_adds(&words, str_sub(bytes, 0, MIN(n, words.max - words.n)));
    pop3_expect(p, buf_str(&words));
    pop3_words(p, &again);
    buf_fini(&words);
    buf_fini(&again);
}

static void session(struct pop3 *p, unsigned how)
{
    struct err err = ERR_INIT;
    struct seen seen = {0, 0};
    struct pop3_sink sink = {on_begin, on_data, on_end, &seen};
    struct secret secret = secret_new(STR("secret"));
    uint32_t numbers[64];
    size_t n = 0;
    if (how & LANGUAGE)
        pop3_language(p, "de-DE");
    if (how & LOCKSTEP)
        pop3_distrust(p, POP3_LOCKSTEP, clock_wall() + 60);
    bool ok =
        pop3_greet(p, false, &err) && pop3_login(p, "alice", &secret, true, &err) && pop3_list(p, on_id, &p, &err);
    while (ok && n < COUNT(numbers) && n < pop3_count(p)) {
        numbers[n] = (uint32_t)n + 1;
        n++;
    }
    ok = ok && pop3_get(p, POP3_RETR, numbers, n, &sink, &err);
    if (ok && seen.ended != n)
        bug("%u of %zu messages ended", seen.ended, n);
    (void)(ok && pop3_delete(p, numbers, n, NULL, NULL, &err) && pop3_quit(p, &err));
    secret_free(&secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (size < 1 || size > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return 0;
    if (write(fds[1], data + 1, size - 1) == (ssize_t)(size - 1)) {
        struct stream_options o = {.answer_ms = 1000, .wake_fd = -1};
        struct endpoint ep = {.proto = PROTO_POP3, .tls = TLS_NONE, .host = (char[]){"fuzz"}};
        struct err err = ERR_INIT;
        shutdown(fds[1], SHUT_WR);
        bool expects = data[0] & EXPECTS;
        struct stream *s = expects ? stream_tunnel(fds[0], &ep, &o, &err) : stream_from_fds(fds[0], fds[0], &o);
        struct pop3 *p = pop3_new(s, "fuzz", "/tmp");
        if (expects)
            expect(p, (struct str){(const char *)data + 1, size - 1});
        session(p, data[0]);
        pop3_free(&p);
        stream_close(&s);
    } else {
        close(fds[0]);
    }
    close(fds[1]);
    return 0;
}
