/* Popups: help and other text to page through, links, questions, and what may follow a prefix key. */
#include "ui/extra.h"

#include <limits.h>

void ui_popup_close(struct ui *ui)
{
    struct popup *p = &ui->popup;
    for (unsigned i = 0; i < p->n; i++) {
        free(p->rows[i].left);
        free(p->rows[i].right);
    }
    free(p->rows);
    free(p->lines);
    free(p->title);
    *p = (struct popup){.kind = POPUP_NONE};
    ui->dirty = true;
}

/* What is read, not answered. */
static bool is_listing(enum popup_kind kind)
{
    return kind != POPUP_NONE && kind != POPUP_CONFIRM && kind != POPUP_KEYS && kind != POPUP_LINKS;
}

void ui_answer_begin(struct ui *ui, struct buf *answer)
{
    ui->answer = answer;
    ui->behind = (struct popup){.kind = POPUP_NONE};
    ui->listed = false;
}

/* The rows as lines, left and right apart by a tab. */
static void rows_to_answer(struct ui *ui)
{
    for (unsigned i = 0; i < ui->popup.n; i++) {
        const struct popup_row *r = &ui->popup.rows[i];
        buf_addf(ui->answer, "%s%s%s\n", r->left, *r->right ? "\t" : "", r->right);
    }
}

void ui_answer_end(struct ui *ui)
{
    if (ui->listed && is_listing(ui->popup.kind))
        rows_to_answer(ui);
    ui->answer = NULL;
    if (!ui->listed)
        return;
    if (is_listing(ui->popup.kind) || ui->popup.kind == POPUP_NONE) {
        ui_popup_close(ui);
        ui->popup = ui->behind;
    } else { /* a question is on the screen now */
        struct popup asked = ui->popup;
        ui->popup = ui->behind;
        ui_popup_close(ui);
        ui->popup = asked;
    }
    ui->behind = (struct popup){.kind = POPUP_NONE};
    ui->listed = false;
}

void ui_popup(struct ui *ui, enum popup_kind kind, const char *title)
{
    if (ui->answer && is_listing(kind) && !ui->listed) { /* for the one who asked, not for the screen */
        ui->behind = ui->popup;
        ui->popup = (struct popup){.kind = POPUP_NONE};
        ui->listed = true;
    } else if (ui->answer && ui->listed && is_listing(ui->popup.kind)) {
        rows_to_answer(ui); /* a second list */
    }
    if (!ui->listed)
        buffer_show(ui, ui->at); /* it is about what that one shows */
    ui_popup_close(ui);
    ui->popup.kind = kind;
    ui->popup.title = mem_dup_z(title);
}

void ui_popup_row(struct ui *ui, const char *left, const char *right)
{
    struct popup *p = &ui->popup;
    if (p->n % 32 == 0)
        p->rows = mem_resize(p->rows, p->n + 32, sizeof *p->rows);
    p->rows[p->n++] = (struct popup_row){.left = mem_dup_z(left), .right = mem_dup_z(right)};
}

static void add_clean(struct ui *ui, const char *left, const char *raw, bool item)
{
    struct buf b = BUF_INIT(65536);
    struct text all = text_from_bytes(str_z(raw), TEXT_FOLD_SPACE, &b);
    char *right = mem_dup_n(all.p, all.n);
    ui_popup_row(ui, left, right);
    ui->popup.rows[ui->popup.n - 1].wraps = true;
    ui->popup.rows[ui->popup.n - 1].item = item;
    free(right);
    buf_fini(&b);
}

void ui_popup_text(struct ui *ui, const char *left, const char *raw)
{
    add_clean(ui, left, raw, false);
}

void ui_popup_item(struct ui *ui, const char *left, const char *raw)
{
    add_clean(ui, left, raw, true);
}

size_t ui_fits(struct str all, size_t from, unsigned width, size_t *next_r)
{
    struct text rest = {all.p + from, all.n - from, UINT_MAX}, line = text_fit(rest, width);
    size_t n = line.n;
    while (n && line.n < rest.n && rest.p[n] != ' ')
        n--;
    if (!n)
        n = MAX(line.n, (size_t)(rest.n > 0)); /* a word that is wider than the line */
    *next_r = from + n + (from + n < all.n && all.p[from + n] == ' ');
    return n;
}

