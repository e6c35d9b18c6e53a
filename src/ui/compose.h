/* The mail that is being written, as the files of writing share it. */
#ifndef TUIMAIL_UI_COMPOSE_H
#define TUIMAIL_UI_COMPOSE_H

#include "ui/extra.h"

struct compose {
    enum draft_kind kind;
    char *path;          /* ROOT/drafts/NAME */
    struct buf text;     /* as it stands in the file */
    struct arena *arena; /* of `draft` */
    struct draft draft;
    bool valid;          /* `draft` is of `text` */
    struct err problem;  /* where it is not */
    char *account;       /* who sends it */
    struct ref answers;  /* the mail that is answered or forwarded; id 0 none */
    struct ref replaces; /* the mail in Drafts that this one continues */
    bool replaced;       /* the store removes it */
    bool forwards;
    size_t top;
    struct helper *builder;
    bool saves; /* what is built goes to Drafts instead of the outbox */
    int built;  /* memory file with the finished message */
    bool busy;
    unsigned complaint; /* number of the last note that said what is wrong with it; 0 none */
};
struct compose *composed(struct ui *); /* NULL: none */
/* In a buffer of its own; takes it, its text is read as a draft. False with a note: there are too many buffers. */
bool compose_show(struct ui *, struct compose *);
bool compose_is_open(struct ui *, char *path); /* that draft is being written */
/* Shows the buffer where the mail of Drafts is being written on; false: none. */
bool compose_open_again(struct ui *, struct ref draft);
void compose_close(struct ui *, bool remove_file);
void compose_event(struct ui *, const struct compose *, enum event);
void compose_understand(struct ui *, struct compose *); /* `draft` of `text` */
bool compose_save(struct ui *, struct compose *);       /* false with a note; so compose_read */
bool compose_read(struct ui *, struct compose *);       /* `text` and `draft` of the file; an empty file is none */
char *compose_dir(struct ui *);                         /* of the drafts; caller frees; NULL with a note */
void compose_edit(struct ui *);
const char *compose_editor(const struct ui *); /* the command; borrowed */
/* May it be built (to_send: and sent)? False without *err: it is being built. */
bool compose_ready(struct ui *, bool to_send, struct err *);

#endif
