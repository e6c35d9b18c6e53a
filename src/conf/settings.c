/* Options that were set since tuimailrc was read: how they reach the programs that read it for themselves. */
#include "conf/internal.h"

/* The option that a line of set or unset is about, and its account (""); NULL: it is about none. */
static const struct option *option_of(const struct line *line, const char **account_r)
{
    bool set = line->n > 1 && (strcmp(line->words[0], "set") == 0 || strcmp(line->words[0], "unset") == 0);
    bool of_account = set && line->n > 3 && strcmp(line->words[1], "-a") == 0;
    *account_r = of_account ? line->words[2] : "";
    return set ? option_find(line->words[of_account ? 3 : 1]) : NULL;
}

const struct option *setting_option(const struct line *line, const char **account_r)
{
    const char *account;
    const struct option *o = option_of(line, &account);
    if (account_r)
        *account_r = account;
    return o;
}

bool settings_add(struct buf *settings, const struct line *line, struct err *err)
{
    const char *account, *other_account;
    const struct option *o = option_of(line, &account);
    struct buf all = BUF_INIT(SETTINGS_MAX);
    struct str rest = buf_str(settings);
    struct line other;
    unsigned number = 1;
    bool replaced = false;
    if (!o)
        return err_set(err, ERR_USAGE, "no option is set");
    for (;;) {
        bool known = line_next(&rest, "", &number, &other, err) == 1;
        const struct line *put = known ? &other : line;
        if (!known && replaced)
            break;
        if (known && option_of(&other, &other_account) == o && strcmp(account, other_account) == 0) {
            put = line;
            replaced = true;
        }
        for (size_t i = 0; i < put->n; i++) {
            if (i > 0)
                buf_addc(&all, ' ');
            line_quote(str_z(put->words[i]), &all);
        }
        buf_addc(&all, '\n');
        if (!known)
            break;
        line_fini(&other);
    }
    bool ok = !all.full || err_set(err, ERR_LIMIT, "too much has been set; write it into tuimailrc");
    if (ok) {
        buf_reset(settings);
        buf_adds(settings, buf_str(&all));
    }
    buf_fini(&all);
    return ok;
}

/* What holds between options was seen to when each was set, and may need all of them. */
void settings_run(struct conf *conf, struct str settings)
{
    struct err err = ERR_INIT;
    struct loader loader = {.conf = conf, .first = &err};
    struct line line;
    unsigned number = 1;
    while (line_next(&settings, "", &number, &line, &err) == 1) {
        struct err one = ERR_INIT;
        const char *account;
        if (option_of(&line, &account) && !command_run(conf, &loader, &line, &one))
            log_msg(LOG_WARN, "an option set since: %s", one.text);
        line_fini(&line);
    }
    for (size_t i = 0; i < conf->naccounts; i++)
        account_apply_tls(&conf->accounts[i]);
}
