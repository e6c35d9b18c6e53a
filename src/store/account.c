/* An account: its database, its fetch program, the line, secrets, steps. */
#include "store/replay.h"

#include <unistd.h>

#define CRASH_MS 1000
#define DISK_WAIT_MS 10000
#define THREADS_ROWS 40 /* in a piece of work: some 2 ms */
#define THREADS_MS 10
#define FORGET_S (30 * 86400) /* what can be undone */

/* ---- Words to the clients ----------------------------------------------------------------------- */
void acct_note(struct acct *a, unsigned level, enum err_kind kind, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_msg(level > 1 ? LOG_ERROR : level ? LOG_WARN : LOG_INFO, "%s: %s", a->name, text);
    BROADCAST(a->srv, NOTE, .account = str_z(a->name), .level = (uint8_t)level, .kind = kind, .text = str_z(text));
}

void acct_tell(struct acct *a, struct client *to)
{
    struct msg m = {.kind = MSG_ACCOUNT,
                    .fd = -1,
                    .u.ACCOUNT = {.account = str_z(a->name),
                                  .state = (uint8_t)a->state,
                                  .queued = a->queued,
                                  .outbox = a->outbox.waits,
                                  .refused = a->outbox.refused,
                                  .unknown = a->outbox.unknown,
                                  .again = a->state == ACCOUNT_WAITING ? a->again : 0,
                                  .caching = a->caching_left,
                                  .held = a->held,
                                  .full = a->full,
                                  .kind = a->why,
                                  .text = str_z(a->text)}};
    if (to)
        peer_send(to->peer, &m, -1);
    else
        server_broadcast(a->srv, &m);
    if (to && a->secret_wanted)
        PEER_SEND(to->peer, -1, SECRET_WANTED, .account = str_z(a->name), .service = SERVICE_INCOMING,
                  .text = strcmp(a->text, SECRET_NEEDED) ? str_z(a->text) : STR(""));
}

void acct_state(struct acct *a, enum account_state state, enum err_kind why, const char *text)
{
    const char *clean = clean_line(str_z(text));
    if (a->state == state && a->why == why && strcmp(a->text, clean) == 0)
        return;
    a->state = state;
    a->why = why;
    snprintf(a->text, sizeof a->text, "%s", clean);
    acct_tell(a, NULL);
}

void acct_db_error(struct acct *a, const struct err *err)
{
    a->not_before = clock_mono_ms() + DISK_WAIT_MS;
    if (a->said.kind == err->kind && strcmp(a->said.text, err->text) == 0)
        return;
    a->said = *err;
    acct_note(a, 2, err->kind, "%s", err->text);
}

void acct_violation(struct acct *a, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (a->violated)
        return;
    a->violated = true;
    acct_note(a, 2, ERR_CHANNEL, "the fetch program was ended: %s", text);
}

bool line_error(enum err_kind kind)
{
    switch (kind) {
    case ERR_LINE:
    case ERR_TIMEOUT:
    case ERR_SERVER_BYE:
    case ERR_PROTOCOL:
    case ERR_CONNECT:
    case ERR_DNS:
    case ERR_CHANNEL:
    case ERR_OFFLINE:
        return true;
    default:
        return false;
    }
}

/* ---- Steps -------------------------------------------------------------------------------------- */
struct step *acct_step(struct acct *a, step_fn *done, struct msg *m, int fd)
{
    if (!a->fetch || !a->ready || a->violated || a->nsteps == STEPS_MAX)
        return NULL;
    struct step *s = mem_new(sizeof *s);
    s->number = ++a->last_step;
    s->kind = m->kind;
    s->done = done;
    m->u.STEP_CONNECT.step = s->number; /* the first field of every step */
    a->steps[a->nsteps++] = s;
    peer_send(a->fetch, m, fd);
    return s;
}

struct step *acct_step_find(struct acct *a, uint32_t number, enum msg_kind kind)
{
    for (size_t i = 0; i < a->nsteps; i++)
        if (a->steps[i]->number == number)
            return a->steps[i]->kind == kind ? a->steps[i] : NULL;
    return NULL;
}

