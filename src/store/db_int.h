/* What the files of the writing side share. Private to src/store/db*.c, intent*.c, ledger.c, thread.c, schema.c. */
#ifndef TUIMAIL_STORE_DB_INT_H
#define TUIMAIL_STORE_DB_INT_H

#include "store/db.h"
#include "store/read_sql.h"

#define BOX_MAX 1000000
#define NEWS_S (2 * 86400) /* older mail is not announced */
#define ITEMS_PER_INTENT 1000
#define RANK_BLOCK 1024 /* a block of the rank table splits past this many rows */
#define UNINDEX_AFTER (7 * 86400)
#define KEEP_CACHE "-4096" /* KiB of keep.db that are held, as SQLite has it */
#define KW_MAX 4096        /* bytes of the keywords of one message that are known */
#define DB_PATH_MAX 600 /* of a file below the account's directory: two names of 255 bytes, and what is around them */

/* ---- integer map: open addressing, keys not 0 --------------------------------------------------- */
struct imap {
    struct imap_slot {
        uint64_t key;
        void *value;
    } * slots;
    size_t cap, used;
};
void *imap_get(const struct imap *, uint64_t key); /* NULL where absent */
void imap_put(struct imap *, uint64_t key, void *value);
void imap_fini(struct imap *, void (*drop)(void *));
#define IMAP_EACH(map, i)                                                                                              \
    for (size_t i = 0; i < (map)->cap; i++)                                                                            \
        if ((map)->slots[i].key)

/* ---- a mailbox in memory ------------------------------------------------------------------------ */
struct rank_block { /* rows of [this bound, the next block's bound), ascending */
    int64_t date;
    uint64_t id;
    uint32_t n, unread, flagged;
    bool dirty, stored;
};
struct ranks {
    int64_t key;              /* of the table: the mailbox, for its threads with the sign turned */
    struct rank_block *block; /* NULL: not loaded */
    size_t n, cap;
};
struct box {
    uint64_t id;
    char *name, *utf8;
    size_t name_n, utf8_n;
    char delim;
    uint32_t attrs;
    char *objid;                         /* the server's id of it, or NULL */
    uint64_t size;                       /* octets on the server, UINT64_MAX unknown */
    uint8_t role, role_set;              /* by the server or usual names; by the user */
    uint32_t uidvalidity, uidnext, base; /* base: UIDs from here on are news */
    uint64_t modseq;
    uint32_t exists, unseen;      /* the server's, UINT32_MAX unknown */
    uint32_t counted_unseen;      /* as the last STATUS said, which ... */
    uint64_t counted_modseq;      /* ... knew all changes up to here */
    uint32_t known, known_unread; /* rows with a place here */
    uint32_t next;                /* UIDNEXT as heard last, 0 unknown; not stored */
    uint32_t shown, shown_unread; /* rows shown here */
    bool readonly, keywords_ok, filled, creating, hidden;
    char *keeps;     /* where keywords_ok is false: the keywords that it keeps all the same; NULL none */
    bool told;       /* the user knows that it keeps not all */
    uint64_t listed; /* number of the LIST that named it last */
    struct ranks rows, threads;
    bool dirty, changed;
    uint32_t fresh;
};

/* The numbers of a row that counters depend on. */
struct rowc {
    uint64_t id, box, thread, sbox, size;
    uint32_t uid, flags, sflags, attrs, state;
    int64_t date;
    uint64_t mh;
    bool named; /* has a Maildir name */
};

/* Bits of msg.istate beside enum db_index_what. The masks stand as numbers in the indexes of cache.db. */
#define INDEX_WHAT_LOST 16u /* its text was not where it was to be read: again when the file has moved */
#define INDEX_WHAT_OWN 32u  /* the user's own database has not heard of it */
#define INDEX_ROWS_MAX 256
#define INDEX_FIRST 7u /* all but the text */
#define INDEX_WAITS 15u

/* Private bits of msg.state; readers mask them. */
#define ROW_LOOSE 0x10000u /* the server has it, we do not know where: waits for its row */
#define ROW_PUBLIC 0xffffu

