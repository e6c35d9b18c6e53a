/* Writing a mail: the draft is a file from the first moment, the editor edits that file, and the compose screen shows
 * what will go. What was typed is lost by nothing but an explicit discard. */
#include "ui/compose.h"

#include <sys/wait.h>
#include <unistd.h>

enum { SCROLLED = 10 }; /* lines by a key */

struct compose *composed(struct ui *ui)
{
    return ui_extra(ui)->compose;
}

void compose_free(struct compose **c)
{
    if (!*c)
        return;
    helper_end(&(*c)->builder);
    if ((*c)->built >= 0)
        close((*c)->built);
    free((*c)->path);
    free((*c)->account);
    buf_fini(&(*c)->text);
    arena_free(&(*c)->arena);
    free(*c);
    *c = NULL;
}

void compose_close(struct ui *ui, bool remove_file)
{
    struct compose *c = composed(ui);
    if (c && remove_file)
        unlink(c->path);
    compose_free(&ui_extra(ui)->compose);
    if (c && !buffer_close(ui))
        ui_show_inboxes(ui);
    ui->dirty = true;
}

void compose_event(struct ui *ui, const struct compose *c, enum event event)
{
    struct event_words words = {.own = true};
    event_word(&words, VALUE_ACCOUNT, str_z(c->account));
    event_word(&words, VALUE_TO, c->valid ? c->draft.to : STR(""));
    event_word(&words, VALUE_SUBJECT, c->valid ? c->draft.subject : STR(""));
    ui_event(ui, event, &words);
}

bool compose_show(struct ui *ui, struct compose *c)
{
    if (!buffer_new(ui)) {
        compose_free(&c);
        return false;
    }
    ui_extra(ui)->compose = c;
    compose_understand(ui, c);
    compose_event(ui, c, EVENT_COMPOSE);
    return true;
}

static bool writes(struct ui *ui, void *arg)
{
    const struct compose *c = composed(ui);
    return c && !strcmp(c->path, arg);
}

static bool goes_on_with(struct ui *ui, void *arg)
{
    const struct compose *c = composed(ui);
    return c && ref_eq(c->replaces, *(struct ref *)arg);
}

bool compose_is_open(struct ui *ui, char *path)
{
    struct buffer *was = ui->at;
    bool open = buffer_find(ui, writes, path) > 0;
    buffer_enter(ui, was->id);
    return open;
}

bool compose_open_again(struct ui *ui, struct ref draft)
{
    if (!draft.id || !buffer_find(ui, goes_on_with, &draft))
        return false;
    buffer_show(ui, ui->at);
    return true;
}

/* ---- The file ----------------------------------------------------------------------------------- */
void compose_understand(struct ui *ui, struct compose *c)
{
    arena_free(&c->arena);
    c->arena = arena_new(64u << 20);
    c->problem = ERR_INIT;
    c->valid = draft_parse(buf_str(&c->text), ui->conf, c->arena, &c->draft, &c->problem);
    ui->dirty = true;
}

bool compose_save(struct ui *ui, struct compose *c)
{
    struct err err = ERR_INIT;
    bool ok = fs_write_atomic(c->path, 0600, buf_str(&c->text), &err);
    if (!ok)
        ui_note_err(ui, &err);
    return ok;
}

bool compose_read(struct ui *ui, struct compose *c)
{
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(DRAFT_MAX);
    if (!fs_read(c->path, DRAFT_MAX, &text, &err)) {
        ui_note_err(ui, &err);
        buf_fini(&text);
        return false;
    }
    if (text.n == 0) { /* THREATS 154: an editor that leaves nothing does not take the draft along */
        ui_note(ui, NOTE_WARNING, "the editor left an empty file: the draft is as it was before");
        buf_fini(&text);
        compose_save(ui, c);
        return false;
    }
    buf_fini(&c->text);
    c->text = text;
    compose_understand(ui, c);
    return true;
}

