/* Buffers: each keeps its lists, cursor, limits, message and mail; answers go to the one that asked. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui/extra.h"
#include "ui_fake.h"

static struct fake_ui f;

static void open_ui(void)
{
    fake_mails();
    fake_open(&f, 30, 100, NULL);
}

static bool on_screen(const char *words)
{
    return fake_shows(&f, words);
}

static void run(const char *command)
{
    assert_true(ui_run(f.ui, command));
    fake_settle(&f);
    ui_draw(f.ui);
    ui_check(f.ui);
}

static void test_each_keeps_its_place(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "j j j");
    struct ref first = ui_row(f.ui)->ref;
    run("new-buffer");
    assert_true(ref_eq(ui_row(f.ui)->ref, first)); /* a copy begins where the other one is */
    fake_type(&f, "j j t t");
    struct ref second = ui_row(f.ui)->ref;
    assert_int_equal(f.ui->selection.n, 2);
    assert_true(on_screen("buffer 2 of 2"));
    run("filter unread");
    fake_type(&f, "<");
    assert_true(ref_eq(ui_row(f.ui)->ref, first));
    assert_int_equal(f.ui->selection.n, 0);
    assert_int_equal(ui_list(f.ui)->filter, LIST_ALL);
    fake_type(&f, ">");
    assert_int_equal(ui_list(f.ui)->filter, LIST_UNREAD);
    assert_int_equal(f.ui->selection.n, 2);
    struct err err = ERR_INIT;
    run("filter all");
    assert_true(list_reach(ui_list(f.ui), second, &err));
    fake_type(&f, "C-w c");
    assert_int_equal(f.ui->nbuffers, 1);
    assert_true(ref_eq(ui_row(f.ui)->ref, first));
    fake_close(&f);
}

static void test_another_mailbox_beside(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "j");
    run("new-buffer change work/Lists/kernel");
    assert_int_equal(ui_list(f.ui)->source, LIST_BOX);
    run("new-buffer change home/INBOX");
    fake_type(&f, "Esc-1");
    assert_int_equal(ui_list(f.ui)->source, LIST_INBOXES);
    fake_type(&f, "Esc-3");
    assert_int_equal(ui_list(f.ui)->account, 1);
    fake_type(&f, "Esc-4"); /* there is none */
    assert_true(on_screen("no buffer 4"));
    fake_type(&f, "q"); /* nothing to go back to in it: it closes, and where it was opened is shown */
    assert_int_equal(f.ui->nbuffers, 2);
    assert_int_equal(ui_list(f.ui)->box, 6);
    fake_type(&f, "q");
    assert_int_equal(ui_list(f.ui)->source, LIST_INBOXES);
    assert_false(f.ui->quit);
    fake_type(&f, "q");
    assert_true(f.ui->quit);
    fake_close(&f);
}

/* What an action changes is changed in every buffer, and a cursor on a message that went stays near it. */
static void test_actions_show_everywhere(void **state)
{
    (void)state;
    open_ui();
    struct ref first = ui_row(f.ui)->ref;
    run("new-buffer");
    fake_type(&f, "a <");
    assert_null(list_find(ui_list(f.ui), first));
    assert_non_null(ui_row(f.ui));
    fake_close(&f);
}

static void test_a_body_comes_to_the_buffer_that_asked(void **state)
{
    (void)state;
    open_ui();
    fake_hold = true;
    fake_type(&f, "j Enter");
    struct ref slow = f.ui->message.ref;
    uint32_t req = f.ui->open_req;
    assert_int_equal(f.ui->message.state, MESSAGE_WAITING);
    run("new-buffer");
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    fake_type(&f, "j j Enter");
    struct ref other = f.ui->message.ref;
    assert_false(ref_eq(slow, other));
    assert_int_equal(f.ui->message.state, MESSAGE_WAITING);
    struct err err = ERR_INIT;
    SEND(f.store, -1, &err, REFUSED, .req = req, .kind = ERR_SERVER_NO, .text = STR("gone away"));
    fake_settle(&f);
    assert_int_equal(f.ui->message.state, MESSAGE_WAITING); /* the answer was not for this one */
    assert_true(f.ui->open_req != 0);
    fake_type(&f, "<");
    assert_true(ref_eq(f.ui->message.ref, slow));
    assert_int_equal(f.ui->message.state, MESSAGE_FAILED);
    assert_string_equal(f.ui->message.why, "gone away");
    unsigned canceled = fake_cancels;
    fake_type(&f, "> C-w c"); /* its request ends with it */
    assert_int_equal(fake_cancels, canceled + 1);
    fake_hold = false;
    fake_close(&f);
}

