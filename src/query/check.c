/* What is wrong with a query, and where. libnotmuch says it of the whole, in Xapian's words, and takes much of it
 * silently for something else: "subjct:x" for two words, an open bracket for a closed one. */
#include "query/internal.h"

#include "conf/conf.h"
#include "mail/filter.h"

#include <regex.h>

enum { OPEN_MAX = 64, REPEATS_MAX = 1000, REGEXP_MAX = QUERY_MAX };

struct checker {
    struct str q;
    const struct query_world *world;
    struct query_fault *fault;
    enum query_verdict verdict;
};

/* The gravest fault counts, of equal ones the first. */
static PRINTF(5, 6) void found(struct checker *c, enum query_verdict v, size_t from, size_t to, const char *fmt, ...)
{
    va_list args;
    if (v <= c->verdict)
        return;
    c->verdict = v;
    c->fault->from = from;
    c->fault->to = to;
    va_start(args, fmt);
    vsnprintf(c->fault->text, sizeof c->fault->text, fmt, args);
    va_end(args);
}

/* A word of the query, safe and short. */
static const char *safe(struct str s, struct buf *out)
{
    struct text t = text_fit(text_from_bytes(s, TEXT_FOLD_SPACE, out), 40);
    out->n = (size_t)(t.p - out->p) + t.n;
    return buf_z(out);
}

/* ---- Regexps ---- */

/* How often the innermost of nested repetitions may stand in a row: what regcomp copies. */
static uint64_t repeats(struct str re)
{
    uint64_t open[OPEN_MAX] = {1}, most = 1; /* the most copies of anything within each open bracket */
    unsigned depth = 0;
    for (size_t i = 0; i < re.n; i++) {
        uint64_t inner = 1;
        if (re.p[i] == '\\') {
            i++;
        } else if (re.p[i] == '(' && depth + 1 < OPEN_MAX) {
            open[++depth] = 1;
            continue;
        } else if (re.p[i] == ')' && depth > 0) {
            inner = open[depth--];
        } else if (re.p[i] == '[') {
            for (i += i + 1 < re.n && re.p[i + 1] == '^', i++; i + 1 < re.n && re.p[i + 1] != ']';)
                i++;
            i++;
        }
        while (i + 1 < re.n && re.p[i + 1] == '{') {
            uint64_t low = 0, high = 0, *n = &low;
            for (i += 2; i < re.n && re.p[i] != '}'; i++)
                if (re.p[i] == ',')
                    n = &high;
                else if (re.p[i] >= '0' && re.p[i] <= '9')
                    *n = MIN(*n * 10 + (uint64_t)(re.p[i] - '0'), (uint64_t)100000);
            inner = MIN(inner * MAX(MAX(low, high), (uint64_t)1), (uint64_t)1000000000);
        }
        open[depth] = MAX(open[depth], inner);
        most = MAX(most, inner);
    }
    return most;
}

bool query_regexp_bounded(struct str re, struct err *err)
{
    struct buf word = BUF_INIT(1000);
    bool ok = re.n <= REGEXP_MAX && repeats(re) <= REPEATS_MAX;
    if (!ok)
        err_set(err, ERR_QUERY, "the regexp /%s/ repeats what it repeats too often: take + or * for {}, or fewer",
                safe(re, &word));
    buf_fini(&word);
    return ok;
}

bool query_regexp(struct str q, struct buf *out)
{
    struct str body;
    size_t at = 0, found;
    if (query_is_sexp(q, &body)) {
        static const char *const names[] = {"(rx ", "(regex "};
        for (; at < body.n; at++)
            for (size_t i = 0; i < COUNT(names); i++)
                if (str_starts(str_sub(body, at, body.n), str_z(names[i]))) {
                    struct str re = str_sub(body, at + strlen(names[i]), body.n);
                    return buf_adds(out, str_sub(re, 0, str_find(re, ')', &found) ? found : re.n));
                }
        return false;
    }
    for (struct token t; (t = token_next(q, &at)).kind != TOKEN_END;) {
        buf_reset(out);
        token_value(q, &t, out);
        if (t.kind == TOKEN_WORD && t.prefix.n && out->n > 2 && out->p[0] == '/' && out->p[out->n - 1] == '/') {
            struct buf re = BUF_INIT(QUERY_MAX);
            buf_add(&re, out->p + 1, out->n - 2);
            buf_reset(out);
            buf_adds(out, buf_str(&re));
            buf_fini(&re);
            return true;
        }
    }
    buf_reset(out);
    return false;
}

