/* The last word of a query that is being typed. */
#include "query/internal.h"

#define LETTERS_MIN 3 /* what begins with fewer is too much to be of use */

static bool of_text(struct str prefix)
{
    static const char *const fields[] = {"", "from:", "to:", "subject:", "body:", "attachment:", "List:"};
    const struct query_form *form = query_form(prefix);
    for (size_t i = 0; !form && i < COUNT(fields); i++)
        if (str_eqz(prefix, fields[i]))
            return true;
    return form && form->terms;
}

/* Of letters and digits alone: the index takes anything else for two words. */
static bool plain(struct str word)
{
    size_t letters = 0;
    for (size_t i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.p[i];
        if (c < 0x80 && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return false;
        letters += (c & 0xc0) != 0x80;
    }
    return letters >= LETTERS_MIN;
}

/* not, near, adj, near/3: what stands behind them is one word. */
static bool takes_one(struct str query, const struct token *t)
{
    struct str word = str_sub(query, t->from, t->to);
    size_t slash = word.n;
    str_find(word, '/', &slash);
    word = str_sub(word, 0, slash);
    return t->kind == TOKEN_WORD && !t->prefix.n &&
           (str_case_eqz(word, "not") || str_case_eqz(word, "near") || str_case_eqz(word, "adj"));
}

void query_begun(struct str query, struct buf *out)
{
    size_t at = 0;
    struct token before = {.kind = TOKEN_END}, last = before;
    for (struct token t; (t = token_next(query, &at)).kind != TOKEN_END; last = t)
        before = last;
    struct str word = str_sub(query, last.from, last.to);
    bool open = last.kind == TOKEN_WORD && last.to == query.n && !last.sign && last.quote == SIZE_MAX &&
                of_text(last.prefix) && plain(str_sub(query, last.value, last.to)) &&
                token_operator(query, &last) == OPERATOR_NONE && !takes_one(query, &before) &&
                !query_is_sexp(query, NULL);
    buf_adds(out, str_sub(query, 0, open ? last.from : query.n));
    if (open)
        buf_addf(out, "(%.*s or %.*s*)", STR_FMT(word), STR_FMT(word));
}
