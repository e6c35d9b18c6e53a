/* mail: header fields, encoded words, addresses, dates, message ids, and what answering a mail needs.
 *
 * Pure: libc, iconv and base only; no I/O, nothing blocks, nothing recurses, time is linear in the input. Every input
 * is hostile unless said otherwise, and no function fails on bad syntax: it gives the best reading and says that it was
 * broken or cut. Results live in the caller's arena; where that is full, a list ends early with `cut` set and a string
 * is empty. Decoded strings are UTF-8 where the charset was known, but raw bytes still: whoever draws them cleans them
 * (text_from_bytes). Not thread-safe: iconv descriptors are cached per process. Standards: RFC 5322, 2047, 2231
 * (language tags), 6532, 2369, 6068. */
#ifndef TUIMAIL_MAIL_MAIL_H
#define TUIMAIL_MAIL_MAIL_H

#include "base/base.h"
#include "mail/row.h"

#define MAIL_HEADER_MAX (1u << 20) /* bytes of a header block that are looked at */
#define MAIL_FIELDS_MAX 10000
#define MAIL_ADDRESSES_MAX 100000
#define MAIL_IDS_MAX 1000          /* message ids taken from one field: the first and the newest are kept */
#define MAIL_ID_MAX 512            /* a longer message id counts as none */
#define MAIL_ADDR_MAX 320          /* a longer addr-spec is cut */
#define MAIL_ARENA_MAX (16u << 20) /* enough for one header within the limits above */

/* ---- Header block ------------------------------------------------------------------------------- */
struct mail_field {
    struct str name;  /* as written, without blanks before the colon */
    struct str value; /* unfolded (line ends before a blank are gone), trimmed; otherwise the raw bytes, NUL included */
};
struct mail_header {
    struct mail_field *fields; /* in order */
    size_t count;
    size_t size;   /* bytes of the block with its empty line: the body begins there */
    bool complete; /* the empty line was seen (a block that ends with the bytes is not complete) */
    bool cut;      /* a limit above was met */
    bool broken;   /* lines that are neither field nor continuation were skipped */
};
/* Parses the header at the front of `bytes` (a whole message, or a header block with or without its empty line). Line
 * ends: CR LF, LF, any CRs before LF; CR alone where there is no LF at all. An mbox "From " line at the front is
 * skipped. Values borrow from `bytes` or live in the arena. */
void mail_header_parse(struct str bytes, struct arena *, struct mail_header *header_r);
/* Value of the first field of that name (ASCII case): the one rule for duplicates. p == NULL where absent. */
struct str mail_header_get(const struct mail_header *, const char *name);
/* Number of fields of that name. */
size_t mail_header_count(const struct mail_header *, const char *name);
/* Name of a field that may stand once but stands twice with different values (From, Sender, Subject, Date, To,
 * Content-Type ...; THREATS 110); NULL for none. */
const char *mail_header_duplicate(const struct mail_header *);

/* ---- Charsets and words ------------------------------------------------------------------------- */
/* Converts to UTF-8; what is invalid or cut becomes U+FFFD. US-ASCII, "unknown-8bit" and the like: kept when valid
 * UTF-8, else read as Windows-1252. ISO-8859-1 is read as Windows-1252, GB2312 as GB18030, and so on, as mail is
 * written in practice. False, with the bytes appended as they are, for an unknown charset and for UTF-7 (never decoded:
 * THREATS 103). *bad_r (or NULL): replacements. */
bool mail_to_utf8(struct str charset, struct str bytes, struct buf *out, size_t *bad_r);
/* Appends `raw` (unstructured text) with its RFC 2047 words decoded. Words side by side are joined before the charset
 * is converted, so a character split across words is whole. A word of an unknown charset leaves its decoded bytes; what
 * is not a word stays as it is. */
void mail_words_decode(struct str raw, struct buf *out);
/* The same, as a string in the arena. */
struct str mail_words(struct str raw, struct arena *);
/* Appends `utf8` (ours) as unstructured text for a header: as it is when ASCII and unlike a word, else UTF-8 words of
 * at most 75 bytes, cut between characters, separated by blanks. Control characters become blanks: no line end can pass
 * (THREATS 142). */
