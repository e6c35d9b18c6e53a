/* Commands that move and look: they mean the pane they are used in. */
#include "ui/extra.h"
#include "ui/private.h"

#include <unistd.h>

enum { WAITING_MAX = 2000 }; /* changes of an account that the question counts */

enum mover { MOVE_LIST, MOVE_BOXES, MOVE_POPUP };

static enum mover mover(const struct ui *ui)
{
    return ui->popup.kind == POPUP_PAGER ? MOVE_POPUP : ui->focus == PANE_BOXES ? MOVE_BOXES : MOVE_LIST;
}

static unsigned height(const struct ui *ui)
{
    switch (mover(ui)) {
    case MOVE_POPUP:
        return MAX(ui->popup.height, 1u);
    case MOVE_BOXES:
        return MAX(ui->boxes.height, 1u);
    default:
        return MAX(list_page(ui_list(ui)), 1u);
    }
}

static bool move(struct ui *ui, int64_t by, struct err *err)
{
    struct popup *p = &ui->popup;
    ui_popup_layout(ui);
    int64_t last = p->nlines > p->height ? (int64_t)(p->nlines - p->height) : 0;
    switch (mover(ui)) {
    case MOVE_POPUP:
        p->top = (unsigned)MIN(MAX((int64_t)p->top + by, (int64_t)0), last);
        break;
    case MOVE_BOXES:
        boxes_move(&ui->boxes, by);
        break;
    default:
        list_move(ui_list(ui), by, err);
        ui_follow(ui);
    }
    return true;
}

#define MOVE(name, by)                                                                                                 \
    bool run_##name(void *context, const struct cmd_args *args, struct err *err)                                       \
    {                                                                                                                  \
        struct ui *ui = context;                                                                                       \
        (void)args;                                                                                                    \
        return move(ui, (by) * (int64_t)ui_times(ui), err);                                                            \
    }
MOVE(down, 1)
MOVE(up, -1)
MOVE(page_down, (int64_t)height(ui))
MOVE(page_up, -(int64_t)height(ui))
MOVE(half_down, (int64_t)MAX(height(ui) / 2, 1u))
MOVE(half_up, -(int64_t)MAX(height(ui) / 2, 1u))
#undef MOVE

bool run_next(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    list_move(ui_list(ui), ui_times(ui), err);
    ui_follow(ui);
    return true;
}

bool run_previous(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    list_move(ui_list(ui), -(int64_t)ui_times(ui), err);
    ui_follow(ui);
    return true;
}

/* The row of the count that was typed. */
static bool jump_times(struct ui *ui, struct err *err)
{
    char word[20], *words[] = {word};
    snprintf(word, sizeof word, "%u", ui->times);
    return run_jump(ui, &(struct cmd_args){.words = words, .n = 1}, err);
}

bool run_first(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (ui->times && mover(ui) == MOVE_LIST)
        return jump_times(ui, err);
    if (mover(ui) != MOVE_LIST)
        return move(ui, -(int64_t)BOXES_MAX, err);
    list_first(ui_list(ui), err);
    ui_follow(ui);
    return true;
}

bool run_last(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (ui->times && mover(ui) == MOVE_LIST)
        return jump_times(ui, err);
    if (mover(ui) != MOVE_LIST)
        return move(ui, BOXES_MAX, err);
    list_last(ui_list(ui), err);
    ui_ask_row(ui, UINT32_MAX);
    ui_follow(ui);
    return true;
}

bool run_jump(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct list *l = ui_list(ui);
    struct str word = str_z(cmd_arg(args, 0));
    uint32_t come = list_dated(l) ? ui_rows_to_come(ui, l) : 0, rows = l->total + come;
    bool percent = word.n && word.p[word.n - 1] == '%';
    uint64_t n;
    if (!str_u64(str_sub(word, 0, word.n - percent), &n))
        return err_set(err, ERR_USAGE, "jump goes to a row by its number, or to a percentage: jump 50%%");
    if (!rows || !l->n)
        return err_set(err, ERR_USAGE, "there is no row");
    uint64_t rank = percent ? (uint64_t)(rows - 1) * MIN(n, UINT64_C(100)) / 100 : MIN(MAX(n, 1u), (uint64_t)rows) - 1;
    if (come && ui_ask_row(ui, (uint32_t)rank))
        return true;
    list_reach_rank(l, (uint32_t)MIN(rank, (uint64_t)MAX(l->total, 1u) - 1), err);
    ui_follow(ui);
    return true;
}