/* A pending change of flags in ranges of UIDs, with or without rows. */
struct span {
    uint64_t intent, box;
    uint32_t set, clear;
    char *uids;
    size_t n;
};
struct announce {
    uint64_t box;
    uint32_t fresh;
};

struct db {
    struct sql q;
    char *account, *dir;
    bool local, labels, rules;
    bool by_subject; /* db_set_threads */
    struct tag_names names;
    struct imap spellings;    /* folded hash of a tag -> its spelling */
    bool spelled;             /* they are loaded */
    uint64_t arrivals_told;   /* those up to here were announced before the rules looked at them */
    bool has_arrivals;        /* some message may wait for the rules */
    bool has_tagged;          /* some message's tags were changed for the rules to see */
    struct imap tagged_times; /* message -> unsigned: db_tagged_times, until ... */
    int64_t tagged_until;
    bool has_claims;         /* some message may wait for being this device's */
    unsigned claims_lost;    /* told of not yet */
    const struct conf *conf; /* whose mailbox lines say where rules run too; NULL: in INBOX alone */
    enum { MUTES_UNKNOWN, MUTES_NONE, MUTES_SOME } mutes;
    uint32_t purge_hold;
    /* the burst */
    bool burst, busy, failed; /* busy: a call has a transaction of its own */
    struct err why;
    bool keep_dirty, unsynced; /* keep.db written in this burst; committed but not synced */
    struct imap boxes;         /* id -> struct box, loaded on demand */
    bool boxes_all;            /* every mailbox is loaded */
    bool list_changed;
    struct imap threads; /* (box, thread) hash -> struct thread_delta */
    uint64_t deed;       /* of the undo groups that are made */
    char *self;          /* own addresses */
    struct imap addrs;   /* address hash -> struct addr_delta */
    struct announce *changed;
    size_t nchanged, changed_cap;
    struct db_conflict *conflicts, *conflicts_new;
    size_t nconflicts, conflicts_cap, nconflicts_new, conflicts_new_cap;
    uint64_t next_msg, end_msg, next_box, end_box; /* reserved blocks of ids */
    uint64_t list_no;
    bool listing;       /* between db_boxes_begin and db_boxes_end */
    uint64_t left[256]; /* message hashes of rows that went lately: what was moved elsewhere comes again */
    unsigned nleft;
    struct span *spans; /* in order */
    size_t nspans;
    bool spans_stale;
    bool has_loose;   /* some row waits for its place */
    bool has_pending; /* some intent is pending: rows may need the slow way */
    bool has_held;    /* pending intents name messages without a row */
    uint64_t copies;  /* the files of copies up to this row may have been begun */
    bool has_ledger;  /* of POP3: any message is in it */
    bool has_unindex;
    struct imap scan; /* ids seen by the running Maildir scan */
    uint64_t scan_box;
    bool scan_lacks;    /* it met files without a row */
    struct imap handed; /* message -> struct handed: its index job */
    struct {
        bool known;
        int64_t all, first; /* rows that wait for the index; those of them that it lacks more of than the text */
        int64_t own;        /* rows that wait for the user's own database */
    } waits;
    bool owns;                     /* there is one, and the account's mail lies below its root */
    uint64_t own_pass, own_passed; /* rows below are compared with it, from the newest; when the batch is kept */
    bool own_gone;                 /* it has not heard of some path that is gone */
    struct {
        int64_t date;
        uint64_t id;
    } handed_at;     /* db_index_next is behind this one of its stage */
    struct pop *pop; /* the running listing */
    struct batch_mem *batch;
    struct arena *out; /* strings of the last returned rows */
    bool bodies_known; /* bodies_bytes is what the table says */
    uint64_t bodies_bytes;
    struct buf unfiled; /* files of APPENDs that were taken back, each with a NUL */
    struct buf dropped; /* paths of bodies whose rows are gone, each with a NUL */
};

