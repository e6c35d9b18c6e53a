/* One exchange of Cyrus SASL's client side, or of a bearer token; base64 at the edges. */
#include "net/sasl.h"

#include <sasl/sasl.h>
#include <string.h>

#define CHALLENGE_MAX 12288 /* decoded bytes of one challenge */
#define USER_MAX 1024
#define LOOSE_MIN 6u /* shorter ones in other case may be words */
#define UNBOUND_S (7 * 86400)
#define TELLTALE 24u /* bytes of a secret that make it known again in what a server says */

enum needs {
    NEEDS_BINDING = 1, /* channel binding data of the line */
    NEEDS_COVER = 2,   /* the secret or its equal crosses the line: TLS, or the user's word */
    MUTUAL = 4,        /* the server proves that it knows the secret */
    MSG_ID = 8,        /* the challenge has to be a message id (THREATS 18) */
    BEARER = 16,       /* the secret is a token; the exchange is ours */
    EXTERNAL = 32,     /* the line itself says who we are (RFC 4422 A); the exchange is ours */
};
struct mechanism {
    const char *name;
    unsigned flags;
};
/* Under TLS a challenge-response over MD5 is the weaker choice: it forces the server to keep the secret itself. */
static const struct mechanism in_tls[] = {
    {"SCRAM-SHA-256-PLUS", NEEDS_BINDING | MUTUAL},
    {"SCRAM-SHA-1-PLUS", NEEDS_BINDING | MUTUAL},
    {"SCRAM-SHA-256", MUTUAL},
    {"SCRAM-SHA-1", MUTUAL},
    {"PLAIN", NEEDS_COVER},
    {"LOGIN", NEEDS_COVER},
    {"CRAM-MD5", MSG_ID},
};
static const struct mechanism in_clear[] = {
    {"SCRAM-SHA-256", MUTUAL}, {"SCRAM-SHA-1", MUTUAL}, {"CRAM-MD5", MSG_ID},
    {"PLAIN", NEEDS_COVER},    {"LOGIN", NEEDS_COVER},
};
static const struct mechanism for_tokens[] = {
    {"OAUTHBEARER", BEARER},
    {"XOAUTH2", BEARER},
};
static const struct mechanism for_certificates[] = {{"EXTERNAL", EXTERNAL}};

struct sasl {
    const struct mechanism *mechanism;
    char *host, *user;
    sasl_secret_t *secret;
    sasl_conn_t *conn; /* NULL for bearer tokens */
    sasl_callback_t callbacks[5];
    sasl_channel_binding_t binding;
    struct buf binding_data;
    struct buf first; /* raw initial response */
    bool has_first, first_given;
    char status[64]; /* the server's word on a token it refused */
    bool done;       /* the client's side is complete, the server's proof included */
    unsigned steps;
};

static int on_log(void *context UNUSED, int level UNUSED, const char *text UNUSED)
{
    return SASL_OK; /* the default is syslog; what matters comes back as an error */
}

static int on_user(void *context, int id, const char **result, unsigned *len)
{
    const struct sasl *s = context;
    /* No authorization identity of its own: the server derives it from the login (RFC 4422 3.4.1). */
    *result = id == SASL_CB_AUTHNAME ? s->user : "";
    if (len != NULL)
        *len = (unsigned)strlen(*result);
    return SASL_OK;
}

static int on_secret(sasl_conn_t *conn UNUSED, void *context, int id UNUSED, sasl_secret_t **secret_r)
{
    const struct sasl *s = context;
    *secret_r = s->secret;
    return SASL_OK;
}

/* Cyrus SASL's type for a callback is int (*)(void); it casts back by id. */
#define CALLBACK(fn) ((int (*)(void))(void (*)(void))(fn))

bool sasl_setup(struct err *err)
{
    static bool ready;
    static const sasl_callback_t none[] = {{SASL_CB_LOG, CALLBACK(on_log), NULL}, {SASL_CB_LIST_END, NULL, NULL}};
    if (ready)
        return true;
    int r = sasl_client_init(none);
    if (r != SASL_OK)
        return err_set(err, ERR_NO_AUTH_METHOD, "Cyrus SASL does not start: %s", sasl_errstring(r, NULL, NULL));
    ready = true;
    return true;
}

