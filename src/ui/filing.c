/* Where mail goes: moving and copying to mailboxes, and the mailboxes themselves. */
#include "ui/extra.h"

#include <limits.h>

/* ---- move and copy ---- */
static void remember(struct ui *ui, const char *command, unsigned account, const struct box_item *item)
{
    struct buf name = BUF_INIT(2400), quoted = BUF_INIT(5000);
    if (item) {
        buf_addf(&name, "%s/%s", ui->accts.list[account].name, item->path);
        line_quote(buf_str(&name), &quoted);
        ui_remember(ui, command, buf_z(&quoted));
    }
    buf_fini(&name);
    buf_fini(&quoted);
}

static void file_into(struct ui *ui, bool copy, unsigned account, uint64_t box)
{
    const struct box_item *item = boxes_find(&ui->boxes, account, box);
    char where[100];
    const struct list_row *row = ui_row(ui);
    const struct refs *chosen = ui_chosen(ui);
    bool foreign = !chosen && row && row->ref.account != account;
    for (unsigned a = 0; chosen && a < ui->accts.n; a++) {
        struct ref ref = {a, 0}; /* has that account one? */
        foreign = foreign || (a != account && refs_next(chosen, &ref) && ref.account == a);
    }
    snprintf(where, sizeof where, "to %.30s%s%.60s", foreign ? ui->accts.list[account].name : "", foreign ? "/" : "",
             item ? item->path : "a mailbox");
    remember(ui, copy ? "copy" : "move", account, item);
    ui_act(ui, &(struct action){.kind = copy ? INTENT_COPY : INTENT_MOVE,
                                .verb = copy ? "copied" : "moved",
                                .hide = !copy,
                                .target = box,
                                .into = account + 1,
                                .where = where});
    bool same =
        item && ui->last_box_label && ui->last_box_account == account && !strcmp(item->path, ui->last_box_label);
    free(ui->last_box_label);
    ui->last_box_label = item ? mem_dup_z(item->path) : NULL;
    ui->last_box_account = foreign || same ? account : UINT_MAX;
}

struct making;
static void box_create(struct ui *, unsigned account, const char *name, struct making *then);

static void picked_move(struct ui *ui, void *arg, const struct pick_item *item)
{
    (void)arg;
    if (item)
        file_into(ui, false, item->account, item->id);
}

static void picked_copy(struct ui *ui, void *arg, const struct pick_item *item)
{
    (void)arg;
    if (item)
        file_into(ui, true, item->account, item->id);
}

/* A mailbox that is not there is made first, if the user says so. */
struct making {
    char *name;
    unsigned account;
    struct ref row; /* what the question was asked for */
    size_t selected;
    struct scope scope; /* the same, where the command was given it */
    bool copy;
};

static void making_free(struct making *m)
{
    refs_fini(&m->scope.refs);
    free(m->scope.command);
    free(m->name);
    free(m);
}

static void file_into_made(struct ui *ui, struct making *m, uint64_t box)
{
    const struct list_row *row = ui_row(ui);
    if (m->scope.on) {
        ui_scope_clear(ui);
        ui->scope = m->scope;
        m->scope = (struct scope){.on = false};
        file_into(ui, m->copy, m->account, box);
        ui_scope_clear(ui);
    } else if (m->selected == ui->selection.n && (m->selected || (row && ref_eq(row->ref, m->row))))
        file_into(ui, m->copy, m->account, box);
    else
        ui_note(ui, NOTE_WARNING, "mailbox created; nothing is %s: the cursor went on", m->copy ? "copied" : "moved");
}

static void make_and_file(struct ui *ui, void *arg, bool yes)
{
    struct making *m = arg;
    if (yes) {
        m->scope = ui->scope;
        ui->scope = (struct scope){.on = false};
    }
    if (yes)
        box_create(ui, m->account, m->name, m);
    else
        making_free(m);
}

static unsigned filing_account(const struct ui *ui)
{
    const struct list_row *row = ui_row(ui);
    const struct refs *chosen = ui_chosen(ui);
    struct ref first = REF_NONE;
    return chosen && refs_next(chosen, &first) ? first.account : row ? row->ref.account : 0;
}

