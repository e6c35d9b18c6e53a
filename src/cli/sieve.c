/* tuimail sieve: the scripts on an account's server. */
#include "cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include "client/client.h"
#include "client/script.h"

#define ANSWER_MS (5 * 60 * 1000)
#define SCRIPT_MAX (1u << 20)

/* One row a word: how many words may follow the account, and what they are. */
enum takes { TAKES_NOTHING, TAKES_FILE /* the last word: read from, or standard input */, GIVES_FILE, GIVES_LIST };
static const struct verb {
    const char *name;
    enum sieve_verb verb;
    enum takes takes;
    int min, max; /* words after ACCOUNT */
    const char *args;
} verbs[] = {
    {"list", SIEVE_LIST, GIVES_LIST, 0, 0, "ACCOUNT"},
    {"get", SIEVE_GET, GIVES_FILE, 1, 2, "ACCOUNT NAME [FILE]"},
    {"put", SIEVE_PUT, TAKES_FILE, 1, 2, "ACCOUNT NAME [FILE]"},
    {"check", SIEVE_CHECK, TAKES_FILE, 0, 1, "ACCOUNT [FILE]"},
    {"activate", SIEVE_ACTIVATE, TAKES_NOTHING, 1, 1, "ACCOUNT NAME"},
    {"deactivate", SIEVE_ACTIVATE, TAKES_NOTHING, 0, 0, "ACCOUNT"},
    {"delete", SIEVE_DELETE, TAKES_NOTHING, 1, 1, "ACCOUNT NAME"},
    {"rename", SIEVE_RENAME, TAKES_NOTHING, 2, 2, "ACCOUNT NAME NEW-NAME"},
};

static const struct verb *find_verb(const struct cli *cli, struct err *err)
{
    const char *names[COUNT(verbs) + 1] = {NULL};
    for (size_t i = 0; i < COUNT(verbs); i++) {
        names[i] = verbs[i].name;
        if (cli->argc > 0 && strcmp(cli->argv[0], verbs[i].name) == 0) {
            if (cli->argc - 2 >= verbs[i].min && cli->argc - 2 <= verbs[i].max)
                return &verbs[i];
            err_set(err, ERR_USAGE, "tuimail sieve %s %s", verbs[i].name, verbs[i].args);
            return NULL;
        }
    }
    const char *near = cli->argc > 0 ? near_word(cli->argv[0], names) : NULL;
    if (near)
        err_set(err, ERR_USAGE, "sieve %.60s: unknown; did you mean \"%s\"?", cli->argv[0], near);
    else
        err_set(err, ERR_USAGE, "sieve needs one of list, get, put, check, activate, deactivate, delete, rename");
    return NULL;
}

static bool read_script(const char *path, struct buf *text, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return fs_read_fd(STDIN_FILENO, SCRIPT_MAX, text, err);
    return fs_read(path, SCRIPT_MAX, text, err);
}

static void put_list(struct str text, struct buf *out)
{
    struct str value;
    char kind;
    while (script_next(&text, &kind, &value)) {
        if (kind == '=')
            continue;
        buf_addf(out, "%c ", kind == '+' ? '*' : ' ');
        out_text(out, value);
        buf_addc(out, '\n');
    }
}

/* What the server said, line by line, for the person. */
static void put_said(struct str said)
{
    struct str line;
    while (str_split(&said, '\n', &line)) {
        struct buf clean = BUF_INIT(4000);
        out_text(&clean, line);
        if (clean.n > 0)
            fprintf(stderr, "%s\n", buf_z(&clean));
        buf_fini(&clean);
    }
}

static bool ask(struct client *c, const struct m_SIEVE *q, int fd, struct err *err)
{
    struct msg m;
    if (!SEND(c->chan, fd, err, SIEVE, .req = 1, .account = q->account, .verb = q->verb, .name = q->name, .to = q->to))
        return false;
    int got = client_wait(c, MSG_SIEVE_DONE, 1, clock_mono_ms() + ANSWER_MS, NULL, NULL, &m, err);
    if (got <= 0)
        return err->kind != ERR_NONE ? false : err_set(err, ERR_TIMEOUT, "the store did not answer");
    const struct m_SIEVE_DONE *d = &m.u.SIEVE_DONE;
    bool compiles = q->verb == SIEVE_PUT || q->verb == SIEVE_CHECK;
    if (d->kind == ERR_NONE) {
        if (d->warned)
            put_said(d->said);
        return true;
    }
    if (compiles && d->kind == ERR_SERVER_NO && d->said.n > 0) {
        put_said(d->said);
        return err_set(err, ERR_PARSE, "the server does not take the script");
    }
    return err_set(err, (enum err_kind)MIN(d->kind, (uint32_t)ERR_COUNT - 1), "%.*s", STR_FMT(d->text));
}

static bool give(const struct verb *v, const char *path, struct buf *text, struct err *err)
{
    struct buf out = BUF_INIT(2 * SCRIPT_TEXT_MAX);
    bool ok = true;
    if (v->takes == GIVES_LIST)
        put_list(buf_str(text), &out);
    else if (v->takes == GIVES_FILE && strcmp(path, "-") != 0)
        ok = fs_write_atomic(path, 0600, buf_str(text), err);
    else if (v->takes == GIVES_FILE)
        buf_adds(&out, buf_str(text));
    ok = ok && (out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output"));
    buf_fini(&out);
    return ok;
}

int sieve_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(SCRIPT_TEXT_MAX);
    struct client *client = NULL;
    const struct account *a = NULL;
    int fd = -1;
    bool ok = cli_options(cli, NULL, 0, &err);
    const struct verb *v = ok ? find_verb(cli, &err) : NULL;
    ok = v && (a = cli_account(cli, cli->argv[1], &err)) != NULL;
    if (ok && a->sieve.proto != PROTO_SIEVE)
        ok = err_set(&err, ERR_CONFIG, "account %s has no server of scripts: set -a %s sieve sieve://HOST", a->name,
                     a->name);
    char **words = ok ? cli->argv + 2 : NULL;
    bool has_file = v && (v->takes == TAKES_FILE || v->takes == GIVES_FILE);
    const char *path = ok && has_file && cli->argc - 2 == v->max ? words[v->max - 1] : "-";
    const char *name = ok && v->min > 0 ? words[0] : "";
    ok =
        ok && (v->takes != TAKES_FILE || read_script(path, &text, &err)) && (fd = script_fd(buf_str(&text), &err)) >= 0;
    if (ok) {
        const struct client_args args = {
            .config = cli->config, .root = cli->root, .program = "sieve", .offline = cli->offline};
        client = client_connect(&args, &err);
        ok = client && ask(client,
                           &(struct m_SIEVE){.account = str_z(a->name),
                                             .verb = (uint8_t)v->verb,
                                             .name = str_z(name),
                                             .to = str_z(v->verb == SIEVE_RENAME ? words[1] : "")},
                           fd, &err);
    }
    if (ok && v->takes >= GIVES_FILE)
        ok = script_text(fd, &text, &err) && give(v, path, &text, &err);
    client_close(&client);
    if (fd >= 0)
        close(fd);
    buf_fini(&text);
    return ok ? 0 : cli_fail(&err);
}
