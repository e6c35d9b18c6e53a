/* What a verb is about and where the cursor goes then: threads, counts, older mail, auto-advance, repeating. */
#include "ui/extra.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "ui_fake.h"

static struct fake_ui f;

static void open_with(const char *config)
{
    fake_mails();
    fake_open(&f, 30, 100, config);
}

static bool on_screen(const char *words)
{
    return fake_shows(&f, words);
}

static uint64_t box_of(struct ref ref)
{
    const struct fake_row *row = fake_find(&fake_accounts[ref.account], ref.id);
    return row ? row->box : 0;
}

static size_t in_box(uint64_t box)
{
    size_t n = 0;
    for (size_t a = 0; a < COUNT(fake_accounts); a++)
        for (size_t i = 0; i < fake_accounts[a].n; i++)
            n += fake_accounts[a].rows[i].box == box && !fake_accounts[a].rows[i].gone;
    return n;
}

static void last_tags(const char *words, size_t n)
{
    assert_int_equal(fake_last_intent.kind, INTENT_TAGS);
    assert_string_equal(fake_last_intent.arg.p, words);
    assert_int_equal(ipc_ids_count(fake_last_intent.msgs), n);
}

/* The list of tags: what is on all, some and none of the messages, several toggled, one that is new. */
static void test_pick_tags(void **state)
{
    (void)state;
    open_with(NULL);
    struct reader *work = &fake_accounts[0];
    ui_run(f.ui, "change work/INBOX");
    work->rows[0].tags = "unread later urgent";
    work->rows[1].tags = "later";
    work->rows[2].tags = "rare";
    ui_run(f.ui, "change work/INBOX");
    fake_type(&f, "t t t C-t"); /* three messages */
    assert_true(on_screen("tags of 3 messages"));
    assert_true(on_screen("[~] later"));
    assert_true(on_screen("on 2 of these 3"));
    assert_true(on_screen("[~] urgent"));
    fake_golden(&f, "pick-tags");
    fake_type(&f, "Esc");
    fake_type(&f, "T");
    fake_type(&f, "Esc");
    ui_run(f.ui, "unselect");
    ui_run(f.ui, "first");
    fake_type(&f, "C-t");
    assert_true(on_screen("[x] later"));
    assert_true(on_screen("[ ] rare"));
    fake_type(&f, "Tab r a r e Tab Tab Tab"); /* the last two undo each other */
    assert_true(on_screen("[-] later"));
    assert_true(on_screen("[+] rare"));
    fake_type(&f, "Enter");
    last_tags("-later +rare", 1);
    fake_type(&f, "C-t b r a n d n e w Enter");
    last_tags("+brandnew", 1);
    fake_type(&f, "C-t u r g Enter"); /* the one in the bar */
    last_tags("-urgent", 1);
    unsigned before = fake_intents();
    fake_type(&f, "C-t Tab Esc");
    assert_int_equal(fake_intents(), before);
    for (size_t a = 0; a < COUNT(fake_accounts); a++)
        for (size_t i = 0; i < fake_accounts[a].n; i++)
            fake_accounts[a].rows[i].tags = "";
    fake_type(&f, "C-t");
    assert_true(on_screen("there is none yet: type the first one"));
    fake_type(&f, "l a t e");
    assert_true(on_screen("a new one: Enter puts it on"));
    fake_type(&f, "Enter");
    last_tags("+late", 1);
    fake_close(&f);
}

