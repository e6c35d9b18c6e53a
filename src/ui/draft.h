/* ui/draft: the text of a mail while it is written: header fields as lines, an empty line, the body; all UTF-8, as an
 * editor shows it.
 *
 * Beside the fields of RFC 5322 a draft may have any number of "Attach: PATH" lines and one "Fcc: MAILBOX"; neither is
 * sent. A template is made from the display document of the mail that is answered (hostile, cleaned by doc.h): nothing
 * else of that mail gets into it. Pure: no I/O, does not block. */
#ifndef TUIMAIL_UI_DRAFT_H
#define TUIMAIL_UI_DRAFT_H

#include "conf/conf.h"
#include "mail/doc.h"
#include "mail/mail.h"

#define DRAFT_MAX (16u << 20) /* bytes of a draft's text */
#define DRAFT_ATTACHMENTS_MAX 1000

enum draft_kind {
    DRAFT_NEW,
    DRAFT_REPLY,
    DRAFT_REPLY_ALL,
    DRAFT_REPLY_LIST,
    DRAFT_FORWARD,
    DRAFT_AGAIN /* edit the mail itself: a draft, or as new */
};

/* The account that fits the mail to answer: the first that owns one of its recipients; `fallback` where none does. */
const struct account *draft_identity(const struct conf *, const struct doc *, const struct account *fallback);

/* Appends the draft's text. `doc`: the mail that is answered, forwarded or edited, NULL for DRAFT_NEW; `mailto`: NULL
 * or what a mailto: link asked for; `signature`: file contents or "", put below "-- ". attach: NULL-terminated paths or
 * NULL. False with ERR_LIMIT where it would be too large; ERR_USAGE where a list is to be answered that is none. */
bool draft_template(enum draft_kind, const struct conf *, const struct account *, const struct doc *,
                    const struct mailto *, struct str signature, const char *const *attach, struct buf *out,
                    struct err *);

struct draft {
    struct str from, to, cc, bcc, subject, fcc, in_reply_to; /* values as typed, aliases expanded in to, cc, bcc */
    struct str sender;                                       /* addr-spec of From */
    struct str *rcpts;                                       /* addr-specs of To, Cc and Bcc, none twice */
    size_t nrcpts;
    struct str *attach; /* paths as typed, ~ not expanded */
    size_t nattach;
    struct str headers; /* "Name: value" lines for BUILD: all but Attach, Fcc and Bcc; aliases expanded */
    struct str body;
};
/* Reads a draft back. Strings live in the arena or borrow from `text`. ERR_RECIPIENT or ERR_USAGE names the field and
 * the word that is wrong. A draft without recipients or subject is fine here: ask draft_ready(). */
bool draft_parse(struct str text, const struct conf *, struct arena *, struct draft *draft_r, struct err *);
/* May it go? ERR_RECIPIENT: no recipient or one that is no address; ERR_USAGE: no sender. */
bool draft_ready(const struct draft *, struct err *);
/* Does the text that the writer typed (no quotes, no signature) speak of an attachment while there is none? */
bool draft_misses_attachment(const struct draft *);
/* The draft's text with one field set (value "" removes it), for the compose screen: `name` is one of the known fields;
 * the rest stays byte for byte. `add`: another line of that name instead (Attach). */
bool draft_set(struct str text, const char *name, struct str value, bool add, struct buf *out);
/* Removes the i-th Attach line. */
bool draft_detach(struct str text, size_t i, struct buf *out);

#endif
