/* The code flow: the browser comes back to a port of this machine, or the user pastes the address it ended at (RFC
 * 8252). PKCE (RFC 7636) makes the code worthless to everybody else, `state` keeps other pages' requests out. */
#include "oauth/oauth.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIFE_S 900
#define BROWSERS_MAX 8 /* connections at a time: browsers open some that say nothing */
#define REQUEST_MAX 16384
#define BROWSER_MS 20000

struct browser {
    int fd; /* -1: free */
    int64_t since;
    struct buf request;
};
struct flow {
    struct grant *grant;
    char state[32], verifier[64], redirect[300];
    struct str path; /* of the redirect */
    struct buf code;
    struct browser browsers[BROWSERS_MAX];
};

/* RFC 4648 5, without padding. */
static void base64url(const void *p, size_t n, char *out, size_t size)
{
    struct buf b = BUF_INIT(200);
    size_t kept = 0;
    base64_encode((struct str){p, n}, &b);
    for (size_t i = 0; i < b.n && kept + 1 < size; i++)
        if (b.p[i] != '=')
            out[kept++] = b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i];
    out[kept] = '\0';
    buf_wipe(&b);
}

static void random_word(size_t bytes, char *out, size_t size)
{
    unsigned char random[32];
    fs_random(random, bytes);
    base64url(random, bytes, out, size);
    explicit_bzero(random, sizeof random);
}

/* The registered redirect with the port that is listened on. */
static void redirect_make(struct flow *f)
{
    const char *url = f->grant->oauth.redirect_url;
    char host[256];
    uint16_t port = 0;
    f->path = STR("/");
    if (!https_parse(url, true, host, &port)) { /* https: nobody listens there, its address is pasted */
        snprintf(f->redirect, sizeof f->redirect, "%s", url);
        return;
    }
    struct str rest = str_sub(str_z(url), strlen("http://") + strlen(host), strlen(url));
    size_t slash;
    f->path = str_find(rest, '/', &slash) ? str_sub(rest, slash, rest.n) : STR("/");
    snprintf(f->redirect, sizeof f->redirect, "http://%s:%u%.*s", host, (unsigned)f->grant->port,
             str_eq(f->path, STR("/")) ? 0 : STR_FMT(f->path));
}

static bool show(struct flow *f, struct err *err)
{
    struct grant *g = f->grant;
    struct buf url = BUF_INIT(4096);
    unsigned char hash[SHA256_DIGEST_LENGTH];
    char challenge[64];
    SHA256((const unsigned char *)f->verifier, strlen(f->verifier), hash);
    base64url(hash, sizeof hash, challenge, sizeof challenge);
    buf_addf(&url, "%s%s", g->oauth.auth_url, strchr(g->oauth.auth_url, '?') != NULL ? "" : "?");
    form_add(&url, "response_type", STR("code"));
    form_add(&url, "client_id", str_z(g->oauth.client_id));
    form_add(&url, "redirect_uri", str_z(f->redirect));
    form_add(&url, "scope", str_z(g->oauth.scope));
    form_add(&url, "state", str_z(f->state));
    form_add(&url, "code_challenge", str_z(challenge));
    form_add(&url, "code_challenge_method", STR("S256"));
    form_add(&url, "login_hint", str_z(g->account->in.user));
    buf_addz(&url, g->oauth.auth_extra);
    bool ok = !url.full || err_set(err, ERR_LIMIT, "the address of the provider's page is too long");
    ok = ok && SEND(g->chan, -1, err, OAUTH_SHOW, .url = buf_str(&url), .code = STR(""), .expires_s = LIFE_S);
    buf_fini(&url);
    return ok;
}

/* ---- What came back ----------------------------------------------------------------------------- */

enum verdict { OTHER_STATE, NO_CODE, DENIED, TAKEN };

static enum verdict take_query(struct flow *f, struct str query, struct err *err)
{
    struct buf state = BUF_INIT(200), error = BUF_INIT(100), said = BUF_INIT(300);
    enum verdict v = TAKEN;
    buf_wipe(&f->code);
    f->code = BUF_INIT(8192);
    if (!query_get(query, "state", &state) || !str_eqz(buf_str(&state), f->state)) {
        v = OTHER_STATE;
    } else if (query_get(query, "error", &error) && error.n > 0) {
        v = DENIED;
        query_get(query, "error_description", &said);
        err_set(err, ERR_TOKEN, "the provider's page says no (%s%s%s)", buf_z(&error), said.n > 0 ? ": " : "",
                buf_z(&said));
    } else if (!query_get(query, "code", &f->code) || f->code.n == 0) {
        v = NO_CODE;
    }
    buf_fini(&state);
    buf_fini(&error);
    buf_fini(&said);
    return v;
}

/* The whole address, or the code alone, which PKCE still binds to this login. False: *err. */
static bool take_pasted(struct flow *f, struct err *err)
{
    struct secret *pasted = &f->grant->pasted;
    struct str text = str_trim((struct str){pasted->p, pasted->n});
    size_t mark;
    enum verdict v = TAKEN;
    if (memmem(text.p, text.n, "code=", 5) != NULL || memmem(text.p, text.n, "error=", 6) != NULL) {
        struct str query = str_find(text, '?', &mark) ? str_sub(text, mark + 1, text.n) : text;
        v = take_query(f, query, err);
    } else {
        f->code = BUF_INIT(8192);
        buf_adds(&f->code, text);
    }
    secret_free(pasted);
    if (v == OTHER_STATE)
        return err_set(err, ERR_TOKEN, "what you pasted belongs to another login (its state differs): start again");
    if (v == NO_CODE)
        return err_set(err, ERR_TOKEN, "what you pasted holds no code: paste the address of the last page, whole");
    return v == TAKEN;
}

