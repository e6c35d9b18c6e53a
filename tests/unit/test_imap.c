/* The IMAP connection: names, sets, answers one by one, and whole dialogues with servers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/imap.h"

/* ---- Names, sets, flags ------------------------------------------------------------------------- */
static void name_case(const char *server, const char *utf8)
{
    struct buf out = BUF_INIT(4096);
    assert_true(imap_name_decode(str_z(server), &out));
    assert_string_equal(buf_z(&out), utf8);
    buf_reset(&out);
    assert_true(imap_name_encode(str_z(utf8), &out));
    assert_string_equal(buf_z(&out), server);
    buf_fini(&out);
}

static void names_in_modified_utf7(void **state)
{
    (void)state;
    name_case("INBOX", "INBOX");
    name_case("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"); /* RFC 3501 5.1.3 */
    name_case("R&-D", "R&D");
    name_case("Gr&APYA3w-e", "Größe");
    name_case("&2D3eAA-", "😀");
}

static void names_that_are_no_utf7_stay_as_they_are(void **state)
{
    /* THREATS 40: shown as it is, and nothing is lost on the way */
    static const char *const bad[] = {"&", "&&", "&A", "&AA", "&!-", "&2D0-", "&3gA-", "&AAA-", "\xFF&-", "&AGE"};
    struct buf out = BUF_INIT(4096);
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        buf_reset(&out);
        assert_false(imap_name_decode(str_z(bad[i]), &out));
        assert_string_equal(buf_z(&out), bad[i]);
    }
    buf_reset(&out);
    assert_false(imap_name_encode(STR("a\r\nb"), &out)); /* THREATS 25 */
    assert_false(imap_name_encode(STR("a\xFF"), &out));
    assert_int_equal(out.n, 0);
    buf_fini(&out);
}

static void box_keys_tell_nothing_and_differ(void **state)
{
    char a[33], b[33];
    (void)state;
    imap_box_key(STR("../../etc"), 1, a); /* THREATS 38 */
    assert_int_equal(strlen(a), 32);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
    imap_box_key(STR("../../etc"), 2, b); /* THREATS 43 */
    assert_string_not_equal(a, b);
}

static void sets_are_walked_not_expanded(void **state)
{
    struct str s = STR("3,7:5,1:4294967295,*");
    uint32_t lo, hi;
    (void)state;
    assert_true(imap_set_next(&s, &lo, &hi));
    assert_int_equal(lo, 3);
    assert_true(imap_set_next(&s, &lo, &hi));
    assert_int_equal(lo, 5);
    assert_int_equal(hi, 7);
    assert_true(imap_set_next(&s, &lo, &hi)); /* THREATS 49 */
    assert_int_equal(hi, UINT32_MAX);
    assert_true(imap_set_next(&s, &lo, &hi));
    assert_false(imap_set_next(&s, &lo, &hi));
    static const char *const bad[] = {"", "0", "-1", "4294967296", "1:", ":1", "x", "1x", "18446744073709551617"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        s = str_z(bad[i]);
        assert_false(imap_set_next(&s, &lo, &hi));
    }
    s = STR("5,");
    assert_true(imap_set_next(&s, &lo, &hi));
    assert_false(imap_set_next(&s, &lo, &hi));
}

/* ---- Answers ------------------------------------------------------------------------------------ */
static struct imap_parser *parser;
static struct imap_event ev;

static int parser_start(void **state)
{
    (void)state;
    parser = imap_parser_new();
    return 0;
}

static int parser_end(void **state)
{
    (void)state;
    imap_parser_free(&parser);
    return 0;
}

static const struct imap_event *parse(const char *answer)
{
    imap_parse(parser, str_z(answer), &ev);
    return &ev;
}

