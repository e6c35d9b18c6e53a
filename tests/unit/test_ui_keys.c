/* Keys and commands: what each key does to the store, that help is the tables, and a monkey. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void test_archive_hides_at_once_and_says_so_when_safe(void **state)
{
    (void)state;
    open_ui();
    struct ref first = ui_row(f.ui)->ref;
    ui_key(f.ui, 'a');
    ui_draw(f.ui); /* before the store has answered */
    assert_null(list_find(ui_list(f.ui), first));
    assert_string_equal(f.ui->status, "");
    fake_settle(&f);
    assert_true(on_screen("archived 1 message"));
    assert_int_equal(fake_last_intent.kind, INTENT_ARCHIVE);
    assert_int_equal(fake_find(&fake_accounts[first.account], first.id)->box, 2);
    fake_close(&f);
}

static void test_refused_action_comes_back(void **state)
{
    (void)state;
    open_ui();
    struct ref first = ui_row(f.ui)->ref;
    fake_refuse = true;
    fake_type(&f, "d");
    assert_non_null(list_find(ui_list(f.ui), first));
    assert_true(on_screen("not deleted: no"));
    fake_close(&f);
}

/* Where there is no message the key that leads on is said. */
static void test_an_empty_list_says_what_next(void **state)
{
    (void)state;
    fake_mails();
    fake_open(&f, 30, 140, NULL);
    for (size_t i = 0; i < COUNT(fake_accounts); i++)
        fake_accounts[i].n = 0, fake_accounts[i].version++;
    ui_lists_stale(f.ui);
    fake_settle(&f);
    for (unsigned i = 0; i < 2; i++) {
        ui_run(f.ui, i ? "make-rule" : "archive");
        assert_true(on_screen("no message is here: c opens another mailbox"));
    }
    ui_run(f.ui, "filter unread");
    ui_run(f.ui, "archive");
    assert_true(on_screen("no message is here: q shows what the limit leaves out"));
    ui_run(f.ui, "select-pattern *");
    assert_true(on_screen("no message is here: q shows what the limit leaves out"));
    fake_close(&f);
}

static void test_held_key_acts_on_one_message_each(void **state)
{
    (void)state;
    open_ui();
    uint64_t before = fake_accounts[0].n + fake_accounts[1].n, left = 0;
    for (int i = 0; i < 20; i++)
        ui_key(f.ui, 'd'); /* without a frame between */
    fake_settle(&f);
    assert_int_equal(fake_intents(), 20);
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < fake_accounts[a].n; i++)
            left += fake_accounts[a].rows[i].box != 4;
    assert_int_equal(left, before - 20);
    fake_close(&f);
}

static void test_selection_is_one_intent_per_account(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "t t t t");
    assert_int_equal(f.ui->selection.n, 4);
    fake_type(&f, "F");
    assert_int_equal(fake_intents(), 2);
    assert_int_equal(f.ui->selection.n, 0);
    assert_true(on_screen("flagged 4 messages"));
    fake_close(&f);
}

/* With many, the toggle looks at them and not at the row of the cursor. */
static void test_flags_of_a_selection(void **state)
{
    (void)state;
    open_ui();
    struct ref ref = ui_row(f.ui)->ref;
    struct fake_row *first = fake_find(&fake_accounts[ref.account], ref.id);
    fake_type(&f, "N");
    assert_false(first->flags & FLAG_SEEN);
    fake_type(&f, "t N");
    assert_true(first->flags & FLAG_SEEN);
    fake_type(&f, "k F");
    assert_true(first->flags & FLAG_FLAGGED);
    fake_type(&f, "t F");
    assert_false(first->flags & FLAG_FLAGGED);
    fake_close(&f);
}

static void test_read_all_is_of_the_pane(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "C-r");
    ui_run(f.ui, "read-all");
    assert_true(on_screen("Mark everything in all inboxes read?"));
    fake_type(&f, "n y j j C-r");
    assert_true(on_screen("Mark everything in INBOX read?"));
    fake_close(&f);
}

/* What a Maildir is to get waits for no server. */
static void test_changes_of_local_accounts(void **state)
{
    (void)state;
    open_ui();
    struct acct *home = &f.ui->accts.list[1];
    const struct account *was = home->conf;
    struct account local = *was;
    local.in.proto = PROTO_MAILDIR;
    home->conf = &local;
    home->known = true;
    home->state = ACCOUNT_ONLINE;
    home->queued = 2;
    home->queued_ms = 0; /* long since */
    f.ui->accts.list[0].queued = 0;
    ui_resize(f.ui, 24, 160);
    assert_true(on_screen("home live, 2 to be done"));
    ui_run(f.ui, "queue");
    assert_true(on_screen("waits to be done in the Maildir, in this order"));
    f.ui->accts.list[0].queued = 1;
    ui_run(f.ui, "queue");
    assert_true(on_screen("waits for the server, in this order"));
    home->conf = was;
    fake_close(&f);
}

static void test_status_says_what_fits(void **state)
{
    (void)state;
    open_ui();
    f.ui->accts.list[1] = (struct acct){.name = f.ui->accts.list[1].name,
                                        .conf = f.ui->accts.list[1].conf,
                                        .reader = f.ui->accts.list[1].reader,
                                        .known = true,
                                        .state = ACCOUNT_ONLINE};
    struct acct *work = &f.ui->accts.list[0];
    work->known = true;
    work->state = ACCOUNT_WAITING;
    work->again = 36000;
    work->full = 95;
    work->queued = 3;
    snprintf(work->text, sizeof work->text, "imap.example.org port 993: Connection refused");
    static const struct {
        unsigned cols;
        const char *words;
    } rows[] = {
        {160, " work offline, again 10:00:00, 95 % full, 3 queued: imap.example.org port 993: Connection refused · "
              "home live  ? help"},
        {100, " work offline, again 10:00:00, 95 % full, 3 queued: imap.example.org port 99… · home live  ? help"},
        {80, " work offline, again 10:00:00, 95 % full, 3 queued · home live  ? help"},
        {60, " work offline, 95 % full, 3 queued · home live  ? help"},
        {50, " work offline, 95 % full, 3 queued  ? help"},
        {30, " work offline  ? help"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        ui_resize(f.ui, 24, rows[i].cols);
        assert_true(on_screen(rows[i].words));
    }
    ui_resize(f.ui, 24, 120); /* what is said to the left is not said again */
    ui_note(f.ui, NOTE_WARNING, "work: the connection was cut");
    ui_note_line(f.ui, 0);
    assert_true(on_screen("was cut"));
    assert_true(on_screen("3 queued · home live"));
    ui_note_line_over(f.ui, 1);
    assert_true(on_screen("was cut"));
    ui_note_line_over(f.ui, 0);
    assert_true(on_screen("3 queued: imap.example.org"));
    ui_note(f.ui, NOTE_INFO, "something else");
    ui_note_line_over(f.ui, 0);
    assert_true(on_screen("something else"));
    fake_close(&f);
}

static void test_mailboxes_within_others(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool within;
    } rows[] = {{"Trash", true}, {"Trash/old", true}, {"Trash/a/b", true}, {"Trash-old", false}, {"Tras", false}};
    struct box_item trash = {.path = mem_dup_z("Trash"), .delim = '/'};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct box_item item = {.path = mem_dup_z(rows[i].path), .delim = '/'};
        assert_int_equal(box_within(&item, &trash), rows[i].within);
        free(item.path);
    }
    free(trash.path);
}

