/* Options, colours, keys and hooks: from tuimailrc at the start, by command later. */
#include "ui/extra.h"

#include <fcntl.h>
#include <unistd.h>

const struct command ui_command_rows[] = {
#define CMD(name, args, in, flags, help, fn, more) {name, args, in, flags, help, fn, more},
#include "ui/commands.def"
#include "ui/compose.def"
#undef CMD
};
const struct cmd_lang ui_lang = {ui_command_rows, COUNT(ui_command_rows), ui_events,   ui_values,
                                 ui_event_values, theme_things,           theme_names, theme_help};

void ui_list_settings(const struct ui *ui, struct list *l)
{
    list_set_threads(l, !strcmp(ui->conf->list_view, "threads"));
    ui_sort_list(ui, l);
    list_set_group(l, !strcmp(ui->conf->group, "day"));
    list_fold_all(l, ui->conf->fold_threads);
    list_set_across(l, ui->conf->threads_across);
}

static bool list_settings(struct ui *ui, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ui->depth; i++)
        ui_list_settings(ui, ui->stack[i]);
    return false;
}

/* `name`: that option was set; NULL: all. What a command changed since stays. */
static void apply_options(struct ui *ui, const char *name)
{
#define IS(option) (!name || !strcmp(name, option))
    text_set_ambiguous_wide(ui->conf->ambiguous_wide);
    panes_options(ui, name);
    if (IS("list-view") || IS("fold-threads") || IS("threads-across") || IS("sort") || IS("group"))
        buffer_find(ui, list_settings, NULL);
    ui->grid.reordered = false; /* until it is drawn so again */
    ui->grid.bidi = !strcmp(ui->conf->bidi, "off")        ? BIDI_OFF
                    : !strcmp(ui->conf->bidi, "terminal") ? BIDI_TERMINAL
                                                          : BIDI_REORDER;
    enum term_signs signs = ui->term ? ui->term->signs : SIGNS_ALL;
    bool by_terminal = !strcmp(ui->conf->ascii, "auto");
    ui->grid.ascii = signs == SIGNS_NO_UTF8 || (by_terminal && signs == SIGNS_ASCII) || !strcmp(ui->conf->ascii, "yes");
    ui->grid.plain = by_terminal && signs == SIGNS_PLAIN;
    ui->grid.words = ui->conf->accessible;
    bool slow = ui->term && ui->term->slow;
    ui->grid.arrow = !strcmp(ui->conf->arrow_cursor, "yes") || (slow && !strcmp(ui->conf->arrow_cursor, "auto"));
    if (IS("escape-time") && ui->term && ui->term->escape)
        ui->term->escape(ui->term->arg, ui->conf->escape_time);
    if (IS("mouse") && ui->term && ui->term->mouse)
        ui->term->mouse(ui->term->arg, ui->conf->mouse);
#undef IS
}

void ui_line_is(struct ui *ui)
{
    apply_options(ui, "arrow-cursor");
    ui->dirty = true;
}

/* A line that conf keeps for the screen. */
static bool run_kept(struct ui *ui, const struct line *line, struct err *err)
{
    if (line->n && !strcmp(line->words[0], "on"))
        return ui_hook(ui, line, err);
    if (line->n && !strcmp(line->words[0], "color"))
        return theme_color(&ui->theme, line->words, line->n, err);
    return keymap_line(ui->keymap, line, err);
}

static void load_keys(struct ui *ui)
{
    struct err err = ERR_INIT;
    keymap_free(&ui->keymap);
    ui->keymap = keymap_new();
    if (!keymap_defaults(ui->keymap, ui->conf->keys, &err))
        ui_note_err(ui, &err);
}

/* Without colours it is mono, whatever it is called. The user's own color lines stay on top of it. */
static bool load_theme(struct ui *ui, const char *name, struct err *err)
{
    unsigned colors = ui->term ? ui->term->colors : 256;
    if (!theme_load(&ui->theme, !colors || !strcmp(name, "default") ? theme_for(colors) : name, err))
        return false;
    for (size_t i = 0; i < ui->conf->nui_lines; i++) {
        const struct line *line = &ui->conf->ui_lines[i];
        struct err told = ERR_INIT; /* by the check of tuimailrc */
        if (line->n && !strcmp(line->words[0], "color"))
            theme_color(&ui->theme, line->words, line->n, &told);
    }
    return true;
}

void ui_load_settings(struct ui *ui)
{
    struct err err = ERR_INIT;
    apply_options(ui, NULL);
    if (!load_theme(ui, ui->conf->theme, &err)) {
        ui_note_err(ui, &err);
        load_theme(ui, "default", &err);
    }
    load_keys(ui);
    for (size_t i = 0; i < ui->conf->nui_lines; i++) {
        const struct line *line = &ui->conf->ui_lines[i];
        err = ERR_INIT;
        if (!run_kept(ui, line, &err)) {
            err_prefix(&err, "%s:%u", line->file ? line->file : "tuimailrc", line->number);
            ui_note_err(ui, &err);
        }
    }
}

