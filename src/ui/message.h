/* The message pane: a display document wrapped to the width, as far as it was scrolled. No screen, no channel. */
#ifndef TUIMAIL_UI_MESSAGE_H
#define TUIMAIL_UI_MESSAGE_H

#include "mail/doc.h"
#include "query/query.h"
#include "ui/grid.h"
#include "ui/model.h"

enum message_state {
    MESSAGE_NONE,
    MESSAGE_WAITING, /* for the body */
    MESSAGE_READING, /* the document comes */
    MESSAGE_SHOWN,
    MESSAGE_FAILED,
};
struct message_line {
    uint32_t item;     /* UINT32_MAX: an empty line of the layout */
    uint32_t from, to; /* bytes of the item's text */
    uint16_t folded;   /* so many lines are folded here */
    bool first;        /* of its item */
};
struct message {
    enum message_state state;
    struct ref ref;
    struct doc *doc;
    struct doc *next; /* a fuller document of the message, on its way; it takes the place of `doc` when it is whole */
    bool complete;    /* the whole document is here */
    unsigned flags;   /* enum view_flags it was asked with */
    bool fold;        /* fold long quotations */
    char *subject;    /* of the row, shown until the document comes; raw */
    char why[400];    /* MESSAGE_FAILED: in words, and progress while waiting */
    char *find;       /* what is looked for in it, or NULL; message_set_find */
    struct query_words *piece;       /* the same */
    const struct query_words *words; /* of the search that found it, borrowed; or NULL */
    size_t hit_line, hit_at;         /* where message_find is, and the byte of the line's text; SIZE_MAX: nowhere */
    /* the wrapped lines, as far as they were needed */
    unsigned width;
    struct message_line *lines;
    size_t nlines, cap;
    size_t next_item; /* the first item that is not wrapped */
    size_t top;       /* line at the top of the pane */
    char *files;      /* names and sizes of what is attached, raw; NULL where nothing is */
    unsigned nfiles;
    char *tags;   /* as they are shown, raw; NULL where there is none */
    int64_t owed; /* lines to be scrolled when they are here */
    /* the text that shall stand at the top when it is here; MORE: what is here has not got it, more may come */
    enum { SEEK_NONE, SEEK_ON, SEEK_MORE } seek;
    struct message_spot {
        uint32_t item, at; /* byte of the item's text */
    } sought;
};
#define MESSAGE_LINES_MAX 4000000u
void message_init(struct message *);
void message_fini(struct message *);
void message_show(struct message *, struct ref, struct str subject, unsigned flags); /* drops the old document */
void message_close(struct message *);
/* Blank separated (raw), shown below the header; what is read stays where it is. */
void message_set_tags(struct message *, struct str tags);
/* More of the message that is shown is here: its document comes anew, and the place in the text stays. */
void message_again(struct message *);
/* Bytes of the document, as they come. */
bool message_feed(struct message *, struct str, struct err *);
void message_done(struct message *);
void message_fail(struct message *, const char *why);
void message_width(struct message *, unsigned cols);
void message_fold(struct message *, bool fold);
/* Scrolls; false where it is at that end. What has not come yet is scrolled when it is here. `height`: rows of the
 * pane. */
bool message_scroll(struct message *, int64_t by, unsigned height);
void message_top(struct message *);
/* The text at the top, whatever the width; and back there, when it is here. */
struct message_spot message_spot(const struct message *);
void message_seek(struct message *, struct message_spot);
void message_bottom(struct message *, unsigned height);
void message_set_find(struct message *, const char *text); /* "" nothing: the words of the search are marked again */
/* Goes to the next of what is marked, from the top line on where it is at none, wrapping around. */
enum message_found { FOUND_NONE, FOUND, FOUND_AROUND };
enum message_found message_find(struct message *, bool forward, unsigned height);
bool message_marked(const struct message *); /* is anything looked for? */
void message_draw(struct message *, struct grid *, struct rect);
/* "37%", "end", "all" for the status line. */
const char *message_place(const struct message *, unsigned height, char out[16]);
/* Links in the order of the document: DOC_LINK items. NULL past the end. */
const struct doc_item *message_link(const struct message *, size_t i);
/* The section of part `number` that is not on this machine; "" where it is. */
struct str doc_absent(const struct doc *, uint32_t number);
/* Value of a DOC_META or DOC_HEADER line, empty where absent. */
struct str message_value(const struct message *, enum doc_kind, const char *name);

#endif
