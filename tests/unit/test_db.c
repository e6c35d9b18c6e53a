/* The databases: rows, counters, identity, threads, tags, ledger, outbox, damage. */
#include "db_help.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *file_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/work/%s", scratch, name);
    return path;
}

static void run_sql(const char *name, const char *sql)
{
    sqlite3 *h;
    assert_int_equal(sqlite3_open(file_of(name), &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

/* What an older program left behind is taken over, and a copy of it stays. */
static void test_an_older_keep_is_migrated(void **state)
{
    (void)state;
    unsigned opened;
    struct stat s;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), id = put_uid(db, in, 10, "a@x");
    db_close(&db);
    run_sql("keep.db",
            "DROP TABLE tagged; DROP INDEX ugroup_deed; ALTER TABLE ugroup DROP COLUMN deed; DROP TABLE owntag; DROP "
            "TABLE owngone; DROP "
            "TABLE arrival; DROP TABLE claim; DROP INDEX uidl_name; ALTER "
            "TABLE uidl DROP COLUMN name; DROP INDEX "
            "intent_uids; ALTER TABLE intent DROP COLUMN uids; ALTER TABLE "
            "intent DROP COLUMN tnext; DROP INDEX uidl_tag; DROP INDEX uidl_head; ALTER TABLE uidl DROP COLUMN tag; "
            "ALTER TABLE uidl DROP COLUMN head; ALTER TABLE uidl DROP COLUMN missing; "
            "ALTER TABLE uidl DROP COLUMN purged; DROP INDEX tag_tag; ALTER TABLE uidl DROP COLUMN checked;"
            "PRAGMA user_version=1");
    db = open_db(false, &opened);
    assert_int_equal(opened, 0);
    assert_int_equal(msg_of(db, id).id, id);
    assert_int_equal(put_uid(db, in, 10, "a@x"), id);
    db_close(&db);
    assert_int_equal(stat(file_of("keep.db.1.bak"), &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
}

static void test_open_modes(void **state)
{
    (void)state;
    unsigned opened;
    umask(0);
    struct db *db = open_db(false, &opened);
    assert_int_equal(opened, DB_NEW | DB_CACHE_NEW);
    make_mailbox(db, "INBOX", 1);
    static const char *const names[] = {"keep.db", "cache.db", "keep.db-wal", "cache.db-wal"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct stat s;
        assert_int_equal(stat(file_of(names[i]), &s), 0);
        assert_int_equal(s.st_mode & 0777, 0600);
    }
    db_close(&db);
    for (size_t i = 2; i < COUNT(names);
         i++) { /* there for readers, and nothing in it that the next start has to read */
        struct stat s;
        assert_int_equal(stat(file_of(names[i]), &s), 0);
        assert_int_equal(s.st_size, 0);
    }
    db = open_db(false, &opened);
    assert_int_equal(opened, 0);
    db_close(&db);
    REFUSED(ERR_USAGE, db_open(scratch, "../x", false, &db, &opened, &err));
}

static void test_rows_and_counts(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), id1, id2;
    id1 = put_uid(db, in, 10, "a@x");
    struct db_row row = row_of(in, 11, "b@x");
    row.flags = FLAG_SEEN;
    id2 = put(db, &row);
    assert_true(id1 && id2 && id1 != id2);
    assert_int_equal(put_uid(db, in, 10, "a@x"), id1);
    OK(db_box_exists(db, in, 2, &err));
    OK(db_box_filled(db, in, &err));
    struct box_row b = counts_of(in);
    assert_int_equal(b.total, 2);
    assert_int_equal(b.unread, 1);
    assert_int_equal(b.known, 2);
    OK(db_flags_put(db, in, 10, FLAG_SEEN | FLAG_FLAGGED, STR(""), 5, &err));
    assert_int_equal(counts_of(in).unread, 0);
    OK(db_gone(db, in, 1, 10, &err));
    assert_int_equal(msg_of(db, id1).id, 0);
    assert_int_equal(counts_of(in).total, 1);
    OK(db_gone(db, in, 1, UINT32_MAX, &err));
    assert_int_equal(counts_of(in).total, 0);
    db_close(&db);
}

/* The server counts more than has rows here: its number is shown, changed by what is pending. */
static void test_counts_unfilled(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), archive = make_mailbox(db, "Archive", 8), id;
    OK(db_box_put(db,
                  &(struct db_box){.name = STR("INBOX"),
                                   .utf8 = STR("INBOX"),
                                   .delim = '/',
                                   .exists = 500,
                                   .unread = 40,
                                   .uidvalidity = 7,
                                   .uidnext = 901},
                  &in, &err));
    id = put_uid(db, in, 900, "a@x");
    assert_int_equal(counts_of(in).total, 500);
    assert_int_equal(counts_of(in).unread, 40);
    want(db, INTENT_FLAGS, &id, 1, 0, FLAG_SEEN, 0);
    assert_int_equal(counts_of(in).unread, 39);
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    assert_int_equal(counts_of(in).total, 499);
    assert_int_equal(counts_of(archive).total, 1);
    db_close(&db);
}

static void test_second_pass(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7);
    struct db_row row = row_of(in, 5, "a@x"), full = row;
    row.attrs = 0;
    row.to = STR("");
    uint64_t id = put(db, &row);
    struct db_index_waiting pending;
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 0);
    full.attrs = ROW_FULL | ROW_ATTACHMENT;
    full.list_id = STR("list.example.org");
    assert_int_equal(put(db, &full), id);
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 1);
    assert_int_equal(put(db, &row), id); /* a thin row takes nothing away */
    struct db_msg m = msg_of(db, id);
    assert_true(str_eqz(m.to, "Bob") && str_eqz(m.list_id, "list.example.org"));
    assert_int_equal(m.attrs, ROW_FULL | ROW_ATTACHMENT);
    db_close(&db);
}

/* The second pass may bring the one message that makes one conversation of two. */
static void test_more(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7);
    struct db_row child = row_of(in, 2, "child@x"), parent = row_of(in, 1, "parent@x");
    child.attrs = parent.attrs = 0;
    child.date = 0;
    uint64_t c = put(db, &child), p = put(db, &parent);
    assert_true(msg_of(db, c).thread != msg_of(db, p).thread);
    struct db_more more = {.box = in,
                           .uid = 2,
                           .attrs = ROW_TO_ME,
                           .internal_date = 1700000000,
                           .to = STR("Bob"),
                           .refs = STR("parent@x"),
                           .list_id = STR("list.example.org")};
    OK(db_row_more(db, &more, &err));
    uint64_t thread = msg_of(db, p).thread;
    struct db_msg m = msg_of(db, c);
    assert_int_equal(m.thread, thread);
    assert_int_equal(m.attrs, ROW_FULL | ROW_TO_ME);
    assert_true(str_eqz(m.to, "Bob") && str_eqz(m.list_id, "list.example.org"));
    assert_true(m.date == 1700000000 && m.internal_date == 1700000000); /* it has no Date */
    struct db_index_waiting pending;
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 1);
    more.uid = 99; /* gone meanwhile */
    OK(db_row_more(db, &more, &err));
    more = (struct db_more){.box = in, .uid = 2};
    OK(db_row_more(db, &more, &err));
    assert_true(str_eqz(msg_of(db, c).to, "Bob")); /* nothing is taken away */
    db_close(&db);
}

static size_t nranges;
static struct db_range ranges[64];
static void on_range(void *arg, uint32_t lo, uint32_t hi)
{
    (void)arg;
    if (nranges < COUNT(ranges))
        ranges[nranges++] = (struct db_range){lo, hi};
}

static void test_uids(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7);
    for (uint32_t uid = 10; uid <= 20; uid += 2)
        put_uid(db, in, uid, "");
    nranges = 0;
    OK(db_uids(db, in, (struct db_range[]){{16, 18}, {5, 12}, {30, UINT32_MAX}, {0, 0}}, 4, on_range, NULL, &err));
    assert_int_equal(nranges, 4);
    assert_true(ranges[0].lo == 30 && ranges[0].hi == UINT32_MAX);
    assert_true(ranges[1].lo == 17 && ranges[1].hi == 17);
    assert_true(ranges[2].lo == 11 && ranges[2].hi == 11);
    assert_true(ranges[3].lo == 5 && ranges[3].hi == 9);
    struct db_box b;
    OK(db_box_get(db, in, &b, &err));
    assert_int_equal(b.known, 4); /* 10 12 16 18 */
    assert_int_equal(b.uid_low, 10);
    assert_int_equal(b.uid_high, 18);
    nranges = 0;
    OK(db_uids(db, in, NULL, 0, on_range, NULL, &err));
    OK(db_box_get(db, in, &b, &err));
    assert_int_equal(b.known, 0);
    db_close(&db);
}

static void test_thin(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7);
    for (uint32_t uid = 1; uid <= 9; uid++) {
        struct db_row row = row_of(in, uid, "");
        row.attrs = uid == 5 ? ROW_FULL : 0;
        put(db, &row);
    }
    nranges = 0;
    OK(db_thin(db, in, 0, 6, on_range, NULL, &err));
    assert_int_equal(nranges, 2);
    assert_true(ranges[0].lo == 6 && ranges[0].hi == 9 && ranges[1].lo == 3 && ranges[1].hi == 4);
    nranges = 0;
    OK(db_thin(db, in, 3, 6, on_range, NULL, &err));
    assert_true(nranges == 1 && ranges[0].lo == 1 && ranges[0].hi == 2);
    db_close(&db);
}

/* THREATS 43: another UIDVALIDITY drops rows and keeps what the user wanted. */
static void test_uidvalidity(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), archive = make_mailbox(db, "Archive", 8);
    uint64_t id = put_uid(db, in, 10, "a@x"), other = put_uid(db, in, 11, "b@x");
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    bool dropped;
    OK(db_box_open(db, in, 99, 50, 2, false, true, STR(""), &dropped, &err));
    assert_true(dropped);
    assert_int_equal(msg_of(db, other).id, 0);
    struct db_batch batch;
    OK(db_intent_next(db, 1000, 1000, &batch, NULL, &err));
    assert_int_equal(batch.nintents, 1);
    assert_int_equal(batch.items[0].uid, 0); /* never the old UID */
    assert_true(str_eqz(batch.items[0].msgid, "a@x"));
    struct db_row row = row_of(in, 10, "a@x"); /* the same message under another UID */
    row.uid = 41;
    assert_int_equal(put(db, &row), id);
    assert_int_equal(msg_of(db, id).box, archive);
    OK(db_intent_next(db, 1000, 1000, &batch, NULL, &err));
    assert_int_equal(batch.items[0].uid, 41);
    assert_int_equal(batch.uidvalidity, 99);
    db_close(&db);
}

