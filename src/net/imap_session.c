/* From the greeting to a session that is logged in (RFC 3501 6.1, 6.2; 4959 SASL-IR; 5161 ENABLE; 8314). */
#include "net/imap_internal.h"

#include "net/sasl.h"

#define CHALLENGES_MAX 16

static bool greeting(struct imap *m, struct err *err)
{
    struct str answer;
    struct imap_event ev;
    struct buf clean = BUF_INIT(200);
    bool ok = false;
    if (!imap_read_answer(m, &answer, err))
        return false;
    imap_parse(m->parser, answer, &ev);
    text_from_bytes(ev.what == IMAP_BYE ? ev.text : str_sub(answer, 0, 80), TEXT_FOLD_SPACE, &clean);
    m->preauth = ev.what == IMAP_PREAUTH;
    if (ev.what == IMAP_BYE)
        err_set(err, ERR_SERVER_TEMP, "the server sends us away: \"%s\"", buf_z(&clean));
    else if (ev.what == IMAP_PREAUTH && !stream_is_tunnel(m->stream) && !stream_is_tls(m->stream))
        /* A stranger in the middle offers a session: the state machine then forbids STARTTLS (THREATS 3, 4). */
        err_set(err, ERR_NO_STARTTLS, "the server claims a login before any encryption");
    else if (ev.what == IMAP_PREAUTH && !stream_is_tunnel(m->stream) && !stream_showed_certificate(m->stream))
        err_set(err, ERR_PROTOCOL, "the server claims a login, but nothing has told it who we are");
    else if (ev.what != IMAP_OK && ev.what != IMAP_PREAUTH)
        err_set(err, ERR_PROTOCOL, "this is no IMAP server: it begins with \"%s\"", buf_z(&clean));
    else
        ok = true;
    if (ok && str_case_eqz(ev.code, "CAPABILITY"))
        imap_caps_take(m, ev.args);
    m->cyrus = ev.text.n && memmem(ev.text.p, ev.text.n, "Cyrus", 5) != NULL;
    buf_fini(&clean);
    return ok;
}

static bool capability(struct imap *m, struct err *err)
{
    uint32_t tag;
    bool alive;
    if (m->caps_known)
        return true;
    if (!imap_sendf(m, &tag, err, "CAPABILITY") || !imap_done(m, tag, &alive, err))
        return false;
    return m->caps_known || err_set(err, ERR_PROTOCOL, "the server does not say its capabilities");
}

static bool starttls(struct imap *m, const struct endpoint *ep, struct err *err)
{
    struct imap_result r;
    uint32_t tag;
    if (m->caps_known && !(m->caps & IMAP_CAP_STARTTLS))
        return err_set(err, ERR_NO_STARTTLS, "%s does not offer STARTTLS", ep->host);
    if (!imap_sendf(m, &tag, err, "STARTTLS") || !imap_wait(m, tag, &r, err))
        return false;
    if (r.what != IMAP_OK)
        return err_set(err, ERR_NO_STARTTLS, "%s refuses STARTTLS", ep->host);
    imap_caps_forget(m);
    if (!stream_starttls(m->stream, ep->host, err))
        return false;
    imap_caps_forget(m);
    return true;
}

/* "AUTH=PLAIN AUTH=LOGIN" -> "PLAIN LOGIN" */
static void mechanisms(const struct imap *m, struct buf *out)
{
    struct str words = buf_str(&m->caps_text), word;
    while (str_split(&words, ' ', &word))
        if (str_case_starts(word, STR("AUTH=")) && word.n > 5) {
            buf_addz(out, out->n ? " " : "");
            buf_adds(out, str_sub(word, 5, word.n));
        }
}

static bool one_line(struct str s)
{
    return !s.p || !s.n || (!memchr(s.p, 0, s.n) && !memchr(s.p, '\r', s.n) && !memchr(s.p, '\n', s.n));
}

/* "Too many simultaneous connections" is no wrong password: many servers say it in words alone. */
static bool is_busy(struct str text)
{
    static const char *const words[] = {"too many", "simultaneous", "maximum number of connections"};
    return imap_busy(text) || imap_says(text, words, COUNT(words));
}

/* A NO to a login: the server's words, under the kind that decides whether it is tried again (THREATS 19). */
static bool login_result(const struct imap_result *r, struct err *err)
{
    if (r->what == IMAP_OK)
        return true;
    imap_result_err(r, err);
    bool refused = str_case_eqz(r->code, "AUTHENTICATIONFAILED") || str_case_eqz(r->code, "AUTHORIZATIONFAILED") ||
                   str_case_eqz(r->code, "EXPIRED");
    if (str_case_eqz(r->code, "LIMIT") || str_case_eqz(r->code, "CONTACTADMIN") || str_case_eqz(r->code, "SERVERBUG") ||
        (!refused && is_busy(r->text)))
        err->kind = ERR_SERVER_TEMP;
    else if (err->kind != ERR_SERVER_TEMP && err->kind != ERR_NO_AUTH_METHOD)
        err->kind = ERR_AUTH;
    err_prefix(err, "login");
    return false;
}

