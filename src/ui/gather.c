/* All messages of a list, however many there are: of mailboxes read from the databases in slices, of a search the hits
 * that the list keeps and, where it does not keep all, what the index tells anew. Few are here before the next frame.
 */
#include "ui/extra.h"

enum { ROWS_AT_ONCE = 1000, LOOKED_AT_ONCE = 256, FIRST_MS = 30, SLICE_MS = 6, WAIT_MS = 20 };

struct gather {
    struct gather_what what;
    gathered_fn *fn;
    void *arg;
    const struct list *list;
    struct watch *timer;
    struct gathered got;
    enum { GATHER_ROWS, GATHER_HITS, GATHER_ASKED, GATHER_LOOK, GATHER_DONE } at;
    int told;         /* of what was asked of the index: 1 all of it, -1 it could not be */
    unsigned account; /* GATHER_ROWS: whose rows are read, behind `last` */
    bool begun;
    struct row_key last;
    struct refs found; /* GATHER_LOOK: those that are looked up, behind `look` */
    struct ref look;
    size_t looked;
};

static void gather_free(struct ui *ui)
{
    struct gather *g = ui_extra(ui)->gather;
    ui_extra(ui)->gather = NULL;
    if (!g)
        return;
    watch_free(&g->timer);
    if (g->at == GATHER_ASKED && ui->search_into == &g->found)
        ui_search_all(ui, NULL, NULL);
    refs_fini(&g->found);
    refs_fini(&g->got.refs);
    free(g->arg);
    free(g);
    ui->progress[0] = 0;
}

void ui_gather_end(struct ui *ui)
{
    gather_free(ui);
}

bool ui_gather_stop(struct ui *ui)
{
    if (!ui_extra(ui)->gather)
        return false;
    gather_free(ui);
    ui_note(ui, NOTE_INFO, "stopped: nothing was done");
    return true;
}

void ui_gather_left(struct ui *ui)
{
    if (ui_gather_stop(ui))
        ui_note(ui, NOTE_WARNING, "the list was left before all its messages were read: nothing was done");
}

void ui_gather_told(struct ui *ui, bool all)
{
    if (ui_extra(ui)->gather)
        ui_extra(ui)->gather->told = all ? 1 : -1;
}

void ui_gather_words(const struct ui *ui, struct buf *out)
{
    const struct gather *g = ui_extra(ui)->gather;
    if (g)
        buf_addf(out, "reading all messages of the list: %zu", MAX(g->found.n, g->got.refs.n));
}

/* ---- which they are ---- */
static void add(struct gather *g, unsigned account, const struct msg_row *row)
{
    enum list_filter filter = g->what.unread ? LIST_UNREAD : g->list->filter;
    bool unread = !(row->flags & FLAG_SEEN), flagged = (row->flags & FLAG_FLAGGED) != 0;
    if ((filter == LIST_UNREAD && !unread) || (filter == LIST_FLAGGED && !flagged) || row->date >= g->what.before ||
        !refs_add(&g->got.refs, (struct ref){account, row->id}))
        return;
    g->got.unread += unread;
    g->got.flagged += flagged;
}

static void row_read(void *arg, const struct msg_row *row)
{
    struct gather *g = arg;
    g->last = ROW_KEY(row->date, row->id);
    g->begun = true;
    add(g, g->account, row);
}

/* Some more rows of mailboxes. */
static bool rows_some(struct ui *ui, struct gather *g, struct err *err)
{
    const struct list *l = g->list;
    struct reader *reader = g->account < ui->accts.n ? ui->accts.list[g->account].reader : NULL;
    struct row_key from = g->begun ? g->last : ROW_KEY(g->what.before, 0), was = from;
    bool of = reader && (l->source != LIST_BOX || l->account == g->account);
    if (of && !reader_rows(reader, l->source == LIST_BOX ? l->box : 0, l->filter, &from, true, ROWS_AT_ONCE, row_read,
                           g, err))
        return false;
    if (!of || !g->begun || (g->last.date == was.date && g->last.id == was.id)) {
        g->begun = false;
        g->at = ++g->account < ui->accts.n ? GATHER_ROWS : GATHER_DONE;
    }
    return true;
}

static bool hits_known(struct ui *ui, const struct list *l)
{
    return !(ui->search && (ui->search_list == l || ui->search_select)) && !hits_busy(l);
}

/* The hits that the list keeps, when it has them all. */
static void hits_all(struct ui *ui, struct gather *g)
{
    struct hit hit;
    for (uint32_t i = 0; list_hit_at(g->list, i, &hit); i++)
        refs_add(&g->found, hit.ref);
    g->at = GATHER_LOOK;
    if (list_hits_over(g->list) && g->list->query) {
        g->at = GATHER_ASKED;
        g->told = ui_search_all(ui, g->list, &g->found) ? 0 : -1;
    }
}

