/* The commands that a program without a screen needs. */
#include "conf/internal.h"

typedef bool command_fn(struct conf *, struct loader *, const struct line *, struct err *);

static bool usage(struct err *err, const char *form)
{
    return err_set(err, ERR_CONFIG, "write: %s", form);
}

/* ---- account, set, unset ------------------------------------------------------------------------ */

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    if (n < 1 || n > 64 || name[0] == '.' || name[0] == '-')
        return false;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') ||
              strchr("._-", *name)))
            return false;
    return true;
}

static bool run_account(struct conf *conf, UNUSED struct loader *loader, const struct line *line, struct err *err)
{
    if (line->n != 3)
        return usage(err, "account NAME URL");
    const char *name = line->words[1];
    if (!name_ok(name))
        return err_set(err, ERR_CONFIG,
                       "account \"%.80s\": a name has 1 to 64 letters, digits and . _ - and does not begin with . or -",
                       name);
    const struct account *old = conf_account(conf, name);
    if (old)
        return err_set(err, ERR_CONFIG, "account %s exists already (%s)", name, old->defined_in);
    struct endpoint in;
    if (!endpoint_parse(line->words[2], URL_INCOMING, &in, err))
        return false;
    conf->accounts = mem_resize(conf->accounts, conf->naccounts + 1, sizeof *conf->accounts);
    struct account *a = &conf->accounts[conf->naccounts++];
    account_init(a, name);
    a->in = in;
    a->defined_in = conf_keep_where(conf, line);
    return true;
}

static bool unknown_account(const struct conf *conf, const char *name, struct err *err)
{
    const char **names = mem_array(conf->naccounts + 1, sizeof *names);
    for (size_t i = 0; i < conf->naccounts; i++)
        names[i] = conf->accounts[i].name;
    const char *near = near_word(name, names);
    struct buf known = BUF_INIT(200);
    for (size_t i = 0; i < conf->naccounts; i++)
        buf_addf(&known, "%s%s", i ? ", " : "", names[i]);
    if (near)
        err_set(err, ERR_CONFIG, "unknown account \"%.80s\"; did you mean \"%s\"?", name, near);
    else if (known.n) /* a line of tuimailrc knows those above it, what is typed all */
        err_set(err, ERR_CONFIG, "unknown account \"%.80s\"; there is %s", name, buf_z(&known));
    else
        err_set(err, ERR_CONFIG, "unknown account \"%.80s\"; there is none yet", name);
    buf_fini(&known);
    free(names);
    return false;
}

static bool unknown_option(const char *name, struct err *err)
{
    const char **names = mem_array(conf_noptions + 1, sizeof *names);
    for (size_t i = 0; i < conf_noptions; i++)
        names[i] = conf_options[i].name;
    const char *near = near_word(name, names);
    free(names);
    if (near)
        return err_set(err, ERR_CONFIG, "unknown option \"%.80s\"; did you mean \"%s\"?", name, near);
    return err_set(err, ERR_CONFIG, "unknown option \"%.80s\"; tuimail dump options lists them", name);
}

bool option_target(struct conf *conf, const char *command, const char *account, const char *name,
                   struct account **account_r, const struct option **option_r, struct err *err)
{
    *account_r = account ? conf_account(conf, account) : NULL;
    if (account && !*account_r) {
        unknown_account(conf, account, err);
        return false;
    }
    *option_r = option_find(name);
    if (!*option_r) {
        unknown_option(name, err);
        return false;
    }
    if ((*option_r)->scope == OPT_ACCOUNT && !account)
        return err_set(err, ERR_CONFIG, "%s is an option of an account: %s -a ACCOUNT %s ...", name, command, name);
    if ((*option_r)->scope == OPT_GLOBAL && account)
        return err_set(err, ERR_CONFIG, "%s is no option of an account: leave out -a %s", name, account);
    return true;
}

/* Reads [-a ACCOUNT] NAME at the front of a set or unset; *next_r is the word behind it. */
static bool find_target(struct conf *conf, const struct line *line, const char *form, struct account **account_r,
                        const struct option **option_r, size_t *next_r, struct err *err)
{
    bool of_account = line->n > 1 && strcmp(line->words[1], "-a") == 0;
    size_t i = of_account ? 3 : 1;
    if (i >= line->n)
        return usage(err, form);
    *next_r = i + 1;
    return option_target(conf, line->words[0], of_account ? line->words[2] : NULL, line->words[i], account_r, option_r,
                         err);
}