void mail_words_encode(struct str utf8, struct buf *out);
/* Decodes quoted-printable and base64 of words, also used alone; garbage is skipped; never fails. */
void mail_qp_decode(struct str raw, bool word, struct buf *out);
void mail_base64_decode(struct str raw, struct buf *out); /* lenient: missing padding and foreign bytes do no harm */

/* ---- Addresses ---------------------------------------------------------------------------------- */
struct mail_addr {
    struct str name; /* display name or comment, decoded; may be empty */
    struct str
        addr; /* addr-spec without <> and comments, as written; empty where there is none (name then holds the words) */
    struct str group; /* name of the group it stands in, decoded; empty for none */
};
struct mail_addrs {
    struct mail_addr *list;
    size_t count;
    bool cut;    /* MAIL_ADDRESSES_MAX or the arena's limit was met */
    bool broken; /* read by repair: unquoted comma, missing '>', "a at b" ... */
};
/* RFC 5322 with its obsolete forms (routes, comments, blanks around dots), groups, ';' as separator, raw 8-bit and
 * encoded names, and repairs. An empty group ("undisclosed-recipients:;") gives one entry with an empty addr and name.
 */
void mail_addrs_parse(struct str raw, struct arena *, struct mail_addrs *addrs_r);
/* Same mailbox: local part byte for byte except ASCII case, domain ASCII case. */
bool mail_addr_same(struct str a, struct str b);
/* Whether `addr` is one of `self`: own addresses separated by blanks, commas or line ends. */
bool mail_addr_is_self(struct str addr, struct str self);
/* The addr-spec can stand in an SMTP envelope and a header: local part and domain, no blank, control, '<', '>' outside
 * quotes, at most MAIL_ADDR_MAX. */
bool mail_addr_valid(struct str addr);
/* Appends `Name <addr>` for an outgoing header: the name as atoms, quoted string or words; controls become blanks. name
 * may be empty. */
void mail_addr_format(struct str name, struct str addr, struct buf *out);
/* Appends the same for a person to read and edit: UTF-8 is not encoded. */
void mail_addr_show(struct str name, struct str addr, struct buf *out);
void mail_addrs_show(const struct mail_addrs *, struct buf *out); /* comma separated */

/* ---- Dates -------------------------------------------------------------------------------------- */
/* RFC 5322 date with what is seen in practice (no weekday, 2-digit years, named zones, ctime and ISO forms). False
 * where no sane time (1970 .. 2200) results: fall back to the arrival (THREATS 109). *zone_r (or NULL): minutes east of
 * UTC. */
bool mail_date_parse(struct str raw, int64_t *time_r, int *zone_r);
/* "Sun, 22 Nov 2026 14:02:05 +0100". */
void mail_date_format(int64_t time, int zone_minutes, struct buf *out);

/* A point in time to come, in local time: a span (30s 30m 2h 3d 1w), a time of day (18:30: the next one), or a day
 * (today, tonight, tomorrow, weekend, next week, a weekday, 2026-12-24) with a time behind it or without: 8:00, of
 * today 18:00. "in" and "at" may stand there. False where it is none of these, or past. */
bool mail_when_parse(struct str text, int64_t now, int64_t *when_r);
/* The beginning of a day, 2026-01-31, in local time. */
bool mail_day_parse(struct str text, int64_t *when_r);

/* ---- Message ids -------------------------------------------------------------------------------- */
/* The ids of a Message-ID, In-Reply-To or References value, without <>, in order, no id twice, at most MAIL_IDS_MAX
 * (the first and the newest kept). An id holds no blank, control or <>; broken ones without <> are taken when they have
 * an '@'. Strings borrow from raw. */
size_t mail_ids_parse(struct str raw, struct arena *, struct str **ids_r);
/* The one id of a Message-ID field; empty where there is none. */
struct str mail_id_parse(struct str raw);
/* References for an answer to a mail with these fields: References (else In-Reply-To), then its id; "<a> <b>", at most
 * 900 bytes by leaving out from the middle. Empty where the mail has no id. */
