/* Offline and online, what waits for the server, and whose changes they are where an account became another. */
#include "ui/extra.h"

#include <limits.h>

#define QUEUE_SHOWN 2000 /* of an account */
#define NO_ACCOUNT UINT_MAX

/* ---- offline ---- */
void queue_offline(struct ui *ui, unsigned account, bool offline)
{
    struct err err = ERR_INIT;
    struct acct *a = &ui->accts.list[account];
    a->offline = offline;
    if (ui->client && ui->client->chan)
        SEND(ui->client->chan, -1, &err, SET_OFFLINE, .account = str_z(a->name), .offline = offline);
}

bool run_offline(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *word = cmd_arg(args, 0), *name = cmd_arg(args, 1);
    bool all = true, on;
    if (!ui_online(ui))
        return true;
    if (name && accts_find(&ui->accts, str_z(name), false) < 0)
        return err_set(err, ERR_NO_ACCOUNT, "no account %s", name);
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (!name || !strcmp(name, ui->accts.list[a].name))
            all = all && ui->accts.list[a].offline;
    on = !word || !strcmp(word, "toggle") ? !all : !strcmp(word, "on");
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (!name || !strcmp(name, ui->accts.list[a].name))
            queue_offline(ui, a, on);
    ui_note(ui, NOTE_INFO, "%s%s%s", name ? name : "", name ? ": " : "", on ? "offline: what you do waits" : "online");
    return true;
}

/* ---- the queue ---- */
struct filling {
    struct ui *ui;
    unsigned account;
    int64_t now;
    unsigned names; /* columns of the longest account */
};

static void add_row(const struct filling *f, const char *words, uint64_t id, bool mail)
{
    struct popup *p = &f->ui->popup;
    ui_popup_row(f->ui, f->ui->accts.list[f->account].name, words);
    p->rows[p->n - 1].account = f->account;
    p->rows[p->n - 1].id = id;
    p->rows[p->n - 1].mail = mail;
}

static void add_intent(void *arg, const struct queue_row *q)
{
    struct buf words = BUF_INIT(2000);
    queue_words(q, ((struct filling *)arg)->now, &words);
    add_row(arg, buf_z(&words), q->intent, false);
    buf_fini(&words);
}

static void add_mail(void *arg, const struct outbox_row *o)
{
    struct filling *f = arg;
    struct popup *p = &f->ui->popup;
    struct buf words = BUF_INIT(2000);
    const char *account = f->ui->accts.list[f->account].name;
    outbox_words(o, &words);
    if (outbox_waits(o)) {
        add_row(f, buf_z(&words), o->id, true);
    } else if (outbox_unsent(o)) { /* the server's reason is shown whole */
        unsigned from = p->n;
        buf_addz(&words, held_has(f->ui, account, o->id)
                             ? " \xc2\xb7 R goes on with it, y sends it again, d discards it"
                             : " \xc2\xb7 y sends it again, d discards it");
        ui_popup_pieces(f->ui, account, f->names, buf_z(&words));
        for (; from < p->n; from++) {
            p->rows[from].account = f->account;
            p->rows[from].id = o->id;
            p->rows[from].mail = p->rows[from].unsent = true;
        }
    }
    buf_fini(&words);
}

