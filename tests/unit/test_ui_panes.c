/* Panes: the arrangement at every size, its ratios by key and option and from run to run, and panes used from others.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

static struct fake_ui f;

static void open_ui(unsigned rows, unsigned cols, const char *config)
{
    fake_mails();
    fake_open(&f, rows, cols, config);
}

static bool on_screen(const char *words)
{
    return fake_shows(&f, words);
}

/* ---- rectangles ---- */
static bool inside(struct rect r, unsigned rows, unsigned cols)
{
    return r.y + r.rows <= rows && r.x + r.cols <= cols;
}

static bool apart(struct rect a, struct rect b)
{
    if (!a.rows || !b.rows || !a.cols || !b.cols)
        return true;
    return a.y + a.rows <= b.y || b.y + b.rows <= a.y || a.x + a.cols <= b.x || b.x + b.cols <= a.x;
}

static void check_layout(const struct panes *p, unsigned rows, unsigned cols, bool sidebar, bool message,
                         enum pane focus)
{
    struct layout l;
    layout_compute(&l, p, rows, cols, sidebar, message, focus);
    if (l.small)
        return;
    bool ok = inside(l.boxes, rows - 1, cols) && inside(l.list, rows - 1, cols) && inside(l.message, rows - 1, cols) &&
              apart(l.boxes, l.list) && apart(l.boxes, l.message) && apart(l.list, l.message);
    /* the pane that is used is there, and so is an open message unless another pane has the screen */
    struct rect used = focus == PANE_BOXES ? l.boxes : focus == PANE_MESSAGE ? l.message : l.list;
    ok = ok && (focus == PANE_BOXES && !sidebar ? true : focus == PANE_LIST || (used.rows >= 2 && used.cols >= 8));
    unsigned cells = l.boxes.rows * l.boxes.cols + l.list.rows * l.list.cols + l.message.rows * l.message.cols +
                     l.rule_rows + (l.split_x ? rows - 1 : 0);
    if (!ok || cells != (rows - 1) * cols)
        fail_msg("%ux%u layout %u ratio %u %u %u %u: %u of %u cells", cols, rows, p->now[PANES_LAYOUT],
                 p->now[PANES_WIDTH], p->now[PANES_HEIGHT], p->now[PANES_LINES], p->now[PANES_SIDEBAR], cells,
                 (rows - 1) * cols);
}

/* Of itself it puts a message beside a list only where the list can be read still, or where it cannot be above it. */
static void test_a_list_beside_a_message_can_be_read(void **state)
{
    static const struct {
        unsigned cols, rows;
        enum layout_shape shape;
    } sizes[] = {{80, 24, SHAPE_SINGLE}, {120, 40, SHAPE_TALL}, {160, 50, SHAPE_TALL}, {175, 50, SHAPE_TALL},
                 {176, 50, SHAPE_WIDE},  {200, 60, SHAPE_WIDE}, {160, 24, SHAPE_WIDE}, {159, 24, SHAPE_SINGLE}};
    (void)state;
    open_ui(24, 80, NULL);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct layout l;
        layout_compute(&l, &f.ui->panes, sizes[i].rows, sizes[i].cols, true, true, PANE_LIST);
        assert_int_equal(layout_shape(&f.ui->panes, sizes[i].rows, sizes[i].cols), sizes[i].shape);
        assert_true(sizes[i].rows < 30 || l.list.cols >= 60);
    }
    fake_close(&f);
}

static void test_panes_fill_every_screen(void **state)
{
    static const unsigned percents[] = {10, 40, 90}, lines[] = {0, 6, 50}, sides[] = {8, 24, 80};
    (void)state;
    for (unsigned rows = 3; rows < 70; rows += rows < 40 ? 1 : 7)
        for (unsigned cols = 18; cols < 320; cols += cols < 120 ? 3 : 17)
            for (unsigned k = 0; k < 4 * 3 * 2; k++) {
                struct panes p = {{k % 4, percents[k / 4 % 3], percents[k / 4 % 3], lines[k / 4 % 3], sides[k / 4 % 3]},
                                  k / 12 % 2};
                for (unsigned m = 0; m < 12; m++) {
                    enum pane focus = m % 3;
                    if (focus == PANE_MESSAGE && !(m / 3 % 2))
                        continue;
                    check_layout(&p, rows, cols, m / 6 % 2, m / 3 % 2, focus);
                }
            }
}

/* ---- sizes by key, in each arrangement ---- */
static void open_message(void)
{
    fake_type(&f, "j Enter");
    assert_int_equal(f.ui->focus, PANE_MESSAGE);
}

