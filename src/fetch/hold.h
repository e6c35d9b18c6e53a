/* Deliveries that wait for each other: the disk is made to hold many mails at the price of one (fetch/pop.c).
 *
 * A mail is said to be here (DELIVERED) only when its file, its name and its directory are durable. One that waits is
 * committed after HOLD_MS at the latest, be the line silent or not; the first at once, for somebody looks at an empty
 * list. */
#ifndef TUIMAIL_FETCH_HOLD_H
#define TUIMAIL_FETCH_HOLD_H

#include "fetch/fetch.h"
#include "maildir/maildir.h"

struct hold;
/* For the step that runs; from here to hold_free() the waits of f commit what is due. */
struct hold *hold_new(struct fetch *f);
/* Takes the delivery over. `said` is the DELIVERED to be sent for it, copied. False with *err when the step must end:
 * the disk takes no more, or the store is gone. What fails for one mail alone is said as POP_FAILED. */
bool hold_add(struct hold *, struct delivery **, const struct msg *said, struct err *);
/* Commits what waits. False as hold_add, also for a failure of an earlier commit. */
bool hold_commit(struct hold *, struct err *);
void hold_free(struct hold **); /* NULL-safe; what still waits is dropped */

/* Does an error of one delivery end the step? The disk's trouble will meet the next message too; a message's own
 * trouble will not. */
bool hold_ends(enum err_kind);

#endif
