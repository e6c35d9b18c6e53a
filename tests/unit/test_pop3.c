/* net/pop3 in the maildrop, against scripted servers, honest and hostile. */
#include "pop3_session.h"

/* ---- Dots --------------------------------------------------------------------------------------- */

static bool collect(void *arg, struct str bytes, struct err *err UNUSED)
{
    return buf_adds(arg, bytes);
}

/* THREATS 83, 84, 85: byte for byte, wherever the chunks are cut. */
static void test_dots(void **state UNUSED)
{
    static const struct {
        const char *raw;
        size_t n;
        const char *want;
        size_t want_n;
        bool lf, done;
    } rows[] = {
#define ROW(raw, want, lf, done) {raw, sizeof(raw) - 1, want, sizeof(want) - 1, lf, done}
        ROW(".\r\n", "", false, true),
        ROW("\r\n.\r\n", "\r\n", false, true),
        ROW("a: b\r\n\r\nbody\r\n.\r\n", "a: b\r\n\r\nbody\r\n", false, true),
        ROW("..\r\n.\r\n", ".\r\n", false, true),
        ROW("...\r\n.\r\n", "..\r\n", false, true),
        ROW("..a\r\n..\r\n...b\r\n.\r\n", ".a\r\n.\r\n..b\r\n", false, true),
        ROW("x.\r\n.y.\r\n.\r\n", "x.\r\ny.\r\n", false, true),
        ROW("a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", false, true),     /* a dot after a bare LF is text */
        ROW("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", false, true), /* THREATS 83: no end inside a message */
        ROW("a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", false, true),
        ROW("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", false, true),
        ROW("a\r\n.\r\rb\r\n.\r\n", "a\r\n\r\rb\r\n", false, true),
        ROW("a\r\n.\r.\r\n.\r\n", "a\r\n\r.\r\n", false, true),
        ROW("a\r\r\n.\r\n", "a\r\r\n", false, true),
        ROW("a\rb\0c\xff\r\n.\r\n", "a\rb\0c\xff\r\n", false, true),
        ROW("a\r\n..", "a\r\n.", false, false),
        ROW("a\r\n.\r", "a\r\n", false, false),
        ROW("a\nb\n..c\n.\n", "a\nb\n.c\n", true, true),
        ROW("a\nb\n.\r\n", "a\nb\n", true, true),
#undef ROW
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t step = 1; step <= rows[i].n; step++) {
            struct dots d = {.lf = rows[i].lf};
            struct buf out = BUF_INIT(1000);
            struct err err = ERR_INIT;
            bool stopped = false;
            size_t used = 0;
            char tail[64];
            assert_true(rows[i].n + 4 < sizeof tail);
            memcpy(tail, rows[i].raw, rows[i].n);
            memcpy(tail + rows[i].n, "+OK", 3); /* the next answer is not touched */
            size_t total = rows[i].done ? rows[i].n + 3 : rows[i].n;
            while (used < total && !d.done) {
                struct str in = {tail + used, MIN(step, total - used)};
                size_t n = dots_take(&d, in, collect, &out, &stopped, &err);
                assert_true(n > 0 && n <= in.n);
                used += n;
            }
            assert_int_equal(d.done, rows[i].done);
            assert_int_equal(used, rows[i].n);
            if (out.n != rows[i].want_n || (out.n > 0 && memcmp(out.p, rows[i].want, out.n) != 0))
                fail_msg("row %zu, step %zu: got %zu bytes \"%s\"", i, step, out.n, buf_z(&out));
            assert_int_equal(d.bytes, out.n);
            buf_fini(&out);
        }
    }
}

/* ---- Lists -------------------------------------------------------------------------------------- */

static void greeted(struct session *t, const char *const *lines)
{
    start(t, script, lines);
    if (!pop3_greet(t->p, false, &t->err))
        fail_msg("%s", t->err.text);
}

