/* The wire loop: one answer framed at a time within limits, tags and pipelining, commands with literals (RFC
 * 3501 2.2, 4.3; 7888), IDLE (2177). */
#include "net/imap_internal.h"

#include <errno.h>
#include <unistd.h>

#define CHUNK_RENEWS 65536u /* so many bytes of a literal earn a new deadline */
#define COMMAND_MS 900000   /* and no command lasts longer than this, whatever comes meanwhile */
#define WAITS 5
#define COMMAND_BYTES ((uint64_t)256 << 20) /* nor do its answers, without literals that go to a sink, hold more */

struct imap *imap_new(struct stream *stream, const struct imap_handler *h, int64_t answer_ms)
{
    struct imap *m = mem_new(sizeof(*m));
    m->stream = stream;
    m->handler = *h;
    m->answer_ms = answer_ms;
    m->parser = imap_parser_new();
    m->next_tag = 1;
    m->append_limit = UINT64_MAX;
    buf_init(&m->answer, IMAP_SET_LINE_MAX + 32 * IMAP_LITERAL_KEPT);
    buf_init(&m->result, IMAP_LINE_MAX);
    buf_init(&m->caps_text, 16384);
    buf_init(&m->challenge, 65536);
    for (size_t i = 0; i < COUNT(m->slots); i++)
        buf_init(&m->slots[i].line, IMAP_LINE_MAX);
    return m;
}

void imap_free(struct imap **mp)
{
    struct imap *m = *mp;
    if (!m)
        return;
    imap_parser_free(&m->parser);
    buf_fini(&m->answer);
    buf_fini(&m->result);
    buf_fini(&m->caps_text);
    buf_fini(&m->challenge);
    for (size_t i = 0; i < COUNT(m->slots); i++)
        buf_fini(&m->slots[i].line);
    free(m);
    *mp = NULL;
}

void imap_identity(struct imap *m, const char *name, const char *version)
{
    snprintf(m->identity, sizeof m->identity, "\"name\" \"%s\" \"version\" \"%s\"", name, version);
}

void imap_deadline_cap(struct imap *m, const int64_t *mono_ms)
{
    m->deadline_cap = mono_ms;
}

/* A wait begins: for an answer to a command, or for what comes unasked. */
static void wait_begin(struct imap *m)
{
    m->wait_from = clock_mono_ms();
    m->wait_bytes = stream_bytes_in(m->stream);
    m->wait_answers = 0;
}

void imap_patience(struct imap *m, int64_t answer_ms)
{
    m->answer_ms = answer_ms;
}

/* A silent server has answer_ms. One that says little things has WAITS times that, for servers do say "still here"
 * while they copy, and a second for each KiB, for the line may be slow; a drip ends here (THREATS 28). */
static void deadline_set(struct imap *m)
{
    int64_t now = clock_mono_ms();
    int64_t d = now + m->answer_ms;
    int64_t kib = (int64_t)((stream_bytes_in(m->stream) - m->wait_bytes) >> 10);
    if (m->wait_from)
        d = MIN(d, m->wait_from + WAITS * m->answer_ms + kib * 1000);
    if (m->deadline_cap && *m->deadline_cap)
        d = MIN(d, *m->deadline_cap);
    stream_deadline(m->stream, d);
}

/* ---- Capabilities ------------------------------------------------------------------------------- */
static const char *const cap_words[] = {
#define X(name, word) word,
    IMAP_CAPS(X)
#undef X
};

void imap_caps_forget(struct imap *m)
{
    m->caps = 0;
    m->append_limit = UINT64_MAX;
    m->caps_known = false;
    buf_reset(&m->caps_text);
}

static uint64_t caps_read(struct str words)
{
    uint64_t caps = 0;
    struct str word;
    while (str_split(&words, ' ', &word))
        for (size_t i = 0; i < COUNT(cap_words); i++)
            if (str_case_eqz(word, cap_words[i]))
                caps |= UINT64_C(1) << i;
    return caps;
}

