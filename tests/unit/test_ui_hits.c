/* Lists of hits: every order, threads and filters; sources that tell theirs in rounds; the cursor stays on its message
 * whatever comes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

static struct fake_lists store;

static void setup_rows(unsigned n)
{
    static const char *const names[] = {"alice", "bob", "carol", "dave", "eve"};
    static const char *const subjects[] = {"budget", "lunch", "news", "", "patch", "report", "zebra"};
    fake_lists_boxes();
    for (unsigned i = 0; i < n; i++)
        fake_add(&fake_accounts[i % 2], (struct fake_row){.box = i % 7 == 3 ? 2 : 1,
                                                          .date = 1000 + i / 3,
                                                          .flags = i % 5   ? FLAG_SEEN
                                                                   : i % 4 ? 0
                                                                           : FLAG_FLAGGED,
                                                          .name = names[(i * 7) % COUNT(names)],
                                                          .addr = "a",
                                                          .to = "t",
                                                          .subject = subjects[(i * 11) % COUNT(subjects)],
                                                          .size = 1000 + (i * 37) % 90,
                                                          .thread = i % 3 ? 0 : 5000 + i % 30});
    fake_lists_open(&store);
}

static void teardown(struct list *l)
{
    list_fini(l);
    fake_lists_close(&store);
}

/* A clock that goes on by so much whenever it is looked at: the list does the less in one update. */
static int64_t tick, ticks;

static int64_t ticking(void)
{
    return ticks += tick;
}

static void look(struct list *l)
{
    struct err err = ERR_INIT;
    list_update(l, &err);
    list_check(l);
    assert_int_equal(err.kind, ERR_NONE);
}

/* Until nothing is left to look up. */
static void update(struct list *l)
{
    unsigned i = 0;
    do {
        look(l);
        assert_true(i++ < 100000);
    } while (list_counting(l));
}

static void tell(struct list *l, enum hit_source source, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        const struct reader *r = &fake_accounts[i % 2];
        const struct fake_row *f = &r->rows[i / 2];
        list_add_hit(l, source, &(struct hit){.ref = {i % 2, f->id}, .date = f->date});
    }
}

static void open_hits(struct list *l, unsigned n, unsigned height)
{
    setup_rows(n);
    list_init(l, &store.accts, &store.changes);
    list_show_hits(l, STR("query"));
    list_set_height(l, height);
    list_hits_begin(l, HITS_INDEX, true);
    tell(l, HITS_INDEX, 0, n);
    list_hits_end(l, HITS_INDEX);
    update(l);
}

static void test_every_order_is_walked_whole(void **state)
{
    (void)state;
    for (unsigned o = 0; o < ORDER_COUNT * 2; o++) {
        struct list l;
        struct err err = ERR_INIT;
        struct refs seen = {.n = 0};
        unsigned steps = 0;
        open_hits(&l, 300, 10);
        list_set_order(&l, (enum list_order)(o / 2), o % 2);
        update(&l);
        list_first(&l, &err);
        do {
            assert_true(refs_add(&seen, list_cursor(&l)->ref));
            assert_int_equal(l.rank, steps++);
            list_check(&l);
        } while (list_move(&l, 1, &err));
        assert_int_equal(steps, 300);
        assert_int_equal(l.total, 300);
        assert_true(l.n < 200); /* a window, not the list */
        while (list_move(&l, -7, &err))
            list_check(&l);
        assert_int_equal(l.rank, 0);
        assert_true(list_reach_rank(&l, 123, &err));
        assert_int_equal(l.rank, 123);
        list_last(&l, &err);
        assert_int_equal(l.rank, 299);
        refs_fini(&seen);
        teardown(&l);
    }
}

