/* sync: what to do next, as pure functions from what the server says and what is known here.
 *
 * `store` keeps the facts (cache.db and keep.db, the news of `fetch`) and runs the steps that these functions name;
 * nothing here reads a database, a clock or a channel, so every rule is tested alone. Nothing blocks. Numbers from a
 * server are hostile: they are compared, never used as sizes. All memory is the caller's. */
#ifndef TUIMAIL_SYNC_H
#define TUIMAIL_SYNC_H

#include "base/base.h"
#include "mail/row.h"

/* ---- UID sets: packed ranges as in ipc_ranges_* (pairs of u32 lo, hi, little-endian) ------------ */
/* A growing set for one command: sorts and joins at the end. */
struct uid_set {
    uint32_t *uids;
    size_t n, cap, max;
};
#define UID_SET_INIT(maximum) ((struct uid_set){.max = (maximum)})
void uid_set_fini(struct uid_set *);
/* False past max or for UID 0; nothing is added then. */
bool uid_set_add(struct uid_set *, uint32_t uid);
/* Sorts, drops doubles and writes ranges; false where `out` is full. */
bool uid_set_pack(struct uid_set *, struct buf *out);
/* Sorts packed ranges by lo, joins overlaps, drops empty ones (lo 0 or hi < lo); `ranges` may be hostile. False where
 * `out` is full. */
bool ranges_normal(struct str ranges, struct buf *out);
/* How many numbers the normal ranges hold. */
uint64_t ranges_total(struct str normal);

/* ---- IMAP: what the connection does next -------------------------------------------------------- */
#define SYNC_FIRST_PAGE 60
#define SYNC_SLICE 10000 /* rows of a step of the background; fetch cuts it where something urgent comes */
#define SYNC_SMALL 500   /* missing rows that are read whole, in one pass */
#define SYNC_GAPS 32
#define SYNC_FRUITLESS 200
#define SYNC_FLAG_SLICE 5000
#define SYNC_STATUS_EVERY 180 /* seconds between STATUS rounds of the mailboxes that are not open */
#define SYNC_LIST_EVERY 600   /* seconds between LISTs: what other clients create and delete */
#define SYNC_FORE_EVERY 60    /* seconds that the background may keep the connection from the foreground mailbox */

struct sync_span {
    uint32_t lo, hi;
};
/* One mailbox as the plan sees it. */
struct sync_box {
    uint64_t id;
    bool selectable, inbox, watched, low; /* low: Trash, Junk: headers last */
    bool on_request;                      /* doubles of what other mailboxes hold (All Mail): opened when watched */
    bool opened;                          /* BOX_OPEN came on this connection since it was selected last */
    bool was_open; /* it was opened on this connection at some time: changes since then are known by `dirty` */
    bool dirty;    /* STATUS differs from what is known, or the user came to look at it: select it */
    bool failed;   /* SELECT or rows were refused on this connection: left alone */
    uint32_t exists, uidnext; /* server's, after BOX_OPEN or EXISTS */
    uint32_t have;            /* rows of the server known here */
    uint32_t hi_uid;          /* highest known, 0 none */
    uint32_t fetched_uidnext; /* rows up to here were asked for and came: new ones are above */
    bool grew;                /* EXISTS rose since the last new-rows step */
    bool need_uids;           /* removals are not known: compare the UIDs */
    uint32_t flags_below;     /* flags scan: UIDs below this are still to do; 0 no scan */
    /* Which rows are missing: spans of sequence numbers, rising. The list fills from its top; where the user looks
     * elsewhere it has gaps. Known after SELECT of an empty list, or by comparing UIDs. None and yet
     * too few rows: to be compared. */
    struct sync_span gaps[SYNC_GAPS];
    unsigned ngaps;
    unsigned fruitless;    /* slices in a row that brought nothing new */
    bool compared;         /* by UIDs, since it was selected last */
    bool stuck;            /* rows are still missing after that: the counts disagree for good */
    bool thin, page_thin;  /* rows, or those on the screen, may lack what the second pass brings */
    struct sync_span want; /* where the user looks; hi 0: nowhere */
    uint32_t more_below;   /* the second pass has been down to this UID; 0: it begins at the top */
    uint32_t count_tag;    /* of the caller's own */
};
struct sync_facts {
    bool online, listed;
    bool pushed;    /* the server tells of all mailboxes by itself: no rounds but LIST, for what it may have missed */
    bool deep;      /* sync every selectable mailbox (a fetch pass) or none but the watched ones in the foreground */
    bool idle_sync; /* background sync of other mailboxes is allowed now */
    int64_t since_list, since_status; /* seconds; INT64_MAX never */
    int64_t since_fore;               /* seconds since the foreground mailbox was left */
    uint64_t selected;                /* mailbox selected on the connection, 0 none */
    bool watching;                    /* STEP_WATCH is under way for the selected mailbox */
    const struct sync_box *boxes;
    size_t nboxes;
};
enum sync_kind {
    SYNC_NOTHING,
    SYNC_LIST,
    SYNC_SELECT,
    SYNC_TOP,   /* STEP_ROWS_TOP below_seq, count */
    SYNC_NEW,   /* STEP_ROWS from uid_lo up */
    SYNC_MORE,  /* second pass of `count` thin rows, the newest */
    SYNC_FLAGS, /* STEP_FLAGS uid_lo..uid_hi */
    SYNC_UIDS,
    SYNC_STATUS,
    SYNC_WATCH,
};
struct sync_step {
    enum sync_kind kind;
    uint64_t box;
    bool urgent;
    bool whole; /* rows with all that the second pass would bring */
    uint32_t uid_lo, uid_hi, below_seq, count;
};
/* The one next step. First the mailbox on the screen (its first page, the rows wanted, its new mail, its removals and
 * flags), then LIST and STATUS when due, then the second pass of its page, the oldest page and older rows of it, their
 * second pass, then the other mailboxes when allowed, then watching. The answer depends on the facts alone, so a lost
 * answer is simply asked for again. */