void ui_popup_pieces(struct ui *ui, const char *left, unsigned left_cols, const char *raw)
{
    struct buf b = BUF_INIT(65536);
    struct text all = text_from_bytes(str_z(raw), TEXT_FOLD_SPACE, &b);
    unsigned aside = left_cols ? left_cols + 5 : 3, width = ui->grid.cols > aside + 20 ? ui->grid.cols - aside : 20;
    size_t from = 0, next;
    do {
        char *piece = mem_dup_n(all.p + from, ui_fits((struct str){all.p, all.n}, from, width, &next));
        ui_popup_row(ui, left, piece);
        free(piece);
        left = "";
        from = next;
    } while (from < all.n);
    buf_fini(&b);
}

/* ---- rows to lines of this screen ---- */
struct pieces {
    struct popup_piece *list;
    unsigned n;
};

static void cut_row(const struct popup *p, unsigned row, unsigned width, struct pieces *out)
{
    struct str text = str_z(p->rows[row].right);
    size_t from = 0, next = 0;
    do {
        size_t n = p->rows[row].wraps ? ui_fits(text, from, MAX(width, 8u), &next) : text.n;
        if (out->n % 64 == 0)
            out->list = mem_resize(out->list, out->n + 64, sizeof *out->list);
        out->list[out->n++] = (struct popup_piece){row, from, n};
        from = next;
    } while (p->rows[row].wraps && from < text.n);
}

static struct popup_line *add_line(struct popup *p)
{
    if (p->nlines % 64 == 0)
        p->lines = mem_resize(p->lines, p->nlines + 64, sizeof *p->lines);
    p->lines[p->nlines] = (struct popup_line){.n = 0};
    return &p->lines[p->nlines++];
}

/* Down one column and on at the top of the next; a wrapped row stays in one piece. */
static void in_columns(struct popup *p, const struct pieces *pieces, unsigned columns)
{
    unsigned high = (pieces->n + columns - 1) / columns, first = p->nlines, at = 0;
    for (unsigned c = 0; c < columns && at < pieces->n; c++) {
        unsigned y = 0;
        for (; at < pieces->n && (y < high || pieces->list[at].from || c + 1 == columns); y++) {
            if (first + y == p->nlines)
                add_line(p);
            struct popup_line *line = &p->lines[first + y];
            while (line->n < c) /* the column before is shorter */
                line->pieces[line->n++] = (struct popup_piece){.row = UINT_MAX};
            line->pieces[line->n++] = pieces->list[at++];
        }
    }
}

static unsigned left_cols(const struct ui *ui, const struct popup *p, bool item, unsigned most)
{
    unsigned cols = 0;
    for (unsigned i = 0; i < p->n; i++) {
        struct buf b = BUF_INIT(4096);
        if (p->rows[i].item == item && *p->rows[i].right)
            cols = MAX(cols, ui_clean(ui, str_z(p->rows[i].left), &b).cols);
        buf_fini(&b);
    }
    return MIN(cols, most);
}

void ui_popup_layout(struct ui *ui)
{
    struct popup *p = &ui->popup;
    unsigned cols = ui->grid.cols, wide = p->kind == POPUP_KEYS ? 40 : 80;
    unsigned columns = MIN(MAX(cols / wide, 1u), (unsigned)POPUP_COLUMNS);
    if (p->kind == POPUP_NONE || (p->cols == cols && p->laid == p->n))
        return;
    p->cols = cols;
    p->laid = p->n;
    p->nlines = 0;
    p->left = left_cols(ui, p, false, cols / 3);
    p->item_cols = (cols - MIN(cols, 2u)) / columns;
    p->item_left = left_cols(ui, p, true, p->item_cols / 3);
    for (unsigned i = 0; i < p->n;) {
        struct pieces pieces = {NULL, 0};
        bool item = p->rows[i].item;
        unsigned aside = item ? p->item_left : p->left, room = item ? p->item_cols : cols - MIN(cols, 2u);
        do
            cut_row(p, i, room - MIN(room, aside + (aside ? 2u : 0u) + 1u), &pieces);
        while (++i < p->n && item && p->rows[i].item);
        in_columns(p, &pieces, item ? columns : 1);
        free(pieces.list);
    }
}

