/* The session: greeting, login, lists, deletion. Message transfer is in its own file, as is the contract in the header.
 */
#include "net/pop3_impl.h"

#include <openssl/evp.h>
#include <string.h>

#include "net/sasl.h"

#define CAPA_LINES_MAX 200
#define SASL_TURNS_MAX 10
#define LOGIN_DELAY_MAX 86400 /* a server does not forbid fetching for ever */
#define AUTH_LINE_MAX 255     /* octets of an AUTH command with its initial response: RFC 5034 4 */

struct pop3 *pop3_new(struct stream *stream, const char *host)
{
    struct pop3 *p = mem_new(sizeof *p);
    p->stream = stream;
    p->host = mem_dup_z(host);
    p->expire = POP3_EXPIRE_NEVER;
    buf_init(&p->capa, 8192);
    buf_init(&p->sasl, 1024);
    buf_init(&p->challenge, 512);
    return p;
}

void pop3_free(struct pop3 **pp)
{
    struct pop3 *p = *pp;
    if (p == NULL)
        return;
    buf_fini(&p->capa);
    buf_fini(&p->sasl);
    buf_fini(&p->challenge);
    free(p->host);
    free(p->sizes);
    free(p);
    *pp = NULL;
}

void pop3_lockstep(struct pop3 *p)
{
    p->lockstep = true;
}

unsigned pop3_caps(const struct pop3 *p)
{
    return p->caps;
}

void pop3_caps_text(const struct pop3 *p, struct buf *out)
{
    buf_adds(out, buf_str(&p->capa));
}

uint32_t pop3_login_delay(const struct pop3 *p)
{
    return p->login_delay;
}

uint32_t pop3_expire(const struct pop3 *p)
{
    return p->expire;
}

uint32_t pop3_count(const struct pop3 *p)
{
    return p->count;
}

/* ---- Answers ------------------------------------------------------------------------------------ */

bool pop3_answer(struct pop3 *p, struct pop3_answer *a, struct err *err)
{
    struct str line;
    stream_answer(p->stream);
    if (!stream_line(p->stream, POP3_LINE_MAX, &line, err))
        return false;
    a->lf = line.p[line.n] == '\n';
    a->ok = str_case_starts(line, STR("+OK"));
    a->more = !a->ok && line.n > 0 && line.p[0] == '+' && (line.n == 1 || line.p[1] == ' ');
    size_t skip = a->ok ? 3 : a->more ? 1 : 4;
    if (!a->ok && !a->more && !str_case_starts(line, STR("-ERR")))
        return err_set(err, ERR_PROTOCOL, "%s speaks no POP3: \"%.*s\"", p->host, (int)MIN(line.n, (size_t)100),
                       line.p);
    a->text = str_trim(str_sub(line, skip, line.n));
    return true;
}

bool pop3_refused(const struct pop3 *p, struct str text, enum err_kind otherwise, struct err *err)
{
    static const struct {
        const char *code;
        enum err_kind kind;
    } codes[] = {
        {"[IN-USE]", ERR_SERVER_TEMP},
        {"[LOGIN-DELAY]", ERR_SERVER_TEMP},
        {"[SYS/TEMP]", ERR_SERVER_TEMP},
        {"[SYS/PERM]", ERR_SERVER_NO},
        {"[AUTH]", ERR_AUTH},
    };
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (str_case_starts(text, str_z(codes[i].code)))
            otherwise = codes[i].kind;
    }
    return err_set(err, otherwise, "%s says%s: \"%.*s\"", p->host, stream_is_tls(p->stream) ? "" : " (not encrypted)",
                   (int)MIN(text.n, (size_t)200), text.n > 0 ? text.p : "");
}

/* One command, its one-line answer; -ERR becomes `otherwise`. */
static bool command(struct pop3 *p, enum err_kind otherwise, struct pop3_answer *a, struct err *err, const char *line)
{
    if (!stream_printf(p->stream, err, "%s\r\n", line) || !pop3_answer(p, a, err))
        return false;
    return a->ok || pop3_refused(p, a->text, otherwise, err);
}