static void check_regexp(struct checker *c, const struct token *t, struct str value)
{
    struct err err = ERR_INIT;
    struct str re = str_sub(value, 1, value.n);
    if (!re.n || re.p[re.n - 1] != '/') {
        found(c, QUERY_OPEN, t->value, t->to, "a regexp stands between two /, and in quotes where it has blanks or ()");
        return;
    }
    re = str_sub(re, 0, re.n - 1);
    if (!query_regexp_bounded(re, &err)) {
        found(c, QUERY_BAD, t->value, t->to, "%.190s", err.text);
        return;
    }
    char *z = mem_dup_n(re.p, re.n), why[100] = "";
    regex_t compiled;
    int got = regcomp(&compiled, z, REG_EXTENDED | REG_NOSUB);
    if (got == 0)
        regfree(&compiled);
    else {
        regerror(got, &compiled, why, sizeof why);
        found(c, QUERY_BAD, t->value, t->to, "a broken regexp: %s", why);
    }
    free(z);
}

/* ---- Values ---- */

static void check_date(struct checker *c, const struct token *t, struct str value, bool range)
{
    struct buf word = BUF_INIT(1000);
    size_t from, to, quote = c->q.p[t->value] == '"';
    bool typing = t->to == c->q.n;
    size_t dots = 0;
    bool two = range && str_find(value, '.', &dots) && dots + 1 < value.n && value.p[dots + 1] == '.';
    if (two && dots + 2 == value.n && dots == 0)
        found(c, QUERY_OPEN, t->value, t->to, "a day stands before or behind the ..");
    if (!query_date(value, &from, &to))
        found(c, typing && to == value.n && to - from < 2 ? QUERY_OPEN : QUERY_BAD, t->value + quote + from,
              t->value + quote + to, "\"%s\" is no date: write 2026-11-01, yesterday, last_week, 3days",
              safe(str_sub(value, from, to), &word));
    buf_fini(&word);
}

static void check_header(struct checker *c, const struct token *t, struct str value)
{
    struct buf word = BUF_INIT(1000);
    size_t eq = value.n;
    bool with = str_find(value, '=', &eq);
    struct str name = str_trim(str_sub(value, 0, eq));
    if (with && eq + 1 == value.n)
        found(c, QUERY_OPEN, t->value, t->to, "header:FIELD=WORDS needs a word");
    else if (c->world->field_known && with && !filter_field(name) && !c->world->field_known(c->world->arg, name))
        found(c, QUERY_HINT, t->value, t->value + eq,
              "the field %s is in the index when a rule or saved search asks for it", safe(name, &word));
    buf_fini(&word);
}

static void check_named(struct checker *c, const struct token *t, struct str value,
                        bool (*known)(const struct query_world *, struct str, bool begins), const char *what)
{
    struct buf word = BUF_INIT(1000);
    if (value.n && !known(c->world, value, t->to == c->q.n && c->q.p[t->to - 1] != '"'))
        found(c, QUERY_HINT, t->value, t->to, "no %s is called %s here", what, safe(value, &word));
    buf_fini(&word);
}

static bool has(struct str prefix, const char *const *list)
{
    for (size_t i = 0; list[i]; i++)
        if (str_case_eqz(prefix, list[i]))
            return true;
    return false;
}

/* Names for is: that are no tags. */
static bool is_state(struct str value)
{
    static const char *const states[] = {"read", "starred", "seen", "answered", "new", "forwarded", NULL};
    return has(value, states);
}

