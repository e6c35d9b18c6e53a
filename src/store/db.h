/* store, writing side: one account's cache.db and keep.db. `store` is the only program that links it; readers link
 * read.h.
 *
 * cache.db holds mailboxes and message rows and may be deleted at any time; keep.db holds what must survive: mailbox
 * and message identity, intents with their before-images, undo, the UIDL ledger, tags, timers, the outbox. Both are
 * WAL, one connection (cache attached to keep), one writer.
 *
 * Ids: messages and mailboxes have local ids, never reused, that survive a move, a resync and the loss of cache.db
 * (mailboxes always; messages as long as an intent or an undo group names them). 0 is none.
 *
 * Shown and server state: a row's server state is what the server said last; its shown state (mailbox, flags) is that
 * plus the pending intents in order. Every function below that changes one of them leaves the other right, and the
 * counters too.
 *
 * Place: where a message is on the server: mailbox, UIDVALIDITY, UID; or for a Maildir its unique name (before ":2,").
 * A row without a place (uid 0) was moved or copied here and the server has not said under which UID.
 *
 * Strings given are copied; hostile strings are welcome, cut at their row's maximum. Strings returned are borrowed
 * until the next db_ call on the same db (inside a callback: until it returns; a callback must not call db_ functions
 * that write). Calls may wait for the local disk, never for anything else. Errors: ERR_STORE (database),
 * ERR_STORE_NEWER, ERR_DISK_FULL, ERR_PERMISSION, ERR_IO; functions name their own others. Times are wall-clock seconds
 * unless a name ends in _ms. */
#ifndef TUIMAIL_STORE_DB_H
#define TUIMAIL_STORE_DB_H

#include "base/base.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "mail/row.h"

struct db;

/* ---- Opening ------------------------------------------------------------------------------------ */
/* What WELCOME announces; a reader refuses another. */
#define DB_SCHEMA 12
enum db_opened {
    DB_NEW = 1,           /* keep.db was not there: a new account */
    DB_CACHE_NEW = 2,     /* cache.db is empty: every mailbox must be listed and synchronised */
    DB_CACHE_REBUILT = 4, /* ... because the old one was damaged, of another schema, or of another keep.db; it was set
                             aside as cache.db.bad */
    DB_HAS_UNKNOWN =
        8, /* intents were under way when the last run ended: settle them (db_unknown_next) before new commands */
};
/* Opens, creates (directory 0700, files 0600), migrates keep.db after a copy (keep.db.SCHEMA.bak), rebuilds cache.db
 * where needed. Intents that were sent become unknown, outbox entries that were sending too. `local`: POP3 and Maildir
 * account. Errors: ERR_STORE_NEWER (keep.db); ERR_STORE with a clear text where keep.db is damaged: it is never rebuilt
 * by itself. */
bool db_open(const char *state_dir, const char *account, bool local, struct db **db_r, unsigned *opened_r,
             struct err *);
void db_close(struct db **); /* rolls an open transaction back; NULL-safe */
const char *db_account(const struct db *);
const char *db_dir(const struct db *); /* the account's directory, where both databases are */
/* Options that change at run time. Seconds that a purge is held back (default 30). */
void db_set_purge_hold(struct db *, uint32_t seconds);
/* The account has rules: mail that arrives is marked for them (db_arrivals), in INBOX and, with a conf (which outlives
 * the db), in the mailboxes that its mailbox lines name. */
struct conf;
void db_set_rules(struct db *, bool, const struct conf *);
/* The server keeps tags of any words (Gmail's labels), not only those that can be keywords. */
void db_set_labels(struct db *, bool);
/* The lines tag-keyword of tuimailrc; what they point to lives as long as the db, or until the next call. */
void db_set_tag_names(struct db *, struct tag_names);
/* Own addresses, as for mail_addr_is_self. */
void db_set_self(struct db *, struct str self);
/* The undo groups that are made from now on are parts of this deed of the user's; 0: of none. */
void db_set_deed(struct db *, uint64_t deed);
/* Mail without references that comes from now on is put into the thread of its subject (option threads-by-subject). */
void db_set_threads(struct db *, bool by_subject);
/* And what is here already, the next `max` messages of it: some 50 us each. *more_r: there are more, later. How far it
 * has come is kept with the rows; where the option is off it will begin anew. */
#define THREADS_AGAIN_MAX 100
bool db_threads_again(struct db *, unsigned max, bool *more_r, struct err *);

/* ---- Transactions -------------------------------------------------------------------------------
 * A burst of changes between db_begin and db_commit is one transaction; without them each call is one of its own. Do
 * not nest. Once a call inside a burst has failed with ERR_STORE, ERR_DISK_FULL or ERR_IO, the others fail too and
 * db_commit rolls back and reports it: so a burst is checked once, at its end. A call refused for another reason
 * (ERR_NO_MESSAGE ...) changes nothing and the burst goes on. After db_commit the changes survive kill -9; after
 * db_sync a power cut. */
bool db_begin(struct db *, struct err *);
bool db_commit(struct db *, struct err *);
void db_rollback(struct db *);
bool db_in_burst(const struct db *);
/* Makes everything committed so far in keep.db safe against power loss; does nothing when it already is. Outside a
 * burst only. Call it before a command of an intent goes to the server, before a DELE, before "sent" or "queued" is
 * said for an outbox entry. */
bool db_sync(struct db *, struct err *);
bool db_needs_sync(const struct db *);
/* Nothing happens for now: gives back what is kept in memory to be quick; indexed: and no batch of db_index_next is
 * out. Outside a burst only. */
void db_rest(struct db *, bool indexed);
/* Mailboxes whose rows or counts changed by what was committed since the last call; false when there are no more. box
 * 0: the mailbox list itself changed. fresh: new unread messages that arrived in an inbox or a mailbox without a role
 * (not those of the first filling, nothing that was moved here by any client, nothing older than two days). */
bool db_take_changed(struct db *, uint64_t *box_r, uint32_t *fresh_r);
/* Intents that ended by themselves (message gone on the server, mailbox dropped): words for a NOTE; false when there
 * are no more. */
struct db_conflict {
    uint64_t group, intent, msg;
    enum intent_kind kind;
    enum err_kind why;
    char text[400];
};
bool db_take_conflict(struct db *, struct db_conflict *conflict_r);

