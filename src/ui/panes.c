/* How the screen is shared: the arrangement and its ratios, changed by key, kept for the next start; and the mailbox
 * pane used from elsewhere. */
#include "ui/private.h"

enum { PERCENT_STEP = 5, COLUMN_STEP = 2, FILE_MAX = 4096 };

static const char *const layouts[] = {"auto", "wide", "tall", "single"};

static const struct {
    const char *option;
    unsigned min, max;
} values[PANES_COUNT] = {
    [PANES_LAYOUT] = {"layout", 0, COUNT(layouts) - 1}, [PANES_WIDTH] = {"list-ratio", 10, 90},
    [PANES_HEIGHT] = {"list-height", 10, 90},           [PANES_LINES] = {"pager-index-lines", 0, 50},
    [PANES_SIDEBAR] = {"sidebar-width", 8, 80},
};

static unsigned layout_number(const char *name)
{
    unsigned i = COUNT(layouts) - 1;
    while (i && strcmp(layouts[i], name) != 0)
        i--;
    return i;
}

static unsigned told(const struct conf *conf, enum panes_value v)
{
    unsigned layout = layout_number(conf->layout);
    if (conf->accessible && layout == LAYOUT_AUTO)
        layout = LAYOUT_SINGLE; /* what is read out row by row has nothing beside it */
    const unsigned options[PANES_COUNT] = {
        [PANES_LAYOUT] = layout,
        [PANES_WIDTH] = conf->list_ratio,
        [PANES_HEIGHT] = conf->list_height,
        [PANES_LINES] = conf->pager_index_lines,
        [PANES_SIDEBAR] = conf->sidebar_width,
    };
    return options[v];
}

void panes_options(struct ui *ui, const char *name)
{
    for (enum panes_value v = 0; v < PANES_COUNT; v++)
        if (!name || !strcmp(name, values[v].option) || (v == PANES_LAYOUT && !strcmp(name, "accessible")))
            ui->panes.now[v] = told(ui->conf, v);
    if (!name || !strcmp(name, "sidebar-width"))
        ui->sidebar = ui->conf->sidebar_width > 0;
}

/* ---- kept: "OPTION NOW TOLD" a line, so that an option changed in tuimailrc since comes first ---- */
static char *file_path(const struct ui *ui)
{
    char *dir = path_join(ui->start.root, "history"), *path = path_join(dir, "panes");
    free(dir);
    return path;
}

static bool keeps(const struct ui *ui)
{
    return ui->start.root && *ui->start.root && !ui->start.once_text;
}

void panes_save(struct ui *ui)
{
    struct buf text = BUF_INIT(FILE_MAX);
    struct err err = ERR_INIT;
    if (!keeps(ui))
        return;
    for (enum panes_value v = 0; v < PANES_COUNT; v++)
        if (ui->panes.now[v] != told(ui->conf, v))
            buf_addf(&text, "%s %u %u\n", values[v].option, ui->panes.now[v], told(ui->conf, v));
    bool wide = ui->conf->sidebar_width > 0;
    if (ui->sidebar != wide)
        buf_addf(&text, "sidebar %u %u\n", ui->sidebar, wide);
    char *path = file_path(ui);
    fs_write_atomic(path, 0600, buf_str(&text), &err); /* a screen arranged anew is no loss worth a word */
    free(path);
    buf_fini(&text);
}

static void load_line(struct ui *ui, struct str line)
{
    struct str name, now, then;
    uint32_t n, t;
    if (!str_split(&line, ' ', &name) || !str_split(&line, ' ', &now) || !str_split(&line, ' ', &then) ||
        !str_u32(now, &n) || !str_u32(then, &t))
        return;
    for (enum panes_value v = 0; v < PANES_COUNT; v++)
        if (str_eqz(name, values[v].option) && t == told(ui->conf, v) && n >= values[v].min && n <= values[v].max)
            ui->panes.now[v] = n;
    if (str_eqz(name, "sidebar") && t == (ui->conf->sidebar_width > 0))
        ui->sidebar = n;
}

void panes_load(struct ui *ui)
{
    struct buf text = BUF_INIT(FILE_MAX);
    struct err err = ERR_INIT;
    if (!keeps(ui))
        return;
    char *path = file_path(ui);
    if (fs_read(path, FILE_MAX, &text, &err)) {
        struct str rest = buf_str(&text), line;
        while (str_split(&rest, '\n', &line))
            load_line(ui, line);
    }
    free(path);
    buf_fini(&text);
}

/* ---- sizes by key ---- */
static void change(struct ui *ui, enum panes_value v, int64_t by)
{
    int64_t n = (int64_t)ui->panes.now[v] + by;
    ui->panes.now[v] = (unsigned)MIN(MAX(n, (int64_t)values[v].min), (int64_t)values[v].max);
}

