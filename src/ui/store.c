/* The channel to the store: requests and their answers, and what it tells by itself. */
#include "ui/extra.h"

#include <poll.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 32768 /* what RAN holds */,
    LATE_MS = 3000,
    RETRY_FIRST_MS = 300,
    RETRY_MAX_MS = 30000,
    DRAIN_MS = 500,
    PER_TURN = 256
};

bool ui_online(struct ui *ui)
{
    if (ui->client && ui->client->chan)
        return true;
    ui_note(ui, NOTE_ERROR, "the store does not run; it is started again by itself");
    return false;
}

uint32_t ui_request(struct ui *ui, answer_fn *fn, void *arg)
{
    if (ui->nrequests == ui->cap_requests) {
        ui->cap_requests = ui->cap_requests ? ui->cap_requests * 2 : 16;
        ui->requests = mem_resize(ui->requests, ui->cap_requests, sizeof *ui->requests);
    }
    if (++ui->next_req == 0)
        ui->next_req = 1;
    ui->requests[ui->nrequests++] = (struct request){ui->next_req, ui->at->id, fn, arg};
    return ui->next_req;
}

void ui_forget(struct ui *ui, uint32_t req)
{
    for (size_t i = 0; i < ui->nrequests; i++)
        if (ui->requests[i].req == req) {
            ui->requests[i] = ui->requests[--ui->nrequests];
            return;
        }
}

/* An answer to a request that nobody waits for any more is dropped, with its fd. */
static void answer(struct ui *ui, uint32_t req, const struct msg *m, bool last)
{
    for (size_t i = 0; i < ui->nrequests; i++) {
        if (ui->requests[i].req != req)
            continue;
        struct request r = ui->requests[i];
        if (last)
            ui->requests[i] = ui->requests[--ui->nrequests];
        buffer_enter(ui, r.buffer);
        r.fn(ui, r.arg, m);
        buffer_leave(ui);
        return;
    }
    if (m->fd >= 0)
        close(m->fd);
}

/* ---- commands from `tuimail cmd` ---- */
static void late_end(struct ui *ui)
{
    struct late_answer *l = &ui->late;
    struct err err = ERR_INIT;
    if (l->req && ui->client && ui->client->chan)
        SEND(ui->client->chan, -1, &err, RAN, .req = l->req, .ok = !l->failed, .text = buf_str(&l->text));
    watch_free(&l->timer);
    buf_fini(&l->text);
    *l = (struct late_answer){.req = 0};
}

static void on_late(void *arg)
{
    late_end(arg);
}

static bool late_waits(const struct ui *ui)
{
    for (size_t i = 0; i < ui->changes.n; i++)
        if (ui->changes.list[i].req > ui->late.from && ui->changes.list[i].req <= ui->late.to)
            return true;
    return false;
}

static void late_check(struct ui *ui)
{
    if (ui->late.req && !late_waits(ui))
        late_end(ui);
}

/* Answered with what it says and lists; where it changes mail, with what becomes of that. */
static void on_run(struct ui *ui, const struct m_RUN *m)
{
    struct buf answer = BUF_INIT(ANSWER_MAX);
    uint32_t req = m->req, from = ui->next_req;
    char *text = mem_dup_n(m->text.p, m->text.n);
    late_end(ui); /* one at a time */
    ui_answer_begin(ui, &answer);
    bool ok = ui_run(ui, text);
    ui_answer_end(ui);
    ui->dirty = true;
    ui->late = (struct late_answer){.req = req, .from = from, .to = ui->next_req, .failed = !ok, .text = answer};
    if (ok && late_waits(ui))
        ui->late.timer = loop_after(ui->loop, LATE_MS, on_late, ui);
    else
        late_end(ui);
    free(text);
}

/* Its line is as the user wants it. */
static bool line_good(const struct acct *acct)
{
    return !acct->held && (acct->state == ACCOUNT_ONLINE || acct->state == ACCOUNT_OFFLINE);
}