/* At the prompt a change must leave a conf that holds; while a file is read the check comes at its end. */
static bool change(struct conf *conf, struct loader *loader, struct account *a, const struct option *o,
                   const char *value, struct err *err)
{
    struct buf old = BUF_INIT(LINE_MAX_BYTES);
    option_get(conf, a, o, &old);
    bool ok = option_set(conf, a, o, value, err);
    if (ok && a && !loader) {
        account_apply_tls(a);
        ok = account_check(conf, a, err);
        if (!ok) {
            struct err ignored = ERR_INIT;
            option_set(conf, a, o, buf_z(&old), &ignored);
            account_apply_tls(a);
        }
    }
    buf_fini(&old);
    return ok;
}

static bool run_set(struct conf *conf, struct loader *loader, const struct line *line, struct err *err)
{
    static const char form[] = "set [-a ACCOUNT] OPTION VALUE";
    struct account *a;
    const struct option *o;
    size_t next;
    if (!find_target(conf, line, form, &a, &o, &next, err))
        return false;
    if (next == line->n && o->type == OPT_BOOL)
        return change(conf, loader, a, o, "yes", err);
    if (next + 1 == line->n)
        return change(conf, loader, a, o, line->words[next], err);
    if (next == line->n)
        return err_set(err, ERR_CONFIG, "%s needs a value (%s)", o->name, option_type_name(o->type));
    return err_set(err, ERR_CONFIG, "%s: more than one value; put quotes around it", o->name);
}

static bool run_unset(struct conf *conf, struct loader *loader, const struct line *line, struct err *err)
{
    static const char form[] = "unset [-a ACCOUNT] OPTION";
    struct account *a;
    const struct option *o;
    size_t next;
    if (!find_target(conf, line, form, &a, &o, &next, err))
        return false;
    if (next != line->n)
        return usage(err, form);
    return change(conf, loader, a, o, o->def, err);
}

/* theme NAME, keys PROFILE: an option that reads better as a command. */
static bool run_option(struct conf *conf, struct loader *loader, const struct line *line, struct err *err)
{
    const struct option *o = option_find(line->words[0]);
    if (line->n != 2)
        return err_set(err, ERR_CONFIG, "write: %s NAME", line->words[0]);
    return change(conf, loader, NULL, o, line->words[1], err);
}

/* ---- saved, rule, alias ------------------------------------------------------------------------- */

static bool flag_value(const struct line *line, size_t *i, const char **value_r, struct err *err)
{
    if (*i + 1 >= line->n)
        return err_set(err, ERR_CONFIG, "%s needs a value", line->words[*i]);
    *value_r = line->words[++*i];
    return true;
}

static void replace(char **at, const char *value)
{
    free(*at);
    *at = mem_dup_z(value);
}

bool saved_run(struct conf *conf, const struct line *line, bool own, struct err *err)
{
    const char *account = "";
    size_t i = 3;
    if (line->n == 5 && strcmp(line->words[3], "-account") == 0 && !flag_value(line, &i, &account, err))
        return false;
    if ((line->n != 3 && line->n != 5) || (line->n == 5 && !account[0]) || !line->words[1][0] || !line->words[2][0])
        return usage(err, "saved NAME QUERY [-account ACCOUNT]");
    struct saved *s = NULL;
    for (size_t k = 0; k < conf->nsaved; k++)
        if (strcmp(conf->saved[k].name, line->words[1]) == 0)
            s = &conf->saved[k];
    if (!s) {
        conf->saved = mem_resize(conf->saved, conf->nsaved + 1, sizeof *conf->saved);
        s = &conf->saved[conf->nsaved++];
        *s = (struct saved){.name = mem_dup_z(line->words[1]), .own = own};
    }
    if (own && !s->own) /* tuimailrc's stays as it is */
        return true;
    replace(&s->query, line->words[2]);
    replace(&s->account, account);
    return true;
}

static bool run_saved(struct conf *conf, struct loader *loader, const struct line *line, struct err *err)
{
    return saved_run(conf, line, loader && loader->own, err);
}

/* ---- mailbox ------------------------------------------------------------------------------------ */

static bool sort_word(const char *word)
{
    struct str choices = STR(CONF_SORT_ORDERS), one;
    while (str_split(&choices, ' ', &one))
        if (str_eqz(one, word))
            return true;
    return false;
}

