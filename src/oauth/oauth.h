/* oauth: OAuth 2.0 for one account: the refresh of an access token (RFC 6749 6), the device flow (RFC 8628) and the
 * code flow with PKCE and a loopback redirect (RFC 7636, 8252). Started by `spawn` (refresh) and by `tuimail login`.
 *
 * The channel gives it secrets as fds and takes tokens as fds; no field of a message is one. It has the network of the
 * provider's hosts and no files; what providers, browsers and the clipboard say is hostile. It ends with the grant. */
#ifndef TUIMAIL_OAUTH_OAUTH_H
#define TUIMAIL_OAUTH_OAUTH_H

#include "base/base.h"
#include "conf/conf.h"
#include "http/http.h"
#include "ipc/ipc.h"

#define FORM_MAX (64u << 10) /* of a request; a token is at most SECRET_MAX, three bytes for one where escaped */
#define BODY_MAX (256u << 10)

struct grant {
    const struct account *account;
    struct oauth oauth;
    struct chan *chan;
    struct secret refresh, client, pasted; /* as given; p NULL: not there */
    int listen_fd;                         /* -1 none */
    uint16_t port;
    bool ended; /* who started us is gone */
};

/* ---- form.c ---- */
/* name=value, escaped (application/x-www-form-urlencoded), with & before it where the form is not empty. */
void form_add(struct buf *form, const char *name, struct str value);
/* The value of `name` in a query string, unescaped; false where it is missing or malformed. */
bool query_get(struct str query, const char *name, struct buf *value);
/* The query of "GET PATH?QUERY HTTP/1.1", the first line of a browser's request (hostile); false for anything else. */
bool request_query(struct str request, struct str path, struct str *query_r);
void buf_wipe(struct buf *);

/* ---- token.c: the provider's answers (jansson's door) ---- */
struct answer {
    struct secret access, refresh, device_code; /* p NULL: not said */
    char error[64];                             /* "invalid_grant" ...; "" none */
    char user_code[64];
    char verify_url[2000];
    uint32_t expires_s, interval_s; /* 0: not said */
};
void answer_free(struct answer *);
/* Reads one, of an HTTP status and a body (hostile). False with *err where it is no JSON object. An error that the
 * provider names is answer->error, and its words are in *err all the same. `host` is for messages. */
bool answer_read(const char *host, long status, struct str body, struct answer *, struct err *);
/* Posts the form, with client id and secret added, and reads the JSON answer. False only where no answer of the
 * protocol came; an error that the provider names is answer->error, and its words are in *err all the same. */
bool answer_get(struct grant *, const char *url, struct buf *form, struct answer *, struct err *);
/* Sends the tokens of an answer over the channel; ERR_PROTOCOL where it has none. want_refresh: a login without a
 * refresh token is of no use. */
bool tokens_send(struct grant *, const struct answer *, bool want_refresh, struct err *);
bool grant_refresh(struct grant *, struct err *);

/* ---- device.c, code.c: the flows ---- */
bool grant_device(struct grant *, struct err *);
bool grant_code(struct grant *, struct err *);

/* ---- main.c ---- */
/* Serves the channel until `mono_ms`. False: give up. */
bool grant_wait(struct grant *, int64_t mono_ms, struct err *);
/* Takes what the channel holds now. False: give up. */
bool grant_serve(struct grant *, struct err *);

#endif
