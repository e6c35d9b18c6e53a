/* Bodies that are here, what they take, which are missing, what is dropped with their rows; a queued change dropped. */
#include "db_help.h"

#include <sqlite3.h>

static struct db *db;
static uint64_t in, archive;

static int setup(void **state)
{
    if (scratch_make(state))
        return -1;
    db = open_db(false, NULL);
    in = make_mailbox(db, "INBOX", 7);
    archive = make_mailbox(db, "Archive", 8);
    return 0;
}

static int teardown(void **state)
{
    db_close(&db);
    return scratch_drop(state);
}

struct seen {
    uint64_t msgs[64];
    size_t n;
};

static void bare(void *arg, const struct db_bare *b)
{
    struct seen *s = arg;
    s->msgs[s->n++] = b->msg;
}

static void body(void *arg, const struct db_body *b)
{
    struct seen *s = arg;
    assert_true(b->path.n > 0);
    s->msgs[s->n++] = b->msg;
}

static uint64_t total(void)
{
    uint64_t bytes = 0;
    OK(db_bodies_total(db, &bytes, &err));
    return bytes;
}

static void body_is(uint64_t msg, const char *path)
{
    OK(db_body_is(db, msg, str_z(path), STR(""), &err));
}

/* The files to be removed, blank separated. */
static void dropped(const char *want)
{
    struct buf path = BUF_INIT(1000), all = BUF_INIT(10000);
    while (db_take_dropped(db, &path)) {
        buf_addf(&all, "%s", all.n ? " " : "");
        buf_adds(&all, buf_str(&path));
    }
    assert_string_equal(buf_z(&all), want);
    buf_fini(&path);
    buf_fini(&all);
}

static struct seen missing(int64_t since, unsigned max, int64_t *date, uint64_t *id, unsigned *seen)
{
    struct seen s = {.n = 0};
    OK(db_bodies_missing(db, in, since, date, id, max, bare, &s, seen, &err));
    return s;
}

static void test_missing(void **state)
{
    (void)state;
    uint64_t id[11], at = INT64_MAX;
    int64_t date = INT64_MAX;
    unsigned seen;
    for (uint32_t uid = 1; uid <= 10; uid++) {
        char name[20];
        snprintf(name, sizeof name, "m%u@x", uid);
        id[uid] = put_uid(db, in, uid, name);
    }
    body_is(id[9], "k/9");
    OK(db_body_failed(db, id[7], &err));
    struct seen s = missing(0, 4, &date, &at, &seen); /* 10 9 8 7 */
    assert_int_equal(seen, 4);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.msgs[0], id[10]);
    assert_int_equal(s.msgs[1], id[8]);
    s = missing(1700000004, 4, &date, &at, &seen); /* 6 5 4 */
    assert_int_equal(seen, 3);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.msgs[2], id[4]);
    /* what is not there whole is missing */
    OK(db_body_is(db, id[10], STR("k/10"), STR("10\n"), &err));
    date = INT64_MAX, at = INT64_MAX;
    s = missing(1700000010, 4, &date, &at, &seen);
    assert_int_equal(s.n, 1);
    body_is(id[10], "k/10");
    date = INT64_MAX, at = INT64_MAX;
    assert_int_equal(missing(1700000010, 4, &date, &at, &seen).n, 0);
}

static void test_total(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "a@x"), b = put_uid(db, in, 2, "b@x"), c = put_uid(db, in, 3, "c@x");
    body_is(a, "k/1");
    assert_int_equal(total(), 1001);
    body_is(b, "k/2");
    body_is(b, "k/2");
    assert_int_equal(total(), 1001 + 1002);
    body_is(a, "");
    assert_int_equal(total(), 1002);
    body_is(c, "k/3");
    OK(db_gone(db, in, 2, 2, &err));
    assert_int_equal(total(), 1003);
    dropped("k/2");
    /* a burst that is taken back takes the sum back */
    OK(db_begin(db, &err));
    body_is(a, "k/1");
    db_rollback(db);
    assert_int_equal(total(), 1003);
    db_close(&db);
    db = open_db(false, NULL);
    assert_int_equal(total(), 1003);
}

