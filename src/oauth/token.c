/* Requests to the provider and its answers in JSON (RFC 6749 5, 6; 8628 3.2). */
#include "oauth/oauth.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#define LIFETIME_S 3600 /* of an access token whose answer does not say */

void answer_free(struct answer *a)
{
    secret_free(&a->access);
    secret_free(&a->refresh);
    secret_free(&a->device_code);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

/* A token goes into protocol lines and pipes: visible ASCII only (RFC 6749 A). */
static void take_secret(const json_t *json, const char *name, struct secret *out)
{
    const json_t *value = json_object_get(json, name);
    struct str s = {json_string_value(value), json_string_length(value)};
    if (!json_is_string(value) || s.n == 0 || s.n > SECRET_MAX)
        return;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
            return;
    *out = secret_new(s);
}

static void take_text(const json_t *json, const char *name, char *out, size_t size)
{
    const char *value = json_string_value(json_object_get(json, name));
    size_t n = 0;
    for (; value != NULL && value[n] != '\0' && n + 1 < size; n++)
        out[n] = value[n] >= ' ' && value[n] < 0x7f ? value[n] : '?';
    out[n] = '\0';
}

/* Some providers write numbers as strings. */
static uint32_t take_number(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    uint32_t n = 0;
    if (json_is_integer(value) && json_integer_value(value) > 0 && json_integer_value(value) <= INT32_MAX)
        return (uint32_t)json_integer_value(value);
    if (json_is_string(value) && str_u32(str_z(json_string_value(value)), &n) && n <= INT32_MAX)
        return n;
    return 0;
}

/* ---- Errors ------------------------------------------------------------------------------------- */

static const struct {
    const char *error;
    enum err_kind kind;
    const char *words;
} meanings[] = {
    {"invalid_grant", ERR_TOKEN, "the consent is no longer valid"},
    {"interaction_required", ERR_TOKEN, "the provider wants to ask you again"},
    {"expired_token", ERR_TOKEN, "the code was not used in time"},
    {"access_denied", ERR_TOKEN, "consent was denied"},
    {"authorization_declined", ERR_TOKEN, "consent was denied"}, /* Microsoft's word */
    {"invalid_client", ERR_CONFIG, "the provider does not know this client id and secret"},
    {"unauthorized_client", ERR_CONFIG, "the client id may not do this"},
    {"unsupported_grant_type", ERR_CONFIG, "the provider does not offer this flow"},
    {"invalid_scope", ERR_CONFIG, "the provider does not offer what oauth-scope asks for"},
    {"invalid_request", ERR_CONFIG, "the provider does not understand the request"},
    {"temporarily_unavailable", ERR_SERVER_TEMP, "the provider asks to wait"},
    {"server_error", ERR_SERVER_TEMP, "the provider has a fault"},
};

static void explain(const char *host, const struct answer *a, const char *said, struct err *err)
{
    enum err_kind kind = ERR_TOKEN;
    const char *words = "the provider refuses";
    for (size_t i = 0; i < COUNT(meanings); i++)
        if (strcmp(meanings[i].error, a->error) == 0) {
            kind = meanings[i].kind;
            words = meanings[i].words;
        }
    err_set(err, kind, "%s: %s (%s%s%.200s)", host, words, a->error, said[0] != '\0' ? ": " : "", said);
}

bool answer_read(const char *host, long status, struct str body, struct answer *a, struct err *err)
{
    char said[400];
    json_error_t where;
    *a = (struct answer){.expires_s = 0};
    json_t *json = json_loadb(body.p != NULL ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(json)) {
        json_decref(json);
        return err_set(err, status >= 500 ? ERR_SERVER_TEMP : ERR_PROTOCOL, "%s answers with status %ld and no JSON",
                       host, status);
    }
    take_secret(json, "access_token", &a->access);
    take_secret(json, "refresh_token", &a->refresh);
    take_secret(json, "device_code", &a->device_code);
    take_text(json, "user_code", a->user_code, sizeof a->user_code);
    take_text(json, "verification_uri", a->verify_url, sizeof a->verify_url);
    if (a->verify_url[0] == '\0') /* from before the RFC */
        take_text(json, "verification_url", a->verify_url, sizeof a->verify_url);
    a->expires_s = take_number(json, "expires_in");
    a->interval_s = take_number(json, "interval");
    take_text(json, "error", a->error, sizeof a->error);
    take_text(json, "error_description", said, sizeof said);
    json_decref(json);
    if (a->error[0] == '\0' && status / 100 != 2)
        snprintf(a->error, sizeof a->error, "status %ld", status);
    if (a->error[0] != '\0')
        explain(host, a, said, err);
    return true;
}

/* A provider's words that repeat what it was sent are not for people. */
static bool repeats(const struct err *err, const struct secret *s)
{
    size_t n = MIN(s->n, (size_t)16);
    return s->p != NULL && n > 0 && memmem(err->text, strlen(err->text), s->p, n) != NULL;
}

/* Jansson frees what it parsed without wiping it; the pages are this short program's alone. */
bool answer_get(struct grant *g, const char *url, struct buf *form, struct answer *a, struct err *err)
{
    struct buf body = BUF_INIT(BODY_MAX);
    long status = 0;
    char host[256] = "";
    uint16_t port;
    *a = (struct answer){.expires_s = 0};
    https_parse(url, false, host, &port);
    form_add(form, "client_id", str_z(g->oauth.client_id));
    if (g->client.p != NULL)
        form_add(form, "client_secret", (struct str){g->client.p, g->client.n});
    struct http_request request = {.url = url,
                                   .form = buf_str(form),
                                   .accept = "Accept: application/json",
                                   .ca_file = g->oauth.ca_file,
                                   .own_network = true}; /* the user's own setting */
    bool ok = !form->full || err_set(err, ERR_LIMIT, "the request is too long");
    ok = ok && http_post(&request, &status, &body, err) && answer_read(host, status, buf_str(&body), a, err);
    if (repeats(err, &g->refresh) || repeats(err, &g->client))
        err_set(err, err->kind, "the provider refuses (%s)", a->error);
    buf_wipe(&body);
    return ok;
}

/* ---- Tokens ------------------------------------------------------------------------------------- */

static bool send_one(struct grant *g, uint8_t what, const struct secret *token, uint32_t expires_s, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, ERR_SECRET, "cannot make a pipe for a token");
    /* Less than a pipe holds: never waits. */
    bool ok = fs_write_all(ends[1], (struct str){token->p, token->n}, err) && fs_write_all(ends[1], STR("\n"), err);
    close(ends[1]);
    ok = ok && SEND(g->chan, ends[0], err, OAUTH_TOKEN, .what = what, .expires_s = expires_s);
    close(ends[0]);
    return ok;
}

