/* A ManageSieve session. Contract in the header. */
#include "net/managesieve.h"

#include <string.h>

#include "net/sasl.h"

#define LINE_BYTES_MAX 8192
#define ANSWER_BYTES_MAX (SIEVE_SCRIPT_MAX + 65536)
#define LINES_MAX 2000
#define SAID_MAX 16384
#define SASL_TURNS_MAX 10
#define OWN_TAG "tuimail"
#define ASK_SPACE_FROM 8192 /* from here on it is asked whether a script fits before it is sent */

enum status { STATUS_OK, STATUS_NO, STATUS_BYE };

struct managesieve {
    struct stream *stream;
    char *host;
    struct sieve_words words;
    struct buf caps, sasl, said, final;     /* final: base64, the data of OK (SASL ...) */
    bool starttls, version, warned, tagged; /* tagged: OK to our NOOP */
};

struct managesieve *managesieve_new(struct stream *stream, const char *host)
{
    struct managesieve *m = mem_new(sizeof *m);
    m->stream = stream;
    m->host = mem_dup_z(host);
    buf_init(&m->words.pool, ANSWER_BYTES_MAX);
    buf_init(&m->caps, 16384);
    buf_init(&m->sasl, 1024);
    buf_init(&m->said, SAID_MAX);
    buf_init(&m->final, 16384);
    return m;
}

void managesieve_free(struct managesieve **mp)
{
    struct managesieve *m = *mp;
    if (m == NULL)
        return;
    buf_fini(&m->words.pool);
    buf_fini(&m->caps);
    buf_fini(&m->sasl);
    buf_fini(&m->said);
    buf_fini(&m->final);
    free(m->host);
    free(m);
    *mp = NULL;
}

struct str managesieve_capabilities(const struct managesieve *m)
{
    return buf_str(&m->caps);
}

struct str managesieve_said(const struct managesieve *m)
{
    return buf_str(&m->said);
}

bool managesieve_warned(const struct managesieve *m)
{
    return m->warned;
}

/* ---- Answers ------------------------------------------------------------------------------------ */

static bool bad(const struct managesieve *m, const char *what, struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "%s speaks no ManageSieve: %s", m->host, what);
}

/* The octets of a literal become the next word. */
static bool read_literal(struct managesieve *m, uint64_t n, struct err *err)
{
    struct sieve_words *w = &m->words;
    if (n > w->pool.max - w->pool.n)
        return err_set(err, ERR_LIMIT, "%s sends a string of %llu octets", m->host, (unsigned long long)n);
    if (w->n == SIEVE_WORDS_MAX)
        return bad(m, "a line of too many words", err);
    w->list[w->n] = (struct sieve_word){.kind = SIEVE_STRING, .at = w->pool.n, .n = (size_t)n};
    w->n++;
    while (n > 0) {
        struct str got = stream_peek(m->stream);
        if (got.n == 0) {
            if (!stream_fill(m->stream, err))
                return false;
            continue;
        }
        got = str_sub(got, 0, (size_t)MIN(n, (uint64_t)got.n));
        buf_adds(&w->pool, got);
        stream_take(m->stream, got.n);
        n -= got.n;
    }
    return true;
}

/* One logical line, with the literals in it. */
static bool read_words(struct managesieve *m, struct err *err)
{
    struct str line;
    int64_t more = 0;
    buf_reset(&m->words.pool);
    m->words.n = 0;
    while (more >= 0) {
        if (!stream_line(m->stream, LINE_BYTES_MAX, &line, err))
            return false;
        if (!sieve_words_add(&m->words, line, &more))
            return bad(m, "a line that is none", err);
        if (more >= 0 && !read_literal(m, (uint64_t)more, err))
            return false;
    }
    return true;
}

static bool is_word(const struct managesieve *m, size_t i, enum sieve_word_kind kind)
{
    return i < m->words.n && m->words.list[i].kind == kind;
}

