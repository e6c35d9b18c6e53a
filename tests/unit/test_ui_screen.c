/* Golden screens: what the panes look like, as text with style names, over fixed rows with every kind of hostile and
 * wide text. TUIMAIL_GOLDEN=write writes the files anew (look at the difference before you keep it). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "ui/extra.h"
#include "ui_fake.h"

/* ---- a document, as view would send it ---- */
static void item(struct buf *doc, enum doc_kind kind, unsigned level, unsigned st, const char *name, const char *text)
{
    assert_true(doc_put(doc, &(struct doc_item){.kind = kind,
                                                .level = (uint8_t)level,
                                                .style = (uint8_t)st,
                                                .number = 1,
                                                .name = str_z(name),
                                                .text = str_z(text)}));
}

static void show_document(struct fake_ui *f)
{
    struct buf doc = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;
    const struct list_row *row = list_cursor(ui_list(f->ui));
    item(&doc, DOC_HEADER, 0, 0, "From", "Alice Example <alice@example.org>");
    item(&doc, DOC_HEADER, 0, 0, "To",
         "You <you@example.org>, Bob Example <bob@example.org>, 見本 太郎 <taro@example.org>");
    item(&doc, DOC_HEADER, 0, 0, "Subject", "Re: budget \033[2J for the third quarter");
    item(&doc, DOC_BANNER, 0, 0, "", "2 parts are not shown");
    item(&doc, DOC_TEXT, 0, 0, "",
         "Could you look at the two lines marked below before noon? It is a long paragraph, so that it has to be "
         "wrapped at "
         "every width, and \033]52;c;ZXZpbA==\007 it tries the clipboard.");
    item(&doc, DOC_TEXT, 0, 0, "", "");
    for (int i = 0; i < 30; i++)
        item(&doc, DOC_TEXT, 1, 0, "", "we moved hosting to the spring");
    item(&doc, DOC_TEXT, 2, 0, "", "and before that");
    item(&doc, DOC_TEXT, 0, 0, "", "見積書の件についてのご連絡とお願いがございます、よろしくお願い申し上げます。");
    struct doc_span span = {5, 9, DOC_SPAN_LINK, 1};
    assert_true(doc_put(
        &doc, &(struct doc_item){.kind = DOC_TEXT, .text = STR("See: here for more"), .spans = &span, .nspans = 1}));
    item(&doc, DOC_TEXT, 0, DOC_DIFF_ADD, "", "+added");
    item(&doc, DOC_TEXT, 0, DOC_DIFF_DELETE, "", "-removed");
    item(&doc, DOC_TEXT, 0, DOC_SIGNATURE, "", "-- ");
    item(&doc, DOC_WARNING, 0, 0, "", "two From fields");
    assert_true(doc_put(&doc, &(struct doc_item){.kind = DOC_PART,
                                                 .number = 3,
                                                 .flags = DOC_PART_ATTACHMENT,
                                                 .size = 123456,
                                                 .name = STR("application/pdf"),
                                                 .text = STR("slides\033[0m.pdf")}));
    item(&doc, DOC_LINK, 0, 0, "", "https://example.org/a?b=c");
    message_show(&f->ui->message, row->ref, row->subject, 0);
    assert_true(message_feed(&f->ui->message, buf_str(&doc), &err));
    message_done(&f->ui->message);
    f->ui->focus = PANE_MESSAGE;
    buf_fini(&doc);
}

static const struct {
    unsigned rows, cols;
    const char *name;
} sizes[] = {{24, 80, "80x24"}, {40, 120, "120x40"}, {60, 200, "200x60"}, {10, 40, "40x10"}};

static void at_all_sizes(const char *what, const char *config, void (*prepare)(struct fake_ui *))
{
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct fake_ui f;
        char name[80];
        fake_mails();
        fake_open(&f, sizes[i].rows, sizes[i].cols, config);
        if (prepare)
            prepare(&f);
        snprintf(name, sizeof name, "%s-%s", what, sizes[i].name);
        fake_golden(&f, name);
        fake_close(&f);
    }
}

static void test_list(void **state)
{
    (void)state;
    at_all_sizes("list", NULL, NULL);
}

static void test_message(void **state)
{
    (void)state;
    at_all_sizes("message", NULL, show_document);
}

static void boxes(struct fake_ui *f)
{
    fake_type(f, "y j j");
}

static void test_mailboxes(void **state)
{
    (void)state;
    at_all_sizes("mailboxes", NULL, boxes);
}

