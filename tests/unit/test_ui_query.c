/* Queries on the screen: what is wrong with one that is typed, its words in the list and the message, saved searches.
 */
#include "ui/extra.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui_fake.h"

#include <unistd.h>

static const char config[] =
    "set search-order newest\n"
    "saved Unread tag:unread\nsaved \"To answer\" \"to:alice and tag:flagged\" -account home\n";

static void begin(struct fake_ui *f)
{
    fake_reset();
    fake_mails();
    fake_open(f, 24, 80, config);
    char *cwd = getcwd(NULL, 0), line[400];
    snprintf(line, sizeof line, "set saved-file %s/saved", cwd);
    free(cwd);
    assert_true(ui_run(f->ui, line));
    fake_settle(f);
}

/* What is typed stands in the prompt, the fault above its place; Enter goes there, and what is typed then mends it. */
static void test_faults(void **state)
{
    (void)state;
    struct fake_ui f;
    begin(&f);
    struct prompt *p = &f.ui->prompt;
    fake_type(&f, "/");
    for (const char *c = "f:bob subjct:x"; *c; c++)
        ui_key(f.ui, (ckey)*c);
    ui_draw(f.ui);
    assert_int_equal(p->verdict, QUERY_BAD);
    fake_golden(&f, "query-error");
    fake_type(&f, "<Enter>");
    assert_int_equal(p->kind, PROMPT_ASK);
    assert_int_equal(p->edit.at, 6);
    fake_type(&f, "C-k t i s :");
    for (const char *c = "unread"; *c; c++)
        ui_key(f.ui, (ckey)*c);
    assert_string_equal(p->edit.p, "f:bob tis:unread");
    fake_type(&f, "C-u");
    for (const char *c = "f:bob newer:7d"; *c; c++)
        ui_key(f.ui, (ckey)*c);
    ui_draw(f.ui);
    assert_int_equal(p->verdict, QUERY_GOOD);
    assert_string_equal(p->hint, "asks from:bob (date:7days..)");
    fake_type(&f, "C-u");
    for (const char *c = "in:Nowhere or in:Archive (\"a b"; *c; c++)
        ui_key(f.ui, (ckey)*c);
    assert_int_equal(p->verdict, QUERY_OPEN); /* not closed yet, and a hint that waits */
    fake_type(&f, "<Enter>");
    assert_int_equal(p->kind, PROMPT_ASK);
    assert_int_equal(p->edit.at, p->edit.n - 4);
    fake_type(&f, "C-g");
    assert_int_equal(p->kind, PROMPT_NONE);
    /* a tag that no message has: said as soon as none begins so */
    fake_accounts[0].rows[0].tags = "kept b\xc2\xa0"
                                    "c";
    fake_type(&f, "/");
    static const struct {
        const char *typed, *hint;
    } tags[] = {{"tag:ke", NULL},
                {"tag:kex", "no tag is called kex here"},
                {"tag:ke or x", "no tag is called ke here"},
                {"tag:kept or x", NULL},
                {"tag:\"b c\"", NULL},
                {"tag:\"b d\"", "no tag is called b d here"},
                {"is:unread or is:wrok", "no tag is called wrok here"},
                {"tag:work and not tag:inbox", NULL},
                {"in:Arch", NULL},
                {"in:Arx", "no mailbox is called Arx here"}};
    for (size_t i = 0; i < COUNT(tags); i++) {
        fake_type(&f, "C-u");
        for (const char *c = tags[i].typed; *c; c++)
            ui_key(f.ui, (ckey)*c);
        assert_int_equal(p->verdict, tags[i].hint ? QUERY_HINT : QUERY_GOOD);
        if (tags[i].hint)
            assert_string_equal(p->hint, tags[i].hint);
    }
    fake_type(&f, "C-g");
    fake_close(&f);
}

/* Few letters wait for the next ones; what is no letter, and what is taken from the history, is asked for at once. */
static void test_what_is_asked_at_once(void **state)
{
    (void)state;
    struct fake_ui f;
    begin(&f);
    history_add(f.ui->search_history, STR("ab"));
    static const char *const typed[] = {"*", "f r o m :", "b u d g e t Space", "Up",
                                        "i s : u n r e a d Space o r Space"};
    for (size_t i = 0; i < COUNT(typed); i++) {
        fake_type(&f, "/");
        fake_type(&f, typed[i]);
        fake_settle(&f);
        assert_string_equal(f.ui->search_text, f.ui->prompt.edit.p);
        if (f.ui->search_timer)
            fail_msg("\"%s\" waits", f.ui->prompt.edit.p);
        fake_type(&f, "C-g");
    }
    fake_close(&f);
}