/* Another set of keys: what the user bound goes on top of it again. */
static void change_keys(struct ui *ui)
{
    struct err err = ERR_INIT;
    load_keys(ui);
    for (size_t i = 0; i < ui->conf->nui_lines; i++)
        keymap_line(ui->keymap, &ui->conf->ui_lines[i], &err);
}

/* The command's own words again, as a line for conf and cmd. */
static struct line line_of(const struct cmd_args *args, char **words)
{
    size_t n = 0;
    words[n++] = mem_dup_z(args->command->name);
    for (const char *flag = "am"; *flag; flag++)
        if (cmd_flag_value(args, *flag)) {
            const char word[] = {'-', *flag, '\0'};
            words[n++] = mem_dup_z(word);
            words[n++] = mem_dup_z(cmd_flag_value(args, *flag));
        }
    for (size_t i = 0; i < args->n && n < 60; i++)
        words[n++] = mem_dup_z(args->words[i]);
    return (struct line){.words = words, .n = n, .file = args->file ? args->file : ":", .number = args->line};
}

static void free_words(char **words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(words[i]);
}

static bool show_option(struct ui *ui, const char *account, const char *name, struct err *err)
{
    const struct option *option;
    struct account *a;
    struct buf value = BUF_INIT(4096);
    if (!option_target(ui->conf, "set", account, name, &a, &option, err))
        return false;
    option_get(ui->conf, a, option, &value);
    if (ui->answer) /* for a program: the value alone */
        buf_addf(ui->answer, "%s\n", buf_z(&value));
    else
        ui_note(ui, NOTE_INFO, "%s is %s", name, value.n ? buf_z(&value) : "empty");
    buf_fini(&value);
    return true;
}

static void on_setting(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "%.*s", STR_FMT(m->u.REFUSED.text));
}

static bool send_setting(struct ui *ui, struct str line, struct err *err)
{
    uint32_t req = ui_request(ui, on_setting, NULL);
    if (SEND(ui->client->chan, -1, err, SETTING, .req = req, .line = line))
        return true;
    ui_forget(ui, req);
    return false;
}

static void line_words(const struct cmd_args *args, struct buf *text)
{
    char *words[64];
    struct line line = line_of(args, words);
    for (size_t i = 0; i < line.n; i++) {
        if (i > 0)
            buf_addc(text, ' ');
        line_quote(str_z(line.words[i]), text);
    }
    free_words(words, line.n);
}

/* What the store does by it: at once, and again when it begins anew. What it does not hear of now it hears of then. */
static bool tell_store(struct ui *ui, const struct cmd_args *args, struct err *err)
{
    struct buf text = BUF_INIT(SETTING_LINE_MAX);
    line_words(args, &text);
    bool ok = !text.full || err_set(err, ERR_LIMIT, "the line is too long");
    if (ok && ui_online(ui))
        ok = send_setting(ui, buf_str(&text), err);
    buf_fini(&text);
    return ok;
}

/* The programs that are started from here and later read tuimailrc for themselves. */
static bool tell_programs(struct ui *ui, const struct line *line, struct err *err)
{
    struct buf *settings = &ui_extra(ui)->settings;
    if (settings->max == 0)
        *settings = BUF_INIT(SETTINGS_MAX);
    if (!settings_add(settings, line, err))
        return false;
    role_env(SETTINGS_ENV, buf_str(settings));
    helper_end(&ui->spare_search);
    return true;
}

void ui_settings_again(struct ui *ui)
{
    struct str rest = buf_str(&ui_extra(ui)->settings), line;
    struct err err = ERR_INIT;
    while (err.kind == ERR_NONE && str_split(&rest, '\n', &line))
        if (line.n > 0 && !send_setting(ui, line, &err))
            ui_note_err(ui, &err);
}

bool run_mailbox(void *context, const struct cmd_args *args, struct err *err)
{
    return run_set(context, args, err);
}

bool run_tag_keyword(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    char *words[64];
    struct line line = line_of(args, words);
    bool ok = conf_run(ui->conf, &line, err);
    free_words(words, line.n);
    return ok && tell_store(ui, args, err);
}

/* What is read at the start alone is accepted where it is what it was. */
static bool may_act(const struct ui *ui, const struct option *o, const struct account *a, struct str was,
                    struct err *err)
{
    struct buf is = BUF_INIT(LINE_MAX_BYTES);
    option_get(ui->conf, a, o, &is);
    bool same = str_eq(buf_str(&is), was);
    buf_fini(&is);
    return o->acts != ACTS_START || same ||
           err_set(err, ERR_USAGE, "%s acts when tuimail starts: write this line into %s and start it anew", o->name,
                   ui->conf->file[0] ? ui->conf->file : "tuimailrc");
}