static void help(struct fake_ui *f)
{
    fake_type(f, "?");
}

static void test_help(void **state)
{
    (void)state;
    at_all_sizes("help", NULL, help);
}

static void picker(struct fake_ui *f)
{
    fake_type(f, "t t c k e");
}

static void test_picker(void **state)
{
    (void)state;
    at_all_sizes("picker", NULL, picker);
}

static void marked(struct fake_ui *f)
{
    fake_type(f, "j t j");
}

static void ascii(struct fake_ui *f)
{
    show_document(f);
}

/* One pane at a time, in each class of themes. */
static void test_themes_of_a_small_screen(void **state)
{
    static const char *const themes[] = {"dark", "light", "16", "mono"};
    static const struct {
        const char *name;
        void (*prepare)(struct fake_ui *);
    } panes[] = {{"list", marked}, {"message", show_document}, {"mailboxes", boxes}, {"picker", picker}};
    (void)state;
    for (size_t i = 0; i < COUNT(themes) * COUNT(panes); i++) {
        struct fake_ui f;
        char config[40], name[60];
        const char *theme = themes[i / COUNT(panes)];
        snprintf(config, sizeof config, "set theme %s\n", theme);
        snprintf(name, sizeof name, "theme-%s-%s-40x10", theme, panes[i % COUNT(panes)].name);
        fake_mails();
        fake_open(&f, 10, 40, config);
        panes[i % COUNT(panes)].prepare(&f);
        fake_golden_looks(&f, name);
        fake_close(&f);
    }
}

static void test_themes(void **state)
{
    static const char *const themes[] = {"dark", "light", "16", "mono"};
    (void)state;
    for (size_t i = 0; i < COUNT(themes); i++) {
        struct fake_ui f;
        char config[40], name[40];
        snprintf(config, sizeof config, "set theme %s\n", themes[i]);
        snprintf(name, sizeof name, "theme-%s", themes[i]);
        fake_mails();
        fake_open(&f, 40, 120, config);
        marked(&f);
        show_document(&f);
        fake_golden_looks(&f, name);
        fake_close(&f);
    }
}

static void write_mail(struct fake_ui *f)
{
    ui_run(f->ui, "compose bob@example.org");
    ui_run(f->ui, "set-subject \"the third quarter\"");
    ui_run(f->ui, "set-cc \"Carol Example <carol@example.org>\"");
}

static void test_compose(void **state)
{
    (void)state;
    at_all_sizes("compose", "set -a work from \"Alice Example <alice@example.org>\"\n", write_mail);
}

static char *libexec; /* of the build, kept away from the other tests; NULL: beside the program */

/* What `view` makes of a real mail. */
static void attachments(struct fake_ui *f)
{
    const char *before = fake_text;
    fake_text = "From: alice@example.org\nSubject: slides\nMIME-Version: 1.0\n"
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=a\n\n"
                "--a\nContent-Type: text/plain; charset=utf-8\n\nthe slides\n--a\nContent-Type: text/html\n\n<b>the "
                "slides</b>\n"
                "--a--\n--b\nContent-Type: application/pdf; name=\"slides.pdf\"\nContent-Disposition: attachment\n"
                "Content-Transfer-Encoding: base64\n\nJVBERi0xLjQK\n--b\nContent-Type: message/rfc822\n\nFrom: "
                "bob@example.org\n"
                "Subject: inside\n\ntext\n--b--\n";
    fake_hold = true;
    if (libexec)
        setenv("TUIMAIL_LIBEXEC", libexec, 1);
    else
        unsetenv("TUIMAIL_LIBEXEC");
    fake_type(f, "v");
    fake_answer_open(f);
    for (int i = 0; i < 1000 && !ui_extra(f->ui)->parts; i++) {
        loop_once(f->loop, 20);
        fake_settle(f);
    }
    fake_hold = false;
    fake_text = before;
    setenv("TUIMAIL_LIBEXEC", "/nonexistent", 1);
    assert_non_null(ui_extra(f->ui)->parts);
    f->ui->status[0] = '\0';
}

/* Programs that only wait for work are started in between; that they cannot be is told when there is some. */
static void test_a_spare_program_that_cannot_be_run(void **state)
{
    struct fake_ui f;
    (void)state;
    fake_open(&f, 24, 80, NULL);
    helper_warm(f.ui);
    helper_warm_search(f.ui);
    assert_string_equal(f.ui->status, "");
    assert_null(helper_view(f.ui, NULL, NULL));
    assert_non_null(strstr(f.ui->status, "cannot run"));
    fake_close(&f);
}

