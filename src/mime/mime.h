/* mime: a message as a tree of parts, its display document, and building of messages. GMime and gumbo are behind it.
 *
 * Used by `view`, and by tests in their own process; the input is hostile and the libraries below have had faults, so
 * no other role links it. Nothing here touches the network, a file or another process; nothing blocks. Time and memory
 * are bounded by the limits below: what exceeds one is shown cut, with a DOC_WARNING. Standards: RFC 2045-2049, 2183,
 * 2231, 3676, 1847, 3156, 5322. */
#ifndef TUIMAIL_MIME_MIME_H
#define TUIMAIL_MIME_MIME_H

#include "base/base.h"
#include "mail/doc.h"

#define MIME_MESSAGE_MAX (256u << 20) /* bytes of a message */
#define MIME_PARTS_MAX 10000
#define MIME_DEPTH_MAX 100
#define MIME_FIELD_MAX (64u << 10) /* bytes of one header field that GMime may see */
#define MIME_COLONS_MAX 1000       /* ':' in one field: nested groups end GMime (THREATS 95) */
#define MIME_TEXT_MAX (16u << 20)  /* decoded bytes of one text part that are shown */
#define MIME_HTML_MAX (4u << 20)
#define MIME_TAGS_MAX 50000 /* tags of one HTML part */
#define MIME_LINKS_MAX 5000
#define MIME_ATTACHMENTS_MAX 1000 /* of a mail that is built */

/* The values are those of enum view_flags and enum build_flags (ipc.h). */
enum mime_show_flags { MIME_ALL_HEADERS = 1, MIME_PREFER_HTML = 2, MIME_RAW = 4, MIME_STRUCTURE = 8 };
enum mime_draft_flags { MIME_KEEP_BCC = 1, MIME_NO_FLOWED = 2 };

/* Once per process, before any hostile byte (and before the sandbox): initialises GMime, loads what is loaded lazily,
 * and lets the stack grow to 64 MB. */
void mime_init(void);

/* ---- A parsed message --------------------------------------------------------------------------- */
struct mime;
/* Takes over the bytes of `raw` (emptied). Never fails on bad syntax; false only over MIME_MESSAGE_MAX (ERR_LIMIT). */
bool mime_open(struct buf *raw, struct mime **mime_r, struct err *);
void mime_free(struct mime **);

/* What the bytes lack of the message (mail/absent.h, hostile): those parts are listed as not fetched, and their empty
 * bodies are not shown. Before mime_document. */
void mime_absent(struct mime *, struct str list);

/* flags: enum mime_show_flags: without any, the short headers and the preferred text; MIME_ALL_HEADERS;
 * MIME_PREFER_HTML where there is a choice; MIME_RAW the undecoded message as lines; MIME_STRUCTURE only the parts.
 * Appends the document; it holds, in this order: DOC_META (raw field values: from, sender, reply-to, to, cc, subject,
 * date, message-id, in-reply-to, references, list-id, list-post, mail-followup-to, list-unsubscribe,
 * list-unsubscribe-post; "time": seconds since 1970; "charset" of the first text shown; "absent", before the
 * part it is of and with its number: the section), DOC_WARNING, DOC_HEADER, then
 * part by part in order a DOC_PART and, where it is shown, its DOC_TEXT lines; fields of an enclosed message are
 * DOC_HEADER with level > 0 behind its DOC_PART; DOC_LINK at the end. Part numbers count from 1 in order of appearance,
 * containers too; 0 is the whole message. */
void mime_document(struct mime *, uint32_t flags, struct buf *out);

/* Appends the decoded bytes of part `number` (0: the raw message; of an enclosed message: its bytes). signed_bytes: for
 * a multipart/signed part the exact bytes of its first child with CR LF line ends, as RFC 1847 signs them. False with
 * ERR_NO_MESSAGE for an unknown number, ERR_LIMIT where `out` is full. */
bool mime_part(struct mime *, uint32_t number, bool signed_bytes, struct buf *out, struct err *);

/* Appends `raw` as a file name that is safe below any directory: no separators, controls, bidi signs, leading '.' or
 * '-', trailing dots; at most 200 bytes, the extension kept (THREATS 138). "" gives "". */
void mime_safe_name(struct str raw, struct buf *out);

/* ---- Building ----------------------------------------------------------------------------------- */
struct mime_draft;
/* `headers`: "Name: value" lines, UTF-8. Address fields are parsed and written anew, so that no value can start another
 * field (THREATS 142). Content-*, MIME-Version, trace fields and what is not known and does not begin with "X-" are
 * left out. Bcc is left out unless MIME_KEEP_BCC (drafts). Date (now), Message-ID (random) and MIME-Version are added
 * where absent. `text`: any line ends. Errors: ERR_RECIPIENT (an address that cannot stand in a header), ERR_USAGE (no
 * From), ERR_LIMIT. */
bool mime_draft_new(struct str headers, struct str text, uint32_t flags, struct mime_draft **draft_r, struct err *);
/* Takes over the bytes. `name` is cleaned by mime_safe_name; a senseless `type` becomes application/octet-stream. */
bool mime_draft_attach(struct mime_draft *, struct str name, struct str type, bool inline_part, struct buf *bytes,
                       struct err *);
/* Appends the RFC 5322 message: CR LF, lines of at most 998 bytes, 7-bit except an address that is not ASCII itself
 * (RFC 6532: only for servers with SMTPUTF8); text as format=flowed, quoted-printable where needed; attachments in
 * base64. */
bool mime_draft_finish(struct mime_draft *, struct buf *out, struct err *);
void mime_draft_free(struct mime_draft **);

#endif