static void assert_str(struct str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void fetch_with_all_items(void **state)
{
    (void)state;
    parse("* 12 FETCH (UID 34 FLAGS (\\Seen $Forwarded urgent \\Recent \\Foo) INTERNALDATE \"22-Nov-2026 14:02:05 "
          "+0100\" "
          "RFC822.SIZE 4711 MODSEQ (917162500) PREVIEW \"hi\" EMAILID (M1) BODY[HEADER.FIELDS (DATE \"FROM\")] {13}\r\n"
          "From: a@b\r\n\r\n)");
    assert_int_equal(ev.what, IMAP_FETCH);
    const struct imap_fetch *f = &ev.fetch;
    assert_int_equal(f->seq, 12);
    assert_int_equal(f->uid, 34);
    assert_int_equal(f->flags, FLAG_SEEN | FLAG_FORWARDED);
    assert_str(f->keywords, "urgent");
    assert_int_equal(f->date, 1795352525);
    assert_int_equal(f->size, 4711);
    assert_int_equal(f->modseq, 917162500);
    assert_str(f->header, "From: a@b\r\n\r\n");
    assert_int_equal(f->has, IMAP_HAS_FLAGS | IMAP_HAS_SIZE | IMAP_HAS_DATE | IMAP_HAS_HEADER | IMAP_HAS_MODSEQ |
                                 IMAP_HAS_PREVIEW);
}

static void fetch_items_out_of_bounds_are_left_out(void **state)
{
    (void)state;
    parse("* 1 FETCH (UID 7 RFC822.SIZE 4294967299 INTERNALDATE \"99-Foo-99999 aa\" FLAGS (\\Seen a]b \\* ()) )");
    assert_int_equal(ev.what, IMAP_FETCH); /* THREATS 35: the value is dropped, the message stays */
    assert_int_equal(ev.fetch.uid, 7);
    assert_int_equal(ev.fetch.has & (IMAP_HAS_SIZE | IMAP_HAS_DATE), 0);
    parse("* 1 FETCH (FLAGS (\\Seen) UID 4294967297)"); /* would wrap to 1 */
    assert_int_equal(ev.fetch.uid, 0);
    parse("* 1 FETCH (UID 0 FLAGS ())"); /* THREATS 46 */
    assert_int_equal(ev.fetch.uid, 0);
    parse("* 0 FETCH (UID 5 FLAGS ())"); /* THREATS 48 */
    assert_int_equal(ev.what, IMAP_SKIPPED);
    parse("* 4294967297 FETCH (UID 5 FLAGS ())");
    assert_int_equal(ev.what, IMAP_SKIPPED);
    parse("* 0 EXPUNGE");
    assert_int_equal(ev.what, IMAP_SKIPPED);
    parse("* 2 FETCH (UID 9 BODY[] NIL)"); /* THREATS 52 */
    assert_int_equal(ev.fetch.has, IMAP_HAS_BODY | IMAP_BODY_NIL);
    parse("* 2 FETCH (UID 9 BODY[] {0}\r\n)");
    assert_int_equal(ev.fetch.has, IMAP_HAS_BODY);
    assert_int_equal(ev.fetch.body.n, 0);
}

static void fetch_literal_bytes_are_kept_exactly(void **state)
{
    static const char answer[] = "* 2 FETCH (UID 9 BODY[] {9}\r\n\0)\xFF\r\n\"{1}X)";
    (void)state;
    /* one byte short and one too long: broken, never a wrong body (THREATS 31) */
    imap_parse(parser, (struct str){answer, sizeof(answer) - 1}, &ev);
    assert_int_equal(ev.what, IMAP_FETCH);
    assert_true((ev.fetch.has & IMAP_BROKEN) || ev.fetch.body.n == 9);
    static const char good[] = "* 2 FETCH (UID 9 BODY[] {9}\r\n\0)\xFF\r\n\"{1})";
    imap_parse(parser, (struct str){good, sizeof(good) - 1}, &ev);
    assert_int_equal(ev.fetch.body.n, 9);
    assert_memory_equal(ev.fetch.body.p, "\0)\xFF\r\n\"{1}", 9);
}

static void nesting_ends_at_its_limit(void **state)
{
    struct buf b = BUF_INIT(8u << 20);
    (void)state;
    for (int n = 0; n < 2; n++) { /* THREATS 33: at the limit, and two million */
        unsigned depth = n ? 2000000 : IMAP_DEPTH_MAX;
        buf_reset(&b);
        buf_addz(&b, "* 1 FETCH (UID 3 X ");
        for (unsigned i = 0; i < depth; i++)
            buf_addc(&b, '(');
        for (unsigned i = 0; i < depth; i++)
            buf_addc(&b, ')');
        buf_addz(&b, " FLAGS (\\Seen))");
        imap_parse(parser, buf_str(&b), &ev);
        assert_int_equal(ev.what, IMAP_FETCH);
        assert_int_equal(ev.fetch.has, n ? IMAP_BROKEN : IMAP_HAS_FLAGS);
    }
    buf_fini(&b);
}

static void one_bad_answer_does_not_spoil_the_next(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        parse("* 1 FETCH (UID 3 FLAGS (");
        parse("* 1 FETCH (UID 3 BODY[] {100}\r\nshort)");
        parse("* 5 FETCH (UID 6 FLAGS (\\Flagged))");
        assert_int_equal(ev.fetch.uid, 6);
        assert_int_equal(ev.fetch.flags, FLAG_FLAGGED);
    }
}

