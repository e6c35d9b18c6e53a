/* net/managesieve: the scripts on a server that filter mail as it arrives, over net/stream (RFC 5804; the scripts are
 * RFC 5228). Used by `sieve`.
 *
 * All calls block as net/stream says. Answers are hostile and bounded: a line of 8 KB, 64 words and 1 MiB in strings
 * for one logical line, 2000 lines for one answer. Errors of the server: ERR_SERVER_NO, ERR_SERVER_TEMP (TRYLATER),
 * ERR_OVERQUOTA, ERR_NO_FILE (NONEXISTENT), ERR_AUTH, ERR_SERVER_BYE, ERR_PROTOCOL; after the last two, and after what
 * net/stream says, the session is unusable. Where the server refers to another host (REFERRAL) the error's text names
 * it, and nothing goes there by itself: a host that asks for a password elsewhere has to be believed by a person. */
#ifndef TUIMAIL_NET_MANAGESIEVE_H
#define TUIMAIL_NET_MANAGESIEVE_H

#include "base/base.h"
#include "net/stream.h"

#define SIEVE_SCRIPT_MAX (1u << 20)
#define SIEVE_NAME_MAX 512 /* octets: RFC 5804 1.6 */
#define SIEVE_SCRIPTS_MAX 1000

struct managesieve;
/* Borrows the stream, which must outlive it. */
struct managesieve *managesieve_new(struct stream *, const char *host);
void managesieve_free(struct managesieve **); /* NULL-safe; sends nothing */
/* Greeting with the capabilities; with `starttls` the upgrade, after which all that was said before is forgotten.
 * ERR_NO_STARTTLS. */
bool managesieve_greet(struct managesieve *, bool starttls, struct err *);
/* The same for a line that has its user already (a tunnel), whose program may greet with nothing, as Dovecot's does: it
 * is spoken to first. ERR_SECRET where it wants a login. */
bool managesieve_enter(struct managesieve *, struct err *);
/* One try, then the capabilities again. Passwords in clear only under TLS or where `insecure_ok`. */
bool managesieve_login(struct managesieve *, const char *user, const struct secret *, bool insecure_ok, struct err *);
/* "NAME VALUE" lines of the present state of the line, raw; borrowed. SIEVE has the extensions of the language. */
struct str managesieve_capabilities(const struct managesieve *);
/* What the server said with the last answer, raw, with line ends: warnings after success, errors with their lines. */
struct str managesieve_said(const struct managesieve *);
/* Did the last answer, a success, have warnings (RFC 5804 1.3)? */
bool managesieve_warned(const struct managesieve *);

/* A name that may go to a server: UTF-8, 1 to SIEVE_NAME_MAX octets, no control character (RFC 5804 1.6). */
bool managesieve_name_ok(struct str);
/* Calls `each` for every script. */
bool managesieve_list(struct managesieve *, void (*each)(void *arg, struct str name, bool active), void *arg,
                      struct err *);
/* *out is a buf of SIEVE_SCRIPT_MAX at most; ERR_LIMIT past it. */
bool managesieve_get(struct managesieve *, struct str name, struct buf *out, struct err *);
/* The server compiles it and keeps the old one where that fails. */
bool managesieve_put(struct managesieve *, struct str name, struct str script, struct err *);
/* ERR_CONFIG where the server cannot (it is older than RFC 5804): PUTSCRIPT checks as well. */
bool managesieve_check(struct managesieve *, struct str script, struct err *);
bool managesieve_activate(struct managesieve *, struct str name, struct err *); /* "": none is active any more */
bool managesieve_remove(struct managesieve *, struct str name, struct err *);
/* Where the server has no command for it: by a copy, of which the other is removed only when it is there. */
bool managesieve_rename(struct managesieve *, struct str from, struct str to, struct err *);
bool managesieve_noop(struct managesieve *, struct err *);
/* Says LOGOUT and waits for nothing. */
void managesieve_logout(struct managesieve *);

/* ---- One line of an answer (for tests) ------------------------------------------------------------ */
enum sieve_word_kind { SIEVE_ATOM, SIEVE_STRING, SIEVE_OPEN, SIEVE_CLOSE };
#define SIEVE_WORDS_MAX 64
struct sieve_words {
    struct buf pool; /* the words' octets; its maximum bounds them */
    struct sieve_word {
        enum sieve_word_kind kind;
        size_t at, n;
    } list[SIEVE_WORDS_MAX];
    size_t n;
};
/* Adds the words of a physical line (without its CRLF). *literal_r: it ends in {N} or {N+}, whose octets follow, else
 * -1. False: not of the grammar, or too much. */
bool sieve_words_add(struct sieve_words *, struct str line, int64_t *literal_r);
struct str sieve_word(const struct sieve_words *, size_t i);

#endif
