/* http: one HTTPS request, libcurl's door. No redirects, no cookies, no proxy of the environment, no threads: libcurl's
 * resolver would be one, so names are looked up here. */
#ifndef TUIMAIL_HTTP_HTTP_H
#define TUIMAIL_HTTP_HTTP_H

#include "base/base.h"

struct sockaddr;

struct http_request {
    const char *url;     /* https, or ERR_CONFIG */
    struct str form;     /* the body, application/x-www-form-urlencoded */
    const char *accept;  /* "Accept: ..." */
    const char *ca_file; /* PEM; "" the system's authorities */
    bool own_network;    /* false: ERR_CONFIG where the host has an address that is not of the public Internet */
};

bool http_setup(struct err *); /* before the sandbox */
/* POSTs the form. The body (any status) is added to `body`, up to its bound. Blocks for at most 30 s and the name
 * lookup. ERR_DNS, ERR_CONNECT, ERR_TIMEOUT, ERR_TLS*, ERR_LINE, ERR_LIMIT. The answer is hostile. */
bool http_post(const struct http_request *, long *status_r, struct buf *body, struct err *);
/* Of AF_INET and AF_INET6; false for any other family. */
bool address_is_public(const struct sockaddr *);

#endif
