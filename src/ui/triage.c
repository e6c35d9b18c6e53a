/* Threads of a list, and mail that comes back at its time. */
#include "mail/mail.h"
#include "ui/private.h"

/* ---- threads ---- */
bool run_threads(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    (void)err;
    list_set_threads(l, ui_wanted(args, l->threads));
    ui_note(context, NOTE_INFO, l->threads ? "by threads" : "by messages");
    return true;
}

bool run_fold(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    const struct list_row *row = list_cursor(l);
    if (!list_threaded(l))
        return err_set(err, ERR_USAGE, "this list is not by threads: o makes it so, or the command threads");
    if (row)
        list_fold(l, ui_wanted(args, row->folded));
    return true;
}

bool run_fold_all(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    if (!list_threaded(l))
        return err_set(err, ERR_USAGE, "this list is not by threads: o makes it so, or the command threads");
    list_fold_all(l, ui_wanted(args, l->fold));
    return true;
}

static bool leave_thread(struct list *l, int64_t by, struct err *err)
{
    struct list_row from = *list_cursor(l);
    while (list_move(l, by, err)) {
        const struct list_row *row = list_cursor(l);
        if (!list_threaded(l) || row->thread != from.thread || row->ref.account != from.ref.account)
            return true;
    }
    return false;
}

static bool go_thread(struct ui *ui, int64_t by, struct err *err)
{
    struct list *l = ui_list(ui);
    for (unsigned i = 0; i < ui_times(ui) && leave_thread(l, by, err); i++)
        continue;
    while (by < 0 && list_threaded(l) && list_cursor(l)->place_no > 0 && list_move(l, by, err))
        continue; /* to its first message */
    ui_follow(ui);
    return true;
}

bool run_next_thread(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return !list_cursor(ui_list(context)) || go_thread(context, 1, err);
}

bool run_previous_thread(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return !list_cursor(ui_list(context)) || go_thread(context, -1, err);
}

/* ---- snooze ---- */
static void snooze_until(struct ui *ui, void *arg, const char *text)
{
    int64_t now = clock_wall(), due;
    char where[60], date[40];
    struct tm t;
    (void)arg;
    if (!text || !*text)
        return;
    if (!strcmp(text, "off") || !strcmp(text, "now")) {
        ui_act(ui, &(struct action){.kind = INTENT_MOVE, .verb = "woken", .due = 1});
        return;
    }
    time_t at;
    if (!mail_when_parse(str_z(text), now, &due) || (at = (time_t)due, !localtime_r(&at, &t))) {
        ui_note(ui, NOTE_ERROR, "no time to come: \"%.40s\"; as in 2h, tomorrow 9:30, fri, next week, 2026-12-24 8:00",
                text);
        return;
    }
    strftime(date, sizeof date,
             due - now < 20 * 3600   ? "%H:%M"
             : due - now < 6 * 86400 ? "%a %H:%M"
                                     : "%a %d %b %H:%M",
             &t);
    snprintf(where, sizeof where, "until %s", date);
    ui_remember(ui, "snooze", text);
    ui_act(ui, &(struct action){.kind = INTENT_MOVE, .verb = "snoozed", .where = where, .hide = true, .due = due});
}

bool run_snooze(void *context, const struct cmd_args *args, struct err *err)
{
    struct buf words = BUF_INIT(200);
    (void)err;
    if (!args->n) {
        ui_ask(context, "snooze until: ", "", ARG_WHEN, true, NULL, snooze_until, NULL, NULL);
        return true;
    }
    for (size_t i = 0; i < args->n; i++)
        buf_addf(&words, "%s%s", i ? " " : "", args->words[i]);
    snooze_until(context, NULL, buf_z(&words));
    buf_fini(&words);
    return true;
}