static void on_line(struct ui *ui, unsigned at)
{
    struct acct *acct = &ui->accts.list[at];
    if (acct->trouble)
        ui_note_quiet(ui, "%s is connected again", acct->name);
    acct->trouble = false;
    acct->secret_declined = false;
    ui_open_again(ui, at);
}

static void on_waiting(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->queued_timer);
    ui->dirty = true;
}

/* On a live line most changes are gone before anyone could read that they wait: only what stays is worth the bytes. */
static void queued_are(struct ui *ui, struct acct *acct, uint32_t n)
{
    acct->queued = n;
    if (!n)
        acct->queued_ms = 0;
    else if (!acct->queued_ms) {
        acct->queued_ms = clock_mono_ms();
        if (!ui->queued_timer)
            ui->queued_timer = loop_after(ui->loop, QUEUED_TOLD_MS, on_waiting, ui);
    }
}

static void on_account(struct ui *ui, const struct m_ACCOUNT *m)
{
    int at = accts_find(&ui->accts, m->account, true);
    if (at < 0)
        return;
    struct acct *acct = &ui->accts.list[at];
    bool was_good = line_good(acct), was_online = acct->known && acct->state == ACCOUNT_ONLINE;
    acct->known = true;
    acct->state = m->state;
    queued_are(ui, acct, m->queued);
    acct->full = m->full;
    acct->outbox = m->outbox;
    acct->refused = m->refused;
    acct->unknown = m->unknown;
    acct->caching = m->caching;
    acct->offline = m->state == ACCOUNT_OFFLINE;
    if (m->held && !acct->held)
        queue_held(ui, (unsigned)at);
    acct->held = m->held;
    acct->again = m->again;
    acct->why = (enum err_kind)MIN(m->kind, (uint32_t)ERR_COUNT - 1);
    snprintf(acct->text, sizeof acct->text, "%.*s", (int)MIN(m->text.n, sizeof acct->text - 1),
             m->text.n ? m->text.p : "");
    if (acct->secret_service == SERVICE_INCOMING     ? m->state != ACCOUNT_WANTS_SECRET
        : acct->secret_service == SERVICE_SUBMISSION ? !m->outbox
                                                     : false)
        acct->secret_wanted = false;
    if (!was_good && line_good(acct))
        ui_note_line_over(ui, (unsigned)at);
    if (m->state == ACCOUNT_FAILED || (m->state == ACCOUNT_WAITING && m->text.n))
        acct->trouble = true;
    else if (m->state == ACCOUNT_ONLINE && !was_online)
        on_line(ui, (unsigned)at);
    if (was_online != (m->state == ACCOUNT_ONLINE)) {
        struct event_words words = {.own = true};
        event_word(&words, VALUE_ACCOUNT, m->account);
        event_word(&words, VALUE_TEXT, m->text);
        ui_event(ui, was_online ? EVENT_OFFLINE : EVENT_ONLINE, &words);
    }
    queue_changed(ui);
    ui->boxes.stale = true;
}

static void on_changed(struct ui *ui, const struct m_CHANGED *m)
{
    if (m->box == 0) /* the store may have only now been able to open them */
        ui_open_readers(ui);
    ui_lists_stale(ui);
    ui->boxes.stale = true;
    ui_count_soon(ui);
    ui_hits_changed(ui);
    ui_prefetch_soon(ui);
    int account = accts_find(&ui->accts, m->account, false);
    if (m->fresh && account >= 0)
        ui_notify(ui, (unsigned)account, m->box, m->fresh);
}

struct outbox_words {
    uint64_t id;
    struct event_words words;
};

static void outbox_words_of(void *arg, const struct outbox_row *o)
{
    struct outbox_words *w = arg;
    if (o->id != w->id)
        return;
    event_word(&w->words, VALUE_SUBJECT, o->subject);
    event_word(&w->words, VALUE_TO, o->rcpts);
}