/* Who this account is: the caller's words for host, port, login user and a mailbox fingerprint. Empty where never set.
 * With a mismatch nothing is replayed until the user has chosen: db_identity_set (the same under a new name) or
 * db_intents_discard. */
bool db_identity(struct db *, struct buf *out, struct err *);
bool db_identity_set(struct db *, struct str words, struct err *);
bool db_intents_discard(
    struct db *, uint32_t *count_r,
    struct err *); /* all pending ones become refused (ERR_CANCELED); rows show the server's state */
/* Small values of the store's own (rule marks, lastmod of notmuch ...), in keep.db. Names are ours. Absent reads as
 * empty. */
bool db_meta_get(struct db *, const char *name, struct buf *out, struct err *);
bool db_meta_set(struct db *, const char *name, struct str value, struct err *);

/* ---- Mailboxes ---------------------------------------------------------------------------------- */
struct db_box {
    uint64_t id;
    struct str name, utf8; /* server's bytes (Maildir: folder, "" INBOX); decoded path as shown */
    char delim;
    uint32_t attrs; /* enum box_attr */
    uint8_t role;   /* enum box_role; 0: by usual names at reading */
    uint32_t uidvalidity, uidnext;
    uint64_t modseq;         /* 0: never synchronised fully */
    uint32_t exists, unread; /* the server's, UINT32_MAX unknown */
    uint32_t known;          /* rows with a place here */
    uint32_t uid_low,
        uid_high; /* lowest and highest UID known, 0 none: what lies below uid_low is still to be fetched */
    bool readonly, keywords_ok;
    bool filled;      /* every message of it has a row (db_box_filled) */
    bool creating;    /* its BOX_CREATE has not reached the server */
    uint64_t size;    /* octets of its mails on the server, UINT64_MAX unknown */
    struct str objid; /* the server's id of it (RFC 8474), "" none */
};
/* BOX: creates or refreshes by server name; a mailbox that has its objid under another name was renamed elsewhere and
 * keeps id and rows. Counts UINT32_MAX leave what is known. A uidvalidity other than the known
 * one is noted and takes effect at db_box_open. An empty `utf8` is replaced by `name`. ERR_LIMIT past 1,000,000
 * mailboxes. */
bool db_box_put(struct db *, const struct db_box *, uint64_t *id_r, struct err *);
/* STATUS: the counts of a mailbox that is known; those that are UINT32_MAX stay. modseq 0: not said. */
struct db_counted {
    uint32_t exists, unread, uidvalidity, uidnext;
    uint64_t modseq;
};
bool db_box_counts(struct db *, uint64_t box, const struct db_counted *, struct err *);
/* The mailbox was resynchronised up to modseq: what STATUS had counted by then is not counted twice. */
bool db_box_recount(struct db *, uint64_t box, uint64_t modseq, struct err *);
/* A full LIST begins, or has ended: mailboxes not put in between are gone, with their rows (not those being created).
 */
bool db_boxes_begin(struct db *, struct err *);
bool db_boxes_end(struct db *, struct err *);
/* BOX_OPEN. Another uidvalidity drops all rows of the mailbox, keeps pending intents (their messages are found again by
 * Message-ID, size and date as rows come) and sets *dropped_r. Does not touch modseq: call db_box_synced when the
 * changes were stored. */
bool db_box_open(struct db *, uint64_t box, uint32_t uidvalidity, uint32_t uidnext, uint32_t exists, bool readonly,
                 bool keywords_ok, struct str keywords, bool *dropped_r, struct err *);
/* EXISTS: how many messages the server has in it. */
bool db_box_exists(struct db *, uint64_t box, uint32_t exists, struct err *);
/* MODSEQ: all changes up to here are stored (0 leaves modseq). */
bool db_box_synced(struct db *, uint64_t box, uint64_t modseq, uint32_t uidnext, struct err *);
/* Every message of it has a row now: what comes from here on is new mail. */
bool db_box_filled(struct db *, uint64_t box, struct err *);
bool db_box_get(struct db *, uint64_t box, struct db_box *box_r, struct err *);        /* ERR_NO_MAILBOX */
bool db_box_by_name(struct db *, struct str name, struct db_box *box_r, struct err *); /* ERR_NO_MAILBOX */
bool db_box_by_role(struct db *, uint8_t role, struct db_box *box_r, struct err *);    /* ERR_NO_MAILBOX */
/* The role of a mailbox by the user's option; the server's word and the usual names give way. role BOX_NONE forgets it.
 */
bool db_box_set_role(struct db *, uint64_t box, uint8_t role, struct err *);
typedef void db_box_fn(void *arg, const struct db_box *);
bool db_boxes_each(struct db *, db_box_fn *, void *arg, struct err *);
/* Renamed or removed by the server or another client (the ids of the rows stay with a renamed one). */
bool db_box_renamed(struct db *, uint64_t box, struct str name, struct str utf8, struct err *);
bool db_box_gone(struct db *, uint64_t box, struct err *);

/* ---- What the server says of itself and of its limits: in cache.db ------------------------------ */
/* QUOTA: a round begins with nothing known; then each resource (STORAGE counts 1024 octets). */
bool db_quota_clear(struct db *, struct err *);
bool db_quota_put(struct db *, struct str root, struct str resource, uint64_t used, uint64_t limit, struct err *);
/* Names are ours: "id" (RFC 2971), "caps", "prefix". Absent reads as empty. */
bool db_server_set(struct db *, const char *name, struct str value, struct err *);
bool db_server_get(struct db *, const char *name, struct buf *out, struct err *);

/* ---- Rows --------------------------------------------------------------------------------------- */
/* The fields of ROW, DELIVERED and MAILDIR_ROW. */
struct db_row {
    uint64_t box;
    uint32_t uid;        /* IMAP; else 0 and `name` */
    struct str name;     /* Maildir unique part */
    uint32_t flags;      /* enum mail_flags */
    struct str keywords; /* blank separated; those of enum mail_flags may be among them */
    uint64_t modseq, size;
    int64_t internal_date, date;
    uint32_t attrs; /* enum row_attr */
    uint32_t state; /* ROW_BODY, ROW_STUB as known by the giver (Maildir: ROW_BODY) */
    struct str from_name, from_addr, to, subject, msgid, refs, list_id;
    struct str rcpts;             /* of one's own mail: who got it, lines "ADDRESS<tab>NAME" */
    struct str preview;           /* the first words of its text, as far as they were asked for */
    struct str emailid, threadid; /* the server's own (RFC 8474); what it puts into one conversation is one thread */
    bool arrived;                 /* Maildir: another program delivered it */
    bool delivered;               /* POP3: the ledger says that it has just come */
    struct str path;              /* Maildir: the file below the account's directory, as named now; sets ROW_BODY */
};
/* What is in a header: the fields that a struct db_row shares with the messages and the rows it is made of. */
#define DB_ROW_HEADER(r)                                                                                               \
    .from_name = (r)->from_name, .from_addr = (r)->from_addr, .to = (r)->to, .subject = (r)->subject,                  \
    .msgid = (r)->msgid, .refs = (r)->refs, .list_id = (r)->list_id
