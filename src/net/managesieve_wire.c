/* The words of ManageSieve's answers (RFC 5804 4). */
#include "net/managesieve.h"

static bool keep(struct sieve_words *w, enum sieve_word_kind kind, struct str s)
{
    if (w->n == SIEVE_WORDS_MAX)
        return false;
    w->list[w->n].kind = kind;
    w->list[w->n].at = w->pool.n;
    w->list[w->n].n = s.n;
    w->n++;
    return buf_adds(&w->pool, s);
}

/* Takes a quoted string off *rest, which begins behind its first quote. */
static bool quoted(struct sieve_words *w, struct str *rest)
{
    if (!keep(w, SIEVE_STRING, STR("")))
        return false;
    struct sieve_word *word = &w->list[w->n - 1];
    for (size_t i = 0; i < rest->n; i++) {
        char c = rest->p[i];
        if (c == '"') {
            *rest = str_sub(*rest, i + 1, rest->n);
            return true;
        }
        if (c == '\\' && ++i < rest->n)
            c = rest->p[i];
        if (!buf_addc(&w->pool, c))
            return false;
        word->n++;
    }
    return false;
}

/* "{N}" or "{N+}" at the very end of a line. */
static bool literal(struct str rest, int64_t *literal_r)
{
    size_t close;
    uint32_t n;
    if (!str_find(rest, '}', &close) || close + 1 != rest.n)
        return false;
    if (close > 1 && rest.p[close - 1] == '+')
        close--;
    if (!str_u32(str_sub(rest, 1, close), &n))
        return false;
    *literal_r = n;
    return true;
}

static bool ends_atom(char c)
{
    return c == ' ' || c == '(' || c == ')' || c == '"' || c == '{';
}

bool sieve_words_add(struct sieve_words *w, struct str line, int64_t *literal_r)
{
    *literal_r = -1;
    while (line.n > 0) {
        char c = line.p[0];
        bool ok = true;
        if (c == '{')
            return literal(line, literal_r);
        if (c == '"') {
            line = str_sub(line, 1, line.n);
            ok = quoted(w, &line);
        } else if (c == '(' || c == ')') {
            ok = keep(w, c == '(' ? SIEVE_OPEN : SIEVE_CLOSE, STR(""));
            line = str_sub(line, 1, line.n);
        } else if (c == ' ') {
            line = str_sub(line, 1, line.n);
        } else {
            size_t n = 0;
            while (n < line.n && !ends_atom(line.p[n]))
                n++;
            ok = keep(w, SIEVE_ATOM, str_sub(line, 0, n));
            line = str_sub(line, n, line.n);
        }
        if (!ok)
            return false;
    }
    return true;
}

struct str sieve_word(const struct sieve_words *w, size_t i)
{
    return i < w->n ? str_sub(buf_str(&w->pool), w->list[i].at, w->list[i].at + w->list[i].n) : STR("");
}

bool managesieve_name_ok(struct str name)
{
    uint32_t cp;
    if (name.n == 0 || name.n > SIEVE_NAME_MAX)
        return false;
    while (name.n > 0) {
        unsigned n = utf8_decode(name, &cp);
        if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029)
            return false;
        name = str_sub(name, n, name.n);
    }
    return true;
}
