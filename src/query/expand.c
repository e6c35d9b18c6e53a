/* Short forms written out: what libnotmuch is asked. */
#include "query/internal.h"

#include "mail/filter.h"

enum { SAVED_DEPTH = 4 };

struct expander {
    const struct query_world *world;
    struct buf *out;
    struct err *err;
    unsigned depth; /* saved searches within saved searches */
};

static bool infix(struct expander *, struct str q);
static bool sexp(struct expander *, struct str q);

/* Inside a "..." of a query a quote is doubled. */
static void put_quoted(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_addc(out, '"');
        buf_addc(out, s.p[i]);
    }
}

/* A word of the query in an error text. */
static bool complain(struct expander *x, const char *before, struct str word, const char *behind)
{
    struct buf safe = BUF_INIT(200);
    text_from_bytes(word, TEXT_LINE, &safe);
    err_set(x->err, ERR_QUERY, "%s%s%s", before, buf_z(&safe), behind);
    buf_fini(&safe);
    return false;
}

/* ---- in:, account:, saved: ---- */

static bool expand_in(struct expander *x, struct str name)
{
    if (x->world->box)
        return x->world->box(x->world->arg, name, x->out, x->err);
    buf_addz(x->out, "folder:\"");
    put_quoted(x->out, name);
    return buf_addc(x->out, '"');
}

static void put_account(struct buf *out, struct str account)
{
    buf_addz(out, "(path:\"");
    put_quoted(out, account);
    buf_addz(out, "/**\" or path:\".dup/");
    put_quoted(out, account);
    /* deleted there, though not elsewhere (index/job.c) */
    buf_addz(out, "/**\") and not property:\"dead=");
    put_quoted(out, account);
    buf_addc(out, '"');
}

static bool expand_account(struct expander *x, struct str name)
{
    if (x->world->account_known && !x->world->account_known(x->world->arg, name))
        return complain(x, "no account ", name, "");
    buf_addc(x->out, '(');
    put_account(x->out, name);
    return buf_addc(x->out, ')');
}

static bool expand_saved(struct expander *x, struct str name)
{
    struct buf query = BUF_INIT(QUERY_MAX), *out = x->out, inner = BUF_INIT(256u << 10);
    struct str body;
    bool ok = x->world->saved && x->world->saved(x->world->arg, name, &query);
    if (!ok)
        complain(x, "no saved search ", name, "");
    else if (x->depth == SAVED_DEPTH)
        ok = complain(x, "the saved search ", name, " stands in itself");
    else {
        x->depth++;
        x->out = &inner;
        bool brackets = query_is_sexp(buf_str(&query), &body);
        ok = brackets ? sexp(x, body) : infix(x, buf_str(&query));
        x->out = out;
        x->depth--;
        buf_addz(out, brackets ? "sexp:\"" : "(");
        if (brackets)
            put_quoted(out, buf_str(&inner));
        else
            buf_adds(out, buf_str(&inner));
        buf_addc(out, brackets ? '"' : ')');
    }
    buf_fini(&inner);
    buf_fini(&query);
    return ok;
}

/* ---- is:, newer: and the like ---- */

static bool expand_is(struct expander *x, struct str word)
{
    static const struct {
        const char *word, *query;
    } words[] = {{"read", "(not tag:unread)"}, {"starred", "tag:flagged"}, {"seen", "(not tag:unread)"},
                 {"answered", "tag:replied"},  {"new", "tag:unread"},      {"forwarded", "tag:passed"}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_case_eqz(word, words[i].word)) {
            buf_addz(x->out, words[i].query);
            return true;
        }
    buf_addz(x->out, "tag:\"");
    put_quoted(x->out, word);
    buf_addc(x->out, '"');
    return true;
}

/* "7d" as libnotmuch's date parser spells it. */
static bool put_age(struct expander *x, struct str age)
{
    const char *unit;
    uint32_t n;
    if (query_age(age, &n, &unit))
        return buf_addf(x->out, "%u%s", n, unit);
    return err_set(x->err, ERR_QUERY, "an age is a number and h, d, w, m or y, as in newer:7d");
}

/* In brackets each: of dates side by side Xapian takes either. */
static bool expand_newer(struct expander *x, struct str age)
{
    return buf_addz(x->out, "(date:") && put_age(x, age) && buf_addz(x->out, "..)");
}

static bool expand_older(struct expander *x, struct str age)
{
    return buf_addz(x->out, "(date:..") && put_age(x, age) && buf_addc(x->out, ')');
}

/* A range has no quotes: a blank in it is written so. */
static bool put_date(struct expander *x, struct str date)
{
    for (size_t i = 0; i < date.n; i++)
        buf_addc(x->out, date.p[i] == ' ' ? '_' : date.p[i]);
    return true;
}

