/* Finding, reading and owning a configuration. */
#include "conf/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Ownership ---------------------------------------------------------------------------------- */

static bool holds_string(const struct option *o)
{
    switch (o->type) {
    case OPT_STR:
    case OPT_CHOICE:
    case OPT_CHOICES:
    case OPT_PATH:
    case OPT_COMMAND:
    case OPT_ADDRESS:
    case OPT_LEAVE:
    case OPT_CACHE:
    case OPT_COLUMNS:
        return true;
    case OPT_BOOL:
    case OPT_UINT:
    case OPT_SIZE:
    case OPT_TIME:
    case OPT_INDEX:
    case OPT_URL:
        return false;
    }
    return false;
}

static void set_defaults(struct conf *conf, struct account *account, enum opt_scope scope)
{
    for (size_t i = 0; i < conf_noptions; i++) {
        struct err err = ERR_INIT;
        if (conf_options[i].scope == scope && !option_set(conf, account, &conf_options[i], conf_options[i].def, &err))
            bug("default of option %s: %s", conf_options[i].name, err.text);
    }
}

static void free_strings(void *base, enum opt_scope scope)
{
    for (size_t i = 0; i < conf_noptions; i++)
        if (conf_options[i].scope == scope && holds_string(&conf_options[i]))
            free(*(char **)((char *)base + conf_options[i].at));
}

void account_init(struct account *a, const char *name)
{
    *a = (struct account){.name = mem_dup_z(name)};
    set_defaults(NULL, a, OPT_ACCOUNT);
}

void account_fini(struct account *a)
{
    free_strings(a, OPT_ACCOUNT);
    free(a->name);
    endpoint_fini(&a->in);
    endpoint_fini(&a->out);
    endpoint_fini(&a->sieve);
}

struct conf *conf_defaults(void)
{
    struct conf *conf = mem_new(sizeof *conf);
    conf->file = mem_dup_z("");
    set_defaults(conf, NULL, OPT_GLOBAL);
    return conf;
}

void conf_free(struct conf **conf_p)
{
    struct conf *conf = *conf_p;
    if (!conf)
        return;
    for (size_t i = 0; i < conf->naccounts; i++)
        account_fini(&conf->accounts[i]);
    for (size_t i = 0; i < conf->nsaved; i++) {
        saved_fini(&conf->saved[i]);
    }
    for (size_t i = 0; i < conf->nrules; i++) {
        free(conf->rules[i].query);
        free(conf->rules[i].account);
        free(conf->rules[i].folder);
        free(conf->rules[i].tags);
    }
    for (size_t i = 0; i < conf->nmailboxes; i++) {
        free(conf->mailboxes[i].account);
        free(conf->mailboxes[i].mailbox);
        free(conf->mailboxes[i].cache_text);
        free(conf->mailboxes[i].sort);
    }
    tag_keywords_free(conf);
    for (size_t i = 0; i < conf->naliases; i++) {
        free(conf->aliases[i].name);
        free(conf->aliases[i].value);
    }
    for (size_t i = 0; i < conf->nui_lines; i++)
        line_fini(&conf->ui_lines[i]);
    for (size_t i = 0; i < conf->nfiles; i++)
        free(conf->files[i]);
    free_strings(conf, OPT_GLOBAL);
    free(conf->accounts);
    free(conf->saved);
    free(conf->rules);
    free(conf->mailboxes);
    free(conf->aliases);
    free(conf->ui_lines);
    free(conf->files);
    free(conf->file);
    free(conf);
    *conf_p = NULL;
}

/* One copy of each name; the list is short. */
static const char *keep_name(struct conf *conf, const char *name)
{
    for (size_t i = conf->nfiles; i-- > 0;)
        if (strcmp(conf->files[i], name) == 0)
            return conf->files[i];
    conf->files = mem_resize(conf->files, conf->nfiles + 1, sizeof *conf->files);
    return conf->files[conf->nfiles++] = mem_dup_z(name);
}

const char *conf_keep_where(struct conf *conf, const struct line *line)
{
    struct buf where = BUF_INIT(PATH_MAX + 32);
    buf_addf(&where, "%s:%u", line->file ? line->file : "", line->number);
    const char *kept = keep_name(conf, buf_z(&where));
    buf_fini(&where);
    return kept;
}

