/* mail/vcard: names and addresses out of vCards (RFC 2426, 6350; quoted-printable as 2.1 has it) (pure).
 *
 * A file may hold several cards; what is none is passed over. All input is hostile: bounded by the arena, by
 * VCARD_LINE_MAX for an unfolded line (the rest of it is dropped) and by the counts below. */
#ifndef TUIMAIL_MAIL_VCARD_H
#define TUIMAIL_MAIL_VCARD_H

#include "base/base.h"

#define VCARD_LINE_MAX 4096
#define VCARD_EMAILS_MAX 32
#define VCARD_MEMBERS_MAX 500

/* Strings are UTF-8 or raw bytes of the file, without escapes; in the arena. */
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
/* Takes the next card off *rest; false where there is none, or the arena is full. */
bool vcard_next(struct str *rest, struct arena *, struct vcard *card_r);

#endif
