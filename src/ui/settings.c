/* Options, colours, keys and hooks: from tuimailrc at the start, by command later. */
#include "ui/private.h"

#include <fcntl.h>
#include <unistd.h>

const struct command ui_command_rows[] = {
#define CMD(name, args, in, flags, help, fn, more) {name, args, in, flags, help, fn, more},
#include "ui/commands.def"
#include "ui/compose.def"
#undef CMD
};
static const char *const events[] = {"new-mail", "start", "quit", NULL};
const struct cmd_lang ui_lang = {ui_command_rows, COUNT(ui_command_rows), events, theme_things, theme_names,
                                 theme_help};

void ui_list_settings(const struct ui *ui, struct list *l)
{
    list_set_threads(l, !strcmp(ui->conf->list_view, "threads"));
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
    if (IS("list-view") || IS("fold-threads") || IS("threads-across"))
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
#undef IS
}

static void add_hook(struct ui *ui, char *const *words, size_t n)
{
    struct buf command = BUF_INIT(LINE_MAX_BYTES);
    for (size_t i = 2; i < n; i++) {
        if (i > 2)
            buf_addc(&command, ' ');
        if (n == 3)
            buf_addz(&command, words[i]); /* one word with blanks is a command line of its own */
        else
            line_quote(str_z(words[i]), &command);
    }
    ui->hooks = mem_resize(ui->hooks, ui->nhooks + 1, sizeof *ui->hooks);
    ui->hooks[ui->nhooks++] = (struct hook){mem_dup_z(words[1]), buf_take(&command, NULL)};
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
    ui->keymap = keymap_new();
    if (!keymap_defaults(ui->keymap, ui->conf->keys, &err))
        ui_note_err(ui, &err);
    for (size_t i = 0; i < ui->conf->nui_lines; i++) {
        const struct line *line = &ui->conf->ui_lines[i];
        err = ERR_INIT;
        bool ok = true;
        if (line->n > 2 && !strcmp(line->words[0], "on"))
            add_hook(ui, line->words, line->n);
        else if (line->n && !strcmp(line->words[0], "color"))
            ok = theme_color(&ui->theme, line->words, line->n, &err);
        else
            ok = keymap_line(ui->keymap, line, &err);
        if (!ok) {
            err_prefix(&err, "%s:%u", line->file ? line->file : "tuimailrc", line->number);
            ui_note_err(ui, &err);
        }
    }
}

void ui_run_hooks(struct ui *ui, const char *event)
{
    for (size_t i = 0; i < ui->nhooks; i++)
        if (!strcmp(ui->hooks[i].event, event))
            ui_run(ui, ui->hooks[i].command);
}

/* The command's own words again, as a line for conf and cmd. */
static struct line line_of(const struct cmd_args *args, char **words)
{
    size_t n = 0;
    words[n++] = mem_dup_z(args->command->name);
    if (cmd_flag(args, 'a')) {
        words[n++] = mem_dup_z("-a");
        words[n++] = mem_dup_z(cmd_flag_value(args, 'a'));
    }
    for (size_t i = 0; i < args->n && n < 60; i++)
        words[n++] = mem_dup_z(args->words[i]);
    return (struct line){.words = words, .n = n, .file = ":", .number = 1};
}

static void free_words(char **words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(words[i]);
}

static void show_option(struct ui *ui, const char *account, const char *name)
{
    const struct option *option = option_find(name);
    struct buf value = BUF_INIT(4096);
    if (!option) {
        ui_note(ui, NOTE_WARNING, "no option \"%s\"", name);
        return;
    }
    option_get(ui->conf, account ? conf_account(ui->conf, account) : NULL, option, &value);
    ui_note(ui, NOTE_INFO, "%s is %s", name, value.n ? buf_z(&value) : "empty");
    buf_fini(&value);
}

static void on_setting(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "%.*s", STR_FMT(m->u.REFUSED.text));
}

/* What the store does by options that may change while it runs. */
static void tell_store(struct ui *ui, const struct cmd_args *args)
{
    static const char *const its[] = {"cache", "cache-size"};
    bool tell = !strcmp(args->command->name, "mailbox");
    for (size_t i = 0; i < COUNT(its) && args->n; i++)
        tell = tell || !strcmp(args->words[0], its[i]);
    if (!tell || !ui_online(ui))
        return;
    char *words[64];
    struct line line = line_of(args, words);
    struct buf text = BUF_INIT(4096);
    struct err err = ERR_INIT;
    for (size_t i = 0; i < line.n; i++) {
        if (i > 0)
            buf_addc(&text, ' ');
        line_quote(str_z(line.words[i]), &text);
    }
    free_words(words, line.n);
    if (!SEND(ui->client->chan, -1, &err, SETTING, .req = ui_request(ui, on_setting, NULL), .line = buf_str(&text)))
        ui_note_err(ui, &err);
    buf_fini(&text);
}

