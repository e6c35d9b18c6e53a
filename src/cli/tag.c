/* tuimail tag: tags of all mail that a query finds, by the store, as the key of the screen does it. */
#include "cli/cli.h"

#include <unistd.h>

#include "client/client.h"
#include "mail/row.h"
#include "mail/tag.h"
#include "store/read.h"

#define ANSWER_MS (5 * 60 * 1000)
#define FOUND_MS (10 * 1000)
#define BATCH_MAX (64u << 20)
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

struct changes {
    struct buf tags; /* "+x -y" */
    uint32_t set, clear;
};
struct tagging {
    struct cli *cli;
    struct client *client;
    struct buf *msgs; /* packed ids, of each account of tuimailrc, */
    struct reader **readers;
    bool whole; /* no account was named: copies of other accounts lose a tag with it */
    struct changes to;
    bool *changed; /* of each account */
    uint32_t req, count;
    uint64_t deed; /* all of it is one step of undo */
};

static bool take_word(struct changes *c, struct str word, struct err *err)
{
    bool add = word.p[0] == '+';
    struct str tag = str_sub(word, 1, word.n);
    if (!tag.n)
        return err_set(err, ERR_USAGE, "a tag is missing behind %c", word.p[0]);
    for (size_t i = 0; i < COUNT(flag_tags); i++)
        if (str_eqz(tag, flag_tags[i].tag)) {
            *(add != flag_tags[i].opposite ? &c->set : &c->clear) |= flag_tags[i].flag;
            return true;
        }
    buf_addz(&c->tags, c->tags.n ? " " : "");
    tag_to_word(word, &c->tags);
    return !c->tags.full || err_set(err, ERR_LIMIT, "too many tags at once");
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
            ok = take_word(&t->to, str_z(word), err);
        else if (word[0] == '-' || (kept && strcmp(cli->argv[kept - 1], "--account") == 0))
            cli->argv[kept++] = cli->argv[i];
        else
            break;
    }
    while (i < cli->argc)
        cli->argv[kept++] = cli->argv[i++];
    cli->argc = kept;
    return ok;
}

static bool request(struct tagging *t, size_t account, uint8_t kind, struct str arg, uint32_t *count, struct err *err)
{
    struct msg m;
    if (!SEND(t->client->chan, -1, err, INTENT, .req = ++t->req, .account = str_z(t->cli->conf->accounts[account].name),
              .kind = kind, .msgs = buf_str(&t->msgs[account]), .flags = kind == INTENT_FLAGS ? t->to.set : 0,
              .arg = arg, .deed = t->deed))
        return false;
    int got = client_wait(t->client, MSG_INTENT_OK, t->req, clock_mono_ms() + ANSWER_MS, NULL, NULL, &m, err);
    if (got == 0)
        err_set(err, ERR_TIMEOUT, "the store did not answer");
    if (got > 0)
        *count = MAX(*count, m.u.INTENT_OK.count);
    return got > 0;
}

/* What has come together for an account. */
static bool change(struct tagging *t, size_t account, struct err *err)
{
    char clear[4];
    uint32_t count = 0;
    for (unsigned i = 0; i < sizeof clear; i++)
        clear[i] = (char)(t->to.clear >> 8 * i);
    bool ok = (!(t->to.set | t->to.clear) ||
               request(t, account, INTENT_FLAGS, (struct str){clear, sizeof clear}, &count, err)) &&
              (!t->to.tags.n || request(t, account, INTENT_TAGS, buf_str(&t->to.tags), &count, err));
    t->count += count;
    t->changed[account] = t->changed[account] || count > 0;
    buf_reset(&t->msgs[account]);
    return ok;
}

static bool add_msg(struct tagging *t, size_t account, uint64_t msg, struct err *err)
{
    ipc_ids_add(&t->msgs[account], msg);
    return ipc_ids_count(buf_str(&t->msgs[account])) < CHUNK || change(t, account, err);
}

static void copy_found(void *arg, const struct msg_row *row)
{
    *(uint64_t *)arg = row->id;
}

