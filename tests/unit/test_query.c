/* The language of queries: faults and where they are, short forms, words to be marked. */
#include "query/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool knows(void *arg, struct str word)
{
    (void)arg;
    return str_case_eqz(word, "work") || str_case_eqz(word, "unread") || str_case_eqz(word, "Archive");
}

static bool begun(void *arg, struct str word, bool begins)
{
    return knows(arg, word) || (begins && (str_starts(STR("Archive"), word) || str_starts(STR("unread"), word)));
}

static bool box(void *arg, struct str name, struct buf *out, struct err *err)
{
    (void)arg;
    if (!str_case_eqz(name, "Archive"))
        return err_set(err, ERR_QUERY, "no mailbox %.*s", STR_FMT(name));
    return buf_addz(out, "folder:\"work/Archive\"");
}

static bool saved(void *arg, struct str name, struct buf *out)
{
    (void)arg;
    if (str_eqz(name, "mine"))
        return query_of_saved("t:alice or f:bob", "work", out);
    if (str_eqz(name, "loop"))
        return buf_addz(out, "x or saved:loop");
    return str_eqz(name, "sexp") && buf_addz(out, "(and (from alice) (subject \"a b\"))");
}

static const struct query_world world = {
    .box = box, .box_known = begun, .tag_known = begun, .field_known = knows, .saved = saved, .account_known = knows};

/* ---- faults ---- */
static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        enum query_verdict verdict;
        const char *at; /* what is at fault */
        const char *words;
    } cases[] = {
        {"", QUERY_GOOD, "", ""},
        {"*", QUERY_GOOD, "", ""},
        {"budget \"third quarter\" or (from:bob and not tag:unread)", QUERY_GOOD, "", ""},
        {"Re: lunch at 12:30, see https://example.org/x", QUERY_GOOD, "", ""},
        {"-from:bob +to:alice date:2026-01-01..yesterday date:@1700000000.. date:2weeks.. date:last_month", QUERY_GOOD,
         "", ""},
        {"f:bob t:carol s:\"a b\" c:x is:unread has:unread in:Archive newer:7d older:2W after:2026-11-01 before:today "
         "spam:yes spam:5 header:X-Spam-Flag=yes account:work saved:mine list:kernel",
         QUERY_GOOD, "", ""},
        {"thread:{from:bob and to:carol} id:x@y path:\"/^a(b|c)$/\" mimetype:text/plain", QUERY_GOOD, "", ""},
        {"subject:(one two)", QUERY_GOOD, "", ""},
        {"a b \"c d", QUERY_OPEN, "\"", "not closed"},
        {"(from:bob and (to:carol", QUERY_OPEN, "(", "not closed"},
        {"from:bob)", QUERY_BAD, ")", "no ( is open"},
        {"a () b", QUERY_BAD, "()", "nothing stands between"},
        {"from:bob and", QUERY_OPEN, "and", "needs something behind"},
        {"(from:bob and) x", QUERY_BAD, "and", "needs something behind"},
        {"or from:bob", QUERY_BAD, "or", "stands between two"},
        {"a and or b", QUERY_BAD, "or", "stands between two"},
        {"x not", QUERY_OPEN, "not", "needs something behind"},
        {"subjct:x", QUERY_BAD, "subjct:", "did you mean subject:"},
        {"a qqqqqq:x", QUERY_BAD, "qqqqqq:", "is no field"},
        {"from:", QUERY_OPEN, "from:", "needs a value"},
        {"newer:7", QUERY_OPEN, "7", "h, d, w, m or y"},
        {"newer:7 x", QUERY_BAD, "7", "h, d, w, m or y"},
        {"older:soon x", QUERY_BAD, "soon", "h, d, w, m or y"},
        {"date:fortnight..", QUERY_BAD, "fortnight", "is no date"},
        {"date:today..fortnight x", QUERY_BAD, "fortnight", "is no date"},
        {"date:\"today..fortnight\"", QUERY_BAD, "fortnight", "is no date"},
        {"after:2026-13-01", QUERY_BAD, "2026-13-01", "is no date"},
        {"date:tod", QUERY_GOOD, "", ""},
        {"date:..", QUERY_OPEN, "..", "a day stands"},
        {"spam:perhaps x", QUERY_BAD, "perhaps", "yes, no or a level"},
        {"header:X-Foo=", QUERY_OPEN, "X-Foo=", "needs a word"},
        {"header:X-Foo=a", QUERY_HINT, "X-Foo", "in the index when"},
        {"tag:nosuch", QUERY_HINT, "nosuch", "no tag is called nosuch"},
        {"tag:unre", QUERY_GOOD, "", ""}, /* it is being typed */
        {"tag:unre or x", QUERY_HINT, "unre", "no tag is called unre"},
        {"in:Arch", QUERY_GOOD, "", ""},
        {"in:\"Arch\"", QUERY_HINT, "\"Arch\"", "no mailbox is called Arch"},
        {"in:Nowhere", QUERY_HINT, "Nowhere", "no mailbox is called Nowhere"},
        {"saved:nosuch", QUERY_HINT, "nosuch", "no saved search"},
        {"account:x", QUERY_HINT, "x", "no account"},
        {"tag:nosuch (", QUERY_OPEN, "(", "not closed"}, /* the graver one */
        {"from:/abc", QUERY_OPEN, "/abc", "between two /"},
        {"from:\"/a(b/\"", QUERY_BAD, "\"/a(b/\"", "broken regexp"},
        {"from:/a(b|c)/", QUERY_BAD, "/a", "stands in quotes"},
        {"subject:\"/((((a{1,200}){1,200}){1,100}){1,100})/\"", QUERY_BAD,
         "\"/((((a{1,200}){1,200}){1,100}){1,100})/\"", "too often"},
        {"subject:\"/a{2}b{3,}[{]{4}/\"", QUERY_GOOD, "", ""},
        /* S-expressions */
        {"(and (from alice) (not (tag unread)))", QUERY_GOOD, "", ""},
        {"(not tag:unread)", QUERY_GOOD, "", ""}, /* infix */
        {"sexp:(from \"a:b\")", QUERY_GOOD, "", ""},
        {"(and (fro alice) (to bob))", QUERY_BAD, "fro", "did you mean from"},
        {"(and (from alice)", QUERY_OPEN, "(", "not closed"},
        {"sexp:(from \"alice)", QUERY_OPEN, "\"", "string"},
        {"sexp:(from alice))", QUERY_BAD, ")", "no ( is open"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct query_fault f;
        enum query_verdict v = query_check(str_z(cases[i].query), &world, &f);
        if (v != cases[i].verdict || f.to - f.from != strlen(cases[i].at) ||
            memcmp(cases[i].query + f.from, cases[i].at, f.to - f.from) != 0 || !strstr(f.text, cases[i].words))
            fail_msg("%s: %d at \"%.*s\": %s", cases[i].query, (int)v, (int)(f.to - f.from), cases[i].query + f.from,
                     f.text);
    }
}

