/* The pane of the mailboxes, and the prompts that ask for one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

static struct fake_ui f;

static bool on_screen(const char *words)
{
    return fake_shows(&f, words);
}

static void open_boxes(const struct fake_box *list, size_t n, const char *config)
{
    fake_mails();
    memcpy(fake_accounts[0].boxes, list, n * sizeof *list);
    fake_accounts[0].nboxes = n;
    fake_open(&f, 30, 100, config);
}

/* The pane's lines of the first account, each after two blanks for its depth; "(x)" cannot be opened. */
static char *tree(void)
{
    struct buf out = BUF_INIT(1u << 16);
    const struct boxes *b = &f.ui->boxes;
    for (unsigned i = 0; i < b->n; i++) {
        const struct box_item *item = &b->list[i];
        bool shut = item->kind != BOXK_BOX || (item->attrs & (BOX_NOSELECT | BOX_NONEXISTENT));
        if (item->account != 0 || item->kind < BOXK_HEADING)
            continue;
        for (unsigned d = 0; d < item->depth; d++)
            buf_addz(&out, "  ");
        buf_addf(&out, shut ? "(%s)\n" : "%s\n", item->name);
    }
    return buf_take(&out, NULL);
}

static void check_tree(const struct fake_box *list, size_t n, const char *config, const char *want)
{
    open_boxes(list, n, config);
    char *got = tree();
    assert_string_equal(got, want);
    free(got);
    fake_close(&f);
}

static void test_mailboxes_nest_by_their_delimiter(void **state)
{
    (void)state;
    static const struct fake_box plain[] = {{1, "INBOX", BOX_INBOX, 0},
                                            {2, "Trash", BOX_TRASH, 0},
                                            {3, "Lists/tuimail", 0, 0},
                                            {4, "Neu/\xc3\x9cnter & Co", 0, 0},
                                            {5, "Neu/a/b", 0, 0},
                                            {6, "Projects", 0, 0},
                                            {7, "Trash/Alpha", 0, 0},
                                            {8, "Trash-old", 0, 0},
                                            {9, "Lists", 0, BOX_NOSELECT},
                                            {10, "INBOX/below", 0, 0},
                                            {11, "Other Users/bob/Team", 0, BOX_OTHERS}};
    check_tree(plain, COUNT(plain), NULL,
               "INBOX\n  below\nTrash\n  Alpha\n(Lists)\n  tuimail\n(Neu)\n  \xc3\x9cnter & Co\n  (a)\n    b\n"
               "Projects\nTrash-old\n(other users)\n(Other Users)\n  (bob)\n    Team\n");
    check_tree(plain, COUNT(plain), "set -a work mailboxes \"INBOX Neu/a/b\"\n", "INBOX\n(Neu)\n  (a)\n    b\n");
    static const struct fake_box odd[] = {
        {1, "INBOX", BOX_INBOX, 0}, {2, "/x", 0, 0}, {3, "a//b", 0, 0}, {4, "c/", 0, 0},  {5, "/", 0, 0},
        {6, "a\001b", 0, 0},        {7, "", 0, 0},   {8, "//", 0, 0},   {9, "d/e/", 0, 0}};
    check_tree(odd, COUNT(odd), NULL, "INBOX\n/x\n(a)\n  /b\nc/\n/\na\001b\n\n//\n(d)\n  e/\n");
}

static void test_a_path_of_many_levels_is_bounded(void **state)
{
    (void)state;
    char path[1001];
    for (size_t i = 0; i < 1000; i++)
        path[i] = i % 2 ? '/' : 'a';
    path[999] = 'z';
    path[1000] = 0;
    const struct fake_box deep[] = {{1, "INBOX", BOX_INBOX, 0}, {2, path, 0, 0}};
    open_boxes(deep, COUNT(deep), NULL);
    assert_true(f.ui->boxes.n < 40);
    assert_non_null(boxes_find(&f.ui->boxes, 0, 2));
    ui_check(f.ui);
    fake_close(&f);
}

static const struct fake_box some[] = {
    {1, "INBOX", BOX_INBOX, 0},  {2, "Trash", BOX_TRASH, 0}, {3, "Alpha", 0, 0}, {4, "Projects", 0, 0},
    {5, "Projects/Alpha", 0, 0}, {6, "Projects/Beta", 0, 0}, {7, "Zoo", 0, 0}};

static const char *at_cursor(void)
{
    const struct box_item *item = boxes_cursor(&f.ui->boxes);
    return item && item->path ? item->path : "";
}

