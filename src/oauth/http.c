/* One HTTPS request at a time. No redirects, no cookies, no proxy of the environment, no threads: libcurl's resolver
 * would be one, so names are looked up here. */
#include "oauth/oauth.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_S 30
#define ADDRESSES_MAX 8

bool http_setup(struct err *err)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK || err_set(err, ERR_TLS, "libcurl does not start");
}

void buf_wipe(struct buf *b)
{
    if (b->p != NULL)
        explicit_bzero(b->p, b->cap);
    buf_fini(b);
}

/* ---- Forms -------------------------------------------------------------------------------------- */

void form_add(struct buf *form, const char *name, struct str value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    buf_addf(form, "%s%s=", form->n > 0 && form->p[form->n - 1] != '?' ? "&" : "", name);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c != '\0' && strchr(plain, c) != NULL)
            buf_addc(form, (char)c);
        else
            buf_addf(form, "%%%02X", c);
    }
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

bool query_get(struct str query, const char *name, struct buf *value)
{
    struct str pair, key;
    while (str_split(&query, '&', &pair)) {
        struct str rest = pair;
        if (!str_split(&rest, '=', &key) || !str_eqz(key, name))
            continue;
        for (size_t i = 0; i < rest.n; i++) {
            int c = rest.p[i] == '+' ? ' ' : (unsigned char)rest.p[i];
            if (c == '%') {
                int high = i + 2 < rest.n ? hex(rest.p[i + 1]) : -1, low = i + 2 < rest.n ? hex(rest.p[i + 2]) : -1;
                if (high < 0 || low < 0)
                    return false;
                c = high * 16 + low;
                i += 2;
            }
            if (c < ' ' || c == 0x7f || !buf_addc(value, (char)c))
                return false;
        }
        return true;
    }
    return false;
}

bool request_query(struct str request, struct str path, struct str *query_r)
{
    struct str verb, target;
    size_t end, mark;
    request = str_find(request, '\n', &end) ? str_sub(request, 0, end) : request;
    if (!str_split(&request, ' ', &verb) || !str_eqz(verb, "GET") || !str_split(&request, ' ', &target) ||
        !str_find(target, '?', &mark) || !str_eq(str_sub(target, 0, mark), path))
        return false;
    *query_r = str_sub(target, mark + 1, target.n);
    return true;
}

/* ---- The request -------------------------------------------------------------------------------- */

/* "host:port:address,address" for CURLOPT_RESOLVE. */
static bool resolve(const char *host, uint16_t port, struct buf *out, struct err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    unsigned n = 0;
    int r = getaddrinfo(host, NULL, &hints, &list);
    if (r != 0)
        return err_set(err, ERR_DNS, "%s: %s", host, gai_strerror(r));
    buf_addf(out, "%s:%u:", host, (unsigned)port);
    for (struct addrinfo *a = list; a != NULL && n < ADDRESSES_MAX; a = a->ai_next) {
        char text[128];
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

static void options(CURL *c, const struct grant *g, const char *url, struct str form, struct curl_slist *at)
{
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)REQUEST_S);
    curl_easy_setopt(c, CURLOPT_RESOLVE, at);
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, form.p);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)form.n);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "tuimail");
    if (g->oauth.ca_file[0] != '\0')
        curl_easy_setopt(c, CURLOPT_CAINFO, g->oauth.ca_file);
}

bool http_post(const struct grant *g, const char *url, struct str form, long *status_r, struct buf *body,
               struct err *err)
{
    char host[256] = "", words[CURL_ERROR_SIZE] = "";
    uint16_t port = 0;
    struct buf at = BUF_INIT(2000);
    struct curl_slist *addresses = NULL, *headers = NULL;
    bool ok = https_parse(url, false, host, &port) ? resolve(host, port, &at, err)
                                                   : err_set(err, ERR_CONFIG, "%.80s is no https: URL", url);
    CURL *c = ok ? curl_easy_init() : NULL;
    if (ok && c == NULL)
        bug("no memory for a request");
    if (ok) {
        addresses = curl_slist_append(NULL, buf_z(&at));
        headers = curl_slist_append(NULL, "Accept: application/json");
        options(c, g, url, form, addresses);
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
