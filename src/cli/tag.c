/* tuimail tag: tags of all mail that a query finds, by the store, as the key of the screen does it. */
#include "cli/cli.h"

#include "client/client.h"
#include "mail/row.h"
#include "mail/tag.h"

#define ANSWER_MS (5 * 60 * 1000)
#define CHUNK 4000 /* messages in one request: their ids fill its field */

/* Tags that are flags of the message: those are changed. */
static const struct {
    const char *tag;
    uint32_t flag;
    bool opposite;
} flag_tags[] = {{"unread", FLAG_SEEN, true},
                 {"flagged", FLAG_FLAGGED, false},
                 {"replied", FLAG_ANSWERED, false},
                 {"passed", FLAG_FORWARDED, false}};

struct tagging {
    struct cli *cli;
    struct client *client;
    struct buf *msgs; /* packed ids, of each account of tuimailrc */
    struct buf tags;  /* "+x -y" */
    uint32_t set, clear;
    uint32_t req, steps, count;
};

static bool take_word(struct tagging *t, const char *word, struct err *err)
{
    bool add = word[0] == '+';
    if (!word[1])
        return err_set(err, ERR_USAGE, "a tag is missing behind %s", word);
    for (size_t i = 0; i < COUNT(flag_tags); i++)
        if (strcmp(word + 1, flag_tags[i].tag) == 0) {
            *(add != flag_tags[i].opposite ? &t->set : &t->clear) |= flag_tags[i].flag;
            return true;
        }
    buf_addz(&t->tags, t->tags.n ? " " : "");
    tag_to_word(str_z(word), &t->tags);
    return !t->tags.full || err_set(err, ERR_LIMIT, "too many tags at once");
}

/* Takes the tags out of the words before "--" or the query's first word: -x is a tag, --x an option. */
static bool take_tags(struct tagging *t, struct err *err)
{
    struct cli *cli = t->cli;
    int kept = 0, i = 0;
    bool ok = true;
    for (; ok && i < cli->argc && strcmp(cli->argv[i], "--") != 0; i++) {
        const char *word = cli->argv[i];
        if (word[0] == '+' || (word[0] == '-' && word[1] != '-'))
            ok = take_word(t, word, err);
        else if (word[0] == '-' || (kept && strcmp(cli->argv[kept - 1], "--account") == 0))
            cli->argv[kept++] = cli->argv[i];
        else
            break;
    }
    while (i < cli->argc)
        cli->argv[kept++] = cli->argv[i++];
    cli->argc = kept;
    return ok && (t->tags.n || t->set || t->clear || err_set(err, ERR_USAGE, "write: tuimail tag +TAG -TAG -- QUERY"));
}

static bool request(struct tagging *t, size_t account, uint8_t kind, struct str arg, uint32_t *count, struct err *err)
{
    struct msg m;
    if (!SEND(t->client->chan, -1, err, INTENT, .req = ++t->req, .account = str_z(t->cli->conf->accounts[account].name),
              .kind = kind, .msgs = buf_str(&t->msgs[account]), .flags = kind == INTENT_FLAGS ? t->set : 0, .arg = arg))
        return false;
    int got = client_wait(t->client, MSG_INTENT_OK, t->req, clock_mono_ms() + ANSWER_MS, NULL, NULL, &m, err);
    if (got == 0)
        err_set(err, ERR_TIMEOUT, "the store did not answer");
    if (got > 0) {
        *count = MAX(*count, m.u.INTENT_OK.count);
        t->steps += m.u.INTENT_OK.count > 0;
    }
    return got > 0;
}

/* What has come together for an account. */
static bool change(struct tagging *t, size_t account, struct err *err)
{
    char clear[4];
    uint32_t count = 0;
    for (unsigned i = 0; i < sizeof clear; i++)
        clear[i] = (char)(t->clear >> 8 * i);
    bool ok =
        (!(t->set | t->clear) || request(t, account, INTENT_FLAGS, (struct str){clear, sizeof clear}, &count, err)) &&
        (!t->tags.n || request(t, account, INTENT_TAGS, buf_str(&t->tags), &count, err));
    t->count += count;
    buf_reset(&t->msgs[account]);
    return ok;
}

static bool add_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    struct tagging *t = arg;
    for (size_t i = 0; h->msg && i < t->cli->conf->naccounts; i++)
        if (str_eqz(h->account, t->cli->conf->accounts[i].name)) {
            ipc_ids_add(&t->msgs[i], h->msg);
            return ipc_ids_count(buf_str(&t->msgs[i])) < CHUNK || change(t, i, err);
        }
    return true; /* a file of another program */
}

static bool all(struct tagging *t, const struct question *q, struct err *err)
{
    const struct cli *cli = t->cli;
    const struct client_args args = {
        .config = cli->config, .root = cli->root, .program = "tag", .offline = cli->offline};
    struct open_role h = {.pid = 0};
    size_t n = cli->conf->naccounts;
    t->msgs = mem_array(n + 1, sizeof *t->msgs);
    for (size_t i = 0; i < n; i++)
        buf_init(&t->msgs[i], 32768);
    t->client = client_connect(&args, err);
    bool ok = t->client && role_open(cli, ROLE_SEARCH, NULL, &h, err) && search_ask(h.chan, q, add_hit, t, err);
    for (size_t i = 0; i < n; i++) {
        ok = ok && (!t->msgs[i].n || change(t, i, err));
        buf_fini(&t->msgs[i]);
    }
    free(t->msgs);
    role_close(&h);
    client_close(&t->client);
    return ok;
}

int tag_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct tagging t = {.cli = cli, .tags = BUF_INIT(1000)};
    struct question q = {.account = ""};
    const struct cli_opt opts[] = {{"--account", &q.account, NULL}};
    struct buf query = BUF_INIT(8192);
    bool ok = take_tags(&t, &err) && cli_options(cli, opts, COUNT(opts), &err) &&
              (!q.account[0] || cli_account(cli, q.account, &err)) && cli_query(cli, &query, &err);
    q.query = buf_z(&query);
    ok = ok && all(&t, &q, &err);
    if (ok)
        printf("%u message%s changed%s", t.count, t.count == 1 ? "" : "s",
               t.count ? "; the key for undo takes it back" : "");
    if (ok && t.steps > 1)
        printf(", in %u steps", t.steps);
    if (ok)
        puts("");
    buf_fini(&query);
    buf_fini(&t.tags);
    return ok ? 0 : cli_fail(&err);
}
