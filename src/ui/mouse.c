/* What the terminal tells beside keys: where the mouse was pressed or its wheel turned, and whether the terminal is
 * looked at. */
#include "ui/private.h"

enum { WHEEL_LINES = 3 };

static bool within(struct rect r, const struct mouse *m)
{
    return r.rows && m->y >= r.y && m->y - r.y < r.rows && m->x >= r.x && m->x - r.x < r.cols;
}

static void wheel(struct ui *ui, const struct mouse *m)
{
    const struct layout *l = &ui->layout;
    bool down = m->what == MOUSE_WHEEL_DOWN;
    if (ui->popup.kind != POPUP_NONE ||
        (ui_context(ui) != CTX_LIST && ui_context(ui) != CTX_BOXES && ui_context(ui) != CTX_MESSAGE)) {
        ui_key(ui, down ? K_DOWN : K_UP);
    } else if (within(l->message, m)) {
        message_scroll(&ui->message, down ? WHEEL_LINES : -WHEEL_LINES, MAX(l->message.rows, 2u) - 1);
    } else if (within(l->boxes, m)) {
        boxes_move(&ui->boxes, down ? 1 : -1);
        ui->focus = PANE_BOXES;
    } else if (within(l->list, m)) {
        ui_run(ui, down ? "next" : "previous");
    }
}

static void press_box(struct ui *ui, unsigned row)
{
    struct boxes *b = &ui->boxes;
    unsigned at = b->top + row;
    if (at >= b->n ||
        (b->list[at].kind != BOXK_BOX && b->list[at].kind != BOXK_INBOXES && b->list[at].kind != BOXK_SAVED) ||
        (b->list[at].attrs & (BOX_NOSELECT | BOX_NONEXISTENT)))
        return;
    b->cur = at;
    ui_show_item(ui, boxes_cursor(b));
}

/* Goes to the row; pressed there once more, opens it. The heading of a day folds or unfolds it. */
static void press_row(struct ui *ui, unsigned row)
{
    struct list *l = ui_list(ui);
    struct err err = ERR_INIT;
    unsigned at = l->top;
    while (at < l->n && list_lines(l, l->top, at) < row)
        at++;
    if (at >= l->n)
        return; /* below the last one */
    bool heading = list_lines(l, l->top, at) != row || l->rows[at].folded_day;
    bool again = at == l->cur && ui->focus != PANE_BOXES && !heading;
    ui->focus = PANE_LIST;
    if (again)
        ui_run(ui, "open");
    else if (at == l->cur || list_move(l, (int64_t)at - l->cur, &err))
        heading ? (void)ui_run(ui, "fold-day") : ui_follow(ui);
}

/* A row of a popup that names a key types it; where rows are chosen the cursor goes there. */
static void press_popup(struct ui *ui, const struct mouse *m)
{
    struct popup *p = &ui->popup;
    unsigned first = ui->layout.status.y - MIN(p->height, ui->layout.status.y); /* below its title */
    const struct popup_row *row =
        m->y >= first && p->top + m->y - first < p->n ? &p->rows[p->top + m->y - first] : NULL;
    bool keys = p->kind == POPUP_LINKS || p->kind == POPUP_CONFIRM;
    if (m->y >= ui->layout.status.y)
        return;
    if (row && keys && row->left[0] && !row->left[1])
        ui_key(ui, (ckey)row->left[0]);
    else if (row && popup_has_cursor(p))
        p->cur = p->top + m->y - first;
    else if (m->y + 1 < first) /* beside it: it goes */
        ui_run(ui, "cancel");
}

static void press(struct ui *ui, const struct mouse *m)
{
    const struct layout *l = &ui->layout;
    enum cmd_context context = ui_context(ui);
    if (ui->popup.kind != POPUP_NONE) {
        press_popup(ui, m);
    } else if (context != CTX_LIST && context != CTX_BOXES && context != CTX_MESSAGE) {
        return;
    } else if (within(l->boxes, m)) {
        press_box(ui, m->y - l->boxes.y);
    } else if (within(l->message, m)) {
        ui->focus = ui->message.state != MESSAGE_NONE ? PANE_MESSAGE : ui->focus;
    } else if (within(l->list, m) && m->y > l->list.y) {
        press_row(ui, m->y - l->list.y - 1);
    }
}

void ui_mouse(struct ui *ui, const struct mouse *m)
{
    ui->dirty = true;
    if (ui->layout.small || ui->pasting)
        return;
    if (ui->prompt.kind != PROMPT_NONE) { /* what is typed is left alone; a list above it is gone through */
        if (m->what != MOUSE_PRESS && ui->prompt.kind == PROMPT_PICK)
            ui_key(ui, m->what == MOUSE_WHEEL_DOWN ? K_DOWN : K_UP);
        return;
    }
    ui->nkeys = 0; /* keys begun are no longer meant */
    watch_free(&ui->keys_timer);
    if (ui->popup.kind == POPUP_KEYS)
        ui_popup_close(ui);
    ui_list(ui)->stay = STAY_ROW;
    if (m->what == MOUSE_PRESS)
        press(ui, m);
    else
        wheel(ui, m);
}

/* While nobody looks nothing is marked as read, and what comes is drawn now and then. */
void ui_looked_at(struct ui *ui, bool looked)
{
    ui->away = !looked;
    ui->dirty = ui->dirty || looked;
    if (looked && ui->seen_waits) {
        ui->seen_waits = false;
        ui_seen_soon(ui);
    }
}
