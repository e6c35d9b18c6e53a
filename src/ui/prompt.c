/* The prompt: a line below the panes with history, completion, a fuzzy list of mailboxes, or a secret. */
#include "ui/private.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

static void drop_candidates(struct prompt *p)
{
    if (p->open)
        completions_fini(&p->candidates);
    p->open = p->offered = false;
}

static void free_item(struct pick_item *item)
{
    free(item->label);
    free(item->help);
    free(item->keys);
}

void ui_prompt_close(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    drop_candidates(p);
    for (unsigned i = 0; i < p->nitems; i++)
        free_item(&p->items[i]);
    free(p->items);
    free(p->order);
    edit_wipe(&p->edit);
    *p = (struct prompt){.kind = PROMPT_NONE};
    ui->keys_on = 1; /* what was typed was for it */
    ui->dirty = true;
}

bool ui_line_taken(struct ui *ui, const char *label)
{
    struct str what = str_trim(str_z(label));
    if (ui->prompt.kind == PROMPT_NONE || ui->in_key)
        return false;
    ui_note(ui, NOTE_WARNING, "not asked, as a prompt is open: %.*s", STR_FMT(what));
    return true;
}

static struct prompt *begin(struct ui *ui, enum prompt_kind kind, const char *label)
{
    buffer_show(ui, ui->at); /* what is asked is about what that one shows */
    if (ui->prompt.kind != PROMPT_NONE)
        ui_prompt_close(ui);
    ui_popup_close(ui);
    ui->prompt.kind = kind;
    snprintf(ui->prompt.label, sizeof ui->prompt.label, "%s", label);
    ui->dirty = true;
    return &ui->prompt;
}

void ui_ask(struct ui *ui, const char *label, const char *text, enum arg_kind complete, bool completes,
            struct history *history, prompt_fn *accept, prompt_fn *change, void *arg)
{
    if (ui_line_taken(ui, label)) {
        if (accept)
            accept(ui, arg, NULL);
        return;
    }
    struct prompt *p = begin(ui, PROMPT_ASK, label);
    p->complete = complete;
    p->completes = completes;
    p->history = history;
    p->accept = accept;
    p->change = change;
    p->arg = arg;
    edit_set(&p->edit, str_z(text));
    if (history)
        history_rewind(history);
    ui_query_typed(ui);
}

void ui_command_prompt(struct ui *ui, const char *text)
{
    if (ui_line_taken(ui, "a command"))
        return;
    struct prompt *p = begin(ui, PROMPT_COMMAND, ":");
    p->completes = true;
    p->history = ui->command_history;
    history_rewind(p->history);
    edit_set(&p->edit, str_z(text));
}

bool ui_ask_secret(struct ui *ui, int account)
{
    char label[120];
    for (unsigned i = 0; i < ui->accts.n; i++) {
        struct acct *a = &ui->accts.list[i];
        if ((account >= 0 && i != (unsigned)account) || !a->secret_wanted || a->secret_declined)
            continue;
        if (ui_line_taken(ui, "a password"))
            return true;
        snprintf(label, sizeof label, "password of %.40s%s%s: ", a->name,
                 a->secret_service == SERVICE_SUBMISSION ? ", for sending"
                 : a->secret_service == SERVICE_SIEVE    ? ", for its scripts"
                                                         : "",
                 a->secret_refused ? " (the last one was refused)" : "");
        struct prompt *p = begin(ui, PROMPT_SECRET, label);
        p->account = i;
        p->service = a->secret_service;
        return true;
    }
    return false;
}

bool ui_ask_secret_again(struct ui *ui, int account)
{
    for (unsigned i = 0; i < ui->accts.n; i++)
        if (account < 0 || i == (unsigned)account)
            ui->accts.list[i].secret_declined = false;
    return ui_ask_secret(ui, account);
}

/* ---- the secret: through a pipe, never through a message ---- */
static void give_secret(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    struct err err = ERR_INIT;
    int pipe_fd[2];
    if (!p->edit.n || !ui_online(ui))
        return;
    if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) < 0) {
        ui_note(ui, NOTE_ERROR, "no pipe for the password");
        return;
    }
    /* less than a pipe holds: never waits */
    bool ok = write(pipe_fd[1], p->edit.p, p->edit.n) == (ssize_t)p->edit.n && write(pipe_fd[1], "\n", 1) == 1;
    close(pipe_fd[1]);
    if (!ok || !SEND(ui->client->chan, pipe_fd[0], &err, SECRET_GIVEN,
                     .account = str_z(ui->accts.list[p->account].name), .service = p->service))
        ui_note(ui, NOTE_ERROR, "the password was not passed on");
    else
        ui->accts.list[p->account].secret_wanted = false;
    close(pipe_fd[0]);
}

