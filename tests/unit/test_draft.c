/* ui/draft: templates from hostile mail, and what a person types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui/draft.h"

static const char rc[] = "account work imaps://bob@imap.example.org\n"
                         "set -a work from \"Bob Example <bob@example.org>\"\n"
                         "account home imaps://bob@home.example\n"
                         "set -a home from \"Bob <bob@home.example>\"\n"
                         "alias team \"Alice <alice@example.org>, carol@example.org\"\n";

static struct conf *conf;

static int load(void **state)
{
    (void)state;
    struct str rest = str_z(rc);
    struct line line;
    struct err err = ERR_INIT;
    unsigned number = 0;
    conf = conf_defaults();
    while (line_next(&rest, "rc", &number, &line, &err) == 1) {
        assert_true(conf_run(conf, &line, &err));
        line_fini(&line);
    }
    return 0;
}

static int unload(void **state)
{
    (void)state;
    conf_free(&conf);
    return 0;
}

struct row {
    enum doc_kind kind;
    const char *name, *text;
    uint8_t level, style;
};

static struct doc *doc_of(const struct row *rows, size_t n)
{
    struct buf b = BUF_INIT(1u << 20);
    struct doc *d = doc_new();
    struct err err = ERR_INIT;
    for (size_t i = 0; i < n; i++)
        assert_true(doc_put(&b, &(struct doc_item){.kind = rows[i].kind,
                                                   .name = str_z(rows[i].name),
                                                   .text = str_z(rows[i].text),
                                                   .level = rows[i].level,
                                                   .style = rows[i].style}));
    assert_true(doc_feed(d, buf_str(&b), &err));
    buf_fini(&b);
    return d;
}

static const struct row original[] = {
    {DOC_META, "from", "=?utf-8?Q?Alice_=C3=84xample?= <alice@example.org>", 0, 0},
    {DOC_META, "to", "bob@home.example, carol@example.org", 0, 0},
    {DOC_META, "cc", "dora@example.org", 0, 0},
    {DOC_META, "subject", "=?utf-8?Q?budget=0D=0ABcc:_eve@evil.example?=", 0, 0},
    {DOC_META, "message-id", "<1@example.org>", 0, 0},
    {DOC_META, "references", "<0@example.org>", 0, 0},
    {DOC_META, "date", "Sun, 22 Nov 2026 10:00:00 +0000", 0, 0},
    {DOC_TEXT, "", "Hello\033[2J", 0, 0},
    {DOC_TEXT, "", "older", 1, 0},
    {DOC_TEXT, "", "sig", 0, DOC_SIGNATURE},
};

static const char *template_of(enum draft_kind kind, const struct account *account, struct buf *out)
{
    struct doc *d = doc_of(original, COUNT(original));
    struct err err = ERR_INIT;
    buf_reset(out);
    assert_true(draft_template(kind, conf, account, d, NULL, STR("Bob"), NULL, out, &err));
    doc_free(&d);
    return buf_z(out);
}

static void test_reply(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1u << 20);
    const char *t = template_of(DRAFT_REPLY_ALL, conf_account(conf, "home"), &out);
    assert_non_null(strstr(t, "From: Bob <bob@home.example>\n"));
    assert_non_null(strstr(t, "alice@example.org"));
    assert_non_null(strstr(t, "carol@example.org"));
    assert_non_null(strstr(t, "dora@example.org"));
    assert_non_null(strstr(t, "\nIn-Reply-To: <1@example.org>\nReferences: <0@example.org> <1@example.org>\n"));
    assert_non_null(strstr(t, "\n> Hello"));
    assert_non_null(strstr(t, "\n>> older\n"));
    assert_null(strstr(t, "> sig"));
    assert_null(strchr(t, '\033'));
    /* THREATS 142: an encoded line end in a Subject makes no field. */
    assert_null(strstr(t, "\nBcc: eve"));
    assert_non_null(strstr(t, "\nBcc:\n"));
    t = template_of(DRAFT_REPLY, conf_account(conf, "home"), &out);
    assert_null(strstr(t, "carol"));
    buf_fini(&out);
}

static void test_identity(void **state)
{
    (void)state;
    struct doc *d = doc_of(original, COUNT(original));
    assert_ptr_equal(draft_identity(conf, d, conf_account(conf, "work")), conf_account(conf, "home"));
    assert_ptr_equal(draft_identity(conf, NULL, conf_account(conf, "work")), conf_account(conf, "work"));
    doc_free(&d);
}