static void test_flags_toggle(void **state)
{
    (void)state;
    open_ui();
    struct ref ref = ui_row(f.ui)->ref;
    fake_type(&f, "N");
    assert_false(fake_find(&fake_accounts[ref.account], ref.id)->flags & FLAG_SEEN);
    fake_type(&f, "N");
    assert_true(fake_find(&fake_accounts[ref.account], ref.id)->flags & FLAG_SEEN);
    fake_type(&f, "F F");
    assert_false(fake_find(&fake_accounts[ref.account], ref.id)->flags & FLAG_FLAGGED);
    fake_close(&f);
}

static void test_move_by_fuzzy_name(void **state)
{
    (void)state;
    open_ui();
    struct ref ref = ui_row(f.ui)->ref;
    fake_type(&f, "s k e r Enter");
    assert_int_equal(fake_find(&fake_accounts[ref.account], ref.id)->box, 6);
    assert_true(on_screen("moved 1 message to Lists/kernel"));
    fake_type(&f, "s Enter"); /* the last one again */
    assert_int_equal(fake_last_intent.target, 6);
    fake_type(&f, "s Esc");
    assert_int_equal(fake_intents(), 2);
    fake_close(&f);
}

static void test_prompt_runs_commands_and_says_what_is_wrong(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, ": e c h o Space h i Enter");
    assert_true(on_screen("hi"));
    fake_type(&f, ": a r c h i v Enter");
    assert_true(on_screen("archive"));
    fake_type(&f, ": t h e m e Space l i g h t Enter");
    fake_type(&f, ": Up");
    assert_string_equal(f.ui->prompt.edit.p, "theme light");
    fake_type(&f, "C-g");
    assert_int_equal(f.ui->prompt.kind, PROMPT_NONE);
    fake_close(&f);
}

/* A mailbox opens in its own order; a key changes it until another one opens. */
static void test_a_mailbox_has_an_order_of_its_own(void **state)
{
    (void)state;
    fake_mails();
    fake_open(&f, 30, 100, "mailbox work Archive sort reverse-subject\n");
    assert_int_equal(ui_list(f.ui)->order, ORDER_DATE);
    fake_type(&f, "c A r c h i v e Enter");
    assert_int_equal(ui_list(f.ui)->order, ORDER_SUBJECT);
    assert_true(ui_list(f.ui)->reverse);
    fake_type(&f, "o z");
    assert_int_equal(ui_list(f.ui)->order, ORDER_SIZE);
    fake_type(&f, "' i");
    assert_int_equal(ui_list(f.ui)->order, ORDER_DATE);
    assert_false(ui_list(f.ui)->reverse);
    fake_type(&f, "c A r c h i v e Enter");
    assert_int_equal(ui_list(f.ui)->order, ORDER_SUBJECT);
    fake_close(&f);
}

static void on_sure(struct ui *ui, void *arg, bool yes)
{
    (void)ui;
    *(int *)arg = yes ? 1 : -1;
}

/* What follows the colon is a command, whatever asks or lists something meanwhile. */
static void test_a_command_is_typed_from_anywhere(void **state)
{
    int answered = 0;
    (void)state;
    open_ui();
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            fake_type(&f, "Q");
        else
            ui_confirm(f.ui, "Sure?", "", on_sure, &answered);
        assert_int_not_equal(f.ui->popup.kind, POPUP_NONE);
        fake_type(&f, ":");
        assert_int_equal(f.ui->popup.kind, POPUP_NONE);
        assert_int_equal(f.ui->prompt.kind, PROMPT_COMMAND);
        fake_type(&f, "C-g");
    }
    assert_int_equal(answered, -1);
    fake_close(&f);
}

/* Esc is the key for it, and still the first half of Alt. */
static void test_esc_stops_one_thing_each_time(void **state)
{
    (void)state;
    open_ui();
    fake_hold = true;
    fake_type(&f, "t t V");
    assert_int_equal(f.ui->selection.n, 2);
    fake_type(&f, "Enter");
    assert_true(f.ui->open_req != 0);
    unsigned before = fake_cancels;
    fake_type(&f, "Esc-t"); /* select-thread, no cancel */
    assert_true(f.ui->open_req != 0 && fake_cancels == before);
    fake_type(&f, "Esc");
    assert_true(f.ui->open_req == 0 && fake_cancels == before + 1);
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    assert_true(f.ui->selection.n >= 2);
    fake_type(&f, "v"); /* the list of parts: its message is on the way */
    fake_type(&f, "Esc");
    assert_int_equal(fake_cancels, before + 2);
    assert_true(on_screen("stopped"));
    assert_true(f.ui->selection.n >= 2);
    fake_type(&f, "Esc");
    assert_int_equal(f.ui->selection.n, 0);
    assert_true(f.ui->range.id == 0);
    fake_close(&f);
}

/* An open list of notices shows what is said meanwhile; whoever reads on in it is left where he is. */
static void test_messages_that_come_while_they_are_read(void **state)
{
    (void)state;
    open_ui();
    for (unsigned i = 0; i < 60; i++)
        ui_note(f.ui, NOTE_INFO, "notice number %u", i);
    ui_run(f.ui, "messages");
    ui_note(f.ui, NOTE_WARNING, "the lamp went out");
    f.ui->status[0] = 0;
    assert_true(on_screen("the lamp went out"));
    fake_type(&f, "Space");
    ui_note(f.ui, NOTE_WARNING, "the door fell shut");
    f.ui->status[0] = 0;
    assert_false(on_screen("the door fell shut"));
    fake_type(&f, "Home");
    assert_true(on_screen("the door fell shut"));
    fake_close(&f);
}

