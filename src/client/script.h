/* client/script: the descriptors that go with SIEVE: a script, or room for what comes. */
#ifndef TUIMAIL_CLIENT_SCRIPT_H
#define TUIMAIL_CLIENT_SCRIPT_H

#include "base/base.h"

#define SCRIPT_TEXT_MAX (2u << 20)
/* A file without a name that holds `text` and is read from its start; -1 with *err. */
int script_fd(struct str text, struct err *);
/* All of it, wherever it was read or written last. */
bool script_text(int fd, struct buf *out, struct err *);
/* The lines of SIEVE_LIST: "+ NAME", "- NAME" (a script), "= WORDS" (a capability). What follows the blank, else false
 * at the end. Other lines are passed over. */
bool script_next(struct str *rest, char *kind_r, struct str *value_r);

#endif
