/* The user's own notmuch database (option index-database), searched beside ours. Parts of the program. */
#ifndef TUIMAIL_SEARCH_OWN_H
#define TUIMAIL_SEARCH_OWN_H

#include "search/search.h"

#include <notmuch.h>

/* Opens it read-only with the user's configuration: s->own is that file, or the directory of a database, whose
 * configuration is where notmuch looks for it. ERR_INDEX names it and says why. The database follows a change of its
 * files: it is opened for each query. */
bool own_open(const struct search *, notmuch_database_t **db_r, struct err *);
/* Before the sandbox: where the database is, and all that reading it takes, added to box->read_paths. */
void own_paths(struct search *, struct sandbox *box);

#endif