static void test_order_changes_under_the_cursor(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_hits(&l, 400, 12);
    list_move(&l, 150, &err);
    for (unsigned i = 0; i < 20; i++) {
        struct ref ref = list_cursor(&l)->ref;
        list_set_order(&l, (enum list_order)(i % ORDER_COUNT), i % 3 == 1);
        list_set_threads(&l, i % 5 == 4);
        list_fold_all(&l, i % 10 == 9);
        update(&l);
        if (!list_cursor(&l)->folded)
            assert_true(ref_eq(list_cursor(&l)->ref, ref));
        list_move(&l, i % 2 ? 13 : -9, &err);
    }
    teardown(&l);
}

/* Days of hits fold as those of a mailbox do: one row each with its count, and what acts on it acts on all of them, in
 * both accounts. */
static void test_folded_days(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        struct list l;
        struct err err = ERR_INIT;
        struct refs refs = {.n = 0};
        setup_rows(300);
        for (unsigned i = 0; i < 300; i++) /* forty a day */
            fake_accounts[i % 2].rows[i / 2].date = 1700000000 + (int64_t)(i / 40) * 86400 + i;
        list_init(&l, &store.accts, &store.changes);
        list_show_hits(&l, STR("query"));
        list_set_threads(&l, threads);
        list_set_group(&l, true);
        list_set_height(&l, 10);
        list_fold_days(&l, true);
        list_hits_begin(&l, HITS_INDEX, true);
        tell(&l, HITS_INDEX, 0, 290);
        list_hits_end(&l, HITS_INDEX);
        update(&l);
        list_first(&l, &err);
        unsigned days = 0;
        do {
            size_t had = refs.n;
            const struct list_row *row = list_cursor(&l);
            uint32_t n = row->day_n;
            assert_true(list_thread_refs(&l, row, &refs, &err));
            assert_int_equal(refs.n - had, n);
            days++;
            update(&l);
        } while (list_move(&l, 1, &err));
        assert_int_equal(refs.n, 290);
        assert_true(threads || days == 8);
        /* a late hit comes into a day that is folded: its count tells, the cursor stays */
        list_first(&l, &err);
        update(&l);
        struct ref at = list_cursor(&l)->ref;
        uint32_t n = list_cursor(&l)->day_n;
        tell(&l, HITS_INDEX, 290, 291);
        update(&l);
        assert_int_equal(list_cursor(&l)->day_n, n + 1);
        /* unfolded it is what it was */
        list_fold_day(&l, list_cursor(&l), false);
        update(&l);
        assert_true(list_find(&l, at) != NULL);
        assert_int_equal(list_cursor(&l)->day_n, 0);
        refs_fini(&refs);
        teardown(&l);
    }
}

/* Hits that stream in, from the newest or in any order: what the user looks at stays where it is. */
static void test_cursor_stays_while_hits_come(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        struct list l;
        struct err err = ERR_INIT;
        setup_rows(600);
        list_init(&l, &store.accts, &store.changes);
        list_show_hits(&l, STR("query"));
        list_set_height(&l, 10);
        list_hits_begin(&l, HITS_INDEX, true);
        tell(&l, HITS_INDEX, 300, 360);
        update(&l);
        assert_int_equal(l.rank, 0); /* nobody touched it: the newest */
        list_move(&l, 25, &err);
        struct ref ref = list_cursor(&l)->ref;
        unsigned line = l.cur - l.top;
        for (unsigned i = 0; i < 24; i++) {
            if (way == 0)
                tell(&l, HITS_INDEX, 300 - (i + 1) * 10, 300 - i * 10);
            else
                tell(&l, HITS_INDEX, 360 + i * 10, 360 + (i + 1) * 10);
            update(&l);
            assert_true(ref_eq(list_cursor(&l)->ref, ref));
            assert_int_equal(l.cur - l.top, line);
        }
        list_hits_end(&l, HITS_INDEX);
        update(&l);
        assert_int_equal(l.total, 300);
        assert_true(l.full_hits);
        teardown(&l);
    }
}