/* A line of a multi-line answer: 1, or 0 at its end, or -1. */
static int list_line(struct pop3 *p, struct str *line_r, struct err *err)
{
    if (!stream_line(p->stream, POP3_LINE_MAX, line_r, err))
        return -1;
    if (line_r->n > 0 && line_r->p[0] == '.') {
        if (line_r->n == 1)
            return 0;
        *line_r = str_sub(*line_r, 1, line_r->n);
    }
    return 1;
}

/* ---- Greeting and capabilities ------------------------------------------------------------------ */

bool pop3_is_msg_id(struct str s)
{
    size_t at;
    if (s.n < 5 || s.p[0] != '<' || s.p[s.n - 1] != '>' || !str_find(s, '@', &at) || at == 1 || at == s.n - 2)
        return false;
    for (size_t i = 1; i + 1 < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '<' || s.p[i] == '>')
            return false;
    }
    return true;
}

static void take_challenge(struct pop3 *p, struct str text)
{
    size_t from, to;
    buf_reset(&p->challenge);
    if (!str_find(text, '<', &from) || !str_find(str_sub(text, from, text.n), '>', &to))
        return;
    struct str id = str_sub(text, from, from + to + 1);
    if (pop3_is_msg_id(id) && buf_adds(&p->challenge, id))
        p->caps |= POP_APOP;
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
    };
    struct str rest = str_trim(line), word;
    if (!str_split(&rest, ' ', &word))
        return;
    for (size_t i = 0; i < COUNT(names); i++) {
        if (str_case_eqz(word, names[i].name))
            p->caps |= names[i].cap;
    }
    if (str_case_eqz(word, "SASL") && rest.n > 0) {
        buf_reset(&p->sasl);
        buf_adds(&p->sasl, str_trim(rest));
    }
    struct str number;
    uint32_t value;
    if (str_split(&rest, ' ', &number) && str_u32(number, &value)) {
        if (str_case_eqz(word, "EXPIRE"))
            p->expire = value;
        else if (str_case_eqz(word, "LOGIN-DELAY"))
            p->login_delay = MIN(value, (uint32_t)LOGIN_DELAY_MAX);
    }
    if (p->capa.n > 0)
        buf_addz(&p->capa, "; ");
    buf_adds(&p->capa, str_trim(line));
}

static bool capabilities(struct pop3 *p, struct err *err)
{
    struct pop3_answer a;
    p->caps &= POP_APOP;
    p->login_delay = 0;
    p->expire = POP3_EXPIRE_NEVER;
    buf_reset(&p->capa);
    buf_reset(&p->sasl);
    if (!stream_printf(p->stream, err, "CAPA\r\n") || !pop3_answer(p, &a, err))
        return false;
    if (!a.ok)
        return true; /* an old server: what it can is found by trying */
    p->caps |= POP_CAPA;
    struct str line;
    for (int n = 0; n < CAPA_LINES_MAX; n++) {
        int r = list_line(p, &line, err);
        if (r <= 0)
            return r == 0;
        take_capability(p, line);
    }
    return err_set(err, ERR_LIMIT, "%s lists more than %d capabilities", p->host, CAPA_LINES_MAX);
}

