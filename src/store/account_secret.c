/* What an account's programs may not get by themselves: asked of spawn, or of the user, and passed on unread. */
#include "store/account.h"

#include <unistd.h>

void acct_on_secret_ask(struct acct *a, struct msg *m)
{
    if (m->u.SECRET_ASK.service != SERVICE_INCOMING) {
        acct_violation(a, "it asks for another service's password");
        return;
    }
    a->secret_tag = server_id(a->srv);
    a->secret_need = m->u.SECRET_ASK.need;
    acct_command(a, SERVICE_INCOMING, a->secret_tag);
    SPAWN(a->srv, SECRET_GET, .account = str_z(a->name), .service = SERVICE_INCOMING, .tag = a->secret_tag,
          .need = m->u.SECRET_ASK.need, .refused = m->u.SECRET_ASK.refused);
}

void acct_command(struct acct *a, uint8_t service, uint64_t tag)
{
    if (service >= COUNT(a->command))
        return;
    a->command[service].tag = tag;
    a->command[service].said[0] = '\0';
}

void acct_command_failed(struct acct *a, uint8_t service, uint64_t tag, struct str text)
{
    /* Nobody waits for it: a new refresh token that was not kept. Not over when the line is there. */
    if (tag == 0)
        acct_note(a, 2, ERR_NONE, "%s", clean_line(text));
    if (service >= COUNT(a->command) || tag != a->command[service].tag)
        return;
    snprintf(a->command[service].said, sizeof a->command[service].said, "%s", clean_line(text));
    log_msg(LOG_WARN, "%s: %s", a->name, a->command[service].said);
}

const char *acct_command_why(struct acct *a, uint8_t service, enum err_kind kind, const char *text)
{
    static const enum err_kind follows[] = {ERR_SECRET, ERR_LINE, ERR_TLS, ERR_PROTOCOL, ERR_SERVER_BYE};
    for (size_t i = 0; i < COUNT(follows); i++)
        if (kind == follows[i] && a->command[service].said[0])
            return a->command[service].said;
    return text;
}

void acct_secret(struct acct *a, uint8_t service, uint64_t tag, int fd, enum err_kind kind, struct str text)
{
    if (tag != 0 && tag == a->send_secret_tag) {
        a->send_secret_tag = 0;
        outbox_secret(a, fd, kind, text);
        return;
    }
    if (tag != 0 && (sieve_secret(a, tag, fd, kind, text) || seek_secret(a, tag, fd, kind, text)))
        return;
    if (tag == 0 || tag != a->secret_tag || service != SERVICE_INCOMING || !a->fetch) {
        if (fd >= 0)
            close(fd);
        return;
    }
    a->secret_tag = 0;
    if (fd >= 0) {
        a->secret_typed = false;
        PEER_SEND(a->fetch, fd, SECRET, .service = service, .need = a->secret_need);
        close(fd);
        return;
    }
    if (text.n == 0 && a->secret_need == NEED_LOGIN) {
        /* Nothing is configured: the user types it. */
        const char *why = a->secret_err.text[0] ? a->secret_err.text : "";
        a->secret_wanted = true;
        acct_state(a, ACCOUNT_WANTS_SECRET, ERR_SECRET, why[0] ? why : SECRET_NEEDED);
        BROADCAST(a->srv, SECRET_WANTED, .account = str_z(a->name), .service = service, .text = str_z(why));
        a->secret_err = ERR_INIT;
        return;
    }
    err_set(&a->secret_err, kind && kind < ERR_COUNT ? kind : ERR_SECRET, "%s",
            text.n ? clean_line(text) : "the server asks for what tuimailrc does not have");
    if (a->connect_step)
        PEER_SEND(a->fetch, -1, STEP_CANCEL, .step = a->connect_step);
}

void acct_secret_given(struct acct *a, uint8_t service, int fd)
{
    if (service == SERVICE_SUBMISSION) {
        outbox_secret(a, fd, ERR_NONE, STR(""));
        return;
    }
    if (service == SERVICE_SIEVE) {
        if (!sieve_secret(a, 0, fd, ERR_NONE, STR("")))
            close(fd);
        return;
    }
    if (seek_secret(a, 0, fd, ERR_NONE, STR("")))
        return;
    if (a->secret_wanted && a->fetch) {
        a->secret_wanted = false;
        a->secret_typed = true;
        acct_state(a, ACCOUNT_CONNECTING, ERR_NONE, "");
        PEER_SEND(a->fetch, fd, SECRET, .service = service, .need = NEED_LOGIN);
    } else {
        acct_retry(a);
    }
    close(fd);
}
