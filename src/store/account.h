/* One account inside the store: its databases, its `fetch` program, the steps under way and what to do next.
 *
 *   account.c           the life of the fetch program, its steps
 *   account_line.c      the connection: when it is opened, lost and tried again
 *   account_secret.c    passwords, tokens, keys and tunnels on their way to it
 *   account_identity.c  whose mail it is
 *   account_boxes.c     its mailboxes in memory
 *   account_imap.c      what fetch says of a live mailbox
 *   account_plan.c      the steps that the plan (sync/) asks for
 *   account_rows.c      rows of lists with gaps
 *   account_watch.c     what other clients do to mailboxes that are not open
 *   account_server.c    what the server says of itself: namespaces, quota, name
 *   account_replay.c    intents to steps and back
 *   account_settle.c    what a lost connection left open
 *   account_claim.c     which device runs the rules over a mail
 *   account_open.c      bytes of messages for clients
 *   account_import.c    mails from archives
 *   account_local.c     the account's Maildir
 *   account_pop.c       passes over a POP3 maildrop
 *   account_pop_*.c     ids that do not say enough; bodies of stubs; progress
 *   cache.c             bodies ahead of being read
 *   outbox.c            mail to be sent; sieve.c: scripts on the server
 *   seek.c              what the server finds that is not here
 *   snooze.c, remind.c  mail that comes back at its time
 *
 * Whatever a fetch program says is checked against this account: a step it was not given, a mailbox of another, a path
 * that climbs, a number out of range is a violation (acct_violation): the program is ended and started again with a
 * delay. */
#ifndef TUIMAIL_STORE_ACCOUNT_H
#define TUIMAIL_STORE_ACCOUNT_H

#include "store/server.h"
#include "sync/sync.h"

struct acct;
struct step;
typedef void step_fn(struct acct *, struct step *, enum err_kind, struct str text);
/* A step that fetch has and has not ended. */
struct step {
    uint32_t number;
    enum msg_kind kind;
    step_fn *done;
    uint64_t box, msg, a, b;
    uint32_t hi, count; /* of STEP_ROWS_TOP: the sequence numbers asked for */
    bool seen;          /* an answer came that belongs to it */
    void *data;         /* of `done`; freed by it */
};
#define STEPS_MAX 512

/* What is known of a mailbox beside its rows; boxes[i] and plan[i] belong together, ordered by id. */
struct box {
    char *name, *utf8;
    size_t name_n, utf8_n;
    char delim;
    uint32_t attrs, uidvalidity, unread;
    uint64_t modseq;
    uint8_t role;
    bool readonly, creating;
    uint64_t modseq_seen;                 /* to be stored when nothing is left to compare */
    unsigned tries;                       /* failed steps in a row */
    bool busy;                            /* the server said: not now */
    bool later;                           /* to be opened, but not at once again */
    bool scan;                            /* a Maildir folder: to be gone through */
    bool scanned;                         /* it was; what it had without a row is being read */
    uint32_t odd;                         /* files there that are no mails, as told */
    uint32_t unreadable, unreadable_told; /* that could not be read: in this scan, as told */
    bool same;                            /* on this line its rows were told from other messages under their UIDs */
    int64_t opened_at;                    /* monotonic */
};

enum deletes { DELETES_NEVER, DELETES_PURGED, DELETES_TRASH };
enum line_state { LINE_DOWN, LINE_CONNECTING, LINE_UP };

/* A pass that somebody waits for (FETCH_NOW): ends with FETCHED. */
struct pass {
    struct pass *next;
    uint64_t client;
    uint32_t req;
};

struct batch_run; /* account_replay.c */
struct open_req;  /* account_open.c */
struct rows_req;  /* account_rows.c */
struct seek;      /* seek.c */
struct early;     /* server_client.c */
struct pop_run;   /* account_pop.h */
struct sending;   /* outbox.c */
struct caching;   /* cache.c */

