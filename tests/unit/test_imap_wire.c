/* Whole IMAP dialogues over a socket pair: logging in, pipelining, IDLE, and servers that lie, stall and break off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "net/imap.h"
#include "net/sasl.h"
#include "net_peer.h"

#define ANSWER_MS 20000

static struct session {
    pid_t pid;
    struct stream *stream;
    struct imap *imap;
    struct err err;
    char events[4096]; /* a letter and number for each, in order */
    int sink;
    uint64_t body_bytes;
    bool body_streamed;
    bool may; /* at the last EXISTS: might another command be sent? */
} t;

static void note(const char *word, uint32_t n)
{
    size_t at = strlen(t.events);
    if (at < sizeof t.events - 40)
        snprintf(t.events + at, sizeof t.events - at, "%s%u ", word, n);
}

static bool on_event(void *arg, const struct imap_event *ev, struct err *err)
{
    (void)arg, (void)err;
    switch (ev->what) {
    case IMAP_EXISTS:
        t.may = imap_may_send(t.imap);
        note("exists", ev->number);
        break;
    case IMAP_EXPUNGE:
        note("expunge", ev->number);
        break;
    case IMAP_FETCH:
        note("fetch", ev->fetch.uid);
        if (ev->fetch.has & IMAP_HAS_BODY) {
            t.body_bytes = ev->fetch.body_bytes;
            t.body_streamed = ev->fetch.body_streamed;
        }
        break;
    case IMAP_SEARCH: {
        struct str s = ev->set;
        uint32_t n, count = 0;
        while (imap_number_next(&s, &n))
            count++;
        note("search", count);
        break;
    }
    case IMAP_OK:
        note("ok", (uint32_t)ev->code.n);
        break;
    default:
        break;
    }
    return true;
}

static int on_sink(void *arg, struct str item, uint64_t size)
{
    (void)arg, (void)item, (void)size;
    return t.sink;
}

static void start_fn(peer_fn *fn, const void *arg, int64_t answer_ms)
{
    int fd;
    static const struct stream_options options = {.answer_ms = 60000, .wake_fd = -1};
    struct imap_handler h = {.event = on_event, .sink = on_sink};
    t = (struct session){.sink = -1};
    t.pid = peer_start(fn, arg, &fd);
    t.stream = stream_from_fds(fd, dup(fd), &options);
    t.imap = imap_new(t.stream, &h, answer_ms);
}

static void start(const void *lines)
{
    start_fn(script, lines, ANSWER_MS);
}

static void end(void)
{
    imap_free(&t.imap);
    stream_close(&t.stream);
    assert_int_equal(peer_wait(t.pid), 0);
    if (t.sink >= 0)
        close(t.sink);
}

static bool login_as(const char *user, const char *password, enum tls_mode tls)
{
    char name[64], host[] = "imap.example.org";
    snprintf(name, sizeof name, "%s", user);
    struct endpoint ep = {.proto = PROTO_IMAP, .tls = tls, .user = name, .host = host, .port = 143};
    struct secret secret = secret_new(str_z(password));
    bool ok = imap_greet(t.imap, &ep, &t.err) && imap_login(t.imap, &ep, &secret, &t.err);
    secret_free(&secret);
    assert_null(strstr(t.err.text, password)); /* THREATS 20 */
    return ok;
}

static bool login(enum tls_mode tls)
{
    return login_as("alice", "hunter2", tls);
}

#define HELLO "S * OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n", "C T1 LOGIN \"alice\" \"hunter2\""
#define LOGIN HELLO, "S T1 OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE] in\r\n"

static void logged_in(const void *lines)
{
    start(lines);
    assert_true(login(TLS_NONE));
}

/* Logs in, sends NOOP as T2, and says how its wait ended. */
static enum err_kind after_noop(const void *lines)
{
    uint32_t tag;
    struct imap_result r;
    logged_in(lines);
    assert_true(imap_sendf(t.imap, &tag, &t.err, "NOOP"));
    bool ok = imap_wait(t.imap, tag, &r, &t.err);
    end();
    return ok ? ERR_NONE : t.err.kind;
}