/* THREATS 76, 77, 78: odd lists. */
static void test_list(void **state UNUSED)
{
    struct session t;
    greeted(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, "C STAT", "S +OK 4 1000\r\n", "C LIST",
                       "S +OK\r\n0 5\r\n1 11\r\n2 22 octets\r\n4294967295 1\r\n4294967296 1\r\n-1 1\r\n5 1\r\n3 "
                       "99999999999999999999\r\nx\r\n\r\n.\r\n",
                       "C UIDL",
                       "S +OK\r\n0 zero\r\n1 same\r\n2 same\r\n2 other\r\n50000000 far\r\n3 ../../etc/$x\x01\xff\r\n4  "
                       " a b\r\n..\r\n.\r\n"));
    if (!pop3_list(t.p, on_id, &t.got, &t.err))
        fail_msg("%s", t.err.text);
    assert_int_equal(pop3_count(t.p), 4);
    assert_int_equal(t.got.nids, 4);
    assert_string_equal(t.got.ids[0], "1 11 same");
    assert_string_equal(t.got.ids[1], "2 22 same");
    assert_string_equal(t.got.ids[2], "3 0 ../../etc/$x\x01\xff");
    assert_string_equal(t.got.ids[3], "4 0 a b");
    end(&t);
    greeted(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_PIPE, "C STAT", "C LIST", "C UIDL",
                       "S +OK 0 0\r\n+OK\r\n.\r\n+OK\r\n.\r\n"));
    assert_true(pop3_list(t.p, on_id, &t.got, &t.err));
    assert_int_equal(t.got.nids, 0);
    end(&t);
    static const struct {
        const char *stat;
        enum err_kind want;
    } stats[] = {{"S +OK 4294967296 1\r\n", ERR_LIMIT},
                 {"S +OK 1000001 1\r\n", ERR_LIMIT},
                 {"S +OK -1 1\r\n", ERR_PROTOCOL},
                 {"S +OK\r\n", ERR_PROTOCOL},
                 {"S -ERR [SYS/PERM] x\r\n", ERR_SERVER_NO}};
    for (size_t i = 0; i < COUNT(stats); i++) {
        greeted(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, "C STAT", stats[i].stat));
        assert_false(pop3_list(t.p, on_id, &t.got, &t.err));
        assert_int_equal(t.err.kind, stats[i].want);
        end(&t);
    }
}

static void endless_uidl(int fd, const void *arg)
{
    script(fd, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, "C STAT", "S +OK 3 1\r\n", "C LIST", "S +OK\r\n"));
    if (arg != NULL) {
        script(fd, SCRIPT("S .\r\n", "C UIDL", "S +OK\r\n"));
        static char line[20000];
        memset(line, 'u', sizeof line);
        memcpy(line, "1 ", 2);
        memcpy(line + sizeof line - 2, "\r\n", 2);
        say_n(fd, line, sizeof line);
    }
    for (;;)
        say(fd, "2 u\r\n");
}

/* THREATS 77, 79: lists without end are ended here; a UIDL of 20 kB is kept as its hash. */
static void test_list_endless(void **state UNUSED)
{
    for (int k = 0; k < 2; k++) {
        struct session t;
        start(&t, endless_uidl, k == 0 ? NULL : "uidl");
        assert_true(pop3_greet(t.p, false, &t.err));
        assert_false(pop3_list(t.p, on_id, &t.got, &t.err));
        assert_int_equal(t.err.kind, ERR_LIMIT);
        if (k == 1) {
            assert_int_equal(strncmp(t.got.ids[0], "1 0 long-", 9), 0);
            assert_int_equal(strlen(t.got.ids[0]), 9 + 64);
            assert_string_equal(t.got.ids[1], "2 0 u");
            assert_int_equal(t.got.nids, 2);
        }
        end(&t);
    }
}

