/* The index program against a real notmuch database, compared with what the notmuch command says of it; and search
 * beside it. */
#include "index_place.h"

static void headers_are_found_and_their_files_go(void **state)
{
    struct place *p = *state;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "Budget for Größe", 1700000000, "unread todo", "");
    header(p, 2, "work/1.7/2", "b@example.org", "Bob", "Re: Budget for Größe", 1700000100, "unread", "a@example.org");
    header(p, 3, "work/1.7/3", "c@example.org", "Carol", "Slides", 1700000200, "", "");
    uint64_t first = commit(p, 3);
    assert_false(there(p, "work/1.7/1") || there(p, "work/1.7/3"));
    notmuch_says(p, "messages", "*", "id:a@example.org\nid:b@example.org\nid:c@example.org\n");
    notmuch_says(p, "messages", "from:alice", "id:a@example.org\n");
    notmuch_says(p, "messages", "subject:größe and tag:unread", "id:a@example.org\nid:b@example.org\n");
    notmuch_says(p, "messages", "to:carol@example.org and not tag:unread", "id:c@example.org\n");
    notmuch_says(p, "messages", "date:@1700000050..@1700000150", "id:b@example.org\n");
    notmuch_says(p, "tags", "id:a@example.org", "todo\nunread\n");
    struct buf thread = BUF_INIT(100);
    notmuch_says(p, "messages", "thread:{id:b@example.org}", "id:a@example.org\nid:b@example.org\n");
    buf_fini(&thread);
    /* tags: the whole set, by id and by path */
    struct err err = ERR_INIT;
    assert_true(
        SEND(p->index, -1, &err, INDEX_TAGS, .job = 4, .msgid = STR("a@example.org"), .tags = STR("todo done")));
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = 5, .path = STR("work/1.7/2"), .tags = STR("")));
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = 6, .msgid = STR("nobody"), .tags = STR("x")));
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 6), ERR_NO_MESSAGE);
    assert_true(commit(p, 6) > first);
    notmuch_says(p, "tags", "id:a@example.org", "done\ntodo\n");
    notmuch_says(p, "tags", "*", "done\ntodo\n");
    /* moves and removals need no file */
    assert_true(
        SEND(p->index, -1, &err, INDEX_MOVE, .job = 7, .path = STR("work/1.7/1"), .path_to = STR("work/9.1/5")));
    assert_true(SEND(p->index, -1, &err, INDEX_REMOVE, .job = 8, .path = STR("work/1.7/3")));
    assert_true(SEND(p->index, -1, &err, INDEX_REMOVE, .job = 9, .path = STR("work/1.7/99")));
    commit(p, 9);
    notmuch_says(p, "messages", "path:work/9.1", "id:a@example.org\n");
    notmuch_says(p, "messages", "path:work/1.7", "id:b@example.org\n");
    notmuch_says(p, "messages", "subject:slides", "");
    notmuch_says(p, "tags", "id:a@example.org", "done\ntodo\n");
    assert_false(there(p, "work/9.1/5"));
}

static void a_body_is_indexed_under_the_same_path(void **state)
{
    struct place *p = *state;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "todo", "");
    header(p, 2, "work/2.7/8", "a@example.org", "Alice", "Budget", 1700000000, "todo", ""); /* a copy elsewhere */
    commit(p, 2);
    notmuch_says(p, "messages", "zebra", "");
    write_mail(p, "work/1.7/1", body_mail);
    add(p, 3, "work/1.7/1", "todo unread");
    commit(p, 3);
    notmuch_says(p, "messages", "zebra", "id:a@example.org\n");
    notmuch_says(p, "messages", "*", "id:a@example.org\n");
    notmuch_says(p, "messages", "attachment:plan.pdf", "id:a@example.org\n");
    notmuch_says(p, "messages", "path:work/2.7", "id:a@example.org\n"); /* the path without a file is still one */
    notmuch_says(p, "tags", "*", "attachment\ntodo\nunread\n");
    assert_true(there(p, "work/1.7/1"));
    assert_false(there(p, "work/2.7/8"));
    /* a header job must not write over the mail */
    header(p, 4, "work/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "todo", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 4), ERR_PERMISSION);
    commit(p, 4);
    assert_true(there(p, "work/1.7/1"));
    notmuch_says(p, "messages", "zebra", "id:a@example.org\n");
}

static const char *text_of(struct place *p, const char *path, struct buf *out)
{
    struct err err = ERR_INIT;
    char *file = mail_file(p, path);
    assert_true(fs_read(file, 1u << 16, out, &err));
    free(file);
    return buf_z(out);
}

