/* The list model under insertions and removals: the cursor stays on its message, rows stay in order, nothing is lost.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

static struct fake_lists store;

static void setup_rows(unsigned n, bool two)
{
    fake_lists_boxes();
    for (unsigned i = 0; i < n; i++)
        fake_add(&fake_accounts[two ? i % 2 : 0], (struct fake_row){.box = 1,
                                                                    .date = 1000 + i / 3,
                                                                    .flags = i % 5 ? FLAG_SEEN : 0,
                                                                    .name = "n",
                                                                    .addr = "a",
                                                                    .to = "t",
                                                                    .subject = "s"});
    fake_lists_open(&store);
}

static void teardown(struct list *l)
{
    list_fini(l);
    fake_lists_close(&store);
}

static void update(struct list *l)
{
    struct err err = ERR_INIT;
    l->rank_cost_ms = 0; /* threads are counted each time, not seldom enough */
    list_update(l, &err);
    assert_int_equal(err.kind, ERR_NONE);
    list_check(l);
}

/* INBOX of the first account, on a screen of so many rows. */
static void open_list(struct list *l, unsigned n, bool two, unsigned height)
{
    setup_rows(n, two);
    list_init(l, &store.accts, &store.changes);
    list_show_box(l, 0, 1, STR("INBOX"));
    list_set_height(l, height);
    update(l);
}

static void test_reaches_any_row_by_its_number(void **state)
{
    (void)state;
    for (unsigned two = 0; two < 2; two++) {
        struct list l;
        struct err err = ERR_INIT;
        setup_rows(500, two);
        list_init(&l, &store.accts, &store.changes);
        if (two)
            list_show_inboxes(&l, STR("all"));
        else
            list_show_box(&l, 0, 1, STR("INBOX"));
        update(&l);
        static const uint32_t ranks[] = {250, 0, 499, 7, 8, 9, 333, 332, 498, 1};
        for (size_t i = 0; i < COUNT(ranks); i++) {
            assert_true(list_reach_rank(&l, ranks[i], &err));
            list_check(&l);
            assert_int_equal(l.rank, ranks[i]);
        }
        assert_false(list_reach_rank(&l, 500, &err));
        assert_int_equal(l.rank, 1);
        teardown(&l);
    }
}

static void test_walks_the_whole_list_once(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    setup_rows(500, true);
    list_init(&l, &store.accts, &store.changes);
    list_show_inboxes(&l, STR("all"));
    list_set_height(&l, 10);
    update(&l);
    struct refs seen = {.n = 0};
    unsigned steps = 0;
    do {
        assert_true(refs_add(&seen, list_cursor(&l)->ref));
        assert_int_equal(l.rank, steps);
        list_check(&l);
        steps++;
    } while (list_move(&l, 1, &err));
    assert_int_equal(steps, 500);
    assert_int_equal(l.total, 500);
    while (list_move(&l, -7, &err))
        list_check(&l);
    assert_int_equal(l.rank, 0);
    assert_true(l.n < 200); /* a window, not the list */
    refs_fini(&seen);
    teardown(&l);
}

static void test_home_end_and_jumps(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_list(&l, 400, false, 20);
    list_last(&l, &err);
    list_check(&l);
    assert_int_equal(l.rank, 399);
    assert_int_equal(list_cursor(&l)->ref.id, 1);
    list_move(&l, -300, &err);
    list_check(&l);
    assert_int_equal(l.rank, 99);
    list_first(&l, &err);
    assert_int_equal(list_cursor(&l)->ref.id, 400);
    assert_true(list_unread(&l, true, &err));
    assert_false(list_cursor(&l)->flags & FLAG_SEEN);
    teardown(&l);
}

static void test_cursor_stays_on_its_message(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_list(&l, 300, false, 15);
    list_move(&l, 50, &err);
    struct ref ref = list_cursor(&l)->ref;
    unsigned line = l.cur - l.top;
    for (int i = 0; i < 40; i++) { /* new mail above, removals around */
        fake_add(&fake_accounts[0],
                 (struct fake_row){.box = 1, .date = 5000 + i, .name = "new", .addr = "", .to = "", .subject = ""});
        fake_accounts[0].rows[(i * 7) % 240].gone = true;
        fake_accounts[0].version++;
        update(&l);
        assert_true(ref_eq(list_cursor(&l)->ref, ref));
        assert_int_equal(l.cur - l.top, line);
    }
    teardown(&l);
}