static void test_attachments(void **state)
{
    (void)state;
    at_all_sizes("attachments", NULL, attachments);
}

static void test_ascii(void **state)
{
    (void)state;
    at_all_sizes("ascii", "set ascii yes\n", ascii);
}

/* One pane at a time, words for signs, and the terminal's cursor on the row that keys act on. */
static void test_accessible(void **state)
{
    struct fake_ui f;
    const struct grid *g;
    (void)state;
    fake_mails();
    fake_open(&f, 24, 120, "set accessible yes\n");
    g = &f.ui->grid;
    fake_golden(&f, "accessible-list");
    fake_type(&f, "j");
    fake_type(&f, "j");
    ui_draw(f.ui);
    assert_true(g->cursor_on);
    assert_int_equal(g->cursor_y, f.ui->layout.list.y + 1 + ui_list(f.ui)->cur - ui_list(f.ui)->top);
    assert_int_equal(g->cursor_x, 0);
    for (unsigned y = 0; y < g->rows; y++)
        for (unsigned x = 0; x < g->cols; x++) {
            const struct cell *c = grid_at(g, y, x);
            assert_false(c->n == 3 && !memcmp(c->p, "\u2502", 3)); /* no line between panes */
        }
    fake_type(&f, ":");
    ui_draw(f.ui);
    assert_int_equal(g->cursor_y, 23); /* in what is typed */
    fake_type(&f, "Esc");
    ui_run(f.ui, "mailboxes");
    ui_draw(f.ui);
    assert_true(g->cursor_on);
    assert_int_equal(g->cursor_y, f.ui->boxes.cur - f.ui->boxes.top);
    ui_run(f.ui, "focus list");
    show_document(&f);
    ui_run(f.ui, "focus message");
    fake_golden(&f, "accessible-message");
    assert_true(g->cursor_on);
    assert_int_equal(g->cursor_y, f.ui->layout.message.y + 1);
    ui_run(f.ui, "set accessible no");
    ui_draw(f.ui);
    assert_false(g->cursor_on);
    fake_close(&f);
}

static void test_signs_by_terminal(void **state)
{
    static const struct {
        enum term_signs signs;
        const char *option;
        bool ascii, plain;
    } cases[] = {{SIGNS_ALL, "auto", false, false},  {SIGNS_PLAIN, "auto", false, true},
                 {SIGNS_ASCII, "auto", true, false}, {SIGNS_NO_UTF8, "auto", true, false},
                 {SIGNS_NO_UTF8, "no", true, false}, {SIGNS_PLAIN, "no", false, false},
                 {SIGNS_ASCII, "no", false, false},  {SIGNS_ALL, "yes", true, false}};
    struct ui_terminal term = {.colors = 8};
    struct fake_ui f;
    (void)state;
    fake_mails();
    fake_open(&f, 24, 80, NULL);
    f.ui->term = &term;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[40];
        term.signs = cases[i].signs;
        snprintf(line, sizeof line, "set ascii %s", cases[i].option);
        ui_run(f.ui, line);
        assert_int_equal(f.ui->grid.ascii, cases[i].ascii);
        assert_int_equal(f.ui->grid.plain, cases[i].plain);
    }
    f.ui->term = NULL;
    fake_close(&f);
}

static void test_no_escape_ever(void **state)
{
    static const unsigned shapes[][2] = {{1, 1}, {2, 500}, {500, 2}, {5, 20}, {4, 20}, {6, 21}, {100, 5000}, {24, 80}};
    (void)state;
    fake_mails();
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct fake_ui f;
        fake_open(&f, shapes[i][0], shapes[i][1], NULL);
        if (list_cursor(ui_list(f.ui)))
            show_document(&f);
        ui_draw(f.ui);
        ui_check(f.ui); /* no control character in any cell, every row as wide as the screen */
        fake_close(&f);
    }
}

static void test_too_small_says_so_and_comes_back(void **state)
{
    struct fake_ui f;
    struct buf small = BUF_INIT(10000), big = BUF_INIT(100000);
    (void)state;
    fake_mails();
    fake_open(&f, 24, 80, NULL);
    ui_resize(f.ui, 4, 19);
    ui_draw(f.ui);
    grid_print(&f.ui->grid, false, &small);
    assert_non_null(strstr(buf_z(&small), "too small"));
    ui_key(f.ui, 'd'); /* nobody sees what it would do */
    fake_settle(&f);
    assert_int_equal(fake_intents(), 0);
    ui_resize(f.ui, 24, 80);
    ui_draw(f.ui);
    grid_print(&f.ui->grid, false, &big);
    assert_non_null(strstr(buf_z(&big), "budget"));
    buf_fini(&small);
    buf_fini(&big);
    fake_close(&f);
}