/* THREATS 75: ids by hash, with TOP and without; equal mails are told apart; a status field changes nothing. */
static void test_no_uidl(void **state UNUSED)
{
#define HEAD(status) "From: a\r\n" status "Subject: s\r\n\r\n"
    char ids[3][120];
    for (int k = 0; k < 3; k++) {
        struct session t;
        const char *capa = k == 0 ? "S +OK\r\nTOP\r\n.\r\n" : "S +OK\r\nUSER\r\n.\r\n";
        const char *verb[3] = {k == 0 ? "C TOP 1 0" : "C RETR 1", k == 0 ? "C TOP 2 0" : "C RETR 2",
                               k == 0 ? "C TOP 3 0" : "C RETR 3"};
        const char *status =
            k == 2 ? "S +OK\r\n" HEAD("Status: RO\r\n") "body\r\n.\r\n" : "S +OK\r\n" HEAD("") "body\r\n.\r\n";
        const char *plain = "S +OK\r\n" HEAD("") ".\r\n";
        greeted(&t, SCRIPT("S +OK\r\n", "C CAPA", capa, "C STAT", "S +OK 3 1\r\n", "C LIST",
                           "S +OK\r\n1 50\r\n2 50\r\n3 51\r\n.\r\n", "C UIDL", "S -ERR what?\r\n", verb[0],
                           k == 0 ? plain : status, verb[1], plain, verb[2], plain));
        if (!pop3_list(t.p, on_id, &t.got, &t.err))
            fail_msg("%s", t.err.text);
        assert_int_equal(t.got.nids, 3);
        assert_int_equal(strncmp(t.got.ids[0], "1 50 hash-", 10), 0);
        assert_string_equal(t.got.ids[1] + strlen(t.got.ids[1]) - 2, "-2");
        assert_int_equal(strncmp(t.got.ids[0] + 2, t.got.ids[1] + 2, strlen(t.got.ids[0]) - 2), 0);
        assert_string_not_equal(t.got.ids[0] + 5, t.got.ids[2] + 5);
        snprintf(ids[k], sizeof ids[k], "%s", t.got.ids[0]);
        end(&t);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_equal(ids[0], ids[2]);
}

/* ---- Messages ----------------------------------------------------------------------------------- */

#define LISTED(n, list, uidl)                                                                                          \
    "C STAT", "S +OK " n " 1\r\n", "C LIST", "S +OK\r\n" list ".\r\n", "C UIDL", "S +OK\r\n" uidl ".\r\n"

static void listed(struct session *t, const char *const *lines)
{
    greeted(t, lines);
    if (!pop3_list(t->p, on_id, &t->got, &t->err))
        fail_msg("%s", t->err.text);
}

/* THREATS 81: one -ERR, the others come, in lock step and in a window. */
static void test_get(void **state UNUSED)
{
    const uint32_t numbers[] = {3, 1, 2};
    struct session t;
    listed(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, LISTED("3", "1 5\r\n2 5\r\n3 7\r\n", "1 a\r\n2 b\r\n3 c\r\n"),
                      "C RETR 3", "S +OK\r\nthree\r\n.\r\n", "C RETR 1", "S -ERR gone\r\n", "C RETR 2",
                      "S +OK 5\r\n..two\r\n.\r\n", "C QUIT", "S +OK\r\n"));
    struct pop3_sink sink = sink_of(&t);
    if (!pop3_get(t.p, POP3_RETR, numbers, 3, &sink, &t.err))
        fail_msg("%s", t.err.text);
    assert_string_equal(t.got.mail[3], "three\r\n");
    assert_string_equal(t.got.mail[1], "-SERVER_NO");
    assert_string_equal(t.got.mail[2], ".two\r\n");
    assert_true(pop3_quit(t.p, &t.err));
    end(&t);
    listed(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_PIPE, "C STAT", "C LIST", "C UIDL",
                      "S +OK 3 9\r\n+OK\r\n1 6\r\n2 4\r\n3 7\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n", "C LIST 3",
                      "C RETR 3", "C LIST 1", "C RETR 1", "C LIST 2", "C RETR 2", "C NOOP",
                      "S +OK 3 7\r\n+OK\r\nthree\r\n.\r\n-ERR gone\r\n-ERR gone\r\n"
                      "+OK 2 4\r\n+OK\r\n\r\n\r\n.\r\n+OK\r\n"));
    sink = sink_of(&t);
    if (!pop3_get(t.p, POP3_RETR, numbers, 3, &sink, &t.err))
        fail_msg("%s", t.err.text);
    assert_string_equal(t.got.mail[3], "three\r\n");
    assert_string_equal(t.got.mail[1], "-SERVER_NO");
    assert_string_equal(t.got.mail[2], "\r\n\r\n");
    assert_int_equal(t.got.ends, 3);
    /* THREATS 78: a number the server never gave is never asked for */
    const uint32_t beyond[] = {1, 4}, zero[] = {0};
    assert_false(pop3_get(t.p, POP3_RETR, beyond, 2, &sink, &t.err));
    assert_int_equal(t.err.kind, ERR_NO_MESSAGE);
    assert_false(pop3_get(t.p, POP3_RETR, zero, 1, &sink, &t.err));
    end(&t);
}