static void test_removed_row_is_a_ghost_until_left(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_list(&l, 30, false, 10);
    list_move(&l, 3, &err);
    struct ref ref = list_cursor(&l)->ref;
    fake_find(&fake_accounts[0], ref.id)->gone = true;
    fake_accounts[0].version++;
    update(&l);
    assert_true(list_cursor(&l)->ghost);
    assert_true(ref_eq(list_cursor(&l)->ref, ref));
    list_move(&l, 1, &err);
    list_check(&l);
    assert_null(list_find(&l, ref));
    assert_int_equal(l.total, 29);
    assert_int_equal(l.rank, 3);
    teardown(&l);
}

/* Until the user does something, rows that come stand below the cursor and not above it. */
static void test_untouched_list_stays_on_the_newest(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_list(&l, 50, false, 10);
    assert_true(list_move(&l, 5, &err));
    l.stay = STAY_NEWEST;
    list_stale(&l);
    update(&l);
    assert_int_equal(l.rank, 0);
    assert_true(list_move(&l, 5, &err));
    list_stale(&l);
    update(&l);
    assert_int_equal(l.rank, 5);
    teardown(&l);
}

/* Who went to the end of a list that still fills stays there while older rows come, until a key is pressed. */
static void test_the_end_stays_the_end(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_list(&l, 50, false, 10);
    assert_true(list_last(&l, &err));
    assert_int_equal(l.rank, 49);
    struct ref was = list_cursor(&l)->ref;
    for (unsigned i = 0; i < 2; i++) {
        fake_add(&fake_accounts[0],
                 (struct fake_row){.box = 1, .date = 900 - i, .name = "n", .addr = "a", .subject = "old"});
        list_stale(&l);
        update(&l);
        assert_int_equal(l.rank, 50);
        assert_int_equal(ref_eq(list_cursor(&l)->ref, was), i > 0);
        was = list_cursor(&l)->ref;
        l.stay = STAY_ROW; /* as a key does */
    }
    teardown(&l);
}

static void test_filter_moves_off_what_it_leaves_out(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_list(&l, 50, false, 10);
    while (list_cursor(&l)->flags & FLAG_SEEN ? false : list_move(&l, 1, &err))
        ;
    assert_true(list_cursor(&l)->flags & FLAG_SEEN);
    list_set_filter(&l, LIST_UNREAD);
    update(&l);
    assert_int_equal(l.total, 10);
    for (unsigned i = 0; i < l.n; i++)
        assert_true(!l.rows[i].ghost && !(l.rows[i].flags & FLAG_SEEN));
    teardown(&l);
}

static void test_unread_filter_keeps_what_was_just_read(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    setup_rows(50, false);
    list_init(&l, &store.accts, &store.changes);
    list_show_box(&l, 0, 1, STR("INBOX"));
    list_set_filter(&l, LIST_UNREAD);
    list_set_height(&l, 10);
    update(&l);
    assert_int_equal(l.total, 10);
    l.stay = STAY_ROW;
    changes_add(&store.changes, (struct change){1, list_cursor(&l)->ref, FLAG_SEEN, 0, false});
    struct ref ref = list_cursor(&l)->ref;
    list_stale(&l);
    update(&l);
    assert_true(list_cursor(&l)->ghost && ref_eq(list_cursor(&l)->ref, ref));
    list_move(&l, 1, &err);
    list_check(&l);
    assert_null(list_find(&l, ref));
    teardown(&l);
}

static void test_pending_action_hides_and_comes_back(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_list(&l, 20, false, 10);
    struct ref gone = l.rows[4].ref;
    changes_add(&store.changes, (struct change){7, gone, 0, 0, true});
    list_stale(&l);
    update(&l);
    assert_null(list_find(&l, gone));
    changes_settle(&store.changes, 7); /* refused: it is there again */
    list_stale(&l);
    update(&l);
    assert_non_null(list_find(&l, gone));
    (void)err;
    teardown(&l);
}