struct acct {
    struct server *srv;
    const struct account *conf;
    const char *name;
    struct db *db;        /* NULL: could not be opened; the account only says so, and tries again (`retry`) */
    bool imap, pop, held; /* held: identity mismatch, nothing is replayed */
    /* the fetch program */
    struct peer *fetch;
    uint64_t tag;     /* of START; 0 not asked for */
    uint64_t alerted; /* hash of the server's last alert */
    struct ruled {    /* rules.c: what the rules have done to new mail, of which nothing was said yet */
        struct rule_did {
            char *what; /* " to Builds" */
            uint32_t count;
        } * list;
        size_t n;
        uint32_t count;
        bool quiet;    /* a rule was told of that is broken or could not be done: not over that */
    } ruled, retagged; /* retagged: to mail whose tags were changed */
    bool ready, violated;
    bool own_asked, own_in, own_given; /* own.c: the user's own notmuch database was asked; the mail is below its
                                         root; some of it is in the batch */
    unsigned crashes;
    struct watch *restart;
    /* the line */
    enum line_state line;
    bool offline;       /* by the user; and before the first client said whether to connect */
    bool was_up;        /* once since the store began */
    bool names_places;  /* the server says where moved messages are (UIDPLUS) */
    bool moves_whole;   /* the server moves in one piece (MOVE), so not twice */
    bool claim_told;    /* the user knows that rules file nothing here */
    bool wait_change;   /* AUTH, TLS: no retry by itself */
    bool secret_wanted; /* clients were asked */
    uint64_t secret_tag, send_secret_tag;
    uint8_t secret_need; /* enum need of the last SECRET_ASK */
    struct {
        uint64_t tag;
        char said[400];
    } command[SERVICE_COUNT]; /* by enum service: the last command that spawn ran for us, and how it failed, if it did
                               */
    unsigned attempt;
    struct watch *retry;
    int64_t again; /* wall clock: when `retry` fires */
    enum account_state state;
    enum err_kind why;
    char text[400];
    uint32_t queued; /* as told to clients: changes not on the server */
    struct outbox_counts {
        uint32_t waits, refused, unknown;
    } outbox;                     /* the same of the mails in the outbox */
    int64_t up_since, not_before; /* monotonic: the line came up; nothing new is begun before (disk trouble) */
    bool secret_typed;            /* the last secret came from the user */
    struct err secret_err;        /* why no secret could be had */
    struct err said;              /* the last database error told */
    /* what the server says of itself (account_server.c) */
    char prefix[1000]; /* of the personal namespace */
    size_t prefix_n;
    uint8_t full, full_next;    /* percent of the tightest quota: told; of the round under way */
    bool full_told, quota_open; /* the user was warned; a round is under way */
    char full_words[80];
    uint32_t connect_step;
    bool renew; /* the fetch program begins anew as soon as the line is down */
    /* steps */
    struct step *steps[STEPS_MAX];
    size_t nsteps;
    uint32_t last_step;
    uint32_t plan_step, urgent_step, watch_step; /* numbers under way, 0 none */
    /* mailboxes */
    struct box *boxes;
    struct sync_box *plan;
    size_t nboxes;
    uint64_t max_box;
    size_t box_hint;
    uint64_t selected, tail, watched, watching,
        uids_box; /* tail: of the last SELECT sent; watching: STEP_WATCH was sent for it */
    size_t status_from;
    struct buf uids;                   /* answer to STEP_UIDS so far */
    bool listed, list_open, list_news; /* list_news: it changed on the server and is not confirmed */
    bool pushed;                       /* the server tells of changes everywhere by itself */
    struct watch *news_timer, *later_timer, *threads_timer;
    int64_t list_at, status_at, fore_at; /* monotonic ms; 0 never */
    bool pumping, changed_boxes;
    int64_t replay_after; /* monotonic: not before */
    unsigned replay_tries;
    struct watch *wake;      /* next held purge, POP3 pass, STATUS round */
    struct batch_run *batch; /* under way, oldest first */
    int64_t acted_at;        /* monotonic: the last command of an intent left */
    struct watch *quiet;
    uint64_t next_asked; /* target whose UIDNEXT was asked for before a command */
    struct open_req *opens;
    bool no_links; /* the file system has no hard links */
    struct rows_req *rows;
    struct seek *seek;
    struct early *early; /* actions that wait for the first list of mailboxes */
    struct pop_run *poprun;
    struct caching *caching;
    uint32_t caching_left;      /* as told to clients */
    int64_t pop_due, pop_ended; /* monotonic: next pass; end of the last */
    uint32_t pop_delay;         /* seconds that the server wants between two logins; 0 none said */
    uint32_t pop_expire;        /* days that mail stays there at least; UINT32_MAX none said */
    int64_t pop_login;          /* monotonic: of the last one */
    bool expire_told;
    uint8_t pop_deletes; /* option delete-on-server: enum deletes */
    struct watch *pop_timer, *pop_show;
    bool pass_wanted;
    struct pass *passes;
    uint32_t pass_fresh, pass_removed, pass_kept;
    uint64_t pass_bytes;
    /* the Maildir: the folders are to be listed, a step is under way */
    bool list_wanted, scanning;
    unsigned reading;
    char unreadable_why[200]; /* of the last mailbox with such files */
    struct buf unread;        /* files met that have no row: the mailbox's id, the name, a NUL */
    size_t unread_at;
    struct err away; /* why it cannot be read now; acted upon after the burst */
    bool is_away;
    struct import_req *imports; /* account_import.c */
    struct settle_req *settles;
    struct sending *sending;
    struct sieving *sieving;
    struct watch *out_timer;
    struct watch *snooze_timer;
    int64_t remind_since; /* monotonic: one is due and the account is not up to date; 0 none */
    struct out_check {
        uint64_t client;
        uint32_t req;
    } check; /* a login that a client asked for; client 0: none */
    bool out_begun, file_later;
};