/* Its copies in other accounts that have a tag which goes: found is what any copy has. */
static bool add_copies(struct tagging *t, size_t account, uint64_t msg, struct err *err)
{
    struct msg_row row = {.id = 0};
    bool ok = true;
    if (!t->whole || !t->readers[account] || !memchr(t->to.tags.p ? t->to.tags.p : "", '-', t->to.tags.n))
        return true;
    ok = reader_row(t->readers[account], msg, &row, err);
    for (size_t i = 0; ok && row.id && i < t->cli->conf->naccounts; i++) {
        uint64_t copy = 0;
        if (i == account || !t->readers[i])
            continue;
        ok = reader_find_tagged(t->readers[i], &row, buf_str(&t->to.tags), copy_found, &copy, err) &&
             (!copy || add_msg(t, i, copy, err));
    }
    return ok;
}

static bool add_hit(void *arg, const struct m_HIT *h, struct err *err)
{
    struct tagging *t = arg;
    for (size_t i = 0; h->msg && i < t->cli->conf->naccounts; i++)
        if (str_eqz(h->account, t->cli->conf->accounts[i].name))
            return add_copies(t, i, h->msg, err) && add_msg(t, i, h->msg, err);
    return true; /* a file of another program */
}

/* Changes all that the query finds. */
static bool one(struct tagging *t, struct chan *search, const struct question *q, struct err *err)
{
    bool ok = search_ask(search, q, add_hit, t, err);
    for (size_t i = 0; i < t->cli->conf->naccounts; i++) {
        ok = ok && (!t->msgs[i].n || change(t, i, err));
        buf_reset(&t->msgs[i]);
    }
    return ok;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* "%20" is a blank, as notmuch writes it. */
static void unescape(struct str word, struct buf *out)
{
    for (size_t i = 0; i < word.n; i++) {
        int high = word.p[i] == '%' && i + 2 < word.n ? hex(word.p[i + 1]) : -1,
            low = high >= 0 ? hex(word.p[i + 2]) : -1;
        buf_addc(out, (char)(low >= 0 ? high << 4 | low : word.p[i]));
        i += low >= 0 ? 2 : 0;
    }
}

/* "+x -y -- QUERY", or "+x QUERY". */
static bool take_line(struct tagging *t, struct str line, struct str *query_r, struct err *err)
{
    struct str rest = line, word;
    bool ok = true;
    buf_reset(&t->to.tags);
    t->to.set = t->to.clear = 0;
    while (ok) {
        struct str before = str_trim(rest);
        rest = before;
        if (!before.n || !str_split(&rest, ' ', &word))
            word = STR("");
        if (word.n > 1 && (word.p[0] == '+' || (word.p[0] == '-' && word.p[1] != '-'))) {
            struct buf plain = BUF_INIT(1000);
            unescape(word, &plain);
            ok = take_word(&t->to, buf_str(&plain), err);
            buf_fini(&plain);
            continue;
        }
        *query_r = str_eqz(word, "--") ? str_trim(rest) : before;
        break;
    }
    if (ok && !t->to.tags.n && !t->to.set && !t->to.clear)
        ok = err_set(err, ERR_USAGE, "no tag: write +TAG -TAG -- QUERY");
    return ok && (query_r->n || err_set(err, ERR_USAGE, "the query is missing; \"*\" finds all"));
}

/* A line, a change: as notmuch tag --batch takes it and notmuch dump writes it. */
static bool lines(struct tagging *t, struct chan *search, struct question *q, struct err *err)
{
    struct buf all = BUF_INIT(BATCH_MAX);
    bool ok = fs_read_fd(STDIN_FILENO, BATCH_MAX - 1, &all, err);
    struct str rest = buf_str(&all), line, query = STR("");
    for (unsigned n = 1; ok && rest.n && str_split(&rest, '\n', &line); n++) {
        line = str_trim(line);
        if (!line.n || line.p[0] == '#')
            continue;
        ok = take_line(t, line, &query, err);
        char *z = ok ? mem_dup_n(query.p, query.n) : NULL;
        q->query = z;
        ok = ok && one(t, search, q, err);
        if (!ok)
            err_prefix(err, "line %u", n);
        free(z);
    }
    buf_fini(&all);
    return ok;
}

/* The next command of a script finds them by their new tags. */
static void wait_found(struct tagging *t)
{
    int64_t until = clock_mono_ms() + FOUND_MS;
    bool found = true;
    for (size_t i = 0; found && i < t->cli->conf->naccounts; i++) {
        struct err untold = ERR_INIT;
        struct msg m;
        found = !t->changed[i] || (SEND(t->client->chan, -1, &untold, SETTLE, .req = ++t->req,
                                        .account = str_z(t->cli->conf->accounts[i].name), .index = SETTLE_TAGS) &&
                                   client_wait(t->client, MSG_INTENT_OK, t->req, until, NULL, NULL, &m, &untold) > 0);
    }
    if (!found)
        fputs("tuimail: the search index is busy: a search finds them by their new tags later\n", stderr);
}

static bool run(struct tagging *t, struct question *q, bool batch, struct err *err)
{
    const struct cli *cli = t->cli;
    const struct client_args args = {
        .config = cli->config, .root = cli->root, .program = "tag", .offline = cli->offline};
    struct open_role h = {.pid = 0};
    size_t n = cli->conf->naccounts;
    char *state = cli_state(cli->conf, cli->root);
    t->msgs = mem_array(n + 1, sizeof *t->msgs);
    t->changed = mem_array(n + 1, sizeof *t->changed);
    t->readers = mem_array(n + 1, sizeof *t->readers);
    t->whole = n > 1 && !q->account[0];
    t->client = client_connect(&args, err);
    for (size_t i = 0; i < n; i++) {
        struct err ignored = ERR_INIT;
        buf_init(&t->msgs[i], 32768);
        t->readers[i] = t->client && t->whole ? reader_open(state, cli->conf->accounts[i].name, &ignored) : NULL;
    }
    bool ok = t->client && role_open(cli, ROLE_SEARCH, NULL, &h, err) &&
              (batch ? lines(t, h.chan, q, err) : one(t, h.chan, q, err));
    if (t->client)
        wait_found(t);
    for (size_t i = 0; i < n; i++) {
        buf_fini(&t->msgs[i]);
        reader_close(&t->readers[i]);
    }
    free(state);
    free(t->readers);
    free(t->msgs);
    free(t->changed);
    role_close(&h);
    client_close(&t->client);
    return ok;
}

int tag_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct tagging t = {.cli = cli, .to = {.tags = BUF_INIT(1000)}};
    struct question q = {.account = ""};
    bool batch = false;
    const struct cli_opt opts[] = {{"--account", &q.account, NULL}, {"--batch", NULL, &batch}};
    struct buf query = BUF_INIT(8192);
    while (!t.deed)
        fs_random(&t.deed, sizeof t.deed);
    bool ok = take_tags(&t, &err) && cli_options(cli, opts, COUNT(opts), &err) &&
              (!q.account[0] || cli_account(cli, q.account, &err));
    bool any = t.to.tags.n || t.to.set || t.to.clear;
    if (ok && batch && (any || cli->argc > 0))
        ok = err_set(&err, ERR_USAGE, "--batch reads tags and queries from standard input");
    else if (ok && !batch)
        ok = (any || err_set(&err, ERR_USAGE, "write: tuimail tag +TAG -TAG -- QUERY")) && cli_query(cli, &query, &err);
    q.query = buf_z(&query);
    ok = ok && run(&t, &q, batch, &err);
    if (ok || t.count)
        printf("%u message%s changed%s\n", t.count, t.count == 1 ? "" : "s",
               t.count ? "; the key for undo takes it back" : "");
    buf_fini(&query);
    buf_fini(&t.to.tags);
    return ok ? 0 : cli_fail(&err);
}