static void test_paste_is_text_and_never_commands(void **state)
{
    (void)state;
    open_ui();
    ui_key(f.ui, K_PASTE_BEGIN);
    for (const char *p = "dddd"; *p; p++)
        ui_key(f.ui, (ckey)*p);
    ui_key(f.ui, K_PASTE_END);
    fake_settle(&f);
    assert_int_equal(fake_intents(), 0);
    fake_type(&f, ":");
    ui_key(f.ui, K_PASTE_BEGIN);
    for (const char *p = "echo x\ry"; *p; p++)
        ui_key(f.ui, *p == '\r' ? K_ENTER : (ckey)*p);
    ui_key(f.ui, K_PASTE_END);
    assert_string_equal(f.ui->prompt.edit.p, "echo x y");
    fake_close(&f);
}

static void test_secret_never_on_screen(void **state)
{
    struct err err = ERR_INIT;
    struct msg m = {.kind = MSG_NONE};
    char got[32] = "";
    (void)state;
    open_ui();
    SEND(f.store, -1, &err, SECRET_WANTED, .account = STR("work"), .service = SERVICE_INCOMING,
         .text = STR("login: the server refused"));
    fake_settle(&f);
    assert_int_equal(f.ui->prompt.kind, PROMPT_SECRET);
    assert_true(on_screen("password of work (the last one was refused):"));
    for (const char *p = "s3cret"; *p; p++)
        ui_key(f.ui, (ckey)*p);
    struct buf out = BUF_INIT(1u << 20);
    ui_draw(f.ui);
    grid_print(&f.ui->grid, false, &out);
    assert_null(strstr(buf_z(&out), "s3c"));
    assert_null(strstr(buf_z(&out), "***"));
    buf_fini(&out);
    while (chan_recv(f.store, &m, &err) == 1)
        ;
    ui_key(f.ui, K_ENTER);
    assert_int_equal(chan_recv(f.store, &m, &err), 1);
    assert_int_equal(m.kind, MSG_SECRET_GIVEN);
    assert_true(read(m.fd, got, sizeof got - 1) == 7);
    assert_string_equal(got, "s3cret\n");
    close(m.fd);
    for (size_t i = 0; i < sizeof f.ui->prompt.edit; i++)
        assert_int_equal(((const char *)&f.ui->prompt.edit)[i], 0);
    fake_close(&f);
}

static void test_urls(void **state)
{
    static const char *const bad[] = {
        "javascript:alert(1)",  "file:///etc/passwd", "data:text/html,x",    "-n",         "",   "http//x",
        "https://exa mple.org", "https://x\033[0m",   "https://x\nhttp://y", " https://x", "//x"};
    static const char *const good[] = {"https://example.org/a?b=%20", "HTTP://x", "mailto:a@example.org", "ftp://x/"};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(ui_url_allowed(str_z(bad[i])));
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(ui_url_allowed(str_z(good[i])));
}

static void test_store_that_ends_is_a_word(void **state)
{
    (void)state;
    open_ui();
    ui_key(f.ui, 'a');
    chan_free(&f.store);
    for (int i = 0; i < 5; i++)
        loop_once(f.loop, 0);
    assert_true(on_screen("the store ended"));
    ui_key(f.ui, 'a'); /* refused in words, no crash */
    assert_true(on_screen("does not run"));
    fake_close(&f);
}

static void test_view_that_dies_costs_that_message(void **state)
{
    char dir[] = "/tmp/tuimail-test-XXXXXX";
    struct err err = ERR_INIT;
    (void)state;
    assert_non_null(mkdtemp(dir));
    char *view = path_join(dir, "view");
    assert_true(fs_write_atomic(view, 0755, STR("#!/bin/sh\nexit 1\n"), &err));
    setenv("TUIMAIL_LIBEXEC", dir, 1);
    open_ui();
    fake_body = true;
    fake_type(&f, "Enter");
    for (int i = 0; i < 200 && f.ui->message.state != MESSAGE_FAILED; i++) {
        fake_settle(&f);
        loop_once(f.loop, 20);
    }
    assert_true(on_screen("broke off"));
    fake_type(&f, "q Enter"); /* not tried again */
    assert_int_equal(f.ui->message.state, MESSAGE_FAILED);
    assert_true(on_screen("broke off before"));
    fake_type(&f, "j"); /* the next one is */
    assert_null(strstr(f.ui->message.why, "before"));
    fake_close(&f);
    setenv("TUIMAIL_LIBEXEC", "/nonexistent", 1);
    unlink(view);
    rmdir(dir);
    free(view);
}

static void test_views_pile_up_and_come_off(void **state)
{
    (void)state;
    open_ui();
    for (int i = 0; i < 20; i++) { /* more than there is room for */
        ui_run(f.ui, i % 2 ? "search tag:x" : "limit tag:y");
        ui_run(f.ui, "conversation");
        fake_settle(&f);
        ui_draw(f.ui);
        ui_check(f.ui);
    }
    assert_int_equal(f.ui->depth, STACK_MAX);
    for (int i = 0; i < STACK_MAX - 1; i++)
        fake_type(&f, "q");
    assert_int_equal(f.ui->depth, 1);
    assert_int_equal(ui_list(f.ui)->source, LIST_INBOXES);
    assert_false(f.ui->quit);
    fake_type(&f, "q");
    assert_true(f.ui->quit);
    fake_close(&f);
}

static void test_pause_after_a_prefix_shows_what_follows(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "'");
    assert_int_equal(f.ui->nkeys, 1);
    for (int i = 0; i < 100 && f.ui->popup.kind != POPUP_KEYS; i++)
        loop_once(f.loop, 50);
    assert_true(on_screen("go archive"));
    fake_type(&f, "a");
    assert_int_equal(f.ui->popup.kind, POPUP_NONE);
    assert_true(on_screen("Archive"));
    assert_int_equal(ui_list(f.ui)->source, LIST_BOX);
    fake_close(&f);
}