static bool is_status(const struct managesieve *m, enum status *status_r)
{
    static const char *const names[] = {[STATUS_OK] = "OK", [STATUS_NO] = "NO", [STATUS_BYE] = "BYE"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (is_word(m, 0, SIEVE_ATOM) && str_case_eqz(sieve_word(&m->words, 0), names[i])) {
            *status_r = (enum status)i;
            return true;
        }
    return false;
}

/* Kind of an error by its response code; a code may go on behind a slash (QUOTA/MAXSIZE). */
static enum err_kind kind_of(struct str code, enum err_kind otherwise)
{
    static const struct {
        const char *name;
        enum err_kind kind;
    } codes[] = {
        {"AUTH-TOO-WEAK", ERR_NO_AUTH_METHOD}, {"ENCRYPT-NEEDED", ERR_NO_AUTH_METHOD},
        {"TRANSITION-NEEDED", ERR_AUTH},       {"QUOTA", ERR_OVERQUOTA},
        {"TRYLATER", ERR_SERVER_TEMP},         {"NONEXISTENT", ERR_NO_FILE},
    };
    struct str family;
    if (!str_split(&code, '/', &family))
        return otherwise;
    for (size_t i = 0; i < COUNT(codes); i++)
        if (str_case_eqz(family, codes[i].name))
            return codes[i].kind;
    return otherwise;
}

/* The last line of an answer: what it says is kept, and *err made of it where it is no OK. */
static bool end_of_answer(struct managesieve *m, enum status status, enum err_kind refused, struct err *err)
{
    struct str code = {NULL, 0}, refers = {NULL, 0};
    size_t i = 1;
    buf_reset(&m->said);
    buf_reset(&m->final);
    m->warned = m->tagged = false;
    if (is_word(m, i, SIEVE_OPEN)) {
        code = sieve_word(&m->words, i + 1);
        if (str_case_eqz(code, "SASL"))
            buf_adds(&m->final, sieve_word(&m->words, i + 2));
        if (str_case_eqz(code, "REFERRAL"))
            refers = sieve_word(&m->words, i + 2);
        m->tagged = status == STATUS_OK && str_case_eqz(code, "TAG") && str_eqz(sieve_word(&m->words, i + 2), OWN_TAG);
        m->warned = status == STATUS_OK && str_case_eqz(code, "WARNINGS");
        for (unsigned depth = 0; i < m->words.n; i++) {
            depth += is_word(m, i, SIEVE_OPEN);
            if (is_word(m, i, SIEVE_CLOSE) && --depth == 0)
                break;
        }
        i++;
    }
    if (is_word(m, i, SIEVE_STRING))
        buf_adds(&m->said, str_sub(sieve_word(&m->words, i), 0, SAID_MAX));
    if (status == STATUS_OK)
        return true;
    struct str said = buf_str(&m->said);
    enum err_kind kind = kind_of(code, status == STATUS_BYE ? ERR_SERVER_BYE : refused);
    if (refers.n > 0)
        return err_set(err, kind, "%s refers to \"%.*s\": if that is right, change option sieve", m->host,
                       (int)MIN(refers.n, (size_t)200), refers.p);
    return err_set(err, kind, "%s says%s: \"%.*s\"", m->host, stream_is_tls(m->stream) ? "" : " (not encrypted)",
                   (int)MIN(said.n, (size_t)200), said.n > 0 ? said.p : "no");
}

/* Reads lines up to the one that ends the answer; `each` gets those before it, and refuses what it does not expect. */
static bool answer(struct managesieve *m, bool (*each)(struct managesieve *, void *arg), void *arg,
                   enum err_kind refused, struct err *err)
{
    enum status status;
    stream_answer(m->stream);
    for (unsigned n = 0; n < LINES_MAX; n++) {
        if (!read_words(m, err))
            return false;
        if (is_status(m, &status))
            return end_of_answer(m, status, refused, err);
        if (each == NULL || !each(m, arg))
            return bad(m, "an answer to something else", err);
    }
    return err_set(err, ERR_LIMIT, "%s sends an answer without end", m->host);
}

static bool plain_answer(struct managesieve *m, struct err *err)
{
    return answer(m, NULL, NULL, ERR_SERVER_NO, err);
}

/* ---- Commands ----------------------------------------------------------------------------------- */

/* A string as a client sends it: quoted where it may be, else as a literal that waits for nothing. */
static bool put_string(struct managesieve *m, struct str s, struct err *err)
{
    bool quotable = s.n <= 1024;
    for (size_t i = 0; i < s.n && quotable; i++)
        quotable = s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0';
    if (!quotable)
        return stream_printf(m->stream, err, "{%zu+}\r\n", s.n) && stream_write(m->stream, s, err);
    struct buf out = BUF_INIT(2 * 1024 + 2);
    buf_addc(&out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_addc(&out, '\\');
        buf_addc(&out, s.p[i]);
    }
    buf_addc(&out, '"');
    bool ok = stream_write(m->stream, buf_str(&out), err);
    explicit_bzero(out.p, out.cap);
    buf_fini(&out);
    return ok;
}

static bool put(struct managesieve *m, const char *z, struct err *err)
{
    return stream_write(m->stream, str_z(z), err);
}

static bool check_name(struct str name, struct err *err)
{
    return managesieve_name_ok(name) ||
           err_set(err, ERR_USAGE, "a script's name has 1 to %d octets of UTF-8 and no control character",
                   SIEVE_NAME_MAX);
}

/* VERB "NAME" */
static bool on_script(struct managesieve *m, const char *verb, struct str name, struct err *err)
{
    return stream_printf(m->stream, err, "%s ", verb) && put_string(m, name, err) && put(m, "\r\n", err);
}

/* ---- Capabilities, STARTTLS --------------------------------------------------------------------- */

static bool take_capability(struct managesieve *m, void *arg)
{
    (void)arg;
    if (!is_word(m, 0, SIEVE_STRING) || m->words.n > 2 || (m->words.n == 2 && !is_word(m, 1, SIEVE_STRING)))
        return false;
    struct str name = sieve_word(&m->words, 0), value = sieve_word(&m->words, 1);
    m->starttls = m->starttls || str_case_eqz(name, "STARTTLS");
    m->version = m->version || str_case_eqz(name, "VERSION");
    if (str_case_eqz(name, "SASL")) {
        buf_reset(&m->sasl);
        buf_adds(&m->sasl, value);
    }
    struct buf line = BUF_INIT(4096);
    if (buf_adds(&line, name) && buf_addc(&line, ' ') && buf_adds(&line, value) && buf_addc(&line, '\n'))
        buf_adds(&m->caps, buf_str(&line));
    buf_fini(&line);
    return true;
}

static bool capabilities(struct managesieve *m, struct err *err)
{
    buf_reset(&m->caps);
    buf_reset(&m->sasl);
    m->starttls = m->version = false;
    return answer(m, take_capability, NULL, ERR_SERVER_NO, err);
}

bool managesieve_greet(struct managesieve *m, bool starttls, struct err *err)
{
    if (!capabilities(m, err))
        return false;
    if (!starttls)
        return true;
    if (!m->starttls)
        return err_set(err, ERR_NO_STARTTLS, "%s offers no STARTTLS", m->host);
    if (!put(m, "STARTTLS\r\n", err))
        return false;
    return answer(m, NULL, NULL, ERR_NO_STARTTLS, err) && stream_starttls(m->stream, m->host, err) &&
           capabilities(m, err); /* RFC 5804 2.2: the server says them anew */
}

bool managesieve_enter(struct managesieve *m, struct err *err)
{
    if (!put(m, "NOOP \"" OWN_TAG "\"\r\n", err) || !capabilities(m, err))
        return false;
    bool greeted = !m->tagged;
    if (greeted ? !plain_answer(m, err) : !put(m, "CAPABILITY\r\n", err) || !capabilities(m, err))
        return false;
    return m->sasl.n == 0 || err_set(err, ERR_SECRET, "the server in the tunnel wants a login: set password-command");
}

/* ---- Login -------------------------------------------------------------------------------------- */

static void wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_fini(b);
}

