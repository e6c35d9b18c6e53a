/* tuimail dump: the tables, for manual pages, completions and tests. */
#include "cli/cli.h"
#include "ui/ui.h"

enum { TSV, MAN, SAMPLE };

/* Text for roff: backslashes, and the dot and quote at a line's start, must not be requests. */
static void roff(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        bool start = out->n == 0 || out->p[out->n - 1] == '\n';
        if (start && (*p == '.' || *p == '\''))
            buf_addz(out, "\\&");
        if (*p == '\\')
            buf_addz(out, "\\e");
        else if (*p == '-')
            buf_addz(out, "\\-");
        else if (*p == '|' && p[1])
            buf_addz(out, "|\\:"); /* a line may end there */
        else
            buf_addc(out, *p);
    }
}

static void option_row(struct buf *out, const struct option *o, unsigned format)
{
    if (format == TSV) {
        buf_addf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", o->name, o->scope == OPT_ACCOUNT ? "account" : "global",
                 option_type_name(o->type), o->def, o->choices ? o->choices : "", o->help);
        return;
    }
    if (format == SAMPLE) {
        buf_addf(out, "# %s%s%s%s\n#set %s%s ", o->help, o->choices ? " (" : "", o->choices ? o->choices : "",
                 o->choices ? ")" : "", o->scope == OPT_ACCOUNT ? "-a work " : "", o->name);
        line_quote(str_z(o->def), out);
        buf_addc(out, '\n');
        return;
    }
    buf_addz(out, ".TP\n.B ");
    roff(out, o->name);
    buf_addz(out, " \\fI");
    roff(out, o->choices ? o->choices : option_type_name(o->type));
    buf_addz(out, "\\fR\n");
    roff(out, o->help);
    buf_addc(out, '.');
    if (o->more) {
        buf_addc(out, ' ');
        roff(out, o->more);
    }
    if (o->acts == ACTS_START)
        buf_addz(out, " It acts when tuimail starts.");
    if (o->max) {
        buf_addf(out, " From %llu to %llu%s%s.", (unsigned long long)o->min, (unsigned long long)o->max,
                 o->unit ? " " : "", o->unit ? o->unit : "");
    }
    if (o->def[0]) {
        buf_addz(out, " Default: ");
        roff(out, o->def);
        buf_addc(out, '.');
    }
    buf_addc(out, '\n');
}

static bool dump_options(struct buf *out, unsigned format, struct err *err)
{
    (void)err;
    static const char *const titles[] = {[OPT_GLOBAL] = "OPTIONS", [OPT_ACCOUNT] = "OPTIONS OF AN ACCOUNT"};
    for (unsigned scope = OPT_ACCOUNT + 1; scope-- > 0;) {
        if (format == MAN)
            buf_addf(out, ".SH %s\n", titles[scope]);
        for (size_t i = 0; i < conf_noptions; i++)
            if (conf_options[i].scope == scope)
                option_row(out, &conf_options[i], format);
    }
    return true;
}

static void contexts(struct buf *out, unsigned in)
{
    if (in == IN_ANY)
        buf_addz(out, "everywhere");
    for (unsigned c = 0, n = 0; c < CTX_COUNT; c++)
        if (in & IN(c))
            buf_addf(out, "%s%s", n++ ? " " : "", cmd_context_name((enum cmd_context)c));
}

static void command_row(struct buf *out, const struct command *c, const struct keymap *map, unsigned format)
{
    struct buf usage = BUF_INIT(400), keys = BUF_INIT(400);
    cmd_usage(c, &usage);
    for (unsigned i = 0; i < CTX_COUNT && keys.n == 0; i++)
        if (c->in == IN_ANY || (c->in & IN(i)))
            keymap_where(map, (enum cmd_context)i, c->name, &keys);
    if (format == TSV) {
        buf_addf(out, "%s\t%s\t", c->name, buf_z(&usage));
        contexts(out, c->in);
        buf_addf(out, "\t%s\t%s\n", buf_z(&keys), c->help);
    } else {
        buf_addz(out, ".TP\n.B ");
        roff(out, buf_z(&usage));
        buf_addz(out, "\n");
        char first[2] = {(char)(c->help[0] >= 'a' && c->help[0] <= 'z' ? c->help[0] - 0x20 : c->help[0]), '\0'};
        roff(out, first);
        roff(out, c->help + (c->help[0] != '\0'));
        buf_addc(out, '.');
        if (c->more) {
            buf_addc(out, ' ');
            roff(out, c->more);
        }
        if (keys.n) {
            buf_addz(out, " Keys: ");
            roff(out, buf_z(&keys));
            buf_addc(out, '.');
        }
        buf_addc(out, '\n');
    }
    buf_fini(&usage);
    buf_fini(&keys);
}