static void test_forward_and_again(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1u << 20);
    const char *t = template_of(DRAFT_FORWARD, conf_account(conf, "work"), &out);
    assert_non_null(strstr(t, "Subject: Fwd: budget"));
    assert_non_null(strstr(t, "----- Forwarded message -----\nFrom: Alice Äxample <alice@example.org>\n"));
    assert_non_null(strstr(t, "\n-- \nBob\n"));
    t = template_of(DRAFT_AGAIN, conf_account(conf, "work"), &out);
    assert_non_null(strstr(t, "\nHello"));
    assert_null(strstr(t, "> Hello"));
    buf_fini(&out);
}

static bool parse(const char *text, struct draft *d, struct arena **arena, struct err *err)
{
    *err = ERR_INIT;
    arena_free(arena);
    *arena = arena_new(1u << 22);
    return draft_parse(str_z(text), conf, *arena, d, err);
}

static void test_parse(void **state)
{
    (void)state;
    struct arena *a = NULL;
    struct draft d;
    struct err err;
    assert_true(
        parse("From: Bob <bob@example.org>\nTo: team, dave@example.org\nCc: CAROL@example.org\nBcc: eve@example.org\n"
              "Subject: x\n y\nAttach: /a b\nAttach: ~/c\nFcc: Sent\nX-Own: 1\n\nbody\n",
              &d, &a, &err));
    assert_int_equal(d.nrcpts, 4); /* carol once */
    assert_true(str_eqz(d.sender, "bob@example.org"));
    assert_int_equal(d.nattach, 2);
    assert_true(str_eqz(d.attach[0], "/a b"));
    assert_true(str_eqz(d.body, "body\n"));
    char *h = mem_dup_n(d.headers.p, d.headers.n);
    assert_null(strstr(h, "Bcc")); /* THREATS 143 */
    assert_null(strstr(h, "Attach"));
    assert_null(strstr(h, "Fcc"));
    assert_non_null(strstr(h, "X-Own: 1"));
    assert_non_null(strstr(h, "To: Alice <alice@example.org>, carol@example.org, dave@example.org\n"));
    free(h);
    assert_true(draft_ready(&d, &err));
    assert_false(parse("To: nobody at all\n\nx", &d, &a, &err));
    assert_int_equal(err.kind, ERR_RECIPIENT);
    assert_false(parse("just text\n\nx", &d, &a, &err));
    assert_int_equal(err.kind, ERR_USAGE);
    assert_false(parse("To: a@b.example\nTo: c@d.example\n\nx", &d, &a, &err));
    assert_true(parse("From: bob@example.org\nTo:\nSubject:\n\nx", &d, &a, &err));
    assert_false(draft_ready(&d, &err));
    assert_int_equal(err.kind, ERR_RECIPIENT);
    arena_free(&a);
}

static void test_attachment_warning(void **state)
{
    (void)state;
    struct arena *a = NULL;
    struct draft d;
    struct err err;
    assert_true(parse("From: b@e.org\n\nSee the attached file.\n", &d, &a, &err));
    assert_true(draft_misses_attachment(&d));
    assert_true(parse("From: b@e.org\nAttach: /x\n\nSee the attached file.\n", &d, &a, &err));
    assert_false(draft_misses_attachment(&d));
    assert_true(parse("From: b@e.org\n\nHi\n> attached\n-- \nattach\n", &d, &a, &err));
    assert_false(draft_misses_attachment(&d));
    arena_free(&a);
}

static void test_set(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4096);
    struct str text = STR("To: a@b\n c@d\nSubject: old\nAttach: /1\nAttach: /2\n\nTo: body\n");
    assert_true(draft_set(text, "To", STR("x@y"), false, &out));
    assert_string_equal(buf_z(&out), "To: x@y\nSubject: old\nAttach: /1\nAttach: /2\n\nTo: body\n");
    buf_reset(&out);
    assert_true(draft_set(text, "Attach", STR("/3"), true, &out));
    assert_string_equal(buf_z(&out), "To: a@b\n c@d\nSubject: old\nAttach: /1\nAttach: /2\nAttach: /3\n\nTo: body\n");
    buf_reset(&out);
    assert_true(draft_detach(text, 0, &out));
    assert_string_equal(buf_z(&out), "To: a@b\n c@d\nSubject: old\nAttach: /2\n\nTo: body\n");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_forward_and_again),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_attachment_warning),
        cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
