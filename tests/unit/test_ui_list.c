/* The list model under insertions and removals: the cursor stays on its message, rows stay in order, nothing is lost.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

static struct conf *conf;
static struct accts accts;
static struct changes changes;

static void setup_rows(unsigned n, bool two)
{
    struct err err = ERR_INIT;
    fake_reset();
    for (size_t a = 0; a < 2; a++) {
        fake_accounts[a].boxes[0] = (struct fake_box){1, "INBOX", BOX_INBOX, 0};
        fake_accounts[a].nboxes = 1;
    }
    for (unsigned i = 0; i < n; i++)
        fake_add(&fake_accounts[two ? i % 2 : 0], (struct fake_row){.box = 1,
                                                                    .date = 1000 + i / 3,
                                                                    .flags = i % 5 ? FLAG_SEEN : 0,
                                                                    .name = "n",
                                                                    .addr = "a",
                                                                    .to = "t",
                                                                    .subject = "s"});
    conf = conf_defaults();
    accts = (struct accts){.n = 0};
    accts.list[accts.n++].name = mem_dup_z("work");
    accts.list[accts.n++].name = mem_dup_z("home");
    assert_true(accts_open(&accts, "", &err));
    changes = (struct changes){.n = 0};
}

static void teardown(struct list *l)
{
    list_fini(l);
    accts_fini(&accts);
    changes_fini(&changes);
    conf_free(&conf);
}

static void update(struct list *l)
{
    struct err err = ERR_INIT;
    list_update(l, &err);
    assert_int_equal(err.kind, ERR_NONE);
    list_check(l);
}

/* INBOX of the first account, on a screen of so many rows. */
static void open_list(struct list *l, unsigned n, bool two, unsigned height)
{
    setup_rows(n, two);
    list_init(l, &accts, &changes);
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
        list_init(&l, &accts, &changes);
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
    list_init(&l, &accts, &changes);
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
    list_init(&l, &accts, &changes);
    list_show_box(&l, 0, 1, STR("INBOX"));
    list_set_filter(&l, LIST_UNREAD);
    list_set_height(&l, 10);
    update(&l);
    assert_int_equal(l.total, 10);
    l.stay = STAY_ROW;
    changes_add(&changes, (struct change){1, list_cursor(&l)->ref, FLAG_SEEN, 0, false});
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
    changes_add(&changes, (struct change){7, gone, 0, 0, true});
    list_stale(&l);
    update(&l);
    assert_null(list_find(&l, gone));
    changes_settle(&changes, 7); /* refused: it is there again */
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
    list_init(&l, &accts, &changes);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