static void step_end(struct acct *a, size_t i, enum err_kind kind, struct str text)
{
    struct step *s = a->steps[i];
    a->steps[i] = a->steps[--a->nsteps];
    if (s->done)
        s->done(a, s, kind, text);
    free(s);
}

static void steps_fail(struct acct *a, enum err_kind kind, struct str text)
{
    /* Those that callbacks add meanwhile cannot be: fetch is not there. */
    while (a->nsteps > 0)
        step_end(a, a->nsteps - 1, kind, text);
}

static void on_done(struct acct *a, struct msg *m)
{
    const struct m_DONE *d = &m->u.DONE;
    if (d->kind >= ERR_COUNT) {
        acct_violation(a, "an unknown error");
        return;
    }
    for (size_t i = 0; i < a->nsteps; i++)
        if (a->steps[i]->number == d->step) {
            step_end(a, i, (enum err_kind)d->kind, d->text);
            return;
        }
    acct_violation(a, "the end of a step it was not given");
}

/* ---- The fetch program -------------------------------------------------------------------------- */
static void on_ready(struct acct *a, struct msg *m)
{
    (void)m;
    a->ready = true;
    local_begin(a);
}

/* What the next fetch program is told of the server. */
static void remember(struct acct *a, const char *name, struct str words)
{
    struct buf had = BUF_INIT(3000);
    struct err err = ERR_INIT;
    if (!db_meta_get(a->db, name, &had, &err) ||
        (!str_eq(buf_str(&had), words) && !db_meta_set(a->db, name, words, &err)))
        acct_db_error(a, &err);
    buf_fini(&had);
}

static void on_online(struct acct *a, struct msg *m)
{
    a->names_places = acct_announces(m->u.ONLINE.words, "UIDPLUS") || acct_announces(m->u.ONLINE.words, "IMAP4rev2");
    a->moves_whole = acct_announces(m->u.ONLINE.words, "MOVE") || acct_announces(m->u.ONLINE.words, "IMAP4rev2");
    db_set_labels(a->db, acct_announces(m->u.ONLINE.words, "X-GM-EXT-1"));
    log_msg(LOG_INFO, "%s: online: %s", a->name, clean_line(m->u.ONLINE.caps_text));
    if (a->imap || a->pop) {
        remember(a, "capabilities", m->u.ONLINE.words);
        remember(a, "unbound", m->u.ONLINE.unbound);
    }
    if (a->pop)
        acct_server_limits(a, m->u.ONLINE.delay, m->u.ONLINE.expire);
}

static void on_lost(struct acct *a, struct msg *m)
{
    if (m->u.LOST.kind >= ERR_COUNT)
        acct_violation(a, "an unknown error");
    else if (acct_closing(a))
        acct_line_failed(a, ERR_CANCELED, STR(""));
    else if (a->line == LINE_UP)
        acct_line_failed(a, m->u.LOST.kind ? (enum err_kind)m->u.LOST.kind : ERR_LINE, m->u.LOST.text);
}

static void on_alert(struct acct *a, struct msg *m)
{
    /* Courier repeats its troubles at every IDLE. */
    uint64_t hash = str_hash(m->u.ALERT.text);
    if (hash != a->alerted)
        acct_note(a, 1, ERR_NONE, "the server says: \"%s\"", clean_line(m->u.ALERT.text));
    a->alerted = hash;
}