/* ---- Logging in --------------------------------------------------------------------------------- */
static void refused(const void *lines, enum tls_mode tls, enum err_kind want)
{
    start(lines);
    assert_false(login(tls));
    if (t.err.kind != want)
        fail_msg("%s: %s", err_name(t.err.kind), t.err.text);
    end();
}

static void encryption_is_not_talked_away(void **state)
{
    (void)state;
    /* THREATS 1 to 5, 8: nothing of ours follows what is wrong */
    refused(SCRIPT("S * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n", "E"), TLS_STARTTLS, ERR_NO_STARTTLS);
    refused(SCRIPT("S * OK hi\r\n", "C T1 STARTTLS", "S T1 NO not today\r\n", "E"), TLS_STARTTLS, ERR_NO_STARTTLS);
    refused(SCRIPT("S * OK hi\r\n", "C T1 STARTTLS", "S T1 BAD what\r\n", "E"), TLS_STARTTLS, ERR_NO_STARTTLS);
    refused(SCRIPT("S * PREAUTH hi\r\n", "E"), TLS_STARTTLS, ERR_NO_STARTTLS);
    refused(SCRIPT("S * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n", "E"), TLS_STARTTLS, ERR_NO_STARTTLS);
    refused(SCRIPT("S * OK hi\r\n", "C T1 STARTTLS", "S T1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", "E"),
            TLS_STARTTLS, ERR_PROTOCOL);
}

static void greetings_that_are_none(void **state)
{
    (void)state;
    refused(SCRIPT("S 220 smtp.example.org ESMTP\r\n", "E"), TLS_NONE, ERR_PROTOCOL);
    refused(SCRIPT("S * \r\n", "E"), TLS_NONE, ERR_PROTOCOL);
    refused(SCRIPT("S \r\n", "E"), TLS_NONE, ERR_PROTOCOL);
    refused(SCRIPT("S * NO go away\r\n", "E"), TLS_NONE, ERR_PROTOCOL);
    refused(SCRIPT("S T1 OK hi\r\n", "E"), TLS_NONE, ERR_PROTOCOL);
    refused(SCRIPT("S * BYE too many connections\r\n", "E"), TLS_NONE, ERR_SERVER_TEMP); /* THREATS 72 */
}

static void a_refused_login_is_not_repeated(void **state)
{
    (void)state;
    refused(SCRIPT(HELLO, "S T1 NO [AUTHENTICATIONFAILED] no\r\n", "E"), TLS_NONE, ERR_AUTH); /* THREATS 19 */
    refused(SCRIPT(HELLO, "S T1 NO\r\n", "E"), TLS_NONE, ERR_AUTH);                           /* THREATS 34 */
    refused(SCRIPT(HELLO, "S T1 NO [UNAVAILABLE] later\r\n", "E"), TLS_NONE, ERR_SERVER_TEMP);
    refused(SCRIPT(HELLO, "S T1 NO [REFERRAL imap://evil.example/] there\r\n", "E"), TLS_NONE,
            ERR_AUTH);                                                        /* THREATS 9 */
    refused(SCRIPT(HELLO, "S * BYE bye\r\n", "E"), TLS_NONE, ERR_SERVER_BYE); /* THREATS 56 */
    refused(SCRIPT("S * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n", "E"), TLS_NONE, ERR_NO_AUTH_METHOD); /* 17 */
}

