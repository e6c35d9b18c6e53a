/* The terminal goes away, and the next start goes on: what was on the screen is there again. And what the terminal
 * tells beside keys: the mouse, and whether anybody looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "ui_fake.h"

static char *picture(struct fake_ui *f)
{
    struct buf out = BUF_INIT(1u << 20);
    fake_settle(f);
    ui_draw(f->ui);
    ui_check(f->ui);
    grid_print(&f->ui->grid, false, &out);
    return buf_take(&out, NULL);
}

/* Another tuimail on the same store, as after a lost line. */
static void start_again(struct fake_ui *f)
{
    struct ui_start start = {.conf = f->conf, .root = f->root, .config = ""};
    ui_free(&f->ui);
    f->ui = ui_new(&start, f->loop, &f->client, NULL);
    ui_resize(f->ui, 24, 100);
    struct err err = ERR_INIT;
    SEND(f->store, -1, &err, ACCOUNT, .account = STR("work"), .state = ACCOUNT_ONLINE);
    SEND(f->store, -1, &err, ACCOUNT, .account = STR("home"), .state = ACCOUNT_OFFLINE, .queued = 2);
    fake_settle(f);
    ui_draw(f->ui);
}

static bool has_session(struct fake_ui *f)
{
    struct stat st;
    (void)f;
    return stat("session", &st) == 0 && (st.st_mode & 0777) == 0600; /* in the store's root, ours alone */
}

static void test_goes_on(void **state)
{
    struct fake_ui f;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "");
    assert_null(f.ui->session);
    ui_run(f.ui, "resume");
    assert_non_null(strstr(f.ui->status, "nothing to go on with"));
    ui_run(f.ui, "change work/INBOX");
    fake_type(&f, "j j j");
    ui_run(f.ui, "select");
    fake_type(&f, "j");
    ui_run(f.ui, "new-buffer");
    ui_run(f.ui, "go inbox");
    ui_run(f.ui, "filter unread");
    fake_type(&f, "j j");
    ui_run(f.ui, "compose carol@example.org");
    assert_int_equal(f.ui->nbuffers, 3);
    ui_run(f.ui, "buffer 2");
    fake_type(&f, ": e c h o Space x");
    struct ref cursor = ui_row(f.ui)->ref;
    ui_session_save(f.ui);
    fake_type(&f, "Esc");
    f.ui->status[0] = '\0';
    char *before = picture(&f);
    assert_true(has_session(&f));

    start_again(&f);
    assert_non_null(f.ui->session);
    assert_non_null(strstr(f.ui->status, "the terminal went away at "));
    assert_non_null(strstr(f.ui->status, "R goes on there"));
    assert_int_equal(f.ui->nbuffers, 1);
    fake_type(&f, ": Up"); /* the half command */
    assert_string_equal(f.ui->prompt.edit.p, "echo x");
    fake_type(&f, "Esc R");
    f.ui->status[0] = '\0';
    char *after = picture(&f);
    assert_string_equal(before, after);
    free(before);
    free(after);
    assert_int_equal(f.ui->nbuffers, 3);
    assert_true(ref_eq(ui_row(f.ui)->ref, cursor));
    assert_int_equal(ui_list(f.ui)->filter, LIST_UNREAD);
    ui_run(f.ui, "buffer 3");
    struct buf words = BUF_INIT(1000);
    buffer_words(f.ui, &words);
    assert_non_null(strstr(buf_z(&words), "writing:"));
    assert_non_null(strstr(buf_z(&words), "carol@example.org"));
    buf_fini(&words);
    ui_run(f.ui, "buffer 1");
    assert_int_equal(ui_list(f.ui)->source, LIST_BOX);
    assert_int_equal(f.ui->selection.n, 1);
    assert_false(has_session(&f)); /* once */
    fake_close(&f);
}

