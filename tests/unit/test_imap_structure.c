/* BODYSTRUCTURE: what servers write, what broken and hostile ones write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/imap.h"

static struct arena *arena;
static struct imap_structure st;

static bool parse(const char *text)
{
    arena_reset(arena);
    return imap_structure_parse(str_z(text), arena, &st);
}

static void is_part(size_t i, const char *section, const char *type, const char *subtype, uint64_t size)
{
    assert_true(i < st.n);
    assert_string_equal(st.parts[i].section, section);
    assert_true(str_case_eqz(st.parts[i].type, type));
    assert_true(str_case_eqz(st.parts[i].subtype, subtype));
    assert_int_equal(st.parts[i].size, size);
}

static void a_single_text_is_section_1(void **state)
{
    (void)state;
    assert_true(parse(
        "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\" \"format\" \"flowed\") NIL NIL \"8BIT\" 1152 23 NIL NIL NIL NIL)"));
    assert_int_equal(st.n, 1);
    is_part(0, "1", "text", "plain", 1152);
    assert_true(str_eqz(st.parts[0].encoding, "8BIT"));
    assert_true(str_eqz(imap_param(&st.parts[0].params, "charset"), "utf-8"));
    assert_true(str_eqz(imap_param(&st.parts[0].params, "format"), "flowed"));
    assert_int_equal(imap_param(&st.parts[0].params, "delsp").n, 0);
}

static void parts_of_parts_have_dotted_sections(void **state)
{
    (void)state;
    assert_true(parse(
        "(((\"text\" \"plain\" NIL NIL NIL \"7bit\" 10 1)(\"text\" \"html\" NIL NIL NIL \"quoted-printable\" 90 3) "
        "\"alternative\" (\"boundary\" \"b2\"))(\"image\" \"png\" (\"name\" \"x.png\") \"<id@x>\" \"a picture\" "
        "\"base64\" "
        "2000000 NIL (\"attachment\" (\"filename*\" \"utf-8''%C3%A9.png\" \"size\" \"1461988\")) NIL) \"mixed\" "
        "(\"boundary\" \"b1\") NIL (\"en\" \"fr\"))"));
    assert_int_equal(st.n, 5);
    is_part(0, "", "multipart", "mixed", UINT64_MAX);
    is_part(1, "1", "multipart", "alternative", UINT64_MAX);
    is_part(2, "1.1", "text", "plain", 10);
    is_part(3, "1.2", "text", "html", 90);
    is_part(4, "2", "image", "png", 2000000);
    assert_true(str_eqz(imap_param(&st.parts[0].params, "boundary"), "b1"));
    assert_true(str_eqz(imap_param(&st.parts[1].params, "BOUNDARY"), "b2"));
    assert_int_equal(st.parts[1].parent, 1);
    assert_int_equal(st.parts[3].parent, 2);
    assert_int_equal(st.parts[4].parent, 1);
    assert_true(str_eqz(st.parts[4].disposition, "attachment"));
    assert_true(str_eqz(imap_param(&st.parts[4].disposition_params, "filename"), "utf-8''%C3%A9.png"));
    assert_true(str_eqz(st.parts[4].id, "<id@x>"));
}

static void an_enclosed_message_is_one_part(void **state)
{
    (void)state;
    assert_true(parse("((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1 NIL NIL NIL NIL)(\"message\" \"rfc822\" NIL NIL "
                      "NIL \"7bit\" 900 "
                      "(\"Mon, 1 Jan\" NIL ((\"A\" NIL \"a\" \"x.org\")) NIL NIL NIL NIL NIL NIL \"<i@x>\") ((\"text\" "
                      "\"plain\" NIL NIL "
                      "NIL \"7bit\" 5 1)(\"image\" \"gif\" NIL NIL NIL \"base64\" 7) \"mixed\") 12 NIL (\"inline\" "
                      "(\"filename\" {5}\r\n"
                      "a b.c)) NIL NIL)(\"text\" \"x\" NIL NIL NIL \"7bit\" 3 1) \"digest\")"));
    assert_int_equal(st.n, 4);
    is_part(2, "2", "message", "rfc822", 900);
    assert_true(str_eqz(st.parts[2].disposition, "inline"));
    assert_true(str_eqz(imap_param(&st.parts[2].disposition_params, "filename"), "a b.c"));
    is_part(3, "3", "text", "x", 3);
}

static void odd_servers_are_understood(void **state)
{
    (void)state;
    /* Exchange: NIL types, an enclosed message without envelope, a size that is NIL or negative */
    assert_true(parse(
        "((NIL NIL NIL NIL NIL NIL 12)(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 4711 NIL NIL 3)(\"application\" "
        "\"octet-stream\" NIL NIL NIL \"base64\" NIL)(\"application\" \"pdf\" NIL NIL NIL \"base64\" -1) \"mixed\")"));
    assert_int_equal(st.n, 5);
    is_part(1, "1", "", "", 12);
    is_part(2, "2", "message", "rfc822", 4711);
    is_part(3, "3", "application", "octet-stream", UINT64_MAX);
    is_part(4, "4", "application", "pdf", UINT64_MAX);
    /* no blank or several between what they separate, BODY's short form, a multipart that holds nothing */
    assert_true(parse("((\"text\" \"plain\" (\"charset\" \"x\")  NIL NIL  \"7bit\" 2 1) (\"text\" \"html\" () NIL NIL "
                      "\"7bit\" 2 1) \"mixed\")"));
    assert_int_equal(st.n, 3);
    assert_true(parse("(\"multipart\" \"mixed\" (\"boundary\" \"b\") NIL NIL \"7bit\" 0)"));
    assert_int_equal(st.n, 1);
    assert_true(parse("((\"text\" \"plain\"))"));
    assert_int_equal(st.n, 2);
    /* a parameter without its value, a list where a string should stand */
    assert_true(parse("(\"text\" \"plain\" (\"charset\") (\"id\") NIL \"7bit\" 2 1)"));
    is_part(0, "1", "text", "plain", 2);
}

