/* The session's answers, its trust in pipelining, deletion and end. Login, lists and messages have files of their own,
 * as has the contract in the header. */
#include "net/pop3_impl.h"

#include <string.h>

struct pop3 *pop3_new(struct stream *stream, const char *host, const char *dir)
{
    struct pop3 *p = mem_new(sizeof *p);
    p->stream = stream;
    p->host = mem_dup_z(host);
    records_init(&p->sizes, dir, sizeof(uint64_t));
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
    records_fini(&p->sizes);
    free(p);
    *pp = NULL;
}

unsigned pop3_caps(const struct pop3 *p)
{
    return p->caps;
}

void pop3_caps_text(const struct pop3 *p, struct buf *out)
{
    buf_adds(out, buf_str(&p->capa));
}

void pop3_identity(const struct pop3 *p, struct buf *out)
{
    if (p->implementation[0] != '\0')
        buf_addf(out, "name: %s\n", p->implementation);
    if (p->language[0] != '\0')
        buf_addf(out, "language: %s\n", p->language);
    if (p->trust == POP3_LOCKSTEP)
        buf_addz(out, "commands: one by one, as it lost some in flight\n");
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

/* ---- Trust in pipelining -------------------------------------------------------------------------
 * What is remembered is "HOST; " and the capability lines, or "HOST; careful UNTIL" or "HOST; lockstep UNTIL". */

static const char *const doubts[] = {[POP3_CAREFUL] = "careful", [POP3_LOCKSTEP] = "lockstep"};

void pop3_distrust(struct pop3 *p, enum pop3_trust trust, int64_t until)
{
    int64_t left = until - clock_wall();
    if (trust < p->trust || left <= 0 || left > POP3_DOUBT_MAX || (trust == p->trust && until <= p->until))
        return;
    p->trust = trust;
    p->until = until;
}

enum pop3_trust pop3_trust(const struct pop3 *p)
{
    return p->trust;
}

bool pop3_went_ahead(const struct pop3 *p)
{
    return p->went_ahead;
}

bool pop3_unanswered(const struct pop3 *p)
{
    return p->unanswered;
}

bool pop3_pipelines(const struct pop3 *p)
{
    return p->trust != POP3_LOCKSTEP && (p->caps & POP_PIPELINING) != 0;
}

void pop3_words(const struct pop3 *p, struct buf *out)
{
    buf_addf(out, "%s; ", p->host);
    if (p->trust != POP3_AHEAD)
        buf_addf(out, "%s %lld", doubts[p->trust], (long long)p->until);
    else if (out->n + p->capa.n < POP3_WORDS_MAX)
        buf_adds(out, buf_str(&p->capa));
}

/* The rest behind the host's name; false where the words are of another host, or of none. */
static bool of_host(const struct pop3 *p, struct str words, struct str *rest_r)
{
    size_t n = strlen(p->host);
    if (!str_starts(words, str_z(p->host)) || !str_starts(str_sub(words, n, words.n), STR("; ")))
        return false;
    *rest_r = str_sub(words, n + 2, words.n);
    return true;
}

void pop3_expect(struct pop3 *p, struct str words)
{
    struct str rest, word;
    uint64_t until;
    p->expects = true;
    if (!of_host(p, words, &rest))
        return;
    struct str doubt = rest;
    str_split(&doubt, ' ', &word);
    for (enum pop3_trust t = POP3_CAREFUL; t <= POP3_LOCKSTEP; t++) {
        if (str_eqz(word, doubts[t]) && str_u64(doubt, &until))
            pop3_distrust(p, t, (int64_t)MIN(until, (uint64_t)INT64_MAX));
        if (str_eqz(word, doubts[t]))
            return;
    }
    pop3_assume(p, rest);
}

/* ---- Answers ------------------------------------------------------------------------------------ */

bool pop3_answer(struct pop3 *p, struct pop3_answer *a, struct err *err)
{
    struct str line;
    stream_answer(p->stream);
    if (!stream_line(p->stream, POP3_LINE_MAX, &line, err)) {
        p->unanswered = err->kind == ERR_TIMEOUT && stream_peek(p->stream).n == 0;
        return false;
    }
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

/* RFC 2449 8, 3206, 6856 5: "[CODE]" or "[CODE/detail]" begins the text. */
static bool has_code(struct str text, const char *code)
{
    size_t n = strlen(code);
    return text.n > n + 1 && text.p[0] == '[' && str_case_starts(str_sub(text, 1, text.n), str_z(code)) &&
           (text.p[n + 1] == ']' || text.p[n + 1] == '/');
}

bool pop3_refused(const struct pop3 *p, struct str text, enum err_kind otherwise, struct err *err)
{
    static const struct {
        const char *code;
        enum err_kind kind;
        const char *words;
    } codes[] = {
        {"IN-USE", ERR_SERVER_TEMP, "another session has the mailbox open; "},
        {"LOGIN-DELAY", ERR_SERVER_TEMP, "it wants more time between two logins; "},
        {"SYS/TEMP", ERR_SERVER_TEMP, "it has a passing trouble; "},
        {"SYS/PERM", ERR_SERVER_NO, "it has a trouble that its administrator must mend; "},
        {"AUTH", ERR_AUTH, ""},
        {"UTF8", ERR_SERVER_NO, "it gives this only as UTF-8, which it refused; "},
    };
    const char *words = "";
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (has_code(text, codes[i].code)) {
            otherwise = codes[i].kind;
            words = codes[i].words;
        }
    }
    return err_set(err, otherwise, "%s: %sit says%s: \"%.*s\"", p->host, words,
                   stream_is_tls(p->stream) ? "" : " (not encrypted)", (int)MIN(text.n, (size_t)200),
                   text.n > 0 ? text.p : "");
}

int pop3_list_line(struct pop3 *p, struct str *line_r, struct err *err)
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

/* ---- Deleting and leaving ----------------------------------------------------------------------- */

bool pop3_delete(struct pop3 *p, const uint32_t *numbers, size_t n,
                 void (*refused)(void *arg, uint32_t number, const struct err *why), void *arg, struct err *err)
{
    size_t window = pop3_pipelines(p) ? POP3_WINDOW : 1, sent = 0;
    p->deletes = p->deletes || n > 0;
    stream_answer(p->stream); /* the time since the last one was ours */
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
    stream_answer(p->stream);
    if (!stream_printf(p->stream, err, "QUIT\r\n"))
        return false;
    if (!p->deletes)
        return stream_flush(p->stream, err);
    return pop3_answer(p, &a, err) && (a.ok || pop3_refused(p, a.text, ERR_SERVER_TEMP, err));
}
