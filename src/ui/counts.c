/* Counts beside saved searches: unread and all hits, asked one after the other from a `search` of their own, soon
 * after the index has moved on; a round that takes long is followed later, so that a burst of changes does not keep the
 * machine busy. */
#include "ui/private.h"

#include <unistd.h>

enum { SOON_MS = 500, SHARE = 8, ROUND_MAX_MS = 10000 };

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
            if (ui->boxes.list[i].kind == BOXK_SAVED && ui->boxes.list[i].saved == ui->counted / 2) {
                struct box_item *item = &ui->boxes.list[i];
                *(ui->counted % 2 ? &item->total : &item->unread) = m->u.HIT_COUNT.count;
                item->counted = true;
            }
        ui->dirty = true;
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
    if (ui->counted >= 2 * ui->conf->nsaved) { /* of each what is unread, then all */
        helper_end(&ui->counter);
        int64_t now = clock_mono_ms();
        ui->count_next_ms = now + SHARE * (now - ui->counted_ms);
        return;
    }
    const struct saved *saved = &ui->conf->saved[ui->counted / 2];
    struct buf query = BUF_INIT(QUERY_MAX), whole = BUF_INIT(QUERY_MAX);
    query_of_saved(saved->query, saved->account, &whole);
    if (ui->counted % 2)
        buf_adds(&query, buf_str(&whole));
    else
        query_both(buf_str(&whole), STR("tag:unread"), &query);
    if (!SEND(helper_chan(ui->counter), -1, &err, QUERY, .req = ui->counted + 1, .query = buf_str(&query), .limit = 0,
              .count = 1))
        helper_end(&ui->counter);
    buf_fini(&query);
    buf_fini(&whole);
}

static void on_time(void *arg)
{
    struct ui *ui = arg;
    int64_t now = clock_mono_ms();
    watch_free(&ui->count_timer);
    if (ui->counter && now - ui->counted_ms < ROUND_MAX_MS) { /* to its end first */
        ui->count_timer = loop_after(ui->loop, SOON_MS, on_time, ui);
        return;
    }
    helper_end(&ui->counter);
    ui->counted_ms = now;
    ui->counted = 0;
    if ((ui->counter = helper_search(ui, on_count, NULL)))
        ask_next(ui);
}

void ui_count_soon(struct ui *ui)
{
    int64_t wait = ui->count_next_ms - clock_mono_ms();
    if (ui->term && ui->conf->nsaved && !ui->count_timer)
        ui->count_timer = loop_after(ui->loop, MAX(wait, (int64_t)SOON_MS), on_time, ui);
}
