/* The pieces of an infix query, and the words that may stand before a colon. */
#include "query/internal.h"

/* What notmuch has; the rest is ours. */
static const char *const notmuch_prefixes[] = {
    "from:",   "to:",   "subject:", "body:", "attachment:", "mimetype:", "tag:",   "is:",      "id:",      "mid:",
    "thread:", "path:", "date:",    "List:", "folder:",     "sexp:",     "query:", "lastmod:", "property:"};

const struct query_form query_forms[] = {
    {"f:", "from:", "sender, as from:", true},
    {"t:", "to:", "recipient, as to:", true},
    {"c:", "to:", "recipient of a copy, as to:", true},
    {"cc:", "to:", "recipient of a copy, as to:", true},
    {"s:", "subject:", "words of the subject, as subject:", true},
    {"has:", "tag:", "has:attachment, has:signed, has:encrypted", false},
    {"list:", "List:", "mailing list", true},
    {"is:", NULL, "unread, read, flagged, replied, forwarded, or a tag", false},
    {"in:", NULL, "in a mailbox, or inbox, sent, archive, trash", false},
    {"newer:", NULL, "of the last hours, days ...: 7d", false},
    {"older:", NULL, "older than: 2w", false},
    {"after:", NULL, "since a day: 2026-11-01, yesterday", false},
    {"before:", NULL, "up to a day: 2026-11-01, last_week", false},
    {"header:", NULL, "header:FIELD=WORDS of spam filters and fields that tuimailrc names", false},
    {"spam:", NULL, "yes, no, or a level as in spam:5", false},
    {"account:", NULL, "in one account", false},
    {"saved:", NULL, "what a saved search finds", false},
};
const size_t query_nforms = COUNT(query_forms);

const struct query_form *query_form(struct str prefix)
{
    for (size_t i = 0; i < COUNT(query_forms); i++)
        if (str_case_eqz(prefix, query_forms[i].prefix))
            return &query_forms[i];
    return NULL;
}

bool query_prefix_known(struct str prefix)
{
    for (size_t i = 0; i < COUNT(notmuch_prefixes); i++)
        if (str_eqz(prefix, notmuch_prefixes[i]))
            return true;
    return query_form(prefix) != NULL;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* "from:" at `at`; "" where no such word begins there. A colon before // or a blank is one of a text. */
static struct str prefix_at(struct str q, size_t at)
{
    size_t n = at;
    while (n < q.n && (letter(q.p[n]) || (n > at && ((q.p[n] >= '0' && q.p[n] <= '9') || q.p[n] == '_'))))
        n++;
    bool text = n == at || n >= q.n || q.p[n] != ':' || (n + 2 < q.n && q.p[n + 1] == '/' && q.p[n + 2] == '/');
    return text ? (struct str){"", 0} : str_sub(q, at, n + 1);
}

struct token token_next(struct str q, size_t *at)
{
    while (*at < q.n && blank(q.p[*at]))
        ++*at;
    struct token t = {.kind = TOKEN_END, .from = *at, .to = *at, .prefix = {"", 0}, .quote = SIZE_MAX};
    if (*at == q.n)
        return t;
    if (q.p[*at] == '(' || q.p[*at] == ')') {
        t.kind = q.p[*at] == '(' ? TOKEN_OPEN : TOKEN_CLOSE;
        t.to = ++*at;
        return t;
    }
    t.kind = TOKEN_WORD;
    size_t i = *at;
    if ((q.p[i] == '-' || q.p[i] == '+') && i + 1 < q.n && !blank(q.p[i + 1]))
        t.sign = q.p[i++];
    t.prefix = prefix_at(q, i);
    t.value = i += t.prefix.n;
    if (i < q.n && q.p[i] == '{' && t.prefix.n) /* thread:{QUERY} */
        while (i < q.n && q.p[i] != '}')
            i++;
    bool quoted = false;
    for (; i < q.n && (quoted || (!blank(q.p[i]) && q.p[i] != ')' && q.p[i] != '(')); i++)
        if (q.p[i] == '"') {
            quoted = !quoted;
            t.quote = i;
        }
    if (!quoted)
        t.quote = SIZE_MAX;
    if (i == *at) /* a sign before a bracket */
        i++;
    *at = t.to = i;
    return t;
}

void token_value(struct str q, const struct token *t, struct buf *out)
{
    bool quoted = false;
    for (size_t i = t->value; i < t->to; i++) {
        if (q.p[i] != '"')
            buf_addc(out, q.p[i]);
        else if (quoted && i + 1 < t->to && q.p[i + 1] == '"')
            buf_addc(out, q.p[i++]);
        else
            quoted = !quoted;
    }
}

enum query_operator token_operator(struct str q, const struct token *t)
{
    static const char *const binary[] = {"and", "or", "xor", "near", "adj"};
    struct str word = str_sub(q, t->from, t->to);
    if (t->kind != TOKEN_WORD || t->prefix.n)
        return OPERATOR_NONE;
    if (str_case_eqz(word, "not"))
        return OPERATOR_NOT;
    for (size_t i = 0; i < COUNT(binary); i++)
        if (str_case_eqz(word, binary[i]))
            return OPERATOR_BINARY;
    return OPERATOR_NONE;
}