static bool dump_commands(struct buf *out, unsigned format, struct err *err)
{
    struct keymap *map = keymap_new();
    bool ok = keymap_defaults(map, "mutt", err);
    for (size_t i = 0; ok && i < ui_lang.ncommands; i++)
        if (!(ui_lang.commands[i].flags & CMD_HIDDEN))
            command_row(out, &ui_lang.commands[i], map, format);
    keymap_free(&map);
    return ok;
}

/* ---- Keys: each must name a command that there is ----------------------------------------------- */

struct keys {
    struct buf *out;
    unsigned format;
    enum cmd_context context;
    bool ok;
    struct err *err;
};

static void key_row(void *arg, const struct binding *b)
{
    struct keys *k = arg;
    if (b->context != k->context)
        return;
    struct buf keys = BUF_INIT(200);
    keys_format(b->keys, b->n, &keys);
    struct line line = {.words = (char *[]){(char[]){"on"}, (char[]){"any"}, b->command, NULL}, .n = 3};
    struct cmd_lang lang = ui_lang;
    lang.events = NULL;
    struct err err = ERR_INIT;
    if (k->ok && !cmd_check_line(&lang, &line, &err))
        k->ok = err_set(k->err, ERR_CONFIG, "default key %s in %s: %s", buf_z(&keys), cmd_context_name(b->context),
                        err.text);
    if (k->format == TSV) {
        buf_addf(k->out, "%s\t%s\t%s\n", cmd_context_name(b->context), buf_z(&keys), b->command);
    } else {
        buf_addz(k->out, ".TP\n.B ");
        roff(k->out, buf_z(&keys));
        buf_addc(k->out, '\n');
        roff(k->out, b->command);
        buf_addc(k->out, '\n');
    }
    buf_fini(&keys);
}

static bool dump_keys(struct buf *out, unsigned format, struct err *err)
{
    bool ok = true;
    for (size_t p = 0; ok && keymap_profiles[p].name; p++) {
        struct keymap *map = keymap_new();
        struct buf unused = BUF_INIT(1 << 20);
        struct keys k = {.out = p ? &unused : out,
                         .format = format,
                         .ok = keymap_defaults(map, keymap_profiles[p].name, err),
                         .err = err};
        for (unsigned c = 0; k.ok && c < CTX_COUNT; c++) {
            k.context = (enum cmd_context)c;
            if (format == MAN)
                buf_addf(k.out, ".SS %s\n", cmd_context_name(k.context));
            keymap_each(map, k.context, NULL, 0, key_row, &k);
        }
        ok = k.ok;
        buf_fini(&unused);
        keymap_free(&map);
    }
    return ok;
}

/* What each set of keys has otherwise than the default one. */
static bool dump_profiles(struct buf *out, unsigned format, struct err *err)
{
    for (size_t p = 1; keymap_profiles[p].name; p++) {
        struct str rest = str_z(keymap_profile(keymap_profiles[p].name));
        unsigned number = 1;
        struct line line;
        if (format == MAN) {
            buf_addf(out, ".SS %s\n", keymap_profiles[p].name);
            roff(out, keymap_profiles[p].help);
            buf_addz(out, ".\n.PP\n.nf\n");
        }
        while (line_next(&rest, "", &number, &line, err) == 1) {
            struct buf text = BUF_INIT(LINE_MAX_BYTES);
            for (size_t i = 0; i < line.n; i++) {
                buf_addz(&text, i ? " " : "");
                line_quote(str_z(line.words[i]), &text);
            }
            if (format == TSV)
                buf_addf(out, "%s\t%s", keymap_profiles[p].name, buf_z(&text));
            else
                roff(out, buf_z(&text));
            buf_addc(out, '\n');
            line_fini(&line);
            buf_fini(&text);
        }
        if (format == MAN)
            buf_addz(out, ".fi\n");
    }
    return err->kind == ERR_NONE;
}

static void dump_word(struct buf *out, const struct cmd_word *w)
{
    buf_addz(out, ".TP\n.B ");
    roff(out, w->name);
    buf_addc(out, '\n');
    char first[2] = {(char)(w->help[0] >= 'a' && w->help[0] <= 'z' ? w->help[0] - 0x20 : w->help[0]), '\0'};
    roff(out, first);
    roff(out, w->help + 1);
    buf_addz(out, ".\n");
}

static bool dump_events(struct buf *out, unsigned format, struct err *err)
{
    (void)err;
    for (size_t i = 0; ui_lang.events[i].name; i++) {
        const struct cmd_word *e = &ui_lang.events[i];
        const char *values = ui_lang.event_values[i];
        if (format == TSV) {
            buf_addf(out, "%s\t%s\t%s\n", e->name, e->help, values);
            continue;
        }
        dump_word(out, e);
        if (*values) {
            buf_addz(out, "Values: ");
            roff(out, values);
            buf_addz(out, ".\n");
        }
    }
    return true;
}