/* Sets it here. What cannot be is as it was before. */
static bool set_here(struct ui *ui, const struct line *line, struct err *err)
{
    const char *name;
    const struct option *o = setting_option(line, &name);
    struct account *a = o ? conf_account(ui->conf, name) : NULL;
    struct buf was = BUF_INIT(LINE_MAX_BYTES);
    struct err ignored = ERR_INIT;
    if (o && (a || o->scope == OPT_GLOBAL))
        option_get(ui->conf, a, o, &was);
    bool ok = conf_run(ui->conf, line, err);
    if (ok && o &&
        !(may_act(ui, o, a, buf_str(&was), err) &&
          (strcmp(o->name, "theme") != 0 || load_theme(ui, ui->conf->theme, err))))
        ok = option_set(ui->conf, a, o, buf_z(&was), &ignored) && false;
    buf_fini(&was);
    return ok;
}

/* What is not the screen's alone acts everywhere. */
static bool set_elsewhere(struct ui *ui, const struct line *line, const struct cmd_args *args, struct err *err)
{
    const struct option *o = setting_option(line, NULL);
    bool programs = o && (o->acts == ACTS_STORE || o->acts == ACTS_CONNECTION);
    if (!programs && strcmp(line->words[0], "mailbox") != 0)
        return true;
    return (!programs || tell_programs(ui, line, err)) && tell_store(ui, args, err);
}

bool run_set(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    char *words[64];
    if (!strcmp(args->command->name, "set") && args->n == 1)
        return show_option(ui, cmd_flag_value(args, 'a'), args->words[0], err);
    struct line line = line_of(args, words);
    line.file = NULL; /* nobody needs to be told where it was typed */
    bool ok = set_here(ui, &line, err);
    bool told = ok && set_elsewhere(ui, &line, args, err);
    free_words(words, line.n);
    if (!ok)
        return false;
    apply_options(ui, args->words[0]);
    if (!strcmp(args->words[0], "keys"))
        change_keys(ui);
    for (unsigned a = 0; a < ui->accts.n; a++) /* conf may have moved its accounts */
        ui->accts.list[a].conf = conf_account(ui->conf, ui->accts.list[a].name);
    ui->boxes.stale = true;
    return told;
}

bool run_theme(void *context, const struct cmd_args *args, struct err *err)
{
    return load_theme(context, cmd_arg(args, 0), err);
}

bool run_keys(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (!option_set(ui->conf, NULL, option_find("keys"), cmd_arg(args, 0), err))
        return false;
    change_keys(ui);
    return true;
}

bool run_color(void *context, const struct cmd_args *args, struct err *err)
{
    char *words[64];
    struct line line = line_of(args, words);
    bool ok = theme_color(&((struct ui *)context)->theme, line.words, line.n, err);
    free_words(words, line.n);
    return ok;
}

bool ui_setting_line(struct ui *ui, const struct cmd_args *args, struct err *err)
{
    char *words[64];
    struct line line = line_of(args, words);
    bool ok = cmd_check_line(&ui_lang, &line, err) && run_kept(ui, &line, err);
    if (ok)
        ok = conf_run(ui->conf, &line, err);
    free_words(words, line.n);
    return ok;
}

/* ---- source ---- */
/* Beside the file that names it, where that is one. */
static char *source_path(const struct cmd_args *args)
{
    char *path = path_expand_home(cmd_arg(args, 0));
    const char *slash = args->file ? strrchr(args->file, '/') : NULL;
    if (path[0] == '/' || !slash)
        return path;
    char *dir = mem_dup_n(args->file, (size_t)(slash - args->file) + 1), *joined = path_join(dir, path);
    free(dir);
    free(path);
    return joined;
}

/* The first complaint is in *err; the other lines are run all the same. */
static unsigned run_file(struct ui *ui, const char *path, struct str rest, struct err *err)
{
    unsigned number = 1, wrong = 0;
    struct line line;
    for (;;) {
        struct err one = ERR_INIT;
        int got = line_next(&rest, path, &number, &line, &one);
        if (got == 0)
            return wrong;
        bool ok = got > 0 && ui_run_line(ui, &line, &one);
        if (got > 0 && !ok)
            err_prefix(&one, "%s:%u", path, line.number);
        line_fini(&line);
        if (!ok && wrong++ == 0)
            *err = one;
    }
}

bool run_source(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct buf text = BUF_INIT(CONF_MAX_BYTES);
    if (ui->sourcing == CONF_MAX_DEPTH)
        return err_set(err, ERR_CONFIG, "source goes deeper than %d files", CONF_MAX_DEPTH);
    char *path = source_path(args);
    bool ok = conf_read(path, &text, err);
    ui->sourcing++;
    unsigned wrong = ok ? run_file(ui, path, buf_str(&text), err) : 0;
    ui->sourcing--;
    if (wrong > 1)
        ui_note_quiet(ui, "%s: %u lines are wrong", path, wrong);
    buf_fini(&text);
    free(path);
    return ok && !wrong;
}
