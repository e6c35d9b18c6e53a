/* Models of the panes, without a screen: accounts, the mailbox pane, the message list, pending actions, the selection.
 *
 * They read the databases through store/read.h in short calls of a screenful, keep copies of what they show, and name
 * messages by account and local id, never by row. Strings are raw bytes of mail until they are drawn. */
#ifndef TUIMAIL_UI_MODEL_H
#define TUIMAIL_UI_MODEL_H

#include "conf/conf.h"
#include "ipc/ipc.h"
#include "query/query.h"
#include "store/read.h"

/* ---- Accounts ---- */
#define ACCOUNTS_MAX 64
struct acct {
    char *name;
    const struct account *conf; /* NULL where the store knows one that tuimailrc does not name */
    struct reader *reader;      /* NULL until the databases may be opened */
    uint64_t version;           /* reader_version when rows were read last */
    uint8_t state;              /* enum account_state */
    bool known;                 /* the store has told its state */
    uint8_t full;               /* percent of the tightest quota */
    uint32_t queued, outbox, caching;
    int64_t queued_ms;         /* since when some are; 0: none is */
    uint32_t refused, unknown; /* mails that were not, or perhaps, sent */
    bool held;                 /* its changes wait for the choice of `identity` */
    bool offline;              /* the user's word; kept while the store is away */
    int64_t again;             /* wall clock of the next try to connect, 0 none */
    enum err_kind why;
    char text[400]; /* why, raw */
    /* its passes over a maildrop, as told: "" none; a look for new mail that was asked for here is under way */
    char pass[200];
    int64_t pass_ms;
    uint64_t pass_done;
    bool asked;
    int64_t rows_ms; /* rows of its lists come: since when, and how many were there; 0: none do */
    uint64_t rows_from;
    bool trouble; /* it could not be connected since it was last */
    /* its password is wanted, for this service, maybe as the last one was refused; declined: the user gave none */
    bool secret_wanted, secret_refused, secret_declined;
    uint8_t secret_service;
};
struct accts {
    struct acct list[ACCOUNTS_MAX];
    unsigned n;
};
void accts_init(struct accts *, const struct conf *);
void accts_fini(struct accts *);
/* Opens the readers that are not open. The first failure is in *err; the others are opened all the same. */
bool accts_open(struct accts *, const char *state_dir, struct err *);
/* Its mailboxes are here, in a Maildir (POP3's too): what is done to them goes to no server. */
static inline bool acct_is_local(const struct acct *a)
{
    return a->conf && (a->conf->in.proto == PROTO_MAILDIR || a->conf->in.proto == PROTO_POP3);
}
/* Index, or -1; `add` makes room for an unknown one while there is some. */
int accts_find(struct accts *, struct str name, bool add);

/* ---- Messages by identity ---- */
struct ref {
    unsigned account;
    uint64_t id;
};
static inline bool ref_eq(struct ref a, struct ref b)
{
    return a.account == b.account && a.id == b.id;
}
#define REF_NONE ((struct ref){0, 0})

/* A set of messages: a bit for each, in pages of neighbouring ids, so that a million messages of a mailbox are some
 * hundred kilobytes. Its order is that of accounts and ids. */
struct refs {
    struct refs_page *pages;
    size_t npages, cap, n; /* n: messages */
};
#define REFS_PAGES_MAX 1000000u /* 80 MB, whatever the ids are */
void refs_fini(struct refs *);
void refs_clear(struct refs *);
bool refs_add(struct refs *, struct ref); /* false where it was there, or past REFS_PAGES_MAX */
bool refs_drop(struct refs *, struct ref);
bool refs_has(const struct refs *, struct ref);
/* *at becomes the first one behind it, the first of all behind REF_NONE; false where none is left. */
bool refs_next(const struct refs *, struct ref *at);

/* ---- Actions under way: what the user did and the store has not confirmed is shown as done ---- */
struct change {
    uint32_t req;
    struct ref ref;
    uint32_t set, clear; /* enum mail_flags */
    bool hide;           /* leaves the list */
};
struct changes {
    struct change *list;
    size_t n, cap;
};
void changes_add(struct changes *, struct change);   /* until changes_settle with its req */
void changes_settle(struct changes *, uint32_t req); /* answered: the databases tell now */
void changes_fini(struct changes *);

