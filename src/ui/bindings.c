/* What keys do and where that was said; macros: recorded, played, typed. */
#include "ui/private.h"

#include <limits.h>

enum { MACRO_DEPTH = 4, PLAY_MAX = 1000 };

/* ---- where the user is ---- */
void ui_place_keys(struct ui *ui)
{
    const struct box_item *item = NULL;
    const struct list *l = ui_list(ui);
    const struct list_row *row = ui_row(ui);
    int account = -1;
    if (ui->focus == PANE_BOXES) {
        item = boxes_cursor(&ui->boxes);
        account = item && (item->kind == BOXK_BOX || item->kind == BOXK_ACCOUNT) ? (int)item->account : -1;
    } else if (row) {
        account = (int)row->ref.account;
        item = boxes_find(&ui->boxes, row->ref.account, row->box);
    } else if (l->source == LIST_BOX) {
        account = (int)l->account;
        item = boxes_find(&ui->boxes, l->account, l->box);
    }
    keymap_place(ui->keymap, account >= 0 ? ui->accts.list[account].name : "",
                 item && item->kind == BOXK_BOX ? item->path : "");
}

const char *ui_key_of(struct ui *ui, const char *command)
{
    static char word[60];
    struct buf keys = BUF_INIT(200);
    enum cmd_context pane = ui_pane(ui);
    ui_place_keys(ui);
    bool bound = keymap_where(ui->keymap, pane == CTX_MESSAGE || pane == CTX_BOXES ? pane : CTX_LIST, command, &keys);
    struct str rest = buf_str(&keys), first;
    if (bound && str_split(&rest, ' ', &first))
        snprintf(word, sizeof word, "%.*s", STR_FMT(first));
    else
        snprintf(word, sizeof word, ":%s", command);
    buf_fini(&keys);
    return word;
}

/* ---- macros ---- */
void ui_record_key(struct ui *ui, ckey key)
{
    bool secret = ui->prompt.kind == PROMPT_SECRET || (key >= K_RESIZE && key <= K_MOUSE);
    if (!ui->recording || ui->macro_depth || ui->typed.again || secret)
        return;
    if (ui->nrecorded == MACRO_MAX) {
        ui->recording = false;
        ui_note(ui, NOTE_WARNING, "a macro types at most %d keys: recording ended", MACRO_MAX);
        return;
    }
    if (!ui->nkeys && ui->prompt.kind == PROMPT_NONE)
        ui->record_mark = ui->nrecorded;
    ui->recorded[ui->nrecorded++] = key;
}

/* Ends where a command could not be done: the rest was meant for what it would have made. */
static bool type_keys(struct ui *ui, const ckey *keys, size_t n)
{
    if (ui->macro_depth >= MACRO_DEPTH) {
        ui_note(ui, NOTE_ERROR, "macros call each other without end");
        return false;
    }
    ui->macro_depth++;
    ui->failed = false;
    for (size_t i = 0; i < n && !ui->failed && !ui->quit; i++)
        ui_key(ui, keys[i]);
    ui->macro_depth--;
    return !ui->failed;
}

void ui_type_macro(struct ui *ui, const char *macro)
{
    ckey keys[MACRO_MAX];
    size_t n;
    struct err err = ERR_INIT;
    if (macro_parse(macro, keys, &n, &err))
        type_keys(ui, keys, n);
    else
        ui_note_err(ui, &err);
}

bool run_record(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *word = cmd_arg(args, 0);
    bool on = !word || !strcmp(word, "toggle") ? !ui->recording : !strcmp(word, "on");
    struct buf keys = BUF_INIT(40);
    (void)err;
    if (ui->macro_depth)
        return true; /* the keys of a macro, played */
    if (on) {
        ui->recording = true;
        ui->nrecorded = ui->record_mark = 0;
        ui_note(ui, NOTE_INFO, "recording; the same again ends it");
        return true;
    }
    if (!ui->recording)
        return err_set(err, ERR_USAGE, "nothing is recorded: record on begins");
    ui->recording = false;
    ui->nrecorded = MIN(ui->record_mark, ui->nrecorded); /* without the keys that said so */
    if (!keymap_where(ui->keymap, ui_context(ui), "play", &keys))
        buf_addz(&keys, ":play");
    ui_note(ui, NOTE_INFO, "recorded %zu key%s · %s plays · :macro %s KEYS binds", ui->nrecorded,
            ui->nrecorded == 1 ? "" : "s", buf_z(&keys), cmd_context_name(ui_context(ui)));
    buf_fini(&keys);
    return true;
}