static void test_toggle_tag(void **state)
{
    (void)state;
    open_with("bind list ~ toggle-tag later\nset confirm-result 2\n");
    ui_run(f.ui, "change work/INBOX");
    fake_accounts[0].rows[0].tags = "later";
    fake_type(&f, "~");
    last_tags("-later", 1);
    fake_accounts[0].rows[0].tags = "";
    fake_type(&f, "~");
    last_tags("+later", 1);
    /* all of the list, after a question where it is long; one step of undo */
    size_t all = 0;
    for (size_t i = 0; i < fake_accounts[0].n; i++)
        all += fake_accounts[0].rows[i].box == 1 && !fake_accounts[0].rows[i].gone;
    assert_true(all > 2);
    unsigned before = fake_intents();
    ui_run(f.ui, "result tag +done");
    fake_settle(&f); /* it is gathered in slices */
    assert_true(on_screen("messages of the list?"));
    assert_int_equal(fake_intents(), before);
    fake_type(&f, "n");
    assert_int_equal(fake_intents(), before);
    ui_run(f.ui, "result tag +done");
    fake_settle(&f); /* it is gathered in slices */
    fake_type(&f, "y");
    last_tags("+done", all);
    ui_run(f.ui, "set confirm-result 1000");
    ui_run(f.ui, "result tag -done");
    fake_type(&f, "j");
    last_tags("-done", all);
    fake_close(&f);
}

/* Alt and the key: the whole thread, in a list of messages and in one of threads, and nothing that is selected. */
static void test_whole_thread(void **state)
{
    (void)state;
    open_with(NULL);
    struct ref first = ui_row(f.ui)->ref, second = {0, 2};
    assert_int_equal(first.id, 1);
    fake_type(&f, "Esc-a");
    assert_int_equal(box_of(first), 2);
    assert_int_equal(box_of(second), 2); /* of the same thread */
    assert_true(on_screen("archived 2 messages to Archive"));
    assert_int_equal(ui_row(f.ui)->ref.account, 1);
    fake_type(&f, "j t k k"); /* another is selected */
    fake_type(&f, "Esc-F");
    assert_int_equal(f.ui->selection.n, 1);
    assert_true(fake_find(&fake_accounts[1], 1)->flags & FLAG_FLAGGED);
    fake_close(&f);
}

static unsigned rows_marked(void)
{
    unsigned n = 0;
    ui_draw(f.ui);
    for (unsigned y = 0; y < f.ui->layout.list.rows; y++)
        n += (grid_at(&f.ui->grid, f.ui->layout.list.y + y, f.ui->layout.list.x + 3)->style & STYLE_SELECTED) != 0;
    return n;
}

/* What follows a range is for it, whether its end was said or not; in profile vim the first d of dd is enough. */
static void test_range_ends_with_the_next_command(void **state)
{
    (void)state;
    for (unsigned vim = 0; vim < 2; vim++) {
        struct ref at[3];
        open_with(NULL);
        ui_run(f.ui, vim ? "set keys vim" : "set keys mutt");
        ui_run(f.ui, "change work/INBOX");
        for (unsigned i = 0; i < COUNT(at); i++) {
            ui_draw(f.ui);
            at[i] = ui_row(f.ui)->ref;
            ui_run(f.ui, "next");
        }
        ui_run(f.ui, "first");
        fake_type(&f, "V j");
        assert_int_equal(f.ui->selection.n, 0);
        assert_int_equal(rows_marked(), 2);
        fake_type(&f, "d");
        assert_int_equal(f.ui->range.id, 0);
        for (unsigned i = 0; i < COUNT(at); i++)
            assert_int_equal(box_of(at[i]) == 1, i == 2);
        assert_int_equal(rows_marked(), 0);
        fake_type(&f, "V Esc");
        assert_int_equal(f.ui->range.id, 0);
        fake_close(&f);
    }
}

static void test_purge_says_how_long_it_is_held(void **state)
{
    (void)state;
    open_with("set purge-hold 45\n");
    fake_type(&f, "D");
    assert_true(on_screen("deleted 1 message for good · held for 45 s · u undo"));
    fake_close(&f);
}