/* ---- hooks, macros, what keys do, answers ---- */
/* A turn of the loop for what waits for the next one. */
static void turn(void)
{
    fake_settle(&f);
    loop_once(f.loop, 0);
    fake_settle(&f);
}

static void write_file(const char *name, const char *text)
{
    struct err err = ERR_INIT;
    assert_true(fs_write_atomic(name, 0600, str_z(text), &err));
}

static void test_hooks_at_events(void **state)
{
    static const char conf[] = "on startup echo began\n"
                               "on error echo oh: {text}\n"
                               "on -m Archive change-mailbox \"echo in {mailbox} of {account}\"\n"
                               "on -a home online echo home is there\n"
                               "on -a work online echo {account} is there\n"
                               "on offline echo {account} {event}: {text}\n"
                               "on sent echo sent {subject} from {account}\n"
                               "on not-sent echo {account} {event}: {text}\n"
                               "on change-mailbox change Archive\n"
                               "on resize frobnicate\n";
    struct err err = ERR_INIT;
    (void)state;
    fake_mails();
    fake_open(&f, 30, 100, conf);
    turn();
    ui_run(f.ui, "messages");
    assert_true(on_screen("began"));
    assert_true(on_screen("in Archive of work")); /* another one went there; ends by itself */
    fake_type(&f, "q");
    ui_run(f.ui, "unhook change-mailbox");
    assert_true(on_screen("2 hooks removed"));
    ui_note(f.ui, NOTE_ERROR, "the moon {subject}");
    turn();
    assert_true(on_screen("oh: the moon {subject}"));
    SEND(f.store, -1, &err, ACCOUNT, .account = STR("work"), .state = ACCOUNT_WAITING, .text = STR("no route"));
    turn();
    assert_true(on_screen("work offline: no route"));
    SEND(f.store, -1, &err, ACCOUNT, .account = STR("work"), .state = ACCOUNT_ONLINE, .text = STR(""));
    turn();
    assert_true(on_screen("work is there"));
    SEND(f.store, -1, &err, OUTBOX, .account = STR("work"), .out = 3, .state = OUTBOX_SENT, .text = STR(""));
    turn();
    assert_true(on_screen("sent from work")); /* nothing of the row under the cursor */
    SEND(f.store, -1, &err, OUTBOX, .account = STR("home"), .out = 4, .state = OUTBOX_REFUSED, .text = STR("550 no"));
    turn();
    ui_run(f.ui, "messages");
    assert_true(on_screen("home not-sent: 550 no"));
    fake_type(&f, "q");
    ui_resize(f.ui, 31, 100);
    turn();
    ui_run(f.ui, "messages");
    assert_true(on_screen("unknown command \"frobnicate\""));
    assert_true(on_screen("on resize ("));
    fake_type(&f, "q");
    ui_run(f.ui, "on sent echo second");
    ui_run(f.ui, "on sent");
    assert_true(on_screen("echo sent {subject} from {account}"));
    assert_true(on_screen("echo second (typed at :)"));
    assert_true(on_screen("with the values account to subject text"));
    fake_close(&f);
}

static void test_values_in_words(void **state)
{
    (void)state;
    open_ui();
    const struct list_row *row = ui_row(f.ui);
    char wanted[400];
    snprintf(wanted, sizeof wanted, "<%.*s|%.*s>", STR_FMT(row->from_name.n ? row->from_name : row->from_addr),
             STR_FMT(row->subject));
    ui_run(f.ui, "echo \"<{from}|{subject}>\"");
    assert_true(strstr(f.ui->status, wanted) != NULL);
    ui_run(f.ui, "echo {pane} {selected} {{x}");
    assert_string_equal(f.ui->status, "list 0 {x}");
    assert_false(ui_run(f.ui, "echo {nobody}"));
    fake_close(&f);
}

static void test_macro_is_recorded_played_and_bound(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "Esc-( F j Esc-)");
    assert_true(f.ui->recording);
    assert_true(on_screen("still being recorded"));
    ui_resize(f.ui, 30, 140);
    assert_true(on_screen("recording"));
    fake_type(&f, "Esc-(");
    assert_false(f.ui->recording);
    assert_int_equal(f.ui->nrecorded, 3);
    f.ui->nrecorded = 2; /* without Esc-), which was refused */
    fake_type(&f, "Esc-)");
    assert_int_equal(fake_intents(), 2);
    ui_run(f.ui, "play 2");
    fake_settle(&f);
    assert_int_equal(fake_intents(), 4);
    ui_run(f.ui, "macro list X");
    assert_true(on_screen("macro list X \"Fj\""));
    fake_type(&f, "X");
    assert_int_equal(fake_intents(), 5);
    /* typed at the prompt, its own end is no part of it; words and names of keys are typed as they are written */
    ui_run(f.ui, "record");
    fake_type(&f, "j : r e c o r d Enter");
    assert_int_equal(f.ui->nrecorded, 1);
    ui_run(f.ui, "macro list Y \":echo a b<Enter>\"");
    fake_type(&f, "Y");
    assert_true(on_screen("a b"));
    /* one that calls itself ends, and one whose command fails goes no further */
    ui_run(f.ui, "macro list Z \"Z\"");
    fake_type(&f, "Z");
    assert_true(on_screen("without end"));
    unsigned before = fake_intents();
    ui_run(f.ui, "macro list Z \":frobnicate<Enter>F\"");
    fake_type(&f, "Z");
    assert_int_equal(fake_intents(), before);
    fake_close(&f);
}

static void test_password_is_not_recorded(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    open_ui();
    ui_run(f.ui, "record on");
    SEND(f.store, -1, &err, SECRET_WANTED, .account = STR("work"), .service = SERVICE_INCOMING, .text = STR(""));
    fake_settle(&f);
    assert_int_equal(f.ui->prompt.kind, PROMPT_SECRET);
    for (const char *p = "s3cret"; *p; p++)
        ui_key(f.ui, (ckey)*p);
    ui_key(f.ui, K_ENTER);
    fake_type(&f, "j");
    assert_int_equal(f.ui->nrecorded, 1);
    fake_close(&f);
}