/* Nothing typed is none given. */
static void secret_declined(struct ui *ui, unsigned account)
{
    struct acct *a = &ui->accts.list[account];
    a->secret_declined = true;
    ui_note(ui, NOTE_WARNING, "no password given: fetch asks again");
    ui_note_line(ui, account);
}

/* ---- picking from a list ---- */
static int by_score(const struct prompt *p, unsigned a, unsigned b)
{
    if (p->items[a].score != p->items[b].score)
        return p->items[a].score > p->items[b].score ? -1 : 1;
    return a < b ? -1 : 1;
}

/* A name counts before what it does; letters merely in order are nothing in a sentence. */
static unsigned score(struct str pattern, const struct pick_item *item)
{
    enum { INSIDE = 2000 };
    unsigned name = cmd_fuzzy(pattern, str_z(item->label)),
             help = item->help ? cmd_fuzzy(pattern, str_z(item->help)) : 0;
    if (name >= INSIDE || !item->help)
        return name;
    return MAX(name, help >= INSIDE ? help - INSIDE : 0);
}

static void rank(struct prompt *p)
{
    struct str pattern = {p->edit.p, p->edit.n};
    p->nshown = 0;
    p->cur = p->top = 0;
    p->completed = false;
    for (unsigned i = 0; i < p->nitems; i++) {
        p->items[i].score = pattern.n ? score(pattern, &p->items[i]) : 1;
        if (!p->items[i].score)
            continue;
        unsigned at = p->nshown++;
        /* few rows matter: the best 200 are sorted in, the others follow as they come */
        p->order[at] = i;
        if (!pattern.n)
            continue;
        if (at >= 200 && by_score(p, i, p->order[199]) < 0) {
            p->order[at] = p->order[199];
            p->order[199] = i;
            at = 199;
        }
        for (; at > 0 && at < 200 && by_score(p, p->order[at], p->order[at - 1]) < 0; at--) {
            unsigned swap = p->order[at];
            p->order[at] = p->order[at - 1];
            p->order[at - 1] = swap;
        }
    }
}

/* Is it where mail went last? "Archive" is that of the account of each mail; one that was chosen in another account is
 * that one for all mail. */
static bool used_last(const struct ui *ui, const struct box_item *item, bool foreign)
{
    if (!ui->last_box_label || !item->path || strcmp(item->path, ui->last_box_label) != 0)
        return false;
    return ui->last_box_account == UINT_MAX ? !foreign : item->account == ui->last_box_account;
}

bool ui_pick_box(struct ui *ui, const char *label, unsigned only, uint64_t but, pick_fn *picked, prompt_fn *missing,
                 void *arg)
{
    if (ui_line_taken(ui, label)) {
        picked(ui, arg, NULL);
        return false;
    }
    struct prompt *p = begin(ui, PROMPT_PICK, label);
    struct err err = ERR_INIT;
    boxes_update(&ui->boxes, &ui->accts, ui->conf, &err);
    p->picked = picked;
    p->missing = missing;
    p->arg = arg;
    p->items = mem_array(MAX(ui->boxes.n, 1u), sizeof *p->items);
    p->order = mem_array(MAX(ui->boxes.n, 1u), sizeof *p->order);
    for (unsigned pass = 0; pass < 3; pass++) /* the one used last comes first, other accounts behind the own */
        for (unsigned i = 0; i < ui->boxes.n; i++) {
            const struct box_item *item = &ui->boxes.list[i];
            bool foreign = only != UINT_MAX && item->account != only;
            bool last = used_last(ui, item, foreign);
            struct buf name = BUF_INIT(1200);
            if (item->kind != BOXK_BOX || (item->attrs & (BOX_NOSELECT | BOX_NONEXISTENT)) ||
                pass != (last      ? 0
                         : foreign ? 2
                                   : 1) ||
                (but && !foreign && item->id == but))
                continue;
            buf_addf(&name, "%s/%s", ui->accts.list[item->account].name, item->path);
            p->last = p->last || last;
            p->items[p->nitems++] =
                (struct pick_item){.label = mem_dup_z(only == UINT_MAX || foreign ? buf_z(&name) : item->path),
                                   .account = item->account,
                                   .id = item->id,
                                   .score = 1};
            buf_fini(&name);
        }
    rank(p);
    return true;
}