/* What a kill left at a header's place is written over, a mail there is not; one file serves them all. */
static void the_lent_file(void **state)
{
    struct place *p = *state;
    struct buf text = BUF_INIT(1u << 16);
    write_mail(p, "work/1.7/1", "X-Tuimail-Header: 1\nFrom: old@example.org\nMessage-ID: <old@example.org>\n\n");
    write_mail(p, "work/1.7/2", body_mail);
    header(p, 1, "work/1.7/1", "x1@example.org", "Alice", "Budget", 1700000000, "todo", "");
    header(p, 2, "work/1.7/2", "x2@example.org", "Bob", "Slides", 1700000000, "", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 2), ERR_PERMISSION);
    header(p, 3, "work/1.7/3", "x3@example.org", "Carol", "Minutes", 1700000000, "", "");
    header(p, 4, "work/1.7/3", "x3@example.org", "Carol", "Minutes", 1700000000, "again", ""); /* a batch sent again */
    header(p, 5, "work/2.7/1", "x3@example.org", "Carol", "Minutes", 1700000000, "", "");      /* a copy */
    header(p, 6, "work/1.7/6", "", "Dora", "No id", 1700000000, "", "");
    header(p, 7, "work/1.7/6", "", "Dora", "No id", 1700000000, "again", "");
    commit(p, 7);
    notmuch_says(p, "messages", "from:alice or from:bob or from:carol", "id:x1@example.org\nid:x3@example.org\n");
    notmuch_says(p, "messages", "tag:again and from:carol", "id:x3@example.org\n");
    notmuch_says(p, "messages", "path:work/2.7", "id:x3@example.org\n");
    notmuch_says(p, "tags", "from:dora", "again\n");
    assert_string_equal(text_of(p, "work/1.7/2", &text), body_mail);
    assert_false(there(p, "work/1.7/1") || there(p, "work/1.7/3") || there(p, "work/2.7/1") || there(p, "work/1.7/6"));
    /* another has taken it away meanwhile: there is a new one */
    char *lent = mail_file(p, ".header");
    assert_int_equal(unlink(lent), 0);
    header(p, 8, "work/1.7/8", "x8@example.org", "Erin", "Eight", 1700000000, "", "");
    header(p, 9, "work/1.7/9", "x9@example.org", "Erin", "Nine", 1700000000, "", "");
    commit(p, 9);
    notmuch_says(p, "messages", "from:erin", "id:x8@example.org\nid:x9@example.org\n");
    free(lent);
    buf_fini(&text);
}

/* In a Maildir nothing but mail may appear: fetch would deliver a header file. */
static void a_maildir_is_left_alone(void **state)
{
    struct place *p = *state;
    struct err err = ERR_INIT;
    write_mail(p, "home/new/m1", body_mail);
    add(p, 1, "home/new/m1", "unread");
    commit(p, 1);
    char *from = mail_file(p, "home/new/m1"), *to = mail_file(p, "home/cur/m1:2,S"), *dir = mail_file(p, "home/cur");
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(rename(from, to), 0);
    add(p, 2, "home/cur/m1:2,S", "");
    add(p, 3, "home/cur/m1:2,S", ""); /* again: reindexed, and the old path forgotten */
    commit(p, 3);
    notmuch_says(p, "messages", "zebra", "id:a@example.org\n");
    struct buf file = BUF_INIT(1000);
    buf_addf(&file, "%s\n", to);
    notmuch_says(p, "files", "zebra", buf_z(&file));
    assert_false(there(p, "home/new/m1"));
    /* a move to where there is no file, and a header file there, are refused */
    assert_true(SEND(p->index, -1, &err, INDEX_MOVE, .job = 4, .path = STR("home/cur/m1:2,S"),
                     .path_to = STR("home/cur/m1:2,RS")));
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 4), ERR_NO_MESSAGE);
    header(p, 5, "home/cur/m2", "b@example.org", "Bob", "Two", 1700000000, "", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 5), ERR_NO_MESSAGE);
    /* with its file the move keeps the message and its tags */
    char *next = mail_file(p, "home/cur/m1:2,RS");
    assert_int_equal(rename(to, next), 0);
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = 6, .path = STR("home/cur/m1:2,S"), .tags = STR("replied")));
    assert_true(SEND(p->index, -1, &err, INDEX_MOVE, .job = 7, .path = STR("home/cur/m1:2,S"),
                     .path_to = STR("home/cur/m1:2,RS")));
    commit(p, 7);
    notmuch_says(p, "messages", "zebra and tag:replied", "id:a@example.org\n");
    assert_false(there(p, "home/cur/m2") || there(p, "home/cur/m1:2,S"));
    buf_fini(&file);
    free(from);
    free(to);
    free(next);
    free(dir);
}