static bool run_mailbox(struct conf *conf, UNUSED struct loader *loader, const struct line *line, struct err *err)
{
    struct cache_policy policy = {0};
    if (line->n != 5 || !line->words[1][0] || !line->words[2][0])
        return usage(err, "mailbox ACCOUNT MAILBOX cache POLICY, or sort ORDER, or rules yes|no");
    const char *account = line->words[1], *name = line->words[2], *text = line->words[4];
    if (!conf_account(conf, account))
        return unknown_account(conf, account, err);
    bool sort = strcmp(line->words[3], "sort") == 0;
    bool rules = strcmp(line->words[3], "rules") == 0, yes = strcmp(text, "yes") == 0;
    if (!sort && !rules && strcmp(line->words[3], "cache") != 0)
        return err_set(err, ERR_CONFIG, "mailbox: \"%.80s\" is no setting of a mailbox; cache, sort and rules are",
                       line->words[3]);
    if (rules && !yes && strcmp(text, "no") != 0)
        return err_set(err, ERR_CONFIG, "mailbox: rules \"%.80s\" is neither yes nor no", text);
    if (sort && !sort_word(text))
        return err_set(err, ERR_CONFIG, "mailbox: \"%.80s\" is no order of a list: " CONF_SORT_ORDERS, text);
    if (!sort && !rules && !cache_policy_parse(text, &policy))
        return err_set(err, ERR_CONFIG, "mailbox: \"%.80s\" is not headers, all or \"recent DAYS\"", text);
    struct mailbox_setting *m = NULL;
    for (size_t i = 0; i < conf->nmailboxes; i++)
        if (strcmp(conf->mailboxes[i].account, account) == 0 && strcmp(conf->mailboxes[i].mailbox, name) == 0)
            m = &conf->mailboxes[i];
    if (!m) {
        conf->mailboxes = mem_resize(conf->mailboxes, conf->nmailboxes + 1, sizeof *conf->mailboxes);
        m = &conf->mailboxes[conf->nmailboxes++];
        *m = (struct mailbox_setting){.account = mem_dup_z(account), .mailbox = mem_dup_z(name)};
        m->defined_in = conf_keep_where(conf, line);
    }
    if (rules) {
        m->rules = yes;
        m->has_rules = true;
        return true;
    }
    replace(sort ? &m->sort : &m->cache_text, text);
    if (!sort)
        m->cache = policy;
    return true;
}

struct cache_policy conf_cache(const struct conf *conf, const struct account *a, struct str mailbox)
{
    struct cache_policy policy = a->cache;
    for (size_t i = 0; i < conf->nmailboxes; i++) {
        const struct mailbox_setting *m = &conf->mailboxes[i];
        if (m->cache_text && strcmp(m->account, a->name) == 0 && glob_match(str_z(m->mailbox), mailbox))
            policy = m->cache;
    }
    return policy;
}

bool conf_rules_in(const struct conf *conf, const char *account, struct str mailbox)
{
    bool rules = false;
    for (size_t i = 0; i < conf->nmailboxes; i++) {
        const struct mailbox_setting *m = &conf->mailboxes[i];
        if (m->has_rules && strcmp(m->account, account) == 0 && glob_match(str_z(m->mailbox), mailbox))
            rules = m->rules;
    }
    return rules;
}

const char *conf_sort(const struct conf *conf, const char *account, struct str mailbox)
{
    const char *sort = conf->sort;
    for (size_t i = 0; i < conf->nmailboxes; i++) {
        const struct mailbox_setting *m = &conf->mailboxes[i];
        if (m->sort && strcmp(m->account, account) == 0 && glob_match(str_z(m->mailbox), mailbox))
            sort = m->sort;
    }
    return sort;
}

/* ---- rule --------------------------------------------------------------------------------------- */

/* A path is none: it leads nowhere in the account. */
static bool folder_ok(const char *name)
{
    struct str rest = str_z(name), level;
    bool ok = name[0] != '\0';
    for (const char *c = name; *c && ok; c++)
        ok = (unsigned char)*c >= ' ' && *c != '\177';
    while (ok && str_split(&rest, '/', &level))
        ok = !str_eqz(level, ".") && !str_eqz(level, "..");
    return ok;
}

