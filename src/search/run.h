/* How a query is run: shared by the files of search that do it. Functions that return bool are false with *err set, or
 * with run.gone where the channel ended. */
#ifndef TUIMAIL_SEARCH_RUN_H
#define TUIMAIL_SEARCH_RUN_H

#include "search/search.h"

#define FIRST_PAGE 64 /* a screen: is sent at once, and the count behind it */
#define HIDDEN 2      /* tags that hide a message unless the query names them */

/* One database's hits, in order; the first of them is taken out. */
struct side {
    notmuch_database_t *db;
    notmuch_query_t *q, *part; /* part: of the slice that is asked, NULL where that is all */
    notmuch_messages_t *messages;
    notmuch_message_t *first;
    bool asked;
};

/* Where a query is that is asked in slices by date. */
struct slices {
    const char *text;
    int64_t bound;        /* where the last one ended */
    uint32_t rank, width; /* how many messages of a mailbox were passed with it, and in it */
    uint32_t hits;        /* of it, so far */
    bool begun, last;
};

struct run {
    struct search *s;
    const struct m_QUERY *m;
    notmuch_database_t *db; /* ours; that of ours.db while it is open */
    struct side ours, own;
    struct slices slices;
    struct str_set seen;     /* the ids that were given already */
    struct ranking *ranking; /* hits that wait to be sent in their order */
    bool hides[HIDDEN];
    struct err own_err; /* why the user's own is left out */
    bool own_rules;     /* what the user's own has is found as it says: its tags are those that notmuch shows */
    struct msg *next;
    uint32_t hits;
    bool gone; /* the channel */
    bool counted;
    const char *batch_of; /* the account of the batch */
    struct buf batch;     /* HITS that are not sent yet */
    size_t nbatch;
    struct only {
        char *id; /* libnotmuch's */
        uint64_t msg;
    } * only; /* of a query for some messages, by id */
    size_t nonly;
    bool *found;          /* which of them, as the query has them */
    struct reader **held; /* of each account: places_hold; NULL: not held */
};

/* ---- run.c ---- */
/* Something new from the client ends this query. */
bool superseded(struct run *);

/* ---- databases.c ---- */
/* Opens ours, and beside it the user's own, or one that is being built where some messages are asked for. What cannot
 * be opened beside ours is left out (own_err). */
bool open_both(struct run *, const char *text, struct err *err);
void close_index(struct run *);
/* Of a query as search_expand writes it; false with *err. */
bool query_create(notmuch_database_t *, const char *text, notmuch_query_t **q_r, struct err *err);
void query_error(notmuch_database_t *, notmuch_status_t, struct err *err);

/* ---- sides.c ---- */
/* Makes a query of the side, with what it hides. */
bool side_query(struct run *, struct side *, const char *text, notmuch_query_t **q_r, struct err *err);
bool side_ask(struct side *, notmuch_query_t *, struct err *err);
/* Takes the next message of a side out of its list; side->first is NULL at the end. */
bool side_next(struct side *, struct err *err);
/* The side whose message comes next; ours of two that are as old. */
struct side *side_of_next(struct run *);
/* A message of one database as the other knows it, NULL where it does not. */
notmuch_message_t *known_to(notmuch_database_t *, notmuch_message_t *);
bool is_hidden(const struct run *, notmuch_message_t *);
/* A hit of ours that is given, or not, as the user's own has it. */
bool left_to_own(const struct run *, notmuch_message_t *);
/* Is the side's first given? Once, and not what is in the trash here: *twin_r is what stands for it, to be destroyed.
 */
bool wanted(struct run *, const struct side *, notmuch_message_t **twin_r);

/* ---- slices.c ---- */
/* From the beginning: the newest, or the oldest, first. `text` has to last. */
void slices_begin(struct run *, const char *text);
/* Asks both sides for the next slice. *more_r: there was one. */
bool slices_next(struct run *, bool *more_r, struct err *err);

/* ---- hit.c ---- */
bool has_tag(notmuch_message_t *, const char *tag);
/* What is looked up in the accounts' databases until they are let go of is one transaction of each. */
void places_hold(struct run *, bool hold);
/* `twin`: the message in our database, where `m` is of the user's own; its place is that one's. */
bool send_hit(struct run *, notmuch_message_t *m, notmuch_message_t *twin, struct err *err);
void batch_init(struct run *);
bool send_batch(struct run *, struct err *err);
/* Waits for a client that reads slowly; `ok`: what was to be sent was taken. */
bool sent(struct run *, bool ok, struct err *err);

/* ---- only.c: a query for some messages of an account ---- */
/* The query's messages that no other database had, and the words that restrict it to them. */
void only_these(struct run *, notmuch_database_t *, struct buf *words);
bool send_only(struct run *, notmuch_message_t *, struct err *err);
void only_free(struct run *);

/* ---- rank.c: the best first ---- */
void ranking_begin(struct run *);
bool ranking_full(const struct run *);
void rank(struct run *, struct side *);
/* Those from `skip` on, as many as are wanted; ends the ranking. */
bool send_ranked(struct run *, uint32_t limit, uint32_t skip, bool *canceled_r, struct err *err);
void ranking_free(struct run *);

/* ---- count.c ---- */
bool count_hits(struct run *, uint32_t *count_r, bool *canceled_r, struct err *err);

#endif
