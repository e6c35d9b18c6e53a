/* Saved searches: opened as mailboxes are, and kept, renamed, moved and deleted by commands (conf/saved.c). */
#include "ui/extra.h"

/* ---- opening ---- */
static void show(struct ui *ui, const struct saved *s)
{
    struct buf query = BUF_INIT(QUERY_MAX);
    char *name = mem_dup_z(s->name);
    query_of_saved(s->query, s->account, &query);
    ui_show_saved(ui, name, buf_z(&query));
    buf_fini(&query);
    free(name);
}

static const struct saved *named(struct ui *ui, const char *name, struct err *err)
{
    const struct saved *s = conf_saved(ui->conf, str_z(name));
    if (!s)
        err_set(err, ERR_USAGE, "no saved search \"%.60s\": save-search keeps one", name);
    return s;
}

bool ui_saved_open(struct ui *ui, const char *name)
{
    const struct saved *s = conf_saved(ui->conf, str_z(name));
    if (s)
        show(ui, s);
    return s != NULL;
}

bool run_saved(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *name = cmd_arg(args, 0);
    if (!name && !ui->conf->nsaved)
        return err_set(err, ERR_USAGE, "no saved searches: search, then save-search NAME");
    const struct saved *s = name ? named(ui, name, err) : &ui->conf->saved[0];
    if (s)
        show(ui, s);
    return s != NULL;
}

/* The one that is meant: named, else under the cursor of the mailboxes, else shown. */
static const struct saved *meant(struct ui *ui, const char *name, struct err *err)
{
    const struct box_item *item = boxes_cursor(&ui->boxes);
    const struct list *l = ui_list(ui);
    if (name)
        return named(ui, name, err);
    if (ui->focus == PANE_BOXES && item && item->kind == BOXK_SAVED)
        return named(ui, item->name, err);
    const struct saved *s =
        l->source == LIST_HITS && l->title && ui->depth == 2 ? conf_saved(ui->conf, str_z(l->title)) : NULL;
    if (!s)
        err_set(err, ERR_USAGE, "which saved search? give its name");
    return s;
}

/* ---- keeping ---- */
static bool change(struct ui *ui, const struct saved_change *c, struct err *err)
{
    if (!conf_saved_change(ui->conf, c, err))
        return false;
    ui->boxes.stale = true;
    ui->count_next_ms = 0; /* soon, not later */
    ui_count_soon(ui);
    ui->dirty = true;
    return true;
}

/* What the shown list asks, with the mailboxes that it is limited to. */
static bool query_of(struct ui *ui, struct buf *out, struct err *err)
{
    const struct list *l = ui_list(ui), *base = l->limits;
    struct buf in = BUF_INIT(2000);
    if (l->source != LIST_HITS || !l->query || !*l->query)
        return err_set(err, ERR_USAGE, "search or limit first: what is shown is kept");
    const struct box_item *box =
        base && base->source == LIST_BOX ? boxes_find(&ui->boxes, base->account, base->box) : NULL;
    if (box)
        buf_addf(&in, "in:\"%s/%s\"", ui->accts.list[base->account].name, box->path);
    else if (base && base->source == LIST_INBOXES)
        buf_addz(&in, "in:inbox");
    bool ok = query_both(buf_str(&in), str_z(l->typed ? l->typed : l->query), out) ||
              err_set(err, ERR_LIMIT, "the query is longer than 8 KB");
    buf_fini(&in);
    return ok;
}

static bool save(struct ui *ui, const char *name, const char *account, struct err *err)
{
    struct buf query = BUF_INIT(QUERY_MAX);
    struct list *l = ui_list(ui);
    bool again = conf_saved(ui->conf, str_z(name)) != NULL;
    bool ok = query_of(ui, &query, err) &&
              change(ui, &(struct saved_change){SAVED_PUT, name, buf_z(&query), account ? account : "", 0}, err);
    if (ok) {
        ui_note(ui, NOTE_INFO, again ? "%s asks this now" : "saved as %s, among the mailboxes", name);
        if (!l->limits) {
            free(l->title);
            l->title = mem_dup_z(name);
        }
    }
    buf_fini(&query);
    return ok;
}