static bool rule_word(struct rule *r, struct buf *tags, const struct line *line, size_t *i, struct err *err)
{
    static const char *const flags[] = {"-account", "-tagged", "-folder", "-tag", "-untag",
                                        "-read",    "-flag",   "-stop",   NULL};
    const char *word = line->words[*i], *value = "";
    if (strcmp(word, "-read") == 0)
        return r->read = true;
    if (strcmp(word, "-flag") == 0)
        return r->flag = true;
    if (strcmp(word, "-stop") == 0)
        return r->stop = true;
    if (strcmp(word, "-tagged") == 0)
        return r->tagged = true;
    char **at = strcmp(word, "-account") == 0 ? &r->account : strcmp(word, "-folder") == 0 ? &r->folder : NULL;
    if (at) {
        if (!flag_value(line, i, &value, err))
            return false;
        if (at == &r->folder && !folder_ok(value))
            return err_set(
                err, ERR_CONFIG,
                "-folder \"%.80s\" can be no mailbox: a name as the list of mailboxes shows it, without \".\" or "
                "\"..\" between slashes",
                value);
        replace(at, value);
        return true;
    }
    bool add = strcmp(word, "-tag") == 0;
    if (add || strcmp(word, "-untag") == 0) {
        if (!flag_value(line, i, &value, err))
            return false;
        if (!tag_is(str_z(value)))
            return err_set(err, ERR_CONFIG, "\"%.80s\" is no tag: no blanks, and no + or - in front", value);
        if (tag_reserved(str_z(value)))
            return err_set(err, ERR_CONFIG,
                           "the tag \"%.80s\" follows a message's flags and place: a rule sets those, by -read, -flag "
                           "and -folder",
                           value);
        return buf_addf(tags, "%s%c%s", tags->n ? " " : "", add ? '+' : '-', value) ||
               err_set(err, ERR_CONFIG, "too many tags");
    }
    const char *near = near_word(word, flags);
    if (near)
        return err_set(err, ERR_CONFIG, "rule: unknown word \"%.80s\"; did you mean \"%s\"?", word, near);
    return err_set(err, ERR_CONFIG, "rule: unknown word \"%.80s\"; put the whole query in quotes", word);
}

static void rule_fini(struct rule *r)
{
    free(r->query);
    free(r->account);
    free(r->folder);
    free(r->tags);
}

static bool is_blank(const char *z)
{
    return z[strspn(z, " \t")] == '\0';
}

static bool run_rule(struct conf *conf, UNUSED struct loader *loader, const struct line *line, struct err *err)
{
    if (line->n < 3 || is_blank(line->words[1])) /* a query of nothing would be all mail */
        return usage(err,
                     "rule QUERY [-account NAME] [-tagged] [-folder MAILBOX] [-tag TAG] [-untag TAG] [-read] [-flag] "
                     "[-stop]");
    struct rule r = {.query = mem_dup_z(line->words[1]), .account = mem_dup_z(""), .folder = mem_dup_z("")};
    struct buf tags = BUF_INIT(2048);
    bool ok = true;
    for (size_t i = 2; ok && i < line->n; i++)
        ok = rule_word(&r, &tags, line, &i, err);
    r.tags = mem_dup_z(buf_z(&tags));
    buf_fini(&tags);
    if (ok && !r.folder[0] && !r.tags[0] && !r.read && !r.flag && !r.stop)
        ok = err_set(err, ERR_CONFIG, "rule: it does nothing; add -folder, -tag, -untag, -read, -flag or -stop");
    if (!ok) {
        rule_fini(&r);
        return false;
    }
    r.defined_in = conf_keep_where(conf, line);
    conf->rules = mem_resize(conf->rules, conf->nrules + 1, sizeof *conf->rules);
    conf->rules[conf->nrules++] = r;
    return true;
}

static bool same_rule(const struct rule *a, const struct rule *b)
{
    return strcmp(a->query, b->query) == 0 && strcmp(a->account, b->account) == 0 &&
           strcmp(a->folder, b->folder) == 0 && strcmp(a->tags, b->tags) == 0 && a->read == b->read &&
           a->flag == b->flag && a->stop == b->stop && a->tagged == b->tagged;
}

bool conf_rule_drop(struct conf *conf, const struct line *line, struct err *err)
{
    if (!run_rule(conf, NULL, line, err))
        return false;
    struct rule like = conf->rules[--conf->nrules];
    size_t at = conf->nrules;
    while (at > 0 && !same_rule(&conf->rules[at - 1], &like))
        at--;
    rule_fini(&like);
    if (at == 0)
        return err_set(err, ERR_USAGE, "there is no such rule any more");
    rule_fini(&conf->rules[at - 1]);
    memmove(&conf->rules[at - 1], &conf->rules[at], (conf->nrules - at) * sizeof *conf->rules);
    conf->nrules--;
    return true;
}

