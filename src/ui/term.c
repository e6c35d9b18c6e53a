#include "ui/term.h"
#include "ui/pace.h"
#include "ui/paint.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

enum {
    OSC_MAX = 128 * 1024,
    ESC_DELAY_MS = 30,
    REPORT_MAX = 24,
    FRAME_MAX = 64 << 20,
    ANSWER_MS = 300, /* at the end: an answer that is on its way is not for the shell */
    END_MS = 3000,   /* for what is not written yet, when the screen is left */
    AHEAD_MAX = 64,
    SYNC_MIN = 600, /* bytes of a frame; a smaller one is there at once */
    KEY_PASTE_BEGIN = KEY_MAX + 1,
    KEY_PASTE_END,
    KEY_CTRL_LEFT,
    KEY_CTRL_RIGHT,
    KEY_MOUSE_REPORT,
    KEY_FOCUS_IN,
    KEY_FOCUS_OUT,
    KEY_SYNCHRONIZED,
    KEY_NOT_SYNCHRONIZED,
    KEY_ANSWER
};
#define PASTE_ON "\033[?2004h"
#define MOUSE_ON "\033[?1006;1000h"
#define MOUSE_OFF "\033[?1006;1000l"
#define FOCUS_ON "\033[?1004h"
#define FOCUS_OFF "\033[?1004l"
#define PASTE_OFF "\033[?2004l"

struct tty {
    SCREEN *screen;
    struct paint paint;
    bool utf8, pasting, suspended, ordered;
    bool modern; /* it understands private modes and OSC; what it lacks it passes over */
    bool synchronized, mouse;
    bool resized;    /* its size is to be asked when what was written is taken */
    bool timed;      /* `rest` is what pace measures */
    int out;         /* a description of the terminal of its own that never waits; -1: standard output, which may */
    struct buf rest; /* for `out`, when there is room */
    unsigned escape_ms;
    struct mouse at;
    struct pace pace;
    ckey ahead[AHEAD_MAX]; /* typed while an answer was waited for */
    size_t nahead;
    char *strings[8]; /* of paint.caps */
    size_t nstrings;
};

/* ---- output ---- */
/* Standard output as it is would wait where the line is slow or stands still, and its mode is shared with the shell. */
static int open_output(void)
{
    const char *name = ttyname(STDOUT_FILENO);
    int fd = name ? open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    if (fd < 0 && tcgetpgrp(STDOUT_FILENO) >= 0) /* another user's, but the one that this runs at */
        fd = open("/dev/tty", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd;
}

static bool has_room(const struct tty *t, int wait_ms)
{
    struct pollfd out = {.fd = t->out, .events = POLLOUT};
    return t->out < 0 || poll(&out, 1, wait_ms) > 0;
}

bool term_drain(struct tty *t)
{
    struct err err = ERR_INIT;
    if (t->out < 0) {
        fs_write_all(STDOUT_FILENO, buf_str(&t->rest), &err);
        buf_reset(&t->rest);
    }
    while (t->rest.n) {
        ssize_t n = write(t->out, t->rest.p, t->rest.n);
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0 && errno != EINTR)
            buf_reset(&t->rest); /* it is gone, as its input tells */
        else if (n > 0)
            buf_consume(&t->rest, (size_t)n);
    }
    if (t->timed)
        pace_written(&t->pace, clock_mono_ms());
    t->timed = false;
    return true;
}

static void put(struct tty *t, const char *bytes, size_t n)
{
    buf_add(&t->rest, bytes, n);
    term_drain(t);
}

static void put_z(struct tty *t, const char *sequence)
{
    put(t, sequence, strlen(sequence));
}

/* Before another writes there. A terminal that takes nothing gets no more of the screen that is left. */
static void drain_all(struct tty *t)
{
    int64_t until = clock_mono_ms() + END_MS, left;
    while (!term_drain(t) && (left = until - clock_mono_ms()) > 0)
        has_room(t, (int)left);
    if (t->rest.n || !has_room(t, 0))
        tcflush(STDOUT_FILENO, TCOFLUSH);
    buf_reset(&t->rest);
}

int term_output(const struct tty *t)
{
    return t->out;
}

bool term_behind(const struct tty *t)
{
    return t->rest.n || t->resized;
}

bool term_holds(const struct tty *t)
{
    return pace_holds(&t->pace, clock_mono_ms());
}

/* ---- opening ---- */
static const char *capability(const char *name)
{
    const char *s = tigetstr(name);
    return s && s != (const char *)-1 && *s ? s : NULL;
}

