/* Queries as keys of IMAP's SEARCH. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "mail/imap_query.h"
#include "mail/row.h"

/* 22 Nov 2026, a Sunday, 12:00 UTC */
#define NOW INT64_C(1795348800)

static struct imap_query_for plain(void)
{
    return (struct imap_query_for){.now = NOW, .account = STR("work"), .box = STR("Lists/kernel"), .role = BOX_NONE};
}

static struct imap_query made;

static const char *make(const char *query, const struct imap_query_for *to)
{
    static char shown[IMAP_QUERY_KEYS + 1];
    struct err err = ERR_INIT;
    imap_query_fini(&made);
    if (!imap_query_make(str_z(query), to, &made, &err)) {
        snprintf(shown, sizeof shown, "error: %s", err.text);
        assert_int_equal(err.kind, ERR_QUERY);
        return shown;
    }
    if (made.never || made.nothing)
        return made.never ? "never" : "nothing";
    snprintf(shown, sizeof shown, "%s", buf_z(&made.keys));
    for (char *p = shown; *p; p++)
        *p = *p == IMAP_QUERY_OPEN || *p == IMAP_QUERY_CLOSE ? '"' : *p;
    return shown;
}

struct pair {
    const char *query, *keys;
};

static void check(const struct pair *pairs, size_t n, const struct imap_query_for *to)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = make(pairs[i].query, to);
        if (strcmp(got, pairs[i].keys) != 0)
            fail_msg("%s\n  is     %s\n  not    %s", pairs[i].query, got, pairs[i].keys);
    }
}
#define CHECK(pairs, to) check(pairs, COUNT(pairs), to)

static void words_and_fields(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"budget", "TEXT \"budget\""},
        {"two words", "TEXT \"two\" TEXT \"words\""},
        {"\"third quarter\"", "TEXT \"third quarter\""},
        {"\"open phrase", "TEXT \"open phrase\""},
        {"quart*", "TEXT \"quart\""},
        {"*", "ALL"},
        {"  a  ", "TEXT \"a\""},
        {"-- word ...", "TEXT \"word\""},
        {"from:alice", "FROM \"alice\""},
        {"f:\"Alice Example\"", "FROM \"Alice Example\""},
        {"from:\"a \"\"b\"\" c\"", "FROM \"a \"b\" c\""},
        {"FROM:alice", "FROM \"alice\""},
        {"to:bob", "OR TO \"bob\" OR CC \"bob\" BCC \"bob\""},
        {"cc:bob", "OR TO \"bob\" OR CC \"bob\" BCC \"bob\""},
        {"s:report", "SUBJECT \"report\""},
        {"subject:rep*", "SUBJECT \"rep\""},
        {"subject:(a b)", "SUBJECT \"a\" SUBJECT \"b\""},
        {"subject:*", "SUBJECT \"\""},
        {"body:word", "BODY \"word\""},
        {"list:kernel", "HEADER LIST-ID \"kernel\""},
        {"id:a@b.org", "HEADER MESSAGE-ID \"<a@b.org>\""},
        {"mid:<a@b.org>", "HEADER MESSAGE-ID \"<a@b.org>\""},
        {"header:X-Mailer=mutt", "HEADER X-Mailer \"mutt\""},
        {"header:X-Spam=\"very bad\"", "HEADER X-Spam \"very bad\""},
        {"header:X-Loop", "HEADER X-Loop \"\""},
        {"nosuch:thing", "TEXT \"nosuch:thing\""},
        {"alice@example.org", "TEXT \"alice@example.org\""},
        {"from:\"a\tb\"", "FROM \"a b\""},
    };
    struct imap_query_for to = plain();
    CHECK(pairs, &to);
}