/* A limit leaves the list in sight until it has found something; half a query is neither asked nor told. */
static void test_a_limit_begins_with_its_list(void **state)
{
    (void)state;
    struct fake_ui f;
    begin(&f);
    ui_draw(f.ui);
    char title[200];
    const struct list *base = ui_list(f.ui);
    snprintf(title, sizeof title, "%.*s", STR_FMT(base->rows[0].subject));
    assert_true(fake_shows(&f, title));
    fake_type(&f, "l");
    assert_ptr_equal(ui_drawn_list(f.ui), base);
    assert_true(fake_shows(&f, title));
    fake_type(&f, "n o t");
    fake_settle(&f);
    assert_int_equal(f.ui->prompt.verdict, QUERY_OPEN);
    assert_true(fake_shows(&f, title));
    assert_false(fake_shows(&f, "needs something"));
    fake_type(&f, "Space");
    assert_false(fake_shows(&f, "needs something"));
    fake_type(&f, "Enter");
    assert_int_equal(f.ui->prompt.kind, PROMPT_ASK);
    assert_true(fake_shows(&f, "not needs something behind it"));
    fake_type(&f, "x");
    assert_string_equal(f.ui->prompt.edit.p, "not x"); /* what is missing came to its place */
    assert_false(fake_shows(&f, "needs something"));
    struct list *l = ui_list(f.ui);
    list_hits_begin(l, HITS_INDEX, true);
    f.ui->search_matched = true; /* as the first hit says */
    ui_draw(f.ui);
    assert_ptr_equal(ui_drawn_list(f.ui), l);
    assert_false(fake_shows(&f, title));
    fake_type(&f, "C-u");
    assert_true(fake_shows(&f, title));
    fake_type(&f, "x Enter");
    assert_ptr_equal(ui_drawn_list(f.ui), l);
    fake_close(&f);
}

static void found(struct fake_ui *f, const char *query, const uint64_t *ids, size_t n)
{
    struct list *l = ui_new_list(f->ui);
    list_show_hits(l, str_z(query));
    l->query = mem_dup_z(query);
    ui_push_list(f->ui, l);
    list_hits_begin(l, HITS_INDEX, true);
    for (size_t i = 0; i < n; i++)
        list_add_hit(l, HITS_INDEX,
                     &(struct hit){.ref = {0, ids[i]}, .date = fake_find(&fake_accounts[0], ids[i])->date});
    list_hits_end(l, HITS_INDEX);
    fake_settle(f);
    ui_draw(f->ui);
}

static void test_words(void **state)
{
    (void)state;
    struct fake_ui f;
    struct err err = ERR_INIT;
    begin(&f);
    uint64_t ids[8];
    size_t n = 0;
    for (size_t i = 0; i < fake_accounts[0].n && n < COUNT(ids); i++)
        ids[n++] = fake_accounts[0].rows[i].id;
    fake_text = "From: Alice Example <alice@example.org>\nSubject: patches\n\nno Budget, but budgets.\n";
    fake_body = true;
    found(&f, "budget or from:alice or patch", ids, n);
    fake_golden(&f, "query-words");
    struct list *l = ui_list(f.ui);
    list_set_order(l, ORDER_RELEVANCE, false);
    assert_true(list_update(l, &err));
    int64_t last = INT64_MAX;
    bool any = false;
    for (unsigned i = 0; i < l->n; i++) {
        assert_true(l->rows[i].score <= last);
        last = l->rows[i].score;
        any = any || last > 0;
    }
    assert_true(any);
    ui_key(f.ui, K_ENTER);
    fake_settle(&f);
    for (int i = 0; i < 500 && (f.ui->viewer || f.ui->open_req || ui_extra(f.ui)->load); i++) {
        loop_once(f.loop, 20);
        fake_settle(&f);
    }
    ui_draw(f.ui);
    assert_int_equal(f.ui->message.state, MESSAGE_SHOWN);
    fake_golden(&f, "query-message");
    fake_type(&f, "n");
    struct message *m = &f.ui->message;
    size_t first = m->hit_line;
    assert_true(first != SIZE_MAX);
    for (unsigned i = 0; i < 20 && !strstr(f.ui->status, "from the top"); i++)
        fake_type(&f, "n");
    assert_int_equal(m->hit_line, first); /* round */
    fake_type(&f, "N");
    assert_true(m->hit_line != first);
    fake_type(&f, "/");
    for (const char *c = "uDGe"; *c; c++)
        ui_key(f.ui, (ckey)*c);
    fake_type(&f, "<Enter>");
    assert_string_equal(m->find, "uDGe");
    assert_true(m->hit_line != SIZE_MAX);
    /* its tags, as they change, below its header; the place in the text stays */
    message_top(m);
    for (unsigned i = 0; i < n; i++)
        fake_find(&fake_accounts[0], ids[i])->tags = i ? "kept later"
                                                       : "kept a\xc2\xa0"
                                                         "b \x1b[31mred";
    fake_accounts[0].version++;
    fake_settle(&f);
    ui_draw(f.ui);
    fake_golden(&f, "message-tags");
    fake_text = NULL;
    fake_body = false;
    fake_close(&f);
}