static const struct {
    enum msg_kind kind;
    void (*handle)(struct acct *, struct msg *);
    bool imap, pop, local; /* kinds of account whose fetch may say it; all false: every one */
} fetch_messages[] = {
    {MSG_READY, on_ready, 0, 0, 0},
    {MSG_DONE, on_done, 0, 0, 0},
    {MSG_SECRET_ASK, acct_on_secret_ask, 1, 1, 0},
    {MSG_ONLINE, on_online, 1, 1, 0},
    {MSG_LOST, on_lost, 1, 1, 0},
    {MSG_ALERT, on_alert, 1, 1, 0},
    {MSG_BOX, imap_message, 1, 0, 0},
    {MSG_BOX_OPEN, imap_message, 1, 0, 0},
    {MSG_KEYWORDS, imap_message, 1, 0, 0},
    {MSG_ROW, imap_message, 1, 0, 0},
    {MSG_ROW_MORE, imap_message, 1, 0, 0},
    {MSG_FLAGS, imap_message, 1, 0, 0},
    {MSG_GONE, imap_message, 1, 0, 0},
    {MSG_UIDS, imap_message, 1, 0, 0},
    {MSG_EXISTS, imap_message, 1, 0, 0},
    {MSG_MODSEQ, imap_message, 1, 0, 0},
    {MSG_LIST_NEWS, imap_message, 1, 0, 0},
    {MSG_PUSHED, imap_message, 1, 0, 0},
    {MSG_QUOTA, acct_server_message, 1, 0, 0},
    {MSG_NAMESPACE, acct_server_message, 1, 0, 0},
    {MSG_SERVER_ID, acct_server_message, 1, 1, 0},
    {MSG_MOVED, replay_message, 1, 0, 0},
    {MSG_CLAIMED, claim_message, 1, 0, 0},
    {MSG_FOUND, replay_message, 1, 0, 0},
    {MSG_APPENDED, replay_message, 1, 0, 0},
    {MSG_MAILDIR_IS, replay_message, 0, 1, 1},
    {MSG_BODY_AT, open_message, 1, 0, 0},
    {MSG_FILES, cache_message, 1, 0, 0},
    {MSG_BODY_BEGUN, open_message, 1, 0, 0},
    {MSG_STEP_PROGRESS, open_message, 0, 0, 0},
    {MSG_MAILDIR_FD, open_message, 0, 0, 0},
    {MSG_POP_UIDLS, pop_message, 0, 1, 0},
    {MSG_DELIVERED, pop_message, 0, 1, 0},
    {MSG_POP_FAILED, pop_message, 0, 1, 0},
    {MSG_POP_HEAD, pop_message, 0, 1, 0},
    {MSG_BOX, local_message, 0, 1, 1},
    {MSG_MAILDIR_FILE, local_message, 0, 1, 1},
    {MSG_MAILDIR_ROW, local_message, 0, 1, 1},
    {MSG_MAILDIR_GONE, local_message, 0, 1, 1},
    {MSG_MAILDIR_CHANGED, local_message, 0, 1, 1},
    {MSG_MAILDIR_ODD, local_message, 0, 1, 1},
    {MSG_MAILDIR_MOVED, local_message, 0, 1, 1},
};

static void fetch_message(void *arg, struct msg *m)
{
    struct acct *a = arg;
    bool found = false;
    for (size_t i = 0; i < COUNT(fetch_messages) && !found && !a->violated; i++) {
        bool any = !fetch_messages[i].imap && !fetch_messages[i].pop && !fetch_messages[i].local;
        bool mine = a->imap ? fetch_messages[i].imap : a->pop ? fetch_messages[i].pop : fetch_messages[i].local;
        if (fetch_messages[i].kind != m->kind || !(any || mine))
            continue;
        found = true;
        if (!a->ready && m->kind != MSG_READY)
            acct_violation(a, "%s before it was ready", msg_name(m->kind));
        else
            fetch_messages[i].handle(a, m);
    }
    if (!found && !a->violated)
        acct_violation(a, "%s is nothing this account's program may say", msg_name(m->kind));
    if (m->fd >= 0)
        close(m->fd);
}

void acct_burst_begin(void *arg)
{
    struct acct *a = arg;
    struct err err = ERR_INIT;
    if (!db_begin(a->db, &err))
        acct_db_error(a, &err);
}

static void restart_fired(void *arg)
{
    struct acct *a = arg;
    a->restart = NULL;
    acct_pump(a);
}

void acct_fetch_stop(struct acct *a, const char *why)
{
    peer_free(&a->fetch);
    if (a->tag)
        SPAWN(a->srv, STOP, .role = ROLE_FETCH, .account = str_z(a->name), .tag = a->tag);
    a->tag = 0;
    a->ready = false;
    a->violated = false;
    a->secret_tag = 0;
    steps_fail(a, ERR_CHANNEL, str_z(why));
    replay_drop(a, ERR_CHANNEL);
}

