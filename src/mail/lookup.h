/* mail/lookup: the words by which a person looks for names and addresses: letters and digits, case and accents folded,
 * each found by its beginning (pure). All input is hostile. */
#ifndef TUIMAIL_MAIL_LOOKUP_H
#define TUIMAIL_MAIL_LOOKUP_H

#include "base/base.h"

#define LOOKUP_WORD_MAX 64 /* bytes; what a longer one has behind them does not count */

/* The first KB of a text, folded; its words are taken off one by one. */
struct lookup {
    char text[1024];
    size_t n, at;
};
void lookup_begin(struct lookup *, struct str raw);
/* The next word, borrowed; false at the end. */
bool lookup_next(struct lookup *, struct str *word_r);
/* Does a word of `raw` begin with `word`, which is folded? */
bool lookup_has(struct str raw, struct str word);

#endif
