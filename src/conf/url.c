/* Endpoints: where an account's mail comes from and goes to, as a URL. */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const struct scheme {
    const char *name;
    enum proto proto;
    enum tls_mode tls;
    uint16_t port;
    enum url_for what;
} schemes[] = {
    {"imaps", PROTO_IMAP, TLS_IMPLICIT, 993, URL_INCOMING},    {"imap", PROTO_IMAP, TLS_STARTTLS, 143, URL_INCOMING},
    {"pop3s", PROTO_POP3, TLS_IMPLICIT, 995, URL_INCOMING},    {"pop3", PROTO_POP3, TLS_STARTTLS, 110, URL_INCOMING},
    {"maildir", PROTO_MAILDIR, TLS_IMPLICIT, 0, URL_INCOMING}, {"smtps", PROTO_SMTP, TLS_IMPLICIT, 465, URL_SUBMISSION},
    {"smtp", PROTO_SMTP, TLS_STARTTLS, 587, URL_SUBMISSION},   {"sieves", PROTO_SIEVE, TLS_IMPLICIT, 4190, URL_SIEVE},
    {"sieve", PROTO_SIEVE, TLS_STARTTLS, 4190, URL_SIEVE},
};

const char *proto_name(enum proto proto)
{
    static const char *const names[] = {[PROTO_NONE] = "none", [PROTO_IMAP] = "imap",       [PROTO_POP3] = "pop3",
                                        [PROTO_SMTP] = "smtp", [PROTO_MAILDIR] = "maildir", [PROTO_SIEVE] = "sieve"};
    return (unsigned)proto < COUNT(names) ? names[proto] : "none";
}

static const struct scheme *scheme_of(enum proto proto, enum tls_mode tls)
{
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (schemes[i].proto == proto && (schemes[i].tls == TLS_IMPLICIT) == (tls == TLS_IMPLICIT))
            return &schemes[i];
    return NULL;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at && (c >= '0') ? (int)(at - digits) : -1;
}

/* Control characters never get into a protocol line, not even percent-encoded (doc/THREATS 25). */
static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static bool percent_decode(struct str in, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] != '%') {
            buf_addc(out, in.p[i]);
            continue;
        }
        int high = i + 2 < in.n ? hex_digit(in.p[i + 1]) : -1;
        int low = i + 2 < in.n ? hex_digit(in.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return err_set(err, ERR_CONFIG, "%% is not followed by two hexadecimal digits; a %% itself is %%25");
        buf_addc(out, (char)(high * 16 + low));
        i += 2;
    }
    if (has_control(buf_str(out)) || !utf8_valid(buf_str(out)))
        return err_set(err, ERR_CONFIG, "a control character in the user name");
    return !out->full || err_set(err, ERR_CONFIG, "the user name is too long");
}

static bool parse_user(struct str raw, char **user_r, struct err *err)
{
    size_t colon;
    if (str_find(raw, ':', &colon))
        return err_set(
            err, ERR_CONFIG,
            "a \":\" in the user name: a password does not belong here (use password-command); a \":\" itself is %%3A");
    struct buf user = BUF_INIT(256);
    bool ok = percent_decode(raw, &user, err);
    if (ok)
        *user_r = buf_take(&user, &(size_t){0});
    buf_fini(&user);
    return ok;
}

static bool parse_host(struct str raw, char **host_r, struct err *err)
{
    if (raw.n == 0)
        return err_set(err, ERR_CONFIG, "the host name is missing");
    if (raw.n > 253)
        return err_set(err, ERR_CONFIG, "the host name is too long");
    char *host = mem_dup_n(raw.p, raw.n);
    for (char *p = host; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p |= 0x20;
        bool ok = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr(".-_", *p);
        if (ok && p == host)
            ok = *p != '-' && *p != '.';
        if (!ok) {
            err_set(err, ERR_CONFIG,
                    (unsigned char)*p >= 0x80 ? "the host name is not ASCII: write it in its xn-- form"
                                              : "a character in the host name that no host name has");
            free(host);
            return false;
        }
    }
    *host_r = host;
    return true;
}