static void fill(struct ui *ui)
{
    bool local = false, server = false;
    char title[120];
    for (unsigned a = 0; a < ui->accts.n; a++) {
        const struct acct *acct = &ui->accts.list[a];
        local = local || (acct->queued && acct_is_local(acct));
        server = server || acct->outbox || (acct->queued && !acct_is_local(acct));
    }
    snprintf(title, sizeof title, "waits %s, in this order · d drops · R goes on with mail · q closes",
             local && !server ? "to be done in the Maildir" : "for the server");
    ui_popup(ui, POPUP_QUEUE, title);
    unsigned names = 1;
    for (unsigned a = 0; a < ui->accts.n; a++)
        names = MAX(names, (unsigned)strlen(ui->accts.list[a].name));
    for (unsigned a = 0; a < ui->accts.n; a++) {
        struct filling f = {ui, a, clock_wall(), names};
        struct err err = ERR_INIT;
        struct reader *r = ui->accts.list[a].reader;
        if (r && (!reader_queue(r, QUEUE_SHOWN, add_intent, &f, &err) || !reader_outbox(r, add_mail, &f, &err)))
            ui_note_err(ui, &err);
    }
    if (ui->popup.n == 0) { /* it stays: the q that is meant for it ends nothing else */
        ui_popup_row(ui, "", "nothing waits: all you did is done");
        ui->popup.rows[0].account = NO_ACCOUNT;
    }
}

void queue_changed(struct ui *ui)
{
    struct popup *p = &ui->popup;
    if (p->kind != POPUP_QUEUE)
        return;
    unsigned cur = p->cur, top = p->top;
    struct popup_row on = p->cur < p->n ? p->rows[p->cur] : (struct popup_row){.id = 0};
    fill(ui);
    p->cur = MIN(cur, p->n - 1);
    for (unsigned i = 0; on.id && i < p->n; i++) /* the key already pressed is for that row */
        if (p->rows[i].id == on.id && p->rows[i].account == on.account && p->rows[i].mail == on.mail) {
            p->cur = i;
            on.id = 0;
        }
    p->top = top;
}

bool run_queue(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    fill(ui);
    return true;
}

static void on_dropped(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "not dropped: %.*s", STR_FMT(m->u.REFUSED.text));
    else if (m)
        ui_note(ui, NOTE_INFO, "dropped: it will not be done");
    ui_lists_stale(ui);
    ui->boxes.stale = true;
    queue_changed(ui);
}

static void take_back(struct ui *ui, const struct popup_row *row)
{
    struct err err = ERR_INIT;
    const char *account = ui->accts.list[row->account].name;
    if (row->unsent && !held_has(ui, account, row->id))
        ui_note(ui, NOTE_INFO, "it was not written here: y sends it again, d discards it");
    else if (held_take_back(ui, account, row->id, &err))
        ui_popup_close(ui); /* it is on the screen to be written on */
    else if (err.kind != ERR_NONE)
        ui_note_err(ui, &err);
}

/* What is asked about; the list of what waits comes back behind the question. */
struct dropping {
    unsigned account, cur;
    uint64_t intent;
};

static void on_drop_answer(struct ui *ui, void *arg, bool yes)
{
    struct dropping d = *(struct dropping *)arg;
    struct err err = ERR_INIT;
    free(arg);
    fill(ui);
    ui->popup.cur = ui->popup.n ? MIN(d.cur, ui->popup.n - 1) : 0;
    if (ui->popup.n == 0)
        ui_popup_close(ui);
    if (!yes || !ui_online(ui))
        return;
    ui->nundo = ui->nredo = 0; /* the store's steps are no longer those of one action each */
    if (!SEND(ui->client->chan, -1, &err, QUEUE_DROP, .req = ui_request(ui, on_dropped, NULL),
              .account = str_z(ui->accts.list[d.account].name), .intent = d.intent))
        ui_note_err(ui, &err);
}

/* A change is asked about, for undo does not bring it back. A mail is: on the screen, to be written on. */
static void drop(struct ui *ui, const struct popup_row *row)
{
    if (!ui_online(ui))
        return;
    if (row->unsent) {
        held_ask_discard(ui, ui->accts.list[row->account].name, row->id);
    } else if (row->mail) {
        take_back(ui, row);
    } else {
        struct dropping *d = mem_new(sizeof *d);
        *d = (struct dropping){row->account, ui->popup.cur, row->id};
        char *words = mem_dup_z(row->right);
        ui_confirm(ui, "Drop this? It will not be done, and undo does not bring it back.", words, on_drop_answer, d);
        free(words);
    }
}

