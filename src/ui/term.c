#include "ui/term.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>
#include <wchar.h>

enum {
    OSC_MAX = 128 * 1024,
    ESC_DELAY_MS = 30,
    GAP_MAX = 6,
    KEY_PASTE_BEGIN = KEY_MAX + 1,
    KEY_PASTE_END,
    KEY_CTRL_LEFT,
    KEY_CTRL_RIGHT
};

struct tty {
    SCREEN *screen;
    bool utf8, colors, direct, pasting, suspended, ordered;
    struct cell *shown;
    unsigned rows, cols;
};

/* ---- opening ---- */
static const char *capability(const char *name)
{
    const char *s = tigetstr(name);
    return s && s != (const char *)-1 && *s ? s : NULL;
}

/* tigetstr takes no const in ncurses' header. */
static bool can_move(void)
{
    static char cup[] = "cup";
    return capability(cup) != NULL;
}

static void send(const char *name)
{
    const char *s = capability(name);
    if (s) {
        putp(s);
        fflush(stdout);
    }
}

static void name_keys(void)
{
    static const struct {
        const char *name, *fallback;
        int code;
    } keys[] = {{"PS", "\033[200~", KEY_PASTE_BEGIN},
                {"PE", "\033[201~", KEY_PASTE_END},
                {"kLFT5", "\033[1;5D", KEY_CTRL_LEFT},
                {"kRIT5", "\033[1;5C", KEY_CTRL_RIGHT}};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const char *s = capability(keys[i].name);
        define_key(s ? s : keys[i].fallback, keys[i].code);
    }
}

static void set_modes(struct tty *t)
{
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    meta(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    idlok(stdscr, TRUE);
    set_escdelay(ESC_DELAY_MS);
    curs_set(0);
    name_keys();
    send("BE"); /* bracketed paste, where the terminal's description has it */
    t->suspended = false;
}

struct tty *term_open(struct err *err)
{
    const char *name = getenv("TERM");
    int why;
    setlocale(LC_ALL, "");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        err_set(err, ERR_NO_TERMINAL, "standard input and output are not a terminal");
        return NULL;
    }
    if (!name || !*name || setupterm(NULL, STDOUT_FILENO, &why) != OK) {
        err_set(err, ERR_NO_TERMINAL, "the terminal type \"%s\" (TERM) is not known on this machine", name ? name : "");
        return NULL;
    }
    bool moves = can_move();
    del_curterm(cur_term); /* newterm reads its own */
    if (!moves) {
        err_set(err, ERR_NO_TERMINAL, "the terminal type \"%s\" (TERM) cannot move its cursor", name);
        return NULL;
    }
    struct tty *t = mem_new(sizeof *t);
    t->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    t->screen = newterm(NULL, stdout, stdin);
    if (!t->screen) {
        free(t);
        err_set(err, ERR_NO_TERMINAL, "the terminal \"%s\" cannot be used", name);
        return NULL;
    }
    set_term(t->screen);
    const char *none = getenv("NO_COLOR");
    if (!(none && *none) && has_colors() && start_color() == OK && use_default_colors() == OK) {
        t->colors = true;
        t->direct = COLORS >= 0x1000000;
    }
    set_modes(t);
    return t;
}

/* ECMA-48 BDSM: cells are drawn as they come; without it, as the terminal is wont to. */
static void tell_order(struct tty *t, bool ours)
{
    if (ours == t->ordered)
        return;
    t->ordered = ours;
    fputs(ours ? "\033[8l" : "\033[8h", stdout);
    fflush(stdout);
}

void term_close(struct tty **at)
{
    struct tty *t = *at;
    if (!t)
        return;
    if (!t->suspended) {
        tell_order(t, false);
        send("BD");
        curs_set(1);
        endwin();
    }
    delscreen(t->screen);
    free(t->shown);
    free(t);
    *at = NULL;
}

bool term_utf8(const struct tty *t)
{
    return t->utf8;
}

bool term_named(const struct tty *t, const char *prefix)
{
    (void)t;
    return str_starts(str_z(getenv("TERM")), str_z(prefix)); /* term_open has seen that it is there */
}

