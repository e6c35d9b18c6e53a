#include "ui/pace.h"

enum {
    ASK_BYTES = 1000, /* less is there at once */
    ASK_EVERY_MS = 10000,
    NO_ANSWER_MS = 60000,
    SLOW = 16000,   /* bytes a second: a bar that moves takes longer than a frame */
    SLOW_TIMES = 2, /* once may be a busy machine */
    HOLD_MS = 10000,
    WAY_MIN = 1000, /* bytes on their way */
    WAY_MAX = 32000
};

/* What may be on its way: half a second's worth. */
static size_t way(const struct pace *p)
{
    return p->rate ? MIN(MAX(p->rate / 2, (size_t)WAY_MIN), (size_t)WAY_MAX) : (size_t)WAY_MAX;
}

bool pace_asks(struct pace *p, size_t bytes, int64_t now)
{
    bool again = !p->tried || p->slows == 1 || now - p->asked >= ASK_EVERY_MS;
    if (p->due && now - p->asked >= NO_ANSWER_MS)
        p->due = 0, p->answers = false; /* one that has not answered then never will: it is asked seldom */
    if (p->due || bytes < ASK_BYTES || !again)
        return false;
    p->tried = true;
    p->due = 2;
    p->asked = now;
    p->bytes = bytes;
    p->measures = true;
    p->behind = 0;
    return true;
}

bool pace_marks(struct pace *p, size_t bytes, int64_t now)
{
    p->sent += bytes;
    p->behind += p->due && !p->measures ? bytes : 0;
    if (p->due || !p->answers || p->sent < MIN((size_t)ASK_BYTES, way(p)))
        return false;
    p->due = 1;
    p->measures = false;
    p->asked = now;
    p->behind = 0;
    return true;
}

bool pace_holds(const struct pace *p, int64_t now)
{
    return p->answers && p->due && p->sent > way(p) && now - p->asked < HOLD_MS;
}

void pace_written(struct pace *p, int64_t now)
{
    p->wrote = now - p->asked;
}

bool pace_answered(struct pace *p, int64_t now)
{
    if (!p->due)
        return false;
    p->answers = true;
    if (--p->due) {
        p->first = now;
        return false;
    }
    p->sent = p->behind;
    if (!p->measures)
        return false;
    /* A line without a buffer holds the writer; both answers are then read together. */
    int64_t took = MAX(MAX(now - p->first, p->wrote), 1);
    p->rate = (size_t)((int64_t)p->bytes * 1000 / took);
    bool slow = (int64_t)p->rate < (p->slow ? 2 * SLOW : SLOW), was = p->slow;
    p->slows = slow ? MIN(p->slows + 1, (unsigned)SLOW_TIMES) : 0;
    p->slow = p->slow ? slow : p->slows >= SLOW_TIMES;
    return p->slow != was;
}
