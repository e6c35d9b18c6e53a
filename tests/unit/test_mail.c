/* mail: headers, words, addresses, dates, ids, rows, replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "corpus.h"
#include "mail/filter.h"
#include "mail/mail.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(MAIL_ARENA_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static void same(struct str got, const char *want)
{
    if (!str_eqz(got, want))
        fail_msg("got \"%.*s\", want \"%s\"", STR_FMT(got), want);
}

/* ---- Header blocks ------------------------------------------------------------------------------ */
static void test_header(void **state)
{
    (void)state;
    struct mail_header h;
    mail_header_parse(
        STR("From a Mon\nSubject: one\r\n two\r\r\n\tthree\nX : y\nnonsense\n lost\nsubject: 2\n\nbody: no\n"), arena,
        &h);
    assert_int_equal(h.count, 3);
    same(mail_header_get(&h, "SUBJECT"), "one two\tthree");
    same(mail_header_get(&h, "x"), "y");
    assert_true(h.broken && h.complete && !h.cut);
    assert_string_equal(mail_header_duplicate(&h), "Subject");
    assert_int_equal(mail_header_count(&h, "subject"), 2);
    assert_null(mail_header_get(&h, "body").p);
    /* CR alone (THREATS 105), NUL as data (104), no end */
    mail_header_parse(STR("A: 1\r 2\rB: x\0y\r\rbody"), arena, &h);
    same(mail_header_get(&h, "a"), "1 2");
    assert_int_equal(mail_header_get(&h, "b").n, 3);
    assert_int_equal(h.size, 16);
    mail_header_parse(STR("A: 1"), arena, &h);
    assert_false(h.complete);
    same(mail_header_get(&h, "a"), "1");
    mail_header_parse(STR(""), arena, &h);
    assert_int_equal(h.count, 0);
}

/* THREATS 94: a 10 MB field, 100,000 fields, 200,000 folds. */
static void test_header_limits(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(64u << 20);
    struct mail_header h;
    buf_addz(&b, "Subject: ");
    for (int i = 0; i < 10 * 1024 * 1024; i++)
        buf_addc(&b, 'x');
    buf_addz(&b, "\nTo: a\n\nbody");
    mail_header_parse(buf_str(&b), arena, &h);
    assert_true(h.cut && h.complete);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.size, b.n - 4);
    buf_reset(&b);
    for (int i = 0; i < 100000; i++)
        buf_addz(&b, "A:b\n");
    mail_header_parse(buf_str(&b), arena, &h);
    assert_true(h.cut);
    assert_int_equal(h.count, MAIL_FIELDS_MAX);
    buf_reset(&b);
    buf_addz(&b, "A: b\n");
    for (int i = 0; i < 200000; i++)
        buf_addz(&b, " c\n");
    arena_reset(arena);
    mail_header_parse(buf_str(&b), arena, &h);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.fields[0].value.n, 1 + 2 * 200000);
    buf_fini(&b);
}

/* ---- Words --------------------------------------------------------------------------------------
 */
static void words(const char *raw, const char *want)
{
    same(mail_words(str_z(raw), arena), want);
}