static void what_is_no_structure_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "NIL",
                                      "(",
                                      "((",
                                      "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)",
                                      "(\"text\" \"plain",
                                      "(\"text\" {99}\r\nplain)",
                                      "(\"text\" \"plain\" (\"a\" \"b\" NIL NIL \"7bit\" 1 1",
                                      "((\"a\" \"b\")\r(\"a\" \"b\") \"mixed\")"};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static void depth_and_number_have_limits(void **state)
{
    struct buf b = BUF_INIT(1u << 20);
    (void)state; /* THREATS 33: no recursion, no endless list */
    for (size_t depth = 1; depth <= 1000; depth = depth * 2) {
        buf_reset(&b);
        for (size_t i = 0; i < depth; i++)
            buf_addc(&b, '(');
        buf_addz(&b, "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)");
        for (size_t i = 0; i < depth; i++)
            buf_addz(&b, " \"mixed\")");
        assert_int_equal(parse(buf_z(&b)), depth <= IMAP_PARTS_DEPTH);
    }
    for (size_t n = IMAP_PARTS_MAX - 2; n <= IMAP_PARTS_MAX + 1; n++) {
        buf_reset(&b);
        buf_addc(&b, '(');
        for (size_t i = 0; i < n; i++)
            buf_addz(&b, "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)");
        buf_addz(&b, " \"mixed\")");
        assert_int_equal(parse(buf_z(&b)), n < IMAP_PARTS_MAX);
    }
    buf_reset(&b);
    buf_addz(&b, "(\"text\" \"plain\" (");
    for (size_t i = 0; i < 5000; i++)
        buf_addz(&b, "\"a\" \"b\" ");
    buf_addz(&b, ") NIL NIL \"7bit\" 1 1)");
    assert_true(parse(buf_z(&b)));
    assert_int_equal(st.parts[0].params.n, IMAP_PARAMS_MAX);
    buf_fini(&b);
}

static void items_of_bodies(void **state)
{
    struct imap_fetch f;
    (void)state;
    assert_true(imap_body_item(STR("BODY[]"), &f));
    assert_true(f.section.n == 0 && !f.partial && !f.binary);
    assert_true(imap_body_item(STR("body[1.2]<8192>"), &f));
    assert_true(str_eqz(f.section, "1.2") && f.partial && f.origin == 8192);
    assert_true(imap_body_item(STR("BINARY[2]<0>"), &f));
    assert_true(f.binary && f.partial && f.origin == 0);
    static const char *const bad[] = {"BODY[HEADER]", "BODY[1.MIME]", "BODY",          "BODY[1",
                                      "BODY[]<x>",    "BODY[]<1",     "BODY[1..2]",    "BODY[.1]",
                                      "BODY[1.]",     "FLAGS",        "BODYSTRUCTURE", "BODY[1]<18446744073709551616>"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (imap_body_item(str_z(bad[i]), &f))
            fail_msg("taken: %s", bad[i]);
}

static void answers_carry_structure_and_ranges(void **state)
{
    struct imap_parser *p = imap_parser_new();
    struct imap_event ev;
    (void)state;
    imap_parse(p,
               STR("* 7 FETCH (UID 9 BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7bit\" 4 1) BODY[1]<8192> "
                   "{3}\r\n\0)b FLAGS "
                   "(\\Seen))"),
               &ev);
    assert_int_equal(ev.what, IMAP_FETCH);
    assert_int_equal(ev.fetch.uid, 9);
    assert_int_equal(ev.fetch.has, IMAP_HAS_BODY | IMAP_HAS_STRUCTURE | IMAP_HAS_FLAGS);
    assert_true(str_eqz(ev.fetch.section, "1"));
    assert_int_equal(ev.fetch.origin, 8192);
    assert_int_equal(ev.fetch.body.n, 3);
    assert_true(imap_structure_parse(ev.fetch.structure, arena, &st));
    imap_parse(p, STR("* 7 FETCH (BINARY[2]<0> ~{2}\r\nab UID 3)"), &ev);
    assert_true(ev.fetch.binary && ev.fetch.body.n == 2 && ev.fetch.uid == 3);
    imap_parser_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_text_is_section_1),
        cmocka_unit_test(parts_of_parts_have_dotted_sections),
        cmocka_unit_test(an_enclosed_message_is_one_part),
        cmocka_unit_test(odd_servers_are_understood),
        cmocka_unit_test(what_is_no_structure_is_refused),
        cmocka_unit_test(depth_and_number_have_limits),
        cmocka_unit_test(items_of_bodies),
        cmocka_unit_test(answers_carry_structure_and_ranges),
    };
    arena = arena_new(4u << 20);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return r;
}