/* Without the waits of lines that were slow once. */
static const char *cap(struct tty *t, const char *name)
{
    const char *s = capability(name);
    struct buf plain = BUF_INIT(1000);
    for (; s && *s; s++)
        if (s[0] == '$' && s[1] == '<' && strchr(s, '>'))
            s = strchr(s, '>');
        else
            buf_addc(&plain, *s);
    t->strings[t->nstrings] = buf_take(&plain, NULL);
    return t->strings[t->nstrings++];
}

static void place_cursor(unsigned y, unsigned x, struct buf *out)
{
    char name[] = "cup";
    const char *s = capability(name);
    s = s ? tparm(s, (int)y, (int)x) : NULL;
    while (s && *s) {
        const char *pad_end = s[0] == '$' && s[1] == '<' ? strchr(s, '>') : NULL;
        if (!pad_end)
            buf_addc(out, *s);
        s = (pad_end ? pad_end : s) + 1;
    }
}

static bool can(const char *name, const char *sequence)
{
    const char *s = capability(name);
    return s && str_starts(str_z(s), str_z(sequence));
}

static bool set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static struct paint_caps caps_of(struct tty *t)
{
    const char *depth = getenv("COLORTERM");
    int colors = tigetnum("colors"), not_with_color = tigetnum("ncv");
    struct paint_caps caps = {.ansi = can("cup", "\033[%i%p1%d;%p2%dH") && can("el", "\033[K") &&
                                      (can("sgr0", "\033[m") || can("sgr0", "\033[0") || can("sgr0", "\033(B\033[m")),
                              .clear = cap(t, "clear"),
                              .plain = cap(t, "sgr0"),
                              .bold = cap(t, "bold"),
                              .reverse = cap(t, "rev"),
                              .underline = cap(t, "smul"),
                              .show = cap(t, "cnorm"),
                              .hide = cap(t, "civis"),
                              .hides = capability("civis") != NULL,
                              .bce = tigetflag("bce") > 0,
                              .wraps = tigetflag("am") > 0 && tigetflag("xenl") <= 0,
                              .place = place_cursor};
    if (!caps.ansi)
        return caps;
    caps.offs = can("op", "\033[39;49m");
    caps.ech = can("ech", "\033[%p1%dX");
    caps.hpa = can("hpa", "\033[%i%p1%dG");
    caps.scrolls = can("csr", "\033[%i%p1%d;%p2%dr") && can("ri", "\033M") && can("ind", "\n");
    caps.dim = capability("dim") != NULL;
    caps.italic = can("sitm", "\033[3m");
    caps.links = t->modern;
    bool shown = can("setaf", "\033[") || can("setaf", "\033[%?"); /* not by palettes of other kinds */
    if (!set("NO_COLOR") && shown && colors >= 8) {
        caps.colors = colors >= 256 ? 256 : colors >= 16 ? 16 : 8;
        caps.rgb = colors >= 0x1000000 || tigetflag("Tc") > 0 || tigetflag("RGB") > 0 || tigetnum("RGB") > 0 ||
                   (caps.colors == 256 && depth && (!strcmp(depth, "truecolor") || !strcmp(depth, "24bit")));
        caps.no_underline_color = not_with_color > 0 && (not_with_color & 2);
        caps.no_dim_color = not_with_color > 0 && (not_with_color & 16);
    }
    return caps;
}

static void name_keys(void)
{
    static const struct {
        const char *name, *fallback;
        int code;
    } keys[] = {{"PS", "\033[200~", KEY_PASTE_BEGIN},
                {"PE", "\033[201~", KEY_PASTE_END},
                {"kLFT5", "\033[1;5D", KEY_CTRL_LEFT},
                {"kRIT5", "\033[1;5C", KEY_CTRL_RIGHT},
                {"", "\033[<", KEY_MOUSE_REPORT},
                {"", "\033[I", KEY_FOCUS_IN},
                {"", "\033[O", KEY_FOCUS_OUT},
                {"", "\033[?2026;0$y", KEY_NOT_SYNCHRONIZED},
                {"", "\033[?2026;1$y", KEY_SYNCHRONIZED},
                {"", "\033[?2026;2$y", KEY_SYNCHRONIZED},
                {"", "\033[?2026;3$y", KEY_NOT_SYNCHRONIZED},
                {"", "\033[?2026;4$y", KEY_NOT_SYNCHRONIZED},
                {"", PACE_ANSWER, KEY_ANSWER}};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const char *s = *keys[i].name ? capability(keys[i].name) : NULL;
        define_key(s ? s : keys[i].fallback, keys[i].code);
    }
}

/* What terminals that do not know it pass over; others never see it. */
static void mode(struct tty *t, const char *sequence)
{
    if (t->modern)
        put_z(t, sequence);
}

static void set_mouse(struct tty *t)
{
    mode(t, t->mouse ? MOUSE_ON : MOUSE_OFF);
}