static void test_filters(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    unsigned unread = 0, flagged = 0;
    (void)state;
    open_hits(&l, 200, 10);
    for (unsigned a = 0; a < 2; a++)
        for (size_t i = 0; i < fake_accounts[a].n; i++) {
            unread += !(fake_accounts[a].rows[i].flags & FLAG_SEEN);
            flagged += (fake_accounts[a].rows[i].flags & FLAG_FLAGGED) != 0;
        }
    assert_int_equal(l.unread, unread);
    for (unsigned threads = 0; threads < 2; threads++) {
        list_set_filter(&l, LIST_UNREAD);
        list_set_threads(&l, threads);
        update(&l);
        if (!threads)
            assert_int_equal(l.total, unread);
        for (unsigned i = 0; i < l.n; i++)
            assert_true(!(l.rows[i].flags & FLAG_SEEN));
        list_set_filter(&l, LIST_FLAGGED);
        update(&l);
        if (!threads)
            assert_int_equal(l.total, flagged);
        list_set_filter(&l, LIST_ALL);
        update(&l);
    }
    list_set_threads(&l, false);
    update(&l);
    list_first(&l, &err);
    struct refs met = {.n = 0};
    while (list_unread(&l, true, &err)) {
        assert_false(list_cursor(&l)->flags & FLAG_SEEN);
        assert_true(refs_add(&met, list_cursor(&l)->ref));
        list_check(&l);
    }
    assert_int_equal(met.n + (l.rows[0].flags & FLAG_SEEN ? 0 : 1), unread);
    refs_fini(&met);
    /* what was read leaves the unread ones, and goes from under the cursor only when that moves on */
    list_set_filter(&l, LIST_UNREAD);
    list_first(&l, &err);
    update(&l);
    l.stay = STAY_ROW;
    struct ref ref = list_cursor(&l)->ref;
    fake_find(&fake_accounts[ref.account], ref.id)->flags |= FLAG_SEEN;
    fake_accounts[ref.account].version++;
    update(&l);
    assert_true(list_cursor(&l)->ghost && ref_eq(list_cursor(&l)->ref, ref));
    assert_int_equal(l.unread, unread - 1);
    list_move(&l, 1, &err);
    assert_null(list_find(&l, ref));
    teardown(&l);
}

/* What a source does not tell again in its next round goes, unless another one tells it. */
static void test_rounds(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    (void)state;
    open_hits(&l, 100, 10);
    list_hits_begin(&l, HITS_SERVER, false);
    tell(&l, HITS_SERVER, 90, 95);
    list_add_hit(
        &l, HITS_SERVER,
        &(struct hit){.ref = {1, 0}, .date = 1010, .msgid = STR("x@y"), .from = STR("zoe"), .subject = STR("away")});
    assert_false(l.full_hits);
    list_hits_end(&l, HITS_SERVER);
    update(&l);
    assert_int_equal(l.total, 101);
    list_move(&l, 20, &err);
    struct ref ref = list_cursor(&l)->ref;
    list_hits_begin(&l, HITS_INDEX, false); /* asked again: nothing flickers before it is answered */
    update(&l);
    assert_int_equal(l.total, 101);
    tell(&l, HITS_INDEX, 10, 80);
    update(&l);
    assert_int_equal(l.total, 101);
    list_hits_end(&l, HITS_INDEX);
    update(&l);
    assert_int_equal(l.total, 70 + 5 + 1);
    assert_true(ref_eq(list_cursor(&l)->ref, ref));
    struct hit hit;
    unsigned away = 0;
    for (uint32_t i = 0; list_hit_at(&l, i, &hit); i++)
        away += !hit.ref.id && str_eqz(hit.msgid, "x@y");
    assert_int_equal(away, 1);
    list_hits_begin(&l, HITS_INDEX, true); /* another query: the old hits go with its first */
    update(&l);
    assert_int_equal(l.total, 76);
    tell(&l, HITS_INDEX, 0, 1);
    update(&l);
    assert_int_equal(l.total, 1 + 5 + 1);
    assert_int_equal(l.rank, 0);
    teardown(&l);
}