static void test_random_changes_hold_the_invariants(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    uint32_t seed = 12345;
    (void)state;
    setup_rows(120, true);
    list_init(&l, &store.accts, &store.changes);
    list_show_inboxes(&l, STR("all"));
    list_set_height(&l, 12);
    update(&l);
    for (int i = 0; i < 1500; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct reader *r = &fake_accounts[seed >> 31];
        uint32_t pick = seed >> 8;
        switch ((seed >> 4) % 7) {
        case 0:
            fake_add(
                r,
                (struct fake_row){
                    .box = 1, .date = 900 + (int64_t)(pick % 300), .name = "x", .addr = "", .to = "", .subject = ""});
            break;
        case 1:
            if (r->n) {
                r->rows[pick % r->n].gone = true;
                r->version++;
            }
            break;
        case 2:
            list_move(&l, (int64_t)(pick % 41) - 20, &err);
            break;
        case 3:
            list_unread(&l, pick & 1, &err);
            break;
        case 4:
            list_set_height(&l, 1 + pick % 30);
            list_set_filter(&l, pick % 9 == 0 ? LIST_UNREAD : LIST_ALL);
            list_stale(&l);
            break;
        case 5:
            pick & 1 ? list_first(&l, &err) : list_last(&l, &err);
            break;
        default:
            list_stale(&l);
        }
        l.stay = l.stay == STAY_OLDEST ? STAY_ROW : l.stay; /* as the next key does */
        const struct list_row *row = list_cursor(&l);
        struct ref ref = row ? row->ref : REF_NONE;
        bool only_ghost = row && l.n == 1;
        list_update(&l, &err);
        /* a height that shrank is taken in by the next move or reading */
        list_stale(&l);
        list_update(&l, &err);
        list_check(&l);
        if (ref.id && l.n && !only_ghost)
            assert_true(ref_eq(list_cursor(&l)->ref, ref));
    }
    teardown(&l);
}

/* ---- by threads ---- */
/* n messages; where `every` is given each answers the one so many before it. */
static void setup_threads(unsigned n, bool two, unsigned every)
{
    setup_rows(n, two);
    for (size_t a = 0; a < 2; a++)
        for (size_t i = every; i < fake_accounts[a].n; i++) {
            struct fake_row *row = &fake_accounts[a].rows[i], *up = &fake_accounts[a].rows[i - every];
            row->answers = up->id;
            row->thread = up->thread ? up->thread : up->id;
        }
}

/* Walks from the first row to the last; returns how many there are. Each thread is together, its newest message falls,
 * its places rise. */
static unsigned walk_threads(struct list *l)
{
    struct err err = ERR_INIT;
    unsigned n = 0;
    list_first(l, &err);
    list_check(l);
    do {
        const struct list_row *row = list_cursor(l);
        n++;
        if (row->folded)
            assert_int_equal(row->place_no, 0);
        uint32_t rank = l->rank;
        list_stale(l);
        update(l);
        assert_int_equal(l->rank, rank); /* as counted, so kept while moving */
        assert_true(n < 2000);
    } while (list_move(l, 1, &err));
    return n;
}

static void test_threads_are_walked_whole(void **state)
{
    (void)state;
    static const unsigned every[] = {1, 3, 40, 1000};
    for (unsigned two = 0; two < 2; two++)
        for (size_t k = 0; k < COUNT(every); k++) {
            struct list l;
            setup_threads(120, two, every[k]);
            list_init(&l, &store.accts, &store.changes);
            list_set_threads(&l, true);
            list_show_inboxes(&l, STR("all"));
            list_set_height(&l, 7);
            update(&l);
            unsigned threads = two ? 2 * MIN(every[k], 60u) : MIN(every[k], 120u);
            assert_int_equal(l.total, threads);
            assert_int_equal(walk_threads(&l), 120);
            list_fold_all(&l, true);
            update(&l);
            assert_int_equal(walk_threads(&l), threads);
            struct err err = ERR_INIT;
            list_last(&l, &err);
            list_check(&l);
            assert_int_equal(l.rank, threads - 1);
            assert_true(list_reach_rank(&l, threads / 2, &err));
            assert_int_equal(l.rank, threads / 2);
            teardown(&l);
        }
}

static void open_threads(struct list *l, unsigned n, unsigned every)
{
    setup_threads(n, false, every);
    list_init(l, &store.accts, &store.changes);
    list_set_threads(l, true);
    list_show_box(l, 0, 1, STR("INBOX"));
    list_set_height(l, 10);
    update(l);
}

