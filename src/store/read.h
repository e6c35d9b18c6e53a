/* store, reading side: keyset windows over an account's cache.db and keep.db for `ui`, `search` and the headless
 * commands.
 *
 * Readers open the databases read-only after WELCOME told the schema. Every call is one short read transaction of a
 * covering index (a screenful: tens of microseconds, whatever the mailbox holds) and none outlives the call, but for
 * reader_hold. Strings in
 * rows are raw bytes of mail: clean them before drawing; they are valid until the next call on the same reader. Errors:
 * ERR_STORE, ERR_STORE_NEWER; a database that is not there yet reads as empty. SQLite is used in src/store alone. */
#ifndef TUIMAIL_STORE_READ_H
#define TUIMAIL_STORE_READ_H

#include "base/base.h"
#include "ipc/ipc.h"
#include "mail/row.h"

struct reader;
/* `state_dir` is ROOT/state (or the option state-dir), `account` the account's name. */
struct reader *reader_open(const char *state_dir, const char *account, struct err *);
void reader_close(struct reader **);
/* Changes whenever anything in cache.db or keep.db was committed by the store (PRAGMA data_version): cheap enough for
 * each frame. */
uint64_t reader_version(struct reader *);
/* The calls until the release that belongs to it are one read transaction: they see one state, and are spared what a
 * transaction costs each of them (some 15 us, which is most of what a row costs). For some milliseconds: what is held
 * keeps the store from making its log small. Ask for reader_version before. */
void reader_hold(struct reader *);
void reader_release(struct reader *);
/* Has the search index not all headers of what is here? Cheap enough for each letter of a query. */
bool reader_unindexed(struct reader *);

struct box_row {
    uint64_t id;
    struct str name, utf8; /* server's bytes; decoded path with delim */
    char delim;
    uint32_t attrs;         /* enum box_attr */
    uint8_t role;           /* enum box_role: by option, else by SPECIAL-USE, else by the usual names */
    uint32_t total, unread; /* shown counts: server state + pending intents */
    uint32_t known;         /* rows present here; < total while the list fills */
    uint64_t size;          /* octets on the server, UINT64_MAX unknown */
    bool readonly;
    bool local; /* no server has said anything of it: it is here alone, or it was never asked */
};
typedef void box_row_fn(void *arg, const struct box_row *);
/* All mailboxes: INBOX, those with a role, one's own others, other users', shared ones; each by name. */
bool reader_boxes(struct reader *, box_row_fn *, void *arg, struct err *);
bool reader_box(struct reader *, uint64_t box, struct box_row *row_r, struct err *); /* row_r->id 0: gone */
bool reader_box_by_role(struct reader *, uint8_t role, struct box_row *row_r, struct err *);
bool reader_box_by_name(struct reader *, struct str utf8, struct box_row *row_r, struct err *);

/* Quota as the server said it last: resource "STORAGE" counts 1024 octets. */
struct quota_row {
    struct str root, resource;
    uint64_t used, limit;
};
typedef void quota_fn(void *arg, const struct quota_row *);
bool reader_quota(struct reader *, quota_fn *, void *arg, struct err *);
void quota_words(const struct quota_row *, struct buf *out); /* "940 MB of 10 GB" */
unsigned quota_percent(const struct quota_row *);            /* 100 at most */
/* What the server said of itself: "id", "prefix" (db_server_set); absent adds nothing. Raw. */
bool reader_server(struct reader *, const char *name, struct buf *out, struct err *);
/* All of it in words: what ("server", "quota", "largest mailboxes"), words (raw), percent in use where it is a quota.
 */
typedef void fact_fn(void *arg, const char *what, const char *words, unsigned percent);
bool reader_facts(struct reader *, fact_fn *, void *arg, struct err *);

/* By what a list is sorted. Date, arrival and size fall; senders and subjects rise, and within one of them the dates.
 */
enum list_order {
    ORDER_DATE,
    ORDER_ARRIVAL,
    ORDER_SIZE,
    ORDER_FROM,
    ORDER_SUBJECT,
    ORDER_COUNT,
    ORDER_RELEVANCE = ORDER_COUNT, /* of hits alone, by what was searched for: the databases know nothing of it */
};
#define ORDER_RISES(order) ((order) == ORDER_FROM || (order) == ORDER_SUBJECT)
/* Where a row stands: in a list by date (date, id), else before them the number or the text of its order. */
struct row_key {
    int64_t date;
    uint64_t id;
    int64_t number;
    struct str text;
};
#define ROW_KEY(date, id) ((struct row_key){(date), (id), 0, {"", 0}})
static inline struct row_key row_key_of(const struct msg_row *row, enum list_order order) /* borrows the row's text */
{
    return (struct row_key){row->date, row->id,
                            order == ORDER_ARRIVAL ? (row->arrived ? row->arrived : row->date)
                            : order == ORDER_SIZE  ? (int64_t)MIN(row->size, (uint64_t)INT64_MAX)
                                                   : 0,
                            order == ORDER_FROM      ? row->sort_from
                            : order == ORDER_SUBJECT ? row->sort_subject
                                                     : (struct str){"", 0}};
}
enum list_filter { LIST_ALL, LIST_UNREAD, LIST_FLAGGED };
/* Rows shown in `box` (0: union of all boxes of role inbox) from `from` on: `older` true goes down the list (rows after
 * from), false goes up. `from` NULL starts at the newest (older) or oldest (!older). Rows come in list order of the
 * walk, at most `max`. */