struct looking {
    struct gather *g;
    uint64_t ids[LOOKED_AT_ONCE];
    size_t n, next;
    unsigned account;
};

static void row_looked(void *arg, const struct msg_row *row)
{
    struct looking *k = arg;
    struct msg_row own = *row;
    own.id = k->ids[k->next++];
    if (row->box)
        add(k->g, k->account, &own);
}

static bool look_some(struct ui *ui, struct gather *g, struct err *err)
{
    struct looking k = {.g = g};
    struct ref next = g->look;
    bool more = refs_next(&g->found, &next);
    k.account = next.account;
    while (more && k.n < LOOKED_AT_ONCE && next.account == k.account) {
        k.ids[k.n++] = next.id;
        g->look = next;
        more = refs_next(&g->found, &next);
    }
    if (!k.n)
        g->at = GATHER_DONE;
    struct reader *reader = k.account < ui->accts.n ? ui->accts.list[k.account].reader : NULL;
    return !k.n || !reader || reader_keys(reader, k.ids, k.n, row_looked, &k, err);
}

/* ---- some milliseconds at a time ---- */
/* Is there nothing to do but to wait? */
static bool waits(struct ui *ui, struct gather *g)
{
    if (g->at == GATHER_ASKED && g->told)
        g->at = g->told > 0 ? GATHER_LOOK : GATHER_DONE;
    return (g->at == GATHER_HITS && !hits_known(ui, g->list)) || g->at == GATHER_ASKED ||
           (g->at == GATHER_DONE && g->told >= 0 && g->timer && ui->prompt.kind != PROMPT_NONE);
}

static bool some(struct ui *ui, struct gather *g, struct err *err)
{
    if (g->at == GATHER_HITS)
        hits_all(ui, g);
    return g->at == GATHER_ROWS ? rows_some(ui, g, err) : g->at != GATHER_LOOK || look_some(ui, g, err);
}

static void gather_on(void *arg);

static bool gather_slice(struct ui *ui, int64_t ms, struct err *err)
{
    struct gather *g = ui_extra(ui)->gather;
    int64_t start = clock_mono_ms();
    bool ok = true, wait = waits(ui, g);
    while (ok && !wait && g->at != GATHER_DONE && clock_mono_ms() - start < ms) {
        ok = some(ui, g, err);
        wait = waits(ui, g);
    }
    bool lost = g->at == GATHER_ASKED && !g->told && !ui->search; /* stopped, or another search took its place */
    if (ok && (lost || (g->at == GATHER_DONE && g->told < 0)))
        ok = err_set(err, ERR_CANCELED, "the search ended before all was found: nothing was done");
    if (!ok) {
        gather_free(ui);
        return false;
    }
    if (g->at == GATHER_DONE && !wait) {
        struct gathered got = g->got;
        gathered_fn *fn = g->fn;
        void *whose = g->arg;
        g->got.refs = (struct refs){.n = 0};
        g->arg = NULL;
        gather_free(ui);
        ok = fn(ui, whose, &got, err);
        refs_fini(&got.refs);
        return ok;
    }
    struct buf words = BUF_INIT(sizeof ui->progress);
    ui_gather_words(ui, &words);
    snprintf(ui->progress, sizeof ui->progress, "%s · %s stops", buf_z(&words), ui_key_of(ui, "cancel"));
    buf_fini(&words);
    watch_free(&g->timer);
    g->timer = loop_after(ui->loop, wait ? WAIT_MS : 0, gather_on, ui);
    ui->dirty = true;
    return true;
}

static void gather_on(void *arg)
{
    struct ui *ui = arg;
    struct err err = ERR_INIT;
    if (ui_list(ui) != ui_extra(ui)->gather->list)
        ui_gather_left(ui);
    else if (!gather_slice(ui, SLICE_MS, &err))
        ui_note_err(ui, &err);
    ui->dirty = true;
}

bool ui_gather(struct ui *ui, struct gather_what what, gathered_fn *fn, void *arg, struct err *err)
{
    const struct list *l = ui_list(ui);
    gather_free(ui);
    struct gather *g = ui_extra(ui)->gather = mem_new(sizeof *g);
    *g = (struct gather){.what = what, .fn = fn, .arg = arg, .list = l};
    g->at = l->source == LIST_HITS ? GATHER_HITS : l->source == LIST_NONE ? GATHER_DONE : GATHER_ROWS;
    return gather_slice(ui, FIRST_MS, err);
}