static void name_typed(struct ui *ui, void *arg, const char *text)
{
    struct err err = ERR_INIT;
    (void)arg;
    if (text && *text && !save(ui, text, NULL, &err))
        ui_note_err(ui, &err);
}

bool run_save_search(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *account = cmd_flag_value(args, 'a');
    struct buf query = BUF_INIT(QUERY_MAX);
    if (account && !conf_account(ui->conf, account))
        return err_set(err, ERR_CONFIG, "no account \"%.60s\"", account);
    if (cmd_arg(args, 0))
        return save(ui, cmd_arg(args, 0), account, err);
    bool ok = query_of(ui, &query, err);
    if (ok)
        ui_ask(ui, "save the search as: ", "", ARG_SAVED, true, NULL, name_typed, NULL, NULL);
    buf_fini(&query);
    return ok;
}

static bool rename_to(struct ui *ui, const char *from, const char *to, struct err *err)
{
    struct list *l = ui_list(ui);
    bool shown = l->source == LIST_HITS && l->title && !strcmp(l->title, from);
    if (!change(ui, &(struct saved_change){SAVED_RENAME, from, to, NULL, 0}, err))
        return false;
    if (shown) {
        free(l->title);
        l->title = mem_dup_z(to);
    }
    ui_note(ui, NOTE_INFO, "%s is called %s now", from, to);
    return true;
}

static void new_name(struct ui *ui, void *arg, const char *text)
{
    char *from = arg;
    struct err err = ERR_INIT;
    if (text && *text && strcmp(text, from) != 0 && !rename_to(ui, from, text, &err))
        ui_note_err(ui, &err);
    free(from);
}

bool run_rename_search(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (args->n == 2)
        return rename_to(ui, cmd_arg(args, 0), cmd_arg(args, 1), err);
    const struct saved *s = meant(ui, cmd_arg(args, 0), err);
    if (s)
        ui_ask(ui, "new name: ", s->name, ARG_WORD, false, NULL, new_name, NULL, mem_dup_z(s->name));
    return s != NULL;
}

/* ---- deleting, and back ---- */
enum { DELETED_MAX = 32 };

struct saved_log {
    struct saved_gone {
        char *name, *query, *account;
        int from_end; /* so many stood behind it */
    } list[DELETED_MAX];
    unsigned n, at; /* those from `at` on were taken back */
};

static void gone_free(struct saved_gone *g)
{
    free(g->name);
    free(g->query);
    free(g->account);
}

void saved_free(struct ui *ui)
{
    struct saved_log *log = ui_extra(ui)->saved;
    for (unsigned i = 0; log && i < log->n; i++)
        gone_free(&log->list[i]);
    free(log);
    ui_extra(ui)->saved = NULL;
}

static void delete_asked(struct ui *ui, void *arg, bool yes)
{
    char *name = arg;
    struct extra *x = ui_extra(ui);
    struct err err = ERR_INIT;
    const struct saved *s = yes ? conf_saved(ui->conf, str_z(name)) : NULL;
    struct saved_gone gone = {.name = name};
    if (s)
        gone = (struct saved_gone){name, mem_dup_z(s->query), mem_dup_z(s->account),
                                   (int)(ui->conf->nsaved - (size_t)(s - ui->conf->saved)) - 1};
    if (!yes || !change(ui, &(struct saved_change){SAVED_DROP, name, NULL, NULL, 0}, &err) || !s) {
        if (yes)
            ui_note_err(ui, &err);
        gone_free(&gone);
        return;
    }
    if (!x->saved)
        x->saved = mem_new(sizeof *x->saved);
    while (x->saved->n > x->saved->at)
        gone_free(&x->saved->list[--x->saved->n]);
    if (x->saved->n == DELETED_MAX) {
        gone_free(&x->saved->list[0]);
        memmove(x->saved->list, x->saved->list + 1, --x->saved->n * sizeof *x->saved->list);
    }
    x->saved->list[x->saved->n++] = gone;
    x->saved->at = x->saved->n;
    ui_undo_step(ui, UNDO_SAVED, 0);
    ui_note(ui, NOTE_INFO, "the saved search %s is gone; its mail is not · %s undo", name, ui_key_of(ui, "undo"));
}

