#include "ui/pace.h"

enum {
    ASK_BYTES = 1500, /* less is there at once */
    ASK_EVERY_MS = 10000,
    NO_ANSWER_MS = 60000,
    SLOW = 16000,  /* bytes a second: a bar that moves takes longer than a frame */
    SLOW_TIMES = 2 /* once may be a busy machine */
};

bool pace_asks(struct pace *p, size_t bytes, int64_t now)
{
    bool again = !p->tried || p->slows == 1 || now - p->asked >= ASK_EVERY_MS;
    if (p->due && now - p->asked >= NO_ANSWER_MS)
        p->due = 0; /* a terminal that has not answered then never will: it is asked seldom */
    if (p->due || bytes < ASK_BYTES || !again)
        return false;
    p->tried = true;
    p->due = 2;
    p->asked = now;
    p->bytes = bytes;
    return true;
}

void pace_written(struct pace *p, int64_t now)
{
    p->wrote = now - p->asked;
}

bool pace_answered(struct pace *p, int64_t now)
{
    if (!p->due)
        return false;
    if (--p->due) {
        p->first = now;
        return false;
    }
    /* A line without a buffer holds the writer; both answers are then read together. */
    int64_t took = MAX(MAX(now - p->first, p->wrote), 1);
    bool slow = (int64_t)p->bytes * 1000 / took < (p->slow ? 2 * SLOW : SLOW), was = p->slow;
    p->slows = slow ? MIN(p->slows + 1, (unsigned)SLOW_TIMES) : 0;
    p->slow = p->slow ? slow : p->slows >= SLOW_TIMES;
    return p->slow != was;
}
