/* Commands: finding them, and their arguments. */
#include "cmd/internal.h"

static const char *const kind_names[] = {
    [ARG_WORD] = "word",       [ARG_TEXT] = "text",       [ARG_NUMBER] = "number",
    [ARG_MAILBOX] = "mailbox", [ARG_TAG] = "tag",         [ARG_TAGS] = "tags",
    [ARG_ADDRESS] = "address", [ARG_FILE] = "file",       [ARG_DIRECTORY] = "directory",
    [ARG_ACCOUNT] = "account", [ARG_QUERY] = "query",     [ARG_OPTION] = "option",
    [ARG_VALUE] = "value",     [ARG_COMMAND] = "command", [ARG_COMMAND_NAME] = "command-name",
    [ARG_KEYS] = "keys",       [ARG_CONTEXT] = "context", [ARG_EVENT] = "event",
    [ARG_COLOR] = "color",     [ARG_THEME] = "theme",     [ARG_SHELL] = "shell",
    [ARG_SAVED] = "saved",     [ARG_PLACE] = "place",     [ARG_CHOICE] = "choice",
    [ARG_WHEN] = "when",       [ARG_TOPIC] = "topic",     [ARG_LOOK] = "look",
};
_Static_assert(COUNT(kind_names) == ARG_KIND_COUNT, "an argument kind without a name");

const char *cmd_kind_name(enum arg_kind kind)
{
    return (unsigned)kind < ARG_KIND_COUNT ? kind_names[kind] : "word";
}

const struct command *cmd_find(const struct cmd_lang *lang, const char *name)
{
    for (size_t i = 0; i < lang->ncommands; i++)
        if (strcmp(lang->commands[i].name, name) == 0)
            return &lang->commands[i];
    return NULL;
}

static bool begins(const struct command *c, const char *name)
{
    return !(c->flags & CMD_HIDDEN) && *name && strncmp(c->name, name, strlen(name)) == 0;
}

const struct command *cmd_meant(const struct cmd_lang *lang, const char *name)
{
    const struct command *exact = cmd_find(lang, name), *found = exact;
    for (size_t i = 0; !exact && i < lang->ncommands; i++) {
        if (!begins(&lang->commands[i], name))
            continue;
        if (found)
            return NULL;
        found = &lang->commands[i];
    }
    return found;
}

/* ---- The spec ----------------------------------------------------------------------------------- */

static void parse_kind(struct str name, struct spec_item *item)
{
    size_t bar;
    item->kind = ARG_WORD;
    item->choices = name;
    if (str_find(name, '|', &bar)) {
        item->kind = ARG_CHOICE;
        return;
    }
    for (size_t k = 0; k < ARG_KIND_COUNT; k++)
        if (str_eqz(name, kind_names[k]))
            item->kind = (enum arg_kind)k;
}

void spec_parse(const char *text, struct spec *spec_r)
{
    struct str rest = str_z(text), piece;
    *spec_r = (struct spec){.n = 0};
    while (str_split(&rest, ' ', &piece)) {
        struct spec_item item = {.needed = true};
        if (piece.n == 0)
            continue;
        if (piece.n > 2 && piece.p[0] == '[' && piece.p[piece.n - 1] == ']') {
            item.needed = false;
            piece = str_sub(piece, 1, piece.n - 1);
        }
        if (piece.n > 3 && str_eq(str_sub(piece, piece.n - 3, piece.n), STR("..."))) {
            item.many = true;
            piece = str_sub(piece, 0, piece.n - 3);
        }
        bool flag = piece.n >= 2 && piece.p[0] == '-';
        if (flag) {
            item.flag = piece.p[1];
            item.has_value = piece.n > 3 && piece.p[2] == '=';
            piece = str_sub(piece, 3, piece.n);
        }
        parse_kind(piece, &item);
        size_t *n = flag ? &spec_r->nflags : &spec_r->n;
        if (*n == CMD_MAX_ARGS)
            bug("argument spec too long: %s", text);
        (flag ? spec_r->flags : spec_r->items)[(*n)++] = item;
    }
}

bool kind_swallows(enum arg_kind kind)
{
    return kind == ARG_TEXT || kind == ARG_WHEN || kind == ARG_COMMAND || kind == ARG_QUERY || kind == ARG_SHELL ||
           kind == ARG_ADDRESS;
}

