/* Words for the person: the last one in the status line, all of them under `:messages`. */
#include "ui/private.h"

static void add(struct ui *ui, uint8_t level, const char *text)
{
    if (!ui->notes)
        ui->notes = mem_array(NOTES_MAX, sizeof *ui->notes);
    struct note *note = &ui->notes[ui->nnotes++ % NOTES_MAX];
    note->at = clock_wall();
    note->level = level;
    snprintf(note->text, sizeof note->text, "%s", text);
    snprintf(ui->status, sizeof ui->status, "%s", text);
    ui->status_level = level;
    ui->status_ms = clock_mono_ms();
    ui->status_of = 0;
    ui->dirty = true;
}

void ui_note(struct ui *ui, uint8_t level, const char *fmt, ...)
{
    struct buf line = BUF_INIT(419);
    va_list ap;
    va_start(ap, fmt);
    char text[420];
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    text_from_bytes(str_z(text), TEXT_FOLD_SPACE, &line);
    add(ui, level, buf_z(&line));
    buf_fini(&line);
}

void ui_note_err(struct ui *ui, const struct err *err)
{
    /* what was typed here is in no file that could be corrected */
    const char *hint = err->kind == ERR_CONFIG ? "" : err_hint(err->kind);
    size_t n = strlen(err->text);
    bool ends = n && (err->text[n - 1] == '?' || err->text[n - 1] == '.');
    ui_note(ui, NOTE_ERROR, "%s%s%s", err->text, !*hint ? "" : ends ? " " : ". ", hint);
}

void ui_note_line(struct ui *ui, unsigned account)
{
    ui->status_of = account + 1;
}

void ui_note_line_over(struct ui *ui, unsigned account)
{
    if (ui->status_of == account + 1)
        ui->status[0] = 0;
}
