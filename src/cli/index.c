/* tuimail index: how far the search index is; building it anew; holding it. */
#include "cli/cli.h"

#include "client/client.h"

#include <signal.h>
#include <unistd.h>

#define SAY_MS 1000
#define TROUBLE_MS 60000 /* nothing moves for so long */

struct watching {
    int64_t since, said;
    uint32_t first, left;
    bool begun, tty;
};

static void say(struct watching *w, uint32_t left)
{
    int64_t now = clock_mono_ms(), ms = now - w->since;
    if (!w->tty || now - w->said < SAY_MS)
        return;
    w->said = now;
    uint64_t done = w->first > left ? w->first - left : 0, rate = ms > 0 ? done * 1000 / (uint64_t)ms : 0;
    fprintf(stderr, "\r%u messages left, %llu/s \x1b[K", left, (unsigned long long)rate);
}

/* Until nothing waits; what is wrong comes as a NOTE. */
static bool wait_done(struct client *c, struct watching *w, struct err *err)
{
    struct msg m;
    for (;;) {
        int got = chan_wait(c->chan, clock_mono_ms() + TROUBLE_MS, &m, err);
        if (got <= 0)
            return err->kind != ERR_NONE
                       ? false
                       : err_set(err, ERR_TIMEOUT, "the index does not get on; it is tried again while tuimail runs");
        if (m.fd >= 0)
            close(m.fd);
        if (m.kind == MSG_NOTE && m.u.NOTE.account.n == 0 && m.u.NOTE.kind == ERR_NONE)
            fprintf(stderr, "tuimail: %.*s\n", STR_FMT(m.u.NOTE.text));
        else if (m.kind == MSG_NOTE && m.u.NOTE.account.n == 0)
            return err_set(err, (enum err_kind)MIN(m.u.NOTE.kind, (uint32_t)ERR_COUNT - 1), "%.*s",
                           STR_FMT(m.u.NOTE.text));
        if (m.kind != MSG_INDEXED)
            continue;
        w->left = m.u.INDEXED.pending;
        w->first = MAX(w->first, w->left);
        w->begun = w->begun || !m.u.INDEXED.rebuilds;
        say(w, w->left);
        if (w->begun && w->left == 0)
            return true;
    }
}

static bool tell(struct client *c, enum reindex what, struct err *err)
{
    struct msg m;
    if (!SEND(c->chan, -1, err, REINDEX, .req = 1, .what = (uint8_t)what))
        return false;
    int got = client_wait(c, MSG_INTENT_OK, 1, clock_mono_ms() + CLIENT_START_MS, NULL, NULL, &m, err);
    return got > 0 || (got == 0 && err_set(err, ERR_TIMEOUT, "the store does not answer"));
}

int index_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    bool rebuild = false, hold = false, go_on = false;
    const struct cli_opt opts[] = {{"--rebuild", NULL, &rebuild}, {"--hold", NULL, &hold}, {"--resume", NULL, &go_on}};
    const struct client_args args = {.config = cli->config, .root = cli->root, .program = "index", .offline = true};
    struct watching w = {.since = clock_mono_ms(), .tty = isatty(STDERR_FILENO)};
    bool ok = cli_options(cli, opts, COUNT(opts), &err);
    if (ok && (cli->argc > 0 || rebuild + hold + go_on > 1))
        ok = err_set(&err, ERR_USAGE, "write: tuimail index, or one of --rebuild, --hold and --resume with it");
    if (ok && hold && !client_running(&args))
        ok = err_set(&err, ERR_USAGE, "nothing runs that could be held");
    struct client *c = ok ? client_connect(&args, &err) : NULL;
    ok = c != NULL &&
         tell(c,
              rebuild ? REINDEX_REBUILD
              : hold  ? REINDEX_HOLD
                      : REINDEX_GO_ON,
              &err) &&
         (hold || wait_done(c, &w, &err));
    if (w.said > 0)
        fputs("\r\x1b[K", stderr);
    client_close(&c);
    if (ok && !hold)
        printf(rebuild ? "the index is built anew\n" : "the index is complete\n");
    return ok ? 0 : cli_fail(&err);
}
