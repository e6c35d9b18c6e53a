/* What the next command is about when it is not the row: a whole thread, a count of messages, all older ones. */
#include "mail/mail.h"
#include "ui/extra.h"

enum { ROWS_MAX = 5000 };
#define DAY INT64_C(86400)

void ui_scope_clear(struct ui *ui)
{
    refs_fini(&ui->scope.refs);
    free(ui->scope.command);
    ui->scope = (struct scope){.on = false};
}

void ui_scope_settle(struct ui *ui)
{
    if ((ui->scope.on || ui->scope.word[0]) && ui->prompt.kind == PROMPT_NONE && ui->popup.kind != POPUP_CONFIRM)
        ui_scope_clear(ui);
}

static void scope_is(struct ui *ui, struct refs *refs, const char *word)
{
    ui_scope_clear(ui);
    ui->scope.refs = *refs;
    ui->scope.on = true;
    snprintf(ui->scope.word, sizeof ui->scope.word, "%s", word);
    *refs = (struct refs){.n = 0};
}

void ui_scope_set(struct ui *ui, struct refs *refs)
{
    char word[sizeof ui->scope.word];
    memcpy(word, ui->scope.word, sizeof word);
    scope_is(ui, refs, word);
}

void ui_remember(struct ui *ui, const char *command, const char *words)
{
    struct buf b = BUF_INIT(LINE_BYTES);
    buf_addf(&b, "%s%s %s", ui->scope.word, command, words);
    free(ui->last_command);
    ui->last_command = mem_dup_z(buf_z(&b));
    buf_fini(&b);
}

unsigned ui_times(const struct ui *ui)
{
    return MAX(ui->times, 1u);
}

/* ---- a whole thread ---- */
bool ui_thread_refs(struct ui *ui, const struct list_row *row, struct refs *out, struct err *err)
{
    return list_thread_refs(ui_list(ui), row, out, err);
}

/* Runs the command for what was found, which is of the scope then. */
static bool run_for(struct ui *ui, struct refs *refs, const char *word, const char *command, struct err *err)
{
    scope_is(ui, refs, word);
    return ui_run_text(ui, command, err);
}

/* The threads of the rows that a count gave. */
static bool threads_refs(struct ui *ui, struct refs *out, struct err *err)
{
    bool ok = true;
    for (struct ref ref = REF_NONE; ok && refs_next(&ui->scope.refs, &ref);) {
        struct list_row row = {.ref = ref};
        struct reader *reader = ui->accts.list[row.ref.account].reader;
        struct msg_row raw = {.id = 0};
        ok = !reader || reader_row(reader, row.ref.id, &raw, err);
        row.thread = raw.thread;
        ok = ok && (!raw.id || ui_thread_refs(ui, &row, out, err));
    }
    return ok;
}

bool run_thread(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    struct refs refs = {.n = 0};
    bool ok = row && row->ref.id;
    if (ui->scope.on && !ui->times)
        return err_set(err, ERR_USAGE, "thread is for one command, and not part of another such word");
    ok = ok && (ui->scope.on ? threads_refs(ui, &refs, err) : ui_thread_refs(ui, row, &refs, err));
    if (!ok) {
        refs_fini(&refs);
        return err->kind == ERR_NONE;
    }
    return run_for(ui, &refs, "thread ", cmd_arg(args, 0), err);
}

/* ---- a count ---- */
static bool add_row(struct ui *ui, const struct list_row *row, struct refs *refs, struct err *err)
{
    if (row->ghost || !row->ref.id)
        return true;
    if (row->folded)
        return list_thread_refs(ui_list(ui), row, refs, err);
    refs_add(refs, row->ref);
    return true;
}