static bool expand_after(struct expander *x, struct str date)
{
    return buf_addz(x->out, "(date:") && put_date(x, date) && buf_addz(x->out, "..)");
}

static bool expand_before(struct expander *x, struct str date)
{
    return buf_addz(x->out, "(date:..") && put_date(x, date) && buf_addc(x->out, ')');
}

/* ---- header:, spam: ---- */

/* Fields that notmuch has a prefix for. */
static const struct {
    const char *name, *prefix;
} fields[] = {{"From", "from"},       {"To", "to"},        {"Cc", "to"},
              {"Subject", "subject"}, {"List-Id", "List"}, {"Message-ID", "id"}};

struct words {
    struct expander *x;
    const char *name; /* of the field, in lower case */
    size_t n;
};

static void put_word(void *arg, struct str word)
{
    struct words *w = arg;
    buf_addf(w->x->out, "%sproperty:\"%s=", w->n++ > 0 ? " and " : "(", w->name);
    put_quoted(w->x->out, word);
    buf_addc(w->x->out, '"');
}

static bool recorded(const struct expander *x, struct str name)
{
    return filter_field(name) || !x->world->field_known || x->world->field_known(x->world->arg, name);
}

/* The stars or pluses of a level are no words. */
static bool is_bar(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != s.p[0] || (s.p[i] != '*' && s.p[i] != '+'))
            return false;
    return s.n > 0;
}

static bool expand_header(struct expander *x, struct str value)
{
    size_t eq = value.n;
    bool with = str_find(value, '=', &eq);
    struct str name = str_trim(str_sub(value, 0, with ? eq : value.n)),
               want = str_trim(str_sub(value, eq + with, value.n));
    for (size_t i = 0; i < COUNT(fields); i++)
        if (str_case_eqz(name, fields[i].name)) {
            buf_addf(x->out, with ? "%s:\"" : "%s:", fields[i].prefix);
            if (with)
                put_quoted(x->out, want);
            else
                buf_addc(x->out, '*');
            return with ? buf_addc(x->out, '"') : true;
        }
    if (!recorded(x, name))
        return complain(x, "the field ", name,
                        " is not in the index: it will be of new mail when a rule or saved search in tuimailrc asks "
                        "for it");
    if (is_bar(want))
        return buf_addf(x->out, "property:spamlevel=%zu", MIN(want.n, (size_t)FILTER_LEVEL_MAX));
    char *lower = mem_dup_n(name.p, name.n);
    for (char *p = lower; *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
    struct words w = {x, lower, 0};
    if (with)
        filter_words(want, put_word, &w);
    else
        buf_addf(x->out, "property:\"header=%s\"", lower);
    free(lower);
    if (with && w.n == 0)
        return err_set(x->err, ERR_QUERY, "header:FIELD=WORDS needs a word of letters or digits");
    return with ? buf_addc(x->out, ')') : true;
}

static bool expand_spam(struct expander *x, struct str value)
{
    uint32_t level;
    if (str_case_eqz(value, "yes") || str_case_eqz(value, "no"))
        return buf_addf(x->out, "property:spam=%s", (value.p[0] | 0x20) == 'y' ? "yes" : "no");
    if (str_u32(value, &level) && level > 0)
        return buf_addf(x->out, "property:spamlevel=%u", MIN(level, (uint32_t)FILTER_LEVEL_MAX));
    return err_set(x->err, ERR_QUERY, "spam: takes yes, no or a level, as in spam:5");
}

static const struct {
    const char *prefix;
    bool (*expand)(struct expander *, struct str);
} rewritten[] = {
    {"is:", expand_is},       {"in:", expand_in},           {"newer:", expand_newer},   {"older:", expand_older},
    {"after:", expand_after}, {"before:", expand_before},   {"header:", expand_header}, {"spam:", expand_spam},
    {"saved:", expand_saved}, {"account:", expand_account},
};

/* ---- The whole ---- */

static bool rewrite(struct expander *x, struct str q, const struct token *t)
{
    struct buf value = BUF_INIT(QUERY_MAX);
    bool ok = true;
    token_value(q, t, &value);
    if (value.n == 0)
        ok = err_set(x->err, ERR_QUERY, "%.*s needs a value", STR_FMT(t->prefix));
    for (size_t i = 0; ok && i < COUNT(rewritten); i++)
        if (str_case_eqz(t->prefix, rewritten[i].prefix))
            ok = rewritten[i].expand(x, buf_str(&value));
    buf_fini(&value);
    return ok;
}

/* A regexp that would never end is not handed on. */
static bool bounded(struct expander *x, struct str q, const struct token *t)
{
    struct buf value = BUF_INIT(QUERY_MAX);
    token_value(q, t, &value);
    bool ok = true;
    if (t->prefix.n && value.n > 1 && value.p[0] == '/')
        ok = query_regexp_bounded(str_sub(buf_str(&value), 1, value.n - 1), x->err);
    else if (str_eqz(t->prefix, "sexp:"))
        ok = query_regexp_bounded(buf_str(&value), x->err);
    buf_fini(&value);
    return ok;
}

static bool infix(struct expander *x, struct str q)
{
    size_t at = 0, copied = 0;
    bool ok = true;
    for (struct token t; ok && (t = token_next(q, &at)).kind != TOKEN_END;) {
        const struct query_form *form = t.kind == TOKEN_WORD && t.prefix.n ? query_form(t.prefix) : NULL;
        if (t.kind == TOKEN_WORD)
            ok = bounded(x, q, &t);
        if (!form || !ok)
            continue;
        buf_adds(x->out, str_sub(q, copied, t.value - t.prefix.n));
        copied = form->to ? t.value : t.to;
        if (form->to)
            buf_addz(x->out, form->to);
        else
            ok = rewrite(x, q, &t);
    }
    buf_adds(x->out, str_sub(q, copied, q.n));
    return ok && !x->out->full;
}

/* The string at *at, decoded; *at goes behind it. */
static void string_read(struct str q, size_t *at, struct buf *out)
{
    for (++*at; *at < q.n && q.p[*at] != '"'; ++*at) {
        if (q.p[*at] == '\\' && *at + 1 < q.n)
            ++*at;
        buf_addc(out, q.p[*at]);
    }
    *at += *at < q.n;
}

void query_put_string(struct str s, struct buf *out)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, s.p[i]);
    }
    buf_addc(out, '"');
}