void line_copy(struct conf *conf, const struct line *line, struct line *copy_r)
{
    *copy_r =
        (struct line){.n = line->n, .number = line->number, .file = keep_name(conf, line->file ? line->file : "")};
    copy_r->words = mem_array(line->n + 1, sizeof *copy_r->words);
    copy_r->columns = mem_array(line->n + 1, sizeof *copy_r->columns);
    for (size_t i = 0; i < line->n; i++) {
        copy_r->words[i] = mem_dup_z(line->words[i]);
        copy_r->columns[i] = line->columns ? line->columns[i] : 0;
    }
}

struct account *conf_account(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->naccounts; i++)
        if (strcmp(conf->accounts[i].name, name) == 0)
            return &conf->accounts[i];
    return NULL;
}

/* ---- Reading ------------------------------------------------------------------------------------ */

void loader_complain(struct loader *loader, const char *where, bool error, const struct err *err)
{
    const char *text = err->text;
    size_t n = strlen(where);
    /* The lexer says where by itself. */
    if (n && strncmp(text, where, n) == 0 && text[n] == ':')
        text += n + 2;
    if (loader->all)
        buf_addf(loader->all, "%s%s%s: %s\n", where, n ? ": " : "", error ? "error" : "warning", text);
    if (error && !loader->failed) {
        err_set(loader->first, err->kind, "%s%s%s", where, n ? ": " : "", text);
        loader->failed = true;
    }
}

/* Commands run from this file, so nobody else may have a hand in it (doc/THREATS 21, 170). A group that is the user's
 * own is let pass with a word. */
static bool check_owner(struct loader *loader, const char *path, const struct stat *st, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, ERR_CONFIG, "%s is not a regular file", path);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return err_set(err, ERR_PERMISSION, "%s belongs to another user; it is not read", path);
    if ((st->st_mode & 002) || ((st->st_mode & 020) && st->st_gid != getegid()))
        return err_set(err, ERR_PERMISSION, "%s can be written by others; it is not read: chmod go-w %s", path, path);
    if (st->st_mode & 020) {
        struct err note = ERR_INIT;
        err_set(&note, ERR_CONFIG, "your group can write this file: chmod g-w %s", path);
        loader_complain(loader, path, false, &note);
    }
    return true;
}

static bool check_directory(const char *path, struct err *err)
{
    char *dir = mem_dup_z(path);
    char *slash = strrchr(dir, '/');
    struct stat st;
    bool ok = true;
    if (slash)
        slash[slash == dir] = '\0';
    if (slash && stat(dir, &st) == 0) {
        if (st.st_uid != geteuid() && st.st_uid != 0)
            ok = err_set(err, ERR_PERMISSION, "%s lies in a directory of another user; it is not read", path);
        else if ((st.st_mode & 002) && !(st.st_mode & S_ISVTX))
            ok = err_set(err, ERR_PERMISSION,
                         "%s lies in a directory that others can write; it is not read: chmod o-w %s", path, dir);
    }
    free(dir);
    return ok;
}

static bool enter(struct loader *loader, const struct stat *st, const char *path, struct err *err)
{
    for (unsigned i = 0; i < loader->depth; i++)
        if (loader->open[i].dev == st->st_dev && loader->open[i].ino == st->st_ino)
            return err_set(err, ERR_CONFIG, "%s includes itself", path);
    if (loader->depth > CONF_MAX_DEPTH - 1)
        return err_set(err, ERR_CONFIG, "%s: source goes deeper than %d files", path, CONF_MAX_DEPTH);
    if (loader->count >= CONF_MAX_FILES)
        return err_set(err, ERR_CONFIG, "%s: more than %d files", path, CONF_MAX_FILES);
    loader->open[loader->depth].dev = st->st_dev;
    loader->open[loader->depth].ino = st->st_ino;
    loader->depth++;
    loader->count++;
    return true;
}