static void passwords_of_any_bytes(void **state)
{
    (void)state;
    /* THREATS 24: never a way to say a command */
    start(SCRIPT("S * OK [CAPABILITY IMAP4rev1] hi\r\n", "C T1 LOGIN \"alice\" \"a\\\"b\\\\c\"", "S T1 OK in\r\n",
                 "C T2 CAPABILITY", "S * CAPABILITY IMAP4rev1\r\nT2 OK\r\n", "E"));
    assert_true(login_as("alice", "a\"b\\c", TLS_NONE));
    end();
    start(SCRIPT("S * OK [CAPABILITY IMAP4rev1] hi\r\n", "C T1 LOGIN \"alice\" {3}", "S * OK wait\r\n+ go\r\n",
                 "C \xC3\xA9x", "S T1 OK [CAPABILITY IMAP4rev1] in\r\n", "E"));
    assert_true(login_as("alice", "\xC3\xA9x", TLS_NONE));
    end();
    start(SCRIPT("S * OK [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n", "C T1 LOGIN \"alice\" {3+}", "C \xC3\xA9x",
                 "S T1 OK [CAPABILITY IMAP4rev1] in\r\n", "E"));
    assert_true(login_as("alice", "\xC3\xA9x", TLS_NONE));
    end();
    start(SCRIPT("S * OK [CAPABILITY IMAP4rev1] hi\r\n", "C T1 LOGIN \"alice\" {3}", "S T1 BAD no literals\r\n", "E"));
    assert_false(login_as("alice", "\xC3\xA9x", TLS_NONE));
    end();
    start(SCRIPT("S * OK [CAPABILITY IMAP4rev1] hi\r\n", "E"));
    assert_false(login_as("alice", "x\r\nT2 LOGOUT", TLS_NONE));
    assert_int_equal(t.err.kind, ERR_SECRET);
    end();
    start(SCRIPT("S * OK [CAPABILITY IMAP4rev1] hi\r\n", "E"));
    assert_false(login_as("alice\r\nT2 LOGOUT", "hunter2", TLS_NONE)); /* THREATS 25 */
    end();
}

static void nothing_is_believed_before_the_login(void **state)
{
    (void)state;
    /* THREATS 6 */
    logged_in(SCRIPT("S * OK [CAPABILITY IMAP4rev1] hi\r\n", "C T1 LOGIN \"alice\" \"hunter2\"",
                     "S * 7 EXISTS\r\n* 1 FETCH (UID 1 FLAGS ())\r\n* LIST () \"/\" x\r\n* OK [ALERT] boo\r\n"
                     "* ENABLED QRESYNC\r\nT1 OK in\r\n",
                     "C T2 CAPABILITY", "S * CAPABILITY IMAP4rev1 IDLE\r\nT2 OK done\r\n", "E"));
    assert_string_equal(t.events, "");
    assert_false(imap_enabled(t.imap, IMAP_CAP_QRESYNC));
    assert_true(imap_caps(t.imap) & IMAP_CAP_IDLE);
    assert_false(imap_caps(t.imap) & IMAP_CAP_MOVE);
    end();
}

static void sasl_with_and_without_initial_response(void **state)
{
    /* THREATS 17; RFC 4959 */
    (void)state;
    assert_true(sasl_setup(&t.err));
    logged_in(SCRIPT("S * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n",
                     "C T1 AUTHENTICATE PLAIN AGFsaWNlAGh1bnRlcjI=", "S T1 OK [CAPABILITY IMAP4rev1] in\r\n", "E"));
    end();
    logged_in(SCRIPT("S * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n", "C T1 AUTHENTICATE PLAIN", "S + \r\n",
                     "C AGFsaWNlAGh1bnRlcjI=", "S T1 OK [CAPABILITY IMAP4rev1] in\r\n", "E"));
    end();
}

/* ---- The wire ----------------------------------------------------------------------------------- */
static void tags_and_order(void **state)
{
    uint32_t a, b;
    struct imap_result r;
    (void)state;
    logged_in(SCRIPT(
        LOGIN, "C T2 NOOP", "C T3 CHECK",
        "S * 3 EXPUNGE\r\n* 7 EXISTS\r\n+ what?\r\nT99 OK who\r\nT1 OK again\r\n* 3 FETCH (UID 9 FLAGS ())\r\n"
        "T3 NO [OVERQUOTA] full\r\n* X-NEW thing (1 2)\r\n\r\n* 3 EXPUNGE\r\nT2 OK\r\nT2 OK twice\r\n* 2 EXISTS\r\n",
        "C T4 NOOP", "S T4 OK\r\n", "E"));
    assert_true(imap_sendf(t.imap, &a, &t.err, "NOOP"));
    assert_true(imap_sendf(t.imap, &b, &t.err, "CHECK"));
    assert_true(imap_wait(t.imap, a, &r, &t.err)); /* THREATS 55 */
    assert_int_equal(r.what, IMAP_OK);
    assert_true(imap_wait(t.imap, b, &r, &t.err));
    assert_int_equal(r.what, IMAP_NO);
    assert_false(imap_result_err(&r, &t.err));
    assert_int_equal(t.err.kind, ERR_OVERQUOTA);
    assert_true(imap_sendf(t.imap, &a, &t.err, "NOOP"));
    assert_true(imap_wait(t.imap, a, &r, &t.err));
    assert_string_equal(t.events, "expunge3 exists7 fetch9 expunge3 exists2 "); /* THREATS 47 */
    end();
}

