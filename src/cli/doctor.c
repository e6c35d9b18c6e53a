/* tuimail doctor: what works here, and what to do about the rest. */
#include "cli/cli.h"
#include "client/client.h"
#include "client/script.h"
#include "store/read.h"
#include "ui/ui.h"

#include <errno.h>
#include <langinfo.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUOTA_WARN = 90 };
enum level { OK, WARN, FAIL };
struct doctor {
    struct cli *cli;
    struct conf *conf;
    char *root, *config;
    struct buf *said; /* lines of each account, which are printed together when it has been told */
    bool *told;
    bool failed;
};

static void sayv(struct doctor *d, enum level level, struct buf *out, const char *fmt, va_list ap)
{
    static const char *const names[] = {"ok  ", "warn", "fail"};
    struct buf raw = BUF_INIT(8192);
    buf_addv(&raw, fmt, ap);
    buf_addf(out, "%s  ", names[level]);
    out_text(out, buf_str(&raw));
    buf_addc(out, '\n');
    d->failed |= level == FAIL;
    buf_fini(&raw);
}

static void PRINTF(3, 4) say(struct doctor *d, enum level level, const char *fmt, ...)
{
    struct buf out = BUF_INIT(9000);
    va_list ap;
    va_start(ap, fmt);
    sayv(d, level, &out, fmt, ap);
    va_end(ap);
    out_flush(&out);
    buf_fini(&out);
}

/* Of account i. */
static void PRINTF(4, 5) say_of(struct doctor *d, size_t i, enum level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sayv(d, level, &d->said[i], fmt, ap);
    va_end(ap);
}

static bool check_config(struct doctor *d)
{
    struct err err = ERR_INIT;
    struct buf all = BUF_INIT(1 << 20);
    bool ok = conf_load_anyway(d->cli->config_arg, &d->conf, &all, &err);
    if (d->conf && !cmd_check_conf(&ui_lang, d->conf, &all))
        ok = false;
    struct str rest = buf_str(&all), line;
    while (str_split(&rest, '\n', &line))
        if (line.n)
            say(d, memmem(line.p, line.n, ": warning: ", 11) ? WARN : FAIL, "config: %.*s", STR_FMT(line));
    if (!d->conf)
        say(d, FAIL, "config: %s", err.text);
    else if (ok && !d->conf->file[0])
        say(d, WARN,
            "config: no tuimailrc yet; \"tuimail help\" and tuimailrc(5) say how to write one, tuimail demo needs "
            "none");
    else if (ok)
        say(d, OK, "config: %s, %zu account%s", d->conf->file, d->conf->naccounts, d->conf->naccounts == 1 ? "" : "s");
    buf_fini(&all);
    return ok;
}

static void check_store(struct doctor *d)
{
    struct err err = ERR_INIT;
    struct stat st;
    d->root = conf_root(d->conf, d->cli->store, &err);
    if (!d->root) {
        say(d, FAIL, "store: %s", err.text);
        return;
    }
    if (stat(d->root, &st) < 0 && errno == ENOENT) {
        say(d, OK, "store: %s is made at the first start", d->root);
        return;
    }
    if (stat(d->root, &st) < 0 || !S_ISDIR(st.st_mode))
        say(d, FAIL, "store: %s cannot be used (%s); set store to another directory", d->root,
            errno ? strerror(errno) : "no directory");
    else if (st.st_uid != geteuid())
        say(d, FAIL, "store: %s belongs to another user; set store to a directory of your own", d->root);
    else if (st.st_mode & 022)
        say(d, FAIL, "store: %s can be written by others: chmod go-w %s", d->root, d->root);
    else if (st.st_mode & 077)
        say(d, WARN, "store: %s can be read by others: chmod go= %s", d->root, d->root);
    else
        say(d, OK, "store: %s", d->root);
    if (fs_is_network(d->root) && !d->conf->state_dir[0])
        say(d, FAIL, "store: %s lies on a network file system; set state-dir to a local directory", d->root);
    if (d->conf->state_dir[0] && fs_is_network(d->conf->state_dir))
        say(d, FAIL, "state-dir: %s lies on a network file system; choose a local one", d->conf->state_dir);
}

