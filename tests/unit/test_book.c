/* client/book: directories of vCard files, the order of what is found, and query commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/book.h"

static char dir[] = "/tmp/tuimail-test-book-XXXXXX";

static void put(const char *name, const char *text)
{
    struct err err = ERR_INIT;
    char *path = path_join(dir, name);
    /* another time of the directory, whatever the clock's grain */
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    static long second = 1000;
    assert_true(fs_write_atomic(path, 0600, str_z(text), &err));
    times[1].tv_sec = ++second;
    assert_int_equal(utimensat(AT_FDCWD, dir, times, 0), 0);
    free(path);
}

static const char *found(const struct book *b, const char *prefix)
{
    static char out[1000];
    struct founds f = {.n = 0};
    book_find(b, str_z(prefix), 50, &f);
    founds_sort(&f);
    out[0] = '\0';
    for (size_t i = 0; i < f.n; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s <%s>;", f.list[i].name, f.list[i].addr);
    founds_free(&f);
    return out;
}

static void read_all(struct book *b)
{
    while (book_step(b, 1))
        continue;
}

static void test_book(void **state)
{
    (void)state;
    put("a.vcf",
        "BEGIN:VCARD\r\nUID:u1\r\nFN:Alice Example\r\nNICKNAME:Liz\r\nEMAIL:alice@example.org\r\nEND:VCARD\r\n");
    put("b.VCF", "BEGIN:VCARD\r\nFN:Bob Builder\r\nEMAIL:bob@example.net\r\nEMAIL:b@work.example\r\nEND:VCARD\r\n");
    put("g.vcf", "BEGIN:VCARD\r\nKIND:group\r\nFN:Team\r\nMEMBER:urn:uuid:u1\r\nMEMBER:mailto:bob@example.net\r\n"
                 "MEMBER:urn:uuid:gone\r\nEND:VCARD\r\n");
    put("notes.txt", "BEGIN:VCARD\r\nFN:No\r\nEMAIL:no@example.org\r\nEND:VCARD\r\n");
    put("broken.vcf", "BEGIN:VCARD\r\nFN:Cut");
    char both[200];
    snprintf(both, sizeof both, "%s/none:%s", dir, dir);
    struct book *b = book_new(both);
    assert_string_equal(found(b, ""), "");
    read_all(b);
    assert_int_equal(book_unread(b), 1);
    assert_string_equal(found(b, "ali"), "Alice Example <alice@example.org>;");
    assert_string_equal(found(b, "liz"), "Alice Example <alice@example.org>;");
    assert_string_equal(found(b, "example ali"), "Alice Example <alice@example.org>;");
    assert_string_equal(found(b, "ice"), "");
    assert_string_equal(found(b, "work"), "Bob Builder <b@work.example>;");
    assert_string_equal(found(b, "team"), "Team <alice@example.org, bob@example.net>;");
    assert_string_equal(found(b, "no@"), "");
    /* nothing changed: nothing is read; then a card goes and another comes */
    assert_false(book_step(b, 1));
    char *path = path_join(dir, "b.VCF");
    unlink(path);
    free(path);
    put("c.vcf", "BEGIN:VCARD\r\nFN:Carol\r\nEMAIL:carol@example.org\r\nEND:VCARD\r\n");
    assert_true(book_step(b, 1));
    assert_string_equal(found(b, "work"), "Bob Builder <b@work.example>;"); /* what is known serves meanwhile */
    read_all(b);
    assert_string_equal(found(b, "work"), "");
    assert_string_equal(found(b, "car"), "Carol <carol@example.org>;");
    book_free(&b);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* A directory of such directories, as vdirsyncer keeps it, and one file of many cards with their photos: read in small
 * pieces, found by each word, whatever its case and accents. */
static void test_layouts(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char *top = path_join(dir, "contacts"), *work = path_join(top, "work"), *hidden = path_join(top, ".cache");
    char *many = path_join(dir, "many.vcf"), *one = path_join(work, "one.vcf"), *no = path_join(hidden, "no.vcf");
    assert_true(fs_mkdir_private(top, &err) && fs_mkdir_private(work, &err) && fs_mkdir_private(hidden, &err));
    assert_true(fs_write_atomic(
        one, 0600, STR("BEGIN:VCARD\r\nFN:J\xc3\xb6rg Work\r\nEMAIL:jw@example.org\r\nEND:VCARD\r\n"), &err));
    assert_true(fs_write_atomic(no, 0600, STR("BEGIN:VCARD\r\nFN:No\r\nEMAIL:no@example.org\r\nEND:VCARD\r\n"), &err));
    struct buf text = BUF_INIT(16u << 20);
    for (unsigned i = 0; i < 5000; i++) {
        buf_addf(&text, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Person N%u\r\nPHOTO;ENCODING=b:", i);
        for (unsigned k = 0; k < 10; k++)
            buf_addz(&text, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg==\r\n ");
        buf_addf(&text, "\r\nEMAIL:p%u@many.example\r\nEND:VCARD\r\n", i);
    }
    assert_true(fs_write_atomic(many, 0600, buf_str(&text), &err));
    char both[300];
    snprintf(both, sizeof both, "%s:%s", top, many);
    struct book *b = book_new(both);
    unsigned steps = 0;
    while (book_step(b, 65536))
        steps++;
    assert_true(steps > 50); /* in pieces */
    assert_int_equal(book_unread(b), 0);
    assert_string_equal(found(b, "jorg"), "J\xc3\xb6rg Work <jw@example.org>;");
    assert_string_equal(found(b, "J\xc3\x96RG w"), "J\xc3\xb6rg Work <jw@example.org>;");
    assert_string_equal(found(b, "no@"), "");
    assert_string_equal(found(b, "person n4711"), "Person N4711 <p4711@many.example>;");
    assert_string_equal(found(b, "p4999@many.ex"), "Person N4999 <p4999@many.example>;");
    assert_string_equal(found(b, "n12345678"), "");
    struct founds f = {.n = 0};
    book_find(b, STR("pers"), 50, &f);
    assert_int_equal(f.n, 50);
    founds_free(&f);
    /* a folder's change is seen */
    assert_false(book_step(b, 65536));
    assert_int_equal(unlink(one), 0);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 77}};
    assert_int_equal(utimensat(AT_FDCWD, work, times, 0), 0);
    while (book_step(b, 65536))
        continue;
    assert_string_equal(found(b, "jorg"), "");
    book_free(&b);
    unlink(no);
    unlink(many);
    rmdir(hidden);
    rmdir(work);
    rmdir(top);
    char *const all[] = {top, work, hidden, many, one, no};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
    buf_fini(&text);
}

/* As servers keep them: collections within collections, each card a file of its own, links that lead round; and another
 * program at work in them meanwhile. */
static void test_nested(void **state)
{
    (void)state;
    enum { CARDS = 10000 };
    struct err err = ERR_INIT;
    char top[100], deep[300], path[400], to[400];
    snprintf(top, sizeof top, "%s/collection-root", dir);
    snprintf(deep, sizeof deep, "%s", top);
    static const char *const below[] = {"", "/alice", "/b5f1", "/more", "/and", "/on"};
    for (size_t i = 0; i < COUNT(below); i++) {
        snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "%s", below[i]);
        assert_true(fs_mkdir_private(deep, &err));
    }
    snprintf(path, sizeof path, "%s/round", deep);
    assert_int_equal(symlink(top, path), 0);
    for (unsigned i = 0; i < CARDS; i++) {
        struct buf card = BUF_INIT(400);
        snprintf(to, sizeof to, "%s/%u.vcf", deep, i);
        buf_addf(&card, "BEGIN:VCARD\r\nFN:Nested N%u\r\nEMAIL:n%u@deep.example\r\nEND:VCARD\r\n", i, i);
        FILE *f = fopen(to, "w");
        assert_true(f && fwrite(card.p, 1, card.n, f) == card.n && fclose(f) == 0);
        buf_fini(&card);
    }
    struct book *b = book_new(top);
    for (unsigned i = 0; i < 20; i++) /* some of it is read */
        assert_true(book_step(b, 65536));
    for (unsigned i = 0; i < CARDS; i += 2) { /* each gets another name, and the last card another address */
        snprintf(path, sizeof path, "%s/%u.vcf", deep, i);
        snprintf(to, sizeof to, "%s/%u-new.vcf", deep, i);
        assert_int_equal(rename(path, to), 0);
    }
    snprintf(to, sizeof to, "%s/%u.vcf", deep, CARDS - 1);
    snprintf(path, sizeof path, "%s/.tmp.vcf", deep);
    assert_true(
        fs_write_atomic(path, 0600, STR("BEGIN:VCARD\r\nFN:Last\r\nEMAIL:l@deep.example\r\nEND:VCARD\r\n"), &err) &&
        rename(path, to) == 0);
    for (unsigned i = 0; i < 2; i++) /* what came meanwhile is seen the next time */
        while (book_step(b, 65536))
            continue;
    assert_false(book_step(b, 65536));
    assert_int_equal(book_unread(b), 0);
    static const unsigned some[] = {0, 1, 4998, 4999, CARDS - 3, CARDS - 2};
    for (size_t i = 0; i < COUNT(some); i++) {
        char want[100], words[40];
        snprintf(words, sizeof words, "nested n%u", some[i]);
        snprintf(want, sizeof want, "Nested N%u <n%u@deep.example>;", some[i], some[i]);
        assert_non_null(strstr(found(b, words), want));
    }
    assert_string_equal(found(b, "nested n9999"), "");
    assert_string_equal(found(b, "l@deep"), "Last <l@deep.example>;");
    book_free(&b);
    char *argv = path_join(dir, "collection-root");
    assert_int_equal(nftw(argv, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(argv);
}

static void test_order(void **state)
{
    (void)state;
    struct founds f = {.n = 0};
    founds_add(&f, STR("Book"), STR("book@example.org"), 0);
    founds_add(&f, STR(""), STR("old@example.org"), 3);
    founds_add(&f, STR("New"), STR("new@example.org"), 4);
    founds_add(&f, STR("Often"), STR("often@example.org"), 2);
    founds_add(&f, STR("Old"), STR("OLD@example.org"), 0);
    founds_add(&f, STR("Often"), STR("Often@Example.org"), 9);
    founds_sort(&f);
    static const char *const want[] = {"often@example.org", "new@example.org", "old@example.org", "book@example.org"};
    assert_int_equal(f.n, COUNT(want));
    for (size_t i = 0; i < f.n; i++)
        assert_string_equal(f.list[i].addr, want[i]);
    assert_string_equal(f.list[2].name, "Old");
    founds_free(&f);
}

static void test_query(void **state)
{
    (void)state;
    static const struct {
        const char *option, *want;
    } commands[] = {
        {"lbdbq", "lbdbq \"$1\""},
        {"khard email --parsable %s", "khard email --parsable \"$1\""},
        {"abook --mutt-query '%s'", "abook --mutt-query \"$1\""},
        {"x \"%s\" | sort", "x \"$1\" | sort"},
    };
    for (size_t i = 0; i < COUNT(commands); i++) {
        struct buf out = BUF_INIT(1000);
        query_command(commands[i].option, &out);
        assert_string_equal(buf_z(&out), commands[i].want);
        buf_fini(&out);
    }
    struct founds f = {.n = 0};
    query_parse(STR("searching ... 3 found\na@b.c\tAl Ex\tnote\nno address\tx\nb@b.c\t\r\nc@b.c\x01\ty\n\n"), 50, &f);
    assert_int_equal(f.n, 2);
    assert_string_equal(f.list[0].name, "Al Ex");
    assert_string_equal(f.list[1].addr, "b@b.c");
    query_parse(STR("d@b.c\tD\ne@b.c\tE\n"), 1, &f);
    assert_int_equal(f.n, 3);
    founds_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_book), cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_nested), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_query)};
    if (!mkdtemp(dir))
        return 1;
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const names[] = {"a.vcf", "c.vcf", "g.vcf", "notes.txt", "broken.vcf"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char *path = path_join(dir, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(dir);
    return status;
}