/* What is offered stays so, whatever is done before it is taken up. */
static void test_work_before_going_on(void **state)
{
    struct fake_ui f;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "");
    ui_run(f.ui, "change work/INBOX");
    ui_session_save(f.ui);
    start_again(&f);
    assert_int_equal(ui_list(f.ui)->source, LIST_INBOXES);
    fake_type(&f, "F j F j F .");
    free(picture(&f));
    assert_non_null(f.ui->session);
    fake_type(&f, "R");
    free(picture(&f));
    assert_int_equal(ui_list(f.ui)->source, LIST_BOX);
    fake_close(&f);
}

/* ---- a message of a list of hits ---- */
static char *long_text(void)
{
    struct buf b = BUF_INIT(1u << 16);
    buf_addz(&b, "From: alice@example.org\nSubject: long\n\n");
    for (int i = 0; i < 300; i++)
        buf_addf(&b, "line %d of what was read\n", i);
    return buf_take(&b, NULL);
}

static void read_out(struct fake_ui *f)
{
    for (int i = 0; i < 1000 && (f->ui->viewer || f->ui->open_req); i++) {
        loop_once(f->loop, 10);
        fake_settle(f);
    }
    free(picture(f));
}

/* Hits come from row `from` on. */
static void hits_come(struct fake_ui *f, size_t from, size_t to, bool last)
{
    struct list *l = ui_list(f->ui);
    for (size_t i = 0; i < to; i++) {
        const struct fake_row *row = &fake_accounts[0].rows[i];
        if (i >= from)
            list_add_hit(l, HITS_INDEX, &(struct hit){.ref = {0, row->id}, .date = row->date});
    }
    if (last)
        list_hits_end(l, HITS_INDEX);
    free(picture(f));
}

static void resume(struct fake_ui *f)
{
    start_again(f);
    ui_run(f->ui, "resume");
    ui_search_end(f->ui); /* the test says what it finds */
    free(picture(f));
}

static void test_goes_on_in_hits(void **state)
{
    struct fake_ui f;
    char *text = long_text();
    (void)state;
    fake_mails();
    fake_open(&f, 24, 100, "");
    fake_body = true;
    fake_text = text;
    ui_run(f.ui, "search budget");
    ui_search_end(f.ui);
    hits_come(&f, 0, 40, true);
    for (unsigned i = 0; i < 20; i++)
        fake_type(&f, "j");
    fake_type(&f, "Enter");
    read_out(&f);
    fake_type(&f, "Space Space J");
    struct ref ref = ui_row(f.ui)->ref;
    size_t top = f.ui->message.top;
    assert_true(top > 10 && ref_eq(f.ui->message.ref, ref));
    ui_session_save(f.ui);

    /* what was read is open at its place when it is found again */
    resume(&f);
    assert_int_equal(ui_list(f.ui)->source, LIST_HITS);
    hits_come(&f, 0, 10, false);
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    ui_session_save(f.ui); /* and away again, before that */
    resume(&f);
    hits_come(&f, 0, 10, false);
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    assert_int_equal(ui_list(f.ui)->cur, 0);
    hits_come(&f, 0, 40, false);
    assert_true(ref_eq(ui_row(f.ui)->ref, ref));
    assert_int_equal(f.ui->message.state, MESSAGE_WAITING);
    read_out(&f);
    assert_true(ref_eq(f.ui->message.ref, ref));
    assert_int_equal(f.ui->message.top, top);
    ui_session_save(f.ui);

    /* narrower: the same text is at the top */
    resume(&f);
    ui_resize(f.ui, 24, 60);
    hits_come(&f, 0, 40, true);
    read_out(&f);
    struct message_spot spot = message_spot(&f.ui->message);
    ui_resize(f.ui, 24, 100);
    free(picture(&f));
    struct message_spot wide = message_spot(&f.ui->message);
    assert_int_equal(spot.item, wide.item);
    assert_int_equal(f.ui->message.top, top);
    ui_session_save(f.ui);

    /* a key comes first */
    resume(&f);
    hits_come(&f, 0, 10, false);
    fake_type(&f, "j");
    struct ref there = ui_row(f.ui)->ref;
    hits_come(&f, 0, 40, true);
    assert_true(ref_eq(ui_row(f.ui)->ref, there));
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    ui_run(f.ui, "open");
    read_out(&f);
    ui_session_save(f.ui);

    /* it is not found any more */
    resume(&f);
    hits_come(&f, 20, 40, true);
    assert_int_equal(ui_list(f.ui)->cur, 0);
    assert_int_equal(ui_list(f.ui)->stay, STAY_NEWEST);
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    fake_body = false;
    fake_text = "Subject: x\n\nx\n";
    free(text);
    fake_close(&f);
}

