/* What the files of fetch's IMAP half share: the session and the mailbox that is selected. */
#ifndef TUIMAIL_FETCH_IMAP_H
#define TUIMAIL_FETCH_IMAP_H

#include "fetch/fetch.h"
#include "mail/mail.h"
#include "net/imap.h"

#define UID_MAP_MAX 2000000 /* sequence numbers whose UID is remembered, for servers that say only numbers */
#define BOXES_MAX 262144    /* mailboxes of a LIST that are looked at (THREATS 42) */

/* A mailbox as STEP_SELECT named it. */
struct box {
    uint64_t id;
    char *name;
    size_t name_len;
    uint32_t uidvalidity, uidnext;
    uint64_t modseq; /* 0: no MODSEQ here */
    bool readonly;   /* asked so */
};
/* One section of one message on its way into a file, which holds the first `have` bytes of it (imap_body.c). */
struct piece {
    uint32_t tag;
    uint64_t from, asked; /* asked UINT64_MAX: all of it */
    int64_t at_ms;
};
struct transfer {
    struct transfer *next; /* of the session: answers find it there */
    uint32_t step;         /* sent ahead for this step; 0 */
    uint32_t shows;        /* the step whose reader sees the first bytes as they come; 0: nobody */
    bool begun;            /* and has them */
    uint64_t box;
    uint32_t uid;
    char section[IMAP_SECTION_MAX];
    bool binary;
    char *path;
    int fd;                 /* at its end */
    bool keep;              /* the file stays when the transfer does not end: it goes on from there another time */
    uint64_t have, crossed; /* bytes in the file; that came now */
    uint64_t size;          /* expected, 0 unknown: a hint */
    uint64_t piece;         /* bytes to ask for at once */
    unsigned shorts;        /* pieces that brought less than they were asked for, though more was announced */
    bool broken_off;        /* the last one did: what is under way behind it is not what comes next */
    bool structure_wanted;  /* with the next piece */
    bool structured;        /* it was asked for */
    struct buf structure;   /* BODYSTRUCTURE that came with the bytes */
    struct piece sent[2];
    unsigned under_way;
    bool complete, nil;
    struct err err; /* of the disk or of the command */
};
/* A change under way: asked, perhaps ahead of its step's turn. */
#define ACTS_MAX 8
struct act {
    uint32_t step;         /* 0: free */
    uint32_t tags[4];      /* in order; 0: answered */
    bool moves;            /* a COPYUID may come */
    struct buf set, pairs; /* the UIDs; what COPYUID said, a line each */
    struct err err;        /* the first failure */
};
#define APPENDS_MAX 8
struct box_list; /* imap_list.c */
/* What the server says of itself, on this connection; imap_server.c. */
struct facts {
    struct space { /* a namespace (RFC 2342) */
        char *prefix;
        size_t prefix_n;
        char delim;
        uint8_t kind; /* enum imap_namespace_kind */
    } * list;
    size_t n;
    bool asked;
    bool quota_round; /* QUOTA answers are those that were asked for */
    bool tight;       /* some quota is nearly used up: what changes it is followed by a look */
};