unsigned term_colors(const struct tty *t)
{
    return t->colors ? (unsigned)COLORS : 0;
}

void term_size(struct tty *t, unsigned *rows_r, unsigned *cols_r)
{
    struct winsize size = {0};
    (void)t;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col &&
        (size.ws_row != LINES || size.ws_col != COLS))
        resizeterm(size.ws_row, size.ws_col);
    *rows_r = (unsigned)MAX(LINES, 1);
    *cols_r = (unsigned)MAX(COLS, 1);
}

void term_redraw(struct tty *t)
{
    free(t->shown);
    t->shown = NULL;
    clearok(curscr, TRUE);
}

void term_suspend(struct tty *t)
{
    if (t->suspended)
        return;
    tell_order(t, false);
    send("BD");
    curs_set(1);
    endwin();
    t->suspended = true;
}

void term_resume(struct tty *t)
{
    if (!t->suspended)
        return;
    refresh();
    set_modes(t);
    term_redraw(t);
}

void term_bell(struct tty *t)
{
    (void)t;
    beep();
}

void term_osc(struct tty *t, struct text words)
{
    const char *tmux = getenv("TMUX");
    bool through = tmux && *tmux;
    if (t->suspended)
        return;
    int n = (int)MIN(words.n, (size_t)OSC_MAX);
    if (through && str_starts((struct str){words.p, words.n}, STR("52;")))
        fprintf(stdout, "\033]%.*s\a", n, words.p); /* tmux has a clipboard of its own */
    fprintf(stdout, "%s\033]%.*s\a%s", through ? "\033Ptmux;\033" : "", n, words.p, through ? "\033\\" : "");
    fflush(stdout);
}

/* ---- colours ---- */
static unsigned rgb_of(int32_t color)
{
    static const unsigned base[16] = {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
                                      0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff};
    static const unsigned level[6] = {0, 0x5f, 0x87, 0xaf, 0xd7, 0xff};
    if (color & 0x1000000)
        return (unsigned)color & 0xffffff;
    if (color < 16)
        return base[color & 15];
    if (color >= 232) {
        unsigned grey = 8 + (unsigned)(color - 232) * 10;
        return grey << 16 | grey << 8 | grey;
    }
    unsigned c = (unsigned)color - 16;
    return level[c / 36 % 6] << 16 | level[c / 6 % 6] << 8 | level[c % 6];
}

static unsigned distance(unsigned a, unsigned b)
{
    int r = (int)(a >> 16 & 255) - (int)(b >> 16 & 255), g = (int)(a >> 8 & 255) - (int)(b >> 8 & 255);
    int l = (int)(a & 255) - (int)(b & 255);
    return (unsigned)(r * r * 3 + g * g * 4 + l * l * 2);
}

static int nearest(unsigned rgb, int32_t from, int32_t to)
{
    int best = from;
    for (int32_t c = from; c < to; c++)
        if (distance(rgb, rgb_of(c)) < distance(rgb, rgb_of(best)))
            best = c;
    return best;
}

static bool is_grey(unsigned rgb)
{
    unsigned r = rgb >> 16 & 255, g = rgb >> 8 & 255, b = rgb & 255;
    return r == g && g == b && r > 0 && r < 255;
}

/* The colour as this terminal can show it. Shades of grey that it has not become its default: readable everywhere. */
static int color_for(const struct tty *t, int32_t color, bool background)
{
    if (color == -1)
        return -1;
    if (t->direct)
        return color >= 0 && color < 8 ? color : (int)rgb_of(color);
    if (!(color & 0x1000000) && color < COLORS)
        return color;
    if (COLORS >= 256)
        return nearest(rgb_of(color), 16, 256);
    unsigned rgb = rgb_of(color);
    if (is_grey(rgb))
        return COLORS >= 16 && !background && (rgb & 255) < 0x90 ? 8 : -1;
    return nearest(rgb, 0, COLORS >= 16 ? 16 : 8);
}

