/* The draft of a mail that was handed over: kept beside the drafts as ACCOUNT.NUMBER.held until the server took the
 * mail, so that what is taken back or refused is written on instead of typed again. */
#include "ui/extra.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

static void held_remove(struct ui *ui, const char *account, uint64_t out)
{
    char *path = outbox_draft(ui->start.root, account, out);
    unlink(path);
    free(path);
}

bool held_has(struct ui *ui, const char *account, uint64_t out)
{
    char *path = outbox_draft(ui->start.root, account, out);
    bool has = access(path, F_OK) == 0;
    free(path);
    return has;
}

bool held_keep(struct ui *ui, const char *draft, const char *account, uint64_t out)
{
    char *to = outbox_draft(ui->start.root, account, out);
    bool ok = rename(draft, to) == 0;
    free(to);
    return ok;
}

/* A draft again, the newest of all. NULL: there is none held (a bounce, another terminal was first). */
static char *give_back(struct ui *ui, const char *account, uint64_t out)
{
    char *from = outbox_draft(ui->start.root, account, out),
         *to = access(from, F_OK) == 0 ? compose_new_path(ui) : NULL;
    if (to && rename(from, to) != 0) {
        free(to);
        to = NULL;
    }
    free(from);
    return to;
}

static void on_canceled(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    if (m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "%.*s", STR_FMT(m->u.REFUSED.text));
}

static bool act(struct ui *ui, const char *account, uint64_t out, enum outbox_act what, struct err *err)
{
    return ui_online(ui) && SEND(ui->client->chan, -1, err, OUTBOX_ACT, .req = ui_request(ui, on_canceled, NULL),
                                 .account = str_z(account), .out = out, .act = (uint8_t)what);
}

static bool is_last(const struct extra *x, const struct m_OUTBOX *m)
{
    return x->last_out == m->out && str_eqz(m->account, x->last_out_account);
}

bool held_outbox(struct ui *ui, const struct m_OUTBOX *m)
{
    struct extra *x = ui_extra(ui);
    char account[65];
    snprintf(account, sizeof account, "%.*s", STR_FMT(m->account));
    if (m->state == OUTBOX_SENT || m->state == OUTBOX_FILED) {
        held_remove(ui, account, m->out);
        return false;
    }
    if (m->state == OUTBOX_REFUSED) {
        if (!held_has(ui, account, m->out))
            return false;
        ui_note(ui, NOTE_ERROR, "%s: not sent, %s goes on with it: %.*s", account, ui_key_of(ui, "recall"),
                STR_FMT(m->text));
        return true;
    }
    if (m->state != OUTBOX_CANCELED || !is_last(x, m) || !(x->unsending || x->discarding))
        return false;
    bool discards = x->discarding;
    x->unsending = x->discarding = false;
    x->last_out = 0;
    if (discards) {
        held_remove(ui, account, m->out);
        ui_note(ui, NOTE_INFO, "discarded");
        return true;
    }
    char *path = give_back(ui, account, m->out);
    if (!path)
        ui_note(ui, NOTE_INFO, "taken back: it is not sent");
    else if (compose_reopen(ui, path))
        ui_note(ui, NOTE_INFO, "taken back: it is not sent \xc2\xb7 e edits, y sends it");
    else
        ui_note(ui, NOTE_INFO, "taken back: it is not sent \xc2\xb7 %s goes on with it", ui_key_of(ui, "recall"));
    return true;
}

/* ---- Taking back -------------------------------------------------------------------------------- */
struct newest {
    uint64_t out;
    int64_t created;
};

static void look(void *arg, const struct outbox_row *o)
{
    struct newest *n = arg;
    bool may = o->state == OUTBOX_HELD || o->state == OUTBOX_QUEUED || o->state == OUTBOX_REFUSED ||
               o->state == OUTBOX_UNKNOWN;
    if (may && o->created >= n->created)
        *n = (struct newest){o->id, o->created};
}

/* What an earlier run put into the outbox and is there still. */
static void find_last(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    struct newest best = {0};
    for (unsigned a = 0; a < ui->accts.n; a++) {
        struct newest n = best;
        struct err err = ERR_INIT;
        if (!ui->accts.list[a].reader || !reader_outbox(ui->accts.list[a].reader, look, &n, &err) || n.out == 0)
            continue;
        if (n.out == best.out && n.created == best.created)
            continue;
        best = n;
        x->last_out = n.out;
        snprintf(x->last_out_account, sizeof x->last_out_account, "%s", ui->accts.list[a].name);
    }
}

static void choose(struct extra *x, const char *account, uint64_t out)
{
    x->last_out = out;
    snprintf(x->last_out_account, sizeof x->last_out_account, "%s", account);
}