static bool dump_values(struct buf *out, unsigned format, struct err *err)
{
    (void)err;
    for (const struct cmd_word *v = ui_lang.values; v->name; v++)
        if (format == TSV)
            buf_addf(out, "%s\t%s\n", v->name, v->help);
        else
            dump_word(out, v);
    return true;
}

/* For those whose text says all there is to say to who meets them. */
static const char *error_help(enum err_kind kind)
{
    static const struct {
        enum err_kind kind;
        const char *help;
    } rows[] = {
        {ERR_CANCELED, "It was stopped, by a key or a signal. What was done stays; the same command does the rest."},
        {ERR_SERVER_NO, "The server refused just this; its own words are in the text. The rest goes on."},
        {ERR_NOT_UNDOABLE, "The text says why: it was done too long ago, is final, or was changed since."},
        {ERR_PARSE, "What was read is not of the format that it should be; the text names the place."},
        {ERR_NO_MAILDIR, "The path is there and is no Maildir; the text says what is missing."},
        {ERR_STORE, "The state is damaged or cannot be used; the text names the file and what to do with it."},
        {ERR_NO_SCREEN, "No tuimail runs in a terminal that could do it: start one, or name its session."},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].kind == kind)
            return rows[i].help;
    return err_hint(kind);
}

static bool dump_errors(struct buf *out, unsigned format, struct err *err)
{
    (void)err;
    static const char *const scopes[] = {"message", "mailbox", "account", "program"};
    static const char *const retries[] = {"never", "now", "later", "after a change"};
    for (unsigned k = 1; k < ERR_COUNT; k++) {
        enum err_kind kind = (enum err_kind)k;
        if (format == TSV) {
            buf_addf(out, "%s\t%d\t%s\t%s\t%s\n", err_name(kind), err_exit(kind), scopes[err_scope(kind)],
                     retries[err_retry(kind)], err_hint(kind));
        } else {
            buf_addf(out, ".TP\n.B %d\n", err_exit(kind));
            roff(out, err_name(kind));
            buf_addz(out, ". ");
            roff(out, error_help(kind));
            buf_addc(out, '\n');
        }
    }
    return true;
}

/* What `color` colours. */
static bool dump_things(struct buf *out, unsigned format, struct err *err)
{
    (void)err;
    for (size_t i = 0; ui_lang.things[i]; i++) {
        if (format == TSV) {
            buf_addf(out, "%s\t%s\n", ui_lang.things[i], ui_lang.thing_help[i]);
            continue;
        }
        buf_addz(out, ".TP\n.B ");
        roff(out, ui_lang.things[i]);
        buf_addc(out, '\n');
        roff(out, ui_lang.thing_help[i]);
        buf_addc(out, '\n');
    }
    return true;
}

/* Subcommands: for the shell's completion and tuimail(1). */
static bool dump_words(struct buf *out, unsigned format, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < cli_ncommands; i++) {
        const struct subcommand *c = &cli_commands[i];
        if (format == TSV) {
            buf_addf(out, "%s\t%s\t%s\n", c->name, c->args, c->help);
            continue;
        }
        buf_addz(out, ".TP\n.B tuimail ");
        roff(out, c->name);
        buf_addz(out, " \\fR");
        roff(out, c->args);
        buf_addc(out, '\n');
        char first[2] = {(char)(c->help[0] - 0x20), '\0'};
        roff(out, first);
        roff(out, c->help + 1);
        buf_addz(out, c->more[0] ? ". " : ".");
        roff(out, c->more);
        buf_addc(out, '\n');
    }
    return true;
}

#define TABLES "options commands keys errors words profiles events values things"
int dump_main(struct cli *cli)
{
    static bool (*const tables[])(struct buf *, unsigned, struct err *) = {dump_options, dump_commands, dump_keys,
                                                                           dump_errors,  dump_words,    dump_profiles,
                                                                           dump_events,  dump_values,   dump_things};
    struct err err = ERR_INIT;
    unsigned what = 0, format = TSV;
    struct buf out = BUF_INIT(1 << 20);
    bool ok = cli->argc >= 1 && cli->argc <= 2;
    if (!ok)
        err_set(
            &err, ERR_USAGE,
            "write: tuimail dump options|commands|keys|errors|words|profiles|events|values|things [tsv|man|sample]");
    ok = ok && cli_choice("dump", cli->argv[0], TABLES, &what, &err) &&
         (cli->argc == 1 || cli_choice("dump", cli->argv[1], "tsv man sample", &format, &err));
    if (ok && format == SAMPLE && what != 0)
        ok = err_set(&err, ERR_USAGE, "only options have a sample");
    ok = ok && tables[what](&out, format, &err);
    if (ok && !out_flush(&out))
        ok = err_set(&err, ERR_IO, "nobody reads the output");
    buf_fini(&out);
    return ok ? 0 : cli_fail(&err);
}