static void test_order_and_use(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "a@x"), b = put_uid(db, in, 2, "b@x"), c = put_uid(db, in, 3, "c@x"), at = 0;
    int64_t used = INT64_MIN;
    unsigned seen;
    struct seen s = {.n = 0};
    body_is(a, "k/1");
    body_is(b, "k/2");
    body_is(c, "k/3");
    db_close(&db);
    char path[128];
    sqlite3 *raw;
    snprintf(path, sizeof path, "%s/work/cache.db", scratch);
    assert_int_equal(sqlite3_open(path, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw, "UPDATE msg SET btime=1000+suid", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(raw);
    db = open_db(false, NULL);
    OK(db_body_used(db, a, &err)); /* now the last to go */
    OK(db_bodies(db, &used, &at, 2, body, &s, &seen, &err));
    assert_int_equal(seen, 2);
    OK(db_bodies(db, &used, &at, 2, body, &s, &seen, &err));
    assert_int_equal(seen, 1);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.msgs[0], b);
    assert_int_equal(s.msgs[1], c);
    assert_int_equal(s.msgs[2], a);
}

/* Files go with their rows, however the rows go; a message that moved keeps its own. */
static void test_dropped(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "a@x"), b = put_uid(db, in, 2, "b@x"), c = put_uid(db, archive, 3, "c@x");
    body_is(a, "k/1");
    body_is(b, "k/2");
    body_is(c, "l/3");
    want(db, INTENT_MOVE, &a, 1, archive, 0, 0);
    struct db_batch batch;
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    OK(db_intents_sent(db, batch.intents, batch.nintents, &err));
    OK(db_item_moved(db, batch.intents[0], a, 8, 4, STR(""), &err));
    OK(db_gone(db, in, 1, 1, &err));
    assert_true(str_eqz(msg_of(db, a).body, "k/1"));
    dropped("");
    bool renumbered;
    OK(db_box_open(db, in, 70, 1, 0, false, true, STR(""), &renumbered, &err));
    assert_true(renumbered);
    dropped("k/2");
    OK(db_box_gone(db, archive, &err));
    struct buf path = BUF_INIT(100);
    unsigned n = 0;
    while (db_take_dropped(db, &path))
        n++;
    assert_int_equal(n, 2);
    assert_int_equal(total(), 0);
    buf_fini(&path);
}

static uint32_t drop(uint64_t intent)
{
    uint32_t count = 0;
    OK(db_intent_drop(db, intent, &count, &err));
    return count;
}

static void test_drop(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "a@x"), b = put_uid(db, in, 2, "b@x"), two[] = {a, b}, made = 0, group = 0;
    uint32_t count;
    struct db_counts c;
    want(db, INTENT_FLAGS, &a, 1, 0, FLAG_FLAGGED, 0); /* 1 */
    want(db, INTENT_MOVE, two, 2, archive, 0, 0);      /* 2 */
    assert_int_equal(drop(2), 2);
    assert_int_equal(msg_of(db, a).box, in);
    assert_int_equal(msg_of(db, a).flags & FLAG_FLAGGED, FLAG_FLAGGED);
    assert_int_equal(drop(1), 1);
    assert_int_equal(msg_of(db, a).flags, 0);
    OK(db_intent_counts(db, &c, &err));
    assert_int_equal(c.queued, 0);
    REFUSED(ERR_NO_MESSAGE, db_intent_drop(db, 1, &count, &err));
    REFUSED(ERR_NO_MESSAGE, db_intent_drop(db, 99, &count, &err));
    /* what was dropped is nothing that undo takes back */
    struct db_undone u;
    REFUSED(ERR_NOT_UNDOABLE, db_undo(db, false, 0, 2000, &u, &err));
    /* a mailbox that is not made takes along what waits for it, and says so */
    OK(db_intent_add(db,
                     &(struct db_intent){.kind = INTENT_BOX_CREATE, .arg = STR("New"), .utf8 = STR("New"), .now = 1},
                     &group, &made, &count, &err));
    want(db, INTENT_MOVE, &b, 1, made, 0, 0);
    assert_int_equal(msg_of(db, b).box, made);
    assert_int_equal(drop(3), 1);
    assert_int_equal(msg_of(db, b).box, in);
    struct db_conflict conflict;
    assert_true(db_take_conflict(db, &conflict));
    OK(db_intent_counts(db, &c, &err));
    assert_int_equal(c.queued, 0);
    /* nor what is under way */
    want(db, INTENT_FLAGS, &a, 1, 0, FLAG_SEEN, 0);
    struct db_batch batch;
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    OK(db_intents_sent(db, batch.intents, batch.nintents, &err));
    REFUSED(ERR_NOT_UNDOABLE, db_intent_drop(db, batch.intents[0], &count, &err));
}

