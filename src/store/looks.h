/* Databases of notmuch that other programs may write: who is told when they did. */
#ifndef TUIMAIL_STORE_LOOKS_H
#define TUIMAIL_STORE_LOOKS_H

#include "base/base.h"

enum { LOOKS_OURS, LOOKS_USERS, LOOKS_MAX };
struct looks;
/* Called soon after one was written and is not as it is known. */
typedef void looks_fn(void *arg, unsigned which);
struct looks *looks_new(struct loop *, looks_fn *, void *arg);
void looks_free(struct looks **); /* NULL-safe */
/* Where the database is (the directory with Xapian's files); it need not be there. Known as nothing at first. */
void looks_at(struct looks *, unsigned which, const char *dir);
/* As it is now it is known. */
void looks_known(struct looks *, unsigned which);
/* It is there, and is not as it is known: a stat. */
bool looks_changed(const struct looks *, unsigned which);

#endif
