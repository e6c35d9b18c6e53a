/* The program own: files and tags in the user's own notmuch database, as `notmuch new` and `notmuch tag` treat them.
 * Parts of the program. */
#ifndef TUIMAIL_INDEX_OWN_FILES_H
#define TUIMAIL_INDEX_OWN_FILES_H

#include "index/index.h"
#include "own/own.h"

#include <regex.h>

/* Where the mail of an account is: as the database has it, with a slash behind; NULL where it is not below its root. */
struct own_account {
    char *name, *below;
    const char *at; /* what leads to it from the account's directory in the store: "", or "maildir/", a link */
};
/* What the user's configuration says of new mail; read at each opening. */
struct own_ways {
    char **tags;    /* new.tags */
    char **ignored; /* new.ignore, names */
    regex_t *patterns;
    size_t ntags, nignored, npatterns;
    bool flags; /* maildir.synchronize_flags */
};
struct own_files {
    struct own own;
    struct own_account *accounts;
    size_t naccounts;
    struct own_ways ways;
    notmuch_database_t *db; /* NULL: not open */
};
void own_ways_read(struct own_files *);
void own_ways_free(struct own_ways *);
/* "ACCOUNT/PATH" as the database has it, caller owns; NULL: it is not below its root, or nothing of ours. */
char *own_full(const struct own_files *, struct str path);
/* Would own_file or own_gone change anything? The database may be open for reading alone. */
bool own_file_needs(struct own_files *, const char *full, struct str words);
bool own_gone_needs(struct own_files *, const char *full);
/* The file is added as `notmuch new` adds it: with new.tags, and tags of its flags where maildir.synchronize_flags says
 * so, or as one more file of a message that is there; other paths of it that are no more are dropped. Then its tags are
 * changed. Mail that is there already keeps all its tags but those. True with *err ERR_NONE also for what new.ignore
 * names. ERR_PARSE, ERR_LIMIT, ERR_NO_MESSAGE: it alone cannot be; ERR_INDEX: the database cannot be written. */
bool own_file(struct own_files *, const char *full, struct str words, struct err *);
/* The path is dropped, if there is no file. */
bool own_gone(struct own_files *, const char *full, struct err *);

#endif