/* "APPENDLIMIT=n": one limit for all mailboxes (RFC 7889 3.1). */
static uint64_t limit_read(struct str words)
{
    static const char name[] = "APPENDLIMIT=";
    uint64_t limit = UINT64_MAX;
    struct str word;
    while (str_split(&words, ' ', &word))
        if (str_case_starts(word, str_z(name)) && !str_u64(str_sub(word, sizeof(name) - 1, word.n), &limit))
            limit = UINT64_MAX;
    return limit;
}

void imap_caps_take(struct imap *m, struct str words)
{
    imap_caps_forget(m);
    m->caps = caps_read(words);
    m->append_limit = limit_read(words);
    m->caps_known = true;
    buf_adds(&m->caps_text, str_sub(words, 0, MIN(words.n, m->caps_text.max - 1)));
    /* RFC 9051 Appendix E contains what these name; RFC 7162: QRESYNC implies CONDSTORE; 7889: a limit for all is
     * the extension; 9208: a named resource is the extension. */
    if (m->caps & IMAP_CAP_IMAP4REV2)
        m->caps |= IMAP_CAP_NAMESPACE | IMAP_CAP_UNSELECT | IMAP_CAP_UIDPLUS | IMAP_CAP_ESEARCH | IMAP_CAP_SEARCHRES |
                   IMAP_CAP_ENABLE | IMAP_CAP_IDLE | IMAP_CAP_SASL_IR | IMAP_CAP_LIST_EXTENDED | IMAP_CAP_LIST_STATUS |
                   IMAP_CAP_MOVE | IMAP_CAP_LITERAL_MINUS | IMAP_CAP_SPECIAL_USE | IMAP_CAP_CHILDREN |
                   IMAP_CAP_STATUS_SIZE;
    if (m->caps & IMAP_CAP_UTF8_ONLY)
        m->caps |= IMAP_CAP_UTF8_ACCEPT;
    if (m->append_limit != UINT64_MAX)
        m->caps |= IMAP_CAP_APPENDLIMIT;
    if (m->caps & IMAP_CAP_QUOTA_STORAGE)
        m->caps |= IMAP_CAP_QUOTA;
    if (m->caps & IMAP_CAP_QRESYNC)
        m->caps |= IMAP_CAP_CONDSTORE;
}

void imap_caps_expect(struct imap *m, struct str words)
{
    m->expected = caps_read(words);
}

uint64_t imap_append_limit(const struct imap *m)
{
    return m->append_limit;
}

uint64_t imap_caps(const struct imap *m)
{
    return m->caps;
}

struct str imap_caps_text(const struct imap *m)
{
    return buf_str(&m->caps_text);
}

bool imap_enabled(const struct imap *m, uint64_t cap)
{
    return (m->enabled & cap) != 0;
}

bool imap_utf8(const struct imap *m)
{
    return (m->enabled & (IMAP_CAP_UTF8_ACCEPT | IMAP_CAP_IMAP4REV2)) ||
           ((m->caps & IMAP_CAP_IMAP4REV2) && !(m->caps & IMAP_CAP_IMAP4REV1));
}

void imap_disable(struct imap *m, uint64_t caps)
{
    m->enabled &= ~caps;
}

/* ---- Framing ------------------------------------------------------------------------------------ */
static bool is_set_line(struct str line)
{
    return str_case_starts(line, STR("* SEARCH")) || str_case_starts(line, STR("* ESEARCH")) ||
           str_case_starts(line, STR("* VANISHED"));
}

/* Adds the bytes up to the next LF to the answer. */
static bool line_read(struct imap *m, struct err *err)
{
    for (;;) {
        struct str s = stream_peek(m->stream);
        if (!s.n) {
            if (!stream_fill(m->stream, err))
                return false;
            continue;
        }
        const char *nl = memchr(s.p, '\n', s.n);
        size_t n = nl ? (size_t)(nl - s.p) + 1 : s.n;
        m->line_bytes += n;
        if (m->line_bytes > IMAP_LINE_MAX && (m->line_bytes > IMAP_SET_LINE_MAX || !is_set_line(buf_str(&m->answer))))
            return err_set(err, ERR_PROTOCOL, "the server's answer is a line of more than %u bytes", IMAP_LINE_MAX);
        if (!buf_add(&m->answer, s.p, n))
            return err_set(err, ERR_PROTOCOL, "the server's answer is larger than %zu bytes", m->answer.max);
        stream_take(m->stream, n);
        if (nl)
            return true;
    }
}