/* A server that refuses no command of a login says "NO" to a wrong password, to a line in the middle of it too. */
static bool login_turns(struct managesieve *m, struct sasl *sasl, struct err *err)
{
    struct buf out = BUF_INIT(32768);
    enum status status;
    bool ok = false;
    for (int turn = 0; turn < SASL_TURNS_MAX; turn++) {
        stream_answer(m->stream);
        if (!read_words(m, err))
            break;
        if (is_status(m, &status)) {
            ok = end_of_answer(m, status, ERR_AUTH, err) && sasl_finish(sasl, buf_str(&m->final), err);
            break;
        }
        if (m->words.n != 1 || !is_word(m, 0, SIEVE_STRING)) {
            bad(m, "a challenge that is none", err);
            break;
        }
        buf_reset(&out);
        if (!sasl_step(sasl, sieve_word(&m->words, 0), &out, err)) {
            struct err ignored = ERR_INIT;
            if (put(m, "\"*\"\r\n", &ignored))
                (void)plain_answer(m, &ignored);
            break;
        }
        if (!put_string(m, buf_str(&out), err) || !put(m, "\r\n", err))
            break;
        if (turn == SASL_TURNS_MAX - 1)
            err_set(err, ERR_PROTOCOL, "%s never ends the login", m->host);
    }
    wipe(&out);
    return ok;
}

