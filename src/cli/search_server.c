/* tuimail search --server: what the servers find beside what is here, through the store. */
#include "cli/cli.h"

#include <unistd.h>

#include "client/client.h"
#include "store/read.h"

#define ANSWER_MS (15 * 60 * 1000) /* without an index of words a server reads every mail */
#define INDEX_MS 30000             /* for new rows to be in the index, where the rest of the query is compared here */
#define CHUNK 4000                 /* ids in one question: they fill its field */

struct asking {
    const struct cli *cli;
    const struct question *question;
    struct str_set *found;
    struct buf *msgs; /* packed ids, of each account of tuimailrc */
    struct buf rest;  /* what is left to be compared here */
    uint32_t pending; /* messages that the index waits for */
    size_t waits;     /* accounts that have not ended */
    struct err err;
    hit_fn *fn;
    void *arg;
};

/* ---- Each message once -------------------------------------------------------------------------- */
bool found_add(struct str_set *found, struct str account, uint64_t msg, struct str msgid)
{
    struct buf key = BUF_INIT(1024);
    if (msgid.n)
        buf_adds(&key, msgid);
    else
        buf_addf(&key, " %.*s %llu", STR_FMT(account), (unsigned long long)msg);
    bool fresh = str_set_add(found, str_z(buf_z(&key)), NULL);
    buf_fini(&key);
    return fresh;
}

/* ---- Asking the store --------------------------------------------------------------------------- */
static void tell_lines(const char *account, const char *before, struct str lines, const char *behind)
{
    struct str one;
    while (str_split(&lines, '\n', &one)) {
        struct buf clean = BUF_INIT(400);
        if (one.n) {
            out_text(&clean, one);
            fprintf(stderr, "tuimail: %s: %s%s%s\n", account, before, buf_z(&clean), behind);
        }
        buf_fini(&clean);
    }
}

static void on_done(struct asking *a, const struct m_SERVER_DONE *d)
{
    const struct account *acct = &a->cli->conf->accounts[d->req - 1];
    a->waits--;
    tell_lines(acct->name, "the server was not asked for \"", d->left, "\": it does not know that");
    tell_lines(acct->name, "the server takes \"", d->wider, "\" as \"and\"");
    if (d->more)
        fprintf(stderr, "tuimail: %s: %u more on the server, older than these\n", acct->name, d->more);
    if (!a->rest.n)
        buf_adds(&a->rest, d->rest);
    if (d->kind != ERR_NONE)
        err_set(&a->err, (enum err_kind)MIN(d->kind, (uint32_t)ERR_COUNT - 1), "%s: %.*s", acct->name,
                STR_FMT(d->text));
}

static void on_message(struct asking *a, struct msg *m)
{
    size_t n = a->cli->conf->naccounts;
    if (m->kind == MSG_SERVER_HITS && m->u.SERVER_HITS.req >= 1 && m->u.SERVER_HITS.req <= n) {
        buf_adds(&a->msgs[m->u.SERVER_HITS.req - 1], m->u.SERVER_HITS.msgs);
    } else if (m->kind == MSG_SERVER_DONE && m->u.SERVER_DONE.req >= 1 && m->u.SERVER_DONE.req <= n) {
        on_done(a, &m->u.SERVER_DONE);
    } else if (m->kind == MSG_REFUSED && m->u.REFUSED.req >= 1 && m->u.REFUSED.req <= n) {
        a->waits--;
        err_set(&a->err, (enum err_kind)MIN(m->u.REFUSED.kind, (uint32_t)ERR_COUNT - 1), "%s: %.*s",
                a->cli->conf->accounts[m->u.REFUSED.req - 1].name, STR_FMT(m->u.REFUSED.text));
    } else if (m->kind == MSG_INDEXED) {
        a->pending = m->u.INDEXED.pending;
    }
    if (m->fd >= 0)
        close(m->fd);
}

static bool wait_done(struct asking *a, struct client *client, struct err *err)
{
    int64_t until = clock_mono_ms() + ANSWER_MS, index_until = 0;
    while (a->waits > 0 || (a->rest.n && a->pending > 0)) {
        struct msg m;
        if (!a->waits && !index_until)
            index_until = clock_mono_ms() + INDEX_MS;
        int got = chan_wait(client->chan, index_until ? index_until : until, &m, err);
        if (got < 0)
            return err->kind != ERR_NONE ? false : err_set(err, ERR_CHANNEL, "the store ended");
        if (got == 0)
            return a->waits == 0 || err_set(err, ERR_TIMEOUT, "the server did not answer");
        on_message(a, &m);
    }
    return true;
}

