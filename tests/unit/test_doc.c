/* doc: the display document, written, read with hostile bytes, wrapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/doc.h"

static struct doc *read_back(const struct buf *b, size_t step)
{
    struct doc *d = doc_new();
    struct err err = ERR_INIT;
    for (size_t i = 0; i < b->n; i += step)
        assert_true(doc_feed(d, str_sub(buf_str(b), i, i + step), &err));
    return d;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1u << 20);
    struct doc_span spans[] = {{.from = 3, .to = 8, .kind = DOC_SPAN_LINK, .link = 7},
                               {.from = 9, .to = 99, .kind = DOC_SPAN_STRONG}};
    assert_true(
        doc_put(&b, &(struct doc_item){.kind = DOC_HEADER, .name = STR("Subject"), .text = STR("a\r\n b\t c")}));
    assert_true(doc_put(&b, &(struct doc_item){.kind = DOC_PART,
                                               .number = 3,
                                               .parent = 1,
                                               .flags = DOC_PART_ATTACHMENT,
                                               .size = UINT64_C(5000000000),
                                               .name = STR("a/b"),
                                               .text = STR("x\x1b.txt")}));
    assert_true(doc_put(&b, &(struct doc_item){.kind = DOC_TEXT,
                                               .level = 2,
                                               .style = DOC_SIGNATURE,
                                               .text = STR("\x1b\xc3\xa4 \tlink\x80 end"),
                                               .spans = spans,
                                               .nspans = 2}));
    for (size_t step = 1; step < b.n; step += 7) {
        struct doc *d = read_back(&b, step);
        assert_int_equal(doc_count(d), 3);
        const struct doc_item *h = doc_named(d, DOC_HEADER, "subject"), *p = doc_at(d, 1), *t = doc_at(d, 2);
        assert_true(str_eqz(h->text, "a b c"));
        assert_true(p->number == 3 && p->parent == 1 && p->flags == DOC_PART_ATTACHMENT &&
                    p->size == UINT64_C(5000000000));
        assert_null(memchr(p->text.p, 0x1b, p->text.n)); /* THREATS 115 */
        assert_int_equal(t->nspans, 2);
        assert_int_equal(t->level, 2);
        assert_int_equal(t->style, DOC_SIGNATURE);
        struct str link = str_sub(t->text, t->spans[0].from, t->spans[0].to);
        assert_true(str_find(link, 'l', &(size_t){0}) && t->spans[0].link == 7);
        assert_int_equal(t->spans[1].to, t->text.n);
        assert_null(doc_at(d, 3));
        doc_free(&d);
    }
    buf_fini(&b);
}

static void test_long_line(void **state)
{
    (void)state;
    struct buf line = BUF_INIT(8u << 20), b = BUF_INIT(16u << 20);
    for (int i = 0; i < 100000; i++)
        buf_addz(&line, "\xc3\xa4x");
    assert_true(doc_put(&b, &(struct doc_item){.kind = DOC_TEXT, .text = buf_str(&line)}));
    struct doc *d = read_back(&b, 49152);
    size_t sum = 0;
    for (size_t i = 0; i < doc_count(d); i++)
        sum += doc_at(d, i)->text.n;
    assert_int_equal(sum, line.n);
    doc_free(&d);
    buf_fini(&line);
    buf_fini(&b);
}

/* Damage of any kind ends the document with an error and keeps what was read. */
static void test_hostile(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1u << 20);
    struct doc_span span = {.from = 0, .to = 2, .kind = 1};
    doc_put(&b, &(struct doc_item){.kind = DOC_TEXT, .text = STR("ok")});
    size_t first = b.n;
    doc_put(&b,
            &(struct doc_item){.kind = DOC_TEXT, .text = STR("text"), .name = STR("n"), .spans = &span, .nspans = 1});
    for (size_t i = first; i < b.n; i++) {
        for (int v = 0; v < 256; v += 51) {
            struct doc *d = doc_new();
            struct err err = ERR_INIT;
            struct buf bad = BUF_INIT(1u << 20);
            buf_adds(&bad, buf_str(&b));
            bad.p[i] = (char)v;
            doc_feed(d, buf_str(&bad), &err);
            assert_true(doc_count(d) >= 1);
            for (size_t k = 0; k < doc_count(d); k++)
                for (size_t s = 0; s < doc_at(d, k)->nspans; s++)
                    assert_true(doc_at(d, k)->spans[s].from <= doc_at(d, k)->spans[s].to &&
                                doc_at(d, k)->spans[s].to <= doc_at(d, k)->text.n);
            buf_fini(&bad);
            doc_free(&d);
        }
    }
    struct doc *d = doc_new();
    struct err err = ERR_INIT;
    assert_false(doc_feed(d, STR("\xff\xff\xff\xff"), &err));
    assert_int_equal(err.kind, ERR_PARSE);
    assert_false(doc_feed(d, STR("more"), &err));
    doc_free(&d);
    buf_fini(&b);
}