static void outbox_event(struct ui *ui, const struct m_OUTBOX *m)
{
    struct outbox_words w = {.id = m->out, .words = {.own = true}};
    struct err err = ERR_INIT;
    int account = accts_find(&ui->accts, m->account, false);
    if (account >= 0 && ui->accts.list[account].reader && ui->nhooks)
        reader_outbox(ui->accts.list[account].reader, outbox_words_of, &w, &err);
    event_word(&w.words, VALUE_ACCOUNT, m->account);
    event_word(&w.words, VALUE_TEXT, m->text);
    ui_event(ui, m->state == OUTBOX_SENT ? EVENT_SENT : EVENT_NOT_SENT, &w.words);
}

static void on_outbox(struct ui *ui, const struct m_OUTBOX *m)
{
    static const char *const words[] = {
        [OUTBOX_SENT] = "sent",
        [OUTBOX_REFUSED] = "not sent, see :queue",
        [OUTBOX_UNKNOWN] = "nobody knows whether it was sent: look before you send it again",
    };
    ui->boxes.stale = true;
    if (m->state == OUTBOX_SENT || m->state == OUTBOX_REFUSED || m->state == OUTBOX_UNKNOWN)
        outbox_event(ui, m);
    if (held_outbox(ui, m))
        return;
    if (m->state >= COUNT(words) || !words[m->state])
        return;
    ui_note(ui, m->state == OUTBOX_SENT ? NOTE_INFO : NOTE_ERROR, "%.*s: %s%s%.*s", STR_FMT(m->account),
            words[m->state], m->text.n ? ": " : "", STR_FMT(m->text));
}

static void secret_soon(struct ui *ui);

static void secret_due(void *arg)
{
    struct ui *ui = arg;
    watch_free(&ui->secret_timer);
    if (ui->prompt.kind == PROMPT_NONE)
        secret_soon(ui);
    ui->dirty = true;
}

/* It takes the keyboard: not in the middle of what is typed for something else. */
static void secret_soon(struct ui *ui)
{
    int64_t wait = typed_quiet_in(ui);
    if (!wait)
        ui_ask_secret(ui, -1);
    else if (!ui->secret_timer)
        ui->secret_timer = loop_after(ui->loop, wait, secret_due, ui);
}

static void on_secret(struct ui *ui, const struct m_SECRET_WANTED *m)
{
    int at = accts_find(&ui->accts, m->account, true);
    if (at < 0)
        return;
    struct acct *acct = &ui->accts.list[at];
    if (m->service != SERVICE_SIEVE) /* the line is up without it */
        acct->state = ACCOUNT_WANTS_SECRET;
    acct->secret_wanted = true;
    acct->secret_service = m->service;
    acct->secret_refused = m->text.n > 0;
    /* a refusal's words may be long: they are in the list of messages */
    if (m->text.n) {
        ui_note(ui, NOTE_WARNING, "%s: %.*s", acct->name, STR_FMT(m->text));
        ui_note_line(ui, (unsigned)at);
    }
    if (acct->secret_declined)
        return; /* the server was away meanwhile; the user has not changed the mind */
    if (ui->prompt.kind == PROMPT_NONE) {
        secret_soon(ui);
    } else if (ui->prompt.kind != PROMPT_SECRET) { /* else it comes next */
        ui_note(ui, NOTE_WARNING, "%s asks for its password: fetch %s", acct->name, acct->name);
        ui_note_line(ui, (unsigned)at);
    }
}

static void on_note(struct ui *ui, const struct m_NOTE *m)
{
    struct buf words = BUF_INIT(NOTE_CHARS);
    buf_addf(&words, "%.*s%s%.*s", STR_FMT(m->account), m->account.n ? ": " : "", STR_FMT(m->text));
    ui_note_told(ui, m->level, accts_find(&ui->accts, m->account, false),
                 (enum err_kind)MIN(m->kind, (uint32_t)ERR_COUNT - 1), buf_str(&words));
    buf_fini(&words);
}