/* Symbolic links are followed, as dotfile managers make them: what counts is whose file stands at the end. */
static bool open_file(struct loader *loader, const char *path, struct buf *text, struct err *err)
{
    char *real = realpath(path, NULL);
    if (!real)
        return err_sys(err, ERR_CONFIG, errno, "cannot read %s", path);
    struct stat st;
    int fd = open(real, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    bool ok = fd >= 0 && fstat(fd, &st) == 0;
    if (!ok)
        err_sys(err, ERR_CONFIG, errno, "cannot read %s", path);
    ok = ok && check_owner(loader, path, &st, err) && check_directory(real, err) && enter(loader, &st, path, err);
    if (ok && !fs_read_fd(fd, CONF_MAX_BYTES, text, err)) {
        err_prefix(err, "%s", path);
        loader->depth--;
        ok = false;
    }
    if (fd >= 0)
        close(fd);
    free(real);
    return ok;
}

static void run_lines(struct loader *loader, const char *file, struct str rest)
{
    unsigned number = 1;
    struct line line;
    for (;;) {
        struct err err = ERR_INIT;
        unsigned at = number;
        int got = line_next(&rest, file, &number, &line, &err);
        if (got == 0)
            return;
        char where[PATH_MAX + 32];
        if (got < 0) {
            /* The lexer's own number may lie further on, behind comments. */
            const char *colon = err.text + MIN(strlen(file) + 1, strlen(err.text));
            uint32_t said;
            size_t digits = strspn(colon, "0123456789");
            snprintf(where, sizeof where, "%s:%u", file,
                     str_u32((struct str){colon, digits}, &said) ? (unsigned)said : at);
            loader_complain(loader, where, true, &err);
            continue;
        }
        if (!command_run(loader->conf, loader, &line, &err)) {
            snprintf(where, sizeof where, "%s:%u", file, line.number);
            loader_complain(loader, where, true, &err);
        }
        line_fini(&line);
    }
}

void load_file(struct loader *loader, const char *path, const char *where)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(CONF_MAX_BYTES);
    if (!open_file(loader, path, &text, &err)) {
        loader_complain(loader, where, true, &err);
    } else {
        run_lines(loader, keep_name(loader->conf, path), buf_str(&text));
        loader->depth--;
    }
    buf_fini(&text);
}

bool conf_read(const char *path, struct buf *text, struct err *err)
{
    struct buf all = BUF_INIT(4096); /* warnings were for the file that is loaded at the start */
    struct err first = ERR_INIT;
    struct loader loader = {.all = &all, .first = &first};
    bool ok = open_file(&loader, path, text, err);
    buf_fini(&all);
    return ok;
}

static char *find_file(struct err *err)
{
    char *home = path_config_home(err);
    if (!home)
        return NULL;
    char *path = path_join(home, "tuimail/tuimailrc");
    free(home);
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    path = path_expand_home("~/.tuimailrc");
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return mem_dup_z("");
}

static char *own_file(const char *option, const char *usual, struct err *err)
{
    if (option[0])
        return path_expand_home(option);
    char *home = path_config_home(err), *path = home ? path_join(home, usual) : NULL;
    free(home);
    return path;
}

char *conf_rule_file(const struct conf *conf, struct err *err)
{
    return own_file(conf->rule_file, "tuimail/rules", err);
}

char *conf_alias_file(const struct conf *conf, struct err *err)
{
    return own_file(conf->alias_file, "tuimail/aliases", err);
}

char *conf_saved_file(const struct conf *conf, struct err *err)
{
    return own_file(conf->saved_file, "tuimail/saved", err);
}

static bool write_rules(const char *path, const struct buf *all, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? mem_dup_n(path, (size_t)(slash - path)) : NULL;
    bool ok = (!all->full || err_set(err, ERR_LIMIT, "%s is too long", path)) &&
              (!dir || access(dir, F_OK) == 0 || fs_mkdir_private(dir, err)) &&
              fs_write_atomic(path, 0600, buf_str(all), err);
    free(dir);
    return ok;
}

/* Where the newest line begins that is `text`; SIZE_MAX: there is none. */
static size_t last_line(struct str all, struct str text)
{
    size_t found = SIZE_MAX, at = 0;
    struct str rest = all, line;
    while (rest.n > 0 && str_split(&rest, '\n', &line)) {
        if (str_eq(str_trim(line), str_trim(text)))
            found = at;
        at = all.n - rest.n;
    }
    return found;
}