/* ---- Life --------------------------------------------------------------------------------------- */
struct acct *acct_new(struct server *, const struct account *);
void acct_free(struct acct **);
/* All that follows from the facts: ask for programs, next steps, answers that wait. Outside a burst. Never waits. */
/* The option threads-by-subject was read: mail that is here follows behind. */
void acct_threads(struct acct *);
void acct_pump(struct acct *);
/* Around a run of messages of a program of the account: one burst, and what follows from it. */
void acct_burst_begin(void *acct);
void acct_burst_end(void *acct);
/* After a burst: CHANGED, conflicts, counts, to the clients; the index; then acct_pump. */
void acct_settle(struct acct *);
void acct_started(struct acct *, uint64_t tag, int fd);
bool acct_exited(struct acct *, enum role, uint64_t tag, struct str text);
#define SECRET_NEEDED "the password is needed"
void acct_on_secret_ask(struct acct *, struct msg *);
void acct_secret(struct acct *, uint8_t service, uint64_t tag, int fd, enum err_kind,
                 struct str text); /* fd -1: none */
/* A command (password, token, tunnel) was asked for by `tag`; it failed; the better words for an error that follows
 * from it. The answer of acct_command_why is valid until the next acct_command. */
void acct_command(struct acct *, uint8_t service, uint64_t tag);
void acct_command_failed(struct acct *, uint8_t service, uint64_t tag, struct str text);
const char *acct_command_why(struct acct *, uint8_t service, enum err_kind, const char *text);
void acct_secret_given(struct acct *, uint8_t service, int fd);
void acct_set_offline(struct acct *, bool offline);
/* At its opening: sets `held`. False: whose mail it is cannot be said. */
bool acct_identity_check(struct acct *, struct err *);
/* Ends `held`: the account holds the same mail and what waits goes on, or it is another and what waits and all its
 * rows are dropped. */