/* A maildrop is fetched, by whomever: what is said of the message on its way into the pane goes first. */
static void on_pass(struct ui *ui, const struct m_PROGRESS *m)
{
    int at = accts_find(&ui->accts, m->account, false);
    if (at < 0)
        return;
    struct acct *acct = &ui->accts.list[at];
    if (!acct->pass[0])
        acct->pass_ms = clock_mono_ms();
    acct->pass_done = m->done;
    snprintf(acct->pass, sizeof acct->pass, "%.*s", STR_FMT(m->text));
    if (ui->progress[0] && !ui->fetching)
        return;
    if (m->text.n == 0 && ui->fetching != (unsigned)at + 1)
        return; /* that of another account */
    ui->fetching = m->text.n ? (unsigned)at + 1 : 0;
    ui->progress[0] = 0;
    if (m->text.n)
        snprintf(ui->progress, sizeof ui->progress, "%s: %.*s · Esc stops", ui->accts.list[at].name, STR_FMT(m->text));
}

static void on_message(struct ui *ui, struct msg *m)
{
    ui->dirty = true;
    switch (m->kind) {
    case MSG_ACCOUNT:
        on_account(ui, &m->u.ACCOUNT);
        break;
    case MSG_CHANGED:
        on_changed(ui, &m->u.CHANGED);
        break;
    case MSG_NOTE:
        on_note(ui, &m->u.NOTE);
        break;
    case MSG_RUN:
        on_run(ui, &m->u.RUN);
        break;
    case MSG_JOB:
        jobs_told(ui, &m->u.JOB);
        break;
    case MSG_OUTBOX:
        on_outbox(ui, &m->u.OUTBOX);
        break;
    case MSG_SECRET_WANTED:
        on_secret(ui, &m->u.SECRET_WANTED);
        break;
    case MSG_INDEXED:
        ui_indexed(ui, &m->u.INDEXED);
        remote_indexed(ui);
        ui_count_soon(ui);
        ui_hits_changed(ui);
        break;
    case MSG_INTENT_OK:
        answer(ui, m->u.INTENT_OK.req, m, true);
        late_check(ui);
        break;
    case MSG_REFUSED:
        answer(ui, m->u.REFUSED.req, m, true);
        late_check(ui);
        break;
    case MSG_UNDONE:
        answer(ui, m->u.UNDONE.req, m, true);
        break;
    case MSG_ROW_AT:
        answer(ui, m->u.ROW_AT.req, m, true);
        break;
    case MSG_BODY:
        answer(ui, m->u.BODY.req, m, !m->u.BODY.more);
        break;
    case MSG_PROGRESS:
        if (m->u.PROGRESS.req == 0)
            on_pass(ui, &m->u.PROGRESS);
        else
            answer(ui, m->u.PROGRESS.req, m, false);
        break;
    case MSG_SERVER_AT:
        answer(ui, m->u.SERVER_AT.req, m, false);
        break;
    case MSG_SERVER_HITS:
        answer(ui, m->u.SERVER_HITS.req, m, false);
        break;
    case MSG_SERVER_DONE:
        answer(ui, m->u.SERVER_DONE.req, m, true);
        break;
    case MSG_FETCHED:
        answer(ui, m->u.FETCHED.req, m, m->u.FETCHED.last);
        break;
    case MSG_SIEVE_DONE:
        answer(ui, m->u.SIEVE_DONE.req, m, true);
        break;
    case MSG_SUBMITTED:
        answer(ui, m->u.SUBMITTED.req, m, true);
        break;
    default:
        if (m->fd >= 0)
            close(m->fd);
    }
}

static void on_retry(void *arg);