/* ---- entering and leaving a call ---------------------------------------------------------------- */
/* Begins a transaction unless a burst runs (*own_r). False, *err filled, when the burst has failed before. */
bool call_enter(struct db *, bool *own_r, struct err *);
/* Ends it: commits when own. False with the failure of any statement since. */
bool call_leave(struct db *, bool own, struct err *);
/* Refuses a call that changed nothing. */
bool call_refuse(struct db *, bool own, struct err *, enum err_kind, const char *fmt, ...) PRINTF(5, 6);
/* Statements; a failure is kept in db->why. ask + step for rows; run for the rest; one: the single integer of the first
 * row. */
sqlite3_stmt *q_ask(struct db *, const char *text, const char *types, ...);
bool q_step(struct db *, sqlite3_stmt *);
bool q_run(struct db *, const char *text, const char *types, ...);
bool q_keep(struct db *, const char *text, const char *types, ...);                  /* a q_run that writes keep.db */
bool q_one(struct db *, int64_t *value_r, const char *text, const char *types, ...); /* false: no row */
void db_broken(struct db *, int rc);
struct str out_str(struct db *, struct str); /* copies into the arena of returned strings */
#define I(x) ((int64_t)(x))

/* ---- parts -------------------------------------------------------------------------------------- */
bool schema_open(struct db *, const char *path_keep, const char *path_cache, unsigned *opened_r, struct err *);
uint64_t id_msg(struct db *);
uint64_t id_box(struct db *);

struct box *box_ref(struct db *, uint64_t id); /* NULL: no such mailbox */
void box_flush_all(struct db *);
void box_free(void *);
void box_drop_rows(struct db *, struct box *); /* every row that has its place here */
void boxes_load(struct db *);
void box_touch(struct db *, struct box *);
uint8_t box_role_of(const struct box *);
void box_remove(struct db *, struct box *);

void rank_add(struct db *, struct box *, const struct rowc *, int sign);
void rank_change(struct db *, struct box *, const struct rowc *old, const struct rowc *now);
void rank_settle(struct db *, struct box *, int64_t date,
                 uint64_t id); /* after the row is in the table: splits its block */
void rank_flush(struct db *, struct box *);
/* A thread of the mailbox came (was NULL), went (now NULL) or has another newest date; after it is in the table. */
void rank_thread(struct db *, struct box *, uint64_t thread, const int64_t *was, const int64_t *now);

bool row_load(struct db *, uint64_t id, struct rowc *row_r);
/* Writes the numbers of a row that changed and keeps counters, ranks and threads right. `old` as in the table. */
void row_store(struct db *, const struct rowc *old, struct rowc *now);
void row_counted(struct db *, const struct rowc *old, const struct rowc *now); /* either may be NULL */
void row_delete(struct db *, const struct rowc *);
/* Computes the shown state from the server's and the pending intents. */
void row_shown(struct db *, struct rowc *);
void row_refresh(struct db *, uint64_t id); /* load, row_shown, store; deletes a row that nothing explains */
void row_queue(struct db *, uint64_t id, unsigned what); /* for the index */
/* Gives the row a place, merging with the row that is there already. */
void row_place(struct db *, uint64_t id, uint64_t box, uint32_t uid, struct str name);

/* subject: of a message whose references are all known, else "". */
uint64_t thread_assign(struct db *, uint64_t msg, uint64_t own, uint64_t mh, struct str refs, struct str threadid,
                       struct str subject);
void thread_count(struct db *, uint64_t box, uint64_t thread, int count, int unread, int flagged, int64_t date);
void thread_flush(struct db *);

/* What rows are sorted by: the sender's name, else address; the subject without marks of answers. */
struct sort_keys {
    char from[32], subject[64];
    size_t from_n, subject_n;
};
#define SORT_KEY(keys, what) ((struct str){(keys).what, (keys).what##_n})
struct sort_keys sort_keys_of(struct str from_name, struct str from_addr, struct str subject);

void addr_note(struct db *, struct str name, struct str addr, unsigned weight, int64_t when);
void addr_wrote_to(struct db *, struct str rcpts, int64_t when); /* lines "ADDRESS<tab>NAME" */
void addr_flush(struct db *);
void tags_keywords(struct db *, uint64_t msg, uint64_t mh, uint64_t fp, struct str was, struct str now, bool heeded);
bool tags_change(struct db *, uint64_t mh, uint64_t fp, struct str words,
                 struct buf *did);            /* "+x -y"; what had an effect, or NULL */