void acct_fetch_after(struct acct *a, int64_t ms)
{
    watch_free(&a->restart);
    a->restart = loop_after(a->srv->loop, ms, restart_fired, a);
}

static void fetch_ended(struct acct *a, const char *why)
{
    uint32_t random;
    fs_random(&random, sizeof random);
    bool was_up = a->line == LINE_UP;
    acct_fetch_stop(a, why);
    a->crashes = was_up && clock_mono_ms() - a->up_since >= STABLE_MS ? 1 : a->crashes + 1;
    acct_fetch_after(a, MAX(sync_backoff_ms(a->crashes, random), (int64_t)CRASH_MS));
    acct_line_failed(a, ERR_CHANNEL, str_z(why));
    watch_free(&a->retry); /* the restart is the back-off */
    open_fail_all(a, ERR_CHANNEL, why, true);
    acct_settle(a);
}

void acct_unkept(struct acct *a, const struct err *err)
{
    if (a->line != LINE_DOWN)
        acct_line_failed(a, err->kind, str_z(err->text));
    acct_fetch_stop(a, err->text);
    acct_fetch_after(a, CRASH_MS);
}

void acct_burst_end(void *arg)
{
    struct acct *a = arg;
    struct err err = ERR_INIT;
    bool kept = !db_in_burst(a->db) || db_commit(a->db, &err);
    if (!kept)
        acct_db_error(a, &err);
    else
        a->said = ERR_INIT;
    if (a->violated) {
        fetch_ended(a, "it broke the protocol");
    } else if (!kept && a->pop) {
        acct_unkept(a, &err);
        acct_settle(a);
    } else if (a->away.kind) {
        local_away(a);
    } else {
        acct_settle(a);
    }
}

static void fetch_gone(void *arg, const struct err *err)
{
    struct acct *a = arg;
    char why[500];
    snprintf(why, sizeof why, "the fetch program ended%s%s", err->kind ? ": " : "", err->kind ? err->text : "");
    if (err->kind)
        acct_note(a, 2, ERR_CHANNEL, "%s", why);
    fetch_ended(a, why);
}

static const struct peer_ops fetch_ops = {
    .begin = acct_burst_begin, .message = fetch_message, .end = acct_burst_end, .gone = fetch_gone};

void acct_started(struct acct *a, uint64_t tag, int fd)
{
    if (seek_is(a, tag)) {
        seek_started(a, fd);
        return;
    }
    if (tag == 0 || tag != a->tag || a->fetch) {
        close(fd);
        return;
    }
    a->fetch = peer_new(a->srv->loop, fd, ROLE_FETCH, &fetch_ops, a);
}

bool acct_exited(struct acct *a, enum role role, uint64_t tag, struct str text)
{
    if (role == ROLE_SEND)
        return outbox_exited(a, tag, text);
    if (role == ROLE_SIEVE)
        return sieve_exited(a, tag, text);
    if (role == ROLE_FETCH && seek_is(a, tag)) {
        seek_exited(a, text);
        return true;
    }
    if (role != ROLE_FETCH || tag == 0 || tag != a->tag)
        return false;
    char why[300];
    snprintf(why, sizeof why, "the fetch program ended: %s", clean_line(text));
    a->tag = 0;
    acct_note(a, 1, ERR_CHANNEL, "%s", why);
    fetch_ended(a, why);
    return true;
}

/* ---- Passes, watching --------------------------------------------------------------------------- */
void acct_pass_add(struct acct *a, uint64_t client, uint32_t req)
{
    struct pass *p = mem_new(sizeof *p);
    p->client = client;
    p->req = req;
    p->next = a->passes;
    a->passes = p;
    a->not_before = 0; /* asked for: tried at once */
}

void acct_retry(struct acct *a)
{
    a->attempt = 0;
    acct_try_now(a);
    acct_pump(a);
}

