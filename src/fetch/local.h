/* The steps on this machine's Maildir, for POP3 and Maildir accounts, and on cached files. */
#ifndef TUIMAIL_FETCH_LOCAL_H
#define TUIMAIL_FETCH_LOCAL_H

#include "fetch/fetch.h"
#include "mail/mail.h"
#include "maildir/maildir.h"

/* The account's Maildir, opened once: `maildir:PATH` or the account's own directory. NULL with *err; tried again at
 * each call. */
struct maildir *fetch_maildir(struct fetch *, struct err *);
/* Waits on the channel and on the Maildir; tells the store of changes by others. The idle of the local protocol; pop.c
 * may use it too. */
void local_idle(struct fetch *, int64_t until_ms);
/* Tells what other programs did to it. */
void local_wake(struct fetch *);

/* MAILDIR_IS: where the message is now. */
bool local_place(struct fetch *, uint32_t step, uint64_t box, struct str folder, struct str name, struct err *);

/* What is shown of a mail of that size of which the open file has the header alone (mail/mark.h): a mail that says so.
 * A file in memory, positioned at its beginning; -1 with *err. */
int stub_open(int fd, uint64_t size, struct err *);

/* A slice of the folder that is being looked at (STEP_MAILDIR_SCAN); true: there is more. */
bool local_rest(struct fetch *);
/* At the end of the program. */
void local_stop(struct fetch *);

#endif
