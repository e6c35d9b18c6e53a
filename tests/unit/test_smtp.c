/* net/smtp against scripted servers, honest and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/smtp.h"
#include "net_cert.h"
#include "net_peer.h"

struct session {
    pid_t pid;
    struct stream *s;
    struct smtp *p;
    char refused[1000]; /* "RCPT KIND;" each */
    struct err err;
};

static int mail_fd(const char *p, size_t n)
{
    char path[] = "/tmp/tuimail-test-mail-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, p, n), n);
    return fd;
}

static void on_refused(void *arg, const char *rcpt, const struct err *why)
{
    struct session *t = arg;
    size_t n = strlen(t->refused);
    snprintf(t->refused + n, sizeof t->refused - n, "%s %s;", rcpt, err_name(why->kind));
}

static void start(struct session *t, peer_fn *fn, const void *arg)
{
    memset(t, 0, sizeof *t);
    struct stream_options o = {.answer_ms = 20000, .wake_fd = -1};
    int fd;
    t->pid = peer_start(fn, arg, &fd);
    t->s = stream_from_fds(fd, fd, &o);
    t->p = smtp_new(t->s, "smtp.example.org");
}

static void end(struct session *t)
{
    smtp_free(&t->p);
    stream_close(&t->s);
    assert_int_equal(peer_wait(t->pid), 0);
}

static bool send_to(struct session *t, const char *sender, const char *const *rcpts, size_t n, const char *mail,
                    size_t mail_n)
{
    int fd = mail_fd(mail, mail_n);
    struct smtp_mail m = {.sender = sender, .rcpts = rcpts, .nrcpts = n, .fd = fd, .refused = on_refused, .arg = t};
    bool ok = smtp_send(t->p, &m, &t->err);
    close(fd);
    return ok;
}

#define EHLO "C EHLO [127.0.0.1]"
#define HELLO(caps) "S 220 smtp.example.org ESMTP\r\n", EHLO, "S 250-smtp.example.org\r\n" caps "250 OK\r\n"
#define PIPE "250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 1000\r\n"
#define MAIL "Subject: s\r\n\r\nbody\r\n"

static const char *const bob[] = {"bob@example.org"};
static const char *const two[] = {"bob@example.org", "carol@example.org"};

static void greeted(struct session *t, const char *const *lines)
{
    start(t, script, lines);
    if (!smtp_greet(t->p, false, &t->err))
        fail_msg("%s", t->err.text);
}

/* ---- The body ----------------------------------------------------------------------------------- */

