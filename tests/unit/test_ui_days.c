/* Lists that are grouped by days, some of them folded: walked, counted, acted on, unfolded by what leads into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

static struct fake_lists store;

/* Days of one message, of three, of forty; every third message answers another of its account. */
static void setup(struct list *l, bool two, bool threads, enum list_order order, bool reverse)
{
    static const unsigned sizes[] = {1, 3, 22, 2, 1, 1, 7, 1};
    fake_lists_boxes();
    for (unsigned d = 0, k = 0; d < 24; d++)
        for (unsigned i = 0; i < sizes[d % COUNT(sizes)]; i++, k++) {
            struct reader *r = &fake_accounts[two ? k % 2 : 0];
            uint64_t answers = k % 3 == 2 ? r->n : 0;
            fake_add(r, (struct fake_row){.box = 1,
                                          .date = 1700000000 + (int64_t)d * 86400 + (int64_t)i / 2 * 60,
                                          .flags = k % 5 ? FLAG_SEEN : 0,
                                          .thread = answers ? r->rows[answers - 1].thread : k + 1,
                                          .answers = answers,
                                          .name = "n",
                                          .addr = "a",
                                          .to = "t",
                                          .subject = "s"});
        }
    fake_lists_open(&store);
    list_init(l, &store.accts, &store.changes);
    if (two)
        list_show_inboxes(l, STR("all"));
    else
        list_show_box(l, 0, 1, STR("INBOX"));
    list_set_order(l, order, reverse);
    list_set_threads(l, threads);
    list_set_group(l, true);
    list_set_height(l, 12);
}

static void teardown(struct list *l)
{
    list_fini(l);
    fake_lists_close(&store);
}

static void update(struct list *l)
{
    struct err err = ERR_INIT;
    l->rank_cost_ms = 0;
    list_update(l, &err);
    assert_int_equal(err.kind, ERR_NONE);
    list_check(l);
}

struct walk {
    struct ref refs[600];
    int days[600];
    bool folded[600];
    uint32_t n_of[600], unread_of[600], flags[600];
    unsigned n;
};

static void walk(struct list *l, struct walk *w, int by)
{
    struct err err = ERR_INIT;
    w->n = 0;
    if (by > 0)
        list_first(l, &err);
    else
        list_last(l, &err);
    do {
        if (w->n % 5 == 0 || list_cursor(l)->folded_day)
            update(l);
        const struct list_row *row = list_cursor(l);
        assert_true(w->n < COUNT(w->refs));
        w->refs[w->n] = row->ref;
        w->folded[w->n] = row->folded_day;
        w->n_of[w->n] = row->day_n;
        w->unread_of[w->n] = row->day_unread;
        w->flags[w->n] = row->flags;
        assert_true(!row->folded_day || row->day_counted);
        w->days[w->n++] = row->day;
        list_check(l);
    } while (list_move(l, by, &err));
}

/* Folds every day whose number of `mask` is set; the walk tells the expected one then. */
static void expect_folded(const struct walk *all, const struct refs *days, struct walk *want)
{
    want->n = 0;
    for (unsigned i = 0; i < all->n; i++) {
        bool fold = refs_has(days, (struct ref){0, (uint64_t)all->days[i]});
        bool first = i == 0 || all->days[i] != all->days[i - 1];
        if (fold && !first) {
            want->n_of[want->n - 1]++;
            want->unread_of[want->n - 1] += !(all->flags[i] & FLAG_SEEN);
            continue;
        }
        want->refs[want->n] = all->refs[i];
        want->folded[want->n] = fold;
        want->n_of[want->n] = fold;
        want->unread_of[want->n++] = fold && !(all->flags[i] & FLAG_SEEN);
    }
}

static void same_walk(const struct walk *want, const struct walk *got, bool up)
{
    assert_int_equal(got->n, want->n);
    for (unsigned i = 0; i < want->n; i++) {
        unsigned k = up ? want->n - 1 - i : i;
        assert_true(ref_eq(want->refs[k], got->refs[i]));
        assert_int_equal(want->folded[k], got->folded[i]);
        assert_int_equal(want->n_of[k], got->n_of[i]);
        assert_int_equal(want->unread_of[k], got->unread_of[i]);
    }
}

