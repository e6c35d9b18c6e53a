/* Message transfer: a window of commands, each answer streamed to the sink as it comes. */
#include "net/pop3_impl.h"

bool pop3_pipelines(const struct pop3 *p)
{
    return !p->lockstep && (p->caps & POP_PIPELINING) != 0;
}

static bool drop(void *arg UNUSED, struct str bytes UNUSED, struct err *err UNUSED)
{
    return true;
}

bool pop3_drain(struct pop3 *p, struct dots *d, struct err *err)
{
    uint64_t from = d->bytes;
    bool stopped = false;
    while (!d->done) {
        struct str in = stream_peek(p->stream);
        if (in.n > 0)
            stream_take(p->stream, dots_take(d, in, drop, NULL, &stopped, err));
        if (d->bytes - from > POP3_DROP_MAX)
            return err_set(err, ERR_LIMIT, "%s: a message that is not wanted does not end", p->host);
        if (!d->done && !stream_fill(p->stream, err))
            return false;
    }
    return true;
}

/* The size that LIST gave fits what came: counted with or without the CRs, and without the line end that a server adds
 * to a mail that lacks its last one (Dovecot does). */
static bool size_fits(uint64_t listed, const struct dots *d)
{
    uint64_t lf = d->bytes - d->crlfs;
    return listed == 0 || listed == d->bytes || listed + 2 == d->bytes || listed == lf || listed + 1 == lf;
}

/* One message's bytes. True when the answer was read to its end; *why_r then tells what the sink did not like. */
static bool body(struct pop3 *p, const struct pop3_sink *sink, uint32_t given, struct dots *d, struct err *why,
                 struct err *err)
{
    uint64_t listed = p->sizes != NULL ? p->sizes[(given & ~POP3_HEAD) - 1] : 0;
    bool stopped = !sink->begin(sink->arg, given, listed, why);
    while (!d->done && !stopped) {
        struct str in = stream_peek(p->stream);
        if (in.n > 0)
            stream_take(p->stream, dots_take(d, in, sink->data, sink->arg, &stopped, why));
        if (!d->done && !stopped && !stream_fill(p->stream, err))
            return false;
    }
    if (stopped && why->kind == ERR_NONE)
        err_set(why, ERR_CANCELED, "not wanted");
    return pop3_drain(p, d, err);
}

static bool take_one(struct pop3 *p, bool head, const struct pop3_sink *sink, uint32_t given, bool window,
                     struct err *err)
{
    struct pop3_answer a;
    struct err why = ERR_INIT;
    uint32_t number = given & ~POP3_HEAD;
    if (!pop3_answer(p, &a, err))
        return false;
    if (!a.ok) {
        pop3_refused(p, a.text, ERR_SERVER_NO, &why);
        return sink->end(sink->arg, given, &why, err);
    }
    struct dots d = {.lf = a.lf};
    if (!body(p, sink, given, &d, &why, err))
        return false;
    if (why.kind == ERR_NONE && window && !head && p->sizes != NULL && !size_fits(p->sizes[number - 1], &d))
        return err_set(err, ERR_PROTOCOL, "%s: message %u is not as long as listed; its pipelining is not trusted",
                       p->host, number);
    return sink->end(sink->arg, given, why.kind != ERR_NONE ? &why : NULL, err);
}

void pop3_interrupt(struct pop3 *p, bool (*asked)(void *arg), void *arg)
{
    p->enough = asked;
    p->enough_arg = arg;
}

bool pop3_get(struct pop3 *p, enum pop3_verb verb, const uint32_t *numbers, size_t n, const struct pop3_sink *sink,
              struct err *err)
{
    size_t window = pop3_pipelines(p) ? POP3_WINDOW : 1, sent = 0;
    bool enough = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t number = numbers[i] & ~POP3_HEAD;
        if (number == 0 || number > p->count)
            return err_set(err, ERR_NO_MESSAGE, "%s: there is no message %u", p->host, number);
    }
    for (size_t i = 0; i < n; i++) {
        enough = enough || (p->enough != NULL && p->enough(p->enough_arg));
        /* Refilled by halves: then a segment holds many commands. */
        if (!enough && sent <= i + window / 2) {
            for (; sent < n && sent < i + window; sent++) {
                bool head = verb == POP3_TOP || numbers[sent] & POP3_HEAD;
                if (!stream_printf(p->stream, err, head ? "TOP %u 0\r\n" : "RETR %u\r\n", numbers[sent] & ~POP3_HEAD))
                    return false;
            }
            if (!stream_flush(p->stream, err))
                return false;
        }
        if (i == sent)
            return true;
        bool head = verb == POP3_TOP || numbers[i] & POP3_HEAD;
        if (!take_one(p, head, sink, numbers[i], window > 1, err))
            return false;
    }
    return true;
}