bool tokens_send(struct grant *g, const struct answer *a, bool want_refresh, struct err *err)
{
    if (a->access.p == NULL)
        return err_set(err, ERR_PROTOCOL, "the provider's answer holds no access token");
    if (want_refresh && a->refresh.p == NULL)
        return err_set(err, ERR_TOKEN,
                       "the provider gave no refresh token, so that it would ask again every hour: see oauth-scope");
    /* The one that was used is not sent back. */
    bool fresh = a->refresh.p != NULL && (g->refresh.p == NULL || g->refresh.n != a->refresh.n ||
                                          memcmp(g->refresh.p, a->refresh.p, a->refresh.n) != 0);
    return send_one(g, OAUTH_ACCESS_TOKEN, &a->access, a->expires_s > 0 ? a->expires_s : LIFETIME_S, err) &&
           (!fresh || send_one(g, OAUTH_REFRESH_TOKEN, &a->refresh, 0, err));
}

bool grant_refresh(struct grant *g, struct err *err)
{
    struct buf form = BUF_INIT(FORM_MAX);
    struct answer a;
    if (g->refresh.p == NULL)
        return err_set(err, ERR_TOKEN, "there is no refresh token");
    form_add(&form, "grant_type", STR("refresh_token"));
    form_add(&form, "refresh_token", (struct str){g->refresh.p, g->refresh.n});
    bool ok = answer_get(g, g->oauth.token_url, &form, &a, err) && a.error[0] == '\0' && tokens_send(g, &a, false, err);
    buf_wipe(&form);
    answer_free(&a);
    return ok;
}