static const struct box_item *saved_item(struct ui *ui, const char *name)
{
    struct err err = ERR_INIT;
    boxes_update(&ui->boxes, &ui->accts, ui->conf, &err);
    for (unsigned i = 0; i < ui->boxes.n; i++)
        if (ui->boxes.list[i].kind == BOXK_SAVED && !strcmp(ui->boxes.list[i].name, name))
            return &ui->boxes.list[i];
    return NULL;
}

/* Selecting by a pattern leaves the list what it is: a search stays one, and a limit goes above it. */
static void test_a_pattern_in_a_search(void **state)
{
    struct fake_ui f;
    struct buf out = BUF_INIT(1u << 20);
    (void)state;
    begin(&f);
    ui_run(f.ui, "search Alice");
    ui_run(f.ui, "select-pattern Bob");
    ui_draw(f.ui);
    grid_print(&f.ui->grid, false, &out);
    assert_non_null(strstr(buf_z(&out), "search: Alice"));
    assert_false(f.ui->search_partial);
    fake_unindexed = true; /* mail came, and nobody has said that it waits for the index */
    ui_run(f.ui, "select-pattern Bob");
    assert_true(f.ui->search_partial);
    f.ui->search_select = false; /* it has its answer */
    unsigned depth = f.ui->depth;
    helper_end(&f.ui->search);
    ui_run(f.ui, "limit");
    assert_int_equal(f.ui->depth, depth + 1);
    assert_true(f.ui->search_limit);
    fake_type(&f, "Esc");
    assert_int_equal(f.ui->depth, depth);
    buf_fini(&out);
    fake_close(&f);
}

/* What was typed is kept, not what its last word was made while it was typed. */
static void test_saved_as_typed(void **state)
{
    (void)state;
    struct fake_ui f;
    begin(&f);
    fake_type(&f, "/");
    for (const char *c = "s:invoice"; *c; c++)
        ui_key(f.ui, (ckey)*c);
    fake_type(&f, "<Enter>");
    assert_string_equal(ui_list(f.ui)->query, "(s:invoice or s:invoice*)");
    assert_true(ui_run(f.ui, "save-search Bills"));
    assert_string_equal(saved_item(f.ui, "Bills")->query, "s:invoice");
    assert_true(ui_run(f.ui, "limit Bob"));
    assert_true(ui_run(f.ui, "save-search \"Bob's bills\""));
    assert_null(strchr(saved_item(f.ui, "Bob's bills")->query, '*'));
    assert_non_null(strstr(saved_item(f.ui, "Bob's bills")->query, "Bob"));
    assert_true(unlink("saved") == 0);
    fake_close(&f);
}