/* After a change: what is wrong now is said, what was said to be wrong and is not any more goes. */
static void judge(struct ui *ui, struct compose *c)
{
    if (!c->valid)
        ui_note_err(ui, &c->problem);
    else if (c->complaint && c->complaint == ui->nnotes)
        ui->status[0] = '\0';
    c->complaint = c->valid ? 0 : ui->nnotes;
}

char *compose_dir(struct ui *ui)
{
    struct err err = ERR_INIT;
    char *dir = path_join(ui->start.root, "drafts");
    if (!fs_mkdir_private(dir, &err)) {
        ui_note_err(ui, &err);
        free(dir);
        dir = NULL;
    }
    return dir;
}

char *compose_new_path(struct ui *ui)
{
    unsigned char r[6];
    char hex[13], name[64];
    char *dir = compose_dir(ui);
    if (!dir)
        return NULL;
    fs_random(r, sizeof r);
    hex_encode(r, sizeof r, hex);
    snprintf(name, sizeof name, "%lld-%s.draft", (long long)clock_wall(), hex);
    char *path = path_join(dir, name);
    free(dir);
    return path;
}

/* ---- The editor --------------------------------------------------------------------------------- */
const char *compose_editor(const struct ui *ui)
{
    const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");
    if (ui->conf->editor[0])
        return ui->conf->editor;
    return visual && visual[0] ? visual : editor && editor[0] ? editor : "vi";
}

