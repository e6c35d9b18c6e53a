/* From the greeting to the maildrop: capabilities, STLS, the login, and what goes ahead of its answer. */
#include "net/pop3_impl.h"

#include <openssl/evp.h>
#include <string.h>

#include "net/sasl.h"

#define CAPA_LINES_MAX 200
#define SASL_TURNS_MAX 10
#define LOGIN_DELAY_MAX 86400 /* a server does not forbid fetching for ever */
#define AUTH_LINE_MAX 255     /* octets of an AUTH command with its initial response: RFC 5034 4 */

enum owed { OWED_CAPA = 1, OWED_UTF8 = 2, OWED_LANG = 4 }; /* in this order on the line */

/* ---- Capabilities ------------------------------------------------------------------------------- */

static void take_challenge(struct pop3 *p, struct str text)
{
    size_t from, to;
    buf_reset(&p->challenge);
    if (!str_find(text, '<', &from) || !str_find(str_sub(text, from, text.n), '>', &to))
        return;
    struct str id = str_sub(text, from, from + to + 1);
    if (sasl_is_msg_id(id) && buf_adds(&p->challenge, id))
        p->caps |= POP_APOP;
}

/* EXPIRE and LOGIN-DELAY, which may be others after the login (RFC 2449 6.5, 6.7). */
static void take_limit(struct pop3 *p, struct str word, struct str rest)
{
    struct str number;
    uint32_t value;
    bool expire = str_case_eqz(word, "EXPIRE"), delay = str_case_eqz(word, "LOGIN-DELAY");
    if ((!expire && !delay) || !str_split(&rest, ' ', &number))
        return;
    if (expire)
        p->expire = str_u32(number, &value) ? value : POP3_EXPIRE_NEVER;
    else if (str_u32(number, &value))
        p->login_delay = MIN(value, (uint32_t)LOGIN_DELAY_MAX);
    p->per_user = p->per_user || str_case_eqz(str_trim(rest), "USER");
}

static void take_capability(struct pop3 *p, struct str line)
{
    static const struct {
        const char *name;
        enum pop_cap cap;
    } names[] = {
        {"TOP", POP_TOP},
        {"UIDL", POP_UIDL},
        {"USER", POP_USER},
        {"SASL", POP_SASL},
        {"STLS", POP_STLS},
        {"PIPELINING", POP_PIPELINING},
        {"RESP-CODES", POP_RESP_CODES},
        {"AUTH-RESP-CODE", POP_AUTH_RESP_CODE},
        {"UTF8", POP_UTF8},
        {"LANG", POP_LANG},
    };
    struct str rest = str_trim(line), word;
    if (!str_split(&rest, ' ', &word))
        return;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (str_case_eqz(word, names[i].name))
            p->caps |= names[i].cap;
    }
    take_limit(p, word, rest);
    if (str_case_eqz(word, "IMPLEMENTATION"))
        snprintf(p->implementation, sizeof p->implementation, "%.*s", STR_FMT(str_trim(rest)));
    if (str_case_eqz(word, "SASL") && rest.n > 0) {
        buf_reset(&p->sasl);
        buf_adds(&p->sasl, str_trim(rest));
    }
    if (p->capa.n > 0)
        buf_addz(&p->capa, "; ");
    buf_adds(&p->capa, str_trim(line));
}

static void forget_capabilities(struct pop3 *p)
{
    p->caps &= POP_APOP;
    p->login_delay = 0;
    p->expire = POP3_EXPIRE_NEVER;
    p->per_user = false;
    buf_reset(&p->capa);
    buf_reset(&p->sasl);
}

void pop3_assume(struct pop3 *p, struct str lines)
{
    while (lines.n > 0) {
        size_t at = 0;
        const char *end = memmem(lines.p, lines.n, "; ", 2);
        at = end != NULL ? (size_t)(end - lines.p) : lines.n;
        take_capability(p, str_sub(lines, 0, at));
        lines = str_sub(lines, MIN(at + 2, lines.n), lines.n);
    }
    p->caps |= POP_CAPA;
    p->assumed = (p->caps & POP_PIPELINING) != 0;
}