/* THREATS 105, 143, 145: one message arrives, whatever its line ends; Bcc does not. */
static void test_body(void **state UNUSED)
{
    static const struct {
        const char *raw;
        size_t n;
        const char *want;
    } rows[] = {
#define ROW(raw, want) {raw, sizeof(raw) - 1, want}
        ROW("a: b\r\n\r\nx\r\n", "a: b\r\n\r\nx\r\n"),
        ROW("a: b\n\nx", "a: b\r\n\r\nx\r\n"),
        ROW("a: b\n\nx\n.\ny\n", "a: b\r\n\r\nx\r\n..\r\ny\r\n"),
        ROW("a: b\r\n\r\nx\r\n.\r\ny\r\n", "a: b\r\n\r\nx\r\n..\r\ny\r\n"),
        ROW("a: b\r\n\r\nx\r.\ry\r", "a: b\r\n\r\nx\r\n..\r\ny\r\n"),
        ROW("a: b\r\n\r\nx\n.\r\nMAIL FROM:<e@x>\r\n", "a: b\r\n\r\nx\r\n..\r\nMAIL FROM:<e@x>\r\n"),
        ROW("a: b\r\n\r\nx\r\n.\nq\r\n", "a: b\r\n\r\nx\r\n..\r\nq\r\n"),
        ROW("a: b\r\n\r\nx\r\n.\rq\r\n", "a: b\r\n\r\nx\r\n..\r\nq\r\n"),
        ROW("a: b\r\n\r\nx\r\r\ny", "a: b\r\n\r\nx\r\n\r\ny\r\n"),
        ROW("a: b\r\n\r\n..x\r\n...\r\n", "a: b\r\n\r\n...x\r\n....\r\n"),
        ROW("", ""),
        ROW("\n", "\r\n"),
        ROW(".", "..\r\n"),
        ROW("Bcc: eve@x\r\nTo: bob@x\r\n\r\nBcc: kept\r\n", "To: bob@x\r\n\r\nBcc: kept\r\n"),
        ROW("To: bob@x\nbCC : eve@x,\n mallory@x\n\tmore\nX: y\n\nb\n", "To: bob@x\r\nX: y\r\n\r\nb\r\n"),
        ROW("Resent-Bcc: eve@x\r\nBccc: y\r\n z\r\n\r\n", "Bccc: y\r\n z\r\n\r\n"),
        ROW("A-very-long-field-name-that-goes-on-and-on: 1\r\n.odd: 2\r\nno colon\r\n\r\n",
            "A-very-long-field-name-that-goes-on-and-on: 1\r\n..odd: 2\r\nno colon\r\n\r\n"),
        ROW("Bcc: last", ""),
#undef ROW
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t step = 1; step <= MAX(rows[i].n, (size_t)1); step++) {
            struct smtp_body b = {.in_body = false};
            struct buf out = BUF_INIT(1000);
            for (size_t at = 0; at < rows[i].n; at += step)
                smtp_body_take(&b, (struct str){rows[i].raw + at, MIN(step, rows[i].n - at)}, &out);
            smtp_body_end(&b, &out);
            if (!str_eqz(buf_str(&out), rows[i].want))
                fail_msg("row %zu, step %zu: \"%s\"", i, step, buf_z(&out));
            buf_fini(&out);
        }
    }
}

/* ---- Greeting, STARTTLS, login ------------------------------------------------------------------ */

static void endless_ehlo(int fd, const void *arg UNUSED)
{
    script(fd, SCRIPT("S 220 x\r\n", EHLO));
    for (;;)
        say(fd, "250-MORE\r\n");
}