/* As in tmux and aerc: the beginning of a name will do at the prompt, where only one begins so; and :q. */
static void test_a_command_by_its_beginning(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    open_ui();
    fake_type(&f, ": a r c h Enter");
    assert_int_equal(fake_last_intent.kind, INTENT_ARCHIVE);
    unsigned before = fake_intents();
    fake_type(&f, "."); /* and it is repeated as any other */
    assert_int_equal(fake_intents(), before + 1);
    fake_type(&f, ": d e l Enter");
    assert_int_equal(fake_intents(), before + 1);
    assert_non_null(strstr(f.ui->status, "\"del\" is the beginning of delete, delete-search, delete-mailbox"));
    fake_type(&f, ": d e l e t e Enter"); /* one that is whole is itself */
    assert_int_equal(fake_last_intent.kind, INTENT_TRASH);
    assert_false(ui_run(f.ui, "edit-acc")); /* those of keys alone are not meant */
    struct line line;                       /* and a file says what it means */
    struct str text = STR("arch\n");
    unsigned number = 1;
    assert_int_equal(line_next(&text, "tuimailrc", &number, &line, &err), 1);
    assert_false(ui_run_line(f.ui, &line, &err));
    line_fini(&line);
    assert_false(f.ui->quit);
    fake_type(&f, ": q Enter");
    if (f.ui->popup.kind == POPUP_CONFIRM)
        fake_type(&f, "y");
    assert_true(f.ui->quit);
    fake_close(&f);
}

static void test_what_keys_do(void **state)
{
    (void)state;
    open_ui();
    write_file("keys.rc", "\nbind list X \"tag +x ; archive\"\nbind -m INBOX list X delete\n");
    ui_run(f.ui, "source keys.rc");
    ui_run(f.ui, "bind list X");
    assert_true(on_screen("X in list: -m INBOX delete: move to the trash (keys.rc:3)"));
    ui_run(f.ui, "bind list a");
    assert_true(on_screen("a in list: archive: move to the archive (default)"));
    ui_run(f.ui, "bind message u");
    assert_true(on_screen("u in message, as everywhere: undo"));
    ui_run(f.ui, "bind list x echo hi");
    ui_run(f.ui, "bind x"); /* of this pane */
    assert_true(on_screen("x in list: echo hi: show a text in the status line (typed at :)"));
    ui_run(f.ui, "bind list E");
    assert_true(on_screen("E does nothing in list"));
    ui_run(f.ui, "bind list '");
    assert_int_equal(f.ui->popup.kind, POPUP_NONE); /* an open quote */
    ui_run(f.ui, "bind list \"'\"");
    assert_true(on_screen("go sent"));
    fake_type(&f, "q");
    ui_run(f.ui, "bind list");
    assert_true(on_screen("what keys do"));
    fake_type(&f, "End");
    assert_true(on_screen("(keys.rc:3)"));
    fake_type(&f, "q Esc-? a");
    assert_true(on_screen("a in list: archive"));
    assert_int_equal(fake_intents(), 0);
    fake_type(&f, "Esc-? ' i");
    assert_true(on_screen("'i in list, as everywhere: go inbox"));
    fake_type(&f, "a");
    assert_int_equal(fake_intents(), 1);
    ui_run(f.ui, "keys vim");
    ui_run(f.ui, "bind list dd");
    assert_true(on_screen("dd in list: delete: move to the trash (keys vim)"));
    ui_run(f.ui, "bind list X"); /* what was bound by hand stays */
    assert_true(on_screen("keys.rc:3"));
    fake_close(&f);
}

static void test_source_runs_any_command(void **state)
{
    (void)state;
    open_ui();
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("a.rc", "set wrap 66\nsource sub/b.rc\necho done\n");
    write_file("sub/b.rc", "threads on\nsource c.rc\n");
    write_file("sub/c.rc", "bind list X echo cee\n");
    ui_run(f.ui, "source a.rc");
    assert_true(on_screen("done"));
    assert_int_equal(f.ui->conf->wrap, 66);
    assert_true(list_threaded(ui_list(f.ui)));
    fake_type(&f, "X");
    assert_true(on_screen("cee"));
    write_file("bad.rc", "frobnicate\necho after\nset wrap nine\n");
    ui_run(f.ui, "source bad.rc");
    assert_true(strstr(f.ui->status, "bad.rc:1: unknown command \"frobnicate\"") != NULL);
    ui_run(f.ui, "messages");
    assert_true(on_screen("after"));
    assert_true(on_screen("bad.rc: 2 lines are wrong"));
    write_file("loop.rc", "source loop.rc\n");
    ui_run(f.ui, "source loop.rc");
    assert_true(strstr(f.ui->status, "deeper") != NULL);
    assert_int_equal(chmod("a.rc", 0666), 0);
    ui_run(f.ui, "source a.rc");
    assert_true(strstr(f.ui->status, "can be written by others") != NULL);
    ui_run(f.ui, "source none.rc");
    assert_true(strstr(f.ui->status, "cannot read none.rc") != NULL);
    fake_close(&f);
}

static void ask(const char *command, bool *ok_r, struct buf *answer)
{
    struct err err = ERR_INIT;
    struct msg m;
    buf_reset(answer);
    while (chan_recv(f.store, &m, &err) == 1) /* what was said before */
        if (m.fd >= 0)
            close(m.fd);
    SEND(f.store, -1, &err, RUN, .req = 9, .text = str_z(command));
    for (int i = 0; i < 50; i++) {
        loop_once(f.loop, 0);
        while (chan_recv(f.store, &m, &err) == 1) {
            if (m.fd >= 0)
                close(m.fd);
            if (m.kind != MSG_RAN)
                continue;
            *ok_r = m.u.RAN.ok;
            buf_adds(answer, m.u.RAN.text);
            return;
        }
    }
    fail_msg("%s: no answer", command);
}

