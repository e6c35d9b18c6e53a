/* The list of jobs: what is under way, how far, how fast; and what ending one does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui/extra.h"
#include "ui_fake.h"

static struct fake_ui f;

static bool on_screen(const char *words)
{
    return fake_shows(&f, words);
}

static void tell(uint32_t req, const char *account, uint64_t done, uint64_t total, const char *text)
{
    struct err err = ERR_INIT;
    SEND(f.store, -1, &err, PROGRESS, .req = req, .account = str_z(account), .done = done, .total = total,
         .text = str_z(text));
    fake_settle(&f);
}

/* Three messages on their way in two buffers, and a maildrop. */
static void open_jobs(unsigned rows, unsigned cols)
{
    fake_mails();
    fake_open(&f, rows, cols, NULL);
    fake_hold = true;
    fake_type(&f, "j Enter");
    tell(f.ui->open_req, "", 1500000, 8000000, "");
    assert_true(ui_run(f.ui, "new-buffer"));
    fake_type(&f, "j j j Enter");
    tell(f.ui->open_req, "", 100, 200, "");
    assert_true(ui_run(f.ui, "parts"));
    tell(0, "home", 4096, 8192, "12 of 40 messages");
    f.ui->typed.given_up = true; /* the keys are for the list of jobs */
    assert_true(ui_run(f.ui, "jobs"));
    fake_settle(&f);
}

static void test_jobs_are_listed(void **state)
{
    (void)state;
    open_jobs(24, 80);
    assert_true(on_screen("buffer 1  opening \"[patch 2/3] net: bound the literal\" 1.4 MB of 7.6 MB"));
    assert_true(on_screen("buffer 2  opening \"Fwd: slides\" 100 B of 200 B"));
    assert_true(on_screen("buffer 2  reading a message for its parts"));
    assert_true(on_screen("home      12 of 40 messages"));
    assert_true(on_screen("home      2 changes to be made in the Maildir"));
    tell(f.ui->open_req, "", 200, 200, ""); /* what is told while they are listed */
    assert_true(on_screen("200 B of 200 B"));
    fake_type(&f, "q");
    assert_int_equal(f.ui->popup.kind, POPUP_NONE);
    assert_int_equal(f.ui->nbuffers, 2);
    fake_close(&f);
}

static void test_one_is_stopped_and_the_others_go_on(void **state)
{
    (void)state;
    open_jobs(24, 80);
    unsigned canceled = fake_cancels;
    fake_type(&f, "d"); /* of the buffer that is not shown */
    assert_int_equal(fake_cancels, canceled + 1);
    assert_true(f.ui->open_req != 0);
    assert_true(on_screen("opening \"Fwd: slides\""));
    fake_type(&f, "j d"); /* that for the parts */
    assert_int_equal(fake_cancels, canceled + 2);
    assert_null(ui_extra(f.ui)->load);
    assert_true(f.ui->open_req != 0);
    fake_type(&f, "q <");
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    fake_close(&f);
}

/* A key already pressed is for the job that it was on, though others end meanwhile. */
static void test_the_cursor_stays_on_its_job(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    open_jobs(24, 80);
    fake_type(&f, "j j"); /* for its parts */
    SEND(f.store, -1, &err, REFUSED, .req = f.ui->open_req, .kind = ERR_SERVER_NO, .text = STR("no"));
    fake_settle(&f);
    fake_type(&f, "d");
    assert_null(ui_extra(f.ui)->load);
    assert_true(on_screen("buffer 1  opening"));
    fake_close(&f);
}

/* More messages than go to the store at once: the rest goes as these are answered, and can be left. */
static void act_on_many(void)
{
    enum { N = 20000 };
    struct refs refs = {.n = 0};
    f.ui->deed = 0; /* as by a key */
    for (unsigned i = 0; i < N; i++)
        refs_add(&refs, (struct ref){0, i + 1});
    ui_act_on(f.ui, &refs, &(struct action){.kind = INTENT_TAGS, .verb = "tagged", .where = "+done", .arg = "+done"},
              false);
}

static void test_a_long_action(void **state)
{
    (void)state;
    fake_mails();
    fake_open(&f, 24, 100, NULL);
    unsigned before = fake_intents();
    act_on_many();
    fake_settle(&f);
    assert_int_equal(fake_intents(), before + 5);
    assert_true(on_screen("tagged 20000 messages +done"));
    assert_int_equal(f.ui->nundo, 1);
    uint64_t deed = f.ui->undo_deed;
    act_on_many();
    assert_true(ui_run(f.ui, "jobs"));
    assert_true(on_screen("tagged +done: 16000 of 20000 messages"));
    fake_type(&f, "d");
    assert_int_equal(fake_intents(), before + 5 + 4);
    fake_type(&f, "q");
    assert_true(on_screen("tagged 16000 messages +done · stopped, 4000 were left as they are"));
    assert_int_not_equal(f.ui->undo_deed, deed);
    /* undo stops it first */
    act_on_many();
    assert_true(ui_run(f.ui, "undo"));
    fake_settle(&f);
    assert_true(on_screen("stopped, 4000 were left"));
    assert_int_equal(f.ui->nundo, 3);
    act_on_many();
    ui_undo_step(f.ui, 0, 5); /* meanwhile */
    fake_settle(&f);
    assert_int_equal(f.ui->nundo, 5);
    fake_close(&f);
}

