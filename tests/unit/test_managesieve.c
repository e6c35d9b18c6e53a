/* net/managesieve against scripted servers, honest and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/managesieve.h"
#include "net_cert.h"
#include "net_peer.h"

struct session {
    pid_t pid;
    struct stream *s;
    struct managesieve *m;
    struct err err;
};

static void start(struct session *t, peer_fn *fn, const void *arg)
{
    memset(t, 0, sizeof *t);
    struct stream_options o = {.answer_ms = 20000, .wake_fd = -1};
    int fd;
    t->pid = peer_start(fn, arg, &fd);
    t->s = stream_from_fds(fd, fd, &o);
    t->m = managesieve_new(t->s, "sieve.example.org");
}

static void end(struct session *t)
{
    managesieve_free(&t->m);
    stream_close(&t->s);
    assert_int_equal(peer_wait(t->pid), 0);
}

#define GREETING "S \"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"PLAIN\"\r\n\"VERSION\" \"1.0\"\r\nOK \"hello\"\r\n"
#define OLD "S \"SASL\" \"PLAIN\"\r\nOK\r\n"

static void greeted(struct session *t, const char *const *lines)
{
    start(t, script, lines);
    if (!managesieve_greet(t->m, false, &t->err))
        fail_msg("%s", t->err.text);
}

/* ---- Words -------------------------------------------------------------------------------------- */

