/* Modified UTF-7 (RFC 3501 5.1.3): how IMAP servers and Maildir++ folders write the names of mailboxes. Pure. */
#ifndef TUIMAIL_MAIL_UTF7_H
#define TUIMAIL_MAIL_UTF7_H

#include "base/base.h"

/* Appends the UTF-8 form of a name (hostile). One that is not valid modified UTF-7 is kept as it is: false. */
bool mail_utf7_decode(struct str name, struct buf *out);
/* Appends the modified UTF-7 form; invalid UTF-8 and control characters refuse: false. */
bool mail_utf7_encode(struct str utf8, struct buf *out);

#endif