/* Any bytes: an answer, its place within them, safe words. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char pieces[][12] = {"from:", "\"",    "(",  ")",      " ",        "\x1b[2J",    "\xff\xfe",
                                      "date:", "..",    "/",  "{9999}", "and",      "not",        "-",
                                      "sexp:", "(and ", "\\", "*",      "\xc3\xa9", "saved:mine", "in:x"};
    unsigned seed = 7;
    for (unsigned i = 0; i < 20000; i++) {
        struct buf q = BUF_INIT(4096), out = BUF_INIT(65536);
        struct query_fault f;
        struct err err = ERR_INIT;
        for (unsigned n = i % 14; n; n--) {
            seed = seed * 1103515245 + 12345;
            buf_addz(&q, pieces[seed / 65536 % COUNT(pieces)]);
        }
        struct str s = buf_str(&q);
        enum query_verdict v = query_check(s, &world, &f);
        assert_true(f.from <= f.to && f.to <= s.n);
        assert_true((v == QUERY_GOOD) == !f.text[0]);
        assert_null(strchr(f.text, '\x1b'));
        assert_true(query_expand(s, STR("work"), &world, &out, &err) || err.kind != ERR_NONE);
        struct query_words *w = query_words_new(s);
        size_t from = 0, to = 0;
        for (unsigned k = 0; query_words_find(w, PLACE_ANY, s, &from, &to) && k < 100; k++, from = to)
            assert_true(from < to && to <= s.n);
        query_words_free(&w);
        buf_fini(&q);
        buf_fini(&out);
    }
}

/* ---- short forms ---- */
static void test_expand(void **state)
{
    (void)state;
    static const struct {
        const char *query, *account, *out; /* "!": an error with these words */
    } cases[] = {
        {"", "", "*"},
        {"f:bob s:\"a b\" -t:carol (c:x)", "", "from:bob subject:\"a b\" -to:carol (to:x)"},
        {"\"f:bob\" xf:bob is:unread", "", "\"f:bob\" xf:bob tag:\"unread\""},
        {"is:read or IS:Starred or is:new", "", "(not tag:unread) or tag:flagged or tag:unread"},
        {"newer:7d older:2w", "", "(date:7days..) (date:..2weeks)"},
        {"after:2026-11-01 before:\"last week\"", "", "(date:2026-11-01..) (date:..last_week)"},
        {"in:Archive", "", "folder:\"work/Archive\""},
        {"in:x", "", "!no mailbox x"},
        {"spam:5 spam:no", "", "property:spamlevel=5 property:spam=no"},
        {"header:X-Spam-Flag=yes", "", "(property:\"x-spam-flag=yes\")"},
        {"header:X-Foo=yes", "", "!X-Foo is not in the index"},
        {"*", "work", "(path:\"work/**\" or path:\".dup/work/**\") and not property:\"dead=work\""},
        {"a or b", "work", "(a or b) and (path:\"work/**\" or path:\".dup/work/**\") and not property:\"dead=work\""},
        {"saved:mine x", "",
         "((to:alice or from:bob) and (((path:\"work/**\" or path:\".dup/work/**\") and not property:\"dead=work\"))) "
         "x"},
        {"saved:loop", "", "!stands in itself"},
        {"saved:sexp or x", "", "sexp:\"(and (from alice) (subject \"\"a b\"\"))\" or x"},
        {"(and (from alice) (infix \"f:bob is:read\"))", "",
         "sexp:(and (from alice) (infix \"from:bob (not tag:unread)\"))"},
        {"(from alice)", "work",
         "sexp:(and (from alice) (infix \"(path:\\\"work/**\\\" or path:\\\".dup/work/**\\\") and not "
         "property:\\\"dead=work\\\"\"))"},
        {"subject:\"/(a{1000}){1000}/\"", "", "!too often"},
        {"(subject (rx \"(a{1000}){1000}\"))", "", "!too often"},
        {"f:", "", "from:"},
        {"is:", "", "!is: needs a value"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = BUF_INIT(65536);
        struct err err = ERR_INIT;
        bool ok = query_expand(str_z(cases[i].query), str_z(cases[i].account), &world, &out, &err);
        if (cases[i].out[0] == '!' ? ok || err.kind != ERR_QUERY || !strstr(err.text, cases[i].out + 1)
                                   : !ok || strcmp(buf_z(&out), cases[i].out) != 0)
            fail_msg("%s: %s %s", cases[i].query, buf_z(&out), err.text);
        buf_fini(&out);
    }
}

static void test_begun(void **state)
{
    static const char *const cases[][2] = {
        {"bud", "(bud or bud*)"},
        {"from:alice s:bud", "from:alice (s:bud or s:bud*)"},
        {"a or subject:Bud", "a or (subject:Bud or subject:Bud*)"},
        {"(a bud", "(a (bud or bud*)"},
        {"über", "(über or über*)"},
        {"List:dev", "(List:dev or List:dev*)"},
        /* fewer letters, ended, no word of a text, one that the operator needs, other characters */
        {"bu", "bu"},
        {"üb", "üb"},
        {"bud ", "bud "},
        {"\"bud", "\"bud"},
        {"\"bud\"", "\"bud\""},
        {"(bud)", "(bud)"},
        {"bud*", "bud*"},
        {"tag:bud", "tag:bud"},
        {"is:unr", "is:unr"},
        {"date:2026", "date:2026"},
        {"id:abc", "id:abc"},
        {"-bud", "-bud"},
        {"not bud", "not bud"},
        {"a NEAR/3 bud", "a NEAR/3 bud"},
        {"a adj bud", "a adj bud"},
        {"a and", "a and"},
        {"bob@example", "bob@example"},
        {"subject:/bud", "subject:/bud"},
        {"sexp:(subject bud", "sexp:(subject bud"},
        {"", ""},
        {"*", "*"}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = BUF_INIT(200);
        query_begun(str_z(cases[i][0]), &out);
        assert_string_equal(buf_z(&out), cases[i][1]);
        buf_fini(&out);
    }
}

static void test_both(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *both;
    } cases[] = {{"a or b", "c", "(a or b) and (c)"},
                 {"*", "c", "c"},
                 {"a", "", "a"},
                 {"(from alice)", "x \"y\"", "sexp:(and (from alice) (infix \"x \\\"y\\\"\"))"},
                 {"x", "sexp:(tag a)", "sexp:(and (infix \"x\") (tag a))"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = BUF_INIT(1000);
        assert_true(query_both(str_z(cases[i].a), str_z(cases[i].b), &out));
        assert_string_equal(buf_z(&out), cases[i].both);
        buf_fini(&out);
    }
}

/* ---- words ---- */
static void marked(const char *query, unsigned place, const char *text, const char *want)
{
    struct query_words *w = query_words_new(str_z(query));
    struct buf out = BUF_INIT(4096);
    size_t at = 0, from = 0, to;
    for (; query_words_find(w, place, str_z(text), &from, &to); at = from = to) {
        buf_adds(&out, str_sub(str_z(text), at, from));
        buf_addf(&out, "[%.*s]", (int)(to - from), text + from);
    }
    buf_addz(&out, text + at);
    assert_string_equal(buf_z(&out), want);
    query_words_free(&w);
    buf_fini(&out);
}

static void test_words(void **state)
{
    (void)state;
    marked("budget", PLACE_ANY, "The Budget, budgets and rebudget", "The [Budget], [budgets] and rebudget");
    marked("budgets", PLACE_SUBJECT, "one budget", "one [budget]");
    marked("cafe", PLACE_ANY, "Caf\xc3\xa9 CAFE\xcc\x81 cafeteria", "[Caf\xc3\xa9] [CAFE\xcc\x81] cafeteria");
    marked("STRASSE", PLACE_ANY,
           "Stra\xc3\x9f"
           "e",
           "[Stra\xc3\x9f"
           "e]");
    marked("\"third quarter\"", PLACE_BODY, "third-quarter, third of a quarter", "[third-quarter], third of a quarter");
    marked("bud*", PLACE_ANY, "budding bud abud", "[budding] [bud] abud");
    marked("from:bob subject:lunch -carol not dave", PLACE_SUBJECT, "lunch bob carol dave", "[lunch] bob carol dave");
    marked("from:bob subject:lunch", PLACE_FROM, "Bob lunch", "[Bob] lunch");
    marked("not (a or b) c", PLACE_ANY, "a b c", "a b [c]");
    marked("subject:(one or two) three", PLACE_BODY, "one two three", "one two [three]");
    marked("from:/bob/ tag:bob is:bob", PLACE_ANY, "bob", "bob");
    marked("\xe8\xa6\x8b\xe7\xa9\x8d", PLACE_ANY, "\xe3\x81\x94\xe8\xa6\x8b\xe7\xa9\x8d\xe6\x9b\xb8",
           "\xe3\x81\x94[\xe8\xa6\x8b\xe7\xa9\x8d]\xe6\x9b\xb8");
    marked("(and (subject budget) (not (from bob)) (or x y))", PLACE_SUBJECT, "budget bob y", "[budget] bob [y]");
    marked("a", PLACE_ANY,
           "\xff"
           "a\xfe a",
           "\xff"
           "a\xfe [a]");
    marked("f:alice@example.org", PLACE_FROM, "Alice <alice@example.org>", "Alice <[alice@example.org]>");
    struct query_words *w = query_words_piece(STR("UdGe"));
    size_t from = 0, to;
    assert_true(query_words_find(w, PLACE_BODY, STR("a budget"), &from, &to));
    assert_int_equal(from, 3);
    assert_int_equal(to, 7);
    query_words_free(&w);
    w = query_words_new(STR("alice budget x"));
    assert_int_equal(query_words_in(w, PLACE_SUBJECT, STR("budget of Alice")), 2);
    query_words_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults), cmocka_unit_test(test_any_bytes),
                                       cmocka_unit_test(test_expand), cmocka_unit_test(test_begun),
                                       cmocka_unit_test(test_both),   cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