static void test_words(void **state UNUSED)
{
    static const struct {
        const char *line, *want; /* words, each in <>; NULL: refused */
        int64_t literal;
    } rows[] = {
        {"OK", "<OK>", -1},
        {"", "", -1},
        {"\"a b\" ACTIVE", "<a b><ACTIVE>", -1},
        {"NO (QUOTA/MAXSIZE) \"x\"", "<NO><><QUOTA/MAXSIZE><><x>", -1},
        {"OK(SASL \"YQ==\")", "<OK><><SASL><YQ==><>", -1},
        {"\"q\\\"b\\\\\"", "<q\"b\\>", -1},
        {"\"\"", "<>", -1},
        {"{12}", "", 12},
        {"NO {0+}", "<NO>", 0},
        {"{4294967295}", "", 4294967295},
        {"{4294967296}", NULL, 0},
        {"{}", NULL, 0},
        {"{+}", NULL, 0},
        {"{-1}", NULL, 0},
        {"{3} x", NULL, 0},
        {"{3", NULL, 0},
        {"\"open", NULL, 0},
        {"\"open\\", NULL, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sieve_words *w = mem_new(sizeof *w);
        struct buf got = BUF_INIT(1000);
        int64_t literal;
        buf_init(&w->pool, 1000);
        bool ok = sieve_words_add(w, str_z(rows[i].line), &literal);
        for (size_t k = 0; k < w->n; k++)
            buf_addf(&got, "<%.*s>", STR_FMT(sieve_word(w, k)));
        if (ok != (rows[i].want != NULL) || (ok && (literal != rows[i].literal || strcmp(buf_z(&got), rows[i].want))))
            fail_msg("row %zu: \"%s\", literal %lld", i, buf_z(&got), (long long)literal);
        buf_fini(&got);
        buf_fini(&w->pool);
        free(w);
    }
}

/* THREATS 173: words without end are refused at their bound, and not before. */
static void test_word_bounds(void **state UNUSED)
{
    struct sieve_words *w = mem_new(sizeof *w);
    char line[4 * SIEVE_WORDS_MAX + 8];
    int64_t literal;
    for (unsigned extra = 0; extra < 2; extra++) {
        w->n = 0;
        buf_init(&w->pool, 1000);
        for (unsigned i = 0; i < SIEVE_WORDS_MAX + extra; i++)
            memcpy(line + 2 * i, "( ", 3);
        assert_int_equal(sieve_words_add(w, str_z(line), &literal), extra == 0);
        buf_fini(&w->pool);
    }
    w->n = 0;
    buf_init(&w->pool, 4);
    assert_true(sieve_words_add(w, STR("\"abcd\""), &literal));
    assert_false(sieve_words_add(w, STR("\"e\""), &literal));
    buf_fini(&w->pool);
    free(w);
}

static void test_names(void **state UNUSED)
{
    char longest[SIEVE_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    assert_true(managesieve_name_ok((struct str){longest, SIEVE_NAME_MAX}));
    assert_false(managesieve_name_ok((struct str){longest, SIEVE_NAME_MAX + 1}));
    static const char *const good[] = {"tuimail", "my rules", "a\"b\\c", "d\xc3\xa9j\xc3\xa0 vu"};
    static const char *const bad[] = {"", "a\r\nLOGOUT", "a\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xff"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(managesieve_name_ok(str_z(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(managesieve_name_ok(str_z(bad[i])));
    assert_false(managesieve_name_ok((struct str){"a\0b", 3}));
}

/* ---- Greeting, STARTTLS, login ------------------------------------------------------------------ */

static void endless(int fd, const void *arg)
{
    for (;;)
        say(fd, arg);
}

static void test_greeting(void **state UNUSED)
{
    static const struct {
        const char *const lines[5];
        bool tls;
        enum err_kind want;
    } rows[] = {
        {{GREETING}, false, ERR_NONE},
        {{"S {14}\r\nIMPLEMENTATION {1}\r\nx\r\nOK\r\n"}, false, ERR_NONE},
        {{"S \"X\"\r\nok\r\n"}, false, ERR_NONE},
        {{GREETING, "E"}, true, ERR_NO_STARTTLS},                                                    /* THREATS 1 */
        {{"S \"STARTTLS\"\r\nOK\r\n", "C STARTTLS", "S NO \"not now\"\r\n"}, true, ERR_NO_STARTTLS}, /* THREATS 2 */
        {{"S \"STARTTLS\"\r\nOK\r\n", "C STARTTLS", "S OK\r\nOK \"more\"\r\n"}, true, ERR_PROTOCOL}, /* THREATS 5 */
        {{"S BYE \"busy\"\r\n"}, false, ERR_SERVER_BYE},
        {{"S BYE (TRYLATER) \"busy\"\r\n"}, false, ERR_SERVER_TEMP},
        {{"S NO \"no\"\r\n"}, false, ERR_SERVER_NO},
        {{"S 220 smtp.example.org\r\n"}, false, ERR_PROTOCOL},
        {{"S * OK IMAP4rev1\r\n"}, false, ERR_PROTOCOL},
        {{"S \"a\" \"b\" \"c\"\r\nOK\r\n"}, false, ERR_PROTOCOL},
        {{"S {2000000}\r\n"}, false, ERR_LIMIT}, /* THREATS 173 */
        {{"S \"unfinished\r\nOK\r\n"}, false, ERR_PROTOCOL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        start(&t, script, rows[i].lines);
        bool ok = managesieve_greet(t.m, rows[i].tls, &t.err);
        if (t.err.kind != rows[i].want || ok != (rows[i].want == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        end(&t);
    }
    static const char *const floods[] = {"\"A\" \"b\"\r\n", "((((((((((((((((((((((((((((((",
                                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    for (size_t i = 0; i < COUNT(floods); i++) { /* THREATS 173 */
        struct session t;
        start(&t, endless, floods[i]);
        assert_false(managesieve_greet(t.m, false, &t.err));
        assert_int_equal(t.err.kind, ERR_LIMIT);
        end(&t);
    }
}

/* A line that has its user: by a program that greets, and by one that does not. */
static void test_enter(void **state UNUSED)
{
#define NOOP "C NOOP \"tuimail\"", "S OK (TAG \"tuimail\") \"done\"\r\n"
    static const struct {
        const char *const lines[7];
        enum err_kind want;
    } rows[] = {
        {{NOOP, "C CAPABILITY", "S \"SIEVE\" \"x\"\r\nOK\r\n", "C LOGOUT"}, ERR_NONE},
        {{"S \"SIEVE\" \"x\"\r\nOK \"hello\"\r\n", NOOP, "C LOGOUT"}, ERR_NONE},
        {{"S \"SIEVE\" \"x\"\r\nOK (TAG \"x\")\r\n", NOOP, "C LOGOUT"}, ERR_NONE},
        {{"S \"SASL\" \"PLAIN\"\r\nOK\r\n", NOOP}, ERR_SECRET},
        {{"C NOOP \"tuimail\"", "S BYE \"go away\"\r\n"}, ERR_SERVER_BYE},
        {{"S \"SIEVE\" \"x\"\r\nOK\r\n", "C NOOP \"tuimail\"", "S NO \"what?\"\r\n"}, ERR_SERVER_NO},
        {{"C NOOP \"tuimail\"", "S * PREAUTH imap\r\n"}, ERR_PROTOCOL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        start(&t, script, rows[i].lines);
        bool ok = managesieve_enter(t.m, &t.err);
        if (t.err.kind != rows[i].want || ok != (rows[i].want == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        if (ok) {
            assert_true(str_eqz(managesieve_capabilities(t.m), "SIEVE x\n"));
            managesieve_logout(t.m);
        }
        end(&t);
    }
#undef NOOP
}

static void starttls_server(int fd, const void *arg)
{
    script(fd, SCRIPT("S \"STARTTLS\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n", "C STARTTLS", "S OK\r\n"));
    SSL *ssl = cert_accept(fd, arg, 0);
    char b[200];
    if (ssl == NULL)
        _exit(2);
    SSL_write(ssl, "\"SIEVE\" \"fileinto\"\r\nOK\r\n", 25);
    while (SSL_read(ssl, b, sizeof b) > 0)
        continue;
}

/* THREATS 6, 17: what was offered before TLS is forgotten. */
static void test_starttls(void **state UNUSED)
{
    struct cert ca = cert_make(NULL, "Test authority", NULL, -1000, 100000);
    struct cert leaf = cert_make(&ca, "x", "DNS:sieve.example.org", -10, 100000);
    char *path = cert_file(&ca);
    struct stream_options o = {.ca_file = path, .wake_fd = -1};
    struct session t;
    struct secret secret = secret_new(STR("secret"));
    memset(&t, 0, sizeof t);
    assert_true(stream_setup(&o, &t.err));
    start(&t, starttls_server, &leaf);
    if (!managesieve_greet(t.m, true, &t.err))
        fail_msg("%s", t.err.text);
    assert_true(str_eqz(managesieve_capabilities(t.m), "SIEVE fileinto\n"));
    assert_false(managesieve_login(t.m, "alice", &secret, false, &t.err));
    assert_int_equal(t.err.kind, ERR_NO_AUTH_METHOD);
    end(&t);
    secret_free(&secret);
    unlink(path);
    free(path);
    cert_free(&ca);
    cert_free(&leaf);
}

/* THREATS 17: what comes behind the OK, before TLS, is no answer to anything. */
static void test_injection(void **state UNUSED)
{
    struct session t;
    start(&t, script, SCRIPT("S \"STARTTLS\"\r\nOK\r\n", "C STARTTLS", "S OK\r\n\"SIEVE\" \"evil\"\r\nOK\r\n"));
    assert_false(managesieve_greet(t.m, true, &t.err));
    size_t at;
    assert_false(str_find(managesieve_capabilities(t.m), 'e', &at));
    end(&t);
}

/* Its words reach a terminal as text, in one line; what it repeats of a script has no end either. */
static void test_hostile_words(void **state UNUSED)
{
    static const char *const rows[] = {
        "S NO \"\x1b]0;owned\x07\x9b"
        "2J\"\r\n",
        "S NO {14}\r\na\r\nb\x1b[31m\r\n\xff\xfe\r\n",
        "S NO (REFERRAL \"sieve://\x1b[2Jx\") \"y\"\r\n",
        "S NO (((\"deep\"))) \"z\"\r\n",
        "S NO )))(((\r\n",
        "S NO (QUOTA/\x1b) (\"a\" \"b\") \"c\" \"d\"\r\n",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        greeted(&t, SCRIPT(GREETING, "C PUTSCRIPT \"a\" \"keep;\"", rows[i]));
        assert_false(managesieve_put(t.m, STR("a"), STR("keep;"), &t.err));
        assert_true(t.err.kind == ERR_SERVER_NO || t.err.kind == ERR_OVERQUOTA);
        for (const char *c = t.err.text; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7f)
                fail_msg("row %zu: %s", i, t.err.text);
        assert_true(utf8_valid(str_z(t.err.text)));
        end(&t);
    }
}

#define PLAIN "C AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHNlY3JldA==\""

static void test_login(void **state UNUSED)
{
    static const struct {
        const char *sasl;
        const char *const lines[6];
        bool insecure_ok;
        enum err_kind want;
        const char *says;
    } rows[] = {
        {"PLAIN", {PLAIN, "S OK\r\n", "C CAPABILITY", "S \"SIEVE\" \"x\"\r\nOK\r\n"}, true, ERR_NONE, NULL},
        {"PLAIN", {"E"}, false, ERR_NO_AUTH_METHOD, NULL},
        {"", {"E"}, true, ERR_NO_AUTH_METHOD, NULL},
        {"PLAIN", {PLAIN, "S NO \"wrong\"\r\n"}, true, ERR_AUTH, "wrong"},
        {"PLAIN", {PLAIN, "S NO (AUTH-TOO-WEAK) \"x\"\r\n"}, true, ERR_NO_AUTH_METHOD, NULL},
        {"PLAIN", {PLAIN, "S NO (TRYLATER) \"x\"\r\n"}, true, ERR_SERVER_TEMP, NULL},
        /* THREATS 174: the password goes nowhere else */
        {"PLAIN",
         {PLAIN, "S BYE (REFERRAL \"sieve://e.example\") \"x\"\r\n", "E"},
         true,
         ERR_SERVER_BYE,
         "sieve://e.example"},
        {"PLAIN", {PLAIN, "S \"a\" \"b\"\r\n"}, true, ERR_PROTOCOL, NULL},
        {"CRAM-MD5",
         {"C AUTHENTICATE \"CRAM-MD5\"", "S \"YWJj\"\r\n", "C \"*\"", "S NO\r\n"},
         true,
         ERR_PROTOCOL,
         NULL}, /* THREATS 18 */
        {"LOGIN",
         {"C AUTHENTICATE \"LOGIN\"", "S {12}\r\nVXNlcm5hbWU6\r\n", "C \"YWxpY2U=\"", "S \"UGFzc3dvcmQ6\"\r\n",
          "C \"c2VjcmV0\""},
         true,
         ERR_LINE,
         NULL},
    };
    struct secret secret = secret_new(STR("secret"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        char hello[200];
        snprintf(hello, sizeof hello, "S %s%s%s\r\nOK\r\n", rows[i].sasl[0] ? "\"SASL\" \"" : "\"X\"", rows[i].sasl,
                 rows[i].sasl[0] ? "\"" : "");
        const char *lines[8] = {hello};
        for (size_t k = 0; k < COUNT(rows[i].lines); k++)
            lines[1 + k] = rows[i].lines[k];
        struct session t;
        greeted(&t, lines);
        bool ok = managesieve_login(t.m, "alice", &secret, rows[i].insecure_ok, &t.err);
        if (t.err.kind != rows[i].want || ok != (rows[i].want == ERR_NONE))
            fail_msg("row %zu: %s: %s", i, err_name(t.err.kind), t.err.text);
        if (rows[i].says && !strstr(t.err.text, rows[i].says))
            fail_msg("row %zu: %s", i, t.err.text);
        if (ok)
            assert_true(str_eqz(managesieve_capabilities(t.m), "SIEVE x\n"));
        end(&t);
    }
    secret_free(&secret);
}

/* ---- Scripts ------------------------------------------------------------------------------------ */

static void each(void *arg, struct str name, bool active)
{
    buf_addf(arg, "%.*s%s;", STR_FMT(name), active ? "*" : "");
}

static void test_list(void **state UNUSED)
{
    struct session t;
    struct buf got = BUF_INIT(1000);
    greeted(&t, SCRIPT(GREETING, "C LISTSCRIPTS", "S \"one\"\r\n{3}\r\ntwo ACTIVE\r\n\"q\\\"\"\r\nOK\r\n"));
    assert_true(managesieve_list(t.m, each, &got, &t.err));
    assert_string_equal(buf_z(&got), "one;two*;q\";");
    end(&t);
    greeted(&t, SCRIPT(GREETING, "C LISTSCRIPTS", "S \"one\" PASSIVE\r\nOK\r\n"));
    assert_false(managesieve_list(t.m, each, &got, &t.err));
    assert_int_equal(t.err.kind, ERR_PROTOCOL);
    end(&t);
    buf_fini(&got);
}

static void many_scripts(int fd, const void *arg)
{
    char line[40];
    say(fd, "OK\r\n");
    hear(fd, "LISTSCRIPTS");
    for (unsigned i = 0; i < *(const unsigned *)arg; i++) {
        snprintf(line, sizeof line, "\"s%u\"\r\n", i);
        say(fd, line);
    }
    say(fd, "OK\r\n");
}

static void count(void *arg, struct str name, bool active)
{
    (void)name;
    (void)active;
    ++*(unsigned *)arg;
}

/* THREATS 173 */
static void test_list_bound(void **state UNUSED)
{
    for (unsigned n = SIEVE_SCRIPTS_MAX; n <= SIEVE_SCRIPTS_MAX + 1; n++) {
        struct session t;
        unsigned got = 0;
        start(&t, many_scripts, &n);
        assert_true(managesieve_greet(t.m, false, &t.err));
        assert_int_equal(managesieve_list(t.m, count, &got, &t.err), n == SIEVE_SCRIPTS_MAX);
        assert_int_equal(got, SIEVE_SCRIPTS_MAX);
        end(&t);
    }
}

static void test_get(void **state UNUSED)
{
    static const struct {
        const char *answer, *want;
        enum err_kind kind;
    } rows[] = {
        {"S {7}\r\nkeep;\r\n\r\nOK\r\n", "keep;\r\n", ERR_NONE},
        {"S \"keep;\"\r\nOK\r\n", "keep;", ERR_NONE},
        {"S {0}\r\n\r\nOK\r\n", "", ERR_NONE},
        {"S NO (NONEXISTENT) \"none\"\r\n", "", ERR_NO_FILE},
        {"S \"a\"\r\n\"b\"\r\nOK\r\n", NULL, ERR_PROTOCOL},
        {"S {1048577}\r\n", NULL, ERR_LINE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct session t;
        struct buf text = BUF_INIT(SIEVE_SCRIPT_MAX);
        greeted(&t, SCRIPT(GREETING, "C GETSCRIPT \"a\\\"b\"", rows[i].answer));
        managesieve_get(t.m, STR("a\"b"), &text, &t.err);
        if (t.err.kind != rows[i].kind || (rows[i].want && strcmp(buf_z(&text), rows[i].want) != 0))
            fail_msg("row %zu: %s: %s: \"%s\"", i, err_name(t.err.kind), t.err.text, buf_z(&text));
        buf_fini(&text);
        end(&t);
    }
}

static void test_put(void **state UNUSED)
{
    struct session t;
    greeted(&t, SCRIPT(GREETING, "C PUTSCRIPT \"a\" {9+}", "C keep", "C ", "C x;", "C ",
                       "S NO {19}\r\nline 2: error:\n bad\r\n", "C PUTSCRIPT \"a\" \"keep;\"",
                       "S OK (WARNINGS) \"line 1: hm\"\r\n", "C CHECKSCRIPT \"stop;\"",
                       "S NO (QUOTA/MAXSIZE) \"large\"\r\n"));
    assert_false(managesieve_put(t.m, STR("a"), STR("keep\n\nx;\n"), &t.err));
    assert_int_equal(t.err.kind, ERR_SERVER_NO);
    assert_true(str_eqz(managesieve_said(t.m), "line 2: error:\n bad"));
    t.err = ERR_INIT;
    assert_true(managesieve_put(t.m, STR("a"), STR("keep;"), &t.err));
    assert_true(managesieve_warned(t.m));
    assert_true(str_eqz(managesieve_said(t.m), "line 1: hm"));
    assert_false(managesieve_check(t.m, STR("stop;"), &t.err));
    assert_int_equal(t.err.kind, ERR_OVERQUOTA);
    assert_false(managesieve_warned(t.m));
    /* Never on the line. */
    t.err = ERR_INIT;
    assert_false(managesieve_put(t.m, STR("a\r\nLOGOUT"), STR("keep;"), &t.err));
    assert_int_equal(t.err.kind, ERR_USAGE);
    end(&t);
}

/* A large script is announced first, so that a server without room says so before it comes. */
static void test_space(void **state UNUSED)
{
    struct session t;
    struct buf text = BUF_INIT(20000);
    while (text.n < 9000)
        buf_addz(&text, "# comment\n");
    greeted(&t, SCRIPT(GREETING, "C HAVESPACE \"a\" 9000", "S NO (QUOTA/MAXSCRIPTS) \"full\"\r\n", "E"));
    assert_false(managesieve_put(t.m, STR("a"), buf_str(&text), &t.err));
    assert_int_equal(t.err.kind, ERR_OVERQUOTA);
    shutdown(stream_fd(t.s), SHUT_WR);
    end(&t);
    buf_fini(&text);
}

static void test_rename(void **state UNUSED)
{
    struct session t;
    greeted(&t, SCRIPT(GREETING, "C RENAMESCRIPT \"a\" \"b\"", "S OK\r\n", "C NOOP", "S OK\r\n", "C LOGOUT"));
    assert_true(managesieve_rename(t.m, STR("a"), STR("b"), &t.err));
    assert_true(managesieve_noop(t.m, &t.err));
    managesieve_logout(t.m);
    end(&t);
    /* A server older than RFC 5804. */
    greeted(&t, SCRIPT(OLD, "C LISTSCRIPTS", "S \"a\" ACTIVE\r\nOK\r\n", "C GETSCRIPT \"a\"", "S \"keep;\"\r\nOK\r\n",
                       "C PUTSCRIPT \"b\" \"keep;\"", "S OK\r\n", "C SETACTIVE \"b\"", "S OK\r\n",
                       "C DELETESCRIPT \"a\"", "S OK\r\n"));
    assert_true(managesieve_rename(t.m, STR("a"), STR("b"), &t.err));
    assert_false(managesieve_check(t.m, STR("keep;"), &t.err));
    assert_int_equal(t.err.kind, ERR_CONFIG);
    end(&t);
    greeted(&t, SCRIPT(OLD, "C LISTSCRIPTS", "S \"a\"\r\n\"b\"\r\nOK\r\n", "E"));
    assert_false(managesieve_rename(t.m, STR("a"), STR("b"), &t.err));
    shutdown(stream_fd(t.s), SHUT_WR);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),     cmocka_unit_test(test_word_bounds),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_greeting),  cmocka_unit_test(test_enter),         cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_injection), cmocka_unit_test(test_hostile_words), cmocka_unit_test(test_login),
        cmocka_unit_test(test_list),      cmocka_unit_test(test_list_bound),    cmocka_unit_test(test_get),
        cmocka_unit_test(test_put),       cmocka_unit_test(test_space),         cmocka_unit_test(test_rename),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