/* THREATS 45: a UID given twice is two messages. */
static void test_uid_reused(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), id = put_uid(db, in, 10, "a@x");
    want(db, INTENT_PURGE, &id, 1, 0, 0, 0);
    uint64_t fresh = put_uid(db, in, 10, "b@x");
    assert_int_not_equal(fresh, id);
    struct db_batch batch;
    OK(db_intent_next(db, 99999, 1000, &batch, NULL, &err));
    assert_int_equal(batch.nintents, 0);
    db_close(&db);
}

/* Ids are never given twice, whatever happens to cache.db. */
static void test_cache_lost(void **state)
{
    (void)state;
    unsigned opened;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), archive = make_mailbox(db, "Archive", 8), ids[50];
    for (uint32_t i = 0; i < 50; i++) {
        char msgid[32];
        snprintf(msgid, sizeof msgid, "m%u@x", i);
        ids[i] = put_uid(db, in, i + 1, msgid);
    }
    want(db, INTENT_MOVE, &ids[3], 1, archive, 0, 0);
    db_close(&db);
    unlink(file_of("cache.db"));
    unlink(file_of("cache.db-wal"));
    unlink(file_of("cache.db-shm"));
    db = open_db(false, &opened);
    assert_int_equal(opened, DB_CACHE_NEW);
    struct db_box b;
    OK(db_box_by_name(db, STR("INBOX"), &b, &err));
    assert_int_equal(b.id, in);
    assert_int_equal(b.uidvalidity, 0);
    struct db_batch batch; /* enough is kept to send it before a row is back */
    OK(db_intent_next(db, 1000, 1000, &batch, NULL, &err));
    assert_int_equal(batch.nitems, 1);
    assert_int_equal(batch.items[0].uid, 4);
    assert_int_equal(batch.uidvalidity, 7);
    assert_true(str_eqz(batch.box_name, "INBOX") && str_eqz(batch.target_name, "Archive"));
    bool dropped;
    OK(db_box_open(db, in, 7, 60, 50, false, true, STR(""), &dropped, &err));
    assert_int_equal(put_uid(db, in, 4, "m3@x"), ids[3]);
    assert_int_equal(msg_of(db, ids[3]).box, archive);
    assert_true(put_uid(db, in, 5, "m4@x") > ids[49]);
    db_close(&db);
}

static void scribble(const char *name, off_t at, size_t n)
{
    int fd = open(file_of(name), O_WRONLY);
    assert_true(fd >= 0);
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    for (; n; n -= MIN(n, sizeof junk), at += (off_t)sizeof junk)
        assert_true(pwrite(fd, junk, MIN(n, sizeof junk), at) > 0);
    close(fd);
}

/* THREATS 164 */
static void test_cache_corrupt(void **state)
{
    (void)state;
    unsigned opened;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), id = put_uid(db, in, 1, "a@x");
    OK(db_meta_set(db, "word", STR("kept"), &err));
    db_close(&db);
    scribble("cache.db", 0, 8192);
    unlink(file_of("cache.db-wal"));
    db = open_db(false, &opened);
    assert_int_equal(opened, DB_CACHE_NEW | DB_CACHE_REBUILT);
    struct stat s;
    assert_int_equal(stat(file_of("cache.db.bad"), &s), 0);
    struct buf b = BUF_INIT(100);
    OK(db_meta_get(db, "word", &b, &err));
    assert_string_equal(buf_z(&b), "kept");
    buf_fini(&b);
    in = make_mailbox(db, "INBOX", 7);
    assert_true(put_uid(db, in, 1, "a@x") > id);
    db_close(&db);
}

/* THREATS 171 */
static void test_newer(void **state)
{
    (void)state;
    unsigned opened;
    struct db *db = open_db(false, NULL);
    db_close(&db);
    run_sql("cache.db", "PRAGMA user_version=99");
    db = open_db(false, &opened);
    assert_true(opened & DB_CACHE_REBUILT);
    db_close(&db);
    run_sql("keep.db", "PRAGMA user_version=99");
    REFUSED(ERR_STORE_NEWER, db_open(scratch, "work", false, &db, &opened, &err));
    assert_null(db);
    struct err e = ERR_INIT;
    assert_null(reader_open(scratch, "work", &e));
    assert_int_equal(e.kind, ERR_STORE_NEWER);
}

static void test_keep_corrupt(void **state)
{
    (void)state;
    unsigned opened;
    struct db *db = open_db(false, NULL);
    make_mailbox(db, "INBOX", 7);
    db_close(&db);
    struct stat before, after;
    scribble("keep.db", 4096, 16384);
    unlink(file_of("keep.db-wal"));
    stat(file_of("keep.db"), &before);
    struct err e = ERR_INIT;
    assert_false(db_open(scratch, "work", false, &db, &opened, &e));
    assert_int_equal(e.kind, ERR_STORE);
    assert_non_null(strstr(e.text, "damaged"));
    stat(file_of("keep.db"), &after);
    assert_int_equal(before.st_ino, after.st_ino); /* never rebuilt by itself */
}

/* THREATS 158: what was committed survives a killed process; what was not leaves no trace. */
static void test_killed(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), archive = make_mailbox(db, "Archive", 8),
             id = put_uid(db, in, 1, "a@x");
    db_close(&db);
    pid_t child = fork();
    if (!child) {
        struct err e = ERR_INIT;
        uint64_t group;
        uint32_t count;
        unsigned opened;
        if (!db_open(scratch, "work", false, &db, &opened, &e))
            _exit(2);
        struct db_intent move = {.kind = INTENT_MOVE, .msgs = &id, .n = 1, .target = archive, .now = 1};
        if (!db_intent_add(db, &move, &group, NULL, &count, &e) || !db_sync(db, &e))
            _exit(3);
        struct db_row row = row_of(in, 2, "b@x");
        uint64_t other;
        if (!db_begin(db, &e) || !db_row_put(db, &row, &other, NULL, &e))
            _exit(4);
        _exit(0); /* in the middle of a burst, nothing closed */
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
    db = open_db(false, NULL);
    assert_int_equal(msg_of(db, id).box, archive);
    assert_int_equal(counts_of(archive).total, 1);
    struct db_msg m;
    REFUSED(ERR_NO_MESSAGE, db_msg_at(db, in, 2, &m, &err));
    db_close(&db);
}

/* THREATS 157: the disk is full in the middle: the burst fails as a whole, nothing of it is seen, work goes on after.
 */
static void test_disk_full(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), id = put_uid(db, in, 1, "a@x"), box, group;
    uint32_t fresh, count;
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    while (db_take_changed(db, &box, &fresh))
        ;
    signal(SIGXFSZ, SIG_IGN);
    small = old;
    small.rlim_cur = 200000;
    setrlimit(RLIMIT_FSIZE, &small);
    OK(db_begin(db, &err));
    bool failed = false;
    for (uint32_t uid = 2; uid < 5000; uid++) {
        struct db_row row = row_of(in, uid, "x@x");
        struct err e = ERR_INIT;
        uint64_t other;
        failed = failed || !db_row_put(db, &row, &other, NULL, &e);
    }
    struct err e = ERR_INIT;
    assert_false(db_commit(db, &e));
    assert_true(e.kind == ERR_DISK_FULL || e.kind == ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(db_take_changed(db, &box, &fresh));
    assert_int_equal(counts_of(in).known, 1);
    assert_int_equal(msg_of(db, id).id, id);
    struct db_intent flag = {.kind = INTENT_FLAGS, .msgs = &id, .n = 1, .set = FLAG_SEEN, .now = 1};
    OK(db_intent_add(db, &flag, &group, NULL, &count, &err));
    assert_true(put_uid(db, in, 2, "b@x") > id);
    db_close(&db);
    unsigned opened;
    db = open_db(false, &opened);
    assert_int_equal(opened, 0);
    assert_int_equal(counts_of(in).known, 2);
    db_close(&db);
}

static void test_rollback(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), box;
    uint32_t fresh;
    while (db_take_changed(db, &box, &fresh))
        ;
    OK(db_begin(db, &err));
    put_uid(db, in, 1, "a@x");
    db_rollback(db);
    assert_int_equal(counts_of(in).known, 0);
    assert_false(db_take_changed(db, &box, &fresh));
    put_uid(db, in, 1, "a@x");
    assert_true(db_take_changed(db, &box, &fresh));
    assert_int_equal(box, in);
    assert_int_equal(fresh, 1);
    db_close(&db);
}

static void test_first_filling_is_not_news(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), box;
    bool dropped;
    uint32_t fresh;
    uint64_t work;
    OK(db_box_put(db, &(struct db_box){.name = STR("Work"), .delim = '/', .exists = UINT32_MAX, .unread = UINT32_MAX},
                  &work, &err));
    OK(db_box_open(db, work, 3, 100, 2, false, true, STR(""), &dropped, &err));
    put_uid(db, work, 99, "a@x");
    while (db_take_changed(db, &box, &fresh))
        assert_int_equal(fresh, 0);
    put_uid(db, work, 100, "b@x");
    while (db_take_changed(db, &box, &fresh))
        assert_int_equal(fresh, box == work ? 1 : 0);
    (void)in;
    db_close(&db);
}

static uint32_t fresh_of(struct db *db, const struct db_row *row)
{
    uint64_t id, box;
    uint32_t fresh, sum = 0;
    OK(db_row_put(db, row, &id, NULL, &err));
    while (db_take_changed(db, &box, &fresh))
        sum += fresh;
    return sum;
}