bool run_top(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    message_top(&((struct ui *)context)->message);
    return true;
}

bool run_bottom(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    message_bottom(&ui->message, ui_text_rows(ui));
    return true;
}

static bool unread(struct ui *ui, bool older, struct err *err)
{
    unsigned n = 0;
    while (n < ui_times(ui) && list_unread(ui_list(ui), older, err))
        n++;
    if (n)
        ui_follow(ui);
    else
        ui_note(ui, NOTE_INFO, older ? "no unread message below" : "no unread message above");
    return true;
}

bool run_next_unread(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return unread(context, true, err);
}

bool run_previous_unread(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return unread(context, false, err);
}

bool run_open(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    if (ui->popup.kind != POPUP_NONE) {
        ui_popup_close(ui);
        return true;
    }
    if (ui->focus == PANE_BOXES) {
        const struct box_item *item = boxes_cursor(&ui->boxes);
        if (item)
            ui_show_item(ui, item);
        return true;
    }
    if (ui->times) /* as mutt does */
        return jump_times(ui, err);
    const struct list_row *row = list_cursor(ui_list(ui));
    bool rest = row && (row->state & ROW_STUB) && !ui->open_req; /* of which only the header is shown: the rest */
    if (ui->message.state != MESSAGE_NONE && row && ref_eq(row->ref, ui->message.ref) && !rest) {
        unsigned rows = ui_text_rows(ui);
        message_scroll(&ui->message, rows > 2 ? rows - 2 : 1, rows);
        return true;
    }
    if (row && row->folded_day)
        return run_fold_day(ui, &(struct cmd_args){.n = 0}, err);
    if (row && row->folded) { /* to where reading goes on */
        struct ref to = list_thread_unread(ui_list(ui), row, err);
        list_fold(ui_list(ui), false);
        list_update(ui_list(ui), err);
        list_goto(ui_list(ui), to, err);
    }
    ui_open(ui, 0);
    if (ui->message.state != MESSAGE_NONE)
        ui->focus = PANE_MESSAGE;
    return true;
}

bool run_back(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (ui->popup.kind != POPUP_NONE)
        ui_popup_close(ui);
    else if (ui->focus == PANE_BOXES)
        ui->focus = PANE_LIST;
    else if (ui->message.state != MESSAGE_NONE)
        ui_open_close(ui);
    else if (ui_list(ui)->filter != LIST_ALL)
        list_set_filter(ui_list(ui), LIST_ALL);
    else if (!ui_pop_list(ui) && !(buffer_can_go(ui) && buffer_close(ui)) &&
             !(cmd_arg(args, 0) && !strcmp(cmd_arg(args, 0), "stay")))
        return run_quit(context, args, err);
    return true;
}

struct waiting {
    uint32_t n;
    int64_t now;
    bool live;
};

/* What a live line takes at once is done before the store ends. */
static void count_waiting(void *arg, const struct queue_row *q)
{
    struct waiting *w = arg;
    w->n += !w->live || q->due > w->now;
}

static uint32_t changes_waiting(struct ui *ui)
{
    struct waiting w = {.now = clock_wall()};
    struct err err = ERR_INIT;
    for (unsigned a = 0; a < ui->accts.n; a++) {
        const struct acct *acct = &ui->accts.list[a];
        w.live = acct->state == ACCOUNT_ONLINE || !acct->conf || acct->conf->in.proto != PROTO_IMAP;
        if (acct->reader)
            reader_queue(acct->reader, WAITING_MAX, count_waiting, &w, &err);
    }
    return w.n;
}

static bool count_draft(struct ui *ui, void *arg)
{
    *(uint32_t *)arg += ui_extra(ui)->compose != NULL;
    return false;
}

static void quit_answer(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    ui->quit = ui->quit || yes;
}

/* Are those changes that wait, or some of them, no local ones? */
static bool for_servers(const struct ui *ui)
{
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (ui->accts.list[a].queued && !acct_is_local(&ui->accts.list[a]))
            return true;
    return false;
}