static void set_modes(struct tty *t)
{
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    meta(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay((int)t->escape_ms);
    name_keys();
    refresh(); /* curses draws nothing more: its screen stays blank, and is used for keys alone */
    mode(t, PASTE_ON FOCUS_ON);
    if (t->mouse)
        set_mouse(t);
    t->suspended = false;
}

/* ECMA-48 BDSM: cells are drawn as they come; without it, as the terminal is wont to. */
static void tell_order(struct tty *t, bool ours)
{
    if (ours == t->ordered)
        return;
    t->ordered = ours;
    put_z(t, ours ? "\033[8l" : "\033[8h");
}

static bool read_key(struct tty *t, ckey *key);

/* Of what was asked every answer is taken back, that the next program does not read it as typed. */
static void take_answers(struct tty *t)
{
    int64_t until = clock_mono_ms() + ANSWER_MS, left;
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    ckey key;
    do
        while (read_key(t, &key))
            if (t->nahead < AHEAD_MAX)
                t->ahead[t->nahead++] = key;
    while (t->pace.due && (left = until - clock_mono_ms()) > 0 && poll(&in, 1, (int)left) > 0 && (in.revents & POLLIN));
    t->pace.due = 0;
}

static void end_modes(struct tty *t)
{
    if (t->pace.due && !t->rest.n)
        take_answers(t);
    struct buf out = BUF_INIT(1000);
    paint_end(&t->paint, &out);
    put(t, out.p, out.n);
    buf_fini(&out);
    tell_order(t, false);
    mode(t, PASTE_OFF FOCUS_OFF);
    if (t->mouse)
        mode(t, MOUSE_OFF);
    drain_all(t);
    endwin();
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
    bool moves = capability("cup") != NULL;
    del_curterm(cur_term); /* newterm reads its own */
    if (!moves) {
        err_set(err, ERR_NO_TERMINAL, "the terminal type \"%s\" (TERM) cannot move its cursor", name);
        return NULL;
    }
    struct tty *t = mem_new(sizeof *t);
    buf_init(&t->rest, FRAME_MAX);
    t->escape_ms = ESC_DELAY_MS;
    t->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    t->screen = newterm(NULL, stdout, stdin);
    if (!t->screen) {
        free(t);
        err_set(err, ERR_NO_TERMINAL, "the terminal \"%s\" cannot be used", name);
        return NULL;
    }
    set_term(t->screen);
    t->out = open_output();
    /* the descriptions of modern terminals name the paste or the mouse; the console of Linux would show what it lacks
     */
    t->modern = capability("BE") || (capability("kmous") && !str_starts(str_z(name), STR("linux")));
    struct paint_caps caps = caps_of(t);
    paint_init(&t->paint, &caps);
    set_modes(t);
    if (capability("BE"))
        put_z(t, "\033[?2026$p"); /* does it know synchronized updates? The answer comes as a key */
    return t;
}

void term_close(struct tty **at)
{
    struct tty *t = *at;
    if (!t)
        return;
    if (!t->suspended)
        end_modes(t);
    delscreen(t->screen);
    if (t->out >= 0)
        close(t->out);
    buf_fini(&t->rest);
    paint_fini(&t->paint);
    for (size_t i = 0; i < t->nstrings; i++)
        free(t->strings[i]);
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
    return t->paint.caps.rgb ? 1u << 24 : t->paint.caps.colors;
}

void term_size(struct tty *t, unsigned *rows_r, unsigned *cols_r)
{
    struct winsize size = {0};
    bool other = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col &&
                 (size.ws_row != LINES || size.ws_col != COLS);
    t->resized = other && !t->suspended && (t->rest.n || !has_room(t, 0)); /* curses writes too, and would wait */
    if (other && !t->resized) {
        resizeterm(size.ws_row, size.ws_col);
        if (!t->suspended) {
            refresh(); /* or it would at the next key */
            term_redraw(t);
        }
    }
    *rows_r = (unsigned)MAX(LINES, 1);
    *cols_r = (unsigned)MAX(COLS, 1);
}

void term_redraw(struct tty *t)
{
    paint_forget(&t->paint);
}

void term_suspend(struct tty *t)
{
    if (t->suspended)
        return;
    end_modes(t);
    t->suspended = true;
}

void term_resume(struct tty *t)
{
    if (!t->suspended)
        return;
    set_modes(t);
    term_redraw(t);
}

void term_escape(struct tty *t, unsigned ms)
{
    t->escape_ms = ms;
    set_escdelay((int)ms);
}

void term_mouse(struct tty *t, bool on)
{
    bool change = t->mouse != on;
    t->mouse = on;
    if (change && !t->suspended)
        set_mouse(t);
}

bool term_mouse_at(struct tty *t, struct mouse *m)
{
    *m = t->at;
    return t->mouse;
}

void term_bell(struct tty *t)
{
    if (!t->suspended)
        put_z(t, "\a");
}

void term_osc(struct tty *t, struct text words)
{
    const char *tmux = getenv("TMUX");
    struct str s = {words.p, words.n};
    bool title = str_starts(s, STR("2;")), through = tmux && *tmux && !title; /* its panes have titles of their own */
    if (t->suspended)
        return;
    int n = (int)MIN(words.n, (size_t)OSC_MAX);
    if (through && str_starts(s, STR("52;")))
        buf_addf(&t->rest, "\033]%.*s\a", n, words.p); /* tmux has a clipboard of its own */
    buf_addf(&t->rest, "%s\033]%.*s\a%s", through ? "\033Ptmux;\033" : "", n, words.p, through ? "\033\\" : "");
    term_drain(t);
}

/* ---- drawing ---- */
static int width_of(uint32_t cp)
{
    return wcwidth((wchar_t)cp);
}

/* Between these two a terminal that can waits, and then shows all at once. */
static void write_frame(struct tty *t, const struct buf *out)
{
    if (!out->n)
        return;
    bool whole = t->synchronized && out->n > SYNC_MIN;
    bool asks = t->paint.caps.ansi && pace_asks(&t->pace, out->n, clock_mono_ms());
    if (asks)
        buf_addz(&t->rest, PACE_ASK);
    if (whole)
        buf_addz(&t->rest, "\033[?2026h");
    buf_adds(&t->rest, buf_str(out));
    if (whole)
        buf_addz(&t->rest, "\033[?2026l");
    if (pace_marks(&t->pace, out->n, clock_mono_ms()) || asks)
        buf_addz(&t->rest, PACE_ASK);
    t->timed = t->timed || asks;
    term_drain(t);
}

void term_show(struct tty *t, const struct grid *g, const struct theme *theme)
{
    struct buf out = BUF_INIT(FRAME_MAX);
    if (t->suspended)
        return;
    tell_order(t, g->reordered);
    paint_frame(&t->paint, g, theme, width_of, &out);
    write_frame(t, &out);
    buf_fini(&out);
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
                {KEY_PASTE_END, K_PASTE_END},
                {KEY_FOCUS_IN, K_FOCUS_IN},
                {KEY_FOCUS_OUT, K_FOCUS_OUT}};
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

/* The rest of a report: "BUTTON;COLUMN;ROW" and M for a press, m for a release. False where nothing is done with it. */
static bool mouse_report(struct tty *t)
{
    unsigned v[3] = {0}, n = 0;
    wint_t c = 0;
    for (unsigned i = 0; i < REPORT_MAX; i++) {
        struct pollfd in = {STDIN_FILENO, POLLIN, 0};
        if (get_wch(&c) == ERR && (poll(&in, 1, (int)t->escape_ms) != 1 || get_wch(&c) == ERR))
            return false;
        if (c >= '0' && c <= '9' && v[n] < 100000)
            v[n] = v[n] * 10 + (unsigned)(c - '0');
        else if (c == ';' && n < 2)
            n++;
        else
            break;
    }
    unsigned button = v[0] & ~28u; /* with Shift, Alt or Control, too */
    if (c != 'M' || n != 2 || !v[1] || !v[2] || (button != 0 && button != 64 && button != 65))
        return false;
    t->at = (struct mouse){v[2] - 1, v[1] - 1,
                           !button        ? MOUSE_PRESS
                           : button == 64 ? MOUSE_WHEEL_UP
                                          : MOUSE_WHEEL_DOWN};
    return true;
}

static bool read_key(struct tty *t, ckey *key)
{
    wint_t c;
    for (int got; (got = get_wch(&c)) != ERR;) {
        if (got == KEY_CODE_YES && (c == KEY_SYNCHRONIZED || c == KEY_NOT_SYNCHRONIZED)) {
            t->synchronized = c == KEY_SYNCHRONIZED;
            continue;
        }
        if (got == KEY_CODE_YES && c == KEY_ANSWER) {
            pace_answered(&t->pace, clock_mono_ms());
            continue;
        }
        if (got == KEY_CODE_YES && c == KEY_MOUSE_REPORT) {
            *key = K_MOUSE;
            if (mouse_report(t))
                return true;
            continue;
        }
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

bool term_key(struct tty *t, ckey *key)
{
    if (t->suspended)
        return false;
    if (!t->nahead)
        return read_key(t, key);
    *key = t->ahead[0];
    memmove(t->ahead, t->ahead + 1, --t->nahead * sizeof t->ahead[0]);
    return true;
}

bool term_ahead(const struct tty *t)
{
    return t->nahead && !t->suspended;
}

bool term_slow(const struct tty *t)
{
    return t->pace.slow;
}
