/* Jobs: what is under way and takes a while, read from where it is done; each with what it has done so far, and how to
 * end it. */
#include "ui/compose.h"

enum job_kind {
    JOB_NONE,
    JOB_OPEN,
    JOB_LOAD,
    JOB_SEARCH,
    JOB_MAIL,
    JOB_TRANSFER,
    JOB_GATHER,
    JOB_ACTION,
    JOB_SERVER,
    JOB_PASS,
    JOB_CONNECT,
    JOB_ROWS,
    JOB_AHEAD,
    JOB_CHANGES,
    JOB_OUTBOX,
    JOB_TOLD,
    JOB_INDEX
};

void amount_words(uint64_t done, uint64_t total, int64_t since_ms, struct buf *out)
{
    int64_t ms = clock_mono_ms() - since_ms;
    if (total) {
        buf_add_size(out, done);
        buf_addz(out, " of ");
        buf_add_size(out, total);
    }
    if (done && ms >= 1000) {
        buf_addz(out, " · ");
        buf_add_size(out, done * 1000 / (uint64_t)ms);
        buf_addz(out, "/s");
    }
}

static void add_job(struct ui *ui, enum job_kind kind, unsigned account, uint64_t id, const char *left,
                    struct buf *words)
{
    ui_popup_row(ui, left, buf_z(words));
    struct popup_row *row = &ui->popup.rows[ui->popup.n - 1];
    row->job = (uint8_t)kind;
    row->account = account;
    row->id = id;
    buf_reset(words);
}

/* ---- of a buffer ---- */
static bool buffer_jobs(struct ui *ui, void *arg)
{
    struct buf w = BUF_INIT(2000);
    char left[24];
    (void)arg;
    snprintf(left, sizeof left, "buffer %u", buffer_number(ui));
    if (ui->open_req) {
        buf_addf(&w, "opening \"%s\" ", ui->message.subject ? ui->message.subject : "");
        amount_words(ui->open_done, ui->open_total, ui->opened_ms, &w);
        add_job(ui, JOB_OPEN, 0, ui->at->id, left, &w);
    }
    if (ui_extra(ui)->load) {
        ui_load_words(ui, &w);
        add_job(ui, JOB_LOAD, 0, ui->at->id, left, &w);
    }
    if (ui->search) {
        const struct list *l = ui->search_list;
        buf_addf(&w, "%s %s: ",
                 ui->search_select  ? "selecting"
                 : ui->search_limit ? "limit"
                                    : "search",
                 ui->search_text ? ui->search_text : "");
        if (ui->search_select)
            buf_addf(&w, "%zu selected", ui->selection.n);
        else
            buf_addf(&w, "%u found", l && ui->search_cleared ? list_hits(l) : 0);
        add_job(ui, JOB_SEARCH, 0, ui->at->id, left, &w);
    }
    if (composed(ui) && composed(ui)->busy) {
        const struct compose *c = composed(ui);
        buf_addf(&w, "%s \"%.*s\"", c->saves ? "saving" : "building", STR_FMT(c->draft.subject));
        add_job(ui, JOB_MAIL, 0, ui->at->id, left, &w);
    }
    buf_fini(&w);
    return false;
}

/* ---- of an account ---- */
static void rows_job(struct ui *ui, unsigned a, struct buf *w)
{
    struct acct *acct = &ui->accts.list[a];
    uint64_t known = 0, whole = 0;
    for (unsigned i = 0; i < ui->boxes.n; i++) {
        const struct box_item *box = &ui->boxes.list[i];
        if (box->kind != BOXK_BOX || box->account != a || box->total == UINT32_MAX || !box->known)
            continue; /* not opened: nobody reads it */
        known += MIN(box->known, box->total);
        whole += box->total;
    }
    if (known >= whole || acct->state != ACCOUNT_ONLINE) {
        acct->rows_ms = 0;
        return;
    }
    int64_t now = clock_mono_ms();
    if (!acct->rows_ms || known < acct->rows_from) {
        acct->rows_ms = now;
        acct->rows_from = known;
    }
    buf_addf(w, "reading lists: %llu of %llu messages", (unsigned long long)known, (unsigned long long)whole);
    if (now - acct->rows_ms >= 1000 && known > acct->rows_from)
        buf_addf(w, " · %llu/s",
                 (unsigned long long)((known - acct->rows_from) * 1000 / (uint64_t)(now - acct->rows_ms)));
    add_job(ui, JOB_ROWS, a, 0, acct->name, w);
}