static void test_what_is_news(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), lists = make_mailbox(db, "Lists", 8),
             sent = make_mailbox(db, "Sent", 9);
    bool dropped;
    OK(db_box_open(db, in, 7, 10, 0, false, true, STR(""), &dropped, &err));
    OK(db_box_open(db, lists, 8, 10, 0, false, true, STR(""), &dropped, &err));
    OK(db_box_open(db, sent, 9, 10, 0, false, true, STR(""), &dropped, &err));
    struct db_row row = row_of(in, 10, "new@x");
    assert_int_equal(fresh_of(db, &row), 1);
    row = row_of(in, 11, "seen@x");
    row.flags = FLAG_SEEN;
    assert_int_equal(fresh_of(db, &row), 0);
    row = row_of(in, 12, "old@x");
    row.internal_date = 1000000000;
    assert_int_equal(fresh_of(db, &row), 0);
    row = row_of(sent, 10, "mine@x");
    assert_int_equal(fresh_of(db, &row), 0);
    /* copied, and moved, by another client */
    row = row_of(lists, 10, "new@x");
    assert_int_equal(fresh_of(db, &row), 0);
    OK(db_gone(db, in, 12, 12, &err));
    row = row_of(lists, 11, "old@x");
    assert_int_equal(fresh_of(db, &row), 0);
    row = row_of(lists, 12, "list@x");
    assert_int_equal(fresh_of(db, &row), 1);
    db_close(&db);
}

static void test_what_status_counted_is_not_counted_again(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7);
    put_uid(db, in, 1, "a@x");
    put_uid(db, in, 2, "b@x");
    /* of a hundred, ninety unread; one of ours was read meanwhile, and STATUS knows it */
    OK(db_box_counts(db, in, &(struct db_counted){100, 90, 7, 101, 50}, &err));
    OK(db_flags_put(db, in, 1, FLAG_SEEN, STR(""), 40, &err));
    assert_int_equal(counts_of(in).unread, 90);
    OK(db_flags_put(db, in, 2, FLAG_SEEN, STR(""), 51, &err));
    assert_int_equal(counts_of(in).unread, 89);
    OK(db_box_counts(db, in, &(struct db_counted){UINT32_MAX, 88, UINT32_MAX, UINT32_MAX, 52}, &err));
    assert_int_equal(counts_of(in).total, 100);
    OK(db_gone(db, in, 1, 2, &err));
    OK(db_box_recount(db, in, 52, &err));
    assert_int_equal(counts_of(in).unread, 88);
    db_close(&db);
}

/* ---- threads ------------------------------------------------------------------------------------ */

static uint64_t put_refs(struct db *db, uint64_t box, uint32_t uid, const char *msgid, const char *refs)
{
    struct db_row row = row_of(box, uid, msgid);
    row.refs = str_z(refs);
    return put(db, &row);
}

static void test_threads(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), sent = make_mailbox(db, "Sent", 8);
    /* children first, parents unknown */
    uint64_t c = put_refs(db, in, 30, "c@x", "a@x b@x"), d = put_refs(db, in, 29, "d@x", "e@x"),
             lone = put_refs(db, in, 28, "l@x", "");
    assert_int_not_equal(msg_of(db, c).thread, msg_of(db, d).thread);
    uint64_t b = put_refs(db, sent, 1, "b@x", "a@x"); /* another mailbox, the same thread */
    assert_int_equal(msg_of(db, b).thread, msg_of(db, c).thread);
    uint64_t e = put_refs(db, in, 27, "e@x", "b@x"); /* a late parent joins two threads */
    assert_int_equal(msg_of(db, e).thread, msg_of(db, c).thread);
    assert_int_equal(msg_of(db, d).thread, msg_of(db, c).thread);
    assert_int_not_equal(msg_of(db, lone).thread, msg_of(db, c).thread);
    /* the link outlives the message */
    OK(db_gone(db, sent, 1, 1, &err));
    assert_int_equal(msg_of(db, put_refs(db, in, 26, "f@x", "b@x")).thread, msg_of(db, c).thread);
    db_close(&db);
}

static uint64_t put_subject(struct db *db, uint64_t box, uint32_t uid, const char *msgid, const char *refs,
                            const char *subject, uint32_t attrs)
{
    struct db_row row = row_of(box, uid, msgid);
    row.refs = str_z(refs);
    row.subject = str_z(subject);
    row.attrs = attrs;
    return put(db, &row);
}

/* Option threads-by-subject: what names no other message is of the thread with its base subject, when it is known that
 * it names none. */
static void test_threads_by_subject(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7);
    uint64_t a = put_subject(db, in, 1, "a@x", "", "The plan", ROW_FULL),
             b = put_subject(db, in, 2, "b@x", "", "Re: the plan", ROW_FULL);
    assert_int_not_equal(msg_of(db, a).thread, msg_of(db, b).thread); /* off */
    db_set_threads(db, true);
    uint64_t c = put_subject(db, in, 3, "c@x", "", "A walk", ROW_FULL),
             d = put_subject(db, in, 4, "d@x", "", "AW: Re: a  walk", ROW_FULL),
             e = put_subject(db, in, 5, "e@x", "a@x", "Re: A walk", ROW_FULL),
             f = put_subject(db, in, 6, "f@x", "", "Re: a walk", 0),
             g = put_subject(db, in, 7, "g@x", "", "Re:", ROW_FULL),
             h = put_subject(db, in, 8, "h@x", "", "Re:", ROW_FULL);
    assert_int_equal(msg_of(db, c).thread, msg_of(db, d).thread);
    assert_int_equal(msg_of(db, e).thread, msg_of(db, a).thread);     /* it names another */
    assert_int_not_equal(msg_of(db, f).thread, msg_of(db, c).thread); /* nobody knows yet what it names */
    assert_int_not_equal(msg_of(db, g).thread, msg_of(db, h).thread); /* no words at all */
    put_subject(db, in, 6, "f@x", "", "Re: a walk", ROW_FULL);
    assert_int_equal(msg_of(db, f).thread, msg_of(db, c).thread);
    /* what was here before follows, some at a time; a start goes on where it was */
    bool more = true;
    OK(db_threads_again(db, 1, &more, &err));
    assert_true(more && msg_of(db, a).thread != msg_of(db, b).thread);
    for (unsigned i = 0; more; i++) {
        OK(db_threads_again(db, 3, &more, &err));
        assert_true(i < 10);
    }
    assert_int_equal(msg_of(db, a).thread, msg_of(db, b).thread);
    assert_int_equal(msg_of(db, e).thread, msg_of(db, a).thread);
    assert_int_not_equal(msg_of(db, c).thread, msg_of(db, a).thread);
    assert_int_not_equal(msg_of(db, g).thread, msg_of(db, h).thread);
    OK(db_threads_again(db, 1, &more, &err));
    assert_false(more);
    /* what came while it was off follows when it is on again */
    db_set_threads(db, false);
    OK(db_threads_again(db, 50, &more, &err));
    uint64_t k = put_subject(db, in, 9, "k@x", "", "Re: the plan", ROW_FULL);
    assert_int_not_equal(msg_of(db, k).thread, msg_of(db, a).thread);
    db_set_threads(db, true);
    OK(db_threads_again(db, 50, &more, &err));
    assert_int_equal(msg_of(db, k).thread, msg_of(db, a).thread);
    db_close(&db);
}

/* THREATS 108 */
static void test_thread_loops(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7);
    uint64_t a = put_refs(db, in, 1, "a@x", "b@x"), b = put_refs(db, in, 2, "b@x", "a@x"),
             self = put_refs(db, in, 3, "s@x", "s@x s@x");
    assert_int_equal(msg_of(db, a).thread, msg_of(db, b).thread);
    assert_int_equal(msg_of(db, self).thread, self);
    struct buf refs = BUF_INIT(1 << 20);
    for (unsigned i = 0; i < 20000; i++)
        buf_addf(&refs, "r%u@x ", i);
    uint64_t lng = put_refs(db, in, 4, "long@x", buf_z(&refs));
    assert_int_equal(msg_of(db, put_refs(db, in, 5, "root@x", "r0@x")).thread, msg_of(db, lng).thread);
    buf_fini(&refs);
    /* no Message-ID: a thread of its own (THREATS 107) */
    assert_int_not_equal(msg_of(db, put_refs(db, in, 6, "", "")).thread,
                         msg_of(db, put_refs(db, in, 7, "", "")).thread);
    db_close(&db);
}

/* ---- tags --------------------------------------------------------------------------------------- */

static void assert_tags(struct db *db, uint64_t msg, const char *want_tags)
{
    struct buf b = BUF_INIT(1000);
    OK(db_tags(db, msg, &b, &err));
    assert_string_equal(buf_z(&b), want_tags);
    buf_fini(&b);
}

static void test_tags(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), copy_box = make_mailbox(db, "Copies", 8);
    struct db_row row = row_of(in, 10, "a@x");
    row.keywords = STR("work $Forwarded NonJunk $Label1");
    uint64_t id = put(db, &row);
    assert_tags(db, id, "label1 work");
    assert_int_equal(msg_of(db, id).flags, FLAG_FORWARDED | FLAG_NOTJUNK);
    struct db_row copy = row_of(in, 10, "a@x");
    copy.box = copy_box;
    uint64_t twin = put(db, &copy);
    assert_tags(db, twin, "label1 work"); /* copies share tags */
    struct db_row spoof = row_of(copy_box, 77, "a@x");
    spoof.subject = STR("other content");
    assert_tags(db, put(db, &spoof), ""); /* a spoofed Message-ID does not */
    OK(db_flags_put(db, in, 10, 0, STR("work later"), 9, &err));
    assert_tags(db, id, "later work");
    OK(db_tags_from_index(db, STR("a@x"), STR(""), STR("inbox unread later new-tag"), 0, 0, 5, &err));
    assert_tags(db, id, "later new-tag");
    struct db_batch batch;
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    assert_int_equal(batch.kind, INTENT_TAGS);
    struct db_flag_tags flags = {0};
    OK(db_flag_tags(db, STR("a@x"), STR(""), &flags, &err));
    assert_true(flags.rows == 3 && flags.living == 3 && flags.waits);
    assert_int_equal(db_flag_tags_all(&flags) & db_flag_tag(STR("flagged")), 0);
    OK(db_tags_from_index(db, STR("a@x"), STR(""), STR("later new-tag"), db_flag_tag(STR("flagged")),
                          db_flag_tag(STR("unread")), 6, &err));
    assert_tags(db, id, "later new-tag");
    assert_int_equal(msg_of(db, id).flags & (FLAG_SEEN | FLAG_FLAGGED), FLAG_SEEN | FLAG_FLAGGED);
    flags = (struct db_flag_tags){0};
    OK(db_flag_tags(db, STR("a@x"), STR(""), &flags, &err));
    assert_int_equal(db_flag_tags_all(&flags) & (db_flag_tag(STR("flagged")) | db_flag_tag(STR("unread"))),
                     db_flag_tag(STR("flagged")));
    assert_int_equal(db_flag_tag(STR("inbox")), 0);
    db_close(&db);
}

