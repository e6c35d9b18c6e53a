/* The draft of a mail that was handed over: kept beside the drafts as ACCOUNT.NUMBER.held until the server took the
 * mail, so that what is taken back or refused is written on instead of typed again. */
#include "ui/extra.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

static char *held_path(struct ui *ui, const char *account, uint64_t out)
{
    char name[128];
    snprintf(name, sizeof name, "drafts/%s.%llu.held", account, (unsigned long long)out);
    return path_join(ui->start.root, name);
}

bool held_keep(struct ui *ui, const char *draft, const char *account, uint64_t out)
{
    char *to = held_path(ui, account, out);
    bool ok = rename(draft, to) == 0;
    free(to);
    return ok;
}

/* A draft again, the newest of all. NULL: there is none held (a bounce, another terminal was first). */
static char *give_back(struct ui *ui, const char *account, uint64_t out)
{
    char *from = held_path(ui, account, out), *to = access(from, F_OK) == 0 ? compose_new_path(ui) : NULL;
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

static bool cancel(struct ui *ui, const char *account, uint64_t out, struct err *err)
{
    return ui_online(ui) && SEND(ui->client->chan, -1, err, OUTBOX_ACT, .req = ui_request(ui, on_canceled, NULL),
                                 .account = str_z(account), .out = out, .act = OUTBOX_ACT_CANCEL);
}

static bool is_last(const struct extra *x, const struct m_OUTBOX *m)
{
    return x->last_out == m->out && str_eqz(m->account, x->last_out_account);
}

bool held_outbox(struct ui *ui, const struct m_OUTBOX *m)
{
    struct extra *x = ui_extra(ui);
    struct err err = ERR_INIT;
    char account[65], *path;
    snprintf(account, sizeof account, "%.*s", STR_FMT(m->account));
    if (m->state == OUTBOX_SENT || m->state == OUTBOX_FILED) {
        path = held_path(ui, account, m->out);
        unlink(path);
        free(path);
        return false;
    }
    bool taken_back = m->state == OUTBOX_CANCELED && x->unsending && is_last(x, m);
    if (!taken_back && m->state != OUTBOX_REFUSED)
        return false;
    path = give_back(ui, account, m->out);
    if (taken_back) {
        x->unsending = false;
        x->last_out = 0;
        if (!path)
            ui_note(ui, NOTE_INFO, "taken back: it is not sent");
        else if (compose_reopen(ui, path))
            ui_note(ui, NOTE_INFO, "taken back: it is not sent \xc2\xb7 e edits, y sends it");
        else
            ui_note(ui, NOTE_INFO, "taken back: it is not sent \xc2\xb7 R goes on with it");
        return true;
    }
    if (path) { /* it is in one place only: here */
        cancel(ui, account, m->out, &err);
        ui_note(ui, NOTE_ERROR, "%s: not sent, R corrects it: %.*s", account, STR_FMT(m->text));
    }
    bool told = path != NULL;
    free(path);
    return told;
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

bool held_take_back(struct ui *ui, const char *account, uint64_t out, struct err *err)
{
    struct extra *x = ui_extra(ui);
    x->last_out = out;
    snprintf(x->last_out_account, sizeof x->last_out_account, "%s", account);
    x->unsending = cancel(ui, account, out, err);
    return x->unsending;
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
    x->unsending = cancel(ui, x->last_out_account, x->last_out, err);
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
        char *path = held_path(ui, account, out);
        unlink(path);
        free(path);
    } else if (s.state == OUTBOX_REFUSED || s.state == OUTBOX_CANCELED) {
        char *path = give_back(ui, account, out);
        if (path && s.state == OUTBOX_REFUSED)
            cancel(ui, account, out, &err);
        free(path);
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