/* Each list as it was: its order, by threads or not, its days, what of it is folded. */
static void test_goes_on_as_it_was_listed(void **state)
{
    static const char *const views[] = {"sort reverse-from",
                                        "threads on; fold",
                                        "fold-all",
                                        "conversations on",
                                        "sort reverse-date; group day; fold-day",
                                        "sort arrival; group day; fold-days"};
    (void)state;
    for (size_t i = 0; i < COUNT(views); i++) {
        struct fake_ui f;
        fake_reset();
        fake_mails();
        fake_open(&f, 24, 100, i == 2 ? "set list-view threads\n" : "");
        ui_run(f.ui, "change work/INBOX");
        fake_type(&f, "j j j j");
        ui_run(f.ui, views[i]);
        ui_run(f.ui, "new-buffer");
        ui_run(f.ui, "go inbox");
        ui_run(f.ui, "buffer 1");
        f.ui->status[0] = '\0';
        char *before = picture(&f);
        ui_session_save(f.ui);
        start_again(&f);
        ui_run(f.ui, "resume");
        f.ui->status[0] = '\0';
        char *after = picture(&f);
        assert_string_equal(after, before);
        free(before);
        free(after);
        fake_close(&f);
    }
}

/* A hit of the user's own database, which no account has, is known by its Message-ID. */
static void test_goes_on_at_a_mail_of_no_account(void **state)
{
    struct fake_ui f;
    struct err err = ERR_INIT;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "");
    assert_true(fs_write_atomic("own.eml", 0600, STR("From: a@example.org\nSubject: own\n\ntext\n"), &err));
    char *dir = getcwd(NULL, 0), *path = path_join(dir, "own.eml");
    for (unsigned round = 0; round < 3; round++) {
        if (round)
            resume(&f);
        else
            ui_run(f.ui, "search budget"), ui_search_end(f.ui);
        if (round == 2)
            assert_int_equal(f.ui->message.state, MESSAGE_NONE);
        for (unsigned i = 0; i < 9; i++) {
            char msgid[40];
            snprintf(msgid, sizeof msgid, "own%u@example.org", i);
            list_add_hit(ui_list(f.ui), HITS_INDEX,
                         &(struct hit){.msgid = str_z(msgid), .path = str_z(path), .date = 1000 + i});
        }
        list_hits_end(ui_list(f.ui), HITS_INDEX);
        free(picture(&f));
        if (!round)
            fake_type(&f, "j j j Enter");
        assert_true(str_eqz(ui_row(f.ui)->msgid, "own5@example.org"));
        assert_int_not_equal(f.ui->message.state, MESSAGE_NONE);
        ui_session_save(f.ui);
    }
    free(dir);
    free(path);
    fake_close(&f);
}