bool run_play(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    uint64_t times = 1;
    if (cmd_arg(args, 0))
        str_u64(str_z(cmd_arg(args, 0)), &times);
    if (ui->recording && !ui->macro_depth)
        return err_set(err, ERR_USAGE, "it is still being recorded");
    if (!ui->nrecorded)
        return err_set(err, ERR_USAGE, "nothing was recorded: record on begins");
    for (uint64_t i = 0; i < MIN(times, (uint64_t)PLAY_MAX) && !ui->quit; i++)
        if (!type_keys(ui, ui->recorded, ui->nrecorded))
            break;
    return true;
}

/* ---- what a binding does, in words ---- */
static const struct command *command_of(const char *line)
{
    size_t n = strcspn(line, " ");
    char *word = mem_dup_n(line, n);
    const struct command *c = n ? cmd_find(&ui_lang, word) : NULL;
    free(word);
    return c;
}

void ui_line_words(const char *line, struct buf *out)
{
    const struct command *c = command_of(line), *done = NULL;
    const char *args = c ? strstr(c->args, "command") : NULL;
    if (args && !strncmp(args, "command-name", 12))
        args = NULL;
    for (const char *rest = strchr(line, ' '); args && !done && rest; rest = strchr(rest + 1, ' '))
        done = command_of(rest + 1);
    if (!c)
        return;
    const char *example = done ? strstr(c->help, ": ") : NULL; /* an example in the table gives way to what is done */
    buf_add(out, c->help, example ? (size_t)(example - c->help) : strlen(c->help));
    if (done) {
        buf_addz(out, ": ");
        ui_line_words(done->name, out);
    }
}

void ui_written_where(const char *file, unsigned line, struct buf *out)
{
    if (!file)
        buf_addz(out, "default");
    else if (keymap_profile(file))
        buf_addf(out, "keys %s", file);
    else if (!strcmp(file, ":"))
        buf_addz(out, "typed at :");
    else
        buf_addf(out, "%s:%u", file, line);
}

static void bound_what(const struct binding *b, struct buf *out)
{
    if (*b->macro)
        buf_addf(out, "types %s", b->macro);
    else
        buf_addz(out, b->command);
    if (command_of(b->command)) {
        buf_addz(out, ": ");
        ui_line_words(b->command, out);
    }
}

static void binding_line(const struct binding *b, struct buf *out)
{
    cmd_scope_format(&b->scope, out);
    bound_what(b, out);
    buf_addz(out, "  (");
    ui_written_where(b->file, b->line, out);
    buf_addc(out, ')');
}

struct listing {
    struct ui *ui;
    enum cmd_context context;
    unsigned n;
};

static void list_one(void *arg, const struct binding *b)
{
    struct listing *l = arg;
    const struct command *c = command_of(b->command);
    struct buf keys = BUF_INIT(200), line = BUF_INIT(LINE_MAX_BYTES);
    if (b->context != l->context || (c && (c->flags & CMD_HIDDEN) && l->context != CTX_PROMPT))
        return;
    keys_format(b->keys, b->n, &keys);
    binding_line(b, &line);
    ui_popup_item(l->ui, buf_z(&keys), buf_z(&line));
    l->n++;
    buf_fini(&keys);
    buf_fini(&line);
}

static void follows(void *arg, const struct binding *b)
{
    struct listing *l = arg;
    struct buf keys = BUF_INIT(200), line = BUF_INIT(LINE_MAX_BYTES);
    keys_format(b->keys, b->n, &keys);
    binding_line(b, &line);
    ui_popup_item(l->ui, buf_z(&keys), buf_z(&line));
    buf_fini(&keys);
    buf_fini(&line);
}