static void lists_of_mailboxes(void **state)
{
    (void)state;
    parse("* LIST (\\HasChildren \\Subscribed \\Archive) \"/\" \"A \\\"b\\\\\" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    assert_int_equal(ev.what, IMAP_LIST);
    assert_str(ev.list.name, "A \"b\\");
    assert_int_equal(ev.list.delim, '/');
    assert_int_equal(ev.list.role, BOX_ARCHIVE);
    assert_int_equal(ev.list.attrs, BOX_HASCHILDREN | BOX_SUBSCRIBED);
    parse("* LIST () NIL inbox"); /* THREATS 41 */
    assert_int_equal(ev.list.delim, 0);
    assert_int_equal(ev.list.role, BOX_INBOX);
    parse("* LIST () \"\\\\\" {3}\r\na]b");
    assert_int_equal(ev.list.delim, '\\');
    assert_str(ev.list.name, "a]b");
    parse("* LIST () \"ab\" a]b");
    assert_int_equal(ev.list.delim, 0);
    static const char *const bad[] = {
        "* LIST", "* LIST (", "* LIST () \"/\"", "* LIST () \"/\" \"\"", "* LIST () \"/\" \"x", "* LIST x y z"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(parse(bad[i])->what, IMAP_SKIPPED);
    static const char nul[] = "* LIST () \"/\" {3}\r\na\0b"; /* THREATS 40 */
    imap_parse(parser, (struct str){nul, sizeof(nul) - 1}, &ev);
    assert_int_equal(ev.what, IMAP_SKIPPED);
}

static void status_of_mailboxes(void **state)
{
    (void)state;
    parse("* STATUS {3}\r\na b (MESSAGES 3 SIZE 18446744073709551615 UIDNEXT 4294967296 UNSEEN 1 MAILBOXID (F1) "
          "HIGHESTMODSEQ 77)");
    assert_int_equal(ev.what, IMAP_STATUS); /* THREATS 37 */
    assert_str(ev.status.name, "a b");
    assert_int_equal(ev.status.messages, 3);
    assert_int_equal(ev.status.unseen, 1);
    assert_int_equal(ev.status.uidnext, UINT32_MAX);
    assert_int_equal(ev.status.modseq, 77);
    assert_int_equal(ev.status.size, UINT64_MAX);
    assert_str(ev.status.mailboxid, "F1");
    parse("* STATUS INBOX ()");
    assert_int_equal(ev.status.messages, UINT32_MAX);
    assert_int_equal(ev.status.size, UINT64_MAX);
    assert_int_equal(ev.status.appendlimit, UINT64_MAX);
    assert_str(ev.status.mailboxid, "");
    parse("* STATUS INBOX (SIZE 44421 DELETED 3 APPENDLIMIT 257890 MAILBOXID (bad]id) UNSEEN -1)");
    assert_int_equal(ev.status.size, 44421);
    assert_int_equal(ev.status.deleted, 3);
    assert_int_equal(ev.status.appendlimit, 257890);
    assert_str(ev.status.mailboxid, "");
    assert_int_equal(ev.status.unseen, UINT32_MAX);
    parse("* STATUS INBOX (APPENDLIMIT NIL MESSAGES 1)");
    assert_int_equal(ev.status.appendlimit, UINT64_MAX);
    assert_int_equal(ev.status.messages, 1);
}

static void lists_with_extended_data(void **state)
{
    (void)state;
    parse("* LIST (\\Remote) \"/\" foo (\"CHILDINFO\" (\"SUBSCRIBED\") OLDNAME (\"ba\\\"r\"))");
    assert_int_equal(ev.what, IMAP_LIST);
    assert_str(ev.list.name, "foo");
    assert_str(ev.list.oldname, "ba\"r");
    assert_int_equal(ev.list.attrs & BOX_HASCHILDREN, BOX_HASCHILDREN);
    /* data that is none costs the mailbox nothing */
    static const char *const odd[] = {"(", "(OLDNAME", "(OLDNAME ()", "(OLDNAME bar)", "((", "(a b c) d", "()", "x"};
    for (size_t i = 0; i < COUNT(odd); i++) {
        char line[100];
        snprintf(line, sizeof line, "* LIST () NIL foo %s", odd[i]);
        assert_int_equal(parse(line)->what, IMAP_LIST);
        assert_str(ev.list.name, "foo");
        assert_str(ev.list.oldname, "");
    }
}

static void namespaces(void **state)
{
    (void)state;
    parse("* NAMESPACE ((\"INBOX.\" \".\")) ((\"~\" \"/\" \"X-PARAM\" (\"FLAG1\" \"FLAG2\"))) ((\"#shared/\" \"/\")"
          "(\"#public/\" \"/\") (\"#news.\" NIL))");
    assert_int_equal(ev.what, IMAP_NAMESPACE);
    assert_int_equal(ev.namespaces->n, 5);
    const struct imap_namespace *n = ev.namespaces->list;
    assert_str(n[0].prefix, "INBOX.");
    assert_int_equal(n[0].delim, '.');
    assert_int_equal(n[0].kind, IMAP_NS_PERSONAL);
    assert_str(n[1].prefix, "~");
    assert_int_equal(n[1].kind, IMAP_NS_OTHERS);
    assert_str(n[3].prefix, "#public/");
    assert_int_equal(n[4].kind, IMAP_NS_SHARED);
    assert_int_equal(n[4].delim, 0);
    parse("* NAMESPACE ((\"\" \"/\")) NIL NIL");
    assert_int_equal(ev.namespaces->n, 1);
    assert_str(ev.namespaces->list[0].prefix, "");
    static const char *const bad[] = {"* NAMESPACE",         "* NAMESPACE NIL NIL",           "* NAMESPACE ((",
                                      "* NAMESPACE (x) NIL", "* NAMESPACE ((\"a\")) NIL NIL", "* NAMESPACE NIL x NIL"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(parse(bad[i])->what, IMAP_SKIPPED);
    struct buf b = BUF_INIT(1u << 20); /* more than fit: the first are kept */
    buf_addz(&b, "* NAMESPACE (");
    for (int i = 0; i < 1000; i++)
        buf_addf(&b, "(\"a%d/\" \"/\")", i);
    buf_addz(&b, ") NIL NIL");
    imap_parse(parser, buf_str(&b), &ev);
    assert_int_equal(ev.namespaces->n, IMAP_NAMESPACES_MAX);
    buf_fini(&b);
}

static void quotas(void **state)
{
    (void)state;
    parse("* QUOTA \"\" (STORAGE 10 512 MESSAGE 20 100 X-OTHER 1 18446744073709551616)");
    assert_int_equal(ev.what, IMAP_QUOTA);
    assert_str(ev.quota->root, "");
    assert_int_equal(ev.quota->n, 2); /* the third is no number that fits */
    assert_str(ev.quota->list[0].name, "STORAGE");
    assert_int_equal(ev.quota->list[0].used, 10);
    assert_int_equal(ev.quota->list[0].limit, 512);
    assert_int_equal(ev.quota->list[1].limit, 100);
    parse("* QUOTA \"User quota\" ()");
    assert_int_equal(ev.quota->n, 0);
    parse("* QUOTAROOT INBOX \"User quota\" {5}\r\ngroup");
    assert_int_equal(ev.what, IMAP_QUOTAROOT);
    assert_str(ev.quotaroot->name, "INBOX");
    assert_int_equal(ev.quotaroot->n, 2);
    assert_str(ev.quotaroot->roots[1], "group");
    parse("* QUOTAROOT comp.mail.mime");
    assert_int_equal(ev.what, IMAP_QUOTAROOT);
    assert_int_equal(ev.quotaroot->n, 0);
    static const char *const bad[] = {"* QUOTA",
                                      "* QUOTA x",
                                      "* QUOTA x (STORAGE 1)",
                                      "* QUOTA x (STORAGE 1 2",
                                      "* QUOTAROOT",
                                      "* QUOTAROOT INBOX \"x"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        enum imap_what what = parse(bad[i])->what;
        assert_true(what == IMAP_SKIPPED || (what == IMAP_QUOTA && ev.quota->n == 1));
    }
}

static void identification(void **state)
{
    (void)state;
    parse("* ID (\"name\" \"Cyrus\" \"version\" NIL \"os\" \"sunos\" NIL \"x\")");
    assert_int_equal(ev.what, IMAP_ID);
    assert_str(ev.id->list[0].value, "Cyrus");
    assert_str(ev.id->list[1].name, "os");
    parse("* ID NIL");
    assert_int_equal(ev.what, IMAP_ID);
    assert_int_equal(ev.id->n, 0);
    static const char *const bad[] = {"* ID", "* ID x", "* ID (\"name\")", "* ID (\"name\" \"x"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(parse(bad[i])->what, IMAP_SKIPPED);
}

static void object_ids_previews_and_dates_of_saving(void **state)
{
    struct buf b = BUF_INIT(1u << 20);
    (void)state;
    parse(
        "* 3 FETCH (UID 9 EMAILID (M6d99ac3275bb4e) THREADID (T64b478a75b7ea9) SAVEDATE \"17-Jul-1996 02:44:25 -0700\" "
        "PREVIEW {5}\r\na \"b) FLAGS (\\Seen))");
    assert_int_equal(ev.what, IMAP_FETCH);
    assert_str(ev.fetch.emailid, "M6d99ac3275bb4e");
    assert_str(ev.fetch.threadid, "T64b478a75b7ea9");
    assert_str(ev.fetch.preview, "a \"b)");
    assert_int_equal(ev.fetch.savedate, 837596665);
    assert_int_equal(ev.fetch.has, IMAP_HAS_FLAGS | IMAP_HAS_PREVIEW | IMAP_HAS_SAVEDATE);
    parse("* 3 FETCH (UID 9 EMAILID NIL THREADID NIL SAVEDATE NIL PREVIEW NIL)");
    assert_int_equal(ev.fetch.uid, 9);
    assert_int_equal(ev.fetch.has, 0);
    assert_str(ev.fetch.emailid, "");
    parse("* 3 FETCH (UID 9 EMAILID (a b) THREADID (x'; DROP) SAVEDATE \"32-Jul-1996 02:44:25 -0700\")");
    assert_str(ev.fetch.emailid, "");
    assert_str(ev.fetch.threadid, "");
    assert_int_equal(ev.fetch.has, 0);
    buf_addz(&b, "* 3 FETCH (UID 9 EMAILID (");
    for (int i = 0; i < 300; i++)
        buf_addc(&b, 'a');
    buf_addz(&b, ") PREVIEW \"");
    for (int i = 0; i < 5000; i++)
        buf_addc(&b, 'p');
    buf_addz(&b, "\")");
    imap_parse(parser, buf_str(&b), &ev);
    assert_str(ev.fetch.emailid, "");
    assert_int_equal(ev.fetch.preview.n, IMAP_PREVIEW_MAX);
    buf_fini(&b);
}

static void gmail_labels_and_ids(void **state)
{
    (void)state;
    parse("* 1 FETCH (X-GM-LABELS (\"\\\\Inbox\" Important Work \"Muy Importante\" {2}\r\na) work Work) UID 7 "
          "X-GM-MSGID 1278455344230334865 X-GM-THRID 1266894439832287888 FLAGS (\\Seen later))");
    assert_int_equal(ev.fetch.uid, 7);
    assert_int_equal(ev.fetch.flags, FLAG_SEEN);
    /* Words of their own, nothing twice, none of the server's own. */
    assert_str(ev.fetch.keywords, "Important Work Muy\xC2\xA0Importante a) later");
    assert_str(ev.fetch.emailid, "1278455344230334865");
    assert_str(ev.fetch.threadid, "1266894439832287888");
    assert_int_equal(ev.fetch.has, IMAP_HAS_FLAGS | IMAP_HAS_LABELS);
    parse("* 1 FETCH (X-GM-LABELS NIL UID 7 X-GM-MSGID 99999999999999999999 X-GM-THRID (a) FLAGS ())");
    assert_str(ev.fetch.emailid, "");
    assert_str(ev.fetch.threadid, "");
    assert_int_equal(ev.fetch.has, IMAP_HAS_FLAGS);
    parse("* 1 FETCH (UID 7 X-GM-LABELS (\"no end))");
    assert_true(ev.what == IMAP_SKIPPED || (ev.fetch.has & IMAP_BROKEN));
}

static void dates_of_the_server(void **state)
{
    int64_t t = 0;
    struct buf b = BUF_INIT(100);
    (void)state;
    static const int64_t times[] = {0, 951782400, 951868799, 1795352525, 4102444799};
    for (size_t i = 0; i < COUNT(times); i++) {
        buf_reset(&b);
        buf_addc(&b, '"');
        imap_date_write(times[i], &b);
        buf_addc(&b, '"');
        assert_true(imap_date_read(buf_str(&b), &t));
        assert_int_equal(t, times[i]);
    }
    buf_fini(&b);
    assert_true(imap_date_read(STR("\"22-nov-2026 14:02:05 +0100\""), &t));
    assert_int_equal(t, 1795352525);
    static const char *const bad[] = {"",
                                      "22-Nov-2026 14:02:05 +0100",
                                      "\"22-Foo-2026 14:02:05 +0100\"",
                                      "\"22-Nov-1026 14:02:05 +0100\"",
                                      "\"22-Nov-2026 24:02:05 +0100\"",
                                      "\"22-Nov-2026 14:02:05 *0100\""};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(imap_date_read(str_z(bad[i]), &t));
}

static void searches(void **state)
{
    struct str set;
    uint32_t n;
    (void)state;
    parse("* SEARCH 2 84 (MODSEQ 917)");
    assert_int_equal(ev.what, IMAP_SEARCH);
    set = ev.set;
    assert_true(imap_number_next(&set, &n));
    assert_true(imap_number_next(&set, &n));
    assert_int_equal(n, 84);
    assert_false(imap_number_next(&set, &n));
    assert_int_equal(parse("* SEARCH")->what, IMAP_SEARCH);
    parse("* ESEARCH (TAG \"T12\") UID COUNT 17 ALL 4:18,21 X (1 2)");
    assert_int_equal(ev.what, IMAP_ESEARCH);
    assert_int_equal(ev.number, 12);
    assert_true(ev.uid);
    assert_int_equal(ev.count, 17);
    assert_str(ev.set, "4:18,21");
    parse("* ESEARCH (TAG \"T3\") UID MIN 7 MAX 3800 COUNT 15 MODSEQ 1236");
    assert_int_equal(ev.min, 7);
    assert_int_equal(ev.max, 3800);
    assert_int_equal(ev.modseq, 1236);
    assert_int_equal(ev.set.n, 0);
    parse("* ESEARCH (TAG \"T3\") UID PARTIAL (-1:-100 200:250,252:300)");
    assert_str(ev.range, "-1:-100");
    assert_str(ev.set, "200:250,252:300");
    parse("* ESEARCH (TAG \"T3\") UID PARTIAL (1:500 NIL) ALL");
    assert_int_equal(ev.what, IMAP_SKIPPED);
    parse("* ESEARCH (TAG \"T3\") UID PARTIAL (1:500 NIL) COUNT 4294967296");
    assert_int_equal(ev.set.n, 0);
    assert_str(ev.range, "1:500");
    assert_int_equal(ev.count, UINT32_MAX);
    parse("* ESEARCH (TAG \"T3\") PARTIAL (1:500");
    assert_int_equal(ev.what, IMAP_SKIPPED);
    parse("* SEARCH 2 84 (MODSEQ 917)");
    assert_int_equal(ev.modseq, 917);
    parse("* VANISHED (EARLIER) 300:310,405");
    assert_true(ev.earlier);
    assert_str(ev.set, "300:310,405");
    assert_int_equal(parse("* METADATA \"\" (/x \"y\")")->what, IMAP_SKIPPED);
}

static void states_and_their_codes(void **state)
{
    (void)state;
    parse("* OK [UIDVALIDITY 3857529045] UIDs valid");
    assert_int_equal(ev.what, IMAP_OK);
    assert_str(ev.code, "UIDVALIDITY");
    assert_str(ev.args, "3857529045");
    assert_str(ev.text, "UIDs valid");
    /* THREATS 34 */
    static const char *const cut[] = {"* NO", "* OK [", "* OK []", "* OK [X", "* BAD  ", "* OK [\"]", "* OK ["};
    for (size_t i = 0; i < COUNT(cut); i++)
        assert_int_not_equal(parse(cut[i])->what, IMAP_SKIPPED);
    static const char *const empty[] = {"", "*", "* ", "*  ", "+", "x"};
    for (size_t i = 0; i < COUNT(empty); i++)
        parse(empty[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gmail_labels_and_ids, parser_start, parser_end),
        cmocka_unit_test(names_in_modified_utf7),
        cmocka_unit_test(names_that_are_no_utf7_stay_as_they_are),
        cmocka_unit_test(box_keys_tell_nothing_and_differ),
        cmocka_unit_test(sets_are_walked_not_expanded),
        cmocka_unit_test_setup_teardown(fetch_with_all_items, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(fetch_items_out_of_bounds_are_left_out, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(fetch_literal_bytes_are_kept_exactly, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(nesting_ends_at_its_limit, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(one_bad_answer_does_not_spoil_the_next, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(lists_of_mailboxes, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(status_of_mailboxes, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(lists_with_extended_data, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(namespaces, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(quotas, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(identification, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(object_ids_previews_and_dates_of_saving, parser_start, parser_end),
        cmocka_unit_test(dates_of_the_server),
        cmocka_unit_test_setup_teardown(searches, parser_start, parser_end),
        cmocka_unit_test_setup_teardown(states_and_their_codes, parser_start, parser_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