static void test_folded_days_are_walked(void **state)
{
    static struct walk all, want, got;
    (void)state;
    for (unsigned k = 0; k < 16; k++) {
        struct list l;
        struct err err = ERR_INIT;
        bool threads = k & 4;
        setup(&l, k & 1, threads, k & 8 ? ORDER_ARRIVAL : ORDER_DATE, k & 2);
        if (threads && (k & 8)) { /* has no threads */
            teardown(&l);
            continue;
        }
        update(&l);
        walk(&l, &all, 1);
        assert_true(all.n > 100);
        for (unsigned round = k & 8 ? 4 : 1; round < 6; round++) {
            if (round == 5) { /* all; those in the set are the open ones */
                list_fold_days(&l, true);
                update(&l);
            }
            for (unsigned i = 0; i < all.n && round < 5; i++)
                if ((i == 0 || all.days[i] != all.days[i - 1]) && (i * 7 + round) % 5 < round) {
                    struct list_row row = {.ref = all.refs[i]};
                    assert_true(list_reach(&l, all.refs[i], &err));
                    row = *list_cursor(&l);
                    list_fold_day(&l, &row, !row.folded_day);
                    update(&l);
                    assert_int_equal(list_cursor(&l)->folded_day, !row.folded_day);
                }
            if (round < 5) {
                expect_folded(&all, &l.turned_days, &want);
            } else {
                struct refs days = {.n = 0};
                for (unsigned i = 0; i < all.n; i++)
                    refs_add(&days, (struct ref){0, (uint64_t)all.days[i]});
                expect_folded(&all, &days, &want);
                refs_fini(&days);
            }
            walk(&l, &got, 1);
            if (!threads) /* a thread's row of old may lie in a day where its newest is not */
                same_walk(&want, &got, false);
            else
                assert_int_equal(got.n, want.n);
            walk(&l, &got, -1);
            if (!threads)
                same_walk(&want, &got, true);
            else
                assert_int_equal(got.n, want.n);
        }
        teardown(&l);
    }
}

static void test_a_folded_day_is_all_its_messages(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 8; k++) {
        struct list l;
        struct err err = ERR_INIT;
        struct refs refs = {.n = 0}, range = {.n = 0};
        setup(&l, k & 1, k & 4, ORDER_DATE, k & 2);
        list_fold_days(&l, true);
        update(&l);
        list_first(&l, &err);
        do {
            update(&l);
            const struct list_row *row = list_cursor(&l);
            size_t had = refs.n;
            struct ref from = row->ref;
            uint32_t n = row->day_n;
            assert_true(list_thread_refs(&l, row, &refs, &err));
            assert_int_equal(refs.n - had, n);
            assert_true(list_range(&l, from, from, &range, &err)); /* and as an end of a range */
            assert_int_equal(range.n, refs.n);
        } while (list_move(&l, 1, &err));
        assert_int_equal(refs.n, fake_accounts[0].n + (k & 1 ? fake_accounts[1].n : 0));
        refs_fini(&refs);
        refs_fini(&range);
        teardown(&l);
    }
}

/* The last of its messages goes: the row stays as it was until it is left; new mail comes into a folded day: its count
 * tells, and the cursor stays on it. */
static void test_folded_day_changes(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        struct list l;
        struct err err = ERR_INIT;
        setup(&l, false, threads, ORDER_DATE, false);
        list_fold_days(&l, true);
        update(&l);
        list_first(&l, &err);
        update(&l);
        uint32_t n = list_cursor(&l)->day_n;
        int64_t date = list_row_date(&l, list_cursor(&l));
        fake_add(
            &fake_accounts[0],
            (struct fake_row){
                .box = 1, .date = date + 3600, .thread = 5000, .name = "n", .addr = "a", .to = "t", .subject = "new"});
        fake_accounts[0].version++;
        update(&l);
        assert_int_equal(l.cur, 0);
        assert_true(list_cursor(&l)->folded_day && !list_cursor(&l)->ghost);
        assert_int_equal(list_cursor(&l)->day_n, n + 1);
        assert_false(list_cursor(&l)->flags & FLAG_SEEN);
        list_move(&l, 1, &err);
        update(&l);
        struct refs refs = {.n = 0};
        assert_true(list_thread_refs(&l, list_cursor(&l), &refs, &err));
        for (struct ref ref = REF_NONE; refs_next(&refs, &ref);)
            fake_find(&fake_accounts[0], ref.id)->gone = true;
        fake_accounts[0].version++;
        refs_fini(&refs);
        update(&l);
        assert_true(list_cursor(&l)->ghost && list_cursor(&l)->folded_day);
        struct ref left = list_cursor(&l)->ref;
        list_move(&l, 1, &err);
        update(&l);
        assert_null(list_find(&l, left));
        teardown(&l);
    }
}

