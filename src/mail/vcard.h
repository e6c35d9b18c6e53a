/* mail/vcard: names and addresses out of vCards (RFC 2426, 6350; quoted-printable as 2.1 has it) (pure).
 *
 * A file is read in pieces of any size and may hold any number of cards; what is none is passed over, photos too. All
 * input is hostile: bounded by VCARD_LINE_MAX for an unfolded line (the rest of it is dropped), VCARD_BYTES_MAX for
 * what is kept of a card, and the counts below. */
#ifndef TUIMAIL_MAIL_VCARD_H
#define TUIMAIL_MAIL_VCARD_H

#include "base/base.h"

#define VCARD_LINE_MAX 4096
#define VCARD_BYTES_MAX (256u << 10)
#define VCARD_EMAILS_MAX 32
#define VCARD_MEMBERS_MAX 500

/* Strings are UTF-8 or raw bytes of the file, without escapes; the reader's. */
struct vcard {
    struct str name; /* FN, else what N comes to, else ORG */
    struct str nick; /* first of NICKNAME */
    struct str uid;  /* without urn:uuid: */
    bool group;      /* KIND:group, or X-ADDRESSBOOKSERVER-KIND */
    struct str emails[VCARD_EMAILS_MAX];
    size_t nemails;
    struct str members[VCARD_MEMBERS_MAX]; /* an address, or the uid of another card */
    size_t nmembers;
};
struct vcard_reader;
struct vcard_reader *vcard_reader_new(void);
void vcard_reader_free(struct vcard_reader **); /* NULL-safe; sets NULL */
/* Takes the next card off the front of *data, borrowed until the next call; NULL: all of it is taken, more may follow.
 */
const struct vcard *vcard_read(struct vcard_reader *, struct str *data);
/* The file is at its end: the last card where its last line has none. The reader may begin with another file. */
const struct vcard *vcard_read_end(struct vcard_reader *);

#endif