/* ---- The message list ---- */
enum list_source { LIST_NONE, LIST_BOX, LIST_INBOXES, LIST_HITS };
struct list_row {
    struct ref ref;
    uint64_t box, thread;
    int64_t date, arrived;
    uint64_t size;
    uint32_t flags, attrs, state;
    struct str from_name, from_addr, to, subject, msgid, list_id, tags, sort_from, sort_subject; /* in mem */
    struct str path; /* its file, absolute, where no account has it (ref.id 0); in mem */
    char *mem;
    bool ghost;   /* no longer in the list; shown until the cursor leaves it */
    bool pending; /* an action on it is under way */
    /* in a list by threads */
    int64_t newest;           /* date of the thread's newest message */
    unsigned place_no, count; /* in the thread, from 0 on; messages of it in this list */
    struct thread_place place;
    int day;                    /* where the list is grouped by days */
    bool folded;                /* one row for the whole thread: its newest message; or for the whole day */
    bool folded_day;            /* where the list is grouped: its first message stands for all of the day */
    bool day_counted, day_more; /* these are known, and are that many at least: */
    uint32_t day_n, day_unread; /* messages of the folded day */
    struct ref group; /* the thread: an account, and a thread of its; across accounts one of them stands for all */
    struct ref lead;  /* what threads of the same date stand by */
    int64_t score;    /* by ORDER_RELEVANCE */
    uint32_t hit;     /* of LIST_HITS: one that no database has, from 1 on; 0: a row */
    uint8_t sources;  /* enum hit_source: HITS_SERVER alone is not on this machine as far as the index knows */
};
/* ---- Hits: the messages of a LIST_HITS, as sources tell them (hits.c) ----
 * Any source may add hits at any time, in any order, the same one as others or twice: the list keeps each message once,
 * in its own order, and the cursor stays where it is. What they look like is read from the databases when they come
 * near the screen; the list keeps 48 bytes and two positions of each. A source tells its hits in rounds: those of its
 * round before that it does not tell again are not hits by it any more when the round ends, so asking again is how a
 * list stays live. */
enum hit_source { HITS_INDEX = 1, HITS_SERVER = 2, HITS_STORE = 4 }; /* search; servers; the databases themselves */
struct hit {                                                         /* its strings are borrowed */
    struct ref ref; /* id 0: no database has it; then it is known by msgid within the account, and by what follows */
    int64_t date;
    uint64_t conversation; /* equal for the messages of a thread, whatever the account; 0: not known */
    struct str msgid, from, subject, path;
    uint64_t size;
    uint32_t flags;
};
#define HITS_MAX 100000u /* those that come behind are counted, not kept: ui_gather asks for them */
struct hits;
/* Where the cursor stays, whatever comes: on its row once it was moved or a key pressed; before that on the first row,
 * or on the newest where that is the last; behind list_last, until the next key, on the last. STAY_ASKED: on its row,
 * until the one that was asked for is here, or the next key. */
