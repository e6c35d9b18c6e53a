/* Where the panes are. Wide: mailboxes, list and message side by side; tall: the message below the list; single: one at
 * a time, with a few rows of the list above an open message. */
#include "ui/private.h"

enum { WIDE_COLS = 160, TALL_ROWS = 30, SIDEBAR_COLS = 100, SMALL_ROWS = 5, SMALL_COLS = 20, KEPT_ROWS = 6 };

static bool is_wide(const char *name, unsigned cols)
{
    return !strcmp(name, "wide") ? cols >= 100 : !strcmp(name, "auto") && cols >= WIDE_COLS;
}

static bool is_tall(const char *name, unsigned rows, unsigned cols)
{
    return !strcmp(name, "tall") ? rows >= 12 : strcmp(name, "single") != 0 && rows >= TALL_ROWS && cols >= 80;
}

void layout_compute(struct layout *l, const struct conf *conf, const char *name, unsigned rows, unsigned cols,
                    bool sidebar, bool message, enum pane focus)
{
    if (conf->accessible && !strcmp(name, "auto"))
        name = "single"; /* what is read out row by row has nothing beside it */
    *l = (struct layout){.small = rows < SMALL_ROWS || cols < SMALL_COLS};
    if (l->small)
        return;
    l->status = (struct rect){rows - 1, 0, 1, cols};
    unsigned height = rows - 1, x = 0;
    struct rect none = {0, 0, 0, 0};
    unsigned side = MIN(conf->sidebar_width, cols / 3);
    bool single = !strcmp(name, "single") || cols < SIDEBAR_COLS;
    l->boxes = none;
    if (single && focus == PANE_BOXES) { /* the mailboxes take the whole screen while they are used */
        l->boxes = (struct rect){0, 0, height, cols};
        return;
    }
    if (sidebar && !single && side >= 8) {
        l->boxes = (struct rect){0, 0, height, side};
        l->rule_x = side;
        l->rule_rows = height;
        x = side + 1;
    }
    unsigned width = cols - x;
    l->list = (struct rect){0, x, height, width};
    if (!message)
        return;
    unsigned ratio = MIN(MAX(conf->list_ratio, 10u), 90u);
    if (is_wide(name, cols)) {
        unsigned w = MAX(width * ratio / 100, 30u);
        l->list.cols = w;
        l->split_x = x + w;
        l->message = (struct rect){0, x + w + 1, height, width - w - 1};
        return;
    }
    unsigned above = is_tall(name, rows, cols) ? MAX(height * ratio / 100, 4u) : height >= 18 ? KEPT_ROWS : 0;
    l->list.rows = above;
    l->message = (struct rect){above, x, height - above, width};
}
