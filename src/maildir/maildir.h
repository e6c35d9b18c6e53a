/* maildir: Maildir++ on this machine: delivery that survives a power cut, flags by file name, folders.
 *
 * `fetch` is the only writer in tuimail, but other programs may deliver into, read, rename and remove the same files at
 * any time: a message is found by the unique part of its name (what stands before ":2,"), wherever and with whatever
 * flags it is now. Folder "" is the INBOX; a folder "a.b" is the directory
 * ".a.b" (Maildir++). File names and contents come from outside and are hostile; nothing is followed, and nothing but
 * regular files is opened. All calls may wait for the disk. Errors: ERR_NO_MAILDIR, ERR_NO_MESSAGE, ERR_NO_MAILBOX,
 * ERR_DISK_FULL, ERR_PERMISSION, ERR_IO, ERR_USAGE (a name that cannot be a folder). */
#ifndef TUIMAIL_MAILDIR_MAILDIR_H
#define TUIMAIL_MAILDIR_MAILDIR_H

#include "base/base.h"
#include "mail/mark.h"
#include "mail/row.h"

struct maildir;
/* make: root and its cur, new, tmp (0700) where they are missing; else ERR_NO_MAILDIR with what to do where there is no
 * Maildir. */
struct maildir *maildir_open(const char *root, bool make, struct err *);
void maildir_close(struct maildir **);
/* Is it there still, under its name? Else ERR_NO_MAILDIR with what to do: it was moved away, or its disk is not
 * mounted. What it held is then not to be taken for deleted. Two looks at the disk. */
bool maildir_check(struct maildir *, struct err *);

struct maildir_file {
    struct str unique; /* valid inside the callback */
    struct str path;   /* from the root: ".a.b/cur/NAME", valid inside the callback */
    uint32_t flags;    /* enum mail_flags, of S R F T D P */
    uint64_t size;
    int64_t mtime;
};

/* ---- Delivery: write to the fd, then commit --------------------------------------------------------------- */
struct delivery;
/* A new file in the folder's tmp/; the folder must exist. */
struct delivery *maildir_begin(struct maildir *, struct str folder, struct err *);
int delivery_fd(const struct delivery *); /* borrowed */
/* fsync of the file, rename into new/ (no flags) or cur/ (flags), fsync of that directory: when it returns true the
 * mail is safe. `unique_r` gets the unique part. On failure the file is gone and so is the mail. Frees the delivery in
 * every case. */
bool delivery_commit(struct delivery **, uint32_t flags, struct buf *unique_r, struct err *);
/* The same for n of one folder, for the price of one: all files are made durable, then each gets its name, then the
 * directory is synced. errs[i] (ERR_INIT before) stays so for what is safe. */
void delivery_commit_all(struct delivery **, size_t n, uint32_t flags, struct err *errs);
/* Among the flags of a commit: into cur/ also without any of them, for mail that is not new. */
#define MAILDIR_CUR (UINT32_C(1) << 31)
/* Flags of this one beside those that it is committed with, where that is into cur/. Before the commit. */
void delivery_flags(struct delivery *, uint32_t flags);
const char *delivery_unique(const struct delivery *); /* the unique part it will have; borrowed */
/* Removes what deliveries of ours that were killed left in the folder's tmp/: files of our names that nobody wrote to
 * for an hour. Files of other programs stay. With "" also what is left of folders that were deleted. Never fails. */
void maildir_sweep(struct maildir *, struct str folder);
void delivery_abort(struct delivery **); /* NULL-safe */
/* `unique`, of at most 200 bytes and no other mail's, in place of a name of ours. Before the commit. */
void delivery_name(struct delivery *, struct str unique);
/* Puts marks into its name (mail/mark.h). Before the commit. */
void delivery_mark(struct delivery *, const struct mark *);
/* In place of a commit: the mail takes the place of the message `unique` of the same folder, with its flags, and has
 * the unique part `whole`: at every moment one of the two is there, and after a kill in between the new bytes may still
 * have the old name. ERR_NO_MESSAGE: it is not there any more. Frees the delivery in every case. */
bool delivery_replace(struct delivery **, struct str unique, struct str whole, struct err *);
/* Is the message `unique` of the same folder byte for byte what was written so far, and safe? Then *file_r has its
 * flags and size, and its path from the root is appended to path_r. */
bool delivery_is(const struct delivery *, struct str unique, struct maildir_file *file_r, struct buf *path_r);

/* ---- Messages ---------------------------------------------------------------------------------------------- */
/* False from the callback ends the scan (which then returns true). */
typedef bool maildir_file_fn(void *arg, const struct maildir_file *);
/* Every regular file of new/ and cur/, newest first by the time in its name (of 16 MB of names at once; what has no
 * time comes last); what is none, or cannot be a name, is skipped and, if not hidden, counted in *odd_r (THREATS 114).
 * Files that vanish meanwhile are left out, those that others rename are not. The callback may use the Maildir. One
 * listing and a stat each. */
bool maildir_scan(struct maildir *, struct str folder, maildir_file_fn *, void *arg, unsigned *odd_r, struct err *);
/* The same, file by file: the listing is made at once, each stat when its file is asked for. The file is borrowed until
 * the next call; false: that was the last. The Maildir must outlive it. NULL with *err. */
