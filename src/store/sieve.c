/* Scripts on the server: requests of clients go to the account's `sieve` program, one at a time, and its answers back.
 * Nothing of it is kept here, and no mail waits for it. */
#include "store/account.h"

#include <unistd.h>

#define ASKS_MAX 16

struct ask {
    uint64_t client;
    uint32_t req;
    uint8_t verb;
    char *name, *to;
    size_t name_n, to_n;
    int fd;
};
/* The program, from START to its end, and what it has to do; asks[0] is with it once it is ready. */
struct sieving {
    uint64_t tag, secret_tag;
    struct peer *peer;
    bool ready, busy, waits_user;
    uint8_t need; /* of the last SECRET_ASK */
    struct ask asks[ASKS_MAX];
    size_t n;
};

static void next_ask(struct acct *a);

static void ask_fini(struct ask *k)
{
    close(k->fd);
    free(k->name);
    free(k->to);
}

static void answer(struct acct *a, enum err_kind kind, struct str text, bool warned, struct str said)
{
    struct sieving *s = a->sieving;
    struct ask k = s->asks[0];
    ANSWER(a->srv, k.client, -1, SIEVE_DONE, .req = k.req, .kind = kind, .text = text, .warned = warned, .said = said);
    ask_fini(&k);
    s->n--;
    memmove(s->asks, s->asks + 1, s->n * sizeof *s->asks);
    s->busy = false;
}

/* The program is gone or could not begin; the next request starts another one. */
static void ended(struct acct *a, enum err_kind kind, const char *text)
{
    struct sieving *s = a->sieving;
    if (!s)
        return;
    while (s->n > 0)
        answer(a, kind, str_z(text), false, STR(""));
    peer_free(&s->peer);
    if (s->tag)
        SPAWN(a->srv, STOP, .role = ROLE_SIEVE, .account = str_z(a->name), .tag = s->tag);
    free(s);
    a->sieving = NULL;
}

static void next_ask(struct acct *a)
{
    struct sieving *s = a->sieving;
    if (!s || !s->ready || s->busy || s->n == 0)
        return;
    const struct ask *k = &s->asks[0];
    s->busy = true;
    PEER_SEND(s->peer, k->fd, SIEVE, .req = k->req, .verb = k->verb, .name = {k->name, k->name_n},
              .to = {k->to, k->to_n});
}

void sieve_ask(struct acct *a, uint64_t client, const struct msg *m)
{
    const struct m_SIEVE *q = &m->u.SIEVE;
    const char *no = a->conf->sieve.proto != PROTO_SIEVE
                         ? "the account has no server of scripts: set -a ACCOUNT sieve sieve://HOST"
                     : a->offline                              ? "the account is offline"
                     : a->sieving && a->sieving->n == ASKS_MAX ? "too much is asked for already"
                                                               : NULL;
    int fd = no ? -1 : dup(m->fd);
    if (no || fd < 0) {
        enum err_kind kind = a->conf->sieve.proto != PROTO_SIEVE ? ERR_CONFIG : a->offline ? ERR_OFFLINE : ERR_LIMIT;
        server_refuse(a->srv, client, q->req, kind, no ? no : "no descriptor is left");
        return;
    }
    fd_cloexec(fd, true);
    if (!a->sieving) {
        a->sieving = mem_new(sizeof *a->sieving);
        a->sieving->tag = server_id(a->srv);
        SPAWN(a->srv, START, .role = ROLE_SIEVE, .account = str_z(a->name), .tag = a->sieving->tag);
    }
    struct sieving *s = a->sieving;
    s->asks[s->n++] = (struct ask){.client = client,
                                   .req = q->req,
                                   .verb = q->verb,
                                   .name = mem_dup_n(q->name.p, q->name.n),
                                   .to = mem_dup_n(q->to.p, q->to.n),
                                   .name_n = q->name.n,
                                   .to_n = q->to.n,
                                   .fd = fd};
    next_ask(a);
}

/* ---- What its login needs ----------------------------------------------------------------------- */
static bool screen_there(const struct server *srv)
{
    for (size_t i = 0; i < srv->nclients; i++)
        if (srv->clients[i]->screen)
            return true;
    return false;
}

