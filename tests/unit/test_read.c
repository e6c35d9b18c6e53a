/* The reading side: windows, ranks, filters, keys, and that no list is ever scanned or sorted. */
#include "db_help.h"

#include <sqlite3.h>

#include "store/read_int.h"

static struct db *db;
static struct reader *r;
static uint64_t in, archive;

static int setup(void **state)
{
    if (scratch_make(state))
        return -1;
    db = open_db(false, NULL);
    in = make_mailbox(db, "INBOX", 7);
    archive = make_mailbox(db, "Archive", 8);
    struct err e = ERR_INIT;
    r = reader_open(scratch, "work", &e);
    return r ? 0 : -1;
}

static int teardown(void **state)
{
    reader_close(&r);
    db_close(&db);
    return scratch_drop(state);
}

/* On a connection of its own. */
static int64_t ask_cache(const char *text)
{
    char path[128];
    sqlite3 *h;
    sqlite3_stmt *st;
    snprintf(path, sizeof path, "%s/work/cache.db", scratch);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, text, -1, &st, NULL), SQLITE_OK);
    int64_t v = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_finalize(st);
    sqlite3_close(h);
    return v;
}

static void change_cache(const char *text)
{
    assert_int_equal(ask_cache(text), -1);
}

static uint64_t got[5000];
static size_t ngot;
static struct row_key last;
static void on_row(void *arg, const struct msg_row *row)
{
    (void)arg;
    last = ROW_KEY(row->date, row->id);
    if (ngot < COUNT(got))
        got[ngot++] = row->id;
}

static size_t window(uint64_t box, enum list_filter filter, const struct row_key *from, bool older, unsigned max)
{
    ngot = 0;
    OK(reader_rows(r, box, filter, from, older, max, on_row, NULL, &err));
    return ngot;
}

static void test_no_database(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct reader *none = reader_open(scratch, "nobody", &e);
    assert_non_null(none);
    assert_int_equal(reader_version(none), 0);
    assert_true(reader_rows(none, 0, LIST_ALL, NULL, true, 10, on_row, NULL, &e));
    struct box_row box;
    assert_true(reader_box_by_role(none, BOX_INBOX, &box, &e));
    assert_int_equal(box.id, 0);
    reader_close(&none);
}

/* Rows of many equal dates, walked down and up, filtered, ranked: against a plain sort. */
struct plain {
    int64_t date;
    uint64_t id;
    uint32_t flags;
};
static int newest_first(const void *a, const void *b)
{
    const struct plain *x = a, *y = b;
    if (x->date != y->date)
        return x->date > y->date ? -1 : 1;
    return (x->id < y->id) - (x->id > y->id);
}

static bool passes(const struct plain *p, enum list_filter f)
{
    return f == LIST_ALL || (f == LIST_UNREAD ? !(p->flags & FLAG_SEEN) : (p->flags & FLAG_FLAGGED) != 0);
}

static void check_filter(const struct plain *rows, size_t n, enum list_filter f)
{
    static struct plain want_rows[5000];
    size_t k = 0, seen = 0;
    for (size_t i = 0; i < n; i++)
        if (passes(&rows[i], f))
            want_rows[k++] = rows[i];
    struct row_key from, *at = NULL;
    while (window(in, f, at, true, 97)) {
        for (size_t i = 0; i < ngot; i++, seen++)
            assert_int_equal(got[i], want_rows[seen].id);
        from = last;
        at = &from;
    }
    assert_int_equal(seen, k);
    at = NULL;
    while (window(in, f, at, false, 89)) {
        for (size_t i = 0; i < ngot; i++)
            assert_int_equal(got[i], want_rows[--seen].id);
        from = last;
        at = &from;
    }
    assert_int_equal(seen, 0);
    for (size_t i = 0; i < k; i += 1 + i / 7) {
        uint32_t rank, total;
        struct msg_row row;
        OK(reader_rank(r, in, f, &ROW_KEY(want_rows[i].date, want_rows[i].id), &rank, &total, &err));
        assert_int_equal(rank, i);
        assert_int_equal(total, k);
        OK(reader_at_rank(r, in, f, (uint32_t)i, &row, &err));
        assert_int_equal(row.id, want_rows[i].id);
    }
    struct msg_row row;
    OK(reader_at_rank(r, in, f, (uint32_t)k, &row, &err));
    assert_int_equal(row.id, 0);
}