static attr_t attributes(const struct look *look)
{
    return (look->attributes & ATTR_BOLD ? A_BOLD : 0) | (look->attributes & ATTR_DIM ? A_DIM : 0) |
           (look->attributes & ATTR_UNDERLINE ? A_UNDERLINE : 0) | (look->attributes & ATTR_REVERSE ? A_REVERSE : 0) |
           (look->attributes & ATTR_ITALIC ? A_ITALIC : 0);
}

/* ---- drawing ---- */
struct pen {
    style style;
    bool valid;
    attr_t attr;
    int pair, bg;
};
#define SEEN_ON_BLANKS (A_REVERSE | A_UNDERLINE)

/* A blank shows nothing but its background: it goes with the pen at hand where that has the same, and costs no change.
 */
static void dipped(struct pen *at, const struct pen *new, bool blank)
{
    if (!blank || !at->valid || at->bg != new->bg || ((at->attr | new->attr) & SEEN_ON_BLANKS))
        *at = *new;
}

static void dip(const struct tty *t, const struct theme *theme, struct pen *at, style s, bool blank)
{
    if (at->valid && at->style == s)
        return;
    struct pen new, *pen = &new;
    struct look look = theme_look(theme, s);
    *pen = (struct pen){s, true, attributes(&look), 0, -1};
    if (!t->colors) {
        dipped(at, pen, blank);
        return;
    }
    int fg = color_for(t, look.fg, false), bg = color_for(t, look.bg, true);
    if (COLORS == 8 && look.fg >= 8 && look.fg < 16)
        pen->attr |= A_BOLD;
    if (COLORS < 256 && look.bg != -1 && bg == -1)
        pen->attr |= A_REVERSE; /* what was set off by its background stays so */
    if (fg != -1 || bg != -1)
        pen->pair = alloc_pair(fg, bg);
    if (pen->pair < 0)
        pen->pair = 0;
    pen->bg = bg;
    dipped(at, pen, blank);
}

/* A cluster as curses takes it: one spacing character and marks. What it has no room for, and what the C library sees
 * wider than we do, is left out, so that columns hold. */
static void put_cell(unsigned y, unsigned x, const struct cell *c, const struct pen *pen)
{
    wchar_t wide[CCHARW_MAX + 1] = {0};
    size_t n = 0;
    struct str s = {c->p, c->n};
    uint32_t cp;
    for (unsigned len; n < CCHARW_MAX && (len = utf8_decode(s, &cp)) > 0; s = str_sub(s, len, s.n)) {
        int w = wcwidth((wchar_t)cp);
        if (n == 0 && (w <= 0 || w > c->cols)) {
            wide[n++] = c->cols == 2 ? L'?' : (cp == 0xfffd ? L'?' : 0xfffd);
            break;
        }
        if (n > 0 && (w != 0 || cp == 0x200d))
            break;
        wide[n++] = (wchar_t)cp;
    }
    cchar_t out;
    setcchar(&out, wide, pen->attr, 0, &pen->pair);
    if (c->cols == 2 && wcwidth(wide[0]) == 1) {
        cchar_t blank;
        setcchar(&blank, L" ", pen->attr, 0, &pen->pair);
        mvadd_wch((int)y, (int)x + 1, &blank);
    }
    mvadd_wch((int)y, (int)x, &out);
}

static bool same_cell(const struct cell *a, const struct cell *b)
{
    return a->n == b->n && a->style == b->style && a->cols == b->cols && !memcmp(a->p, b->p, a->n);
}

/* A blank in a gap of a few between words; longer runs are cleared at once by curses, if they look like nothing. */
static bool is_gap(const struct grid *g, unsigned y, unsigned x)
{
    for (unsigned n = 0; n < GAP_MAX; n++, x++) {
        const struct cell *c = grid_at(g, y, x);
        if (c->n != 1 || c->p[0] != ' ')
            return n > 0;
    }
    return false;
}