void ui_describe_keys(struct ui *ui, enum cmd_context context, const ckey *keys, size_t n)
{
    const struct binding *b = NULL;
    struct buf name = BUF_INIT(200), line = BUF_INIT(LINE_MAX_BYTES);
    struct listing l = {ui, context, 0};
    ui_place_keys(ui);
    keys_format(keys, n, &name);
    switch (keymap_find(ui->keymap, context, keys, n, &b)) {
    case KEYS_EXACT:
        binding_line(b, &line);
        ui_note(ui, NOTE_INFO, "%s in %s%s: %s", buf_z(&name), cmd_context_name(context),
                b->context == CTX_GLOBAL && context != CTX_GLOBAL ? ", as everywhere" : "", buf_z(&line));
        break;
    case KEYS_PREFIX:
        ui_popup(ui, POPUP_PAGER, buf_z(&name));
        keymap_each(ui->keymap, context, keys, n, follows, &l);
        break;
    case KEYS_NONE:
        ui_note(ui, NOTE_INFO, "%s does nothing in %s", buf_z(&name), cmd_context_name(context));
    }
    buf_fini(&name);
    buf_fini(&line);
}

/* ---- commands ---- */
/* All bindings, of one context or of all, where they hold or not. */
static void list_bindings(struct ui *ui, int only)
{
    ui_popup(ui, POPUP_PAGER, "what keys do, and where that was said");
    for (int c = 0; c < CTX_COUNT; c++) {
        struct listing l = {ui, (enum cmd_context)c, 0};
        if (only >= 0 && c != only)
            continue;
        ui_popup_row(ui, cmd_context_name(l.context), "");
        keymap_all(ui->keymap, list_one, &l);
        ui_popup_row(ui, "", "");
    }
}

static bool show_bindings(struct ui *ui, const struct cmd_args *args, struct err *err)
{
    enum cmd_context context = ui_context(ui);
    ckey keys[KEYS_MAX];
    size_t n;
    bool named = args->n && cmd_context_find(args->words[0], &context);
    if (!args->n || (args->n == 1 && named)) {
        list_bindings(ui, args->n ? (int)context : -1);
        return true;
    }
    if (args->n == 2 && !named)
        return err_set(err, ERR_USAGE, "unknown context \"%.40s\"", args->words[0]);
    if (!keys_parse(args->words[args->n - 1], keys, &n, err))
        return false;
    ui_describe_keys(ui, context == CTX_PROMPT && !named ? CTX_LIST : context, keys, n);
    return true;
}

/* `macro CONTEXT KEYS` binds what was recorded. */
static bool bind_recorded(struct ui *ui, const struct cmd_args *args, struct err *err)
{
    struct cmd_args with = *args;
    struct buf typed = BUF_INIT(LINE_MAX_BYTES);
    char *words[3];
    if (!ui->nrecorded || ui->recording)
        return err_set(err, ERR_USAGE, "nothing was recorded: record on begins, record off ends");
    macro_format(ui->recorded, ui->nrecorded, &typed);
    words[0] = args->words[0];
    words[1] = args->words[1];
    words[2] = mem_dup_z(buf_z(&typed));
    with.words = words;
    with.n = 3;
    bool ok = ui_setting_line(ui, &with, err);
    if (ok)
        ui_note(ui, NOTE_INFO, "macro %s %s \"%s\"", words[0], words[1], buf_z(&typed));
    free(words[2]);
    buf_fini(&typed);
    return ok;
}

bool run_bind(void *context, const struct cmd_args *args, struct err *err)
{
    const char *account = cmd_flag_value(args, 'a');
    bool bind = !strcmp(args->command->name, "bind"), macro = !strcmp(args->command->name, "macro");
    struct ui *ui = context;
    if (account && !conf_account(ui->conf, account))
        return err_set(err, ERR_NO_ACCOUNT, "no account %s", account);
    if (bind && args->n < 3)
        return show_bindings(ui, args, err);
    if (macro && args->n == 2)
        return bind_recorded(ui, args, err);
    return ui_setting_line(ui, args, err);
}

bool run_what_key(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    ui->describing = true;
    ui_note(ui, NOTE_INFO, "press the keys to be told what they do");
    return true;
}

bool run_noop(void *context, const struct cmd_args *args, struct err *err)
{
    (void)context, (void)args, (void)err;
    return true;
}
