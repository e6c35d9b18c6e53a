/* What the parts of replay share: account_replay.c sends, account_settle.c looks, account_claim.c asks who may. */
#ifndef TUIMAIL_STORE_REPLAY_H
#define TUIMAIL_STORE_REPLAY_H

#include "store/account.h"

#define BATCH_MAX 1000
#define SETTLE_MAX 100

enum phase {
    PHASE_COMMAND,
    PHASE_FIND /* places unknown */,
    PHASE_SETTLE /* outcome unknown */,
    PHASE_CHECKED /* about to go */
};
struct look {
    bool asked;
    bool source, target, twice; /* found there; more than one */
    uint32_t uidvalidity, uid, source_uid, source_validity;
};
struct batch_run {
    struct batch_run *next;
    struct db_batch b;
    struct batch_mem *mem; /* what b borrows from */
    enum phase phase;
    unsigned outstanding;
    size_t at, n;  /* PHASE_SETTLE: items under inspection; at: of a Maildir, the first that is not sent */
    size_t halves; /* copied, but the original is still there */
    struct look *looks;
    enum err_kind kind; /* first failure */
    char text[400];
    struct buf unseen; /* what the server says is unread among the ranges */
    uint64_t *claims;  /* messages that are being claimed */
    size_t nclaims;
    bool requeue;
};

void run_free(struct acct *, struct batch_run *);
/* The step belongs to the batch; false for NULL: it could not be sent. */
bool run_sent(struct batch_run *, struct step *);
/* Nothing leaves a mailbox of everything (RFC 6154 \All) but to Trash and Junk: a move out of it adds a place. */
bool stays_behind(struct acct *, const struct db_batch *);
bool try_later(enum err_kind);
/* Looks for places (PHASE_FIND) or outcomes (PHASE_SETTLE) of a batch, and ends it. */
void settle_begin(struct acct *, struct batch_run *, enum phase);
/* Asks the server for those of the batch whose rules this device has to have for itself, and ends it, to be chosen
 * again; false: there are none. */
bool claim_begin(struct acct *, struct batch_run *);
void claims_lost_tell(struct acct *);
void settle_found(struct acct *, const struct m_FOUND *);

#endif
