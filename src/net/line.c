#include "net/line.h"

#define SECRET_MS 60000 /* as long as spawn lets a command run */

static bool ask_secret(const struct line_way *way, enum need need, bool refused, bool all, struct secret *out,
                       struct err *err)
{
    int fd;
    int64_t deadline = clock_mono_ms() + SECRET_MS;
    if (!way->ask(way->arg, need, refused, &fd, err))
        return false;
    return all ? secret_read_all(fd, deadline, out, err) : secret_read(fd, deadline, out, err);
}

/* The certificate was read before the sandbox; its key comes now, once. */
static bool private_key(const struct line_way *way, struct err *err)
{
    const struct account *a = way->account;
    struct secret key = {.p = NULL}, password = {.p = NULL};
    if (a->tls_cert_file[0] == '\0' || stream_has_private_key())
        return true;
    bool ok =
        ask_secret(way, NEED_KEY, false, true, &key, err) &&
        (a->tls_key_password_command[0] == '\0' || ask_secret(way, NEED_KEY_PASSWORD, false, false, &password, err)) &&
        stream_private_key(&key, password.p != NULL ? &password : NULL, err);
    secret_free(&key);
    secret_free(&password);
    return ok;
}

static bool login_secret(const struct line_way *way, bool refused, struct secret *secret, struct err *err)
{
    enum login login = account_login(way->account, way->service);
    if (secret->p != NULL || (login != LOGIN_PASSWORD && login != LOGIN_TOKEN))
        return true;
    if (!ask_secret(way, NEED_LOGIN, refused, false, secret, err))
        return false;
    secret->token = login == LOGIN_TOKEN;
    return true;
}

bool line_secret(const struct line_way *way, struct secret *secret, struct err *err)
{
    return login_secret(way, false, secret, err);
}

bool line_open(const struct line_way *way, struct secret *secret, struct stream **stream_r, struct err *err)
{
    const struct account *a = way->account;
    const struct endpoint *ep = account_endpoint(a, way->service);
    int fd;
    if (!login_secret(way, false, secret, err) || !private_key(way, err))
        return false;
    if (account_tunnel(a, way->service)[0] == '\0')
        *stream_r = stream_open(ep, way->options, err);
    else
        *stream_r = way->ask(way->arg, NEED_TUNNEL, false, &fd, err) ? stream_tunnel(fd, ep, way->options, err) : NULL;
    return *stream_r != NULL;
}

bool line_refused(const struct line_way *way, struct secret *secret, struct err *err)
{
    bool token = secret->token;
    struct err why = *err;
    if (why.kind != ERR_AUTH)
        return false;
    secret_free(secret);
    if (token)
        err_set(err, ERR_TOKEN,
                account_has_oauth(way->account) ? "run: tuimail login %s: %s" : "token-command of %s: %s",
                way->account->name, why.text);
    return false;
}

bool line_again(const struct line_way *way, struct secret *secret, struct err *err)
{
    bool again = err->kind == ERR_AUTH && secret->token;
    if (!again)
        return line_refused(way, secret, err);
    secret_free(secret);
    return login_secret(way, true, secret, err);
}