/* Inserts or refreshes the row of (box, uid) or (box, name). A row without ROW_FULL never overwrites what the second
 * pass brought (to, refs, list_id, attrs); an empty field never overwrites a known one. A message whose place is new
 * here but that a sent move, a copy or an append is expected to bring (same Message-ID and size, shown in this mailbox
 * without a place here) takes that row's id: *id_r is the old one. *fresh_r (or NULL): a new row. Threads, tags from
 * keywords, addresses, counters and the index queue follow. ERR_NO_MAILBOX. */
bool db_row_put(struct db *, const struct db_row *, uint64_t *id_r, bool *fresh_r, struct err *);
/* FLAGS: unknown UIDs are ignored. keywords.p NULL: they were not said, and stay. */
bool db_flags_put(struct db *, uint64_t box, uint32_t uid, uint32_t flags, struct str keywords, uint64_t modseq,
                  struct err *);
/* GONE: only rows that exist count; hi may be UINT32_MAX. A message whose move or copy was sent keeps its row and waits
 * for its new place; one with intents still queued ends them as a conflict (db_take_conflict). */
bool db_gone(struct db *, uint64_t box, uint32_t lo, uint32_t hi, struct err *);
/* Packed ranges. */
bool db_gone_ranges(struct db *, uint64_t box, struct str ranges, struct err *);
/* Is what the server has under this UID the message that is known by it? Where size or INTERNALDATE (0: not said) tell
 * otherwise its row leaves, and what waits to be done to it has no UID any more: it is looked for. */
bool db_row_same(struct db *, uint64_t box, uint32_t uid, uint64_t size, int64_t internal_date, bool *same_r,
                 struct err *);
/* UIDS: these are all there are; rows not among them are gone. `missing` is called with ranges that have no row here,
 * falling (highest first). Ranges need not be in order. */
struct db_range {
    uint32_t lo, hi;
};
typedef void db_range_fn(void *arg, uint32_t lo, uint32_t hi);
bool db_uids(struct db *, uint64_t box, const struct db_range *, size_t n, db_range_fn *missing, void *arg,
             struct err *);
/* How many rows of the server in `box` have a higher UID. */
bool db_rows_above(struct db *, uint64_t box, uint32_t uid, uint32_t *n_r, struct err *);
/* The row shown in `box` that has `n` above it, or the next; *msg_r 0: none. */
bool db_row_below(struct db *, uint64_t box, uint32_t n, uint64_t *msg_r, struct err *);
/* A message of that Message-ID that is shown in `box`; *msg_r 0: none. */
bool db_row_by_msgid(struct db *, uint64_t box, struct str msgid, uint64_t *msg_r, struct err *);
/* The same wherever it is shown, the first that was here. */
bool db_msg_known(struct db *, struct str msgid, uint64_t *msg_r, struct err *);
/* The messages of the message's thread, itself among them, in all mailboxes, newest first; of a thread over 5,000 the
 * newest. The callback must not write. */
struct db_threaded {
    uint64_t id, box;
    uint32_t flags;
    int64_t internal_date, date;
    struct str from_addr;
};
typedef void db_threaded_fn(void *arg, const struct db_threaded *);
bool db_thread_each(struct db *, uint64_t msg, db_threaded_fn *, void *arg, struct err *);
/* A thread is muted when a message of it has this tag: what comes to it unread, and was not moved there, is read at
 * once and goes from INBOX to the archive, in the transaction that stores its row (outside undo). It is not news. */
#define TAG_MUTED "muted"
/* The second pass of a row that is here: what it lacked, with ROW_FULL; the index wants it now, threads that were apart
 * are joined. Its sort date is the arrival where it has no Date. A row that is not here is passed by. */
struct db_more {
    uint64_t box;
    uint32_t uid, attrs;
    int64_t internal_date;
    struct str to, refs, list_id, emailid, threadid;
    struct str rcpts; /* as in struct db_row, but of any mail: it counts where the row's sender is oneself */
};
bool db_row_more(struct db *, const struct db_more *, struct err *);
/* Highest-first UID ranges of rows without ROW_FULL, at most `max` UIDs, for the second pass; below `below` (0: from
 * the top). */
bool db_thin(struct db *, uint64_t box, uint32_t below, unsigned max, db_range_fn *, void *arg, struct err *);
/* Maildir: a scan of a folder: begin; seen for each file, also outside of a scan: flags and path follow, *known_r false
 * means the row is to be read (STEP_MAILDIR_READ): there is none, or the file has another size; end drops the rows not
 * seen. db_name_gone: one file vanished. db_name_is: our own change (MAILDIR_IS) gave the message another unique name.
 * db_name_moved: another program moved the file; where it had no row, *known_r is false: what it is now is to be read,
 * also where the target has a row, for then it took the place of that one's file. */
bool db_scan_begin(struct db *, uint64_t box, struct err *);
bool db_scan_seen(struct db *, uint64_t box, struct str name, struct str path, uint32_t flags, uint64_t size,
                  bool *known_r, struct err *);
bool db_scan_end(struct db *, uint64_t box, struct err *);
bool db_name_gone(struct db *, uint64_t box, struct str name, struct err *);
bool db_name_moved(struct db *, uint64_t box, struct str name, uint64_t target, struct str to, struct str path,
                   uint32_t flags, bool *known_r, struct err *);
bool db_name_is(struct db *, uint64_t msg, uint64_t box, struct str name, uint32_t flags, struct err *);