bool acct_identity(struct acct *, bool same, uint32_t *count_r, struct err *);
void acct_watch(struct acct *, uint64_t box);
void acct_fetch_now(struct acct *, uint64_t client, uint32_t req); /* client 0: for those recorded */
/* Records that a client waits for a pass, without beginning it. */
void acct_pass_add(struct acct *, uint64_t client, uint32_t req);
void acct_seen(struct acct *);  /* somebody came to look: a line that waits is tried now, a maildrop is asked soon */
void acct_retry(struct acct *); /* what waits for a change is tried again */
void acct_woke(struct acct *);  /* the machine slept: the line is dead, try at once */
/* Monotonic: when time alone gives it something to do. */
int64_t acct_due(const struct acct *);
bool acct_busy(const struct acct *);            /* an intent or a mail is on the wire */
void acct_tell(struct acct *, struct client *); /* ACCOUNT to one client, or to all with NULL */
void acct_state(struct acct *, enum account_state, enum err_kind, const char *text);
void acct_note(struct acct *, unsigned level, enum err_kind, const char *fmt, ...) PRINTF(4, 5);
void acct_violation(struct acct *, const char *fmt, ...) PRINTF(2, 3);
/* A database call failed: said once, in the note of the account. */
void acct_db_error(struct acct *, const struct err *);
/* Ends the fetch program; what it had to do fails with that. It is started again after so many ms, or when the user
 * asks. */
void acct_fetch_stop(struct acct *, const char *why);
void acct_fetch_after(struct acct *, int64_t ms);
/* What fetch said could not be kept: the line is given up, and fetch begins anew from what is kept. */
void acct_unkept(struct acct *, const struct err *);
/* Options of the connection are others: the line is closed and the fetch program begins anew with them. A POP3 pass is
 * stopped, and the next comes at once. */
void acct_renew(struct acct *);
void acct_drop_line(struct acct *); /* what was true of the connection is not any more */
void acct_connected(struct acct *);
/* Opens the line of an IMAP account where nothing stands in the way. */
void acct_connect_soon(struct acct *);
/* Something changed for the better: the user asks, the machine woke, a password came. No waiting any more. */
void acct_try_now(struct acct *);
/* Does the server say it can? Words of RFC 3501 7.2.1. */
bool acct_announces(struct str caps, const char *word);
bool acct_closing(const struct acct *); /* the line is being closed by us */
#define STABLE_MS 60000                 /* a line that lived this long was a good one: the back-off begins anew */
/* Says why, and tries again after a while that grows. */
void acct_retry_later(struct acct *, enum err_kind, const char *text);
/* The step that connects, with what is remembered of the server. False: it could not be sent. */
bool acct_connect(struct acct *, step_fn *done);
void acct_line_failed(struct acct *, enum err_kind, struct str text);
void acct_pass_end(struct acct *, enum err_kind, const char *text);

