/* net/smtp: hands one mail to a submission server over net/stream (RFC 5321, 6409, 3207, 4954, 2920, 1870, 6152, 6531).
 * Used by `send`.
 *
 * All calls block as net/stream says. Replies are hostile and bounded. Nothing that leaves here names this host or its
 * user: EHLO says [127.0.0.1] (THREATS 155). Unless a comment says otherwise the session is unusable after an error.
 * Errors of the server: ERR_SERVER_TEMP (4xx), ERR_SERVER_NO (5xx), ERR_AUTH, ERR_PROTOCOL; their text has its words in
 * quotes. */
#ifndef TUIMAIL_NET_SMTP_H
#define TUIMAIL_NET_SMTP_H

#include "base/base.h"
#include "net/stream.h"

enum smtp_cap {
    SMTP_EHLO = 1,
    SMTP_STARTTLS = 2,
    SMTP_PIPELINING = 4,
    SMTP_SIZE = 8,
    SMTP_8BITMIME = 16,
    SMTP_UTF8 = 32,
    SMTP_AUTH = 64,
};

struct smtp;
/* Borrows the stream, which must outlive it. */
struct smtp *smtp_new(struct stream *, const char *host);
void smtp_free(struct smtp **); /* NULL-safe; sends nothing */
/* Greeting and EHLO (HELO where that is unknown); with `starttls` the upgrade, after which all that was said before is
 * forgotten. ERR_NO_STARTTLS. */
bool smtp_greet(struct smtp *, bool starttls, struct err *);
unsigned smtp_caps(const struct smtp *); /* enum smtp_cap; of the present state of the line */
/* One try. Passwords in clear only under TLS or where `insecure_ok`. ERR_NO_AUTH_METHOD where no login is offered. */
bool smtp_login(struct smtp *, const char *user, const struct secret *, bool insecure_ok, struct err *);

struct smtp_mail {
    const char *sender;       /* addr-spec; "" for <> */
    const char *const *rcpts; /* addr-specs */
    size_t nrcpts;
    int fd; /* the mail, seekable, RFC 5322 with CRLF or LF; stays the caller's; read twice from its start */
    /* Once for each recipient the server refuses; `why` has its words. May be NULL. */
    void (*refused)(void *arg, const char *rcpt, const struct err *why);
    void *arg;
};
/* Sends the mail to all recipients or to none: where one is refused nothing is sent (RSET), all refused ones are
 * reported, and the error is ERR_RECIPIENT, or ERR_SERVER_TEMP where each refusal was for now only (THREATS 148). Line
 * ends become CR LF, a bare CR or LF too (145); Bcc and Resent-Bcc fields do not go out (143). ERR_UNKNOWN_OUTCOME: the
 * end of the data may have reached the server and no clear answer came (149). Any other error: it was not sent. Refused
 * before a byte of it is sent: addresses with CR, LF, NUL, other controls or without local part (ERR_RECIPIENT; 142,
 * 152), a NUL in the mail (ERR_PARSE), more than the server's SIZE, 8-bit bytes without 8BITMIME, addresses that need
 * SMTPUTF8 where it is missing (ERR_SERVER_NO; 146). */
bool smtp_send(struct smtp *, const struct smtp_mail *, struct err *);
/* Says QUIT and waits for nothing: what was accepted stays so (150). */
void smtp_quit(struct smtp *);

/* An addr-spec that may stand between < and > of a command. */
bool smtp_address_ok(const char *);

/* ---- The mail's bytes on the wire (for tests and smtp_send) ------------------------------------- */
struct smtp_body {
    bool in_body; /* behind the header's empty line */
    bool held_cr; /* a CR that waits for its LF */
    bool in_line; /* some byte of the line was taken */
    bool skip;    /* inside a Bcc field */
    bool holding; /* a field's name is being read */
    char name[32];
    unsigned name_n;
    bool seen_8bit_header, seen_8bit_body, seen_nul;
};
/* Zeroed: the beginning. Appends what `in` becomes; at most 3 bytes for one, and the name held back. */
void smtp_body_take(struct smtp_body *, struct str in, struct buf *out);
/* The last line's end; the final dot is not part of it. */
void smtp_body_end(struct smtp_body *, struct buf *out);

#endif