/* The body of a mail came in place of its header, and whoever was to say that the name is another was killed. */
static void a_stub_that_is_whole_is_forgotten(void **state)
{
#define MARKED(stub, flags) "home/cur/1.R1" stub "_t00000000000000aa.tuimail:2," flags
    struct place *p = *state;
    write_mail(p, MARKED("_s0000000000001000", ""), body_mail);
    add(p, 1, MARKED("_s0000000000001000", ""), "unread");
    commit(p, 1);
    char *from = mail_file(p, MARKED("_s0000000000001000", "")), *to = mail_file(p, MARKED("", "S"));
    assert_int_equal(rename(from, to), 0);
    add(p, 2, MARKED("", "S"), "");
    commit(p, 2);
    struct buf file = BUF_INIT(1000);
    buf_addf(&file, "%s\n", to);
    notmuch_says(p, "files", "zebra", buf_z(&file));
    notmuch_says(p, "tags", "zebra", "attachment\n");
    buf_fini(&file);
    free(from);
    free(to);
#undef MARKED
}

/* THREATS 107 */
static void a_spoofed_id_is_another_message(void **state)
{
    struct place *p = *state;
    struct buf out = BUF_INIT(1000);
    struct err err = ERR_INIT;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "Budget", 1700000000, "todo", "");
    header(p, 2, "work/1.7/2", "a@example.org", "Mallory", "Winning lottery", 1700009999, "unread", "");
    /* the same mail through a list: date and sender are the same, the subject has a mark */
    header(p, 3, "work/1.7/3", "a@example.org", "Alice", "[news] Re: Budget", 1700000000, "todo", "");
    commit(p, 3);
    notmuch_says(p, "messages", "subject:budget", "id:a@example.org\n");
    notmuch_says(p, "messages", "id:a@example.org and subject:lottery", "");
    notmuch_says(p, "tags", "id:a@example.org", "todo\n");
    notmuch_says(p, "tags", "subject:lottery", "unread\n");
    notmuch_says(p, "messages", "path:work/1.7 and id:a@example.org", "id:a@example.org\n");
    struct buf config = BUF_INIT(1000), expected = BUF_INIT(1000);
    buf_addf(&config, "--config=%s", p->config);
    buf_addf(&expected, "%s/mail/.dup/work/1.7/2\n", p->root);
    run((const char *const[]){"notmuch", buf_z(&config), "search", "--output=files", "subject:lottery", NULL}, &out);
    assert_string_equal(buf_z(&out), buf_z(&expected));
    /* its tags and its end go by its own path */
    assert_true(SEND(p->index, -1, &err, INDEX_TAGS, .job = 4, .msgid = STR("a@example.org"), .path = STR("work/1.7/2"),
                     .tags = STR("spam")));
    commit(p, 4);
    notmuch_says(p, "tags", "subject:lottery", "spam\n");
    notmuch_says(p, "tags", "id:a@example.org", "todo\n");
    assert_true(SEND(p->index, -1, &err, INDEX_REMOVE, .job = 5, .path = STR("work/1.7/2")));
    commit(p, 5);
    notmuch_says(p, "messages", "*", "id:a@example.org\n");
    buf_fini(&config);
    buf_fini(&expected);
    buf_fini(&out);
}

