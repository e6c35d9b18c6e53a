/* Words of a message to the terminal's clipboard (OSC 52): it works over SSH, without a program on the other side. */
#include "ui/extra.h"

#define YANK_MAX 65536u /* bytes; terminals take so many */

/* One line: what would end it in the mail is a sign here. False where it has no room. */
static bool add_clean(struct buf *lines, struct str text)
{
    struct buf clean = BUF_INIT(4 * YANK_MAX);
    struct text t = text_from_bytes(str_sub(text, 0, YANK_MAX), TEXT_LINE, &clean);
    bool fits = lines->n + t.n + 1 <= YANK_MAX;
    if (fits && lines->n)
        buf_addc(lines, '\n');
    if (fits)
        buf_add(lines, t.p, t.n);
    buf_fini(&clean);
    return fits;
}

/* In base64 nothing of it can end the sequence. */
static void send_lines(struct ui *ui, const struct buf *lines, const char *what)
{
    struct buf out = BUF_INIT(8 * YANK_MAX);
    if (!ui->term || !ui->term->osc) {
        ui_note(ui, NOTE_ERROR, "there is no terminal to copy to");
        return;
    }
    buf_addz(&out, "52;c;");
    base64_encode(buf_str(lines), &out);
    ui->term->osc(ui->term->arg, (struct text){out.p, out.n, (unsigned)MIN(out.n, (size_t)UINT32_MAX)});
    ui_note(ui, NOTE_INFO, "%s on the clipboard, where the terminal allows it", what);
    buf_fini(&out);
}

static void to_clipboard(struct ui *ui, struct str text, const char *what)
{
    struct buf line = BUF_INIT(4 * YANK_MAX);
    add_clean(&line, text);
    send_lines(ui, &line, what);
    buf_fini(&line);
}

static struct str part_of(const struct msg_row *row, const char *what)
{
    return !strcmp(what, "from") ? row->from_addr : !strcmp(what, "subject") ? row->subject : row->msgid;
}

/* Of all messages that are selected, a line each. */
static bool yank_selected(struct ui *ui, const char *what, struct err *err)
{
    struct buf lines = BUF_INIT(YANK_MAX);
    char said[80];
    size_t n = 0;
    bool room = true;
    for (struct ref ref = REF_NONE; room && refs_next(&ui->selection, &ref);) {
        struct reader *reader = ui->accts.list[ref.account].reader;
        struct msg_row row;
        if (!reader || !reader_row(reader, ref.id, &row, err) || !row.id || !part_of(&row, what).n)
            continue;
        room = add_clean(&lines, part_of(&row, what));
        n += room;
    }
    snprintf(said, sizeof said, "%zu of %zu messages: %s", n, ui->selection.n, what);
    if (n)
        send_lines(ui, &lines, said);
    buf_fini(&lines);
    return n || err_set(err, ERR_USAGE, "nothing of the messages selected can be copied");
}

static bool yank_link(struct ui *ui, const char *number, struct err *err)
{
    uint32_t n = 1;
    if (number && (!str_u32(str_z(number), &n) || !n))
        return err_set(err, ERR_USAGE, "yank link NUMBER");
    const struct doc_item *link = ui->message.state == MESSAGE_NONE ? NULL : message_link(&ui->message, n - 1);
    if (!link)
        return err_set(err, ERR_USAGE, "no link %u in the message that is open", (unsigned)n);
    to_clipboard(ui, link->text, "the link is");
    return true;
}

/* What the pane shows of it, whole lines of the mail. */
static bool yank_text(struct ui *ui, struct err *err)
{
    struct buf lines = BUF_INIT(YANK_MAX);
    const struct doc *doc = ui->message.state == MESSAGE_SHOWN ? ui->message.doc : NULL;
    bool room = true;
    if (!doc)
        return err_set(err, ERR_USAGE, "open the message first: its text is what is copied");
    for (size_t i = 0; i < doc_count(doc) && room; i++)
        if (doc_at(doc, i)->kind == DOC_TEXT)
            room = add_clean(&lines, doc_at(doc, i)->text);
    if (lines.n)
        send_lines(ui, &lines, room ? "the text is" : "the first 64 KB of the text are");
    bool any = lines.n > 0;
    buf_fini(&lines);
    return any || err_set(err, ERR_USAGE, "the message has no text");
}

bool run_yank(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list_row *row = ui_row(ui);
    const char *what = cmd_arg(args, 0) ? cmd_arg(args, 0) : "message-id";
    if (!strcmp(what, "link"))
        return yank_link(ui, cmd_arg(args, 1), err);
    if (!strcmp(what, "text"))
        return yank_text(ui, err);
    if (!ui_range_end(ui, err))
        return false;
    if (ui->selection.n)
        return yank_selected(ui, what, err);
    if (!row)
        return true;
    if (!strcmp(what, "from"))
        to_clipboard(ui, row->from_addr, "the address is");
    else if (!strcmp(what, "subject"))
        to_clipboard(ui, row->subject, "the subject is");
    else if (!row->msgid.n)
        return err_set(err, ERR_USAGE, "this message has no Message-ID");
    else
        to_clipboard(ui, row->msgid, "the Message-ID is");
    return true;
}