static void limits(void **state)
{
    (void)state;
    static const char line[] = "* 1 FETCH (X ";
    static char big[IMAP_LINE_MAX + 64], lits[1u << 16];
    memset(big, 'x', sizeof big - 1);
    memcpy(big, "S ", 2);
    memcpy(big + 2, line, sizeof line - 1);
    memcpy(big + sizeof big - 3, "\r\n", 2);
    assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP", big, "E")), ERR_PROTOCOL); /* THREATS 29 */
    size_t n = (size_t)snprintf(lits, sizeof lits, "S * 1 FETCH (X (");
    while (n < sizeof lits - 16)
        n += (size_t)snprintf(lits + n, 16, "{1}\r\na ");
    assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP", lits, "E")), ERR_PROTOCOL); /* THREATS 32 */
    /* THREATS 30 */
    static const char *const sizes[] = {"S * 1 FETCH (BODY[] {4294967295}\r\n",
                                        "S * 1 FETCH (BODY[] {18446744073709551617}\r\n",
                                        "S * 1 FETCH (BODY[] {99999999999999999999999999}\r\n"};
    for (size_t i = 0; i < COUNT(sizes); i++)
        assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP", sizes[i], "E")), ERR_PROTOCOL);
    /* not a size: a line as any other */
    assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP", "S * 1 FETCH (BODY[] {-1}\r\nT2 OK\r\n", "E")), ERR_NONE);
    assert_int_equal(
        after_noop(SCRIPT(LOGIN, "C T2 NOOP", "S * OK five {5}\r\n* X \"{5}\r\n* X {5\r\nT2 OK a {7}\r\n", "E")),
        ERR_NONE);
    assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP", "S T2 MAYBE\r\n", "E")), ERR_PROTOCOL);
    assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP", "S * BYE restart\r\n", "E")), ERR_SERVER_BYE);
    assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP", "S * 1 FETCH (BODY[] {100}\r\nshort")),
                     ERR_LINE); /* THREATS 57 */
}

static void a_million_search_results(void **state)
{
    uint32_t tag;
    bool alive;
    struct buf line = BUF_INIT(16u << 20);
    (void)state;
    buf_addz(&line, "S * SEARCH");
    for (unsigned i = 1; i <= 1000000; i++)
        buf_addf(&line, " %u", i);
    buf_addz(&line, "\r\nT2 OK\r\n");
    logged_in(SCRIPT(LOGIN, "C T2 UID SEARCH ALL", buf_z(&line), "E")); /* THREATS 73 */
    assert_true(imap_sendf(t.imap, &tag, &t.err, "UID SEARCH ALL"));
    assert_true(imap_done(t.imap, tag, &alive, &t.err));
    assert_string_equal(t.events, "search1000000 ");
    end();
    buf_fini(&line);
}

static void one_byte_now_and_then(int fd, const void *arg)
{
    (void)arg;
    say(fd, "* OK [CAPABILITY IMAP4rev1");
    for (;;) {
        say(fd, " ");
        usleep(50000);
    }
}

static void a_drip_ends_at_the_deadline(void **state)
{
    (void)state;
    start_fn(one_byte_now_and_then, NULL, 500); /* THREATS 28 */
    assert_false(login(TLS_NONE));
    assert_int_equal(t.err.kind, ERR_TIMEOUT);
    end();
}

#define BODY_SIZE 300000

static void body_in_pieces(int fd, const void *arg)
{
    size_t piece = *(const size_t *)arg;
    static char text[BODY_SIZE + 100];
    char line[200];
    say(fd, "* OK [CAPABILITY IMAP4rev1] hi\r\n");
    hear_line(fd, line, sizeof line);
    say(fd, "T1 OK [CAPABILITY IMAP4rev1] in\r\n");
    hear(fd, "T2 UID FETCH 5 (UID BODY.PEEK[])");
    size_t n = (size_t)snprintf(text, sizeof text, "* 1 FETCH (UID 5 BODY[] {%d}\r\n", BODY_SIZE);
    for (size_t i = 0; i < BODY_SIZE; i++)
        text[n++] = (char)(i * 7 + i / 256);
    n += (size_t)snprintf(text + n, sizeof text - n, " FLAGS ())\r\nT2 OK\r\n");
    for (size_t at = 0; at < n; at += piece)
        say_n(fd, text + at, MIN(piece, n - at));
    hear_end(fd);
}

static void a_body_goes_to_the_sink_in_any_cut(void **state)
{
    static const size_t pieces[] = {7, 1000, 65536, 1u << 20}; /* THREATS 74 */
    uint32_t tag;
    bool alive;
    (void)state;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        char path[] = "/tmp/tuimail-test-XXXXXX";
        start_fn(body_in_pieces, &pieces[i], ANSWER_MS);
        t.sink = mkstemp(path);
        unlink(path);
        assert_true(login(TLS_NONE));
        assert_true(imap_sendf(t.imap, &tag, &t.err, "UID FETCH 5 (UID BODY.PEEK[])"));
        assert_true(imap_done(t.imap, tag, &alive, &t.err));
        assert_true(t.body_streamed);
        assert_int_equal(t.body_bytes, BODY_SIZE);
        static char got[BODY_SIZE + 1];
        assert_int_equal(pread(t.sink, got, sizeof got, 0), BODY_SIZE);
        for (size_t k = 0; k < BODY_SIZE; k++)
            if (got[k] != (char)(k * 7 + k / 256))
                fail_msg("byte %zu differs", k);
        end();
    }
}