static void confirm(struct ui *ui, const char *question, const char *detail, confirm_fn *fn, void *arg)
{
    /* the whole of both: what is not seen is not agreed to */
    struct buf clean = BUF_INIT(65536);
    struct text all = text_from_bytes(str_z(question), TEXT_FOLD_SPACE, &clean);
    size_t next;
    char *title = mem_dup_n(all.p, ui_fits((struct str){all.p, all.n}, 0, MAX(ui->grid.cols, 24u) - 3, &next));
    ui_popup(ui, POPUP_CONFIRM, title);
    ui->popup.confirm = fn;
    ui->popup.arg = arg;
    if (next < all.n)
        ui_popup_text(ui, "", all.p + next);
    struct str rest = str_z(detail), line;
    while (rest.n && str_split(&rest, '\n', &line)) {
        char *raw = mem_dup_n(line.p, line.n);
        ui_popup_text(ui, "", raw);
        free(raw);
    }
    free(title);
    buf_fini(&clean);
    ui_popup_row(ui, "y", "yes");
    ui_popup_row(ui, "n", "no");
}

/* ---- questions that wait ---- */
static void on_quiet(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->question_timer);
    ui->dirty = true;
}

/* Does a key that comes now belong to something else? */
static bool question_waits(struct ui *ui)
{
    bool typed = !ui->in_key && typed_on(ui);
    if (typed && !ui->question_timer)
        ui->question_timer = loop_after(ui->loop, typed_quiet_in(ui) + 1, on_quiet, ui);
    return typed || ui->prompt.kind != PROMPT_NONE || ui->popup.kind == POPUP_CONFIRM;
}

static void question_fini(struct question *q)
{
    refs_fini(&q->scope.refs);
    free(q->scope.command);
    free(q->question);
    free(q->detail);
}

static struct question question_out(struct ui *ui, unsigned i)
{
    struct question q = ui->questions[i];
    ui->nquestions--;
    memmove(&ui->questions[i], &ui->questions[i + 1], (ui->nquestions - i) * sizeof q);
    return q;
}

void ui_questions_go_on(struct ui *ui)
{
    while (ui->nquestions && !question_waits(ui)) {
        struct question q = question_out(ui, 0);
        buffer_enter(ui, q.buffer);
        ui_scope_clear(ui);
        ui->scope = q.scope;
        q.scope = (struct scope){.on = false};
        confirm(ui, q.question, q.detail, q.fn, q.arg);
        question_fini(&q);
    }
}

void ui_questions_drop(struct ui *ui, uint32_t buffer)
{
    for (unsigned i = 0; i < ui->nquestions;) {
        if (buffer && ui->questions[i].buffer != buffer) {
            i++;
            continue;
        }
        struct question q = question_out(ui, i);
        if (buffer)
            q.fn(ui, q.arg, false);
        question_fini(&q);
    }
}

void ui_confirm(struct ui *ui, const char *question, const char *detail, confirm_fn *fn, void *arg)
{
    if (!question_waits(ui)) {
        confirm(ui, question, detail, fn, arg);
    } else if (ui->nquestions < QUESTIONS_MAX) {
        ui->questions[ui->nquestions++] = (struct question){.buffer = ui->at->id,
                                                            .question = mem_dup_z(question),
                                                            .detail = mem_dup_z(detail),
                                                            .fn = fn,
                                                            .arg = arg,
                                                            .scope = ui->scope};
        ui->scope = (struct scope){.on = false}; /* nothing else is about that */
    } else {
        ui_note(ui, NOTE_WARNING, "%s: not done, too many questions wait", question);
        fn(ui, arg, false);
    }
}

static void answer(struct ui *ui, bool yes)
{
    confirm_fn *fn = ui->popup.confirm;
    void *arg = ui->popup.arg;
    ui_popup_close(ui);
    fn(ui, arg, yes);
}

