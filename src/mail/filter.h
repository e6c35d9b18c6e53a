/* filter: what spam scanners and other filters on the way wrote into a mail's header, as marks that a query can ask
 * for. Pure: nothing blocks. The fields are as hostile as the mail: whoever sends it may have written them too. */
#ifndef TUIMAIL_MAIL_FILTER_H
#define TUIMAIL_MAIL_FILTER_H

#include "mail/mail.h"

#define FILTER_WORD_MAX 64   /* a longer word is left out */
#define FILTER_WORDS_MAX 100 /* of one field; the rest is left out */
#define FILTER_FIELDS_MAX 20 /* recorded of one mail */
#define FILTER_LEVEL_MAX 50  /* a higher score counts as this */

/* Is it a field that is always recorded (X-Spam-Status, X-Bogosity ...)? */
bool filter_field(struct str name);
/* The words of a value as they are recorded and asked for: letters, digits and . _ - + @ / in a row, in lower case.
 * Calls `fn` for each, at most FILTER_WORDS_MAX. */
typedef void filter_word_fn(void *arg, struct str word);
void filter_words(struct str value, filter_word_fn *, void *arg);
/* Appends the marks, "KEY=VALUE" each with a line end: "header=NAME" for each recorded field there is, NAME in lower
 * case, and "NAME=WORD" for each word of it; "spam=yes" or "spam=no" as the scanners judged (one yes suffices), and
 * "spamlevel=1" up to the whole part of the highest score. `also`: names, one a line, of other fields to be recorded.
 */
void filter_marks(const struct mail_header *, struct str also, struct buf *out);

#endif
