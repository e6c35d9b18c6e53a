/* Buffers: each has its lists, its message, its search and the mail written in it, as they were left. One is shown.
 *
 * All of the ui works on the members of struct ui that buffer.def names. Those of a buffer that is not at work are kept
 * aside in it; an answer to it (request, helper, program) is heard with that buffer at work, and then the shown one is
 * back. So no file but this one has to know that there are several. */
#include "ui/compose.h"

static void set_aside(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    struct buffer *b = ui->at;
    b->aside = ui->state;
    b->load = x->load;
    b->compose = x->compose;
    b->parts = x->parts;
    b->crypto = x->crypto;
}

static void put_to_work(struct ui *ui, struct buffer *b)
{
    struct extra *x = ui_extra(ui);
    ui->state = b->aside;
    x->load = b->load;
    x->compose = b->compose;
    x->parts = b->parts;
    x->crypto = b->crypto;
    ui->at = b;
}

static void work_in(struct ui *ui, struct buffer *b)
{
    if (b == ui->at)
        return;
    if (ui->at)
        set_aside(ui);
    put_to_work(ui, b);
}

static unsigned place_of(const struct ui *ui, const struct buffer *b)
{
    unsigned i = 0;
    while (i < ui->nbuffers && ui->buffers[i] != b)
        i++;
    return i;
}

unsigned buffer_number(const struct ui *ui)
{
    return place_of(ui, ui->at) + 1;
}

static struct buffer *by_id(const struct ui *ui, uint32_t id)
{
    for (unsigned i = 0; i < ui->nbuffers; i++)
        if (ui->buffers[i]->id == id)
            return ui->buffers[i];
    return NULL;
}

bool buffer_is_shown(const struct ui *ui)
{
    return ui->at == ui->shown;
}

void buffer_enter(struct ui *ui, uint32_t id)
{
    struct buffer *b = by_id(ui, id);
    if (b)
        work_in(ui, b);
}

void buffer_leave(struct ui *ui)
{
    work_in(ui, ui->shown);
}

/* ---- which one is shown ---- */
/* What is asked or listed on the screen is about the buffer that is left. */
static void drop_overlays(struct ui *ui)
{
    if (ui->prompt.kind != PROMPT_NONE)
        ui_run(ui, "edit-cancel");
    if (ui->popup.kind == POPUP_CONFIRM)
        ui_popup_key(ui, K_ESC);
    if (ui->popup.kind != POPUP_NONE)
        ui_popup_close(ui);
}

static void leave_shown(struct ui *ui)
{
    watch_free(&ui->seen_timer);
    watch_free(&ui->search_timer);
    watch_free(&ui->progress_timer);
    ui->nkeys = 0;
}

static void come_to(struct ui *ui, struct buffer *b)
{
    work_in(ui, b);
    ui->shown = b;
    list_stale(ui_list(ui)); /* changes were told to the lists on the screen */
    boxes_follow(&ui->boxes, ui_list(ui));
    ui_watch_list(ui);
    if (ui->open_req || ui_extra(ui)->load)
        snprintf(ui->progress, sizeof ui->progress, "%s", ui->progress_next);
    ui_shown_again(ui);
    ui->dirty = true;
}

void buffer_show(struct ui *ui, struct buffer *b)
{
    char pass[sizeof ui->progress];
    if (b == ui->shown) {
        work_in(ui, b);
        return;
    }
    work_in(ui, ui->shown);
    drop_overlays(ui);
    leave_shown(ui);
    snprintf(pass, sizeof pass, "%s", ui->fetching ? ui->progress : "");
    if (ui->fetching) /* of an account, not of the buffer */
        ui->progress[0] = 0;
    come_to(ui, b);
    if (pass[0] && ui->fetching)
        snprintf(ui->progress, sizeof ui->progress, "%s", pass);
}

struct buffer *buffer_new(struct ui *ui)
{
    if (ui->nbuffers == BUFFERS_MAX) {
        ui_note(ui, NOTE_WARNING, "%d buffers are open: close one first", BUFFERS_MAX);
        return NULL;
    }
    struct buffer *b = mem_new(sizeof *b), *from = ui->shown;
    b->id = ++ui->last_buffer;
    b->aside.focus = PANE_LIST;
    b->aside.stack[b->aside.depth++] = ui_new_list(ui);
    message_init(&b->aside.message);
    unsigned at = from ? place_of(ui, from) + 1 : 0;
    memmove(&ui->buffers[at + 1], &ui->buffers[at], (ui->nbuffers - at) * sizeof ui->buffers[0]);
    ui->buffers[at] = b;
    ui->nbuffers++;
    if (from) {
        b->from = from->id;
        buffer_show(ui, b);
    } else {
        ui->shown = b;
        put_to_work(ui, b);
    }
    return b;
}