/* THREATS 95, 114 */
static void hostile_mail_fails_alone(void **state)
{
    struct place *p = *state;
    struct buf bomb = BUF_INIT(4 << 20);
    write_mail(p, "work/new/good1", body_mail);
    buf_addz(&bomb, "From: Mallory <m@example.org>\nSubject: tarantula\nMessage-ID: <bomb@example.org>\nTo: ");
    for (unsigned i = 0; i < 50000; i++)
        buf_addz(&bomb, "a:");
    buf_addz(&bomb, "\n\nbody\n");
    write_mail(p, "work/new/bomb1", buf_z(&bomb));
    /* the same inside an embedded message, folded */
    buf_reset(&bomb);
    buf_addz(&bomb, "From: Mallory <m@example.org>\nSubject: scorpion\nMessage-ID: <bomb2@example.org>\n"
                    "MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: x\nCc: ");
    for (unsigned i = 0; i < 50000; i++)
        buf_addz(&bomb, "a:\n ");
    buf_addz(&bomb, "\n\nbody\n");
    write_mail(p, "work/new/bomb2", buf_z(&bomb));
    /* very many addresses, above what a list shows of it */
    buf_reset(&bomb);
    buf_addz(&bomb, "From: Mallory <m@example.org>\nTo: first@example.org");
    for (unsigned i = 0; i < 20000; i++)
        buf_addf(&bomb, ",\n a%u@example.org", i);
    buf_addz(&bomb, "\nSubject: centipede\nMessage-ID: <many@example.org>\n\nbody\n");
    write_mail(p, "work/new/many", buf_z(&bomb));
    write_mail(p, "work/new/empty", "");
    write_mail(p, "work/new/mbox",
               "From a Sun Nov 22 10:00:00 2026\nFrom: a@example.org\nSubject: beetle\n"
               "Message-ID: <mbox@example.org>\n\none\n\nFrom b Sun Nov 22 10:00:00 2026\n"
               "From: b@example.org\nSubject: two\n\ntwo\n");
    write_mail(p, "work/new/prose", "this is no mail\n\nat all\n");
    char *fifo = mail_file(p, "work/new/fifo"), *link = mail_file(p, "work/new/link");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    free(fifo);
    free(link);
    add(p, 1, "work/new/bomb1", "unread");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 1), ERR_LIMIT);
    add(p, 2, "work/new/bomb2", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 2), ERR_LIMIT);
    add(p, 3, "work/new/empty", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 3), ERR_PARSE);
    add(p, 4, "work/new/prose", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 4), ERR_PARSE);
    add(p, 5, "work/new/fifo", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 5), ERR_PARSE);
    add(p, 6, "work/new/link", "");
    expect(p, MSG_INDEX_FAILED, 6);
    add(p, 7, "../../etc/passwd", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 7), ERR_USAGE);
    add(p, 8, "work/new/nothing", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 8), ERR_NO_MESSAGE);
    header(p, 9, "/tmp/x", "x@example.org", "X", "X", 1, "", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 9), ERR_USAGE);
    add(p, 9, "work/new/many", "");
    assert_int_equal(expect(p, MSG_INDEX_FAILED, 9), ERR_LIMIT);
    add(p, 9, "work/new/mbox", "");
    add(p, 10, "work/new/good1", "unread");
    header(p, 11, "work/1.7/3", "evil id\r\nBcc: x", "Eve\nBcc: y", "bell\a\nSubject: twice", 5, "odd",
           "<bad> ok@example.org");
    commit(p, 11);
    notmuch_says(p, "messages", "zebra", "id:a@example.org\n");
    notmuch_says(p, "messages", "subject:tarantula and tag:unread", "id:bomb@example.org\n"); /* by what a list shows */
    notmuch_says(p, "messages", "subject:centipede", "id:many@example.org\n");
    notmuch_says(p, "messages", "id:many@example.org", "id:many@example.org\n");
    notmuch_says(p, "messages", "subject:beetle", "id:mbox@example.org\n");
    notmuch_says(p, "messages", "subject:scorpion", "id:bomb2@example.org\n");
    notmuch_says(p, "tags", "subject:bell and subject:twice", "odd\n");
    notmuch_says(p, "messages", "subject:twice and (id:evil or to:x or to:y)", "");
    buf_fini(&bomb);
}

/* ---- Mail of the world: none may end the program ---- */

static struct place *walking;
static unsigned walked;

static int copy_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
    struct buf text = BUF_INIT(4 << 20);
    struct err err = ERR_INIT;
    (void)ftw;
    if (what == FTW_F && st->st_size > 0 && st->st_size < 4 << 20 && walked < 5000 &&
        fs_read(path, 4 << 20, &text, &err)) {
        char name[40];
        snprintf(name, sizeof name, "corpus/1.1/%u", ++walked);
        char *full = mail_file(walking, name);
        assert_true(fs_write_atomic(full, 0600, buf_str(&text), &err));
        free(full);
        add(walking, walked, name, "");
        assert_true(chan_drain(walking->index, clock_mono_ms() + 60000, &err));
    }
    buf_fini(&text);
    return 0;
}

static void mail_of_the_world(void **state)
{
    walking = *state;
    const char *corpus = getenv("TUIMAIL_CORPUS");
    if (corpus == NULL || access(corpus, R_OK) != 0) {
        print_message("no corpus (TUIMAIL_CORPUS): skipped\n");
        return;
    }
    struct err err = ERR_INIT;
    struct msg m = {.kind = MSG_NONE};
    char *dir = mail_file(walking, "corpus/1.1");
    assert_true(fs_mkdir_private(dir, &err));
    free(dir);
    walked = 0;
    assert_int_equal(nftw(corpus, copy_one, 20, FTW_PHYS), 0);
    assert_true(walked > 0);
    assert_true(SEND(walking->index, -1, &err, INDEX_COMMIT, .job = walked));
    unsigned failed = 0;
    while (m.kind != MSG_INDEX_DONE) {
        if (chan_wait(walking->index, clock_mono_ms() + 300000, &m, &err) != 1)
            fail_msg("the program ended");
        failed += m.kind == MSG_INDEX_FAILED;
    }
    assert_int_equal(m.u.INDEX_DONE.job, walked);
    print_message("# %u files, %u of them no mail\n", walked, failed);
    assert_true(failed < walked / 2);
}