struct db_msg {
    uint64_t id;
    uint64_t box;  /* shown in */
    uint64_t sbox; /* its place: mailbox, UIDVALIDITY, UID or name; sbox 0 or uid 0: none known */
    uint32_t uidvalidity, uid;
    struct str name;
    uint32_t flags, sflags; /* shown; server's */
    uint32_t attrs, state;
    uint64_t size, thread;
    int64_t internal_date, date;
    struct str from_name, from_addr, to, subject, msgid, refs, list_id;
    struct str body;   /* path below the account's directory of the file that is here, else "" */
    struct str absent; /* what that file lacks of the message (mail/absent.h); "": nothing */
};
bool db_msg_get(struct db *, uint64_t msg, struct db_msg *msg_r, struct err *); /* ERR_NO_MESSAGE */
bool db_msg_at(struct db *, uint64_t box, uint32_t uid, struct db_msg *msg_r,
               struct err *); /* likewise, by its place */
/* The file of a Maildir row has another name or place now: the index learns that it moved. */
bool db_path_is(struct db *, uint64_t msg, struct str path, struct err *);
/* BODY_AT, or that it could not be had. An empty path: the cached file was removed. */
bool db_body_is(struct db *, uint64_t msg, struct str path, struct str absent, struct err *);
bool db_body_failed(struct db *, uint64_t msg, struct err *);
/* Another row of the same mail (its Message-ID and the server's id for it are equal, or the user had one copied to the
 * other) whose file is here, the whole one first; the message itself must have none. twin_r->id 0: there is none. */
bool db_body_twin(struct db *, uint64_t msg, struct db_msg *twin_r, struct err *);
/* Its file was used: the least recently used is dropped first. */
bool db_body_used(struct db *, uint64_t msg, struct err *);
/* Cached bodies (not the files of a Maildir), least recently used first, at most `max` behind (*used, *msg), which move
 * to the last one. used: when it was stored or used. *seen_r fewer than max: the end. */
struct db_body {
    uint64_t msg, box; /* box: its place */
    int64_t date, used;
    uint64_t size;
    struct str path;
};
typedef void db_body_fn(void *arg, const struct db_body *);
bool db_bodies(struct db *, int64_t *used, uint64_t *msg, unsigned max, db_body_fn *, void *arg, unsigned *seen_r,
               struct err *);
/* What they take together, by the sizes in the list. */
bool db_bodies_total(struct db *, uint64_t *bytes_r, struct err *);
/* Rows in the place `box`, newest first, below *date and *id (which move to the last one seen), at most `max` and none
 * older than `since`: those without their body that could have it. *seen_r: rows gone through; fewer than max: the end.
 */
struct db_bare {
    uint64_t msg;
    uint32_t uid;
    int64_t date;
    uint64_t size;
};
typedef void db_bare_fn(void *arg, const struct db_bare *);
bool db_bodies_missing(struct db *, uint64_t box, int64_t since, int64_t *date, uint64_t *id, unsigned max,
                       db_bare_fn *, void *arg, unsigned *seen_r, struct err *);
/* The file of a row that is gone, to be removed; false when there are no more. Lost in a crash, it is an orphan. */
bool db_take_dropped(struct db *, struct buf *path);
/* The file of a mail whose APPEND was taken back before it was sent, in the outbox directory; likewise. */
bool db_take_unfiled(struct db *, struct buf *name);
/* The message's structure is known: whether it has attachments. */
bool db_row_attachment(struct db *, uint64_t msg, bool has, struct err *);

/* ---- Intents ------------------------------------------------------------------------------------ */
enum intent_state {
    INTENT_QUEUED,
    INTENT_SENT,
    INTENT_UNKNOWN,
    INTENT_DONE,
    INTENT_REFUSED,
    INTENT_DROPPED /* by undo before it was sent */
};
struct db_intent {
    enum intent_kind kind;
    const uint64_t *msgs;
    size_t n;
    uint64_t box;    /* BOX_RENAME, BOX_DELETE, INTENT_MARK_ALL_READ */
    uint64_t target; /* MOVE, COPY, APPEND; ARCHIVE, TRASH and SPAM: 0 takes the mailbox of that role; RULES: or 0 */
    uint64_t via;    /* PURGE: moved there first; 0: removed where it is */
    uint32_t set, clear; /* FLAGS, RULES */
    struct str arg;  /* TAGS, RULES: "+x -y"; BOX_CREATE, BOX_RENAME: server's name; APPEND: file name of the mail, the
                        store's own */
    struct str utf8; /* BOX_CREATE, BOX_RENAME: the name as shown */
    /* APPEND: msgs are older forms of it, deleted for good when it is there */
    const struct db_row *row; /* APPEND: how the message shows meanwhile (box and uid ignored) */
    int64_t now;
    bool automatic; /* follows from something else (the mark on an answered mail): not a group that undo takes back */
    bool claim;     /* RULES: only for messages that this device gets for itself (db_claims); those that another has are
                       left out */
    uint64_t
        group; /* RULES, BOX_CREATE: of an earlier one, whose part it is if nothing came after it; 0: one of its own */
    bool follows; /* RULES: it is part of that group whatever came after it, and ends nothing that could be redone */
};
/* Records what the user wants as one undo group and shows it at once: moved rows are in the target, copies have rows of
 * their own there, flags are changed, a created mailbox exists (its id in *target_r), a deleted one is hidden. Messages
 * that do not exist or that it would not change are left out; *count_r is the number it changes (0: nothing recorded,
 * group 0, still true). MARK_ALL_READ becomes FLAGS on ranges of UIDs. TAGS of a local account are done at
 * once. A queued purge waits for the hold. A new group ends what could be redone. Errors: ERR_NO_MAILBOX,
 * ERR_NO_MESSAGE (all ids unknown), ERR_READ_ONLY (the mailbox cannot be changed), ERR_USAGE (unknown kind, bad tag).
 */
bool db_intent_add(struct db *, const struct db_intent *, uint64_t *group_r, uint64_t *target_r, uint32_t *count_r,
                   struct err *);