/* Ends what is under way in the buffer at work and frees all it has. */
static void empty(struct ui *ui)
{
    struct extra *x = ui_extra(ui);
    ui_load_end(ui);
    ui_open_close(ui);
    parts_free(ui, &x->parts);
    crypto_free(ui);
    compose_free(&x->compose);
    helper_end(&ui->search);
    free(ui->search_text);
    ui_forget(ui, ui->look_req);
    while (ui->depth) {
        remote_forget(ui, ui->stack[ui->depth - 1]);
        list_fini(ui->stack[--ui->depth]);
        free(ui->stack[ui->depth]);
    }
    message_fini(&ui->message);
    refs_fini(&ui->selection);
    ui->state = (struct buffer_state){.depth = 0};
}

bool buffer_close(struct ui *ui)
{
    struct buffer *b = ui->at, *next = by_id(ui, b->from);
    unsigned i = place_of(ui, b);
    bool shown = b == ui->shown;
    if (ui->nbuffers == 1)
        return false;
    if (shown) {
        drop_overlays(ui);
        leave_shown(ui);
    }
    ui_questions_drop(ui, b->id);
    empty(ui);
    memmove(&ui->buffers[i], &ui->buffers[i + 1], (--ui->nbuffers - i) * sizeof ui->buffers[0]);
    ui->at = NULL;
    free(b);
    if (shown)
        come_to(ui, next ? next : ui->buffers[MIN(i, ui->nbuffers - 1)]);
    else
        work_in(ui, ui->shown);
    ui->dirty = true;
    return true;
}

void buffers_init(struct ui *ui)
{
    buffer_new(ui);
}

void buffers_fini(struct ui *ui)
{
    while (ui->nbuffers > 1)
        buffer_close(ui);
    empty(ui);
    free(ui->at);
    ui->at = ui->shown = NULL;
    ui->nbuffers = 0;
}

unsigned buffer_find(struct ui *ui, buffer_fn *fn, void *arg)
{
    struct buffer *was = ui->at;
    for (unsigned i = 0; i < ui->nbuffers; i++) {
        work_in(ui, ui->buffers[i]);
        if (fn(ui, arg))
            return i + 1;
    }
    work_in(ui, was);
    return 0;
}

static bool make_stale(struct ui *ui, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ui->depth; i++)
        list_stale(ui->stack[i]);
    return false;
}

void ui_lists_stale(struct ui *ui)
{
    buffer_find(ui, make_stale, NULL);
}

static bool shows_lists(struct ui *ui, void *arg)
{
    (void)arg;
    return !composed(ui);
}

void buffer_for_lists(struct ui *ui)
{
    if (!composed(ui))
        return;
    struct buffer *from = by_id(ui, ui->at->from);
    if (from && !from->compose)
        buffer_show(ui, from);
    else if (buffer_find(ui, shows_lists, NULL))
        buffer_show(ui, ui->at);
    else
        buffer_new(ui);
}

/* ---- commands ---- */
static bool another_lists(struct ui *ui, void *arg)
{
    return ui->at != arg && !composed(ui);
}

bool buffer_can_go(struct ui *ui)
{
    struct buffer *b = ui->at;
    bool can = buffer_find(ui, another_lists, b) > 0;
    work_in(ui, b);
    return can;
}

/* The same lists at the same places; the message is not opened. */
static void copy_lists(struct ui *ui, const struct buffer_state *from)
{
    struct err err = ERR_INIT;
    list_fini(ui->stack[0]);
    free(ui->stack[0]);
    for (ui->depth = 0; ui->depth < from->depth; ui->depth++) {
        const struct list *l = from->stack[ui->depth];
        struct list *copy = ui->stack[ui->depth] = mem_new(sizeof *copy);
        list_copy(copy, l, &err);
        for (unsigned i = 0; i < ui->depth; i++)
            if (copy->limits == from->stack[i])
                copy->limits = ui->stack[i];
    }
}

bool run_new_buffer(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)err;
    buffer_for_lists(ui);
    struct buffer *from = ui->at;
    if (!buffer_new(ui))
        return true;
    copy_lists(ui, &from->aside);
    boxes_follow(&ui->boxes, ui_list(ui));
    ui_watch_list(ui);
    return cmd_arg(args, 0) ? ui_run(ui, cmd_arg(args, 0)) : true;
}

