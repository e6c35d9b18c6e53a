/* What is written to the terminal, replayed by a small terminal that knows no more than it must: after each frame it
 * has to show the grid, whatever was there before and whatever the terminal lacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <wchar.h>

#include "ui/paint.h"

enum { ROWS_MAX = 30, COLS_MAX = 60, FRAMES = 400 };

/* ---- a terminal ---- */
struct spot {
    char p[CELL_BYTES];
    unsigned n; /* 0: right half */
    bool wide;
    int32_t fg, bg;
    unsigned attributes;
    char link[120];
};
struct screen {
    struct spot cells[ROWS_MAX][COLS_MAX], pen;
    unsigned rows, cols, y, x, top, bottom;
    bool pending, bce, hidden, doubtful; /* doubtful: emoji and marks move its cursor as they like */
    unsigned seed;
};

static struct spot empty_of(const struct screen *s)
{
    return (struct spot){.p = " ", .n = 1, .fg = -1, .bg = s->bce ? s->pen.bg : -1};
}

static void put(struct screen *s, const char *p, unsigned n, unsigned cols, bool doubtful)
{
    assert_false(s->pending); /* nothing relies on wrapping */
    assert_true(s->x + cols <= s->cols);
    for (unsigned i = 0; i < cols; i++) { /* half of what was wide is garbage */
        struct spot *c = &s->cells[s->y][s->x + i];
        if (c->n == 0 && s->x + i > 0)
            memcpy(s->cells[s->y][s->x + i - 1].p, "#", 2);
        if (c->wide && s->x + i + 1 < s->cols)
            s->cells[s->y][s->x + i + 1] = (struct spot){.p = "#", .n = 1};
    }
    struct spot *c = &s->cells[s->y][s->x];
    *c = s->pen;
    memcpy(c->p, p, n);
    c->n = n;
    c->wide = cols == 2;
    if (cols == 2) {
        c[1] = s->pen;
        c[1].n = 0;
    }
    s->x += cols;
    if (s->x == s->cols) {
        s->x--;
        s->pending = true;
    } else if (doubtful && s->doubtful) {
        s->x = MIN(s->x + s->seed++ % 3, s->cols - 1);
    }
}

static void sgr(struct screen *s, const unsigned *v, unsigned n)
{
    static const uint8_t ons[] = {0, ATTR_BOLD, ATTR_DIM, ATTR_ITALIC, ATTR_UNDERLINE, 0, 0, ATTR_REVERSE};
    for (unsigned i = 0; i < n; i++) {
        int32_t *ground = v[i] / 10 == 4 || v[i] / 10 == 10 ? &s->pen.bg : &s->pen.fg;
        if (v[i] == 0) {
            s->pen.fg = s->pen.bg = -1;
            s->pen.attributes = 0;
        } else if (v[i] < 8) {
            assert_int_not_equal(ons[v[i]], 0);
            s->pen.attributes |= ons[v[i]];
        } else if (v[i] == 22) {
            s->pen.attributes &= ~(unsigned)(ATTR_BOLD | ATTR_DIM);
        } else if (v[i] > 22 && v[i] < 28) {
            s->pen.attributes &= ~(unsigned)ons[v[i] - 20];
        } else if (v[i] == 39 || v[i] == 49) {
            *ground = -1;
        } else if ((v[i] == 38 || v[i] == 48) && v[i + 1] == 5) {
            *ground = (int32_t)v[i + 2];
            i += 2;
        } else if ((v[i] == 38 || v[i] == 48) && v[i + 1] == 2) {
            *ground = (int32_t)(0x1000000 | v[i + 2] << 16 | v[i + 3] << 8 | v[i + 4]);
            i += 4;
        } else if ((v[i] >= 90 && v[i] < 98) || (v[i] >= 100 && v[i] < 108)) {
            *ground = (int32_t)(v[i] % 10 + 8);
        } else {
            assert_true((v[i] >= 30 && v[i] < 38) || (v[i] >= 40 && v[i] < 48));
            *ground = (int32_t)(v[i] % 10);
        }
    }
}

static void roll(struct screen *s, int by)
{
    unsigned n = s->bottom - s->top;
    if (by > 0)
        memmove(s->cells[s->top], s->cells[s->top + 1], n * sizeof s->cells[0]);
    else
        memmove(s->cells[s->top + 1], s->cells[s->top], n * sizeof s->cells[0]);
    for (unsigned x = 0; x < s->cols; x++)
        s->cells[by > 0 ? s->bottom : s->top][x] = empty_of(s);
}