/* One command's worth of neighbouring intents of one kind, mailbox, target, flags and words. */
struct db_item {
    uint64_t intent, msg;
    uint64_t copy; /* COPY: the id of the copy's row */
    uint32_t
        uid; /* 0: place unknown: find it by msgid, size and date in `box`, then db_item_found; or db_item_failed */
    struct str name;
    struct str msgid, emailid; /* emailid: the server's, of the message and its copies alike; "" unknown */
    uint64_t size;
    int64_t internal_date;
    struct str keywords; /* APPEND: those of the mail, blank separated */
};
struct db_batch {
    enum intent_kind kind; /* never ARCHIVE, TRASH, SPAM (MOVE) nor MARK_ALL_READ (FLAGS) */
    uint64_t box, target;
    uint32_t uidvalidity; /* that the uids belong to; 0: unknown */
    uint32_t set, clear;
    struct str arg, utf8;             /* TAGS: "+x -y"; names as in struct db_intent; the file of APPEND */
    struct str box_name, target_name; /* server's names at this moment */
    /* What the command brings to the target has a UID from here on; 0: not known. Of an unknown intent: when it was
     * sent. */
    uint32_t target_next;
    struct str uids; /* FLAGS of whole ranges, packed; then there are no items. arg "?": to be narrowed first */
    const uint64_t *intents;
    size_t nintents;
    const struct db_item *items; /* by uid, rising */
    size_t nitems;
};
/* The next batch that may go now, at most `max` items; batch_r->nintents 0: nothing to do, *due_r (or NULL) is when a
 * held purge becomes due (0: none). An intent never overtakes an earlier one on the same message, nor a mailbox's
 * creation, renaming or deletion. Borrowed until the next db_intent_next or db_unknown_next (copied out of the
 * database: other db_ calls may come between), or with db_batch_take until db_batch_free. Mark it with db_intents_sent,
 * db_sync, then send. */
bool db_intent_next(struct db *, int64_t now, unsigned max, struct db_batch *batch_r, int64_t *due_r, struct err *);
struct batch_mem;
struct batch_mem *db_batch_take(struct db *); /* what the last batch borrows from is the caller's now */
void db_batch_free(struct batch_mem **);      /* NULL-safe */
bool db_intents_sent(struct db *, const uint64_t *intents, size_t n, struct err *);
/* A step that makes the file of that copy's row (COPY in a Maildir) is about to be sent: *key_r is its own, in this and
 * every later run. True: it may have been sent before. */
bool db_copy_begins(struct db *, uint64_t copy, uint64_t *key_r);
/* What became of one message of an intent, as the server says it (MOVED, APPENDED, MAILDIR_IS); in any order, twice
 * does no harm. db_item_moved: MOVE, COPY, APPEND: the new place (uid 0: done, but the server did not say where). `msg`
 * 0 for APPEND. db_item_found: the place from which it must be taken. db_item_failed: this message only; the row
 * returns to what the server has. */
bool db_item_moved(struct db *, uint64_t intent, uint64_t msg, uint32_t uidvalidity, uint32_t uid, struct str name,
                   struct err *);
bool db_item_found(struct db *, uint64_t msg, uint64_t box, uint32_t uidvalidity, uint32_t uid, struct err *);
/* The unread ones among the ranges of an intent, as the server says: only those are changed, and by undo given back. */
bool db_span_narrow(struct db *, uint64_t intent, struct str ranges, struct err *);
bool db_item_failed(struct db *, uint64_t intent, uint64_t msg, enum err_kind, const char *text, struct err *);
/* Is it still to be done, and to what is known by this UID? */
bool db_item_stands(struct db *, uint64_t intent, uint64_t msg, uint32_t uid, bool *stands_r, struct err *);
/* Is it still without an outcome? */
bool db_item_pending(struct db *, uint64_t intent, uint64_t msg, bool *pending_r, struct err *);
/* The end of a command: what was not settled item by item is done (FLAGS, TAGS, PURGE: the server has it; MOVE: place
 * unknown until the row arrives). */
bool db_intents_done(struct db *, const uint64_t *intents, size_t n, struct err *);
/* The UID in `box` of the older form that this APPEND replaces, where it lies there; 0 none. */
bool db_append_replaces(struct db *, uint64_t intent, uint64_t box, uint32_t *uid_r, struct err *);
/* Refused for good: rows show the server's state again. */
bool db_intents_refused(struct db *, const uint64_t *intents, size_t n, enum err_kind, const char *text, struct err *);
/* The line was lost after the command: FLAGS, TAGS, PURGE and Maildir steps are queued again (doing them twice does no
 * harm); MOVE, COPY and APPEND become unknown, and so do operations on mailboxes, which the next full LIST settles. */
bool db_intents_lost(struct db *, const uint64_t *intents, size_t n, struct err *);
/* Never sent after all (the step was cancelled or the server said try later): queued again. */
bool db_intents_requeue(struct db *, const uint64_t *intents, size_t n, struct err *);
/* Drops one that was not sent, as undo would; what waits for it (a move into a mailbox that is then not created) goes
 * with it. *count_r: messages or mailboxes it would have changed. ERR_NOT_UNDOABLE: it was sent; ERR_NO_MESSAGE: there
 * is none. */
bool db_intent_drop(struct db *, uint64_t intent, uint32_t *count_r, struct err *);
/* Unknown intents to settle by looking, all of one command: for each item ask whether the source UID is still there and
 * the target has it under a UID from target_next on, then db_item_moved (it went), or db_intents_requeue (it did not).
 * nintents 0: none. */
bool db_unknown_next(struct db *, struct db_batch *batch_r, struct err *);
struct db_counts {
    uint32_t queued, sent, unknown, messages; /* distinct messages with a pending intent */
};
bool db_intent_counts(struct db *, struct db_counts *counts_r, struct err *);
enum intent_state db_intent_state(struct db *, uint64_t intent); /* INTENT_DONE where forgotten */
/* Forgets final intents and undo groups older than `before`, keeping the newest 1,000 groups. */
bool db_intents_prune(struct db *, int64_t before, struct err *);

/* Undo. Takes back the newest group that can be (of a deed: of those of it): intents not yet sent are dropped, for
 * those done the inverse is appended (a message is moved back from where it is now; a flag only where it still has the
 * value the group gave it), those under way get their inverse queued behind them. Redo does the group again.
 * ERR_NOT_UNDOABLE: nothing to undo, or it is final (a purge past its hold). */
struct db_undone {
    uint64_t group;
    enum intent_kind kind;
    uint32_t count, skipped; /* messages reverted; left because changed since */
    uint64_t box;            /* of moves: the mailbox where they are now; 0 where there are several; or the mailbox */
    uint64_t back;           /* the newest message that came back into its mailbox; 0 none */
    int64_t back_date;
    bool several;
};
bool db_undo(struct db *, bool redo, uint64_t deed /* 0: whichever */, int64_t now, struct db_undone *undone_r,
             struct err *);