void acct_fetch_now(struct acct *a, uint64_t client, uint32_t req)
{
    if (client)
        acct_pass_add(a, client, req);
    if (!a->db)
        acct_retry(a);
    if (!a->db) {
        acct_pass_end(a, a->why, a->text);
        return;
    }
    if (a->offline) {
        acct_pass_end(a, ERR_OFFLINE, "the account is set offline");
        return;
    }
    if (a->held) {
        acct_pass_end(a, ERR_CONFIG, a->text);
        return;
    }
    a->pass_wanted = true;
    a->pop_due = 0;
    a->list_wanted = !a->imap;
    if (!a->pop)
        local_look(a);
    if (a->imap) {
        a->status_at = a->list_at = 0;
        a->listed = false;
        /* What is selected is selected anew: a watch that has not told yet must not make the pass blind. */
        a->selected = a->tail = a->watching = 0;
        for (size_t i = 0; i < a->nboxes; i++) {
            struct sync_box *b = &a->plan[i];
            b->dirty = b->dirty || b->opened;
            b->failed = b->opened = false;
            a->boxes[i].tries = 0;
        }
    }
    a->attempt = 0;
    acct_try_now(a);
    if (a->restart) {
        watch_free(&a->restart);
        a->crashes = 0;
    }
    acct_pump(a);
}

void acct_pass_end(struct acct *a, enum err_kind kind, const char *text)
{
    struct pass *p = a->passes;
    a->passes = NULL;
    a->pass_wanted = false;
    while (p) {
        struct pass *next = p->next;
        bool last = true;
        for (size_t i = 0; i < a->srv->naccts; i++)
            for (struct pass *q = a->srv->accts[i] ? a->srv->accts[i]->passes : NULL; q; q = q->next)
                last = last && !(q->client == p->client && q->req == p->req);
        ANSWER(a->srv, p->client, -1, FETCHED, .req = p->req, .account = str_z(a->name), .kind = kind,
               .fresh = a->pass_fresh, .removed = a->pass_removed, .kept = a->pass_kept, .bytes = a->pass_bytes,
               .last = last, .text = str_z(text));
        free(p);
        p = next;
    }
    a->pass_fresh = a->pass_removed = a->pass_kept = 0;
    a->pass_bytes = 0;
}

void acct_watch(struct acct *a, uint64_t box)
{
    a->watched = box; /* also before there is a list of them */
    for (size_t i = 0; i < a->nboxes; i++) {
        a->plan[i].watched = a->plan[i].id == box;
        if (a->plan[i].watched) {
            a->plan[i].failed = false;
            a->plan[i].dirty = a->plan[i].dirty || a->selected != box;
        }
    }
    acct_pump(a);
}

int64_t acct_due(const struct acct *a)
{
    bool up = a->imap && a->line == LINE_UP;
    int64_t due = INT64_MAX, now = clock_mono_ms();
    bool away = up && a->fore_at && a->fore_at + 1000 < now; /* from the mailbox on the screen */
    const int64_t waits[] = {a->not_before,
                             a->replay_after,
                             up ? a->list_at + SYNC_LIST_EVERY * 1000 : 0,
                             a->pop && !a->poprun && !a->offline ? a->pop_due : 0,
                             up && !a->pushed && a->nboxes > 1 ? a->status_at + SYNC_STATUS_EVERY * 1000 : 0,
                             away && !a->watching ? a->fore_at + SYNC_FORE_EVERY * 1000 : 0};
    for (size_t i = 0; a->db && i < COUNT(waits); i++)
        if (waits[i] >= now)
            due = MIN(due, waits[i]);
    return due;
}

bool acct_busy(const struct acct *a)
{
    return a->batch != NULL || a->early != NULL || outbox_sends(a) ||
           (a->line != LINE_DOWN && a->queued > 0 && !a->wake && !a->held);
}

/* ---- Threads by subject, of what is here ---------------------------------------------------------- */
static void threads_fired(void *arg)
{
    struct acct *a = arg;
    struct err err = ERR_INIT;
    bool more = a->db && db_in_burst(a->db);
    a->threads_timer = NULL;
    if (a->db && !more) {
        if (!db_threads_again(a->db, THREADS_ROWS, &more, &err))
            acct_db_error(a, &err);
        acct_settle(a);
    }
    if (more)
        a->threads_timer = loop_after(a->srv->loop, THREADS_MS, threads_fired, a);
}