/* A rule put into the file of rules, or taken out of it. */
static bool change_rules(struct conf *conf, struct str text, bool drop, struct err *err)
{
    struct buf was = BUF_INIT(CONF_MAX_BYTES), now = BUF_INIT(CONF_MAX_BYTES);
    struct str rest = text;
    struct line line = {.n = 0};
    struct err gone = ERR_INIT;
    unsigned number = 1;
    char *path = conf_rule_file(conf, err);
    bool ok = path && (access(path, F_OK) != 0 || fs_read(path, CONF_MAX_BYTES - 1, &was, err)) &&
              line_next(&rest, "", &number, &line, err) == 1;
    size_t at = ok && drop ? last_line(buf_str(&was), text) : was.n;
    if (ok && at == SIZE_MAX)
        ok = err_set(err, ERR_USAGE, "the rule stands no more in %s", path);
    if (ok) {
        rest = str_sub(buf_str(&was), at, was.n);
        buf_adds(&now, str_sub(buf_str(&was), 0, at));
        if (drop && str_split(&rest, '\n', &(struct str){0}))
            buf_adds(&now, rest);
        else if (!drop)
            buf_addf(&now, "%s%.*s\n", now.n > 0 && now.p[now.n - 1] != '\n' ? "\n" : "", STR_FMT(text));
    }
    ok = ok && (drop || conf_run(conf, &line, err));
    bool written = ok && write_rules(path, &now, err);
    if (ok && written == drop) /* another tuimail's rule is not known here */
        conf_rule_drop(conf, &line, &gone);
    line_fini(&line);
    free(path);
    buf_fini(&was);
    buf_fini(&now);
    return written;
}

bool conf_rule_keep(struct conf *conf, struct str text, struct err *err)
{
    return change_rules(conf, text, false, err);
}

bool conf_rule_unkeep(struct conf *conf, struct str text, struct err *err)
{
    return change_rules(conf, text, true, err);
}

/* What tuimail writes itself. Without a home there is none. */
static void load_own(struct loader *loader)
{
    struct err none = ERR_INIT;
    char *paths[] = {conf_alias_file(loader->conf, &none), conf_rule_file(loader->conf, &none),
                     conf_saved_file(loader->conf, &none)};
    for (size_t i = 0; i < COUNT(paths); i++) {
        loader->own = i == 2;
        if (paths[i] && access(paths[i], F_OK) == 0)
            load_file(loader, paths[i], "");
        free(paths[i]);
    }
    loader->own = false;
}

bool conf_load_anyway(const char *file, struct conf **conf_r, struct buf *all, struct err *err)
{
    char *path = file ? mem_dup_z(file) : find_file(err);
    *conf_r = NULL;
    if (!path)
        return false;
    struct conf *conf = conf_defaults();
    free(conf->file);
    conf->file = path;
    struct loader loader = {.conf = conf, .all = all, .first = err};
    if (path[0])
        load_file(&loader, path, "");
    load_own(&loader);
    conf_check(&loader);
    *conf_r = conf;
    return !loader.failed;
}

bool conf_load(const char *file, struct conf **conf_r, struct buf *all, struct err *err)
{
    struct conf *conf;
    bool ok = conf_load_anyway(file, &conf, all, err);
    if (ok)
        *conf_r = conf;
    else
        conf_free(&conf);
    return ok;
}

bool conf_run(struct conf *conf, const struct line *line, struct err *err)
{
    if (line->n == 0)
        return true;
    size_t naccounts = conf->naccounts;
    bool ok = command_run(conf, NULL, line, err);
    if (ok && conf->naccounts == naccounts + 1 && !account_check(conf, &conf->accounts[naccounts], err)) {
        account_fini(&conf->accounts[--conf->naccounts]);
        ok = false;
    }
    if (!ok && line->file && line->file[0])
        err_prefix(err, "%s:%u", line->file, line->number);
    return ok;
}

char *conf_root(const struct conf *conf, const char *store_arg, struct err *err)
{
    const char *given = store_arg && store_arg[0] ? store_arg : conf->store;
    if (given[0]) {
        char *path = path_expand_home(given), cwd[PATH_MAX];
        if (path[0] == '/')
            return path;
        if (!getcwd(cwd, sizeof cwd)) {
            err_sys(err, ERR_IO, errno, "the working directory");
            free(path);
            return NULL;
        }
        char *absolute = path_join(cwd, path);
        free(path);
        return absolute;
    }
    char *home = path_data_home(err);
    if (!home)
        return NULL;
    char *root = path_join(home, "tuimail");
    free(home);
    return root;
}
