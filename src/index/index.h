/* index: the only writer of the private notmuch database. Parts of the program.
 *
 * The database is at ROOT/index (or STATE-DIR/index), its mail root is ROOT/mail, its configuration ROOT/index/config,
 * written by us; the user's own notmuch is for the program `own` alone (own_files.h). An atomic section is not a
 * commit: only closing is, so INDEX_COMMIT closes and opens again. */
#ifndef TUIMAIL_INDEX_INDEX_H
#define TUIMAIL_INDEX_INDEX_H

#include <notmuch.h>

#include "ipc/ipc.h"

/* ---- Limits of a file that libnotmuch may see: GMime recurses on address groups (100 KB of "a:" overflow 8 MB of stack) ---- */
#define INDEX_HEADER_MAX (1u << 20) /* bytes of the header */
#define INDEX_ADDRESS_MAX                                                                                              \
    (64u << 10)               /* bytes of one address field, anywhere in the file: embedded messages have some too */
#define INDEX_COLONS_MAX 1000 /* ':' outside quotes in one address field */
#define INDEX_FILE_MAX (128ull << 20) /* larger mail is indexed by its header alone */
#define INDEX_STACK (96u << 20)       /* RLIMIT_STACK; the kernel leaves 128 MB below the stack at least */

/* ---- headfile.c: header files and what comes before libnotmuch ---- */
/* The envelope of a mail, UTF-8 where it is text. */
struct envelope {
    struct str from_name, from_addr, to, subject, msgid, refs, list_id;
    int64_t date;
    struct str marks; /* what filters wrote (mail/filter.h) */
};
/* First in main: the stack grows as far as the limit says at that time. */
void headfile_stack(void);
#define HEADFILE_MARK "X-Tuimail-Header: 1\n" /* first line of a header file: it may be written over and removed */
/* Writes the envelope as a mail without a body to `path`, 0600, making directories; false with *err. Refuses to write
 * over a file that is not a header file (ERR_PERMISSION). Not for a place inside a Maildir. `msgid` replaces the
 * envelope's where not empty. */
bool headfile_write(const char *path, const struct envelope *, struct str msgid, struct err *);
/* Can it stand between <> as a message id? A header file is written with what is none as it is, or without where it is
 * more than one line: hostile bytes would become fields. */
bool headfile_id(struct str id);
/* Looks at a mail before libnotmuch does: ERR_LIMIT where it would break it, ERR_PARSE where it is no mail,
 * ERR_NO_MESSAGE where it is not there. *env_r (strings in the arena) is its envelope. Linear in the file. header NULL:
 * all of it; else no more than the header is read, and put there as a mail without a body. */
bool headfile_check(const char *path, struct str fields, struct arena *, struct envelope *env_r, struct buf *header,
                    struct err *);

/* ---- database.c ---- */
struct index {
    char *dir, *mail, *config;
    char *heads;      /* where mail is indexed by its header alone: the paths are those that it has below `mail` */
    const char *root; /* of the paths: mail or heads */
    char *building;   /* a database that is built anew is here, beside the one that is searched, until it is whole */
    bool beside;      /* that is what is open */
    struct err newer; /* why none is open: a newer notmuch wrote it; it may be built anew */
    notmuch_database_t *db;
    notmuch_indexopts_t *opts;
    struct chan *store;
    char *fields;         /* those that queries of tuimailrc ask for, one a line */
    struct buf remove;    /* header files to remove after the commit, NUL after each */
    bool upgraded;        /* when it was opened last */
    bool unheard;         /* what others did was told to the store since its last INDEX_COMMIT */
    char *lent, *lent_at; /* one header file for all that are needed only for a moment; where it is now */
    int lent_fd;          /* -1: none yet */
    size_t lent_size;
    struct arena *arena; /* of one job; NULL: none yet */
};
/* As headfile_write, by one file that is written anew each time and renamed to `path`, where it stays until the next is
 * lent or it is taken back: making a file is dearer than indexing it. False, with or without *err, where that cannot
 * be: there is something. */
bool headfile_lend(struct index *, const char *path, const struct envelope *, struct err *);
bool headfile_lend_text(struct index *, const char *path, struct str text, struct err *);
void headfile_back(struct index *);
/* From here on paths are below this one of ix->mail and ix->heads. */
bool index_root(struct index *, const char *root);
/* Opens or creates; tells store (job 0) when it starts empty. A database that cannot be read is moved to
 * index/broken-TIME first, one of an older notmuch is upgraded. Waits while another program writes, and says so after a
 * while. What a newer notmuch wrote is not opened (index->newer says so). ERR_PERMISSION, ERR_DISK_FULL: nothing can be
 * written. */
bool index_open(struct index *, struct err *);
void index_close(struct index *); /* commits */
/* Closes, removes the header files, opens again; what cannot be written is lost, as below. last: nothing waits behind
 * it; what was built beside is searched from now on. */
bool index_commit(struct index *, bool last, uint64_t *revision_r, struct err *);
/* Begins anew, beside the database that is searched. */
bool index_rebuild(struct index *, struct err *);
/* For the person. */
void index_say(struct index *, enum err_kind, const char *text);
/* After NOTMUCH_STATUS_XAPIAN_EXCEPTION: a full disk is ERR_DISK_FULL, otherwise the database is set aside and a new
 * one made (true). */
bool index_lost(struct index *, struct err *);
/* Puts into *err that its disk is full: ERR_DISK_FULL; false. */
bool index_no_room(const char *dir, struct err *err);
/* The configuration that index and search share; caller owns. */
char *index_config_text(const char *dir, const char *mail);

/* ---- place.c: files of the database, below ix->root ---- */
#define DUP_DIR ".dup/" /* below the mail root: header files of mails whose id another mail has */
/* The path below the root; lives as long as `file`. */
struct str place_below(const struct index *, const char *file);
struct str place_of(const struct index *, const char *file); /* without .dup/: as the store knows it */
/* What is written into a Maildir is a mail to everybody else: no header file there. */
bool place_in_maildir(const struct index *, const char *file);
/* The file of a Maildir, or [.dup/]ACCOUNT/BOX.UIDVALIDITY/UID. A cached body's file is no place: its message has one
 * beside it. */
bool place_is(const struct index *, const char *file);

/* ---- lock.c ---- */
/* Does another program write the database in this directory? A wait for it can be ended, one of libnotmuch cannot. */
bool index_locked(const char *dir);
/* Waits until none does, and says once that it does, after a few seconds. False when the store has ended meanwhile. */
bool index_wait_unlocked(const char *dir, void (*say)(void *arg), void *arg);

/* ---- look.c: what other programs did to tags ---- */
bool tag_automatic(const char *tag);                   /* libnotmuch sets it, by what it sees in the file */
void tags_words(notmuch_message_t *, struct buf *out); /* the others, as words (mail/tag.h) */
/* Tells the store of each message that another program has changed since index_looked (INDEX_TAGGED), and of the end.
 */
bool index_look(struct index *, struct err *);
/* Before the database is closed: what is in it is known, but for what the store may not have heard yet. */
void index_looked(struct index *);
typedef bool look_fn(void *arg, notmuch_message_t *, struct err *);
/* Calls fn for each message that was changed after that revision; the channel is drained between. ERR_INDEX: what was
 * read moved on, and not all were seen. */
bool look_since(struct chan *store, notmuch_database_t *, unsigned long since, look_fn *, void *arg, struct err *);

/* ---- job.c ---- */
/* Does one INDEX_ message (not COMMIT): INDEX_FAILED is sent for what fails alone. False with *err where the program
 * has to end. */
bool index_job(struct index *, const struct msg *, struct err *);

#endif
