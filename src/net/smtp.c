/* The submission session. Contract in the header. */
#include "net/smtp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "net/sasl.h"

#define REPLY_LINES_MAX 200
#define REPLY_LINE_MAX 8192
#define REPLY_TEXT_MAX 16384
#define ADDRESS_MAX 320
#define WINDOW 100 /* RCPT commands on the way */
#define SASL_TURNS_MAX 10
#define READ_CHUNK 32768
#define FINAL_MS (10 * 60 * 1000) /* for the answer to the final dot: RFC 5321 4.5.3.2.6 */

struct smtp {
    struct stream *stream;
    char *host;
    unsigned caps;
    uint64_t size_max; /* of SIZE; 0 unknown */
    struct buf auth;   /* mechanisms */
};

struct reply {
    unsigned code;
    struct buf text; /* lines, blank separated; hostile */
};

struct smtp *smtp_new(struct stream *stream, const char *host)
{
    struct smtp *s = mem_new(sizeof *s);
    s->stream = stream;
    s->host = mem_dup_z(host);
    buf_init(&s->auth, 1024);
    return s;
}

void smtp_free(struct smtp **sp)
{
    if (*sp == NULL)
        return;
    buf_fini(&(*sp)->auth);
    free((*sp)->host);
    free(*sp);
    *sp = NULL;
}

unsigned smtp_caps(const struct smtp *s)
{
    return s->caps;
}

/* ---- Replies ------------------------------------------------------------------------------------ */

static bool reply_line(struct smtp *s, struct reply *r, bool *more_r, struct err *err)
{
    struct str line;
    uint32_t code;
    if (!stream_line(s->stream, REPLY_LINE_MAX, &line, err))
        return false;
    bool ok = line.n >= 3 && str_u32(str_sub(line, 0, 3), &code) && code >= 200 && code <= 599 &&
              (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-');
    if (!ok || (r->code != 0 && r->code != code)) /* a code that changes midway: THREATS 151 */
        return err_set(err, ERR_PROTOCOL, "%s speaks no SMTP: \"%.*s\"", s->host, (int)MIN(line.n, (size_t)100),
                       line.p);
    r->code = code;
    *more_r = line.n > 3 && line.p[3] == '-';
    struct str text = str_trim(str_sub(line, 4, line.n));
    if (r->text.n > 0)
        buf_addc(&r->text, '\n');
    buf_adds(&r->text, str_sub(text, 0, r->text.max - r->text.n));
    return true;
}

/* Reads one reply into *r (an initialised one, used again). Its time is a new answer's unless `timed` already. */
static bool reply(struct smtp *s, struct reply *r, bool timed, struct err *err)
{
    bool more = true;
    buf_reset(&r->text);
    r->code = 0;
    if (!timed)
        stream_answer(s->stream);
    for (int n = 0; more; n++) {
        if (n == REPLY_LINES_MAX)
            return err_set(err, ERR_PROTOCOL, "%s sends a reply without end", s->host);
        if (!reply_line(s, r, &more, err))
            return false;
    }
    return true;
}

static void reply_init(struct reply *r)
{
    r->code = 0;
    buf_init(&r->text, REPLY_TEXT_MAX);
}

static bool refused(const struct smtp *s, const struct reply *r, enum err_kind permanent, struct err *err)
{
    enum err_kind kind = r->code < 400 ? ERR_PROTOCOL : r->code < 500 ? ERR_SERVER_TEMP : permanent;
    return err_set(err, kind, "%s says%s: \"%u %.200s\"", s->host, stream_is_tls(s->stream) ? "" : " (not encrypted)",
                   r->code, buf_z(&r->text));
}

/* Sends a line and expects a reply of this hundred. */
static bool command(struct smtp *s, struct reply *r, unsigned hundred, enum err_kind permanent, struct err *err,
                    const char *line)
{
    if (!stream_printf(s->stream, err, "%s\r\n", line) || !reply(s, r, false, err))
        return false;
    return r->code / 100 == hundred || refused(s, r, permanent, err);
}

/* ---- Greeting ----------------------------------------------------------------------------------- */

static void take_capability(struct smtp *s, struct str line)
{
    static const struct {
        const char *name;
        enum smtp_cap cap;
    } names[] = {{"STARTTLS", SMTP_STARTTLS}, {"PIPELINING", SMTP_PIPELINING}, {"SIZE", SMTP_SIZE},
                 {"8BITMIME", SMTP_8BITMIME}, {"SMTPUTF8", SMTP_UTF8},         {"AUTH", SMTP_AUTH}};
    struct str rest = str_trim(line), word;
    if (str_case_starts(rest, STR("AUTH="))) { /* as old servers write it */
        s->caps |= SMTP_AUTH;
        if (s->auth.n == 0)
            buf_adds(&s->auth, str_sub(rest, 5, rest.n));
        return;
    }
    if (!str_split(&rest, ' ', &word))
        return;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (str_case_eqz(word, names[i].name))
            s->caps |= names[i].cap;
    }
    if (str_case_eqz(word, "SIZE") && !str_u64(str_trim(rest), &s->size_max))
        s->size_max = 0;
    if (str_case_eqz(word, "AUTH")) {
        buf_reset(&s->auth);
        buf_adds(&s->auth, str_trim(rest));
    }
}