/* Which group that would be; stamp orders groups over accounts (milliseconds, always rising within an account). */
struct db_undo_next {
    uint64_t group; /* 0: none */
    uint64_t stamp, deed;
};
bool db_undo_peek(struct db *, bool redo, uint64_t deed, struct db_undo_next *next_r, struct err *);
/* How many messages it has changed, those in whole ranges not among them. */
bool db_deed_messages(struct db *, uint64_t deed, uint32_t *messages_r, struct err *);
/* It is neither undone nor done again any more. */
bool db_undo_close(struct db *, uint64_t deed, struct err *);

/* ---- Mail that arrived, for the rules ------------------------------------------------------------
 * A message is marked in the transaction that stores its row: delivered by POP3 (once per ledger entry), come into the
 * INBOX of an IMAP account, unread, behind what was there when it was first opened, or delivered by another program
 * into that of a Maildir; never one that has been elsewhere, nor one whose rules another device runs. The mark is
 * durable and keeps the message's id; whoever has let the rules look at it takes it away in the burst in which what
 * they do is recorded: so once. */
struct db_arrivals {
    uint32_t waiting; /* marked, not ready: the index, or the second pass, has not had them */
    size_t ready;
};
/* Those that are ready, oldest first, at most max; those that have left their mailbox are forgotten. body: an IMAP
 * message is ready only when its text is here, or could not be had. */
bool db_arrivals(struct db *, bool body, uint64_t *msgs, size_t max, struct db_arrivals *found_r, struct err *);
/* Those that wait for their text alone. */
bool db_arrivals_bare(struct db *, uint64_t *msgs, size_t max, size_t *n_r, struct err *);
/* Those that have to wait are news now, as if there were no rules; else they are when they are done. */
bool db_arrivals_tell(struct db *, struct err *);
bool db_arrivals_done(struct db *, const uint64_t *msgs, size_t n, struct err *);
bool db_arrivals_any(const struct db *); /* there may be some: costs nothing */

/* ---- Mail whose tags were changed, for the rules with -tagged --------------------------------------
 * A message is marked in the transaction that changes its tags, by whomever but a rule and undo. The mark is durable;
 * a change by another device is left to that device for some seconds, for it may have these rules too. */
struct db_tagged {
    uint64_t group, deed; /* what changed them; 0: nothing that can be undone */
    char tags[4096];      /* "+x -y" */
    int64_t due;          /* wall clock: nothing is ready before; 0: nothing waits for a time */
};
/* Those that one group changed in one way and that the index has had, rising, at most max; 0: none are ready, and those
 * that have left their mailbox are forgotten. */
size_t db_tagged(struct db *, int64_t now, uint64_t *msgs, size_t max, struct db_tagged *, struct err *);
/* Takes the mark away; *is_r: it was there as it was given, and the message is where it was. In a burst. */
bool db_tagged_take(struct db *, const struct db_tagged *, uint64_t msg, bool *is_r, struct err *);
/* How often that was asked of the message this hour, this time counted. */
unsigned db_tagged_times(struct db *, uint64_t msg);
bool db_tagged_any(const struct db *); /* there may be some: costs nothing */

/* ---- Claims: what the rules of several devices may do is done by one ------------------------------
 * Intents of rules that were recorded with `claim` wait until the message is this device's (STEP_CLAIM). That it was
 * asked for is durable before it is: so a program that is killed knows that the keyword may be its own. */
/* Of the items of a batch those that are to be claimed first, of one kind: asked for before (*again_r) or not; at most
 * n msgs_r of them. 0: the batch may go. */
size_t db_claims(struct db *, const struct db_batch *, uint64_t *msgs_r, bool *again_r, struct err *);
bool db_claims_sent(struct db *, const uint64_t *msgs, size_t n, struct err *); /* then db_sync, then send */
/* It is ours: its intents may go, `but_moves`: without those that move it. *left_r: such there were. */
bool db_claim_ours(struct db *, uint64_t msg, bool but_moves, bool *left_r, struct err *);
/* It is another device's: its intents end without effect, and rows and tags are as the server has them. */
bool db_claim_lost(struct db *, uint64_t msg, struct err *);
bool db_claim_wanted(struct db *, uint64_t msg, bool *wanted_r, struct err *);
unsigned db_claims_lost(struct db *); /* how many were since the last call */

/* ---- POP3: the UIDL ledger ----------------------------------------------------------------------
 * UIDLs are data (any bytes, any length up to 1024, also equal ones). Order: DELIVERED with db_pop_delivered, db_sync,
 * and only then may db_pop_delete permit a DELE. */
enum pop_state {
    POP_SEEN,
    POP_DELIVERED,
    POP_DELETE_WANTED,
    POP_DELETED_PENDING_QUIT,
    POP_GONE,
    POP_STUB, /* its header is here (mail/mark.h) */
};
struct db_pop {
    uint64_t id;
    uint32_t number;
    uint64_t size;
    enum pop_state state;
    uint32_t failures;
    enum err_kind why;
    int64_t delivered;
    int64_t checked; /* when its header was last compared, 0 never */
    bool unsure;     /* it has the UIDL of a message that is here, another size, and no header to know it by */
    bool hashed;     /* the ledger has its header's hash */
    bool sure;       /* its header was compared in this listing */
    bool purged;     /* deleted here for good */
    bool in_trash;   /* its file lies in the mailbox that db_pop_each was given */
};
/* One listing of the maildrop. Begin; add each; end matches it with the ledger: the same UIDL twice is two messages;
 * what was marked deleted but is listed again was not committed and goes back to POP_DELETE_WANTED, never downloaded
 * again; what had been here and is not listed is remembered for a month, the rest is forgotten. A list that broke off
 * must not be ended: db_pop_begin starts anew. ERR_LIMIT past 2,000,000 entries. Memory does not grow with the list: it
 * is kept in files of the account's directory that have no name (ERR_DISK_FULL ... where they cannot be written).
 * What a UIDL does not say for sure is a doubt: it is known, but its size is another, it was not listed for a while or
 * was deleted there (RFC 1939 lets a server use its id again); it is not known, but as many bytes as a message that is
 * not listed any more, or there is none at all that is known (a server that gives new UIDLs to all). Where *doubts_r is
 * not 0, their headers are looked at and db_pop_settle ends the listing: with db_pop_head for those that were, without
 * for those that could not be; then the UIDL is believed, but where the size is another it is not enough to delete by,
 * and what a confirmed QUIT deleted is a new message. */