bool tag_goes(const struct db *, struct str); /* to the server too */
bool box_keeps(const struct box *, struct str keyword);
void tags_wire(const struct db *, const struct box *, struct str words, struct buf *out);
void tags_told(struct db *, uint64_t msg, struct str did);
bool words_have(struct str words, struct str word);
void own_gone_note(struct db *, struct str path); /* a mail was there */
/* All copies of a message; where none has that Message-ID, the one at that path of the index ("": none). */
size_t index_rows(struct db *, struct str msgid, struct str path, uint64_t ids[static INDEX_ROWS_MAX]);
void tag_identity(struct db *, uint64_t msg, uint64_t *mh_r, uint64_t *fp_r);

/* A row has just come: marks it for the rules where it is an arrival; where the caller knows that it is, `sure`. A
 * marked one is news, if it is, when they have looked at it. */
bool arrival_look(struct db *, uint64_t msg, bool sure, bool arrived);

/* Its tags were changed ("+x -y"), not by a rule and not by undo: where a rule heeds them the message is marked for the
 * rules, from `due` on; what they do joins that undo group (0: none). */
void tagged_note(struct db *, uint64_t msg, uint64_t group, struct str tags, int64_t due);
void tagged_forget(struct db *, uint64_t group); /* it is undone */
/* The server says that the rules of some device have been run over it. */
bool row_ruled(struct db *, uint64_t msg);
void claim_note(struct db *, uint64_t msg, uint64_t group);
bool claim_waits(struct db *, uint64_t msg);
void claim_lost(struct db *, uint64_t msg); /* the row stays as it is: the caller refreshes or deletes it */
void claims_prune(struct db *);

/* It was elsewhere a moment ago, or is there still: whoever put it where it is wants it there. */
bool arrival_moved(struct db *, const struct rowc *);
/* A row is here whole: what came to a muted thread is put aside, which is true. arrived: of a Maildir, it has just
 * come. */
bool mute_look(struct db *, uint64_t msg, bool arrived);
bool mutes_any(struct db *);

/* Intents as the rows see them. */
void held_note(struct db *, uint64_t msg); /* keeps the message's place and identity in keep.db */
uint64_t held_claim(struct db *, struct box *, uint32_t uid, struct str name, struct str msgid,
                    uint64_t size); /* id of a lost row; 0 none */
void held_place(struct db *, uint64_t msg, uint64_t box, uint32_t uidvalidity, uint32_t uid, struct str name);
void held_recover(struct db *); /* at the start: rows of a cache that is behind go to their places */
void held_refresh_flag(struct db *);
void pending_refresh_flag(struct db *);
/* The message left the server: true when a sent move explains it and the row waits; else its pending intents end as
 * conflicts. */
bool intent_explains_gone(struct db *, uint64_t msg);
void intent_box_gone(struct db *, uint64_t box);
void intent_row_arrived(struct db *, uint64_t msg, uint64_t box); /* a moved row got its place by arriving */
void conflict_note(struct db *, const struct db_conflict *);
enum item_state { ITEM_PENDING, ITEM_DONE, ITEM_REFUSED, ITEM_DROPPED };
void item_end(struct db *, uint64_t intent, uint64_t msg, enum item_state);
/* Ends the intent when no item of it is pending. */
void intent_settle(struct db *, uint64_t intent, enum err_kind why, const char *text);
void intent_set(struct db *, uint64_t intent, enum intent_state, enum err_kind why, const char *text);
/* A full LIST names a mailbox, or has ended: settles the operations on mailboxes whose outcome is unknown. */
void intent_box_listed(struct db *, struct str name);
void intent_boxes_listed(struct db *);
void intent_end_without(struct db *, uint64_t intent, enum intent_state, enum err_kind, const char *text);

