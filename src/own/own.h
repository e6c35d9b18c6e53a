/* The user's own notmuch database (option index-database): where it is, and opening it. */
#ifndef TUIMAIL_OWN_OWN_H
#define TUIMAIL_OWN_OWN_H

#include "base/base.h"

#include <notmuch.h>

struct own {
    char *given;     /* the option: a configuration file of notmuch, or the directory of a database; NULL: none */
    char *path;      /* as notmuch names it; NULL: it could not be opened when own_find looked */
    char *dir;       /* in which Xapian's files are: it has a directory "xapian" */
    char *mail_root; /* below which its mail is */
    char *config[3]; /* where notmuch looks for its configuration */
};
/* Opens it with the user's configuration: that file, or where notmuch looks for the one of a database. Never upgrades
 * it. ERR_INDEX names it and says why not. For writing it waits while another program writes. */
bool own_open(const struct own *, notmuch_database_mode_t, notmuch_database_t **db_r, struct err *);
/* Before the sandbox: looks where everything is. False, *err as own_open says, where it cannot be read; what is known
 * is filled in all the same. own_free frees, `given` too. */
bool own_find(struct own *, struct err *);
/* Adds all that reading it takes behind what is in `paths`, which has room for `max`. */
void own_paths(const struct own *, const char **paths, size_t max);
void own_free(struct own *);

#endif
