/* Right-to-left writing on a grid of cells (Unicode TR 9).
 *
 * Text is drawn in the order in which it is stored; a run of cells that holds Hebrew, Arabic and the like is then put
 * into the order in which it is read. Terminals differ: most draw cells as they come, some reorder themselves. For the
 * first, and for those that can be told not to (ECMA-48 BDSM, which term.c resets once such a run was drawn), it is
 * done here, by FriBidi; for the others each run is an isolate, so that no column pulls its neighbour along. Controls
 * of direction in mail never come so far (base.h: text). */
#ifndef TUIMAIL_UI_BIDI_H
#define TUIMAIL_UI_BIDI_H

#include "ui/grid.h"

/* Of a paragraph: the direction of its first letter. */
bool bidi_is_rtl(struct str paragraph);
/* Puts `n` cells of the row into order. rtl: the paragraph they belong to is read from the right; blanks at the end of
 * the run then come to its left, so that the line begins at its right end. As grid.bidi says; without right-to-left
 * letters, and where `rtl` is false, nothing changes. */
void bidi_cells(struct grid *, struct rect, unsigned y, unsigned x, unsigned n, bool rtl);

#endif