static void only_a_commit_counts(void **state)
{
    struct place *p = *state;
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "One", 1700000000, "", "");
    commit(p, 1);
    for (unsigned i = 2; i < 300; i++) {
        char path[40], id[40];
        snprintf(path, sizeof path, "work/1.7/%u", i);
        snprintf(id, sizeof id, "m%u@example.org", i);
        header(p, i, path, id, "Bob", "Two", 1700000000 + i, "", "");
    }
    end_index(p, SIGKILL);
    notmuch_says(p, "messages", "*", "id:a@example.org\n");
    write_mail(p, "work/1.7/60", ""); /* killed while it wrote this one */
    start_index(p);
    /* sent again, over what the killed one left */
    for (unsigned i = 2; i < 300; i++) {
        char path[40], id[40];
        snprintf(path, sizeof path, "work/1.7/%u", i);
        snprintf(id, sizeof id, "m%u@example.org", i);
        header(p, i, path, id, "Bob", "Two", 1700000000 + i, "", "");
    }
    commit(p, 299);
    notmuch_says(p, "messages", "subject:two and date:@1700000297..@1700000298",
                 "id:m297@example.org\nid:m298@example.org\n");
    assert_false(there(p, "work/1.7/50") || there(p, "work/1.7/60"));
}

/* THREATS 163 */
static void a_damaged_index_is_set_aside(void **state)
{
    struct place *p = *state;
    char *dir = path_join(p->root, "index/xapian");
    header(p, 1, "work/1.7/1", "a@example.org", "Alice", "One", 1700000000, "", "");
    commit(p, 1);
    end_index(p, 0);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char *file = path_join(dir, e->d_name);
        struct err err = ERR_INIT;
        if (e->d_name[0] != '.')
            assert_true(fs_write_atomic(file, 0600, STR("damaged"), &err));
        free(file);
    }
    closedir(d);
    start_index(p);
    assert_true(p->anew);
    header(p, 2, "work/1.7/2", "b@example.org", "Bob", "Two", 1700000000, "", "");
    commit(p, 2);
    notmuch_says(p, "messages", "*", "id:b@example.org\n");
    char *index = path_join(p->root, "index");
    unsigned broken = 0;
    d = opendir(index);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        broken += strncmp(e->d_name, "broken-", 7) == 0;
    closedir(d);
    assert_int_equal(broken, 1);
    free(index);
    free(dir);
}

/* ---- Search ---- */

static void start_search(struct place *p, const char *root)
{
    struct err err = ERR_INIT;
    int fd;
    if (!role_start(ROLE_SEARCH, (const char *const[]){"-c", p->rc, "--store", root, NULL}, -1, &p->search_pid, &fd,
                    &err))
        fail_msg("%s", err.text);
    p->search = chan_new(fd, ROLE_UI, ROLE_SEARCH);
}

static void end_search(struct place *p)
{
    int status;
    chan_free(&p->search);
    assert_int_equal(waitpid(p->search_pid, &status, 0), p->search_pid);
    assert_int_equal(status, 0);
}

static void take_job(void *arg, const struct db_index_job *job)
{
    struct place *p = arg;
    struct err err = ERR_INIT;
    const struct db_msg *m = &job->msg;
    assert_true(SEND(p->index, -1, &err, INDEX_HEADER, .job = ++p->jobs, .path = job->path, .tags = job->tags,
                     .date = m->date, .from_name = m->from_name, .from_addr = m->from_addr, .to = m->to,
                     .subject = m->subject, .msgid = m->msgid, .refs = m->refs));
    assert_true(chan_drain(p->index, clock_mono_ms() + 20000, &err));
}

static uint64_t box_with(struct db *db, const char *name, uint8_t role, uint32_t uidvalidity)
{
    struct err err = ERR_INIT;
    uint64_t id = 0;
    bool dropped;
    struct db_box box = {
        .name = str_z(name), .utf8 = str_z(name), .delim = '/', .role = role, .exists = 1000, .unread = UINT32_MAX};
    if (!db_box_put(db, &box, &id, &err) ||
        !db_box_open(db, id, uidvalidity, 1001, 1000, false, true, STR(""), &dropped, &err))
        fail_msg("%s", err.text);
    return id;
}

/* Message ids say account and uid: "w7@example.org". */
static uint64_t row_with(struct db *db, uint64_t box, uint32_t uid, const char *from, const char *subject, int64_t date,
                         uint32_t flags, uint32_t attrs, const char *keywords)
{
    struct err err = ERR_INIT;
    struct buf id = BUF_INIT(100);
    uint64_t msg = 0;
    buf_addf(&id, "%c%u@example.org", db_account(db)[0], uid);
    struct db_row row = {.box = box,
                         .uid = uid,
                         .flags = flags,
                         .keywords = str_z(keywords),
                         .size = 1000,
                         .date = date,
                         .internal_date = date,
                         .attrs = attrs | ROW_FULL,
                         .from_name = str_z(from),
                         .from_addr = STR("someone@example.org"),
                         .to = STR("bob@example.org"),
                         .subject = str_z(subject),
                         .msgid = buf_str(&id)};
    if (!db_row_put(db, &row, &msg, NULL, &err))
        fail_msg("%s", err.text);
    buf_fini(&id);
    return msg;
}

static void index_all(struct place *p)
{
    struct err err = ERR_INIT;
    assert_true(db_index_next(p->work, INDEX_STAGE_FIRST, 1000, take_job, p, &err));
    assert_true(db_index_next(p->home, INDEX_STAGE_FIRST, 1000, take_job, p, &err));
    commit(p, p->jobs);
}