bool run_mailbox(void *context, const struct cmd_args *args, struct err *err)
{
    return run_set(context, args, err);
}

bool run_set(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    char *words[64];
    if (!strcmp(args->command->name, "set") && args->n == 1) {
        show_option(ui, cmd_flag_value(args, 'a'), args->words[0]);
        return true;
    }
    struct line line = line_of(args, words);
    line.file = NULL; /* nobody needs to be told where it was typed */
    bool ok = conf_run(ui->conf, &line, err);
    free_words(words, line.n);
    if (!ok)
        return false;
    apply_options(ui, args->words[0]);
    tell_store(ui, args);
    for (unsigned a = 0; a < ui->accts.n; a++) /* conf may have moved its accounts */
        ui->accts.list[a].conf = conf_account(ui->conf, ui->accts.list[a].name);
    ui->boxes.stale = true;
    return !strcmp(args->words[0], "theme") ? load_theme(ui, ui->conf->theme, err) : true;
}

bool run_theme(void *context, const struct cmd_args *args, struct err *err)
{
    return load_theme(context, cmd_arg(args, 0), err);
}

bool run_color(void *context, const struct cmd_args *args, struct err *err)
{
    char *words[64];
    struct line line = line_of(args, words);
    bool ok = theme_color(&((struct ui *)context)->theme, line.words, line.n, err);
    free_words(words, line.n);
    return ok;
}

bool run_bind(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    char *words[64];
    struct line line = line_of(args, words);
    bool ok = cmd_check_line(&ui_lang, &line, err) && keymap_line(ui->keymap, &line, err);
    free_words(words, line.n);
    return ok;
}

bool run_on(void *context, const struct cmd_args *args, struct err *err)
{
    char *words[64];
    struct line line = line_of(args, words);
    bool ok = cmd_check_line(&ui_lang, &line, err);
    if (ok)
        add_hook(context, line.words, line.n);
    free_words(words, line.n);
    return ok;
}

/* ---- run: a shell command of the user's, with words of the message quoted as one word each ---- */
static bool run_value(void *arg, const char *name, struct buf *value)
{
    struct ui *ui = arg;
    const struct list_row *row = list_cursor(ui_list(ui));
    char number[24];
    if (!strcmp(name, "count")) {
        snprintf(number, sizeof number, "%u", ui->fresh);
        return buf_addz(value, number);
    }
    if (!strcmp(name, "account") && ui->event.account)
        return buf_addz(value, ui->event.account);
    if (!strcmp(name, "mailbox") && ui->event.mailbox)
        return buf_addz(value, ui->event.mailbox);
    if (!strcmp(name, "from") && ui->event.from)
        return buf_addz(value, ui->event.from);
    if (!strcmp(name, "subject") && ui->event.subject)
        return buf_addz(value, ui->event.subject);
    if (!strcmp(name, "message-id") && ui->event.msgid)
        return buf_addz(value, ui->event.msgid);
    if (!strcmp(name, "preview"))
        return ui->event.preview ? buf_addz(value, ui->event.preview) : true;
    if (!strcmp(name, "account"))
        return row ? buf_addz(value, ui->accts.list[row->ref.account].name) : true;
    if (!strcmp(name, "mailbox")) {
        const struct box_item *box = row ? boxes_find(&ui->boxes, row->ref.account, row->box) : NULL;
        return box ? buf_addz(value, box->path) : true;
    }
    if (!strcmp(name, "from"))
        return row ? buf_adds(value, row->from_name.n ? row->from_name : row->from_addr) : true;
    if (!strcmp(name, "subject"))
        return row ? buf_adds(value, row->subject) : true;
    if (!strcmp(name, "message-id"))
        return row ? buf_adds(value, row->msgid) : true;
    return false;
}

bool run_run(void *context, const struct cmd_args *args, struct err *err)
{
    struct buf command = BUF_INIT(LINE_MAX_BYTES);
    bool ok = cmd_expand(str_z(cmd_arg(args, 0)), run_value, context, &command, err);
    if (ok && !ui_spawn((const char *const[]){"/bin/sh", "-c", buf_z(&command), NULL}))
        ok = err_set(err, ERR_TOOL, "cannot start a program");
    buf_fini(&command);
    return ok;
}
