/* tuimail cmd: a command line for a tuimail that runs with a screen. */
#include "cli/cli.h"
#include "client/client.h"

/* Line for line, the columns apart by tabs, each clean. */
static void lines(struct buf *out, struct str text)
{
    struct str line, field;
    while (text.n && str_split(&text, '\n', &line)) {
        for (bool first = true; str_split(&line, '\t', &field); first = false) {
            if (!first)
                buf_addc(out, '\t');
            out_text(out, field);
        }
        buf_addc(out, '\n');
    }
}

static bool run(struct client *c, struct str text, struct err *err)
{
    struct msg m;
    if (!SEND(c->chan, -1, err, COMMAND, .req = 1, .text = text))
        return false;
    int got = client_wait(c, MSG_RAN, 1, clock_mono_ms() + CLIENT_START_MS, NULL, NULL, &m, err);
    if (got <= 0)
        return got == 0 ? err_set(err, ERR_TIMEOUT, "the screen did not answer: is it stopped?") : false;
    if (!m.u.RAN.ok)
        return err_set(err, ERR_USAGE, "%.*s", (int)MIN(m.u.RAN.text.n - (m.u.RAN.text.n > 0), (size_t)400),
                       m.u.RAN.text.p);
    struct buf out = BUF_INIT(1u << 18);
    lines(&out, m.u.RAN.text);
    bool ok = !out.n || out_flush(&out) || err_set(err, ERR_IO, "nobody reads the output");
    buf_fini(&out);
    return ok;
}

int cmd_main(struct cli *cli)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(8192);
    const struct client_args args = {.config = cli->config, .root = cli->root, .program = "cmd"};
    bool ok = cli->argc > 0 || err_set(&err, ERR_USAGE, "write: tuimail cmd COMMAND, as typed behind : on the screen");
    for (int i = 0; ok && i < cli->argc; i++)
        ok = (i == 0 || buf_addc(&text, ' ')) && buf_addz(&text, cli->argv[i]);
    if (!ok && err.kind == ERR_NONE)
        err_set(&err, ERR_USAGE, "the command is too long");
    if (ok && !client_running(&args)) /* no store, so no screen */
        ok = err_set(&err, ERR_NO_SCREEN, "no tuimail with a screen runs with this store: start one");
    struct client *c = ok ? client_connect(&args, &err) : NULL;
    ok = c && run(c, buf_str(&text), &err);
    client_close(&c);
    buf_fini(&text);
    return ok ? 0 : cli_fail(&err);
}
