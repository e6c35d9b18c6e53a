#include "http/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/conf.h"

#define REQUEST_S 30
#define ADDRESSES_MAX 8

bool http_setup(struct err *err)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK || err_set(err, ERR_TLS, "libcurl does not start");
}

/* ---- Addresses ---- */

/* Networks that are not the public Internet (the IANA registries of special-purpose addresses, RFC 6890), and the
 * prefixes under which IPv6 hides an IPv4 address are looked through. */
static bool ip4_is_public(const uint8_t a[4])
{
    static const struct {
        uint8_t net[4];
        unsigned bits;
    } special[] = {
        {{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},    {{100, 64, 0, 0}, 10},   {{127, 0, 0, 0}, 8},
        {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12}, {{192, 0, 0, 0}, 24},    {{192, 0, 2, 0}, 24},
        {{192, 168, 0, 0}, 16}, {{198, 18, 0, 0}, 15}, {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24},
        {{224, 0, 0, 0}, 3},
    };
    uint32_t ip = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
    for (size_t i = 0; i < COUNT(special); i++) {
        const uint8_t *n = special[i].net;
        uint32_t net = (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 | (uint32_t)n[2] << 8 | n[3];
        if ((ip ^ net) >> (32 - special[i].bits) == 0)
            return false;
    }
    return true;
}

bool address_is_public(const struct sockaddr *at)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (at->sa_family == AF_INET)
        return ip4_is_public((const uint8_t *)&((const struct sockaddr_in *)(const void *)at)->sin_addr);
    if (at->sa_family != AF_INET6)
        return false;
    const uint8_t *a = ((const struct sockaddr_in6 *)(const void *)at)->sin6_addr.s6_addr;
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return ip4_is_public(a + 12);
    return a[0] >> 5 == 1 && !(a[0] == 0x20 && (a[1] == 0x02 || (a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8)));
}

/* ---- The request ---- */

/* "host:port:address,address" for CURLOPT_RESOLVE. */
static bool resolve(const char *host, uint16_t port, bool own_network, struct buf *out, struct err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    unsigned n = 0;
    int r = getaddrinfo(host, NULL, &hints, &list);
    if (r != 0)
        return err_set(err, ERR_DNS, "%s: %s", host, gai_strerror(r));
    buf_addf(out, "%s:%u:", host, (unsigned)port);
    for (struct addrinfo *a = list; a != NULL && n < ADDRESSES_MAX; a = a->ai_next) {
        char text[128];
        if (!own_network && !address_is_public(a->ai_addr))
            return freeaddrinfo(list), err_set(err, ERR_CONFIG, "%s is not on the public Internet", host);
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            buf_addf(out, a->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", n++ > 0 ? "," : "", text);
    }
    freeaddrinfo(list);
    return n > 0 || err_set(err, ERR_DNS, "%s has no usable address", host);
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
    return buf_add(arg, p, size * n) ? size * n : 0;
}

static bool failed(const char *host, CURLcode code, const char *words, struct err *err)
{
    static const struct {
        CURLcode code;
        enum err_kind kind;
    } kinds[] = {
        {CURLE_COULDNT_CONNECT, ERR_CONNECT},
        {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},
        {CURLE_PEER_FAILED_VERIFICATION, ERR_TLS_UNKNOWN_CA},
        {CURLE_SSL_CONNECT_ERROR, ERR_TLS},
        {CURLE_SSL_CACERT_BADFILE, ERR_CONFIG},
        {CURLE_WRITE_ERROR, ERR_LIMIT},
    };
    enum err_kind kind = ERR_LINE;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].code == code)
            kind = kinds[i].kind;
    return err_set(err, kind, "%s: %s", host, words[0] != '\0' ? words : curl_easy_strerror(code));
}

static void options(CURL *c, const struct http_request *r, struct curl_slist *at)
{
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)REQUEST_S);
    curl_easy_setopt(c, CURLOPT_RESOLVE, at);
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->form.p);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)r->form.n);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "tuimail");
    if (r->ca_file[0] != '\0')
        curl_easy_setopt(c, CURLOPT_CAINFO, r->ca_file);
}

bool http_post(const struct http_request *r, long *status_r, struct buf *body, struct err *err)
{
    char host[256] = "", words[CURL_ERROR_SIZE] = "";
    uint16_t port = 0;
    struct buf at = BUF_INIT(2000);
    struct curl_slist *addresses = NULL, *headers = NULL;
    bool ok = https_parse(r->url, false, host, &port) ? resolve(host, port, r->own_network, &at, err)
                                                      : err_set(err, ERR_CONFIG, "%.80s is no https: URL", r->url);
    CURL *c = ok ? curl_easy_init() : NULL;
    if (ok && c == NULL)
        bug("no memory for a request");
    if (ok) {
        addresses = curl_slist_append(NULL, buf_z(&at));
        headers = curl_slist_append(NULL, r->accept);
        options(c, r, addresses);
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
        CURLcode code = curl_easy_perform(c);
        ok = code == CURLE_OK || failed(host, code, words, err);
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, status_r);
    }
    curl_easy_cleanup(c);
    curl_slist_free_all(addresses);
    curl_slist_free_all(headers);
    buf_fini(&at);
    return ok;
}