struct mails {
    struct ui *ui;
    unsigned account;
};

static void mail_job(void *arg, const struct outbox_row *o)
{
    struct mails *m = arg;
    struct buf w = BUF_INIT(2000);
    if (outbox_waits(o)) {
        outbox_words(o, &w);
        add_job(m->ui, JOB_OUTBOX, m->account, o->id, m->ui->accts.list[m->account].name, &w);
    }
    buf_fini(&w);
}

static void account_jobs(struct ui *ui, unsigned a)
{
    struct acct *acct = &ui->accts.list[a];
    struct buf w = BUF_INIT(2000);
    struct err err = ERR_INIT;
    if (acct->state == ACCOUNT_CONNECTING) {
        buf_addz(&w, "connecting");
        add_job(ui, JOB_CONNECT, a, 0, acct->name, &w);
    }
    if (acct->pass[0]) {
        buf_addf(&w, "%s ", acct->pass);
        amount_words(acct->pass_done, 0, acct->pass_ms, &w); /* how much of how much is in its words */
        add_job(ui, JOB_PASS, a, 0, acct->name, &w);
    } else if (acct->asked) {
        buf_addz(&w, "looking for new mail");
        add_job(ui, JOB_PASS, a, 0, acct->name, &w);
    }
    rows_job(ui, a, &w);
    if (acct->caching) {
        buf_addf(&w, "fetching the text of %u message%s ahead", acct->caching, acct->caching == 1 ? "" : "s");
        add_job(ui, JOB_AHEAD, a, 0, acct->name, &w);
    }
    if (acct->queued) {
        buf_addf(&w, "%u change%s %s · queue lists them", acct->queued, acct->queued == 1 ? "" : "s",
                 acct_is_local(acct) ? "to be made in the Maildir" : "for the server");
        add_job(ui, JOB_CHANGES, a, 0, acct->name, &w);
    }
    struct mails mails = {ui, a};
    if (acct->outbox && acct->reader)
        reader_outbox(acct->reader, mail_job, &mails, &err);
    buf_fini(&w);
}

/* ---- of the search index ---- */
void ui_indexed(struct ui *ui, const struct m_INDEXED *m)
{
    if (m->pending > ui->unindexed || !ui->index_from || ui->index_held != m->held) {
        ui->index_from = m->pending;
        ui->index_ms = clock_mono_ms();
    }
    ui->unindexed = m->pending;
    ui->unindexed_texts = m->texts;
    ui->index_held = m->held;
    if (!m->pending)
        ui->index_from = 0;
}

static void index_words(const struct ui *ui, struct buf *w)
{
    int64_t ms = clock_mono_ms() - ui->index_ms;
    uint32_t done = ui->index_from > ui->unindexed ? ui->index_from - ui->unindexed : 0;
    if (ui->unindexed_texts == ui->unindexed)
        buf_addf(w, "the text of %u message%s is still to be indexed for search (the header is found)", ui->unindexed,
                 ui->unindexed == 1 ? "" : "s");
    else
        buf_addf(w, "%u message%s still to be indexed for search", ui->unindexed, ui->unindexed == 1 ? " is" : "s are");
    if (ui->index_held) {
        buf_addz(w, " · held; d goes on");
    } else if (done && ms >= 1000) {
        uint64_t rate = (uint64_t)done * 1000 / (uint64_t)ms,
                 left = (uint64_t)ui->unindexed * (uint64_t)ms / done / 1000;
        buf_addf(w, " · %llu/s", (unsigned long long)rate);
        if (left >= 90)
            buf_addf(w, " · about %llu minutes", (unsigned long long)(left + 30) / 60);
    }
}