/* ---- Choosing -------------------------------------------------------------------------------------------------- */

static bool offers(struct str offered, const char *name)
{
    struct str word;
    while (str_split(&offered, ' ', &word)) {
        if (str_case_eqz(word, name))
            return true;
    }
    return false;
}

/* Is there a plugin? "-PLUS" is the same plugin with a channel binding. */
static bool available(const struct mechanism *m)
{
    char name[32];
    if ((m->flags & (BEARER | EXTERNAL)) != 0)
        return true;
    snprintf(name, sizeof name, "%s", m->name);
    char *plus = strstr(name, "-PLUS");
    if (plus != NULL)
        *plus = '\0';
    for (const char **have = sasl_global_listmech(); have != NULL && *have != NULL; have++) {
        if (strcmp(*have, name) == 0)
            return true;
    }
    return false;
}

static const struct mechanism *choose_of(const struct mechanism *list, size_t n, struct str offered, bool binding,
                                         bool cover)
{
    for (size_t i = 0; i < n; i++) {
        const struct mechanism *m = &list[i];
        if (((m->flags & NEEDS_BINDING) == 0 || binding) && ((m->flags & NEEDS_COVER) == 0 || cover) &&
            offers(offered, m->name) && available(m))
            return m;
    }
    return NULL;
}

static const struct mechanism *choose(struct str offered, const struct secret *secret, const struct stream *stream,
                                      bool binding, bool insecure_ok)
{
    bool tls = stream != NULL && stream_is_tls(stream), safe = tls || (stream != NULL && stream_is_tunnel(stream));
    if (secret->p == NULL)
        return choose_of(for_certificates, COUNT(for_certificates), offered, binding, true);
    if (secret->token)
        return safe ? choose_of(for_tokens, COUNT(for_tokens), offered, binding, true) : NULL;
    if (safe)
        return choose_of(in_tls, COUNT(in_tls), offered, binding, true);
    return choose_of(in_clear, COUNT(in_clear), offered, false, insecure_ok);
}

/* ---- Making ------------------------------------------------------------------------------------- */

static bool no_control(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
            return false;
    }
    return true;
}

static sasl_secret_t *secret_copy(const struct secret *secret)
{
    sasl_secret_t *copy = mem_new(sizeof *copy + secret->n + 1);
    copy->len = secret->n;
    if (secret->p != NULL)
        memcpy(copy->data, secret->p, secret->n);
    return copy;
}

/* RFC 7628 3.1; the "," and "=" of a name are written as in SCRAM. */
static void bearer_first(struct sasl *s, bool oauthbearer)
{
    struct buf *b = &s->first;
    if (oauthbearer) {
        buf_addz(b, "n,a=");
        for (const char *p = s->user; *p != '\0'; p++)
            buf_addz(b, *p == ',' ? "=2C" : *p == '=' ? "=3D" : (char[]){*p, '\0'});
        buf_addf(b, ",\001host=%s\001auth=Bearer ", s->host);
    } else {
        buf_addf(b, "user=%s\001auth=Bearer ", s->user);
    }
    buf_add(b, s->secret->data, s->secret->len);
    buf_addz(b, "\001\001");
    s->has_first = true;
    s->done = true;
}

/* The user is named: a certificate may stand for several, and some servers take the name from here alone. */
static void external_first(struct sasl *s)
{
    buf_addz(&s->first, s->user);
    s->has_first = s->done = true;
}

