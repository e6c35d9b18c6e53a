/* Mail that comes back at its time. */
#include "mail/mail.h"
#include "ui/private.h"

/* ---- mail that comes back ---- */
/* "Fri 09:00"; false with a note where the words are no time to come. */
static bool when_words(struct ui *ui, const char *text, int64_t *due_r, char date[40])
{
    int64_t now = clock_wall();
    time_t at;
    struct tm t;
    if (!mail_when_parse(str_z(text), now, due_r) || (at = (time_t)*due_r, !localtime_r(&at, &t))) {
        ui_note(ui, NOTE_ERROR,
                "\"%.40s\" is no time, or one that has passed: write it as 2h, tomorrow 9:30, fri, next week, "
                "2026-12-24 8:00",
                text);
        return false;
    }
    strftime(date, 40,
             *due_r - now < 20 * 3600   ? "%H:%M"
             : *due_r - now < 6 * 86400 ? "%a %H:%M"
                                        : "%a %d %b %H:%M",
             &t);
    return true;
}

static void snooze_until(struct ui *ui, void *arg, const char *text)
{
    int64_t due;
    char where[60], date[40];
    (void)arg;
    if (!text || !*text)
        return;
    if (!strcmp(text, "off") || !strcmp(text, "now")) {
        ui_act(ui, &(struct action){.how = ACT_SNOOZE, .verb = "woken", .due = 1});
        return;
    }
    if (!when_words(ui, text, &due, date))
        return;
    snprintf(where, sizeof where, "until %s", date);
    ui_remember(ui, "snooze", text);
    ui_act(ui, &(struct action){.how = ACT_SNOOZE, .verb = "snoozed", .where = where, .hide = true, .due = due});
}

/* What is put aside leaves a list of inbox mail alone. */
static bool shows_inbox(struct ui *ui)
{
    const struct list *l = ui_list(ui);
    const struct box_item *item = l->source == LIST_BOX ? boxes_find(&ui->boxes, l->account, l->box) : NULL;
    return l->source == LIST_INBOXES || (item && item->role == BOX_INBOX);
}

static void remind_by(struct ui *ui, void *arg, const char *text)
{
    int64_t due;
    char where[80], date[40];
    (void)arg;
    if (!text || !*text)
        return;
    if (!strcmp(text, "off")) {
        ui_act(ui, &(struct action){.how = ACT_REMIND, .verb = "no longer waiting for an answer to"});
        return;
    }
    if (!when_words(ui, text, &due, date))
        return;
    snprintf(where, sizeof where, "until %s", date);
    ui_remember(ui, "remind", text);
    ui_act(ui, &(struct action){.how = ACT_REMIND,
                                .verb = "waiting for an answer to",
                                .where = where,
                                .hide = shows_inbox(ui),
                                .due = due});
}

static void ask_when(struct ui *ui, const struct cmd_args *args, const char *label, prompt_fn *then)
{
    struct buf words = BUF_INIT(200);
    if (!args->n) {
        ui_ask(ui, label, "", ARG_WHEN, true, NULL, then, NULL, NULL);
        return;
    }
    for (size_t i = 0; i < args->n; i++)
        buf_addf(&words, "%s%s", i ? " " : "", args->words[i]);
    then(ui, NULL, buf_z(&words));
    buf_fini(&words);
}

bool run_snooze(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    ask_when(context, args, "snooze until: ", snooze_until);
    return true;
}

bool run_remind(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    ask_when(context, args, "remind if no answer by: ", remind_by);
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
    refs_push(&m->refs, (struct ref){m->account, row->id});
}

/* All of a muted thread bear the tag, but what has just come; of a long one the first say it. */
static bool thread_muted(struct ui *ui, const struct list_row *row, struct err *err)
{
    struct members m = {.account = row->ref.account};
    struct reader *reader = ui->accts.list[m.account].reader;
    bool any = has_muted(ui, row->ref);
    if (!any && reader && row->thread)
        reader_thread(reader, row->thread, MUTED_LOOKED_AT, member, &m, err);
    for (size_t i = 0; i < m.refs.n && !any; i++)
        any = has_muted(ui, m.refs.list[i]);
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