static bool parse_ipv6(struct str raw, char **host_r, struct err *err)
{
    unsigned char address[sizeof(struct in6_addr)];
    char *host = mem_dup_n(raw.p, raw.n);
    if (strlen(host) == raw.n && inet_pton(AF_INET6, host, address) == 1) {
        *host_r = host;
        return true;
    }
    free(host);
    return err_set(err, ERR_CONFIG, "what stands in [ ] is not an IPv6 address");
}

static bool parse_port(struct str raw, uint16_t *port_r, struct err *err)
{
    uint32_t port;
    if (!str_u32(raw, &port) || port < 1 || port > 65535)
        return err_set(err, ERR_CONFIG, "the port is not a number from 1 to 65535");
    *port_r = (uint16_t)port;
    return true;
}

/* [USER@]HOST[:PORT][/] */
static bool parse_authority(struct str rest, struct endpoint *e, struct err *err)
{
    size_t at = rest.n;
    while (at > 0 && rest.p[at - 1] != '@')
        at--;
    if (at > 1 && !parse_user(str_sub(rest, 0, at - 1), &e->user, err))
        return false;
    rest = str_sub(rest, at, rest.n);
    size_t slash;
    if (str_find(rest, '/', &slash)) {
        if (slash + 1 < rest.n)
            return err_set(err, ERR_CONFIG, "nothing may follow the host and the port");
        rest = str_sub(rest, 0, slash);
    }
    size_t end;
    struct str host = rest, port = {NULL, 0};
    if (rest.n && rest.p[0] == '[') {
        if (!str_find(rest, ']', &end))
            return err_set(err, ERR_CONFIG, "the ] after the IPv6 address is missing");
        port = str_sub(rest, end + 1, rest.n);
        if (!parse_ipv6(str_sub(rest, 1, end), &e->host, err))
            return false;
        if (port.n && port.p[0] != ':')
            return err_set(err, ERR_CONFIG, "only a port may follow the IPv6 address");
    } else {
        if (str_find(rest, ':', &end)) {
            host = str_sub(rest, 0, end);
            port = str_sub(rest, end, rest.n);
        }
        if (!parse_host(host, &e->host, err))
            return false;
    }
    return port.n == 0 || parse_port(str_sub(port, 1, port.n), &e->port, err);
}

/* NULL with *err where there is none. */
static const struct scheme *find_scheme(struct str name, enum url_for what, struct err *err)
{
    static const char *const instead[] = {[URL_INCOMING] =
                                              "an account reads from imaps:, imap:, pop3s:, pop3: or maildir:",
                                          [URL_SUBMISSION] = "send knows smtps: and smtp:",
                                          [URL_SIEVE] = "sieve knows sieves: and sieve:"};
    static const char *const is_for[] = {[URL_INCOMING] = "is for reading mail",
                                         [URL_SUBMISSION] = "is for sending mail",
                                         [URL_SIEVE] = "is for scripts on the server"};
    const char *names[COUNT(schemes) + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < COUNT(schemes); i++) {
        bool same = str_case_eqz(name, schemes[i].name);
        if (same && schemes[i].what == what)
            return &schemes[i];
        if (same) {
            err_set(err, ERR_CONFIG, "%s: %s; %s", schemes[i].name, is_for[schemes[i].what], instead[what]);
            return NULL;
        }
        if (schemes[i].what == what)
            names[n++] = schemes[i].name;
    }
    char *word = mem_dup_n(name.p, name.n);
    const char *near = near_word(word, names);
    if (near)
        err_set(err, ERR_CONFIG, "unknown protocol \"%.80s\"; did you mean \"%s\"?", word, near);
    else
        err_set(err, ERR_CONFIG, "unknown protocol \"%.80s\"", word);
    free(word);
    return NULL;
}

