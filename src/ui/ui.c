/* The screen as a whole: keys in, one grid out. */
#include "ui/extra.h"

#include <unistd.h>

enum { COUNT_AGAIN_MS = 10 };
enum {
    WHICH_KEY_MS = 400,
    NOTE_STAYS_MS = 1500,
    HISTORY_MAX = 500,
    MACRO_TIMES = 1000,
    COUNT_MAX = 1000000,
    ONCE_MS = 5000
};

struct list *ui_list(const struct ui *ui)
{
    return ui->stack[ui->depth - 1];
}

const struct list_row *ui_row(const struct ui *ui)
{
    return list_cursor(ui_list(ui));
}

enum cmd_context ui_context(const struct ui *ui)
{
    return ui->prompt.kind != PROMPT_NONE ? CTX_PROMPT : ui_pane(ui);
}

enum cmd_context ui_pane(const struct ui *ui)
{
    if (ui->popup.kind == POPUP_PAGER)
        return CTX_HELP;
    enum cmd_context context;
    if (extra_context(ui, &context))
        return context;
    return ui->focus == PANE_BOXES ? CTX_BOXES : ui->focus == PANE_MESSAGE ? CTX_MESSAGE : CTX_LIST;
}

/* ---- running commands ---- */
bool ui_none_here(struct ui *ui, struct err *err)
{
    const struct list *l = ui_list(ui);
    if (ui_list_reads(ui))
        return err_set(err, ERR_USAGE, "no message is here yet: the list is being read");
    if (l->filter != LIST_ALL || l->limits || l->within)
        return err_set(err, ERR_USAGE, "no message is here: %s shows what the limit leaves out", ui_key_of(ui, "back"));
    return err_set(err, ERR_USAGE, "no message is here: %s opens another mailbox", ui_key_of(ui, "change"));
}

static bool ready(struct ui *ui, const struct command *c, struct err *err)
{
    const struct list_row *row = ui_row(ui);
    if ((c->flags & CMD_NEEDS_MESSAGE) && !row && !ui->selection.n)
        return ui_none_here(ui, err);
    if ((c->flags & CMD_NEEDS_TEXT) && ui->message.state == MESSAGE_WAITING)
        return err_set(err, ERR_USAGE, "the message is not here yet");
    if ((c->flags & CMD_WRITES) && ui_list(ui)->source == LIST_BOX) {
        const struct box_item *box = boxes_find(&ui->boxes, ui_list(ui)->account, ui_list(ui)->box);
        if (box && (box->attrs & BOX_READONLY))
            return err_set(err, ERR_READ_ONLY, "nothing was changed");
    }
    return true;
}

/* Does it change messages? */
static bool writes(const struct command *c)
{
    return (c->flags & CMD_NEEDS_MESSAGE) && (c->flags & CMD_WRITES);
}

/* What follows a pattern is for what it selects, never for the row under the cursor in its stead. */
static bool meant(struct ui *ui, const struct command *c, struct err *err)
{
    const struct list_row *row = ui_row(ui);
    bool none = ui->none_matched && row && ref_eq(row->ref, ui->none_at);
    if (!writes(c) || ui->selection.n || ui->scope.on)
        return true;
    ui->none_matched = false;
    if (ui->search && ui->search_select)
        return err_set(err, ERR_USAGE, "what matches is still looked for; nothing was done");
    return !none || err_set(err, ERR_USAGE, "nothing is selected, for nothing matched; again it is for this message");
}

/* Keys, and commands of one line, may come faster than frames: what one opened or took away the next one must see. */
static void refresh(struct ui *ui)
{
    struct err err = ERR_INIT;
    if (ui_list(ui)->stale && list_update(ui_list(ui), &err))
        ui->boxes.stale = true;
}

/* Is it conf's own: alias, rule ...? Of those that the screen has too: saved NAME QUERY, as in tuimailrc. */
static bool is_conf(const struct line *line, const struct command *known)
{
    return line->n && (known ? line->n > 2 && !strcmp(known->name, "saved") : conf_is_command(line->words[0]));
}

