/* A message as lists show it, and the flag and role words that all programs share. */
#ifndef TUIMAIL_MAIL_ROW_H
#define TUIMAIL_MAIL_ROW_H

#include "base/base.h"

/* System flags and the registered keywords that have a meaning of their own (RFC 9051 2.3.2, RFC 5788); every other
 * keyword is a tag. */
enum mail_flags {
    FLAG_SEEN = 1,
    FLAG_ANSWERED = 2,
    FLAG_FLAGGED = 4,
    FLAG_DELETED = 8,
    FLAG_DRAFT = 16,
    FLAG_FORWARDED = 32, /* $Forwarded */
    FLAG_JUNK = 64,      /* $Junk */
    FLAG_NOTJUNK = 128,  /* $NotJunk */
    FLAG_MDNSENT = 256,  /* $MDNSent */
};
enum row_attr {
    ROW_ATTACHMENT = 1, /* multipart/mixed by its header, or known from the structure */
    ROW_SIGNED = 2,
    ROW_ENCRYPTED = 4,
    ROW_LIST = 8,
    ROW_TO_ME = 16,
    ROW_FULL = 32,  /* second pass done: To, Cc, References known */
    ROW_PARTS = 64, /* ROW_ATTACHMENT is known from the structure */
};
enum row_state {
    ROW_PENDING = 1, /* an intent on it has not reached the server */
    ROW_BODY = 2,    /* the whole message is on this machine */
    ROW_FAILED = 4,  /* the body could not be had */
    ROW_STUB = 8,    /* POP3: headers only */
    ROW_TEXT = 16,   /* its text is on this machine; other parts of it are not */
};
enum box_attr {
    BOX_NOSELECT = 1,
    BOX_NOINFERIORS = 2,
    BOX_HASCHILDREN = 4,
    BOX_SUBSCRIBED = 8,
    BOX_NONEXISTENT = 16,
    BOX_READONLY = 32,
    BOX_OTHERS = 64,  /* another user's (RFC 2342) */
    BOX_SHARED = 128, /* nobody's own */
};
enum box_role {
    BOX_NONE,
    BOX_INBOX,
    BOX_ARCHIVE,
    BOX_DRAFTS,
    BOX_SENT,
    BOX_TRASH,
    BOX_JUNK,
    BOX_ALL,
    BOX_FLAGGED,
    BOX_IMPORTANT,
    BOX_OUTBOX,
    BOX_ROLE_COUNT
};

struct msg_row {
    uint64_t id, box, thread;
    int64_t date;    /* sort date: Date, else arrival */
    int64_t arrived; /* 0: not known */
    uint64_t size;
    uint32_t flags; /* shown flags: enum mail_flags */
    uint32_t attrs, state;
    struct str from_name, from_addr, to, subject, msgid, list_id;
    struct str sort_from, sort_subject; /* what they are sorted by (text_sort_key) */
    struct str tags;                    /* words (tag.h), blank separated */
};

#endif
