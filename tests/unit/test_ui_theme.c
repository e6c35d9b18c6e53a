/* Themes: files found by name, what may stand in them, and which one a terminal gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ui_fake.h"

static char home[] = "/tmp/tuimail-theme-XXXXXX";

static void write_theme(const char *name, const char *text)
{
    struct err err = ERR_INIT;
    struct buf path = BUF_INIT(4096);
    buf_addf(&path, "%s/tuimail/themes", home);
    assert_true(fs_mkdir_private(buf_z(&path), &err));
    buf_addf(&path, "/%s", name);
    assert_true(fs_write_atomic(buf_z(&path), 0600, str_z(text), &err));
    buf_fini(&path);
}

static int set_up(void **state)
{
    (void)state;
    setenv("XDG_CONFIG_HOME", mkdtemp(home), 1);
    unsetenv("COLORFGBG");
    return 0;
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(home, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static enum thing thing(const char *name)
{
    enum thing t = THING_NORMAL;
    while (theme_things[t] && strcmp(theme_things[t], name) != 0)
        t++;
    assert_non_null(theme_things[t]);
    return t;
}

static bool has(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static void test_those_that_come_along(void **state)
{
    static const char *const classes[] = {"dark", "light", "16", "mono", "contrast", "solarized-dark"};
    (void)state;
    for (const struct theme_text *t = theme_texts; t->name; t++) {
        struct theme theme;
        struct err err = ERR_INIT;
        if (!theme_load(&theme, t->name, &err))
            fail_msg("%s: %s", t->name, err.text);
        for (size_t i = 0; i < THING_ALL && !strcmp(t->name, "mono"); i++)
            assert_true(theme.things[i].fg == -1 && theme.things[i].bg == -1);
        for (size_t i = 0; i < THING_ALL && !strcmp(t->name, "16"); i++)
            assert_true(theme.things[i].fg < 8 && theme.things[i].bg < 8);
        /* where the cursor is, and what is unread, shows in each */
        struct look here = theme_look(&theme, THING_READ | STYLE_CURSOR), row = theme_look(&theme, THING_READ),
                    unread = theme_look(&theme, THING_UNREAD);
        assert_memory_not_equal(&here, &row, sizeof row);
        assert_memory_not_equal(&unread, &row, sizeof row);
    }
    for (size_t i = 0; i < COUNT(classes); i++)
        assert_true(has(theme_names(), classes[i]));
    for (size_t i = 0; i < THING_ALL; i++)
        assert_true(theme_help[i] && *theme_help[i]);
    assert_null(theme_help[THING_ALL]);
}

static void test_own_files(void **state)
{
    struct theme theme;
    struct err err = ERR_INIT;
    (void)state;
    write_theme("night", "# mine\ntheme dark\ncolor unread \"#ff8000\" default underline\n");
    assert_true(has(theme_names(), "night"));
    assert_true(theme_load(&theme, "night", &err));
    assert_int_equal(theme.things[thing("unread")].fg, 0x1ff8000);
    assert_int_equal(theme.things[thing("quote1")].fg, 109);
    write_theme("mono", "color unread red\n"); /* a user's file comes before what comes along */
    assert_true(theme_load(&theme, "mono", &err));
    assert_int_equal(theme.things[thing("unread")].fg, 1);
    struct buf path = BUF_INIT(4096);
    buf_addf(&path, "%s/tuimail/themes/night", home);
    assert_true(theme_load(&theme, buf_z(&path), &err));
    buf_fini(&path);
    write_theme("mono", "theme 16\n");
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"color unread red\ncolor unraed red\n", "themes/bad:2: no thing \"unraed\"; did you mean unread"},
        {"on start run \"touch /tmp/x\"\n", "themes/bad:1: a theme has color lines"},
        {"source /etc/passwd\n", "themes/bad:1: a theme has color lines"},
        {"color unread \"red\n", "themes/bad"},
        {"theme bad\n", "themes that begin with each other"},
        {"theme nowhere-at-all\n", "themes/bad:1: no theme \"nowhere-at-all\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct theme theme, before;
        struct err err = ERR_INIT;
        assert_true(theme_load(&theme, "light", &err));
        before = theme;
        write_theme("bad", bad[i].text);
        assert_false(theme_load(&theme, "bad", &err));
        if (!strstr(err.text, bad[i].says))
            fail_msg("\"%s\" lacks \"%s\"", err.text, bad[i].says);
        assert_memory_equal(&theme, &before, sizeof theme);
    }
    struct theme theme;
    struct err err = ERR_INIT;
    assert_false(theme_load(&theme, "", &err));
    assert_false(theme_load(&theme, "..", &err));
    err = ERR_INIT;
    assert_false(theme_load(&theme, "drak", &err));
    assert_non_null(strstr(err.text, "did you mean dark"));
    write_theme("bad", "color unread red\n");
}

static void test_which_one(void **state)
{
    (void)state;
    assert_string_equal(theme_for(0), "mono");
    assert_string_equal(theme_for(8), "16");
    assert_string_equal(theme_for(256), "dark");
    setenv("COLORFGBG", "0;15", 1);
    assert_string_equal(theme_for(256), "light");
    assert_string_equal(theme_for(16), "16");
    setenv("COLORFGBG", "15;0", 1);
    assert_string_equal(theme_for(1u << 24), "dark");
    unsetenv("COLORFGBG");
}

/* The user's color lines stay on top of each theme; without colours every theme is mono. */
static void test_in_use(void **state)
{
    struct fake_ui f;
    struct theme plain;
    struct err err = ERR_INIT;
    (void)state;
    write_theme("mono", "theme 16\n");
    fake_reset();
    fake_open(&f, 24, 80, "theme light\ncolor subject \"#010203\"\n");
    assert_true(theme_load(&plain, "light", &err));
    assert_int_equal(f.ui->theme.things[thing("subject")].fg, 0x1010203);
    assert_int_equal(f.ui->theme.things[thing("quote1")].fg, plain.things[thing("quote1")].fg);
    ui_run(f.ui, "theme nord");
    assert_int_equal(f.ui->theme.things[thing("normal")].bg, 0x12e3440);
    assert_int_equal(f.ui->theme.things[thing("subject")].fg, 0x1010203);
    ui_run(f.ui, "theme nrod");
    assert_non_null(strstr(f.ui->status, "did you mean nord"));
    assert_int_equal(f.ui->theme.things[thing("normal")].bg, 0x12e3440);
    ui_run(f.ui, "set theme light");
    ui_run(f.ui, "set theme nrod"); /* refused, and the old one is the option's value still */
    assert_non_null(strstr(f.ui->status, "did you mean nord"));
    assert_string_equal(f.ui->conf->theme, "light");
    ui_run(f.ui, "set theme dark");
    assert_int_equal(f.ui->theme.things[thing("quote1")].fg, 109);
    fake_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_those_that_come_along),
        cmocka_unit_test(test_own_files),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_which_one),
        cmocka_unit_test(test_in_use),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