static void many(int fd, const void *arg UNUSED)
{
    script(fd, SCRIPT("S +OK\r\n", "C CAPA", CAPS_PIPE, "C STAT", "C LIST", "C UIDL",
                      "S +OK 200 1\r\n+OK\r\n.\r\n+OK\r\n"));
    char b[100];
    for (int i = 1; i <= 200; i++) {
        snprintf(b, sizeof b, "%d u%d\r\n", i, i);
        say(fd, b);
    }
    say(fd, ".\r\n");
    for (int i = 1; i <= 200; i++) {
        snprintf(b, sizeof b, "LIST %d", i);
        hear(fd, b);
        snprintf(b, sizeof b, "RETR %d", i);
        hear(fd, b);
        /* LIST lies: that is the server's own affair */
        snprintf(b, sizeof b, "+OK %d 1\r\n+OK\r\nmail %d\r\n.\r\n", i, i);
        say(fd, b);
    }
    hear(fd, "NOOP");
    say(fd, "+OK 200 1\r\n");
}

static void test_window(void **state UNUSED)
{
    struct session t;
    uint32_t numbers[200];
    for (uint32_t i = 0; i < 200; i++)
        numbers[i] = i + 1;
    start(&t, many, NULL);
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_true(pop3_list(t.p, on_id, &t.got, &t.err));
    struct pop3_sink sink = sink_of(&t);
    assert_true(pop3_get(t.p, POP3_RETR, numbers, 200, &sink, &t.err));
    for (uint32_t i = 1; i <= 200; i++) {
        char want[20];
        snprintf(want, sizeof want, "mail %u\r\n", i);
        assert_string_equal(t.got.mail[i], want);
    }
    end(&t);
}

/* THREATS 80: the line ends in a message, before, inside and after its final dot: no whole message is claimed that is
 * not. */
static void test_cut(void **state UNUSED)
{
    static const char answer[] = "+OK\r\nab\r\n\r\n..c\r\n.\r\n";
    for (size_t n = 0; n < sizeof answer; n++) {
        char says[64];
        snprintf(says, sizeof says, "S %.*s", (int)n, answer);
        struct session t;
        const uint32_t one[] = {1};
        listed(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, LISTED("1", "1 10\r\n", "1 a\r\n"), "C RETR 1", says));
        struct pop3_sink sink = sink_of(&t);
        bool ok = pop3_get(t.p, POP3_RETR, one, 1, &sink, &t.err);
        assert_int_equal(ok, n == sizeof answer - 1);
        assert_int_equal(t.got.ends, ok);
        if (!ok)
            assert_int_equal(t.err.kind, ERR_LINE);
        end(&t);
    }
}

/* THREATS 92: a server that loses a command of the window, of messages that are equally long: the wrong message is not
 * taken for the right one, whichever command it lost, and whole ones before it are kept. */
