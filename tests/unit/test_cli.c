/* cli: mail from scripts made fit to send, and output that no terminal minds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"

#include <unistd.h>

static struct conf *conf;

static int make_conf(void **state)
{
    (void)state;
    static const char text[] =
        "account work imaps://alice@imap.example.org\nset -a work from \"Alice Example <alice@example.org>\"\n"
        "alias bob Bob <bob@example.org>\n";
    struct str rest = STR(text);
    struct line line;
    struct err err = ERR_INIT;
    unsigned number = 1;
    conf = conf_defaults();
    while (line_next(&rest, "rc", &number, &line, &err) == 1) {
        if (!conf_run(conf, &line, &err))
            return -1;
        line_fini(&line);
    }
    return 0;
}

static int free_conf(void **state)
{
    (void)state;
    conf_free(&conf);
    return 0;
}

static bool build(const char *raw, size_t n, bool recipients, struct outgoing *o, struct err *err)
{
    *o = (struct outgoing){.from = NULL};
    *err = ERR_INIT;
    return outgoing_build(&conf->accounts[0], recipients, (struct str){raw, n}, o, err);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" holds \"%s\"", text, part);
}

static void test_outgoing(void **state)
{
    (void)state;
    static const char raw[] =
        "From alice Mon\nTo: Bob <bob@example.org>, carol@example.org\nbcc: dave@example.org,\n"
        "\tBOB@example.org\nSubject: x\nBcc : eve@example.org,\n folded@example.org\n\nline\n.\nFrom here\r\nend";
    struct outgoing o;
    struct err err;
    if (!build(raw, sizeof raw - 1, true, &o, &err))
        fail_msg("%s", err.text);
    assert_has(buf_z(&o.rcpts), "bob@example.org\ncarol@example.org\ndave@example.org\n");
    assert_string_equal(o.from, "alice@example.org");
    const char *m = buf_z(&o.message);
    assert_true(strncmp(m, "To: Bob <bob@example.org>, carol@example.org\r\nSubject: x\r\n", 58) == 0);
    assert_has(m, "From: Alice Example <alice@example.org>\r\n");
    assert_has(m, "Date: ");
    assert_has(m, "@example.org>\r\n\r\nline\r\n.\r\nFrom here\r\nend\r\n");
    assert_has_not(m, "dave");
    assert_has_not(m, "eve");
    assert_has_not(m, "folded");
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) == 0 && strlen(host) > 3)
        assert_has_not(m, host);
    outgoing_fini(&o);
}

/* THREATS 155: nothing is added where the mail has it, and no field is there twice. */
static void test_kept(void **state)
{
    (void)state;
    static const char raw[] =
        "From: Me <me@example.net>\r\nTo: bob@example.org\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        "Message-ID: <x@example.net>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nh\xc3\xa4\r\n";
    struct outgoing o;
    struct err err;
    assert_true(build(raw, sizeof raw - 1, true, &o, &err));
    assert_string_equal(buf_z(&o.message), raw);
    assert_string_equal(o.from, "me@example.net");
    outgoing_fini(&o);
    static const char bare[] = "To: bob@example.org\nSubject: \xc3\xa4\n\nh\xc3\xa4\n";
    assert_true(build(bare, sizeof bare - 1, true, &o, &err));
    assert_has(buf_z(&o.message), "charset=utf-8\r\n");
    outgoing_fini(&o);
}

