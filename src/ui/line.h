/* A line that is typed: editing by grapheme clusters. What is typed or pasted is cleaned at once. */
#ifndef TUIMAIL_UI_LINE_H
#define TUIMAIL_UI_LINE_H

#include "base/base.h"

#define LINE_BYTES 4096
struct edit {
    char p[LINE_BYTES + 1]; /* valid UTF-8, NUL-terminated; wiped by edit_wipe */
    size_t n, at;           /* at: cursor, a cluster boundary */
};
void edit_set(struct edit *, struct str);
void edit_wipe(struct edit *);
bool edit_insert(struct edit *, struct str); /* false where it does not fit */
void edit_left(struct edit *);
void edit_right(struct edit *);
void edit_word_left(struct edit *);
void edit_word_right(struct edit *);
void edit_backspace(struct edit *);
void edit_delete(struct edit *);
void edit_word_backspace(struct edit *);
void edit_kill(struct edit *);  /* to the end */
void edit_clear(struct edit *); /* to the start */
#endif