static void test_ratios_by_key(void **state)
{
    (void)state;
    open_ui(60, 200, NULL); /* side by side */
    open_message();
    unsigned before = f.ui->layout.message.cols;
    fake_type(&f, "C-w >");
    assert_true(f.ui->layout.message.cols > before);
    fake_type(&f, "C-w < C-w <");
    assert_true(f.ui->layout.message.cols < before);
    fake_type(&f, "C-w =");
    assert_int_equal(f.ui->layout.message.cols, before);
    fake_type(&f, "C-w +");
    assert_true(on_screen("no pane above or below this one to share with"));
    fake_type(&f, "y C-w >"); /* of the mailboxes */
    assert_int_equal(f.ui->layout.boxes.cols, 26);
    for (int i = 0; i < 60; i++)
        fake_type(&f, "C-w >");
    assert_int_equal(f.ui->layout.boxes.cols, 200 / 3);
    fake_close(&f);

    open_ui(40, 120, NULL); /* stacked */
    open_message();
    before = f.ui->layout.message.rows;
    fake_type(&f, "C-w +");
    assert_true(f.ui->layout.message.rows > before);
    fake_type(&f, "C-w j C-w + C-w +"); /* the list has it back, and more */
    assert_true(f.ui->layout.message.rows < before);
    fake_type(&f, "C-w >"); /* beside the list are the mailboxes */
    assert_int_equal(f.ui->layout.boxes.cols, 22);
    fake_close(&f);

    open_ui(24, 80, NULL); /* one at a time */
    open_message();
    fake_type(&f, "C-w -");
    assert_int_equal(f.ui->layout.list.rows, 7);
    assert_true(ui_run(f.ui, "resize taller 7"));
    ui_draw(f.ui);
    assert_int_equal(f.ui->layout.list.rows, 0);
    fake_type(&f, "C-w >");
    assert_true(on_screen("no pane beside this one to share with"));
    fake_close(&f);
}

static void test_options_are_used_at_once(void **state)
{
    (void)state;
    open_ui(40, 120, "set list-height 60\nset sidebar-width 30\n");
    open_message();
    assert_int_equal(f.ui->layout.list.rows, 39 * 60 / 100);
    assert_int_equal(f.ui->layout.boxes.cols, 30);
    assert_true(ui_run(f.ui, "set list-height 20"));
    ui_draw(f.ui);
    assert_int_equal(f.ui->layout.list.rows, 39 * 20 / 100);
    assert_true(ui_run(f.ui, "set layout single"));
    ui_draw(f.ui);
    assert_int_equal(f.ui->layout.list.rows, 6);
    assert_true(ui_run(f.ui, "set pager-index-lines 0"));
    ui_draw(f.ui);
    assert_int_equal(f.ui->layout.list.rows, 0);
    fake_close(&f);
}

static void test_zoom_shows_one_pane_alone(void **state)
{
    (void)state;
    open_ui(60, 200, NULL);
    open_message();
    fake_type(&f, "C-w z");
    assert_int_equal(f.ui->layout.message.cols, 200);
    assert_int_equal(f.ui->layout.message.rows, 59);
    struct ref was = f.ui->message.ref;
    fake_type(&f, "j"); /* the list is used all the same */
    assert_false(ref_eq(f.ui->message.ref, was));
    fake_type(&f, "C-w j");
    assert_int_equal(f.ui->layout.list.cols, 200);
    fake_type(&f, "Space"); /* and the message: first it is shown */
    assert_int_equal(f.ui->focus, PANE_MESSAGE);
    fake_type(&f, "C-w z");
    assert_true(f.ui->layout.list.rows && f.ui->layout.boxes.rows && f.ui->layout.message.rows);
    fake_close(&f);
}

