/* From the draft to the outbox, or to Drafts: `view` builds the mail, the store takes it. */
#include "ui/compose.h"

#include <sys/mman.h>
#include <unistd.h>

static void idle(struct ui *ui, struct compose *c)
{
    helper_end(&c->builder);
    if (c->built >= 0)
        close(c->built);
    c->built = -1;
    c->busy = false;
    ui->dirty = true;
}

/* Is the older form in the mailbox where the new one goes? Then saving replaces it; a mail from elsewhere that was
 * edited again goes to the trash instead. */
static bool replaced_there(struct ui *ui, const struct compose *c)
{
    int account = accts_find(&ui->accts, str_z(c->account), false);
    struct msg_row row = {.id = 0};
    struct err err = ERR_INIT;
    if (!c->replaces.id || account < 0 || c->replaces.account != (unsigned)account)
        return false;
    const struct box_item *drafts = boxes_role(&ui->boxes, (unsigned)account, BOX_DRAFTS);
    struct reader *reader = ui->accts.list[account].reader;
    return drafts && reader && reader_row(reader, c->replaces.id, &row, &err) && row.id && row.box == drafts->id;
}

static void drop_replaced(struct ui *ui, const struct compose *c)
{
    if (c->replaces.id)
        ui_act_one(ui, c->replaces, &(struct action){.kind = INTENT_TRASH, .verb = "replaced", .hide = true}, true);
}