static void ask_to_make(struct ui *ui, const char *name, bool copy)
{
    struct making *m = mem_new(sizeof *m);
    const struct list_row *row = ui_row(ui);
    char question[400], where[100] = "";
    *m = (struct making){.name = mem_dup_z(name),
                         .account = filing_account(ui),
                         .row = row ? row->ref : REF_NONE,
                         .selected = ui->selection.n,
                         .copy = copy};
    snprintf(question, sizeof question, "No mailbox %.300s. Create it?", name);
    if (ui->accts.n > 1)
        snprintf(where, sizeof where, "in %.90s", ui->accts.list[m->account].name);
    ui_confirm(ui, question, where, make_and_file, m);
}

static void missing_move(struct ui *ui, void *arg, const char *name)
{
    (void)arg;
    ask_to_make(ui, name, false);
}

static void missing_copy(struct ui *ui, void *arg, const char *name)
{
    (void)arg;
    ask_to_make(ui, name, true);
}

static bool move_or_copy(struct ui *ui, const char *name, bool copy, struct err *err)
{
    unsigned account;
    uint64_t box;
    const struct list_row *row = ui_row(ui);
    if (!name) {
        unsigned only = filing_account(ui);
        uint64_t own = row && !ui_chosen(ui) && !copy ? row->box : 0; /* where it is already */
        char label[100];
        snprintf(label, sizeof label, "%.60s%s%s to: ", ui->accts.n > 1 ? ui->accts.list[only].name : "",
                 ui->accts.n > 1 ? ": " : "", copy ? "copy" : "move");
        if (ui_pick_box(ui, label, only, own, copy ? picked_copy : picked_move, copy ? missing_copy : missing_move,
                        NULL))
            ui_pick_again(ui);
        return true;
    }
    if (ui_find_box(ui, name, &account, &box))
        file_into(ui, copy, account, box);
    else if (row)
        ask_to_make(ui, name, copy);
    else
        return err_set(err, ERR_NO_MAILBOX, "no mailbox \"%s\"", name);
    return true;
}

bool run_move(void *context, const struct cmd_args *args, struct err *err)
{
    return move_or_copy(context, cmd_arg(args, 0), false, err);
}

bool run_copy(void *context, const struct cmd_args *args, struct err *err)
{
    return move_or_copy(context, cmd_arg(args, 0), true, err);
}

/* ---- mailboxes ---- */
struct box_act {
    uint64_t deed;
    enum intent_kind kind;
    unsigned account;
    const char *done;
    bool undone;         /* undo takes it back */
    struct making *then; /* what it was made for, or NULL */
};

static void box_created(struct ui *ui, const struct box_act *b, uint64_t id)
{
    struct err err = ERR_INIT;
    boxes_update(&ui->boxes, &ui->accts, ui->conf, &err);
    const struct box_item *item = boxes_find(&ui->boxes, b->account, id);
    if (item && ui->focus == PANE_BOXES)
        boxes_goto(&ui->boxes, item);
    if (item && b->then)
        file_into_made(ui, b->then, item->id);
}

static void on_box_answer(struct ui *ui, void *arg, const struct msg *m)
{
    struct box_act *b = arg;
    ui->boxes.stale = true;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_ERROR, "%.*s", STR_FMT(m->u.REFUSED.text));
    else if (m && m->kind == MSG_INTENT_OK && !m->u.INTENT_OK.count)
        ui_note(ui, NOTE_INFO, "nothing to change");
    else if (m)
        ui_note(ui, NOTE_INFO, "%s%s%s%s", b->done, b->undone ? " · " : "", b->undone ? ui_key_of(ui, "undo") : "",
                b->undone ? " undo" : "");
    if (m && m->kind == MSG_INTENT_OK && m->u.INTENT_OK.count) {
        ui_undo_step(ui, 0, b->deed);
        if (b->kind == INTENT_BOX_CREATE)
            box_created(ui, b, m->u.INTENT_OK.box);
    }
    if (b->then)
        making_free(b->then);
    free(b);
}

/* a mailbox that the server deleted cannot come back */
static const char *box_done(enum intent_kind kind, bool for_good)
{
    static const char *const done[] = {
        [INTENT_BOX_CREATE] = "mailbox created",           [INTENT_BOX_RENAME] = "mailbox renamed",
        [INTENT_BOX_DELETE] = "mailbox moved under Trash", [INTENT_BOX_SUBSCRIBE] = "subscribed",
        [INTENT_BOX_UNSUBSCRIBE] = "no longer subscribed", [INTENT_MARK_ALL_READ] = "all marked read",
    };
    return for_good ? "mailbox deleted" : done[kind];
}