static void test_shared_mailboxes(void **state)
{
    (void)state;
    struct fake_ui f;
    struct reader *work = &fake_accounts[0];
    fake_mails();
    work->boxes[work->nboxes++] = (struct fake_box){.id = 71, .path = "Other Users/bob/Team", .attrs = BOX_OTHERS};
    work->boxes[work->nboxes++] = (struct fake_box){.id = 72, .path = "Public", .attrs = BOX_SHARED | BOX_NOSELECT};
    work->boxes[work->nboxes++] = (struct fake_box){.id = 73, .path = "Public/Club", .attrs = BOX_SHARED};
    fake_open(&f, 24, 100, "");
    f.ui->accts.list[0].full = 95;
    f.ui->accts.list[0].known = true;
    f.ui->accts.list[0].state = ACCOUNT_ONLINE;
    fake_golden(&f, "shared");
    ui_run(f.ui, "account work");
    fake_golden(&f, "account");
    fake_close(&f);
}

static void test_read_only_mailbox(void **state)
{
    (void)state;
    struct fake_ui f;
    struct reader *work = &fake_accounts[0];
    fake_mails();
    for (size_t i = 0; i < work->nboxes; i++)
        work->boxes[i].attrs |= BOX_READONLY;
    fake_open(&f, 24, 80, "");
    ui_show_box(f.ui, 0, work->boxes[0].id);
    ui_draw(f.ui);
    fake_type(&f, "a");
    fake_golden(&f, "readonly");
    assert_int_equal(fake_intents(), 0);
    fake_close(&f);
}

static void test_columns(void **state)
{
    (void)state;
    static const char *const tags[] = {"unread inbox budget 2026", "$Forwarded", "patch \033[31mred review", NULL,
                                       "a-tag-that-is-far-too-long-for-a-third-of-it"};
    struct fake_ui f;
    struct reader *work = &fake_accounts[0];
    fake_mails();
    for (size_t i = 0; i < COUNT(tags) && i < work->n; i++)
        work->rows[i].tags = tags[i];
    fake_open(&f, 24, 80, "");
    fake_golden(&f, "tags");
    struct err err = ERR_INIT;
    char *words[] = {(char[]){"color"}, (char[]){"tag:review"}, (char[]){"red"}};
    assert_true(theme_color(&f.ui->theme, words, 3, &err));
    style red = theme_tag(&f.ui->theme, STR("review"));
    assert_int_equal(theme_look(&f.ui->theme, red).fg, 1);
    assert_int_equal(theme_tag(&f.ui->theme, STR("other")), THING_TAG);
    ui_run(f.ui, "set list-format \"number state date from:12 subject:30% tags size mailbox account marks\"");
    fake_golden(&f, "columns-80");
    ui_resize(f.ui, 24, 140);
    fake_golden(&f, "columns-140");
    ui_resize(f.ui, 10, 40);
    fake_golden(&f, "columns-40");
    ui_run(f.ui, "set list-format \"subject address to list\"");
    ui_resize(f.ui, 24, 100);
    fake_golden(&f, "columns-few");
    ui_run(f.ui, "set list-format \"subject form\"");
    assert_non_null(strstr(f.ui->notes[(f.ui->nnotes - 1) % NOTES_MAX].text, "did you mean \"from\"?"));
    fake_close(&f);
}