/* Two accounts have parts of a thread: one of them the question, the other the answer. */
static void test_threads_span_accounts(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    struct refs refs = {.n = 0};
    (void)state;
    setup_rows(0);
    fake_add(&fake_accounts[0],
             (struct fake_row){
                 .box = 1, .date = 100, .name = "a", .addr = "", .to = "", .subject = "question", .mail = "q@x"});
    fake_add(&fake_accounts[0],
             (struct fake_row){.box = 1, .date = 150, .name = "b", .addr = "", .to = "", .subject = "other"});
    fake_add(&fake_accounts[1], (struct fake_row){.box = 2,
                                                  .date = 200,
                                                  .flags = FLAG_SEEN,
                                                  .name = "me",
                                                  .addr = "",
                                                  .to = "",
                                                  .subject = "answer",
                                                  .refers = "q@x"});
    /* as hits, by what the index calls one conversation */
    list_init(&l, &store.accts, &store.changes);
    list_show_hits(&l, STR("query"));
    list_set_threads(&l, true);
    list_set_height(&l, 10);
    list_hits_begin(&l, HITS_INDEX, true);
    list_add_hit(&l, HITS_INDEX, &(struct hit){.ref = {1, 1}, .date = 200, .conversation = 77});
    list_add_hit(&l, HITS_INDEX, &(struct hit){.ref = {0, 2}, .date = 150, .conversation = 78});
    list_add_hit(&l, HITS_INDEX, &(struct hit){.ref = {0, 1}, .date = 100, .conversation = 77});
    list_hits_end(&l, HITS_INDEX);
    update(&l);
    assert_int_equal(l.total, 2);
    assert_int_equal(l.n, 3);
    assert_true(ref_eq(l.rows[0].ref, ((struct ref){0, 1})) && ref_eq(l.rows[1].ref, ((struct ref){1, 1})));
    assert_int_equal(l.rows[1].place.depth, 1);
    assert_true(list_thread_refs(&l, &l.rows[0], &refs, &err));
    assert_int_equal(refs.n, 2);
    list_fold(&l, true);
    update(&l);
    assert_int_equal(l.n, 2);
    assert_true(l.rows[0].folded && l.rows[0].count == 2 && !(l.rows[0].flags & FLAG_SEEN));
    teardown(&l);
    refs_fini(&refs);

    /* in a mailbox: the answer stands in its place, and is acted on like any other */
    setup_rows(0);
    fake_add(&fake_accounts[0],
             (struct fake_row){
                 .box = 1, .date = 100, .name = "a", .addr = "", .to = "", .subject = "question", .mail = "q@x"});
    fake_add(&fake_accounts[1],
             (struct fake_row){
                 .box = 2, .date = 200, .name = "me", .addr = "", .to = "", .subject = "answer", .refers = "q@x"});
    list_init(&l, &store.accts, &store.changes);
    list_show_box(&l, 0, 1, STR("INBOX"));
    list_set_threads(&l, true);
    list_set_height(&l, 10);
    update(&l);
    assert_int_equal(l.n, 1);
    list_set_across(&l, true);
    update(&l);
    assert_int_equal(l.n, 2);
    assert_true(l.rows[1].place.elsewhere && ref_eq(l.rows[1].ref, ((struct ref){1, 1})));
    assert_int_equal(l.rows[1].place.depth, 1);
    assert_true(list_move(&l, 1, &err));
    list_stale(&l);
    update(&l);
    assert_int_equal(list_cursor(&l)->ref.account, 1);
    teardown(&l);
}