static void test_item_limit(void **state)
{
    (void)state;
    struct buf one = BUF_INIT(1000);
    doc_put(&one, &(struct doc_item){.kind = DOC_TEXT, .text = STR("x")});
    struct doc *d = doc_new();
    struct err err = ERR_INIT;
    bool ok = true;
    for (int i = 0; i < DOC_MAX_ITEMS + 1; i++)
        ok = doc_feed(d, buf_str(&one), &err);
    assert_false(ok);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(doc_count(d), DOC_MAX_ITEMS);
    doc_free(&d);
    buf_fini(&one);
}

struct wrapped {
    struct str text;
    struct buf out;
    size_t lines;
};

static void on_line(void *arg, size_t from, size_t to)
{
    struct wrapped *w = arg;
    assert_true(from <= to && to <= w->text.n);
    buf_adds(&w->out, str_sub(w->text, from, to));
    buf_addc(&w->out, '|');
    w->lines++;
}

static void wrap(const char *text, unsigned cols, enum doc_style style, const char *want)
{
    struct doc_item it = {.kind = DOC_TEXT, .style = (uint8_t)style, .text = str_z(text)};
    struct wrapped w = {.text = it.text, .out = BUF_INIT(1u << 20)};
    doc_wrap(&it, cols, on_line, &w);
    if (!str_eqz(buf_str(&w.out), want))
        fail_msg("\"%s\" at %u: %s, want %s", text, cols, buf_z(&w.out), want);
    buf_fini(&w.out);
}

static void test_wrap(void **state)
{
    (void)state;
    wrap("", 10, DOC_PLAIN, "|");
    wrap("short", 10, DOC_PLAIN, "short|");
    wrap("one two three", 7, DOC_PLAIN, "one two|three|");
    wrap("one two three", 8, DOC_PLAIN, "one two|three|");
    wrap("one   two", 4, DOC_PLAIN, "one|two|");
    wrap("abcdefghij", 4, DOC_PLAIN, "abcd|efgh|ij|");
    wrap("ab abcdefghij", 4, DOC_PLAIN, "ab|abcd|efgh|ij|");
    wrap("one two ", 7, DOC_PLAIN, "one two |");
    wrap("  in", 10, DOC_PLAIN, "  in|");
    wrap("one two", 5, DOC_PRE, "one t|wo|");
    wrap("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4, DOC_PLAIN, "\xe6\x97\xa5\xe6\x9c\xac|\xe8\xaa\x9e|");
    wrap("\xe6\x97\xa5\xe6\x9c\xac", 1, DOC_PLAIN, "\xe6\x97\xa5|\xe6\x9c\xac|");
    wrap("a", 0, DOC_PLAIN, "a|");
    wrap("e\xcc\x81"
         "e\xcc\x81",
         1, DOC_PLAIN, "e\xcc\x81|e\xcc\x81|");
}

/* THREATS 121: a 5 MB line, of blanks, of words, of one word. */
static void test_wrap_long(void **state)
{
    (void)state;
    static const char *const pieces[] = {" ", "word ", "x", "\xe6\x97\xa5"};
    for (size_t k = 0; k < COUNT(pieces); k++) {
        struct buf b = BUF_INIT(8u << 20);
        while (b.n < 5000000)
            buf_addz(&b, pieces[k]);
        struct doc_item it = {.kind = DOC_TEXT, .text = buf_str(&b)};
        struct wrapped w = {.text = it.text, .out = BUF_INIT(16u << 20)};
        doc_wrap(&it, 80, on_line, &w);
        assert_true(w.lines >= 1);
        buf_fini(&w.out);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_long_line), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_item_limit), cmocka_unit_test(test_wrap),      cmocka_unit_test(test_wrap_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