bool run_quit(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    uint32_t mails = 0, changes = changes_waiting(ui), drafts = 0;
    char detail[240] = "";
    (void)args, (void)err;
    buffer_find(ui, count_draft, &drafts);
    for (unsigned a = 0; a < ui->accts.n; a++)
        mails += ui->accts.list[a].outbox;
    if (drafts)
        snprintf(detail, sizeof detail, "%u mail%s being written. ", drafts, drafts == 1 ? " is" : "s are");
    if (changes)
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "%u change%s%s. ", changes,
                 changes == 1 ? " waits" : "s wait", for_servers(ui) ? " for the server" : "");
    if (mails)
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "%u mail%s to be sent. ", mails,
                 mails == 1 ? " waits" : "s wait");
    if (detail[0])
        snprintf(detail + strlen(detail), sizeof detail - strlen(detail), "All is kept, and done at the next start.");
    if (ui->conf->confirm_quit || detail[0])
        ui_confirm(ui, "Quit?", detail, quit_answer, NULL);
    else
        ui->quit = true;
    return true;
}

bool run_mailboxes(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    ui->focus = ui->focus == PANE_BOXES ? PANE_LIST : PANE_BOXES;
    ui->sidebar = true;
    return true;
}

bool run_redraw(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    ui->boxes.stale = true;
    list_stale(ui_list(ui));
    if (ui->term)
        ui->term->redraw(ui->term->arg);
    return true;
}

bool run_suspend(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    if (ui->term)
        ui->term->stop(ui->term->arg);
    return true;
}

bool run_prompt(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    ui_command_prompt(context, cmd_arg(args, 0) ? cmd_arg(args, 0) : "");
    return true;
}

bool run_cancel(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (ui->popup.kind != POPUP_NONE) {
        ui_popup_close(ui);
    } else if (ui_load_stop(ui) || ui_transfer_stop(ui) || ui_gather_stop(ui)) {
        ;
    } else if (ui->open_req) {
        ui_open_close(ui);
        ui_note(ui, NOTE_INFO, "stopped");
    } else if (ui->search) {
        ui_search_end(ui);
        ui_note(ui, NOTE_INFO, "search stopped");
    } else if (remote_stop(ui) || batches_stop(ui, NULL)) {
        ;
    } else if (ui->fetching) {
        struct err ignored = ERR_INIT;
        if (ui_online(ui))
            SEND(ui->client->chan, -1, &ignored, FETCH_STOP, .account = str_z(ui->accts.list[ui->fetching - 1].name));
    } else if (ui_extra(ui)->parts) {
        return run_parts_close(context, args, err);
    } else if (ui->selection.n || ui->range.id) {
        return run_unselect(context, args, err);
    } else {
        ui->status[0] = 0;
    }
    return true;
}

bool run_repeat(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    if (!ui->last_command) {
        ui_note(ui, NOTE_WARNING, "nothing to repeat");
        return true;
    }
    char *again = mem_dup_z(ui->last_command);
    ui_run(ui, again);
    free(again);
    return true;
}

/* ---- the network ---- */
static void on_fetched(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (!m)
        return;
    if (m->kind == MSG_PROGRESS) {
        const struct m_PROGRESS *p = &m->u.PROGRESS;
        snprintf(ui->progress, sizeof ui->progress, "%.*s", (int)MIN(p->text.n, (size_t)150),
                 p->text.n ? p->text.p : "");
        return;
    }
    ui->progress[0] = 0;
    int of = m->kind == MSG_FETCHED ? accts_find(&ui->accts, m->u.FETCHED.account, false) : -1;
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (of < 0 || a == (unsigned)of)
            ui->accts.list[a].asked = false;
    if (m->kind == MSG_REFUSED) {
        ui_note(ui, NOTE_ERROR, "%.*s", STR_FMT(m->u.REFUSED.text));
        return;
    }
    const struct m_FETCHED *f = &m->u.FETCHED;
    struct buf words = BUF_INIT(NOTE_CHARS);
    if (f->kind == ERR_CANCELED) { /* by the user, who knows */
        if (f->text.n)
            ui_note(ui, NOTE_INFO, "%.*s: %.*s", STR_FMT(f->account), STR_FMT(f->text));
        return;
    }
    if (f->kind == ERR_NONE) {
        buf_addf(&words, "%.*s: %u new", STR_FMT(f->account), f->fresh);
        ui_note_told(ui, NOTE_INFO, -1, ERR_NONE, buf_str(&words));
        buf_fini(&words);
        return;
    }
    buf_addf(&words, "%.*s: %.*s", STR_FMT(f->account), STR_FMT(f->text));
    ui_note_told(ui, NOTE_ERROR, accts_find(&ui->accts, f->account, false),
                 (enum err_kind)MIN(f->kind, (uint32_t)ERR_COUNT - 1), buf_str(&words));
    buf_fini(&words);
}

