/* Cell grid: what the screen shall show, a grapheme cluster a cell, with style ids instead of colours.
 *
 * Panes draw here and nowhere else, and only `struct text` can be drawn, so that no byte of mail reaches a terminal
 * unclean. Nothing here knows curses: tests print a grid as text. Drawing outside the grid or the rectangle is cut off.
 */
#ifndef TUIMAIL_UI_GRID_H
#define TUIMAIL_UI_GRID_H

#include "base/base.h"

#define GRID_MAX_COLS 5000u
#define GRID_MAX_CELLS (1u << 20)
#define CELL_BYTES 28 /* a family emoji of four has 25; what is longer loses its last marks */

/* A style: a thing of the theme (theme.h) and overlays on it. */
typedef uint16_t style;
struct cell {
    char p[CELL_BYTES];
    uint8_t n, cols; /* n 0: the right half of the wide cell before it */
    style style;
    uint32_t link; /* where it leads: a number of grid_link's, 0 nowhere */
};
/* The targets of links on the grid, each once. */
struct grid_link {
    uint32_t number;
    char *target;
};
#define GRID_MAX_LINKS 500
#define GRID_MAX_TARGET 2000 /* bytes; terminals take about so much */
/* Who puts right-to-left text in order (bidi.h): we, the terminal, nobody. */
enum bidi_mode { BIDI_REORDER, BIDI_TERMINAL, BIDI_OFF };
struct grid {
    unsigned rows, cols;
    struct cell *cells;
    bool ascii; /* signs of ASCII alone; the caller cleans text with TEXT_ASCII too */
    bool plain; /* signs of ASCII alone, text as it is */
    bool arrow; /* a mark at the row of the cursor in place of a bar: a few bytes for each move */
    bool words; /* words in place of signs, blanks in place of lines */
    enum bidi_mode bidi;
    bool reordered; /* it was done: the terminal must not do it again */
    unsigned cursor_y, cursor_x;
    struct grid_link *links;
    unsigned nlinks;
    bool cursor_on; /* else the terminal's cursor stands at cursor_y, cursor_x but hidden */
};
/* What the mouse did, and at which cell. */
struct mouse {
    unsigned y, x;
    enum { MOUSE_PRESS, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN } what;
};
struct rect {
    unsigned y, x, rows, cols;
};

void grid_init(struct grid *);
void grid_fini(struct grid *);
/* Sizes past the limits are cut. The contents are blank after it. */
void grid_resize(struct grid *, unsigned rows, unsigned cols);
void grid_clear(struct grid *, style);
const struct cell *grid_at(const struct grid *, unsigned y, unsigned x);
/* Draws into the row y of the rectangle from its column x on (both counted from the rectangle); returns the columns
 * used. */
unsigned grid_text(struct grid *, struct rect, unsigned y, unsigned x, struct text, style);
/* The same into a field of `width` columns: cut with an ellipsis, or filled with blanks. */
void grid_field(struct grid *, struct rect, unsigned y, unsigned x, unsigned width, struct text, style);
void grid_field_right(struct grid *, struct rect, unsigned y, unsigned x, unsigned width, struct text, style);
void grid_fill(struct grid *, struct rect, style);
void grid_fill_row(struct grid *, struct rect, unsigned y, style);
/* Lays an overlay over `n` cells. */
void grid_overlay(struct grid *, struct rect, unsigned y, unsigned x, unsigned n, style overlay);

/* Makes `n` cells lead to a URL (hostile). Its bytes are encoded so that they are printing ASCII; one with a control or
 * a blank, or that is too long, is no link. */
void grid_link(struct grid *, struct rect, unsigned y, unsigned x, unsigned n, struct str url);
/* The encoded target; NULL where there is none of that number. */
const char *grid_link_target(const struct grid *, uint32_t number);

/* The row that the cursor of a list is on: an overlay, or with `arrow` a mark in the first column. */
void grid_cursor(struct grid *, struct rect, unsigned y, style overlay);

/* Signs that have a form in ASCII. */
enum sign {
    SIGN_UNREAD,
    SIGN_FLAGGED,
    SIGN_ATTACHMENT,
    SIGN_ANSWERED,
    SIGN_FORWARDED,
    SIGN_PENDING,
    SIGN_FAILED,
    SIGN_STUB,
    SIGN_SELECTED,
    SIGN_SIGNED,
    SIGN_ENCRYPTED,
    SIGN_TO_ME,
    SIGN_VERTICAL,
    SIGN_HORIZONTAL,
    SIGN_ELLIPSIS,
    SIGN_DOT,
    SIGN_QUOTE,
    SIGN_FOLDED,
    SIGN_BRANCH,
    SIGN_LAST,
    SIGN_COUNT
};
struct text grid_sign(const struct grid *, enum sign);
void grid_hline(struct grid *, struct rect, unsigned y, style);
void grid_vline(struct grid *, unsigned y, unsigned x, unsigned rows, style);

/* The grid as lines of text without trailing blanks; with `styles` each line is followed by the style ids that are not
 * plain, as "  | name@from-to". For golden tests and for output without a terminal. */
void grid_print(const struct grid *, bool styles, struct buf *out);

#endif
