/* What the list's files share: rows as they are read, and the order that threads bring. */
#ifndef TUIMAIL_UI_LIST_INT_H
#define TUIMAIL_UI_LIST_INT_H

#include "ui/model.h"

struct gather { /* rows that are read */
    const struct list *list;
    unsigned account;
    struct list_row *rows;
    unsigned n, cap, got;
};
struct list_row row_copy(unsigned account, const struct msg_row *);
struct list_row row_of_file(unsigned account, const struct msg_row *, struct str path); /* of no account's message */
void row_free(struct list_row *);
void rows_free(struct list_row *, unsigned n);
/* Applies what the user did and the store has not answered; false where the row leaves the list by it. */
bool row_changes(const struct list *, struct list_row *);
struct list_row row_again(const struct list_row *); /* a copy, for one whose message is gone */
/* In the list's order: a merge of what the accounts gave. */
void gather_sort(struct gather *);
void gather_add(struct gather *, struct list_row); /* takes the row */
/* Of rows read around `from`, more than wanted, keeps those next to it: beyond them accounts may have gaps. True where
 * any were dropped. */
bool gather_trim(struct gather *, bool down, unsigned want);
/* Accounts that take part: lo to hi - 1. */
void list_accounts(const struct list *, unsigned *lo_r, unsigned *hi_r);

/* What a row stands by in the list's order. */
struct row_key row_place(const struct list *, const struct list_row *);
/* The list's order, not reversed, of keys and their accounts. Rows that are equal but for their accounts stand in the
 * order of the accounts: it is total. */
int key_compare(enum list_order, const struct row_key *, unsigned account_a, const struct row_key *,
                unsigned account_b);
bool row_kept(const struct list_row *, enum list_filter);
/* In the list's order, from the first on. */
int list_compare(const struct list *, const struct list_row *, const struct list_row *);
/* Where account `b` goes on from the row of another; of a flat list. */
struct row_key row_key_for(const struct list *, const struct list_row *from, unsigned b);
/* Reads about `want` rows beyond `from` (NULL: from the end of the list), down the list or up, from all accounts that
 * take part. The rows come in the list's order. *end_r: there is nothing beyond them. */
bool rows_read(const struct list *, const struct list_row *from, bool down, unsigned want, struct gather *out,
               bool *end_r, struct err *);
/* The same as if no day were folded. */
bool rows_plain(const struct list *, const struct list_row *from, bool down, unsigned want, struct gather *out,
                bool *end_r, struct err *);
uint64_t box_of(const struct list *, unsigned account); /* the mailbox of this account that is listed; 0: none */
/* A row read again; false where it is no longer in the list (row_r->mem NULL: gone altogether). */
bool row_read(const struct list *, const struct list_row *old, struct list_row *row_r);

/* ---- hits.c: the same questions of a list of hits ---- */
void hits_fini(struct list *);
bool reach_hit(struct list *, uint32_t rank, struct err *); /* list.c: the row of that number */
void list_to_newest(struct list *);                         /* list.c: another list begins */
struct hits *hits_copy(const struct hits *);
/* Looks up those that are new, and all again where the databases changed (`again`), for some milliseconds; true: what
 * is shown changed. */
bool hits_update(struct list *, bool again);
void hits_reorder(struct list *); /* order or filter are others now */
bool hits_rows(const struct list *, const struct list_row *from, bool down, unsigned want, struct gather *out,
               bool *end_r);
bool hits_row(const struct list *, const struct list_row *old, struct list_row *row_r);
/* Where its id is 0, by the Message-ID. False: it is none, or gone. */
bool hits_find(const struct list *, struct ref, struct str msgid, struct list_row *row_r);
bool hits_at_rank(const struct list *, uint32_t rank, struct list_row *row_r); /* of those that are shown */
void hits_rank(const struct list *, uint32_t *rank_r, uint32_t *total_r);      /* of the cursor's row */
struct ref hits_unread(const struct list *, bool down);                        /* nearest beyond the cursor */
uint32_t hits_unread_count(const struct list *);
/* ---- hits_threads.c: by threads ---- */
void groups_free(struct hits *);
bool groups_make(struct list *); /* after the order changed */
bool groups_read(const struct list *, const struct list_row *from, bool down, unsigned want, struct gather *out,
                 bool *end_r, struct err *);