bool pop3_greet(struct pop3 *p, bool starttls, struct err *err)
{
    struct pop3_answer a;
    if (!pop3_answer(p, &a, err))
        return false;
    if (!a.ok)
        return pop3_refused(p, a.text, ERR_SERVER_TEMP, err);
    take_challenge(p, a.text);
    if (!capabilities(p, err))
        return false;
    if (!starttls)
        return true;
    if ((p->caps & POP_CAPA) != 0 && (p->caps & POP_STLS) == 0)
        return err_set(err, ERR_NO_STARTTLS, "%s offers no STLS", p->host);
    if (!command(p, ERR_NO_STARTTLS, &a, err, "STLS")) {
        if (err->kind == ERR_AUTH || err->kind == ERR_SERVER_NO)
            err->kind = ERR_NO_STARTTLS;
        return false;
    }
    if (!stream_starttls(p->stream, p->host, err))
        return false;
    /* RFC 2595 4: nothing said before counts (THREATS 6); a challenge sent in the clear may have been put there. */
    p->caps = 0;
    buf_reset(&p->challenge);
    return capabilities(p, err);
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

static bool sasl_turns(struct pop3 *p, struct sasl *s, struct err *err)
{
    struct buf out = BUF_INIT(32768);
    bool ok = false;
    for (int turn = 0; turn < SASL_TURNS_MAX; turn++) {
        struct pop3_answer a;
        if (!pop3_answer(p, &a, err))
            break;
        if (a.ok) {
            ok = sasl_finish(s, STR(""), err);
            break;
        }
        if (!a.more) {
            login_refused(p, a.text, err);
            break;
        }
        buf_reset(&out);
        if (!sasl_step(s, a.text, &out, err)) {
            struct err ignored = ERR_INIT;
            if (stream_printf(p->stream, &ignored, "*\r\n"))
                (void)pop3_answer(p, &a, &ignored);
            break;
        }
        buf_addz(&out, "\r\n");
        if (!stream_write(p->stream, buf_str(&out), err))
            break;
        if (turn == SASL_TURNS_MAX - 1)
            err_set(err, ERR_PROTOCOL, "%s never ends the login", p->host);
    }
    if (out.p != NULL)
        explicit_bzero(out.p, out.cap);
    buf_fini(&out);
    return ok;
}

static bool carry(void *arg, struct sasl *s, struct err *err)
{
    struct pop3 *p = arg;
    struct buf line = BUF_INIT(32768);
    const char *name = sasl_mechanism(s);
    buf_addf(&line, "AUTH %s ", name);
    size_t n = line.n;
    struct buf first = BUF_INIT(32768);
    /* The response is asked for only when it is sure to fit: PLAIN's is known by its length, so build it and look. */
    bool ok = sasl_initial(s, &first);
    if (ok && n + first.n + 2 <= AUTH_LINE_MAX) {
        buf_adds(&line, buf_str(&first));
        buf_addz(&line, "\r\n");
        ok = stream_write(p->stream, buf_str(&line), err);
    } else if (ok) {
        struct pop3_answer a;
        ok = stream_printf(p->stream, err, "AUTH %s\r\n", name) && pop3_answer(p, &a, err);
        if (ok && !a.more)
            ok = a.ok ? err_set(err, ERR_PROTOCOL, "%s: no login took place", p->host) : login_refused(p, a.text, err);
        buf_addz(&first, "\r\n");
        ok = ok && stream_write(p->stream, buf_str(&first), err);
    } else {
        ok = stream_printf(p->stream, err, "AUTH %s\r\n", name);
    }
    for (struct buf **b = (struct buf *[]){&line, &first, NULL}; *b != NULL; b++) {
        if ((*b)->p != NULL)
            explicit_bzero((*b)->p, (*b)->cap);
        buf_fini(*b);
    }
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
    if (!stream_printf(p->stream, err, "APOP %s %s\r\n", user, hex) || !pop3_answer(p, &a, err))
        return false;
    return a.ok || login_refused(p, a.text, err);
}

static bool user_pass(struct pop3 *p, const char *user, const struct secret *secret, struct err *err)
{
    struct pop3_answer a;
    if (!stream_printf(p->stream, err, "USER %s\r\n", user) || !pop3_answer(p, &a, err))
        return false;
    if (!a.ok)
        return login_refused(p, a.text, err);
    if (!stream_printf(p->stream, err, "PASS %s\r\n", secret->p) || !pop3_answer(p, &a, err))
        return false;
    return a.ok || login_refused(p, a.text, err);
}

static bool is_plain(const char *z, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)z[i] < ' ' || z[i] == 0x7f)
            return false;
    }
    return n > 0;
}

