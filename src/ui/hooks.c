/* Events and what hooks do at them; the values that commands may put into words. */
#include "ui/extra.h"

enum { EVENTS_MAX = 64 /* that wait for the next turn */, CHAIN_MAX = 3 /* by hooks that make others happen */ };

const struct cmd_word ui_events[] = {
#define EVENT(constant, name, help, values) {name, help},
#include "ui/events.def"
#undef EVENT
    {NULL, NULL}};
const char *const ui_event_values[] = {
#define EVENT(constant, name, help, values) values,
#include "ui/events.def"
#undef EVENT
};
const struct cmd_word ui_values[] = {
#define VALUE(constant, name, help) {name, help},
#include "ui/values.def"
#undef VALUE
    {NULL, NULL}};

/* ---- hooks ---- */
bool ui_hook(struct ui *ui, const struct line *line, struct err *err)
{
    struct hook h = {.event = 0, .line = line->number};
    struct buf command = BUF_INIT(LINE_MAX_BYTES);
    size_t at = 1;
    if (!cmd_scope_parse(line, &at, &h.scope, err))
        return false;
    if (line->n < at + 2)
        return err_set(err, ERR_CONFIG, "write: on [-a ACCOUNT] [-m MAILBOX] EVENT COMMAND");
    while (ui_events[h.event].name && strcmp(ui_events[h.event].name, line->words[at]) != 0)
        h.event++;
    if (!ui_events[h.event].name)
        return err_set(err, ERR_CONFIG, "unknown event \"%.60s\"; :on lists them", line->words[at]);
    cmd_join(line->words, line->n, at + 1, &command);
    h.command = buf_take(&command, NULL);
    h.file = mem_dup_z(line->file ? line->file : ":");
    h.scope.account = h.scope.account ? mem_dup_z(h.scope.account) : NULL;
    h.scope.mailbox = h.scope.mailbox ? mem_dup_z(h.scope.mailbox) : NULL;
    ui->hooks = mem_resize(ui->hooks, ui->nhooks + 1, sizeof *ui->hooks);
    ui->hooks[ui->nhooks++] = h;
    return true;
}

static void hook_fini(struct hook *h)
{
    free(h->command);
    free(h->file);
    free((char *)(uintptr_t)h->scope.account);
    free((char *)(uintptr_t)h->scope.mailbox);
}

/* Those of one event, or of all (EVENT_COUNT). */
static size_t unhook(struct ui *ui, unsigned event)
{
    size_t kept = 0, n = ui->nhooks;
    for (size_t i = 0; i < n; i++)
        if (event == EVENT_COUNT || ui->hooks[i].event == event)
            hook_fini(&ui->hooks[i]);
        else
            ui->hooks[kept++] = ui->hooks[i];
    ui->nhooks = kept;
    return n - kept;
}

/* ---- events ---- */
void event_words_fini(struct event_words *w)
{
    for (size_t i = 0; i < VALUES_END; i++)
        free(w->of[i]);
    *w = (struct event_words){.msg = 0};
}

void event_word(struct event_words *w, enum value value, struct str text)
{
    free(w->of[value]);
    w->of[value] = mem_dup_n(text.n ? text.p : "", text.n);
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static void run_hooks(struct ui *ui, enum event event, unsigned depth, struct event_words *words)
{
    struct event_words before = ui->event;
    unsigned hooking = ui->hooking;
    ui->hooking = depth + 1;
    ui->event = *words;
    ui->event.on = true;
    event_word(&ui->event, VALUE_EVENT, str_z(ui_events[event].name));
    for (size_t i = 0; i < ui->nhooks; i++) { /* the list may change meanwhile */
        const struct hook *h = &ui->hooks[i];
        struct err err = ERR_INIT;
        if (h->event != event ||
            !cmd_scope_fits(&h->scope, or_empty(words->of[VALUE_ACCOUNT]), or_empty(words->of[VALUE_MAILBOX])))
            continue;
        struct buf where = BUF_INIT(400);
        ui_written_where(h->file, h->line, &where);
        if (!ui_run_text(ui, h->command, &err)) {
            err_prefix(&err, "on %s (%s)", ui_events[event].name, buf_z(&where));
            if (err.kind == ERR_USAGE)
                ui_note(ui, NOTE_ERROR, "%s", err.text);
            else
                ui_note_err(ui, &err);
        }
        buf_fini(&where);
    }
    *words = ui->event;
    ui->event = before;
    ui->hooking = hooking;
    ui->dirty = true;
}

static void run_events(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->events_timer);
    for (size_t n = ui->nevents; n > 0 && ui->nevents; n--) {
        struct pending_event e = ui->events[0];
        memmove(ui->events, ui->events + 1, --ui->nevents * sizeof *ui->events);
        run_hooks(ui, e.event, e.depth, &e.words);
        event_words_fini(&e.words);
    }
    if (ui->nevents && !ui->events_timer)
        ui->events_timer = loop_after(ui->loop, 0, run_events, ui);
}