static bool step(struct ui *ui, unsigned by)
{
    if (ui->nbuffers == 1)
        ui_note(ui, NOTE_INFO, "this is the only buffer · new-buffer opens one");
    else
        buffer_show(ui, ui->buffers[(place_of(ui, ui->shown) + by) % ui->nbuffers]);
    return true;
}

bool run_next_buffer(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return step(context, 1);
}

bool run_previous_buffer(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    return step(ui, ui->nbuffers - 1);
}

/* A mail that is being written is postponed; the buffer closes when that is done. */
bool run_close_buffer(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)args, (void)err;
    if (composed(ui))
        return ui_run(ui, "postpone");
    if (!buffer_close(ui))
        ui_note(ui, NOTE_INFO, "this is the only buffer · quit ends tuimail");
    return true;
}

bool run_buffer(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    uint32_t number;
    if (!cmd_arg(args, 0))
        return run_buffers(context, args, err);
    if (!str_u32(str_z(cmd_arg(args, 0)), &number) || !number || number > ui->nbuffers)
        return err_set(err, ERR_USAGE, "no buffer %.20s: there %s %u · buffers lists them", cmd_arg(args, 0),
                       ui->nbuffers == 1 ? "is" : "are", ui->nbuffers);
    buffer_show(ui, ui->buffers[number - 1]);
    return true;
}

/* ---- the list of them ---- */
static void list_words(const struct ui *ui, struct buf *out)
{
    const struct list *l = ui_list(ui);
    if (l->source == LIST_HITS)
        buf_addz(out, l->limits ? "limit: " : "search: ");
    buf_addz(out, l->title && l->title[0] ? l->title : "list");
    if (l->total)
        buf_addf(out, " · row %u of %u", l->rank + 1, l->total);
}

static void compose_words(const struct compose *c, struct buf *out)
{
    buf_addf(out, "writing: %.*s", STR_FMT(c->valid && c->draft.subject.n ? c->draft.subject : STR("no subject")));
    if (c->valid && c->draft.to.n)
        buf_addf(out, " · to %.*s", STR_FMT(c->draft.to));
    if (c->busy)
        buf_addz(out, " · on its way");
}

void buffer_words(struct ui *ui, struct buf *out)
{
    if (composed(ui)) {
        compose_words(composed(ui), out);
        return;
    }
    if (ui->message.state != MESSAGE_NONE)
        buf_addf(out, "%s · ", ui->message.subject && ui->message.subject[0] ? ui->message.subject : "message");
    list_words(ui, out);
}

static bool add_row(struct ui *ui, void *arg)
{
    struct buf words = BUF_INIT(2000);
    unsigned *n = arg;
    char number[16];
    buffer_words(ui, &words);
    snprintf(number, sizeof number, "%u%s", ++*n, ui->at == ui->shown ? " *" : "");
    ui_popup_row(ui, number, buf_z(&words));
    ui->popup.rows[ui->popup.n - 1].id = ui->at->id;
    if (ui->at == ui->shown)
        ui->popup.cur = *n - 1;
    buf_fini(&words);
    return false;
}

bool run_buffers(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    unsigned n = 0;
    (void)args, (void)err;
    ui_popup(ui, POPUP_BUFFERS, "buffers · Enter or its number shows one · d closes it · q leaves");
    buffer_find(ui, add_row, &n);
    return true;
}

static void close_row(struct ui *ui, unsigned cur)
{
    struct buffer *b = by_id(ui, (uint32_t)ui->popup.rows[cur].id);
    ui_popup_close(ui);
    if (!b)
        return;
    if (b->compose || (b == ui->at && composed(ui))) { /* seen, while it is put away */
        buffer_show(ui, b);
        ui_run(ui, "postpone");
        return;
    }
    work_in(ui, b);
    if (!buffer_close(ui))
        ui_note(ui, NOTE_INFO, "this is the only buffer");
    buffer_leave(ui);
    ui_run(ui, "buffers");
    ui->popup.cur = MIN(cur, ui->nbuffers - 1);
}

bool buffers_key(struct ui *ui, ckey key)
{
    struct popup *p = &ui->popup;
    unsigned row = key >= '1' && key <= '9' ? (unsigned)(key - '1') : p->cur;
    struct buffer *b = row < p->n ? by_id(ui, (uint32_t)p->rows[row].id) : NULL;
    if (ui_popup_move(ui, key))
        return true;
    if (key == 'd') {
        close_row(ui, p->cur);
        return true;
    }
    ui_popup_close(ui);
    if (b && (key == K_ENTER || (key >= '1' && key <= '9')))
        buffer_show(ui, b);
    return true;
}
