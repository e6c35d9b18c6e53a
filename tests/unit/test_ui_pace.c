/* Bytes to the terminal for each key, and how a slow line is told from a fast one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <wchar.h>

#include "ui/pace.h"
#include "ui/paint.h"
#include "ui_fake.h"

enum { ROWS = 500 };

static struct fake_ui f;
static struct paint paint;

static int width(uint32_t cp)
{
    return wcwidth((wchar_t)cp);
}

/* What a frame of what is drawn now takes. */
static size_t frame(void)
{
    struct buf out = BUF_INIT(1u << 20);
    ui_draw(f.ui);
    paint_frame(&paint, &f.ui->grid, &f.ui->theme, width, &out);
    size_t n = out.n;
    buf_fini(&out);
    return n;
}

/* The list alone at 120x40, on a terminal as xterm-256color. */
static void open_list(const char *config)
{
    static char subjects[ROWS][80], names[ROWS][40];
    static const char *const first[] = {"Alice", "Bob", "Carol", "Mallory"}, *const last[] = {"Example", "Young",
                                                                                              "Winter"};
    fake_reset();
    fake_accounts[0].boxes[0] = (struct fake_box){1, "INBOX", BOX_INBOX, 0};
    fake_accounts[0].boxes[1] = (struct fake_box){4, "Trash", BOX_TRASH, 0};
    fake_accounts[0].nboxes = 2;
    for (unsigned i = 0; i < ROWS; i++) {
        snprintf(names[i], sizeof names[i], "%s %s", first[i * 7 % COUNT(first)], last[i * 5 % COUNT(last)]);
        snprintf(subjects[i], sizeof subjects[i], "%sbudget of the third quarter, part %u of many", i % 2 ? "Re: " : "",
                 i);
        fake_add(&fake_accounts[0], (struct fake_row){.box = 1,
                                                      .date = 1764000000 - i * 600,
                                                      .flags = i % 20 == 13 ? 0 : FLAG_SEEN,
                                                      .name = names[i],
                                                      .addr = "alice@example.org",
                                                      .subject = subjects[i]});
    }
    fake_open(&f, 40, 120, config);
    f.ui->sidebar = false;
    fake_settle(&f);
    paint_init(&paint, &(struct paint_caps){.colors = 256,
                                            .ansi = true,
                                            .offs = true,
                                            .bce = true,
                                            .ech = true,
                                            .hpa = true,
                                            .dim = true,
                                            .italic = true,
                                            .scrolls = true,
                                            .hides = true,
                                            .show = "\033[?12l\033[?25h",
                                            .hide = "\033[?25l"});
    frame();
}

static void close_list(void)
{
    paint_fini(&paint);
    fake_close(&f);
}

/* The usual key takes at most so many bytes; where the number of the row gets one more digit a few more. */
static void most(const char *keys, unsigned times, size_t bytes)
{
    unsigned over = 0;
    for (unsigned i = 0; i < times; i++) {
        fake_type(&f, keys);
        size_t n = frame();
        over += n > bytes;
        if (n > bytes + 10 || !n)
            fail_msg("%s, time %u: %zu bytes, not 1 to %zu", keys, i, n, bytes);
    }
    assert_true(over <= times / 12);
}

static void test_bar(void **state)
{
    (void)state;
    open_list(NULL);
    most("j", 36, 260);
    most("k", 36, 260);
    most("PgDn", 8, 3500);
    most("j", 3, 400); /* at the bottom the list scrolls */
    most("F", 4, 100);
    most("k", 5, 260);
    most("d", 1, 290); /* the status line says it for the first time */
    most("d", 4, 260);
    close_list();
}

static void test_arrow(void **state)
{
    (void)state;
    open_list("set arrow-cursor yes\n");
    most("j", 36, 40);
    most("k", 36, 40);
    most("PgDn", 8, 3500);
    most("k", 30, 40);
    most("F", 4, 100);
    ui_run(f.ui, "set arrow-cursor no");
    frame();
    most("k", 3, 260);
    assert_int_equal(f.ui->grid.arrow, false);
    close_list();
}