/* ---- Steps -------------------------------------------------------------------------------------- */
/* Sends a step; its first field, the number, is set here. NULL when fetch is not there or has too much to do. */
struct step *acct_step(struct acct *, step_fn *, struct msg *, int fd);
#define STEP(a, done, fd_, NAME, ...)                                                                                  \
    acct_step((a), (done), &(struct msg){.kind = MSG_##NAME, .fd = -1, .u.NAME = (struct m_##NAME){__VA_ARGS__}}, (fd_))
struct step *acct_step_find(struct acct *, uint32_t number,
                            enum msg_kind kind); /* NULL: not under way or of another kind */
/* A path below the account's directory, as fetch may name it: no climbing, nothing absolute. */
bool acct_path_ok(struct str path);
bool line_error(enum err_kind); /* the connection is at fault, not the command */

/* Actions that waited for the first list of mailboxes: done now, or (with a kind) refused. */
void early_end(struct acct *, enum err_kind, const char *text);

/* ---- Mailboxes ---------------------------------------------------------------------------------- */
void acct_boxes_load(struct acct *);
/* Has the list of mailboxes ever come? Before that there is INBOX alone, and no mailbox is made for a role. */
bool acct_listed(const struct acct *);
/* Index of a mailbox, or -1. */
ptrdiff_t box_at(struct acct *, uint64_t id);
ptrdiff_t box_role(struct acct *, uint8_t role);
struct str box_name(const struct box *);
struct str box_utf8(const struct box *);
const char *box_words(struct acct *, uint64_t id); /* name for a note; static buffer */
void box_refresh(struct acct *, size_t i);
/* The modification sequence, where nothing is left to compare. */
void box_modseq_store(struct acct *, size_t i);
/* Is there a row for the second pass? Asked when the plan comes to it, for rows come and go meanwhile. */
void box_thin_look(struct acct *, struct sync_box *);

/* ---- What the server says of itself (account_server.c) ------------------------------------------ */
void acct_server_message(struct acct *, struct msg *);                   /* QUOTA, NAMESPACE, SERVER_ID */
void acct_server_load(struct acct *);                                    /* what the last run knew */
void acct_server_limits(struct acct *, uint32_t delay, uint32_t expire); /* POP3: see ONLINE */
/* A path as the user writes it -> the server's name of a mailbox to be made, and the path as it is shown. */
void acct_box_name(const struct acct *, struct str utf8, struct buf *name, struct buf *shown);
/* A path without the prefix of the personal namespace. */
struct str acct_own_name(const struct acct *, struct str name);

/* ---- IMAP --------------------------------------------------------------------------------------- */
void imap_message(struct acct *, struct msg *);
/* Stores a ROW. False: it could not be, which is told. fresh_r may be NULL. */
bool acct_row_put(struct acct *, const struct m_ROW *, uint64_t *id_r, bool *fresh_r);
void imap_pump(struct acct *);
/* Behind STEP_CONNECT, in the same moment: the first mailbox and what is new in it, or its first page. */
void imap_connecting(struct acct *);
void imap_begin(struct acct *);                             /* the account is new here: INBOX is always there */
bool imap_select(struct acct *, uint64_t box, bool urgent); /* a SELECT when another mailbox is open */
void plan_opened(struct acct *, uint64_t box,
                 uint32_t uidnext); /* a SELECT was answered, rows were asked for behind it */

/* ---- What others do (account_watch.c) ----------------------------------------------------------- */
void watch_list_news(struct acct *, struct msg *);
void watch_pushed(struct acct *, struct msg *);
/* The server cannot serve this mailbox now ([INUSE], [UNAVAILABLE] ...): left alone for a while. */
void watch_busy(struct acct *, size_t i, struct str text);
void watch_counts(struct acct *, const struct m_BOX *); /* a STATUS alone */
void watch_listed(struct acct *);                       /* a LIST has ended */
/* A mailbox whose counts came (`had`: what was stored before) is to be opened where they differ. */
void watch_counted(struct acct *, size_t i, const struct m_BOX *, const struct db_box *had);

/* ---- Rows that clients look at (account_rows.c) ------------------------------------------------ */
void rows_want(struct acct *, uint64_t client, const struct m_WANT_ROWS *);
void rows_cancel(struct acct *, uint64_t client); /* it has gone */
/* Answers what can be answered, and tells the plan what is missing; a line that will not be soon is an answer too. */
void rows_pump(struct acct *);
void rows_free(struct acct *);

/* ---- What the server finds (seek.c) ------------------------------------------------------------- */
void seek_ask(struct acct *, uint64_t client, const struct m_SERVER_SEARCH *);
void seek_cancel(struct acct *, uint64_t client, uint32_t req); /* req 0: whatever that client asked */
bool seek_is(const struct acct *, uint64_t tag);                /* its program, just started or gone */
void seek_started(struct acct *, int fd);
void seek_exited(struct acct *, struct str text);
/* What its program asked for (tag 0: the user typed it); false: nothing for it. Owns fd where true. */
bool seek_secret(struct acct *, uint64_t tag, int fd, enum err_kind, struct str text);
void seek_offline(struct acct *);
void seek_renew(struct acct *); /* options of its connection are others */
void seek_free(struct acct *);

/* ---- Replay ------------------------------------------------------------------------------------- */
/* Sends what may go; true when something is under way and the plan has to wait. */
bool replay_pump(struct acct *);
void replay_message(struct acct *, struct msg *); /* MOVED, FOUND, APPENDED, MAILDIR_IS */
void claim_message(struct acct *, struct msg *);  /* CLAIMED */
void claim_unable(struct acct *);                 /* says, once, that rules file nothing here, and why */
void replay_drop(struct acct *, enum err_kind);   /* the fetch program is gone */
void replay_unseen(struct acct *, struct step *, const struct m_UIDS *);
bool replay_pending(struct acct *);
const char *verb_of(enum intent_kind); /* "moving" */
/* Something was sent within the last second; then the account is pumped again after it. */
bool replay_quiet(struct acct *);

/* ---- Bytes -------------------------------------------------------------------------------------- */
/* client 0: only that it is here. */
void open_ask(struct acct *, uint64_t client, const struct m_OPEN *);
void open_cancel(struct acct *, uint64_t client, uint32_t req); /* req 0: all of the client */
void open_pump(struct acct *);
/* The step that makes another row's file of the same mail (whole: with nothing absent) this one's too; NULL: there is
 * none. `m` is void then. */
/* A step that somebody waits for has ended: the file is there, or it could not be had. */
void open_step_done(struct acct *, const struct step *, enum err_kind, struct str text);
struct step *open_link(struct acct *, const struct db_msg *m, bool whole);
bool open_wants(const struct acct *, uint64_t msg);     /* somebody waits for this message */
void open_message(struct acct *, struct msg *);         /* BODY_AT, BODY_BEGUN, STEP_PROGRESS, MAILDIR_FD */
bool open_found(struct acct *, const struct m_FOUND *); /* false: it is not for one of these */
void open_fail_all(struct acct *, enum err_kind, const char *text, bool local_too);

/* ---- Bodies ahead of being read (cache.c); of IMAP accounts alone ------------------------------- */
void cache_new(struct acct *);
void cache_free(struct acct *);
/* Mailboxes or options are others: what holds for each is looked up again. */
void cache_policies(struct acct *);
void cache_changed(struct acct *, uint64_t box, bool fresh); /* its rows changed; there are new ones */
void cache_message(struct acct *, struct msg *);             /* FILES */
/* The line has nothing else to do; away: the mailbox on the screen is not the one selected. True: it is used, or the
 * disk is looked at. */
bool cache_pump(struct acct *, bool away);

/* ---- POP3 and Maildir --------------------------------------------------------------------------- */
void pop_message(struct acct *, struct msg *);
void pop_pump(struct acct *);
void pop_seen(struct acct *);
void pop_interval(struct acct *); /* option interval may be another: the next pass comes by it */
void pop_progress(struct acct *, const struct m_STEP_PROGRESS *);
/* The body of a stub, on the line that is there or on one that is begun for it: the step, or NULL: not yet, or never
 * (*why). */
struct step *pop_want(struct acct *, uint64_t msg, struct err *why);
void pop_body_is(struct acct *, const struct m_MAILDIR_IS *); /* of a STEP_POP_BODY */
bool pop_stop(struct acct *); /* the user ends the pass under way; false: there is none */
void pop_drop(struct acct *, enum err_kind, struct str text); /* the line or the program is gone */
void local_message(struct acct *, struct msg *);
bool local_pump(struct acct *); /* true: a scan is under way */
/* Can a folder have that name on the disk? Else ERR_USAGE in the user's words. */
bool local_name_ok(struct acct *, struct str name, struct err *);
bool local_busy(struct acct *);  /* it is not all known yet */
void local_begin(struct acct *); /* the fetch program is ready */
void local_look(struct acct *);  /* all folders are gone through again */
void local_away(struct acct *);  /* a->away says why */
/* The Maildir folder of a mailbox by its id. */
struct str local_folder(struct acct *, uint64_t box);

/* ---- Archives (account_import.c) ---------------------------------------------------------------- */
void import_ask(struct acct *, uint64_t client, struct msg *); /* IMPORT */
void import_settle(struct acct *, uint64_t client, const struct m_SETTLE *);
bool import_row(struct acct *, uint32_t step, uint64_t box, uint64_t msg); /* the row of what a step of ours added */
void import_pump(struct acct *); /* next steps; answers who waits, where all is still */
void import_fail(struct acct *, enum err_kind, const char *text); /* it cannot become still */
void import_cancel(struct acct *, uint64_t client);               /* it has gone */
void import_free_all(struct acct *);

/* ---- Outbox (outbox.c) -------------------------------------------------------------------------- */
void outbox_submit(struct acct *, uint64_t client, struct msg *);       /* SUBMIT; owns m->fd */
void outbox_save(struct acct *, uint64_t client, struct msg *);         /* SAVE */
void outbox_import(struct acct *, uint64_t client, const struct msg *); /* IMPORT of an IMAP account */
void outbox_act(struct acct *, uint64_t client, const struct msg *);
void outbox_check(struct acct *, uint64_t client, uint32_t req); /* CHECK_LOGIN */
/* What was refused for the account's sake (a password, a certificate), not the mail's, is tried again: an option is
 * another one. */
void outbox_again(struct acct *);
void outbox_pump(struct acct *);
void outbox_started(struct acct *, uint64_t tag, int fd);
bool outbox_exited(struct acct *, uint64_t tag, struct str text);
void outbox_secret(struct acct *, int fd, enum err_kind, struct str text);
bool outbox_sends(const struct acct *); /* a mail is on its way and waits for nobody */
/* A mail goes out within a minute: the program stays for it. */
bool outbox_soon(struct acct *);
/* The mailbox that the user's own words name (a role's name means the mailbox of that role), created by an intent where
 * there is none, as part of undo group *group (0: a new one, told). 0 with *err. Within a burst. */
uint64_t acct_folder(struct acct *, const char *folder, uint64_t *group, bool automatic, struct err *);
/* ---- Mail that comes back at its time (snooze.c) ------------------------------------------------ */
/* These answer the client; acct_settle is the caller's. */
void snooze_ask(struct acct *, uint64_t client, const struct m_SNOOZE *);
void snooze_pump(struct acct *); /* sees to it that what is due is looked for */
void snooze_free(struct acct *);

/* ---- Mail that comes back unless it is answered, and muted threads (remind.c) ------------------- */
void remind_ask(struct acct *, uint64_t client, const struct m_SNOOZE *);
void mute_ask(struct acct *, uint64_t client, const struct m_MUTE *);
struct came {
    uint64_t msg, origin; /* 0: nothing came */
    const char *words;
    int64_t later; /* wall clock: to be looked at again; 0: it is over */
};
bool remind_is(struct str timer); /* is a timer of this name one of these? */
/* Its time has come, in a burst. */
bool remind_due(struct acct *, struct str name, struct str arg, struct came *came_r, struct err *);

/* The mailbox of a role (enum box_role), created by an intent where there is none. 0 with *err. */
uint64_t acct_role_box(struct acct *, uint8_t role, struct err *);
void outbox_free(struct acct *);

/* ---- Scripts on the server (sieve.c) ------------------------------------------------------------ */
void sieve_ask(struct acct *, uint64_t client, const struct msg *); /* SIEVE; the fd stays the caller's */
void sieve_started(struct acct *, uint64_t tag, int fd);
bool sieve_exited(struct acct *, uint64_t tag, struct str text); /* false: not ours */
/* What it asked spawn for, by the tag of SECRET_GET; false: not its own. Takes fd over where it is. tag 0: typed. */
bool sieve_secret(struct acct *, uint64_t tag, int fd, enum err_kind, struct str text);
void sieve_moved(struct acct *); /* option sieve is another now */
void sieve_free(struct acct *);

/* A file of the outbox directory by the name an intent carries; -1 with *err. */
int outbox_file(struct server *, struct str name, struct err *);
void outbox_unlink(struct server *, struct str name);

#endif