struct words {
    char text[8][200];
    size_t n;
};

static void row_words(void *arg, const struct queue_row *q)
{
    struct words *w = arg;
    struct buf out = BUF_INIT(1000);
    queue_words(q, 1000, &out);
    snprintf(w->text[w->n++], 200, "%s", buf_z(&out));
    buf_fini(&out);
}

static void test_queue_in_words(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "a@x"), b = put_uid(db, in, 2, "b@x"), two[] = {a, b}, group;
    uint32_t count;
    struct words w = {.n = 0};
    want(db, INTENT_FLAGS, &a, 1, 0, FLAG_FLAGGED, 0);
    want(db, INTENT_FLAGS, two, 2, 0, 0, FLAG_SEEN);
    want(db, INTENT_FLAGS, two, 2, 0, FLAG_SEEN, 0);
    want(db, INTENT_COPY, two, 2, archive, 0, 0);
    OK(db_intent_add(
        db,
        &(struct db_intent){.kind = INTENT_BOX_RENAME, .box = archive, .arg = STR("Old"), .utf8 = STR("Old"), .now = 1},
        &group, NULL, &count, &err));
    put_uid(db, in, 3, "c@x");
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_MARK_ALL_READ, .box = in, .now = 1}, &group, NULL, &count,
                     &err));
    OK(db_sync(db, &err));
    struct err err = ERR_INIT;
    struct reader *r = reader_open(scratch, "work", &err);
    assert_true(reader_queue(r, 100, row_words, &w, &err));
    reader_close(&r);
    assert_int_equal(w.n, 5); /* unread already: no change */
    assert_string_equal(w.text[0], "flag in INBOX: \"hello\"");
    assert_string_equal(w.text[1], "mark read in INBOX: 2 messages");
    assert_string_equal(w.text[2], "copy from INBOX to Archive: 2 messages");
    assert_string_equal(w.text[3], "rename mailbox Archive to Old");
    assert_string_equal(w.text[4], "mark read in INBOX: all messages");
    w.n = 0;
    r = reader_open(scratch, "work", &err);
    assert_true(reader_queue(r, 1, row_words, &w, &err));
    reader_close(&r);
    assert_int_equal(w.n, 1);
}

static void test_mails_of_the_outbox_in_words(void **state)
{
    static const struct {
        enum outbox_state state;
        const char *text, *words;
        bool waits, unsent;
    } rows[] = {
        {OUTBOX_QUEUED, "", "send to bob@example.org and 1 more: \"budget\"", true, false},
        {OUTBOX_QUEUED, "no line", "send to bob@example.org and 1 more: \"budget\", tried: no line", true, false},
        {OUTBOX_SENDING, "", "send to bob@example.org and 1 more: \"budget\", on its way", true, false},
        {OUTBOX_REFUSED, "\"550 no\"", "not sent to bob@example.org and 1 more: \"budget\": \"550 no\"", false, true},
        {OUTBOX_UNKNOWN, "no answer",
         "perhaps sent to bob@example.org and 1 more: \"budget\": no answer; look before you send it again", false,
         true},
        {OUTBOX_SENT, "", "send to bob@example.org and 1 more: \"budget\"", false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out = BUF_INIT(1000);
        struct outbox_row o = {.state = (uint8_t)rows[i].state,
                               .rcpts = STR("bob@example.org\ncarol@example.org\n"),
                               .subject = STR("budget"),
                               .text = str_z(rows[i].text)};
        outbox_words(&o, &out);
        assert_string_equal(buf_z(&out), rows[i].words);
        assert_int_equal(outbox_waits(&o), rows[i].waits);
        assert_int_equal(outbox_unsent(&o), rows[i].unsent);
        buf_fini(&out);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_missing),
                                       T(test_total),
                                       T(test_order_and_use),
                                       T(test_dropped),
                                       T(test_drop),
                                       T(test_queue_in_words),
                                       T(test_mails_of_the_outbox_in_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