void mail_references_build(struct str references, struct str in_reply_to, struct str msgid, struct buf *out);
/* A new id "random@domain", domain from the sender's addr-spec: names neither host, user nor time (THREATS 155). */
void mail_id_new(struct str sender, struct buf *out);

/* ---- Subjects ----------------------------------------------------------------------------------- */
/* `subject` without reply and forward marks in front ("Re:", "AW: Re[2]:", "Fwd:", "[Fwd: ...]"), borrowed. */
struct str mail_subject_base(struct str subject);
void mail_subject_reply(struct str subject, struct buf *out);   /* "Re: base" */
void mail_subject_forward(struct str subject, struct buf *out); /* "Fwd: base" */

/* ---- The row of a list (MSG ROW) ---------------------------------------------------------------- */
/* Strings are within the lengths that MSG ROW permits, cut between UTF-8 characters; they live in the arena. */
struct mail_row {
    int64_t date;    /* 0 where the Date field is absent or senseless */
    uint32_t attrs;  /* ROW_ATTACHMENT, ROW_SIGNED, ROW_ENCRYPTED by Content-Type; ROW_LIST; ROW_TO_ME; ROW_FULL is the
                        caller's */
    bool suspicious; /* mail_header_duplicate() */
    struct str from_name; /* decoded; the addr-spec's local part where there is no name */
    struct str from_addr;
    struct str to;      /* names (else addresses) of the first recipients of To, else Cc, ", " between */
    struct str rcpts;   /* who else gets it, of To, Cc and Bcc: lines "ADDRESS<tab>NAME", 2 KB at most */
    struct str subject; /* decoded */
    struct str msgid;   /* without <> */
    struct str refs;    /* References, else In-Reply-To: ids without <>, blank separated, newest last; the first and the
                           newest where too many */
    struct str list_id; /* the identifier inside <> of List-Id */
};
/* `header`: the fields that are known, a whole header or a part of it (IMAP HEADER.FIELDS); the rest of a message may
 * follow. `self`: own addresses as for mail_addr_is_self, may be empty. Always succeeds. */
void mail_row_parse(struct str header, struct str self, struct arena *, struct mail_row *row_r);

/* ---- Answering ---------------------------------------------------------------------------------- */
enum mail_reply_kind { MAIL_REPLY_SENDER, MAIL_REPLY_ALL, MAIL_REPLY_LIST };
/* Raw or decoded values of the mail that is answered; empty where absent. */
struct mail_original {
    struct str from, sender, reply_to, mail_followup_to, list_post, to, cc;
};
struct mail_reply {
    struct mail_addrs to, cc;
    bool to_list;    /* the answer goes to a list address */
    bool redirected; /* Reply-To or Mail-Followup-To names somebody else than From: show it (THREATS 156) */
};
/* Recipients: sender = Reply-To else From; a mail by oneself goes to its To again. all = Mail-Followup-To, else sender
 * + To, and Cc in cc. list = List-Post, else Mail-Followup-To, else as all. Own addresses (`self`) and doubles are
 * removed; invalid addresses never get in. */
void mail_reply_recipients(const struct mail_original *, enum mail_reply_kind, struct str self, struct arena *,
                           struct mail_reply *reply_r);

/* ---- mailto: (RFC 6068, THREATS 134) ------------------------------------------------------------ */
struct mailto {
    struct str to, cc, bcc, subject, in_reply_to; /* single lines; addresses as comma lists */
    struct str body;                              /* LF line ends, other controls dropped, at most 64 KB */
    unsigned ignored;                             /* fields that were refused: attach, from, unknown ones */
};
/* False (ERR_PARSE) for what is no mailto: URI, for a control character hidden in a header value, and over 128 KB
 * (ERR_LIMIT). */
bool mailto_parse(struct str uri, struct arena *, struct mailto *mailto_r, struct err *);

#endif