struct sync_step sync_next(const struct sync_facts *);
/* The mailbox to open first: the one on the screen, else INBOX. NULL where neither can be opened. */
const struct sync_box *sync_first(const struct sync_box *, size_t n);
/* Anything left to do but watching, LIST and STATUS? A fetch pass ends when not. */
bool sync_busy(const struct sync_facts *);

/* One row is here, of those that were asked for. */
void sync_row_came(struct sync_box *, uint32_t seq);
/* The rows lo..hi were asked for and came; have_before: how many were known before. Where nothing new was among them,
 * the numbers are not to be believed: the UIDs are compared, and what then brings nothing ends. */
void sync_rows_came(struct sync_box *, uint32_t lo, uint32_t hi, uint32_t have_before);
/* `n` messages are gone: the numbers of what is missing fall by as much at most. */
void sync_rows_gone(struct sync_box *, uint32_t n);
/* A comparison of UIDs: the missing spans from the top down between begin and end. Too many become wider ones. */
void sync_compare_begin(struct sync_box *);
void sync_gap(struct sync_box *, uint32_t lo, uint32_t hi);
void sync_compare_end(struct sync_box *);

/* ---- Rows that the user looks at -------------------------------------------------------------- */
/* Is it known which rows are missing? */
bool sync_knows(const struct sync_box *);
/* The row of that sequence number: is it missing; how many newer and older ones are. */
struct sync_place {
    bool missing;
    uint32_t newer, older;
};
struct sync_place sync_place(const struct sync_box *, uint32_t seq);
/* The sequence number of a row that is here, by how many newer ones are. */
uint32_t sync_seq(const struct sync_box *, uint32_t newer);
/* It and so many newer and older ones are asked for before all else, as far as they are missing. */
void sync_want(struct sync_box *, uint32_t seq, uint32_t newer, uint32_t older);

/* What BOX_OPEN means for what is known. resync as in the message. Sets need_uids, flags_below, have, ...; returns true
 * where the mailbox's rows are void (UIDVALIDITY changed or is 0): the caller drops them. */
struct sync_opened {
    uint32_t uidvalidity, uidnext, exists;
    uint8_t resync;
};
bool sync_box_opened(struct sync_box *, uint32_t known_uidvalidity, const struct sync_opened *);

/* ---- POP3 --------------------------------------------------------------------------------------- */
enum pop_known {
    POP_NEW,
    POP_PARTLY, /* its header is here, a stub in the list */
    POP_HAVE,   /* in the ledger: delivered, or deleted here for good */
};
enum pop_take { POP_NOTHING, POP_HEADER, POP_WHOLE };
struct pop_mail { /* one for each listed message: kept small */
    uint64_t size;
    int64_t delivered_at; /* POP_HAVE */
    int64_t looked_at;    /* when its header was last compared, 0 never */
    uint64_t order;       /* rises with the time at which it was first listed */
    uint32_t number;
    uint32_t failures;     /* it could not be fetched so often; past POP_FAILURES_MAX it does not hold up the others */
    uint8_t known;         /* enum pop_known */
    uint8_t take;          /* enum pop_take: out */
    bool unsure : 1;       /* POP_HAVE by its id alone, which is not enough */
    bool sure : 1;         /* and by more than its id: it came, or its header was looked at, in this session */
    bool nameless : 1;     /* there is nothing but its id to know it by: an entry of before that was */
    bool deleted_here : 1; /* by the user, as far as option delete-on-server counts it */
    bool look : 1;         /* out of sync_pop_look */
    bool asked : 1, checked : 1, other : 1, settled : 1; /* of the caller's own */
};
#define POP_FAILURES_MAX 3
struct pop_policy {
    bool keep, days_given; /* neither: delete at once */
    unsigned days;
    uint64_t max_size; /* 0: none */
    bool by_hand;      /* the user asked for this pass: what failed before is tried too */
    int64_t now;
};
/* What to fetch of it: a mail over max_size by its header; one whose header is here in whole when it is not over it any
 * more. */
void sync_pop_plan(struct pop_mail *, const struct pop_policy *);
/* Messages that are here and stay on the server, of which the header is to be looked at now, for a server may give the
 * id of a message that has gone to another of the same size (RFC 1939 7): at once where it stands behind messages that
 * came after it; of the last few, where the newest would take such a place, once a day; of each of the others when as
 * much time has gone since the last look as between that and its coming. Newest first, `max` at most; where nothing
 * else keeps the session (`idle`), not more than once in most of a day. Returns how many. mails: struct pop_mail, n of
 * them, by number, rising; what cannot be read or written of them the caller finds there. */
#define POP_LOOK_S 86400
#define POP_LOOK_IDLE_S 72000
#define POP_LOOK_LAST 8
size_t sync_pop_look(struct records *mails, size_t n, int64_t now, bool idle, size_t max);
/* What may be deleted on the server: only what the ledger has whole, however it came there. A DELE that was sent and
 * not committed needs no memory: the mail is here and the policy is the same, so it is deleted again. */
bool sync_pop_may_delete(const struct pop_policy *, const struct pop_mail *);

/* ---- Lines -------------------------------------------------------------------------------------- */
/* Delay before attempt `n` (1 the first retry): 1 s doubling to 5 min, with the random word's jitter of up to a quarter
 * less. */
int64_t sync_backoff_ms(unsigned attempt, uint32_t random);

#endif