static int setup_search(void **state)
{
    setup(state);
    struct place *p = *state;
    struct err err = ERR_INIT;
    unsigned opened;
    char *dir = path_join(p->root, "state");
    p->rc = path_join(p->dir, "tuimailrc");
    assert_true(fs_mkdir_private(dir, &err));
    assert_true(fs_write_atomic(p->rc, 0600,
                                STR("account work imaps://alice@imap.example.org\n"
                                    "account home imaps://alice@imap.example.net\n"),
                                &err));
    if (!db_open(dir, "work", false, &p->work, &opened, &err) || !db_open(dir, "home", false, &p->home, &opened, &err))
        fail_msg("%s", err.text);
    free(dir);
    uint64_t inbox = box_with(p->work, "INBOX", BOX_INBOX, 7),
             lists = box_with(p->work, "Lists/c++ \"x\"", BOX_NONE, 9), home = box_with(p->home, "INBOX", BOX_INBOX, 3);
    int64_t now = clock_wall();
    row_with(p->work, inbox, 1, "Alice Example", "Budget for spring", 1700000000, 0, 0, "");
    row_with(p->work, inbox, 2, "Bob Example", "Re: Budget for spring", 1700000100, FLAG_SEEN | FLAG_FLAGGED, 0, "");
    row_with(p->work, inbox, 3, "Carol", "slides and plans", now - 86400, 0, ROW_ATTACHMENT, "todo");
    row_with(p->work, lists, 4, "Dave", "compiler news", now - 40 * 86400, FLAG_SEEN | FLAG_ANSWERED, 0, "");
    row_with(p->work, lists, 5, "Mallory", "cheap compiler", 1700000300, 0, 0, "");
    row_with(p->home, home, 6, "Alice Example", "dinner", 1700000200, 0, 0, "");
    index_all(p);
    assert_true(
        SEND(p->index, -1, &err, INDEX_TAGS, .job = 100, .msgid = STR("w5@example.org"), .tags = STR("spam unread")));
    commit(p, 100);
    start_search(p, p->root);
    return 0;
}

static int teardown_search(void **state)
{
    struct place *p = *state;
    end_search(p);
    db_close(&p->work);
    db_close(&p->home);
    free(p->rc);
    return teardown(state);
}

struct answer {
    uint64_t first; /* the local id of the first hit */
    char ids[4096]; /* "w1 w2 ...", each followed by ! where it has no local id */
    enum err_kind kind;
    char text[401];
    uint32_t count;
};

/* The answer to request `req`; answers to earlier ones are skipped. */
static struct answer answer_to(struct place *p, uint32_t req)
{
    struct answer a = {.count = UINT32_MAX};
    struct err err = ERR_INIT;
    struct msg m;
    size_t n = 0;
    for (;;) {
        if (chan_wait(p->search, clock_mono_ms() + 30000, &m, &err) != 1)
            fail_msg("search is gone: %s", err.text);
        if (m.kind == MSG_HIT && m.u.HIT.req == req) {
            struct str id = m.u.HIT.msgid, rest = id, piece = {NULL, 0};
            str_split(&rest, '@', &piece);
            n += (size_t)snprintf(a.ids + n, sizeof a.ids - n, "%s%.*s%s", n > 0 ? " " : "", STR_FMT(piece),
                                  m.u.HIT.msg == 0 ? "!" : "");
            assert_true(m.u.HIT.subject.n > 0);
            if (a.first == 0)
                a.first = m.u.HIT.msg;
        } else if (m.kind == MSG_HIT_COUNT && m.u.HIT_COUNT.req == req) {
            a.count = m.u.HIT_COUNT.count;
        } else if (m.kind == MSG_QUERY_DONE && m.u.QUERY_DONE.req == req) {
            a.kind = (enum err_kind)m.u.QUERY_DONE.kind;
            memcpy(a.text, m.u.QUERY_DONE.text.p, m.u.QUERY_DONE.text.n);
            return a;
        }
    }
}

static struct answer ask(struct place *p, const char *query, const char *account, uint32_t offset, uint32_t limit)
{
    static uint32_t req;
    struct err err = ERR_INIT;
    assert_true(SEND(p->search, -1, &err, QUERY, .req = ++req, .query = str_z(query), .account = str_z(account),
                     .offset = offset, .limit = limit, .count = 1));
    return answer_to(p, req);
}

static void hits(struct place *p, const char *query, const char *ids)
{
    struct answer a = ask(p, query, "", 0, 100);
    if (a.kind != ERR_NONE || strcmp(a.ids, ids) != 0)
        fail_msg("%s: \"%s\" instead of \"%s\" %s", query, a.ids, ids, a.text);
}

