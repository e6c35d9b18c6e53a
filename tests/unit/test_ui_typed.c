/* Keys typed ahead act on what they were typed for, or are dropped with a word; none acts on something else. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui/extra.h"
#include "ui_fake.h"

static struct fake_ui f;
static const char linked[] = "From: alice@example.org\nSubject: links\n\nsee https://example.org/one here\n"
                             "and https://example.org/two there\n";

static void open_ui(void)
{
    fake_mails();
    fake_open(&f, 24, 80, "set -a work from \"Bob Example <bob@example.org>\"\n");
    fake_hold = true;
}

/* Without a frame or an answer between them. */
static void fast(const char *keys)
{
    struct str rest = str_z(keys), word;
    ckey key;
    while (rest.n && str_split(&rest, ' ', &word))
        if (word.n && key_parse(word, &key))
            ui_key(f.ui, key);
    watch_free(&f.ui->typed.timer); /* on a slow machine too: typed_give_up says when it is late */
}

static bool on_screen(const char *words)
{
    return fake_shows(&f, words);
}

/* The body comes, and `view` has read it. */
static void arrive(const char *text)
{
    const char *before = fake_text;
    fake_text = text;
    fake_settle(&f); /* the request */
    fake_answer_open(&f);
    for (int i = 0; i < 500 && (f.ui->viewer || f.ui->open_req || ui_extra(f.ui)->load); i++) {
        loop_once(f.loop, 20);
        fake_settle(&f);
    }
    fake_text = before;
    fake_settle(&f);
    ui_draw(f.ui);
    ui_check(f.ui);
}

static char *long_text(void)
{
    struct buf b = BUF_INIT(1u << 16);
    buf_addz(&b, "Subject: long\n\n");
    for (int i = 0; i < 300; i++)
        buf_addf(&b, "line %d\n", i);
    return buf_take(&b, NULL);
}

/* Pages are turned when the message is here; it is not passed over. */
static void test_space_before_the_message(void **state)
{
    (void)state;
    open_ui();
    char *text = long_text();
    fast("j Enter Space Space J J K");
    struct ref opened = f.ui->message.ref;
    arrive(text);
    assert_int_equal(f.ui->message.state, MESSAGE_SHOWN);
    assert_true(ref_eq(f.ui->message.ref, opened));
    unsigned page = f.ui->layout.message.rows - 3;
    assert_int_equal(f.ui->message.top, 2 * page + 1);
    /* what was typed for one message is not done to the next */
    fast("j Space End");
    fast("j");
    arrive(text);
    assert_int_equal(f.ui->message.top, 0);
    fast("j End"); /* in the message: its end */
    arrive(text);
    assert_true(f.ui->message.top > 200);
    free(text);
    fake_close(&f);
}

/* `o b` opens the second link, although the letters are typed before any is known; b is not `bounce`. */
static void test_links_before_the_message(void **state)
{
    (void)state;
    open_ui();
    fast("j Enter o b");
    assert_int_equal(f.ui->popup.kind, POPUP_NONE);
    assert_int_equal(f.ui->prompt.kind, PROMPT_NONE);
    arrive(linked);
    assert_int_equal(f.ui->popup.kind, POPUP_CONFIRM);
    assert_true(on_screen("https://example.org/two"));
    fake_type(&f, "n");
    fake_close(&f);
}

static void test_what_does_not_come_is_told(void **state)
{
    (void)state;
    open_ui();
    fast("j Enter o a d");
    fake_settle(&f);
    assert_int_equal(f.ui->typed.n, 3);
    typed_give_up(f.ui); /* as after two seconds */
    assert_int_equal(f.ui->typed.n, 0);
    assert_true(on_screen("3 keys typed before the message was there: dropped"));
    assert_int_equal(fake_intents(), 0);
    fast("o"); /* from now on it is said at once */
    assert_true(on_screen("the message is not here yet"));
    fast("d"); /* and other keys act */
    fake_settle(&f);
    assert_int_equal(fake_intents(), 1);
    fake_close(&f);
}

static void test_escape_ends_the_waiting(void **state)
{
    (void)state;
    open_ui();
    fast("j Enter o a d Esc");
    assert_int_equal(f.ui->typed.n, 0);
    fast("d");
    fake_settle(&f);
    assert_int_equal(fake_intents(), 1);
    fake_close(&f);
}