/* ENABLE, one command for all that serves; its end is not waited for. By what is known: every word where the server has
 * not said yet what it has (RFC 5161 3.1: it passes by what it does not know). What changes no name is taken as
 * granted: a server that offers it and refuses it answers the SELECT that uses it with BAD, which is seen there. */
static bool enable(struct imap *m, uint64_t caps, bool all_known, struct err *err)
{
    static const struct {
        const char *word;
        uint64_t cap, unless;
    } words[] = {{"QRESYNC", UINT64_C(1) << IMAP_BIT_QRESYNC, 0},
                 {"CONDSTORE", UINT64_C(1) << IMAP_BIT_CONDSTORE, UINT64_C(1) << IMAP_BIT_QRESYNC},
                 {"UTF8=ACCEPT", UINT64_C(1) << IMAP_BIT_UTF8_ACCEPT, 0},
                 {"IMAP4rev2", UINT64_C(1) << IMAP_BIT_IMAP4REV2, 0}};
    struct buf line = BUF_INIT(200);
    uint32_t tag;
    bool ok = true;
    buf_addz(&line, "ENABLE");
    for (size_t i = 0; i < COUNT(words) && (caps & IMAP_CAP_ENABLE); i++)
        if (!all_known || ((caps & words[i].cap) && !(caps & words[i].unless))) {
            buf_addf(&line, " %s", words[i].word);
            m->asked |= words[i].cap & ((uint64_t)IMAP_CAP_QRESYNC | IMAP_CAP_CONDSTORE);
        }
    if (m->asked & IMAP_CAP_QRESYNC)
        m->asked |= IMAP_CAP_CONDSTORE;
    if (line.n > sizeof("ENABLE")) {
        ok = imap_sendf(m, &tag, err, "%s", buf_z(&line));
        if (ok) {
            imap_forget(m, tag);
            m->enable_tag = tag;
        }
        m->enabled |= m->asked & caps;
    }
    buf_fini(&line);
    return ok;
}

/* RFC 2971: before any mailbox is opened, as some servers want it; its answer comes to the handler. */
static bool identify(struct imap *m, uint64_t caps, struct err *err)
{
    uint32_t tag;
    if (!(caps & IMAP_CAP_ID))
        return true;
    m->identified = true;
    if (!(m->identity[0] ? imap_sendf(m, &tag, err, "ID (%s)", m->identity) : imap_sendf(m, &tag, err, "ID NIL")))
        return false;
    imap_forget(m, tag);
    return true;
}

bool imap_enable(struct imap *m, struct err *err)
{
    m->enabled = 0;
    return enable(m, m->caps, true, err);
}

/* Behind the last words of the login. Where it is not known whether there is something to enable, a SELECT must not
 * come before it. */
static bool go_ahead(struct imap *m, struct err *err)
{
    uint64_t caps = m->expected ? m->expected : m->caps;
    if (!m->handler.ahead || !(m->expected || (caps & IMAP_CAP_ENABLE)))
        return true;
    m->went_ahead = true;
    return enable(m, caps, m->expected != 0, err) && identify(m, caps, err) && m->handler.ahead(m->handler.arg, err);
}

/* Cyrus 3.6 takes what comes behind an AUTHENTICATE for more of it, and loses the commands that follow. */
static bool sasl_ends_alone(const struct imap *m)
{
    return m->cyrus || (m->expected & IMAP_CAP_CREATEDMODSEQ);
}

static bool login_plain(struct imap *m, const struct endpoint *ep, const struct secret *secret, struct err *err)
{
    struct imap_cmd c;
    struct imap_result r;
    uint32_t tag;
    imap_cmd_init(&c, "LOGIN ");
    imap_cmd_string(m, &c, str_z(ep->user));
    imap_cmd_add(&c, " ");
    imap_cmd_string(m, &c, (struct str){secret->p, secret->n});
    if (c.nsync)
        m->handler.ahead = NULL; /* the server must be waited for within the command */
    return imap_send(m, &c, &tag, err) && go_ahead(m, err) && imap_wait(m, tag, &r, err) && login_result(&r, err);
}

/* Answers the server's challenges until the command ends. */
static bool challenges(struct imap *m, struct sasl *sasl, uint32_t tag, struct buf *initial, struct err *err)
{
    bool continued, ok = true;
    struct buf out = BUF_INIT(65536);
    for (unsigned i = 0; ok; i++) {
        ok = imap_wait_continue(m, tag, &continued, err);
        if (!ok || !continued)
            break;
        buf_reset(&out);
        if (m->went_ahead)
            ok = err_set(err, ERR_PROTOCOL, "the server wants more words of a login that was complete");
        else if (i >= CHALLENGES_MAX)
            ok = err_set(err, ERR_PROTOCOL, "the server's login does not end");
        else if (initial->n)
            buf_adds(&out, str_eqz(buf_str(initial), "=") ? (struct str){"", 0} : buf_str(initial));
        else
            ok = sasl_step(sasl, buf_str(&m->challenge), &out, err);
        buf_reset(initial);
        ok = ok && stream_write(m->stream, buf_str(&out), err) && stream_write(m->stream, STR("\r\n"), err) &&
             (!sasl_said_all(sasl) || sasl_ends_alone(m) || go_ahead(m, err));
    }
    if (out.p)
        explicit_bzero(out.p, out.n);
    buf_fini(&out);
    return ok;
}