static unsigned conflicts_of(struct db *db)
{
    struct db_conflict c;
    unsigned n = 0;
    while (db_take_conflict(db, &c))
        n++;
    return n;
}

/* What goes to the server, what comes from there, and what of it stays here. */
static void test_tag_keywords(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), group;
    uint32_t count;
    char mine[] = "mine", own[] = "own", label[] = "$label2", none[] = "";
    struct tag_keyword hand[] = {{mine, label, none}, {own, none, none}};
    db_set_tag_names(db, (struct tag_names){hand, 2, "test"});
    struct db_row row = row_of(in, 10, "a@x");
    row.keywords = STR("$label2 caf=C3=A9 own To=20Do Work");
    uint64_t id = put(db, &row);
    assert_tags(db, id,
                "To\xc2\xa0"
                "Do Work caf\xc3\xa9 mine");
    /* the same words in another case are the same keywords */
    OK(db_flags_put(db, in, 10, 0, STR("$LABEL2 caf=c3=a9 WORK"), 9, &err));
    assert_tags(db, id, "Work caf\xc3\xa9 mine");
    struct db_row other = row_of(in, 11, "b@x");
    other.keywords = STR("work");
    assert_tags(db, put(db, &other), "Work"); /* spelled as it was first known */

    struct buf wire = BUF_INIT(1000);
    OK(db_tags_wire(db, in, STR("+mine -own +a(b -caf\xc3\xa9 -mine"), &wire, &err));
    assert_string_equal(buf_z(&wire), "+$label2 +a=28b -caf=C3=A9 -$label2 -mine");
    /* what we set is known to be there: a removal by another device is seen */
    struct db_batch batch;
    struct db_intent tag = {.kind = INTENT_TAGS, .msgs = &id, .n = 1, .arg = STR("+later +own"), .now = 5};
    OK(db_intent_add(db, &tag, &group, NULL, &count, &err));
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    assert_int_equal(batch.nintents, 1);
    uint64_t intent = batch.intents[0];
    OK(db_intents_sent(db, &intent, 1, &err));
    OK(db_intents_done(db, &intent, 1, &err));
    assert_tags(db, id, "Work caf\xc3\xa9 later mine own");
    OK(db_flags_put(db, in, 10, 0, STR("$label2"), 10, &err));
    assert_tags(db, id, "mine own");
    assert_int_equal(conflicts_of(db), 0);

    /* two devices at once: the one that waits here comes last, and that is told */
    tag.arg = STR("-mine");
    OK(db_intent_add(db, &tag, &group, NULL, &count, &err));
    OK(db_flags_put(db, in, 10, 0, STR(""), 11, &err));
    assert_int_equal(conflicts_of(db), 0); /* it did the same */
    OK(db_flags_put(db, in, 10, 0, STR("$label2"), 12, &err));
    assert_tags(db, id, "own");
    assert_int_equal(conflicts_of(db), 1);
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    intent = batch.intents[0];
    OK(db_intents_done(db, &intent, 1, &err));

    /* any keyword no more: what is listed goes, the rest stays and is told once */
    OK(db_box_keywords(db, in, false, STR("later $label2"), &err));
    buf_reset(&wire);
    OK(db_tags_wire(db, in, STR("+later +else"), &wire, &err));
    assert_string_equal(buf_z(&wire), "+later");
    buf_fini(&wire);
    tag.arg = STR("+else");
    OK(db_intent_add(db, &tag, &group, NULL, &count, &err));
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    assert_int_equal(batch.nintents, 0);
    assert_tags(db, id, "else own");
    assert_int_equal(conflicts_of(db), 1);
    tag.arg = STR("+again");
    OK(db_intent_add(db, &tag, &group, NULL, &count, &err));
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    assert_int_equal(conflicts_of(db), 0);
    /* the server refuses: the tag stays here */
    tag.arg = STR("+later");
    OK(db_intent_add(db, &tag, &group, NULL, &count, &err));
    OK(db_intent_next(db, 1000, 100, &batch, NULL, &err));
    assert_int_equal(batch.nintents, 1);
    intent = batch.intents[0];
    OK(db_tags_stay(db, &intent, 1, "full", &err));
    OK(db_flags_put(db, in, 10, FLAG_SEEN, STR(""), 13, &err));
    assert_tags(db, id, "again else later own");
    assert_int_equal(conflicts_of(db), 0); /* said above */
    db_close(&db);
}

/* ---- POP3 ledger -------------------------------------------------------------------------------- */

static char pops[512];
static void on_pop(void *arg, const struct db_pop *p)
{
    (void)arg;
    size_t n = strlen(pops);
    snprintf(pops + n, sizeof pops - n, "%u:%d%s ", p->number, (int)p->state, p->purged ? "p" : p->in_trash ? "t" : "");
}

/* In the order of the list: what the server says of each. size 0: made of the first letter. */
struct pop_said {
    const char *uidl;
    uint64_t size;
    const char *head; /* as its header would be, where it is asked for */
};
static const char *list_said(struct db *db, const struct pop_said *said, size_t n, int64_t now, uint32_t *doubts_r)
{
    uint32_t doubts = 0, known = 0;
    OK(db_pop_begin(db, &err));
    for (size_t i = 0; i < n; i++)
        OK(db_pop_add(db, (uint32_t)i + 1, said[i].size ? said[i].size : 100u + (unsigned char)said[i].uidl[0],
                      str_z(said[i].uidl), &err));
    OK(db_pop_end(db, now, &doubts, &err));
    for (size_t i = 0; doubts && i < n; i++) {
        struct err none = ERR_INIT;
        if (said[i].head)
            db_pop_head(db, (uint32_t)i + 1, str_z(said[i].head), &none); /* what is not in doubt is not asked for */
    }
    if (doubts)
        OK(db_pop_settle(db, now, &known, &err));
    if (doubts_r)
        *doubts_r = doubts;
    pops[0] = 0;
    OK(db_pop_each(db, 0, on_pop, NULL, &err));
    return pops;
}

static const char *list_pop(struct db *db, const char *const *uidls, size_t n)
{
    struct pop_said said[16] = {0};
    assert_true(n <= COUNT(said));
    for (size_t i = 0; i < n; i++)
        said[i].uidl = uidls[i];
    return list_said(db, said, n, 1, NULL);
}

static uint64_t deliver_as(struct db *db, uint64_t box, uint32_t number, const char *name, const char *head)
{
    uint64_t msg;
    struct db_row row = row_of(box, 0, name);
    row.name = str_z(name);
    row.path = str_z(name);
    OK(db_pop_delivered(db, number, &row, str_z(head), 5, &msg, &err));
    return msg;
}

static uint64_t deliver(struct db *db, uint64_t box, uint32_t number, const char *name)
{
    return deliver_as(db, box, number, name, "");
}

/* THREATS 76 77 86 87 91 */
static void test_ledger(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    static const char *const first[] = {"a", "dup", "dup", "../x y\x01"}, *const moved[] = {"dup", "a", "dup"},
                             *const fewer[] = {"dup", "new"};
    assert_string_equal(list_pop(db, first, 4), "1:0 2:0 3:0 4:0 ");
    REFUSED(ERR_USAGE, db_pop_delete(db, 1, &err)); /* not here: no DELE */
    REFUSED(ERR_NO_MESSAGE, db_pop_delete(db, 9, &err));
    uint64_t m1 = deliver(db, in, 1, "n1"), m2 = deliver(db, in, 2, "n2");
    assert_true(m1 && m2 && m1 != m2);
    assert_int_equal(deliver(db, in, 1, "n1"), m1);
    OK(db_pop_delete(db, 1, &err));
    OK(db_sync(db, &err));
    assert_false(db_needs_sync(db));
    OK(db_pop_dele_ok(db, 1, &err));
    db_close(&db); /* the line is lost: no QUIT */
    db = open_db(true, NULL);
    /* other numbers; the deletion was not committed; one of the two equal ones is here */
    assert_string_equal(list_pop(db, moved, 3), "1:1 2:2 3:0 ");
    OK(db_pop_dele_ok(db, 2, &err));
    OK(db_pop_quit(db, true, &err));
    /* one of the two equal ones went: the undelivered must not be taken for the delivered */
    assert_string_equal(list_pop(db, fewer, 2), "1:0 2:0 ");
    db_close(&db);
}

/* keep.db is written first: what the cache misses of a burst is found again, under the ids it had (THREATS 86, 158). */
static void test_cache_of_before(void **state)
{
    (void)state;
    unsigned opened;
    char before[256], vacuum[300];
    struct db *db = open_db(true, NULL);
    db_close(&db);
    snprintf(before, sizeof before, "%s", file_of("cache.before"));
    snprintf(vacuum, sizeof vacuum, "VACUUM INTO '%s'", before);
    run_sql("cache.db", vacuum);
    db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    assert_string_equal(list_pop(db, (const char *const[]){"a"}, 1), "1:0 ");
    uint64_t id = deliver(db, in, 1, "n1");
    db_close(&db);
    unlink(file_of("cache.db-wal"));
    unlink(file_of("cache.db-shm"));
    assert_int_equal(rename(before, file_of("cache.db")), 0);
    db = open_db(true, &opened);
    assert_int_equal(opened, 0);
    assert_int_equal(make_mailbox(db, "", 0), in);
    struct db_row row = row_of(in, 0, "a@x");
    row.name = STR("n1");
    row.path = STR("new/n1");
    assert_int_equal(put(db, &row), id);
    db_close(&db);
}

/* Every outcome of a QUIT: all done, nothing done, and some of it (the server's matter, RFC 1939 6). THREATS 87 */
static void test_ledger_quit(void **state)
{
    (void)state;
    static const char *const all[] = {"a", "b", "c"}, *const last[] = {"c"};
    for (int outcome = 0; outcome < 3; outcome++) {
        struct db *db = open_db(true, NULL);
        uint64_t in = make_mailbox(db, "", 0);
        list_pop(db, all, 3);
        for (uint32_t i = 1; i <= 3; i++) {
            char name[20];
            snprintf(name, sizeof name, "%d.%u", outcome, i);
            deliver_as(db, in, i, name, name);
            OK(db_pop_delete(db, i, &err));
            OK(db_pop_dele_ok(db, i, &err));
        }
        OK(db_pop_quit(db, outcome == 0, &err)); /* an end that is not confirmed may have been one all the same */
        if (outcome == 0)
            assert_string_equal(list_pop(db, NULL, 0), "");
        else if (outcome == 1)
            assert_string_equal(list_pop(db, all, 3), "1:2 2:2 3:2 ");
        else
            assert_string_equal(list_pop(db, last, 1), "1:2 ");
        OK(db_pop_quit(db, true, &err));
        assert_string_equal(list_pop(db, NULL, 0), "");
        db_close(&db);
    }
}

