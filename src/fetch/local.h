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

#endif