bool ui_run_line(struct ui *ui, const struct line *line, struct err *err)
{
    struct cmd_args args = {.command = NULL};
    const struct command *known = line->n ? cmd_find(&ui_lang, line->words[0]) : NULL;
    if (is_conf(line, known)) {
        ui->boxes.stale = true;
        return conf_run(ui->conf, line, err);
    }
    char jump[] = "jump", *words[] = {jump, line->n ? line->words[0] : NULL};
    struct line row = {.words = words, .n = COUNT(words), .file = line->file, .number = line->number};
    bool number = line->n == 1 && line->words[0][0] >= '0' && line->words[0][0] <= '9';
    if (!cmd_parse(&ui_lang, number ? &row : line, &args, err))
        return false;
    bool ok = ready(ui, args.command, err);
    if (ok && ui->range.id && writes(args.command) && !ui->scope.on)
        ok = ui_range_end(ui, err);
    ok = ok && meant(ui, args.command, err);
    if (ok && ui->times && (args.command->flags & CMD_REPEAT))
        ok = ui_scope_rows(ui, ui->times, err);
    ok = ok && args.command->run(ui, &args, err);
    cmd_args_fini(&args);
    return ok;
}

static bool repeats(const struct line *line)
{
    const struct command *c = line->n ? cmd_meant(&ui_lang, line->words[0]) : NULL;
    return c && (c->flags & CMD_REPEAT);
}

bool ui_run_text(struct ui *ui, const char *text, struct err *err)
{
    char *copy = mem_dup_z(text); /* what runs may unbind the key whose command this is */
    struct str rest = str_z(copy);
    unsigned number = 1;
    struct line line;
    int got = 0;
    bool ok = true, again = false;
    while (ok && (got = line_next(&rest, ":", &number, &line, err)) == 1) {
        again = again || repeats(&line);
        refresh(ui);
        ok = ui_run_line(ui, &line, err);
        line_fini(&line);
    }
    if (ok && got < 0)
        ok = false;
    if (ok && again) {
        free(ui->last_command);
        ui->last_command = copy;
        copy = NULL;
    }
    free(copy);
    return ok;
}

bool ui_run(struct ui *ui, const char *text)
{
    struct err err = ERR_INIT;
    if (!ui->in_key)
        ui->deed = 0;
    bool ok = ui_run_text(ui, text, &err);
    if (!ok && err.kind == ERR_USAGE)
        ui_note(ui, NOTE_WARNING, "%s", err.text);
    else if (!ok)
        ui_note_err(ui, &err);
    ui_scope_settle(ui);
    ui->dirty = true;
    ui->failed = ui->failed || !ok;
    return ok;
}

/* ---- keys ---- */
static void which_key(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->keys_timer);
    if (ui->nkeys && ui->popup.kind == POPUP_NONE)
        ui_popup_keys(ui);
    ui->dirty = true;
}

static void run_binding(struct ui *ui, const struct binding *b)
{
    if (*b->macro) {
        char *macro = mem_dup_z(b->macro);
        for (unsigned i = 0, n = MIN(ui_times(ui), (unsigned)MACRO_TIMES); i < n; i++)
            ui_type_macro(ui, macro);
        free(macro);
        return;
    }
    unsigned said = ui->said;
    bool stood = clock_mono_ms() - ui->status_ms > NOTE_STAYS_MS;
    if (ui_run(ui, b->command) && stood)
        ui_note_past(ui, said);
}

static void unknown_keys(struct ui *ui)
{
    struct buf keys = BUF_INIT(200);
    if (ui->nkeys == 1 && ui->keys[0] == K_ESC) {
        ui_run(ui, "cancel");
        ui->nkeys = 0;
        return;
    }
    keys_format(ui->keys, ui->nkeys, &keys);
    ui->nkeys = ui->count = 0;
    ui_note(ui, NOTE_WARNING, "%s does nothing here · ? help", buf_z(&keys));
    buf_fini(&keys);
}