bool db_pop_begin(struct db *, struct err *);
void db_pop_over(struct db *); /* the session has ended: numbers mean nothing any more */
bool db_pop_add(struct db *, uint32_t number, uint64_t size, struct str uidl, struct err *);
bool db_pop_end(struct db *, int64_t now, uint32_t *doubts_r, struct err *);
typedef void db_pop_number_fn(void *arg, uint32_t number, uint64_t value);
/* value: 0 where its UIDL is known, else its size. */
bool db_pop_doubts(struct db *, db_pop_number_fn *, void *arg, struct err *);
bool db_pop_head(struct db *, uint32_t number, struct str head, struct err *);
/* known_r: of the doubts, those that are messages which were here under another UIDL. */
bool db_pop_settle(struct db *, int64_t now, uint32_t *known_r, struct err *);
/* The listed messages by their numbers, rising, each with its state; trash 0: none. */
typedef void db_pop_fn(void *arg, const struct db_pop *);
bool db_pop_each(struct db *, uint64_t trash, db_pop_fn *, void *arg, struct err *);
/* The header of a listed message is compared with that of its entry. POP_SAME also where the entry had none: it has it
 * now. head "": it could not be had. */
enum pop_is { POP_UNKNOWN, POP_SAME, POP_OTHER };
bool db_pop_compare(struct db *, uint32_t number, struct str head, int64_t now, enum pop_is *is_r, struct err *);
/* The last comparison showed another message than its UIDL says: its entry becomes that of one which is not listed any
 * more. *state_r: POP_SEEN, or that of a message that was here under another UIDL. */
bool db_pop_other(struct db *, uint32_t number, int64_t now, enum pop_state *state_r, struct err *);
/* The row that is the header of a listed message, and the other way round; 0: none. */
bool db_pop_stub(struct db *, uint32_t number, uint64_t *msg_r, struct err *);
bool db_pop_number(struct db *, uint64_t msg, uint32_t *number_r, struct err *);
/* DELIVERED: ledger and row in one transaction; head: as it says, "" unknown. Twice does no harm. ERR_NO_MESSAGE: the
 * number was not listed. */
bool db_pop_delivered(struct db *, uint32_t number, const struct db_row *, struct str head, int64_t now,
                      uint64_t *msg_r, struct err *);
/* The file `name` (unique part) of that row is a whole mail: a stub that the ledger has for it is delivered now. */
bool db_pop_whole(struct db *, uint64_t msg, struct str name, int64_t now, struct err *);
/* A row that was a stub has its body, in a file of another name. */
bool db_pop_body_is(struct db *, uint64_t msg, uint64_t box, struct str name, struct str path, uint32_t flags,
                    int64_t now, struct err *);
/* The row of the stub whose whole mail the file `name` of that mailbox is: it came, and its word was lost. 0: none. */
uint64_t db_pop_stub_of(struct db *, uint64_t box, struct str name);
/* The user deleted the message with that file for good: nothing of it is wanted any more. */
bool db_pop_purged(struct db *, uint64_t msg, struct str name, int64_t now, struct err *);
bool db_pop_failed(struct db *, uint32_t number, enum err_kind, struct err *);
/* Wants it deleted: refused (ERR_USAGE) unless delivered, and known to be. Then db_sync, then the DELE. */
bool db_pop_delete(struct db *, uint32_t number, struct err *);
bool db_pop_dele_ok(struct db *, uint32_t number, struct err *);
bool db_pop_quit(struct db *, bool ok, struct err *); /* ok: deletions took effect; else they are wanted still */

/* ---- Outbox and timers -------------------------------------------------------------------------- */
struct db_outbox {
    uint64_t id;
    enum outbox_state state;
    int64_t created, due;                                            /* due: not before (undo send, back-off) */
    struct str sender, rcpts /* one a line */, subject, msgid, file; /* file name in ROOT/outbox */
    uint64_t answers; /* message whose \Answered (or $Forwarded: forwards) is set when sent */
    bool forwards;
    uint32_t tries;
    enum err_kind why;
    struct str text; /* last word about it */
};
bool db_outbox_add(struct db *, const struct db_outbox *, uint64_t *id_r,
                   struct err *);                                                    /* id, tries, why, text ignored */
bool db_outbox_get(struct db *, uint64_t id, struct db_outbox *out_r, struct err *); /* ERR_NO_MESSAGE */
/* A sent, refused, unknown, filed or cancelled entry never becomes queued again but by the user's act (`by_user`):
 * ERR_USAGE. due 0 leaves it; -> SENDING counts a try. */
bool db_outbox_set(struct db *, uint64_t id, enum outbox_state, int64_t due, enum err_kind, const char *text,
                   bool by_user, struct err *);
/* The next HELD or QUEUED entry by due time: id 0 none; *due_r its time. */
bool db_outbox_next(struct db *, uint64_t *id_r, int64_t *due_r, struct err *);
typedef void db_outbox_fn(void *arg, const struct db_outbox *);
bool db_outbox_each(struct db *, db_outbox_fn *, void *arg, struct err *); /* oldest first */
bool db_outbox_forget(struct db *, uint64_t id, struct err *);             /* filed or cancelled ones; ERR_USAGE else */
/* Named points in time that survive a restart (snooze, back-off, rule runs). when 0 forgets. */
bool db_timer_set(struct db *, const char *name, int64_t when, struct str arg, struct err *);
bool db_timer_get(struct db *, const char *name, int64_t *when_r, struct buf *arg, struct err *); /* 0: there is none */
bool db_timer_next(struct db *, int64_t now, struct buf *name, struct buf *arg, int64_t *when_r,
                   struct err *); /* *when_r 0: none at all; name filled only when due */

/* ---- Tags, addresses, the index's queue --------------------------------------------------------- */
/* Tags belong to a message's content (Message-ID and fingerprint), so copies share them and a spoofed Message-ID does
 * not. Blank separated. */
bool db_tags(struct db *, uint64_t msg, struct buf *out, struct err *);
/* What the messages of an id give of the tags that are flags, before another program's change is taken over. */
struct db_flag_tags {
    unsigned rows, living;       /* living: in neither trash nor spam */
    unsigned of_living, of_dead; /* bits, as db_flag_tag numbers them */
    bool waits;                  /* the index has not heard of what changed here */
};
bool db_flag_tags(struct db *, struct str msgid, struct str path, struct db_flag_tags *sum,
                  struct err *); /* added to what is there */