static void test_mails_are_written_beside(void **state)
{
    (void)state;
    open_ui();
    run("compose bob@example.org");
    assert_int_equal(f.ui->nbuffers, 2);
    assert_int_equal(ui_context(f.ui), CTX_COMPOSE);
    run("set-subject first");
    run("compose carol@example.org");
    run("set-subject second");
    assert_int_equal(f.ui->nbuffers, 3);
    fake_type(&f, "Esc-1 j"); /* mail can be read meanwhile */
    assert_int_equal(ui_context(f.ui), CTX_LIST);
    fake_type(&f, "Esc-2");
    assert_true(on_screen("first"));
    fake_type(&f, "' i"); /* a mailbox is shown where lists are */
    assert_int_equal(ui_context(f.ui), CTX_LIST);
    assert_int_equal(f.ui->nbuffers, 3);
    fake_type(&f, "B");
    assert_true(on_screen("writing: first · to bob@example.org"));
    assert_true(on_screen("writing: second · to carol@example.org"));
    fake_type(&f, "3");
    fake_type(&f, "X y"); /* discarded: back to where it was begun */
    assert_int_equal(f.ui->nbuffers, 2);
    fake_type(&f, "Esc-1 q"); /* the last list: that is the end, which is asked about */
    assert_false(f.ui->quit);
    assert_true(on_screen("1 mail is being written"));
    fake_type(&f, "n");
    assert_false(f.ui->quit);
    /* a draft that is open is not opened twice */
    fake_type(&f, "R");
    assert_int_equal(f.ui->nbuffers, 2);
    run("buffer 2");
    run("discard");
    fake_type(&f, "y");
    assert_int_equal(f.ui->nbuffers, 1);
    assert_int_equal(ui_context(f.ui), CTX_LIST);
    fake_close(&f);
}

static void test_the_list_of_buffers(void **state)
{
    static const struct {
        unsigned rows, cols;
        const char *name;
    } sizes[] = {
        {24, 80, "buffers-80x24"}, {40, 120, "buffers-120x40"}, {60, 200, "buffers-200x60"}, {10, 40, "buffers-40x10"}};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        fake_mails();
        fake_open(&f, sizes[i].rows, sizes[i].cols, NULL);
        run("new-buffer change work/Lists/kernel");
        fake_hold = true;
        run("buffer 1");
        fake_type(&f, "j j j");
        run("new-buffer open");
        fake_type(&f, "B k");
        fake_golden(&f, sizes[i].name);
        fake_type(&f, "d"); /* of the row, not of what is shown */
        assert_int_equal(f.ui->nbuffers, 2);
        assert_int_equal(f.ui->popup.kind, POPUP_BUFFERS);
        fake_type(&f, "d Enter");
        assert_int_equal(f.ui->nbuffers, 1);
        fake_hold = false;
        fake_close(&f);
    }
}

static void test_there_are_not_too_many(void **state)
{
    (void)state;
    open_ui();
    for (int i = 0; i < 2 * BUFFERS_MAX; i++)
        run("new-buffer");
    assert_int_equal(f.ui->nbuffers, BUFFERS_MAX);
    assert_true(on_screen("64 buffers are open: close one first"));
    while (f.ui->nbuffers > 1)
        run("close-buffer");
    run("close-buffer");
    assert_true(on_screen("this is the only buffer"));
    fake_close(&f);
}

static void test_monkey(void **state)
{
    static const char *const words[] = {"new-buffer",
                                        "new-buffer open",
                                        "close-buffer",
                                        "next-buffer",
                                        "previous-buffer",
                                        "buffers",
                                        "compose bob@example.org",
                                        "discard",
                                        "next",
                                        "previous",
                                        "open",
                                        "back",
                                        "delete",
                                        "select",
                                        "threads",
                                        "go archive",
                                        "change work/Lists/kernel",
                                        "go inbox",
                                        "mailboxes",
                                        "cancel",
                                        "filter unread",
                                        "limit x",
                                        "buffer 1",
                                        "buffer 3"};
    static const ckey keys[] = {'d', 'j', 'k', '1', '2', K_ENTER, 'q', 'y', K_ESC, '<', '>'};
    uint32_t seed = 7;
    (void)state;
    open_ui();
    for (int i = 0; i < 1500 && !f.ui->quit; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned r = seed >> 16;
        if (r % 3)
            ui_run(f.ui, words[(r / 3) % COUNT(words)]);
        else
            ui_key(f.ui, keys[(r / 3) % COUNT(keys)]);
        f.ui->quit = false;
        if (r % 5 == 0)
            fake_settle(&f);
        ui_draw(f.ui);
        ui_check(f.ui);
    }
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_keeps_its_place),     cmocka_unit_test(test_another_mailbox_beside),
        cmocka_unit_test(test_actions_show_everywhere),  cmocka_unit_test(test_a_body_comes_to_the_buffer_that_asked),
        cmocka_unit_test(test_mails_are_written_beside), cmocka_unit_test(test_the_list_of_buffers),
        cmocka_unit_test(test_there_are_not_too_many),   cmocka_unit_test(test_monkey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
