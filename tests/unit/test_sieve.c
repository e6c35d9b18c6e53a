/* mail/sieve: the text of rules, and how they get into a script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "mail/sieve.h"

static void test_block(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(10000), needs = BUF_INIT(1000);
    struct err err = ERR_INIT;
    const struct sieve_rule rule = {.list_id = "dev.example.org",
                                    .from = "a\"b\\@example.org",
                                    .to = "",
                                    .subject = "x\r\nkeep;",
                                    .folder = "R\xc3\xa9ports",
                                    .tag = "ci",
                                    .read = true,
                                    .stop = true};
    assert_true(sieve_rule_block(&rule, STR("fileinto imap4flags mailbox"), &out, &needs, &err));
    assert_string_equal(buf_z(&out), "# tuimail rule\n"
                                     "if allof (header :contains \"list-id\" \"dev.example.org\",\n"
                                     "          address :is \"from\" \"a\\\"b\\\\@example.org\",\n"
                                     "          header :contains \"subject\" \"x  keep;\") {\n"
                                     "  addflag \"\\\\Seen\";\n"
                                     "  addflag \"ci\";\n"
                                     "  fileinto :create \"R\xc3\xa9ports\";\n"
                                     "  stop;\n}\n# end of tuimail rule\n");
    assert_string_equal(buf_z(&needs), "imap4flags fileinto mailbox");
    buf_reset(&out);
    buf_reset(&needs);
    assert_false(sieve_rule_block(&rule, STR("fileinto"), &out, &needs, &err));
    assert_non_null(strstr(err.text, "imap4flags"));
    const struct sieve_rule made = {
        .list_id = "x", .from = "", .to = "", .subject = "", .folder = "New", .tag = "", .new_folder = true};
    assert_false(sieve_rule_block(&made, STR("fileinto"), &out, &needs, &err)); /* scripts there make no mailbox */
    assert_non_null(strstr(err.text, "mailbox"));
    const struct sieve_rule none = {.list_id = "", .from = "", .to = "", .subject = "", .folder = "x", .tag = ""};
    assert_false(sieve_rule_block(&none, STR("fileinto"), &out, &needs, &err));
    const struct sieve_rule idle = {.list_id = "x", .from = "", .to = "", .subject = "", .folder = "", .tag = ""};
    assert_false(sieve_rule_block(&idle, STR("fileinto"), &out, &needs, &err));
    buf_fini(&out);
    buf_fini(&needs);
}

static void test_add(void **state)
{
    (void)state;
    static const struct {
        const char *script, *needs, *want;
    } rows[] = {
        {"", "fileinto", "require [\"fileinto\"];\r\n\r\nB\r\n"},
        {"", "", "\r\nB\r\n"},
        {"keep;\n", "fileinto", "require [\"fileinto\"];\nkeep;\n\nB\n"},
        {"require \"fileinto\";\nkeep;", "fileinto", "require \"fileinto\";\nkeep;\n\nB\n"},
        {"# a\r\nrequire [\"fileinto\", \"x\"];\r\n/* b */ REQUIRE\t\"y\" ;\r\nkeep;\r\n", "x y imap4flags mailbox",
         "# a\r\nrequire [\"fileinto\", \"x\"];\r\n/* b */ REQUIRE\t\"y\" ;\r\nrequire [\"imap4flags\", "
         "\"mailbox\"];\r\nkeep;\r\n\r\nB\r\n"},
        /* what is no require is left alone: the server will say what it thinks of it */
        {"require [\"a\"\nkeep;\n", "a", "require [\"a\"];\nrequire [\"a\"\nkeep;\n\nB\n"},
        {"require \"a", "a", "require [\"a\"];\r\nrequire \"a\r\n\r\nB\r\n"},
        {"/* open", "", "/* open\r\n\r\nB\r\n"},
        {"# require \"a\";\n", "a", "require [\"a\"];\n# require \"a\";\n\nB\n"},
        {"keep; require \"a\";\n", "a", "require [\"a\"];\nkeep; require \"a\";\n\nB\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out = BUF_INIT(1000);
        assert_true(sieve_add(str_z(rows[i].script), STR("B\n"), str_z(rows[i].needs), &out));
        if (strcmp(buf_z(&out), rows[i].want) != 0)
            fail_msg("row %zu: \"%s\"", i, buf_z(&out));
        buf_fini(&out);
    }
    struct buf small = BUF_INIT(5);
    assert_false(sieve_add(STR("keep;"), STR("B\n"), STR(""), &small));
    buf_fini(&small);
}

static void test_line(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        unsigned line;
    } rows[] = {
        {"mine: line 4: error: unknown command 'filinto'.", 4},
        {"script errors:\r\nLine: 12: x", 12},
        {"a line of mail, line 7", 7},
        {"line 0", 0},
        {"line 99999999999999", 0},
        {"line", 0},
        {"", 0},
        {"inline 3", 3},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (sieve_error_line(str_z(rows[i].said)) != rows[i].line)
            fail_msg("%s: %u", rows[i].said, sieve_error_line(str_z(rows[i].said)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
