/* Keys typed ahead. What a key asks for may be on its way yet: the hits of a limit, the list of parts, the end of
 * writing. The keys after it are about that, so they wait for it, for a moment; then they are dropped, and that is
 * said. None of them acts on what happens to be on the screen meanwhile. Esc ends the waiting. */
#include "ui/compose.h"

enum { HOLD_MS = 2000, EDITOR_MS = 1000, QUIET_MS = 700 };

static bool message_comes(const struct ui *ui)
{
    return (ui->message.state == MESSAGE_WAITING || ui->message.state == MESSAGE_READING) &&
           (ui->open_req || ui->viewer);
}

/* What the next key is about and is not here; NULL: nothing. */
static const char *awaited(struct ui *ui)
{
    if (ui->prompt.kind != PROMPT_NONE || ui->popup.kind != POPUP_NONE || ui->typed.given_up)
        return NULL;
    if (ui->search && (ui->search_select || (ui->search_list == ui_list(ui) && !ui->search_cleared)))
        return "the search had an answer";
    if (composed(ui) && composed(ui)->busy)
        return "the mail was ready";
    if (ui_load_awaits(ui) == LOAD_EDITOR)
        return "the editor was there";
    if (ui_load_awaits(ui) == LOAD_PARTS)
        return "the list of parts was there";
    if (ui->typed.for_text && message_comes(ui))
        return "the message was there";
    return NULL;
}

static void stop(struct ui *ui)
{
    watch_free(&ui->typed.timer);
    ui->typed.n = 0;
    ui->typed.for_text = false;
}

static void drop(struct ui *ui, const char *what)
{
    size_t n = ui->typed.n;
    stop(ui);
    if (n)
        ui_note(ui, NOTE_WARNING, "%zu key%s typed before %s: dropped", n, n == 1 ? "" : "s", what);
}

void typed_give_up(struct ui *ui)
{
    bool for_text = ui->typed.for_text;
    const char *what = awaited(ui);
    watch_free(&ui->typed.timer);
    if (!what) /* it is here: the next frame hears them */
        return;
    drop(ui, what);
    ui->typed.given_up = true; /* keys act again, on what is here */
    ui->typed.for_text = for_text;
    ui->dirty = true;
}

static void on_late(void *arg)
{
    typed_give_up(arg);
}

static void keep(struct ui *ui, ckey key)
{
    struct typed *t = &ui->typed;
    if (t->n < COUNT(t->keys))
        t->keys[t->n++] = key;
    if (!t->timer)
        t->timer = loop_after(ui->loop, HOLD_MS, on_late, ui);
}

bool typed_hold(struct ui *ui, ckey key)
{
    struct typed *t = &ui->typed;
    int64_t now = clock_mono_ms();
    if (now - ui->key_ms > QUIET_MS)
        ui->keys_on = 0;
    ui->keys_on += !ui->nkeys && ui->prompt.kind == PROMPT_NONE;
    ui->key_ms = now;
    if (t->again)
        return false;
    if (t->given_up) { /* what was waited for may be here since */
        t->given_up = false;
        t->given_up = awaited(ui) != NULL;
        t->for_text = t->for_text && t->given_up;
    }
    if (!t->n && !awaited(ui))
        return false;
    if (key == K_ESC || key == (K_CTRL | 'c') || key == (K_CTRL | 'g')) {
        size_t n = t->n;
        stop(ui);
        if (n)
            ui_note(ui, NOTE_INFO, "%zu key%s typed ahead: dropped", n, n == 1 ? "" : "s");
        return false;
    }
    t->for_editor = ui_load_awaits(ui) == LOAD_EDITOR;
    keep(ui, key);
    return true;
}

bool typed_hold_for_text(struct ui *ui, const struct binding *b, const ckey *keys, size_t n)
{
    struct typed *t = &ui->typed;
    struct str name = str_z(b->command);
    size_t blank;
    char *word = mem_dup_n(name.p, str_find(name, ' ', &blank) ? blank : name.n);
    const struct command *c = *word ? cmd_find(&ui_lang, word) : NULL;
    bool waits = c && (c->flags & CMD_NEEDS_TEXT) && !t->given_up && message_comes(ui) && t->n + n <= COUNT(t->keys);
    free(word);
    if (!waits)
        return false;
    t->for_text = true;
    memmove(&t->keys[n], t->keys, t->n * sizeof t->keys[0]); /* what came behind it stays behind it */
    memcpy(t->keys, keys, n * sizeof t->keys[0]);
    t->n += n;
    if (!t->timer)
        t->timer = loop_after(ui->loop, HOLD_MS, on_late, ui);
    return true;
}

void typed_go_on(struct ui *ui)
{
    struct typed *t = &ui->typed;
    if (t->n && t->for_editor && ui_load_awaits(ui) != LOAD_EDITOR) /* it cannot be given them, and nothing else may */
        drop(ui, "the editor was there");
    while (t->n && !awaited(ui) && !extra_has_terminal(ui)) {
        ckey key = t->keys[0];
        memmove(t->keys, &t->keys[1], --t->n * sizeof t->keys[0]);
        if (!t->n)
            stop(ui);
        t->again = true;
        ui_key(ui, key);
        t->again = false;
    }
}

bool typed_for_editor(const struct ui *ui)
{
    return ui_load_awaits(ui) == LOAD_EDITOR && clock_mono_ms() - ui_load_since(ui) < EDITOR_MS;
}

int64_t typed_quiet_in(const struct ui *ui)
{
    return MAX(ui->key_ms + QUIET_MS - clock_mono_ms(), INT64_C(0));
}

bool typed_on(const struct ui *ui)
{
    return ui->keys_on > 1 && typed_quiet_in(ui) > 0;
}
