/* OAuth 2.0 providers: their public endpoints, and what an account changes about them. */
#include "conf/conf.h"

#include <string.h>

#define REDIRECT_MAX 250

static const struct provider {
    const char *name, *auth_url, *token_url, *device_url, *scope, *redirect_url, *auth_extra;
} providers[] = {
    /* Its device flow does not offer mail. Without access_type and prompt there is no refresh token. */
    {"google", "https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token", "",
     "https://mail.google.com/", "http://127.0.0.1", "&access_type=offline&prompt=consent"},
    {"microsoft", "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
     "https://login.microsoftonline.com/common/oauth2/v2.0/token",
     "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
     "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/POP.AccessAsUser.All "
     "https://outlook.office.com/SMTP.Send offline_access",
     "http://localhost", ""},
    {"yahoo", "https://api.login.yahoo.com/oauth2/request_auth", "https://api.login.yahoo.com/oauth2/get_token", "",
     "mail-w", "http://127.0.0.1", ""},
    {"fastmail", "https://api.fastmail.com/oauth/authorize", "https://api.fastmail.com/oauth/refresh", "",
     "https://www.fastmail.com/dev/protocol-imap https://www.fastmail.com/dev/protocol-pop "
     "https://www.fastmail.com/dev/protocol-smtp",
     "http://localhost", ""},
    {"custom", "", "", "", "", "http://127.0.0.1", ""},
};

bool account_has_oauth(const struct account *a)
{
    return strcmp(a->oauth_provider, "none") != 0;
}

bool https_parse(const char *url, bool plain, char host_r[256], uint16_t *port_r)
{
    struct str rest = str_z(url), scheme = plain ? STR("http://") : STR("https://");
    size_t end = 0, colon;
    uint32_t port = plain ? 80 : 443;
    for (size_t i = 0; i < rest.n; i++)
        if ((unsigned char)rest.p[i] <= ' ' || (unsigned char)rest.p[i] >= 0x7f || rest.p[i] == '#')
            return false;
    if (!str_starts(rest, scheme))
        return false;
    rest = str_sub(rest, scheme.n, rest.n);
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    struct str host = str_sub(rest, 0, end);
    if (memchr(host.p, '@', host.n) != NULL)
        return false;
    if (host.n > 0 && host.p[0] != '[' && str_find(host, ':', &colon)) {
        if (!str_u32(str_sub(host, colon + 1, host.n), &port) || port == 0 || port > 65535)
            return false;
        host = str_sub(host, 0, colon);
    }
    for (size_t i = 0; i < host.n; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", host.p[i]) == NULL)
            return false;
    if (host.n == 0 || host.n > 253)
        return false;
    memcpy(host_r, host.p, host.n);
    host_r[host.n] = '\0';
    *port_r = (uint16_t)port;
    return true;
}

static bool check_url(const struct account *a, const char *option, const char *url, struct err *err)
{
    char host[256];
    uint16_t port;
    return url[0] == '\0' || https_parse(url, false, host, &port) ||
           err_set(err, ERR_CONFIG, "account %s: %s is no https: URL of a host name", a->name, option);
}

static const char *either(const char *own, const char *usual)
{
    return own[0] != '\0' ? own : usual;
}

bool account_oauth(const struct account *a, struct oauth *o, struct err *err)
{
    const struct provider *p = NULL;
    char host[256];
    uint16_t port;
    for (size_t i = 0; i < COUNT(providers); i++)
        if (strcmp(providers[i].name, a->oauth_provider) == 0)
            p = &providers[i];
    if (p == NULL)
        return err_set(err, ERR_CONFIG, "account %s: oauth-provider is not set", a->name);
#ifndef HAVE_OAUTH
    return err_set(err, ERR_CONFIG, "account %s: this tuimail was built without OAuth 2.0; token-command can do it",
                   a->name);
#endif
    *o = (struct oauth){.auth_url = either(a->oauth_auth_url, p->auth_url),
                        .token_url = either(a->oauth_token_url, p->token_url),
                        .device_url = either(a->oauth_device_url, p->device_url),
                        .scope = either(a->oauth_scope, p->scope),
                        .redirect_url = either(a->oauth_redirect_url, p->redirect_url),
                        .client_id = a->oauth_client_id,
                        .ca_file = a->oauth_ca_file,
                        .auth_extra = p->auth_extra};
    o->device =
        strcmp(a->oauth_flow, "device") == 0 || (strcmp(a->oauth_flow, "auto") == 0 && o->device_url[0] != '\0');
    if (o->client_id[0] == '\0')
        return err_set(err, ERR_CONFIG,
                       "account %s: oauth-client-id is missing; tuimailrc(5) says where to get one for %s", a->name,
                       p->name);
    if (o->token_url[0] == '\0')
        return err_set(err, ERR_CONFIG, "account %s: oauth-provider custom needs oauth-token-url", a->name);
    if ((o->device ? o->device_url : o->auth_url)[0] == '\0')
        return err_set(err, ERR_CONFIG, "account %s: the %s flow needs %s", a->name, o->device ? "device" : "code",
                       o->device ? "oauth-device-url" : "oauth-auth-url");
    bool here = https_parse(o->redirect_url, true, host, &port) || https_parse(o->redirect_url, false, host, &port);
    if (!here || !host_is_loopback(host) || strlen(o->redirect_url) > REDIRECT_MAX || strchr(o->redirect_url, '?'))
        return err_set(err, ERR_CONFIG, "account %s: oauth-redirect-url is no URL of this machine", a->name);
    return check_url(a, "oauth-auth-url", o->auth_url, err) && check_url(a, "oauth-token-url", o->token_url, err) &&
           check_url(a, "oauth-device-url", o->device_url, err);
}