static void idle(void **state)
{
    bool on, data = false;
    uint32_t tag;
    struct imap_result r;
    (void)state;
    logged_in(SCRIPT(LOGIN, "C T2 IDLE", "S * 4 EXISTS\r\n+ idling\r\n* 5 EXISTS\r\n* 1 EXPUNGE\r\n", "C DONE",
                     "C T3 NOOP", "S * 6 EXISTS\r\nT2 OK\r\nT3 OK\r\n", "E"));
    assert_true(imap_idle_begin(t.imap, &on, &t.err));
    assert_true(on);
    assert_string_equal(t.events, "exists4 ");
    while (strlen(t.events) < 20) {
        assert_true(stream_readable(t.stream, clock_mono_ms() + ANSWER_MS, &data, &t.err));
        assert_true(data);
        assert_true(imap_idle_read(t.imap, &t.err));
    }
    assert_true(imap_idle_end(t.imap, &t.err));
    assert_true(imap_sendf(t.imap, &tag, &t.err, "NOOP"));
    assert_true(imap_wait(t.imap, tag, &r, &t.err));
    assert_string_equal(t.events, "exists4 exists5 expunge1 exists6 ");
    end();
    logged_in(SCRIPT(LOGIN, "C T2 IDLE", "S T2 NO not here\r\n", "E")); /* THREATS 59 */
    assert_true(imap_idle_begin(t.imap, &on, &t.err));
    assert_false(on);
    end();
}