/* What the pane that is used has more of, another one has less of. */
static bool resize(struct ui *ui, bool width, int64_t by)
{
    enum layout_shape shape = layout_shape(&ui->panes, ui->grid.rows, ui->grid.cols);
    bool side = layout_has_sidebar(&ui->panes, ui->grid.cols) && ui->sidebar, boxes = ui->focus == PANE_BOXES;
    int64_t list = ui->focus == PANE_MESSAGE ? -by : by;
    if (width && (boxes || shape != SHAPE_WIDE)) {
        if (side)
            change(ui, PANES_SIDEBAR, (boxes ? by : -by) * COLUMN_STEP);
        return side;
    }
    if (width)
        change(ui, PANES_WIDTH, list * PERCENT_STEP);
    else if (boxes || shape == SHAPE_WIDE)
        return false;
    else if (shape == SHAPE_TALL)
        change(ui, PANES_HEIGHT, list * PERCENT_STEP);
    else
        change(ui, PANES_LINES, list);
    return true;
}

bool run_resize(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *how = cmd_arg(args, 0);
    uint32_t steps = 1;
    if (cmd_arg(args, 1) && (!str_u32(str_z(cmd_arg(args, 1)), &steps) || !steps || steps > 100))
        return err_set(err, ERR_USAGE, "resize %s takes a number of steps, 1 to 100", how);
    if (!strcmp(how, "reset")) {
        panes_options(ui, NULL);
        ui->panes.zoom = false;
        return true;
    }
    bool width = !strcmp(how, "wider") || !strcmp(how, "narrower");
    bool more = !strcmp(how, "wider") || !strcmp(how, "taller");
    if (!resize(ui, width, more ? (int64_t)steps : -(int64_t)steps))
        ui_note(ui, NOTE_INFO, "no pane %s this one to share with", width ? "beside" : "above or below");
    return true;
}

bool run_zoom(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *word = cmd_arg(args, 0);
    (void)err;
    ui->panes.zoom = !word || !strcmp(word, "toggle") ? !ui->panes.zoom : !strcmp(word, "on");
    return true;
}

bool run_layout(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *name = cmd_arg(args, 0);
    unsigned *now = &ui->panes.now[PANES_LAYOUT];
    (void)err;
    *now = name ? layout_number(name) : (*now + 1) % (unsigned)COUNT(layouts);
    ui->panes.zoom = false;
    ui_note(ui, NOTE_INFO, "layout %s", layouts[*now]);
    return true;
}

bool run_sidebar(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *word = cmd_arg(args, 0);
    (void)err;
    ui->sidebar = !word || !strcmp(word, "toggle") ? !ui->sidebar : !strcmp(word, "on");
    if (!ui->sidebar && ui->focus == PANE_BOXES)
        ui->focus = PANE_LIST;
    return true;
}

/* ---- which pane is used ---- */
static void cycle_focus(struct ui *ui, int step)
{
    bool open = ui->message.state != MESSAGE_NONE;
    unsigned n = open ? 3 : 2;
    unsigned at = MIN((unsigned)ui->focus, n - 1);
    ui->focus = (enum pane)((at + n + (step < 0 ? n - 1 : 1)) % n);
}

bool run_focus(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *to = cmd_arg(args, 0);
    (void)err;
    if (!to || !strcmp(to, "next"))
        cycle_focus(ui, 1);
    else if (!strcmp(to, "previous"))
        cycle_focus(ui, -1);
    else if (!strcmp(to, "boxes"))
        ui->focus = PANE_BOXES;
    else if (!strcmp(to, "list"))
        ui->focus = PANE_LIST;
    else if (ui->message.state != MESSAGE_NONE)
        ui->focus = PANE_MESSAGE;
    else
        ui_open(ui, 0);
    if (ui->focus == PANE_BOXES)
        ui->sidebar = true;
    return true;
}

/* ---- the mailbox pane from elsewhere: its own cursor, seen while it is not on what is shown ---- */
static bool to_box(struct ui *ui, int64_t by, bool unread)
{
    struct boxes *b = &ui->boxes;
    unsigned from = b->cur, last;
    ui->sidebar = true;
    do {
        last = b->cur;
        boxes_move(b, by);
    } while (unread && b->cur != last && !b->list[b->cur].unread);
    if (unread && (b->cur == from || !b->list[b->cur].unread)) {
        b->cur = from;
        ui_note(ui, NOTE_INFO, by > 0 ? "no mailbox with unread mail below" : "no mailbox with unread mail above");
    }
    b->browsed = true;
    if (!ui->layout.boxes.rows && b->n) /* it is not on this screen */
        ui_note(ui, NOTE_INFO, "%s", b->list[b->cur].name);
    return true;
}

#define TO_BOX(name, by, unread)                                                                                       \
    bool run_##name(void *context, const struct cmd_args *args, struct err *err)                                       \
    {                                                                                                                  \
        (void)args, (void)err;                                                                                         \
        return to_box(context, by, unread);                                                                            \
    }
TO_BOX(sidebar_next, 1, false)
TO_BOX(sidebar_previous, -1, false)
TO_BOX(sidebar_next_unread, 1, true)
TO_BOX(sidebar_previous_unread, -1, true)
#undef TO_BOX

bool run_sidebar_open(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct box_item *item = boxes_cursor(&ui->boxes);
    (void)args, (void)err;
    ui->boxes.browsed = false;
    if (item)
        ui_show_item(ui, item);
    return true;
}