void term_show(struct tty *t, const struct grid *g, const struct theme *theme)
{
    struct pen pen = {.valid = false};
    bool fresh = !t->shown || t->rows != g->rows || t->cols != g->cols;
    if (t->suspended)
        return;
    if (fresh) {
        free(t->shown);
        t->shown = mem_array((size_t)g->rows * g->cols, sizeof *t->shown);
        t->rows = g->rows;
        t->cols = g->cols;
        erase();
    }
    for (unsigned y = 0; y < g->rows && y < (unsigned)LINES; y++)
        for (unsigned x = 0; x < g->cols && x < (unsigned)COLS; x++) {
            const struct cell *c = grid_at(g, y, x);
            struct cell *was = &t->shown[(size_t)y * g->cols + x];
            if ((!fresh && same_cell(c, was)) || !c->n)
                continue;
            dip(t, theme, &pen, c->style, is_gap(g, y, x));
            put_cell(y, x, c, &pen);
        }
    memcpy(t->shown, g->cells, (size_t)g->rows * g->cols * sizeof *t->shown);
    tell_order(t, g->reordered);
    curs_set(g->cursor_on ? 1 : 0);
    move((int)MIN(g->cursor_y, (unsigned)LINES - 1), (int)MIN(g->cursor_x, (unsigned)COLS - 1));
    refresh();
}

/* ---- keys ---- */
static ckey from_code(wint_t code)
{
    static const struct {
        wint_t code;
        ckey key;
    } keys[] = {{KEY_UP, K_UP},
                {KEY_DOWN, K_DOWN},
                {KEY_LEFT, K_LEFT},
                {KEY_RIGHT, K_RIGHT},
                {KEY_HOME, K_HOME},
                {KEY_END, K_END},
                {KEY_PPAGE, K_PGUP},
                {KEY_NPAGE, K_PGDN},
                {KEY_IC, K_INSERT},
                {KEY_DC, K_DELETE},
                {KEY_BACKSPACE, K_BACKSPACE},
                {KEY_BTAB, K_BACKTAB},
                {KEY_ENTER, K_ENTER},
                {KEY_A1, K_HOME},
                {KEY_A3, K_PGUP},
                {KEY_C1, K_END},
                {KEY_C3, K_PGDN},
                {KEY_SLEFT, K_SHIFT | K_LEFT},
                {KEY_SRIGHT, K_SHIFT | K_RIGHT},
                {KEY_CTRL_LEFT, K_CTRL | K_LEFT},
                {KEY_CTRL_RIGHT, K_CTRL | K_RIGHT},
                {KEY_PASTE_BEGIN, K_PASTE_BEGIN},
                {KEY_PASTE_END, K_PASTE_END}};
    for (size_t i = 0; i < COUNT(keys); i++)
        if (keys[i].code == code)
            return keys[i].key;
    if (code > KEY_F0 && code <= KEY_F0 + 24)
        return K_F0 + (ckey)(code - KEY_F0);
    return 0;
}

static ckey from_char(wint_t c)
{
    switch (c) {
    case '\r':
    case '\n':
        return K_ENTER;
    case '\t':
        return K_TAB;
    case 0x7f:
    case '\b':
        return K_BACKSPACE;
    case 0x1b:
        return K_ESC;
    default:
        break;
    }
    if (c == 0)
        return K_CTRL | ' ';
    if (c < 0x20)
        return K_CTRL | (ckey)(c < 27 ? c + 'a' - 1 : c + '@');
    return c <= 0x10ffff ? (ckey)c : 0;
}

bool term_key(struct tty *t, ckey *key)
{
    wint_t c;
    if (t->suspended)
        return false;
    for (int got; (got = get_wch(&c)) != ERR;) {
        ckey k = got == KEY_CODE_YES ? from_code(c) : from_char(c);
        if (k == K_ESC && !t->pasting && (got = get_wch(&c)) != ERR) {
            ckey next = got == KEY_CODE_YES ? from_code(c) : from_char(c);
            k = next && next != K_ESC ? next | K_ALT : K_ESC;
        }
        if (!k) /* a resize, a key without a name */
            continue;
        if (k == K_PASTE_BEGIN || k == K_PASTE_END)
            t->pasting = k == K_PASTE_BEGIN;
        *key = key_normal(k);
        return true;
    }
    return false;
}