static void lose(uint64_t id)
{
    struct reader *r = &fake_accounts[0];
    for (size_t i = 0; i < r->nboxes; i++)
        if (r->boxes[i].id == id)
            memmove(&r->boxes[i], &r->boxes[i + 1], (--r->nboxes - i) * sizeof *r->boxes);
    f.ui->boxes.stale = true;
    ui_draw(f.ui);
}

static void test_cursor_stays_at_its_place(void **state)
{
    (void)state;
    open_boxes(some, COUNT(some), NULL);
    fake_type(&f, "y");
    boxes_goto(&f.ui->boxes, boxes_find(&f.ui->boxes, 0, 5));
    lose(5);
    assert_string_equal(at_cursor(), "Projects/Beta");
    boxes_goto(&f.ui->boxes, boxes_find(&f.ui->boxes, 0, 7));
    lose(7);
    assert_int_equal(boxes_cursor(&f.ui->boxes)->account, 1); /* the next row: the other account's INBOX */
    fake_accounts[1].nboxes = 0;
    f.ui->boxes.stale = true;
    ui_draw(f.ui);
    assert_string_equal(at_cursor(), "Projects/Beta"); /* there is none below */
    fake_type(&f, "Enter y");                          /* what is shown goes, with the cursor on it */
    assert_int_equal(f.ui->focus, PANE_BOXES);
    lose(6);
    assert_string_equal(at_cursor(), "Projects");
    fake_type(&f, "Left");
    assert_int_equal(f.ui->focus, PANE_BOXES);
    fake_close(&f);
}

static void test_created_mailbox_gets_the_cursor(void **state)
{
    (void)state;
    open_boxes(some, COUNT(some), NULL);
    fake_type(&f, "y j j C N e u / X Enter");
    assert_string_equal(at_cursor(), "Neu/X");
    fake_close(&f);
}

static void type(const char *text)
{
    for (; *text; text++)
        ui_key(f.ui, (ckey)*text);
    fake_settle(&f);
    ui_draw(f.ui);
}

static void test_tab_shows_what_enter_does(void **state)
{
    (void)state;
    open_boxes(some, COUNT(some), NULL);
    uint64_t first = ui_row(f.ui)->ref.id;
    fake_type(&f, "s");
    type("proj");
    fake_type(&f, "Tab");
    assert_string_equal(f.ui->prompt.edit.p, "Projects");
    fake_type(&f, "Tab");
    assert_string_equal(f.ui->prompt.edit.p, "Projects/Alpha");
    fake_type(&f, "S-Tab");
    assert_string_equal(f.ui->prompt.edit.p, "Projects");
    fake_type(&f, "S-Tab");
    assert_string_equal(f.ui->prompt.edit.p, "Projects/Beta");
    fake_type(&f, "Down");
    assert_string_equal(f.ui->prompt.edit.p, "Projects");
    type("/B"); /* what is typed then goes on from there */
    assert_int_equal(f.ui->prompt.nshown, 1);
    fake_type(&f, "C-u");
    type("proj");
    fake_type(&f, "Tab Enter");
    assert_int_equal(fake_find(&fake_accounts[0], first)->box, 4);
    fake_close(&f);
}

static void test_a_mailbox_that_is_not_there_can_be_made(void **state)
{
    (void)state;
    open_boxes(some, COUNT(some), NULL);
    uint64_t first = ui_row(f.ui)->ref.id;
    fake_type(&f, "s");
    type("nosuch");
    assert_true(on_screen("no mailbox has this name: Enter creates it"));
    fake_type(&f, "Enter");
    assert_true(on_screen("No mailbox nosuch. Create it?"));
    fake_type(&f, "n");
    assert_int_equal(fake_intents(), 0);
    assert_int_equal(f.ui->popup.kind, POPUP_NONE);
    fake_type(&f, "s");
    type("nosuch");
    fake_type(&f, "Enter y");
    assert_int_equal(fake_intents(), 2);
    assert_true(on_screen("moved 1 message to nosuch"));
    assert_int_equal(fake_find(&fake_accounts[0], first)->box,
                     boxes_find(&f.ui->boxes, 0, fake_last_intent.target)->id);
    ui_run(f.ui, "copy elsewhere");
    assert_true(on_screen("No mailbox elsewhere. Create it?"));
    fake_type(&f, "y");
    assert_true(on_screen("copied 1 message to elsewhere"));
    fake_refuse = true;
    ui_run(f.ui, "move refused");
    fake_type(&f, "y");
    assert_int_equal(fake_intents(), 5); /* and nothing was moved */
    fake_close(&f);
}

