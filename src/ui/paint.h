/* Frames into bytes: what has to be written to a terminal that shows one grid so that it shows the next, in as few
 * bytes as it understands. Knows control sequences (ECMA-48) and no curses; does no I/O, so tests replay what it
 * writes.
 *
 * All bytes that come from a grid are safe text (grid.h) or targets that grid_link has encoded: nothing in them can end
 * or begin a sequence. */
#ifndef TUIMAIL_UI_PAINT_H
#define TUIMAIL_UI_PAINT_H

#include "ui/theme.h"

/* What the terminal can do. All false and 0: cursor addressing, bold and reverse alone, as a vt100. */
struct paint_caps {
    unsigned colors; /* 0 none; 8, 16, 256 */
    bool rgb;        /* and 24-bit ones */
    bool ansi;       /* ECMA-48 sequences; else the strings below are all there is */
    bool offs;       /* attributes and colours can be ended one by one */
    bool bce;        /* what is erased has the present background */
    bool wraps;      /* writing the last column of the last row scrolls */
    bool ech, hpa;   /* erase characters; go to a column */
    bool dim, italic;
    bool no_dim_color, no_underline_color; /* not together with colours */
    bool links;                            /* OSC 8 */
    bool scrolls;                          /* margins, index and reverse index */
    bool hides;                            /* its cursor can be hidden */
    const char *show, *hide;               /* of the cursor */
    /* where not ansi: "" where there is none */
    const char *clear, *plain, *bold, *reverse, *underline;
    void (*place)(unsigned y, unsigned x, struct buf *out);
};

/* How a cell looks on this terminal. */
struct pen {
    int32_t fg, bg; /* as struct look, of those it has */
    uint32_t link;  /* a number of the grid's links' targets, 0 none */
    uint8_t attributes;
};
struct shown {
    char p[CELL_BYTES];
    uint8_t n, cols;
    struct pen pen;
};
struct paint {
    struct paint_caps caps;
    struct shown *cells; /* what the terminal shows; NULL: nobody knows */
    unsigned rows, cols;
    int y, x; /* where its cursor is; -1: unknown, of x alone or of both */
    struct pen pen;
    bool pen_known, cursor_on;
    bool cursor_known;
};
void paint_init(struct paint *, const struct paint_caps *);
void paint_fini(struct paint *);
void paint_forget(struct paint *); /* the screen is not as it was left: all anew with the next frame */
/* Appends what makes the terminal show the grid. `width` tells how many columns the terminal gives a code point (-1:
 * none): what it sees wider than the grid does is left out, so that columns hold. */
void paint_frame(struct paint *, const struct grid *, const struct theme *, int (*width)(uint32_t cp), struct buf *out);
/* Before the terminal is given away: plain, no link, the cursor to be seen. */
void paint_end(struct paint *, struct buf *out);

#endif
