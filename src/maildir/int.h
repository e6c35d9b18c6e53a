/* Shared by the files of this module only. */
#ifndef TUIMAIL_MAILDIR_INT_H
#define TUIMAIL_MAILDIR_INT_H

#include "maildir/maildir.h"

struct watch_list;
struct maildir {
    int fd;       /* the root */
    char *path;   /* for messages to the user */
    bool network; /* NFS and the like */
    struct watch_list *watches;
};

/* "a.b" -> ".a.b" ("" -> "."), refused where it cannot be one directory's name. */
bool md_folder_dir(struct str folder, char dir[256], struct err *);
/* May one be made of that name? Others make stranger ones, which are read. */
bool md_new_folder(struct str folder, struct err *);
/* Opens folder/sub as a directory; -1 with *err. */
int md_open_dir(struct maildir *, struct str folder, const char *sub, struct err *);
/* Splits a file name; false for names no Maildir has. */
bool md_parse_name(const char *name, struct str *unique_r, uint32_t *flags_r);
void md_format_name(struct str unique, uint32_t flags, const char *keep, char name[256]);
void md_new_unique(char unique[64]);
/* Where is it now: *sub_r "new" or "cur", its full name in name_r. */
bool md_find(struct maildir *, struct str folder, struct str unique, const char **sub_r, char name_r[256],
             struct err *);
/* Is a file of that name, or of one that our own flags can make of it, there? No listing. */
bool md_there(int cur, struct str unique, char name_r[256]);
/* The path of a file from the root, "new/x", ".a.b/cur/x:2,S"; appended. */
void md_path(const char *folder_dir, const char *sub, const char *name, struct buf *out);
/* ".a.b" has what a folder needs. */
bool md_is_folder(int root, const char *name);
/* What deletions that were killed left. */
void md_sweep_folders(struct maildir *);
/* A delivery of ours was named: the event of it is no news. */
void md_watch_own(struct maildir *, struct str folder, bool cur, const char *name);
bool md_is_subscriptions(const char *name);
void md_watch_free(struct watch_list **);

#endif