typedef void msg_row_fn(void *arg, const struct msg_row *);
bool reader_rows(struct reader *, uint64_t box, enum list_filter, const struct row_key *from, bool older, unsigned max,
                 msg_row_fn *, void *arg, struct err *);
/* The same in another order: `down` goes down the list. With a filter that leaves few rows these are sorted, with one
 * that leaves many the order's index is walked. */
bool reader_sorted(struct reader *, uint64_t box, enum list_filter, enum list_order, const struct row_key *from,
                   bool down, unsigned max, msg_row_fn *, void *arg, struct err *);
/* Counts rows (of an order other than by date) from the top of the list (`at` NULL: its beginning) to above `to` (NULL:
 * its end), `max` of them at most: some 2 ms for 20,000, ten times that with a filter. *done_r: `to` was reached; else
 * *at_r is the last one counted, where to go on, its text until the next call. */
bool reader_sorted_count(struct reader *, uint64_t box, enum list_filter, enum list_order, const struct row_key *at,
                         const struct row_key *to, unsigned max, uint32_t *n_r, struct row_key *at_r, bool *done_r,
                         struct err *);
/* One message by id; row_r->id 0: gone. Strings live until the next call. */
bool reader_row(struct reader *, uint64_t msg, struct msg_row *row_r, struct err *);
/* Rank of a key (0 newest) and number of rows: by counters per block, not by counting rows. */
bool reader_rank(struct reader *, uint64_t box, enum list_filter, const struct row_key *, uint32_t *rank_r,
                 uint32_t *total_r, struct err *);
/* The row at `rank` (for End, percent, page jumps). */
bool reader_at_rank(struct reader *, uint64_t box, enum list_filter, uint32_t rank, struct msg_row *row_r,
                    struct err *);
/* All messages of that Message-ID (with or without <>), wherever they are; 10,000 at most. */
bool reader_find_msgid(struct reader *, struct str msgid, msg_row_fn *, void *arg, struct err *);
/* A copy of `of`, a message of another account, that has one of the tags which `words` ("+x -y") takes off; one of each
 * message, for the tags are those of all its copies in an account. Found is what any copy has, so the last word about a
 * tag is for all of them. */
bool reader_find_tagged(struct reader *, const struct msg_row *of, struct str words, msg_row_fn *, void *arg,
                        struct err *);
/* By the index's path "ACCOUNT/..." (search hits): the message (0: none) and the mailbox that shows it (0: none, it is
 * on its way out). */
bool reader_find_path(struct reader *, struct str path, uint64_t *msg_r, uint64_t *box_r, struct err *);
/* The same the other way: the path under which the index has it; empty where it has none. */
bool reader_place(struct reader *, uint64_t msg, struct buf *out, struct err *);
/* Its first words, raw; where they are not known none. */
bool reader_preview(struct reader *, uint64_t msg, struct buf *out, struct err *);
bool reader_tags(struct reader *, uint64_t msg, struct buf *out, struct err *); /* blank separated */
/* Has any message of the account this tag, or (begins) one that begins so? */
bool reader_tag_used(struct reader *, struct str tag, bool begins, bool *used_r, struct err *);
/* All tags of the account, by name, with how many messages have each. Linear in them. */
typedef void tag_count_fn(void *arg, struct str tag, uint32_t count);
bool reader_tag_names(struct reader *, unsigned max, tag_count_fn *, void *arg, struct err *);
/* Messages of the same thread, oldest first. */
bool reader_thread(struct reader *, uint64_t thread, unsigned max, msg_row_fn *, void *arg, struct err *);

/* A thread as a threaded list of `box` shows it: only what of it is in that mailbox counts. */
struct thread_row {
    uint64_t thread;
    int64_t newest; /* date of its newest message there */
    uint32_t count, unread, flagged;
};
typedef void thread_row_fn(void *arg, const struct thread_row *);
/* Threads with a message in `box` (not 0), newest first: keys are (newest, thread), windows as in reader_rows.
 * Filtered: those with such a message there. */
bool reader_threads(struct reader *, uint64_t box, enum list_filter, const struct row_key *from, bool older,
                    unsigned max, thread_row_fn *, void *arg, struct err *);