static void lost(struct ui *ui, const struct err *err)
{
    watch_free(&ui->store_watch);
    chan_free(&ui->client->chan);
    late_end(ui);
    while (ui->nrequests) {
        struct request r = ui->requests[--ui->nrequests];
        buffer_enter(ui, r.buffer);
        r.fn(ui, r.arg, NULL);
        buffer_leave(ui);
    }
    ui->changes.n = 0;
    ui->ntold_jobs = 0;
    if (ui->fetching)
        ui->progress[0] = 0;
    ui->fetching = 0;
    for (unsigned a = 0; a < ui->accts.n; a++) {
        ui->accts.list[a].pass[0] = 0;
        ui->accts.list[a].asked = false;
    }
    if (err->kind == ERR_NONE)
        ui_note(ui, NOTE_ERROR, "the store ended; it is started again");
    else
        ui_note_err(ui, err);
    ui->retry_ms = RETRY_FIRST_MS;
    watch_free(&ui->retry_timer);
    ui->retry_timer = loop_after(ui->loop, ui->retry_ms, on_retry, ui);
}

/* A new store connects nothing that the user had taken offline. */
static void offline_again(struct ui *ui)
{
    struct err err = ERR_INIT;
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (ui->client->offline && !ui->accts.list[a].offline)
            SEND(ui->client->chan, -1, &err, SET_OFFLINE, .account = str_z(ui->accts.list[a].name), .offline = 0);
}

static void on_retry(void *arg)
{
    struct ui *ui = arg;
    struct err err = ERR_INIT;
    watch_free(&ui->retry_timer);
    ui->client->offline = false;
    for (unsigned a = 0; a < ui->accts.n; a++)
        ui->client->offline = ui->client->offline || ui->accts.list[a].offline;
    if (client_reconnect(ui->client, &err)) {
        offline_again(ui);
        ui_settings_again(ui);
        ui_note(ui, NOTE_INFO, "the store runs again");
        ui_store_watch(ui);
        ui_watch_list(ui);
        ui_lists_stale(ui);
        ui->boxes.stale = true;
        return;
    }
    ui_note_err(ui, &err);
    ui->retry_ms = MIN(ui->retry_ms * 2, (int64_t)RETRY_MAX_MS);
    ui->retry_timer = loop_after(ui->loop, ui->retry_ms, on_retry, ui);
}

static void on_ready(void *arg, short revents)
{
    struct ui *ui = arg;
    struct err err = ERR_INIT;
    struct msg m;
    int got = 0;
    if ((revents & POLLOUT) && !chan_flush(ui->client->chan, &err)) {
        lost(ui, &err);
        return;
    }
    ui_store_events(ui);
    for (int i = 0; i < PER_TURN && (got = chan_recv(ui->client->chan, &m, &err)) == 1; i++) {
        on_message(ui, &m);
        if (!ui->client->chan)
            return;
    }
    if (got < 0)
        lost(ui, &err);
}

void ui_store_events(struct ui *ui)
{
    if (ui->store_watch && ui->client && ui->client->chan)
        watch_events(ui->store_watch, (short)(POLLIN | (chan_wants_write(ui->client->chan) ? POLLOUT : 0)));
}

void ui_store_watch(struct ui *ui)
{
    if (ui->client && ui->client->chan)
        ui->store_watch = loop_fd(ui->loop, chan_fd(ui->client->chan), POLLIN, on_ready, ui);
}

void ui_requests_end(struct ui *ui)
{
    while (ui->nrequests) {
        struct request r = ui->requests[--ui->nrequests];
        r.fn(ui, r.arg, NULL);
    }
}

void ui_store_fini(struct ui *ui)
{
    struct err err = ERR_INIT;
    late_end(ui);
    watch_free(&ui->store_watch);
    watch_free(&ui->retry_timer);
    if (ui->client && ui->client->chan) /* what the user did goes out before we go */
        chan_drain(ui->client->chan, clock_mono_ms() + DRAIN_MS, &err);
    ui_requests_end(ui);
    free(ui->requests);
}