static bool hello(struct smtp *s, struct reply *r, struct err *err)
{
    s->caps = 0;
    s->size_max = 0;
    buf_reset(&s->auth);
    if (!stream_printf(s->stream, err, "EHLO [127.0.0.1]\r\n") || !reply(s, r, false, err))
        return false;
    if (r->code == 500 || r->code == 502)
        return command(s, r, 2, ERR_SERVER_NO, err, "HELO [127.0.0.1]");
    if (r->code / 100 != 2)
        return refused(s, r, ERR_SERVER_NO, err);
    s->caps = SMTP_EHLO;
    struct str rest = buf_str(&r->text), line;
    bool first = true; /* the server's name */
    while (str_split(&rest, '\n', &line)) {
        if (!first)
            take_capability(s, line);
        first = false;
    }
    return true;
}

bool smtp_greet(struct smtp *s, bool starttls, struct err *err)
{
    struct reply r;
    reply_init(&r);
    bool ok = reply(s, &r, false, err) && (r.code == 220 || refused(s, &r, ERR_SERVER_NO, err)) && hello(s, &r, err);
    if (ok && starttls) {
        if ((s->caps & SMTP_STARTTLS) == 0)
            ok = err_set(err, ERR_NO_STARTTLS, "%s offers no STARTTLS", s->host);
        ok = ok && stream_printf(s->stream, err, "STARTTLS\r\n") && reply(s, &r, false, err);
        if (ok && r.code != 220) {
            refused(s, &r, ERR_NO_STARTTLS, err);
            err->kind = ERR_NO_STARTTLS;
            ok = false;
        }
        ok = ok && stream_starttls(s->stream, s->host, err) && hello(s, &r, err); /* THREATS 6 */
    }
    buf_fini(&r.text);
    return ok;
}

/* ---- Login -------------------------------------------------------------------------------------- */

static bool login_refused(const struct smtp *s, const struct reply *r, struct err *err)
{
    static const struct {
        unsigned code;
        enum err_kind kind;
    } codes[] = {{504, ERR_NO_AUTH_METHOD}, {534, ERR_NO_AUTH_METHOD}, {538, ERR_NO_AUTH_METHOD}, {503, ERR_PROTOCOL}};
    enum err_kind kind = ERR_AUTH;
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (codes[i].code == r->code)
            kind = codes[i].kind;
    }
    return refused(s, r, kind, err);
}

static void wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_fini(b);
}