static bool capa_send(struct pop3 *p, struct err *err)
{
    return stream_printf(p->stream, err, "CAPA\r\n");
}

/* limits: only what the login may have changed. */
static bool capa_answer(struct pop3 *p, bool limits, struct err *err)
{
    struct pop3_answer a;
    struct str line;
    if (!pop3_answer(p, &a, err))
        return false;
    if (!limits)
        forget_capabilities(p);
    if (!a.ok)
        return true; /* an old server: what it can is found by trying */
    p->caps |= POP_CAPA;
    for (int n = 0; n < CAPA_LINES_MAX; n++) {
        int r = pop3_list_line(p, &line, err);
        if (r <= 0)
            return r == 0;
        struct str rest = str_trim(line), word;
        if (!limits)
            take_capability(p, line);
        else if (str_split(&rest, ' ', &word))
            take_limit(p, word, rest);
    }
    return err_set(err, ERR_LIMIT, "%s lists more than %d capabilities", p->host, CAPA_LINES_MAX);
}

/* Only what the choice of the login and of its flight depends on is a surprise. */
static bool capa_compare(struct pop3 *p, struct err *err)
{
    const unsigned decisive = POP_CAPA | POP_SASL | POP_USER | POP_PIPELINING;
    unsigned had = p->caps;
    struct buf sasl = BUF_INIT(1024);
    buf_adds(&sasl, buf_str(&p->sasl));
    bool ok = capa_answer(p, false, err);
    p->surprised = ((had ^ p->caps) & decisive) != 0 || !str_eq(buf_str(&sasl), buf_str(&p->sasl));
    buf_fini(&sasl);
    return ok;
}

/* ---- Greeting ----------------------------------------------------------------------------------- */

static bool stls(struct pop3 *p, struct err *err)
{
    struct pop3_answer a;
    if (!stream_printf(p->stream, err, "STLS\r\n") || !pop3_answer(p, &a, err))
        return false;
    if (!a.ok)
        return err_set(err, ERR_NO_STARTTLS, "%s refuses STLS; it says (not encrypted): \"%.*s\"", p->host,
                       (int)MIN(a.text.n, (size_t)200), a.text.n > 0 ? a.text.p : "");
    if (!stream_starttls(p->stream, p->host, err))
        return false;
    /* A challenge sent in the clear may have been put there. */
    buf_reset(&p->challenge);
    p->caps &= ~(unsigned)POP_APOP;
    return true;
}

bool pop3_greet(struct pop3 *p, bool starttls, struct err *err)
{
    struct pop3_answer a;
    if (!pop3_answer(p, &a, err))
        return false;
    if (!a.ok)
        return pop3_refused(p, a.text, ERR_SERVER_TEMP, err);
    take_challenge(p, a.text);
    /* RFC 2595 4: capabilities said before TLS do not count (THREATS 6), so they are not asked for. */
    if (starttls && !stls(p, err))
        return false;
    p->assumed = p->assumed && p->trust == POP3_AHEAD && (stream_is_tls(p->stream) || stream_is_tunnel(p->stream));
    if (p->assumed)
        return true;
    return capa_send(p, err) && capa_answer(p, false, err);
}

/* ---- Ahead of the login's answer ---------------------------------------------------------------- */

static bool is_tag(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-')
            return false;
    }
    return s.n > 0;
}

void pop3_language(struct pop3 *p, const char *tag)
{
    bool given = tag != NULL && is_tag(str_z(tag));
    snprintf(p->wants, sizeof p->wants, "%s", given ? tag : "");
}

/* May commands go ahead of the login's answer? */
static bool flies(struct pop3 *p)
{
    bool may = p->expects && p->trust == POP3_AHEAD && pop3_pipelines(p);
    p->went_ahead = p->went_ahead || may;
    return may;
}