/* A file that is damaged, or of another time, takes along what it can and breaks nothing. */
static void test_strange_files(void **state)
{
    static const char *const texts[] = {
        "",
        "left\n",
        "left x y z\n",
        "nonsense\n",
        "left 5 \"somewhere\n",
        "\x01\xff\xfe",
        "left 99999999999999999999 \"a\033]0;b\007c\"\nbox nowhere INBOX\nbox work \"No such\"\nat work 999999\nat "
        "nobody 1\n"
        "at work -1\nopen\nopen 4294967295 4294967295 x\nopen 1 2 99999999999999\nselected work 0\nselected work "
        "99999999999999999999999\ndraft ../../etc/passwd\ndraft .x\n"
        "view x y\nview date tagfdxxx\nturned work 999\nturned-day x\nat work 0 \"\"\n"
        "draft gone.draft\nfilter x\nshown\nshown\nrun \"touch owned\"\nbuffer x\nbuffer\n",
    };
    struct fake_ui f;
    struct err err = ERR_INIT;
    struct stat st;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "");
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(fs_write_atomic("session", 0600, str_z(texts[i]), &err));
        start_again(&f);
        fake_type(&f, "R");
        free(picture(&f));
        fake_type(&f, "Esc j");
        free(picture(&f));
    }
    assert_int_not_equal(stat("owned", &st), 0);
    struct buf many = BUF_INIT(1u << 20); /* more buffers than there may be */
    buf_addz(&many, "left 5 there\n");
    for (unsigned i = 0; i < 1000; i++)
        buf_addz(&many, "buffer\ninboxes\nsearch x\nlimit y\n");
    assert_true(fs_write_atomic("session", 0600, buf_str(&many), &err));
    buf_fini(&many);
    start_again(&f);
    fake_type(&f, "R");
    free(picture(&f));
    assert_true(f.ui->nbuffers <= BUFFERS_MAX);
    fake_close(&f);
}

/* ---- the mouse ---- */
static void click(struct fake_ui *f, unsigned y, unsigned x)
{
    ui_mouse(f->ui, &(struct mouse){y, x, MOUSE_PRESS});
    fake_settle(f);
    ui_draw(f->ui);
    ui_check(f->ui);
}

static void turn(struct fake_ui *f, unsigned y, unsigned x, bool down)
{
    ui_mouse(f->ui, &(struct mouse){y, x, down ? MOUSE_WHEEL_DOWN : MOUSE_WHEEL_UP});
    fake_settle(f);
    ui_draw(f->ui);
    ui_check(f->ui);
}

static void test_mouse(void **state)
{
    struct fake_ui f;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "set mouse yes\n");
    struct rect list = f.ui->layout.list;
    click(&f, list.y + 4, list.x + 3);
    assert_int_equal(ui_list(f.ui)->cur - ui_list(f.ui)->top, 3);
    assert_int_equal(f.ui->message.state, MESSAGE_NONE);
    turn(&f, list.y + 4, list.x, true);
    assert_int_equal(ui_list(f.ui)->cur - ui_list(f.ui)->top, 4);
    turn(&f, list.y + 4, list.x, false);
    click(&f, list.y + 4, list.x + 3); /* once more: opens */
    assert_int_not_equal(f.ui->message.state, MESSAGE_NONE);
    assert_int_equal(f.ui->focus, PANE_MESSAGE);
    fake_type(&f, "q");
    click(&f, list.y, list.x); /* the title, the rule, the status line: nothing */
    click(&f, 10, f.ui->layout.rule_x);
    click(&f, 23, 5);
    assert_int_equal(ui_list(f.ui)->cur - ui_list(f.ui)->top, 3);
    for (unsigned i = 0; i < f.ui->boxes.n; i++) /* a mailbox */
        if (f.ui->boxes.list[i].role == BOX_ARCHIVE && f.ui->boxes.list[i].kind == BOXK_BOX) {
            click(&f, i - f.ui->boxes.top, 4);
            assert_int_equal(ui_list(f.ui)->source, LIST_BOX);
            assert_int_equal(ui_list(f.ui)->box, f.ui->boxes.list[i].id);
            break;
        }
    ui_run(f.ui, "help"); /* the wheel turns pages, a press above does nothing bad */
    ui_draw(f.ui);
    turn(&f, 5, 5, true);
    click(&f, 5, 5);
    fake_type(&f, "q");
    fake_type(&f, ":"); /* what is typed is left alone */
    click(&f, list.y + 2, list.x + 3);
    assert_int_equal(f.ui->prompt.kind, PROMPT_COMMAND);
    fake_type(&f, "Esc");
    ui_run(f.ui, "new-buffer"); /* a row of a list that has a cursor */
    ui_run(f.ui, "buffers");
    ui_draw(f.ui);
    assert_int_equal(f.ui->popup.cur, 1);
    click(&f, f.ui->layout.status.y - 2, 4);
    assert_int_equal(f.ui->popup.kind, POPUP_BUFFERS);
    assert_int_equal(f.ui->popup.cur, 0);
    fake_type(&f, "q c"); /* and the wheel goes through those that are to be picked */
    turn(&f, list.y + 2, list.x, true);
    assert_int_equal(f.ui->prompt.cur, 1);
    turn(&f, list.y + 2, list.x, false);
    assert_int_equal(f.ui->prompt.cur, 0);
    fake_type(&f, "Esc");
    ui_run(f.ui, "close-buffer");
    unsigned seed = 3; /* anywhere, in any state */
    static const char *const keys[] = {":", "Esc", "?", "q", "c", "Enter", "Space", "g",
                                       "m", "j",   "d", "X", "n", "t",     "R"};
    for (unsigned i = 0; i < 800; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned r = seed >> 16;
        if (r % 3 == 0) {
            fake_type(&f, keys[r / 3 % COUNT(keys)]);
        } else {
            ui_mouse(f.ui, &(struct mouse){r % 31, r / 31 % 120, r / 7 % 3});
            if (f.ui->quit)
                f.ui->quit = false;
            fake_settle(&f);
            ui_draw(f.ui);
            ui_check(f.ui);
        }
        if (i % 100 == 0)
            ui_resize(f.ui, 2 + r % 40, 10 + r / 40 % 150);
    }
    fake_close(&f);
}