bool groups_own(const struct list *, const struct list_row *anchor, struct gather *out, struct err *);
void groups_rank(const struct list *, uint32_t *rank_r, uint32_t *total_r);
bool groups_at_rank(const struct list *, uint32_t rank, struct list_row *row_r); /* its newest */
bool groups_refs(const struct list *, const struct list_row *, struct refs *out);
struct ref groups_unread(const struct list *, bool down);

/* ---- list_tree.c ---- */
/* The messages of a thread of the account: those in the list; across: and what of it is in other mailboxes and
 * accounts. */
void grove_thread(const struct list *, unsigned account, uint64_t thread, bool across, struct gather *out,
                  struct err *err);

/* ---- list_rank.c ---- */
void rank_read(struct list *);             /* after the window was read */
void rank_count(struct list *);            /* goes on with a count that is under way, for some milliseconds */
bool seek_on(struct list *, struct err *); /* goes on with list_reach_rank, for some milliseconds; true: it is there */
void seek_end(struct list *);
/* The cursor came from row `from` of the window: a sorted list's rank is not counted again. */
void rank_moved(struct list *, unsigned from);

/* ---- list_days.c: where days are folded ---- */
int day_of(int64_t date);
bool days_folded(const struct list *);                        /* any, maybe */
bool day_hides(const struct list *, const struct list_row *); /* that of this row */
/* What stands between the day of that date and the one after it (else before it); no row of the list. */
struct list_row day_edge(const struct list *, int64_t date, bool after);
struct list_row day_row(struct list_row first); /* takes the first row of the day */
/* The row of the folded day that this one is of; false: it has none. */
bool day_first(const struct list *, const struct list_row *of, struct list_row *row_r, struct err *);
bool days_read(const struct list *, const struct list_row *from, bool down, unsigned want, struct gather *out,
               bool *end_r, struct err *);
bool day_refs(const struct list *, const struct list_row *of, struct refs *out, struct err *);
struct day_count {
    uint32_t n, unread, threads;
    int64_t from; /* the day begins then */
    struct row_key at;
    bool past, more; /* more: they are that many at least */
};
void day_count(const struct list *, struct list_row *);
void days_count(struct list *); /* of those on the screen */
void hits_count(const struct list *, const struct list_row *top, const struct list_row *bottom, struct day_count *);
void groups_count(const struct list *, const struct list_row *top, const struct list_row *bottom, struct day_count *);

/* ---- list_threads.c: the same questions for a list by threads ---- */
int threads_order(const struct list *, const struct list_row *, const struct list_row *);
bool thread_folded(const struct list *, struct ref group);
bool threads_read(const struct list *, const struct list_row *from, bool down, unsigned want, struct gather *out,
                  bool *end_r, struct err *);
/* The rows of the thread that `anchor` belongs to, and which of them the cursor is on: a ghost of `anchor` where its
 * message is no longer in the list. */
void threads_own(const struct list *, const struct list_row *anchor, struct gather *out, unsigned *at_r, struct err *);
/* Rank and total, in threads. Counting them takes a while in a long list, so it is done seldom enough. */
void threads_rank(struct list *);
/* The cursor came from row `from` of the window. */
void threads_moved(struct list *, unsigned from);
uint32_t threads_later(const struct list *, int64_t date);
/* A message of the nearest thread beyond the cursor's that has an unread one; REF_NONE: there is none. */
struct ref threads_unread(const struct list *, bool down, struct err *);

#endif