static void strings_are_sent_as_they_are(void **state)
{
    struct imap_cmd c;
    uint32_t tag;
    bool alive;
    (void)state;
    /* THREATS 36, 39, 40 */
    logged_in(SCRIPT(LOGIN, "C T2 SELECT \"a\\\"b\\\\$(x)`|;\"", "S T2 OK\r\n", "C T3 SELECT {3+}", "C \xE9\x1Bx",
                     "S T3 OK\r\n", "E"));
    imap_cmd_init(&c, "SELECT ");
    imap_cmd_string(t.imap, &c, STR("a\"b\\$(x)`|;"));
    assert_true(imap_send(t.imap, &c, &tag, &t.err));
    assert_true(imap_done(t.imap, tag, &alive, &t.err));
    /* after the login LITERAL+ is still offered */
    imap_cmd_init(&c, "SELECT ");
    imap_cmd_string(t.imap, &c, STR("\xE9\x1Bx"));
    assert_true(imap_send(t.imap, &c, &tag, &t.err));
    assert_true(imap_done(t.imap, tag, &alive, &t.err));
    imap_cmd_init(&c, "SELECT ");
    imap_cmd_string(t.imap, &c, STR("a\0b"));
    assert_false(imap_send(t.imap, &c, &tag, &t.err));
    assert_int_equal(t.err.kind, ERR_USAGE);
    end();
}

/* What follows COMPRESS before its answer would be plain, and the server inflates it. */
static void nothing_is_sent_within_compress(void **state)
{
    uint32_t tag;
    struct imap_result r;
    (void)state;
    logged_in(SCRIPT(HELLO, "S T1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] in\r\n", "C T2 NOOP",
                     "S * 1 EXISTS\r\nT2 OK\r\n", "C T3 COMPRESS DEFLATE", "S * 2 EXISTS\r\nT3 NO not now\r\n",
                     "C T4 NOOP", "S * 3 EXISTS\r\nT4 OK\r\n", "E"));
    assert_true(imap_sendf(t.imap, &tag, &t.err, "NOOP") && imap_wait(t.imap, tag, &r, &t.err));
    assert_true(t.may);
    assert_true(imap_compress(t.imap, &t.err));
    assert_false(t.may);
    assert_true(imap_sendf(t.imap, &tag, &t.err, "NOOP") && imap_wait(t.imap, tag, &r, &t.err));
    assert_true(t.may);
    assert_string_equal(t.events, "exists1 exists2 exists3 ");
    end();
}

/* THREATS 31: the bytes of a body end elsewhere than was said; what follows is not believed. */
static void a_body_that_goes_astray_ends_the_line(void **state)
{
    (void)state;
    assert_int_equal(after_noop(SCRIPT(LOGIN, "C T2 NOOP",
                                       "S * 1 FETCH (UID 7 BODY[]<0> {5}\r\nhello, world\r\n* 9 EXISTS\r\nT2 OK\r\n")),
                     ERR_PROTOCOL);
    assert_string_equal(t.events, "");
    /* Of a header, as of anything else, one answer is left out. */
    assert_int_equal(
        after_noop(SCRIPT(LOGIN, "C T2 NOOP",
                          "S * 1 FETCH (UID 7 BODY[HEADER] {5}\r\nhello, world\r\n* 9 EXISTS\r\nT2 OK\r\n")),
        ERR_NONE);
}

static void the_pipeline_has_an_end(void **state)
{
    uint32_t tag;
    (void)state;
    start(SCRIPT(LOGIN));
    assert_true(login(TLS_NONE));
    for (int i = 0; i < IMAP_PIPELINE_MAX; i++)
        assert_true(imap_sendf(t.imap, &tag, &t.err, "NOOP"));
    assert_false(imap_sendf(t.imap, &tag, &t.err, "NOOP"));
    assert_int_equal(t.err.kind, ERR_LIMIT);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encryption_is_not_talked_away),
        cmocka_unit_test(greetings_that_are_none),
        cmocka_unit_test(a_refused_login_is_not_repeated),
        cmocka_unit_test(passwords_of_any_bytes),
        cmocka_unit_test(nothing_is_believed_before_the_login),
        cmocka_unit_test(sasl_with_and_without_initial_response),
        cmocka_unit_test(tags_and_order),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_million_search_results),
        cmocka_unit_test(a_drip_ends_at_the_deadline),
        cmocka_unit_test(a_body_goes_to_the_sink_in_any_cut),
        cmocka_unit_test(idle),
        cmocka_unit_test(strings_are_sent_as_they_are),
        cmocka_unit_test(nothing_is_sent_within_compress),
        cmocka_unit_test(a_body_that_goes_astray_ends_the_line),
        cmocka_unit_test(the_pipeline_has_an_end),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