static void test_a_tree_as_it_is_answered(void **state)
{
    (void)state;
    struct list l;
    struct err err = ERR_INIT;
    struct reader *r = &fake_accounts[0];
    open_threads(&l, 30, 30); /* 30 of their own */
    struct fake_row answer = {.box = 1,
                              .date = 5000,
                              .thread = r->rows[3].id,
                              .answers = r->rows[3].id,
                              .name = "",
                              .addr = "",
                              .to = "",
                              .subject = ""};
    struct ref was = list_cursor(&l)->ref;
    l.stay = STAY_ROW;
    fake_add(r, answer);
    answer.date = 5001;
    answer.answers = r->rows[30].id;
    fake_add(r, answer);
    list_stale(&l);
    update(&l);
    assert_true(ref_eq(list_cursor(&l)->ref, was)); /* it stays on its message */
    list_first(&l, &err);
    assert_int_equal(l.total, 30);
    assert_int_equal(l.rows[0].ref.id, r->rows[3].id);
    assert_true(l.rows[0].count == 3 && l.rows[1].place.depth == 1 && l.rows[2].place.depth == 2 &&
                l.rows[2].place.last);
    assert_int_equal(l.rows[3].count, 1);
    /* folded it is its newest message; the cursor stays in the thread */
    list_move(&l, 1, &err);
    list_fold(&l, true);
    update(&l);
    assert_true(list_cursor(&l)->folded && list_cursor(&l)->ref.id == r->rows[31].id && l.cur == 0);
    assert_true(!(list_cursor(&l)->flags & FLAG_SEEN)); /* as one of them is */
    struct refs all = {.n = 0};
    assert_true(list_thread_refs(&l, list_cursor(&l), &all, &err));
    assert_int_equal(all.n, 3);
    refs_fini(&all);
    /* one of it goes, then all */
    r->rows[31].gone = true;
    r->version++;
    update(&l);
    assert_true(list_cursor(&l)->folded && list_cursor(&l)->count == 2 && !list_cursor(&l)->ghost);
    r->rows[30].gone = r->rows[3].gone = true;
    r->version++;
    update(&l);
    assert_true(list_cursor(&l)->ghost);
    list_move(&l, 1, &err);
    list_check(&l);
    update(&l);
    assert_int_equal(l.total, 29);
    teardown(&l);
}

static void test_folded_thread_that_is_filed_goes_at_once(void **state)
{
    (void)state;
    struct list l;
    struct err err = ERR_INIT;
    open_threads(&l, 40, 10);
    list_fold_all(&l, true);
    update(&l);
    struct refs all = {.n = 0};
    struct list_row row = *list_cursor(&l);
    assert_true(list_thread_refs(&l, &row, &all, &err));
    assert_int_equal(all.n, 4);
    struct ref next = list_after(&l, row.ref);
    list_goto(&l, next, &err);
    for (struct ref ref = REF_NONE; refs_next(&all, &ref);)
        changes_add(&store.changes, (struct change){7, ref, 0, 0, true});
    list_stale(&l);
    update(&l);
    assert_null(list_find(&l, row.ref));
    assert_true(ref_eq(list_cursor(&l)->ref, next));
    changes_settle(&store.changes, 7);
    list_stale(&l);
    update(&l);
    assert_non_null(list_find(&l, row.ref));
    refs_fini(&all);
    teardown(&l);
}