bool endpoint_parse(const char *url, enum url_for what, struct endpoint *endpoint_r, struct err *err)
{
    struct str all = str_z(url);
    size_t colon;
    if (has_control(all))
        return err_set(err, ERR_CONFIG, "a control character in the URL");
    if (!str_find(all, ':', &colon))
        return err_set(err, ERR_CONFIG, "\"%s\" is not a URL; write for example %s", url,
                       what == URL_SUBMISSION ? "smtps://alice@smtp.example.org"
                       : what == URL_SIEVE    ? "sieve://imap.example.org"
                                              : "imaps://alice@imap.example.org");
    const struct scheme *scheme = find_scheme(str_sub(all, 0, colon), what, err);
    if (!scheme)
        return false;
    struct endpoint e = {.proto = scheme->proto, .tls = scheme->tls, .port = scheme->port};
    struct str rest = str_sub(all, colon + 1, all.n);
    bool ok = true;
    if (scheme->port == 0) {
        if (e.proto == PROTO_MAILDIR && str_starts(rest, STR("///")))
            rest = str_sub(rest, 2, rest.n);
        char *path = mem_dup_n(rest.p ? rest.p : "", rest.n);
        e.path = e.proto == PROTO_MAILDIR ? path_expand_home(path) : mem_dup_z(path);
        free(path);
        if (e.proto == PROTO_MAILDIR && e.path[0] != '/')
            ok = err_set(err, ERR_CONFIG, "maildir: needs an absolute path, or one that begins with ~/");
    } else if (!str_starts(rest, STR("//"))) {
        ok = err_set(err, ERR_CONFIG, "// is missing after %s:", scheme->name);
    } else {
        ok = parse_authority(str_sub(rest, 2, rest.n), &e, err);
        if (ok && what == URL_INCOMING && !e.user)
            ok = err_set(err, ERR_CONFIG, "the user is missing: %s://USER@%s", scheme->name, e.host);
    }
    if (!ok) {
        endpoint_fini(&e);
        return false;
    }
    e.user = e.user ? e.user : mem_dup_z("");
    e.host = e.host ? e.host : mem_dup_z("");
    e.path = e.path ? e.path : mem_dup_z("");
    *endpoint_r = e;
    return true;
}

void endpoint_fini(struct endpoint *e)
{
    free(e->user);
    free(e->host);
    free(e->path);
    *e = (struct endpoint){.proto = PROTO_NONE};
}

static void percent_encode(const char *z, struct buf *out)
{
    for (; *z; z++) {
        if ((unsigned char)*z <= ' ' || strchr("%:/?#[]\177", *z))
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)*z);
        else
            buf_addc(out, *z);
    }
}

void endpoint_format(const struct endpoint *e, struct buf *out)
{
    const struct scheme *scheme = scheme_of(e->proto, e->tls);
    if (!scheme)
        return;
    buf_addf(out, "%s:", scheme->name);
    if (scheme->port == 0) {
        buf_addz(out, e->path);
        return;
    }
    buf_addz(out, "//");
    if (e->user[0]) {
        percent_encode(e->user, out);
        buf_addc(out, '@');
    }
    buf_addf(out, strchr(e->host, ':') ? "[%s]" : "%s", e->host);
    if (e->port != scheme->port)
        buf_addf(out, ":%u", (unsigned)e->port);
}

bool account_copies_sent(const struct account *a)
{
    static const char *const themselves[] = {"smtp.gmail.com", "smtp.googlemail.com"};
    bool copy = a->copy_sent;
    for (size_t i = 0; i < COUNT(themselves); i++)
        copy = copy && !(a->out.host && str_case_eqz(str_z(a->out.host), themselves[i]));
    return copy;
}

bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return str_case_eqz(str_z(host), "localhost");
}