static void test_empty_group(void **state)
{
    (void)state;
    struct outgoing o;
    struct err err;
    static const char raw[] = "To: bob@example.org\nCc: undisclosed-recipients:;\n\nx\n";
    if (!build(raw, sizeof raw - 1, true, &o, &err))
        fail_msg("%s", err.text);
    assert_string_equal(buf_z(&o.rcpts), "bob@example.org\n");
    outgoing_fini(&o);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        size_t n;
        enum err_kind kind;
    } rows[] = {
        {"", 0, ERR_PARSE},
        {"hello\nthere\n", 12, ERR_PARSE},
        {"To: bob@example.org\n\na\0b\n", 25, ERR_PARSE},
        {"Subject: x\n\nbody\n", 17, ERR_RECIPIENT},
        {"To: nobody\n\nbody\n", 17, ERR_RECIPIENT},
        {"To: \"a b\"\n\nbody\n", 16, ERR_RECIPIENT},
        {"From: nobody\nTo: bob@example.org\n\nx\n", 36, ERR_PARSE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outgoing o;
        struct err err;
        if (build(rows[i].raw, rows[i].n, true, &o, &err))
            fail_msg("accepted: %s", rows[i].raw);
        assert_int_equal(err.kind, rows[i].kind);
        outgoing_fini(&o);
    }
    struct buf many = BUF_INIT(1 << 20);
    buf_addz(&many, "To: ");
    for (int i = 0; i < 4000; i++)
        buf_addf(&many, "user%d@example.org,\n ", i);
    buf_addz(&many, "x@example.org\n\nbody\n");
    struct outgoing o;
    struct err err;
    assert_false(build(many.p, many.n, true, &o, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    outgoing_fini(&o);
    buf_fini(&many);
}

/* A line end that only the server would see must not let text become a command or a second mail. */
static void test_lone_cr(void **state)
{
    (void)state;
    static const char raw[] = "To: bob@example.org\n\na\r.\r\nb\n\r.\rc";
    struct outgoing o;
    struct err err;
    assert_true(build(raw, sizeof raw - 1, true, &o, &err));
    for (size_t i = 0; i < o.message.n; i++) {
        if (o.message.p[i] == '\r')
            assert_int_equal(o.message.p[i + 1], '\n');
        if (o.message.p[i] == '\n')
            assert_int_equal(o.message.p[i - 1], '\r');
    }
    outgoing_fini(&o);
}

/* THREATS 117: JSON and text on stdout carry no control character, whatever the mail holds. */
static void test_output(void **state)
{
    (void)state;
    char all[512];
    size_t n = 0;
    for (int c = 0; c < 256; c++)
        all[n++] = (char)c;
    memcpy(all + n, "\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81\xed\xa0\x80", 12);
    n += 12;
    struct buf json = BUF_INIT(10000), text = BUF_INIT(10000);
    out_json(&json, (struct str){all, n});
    out_text(&text, (struct str){all, n});
    const struct buf *both[] = {&json, &text};
    for (size_t b = 0; b < COUNT(both); b++) {
        struct str rest = buf_str(both[b]);
        assert_true(utf8_valid(rest));
        while (rest.n) {
            uint32_t cp;
            unsigned used = utf8_decode(rest, &cp);
            assert_true(cp >= 0x20 && !(cp >= 0x7f && cp < 0xa0) && cp != 0x202e && cp < 0xe0000);
            rest = str_sub(rest, used, rest.n);
        }
    }
    assert_has(buf_z(&json), "\\u001b");
    assert_has(buf_z(&json), "\\u009b");
    assert_has(buf_z(&json), "\\u202e");
    assert_has(buf_z(&json), "\\\"");
    assert_has(buf_z(&json), "\\\\");
    assert_has(buf_z(&json), "\\udb40\\udc41");
    buf_fini(&json);
    buf_fini(&text);
}

static void test_options(void **state)
{
    (void)state;
    const char *limit = "1";
    bool json = false;
    const struct cli_opt opts[] = {{"--limit", &limit, NULL}, {"--json", NULL, &json}};
    struct err err = ERR_INIT;
    char *argv[] = {(char[]){"a"}, (char[]){"--limit=3"}, (char[]){"--json"},
                    (char[]){"b"}, (char[]){"--"},        (char[]){"-x"}};
    struct cli cli = {.argc = 6, .argv = argv};
    assert_true(cli_options(&cli, opts, 2, &err));
    assert_string_equal(limit, "3");
    assert_true(json);
    assert_int_equal(cli.argc, 3);
    assert_string_equal(cli.argv[2], "-x");
    char *bad[][2] = {{(char[]){"--limti"}, (char[]){"3"}},
                      {(char[]){"x"}, (char[]){"--limit"}},
                      {(char[]){"--json=1"}, (char[]){"x"}}};
    static const char *const said[] = {"did you mean \"--limit\"", "needs a value", "takes no value"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        cli = (struct cli){.argc = 2, .argv = bad[i]};
        err = ERR_INIT;
        assert_false(cli_options(&cli, opts, 2, &err));
        assert_int_equal(err.kind, ERR_USAGE);
        assert_has(err.text, said[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outgoing), cmocka_unit_test(test_kept),    cmocka_unit_test(test_empty_group),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_lone_cr), cmocka_unit_test(test_output),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, make_conf, free_conf);
}