static void test_random_changes_of_threads(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    uint32_t seed = 4711;
    (void)state;
    setup_threads(120, true, 5);
    list_init(&l, &store.accts, &store.changes);
    list_set_threads(&l, true);
    list_show_inboxes(&l, STR("all"));
    list_set_height(&l, 12);
    update(&l);
    for (int i = 0; i < 600; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct reader *r = &fake_accounts[seed >> 31];
        uint32_t pick = seed >> 8;
        const struct fake_row *up = &r->rows[pick % r->n];
        switch ((seed >> 4) % 9) {
        case 0:
            fake_add(r, (struct fake_row){.box = 1,
                                          .date = 900 + (int64_t)(pick % 300),
                                          .thread = pick % 3 && !up->gone ? (up->thread ? up->thread : up->id) : 0,
                                          .answers = pick % 3 && !up->gone ? up->id : 0,
                                          .flags = pick & 16 ? FLAG_SEEN : 0,
                                          .name = "x",
                                          .addr = "",
                                          .to = "",
                                          .subject = ""});
            break;
        case 1:
            r->rows[pick % r->n].gone = true;
            for (size_t k = 0; k < r->n; k++) /* its replies answer what it answered */
                if (r->rows[k].answers == r->rows[pick % r->n].id)
                    r->rows[k].answers = r->rows[pick % r->n].answers;
            r->version++;
            break;
        case 2:
            list_move(&l, (int64_t)(pick % 41) - 20, &err);
            break;
        case 3:
            list_unread(&l, pick & 1, &err);
            break;
        case 4:
            list_set_height(&l, 1 + pick % 30);
            list_set_filter(&l, pick % 9 == 0 ? LIST_UNREAD : LIST_ALL);
            list_stale(&l);
            break;
        case 5:
            pick & 1 ? list_first(&l, &err) : list_last(&l, &err);
            break;
        case 6:
            list_fold(&l, pick & 1);
            break;
        case 7:
            if (pick % 5 == 0)
                list_fold_all(&l, pick & 32);
            else if (pick % 5 == 1)
                list_set_threads(&l, pick & 32);
            break;
        default:
            list_stale(&l);
        }
        l.stay = l.stay == STAY_OLDEST ? STAY_ROW : l.stay;
        list_update(&l, &err);
        list_stale(&l);
        list_update(&l, &err);
        list_check(&l);
        const struct list_row *row = list_cursor(&l);
        struct ref ref = row ? row->ref : REF_NONE;
        list_stale(&l);
        list_update(&l, &err);
        if (row && l.stay == STAY_ROW)
            assert_true(ref_eq(list_cursor(&l)->ref, ref));
    }
    teardown(&l);
}

/* ---- orders ---- */
static void mix_rows(void)
{
    static const char *const names[] = {"alice", "bob", "carol", "dave", "eve"};
    static const char *const subjects[] = {"budget", "lunch", "news", "", "patch", "report", "zebra"};
    for (unsigned a = 0; a < 2; a++)
        for (size_t i = 0; i < fake_accounts[a].n; i++) {
            struct fake_row *f = &fake_accounts[a].rows[i];
            f->name = names[(i * 7 + a) % COUNT(names)];
            f->subject = subjects[(i * 11 + a) % COUNT(subjects)];
            f->size = 1000 + (i * 37) % 90;
        }
}

static void open_sorted(struct list *l, unsigned n, bool two, enum list_order order, bool reverse)
{
    setup_rows(n, two);
    mix_rows();
    list_init(l, &store.accts, &store.changes);
    if (two)
        list_show_inboxes(l, STR("all"));
    else
        list_show_box(l, 0, 1, STR("INBOX"));
    list_set_order(l, order, reverse);
    list_set_height(l, 10);
    update(l);
}

static void count_out(struct list *l)
{
    for (unsigned i = 0; list_counting(l); i++) {
        update(l);
        assert_true(i < 1000);
    }
}

static void test_orders_walked(void **state)
{
    (void)state;
    fake_count_most = 7;
    for (unsigned o = 0; o < ORDER_COUNT; o++)
        for (unsigned k = 0; k < 4; k++) {
            struct list l;
            struct err err = ERR_INIT;
            struct refs seen = {.n = 0};
            unsigned steps = 0;
            open_sorted(&l, 300, k & 1, (enum list_order)o, k & 2);
            list_first(&l, &err);
            do {
                assert_true(refs_add(&seen, list_cursor(&l)->ref));
                assert_false(l.rank_unknown);
                assert_int_equal(l.rank, steps);
                list_check(&l);
                steps++;
            } while (list_move(&l, 1, &err));
            assert_int_equal(steps, 300);
            while (list_move(&l, -7, &err))
                list_check(&l);
            assert_int_equal(l.rank, 0);
            list_last(&l, &err);
            list_check(&l);
            assert_int_equal(l.rank, 299);
            assert_true(l.n < 200);
            refs_fini(&seen);
            teardown(&l);
        }
    fake_count_most = UINT32_MAX;
}

static void test_order_changes_under_the_cursor(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    fake_count_most = 11;
    open_sorted(&l, 400, true, ORDER_DATE, false);
    list_move(&l, 150, &err);
    for (unsigned i = 0; i < 30; i++) {
        struct ref ref = list_cursor(&l)->ref;
        list_set_order(&l, (enum list_order)(i % ORDER_COUNT), i % 3 == 1);
        update(&l);
        assert_true(ref_eq(list_cursor(&l)->ref, ref));
        if (i % 2)
            list_move(&l, i % 4 == 1 ? 3 : -2, &err); /* while it is counted */
        count_out(&l);
        assert_false(l.rank_unknown);
        uint32_t rank = l.rank, above = 0;
        while (list_move(&l, -1, &err))
            above++;
        assert_int_equal(above, rank);
        list_move(&l, 150 + (int)i, &err);
    }
    fake_count_most = UINT32_MAX;
    teardown(&l);
}