/* A digit before a key counts, unless it is bound. */
static bool count_key(struct ui *ui, ckey key)
{
    if (ui->nkeys || key < (ui->count ? '0' : '1') || key > '9' ||
        keymap_find(ui->keymap, ui_context(ui), &key, 1, NULL) != KEYS_NONE)
        return false;
    ui->count = MIN(ui->count * 10 + (key - '0'), (unsigned)COUNT_MAX);
    return true;
}

/* The count is that of this key; keys of a macro have their own. */
static void counted(struct ui *ui, const struct binding *b)
{
    unsigned outer = ui->times;
    ui->times = ui->count;
    ui->count = 0;
    run_binding(ui, b);
    ui->times = outer;
}

/* Where they are to be told of instead of being done. */
static bool describe(struct ui *ui)
{
    if (!ui->describing)
        return false;
    ui_describe_keys(ui, ui_context(ui), ui->keys, ui->nkeys);
    ui->describing = false;
    ui->nkeys = 0;
    return true;
}

/* Within a range the key that is pressed twice for a message needs to be pressed once: dd of profile vim. */
static bool doubled(struct ui *ui, const struct binding **binding_r)
{
    ckey twice[] = {ui->keys[0], ui->keys[0]};
    if (!ui->range.id || ui->nkeys != 1 || ui->describing ||
        keymap_find(ui->keymap, ui_context(ui), twice, COUNT(twice), binding_r) != KEYS_EXACT)
        return false;
    size_t n = strcspn((*binding_r)->command, " ;");
    char *name = mem_dup_n((*binding_r)->command, n);
    const struct command *c = cmd_meant(&ui_lang, name);
    free(name);
    return c && (writes(c) || c->run == run_yank);
}

static void sequence_key(struct ui *ui, ckey key)
{
    const struct binding *binding = NULL;
    watch_free(&ui->keys_timer);
    if ((ui->nkeys || ui->count) && key == K_ESC) {
        ui->nkeys = ui->count = 0;
        ui->describing = false;
        return;
    }
    if (count_key(ui, key))
        return;
    if (ui->nkeys < PENDING_KEYS)
        ui->keys[ui->nkeys++] = key;
    ui_place_keys(ui);
    switch (keymap_find(ui->keymap, ui_context(ui), ui->keys, ui->nkeys, &binding)) {
    case KEYS_EXACT:
        if (describe(ui))
            break;
        if (typed_hold_for_text(ui, binding, ui->keys, ui->nkeys)) {
            ui->nkeys = 0;
            break;
        }
        ui->nkeys = 0;
        counted(ui, binding);
        break;
    case KEYS_PREFIX:
        if (doubled(ui, &binding)) {
            ui->nkeys = 0;
            counted(ui, binding);
            break;
        }
        ui->keys_timer = loop_after(ui->loop, WHICH_KEY_MS, which_key, ui);
        break;
    case KEYS_NONE:
        if (!describe(ui))
            unknown_keys(ui);
    }
}

static void prompt_key(struct ui *ui, ckey key)
{
    const struct binding *binding = NULL;
    if (!ui->pasting && keymap_find(ui->keymap, CTX_PROMPT, &key, 1, &binding) == KEYS_EXACT)
        run_binding(ui, binding);
    else if (ui->pasting && (key == K_ENTER || key == K_TAB))
        ui_prompt_key(ui, ' ');
    else if (key == K_ESC && !ui->pasting)
        ui_run(ui, "edit-cancel");
    else if (key == K_ENTER)
        ui_run(ui, "edit-accept");
    else
        ui_prompt_key(ui, key);
}

static void lay_out(struct ui *ui)
{
    layout_compute(&ui->layout, &ui->panes, ui->grid.rows, ui->grid.cols, ui->sidebar,
                   ui->message.state != MESSAGE_NONE, ui->focus);
}

