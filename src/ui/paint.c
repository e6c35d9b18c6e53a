#include "ui/paint.h"

enum { ERASE_MIN = 4, ECH_MIN = 9, GAP_MAX = 4, SCROLL_ROWS_MIN = 3, SGR_MAX = 80 };
#define SEEN_ON_BLANKS (ATTR_REVERSE | ATTR_UNDERLINE)

void paint_init(struct paint *p, const struct paint_caps *caps)
{
    *p = (struct paint){.caps = *caps, .y = -1, .x = -1};
}

void paint_forget(struct paint *p)
{
    free(p->cells);
    p->cells = NULL;
    p->y = p->x = -1;
    p->pen_known = p->cursor_known = false;
}

void paint_fini(struct paint *p)
{
    paint_forget(p);
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

static int32_t nearest(unsigned rgb, int32_t from, int32_t to)
{
    int32_t best = from;
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
static int32_t color_for(const struct paint_caps *caps, int32_t color, bool background)
{
    if (color == -1 || (caps->rgb && (color & 0x1000000)))
        return color;
    if (!(color & 0x1000000) && color < (int32_t)caps->colors)
        return color;
    unsigned rgb = rgb_of(color);
    if (caps->colors >= 256)
        return nearest(rgb, 16, 256);
    if (is_grey(rgb))
        return caps->colors >= 16 && !background && (rgb & 255) < 0x90 ? 8 : -1;
    return nearest(rgb, 0, caps->colors >= 16 ? 16 : 8);
}

static struct pen pen_for(const struct paint_caps *caps, const struct theme *theme, style s)
{
    struct look look = theme_look(theme, s);
    struct pen pen = {-1, -1, 0, (uint8_t)look.attributes};
    if (!caps->dim)
        pen.attributes &= (uint8_t)~ATTR_DIM;
    if (!caps->italic)
        pen.attributes &= (uint8_t)~ATTR_ITALIC;
    if (!caps->colors)
        return pen;
    pen.fg = color_for(caps, look.fg, false);
    pen.bg = color_for(caps, look.bg, true);
    if (caps->colors == 8 && look.fg >= 8 && look.fg < 16)
        pen.attributes |= ATTR_BOLD;
    if (caps->colors < 256 && look.bg != -1 && pen.bg == -1)
        pen.attributes |= ATTR_REVERSE; /* what was set off by its background stays so */
    bool colored = pen.fg != -1 || pen.bg != -1;
    if (colored && caps->no_dim_color)
        pen.attributes &= (uint8_t)~ATTR_DIM;
    if (colored && caps->no_underline_color)
        pen.attributes &= (uint8_t)~ATTR_UNDERLINE;
    return pen;
}

static bool pen_eq(const struct pen *a, const struct pen *b)
{
    return a->fg == b->fg && a->bg == b->bg && a->attributes == b->attributes && a->link == b->link;
}

static bool is_blank(const struct shown *c)
{
    return c->n == 1 && c->p[0] == ' ';
}

/* Does it show nothing but its background? */
static bool is_empty(const struct shown *c)
{
    return is_blank(c) && !c->pen.attributes && !c->pen.link;
}

static bool same(const struct shown *a, const struct shown *b)
{
    return a->n == b->n && a->cols == b->cols && pen_eq(&a->pen, &b->pen) && !memcmp(a->p, b->p, a->n);
}

/* ---- the pen ---- */
static void add_param(struct buf *sgr, const char *word)
{
    buf_addf(sgr, "%s%s", sgr->n ? ";" : "", word);
}

static void add_color(struct buf *sgr, int32_t color, unsigned ground)
{
    char word[32];
    if (color & 0x1000000)
        snprintf(word, sizeof word, "%u;2;%d;%d;%d", ground + 8, color >> 16 & 255, color >> 8 & 255, color & 255);
    else if (color < 8)
        snprintf(word, sizeof word, "%u", ground + (unsigned)color);
    else if (color < 16)
        snprintf(word, sizeof word, "%u", ground + 60 + (unsigned)color - 8);
    else
        snprintf(word, sizeof word, "%u;5;%d", ground + 8, color);
    add_param(sgr, word);
}

static const struct {
    uint8_t bit;
    char on[2], off[3];
} sgr_attributes[] = {{ATTR_BOLD, "1", "22"},
                      {ATTR_DIM, "2", "22"},
                      {ATTR_ITALIC, "3", "23"},
                      {ATTR_UNDERLINE, "4", "24"},
                      {ATTR_REVERSE, "7", "27"}};

static void add_on(struct buf *sgr, unsigned attributes)
{
    for (size_t i = 0; i < COUNT(sgr_attributes); i++)
        if (attributes & sgr_attributes[i].bit)
            add_param(sgr, sgr_attributes[i].on);
}

static void sgr_anew(const struct pen *to, struct buf *sgr)
{
    add_param(sgr, "0");
    add_on(sgr, to->attributes);
    if (to->fg != -1)
        add_color(sgr, to->fg, 30);
    if (to->bg != -1)
        add_color(sgr, to->bg, 40);
}

static void sgr_change(const struct pen *from, const struct pen *to, struct buf *sgr)
{
    unsigned gone = from->attributes & ~to->attributes, come = to->attributes & ~from->attributes;
    if (gone & (ATTR_BOLD | ATTR_DIM)) { /* they end together */
        gone = (gone | ATTR_BOLD) & ~(unsigned)ATTR_DIM;
        come |= to->attributes & (ATTR_BOLD | ATTR_DIM);
    }
    for (size_t i = 0; i < COUNT(sgr_attributes); i++)
        if (gone & sgr_attributes[i].bit)
            add_param(sgr, sgr_attributes[i].off);
    add_on(sgr, come);
    if (to->fg != from->fg) {
        if (to->fg == -1)
            add_param(sgr, "39");
        else
            add_color(sgr, to->fg, 30);
    }
    if (to->bg != from->bg) {
        if (to->bg == -1)
            add_param(sgr, "49");
        else
            add_color(sgr, to->bg, 40);
    }
}

static void set_plain_pen(const struct paint_caps *caps, const struct pen *to, struct buf *out)
{
    buf_addz(out, caps->plain);
    if (to->attributes & ATTR_BOLD)
        buf_addz(out, caps->bold);
    if (to->attributes & ATTR_REVERSE)
        buf_addz(out, caps->reverse);
    if (to->attributes & ATTR_UNDERLINE)
        buf_addz(out, caps->underline);
}

static void set_sgr(struct paint *p, const struct pen *to, struct buf *out)
{
    struct buf anew = BUF_INIT(SGR_MAX), change = BUF_INIT(SGR_MAX);
    sgr_anew(to, &anew);
    bool can_change = p->pen_known && p->caps.offs;
    if (can_change)
        sgr_change(&p->pen, to, &change);
    else if (p->pen_known && !(p->pen.attributes & ~to->attributes) && (p->pen.fg == -1 || to->fg != -1) &&
             (p->pen.bg == -1 || to->bg != -1)) { /* nothing has to end */
        sgr_change(&p->pen, to, &change);
        can_change = true;
    }
    const struct buf *best = can_change && change.n < anew.n ? &change : &anew;
    if (best->n == 1 && best->p[0] == '0')
        buf_addz(out, "\033[m");
    else if (best->n)
        buf_addf(out, "\033[%.*sm", (int)best->n, best->p);
    buf_fini(&anew);
    buf_fini(&change);
}

/* An id keeps the pieces of a wrapped link together. */
static void set_link(const struct grid *g, uint32_t link, struct buf *out)
{
    const char *target = link ? grid_link_target(g, link) : NULL;
    if (target)
        buf_addf(out, "\033]8;id=%x;%s\033\\", link, target);
    else
        buf_addz(out, "\033]8;;\033\\");
}

static void set_pen(struct paint *p, const struct grid *g, struct pen to, struct buf *out)
{
    uint32_t link = p->caps.links ? to.link : 0;
    if (p->pen.link != link)
        set_link(g, link, out);
    to.link = p->pen.link = link;
    if (p->pen_known && pen_eq(&p->pen, &to))
        return;
    if (p->caps.ansi)
        set_sgr(p, &to, out);
    else
        set_plain_pen(&p->caps, &to, out);
    p->pen = to;
    p->pen_known = true;
}

/* ---- the cursor ---- */
static void place(struct paint *p, unsigned y, unsigned x, struct buf *out)
{
    if (!p->caps.ansi)
        p->caps.place(y, x, out);
    else if (x)
        buf_addf(out, "\033[%u;%uH", y + 1, x + 1);
    else if (y)
        buf_addf(out, "\033[%uH", y + 1);
    else
        buf_addz(out, "\033[H");
}

static struct shown *cell(struct paint *p, unsigned y, unsigned x)
{
    return &p->cells[(size_t)y * p->cols + x];
}

/* The few cells up to x, if they can be written once more with the pen at hand. */
static bool write_over(struct paint *p, unsigned y, unsigned from, unsigned to, struct buf *out)
{
    if (to - from > GAP_MAX || !p->pen_known)
        return false;
    for (unsigned x = from; x < to; x++) {
        const struct shown *c = cell(p, y, x);
        bool fits = is_empty(c) ? c->pen.bg == p->pen.bg && !(p->pen.attributes & SEEN_ON_BLANKS) && !p->pen.link
                                : pen_eq(&c->pen, &p->pen);
        if (c->n != 1 || !fits)
            return false;
    }
    for (unsigned x = from; x < to; x++)
        buf_addc(out, cell(p, y, x)->p[0]);
    return true;
}

static void move_to(struct paint *p, unsigned y, unsigned x, struct buf *out)
{
    int down = p->y >= 0 ? (int)y - p->y : -1;
    bool there = down == 0 && p->x == (int)x;
    if (!there && down == 0 && x == 0) {
        buf_addc(out, '\r');
    } else if (!there && down > 0 && down <= 4 && x == 0) {
        buf_addc(out, '\r');
        for (; down; down--)
            buf_addc(out, '\n');
    } else if (!there && down == 0 && p->x >= 0 && (int)x > p->x) {
        unsigned n = x - (unsigned)p->x;
        if (!write_over(p, y, (unsigned)p->x, x, out)) {
            if (!p->caps.ansi)
                place(p, y, x, out);
            else if (n == 1)
                buf_addz(out, "\033[C");
            else
                buf_addf(out, "\033[%uC", n);
        }
    } else if (!there && down == 0 && p->caps.hpa) {
        buf_addf(out, "\033[%uG", x + 1);
    } else if (!there) {
        place(p, y, x, out);
    }
    p->y = (int)y;
    p->x = (int)x;
}

/* ---- cells ---- */
/* A cluster as terminals take it: one spacing character and its marks. What has no room, and what the terminal may see
 * wider than the grid, is left out. *sure_r: nobody doubts how wide it is. */
static void write_cluster(const struct shown *c, int (*width)(uint32_t cp), struct buf *out, bool *sure_r)
{
    struct str s = {c->p, c->n};
    uint32_t cp;
    unsigned points = 0, first = 1;
    for (unsigned len; (len = utf8_decode(s, &cp)) > 0; s = str_sub(s, len, s.n), points++) {
        int w = width(cp);
        if (points == 0 && (w <= 0 || w > c->cols)) {
            buf_addz(out, c->cols == 2 || cp == 0xfffd ? "?" : "\xef\xbf\xbd");
            points = 1;
            break;
        }
        if (points > 0 && (w != 0 || cp == 0x200d))
            break;
        if (points == 0)
            first = (unsigned)w;
        buf_add(out, s.p, len);
    }
    if (c->cols == 2 && first == 1)
        buf_addc(out, ' ');
    *sure_r = points == 1 && c->n < 4;
}

static void write_cell(struct paint *p, const struct grid *g, unsigned y, unsigned x, const struct shown *c,
                       int (*width)(uint32_t cp), struct buf *out)
{
    bool sure = true;
    if (!is_empty(c) || !p->pen_known || p->pen.bg != c->pen.bg || (p->pen.attributes & SEEN_ON_BLANKS) || p->pen.link)
        set_pen(p, g, c->pen, out);
    if (c->n == 1)
        buf_addc(out, c->p[0]);
    else
        write_cluster(c, width, out, &sure);
    bool last = x + c->cols >= p->cols; /* behind it nobody knows */
    p->y = last && p->caps.wraps ? -1 : (int)y;
    p->x = sure && !last ? (int)(x + c->cols) : -1;
}

/* Are the cells from x on empty to the end of the row, of one background that erasing gives? */
static unsigned tail_of(const struct paint *p, const struct shown *row)
{
    unsigned x = p->cols;
    while (x > 0 && is_empty(&row[x - 1]) && row[x - 1].pen.bg == row[p->cols - 1].pen.bg &&
           (p->caps.bce || row[x - 1].pen.bg == -1))
        x--;
    return p->caps.ansi ? x : p->cols;
}

static void erase_pen(struct paint *p, const struct grid *g, int32_t bg, struct buf *out)
{
    if (!p->pen_known || p->pen.bg != bg || p->pen.link || (p->pen.attributes & ATTR_REVERSE))
        set_pen(p, g, (struct pen){-1, bg, 0, 0}, out);
}

/* How many cells from x on are empty, of one background, up to the last that changes. */
static unsigned empties(const struct paint *p, const struct shown *row, const struct shown *old, unsigned x)
{
    unsigned n = 0;
    for (unsigned i = x; i < p->cols && is_empty(&row[i]) && row[i].pen.bg == row[x].pen.bg; i++)
        if (!same(&row[i], &old[i]))
            n = i - x + 1;
    return n;
}

static void paint_row(struct paint *p, const struct grid *g, unsigned y, const struct shown *row,
                      int (*width)(uint32_t cp), struct buf *out)
{
    struct shown *old = cell(p, y, 0);
    unsigned tail = tail_of(p, row), end = p->cols, n;
    if (p->caps.wraps && y + 1 == p->rows)
        end--;
    for (unsigned x = 0; x < end; x++) {
        if (same(&row[x], &old[x]) || !row[x].n)
            continue;
        move_to(p, y, x, out);
        if (x >= tail && p->cols - x >= ERASE_MIN) {
            erase_pen(p, g, row[x].pen.bg, out);
            buf_addz(out, "\033[K");
            break;
        }
        bool erases = p->caps.ech && is_empty(&row[x]) && (p->caps.bce || row[x].pen.bg == -1);
        if (erases && (n = empties(p, row, old, x)) >= ECH_MIN) {
            erase_pen(p, g, row[x].pen.bg, out);
            buf_addf(out, "\033[%uX", n);
            memcpy(&old[x], &row[x], n * sizeof *old);
            x += n - 1;
            continue;
        }
        write_cell(p, g, y, x, &row[x], width, out);
        old[x] = row[x]; /* what is written over later is as it is now */
    }
    memcpy(old, row, p->cols * sizeof *old);
}

/* ---- scrolling ---- */
/* A number for what a row shows; 0: nothing. */
static uint64_t row_number(const struct shown *row, unsigned cols)
{
    uint64_t h = UINT64_C(14695981039346656037);
    bool empty = true;
#define MIX(value) h = (h ^ (uint64_t)(value)) * UINT64_C(1099511628211)
    for (unsigned x = 0; x < cols; x++) {
        const struct shown *c = &row[x];
        empty = empty && is_empty(c) && c->pen.bg == -1;
        for (unsigned i = 0; i < c->n; i++)
            MIX((unsigned char)c->p[i]);
        MIX((uint32_t)c->pen.fg ^ ((uint64_t)(uint32_t)c->pen.bg << 32));
        MIX(c->pen.attributes | (uint64_t)c->pen.link << 8 | (uint64_t)c->n << 40);
    }
#undef MIX
    return empty ? 0 : h | 1;
}

struct scroll {
    unsigned top, rows; /* rows of the new picture that stand there already, `by` rows lower (higher: negative) */
    int by;
};

/* The longest run of rows that only moved, where that saves writing more rows than it lays bare. */
static struct scroll find_scroll(const uint64_t *new, const uint64_t *old, unsigned rows)
{
    struct scroll best = {0, 0, 0};
    int most = (int)(rows / 2);
    for (int by = -most; by <= most; by++) {
        unsigned run = 0, saves = 0, bares = (unsigned)(by < 0 ? -by : by);
        for (unsigned y = 0; by && y < rows; y++) {
            int from = (int)y + by;
            bool moved = from >= 0 && from < (int)rows && new[y] == old[from];
            run = moved ? run + 1 : 0;
            saves = !moved ? 0 : saves + (new[y] && new[y] != old[y]);
            if (moved && saves >= SCROLL_ROWS_MIN && saves > bares && run > best.rows)
                best = (struct scroll){y + 1 - run, run, by};
        }
    }
    return best;
}

static struct scroll scroll_of(struct paint *p, const struct shown *new)
{
    uint64_t *numbers = mem_array((size_t)p->rows * 2, sizeof *numbers), *old = numbers + p->rows;
    struct scroll found = {0, 0, 0};
    unsigned changed = 0;
    for (unsigned y = 0; y < p->rows; y++) {
        const struct shown *row = &new[(size_t)y * p->cols];
        for (unsigned x = 0; x < p->cols; x++)
            if (!same(&row[x], cell(p, y, x))) {
                changed++;
                break;
            }
    }
    if (changed > SCROLL_ROWS_MIN) { /* a key in a list changes two */
        for (unsigned y = 0; y < p->rows; y++) {
            numbers[y] = row_number(&new[(size_t)y * p->cols], p->cols);
            old[y] = row_number(cell(p, y, 0), p->cols);
        }
        found = find_scroll(numbers, old, p->rows);
    }
    free(numbers);
    return found;
}

static void scroll(struct paint *p, const struct grid *g, const struct shown *new, struct buf *out)
{
    struct scroll s = scroll_of(p, new);
    if (!s.rows)
        return;
    unsigned n = (unsigned)(s.by > 0 ? s.by : -s.by);
    unsigned top = s.by > 0 ? s.top : s.top - n, bottom = top + s.rows + n - 1;
    set_pen(p, g, (struct pen){-1, -1, 0, 0}, out);
    buf_addf(out, "\033[%u;%ur", top + 1, bottom + 1);
    place(p, s.by > 0 ? bottom : top, 0, out);
    for (unsigned i = 0; i < n; i++)
        buf_addz(out, s.by > 0 ? "\n" : "\033M");
    buf_addz(out, "\033[r");
    p->y = p->x = -1; /* it goes home on some */
    memmove(cell(p, s.by > 0 ? top : top + n, 0), cell(p, s.by > 0 ? top + n : top, 0),
            (size_t)s.rows * p->cols * sizeof *p->cells);
    struct shown *free_row = cell(p, s.by > 0 ? bottom + 1 - n : top, 0);
    for (size_t i = 0; i < (size_t)n * p->cols; i++)
        free_row[i] = (struct shown){.p = " ", .n = 1, .cols = 1, .pen = {-1, -1, 0, 0}};
}

/* ---- frames ---- */
static void resolve(const struct paint *p, const struct grid *g, const struct theme *theme, struct shown *new)
{
    struct pen pen = {-1, -1, 0, 0};
    style of = 0;
    bool known = false;
    for (size_t i = 0; i < (size_t)g->rows * g->cols; i++) {
        const struct cell *c = &g->cells[i];
        if (!known || c->style != of) {
            pen = pen_for(&p->caps, theme, c->style);
            of = c->style;
            known = true;
        }
        new[i] = (struct shown){.n = c->n, .cols = c->cols, .pen = pen};
        memcpy(new[i].p, c->p, c->n);
        new[i].pen.link = p->caps.links ? c->link : 0;
        if (is_blank(&new[i]) && !(pen.attributes & SEEN_ON_BLANKS)) {
            new[i].pen.fg = -1;
            new[i].pen.attributes = 0;
        }
    }
}

static void begin(struct paint *p, const struct grid *g, struct buf *out)
{
    paint_forget(p);
    p->rows = g->rows;
    p->cols = g->cols;
    p->cells = mem_array((size_t)g->rows * g->cols, sizeof *p->cells);
    for (size_t i = 0; i < (size_t)g->rows * g->cols; i++)
        p->cells[i] = (struct shown){.p = " ", .n = 1, .cols = 1, .pen = {-1, -1, 0, 0}};
    p->pen.link = 0;
    set_pen(p, g, (struct pen){-1, -1, 0, 0}, out);
    buf_addz(out, p->caps.ansi ? "\033[H\033[2J" : p->caps.clear);
    p->y = p->x = p->caps.ansi ? 0 : -1;
}

void paint_frame(struct paint *p, const struct grid *g, const struct theme *theme, int (*width)(uint32_t cp),
                 struct buf *out)
{
    struct shown *new = mem_array((size_t)g->rows * g->cols, sizeof *new);
    bool fresh = !p->cells || p->rows != g->rows || p->cols != g->cols;
    resolve(p, g, theme, new);
    if (p->caps.hides && p->cursor_known && p->cursor_on && !g->cursor_on) {
        buf_addz(out, p->caps.hide);
        p->cursor_on = false;
    }
    if (fresh)
        begin(p, g, out);
    else if (p->caps.scrolls && p->caps.ansi)
        scroll(p, g, new, out);
    for (unsigned y = 0; y < p->rows; y++)
        paint_row(p, g, y, &new[(size_t)y * p->cols], width, out);
    if (p->pen.link)
        set_pen(p, g, (struct pen){p->pen.fg, p->pen.bg, 0, p->pen.attributes}, out);
    if (g->cursor_on || !p->caps.hides)
        move_to(p, MIN(g->cursor_y, p->rows - 1), MIN(g->cursor_x, p->cols - 1), out);
    if (p->caps.hides && (!p->cursor_known || p->cursor_on != g->cursor_on))
        buf_addz(out, g->cursor_on ? p->caps.show : p->caps.hide);
    p->cursor_on = g->cursor_on;
    p->cursor_known = true;
    free(new);
}

void paint_end(struct paint *p, struct buf *out)
{
    static const struct grid none = {.rows = 0};
    p->pen_known = false;
    set_pen(p, &none, (struct pen){-1, -1, 0, 0}, out);
    if (p->caps.hides)
        buf_addz(out, p->caps.show);
    paint_forget(p);
}