/* New mail, removals and other changes: the cursor stays on its message and its line; what is gone stays as a ghost,
 * where it stood. */
static void test_orders_under_changes(void **state)
{
    (void)state;
    for (unsigned o = 0; o < ORDER_COUNT * 2; o++) {
        struct list l;
        struct err err = ERR_INIT;
        open_sorted(&l, 300, false, (enum list_order)(o / 2), o % 2);
        list_first(&l, &err);
        list_move(&l, 130, &err);
        struct ref ref = list_cursor(&l)->ref;
        unsigned line = l.cur - l.top;
        for (unsigned i = 0; i < 25; i++) {
            fake_add(&fake_accounts[0], (struct fake_row){.box = 1,
                                                          .date = 900 + i * 9,
                                                          .name = i % 2 ? "adam" : "zoe",
                                                          .addr = "",
                                                          .to = "",
                                                          .subject = i % 3 ? "apple" : "yak",
                                                          .size = 900 + i * 10});
            struct fake_row *f = &fake_accounts[0].rows[(i * 7) % 240];
            f->gone = f->id != ref.id;
            fake_accounts[0].version++;
            update(&l);
            assert_true(ref_eq(list_cursor(&l)->ref, ref));
            assert_int_equal(l.cur - l.top, line);
        }
        struct ref above = l.rows[l.cur - 1].ref, below = l.rows[l.cur + 1].ref;
        fake_find(&fake_accounts[0], ref.id)->gone = true;
        fake_accounts[0].version++;
        update(&l);
        assert_true(list_cursor(&l)->ghost);
        assert_true(ref_eq(l.rows[l.cur - 1].ref, above) && ref_eq(l.rows[l.cur + 1].ref, below));
        uint32_t rank = l.rank;
        list_move(&l, 1, &err);
        list_check(&l);
        assert_int_equal(l.rank, rank);
        assert_true(ref_eq(list_cursor(&l)->ref, below));
        teardown(&l);
    }
}

static void test_orders_filter_jump_and_next_unread(void **state)
{
    (void)state;
    for (unsigned o = 0; o < ORDER_COUNT * 2; o++) {
        struct list l;
        struct err err = ERR_INIT;
        open_sorted(&l, 300, false, (enum list_order)(o / 2), o % 2);
        for (uint32_t rank = 3; rank < 300; rank += 59) {
            assert_true(list_reach_rank(&l, rank, &err));
            count_out(&l);
            assert_int_equal(l.rank, rank);
        }
        list_first(&l, &err);
        unsigned unread = !(list_cursor(&l)->flags & FLAG_SEEN);
        while (list_unread(&l, true, &err)) {
            assert_false(list_cursor(&l)->flags & FLAG_SEEN);
            unread++;
        }
        assert_int_equal(unread, 60);
        list_set_filter(&l, LIST_UNREAD);
        update(&l);
        assert_int_equal(l.total, 60);
        list_first(&l, &err);
        unsigned steps = 1;
        while (list_move(&l, 1, &err))
            steps++;
        assert_int_equal(steps, 60);
        teardown(&l);
    }
}

static int64_t ticks;

static int64_t ticking(void)
{
    return ticks += 5; /* one piece of work an update */
}

/* The row of a number among those of several accounts, in every order, filtered or not, at once or piece by piece; a
 * key that is pressed before is worth more. */
static void test_jump_over_accounts(void **state)
{
    (void)state;
    for (unsigned way = 0; way < ORDER_COUNT * 8; way++) {
        struct list l;
        struct err err = ERR_INIT;
        struct ref all[400];
        uint32_t n = 0;
        open_sorted(&l, 300, true, (enum list_order)(way / 8), way & 1);
        list_set_filter(&l, way & 2 ? LIST_UNREAD : LIST_ALL);
        if (way & 4)
            l.clock = ticking;
        update(&l);
        list_first(&l, &err);
        do
            all[n++] = list_cursor(&l)->ref;
        while (list_move(&l, 1, &err));
        assert_int_equal(n, l.total);
        for (uint32_t rank = n; rank-- > 0; rank -= MIN(rank, (uint32_t)3)) {
            assert_true(list_reach_rank(&l, rank, &err));
            count_out(&l);
            assert_int_equal(l.rank, rank);
            assert_true(ref_eq(list_cursor(&l)->ref, all[rank]));
        }
        if (l.order != ORDER_DATE && way & 4) {
            list_first(&l, &err);
            assert_true(list_reach_rank(&l, n / 2, &err));
            assert_true(list_counting(&l));
            list_move(&l, 1, &err);
            count_out(&l);
            assert_int_equal(l.rank, 1);
        }
        teardown(&l);
    }
}