/* What `tuimail cmd` prints: values, words and lists; the screen keeps what it shows. */
static void test_answers_for_other_programs(void **state)
{
    struct buf answer = BUF_INIT(40000);
    bool ok = false;
    (void)state;
    open_ui();
    fake_type(&f, "?");
    ask("set wrap 72 ; set wrap ; echo {pane}", &ok, &answer);
    assert_true(ok);
    assert_string_equal(buf_z(&answer), "72\nhelp\n");
    ask("set from", &ok, &answer);
    assert_true(!ok && strstr(buf_z(&answer), "set -a ACCOUNT from"));
    ask("set -a work wrap", &ok, &answer);
    assert_true(!ok && strstr(buf_z(&answer), "leave out -a work"));
    ask("set -a work from", &ok, &answer);
    assert_true(ok);
    ask("help archive", &ok, &answer);
    assert_true(ok && strstr(buf_z(&answer), "move to the archive"));
    ask("bind list a ; bind list", &ok, &answer);
    assert_true(ok && str_starts(buf_str(&answer), STR("a in list: archive")));
    assert_non_null(strstr(buf_z(&answer), "\nd\tdelete: move to the trash (default)\n"));
    ask("on", &ok, &answer);
    assert_non_null(strstr(buf_z(&answer), "new-mail\t"));
    ask("frobnicate", &ok, &answer);
    assert_true(!ok && strstr(buf_z(&answer), "frobnicate"));
    assert_int_equal(f.ui->popup.kind, POPUP_PAGER); /* the help is there still */
    assert_string_equal(f.ui->popup.title, "keys here (list)");
    fake_type(&f, "q");
    f.ui->conf->confirm_quit = true;
    ask("messages ; quit", &ok, &answer); /* a question is for the screen */
    assert_int_equal(f.ui->popup.kind, POPUP_CONFIRM);
    fake_type(&f, "n");
    assert_int_equal(f.ui->popup.kind, POPUP_NONE);
    buf_fini(&answer);
    fake_close(&f);
}

/* ---- completion: every kind of argument is offered, with what it is ---- */
static void offers(const char *line, const char *word, const char *help)
{
    struct cmd_sources sources = {ui_names, f.ui};
    struct completions c;
    struct buf all = BUF_INIT(100000);
    bool found = false;
    ui_command_prompt(f.ui, line);
    cmd_complete(&ui_lang, f.ui->conf, CTX_LIST, &sources, str_z(line), strlen(line), &c);
    for (size_t i = 0; i < c.n; i++) {
        buf_addf(&all, "%s (%s)\n", c.list[i].word, c.list[i].help);
        found = found || (!strcmp(c.list[i].word, word) && !strcmp(c.list[i].help, help));
    }
    if (!found)
        fail_msg("\"%s\" offers no %s (%s), but\n%s", line, word, help, buf_z(&all));
    completions_fini(&c);
    buf_fini(&all);
    fake_type(&f, "Esc");
}

static void test_completion_describes_what_it_offers(void **state)
{
    (void)state;
    fake_mails();
    fake_open(&f, 30, 100,
              "alias ali Alice Example <alice@example.org>\nrule \"from:x\" -tag later\n"
              "bind list X \"tag +x ; archive\"\n");
    write_file("note.txt", "0123456789");
    static const char *const rows[][3] = {
        {"arch", "archive", "move to the archive"},
        {"echo x ; arch", "archive", "move to the archive"},
        {"set wra", "wrap", "Text of a message is wrapped here; 0: at the pane's width"},
        {"set ascii ", "yes", ""},
        {"set keys v", "vim", "g, z, d and y begin what they begin in vim, C-f C-b C-d C-u page"},
        {"set -a ", "work", "imaps://alice@imap.example.org"},
        {"move Arch", "Archive", "0 · work · archive"},
        {"move work/Arch", "work/Archive", "0 · work · archive"},
        {"tag +un", "+unread", "not read yet"},
        {"tag -lat", "-later", "of a rule"},
        {"limit tag:lat", "tag:later", "of a rule"},
        {"limit (tag:fla", "(tag:flagged", "flagged"},
        {"search fro", "from:", "sender"},
        {"search from:ali", "from:ali", "Alice Example <alice@example.org>"},
        {"search folder:Arch", "folder:Archive", "0 · work · archive"},
        {"search date:tod", "date:today", "since midnight"},
        {"compose ali", "ali", "Alice Example <alice@example.org>"},
        {"bounce x@example.org, Example", "ali", "Alice Example <alice@example.org>"},
        {"source note", "note.txt", "10 B"},
        {"bind li", "list", "the list of messages"},
        {"bind list,mess", "list,message", "the message"},
        {"bind list ", "X", "tag +x ; archive"},
        {"unbind message a", "a", "archive"},
        {"bind -a work -m Arch", "Archive", "0 · work · archive"},
        {"bind -a work list x arch", "archive", "move to the archive"},
        {"on new-", "new-mail", "new mail is here; told at most every ten seconds"},
        {"on -m Archive new-mail arch", "archive", "move to the archive"},
        {"run notify {sub", "{subject}", "subject"},
        {"echo {fr", "{from}", "name of the sender, else the address"},
        {"help wra", "wrap", "Text of a message is wrapped here; 0: at the pane's width"},
        {"help new-", "new-mail", "new mail is here; told at most every ten seconds"},
        {"threads to", "toggle", "the other way"},
        {"snooze ton", "tonight", "today, 18:00"},
        {"color curs", "cursor", "where the cursor is"},
        {"color cursor bo", "bold", "attribute"},
        {"saved To", "To answer", "tag:unread"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        offers(rows[i][0], rows[i][1], rows[i][2]);
    ui_command_prompt(f.ui, "snooze "); /* times come in their order */
    fake_type(&f, "Tab");
    assert_string_equal(f.ui->prompt.edit.p, "snooze 2h");
    fake_type(&f, "Tab Tab");
    assert_string_equal(f.ui->prompt.edit.p, "snooze tomorrow");
    fake_type(&f, "3 d"); /* a choice is replaced by what is typed */
    assert_string_equal(f.ui->prompt.edit.p, "snooze 3d");
    fake_type(&f, "Esc");
    ui_run(f.ui, "snooze");
    fake_type(&f, "Tab 3 d");
    assert_string_equal(f.ui->prompt.edit.p, "3d");
    fake_type(&f, "C-u Tab Tab Tab Space 9"); /* behind a blank it goes on */
    assert_string_equal(f.ui->prompt.edit.p, "tomorrow 9");
    fake_type(&f, "C-u Tab BackSpace d"); /* so does what was changed */
    assert_string_equal(f.ui->prompt.edit.p, "2d");
    fake_type(&f, "Esc");
    ui_command_prompt(f.ui, "a"); /* on the screen: what it is, and its key */
    fake_type(&f, "Tab");
    assert_true(on_screen("move to the archive"));
    assert_true(on_screen(" a\n"));
    fake_type(&f, "Esc");
    fake_close(&f);
}

/* ---- the tables ---- */
static void check_default(void *arg, const struct binding *b)
{
    struct err err = ERR_INIT;
    struct str rest = str_z(b->command);
    struct line line;
    unsigned number = 1;
    (void)arg;
    while (line_next(&rest, "keys", &number, &line, &err) == 1) {
        struct cmd_args args;
        if (!cmd_parse(&ui_lang, &line, &args, &err))
            fail_msg("%s: %s", b->command, err.text);
        cmd_args_fini(&args);
        line_fini(&line);
    }
}

static void test_default_keys_name_commands(void **state)
{
    (void)state;
    for (size_t p = 0; keymap_profiles[p].name; p++) {
        struct keymap *map = keymap_new();
        struct err err = ERR_INIT;
        assert_true(keymap_defaults(map, keymap_profiles[p].name, &err));
        for (unsigned c = 0; c < CTX_COUNT; c++)
            keymap_each(map, (enum cmd_context)c, NULL, 0, check_default, NULL);
        keymap_free(&map);
    }
}

static unsigned help_at(const char *keys)
{
    for (unsigned r = 0; r < f.ui->popup.n; r++)
        if (!strcmp(f.ui->popup.rows[r].left, keys))
            return r;
    fail_msg("no help line for %s", keys);
    return 0;
}

static void test_help_is_the_tables(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "?");
    assert_int_equal(f.ui->popup.kind, POPUP_PAGER);
    for (size_t i = 0; i < ui_lang.ncommands; i++) {
        const struct command *c = &ui_lang.commands[i];
        bool listed = false;
        assert_non_null(c->run);
        assert_true(*c->help && c->help[strlen(c->help) - 1] != '.');
        for (size_t k = i + 1; k < ui_lang.ncommands; k++)
            assert_string_not_equal(c->name, ui_lang.commands[k].name);
        for (unsigned r = 0; r < f.ui->popup.n; r++)
            listed =
                listed || (!strcmp(f.ui->popup.rows[r].left, c->name) && !strcmp(f.ui->popup.rows[r].right, c->help));
        assert_int_equal(listed, !(c->flags & CMD_HIDDEN));
    }
    static const char *const words[][2] = {
        /* a key bound with words has its command's description */
        {"od", "sort the list (sort date)"},
        {"'i", "go to mail of that kind, or to the inbox of that account (go inbox)"},
        {"Esc-a", "do a command for the whole thread: move to the archive (thread archive)"},
        {"Esc-Enter",
         "open another buffer on this list, and run a command in it: open what the cursor is on (new-buffer open)"},
    };
    for (size_t i = 0; i < COUNT(words); i++)
        assert_string_equal(f.ui->popup.rows[help_at(words[i][0])].right, words[i][1]);
    for (size_t i = 0; i < query_nforms; i++) { /* f: t: is: ... */
        bool listed = false;
        for (unsigned r = 0; r < f.ui->popup.n; r++)
            listed = listed || (!strcmp(f.ui->popup.rows[r].left, query_forms[i].prefix) &&
                                !strcmp(f.ui->popup.rows[r].right, query_forms[i].help));
        assert_true(listed);
    }
    fake_close(&f);
}

/* One line a command, all its keys in it, in the order of the table, the pane's own before those of everywhere. */
static void test_help_of_every_option_is_whole(void **state)
{
    (void)state;
    open_ui();
    for (size_t i = 0; i < conf_noptions; i++) {
        ui_help(f.ui, conf_options[i].name);
        assert_true(on_screen(conf_options[i].name));
    }
    ui_help(f.ui, "cache"); /* of an account: its value, and all of the paragraph */
    assert_true(on_screen("work     headers"));
    assert_true(on_screen("A mailbox line sets it for one mailbox."));
    ui_note(f.ui, NOTE_INFO, "%s",
            "words that are longer than the screen is wide are wrapped at blanks and read to the end");
    ui_run(f.ui, "messages");
    assert_true(on_screen("read to the end"));
    fake_close(&f);
}

static void test_help_has_the_order_of_the_table(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "?");
    assert_int_equal(help_at("j Down"), 0);
    assert_true(help_at("Enter") < help_at("a"));
    assert_true(help_at("a") < help_at("d"));
    assert_true(help_at("d") < help_at("F"));
    assert_true(help_at("F") < help_at("u"));
    fake_type(&f, "q y ?");
    assert_true(help_at("C") < help_at("r"));
    assert_true(help_at("j Down") < help_at("u"));
    fake_close(&f);
}