struct maildir_scan *maildir_scan_open(struct maildir *, struct str folder, struct err *);
bool maildir_scan_next(struct maildir_scan *, struct maildir_file *file_r);
/* So many were skipped that are no messages; of one of them the name (borrowed) and what it is. Hidden files are
 * skipped and not counted: nobody takes them for mail. */
unsigned maildir_scan_odd(const struct maildir_scan *, struct str *name_r, const char **why_r);
void maildir_scan_close(struct maildir_scan **); /* NULL-safe */
/* The names alone (what precedes the flags), in no order and without a look at the files. False: the callback's. */
typedef bool maildir_name_fn(void *arg, struct str unique);
bool maildir_names(struct maildir *, struct str folder, maildir_name_fn *, void *arg, struct err *);
/* Opens what the scan of that folder gave, wherever it is by now: as maildir_message. */
int maildir_open_file(struct maildir *, struct str folder, const struct maildir_file *, struct err *);
/* Opens the message for reading: a regular file or nothing. -1 with *err. The path from the root is appended to
 * `path_r` (or NULL). */
int maildir_message(struct maildir *, struct str folder, struct str unique, struct maildir_file *file_r,
                    struct buf *path_r, struct err *);
/* Sets exactly `flags` of those a name can hold (S R F T D P); letters unknown to us stay. Moves from new/ to cur/. */
bool maildir_flags(struct maildir *, struct str folder, struct str unique, uint32_t flags, struct err *);
/* Within the same Maildir; the unique part stays for a move and is new for a copy (`unique_r`; the copy of a stub is
 * one), made of the original's and the key; 0: of chance. */
bool maildir_move(struct maildir *, struct str folder, struct str unique, struct str target, struct err *);
bool maildir_copy(struct maildir *, struct str folder, struct str unique, struct str target, uint64_t key,
                  struct buf *unique_r, struct err *);
/* The key in the name of a copy; 0: it is none, or has no such name. */
uint64_t maildir_copy_key(struct str unique);
/* The copy with that key, made before: its name, once it is durable. False: it is not there, or *err. */
bool maildir_copied(struct maildir *, struct str unique, struct str target, uint64_t key, struct buf *unique_r,
                    struct err *);
bool maildir_remove(struct maildir *, struct str folder, struct str unique, struct err *);

/* ---- Folders -------------------------------------------------------------------------------------------------- */
/* id: what another name leaves as it is, and a new folder of the same name has not; "" where the file system has
 * none. */
typedef void maildir_folder_fn(void *arg, struct str folder, struct str id);
/* INBOX ("") first, the others as the directory gives them. */
bool maildir_folders(struct maildir *, maildir_folder_fn *, void *arg, struct err *err);
/* What could be no folder's name is ERR_USAGE here and everywhere. */
bool maildir_create(struct maildir *, struct str folder, struct err *); /* true too where it exists */
/* With its sub-folders: all or none. */
bool maildir_rename(struct maildir *, struct str folder, struct str to, struct err *);
/* With all its messages; not the INBOX. */
bool maildir_delete(struct maildir *, struct str folder, struct err *);

/* Which folders are subscribed: "subscriptions" of Dovecot, "courierimapsubscribed" of Courier. NULL: there is no list.
 */
struct maildir_subs *maildir_subscriptions(struct maildir *);
bool maildir_subscribed(const struct maildir_subs *, struct str folder);
void maildir_subscriptions_free(struct maildir_subs **); /* NULL-safe */
/* from "": adds `to`. to "": takes `from` off. Both: what is and lies below `from` is called `to`. ERR_USAGE: there is
 * no list, and none is made; ERR_IO: another program has had its lock for a second. */
bool maildir_subscribe(struct maildir *, struct str from, struct str to, struct err *);

/* ---- What others do ----------------------------------------------------------------------------- */
enum maildir_what {
    MAILDIR_FILE_IS,        /* new here, or its flags or its bytes changed */
    MAILDIR_FILE_GONE,      /* file has the unique part alone */
    MAILDIR_FILE_MOVED,     /* known as `was` in was_box before: another folder, or another unique part */
    MAILDIR_FOLDER_CHANGED, /* events were lost, or there are none: the folder has to be scanned */
    MAILDIR_FOLDERS_CHANGED /* the list of folders, or the Maildir itself */
};
struct maildir_news { /* valid inside the callback */
    enum maildir_what what;
    uint64_t box; /* as given to maildir_watch */
    struct str folder;
    struct maildir_file file;
    uint64_t was_box;
    struct str was;
};
typedef void maildir_news_fn(void *arg, const struct maildir_news *);
/* An inotify fd that becomes readable when something changes in what is watched; -1 where the system has none. */
int maildir_watch_fd(struct maildir *);
/* Watches a folder, to be called before it is scanned; `box` is the caller's number for it, and a folder that has
 * another name now is told by its number. False: changes are found by maildir_watch_poll (no watch is left, or the file
 * system is another machine's). */
bool maildir_watch(struct maildir *, struct str folder, uint64_t box);
/* The same for the list of folders. */
bool maildir_watch_folders(struct maildir *);
/* Drains the fd and says what became of each message that something happened to; what this program delivered
 * (delivery_commit) is left out. Costs by the number of changes, not by that of messages. */
void maildir_watch_read(struct maildir *, maildir_news_fn *, void *arg);
/* Of folders that no event comes from: MAILDIR_FOLDER_CHANGED where the directories have another time than before. */
void maildir_watch_poll(struct maildir *, maildir_news_fn *, void *arg);

#endif
