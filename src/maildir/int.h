/* Shared by the files of this module only. */
#ifndef TUIMAIL_MAILDIR_INT_H
#define TUIMAIL_MAILDIR_INT_H

#include "maildir/maildir.h"

enum { MAILDIR_WATCHES = 256 };

struct maildir {
    int fd;      /* the root */
    char *path;  /* for messages to the user */
    bool network; /* NFS and the like */
    int inotify;  /* -1 until asked for */
    struct {
        int wd;
        char *folder;
    } watches[MAILDIR_WATCHES];
    size_t nwatches;
};

/* "a.b" -> ".a.b" ("" -> "."), refused where it cannot be one directory's name. */
bool md_folder_dir(struct str folder, char dir[256], struct err *);
/* Opens folder/sub as a directory; -1 with *err. */
int md_open_dir(struct maildir *, struct str folder, const char *sub, struct err *);
/* Splits a file name; false for names no Maildir has. */
bool md_parse_name(const char *name, struct str *unique_r, uint32_t *flags_r);
void md_format_name(struct str unique, uint32_t flags, const char *keep, char name[256]);
void md_new_unique(char unique[64]);
/* Where is it now: *sub_r "new" or "cur", its full name in name_r. */
bool md_find(struct maildir *, struct str folder, struct str unique, const char **sub_r, char name_r[256],
             struct err *);

#endif