static void operators(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"a and b", "TEXT \"a\" TEXT \"b\""},
        {"a or b", "OR TEXT \"a\" TEXT \"b\""},
        {"(bud or bud*)", "TEXT \"bud\""}, /* as it is typed */
        {"not (s:bud or s:bud*) or x", "OR NOT SUBJECT \"bud\" TEXT \"x\""},
        {"a OR b c", "OR TEXT \"a\" (TEXT \"b\" TEXT \"c\")"},
        {"(a or b) c", "OR TEXT \"a\" TEXT \"b\" TEXT \"c\""},
        {"a or b or c", "OR OR TEXT \"a\" TEXT \"b\" TEXT \"c\""},
        {"a or b and c", "OR TEXT \"a\" (TEXT \"b\" TEXT \"c\")"},
        {"not a", "NOT TEXT \"a\""},
        {"not a b", "NOT (TEXT \"a\" TEXT \"b\")"},
        {"a not b", "TEXT \"a\" NOT TEXT \"b\""},
        {"a and not b", "TEXT \"a\" NOT TEXT \"b\""},
        {"a -b", "TEXT \"a\" NOT TEXT \"b\""},
        {"a -(b or c)", "TEXT \"a\" NOT OR TEXT \"b\" TEXT \"c\""},
        {"-a", "TEXT \"a\""}, /* as in notmuch: not at the start */
        {"+a +b", "TEXT \"a\" TEXT \"b\""},
        {"not (a or b)", "NOT OR TEXT \"a\" TEXT \"b\""},
        {"not not a", "NOT NOT TEXT \"a\""},
        {"a xor b", "OR (TEXT \"a\" NOT TEXT \"b\") (NOT TEXT \"a\" TEXT \"b\")"},
        {"a ()", "TEXT \"a\""},
        {"a )", "TEXT \"a\""},
        {"((a", "TEXT \"a\""},
        {"a near b", "TEXT \"a\" TEXT \"b\""},
        /* values of one field side by side */
        {"from:a from:b", "OR FROM \"a\" FROM \"b\""},
        {"from:a word from:b", "OR FROM \"a\" FROM \"b\" TEXT \"word\""},
        {"from:a and from:b", "FROM \"a\" FROM \"b\""},
        {"is:unread tag:flagged", "OR UNSEEN FLAGGED"},
        {"is:read is:flagged", "SEEN FLAGGED"},
        {"tag:x -tag:y", "KEYWORD x NOT KEYWORD y"},
        {"to:a to:b", "OR TO \"a\" OR CC \"a\" BCC \"a\" OR TO \"b\" OR CC \"b\" BCC \"b\""},
        {"a and", "error: an operator at the end needs something behind it"},
        {"or a", "error: or needs something before it"},
        {"a or or b", "error: or needs something before it"},
        {"from:", "error: from: needs a value"},
        {"(", "error: the query has no word to look for"},
        {"", "error: the query has no word to look for"},
    };
    struct imap_query_for to = plain();
    CHECK(pairs, &to);
    make("a NEAR/3 b", &to);
    assert_string_equal(buf_z(&made.wider), "NEAR/3");
}

static void tags(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"tag:unread", "UNSEEN"},
        {"is:starred", "FLAGGED"},
        {"is:answered", "ANSWERED"},
        {"is:forwarded", "KEYWORD $Forwarded"},
        {"is:read", "SEEN"},
        {"tag:todo", "KEYWORD todo"},
        {"tag:\"two words\"", "never"}, /* no keyword of a server */
        {"not tag:\"two words\"", "ALL"},
        {"a or tag:\"two words\"", "TEXT \"a\""},
        {"tag:work a", "TEXT \"a\""},
        {"has:attachment", "HEADER CONTENT-TYPE \"multipart/mixed\""},
        {"tag:inbox", "never"},
        {"tag:spam", "KEYWORD $Junk"},
        {"in:inbox a", "never"},
        {"in:lists/KERNEL a", "TEXT \"a\""},
        {"in:inbox or a", "TEXT \"a\""},
    };
    struct imap_query_for to = plain();
    CHECK(pairs, &to);
    assert_false(made.here);
    to.role = BOX_INBOX;
    static const struct pair inbox[] = {
        {"tag:inbox", "ALL"}, {"in:inbox", "ALL"}, {"not in:inbox", "never"}, {"in:inbox in:sent", "never"}};
    CHECK(inbox, &to);
    make("in:inbox a", &to);
    assert_true(made.here);
    to.role = BOX_TRASH;
    make("tag:deleted", &to);
    assert_true(made.here);
}