void ui_pick_own(struct ui *ui, unsigned account)
{
    struct prompt *p = &ui->prompt;
    unsigned n = 0;
    for (unsigned i = 0; i < p->nitems; i++)
        if (p->items[i].account == account)
            p->items[n++] = p->items[i];
        else
            free_item(&p->items[i]);
    p->nitems = n;
    rank(p);
}

void ui_pick_many(struct ui *ui, const char *label, struct pick_item *items, unsigned n, prompt_fn *done, void *arg)
{
    if (ui_line_taken(ui, label)) {
        for (unsigned i = 0; i < n; i++)
            free_item(&items[i]);
        free(items);
        done(ui, arg, NULL);
        return;
    }
    struct prompt *p = begin(ui, PROMPT_PICK, label);
    p->many = true;
    p->accept = done;
    p->arg = arg;
    p->items = items;
    p->nitems = n;
    p->order = mem_array(MAX(n, 1u), sizeof *p->order);
    rank(p);
}

/* What is on all is taken off, what is on none put on; of what is on some first the one, then the other. What was typed
 * to find it has served. */
static void toggle(struct prompt *p)
{
    if (!p->nshown)
        return;
    unsigned at = p->order[p->cur];
    struct pick_item *item = &p->items[at];
    char first = item->state == PICK_ALL ? '-' : '+';
    item->wanted = !item->wanted ? first : item->state == PICK_SOME && item->wanted == '+' ? '-' : 0;
    if (!p->edit.n)
        return;
    edit_set(&p->edit, STR(""));
    rank(p);
    for (p->cur = 0; p->cur + 1 < p->nshown && p->order[p->cur] != at;)
        p->cur++;
}

/* "+x -y" of what was toggled; of nothing: the one chosen, or what was typed. */
static void wanted_words(struct prompt *p, struct buf *out)
{
    bool any = false;
    for (unsigned i = 0; i < p->nitems; i++)
        any = any || p->items[i].wanted;
    struct str typed = str_trim((struct str){p->edit.p, p->edit.n});
    if (!any && p->nshown)
        toggle(p);
    for (unsigned i = 0; i < p->nitems; i++)
        if (p->items[i].wanted)
            buf_addf(out, "%s%c%s", out->n ? " " : "", p->items[i].wanted, p->items[i].label);
    if (typed.n && !p->nshown)
        buf_addf(out, "%s+%.*s", out->n ? " " : "", STR_FMT(typed));
}

void ui_pick_saved(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    size_t n = ui->conf->nsaved;
    p->items = mem_resize(p->items, p->nitems + n + 1, sizeof *p->items);
    p->order = mem_resize(p->order, p->nitems + n + 1, sizeof *p->order);
    for (size_t i = 0; i < n; i++)
        p->items[p->nitems++] =
            (struct pick_item){.label = mem_dup_z(ui->conf->saved[i].name), .account = UINT32_MAX, .id = i, .score = 1};
    rank(p);
}

/* The key that asked, once more: s s. */
void ui_pick_again(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    ckey key = ui->last_key & ~(ckey)K_ALT;
    char sign[4], label[sizeof p->label];
    if (!p->last || key <= ' ' || key >= K_SPECIAL)
        return;
    p->again = key;
    int n = (int)utf8_encode(key, sign);
    snprintf(label, sizeof label, "%.40s(%.*s %.40s) ", p->label, n, sign, p->items[0].label);
    memcpy(p->label, label, sizeof label);
}

/* ---- the palette ---- */
static void palette_picked(struct ui *ui, void *arg, const struct pick_item *item)
{
    const struct command *c = item ? &ui_lang.commands[item->id] : NULL;
    struct buf line = BUF_INIT(200);
    (void)arg;
    if (!c)
        return;
    buf_addz(&line, c->name);
    if (*c->args && *c->args != '[') { /* it cannot do without */
        buf_addc(&line, ' ');
        ui_command_prompt(ui, buf_z(&line));
    } else
        ui_run(ui, buf_z(&line));
    buf_fini(&line);
}