static bool box_send(struct ui *ui, struct box_act act, uint64_t box, const char *name, bool for_good)
{
    struct err err = ERR_INIT;
    if (!ui_online(ui))
        return false;
    struct box_act *b = mem_new(sizeof *b);
    *b = act;
    b->done = box_done(act.kind, for_good);
    b->deed = ui_deed(ui);
    b->undone = !for_good;
    uint32_t req = ui_request(ui, on_box_answer, b);
    if (SEND(ui->client->chan, -1, &err, INTENT, .req = req, .account = str_z(ui->accts.list[act.account].name),
             .kind = (uint8_t)act.kind, .box = box, .flags = for_good, .arg = str_z(name), .deed = b->deed))
        return true;
    ui_forget(ui, req);
    free(b);
    ui_note_err(ui, &err);
    return false;
}

static void box_intent(struct ui *ui, enum intent_kind kind, unsigned account, uint64_t box, const char *name,
                       bool for_good)
{
    box_send(ui, (struct box_act){.kind = kind, .account = account}, box, name, for_good);
}

static void box_create(struct ui *ui, unsigned account, const char *name, struct making *then)
{
    if (!box_send(ui, (struct box_act){.kind = INTENT_BOX_CREATE, .account = account, .then = then}, 0, name, false))
        making_free(then);
}

/* The account that the user is in. */
static unsigned here(const struct ui *ui)
{
    const struct box_item *item = boxes_cursor(&ui->boxes);
    const struct list *l = ui_list(ui);
    if (ui->focus == PANE_BOXES && item && item->kind >= BOXK_ACCOUNT)
        return item->account;
    return l->source == LIST_BOX ? l->account : 0;
}

static void create_box(struct ui *ui, void *arg, const char *text)
{
    (void)arg;
    if (text && *text && ui->accts.n)
        box_intent(ui, INTENT_BOX_CREATE, ui->naming.account, 0, text, false);
}

bool run_create_mailbox(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)err;
    ui->naming.account = here(ui);
    if (cmd_arg(args, 0))
        create_box(ui, NULL, cmd_arg(args, 0));
    else
        ui_ask(ui, "new mailbox: ", "", ARG_WORD, false, NULL, create_box, NULL, NULL);
    return true;
}

/* The mailbox whose name was asked for, wherever the cursor is by now. */
static void rename_box(struct ui *ui, void *arg, const char *text)
{
    const struct box_item *item = boxes_find(&ui->boxes, ui->naming.account, ui->naming.box);
    (void)arg;
    if (!text || !*text)
        return;
    if (item)
        box_intent(ui, INTENT_BOX_RENAME, item->account, item->id, text, false);
    else
        ui_note(ui, NOTE_WARNING, "the mailbox is not there any more");
}

bool run_rename_mailbox(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct box_item *item = boxes_cursor(&ui->boxes);
    if (item && item->kind == BOXK_SAVED)
        return ui_run_text(ui, "rename-search", err);
    if (!item || item->kind != BOXK_BOX)
        return err_set(err, ERR_USAGE, "the cursor is on no mailbox");
    ui->naming.account = item->account;
    ui->naming.box = item->id;
    if (cmd_arg(args, 0))
        rename_box(ui, NULL, cmd_arg(args, 0));
    else
        ui_ask(ui, "new name: ", item->path, ARG_WORD, false, NULL, rename_box, NULL, NULL);
    return true;
}

/* The mailbox that was asked about, wherever the cursor is by now; one that has filled meanwhile is not empty. */
static void delete_asked(struct ui *ui, void *arg, bool yes)
{
    const struct box_item *item = boxes_find(&ui->boxes, ui->asked.account, ui->asked.box);
    (void)arg;
    if (!yes)
        return;
    if (!item)
        ui_note(ui, NOTE_WARNING, "the mailbox is not there any more");
    else if (ui->asked.empty && item->total)
        ui_note(ui, NOTE_WARNING, "%.200s has got mail meanwhile: nothing was deleted", item->path);
    else
        box_intent(ui, INTENT_BOX_DELETE, item->account, item->id, "", ui->asked.for_good);
}

