/* Mail that comes back at its time. */
#include "mail/mail.h"
#include "ui/private.h"

/* ---- mail that comes back ---- */
/* "Fri 09:00" */
static bool when_words(const char *text, int64_t *due_r, char date[40], struct err *err)
{
    int64_t now = clock_wall();
    time_t at;
    struct tm t;
    if (!mail_when_parse(str_z(text), now, due_r) || (at = (time_t)*due_r, !localtime_r(&at, &t))) {
        return err_set(err, ERR_USAGE,
                       "\"%.40s\" is no time, or one that has passed: write it as 2h, tomorrow 9:30, fri, next week, "
                       "2026-12-24 8:00",
                       text);
    }
    strftime(date, 40,
             *due_r - now < 20 * 3600   ? "%H:%M"
             : *due_r - now < 6 * 86400 ? "%a %H:%M"
                                        : "%a %d %b %H:%M",
             &t);
    return true;
}

static bool snooze_until(struct ui *ui, const char *text, struct err *err)
{
    int64_t due;
    char where[60], date[40];
    if (!strcmp(text, "off") || !strcmp(text, "now")) {
        ui_act(ui, &(struct action){.how = ACT_SNOOZE, .verb = "woken", .due = 1});
        return true;
    }
    if (!when_words(text, &due, date, err))
        return false;
    snprintf(where, sizeof where, "until %s", date);
    ui_remember(ui, "snooze", text);
    ui_act(ui, &(struct action){.how = ACT_SNOOZE, .verb = "snoozed", .where = where, .hide = true, .due = due});
    return true;
}

/* What is put aside leaves a list of inbox mail alone. */
static bool shows_inbox(struct ui *ui)
{
    const struct list *l = ui_list(ui);
    const struct box_item *item = l->source == LIST_BOX ? boxes_find(&ui->boxes, l->account, l->box) : NULL;
    return l->source == LIST_INBOXES || (item && item->role == BOX_INBOX);
}

static bool remind_by(struct ui *ui, const char *text, struct err *err)
{
    int64_t due;
    char where[80], date[40];
    if (!strcmp(text, "off")) {
        ui_act(ui, &(struct action){.how = ACT_REMIND, .verb = "no longer waiting for an answer to"});
        return true;
    }
    if (!when_words(text, &due, date, err))
        return false;
    snprintf(where, sizeof where, "until %s", date);
    ui_remember(ui, "remind", text);
    ui_act(ui, &(struct action){.how = ACT_REMIND,
                                .verb = "waiting for an answer to",
                                .where = where,
                                .hide = shows_inbox(ui),
                                .due = due});
    return true;
}

typedef bool until_fn(struct ui *, const char *text, struct err *);

static void typed_when(struct ui *ui, until_fn *then, const char *text)
{
    struct err err = ERR_INIT;
    if (text && *text && !then(ui, text, &err))
        ui_note(ui, NOTE_ERROR, "%s", err.text);
}

static void snooze_typed(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    typed_when(ui, snooze_until, text);
}

static void remind_typed(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    typed_when(ui, remind_by, text);
}

static bool for_words(struct ui *ui, const struct cmd_args *args, until_fn *then, struct err *err)
{
    struct buf words = BUF_INIT(200);
    for (size_t i = 0; i < args->n; i++)
        buf_addf(&words, "%s%s", i ? " " : "", args->words[i]);
    bool ok = then(ui, buf_z(&words), err);
    buf_fini(&words);
    return ok;
}

bool run_snooze(void *context, const struct cmd_args *args, struct err *err)
{
    if (args->n)
        return for_words(context, args, snooze_until, err);
    ui_ask(context, "snooze until: ", "", ARG_WHEN, true, NULL, snooze_typed, NULL, NULL);
    ui_offer(context);
    return true;
}

bool run_remind(void *context, const struct cmd_args *args, struct err *err)
{
    if (args->n)
        return for_words(context, args, remind_by, err);
    ui_ask(context, "remind if no answer by: ", "", ARG_WHEN, true, NULL, remind_typed, NULL, NULL);
    ui_offer(context);
    return true;
}

/* ---- muted threads ---- */
enum { MUTED_LOOKED_AT = 100 };

static bool has_muted(struct ui *ui, struct ref ref)
{
    struct buf tags = BUF_INIT(16384);
    struct err err = ERR_INIT;
    struct reader *reader = ui->accts.list[ref.account].reader;
    bool any = false;
    if (reader && reader_tags(reader, ref.id, &tags, &err))
        for (struct str rest = buf_str(&tags), word; rest.n && str_split(&rest, ' ', &word);)
            any = any || str_eqz(word, "muted");
    buf_fini(&tags);
    return any;
}

struct members {
    unsigned account;
    struct refs refs;
};

static void member(void *arg, const struct msg_row *row)
{
    struct members *m = arg;
    refs_add(&m->refs, (struct ref){m->account, row->id});
}

/* All of a muted thread bear the tag, but what has just come; of a long one the first say it. */
static bool thread_muted(struct ui *ui, const struct list_row *row, struct err *err)
{
    struct members m = {.account = row->ref.account};
    struct reader *reader = ui->accts.list[m.account].reader;
    bool any = has_muted(ui, row->ref);
    if (!any && reader && row->thread)
        reader_thread(reader, row->thread, MUTED_LOOKED_AT, member, &m, err);
    for (struct ref ref = REF_NONE; !any && refs_next(&m.refs, &ref);)
        any = has_muted(ui, ref);
    refs_fini(&m.refs);
    return any;
}

bool run_mute(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    struct refs refs = {.n = 0};
    bool muted = row && row->ref.id && thread_muted(ui, row, err), on = ui_wanted(args, muted);
    /* the row's thread as a whole, unless more is chosen */
    if (!ui_chosen(ui) && row && row->ref.id && !row->ghost && ui_thread_refs(ui, row, &refs, err))
        ui_scope_set(ui, &refs);
    refs_fini(&refs);
    ui_act(ui, &(struct action){.how = on ? ACT_MUTE : ACT_UNMUTE,
                                .verb = on ? "muted" : "no longer muted:",
                                .set = on ? FLAG_SEEN : 0,
                                .hide = on && shows_inbox(ui)});
    return err->kind == ERR_NONE;
}