static void test_windows_and_ranks(void **state)
{
    (void)state;
    static struct plain rows[4000];
    uint32_t seed = 12345;
    size_t n = 0;
    OK(db_begin(db, &err));
    for (uint32_t uid = 1; uid <= 4000; uid++) {
        struct db_row row = row_of(in, uid, "");
        seed = seed * 1103515245 + 12345;
        row.date = 1700000000 + (seed >> 16) % 300; /* many share a date */
        row.flags = (seed & 0x700 ? FLAG_SEEN : 0) | (seed & 0x3000 ? 0 : FLAG_FLAGGED);
        rows[n].date = row.date;
        rows[n].flags = row.flags;
        rows[n++].id = put(db, &row);
    }
    OK(db_commit(db, &err));
    OK(db_begin(db, &err)); /* and change: flags, removals, moves away */
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 11 == 3) {
            OK(db_gone(db, in, (uint32_t)i + 1, (uint32_t)i + 1, &err));
            continue;
        }
        if (i % 11 == 5) {
            want(db, INTENT_MOVE, &rows[i].id, 1, archive, 0, 0);
            continue;
        }
        if (i % 7 == 1) {
            rows[i].flags ^= FLAG_SEEN | FLAG_FLAGGED;
            OK(db_flags_put(db, in, (uint32_t)i + 1, rows[i].flags, STR(""), 1, &err));
        }
        rows[kept++] = rows[i];
    }
    OK(db_commit(db, &err));
    qsort(rows, kept, sizeof *rows, newest_first);
    check_filter(rows, kept, LIST_ALL);
    check_filter(rows, kept, LIST_UNREAD);
    check_filter(rows, kept, LIST_FLAGGED);
    struct box_row box;
    OK(reader_box(r, in, &box, &err));
    assert_int_equal(box.total, kept);
    db_close(&db); /* the counters as stored */
    db = open_db(false, NULL);
    check_filter(rows, kept, LIST_UNREAD);
    OK(db_gone(db, in, 1, UINT32_MAX, &err));
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 0);
}

/* Every order, walked down and up in pieces, filtered and not, against a plain sort; and how far a row is from the top.
 */
static enum list_order order;
static struct sorted_row {
    struct row_key key;
    char text[64];
    uint64_t id;
    uint32_t flags;
} sorted_rows[1200];
static char last_text[80];

static int top_down(const void *a, const void *b)
{
    const struct row_key *x = &((const struct sorted_row *)a)->key, *y = &((const struct sorted_row *)b)->key;
    size_t n = MIN(x->text.n, y->text.n);
    int c = n ? memcmp(x->text.p, y->text.p, n) : 0;
    c = c                        ? c
        : x->text.n != y->text.n ? (x->text.n > y->text.n) - (x->text.n < y->text.n)
        : x->number != y->number ? (x->number > y->number) - (x->number < y->number)
        : x->date != y->date     ? (x->date > y->date) - (x->date < y->date)
                                 : (x->id > y->id) - (x->id < y->id);
    return ORDER_RISES(order) ? c : -c;
}

static void on_sorted(void *arg, const struct msg_row *row)
{
    (void)arg;
    last = row_key_of(row, order);
    assert_true(last.text.n < sizeof last_text);
    memcpy(last_text, last.text.p, last.text.n);
    last.text.p = last_text;
    got[ngot++] = row->id;
}

static void take_sorted(void *arg, const struct msg_row *row)
{
    struct sorted_row *to = &sorted_rows[(*(size_t *)arg)++];
    *to = (struct sorted_row){.key = row_key_of(row, order), .id = row->id, .flags = row->flags};
    memcpy(to->text, to->key.text.p, to->key.text.n);
}

static void walk_sorted(uint64_t box, enum list_filter f)
{
    static uint64_t want_ids[COUNT(sorted_rows)];
    size_t n = 0, k = 0, seen = 0;
    OK(reader_rows(r, box, LIST_ALL, NULL, true, COUNT(sorted_rows), take_sorted, &n, &err));
    for (size_t i = 0; i < n; i++)
        sorted_rows[i].key.text.p = sorted_rows[i].text;
    qsort(sorted_rows, n, sizeof *sorted_rows, top_down);
    for (size_t i = 0; i < n; i++)
        sorted_rows[i].key.text.p = sorted_rows[i].text;
    for (size_t i = 0; i < n; i++)
        if (passes(&(struct plain){.flags = sorted_rows[i].flags}, f))
            want_ids[k++] = sorted_rows[i].id;
    assert_true(k > 100);
    for (int down = 1; down >= 0; down--) {
        struct row_key from, *at = NULL;
        for (;;) {
            ngot = 0;
            OK(reader_sorted(r, box, f, order, at, down, 97, on_sorted, NULL, &err));
            if (!ngot)
                break;
            for (size_t i = 0; i < ngot; i++)
                assert_int_equal(got[i], down ? want_ids[seen++] : want_ids[--seen]);
            from = last;
            at = &from;
        }
        assert_int_equal(seen, down ? k : 0);
    }
    for (size_t i = 0; i < n && order != ORDER_DATE; i += 1 + i / 5) {
        uint32_t some, all = 0, passed = 0;
        bool done = false;
        struct row_key at, *from = NULL;
        char text[64];
        while (!done) {
            OK(reader_sorted_count(r, box, f, order, from, &sorted_rows[i].key, 50, &some, &at, &done, &err));
            all += some;
            if (!done) {
                memcpy(text, at.text.p, at.text.n);
                at.text.p = text;
            }
            from = &at;
        }
        for (size_t m = 0; m < i; m++)
            passed += passes(&(struct plain){.flags = sorted_rows[m].flags}, f);
        assert_int_equal(all, passed);
    }
    for (uint32_t i = 0; i < k && order != ORDER_DATE; i += 1 + i / 5) { /* the row of a number */
        uint32_t some;
        bool done;
        struct row_key at;
        OK(reader_sorted_count(r, box, f, order, NULL, NULL, i + 1, &some, &at, &done, &err));
        assert_true(!done && some == i + 1);
        assert_int_equal(at.id, want_ids[i]);
        char text[64];
        memcpy(text, at.text.p, at.text.n);
        at.text.p = text;
        OK(reader_sorted_count(r, box, f, order, &at, NULL, (uint32_t)k, &some, &at, &done, &err));
        assert_true(done && some == k - i - 1);
    }
}