/* A list begins at the newest: by date the other way round that is its end. */
static void test_reversed_begins_at_its_end(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_sorted(&l, 100, false, ORDER_DATE, true);
    assert_int_equal(l.rank, 99);
    assert_int_equal(list_cursor(&l)->ref.id, 100);
    fake_add(&fake_accounts[0],
             (struct fake_row){.box = 1, .date = 9000, .name = "new", .addr = "", .to = "", .subject = ""});
    update(&l);
    assert_int_equal(list_cursor(&l)->ref.id, 101); /* as long as nothing was touched */
    list_move(&l, -1, &err);
    assert_int_equal(list_cursor(&l)->ref.id, 100);
    list_set_threads(&l, true);
    update(&l);
    assert_int_equal(list_cursor(&l)->ref.id, 100);
    assert_int_equal(l.rank, 99);
    while (list_move(&l, -3, &err))
        list_check(&l);
    assert_int_equal(list_cursor(&l)->ref.id, 1);
    teardown(&l);
}

static void test_ranges(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 16; k++) {
        struct list l;
        struct err err = ERR_INIT;
        struct refs want = {.n = 0}, got = {.n = 0};
        unsigned o = k % 8;
        open_sorted(&l, 300, k & 1, o < 5 ? (enum list_order)o : ORDER_DATE, k & 4);
        for (size_t i = 0; o >= 5 && i < fake_accounts[0].n; i++) /* threads of three */
            fake_accounts[0].rows[i].thread = 1000 + i / 3;
        list_set_threads(&l, o >= 5);
        list_fold_all(&l, o == 6);
        update(&l);
        list_first(&l, &err);
        list_move(&l, 20, &err);
        struct ref a = list_cursor(&l)->ref;
        for (unsigned i = 0; i <= 60; i++) {
            assert_true(list_thread_refs(&l, list_cursor(&l), &got, &err));
            if (list_cursor(&l)->folded)
                for (struct ref ref = REF_NONE; refs_next(&got, &ref);)
                    refs_add(&want, ref);
            else
                refs_add(&want, list_cursor(&l)->ref);
            refs_clear(&got);
            if (i < 60)
                list_move(&l, 1, &err);
        }
        struct ref b = list_cursor(&l)->ref;
        for (unsigned turn = 0; turn < 2; turn++) {
            refs_clear(&got);
            assert_true(list_range(&l, turn ? b : a, turn ? a : b, &got, &err));
            assert_int_equal(got.n, want.n);
            for (struct ref ref = REF_NONE; refs_next(&want, &ref);)
                assert_true(refs_has(&got, ref));
        }
        refs_fini(&want);
        refs_fini(&got);
        teardown(&l);
    }
}

static void group_fits(const struct list *l)
{
    assert_true(list_lines(l, l->top, l->cur) < l->height);
    assert_true(list_heading(l, l->top));
    for (unsigned i = l->top + 1; i < l->n; i++)
        assert_int_equal(list_heading(l, i), l->rows[i].day != l->rows[i - 1].day);
    if (l->last_here && l->top > 0)
        assert_true(list_lines(l, l->top - 1, l->n - 1) >= l->height);
}