static bool carry(void *arg, struct sasl *sasl, struct err *err)
{
    struct managesieve *m = arg;
    struct buf first = BUF_INIT(32768);
    bool ok = stream_printf(m->stream, err, "AUTHENTICATE \"%s\"", sasl_mechanism(sasl));
    if (ok && sasl_initial(sasl, &first)) {
        struct str words = str_eqz(buf_str(&first), "=") ? STR("") : buf_str(&first);
        ok = put(m, " ", err) && put_string(m, words, err);
    }
    ok = ok && put(m, "\r\n", err) && login_turns(m, sasl, err);
    wipe(&first);
    return ok;
}

bool managesieve_login(struct managesieve *m, const char *user, const struct secret *secret, bool insecure_ok,
                       struct err *err)
{
    bool tried;
    if (m->sasl.n == 0)
        return err_set(err, ERR_NO_AUTH_METHOD, "%s offers no login on this connection (%s)", m->host,
                       stream_is_tls(m->stream) ? "TLS" : "no TLS");
    struct buf offered = BUF_INIT(1024);
    buf_adds(&offered, buf_str(&m->sasl));
    struct sasl_login l = {.offered = buf_str(&offered),
                           .service = "sieve",
                           .host = m->host,
                           .user = user,
                           .secret = secret,
                           .stream = m->stream,
                           .insecure_ok = insecure_ok,
                           .carry = carry,
                           .arg = m};
    bool ok = sasl_login(&l, &tried, err) && put(m, "CAPABILITY\r\n", err) && capabilities(m, err);
    buf_fini(&offered);
    return ok;
}

/* ---- Scripts ------------------------------------------------------------------------------------ */

struct listing {
    void (*each)(void *arg, struct str name, bool active);
    void *arg;
    unsigned n;
};

static bool take_script(struct managesieve *m, void *arg)
{
    struct listing *l = arg;
    bool active = m->words.n == 2 && is_word(m, 1, SIEVE_ATOM) && str_case_eqz(sieve_word(&m->words, 1), "ACTIVE");
    if (!is_word(m, 0, SIEVE_STRING) || (m->words.n != 1 && !active))
        return false;
    if (++l->n <= SIEVE_SCRIPTS_MAX)
        l->each(l->arg, sieve_word(&m->words, 0), active);
    return true;
}

bool managesieve_list(struct managesieve *m, void (*each)(void *arg, struct str name, bool active), void *arg,
                      struct err *err)
{
    struct listing l = {.each = each, .arg = arg};
    if (!put(m, "LISTSCRIPTS\r\n", err) || !answer(m, take_script, &l, ERR_SERVER_NO, err))
        return false;
    return l.n <= SIEVE_SCRIPTS_MAX ||
           err_set(err, ERR_LIMIT, "%s has more than %d scripts", m->host, SIEVE_SCRIPTS_MAX);
}

static bool take_text(struct managesieve *m, void *arg)
{
    struct buf *out = arg;
    if (m->words.n != 1 || !is_word(m, 0, SIEVE_STRING) || out->n > 0)
        return false;
    buf_adds(out, sieve_word(&m->words, 0));
    return true;
}