/* `v` and what is typed for the list of parts. */
static void test_parts_before_they_are_listed(void **state)
{
    (void)state;
    open_ui();
    fast("j v j j q d"); /* q closes the list of parts, d is for the list of messages again */
    fake_settle(&f);
    assert_int_equal(fake_intents(), 0);
    assert_non_null(ui_extra(f.ui)->load);
    struct ref row = ui_row(f.ui)->ref;
    arrive(linked);
    fake_settle(&f);
    assert_null(ui_extra(f.ui)->parts);
    assert_int_equal(fake_intents(), 1);
    assert_int_equal(fake_find(&fake_accounts[row.account], row.id)->box, 4);
    fake_close(&f);
}

/* A mail on its way to the outbox: what follows is for the list behind it. */
static void test_keys_after_a_mail_was_postponed(void **state)
{
    (void)state;
    open_ui();
    assert_true(ui_run(f.ui, "compose bob@example.org"));
    fast("q j d"); /* postpone; this account has no Drafts: the draft stays a file */
    for (int i = 0; i < 500 && f.ui->nbuffers > 1; i++) {
        loop_once(f.loop, 20);
        fake_settle(&f);
    }
    assert_int_equal(f.ui->nbuffers, 1);
    struct ref second = f.ui->stack[0]->rows[1].ref;
    ui_draw(f.ui);
    fake_settle(&f);
    assert_int_equal(fake_intents(), 1);
    assert_int_equal(fake_find(&fake_accounts[second.account], second.id)->box, 4);
    fake_close(&f);
}

/* Hits of the limit that was typed; the ones of another one are not acted on. */
static void test_keys_after_a_limit(void **state)
{
    (void)state;
    open_ui();
    ui_search(f.ui, "nothing:here", true, false); /* the index of this test cannot be read: it ends, with an error */
    fast("d d");
    assert_int_equal(fake_intents(), 0);
    for (int i = 0; i < 500 && f.ui->search; i++) {
        loop_once(f.loop, 20);
        fake_settle(&f);
    }
    ui_draw(f.ui);
    fake_settle(&f);
    assert_int_equal(fake_intents(), 0); /* there was nothing to delete */
    assert_int_equal(f.ui->typed.n, 0);
    fake_close(&f);
}

static void test_a_password_waits_for_silence(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    open_ui();
    fast("j");
    SEND(f.store, -1, &err, SECRET_WANTED, .account = STR("work"), .service = SERVICE_INCOMING);
    fake_settle(&f);
    assert_int_equal(f.ui->prompt.kind, PROMPT_NONE); /* the next key is still for the list */
    for (int i = 0; i < 500 && f.ui->prompt.kind == PROMPT_NONE; i++)
        loop_once(f.loop, 20);
    assert_int_equal(f.ui->prompt.kind, PROMPT_SECRET);
    fake_close(&f);
}

static void test_fetch_while_connecting(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    open_ui();
    SEND(f.store, -1, &err, ACCOUNT, .account = STR("work"), .state = ACCOUNT_CONNECTING);
    fake_settle(&f);
    fast("G");
    assert_true(on_screen("work is connecting: it is asked for new mail when it is connected"));
    SEND(f.store, -1, &err, ACCOUNT, .account = STR("work"), .state = ACCOUNT_ONLINE);
    fake_settle(&f);
    fast("G");
    assert_true(on_screen("looking for new mail"));
    fake_close(&f);
}

/* ---- questions that come by themselves ---- */
static void answered(struct ui *ui, void *arg, bool yes)
{
    (void)ui;
    *(int *)arg = yes ? 1 : -1;
}

/* The scripts are asked for, and the program ends before they come. */
static void test_the_end_while_scripts_are_asked_for(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    fake_mails();
    fake_open(&f, 24, 80, "set -a work sieve sieve://localhost:4190\n");
    assert_true(ui_run_text(f.ui, "sieve work", &err));
    assert_true(f.ui->nrequests > 0);
    fake_close(&f);
}

/* On a small screen too a question stands there to its end, cut between words, before y agrees to it. */
static void test_a_question_is_seen_whole(void **state)
{
    int said = 0;
    (void)state;
    fake_mails();
    fake_open(&f, 10, 40, "set -a work from \"Bob Example <bob@example.org>\"\n");
    ui_confirm(f.ui, "Delete a mailbox of a name that is rather long with 1000 messages, for good?",
               "one word after the other until the end of this line\n2\n3\n4\n5\nlast line", answered, &said);
    assert_true(on_screen("with 1000 messages,\n     for good?\n"));
    assert_true(on_screen("     one word after the other until the\n"));
    fake_type(&f, "y"); /* what does not fit comes first */
    assert_int_equal(said, 0);
    assert_true(on_screen("last line"));
    fake_type(&f, "y");
    assert_int_equal(said, 1);
    fake_close(&f);
}

