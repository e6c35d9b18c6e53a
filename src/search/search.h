/* search: answers queries from the private notmuch database, read-only, newest first. Parts of the program.
 *
 * One language, notmuch-search-terms(7), with short forms (query_expand). A query cannot be interrupted inside
 * libnotmuch: whoever typed on sends the next one, which cancels this between two hits, or kills the program. */
#ifndef TUIMAIL_SEARCH_SEARCH_H
#define TUIMAIL_SEARCH_SEARCH_H

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "store/read.h"

struct search {
    char *index, *config, *state;
    char *fields;            /* of the header, that queries of tuimailrc ask for, one a line */
    char **accounts;         /* names */
    struct reader **readers; /* one per account, NULL until needed */
    size_t naccounts;
    struct chan *client;
    char *own, *own_dir; /* option index-database as it is written, and where the database is; NULL: none */
    char *own_config[3]; /* where notmuch looks for its configuration */
};
/* The account's reader, opened when first asked for; NULL (logged) where it cannot be. */
struct reader *search_reader(struct search *, size_t account);

/* Rewrites the short forms at the start of a word outside quotes; everything else stays for notmuch:
 * f: t: s: c: -> from: to: subject: (to: also covers Cc); is:unread is:read is:flagged is:starred is:replied is:NAME ->
 * tag:; has:attachment -> tag:attachment; in:MAILBOX -> the folders of that name or role in all accounts; newer:7d
 * older:2w (h d w m y), after:DATE before:DATE -> date:; header:FIELD=WORDS and
 * spam:yes spam:no spam:LEVEL -> what filters wrote (mail/filter.h). False with ERR_QUERY where a short form makes no
 * sense. `account` ("" all) limits the result to one account. */
bool query_expand(struct search *, struct str query, struct str account, struct buf *out, struct err *);
/* What restricts a query to a mailbox of the account, or to all inboxes (QUERY_INBOXES). False: there is none. */
bool query_box(struct search *, struct str account, uint64_t box, struct buf *out);

/* Answers one QUERY with HITs, SEARCH_COUNT and QUERY_DONE. *next_r is a message that came meanwhile and ended it (kind
 * MSG_NONE: none). False when the channel ended. */
bool search_run(struct search *, const struct m_QUERY *, struct msg *next_r, struct err *);

#endif