static bool login(struct pop3 *p, const char *user, const struct secret *secret, bool insecure_ok, struct err *err)
{
    bool tls = stream_is_tls(p->stream), cover = tls || insecure_ok;
    if (!is_plain(user, strlen(user)))
        return err_set(err, ERR_CONFIG, "%s: the user name is empty or holds control characters", p->host);
    if (secret->p != NULL && !is_plain(secret->p, secret->n))
        return err_set(err, ERR_SECRET, "%s: the password is empty or holds control characters", p->host);
    struct str mechanisms = (p->caps & POP_SASL) != 0 ? buf_str(&p->sasl) : STR("");
    if (mechanisms.n > 0) {
        bool tried;
        struct sasl_login l = {.offered = mechanisms,
                               .service = "pop",
                               .host = p->host,
                               .user = user,
                               .secret = secret,
                               .stream = p->stream,
                               .insecure_ok = insecure_ok,
                               .carry = carry,
                               .arg = p};
        if (sasl_login(&l, &tried, err))
            return true;
        if (tried || err->kind != ERR_NO_AUTH_METHOD || secret->p == NULL || secret->token)
            return false;
        *err = ERR_INIT;
    }
    if (secret->p == NULL || secret->token)
        return err_set(err, ERR_NO_AUTH_METHOD, "%s offers no login but by password", p->host);
    bool has_apop = (p->caps & POP_APOP) != 0;
    bool has_user = strchr(user, ' ') == NULL && ((p->caps & POP_CAPA) == 0 || (p->caps & POP_USER) != 0);
    if (has_apop && !tls && strchr(user, ' ') == NULL)
        return apop(p, user, secret, err);
    if (has_user && cover)
        return user_pass(p, user, secret, err);
    if (has_apop && strchr(user, ' ') == NULL)
        return apop(p, user, secret, err);
    return err_set(err, ERR_NO_AUTH_METHOD, "%s offers no login that is safe on this line (%s): %s", p->host,
                   tls ? "TLS" : "no TLS",
                   mechanisms.n > 0            ? buf_z(&p->sasl)
                   : (p->caps & POP_USER) != 0 ? "USER"
                                               : "nothing");
}

bool pop3_login(struct pop3 *p, const char *user, const struct secret *secret, bool insecure_ok, struct err *err)
{
    bool ok = login(p, user, secret, insecure_ok, err);
    if (!ok)
        sasl_redact(secret, err);
    return ok;
}

/* ---- Lists -------------------------------------------------------------------------------------- */

struct listing {
    struct pop3 *p;
    uint64_t *sizes; /* by number - 1, sizes_n of them */
    uint8_t *seen;   /* bit per number: its id was given */
    size_t sizes_n;
    pop3_list_fn *fn;
    void *arg;
};

/* "number value": false for what is none, or outside of STAT's count. */
static bool number_and_rest(const struct pop3 *p, struct str line, uint32_t *number_r, struct str *rest_r)
{
    size_t n = 0;
    line = str_trim(line);
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
        n++;
    if (!str_u32(str_sub(line, 0, n), number_r) || *number_r == 0 || *number_r > p->count)
        return false;
    *rest_r = str_trim(str_sub(line, n, line.n));
    return true;
}

static bool stat_answer(struct pop3 *p, const struct pop3_answer *a, struct err *err)
{
    struct str rest = a->text, word;
    uint64_t count;
    if (!a->ok)
        return pop3_refused(p, a->text, ERR_SERVER_TEMP, err);
    if (!str_split(&rest, ' ', &word) || !str_u64(word, &count))
        return err_set(err, ERR_PROTOCOL, "%s: STAT gives no number", p->host);
    if (count > POP3_MESSAGES_MAX)
        return err_set(err, ERR_LIMIT, "%s: %llu messages in the maildrop are too many", p->host,
                       (unsigned long long)count);
    p->count = (uint32_t)count;
    return true;
}

/* Lines that a server may add to an honest list before it counts as endless (THREATS 79). */
static size_t lines_max(const struct pop3 *p)
{
    return (size_t)p->count * 2 + 1000;
}

static bool list_answer(struct listing *l, struct err *err)
{
    struct pop3_answer a;
    struct str line, rest;
    if (!pop3_answer(l->p, &a, err))
        return false;
    if (!a.ok)
        return true; /* sizes stay unknown */
    for (size_t n = 0; n < lines_max(l->p); n++) {
        int r = list_line(l->p, &line, err);
        if (r <= 0)
            return r == 0;
        uint32_t number;
        uint64_t size;
        if (!number_and_rest(l->p, line, &number, &rest))
            continue;
        size_t end = 0;
        while (end < rest.n && rest.p[end] >= '0' && rest.p[end] <= '9')
            end++;
        if (str_u64(str_sub(rest, 0, end), &size) && size <= (uint64_t)INT64_MAX)
            l->sizes[number - 1] = size;
    }
    return err_set(err, ERR_LIMIT, "%s: LIST does not end", l->p->host);
}