static void on_edited(struct ui *ui, void *arg, int status, struct str output)
{
    struct compose *c = composed(ui);
    (void)arg, (void)output;
    if (!c)
        return;
    bool read = compose_read(ui, c);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        ui_note(ui, NOTE_WARNING, "the editor ended with status %d; the draft is kept",
                WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    else if (read)
        judge(ui, c);
}

void compose_edit(struct ui *ui)
{
    struct compose *c = composed(ui);
    const char *args[] = {c->path, NULL};
    struct buf command = BUF_INIT(8192);
    buf_addf(&command, "%s \"$1\"", compose_editor(ui));
    ui_tool(ui, TOOL_TERMINAL, buf_z(&command), args, -1, on_edited, NULL);
    buf_fini(&command);
}

bool compose_ready(struct ui *ui, bool to_send, struct err *err)
{
    struct compose *c = composed(ui);
    if (!c)
        return err_set(err, ERR_USAGE, "no mail is being written");
    if (c->busy) {
        ui_note(ui, NOTE_INFO, "it is already on its way");
        return false;
    }
    if (!c->valid)
        *err = c->problem;
    else if (!to_send || draft_ready(&c->draft, err))
        return true;
    c->complaint = ui->nnotes + 1; /* the note that *err becomes */
    return false;
}

bool run_edit(void *context, const struct cmd_args *args, struct err *err)
{
    struct compose *c = composed(context);
    (void)args;
    /* a draft that cannot be read is what the editor is for */
    if (c && !c->valid)
        compose_edit(context);
    else if (compose_ready(context, false, err))
        compose_edit(context);
    return err->kind == ERR_NONE;
}

static void on_discard(struct ui *ui, void *arg, bool yes)
{
    (void)arg;
    if (yes) {
        compose_close(ui, true);
        ui_note(ui, NOTE_INFO, "discarded");
    }
}

bool run_discard(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args;
    if (!composed(ui))
        return err_set(err, ERR_USAGE, "no mail is being written");
    ui_confirm(ui, "Discard this mail?", "q postpones it instead", on_discard, NULL);
    return true;
}

/* ---- Header fields and attachments, by key ------------------------------------------------------ */
static void replace_text(struct ui *ui, struct compose *c, struct buf *text, bool ok)
{
    if (!ok) {
        ui_note(ui, NOTE_ERROR, "the draft is too large");
        buf_fini(text);
        return;
    }
    buf_fini(&c->text);
    c->text = *text;
    compose_save(ui, c);
    compose_understand(ui, c);
    judge(ui, c);
}

static void on_field(struct ui *ui, void *arg, const char *value)
{
    const char *name = arg;
    struct compose *c = composed(ui);
    struct buf text = BUF_INIT(DRAFT_MAX);
    if (value && c && !c->busy)
        replace_text(ui, c, &text,
                     draft_set(buf_str(&c->text), name, str_z(value), strcmp(name, "Attach") == 0, &text));
}

static bool set_field(struct ui *ui, char *name, struct str present, enum arg_kind kind, const char *value,
                      struct err *err)
{
    struct compose *c = composed(ui);
    char label[32];
    if (!c)
        return err_set(err, ERR_USAGE, "no mail is being written");
    if (value) {
        on_field(ui, name, value);
        return true;
    }
    snprintf(label, sizeof label, "%s: ", name);
    char *now = mem_dup_n(present.p, present.n);
    ui_ask(ui, label, c->valid ? now : "", kind, true, NULL, on_field, NULL, name);
    free(now);
    return true;
}

#define FIELD(function, name, member, kind)                                                                            \
    bool function(void *context, const struct cmd_args *args, struct err *err)                                         \
    {                                                                                                                  \
        static char field_name[] = name;                                                                               \
        struct compose *c = composed(context);                                                                         \
        return set_field(context, field_name, c ? c->draft.member : STR(""), kind, cmd_arg(args, 0), err);             \
    }
FIELD(run_set_to, "To", to, ARG_ADDRESS)
FIELD(run_set_cc, "Cc", cc, ARG_ADDRESS)
FIELD(run_set_bcc, "Bcc", bcc, ARG_ADDRESS)
FIELD(run_set_subject, "Subject", subject, ARG_TEXT)
FIELD(run_set_from, "From", from, ARG_ADDRESS)

bool run_attach(void *context, const struct cmd_args *args, struct err *err)
{
    static char name[] = "Attach";
    return set_field(context, name, STR(""), ARG_FILE, cmd_arg(args, 0), err);
}

bool run_detach(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    struct compose *c = composed(ui);
    uint32_t number = 0;
    if (!c || !c->valid || !c->draft.nattach)
        return err_set(err, ERR_USAGE, "there is no attachment");
    const char *word = cmd_arg(args, 0);
    if (word && (!str_u32(str_z(word), &number) || number == 0 || number > c->draft.nattach))
        return err_set(err, ERR_USAGE, "attachments are numbered 1 to %zu", c->draft.nattach);
    struct buf text = BUF_INIT(DRAFT_MAX);
    size_t i = number ? number - 1 : c->draft.nattach - 1;
    replace_text(ui, c, &text, draft_detach(buf_str(&c->text), i, &text));
    return true;
}

bool run_compose_down(void *context, const struct cmd_args *args, struct err *err)
{
    struct compose *c = composed(context);
    (void)args, (void)err;
    size_t lines = 0;
    struct str body = c && c->valid ? c->draft.body : (struct str){"", 0}, line;
    if (c && !c->valid)
        body = buf_str(&c->text);
    while (str_split(&body, '\n', &line))
        lines++;
    if (c) /* the last line stays */
        c->top = MIN(c->top + SCROLLED, MAX(lines, (size_t)1) - 1);
    ((struct ui *)context)->dirty = true;
    return true;
}

bool run_compose_up(void *context, const struct cmd_args *args, struct err *err)
{
    struct compose *c = composed(context);
    (void)args, (void)err;
    if (c)
        c->top -= MIN(c->top, (size_t)SCROLLED);
    ((struct ui *)context)->dirty = true;
    return true;
}

/* ---- The screen --------------------------------------------------------------------------------- */
static unsigned draw_field(struct ui *ui, struct rect r, unsigned y, const char *name, struct str value)
{
    char label[16];
    snprintf(label, sizeof label, "%-9s", name);
    extra_line(ui, r, y, 1, str_z(label), THING_HEADER_NAME);
    extra_line(ui, r, y, 10, value, THING_HEADER);
    return y + 1;
}

/* The name goes with the mail; where it lies matters for a file that the user named. */
static unsigned draw_attachment(struct ui *ui, struct rect r, unsigned y, size_t number, struct str path)
{
    char label[32];
    struct buf line = BUF_INIT(8192);
    struct str name = attach_name(path);
    buf_adds(&line, name);
    if (name.n < path.n && !memmem(path.p, path.n, ".draft.d/", 9))
        buf_addf(&line, "  in %.*s", STR_FMT(str_sub(path, 0, path.n - name.n)));
    snprintf(label, sizeof label, "Attach %zu", number);
    y = draw_field(ui, r, y, label, buf_str(&line));
    buf_fini(&line);
    return y;
}

/* The verbs, each with its key: that of `usual` while it does that, else the first that does. */
static void draw_verbs(struct ui *ui, const struct compose *c, struct rect r)
{
    static const struct {
        const char *command, *usual, *word;
    } verbs[] = {{"send", "y", "send"},          {"edit", "e", "edit"},     {"postpone", "q", "postpone"},
                 {"discard", "X", "discard"},    {"attach", "a", "attach"}, {"detach", "D", "detach"},
                 {"set-to", "t", "to"},          {"set-cc", "c", "cc"},     {"set-bcc", "b", "bcc"},
                 {"set-subject", "s", "subject"}};
    struct buf line = BUF_INIT(400);
    for (size_t i = 0; i < COUNT(verbs); i++) {
        bool copies = !strcmp(verbs[i].command, "set-cc") || !strcmp(verbs[i].command, "set-bcc");
        struct buf keys = BUF_INIT(200);
        struct str rest, key = {"", 0};
        if (c->draft.nattach ? copies : !strcmp(verbs[i].command, "detach")) /* those that fit 80 columns */
            continue;
        keymap_where(ui->keymap, CTX_COMPOSE, verbs[i].command, &keys);
        rest = buf_str(&keys);
        for (struct str one; str_split(&rest, ' ', &one);)
            key = !key.n || str_eqz(one, verbs[i].usual) ? one : key;
        if (key.n)
            buf_addf(&line, "%s%.*s %s", line.n ? "  " : " ", STR_FMT(key), verbs[i].word);
        buf_fini(&keys);
    }
    extra_line(ui, r, 0, 0, c->busy ? STR(" one moment ...") : buf_str(&line), THING_TITLE);
    buf_fini(&line);
}

void compose_draw(struct ui *ui, const struct compose *c, struct rect r)
{
    unsigned y = 0;
    grid_fill(&ui->grid, r, THING_NORMAL);
    draw_verbs(ui, c, r);
    y++;
    if (!c->valid) {
        extra_line(ui, r, y++, 1, str_z(c->problem.text), THING_WARNING);
        extra_line(ui, r, y++, 1, STR("e opens the editor again; nothing is lost"), THING_NORMAL);
    } else {
        y = draw_field(ui, r, y, "From", c->draft.from);
        y = draw_field(ui, r, y, "To", c->draft.to);
        if (c->draft.cc.n)
            y = draw_field(ui, r, y, "Cc", c->draft.cc);
        if (c->draft.bcc.n)
            y = draw_field(ui, r, y, "Bcc", c->draft.bcc);
        y = draw_field(ui, r, y, "Subject", c->draft.subject);
        for (size_t i = 0; i < c->draft.nattach && y + 3 < r.rows; i++)
            y = draw_attachment(ui, r, y, i + 1, c->draft.attach[i]);
    }
    if (y < r.rows)
        grid_hline(&ui->grid, r, y++, THING_RULE);
    struct str rest = c->valid ? c->draft.body : buf_str(&c->text), text;
    for (size_t i = 0; y < r.rows && str_split(&rest, '\n', &text); i++)
        if (i >= c->top)
            extra_line(ui, r, y++, 1, text, text.n && text.p[0] == '>' ? THING_QUOTE1 : THING_NORMAL);
}