void acct_threads(struct acct *a)
{
    db_set_threads(a->db, a->srv->conf->threads_by_subject);
    if (!a->threads_timer)
        a->threads_timer = loop_after(a->srv->loop, THREADS_MS, threads_fired, a);
}

/* ---- After a burst ------------------------------------------------------------------------------ */
static void tell_changes(struct acct *a)
{
    uint64_t box;
    uint32_t fresh;
    bool any = false;
    while (db_take_changed(a->db, &box, &fresh)) {
        any = true;
        BROADCAST(a->srv, CHANGED, .account = str_z(a->name), .box = box, .fresh = fresh);
        cache_changed(a, box, fresh > 0);
    }
    struct buf name = BUF_INIT(256);
    while (db_take_unfiled(a->db, &name))
        outbox_unlink(a->srv, buf_str(&name));
    buf_fini(&name);
    struct db_conflict c;
    while (db_take_conflict(a->db, &c))
        acct_note(a, 1, c.why, "%s %s", verb_of(c.kind), clean_line(str_z(c.text)));
    struct db_counts counts;
    struct err err = ERR_INIT;
    if (db_intent_counts(a->db, &counts, &err)) {
        uint32_t queued = counts.queued + counts.sent + counts.unknown;
        if (queued != a->queued) {
            a->queued = queued;
            acct_tell(a, NULL);
        }
    }
    if (any) {
        indexing_pump(a->srv->indexing);
        own_pump(a->srv->own);
    }
    rules_pump(a->srv->rules);
}

void acct_settle(struct acct *a)
{
    if (!a->db || db_in_burst(a->db))
        return;
    tell_changes(a);
    claims_lost_tell(a);
    acct_pump(a);
    if (a->early && a->listed) {
        early_end(a, ERR_NONE, "");
        acct_pump(a);
    }
    tell_changes(a);
    if (db_needs_sync(a->db))
        server_sync_soon(a->srv);
    server_stir(a->srv);
}

static void local_pass_end(struct acct *a)
{
    for (size_t i = 0; i < a->nboxes; i++) {
        box_refresh(a, i);
        a->pass_kept += a->plan[i].have;
    }
    acct_pass_end(a, ERR_NONE, "");
}

/* Opens its databases, and takes up what they hold. Where that fails, for want of room, of a permission, of
 * descriptors, it is tried again. */
static void acct_open(struct acct *a)
{
    struct err err = ERR_INIT;
    unsigned opened = 0;
    if (!db_open(a->srv->state_dir, a->name, !a->imap, &a->db, &opened, &err) || !acct_identity_check(a, &err)) {
        db_close(&a->db);
        if (a->said.kind != err.kind || strcmp(a->said.text, err.text) != 0)
            log_msg(LOG_ERROR, "%s: %s", a->name, err.text);
        a->said = err;
        acct_retry_later(a, err.kind, err.text);
        return;
    }
    a->said = ERR_INIT;
    a->attempt = 0;
    a->again = 0;
    if (opened & DB_CACHE_REBUILT)
        log_msg(LOG_WARN, "%s: the list cache was damaged and is built anew", a->name);
    db_set_purge_hold(a->db, a->srv->conf->purge_hold);
    db_set_tag_names(a->db, conf_tag_names(a->srv->conf, a->name));
    acct_threads(a);
    struct buf self = BUF_INIT(16384);
    account_addresses(a->conf, &self);
    db_set_self(a->db, buf_str(&self));
    buf_fini(&self);
    db_set_rules(a->db, conf_has_rules(a->srv->conf, a->name), a->srv->conf);
    if (!db_intents_prune(a->db, clock_wall() - FORGET_S, &err))
        acct_db_error(a, &err);
    if (a->imap)
        cache_new(a);
    acct_boxes_load(a);
    if (a->imap && a->nboxes == 0)
        imap_begin(a);
    acct_server_load(a);
    acct_state(a, ACCOUNT_WAITING, ERR_NONE, "");
    if (!a->srv->greeted)
        return;
    /* Clients that came before hear of it now. */
    BROADCAST(a->srv, CHANGED, .account = str_z(a->name), .box = 0);
    acct_watch(a, a->watched);
    acct_set_offline(a, a->offline);
    acct_settle(a);
}