static void test_orders(void **state)
{
    static const char *const names[] = {"Alice", "\"bob\"", "\xc3\x89mile", "carol", "ALICE", "", "Zo\xc3\xab", "eve"};
    static const char *const subjects[] = {"Re: budget",        "budget", "[list] news",  "AW: Re: news", "",
                                           "\xc3\xa9t\xc3\xa9", "Ete",    "budget later", "\xff\xfe"};
    (void)state;
    uint32_t seed = 99;
    OK(db_box_set_role(db, archive, BOX_INBOX, &err));
    OK(db_begin(db, &err));
    for (uint32_t uid = 1; uid <= 1100; uid++) {
        struct db_row row = row_of(uid % 4 ? in : archive, uid, "");
        seed = seed * 1103515245 + 12345;
        row.date = 1700000000 + (seed >> 16) % 200;
        row.internal_date = seed & 0x100 ? 0 : 1700000000 + (seed >> 12) % 300; /* not known yet of some */
        row.size = 1000 + (seed >> 20) % 50;
        row.flags = (seed & 0x1000 ? FLAG_SEEN : 0) | (seed & 0x2000 ? FLAG_FLAGGED : 0);
        row.from_name = str_z(names[(seed >> 8) % COUNT(names)]);
        row.subject = str_z(subjects[(seed >> 10) % COUNT(subjects)]);
        put(db, &row);
    }
    OK(db_commit(db, &err));
    for (order = 0; order < ORDER_COUNT; order++)
        for (unsigned f = LIST_ALL; f <= LIST_FLAGGED; f++) {
            walk_sorted(in, (enum list_filter)f);
            walk_sorted(0, (enum list_filter)f);
        }
    /* "Re: budget" and "budget" are one subject, accents and case make no difference, what comes late counts */
    struct db_row row = row_of(in, 1, "");
    row.subject = STR("Aardvark");
    row.from_name = STR("aaron");
    put(db, &row);
    ngot = 0;
    order = ORDER_SUBJECT;
    OK(reader_sorted(r, in, LIST_ALL, order, &(struct row_key){0, 0, 0, STR("a")}, true, 1, on_sorted, NULL, &err));
    assert_int_equal(last.text.n, 8);
    assert_memory_equal(last.text.p, "aardvark", 8);
}

/* Several mailboxes of role inbox are one list. */
static void test_union(void **state)
{
    (void)state;
    static struct plain rows[900];
    OK(db_box_set_role(db, archive, BOX_INBOX, &err));
    for (uint32_t i = 0; i < 900; i++) {
        struct db_row row = row_of(i % 3 ? in : archive, i + 1, "");
        row.date = 1700000000 + i / 4;
        rows[i] = (struct plain){row.date, put(db, &row), 0};
    }
    qsort(rows, 900, sizeof *rows, newest_first);
    assert_int_equal(window(0, LIST_ALL, NULL, true, 900), 900);
    for (size_t i = 0; i < 900; i++)
        assert_int_equal(got[i], rows[i].id);
    assert_int_equal(window(0, LIST_ALL, &ROW_KEY(rows[500].date, rows[500].id), false, 3), 3);
    assert_int_equal(got[0], rows[499].id);
    for (uint32_t i = 0; i < 900; i += 37) {
        uint32_t rank, total;
        struct msg_row row;
        OK(reader_rank(r, 0, LIST_ALL, &ROW_KEY(rows[i].date, rows[i].id), &rank, &total, &err));
        assert_true(rank == i && total == 900);
        OK(reader_at_rank(r, 0, LIST_UNREAD, i, &row, &err));
        assert_int_equal(row.id, rows[i].id);
    }
}