static void test_next_unread_unfolds(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 8; k++) {
        struct list l;
        struct err err = ERR_INIT;
        struct refs seen = {.n = 0};
        unsigned unread = 0;
        setup(&l, k & 1, k & 4, ORDER_DATE, k & 2);
        for (unsigned a = 0; a < 2; a++)
            for (size_t i = 0; i < fake_accounts[a].n; i++) {
                fake_accounts[a].rows[i].flags = i % 90 == 60 ? 0 : FLAG_SEEN;
                unread += i % 90 == 60;
            }
        update(&l);
        list_fold_days(&l, true);
        list_first(&l, &err);
        update(&l);
        while (list_unread(&l, true, &err)) {
            update(&l);
            assert_false(list_cursor(&l)->folded_day);
            assert_false(list_cursor(&l)->flags & FLAG_SEEN);
            assert_true(refs_add(&seen, list_cursor(&l)->ref));
        }
        assert_int_equal(seen.n, unread);
        list_fold_days(&l, true);
        update(&l);
        list_last(&l, &err);
        refs_clear(&seen);
        while (list_unread(&l, false, &err)) {
            update(&l);
            assert_false(list_cursor(&l)->folded_day);
            assert_true(refs_add(&seen, list_cursor(&l)->ref));
        }
        assert_int_equal(seen.n, unread);
        refs_fini(&seen);
        teardown(&l);
    }
}

static unsigned folded_rows(const struct fake_ui *f)
{
    const struct list *l = ui_list(f->ui);
    unsigned n = 0;
    for (unsigned i = 0; i < l->n; i++)
        n += l->rows[i].folded_day;
    return n;
}

static void test_keys_and_mouse(void **state)
{
    struct fake_ui f;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "set mouse yes\nset group day\n");
    struct list *l = ui_list(f.ui);
    fake_type(&f, "Esc-v");
    assert_true(list_cursor(l)->folded_day);
    assert_true(fake_shows(&f, " message"));
    uint32_t n = list_cursor(l)->day_n;
    fake_type(&f, "Enter"); /* opens the day, no message */
    assert_false(list_cursor(l)->folded_day);
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    fake_type(&f, "Esc-V");
    assert_int_equal(folded_rows(&f), l->n);
    fake_golden(&f, "days-folded");
    fake_type(&f, "o V");
    assert_int_equal(folded_rows(&f), 0);
    fake_type(&f, "o t");
    fake_type(&f, "o v"); /* Esc-v is the thread's there */
    assert_true(list_cursor(l)->folded_day);
    fake_type(&f, "Esc-v");
    assert_false(list_cursor(l)->folded_day);
    fake_type(&f, "o t");
    /* pressed */
    const struct rect at = f.ui->layout.list;
    ui_mouse(f.ui, &(struct mouse){at.y + 1, at.x + 5, MOUSE_PRESS});
    ui_draw(f.ui);
    assert_int_equal(folded_rows(&f), 1);
    ui_mouse(f.ui, &(struct mouse){at.y + 1, at.x + 5, MOUSE_PRESS});
    ui_draw(f.ui);
    assert_int_equal(folded_rows(&f), 0);
    /* an action is for all of them */
    fake_type(&f, "= o v");
    unsigned had = fake_intents();
    n = list_cursor(l)->day_n;
    fake_type(&f, "F");
    assert_true(fake_intents() > had);
    assert_int_equal(f.ui->nundo, n > 0);
    fake_close(&f);
}

/* Reading on leads through a folded day, from either side. */
static void test_reading_unfolds(void **state)
{
    struct fake_ui f;
    (void)state;
    fake_body = true;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "set group day\n");
    struct list *l = ui_list(f.ui);
    int day = list_cursor(l)->day;
    while (list_cursor(l)->day == day)
        fake_type(&f, "j");
    fake_type(&f, "o v Enter"); /* folded, and unfolded */
    fake_type(&f, "o v k Enter");
    assert_int_equal(f.ui->message.state != MESSAGE_NONE, true);
    fake_type(&f, "j");
    assert_false(list_cursor(l)->folded_day);
    assert_true(ref_eq(f.ui->message.ref, list_cursor(l)->ref));
    struct ref first = list_cursor(l)->ref;
    int second = list_cursor(l)->day;
    assert_true(second != day);
    while (list_cursor(l)->day == second)
        fake_type(&f, "j");
    fake_type(&f, "i k o v j Enter k");
    assert_int_equal(list_cursor(l)->day, second);
    assert_true(ref_eq(f.ui->message.ref, list_cursor(l)->ref));
    const struct list_row *below = list_cursor(l) + 1;
    assert_true(below->day != second || ref_eq(first, list_cursor(l)->ref)); /* the last of that day */
    fake_close(&f);
    fake_body = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folded_days_are_walked), cmocka_unit_test(test_a_folded_day_is_all_its_messages),
        cmocka_unit_test(test_folded_day_changes),     cmocka_unit_test(test_next_unread_unfolds),
        cmocka_unit_test(test_keys_and_mouse),         cmocka_unit_test(test_reading_unfolds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
