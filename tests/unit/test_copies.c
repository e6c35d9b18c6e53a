/* One Message-ID at several places: the tags that the index makes of all of them. */
#include "index_place.h"

/* How many properties of places there are. (The dump waits for the writer to end.) */
static size_t places_recorded(struct place *p)
{
    struct buf config = BUF_INIT(1000), out = BUF_INIT(1 << 20);
    size_t n = 0;
    end_index(p, 0);
    buf_addf(&config, "--config=%s", p->config);
    run((const char *const[]){"notmuch", buf_z(&config), "dump", "--include=properties", NULL}, &out);
    for (const char *at = buf_z(&out); (at = strstr(at, "place.")) != NULL; at++)
        n++;
    start_index(p);
    buf_fini(&config);
    buf_fini(&out);
    return n;
}

/* As an index has them that was written before places were kept. */
static void forget_places(struct place *p, const char *msgid)
{
    struct buf script = BUF_INIT(4096), out = BUF_INIT(1000);
    buf_addf(&script,
             "printf '#notmuch-dump batch-tag:3 properties\\n#= %s old=1\\n' | notmuch '--config=%s' restore "
             "--include=properties",
             msgid, p->config);
    assert_int_equal(places_recorded(p), 2);
    end_index(p, 0);
    run((const char *const[]){"sh", "-c", buf_z(&script), NULL}, &out);
    start_index(p);
    assert_int_equal(places_recorded(p), 0);
    buf_fini(&script);
    buf_fini(&out);
}

static void copies_make_the_tags_together(void **state)
{
    struct place *p = *state;
    header(p, 1, "home/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "unread inbox money home", "");
    commit(p, 1);
    assert_int_equal(places_recorded(p), 0); /* one place alone needs no record */
    /* the same batch: another mailbox, another account */
    header(p, 2, "home/2.7/8", "a@example.org", "Alice", "Budget", 1700000000, "money home", "");
    header(p, 3, "local/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "replied money local", "");
    commit(p, 3);
    notmuch_says(p, "tags", "*", "home\ninbox\nlocal\nmoney\nreplied\nunread\n");
    /* deleted where one is; the others are not, and nobody needs to read it there */
    tags_job(p, 4, "home/1.7/1", "unread deleted money home");
    commit(p, 4);
    notmuch_says(p, "tags", "*", "home\nlocal\nmoney\nreplied\n");
    tags_job(p, 5, "home/1.7/1", "unread inbox home");
    tags_job(p, 6, "home/2.7/8", "deleted home");
    tags_job(p, 7, "local/1.7/1", "spam local");
    commit(p, 7);
    notmuch_says(p, "tags", "*", "home\ninbox\nlocal\nunread\n");
    tags_job(p, 8, "home/1.7/1", "unread deleted home");
    commit(p, 8);
    notmuch_says(p, "tags", "*", "deleted\nhome\nlocal\nspam\nunread\n");
    /* where it moves what it gave goes along; a program killed before the commit has done nothing */
    tags_job(p, 9, "home/2.7/8", "flagged archive home");
    commit(p, 9);
    for (unsigned again = 0; again < 2; again++) {
        move_job(p, 10, "home/2.7/8", "home/9.1/1");
        tags_job(p, 11, "home/1.7/1", "home inbox");
        remove_job(p, 12, "local/1.7/1");
        if (again == 0) {
            end_index(p, SIGKILL);
            start_index(p);
            notmuch_says(p, "tags", "*", "archive\nflagged\nhome\nlocal\n");
            notmuch_says(p, "messages", "path:local/1.7 and path:home/2.7", "id:a@example.org\n");
        }
    }
    commit(p, 12);
    notmuch_says(p, "tags", "*", "archive\nflagged\nhome\ninbox\n");
    notmuch_says(p, "messages", "path:local/** or path:home/2.7", "");
    tags_job(p, 13, "home/1.7/1", "deleted home");
    commit(p, 13);
    notmuch_says(p, "tags", "*", "archive\nflagged\nhome\n");
    /* one is left: its own tags, and no record */
    remove_job(p, 14, "home/9.1/1");
    commit(p, 14);
    notmuch_says(p, "tags", "*", "deleted\nhome\n");
    assert_int_equal(places_recorded(p), 0);
    /* a path that is not there is not another copy */
    tags_job(p, 15, "home/2.7/8", "inbox");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 15), ERR_NO_MESSAGE);
    commit(p, 15);
    notmuch_says(p, "tags", "*", "deleted\nhome\n");
}