static bool start_library(struct sasl *s, const char *service, bool tls, struct err *err)
{
    s->callbacks[0] = (sasl_callback_t){SASL_CB_LOG, CALLBACK(on_log), NULL};
    s->callbacks[1] = (sasl_callback_t){SASL_CB_USER, CALLBACK(on_user), s};
    s->callbacks[2] = (sasl_callback_t){SASL_CB_AUTHNAME, CALLBACK(on_user), s};
    s->callbacks[3] = (sasl_callback_t){SASL_CB_PASS, CALLBACK(on_secret), s};
    s->callbacks[4] = (sasl_callback_t){SASL_CB_LIST_END, NULL, NULL};
    int r = sasl_client_new(service, s->host, NULL, NULL, s->callbacks, 0, &s->conn);
    if (r != SASL_OK)
        return err_set(err, ERR_NO_AUTH_METHOD, "Cyrus SASL: %s", sasl_errstring(r, NULL, NULL));
    sasl_security_properties_t none = {.min_ssf = 0, .max_ssf = 0, .maxbufsize = 0};
    sasl_ssf_t outer = tls ? 256 : 0;
    sasl_setprop(s->conn, SASL_SEC_PROPS, &none);
    sasl_setprop(s->conn, SASL_SSF_EXTERNAL, &outer);
    if (s->binding.len > 0)
        sasl_setprop(s->conn, SASL_CHANNEL_BINDING, &s->binding);
    const char *out = NULL, *chosen = NULL;
    unsigned n = 0;
    r = sasl_client_start(s->conn, s->mechanism->name, NULL, &out, &n, &chosen);
    if (r != SASL_OK && r != SASL_CONTINUE)
        return err_set(err, ERR_NO_AUTH_METHOD, "%s does not start: %s", s->mechanism->name,
                       sasl_errstring(r, NULL, NULL));
    s->has_first = out != NULL;
    if (out != NULL)
        buf_add(&s->first, out, n);
    s->done = r == SASL_OK;
    return true;
}

struct sasl *sasl_new(struct str offered, const char *service, const char *host, const char *user,
                      const struct secret *secret, const struct stream *stream, bool insecure_ok, struct err *err)
{
    if (!sasl_setup(err))
        return NULL;
    size_t user_n = strlen(user);
    if (user_n == 0 || user_n > USER_MAX || !no_control(user, user_n)) {
        err_set(err, ERR_CONFIG, "the user name is empty, too long or holds control characters");
        return NULL;
    }
    bool certificate = stream != NULL && stream_showed_certificate(stream);
    if (secret->p == NULL && !certificate) {
        err_set(err, ERR_SECRET,
                stream != NULL && stream_is_tunnel(stream)
                    ? "the server in the tunnel wants a login: set password-command"
                    : "the server did not ask for the client certificate, and there is no password");
        return NULL;
    }
    if (secret->p != NULL && (secret->n == 0 || !no_control(secret->p, secret->n))) {
        err_set(err, ERR_SECRET, "the password is empty or holds control characters");
        return NULL;
    }
    struct sasl *s = mem_new(sizeof *s);
    buf_init(&s->first, SECRET_MAX + 4 * USER_MAX + 1024);
    buf_init(&s->binding_data, 256);
    bool tls = stream != NULL && stream_is_tls(stream);
    const char *type = "";
    bool binding = tls && stream_channel_binding(stream, &type, &s->binding_data);
    s->mechanism = choose(offered, secret, stream, binding, insecure_ok);
    if (s->mechanism == NULL) {
        err_set(err, ERR_NO_AUTH_METHOD, "%s offers no login %s that is safe on this connection (%s): %.*s", host,
                secret->p == NULL ? "by certificate (EXTERNAL)"
                : secret->token   ? "by access token (OAUTHBEARER, XOAUTH2)"
                                  : "by password",
                tls ? "TLS" : "no TLS", (int)MIN(offered.n, (size_t)200), offered.n > 0 ? offered.p : "");
        sasl_free(&s);
        return NULL;
    }
    bool bound = (s->mechanism->flags & NEEDS_BINDING) != 0;
    log_msg(LOG_DEBUG, "login by %s%s%s", s->mechanism->name, bound ? ", channel binding " : "", bound ? type : "");
    s->host = mem_dup_z(host);
    s->user = mem_dup_z(user);
    s->secret = secret_copy(secret);
    if (binding)
        s->binding = (sasl_channel_binding_t){
            .name = type, .len = s->binding_data.n, .data = (const unsigned char *)s->binding_data.p};
    if ((s->mechanism->flags & BEARER) != 0)
        bearer_first(s, strcmp(s->mechanism->name, "OAUTHBEARER") == 0);
    else if ((s->mechanism->flags & EXTERNAL) != 0)
        external_first(s);
    else if (!start_library(s, service, tls, err))
        sasl_free(&s);
    return s;
}