static void check_index(struct doctor *d)
{
    char *path = d->root ? path_join(d->conf->state_dir[0] ? d->conf->state_dir : d->root, "index") : NULL;
    if (path && access(path, R_OK) == 0 && !fs_has_room(path, FS_INDEX_ROOM))
        say(d, FAIL, "index: no room in %s: what is new is not found before there is some", path);
    else if (path && access(path, R_OK) == 0 && access(path, W_OK) != 0)
        say(d, FAIL, "index: %s cannot be written (%s): make it writable, or set state-dir", path, strerror(errno));
    else if (path && access(path, R_OK) == 0)
        say(d, OK, "index: %s", path);
    else
        say(d, WARN, "index: none yet; it is made when the first mail is here");
    if (d->conf->index_database[0] && access(d->conf->index_database, R_OK) < 0)
        say(d, FAIL, "index-database: %s: %s; give the directory of your notmuch database", d->conf->index_database,
            strerror(errno));
    free(path);
}

static void check_programs(struct doctor *d)
{
    static const enum role roles[] = {ROLE_STORE, ROLE_SPAWN,  ROLE_FETCH,   ROLE_INDEX, ROLE_SEND,
                                      ROLE_VIEW,  ROLE_SEARCH, ROLE_ARCHIVE, ROLE_SIEVE, ROLE_OWN};
    char *dir = role_dir();
    size_t found = 0;
    for (size_t i = 0; i < COUNT(roles); i++) {
        char *path = path_join(dir, role_name(roles[i]));
        if (access(path, X_OK) == 0)
            found++;
        else
            say(d, FAIL, "programs: %s is missing; install tuimail again, or set TUIMAIL_LIBEXEC", path);
        free(path);
    }
    if (found == COUNT(roles))
        say(d, OK, "programs: %s", dir);
    free(dir);
}

/* In a child, as entering a sandbox cannot be taken back. */
static void check_sandbox(struct doctor *d)
{
    struct err err = ERR_INIT;
    struct open_role h = {.pid = 0};
    char report[200] = "";
    int ends[2];
    if (pipe(ends) < 0)
        return;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const struct sandbox box = {.role = ROLE_VIEW};
        bool ok = sandbox_enter(&box, report, &err);
        const char *said = ok ? report : err.text;
        ssize_t n = write(ends[1], said, strlen(said));
        _exit(ok && n >= 0 ? 0 : 1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], report, sizeof report - 1);
    report[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    h.pid = pid;
    role_close(&h);
    if (strstr(report, "landlock") && strstr(report, "seccomp"))
        say(d, OK, "sandbox: %s", report);
    else
        say(d, WARN, "sandbox: %s; a newer kernel (Landlock since 5.13) keeps hostile mail further away",
            report[0] ? report : "none");
}

static void check_terminal(struct doctor *d)
{
    const char *term = getenv("TERM");
    if (!isatty(STDOUT_FILENO))
        say(d, OK, "terminal: the output is none; run doctor in the terminal for more");
    else if (!term || !term[0] || strcmp(term, "dumb") == 0)
        say(d, FAIL, "terminal: TERM is %s; set it to the terminal's name, such as xterm-256color",
            term && term[0] ? term : "not set");
    else
        say(d, OK, "terminal: TERM=%s%s", term,
            strstr(term, "256color") || getenv("COLORTERM") ? "" : " (few colours by its name)");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        say(d, OK, "locale: UTF-8");
    else
        say(d, WARN, "locale: %s, so other scripts are shown as ?; set LANG to a UTF-8 locale, such as C.UTF-8",
            nl_langinfo(CODESET));
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    struct str rest = str_z(path ? path : "/bin:/usr/bin"), dir;
    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    bool found = false;
    while (!found && str_split(&rest, ':', &dir)) {
        char *d = mem_dup_n(dir.p, dir.n), *full = path_join(d[0] ? d : ".", program);
        found = access(full, X_OK) == 0;
        free(full);
        free(d);
    }
    return found;
}

static void check_tools(struct doctor *d)
{
    char *gpg = mem_dup_n(d->conf->gpg, strcspn(d->conf->gpg, " "));
    if (in_path(gpg))
        say(d, OK, "gpg: found");
    else
        say(d, WARN, "gpg: %s is not in PATH; signed and encrypted mail needs it (Debian: gnupg)", gpg);
    free(gpg);
    for (size_t i = 0; i < d->conf->naccounts; i++)
        if (d->conf->accounts[i].keyring && !in_path("secret-tool"))
            say_of(d, i, FAIL, "account %s: keyring needs secret-tool (Debian: libsecret-tools)",
                   d->conf->accounts[i].name);
}

/* ---- What the servers say of themselves ---------------------------------------------------------- */
struct about {
    struct doctor *d;
    const char *account;
    size_t i;
};

static void on_fact(void *arg, const char *what, const char *words, unsigned percent)
{
    const struct about *a = arg;
    say_of(a->d, a->i, percent >= QUOTA_WARN ? WARN : OK, "account %s: %s: %s%s", a->account, what, words,
           percent >= QUOTA_WARN ? "; delete mail and empty the trash" : "");
}

