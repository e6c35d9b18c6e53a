/* Text in fields of the grid: right-to-left text as a reader meets it, and no subject that breaks a column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "corpus.h"
#include "mail/mail.h"
#include "ui/bidi.h"

#define COLS 24

static struct grid g;
static const struct rect row = {0, 1, 1, COLS - 1};

static int setup(void **state)
{
    (void)state;
    grid_init(&g);
    grid_resize(&g, 1, COLS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    grid_fini(&g);
    return 0;
}

/* The row behind its first column, as it is drawn. */
static void shows(const char *want)
{
    struct buf out = BUF_INIT(1000);
    grid_print(&g, false, &out);
    assert_string_equal(buf_z(&out), want);
    buf_fini(&out);
}

static void draw(const char *words, unsigned n, bool rtl)
{
    struct buf clean = BUF_INIT(1000);
    struct text t = text_from_bytes(str_z(words), TEXT_LINE, &clean);
    grid_clear(&g, 0);
    grid_text(&g, row, 0, 0, t, 0);
    bidi_cells(&g, row, 0, 0, n ? n : t.cols, rtl);
    buf_fini(&clean);
}

static void test_direction(void **state)
{
    (void)state;
    assert_false(bidi_is_rtl(STR("")));
    assert_false(bidi_is_rtl(STR("12 - Re: שלום")));
    assert_true(bidi_is_rtl(STR("12 - שלום Re:")));
    assert_true(bidi_is_rtl(STR("سلام")));
    assert_false(bidi_is_rtl(STR("\xff\xfeשלום"))); /* not UTF-8: nothing is known of it */
}

static void test_hebrew(void **state)
{
    (void)state;
    draw("Re: שלום (2) x", 0, false);
    shows(" Re: (2) םולש x\n");
    draw("שלום (a) 12", 0, true);
    shows(" 12 (a) םולש\n");
    draw("שלום.", 10, true); /* the line begins at its right end, the stop is behind the last word */
    shows("      .םולש\n");
    draw("plain", 10, true); /* a line of Latin in such a paragraph */
    shows("      plain\n");
    draw("plain (b)", 0, false);
    shows(" plain (b)\n");
}

/* Marks stay with their letter, wide cells whole, and letters take the form of their place. */
static void test_clusters(void **state)
{
    (void)state;
    draw("שָׁל見本", 0, true);
    shows(" 見本לשָׁ\n");
    draw("سلا", 0, true);
    shows(" \xef\xba\x8e\xef\xbb\xa0\xef\xba\xb3\n"); /* final alef, medial lam, initial seen: three cells */
}

static void test_styles_go_with_the_letters(void **state)
{
    (void)state;
    draw("אב", 0, true);
    g.cells[1].style = 7; /* drawn first: ב */
    bidi_cells(&g, row, 0, 0, 2, true);
    assert_memory_equal(g.cells[1].p, "א", 2);
    assert_int_equal(g.cells[2].style, 7);
}

static void test_modes(void **state)
{
    (void)state;
    g.bidi = BIDI_OFF;
    draw("x שלום", 0, false);
    shows(" x שלום\n");
    assert_false(g.reordered);
    g.bidi = BIDI_TERMINAL; /* isolates, before and behind */
    draw("x שלום", 0, false);
    shows(" \xe2\x81\xa8x שלום\xe2\x81\xa9\n");
    assert_false(g.reordered);
    g.bidi = BIDI_REORDER;
    draw("x y", 0, false);
    assert_false(g.reordered);
    draw("x ש", 0, false);
    assert_true(g.reordered);
}

/* Whatever comes: the same cells in another order, no wide one cut, nothing outside touched. */
static void test_any_bytes(void **state)
{
    static const char *const pieces[] = {
        "ש", "ل", "ا", "a", "見", "1", " ", "(", "]", "\xf0\x9f\x91\xa9", "é", "שָׁ", "\xff", "\xe2\x80\xae", "\xd9\xa3"};
    uint32_t seed = 3;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct buf words = BUF_INIT(400);
        unsigned sum = 0, after = 0, x = 0;
        for (unsigned k = 0; k < 18; k++) {
            seed = seed * 1664525u + 1013904223u;
            buf_addz(&words, pieces[(seed >> 16) % COUNT(pieces)]);
        }
        g.bidi = BIDI_OFF;
        draw(buf_z(&words), 0, false);
        buf_fini(&words);
        for (unsigned i = 0; i < COLS; i++)
            sum += g.cells[i].cols * 3 + (g.cells[i].n > 1);
        g.bidi = BIDI_REORDER;
        bidi_cells(&g, row, 0, 0, seed >> 16 & 31, seed & 1u << 20);
        for (unsigned i = 0; i < COLS; i++)
            after += g.cells[i].cols * 3 + (g.cells[i].n > 1);
        assert_int_equal(after, sum);
        for (; x < COLS; x += g.cells[x].cols) {
            assert_int_not_equal(g.cells[x].n, 0);
            if (g.cells[x].cols == 2)
                assert_int_equal(g.cells[x + 1].n, 0);
        }
        assert_int_equal(x, COLS);
        assert_int_equal(g.cells[0].p[0], ' ');
    }
}

/* A field between two bars, as rows have them. */
static void in_a_field(struct str raw)
{
    struct buf words = BUF_INIT(1u << 20), clean = BUF_INIT(1u << 20);
    const struct rect all = {0, 0, 1, COLS};
    mail_words_decode(raw, &words);
    struct text t = text_from_bytes(buf_str(&words), TEXT_FOLD_SPACE, &clean);
    for (unsigned width = 1; width < COLS - 2; width += 5) {
        unsigned x = 0, last = 0;
        grid_clear(&g, 0);
        grid_text(&g, all, 0, 0, TEXT("|"), 0);
        grid_text(&g, all, 0, 1 + width, TEXT("|"), 0);
        grid_field(&g, all, 0, 1, width, t, 0);
        bidi_cells(&g, all, 0, 1, width, bidi_is_rtl((struct str){t.p, t.n}));
        for (; x < COLS; last = x, x += g.cells[x].cols)
            if (!g.cells[x].n || !g.cells[x].cols || !utf8_valid((struct str){g.cells[x].p, g.cells[x].n}))
                fail_msg("column %u of \"%.*s\"", x, STR_FMT(raw));
        assert_int_equal(x, COLS);
        assert_true(last < COLS && g.cells[0].p[0] == '|' && g.cells[1 + width].p[0] == '|');
    }
    buf_fini(&words);
    buf_fini(&clean);
}

static void fields_of(const char *path)
{
    struct buf file = BUF_INIT(1u << 16), field = BUF_INIT(1u << 16);
    struct err err = ERR_INIT;
    fs_read(path, 1u << 16, &file, &err); /* what is longer is cut, and good enough */
    struct str rest = buf_str(&file), line;
    while (str_split(&rest, '\n', &line)) {
        if (line.n && (line.p[0] == ' ' || line.p[0] == '\t')) {
            buf_adds(&field, line);
            continue;
        }
        if (field.n)
            in_a_field(buf_str(&field));
        buf_reset(&field);
        if (str_case_starts(line, STR("subject:")) || str_case_starts(line, STR("from:")))
            buf_adds(&field, line);
    }
    buf_fini(&file);
    buf_fini(&field);
}

static void test_every_subject_of_the_corpora(void **state)
{
    (void)state;
    corpus_each(fields_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_direction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hebrew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clusters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_styles_go_with_the_letters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_subject_of_the_corpora, setup, teardown),
    };
    return cmocka_run_group_tests_name("bidi", tests, NULL, NULL);
}