static void erase(struct screen *s, unsigned y, unsigned from, unsigned to)
{
    if (from > 0 && s->cells[y][from].n == 0)
        s->cells[y][from - 1] = (struct spot){.p = "#", .n = 1};
    if (to < s->cols && s->cells[y][to].n == 0)
        s->cells[y][to] = (struct spot){.p = "#", .n = 1};
    for (unsigned x = from; x < to; x++)
        s->cells[y][x] = empty_of(s);
}

static size_t csi(struct screen *s, const char *p)
{
    unsigned v[16] = {0}, n = 0;
    size_t i = 2;
    bool private = p[i] == '?';
    i += private;
    for (; (p[i] >= '0' && p[i] <= '9') || p[i] == ';'; i++)
        if (p[i] == ';') {
            n++;
            assert_true(n < COUNT(v));
        } else
            v[n] = v[n] * 10 + (unsigned)(p[i] - '0');
    n++;
    unsigned one = MAX(v[0], 1u);
    if (p[i] != 'm' && !private)
        s->pending = s->pending && p[i] == 'K';
    switch (p[i]) {
    case 'H':
        s->y = one - 1;
        s->x = MAX(v[1], 1u) - 1;
        break;
    case 'G':
        s->x = one - 1;
        break;
    case 'C':
        s->x += one;
        break;
    case 'K':
        erase(s, s->y, s->x, s->cols);
        break;
    case 'X':
        assert_true(s->x + one <= s->cols);
        erase(s, s->y, s->x, s->x + one);
        break;
    case 'J':
        assert_int_equal(v[0], 2);
        for (unsigned y = 0; y < s->rows; y++)
            erase(s, y, 0, s->cols);
        break;
    case 'r':
        s->top = one - 1;
        s->bottom = v[1] ? v[1] - 1 : s->rows - 1;
        assert_true(s->top < s->bottom && s->bottom < s->rows);
        s->y = s->x = 0;
        break;
    case 'm':
        sgr(s, v, n);
        break;
    case 'h':
    case 'l':
        assert_int_equal(v[0], 25);
        s->hidden = p[i] == 'l';
        break;
    default:
        fail_msg("unknown sequence ending in %c", p[i]);
    }
    assert_true(s->x < s->cols && s->y < s->rows);
    return i + 1;
}

/* OSC 8 and nothing else: all of it printing ASCII. */
static size_t osc(struct screen *s, const char *p)
{
    const char *end = strstr(p, "\033\\"), *target;
    assert_true(!strncmp(p, "\033]8;", 4) && end);
    for (const char *c = p + 1; c < end; c++)
        assert_true(*c > ' ' && *c < 0x7f);
    target = strchr(p + 4, ';') + 1;
    snprintf(s->pen.link, sizeof s->pen.link, "%.*s", (int)(end - target), target);
    return (size_t)(end - p) + 2;
}

static void replay(struct screen *s, const char *p)
{
    while (*p) {
        uint32_t cp;
        struct str rest = str_z(p);
        if (p[0] == '\033' && p[1] == '[') {
            p += csi(s, p);
        } else if (p[0] == '\033' && p[1] == ']') {
            p += osc(s, p);
        } else if (p[0] == '\033') {
            assert_int_equal(p[1], 'M');
            s->y == s->top ? roll(s, -1) : (void)s->y--;
            p += 2;
        } else if (*p == '\r') {
            s->x = 0;
            s->pending = false;
            p++;
        } else if (*p == '\n') {
            s->y == s->bottom ? roll(s, 1) : (void)s->y++;
            p++;
        } else {
            assert_true((unsigned char)*p >= ' ');
            size_t n = utf8_decode(rest, &cp);
            int w = wcwidth((wchar_t)cp);
            uint32_t mark;
            size_t more = utf8_decode(str_sub(rest, n, rest.n), &mark);
            bool marked = more && wcwidth((wchar_t)mark) == 0;
            put(s, p, (unsigned)(n + (marked ? more : 0)), (unsigned)w, marked || n > 3);
            p += n + (marked ? more : 0);
        }
    }
}

/* ---- grids ---- */
static int width(uint32_t cp)
{
    return wcwidth((wchar_t)cp);
}

static unsigned rnd(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 16) % n;
}

