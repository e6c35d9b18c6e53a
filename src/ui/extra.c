/* What the rest of the ui asks of writing, parts, tools and gpg. */
#include "ui/extra.h"

struct extra *extra_new(struct ui *ui)
{
    (void)ui;
    return mem_new(sizeof(struct extra));
}

void extra_free(struct ui *ui)
{
    struct extra *x = ui->extra;
    if (!x)
        return;
    ui_transfer_end(ui);
    ui_gather_end(ui);
    batches_end(ui);
    remote_forget(ui, NULL);
    alias_free(ui);
    saved_free(ui);
    listmenu_free(ui);
    scripts_free(ui);
    rule_free(ui);
    rules_kept_free(ui);
    query_free(ui);
    buf_fini(&ui_extra(ui)->settings);
    helper_end(&ui_extra(ui)->leaving);
    ui_tool_end(ui);
    free(x);
    ui->extra = NULL;
}

struct extra *ui_extra(const struct ui *ui)
{
    return ui->extra;
}

bool extra_context(const struct ui *ui, enum cmd_context *context_r)
{
    if (ui->extra->compose)
        *context_r = CTX_COMPOSE;
    else if (ui->extra->parts)
        *context_r = CTX_ATTACHMENTS;
    else
        return false;
    return true;
}

void extra_draw(struct ui *ui, struct rect r)
{
    if (ui->extra->compose)
        compose_draw(ui, ui->extra->compose, r);
    else if (ui->extra->parts)
        parts_draw(ui, ui->extra->parts, r);
}

bool extra_has_terminal(const struct ui *ui)
{
    return ui->extra->terminal_taken;
}

unsigned extra_line(struct ui *ui, struct rect r, unsigned y, unsigned x, struct str raw, style look)
{
    struct buf clean = BUF_INIT(8192);
    if (y >= r.rows || x >= r.cols)
        return 0;
    struct text t = text_from_bytes(raw, TEXT_KEEP_TABS | (ui->grid.ascii ? TEXT_ASCII : 0u), &clean);
    grid_field(&ui->grid, r, y, x, r.cols - x, t, look);
    unsigned cols = MIN(t.cols, r.cols - x);
    buf_fini(&clean);
    return cols;
}
