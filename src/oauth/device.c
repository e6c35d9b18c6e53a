/* The device flow: the user types a short code into the provider's page, on any machine (RFC 8628). */
#include "oauth/oauth.h"

#include <string.h>

#define INTERVAL_S 5
#define INTERVAL_MAX_S 60
#define LIFE_S 900
#define LIFE_MAX_S 3600

static bool begin(struct grant *g, struct answer *a, struct err *err)
{
    struct buf form = BUF_INIT(FORM_MAX);
    form_add(&form, "scope", str_z(g->oauth.scope));
    bool ok = answer_get(g, g->oauth.device_url, &form, a, err) && a->error[0] == '\0';
    buf_wipe(&form);
    if (!ok)
        return false;
    if (a->device_code.p == NULL || a->user_code[0] == '\0' ||
        (strncmp(a->verify_url, "https://", 8) != 0 && strncmp(a->verify_url, "http://", 7) != 0))
        return err_set(err, ERR_PROTOCOL, "the provider's answer holds no code for you, or no page to type it into");
    return true;
}

/* One question. True: the grant is over, well or not (*err). */
static bool poll_once(struct grant *g, const struct secret *device_code, int64_t *interval_ms, bool *ok_r,
                      struct err *err)
{
    struct buf form = BUF_INIT(FORM_MAX);
    struct answer a;
    *err = ERR_INIT;
    form_add(&form, "grant_type", STR("urn:ietf:params:oauth:grant-type:device_code"));
    form_add(&form, "device_code", (struct str){device_code->p, device_code->n});
    bool answered = answer_get(g, g->oauth.token_url, &form, &a, err);
    bool over = true;
    buf_wipe(&form);
    *ok_r = false;
    if (!answered) {
        /* RFC 8628 3.5: a line that fails is tried again, more slowly. */
        over = err_retry(err->kind) != RETRY_LATER;
        *interval_ms = MIN(*interval_ms * 2, INTERVAL_MAX_S * 1000);
    } else if (strcmp(a.error, "authorization_pending") == 0) {
        over = false;
    } else if (strcmp(a.error, "slow_down") == 0) {
        over = false;
        *interval_ms = MIN(*interval_ms + 5000, INTERVAL_MAX_S * 1000);
    } else if (a.error[0] == '\0') {
        *ok_r = tokens_send(g, &a, true, err);
    }
    answer_free(&a);
    return over;
}

bool grant_device(struct grant *g, struct err *err)
{
    struct answer a;
    bool ok = begin(g, &a, err);
    uint32_t life_s = MIN(a.expires_s > 0 ? a.expires_s : LIFE_S, LIFE_MAX_S);
    int64_t interval_ms = MIN(a.interval_s > 0 ? a.interval_s : INTERVAL_S, INTERVAL_MAX_S) * (int64_t)1000;
    int64_t end = clock_mono_ms() + life_s * (int64_t)1000;
    bool over = !ok || !SEND(g->chan, -1, err, OAUTH_SHOW, .url = str_z(a.verify_url), .code = str_z(a.user_code),
                             .expires_s = life_s);
    ok = false;
    while (!over) {
        over = !grant_wait(g, clock_mono_ms() + interval_ms, err);
        if (!over && clock_mono_ms() >= end) {
            over = true;
            err_set(err, ERR_TOKEN, "the code was not used in time");
        }
        over = over || poll_once(g, &a.device_code, &interval_ms, &ok, err);
    }
    answer_free(&a);
    return ok;
}
