/* A pass over a POP3 maildrop. Private to src/store/account_pop*.c. */
#ifndef TUIMAIL_STORE_ACCOUNT_POP_H
#define TUIMAIL_STORE_ACCOUNT_POP_H

#include "store/account.h"

enum pop_phase { POP_CONNECTING, POP_LISTING, POP_LOOKING, POP_FETCHING, POP_CHECKING, POP_DELETING, POP_QUITTING };
struct pop_run {
    enum pop_phase phase;
    struct records mails; /* of struct pop_mail, by number, rising */
    size_t n, at;         /* at: so many of them have been gone through, in the order of option fetch-order */
    size_t at_body;       /* and so many for bodies that are to come now */
    bool waits;           /* a step is under way */
    uint32_t step;        /* which, of those that can be stopped; else 0 */
    bool stopped;         /* by the user: what is here is finished, no more is fetched */
    uint64_t inbox;
    uint32_t fresh, deleted, failed, left_out; /* left_out: too large, and no header to show */
    uint32_t headers;                          /* of the fresh ones, those of which that is all there is */
    struct err ledger;                         /* why nothing (more) was deleted */
    bool dele_sent;
    bool chosen; /* what is looked at of that which stays */
    /* progress */
    uint32_t wanted, came;
    uint64_t bytes, bytes_wanted, bytes_before; /* before: those of the steps that ended */
    int64_t began, shown;                       /* monotonic; shown 0: nothing was */
    uint64_t to_show;
};
/* Until the next of these for the same run. */
static inline const struct pop_mail *pop_mail(struct pop_run *r, size_t i)
{
    return records_get(&r->mails, i);
}
static inline struct pop_mail *pop_mail_change(struct pop_run *r, size_t i)
{
    return records_at(&r->mails, i);
}
/* To be changed; NULL where no message has that number. r may be NULL. */
struct pop_mail *pop_mail_of(struct pop_run *r, uint32_t number);
struct pop_policy pop_policy_of(const struct acct *);
uint64_t pop_bytes(const struct pop_mail *); /* as listed, which may be anything: bounded */
void pop_begin(struct acct *);
/* The step under way is over. False: there is no pass any more, `failed` ended it (the line is lost with that error).
 */
bool pop_goes_on(struct acct *, bool failed, enum err_kind, struct str text);
bool pop_too_soon(struct acct *, struct err *why);

/* account_pop_check.c: what ids alone do not say. False: nothing is to be looked at, or nothing more. */
bool pop_doubts(struct acct *, uint32_t doubts, struct err *);
bool pop_checking(struct acct *);
bool pop_to_check(const struct pop_policy *, const struct pop_mail *); /* before it may be deleted */
void pop_head(struct acct *, const struct m_POP_HEAD *);
void pop_planned(struct acct *); /* the ledger has the listing: what is to be done? */

/* account_pop_body.c: those that are here as a header. False: nothing is left. */
bool pop_completing(struct acct *);

/* account_pop_show.c */
void pop_show(struct acct *, uint64_t bytes);
void pop_show_end(struct acct *);

#endif