/* Colours that every terminal of the test has, and attributes. */
static void make_theme(struct theme *theme, unsigned colors)
{
    unsigned seed = 7;
    for (size_t i = 0; i < THING_ALL; i++) {
        static const unsigned attributes[] = {0, ATTR_BOLD, ATTR_UNDERLINE, ATTR_REVERSE, ATTR_BOLD | ATTR_REVERSE};
        theme->things[i] = (struct look){colors ? (int32_t)rnd(&seed, colors + 1) - 1 : -1,
                                         colors && i % 3 == 0 ? (int32_t)rnd(&seed, colors + 1) - 1 : -1,
                                         attributes[rnd(&seed, COUNT(attributes))]};
    }
    theme->things[THING_NORMAL] = (struct look){-1, -1, 0};
}

static void draw(struct grid *g, unsigned *seed)
{
    static const struct {
        const char *p;
        unsigned cols;
    } clusters[] = {{"a", 1},
                    {"b", 1},
                    {" ", 1},
                    {" ", 1},
                    {"\xe8\xa6\x8b", 2},
                    {"\xe2\x94\x82", 1},
                    {"e\xcc\x81", 1},
                    {"\xf0\x9f\x91\x8d", 2}};
    struct rect all = {0, 0, g->rows, g->cols};
    unsigned n = rnd(seed, 4) ? rnd(seed, 6) : g->rows;
    switch (rnd(seed, 8)) {
    case 0: /* everything moves */
        for (unsigned by = 1 + rnd(seed, 4), y = 0; y + by < g->rows; y++)
            memcpy(&g->cells[(size_t)y * g->cols], &g->cells[(size_t)(y + by) * g->cols], g->cols * sizeof *g->cells);
        return;
    case 1:
        for (unsigned by = 1 + rnd(seed, 4), y = g->rows; y-- > by;)
            memcpy(&g->cells[(size_t)y * g->cols], &g->cells[(size_t)(y - by) * g->cols], g->cols * sizeof *g->cells);
        return;
    case 2:
        grid_clear(g, rnd(seed, 3) ? THING_NORMAL : THING_STATUS);
        return;
    default:
        break;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned y = rnd(seed, g->rows), x = rnd(seed, g->cols), k = rnd(seed, g->cols);
        style s = (style)rnd(seed, THING_COUNT);
        if (rnd(seed, 5) == 0)
            grid_overlay(g, all, y, x, k, STYLE_CURSOR);
        for (; k; k--) {
            unsigned c = rnd(seed, COUNT(clusters));
            x += grid_text(g, all, y, x, (struct text){clusters[c].p, strlen(clusters[c].p), clusters[c].cols}, s);
        }
        if (rnd(seed, 3) == 0)
            grid_link(g, all, y, x / 2, 5, rnd(seed, 2) ? STR("https://example.org/a") : STR("https://b.example/"));
    }
}

static void compare(const struct screen *s, const struct grid *g, const struct theme *theme,
                    const struct paint_caps *caps)
{
    for (unsigned y = 0; y < g->rows; y++)
        for (unsigned x = 0; x < g->cols; x++) {
            const struct cell *want = grid_at(g, y, x);
            const struct spot *got = &s->cells[y][x];
            struct look look = theme_look(theme, want->style);
            bool blank = want->n == 1 && want->p[0] == ' ';
            unsigned seen = blank ? ATTR_REVERSE | ATTR_UNDERLINE : ~0u;
            if (caps->wraps && y + 1 == g->rows && x + 1 >= g->cols - 1)
                continue; /* it cannot be written */
            if (want->n != got->n || memcmp(want->p, got->p, want->n) != 0)
                fail_msg("%u,%u is \"%.*s\", not \"%.*s\"", y, x, (int)got->n, got->p, (int)want->n, want->p);
            if (!want->n)
                continue;
            assert_int_equal(got->bg, look.bg);
            assert_int_equal(got->attributes & seen, look.attributes & seen);
            if (!blank || (look.attributes & ATTR_REVERSE))
                assert_int_equal(got->fg, look.fg);
            const char *target = want->link && caps->links ? grid_link_target(g, want->link) : "";
            assert_string_equal(got->link, target ? target : "");
        }
}

static void at_place(unsigned y, unsigned x, struct buf *out)
{
    buf_addf(out, "\033[%u;%uH", y + 1, x + 1);
}