static void dates(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"date:2026-03-05", "(SENTSINCE 5-Mar-2026 SENTBEFORE 6-Mar-2026)"},
        {"date:2026-03", "(SENTSINCE 1-Mar-2026 SENTBEFORE 1-Apr-2026)"},
        {"date:2025", "(SENTSINCE 1-Jan-2025 SENTBEFORE 1-Jan-2026)"},
        {"date:2025..", "SENTSINCE 1-Jan-2025"},
        {"date:..2025-12-31", "SENTBEFORE 1-Jan-2026"},
        {"date:2025..2026-02", "(SENTSINCE 1-Jan-2025 SENTBEFORE 1-Mar-2026)"},
        {"date:jan..!", "(SENTSINCE 1-Jan-2026 SENTBEFORE 1-Feb-2026)"},
        {"date:31.1.2026", "(SENTSINCE 31-Jan-2026 SENTBEFORE 1-Feb-2026)"},
        {"date:1/31/2026", "(SENTSINCE 31-Jan-2026 SENTBEFORE 1-Feb-2026)"},
        {"date:today", "(SENTSINCE 22-Nov-2026 SENTBEFORE 23-Nov-2026)"},
        {"date:yesterday..", "SENTSINCE 21-Nov-2026"},
        {"date:2_weeks..", "SENTSINCE 8-Nov-2026"},
        {"date:\"last week\"", "(SENTSINCE 9-Nov-2026 SENTBEFORE 16-Nov-2026)"},
        {"date:this_month..today", "(SENTSINCE 1-Nov-2026 SENTBEFORE 23-Nov-2026)"},
        {"date:monday", "(SENTSINCE 16-Nov-2026 SENTBEFORE 17-Nov-2026)"},
        {"date:december", "(SENTSINCE 1-Dec-2025 SENTBEFORE 1-Jan-2026)"},
        {"date:@0..@86400", "(SENTSINCE 1-Jan-1970 SENTBEFORE 3-Jan-1970)"},
        {"date:2025 date:2023", "OR (SENTSINCE 1-Jan-2025 SENTBEFORE 1-Jan-2026) (SENTSINCE 1-Jan-2023 SENTBEFORE "
                                "1-Jan-2024)"},
        {"date:whenever", "nothing"},
        {"newer:7d", "SENTSINCE 15-Nov-2026"},
        {"older:1m", "SENTBEFORE 23-Oct-2026"},
        {"after:2026-01-02", "SENTSINCE 2-Jan-2026"},
        {"before:2026-01-02", "SENTBEFORE 3-Jan-2026"},
        /* more exact than a day: wider, and narrower under a NOT, so that never less is found */
        {"newer:1h", "SENTSINCE 22-Nov-2026"},
        {"not newer:1h", "NOT SENTSINCE 23-Nov-2026"},
        {"not older:1h", "NOT SENTBEFORE 22-Nov-2026"},
        {"newer:x", "error: an age is a number and h, d, w, m or y, as in newer:7d"},
    };
    struct imap_query_for to = plain();
    CHECK(pairs, &to);
    to.within = true;
    static const struct pair within[] = {
        {"newer:1h", "YOUNGER 3600"}, {"older:7d", "OLDER 604800"}, {"date:today..", "SENTSINCE 22-Nov-2026"}};
    CHECK(within, &to);
}

