/* What the files of the module share: the pieces of an infix query. */
#ifndef TUIMAIL_QUERY_INTERNAL_H
#define TUIMAIL_QUERY_INTERNAL_H

#include "query/query.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,  /* with its prefix and quotes */
    TOKEN_OPEN,  /* ( */
    TOKEN_CLOSE, /* ) */
};
struct token {
    enum token_kind kind;
    size_t from, to;
    struct str prefix; /* with its colon; "" none */
    size_t value;      /* where it begins, with its quote */
    char sign;         /* - or + in front, or 0 */
    size_t quote;      /* where a quotation begins that is never closed; SIZE_MAX: none */
};
/* The next piece from *at on, which goes behind it. */
struct token token_next(struct str query, size_t *at);
/* The value without its quotes, a doubled quote as one. */
void token_value(struct str query, const struct token *, struct buf *out);
enum query_operator { OPERATOR_NONE, OPERATOR_NOT, OPERATOR_BINARY };
enum query_operator token_operator(struct str query, const struct token *);

const struct query_form *query_form(struct str prefix); /* of ours; NULL: it is notmuch's, or unknown */
bool query_prefix_known(struct str prefix);             /* of either */
/* Is it a date that notmuch may understand? *from_r, *to_r: the word that is none. */
bool query_date(struct str value, size_t *from_r, size_t *to_r);
bool query_age(struct str age, uint32_t *n_r, const char **unit_r);
enum query_verdict sexp_check(struct str body, const struct query_world *, struct query_fault *);
void query_put_string(struct str, struct buf *out); /* as one of an S-expression */
bool sexp_name(struct str word);                    /* may begin a bracket of an S-expression */

#endif