void ui_palette(struct ui *ui)
{
    enum cmd_context context = ui_context(ui);
    if (ui_line_taken(ui, "what to do"))
        return;
    ui_place_keys(ui);
    struct prompt *p = begin(ui, PROMPT_PICK, "do: ");
    p->picked = palette_picked;
    p->items = mem_array(ui_lang.ncommands, sizeof *p->items);
    p->order = mem_array(ui_lang.ncommands, sizeof *p->order);
    for (int here = 1; here >= 0; here--) /* the pane's own first */
        for (size_t i = 0; i < ui_lang.ncommands; i++) {
            const struct command *c = &ui_lang.commands[i];
            struct buf keys = BUF_INIT(200);
            if ((c->flags & CMD_HIDDEN) || (c->in != IN_ANY && !(c->in & IN(context))) ||
                (c->in != IN_ANY) != (here == 1))
                continue;
            keymap_where(ui->keymap, context, c->name, &keys);
            p->items[p->nitems++] = (struct pick_item){.id = i,
                                                       .label = mem_dup_z(c->name),
                                                       .help = mem_dup_z(c->help),
                                                       .keys = buf_take(&keys, NULL),
                                                       .score = 1};
            buf_fini(&keys);
        }
    rank(p);
}

bool run_palette(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    ui_palette(context);
    return true;
}

bool ui_find_box(struct ui *ui, const char *name, unsigned *account_r, uint64_t *box_r)
{
    struct err err = ERR_INIT;
    const struct list_row *row = ui_row(ui);
    const struct list *l = ui_list(ui);
    unsigned prefer = row ? row->ref.account : l->source == LIST_BOX ? l->account : 0;
    int best = 0;
    boxes_update(&ui->boxes, &ui->accts, ui->conf, &err);
    for (unsigned i = 0; i < ui->boxes.n; i++) {
        const struct box_item *item = &ui->boxes.list[i];
        struct buf full = BUF_INIT(1200);
        if (item->kind != BOXK_BOX)
            continue;
        buf_addf(&full, "%s/%s", ui->accts.list[item->account].name, item->path);
        int score = !strcmp(name, buf_z(&full)) ? 4 : strcmp(name, item->path) ? 0 : item->account == prefer ? 3 : 1;
        buf_fini(&full);
        if (score > best) {
            best = score;
            *account_r = item->account;
            *box_r = item->id;
        }
    }
    return best > 0;
}

/* ---- completion ---- */
static void apply_candidate(struct prompt *p, size_t i, bool quote)
{
    struct buf line = BUF_INIT(LINE_BYTES), clean = BUF_INIT(LINE_BYTES);
    size_t cursor;
    completions_apply(&p->candidates, i, (struct str){p->edit.p, p->edit.n}, quote, &line, &cursor);
    if (utf8_valid(buf_str(&line))) {
        edit_set(&p->edit, buf_str(&line));
        p->edit.at = MIN(cursor, p->edit.n);
    }
    buf_fini(&line);
    buf_fini(&clean);
}

static void show_choice(struct prompt *p)
{
    struct buf clean = BUF_INIT(LINE_BYTES);
    text_from_bytes(str_z(p->items[p->order[p->cur]].label), TEXT_LINE, &clean);
    edit_set(&p->edit, buf_str(&clean));
    buf_fini(&clean);
}

static void choose(struct prompt *p, int step)
{
    if (p->nshown)
        p->cur = (p->cur + p->nshown + (step < 0 ? p->nshown - 1 : 1)) % p->nshown;
    if (p->nshown && p->completed)
        show_choice(p);
}

/* The first Tab takes what is chosen into the line, where it can be typed on; the next ones go through the list. */
static void complete_choice(struct prompt *p, int step)
{
    if (p->many) {
        toggle(p);
        return;
    }
    bool first = !p->completed && step > 0;
    p->completed = p->nshown > 0;
    if (!first)
        choose(p, step);
    else if (p->nshown)
        show_choice(p);
}

/* Opens the list of what may stand at the cursor; false where there is nothing. */
static bool open_candidates(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    struct cmd_sources sources = {ui_names, ui};
    struct str line = {p->edit.p, p->edit.n};
    p->open = p->kind == PROMPT_COMMAND
                  ? cmd_complete(&ui_lang, ui->conf, ui_pane(ui), &sources, line, p->edit.at, &p->candidates)
                  : cmd_complete_kind(&ui_lang, ui->conf, p->complete, &sources, line, p->edit.at, &p->candidates);
    if (!p->open)
        completions_fini(&p->candidates);
    return p->open;
}