/* At 80 columns one below the other, wrapped; on a wide screen side by side, the whole of it still. */
static void test_help_by_the_width(void **state)
{
    (void)state;
    open_ui();
    ui_resize(f.ui, 24, 80);
    fake_type(&f, "?");
    unsigned narrow = (on_screen("go to the next message"), f.ui->popup.nlines);
    for (unsigned i = 0; i < f.ui->popup.nlines; i++)
        assert_int_equal(f.ui->popup.lines[i].n, 1);
    ui_resize(f.ui, 60, 200);
    ui_draw(f.ui);
    unsigned wide = f.ui->popup.nlines, pieces = 0, both = 0;
    assert_true(wide < narrow * 2 / 3);
    for (unsigned i = 0; i < wide; i++) {
        both += f.ui->popup.lines[i].n == 2;
        for (unsigned c = 0; c < f.ui->popup.lines[i].n; c++)
            pieces += f.ui->popup.lines[i].pieces[c].row != UINT_MAX && !f.ui->popup.lines[i].pieces[c].from;
    }
    assert_true(both > wide / 2);
    assert_int_equal(pieces, f.ui->popup.n); /* each row once */
    ui_resize(f.ui, 24, 40);                 /* no word is lost, and what was below is reached */
    ui_draw(f.ui);
    for (unsigned row = 0; row < f.ui->popup.n; row++) {
        size_t shown = 0;
        for (unsigned i = 0; i < f.ui->popup.nlines; i++)
            if (f.ui->popup.lines[i].pieces[0].row == row) {
                const struct popup_piece *p = &f.ui->popup.lines[i].pieces[0];
                assert_true(p->from >= shown);
                for (; shown < p->from; shown++)
                    assert_int_equal(f.ui->popup.rows[row].right[shown], ' ');
                shown += p->n;
            }
        assert_int_equal(shown, strlen(f.ui->popup.rows[row].right));
    }
    fake_type(&f, "End");
    assert_int_equal(f.ui->popup.top + f.ui->popup.height, f.ui->popup.nlines);
    fake_close(&f);
}