static void test_questions_wait(void **state)
{
    int first = 0, second = 0;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 80, "");
    fake_type(&f, ":");
    ui_confirm(f.ui, "First?", "", answered, &first); /* while something is typed */
    ui_confirm(f.ui, "Second?", "", answered, &second);
    fake_type(&f, "y n");
    assert_int_equal(f.ui->popup.kind, POPUP_NONE);
    assert_int_equal(f.ui->prompt.edit.n, 2);
    fake_type(&f, "Esc"); /* the prompt's: no answer either */
    assert_int_equal(first, 0);
    assert_true(fake_shows(&f, "First?"));
    fake_type(&f, "y");
    assert_int_equal(first, 1);
    assert_int_equal(second, 0);
    assert_true(fake_shows(&f, "Second?"));
    fake_type(&f, "n");
    assert_int_equal(second, -1);
    /* while keys come one after the other: j is no answer, and comes to the list */
    ui_key(f.ui, 'j');
    ui_key(f.ui, 'j');
    struct ref at = ui_row(f.ui)->ref;
    ui_confirm(f.ui, "First?", "", answered, &first);
    ui_draw(f.ui);
    assert_int_equal(f.ui->popup.kind, POPUP_NONE);
    ui_key(f.ui, 'j');
    ui_draw(f.ui);
    assert_int_equal(first, 1);
    assert_false(ref_eq(ui_row(f.ui)->ref, at));
    for (unsigned i = 0; i < 500 && f.ui->popup.kind == POPUP_NONE; i++) { /* then nobody types */
        loop_once(f.ui->loop, 20);
        ui_draw(f.ui);
    }
    assert_true(fake_shows(&f, "First?"));
    fake_type(&f, "n");
    assert_int_equal(first, -1);
    /* one key, and its question: at once */
    f.ui->key_ms = 0;
    ui_key(f.ui, 'j');
    ui_confirm(f.ui, "First?", "", answered, &first);
    assert_true(fake_shows(&f, "First?"));
    fake_type(&f, "y");
    /* what a question is about is not taken for the next command */
    struct refs refs = {.n = 0};
    refs_add(&refs, ui_row(f.ui)->ref);
    fake_type(&f, ":");
    ui_scope_set(f.ui, &refs);
    ui_confirm(f.ui, "First?", "", answered, &first);
    assert_false(f.ui->scope.on);
    fake_type(&f, "Esc");
    assert_true(f.ui->scope.on);
    fake_type(&f, "n");
    assert_false(f.ui->scope.on);
    /* a buffer that is closed takes its questions with it */
    fake_type(&f, "C-w n :");
    first = 0;
    ui_confirm(f.ui, "First?", "", answered, &first);
    fake_type(&f, "Esc n C-w c"); /* shown and answered */
    assert_int_equal(first, -1);
    fake_close(&f);
}

/* What a hook or another program would ask does not take the line in which something is typed. */
static void test_a_prompt_keeps_its_line(void **state)
{
    static const char *const asks[] = {"limit", "search", "prompt set", "change", "palette", "add-alias", "edit-start"};
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 80, "");
    fake_type(&f, "l h e l");
    struct prompt *p = &f.ui->prompt;
    for (size_t i = 0; i < COUNT(asks); i++) {
        f.ui->status[0] = 0;
        ui_run(f.ui, asks[i]);
        ui_draw(f.ui);
        assert_string_equal(p->label, "limit: ");
        assert_string_equal(p->edit.p, "hel");
        if (!strstr(f.ui->status, "not asked, as a prompt is open") != !strcmp(asks[i], "edit-start"))
            fail_msg("%s: \"%s\"", asks[i], f.ui->status);
    }
    fake_type(&f, "x");
    assert_string_equal(p->edit.p, "xhel");
    fake_type(&f, "Esc");
    ui_run(f.ui, "snooze");
    assert_int_equal(p->kind, PROMPT_ASK); /* the line is free */
    fake_type(&f, "Esc");
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space_before_the_message),     cmocka_unit_test(test_links_before_the_message),
        cmocka_unit_test(test_what_does_not_come_is_told),   cmocka_unit_test(test_escape_ends_the_waiting),
        cmocka_unit_test(test_parts_before_they_are_listed), cmocka_unit_test(test_keys_after_a_mail_was_postponed),
        cmocka_unit_test(test_keys_after_a_limit),           cmocka_unit_test(test_a_password_waits_for_silence),
        cmocka_unit_test(test_fetch_while_connecting),       cmocka_unit_test(test_questions_wait),
        cmocka_unit_test(test_a_question_is_seen_whole),     cmocka_unit_test(test_the_end_while_scripts_are_asked_for),
        cmocka_unit_test(test_a_prompt_keeps_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