static void test_keys(void **state)
{
    (void)state;
    uint64_t a = put_uid(db, in, 1, "<a@x>"), b = put_uid(db, archive, 2, "a@x");
    struct db_row child = row_of(in, 3, "c@x");
    child.refs = STR("a@x");
    uint64_t c = put(db, &child);
    ngot = 0;
    OK(reader_find_msgid(r, STR("<a@x>"), on_row, NULL, &err));
    assert_true(ngot == 2 && got[0] == a && got[1] == b);
    struct msg_row row;
    OK(reader_row(r, c, &row, &err));
    assert_true(str_eqz(row.subject, "hello") && str_eqz(row.from_addr, "alice@example.org"));
    ngot = 0;
    OK(reader_thread(r, row.thread, 10, on_row, NULL, &err));
    assert_true(ngot == 3 && got[2] == c);
    char path[64];
    snprintf(path, sizeof path, "work/%llu.7/3", (unsigned long long)in);
    uint64_t found, box;
    OK(reader_find_path(r, str_z(path), &found, &box, &err));
    assert_true(found == c && box == in);
    static const char *const none[] = {"other/1.7/3", "work", "work/1.8/3", "work/1.7/0", "work/1.7/99999999999",
                                       "work/../x",   ""};
    for (size_t i = 0; i < COUNT(none); i++) {
        OK(reader_find_path(r, str_z(none[i]), &found, &box, &err));
        assert_int_equal(found, 0);
    }
    want(db, INTENT_PURGE, &c, 1, 0, 0, 0); /* hidden at once */
    OK(reader_row(r, c, &row, &err));
    assert_int_equal(row.id, 0);
    OK(reader_find_path(r, str_z(path), &found, &box, &err));
    assert_true(found == c && box == 0);
    uint32_t intents, outbox;
    OK(reader_pending(r, &intents, &outbox, &err));
    assert_true(intents == 1 && outbox == 0);
}

static void test_maildir_path(void **state)
{
    (void)state;
    struct db *local = NULL;
    unsigned opened;
    uint64_t box, id;
    OK(db_open(scratch, "home", true, &local, &opened, &err));
    OK(db_box_put(local, &(struct db_box){.utf8 = STR("INBOX"), .exists = UINT32_MAX, .unread = UINT32_MAX}, &box,
                  &err));
    struct db_row w = row_of(box, 0, "a@x");
    w.name = STR("1700.M1.host");
    w.path = STR("cur/1700.M1.host:2,");
    OK(db_row_put(local, &w, &id, NULL, &err));
    struct err e = ERR_INIT;
    struct reader *home = reader_open(scratch, "home", &e);
    uint64_t found, in_box;
    OK(reader_find_path(home, STR("home/cur/1700.M1.host:2,S"), &found, &in_box, &err)); /* flags changed since */
    assert_true(found == id && in_box == box);
    struct box_row b;
    OK(reader_box_by_role(home, BOX_INBOX, &b, &err));
    assert_true(b.id == box && b.total == 1 && b.unread == 1);
    reader_close(&home);
    db_close(&local);
}

static char names[400];
static void on_box(void *arg, const struct box_row *b)
{
    (void)arg;
    size_t n = strlen(names);
    snprintf(names + n, sizeof names - n, "%.*s ", STR_FMT(b->utf8));
}

static void test_boxes(void **state)
{
    (void)state;
    static const char *const more[] = {"zoo", "Alpha-x", "Alpha/b", "Alpha", "Trash", "Sent Items", "Drafts"};
    for (size_t i = 0; i < COUNT(more); i++)
        make_mailbox(db, more[i], 1);
    names[0] = 0;
    OK(reader_boxes(r, on_box, NULL, &err));
    assert_string_equal(names, "INBOX Archive Drafts Sent Items Trash Alpha Alpha/b Alpha-x zoo ");
    struct box_row b;
    OK(reader_box_by_role(r, BOX_SENT, &b, &err));
    assert_true(str_eqz(b.utf8, "Sent Items"));
    OK(reader_box_by_name(r, STR("zoo"), &b, &err));
    assert_true(b.id != 0);
    OK(reader_box_by_name(r, STR("none"), &b, &err));
    assert_int_equal(b.id, 0);
    uint64_t group;
    uint32_t n;
    struct db_box zoo;
    OK(db_box_by_name(db, STR("zoo"), &zoo, &err));
    uint64_t id = zoo.id;
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_BOX_DELETE, .box = id}, &group, NULL, &n, &err));
    OK(reader_box(r, id, &b, &err));
    assert_int_equal(b.id, 0);
}

static char found[400];
static void on_address(void *arg, const struct address_row *row)
{
    (void)arg;
    size_t n = strlen(found);
    snprintf(found + n, sizeof found - n, "%.*s <%.*s>; ", STR_FMT(row->name), STR_FMT(row->addr));
}

static const char *complete(const char *prefix)
{
    found[0] = 0;
    OK(reader_addresses(r, str_z(prefix), 3, on_address, NULL, &err));
    return found;
}