static void test_grouped_by_day(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 4; k++) {
        struct list l;
        struct err err = ERR_INIT;
        open_sorted(&l, 200, k & 1, ORDER_DATE, k & 2);
        for (unsigned a = 0; a < 2; a++)
            for (size_t i = 0; i < fake_accounts[a].n; i++)
                fake_accounts[a].rows[i].date = 1700000000 + (int64_t)(i / 2) * 30000;
        list_set_group(&l, true);
        list_first(&l, &err);
        update(&l);
        group_fits(&l);
        list_first(&l, &err);
        unsigned pages = 0;
        struct refs seen = {.n = 0};
        do {
            for (unsigned i = l.top; i < l.top + list_page(&l); i++)
                refs_add(&seen, l.rows[i].ref);
            group_fits(&l);
            list_check(&l);
            pages++;
        } while (list_move(&l, list_page(&l), &err));
        assert_true(pages > 20);
        list_last(&l, &err);
        group_fits(&l);
        for (unsigned i = 0; i < 60; i++) {
            list_move(&l, i % 3 ? -2 : 1, &err);
            struct ref ref = list_cursor(&l)->ref;
            unsigned line = list_lines(&l, l.top, l.cur);
            fake_accounts[0].version++;
            update(&l);
            group_fits(&l);
            assert_true(ref_eq(list_cursor(&l)->ref, ref));
            assert_int_equal(list_lines(&l, l.top, l.cur), line);
        }
        list_set_order(&l, ORDER_SIZE, false); /* has no days */
        update(&l);
        assert_false(list_heading(&l, l.top));
        refs_fini(&seen);
        teardown(&l);
    }
}

/* A set against a plain table of what is in it; and what many messages of a mailbox cost. */
static void test_sets_of_messages(void **state)
{
    (void)state;
    enum { IDS = 6000, ACCOUNTS = 3 };
    static bool in[ACCOUNTS][IDS];
    struct refs set = {.n = 0};
    uint32_t x = 12345;
    for (unsigned k = 0; k < 60000; k++) {
        x = x * 1664525 + 1013904223;
        struct ref ref = {(x >> 8) % ACCOUNTS, (x >> 12) % IDS};
        bool *is = &in[ref.account][ref.id], add = (x >> 4) % 5 < (k < 40000 ? 3 : 1);
        assert_int_equal(refs_has(&set, ref), *is);
        assert_int_equal(add ? refs_add(&set, ref) : refs_drop(&set, ref), ref.id && add != *is);
        *is = ref.id ? add : false;
        if (k % 1000)
            continue;
        struct ref at = REF_NONE;
        size_t n = 0;
        for (unsigned a = 0; a < ACCOUNTS; a++)
            for (unsigned id = 0; id < IDS; id++)
                if (in[a][id]) {
                    assert_true(refs_next(&set, &at) && at.account == a && at.id == id);
                    n++;
                }
        assert_false(refs_next(&set, &at));
        assert_int_equal(set.n, n);
    }
    refs_clear(&set);
    assert_false(refs_next(&set, &(struct ref){0, 0}));
    struct ref far = {1, UINT64_MAX}, next = {1, UINT64_MAX - 1};
    assert_true(refs_add(&set, far) && refs_next(&set, &next) && ref_eq(next, far) && !refs_next(&set, &next));
    for (uint64_t id = 1000000; id > 0; id--)
        assert_true(refs_add(&set, (struct ref){0, id}));
    assert_int_equal(set.n, 1000001);
    assert_true(set.npages < 2000); /* of 80 bytes */
    refs_fini(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reaches_any_row_by_its_number),
        cmocka_unit_test(test_walks_the_whole_list_once),
        cmocka_unit_test(test_home_end_and_jumps),
        cmocka_unit_test(test_cursor_stays_on_its_message),
        cmocka_unit_test(test_removed_row_is_a_ghost_until_left),
        cmocka_unit_test(test_untouched_list_stays_on_the_newest),
        cmocka_unit_test(test_the_end_stays_the_end),
        cmocka_unit_test(test_filter_moves_off_what_it_leaves_out),
        cmocka_unit_test(test_unread_filter_keeps_what_was_just_read),
        cmocka_unit_test(test_pending_action_hides_and_comes_back),
        cmocka_unit_test(test_random_changes_hold_the_invariants),
        cmocka_unit_test(test_threads_are_walked_whole),
        cmocka_unit_test(test_a_tree_as_it_is_answered),
        cmocka_unit_test(test_folded_thread_that_is_filed_goes_at_once),
        cmocka_unit_test(test_random_changes_of_threads),
        cmocka_unit_test(test_orders_walked),
        cmocka_unit_test(test_order_changes_under_the_cursor),
        cmocka_unit_test(test_orders_under_changes),
        cmocka_unit_test(test_orders_filter_jump_and_next_unread),
        cmocka_unit_test(test_jump_over_accounts),
        cmocka_unit_test(test_reversed_begins_at_its_end),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_grouped_by_day),
        cmocka_unit_test(test_sets_of_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