/* ---- Mail that was not sent ---------------------------------------------------------------------- */

static void on_mail(void *arg, const struct outbox_row *o)
{
    const struct about *a = arg;
    struct buf words = BUF_INIT(2000);
    if (outbox_unsent(o)) {
        char *draft = outbox_draft(a->d->root, a->account, o->id);
        bool held = access(draft, F_OK) == 0;
        outbox_words(o, &words);
        say_of(a->d, a->i, WARN, "account %s: %s; %stuimail queue drop %s m%llu gives it up", a->account, buf_z(&words),
               held ? "R in tuimail goes on with it, " : "", a->account, (unsigned long long)o->id);
        free(draft);
    }
    buf_fini(&words);
}

/* What is known of the account without its server; then its lines. root: of the store that was asked; NULL: none was.
 */
static void tell(struct doctor *d, size_t i, const char *root)
{
    struct err err = ERR_INIT;
    struct about about = {d, d->conf->accounts[i].name, i};
    char *state = cli_state(d->conf, root ? root : d->root);
    struct reader *r = reader_open(state, about.account, &err);
    if (r && ((root && !reader_facts(r, on_fact, &about, &err)) || !reader_outbox(r, on_mail, &about, &err)))
        say_of(d, i, WARN, "account %s: %s", about.account, err.text);
    reader_close(&r);
    free(state);
    out_flush(&d->said[i]);
    d->told[i] = true;
}

/* ---- Accounts: name, connection, TLS and login, by a pass of fetch and by the login that sends nothing ----------- */

/* What is tried: account i's server as number i, that of submission as naccounts + i, of scripts as 2 naccounts + i. */
struct tries {
    struct doctor *d;
    bool *done;
    size_t n;
};
static const char *const parts[SERVICE_COUNT] = {"", "sending: ", "scripts: "}; /* by enum service */

static void ended(struct tries *t, size_t i, enum err_kind kind, struct str text)
{
    const size_t accounts = t->d->conf->naccounts;
    const char *name = t->d->conf->accounts[i % accounts].name, *part = parts[i / accounts];
    if (t->done[i])
        return;
    t->done[i] = true;
    bool local = i < accounts && t->d->conf->accounts[i].in.proto == PROTO_MAILDIR;
    if (kind == ERR_NONE)
        say_of(t->d, i % accounts, OK,
               local ? "account %s: %sits Maildir is read" : "account %s: %sname, connection, TLS and login", name,
               part);
    else
        say_of(t->d, i % accounts, FAIL, "account %s: %s%.*s. %s", name, part,
               STR_FMT(text.n ? text : str_z(err_name(kind))), err_hint(kind));
}

static void ended_of(struct tries *t, struct str account, enum err_kind kind, struct str text)
{
    for (size_t i = 0; i < t->d->conf->naccounts; i++)
        if (str_eqz(account, t->d->conf->accounts[i].name))
            ended(t, i, kind, text);
}

static enum err_kind kind_of(uint32_t kind)
{
    return (enum err_kind)MIN(kind, (uint32_t)ERR_COUNT - 1);
}

static bool all_done(const struct tries *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (!t->done[i])
            return false;
    return true;
}