static void test_addresses(void **state)
{
    (void)state;
    OK(db_address_met(db, STR("Alice Example"), STR("Alice@Example.org"), 1, 5, &err));
    OK(db_address_met(db, STR(""), STR("alice@example.org"), 1, 6, &err));
    OK(db_address_met(db, STR("Bob"), STR("bob@example.org"), 20, 5, &err));
    OK(db_address_met(db, STR("no address"), STR("undisclosed"), 20, 5, &err));
    assert_string_equal(complete("ali"), "Alice Example <Alice@Example.org>; ");
    assert_string_equal(complete("exam"), "Bob <bob@example.org>; Alice Example <Alice@Example.org>; ");
    assert_string_equal(complete("alice ex"), "Alice Example <Alice@Example.org>; ");
    assert_string_equal(complete("alice@ex"), "Alice Example <Alice@Example.org>; ");
    assert_string_equal(complete("alice bob"), "");
    assert_string_equal(complete("lice"), "");
    /* case and accents do not count */
    OK(db_address_met(db, STR("J\xc3\xb6rg M\xc3\x9cLLER"), STR("jm@example.net"), 1, 5, &err));
    assert_string_equal(complete("jorg mul"), "J\xc3\xb6rg M\xc3\x9cLLER <jm@example.net>; ");
    assert_string_equal(complete("J\xc3\x96RG"), "J\xc3\xb6rg M\xc3\x9cLLER <jm@example.net>; ");
}

/* Often counts, and lately: what was met every day two years ago comes behind what is met now and then; a date of the
 * future is no better than now. To whom one writes comes before who writes. */
static void test_address_order(void **state)
{
    (void)state;
    const int64_t day = 86400, now = clock_wall();
    OK(db_address_met(db, STR("Old"), STR("q.old@example.org"), 500, now - 730 * day, &err));
    OK(db_address_met(db, STR("Now"), STR("q.now@example.org"), 5, now - day, &err));
    OK(db_address_met(db, STR("Often"), STR("q.often@example.org"), 50, now - 20 * day, &err));
    OK(db_address_met(db, STR("Future"), STR("q.future@example.org"), 1, now + 10000 * day, &err));
    assert_string_equal(complete("q"),
                        "Often <q.often@example.org>; Now <q.now@example.org>; Future <q.future@example.org>; ");
    OK(db_wrote_to(db, STR("q.wrote@example.org\tWrote To\nq.broken@example.org\n\n\tx\n"), now - day, &err));
    assert_string_equal(complete("q.w"), "Wrote To <q.wrote@example.org>; ");
    assert_string_equal(complete("q.br"), " <q.broken@example.org>; ");
    OK(db_address_met(db, STR(""), STR("q.now@example.org"), 400, now, &err));
    found[0] = 0;
    OK(reader_addresses(r, STR("q"), 1, on_address, NULL, &err));
    assert_string_equal(found, "Now <q.now@example.org>; ");
}

/* Of words that very many have the best are found, and of few all; either looks at a bounded part. */
static void test_many_addresses(void **state)
{
    (void)state;
    char name[40], addr[60];
    OK(db_begin(db, &err));
    for (unsigned i = 0; i < 30000; i++) {
        snprintf(name, sizeof name, "%c%c%c Common", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676 % 26);
        snprintf(addr, sizeof addr, "u%u@many.example", i);
        OK(db_address_met(db, str_z(name), str_z(addr), i == 29999 ? 50 : 1, 1000 + i, &err));
    }
    OK(db_commit(db, &err));
    assert_string_equal(
        complete("com"),
        "vjs Common <u29999@many.example>; ujs Common <u29998@many.example>; tjs Common <u29997@many.example>; ");
    assert_string_equal(complete("u77 zca"), "zca Common <u77@many.example>; ");
    assert_string_equal(complete("common u12345"), "vgs Common <u12345@many.example>; ");
    assert_string_equal(complete("common nobody"), "");
    assert_non_null(strstr(complete(""), "u29999@"));
}

static void test_version_and_tags(void **state)
{
    (void)state;
    uint64_t before = reader_version(r), id, group;
    assert_int_equal(reader_version(r), before);
    id = put_uid(db, in, 1, "a@x");
    uint64_t after = reader_version(r);
    assert_int_not_equal(after, before);
    assert_true(reader_unindexed(r));
    OK(db_index_failed(db, id, &err));
    assert_false(reader_unindexed(r));
    uint32_t n;
    OK(db_intent_add(db, &(struct db_intent){.kind = INTENT_TAGS, .msgs = &id, .n = 1, .arg = STR("+b +a")}, &group,
                     NULL, &n, &err));
    assert_int_not_equal(reader_version(r), after);
    struct buf tags = BUF_INIT(100);
    OK(reader_tags(r, id, &tags, &err));
    assert_string_equal(buf_z(&tags), "a b");
    buf_fini(&tags);
}