static bool saved_known(const struct query_world *w, struct str name, bool begins)
{
    (void)begins;
    struct buf query = BUF_INIT(QUERY_MAX);
    bool is = w->saved(w->arg, name, &query);
    buf_fini(&query);
    return is;
}

static bool tag_known(const struct query_world *w, struct str name, bool begins)
{
    return !w->tag_known || w->tag_known(w->arg, name, begins);
}

static bool box_known(const struct query_world *w, struct str name, bool begins)
{
    return !w->box_known || w->box_known(w->arg, name, begins);
}

static bool account_known(const struct query_world *w, struct str name, bool begins)
{
    (void)begins;
    return !w->account_known || w->account_known(w->arg, name);
}

static void check_value(struct checker *c, const struct token *t, struct str value)
{
    static const char *const dates[] = {"after:", "before:", NULL}, *const ages[] = {"newer:", "older:", NULL},
                             *const tags[] = {"tag:", "is:", "has:", NULL},
                             *const regexps[] = {"from:", "subject:", "f:",  "s:",    "path:", "folder:",
                                                 "tag:",  "mid:",     "is:", "List:", NULL};
    uint32_t n;
    const char *unit;
    struct str p = t->prefix;
    if (has(p, regexps) && value.n && value.p[0] == '/')
        check_regexp(c, t, value);
    else if (str_eqz(p, "date:") || has(p, dates))
        check_date(c, t, value, !has(p, dates));
    else if (has(p, ages) && !query_age(value, &n, &unit))
        found(c, t->to == c->q.n && str_u32(value, &n) ? QUERY_OPEN : QUERY_BAD, t->value, t->to,
              "an age is a number and h, d, w, m or y, as in newer:7d");
    else if (str_case_eqz(p, "spam:") && !str_case_eqz(value, "yes") && !str_case_eqz(value, "no") &&
             (!str_u32(value, &n) || n == 0))
        found(c, t->to == c->q.n && value.n < 3 ? QUERY_OPEN : QUERY_BAD, t->value, t->to,
              "spam: takes yes, no or a level, as in spam:5");
    else if (str_case_eqz(p, "header:"))
        check_header(c, t, value);
    else if (has(p, tags) && !is_state(value) && !str_eqz(value, "*"))
        check_named(c, t, value, tag_known, "tag");
    else if (str_case_eqz(p, "in:"))
        check_named(c, t, value, box_known, "mailbox");
    else if (str_case_eqz(p, "account:"))
        check_named(c, t, value, account_known, "account");
    else if (str_case_eqz(p, "saved:") && c->world->saved)
        check_named(c, t, value, saved_known, "saved search");
}

static void unknown_prefix(struct checker *c, const struct token *t)
{
    const char *names[] = {
        "from:",  "to:",     "subject:", "body:", "attachment:", "mimetype:", "tag:",   "is:",    "id:",
        "mid:",   "thread:", "path:",    "date:", "list:",       "folder:",   "newer:", "older:", "in:",
        "after:", "before:", "header:",  "spam:", "account:",    "saved:",    "has:",   "cc:",    NULL};
    struct buf word = BUF_INIT(1000);
    char *z = mem_dup_n(t->prefix.p, t->prefix.n);
    const char *near = near_word(z, names);
    free(z);
    if (near)
        found(c, QUERY_BAD, t->value - t->prefix.n, t->value, "%s is no field: did you mean %s?",
              safe(t->prefix, &word), near);
    else
        found(c, QUERY_BAD, t->value - t->prefix.n, t->value, "%s is no field; in quotes it is a word of the text",
              safe(t->prefix, &word));
    buf_fini(&word);
}