/* ---- The browser -------------------------------------------------------------------------------- */

static void browser_close(struct browser *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
    buf_wipe(&b->request);
}

static void browser_answer(struct browser *b, const char *status, const char *words)
{
    char page[600], head[300];
    int n =
        snprintf(page, sizeof page,
                 "<!DOCTYPE html><html><head><meta charset=utf-8><title>tuimail</title></head><body><p>%s</p></body>"
                 "</html>\n",
                 words);
    int head_n = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
                          "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n",
                          status, n);
    /* A fresh socket takes this much at once. */
    (void)!send(b->fd, head, (size_t)head_n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)!send(b->fd, page, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(b->fd, SHUT_WR);
}

static enum verdict browser_request(struct flow *f, struct browser *b, struct err *err)
{
    struct str query;
    if (!request_query(buf_str(&b->request), f->path, &query)) {
        browser_answer(b, "404 Not Found", "Nothing is here.");
        return NO_CODE;
    }
    enum verdict v = take_query(f, query, err);
    if (v == TAKEN)
        browser_answer(b, "200 OK", "tuimail has what it needs. You may close this page.");
    else if (v == DENIED)
        browser_answer(b, "200 OK", "The provider said no; tuimail shows why. You may close this page.");
    else
        browser_answer(b, "400 Bad Request", "This is not the answer that tuimail waits for.");
    return v;
}

static void browser_accept(struct flow *f)
{
    int fd = accept4(f->grant->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct browser *b = NULL;
    for (size_t i = 0; fd >= 0 && i < BROWSERS_MAX; i++)
        if (f->browsers[i].fd < 0)
            b = &f->browsers[i];
    if (b == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    *b = (struct browser){.fd = fd, .since = clock_mono_ms()};
    buf_init(&b->request, REQUEST_MAX);
}

/* True: the login is decided. */
static bool browser_read(struct flow *f, struct browser *b, enum verdict *v_r, struct err *err)
{
    char chunk[4096];
    ssize_t n = read(b->fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0 || !buf_add(&b->request, chunk, (size_t)n)) {
        browser_close(b);
        return false;
    }
    explicit_bzero(chunk, sizeof chunk);
    if (memmem(b->request.p, b->request.n, "\r\n\r\n", 4) == NULL)
        return false;
    *v_r = browser_request(f, b, err);
    browser_close(b);
    return *v_r == TAKEN || *v_r == DENIED;
}

static bool browsers_serve(struct flow *f, enum verdict *v_r, struct err *err)
{
    struct pollfd fds[BROWSERS_MAX + 2];
    fds[0] = (struct pollfd){.fd = f->grant->listen_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = chan_fd(f->grant->chan), .events = POLLIN};
    for (size_t i = 0; i < BROWSERS_MAX; i++)
        fds[i + 2] = (struct pollfd){.fd = f->browsers[i].fd, .events = POLLIN};
    poll(fds, COUNT(fds), 1000);
    if ((fds[0].revents & POLLIN) != 0)
        browser_accept(f);
    for (size_t i = 0; i < BROWSERS_MAX; i++) {
        struct browser *b = &f->browsers[i];
        if (b->fd < 0)
            continue;
        if (b->fd == fds[i + 2].fd && fds[i + 2].revents != 0 && browser_read(f, b, v_r, err))
            return true;
        if (b->fd >= 0 && clock_mono_ms() - b->since > BROWSER_MS)
            browser_close(b);
    }
    return false;
}

/* ---- The flow ----------------------------------------------------------------------------------- */

static bool wait_for_code(struct flow *f, struct err *err)
{
    int64_t end = clock_mono_ms() + LIFE_S * (int64_t)1000;
    enum verdict v;
    while (clock_mono_ms() < end) {
        if (browsers_serve(f, &v, err))
            return v == TAKEN;
        if (!grant_serve(f->grant, err))
            return false;
        if (f->grant->pasted.p != NULL)
            return take_pasted(f, err);
    }
    return err_set(err, ERR_TOKEN, "nobody gave consent in time");
}

static bool exchange(struct flow *f, struct err *err)
{
    struct grant *g = f->grant;
    struct buf form = BUF_INIT(FORM_MAX);
    struct answer a;
    form_add(&form, "grant_type", STR("authorization_code"));
    form_add(&form, "code", buf_str(&f->code));
    form_add(&form, "redirect_uri", str_z(f->redirect));
    form_add(&form, "code_verifier", str_z(f->verifier));
    bool ok = answer_get(g, g->oauth.token_url, &form, &a, err) && a.error[0] == '\0' && tokens_send(g, &a, true, err);
    buf_wipe(&form);
    answer_free(&a);
    return ok;
}

bool grant_code(struct grant *g, struct err *err)
{
    struct flow f = {.grant = g};
    if (g->listen_fd < 0)
        return err_set(err, ERR_CHANNEL, "no socket to listen on was given");
    fd_nonblock(g->listen_fd, true);
    for (size_t i = 0; i < BROWSERS_MAX; i++)
        f.browsers[i].fd = -1;
    random_word(16, f.state, sizeof f.state);
    random_word(32, f.verifier, sizeof f.verifier);
    redirect_make(&f);
    bool ok = show(&f, err) && wait_for_code(&f, err) && exchange(&f, err);
    for (size_t i = 0; i < BROWSERS_MAX; i++)
        browser_close(&f.browsers[i]);
    explicit_bzero(f.verifier, sizeof f.verifier);
    buf_wipe(&f.code);
    return ok;
}