/* Reads what stands on the line before the answer of the login. */
static bool settle(struct pop3 *p, struct err *err)
{
    struct pop3_answer a;
    struct str tag;
    unsigned owed = p->owed;
    p->owed = 0;
    if ((owed & OWED_CAPA) != 0 && !capa_compare(p, err))
        return false;
    if ((owed & OWED_UTF8) != 0 && !pop3_answer(p, &a, err)) /* refused: mail comes as it makes it then */
        return false;
    if ((owed & OWED_LANG) == 0)
        return true;
    if (!pop3_answer(p, &a, err))
        return false;
    if (a.ok && str_split(&a.text, ' ', &tag) && is_tag(tag))
        snprintf(p->language, sizeof p->language, "%.*s", STR_FMT(tag));
    return true;
}

static bool owe(struct pop3 *p, enum owed what, struct err *err)
{
    p->owed |= what;
    return flies(p) || settle(p, err);
}

/* What comes before the login. */
static bool prepare(struct pop3 *p, struct err *err)
{
    if (p->assumed && (!capa_send(p, err) || !owe(p, OWED_CAPA, err)))
        return false;
    if ((p->caps & POP_UTF8) != 0 && (!stream_printf(p->stream, err, "UTF8\r\n") || !owe(p, OWED_UTF8, err)))
        return false;
    if ((p->caps & POP_LANG) != 0 && p->wants[0] != '\0')
        return stream_printf(p->stream, err, "LANG %s\r\n", p->wants) && owe(p, OWED_LANG, err);
    return true;
}

/* Behind the last line that the login needs of us: after it the server goes on with these. */
static bool go_ahead(struct pop3 *p, struct err *err)
{
    if (!flies(p))
        return true;
    p->capa_sent = p->per_user;
    return (!p->capa_sent || capa_send(p, err)) && pop3_list_send(p, err);
}

/* After a login that was refused, what went ahead was refused too. */
static bool take_back(struct pop3 *p, struct err *err)
{
    struct pop3_answer a;
    if (p->capa_sent && !capa_answer(p, true, err))
        return false;
    for (p->capa_sent = false; p->lists_sent > 0; p->lists_sent--) {
        if (!pop3_answer(p, &a, err))
            return false;
        if (a.ok)
            return err_set(err, ERR_PROTOCOL, "%s gives lists without a login", p->host);
    }
    return true;
}

/* What stands behind the answer of a login that took place. */
static bool logged_in(struct pop3 *p, struct err *err)
{
    if (p->per_user && !p->capa_sent) {
        p->capa_sent = true;
        if (!capa_send(p, err))
            return false;
    }
    if (p->capa_sent && !capa_answer(p, true, err))
        return false;
    p->capa_sent = false;
    return p->lists_sent == 0 || pop3_list_count(p, err);
}

static bool login_answer(struct pop3 *p, struct pop3_answer *a, struct err *err)
{
    return settle(p, err) && pop3_answer(p, a, err);
}

/* ---- Login -------------------------------------------------------------------------------------- */

/* What -ERR at login means: a code says it; else a server that knows AUTH-RESP-CODE means no password; else words that
 * speak of a lock. */
static bool login_refused(const struct pop3 *p, struct str text, struct err *err)
{
    static const char *const locked[] = {"lock", "in use", "already", "try again", "temporar", "busy", "too many"};
    enum err_kind kind = (p->caps & POP_AUTH_RESP_CODE) != 0 ? ERR_SERVER_TEMP : ERR_AUTH;
    for (size_t i = 0; i < COUNT(locked) && kind == ERR_AUTH; i++) {
        struct str word = str_z(locked[i]);
        for (size_t at = 0; at + word.n <= text.n; at++) {
            if (str_case_starts(str_sub(text, at, text.n), word)) {
                kind = ERR_SERVER_TEMP;
                break;
            }
        }
    }
    return pop3_refused(p, text, kind, err);
}

static bool sasl_answer(struct pop3 *p, struct sasl *s, struct str challenge, struct err *err)
{
    struct buf out = BUF_INIT(32768);
    bool ok = sasl_step(s, challenge, &out, err);
    if (ok) {
        buf_addz(&out, "\r\n");
        ok = stream_write(p->stream, buf_str(&out), err) && (!sasl_said_all(s) || go_ahead(p, err));
    } else {
        struct err ignored = ERR_INIT;
        struct pop3_answer a;
        if (stream_printf(p->stream, &ignored, "*\r\n"))
            (void)pop3_answer(p, &a, &ignored);
    }
    if (out.p != NULL)
        explicit_bzero(out.p, out.cap);
    buf_fini(&out);
    return ok;
}