static bool fetch_now(struct ui *ui, const char *account, struct err *err)
{
    if (!ui_online(ui))
        return true;
    if (*account && accts_find(&ui->accts, str_z(account), false) < 0)
        return err_set(err, ERR_USAGE, "no account \"%s\"", account);
    int only = *account ? accts_find(&ui->accts, str_z(account), false) : -1;
    const struct acct *connecting = NULL;
    unsigned asked = 0;
    ui_ask_secret_again(ui, only);
    for (unsigned a = 0; a < ui->accts.n; a++) {
        const struct acct *acct = &ui->accts.list[a];
        if ((only >= 0 && a != (unsigned)only) || (acct->secret_wanted && acct->secret_service == SERVICE_INCOMING))
            continue; /* a password that comes connects, and that brings new mail */
        uint32_t req = ui_request(ui, on_fetched, NULL);
        if (!SEND(ui->client->chan, -1, err, FETCH_NOW, .req = req, .account = str_z(acct->name)))
            return false;
        asked++;
        ui->accts.list[a].asked = true;
        if (acct->state == ACCOUNT_CONNECTING)
            connecting = acct;
    }
    if (connecting)
        ui_note(ui, NOTE_INFO, "%s is connecting: it is asked for new mail when it is connected", connecting->name);
    else if (asked)
        ui_note(ui, NOTE_INFO, "looking for new mail");
    return true;
}

bool run_fetch(void *context, const struct cmd_args *args, struct err *err)
{
    return fetch_now(context, cmd_arg(args, 0) ? cmd_arg(args, 0) : "", err);
}

static void on_login_end(struct ui *ui, void *arg, int status, struct str output)
{
    (void)arg;
    (void)output;
    if (status == 0)
        ui_note(ui, NOTE_INFO, "tuimail may use the account now");
}

bool run_login(void *context, const struct cmd_args *args, struct err *err)
{
    /* What it says of a failure must stay on the screen until it was read. */
    static const char command[] = "\"$@\" || { printf '\\n[Enter] '; read -r _; exit 1; }";
    struct ui *ui = context;
    const char *name = cmd_arg(args, 0), *argv[8] = {NULL};
    char self[4096];
    size_t n = 1;
    if (name && accts_find(&ui->accts, str_z(name), false) < 0)
        return err_set(err, ERR_NO_ACCOUNT, "no account %s", name);
    if (ui_ask_secret_again(ui, name ? accts_find(&ui->accts, str_z(name), false) : -1))
        return true;
    for (unsigned a = 0; !name && a < ui->accts.n; a++)
        if (ui->accts.list[a].state == ACCOUNT_FAILED && ui->accts.list[a].conf &&
            account_has_oauth(ui->accts.list[a].conf))
            name = ui->accts.list[a].name;
    if (!name)
        return err_set(err, ERR_USAGE, "no account waits for a password or a consent: name one, or G tries all again");
    ssize_t got = readlink("/proc/self/exe", self, sizeof self - 1);
    if (got <= 0)
        return err_set(err, ERR_TOOL, "run: tuimail login %s", name);
    self[got] = '\0';
    argv[0] = self;
    if (ui->start.config && ui->start.config[0]) {
        argv[n++] = "-c";
        argv[n++] = ui->start.config;
    }
    if (ui->start.store) {
        argv[n++] = "--store";
        argv[n++] = ui->start.store;
    }
    argv[n++] = "login";
    argv[n] = name;
    ui_tool(ui, TOOL_TERMINAL, command, argv, -1, on_login_end, NULL);
    return true;
}

bool run_sync(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return fetch_now(context, "", err);
}

/* Closed and opened anew, without waiting for the next turn of the back-off. */
bool run_reconnect(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *name = cmd_arg(args, 0);
    if (!ui_online(ui))
        return true;
    if (name && accts_find(&ui->accts, str_z(name), false) < 0)
        return err_set(err, ERR_NO_ACCOUNT, "no account %s", name);
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (!name || !strcmp(name, ui->accts.list[a].name))
            ui->accts.list[a].secret_declined = false;
    for (unsigned a = 0; a < ui->accts.n; a++)
        for (uint8_t offline = 2; offline-- > 0 && (!name || !strcmp(name, ui->accts.list[a].name));)
            if (!SEND(ui->client->chan, -1, err, SET_OFFLINE, .account = str_z(ui->accts.list[a].name),
                      .offline = offline))
                return false;
    return true;
}