static struct thread_row threads[16];
static size_t nthreads;
static void on_thread(void *arg, const struct thread_row *t)
{
    (void)arg;
    if (nthreads < COUNT(threads))
        threads[nthreads++] = *t;
}

static uint64_t put_ref(uint64_t box, uint32_t uid, const char *msgid, const char *refs)
{
    struct db_row row = row_of(box, uid, msgid);
    row.refs = str_z(refs);
    return put(db, &row);
}

/* The table of threads follows arrival, flags, moves, joins and removals. */
static void test_threads(void **state)
{
    (void)state;
    uint64_t a = put_ref(in, 1, "a@x", ""), b = put_ref(in, 5, "b@x", "a@x"), c = put_ref(in, 3, "c@x", "");
    nthreads = 0;
    OK(reader_threads(r, in, LIST_ALL, NULL, true, 10, on_thread, NULL, &err));
    assert_int_equal(nthreads, 2);
    assert_true(threads[0].thread == a && threads[0].count == 2 && threads[0].unread == 2 &&
                threads[0].newest == 1700000005);
    assert_true(threads[1].thread == c && threads[1].count == 1);
    want(db, INTENT_FLAGS, (uint64_t[]){a, b}, 2, 0, FLAG_SEEN | FLAG_FLAGGED, 0);
    want(db, INTENT_MOVE, &b, 1, archive, 0, 0);
    nthreads = 0;
    OK(reader_threads(r, in, LIST_ALL, NULL, true, 10, on_thread, NULL, &err));
    assert_int_equal(nthreads, 2);
    assert_true(threads[0].thread == c); /* its newest message went */
    assert_true(threads[1].thread == a && threads[1].count == 1 && threads[1].unread == 0 && threads[1].flagged == 1);
    put_ref(in, 9, "d@x", "a@x c@x"); /* joins both */
    nthreads = 0;
    OK(reader_threads(r, in, LIST_ALL, NULL, false, 10, on_thread, NULL, &err));
    assert_int_equal(nthreads, 1);
    assert_true(threads[0].thread == a && threads[0].count == 3 && threads[0].unread == 2 &&
                threads[0].newest == 1700000009);
    OK(reader_threads(r, in, LIST_ALL, &ROW_KEY(threads[0].newest, threads[0].thread), true, 10, on_thread, NULL,
                      &err));
    assert_int_equal(nthreads, 1);
    OK(db_gone(db, in, 1, UINT32_MAX, &err));
    OK(reader_threads(r, in, LIST_ALL, NULL, false, 10, on_thread, NULL, &err));
    assert_true(nthreads <= 2); /* the moved one waits for its fate */
}

/* "a 0", "b 1|" ...: id, depth, whether another reply follows, the lines beside it. */
static struct buf tree_words;
static void on_place(void *arg, const struct msg_row *row, const struct thread_place *place)
{
    (void)arg;
    buf_addf(&tree_words, "%s%.*s%u%s%s ", place->elsewhere ? "*" : "", (int)row->msgid.n - 2, row->msgid.p,
             (unsigned)place->depth, place->last ? "" : "+", place->lines & 1 && place->depth > 1 ? "|" : "");
}

static bool with_others;
static const char *tree_of(uint64_t box, uint64_t thread)
{
    buf_fini(&tree_words);
    tree_words = BUF_INIT(1 << 20);
    OK(reader_thread_tree(r, box, with_others, thread, on_place, NULL, &err));
    return buf_z(&tree_words);
}

static void test_tree(void **state)
{
    (void)state;
    struct msg_row newest;
    struct thread_row row;
    uint64_t a = put_ref(in, 1, "a@x", "");
    put_ref(in, 2, "b@x", "a@x");
    put_ref(in, 3, "c@x", "a@x");
    put_ref(in, 4, "d@x", "a@x b@x");
    uint64_t e = put_ref(in, 5, "e@x", "a@x b@x d@x");
    put_ref(in, 6, "f@x", "a@x b@x");
    put_ref(in, 7, "g@x", "a@x unknown@x");
    assert_string_equal(tree_of(in, a), "a0 b1+ d2+| e3| f2| c1+ g1 ");
    /* what answers a message elsewhere stands below what that answered */
    uint64_t own = put_ref(archive, 8, "own@x", "a@x b@x d@x e@x"), reply = put_ref(in, 9, "h@x", "a@x own@x");
    assert_string_equal(tree_of(in, a), "a0 b1+ d2+| e3| h4| f2| c1+ g1 ");
    assert_string_equal(tree_of(archive, a), "own0 ");
    with_others = true;
    assert_string_equal(tree_of(in, a), "a0 b1+ d2+| e3| *own4| h5| f2| c1+ g1 ");
    uint64_t bin;
    OK(db_box_put(
        db,
        &(struct db_box){
            .name = STR("Trash"), .utf8 = STR("Trash"), .role = BOX_TRASH, .exists = UINT32_MAX, .unread = UINT32_MAX},
        &bin, &err));
    put_ref(bin, 10, "thrown@x", "a@x b@x");
    assert_string_equal(tree_of(in, a), "a0 b1+ d2+| e3| *own4| h5| f2| c1+ g1 ");
    with_others = false;
    OK(reader_thread_newest(r, in, a, &newest, &err));
    assert_int_equal(newest.id, reply);
    OK(reader_thread_newest(r, archive, a, &newest, &err));
    assert_int_equal(newest.id, own);
    OK(reader_thread_row(r, in, a, &row, &err));
    assert_true(row.thread == a && row.count == 8);
    OK(reader_thread_row(r, 4711, a, &row, &err));
    assert_int_equal(row.thread, 0);
    /* the middle goes: its replies move up */
    want(db, INTENT_MOVE, &e, 1, archive, 0, 0);
    assert_string_equal(tree_of(in, a), "a0 b1+ d2+| h3| f2| c1+ g1 ");
}