static bool reindex(struct ui *ui, enum reindex what, struct err *err)
{
    return SEND(ui->client->chan, -1, err, REINDEX, .req = 0, .what = (uint8_t)what);
}

bool run_reindex(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const char *word = cmd_arg(args, 0);
    enum reindex what = !word ? REINDEX_REBUILD : !strcmp(word, "hold") ? REINDEX_HOLD : REINDEX_GO_ON;
    if (!ui_online(ui))
        return true;
    if (!reindex(ui, what, err))
        return false;
    ui_note(ui, NOTE_INFO, "%s",
            what == REINDEX_REBUILD ? "the search index is built anew; the old one is searched until it is there"
            : what == REINDEX_HOLD  ? "the search index is held: reindex resume goes on"
                                    : "the search index goes on");
    return true;
}

/* ---- of other clients ---- */
void jobs_told(struct ui *ui, const struct m_JOB *m)
{
    struct told_job *list = ui->told_jobs;
    unsigned i = 0;
    while (i < ui->ntold_jobs && list[i].id != m->job)
        i++;
    if (i == TOLD_JOBS_MAX)
        return;
    if (!m->text.n) {
        if (i < ui->ntold_jobs)
            memmove(&list[i], &list[i + 1], (--ui->ntold_jobs - i) * sizeof *list);
        return;
    }
    ui->ntold_jobs = MAX(ui->ntold_jobs, i + 1);
    list[i] = (struct told_job){.id = m->job, .done = m->done, .total = m->total};
    snprintf(list[i].text, sizeof list[i].text, "%.*s", (int)MIN(m->text.n, sizeof list[i].text - 1), m->text.p);
}

static void told_jobs(struct ui *ui, struct buf *w)
{
    for (unsigned i = 0; i < ui->ntold_jobs; i++) {
        const struct told_job *j = &ui->told_jobs[i];
        buf_addf(w, "%s %llu of %llu", j->text, (unsigned long long)j->done, (unsigned long long)j->total);
        if (j->total)
            buf_addf(w, " · %llu %%", (unsigned long long)((double)MIN(j->done, j->total) * 100 / (double)j->total));
        add_job(ui, JOB_TOLD, 0, j->id, "", w);
    }
}

static void fill(struct ui *ui)
{
    struct buf w = BUF_INIT(400);
    ui_popup(ui, POPUP_JOBS, "what is under way · d stops it · q leaves");
    buffer_find(ui, buffer_jobs, NULL);
    if (ui_extra(ui)->transfer) {
        ui_transfer_words(ui, &w);
        add_job(ui, JOB_TRANSFER, 0, 0, "", &w);
    }
    ui_gather_words(ui, &w);
    if (w.n)
        add_job(ui, JOB_GATHER, 0, 0, "", &w);
    for (const struct batch *b = NULL; batches_next(ui, &b, &w);)
        add_job(ui, JOB_ACTION, 0, (uint64_t)(uintptr_t)b, "", &w);
    if (remote_runs(ui)) {
        remote_words(ui, &w);
        add_job(ui, JOB_SERVER, 0, 0, "", &w);
    }
    for (unsigned a = 0; a < ui->accts.n; a++)
        account_jobs(ui, a);
    told_jobs(ui, &w);
    if (ui->unindexed) {
        index_words(ui, &w);
        add_job(ui, JOB_INDEX, 0, 0, "", &w);
    }
    if (!ui->popup.n) {
        buf_addz(&w, "nothing is under way");
        add_job(ui, JOB_NONE, 0, 0, "", &w);
    }
    buf_fini(&w);
}

void jobs_again(struct ui *ui)
{
    struct popup *p = &ui->popup;
    struct popup_row on = p->n ? p->rows[p->cur] : (struct popup_row){.job = JOB_NONE};
    unsigned cur = p->cur, top = p->top;
    fill(ui);
    p->cur = MIN(cur, p->n - 1);
    p->top = top;
    for (unsigned i = 0; i < p->n; i++) /* the next key is for the job that it is on, wherever that stands now */
        if (p->rows[i].job == on.job && p->rows[i].account == on.account && p->rows[i].id == on.id)
            p->cur = i;
}