static void test_shifted(void **state UNUSED)
{
    static const char *const answers[] = {"+OK 1 5\r\n", "+OK\r\none\r\n.\r\n", "+OK 2 5\r\n", "+OK\r\ntwo\r\n.\r\n",
                                          "+OK 3 5\r\n", "+OK\r\nsix\r\n.\r\n", "+OK\r\n"};
    for (size_t lost = 0; lost < COUNT(answers); lost++) {
        struct session t;
        const uint32_t numbers[] = {1, 2, 3};
        char says[200] = "S ";
        for (size_t i = 0; i < COUNT(answers); i++)
            snprintf(says + strlen(says), sizeof says - strlen(says), "%s", i == lost ? "" : answers[i]);
        listed(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_PIPE, "C STAT", "C LIST", "C UIDL",
                          "S +OK 3 9\r\n+OK\r\n1 5\r\n2 5\r\n3 5\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n", "C LIST 1",
                          "C RETR 1", "C LIST 2", "C RETR 2", "C LIST 3", "C RETR 3", "C NOOP", says));
        struct pop3_sink sink = sink_of(&t);
        assert_false(pop3_get(t.p, POP3_RETR, numbers, 3, &sink, &t.err));
        assert_true(t.err.kind == ERR_PROTOCOL || (lost >= 5 && t.err.kind == ERR_LINE));
        assert_string_equal(t.got.mail[1], lost > 2 ? "one\r\n" : "");
        assert_string_equal(t.got.mail[2], lost > 4 ? "two\r\n" : "");
        assert_string_equal(t.got.mail[3], "");
        end(&t);
    }
}

/* THREATS 54: in lock step a wrong size is the server's own affair. */
static void test_wrong_size(void **state UNUSED)
{
    struct session t;
    const uint32_t one[] = {1};
    start(&t, script,
          SCRIPT("S +OK\r\n", "C CAPA", CAPS_PIPE, LISTED("1", "1 5\r\n", "1 a\r\n"), "C RETR 1",
                 "S +OK\r\nthree\r\n.\r\n"));
    pop3_distrust(t.p, POP3_LOCKSTEP, clock_wall() + 60);
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_true(pop3_list(t.p, on_id, &t.got, &t.err));
    struct pop3_sink sink = sink_of(&t);
    assert_true(pop3_get(t.p, POP3_RETR, one, 1, &sink, &t.err));
    assert_string_equal(t.got.mail[1], "three\r\n");
    end(&t);
}

/* THREATS 89: the disk is full: that message is dropped, the session lives. */
static void test_disk_full(void **state UNUSED)
{
    struct session t;
    const uint32_t one[] = {1};
    listed(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, LISTED("1", "1 10\r\n", "1 a\r\n"), "C RETR 1",
                      "S +OK\r\nab\r\n\r\ncd\r\n.\r\n", "C QUIT", "S +OK\r\n"));
    t.got.refuse_data = 1;
    struct pop3_sink sink = sink_of(&t);
    assert_true(pop3_get(t.p, POP3_RETR, one, 1, &sink, &t.err));
    assert_string_equal(t.got.mail[1], "-DISK_FULL");
    assert_true(pop3_quit(t.p, &t.err));
    end(&t);
}

static void endless_mail(int fd, const void *arg UNUSED)
{
    script(fd, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, LISTED("1", "1 10\r\n", "1 a\r\n"), "C RETR 1", "S +OK\r\n"));
    static char block[65536];
    memset(block, 'm', sizeof block);
    for (;;)
        say_n(fd, block, sizeof block);
}

/* THREATS 82: a message without end, and without line ends: streamed in constant memory until the sink has enough, then
 * the line is given up. */
static void test_endless(void **state UNUSED)
{
    struct session t;
    const uint32_t one[] = {1};
    start(&t, endless_mail, NULL);
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_true(pop3_list(t.p, on_id, &t.got, &t.err));
    t.got.refuse_data = 1;
    struct pop3_sink sink = sink_of(&t);
    assert_false(pop3_get(t.p, POP3_RETR, one, 1, &sink, &t.err));
    assert_int_equal(t.err.kind, ERR_LINE);
    assert_string_equal(t.got.mail[1], "-DISK_FULL"); /* whose fault it was is told */
    end(&t);
}

struct refusals {
    unsigned n;
    uint32_t number;
    enum err_kind kind;
};