bool ui_scope_rows(struct ui *ui, unsigned n, struct err *err)
{
    struct list *l = ui_list(ui);
    struct refs refs = {.n = 0};
    const struct list_row *row = list_cursor(l);
    if (ui->scope.on || !row)
        return true;
    struct ref from = row->ref;
    unsigned at = l->cur, top = l->top, window = l->n;
    bool ok = true;
    n = MIN(n, (unsigned)ROWS_MAX);
    if (l->cur + n <= l->n || l->last_here) { /* all on hand */
        for (unsigned i = l->cur; ok && i < l->n && i < at + n; i++)
            ok = add_row(ui, &l->rows[i], &refs, err);
    } else {
        ok = add_row(ui, row, &refs, err);
        for (unsigned i = 1; ok && i < n && list_move(l, 1, err); i++)
            ok = add_row(ui, list_cursor(l), &refs, err);
        list_reach(l, from, err);
        if (l->n == window && l->cur == at)
            l->top = top;
    }
    if (ok)
        scope_is(ui, &refs, "");
    refs_fini(&refs);
    return ok;
}

/* ---- all of the list, all that is older ---- */
/* What the command is to be done for, and how that is asked. */
struct wide {
    char day[40];
    char command[];
};

static struct wide *wide_new(const char *command)
{
    size_t n = strlen(command) + 1;
    struct wide *w = mem_new(sizeof *w + n);
    memcpy(w->command, command, n);
    return w;
}

/* What was found waits in the scope meanwhile. */
static void wide_answer(struct ui *ui, void *arg, bool yes)
{
    struct err err = ERR_INIT;
    (void)arg;
    if (yes && ui->scope.on && ui->scope.command && !ui_run_text(ui, ui->scope.command, &err))
        ui_note_err(ui, &err);
}

static void wide_ask(struct ui *ui, const struct wide *w, struct gathered *g)
{
    char question[300], detail[200];
    snprintf(question, sizeof question, "%.100s: all %zu messages %s%s?", w->command, g->refs.n,
             *w->day ? "before " : "of the list", w->day);
    snprintf(detail, sizeof detail, "in %.100s; %zu unread, %zu flagged among them",
             ui_list(ui)->title ? ui_list(ui)->title : "this list", g->unread, g->flagged);
    scope_is(ui, &g->refs, "");
    ui->scope.command = mem_dup_z(w->command);
    ui_confirm(ui, question, detail, wide_answer, NULL);
}

static bool wide_found(struct ui *ui, void *arg, struct gathered *g, struct err *err)
{
    struct wide *w = arg;
    bool ok = g->refs.n || err_set(err, ERR_USAGE,
                                   *w->day ? "no message of this list is older" : "there is no message in this list");
    if (ok && (*w->day || g->refs.n > ui->conf->confirm_result || !ui->conf->confirm_result))
        wide_ask(ui, w, g);
    else if (ok)
        ok = run_for(ui, &g->refs, "result ", w->command, err);
    ui_scope_settle(ui);
    free(w);
    return ok;
}

bool run_result(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (ui->scope.on)
        return err_set(err, ERR_USAGE, "result is for one command, and not part of another such word");
    return ui_gather(ui, (struct gather_what){.before = INT64_MAX}, wide_found, wide_new(cmd_arg(args, 0)), err);
}

/* "30d", "6w", "2y", or a date. */
static bool older_than(const char *word, int64_t *before_r)
{
    struct str w = str_z(word);
    uint32_t n;
    char unit = w.n ? w.p[w.n - 1] : 0;
    int64_t days = unit == 'd' ? 1 : unit == 'w' ? 7 : unit == 'y' ? 365 : 0;
    if (days && str_u32(str_sub(w, 0, w.n - 1), &n) && n > 0 && n <= 100000) {
        *before_r = clock_wall() - n * days * DAY;
        return true;
    }
    return mail_day_parse(w, before_r) && *before_r < clock_wall();
}

bool run_older(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    int64_t before;
    struct tm t;
    if (ui->scope.on)
        return err_set(err, ERR_USAGE, "older is for one command, and not part of another such word");
    if (!older_than(cmd_arg(args, 0), &before))
        return err_set(err, ERR_USAGE, "older than what? 30d, 6w, 2y, or a day: 2026-01-31");
    struct wide *w = wide_new(cmd_arg(args, 1));
    time_t at = (time_t)before;
    if (!localtime_r(&at, &t) || !strftime(w->day, sizeof w->day, "%d %b %Y", &t))
        snprintf(w->day, sizeof w->day, "that");
    return ui_gather(ui, (struct gather_what){.before = before}, wide_found, w, err);
}