static void buf_wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_fini(b);
}

void sasl_free(struct sasl **sp)
{
    struct sasl *s = *sp;
    if (s == NULL)
        return;
    sasl_dispose(&s->conn);
    if (s->secret != NULL)
        explicit_bzero(s->secret->data, s->secret->len);
    free(s->secret);
    buf_wipe(&s->first);
    buf_wipe(&s->binding_data);
    free(s->host);
    free(s->user);
    free(s);
    *sp = NULL;
}

const char *sasl_mechanism(const struct sasl *s)
{
    return s->mechanism->name;
}

/* ---- The exchange ------------------------------------------------------------------------------- */

bool sasl_initial(struct sasl *s, struct buf *out)
{
    if (!s->has_first)
        return false;
    s->first_given = true;
    if (s->first.n == 0)
        return buf_addc(out, '=');
    return base64_encode(buf_str(&s->first), out);
}

bool sasl_is_msg_id(struct str c)
{
    size_t at;
    if (c.n < 5 || c.p[0] != '<' || c.p[c.n - 1] != '>' || !str_find(c, '@', &at) || at == 1 || at == c.n - 2)
        return false;
    for (size_t i = 1; i + 1 < c.n; i++) {
        if (c.p[i] <= ' ' || c.p[i] >= 0x7f || c.p[i] == '<' || c.p[i] == '>')
            return false;
    }
    return true;
}

static bool refused(struct sasl *s, int r, struct err *err)
{
    if ((s->mechanism->flags & MUTUAL) != 0 && (r == SASL_BADSERV || r == SASL_BADAUTH || s->steps > 1))
        return err_set(err, ERR_AUTH, "the server could not prove that it knows the password (%s)", s->mechanism->name);
    return err_set(err, ERR_AUTH, "the server's part of %s makes no sense: %s", s->mechanism->name,
                   sasl_errstring(r, NULL, NULL));
}

/* The error's details are JSON; of it only "status" is of use: "invalid_token", or a number. Any other bytes give none.
 */
static void status_take(struct sasl *s, struct str json)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. ";
    struct str key = STR("\"status\"");
    const char *at = json.n > 0 ? memmem(json.p, json.n, key.p, key.n) : NULL;
    if (at == NULL)
        return;
    struct str rest = str_trim(str_sub(json, (size_t)(at - json.p) + key.n, json.n));
    if (rest.n == 0 || rest.p[0] != ':')
        return;
    rest = str_trim(str_sub(rest, 1, rest.n));
    if (rest.n > 0 && rest.p[0] == '"')
        rest = str_sub(rest, 1, rest.n);
    size_t n = 0;
    while (n < rest.n && n + 1 < sizeof s->status && rest.p[n] != '\0' && strchr(allowed, rest.p[n]) != NULL)
        n++;
    memcpy(s->status, rest.p, n);
    s->status[n] = '\0';
}

static bool step_raw(struct sasl *s, struct str challenge, struct buf *out, struct err *err)
{
    s->steps++;
    if ((s->mechanism->flags & BEARER) != 0 && s->steps == 1) {
        status_take(s, challenge);
        /* RFC 7628 3.2.3 wants a dummy answer, XOAUTH2 an empty one; then the refusal follows. */
        return strcmp(s->mechanism->name, "XOAUTH2") == 0 || buf_addc(out, '\001');
    }
    if (s->done)
        return refused(s, SASL_BADPROT, err);
    if ((s->mechanism->flags & MSG_ID) != 0 && s->steps == 1 && !sasl_is_msg_id(challenge))
        return err_set(err, ERR_PROTOCOL, "the server's challenge for %s is not answered: it is no message id",
                       s->mechanism->name);
    const char *answer = NULL;
    unsigned n = 0;
    int r = sasl_client_step(s->conn, challenge.n > 0 ? challenge.p : "", (unsigned)challenge.n, NULL, &answer, &n);
    if (r != SASL_OK && r != SASL_CONTINUE)
        return refused(s, r, err);
    s->done = r == SASL_OK;
    return n == 0 || buf_add(out, answer, n);
}