struct awaited { /* a message: by its id, or where no database has it by its Message-ID, raw */
    struct ref ref;
    char msgid[256];
};
static inline bool awaits(const struct awaited *a)
{
    return a->ref.id || a->msgid[0];
}
enum list_stay { STAY_NEWEST, STAY_ROW, STAY_OLDEST, STAY_ASKED };
struct list {
    struct accts *accts;
    struct changes *changes;
    int64_t (*clock)(void); /* clock_mono_ms; tests of what is done in pieces have one of their own */
    enum list_source source;
    unsigned account; /* LIST_BOX */
    uint64_t box;
    bool outgoing; /* names in rows are recipients (Sent, Drafts) */
    enum list_filter filter;
    enum list_order order;
    bool group;              /* a heading for each day, where the order is by one */
    bool fold_days;          /* all days but those in `turned_days` are folded; else only those */
    struct refs turned_days; /* the days as ids */
    bool reverse;            /* the other way round: the oldest first, the Zs first */
    char *title;             /* raw */
    char *query;             /* LIST_HITS: what was asked, or NULL */
    char *typed; /* LIST_HITS: the query without what `begun` added, of the lists below too; NULL: as query */
    bool begun;  /* LIST_HITS: of the title it asks also for what its last word begins (query_begun) */
    struct query_words *words; /* of words_of: list_searched */
    char *words_of;
    const struct list *limits; /* LIST_HITS: the list of mailboxes whose messages these are, below it; or NULL */
    bool within;               /* LIST_HITS: a limit of the hits that the list below it has */
    bool whole;                /* LIST_HITS: its messages are one conversation: */
    struct ref whole_of;       /* that of this message */
    bool live, old;            /* LIST_HITS: query and limits say all of it; and something changed since it was asked */
    int64_t asked_ms, cost_ms; /* when it was asked, and how long the answer took */
    struct hits *hits;         /* LIST_HITS */
    uint32_t asked;            /* LIST_HITS: how many the sources say there are; 0: not known */
    bool ordered;              /* LIST_HITS: option search-order was heard */
    bool full_hits;            /* all rounds have ended */
    bool failed;               /* LIST_HITS: the index could not be read */
    struct awaited awaited;    /* LIST_HITS, STAY_ASKED: the cursor goes there when it is here */
    /* the window: rows near the screen, in the list's order */
    struct list_row *rows;
    unsigned n;
    bool first_here, last_here; /* rows[0] is the first of all, rows[n - 1] the last */
    unsigned cur, top, height;  /* indices into rows; height: rows on the screen */
    uint32_t rank, total;       /* of the cursor; total 0: not known */
    bool rank_unknown;          /* of a sorted list it is counted piece by piece */
    struct list_count {
        bool on;
        unsigned account; /* whose rows are counted now, on from `at`, up to `to` */
        struct row_key at;
        struct list_row to;
        char text[64];
        uint32_t n;
        int64_t moved; /* rows that the cursor went since */
    } count;
    struct list_seek *seek; /* of a sorted list: the row of a number, looked for piece by piece */
    uint32_t older;         /* of the rows that are still to come, so many lie below the cursor */
    uint32_t unread;
    bool stale; /* read again before the next frame */
    enum list_stay stay;
    /* by threads: newest first, by their newest message; the messages of one as a tree, or folded into one row */
    bool threads, across, fold;    /* fold: all but those in `turned` are; else only those */
    struct refs turned;            /* account and thread */
    int64_t rank_ms, rank_cost_ms; /* when rank was counted last, and for how long */
    bool rank_old;
};
/* Is it shown by threads? */
bool list_threaded(const struct list *);
/* Is it all messages of mailboxes, newest first, as servers tell them? */
bool list_dated(const struct list *);
/* The words that the list was searched for; until its query is another. None for mailboxes. */
const struct query_words *list_searched(struct list *);
/* Another order; the cursor stays on its message. ORDER_RELEVANCE: of hits of a query, others stay as they are. */
void list_set_order(struct list *, enum list_order, bool reverse);
/* With a heading for each day? Not where the order is another. */
void list_set_group(struct list *, bool on);
bool list_grouped(const struct list *);
/* Folds the day that the row is of into its heading, or unfolds it; or all days. */
void list_fold_day(struct list *, const struct list_row *, bool fold);
void list_fold_days(struct list *, bool fold);
/* Does one stand above row `i` of the window, the first of those shown? */
bool list_heading(const struct list *, unsigned i);
/* Lines of the screen from row `from` of the window, which is the first shown, to above row `to`. */
unsigned list_lines(const struct list *, unsigned from, unsigned to);
unsigned list_page(const struct list *);                             /* rows on the screen */
int64_t list_row_date(const struct list *, const struct list_row *); /* by which it is grouped */
/* Is there more to count before the cursor's rank is known? list_update counts on. */
bool list_counting(const struct list *);
void list_set_threads(struct list *, bool on);
void list_set_across(struct list *, bool on); /* with messages of the thread that are in other mailboxes */
/* Folds the thread of the cursor's row, or unfolds it; or all. */
void list_fold(struct list *, bool fold);
void list_fold_all(struct list *, bool fold);
/* All messages of the row's thread that are in this list; the row alone where it is not by threads; of a folded day all
 * that it has. */
bool list_thread_refs(const struct list *, const struct list_row *, struct refs *out, struct err *);
/* The oldest unread message of the row's thread, else its newest. */
struct ref list_thread_unread(const struct list *, const struct list_row *, struct err *);
void list_init(struct list *, struct accts *, struct changes *);
void list_fini(struct list *);
/* Another list that shows the same, its cursor on the same row; `limits` is still that of the first. */
void list_copy(struct list *, const struct list *from, struct err *);
/* Shows a mailbox, all inboxes, or hits; the cursor goes to the newest row. Nothing is read before list_update. */
void list_show_box(struct list *, unsigned account, uint64_t box, struct str title);
void list_show_inboxes(struct list *, struct str title);
void list_show_hits(struct list *, struct str title);
void list_clear_hits(struct list *);
/* A round of a source: what it said before is dropped at the end, or by `clear` (another query) with the first new hit
 * or the end. */