static void test_no_more_than_there_is_room_for(void **state)
{
    struct list l;
    (void)state;
    setup_rows(10);
    list_init(&l, &store.accts, &store.changes);
    list_show_hits(&l, STR("query"));
    list_hits_begin(&l, HITS_INDEX, true);
    for (uint32_t i = 0; i < HITS_MAX + 50; i++)
        list_add_hit(&l, HITS_INDEX, &(struct hit){.ref = {0, 1000 + i}, .date = i});
    list_hits_end(&l, HITS_INDEX);
    assert_int_equal(list_hits(&l), HITS_MAX);
    assert_int_equal(list_hits_over(&l), 50);
    /* the index is asked for no more than there is room for, and says how many there are */
    list_hits_begin(&l, HITS_INDEX, true);
    for (uint32_t i = 0; i < HITS_MAX; i++)
        list_add_hit(&l, HITS_INDEX, &(struct hit){.ref = {0, 1000 + i}, .date = i});
    list_hits_end(&l, HITS_INDEX);
    assert_int_equal(list_hits_over(&l), 0);
    l.asked = HITS_MAX + 200;
    assert_int_equal(list_hits_over(&l), 200);
    teardown(&l);
}

/* A limit of a mailbox: what leaves that leaves it, and comes back to its place. */
static void test_limits(void **state)
{
    struct list l, below;
    struct err err = ERR_INIT;
    (void)state;
    setup_rows(60);
    list_init(&below, &store.accts, &store.changes);
    list_show_box(&below, 0, 1, STR("INBOX"));
    list_init(&l, &store.accts, &store.changes);
    list_show_hits(&l, STR("query"));
    l.limits = &below;
    list_set_height(&l, 10);
    list_hits_begin(&l, HITS_INDEX, true);
    tell(&l, HITS_INDEX, 0, 60);
    list_hits_end(&l, HITS_INDEX);
    update(&l);
    unsigned inbox = 0;
    for (size_t i = 0; i < fake_accounts[0].n; i++)
        inbox += fake_accounts[0].rows[i].box == 1;
    assert_int_equal(l.total, inbox);
    list_move(&l, 3, &err);
    struct ref ref = list_cursor(&l)->ref;
    fake_find(&fake_accounts[0], ref.id)->box = 2;
    fake_accounts[0].version++;
    update(&l);
    assert_true(list_cursor(&l)->ghost && ref_eq(list_cursor(&l)->ref, ref));
    list_move(&l, 1, &err);
    assert_null(list_find(&l, ref));
    assert_int_equal(l.total, inbox - 1);
    fake_find(&fake_accounts[0], ref.id)->box = 1;
    fake_accounts[0].version++;
    update(&l);
    assert_non_null(list_find(&l, ref));
    list_fini(&below);
    teardown(&l);
}

/* Threads are made anew now and then: until then they stand where they stood, whatever is looked up again. */
static void test_threads_that_are_behind(void **state)
{
    struct list l;
    struct err err = ERR_INIT;
    uint32_t seed = 99;
    (void)state;
    tick = 1;
    open_hits(&l, 150, 12);
    l.clock = ticking;
    list_set_threads(&l, true);
    update(&l);
    list_move(&l, 20, &err);
    for (int i = 0; i < 600; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct reader *r = &fake_accounts[seed >> 31];
        r->rows[(seed >> 8) % r->n].date = 900 + (int64_t)(seed >> 8) % 500;
        r->version++;
        if (i % 7 == 0) { /* one that the threads do not know of, either */
            fake_add(r, (struct fake_row){.box = 1,
                                          .date = 900 + (int64_t)(seed >> 8) % 500,
                                          .name = "x",
                                          .addr = "",
                                          .to = "",
                                          .subject = "y",
                                          .thread = 5000 + (seed >> 8) % 30});
            list_add_hit(&l, HITS_INDEX, &(struct hit){.ref = {(unsigned)(r - fake_accounts), r->rows[r->n - 1].id}});
        }
        look(&l);
        for (unsigned k = 0; k < l.n; k++) {
            struct refs refs = {.n = 0};
            assert_true(list_thread_refs(&l, &l.rows[k], &refs, &err));
            refs_fini(&refs);
        }
        list_move(&l, (int64_t)(seed >> 8) % 5 - 2, &err);
        list_check(&l);
    }
    teardown(&l);
}

