/* How fast the line to the terminal is: a large frame is written between two questions that every terminal answers
 * (ECMA-48 DSR), and the time between the two answers is what the frame took. A round trip counts for nothing in it.
 * Between these measures one question alone stands behind what was written, so that no more is on its way than half a
 * second's worth: what is behind that would be shown when it is long out of date.
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
    size_t rate;    /* bytes a second, by the last measure; 0: not known */
    size_t sent;    /* bytes that no answer has been given for */
    size_t behind;  /* of them, behind the question that is due */
    unsigned slows; /* times in a row */
    bool tried, slow;
    bool answers;  /* it has answered what it was asked last */
    bool measures; /* the questions that are due */
};
/* Is a frame of so many bytes to stand between two questions? If so, both must be written. */
bool pace_asks(struct pace *, size_t bytes, int64_t now);
/* So many bytes of a frame were given to the terminal. True where a question is to follow (never where pace_asks was).
 */
bool pace_marks(struct pace *, size_t bytes, int64_t now);
/* Is so much on its way that the next frame waits for an answer? Not for one that does not come in 10 s. */
bool pace_holds(const struct pace *, int64_t now);
/* The frame and the questions are written. */
void pace_written(struct pace *, int64_t now);
/* An answer came. True where by it the line has become slow, or is no longer (pace->slow). One that nobody asked for is
 * passed over. */
bool pace_answered(struct pace *, int64_t now);

#endif