static bool write_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = str_sub(s, (size_t)n, s.n);
    }
    return true;
}

/* Takes `n` literal bytes off the stream: the first `keep` into the answer, or all into fd. A failing disk is not the
 * line's fault: the rest is still read. */
static bool literal_read(struct imap *m, uint64_t n, size_t keep, int fd, struct err *err)
{
    uint64_t done = 0, renew = CHUNK_RENEWS;
    while (done < n) {
        struct str s = stream_peek(m->stream);
        if (!s.n) {
            if (!stream_fill(m->stream, err))
                return false;
            continue;
        }
        s.n = (size_t)MIN((uint64_t)s.n, n - done);
        if (fd >= 0 && !write_all(fd, s)) {
            log_msg(LOG_ERROR, "writing a body: %s", strerror(errno));
            m->streamed_bytes = UINT64_MAX;
            fd = -1;
        }
        if (done < keep && !buf_add(&m->answer, s.p, MIN(s.n, keep - (size_t)done)))
            return err_set(err, ERR_PROTOCOL, "the server's answer is larger than %zu bytes", m->answer.max);
        stream_take(m->stream, s.n);
        done += s.n;
        if (done >= renew) {
            renew = done + CHUNK_RENEWS;
            deadline_set(m);
        }
        if (m->streamed && m->handler.sink_progress)
            m->handler.sink_progress(m->handler.arg, done, n);
    }
    return true;
}

/* The item at the end of `line`, whose value begins behind it; "" where it is no body. */
static struct str body_item(struct str line)
{
    struct imap_fetch f;
    size_t from;
    if (line.n && line.p[line.n - 1] == '~')
        line.n--;
    if (!line.n || line.p[line.n - 1] != ' ')
        return (struct str){"", 0};
    line.n--;
    for (from = line.n; from && !strchr(" ()", line.p[from - 1]); from--)
        ;
    struct str item = str_sub(line, from, line.n);
    return imap_body_item(item, &f) ? item : (struct str){"", 0};
}

/* The literal that the line from `from` on announces; *more_r: there was one, the answer goes on behind it. */
static bool literal_take(struct imap *m, size_t from, bool *more_r, struct err *err)
{
    struct str line = str_sub(buf_str(&m->answer), from, m->answer.n);
    line.n -= line.n && line.p[line.n - 1] == '\n';
    line.n -= line.n && line.p[line.n - 1] == '\r';
    uint64_t n;
    size_t brace;
    bool quoted = false;
    *more_r = false;
    if (!imap_literal_size(line, &n, &brace))
        return true;
    for (size_t i = 0; i < brace; i++) {
        if (quoted && line.p[i] == '\\')
            i++;
        else if (line.p[i] == '"')
            quoted = !quoted;
    }
    if (quoted || (from == 0 && imap_line_is_text(line)))
        return true;
    if (n > IMAP_BODY_MAX)
        return err_set(err, ERR_PROTOCOL, "the server announces a string of more than %u bytes", IMAP_BODY_MAX);
    if (++m->literals > IMAP_LITERALS_MAX)
        return err_set(err, ERR_PROTOCOL, "the server's answer holds more than %u literals", IMAP_LITERALS_MAX);
    *more_r = true;
    size_t keep = (size_t)MIN(n, (uint64_t)IMAP_LITERAL_KEPT);
    int fd = -1;
    struct str item = body_item(str_sub(line, 0, brace));
    m->body_came = m->body_came || item.n;
    if (n > IMAP_LITERAL_STREAMED && !m->streamed && m->handler.sink && item.n) {
        fd = m->handler.sink(m->handler.arg, item, n);
        m->streamed = true;
        m->streamed_bytes = fd >= 0 ? n : UINT64_MAX;
        keep = 0;
    }
    m->answer.n = from + brace;
    if (!buf_addf(&m->answer, "{%zu}\r\n", keep))
        return err_set(err, ERR_PROTOCOL, "the server's answer is larger than %zu bytes", m->answer.max);
    return literal_read(m, n, keep, fd, err);
}