void ui_offer(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    if (p->kind == PROMPT_ASK && p->completes && !p->open && open_candidates(ui))
        p->offered = true;
}

static void complete(struct ui *ui, int step)
{
    struct prompt *p = &ui->prompt;
    if (p->kind == PROMPT_PICK) {
        complete_choice(p, step);
        return;
    }
    if (!p->completes)
        return;
    if (p->open && !p->offered) {
        p->chosen = (p->chosen + p->candidates.n + (size_t)(step < 0 ? p->candidates.n - 1 : 1)) % p->candidates.n;
    } else {
        if (!p->open && !open_candidates(ui))
            return;
        p->offered = false;
        p->chosen = step < 0 ? p->candidates.n - 1 : 0;
    }
    bool one = p->candidates.n == 1;
    struct completions kept = p->candidates;
    size_t before = p->edit.n;
    apply_candidate(p, p->chosen, p->kind == PROMPT_COMMAND);
    /* the next candidate replaces this one */
    p->candidates.to = kept.to + p->edit.n - before;
    if (one) {
        if (p->edit.at == p->edit.n)
            edit_insert(&p->edit, STR(" "));
        drop_candidates(p);
    }
    ui_query_typed(ui);
    if (p->change)
        p->change(ui, p->arg, p->edit.p);
}

void ui_prompt_changed(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    drop_candidates(p);
    ui_query_typed(ui);
    if (p->kind == PROMPT_PICK)
        rank(p);
    if (p->history)
        history_rewind(p->history);
    if (p->change)
        p->change(ui, p->arg, p->edit.p);
}

void ui_prompt_more(struct ui *ui, struct str term)
{
    struct prompt *p = &ui->prompt;
    struct str typed = str_trim((struct str){p->edit.p, p->edit.at});
    bool asks = (p->kind == PROMPT_ASK || p->kind == PROMPT_COMMAND) && p->completes && !p->open;
    if (asks && typed.n >= term.n && str_eq(str_sub(typed, typed.n - term.n, typed.n), term))
        complete(ui, 1);
}

/* ---- keys ---- */
static void accept_line(struct ui *ui)
{
    struct prompt p = ui->prompt; /* what it calls may open another prompt */
    struct pick_item item = {.label = NULL};
    if (p.kind == PROMPT_PICK && p.many) {
        struct buf words = BUF_INIT(LINE_BYTES);
        wanted_words(&ui->prompt, &words);
        ui_prompt_close(ui);
        p.accept(ui, p.arg, buf_z(&words));
        buf_fini(&words);
        return;
    }
    bool any = p.kind == PROMPT_PICK && p.nshown, none = p.kind == PROMPT_PICK && !p.nshown && p.edit.n;
    if (none && !p.missing)
        return; /* the list says so */
    char *text = mem_dup_n(p.edit.p, p.edit.n);
    if (p.kind == PROMPT_SECRET)
        give_secret(ui);
    if (any)
        item = (struct pick_item){.account = p.items[p.order[p.cur]].account, .id = p.items[p.order[p.cur]].id};
    if (p.history && p.kind != PROMPT_SECRET)
        history_add(p.history, str_z(text));
    explicit_bzero(&p.edit, sizeof p.edit);
    ui_prompt_close(ui);
    if (p.kind == PROMPT_SECRET) {
        if (ui->accts.list[p.account].secret_wanted)
            secret_declined(ui, p.account);
        ui_ask_secret(ui, -1);
    } else if (p.kind == PROMPT_COMMAND && *text) {
        unsigned said = ui->said;
        if (ui_run(ui, text))
            ui_note_past(ui, said);
    }
    if (p.kind == PROMPT_ASK && p.accept)
        p.accept(ui, p.arg, text);
    else if (none)
        p.missing(ui, p.arg, text);
    else if (p.kind == PROMPT_PICK && p.picked)
        p.picked(ui, p.arg, any ? &item : NULL);
    explicit_bzero(text, strlen(text));
    free(text);
}