bool queue_key(struct ui *ui, ckey key)
{
    struct popup *p = &ui->popup;
    if (ui_popup_move(ui, key))
        return true;
    if (key == '?')
        ui_note(ui, NOTE_INFO, "j k move · d takes the row back · R goes on with a mail, y sends it again · q closes");
    else if (key == 'd' && p->cur < p->n && p->rows[p->cur].account != NO_ACCOUNT)
        drop(ui, &p->rows[p->cur]);
    else if (key == 'R' && p->cur < p->n && p->rows[p->cur].mail)
        take_back(ui, &p->rows[p->cur]);
    else if (key == 'y' && p->cur < p->n && p->rows[p->cur].unsent)
        held_send_again(ui, ui->accts.list[p->rows[p->cur].account].name, p->rows[p->cur].id);
    else
        ui_popup_close(ui);
    ui->dirty = true;
    return true;
}

/* ---- an account that became another ---- */
void queue_held(struct ui *ui, unsigned account)
{
    ui_note(ui, NOTE_ERROR, "%s: %u change%s made for another login · :queue shows, :identity same|new decides",
            ui->accts.list[account].name, ui->accts.list[account].queued,
            ui->accts.list[account].queued == 1 ? "" : "s");
    ui_note_line(ui, account);
}

static void on_identity(struct ui *ui, void *arg, const struct msg *m)
{
    bool same = arg != NULL;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "%.*s", STR_FMT(m->u.REFUSED.text));
    else if (m && m->kind == MSG_INTENT_OK)
        ui_note(ui, NOTE_INFO, "%u change%s %s", m->u.INTENT_OK.count, m->u.INTENT_OK.count == 1 ? "" : "s",
                same ? "go on" : "dropped");
}

bool run_identity(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *name = cmd_arg(args, 1);
    bool same = !strcmp(cmd_arg(args, 0), "same");
    int at = -1;
    if (!ui_online(ui))
        return true;
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (name ? !strcmp(name, ui->accts.list[a].name) : ui->accts.list[a].held)
            at = (int)a;
    if (at < 0)
        return name ? err_set(err, ERR_NO_ACCOUNT, "no account %s", name)
                    : err_set(err, ERR_USAGE, "no account has changes that are held back");
    uint32_t req = ui_request(ui, on_identity, same ? ui : NULL);
    return SEND(ui->client->chan, -1, err, IDENTITY, .req = req, .account = str_z(ui->accts.list[at].name),
                .same = same);
}

/* ---- what is known of the server ---- */
static void add_fact(void *arg, const char *what, const char *words, unsigned percent)
{
    (void)percent;
    ui_popup_text(arg, what, words);
}

bool run_account(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *name = cmd_arg(args, 0);
    const struct list *l = ui_list(ui);
    int at = name ? accts_find(&ui->accts, str_z(name), false) : l->source == LIST_BOX ? (int)l->account : 0;
    if (at < 0 || (unsigned)at >= ui->accts.n)
        return err_set(err, ERR_NO_ACCOUNT, "no account %s", name ? name : "");
    struct acct *a = &ui->accts.list[at];
    ui_popup(ui, POPUP_PAGER, a->name);
    if (a->conf) {
        struct buf where = BUF_INIT(1000);
        endpoint_format(&a->conf->in, &where);
        ui_popup_text(ui, "where", buf_z(&where));
        buf_fini(&where);
    }
    if (a->text[0])
        ui_popup_text(ui, "state", a->text);
    if (a->text[0] && err_hint(a->why)[0])
        ui_popup_text(ui, "what to do", err_hint(a->why));
    if (a->reader && !reader_facts(a->reader, add_fact, ui, err))
        return false;
    if (a->conf && a->conf->in.proto == PROTO_POP3)
        ui_popup_text(ui, "what stays there", a->conf->leave_text);
    return true;
}
