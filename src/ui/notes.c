/* Words for the person: the last one in the status line, all of them under `:messages`. */
#include "ui/private.h"

#define NOTE_STAYS_MS 4000

static void keep(struct ui *ui, uint8_t level, const char *text)
{
    if (!ui->notes)
        ui->notes = mem_array(NOTES_MAX, sizeof *ui->notes);
    /* said again, it is one line: of the newest time */
    bool again = ui->nnotes && !strcmp(ui->notes[(ui->nnotes - 1) % NOTES_MAX].text, text);
    ui->nnotes += !again;
    struct note *note = &ui->notes[(ui->nnotes - 1) % NOTES_MAX];
    note->at = clock_wall();
    note->level = level;
    snprintf(note->text, sizeof note->text, "%s", text);
}

static void add(struct ui *ui, uint8_t level, const char *text)
{
    keep(ui, level, text);
    ui->said++;
    if (ui->answer && !ui->hooking)
        buf_addf(ui->answer, "%s\n", text);
    else if (ui->late.req) {
        buf_addf(&ui->late.text, "%s\n", text);
        ui->late.failed = ui->late.failed || level == NOTE_ERROR;
    }
    snprintf(ui->status, sizeof ui->status, "%s", text);
    ui->status_core = strlen(ui->status);
    ui->status_level = level;
    ui->status_ms = clock_mono_ms();
    ui->status_of = 0;
    ui->dirty = true;
    if (level == NOTE_ERROR && ui->nhooks) {
        struct event_words words = {.own = true};
        event_word(&words, VALUE_TEXT, str_z(text));
        ui_event(ui, EVENT_ERROR, &words);
    }
}

void ui_note(struct ui *ui, uint8_t level, const char *fmt, ...)
{
    struct buf line = BUF_INIT(NOTE_CHARS - 1);
    va_list ap;
    va_start(ap, fmt);
    char text[NOTE_CHARS];
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    text_from_bytes(str_z(text), TEXT_FOLD_SPACE, &line);
    add(ui, level, buf_z(&line));
    buf_fini(&line);
}

static void with_hint(struct ui *ui, uint8_t level, struct str text, const char *hint)
{
    bool ends = text.n && (text.p[text.n - 1] == '?' || text.p[text.n - 1] == '.');
    ui_note(ui, level, "%.*s%s%s", STR_FMT(text), !*hint ? "" : ends ? " " : ". ", hint);
}

void ui_note_err(struct ui *ui, const struct err *err)
{
    /* what was typed here is in no file that could be corrected */
    with_hint(ui, NOTE_ERROR, str_z(err->text), err->kind == ERR_CONFIG ? "" : err_hint(err->kind));
}

void ui_note_told(struct ui *ui, uint8_t level, int account, enum err_kind kind, struct str text)
{
    bool line = account >= 0 && (err_scope(kind) == SCOPE_ACCOUNT || kind == ERR_CHANNEL);
    /* what is tried again by itself needs nobody */
    const char *hint = line && err_retry(kind) == RETRY_AFTER_CHANGE ? err_hint(kind) : "";
    if (level == NOTE_INFO && !ui->answer && !ui->late.req && ui->status[0] && ui->status_level > NOTE_INFO &&
        clock_mono_ms() - ui->status_ms < NOTE_STAYS_MS) { /* what went wrong is to be read before what went well */
        ui_note_quiet(ui, "%.*s", STR_FMT(text));
        return;
    }
    with_hint(ui, level, text, hint);
    size_t n = strlen(ui->status), tail = strlen(hint);
    if (tail && n > tail && !strcmp(ui->status + n - tail, hint))
        ui->status_core = n - tail - 1;
    if (line)
        ui_note_line(ui, (unsigned)account);
}

void ui_note_quiet(struct ui *ui, const char *fmt, ...)
{
    char text[NOTE_CHARS];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    keep(ui, NOTE_INFO, text);
}

void ui_note_past(struct ui *ui, unsigned said)
{
    if (ui->said == said)
        ui->status[0] = 0;
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