static bool give_id(struct listing *l, uint32_t number, struct str uidl, struct err *err)
{
    char hashed[16 + 64 + 1];
    if (uidl.n > POP3_UIDL_MAX) {
        unsigned char md[32];
        unsigned n = 0;
        EVP_Digest(uidl.p, uidl.n, md, &n, EVP_sha256(), NULL);
        memcpy(hashed, "long-", 5);
        hex_encode(md, n, hashed + 5);
        uidl = str_z(hashed);
    }
    l->seen[(number - 1) / 8] |= (uint8_t)(1u << ((number - 1) % 8));
    return l->fn(l->arg, number, l->sizes[number - 1], uidl, err);
}

static bool is_seen(const struct listing *l, uint32_t number)
{
    return (l->seen[(number - 1) / 8] >> ((number - 1) % 8) & 1) != 0;
}

static bool uidl_answer(struct listing *l, struct err *err)
{
    struct pop3_answer a;
    struct str line, rest;
    if (!pop3_answer(l->p, &a, err))
        return false;
    if (!a.ok)
        return true; /* all ids are made by hash */
    for (size_t n = 0; n < lines_max(l->p); n++) {
        int r = list_line(l->p, &line, err);
        if (r <= 0)
            return r == 0;
        uint32_t number;
        if (!number_and_rest(l->p, line, &number, &rest) || rest.n == 0 || is_seen(l, number))
            continue;
        if (!give_id(l, number, rest, err))
            return false;
    }
    return err_set(err, ERR_LIMIT, "%s: UIDL does not end", l->p->host);
}

/* ---- Ids by hash -------------------------------------------------------------------------------- */

struct hashing {
    struct listing *l;
    EVP_MD_CTX *md;
    struct buf line; /* of the header, cut */
    bool body;
    struct {
        unsigned char id[32];
        uint32_t times;
    } * table; /* open addressing, twice as many places as messages */
    size_t places;
};

static bool hash_begin(void *arg, uint32_t number UNUSED, uint64_t size UNUSED, struct err *err UNUSED)
{
    struct hashing *h = arg;
    EVP_DigestInit_ex(h->md, EVP_sha256(), NULL);
    buf_reset(&h->line);
    h->body = false;
    return true;
}

/* Fields that a server changes when a mail is read would change its id. */
static bool is_fickle(struct str line)
{
    static const char *const names[] = {"status:", "x-status:",   "x-uid:",          "x-uidl:", "x-keywords:",
                                        "x-imap:", "x-imapbase:", "content-length:", "lines:"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (str_case_starts(line, str_z(names[i])))
            return true;
    }
    return false;
}

static bool hash_data(void *arg, struct str bytes, struct err *err UNUSED)
{
    struct hashing *h = arg;
    while (bytes.n > 0 && !h->body) {
        size_t lf, n = str_find(bytes, '\n', &lf) ? lf + 1 : bytes.n;
        buf_adds(&h->line, str_sub(bytes, 0, MIN(n, h->line.max - h->line.n)));
        if (bytes.p[n - 1] == '\n') {
            struct str line = str_trim(buf_str(&h->line));
            h->body = line.n == 0;
            if (!is_fickle(line)) {
                EVP_DigestUpdate(h->md, line.p, line.n);
                EVP_DigestUpdate(h->md, "\n", 1);
            }
            buf_reset(&h->line);
        }
        bytes = str_sub(bytes, n, bytes.n);
    }
    return true;
}

/* How often was this id seen before? */
static uint32_t hash_times(struct hashing *h, const unsigned char id[32])
{
    uint64_t first;
    memcpy(&first, id, sizeof first); /* SHA-256: nobody chooses the place cheaply for many */
    for (size_t i = first % h->places;; i = (i + 1) % h->places) {
        if (h->table[i].times == 0)
            memcpy(h->table[i].id, id, 32);
        if (memcmp(h->table[i].id, id, 32) == 0)
            return h->table[i].times++;
    }
}

static bool hash_end(void *arg, uint32_t number, const struct err *why, struct err *err)
{
    struct hashing *h = arg;
    unsigned char id[32];
    char text[100];
    if (why != NULL)
        return true; /* it cannot be read: no id, so it stays on the server */
    char size[32];
    int n = snprintf(size, sizeof size, "%llu", (unsigned long long)h->l->sizes[number - 1]);
    EVP_DigestUpdate(h->md, size, (size_t)n);
    EVP_DigestFinal_ex(h->md, id, NULL);
    memcpy(text, "hash-", 5);
    hex_encode(id, sizeof id, text + 5);
    uint32_t times = hash_times(h, id);
    if (times > 0)
        snprintf(text + strlen(text), sizeof text - strlen(text), "-%u", times + 1);
    return give_id(h->l, number, str_z(text), err);
}