static void hear(struct ui *ui, ckey key)
{
    ui->dirty = true;
    ui_record_key(ui, key);
    ui_list(ui)->stay = STAY_ROW;
    if (ui->status[0] && ui->status_level != NOTE_ERROR && clock_mono_ms() - ui->status_ms > NOTE_STAYS_MS)
        ui->status[0] = 0;
    if (key == K_PASTE_BEGIN || key == K_PASTE_END) {
        ui->pasting = key == K_PASTE_BEGIN;
        return;
    }
    if (ui->layout.small)
        return; /* nobody sees what the key would do */
    if (typed_hold(ui, key))
        return;
    lay_out(ui); /* what the key before has opened is scrolled by its own pages */
    if (ui->prompt.kind != PROMPT_NONE) {
        prompt_key(ui, key);
        ui_scope_settle(ui);
        return;
    }
    if (ui->pasting)
        return; /* a paste is text, never commands */
    if (ui->popup.kind != POPUP_NONE && ui_popup_key(ui, key)) {
        ui_scope_settle(ui);
        return;
    }
    ui->last_key = key;
    refresh(ui);
    sequence_key(ui, key);
}

void ui_key(struct ui *ui, ckey key)
{
    bool outer = ui->in_key; /* a macro's */
    if (!outer)
        ui->deed = 0;
    ui->in_key = true;
    hear(ui, key);
    ui->in_key = outer;
}

/* ---- the frame ---- */
void ui_resize(struct ui *ui, unsigned rows, unsigned cols)
{
    bool first = !ui->grid.rows, other = rows != ui->grid.rows || cols != ui->grid.cols;
    grid_resize(&ui->grid, rows, cols);
    if (other && !first)
        ui_event(ui, EVENT_RESIZE, NULL);
    ui->dirty = true;
}

static void on_rank(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->rank_timer);
    ui->dirty = true;
}

void ui_draw(struct ui *ui)
{
    struct err err = ERR_INIT;
    typed_go_on(ui);
    ui_questions_go_on(ui);
    struct list *l = ui_list(ui);
    lay_out(ui);
    if (ui->popup.kind == POPUP_JOBS)
        jobs_again(ui);
    messages_again(ui);
    if (!ui->layout.small) {
        if (ui->layout.list.rows > 1)
            list_set_height(l, ui->layout.list.rows - 1);
        bool asked = l->stay == STAY_ASKED;
        struct list *drawn = ui_drawn_list(ui);
        if (drawn != l && ui->layout.list.rows > 1)
            list_set_height(drawn, ui->layout.list.rows - 1);
        if (drawn != l)
            list_update(drawn, &err);
        if (list_update(l, &err))
            ui->boxes.stale = true;
        ui_session_reopen(ui);
        if (asked && l->stay != STAY_ASKED)
            ui_follow(ui);
        boxes_update(&ui->boxes, &ui->accts, ui->conf, &err);
        if (ui_follow_box(ui)) {
            l = ui_list(ui);
            if (ui->layout.list.rows > 1)
                list_set_height(l, ui->layout.list.rows - 1);
            list_update(l, &err);
        }
        ui_look(ui);
        ui_live_soon(ui);
        if (list_counting(l) && !ui->rank_timer)
            ui->rank_timer = loop_after(ui->loop, COUNT_AGAIN_MS, on_rank, ui);
        ui_notify_title(ui);
        if (err.kind != ERR_NONE && !ui->list_read)
            ui_note_err(ui, &err);
        ui->list_read = err.kind != ERR_NONE; /* one word for a fault that stays */
    }
    draw_all(ui);
    ui_store_events(ui);
    ui->dirty = false;
}

/* ---- life ---- */
static char *state_dir(const struct ui *ui)
{
    const char *root = ui->client && ui->client->root ? ui->client->root : ui->start.root;
    if (ui->conf->state_dir && *ui->conf->state_dir)
        return path_expand_home(ui->conf->state_dir);
    return path_join(root ? root : "", "state");
}