/* As it was left, until the option itself is changed. */
static void test_the_arrangement_is_kept(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    open_ui(40, 120, NULL);
    fake_type(&f, "C-w Space"); /* wide */
    fake_type(&f, "C-w < C-w <");
    fake_type(&f, "y C-w >");
    fake_type(&f, "Enter C-w s");
    panes_save(f.ui); /* no directory yet: no word about it */
    char *dir = path_join(f.root, "history");
    assert_true(fs_mkdir_private(dir, &err));
    free(dir);
    panes_save(f.ui);
    struct panes left = f.ui->panes;
    assert_int_equal(left.now[PANES_LAYOUT], LAYOUT_WIDE);
    assert_false(f.ui->sidebar);
    panes_options(f.ui, NULL);
    panes_load(f.ui);
    assert_memory_equal(left.now, f.ui->panes.now, sizeof left.now);
    assert_false(f.ui->sidebar);
    f.conf->list_ratio = 55; /* tuimailrc was changed since */
    panes_options(f.ui, NULL);
    panes_load(f.ui);
    assert_int_equal(f.ui->panes.now[PANES_WIDTH], 55);
    assert_int_equal(f.ui->panes.now[PANES_LAYOUT], LAYOUT_WIDE);
    char *path = path_join(f.root, "history/panes");
    assert_true(fs_write_atomic(
        path, 0600, STR("layout 9 0\nlist-ratio -1 55\nlist-ratio 4294967295 55\n\nsidebar\n\xff\xff 1 2\n"), &err));
    free(path);
    panes_options(f.ui, NULL);
    panes_load(f.ui);
    assert_int_equal(f.ui->panes.now[PANES_LAYOUT], LAYOUT_AUTO);
    assert_int_equal(f.ui->panes.now[PANES_WIDTH], 55);
    ui_draw(f.ui);
    fake_close(&f);
}

/* ---- from any pane ---- */
static void test_mailboxes_from_any_pane(void **state)
{
    (void)state;
    open_ui(40, 120, NULL);
    open_message();
    fake_type(&f, ") ) )");
    assert_int_equal(f.ui->focus, PANE_MESSAGE);
    const struct box_item *item = boxes_cursor(&f.ui->boxes);
    assert_int_equal(item->kind, BOXK_BOX);
    uint64_t id = item->id;
    unsigned account = item->account;
    fake_type(&f, "j k J K Space -"); /* nothing of the others moves it */
    assert_int_equal(boxes_cursor(&f.ui->boxes)->id, id);
    fake_type(&f, "C-o");
    assert_int_equal(ui_list(f.ui)->box, id);
    assert_int_equal(ui_list(f.ui)->account, account);
    fake_type(&f, "}");
    assert_true(boxes_cursor(&f.ui->boxes)->unread > 0);
    fake_type(&f, "{ { { { {");
    assert_true(on_screen("no mailbox with unread mail above"));
    fake_close(&f);
}

static void test_list_and_message_from_the_mailboxes(void **state)
{
    (void)state;
    open_ui(40, 120, NULL);
    open_message();
    struct ref was = f.ui->message.ref;
    fake_type(&f, "y Esc-j");
    assert_int_equal(f.ui->focus, PANE_BOXES);
    assert_false(ref_eq(f.ui->message.ref, was));
    fake_type(&f, "Esc-k Space -");
    assert_true(ref_eq(f.ui->message.ref, was));
    fake_close(&f);
    open_ui(24, 80, NULL); /* where the mailboxes have the whole screen, it is shown first */
    open_message();
    fake_type(&f, "y Space");
    assert_int_equal(f.ui->focus, PANE_MESSAGE);
    fake_close(&f);
}

/* ---- pictures ---- */
static void wide(void)
{
    ui_run(f.ui, "layout wide");
    fake_type(&f, "C-w < ) )");
}
static void tall(void)
{
    ui_run(f.ui, "layout tall");
    fake_type(&f, "C-w +");
}
static void single(void)
{
    ui_run(f.ui, "layout single");
}
static void zoom(void)
{
    fake_type(&f, "C-w z");
}

static void test_pictures(void **state)
{
    static const struct {
        unsigned rows, cols;
        const char *name;
    } sizes[] = {{24, 80, "80x24"}, {40, 120, "120x40"}, {60, 200, "200x60"}, {10, 40, "40x10"}};
    static const struct {
        const char *name;
        void (*arrange)(void);
    } kinds[] = {{"wide", wide}, {"tall", tall}, {"single", single}, {"zoom", zoom}};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * COUNT(kinds); i++) {
        char name[60];
        open_ui(sizes[i % 4].rows, sizes[i % 4].cols, NULL);
        open_message();
        kinds[i / 4].arrange();
        f.ui->status[0] = 0;
        snprintf(name, sizeof name, "panes-%s-%s", kinds[i / 4].name, sizes[i % 4].name);
        fake_golden(&f, name);
        fake_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_beside_a_message_can_be_read),
        cmocka_unit_test(test_panes_fill_every_screen),
        cmocka_unit_test(test_ratios_by_key),
        cmocka_unit_test(test_options_are_used_at_once),
        cmocka_unit_test(test_zoom_shows_one_pane_alone),
        cmocka_unit_test(test_the_arrangement_is_kept),
        cmocka_unit_test(test_mailboxes_from_any_pane),
        cmocka_unit_test(test_list_and_message_from_the_mailboxes),
        cmocka_unit_test(test_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
