/* Inside mime: the flat table of parts, and the writer of document lines. */
#ifndef TUIMAIL_MIME_PARTS_H
#define TUIMAIL_MIME_PARTS_H

#include <gmime/gmime.h>
#undef MIN /* glib's; base has the same */
#undef MAX

#include "mail/absent.h"
#include "mail/mail.h"
#include "mime/mime.h"

struct part {
    GMimeObject *object;   /* borrowed from the message; NULL for a uuencoded file inside a text */
    GMimeMessage *message; /* of a message/rfc822 part */
    uint32_t parent;       /* number, 0 none */
    uint32_t depth;
    uint32_t flags;        /* enum doc_part_flags */
    uint32_t nth;          /* place among its parent's children, from 0 */
    uint64_t absent;       /* encoded bytes that are not here; 0: it is */
    char *section;         /* of an absent part, as IMAP counts */
    bool hidden;           /* not chosen: another alternative, a version part ... */
    char *type;            /* lower case "text/plain" */
    char *name;            /* safe file name, or NULL */
    size_t uu_from, uu_to; /* of a uuencoded file: the range in the decoded text of its parent */
    uint64_t uu_size;
};

struct mime {
    struct buf raw;
    char *scrubbed;    /* copy of raw without what would harm GMime; NULL where nothing would */
    GByteArray *bytes; /* what GMime reads: borrows raw or scrubbed */
    size_t parse_size; /* bytes up to which GMime saw it */
    size_t skip;       /* bytes before the header: an mbox line */
    GMimeMessage *message;
    struct part *parts; /* part number n is parts[n - 1] */
    size_t count, cap;
    bool cut_parts, cut_depth, cut_fields;
};

/* Decoded content of a leaf, at most `max` bytes (sticky `full` past it). */
void part_content(const struct mime *, const struct part *, struct buf *out);
uint64_t part_size(const struct mime *, const struct part *);
const char *part_param(const struct part *, const char *name); /* Content-Type parameter or NULL */
bool part_is(const struct part *, const char *type);
bool type_starts(const struct part *, const char *prefix);

/* ---- Lines of the document ---------------------------------------------------------------------- */
struct lines {
    struct buf *out;
    size_t items;
    bool full;
    uint32_t links;        /* number of the last link */
    struct buf link_items; /* DOC_LINK items, for the end of the document */
    size_t html;           /* bytes of HTML shown so far */
    uint32_t warnings;
    struct buf warning_items;
};
bool lines_put(struct lines *, const struct doc_item *);
void lines_text(struct lines *, unsigned level, enum doc_style, struct str, const struct doc_span *, size_t nspans);
void lines_warn(struct lines *, const char *fmt, ...) PRINTF(2, 3);
/* Registers a link target; 0 where there are too many. */
uint32_t lines_link(struct lines *, struct str target);
/* A line of plain text with the URLs in it as links. */
void lines_plain(struct lines *, unsigned level, enum doc_style, struct str);

/* Renderers of UTF-8 text. */
void show_plain(struct lines *, struct str text, bool diff);
void show_flowed(struct lines *, struct str text, bool delsp);
/* Appends the HTML without what is never shown and without tags past the limits; false where there were more than
 * MIME_TAGS_MAX. */
bool html_flatten(struct str, struct buf *out);
void show_html(struct lines *, struct str html);
void show_calendar(struct lines *, struct str text);
void show_vcard(struct lines *, struct str text);
/* Finds uuencoded files: calls for each with its name and the range of its lines in `text`. */
typedef void uu_fn(void *arg, struct str name, size_t from, size_t to);
void uu_find(struct str text, uu_fn *, void *arg);
void uu_decode(struct str lines, struct buf *out);

#endif