static void test_greeting(void **state UNUSED)
{
    static const struct {
        const char *const lines[7]; /* NULL behind the last */
        bool tls;
        enum err_kind want;
    } rows[] = {
        {{HELLO("250-STARTTLS\r\n")}, false, ERR_NONE},
        {{"S 220-hello\r\n220-long\r\n220 end\r\n", EHLO, "S 502 what\r\n", "C HELO [127.0.0.1]", "S 250 ok\r\n"},
         false,
         ERR_NONE},
        {{"S 220 x\r\n", EHLO, "S 502 what\r\n", "C HELO [127.0.0.1]", "S 250 ok\r\n", "E"}, true, ERR_NO_STARTTLS},
        {{"S 554 go away\r\n"}, false, ERR_SERVER_NO},
        {{"S 421 later\r\n"}, false, ERR_SERVER_TEMP}, /* THREATS 147 */
        {{"S +OK POP3\r\n"}, false, ERR_PROTOCOL},
        {{"S 220 x\r\n", EHLO, "S 250-a\r\n550 b\r\n"}, false, ERR_PROTOCOL}, /* THREATS 151 */
        {{"S 220 x\r\n", EHLO, "S 250-a\r\n25\r\n"}, false, ERR_PROTOCOL},
        {{"S 220 x\r\n", EHLO, "S 250_a\r\n"}, false, ERR_PROTOCOL},
        {{HELLO("250-SIZE\r\n"), "E"}, true, ERR_NO_STARTTLS},                                           /* THREATS 1 */
        {{HELLO("250-STARTTLS\r\n"), "C STARTTLS", "S 454 no\r\n"}, true, ERR_NO_STARTTLS},              /* THREATS 2 */
        {{HELLO("250-STARTTLS\r\n"), "C STARTTLS", "S 220 go\r\n250 injected\r\n"}, true, ERR_PROTOCOL}, /* THREATS 5 */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        start(&t, script, rows[i].lines);
        bool ok = smtp_greet(t.p, rows[i].tls, &t.err);
        if (t.err.kind != rows[i].want || ok != (rows[i].want == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        end(&t);
    }
    struct session t;
    start(&t, endless_ehlo, NULL);
    assert_false(smtp_greet(t.p, false, &t.err));
    assert_int_equal(t.err.kind, ERR_PROTOCOL);
    end(&t);
}

static void starttls_server(int fd, const void *arg)
{
    script(fd, SCRIPT(HELLO("250-STARTTLS\r\n250-AUTH PLAIN\r\n250-PIPELINING\r\n"), "C STARTTLS", "S 220 go\r\n"));
    SSL *ssl = cert_accept(fd, arg, 0);
    char b[200];
    int n = ssl != NULL ? SSL_read(ssl, b, sizeof b) : 0;
    if (n != 18 || memcmp(b, "EHLO [127.0.0.1]\r\n", 18) != 0)
        _exit(2);
    SSL_write(ssl, "250-x\r\n250 SIZE 10\r\n", 20);
    while (SSL_read(ssl, b, sizeof b) > 0)
        continue;
}

/* THREATS 6, 17: what was offered before TLS is forgotten. */
static void test_starttls(void **state UNUSED)
{
    struct cert ca = cert_make(NULL, "Test authority", NULL, -1000, 100000);
    struct cert leaf = cert_make(&ca, "x", "DNS:smtp.example.org", -10, 100000);
    char *path = cert_file(&ca);
    struct stream_options o = {.ca_file = path, .wake_fd = -1};
    struct session t;
    struct secret secret = secret_new(STR("secret"));
    memset(&t, 0, sizeof t);
    assert_true(stream_setup(&o, &t.err));
    start(&t, starttls_server, &leaf);
    if (!smtp_greet(t.p, true, &t.err))
        fail_msg("%s", t.err.text);
    assert_int_equal(smtp_caps(t.p), SMTP_EHLO | SMTP_SIZE);
    assert_false(smtp_login(t.p, "alice", &secret, false, &t.err));
    assert_int_equal(t.err.kind, ERR_NO_AUTH_METHOD);
    end(&t);
    secret_free(&secret);
    unlink(path);
    free(path);
    cert_free(&ca);
    cert_free(&leaf);
}

static void test_login(void **state UNUSED)
{
    static const struct {
        const char *caps;
        const char *const lines[5];
        bool insecure_ok;
        enum err_kind want;
    } rows[] = {
        {"250-AUTH PLAIN LOGIN\r\n", {"C AUTH PLAIN AGFsaWNlAHNlY3JldA==", "S 235 ok\r\n"}, true, ERR_NONE},
        {"250-AUTH=PLAIN\r\n", {"C AUTH PLAIN AGFsaWNlAHNlY3JldA==", "S 235 ok\r\n"}, true, ERR_NONE},
        {"250-AUTH LOGIN\r\n",
         {"C AUTH LOGIN", "S 334 VXNlcm5hbWU6\r\n", "C YWxpY2U=", "S 334 UGFzc3dvcmQ6\r\n", "C c2VjcmV0"},
         true,
         ERR_LINE},
        {"250-AUTH PLAIN\r\n", {"E"}, false, ERR_NO_AUTH_METHOD},
        {"250-SIZE 10\r\n", {"E"}, true, ERR_NO_AUTH_METHOD},
        {"250-AUTH PLAIN\r\n", {"C AUTH PLAIN AGFsaWNlAHNlY3JldA==", "S 535 5.7.8 no\r\n"}, true, ERR_AUTH},
        {"250-AUTH PLAIN\r\n", {"C AUTH PLAIN AGFsaWNlAHNlY3JldA==", "S 454 4.7.0 later\r\n"}, true, ERR_SERVER_TEMP},
        {"250-AUTH PLAIN\r\n", {"C AUTH PLAIN AGFsaWNlAHNlY3JldA==", "S 534 too weak\r\n"}, true, ERR_NO_AUTH_METHOD},
        {"250-AUTH PLAIN\r\n", {"C AUTH PLAIN AGFsaWNlAHNlY3JldA==", "S 250 ok?\r\n"}, true, ERR_PROTOCOL},
        {"250-AUTH CRAM-MD5\r\n",
         {"C AUTH CRAM-MD5", "S 334 YWJj\r\n", "C *", "S 501 x\r\n"},
         true,
         ERR_PROTOCOL}, /* THREATS 18 */
    };
    struct secret secret = secret_new(STR("secret"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        char hello[200];
        snprintf(hello, sizeof hello, "S 250-x\r\n%s250 OK\r\n", rows[i].caps);
        const char *lines[12] = {"S 220 x\r\n", EHLO, hello};
        for (size_t k = 0; k < COUNT(rows[i].lines); k++)
            lines[3 + k] = rows[i].lines[k];
        struct session t;
        greeted(&t, lines);
        bool ok = smtp_login(t.p, "alice", &secret, rows[i].insecure_ok, &t.err);
        if (t.err.kind != rows[i].want || ok != (rows[i].want == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        assert_null(strstr(t.err.text, "secret"));
        end(&t);
    }
    secret_free(&secret);
}

/* ---- Sending ------------------------------------------------------------------------------------ */

static void test_send(void **state UNUSED)
{
    struct session t;
    greeted(&t, SCRIPT(HELLO(PIPE), "C MAIL FROM:<alice@example.org> SIZE=20", "C RCPT TO:<bob@example.org>",
                       "C RCPT TO:<carol@example.org>", "S 250 ok\r\n250 ok\r\n251 will forward\r\n", "C DATA",
                       "S 354 go\r\n", "C Subject: s", "C ", "C body", "C .", "S 250 queued\r\n", "C QUIT"));
    if (!send_to(&t, "alice@example.org", two, 2, MAIL, sizeof MAIL - 1))
        fail_msg("%s", t.err.text);
    smtp_quit(t.p); /* THREATS 150: nobody answers, and nobody waits */
    end(&t);
    /* in lock step, null sender, LF line ends */
    greeted(&t, SCRIPT(HELLO(""), "C MAIL FROM:<>", "S 250 ok\r\n", "C RCPT TO:<bob@example.org>", "S 250 ok\r\n",
                       "C RCPT TO:<carol@example.org>", "S 250 ok\r\n", "C DATA", "S 354 go\r\n", "C a: b", "C ",
                       "C ..", "C .", "S 250-queued\r\n250 as x\r\n"));
    if (!send_to(&t, "", two, 2, "a: b\n\n.\n", 8))
        fail_msg("%s", t.err.text);
    end(&t);
}

/* THREATS 148: one refused, nothing sent, all told. */
static void test_refused(void **state UNUSED)
{
    struct session t;
    greeted(&t, SCRIPT(HELLO(PIPE), "C MAIL FROM:<alice@example.org> SIZE=20", "C RCPT TO:<bob@example.org>",
                       "C RCPT TO:<carol@example.org>", "S 250 ok\r\n550 5.1.1 no such bob\r\n452 full\r\n", "C RSET",
                       "S 250 ok\r\n", "E"));
    assert_false(send_to(&t, "alice@example.org", two, 2, MAIL, sizeof MAIL - 1));
    assert_int_equal(t.err.kind, ERR_RECIPIENT);
    assert_non_null(strstr(t.err.text, "no such bob"));
    assert_string_equal(t.refused, "bob@example.org RECIPIENT;carol@example.org SERVER_TEMP;");
    end(&t);
    greeted(&t, SCRIPT(HELLO(""), "C MAIL FROM:<alice@example.org>", "S 250 ok\r\n", "C RCPT TO:<bob@example.org>",
                       "S 450 greylisted\r\n", "C RSET", "S 250 ok\r\n", "E"));
    assert_false(send_to(&t, "alice@example.org", bob, 1, MAIL, sizeof MAIL - 1));
    assert_int_equal(t.err.kind, ERR_SERVER_TEMP);
    end(&t);
}

/* THREATS 147: refusal at each step; THREATS 149: what is unknown is said to be unknown. */
static void test_steps(void **state UNUSED)
{
#define TO "C RCPT TO:<bob@example.org>"
#define FROM "C MAIL FROM:<alice@example.org>"
#define DATA "C DATA", "S 354 go\r\n", "C Subject: s", "C ", "C body", "C ."
    static const struct {
        const char *const lines[14];
        enum err_kind want;
    } rows[] = {
        {{FROM, "S 550 not you\r\n", "C RSET", "S 250 ok\r\n", "E"}, ERR_SERVER_NO},
        {{FROM, "S 451 later\r\n", "C RSET", "S 250 ok\r\n", "E"}, ERR_SERVER_TEMP},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", "C DATA", "S 554 no\r\n", "E"}, ERR_SERVER_NO},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", "C DATA", "S 250 ok?\r\n", "E"}, ERR_PROTOCOL},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", "C DATA"}, ERR_LINE},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA, "S 554 spam\r\n"}, ERR_SERVER_NO},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA, "S 452 full\r\n"}, ERR_SERVER_TEMP},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA, "S 250 ok\r\n"}, ERR_NONE},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA}, ERR_UNKNOWN_OUTCOME},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA, "S 25"}, ERR_UNKNOWN_OUTCOME},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA, "S nonsense\r\n"}, ERR_UNKNOWN_OUTCOME},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA, "S 250-ok\r\n550 no\r\n"}, ERR_UNKNOWN_OUTCOME},
        {{FROM, "S 250 ok\r\n", TO, "S 250 ok\r\n", DATA, "S 354 more\r\n"}, ERR_UNKNOWN_OUTCOME},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        const char *lines[20] = {HELLO("")};
        for (size_t k = 0; k < COUNT(rows[i].lines); k++)
            lines[3 + k] = rows[i].lines[k];
        greeted(&t, lines);
        bool ok = send_to(&t, "alice@example.org", bob, 1, MAIL, sizeof MAIL - 1);
        if (t.err.kind != rows[i].want || ok != (rows[i].want == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        end(&t);
    }
}

/* THREATS 142, 146, 152: what must not or cannot go is refused before MAIL. */
static void test_refused_here(void **state UNUSED)
{
    static const char *const inject[] = {"bob@example.org>\r\nRCPT TO:<eve@example.org"};
    static const char *const blank[] = {"bob smith@example.org"};
    static const char *const angle[] = {"<bob@example.org>"};
    static const char *const bare[] = {"bob"};
    static const char *const open_quote[] = {"\"bob@example.org"};
    static const char *const unicode[] = {"b\xc3\xb6"
                                          "b@example.org"};
    static const char *const odd[] = {"\"bob \\\" <x>\"@example.org"};
    static const struct {
        const char *caps;
        const char *sender;
        const char *const *rcpts;
        size_t n;
        const char *mail;
        size_t mail_n;
        enum err_kind want;
    } rows[] = {
#define R(caps, sender, rcpts, mail, want) {caps, sender, rcpts, 1, mail, sizeof(mail) - 1, want}
        R("", "alice@example.org", inject, MAIL, ERR_RECIPIENT),
        R("", "alice@example.org", blank, MAIL, ERR_RECIPIENT),
        R("", "alice@example.org", angle, MAIL, ERR_RECIPIENT),
        R("", "alice@example.org", bare, MAIL, ERR_RECIPIENT),
        R("", "alice@example.org", open_quote, MAIL, ERR_RECIPIENT),
        R("", "alice@example.org>\nX", bob, MAIL, ERR_RECIPIENT),
        R("250-8BITMIME\r\n", "alice@example.org", unicode, MAIL, ERR_SERVER_NO),
        R("", "alice@example.org", bob, "a: b\n\n\xc3\xa4\n", ERR_SERVER_NO),
        R("250-SIZE 19\r\n", "alice@example.org", bob, MAIL, ERR_SERVER_NO),
        R("250-8BITMIME\r\n", "alice@example.org", bob, "a: b\n\nx\0y\n", ERR_PARSE),
#undef R
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        char hello[200];
        snprintf(hello, sizeof hello, "S 250-x\r\n%s250 OK\r\n", rows[i].caps);
        greeted(&t, SCRIPT("S 220 x\r\n", EHLO, hello, "E"));
        assert_false(send_to(&t, rows[i].sender, rows[i].rcpts, rows[i].n, rows[i].mail, rows[i].mail_n));
        if (t.err.kind != rows[i].want)
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        end(&t);
    }
    assert_true(smtp_address_ok(odd[0]));
    struct session t;
    greeted(&t, SCRIPT(HELLO("250-8BITMIME\r\n250-SMTPUTF8\r\n"),
                       "C MAIL FROM:<alice@example.org> BODY=8BITMIME SMTPUTF8", "S 250 ok\r\n",
                       "C RCPT TO:<b\xc3\xb6"
                       "b@example.org>",
                       "S 250 ok\r\n", "C DATA", "S 354 go\r\n", "C a: b", "C ", "C \xc3\xa4", "C .", "S 250 ok\r\n"));
    if (!send_to(&t, "alice@example.org", unicode, 1, "a: b\n\n\xc3\xa4\n", 9))
        fail_msg("%s", t.err.text);
    end(&t);
}

/* Megabytes, and more recipients than the window. */
static void big_server(int fd, const void *arg UNUSED)
{
    script(fd, SCRIPT(HELLO("250-PIPELINING\r\n"), "C MAIL FROM:<alice@example.org>", "S 250 ok\r\n"));
    char b[4096];
    for (int i = 0; i < 250; i++) {
        snprintf(b, sizeof b, "RCPT TO:<r%d@example.org>", i);
        hear(fd, b);
        say(fd, "250 ok\r\n");
    }
    script(fd, SCRIPT("C DATA", "S 354 go\r\n", "C a: b", "C "));
    static char block[1 << 16];
    size_t n = 0;
    char tail[5] = "";
    for (;;) {
        ssize_t got = read(fd, block, sizeof block);
        if (got <= 0)
            _exit(3);
        n += (size_t)got;
        for (ssize_t i = 0; i < got; i++) {
            memmove(tail, tail + 1, 4);
            tail[4] = block[i];
        }
        if (memcmp(tail, "\r\n.\r\n", 5) == 0)
            break;
    }
    if (n != (size_t)200000 * 41 + 3)
        _exit(4);
    say(fd, "250 ok\r\n");
}

static void test_big(void **state UNUSED)
{
    struct session t;
    char *rcpts[250];
    for (int i = 0; i < 250; i++) {
        char b[40];
        snprintf(b, sizeof b, "r%d@example.org", i);
        rcpts[i] = mem_dup_z(b);
    }
    struct buf mail = BUF_INIT(16u << 20);
    buf_addz(&mail, "a: b\n\n");
    for (int i = 0; i < 200000; i++)
        buf_addz(&mail, "..................................xxxx\n"); /* 38 and a doubled dot and CR LF */
    start(&t, big_server, NULL);
    assert_true(smtp_greet(t.p, false, &t.err));
    if (!send_to(&t, "alice@example.org", (const char *const *)rcpts, 250, mail.p, mail.n))
        fail_msg("%s", t.err.text);
    end(&t);
    for (int i = 0; i < 250; i++)
        free(rcpts[i]);
    buf_fini(&mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body),  cmocka_unit_test(test_greeting),     cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_login), cmocka_unit_test(test_send),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_steps), cmocka_unit_test(test_refused_here), cmocka_unit_test(test_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
