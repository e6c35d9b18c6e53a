/* tuimail fetch: one pass, for a person or for cron. */
#include "cli/cli.h"
#include "client/client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define IDLE_MS (30 * 60 * 1000) /* no word from the store for so long: something is stuck */

#define INDEX_FEW 200
#define INDEX_MS 60000
#define INDEX_BEHIND_MS (30 * 60 * 1000)
#define INDEX_QUIET_MS 3000
#define LOOK_MS 200  /* between two looks for Ctrl-C */
#define STOP_MS 5000 /* for the end of a session that Ctrl-C ended */

struct pass {
    const char *account; /* borrowed from the conf */
    bool done;
    enum err_kind kind;
    uint32_t fresh, removed, kept;
    uint64_t bytes;
    struct buf text;
};
struct fetch {
    struct cli *cli;
    struct client *client;
    struct pass *passes;
    size_t n;
    bool json, tty, stopped, line; /* line: words that will be written over are on the terminal */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
    interrupted = signo;
}

static struct pass *pass_of(struct fetch *f, struct str account)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eqz(account, f->passes[i].account))
            return &f->passes[i];
    return NULL;
}

static void end_pass(struct fetch *f, struct pass *p, enum err_kind kind, struct str text)
{
    if (!p || p->done)
        return;
    if (f->line)
        fputs("\r\033[K", stderr);
    f->line = false;
    p->done = true;
    p->kind = (unsigned)kind < ERR_COUNT ? kind : ERR_CHANNEL;
    buf_adds(&p->text, text);
    if (f->json)
        return;
    struct buf out = BUF_INIT(8192);
    buf_addf(&out, "%s: ", p->account);
    if (p->kind == ERR_NONE) {
        buf_addf(&out, "%u new", (unsigned)p->fresh);
        if (p->removed)
            buf_addf(&out, ", %u removed from the server", (unsigned)p->removed);
        if (p->text.n)
            buf_addz(&out, ", ");
        out_text(&out, buf_str(&p->text));
        buf_addc(&out, '\n');
    }
    if (p->kind == ERR_CANCELED && f->stopped) {
        buf_addf(&out, "%u new; ", (unsigned)p->fresh);
        out_text(&out, buf_str(&p->text));
        buf_addz(&out, "\n");
    }
    if (p->kind == ERR_NONE || (p->kind == ERR_CANCELED && f->stopped)) {
        out_flush(&out);
    } else {
        const char *hint = err_hint(p->kind);
        out_text(&out, p->text.n ? buf_str(&p->text) : str_z(err_name(p->kind)));
        const struct account *a = conf_account(f->cli->conf, p->account);
        if (p->kind == ERR_AUTH && a)
            buf_addf(&out, " (user %s)", a->in.user);
        fprintf(stderr, "tuimail: %s%s%s\n", buf_z(&out), hint[0] ? ". " : "", hint);
    }
    buf_fini(&out);
}

/* One that reaches the edge would wrap, and not be written over. */
static unsigned width(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79u;
}

static void progress(struct fetch *f, const struct m_PROGRESS *m)
{
    struct buf out = BUF_INIT(1000);
    if (f->tty && !f->json && m->text.n) {
        buf_adds(&out, m->account);
        buf_addz(&out, ": ");
        out_text(&out, m->text);
        fprintf(stderr, "\r%.*s\033[K", (int)MIN(out.n, (size_t)width()), buf_z(&out));
        fflush(stderr);
        f->line = true;
    }
    buf_fini(&out);
}

static void receive(struct fetch *f, struct msg *m)
{
    struct pass *p;
    switch (m->kind) {
    case MSG_FETCHED:
        p = pass_of(f, m->u.FETCHED.account);
        if (p && !p->done) {
            p->fresh = m->u.FETCHED.fresh;
            p->removed = m->u.FETCHED.removed;
            p->kept = m->u.FETCHED.kept;
            p->bytes = m->u.FETCHED.bytes;
        }
        end_pass(f, p, (enum err_kind)m->u.FETCHED.kind, m->u.FETCHED.text);
        break;
    case MSG_SECRET_WANTED:
        /* Nobody to ask: headless commands take secrets from commands, files and keyrings. */
        if (m->u.SECRET_WANTED.service == SERVICE_INCOMING)
            end_pass(f, pass_of(f, m->u.SECRET_WANTED.account), ERR_SECRET,
                     m->u.SECRET_WANTED.text.n ? m->u.SECRET_WANTED.text
                                               : STR("the password is needed; set password-command"));
        break;
    case MSG_REFUSED:
        for (size_t i = 0; i < f->n; i++)
            if (m->u.REFUSED.req == i + 1)
                end_pass(f, &f->passes[i], (enum err_kind)m->u.REFUSED.kind, m->u.REFUSED.text);
        break;
    case MSG_PROGRESS:
        progress(f, &m->u.PROGRESS);
        break;
    default:
        break;
    }
    if (m->fd >= 0)
        close(m->fd);
}

static bool all_done(const struct fetch *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->passes[i].done)
            return false;
    return true;
}

/* The second one ends the program at once. */
static void signal_once(int signo)
{
    struct sigaction s = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(signo, &s, NULL);
}