static void left_out(void **state)
{
    (void)state;
    static const struct {
        const char *query, *keys, *left, *rest;
    } rows[] = {
        {"thread:1f a", "ALL TEXT \"a\"", "thread:1f", "(thread:1f)"},
        {"a not thread:1f", "TEXT \"a\" ALL", "thread:1f", "(not thread:1f)"},
        {"a -thread:1f", "TEXT \"a\" ALL", "thread:1f", "(not thread:1f)"},
        {"thread:1f", "nothing", "thread:1f", "(thread:1f)"},
        {"a or thread:1f", "nothing", "thread:1f", "(a or thread:1f)"},
        {"(a or path:x) b", "ALL TEXT \"b\"", "path:x", "((a or path:x))"},
        {"from:/x.*/ b", "ALL TEXT \"b\"", "from:/x.*/", "(from:/x.*/)"},
        {"from:\"/x y/\" b", "ALL TEXT \"b\"", "from:\"/x y/\"", "(from:\"/x y/\")"},
        {"b (a xor thread:1f)", "TEXT \"b\" ALL", "thread:1f", "((a xor thread:1f))"},
        {"b thread:1 thread:2 property:x", "TEXT \"b\" ALL ALL", "thread:1\nthread:2\nproperty:x",
         "(thread:1 thread:2) and (property:x)"},
        {"attachment:pdf a", "ALL TEXT \"a\"", "attachment:pdf", "(attachment:pdf)"},
    };
    struct imap_query_for to = plain();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = make(rows[i].query, &to);
        /* a constant beside a key is not sent */
        struct buf want = BUF_INIT(4096);
        for (const char *p = rows[i].keys; *p;) {
            if (!strncmp(p, "ALL ", 4)) {
                p += 4;
                continue;
            }
            if (!strncmp(p, " ALL", 4)) {
                p += 4;
                continue;
            }
            buf_addc(&want, *p++);
        }
        assert_string_equal(got, buf_z(&want));
        buf_fini(&want);
        assert_string_equal(buf_z(&made.left), rows[i].left);
        assert_string_equal(buf_z(&made.rest), rows[i].rest);
    }
}

static void servers_of_their_own(void **state)
{
    (void)state;
    struct imap_query_for to = plain();
    to.gmail = true;
    static const struct pair gmail[] = {
        {"budget \"third quarter\"", "X-GM-RAW \"\"budget\"\" X-GM-RAW \"\"third quarter\"\""},
        {"has:attachment", "X-GM-RAW \"has:attachment\""},
        {"attachment:a.pdf", "X-GM-RAW \"filename:\"a.pdf\"\""},
        {"tag:todo", "X-GM-LABELS \"todo\""},
        {"from:a is:unread", "FROM \"a\" UNSEEN"},
    };
    CHECK(gmail, &to);
    to = plain();
    to.fuzzy = true;
    static const struct pair fuzzy[] = {{"budgte", "OR FUZZY TEXT \"budgte\" TEXT \"budgte\""},
                                        {"s:x is:unread", "OR FUZZY SUBJECT \"x\" SUBJECT \"x\" UNSEEN"},
                                        {"id:a@b", "HEADER MESSAGE-ID \"<a@b>\""}};
    CHECK(fuzzy, &to);
    to = plain();
    make("subject:caf\xC3\xA9", &to);
    assert_true(made.utf8);
    make("subject:cafe", &to);
    assert_false(made.utf8);
}

static void bounds(void **state)
{
    (void)state;
    struct imap_query_for to = plain();
    struct err err = ERR_INIT;
    struct imap_query q;
    struct buf b = BUF_INIT(2 * IMAP_QUERY_MAX);
    for (int i = 0; i < IMAP_QUERY_DEPTH + 1; i++)
        buf_addz(&b, "(a ");
    assert_string_equal(make(buf_z(&b), &to), "error: the query has too many parentheses");
    buf_reset(&b);
    for (int i = 0; i < 1000; i++)
        buf_addz(&b, "a or ");
    buf_addz(&b, "a");
    assert_string_equal(make(buf_z(&b), &to), "error: the query has too many terms");
    buf_reset(&b);
    for (int i = 0; i < 2000; i++)
        buf_addz(&b, "not ");
    assert_string_equal(make(buf_z(&b), &to), "error: the query has too many operators side by side");
    buf_reset(&b);
    for (int i = 0; i < 200; i++) /* each doubles what the others come to */
        buf_addz(&b, "a xor ");
    buf_addz(&b, "a");
    assert_string_equal(make(buf_z(&b), &to), "error: the query is too long for a server");
    buf_reset(&b);
    for (int i = 0; i <= IMAP_QUERY_MAX; i++)
        buf_addc(&b, 'a');
    assert_false(imap_query_make(buf_str(&b), &to, &q, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    imap_query_fini(&q);
    err = ERR_INIT;
    assert_false(imap_query_make((struct str){"a\0b", 3}, &to, &q, &err));
    imap_query_fini(&q);
    buf_fini(&b);
    imap_query_fini(&made);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_fields),
        cmocka_unit_test(operators),
        cmocka_unit_test(tags),
        cmocka_unit_test(dates),
        cmocka_unit_test(left_out),
        cmocka_unit_test(servers_of_their_own),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