bool imap_read_answer(struct imap *m, struct str *answer_r, struct err *err)
{
    bool more;
    buf_reset(&m->answer);
    m->line_bytes = 0;
    m->literals = 0;
    m->streamed = m->body_came = false;
    deadline_set(m);
    do {
        size_t from = m->answer.n;
        if (!line_read(m, err) || !literal_take(m, from, &more, err))
            return false;
    } while (more);
    struct str s = buf_str(&m->answer);
    s.n -= s.n && s.p[s.n - 1] == '\n';
    s.n -= s.n && s.p[s.n - 1] == '\r';
    *answer_r = s;
    m->wait_answers += s.n;
    return m->wait_answers <= COMMAND_BYTES || err_set(err, ERR_PROTOCOL, "the server's answers do not end");
}

/* ---- Answers ------------------------------------------------------------------------------------ */
static struct imap_slot *slot_find(struct imap *m, uint32_t tag)
{
    for (size_t i = 0; tag && i < COUNT(m->slots); i++)
        if (m->slots[i].tag == tag)
            return &m->slots[i];
    return NULL;
}

static void slot_clear(struct imap_slot *s)
{
    s->tag = 0;
    s->done = s->forgotten = false;
    buf_reset(&s->line);
}

static bool tagged(struct imap *m, struct str answer, struct err *err)
{
    struct imap_event ev = {0};
    size_t blank = answer.n;
    uint32_t tag = 0;
    str_find(answer, ' ', &blank);
    struct str word = str_sub(answer, 0, blank), rest = str_trim(str_sub(answer, blank, answer.n));
    struct imap_slot *slot = NULL;
    if (word.n > 1 && word.p[0] == 'T' && str_u32(str_sub(word, 1, word.n), &tag))
        slot = slot_find(m, tag);
    if (!slot || slot->done) {
        /* A stray or second answer changes nothing: what we wait for still has its own tag. */
        log_msg(LOG_WARN, "the server answered a command that was not sent: %.*s", STR_FMT(str_sub(answer, 0, 80)));
        return true;
    }
    if (!imap_parse_state(rest, &ev) || ev.what == IMAP_BYE || ev.what == IMAP_PREAUTH)
        return err_set(err, ERR_PROTOCOL, "the server ended a command with no OK, NO or BAD");
    if (ev.what == IMAP_OK && str_case_eqz(ev.code, "CAPABILITY"))
        imap_caps_take(m, ev.args);
    if (slot->forgotten) {
        slot_clear(slot);
        return true;
    }
    buf_adds(&slot->line, rest);
    slot->done = true;
    return true;
}

static bool bye(struct imap *m, const struct imap_event *ev, struct err *err)
{
    struct buf clean = BUF_INIT(300);
    text_from_bytes(ev->text, TEXT_FOLD_SPACE, &clean);
    m->bye = true;
    err_set(err, ERR_SERVER_BYE, "the server said goodbye: \"%s\"", buf_z(&clean));
    buf_fini(&clean);
    return false;
}

/* Its first words; what may be mail is not logged. */
static void skipped_log(struct str answer)
{
    size_t end = MIN(answer.n, 60);
    for (size_t i = 0; i < end; i++)
        if (strchr("({\"\r\n", answer.p[i]))
            end = i;
    log_msg(LOG_DEBUG, "answer skipped: %.*s", STR_FMT(str_sub(answer, 0, end)));
}

