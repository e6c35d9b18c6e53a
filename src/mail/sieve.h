/* mail/sieve: text of Sieve scripts (RFC 5228): a rule as a block of it, and a block added to a script (pure). */
#ifndef TUIMAIL_MAIL_SIEVE_H
#define TUIMAIL_MAIL_SIEVE_H

#include "base/base.h"

/* All strings UTF-8, "" where there is none. A message has to meet all conditions that are there. */
struct sieve_rule {
    const char *list_id, *from, *to, *subject; /* in List-Id, the From address, a To or Cc address, part of Subject */
    const char *folder, *tag;                  /* tag: a keyword */
    bool read, flag, stop;
    bool new_folder; /* it has to be made: ERR_CONFIG where scripts of the server cannot */
};
/* Appends the block, with LF line ends and a comment before and behind, and to `needs` the extensions that it uses,
 * blank separated. `can`: what the server announced as SIEVE. False with *err (ERR_USAGE: no condition, nothing to be
 * done; ERR_CONFIG: the server lacks an extension, which is named). */
bool sieve_rule_block(const struct sieve_rule *, struct str can, struct buf *out, struct buf *needs, struct err *err);
/* The script with what `needs` names and it does not require yet as one more require behind its own, and the block at
 * its end; everything else stays byte for byte. Line ends are those of the script (CR LF in an empty one). False where
 * `out` is full. `script` may be hostile or not even Sieve. */
bool sieve_add(struct str script, struct str block, struct str needs, struct buf *out);
/* Appends a quoted string; controls become blanks. */
void sieve_quote(struct str, struct buf *out);
/* The first line number that the server's words (hostile) name, as in "line 3: error"; 0 none. */
unsigned sieve_error_line(struct str said);

#endif
