/* Queries as S-expressions, notmuch-sexp-queries(7): brackets, strings and names, looked at from left to right. */
#include "query/internal.h"

#include "conf/conf.h"

enum { DEPTH_MAX = 100 };

static const char *const names[] = {
    "and",  "or",          "not", "from",   "to",   "subject",  "body",  "attachment", "mimetype", "tag",
    "is",   "id",          "mid", "thread", "path", "folder",   "date",  "lastmod",    "query",    "property",
    "List", "starts-with", "rx",  "regex",  "of",   "matching", "infix", "*",          "",         NULL};

bool sexp_name(struct str word)
{
    for (size_t i = 0; names[i]; i++)
        if (str_eqz(word, names[i]))
            return word.n > 0;
    return false;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct str name_at(struct str q, size_t at)
{
    size_t to = at;
    while (to < q.n && !blank(q.p[to]) && q.p[to] != '(' && q.p[to] != ')' && q.p[to] != '"')
        to++;
    return str_sub(q, at, to);
}

/* Behind the string that begins at `at`; q.n + 1 where it does not end. */
static size_t string_end(struct str q, size_t at)
{
    for (at++; at < q.n && q.p[at] != '"'; at++)
        at += q.p[at] == '\\';
    return MIN(at, q.n) + 1;
}

static enum query_verdict fault(struct query_fault *f, enum query_verdict v, size_t from, size_t to, const char *text)
{
    f->from = from;
    f->to = to;
    snprintf(f->text, sizeof f->text, "%s", text);
    return v;
}

static enum query_verdict no_name(struct query_fault *f, struct str q, size_t at, struct str name)
{
    struct buf word = BUF_INIT(1000);
    char text[200];
    char *z = mem_dup_n(name.p, name.n);
    const char *near = near_word(z, names);
    text_from_bytes(str_sub(name, 0, MIN(name.n, (size_t)40)), TEXT_FOLD_SPACE, &word);
    if (near && *near)
        snprintf(text, sizeof text, "%s is no field or operator: did you mean %s?", buf_z(&word), near);
    else
        snprintf(text, sizeof text, "a bracket begins with a field or operator, as in (from alice)");
    free(z);
    buf_fini(&word);
    return fault(f, at + name.n == q.n ? QUERY_OPEN : QUERY_BAD, at, MAX(at + name.n, at + 1), text);
}

enum query_verdict sexp_check(struct str q, const struct query_world *world, struct query_fault *f)
{
    size_t open[DEPTH_MAX], depth = 0;
    (void)world;
    for (size_t i = 0; i < q.n;) {
        if (q.p[i] == '"') {
            size_t end = string_end(q, i);
            if (end > q.n)
                return fault(f, QUERY_OPEN, i, i + 1, "the string that begins here is not closed");
            i = end;
        } else if (q.p[i] == '(') {
            if (depth == DEPTH_MAX)
                return fault(f, QUERY_BAD, i, i + 1, "too many brackets in each other");
            open[depth++] = i++;
            while (i < q.n && blank(q.p[i]))
                i++;
            struct str name = name_at(q, i);
            if (i < q.n && q.p[i] != ')' && !sexp_name(name))
                return no_name(f, q, i, name);
            i += name.n;
        } else if (q.p[i] == ')') {
            if (depth == 0)
                return fault(f, QUERY_BAD, i, i + 1, "no ( is open here");
            depth--;
            i++;
        } else
            i++;
    }
    if (depth > 0)
        return fault(f, QUERY_OPEN, open[depth - 1], open[depth - 1] + 1, "the ( here is not closed");
    return QUERY_GOOD;
}

/* One bracket that begins with such a name, holds no word with a prefix, and is all there is. */
bool query_is_sexp(struct str q, struct str *body_r)
{
    struct str body;
    size_t depth = 0, i = 0;
    if (!body_r)
        body_r = &body;
    *body_r = q = str_trim(q);
    if (str_starts(q, STR("sexp:"))) {
        *body_r = str_trim(str_sub(q, 5, q.n));
        return body_r->n > 0 && body_r->p[0] == '(';
    }
    if (!q.n || q.p[0] != '(')
        return false;
    for (i = 1; i < q.n && blank(q.p[i]);)
        i++;
    struct str name = name_at(q, i);
    if (!sexp_name(name))
        return false;
    for (i = 0; i < q.n; i++) {
        if (q.p[i] == '"')
            i = string_end(q, i) - 1;
        else if (q.p[i] == ':')
            return false;
        else if (q.p[i] == '(')
            depth++;
        else if (q.p[i] == ')' && --depth == 0)
            return i + 1 == q.n;
    }
    return depth > 0; /* it is being typed */
}

bool query_of_saved(const char *query, const char *account, struct buf *out)
{
    struct buf of = BUF_INIT(200);
    if (!account[0])
        return buf_addz(out, query);
    buf_addf(&of, "account:\"%s\"", account);
    bool ok = query_both(str_z(query), buf_str(&of), out);
    buf_fini(&of);
    return ok;
}

bool query_both(struct str a, struct str b, struct buf *out)
{
    struct str both[2] = {str_trim(a), str_trim(b)}, sexp[2];
    for (unsigned i = 0; i < 2; i++) /* "*" finds everything only where it stands alone */
        if (!both[i].n || str_eqz(both[i], "*"))
            return buf_adds(out, both[1 - i]);
    bool is[2] = {query_is_sexp(a, &sexp[0]), query_is_sexp(b, &sexp[1])};
    if (!is[0] && !is[1]) {
        buf_addf(out, "(%.*s) and (%.*s)", STR_FMT(a), STR_FMT(b));
        return !out->full;
    }
    buf_addz(out, "sexp:(and ");
    for (unsigned i = 0; i < 2; i++) {
        if (is[i])
            buf_adds(out, sexp[i]);
        else {
            buf_addz(out, "(infix ");
            query_put_string(both[i], out);
            buf_addc(out, ')');
        }
        buf_addc(out, i ? ')' : ' ');
    }
    return !out->full;
}