static void test_whole_thread_asks_for_a_place(void **state)
{
    (void)state;
    open_with(NULL);
    fake_type(&f, "Esc-s");
    assert_true(on_screen("move to:"));
    fake_type(&f, "Esc"); /* left: the next verb is for the row again */
    fake_type(&f, "Esc-s k e r Enter");
    assert_int_equal(box_of((struct ref){0, 1}), 6);
    assert_int_equal(box_of((struct ref){0, 2}), 6);
    assert_true(on_screen("moved 2 messages to Lists/kernel"));
    unsigned before = fake_intents();
    ui_run(f.ui, "go archive");
    fake_type(&f, "'");
    fake_type(&f, "Esc");
    ui_run(f.ui, "change work/INBOX");
    fake_settle(&f);
    ui_draw(f.ui);
    struct ref next = ui_row(f.ui)->ref;
    fake_type(&f, "."); /* the same, for a thread, without asking */
    assert_int_equal(fake_intents(), before + 1);
    assert_int_equal(box_of(next), 6);
    fake_close(&f);
}

/* An abandoned question leaves nothing behind. */
static void test_scope_ends_with_its_command(void **state)
{
    (void)state;
    open_with(NULL);
    fake_type(&f, "Esc-s Esc a");
    assert_int_equal(box_of((struct ref){0, 1}), 2);
    assert_int_equal(box_of((struct ref){0, 2}), 1);
    fake_type(&f, "Esc-+ Esc");
    assert_false(f.ui->scope.on);
    assert_false(ui_run(f.ui, "thread older 3d archive"));
    assert_false(f.ui->scope.on);
    assert_false(ui_run(f.ui, "thread nonsense"));
    assert_false(f.ui->scope.on);
    fake_close(&f);
}

static void test_counts(void **state)
{
    (void)state;
    open_with(NULL);
    uint32_t rank = ui_list(f.ui)->rank;
    fake_type(&f, "5 j");
    assert_int_equal(ui_list(f.ui)->rank, rank + 5);
    fake_type(&f, "2 k");
    assert_int_equal(ui_list(f.ui)->rank, rank + 3);
    ui_key(f.ui, '3');
    assert_true(on_screen(" 3 "));
    fake_type(&f, "d");
    assert_int_equal(in_box(4), 3);
    assert_true(on_screen("deleted 3 messages"));
    assert_int_equal(ui_list(f.ui)->rank, rank + 3);
    fake_type(&f, "7 Enter"); /* as mutt: to row 7 */
    assert_int_equal(ui_list(f.ui)->rank, 6);
    fake_type(&f, "1 0 =");
    assert_int_equal(ui_list(f.ui)->rank, 9);
    fake_type(&f, "4 t");
    assert_int_equal(f.ui->selection.n, 4);
    fake_type(&f, "Esc");
    fake_type(&f, "9 Esc j"); /* taken back */
    assert_int_equal(ui_list(f.ui)->rank, 14);
    unsigned before = fake_intents();
    fake_type(&f, "2 s k e r Enter"); /* kept while it asks */
    assert_int_equal(fake_intents(), before + 1);
    assert_true(on_screen("moved 2 messages"));
    fake_close(&f);
}

/* More than the window holds: the cursor stays where it was. */
static void test_count_beyond_the_window(void **state)
{
    (void)state;
    fake_mails();
    for (int i = 0; i < 600; i++)
        fake_add(&fake_accounts[0], (struct fake_row){.box = 1,
                                                      .date = 1500000000 - i,
                                                      .flags = FLAG_SEEN,
                                                      .name = "old",
                                                      .addr = "",
                                                      .to = "",
                                                      .subject = "old"});
    fake_open(&f, 30, 100, NULL);
    struct ref at = ui_row(f.ui)->ref;
    fake_type(&f, "5 0 0 F");
    assert_true(ref_eq(at, ui_row(f.ui)->ref));
    assert_int_equal(ui_list(f.ui)->top, 0);
    assert_true(on_screen("flagged 500 messages"));
    fake_close(&f);
}