static void check_word(struct checker *c, const struct token *t, bool then_bracket)
{
    struct buf value = BUF_INIT(QUERY_MAX);
    if (t->quote != SIZE_MAX) {
        found(c, QUERY_OPEN, t->quote, t->quote + 1, "the quotation that begins here is not closed");
        return;
    }
    token_value(c->q, t, &value);
    if (t->prefix.n && !query_prefix_known(t->prefix)) {
        if (value.n || t->to == c->q.n)
            unknown_prefix(c, t);
    } else if (t->prefix.n && !value.n && !then_bracket)
        found(c, QUERY_OPEN, t->value - t->prefix.n, t->value, "%.*s needs a value", STR_FMT(t->prefix));
    else if (t->prefix.n && value.n && then_bracket && value.p[0] == '/')
        found(c, QUERY_BAD, t->value, t->to, "a regexp with brackets stands in quotes: %.*s\"/(a|b)/\"",
              STR_FMT(t->prefix));
    else if (t->prefix.n)
        check_value(c, t, buf_str(&value));
    buf_fini(&value);
}

/* ---- The whole ---- */

static void check_infix(struct checker *c)
{
    size_t open[OPEN_MAX], at = 0;
    unsigned depth = 0;
    enum query_operator before = OPERATOR_NONE;
    struct token last = {.kind = TOKEN_END};
    bool wants = true; /* something to find must come: at the beginning, behind ( and an operator */
    for (;;) {
        struct token t = token_next(c->q, &at);
        enum query_operator op = token_operator(c->q, &t);
        size_t behind = at;
        bool then_bracket = t.kind == TOKEN_WORD && token_next(c->q, &behind).kind == TOKEN_OPEN && t.to < c->q.n &&
                            c->q.p[t.to] == '(';
        if (wants && last.kind != TOKEN_END && (t.kind == TOKEN_CLOSE || t.kind == TOKEN_END) && before)
            found(c, t.kind == TOKEN_END ? QUERY_OPEN : QUERY_BAD, last.from, last.to, "%.*s needs something behind it",
                  (int)MIN(last.to - last.from, (size_t)10), c->q.p + last.from);
        if (t.kind == TOKEN_END)
            break;
        if (t.kind == TOKEN_CLOSE && depth == 0)
            found(c, QUERY_BAD, t.from, t.to, "no ( is open here");
        else if (t.kind == TOKEN_CLOSE && last.kind == TOKEN_OPEN)
            found(c, QUERY_BAD, last.from, t.to, "nothing stands between the brackets");
        if (t.kind == TOKEN_OPEN && depth < OPEN_MAX)
            open[depth] = t.from;
        depth += t.kind == TOKEN_OPEN;
        depth -= t.kind == TOKEN_CLOSE && depth > 0;
        if (op == OPERATOR_BINARY && wants)
            found(c, QUERY_BAD, t.from, t.to, "%.*s stands between two words; in quotes it is one itself",
                  (int)(t.to - t.from), c->q.p + t.from);
        else if (t.kind == TOKEN_WORD && op == OPERATOR_NONE)
            check_word(c, &t, then_bracket);
        wants = t.kind == TOKEN_OPEN || op != OPERATOR_NONE;
        before = op;
        last = t;
    }
    if (depth > 0) {
        size_t last_open = open[MIN((size_t)depth, (size_t)OPEN_MAX) - 1];
        found(c, QUERY_OPEN, last_open, last_open + 1, "the ( here is not closed");
    }
}

enum query_verdict query_check(struct str q, const struct query_world *world, struct query_fault *fault)
{
    static const struct query_world nothing = {.arg = NULL};
    struct checker c = {.q = q, .world = world ? world : &nothing, .fault = fault, .verdict = QUERY_GOOD};
    struct str body;
    *fault = (struct query_fault){.from = 0};
    if (q.n > QUERY_MAX)
        found(&c, QUERY_BAD, QUERY_MAX, q.n, "the query is longer than 8 KB");
    else if (memchr(q.n ? q.p : "", '\0', q.n))
        found(&c, QUERY_BAD, 0, q.n, "a query is text");
    else if (query_is_sexp(q, &body)) {
        enum query_verdict v = sexp_check(body, c.world, fault);
        fault->from += (size_t)(body.p - q.p);
        fault->to += (size_t)(body.p - q.p);
        return v;
    } else
        check_infix(&c);
    return c.verdict;
}
