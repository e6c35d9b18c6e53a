/* Marks in the names that tuimail gives to files of a Maildir: by which UIDL a mail came, and that only its header did.
 * They stand before the end of the unique part, "1700000000.R0123456789_s0000000000bebc20_t0123456789abcdef.tuimail",
 * so they survive every other loss: of the databases, of a move by another program. Names are hostile. Pure. */
#ifndef TUIMAIL_MAIL_MARK_H
#define TUIMAIL_MAIL_MARK_H

#include "base/base.h"

struct mark {
    uint64_t tag;  /* a hash of the UIDL; 0: none */
    uint64_t stub; /* the size of the mail on the server, of which only the header is here; 0: it is whole */
};
#define MARK_END ".tuimail" /* of every unique part of our own */
#define MARK_MAX 40         /* chars, with the NUL */
/* {0, 0} for a name that has none. */
struct mark mark_read(struct str unique);
/* What stands between the stem and MARK_END; "" for {0, 0}. */
void mark_write(const struct mark *, char out[MARK_MAX]);
/* The same name as that of the whole mail; where it is no stub's, itself. False where `out` is full. */
bool mark_whole(struct str unique, struct buf *out);

#endif