bool managesieve_get(struct managesieve *m, struct str name, struct buf *out, struct err *err)
{
    buf_reset(out);
    if (!check_name(name, err) || !on_script(m, "GETSCRIPT", name, err) ||
        !answer(m, take_text, out, ERR_SERVER_NO, err))
        return false;
    return !out->full || err_set(err, ERR_LIMIT, "the script is larger than %u KB", SIEVE_SCRIPT_MAX >> 10);
}

static bool fits(struct str script, struct err *err)
{
    return script.n <= SIEVE_SCRIPT_MAX ||
           err_set(err, ERR_LIMIT, "the script is larger than %u KB", SIEVE_SCRIPT_MAX >> 10);
}

bool managesieve_put(struct managesieve *m, struct str name, struct str script, struct err *err)
{
    if (!check_name(name, err) || !fits(script, err))
        return false;
    if (script.n > ASK_SPACE_FROM && (!put(m, "HAVESPACE ", err) || !put_string(m, name, err) ||
                                      !stream_printf(m->stream, err, " %zu\r\n", script.n) || !plain_answer(m, err)))
        return false;
    return put(m, "PUTSCRIPT ", err) && put_string(m, name, err) && put(m, " ", err) && put_string(m, script, err) &&
           put(m, "\r\n", err) && plain_answer(m, err);
}

bool managesieve_check(struct managesieve *m, struct str script, struct err *err)
{
    if (!fits(script, err))
        return false;
    if (!m->version)
        return err_set(err, ERR_CONFIG, "%s cannot check a script without keeping it", m->host);
    return put(m, "CHECKSCRIPT ", err) && put_string(m, script, err) && put(m, "\r\n", err) && plain_answer(m, err);
}

bool managesieve_activate(struct managesieve *m, struct str name, struct err *err)
{
    return (name.n == 0 || check_name(name, err)) && on_script(m, "SETACTIVE", name, err) && plain_answer(m, err);
}

bool managesieve_remove(struct managesieve *m, struct str name, struct err *err)
{
    return check_name(name, err) && on_script(m, "DELETESCRIPT", name, err) && plain_answer(m, err);
}

struct renaming {
    struct str from, to;
    bool active, there;
};

static void look(void *arg, struct str name, bool active)
{
    struct renaming *r = arg;
    r->active = r->active || (active && str_eq(name, r->from));
    r->there = r->there || str_eq(name, r->to);
}

/* Without RENAMESCRIPT, as RFC 5804 2.11.1 says: refused where the name is taken. */
static bool rename_by_copy(struct managesieve *m, struct str from, struct str to, struct err *err)
{
    struct renaming r = {.from = from, .to = to};
    struct buf text = BUF_INIT(SIEVE_SCRIPT_MAX);
    bool ok = managesieve_list(m, look, &r, err);
    if (ok && r.there)
        ok = err_set(err, ERR_SERVER_NO, "%s has a script of that name", m->host);
    ok = ok && managesieve_get(m, from, &text, err) && managesieve_put(m, to, buf_str(&text), err) &&
         (!r.active || managesieve_activate(m, to, err)) && managesieve_remove(m, from, err);
    buf_fini(&text);
    return ok;
}

bool managesieve_rename(struct managesieve *m, struct str from, struct str to, struct err *err)
{
    if (!check_name(from, err) || !check_name(to, err))
        return false;
    if (!m->version)
        return rename_by_copy(m, from, to, err);
    return put(m, "RENAMESCRIPT ", err) && put_string(m, from, err) && put(m, " ", err) && put_string(m, to, err) &&
           put(m, "\r\n", err) && plain_answer(m, err);
}

bool managesieve_noop(struct managesieve *m, struct err *err)
{
    return put(m, "NOOP\r\n", err) && plain_answer(m, err);
}

void managesieve_logout(struct managesieve *m)
{
    struct err ignored = ERR_INIT;
    if (put(m, "LOGOUT\r\n", &ignored))
        (void)stream_flush(m->stream, &ignored);
}