static void usage_kind(const struct spec_item *item, struct buf *out)
{
    if (item->kind == ARG_CHOICE) {
        buf_adds(out, item->choices);
        return;
    }
    for (const char *p = cmd_kind_name(item->kind); *p; p++)
        buf_addc(out, (char)(*p >= 'a' && *p <= 'z' ? *p - 0x20 : *p));
}

void cmd_usage(const struct command *command, struct buf *out)
{
    struct spec spec;
    spec_parse(command->args, &spec);
    buf_addz(out, command->name);
    for (size_t i = 0; i < spec.nflags; i++) {
        buf_addf(out, " [-%c", spec.flags[i].flag);
        if (spec.flags[i].has_value) {
            buf_addc(out, ' ');
            usage_kind(&spec.flags[i], out);
        }
        buf_addc(out, ']');
    }
    for (size_t i = 0; i < spec.n; i++) {
        buf_addz(out, spec.items[i].needed ? " " : " [");
        usage_kind(&spec.items[i], out);
        buf_addf(out, "%s%s", spec.items[i].many ? "..." : "", spec.items[i].needed ? "" : "]");
    }
}

/* ---- Checking a line ---------------------------------------------------------------------------- */

static bool bad_usage(const struct command *command, const char *what, struct err *err)
{
    struct buf form = BUF_INIT(300);
    cmd_usage(command, &form);
    err_set(err, ERR_USAGE, "%s: %s; write: %s", command->name, what, buf_z(&form));
    buf_fini(&form);
    return false;
}

static bool unknown_command(const struct cmd_lang *lang, const char *name, struct err *err)
{
    const char **names = mem_array(lang->ncommands + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < lang->ncommands; i++)
        if (!(lang->commands[i].flags & CMD_HIDDEN))
            names[n++] = lang->commands[i].name;
    const char *near = near_word(name, names);
    free(names);
    struct buf begun = BUF_INIT(300);
    for (size_t i = 0; i < lang->ncommands; i++)
        if (begins(&lang->commands[i], name))
            buf_addf(&begun, "%s%s", begun.n ? ", " : "", lang->commands[i].name);
    if (begun.n)
        err_set(err, ERR_USAGE, "\"%.60s\" is the beginning of %s", name, buf_z(&begun));
    else if (near)
        err_set(err, ERR_USAGE, "unknown command \"%.60s\"; did you mean \"%s\"?", name, near);
    else
        err_set(err, ERR_USAGE, "unknown command \"%.60s\"", name);
    buf_fini(&begun);
    return false;
}

static bool check_word(const struct spec_item *item, const char *word, const struct command *command, struct err *err)
{
    uint64_t number;
    char what[200];
    if (item->kind == ARG_NUMBER && !str_u64(str_z(word), &number)) {
        snprintf(what, sizeof what, "\"%.60s\" is not a number", word);
        return bad_usage(command, what, err);
    }
    if (item->kind == ARG_CHOICE) {
        struct str rest = item->choices, piece;
        while (str_split(&rest, '|', &piece))
            if (str_eqz(piece, word))
                return true;
        snprintf(what, sizeof what, "\"%.60s\" is none of %.*s", word, STR_FMT(item->choices));
        return bad_usage(command, what, err);
    }
    return true;
}

/* Takes the flags at the front; "--" ends them. A word such as "-x" that is no flag of the command is an argument ("tag
 * -inbox"). */
static bool take_flags(const struct spec *spec, const struct line *line, size_t *at, struct cmd_args *args,
                       struct err *err)
{
    while (*at < line->n && line->words[*at][0] == '-') {
        const char *word = line->words[*at];
        if (strcmp(word, "--") == 0 && spec->nflags) {
            ++*at;
            return true;
        }
        size_t i = 0;
        while (i < spec->nflags && !(word[1] == spec->flags[i].flag && word[2] == '\0'))
            i++;
        if (i == spec->nflags)
            return true;
        args->flags |= 1u << i;
        ++*at;
        if (!spec->flags[i].has_value)
            continue;
        if (*at == line->n)
            return bad_usage(args->command, "the value of a flag is missing", err);
        if (!check_word(&spec->flags[i], line->words[*at], args->command, err))
            return false;
        args->flag_value[i] = line->words[(*at)++];
    }
    return true;
}