/* RFC 1939 7: the id of a message that is gone may be another's, with as many bytes. It is fetched, and what was not
 * deleted after all is not. */
static void test_ledger_reused(void **state)
{
    (void)state;
    static const struct pop_said old[] = {{"1", 10, "head 1"}, {"2", 10, "head 2"}},
                                 fresh[] = {{"1", 10, "head 3"}, {"2", 10, "head 2"}},
                                 mute[] = {{"1", 10, NULL}, {"2", 11, NULL}};
    for (int confirmed = 0; confirmed < 2; confirmed++) {
        uint32_t doubts;
        struct db *db = open_db(true, NULL);
        uint64_t in = make_mailbox(db, "", 0);
        list_said(db, old, 2, 1, NULL);
        for (uint32_t i = 1; i <= 2; i++) {
            deliver_as(db, in, i, i == 1 ? "r1" : "r2", old[i - 1].head);
            OK(db_pop_delete(db, i, &err));
            OK(db_pop_dele_ok(db, i, &err));
        }
        OK(db_pop_quit(db, confirmed == 1, &err));
        assert_string_equal(list_said(db, fresh, 2, 1, &doubts), "1:0 2:2 ");
        assert_int_equal(doubts, 2);
        REFUSED(ERR_USAGE, db_pop_delete(db, 1, &err));
        OK(db_pop_delete(db, 2, &err));
        list_said(db, NULL, 0, 1, NULL); /* the ledger is empty again */
        db_close(&db);
    }
    /* Without headers: what a QUIT that was confirmed has deleted is new, what has another size is never deleted. */
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    list_said(db, old, 2, 1, NULL);
    deliver_as(db, in, 1, "m1", "head 1");
    deliver_as(db, in, 2, "m2", "head 2");
    OK(db_pop_delete(db, 1, &err));
    OK(db_pop_dele_ok(db, 1, &err));
    OK(db_pop_quit(db, true, &err));
    for (int pass = 0; pass < 2; pass++) {
        assert_string_equal(list_said(db, mute, 2, 1, NULL), "1:0 2:1 ");
        REFUSED(ERR_USAGE, db_pop_delete(db, 2, &err));
    }
    db_close(&db);
}

/* The same between two passes, with as many bytes: it is seen where its header is compared. */
static void test_ledger_compared(void **state)
{
    (void)state;
    static const struct pop_said said[] = {{"1", 10, 0}, {"2", 10, 0}, {"3", 10, 0}, {"4", 10, 0}};
    enum pop_is is;
    enum pop_state to;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    list_said(db, said, 4, 1000, NULL);
    for (uint32_t i = 1; i <= 4; i++)
        deliver_as(db, in, i, i == 1 ? "c1" : i == 2 ? "c2" : i == 3 ? "c3" : "c4", i == 3 ? "" : i == 4 ? "h4" : "h");
    assert_string_equal(list_said(db, said, 4, 2000, NULL), "1:1 2:1 3:1 4:1 ");
    OK(db_pop_compare(db, 1, STR("h"), 2000, &is, &err));
    assert_int_equal(is, POP_SAME);
    OK(db_pop_compare(db, 2, STR("other"), 2000, &is, &err));
    assert_int_equal(is, POP_OTHER);
    OK(db_pop_other(db, 2, 2000, &to, &err));
    assert_int_equal(to, POP_SEEN);
    OK(db_pop_compare(db, 3, STR("h3"), 2000, &is, &err)); /* none was known: it is now */
    assert_int_equal(is, POP_SAME);
    OK(db_pop_compare(db, 3, STR(""), 2000, &is, &err));
    assert_int_equal(is, POP_UNKNOWN);
    OK(db_pop_compare(db, 3, STR("h4"), 2000, &is, &err));
    assert_int_equal(is, POP_OTHER);
    REFUSED(ERR_NO_MESSAGE, db_pop_compare(db, 5, STR("h"), 2000, &is, &err));
    REFUSED(ERR_USAGE, db_pop_delete(db, 2, &err)); /* it is not here */
    deliver_as(db, in, 2, "c5", "other");
    OK(db_pop_delete(db, 2, &err));
    for (int64_t now = 3000; now < 3000 + 40 * 86400; now += 20 * 86400) /* also when the old one is forgotten */
        assert_string_equal(list_said(db, said, 4, now, NULL), "1:1 2:2 3:1 4:1 ");
    /* What had been here under that id, or another, and is back. */
    static const struct pop_said fewer[] = {{"1", 10, 0}, {"2", 10, 0}, {"3", 10, 0}};
    list_said(db, fewer, 3, 3000, NULL);
    OK(db_pop_compare(db, 1, STR("h4"), 3000, &is, &err));
    assert_int_equal(is, POP_OTHER);
    OK(db_pop_other(db, 1, 3000, &to, &err));
    assert_int_equal(to, POP_DELIVERED);
    db_close(&db);
}

#define STUB(n) "1.R" #n "_s0000000000001000_t000000000000000" #n ".tuimail"
#define WHOLE(n) "1.R" #n "_t000000000000000" #n ".tuimail"

/* Two mails whose UIDL was the same, and so the tag of their files: who deletes the old one for good has not seen the
 * other, of which the header alone is here. */
static void test_ledger_reused_tag(void **state)
{
    (void)state;
    static const struct pop_said old[] = {{"a", 10, 0}}, large[] = {{"a", 4096, 0}};
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    list_said(db, old, 1, 1000, NULL);
    uint64_t first = deliver_as(db, in, 1, WHOLE(1), "head 1");
    OK(db_pop_delete(db, 1, &err));
    OK(db_pop_dele_ok(db, 1, &err));
    OK(db_pop_quit(db, true, &err));
    list_said(db, NULL, 0, 1000, NULL);
    list_said(db, large, 1, 1000, NULL);
    uint64_t second = deliver_as(db, in, 1, "2.R1_s0000000000001000_t0000000000000001.tuimail", "head 2");
    assert_true(first && second && first != second);
    OK(db_pop_purged(db, first, STR(WHOLE(1)), 2000, &err));
    OK(db_pop_whole(db, first, STR(WHOLE(1)), 2000, &err));
    assert_string_equal(list_said(db, large, 1, 2000, NULL), "1:5 ");
    OK(db_pop_purged(db, second, STR("2.R1_s0000000000001000_t0000000000000001.tuimail"), 2000, &err));
    assert_string_equal(list_said(db, large, 1, 2000, NULL), "1:1p ");
    db_close(&db);
}

/* A server that gives all its messages new UIDLs, uses one again for another message, or lists nothing for a while:
 * nothing is fetched twice, nothing is missed. */
static void test_ledger_changing(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    uint32_t doubts;
    static const struct pop_said first[] = {{"1", 10, 0}, {"2", 20, 0}, {"3", 30, 0}};
    assert_string_equal(list_said(db, first, 3, 1000, &doubts), "1:0 2:0 3:0 ");
    assert_int_equal(doubts, 0);
    deliver_as(db, in, 1, "n1", "head 1");
    deliver_as(db, in, 2, "n2", "head 2"); /* 3 is not here */
    /* all renumbered, with other sizes too, and one new */
    static const struct pop_said other[] = {
        {"x1", 10, "head 1"}, {"x2", 21, "head 2"}, {"x3", 30, "head 3"}, {"x4", 10, "head 4"}};
    assert_string_equal(list_said(db, other, 4, 1000, &doubts), "1:1 2:1 3:0 4:0 ");
    assert_int_equal(doubts, 4);
    assert_string_equal(list_said(db, other, 4, 1000, &doubts), "1:1 2:1 3:0 4:0 "); /* known by now */
    assert_int_equal(doubts, 0);
    /* the number of a message that went is given to another: not taken for what was here */
    static const struct pop_said again[] = {{"x1", 55, "head 5"}, {"x2", 21, "head 2"}};
    assert_string_equal(list_said(db, again, 2, 1000, &doubts), "1:0 2:1 ");
    assert_int_equal(doubts, 1);
    /* headers that cannot be looked at: the UIDL is believed */
    static const struct pop_said mute[] = {{"x2", 22, NULL}};
    assert_string_equal(list_said(db, mute, 1, 1000, &doubts), "1:1 ");
    assert_int_equal(doubts, 1);
    /* an empty list, then all is back; then too late for that */
    assert_string_equal(list_said(db, NULL, 0, 2000, &doubts), "");
    static const struct pop_said back[] = {{"x2", 22, "head 2"}};
    assert_string_equal(list_said(db, back, 1, 3000, &doubts), "1:1 ");
    assert_string_equal(list_said(db, NULL, 0, 4000, &doubts), "");
    assert_string_equal(list_said(db, NULL, 0, 4000 + 31 * 86400, &doubts), "");
    assert_string_equal(list_said(db, back, 1, 4000 + 31 * 86400, &doubts), "1:0 ");
    assert_int_equal(doubts, 0);
    db_close(&db);
}