bool imap_turn(struct imap *m, struct err *err)
{
    struct str answer;
    struct imap_event ev;
    if (!imap_read_answer(m, &answer, err))
        return false;
    if (!answer.n)
        return true;
    if (answer.p[0] != '*' && answer.p[0] != '+')
        return tagged(m, answer, err);
    imap_parser_utf8(m->parser, imap_utf8(m));
    imap_parse(m->parser, answer, &ev);
    switch (ev.what) {
    case IMAP_SKIPPED:
        skipped_log(answer);
        return true;
    case IMAP_CAPABILITY:
        imap_caps_take(m, ev.text);
        return true;
    case IMAP_ENABLED:
        if (m->logging_in)
            return true;
        m->enabled |= caps_read(ev.text);
        if (m->enabled & IMAP_CAP_QRESYNC)
            m->enabled |= IMAP_CAP_CONDSTORE;
        return true;
    case IMAP_CONTINUE:
        m->continued = true;
        buf_reset(&m->challenge);
        buf_adds(&m->challenge, ev.text);
        return true;
    case IMAP_BYE:
        return bye(m, &ev, err);
    case IMAP_OK:
        if (str_case_eqz(ev.code, "CAPABILITY"))
            imap_caps_take(m, ev.args);
        break;
    case IMAP_FETCH:
        if ((ev.fetch.has & IMAP_ASTRAY) && m->body_came) /* what follows may be the sender's text (THREATS 31) */
            return err_set(err, ERR_PROTOCOL, "the server's answer about message %u does not end where it said",
                           (unsigned)ev.fetch.seq);
        if (m->streamed && (ev.fetch.has & IMAP_HAS_BODY)) {
            ev.fetch.body_streamed = true;
            ev.fetch.body_bytes = m->streamed_bytes;
        } else {
            ev.fetch.body_bytes = ev.fetch.body.n;
        }
        break;
    default:
        break;
    }
    /* Before the login nothing may be believed (THREATS 6). */
    return m->logging_in || m->handler.event(m->handler.arg, &ev, err);
}

/* ---- Commands ----------------------------------------------------------------------------------- */
void imap_cmd_init(struct imap_cmd *c, const char *text)
{
    *c = (struct imap_cmd){.text = BUF_INIT(IMAP_LINE_MAX)};
    buf_addz(&c->text, text);
}

void imap_cmd_fini(struct imap_cmd *c)
{
    buf_fini(&c->text);
}

void imap_cmd_add(struct imap_cmd *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&c->text, fmt, ap);
    va_end(ap);
}

void imap_cmd_string(struct imap *m, struct imap_cmd *c, struct str s)
{
    bool quotable = s.n <= 1000, ascii = true;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (!ch)
            c->bad = true;
        if (ch < 0x20 || ch == 0x7F)
            quotable = false;
        ascii = ascii && ch < 0x80;
    }
    quotable = quotable && (ascii || (imap_utf8(m) && utf8_valid(s)));
    if (quotable) {
        buf_addc(&c->text, '"');
        for (size_t i = 0; i < s.n; i++) {
            if (s.p[i] == '"' || s.p[i] == '\\')
                buf_addc(&c->text, '\\');
            buf_addc(&c->text, s.p[i]);
        }
        buf_addc(&c->text, '"');
        return;
    }
    bool plus = (m->caps & IMAP_CAP_LITERAL_PLUS) || ((m->caps & IMAP_CAP_LITERAL_MINUS) && s.n <= 4096);
    buf_addf(&c->text, plus ? "{%zu+}\r\n" : "{%zu}\r\n", s.n);
    if (!plus && c->nsync < COUNT(c->sync))
        c->sync[c->nsync++] = c->text.n;
    else if (!plus)
        c->bad = true;
    buf_adds(&c->text, s);
}

void imap_cmd_mailbox(struct imap *m, struct imap_cmd *c, struct str name)
{
    struct buf utf8 = BUF_INIT(3 * IMAP_NAME_MAX);
    size_t at;
    if (!str_find(name, '&', &at)) { /* the same in both forms */
        imap_cmd_string(m, c, name);
        return;
    }
    while (m->enable_tag && slot_find(m, m->enable_tag) && !c->err.kind) {
        deadline_set(m);
        if (stream_flush(m->stream, &c->err))
            imap_turn(m, &c->err);
    }
    m->enable_tag = 0;
    bool decoded = imap_utf8(m) && imap_name_decode(name, &utf8);
    imap_cmd_string(m, c, decoded ? buf_str(&utf8) : name);
    buf_fini(&utf8);
}

static struct imap_slot *slot_new(struct imap *m, struct err *err)
{
    struct imap_slot *s = NULL;
    for (size_t i = 0; i < COUNT(m->slots) && !s; i++)
        if (!m->slots[i].tag)
            s = &m->slots[i];
    if (!s) {
        err_set(err, ERR_LIMIT, "more than %d commands under way", IMAP_PIPELINE_MAX);
        return NULL;
    }
    s->tag = m->next_tag++;
    if (!m->next_tag)
        m->next_tag = 1;
    return s;
}