static bool login_turns(struct smtp *s, struct sasl *sasl, struct reply *r, struct err *err)
{
    struct buf out = BUF_INIT(32768);
    bool ok = false;
    for (int turn = 0; turn < SASL_TURNS_MAX; turn++) {
        if (!reply(s, r, false, err))
            break;
        if (r->code == 235) {
            ok = sasl_finish(sasl, STR(""), err);
            break;
        }
        if (r->code != 334) {
            login_refused(s, r, err);
            break;
        }
        buf_reset(&out);
        if (!sasl_step(sasl, str_trim(buf_str(&r->text)), &out, err)) {
            struct err ignored = ERR_INIT;
            if (stream_printf(s->stream, &ignored, "*\r\n"))
                (void)reply(s, r, false, &ignored);
            break;
        }
        buf_addz(&out, "\r\n");
        if (!stream_write(s->stream, buf_str(&out), err))
            break;
        if (turn == SASL_TURNS_MAX - 1)
            err_set(err, ERR_PROTOCOL, "%s never ends the login", s->host);
    }
    wipe(&out);
    return ok;
}

static bool carry(void *arg, struct sasl *sasl, struct err *err)
{
    struct smtp *s = arg;
    struct reply r;
    reply_init(&r);
    struct buf line = BUF_INIT(32768), first = BUF_INIT(32768);
    buf_addf(&line, "AUTH %s", sasl_mechanism(sasl));
    if (sasl_initial(sasl, &first)) {
        buf_addc(&line, ' ');
        buf_adds(&line, buf_str(&first));
    }
    buf_addz(&line, "\r\n");
    bool ok = stream_write(s->stream, buf_str(&line), err) && login_turns(s, sasl, &r, err);
    wipe(&line);
    wipe(&first);
    buf_fini(&r.text);
    return ok;
}

bool smtp_login(struct smtp *s, const char *user, const struct secret *secret, bool insecure_ok, struct err *err)
{
    bool tried;
    if ((s->caps & SMTP_AUTH) == 0)
        return err_set(err, ERR_NO_AUTH_METHOD, "%s offers no login on this connection (%s)", s->host,
                       stream_is_tls(s->stream) ? "TLS" : "no TLS");
    struct sasl_login l = {.offered = buf_str(&s->auth),
                           .service = "smtp",
                           .host = s->host,
                           .user = user,
                           .secret = secret,
                           .stream = s->stream,
                           .insecure_ok = insecure_ok,
                           .carry = carry,
                           .arg = s};
    return sasl_login(&l, &tried, err);
}

/* ---- What may be sent --------------------------------------------------------------------------- */

bool smtp_address_ok(const char *z)
{
    size_t n = strlen(z), at = 0;
    bool quoted = false;
    if (n < 1 || n > ADDRESS_MAX || z[0] == '@' || z[n - 1] == '@')
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)z[i];
        if (c < ' ' || c == 0x7f)
            return false;
        if (quoted && c == '\\') {
            i++;
            if (i == n || (unsigned char)z[i] < ' ' || z[i] == 0x7f)
                return false;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == ' ' || c == '<' || c == '>')) {
            return false;
        } else if (!quoted && c == '@') {
            at = i;
        }
    }
    return !quoted && (at > 0 || strcasecmp(z, "postmaster") == 0);
}

static bool is_ascii(const char *z)
{
    for (; *z != '\0'; z++) {
        if ((unsigned char)*z >= 0x80)
            return false;
    }
    return true;
}

struct plan {
    uint64_t size; /* of the mail on the wire, doubled dots counted */
    bool utf8, eight_bit;
};

