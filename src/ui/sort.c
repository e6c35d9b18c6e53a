/* How a list is laid out: its order, by thread or by message, with headings. */
#include "ui/private.h"

/* ---- orders ---- */
static const struct {
    const char *name, *words, *reversed;
    enum list_order order;
    bool threads;
} orders[] = {{"date", "newest first", "oldest first", ORDER_DATE, false},
              {"arrival", "last arrived first", "first arrived first", ORDER_ARRIVAL, false},
              {"from", "by sender", "by sender, from the end", ORDER_FROM, false},
              {"subject", "by subject", "by subject, from the end", ORDER_SUBJECT, false},
              {"relevance", "best first", "worst first", ORDER_RELEVANCE, false},
              {"size", "largest first", "smallest first", ORDER_SIZE, false},
              {"activity", "by thread, newest first", "by thread, oldest first", ORDER_DATE, true}};

static size_t order_of(const struct list *l)
{
    bool threads = l->threads && l->order == ORDER_DATE;
    for (size_t i = 0; i < COUNT(orders); i++)
        if (orders[i].order == l->order && orders[i].threads == threads)
            return i;
    return 0;
}

const char *list_order_words(const struct list *l)
{
    bool usual = l->order == ORDER_DATE && !l->reverse;
    return usual ? "" : l->reverse ? orders[order_of(l)].reversed : orders[order_of(l)].words;
}

static bool sort_by(struct list *l, const char *word, bool always)
{
    static const char reverse[] = "reverse-";
    bool turned = !strncmp(word, reverse, sizeof reverse - 1);
    if (turned)
        word += sizeof reverse - 1;
    for (size_t i = 0; i < COUNT(orders); i++) {
        if (strcmp(word, orders[i].name) != 0)
            continue;
        if (orders[i].order == ORDER_RELEVANCE && (l->source != LIST_HITS || !l->query))
            return false;
        list_set_order(l, orders[i].order, turned);
        if (always || orders[i].threads) /* by the option date is no word about threads: list-view is */
            list_set_threads(l, orders[i].threads);
        return true;
    }
    return false;
}

const char *ui_order_name(const struct list *l)
{
    for (size_t i = 0; i < COUNT(orders); i++)
        if (orders[i].order == l->order)
            return orders[i].name;
    return orders[0].name;
}

bool ui_sort_by(struct list *l, const char *name)
{
    return sort_by(l, name, false);
}

void ui_sort_list(const struct ui *ui, struct list *l)
{
    const struct box_item *box = l->source == LIST_BOX ? boxes_find(&ui->boxes, l->account, l->box) : NULL;
    const char *account = box ? ui->accts.list[l->account].name : "";
    sort_by(l, conf_sort(ui->conf, account, str_z(box ? box->path : "")), false);
}

bool run_sort(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct list *l = ui_list(ui);
    const char *word = cmd_arg(args, 0);
    if (word && !strcmp(word, "reverse"))
        list_set_order(l, l->order, !l->reverse);
    else if (word && !sort_by(l, word, true))
        return err_set(err, ERR_USAGE,
                       "no order \"%.40s\": date, arrival, from, subject, size or activity; relevance of a search",
                       word);
    ui_note(ui, NOTE_INFO, "%s", l->reverse ? orders[order_of(l)].reversed : orders[order_of(l)].words);
    return true;
}

bool run_group(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    const char *word = cmd_arg(args, 0);
    (void)err;
    list_set_group(l, !word || !strcmp(word, "toggle") ? !l->group : !strcmp(word, "day"));
    ui_note(context, NOTE_INFO, "%s",
            !l->group         ? "without headings"
            : list_grouped(l) ? "by day"
                              : "by day, where a list is sorted by date");
    return true;
}

/* ---- threads ---- */
bool run_threads(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    (void)err;
    bool on = ui_wanted(args, list_threaded(l));
    if (on)
        list_set_order(l, ORDER_DATE, l->reverse && l->order == ORDER_DATE);
    list_set_threads(l, on);
    ui_note(context, NOTE_INFO, l->threads ? "by threads" : "by messages");
    return true;
}

bool run_conversations(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    (void)err;
    bool on = ui_wanted(args, list_threaded(l) && l->across);
    if (on) {
        list_set_order(l, ORDER_DATE, l->reverse && l->order == ORDER_DATE);
        list_set_threads(l, true);
    }
    list_set_across(l, on);
    ui_note(context, NOTE_INFO, on ? "whole conversations" : "what is in this list");
    return true;
}

static bool ungrouped(struct err *err)
{
    return err_set(err, ERR_USAGE,
                   "this list has no days to fold: og groups one that is sorted by date, or the command group");
}

bool run_fold_day(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    const struct list_row *row = list_cursor(l);
    if (!list_grouped(l))
        return ungrouped(err);
    bool fold = row && ui_wanted(args, row->folded_day);
    if (fold) /* what is open is one of its messages */
        ui_open_close(context);
    if (row)
        list_fold_day(l, row, fold);
    return true;
}

bool run_fold_days(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    if (!list_grouped(l))
        return ungrouped(err);
    bool fold = ui_wanted(args, l->fold_days);
    if (fold)
        ui_open_close(context);
    list_fold_days(l, fold);
    return true;
}

bool run_fold(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    const struct list_row *row = list_cursor(l);
    if (row && (row->folded_day || (list_grouped(l) && !list_threaded(l))))
        return run_fold_day(context, args, err);
    if (!list_threaded(l))
        return err_set(err, ERR_USAGE, "this list is not by threads: ot makes it so, or the command threads");
    if (row)
        list_fold(l, ui_wanted(args, row->folded));
    return true;
}

bool run_fold_all(void *context, const struct cmd_args *args, struct err *err)
{
    struct list *l = ui_list(context);
    if (list_grouped(l) && !list_threaded(l))
        return run_fold_days(context, args, err);
    if (!list_threaded(l))
        return err_set(err, ERR_USAGE, "this list is not by threads: ot makes it so, or the command threads");
    list_fold_all(l, ui_wanted(args, l->fold));
    return true;
}

static bool leave_thread(struct list *l, int64_t by, struct err *err)
{
    struct list_row from = *list_cursor(l);
    while (list_move(l, by, err)) {
        const struct list_row *row = list_cursor(l);
        if (!list_threaded(l) || !ref_eq(row->group, from.group))
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