/* An intent as stored. Strings are owned. */
struct intent {
    uint64_t id, group, box, target;
    enum intent_kind kind;
    enum intent_state state;
    bool inverse;
    uint32_t set, clear;
    uint32_t next; /* target's UIDNEXT when it was sent */
    int64_t due;
    struct buf arg, utf8, old, old_utf8, uids;
};
bool intent_load(struct db *, uint64_t id, struct intent *);
/* Before it goes, as the earliest of each of its messages: those that are not in its mailbox are done where they are,
 * by it (in->box follows) or by intents of their own, behind it. False: nothing of it is left to do. */
bool intent_place(struct db *, struct intent *in);
void intent_box_done(struct db *, const struct intent *); /* an operation on a mailbox has happened */
void intent_fini(struct intent *);
/* Ranges (intent_span.c). show: what those after one intent and before another make of a row. */
void spans_refresh(struct db *);
void spans_forget(struct db *);
void spans_recover(struct db *);
void spans_renumbered(struct db *, uint64_t box);
void spans_show(const struct db *, struct rowc *, uint64_t after, uint64_t before);
bool span_before(const struct db *, const struct intent *); /* an earlier one in that mailbox is pending */
void span_done(struct db *, const struct intent *);
uint32_t span_end_without(struct db *, const struct intent *, enum intent_state, enum err_kind, const char *text);
struct item {
    uint64_t msg, copy, bbox;
    uint32_t bflags, aflags;
    enum item_state state;
    char *tags; /* "+x -y" that had an effect, or NULL */
};
/* Items of an intent; caller frees with items_free. */
struct item *items_load(struct db *, uint64_t intent, size_t *n_r);
void items_free(struct item *, size_t n);

/* What a batch borrows from. */
struct batch_mem {
    uint64_t *intents;
    struct db_item *items;
    size_t nintents, nitems, items_cap;
    struct arena *text;
};
/* May the two be one command? */
bool intents_merge(const struct intent *, const struct intent *);
/* The pending ones in order, at most some thousands; caller ends each with intent_fini and frees the list. */
size_t intents_pending(struct db *, struct intent **list_r);
void batch_begin(struct db *, struct db_batch *);
void batch_items(struct db *, struct batch_mem *, const struct intent *,
                 uint32_t *uidvalidity); /* adds its pending items */
void batch_fill(struct db *, const struct intent *first, struct db_batch *);

/* Makes intents of a group: messages with one mailbox and one change share an intent. */
struct maker {
    struct db *db;
    uint64_t group;
    uint32_t round;
    bool inverse;
    bool heeded; /* the rules run because of the tags that it changes */
    int64_t now;
    struct made {
        enum intent_kind kind;
        uint64_t box, target, id;
        uint32_t set, clear, n;
        char *arg;
    } * made;
    size_t n, cap;
    uint32_t count; /* messages changed */
};
void maker_fini(struct maker *);
bool make_flags(struct maker *, uint64_t msg, uint32_t set, uint32_t clear);
/* Rows changed; `ask`: to be narrowed by the server's word first. */
uint32_t make_span(struct maker *, uint64_t box, uint32_t set, uint32_t clear, bool ask, struct str ranges);
void make_all_read(struct maker *, uint64_t box);
bool make_move(struct maker *, uint64_t msg, uint64_t target);
bool make_copy(struct maker *, uint64_t msg, uint64_t target);
bool make_purge(struct maker *, uint64_t msg, int64_t due);
bool make_tags(struct maker *, uint64_t msg, struct str words);
uint64_t make_box(struct maker *, enum intent_kind, uint64_t box, struct str name, struct str utf8); /* the mailbox */
struct box *box_made(struct db *, struct str name, struct str utf8, char delim);

bool db_index_place(struct db *, const struct db_msg *, struct buf *out);
bool index_counted(struct db *, struct err *); /* from here on db->waits follows msg.istate */
void unindex_note(struct db *, uint64_t msg);
void body_dropped(struct db *, const struct rowc *); /* before the row is deleted */
void pop_free(struct pop **);
uint64_t ledger_claim(struct db *, struct str name); /* 0: none */
void msg_read(struct db *, sqlite3_stmt *, struct db_msg *);

#endif