/* Runs the mail through `body`; `each` gets what goes out. */
static bool walk(int fd, struct smtp_body *body, bool (*each)(void *arg, struct str, struct err *), void *arg,
                 struct err *err)
{
    char *chunk = mem_new(READ_CHUNK);
    struct buf out = BUF_INIT(4 * READ_CHUNK);
    off_t at = 0;
    bool ok = true;
    for (ssize_t n = 1; ok && n > 0;) {
        n = pread(fd, chunk, READ_CHUNK, at);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        if (n < 0) {
            ok = err_sys(err, err_from_errno(errno), errno, "the mail cannot be read");
            break;
        }
        at += n;
        buf_reset(&out);
        if (n > 0)
            smtp_body_take(body, (struct str){chunk, (size_t)n}, &out);
        else
            smtp_body_end(body, &out);
        if (out.full)
            bug("smtp: the body grew beyond its bound");
        ok = each(arg, buf_str(&out), err);
    }
    explicit_bzero(chunk, READ_CHUNK);
    free(chunk);
    buf_fini(&out);
    return ok;
}

static bool count(void *arg, struct str bytes, struct err *err UNUSED)
{
    *(uint64_t *)arg += bytes.n;
    return true;
}

static bool check(struct smtp *s, const struct smtp_mail *m, struct plan *p, struct err *err)
{
    struct smtp_body body = {.in_body = false};
    p->size = 0;
    p->utf8 = !is_ascii(m->sender);
    if (m->sender[0] != '\0' && !smtp_address_ok(m->sender))
        return err_set(err, ERR_RECIPIENT, "the sender \"%.100s\" is no mail address", m->sender);
    if (m->nrcpts == 0)
        return err_set(err, ERR_RECIPIENT, "the mail has no recipient");
    for (size_t i = 0; i < m->nrcpts; i++) {
        if (!smtp_address_ok(m->rcpts[i])) {
            err_set(err, ERR_RECIPIENT, "\"%.100s\" is no mail address", m->rcpts[i]);
            if (m->refused != NULL)
                m->refused(m->arg, m->rcpts[i], err);
            return false;
        }
        p->utf8 = p->utf8 || !is_ascii(m->rcpts[i]);
    }
    if (!walk(m->fd, &body, count, &p->size, err))
        return false;
    if (body.seen_nul)
        return err_set(err, ERR_PARSE, "the mail holds a NUL byte, which SMTP does not carry");
    if (p->utf8 && (s->caps & SMTP_UTF8) == 0)
        return err_set(err, ERR_SERVER_NO, "%s does not take addresses outside of ASCII (SMTPUTF8)", s->host);
    p->eight_bit = body.seen_8bit_body || body.seen_8bit_header;
    if (p->eight_bit && (s->caps & SMTP_8BITMIME) == 0)
        return err_set(err, ERR_SERVER_NO, "%s takes no 8-bit mail (8BITMIME); it has to be encoded first", s->host);
    p->utf8 = p->utf8 || (body.seen_8bit_header && (s->caps & SMTP_UTF8) != 0);
    if (s->size_max != 0 && p->size > s->size_max)
        return err_set(err, ERR_SERVER_NO, "the mail has %llu bytes; %s takes %llu", (unsigned long long)p->size,
                       s->host, (unsigned long long)s->size_max);
    return true;
}

/* ---- Envelope ----------------------------------------------------------------------------------- */

static bool say_mail(struct smtp *s, const struct smtp_mail *m, const struct plan *p, struct err *err)
{
    char size[40] = "";
    if ((s->caps & SMTP_SIZE) != 0)
        snprintf(size, sizeof size, " SIZE=%llu", (unsigned long long)p->size);
    return stream_printf(s->stream, err, "MAIL FROM:<%s>%s%s%s\r\n", m->sender, size,
                         p->eight_bit ? " BODY=8BITMIME" : "", p->utf8 ? " SMTPUTF8" : "");
}