/* One of them; row_r->thread 0: none of its messages is there. */
bool reader_thread_row(struct reader *, uint64_t box, uint64_t thread, struct thread_row *row_r, struct err *);
/* How many stand above a key, and how many there are: by counters per block; with a filter they are counted, some 5 ms
 * for 100,000. */
bool reader_thread_rank(struct reader *, uint64_t box, enum list_filter, const struct row_key *, uint32_t *rank_r,
                        uint32_t *total_r, struct err *);
/* Its newest message in `box`; row_r->id 0: none. Strings live until the next call. */
bool reader_thread_newest(struct reader *, uint64_t box, uint64_t thread, struct msg_row *row_r, struct err *);
/* Where a message stands in the tree of its thread. */
struct thread_place {
    uint32_t depth; /* 0: it answers nothing that is here */
    bool last;      /* no reply to the same message follows */
    uint64_t lines; /* bit n: what stands above it at depth n + 1 is followed by another reply */
    bool elsewhere; /* it is in another mailbox */
};
typedef void thread_msg_fn(void *arg, const struct msg_row *, const struct thread_place *);
/* The messages of the thread in `box`, each reply below what it answers, or what that answered where it is not here; by
 * date among themselves. `others`: those of other mailboxes too, but Trash, spam and drafts. The newest 5000 of a
 * longer thread. References are hostile: loops end (THREATS 108). */
bool reader_thread_tree(struct reader *, uint64_t box, bool others, uint64_t thread, thread_msg_fn *, void *arg,
                        struct err *);
/* What links the messages of a thread, in whatever mailbox, newest first; the newest 5000 of a longer one. Strings live
 * during the call. */
struct thread_node {
    uint64_t id, box;
    int64_t date;
    uint32_t flags;
    struct str msgid, refs; /* ids without <>; blank separated, as they came */
};
typedef void thread_node_fn(void *arg, const struct thread_node *);
bool reader_thread_nodes(struct reader *, uint64_t thread, thread_node_fn *, void *arg, struct err *);
/* Threads of this account that have a message with one of these ids or refer to it: each once, `max` at most. */
bool reader_threads_of(struct reader *, const struct str *msgids, size_t n, uint64_t *threads, size_t max,
                       size_t *found_r, struct err *);
/* What a list keeps of many rows: box (0: gone), thread, date, arrived, size, flags and what they are sorted by,
 * nothing else; some 2 us each. Strings live during the call. */
bool reader_keys(struct reader *, const uint64_t *ids, size_t n, msg_row_fn *, void *arg, struct err *);

struct outbox_row {
    uint64_t id;
    uint8_t state;
    int64_t due, created;
    struct str rcpts, subject, text;
};
typedef void outbox_row_fn(void *arg, const struct outbox_row *);
bool reader_outbox(struct reader *, outbox_row_fn *, void *arg, struct err *);
void outbox_words(const struct outbox_row *, struct buf *out); /* raw: `send to bob@example.org: "budget"` */
bool outbox_waits(const struct outbox_row *);                  /* it will go out by itself */
bool outbox_unsent(const struct outbox_row *);                 /* refused, or nobody knows: it waits for the user */
/* ROOT/drafts/ACCOUNT.NUMBER.held: what a mail of the outbox was written as, where it was written in the ui. The
 * caller frees it. */
char *outbox_draft(const char *root, const char *account, uint64_t id);
/* Addresses met in mail, those met often and lately first, whose name or address has words that begin so (each word of
 * `prefix`; case and accents do not count): for completion. At most 200. However many there are, a few thousand are
 * looked at: of words that very many have, the best. */
struct address_row {
    struct str name, addr;
    int64_t rank; /* more is better, of several accounts too */
};
typedef void address_fn(void *arg, const struct address_row *);
bool reader_addresses(struct reader *, struct str prefix, unsigned max, address_fn *, void *arg, struct err *);
/* Intents that are not on the server, oldest first, at most `max`. state: 0 waits, 1 sent, 2 sent with an unknown end.
 */
struct queue_row {
    uint64_t intent;
    enum intent_kind kind; /* as replayed: ARCHIVE, TRASH, SPAM are MOVE */
    uint8_t state;
    uint32_t set, clear, count; /* count: messages */
    int64_t due;                /* held back until then */
    bool inverse;               /* made by undo */
    bool whole;                 /* flags of a whole mailbox: count is 0 */
    struct str arg, box, target, subject;
};
typedef void queue_row_fn(void *arg, const struct queue_row *);
bool reader_queue(struct reader *, unsigned max, queue_row_fn *, void *arg, struct err *);
/* It in words, raw: `move from INBOX to Archive: "budget"`. */
void queue_words(const struct queue_row *, int64_t now, struct buf *out);
/* How many intents are not settled, and how many mails of the outbox are held, queued or being sent. */
bool reader_pending(struct reader *, uint32_t *intents_r, uint32_t *outbox_r, struct err *);

#endif
