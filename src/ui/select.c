/* What the next command is about: messages, ranges and threads that are selected. */
#include "ui/private.h"

/* The thread's messages in this list: what is filed elsewhere stays there. */
bool run_select_thread(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    (void)args;
    return !row || !row->ref.id || ui_thread_refs(ui, row, &ui->selection, err);
}

struct unread_refs {
    unsigned account;
    struct refs *out;
};

static void unread_row(void *arg, const struct msg_row *row)
{
    struct unread_refs *u = arg;
    if (!(row->flags & FLAG_SEEN))
        refs_add(u->out, (struct ref){u->account, row->id});
}

/* The unread messages of the message's thread, in all mailboxes. */
static bool unread_of(struct ui *ui, struct ref ref, struct refs *out, struct err *err)
{
    struct reader *reader = ui->accts.list[ref.account].reader;
    struct unread_refs u = {ref.account, out};
    struct msg_row raw = {.id = 0};
    if (!reader || !reader_row(reader, ref.id, &raw, err))
        return !reader;
    if (!raw.id || !raw.thread)
        return true;
    return reader_thread(reader, raw.thread, 5000, unread_row, &u, err);
}

bool run_read_thread(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    struct refs refs = {.n = 0};
    bool ok = true;
    (void)args;
    if (!ui->scope.on && row && row->ref.id)
        ok = unread_of(ui, row->ref, &refs, err);
    for (struct ref ref = REF_NONE; ok && ui->scope.on && refs_next(&ui->scope.refs, &ref);)
        ok = unread_of(ui, ref, &refs, err);
    if (ok)
        ui_act_on(ui, &refs,
                  &(struct action){.kind = INTENT_FLAGS, .verb = "marked", .where = "read", .set = FLAG_SEEN}, false);
    refs_fini(&refs);
    return ok;
}

bool run_select(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = list_cursor(ui_list(ui));
    (void)args;
    if (ui->scope.on) { /* of thread, older: all of it */
        for (struct ref ref = REF_NONE; refs_next(&ui->scope.refs, &ref);)
            refs_add(&ui->selection, ref);
        ui_scope_clear(ui);
        return true;
    }
    for (unsigned i = 0; row && row->ref.id && i < ui_times(ui); i++) {
        if (!refs_drop(&ui->selection, row->ref))
            refs_add(&ui->selection, row->ref);
        if (!list_move(ui_list(ui), 1, err))
            break;
        row = list_cursor(ui_list(ui));
    }
    ui_follow(ui);
    return true;
}

bool ui_range_end(struct ui *ui, struct err *err)
{
    const struct list_row *row = list_cursor(ui_list(ui));
    struct ref from = ui->range;
    ui->range.id = 0;
    return !from.id || !row || !row->ref.id || list_range(ui_list(ui), from, row->ref, &ui->selection, err);
}

void ui_range_rows(const struct ui *ui, const struct list *l, unsigned *lo_r, unsigned *hi_r)
{
    unsigned from = 0;
    *lo_r = *hi_r = 0;
    if (!ui->range.id || !l->n)
        return;
    while (from < l->n && !ref_eq(l->rows[from].ref, ui->range))
        from++;
    if (from == l->n) /* beyond the window */
        from = ui->range_rank < l->rank ? 0 : l->n - 1;
    *lo_r = MIN(from, l->cur);
    *hi_r = MAX(from, l->cur) + 1;
}

bool run_select_range(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = list_cursor(ui_list(ui));
    (void)args;
    if (!row || !row->ref.id)
        return true;
    if (!ui->range.id) {
        ui->range = row->ref;
        ui->range_rank = ui_list(ui)->rank;
        ui_note(ui, NOTE_INFO, "go to the other end: the next command is for all in between");
        return true;
    }
    if (!ui_range_end(ui, err))
        return false;
    ui_note(ui, NOTE_INFO, "the range is selected: the next command is for all of it");
    return true;
}

bool run_unselect(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    refs_clear(&((struct ui *)context)->selection);
    ((struct ui *)context)->range.id = 0;
    return true;
}

bool run_apply(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    if (ui->selection.n)
        ui_note(ui, NOTE_INFO, "the next command is for %zu messages", ui->selection.n);
    else
        ui_note(ui, NOTE_WARNING, "nothing is selected: t selects");
    return true;
}
