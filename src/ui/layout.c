/* Where the panes are. Wide: mailboxes, list and message side by side; tall: the message below the list; single: one at
 * a time, with a few rows of the list above an open message. */
#include "ui/private.h"

/* From WIDE_COLS on the list beside a message has about 60 columns; on a screen too low for one above the other it has
 * to do with less. */
enum { WIDE_COLS = 176, WIDE_LOW_COLS = 160, TALL_ROWS = 30, SIDEBAR_COLS = 100, SMALL_ROWS = 5, SMALL_COLS = 20 };
enum {
    WIDE_NAMED_COLS = 100,
    TALL_NAMED_ROWS = 12,
    LEAST_COLS = 30,
    LEAST_ROWS = 4,
    LINES_ROWS = 18,
    SIDEBAR_LEAST = 8
};

enum layout_shape layout_shape(const struct panes *p, unsigned rows, unsigned cols)
{
    unsigned name = p->now[PANES_LAYOUT];
    unsigned beside = rows < TALL_ROWS ? WIDE_LOW_COLS : WIDE_COLS;
    if (name == LAYOUT_WIDE ? cols >= WIDE_NAMED_COLS : name == LAYOUT_AUTO && cols >= beside)
        return SHAPE_WIDE;
    if (name == LAYOUT_TALL ? rows >= TALL_NAMED_ROWS : name != LAYOUT_SINGLE && rows >= TALL_ROWS && cols >= 80)
        return SHAPE_TALL;
    return SHAPE_SINGLE;
}

bool layout_has_sidebar(const struct panes *p, unsigned cols)
{
    return p->now[PANES_LAYOUT] != LAYOUT_SINGLE && cols >= SIDEBAR_COLS &&
           MIN(p->now[PANES_SIDEBAR], cols / 3) >= SIDEBAR_LEAST;
}

/* One pane alone. */
static void zoomed(struct layout *l, unsigned height, unsigned cols, bool message, enum pane focus)
{
    struct rect all = {0, 0, height, cols};
    if (focus == PANE_BOXES)
        l->boxes = all;
    else if (focus == PANE_MESSAGE && message)
        l->message = all;
    else
        l->list = all;
}

static unsigned share(unsigned whole, unsigned percent, unsigned least)
{
    unsigned part = MAX(whole * percent / 100, least);
    return MIN(part, whole > least ? whole - least : part); /* the other one has as much at least */
}

void layout_compute(struct layout *l, const struct panes *p, unsigned rows, unsigned cols, bool sidebar, bool message,
                    enum pane focus)
{
    *l = (struct layout){.small = rows < SMALL_ROWS || cols < SMALL_COLS};
    if (l->small)
        return;
    l->status = (struct rect){rows - 1, 0, 1, cols};
    unsigned height = rows - 1, x = 0;
    bool single = p->now[PANES_LAYOUT] == LAYOUT_SINGLE || cols < SIDEBAR_COLS;
    if (p->zoom || (single && focus == PANE_BOXES)) { /* the mailboxes take the whole screen while they are used */
        zoomed(l, height, cols, message, focus);
        return;
    }
    if (sidebar && layout_has_sidebar(p, cols)) {
        unsigned side = MIN(p->now[PANES_SIDEBAR], cols / 3);
        l->boxes = (struct rect){0, 0, height, side};
        l->rule_x = side;
        l->rule_rows = height;
        x = side + 1;
    }
    unsigned width = cols - x;
    l->list = (struct rect){0, x, height, width};
    if (!message)
        return;
    enum layout_shape shape = layout_shape(p, rows, cols);
    if (shape == SHAPE_WIDE) {
        unsigned w = share(width, p->now[PANES_WIDTH], LEAST_COLS);
        l->list.cols = w;
        l->split_x = x + w;
        l->message = (struct rect){0, x + w + 1, height, width - w - 1};
        return;
    }
    unsigned lines = p->now[PANES_LINES], above = 0;
    if (shape == SHAPE_TALL)
        above = share(height, p->now[PANES_HEIGHT], LEAST_ROWS);
    else if (height >= LINES_ROWS && lines > 1)
        above = MIN(lines, height - LINES_ROWS / 2);
    l->list.rows = above;
    l->message = (struct rect){above, x, height - above, width};
}