/* The body's file has no mailbox: it gives nothing and keeps nothing. Many tags, long ones and none. */
static void bodies_and_odd_tags_of_copies(void **state)
{
    struct place *p = *state;
    struct buf tags = BUF_INIT(2048), expected = BUF_INIT(4096);
    header(p, 1, "home/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "unread", "");
    header(p, 2, "home/2.7/1", "a@example.org", "Alice", "Budget", 1700000000, "", "");
    write_mail(p, "home/0123456789abcdef0123456789abcdef/1", body_mail);
    add(p, 3, "home/0123456789abcdef0123456789abcdef/1", "unread");
    commit(p, 3);
    notmuch_says(p, "tags", "zebra", "attachment\nunread\n");
    tags_job(p, 4, "home/1.7/1", "");
    commit(p, 4);
    notmuch_says(p, "tags", "zebra", "attachment\n");
    buf_addz(&expected, "attachment\n");
    for (unsigned i = 0; i < 9; i++) {
        buf_addf(&tags, "%s%u%0199u", i ? " " : "", i, 0u);
        buf_addf(&expected, "%u%0199u\n", i, 0u);
    }
    /* notmuch sorts: digits before letters */
    struct buf sorted = BUF_INIT(4096);
    buf_adds(&sorted, str_sub(buf_str(&expected), 11, expected.n));
    buf_addz(&sorted, "attachment\n");
    tags_job(p, 5, "home/2.7/1", buf_z(&tags));
    commit(p, 5);
    notmuch_says(p, "tags", "zebra", buf_z(&sorted));
    tags_job(p, 6, "home/1.7/1", "x");
    commit(p, 6);
    buf_addz(&sorted, "x\n");
    notmuch_says(p, "tags", "zebra", buf_z(&sorted));
    tags_job(p, 7, "home/2.7/1", "");
    commit(p, 7);
    notmuch_says(p, "tags", "zebra", "attachment\nx\n");
    remove_job(p, 8, "home/1.7/1");
    commit(p, 8);
    notmuch_says(p, "tags", "zebra", "attachment\n");
    buf_fini(&tags);
    buf_fini(&expected);
    buf_fini(&sorted);
}

/* In a Maildir: what another program copied, renamed or removed. */
static void copies_in_a_maildir(void **state)
{
    struct place *p = *state;
    write_mail(p, "home/maildir/cur/m1:2,S", body_mail);
    write_mail(p, "home/maildir/.Foo/new/m2", body_mail);
    add(p, 1, "home/maildir/cur/m1:2,S", "inbox home");
    add(p, 2, "home/maildir/.Foo/new/m2", "unread home");
    commit(p, 2);
    notmuch_says(p, "tags", "zebra", "attachment\nhome\ninbox\nunread\n");
    char *from = mail_file(p, "home/maildir/cur/m1:2,S"), *to = mail_file(p, "home/maildir/cur/m1:2,RS");
    assert_int_equal(rename(from, to), 0);
    move_job(p, 3, "home/maildir/cur/m1:2,S", "home/maildir/cur/m1:2,RS");
    tags_job(p, 3, "home/maildir/cur/m1:2,RS", "replied inbox home");
    commit(p, 3);
    notmuch_says(p, "tags", "zebra", "attachment\nhome\ninbox\nreplied\nunread\n");
    /* gone without a word: another one is read again, which forgets it */
    assert_int_equal(unlink(to), 0);
    add(p, 4, "home/maildir/.Foo/new/m2", "unread home");
    commit(p, 4);
    notmuch_says(p, "tags", "zebra", "attachment\nhome\nunread\n");
    assert_int_equal(places_recorded(p), 0);
    free(from);
    free(to);
}

/* What is gone everywhere is deleted until it is removed; what is left of it in the trash is, too. */
static void a_copy_that_is_gone_counts_no_more(void **state)
{
    struct place *p = *state;
    header(p, 1, "home/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "unread inbox home", "");
    tags_job(p, 2, "home/1.7/1", INDEX_GONE);
    tags_job(p, 3, "home/1.7/2", INDEX_GONE); /* the index never had it */
    commit(p, 3);
    notmuch_says(p, "tags", "*", "deleted\nhome\n");
    header(p, 4, "home/2.7/1", "a@example.org", "Alice", "Budget", 1700000000, "deleted home", "");
    commit(p, 4);
    notmuch_says(p, "tags", "*", "deleted\nhome\n");
    /* it comes back, and the other one goes */
    header(p, 5, "home/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "inbox home", "");
    tags_job(p, 6, "home/2.7/1", INDEX_GONE);
    commit(p, 6);
    notmuch_says(p, "tags", "*", "home\ninbox\n");
    remove_job(p, 7, "home/2.7/1");
    commit(p, 7);
    notmuch_says(p, "tags", "*", "home\ninbox\n");
    assert_int_equal(places_recorded(p), 0);
}

/* An index without records of places: what is there stands for each until it is heard of. */
static void copies_of_an_older_index(void **state)
{
    struct place *p = *state;
    header(p, 1, "home/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "inbox home", "");
    header(p, 2, "local/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "unread home", "");
    commit(p, 2);
    forget_places(p, "a@example.org");
    notmuch_says(p, "tags", "*", "home\ninbox\nunread\n");
    tags_job(p, 3, "local/1.7/1", "deleted local");
    commit(p, 3);
    notmuch_says(p, "tags", "*", "home\ninbox\nlocal\nunread\n");
    tags_job(p, 4, "home/1.7/1", "inbox home");
    commit(p, 4);
    notmuch_says(p, "tags", "*", "home\ninbox\nlocal\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(copies_make_the_tags_together),      TEST(bodies_and_odd_tags_of_copies), TEST(copies_in_a_maildir),
        TEST(a_copy_that_is_gone_counts_no_more), TEST(copies_of_an_older_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