/* Joins the words from `at` on: as they are for people's text and the shell, quoted again for a command line of several
 * words. */
static void join_rest(const struct line *line, size_t at, bool command, struct cmd_args *args)
{
    struct buf joined = BUF_INIT(4 * LINE_MAX_BYTES);
    bool quote = command && at + 1 < line->n;
    for (size_t i = at; i < line->n; i++) {
        if (i > at)
            buf_addc(&joined, ' ');
        if (quote)
            line_quote(str_z(line->words[i]), &joined);
        else
            buf_addz(&joined, line->words[i]);
    }
    args->joined = buf_take(&joined, &(size_t){0});
    buf_fini(&joined);
}

bool cmd_parse(const struct cmd_lang *lang, const struct line *line, struct cmd_args *args_r, struct err *err)
{
    bool typed = line->file && !strcmp(line->file, ":");
    *args_r = (struct cmd_args){.file = line->file, .line = line->number};
    if (line->n)
        args_r->command = typed ? cmd_meant(lang, line->words[0]) : cmd_find(lang, line->words[0]);
    if (!args_r->command)
        return unknown_command(lang, line->n ? line->words[0] : "", err);
    const struct command *command = args_r->command;
    struct spec spec;
    spec_parse(command->args, &spec);
    size_t at = 1, taken = 0;
    if (!take_flags(&spec, line, &at, args_r, err))
        return false;
    args_r->words = mem_array(line->n - at + 1, sizeof *args_r->words);
    bool ok = true;
    for (size_t i = 0; ok && i < spec.n; i++) {
        const struct spec_item *item = &spec.items[i];
        if (at == line->n && item->needed)
            ok = bad_usage(command, "an argument is missing", err);
        while (ok && at < line->n) {
            if (kind_swallows(item->kind)) {
                join_rest(line, at, item->kind == ARG_COMMAND, args_r);
                args_r->words[taken++] = args_r->joined;
                at = line->n;
                break;
            }
            ok = check_word(item, line->words[at], command, err);
            args_r->words[taken++] = line->words[at++];
            if (!item->many)
                break;
        }
    }
    if (ok && at < line->n)
        ok = bad_usage(command, "too many words", err);
    args_r->n = taken;
    if (!ok)
        cmd_args_fini(args_r);
    return ok;
}

void cmd_args_fini(struct cmd_args *args)
{
    free(args->words);
    free(args->joined);
    *args = (struct cmd_args){.command = NULL};
}

static bool flag_place(const struct cmd_args *args, char flag, size_t *i_r)
{
    struct spec spec;
    spec_parse(args->command->args, &spec);
    for (size_t i = 0; i < spec.nflags; i++)
        if (spec.flags[i].flag == flag) {
            *i_r = i;
            return true;
        }
    return false;
}

bool cmd_flag(const struct cmd_args *args, char flag)
{
    size_t i;
    return flag_place(args, flag, &i) && (args->flags & (1u << i));
}

const char *cmd_flag_value(const struct cmd_args *args, char flag)
{
    size_t i;
    return flag_place(args, flag, &i) ? args->flag_value[i] : NULL;
}

const char *cmd_arg(const struct cmd_args *args, size_t i)
{
    return i < args->n ? args->words[i] : NULL;
}

/* ---- Running ------------------------------------------------------------------------------------ */

/* One walk checks, the other runs: a mistake at the end of a line keeps its front from being half done. */
static bool walk(const struct cmd_lang *lang, const char *text, const char *file, bool run, void *context,
                 struct err *err)
{
    struct str rest = str_z(text);
    unsigned number = 1;
    struct line line;
    int got;
    bool ok = true;
    while (ok && (got = line_next(&rest, file, &number, &line, err)) != 0) {
        if (got < 0)
            return false;
        struct cmd_args args;
        ok = cmd_parse(lang, &line, &args, err);
        if (ok) {
            ok = !run || args.command->run(context, &args, err);
            cmd_args_fini(&args);
        }
        line_fini(&line);
    }
    return ok;
}

bool cmd_run_text(const struct cmd_lang *lang, const char *text, const char *file, void *context, struct err *err)
{
    return walk(lang, text, file, false, context, err) && walk(lang, text, file, true, context, err);
}

bool text_check(const struct cmd_lang *lang, const char *text, struct err *err)
{
    return walk(lang, text, "", false, NULL, err);
}
