/* The program archive: mail out of mbox files, Maildirs and files of one mail, or into an mbox or a Maildir, for
 * `tuimail import` and `tuimail export`. It reads hostile bytes and has no network, no keys and, of the file system,
 * the one path it was started for.
 *
 *   archive read PATH|-      answers ARCHIVE_NEXT and ARCHIVE_SAME; for "-" ARCHIVE_FILE brings what is to be read
 *   archive maildir PATH     answers ARCHIVE_HAS and ARCHIVE_PUT, in the Maildir that is there
 *   archive mbox             answers ARCHIVE_PUT, after ARCHIVE_FILE */
#ifndef TUIMAIL_ARCHIVE_ARCHIVE_H
#define TUIMAIL_ARCHIVE_ARCHIVE_H

#include "base/base.h"
#include "ipc/ipc.h"

struct archive {
    struct chan *chan;
    const char *path;
    int last;   /* reading: the mail given last; -1 none */
    bool ended; /* the client is gone */
};
/* Waits until the socket takes it. False: the client is gone. */
bool archive_send(struct archive *, const struct msg *, int fd);
#define ARCHIVE_SEND(a, fd_, NAME, ...)                                                                                \
    archive_send((a), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}}, (fd_))
/* read.c: gives the mails of a->path as they are asked for; until the client is gone. */
bool archive_read(struct archive *, struct err *);
/* write.c: takes mails until the client is gone. */
bool archive_write(struct archive *, bool maildir, struct err *);

#endif
