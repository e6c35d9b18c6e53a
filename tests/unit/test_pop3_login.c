/* net/pop3 from the greeting to the maildrop, against scripted servers, honest and hostile. */
#include "net_cert.h"
#include "pop3_session.h"

/* ---- Greeting, STLS, login ---------------------------------------------------------------------- */

static void test_greeting(void **state UNUSED)
{
    static const struct {
        const char *says;
        enum err_kind want;
    } rows[] = {
        {"S -ERR [SYS/TEMP] come back\r\n", ERR_SERVER_TEMP},
        {"S 220 mail ESMTP\r\n", ERR_PROTOCOL}, /* THREATS 8 */
        {"S \r\n", ERR_PROTOCOL},
        {"S * OK IMAP\r\n", ERR_PROTOCOL},
        {"S +O", ERR_LINE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        start(&t, script, SCRIPT(rows[i].says));
        assert_false(pop3_greet(t.p, false, &t.err));
        assert_int_equal(t.err.kind, rows[i].want);
        end(&t);
    }
}

static void endless_capa(int fd, const void *arg UNUSED)
{
    say(fd, "+OK\r\n");
    hear(fd, "CAPA");
    say(fd, "+OK\r\n");
    for (;;)
        say(fd, "X-MORE OF IT\r\n");
}

static void test_capa(void **state UNUSED)
{
    struct session t;
    start(&t, endless_capa, NULL);
    assert_false(pop3_greet(t.p, false, &t.err));
    assert_int_equal(t.err.kind, ERR_LIMIT);
    end(&t);
    start(&t, script,
          SCRIPT("S +OK\r\n", "C CAPA",
                 "S +OK list\r\ntop\r\nSASL PLAIN  LOGIN\r\nLOGIN-DELAY 60 USER\r\nEXPIRE 30\r\n.\r\n"));
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_int_equal(pop3_caps(t.p), POP_CAPA | POP_TOP | POP_SASL);
    struct buf b = BUF_INIT(1000);
    pop3_caps_text(t.p, &b);
    assert_string_equal(buf_z(&b), "top; SASL PLAIN  LOGIN; LOGIN-DELAY 60 USER; EXPIRE 30");
    buf_fini(&b);
    assert_int_equal(pop3_login_delay(t.p), 60);
    assert_int_equal(pop3_expire(t.p), 30);
    end(&t);
    start(&t, script, SCRIPT("S +OK\r\n", "C CAPA", "S -ERR what?\r\n"));
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_int_equal(pop3_caps(t.p), 0);
    end(&t);
    static const struct {
        const char *capa;
        uint32_t delay, expire;
    } rows[] = {
        {"S +OK\r\nEXPIRE NEVER\r\nLOGIN-DELAY\r\n.\r\n", 0, POP3_EXPIRE_NEVER},
        {"S +OK\r\nexpire 0 USER\r\nLOGIN-DELAY 4294967295\r\n.\r\n", 86400, 0},
        {"S +OK\r\nEXPIRE -1\r\nLOGIN-DELAY 99999999999\r\n.\r\n", 0, POP3_EXPIRE_NEVER},
        {"S +OK\r\nEXPIRE\r\nLOGIN-DELAY x\r\n.\r\n", 0, POP3_EXPIRE_NEVER},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        start(&t, script, SCRIPT("S +OK\r\n", "C CAPA", rows[i].capa));
        assert_true(pop3_greet(t.p, false, &t.err));
        assert_int_equal(pop3_login_delay(t.p), rows[i].delay);
        assert_int_equal(pop3_expire(t.p), rows[i].expire);
        end(&t);
    }
}

/* THREATS 1, 2, 5: no TLS, no login. */
static void test_stls_refused(void **state UNUSED)
{
    static const struct {
        const char *const lines[7]; /* NULL behind the last */
        enum err_kind want;
    } rows[] = {
        {{"S +OK\r\n", "C STLS", "S -ERR no\r\n", "E"}, ERR_NO_STARTTLS},
        {{"S +OK\r\n", "C STLS", "S -ERR [AUTH] no\r\n", "E"}, ERR_NO_STARTTLS},
        {{"S +OK\r\n", "C STLS", "S +OK\r\n+OK injected\r\n"}, ERR_PROTOCOL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        start(&t, script, rows[i].lines);
        /* Nothing that is known of the server lets anything go before TLS. */
        pop3_expect(t.p, STR("pop.example.org; PIPELINING; USER"));
        bool ok = pop3_greet(t.p, true, &t.err);
        if (ok || t.err.kind != rows[i].want)
            fail_msg("row %zu: %s %s", i, err_name(t.err.kind), t.err.text);
        end(&t);
    }
}

static void stls_server(int fd, const void *arg)
{
    script(fd, SCRIPT("S +OK <1.2@pop.example.org>\r\n", "C STLS", "S +OK\r\n"));
    SSL *ssl = cert_accept(fd, arg, 0);
    char b[200];
    if (ssl == NULL || SSL_read(ssl, b, sizeof b) != 6 || memcmp(b, "CAPA\r\n", 6) != 0)
        _exit(2);
    SSL_write(ssl, "+OK\r\nTOP\r\n.\r\n", 13);
    while (SSL_read(ssl, b, sizeof b) > 0)
        continue;
}

/* THREATS 6: what was said before TLS is forgotten. */
static void test_stls(void **state UNUSED)
{
    struct cert ca = cert_make(NULL, "Test authority", NULL, -1000, 100000);
    struct cert leaf = cert_make(&ca, "x", "DNS:pop.example.org", -10, 100000);
    char *path = cert_file(&ca);
    struct stream_options o = {.ca_file = path, .wake_fd = -1};
    struct session t;
    memset(&t, 0, sizeof t);
    assert_true(stream_setup(&o, &t.err));
    start(&t, stls_server, &leaf);
    if (!pop3_greet(t.p, true, &t.err))
        fail_msg("%s", t.err.text);
    assert_int_equal(pop3_caps(t.p), POP_CAPA | POP_TOP);
    end(&t);
    unlink(path);
    free(path);
    cert_free(&ca);
    cert_free(&leaf);
}

static void test_login(void **state UNUSED)
{
    static const struct {
        const char *greeting, *capa;
        const char *const lines[6];
        bool insecure_ok;
        enum err_kind want;
    } rows[] = {
        {"S +OK\r\n",
         "S +OK\r\nUSER\r\n.\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S +OK\r\n"},
         true,
         ERR_NONE},
        {"S +OK\r\n", "S -ERR\r\n", {"C USER alice", "S +OK\r\n", "C PASS se cret", "S +OK\r\n"}, true, ERR_NONE},
        /* no cover, no password */
        {"S +OK\r\n", "S +OK\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n", {"E"}, false, ERR_NO_AUTH_METHOD},
        /* THREATS 17: obeyed when nothing is offered */
        {"S +OK\r\n", "S +OK\r\nTOP\r\n.\r\n", {"E"}, true, ERR_NO_AUTH_METHOD},
        {"S +OK\r\n",
         "S +OK\r\nSASL PLAIN\r\n.\r\n",
         {"C AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=", "S +OK\r\n"},
         true,
         ERR_NONE},
        {"S +OK\r\n",
         "S +OK\r\nSASL PLAIN\r\n.\r\n",
         {"C AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=", "S -ERR [AUTH] no\r\n"},
         true,
         ERR_AUTH},
        {"S +OK\r\n",
         "S +OK\r\nSASL LOGIN\r\n.\r\n",
         {"C AUTH LOGIN", "S + VXNlcm5hbWU6\r\n", "C YWxpY2U=", "S + UGFzc3dvcmQ6\r\n", "C c2UgY3JldA==", "S +OK\r\n"},
         true,
         ERR_NONE},
        /* RFC 1939's example needs its own password: here MD5("<1.2@h>se cret") */
        {"S +OK ready <1.2@h>\r\n",
         "S -ERR\r\n",
         {"C APOP alice 5f4b9ffe69ed7a4e4d9d1c9a7d1d4c67", "S +OK\r\n"},
         false,
         ERR_COUNT},
        /* THREATS 18: baits are not answered */
        {"S +OK ready <1.2h>\r\n", "S -ERR\r\n", {"E"}, false, ERR_NO_AUTH_METHOD},
        {"S +OK ready <\x80@h>\r\n", "S -ERR\r\n", {"E"}, false, ERR_NO_AUTH_METHOD},
        {"S +OK ready <a b@h>\r\n", "S -ERR\r\n", {"E"}, false, ERR_NO_AUTH_METHOD},
        {"S +OK\r\n",
         "S +OK\r\nSASL CRAM-MD5\r\n.\r\n",
         {"C AUTH CRAM-MD5", "S + YWJj\r\n", "C *", "S -ERR\r\n"},
         false,
         ERR_PROTOCOL},
        /* THREATS 90: a locked maildrop is no wrong password */
        {"S +OK\r\n",
         "S -ERR\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S -ERR [IN-USE] x\r\n"},
         true,
         ERR_SERVER_TEMP},
        {"S +OK\r\n",
         "S -ERR\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S -ERR [LOGIN-DELAY] x\r\n"},
         true,
         ERR_SERVER_TEMP},
        {"S +OK\r\n",
         "S -ERR\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S -ERR [SYS/TEMP] x\r\n"},
         true,
         ERR_SERVER_TEMP},
        {"S +OK\r\n",
         "S -ERR\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S -ERR maildrop already locked\r\n"},
         true,
         ERR_SERVER_TEMP},
        {"S +OK\r\n",
         "S -ERR\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S -ERR invalid password\r\n"},
         true,
         ERR_AUTH},
        {"S +OK\r\n", "S -ERR\r\n", {"C USER alice", "S +OK\r\n", "C PASS se cret", "S -ERR\r\n"}, true, ERR_AUTH},
        {"S +OK\r\n",
         "S +OK\r\nUSER\r\nAUTH-RESP-CODE\r\n.\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S -ERR hm\r\n"},
         true,
         ERR_SERVER_TEMP},
        {"S +OK\r\n",
         "S -ERR\r\n",
         {"C USER alice", "S +OK\r\n", "C PASS se cret", "S nonsense\r\n"},
         true,
         ERR_PROTOCOL},
    };
    struct secret secret = secret_new(STR("se cret"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *lines[12] = {rows[i].greeting, "C CAPA", rows[i].capa};
        char apop[100], hex[33];
        for (size_t k = 0; k < COUNT(rows[i].lines); k++)
            lines[3 + k] = rows[i].lines[k];
        enum err_kind want = rows[i].want;
        if (want == ERR_COUNT) {
            unsigned char md[16];
            EVP_Digest("<1.2@h>se cret", 14, md, NULL, EVP_md5(), NULL);
            hex_encode(md, 16, hex);
            snprintf(apop, sizeof apop, "C APOP alice %s", hex);
            lines[3] = apop;
            want = ERR_NONE;
        }
        struct session t;
        start(&t, script, lines);
        assert_true(pop3_greet(t.p, false, &t.err));
        bool ok = pop3_login(t.p, "alice", &secret, rows[i].insecure_ok, &t.err);
        if (t.err.kind != want || ok != (want == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        assert_null(strstr(t.err.text, "se cret"));
        end(&t);
    }
    /* THREATS 25: a user name with a line end goes nowhere. */
    struct session t;
    start(&t, script, SCRIPT("S +OK\r\n", "C CAPA", "S -ERR\r\n", "E"));
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_false(pop3_login(t.p, "alice\r\nDELE 1", &secret, true, &t.err));
    assert_int_equal(t.err.kind, ERR_CONFIG);
    end(&t);
    secret_free(&secret);
}

/* ---- Ahead of the login ------------------------------------------------------------------------- */

#define KNOWN "pop.example.org; USER; PIPELINING; UIDL"
#define CAPA_IS(more) "S +OK\r\nUSER\r\nPIPELINING\r\nUIDL\r\n" more ".\r\n"
#define FLIGHT "C CAPA", "C USER alice", "C PASS se cret"
#define EMPTY "S +OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n"

/* As start(), over a tunnel, which needs no cover. */
static void start_safe(struct session *t, peer_fn *fn, const void *arg)
{
    struct stream_options o = {.answer_ms = 20000, .wake_fd = -1};
    struct endpoint ep = {.proto = PROTO_POP3, .tls = TLS_NONE, .host = (char[]){"pop.example.org"}};
    int fd;
    memset(t, 0, sizeof *t);
    t->pid = peer_start(fn, arg, &fd);
    t->s = stream_tunnel(fd, &ep, &o, &t->err);
    t->p = pop3_new(t->s, "pop.example.org", "/tmp");
    t->got.now = BUF_INIT(1u << 20);
}

static void assert_words(const struct session *t, const char *want)
{
    struct buf words = BUF_INIT(POP3_WORDS_MAX);
    pop3_words(t->p, &words);
    assert_string_equal(buf_z(&words), want);
    buf_fini(&words);
}

/* All that a session needs to know is asked for at once, and what changed meanwhile is noticed. */
static void test_ahead(void **state UNUSED)
{
    static const struct {
        const char *words, *language;
        const char *const lines[16];
        enum err_kind login;
        bool lists; /* are they asked for? */
    } rows[] = {
        {KNOWN,
         NULL,
         {"S +OK\r\n", FLIGHT, LISTS, CAPA_IS("") "+OK\r\n+OK\r\n+OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n"},
         ERR_NONE,
         true},
        /* the login is refused, and with it what went ahead */
        {KNOWN,
         NULL,
         {"S +OK\r\n", FLIGHT, LISTS, CAPA_IS("AUTH-RESP-CODE\r\n") "+OK\r\n-ERR [AUTH] no\r\n-ERR\r\n-ERR\r\n-ERR\r\n",
          "E"},
         ERR_AUTH,
         false},
        /* USER is refused: the answer to PASS is not taken for another's */
        {KNOWN,
         NULL,
         {"S +OK\r\n", FLIGHT, LISTS, CAPA_IS("") "-ERR who?\r\n-ERR what?\r\n-ERR\r\n-ERR\r\n-ERR\r\n", "E"},
         ERR_AUTH,
         false},
        /* The server has another way now: tried on the same line, once. */
        {KNOWN,
         NULL,
         {"S +OK\r\n", FLIGHT, LISTS,
          "S +OK\r\nPIPELINING\r\nSASL PLAIN\r\n.\r\n-ERR no\r\n-ERR no\r\n-ERR\r\n-ERR\r\n-ERR\r\n",
          "C AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=", LISTS, "S +OK\r\n", EMPTY},
         ERR_NONE,
         true},
        {KNOWN,
         NULL,
         {"S +OK\r\n", FLIGHT, LISTS, "S +OK\r\nSASL PLAIN\r\n.\r\n-ERR no\r\n-ERR no\r\n-ERR\r\n-ERR\r\n-ERR\r\n",
          "C AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=", "S -ERR\r\n", "E"},
         ERR_AUTH,
         false},
        /* What was remembered of another host, or with no PIPELINING, or nothing: capabilities first. */
        {"mail.example.org; USER; PIPELINING; UIDL",
         NULL,
         {"S +OK\r\n", "C CAPA", CAPA_IS(""), "C USER alice", "C PASS se cret", LISTS, "S +OK\r\n+OK\r\n", EMPTY},
         ERR_NONE,
         true},
        {"pop.example.org; USER; UIDL",
         NULL,
         {"S +OK\r\n", "C CAPA", "S +OK\r\nUSER\r\n.\r\n", "C USER alice", "S +OK\r\n", "C PASS se cret", "S +OK\r\n",
          "E"},
         ERR_NONE,
         false},
        {"",
         NULL,
         {"S +OK\r\n", "C CAPA", CAPA_IS(""), "C USER alice", "C PASS se cret", LISTS, "S +OK\r\n+OK\r\n", EMPTY},
         ERR_NONE,
         true},
        /* RFC 6856: UTF8 and LANG, before the login; that they are refused is no matter. */
        {"pop.example.org; PIPELINING; USER; UTF8 USER; LANG",
         "de-DE",
         {"S +OK\r\n", "C CAPA", "C UTF8", "C LANG de-DE", "C USER alice", "C PASS se cret", LISTS,
          CAPA_IS("UTF8 USER\r\nLANG\r\n") "+OK\r\n+OK de Willkommen\r\n+OK\r\n+OK\r\n", EMPTY},
         ERR_NONE,
         true},
        {"",
         "de-DE",
         {"S +OK\r\n", "C CAPA", "S +OK\r\nUSER\r\nUTF8\r\nLANG\r\n.\r\n", "C UTF8", "S -ERR\r\n", "C LANG de-DE",
          "S -ERR\r\n", "C USER alice", "S +OK\r\n", "C PASS se cret", "S +OK\r\n", "E"},
         ERR_NONE,
         false},
        /* RFC 2449 6.5, 6.7: what may differ for this user is asked for again behind the login. */
        {KNOWN "; EXPIRE 5 USER",
         NULL,
         {"S +OK\r\n", FLIGHT, "C CAPA", LISTS, CAPA_IS("EXPIRE 5 USER\r\n") "+OK\r\n+OK\r\n",
          "S +OK\r\nEXPIRE 30\r\n.\r\n", EMPTY},
         ERR_NONE,
         true},
        {KNOWN "; EXPIRE 5 USER",
         NULL,
         {"S +OK\r\n", FLIGHT, "C CAPA", LISTS,
          "S +OK\r\nPIPELINING\r\nSASL PLAIN\r\n.\r\n-ERR\r\n-ERR\r\n+OK\r\nX\r\n.\r\n-ERR\r\n-ERR\r\n-ERR\r\n",
          "C AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=", LISTS, "S +OK\r\n", EMPTY},
         ERR_NONE,
         true},
        /* SASL: only the last line has something behind it. */
        {"pop.example.org; PIPELINING; SASL LOGIN",
         NULL,
         {"S +OK\r\n", "C CAPA", "C AUTH LOGIN", "S +OK\r\nPIPELINING\r\nSASL LOGIN\r\n.\r\n+ VXNlcm5hbWU6\r\n",
          "C YWxpY2U=", "S + UGFzc3dvcmQ6\r\n", "C c2UgY3JldA==", LISTS, "S +OK\r\n", EMPTY},
         ERR_NONE,
         true},
        /* The server asks where nothing is left to say, and takes STAT for the answer; it gives lists without a login;
         * it loses what stands behind the login. */
        {"pop.example.org; PIPELINING; SASL PLAIN",
         NULL,
         {"S +OK\r\n", "C CAPA", "C AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=", LISTS,
          "S +OK\r\nPIPELINING\r\nSASL PLAIN\r\n.\r\n+ \r\n-ERR\r\n-ERR\r\n-ERR\r\n"},
         ERR_PROTOCOL,
         false},
        {KNOWN,
         NULL,
         {"S +OK\r\n", FLIGHT, LISTS, "S +OK\r\nSASL PLAIN\r\n.\r\n-ERR no\r\n-ERR no\r\n+OK 0 0\r\n"},
         ERR_PROTOCOL,
         false},
        {KNOWN, NULL, {"S +OK\r\n", FLIGHT, LISTS, CAPA_IS("") "+OK\r\n+OK\r\n"}, ERR_LINE, false},
    };
    struct secret secret = secret_new(STR("se cret"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        start_safe(&t, script, rows[i].lines);
        pop3_expect(t.p, str_z(rows[i].words));
        pop3_language(t.p, rows[i].language);
        assert_true(pop3_greet(t.p, false, &t.err));
        bool ok = pop3_login(t.p, "alice", &secret, false, &t.err);
        if (t.err.kind != rows[i].login || ok != (t.err.kind == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        if (rows[i].lists && !pop3_list(t.p, on_id, &t.got, &t.err))
            fail_msg("row %zu: %s", i, t.err.text);
        if (rows[i].lists)
            assert_true(pop3_went_ahead(t.p));
        end(&t);
    }
    secret_free(&secret);
}

/* What a session learned is there for the next: capabilities with language, or a doubt until its time is over. */
static void test_words(void **state UNUSED)
{
    struct secret secret = secret_new(STR("se cret"));
    struct session t;
    start_safe(&t, script,
               SCRIPT("S +OK\r\n", FLIGHT, "C CAPA", LISTS, CAPA_IS("LANG\r\nEXPIRE 5 USER\r\n") "+OK\r\n+OK\r\n",
                      "S +OK\r\nEXPIRE 30\r\nLOGIN-DELAY 90\r\n.\r\n", EMPTY, "C QUIT"));
    pop3_expect(t.p, STR(KNOWN "; EXPIRE 0 USER"));
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_true(pop3_login(t.p, "alice", &secret, false, &t.err));
    assert_words(&t, "pop.example.org; USER; PIPELINING; UIDL; LANG; EXPIRE 5 USER");
    assert_int_equal(pop3_expire(t.p), 30);
    assert_int_equal(pop3_login_delay(t.p), 90);
    assert_true(pop3_quit(t.p, &t.err)); /* nothing was deleted: no answer is waited for */
    end(&t);
    int64_t now = clock_wall();
    static const struct {
        const char *doubt;
        int64_t left;
        enum pop3_trust want;
    } rows[] = {
        {"careful", 100, POP3_CAREFUL}, {"lockstep", 100, POP3_LOCKSTEP},
        {"careful", -1, POP3_AHEAD},    {"lockstep", 0, POP3_AHEAD},
        {"other", 100, POP3_AHEAD},     {"lockstep", POP3_DOUBT_MAX + 100, POP3_AHEAD}, /* a clock that was set back */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char words[100];
        snprintf(words, sizeof words, "pop.example.org; %s %lld", rows[i].doubt, (long long)(now + rows[i].left));
        if (rows[i].want == POP3_LOCKSTEP)
            start_safe(&t, script,
                       SCRIPT("S +OK\r\n", "C CAPA", CAPA_IS(""), "C USER alice", "S +OK\r\n", "C PASS se cret",
                              "S +OK\r\n", "C STAT", "S +OK 0 0\r\n", "C LIST", "S +OK\r\n.\r\n", "C UIDL",
                              "S +OK\r\n.\r\n"));
        else if (rows[i].want == POP3_CAREFUL)
            start_safe(&t, script,
                       SCRIPT("S +OK\r\n", "C CAPA", CAPA_IS(""), "C USER alice", "S +OK\r\n", "C PASS se cret",
                              "S +OK\r\n", LISTS, EMPTY));
        else
            start_safe(&t, script,
                       SCRIPT("S +OK\r\n", "C CAPA", CAPA_IS(""), "C USER alice", "C PASS se cret", LISTS,
                              "S +OK\r\n+OK\r\n", EMPTY));
        pop3_expect(t.p, str_z(words));
        assert_int_equal(pop3_trust(t.p), rows[i].want);
        assert_true(pop3_greet(t.p, false, &t.err));
        assert_true(pop3_login(t.p, "alice", &secret, false, &t.err));
        assert_true(pop3_list(t.p, on_id, &t.got, &t.err));
        assert_words(&t, rows[i].want == POP3_AHEAD ? "pop.example.org; USER; PIPELINING; UIDL" : words);
        end(&t);
    }
    secret_free(&secret);
}

/* The codes of RFC 2449 8, 3206 and 6856 5, whatever the words behind them. */
static void test_codes(void **state UNUSED)
{
    static const struct {
        const char *answer;
        enum err_kind want;
        const char *words;
    } rows[] = {
        {"-ERR [IN-USE] locked\r\n", ERR_SERVER_TEMP, "another session has the mailbox open"},
        {"-ERR [in-use/by you] x\r\n", ERR_SERVER_TEMP, "another session has the mailbox open"},
        {"-ERR [LOGIN-DELAY] x\r\n", ERR_SERVER_TEMP, "more time between two logins"},
        {"-ERR [SYS/TEMP] invalid password\r\n", ERR_SERVER_TEMP, "passing trouble"},
        {"-ERR [SYS/PERM] try again\r\n", ERR_SERVER_NO, "administrator"},
        {"-ERR [SYS/PERM/DISK] x\r\n", ERR_SERVER_NO, "administrator"},
        {"-ERR [AUTH] maildrop locked\r\n", ERR_AUTH, "maildrop locked"},
        {"-ERR [UTF8] x\r\n", ERR_SERVER_NO, "UTF-8"},
        {"-ERR [SYS/TEMPLE] wrong password\r\n", ERR_AUTH, "TEMPLE"}, /* unknown */
        {"-ERR [AUTH wrong password\r\n", ERR_AUTH, "wrong"},
        {"-ERR [\r\n", ERR_AUTH, "["},
    };
    struct secret secret = secret_new(STR("se cret"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        char says[100];
        struct session t;
        snprintf(says, sizeof says, "S %s", rows[i].answer);
        start(&t, script,
              SCRIPT("S +OK\r\n", "C CAPA", "S +OK\r\nUSER\r\n.\r\n", "C USER alice", "S +OK\r\n", "C PASS se cret",
                     says));
        assert_true(pop3_greet(t.p, false, &t.err));
        assert_false(pop3_login(t.p, "alice", &secret, true, &t.err));
        if (t.err.kind != rows[i].want || strstr(t.err.text, rows[i].words) == NULL)
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        end(&t);
    }
    secret_free(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting), cmocka_unit_test(test_capa),  cmocka_unit_test(test_stls_refused),
        cmocka_unit_test(test_stls),     cmocka_unit_test(test_login), cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
