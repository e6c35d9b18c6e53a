/* The demo: a tutorial made of mail, in a store of its own that is removed at the end. No account, no network. */
#ifndef TUIMAIL_CLI_DEMO_H
#define TUIMAIL_CLI_DEMO_H

#include "base/base.h"

/* The mails, made from contrib/demo at build time: each a NULL-terminated list of lines; NULL ends the list.
 * "@MINUTES-n@" stands for the date n minutes ago (RFC 5322). */
extern const char *const *const demo_mail[];

/* A private directory below the runtime directory with DIR/tuimailrc (one local account) and DIR/store (its Maildir,
 * filled). `rc_r` and `root_r` (the store) are the caller's to free, like the directory's name, which is returned; NULL
 * with *err. May wait for the disk. */
char *demo_make(char **rc_r, char **root_r, struct err *);
/* Removes the directory that demo_make made, with all in it. */
void demo_remove(const char *dir);

#endif