/* Headings of days are no rows: keys pass over them, and one that is pressed goes to the first row of its day and folds
 * it; pressed once more it unfolds it. */
static void test_headings(void **state)
{
    struct fake_ui f;
    struct err err = ERR_INIT;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "set mouse yes\n");
    fake_type(&f, "o g");
    const struct list *l = ui_list(f.ui);
    assert_true(list_grouped(l));
    unsigned top = f.ui->layout.list.y + 1, presses = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned line = 0; line < list_page(l); line++) { /* what is pressed is where the cursor is then */
            unsigned at = l->top;
            bool row = false;
            while (at < l->n && list_lines(l, l->top, at) < line)
                at++;
            row = at < l->n && list_lines(l, l->top, at) == line;
            if (at >= l->n || at == l->cur)
                continue;
            struct ref ref = l->rows[at].ref;
            int day = l->rows[at].day;
            assert_true(row || list_heading(l, at));
            click(&f, top + line, f.ui->layout.list.x + 3);
            assert_true(row ? ref_eq(ui_row(f.ui)->ref, ref) : ui_row(f.ui)->day == day);
            assert_int_equal(f.ui->message.state, MESSAGE_NONE);
            presses += !row;
            if (!row) { /* once more: nothing is opened by it */
                assert_true(list_cursor(l)->folded_day);
                click(&f, top + list_lines(l, l->top, l->cur), f.ui->layout.list.x + 3);
                assert_false(list_cursor(l)->folded_day);
                assert_int_equal(f.ui->message.state, MESSAGE_NONE);
                assert_int_equal(ui_row(f.ui)->day, day);
            }
        }
        fake_type(&f, "PageDown");
    }
    assert_true(presses > 2);
    fake_type(&f, "Home");
    struct refs seen = {.n = 0};
    uint32_t rows = 0;
    do { /* each row once, none of them a heading */
        assert_true(refs_add(&seen, ui_row(f.ui)->ref));
        assert_true(list_lines(l, l->top, l->cur) < l->height);
        assert_int_equal(l->rank, rows++);
        ui_draw(f.ui);
    } while (list_move(ui_list(f.ui), 1, &err));
    assert_int_equal(rows, l->total);
    refs_fini(&seen);
    fake_type(&f, "o g");
    assert_false(list_grouped(ui_list(f.ui)));
    fake_close(&f);
}

