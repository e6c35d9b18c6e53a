/* Display document: what `view` makes of a message and `ui` draws: a list of typed lines.
 *
 * Written by doc_put into a stream of bytes, read by doc_feed. The writer is the parser of hostile mail and may be
 * taken over: the reader bounds everything and cleans every string again (text_from_bytes), so that nothing but text
 * reaches the screen. The lines are logical ones: the reader wraps them to its width, so a resize needs no second
 * parse. Pure: no I/O, does not block. */
#ifndef TUIMAIL_MAIL_DOC_H
#define TUIMAIL_MAIL_DOC_H

#include "base/base.h"

enum doc_kind {
    DOC_HEADER = 1, /* a header field: name, value (decoded) */
    DOC_TEXT,       /* a line of the body; level: quote depth; style: enum doc_style */
    DOC_BANNER,     /* our own words (signature verdict, "2 parts not shown"): drawn outside the text, in a style mail
                       cannot have */
    DOC_PART,       /* a MIME part: number, type, file name, size, flags: the attachment list and the part tree */
    DOC_LINK,       /* target of the link number `number`, spans name it */
    DOC_WARNING,    /* something suspicious or cut: two From fields, a limit met */
    DOC_META, /* name=value for programs: message-id, in-reply-to, references, reply-to, list-post, charset, date ...
                 raw, cleaned; "absent", before the part it is of: the section of part `number` */
};
enum doc_style { DOC_PLAIN, DOC_SIGNATURE, DOC_DIFF_ADD, DOC_DIFF_DELETE, DOC_DIFF_HUNK, DOC_HEADING, DOC_PRE };
enum doc_part_flags {
    DOC_PART_SHOWN = 1,      /* its text is in the document */
    DOC_PART_ATTACHMENT = 2, /* listed as an attachment */
    DOC_PART_ENCRYPTED = 4,  /* PGP/MIME or S/MIME encrypted data: fetch it with VIEW_PART and decrypt */
    DOC_PART_SIGNED =
        8, /* multipart/signed: VIEW_PART signed_bytes gives what part number+1.. covers; name holds the protocol */
    DOC_PART_SIGNATURE = 16,
    DOC_PART_MESSAGE = 32, /* message/rfc822 */
    DOC_PART_TRUNCATED = 64,
    DOC_PART_PGP_INLINE = 128, /* text part with an armoured block: VIEW_PART and hand it to gpg */
    DOC_PART_ABSENT = 256,     /* not on this machine: a DOC_META "absent" with its number has the section */
};
/* A run inside DOC_TEXT. */
enum doc_span_kind { DOC_SPAN_LINK = 1, DOC_SPAN_STRONG, DOC_SPAN_EMPHASIS, DOC_SPAN_CODE };
struct doc_span {
    uint32_t from, to; /* byte offsets into the text */
    uint8_t kind;
    uint32_t link; /* number of a DOC_LINK */
};
struct doc_item {
    enum doc_kind kind;
    uint8_t level, style;
    uint32_t number, flags;
    uint32_t parent; /* DOC_PART: number of the enclosing part, 0 none */
    uint64_t size;   /* DOC_PART: decoded bytes; of an absent one about so many */
    struct str name; /* header or meta name, MIME type of a part */
    struct str text; /* value, line, file name of a part, target of a link */
    const struct doc_span *spans;
    size_t nspans;
};
/* Limits of the reader and the writer. A writer that meets one writes a DOC_WARNING instead. */
#define DOC_MAX_ITEMS 400000
#define DOC_MAX_BYTES (64u << 20)
#define DOC_MAX_LINE 65536
#define DOC_MAX_SPANS 256
#define DOC_MAX_DEPTH 32

/* Appends one item; strings may hold anything, the reader cleans. False when `out` is full. */
bool doc_put(struct buf *out, const struct doc_item *);

/* A whole document, decoded and cleaned. */
struct doc;
/* Feeds bytes as they come (any cut). False with ERR_PARSE or ERR_LIMIT: keep what was read and show that it is cut. */
struct doc *doc_new(void);
void doc_free(struct doc **);
bool doc_feed(struct doc *, struct str bytes, struct err *);
size_t doc_count(const struct doc *);
/* Borrowed until the next doc_feed. Strings are clean (safe to draw through text_from_bytes with no change, so without
 * cost worth naming). */
const struct doc_item *doc_at(const struct doc *, size_t i);
/* First item of `kind` with that name (ASCII case), NULL where absent. */
const struct doc_item *doc_named(const struct doc *, enum doc_kind, const char *name);
/* Wraps item i to `cols`: calls `line` for each screen line with the byte range of item->text it shows. Linear in the
 * text. */
typedef void doc_wrap_fn(void *arg, size_t from, size_t to);
void doc_wrap(const struct doc_item *, unsigned cols, doc_wrap_fn *, void *arg);

#endif