/* What the notmuch command finds, newest first, in the form of answer.ids. */
static void same_as_notmuch(struct place *p, const char *query, const char *notmuch_query)
{
    struct buf config = BUF_INIT(1000), out = BUF_INIT(1 << 20), ids = BUF_INIT(4096);
    struct str line, rest;
    buf_addf(&config, "--config=%s", p->config);
    run((const char *const[]){"notmuch", buf_z(&config), "search", "--output=messages", "--", notmuch_query, NULL},
        &out);
    rest = buf_str(&out);
    while (str_split(&rest, '\n', &line))
        if (line.n > 3) {
            struct str piece;
            line = str_sub(line, 3, line.n); /* "id:" */
            str_split(&line, '@', &piece);
            buf_addf(&ids, "%s%.*s", ids.n > 0 ? " " : "", STR_FMT(piece));
        }
    hits(p, query, buf_z(&ids));
    buf_fini(&config);
    buf_fini(&out);
    buf_fini(&ids);
}

static void answers_equal_those_of_notmuch(void **state)
{
    struct place *p = *state;
    static const char *const same[] = {"budget",
                                       "from:alice",
                                       "tag:unread and not tag:spam",
                                       "subject:\"budget for\"",
                                       "date:..@1700000150 or tag:todo",
                                       "(from:alice or from:bob) and budget",
                                       "compil*"};
    /* spam is hidden unless named */
    for (size_t i = 0; i < COUNT(same); i++) {
        struct buf q = BUF_INIT(1000);
        buf_addf(&q, "(%s) and not tag:spam", same[i]);
        same_as_notmuch(p, same[i], buf_z(&q));
        buf_fini(&q);
    }
    hits(p, "tag:spam", "w5");
    static const char *const pairs[][2] = {
        {"f:alice", "from:alice"},
        {"s:budget t:bob", "subject:budget to:bob"},
        {"is:unread -f:mallory", "tag:unread and not from:mallory"},
        {"is:read", "not tag:unread"},
        {"is:starred or is:replied", "tag:flagged or tag:replied"},
        {"has:todo", "tag:todo"},
        {"newer:7d", "date:7days.. and not tag:spam"},
        {"older:2w (f:dave or f:bob)", "date:..2weeks and (from:dave or from:bob)"},
        {"after:2023-11-15", "date:2023-11-15.. and not tag:spam"},
        {"after:2023-11-14 before:2023-11-15", "date:2023-11-14.. and date:..2023-11-15 and not tag:spam"},
        {"before:2023-11-15 F:Alice", "date:..2023-11-15 and from:alice"},
        {"subject:\"s:budget\"", "subject:\"s:budget\""},
        {"", "not tag:spam"},
        {"*", "not tag:spam"},
        {"  * ", "not tag:spam"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        same_as_notmuch(p, pairs[i][0], pairs[i][1]);
    hits(p, "in:inbox", "w3 h6 w2 w1");
    hits(p, "in:\"Lists/c++ \"\"x\"\"\"", "w4");
    hits(p, "in:inbox and not is:unread", "w2");
}

static void pages_counts_and_accounts(void **state)
{
    struct place *p = *state;
    struct answer a = ask(p, "*", "", 1, 2);
    assert_string_equal(a.ids, "w4 h6");
    assert_int_equal(a.count, 5);
    a = ask(p, "*", "home", 0, 10);
    assert_string_equal(a.ids, "h6");
    assert_int_equal(a.count, 1);
    a = ask(p, "dinner or budget", "work", 0, 10);
    assert_string_equal(a.ids, "w2 w1");
    a = ask(p, "in:inbox", "home", 0, 10);
    assert_string_equal(a.ids, "h6");
    a = ask(p, "*", "", 0, 0);
    assert_string_equal(a.ids, "");
    assert_int_equal(a.count, 5);
    /* what cache.db does not know is found all the same, without a local id */
    header(p, 900, "work/77.1/1", "x1@example.org", "Xaver", "foreign", 1600000000, "", "");
    commit(p, 900);
    hits(p, "foreign", "x1!");
}

/* A hit is a copy that is not deleted, whichever path comes first; an account in which it is deleted does not find it.
 */
static void of_copies_the_one_alive_is_found(void **state)
{
    struct place *p = *state;
    uint64_t trash = box_with(p->work, "Trash", BOX_TRASH, 4), keep = box_with(p->work, "Keep", BOX_NONE, 5);
    row_with(p->work, trash, 30, "Erin", "kelp one", 1700000400, 0, 0, "");
    uint64_t alive = row_with(p->work, keep, 30, "Erin", "kelp one", 1700000400, 0, 0, "");
    index_all(p);
    char path[2][60];
    snprintf(path[0], sizeof path[0], "work/%d.4/30", (int)trash);
    snprintf(path[1], sizeof path[1], "work/%d.5/30", (int)keep);
    for (unsigned turn = 0; turn < 2; turn++) { /* one of the two has its path first */
        tags_job(p, ++p->jobs, path[turn], "deleted work");
        tags_job(p, ++p->jobs, path[!turn], "work");
        commit(p, p->jobs);
        struct answer a = ask(p, "kelp", "", 0, 10);
        assert_string_equal(a.ids, "w30");
        assert_int_equal(a.first, alive); /* by its mailbox */
    }
    /* and one of the other account */
    header(p, ++p->jobs, "home/77.3/1", "w30@example.org", "Erin", "kelp one", 1700000400, "home", "");
    tags_job(p, ++p->jobs, path[0], "deleted work");
    tags_job(p, ++p->jobs, path[1], "deleted work");
    commit(p, p->jobs);
    assert_int_equal(ask(p, "kelp", "work", 0, 10).count, 0);
    assert_int_equal(ask(p, "kelp", "home", 0, 10).count, 1);
    assert_int_equal(ask(p, "kelp", "", 0, 10).count, 1);
    tags_job(p, ++p->jobs, "home/77.3/1", "spam home");
    commit(p, p->jobs);
    assert_int_equal(ask(p, "kelp", "", 0, 10).count, 0);
    assert_int_equal(ask(p, "kelp tag:deleted tag:spam", "work", 0, 10).count, 1);
    assert_int_equal(ask(p, "kelp tag:deleted tag:spam", "home", 0, 10).count, 1);
}

static void bad_queries_are_explained(void **state)
{
    struct place *p = *state;
    static const char *const bad[] = {"date:nonsense..", "newer:soon", "in:nowhere", "is:", "from:/[/"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct answer a = ask(p, bad[i], "", 0, 10);
        if (a.kind != ERR_QUERY || a.text[0] == '\0')
            fail_msg("%s: %s %s", bad[i], err_name(a.kind), a.text);
    }
    assert_non_null(strstr(ask(p, "in:nowhere", "", 0, 1).text, "nowhere"));
    hits(p, "budget", "w2 w1"); /* and it goes on */
    /* odd, but queries */
    ask(p, "((", "", 0, 10);
    ask(p, "\"", "", 0, 10);
    ask(p, "\x1b[31m \xff\xfe and or not", "", 0, 10);
    hits(p, "dinner", "h6");
}

static void a_newer_query_ends_the_older(void **state)
{
    struct place *p = *state;
    struct err err = ERR_INIT;
    for (uint32_t i = 0; i < 20; i++)
        assert_true(SEND(p->search, -1, &err, QUERY, .req = 1000 + i, .query = STR("*"), .limit = 100));
    assert_true(SEND(p->search, -1, &err, QUERY, .req = 2000, .query = STR("dinner"), .limit = 100));
    assert_string_equal(answer_to(p, 2000).ids, "h6");
}

static void a_busy_writer_does_not_disturb(void **state)
{
    struct place *p = *state;
    for (unsigned round = 0; round < 20; round++) {
        char path[40], id[40];
        snprintf(path, sizeof path, "work/50.1/%u", round);
        snprintf(id, sizeof id, "z%u@example.org", round);
        header(p, 1000 + round, path, id, "Zoe", "zebra", 1500000000, "", "");
        struct err err = ERR_INIT;
        assert_true(SEND(p->index, -1, &err, INDEX_COMMIT, .job = 1000 + round)); /* at the same time */
        hits(p, "budget or dinner", "h6 w2 w1");
        expect(p, MSG_INDEX_DONE, 1000 + round);
    }
    struct answer a = ask(p, "zebra", "", 0, 0);
    assert_int_equal(a.count, 20);
}

static void without_an_index(void **state)
{
    struct place *p = *state;
    char *empty = path_join(p->dir, "empty");
    end_search(p);
    start_search(p, empty);
    struct answer a = ask(p, "*", "", 0, 10);
    assert_int_equal(a.kind, ERR_INDEX);
    free(empty);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define SEARCH(f) cmocka_unit_test_setup_teardown(f, setup_search, teardown_search)
    const struct CMUnitTest tests[] = {
        TEST(headers_are_found_and_their_files_go),
        TEST(the_lent_file),
        TEST(a_body_is_indexed_under_the_same_path),
        TEST(a_maildir_is_left_alone),
        TEST(a_stub_that_is_whole_is_forgotten),
        TEST(mail_of_the_world),
        TEST(a_spoofed_id_is_another_message),
        TEST(hostile_mail_fails_alone),
        TEST(only_a_commit_counts),
        TEST(a_damaged_index_is_set_aside),
        SEARCH(answers_equal_those_of_notmuch),
        SEARCH(pages_counts_and_accounts),
        SEARCH(of_copies_the_one_alive_is_found),
        SEARCH(bad_queries_are_explained),
        SEARCH(a_newer_query_ends_the_older),
        SEARCH(a_busy_writer_does_not_disturb),
        SEARCH(without_an_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