/* The bit of a tag that is a flag, 0 none. */
unsigned db_flag_tag(struct str tag);
/* What they are together: one in trash or spam that nobody read does not make the message unread. */
unsigned db_flag_tags_all(const struct db_flag_tags *);
/* From the index (notmuch command line, lastmod), for all messages of that id, as intents outside undo: tags is the
 * whole set, but for reserved names (tag_reserved), which are left out; add and drop are bits of tags that are flags.
 * The index is told anew what its tags are. */
bool db_tags_from_index(struct db *, struct str msgid, struct str path, struct str tags, unsigned add, unsigned drop,
                        int64_t now, struct err *);
/* The keywords of the mailbox's server for the tags "+x -y"; "" where it keeps none of them. */
bool db_tags_wire(struct db *, uint64_t box, struct str tags, struct buf *out, struct err *);
/* What the mailbox keeps of keywords, where not any can be set: by another word of the server. */
bool db_box_keywords(struct db *, uint64_t box, bool any, struct str keywords, struct err *);
/* The server keeps these tags not (why, "" because it said so before): they are kept here alone, which is a conflict,
 * once for each mailbox. */
bool db_tags_stay(struct db *, const uint64_t *intents, size_t n, const char *why, struct err *);
/* A mail of one's own went to these, at that time: lines "ADDRESS<tab>NAME". */
bool db_wrote_to(struct db *, struct str rcpts, int64_t when, struct err *);
/* The address was met `weight` times more (senders of received mail are noted by db_row_put). */
bool db_address_met(struct db *, struct str name, struct str addr, unsigned weight, int64_t when, struct err *);

/* What waits is kept as bits of the row: what is in the header is to be found first, of all mail, and the text of
 * bodies comes behind. */
enum db_index_what {
    INDEX_WHAT_MAIL = 1 /* add or reindex */,
    INDEX_WHAT_TAGS = 2,
    INDEX_WHAT_PATH = 4, /* moved: path_was -> path */
    INDEX_WHAT_TEXT = 8, /* its header is there, the text of its body is not */
};
struct db_index_job {
    unsigned what;
    bool header; /* with MAIL: no more than the header, the text is a job of its own */
    struct db_msg msg;
    struct str path, path_was;
    struct str tags; /* those of the flags among them */
};
typedef void db_index_fn(void *arg, const struct db_index_job *);
#define INDEX_SMALL 8192
enum db_index_stage {
    INDEX_STAGE_FIRST, /* all but what lacks its text alone */
    INDEX_STAGE_MORE,  /* the same, behind what was handed out since the last INDEX_STAGE_FIRST */
    INDEX_STAGE_TEXT,  /* what lacks its text; behind what was handed out since db_index_texts */
};
/* The next rows that wait for the index, newest first, at most `max`; those without ROW_FULL wait for the second pass.
 * Where few wait, a mail of at most INDEX_SMALL bytes, and what the rules wait for, is handed out with its text in the
 * first stage.
 * IMAP: path is "ACCOUNT/BOX.UIDVALIDITY/UID" in decimal local ids; Maildir: "ACCOUNT/" and the row's path (until that
 * is known the row waits). */
bool db_index_next(struct db *, enum db_index_stage, unsigned max, db_index_fn *, void *arg, struct err *);
void db_index_texts(struct db *); /* the second stage begins with the newest */
/* The batch was committed; a row that changed since it was handed out waits again (by the counter in db_index_next's
 * hand-out). */
bool db_index_done(struct db *, const uint64_t *msgs, size_t n, struct err *);
bool db_index_failed(struct db *, uint64_t msg, struct err *); /* not tried again until it changes */
/* The index does not have it where it was: it is to be read again, under the place where it is now. */
bool db_index_again(struct db *, uint64_t msg, struct err *);
/* How many wait, and for how many of them it is the text alone; costs nothing. */
struct db_index_waiting {
    uint32_t all, texts;
};
bool db_index_pending(struct db *, struct db_index_waiting *, struct err *);
bool db_index_reset(struct db *, struct err *); /* the index was lost: everything waits */
/* Paths whose message is gone, at most max: `gone` at once, of which the index is to hear, and again after a week, to
 * be removed from it. */
typedef void db_path_fn(void *arg, struct str path, bool gone);
bool db_unindex_next(struct db *, int64_t now, unsigned max, db_path_fn *, void *arg, struct err *);
bool db_unindex_done(struct db *, struct str path, bool gone, struct err *);

/* ---- The user's own notmuch database (db_own.c) --------------------------------------------------- */
/* What changes of messages that are files waits for it as soon as the private index has it. Of each message the tags
 * are kept that both have, so that what one of the two lacks or has beside them was changed there. */
/* The UUID of the database as it is known, "" none, and up to which revision; from here on it is told of changes. */
bool db_own_known(struct db *, struct buf *uuid, uint64_t *revision_r, struct err *);
/* The account's mail lies below the root of that database; "": of none. All mail waits for one that was not looked
 * through yet, and nothing is known of the tags of another one. */
bool db_own_at(struct db *, struct str uuid, struct err *);
bool db_own_looked(struct db *, uint64_t revision, struct err *);
/* Nothing is told any more; when it is again, all of it. */
bool db_own_unset(struct db *, struct err *);
/* It says that the messages of the id have these tags, all of them but reserved ones: where no mail here has that id,
 * the one at that path (as db_index_place names it) that has none. What was changed there is done here, as intents
 * outside undo. */
bool db_own_tags(struct db *, struct str msgid, struct str path, struct str tags, int64_t now, struct err *);
struct db_own_job {
    uint64_t msg, seq;
    struct str path, words; /* as INDEX_ADD has it; "+x -y" */
};
typedef void db_own_fn(void *arg, const struct db_own_job *);
/* The newest that wait; again until they are done: `words` of a job, or less. */
bool db_own_next(struct db *, unsigned max, db_own_fn *, void *arg, struct err *);
bool db_own_done(struct db *, uint64_t msg, uint64_t seq, struct str words, struct err *);
bool db_own_kept(struct db *, struct err *); /* all that db_own_next gave last is done */
typedef void db_own_path_fn(void *arg, struct str path);
bool db_own_gone_next(struct db *, unsigned max, db_own_path_fn *, void *arg, struct err *);
bool db_own_gone_done(struct db *, struct str path, struct err *);
/* Does anything wait? Costs nothing. */
bool db_own_waits(struct db *);

#endif