void ui_event(struct ui *ui, enum event event, struct event_words *words)
{
    struct event_words none = {.msg = 0};
    bool hooked = false;
    words = words ? words : &none;
    for (size_t i = 0; i < ui->nhooks; i++)
        hooked = hooked || ui->hooks[i].event == event;
    if (!hooked || ui->nevents == EVENTS_MAX || ui->hooking > CHAIN_MAX) { /* a hook may bring its own event about */
        event_words_fini(words);
        return;
    }
    if (event == EVENT_QUIT) { /* there is no next turn */
        run_hooks(ui, event, ui->hooking, words);
        event_words_fini(words);
        return;
    }
    if (!ui->events)
        ui->events = mem_array(EVENTS_MAX, sizeof *ui->events);
    ui->events[ui->nevents++] = (struct pending_event){event, ui->hooking, *words};
    *words = (struct event_words){.msg = 0};
    if (!ui->events_timer)
        ui->events_timer = loop_after(ui->loop, 0, run_events, ui);
}

void ui_list_event(struct ui *ui, const char *mailbox)
{
    struct event_words words = {.own = false};
    const struct list *l = ui_list(ui);
    event_word(&words, VALUE_ACCOUNT, str_z(l->source == LIST_BOX ? ui->accts.list[l->account].name : ""));
    event_word(&words, VALUE_MAILBOX, str_z(mailbox));
    ui_event(ui, EVENT_CHANGE_MAILBOX, &words);
}

void ui_hooks_fini(struct ui *ui)
{
    watch_free(&ui->events_timer);
    for (size_t i = 0; i < ui->nevents; i++)
        event_words_fini(&ui->events[i].words);
    free(ui->events);
    unhook(ui, EVENT_COUNT);
    free(ui->hooks);
}

void event_of_row(const struct ui *ui, const struct list_row *row, struct event_words *w)
{
    static const enum value of_row[] = {VALUE_FROM, VALUE_ADDRESS,    VALUE_TO,      VALUE_SUBJECT,
                                        VALUE_DATE, VALUE_MESSAGE_ID, VALUE_ACCOUNT, VALUE_MAILBOX};
    struct buf b = BUF_INIT(8192);
    for (size_t i = 0; row && i < COUNT(of_row); i++) {
        buf_reset(&b);
        ui_row_value(ui, row, of_row[i], &b);
        event_word(w, of_row[i], buf_str(&b));
    }
    buf_fini(&b);
}

/* ---- values ---- */
void ui_row_value(const struct ui *ui, const struct list_row *row, enum value value, struct buf *out)
{
    const struct box_item *box;
    char date[32];
    struct tm tm;
    time_t at = (time_t)row->date;
    switch (value) {
    case VALUE_ACCOUNT:
        buf_addz(out, ui->accts.list[row->ref.account].name);
        break;
    case VALUE_MAILBOX:
        box = boxes_find(&ui->boxes, row->ref.account, row->box);
        buf_addz(out, box ? box->path : "");
        break;
    case VALUE_FROM:
        buf_adds(out, row->from_name.n ? row->from_name : row->from_addr);
        break;
    case VALUE_ADDRESS:
        buf_adds(out, row->from_addr);
        break;
    case VALUE_TO:
        buf_adds(out, row->to);
        break;
    case VALUE_SUBJECT:
        buf_adds(out, row->subject);
        break;
    case VALUE_MESSAGE_ID:
        buf_adds(out, row->msgid);
        break;
    case VALUE_TAGS:
        buf_adds(out, row->tags);
        break;
    case VALUE_LIST:
        buf_adds(out, row->list_id);
        break;
    case VALUE_SIZE:
        buf_addf(out, "%llu", (unsigned long long)row->size);
        break;
    case VALUE_DATE:
        if (localtime_r(&at, &tm) && strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm))
            buf_addz(out, date);
        break;
    default:
        break;
    }
}

static void preview(const struct ui *ui, const struct list_row *row, struct buf *out)
{
    struct err err = ERR_INIT;
    struct reader *reader = ui->accts.list[row->ref.account].reader;
    if (reader && row->ref.id)
        reader_preview(reader, row->ref.id, out, &err);
}