static bool run_alias(struct conf *conf, UNUSED struct loader *loader, const struct line *line, struct err *err)
{
    if (line->n < 3 || !line->words[1][0] || strpbrk(line->words[1], " \t,<>@\"\n"))
        return usage(err, "alias NAME ADDRESS[, ADDRESS...]   (the name is one word without @)");
    struct buf value = BUF_INIT(LINE_MAX_BYTES);
    for (size_t i = 2; i < line->n; i++) {
        if (strpbrk(line->words[i], "\n\r\033")) {
            buf_fini(&value);
            return err_set(err, ERR_CONFIG, "alias: a control character in an address");
        }
        buf_addf(&value, "%s%s", i > 2 ? " " : "", line->words[i]);
    }
    struct alias *a = NULL;
    for (size_t i = 0; i < conf->naliases; i++)
        if (strcmp(conf->aliases[i].name, line->words[1]) == 0)
            a = &conf->aliases[i];
    if (!a) {
        conf->aliases = mem_resize(conf->aliases, conf->naliases + 1, sizeof *conf->aliases);
        a = &conf->aliases[conf->naliases++];
        *a = (struct alias){.name = mem_dup_z(line->words[1])};
    }
    replace(&a->value, buf_z(&value));
    buf_fini(&value);
    return true;
}

bool conf_alias_set(struct conf *conf, const char *name, const char *value, struct err *err)
{
    char *words[] = {mem_dup_z("alias"), mem_dup_z(name), mem_dup_z(value ? value : "x")};
    struct line line = {.words = words, .n = COUNT(words)};
    bool ok = run_alias(conf, NULL, &line, err);
    for (size_t i = 0; ok && !value && i < conf->naliases; i++) {
        if (strcmp(conf->aliases[i].name, name) != 0)
            continue;
        free(conf->aliases[i].name);
        free(conf->aliases[i].value);
        memmove(&conf->aliases[i], &conf->aliases[i + 1], (--conf->naliases - i) * sizeof *conf->aliases);
        break;
    }
    for (size_t i = 0; i < COUNT(words); i++)
        free(words[i]);
    return ok;
}

/* ---- source, and what is kept for ui ------------------------------------------------------------ */

static char *source_path(const struct line *line, bool at_prompt)
{
    char *path = path_expand_home(line->words[1]);
    const char *slash = line->file ? strrchr(line->file, '/') : NULL;
    if (path[0] == '/' || at_prompt || !slash)
        return path;
    char *dir = mem_dup_n(line->file, (size_t)(slash - line->file) + 1), *joined = path_join(dir, path);
    free(dir);
    free(path);
    return joined;
}

static bool run_source(struct conf *conf, struct loader *loader, const struct line *line, struct err *err)
{
    if (line->n != 2)
        return usage(err, "source FILE");
    char *path = source_path(line, !loader);
    char where[300];
    snprintf(where, sizeof where, "%s:%u", line->file ? line->file : "", line->number);
    struct loader own = {.conf = conf, .first = err};
    load_file(loader ? loader : &own, path, where);
    free(path);
    if (!loader && !own.failed)
        conf_check(&own);
    return loader || !own.failed;
}

static bool run_keep(struct conf *conf, UNUSED struct loader *loader, const struct line *line, UNUSED struct err *err)
{
    conf->ui_lines = mem_resize(conf->ui_lines, conf->nui_lines + 1, sizeof *conf->ui_lines);
    line_copy(conf, line, &conf->ui_lines[conf->nui_lines++]);
    return true;
}

static bool run_tag_keyword(struct conf *conf, UNUSED struct loader *loader, const struct line *line, struct err *err)
{
    return conf_tag_keyword(conf, line, err);
}

static command_fn *const runs[] = {run_account,     run_set,   run_unset,  run_saved,  run_mailbox, run_rule,
                                   run_tag_keyword, run_alias, run_source, run_option, run_option,  run_keep,
                                   run_keep,        run_keep,  run_keep,   run_keep};
const char *const conf_commands[] = {"account",     "set",   "unset",  "saved", "mailbox", "rule",
                                     "tag-keyword", "alias", "source", "theme", "keys",    "bind",
                                     "unbind",      "macro", "on",     "color", NULL};
_Static_assert(COUNT(runs) + 1 == COUNT(conf_commands), "a command without its function");

bool conf_is_command(const char *name)
{
    for (size_t i = 0; conf_commands[i]; i++)
        if (strcmp(conf_commands[i], name) == 0)
            return true;
    return false;
}

bool command_run(struct conf *conf, struct loader *loader, const struct line *line, struct err *err)
{
    for (size_t i = 0; conf_commands[i]; i++)
        if (strcmp(conf_commands[i], line->words[0]) == 0)
            return runs[i](conf, loader, line, err);
    const char *near = near_word(line->words[0], conf_commands);
    if (near)
        return err_set(err, ERR_CONFIG, "unknown command \"%.80s\"; did you mean \"%s\"?", line->words[0], near);
    return err_set(err, ERR_CONFIG, "unknown command \"%.80s\"", line->words[0]);
}