bool imap_wait_continue(struct imap *m, uint32_t tag, bool *continued_r, struct err *err)
{
    wait_begin(m);
    deadline_set(m);
    if (!stream_flush(m->stream, err))
        return false;
    m->continued = false;
    const struct imap_slot *slot;
    while (!m->continued && (slot = slot_find(m, tag)) && !slot->done)
        if (!imap_turn(m, err))
            return false;
    *continued_r = m->continued;
    return true;
}

/* Everything but the CRLF. *refused_r: the server ended the command at a literal; its answer waits in the slot. */
static bool cmd_write(struct imap *m, struct imap_cmd *c, uint32_t tag, bool *refused_r, struct err *err)
{
    size_t at = 0;
    bool continued;
    *refused_r = false;
    wait_begin(m);
    deadline_set(m);
    if (!stream_printf(m->stream, err, "T%u ", tag))
        return false;
    for (unsigned i = 0; i < c->nsync; i++) {
        if (!stream_write(m->stream, str_sub(buf_str(&c->text), at, c->sync[i]), err) ||
            !imap_wait_continue(m, tag, &continued, err))
            return false;
        if (!continued) {
            *refused_r = true;
            return true;
        }
        at = c->sync[i];
    }
    return stream_write(m->stream, str_sub(buf_str(&c->text), at, c->text.n), err);
}

static bool cmd_begin(struct imap *m, struct imap_cmd *c, uint32_t *tag_r, bool *refused_r, struct err *err)
{
    bool ok = false;
    struct imap_slot *s = NULL;
    if (c->err.kind)
        *err = c->err;
    else if (c->bad || c->text.full)
        err_set(err, ERR_USAGE, "a name holds a byte that cannot be sent");
    else if ((s = slot_new(m, err)) != NULL) {
        *tag_r = s->tag;
        ok = cmd_write(m, c, s->tag, refused_r, err);
    }
    bool secret =
        str_case_starts(buf_str(&c->text), STR("LOGIN")) || str_case_starts(buf_str(&c->text), STR("AUTHENTICATE"));
    if (log_wants(LOG_DEBUG) && s && !secret)
        log_msg(LOG_DEBUG, "> T%u %.*s", s->tag, STR_FMT(str_sub(buf_str(&c->text), 0, 300)));
    if (c->text.p)
        explicit_bzero(c->text.p, c->text.n); /* LOGIN holds the password */
    imap_cmd_fini(c);
    return ok;
}

bool imap_send(struct imap *m, struct imap_cmd *c, uint32_t *tag_r, struct err *err)
{
    bool refused;
    return cmd_begin(m, c, tag_r, &refused, err) && (refused || stream_write(m->stream, STR("\r\n"), err));
}

bool imap_sendf(struct imap *m, uint32_t *tag_r, struct err *err, const char *fmt, ...)
{
    struct imap_cmd c;
    va_list ap;
    imap_cmd_init(&c, "");
    va_start(ap, fmt);
    buf_addv(&c.text, fmt, ap);
    va_end(ap);
    return imap_send(m, &c, tag_r, err);
}

static bool needs_no_wait(const struct imap *m, uint64_t size)
{
    return (m->caps & IMAP_CAP_LITERAL_PLUS) || ((m->caps & IMAP_CAP_LITERAL_MINUS) && size <= 4096);
}

/* A literal has been announced: may its bytes follow? */
static bool literal_begun(struct imap *m, uint32_t tag, uint64_t size, bool *refused_r, struct err *err)
{
    bool continued;
    if (*refused_r || needs_no_wait(m, size))
        return true;
    if (!imap_wait_continue(m, tag, &continued, err))
        return false;
    *refused_r = !continued;
    return true;
}

bool imap_send_literal(struct imap *m, struct imap_cmd *c, uint64_t size, uint32_t *tag_r, bool *refused_r,
                       struct err *err)
{
    imap_cmd_add(c, "{%llu%s}\r\n", (unsigned long long)size, needs_no_wait(m, size) ? "+" : "");
    return cmd_begin(m, c, tag_r, refused_r, err) && literal_begun(m, *tag_r, size, refused_r, err);
}