bool run_jobs(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    fill(context);
    return true;
}

/* ---- ending one ---- */
static void stop_account(struct ui *ui, enum job_kind kind, unsigned a)
{
    struct err err = ERR_INIT;
    const char *name = ui->accts.list[a].name;
    if (kind == JOB_PASS && ui_online(ui)) {
        SEND(ui->client->chan, -1, &err, FETCH_STOP, .account = str_z(name));
        ui_note(ui, NOTE_INFO, "%s: stopped; the rest comes when it is looked at next", name);
    } else if (kind == JOB_CONNECT || kind == JOB_ROWS || kind == JOB_AHEAD) {
        struct buf key = BUF_INIT(100);
        queue_offline(ui, a, true);
        if (!keymap_where(ui->keymap, CTX_LIST, "offline", &key))
            buf_addz(&key, ":offline off");
        ui_note(ui, NOTE_INFO, "%s is offline · %s goes online, and on with it", name, buf_z(&key));
        buf_fini(&key);
    }
}

static void stop_in_buffer(struct ui *ui, enum job_kind kind, uint32_t id)
{
    buffer_enter(ui, id);
    if (ui->at->id == id && kind == JOB_OPEN)
        ui_open_close(ui);
    else if (ui->at->id == id && kind == JOB_LOAD)
        ui_load_end(ui);
    else if (ui->at->id == id && kind == JOB_SEARCH)
        ui_search_end(ui);
    buffer_leave(ui);
    ui_note(ui, NOTE_INFO, "stopped");
}

static void stop(struct ui *ui, const struct popup_row *at)
{
    struct popup_row row = *at;
    struct err err = ERR_INIT;
    switch ((enum job_kind)row.job) {
    case JOB_OPEN:
    case JOB_LOAD:
    case JOB_SEARCH:
        stop_in_buffer(ui, row.job, (uint32_t)row.id);
        break;
    case JOB_SERVER:
        remote_stop(ui);
        break;
    case JOB_TRANSFER:
        ui_transfer_stop(ui);
        break;
    case JOB_GATHER:
        ui_gather_stop(ui);
        break;
    case JOB_ACTION:
        batches_stop(ui, (const struct batch *)(uintptr_t)row.id); /* compared with those that there are */
        break;
    case JOB_PASS:
    case JOB_CONNECT:
    case JOB_ROWS:
    case JOB_AHEAD:
        stop_account(ui, row.job, row.account);
        break;
    case JOB_OUTBOX:
        if (held_take_back(ui, ui->accts.list[row.account].name, row.id, &err))
            return; /* it is on the screen to be written on */
        if (err.kind != ERR_NONE)
            ui_note_err(ui, &err);
        break;
    case JOB_CHANGES:
        ui_run(ui, "queue"); /* which one? */
        return;
    case JOB_TOLD:
        if (ui_online(ui))
            SEND(ui->client->chan, -1, &err, JOB_STOP, .job = (uint32_t)row.id);
        ui_note(ui, NOTE_INFO, "it is asked to stop; the same command goes on with the rest");
        break;
    case JOB_INDEX:
        if (ui_online(ui))
            reindex(ui, ui->index_held ? REINDEX_GO_ON : REINDEX_HOLD, &err);
        break;
    case JOB_MAIL:
        ui_note(ui, NOTE_INFO, "this ends by itself");
        break;
    case JOB_NONE:
        break;
    }
    if (ui->popup.kind == POPUP_JOBS)
        jobs_again(ui);
}

bool jobs_key(struct ui *ui, ckey key)
{
    struct popup *p = &ui->popup;
    if (ui_popup_move(ui, key))
        return true;
    if (key == 'd' && p->cur < p->n)
        stop(ui, &p->rows[p->cur]);
    else
        ui_popup_close(ui);
    return true;
}