static void test_threads(void **state)
{
    (void)state;
    /* each answers the one named before it: 0 none */
    static const struct {
        unsigned answers;
        const char *name, *subject;
    } mails[] = {{0, "Alice Example", "a plan for the summer"},
                 {1, "Bob Example", "Re: a plan for the summer"},
                 {1, "Carol Ex.", "Re: a plan for the summer"},
                 {2, "Alice Example", "Re: a plan for the summer"},
                 {4, "\033[31mMallory", "Re: \033]0;x\007a plan"},
                 {2, "Dora", "Re: a plan for the summer"},
                 {0, "Robot", "on its own"},
                 {7, "見本 太郎", "Re: 見積書の件についてのご連絡とお願いがございます、よろしくお願い申し上げます"}};
    struct fake_ui f;
    struct reader *work = &fake_accounts[0];
    fake_mails();
    uint64_t first = 0, last = 0;
    for (size_t i = 0; i < COUNT(mails) + 30; i++) {
        const bool deep = i >= COUNT(mails);
        const unsigned answers = deep ? 0 : mails[i].answers;
        fake_add(work, (struct fake_row){.box = 1,
                                         .date = 1584400000 + (int64_t)i * 60 - (deep ? 86400 : 0),
                                         .flags = i % 3 ? FLAG_SEEN : 0,
                                         .name = deep ? "Deep" : mails[i].name,
                                         .addr = "a@example.org",
                                         .to = "",
                                         .subject = deep ? "Re: deeper" : mails[i].subject});
        struct fake_row *row = &work->rows[work->n - 1];
        if (i == 0)
            first = row->id;
        row->answers = deep ? (i == COUNT(mails) ? 0 : last) : answers ? first + answers - 1 : 0;
        row->thread = deep ? first + COUNT(mails) : i >= 6 ? first + 6 : first;
        last = row->id;
    }
    fake_open(&f, 24, 80, "set list-view threads\n");
    fake_golden(&f, "threads-80");
    fake_type(&f, "Esc-v");
    fake_golden(&f, "threads-folded");
    fake_type(&f, "Esc-V");
    fake_golden(&f, "threads-all-folded");
    fake_type(&f, "Enter"); /* unfolds, and opens what is not read */
    fake_golden(&f, "threads-opened");
    fake_type(&f, "q a"); /* the message alone */
    assert_int_equal(ipc_ids_count(fake_last_intent.msgs), 1);
    fake_type(&f, "Esc-v d"); /* all that is left of the thread */
    assert_int_equal(ipc_ids_count(fake_last_intent.msgs), 1);
    ui_resize(f.ui, 10, 40);
    fake_golden(&f, "threads-40");
    fake_close(&f);
    fake_open(&f, 24, 80, "set list-view threads\nset ascii yes\n");
    fake_golden(&f, "threads-ascii");
    fake_close(&f);
}

/* What is signed, and what of a mailing list is to oneself; neither where something says more. */
static void test_marks(void **state)
{
    static const uint32_t attrs[] = {ROW_SIGNED, ROW_SIGNED | ROW_ENCRYPTED,
                                     ROW_TO_ME,  ROW_TO_ME | ROW_LIST,
                                     ROW_LIST,   ROW_TO_ME | ROW_LIST | ROW_SIGNED | ROW_ATTACHMENT};
    (void)state;
    fake_mails();
    for (size_t i = 0; i < COUNT(attrs); i++)
        fake_accounts[0].rows[i].attrs = attrs[i];
    struct fake_ui f;
    fake_open(&f, 12, 80, NULL);
    fake_golden(&f, "marks");
    fake_close(&f);
}

/* The counts of a mailbox and the rows of its list are read one after the other: rows that come in between belong to
 * the whole, and do not move what is asked for by its part of it. */
static void test_rows_that_come_between(void **state)
{
    (void)state;
    struct fake_ui f;
    fake_mails();
    fake_open(&f, 24, 80, "");
    ui_show_box(f.ui, 0, fake_accounts[0].boxes[0].id);
    ui_draw(f.ui);
    const struct list *l = ui_list(f.ui);
    struct box_item *box =
        &f.ui->boxes.list[boxes_find(&f.ui->boxes, 0, fake_accounts[0].boxes[0].id) - f.ui->boxes.list];
    uint32_t here = l->total;
    assert_int_equal(ui_rows_to_come(f.ui, l), 0);
    box->known = here;
    box->total = here + 100;
    assert_int_equal(ui_rows_to_come(f.ui, l), 100);
    box->known = here - 1;
    assert_int_equal(ui_rows_to_come(f.ui, l), 100);
    fake_close(&f);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    libexec = getenv("TUIMAIL_LIBEXEC") ? mem_dup_z(getenv("TUIMAIL_LIBEXEC")) : NULL;
    setenv("TUIMAIL_LIBEXEC", "/nonexistent", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_mailboxes),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_shared_mailboxes),
        cmocka_unit_test(test_read_only_mailbox),
        cmocka_unit_test(test_picker),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_rows_that_come_between),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_themes),
        cmocka_unit_test(test_themes_of_a_small_screen),
        cmocka_unit_test(test_compose),
        cmocka_unit_test(test_a_spare_program_that_cannot_be_run),
        cmocka_unit_test(test_attachments),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_accessible),
        cmocka_unit_test(test_signs_by_terminal),
        cmocka_unit_test(test_no_escape_ever),
        cmocka_unit_test(test_too_small_says_so_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
