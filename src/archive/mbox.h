/* archive/mbox: mails in and out of mbox files (RFC 4155), in bounded memory whatever the file holds.
 *
 * What is written is mboxrd: each line of '>'s (or none) and "From " gets one more '>', which reading takes away, so
 * that every mail comes back byte for byte. Flags and tags stand in three fields in front of the mail's own, where
 * other programs look for them (Status, X-Status, X-Keywords); they are taken away again as they were put there.
 * What is read may be of any kind: mboxrd and mboxo alike; mboxcl and mboxcl2 where the Content-Length leads to the
 * next mail or to the end. Files are hostile; they are read by pread and may change meanwhile. Nothing recurses; a
 * line may have any length. */
#ifndef TUIMAIL_ARCHIVE_MBOX_H
#define TUIMAIL_ARCHIVE_MBOX_H

#include "base/base.h"
#include "mail/row.h"

#define MBOX_MAIL_MAX (UINT64_C(1) << 30) /* bytes of a mail; a larger one is passed by */
#define MBOX_TAGS_MAX 1024

/* ---- Reading ------------------------------------------------------------------------------------ */
struct mbox;
/* `fd` is a regular file and stays the caller's. NULL with *err. */
struct mbox *mbox_open(int fd, struct err *);
void mbox_close(struct mbox **); /* NULL-safe; sets NULL */
uint64_t mbox_size(const struct mbox *);
/* Does it begin like an mbox, after empty lines? */
bool mbox_is(struct mbox *, struct err *);
struct mbox_mail {
    uint64_t offset;   /* of its From_ line */
    uint64_t from, to; /* what lies between that line and the empty one before the next */
    int64_t arrived;   /* by its From_ line; 0: that has no date */
    uint32_t flags;    /* enum mail_flags */
    struct str tags;   /* blank separated, as they stand there (hostile); until the next mbox_next */
    bool ours, exact;  /* written by this program; nothing in it is quoted */
    bool unended;      /* the mail's last line has no end */
    bool counted;      /* it has a Content-Length */
    const char *why;   /* of MBOX_SKIPPED: why it is no mail */
};
enum mbox_got { MBOX_END, MBOX_MAIL, MBOX_SKIPPED, MBOX_FAILED };
/* MBOX_FAILED: the file cannot be read, *err. `offset`, `from` and `to` are filled for what is skipped, too. */
enum mbox_got mbox_next(struct mbox *, struct mbox_mail *mail_r, struct err *);
/* Writes the mail as it was before it was put into the mbox. */
bool mbox_copy(struct mbox *, const struct mbox_mail *, int out, struct err *);

/* The flags among the words of X-Keywords; the others are added to `tags`, blank separated, as long as they fit. */
uint32_t mbox_words(struct str words, struct buf *tags);

/* ---- Writing ------------------------------------------------------------------------------------ */
struct mbox_put {
    uint32_t flags;
    struct str tags; /* blank separated words */
    int64_t arrived;
    struct str sender; /* addr-spec of the envelope; what cannot be one is written as MAILER-DAEMON */
};
/* Appends the mail in `fd` (a regular file, from its beginning) to `out`. Where that fails, a part of it may be
 * there. */
bool mbox_append(int out, int fd, const struct mbox_put *, struct err *);

/* ---- Comparing ---------------------------------------------------------------------------------- */
/* Size with CR LF line ends and without NUL: as a server has it that the mail was appended to. */
bool mbox_size_crlf(int fd, uint64_t *size_r, struct err *);
/* The same mail: equal but for what line ends are made of, and NUL. Reads by pread. */
bool mbox_same(int a, int b, bool *same_r, struct err *);

#endif