/* The list of them is a login and a question. */
static bool ask_scripts(struct client *client, uint32_t req, const char *account, struct err *err)
{
    int fd = script_fd(STR(""), err);
    bool ok = fd >= 0 &&
              SEND(client->chan, fd, err, SIEVE, .req = req, .account = str_z(account), .verb = (uint8_t)SIEVE_LIST);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool account_done(const struct tries *t, size_t account)
{
    bool done = true;
    for (size_t i = account; i < t->n; i += t->d->conf->naccounts)
        done = done && t->done[i];
    return done;
}

static void log_in_all(struct doctor *d, struct client *client, const char *root)
{
    size_t n = d->conf->naccounts;
    struct tries t = {d, mem_array(SERVICE_COUNT * n, sizeof *t.done), SERVICE_COUNT * n};
    struct err err = ERR_INIT;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const struct account *a = &d->conf->accounts[i];
        t.done[n + i] = a->out.proto != PROTO_SMTP;
        t.done[2 * n + i] = a->sieve.proto != PROTO_SIEVE;
        ok = SEND(client->chan, -1, &err, FETCH_NOW, .req = (uint32_t)i + 1, .account = str_z(a->name)) &&
             (t.done[n + i] ||
              SEND(client->chan, -1, &err, CHECK_LOGIN, .req = (uint32_t)(n + i) + 1, .account = str_z(a->name))) &&
             (t.done[2 * n + i] || ask_scripts(client, (uint32_t)(2 * n + i) + 1, a->name, &err));
    }
    int64_t deadline = clock_mono_ms() + 3 * 60 * 1000;
    while (ok && !all_done(&t)) {
        struct msg m;
        for (size_t i = 0; i < n; i++)
            if (!d->told[i] && account_done(&t, i))
                tell(d, i, root);
        int got = chan_wait(client->chan, deadline, &m, &err);
        if (got <= 0)
            break;
        if (m.kind == MSG_FETCHED)
            ended_of(&t, m.u.FETCHED.account, kind_of(m.u.FETCHED.kind), m.u.FETCHED.text);
        if (m.kind == MSG_LOGIN_CHECKED && m.u.LOGIN_CHECKED.req > n && m.u.LOGIN_CHECKED.req <= t.n)
            ended(&t, m.u.LOGIN_CHECKED.req - 1, kind_of(m.u.LOGIN_CHECKED.kind), m.u.LOGIN_CHECKED.text);
        if (m.kind == MSG_SIEVE_DONE && m.u.SIEVE_DONE.req > n && m.u.SIEVE_DONE.req <= t.n)
            ended(&t, m.u.SIEVE_DONE.req - 1, kind_of(m.u.SIEVE_DONE.kind), m.u.SIEVE_DONE.text);
        if (m.kind == MSG_SECRET_WANTED && m.u.SECRET_WANTED.service == SERVICE_INCOMING)
            ended_of(&t, m.u.SECRET_WANTED.account, ERR_SECRET,
                     STR("no password without a person; set password-command"));
        if (m.kind == MSG_REFUSED && m.u.REFUSED.req >= 1 && m.u.REFUSED.req <= t.n)
            ended(&t, m.u.REFUSED.req - 1, kind_of(m.u.REFUSED.kind), m.u.REFUSED.text);
        if (m.fd >= 0)
            close(m.fd);
    }
    for (size_t i = 0; i < t.n; i++)
        if (!t.done[i])
            say_of(d, i % n, FAIL, "account %s: %sno answer in three minutes%s%s", d->conf->accounts[i % n].name,
                   parts[i / n], err.text[0] ? ": " : "", err.text);
    for (size_t i = 0; i < n; i++)
        if (!d->told[i])
            tell(d, i, root);
    free(t.done);
}

static void check_accounts(struct doctor *d)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < d->conf->naccounts; i++)
        if (d->conf->accounts[i].out.proto == PROTO_NONE)
            say_of(d, i, WARN, "account %s: it cannot send; set -a %s send smtps://USER@HOST",
                   d->conf->accounts[i].name, d->conf->accounts[i].name);
    if (d->conf->naccounts == 0 || d->cli->offline || !d->root)
        return;
    char cwd[4096] = "";
    d->config = d->conf->file[0] && d->conf->file[0] != '/' && getcwd(cwd, sizeof cwd) ? path_join(cwd, d->conf->file)
                                                                                       : mem_dup_z(d->conf->file);
    const struct client_args args = {.config = d->config, .root = d->root, .program = "doctor"};
    struct client *client = client_connect(&args, &err);
    if (!client) {
        say(d, FAIL, "store: %s. %s", err.text, err_hint(err.kind));
        return;
    }
    log_in_all(d, client, client->root ? client->root : d->root);
    client_close(&client);
}

int doctor_main(struct cli *cli)
{
    struct doctor d = {.cli = cli};
    struct err err = ERR_INIT;
    const struct cli_opt opts[] = {{"--offline", NULL, &cli->offline}};
    if (!cli_options(cli, opts, COUNT(opts), &err))
        return cli_fail(&err);
    bool ok = check_config(&d);
    check_programs(&d);
    check_sandbox(&d);
    check_terminal(&d);
    size_t n = d.conf ? d.conf->naccounts : 0;
    d.said = mem_array(n + 1, sizeof *d.said);
    d.told = mem_array(n + 1, sizeof *d.told);
    for (size_t i = 0; i < n; i++)
        d.said[i] = BUF_INIT(1 << 18);
    if (d.conf) {
        check_tools(&d);
        check_store(&d);
        check_index(&d);
        if (ok)
            check_accounts(&d);
        for (size_t i = 0; i < n; i++) {
            if (!d.told[i] && d.root)
                tell(&d, i, NULL);
            out_flush(&d.said[i]);
            buf_fini(&d.said[i]);
        }
    }
    free(d.said);
    free(d.told);
    conf_free(&d.conf);
    free(d.root);
    free(d.config);
    return d.failed ? err_exit(ERR_CONFIG) : 0;
}