/* Kept in a file of their own, in their order; those of tuimailrc stay as they are. */
static void test_saved(void **state)
{
    (void)state;
    struct fake_ui f;
    struct buf text = BUF_INIT(4096);
    struct err err = ERR_INIT;
    begin(&f);
    assert_int_equal(saved_item(f.ui, "To answer")->account, 1); /* below its account */
    assert_false(ui_run(f.ui, "save-search Nothing"));
    uint64_t id = fake_accounts[0].rows[0].id;
    found(&f, "f:bob \"a b\"", &id, 1);
    assert_true(ui_run(f.ui, "save-search Bob"));
    assert_true(ui_run(f.ui, "save-search -a work \"Bob at work\""));
    assert_non_null(saved_item(f.ui, "Bob"));
    assert_true(ui_run(f.ui, "move-search up \"Bob at work\""));
    assert_false(ui_run(f.ui, "move-search up Unread")); /* tuimailrc's */
    assert_false(ui_run(f.ui, "rename-search Unread x"));
    assert_false(ui_run(f.ui, "rename-search Bob Unread")); /* there is one */
    assert_true(ui_run(f.ui, "rename-search Bob Robert"));
    assert_true(fs_read("saved", 4000, &text, &err));
    assert_string_equal(buf_z(&text), "# Saved searches: written by save-search and the like, read behind tuimailrc.\n"
                                      "saved \"Bob at work\" \"f:bob \\\"a b\\\"\" -account work\n"
                                      "saved Robert \"f:bob \\\"a b\\\"\"\n");
    /* what is deleted comes back to its place, and goes again */
    assert_true(ui_run(f.ui, "delete-search \"Bob at work\""));
    assert_non_null(saved_item(f.ui, "Bob at work"));
    fake_type(&f, "y");
    assert_null(saved_item(f.ui, "Bob at work"));
    assert_true(ui_run(f.ui, "undo"));
    assert_non_null(saved_item(f.ui, "Bob at work"));
    struct buf again = BUF_INIT(4096);
    assert_true(fs_read("saved", 4000, &again, &err));
    assert_string_equal(buf_z(&again), buf_z(&text));
    assert_true(ui_run(f.ui, "redo"));
    assert_null(saved_item(f.ui, "Bob at work"));
    assert_true(ui_run(f.ui, "undo"));
    assert_non_null(saved_item(f.ui, "Bob at work"));
    buf_fini(&again);
    /* another tuimail writes it too */
    buf_reset(&text);
    buf_addz(&text, "saved Other x\nsaved Unread y\n");
    assert_true(fs_write_atomic("saved", 0600, buf_str(&text), &err));
    found(&f, "z", &id, 1);
    assert_true(ui_run(f.ui, "save-search Z"));
    assert_non_null(saved_item(f.ui, "Other"));
    assert_null(saved_item(f.ui, "Robert"));
    assert_string_equal(saved_item(f.ui, "Unread")->query, "tag:unread");
    /* what is broken there is not written over */
    buf_reset(&text);
    buf_addz(&text, "bind list x next\n");
    assert_true(fs_write_atomic("saved", 0600, buf_str(&text), &err));
    assert_false(ui_run(f.ui, "save-search Y"));
    assert_non_null(saved_item(f.ui, "Other"));
    assert_true(unlink("saved") == 0);
    /* as mailboxes */
    assert_true(ui_run(f.ui, "change Unread"));
    assert_string_equal(ui_list(f.ui)->title, "Unread");
    assert_true(ui_run(f.ui, "saved \"To answer\""));
    assert_string_equal(f.ui->search_text, "(to:alice and tag:flagged) and (account:\"home\")");
    assert_true(ui_run(f.ui, "change INBOX"));
    fake_type(&f, "c U n r e a d");
    assert_string_equal(f.ui->prompt.items[f.ui->prompt.order[0]].label, "Unread");
    fake_type(&f, "<Enter>");
    assert_string_equal(ui_list(f.ui)->title, "Unread");
    /* what it found is read at once, after a question */
    ui_search_end(f.ui);
    fake_find(&fake_accounts[0], id)->flags &= ~(uint32_t)FLAG_SEEN;
    found(&f, "z", &id, 1);
    unsigned before = fake_intents();
    assert_true(ui_run(f.ui, "read-all"));
    fake_type(&f, "y");
    assert_int_equal(fake_intents(), before + 1);
    assert_int_equal(fake_last_intent.kind, INTENT_FLAGS);
    buf_fini(&text);
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_what_is_asked_at_once),
                                       cmocka_unit_test(test_a_limit_begins_with_its_list),
                                       cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_a_pattern_in_a_search),
                                       cmocka_unit_test(test_saved_as_typed),
                                       cmocka_unit_test(test_saved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