/* What needs no message. */
static bool screen_value(const struct ui *ui, enum value value, struct buf *out)
{
    const struct list *l = ui_list(ui);
    switch (value) {
    case VALUE_TITLE:
        return buf_addz(out, or_empty(l->title));
    case VALUE_QUERY:
        return buf_addz(out, or_empty(l->query));
    case VALUE_UNREAD:
        return buf_addf(out, "%u", ui->boxes.n ? ui->boxes.list[0].unread : 0);
    case VALUE_TOTAL:
        return buf_addf(out, "%u", l->total);
    case VALUE_ROW:
        return buf_addf(out, "%u", l->n ? l->rank + 1 : 0);
    case VALUE_SELECTED:
        return buf_addf(out, "%zu", ui->selection.n);
    case VALUE_PANE:
        return buf_addz(out, cmd_context_name(ui_context(ui)));
    default:
        return false;
    }
}

static bool value_of(void *arg, const char *name, struct buf *out)
{
    const struct ui *ui = arg;
    const struct list_row *row = ui_row(ui);
    unsigned value = 0;
    while (ui_values[value].name && strcmp(ui_values[value].name, name) != 0)
        value++;
    if (value == VALUES_END)
        return false;
    if (ui->event.on && ui->event.of[value])
        buf_addz(out, ui->event.of[value]);
    else if (screen_value(ui, (enum value)value, out))
        return true;
    else if (!row || (ui->event.on && ui->event.own)) /* an event's words are never those of some other message */
        return true;
    else if (value == VALUE_PREVIEW)
        preview(ui, row, out);
    else
        ui_row_value(ui, row, (enum value)value, out);
    return true;
}

/* ---- commands ---- */
bool run_run(void *context, const struct cmd_args *args, struct err *err)
{
    struct buf command = BUF_INIT(LINE_MAX_BYTES);
    bool ok = cmd_expand(str_z(cmd_arg(args, 0)), value_of, context, &command, err);
    if (ok && !ui_spawn((const char *const[]){"/bin/sh", "-c", buf_z(&command), NULL}))
        ok = err_set(err, ERR_TOOL, "cannot start a program");
    buf_fini(&command);
    return ok;
}

bool run_echo(void *context, const struct cmd_args *args, struct err *err)
{
    struct buf text = BUF_INIT(LINE_MAX_BYTES);
    bool ok = cmd_expand_plain(str_z(cmd_arg(args, 0) ? cmd_arg(args, 0) : ""), value_of, context, &text, err);
    if (ok)
        ui_note(context, NOTE_INFO, "%s", buf_z(&text));
    buf_fini(&text);
    return ok;
}

void ui_list_hooks(struct ui *ui, const char *only)
{
    ui_popup(ui, POPUP_PAGER, only ? only : "events and what is done at them");
    for (unsigned e = 0; e < EVENT_COUNT; e++) {
        if (only && strcmp(only, ui_events[e].name) != 0)
            continue;
        ui_popup_text(ui, ui_events[e].name, ui_events[e].help);
        if (only && *ui_event_values[e]) {
            struct buf words = BUF_INIT(400);
            buf_addf(&words, "with the values %s", ui_event_values[e]);
            ui_popup_text(ui, "", buf_z(&words));
            buf_fini(&words);
        }
        for (size_t i = 0; i < ui->nhooks; i++) {
            const struct hook *h = &ui->hooks[i];
            struct buf line = BUF_INIT(LINE_MAX_BYTES);
            if (h->event != e)
                continue;
            cmd_scope_format(&h->scope, &line);
            buf_addf(&line, "%s  (", h->command);
            ui_written_where(h->file, h->line, &line);
            buf_addc(&line, ')');
            ui_popup_text(ui, "", buf_z(&line));
            buf_fini(&line);
        }
    }
}

bool run_on(void *context, const struct cmd_args *args, struct err *err)
{
    const struct cmd_word *e = ui_events;
    if (args->n >= 2)
        return ui_setting_line(context, args, err);
    while (args->n && e->name && strcmp(e->name, args->words[0]) != 0)
        e++;
    if (!e->name)
        return err_set(err, ERR_USAGE, "unknown event \"%.60s\"; on lists them", args->words[0]);
    ui_list_hooks(context, cmd_arg(args, 0));
    return true;
}

bool run_unhook(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    unsigned event = 0;
    while (ui_events[event].name && strcmp(ui_events[event].name, args->words[0]) != 0)
        event++;
    if (event == EVENT_COUNT && strcmp(args->words[0], "*") != 0)
        return err_set(err, ERR_USAGE, "unknown event \"%.60s\"; on lists them", args->words[0]);
    if (ui->hooking)
        return err_set(err, ERR_USAGE, "a hook runs");
    size_t n = unhook(ui, event);
    ui_note(ui, NOTE_INFO, n == 1 ? "1 hook removed" : "%zu hooks removed", n);
    return true;
}