bool sasl_step(struct sasl *s, struct str challenge, struct buf *out, struct err *err)
{
    struct buf raw = BUF_INIT(CHALLENGE_MAX), answer = BUF_INIT(CHALLENGE_MAX);
    bool ok;
    if (s->has_first && !s->first_given && challenge.n == 0) { /* the command had no room for it */
        s->first_given = true;
        ok = base64_encode(buf_str(&s->first), out);
    } else if (!base64_decode(challenge, &raw)) {
        ok = err_set(err, ERR_PROTOCOL, "the server's challenge for %s is not base64 or too long", s->mechanism->name);
    } else {
        ok = step_raw(s, buf_str(&raw), &answer, err) && base64_encode(buf_str(&answer), out);
    }
    buf_wipe(&raw);
    buf_wipe(&answer);
    return ok;
}

bool sasl_said_all(const struct sasl *s)
{
    return s->done && !(s->mechanism->flags & BEARER); /* a token's refusal still wants a word */
}

bool sasl_finish(struct sasl *s, struct str last_data, struct err *err)
{
    if ((s->mechanism->flags & MUTUAL) == 0)
        return true;
    if (!s->done && last_data.n > 0) {
        struct buf none = BUF_INIT(CHALLENGE_MAX);
        bool ok = sasl_step(s, last_data, &none, err);
        buf_wipe(&none);
        if (!ok)
            return false;
    }
    return s->done ||
           err_set(err, ERR_AUTH, "the server did not prove that it knows the password (%s)", s->mechanism->name);
}

/* ---- What a server repeats ---------------------------------------------------------------------- */
void sasl_explain(const struct sasl *s, struct err *err)
{
    struct err old = *err;
    if (s->status[0] != '\0')
        err_set(err, old.kind, "%s (of the access token: %s)", old.text, s->status);
}

static bool is_base64(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' || c == '/' ||
           c == '=';
}

/* text[at, at+n) becomes "***". */
static size_t blot(char *text, size_t at, size_t n)
{
    size_t stars = MIN(n, (size_t)3);
    memset(text + at, '*', stars);
    memmove(text + at + stars, text + at + n, strlen(text + at + n) + 1);
    return at + stars;
}