static void on_submitted(struct ui *ui, void *arg, const struct msg *m)
{
    struct compose *c = composed(ui);
    (void)arg;
    if (!c)
        return;
    if (!m || m->kind != MSG_SUBMITTED) {
        ui_note(ui, NOTE_ERROR, "not sent: %.*s; the draft is kept",
                STR_FMT(m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended")));
        idle(ui, c);
        return;
    }
    ui_extra(ui)->last_out = m->u.SUBMITTED.out;
    snprintf(ui_extra(ui)->last_out_account, sizeof ui_extra(ui)->last_out_account, "%s", c->account);
    int account = accts_find(&ui->accts, str_z(c->account), false);
    if (account >= 0 && ui->accts.list[account].offline)
        ui_note(ui, NOTE_INFO, "sent when %s is online \xc2\xb7 :unsend takes it back", c->account);
    else if (ui->conf->undo_send)
        ui_note(ui, NOTE_INFO, "sent in %u s \xc2\xb7 :unsend takes it back", ui->conf->undo_send);
    else
        ui_note(ui, NOTE_INFO, "in the outbox");
    compose_event(ui, c, EVENT_SEND);
    drop_replaced(ui, c);
    bool kept = held_keep(ui, c->path, c->account, m->u.SUBMITTED.out);
    compose_close(ui, !kept);
}

static void on_saved(struct ui *ui, void *arg, const struct msg *m)
{
    struct compose *c = composed(ui);
    (void)arg;
    if (!c)
        return;
    if (!m || m->kind != MSG_INTENT_OK) {
        ui_note(ui, NOTE_WARNING, "not saved in Drafts: %.*s; the draft stays on this machine",
                STR_FMT(m && m->kind == MSG_REFUSED ? m->u.REFUSED.text : STR("the store ended")));
        idle(ui, c);
        return;
    }
    int account = accts_find(&ui->accts, str_z(c->account), false);
    ui_extra(ui)->postponed = account >= 0 ? clock_wall() : 0;
    ui_extra(ui)->postponed_account = account >= 0 ? (unsigned)account : 0;
    ui_note(ui, NOTE_INFO, "postponed in Drafts \xc2\xb7 %s goes on with it", ui_key_of(ui, "recall"));
    if (!c->replaced)
        drop_replaced(ui, c);
    compose_close(ui, true);
}

static void hand_over(struct ui *ui, struct compose *c)
{
    struct err err = ERR_INIT;
    struct buf rcpts = BUF_INIT(32768);
    int account = accts_find(&ui->accts, str_z(c->account), false);
    bool ok = ui_online(ui) && account >= 0 && lseek(c->built, 0, SEEK_SET) == 0;
    if (ok && c->saves) {
        const struct box_item *drafts = boxes_role(&ui->boxes, (unsigned)account, BOX_DRAFTS);
        if (!drafts) {
            ui_note(ui, NOTE_WARNING, "%s has no Drafts mailbox; the draft stays on this machine and R finds it",
                    c->account);
            compose_close(ui, false);
            return;
        }
        uint32_t req = ui_request(ui, on_saved, NULL);
        c->replaced = replaced_there(ui, c);
        ok = SEND(ui->client->chan, c->built, &err, SAVE, .req = req, .account = str_z(c->account), .box = drafts->id,
                  .flags = FLAG_DRAFT | FLAG_SEEN, .replaces = c->replaced ? c->replaces.id : 0);
    } else if (ok) {
        for (size_t i = 0; i < c->draft.nrcpts; i++)
            buf_addf(&rcpts, "%.*s\n", STR_FMT(c->draft.rcpts[i]));
        ok = !rcpts.full || err_set(&err, ERR_LIMIT, "too many recipients for one mail");
        bool same = c->answers.id && (int)c->answers.account == account;
        uint32_t req = ok ? ui_request(ui, on_submitted, NULL) : 0;
        ok = ok && SEND(ui->client->chan, c->built, &err, SUBMIT, .req = req, .account = str_z(c->account),
                        .sender = c->draft.sender, .rcpts = buf_str(&rcpts), .hold_s = ui->conf->undo_send,
                        .answers = same ? c->answers.id : 0, .forwards = c->forwards);
    }
    if (!ok) {
        if (err.kind != ERR_NONE)
            ui_note_err(ui, &err);
        idle(ui, c);
    }
    buf_fini(&rcpts);
}

static void on_built(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    struct compose *c = composed(ui);
    (void)arg, (void)h;
    if (m && m->fd >= 0)
        close(m->fd);
    if (!c || (m && m->kind != MSG_VIEW_DONE))
        return;
    if (!m || m->u.VIEW_DONE.kind != ERR_NONE) {
        ui_note(ui, NOTE_ERROR, "%.*s",
                STR_FMT(m ? m->u.VIEW_DONE.text : STR("the program that builds mails broke off; the draft is kept")));
        idle(ui, c);
        return;
    }
    helper_end(&c->builder);
    hand_over(ui, c);
}

static bool send_attachments(struct compose *c, struct err *err)
{
    for (size_t i = 0; i < c->draft.nattach; i++) {
        struct str name = attach_name(c->draft.attach[i]);
        int fd = attach_open(c->draft.attach[i], err);
        bool ok = fd >= 0 && SEND(helper_chan(c->builder), fd, err, BUILD_ATTACH, .req = 1, .name = name,
                                  .type = str_z(attach_type(name)));
        if (fd >= 0)
            close(fd);
        if (!ok)
            return false;
    }
    return true;
}

static void build(struct ui *ui, bool saves)
{
    struct compose *c = composed(ui);
    struct err err = ERR_INIT;
    int body = memfd_create("tuimail-draft", MFD_CLOEXEC);
    c->saves = saves;
    c->busy = true;
    c->built = memfd_create("tuimail-mail", MFD_CLOEXEC);
    c->builder = helper_view(ui, on_built, NULL);
    struct buf headers = BUF_INIT(49152);
    buf_adds(&headers, c->draft.headers);
    if (saves && c->draft.bcc.n)
        buf_addf(&headers, "Bcc: %.*s\n", STR_FMT(c->draft.bcc));
    bool ok = body >= 0 && c->built >= 0 && c->builder && !headers.full;
    if (!ok)
        err_set(&err, ERR_LIMIT,
                headers.full ? "the header is too large" : "no memory or no program to build the mail");
    ok = ok && fs_write_all(body, c->draft.body, &err) && lseek(body, 0, SEEK_SET) == 0;
    ok = ok && SEND(helper_chan(c->builder), body, &err, BUILD, .req = 1, .flags = saves ? BUILD_KEEP_BCC : 0,
                    .headers = buf_str(&headers));
    ok = ok && send_attachments(c, &err) && SEND(helper_chan(c->builder), c->built, &err, BUILD_END, .req = 1);
    if (body >= 0)
        close(body);
    buf_fini(&headers);
    if (!ok) {
        ui_note_err(ui, &err);
        idle(ui, c);
    }
}

static void on_send_anyway(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    if (yes && composed(ui) && !composed(ui)->busy)
        build(ui, false);
}

bool run_send(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (!compose_ready(ui, true, err))
        return err->kind == ERR_NONE;
    const struct draft *d = &composed(ui)->draft;
    if (draft_misses_attachment(d))
        ui_confirm(ui, "Send without an attachment?", "the text speaks of one", on_send_anyway, NULL);
    else if (!d->subject.n)
        ui_confirm(ui, "Send without a subject?", "", on_send_anyway, NULL);
    else
        build(ui, false);
    return true;
}

bool run_postpone(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (!compose_ready(ui, false, err))
        return err->kind == ERR_NONE;
    build(ui, true);
    return true;
}