/* Of a mail whose header alone is here nothing is deleted, until its body is, or the user deletes it for good. */
static void test_ledger_stub(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0), trash = make_mailbox(db, "Trash", 0);
    static const struct pop_said list[] = {{"a", 4096, 0}, {"b", 4096, 0}, {"c", 4096, 0}, {"d", 10, 0}};
    list_said(db, list, 4, 1000, NULL);
    uint64_t a = deliver_as(db, in, 1, STUB(1), "a"), b = deliver_as(db, in, 2, STUB(2), "b"),
             c = deliver_as(db, in, 3, STUB(3), "c"), d = deliver_as(db, trash, 4, WHOLE(4), "d");
    assert_true(a && b && c && d);
    assert_string_equal(list_said(db, list, 4, 1000, NULL), "1:5 2:5 3:5 4:1 ");
    REFUSED(ERR_USAGE, db_pop_delete(db, 1, &err));
    struct db_msg m;
    OK(db_msg_get(db, a, &m, &err));
    assert_int_equal(m.state, ROW_STUB);
    const uint64_t stubs[] = {a, b, c, 0};
    for (uint32_t number = 1; number <= COUNT(stubs); number++) {
        uint64_t msg;
        uint32_t back;
        OK(db_pop_stub(db, number, &msg, &err));
        assert_int_equal(msg, stubs[number - 1]);
        OK(db_pop_number(db, msg ? msg : d, &back, &err));
        assert_int_equal(back, msg ? number : 0);
    }
    OK(db_pop_body_is(db, a, in, STR(WHOLE(1)), STR("cur/" WHOLE(1)), FLAG_SEEN, 2000, &err));
    OK(db_msg_get(db, a, &m, &err));
    assert_int_equal(m.state, ROW_BODY);
    assert_int_equal(m.flags, FLAG_SEEN);
    OK(db_pop_purged(db, b, STR(STUB(2)), 2000, &err));
    pops[0] = 0;
    OK(db_pop_each(db, trash, on_pop, NULL, &err));
    assert_string_equal(pops, "1:1 2:1p 3:5 4:1t ");
    OK(db_pop_delete(db, 1, &err));
    OK(db_pop_delete(db, 2, &err));
    /* the body came, and its word was lost: the file says so */
    OK(db_pop_whole(db, c, STR(STUB(3)), 2000, &err));
    OK(db_pop_whole(db, c, STR("1.R9.other.host"), 2000, &err));
    assert_string_equal(list_said(db, list, 4, 1000, NULL), "1:2 2:2p 3:5 4:1 ");
    OK(db_pop_whole(db, c, STR(WHOLE(3)), 2000, &err));
    assert_string_equal(list_said(db, list, 4, 1000, NULL), "1:2 2:2p 3:1 4:1 ");
    db_close(&db);
}

#ifndef TUIMAIL_ASAN
static size_t held(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}
#endif

/* A long list of long UIDLs takes no more memory than a short one, and what was put into files is read as it was: all
 * of them new, all of them known, with and without doubts, two that share an id. */
static void test_ledger_big(void **state)
{
    (void)state;
    enum { COUNT_OF = 60000, TWO = 10000 };
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    for (int pass = 0; pass < 4; pass++) {
        uint32_t doubts, known;
#ifndef TUIMAIL_ASAN
        size_t before = held();
#endif
        OK(db_pop_begin(db, &err));
        for (uint32_t i = 1; i <= COUNT_OF; i++) {
            char uidl[80];
            snprintf(uidl, sizeof uidl, "%u-%060u", i == TWO ? TWO + 1 : i, i == TWO ? TWO + 1 : i);
            OK(db_pop_add(db, i, i == COUNT_OF && pass == 2 ? 11 : 10, str_z(uidl), &err));
        }
        OK(db_pop_end(db, 1, &doubts, &err));
        assert_int_equal(doubts, pass == 2);
        if (doubts)
            OK(db_pop_settle(db, 1, &known, &err));
#ifndef TUIMAIL_ASAN
        if (pass) /* the caches of the databases have what they take by now */
            assert_true(held() < before + (1024 << 10));
#endif
        if (!pass)
            deliver_as(db, in, COUNT_OF, "last", "head");
    }
    OK(db_pop_delete(db, COUNT_OF, &err));
    REFUSED(ERR_USAGE, db_pop_delete(db, COUNT_OF - 1, &err));
    REFUSED(ERR_NO_MESSAGE, db_pop_delete(db, COUNT_OF + 1, &err));
    db_close(&db);
}

/* One id for many, of which some come, some go, and the server says no sizes and says them again: each is one message
 * (THREATS 77), and a list of nothing else is gone through as fast as any. */
static void test_ledger_same_ids(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    static const struct pop_said three[] = {{"same", 10, 0}, {"same", 20, 0}, {"same", 30, 0}};
    static const struct pop_said turned[] = {{"same", 30, 0}, {"same", 10, 0}, {"same", 20, 0}, {"same", 40, 0}};
    assert_string_equal(list_said(db, three, 3, 1000, NULL), "1:0 2:0 3:0 ");
    deliver(db, in, 2, "two");
    assert_string_equal(list_said(db, three, 3, 1000, NULL), "1:0 2:1 3:0 ");
    assert_string_equal(list_said(db, turned, 4, 1000, NULL), "1:0 2:0 3:1 4:0 ");
    assert_string_equal(list_said(db, turned + 2, 1, 1000, NULL), "1:1 ");
    assert_string_equal(list_said(db, turned, 1, 1000, NULL), "1:1 "); /* of another size: in doubt, and believed */
    REFUSED(ERR_USAGE, db_pop_delete(db, 1, &err));
    assert_string_equal(list_said(db, three, 3, 1000, NULL), "1:0 2:1 3:0 ");
    enum { MANY = 30000 };
    for (int pass = 0; pass < 3; pass++) {
        uint32_t doubts;
        OK(db_pop_begin(db, &err));
        for (uint32_t i = 1; i <= MANY; i++)
            OK(db_pop_add(db, i, pass == 1 ? 0 : 100 + i % 7, STR("same"), &err));
        OK(db_pop_end(db, 1000, &doubts, &err));
    }
    db_close(&db);
}

/* Numbers that a broken fetch program might give. */
static void test_ledger_numbers(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint32_t doubts;
    REFUSED(ERR_USAGE, db_pop_add(db, 1, 1, STR("a"), &err));
    OK(db_pop_begin(db, &err));
    OK(db_pop_add(db, 2000000, 1, STR("a"), &err));
    OK(db_pop_add(db, 7, 1, STR(""), &err));
    REFUSED(ERR_USAGE, db_pop_add(db, 7, 1, STR("b"), &err));
    REFUSED(ERR_LIMIT, db_pop_add(db, 0, 1, STR("b"), &err));
    REFUSED(ERR_LIMIT, db_pop_add(db, 2000001, 1, STR("b"), &err));
    OK(db_pop_end(db, 1, &doubts, &err));
    pops[0] = 0;
    OK(db_pop_each(db, 0, on_pop, NULL, &err));
    assert_string_equal(pops, "7:0 2000000:0 ");
    db_close(&db);
}

/* ---- Maildir folders ---------------------------------------------------------------------------- */

static void test_scan(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0);
    struct db_row row = row_of(in, 0, "a@x");
    row.name = STR("u1");
    row.path = STR("new/u1");
    uint64_t id = put(db, &row);
    row.name = STR("u2");
    row.msgid = STR("b@x");
    uint64_t other = put(db, &row);
    bool known;
    OK(db_scan_begin(db, in, &err));
    OK(db_scan_seen(db, in, STR("u1"), STR("cur/u1:2,S"), FLAG_SEEN, 1001, &known, &err));
    assert_false(known); /* another size: rewritten by another program */
    OK(db_scan_seen(db, in, STR("u1"), STR("cur/u1:2,S"), FLAG_SEEN, row.size, &known, &err));
    assert_true(known);
    assert_true(str_eqz(msg_of(db, id).body, "cur/u1:2,S"));
    OK(db_scan_seen(db, in, STR("u3"), STR("new/u3"), 0, 7, &known, &err));
    assert_false(known);
    row.name = STR("u4"); /* delivered while the scan runs */
    row.msgid = STR("d@x");
    uint64_t late = put(db, &row);
    OK(db_scan_end(db, in, &err));
    assert_int_equal(msg_of(db, id).flags, FLAG_SEEN);
    assert_int_equal(msg_of(db, other).id, 0);
    assert_int_equal(msg_of(db, late).id, late);
    OK(db_name_is(db, late, in, STR("u5"), FLAG_FLAGGED, &err));
    assert_true(str_eqz(msg_of(db, late).name, "u5"));
    OK(db_name_gone(db, in, STR("u5"), &err));
    assert_int_equal(msg_of(db, late).id, 0);
    db_close(&db);
}

/* Another program moves a file: it is the same message, with its tags, in the other mailbox. */
static void test_file_moved(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "", 0), to = make_mailbox(db, "Other", 0), group, target;
    uint32_t count;
    struct db_row row = row_of(in, 0, "a@x");
    struct buf tags = BUF_INIT(200);
    bool known;
    row.name = STR("u1");
    row.path = STR("new/u1");
    uint64_t id = put(db, &row);
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_TAGS, .msgs = &id, .n = 1, .arg = STR("+todo")}, &group,
                     &target, &count, &err));
    OK(db_name_moved(db, in, STR("u1"), to, STR("u2"), STR(".Other/cur/u2:2,F"), FLAG_FLAGGED, &known, &err));
    assert_true(known);
    struct db_msg m = msg_of(db, id);
    assert_int_equal(m.box, to);
    assert_int_equal(m.sbox, to);
    assert_int_equal(m.flags, FLAG_FLAGGED);
    assert_true(str_eqz(m.name, "u2"));
    assert_true(str_eqz(m.body, ".Other/cur/u2:2,F"));
    OK(db_tags(db, id, &tags, &err));
    assert_string_equal(buf_z(&tags), "todo");
    /* of what was never known there is a row to read */
    OK(db_name_moved(db, in, STR("u7"), to, STR("u7"), STR(".Other/cur/u7:2,"), 0, &known, &err));
    assert_false(known);
    /* nor where it took the place of one that was: another program wrote it anew */
    OK(db_name_moved(db, in, STR("u8"), to, STR("u2"), STR(".Other/cur/u2:2,S"), FLAG_SEEN, &known, &err));
    assert_false(known);
    buf_fini(&tags);
    db_close(&db);
}

/* A folder that another program renamed is known by its id; one put back from a copy by its name. */
static void test_folder_renamed(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    static const struct {
        const char *first, *second, *id_first, *id_second;
    } lists[] = {{"a", "b", "1", "2"}, {"b", "c", "1", "2"}, {"b", "c", "8", "9"}};
    uint64_t ids[2] = {0}, first, second;
    for (size_t i = 0; i < COUNT(lists); i++) {
        OK(db_boxes_begin(db, &err));
        OK(db_box_put(db,
                      &(struct db_box){.name = str_z(lists[i].first), .delim = '.', .objid = str_z(lists[i].id_first)},
                      &first, &err));
        OK(db_box_put(
            db, &(struct db_box){.name = str_z(lists[i].second), .delim = '.', .objid = str_z(lists[i].id_second)},
            &second, &err));
        OK(db_boxes_end(db, &err));
        if (i == 0) {
            ids[0] = first;
            ids[1] = second;
        }
        assert_int_equal(first, ids[0]);
        assert_int_equal(second, ids[1]);
    }
    db_close(&db);
}