/* Any offset of a quantum: the echo may begin behind other letters; and its end may be cut within one. */
static bool hides(struct str run, struct str secret)
{
    struct buf raw = BUF_INIT(512);
    bool found = false;
    for (unsigned way = 0; way < 8 && !found; way++) {
        struct str s = str_sub(run, way / 2, run.n);
        char padded[512];
        while (s.n && s.p[s.n - 1] == '=')
            s.n--;
        size_t n = MIN(s.n, sizeof padded - 4);
        n -= way % 2 || n % 4 == 1 ? n % 4 : 0;
        if (!n)
            continue;
        memcpy(padded, s.p, n);
        while (n % 4)
            padded[n++] = '=';
        buf_reset(&raw);
        found = base64_decode((struct str){padded, n}, &raw) && raw.n >= secret.n &&
                memmem(raw.p, raw.n, secret.p, secret.n) != NULL;
        explicit_bzero(padded, sizeof padded);
    }
    if (raw.p)
        explicit_bzero(raw.p, raw.n);
    buf_fini(&raw);
    return found;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* A byte of the text at *p, which goes on; escaped: as "%41". */
static unsigned char next_byte(const char **p, bool escaped)
{
    static const char digits[] = "0123456789abcdef";
    const char *s = *p;
    const char *high = escaped && s[0] == '%' && s[1] ? strchr(digits, lower(s[1])) : NULL;
    const char *low = high && s[2] ? strchr(digits, lower(s[2])) : NULL;
    *p += low ? 3 : 1;
    ptrdiff_t value = low ? (high - digits) * 16 + (low - digits) : (unsigned char)*s;
    return (unsigned char)value;
}

/* How long the echo is with which the text begins: of all the secret or of a beginning that gives it away; 0: none. */
static size_t echo(const char *text, const struct secret *secret)
{
    bool loose = secret->n >= LOOSE_MIN;
    for (unsigned escaped = 0; escaped < (loose ? 2u : 1u); escaped++) {
        const char *p = text;
        size_t n = 0;
        while (n < secret->n && *p) {
            const char *next = p;
            unsigned char c = next_byte(&next, escaped), want = (unsigned char)secret->p[n];
            if (c != want && (!loose || lower((char)c) != lower((char)want)))
                break;
            p = next;
            n++;
        }
        if (n >= MIN(secret->n, (size_t)TELLTALE))
            return (size_t)(p - text);
    }
    return 0;
}

void sasl_redact(const struct secret *secret, struct err *err)
{
    /* A long one may have been cut: its beginning gives it away. */
    struct str s = {secret->p, MIN(secret->n, (size_t)TELLTALE)};
    char *text = err->text;
    if (s.n == 0)
        return;
    for (size_t i = 0; text[i];) {
        size_t n = echo(text + i, secret);
        i = n ? blot(text, i, n) : i + 1;
    }
    for (size_t i = 0; text[i];) {
        size_t n = 0;
        while (text[i + n] && is_base64(text[i + n]))
            n++;
        if (n >= 4 && hides((struct str){text + i, n}, s))
            i = blot(text, i, n);
        else
            i += n ? n : 1;
    }
}

/* ---- A whole login ------------------------------------------------------------------------------ */
static bool binding_refused(const struct sasl *s, const struct err *err)
{
    /* such servers use the library as well */
    return (s->mechanism->flags & NEEDS_BINDING) != 0 && (err->kind == ERR_AUTH || err->kind == ERR_SERVER_TEMP) &&
           strstr(err->text, sasl_errstring(SASL_BADPROT, NULL, NULL)) != NULL;
}

static char unbound[SASL_UNBOUND_MAX + 1]; /* "HOST KEY SECONDS", the time of the refusal */

void sasl_unbound_set(struct str words)
{
    snprintf(unbound, sizeof unbound, "%.*s", STR_FMT(words));
}

struct str sasl_unbound(void)
{
    return str_z(unbound);
}

/* All of it but the time. The key is that of a certificate which was verified: who sits in the middle has another. */
static bool unbound_words(const struct sasl_login *l, struct buf *out)
{
    return l->stream != NULL && buf_addf(out, "%s ", l->host) && stream_key(l->stream, out) && buf_addc(out, ' ');
}

static bool is_unbound(const struct sasl_login *l)
{
    struct buf words = BUF_INIT(SASL_UNBOUND_MAX - 20);
    struct str known = str_z(unbound);
    uint64_t since = 0, now = (uint64_t)clock_wall();
    bool is = unbound_words(l, &words) && str_starts(known, buf_str(&words)) &&
              str_u64(str_sub(known, words.n, known.n), &since) && since <= now && now - since < UNBOUND_S;
    buf_fini(&words);
    return is;
}

static void unbound_now(const struct sasl_login *l)
{
    struct buf words = BUF_INIT(SASL_UNBOUND_MAX);
    if (unbound_words(l, &words) && buf_addf(&words, "%lld", (long long)clock_wall()))
        sasl_unbound_set(buf_str(&words));
    buf_fini(&words);
}

bool sasl_login(const struct sasl_login *l, bool *tried_r, struct err *err)
{
    bool ok = false, again = true;
    *tried_r = false;
    if (is_unbound(l))
        stream_channel_binding_off(l->stream);
    while (!ok && again) {
        struct sasl *s = sasl_new(l->offered, l->service, l->host, l->user, l->secret, l->stream, l->insecure_ok, err);
        if (s == NULL)
            return false;
        *tried_r = true;
        ok = l->carry(l->arg, s, err);
        again = !ok && binding_refused(s, err);
        if (again) {
            stream_channel_binding_off(l->stream);
            unbound_now(l);
            *err = ERR_INIT;
        } else if (!ok) {
            sasl_explain(s, err);
            sasl_redact(l->secret, err);
        }
        sasl_free(&s);
    }
    return ok;
}