/* With the options as they are now. */
static void begin_anew(struct acct *a)
{
    a->renew = false;
    acct_fetch_stop(a, "its options have changed");
    watch_free(&a->restart);
    a->crashes = 0;
    a->pop_due = 0;
}

void acct_pump(struct acct *a)
{
    if (!a->db && !a->retry && !a->pumping)
        acct_open(a);
    if (!a->db || a->pumping || db_in_burst(a->db))
        return;
    a->pumping = true;
    if (a->renew && a->line == LINE_DOWN && !a->connect_step && !a->poprun)
        begin_anew(a);
    if (!a->fetch && !a->tag && !a->restart && a->srv->spawn) {
        a->tag = server_id(a->srv);
        a->violated = false;
        SPAWN(a->srv, START, .role = ROLE_FETCH, .account = str_z(a->name), .tag = a->tag);
    }
    /* Who waits for a pass learns why there is none, rather than wait for room on the disk. */
    if (a->passes && !a->poprun && a->said.kind && clock_mono_ms() < a->not_before)
        acct_pass_end(a, a->said.kind, a->said.text);
    if (a->ready && clock_mono_ms() >= a->not_before) {
        if (a->imap) {
            acct_connect_soon(a);
            imap_pump(a);
        } else {
            bool replaying = !local_pump(a) && replay_pump(a);
            if (a->pop)
                pop_pump(a);
            else if (a->passes && !replaying && !local_busy(a))
                local_pass_end(a);
        }
        open_pump(a);
    }
    import_pump(a);
    outbox_pump(a);
    snooze_pump(a);
    a->pumping = false;
    server_wake_by(a->srv, acct_due(a));
}

/* ---- Begin and end ------------------------------------------------------------------------------ */
struct acct *acct_new(struct server *s, const struct account *conf)
{
    struct acct *a = mem_new(sizeof *a);
    a->srv = s;
    a->conf = conf;
    a->name = conf->name;
    a->imap = conf->in.proto == PROTO_IMAP;
    a->pop = conf->in.proto == PROTO_POP3;
    a->uids = BUF_INIT(64u << 20);
    a->state = ACCOUNT_WAITING;
    a->offline = true;
    acct_open(a);
    return a;
}

void acct_free(struct acct **acct)
{
    struct acct *a = *acct;
    *acct = NULL;
    if (!a)
        return;
    a->pumping = true; /* nothing new */
    peer_free(&a->fetch);
    steps_fail(a, ERR_CHANNEL, STR("the end"));
    replay_drop(a, ERR_CHANNEL);
    open_fail_all(a, ERR_CHANNEL, "the store ends", true);
    early_end(a, ERR_CHANNEL, "the store ends");
    pop_drop(a, ERR_CHANNEL, STR("the end"));
    cache_free(a);
    rows_free(a);
    seek_free(a);
    acct_pass_end(a, ERR_CANCELED, "the store ends");
    import_free_all(a);
    outbox_free(a);
    sieve_free(a);
    watch_free(&a->restart);
    watch_free(&a->retry);
    watch_free(&a->wake);
    watch_free(&a->quiet);
    watch_free(&a->news_timer);
    watch_free(&a->later_timer);
    watch_free(&a->threads_timer);
    watch_free(&a->pop_timer);
    watch_free(&a->pop_show);
    watch_free(&a->out_timer);
    snooze_free(a);
    ruled_fini(&a->ruled);
    ruled_fini(&a->retagged);
    for (size_t i = 0; i < a->nboxes; i++) {
        free(a->boxes[i].name);
        free(a->boxes[i].utf8);
    }
    free(a->boxes);
    free(a->plan);
    buf_fini(&a->uids);
    buf_fini(&a->unread);
    db_close(&a->db);
    free(a);
}