bool ui_popup_move(struct ui *ui, ckey key)
{
    struct popup *p = &ui->popup;
    unsigned high = MAX(p->height, 1u), last = p->n ? p->n - 1 : 0;
    int64_t by = key == 'j' || key == K_DOWN   ? 1
                 : key == 'k' || key == K_UP   ? -1
                 : key == K_PGDN || key == ' ' ? (int64_t)high
                 : key == K_PGUP || key == '-' ? -(int64_t)high
                 : key == K_HOME || key == '=' ? -(int64_t)last
                 : key == K_END || key == '*'  ? (int64_t)last
                                               : 0;
    if (!by && !(key == K_HOME || key == K_END || key == '=' || key == '*'))
        return false;
    p->cur = (unsigned)MIN(MAX((int64_t)p->cur + by, (int64_t)0), (int64_t)last);
    ui->dirty = true;
    return true;
}

bool ui_popup_key(struct ui *ui, ckey key)
{
    char word[40];
    if (key == ':' && ui->popup.kind != POPUP_PAGER) { /* a command is typed from anywhere: its letters are no keys */
        if (ui->popup.kind == POPUP_CONFIRM)
            answer(ui, false);
        ui_popup_close(ui);
        return false;
    }
    switch (ui->popup.kind) {
    case POPUP_CONFIRM:
        if (key == 'y' || key == 'Y' || key == K_ENTER) {
            /* a long detail has to be seen to its end before it can be agreed to */
            if (ui->popup.height && ui->popup.top + ui->popup.height < ui->popup.nlines)
                ui->popup.top += ui->popup.height;
            else
                answer(ui, true);
        } else
            answer(ui, false);
        return true;
    case POPUP_LINKS:
        ui_popup_close(ui);
        if ((key >= 'a' && key <= 'z') || (key >= 'A' && key <= 'Z')) {
            bool copy = key <= 'Z';
            snprintf(word, sizeof word, "%s %u", copy ? "yank link" : "links",
                     (unsigned)(key - (copy ? 'A' : 'a') + 1));
            ui_run(ui, word);
        }
        return true;
    case POPUP_LIST:
        return listmenu_key(ui, key);
    case POPUP_QUEUE:
        return queue_key(ui, key);
    case POPUP_BUFFERS:
        return buffers_key(ui, key);
    case POPUP_JOBS:
        return jobs_key(ui, key);
    case POPUP_SCRIPTS:
        return scripts_key(ui, key);
    case POPUP_RULE:
        return rule_key(ui, key);
    case POPUP_KEYS:
        ui_popup_close(ui); /* the key goes on to where it belongs */
        return false;
    default:
        return false;
    }
}

/* ---- keys ---- */
struct listing {
    struct ui *ui;
    size_t skip;
};

/* "go 2": the account of that number, as its place in tuimailrc is not known by heart. False: none of the kind. */
static bool goes_to_account(const struct binding *b, uint32_t *number_r)
{
    struct str line = str_z(b->command);
    return line.n == 4 && str_eqz(str_sub(line, 0, 3), "go ") && str_u32(str_sub(line, 3, 4), number_r);
}

static void list_binding(void *arg, const struct binding *b)
{
    struct listing *l = arg;
    uint32_t number = 0;
    if (goes_to_account(b, &number) && (number < 1 || number > l->ui->accts.n))
        return;
    struct buf keys = BUF_INIT(200), what = BUF_INIT(400);
    struct str name = str_z(b->command);
    size_t blank;
    keys_format(b->keys + l->skip, b->n - l->skip, &keys);
    char *word = mem_dup_n(name.p, str_find(name, ' ', &blank) ? blank : name.n);
    const struct command *command = *b->command ? cmd_find(&ui_lang, word) : NULL;
    bool plain = command && !strcmp(word, b->command);
    if (*b->macro)
        buf_addf(&what, "keys %s", b->macro);
    else
        buf_addz(&what, plain ? command->help : b->command);
    if (number)
        buf_addf(&what, " (%s)", l->ui->accts.list[number - 1].name);
    if (!command || !(command->flags & CMD_HIDDEN))
        ui_popup_item(l->ui, buf_z(&keys), buf_z(&what));
    free(word);
    buf_fini(&keys);
    buf_fini(&what);
}