/* A message is not read while nobody looks. */
static void test_looked_at(void **state)
{
    struct fake_ui f;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "set mark-seen yes\n");
    fake_body = true;
    fake_type(&f, "j");
    assert_false(ui_row(f.ui)->flags & FLAG_SEEN);
    unsigned before = fake_intents();
    ui_looked_at(f.ui, false);
    ui_seen_soon(f.ui);
    f.ui->message.ref = ui_row(f.ui)->ref;
    f.ui->message.state = MESSAGE_SHOWN;
    for (unsigned i = 0; i < 20; i++)
        loop_once(f.loop, 5);
    assert_int_equal(fake_intents(), before);
    assert_true(f.ui->seen_waits);
    ui_looked_at(f.ui, true);
    for (unsigned i = 0; i < 200 && fake_intents() == before; i++) {
        loop_once(f.loop, 5);
        fake_settle(&f);
    }
    assert_int_equal(fake_intents(), before + 1);
    assert_int_equal(fake_last_intent.kind, INTENT_FLAGS);
    fake_body = false;
    fake_close(&f);
}

/* ---- links ---- */
/* What the terminal opens without a question says where it goes, or is none (THREATS 132). */
static void test_links(void **state)
{
    static const struct {
        const char *text, *target;
        bool link;
    } cases[] = {
        {"the whole list", "https://shop.example/list", true},
        {"https://shop.example/list", "https://shop.example/list", true},
        {"shop.example", "https://www.shop.example/list", true},
        {"shop.example:443/x", "https://SHOP.example/", true},
        {"Version 2.0 is out", "https://shop.example/2.0", true},
        {"write to us", "mailto:a@shop.example", true},
        {"a@shop.example", "mailto:a@shop.example", true},
        {"https://bank.example/", "https://evil.example/", false},
        {"bank.example", "https://evil.example/bank.example", false},
        {"here", "https://bank.example@evil.example/", false},
        {"here", "https://bank.example:pw@evil.example", false},
        {"https://bank.example/", "mailto:a@evil.example", false},
        {"here", "javascript:alert(1)", false},
        {"here", "file:///etc/passwd", false},
        {"here", "https://x.example/\033]0;owned\007", true}, /* signs by now, and encoded */
        {"here", "https://x.example/ b", false},
        {"here", "", false},
    };
    struct fake_ui f;
    (void)state;
    fake_reset();
    fake_mails();
    fake_open(&f, 24, 100, "");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf doc = BUF_INIT(65536);
        struct err err = ERR_INIT;
        struct doc_span span = {0, (uint32_t)strlen(cases[i].text), DOC_SPAN_LINK, 1};
        const struct list_row *row = ui_row(f.ui);
        doc_put(&doc, &(struct doc_item){.kind = DOC_TEXT, .text = str_z(cases[i].text), .spans = &span, .nspans = 1});
        doc_put(&doc, &(struct doc_item){.kind = DOC_LINK, .number = 1, .text = str_z(cases[i].target)});
        message_show(&f.ui->message, row->ref, row->subject, 0);
        assert_true(message_feed(&f.ui->message, buf_str(&doc), &err));
        message_done(&f.ui->message);
        buf_fini(&doc);
        ui_draw(f.ui);
        for (unsigned k = 0; k < f.ui->grid.nlinks; k++)
            for (const char *c = f.ui->grid.links[k].target; *c; c++)
                assert_true(*c > ' ' && *c < 0x7f);
        if ((f.ui->grid.nlinks != 0) != cases[i].link)
            fail_msg("\"%s\" to %s", cases[i].text, cases[i].target);
    }
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_work_before_going_on),
        cmocka_unit_test(test_goes_on_in_hits),
        cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_mouse),
        cmocka_unit_test(test_looked_at),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_headings),
        cmocka_unit_test(test_goes_on_as_it_was_listed),
        cmocka_unit_test(test_goes_on_at_a_mail_of_no_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
