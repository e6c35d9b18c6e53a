/* Message transfer: a window of commands, each answer streamed to the sink as it comes. */
#include "net/pop3_impl.h"

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
            return err_set(err, ERR_LINE,
                           "%s: a message that is not wanted does not end, so the connection is given up", p->host);
        if (!d->done && !stream_fill(p->stream, err))
            return false;
    }
    return true;
}

/* One message's bytes. True when the answer was read to its end; *why_r then tells what the sink did not like. */
static bool body(struct pop3 *p, const struct pop3_sink *sink, uint32_t given, struct dots *d, struct err *why,
                 struct err *err)
{
    uint64_t listed = pop3_size(p, given & ~POP3_HEAD);
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

/* The window. `first` messages of `numbers` are done, `sent` are asked for. */
struct window {
    struct pop3 *p;
    enum pop3_verb verb;
    const uint32_t *numbers;
    size_t n, first, sent;
    uint64_t bytes; /* on the way, as far as known */
    bool probes;
};

static uint32_t number_of(const struct window *w, size_t i)
{
    return w->numbers[i] & ~POP3_HEAD;
}

static bool is_head(const struct window *w, size_t i)
{
    return w->verb == POP3_TOP || (w->numbers[i] & POP3_HEAD) != 0;
}

static uint64_t size_of(const struct window *w, size_t i)
{
    uint64_t size = is_head(w, i) ? 0 : pop3_size(w->p, number_of(w, i));
    return MIN(size, (uint64_t)POP3_WINDOW_BYTES);
}

/* The answer to LIST names a message, so one stands before and behind each; NOOP behind the last, which nothing that
 * was lost can make look like one of these. */
static bool ask(struct window *w, size_t i, struct err *err)
{
    struct stream *s = w->p->stream;
    if (w->probes && i == 0 && !stream_printf(s, err, "LIST %u\r\n", number_of(w, 0)))
        return false;
    if (!stream_printf(s, err, is_head(w, i) ? "TOP %u 0\r\n" : "RETR %u\r\n", number_of(w, i)))
        return false;
    if (!w->probes)
        return true;
    return i + 1 < w->n ? stream_printf(s, err, "LIST %u\r\n", number_of(w, i + 1)) : stream_printf(s, err, "NOOP\r\n");
}

/* Asks for as many as the window holds; refilled by halves, so that a segment holds many commands. */
static bool refill(struct window *w, struct err *err)
{
    size_t max = w->probes ? POP3_WINDOW : 1;
    if (w->sent > w->first && (w->sent - w->first > max / 2 || w->bytes > POP3_WINDOW_BYTES / 2))
        return true;
    while (w->sent < w->n && w->sent - w->first < max &&
           (w->sent == w->first || w->bytes + size_of(w, w->sent) <= POP3_WINDOW_BYTES)) {
        if (!ask(w, w->sent, err))
            return false;
        w->bytes += size_of(w, w->sent++);
    }
    return stream_flush(w->p->stream, err);
}

/* What stands before message i, or behind the last: its message is at this place of the line, or gone (*gone_r). */
static bool probe(struct window *w, size_t i, bool *gone_r, struct err *err)
{
    struct pop3_answer a;
    struct str rest, word;
    uint32_t number;
    uint64_t size;
    if (!w->probes)
        return true;
    if (!pop3_answer(w->p, &a, err))
        return false;
    *gone_r = !a.ok && i < w->n;
    if (*gone_r || (a.ok && i == w->n))
        return true;
    if (a.ok && pop3_number(w->p, a.text, &number, &rest) && number == number_of(w, i) &&
        str_split(&rest, ' ', &word) && str_u64(word, &size))
        return true;
    return err_set(err, ERR_PROTOCOL, "%s lost a command behind message %u; its pipelining is not trusted", w->p->host,
                   number_of(w, i > 0 ? i - 1 : 0));
}

static bool take_one(struct window *w, const struct pop3_sink *sink, bool *gone, struct err *err)
{
    struct pop3_answer a;
    struct err why = ERR_INIT;
    struct pop3 *p = w->p;
    uint32_t given = w->numbers[w->first];
    bool was_gone = *gone;
    if (!pop3_answer(p, &a, err))
        return false;
    if (!a.ok)
        pop3_refused(p, a.text, ERR_SERVER_NO, &why);
    struct dots d = {.lf = a.lf};
    if (a.ok && !body(p, sink, given, &d, &why, err)) {
        struct err ignored = ERR_INIT;
        if (why.kind != ERR_NONE) /* what the sink did not like ended the line: this message is to blame */
            (void)sink->end(sink->arg, given, &why, &ignored);
        return false;
    }
    w->bytes -= size_of(w, w->first);
    if (!probe(w, w->first + 1, gone, err))
        return false;
    /* LIST says it is not there and RETR gives it, or LIST knows no number: then nothing is sure. */
    if (w->probes && a.ok && was_gone)
        return err_set(err, ERR_PROTOCOL, "%s gives message %u and does not list it; its pipelining is not trusted",
                       p->host, number_of(w, w->first));
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
    bool gone = false, enough = false;
    struct window w = {.p = p, .verb = verb, .numbers = numbers, .n = n, .probes = n > 1 && pop3_pipelines(p)};
    for (size_t i = 0; i < n; i++) {
        uint32_t number = number_of(&w, i);
        if (number == 0 || number > p->count)
            return err_set(err, ERR_NO_MESSAGE, "%s: there is no message %u", p->host, number);
    }
    stream_answer(p->stream); /* the time since the last one was ours */
    for (; w.first < n; w.first++) {
        enough = enough || (p->enough != NULL && p->enough(p->enough_arg));
        if (!enough && !refill(&w, err))
            return false;
        if (w.first == w.sent)
            return true;
        if ((w.first == 0 && !probe(&w, 0, &gone, err)) || !take_one(&w, sink, &gone, err))
            return false;
    }
    return true;
}