bool imap_literal_next(struct imap *m, uint32_t tag, const char *text, uint64_t size, bool *refused_r, struct err *err)
{
    struct buf line = BUF_INIT(1024);
    *refused_r = false;
    buf_addf(&line, "%s{%llu%s}\r\n", text, (unsigned long long)size, needs_no_wait(m, size) ? "+" : "");
    bool ok = imap_literal(m, buf_str(&line), err) && literal_begun(m, tag, size, refused_r, err);
    buf_fini(&line);
    return ok;
}

bool imap_literal(struct imap *m, struct str piece, struct err *err)
{
    wait_begin(m);
    deadline_set(m);
    return stream_write(m->stream, piece, err);
}

bool imap_literal_end(struct imap *m, struct err *err)
{
    return stream_write(m->stream, STR("\r\n"), err);
}

void imap_forget(struct imap *m, uint32_t tag)
{
    struct imap_slot *s = slot_find(m, tag);
    if (s && s->done)
        slot_clear(s);
    else if (s)
        s->forgotten = true;
}

bool imap_may_send(const struct imap *m)
{
    return m->waiting && !m->logging_in && !m->compressing;
}

bool imap_first(struct imap *m, uint32_t tag, uint32_t other, uint32_t *first_r, struct err *err)
{
    const struct imap_slot *a = slot_find(m, tag), *b = slot_find(m, other);
    if (!a || !b)
        bug("imap_first for a command that is not under way");
    wait_begin(m);
    deadline_set(m);
    if (!stream_flush(m->stream, err))
        return false;
    while (!a->done && !b->done)
        if (!imap_turn(m, err))
            return false;
    *first_r = a->done ? tag : other;
    return true;
}

bool imap_wait(struct imap *m, uint32_t tag, struct imap_result *r, struct err *err)
{
    struct imap_slot *s = slot_find(m, tag);
    struct imap_event ev = {0};
    if (!s)
        bug("imap_wait for a command that is not under way");
    int64_t end = clock_mono_ms() + COMMAND_MS;
    wait_begin(m);
    deadline_set(m);
    m->waiting = true;
    bool ok = stream_flush(m->stream, err);
    while (ok && !s->done) {
        ok = imap_turn(m, err);
        if (ok && !s->done && clock_mono_ms() > end)
            ok = err_set(err, ERR_TIMEOUT, "the server does not end a command");
    }
    m->waiting = false;
    if (!ok)
        return false;
    buf_reset(&m->result);
    buf_adds(&m->result, buf_str(&s->line));
    slot_clear(s);
    imap_parse_state(buf_str(&m->result), &ev);
    *r = (struct imap_result){.what = ev.what, .text = ev.text, .code = ev.code, .args = ev.args};
    return true;
}

static const struct {
    const char *code;
    enum err_kind kind;
} code_kinds[] = {
    {"OVERQUOTA", ERR_OVERQUOTA},
    {"TOOBIG", ERR_TOO_LARGE},
    {"LIMIT", ERR_OVERQUOTA},
    {"TRYCREATE", ERR_NO_MAILBOX},
    {"NONEXISTENT", ERR_NO_MAILBOX},
    {"READ-ONLY", ERR_READ_ONLY},
    {"NOPERM", ERR_READ_ONLY},
    {"EXPUNGEISSUED", ERR_NO_MESSAGE},
    {"UNAVAILABLE", ERR_SERVER_TEMP},
    {"INUSE", ERR_SERVER_TEMP},
    {"AUTHENTICATIONFAILED", ERR_AUTH},
    {"AUTHORIZATIONFAILED", ERR_AUTH},
    {"EXPIRED", ERR_AUTH},
    {"PRIVACYREQUIRED", ERR_NO_AUTH_METHOD},
};

bool imap_says(struct str text, const char *const *words, size_t count)
{
    char low[300];
    size_t n = MIN(text.n, sizeof low - 1);
    for (size_t i = 0; i < n; i++)
        low[i] = (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] + 32 : text.p[i] ? text.p[i] : ' ');
    low[n] = 0;
    for (size_t i = 0; i < count; i++)
        if (strstr(low, words[i]))
            return true;
    return false;
}

