/* See lookup.h. */
#include "mail/lookup.h"

static bool in_word(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '+';
}

void lookup_begin(struct lookup *l, struct str raw)
{
    l->n = text_fold(raw, l->text, sizeof l->text);
    l->at = 0;
}

bool lookup_next(struct lookup *l, struct str *word_r)
{
    while (l->at < l->n && !in_word(l->text[l->at]))
        l->at++;
    size_t from = l->at;
    while (l->at < l->n && in_word(l->text[l->at]))
        l->at++;
    *word_r = (struct str){l->text + from, MIN(l->at - from, (size_t)LOOKUP_WORD_MAX)};
    return l->at > from;
}

bool lookup_has(struct str raw, struct str word)
{
    struct lookup l;
    struct str one;
    lookup_begin(&l, raw);
    while (lookup_next(&l, &one))
        if (str_starts(one, word))
            return true;
    return false;
}