/* ---- outbox, timers, index queue ---------------------------------------------------------------- */

static void test_outbox(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t id, next;
    int64_t due;
    struct db_outbox o = {.state = OUTBOX_HELD,
                          .created = 1,
                          .due = 50,
                          .sender = STR("a@x"),
                          .rcpts = STR("b@x\nc@x"),
                          .file = STR("1.eml")};
    OK(db_outbox_add(db, &o, &id, &err));
    OK(db_outbox_next(db, &next, &due, &err));
    assert_true(next == id && due == 50);
    OK(db_outbox_set(db, id, OUTBOX_QUEUED, 0, ERR_NONE, "", false, &err));
    OK(db_outbox_set(db, id, OUTBOX_SENDING, 0, ERR_NONE, "", false, &err));
    db_close(&db);
    db = open_db(false, NULL); /* died while sending: unknown, never sent again by itself */
    OK(db_outbox_get(db, id, &o, &err));
    assert_int_equal(o.state, OUTBOX_UNKNOWN);
    assert_int_equal(o.tries, 1);
    REFUSED(ERR_USAGE, db_outbox_set(db, id, OUTBOX_QUEUED, 0, ERR_NONE, "", false, &err));
    OK(db_outbox_next(db, &next, &due, &err));
    assert_int_equal(next, 0);
    OK(db_outbox_set(db, id, OUTBOX_QUEUED, 60, ERR_NONE, "", true, &err));
    REFUSED(ERR_USAGE, db_outbox_forget(db, id, &err));
    OK(db_outbox_set(db, id, OUTBOX_CANCELED, 0, ERR_NONE, "", true, &err));
    OK(db_outbox_forget(db, id, &err));
    REFUSED(ERR_NO_MESSAGE, db_outbox_get(db, id, &o, &err));
    OK(db_timer_set(db, "snooze", 100, STR("x"), &err));
    struct buf name = BUF_INIT(64), arg = BUF_INIT(64);
    OK(db_timer_next(db, 99, &name, &arg, &due, &err));
    assert_true(due == 100 && !name.n);
    OK(db_timer_next(db, 100, &name, &arg, &due, &err));
    assert_string_equal(buf_z(&name), "snooze");
    buf_fini(&name);
    buf_fini(&arg);
    db_close(&db);
}

static unsigned what;
static char job_path[128], job_was[128], job_tags[128];
static uint64_t job_msg;
static void on_job(void *arg, const struct db_index_job *job)
{
    (void)arg;
    what = job->what;
    job_msg = job->msg.id;
    snprintf(job_path, sizeof job_path, "%.*s", STR_FMT(job->path));
    snprintf(job_was, sizeof job_was, "%.*s", STR_FMT(job->path_was));
    snprintf(job_tags, sizeof job_tags, "%.*s", STR_FMT(job->tags));
}
static size_t gone_paths;
static unsigned gone_now;
static char gone_path[64];
static void on_path(void *arg, struct str path, bool gone)
{
    (void)arg;
    snprintf(gone_path, sizeof gone_path, "%.*s", STR_FMT(path));
    gone_now += gone;
    gone_paths += !gone;
}

static void test_index_queue(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 7), archive = make_mailbox(db, "Archive", 8),
             id = put_uid(db, in, 10, "a@x");
    struct db_index_waiting pending;
    char expect[64];
    OK(db_index_next(db, INDEX_STAGE_FIRST, 10, on_job, NULL, &err));
    assert_int_equal(what, INDEX_WHAT_MAIL);
    snprintf(expect, sizeof expect, "work/%llu.7/10", (unsigned long long)in);
    assert_string_equal(job_path, expect);
    assert_string_equal(job_tags, "unread");
    OK(db_flags_put(db, in, 10, FLAG_FLAGGED, STR("work"), 1, &err)); /* while the index works */
    OK(db_index_done(db, &id, 1, &err));
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 1);
    OK(db_index_next(db, INDEX_STAGE_FIRST, 10, on_job, NULL, &err));
    assert_string_equal(job_tags, "unread flagged work");
    OK(db_index_done(db, &id, 1, &err));
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 0);
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    struct db_batch b;
    OK(db_intent_next(db, 1000, 10, &b, NULL, &err));
    OK(db_intents_sent(db, b.intents, b.nintents, &err));
    OK(db_item_moved(db, b.intents[0], id, 8, 3, STR(""), &err));
    OK(db_index_next(db, INDEX_STAGE_FIRST, 10, on_job, NULL, &err));
    assert_int_equal(what, INDEX_WHAT_PATH);
    assert_string_equal(job_was, expect);
    /* moved on while the index moves it: the next job begins where the index has it */
    char second[64];
    snprintf(second, sizeof second, "work/%llu.8/3", (unsigned long long)archive);
    want(db, INTENT_MOVE, &id, 1, in, 0, 0);
    OK(db_intent_next(db, 1000, 10, &b, NULL, &err));
    OK(db_intents_sent(db, b.intents, b.nintents, &err));
    OK(db_item_moved(db, b.intents[0], id, 7, 11, STR(""), &err));
    OK(db_index_done(db, &id, 1, &err));
    OK(db_index_next(db, INDEX_STAGE_FIRST, 10, on_job, NULL, &err));
    assert_int_equal(what, INDEX_WHAT_PATH);
    assert_string_equal(job_was, second);
    OK(db_index_failed(db, id, &err)); /* not there after all: added anew, and given up when that fails */
    OK(db_index_next(db, INDEX_STAGE_FIRST, 10, on_job, NULL, &err));
    assert_int_equal(what, INDEX_WHAT_MAIL);
    OK(db_index_failed(db, id, &err));
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 0);
    want(db, INTENT_MOVE, &id, 1, archive, 0, 0);
    OK(db_intent_next(db, 1000, 10, &b, NULL, &err));
    OK(db_intents_sent(db, b.intents, b.nintents, &err));
    OK(db_item_moved(db, b.intents[0], id, 8, 3, STR(""), &err));
    OK(db_index_next(db, INDEX_STAGE_FIRST, 10, on_job, NULL, &err));
    OK(db_index_done(db, &id, 1, &err));
    OK(db_gone(db, archive, 3, 3, &err));
    /* the index hears of it at once, and forgets it after a week */
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 1);
    OK(db_unindex_next(db, clock_wall(), 10, on_path, NULL, &err));
    assert_int_equal(gone_now, 1);
    OK(db_unindex_done(db, str_z(gone_path), false, &err)); /* of an earlier one */
    OK(db_unindex_done(db, str_z(gone_path), true, &err));
    OK(db_index_pending(db, &pending, &err));
    assert_int_equal(pending.all, 0);
    OK(db_unindex_next(db, clock_wall(), 10, on_path, NULL, &err));
    assert_int_equal(gone_paths, 0);
    OK(db_unindex_next(db, clock_wall() + 8 * 86400, 10, on_path, NULL, &err));
    assert_int_equal(gone_now, 1);
    assert_int_equal(gone_paths, 1);
    OK(db_unindex_done(db, str_z(gone_path), true, &err));
    OK(db_unindex_next(db, clock_wall() + 8 * 86400, 10, on_path, NULL, &err));
    assert_int_equal(gone_paths, 2);
    OK(db_unindex_done(db, str_z(gone_path), false, &err));
    OK(db_unindex_next(db, clock_wall() + 8 * 86400, 10, on_path, NULL, &err));
    assert_int_equal(gone_paths, 2);
    db_close(&db);
}

static struct {
    uint64_t id;
    unsigned what;
    bool header;
} out[1000];
static size_t nout;
static void on_out(void *arg, const struct db_index_job *job)
{
    (void)arg;
    out[nout].id = job->msg.id;
    out[nout].what = job->what;
    out[nout++].header = job->header;
}

static size_t hand_out(struct db *db, enum db_index_stage stage, unsigned max)
{
    nout = 0;
    OK(db_index_next(db, stage, max, on_out, NULL, &err));
    return nout;
}

static void taken(struct db *db)
{
    for (size_t i = 0; i < nout; i++)
        OK(db_index_done(db, &out[i].id, 1, &err));
}

static void assert_waiting(struct db *db, uint32_t all, uint32_t texts)
{
    struct db_index_waiting w;
    OK(db_index_pending(db, &w, &err));
    assert_int_equal(w.all, all);
    assert_int_equal(w.texts, texts);
}

/* A file of a Maildir, the later the newer. */
static uint64_t put_file(struct db *db, uint64_t box, unsigned i, uint64_t size)
{
    char name[32], path[64], msgid[32];
    snprintf(name, sizeof name, "f%u", i);
    snprintf(path, sizeof path, "maildir/cur/f%u:2,", i);
    snprintf(msgid, sizeof msgid, "m%u@x", i);
    struct db_row row = {.box = box,
                         .name = str_z(name),
                         .path = str_z(path),
                         .state = ROW_BODY,
                         .size = size,
                         .date = 1700000000 + (int64_t)i,
                         .internal_date = 1700000000,
                         .attrs = ROW_FULL,
                         .from_addr = STR("alice@example.org"),
                         .subject = STR("budget"),
                         .msgid = str_z(msgid)};
    return put(db, &row);
}