static void leave(struct ui *ui)
{
    struct prompt p = ui->prompt;
    explicit_bzero(&p.edit, sizeof p.edit);
    ui_prompt_close(ui);
    if ((p.kind == PROMPT_ASK || p.many) && p.accept)
        p.accept(ui, p.arg, NULL);
    else if (p.kind == PROMPT_PICK && p.picked)
        p.picked(ui, p.arg, NULL);
    else if (p.kind == PROMPT_SECRET) {
        secret_declined(ui, p.account);
        ui_ask_secret(ui, -1);
    }
}

static void walk_history(struct ui *ui, bool older)
{
    struct prompt *p = &ui->prompt;
    if (p->kind == PROMPT_PICK) {
        choose(p, older ? -1 : 1);
        return;
    }
    if (!p->history)
        return;
    struct str prefix = {"", 0};
    const char *line = older ? history_older(p->history, prefix) : history_newer(p->history, prefix);
    if (!line && older)
        return;
    struct buf clean = BUF_INIT(LINE_BYTES); /* a history file is no terminal-safe text */
    text_from_bytes(str_z(line), TEXT_LINE, &clean);
    edit_set(&p->edit, buf_str(&clean));
    buf_fini(&clean);
    drop_candidates(p);
    ui_query_typed(ui);
    if (p->change)
        p->change(ui, p->arg, p->edit.p);
}

/* A time that Tab put there is a choice, which what is typed next replaces; behind a blank it goes on: tomorrow 9:30.
 */
static void drop_chosen_time(struct prompt *p, ckey key)
{
    if (!p->open || p->offered || p->candidates.kind != ARG_WHEN || key == ' ' || p->edit.at != p->candidates.to)
        return;
    while (p->edit.at > p->candidates.from)
        edit_backspace(&p->edit);
}

void ui_prompt_key(struct ui *ui, ckey key)
{
    struct prompt *p = &ui->prompt;
    char bytes[4];
    struct buf clean = BUF_INIT(64);
    if (key >= K_SPECIAL || key < ' ')
        return;
    if (p->again && key == p->again && !p->edit.n && !ui->pasting) {
        p->cur = 0;
        accept_line(ui);
        return;
    }
    unsigned n = utf8_encode(key, bytes);
    bool mark = key == 0x200d || (key >= 0xfe00 && key <= 0xfe0f) || (key >= 0x300 && key < 0x370);
    if (mark)
        buf_add(&clean, bytes, n); /* joins the character before it */
    else
        text_from_bytes((struct str){bytes, n}, TEXT_LINE, &clean);
    if (clean.n)
        drop_chosen_time(p, key);
    if (edit_insert(&p->edit, buf_str(&clean)))
        ui_prompt_changed(ui);
    explicit_bzero(clean.p, clean.n);
    buf_fini(&clean);
}

#define EDIT(name, changes)                                                                                            \
    bool run_edit_##name(void *context, const struct cmd_args *args, struct err *err)                                  \
    {                                                                                                                  \
        struct ui *ui = context;                                                                                       \
        (void)args, (void)err;                                                                                         \
        edit_##name(&ui->prompt.edit);                                                                                 \
        if (changes)                                                                                                   \
            ui_prompt_changed(ui);                                                                                     \
        return true;                                                                                                   \
    }
EDIT(left, false)
EDIT(right, false)
EDIT(word_left, false)
EDIT(word_right, false)
EDIT(delete, true)
EDIT(word_backspace, true)
EDIT(kill, true)
EDIT(clear, true)
#undef EDIT

bool run_edit_backspace(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    if (!ui->prompt.edit.n && ui->prompt.kind == PROMPT_COMMAND) {
        leave(ui);
        return true;
    }
    edit_backspace(&ui->prompt.edit);
    ui_prompt_changed(ui);
    return true;
}

bool run_edit_start(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    ((struct ui *)context)->prompt.edit.at = 0;
    return true;
}

bool run_edit_end(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    ui->prompt.edit.at = ui->prompt.edit.n;
    return true;
}

bool run_edit_accept(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    if (((struct ui *)context)->prompt.kind != PROMPT_NONE && !ui_query_refused(context))
        accept_line(context);
    return true;
}

bool run_edit_cancel(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    if (((struct ui *)context)->prompt.kind != PROMPT_NONE)
        leave(context);
    return true;
}

bool run_edit_complete(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    complete(context, 1);
    return true;
}

bool run_edit_complete_back(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    complete(context, -1);
    return true;
}

bool run_edit_older(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    walk_history(context, true);
    return true;
}

bool run_edit_newer(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    walk_history(context, false);
    return true;
}