bool imap_busy(struct str text)
{
    static const char *const words[] = {"throttl",
                                        "rate limit",
                                        "try again later",
                                        "temporar",
                                        "overload",
                                        "bandwidth", /* Gmail, under [OVERQUOTA] */
                                        "authenticated but not connected" /* Exchange, under BAD */};
    return imap_says(text, words, COUNT(words));
}

/* Cyrus says "Over quota" and Courier "[ALERT] You exceeded your mail quota", without the code of RFC 5530. */
static bool says_quota(struct str text)
{
    static const char *const words[] = {"quota"};
    return imap_says(text, words, COUNT(words));
}

bool imap_result_err(const struct imap_result *r, struct err *err)
{
    enum err_kind kind = ERR_SERVER_NO;
    struct buf clean = BUF_INIT(300);
    if ((!r->code.n || str_case_eqz(r->code, "ALERT")) && says_quota(r->text))
        kind = ERR_OVERQUOTA;
    for (size_t i = 0; i < COUNT(code_kinds); i++)
        if (str_case_eqz(r->code, code_kinds[i].code))
            kind = code_kinds[i].kind;
    if ((kind == ERR_SERVER_NO || kind == ERR_OVERQUOTA) && imap_busy(r->text))
        kind = ERR_SERVER_TEMP;
    text_from_bytes(r->text, TEXT_FOLD_SPACE, &clean);
    err_set(err, kind, clean.n ? "the server refused: \"%s\"" : "the server refused and did not say why%s",
            buf_z(&clean));
    /* Shown, never followed: it would send the password wherever the server says (RFC 2193, 2221). */
    if (str_case_eqz(r->code, "REFERRAL") && r->args.n) {
        struct err said = *err;
        buf_reset(&clean);
        text_from_bytes(str_sub(r->args, 0, 120), TEXT_FOLD_SPACE, &clean);
        err_set(err, kind, "%.240s; it names another place, %s, where tuimail goes only if you write it into tuimailrc",
                said.text, buf_z(&clean));
    }
    buf_fini(&clean);
    return false;
}

bool imap_wait_ok(struct imap *m, uint32_t tag, struct imap_result *r, bool *alive_r, struct err *err)
{
    *alive_r = imap_wait(m, tag, r, err);
    return *alive_r && (r->what == IMAP_OK || imap_result_err(r, err));
}

bool imap_done(struct imap *m, uint32_t tag, bool *alive_r, struct err *err)
{
    struct imap_result r;
    return imap_wait_ok(m, tag, &r, alive_r, err);
}

/* ---- IDLE --------------------------------------------------------------------------------------- */
bool imap_idle_begin(struct imap *m, bool *on_r, struct err *err)
{
    struct imap_result r;
    *on_r = false;
    if (!imap_sendf(m, &m->idle_tag, err, "IDLE") || !imap_wait_continue(m, m->idle_tag, on_r, err))
        return false;
    return *on_r || imap_wait(m, m->idle_tag, &r, err);
}

bool imap_idle_send(struct imap *m, struct err *err)
{
    m->continued = false;
    return imap_sendf(m, &m->idle_tag, err, "IDLE") && stream_flush(m->stream, err);
}

bool imap_idle_on(const struct imap *m)
{
    return m->continued;
}

bool imap_idle_over(struct imap *m)
{
    struct imap_slot *s = slot_find(m, m->idle_tag);
    if (s && s->done)
        slot_clear(s);
    return !s || !s->tag;
}

bool imap_buffered(struct imap *m, bool *yes_r, struct err *err)
{
    return stream_readable(m->stream, clock_mono_ms(), yes_r, err);
}

bool imap_idle_read(struct imap *m, struct err *err)
{
    bool yes;
    while (imap_buffered(m, &yes, err)) {
        if (!yes)
            return true;
        wait_begin(m);
        if (!imap_turn(m, err))
            return false;
    }
    return false;
}

bool imap_idle_end(struct imap *m, struct err *err)
{
    wait_begin(m);
    deadline_set(m);
    /* Its end need not be waited for: the next command may follow in the same segment. */
    imap_forget(m, m->idle_tag);
    return stream_write(m->stream, STR("DONE\r\n"), err);
}