static bool sasl_turns(struct pop3 *p, struct sasl *s, struct err *err)
{
    for (int turn = 0; turn < SASL_TURNS_MAX; turn++) {
        struct pop3_answer a;
        if (!login_answer(p, &a, err))
            return false;
        if (a.ok)
            return sasl_finish(s, STR(""), err);
        if (!a.more)
            return login_refused(p, a.text, err);
        if (p->lists_sent > 0) /* what went ahead was taken for the answer to this */
            return err_set(err, ERR_PROTOCOL, "%s asks for more than %s needs", p->host, sasl_mechanism(s));
        if (!sasl_answer(p, s, a.text, err))
            return false;
    }
    return err_set(err, ERR_PROTOCOL, "%s never ends the login", p->host);
}

/* The response as a line of its own: the server asks for it first. */
static bool first_apart(struct pop3 *p, const char *name, struct str first, struct err *err)
{
    struct pop3_answer a;
    if (!stream_printf(p->stream, err, "AUTH %s\r\n", name) || !login_answer(p, &a, err))
        return false;
    if (!a.more)
        return a.ok ? err_set(err, ERR_PROTOCOL, "%s: no login took place", p->host) : login_refused(p, a.text, err);
    return stream_write(p->stream, first, err);
}

static bool carry(void *arg, struct sasl *s, struct err *err)
{
    struct pop3 *p = arg;
    struct buf line = BUF_INIT(32768);
    const char *name = sasl_mechanism(s);
    bool ok;
    if (!take_back(p, err))
        return false;
    buf_addf(&line, "AUTH %s ", name);
    size_t n = line.n;
    if (!sasl_initial(s, &line)) {
        ok = stream_printf(p->stream, err, "AUTH %s\r\n", name);
    } else {
        bool fits = line.n + 2 <= AUTH_LINE_MAX;
        buf_addz(&line, "\r\n");
        ok = fits ? stream_write(p->stream, buf_str(&line), err)
                  : first_apart(p, name, str_sub(buf_str(&line), n, line.n), err);
        ok = ok && (!sasl_said_all(s) || go_ahead(p, err));
    }
    if (line.p != NULL)
        explicit_bzero(line.p, line.cap);
    buf_fini(&line);
    return ok && sasl_turns(p, s, err);
}

static bool apop(struct pop3 *p, const char *user, const struct secret *secret, struct err *err)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = c != NULL && EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(c, p->challenge.p, p->challenge.n) == 1 &&
              EVP_DigestUpdate(c, secret->p, secret->n) == 1 && EVP_DigestFinal_ex(c, md, &n) == 1;
    EVP_MD_CTX_free(c);
    if (!ok)
        return err_set(err, ERR_NO_AUTH_METHOD, "%s: APOP needs MD5, which this OpenSSL refuses", p->host);
    hex_encode(md, n, hex);
    struct pop3_answer a;
    if (!take_back(p, err) || !stream_printf(p->stream, err, "APOP %s %s\r\n", user, hex) || !go_ahead(p, err) ||
        !login_answer(p, &a, err))
        return false;
    return a.ok || login_refused(p, a.text, err);
}

/* RFC 2449 6.6 names these two as what may be batched. */
static bool user_pass(struct pop3 *p, const char *user, const struct secret *secret, struct err *err)
{
    struct pop3_answer a;
    struct err later = ERR_INIT;
    bool batch = flies(p);
    if (!take_back(p, err) || !stream_printf(p->stream, err, "USER %s\r\n", user) ||
        (batch && (!stream_printf(p->stream, err, "PASS %s\r\n", secret->p) || !go_ahead(p, err))) ||
        !login_answer(p, &a, err))
        return false;
    bool known = a.ok || login_refused(p, a.text, err);
    if (!batch && (!known || !stream_printf(p->stream, err, "PASS %s\r\n", secret->p)))
        return false;
    if (!pop3_answer(p, &a, known ? err : &later))
        return false;
    return known && (a.ok || login_refused(p, a.text, err));
}