static void test_words(void **state)
{
    (void)state;
    words("plain text", "plain text");
    words("=?iso-8859-1?Q?J=F6rg_M?=", "J\xc3\xb6rg M");
    words("a =?utf-8?B?w6Q=?= b =?utf-8?q?=C3=B6?=", "a \xc3\xa4 b \xc3\xb6");
    words("=?utf-8?q?a?= =?utf-8?q?b?=\t=?iso-8859-1?q?c?= d", "abc d");
    words("=?utf-8*en?q?x_y?=", "x y");
    words("=?utf-8?B?w6TD?=", "\xc3\xa4\xef\xbf\xbd");  /* a cut character */
    words("=?utf-8?B?YWJj?= =?utf-8?B?ZGU?=", "abcde"); /* no padding: nothing is lost */
    words("=?utf-8?B?5pel5pys6A==?= =?utf-8?B?qp4=?=", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"); /* cut in a character */
    words("=?ISO-2022-JP?B?GyRCRnxLXA==?= =?ISO-2022-JP?B?OGwbKEI=?=", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
    words("=?gb2312?B?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87");
    words("=?koi8-r?Q?=F0=D2=C9?=", "\xd0\x9f\xd1\x80\xd0\xb8");
    words("=?x-nonesuch?Q?=E4b?=", "\xe4"
                                   "b");
    words("=?us-ascii?Q?=E4?=", "\xc3\xa4");
    words("=?utf-8?q?unended", "=?utf-8?q?unended");
    words("=?utf-8?q?one =?utf-8?q?two?=", "=?utf-8?q?one two");
    words("=?utf-8?x?y?=", "=?utf-8?x?y?=");
    words("=?utf-8?q?"
          "?=x",
          "x");
    words("=?utf-8?q?a=?=", "a=");
    words("=?utf-7?Q?+ADw-script+AD4-?=", "+ADw-script+AD4-"); /* THREATS 103: never markup */
    words("=?/../../evil?Q?a?=", "a");
    words("raw \xe4 8-bit", "raw \xe4 8-bit");
    struct buf b = BUF_INIT(100);
    mail_words_decode(STR("=?utf-8?q?a=00b?="), &b);
    assert_memory_equal(b.p, "a\0b", 3);
    buf_fini(&b);
}

/* THREATS 99: 20,000 words, and prefixes without an end, in linear time. */
static void test_words_many(void **state)
{
    (void)state;
    static const char *const pieces[] = {"=?utf-8?q?x?= ", "=?a?q?", "=?", "=?utf-8?B?", "=?a?q?=?"};
    for (size_t k = 0; k < COUNT(pieces); k++) {
        struct buf b = BUF_INIT(8u << 20), out = BUF_INIT(32u << 20);
        for (int i = 0; i < 200000; i++)
            buf_addz(&b, pieces[k]);
        mail_words_decode(buf_str(&b), &out);
        assert_true(out.n > 0 && !out.full);
        if (k == 0)
            assert_int_equal(out.n, 200001);
        buf_fini(&b);
        buf_fini(&out);
    }
}

static void encodes(const char *utf8)
{
    struct buf b = BUF_INIT(1u << 20), back = BUF_INIT(1u << 20);
    mail_words_encode(str_z(utf8), &b);
    for (size_t i = 0; i < b.n; i++)
        assert_in_range((unsigned char)b.p[i], 32, 126);
    struct str rest = buf_str(&b), t;
    while (rest.p && str_split(&rest, ' ', &t))
        if (str_starts(t, STR("=?")))
            assert_true(t.n <= 75);
    mail_words_decode(buf_str(&b), &back);
    same(buf_str(&back), utf8);
    buf_fini(&b);
    buf_fini(&back);
}

static void test_words_encode(void **state)
{
    (void)state;
    encodes("plain");
    encodes("Gr\xc3\xbc\xc3\x9f"
            "e an alle  Freunde und \xc3\xa4 mehr");
    encodes("=?utf-8?q?not_a_word?=");
    encodes("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa"
            "\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"
            "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa"
            "\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
    struct buf b = BUF_INIT(1000);
    mail_words_encode(STR("a\r\nBcc: x"), &b); /* THREATS 142 */
    same(buf_str(&b), "a  Bcc: x");
    buf_fini(&b);
}

/* ---- Addresses ---------------------------------------------------------------------------------- */
/* Lists as "name|addr|group;" for each entry. */
static void addrs(const char *raw, const char *want)
{
    struct mail_addrs a;
    struct buf b = BUF_INIT(65536);
    mail_addrs_parse(str_z(raw), arena, &a);
    for (size_t i = 0; i < a.count; i++)
        buf_addf(&b, "%.*s|%.*s|%.*s;", STR_FMT(a.list[i].name), STR_FMT(a.list[i].addr), STR_FMT(a.list[i].group));
    if (!str_eqz(buf_str(&b), want))
        fail_msg("%s\n  got  %s\n  want %s", raw, buf_z(&b), want);
    buf_fini(&b);
}

static void test_addrs(void **state)
{
    (void)state;
    addrs("", "");
    addrs("alice@example.org", "|alice@example.org|;");
    addrs("Alice <alice@example.org>, bob@example.org", "Alice|alice@example.org|;|bob@example.org|;");
    addrs("\"A, \\\"B\\\"\" <a@b.c>", "A, \"B\"|a@b.c|;");
    addrs("alice@example.org (Alice (the) Example)", "Alice (the) Example|alice@example.org|;");
    addrs("=?utf-8?q?J=C3=B6rg?= <j@x.y>", "J\xc3\xb6rg|j@x.y|;");
    addrs("\"=?utf-8?q?J=C3=B6rg?=\" <j@x.y>", "J\xc3\xb6rg|j@x.y|;");
    addrs("=?utf-8?q?Doe,_J?= <j@x.y>", "Doe, J|j@x.y|;");
    addrs("friends: a@b.c, D <d@e.f>;, g@h.i", "|a@b.c|friends;D|d@e.f|friends;|g@h.i|;");
    addrs("undisclosed-recipients:;", "||undisclosed-recipients;");
    addrs("a:b:c: x@y.z;", "|x@y.z|c;");
    addrs("<@one.example,@two.example:joe@x.y>", "|joe@x.y|;");
    addrs("john . doe @ example . org", "|john.doe@example.org|;");
    addrs("\"john doe\"@example.org", "|\"john doe\"@example.org|;");
    addrs("a@[IPv6:::1], b@c.d", "|a@[IPv6:::1]|;|b@c.d|;");
    addrs("a@b.c; d@e.f;", "|a@b.c|;|d@e.f|;");
    addrs(",, a@b.c ,,", "|a@b.c|;");
    addrs("<>", "||;");
    addrs("<mailto:a@b.c>", "|a@b.c|;");
}

static void test_addrs_broken(void **state)
{
    (void)state;
    addrs("Doe, John <j@x.y>", "Doe, John|j@x.y|;");
    addrs("Doe, John, PhD <j@x.y>, a@b.c", "Doe, John, PhD|j@x.y|;|a@b.c|;");
    addrs("Joe <joe@x.y", "Joe|joe@x.y|;");
    addrs("Joe <joe@x.y, Bob <bob@x.y>", "Joe|joe@x.y|;Bob|bob@x.y|;");
    addrs("Joe joe@x.y", "Joe|joe@x.y|;");
    addrs("alice at example.org", "|alice@example.org|;");
    addrs("a@b.c via List <list@x.y>", "a@b.c via List|list@x.y|;");
    addrs("a at b.c via List <list@x.y>", "a at b.c via List|list@x.y|;");
    addrs("Bug [tracker] (x) <b@x.y>", "Bug [tracker]|b@x.y|;");
    addrs("a..b.@docomo.example", "|a..b.@docomo.example|;");
    addrs("\"unclosed <a@b.c>", "\"unclosed|a@b.c|;");
    addrs("one, two", "one||;two||;");
    addrs("root", "root||;");
    addrs("Joe <a@b.c> <d@e.f>", "Joe|a@b.c|;|d@e.f|;");
    addrs("\"bank@example.com\" <thief@evil.example>", "bank@example.com|thief@evil.example|;"); /* THREATS 120 */
    addrs("\xc3\xa4 <x@\xc3\xbc.example>", "\xc3\xa4|x@\xc3\xbc.example|;");
}

/* THREATS 95 and FACTS: 100,000 and more of everything that nests or repeats. */
static void test_addrs_many(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a@b.c,", "(",   "a:", ";", "<",  "\"", "=?a?q?,", "a ",
                                         "\\",     "(a)", "<a", "[", "a,", "@",  "\"a\"",   "<>"};
    for (size_t k = 0; k < COUNT(pieces); k++) {
        struct arena *own = arena_new(64u << 20);
        struct buf b = BUF_INIT(8u << 20);
        for (int i = 0; i < 150000; i++)
            buf_addz(&b, pieces[k]);
        struct mail_addrs a;
        mail_addrs_parse(buf_str(&b), own, &a);
        assert_true(a.count <= MAIL_ADDRESSES_MAX);
        if (k == 0)
            assert_true(a.cut && a.count == MAIL_ADDRESSES_MAX);
        buf_fini(&b);
        arena_free(&own);
    }
}

static void test_addr_write(void **state)
{
    (void)state;
    static const struct {
        const char *name, *addr, *format, *show;
    } cases[] = {
        {"", "a@b.c", "a@b.c", "a@b.c"},
        {"Alice Example", "a@b.c", "Alice Example <a@b.c>", "Alice Example <a@b.c>"},
        {"Doe, J. \"x\"", "a@b.c", "\"Doe, J. \\\"x\\\"\" <a@b.c>", "\"Doe, J. \\\"x\\\"\" <a@b.c>"},
        {"J\xc3\xb6rg", "a@b.c", "=?UTF-8?Q?J=C3=B6rg?= <a@b.c>", "J\xc3\xb6rg <a@b.c>"},
        {"x\r\nBcc: y", "a@b.c\r\n", "\"x  Bcc: y\" <a@b.c>", "\"x  Bcc: y\" <a@b.c>"}, /* THREATS 142 */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b = BUF_INIT(1000);
        mail_addr_format(str_z(cases[i].name), str_z(cases[i].addr), &b);
        same(buf_str(&b), cases[i].format);
        buf_reset(&b);
        mail_addr_show(str_z(cases[i].name), str_z(cases[i].addr), &b);
        same(buf_str(&b), cases[i].show);
        buf_fini(&b);
    }
    struct mail_addrs a;
    struct buf b = BUF_INIT(1000);
    mail_addrs_parse(STR("x@y.z, g: a@b.c, D <d@e.f>;, n:;"), arena, &a);
    mail_addrs_show(&a, &b);
    same(buf_str(&b), "x@y.z, g: a@b.c, D <d@e.f>;, n: ;");
    buf_fini(&b);
}

static void test_addr_valid(void **state)
{
    (void)state;
    static const char *const good[] = {"a@b",           "a..b.@docomo.example", "\"a b\"@c.d",
                                       "a@[127.0.0.1]", "\xc3\xa4@x.y",         "a+b=c@d.e"};
    static const char *const bad[] = {"",     "a",     "@b",   "a@",    "a@b@c",       "a b@c", "a@b c", "a@b>",
                                      "-a@b", "a\n@b", "a@-b", "a,b@c", "a@b\r\nRCPT", "\"a@b", "a@b:c"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(mail_addr_valid(str_z(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (mail_addr_valid(str_z(bad[i])))
            fail_msg("valid: %s", bad[i]);
    assert_true(mail_addr_is_self(STR("A@B.c"), STR("x@y.z\n a@b.C, q@r")));
    assert_false(mail_addr_is_self(STR("a@b"), STR("a@b.c")));
}

/* ---- Dates --------------------------------------------------------------------------------------
 */
static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        int64_t t;
        int zone;
    } good[] = {
        {"Sun, 22 Nov 2026 14:02:05 +0100", 1795352525, 60},
        {"22 Nov 2026 13:02:05 GMT", 1795352525, 0},
        {"Sun Nov 22 13:02:05 2026", 1795352525, 0},
        {"Sun, 22 Nov 26 08:02:05 EST", 1795352525, -300},
        {"Sun, 22 Nov 2026 13:02:05 (some (nested) words) -0000 (UTC)", 1795352525, 0},
        {"2026-11-22T13:02:05Z", 1795352525, 0},
        {"2026-11-22T14:02:05.123+01:00", 1795352525, 60},
        {"22-Nov-2026 14:02:05 +0100", 1795352525, 60},
        {"Sunday, November 22, 2026 13:02:05", 1795352525, 0},
        {"Sun, 22 Nov 2026 13:02 +0000", 1795352520, 0},
        {"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0},
        {"Tue, 29 Feb 2000 00:00:60 GMT+0100", 951778860 - 0, 60},
        {"1 Jan 95 00:00:00 +0000", 788918400, 0},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t t = -1;
        int zone = -1;
        if (!mail_date_parse(str_z(good[i].raw), &t, &zone))
            fail_msg("refused: %s", good[i].raw);
        if (t != good[i].t || zone != good[i].zone)
            fail_msg("%s: %lld zone %d", good[i].raw, (long long)t, zone);
    }
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "32 Nov 2026 1:2:3",
                                      "1 Foo 2026",
                                      "Sun, 22 Nov 99999 1:2:3",
                                      "22 13 2026 1:1:1",
                                      "1 Jan 2026 25:00:00",
                                      "1 Jan 2026 0:0:0 +9999",
                                      "1 Jan 1960 0:0:0 +0000",
                                      "2026-13-01T00:00:00Z",
                                      "31 Feb 2026 1:1:1"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t t = -7;
        if (mail_date_parse(str_z(bad[i]), &t, NULL))
            fail_msg("%s accepted as %lld", bad[i], (long long)t);
        assert_int_equal(t, -7);
    }
    struct buf b = BUF_INIT(1000000);
    for (int i = 0; i < 100000; i++)
        buf_addc(&b, '(');
    int64_t t;
    assert_false(mail_date_parse(buf_str(&b), &t, NULL)); /* THREATS 109 */
    buf_reset(&b);
    mail_date_format(1795352525, 60, &b);
    same(buf_str(&b), "Sun, 22 Nov 2026 14:02:05 +0100");
    buf_reset(&b);
    mail_date_format(1795352525, -210, &b);
    same(buf_str(&b), "Sun, 22 Nov 2026 09:32:05 -0330");
    buf_fini(&b);
}

/* ---- Ids, references, subjects ------------------------------------------------------------------ */
static void ids(const char *raw, const char *want)
{
    struct str *list;
    struct buf b = BUF_INIT(65536);
    size_t n = mail_ids_parse(str_z(raw), arena, &list);
    for (size_t i = 0; i < n; i++)
        buf_addf(&b, "%.*s ", STR_FMT(list[i]));
    same(buf_str(&b), want);
    buf_fini(&b);
}

/* Sunday, 22 November 2026, 14:30:00 UTC */
static void test_when(void **state)
{
    (void)state;
    const int64_t now = 1795357800, midnight = now - 14 * 3600 - 1800;
    static const struct {
        const char *text;
        int64_t day, minutes; /* from that midnight; day -1: refused */
    } rows[] = {
        {"30m", 0, 15 * 60},
        {"2h", 0, 16 * 60 + 30},
        {"in 3d", 3, 14 * 60 + 30},
        {"1w", 7, 14 * 60 + 30},
        {"18:30", 0, 18 * 60 + 30},
        {"9:00", 1, 9 * 60},
        {"14:30", 1, 14 * 60 + 30},
        {"tonight", 0, 18 * 60},
        {"today 20:15", 0, 20 * 60 + 15},
        {"tomorrow", 1, 8 * 60},
        {"Tomorrow at 9", 1, 9 * 60},
        {"mon", 1, 8 * 60},
        {"sunday 7:05", 7, 7 * 60 + 5},
        {"weekend", 6, 8 * 60},
        {"next week", 1, 8 * 60},
        {"next friday 12:00", 5, 12 * 60},
        {"2026-12-24", 32, 8 * 60},
        {"2026-12-24 18:00", 32, 18 * 60},
        {"today 9:00", -1, 0},
        {"2026-11-21", -1, 0},
        {"", -1, 0},
        {"in", -1, 0},
        {"0m", -1, 0},
        {"99999999999h", -1, 0},
        {"t", -1, 0},
        {"tomorrow 25:00", -1, 0},
        {"tomorrow 9:5", -1, 0},
        {"tomorrow 9:00 sharp", -1, 0},
        {"2026-13-01", -1, 0},
        {"9999-01-01", -1, 0},
        {"a b c d e f", -1, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t when = 0;
        bool ok = mail_when_parse(str_z(rows[i].text), now, &when);
        if (ok != (rows[i].day >= 0) || (ok && when != midnight + rows[i].day * 86400 + rows[i].minutes * 60))
            fail_msg("%s: %d, %lld", rows[i].text, ok, (long long)(when - midnight));
    }
}

static void test_ids(void **state)
{
    (void)state;
    ids("<a@b>  <c@d>\t<a@b>", "a@b c@d ");
    ids("<a@b><c@d>", "a@b c@d ");
    ids("Your message of Monday <x@y>", "x@y ");
    ids("a@b c@d", "a@b c@d ");
    ids("alice@example.org wrote", "");
    ids("<a b@c> <> <x", "");
    same(mail_id_parse(STR(" <a@b> trailing")), "a@b");
    same(mail_id_parse(STR("a@b")), "a@b");
    same(mail_id_parse(STR("<a b>")), "");
    same(mail_id_parse(STR("")), "");
    /* THREATS 108: 20,000 references: the first and the newest stay */
    struct buf b = BUF_INIT(1u << 20);
    for (int i = 0; i < 20000; i++)
        buf_addf(&b, "<%d@x> ", i);
    struct str *list;
    assert_int_equal(mail_ids_parse(buf_str(&b), arena, &list), MAIL_IDS_MAX);
    same(list[0], "0@x");
    same(list[1], "19001@x");
    same(list[MAIL_IDS_MAX - 1], "19999@x");
    struct buf out = BUF_INIT(10000);
    mail_references_build(buf_str(&b), STR(""), STR("<new@x>"), &out);
    assert_true(out.n <= 900 && str_starts(buf_str(&out), STR("<0@x> <19")));
    assert_memory_equal(out.p + out.n - 7, "<new@x>", 7);
    buf_reset(&out);
    mail_references_build(STR(""), STR("<p@x> <q@x>"), STR("<new@x>"), &out);
    same(buf_str(&out), "<p@x> <new@x>");
    buf_reset(&out);
    mail_references_build(STR("<a@x>\r\nBcc: y"), STR(""), STR("<n@x>"), &out);
    same(buf_str(&out), "<a@x> <n@x>");
    buf_reset(&out);
    mail_id_new(STR("alice@example.org"), &out);
    assert_int_equal(out.n, 32 + 12);
    assert_memory_equal(out.p + 32, "@example.org", 12);
    buf_reset(&out);
    mail_id_new(STR("alice@ex>\nample"), &out);
    assert_memory_equal(out.p + 32, "@localhost", 10);
    buf_fini(&out);
    buf_fini(&b);
}

static void test_subjects(void **state)
{
    (void)state;
    same(mail_subject_base(STR("Re: AW: Re[2]: [list] x")), "[list] x");
    same(mail_subject_base(STR("RE : x")), "x");
    same(mail_subject_base(STR("[Fwd: Re: x]")), "x");
    same(mail_subject_base(STR("\xe5\x9b\x9e\xe5\xa4\x8d\xef\xbc\x9a x")), "x");
    same(mail_subject_base(STR("Regarding: x")), "Regarding: x");
    same(mail_subject_base(STR("Re:")), "");
    struct buf b = BUF_INIT(100);
    mail_subject_reply(STR("Re: re: x"), &b);
    same(buf_str(&b), "Re: x");
    buf_fini(&b);
}

/* ---- Rows ---------------------------------------------------------------------------------------
 */
static void test_row(void **state)
{
    (void)state;
    struct mail_row r;
    mail_row_parse(STR("From: =?utf-8?q?J=C3=B6rg?= <j@x.y>\r\nTo: Alice <alice@example.org>, "
                       "bob@example.org\r\nSubject: =?utf-8?q?h=C3=A9?= x\r\n"
                       "Date: Sun, 22 Nov 2026 14:02:05 +0100\r\nMessage-ID: <m@x>\r\nReferences: <a@x>\r\n <b@x> "
                       "<m@x>\r\nIn-Reply-To: <z@x>\r\n"
                       "List-Id: A list <list.example.org>\r\nContent-Type: multipart/signed; micalg=x\r\n\r\nbody"),
                   STR("alice@example.org"), arena, &r);
    same(r.from_name, "J\xc3\xb6rg");
    same(r.from_addr, "j@x.y");
    same(r.to, "Alice, bob@example.org");
    same(r.subject, "h\xc3\xa9 x");
    same(r.msgid, "m@x");
    same(r.refs, "a@x b@x");
    same(r.list_id, "list.example.org");
    assert_int_equal(r.date, 1795352525);
    assert_int_equal(r.attrs, ROW_SIGNED | ROW_LIST | ROW_TO_ME);
    assert_false(r.suspicious);
    mail_row_parse(STR("From: a@b.c\nFrom: d@e.f\nIn-Reply-To: <z@x> <y@x>\nContent-Type: multipart/mixed\n"), STR(""),
                   arena, &r);
    assert_true(r.suspicious); /* THREATS 110 */
    same(r.from_addr, "a@b.c");
    same(r.from_name, "a");
    same(r.refs, "z@x");
    assert_int_equal(r.attrs, ROW_ATTACHMENT);
    mail_row_parse(STR(""), STR(""), arena, &r);
    assert_int_equal(r.date, 0);
    assert_int_equal(r.subject.n, 0);
    /* lengths of the row, cut between characters */
    struct buf b = BUF_INIT(1u << 20);
    buf_addz(&b, "Subject: x");
    for (int i = 0; i < 5000; i++)
        buf_addz(&b, "\xc3\xa4");
    buf_addz(&b, "\nReferences:");
    for (int i = 0; i < 5000; i++)
        buf_addf(&b, " <%d@example.org>", i);
    mail_row_parse(buf_str(&b), STR(""), arena, &r);
    assert_int_equal(r.subject.n, 1023);
    assert_true(r.refs.n <= 4096 && r.refs.n > 4000);
    assert_true(str_starts(r.refs, STR("0@example.org ")));
    buf_fini(&b);
}

/* ---- Answering ----------------------------------------------------------------------------------
 */
static void reply(const struct mail_original *o, enum mail_reply_kind kind, const char *to, const char *cc)
{
    struct mail_reply r;
    struct buf b = BUF_INIT(1000);
    mail_reply_recipients(o, kind, STR("me@example.org\nme@work.example"), arena, &r);
    mail_addrs_show(&r.to, &b);
    same(buf_str(&b), to);
    buf_reset(&b);
    mail_addrs_show(&r.cc, &b);
    same(buf_str(&b), cc);
    buf_fini(&b);
}

static void test_reply(void **state)
{
    (void)state;
    struct mail_original o = {.from = STR("Alice <alice@example.org>"),
                              .to = STR("me@example.org, Bob <bob@example.org>"),
                              .cc = STR("carol@example.org, ALICE@example.org, me@work.example, broken")};
    reply(&o, MAIL_REPLY_SENDER, "Alice <alice@example.org>", "");
    reply(&o, MAIL_REPLY_ALL, "Alice <alice@example.org>, Bob <bob@example.org>", "carol@example.org");
    o.reply_to = STR("list@example.org");
    reply(&o, MAIL_REPLY_SENDER, "list@example.org", "");
    o.list_post = STR("<http://x>, <mailto:post@example.org?subject=x> (open)");
    reply(&o, MAIL_REPLY_LIST, "post@example.org", "");
    o.list_post = STR("NO");
    o.mail_followup_to = STR("f@example.org, me@example.org");
    reply(&o, MAIL_REPLY_LIST, "f@example.org", "");
    reply(&o, MAIL_REPLY_ALL, "f@example.org", "");
    struct mail_reply r;
    mail_reply_recipients(&o, MAIL_REPLY_SENDER, STR(""), arena, &r);
    assert_true(r.redirected); /* THREATS 156 */
    struct mail_original own = {
        .from = STR("me@example.org"), .to = STR("bob@example.org"), .cc = STR("dora@example.org")};
    reply(&own, MAIL_REPLY_SENDER, "bob@example.org", "");
    reply(&own, MAIL_REPLY_ALL, "bob@example.org", "dora@example.org");
    struct mail_original none = {.from = STR("<>")};
    reply(&none, MAIL_REPLY_ALL, "", "");
}

/* THREATS 134 */
static void test_mailto(void **state)
{
    (void)state;
    struct mailto m;
    struct err err = ERR_INIT;
    assert_true(mailto_parse(STR("mailto:a@b.c,d@e.f?subject=x%20y+z&cc=g@h.i&BODY=one%0D%0Atwo%0athree%01&attach=/etc/"
                                 "passwd&to=q@r.s&from=evil@x&In-Reply-To=%3Ca@b%3E"),
                             arena, &m, &err));
    same(m.to, "a@b.c,d@e.f, q@r.s");
    same(m.subject, "x y+z");
    same(m.cc, "g@h.i");
    same(m.body, "one\ntwo\nthree");
    same(m.in_reply_to, "<a@b>");
    assert_int_equal(m.ignored, 2);
    assert_false(mailto_parse(STR("mailto:a@b?subject=x%0ABcc:%20y@z"), arena, &m, &err));
    assert_int_equal(err.kind, ERR_PARSE);
    assert_false(mailto_parse(STR("mailto:a@b?body=x%00y"), arena, &m, &err));
    assert_false(mailto_parse(STR("mailto:a%0d@b"), arena, &m, &err));
    assert_false(mailto_parse(STR("http://a@b"), arena, &m, &err));
    assert_true(mailto_parse(STR("mailto:"), arena, &m, &err));
    assert_true(mailto_parse(STR("mailto:?subject=%zz%"), arena, &m, &err));
    same(m.subject, "%zz%");
    struct buf b = BUF_INIT(2u << 20);
    buf_addz(&b, "mailto:?body=");
    for (int i = 0; i < 100000; i++)
        buf_addc(&b, 'x');
    assert_true(mailto_parse(buf_str(&b), arena, &m, &err));
    assert_int_equal(m.body.n, 65536);
    for (int i = 0; i < 1000000; i++)
        buf_addc(&b, 'x');
    assert_false(mailto_parse(buf_str(&b), arena, &m, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    buf_fini(&b);
}

/* ---- Mail that nobody here wrote ----------------------------------------------------------------
 */
static unsigned files, named;

static void one_file(const char *path)
{
    struct buf b = BUF_INIT(64u << 20);
    struct err err = ERR_INIT;
    if (!fs_read(path, b.max, &b, &err)) {
        buf_fini(&b);
        return;
    }
    struct mail_row r;
    struct mail_header h;
    struct mail_reply reply_r;
    arena_reset(arena);
    mail_row_parse(buf_str(&b), STR("alice@example.org"), arena, &r);
    assert_true(r.from_name.n <= 256 && r.from_addr.n <= 320 && r.to.n <= 512 && r.subject.n <= 1024);
    assert_true(r.msgid.n <= 512 && r.refs.n <= 4096 && r.list_id.n <= 256);
    mail_header_parse(buf_str(&b), arena, &h);
    assert_true(h.size <= b.n);
    struct mail_original o = {
        .from = mail_header_get(&h, "From"), .to = mail_header_get(&h, "To"), .cc = mail_header_get(&h, "Cc")};
    mail_reply_recipients(&o, MAIL_REPLY_ALL, STR(""), arena, &reply_r);
    files++;
    named += r.from_addr.n > 0;
    buf_fini(&b);
}

static void test_corpus(void **state)
{
    (void)state;
    corpus_each(one_file);
    print_message("%u files, %u with an address in From\n", files, named);
}

/* ---- What filters wrote ------------------------------------------------------------------------- */
static void marks(const char *header, const char *also, const char *want)
{
    struct mail_header h;
    struct buf out = BUF_INIT(64u << 10);
    mail_header_parse(str_z(header), arena, &h);
    filter_marks(&h, str_z(also), &out);
    if (strcmp(buf_z(&out), want) != 0)
        fail_msg("%s\ngot:\n%s\nwant:\n%s", header, buf_z(&out), want);
    buf_fini(&out);
}

static void test_filter_marks(void **state)
{
    (void)state;
    marks("Subject: x\nX-Mailer: y\n\n", "", "");
    marks("X-Spam-Flag: YES\n\n", "", "header=x-spam-flag\nx-spam-flag=yes\nspam=yes\n");
    marks("x-bogosity: Unsure, spamicity=0.5\n\n", "",
          "header=x-bogosity\nx-bogosity=unsure\nx-bogosity=spamicity\nx-bogosity=0.5\n");
    marks("X-Bogosity: Ham, x\nX-Spamd-Result: default: True [2.30 / 15.00]\n\n", "",
          "header=x-bogosity\nx-bogosity=ham\nx-bogosity=x\nheader=x-spamd-result\nx-spamd-result=default\n"
          "x-spamd-result=true\nx-spamd-result=2.30\nx-spamd-result=15.00\nspam=yes\nspamlevel=1\nspamlevel=2\n");
    marks("X-Spam-Status: No, score=-7.9\n required=5\n\n", "",
          "header=x-spam-status\nx-spam-status=no\nx-spam-status=score\nx-spam-status=7.9\nx-spam-status=required\n"
          "x-spam-status=5\nspam=no\n");
    marks("X-Spam-Level: ***\n\n", "", "header=x-spam-level\nspamlevel=1\nspamlevel=2\nspamlevel=3\n");
    marks("X-Rspamd-Action: no action\n\n", "",
          "header=x-rspamd-action\nx-rspamd-action=no\nx-rspamd-action=action\nspam=no\n");
    marks("X-Rspamd-Action: greylist\n\n", "", "header=x-rspamd-action\nx-rspamd-action=greylist\n");
    marks("X-Project: =?utf-8?q?Gr=C3=B6=C3=9Fe?= (a=b)\n\n", "x-project\n",
          "header=x-project\nx-project=gr\xc3\xb6\xc3\x9f"
          "e\nx-project=a\nx-project=b\n");
}

/* As long, as many and as odd as a sender likes. */
static void test_filter_hostile(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4u << 20), out = BUF_INIT(256u << 10);
    struct mail_header h;
    for (unsigned i = 0; i < 200; i++) {
        buf_addz(&b, "X-Spam-Status: ");
        for (unsigned k = 0; k < 1000; k++)
            buf_addf(&b, "w%u=\xff\n\t", k);
        buf_addz(&b, "\nX-Spam-Score: 99999999999999999999\nX-Spam-Level: ");
        for (unsigned k = 0; k < 5000; k++)
            buf_addc(&b, '*');
        buf_addc(&b, '\n');
    }
    mail_header_parse(buf_str(&b), arena, &h);
    filter_marks(&h, STR(""), &out);
    assert_false(out.full);
    struct str rest = buf_str(&out), line;
    unsigned lines = 0, levels = 0;
    while (str_split(&rest, '\n', &line)) {
        lines++;
        levels += str_starts(line, STR("spamlevel="));
        assert_true(utf8_valid(line));
        assert_true(line.n <= 80 + 1 + FILTER_WORD_MAX);
    }
    assert_int_equal(levels, FILTER_LEVEL_MAX);
    assert_true(lines <= FILTER_FIELDS_MAX * (FILTER_WORDS_MAX + 1) + FILTER_LEVEL_MAX + 3);
    buf_fini(&b);
    buf_fini(&out);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_header, setup, teardown),
        cmocka_unit_test_setup_teardown(test_header_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_encode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addrs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addrs_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addrs_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addr_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addr_valid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_when, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subjects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mailto, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filter_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filter_hostile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_corpus, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
