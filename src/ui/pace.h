/* How fast the line to the terminal is: a large frame is written between two questions that every terminal answers
 * (ECMA-48 DSR), and the time between the two answers is what the frame took. A round trip counts for nothing in it.
 * Pure: the caller has the clock and the terminal. */
#ifndef TUIMAIL_UI_PACE_H
#define TUIMAIL_UI_PACE_H

#include "base/base.h"

#define PACE_ASK "\033[5n"
#define PACE_ANSWER "\033[0n"

struct pace {
    unsigned due;   /* answers that are still to come */
    int64_t asked;  /* when; monotonic milliseconds */
    int64_t wrote;  /* how long the terminal's own writing took */
    int64_t first;  /* when the first answer came */
    size_t bytes;   /* between the questions */
    unsigned slows; /* times in a row */
    bool tried, slow;
};
/* Is a frame of so many bytes to stand between two questions? If so, both must be written. */
bool pace_asks(struct pace *, size_t bytes, int64_t now);
/* The frame and the questions are written. */
void pace_written(struct pace *, int64_t now);
/* An answer came. True where by it the line has become slow, or is no longer (pace->slow). One that nobody asked for is
 * passed over. */
bool pace_answered(struct pace *, int64_t now);

#endif