static void test_auto_advance(void **state)
{
    static const struct {
        const char *way;
        int lines; /* from where it was; 99: to an unread one */
    } ways[] = {{"next", 1}, {"previous", -1}, {"next-unread", 99}, {"list", 1}, {"no", 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        char line[60];
        snprintf(line, sizeof line, "set auto-advance %s\n", ways[i].way);
        open_with(line);
        fake_type(&f, "j j j Enter q");
        struct list *l = ui_list(f.ui);
        unsigned at = l->cur;
        struct ref here = l->rows[at].ref, above = l->rows[at - 1].ref, below = l->rows[at + 1].ref;
        fake_type(&f, "a");
        struct ref now = ui_row(f.ui)->ref;
        assert_true(ref_eq(now, ways[i].lines == 1    ? below
                                : ways[i].lines == -1 ? above
                                : ways[i].lines == 0  ? here
                                                      : now));
        assert_int_equal(ui_row(f.ui)->ghost, ways[i].lines == 0);
        assert_true(ways[i].lines != 99 || !(ui_row(f.ui)->flags & FLAG_SEEN));
        fake_close(&f);
    }
}

static void test_auto_advance_closes_the_message(void **state)
{
    (void)state;
    open_with("set auto-advance list\n");
    fake_type(&f, "Enter");
    assert_int_equal(f.ui->focus, PANE_MESSAGE);
    fake_type(&f, "d");
    assert_int_equal(f.ui->focus, PANE_LIST);
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    fake_close(&f);
}

/* s s, C C: where the last one went. */
static void test_same_key_takes_the_last_mailbox(void **state)
{
    (void)state;
    open_with(NULL);
    fake_type(&f, "s s e n t Enter"); /* nothing was used yet: it is a letter */
    assert_int_equal(fake_last_intent.target, 3);
    ui_run(f.ui, "change work/INBOX");
    ui_draw(f.ui);
    ui_key(f.ui, 's');
    assert_true(on_screen("move to: (s Sent)"));
    fake_type(&f, "s");
    assert_int_equal(f.ui->prompt.kind, PROMPT_NONE);
    assert_int_equal(fake_intents(), 2);
    assert_int_equal(fake_last_intent.target, 3);
    fake_type(&f, "C C");
    assert_int_equal(fake_last_intent.kind, INTENT_COPY);
    fake_type(&f, "Esc-s s");
    assert_int_equal(fake_last_intent.kind, INTENT_MOVE);
    assert_int_equal(fake_intents(), 4);
    fake_type(&f, ".");
    assert_int_equal(fake_intents(), 5);
    assert_int_equal(fake_last_intent.target, 3);
    fake_close(&f);
}

/* A mailbox that was chosen in another account: the same key takes that one again, from whichever account. */
static void test_same_key_takes_another_account(void **state)
{
    (void)state;
    open_with(NULL);
    ui_run(f.ui, "change home/INBOX");
    ui_draw(f.ui);
    fake_type(&f, "s w o r k / s e n t Enter");
    ui_draw(f.ui);
    unsigned before = fake_intents();
    fake_type(&f, "s");
    assert_true(on_screen("move to: (s work/Sent)"));
    fake_type(&f, "s");
    assert_int_equal(f.ui->prompt.kind, PROMPT_NONE);
    ui_run(f.ui, "change work/INBOX");
    ui_draw(f.ui);
    fake_type(&f, "s");
    assert_true(on_screen("move to: (s Sent)"));
    fake_type(&f, "s");
    assert_true(fake_intents() > before);
    assert_int_equal(fake_last_intent.target, 3);
    ui_run(f.ui, "change home/INBOX");
    ui_draw(f.ui);
    fake_type(&f, "s");
    assert_true(on_screen("move to: (s work/Sent)"));
    fake_type(&f, "Esc");
    fake_close(&f);
}

/* The second V says that the range is chosen, not how to choose it. */
static void test_range_is_said(void **state)
{
    (void)state;
    open_with(NULL);
    fake_type(&f, "V j j");
    assert_true(on_screen("go to the other end"));
    fake_type(&f, "V");
    assert_true(on_screen("the range is selected"));
    assert_int_equal(f.ui->selection.n, 3);
    fake_close(&f);
}

/* Each command of a line sees what the one before it has opened. */
static void test_line_of_commands(void **state)
{
    (void)state;
    open_with(NULL);
    ui_run(f.ui, "go inbox");
    ui_draw(f.ui);
    ui_run(f.ui, "next-unread");
    struct ref unread = ui_row(f.ui)->ref;
    ui_run(f.ui, "change work/Sent");
    ui_draw(f.ui);
    ui_run(f.ui, "go inbox ; next-unread");
    assert_non_null(ui_row(f.ui));
    assert_true(ref_eq(ui_row(f.ui)->ref, unread));
    fake_close(&f);
}

/* What may be typed stands there before it is asked for. */
static void test_times_are_offered(void **state)
{
    (void)state;
    open_with(NULL);
    fake_type(&f, "z");
    assert_true(on_screen("snooze until:"));
    assert_true(on_screen("tomorrow"));
    assert_true(on_screen("in two hours"));
    fake_type(&f, "Tab");
    assert_string_equal(f.ui->prompt.edit.p, "2h");
    fake_type(&f, "Tab");
    assert_string_equal(f.ui->prompt.edit.p, "tonight");
    fake_type(&f, "Esc Z");
    assert_true(on_screen("remind if no answer by:"));
    assert_true(on_screen("in two hours"));
    fake_type(&f, "3");
    assert_false(on_screen("in two hours"));
    fake_type(&f, "Esc z S-Tab");
    assert_string_equal(f.ui->prompt.edit.p, "off");
    fake_type(&f, "Esc");
    fake_close(&f);
}

/* What a saved search is made of in tuimailrc makes one at the prompt. */
static void test_saved_at_the_prompt(void **state)
{
    (void)state;
    open_with(NULL);
    assert_true(ui_run(f.ui, "saved \"To do\" tag:todo"));
    assert_int_equal(f.ui->conf->nsaved, 2);
    assert_string_equal(f.ui->conf->saved[1].query, "tag:todo");
    assert_true(ui_run(f.ui, "saved \"To do\""));
    assert_true(on_screen("To do"));
    fake_close(&f);
}

/* Behind ' only the accounts that there are, by their names. */
static void test_accounts_behind_a_key(void **state)
{
    (void)state;
    open_with(NULL);
    ui_key(f.ui, '\'');
    ui_popup_keys(f.ui);
    assert_true(on_screen("go 1 (work)"));
    assert_true(on_screen("go 2 (home)"));
    assert_false(on_screen("go 3"));
    fake_type(&f, "Esc");
    fake_close(&f);
}

/* In few columns an empty list says all of it. */
static void test_empty_words_wrap(void **state)
{
    (void)state;
    fake_mails();
    fake_open(&f, 12, 40, "");
    ui_run(f.ui, "search zzzzzzzz");
    fake_settle(&f);
    ui_list(f.ui)->failed = true;
    assert_true(on_screen("The search index cannot be read;"));
    assert_true(on_screen("makes it anew."));
    fake_close(&f);
}

static void test_older(void **state)
{
    (void)state;
    fake_mails();
    int64_t now = clock_wall();
    for (int i = 0; i < 40; i++)
        fake_add(&fake_accounts[i % 2], (struct fake_row){.box = 1,
                                                          .date = now - i * 86400 - 60,
                                                          .flags = i % 2 ? FLAG_SEEN : 0,
                                                          .name = "x",
                                                          .addr = "",
                                                          .to = "",
                                                          .subject = "y"});
    fake_open(&f, 30, 100, NULL);
    size_t before = in_box(1), old = before - 40;
    ui_run(f.ui, "older 10d archive");
    assert_true(on_screen("archive: all "));
    fake_type(&f, "n a"); /* no: the next verb is for the row */
    assert_int_equal(in_box(2), 1);
    ui_run(f.ui, "older 10d archive");
    fake_type(&f, "y");
    assert_int_equal(in_box(1), 9);
    assert_int_equal(in_box(2), old + 31);
    assert_int_equal(f.ui->nundo, 2); /* one undo, two accounts */
    fake_undone = 4;
    fake_type(&f, "u");
    assert_true(on_screen("tags of some put back"));
    assert_int_equal(f.ui->nundo, 1);
    fake_type(&f, "U");
    assert_int_equal(f.ui->nundo, 2);
    fake_undone = 0;
    fake_type(&f, "u");
    assert_true(on_screen("nothing to undo"));
    assert_false(ui_run(f.ui, "older 10d archive"));
    assert_true(on_screen("no message of this list is older"));
    assert_false(ui_run(f.ui, "older 10m archive"));
    ui_run(f.ui, "older 5d select");
    fake_type(&f, "y");
    assert_int_equal(f.ui->selection.n, 5);
    fake_close(&f);
}

/* A: name, address, file; u and U; and what was in the file stays. */
static void test_alias(void **state)
{
    (void)state;
    open_with(NULL);
    char line[200], path[100];
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(10000);
    snprintf(path, sizeof path, "%s/conf/aliases", f.root);
    snprintf(line, sizeof line, "set alias-file %s", path);
    assert_true(ui_run(f.ui, line));
    fake_type(&f, "A");
    assert_true(on_screen("alias: sender"));
    fake_type(&f, "C-u a l i Enter");
    assert_true(on_screen("ali is: Alice Example <sender@example.org>"));
    fake_type(&f, "Enter");
    assert_true(on_screen("ali is Alice Example <sender@example.org>"));
    assert_true(fs_read(path, 10000, &text, &err));
    assert_string_equal(buf_z(&text), "alias ali \"Alice Example <sender@example.org>\"\n");
    assert_true(fs_write_atomic(path, 0600, STR("# mine\nalias ali x@y.z\nalias bo b@example.org\n"), &err));
    assert_true(ui_run(f.ui, "add-alias ali a@example.org"));
    buf_reset(&text);
    assert_true(fs_read(path, 10000, &text, &err));
    assert_string_equal(buf_z(&text), "# mine\nalias ali a@example.org\nalias bo b@example.org\n");
    fake_type(&f, "u u");
    assert_int_equal(f.conf->naliases, 0);
    buf_reset(&text);
    assert_true(fs_read(path, 10000, &text, &err));
    assert_string_equal(buf_z(&text), "# mine\nalias bo b@example.org\n");
    fake_type(&f, "U");
    assert_int_equal(f.conf->naliases, 1);
    assert_string_equal(f.conf->aliases[0].value, "Alice Example <sender@example.org>");
    assert_false(ui_run(f.ui, "add-alias a@b c@example.org")); /* no name */
    assert_int_equal(f.conf->naliases, 1);
    static const char *const odd[] = {"o'brien", "#x", ";", "a\\",
                                      "'"}; /* the file can be read, whatever they are called */
    for (size_t i = 0; i < COUNT(odd); i++) {
        struct buf add = BUF_INIT(200);
        buf_addz(&add, "add-alias ");
        line_quote(str_z(odd[i]), &add);
        buf_addz(&add, " c@example.org");
        assert_true(ui_run(f.ui, buf_z(&add)));
        assert_true(ui_run(f.ui, buf_z(&add))); /* once more: it is the same line */
        buf_fini(&add);
    }
    snprintf(line, sizeof line, "source %s", path);
    assert_true(ui_run(f.ui, line));
    assert_int_equal(f.conf->naliases, 2 + COUNT(odd));
    buf_reset(&text);
    assert_true(fs_read(path, 10000, &text, &err));
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    assert_int_equal(lines, 3 + COUNT(odd));
    buf_fini(&text);
    fake_close(&f);
}

/* More hits than the list keeps: the index is asked for all of them, the question has their number, and where they
 * cannot all be had nothing is done. */
static void test_result_of_very_many(void **state)
{
    (void)state;
    enum { MORE = 50, ALL = HITS_MAX + MORE };
    struct err err = ERR_INIT;
    fake_reset();
    fake_mails();
    struct reader *work = &fake_accounts[0];
    uint64_t first = work->rows[work->n - 1].id + 1;
    for (int64_t i = 0; i < ALL; i++)
        fake_add(work, (struct fake_row){.box = 1, .date = 1000 + i, .name = "a", .addr = "", .to = "", .subject = ""});
    fake_open(&f, 30, 100, "set confirm-result 2\n");
    FILE *slow = fopen("search", "w"); /* one that does not answer */
    assert_non_null(slow);
    fputs("#!/bin/sh\nexec sleep 60\n", slow);
    fclose(slow);
    assert_int_equal(chmod("search", 0700), 0);
    setenv("TUIMAIL_LIBEXEC", f.root, 1);
    for (unsigned round = 0; round < 3; round++) {
        ui_run(f.ui, "search many");
        struct list *l = ui_list(f.ui);
        helper_end(&f.ui->search);
        for (uint64_t i = 0; i < ALL; i++)
            list_add_hit(l, HITS_INDEX, &(struct hit){.ref = {0, first + i}, .date = 1000 + (int64_t)i});
        list_hits_end(l, HITS_INDEX);
        assert_int_equal(list_hits_over(l), MORE);
        unsigned before = fake_intents();
        bool asked = false;
        ui_run(f.ui, "result flag on");
        for (unsigned i = 0; i < 5000 && ui_extra(f.ui)->gather; i++) {
            list_update(l, &err);
            if (round == 2 && i == 0) /* the list is left */
                ui_run(f.ui, "back");
            loop_once(f.loop, 5);
            if (!f.ui->search_into)
                continue;
            asked = true;
            for (uint64_t k = 0; round == 0 && k < ALL; k++)
                refs_add(f.ui->search_into, (struct ref){0, first + k});
            f.ui->search_into = NULL;
            f.ui->search_select = false;
            if (round == 0)
                ui_gather_told(f.ui, true);
            helper_end(&f.ui->search); /* else it broke off */
        }
        assert_null(ui_extra(f.ui)->gather);
        assert_int_equal(asked, round < 2);
        assert_int_equal(fake_intents(), before);
        if (round > 0) {
            assert_int_equal(f.ui->popup.kind, POPUP_NONE);
            continue;
        }
        assert_true(on_screen("all 100050 messages of the list?"));
        fake_type(&f, "y");
        for (unsigned i = 0; i < 100 && fake_intents() < before + (ALL + 3999) / 4000; i++)
            fake_settle(&f);
        assert_int_equal(fake_intents() - before, (ALL + 3999) / 4000);
        for (uint64_t i = 0; i < ALL; i++)
            assert_true(fake_find(work, first + i)->flags & FLAG_FLAGGED);
        assert_true(on_screen("flagged 100050 messages"));
        assert_int_equal(f.ui->nundo, 1); /* one step for the person */
        ui_run(f.ui, "back");
    }
    setenv("TUIMAIL_LIBEXEC", "/nonexistent", 1);
    fake_close(&f);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    setenv("TUIMAIL_LIBEXEC", "/nonexistent", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_thread),
        cmocka_unit_test(test_range_ends_with_the_next_command),
        cmocka_unit_test(test_purge_says_how_long_it_is_held),
        cmocka_unit_test(test_pick_tags),
        cmocka_unit_test(test_toggle_tag),
        cmocka_unit_test(test_whole_thread_asks_for_a_place),
        cmocka_unit_test(test_scope_ends_with_its_command),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_count_beyond_the_window),
        cmocka_unit_test(test_auto_advance),
        cmocka_unit_test(test_auto_advance_closes_the_message),
        cmocka_unit_test(test_same_key_takes_the_last_mailbox),
        cmocka_unit_test(test_same_key_takes_another_account),
        cmocka_unit_test(test_range_is_said),
        cmocka_unit_test(test_line_of_commands),
        cmocka_unit_test(test_times_are_offered),
        cmocka_unit_test(test_saved_at_the_prompt),
        cmocka_unit_test(test_accounts_behind_a_key),
        cmocka_unit_test(test_empty_words_wrap),
        cmocka_unit_test(test_older),
        cmocka_unit_test(test_alias),
        cmocka_unit_test(test_result_of_very_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