/* Is the string at `at` the one of an (infix ...)? */
static bool is_infix(struct str q, size_t at)
{
    while (at > 0 && strchr(" \t\r\n", q.p[at - 1]))
        at--;
    return at > 6 && memcmp(q.p + at - 6, "(infix", 6) == 0;
}

static bool sexp(struct expander *x, struct str q)
{
    struct query_fault fault;
    if (sexp_check(q, x->world, &fault) != QUERY_GOOD)
        return err_set(x->err, ERR_QUERY, "%s", fault.text);
    bool ok = query_regexp_bounded(q, x->err);
    for (size_t at = 0; ok && at < q.n;) {
        if (q.p[at] != '"') {
            buf_addc(x->out, q.p[at++]);
            continue;
        }
        struct buf text = BUF_INIT(QUERY_MAX), plain = BUF_INIT(1u << 20), *out = x->out;
        bool rewritten_too = is_infix(q, at);
        string_read(q, &at, &text);
        x->out = &plain;
        if (rewritten_too)
            ok = infix(x, buf_str(&text));
        x->out = out;
        query_put_string(buf_str(rewritten_too ? &plain : &text), out);
        buf_fini(&text);
        buf_fini(&plain);
    }
    return ok && !x->out->full;
}

static bool limited_sexp(struct expander *x, struct str body, struct str account)
{
    struct buf place = BUF_INIT(1000);
    if (!account.n)
        return sexp(x, body);
    put_account(&place, account);
    buf_addz(x->out, "(and ");
    bool ok = sexp(x, body);
    buf_addz(x->out, " (infix ");
    query_put_string(buf_str(&place), x->out);
    buf_addz(x->out, "))");
    buf_fini(&place);
    return ok;
}

bool query_expand(struct str q, struct str account, const struct query_world *world, struct buf *out, struct err *err)
{
    static const struct query_world nothing = {.arg = NULL};
    struct expander x = {world ? world : &nothing, out, err, 0};
    struct str body;
    if (memchr(q.n ? q.p : "", '\0', q.n))
        return err_set(err, ERR_QUERY, "a query is text");
    q = str_trim(q);
    bool ok = true, all = q.n == 0 || str_eqz(q, "*"); /* that means everything only when it stands alone */
    if (query_is_sexp(q, &body)) {
        buf_addz(out, "sexp:");
        ok = limited_sexp(&x, body, account);
    } else if (all) {
        buf_addz(out, account.n ? "" : "*");
        if (account.n)
            put_account(out, account);
    } else {
        buf_addz(out, account.n ? "(" : "");
        ok = infix(&x, q);
        buf_addz(out, account.n ? ") and " : "");
        if (account.n)
            put_account(out, account);
    }
    if (ok || err->kind != ERR_NONE)
        return ok && (!out->full || err_set(err, ERR_LIMIT, "the query is too long"));
    return err_set(err, ERR_LIMIT, "the query is too long");
}
