/* net/pop3: a POP3 session over net/stream: pipelined where the server permits it, message bytes streamed to a sink,
 * never kept (RFC 1939, 2449, 2595, 5034, 3206). Used by `fetch`.
 *
 * All calls block as net/stream says. Everything the server sends is hostile: lines, counts, numbers and sizes are
 * bounded, and only message numbers up to the count of STAT are ever used. Unless a comment says otherwise, after an
 * error the session is unusable: close the stream. Errors of the server: ERR_AUTH; ERR_SERVER_TEMP ([IN-USE],
 * [LOGIN-DELAY], [SYS/TEMP]); ERR_SERVER_NO; ERR_PROTOCOL; their text has its words in quotes. */
#ifndef TUIMAIL_NET_POP3_H
#define TUIMAIL_NET_POP3_H

#include "base/base.h"
#include "net/stream.h"

#define POP3_MESSAGES_MAX 1000000u /* in one maildrop */
#define POP3_UIDL_MAX 1000         /* bytes; a longer one is replaced by its SHA-256 */

enum pop_cap {
    POP_CAPA = 1, /* the server has a capability list at all */
    POP_TOP = 2,
    POP_UIDL = 4,
    POP_USER = 8,
    POP_SASL = 16,
    POP_STLS = 32,
    POP_PIPELINING = 64,
    POP_RESP_CODES = 128,
    POP_AUTH_RESP_CODE = 256,
    POP_APOP = 512, /* by its greeting */
    POP_UTF8 = 1024,
    POP_LANG = 2048,
};

struct pop3;
/* Borrows the stream, which must outlive it. dir: where what is listed is kept, in files without a name, so that memory
 * does not grow with the maildrop. */
struct pop3 *pop3_new(struct stream *, const char *host, const char *dir);
void pop3_free(struct pop3 **); /* NULL-safe; sends nothing: without QUIT the server keeps every message */
/* How far the server's PIPELINING is believed. */
enum pop3_trust {
    POP3_AHEAD,    /* commands also go ahead of the answers of the login */
    POP3_CAREFUL,  /* only within a session: something between us and the maildrop lost what stood behind a login */
    POP3_LOCKSTEP, /* never: it loses commands of a window (THREATS 92) */
};
#define POP3_DOUBT_MAX (7 * 86400) /* seconds that less than full trust may last */
#define POP3_WORDS_MAX 3000
/* What pop3_words said in an earlier session with this host, "" for none. With it, and under TLS, the session is begun
 * on trust: capabilities, login and lists are one flight (RFC 2449 6.6), and what the server announces now is compared
 * afterwards. Without this call the login waits for the capabilities, the lists for the login. Before pop3_greet. */
void pop3_expect(struct pop3 *, struct str words);
/* Lowers the trust, never raises it, until a time of the wall clock; later sessions know of it by their words. */
void pop3_distrust(struct pop3 *, enum pop3_trust, int64_t until);
enum pop3_trust pop3_trust(const struct pop3 *);
/* Were commands sent ahead of the login's answer? Then ERR_PROTOCOL, ERR_LINE and ERR_TIMEOUT of pop3_login may be due
 * to that: again in a new session with POP3_CAREFUL. */
bool pop3_went_ahead(const struct pop3 *);
/* Did a command stay without any answer at all until ERR_TIMEOUT? In a flight it may have been lost; a line that failed
 * falls silent in the middle of one. */
bool pop3_unanswered(const struct pop3 *);
/* For pop3_expect of the next session. */
void pop3_words(const struct pop3 *, struct buf *out);
/* The language (RFC 5646 tag, "de-DE") that the user reads, for LANG; NULL or "" for the server's own. Before
 * pop3_login. */
void pop3_language(struct pop3 *, const char *tag);
/* The greeting; with `starttls` STLS, before which nothing is believed or said. ERR_NO_STARTTLS. */
bool pop3_greet(struct pop3 *, bool starttls, struct err *);
unsigned pop3_caps(const struct pop3 *); /* enum pop_cap */
/* The capability lines, "; " between them, hostile. */
void pop3_caps_text(const struct pop3 *, struct buf *out);
/* "name: IMPLEMENTATION", "language: TAG" (of LANG) and "commands: one by one ..." (POP3_LOCKSTEP), a line each, where
 * it is so; hostile. */
void pop3_identity(const struct pop3 *, struct buf *out);
#define POP3_EXPIRE_NEVER UINT32_MAX
uint32_t
pop3_login_delay(const struct pop3 *); /* seconds between two logins (LOGIN-DELAY), a day at most; 0 none said */
/* Days that mail stays there at least (EXPIRE): 0: what was fetched may go at once; POP3_EXPIRE_NEVER also where it
 * does not say. */