static void ask_secret(struct acct *a, const struct m_SECRET_ASK *q)
{
    struct sieving *s = a->sieving;
    s->secret_tag = server_id(a->srv);
    s->need = q->need;
    acct_command(a, SERVICE_SIEVE, s->secret_tag);
    SPAWN(a->srv, SECRET_GET, .account = str_z(a->name), .service = SERVICE_SIEVE, .tag = s->secret_tag,
          .need = q->need, .refused = q->refused);
}

bool sieve_secret(struct acct *a, uint64_t tag, int fd, enum err_kind kind, struct str text)
{
    struct sieving *s = a->sieving;
    char why[400];
    if (!s || (tag ? tag != s->secret_tag : !s->waits_user))
        return false;
    s->secret_tag = 0;
    if (fd >= 0) {
        s->waits_user = false;
        PEER_SEND(s->peer, fd, SECRET, .service = SERVICE_SIEVE, .need = s->need);
        close(fd);
    } else if (text.n == 0 && s->need == NEED_LOGIN && screen_there(a->srv)) {
        s->waits_user = true;
        BROADCAST(a->srv, SECRET_WANTED, .account = str_z(a->name), .service = SERVICE_SIEVE);
    } else {
        snprintf(why, sizeof why, "%s",
                 text.n ? clean_line(text) : "no password without a person; set password-command");
        ended(a, kind && kind < ERR_COUNT ? kind : ERR_SECRET, why);
    }
    return true;
}

/* ---- The program -------------------------------------------------------------------------------- */
static void sieve_message(void *arg, struct msg *m)
{
    struct acct *a = arg;
    struct sieving *s = a->sieving;
    if (s && m->kind == MSG_READY) {
        s->ready = true;
        next_ask(a);
    } else if (s && m->kind == MSG_SECRET_ASK && m->u.SECRET_ASK.service == SERVICE_SIEVE) {
        ask_secret(a, &m->u.SECRET_ASK);
    } else if (s && m->kind == MSG_SIEVE_DONE && s->busy) {
        const struct m_SIEVE_DONE *d = &m->u.SIEVE_DONE;
        enum err_kind kind = d->kind < ERR_COUNT ? (enum err_kind)d->kind : ERR_CHANNEL;
        char text[400];
        snprintf(text, sizeof text, "%s", acct_command_why(a, SERVICE_SIEVE, kind, clean_line(d->text)));
        answer(a, kind, str_z(text), d->warned != 0, d->said);
        next_ask(a);
    } else if (s) {
        acct_note(a, 2, ERR_CHANNEL, "the sieve program said %s out of turn and was ended", msg_name(m->kind));
        ended(a, ERR_CHANNEL, "the sieve program failed");
    }
    if (m->fd >= 0)
        close(m->fd);
}

/* After a minute without work it ends by itself. A request that came at that moment finds another one. */
static void sieve_gone(void *arg, const struct err *err)
{
    struct acct *a = arg;
    struct sieving *s = a->sieving;
    (void)err;
    if (s && s->n > 0 && !s->busy && s->ready) {
        peer_free(&s->peer);
        s->ready = false;
        s->tag = server_id(a->srv);
        SPAWN(a->srv, START, .role = ROLE_SIEVE, .account = str_z(a->name), .tag = s->tag);
        return;
    }
    ended(a, ERR_CHANNEL, "the sieve program ended before it could say");
}

static const struct peer_ops sieve_ops = {.message = sieve_message, .gone = sieve_gone};

void sieve_started(struct acct *a, uint64_t tag, int fd)
{
    if (!a->sieving || a->sieving->tag != tag || a->sieving->peer) {
        close(fd);
        return;
    }
    a->sieving->peer = peer_new(a->srv->loop, fd, ROLE_SIEVE, &sieve_ops, a);
}

void sieve_moved(struct acct *a)
{
    ended(a, ERR_CANCELED, "the server of the scripts is another one now");
}

bool sieve_exited(struct acct *a, uint64_t tag, struct str text)
{
    (void)text;
    if (!a->sieving || a->sieving->tag != tag)
        return false;
    /* With a channel, what it said last is still to be read there; its end tells. */
    if (!a->sieving->peer) {
        a->sieving->tag = 0;
        ended(a, ERR_CHANNEL, "the sieve program could not be started");
    }
    return true;
}

void sieve_free(struct acct *a)
{
    ended(a, ERR_CHANNEL, "the store ends");
}
