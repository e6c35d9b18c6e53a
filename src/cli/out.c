/* What goes to stdout and stderr, and the words on the command line. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void out_text(struct buf *out, struct str raw)
{
    text_from_bytes(raw, TEXT_FOLD_SPACE, out);
}

/* Controls, and what reorders or hides text: a terminal may show the JSON as it is. */
static bool must_escape(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb);
}

void out_json(struct buf *out, struct str raw)
{
    buf_addc(out, '"');
    while (raw.n) {
        uint32_t cp;
        unsigned n = utf8_decode(raw, &cp);
        if (n == 0)
            buf_addz(out, "\xef\xbf\xbd");
        else if (cp == '"' || cp == '\\')
            buf_addf(out, "\\%c", (char)cp);
        else if (cp == '\n')
            buf_addz(out, "\\n");
        else if (must_escape(cp))
            buf_addf(out, "\\u%04x", (unsigned)cp);
        else if (cp >= 0xe0000 && cp <= 0xe0fff) /* tags */
            buf_addf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((cp - 0x10000) >> 10)),
                     (unsigned)(0xdc00 + (cp & 0x3ff)));
        else
            buf_add(out, raw.p, n);
        raw = str_sub(raw, MAX(n, 1u), raw.n);
    }
    buf_addc(out, '"');
}

void out_date(struct buf *out, int64_t seconds)
{
    char text[64];
    struct tm tm;
    time_t t = (time_t)seconds;
    if (seconds > 0 && localtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm))
        buf_addz(out, text);
    else
        buf_addz(out, "                ");
}

bool out_flush(struct buf *out)
{
    struct err err = ERR_INIT;
    bool ok = fs_write_all(STDOUT_FILENO, buf_str(out), &err);
    buf_reset(out);
    return ok;
}

int cli_fail(const struct err *err)
{
    const char *hint = err_hint(err->kind), *text = err->text[0] ? err->text : err_name(err->kind);
    const char *stop = strchr("?.!", text[strlen(text) - 1]) ? " " : ". ";
    fprintf(stderr, "tuimail: %s%s%s\n", text, hint[0] ? stop : "", hint);
    return err_exit(err->kind);
}

/* ---- Words -------------------------------------------------------------------------------------- */

static bool unknown_option(const struct cli_opt *opts, size_t n, const char *word, struct err *err)
{
    const char **names = mem_array(n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = opts[i].name;
    const char *near = near_word(word, names);
    free(names);
    if (near)
        return err_set(err, ERR_USAGE, "unknown option \"%.60s\"; did you mean \"%s\"?", word, near);
    return err_set(err, ERR_USAGE, "unknown option \"%.60s\"", word);
}

static bool take_option(struct cli *cli, int *i, const struct cli_opt *opts, size_t n, struct err *err)
{
    struct str word = str_z(cli->argv[*i]), value = {NULL, 0};
    size_t equals;
    if (str_starts(word, STR("--")) && str_find(word, '=', &equals)) {
        value = str_sub(word, equals + 1, word.n);
        word = str_sub(word, 0, equals);
    }
    for (size_t k = 0; k < n; k++) {
        if (!str_eqz(word, opts[k].name))
            continue;
        if (!opts[k].value) {
            if (value.p)
                return err_set(err, ERR_USAGE, "%s takes no value", opts[k].name);
            *opts[k].flag = true;
            return true;
        }
        if (!value.p && *i + 1 >= cli->argc)
            return err_set(err, ERR_USAGE, "%s needs a value", opts[k].name);
        *opts[k].value = value.p ? value.p : cli->argv[++*i];
        return true;
    }
    return unknown_option(opts, n, cli->argv[*i], err);
}

bool cli_options(struct cli *cli, const struct cli_opt *opts, size_t n, struct err *err)
{
    int kept = 0;
    bool open = true;
    for (int i = 0; i < cli->argc; i++) {
        const char *word = cli->argv[i];
        if (open && strcmp(word, "--") == 0) {
            open = false;
        } else if (open && word[0] == '-' && word[1]) {
            if (!take_option(cli, &i, opts, n, err))
                return false;
        } else {
            cli->argv[kept++] = cli->argv[i];
        }
    }
    cli->argc = kept;
    return true;
}

char *cli_state(const struct conf *conf, const char *root)
{
    return conf->state_dir[0] ? path_expand_home(conf->state_dir) : path_join(root, "state");
}

bool cli_number(const char *option, const char *value, uint32_t max, uint32_t *number_r, struct err *err)
{
    if (str_u32(str_z(value), number_r) && *number_r <= max)
        return true;
    return err_set(err, ERR_USAGE, "%s: \"%.60s\" is not a number up to %u", option, value, (unsigned)max);
}

bool cli_choice(const char *option, const char *value, const char *choices, unsigned *place_r, struct err *err)
{
    struct str rest = str_z(choices), piece;
    for (*place_r = 0; str_split(&rest, ' ', &piece); ++*place_r)
        if (str_eqz(piece, value))
            return true;
    return err_set(err, ERR_USAGE, "%s: \"%.60s\" is none of: %s", option, value, choices);
}

struct account *cli_account(const struct cli *cli, const char *name, struct err *err)
{
    struct account *a = conf_account(cli->conf, name);
    if (a)
        return a;
    const char **names = mem_array(cli->conf->naccounts + 1, sizeof *names);
    for (size_t i = 0; i < cli->conf->naccounts; i++)
        names[i] = cli->conf->accounts[i].name;
    const char *near = near_word(name, names);
    free(names);
    if (near)
        err_set(err, ERR_CONFIG, "unknown account \"%.60s\"; did you mean \"%s\"?", name, near);
    else
        err_set(err, ERR_CONFIG, "unknown account \"%.60s\"", name);
    return NULL;
}

/* ---- Roles -------------------------------------------------------------------------------------- */

bool role_open(const struct cli *cli, enum role role, const char *account, struct open_role *h, struct err *err)
{
    const char *argv[6];
    size_t n = 0;
    int fd;
    if (role != ROLE_VIEW && cli->config && cli->config[0]) {
        argv[n++] = "-c";
        argv[n++] = cli->config;
    }
    if (role != ROLE_VIEW) {
        argv[n++] = "--store";
        argv[n++] = cli->root;
    }
    if (account)
        argv[n++] = account;
    argv[n] = NULL;
    if (!role_start(role, argv, -1, &h->pid, &fd, err))
        return false;
    h->chan = chan_new(fd, ROLE_UI, role);
    return true;
}

void role_close(struct open_role *h)
{
    int status;
    chan_free(&h->chan);
    if (h->pid <= 0)
        return;
    kill(h->pid, SIGKILL); /* it owns nothing that needs an end in order */
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    h->pid = 0;
}