void ui_open_readers(struct ui *ui)
{
    struct err err = ERR_INIT;
    char *dir = state_dir(ui);
    if (!accts_open(&ui->accts, dir, &err))
        ui_note_err(ui, &err);
    free(dir);
}

static char *history_path(const struct ui *ui, const char *name)
{
    char *dir = path_join(ui->start.root ? ui->start.root : "", "history");
    char *path = path_join(dir, name);
    free(dir);
    return path;
}

static void load_history(struct ui *ui)
{
    struct err err = ERR_INIT;
    ui->command_history = history_new(HISTORY_MAX);
    ui->search_history = history_new(HISTORY_MAX);
    if (!ui->start.root || !*ui->start.root || ui->start.once_text)
        return;
    char *commands = history_path(ui, "commands"), *searches = history_path(ui, "searches");
    history_load(ui->command_history, commands, &err);
    history_load(ui->search_history, searches, &err);
    free(commands);
    free(searches);
}

static void save_history(struct ui *ui)
{
    struct err err = ERR_INIT;
    if (!ui->start.root || !*ui->start.root || ui->start.once_text)
        return;
    char *dir = path_join(ui->start.root, "history");
    char *commands = history_path(ui, "commands"), *searches = history_path(ui, "searches");
    if (fs_mkdir_private(dir, &err)) {
        history_save(ui->command_history, commands, &err);
        history_save(ui->search_history, searches, &err);
        panes_save(ui);
    }
    free(dir);
    free(commands);
    free(searches);
}

static void open_first(struct ui *ui)
{
    unsigned account;
    uint64_t box;
    if (!ui->start.mailbox)
        ui_show_inboxes(ui);
    else if (ui_find_box(ui, ui->start.mailbox, &account, &box))
        ui_show_box(ui, account, box);
    else {
        ui_show_inboxes(ui);
        ui_search(ui, ui->start.mailbox, false, false);
    }
}

struct ui *ui_new(const struct ui_start *start, struct loop *loop, struct client *client,
                  const struct ui_terminal *term)
{
    struct ui *ui = mem_new(sizeof *ui);
    struct err err = ERR_INIT;
    ui->start = *start;
    ui->conf = start->conf;
    ui->loop = loop;
    ui->client = client;
    ui->term = term;
    grid_init(&ui->grid);
    accts_init(&ui->accts, ui->conf);
    boxes_init(&ui->boxes);
    ui->extra = extra_new(ui);
    buffers_init(ui);
    load_history(ui);
    ui_load_settings(ui);
    panes_load(ui);
    ui_open_readers(ui);
    boxes_update(&ui->boxes, &ui->accts, ui->conf, &err);
    ui_store_watch(ui);
    open_first(ui);
    for (unsigned a = 0; a < ui->accts.n && start->offline; a++)
        queue_offline(ui, a, true);
    extra_start(ui);
    query_start(ui);
    ui_event(ui, EVENT_STARTUP, NULL);
    return ui;
}