/* ---- Rows --------------------------------------------------------------------------------------- */
static bool tell_row(struct asking *a, struct reader *reader, const char *account, uint64_t msg, struct err *err)
{
    struct msg_row row;
    struct buf tags = BUF_INIT(2048), from = BUF_INIT(1024);
    if (!reader_row(reader, msg, &row, err))
        return false;
    bool ok = true;
    if (row.id && found_add(a->found, str_z(account), msg, row.msgid)) {
        buf_addf(&from, row.from_name.n ? "%.*s <%.*s>" : "%.*s%.*s", STR_FMT(row.from_name), STR_FMT(row.from_addr));
        struct buf msgid = BUF_INIT(1024), subject = BUF_INIT(2048);
        buf_adds(&msgid, row.msgid); /* the row's text lives until the next call */
        buf_adds(&subject, row.subject);
        int64_t date = row.date;
        ok = reader_tags(reader, msg, &tags, err) && a->fn(a->arg,
                                                           &(struct m_HIT){.account = str_z(account),
                                                                           .msg = msg,
                                                                           .msgid = buf_str(&msgid),
                                                                           .date = date,
                                                                           .from = buf_str(&from),
                                                                           .subject = buf_str(&subject),
                                                                           .tags = buf_str(&tags)},
                                                           err);
        buf_fini(&msgid);
        buf_fini(&subject);
    }
    buf_fini(&tags);
    buf_fini(&from);
    return ok;
}

struct kept {
    struct buf msgs;
};

static bool keep(void *arg, const struct m_HIT *h, struct err *err)
{
    struct kept *k = arg;
    (void)err;
    ipc_ids_add(&k->msgs, h->msg);
    return true;
}

/* What the server was not asked is compared here. */
static bool narrow(struct asking *a, struct chan *search, size_t i, struct err *err)
{
    struct kept k = {BUF_INIT(a->msgs[i].max)};
    struct str all = buf_str(&a->msgs[i]);
    bool ok = true;
    for (size_t at = 0; ok && at < all.n; at += 8 * CHUNK) {
        struct question q = {.query = buf_z(&a->rest),
                             .account = a->cli->conf->accounts[i].name,
                             .msgs = str_sub(all, at, MIN(all.n, at + 8 * CHUNK))};
        ok = search_ask(search, &q, keep, &k, err);
    }
    buf_fini(&a->msgs[i]);
    a->msgs[i] = k.msgs;
    return ok;
}

static bool tell_all(struct asking *a, struct chan *search, struct err *err)
{
    char *state = cli_state(a->cli->conf, a->cli->root);
    bool ok = true;
    for (size_t i = 0; ok && i < a->cli->conf->naccounts; i++) {
        if (!a->msgs[i].n || (a->rest.n && !narrow(a, search, i, err)) || !a->msgs[i].n) {
            ok = err->kind == ERR_NONE;
            continue;
        }
        const char *name = a->cli->conf->accounts[i].name;
        struct reader *reader = reader_open(state, name, err);
        ok = reader != NULL;
        for (size_t k = 0; ok && k < ipc_ids_count(buf_str(&a->msgs[i])); k++)
            ok = tell_row(a, reader, name, ipc_ids_at(buf_str(&a->msgs[i]), k), err);
        if (reader)
            reader_close(&reader);
    }
    free(state);
    return ok;
}

bool search_servers(const struct cli *cli, const struct question *q, struct chan *search, struct str_set *found,
                    hit_fn *fn, void *arg, struct err *err)
{
    size_t n = cli->conf->naccounts;
    struct asking a = {.cli = cli,
                       .question = q,
                       .found = found,
                       .msgs = mem_array(n + 1, sizeof *a.msgs),
                       .rest = BUF_INIT(16384),
                       .err = ERR_INIT,
                       .fn = fn,
                       .arg = arg};
    struct client *client = client_connect(
        &(struct client_args){
            .config = cli->config, .root = cli->root, .offline = cli->offline, .program = "search", .aside = false},
        err);
    bool ok = client != NULL, any = false;
    for (size_t i = 0; i < n; i++)
        a.msgs[i] = BUF_INIT(1u << 24);
    for (size_t i = 0; ok && i < n; i++) {
        const struct account *acct = &cli->conf->accounts[i];
        if (acct->in.proto != PROTO_IMAP || (q->account[0] && strcmp(q->account, acct->name) != 0))
            continue;
        any = true;
        a.waits++;
        ok = SEND(client->chan, -1, err, SERVER_SEARCH, .req = (uint32_t)i + 1, .account = str_z(acct->name),
                  .query = str_z(q->query), .fuzzy = cli->conf->server_fuzzy);
    }
    if (ok && !any)
        ok = err_set(err, ERR_USAGE, "no account here has a server that can be asked: all mail is on this machine");
    ok = ok && wait_done(&a, client, err) && tell_all(&a, search, err);
    if (ok && a.err.kind != ERR_NONE) {
        *err = a.err;
        ok = false;
    }
    client_close(&client);
    for (size_t i = 0; i < n; i++)
        buf_fini(&a.msgs[i]);
    free(a.msgs);
    buf_fini(&a.rest);
    return ok;
}