uint32_t pop3_expire(const struct pop3 *);
/* UTF8 and LANG where announced (RFC 6856), then SASL, APOP (only for a real message id as challenge: THREATS 18), USER
 * and PASS. Passwords in clear only under TLS or where `insecure_ok`. One try; a second one only where the capabilities
 * turn out to be others than those expected. ERR_AUTH only where the server means the password: a locked maildrop is
 * ERR_SERVER_TEMP (THREATS 90). */
bool pop3_login(struct pop3 *, const char *user, const struct secret *, bool insecure_ok, struct err *);

/* One message; uidl is hostile bytes (THREATS 77), the same for two messages if the server says so (76). size 0:
 * unknown. False ends the call with *err. */
typedef bool pop3_list_fn(void *arg, uint32_t number, uint64_t size, struct str uidl, struct err *);
/* STAT, LIST and UIDL. Without UIDL, or for messages without one, the id is "hash-" and a SHA-256 of header and size,
 * made by TOP (by RETR where that is missing too); equal ones get "-2", "-3" behind. Numbers outside of STAT's count
 * and repeated ones are ignored (78). ERR_LIMIT over POP3_MESSAGES_MAX. */
bool pop3_list(struct pop3 *, pop3_list_fn *, void *arg, struct err *);
uint32_t pop3_count(const struct pop3 *);           /* STAT's count; 0 before pop3_list */
uint64_t pop3_size(struct pop3 *, uint32_t number); /* as listed; 0 unknown. number: of 1 to the count */

/* Where messages go. */
struct pop3_sink {
    /* A message begins; size as listed, 0 unknown. False: its bytes are read and dropped, and `end` gets the error. */
    bool (*begin)(void *arg, uint32_t number, uint64_t size, struct err *);
    /* Its bytes as served, dots unstuffed, line ends kept; pieces of any length. False as for begin. */
    bool (*data)(void *arg, struct str bytes, struct err *);
    /* Once for each number that was not cut off with the line: `why` NULL when the whole message came, else what went
     * wrong (-ERR, or what begin or data said). False ends the call with *err. */
    bool (*end)(void *arg, uint32_t number, const struct err *why, struct err *err);
    void *arg;
};
enum pop3_verb { POP3_RETR, POP3_TOP /* header only */ };
#define POP3_HEAD UINT32_C(0x80000000) /* added to a number: header only, in the same window as the others */
/* After pop3_list. The messages in the order given (the sink gets the numbers as they are given), in a window of
 * commands where pipelining is announced. In a window LIST with its number goes before each and NOOP behind the last,
 * and a message is only whole when what stands before and behind it is answered so (THREATS 92): else it is not
 * delivered, and the call ends with ERR_PROTOCOL; go on in a new session with POP3_LOCKSTEP. A line lost in a message:
 * no `end` for it and those behind it; drop what was begun (80). Never from within a sink. */
bool pop3_get(struct pop3 *, enum pop3_verb, const uint32_t *numbers, size_t n, const struct pop3_sink *, struct err *);
/* Asked by pop3_get between two messages; NULL: never. True: something else waits for the line: no more is asked for,
 * and pop3_get returns true when what is on its way has come. */
void pop3_interrupt(struct pop3 *, bool (*enough)(void *arg), void *arg);
/* By which a message is known again under another UIDL: its header up to the empty line, without what servers change in
 * it. SHA-256, cut: a sender cannot make two mails look like one. False where OpenSSL fails. */
#define POP3_HEAD_ID 16
bool pop3_head_id(struct str header, unsigned char id[POP3_HEAD_ID]);
/* DELE of each; `refused` (or NULL) for every -ERR. Takes effect only with pop3_quit. */
bool pop3_delete(struct pop3 *, const uint32_t *numbers, size_t n,
                 void (*refused)(void *arg, uint32_t number, const struct err *why), void *arg, struct err *);
/* QUIT. After a pop3_delete it is true when the server said that the deletions are done; else nothing depends on its
 * answer, which is not waited for. */
bool pop3_quit(struct pop3 *, struct err *);

/* ---- For tests and the session itself: multi-line answers --------------------------------------- */
enum dot_at { DOT_LINE_START, DOT_IN_LINE, DOT_CR, DOT_DOT, DOT_DOT_CR };
struct dots {
    enum dot_at at; /* zeroed: the beginning */
    bool lf;        /* this server ends lines with LF alone (its status line did) */
    bool done;      /* the final dot was taken */
    uint64_t bytes; /* given out */
    uint64_t crlfs; /* of them, line ends of two bytes */
};
/* Gives the bytes of `in` without stuffing to `data`, up to the final dot; returns how many bytes of `in` were used.
 * Only CR LF . CR LF ends: a dot after a bare LF is the sender's text, not the server's end. `data` returning false is
 * remembered in *stopped_r, and no more is given out. */
size_t dots_take(struct dots *, struct str in, bool (*data)(void *arg, struct str bytes, struct err *), void *arg,
                 bool *stopped_r, struct err *);

#endif