static void test_palette_finds_and_teaches(void **state)
{
    (void)state;
    open_ui();
    fake_type(&f, "Esc-:");
    assert_int_equal(f.ui->prompt.kind, PROMPT_PICK);
    fake_type(&f, "t r a s h"); /* by what it does */
    assert_true(on_screen("move to the trash"));
    assert_true(on_screen(" d\n"));
    fake_type(&f, "Esc Esc-: a r c h i v Enter");
    fake_settle(&f);
    assert_int_equal(fake_last_intent.kind, INTENT_ARCHIVE);
    fake_type(&f, "Esc-: e c h Enter"); /* it needs a word */
    assert_int_equal(f.ui->prompt.kind, PROMPT_COMMAND);
    assert_string_equal(f.ui->prompt.edit.p, "echo ");
    fake_type(&f, "h i Enter");
    assert_true(on_screen("hi"));
    fake_type(&f, "Esc-: z z z q");
    assert_true(on_screen("no command is called so or does that"));
    fake_type(&f, "Esc");
    fake_close(&f);
}

static void test_every_command_survives_every_pane(void **state)
{
    (void)state;
    for (size_t i = 0; i < ui_lang.ncommands; i++) {
        for (unsigned pane = 0; pane < 3; pane++) {
            open_ui();
            if (pane == PANE_BOXES)
                fake_type(&f, "y");
            else if (pane == PANE_MESSAGE)
                fake_type(&f, "Enter");
            ui_run(f.ui, ui_lang.commands[i].name);
            fake_settle(&f);
            ui_draw(f.ui);
            ui_check(f.ui);
            fake_type(&f, "Esc x Esc");
            fake_close(&f);
        }
    }
}

static ckey monkey_key(uint32_t *seed)
{
    static const ckey named[] = {
        K_ENTER,     K_TAB,       K_BACKTAB,    K_ESC,         K_BACKSPACE, K_DELETE, K_UP,  K_DOWN,       K_LEFT,
        K_RIGHT,     K_HOME,      K_END,        K_PGUP,        K_PGDN,      K_ESC,    K_ESC, K_CTRL | 'g', K_CTRL | 'r',
        K_ALT | 'a', K_ALT | 'c', K_CTRL | 'w', K_PASTE_BEGIN, K_PASTE_END, 0x1f600,  0x301};
    *seed = *seed * 1664525u + 1013904223u;
    uint32_t r = *seed >> 8;
    return r % 3 == 0 ? named[r / 3 % COUNT(named)] : (ckey)(' ' + r / 3 % 95);
}

static void test_monkey(void **state)
{
    const char *more = getenv("TUIMAIL_MONKEY");
    unsigned steps = more ? (unsigned)strtoul(more, NULL, 10) : 3000;
    uint32_t seed = 20261122;
    (void)state;
    open_ui();
    for (unsigned i = 0; i < steps; i++) {
        ckey key = monkey_key(&seed);
        ui_key(f.ui, key);
        if (f.ui->popup.kind == POPUP_CONFIRM && (seed >> 5) % 2) /* nothing is opened or quit by chance */
            ui_key(f.ui, 'n');
        if ((seed >> 9) % 50 == 0)
            ui_resize(f.ui, 1 + (seed >> 3) % 60, 1 + (seed >> 13) % 200);
        if ((seed >> 9) % 40 == 1)
            fake_add(&fake_accounts[0], (struct fake_row){.box = 1,
                                                          .date = 1584000000 + (seed >> 12),
                                                          .name = "new\033",
                                                          .addr = "",
                                                          .to = "",
                                                          .subject = "more"});
        if ((seed >> 9) % 4 == 0)
            fake_settle(&f);
        ui_draw(f.ui);
        ui_check(f.ui);
        f.ui->quit = false;
    }
    fake_close(&f);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    setenv("TUIMAIL_LIBEXEC", "/nonexistent", 1);
    setenv("PATH", "/nonexistent", 1); /* what the monkey types into a shell finds nothing */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_archive_hides_at_once_and_says_so_when_safe),
        cmocka_unit_test(test_refused_action_comes_back),
        cmocka_unit_test(test_an_empty_list_says_what_next),
        cmocka_unit_test(test_held_key_acts_on_one_message_each),
        cmocka_unit_test(test_selection_is_one_intent_per_account),
        cmocka_unit_test(test_changes_of_local_accounts),
        cmocka_unit_test(test_status_says_what_fits),
        cmocka_unit_test(test_mailboxes_within_others),
        cmocka_unit_test(test_flags_toggle),
        cmocka_unit_test(test_read_all_is_of_the_pane),
        cmocka_unit_test(test_flags_of_a_selection),
        cmocka_unit_test(test_move_by_fuzzy_name),
        cmocka_unit_test(test_prompt_runs_commands_and_says_what_is_wrong),
        cmocka_unit_test(test_a_mailbox_has_an_order_of_its_own),
        cmocka_unit_test(test_a_command_is_typed_from_anywhere),
        cmocka_unit_test(test_esc_stops_one_thing_each_time),
        cmocka_unit_test(test_messages_that_come_while_they_are_read),
        cmocka_unit_test(test_paste_is_text_and_never_commands),
        cmocka_unit_test(test_secret_never_on_screen),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_store_that_ends_is_a_word),
        cmocka_unit_test(test_view_that_dies_costs_that_message),
        cmocka_unit_test(test_views_pile_up_and_come_off),
        cmocka_unit_test(test_pause_after_a_prefix_shows_what_follows),
        cmocka_unit_test(test_completion_describes_what_it_offers),
        cmocka_unit_test(test_hooks_at_events),
        cmocka_unit_test(test_values_in_words),
        cmocka_unit_test(test_macro_is_recorded_played_and_bound),
        cmocka_unit_test(test_password_is_not_recorded),
        cmocka_unit_test(test_what_keys_do),
        cmocka_unit_test(test_a_command_by_its_beginning),
        cmocka_unit_test(test_source_runs_any_command),
        cmocka_unit_test(test_answers_for_other_programs),
        cmocka_unit_test(test_default_keys_name_commands),
        cmocka_unit_test(test_help_is_the_tables),
        cmocka_unit_test(test_help_of_every_option_is_whole),
        cmocka_unit_test(test_help_has_the_order_of_the_table),
        cmocka_unit_test(test_help_by_the_width),
        cmocka_unit_test(test_palette_finds_and_teaches),
        cmocka_unit_test(test_every_command_survives_every_pane),
        cmocka_unit_test(test_monkey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