/* `whole`: the list is looked at when it is done; else while it is still looking hits up, too. */
static void random_changes(int64_t by, bool whole)
{
    struct list l;
    struct err err = ERR_INIT;
    uint32_t seed = 4711;
    tick = by;
    open_hits(&l, 150, 12);
    l.clock = ticking;
    for (int i = 0; i < 1500; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct reader *r = &fake_accounts[seed >> 31];
        uint32_t pick = seed >> 8;
        switch ((seed >> 4) % 11) {
        case 0:
            fake_add(r, (struct fake_row){.box = 1 + pick % 2,
                                          .date = 900 + (int64_t)(pick % 300),
                                          .name = "x",
                                          .addr = "",
                                          .to = "",
                                          .subject = "y",
                                          .thread = pick % 3 ? 0 : 5000 + pick % 30});
            list_add_hit(&l, pick & 8 ? HITS_INDEX : HITS_SERVER,
                         &(struct hit){.ref = {(unsigned)(r - fake_accounts), r->rows[r->n - 1].id},
                                       .conversation = pick % 5 ? 0 : pick % 40});
            break;
        case 1:
            r->rows[pick % r->n].gone = pick & 1;
            r->rows[pick % r->n].flags ^= pick & FLAG_SEEN;
            r->rows[pick % r->n].subject = pick & 2 ? "aa" : "zz";
            if (pick & 4)
                r->rows[pick % r->n].date = 900 + (int64_t)(pick % 500);
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
            list_set_filter(&l, pick % 9 == 0 ? LIST_UNREAD : pick % 9 == 1 ? LIST_FLAGGED : LIST_ALL);
            break;
        case 5:
            pick & 1 ? list_first(&l, &err) : list_last(&l, &err);
            break;
        case 6:
            list_set_order(&l, (enum list_order)(pick % ORDER_COUNT), pick & 64);
            break;
        case 7:
            list_set_threads(&l, pick & 1);
            list_set_across(&l, pick & 2);
            break;
        case 8:
            pick & 1 ? list_fold(&l, pick & 2) : list_fold_all(&l, pick & 2);
            break;
        case 9:
            list_hits_begin(&l, HITS_INDEX, pick % 5 == 0);
            tell(&l, HITS_INDEX, pick % 50, 50 + pick % 100);
            if (pick & 1)
                list_hits_end(&l, HITS_INDEX);
            break;
        default:
            list_reach_rank(&l, pick % 100, &err);
        }
        l.stay = l.stay == STAY_OLDEST ? STAY_ROW : l.stay; /* as the next key does */
        whole || pick % 4 == 0 ? update(&l) : look(&l);
        const struct list_row *row = list_cursor(&l);
        struct ref ref = row ? row->ref : REF_NONE;
        list_stale(&l);
        whole || pick % 8 == 0 ? update(&l) : look(&l);
        if (row && l.stay == STAY_ROW && list_cursor(&l))
            assert_true(ref_eq(list_cursor(&l)->ref, ref));
        if (whole && list_cursor(&l) && !list_cursor(&l)->ghost)
            assert_true(l.rank < l.total);
    }
    teardown(&l);
}

static void test_random_changes_hold_the_invariants(void **state)
{
    (void)state;
    for (int64_t by = 0; by < 6; by++) {
        random_changes(by, true);
        random_changes(by, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order_is_walked_whole),
        cmocka_unit_test(test_folded_days),
        cmocka_unit_test(test_order_changes_under_the_cursor),
        cmocka_unit_test(test_cursor_stays_while_hits_come),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_threads_span_accounts),
        cmocka_unit_test(test_no_more_than_there_is_room_for),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_threads_that_are_behind),
        cmocka_unit_test(test_random_changes_hold_the_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
