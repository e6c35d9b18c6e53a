/* tuimail queue: what was done here and waits for the server. */
#include "cli/cli.h"
#include "client/client.h"
#include "store/read.h"

#include <unistd.h>

#define SHOWN 100000

struct printing {
    struct buf *out;
    const char *root, *account;
    int64_t now;
    bool json, any;
};

static void put(struct printing *p, const char *kind, uint64_t id, const char *state, struct str words)
{
    if (p->json) {
        buf_addz(p->out, p->any ? ",\n " : "[");
        buf_addf(p->out,
                 "{\"account\": \"%s\", \"kind\": \"%s\", \"id\": %llu, \"state\": \"%s\", \"text\": ", p->account,
                 kind, (unsigned long long)id, state);
        out_json(p->out, words);
        buf_addc(p->out, '}');
    } else {
        buf_addf(p->out, "%s %s%llu  ", p->account, kind[0] == 'm' ? "m" : "", (unsigned long long)id);
        out_text(p->out, words);
        buf_addc(p->out, '\n');
    }
    p->any = true;
}

static void put_intent(void *arg, const struct queue_row *q)
{
    struct printing *p = arg;
    struct buf words = BUF_INIT(2000);
    queue_words(q, p->now, &words);
    put(p, "change", q->intent, "waits", buf_str(&words));
    buf_fini(&words);
}

static void put_mail(void *arg, const struct outbox_row *o)
{
    struct printing *p = arg;
    struct buf words = BUF_INIT(2000);
    if (outbox_waits(o) || outbox_unsent(o)) {
        char *draft = outbox_draft(p->root, p->account, o->id);
        outbox_words(o, &words);
        if (outbox_unsent(o) && access(draft, F_OK) == 0)
            buf_addz(&words, " (R in tuimail goes on with it)");
        put(p, "mail", o->id,
            o->state == OUTBOX_REFUSED   ? "refused"
            : o->state == OUTBOX_UNKNOWN ? "unknown"
                                         : "waits",
            buf_str(&words));
        free(draft);
    }
    buf_fini(&words);
}

static bool list(const struct cli *cli, bool json, struct err *err)
{
    struct buf out = BUF_INIT(64u << 20);
    const struct conf *conf = cli->conf;
    char *state = cli_state(cli->conf, cli->root);
    struct printing p = {.out = &out, .root = cli->root, .now = clock_wall(), .json = json};
    bool ok = true;
    for (size_t i = 0; ok && i < conf->naccounts; i++) {
        struct reader *r = reader_open(state, conf->accounts[i].name, err);
        p.account = conf->accounts[i].name;
        ok = r && reader_queue(r, SHOWN, put_intent, &p, err) && reader_outbox(r, put_mail, &p, err);
        reader_close(&r);
    }
    free(state);
    if (ok && json)
        buf_addz(&out, p.any ? "]\n" : "[]\n");
    ok = ok && (out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output"));
    buf_fini(&out);
    return ok;
}

static bool no_answer(struct err *err)
{
    return err_set(err, ERR_TIMEOUT, "the store did not answer");
}

static bool drop_mail(struct client *c, const char *account, uint64_t id, uint32_t req, struct err *err)
{
    int64_t until = clock_mono_ms() + CLIENT_START_MS;
    struct msg m;
    bool ok =
        SEND(c->chan, -1, err, OUTBOX_ACT, .req = req, .account = str_z(account), .out = id, .act = OUTBOX_ACT_CANCEL);
    for (int got; ok; ok = got > 0) {
        got = chan_wait(c->chan, until, &m, err);
        if (got > 0 && m.fd >= 0)
            close(m.fd);
        if (got > 0 && m.kind == MSG_OUTBOX && m.u.OUTBOX.out == id && str_eqz(m.u.OUTBOX.account, account) &&
            m.u.OUTBOX.state == OUTBOX_CANCELED)
            return true;
        if (got > 0 && m.kind == MSG_REFUSED && m.u.REFUSED.req == req)
            return err_set(err, (enum err_kind)MIN(m.u.REFUSED.kind, (uint32_t)ERR_COUNT - 1), "%.*s",
                           STR_FMT(m.u.REFUSED.text));
    }
    return err->kind == ERR_NONE ? no_answer(err) : false;
}

/* "12" is a change, "m3" a mail. */
static bool drop_one(struct client *c, const char *account, const char *word, uint32_t req, struct err *err)
{
    bool mail = word[0] == 'm';
    uint64_t id;
    struct msg m;
    if (!str_u64(str_z(word + mail), &id))
        return err_set(err, ERR_USAGE, "\"%.60s\" is no number of tuimail queue", word);
    if (mail)
        return drop_mail(c, account, id, req, err);
    if (!SEND(c->chan, -1, err, QUEUE_DROP, .req = req, .account = str_z(account), .intent = id))
        return false;
    int got = client_wait(c, MSG_INTENT_OK, req, clock_mono_ms() + CLIENT_START_MS, NULL, NULL, &m, err);
    return got > 0 || (got == 0 && no_answer(err));
}

int queue_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    bool json = false;
    const struct cli_opt opts[] = {{"--json", NULL, &json}};
    const struct client_args args = {
        .config = cli->config, .root = cli->root, .program = "queue", .offline = cli->offline};
    bool ok = cli_options(cli, opts, COUNT(opts), &err);
    if (ok && cli->argc == 0) {
        ok = list(cli, json, &err);
    } else if (ok && (cli->argc < 3 || strcmp(cli->argv[0], "drop") != 0)) {
        ok = err_set(&err, ERR_USAGE, "write: tuimail queue, or tuimail queue drop ACCOUNT NUMBER...");
    } else if (ok) {
        struct client *c = cli_account(cli, cli->argv[1], &err) ? client_connect(&args, &err) : NULL;
        ok = c != NULL;
        for (int i = 2; ok && i < cli->argc; i++)
            ok = drop_one(c, cli->argv[1], cli->argv[i], (uint32_t)i, &err);
        client_close(&c);
    }
    return ok ? 0 : cli_fail(&err);
}