void ui_popup_keys(struct ui *ui)
{
    struct buf title = BUF_INIT(100);
    struct listing l = {ui, ui->nkeys};
    keys_format(ui->keys, ui->nkeys, &title);
    ui_popup(ui, POPUP_KEYS, buf_z(&title));
    keymap_each(ui->keymap, ui_context(ui), ui->keys, ui->nkeys, list_binding, &l);
    buf_fini(&title);
}

/* ---- help: a line for each command with all its keys, the pane's own first, in the order of the table ---- */
struct help_line {
    const char *line; /* as bound; owned by the key map */
    size_t rank;
    bool global;
    struct buf keys;
};
struct help_lines {
    struct help_line list[400];
    size_t n;
};

/* The place of a binding's command in the table; macros and what it does not know come last. */
static size_t help_rank(const struct binding *b)
{
    struct str name = str_z(b->command);
    size_t blank, i = 0;
    if (str_find(name, ' ', &blank))
        name = str_sub(name, 0, blank);
    while (i < ui_lang.ncommands && !str_eqz(name, ui_lang.commands[i].name))
        i++;
    return i;
}

static void help_binding(void *arg, const struct binding *b)
{
    struct help_lines *all = arg;
    const char *line = *b->macro ? b->macro : b->command;
    size_t i = 0, rank = help_rank(b);
    if (rank < ui_lang.ncommands && (ui_lang.commands[rank].flags & CMD_HIDDEN))
        return;
    while (i < all->n && (all->list[i].rank != rank || strcmp(all->list[i].line, line) != 0))
        i++;
    if (i == COUNT(all->list))
        return;
    if (i == all->n)
        all->list[all->n++] = (struct help_line){line, rank, b->context == CTX_GLOBAL, BUF_INIT(400)};
    if (all->list[i].keys.n)
        buf_addc(&all->list[i].keys, ' ');
    keys_format(b->keys, b->n, &all->list[i].keys);
}

static void help_row(struct ui *ui, const struct help_line *h)
{
    struct buf what = BUF_INIT(1000);
    const struct command *c = h->rank < ui_lang.ncommands ? &ui_lang.commands[h->rank] : NULL;
    if (c)
        ui_line_words(h->line, &what);
    buf_addf(&what, c ? "  (%s)" : "%s", h->line);
    ui_popup_item(ui, buf_z(&h->keys), buf_z(&what));
    buf_fini(&what);
}

static void help_keys(struct ui *ui, enum cmd_context context)
{
    struct help_lines *all = mem_new(sizeof *all);
    keymap_each(ui->keymap, context, NULL, 0, help_binding, all);
    for (size_t at = 0; at < 2 * (ui_lang.ncommands + 1); at++)
        for (size_t i = 0; i < all->n; i++)
            if (all->list[i].rank + (all->list[i].global ? ui_lang.ncommands + 1 : 0) == at)
                help_row(ui, &all->list[i]);
    for (size_t i = 0; i < all->n; i++)
        buf_fini(&all->list[i].keys);
    free(all);
}

static void help_command(struct ui *ui, const struct command *c)
{
    struct buf text = BUF_INIT(1000), keys = BUF_INIT(200);
    cmd_usage(c, &text);
    ui_popup_row(ui, buf_z(&text), "");
    ui_popup_row(ui, "", c->help);
    for (unsigned i = 0; i < CTX_COUNT; i++) {
        buf_reset(&keys);
        if (keymap_where(ui->keymap, (enum cmd_context)i, c->name, &keys))
            ui_popup_row(ui, cmd_context_name((enum cmd_context)i), buf_z(&keys));
    }
    if (c->more)
        ui_popup_text(ui, "", c->more);
    buf_fini(&text);
    buf_fini(&keys);
}

