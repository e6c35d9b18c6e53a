/* What must hold between options, whatever their order in the file. */
#include "conf/internal.h"

void account_apply_tls(struct account *a)
{
    struct endpoint *all[SERVICE_COUNT] = {
        [SERVICE_INCOMING] = &a->in, [SERVICE_SUBMISSION] = &a->out, [SERVICE_SIEVE] = &a->sieve};
    bool none = strcmp(a->tls, "none") == 0;
    for (unsigned i = 0; i < SERVICE_COUNT; i++)
        if (all[i]->tls != TLS_IMPLICIT) /* a tunnel is the user's own way of keeping a line safe */
            all[i]->tls = none || account_tunnel(a, (enum service)i)[0] ? TLS_NONE : TLS_STARTTLS;
}

static bool is_network(const struct endpoint *e)
{
    return e->proto == PROTO_IMAP || e->proto == PROTO_POP3 || e->proto == PROTO_SMTP || e->proto == PROTO_SIEVE;
}

static bool check_tls(const struct account *a, struct err *err)
{
    bool used = false;
    if (strcmp(a->tls, "none") != 0)
        return true;
    for (unsigned i = 0; i < SERVICE_COUNT; i++) {
        const struct endpoint *e = account_endpoint(a, (enum service)i);
        if (e->tls != TLS_NONE || !is_network(e) || account_tunnel(a, (enum service)i)[0])
            continue;
        used = true;
        if (!a->insecure && !host_is_loopback(e->host))
            return err_set(
                err, ERR_CONFIG,
                "account %s: tls none would send your password to %s for everybody on the way to read; it is for "
                "this machine (localhost) alone, unless you write: set -a %s insecure yes",
                a->name, e->host, a->name);
    }
    return used || err_set(err, ERR_CONFIG,
                           "account %s: tls none, but none of its URLs is imap:, pop3:, smtp: or sieve:", a->name);
}

static bool same_mailbox(const struct endpoint *a, const struct endpoint *b)
{
    if (is_network(a) && is_network(b))
        return a->port == b->port && strcmp(a->host, b->host) == 0 && strcmp(a->user, b->user) == 0;
    return a->proto == PROTO_MAILDIR && b->proto == PROTO_MAILDIR && strcmp(a->path, b->path) == 0;
}

bool account_check(const struct conf *conf, const struct account *a, struct err *err)
{
    for (const struct account *b = conf->accounts; b < a; b++)
        if (same_mailbox(&a->in, &b->in))
            return err_set(err, ERR_CONFIG, "account %s: the same host, port and user as account %s (%s)", a->name,
                           b->name, b->defined_in);
    struct oauth oauth;
    return check_tls(a, err) && (!account_has_oauth(a) || account_oauth(a, &oauth, err));
}

static void PRINTF(3, 4) warn(struct loader *loader, const char *where, const char *fmt, ...)
{
    struct buf text = BUF_INIT(400);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&text, fmt, ap);
    va_end(ap);
    struct err err = ERR_INIT;
    err_set(&err, ERR_CONFIG, "%s", buf_z(&text));
    loader_complain(loader, where, false, &err);
    buf_fini(&text);
}

/* In option state-dir the accounts' directories lie beside the index's; where that is the root itself, beside all else.
 */
static bool check_directory(const struct conf *conf, const struct account *a, struct err *err)
{
    static const char *const of_root[] = {"drafts", "history", "lock", "log", "mail", "outbox", "scripts", "session"};
    struct err none = ERR_INIT;
    if (conf->state_dir[0] == '\0')
        return true;
    char *state = path_expand_home(conf->state_dir), *root = conf_root(conf, NULL, &none);
    bool taken = strcmp(a->name, "index") == 0;
    for (size_t i = 0; i < COUNT(of_root) && root && strcmp(root, state) == 0; i++)
        taken = taken || strcmp(a->name, of_root[i]) == 0;
    if (taken)
        err_set(err, ERR_CONFIG,
                "account %s: with state-dir, %s/%s is a directory of tuimail's own: give the account another name",
                a->name, state, a->name);
    free(state);
    free(root);
    return !taken;
}

static void check_account(struct loader *loader, const struct account *a)
{
    struct err err = ERR_INIT;
    if (!account_check(loader->conf, a, &err) || !check_directory(loader->conf, a, &err))
        loader_complain(loader, a->defined_in, true, &err);
    if (a->insecure && strcmp(a->tls, "none") == 0)
        warn(loader, a->defined_in, "account %s: password and mail cross the network unencrypted (insecure yes)",
             a->name);
    if (account_has_oauth(a) && a->token_command[0])
        warn(loader, a->defined_in, "account %s: token-command and oauth-provider; token-command is used", a->name);
    if (!a->tls_cert_file[0] && (a->tls_key_file[0] || a->tls_key_command[0] || a->tls_key_password_command[0]))
        warn(loader, a->defined_in, "account %s: a private key without its certificate (tls-cert-file)", a->name);
    int sources = (a->password_command[0] != '\0') + (a->password_file[0] != '\0') + a->keyring;
    if (sources > 1)
        warn(loader, a->defined_in, "account %s: several sources of the password; %s is used", a->name,
             a->password_command[0] ? "password-command" : "password-file");
    struct buf address = BUF_INIT(512);
    account_address(a, &address);
    if (address.n == 0 && a->out.proto != PROTO_NONE) /* what only reads needs none */
        warn(loader, a->defined_in, "account %s: option from is missing, and its user is no address", a->name);
    buf_fini(&address);
    if (!(a->leave == LEAVE_DAYS && a->leave_days == LEAVE_DAYS_DEFAULT) && a->in.proto != PROTO_POP3)
        warn(loader, a->defined_in, "account %s: option leave is for pop3: and pop3s: accounts", a->name);
}

static void check_reference(struct loader *loader, const char *where, const char *what, const char *account)
{
    if (!account[0] || conf_account(loader->conf, account))
        return;
    struct err err = ERR_INIT;
    err_set(&err, ERR_CONFIG, "%s: unknown account \"%.80s\"", what, account);
    loader_complain(loader, where, true, &err);
}

void conf_check(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->naccounts; i++) {
        account_apply_tls(&conf->accounts[i]);
        check_account(loader, &conf->accounts[i]);
    }
    for (size_t i = 0; i < conf->nrules; i++)
        check_reference(loader, conf->rules[i].defined_in, "rule", conf->rules[i].account);
    for (size_t i = 0; i < conf->nsaved; i++) {
        char what[100];
        snprintf(what, sizeof what, "saved \"%.60s\"", conf->saved[i].name);
        check_reference(loader, conf->file, what, conf->saved[i].account);
    }
}