static void on_refused(void *arg, uint32_t number, const struct err *why)
{
    struct refusals *r = arg;
    r->n++;
    r->number = number;
    r->kind = why->kind;
}

/* THREATS 87, 88: DELE refused is told; QUIT refused is an error. */
static void test_delete(void **state UNUSED)
{
    for (int k = 0; k < 2; k++) {
        struct session t;
        const uint32_t numbers[] = {1, 2};
        struct refusals r = {.n = 0};
        if (k == 0)
            listed(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_STEP, LISTED("2", "", "1 a\r\n2 b\r\n"), "C DELE 1",
                              "S +OK\r\n", "C DELE 2", "S -ERR no\r\n", "C QUIT", "S +OK bye\r\n"));
        else
            listed(&t, SCRIPT("S +OK\r\n", "C CAPA", CAPS_PIPE, "C STAT", "C LIST", "C UIDL",
                              "S +OK 2 1\r\n+OK\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n.\r\n", "C DELE 1", "C DELE 2",
                              "S +OK\r\n-ERR no\r\n", "C QUIT", "S -ERR [SYS/TEMP] some stay\r\n"));
        assert_true(pop3_delete(t.p, numbers, 2, on_refused, &r, &t.err));
        assert_int_equal(r.n, 1);
        assert_int_equal(r.number, 2);
        assert_int_equal(r.kind, ERR_SERVER_NO);
        assert_int_equal(pop3_quit(t.p, &t.err), k == 0);
        assert_int_equal(t.err.kind, k == 0 ? ERR_NONE : ERR_SERVER_TEMP);
        end(&t);
    }
}

/* What is on the way is bounded by bytes as by count: a large message does not let the next one wait behind it for
 * long, and one that is larger than the bound is asked for alone. */
static void large(int fd, const void *arg UNUSED)
{
    static char body[700000];
    script(fd, SCRIPT("S +OK\r\n", "C CAPA", CAPS_PIPE, LISTS,
                      "S +OK 4 9\r\n+OK\r\n1 700000\r\n2 300000\r\n3 5000000\r\n4 5\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n3 "
                      "c\r\n4 d\r\n.\r\n",
                      "C LIST 1", "C RETR 1", "C LIST 2", "C RETR 2", "C LIST 3"));
    memset(body, 'x', sizeof body);
    memcpy(body + sizeof body - 5, "\r\n.\r\n", 5);
    say(fd, "+OK 1 1\r\n+OK\r\n");
    say_n(fd, body, sizeof body);
    say(fd, "+OK 2 1\r\n+OK\r\ntwo\r\n.\r\n+OK 3 1\r\n");
    script(fd, SCRIPT("C RETR 3", "C LIST 4", "S +OK\r\nthree\r\n.\r\n+OK 4 1\r\n", "C RETR 4", "C NOOP",
                      "S +OK\r\nfour\r\n.\r\n+OK\r\n"));
}

static void test_window_bytes(void **state UNUSED)
{
    struct session t;
    const uint32_t numbers[] = {1, 2, 3, 4};
    start(&t, large, NULL);
    assert_true(pop3_greet(t.p, false, &t.err));
    assert_true(pop3_list(t.p, on_id, &t.got, &t.err));
    struct pop3_sink sink = sink_of(&t);
    if (!pop3_get(t.p, POP3_RETR, numbers, 4, &sink, &t.err))
        fail_msg("%s", t.err.text);
    assert_int_equal(t.got.ends, 4);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dots),         cmocka_unit_test(test_list),    cmocka_unit_test(test_list_endless),
        cmocka_unit_test(test_no_uidl),      cmocka_unit_test(test_get),     cmocka_unit_test(test_window),
        cmocka_unit_test(test_cut),          cmocka_unit_test(test_shifted), cmocka_unit_test(test_wrong_size),
        cmocka_unit_test(test_disk_full),    cmocka_unit_test(test_endless), cmocka_unit_test(test_delete),
        cmocka_unit_test(test_window_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