static void help_option(struct ui *ui, const struct option *o)
{
    struct buf line = BUF_INIT(4096);
    ui_popup_text(ui, o->name, o->help);
    for (size_t i = 0; i < (o->scope == OPT_GLOBAL ? 1 : ui->conf->naccounts); i++) {
        const struct account *account = o->scope == OPT_GLOBAL ? NULL : &ui->conf->accounts[i];
        buf_reset(&line);
        option_get(ui->conf, account, o, &line);
        ui_popup_text(ui, account ? account->name : "is", buf_z(&line));
    }
    ui_popup_text(ui, "default", o->def);
    if (o->choices)
        ui_popup_text(ui, "one of", o->choices);
    if (o->more)
        ui_popup_text(ui, "", o->more);
    if (o->acts == ACTS_START)
        ui_popup_text(ui, "", "It acts when tuimail starts.");
    buf_fini(&line);
}

void ui_help(struct ui *ui, const char *word)
{
    enum cmd_context context = ui_context(ui);
    char title[80];
    const struct command *command = word ? cmd_find(&ui_lang, word) : NULL;
    const struct option *option = word ? option_find(word) : NULL;
    for (size_t i = 0; word && !command && !option && ui_events[i].name; i++)
        if (!strcmp(ui_events[i].name, word)) {
            ui_list_hooks(ui, word);
            return;
        }
    if (word && !command && !option) {
        ui_note(ui, NOTE_WARNING, "no command, option or event \"%s\"", word);
        return;
    }
    snprintf(title, sizeof title, word ? "%s" : "keys here (%s)", word ? word : cmd_context_name(context));
    ui_popup(ui, POPUP_PAGER, title);
    if (command)
        help_command(ui, command);
    else if (option)
        help_option(ui, option);
    else
        help_keys(ui, context);
    if (word)
        return;
    ui_popup_row(ui, "", "");
    ui_popup_row(ui, "", "all commands, for the prompt:");
    for (size_t i = 0; i < ui_lang.ncommands; i++)
        if (!(ui_lang.commands[i].flags & CMD_HIDDEN))
            ui_popup_item(ui, ui_lang.commands[i].name, ui_lang.commands[i].help);
    ui_popup_row(ui, "", "");
    ui_popup_row(ui, "", "words of a search or limit, beside those of notmuch:");
    for (size_t i = 0; i < query_nforms; i++)
        ui_popup_item(ui, query_forms[i].prefix, query_forms[i].help);
}

bool run_help(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    ui_help(context, cmd_arg(args, 0));
    return true;
}

static void messages(struct ui *ui)
{
    struct tm today;
    time_t now = (time_t)clock_wall();
    ui_popup(ui, POPUP_PAGER, "what happened, newest first");
    ui->popup.told = ui->nnotes + 1;
    bool dated = !localtime_r(&now, &today);
    for (unsigned i = 0; i < MIN(ui->nnotes, (unsigned)NOTES_MAX); i++) {
        const struct note *note = &ui->notes[(ui->nnotes - 1 - i) % NOTES_MAX];
        char when[32];
        struct tm tm;
        time_t at = (time_t)note->at;
        bool known = localtime_r(&at, &tm) != NULL;
        bool old = dated || !known || tm.tm_year != today.tm_year || tm.tm_yday != today.tm_yday;
        if (!known || !strftime(when, sizeof when, old ? "%m-%d %H:%M" : "%H:%M:%S", &tm))
            when[0] = 0;
        ui_popup_text(ui, when, note->text);
    }
    for (unsigned a = 0; a < ui->accts.n; a++) {
        uint32_t intents = 0, outbox = 0;
        struct err why = ERR_INIT;
        char line[120];
        if (!ui->accts.list[a].reader || !reader_pending(ui->accts.list[a].reader, &intents, &outbox, &why) ||
            (!intents && !outbox))
            continue;
        snprintf(line, sizeof line, "%u change%s for the server, %u mail%s to send", intents,
                 intents == 1 ? " waits" : "s wait", outbox, outbox == 1 ? "" : "s");
        ui_popup_row(ui, ui->accts.list[a].name, line);
    }
    if (!ui->popup.n)
        ui_popup_row(ui, "", "Nothing was said yet.");
}

void messages_again(struct ui *ui)
{
    if (ui->popup.told && ui->popup.told != ui->nnotes + 1 && !ui->popup.top)
        messages(ui);
}

bool run_messages(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    messages(context);
    return true;
}