/* References in a ring, to itself, and 20,000 long (THREATS 108). */
static void test_tree_hostile(void **state)
{
    (void)state;
    uint64_t a = put_ref(in, 1, "a@x", "c@x");
    put_ref(in, 2, "b@x", "a@x b@x");
    put_ref(in, 3, "c@x", "b@x");
    const char *ring = tree_of(in, a);
    assert_true(strstr(ring, "a") && strstr(ring, "b") && strstr(ring, "c"));
    char id[32], before[32] = "a@x";
    OK(db_begin(db, &err));
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(id, sizeof id, "n%u@x", i);
        put_ref(in, 10 + i, id, before);
        memcpy(before, id, sizeof before);
    }
    OK(db_commit(db, &err));
    size_t rows = 0;
    for (const char *p = tree_of(in, a); *p; p++)
        rows += *p == ' ';
    assert_int_equal(rows, 5000); /* the newest */
    uint64_t same = put_ref(archive, 50000, "same@x", "other@x");
    for (unsigned i = 1; i < 3000; i++)
        put_ref(archive, 50000 + i, "same@x", "other@x");
    put_ref(archive, 70000, "reply@x", "same@x");
    assert_non_null(strstr(tree_of(archive, same), "reply1"));
    assert_string_equal(tree_of(in, 4711), "");
}

/* The store threw the cache away under an open reader. */
/* What is held is one state; the next comes with the last release, and so it does after a database was replaced. */
static void test_hold(void **state)
{
    (void)state;
    put_uid(db, in, 1, "a@x");
    reader_hold(r);
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 1);
    put_uid(db, in, 2, "b@x");
    reader_hold(r);
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 1);
    reader_release(r);
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 1);
    reader_release(r);
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 2);
    reader_hold(r); /* nothing is asked */
    reader_release(r);
    put_uid(db, in, 3, "c@x");
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 3);
}

static void test_cache_replaced(void **state)
{
    (void)state;
    put_uid(db, in, 1, "a@x");
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 1);
    db_close(&db);
    char path[128];
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < COUNT(tails); i++) {
        snprintf(path, sizeof path, "%s/work/cache.db%s", scratch, tails[i]);
        unlink(path);
    }
    db = open_db(false, NULL);
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 0);
    put_uid(db, in, 1, "a@x");
    assert_int_equal(window(in, LIST_ALL, NULL, true, 10), 1);
}

static struct row_key threads_of[6000];
static size_t nthreads;
static void note_thread(void *arg, const struct thread_row *t)
{
    (void)arg;
    assert_true(nthreads < COUNT(threads_of));
    threads_of[nthreads++] = ROW_KEY(t->newest, t->thread);
}

/* Each thread stands where it is counted. */
static void check_thread_ranks(unsigned step)
{
    nthreads = 0;
    OK(reader_threads(r, in, LIST_ALL, NULL, true, COUNT(threads_of), note_thread, NULL, &err));
    for (size_t i = 0; i < nthreads; i += step) {
        uint32_t rank, total;
        OK(reader_thread_rank(r, in, LIST_ALL, &threads_of[i], &rank, &total, &err));
        assert_int_equal(rank, i);
        assert_int_equal(total, nthreads);
        OK(reader_thread_rank(r, in, LIST_ALL, &ROW_KEY(threads_of[i].date, 0), &rank, &total, &err));
        assert_true(rank > i);
    }
}