void list_hits_begin(struct list *, enum hit_source, bool clear);
void list_add_hit(struct list *, enum hit_source, const struct hit *);
void list_hits_end(struct list *, enum hit_source);
uint32_t list_hits(const struct list *);      /* how many are kept, whatever the filter */
uint32_t list_hits_over(const struct list *); /* how many found no place in the rounds of now, or were not told */
bool hits_busy(const struct list *);          /* are there some to be looked up still? */
/* One of them, by number: its ref (REF_NONE: it was looked up, and has left the list), date and flags; false past the
 * last. */
bool list_hit_at(const struct list *, uint32_t i, struct hit *hit_r);
bool list_has_hit(const struct list *, struct ref);
/* A cursor whose row the filter leaves out goes to the nearest that stays. */
void list_set_filter(struct list *, enum list_filter);
/* Says how many rows the screen shows. */
void list_set_height(struct list *, unsigned height);
/* Reads the window again where it is stale or the databases changed; the cursor stays on its message and, where that is
 * possible, on its line. True where anything was read. */
bool list_update(struct list *, struct err *);
void list_stale(struct list *);
const struct list_row *list_cursor(const struct list *);           /* NULL for an empty list */
const struct list_row *list_find(const struct list *, struct ref); /* in the window */
/* Moves by rows and reads on where the window ends. False where the cursor did not move. */
bool list_move(struct list *, int64_t by, struct err *);
bool list_first(struct list *, struct err *);
bool list_last(struct list *, struct err *);
/* To the next (below) or previous unread message. */
bool list_unread(struct list *, bool older, struct err *);
bool list_goto(struct list *, struct ref, struct err *);
/* To a row that need not be in the window. */
bool list_reach(struct list *, struct ref, struct err *);
/* Of hits, when it is one: the next list_update that finds it goes there, unless a key is pressed before. */
void list_await(struct list *, const struct awaited *);
/* To the row with so many above it, of those that are here: in a long sorted list list_update comes there, unless a key
 * is pressed before. */
bool list_reach_rank(struct list *, uint32_t rank, struct err *);
/* All from one row of mailboxes to the other, whether they are in the window or not; folded threads whole. */
bool list_range(const struct list *, struct ref, struct ref, struct refs *out, struct err *);
/* The message that an action on `ref` leads to: the older one, else the newer one; REF_NONE where there is none. */
struct ref list_after(const struct list *, struct ref);
void list_check(const struct list *); /* aborts where an invariant is broken: for tests */

/* ---- The mailbox pane ---- */
/* BOXK_PARENT: what mailboxes are below, and is none itself */
enum box_kind { BOXK_INBOXES, BOXK_SAVED, BOXK_ACCOUNT, BOXK_HEADING, BOXK_PARENT, BOXK_BOX };
struct box_item {
    enum box_kind kind;
    unsigned account;
    uint64_t id;
    uint8_t role;
    uint32_t attrs, total, unread, known;
    unsigned depth; /* in the hierarchy */
    char *name;     /* what is shown: last part of the path; raw */
    char *path;     /* whole path, raw */
    char delim;     /* between its parts; 0 none */
    char *query;    /* BOXK_SAVED */
    size_t saved;
    bool counted; /* BOXK_SAVED: unread is known */
    bool aside;   /* not subscribed, where others are */
    bool unasked; /* the server has said nothing of it yet */
};
struct boxes {
    struct box_item *list;
    unsigned n;
    unsigned cur, top, height;
    bool browsed; /* the cursor was moved from another pane, and is not on what the list shows */
    bool stale;
};
#define BOXES_MAX 20000u
void boxes_init(struct boxes *);
void boxes_fini(struct boxes *);
/* Reads all mailboxes again; the cursor stays on its mailbox, or at its place where that is gone. */
bool boxes_update(struct boxes *, struct accts *, const struct conf *, struct err *);
void boxes_move(struct boxes *, int64_t by); /* over items that can be opened */
const struct box_item *boxes_at(const struct boxes *, unsigned i);
const struct box_item *boxes_cursor(const struct boxes *);
const struct box_item *boxes_find(const struct boxes *, unsigned account, uint64_t id);
const struct box_item *boxes_role(const struct boxes *, unsigned account, uint8_t role);
/* Puts the cursor on one of its own. */
void boxes_goto(struct boxes *, const struct box_item *);
/* Is it this mailbox, or below it? */
bool box_within(const struct box_item *, const struct box_item *above);
/* Puts the cursor on what the list shows. */
void boxes_follow(struct boxes *, const struct list *);

#endif