/* Of much mail the headers come first, then the texts, newest first, whatever happens between. */
static void test_texts_behind_headers(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 1), ids[300];
    for (unsigned i = 0; i < COUNT(ids); i++)
        ids[i] = put_file(db, in, i, INDEX_SMALL + 1);
    assert_waiting(db, 300, 0);
    assert_int_equal(hand_out(db, INDEX_STAGE_FIRST, 290), 290);
    for (size_t i = 0; i < nout; i++) {
        assert_int_equal(out[i].id, ids[299 - i]);
        assert_true(out[i].what == INDEX_WHAT_MAIL && out[i].header);
    }
    taken(db);
    assert_waiting(db, 300, 290);
    /* the last ones are too few to be read twice */
    assert_int_equal(hand_out(db, INDEX_STAGE_FIRST, 290), 10);
    assert_true(out[0].what == INDEX_WHAT_MAIL && !out[0].header);
    taken(db);
    assert_waiting(db, 290, 290);
    /* a few at a time, each once in a batch */
    db_index_texts(db);
    assert_int_equal(hand_out(db, INDEX_STAGE_TEXT, 3), 3);
    assert_true(out[0].id == ids[299] && out[2].id == ids[297] && out[0].what == INDEX_WHAT_TEXT);
    assert_int_equal(hand_out(db, INDEX_STAGE_TEXT, 3), 3);
    assert_int_equal(out[0].id, ids[296]);
    /* one changes its name meanwhile, and is told before its text is asked for again */
    OK(db_path_is(db, ids[296], STR("maildir/cur/f296:2,S"), &err));
    taken(db);
    assert_waiting(db, 288, 287);
    assert_int_equal(hand_out(db, INDEX_STAGE_FIRST, 10), 1);
    assert_true(out[0].id == ids[296] && out[0].what == INDEX_WHAT_PATH);
    taken(db);
    assert_waiting(db, 288, 288);
    /* what was handed out and not committed is handed out again, in this run and in the next */
    db_index_texts(db);
    assert_int_equal(hand_out(db, INDEX_STAGE_TEXT, 1), 1);
    assert_int_equal(out[0].id, ids[299]);
    db_close(&db);
    db = open_db(true, NULL);
    assert_waiting(db, 288, 288);
    db_index_texts(db);
    assert_int_equal(hand_out(db, INDEX_STAGE_TEXT, 2), 2);
    assert_true(out[0].id == ids[299] && out[1].id == ids[298]);
    /* a file that was not there is read when it is found elsewhere, and its header stays found */
    OK(db_index_failed(db, ids[299], &err));
    OK(db_index_failed(db, ids[298], &err));
    assert_waiting(db, 286, 286);
    OK(db_path_is(db, ids[299], STR("maildir/cur/f299:2,S"), &err));
    assert_int_equal(hand_out(db, INDEX_STAGE_FIRST, 10), 1);
    assert_int_equal(out[0].what, INDEX_WHAT_PATH);
    taken(db);
    assert_waiting(db, 287, 287);
    /* all anew */
    OK(db_index_reset(db, &err));
    assert_waiting(db, 300, 0);
    OK(db_begin(db, &err));
    OK(db_name_gone(db, in, STR("f0"), &err));
    db_rollback(db);
    assert_waiting(db, 300, 0);
    db_close(&db);
}

/* A batch goes on where it was, without what came meanwhile, and a small mail is not read twice. */
static void test_batch_in_pieces(void **state)
{
    (void)state;
    struct db *db = open_db(true, NULL);
    uint64_t in = make_mailbox(db, "INBOX", 1), ids[301];
    for (unsigned i = 0; i < 300; i++)
        ids[i] = put_file(db, in, i, INDEX_SMALL + i % 2);
    assert_int_equal(hand_out(db, INDEX_STAGE_FIRST, 100), 100);
    for (size_t i = 0; i < nout; i++)
        assert_true(out[i].id == ids[299 - i] && out[i].header == (i % 2 == 0));
    ids[300] = put_file(db, in, 300, 100);
    assert_int_equal(hand_out(db, INDEX_STAGE_MORE, 100), 100);
    for (size_t i = 0; i < nout; i++)
        assert_int_equal(out[i].id, ids[199 - i]);
    assert_int_equal(hand_out(db, INDEX_STAGE_MORE, 200), 100);
    taken(db);
    assert_waiting(db, 251, 50);
    assert_int_equal(hand_out(db, INDEX_STAGE_MORE, 100), 0);
    assert_int_equal(hand_out(db, INDEX_STAGE_FIRST, 1), 1);
    assert_int_equal(out[0].id, ids[300]);
    db_close(&db);
}

/* ---- Arrivals ----------------------------------------------------------------------------------- */
static size_t arrivals(struct db *db, uint64_t *first_r)
{
    uint64_t msgs[10] = {0};
    struct db_arrivals found;
    OK(db_arrivals(db, false, msgs, COUNT(msgs), &found, &err));
    *first_r = msgs[0];
    return found.ready;
}

static void indexed(struct db *db)
{
    struct db_index_waiting pending = {.all = 1};
    while (pending.all > 0) {
        OK(db_index_next(db, INDEX_STAGE_FIRST, 1, on_job, NULL, &err));
        OK(db_index_done(db, &job_msg, 1, &err));
        OK(db_index_pending(db, &pending, &err));
    }
}

static uint64_t arrive(struct db *db, uint64_t box, uint32_t uid, const char *msgid, uint32_t flags)
{
    uint64_t id;
    struct db_row row = {.box = box,
                         .uid = uid,
                         .msgid = str_z(msgid),
                         .flags = flags,
                         .size = 100,
                         .date = clock_wall(),
                         .attrs = ROW_FULL};
    OK(db_row_put(db, &row, &id, NULL, &err));
    return id;
}

/* What it has when it is first opened are the UIDs below `next`. */
static uint64_t box_from(struct db *db, const char *name, uint32_t uidvalidity, uint32_t next)
{
    uint64_t id = 0;
    bool dropped;
    struct db_box box = {
        .name = str_z(name), .utf8 = str_z(name), .delim = '/', .exists = UINT32_MAX, .unread = UINT32_MAX};
    OK(db_box_put(db, &box, &id, &err));
    OK(db_box_open(db, id, uidvalidity, next, 0, false, true, STR(""), &dropped, &err));
    return id;
}

static void test_arrivals(void **state)
{
    (void)state;
    uint64_t first;
    struct db *db = open_db(false, NULL);
    db_set_rules(db, true, NULL);
    uint64_t in = box_from(db, "INBOX", 7, 10), kept = box_from(db, "Kept", 8, 10), sent = make_mailbox(db, "Sent", 9);
    arrive(db, in, 9, "old@x", 0);
    arrive(db, in, 10, "read@x", FLAG_SEEN);
    arrive(db, kept, 10, "kept@x", 0);
    arrive(db, in, 11, "kept@x", 0); /* somebody moves it here */
    arrive(db, sent, 10, "own@x", FLAG_SEEN);
    uint64_t own = arrive(db, in, 12, "own@x", 0); /* a list brings one's own mail */
    assert_int_equal(arrivals(db, &first), 0);     /* the index has none yet */
    indexed(db);
    assert_int_equal(arrivals(db, &first), 1);
    assert_int_equal(first, own);
    /* a restart, and the loss of the cache, keep the mark and the id */
    db_close(&db);
    db = open_db(false, NULL);
    db_set_rules(db, true, NULL);
    assert_int_equal(arrivals(db, &first), 1);
    db_close(&db);
    unlink(file_of("cache.db"));
    db = open_db(false, NULL);
    db_set_rules(db, true, NULL);
    assert_int_equal(arrivals(db, &first), 0);
    assert_int_equal(box_from(db, "INBOX", 7, 13), in);
    assert_int_equal(arrive(db, in, 12, "own@x", 0), own);
    indexed(db);
    assert_int_equal(arrivals(db, &first), 1);
    assert_int_equal(first, own);
    /* nothing that is rolled back takes it away; then it is done, for good */
    OK(db_begin(db, &err));
    OK(db_arrivals_done(db, &own, 1, &err));
    db_rollback(db);
    assert_int_equal(arrivals(db, &first), 1);
    OK(db_arrivals_done(db, &own, 1, &err));
    assert_int_equal(arrivals(db, &first), 0);
    arrive(db, in, 12, "own@x", 0);
    assert_int_equal(arrivals(db, &first), 0);
    /* who moves it first has the last word */
    uint64_t next = arrive(db, in, 13, "next@x", 0), target = make_mailbox(db, "Archive", 3);
    indexed(db);
    want(db, INTENT_MOVE, &next, 1, target, 0, 0);
    assert_int_equal(arrivals(db, &first), 0);
    db_close(&db);
}

static void test_boxes(void **state)
{
    (void)state;
    struct db *db = open_db(false, NULL);
    uint64_t in = make_mailbox(db, "inbox", 7), old = make_mailbox(db, "Old", 8), id;
    assert_int_equal(make_mailbox(db, "INBOX", 7), in);
    put_uid(db, old, 1, "a@x");
    OK(db_box_set_role(db, old, BOX_ARCHIVE, &err));
    struct db_box b;
    OK(db_box_by_role(db, BOX_ARCHIVE, &b, &err));
    assert_int_equal(b.id, old);
    OK(db_boxes_begin(db, &err));
    OK(db_box_put(db, &(struct db_box){.name = STR("INBOX"), .delim = '/', .exists = 1, .unread = 1}, &id, &err));
    OK(db_boxes_end(db, &err));
    REFUSED(ERR_NO_MAILBOX, db_box_get(db, old, &b, &err));
    uint64_t again = make_mailbox(db, "Old", 8);
    assert_true(again > old); /* ids of mailboxes too */
    OK(db_box_renamed(db, again, STR("Older"), STR(""), &err));
    OK(db_box_by_name(db, STR("Older"), &b, &err));
    assert_int_equal(b.id, again);
    db_close(&db);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_make, scratch_drop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_open_modes),
        T(test_an_older_keep_is_migrated),
        T(test_rows_and_counts),
        T(test_counts_unfilled),
        T(test_second_pass),
        T(test_uids),
        T(test_more),
        T(test_thin),
        T(test_uidvalidity),
        T(test_uid_reused),
        T(test_cache_lost),
        T(test_cache_corrupt),
        T(test_newer),
        T(test_keep_corrupt),
        T(test_killed),
        T(test_disk_full),
        T(test_rollback),
        T(test_first_filling_is_not_news),
        T(test_what_is_news),
        T(test_what_status_counted_is_not_counted_again),
        T(test_threads),
        T(test_threads_by_subject),
        T(test_thread_loops),
        T(test_tags),
        T(test_tag_keywords),
        T(test_ledger),
        T(test_cache_of_before),
        T(test_ledger_quit),
        T(test_ledger_reused),
        T(test_ledger_compared),
        T(test_ledger_reused_tag),
        T(test_ledger_changing),
        T(test_ledger_stub),
        T(test_ledger_big),
        T(test_ledger_same_ids),
        T(test_ledger_numbers),
        T(test_scan),
        T(test_file_moved),
        T(test_folder_renamed),
        T(test_outbox),
        T(test_index_queue),
        T(test_texts_behind_headers),
        T(test_batch_in_pieces),
        T(test_arrivals),
        T(test_boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