static bool login_sasl(void *arg, struct sasl *sasl, struct err *err)
{
    struct imap *m = arg;
    struct buf initial = BUF_INIT(65536);
    struct imap_result r;
    struct imap_cmd c;
    uint32_t tag;
    bool have = sasl_initial(sasl, &initial);
    imap_cmd_init(&c, "AUTHENTICATE ");
    imap_cmd_add(&c, "%s", sasl_mechanism(sasl));
    if (have && (m->caps & IMAP_CAP_SASL_IR)) {
        imap_cmd_add(&c, " %s", buf_z(&initial));
        explicit_bzero(initial.p, initial.n);
        buf_reset(&initial);
    }
    /* nothing can follow but the answer */
    bool whole = have && !initial.n && sasl_said_all(sasl) && !sasl_ends_alone(m);
    bool ok = imap_send(m, &c, &tag, err) && (!whole || go_ahead(m, err)) && challenges(m, sasl, tag, &initial, err) &&
              imap_wait(m, tag, &r, err) && login_result(&r, err) && sasl_finish(sasl, (struct str){NULL, 0}, err);
    if (initial.p)
        explicit_bzero(initial.p, initial.n);
    buf_fini(&initial);
    return ok;
}

static bool authenticate(struct imap *m, const struct endpoint *ep, const struct secret *secret, struct err *err)
{
    bool insecure_ok = ep->tls == TLS_NONE;
    bool password = secret->p && !secret->token;
    struct buf offered = BUF_INIT(4096);
    bool ok, tried;
    if (!stream_is_tls(m->stream) && !insecure_ok)
        return err_set(err, ERR_NO_STARTTLS, "no login without encryption");
    if (!one_line(str_z(ep->user)) || !one_line((struct str){secret->p, secret->n}))
        return err_set(err, ERR_SECRET, "the user name or the password holds a line end or a NUL");
    mechanisms(m, &offered);
    m->caps_known = false; /* what is said from here on counts for the session */
    struct sasl_login l = {.offered = buf_str(&offered),
                           .service = "imap",
                           .host = ep->host,
                           .user = ep->user,
                           .secret = secret,
                           .stream = m->stream,
                           .insecure_ok = insecure_ok,
                           .carry = login_sasl,
                           .arg = m};
    ok = sasl_login(&l, &tried, err);
    if (!ok && !tried && password && err->kind == ERR_NO_AUTH_METHOD && !(m->caps & IMAP_CAP_LOGINDISABLED))
        ok = login_plain(m, ep, secret, err);
    buf_fini(&offered);
    return ok;
}

bool imap_greet(struct imap *m, const struct endpoint *ep, struct err *err)
{
    m->logging_in = true;
    bool ok = greeting(m, err) &&
              (m->preauth || stream_is_tls(m->stream) || ep->tls != TLS_STARTTLS || starttls(m, ep, err)) &&
              capability(m, err);
    m->logging_in = false;
    return ok;
}

bool imap_login(struct imap *m, const struct endpoint *ep, const struct secret *secret, struct err *err)
{
    m->logging_in = true;
    bool ok = m->preauth ? go_ahead(m, err) : authenticate(m, ep, secret, err);
    m->logging_in = false;
    if (!ok || !capability(m, err)) {
        sasl_redact(secret, err);
        return false;
    }
    const uint64_t granted = (uint64_t)IMAP_CAP_CONDSTORE | IMAP_CAP_QRESYNC;
    m->enabled = (m->enabled & ~granted) | (m->asked & m->caps); /* now it is known */
    return (m->went_ahead || enable(m, m->caps, true, err)) && (m->identified || identify(m, m->caps, err));
}

bool imap_compress(struct imap *m, struct err *err)
{
    struct imap_result r;
    uint32_t tag;
    if (!(m->caps & IMAP_CAP_COMPRESS))
        return true;
    for (size_t i = 0; i < COUNT(m->slots); i++)
        if (m->slots[i].tag && !m->slots[i].done)
            return true;
    m->caps &= ~(uint64_t)IMAP_CAP_COMPRESS; /* asked once, whatever comes of it */
    m->compressing = true;
    bool ok = imap_sendf(m, &tag, err, "COMPRESS DEFLATE") && imap_wait(m, tag, &r, err);
    m->compressing = false;
    if (!ok)
        return false;
    return r.what != IMAP_OK || stream_compress(m->stream, err);
}