bool run_delete_mailbox(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct box_item *item = boxes_cursor(&ui->boxes);
    char question[400];
    if (item && item->kind == BOXK_SAVED)
        return ui_run_text(ui, "delete-search", err);
    if (!item || item->kind != BOXK_BOX)
        return err_set(err, ERR_USAGE, "the cursor is on no mailbox");
    const struct box_item *trash = boxes_role(&ui->boxes, item->account, BOX_TRASH);
    const struct account *conf = ui->accts.list[item->account].conf;
    bool none = !trash && conf && !conf->make_mailboxes;
    bool for_good = cmd_arg(args, 0) || none || (trash && box_within(item, trash)) || !item->total;
    if (item->role != BOX_NONE && item->total && !cmd_arg(args, 0))
        return err_set(err, ERR_USAGE, "%.100s is the account's mailbox for a purpose: delete-mailbox for-good",
                       item->path);
    snprintf(question, sizeof question, "Delete the mailbox %.200s with %u message%s%s?", item->path, item->total,
             item->total == 1 ? "" : "s", for_good ? ", for good" : ": move it under Trash");
    ui->asked.account = item->account;
    ui->asked.box = item->id;
    ui->asked.for_good = for_good;
    ui->asked.empty = !item->total;
    ui_confirm(ui, question, "", delete_asked, NULL);
    return true;
}

static bool subscription(struct ui *ui, enum intent_kind kind, struct err *err)
{
    const struct box_item *item = boxes_cursor(&ui->boxes);
    if (!item || item->kind != BOXK_BOX)
        return err_set(err, ERR_USAGE, "the cursor is on no mailbox");
    box_intent(ui, kind, item->account, item->id, "", false);
    return true;
}

bool run_subscribe(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return subscription(context, INTENT_BOX_SUBSCRIBE, err);
}

bool run_unsubscribe(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return subscription(context, INTENT_BOX_UNSUBSCRIBE, err);
}

/* The mailbox under the cursor of their pane, else that of the list; NULL: all inboxes, or a search. */
static const struct box_item *box_here(struct ui *ui)
{
    const struct list *l = ui_list(ui);
    const struct box_item *item = boxes_cursor(&ui->boxes);
    if (ui->focus == PANE_BOXES)
        return item && item->kind == BOXK_BOX ? item : NULL;
    return l->source == LIST_BOX ? boxes_find(&ui->boxes, l->account, l->box) : NULL;
}

/* The mailbox that was asked about, whatever the screen shows by now. */
static void read_all(struct ui *ui, void *arg, bool yes)
{
    uint64_t box = ui->asked.box;
    (void)arg;
    if (yes && box && boxes_find(&ui->boxes, ui->asked.account, box))
        box_intent(ui, INTENT_MARK_ALL_READ, ui->asked.account, box, "", false);
    else if (yes && box)
        ui_note(ui, NOTE_WARNING, "the mailbox is not there any more");
    for (unsigned a = 0; yes && !box && a < ui->accts.n; a++) {
        const struct box_item *inbox = boxes_role(&ui->boxes, a, BOX_INBOX);
        if (inbox && inbox->unread)
            box_intent(ui, INTENT_MARK_ALL_READ, a, inbox->id, "", false);
    }
}

bool run_read_all(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct box_item *item = box_here(ui);
    const struct box_item *cursor = boxes_cursor(&ui->boxes);
    bool inboxes =
        ui->focus == PANE_BOXES ? cursor && cursor->kind == BOXK_INBOXES : ui_list(ui)->source == LIST_INBOXES;
    char question[300];
    (void)args;
    if (!item && !inboxes && ui->focus == PANE_BOXES && cursor && cursor->kind == BOXK_SAVED)
        ui_show_item(ui, cursor); /* what it finds is asked about when it is here */
    if (!item && !inboxes && ui_list(ui)->source == LIST_HITS)
        return ui_read_hits(ui, err);
    if (!item && !inboxes)
        return err_set(err, ERR_USAGE, "open a mailbox first");
    ui->asked.account = item ? item->account : 0;
    ui->asked.box = item ? item->id : 0;
    snprintf(question, sizeof question, "Mark everything in %.200s read?", item ? item->path : "all inboxes");
    ui_confirm(ui, question, "", read_all, NULL);
    return true;
}