/* MAIL and all RCPTs; true when every one was accepted. *open_r: the session can go on with RSET. */
static bool envelope(struct smtp *s, const struct smtp_mail *m, const struct plan *p, struct reply *r, bool *open_r,
                     struct err *err)
{
    bool pipelined = (s->caps & SMTP_PIPELINING) != 0, for_now = true;
    size_t sent = 0, bad = 0;
    struct err mail_err = ERR_INIT;
    *open_r = false;
    if (!say_mail(s, m, p, err))
        return false;
    for (; pipelined && sent < m->nrcpts && sent < WINDOW; sent++) {
        if (!stream_printf(s->stream, err, "RCPT TO:<%s>\r\n", m->rcpts[sent]))
            return false;
    }
    if (!reply(s, r, false, err))
        return false;
    bool mail_ok = r->code / 100 == 2 || refused(s, r, ERR_SERVER_NO, &mail_err);
    size_t expected = mail_ok ? m->nrcpts : sent; /* of a refused mail only the answers on their way */
    for (size_t i = 0; i < expected; i++) {
        for (; mail_ok && sent < m->nrcpts && sent < i + (pipelined ? WINDOW : 1); sent++) {
            if (!stream_printf(s->stream, err, "RCPT TO:<%s>\r\n", m->rcpts[sent]))
                return false;
        }
        if (!reply(s, r, false, err))
            return false;
        if (r->code / 100 == 2 || !mail_ok)
            continue;
        struct err why = ERR_INIT;
        refused(s, r, ERR_RECIPIENT, &why);
        for_now = for_now && why.kind == ERR_SERVER_TEMP;
        bad++;
        if (bad == 1)
            *err = why;
        if (m->refused != NULL)
            m->refused(m->arg, m->rcpts[i], &why);
    }
    *open_r = true;
    if (!mail_ok) {
        *err = mail_err;
        return false;
    }
    if (bad > 0)
        err->kind = for_now ? ERR_SERVER_TEMP : ERR_RECIPIENT;
    return bad == 0;
}

/* ---- Data --------------------------------------------------------------------------------------- */

static bool send_piece(void *arg, struct str bytes, struct err *err)
{
    struct smtp *s = arg;
    return stream_write(s->stream, bytes, err);
}

/* From the final dot on only a clear answer is an outcome. */
static bool final_dot(struct smtp *s, struct reply *r, struct err *err)
{
    struct err why = ERR_INIT;
    stream_deadline(s->stream, clock_mono_ms() + FINAL_MS);
    if (stream_printf(s->stream, &why, ".\r\n") && stream_flush(s->stream, &why) && reply(s, r, true, &why)) {
        if (r->code / 100 == 2)
            return true;
        if (r->code >= 400)
            return refused(s, r, ERR_SERVER_NO, err);
        refused(s, r, ERR_PROTOCOL, &why);
    }
    return err_set(err, ERR_UNKNOWN_OUTCOME, "no clear answer came after the mail was sent: %s", why.text);
}

bool smtp_send(struct smtp *s, const struct smtp_mail *m, struct err *err)
{
    struct plan p;
    struct reply r;
    if (!check(s, m, &p, err))
        return false;
    reply_init(&r);
    bool open, ok = envelope(s, m, &p, &r, &open, err);
    if (!ok && open) {
        struct err ignored = ERR_INIT;
        (void)command(s, &r, 2, ERR_SERVER_NO, &ignored, "RSET");
    }
    ok = ok && command(s, &r, 3, ERR_SERVER_NO, err, "DATA");
    struct smtp_body body = {.in_body = false};
    if (ok) {
        stream_answer(s->stream);
        /* All but the dot goes out first: an error until then means that nothing was accepted. */
        ok = walk(m->fd, &body, send_piece, s, err) && stream_flush(s->stream, err) && final_dot(s, &r, err);
    }
    buf_fini(&r.text);
    return ok;
}

void smtp_quit(struct smtp *s)
{
    struct err ignored = ERR_INIT;
    stream_deadline(s->stream, clock_mono_ms() + 1000);
    if (stream_printf(s->stream, &ignored, "QUIT\r\n"))
        (void)stream_flush(s->stream, &ignored);
}