/* The one that was chosen, to be written on or to be gone. */
static bool cancel(struct ui *ui, bool discard, struct err *err)
{
    struct extra *x = ui_extra(ui);
    bool asked = act(ui, x->last_out_account, x->last_out, OUTBOX_ACT_CANCEL, err);
    x->unsending = asked && !discard;
    x->discarding = asked && discard;
    return asked;
}

bool held_take_back(struct ui *ui, const char *account, uint64_t out, struct err *err)
{
    choose(ui_extra(ui), account, out);
    return cancel(ui, false, err);
}

static void on_discard(struct ui *ui, void *arg, bool yes)
{
    struct err err = ERR_INIT;
    (void)arg;
    if (yes && !cancel(ui, true, &err) && err.kind != ERR_NONE)
        ui_note_err(ui, &err);
}

void held_ask_discard(struct ui *ui, const char *account, uint64_t out)
{
    choose(ui_extra(ui), account, out);
    ui_confirm(ui, "Discard this mail?", "it is not sent, and its text is gone", on_discard, NULL);
}

void held_send_again(struct ui *ui, const char *account, uint64_t out)
{
    struct err err = ERR_INIT;
    if (!act(ui, account, out, OUTBOX_ACT_SEND_NOW, &err) && err.kind != ERR_NONE)
        ui_note_err(ui, &err);
}

/* ---- The newest refused mail -------------------------------------------------------------------- */
struct refused {
    struct ui *ui;
    const char *account, *best;
    uint64_t out;
    int64_t created;
};

static void refused_look(void *arg, const struct outbox_row *o)
{
    struct refused *r = arg;
    if (o->state == OUTBOX_REFUSED && o->created >= r->created && held_has(r->ui, r->account, o->id)) {
        r->best = r->account;
        r->out = o->id;
        r->created = o->created;
    }
}

bool held_recall(struct ui *ui, struct err *err)
{
    struct refused r = {.ui = ui};
    for (unsigned a = 0; a < ui->accts.n; a++) {
        r.account = ui->accts.list[a].name;
        if (ui->accts.list[a].refused && ui->accts.list[a].reader)
            reader_outbox(ui->accts.list[a].reader, refused_look, &r, err);
    }
    if (!r.best)
        return false;
    held_take_back(ui, r.best, r.out, err);
    return true;
}

bool run_unsend(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct extra *x = ui_extra(ui);
    (void)args;
    if (!x->last_out)
        find_last(ui);
    if (!x->last_out)
        return err_set(err, ERR_USAGE, "nothing waits in the outbox");
    cancel(ui, false, err);
    return err->kind == ERR_NONE;
}

/* ---- What was decided while nobody looked ------------------------------------------------------- */
struct state_of {
    uint64_t out;
    int state;
};

static void state_look(void *arg, const struct outbox_row *o)
{
    struct state_of *s = arg;
    if (o->id == s->out)
        s->state = o->state;
}

/* ACCOUNT.NUMBER.held */
static bool name_of(const char *name, char account[65], uint64_t *out_r)
{
    size_t n = strlen(name);
    if (n < 8 || n > 100 || strcmp(name + n - 5, ".held") != 0)
        return false;
    size_t dot = n - 5;
    while (dot > 0 && name[dot - 1] != '.')
        dot--;
    if (dot < 2 || dot > 65 || !str_u64((struct str){name + dot, n - 5 - dot}, out_r))
        return false;
    snprintf(account, 65, "%.*s", (int)dot - 1, name);
    return true;
}

static void settle(struct ui *ui, const char *account, uint64_t out)
{
    int at = accts_find(&ui->accts, str_z(account), false);
    struct reader *reader = at >= 0 ? ui->accts.list[at].reader : NULL;
    struct state_of s = {out, -1};
    struct err err = ERR_INIT;
    /* Without its databases nobody can say that it was sent. */
    if (!reader || !boxes_role(&ui->boxes, (unsigned)at, BOX_INBOX) || !reader_outbox(reader, state_look, &s, &err))
        return;
    if (s.state == -1 || s.state == OUTBOX_SENT || s.state == OUTBOX_FILED) {
        held_remove(ui, account, out);
    } else if (s.state == OUTBOX_CANCELED) {
        free(give_back(ui, account, out));
    }
}

void held_start(struct ui *ui)
{
    char *dir = path_join(ui->start.root, "drafts"), account[65];
    DIR *d = opendir(dir);
    uint64_t out;
    for (struct dirent *e; d && (e = readdir(d));)
        if (name_of(e->d_name, account, &out))
            settle(ui, account, out);
    if (d)
        closedir(d);
    free(dir);
}
