/* Mail to another account: had whole, saved there with its flags, tags and time of arrival, and when that is safe the
 * original goes to Trash, if it was to be moved. One after the other: what was done stays when the rest cannot be. */
#include "ui/extra.h"

#include <unistd.h>

#include "mail/row.h"

struct transfer {
    struct refs refs, done;
    struct ref ref; /* the one that is under way */
    size_t at;      /* how many were before it */
    bool move;
    unsigned into, failed;
    uint64_t deed;
    uint64_t box, seen_box; /* seen_box: whose list showed them */
    char where[100];
    uint32_t req;
};

static void next(struct ui *);

void ui_transfer_end(struct ui *ui)
{
    struct transfer *t = ui_extra(ui)->transfer;
    struct err err = ERR_INIT;
    ui_extra(ui)->transfer = NULL;
    if (!t)
        return;
    if (t->req && ui->client && ui->client->chan)
        SEND(ui->client->chan, -1, &err, CANCEL, .req = t->req);
    ui_forget(ui, t->req);
    refs_fini(&t->refs);
    refs_fini(&t->done);
    ui->progress[0] = 0;
    free(t);
}

void ui_transfer_words(const struct ui *ui, struct buf *out)
{
    const struct transfer *t = ui_extra(ui)->transfer;
    buf_addf(out, "%s %zu of %zu messages %s", t->move ? "moving" : "copying", t->at, t->refs.n, t->where);
}

static void finish(struct ui *ui)
{
    struct transfer *t = ui_extra(ui)->transfer;
    unsigned n = (unsigned)t->done.n;
    if (t->move && n) {
        ui_act_on(ui, &t->done,
                  &(struct action){.kind = INTENT_TRASH,
                                   .verb = "moved",
                                   .where = t->where,
                                   .hide = true,
                                   .box = t->seen_box,
                                   .deed = t->deed,
                                   .once = true},
                  false);
    } else if (n) {
        ui_note(ui, NOTE_INFO, "copied %u message%s %s · %s undo", n, n == 1 ? "" : "s", t->where,
                ui_key_of(ui, "undo"));
        ui_undo_step(ui, UNDO_ONCE, t->deed);
    }
    ui_transfer_end(ui);
}

bool ui_transfer_stop(struct ui *ui)
{
    struct transfer *t = ui_extra(ui)->transfer;
    struct err err = ERR_INIT;
    if (!t)
        return false;
    if (t->req && ui->client && ui->client->chan)
        SEND(ui->client->chan, -1, &err, CANCEL, .req = t->req);
    ui_forget(ui, t->req);
    t->req = 0;
    size_t left = t->refs.n - t->done.n;
    finish(ui);
    ui_note(ui, NOTE_INFO, "stopped: %zu message%s stay%s where %s", left, left == 1 ? "" : "s", left == 1 ? "s" : "",
            left == 1 ? "it was" : "they were");
    return true;
}

static void failed(struct ui *ui, struct str why)
{
    struct transfer *t = ui_extra(ui)->transfer;
    t->failed++;
    t->at++;
    ui_note(ui, NOTE_ERROR, "a message was not %s %s: %.*s", t->move ? "moved" : "copied", t->where, STR_FMT(why));
    next(ui);
}

static void on_saved(struct ui *ui, void *arg, const struct msg *m)
{
    struct transfer *t = ui_extra(ui)->transfer;
    (void)arg;
    if (!t)
        return;
    t->req = 0;
    if (!m || m->kind != MSG_INTENT_OK) {
        failed(ui, m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended before it answered"));
        return;
    }
    refs_add(&t->done, t->ref);
    t->at++;
    next(ui);
}

static void save(struct ui *ui, int fd)
{
    struct transfer *t = ui_extra(ui)->transfer;
    struct ref ref = t->ref;
    struct msg_row row = {.id = 0};
    struct err err = ERR_INIT;
    struct reader *reader = ui->accts.list[ref.account].reader;
    if (!reader || !reader_row(reader, ref.id, &row, &err) || !row.id) {
        failed(ui, STR("it has left the list meanwhile"));
        return;
    }
    t->req = ui_request(ui, on_saved, NULL);
    if (!SEND(ui->client->chan, fd, &err, IMPORT, .req = t->req, .account = str_z(ui->accts.list[t->into].name),
              .box = t->box, .flags = row.flags & ~(uint32_t)FLAG_DELETED, .arrived = row.arrived, .tags = row.tags,
              .undo = 1, .deed = t->deed)) {
        ui_forget(ui, t->req);
        t->req = 0;
        failed(ui, str_z(err.text));
    }
}

static void on_whole(struct ui *ui, void *arg, const struct msg *m)
{
    struct transfer *t = ui_extra(ui)->transfer;
    (void)arg;
    if (m && (m->kind == MSG_PROGRESS || (m->kind == MSG_BODY && m->u.BODY.more) || !t)) {
        if (m->kind == MSG_BODY && m->fd >= 0)
            close(m->fd);
        return;
    }
    if (!t)
        return;
    t->req = 0;
    if (!m || m->kind != MSG_BODY) {
        failed(ui, m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended before it answered"));
        return;
    }
    if (m->u.BODY.absent.n)
        failed(ui, STR("parts of it are not here"));
    else
        save(ui, m->fd);
    close(m->fd);
}

static void next(struct ui *ui)
{
    struct transfer *t = ui_extra(ui)->transfer;
    struct err err = ERR_INIT;
    if (!refs_next(&t->refs, &t->ref)) {
        finish(ui);
        return;
    }
    if (t->refs.n > 1)
        snprintf(ui->progress, sizeof ui->progress, "%zu of %zu %.60s", t->at + 1, t->refs.n, t->where);
    struct ref ref = t->ref;
    t->req = ui_request(ui, on_whole, NULL);
    if (!SEND(ui->client->chan, -1, &err, OPEN, .req = t->req, .account = str_z(ui->accts.list[ref.account].name),
              .msg = ref.id, .want = STR("*"))) {
        ui_forget(ui, t->req);
        t->req = 0;
        ui_note_err(ui, &err);
        finish(ui); /* none of the others could be asked for either */
    }
}

void ui_transfer(struct ui *ui, struct refs *refs, const struct action *a)
{
    struct list *l = ui_list(ui);
    if (ui_extra(ui)->transfer) {
        ui_note(ui, NOTE_WARNING, "mail is on its way to another account: again when it is there");
        refs_fini(refs);
        return;
    }
    struct transfer *t = ui_extra(ui)->transfer = mem_new(sizeof *t);
    *t = (struct transfer){.refs = *refs,
                           .move = a->kind == INTENT_MOVE,
                           .into = a->into - 1,
                           .box = a->target,
                           .seen_box = l->source == LIST_BOX ? l->box : 0,
                           .deed = ui_deed(ui)};
    snprintf(t->where, sizeof t->where, "%s", a->where ? a->where : "");
    next(ui);
}
