/* Words of a message to the terminal's clipboard (OSC 52): it works over SSH, without a program on the other side. */
#include "ui/extra.h"

#define YANK_MAX 65536u /* bytes; terminals take so many */

/* In base64 nothing of it can end the sequence. */
static void to_clipboard(struct ui *ui, struct str text, const char *what)
{
    struct buf clean = BUF_INIT(4 * YANK_MAX), out = BUF_INIT(8 * YANK_MAX);
    if (!ui->term || !ui->term->osc) {
        ui_note(ui, NOTE_ERROR, "there is no terminal to copy to");
        return;
    }
    struct text t = text_from_bytes(str_sub(text, 0, YANK_MAX), TEXT_LINE, &clean);
    buf_addz(&out, "52;c;");
    base64_encode((struct str){t.p, t.n}, &out);
    ui->term->osc(ui->term->arg, (struct text){out.p, out.n, (unsigned)MIN(out.n, (size_t)UINT32_MAX)});
    ui_note(ui, NOTE_INFO, "%s is on the clipboard, where the terminal allows it", what);
    buf_fini(&clean);
    buf_fini(&out);
}

static bool yank_link(struct ui *ui, const char *number, struct err *err)
{
    uint32_t n = 1;
    if (number && (!str_u32(str_z(number), &n) || !n))
        return err_set(err, ERR_USAGE, "yank link NUMBER");
    const struct doc_item *link = ui->message.state == MESSAGE_NONE ? NULL : message_link(&ui->message, n - 1);
    if (!link)
        return err_set(err, ERR_USAGE, "no link %u in the message that is open", (unsigned)n);
    to_clipboard(ui, link->text, "the link");
    return true;
}

bool run_yank(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    const char *what = cmd_arg(args, 0) ? cmd_arg(args, 0) : "message-id";
    if (!strcmp(what, "link"))
        return yank_link(ui, cmd_arg(args, 1), err);
    if (!row)
        return true;
    if (!strcmp(what, "from"))
        to_clipboard(ui, row->from_addr, "the address");
    else if (!strcmp(what, "subject"))
        to_clipboard(ui, row->subject, "the subject");
    else if (!row->msgid.n)
        return err_set(err, ERR_USAGE, "this message has no Message-ID");
    else
        to_clipboard(ui, row->msgid, "the Message-ID");
    return true;
}