static bool is_plain(const char *z, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)z[i] < ' ' || z[i] == 0x7f)
            return false;
    }
    return n > 0;
}

static bool by_sasl(struct pop3 *p, const char *user, const struct secret *secret, bool insecure_ok, bool *tried_r,
                    struct err *err)
{
    struct buf offered = BUF_INIT(1024); /* the capabilities may come while it is in use */
    buf_adds(&offered, buf_str(&p->sasl));
    struct sasl_login l = {.offered = buf_str(&offered),
                           .service = "pop",
                           .host = p->host,
                           .user = user,
                           .secret = secret,
                           .stream = p->stream,
                           .insecure_ok = insecure_ok,
                           .carry = carry,
                           .arg = p};
    bool ok = sasl_login(&l, tried_r, err);
    buf_fini(&offered);
    return ok;
}

static bool by_password(struct pop3 *p, const char *user, const struct secret *secret, bool insecure_ok,
                        struct err *err)
{
    bool tls = stream_is_tls(p->stream), safe = tls || stream_is_tunnel(p->stream), word = strchr(user, ' ') == NULL;
    bool has_apop = word && (p->caps & POP_APOP) != 0;
    bool has_user = word && ((p->caps & POP_CAPA) == 0 || (p->caps & POP_USER) != 0);
    if (has_apop && !safe)
        return apop(p, user, secret, err);
    if (has_user && (safe || insecure_ok))
        return user_pass(p, user, secret, err);
    if (has_apop)
        return apop(p, user, secret, err);
    return err_set(err, ERR_NO_AUTH_METHOD, "%s offers no login that is safe on this connection (%s): %s", p->host,
                   tls ? "TLS" : "no TLS",
                   p->sasl.n > 0               ? buf_z(&p->sasl)
                   : (p->caps & POP_USER) != 0 ? "USER"
                                               : "nothing");
}

static bool login(struct pop3 *p, const char *user, const struct secret *secret, bool insecure_ok, struct err *err)
{
    if (p->sasl.n > 0) {
        bool tried;
        if (by_sasl(p, user, secret, insecure_ok, &tried, err))
            return true;
        if (tried || err->kind != ERR_NO_AUTH_METHOD || secret->p == NULL || secret->token)
            return false;
        *err = ERR_INIT;
    }
    if (secret->p == NULL || secret->token)
        return err_set(err, ERR_NO_AUTH_METHOD, "%s offers no login but by password", p->host);
    return by_password(p, user, secret, insecure_ok, err);
}

/* Was the refusal due to what the server could in an earlier session and cannot any more? */
static bool misled(const struct pop3 *p, enum err_kind kind)
{
    return p->surprised && (kind == ERR_AUTH || kind == ERR_SERVER_TEMP || kind == ERR_NO_AUTH_METHOD);
}

bool pop3_login(struct pop3 *p, const char *user, const struct secret *secret, bool insecure_ok, struct err *err)
{
    if (!is_plain(user, strlen(user)))
        return err_set(err, ERR_CONFIG, "%s: the user name is empty or holds control characters", p->host);
    if (secret->p != NULL && !is_plain(secret->p, secret->n))
        return err_set(err, ERR_SECRET, "%s: the password is empty or holds control characters", p->host);
    bool ok = prepare(p, err) && login(p, user, secret, insecure_ok, err);
    /* Nothing but CAPA was sent where the expected ones allow no login. */
    if (!ok && err->kind == ERR_NO_AUTH_METHOD) {
        struct err why = ERR_INIT;
        if (!settle(p, &why))
            *err = why;
    }
    if (!ok && misled(p, err->kind)) {
        *err = ERR_INIT;
        ok = take_back(p, err) && login(p, user, secret, insecure_ok, err);
    }
    ok = ok && logged_in(p, err);
    if (!ok)
        sasl_redact(secret, err);
    return ok;
}
