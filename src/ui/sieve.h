/* Scripts on the server, for the files of ui that show and make them: sieve.c, rule.c. */
#ifndef TUIMAIL_UI_SIEVE_H
#define TUIMAIL_UI_SIEVE_H

#include "client/script.h"
#include "ui/compose.h"
#include "ui/extra.h"

/* What the server answered. said: its words, raw; text: what it gave. All gone when fn returns. */
struct script_answer {
    bool ok, warned;
    struct err err;
    struct str said;
    struct buf text;
};
typedef void script_fn(struct ui *, void *arg, struct script_answer *);
/* Asks; fn is called once, later. False with a note where it cannot be asked; then never. */
bool script_ask(struct ui *, const char *account, enum sieve_verb, const char *name, const char *to, struct str text,
                script_fn *, void *arg);
/* The account named, else that of the row or the list, else the first with scripts; NULL with *err. Borrowed. */
const char *scripts_account(struct ui *, const char *name, struct err *err);
/* The same but for the kind of line ends. */
bool script_same(struct str, struct str);
/* A rule was kept: in the script of that name, which was `before` and is `after`, or here (script NULL) as the line
 * `after`. made: there was no such script; activated: it was not the active one. The next undo takes it back. */
struct kept_rule {
    const char *account, *script;
    bool made, activated;
    struct str before, after;
    uint64_t deed;
};
void rule_kept(struct ui *, const struct kept_rule *);
void script_editor(struct ui *, unsigned line); /* over the file that is edited; line 0: its beginning */

#endif