static bool run_passes(struct fetch *f, struct err *err)
{
    for (size_t i = 0; i < f->n; i++)
        if (!SEND(f->client->chan, -1, err, FETCH_NOW, .req = (uint32_t)i + 1, .account = str_z(f->passes[i].account)))
            return false;
    if (!chan_drain(f->client->chan, clock_mono_ms() + CLIENT_START_MS, err))
        return false;
    signal_once(SIGINT);
    signal_once(SIGTERM);
    int64_t deadline = clock_mono_ms() + IDLE_MS;
    while (!all_done(f)) {
        struct msg m;
        int64_t now = clock_mono_ms();
        if (interrupted && !f->stopped) {
            f->stopped = true;
            deadline = now + STOP_MS;
            for (size_t i = 0; i < f->n; i++)
                if (!f->passes[i].done &&
                    !SEND(f->client->chan, -1, err, FETCH_STOP, .account = str_z(f->passes[i].account)))
                    return false;
        }
        int got = chan_wait(f->client->chan, MIN(deadline, now + LOOK_MS), &m, err);
        if (got == 0 && clock_mono_ms() < deadline)
            continue;
        if (got == 0 && f->stopped)
            return err_set(err, ERR_CANCELED, "stopped");
        if (got == 0)
            return err_set(err, ERR_TIMEOUT, "no word from the store for half an hour");
        if (!f->stopped)
            deadline = clock_mono_ms() + IDLE_MS;
        if (got < 0)
            return err->kind != ERR_NONE || err_set(err, ERR_CHANNEL, "the store ended; see %s", f->client->log);
        receive(f, &m);
    }
    return true;
}

static void leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
}

/* The last client ends the store, so one stays until the search knows the new mail: this program for a few; for more a
 * child of it, because who asked for mail has it. Not for ever, where the index does not get on. */
static void wait_index(struct fetch *f)
{
    size_t fresh = 0;
    for (size_t i = 0; i < f->n; i++)
        fresh += f->passes[i].fresh;
    signal(SIGINT, SIG_DFL); /* the mail is here: nothing is to be ended well */
    signal(SIGTERM, SIG_DFL);
    fflush(NULL);
    pid_t pid = fresh > INDEX_FEW ? fork() : -1;
    if (pid > 0)
        return;
    bool behind = pid == 0;
    if (behind)
        leave_terminal();
    int64_t deadline = clock_mono_ms() + (behind ? INDEX_BEHIND_MS : INDEX_MS);
    for (bool pending = fresh > 0; pending && clock_mono_ms() < deadline;) {
        struct err err = ERR_INIT;
        struct msg m;
        int64_t quiet = behind ? INDEX_MS : INDEX_QUIET_MS;
        if (chan_wait(f->client->chan, MIN(deadline, clock_mono_ms() + quiet), &m, &err) <= 0)
            break;
        pending = m.kind != MSG_INDEXED || m.u.INDEXED.pending > 0;
        if (m.fd >= 0)
            close(m.fd);
    }
}

static void print_json(struct fetch *f)
{
    struct buf out = BUF_INIT(4 << 20);
    buf_addz(&out, "[");
    for (size_t i = 0; i < f->n; i++) {
        struct pass *p = &f->passes[i];
        buf_addf(&out, "%s{\"account\": ", i ? ",\n " : "");
        out_json(&out, str_z(p->account));
        buf_addf(&out, ", \"status\": \"%s\", \"new\": %u, \"removed\": %u, \"kept\": %u, \"bytes\": %llu, \"text\": ",
                 p->kind == ERR_NONE ? "ok" : err_name(p->kind), (unsigned)p->fresh, (unsigned)p->removed,
                 (unsigned)p->kept, (unsigned long long)p->bytes);
        out_json(&out, buf_str(&p->text));
        buf_addz(&out, "}");
    }
    buf_addz(&out, "]\n");
    out_flush(&out);
    buf_fini(&out);
}

static bool choose_accounts(struct fetch *f, struct err *err)
{
    struct cli *cli = f->cli;
    f->n = cli->argc ? (size_t)cli->argc : cli->conf->naccounts;
    f->passes = mem_array(f->n, sizeof *f->passes);
    for (size_t i = 0; i < f->n; i++) {
        struct account *a = cli->argc ? cli_account(cli, cli->argv[i], err) : &cli->conf->accounts[i];
        if (!a)
            return false;
        f->passes[i].account = a->name;
        buf_init(&f->passes[i].text, 2000);
    }
    return true;
}

int fetch_main(struct cli *cli)
{
    struct fetch f = {.cli = cli, .tty = isatty(STDERR_FILENO)};
    struct err err = ERR_INIT;
    const struct cli_opt opts[] = {{"--json", NULL, &f.json}};
    const struct client_args args = {
        .config = cli->config, .root = cli->root, .program = "fetch", .offline = cli->offline};
    int status = 0;
    bool ok = cli_options(cli, opts, COUNT(opts), &err) && choose_accounts(&f, &err);
    if (ok && cli->offline)
        ok = err_set(&err, ERR_USAGE, "fetch and --offline exclude each other");
    ok = ok && (f.client = client_connect(&args, &err)) && run_passes(&f, &err);
    if (!ok)
        status = cli_fail(&err);
    else if (f.json)
        print_json(&f);
    if (ok && !interrupted)
        wait_index(&f);
    for (size_t i = 0; i < f.n; i++) {
        if (status == 0)
            status = err_exit(f.passes[i].kind);
        buf_fini(&f.passes[i].text);
    }
    if (interrupted)
        status = 128 + (int)interrupted;
    free(f.passes);
    client_close(&f.client);
    return status;
}