static void test_nothing_to_go_to(void **state)
{
    (void)state;
    open_boxes(some, COUNT(some), NULL);
    fake_type(&f, "c");
    type("nosuch");
    fake_type(&f, "Enter");
    assert_int_equal(f.ui->prompt.kind, PROMPT_PICK);
    assert_true(on_screen("no mailbox has this name"));
    fake_type(&f, "C-u");
    type("zoo");
    fake_type(&f, "Enter");
    assert_int_equal(ui_list(f.ui)->box, 7);
    ui_run(f.ui, "change nosuch");
    assert_true(on_screen("no mailbox \"nosuch\""));
    assert_string_equal(strstr(f.ui->status, "any more") ? "any more" : "", "");
    fake_close(&f);
}

/* What was asked about one mailbox is never done to its neighbour, though that is under the cursor by now. */
static void test_answers_are_for_the_mailbox_that_was_asked_about(void **state)
{
    (void)state;
    open_boxes(some, COUNT(some), NULL);
    fake_type(&f, "y");
    boxes_goto(&f.ui->boxes, boxes_find(&f.ui->boxes, 0, 5));
    fake_type(&f, "r x");
    unsigned before = fake_intents();
    lose(5);
    fake_type(&f, "Enter");
    assert_int_equal(fake_intents(), before);
    assert_true(on_screen("the mailbox is not there any more"));
    fake_type(&f, "r"); /* of Projects/Beta; and the cursor goes elsewhere, as `tuimail cmd` may have it */
    boxes_goto(&f.ui->boxes, boxes_find(&f.ui->boxes, 0, 4));
    fake_type(&f, "x Enter");
    assert_int_equal(fake_last_intent.kind, INTENT_BOX_RENAME);
    assert_int_equal(fake_last_intent.box, 6);
    boxes_goto(&f.ui->boxes, boxes_find(&f.ui->boxes, 0, 7));
    before = fake_intents();
    fake_type(&f, "C-r");
    assert_true(on_screen("Mark everything in Zoo read?"));
    lose(7);
    fake_type(&f, "y");
    assert_int_equal(fake_intents(), before);
    boxes_goto(&f.ui->boxes, boxes_find(&f.ui->boxes, 0, 4));
    fake_type(&f, "Enter C-w j"); /* the list of Projects, and a question about it */
    ui_run(f.ui, "read-all");
    before = fake_intents();
    assert_true(on_screen("Mark everything in Projects read?"));
    lose(4); /* all inboxes are shown in its stead */
    fake_settle(&f);
    fake_type(&f, "y");
    assert_int_equal(fake_intents(), before);
    fake_close(&f);
}

/* Where the account that the cursor is in has no drafts, those of another one are meant. */
static void test_drafts_of_any_account(void **state)
{
    static const struct fake_box with[] = {{1, "INBOX", BOX_INBOX, 0}, {3, "Drafts", BOX_DRAFTS, 0}};
    (void)state;
    open_boxes(with, COUNT(with), "set keys alpine\n");
    ui_run(f.ui, "go 2"); /* of the other account */
    ui_run(f.ui, "recall");
    assert_true(on_screen("there is no postponed mail"));
    fake_add(&fake_accounts[0],
             (struct fake_row){.box = 3, .name = "", .addr = "", .to = "", .subject = "half a mail"});
    f.ui->boxes.stale = true;
    ui_run(f.ui, "go 2");
    ui_run(f.ui, "recall");
    assert_int_equal(ui_list(f.ui)->box, 3);
    assert_true(on_screen("half a mail"));
    assert_true(on_screen("Esc-r on a draft goes on with it"));
    ui_run(f.ui, "go inbox");
    fake_type(&f, "a"); /* the keys that are told are those of the set that is used */
    assert_true(on_screen(" undo"));
    assert_false(strstr(f.ui->status, "\xc2\xb7 u undo") != NULL);
    ui_run(f.ui, "keys gmail");
    ui_run(f.ui, "limit x");
    fake_type(&f, "u u u u"); /* goes back, as in a browser, and no further */
    assert_int_equal(f.ui->depth, 1);
    assert_false(f.ui->quit);
    fake_type(&f, "q");
    assert_true(f.ui->quit || f.ui->popup.kind == POPUP_CONFIRM);
    fake_close(&f);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    setenv("TUIMAIL_LIBEXEC", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailboxes_nest_by_their_delimiter),
        cmocka_unit_test(test_a_path_of_many_levels_is_bounded),
        cmocka_unit_test(test_cursor_stays_at_its_place),
        cmocka_unit_test(test_created_mailbox_gets_the_cursor),
        cmocka_unit_test(test_answers_are_for_the_mailbox_that_was_asked_about),
        cmocka_unit_test(test_tab_shows_what_enter_does),
        cmocka_unit_test(test_a_mailbox_that_is_not_there_can_be_made),
        cmocka_unit_test(test_nothing_to_go_to),
        cmocka_unit_test(test_drafts_of_any_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