void saved_undo(struct ui *ui, bool redo)
{
    struct saved_log *log = ui_extra(ui)->saved;
    struct err err = ERR_INIT;
    if (!log || (redo ? log->at == log->n : log->at == 0)) {
        ui_note(ui, NOTE_WARNING, redo ? "nothing to redo" : "nothing to undo");
        return;
    }
    const struct saved_gone *g = &log->list[redo ? log->at++ : --log->at];
    bool there = conf_saved(ui->conf, str_z(g->name)) != NULL;
    bool ok = redo ? change(ui, &(struct saved_change){SAVED_DROP, g->name, NULL, NULL, 0}, &err)
                   : (!there || err_set(&err, ERR_USAGE, "there is another saved search \"%.60s\" now", g->name)) &&
                         change(ui, &(struct saved_change){SAVED_PUT, g->name, g->query, g->account, 0}, &err) &&
                         change(ui, &(struct saved_change){SAVED_MOVE, g->name, NULL, NULL, -g->from_end}, &err);
    if (!ok)
        ui_note_err(ui, &err);
    else
        ui_note(ui, NOTE_INFO, redo ? "the saved search %s is gone again" : "the saved search %s is back", g->name);
}

bool run_delete_search(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct saved *s = meant(ui, cmd_arg(args, 0), err);
    char question[200];
    if (!s)
        return false;
    if (!s->own) /* says where it stands */
        return change(ui, &(struct saved_change){SAVED_DROP, s->name, NULL, NULL, 0}, err);
    snprintf(question, sizeof question, "Delete the saved search %.80s?", s->name);
    ui_confirm(ui, question, s->query, delete_asked, mem_dup_z(s->name));
    return true;
}

bool run_move_search(void *context, const struct cmd_args *args, struct err *err)
{
    static const struct {
        const char *word;
        int by;
    } ways[] = {{"up", -1}, {"down", 1}, {"top", -10000}, {"bottom", 10000}};
    struct ui *ui = context;
    const struct saved *s = meant(ui, cmd_arg(args, 1), err);
    for (size_t i = 0; s && i < COUNT(ways); i++)
        if (!strcmp(cmd_arg(args, 0), ways[i].word))
            return change(ui, &(struct saved_change){SAVED_MOVE, s->name, NULL, NULL, ways[i].by}, err);
    return false;
}

/* ---- as a mailbox ---- */
static void read_hits(struct ui *ui, void *arg, bool yes)
{
    struct refs *refs = arg;
    if (yes)
        ui_act_on(ui, refs, &(struct action){.kind = INTENT_FLAGS, .verb = "marked", .where = "read", .set = FLAG_SEEN},
                  false);
    refs_fini(refs);
    free(refs);
}

static bool unread_hits(struct ui *ui, void *arg, struct gathered *g, struct err *err)
{
    char question[200];
    (void)arg;
    if (!g->refs.n)
        return err_set(err, ERR_USAGE, "nothing unread is found here");
    struct refs *refs = mem_new(sizeof *refs);
    *refs = g->refs;
    g->refs = (struct refs){.n = 0};
    snprintf(question, sizeof question, "Mark %zu message%s read that the search found?", refs->n,
             refs->n == 1 ? "" : "s");
    ui_confirm(ui, question, "", read_hits, refs);
    return true;
}

bool ui_read_hits(struct ui *ui, struct err *err)
{
    return ui_gather(ui, (struct gather_what){.before = INT64_MAX, .unread = true}, unread_hits, NULL, err);
}