struct session {
    struct fetch *f;
    struct imap *imap;
    struct arena *arena; /* for one row */
    char *self;          /* own addresses */
    struct box *boxes;
    size_t nboxes;
    /* The selected mailbox */
    uint64_t selected; /* id, 0 none */
    bool readonly, selecting, keywords_ok, nomodseq;
    struct buf keeps; /* keywords that can be set, where not any can (keywords_ok) */
    uint32_t exists, uidnext, uidvalidity;
    uint64_t modseq;
    uint32_t selects;                               /* SELECTs sent so far */
    uint32_t select_step, select_tag;               /* sent ahead */
    uint32_t rows_step, rows_tag, rows_lo, rows_hi; /* sent ahead: these numbers, or UIDs */
    bool rows_due;                                  /* and waited for now */
    unsigned window;                                /* slices under way in the last long run on this line */
    uint8_t rows_fields;
    uint8_t fields;    /* what the headers that come now are: enum row_fields, or the second pass */
    bool resync_asked; /* the SELECT asked for what happened since (QRESYNC) */
    bool early;        /* ahead of the login's answer: may have been lost or refused with it */
    bool cautious;     /* this server takes nothing ahead of the login's answer */
    uint32_t *map;     /* UID of sequence number i + 1, 0 unknown; without QRESYNC only */
    size_t nmap;
    bool exists_news, modseq_news;
    /* What the running command collects */
    uint32_t fetched; /* FETCH answers with a UID since it was set to 0 */
    bool finding, searching;
    struct claims *claims; /* STEP_CLAIM: whose flags are being asked for (imap_claim.c) */
    struct {               /* STEP_SEARCH: its command, and what the server said beside the UIDs */
        uint32_t tag;      /* 0: another search */
        uint32_t count;    /* UINT32_MAX: not said */
    } seek;
    struct buf found;      /* packed ranges */
    uint32_t search_step;  /* UIDS is sent for this step while the ranges come; 0: they stay in `found` */
    struct str append_ask; /* mailbox whose APPENDLIMIT is asked */
    uint64_t append_limit;
    uint32_t appended_validity, appended_uid; /* of an untagged APPENDUID */
    struct appending {                        /* mails of the next steps within the command of this one (RFC 3502) */
        uint32_t tag;                         /* of the command that may take more, 0: none */
        struct str name;
        bool refused;
        unsigned n; /* taken, and not yet told */
        struct joined {
            uint32_t step, uidvalidity, uid;
        } list[APPENDS_MAX];
    } appending;
    struct act acts[ACTS_MAX]; /* oldest first */
    struct box_list *list;
    struct facts facts;
    struct transfer *transfers;
    struct transfer *sinking; /* whose bytes are just coming */
    uint32_t broken;          /* FETCH answers that could not be read */
    struct {
        uint64_t box;
        uint32_t uid;
    } odd; /* a message that broke the line where its structure was asked for: without it the next time */
    unsigned tmp_count;
    struct { /* the text that came last, where its step was canceled meanwhile */
        uint64_t box;
        uint32_t uid;
        uint8_t attachments;
        char rel[64], *absent;
    } told;
    struct watching { /* imap_watch.c */
        uint64_t box;
        bool idle_refused;
        uint32_t nameless[64]; /* messages whose flags came without a UID that we know */
        uint32_t nnameless;    /* more than there is room for: all from the lowest to the highest */
        uint32_t nameless_lo, nameless_hi;
    } watch;
    struct second *second; /* imap_second.c; NULL: none */
};

static inline struct session *session_of(struct fetch *f)
{
    return f->session;
}
/* ERR_LINE where there is no connection. */
bool session_need(struct fetch *, struct session **s_r, struct err *);
/* Waits for the end of a command; a broken line is given to fetch_lost; news is told. `r` may be NULL. */
bool session_done(struct session *, uint32_t tag, struct imap_result *r, struct err *);
/* Gives up the line after a failed send. Returns false. */
bool session_lost(struct session *, const struct err *);
bool session_news(struct session *, struct err *);

/* The box that a step names: selected, in the mode that it needs, with the UIDVALIDITY that the store knows. */
bool select_ensure(struct session *, uint64_t box, bool write, struct err *);
/* The same for what changes messages: ERR_CANCELED, and BOX_OPEN, where UIDs of that UIDVALIDITY (0: of the selection
 * that stands) are not those of the mailbox. */
bool select_uids(struct session *, uint64_t box, uint32_t uidvalidity, bool write, struct err *);
bool box_open_tell(struct session *, uint8_t resync, struct err *); /* BOX_OPEN of the selected mailbox */
/* GONE of one. */
bool gone_tell(struct session *, uint64_t box, uint32_t uid, struct err *);
struct box *box_find(struct session *, uint64_t id);
struct box *box_put(struct session *, uint64_t id, struct str name);
/* SELECT or EXAMINE with what is known of the past. *resync_r as in BOX_OPEN. */
bool select_box(struct session *, struct box *, uint32_t uidvalidity, uint64_t modseq, uint8_t *resync_r, struct err *);

/* The mailbox of that name is about to be removed: where it is the selected one it is left, for a server may hang up on
 * whoever is in it. Nothing in it is expunged by that. */
bool select_leave(struct session *, struct str name, struct err *);

/* Packed ranges -> pieces of a sequence set of at most about `max` bytes; *at walks on. False at the end. */
bool set_piece(struct str ranges, size_t *at, size_t max, struct buf *out);

bool imap_on_fetch(struct session *, const struct imap_event *, struct err *);
bool imap_on_search(struct session *, struct str set, bool esearch, struct err *);
bool imap_on_list(struct session *, const struct imap_event *, struct err *);
/* NAMESPACE, QUOTA, ID. */
bool imap_on_server(struct session *, const struct imap_event *, struct err *);
void facts_reset(struct session *); /* the line is gone */
/* Asks for the namespaces, once on a connection; *tag_r 0: nothing to wait for. */
bool facts_ask(struct session *, uint32_t *tag_r, struct err *);
/* BOX_OTHERS or BOX_SHARED by the namespace of a name. */
uint32_t space_attrs(const struct session *, struct str name);
/* The name without the prefix of the user's own namespace. */
struct str space_own_name(const struct session *, struct str name);
/* Namespace i of those known: may its mailboxes be missing in LIST "" "*"? */
bool space_hidden(const struct session *, size_t i, struct str *prefix_r);
/* GETQUOTAROOT, and its end, with a round of QUOTA told to the store. Both false only for a broken line. */
bool quota_ask(struct session *, struct str name, uint32_t *tag_r, struct err *);
bool quota_finish(struct session *, uint32_t tag, struct err *);
/* An APPEND or COPY failed with *err: where the quota is the reason, its present numbers are told. Returns false. */
bool quota_refused(struct session *, struct str name, struct err *);
/* Mail was added or removed: where a quota is tight, its numbers are told anew. False only for a broken line. */
bool quota_changed(struct session *, struct err *);
bool append_ahead(struct fetch *, uint32_t step, const struct msg *);
bool append_on_status(struct session *, const struct imap_status *); /* true: it was asked for an APPEND */
void append_on_code(struct session *, struct str args);
/* ---- Bytes of messages (imap_body.c) ------------------------------------------------------------ */
/* keep: into a file that outlives the transfer, behind what it holds of an earlier time. NULL with *err. */
struct transfer *transfer_new(struct session *, uint64_t box, uint32_t uid, struct str section, bool binary, bool keep,
                              struct err *);
