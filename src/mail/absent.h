/* The parts of a message that a file lacks. The file is a mail all the same: the message's own header, the headers of
 * all its parts, and nothing where the body of an absent part would stand.
 *
 * The list travels beside the bytes, never in them, for they are a stranger's. It is text: the size of the file on a
 * line, then a line "SECTION HEAD AT SIZE" for each absent part, in the order of the file. An empty list stands for a
 * file that is the message byte for byte; one without parts for a file that has all of them but was put together here.
 * Whoever reads a list that came over a channel treats it as hostile. Pure. */
#ifndef TUIMAIL_MAIL_ABSENT_H
#define TUIMAIL_MAIL_ABSENT_H

#include "base/base.h"

#define ABSENT_LIST_MAX 16384 /* bytes of a list */

struct absent {
    struct str section; /* as IMAP counts: "1.2"; digits and dots */
    uint64_t head, at;  /* offsets in the file: of the part's header, and of the body that is not there */
    uint64_t size;      /* of that body, encoded */
};
/* Begins the list of a file of so many bytes. */
void absent_begin(struct buf *list, uint64_t file_bytes);
bool absent_add(struct buf *list, const struct absent *); /* false past ABSENT_LIST_MAX */
/* Reads the first line: *rest_r is then what absent_next walks. False where it is no list; the empty one gives 0. */
bool absent_open(struct str list, uint64_t *file_bytes_r, struct str *rest_r);
/* The next entry; false at the end or at the first line that is none. */
bool absent_next(struct str *rest, struct absent *absent_r);
/* The entry of a section; false where the list does not have it. */
bool absent_find(struct str list, struct str section, struct absent *absent_r);
/* Number of entries. */
size_t absent_count(struct str list);

#endif