const struct box_item *ui_list_box(const struct ui *ui, const struct list *l, unsigned account)
{
    if (l->source == LIST_BOX)
        return account == l->account ? boxes_find(&ui->boxes, account, l->box) : NULL;
    return l->source == LIST_INBOXES ? boxes_role(&ui->boxes, account, BOX_INBOX) : NULL;
}

void ui_watch_list(struct ui *ui)
{
    struct err err = ERR_INIT;
    if (!ui->client || !ui->client->chan)
        return;
    ui_prefetch_soon(ui);
    for (unsigned a = 0; a < ui->accts.n; a++) {
        const struct box_item *box = ui_list_box(ui, ui_list(ui), a);
        if (box)
            SEND(ui->client->chan, -1, &err, WATCH, .account = str_z(ui->accts.list[a].name), .box = box->id);
    }
}

/* ---- rows that are still to come ---- */
/* The account whose rows the list shows, and nobody else's: -1 where there are several. */
static int only_account(const struct ui *ui)
{
    int found = -1;
    for (unsigned a = 0; a < ui->accts.n; a++)
        if (ui_list_box(ui, ui_list(ui), a)) {
            if (found >= 0)
                return -1;
            found = (int)a;
        }
    return found;
}

static void on_row_at(struct ui *ui, void *arg, const struct msg *m)
{
    struct list *l = ui_list(ui);
    struct err err = ERR_INIT;
    (void)arg;
    if (m && m->kind == MSG_REFUSED && m->u.REFUSED.kind == ERR_CANCELED)
        return; /* another one was asked for since */
    ui->look_req = 0;
    int account = only_account(ui);
    if (l != ui->look_list || l->box != ui->look_box || account < 0)
        return;
    bool asked = l->stay == STAY_ASKED;
    if (asked)
        l->stay = STAY_ROW;
    if (asked && m && m->kind == MSG_REFUSED)
        ui_note(ui, NOTE_WARNING, "%.*s", STR_FMT(m->u.REFUSED.text));
    if (!m || m->kind != MSG_ROW_AT)
        return;
    struct ref ref = {(unsigned)account, m->u.ROW_AT.msg};
    if (asked && list_reach(l, ref, &err)) {
        ui->looked = ref; /* a screen each way came with it */
        ui_follow(ui);
    }
    if (l->stay == STAY_ROW && list_cursor(l) && ref_eq(list_cursor(l)->ref, ref))
        l->older = m->u.ROW_AT.older;
}

static bool want_rows(struct ui *ui, unsigned account, uint64_t msg, uint32_t rank)
{
    struct err err = ERR_INIT;
    const struct list *l = ui_list(ui);
    const struct box_item *box = ui_list_box(ui, l, account);
    if (!ui->client || !ui->client->chan || !box || box->known >= box->total)
        return false;
    ui->look_list = l;
    ui->look_box = l->box;
    ui->look_msg = msg;
    ui->look_req = ui_request(ui, on_row_at, NULL);
    return SEND(ui->client->chan, -1, &err, WANT_ROWS, .req = ui->look_req,
                .account = str_z(ui->accts.list[account].name), .box = box->id, .msg = msg, .rank = rank);
}

bool ui_ask_row(struct ui *ui, uint32_t rank)
{
    int account = only_account(ui);
    if (rank == UINT32_MAX)
        for (unsigned a = 0; a < ui->accts.n; a++)
            want_rows(ui, a, 0, rank);
    else if (account >= 0 && want_rows(ui, (unsigned)account, 0, rank))
        ui_list(ui)->stay = STAY_ASKED;
    return ui_list(ui)->stay == STAY_ASKED;
}

void ui_look(struct ui *ui)
{
    const struct list *l = ui_list(ui);
    const struct list_row *row = list_cursor(l);
    if (!row || l->stay != STAY_ROW || (ui->look_req && ui->look_msg) || ref_eq(row->ref, ui->looked) ||
        (l->first_here && !l->cur) || !ui_rows_to_come(ui, l))
        return;
    ui->looked = row->ref;
    want_rows(ui, row->ref.account, row->ref.id, 0);
}
