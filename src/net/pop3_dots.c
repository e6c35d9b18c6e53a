/* Byte-unstuffing of multi-line answers (RFC 1939 3), streaming: chunk borders may fall anywhere, memory is constant.
 */
#include <string.h>

#include "net/pop3.h"

struct out {
    struct dots *d;
    bool (*data)(void *arg, struct str bytes, struct err *);
    void *arg;
    bool *stopped;
    struct err *err;
};

static void give(struct out *o, const char *p, size_t n)
{
    if (n == 0)
        return;
    o->d->bytes += n;
    if (!*o->stopped && !o->data(o->arg, (struct str){p, n}, o->err))
        *o->stopped = true;
}

/* Inside a line: runs to the next LF at once. Returns the new place. */
static size_t run(struct dots *d, struct str in, size_t i)
{
    const char *lf = memchr(in.p + i, '\n', in.n - i);
    if (lf == NULL) {
        d->at = in.p[in.n - 1] == '\r' ? DOT_CR : DOT_IN_LINE;
        return in.n;
    }
    size_t at = (size_t)(lf - in.p);
    bool cr = at > i ? in.p[at - 1] == '\r' : d->at == DOT_CR;
    if (cr)
        d->crlfs++;
    d->at = cr || d->lf ? DOT_LINE_START : DOT_IN_LINE;
    return at + 1;
}

size_t dots_take(struct dots *d, struct str in, bool (*data)(void *arg, struct str bytes, struct err *), void *arg,
                 bool *stopped_r, struct err *err)
{
    struct out o = {d, data, arg, stopped_r, err};
    size_t i = 0, from = 0; /* in[from .. i) is seen and not given out */
    while (i < in.n && !d->done) {
        switch (d->at) {
        case DOT_LINE_START:
            if (in.p[i] == '.') {
                give(&o, in.p + from, i - from);
                from = ++i;
                d->at = DOT_DOT;
            } else {
                d->at = DOT_IN_LINE;
            }
            break;
        case DOT_IN_LINE:
        case DOT_CR:
            i = run(d, in, i);
            break;
        case DOT_DOT: /* the dot is held back; in[from] is behind it */
            if (in.p[i] == '\r') {
                d->at = DOT_DOT_CR;
                i++;
            } else if (in.p[i] == '\n' && d->lf) {
                d->done = true;
                from = ++i;
            } else {
                d->at = DOT_IN_LINE;
            }
            break;
        case DOT_DOT_CR: /* the CR is held back too */
            if (in.p[i] == '\n') {
                d->done = true;
                from = ++i;
            } else {
                if (from == i)
                    give(&o, "\r", 1); /* it came in the last chunk */
                d->at = DOT_CR;
            }
            break;
        }
    }
    if (d->at != DOT_DOT_CR || d->done) /* else in[from] is the CR */
        give(&o, in.p + from, i - from);
    return i;
}
