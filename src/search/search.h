/* search: answers queries (QUERY) from the private notmuch database, and the user's own beside it (own.h), read-only,
 * in the order asked for. Parts of the program.
 *
 * The language is that of query/query.h. A query cannot be interrupted inside libnotmuch: when the user types on, the
 * client sends the next one, which cancels this between two hits, or kills the program. */
#ifndef TUIMAIL_SEARCH_SEARCH_H
#define TUIMAIL_SEARCH_SEARCH_H

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "own/own.h"
#include "query/query.h"
#include "store/read.h"

struct search {
    struct conf *conf;
    char *index, *config, *state;
    char *fields;            /* of the header, that queries of tuimailrc ask for, one a line */
    char **accounts;         /* names */
    struct reader **readers; /* one per account, NULL until needed */
    size_t naccounts;
    struct chan *client;
    struct own own; /* the user's own database, beside ours */
};
/* The account's reader, opened when first asked for; NULL (logged) where it cannot be. */
struct reader *search_reader(struct search *, size_t account);

/* Writes the query as libnotmuch takes it (query/query.h): in:NAME is the mailboxes of that name or role in all
 * accounts. `account` ("" all) limits the result to one account. */
bool search_expand(struct search *, struct str query, struct str account, struct buf *out, struct err *err);

/* From here on the query has its time; it is over with limit_end. One with a regexp that takes too long is answered,
 * and the program ends. */
void limit_begin(const struct m_QUERY *);
void limit_end(void);
/* What restricts a query to a mailbox of the account, or to all inboxes (QUERY_INBOXES). False: there is none. */
bool query_box(struct search *, struct str account, uint64_t box, struct buf *out);

/* Asks the index for nothing: the next query finds it mapped. What is wrong with it that query says. */
void search_touch(struct search *);
/* Answers one QUERY with HIT or HITS, HIT_COUNT where it is wanted, and QUERY_DONE. *next_r is a message that came
 * meanwhile and ended it (kind MSG_NONE: none). False when the channel ended. */
bool search_run(struct search *, const struct m_QUERY *, struct msg *next_r, struct err *);

#endif
