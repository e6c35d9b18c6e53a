/* The query language as keys of IMAP's SEARCH (RFC 3501 6.4.4, RFC 9051 6.4.4; WITHIN RFC 5032, FUZZY RFC 6203, Gmail's
 * X-GM-RAW and X-GM-LABELS). Pure: no clock, no database, no line.
 *
 * The meaning is that of notmuch-search-terms(7) and the short forms of query/query.h: words side by side are ANDed,
 * but several values of one of its fields side by side (from: subject: tag: date: id: folder: ...) are ORed; or < xor <
 * and, not < words side by side. A word is TEXT, so a server may find more of it than an index of whole words does.
 *
 * What a server cannot be asked (thread:, property:, regular expressions ...) is left out so that it finds more and
 * never less, and is named. */
#ifndef TUIMAIL_MAIL_IMAP_QUERY_H
#define TUIMAIL_MAIL_IMAP_QUERY_H

#include "base/base.h"

#define IMAP_QUERY_MAX 8192   /* bytes of a query */
#define IMAP_QUERY_KEYS 32768 /* bytes of the keys it becomes */
#define IMAP_QUERY_NODES 1024
#define IMAP_QUERY_DEPTH 64 /* parentheses */

/* Where and when it is asked. */
struct imap_query_for {
    int64_t now;               /* wall clock, s */
    struct str account;        /* its name */
    struct str box;            /* the mailbox as people see it, UTF-8 */
    uint8_t role;              /* enum box_role */
    bool within, gmail, fuzzy; /* the server has RFC 5032; X-GM-EXT-1; RFC 6203, and it is wished */
};
struct imap_query {
    struct buf keys;  /* a string stands between IMAP_QUERY_OPEN and IMAP_QUERY_CLOSE */
    bool never;       /* nothing in this mailbox can match: not to be asked */
    bool nothing;     /* all of it is unknown to a server: not to be asked */
    bool utf8;        /* some string is not ASCII: CHARSET UTF-8 */
    bool here;        /* it names this mailbox (in:) */
    struct buf left;  /* the terms that were left out, as written, a line each, "" none */
    struct buf wider; /* those asked in a wider sense: "near" as and */
    struct buf rest;  /* a query: what is left to be compared here of what is found; "" nothing */
};
#define IMAP_QUERY_OPEN '\1'
#define IMAP_QUERY_CLOSE '\2'

/* Translates. ERR_QUERY with the reason where it is no query: too long or deep, an operator or field without a value.
 * `out` is to be freed by imap_query_fini in any case. Hostile input: any bytes. */
bool imap_query_make(struct str query, const struct imap_query_for *, struct imap_query *out, struct err *);
void imap_query_fini(struct imap_query *);

/* A date or range of date: ("2026-01", "yesterday..", "..2weeks") in local time: from *from_r (INT64_MIN open) to
 * before *to_r (INT64_MAX open). False where it is none that is known here. */
bool imap_query_dates(struct str value, int64_t now, int64_t *from_r, int64_t *to_r);

#endif