/* Threads are counted in blocks: these split, lose their rows and are joined, and dates change. */
static void test_thread_ranks(void **state)
{
    (void)state;
    uint64_t group;
    uint32_t n;
    static uint64_t ids[5001];
    OK(db_begin(db, &err));
    for (uint32_t uid = 1; uid <= 5000; uid++) {
        char msgid[32], refs[32];
        snprintf(msgid, sizeof msgid, "m%u@x", uid);
        snprintf(refs, sizeof refs, "m%u@x", uid > 900 ? uid - 700 : 0);
        struct db_row row = row_of(in, uid, msgid);
        row.date = 1700000000 + uid * 7919 % 2500; /* every date twice */
        row.refs = uid > 900 && uid % 3 == 0 ? str_z(refs) : STR("");
        ids[uid] = put(db, &row);
    }
    OK(db_commit(db, &err));
    check_thread_ranks(61);
    assert_in_range(nthreads, 3000, 4000);
    assert_true(ask_cache("SELECT count(*) FROM rank WHERE box<0") > 3);
    for (uint32_t uid = 1; uid <= 5000; uid += 2)
        if (uid > 2000)
            OK(db_intent_add(
                db,
                &(struct db_intent){.kind = INTENT_MOVE, .target = archive, .msgs = &ids[uid], .n = 1, .now = recent()},
                &group, NULL, &n, &err));
    check_thread_ranks(17);
    OK(db_gone(db, in, 1, 1500, &err));
    check_thread_ranks(5);
    /* from before they were counted */
    db_close(&db);
    change_cache("DELETE FROM rank WHERE box<0");
    db = open_db(false, NULL);
    check_thread_ranks(50);
    put_uid(db, in, 6000, "late@x");
    check_thread_ranks(50);
    assert_true(ask_cache("SELECT count(*) FROM rank WHERE box<0") > 1);
}

/* Every statement the reader has run on messages: a seek in an index, no scan, no sort. */
static void test_plans(void **state)
{
    (void)state;
    put_uid(db, in, 1, "a@x");
    for (int f = LIST_ALL; f <= LIST_FLAGGED; f++) {
        struct msg_row row;
        uint32_t rank, total;
        window(in, (enum list_filter)f, NULL, true, 5);
        window(in, (enum list_filter)f, NULL, false, 5);
        OK(reader_rank(r, in, (enum list_filter)f, &ROW_KEY(5, 5), &rank, &total, &err));
        OK(reader_at_rank(r, in, (enum list_filter)f, 0, &row, &err));
        OK(reader_find_msgid(r, STR("a@x"), on_row, NULL, &err));
        OK(reader_thread(r, 1, 5, on_row, NULL, &err));
        OK(reader_threads(r, in, LIST_ALL, NULL, true, 5, on_thread, NULL, &err));
        OK(reader_threads(r, in, LIST_ALL, NULL, false, 5, on_thread, NULL, &err));
        OK(reader_threads(r, in, LIST_UNREAD, NULL, true, 5, on_thread, NULL, &err));
        OK(reader_thread_rank(r, in, LIST_ALL, &ROW_KEY(5, 5), &rank, &total, &err));
        struct thread_row thread;
        OK(reader_thread_row(r, in, 1, &thread, &err));
        OK(reader_thread_newest(r, in, 1, &row, &err));
        tree_of(in, 1);
    }
    for (order = ORDER_ARRIVAL; order < ORDER_COUNT; order++)
        for (int down = 0; down < 2; down++) {
            struct row_key at = ROW_KEY(5, 5);
            uint32_t n;
            bool done;
            OK(reader_sorted(r, in, LIST_ALL, order, NULL, down, 5, on_row, NULL, &err));
            OK(reader_sorted_count(r, in, LIST_ALL, order, NULL, &at, 5, &n, &at, &done, &err));
        }
    size_t checked = 0;
    for (size_t i = 0; i < r->q.cap; i++) {
        const char *text = r->q.slots[i].text;
        if (!text || (!strstr(text, "FROM msg") && !strstr(text, "FROM rank") && !strstr(text, "FROM thread")))
            continue;
        struct buf sql = BUF_INIT(4000);
        buf_addf(&sql, "EXPLAIN QUERY PLAN %s", text);
        sqlite3_stmt *st = NULL;
        assert_int_equal(sqlite3_prepare_v2(r->q.h, buf_z(&sql), -1, &st, NULL), SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(st, 3);
            if (strstr(plan, "SCAN") || strstr(plan, "TEMP B-TREE"))
                fail_msg("%s: %s", text, plan);
            if (strstr(text, ",date,id FROM msg") || strstr(text, "SELECT 0,date,id FROM msg") ||
                strstr(text, "count(*) FROM msg"))
                if (!strstr(plan, "COVERING INDEX"))
                    fail_msg("%s: %s", text, plan);
        }
        sqlite3_finalize(st);
        buf_fini(&sql);
        checked++;
    }
    assert_true(checked >= 15);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_no_database),    T(test_windows_and_ranks),
        T(test_union),          T(test_keys),
        T(test_maildir_path),   T(test_boxes),
        T(test_addresses),      T(test_address_order),
        T(test_many_addresses), T(test_version_and_tags),
        T(test_hold),           T(test_threads),
        T(test_cache_replaced), T(test_threads),
        T(test_tree),           T(test_tree_hostile),
        T(test_thread_ranks),   T(test_plans),
        T(test_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
