/* Counts beside saved searches: unread hits, asked one after the other from a `search` of their own, some seconds after
 * the index has moved on, so that a burst of changes costs one round. */
#include "ui/private.h"

#include <unistd.h>

enum { SOON_MS = 500, LATER_MS = 4000 };

static void ask_next(struct ui *ui);

static void on_count(struct ui *ui, void *arg, struct helper *h, struct msg *m)
{
    (void)arg, (void)h;
    if (!m) {
        helper_end(&ui->counter);
        return;
    }
    if (m->kind == MSG_HIT_COUNT && m->u.HIT_COUNT.req == ui->counted + 1) {
        for (unsigned i = 0; i < ui->boxes.n; i++)
            if (ui->boxes.list[i].kind == BOXK_SAVED && ui->boxes.list[i].saved == ui->counted) {
                ui->boxes.list[i].unread = m->u.HIT_COUNT.count;
                ui->boxes.list[i].counted = true;
            }
    } else if (m->kind == MSG_QUERY_DONE && m->u.QUERY_DONE.req == ui->counted + 1) {
        ui->counted++;
        ask_next(ui);
    }
    if (m->fd >= 0)
        close(m->fd);
}

static void ask_next(struct ui *ui)
{
    struct err err = ERR_INIT;
    struct buf query = BUF_INIT(8192);
    if (ui->counted >= ui->conf->nsaved) {
        helper_end(&ui->counter);
        return;
    }
    const struct saved *saved = &ui->conf->saved[ui->counted];
    buf_addf(&query, "(%s) and tag:unread", saved->query);
    if (!SEND(helper_chan(ui->counter), -1, &err, QUERY, .req = ui->counted + 1, .query = buf_str(&query),
              .account = str_z(saved->account), .limit = 0, .count = 1))
        helper_end(&ui->counter);
    buf_fini(&query);
}

static void on_time(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->count_timer);
    helper_end(&ui->counter);
    ui->counted = 0;
    if ((ui->counter = helper_search(ui, on_count, NULL)))
        ask_next(ui);
}

void ui_count_soon(struct ui *ui)
{
    if (ui->term && ui->conf->nsaved && !ui->count_timer)
        ui->count_timer = loop_after(ui->loop, ui->counted_once ? LATER_MS : SOON_MS, on_time, ui);
    ui->counted_once = true;
}