/* A line of `rate` bytes a second and a round trip of `rtt` ms carries a frame; is it slow then? */
static bool carries(struct pace *p, size_t bytes, int64_t rate, int64_t rtt, int64_t now)
{
    int64_t takes = (int64_t)bytes * 1000 / rate;
    assert_true(pace_asks(p, bytes, now));
    pace_written(p, now);
    pace_answered(p, now + rtt);
    pace_answered(p, now + rtt + takes);
    return p->slow;
}

static void test_slow_line(void **state)
{
    (void)state;
    struct pace p = {.due = 0};
    assert_false(pace_asks(&p, 300, 0));                 /* a small frame says nothing */
    assert_false(carries(&p, 5000, 1000000, 600, 1000)); /* far away, and fast */
    assert_false(pace_asks(&p, 5000, 2000));             /* not again so soon */
    assert_false(carries(&p, 5000, 5000, 20, 20000));    /* once may be chance: it is asked with the next */
    assert_true(carries(&p, 3000, 5000, 20, 22000));
    assert_true(carries(&p, 3000, 20000, 20, 40000)); /* twice the rate is wanted back */
    assert_false(carries(&p, 3000, 90000, 20, 60000));
    assert_false(pace_answered(&p, 61000)); /* nobody asked */
}

/* The writer is held until the line has taken the frame: both answers are there at once. */
static void test_held_writer(void **state)
{
    (void)state;
    struct pace p = {.due = 0};
    for (int64_t now = 0; now < 20000; now += 10000) {
        assert_true(pace_asks(&p, 4000, now));
        pace_written(&p, now + 4000);
        pace_answered(&p, now + 4001);
        pace_answered(&p, now + 4001);
    }
    assert_true(p.slow);
}

static void test_no_answer(void **state)
{
    (void)state;
    struct pace p = {.due = 0};
    assert_true(pace_asks(&p, 5000, 0));
    pace_written(&p, 1);
    assert_false(pace_asks(&p, 5000, 30000));
    assert_true(pace_asks(&p, 5000, 70000));
    assert_false(p.slow);
}

/* No more is on its way than half a second's worth, and what a terminal leaves unanswered holds nothing for long. */
static void test_what_is_on_its_way(void **state)
{
    (void)state;
    struct pace p = {.due = 0};
    assert_false(pace_marks(&p, 5000, 0)); /* nothing was asked: does it answer at all? */
    carries(&p, 4000, 4000, 20, 1000);
    assert_false(pace_holds(&p, 2000));
    assert_false(pace_marks(&p, 900, 2100));
    assert_true(pace_marks(&p, 900, 2200));
    assert_false(pace_holds(&p, 2200));
    assert_false(pace_marks(&p, 300, 2300)); /* behind the question */
    assert_true(pace_holds(&p, 2300));
    assert_false(pace_answered(&p, 2700));
    assert_false(pace_holds(&p, 2700));
    assert_int_equal(p.sent, 300);
    assert_true(pace_marks(&p, 2500, 2800));
    assert_true(pace_holds(&p, 2900));
    assert_true(pace_holds(&p, 12700));
    assert_false(pace_holds(&p, 12900));
    pace_asks(&p, 5000, 70000);
    pace_marks(&p, 50000, 70000);
    assert_false(pace_holds(&p, 70001)); /* it did not answer: it is another terminal, perhaps one that never does */
}

/* A fast line, however far away, holds no frame that a key makes. */
static void test_far_away_and_fast(void **state)
{
    (void)state;
    struct pace p = {.due = 0};
    carries(&p, 5000, 2000000, 300, 1000);
    for (unsigned i = 0; i < 8; i++) {
        assert_false(pace_holds(&p, 2000 + i * 30));
        pace_marks(&p, 3500, 2000 + i * 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bar),
                                       cmocka_unit_test(test_arrow),
                                       cmocka_unit_test(test_slow_line),
                                       cmocka_unit_test(test_held_writer),
                                       cmocka_unit_test(test_no_answer),
                                       cmocka_unit_test(test_what_is_on_its_way),
                                       cmocka_unit_test(test_far_away_and_fast)};
    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