void ui_free(struct ui **at)
{
    struct ui *ui = *at;
    if (!ui)
        return;
    ui_event(ui, EVENT_QUIT, NULL);
    save_history(ui);
    ui_notify_end(ui);
    if (ui->prompt.kind != PROMPT_NONE)
        ui_prompt_close(ui);
    ui_popup_close(ui);
    ui_search_end(ui);
    buffers_fini(ui);
    ui_requests_end(ui); /* while there is what their answers look for */
    extra_free(ui);
    ui_store_fini(ui);
    helper_end(&ui->spare);
    helper_cool_search(ui);
    helper_end(&ui->counter);
    helper_reap(ui);
    free(ui->message_path);
    watch_free(&ui->count_timer);
    watch_free(&ui->rank_timer);
    watch_free(&ui->live_timer);
    watch_free(&ui->queued_timer);
    watch_free(&ui->seen_timer);
    watch_free(&ui->progress_timer);
    watch_free(&ui->prefetch_timer);
    watch_free(&ui->warm_timer);
    watch_free(&ui->typed.timer);
    watch_free(&ui->secret_timer);
    watch_free(&ui->question_timer);
    ui_questions_drop(ui, 0);
    watch_free(&ui->keys_timer);
    boxes_fini(&ui->boxes);
    accts_fini(&ui->accts);
    changes_fini(&ui->changes);
    ui_scope_clear(ui);
    keymap_free(&ui->keymap);
    history_free(&ui->command_history);
    history_free(&ui->search_history);
    ui_hooks_fini(ui);
    free(ui->notes);
    free(ui->last_command);
    free(ui->last_box_label);
    free(ui->url);
    free(ui->session);
    grid_fini(&ui->grid);
    free(ui);
    *at = NULL;
}

int ui_print_once(struct ui *ui)
{
    int64_t until = clock_mono_ms() + ONCE_MS;
    struct err err = ERR_INIT;
    bool asked = false;
    uint64_t before = 0;
    ui->conf->mark_seen = false; /* looking at it is all that this does */
    while (clock_mono_ms() < until) {
        ui_draw(ui);
        uint64_t now_shown = ui_row(ui) ? ui_row(ui)->ref.id : 0;
        if (!asked && now_shown && now_shown == before) { /* the list has settled */
            ui_open(ui, 0);
            ui_list(ui)->stay = STAY_ROW;
            asked = true;
        }
        before = now_shown;
        if (ui->message.state == MESSAGE_SHOWN || ui->message.state == MESSAGE_FAILED)
            break;
        loop_once(ui->loop, asked ? 50 : 250);
    }
    ui_draw(ui);
    struct buf out = BUF_INIT(8u << 20);
    grid_print(&ui->grid, false, &out);
    bool ok = fs_write_all(STDOUT_FILENO, buf_str(&out), &err);
    buf_fini(&out);
    return ok ? 0 : err_exit(err.kind);
}

void ui_check(const struct ui *ui)
{
    if (!ui->depth || ui->depth > STACK_MAX)
        bug("%u lists", ui->depth);
    for (unsigned i = 0; i < ui->depth; i++)
        if (!ui->stack[i]->stale)
            list_check(ui->stack[i]);
    if (!ui->nbuffers || ui->nbuffers > BUFFERS_MAX || !buffer_is_shown(ui))
        bug("%u buffers", ui->nbuffers);
    for (unsigned i = 0; i < ui->nbuffers; i++)
        if (ui->buffers[i] != ui->at && !ui->buffers[i]->aside.depth)
            bug("buffer %u shows nothing", i + 1);
    if (ui->boxes.n && ui->boxes.cur >= ui->boxes.n)
        bug("mailbox cursor %u of %u", ui->boxes.cur, ui->boxes.n);
    if (ui->focus == PANE_MESSAGE && ui->message.state == MESSAGE_NONE)
        bug("focus on a message that is not there");
    if (ui->nkeys > PENDING_KEYS)
        bug("%zu pending keys", ui->nkeys);
    if (ui->prompt.edit.at > ui->prompt.edit.n || !utf8_valid((struct str){ui->prompt.edit.p, ui->prompt.edit.n}))
        bug("the typed line is broken");
    const struct grid *g = &ui->grid;
    for (unsigned y = 0; y < g->rows; y++) {
        unsigned cols = 0;
        for (unsigned x = 0; x < g->cols; x++) {
            const struct cell *c = grid_at(g, y, x);
            for (unsigned i = 0; i < c->n; i++)
                if ((unsigned char)c->p[i] < ' ' || c->p[i] == 0x7f)
                    bug("a control character at %u,%u", y, x);
            cols += c->cols;
        }
        if (cols != g->cols)
            bug("row %u is %u columns wide", y, cols);
    }
}
