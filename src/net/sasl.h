/* net/sasl: the client side of a login, for IMAP, POP3 and SMTP alike: Cyrus SASL's mechanisms, bearer tokens by us
 * (RFC 4422, 7628). Blocks never; the caller carries the lines. Challenges are hostile. */
#ifndef TUIMAIL_NET_SASL_H
#define TUIMAIL_NET_SASL_H

#include "base/base.h"
#include "net/stream.h"

struct sasl;
bool sasl_setup(struct err *); /* loads the plugins: call before the sandbox */
/* Chooses the best mechanism of `offered` (blank separated, hostile) for this line. For a password SCRAM-SHA-256-PLUS,
 * SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5 only without PLAIN under TLS, PLAIN, LOGIN; PLAIN and LOGIN only under TLS, in a
 * tunnel or where `insecure_ok`. For an access token (secret->token) OAUTHBEARER or XOAUTH2, under TLS or in a tunnel
 * only. Without a secret (p NULL) EXTERNAL, where the server took our certificate. `stream` may be NULL (no TLS).
 * ERR_CONFIG, ERR_SECRET: control characters, or no secret where one is wanted. ERR_NO_AUTH_METHOD names what was
 * offered. */
struct sasl *sasl_new(struct str offered, const char *service, const char *host, const char *user,
                      const struct secret *, const struct stream *, bool insecure_ok, struct err *);
void sasl_free(struct sasl **);
const char *sasl_mechanism(const struct sasl *);
/* The initial response, base64 ("=" for an empty one), or false when the mechanism has none. Call it only to send it
 * with the command; else the server's first, empty challenge gets it from sasl_step. */
bool sasl_initial(struct sasl *, struct buf *out);
/* A challenge (base64, hostile) gives the response (base64, may be empty: send an empty line; wipe it). ERR_PROTOCOL
 * for what is no challenge: send "*". ERR_AUTH when the server proves not to know the password (SCRAM) or talks
 * nonsense. */
bool sasl_step(struct sasl *, struct str challenge, struct buf *out, struct err *);
/* "<unique@host>", as RFC 2195 and 1939 want it: a challenge of any other form may be chosen to attack MD5 (THREATS
 * 18).
 */
bool sasl_is_msg_id(struct str);
/* Is nothing more to be said by this side (but an empty line, where the server still asks)? */
bool sasl_said_all(const struct sasl *);
/* After success: was the server's own proof seen where the mechanism has one? */
bool sasl_finish(struct sasl *, struct str last_data, struct err *);
/* After a failed login: adds what the server said of an access token (RFC 7628 3.2.2: its "status"), if anything. */
void sasl_explain(const struct sasl *, struct err *);
/* After a failed login: blots out the secret in *err, plain or within base64, where the server's words repeat what it
 * was sent; one of six bytes or more also in another case, or percent-encoded. */
void sasl_redact(const struct secret *, struct err *);

/* The server that could not follow a channel binding (sasl_login), by host, key and time; "" none. What the last
 * program of an account knew is given to the next one. Borrowed until the next login. */
#define SASL_UNBOUND_MAX 400
void sasl_unbound_set(struct str words);
struct str sasl_unbound(void);

/* A whole login. `carry` takes the exchange of a new `sasl` to the server: sasl_mechanism and sasl_initial, sasl_step
 * for each challenge, sasl_finish; false with *err. */
struct sasl_login {
    struct str offered; /* the rest as for sasl_new */
    const char *service, *host, *user;
    const struct secret *secret;
    struct stream *stream;
    bool insecure_ok;
    bool (*carry)(void *arg, struct sasl *, struct err *);
    void *arg;
};
/* Carried a second time, without channel binding, where the server's words say that it could not follow the exchange,
 * and not that the password is wrong: Cyrus IMAP of Debian 12 knows tls-unique only, also under TLS 1.3, where RFC 9266
 * wants tls-exporter, and behind a proxy that ends TLS the two lines differ. That is no second guess at the password.
 * Such a host, under the same key, is not offered a binding again for seven days: each refusal counts there as a failed
 * login and costs seconds. *err is what the server said of the last one, explained and without the secret. *tried_r:
 * false where nothing was said to the server, for want of a mechanism. */
bool sasl_login(const struct sasl_login *, bool *tried_r, struct err *);

#endif