/* What `tuimail export` or `import` is at, beside the screen. */
static void test_jobs_of_other_clients(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    fake_mails();
    fake_open(&f, 24, 80, NULL);
    SEND(f.store, -1, &err, JOB, .job = 7, .done = 30, .total = 120, .text = STR("tuimail export: exported"));
    SEND(f.store, -1, &err, JOB, .job = 9, .done = 5, .text = STR("tuimail import: \033[2Jx"));
    SEND(f.store, -1, &err, JOB, .job = 7, .done = 60, .total = 120, .text = STR("tuimail export: exported"));
    fake_settle(&f);
    assert_true(ui_run(f.ui, "jobs"));
    assert_true(on_screen("tuimail export: exported 60 of 120 · 50 %"));
    assert_true(on_screen("tuimail import: "));
    for (unsigned i = 0; i < f.ui->popup.n; i++)
        if (f.ui->popup.rows[i].id == 7)
            f.ui->popup.cur = i;
    fake_type(&f, "d");
    assert_true(on_screen("it is asked to stop"));
    assert_int_equal(fake_job_stops, 7);
    SEND(f.store, -1, &err, JOB, .job = 7);
    SEND(f.store, -1, &err, JOB, .job = 9);
    SEND(f.store, -1, &err, JOB, .job = 11); /* one that was never told */
    for (uint32_t i = 100; i < 200; i++)
        SEND(f.store, -1, &err, JOB, .job = i, .done = 1, .total = 1, .text = STR("x"));
    for (uint32_t i = 100; i < 200; i++)
        SEND(f.store, -1, &err, JOB, .job = i);
    fake_settle(&f);
    assert_int_equal(f.ui->ntold_jobs, 0);
    fake_close(&f);
}

static void test_nothing_is_a_job(void **state)
{
    (void)state;
    fake_mails();
    fake_open(&f, 24, 80, NULL);
    struct err err = ERR_INIT;
    SEND(f.store, -1, &err, ACCOUNT, .account = STR("home"), .state = ACCOUNT_ONLINE);
    fake_settle(&f);
    fake_type(&f, "C-w J");
    assert_true(on_screen("nothing is under way"));
    fake_type(&f, "d d k j"); /* it stays, and ends nothing */
    assert_int_equal(f.ui->popup.kind, POPUP_JOBS);
    SEND(f.store, -1, &err, ACCOUNT, .account = STR("work"), .state = ACCOUNT_CONNECTING);
    fake_settle(&f);
    assert_true(on_screen("work  connecting"));
    fake_type(&f, "d");
    assert_true(f.ui->accts.list[0].offline);
    assert_true(on_screen("work is offline"));
    fake_close(&f);
}

static void test_pictures(void **state)
{
    static const struct {
        unsigned rows, cols;
        const char *name;
    } sizes[] = {{24, 80, "jobs-80x24"}, {40, 120, "jobs-120x40"}, {60, 200, "jobs-200x60"}, {10, 40, "jobs-40x10"}};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        open_jobs(sizes[i].rows, sizes[i].cols);
        f.ui->opened_ms = clock_mono_ms(); /* no rates: they are of the clock */
        f.ui->buffers[0]->aside.opened_ms = clock_mono_ms();
        f.ui->accts.list[1].pass_ms = clock_mono_ms();
        f.ui->progress[0] = f.ui->progress_next[0] = 0;
        f.ui->fetching = 0;
        watch_free(&f.ui->progress_timer);
        fake_golden(&f, sizes[i].name);
        fake_close(&f);
    }
}

static void test_how_fast(void **state)
{
    struct buf b = BUF_INIT(200);
    (void)state;
    amount_words(5u << 20, 10u << 20, clock_mono_ms() - 5000, &b);
    assert_string_equal(buf_z(&b), "5.0 MB of 10 MB · 1.0 MB/s");
    buf_reset(&b);
    amount_words(100, 0, clock_mono_ms(), &b); /* too soon to tell */
    assert_string_equal(buf_z(&b), "");
    amount_words(0, 2000, clock_mono_ms() - 5000, &b);
    assert_string_equal(buf_z(&b), "0 B of 2.0 KB");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_are_listed),
        cmocka_unit_test(test_one_is_stopped_and_the_others_go_on),
        cmocka_unit_test(test_the_cursor_stays_on_its_job),
        cmocka_unit_test(test_jobs_of_other_clients),
        cmocka_unit_test(test_a_long_action),
        cmocka_unit_test(test_nothing_is_a_job),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_how_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