static const struct {
    const char *name;
    struct paint_caps caps;
} terminals[] = {
    {"xterm-256color",
     {.colors = 256,
      .rgb = true,
      .ansi = true,
      .offs = true,
      .bce = true,
      .ech = true,
      .hpa = true,
      .dim = true,
      .italic = true,
      .links = true,
      .scrolls = true,
      .hides = true,
      .show = "\033[?25h",
      .hide = "\033[?25l"}},
    {"tmux-256color",
     {.colors = 256,
      .ansi = true,
      .offs = true,
      .hpa = true,
      .dim = true,
      .links = true,
      .scrolls = true,
      .hides = true,
      .show = "\033[?25h",
      .hide = "\033[?25l"}},
    {"linux",
     {.colors = 8,
      .ansi = true,
      .offs = true,
      .bce = true,
      .ech = true,
      .hpa = true,
      .scrolls = true,
      .hides = true,
      .show = "\033[?25h",
      .hide = "\033[?25l"}},
    {"vt100", {.ansi = true, .scrolls = true}},
    {"one of old",
     {.wraps = true,
      .clear = "\033[H\033[2J",
      .plain = "\033[m",
      .bold = "\033[1m",
      .reverse = "\033[7m",
      .underline = "\033[4m",
      .place = at_place}},
};

static void test_frames(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT(terminals); t++) {
        struct theme theme;
        struct grid g;
        struct paint p;
        struct screen *s = mem_new(sizeof *s);
        unsigned seed = 11;
        size_t bytes = 0;
        s->pen.fg = s->pen.bg = -1;
        s->bce = terminals[t].caps.bce;
        s->doubtful = true;
        make_theme(&theme, terminals[t].caps.colors);
        grid_init(&g);
        paint_init(&p, &terminals[t].caps);
        for (unsigned i = 0; i < FRAMES; i++) {
            struct buf out = BUF_INIT(1u << 20);
            if (i % 80 == 0) {
                grid_resize(&g, 4 + rnd(&seed, ROWS_MAX - 3), 8 + rnd(&seed, COLS_MAX - 7));
                s->rows = g.rows;
                s->cols = g.cols;
                s->top = 0;
                s->bottom = g.rows - 1;
                s->pending = false;
                s->y = s->x = 0;
                for (unsigned y = 0; y < ROWS_MAX; y++) /* what a resize left there */
                    for (unsigned x = 0; x < COLS_MAX; x++)
                        s->cells[y][x] = (struct spot){.p = "#", .n = 1};
            } else if (i % 37 == 0) { /* another program had the terminal */
                paint_end(&p, &out);
                assert_false(s->hidden && terminals[t].caps.hides && !strstr(buf_z(&out), "\033[?25h"));
            }
            draw(&g, &seed);
            g.cursor_on = rnd(&seed, 2);
            g.cursor_y = rnd(&seed, g.rows);
            g.cursor_x = rnd(&seed, g.cols);
            paint_frame(&p, &g, &theme, width, &out);
            replay(s, buf_z(&out));
            compare(s, &g, &theme, &terminals[t].caps);
            assert_string_equal(s->pen.link, "");
            if (g.cursor_on || !terminals[t].caps.hides) {
                assert_int_equal(s->y, g.cursor_y);
                assert_int_equal(s->x, g.cursor_x);
                assert_false(s->hidden);
            } else {
                assert_true(s->hidden);
            }
            bytes += out.n;
            buf_fini(&out);
            struct buf again = BUF_INIT(1000);
            paint_frame(&p, &g, &theme, width, &again); /* the same once more costs nothing */
            assert_true(again.n <= (terminals[t].caps.hides ? 0 : 10));
            replay(s, buf_z(&again));
            buf_fini(&again);
        }
        print_message("%s: %zu bytes a frame\n", terminals[t].name, bytes / FRAMES);
        paint_fini(&p);
        grid_fini(&g);
        free(s);
    }
}

/* ---- exactly ---- */
static char *frame(struct paint *p, const struct grid *g, const struct theme *theme)
{
    struct buf out = BUF_INIT(1u << 20);
    paint_frame(p, g, theme, width, &out);
    return buf_take(&out, NULL);
}