static bool hash_rest(struct listing *l, struct err *err)
{
    struct pop3 *p = l->p;
    uint32_t *numbers = mem_array((size_t)p->count + 1, sizeof *numbers);
    size_t n = 0;
    for (uint32_t i = 1; i <= p->count; i++) {
        if (!is_seen(l, i))
            numbers[n++] = i;
    }
    bool ok = true;
    if (n > 0) {
        struct hashing h = {.l = l, .md = EVP_MD_CTX_new(), .line = BUF_INIT(4096), .places = 2 * n + 1};
        h.table = mem_array(h.places, sizeof *h.table);
        struct pop3_sink sink = {hash_begin, hash_data, hash_end, &h};
        bool top = (p->caps & POP_CAPA) == 0 || (p->caps & POP_TOP) != 0;
        if (top && (p->caps & POP_TOP) == 0) { /* not announced: try with one */
            struct pop3_answer a;
            struct dots d = {.lf = false};
            ok = stream_printf(p->stream, err, "TOP %u 0\r\n", numbers[0]) && pop3_answer(p, &a, err);
            top = ok && a.ok;
            if (top) {
                d.lf = a.lf;
                ok = pop3_drain(p, &d, err);
            }
        }
        ok = ok && pop3_get(p, top ? POP3_TOP : POP3_RETR, numbers, n, &sink, err);
        EVP_MD_CTX_free(h.md);
        buf_fini(&h.line);
        free(h.table);
    }
    free(numbers);
    return ok;
}

bool pop3_list(struct pop3 *p, pop3_list_fn *fn, void *arg, struct err *err)
{
    struct pop3_answer a;
    bool pipelined = pop3_pipelines(p);
    p->count = 0;
    if (!stream_printf(p->stream, err, "STAT\r\n"))
        return false;
    if (pipelined && !stream_printf(p->stream, err, "LIST\r\nUIDL\r\n"))
        return false;
    if (!pop3_answer(p, &a, err) || !stat_answer(p, &a, err))
        return false;
    struct listing l = {.p = p, .sizes_n = p->count, .fn = fn, .arg = arg};
    l.sizes = mem_array((size_t)p->count + 1, sizeof *l.sizes);
    l.seen = mem_array((size_t)p->count / 8 + 1, 1);
    bool ok = (pipelined || stream_printf(p->stream, err, "LIST\r\n")) && list_answer(&l, err);
    /* Announced or not: some servers know it and do not say so, and ids by hash cost a command for each message. */
    ok = ok && (pipelined || stream_printf(p->stream, err, "UIDL\r\n")) && uidl_answer(&l, err);
    free(p->sizes);
    p->sizes = l.sizes; /* pop3_get compares with them */
    ok = ok && hash_rest(&l, err);
    free(l.seen);
    return ok;
}

/* ---- Deleting and leaving ----------------------------------------------------------------------- */

bool pop3_delete(struct pop3 *p, const uint32_t *numbers, size_t n,
                 void (*refused)(void *arg, uint32_t number, const struct err *why), void *arg, struct err *err)
{
    size_t window = pop3_pipelines(p) ? POP3_WINDOW : 1, sent = 0;
    for (size_t i = 0; i < n; i++) {
        while (sent < n && sent < i + window) {
            if (!stream_printf(p->stream, err, "DELE %u\r\n", numbers[sent++]))
                return false;
        }
        struct pop3_answer a;
        if (!pop3_answer(p, &a, err))
            return false;
        if (!a.ok && refused != NULL) {
            struct err why = ERR_INIT;
            pop3_refused(p, a.text, ERR_SERVER_NO, &why);
            refused(arg, numbers[i], &why);
        }
    }
    return true;
}

bool pop3_quit(struct pop3 *p, struct err *err)
{
    struct pop3_answer a;
    return command(p, ERR_SERVER_TEMP, &a, err, "QUIT");
}