void transfer_keep(struct session *, struct transfer *);  /* after all: nothing of it may be under way */
void transfer_free(struct session *, struct transfer **); /* what is under way is forgotten */
/* Asks for the next piece, of `most` bytes (0: as many as seem right), where one more may be under way. */
bool transfer_ask(struct session *, struct transfer *, uint64_t most, struct err *);
/* Waits for the piece that was asked for first. */
bool transfer_wait(struct session *, struct transfer *, struct err *);
/* Runs it to its end; steps that overtake it run in between. */
bool transfer_run(struct session *, struct transfer *, struct err *);
bool transfer_seed(struct transfer *, struct str front, struct err *); /* bytes that are known already */
bool transfer_read(const struct transfer *, struct buf *out);
bool transfer_commit(struct session *, struct transfer *, const char *final, struct err *);
/* What was sent ahead for this message: of this step, or of one that this one overtook. */
struct transfer *transfer_ahead(struct session *, const struct m_STEP_BODY *);
int tmp_open(struct session *, char **path_r, struct err *); /* a file of its own under tmp */
/* Small enough: the whole message comes as its text would. */
bool text_serves(const struct m_STEP_BODY *);
/* What the text of a message needs first: sent, not waited for (imap_part.c). */
struct transfer *text_begin(struct session *, const struct m_STEP_BODY *, struct err *);
/* For the screen: what is in the file now. `list` as in BODY_BEGUN. */
bool begun_tell(struct session *, uint32_t step, const char *path, struct str list, bool all, struct err *);
/* COPYUID of an untagged answer: of the oldest move that has not ended. */
void imap_on_copyuid(struct session *, struct str args);
bool acts_drain(struct session *, struct err *); /* waits for what was sent ahead */
void acts_drop(struct session *);
bool act_ahead(struct fetch *, uint32_t step, const struct msg *);
bool body_on_fetch(struct session *, const struct imap_fetch *, struct err *);
int body_sink(void *arg, struct str item, uint64_t size);
void body_sink_progress(void *arg, uint64_t done, uint64_t size);
void bodies_drop(struct session *);
bool bodies_drain(struct session *, struct err *);
bool body_ahead(struct fetch *, uint32_t step, const struct msg *);
bool rows_ahead(struct fetch *, uint32_t step, const struct msg *);
bool top_ahead(struct fetch *, uint32_t step, const struct msg *);
/* Ends what one of these sent. */
bool rows_wait(struct session *, struct err *);
void list_free(struct session *);

step_fn imap_step_list, imap_step_status, imap_step_box, imap_step_rows_top, imap_step_rows, imap_step_more,
    imap_step_flags, imap_step_uids, imap_step_find, imap_step_body, imap_step_act, imap_step_append, imap_step_watch,
    imap_step_search, imap_step_claim;
void claims_note(struct session *, const struct imap_fetch *);
/* The protocol's idle: watches until steps wait. */
void imap_idle(struct fetch *, int64_t until_ms);
/* Flags came for a message of which only the sequence number is known: its UID is asked for when idle. */
void watch_nameless(struct session *, uint32_t seq);
void watch_expunged(struct session *, uint32_t seq); /* sequence numbers above it fall */
void watch_deselected(struct session *);
void watch_reset(struct session *); /* the line is gone */
/* Opens, renews or leaves the second connection; when it wants to be called again (monotonic; INT64_MAX never). */
int64_t second_tick(struct session *);
void second_close(struct session *);
void second_wake(struct fetch *); /* leaves it where a search needs the connection */
/* LIST and STATUS that nobody asked for on this line: told to the store. */
bool imap_list_news(struct session *, const struct imap_list *, struct err *);
bool imap_status_news(struct session *, const struct imap_status *, struct err *);
bool imap_status_names(struct session *, struct str names, struct err *);

#endif