/* Looks as a terminal with so many colours gets them. */
static void shows(struct paint_caps caps, const char *fg, const char *bg, const char *want)
{
    struct theme theme;
    struct grid g;
    struct paint p;
    struct err err = ERR_INIT;
    char color[] = "color", thing[] = "unread", *words[] = {color, thing, mem_dup_z(fg), mem_dup_z(bg)};
    assert_true(theme_load(&theme, "mono", &err));
    assert_true(theme_color(&theme, words, 4, &err));
    grid_init(&g);
    grid_resize(&g, 2, 20);
    paint_init(&p, &caps);
    free(frame(&p, &g, &theme));
    grid_text(&g, (struct rect){0, 0, 2, 20}, 0, 0, TEXT("x"), THING_UNREAD);
    char *out = frame(&p, &g, &theme);
    if (!strstr(out, want))
        fail_msg("%s on %s: \"%s\" lacks \"%s\"", fg, bg, out + 1, want + 1);
    free(out);
    free(words[2]);
    free(words[3]);
    paint_fini(&p);
    grid_fini(&g);
}

static void test_colors(void **state)
{
    struct paint_caps deep = terminals[0].caps, many = terminals[1].caps, few = terminals[2].caps,
                      none = terminals[3].caps;
    struct paint_caps sixteen = many;
    sixteen.colors = 16;
    (void)state;
    shows(deep, "#010203", "#fffefd", "\033[38;2;1;2;3;48;2;255;254;253mx");
    shows(deep, "red", "color200", "\033[31;48;5;200mx");
    shows(many, "#ff0000", "#000000", "\033[38;5;196;48;5;16mx");
    shows(many, "#808080", "default", "\033[38;5;244mx");
    shows(many, "bright-red", "default", "\033[91mx");
    shows(sixteen, "#fe0101", "color196", "\033[91;101mx");
    shows(sixteen, "color240", "color236", "\033[7;90mx"); /* no such shades: its own grey, and set off */
    shows(few, "bright-red", "blue", "\033[1;31;44mx");
    shows(few, "color240", "default", "x");
    shows(none, "red", "blue", "x");
}

static void test_links(void **state)
{
    static const char *const no_links[] = {
        "https://x.example/\033]0;owned\a", "https://x.example/a b", "https://x\nexample", "",
        "https://x.example/\x7f",           "https://x.example/\x01"};
    struct theme theme;
    struct grid g;
    struct paint p;
    struct err err = ERR_INIT;
    struct rect all = {0, 0, 2, 40};
    (void)state;
    assert_true(theme_load(&theme, "mono", &err));
    grid_init(&g);
    grid_resize(&g, 2, 40);
    paint_init(&p, &terminals[0].caps);
    free(frame(&p, &g, &theme));
    grid_text(&g, all, 0, 0, TEXT("see here now"), THING_NORMAL);
    for (size_t i = 0; i < COUNT(no_links); i++)
        grid_link(&g, all, 0, 4, 4, str_z(no_links[i]));
    char long_one[GRID_MAX_TARGET + 10];
    memset(long_one, 'a', sizeof long_one);
    grid_link(&g, all, 0, 4, 4, (struct str){long_one, sizeof long_one});
    char *out = frame(&p, &g, &theme);
    assert_null(strstr(out, "\033]"));
    free(out);
    /* what is no printing ASCII is encoded: C1 controls of UTF-8 and Latin-1 as well; the separators may stand in it */
    grid_link(&g, all, 0, 4, 4, STR("https://x.example/;id=1:\xc2\x9c\x9d\xc3\xa4"));
    out = frame(&p, &g, &theme);
    assert_non_null(strstr(out, ";https://x.example/;id=1:%C2%9C%9D%C3%A4\033\\here\033]8;;\033\\"));
    free(out);
    grid_clear(&g, THING_NORMAL); /* the same words, another target: they are written anew */
    grid_text(&g, all, 0, 0, TEXT("see here now"), THING_NORMAL);
    grid_link(&g, all, 0, 4, 4, STR("https://other.example/"));
    out = frame(&p, &g, &theme);
    assert_non_null(strstr(out, ";https://other.example/\033\\here\033]8;;\033\\"));
    free(out);
    paint_fini(&p);
    paint_init(&p, &terminals[3].caps); /* a terminal that knows no links gets none */
    out = frame(&p, &g, &theme);
    assert_null(strstr(out, "\033]"));
    free(out);
    for (unsigned i = 0; i < 2 * GRID_MAX_LINKS; i++) { /* bounded, however many a mail has */
        char url[60];
        snprintf(url, sizeof url, "https://x.example/%u", i);
        grid_link(&g, all, 1, i % 40, 1, str_z(url));
    }
    assert_int_equal(g.nlinks, GRID_MAX_LINKS);
    paint_fini(&p);
    grid_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_links),
    };
    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
