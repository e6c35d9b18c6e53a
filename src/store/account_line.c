/* The line of an account: when it is opened, why it fails and when it is tried again, going offline and coming back. */
#include "store/account.h"

#define PATIENCE 4 /* tries that the back-off begins with where the server asked for it: 16 s */

void acct_drop_line(struct acct *a)
{
    a->line = LINE_DOWN;
    a->selected = a->tail = a->watching = 0;
    a->listed = a->list_open = a->pushed = a->list_news = false;
    a->uids_box = 0;
    for (size_t i = 0; i < a->nboxes; i++) {
        struct sync_box *b = &a->plan[i];
        b->opened = b->was_open = b->failed = b->stuck = b->dirty = b->grew = b->need_uids = false;
        b->thin = b->page_thin = false;
        b->ngaps = 0;
        b->want = (struct sync_span){0};
        b->flags_below = 0;
        a->boxes[i].tries = 0;
        a->boxes[i].same = false;
    }
}

static void retry_fired(void *arg)
{
    struct acct *a = arg;
    a->retry = NULL;
    acct_pump(a);
}

/* Room is made, a disk is mounted: nobody tells us. */
static bool disk_error(enum err_kind kind)
{
    return kind == ERR_DISK_FULL || kind == ERR_IO || kind == ERR_PERMISSION || kind == ERR_NO_FILE ||
           kind == ERR_NO_MAILDIR || kind == ERR_STORE;
}

/* Encryption that failed where it held before is the network's doing (a captive portal, a line cut in the middle), not
 * the configuration's. */
static bool passes(const struct acct *a, enum err_kind kind)
{
    return err_retry(kind) == RETRY_LATER || err_retry(kind) == RETRY_NOW || disk_error(kind) ||
           (a->was_up && kind >= ERR_TLS && kind <= ERR_NO_STARTTLS);
}

void acct_retry_later(struct acct *a, enum err_kind kind, const char *text)
{
    uint32_t random;
    fs_random(&random, sizeof random);
    /* it asked for patience: too many connections, too many logins */
    if (kind == ERR_SERVER_TEMP || disk_error(kind))
        a->attempt = MAX(a->attempt, (unsigned)PATIENCE);
    int64_t delay = sync_backoff_ms(++a->attempt, random);
    a->retry = loop_after(a->srv->loop, delay, retry_fired, a);
    a->again = clock_wall() + (delay + 999) / 1000;
    a->state = ACCOUNT_CONNECTING; /* told again with the new time, though the words be the same */
    acct_state(a, ACCOUNT_WAITING, kind, text);
}

void acct_line_failed(struct acct *a, enum err_kind kind, struct str raw)
{
    char text[400];
    snprintf(text, sizeof text, "%s", acct_command_why(a, SERVICE_INCOMING, kind, clean_line(raw)));
    int64_t now = clock_mono_ms();
    bool was_up = a->line == LINE_UP;
    if (was_up && now - a->up_since >= STABLE_MS)
        a->attempt = 0;
    acct_drop_line(a);
    pop_drop(a, kind, str_z(text));
    watch_free(&a->retry);
    a->secret_wanted = false;
    if (kind == ERR_CANCELED) {
        a->again = 0;
        acct_state(a, a->offline ? ACCOUNT_OFFLINE : ACCOUNT_WAITING, ERR_NONE, a->offline ? "offline" : "");
    } else if (kind == ERR_AUTH && a->secret_typed) {
        a->secret_typed = false; /* asks again, with the server's words */
        snprintf(a->secret_err.text, sizeof a->secret_err.text, "%s", text);
        acct_state(a, ACCOUNT_WAITING, kind, text);
    } else if (passes(a, kind)) {
        acct_retry_later(a, kind, text);
        if (was_up && kind != ERR_CHANNEL) /* of a program's end another note tells */
            acct_note(a, 1, kind, "%s", text);
    } else {
        a->wait_change = true;
        acct_state(a, ACCOUNT_FAILED, kind, text);
        acct_note(a, 2, kind, "%s", text);
    }
    open_fail_all(a, kind == ERR_CANCELED ? ERR_OFFLINE : kind, text, false);
    early_end(a, kind == ERR_CANCELED ? ERR_OFFLINE : kind, text);
    acct_pass_end(a, kind, text);
}

void acct_connected(struct acct *a)
{
    a->line = LINE_UP;
    a->was_up = true;
    a->up_since = clock_mono_ms();
    a->wait_change = false;
    a->secret_wanted = false;
    acct_state(a, ACCOUNT_ONLINE, ERR_NONE, "");
}

static void connect_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)s;
    a->connect_step = 0;
    if (kind == ERR_NONE) {
        acct_connected(a);
        return;
    }
    if (kind == ERR_CANCELED && a->secret_err.kind) {
        struct err err = a->secret_err;
        a->secret_err = ERR_INIT;
        acct_line_failed(a, err.kind, str_z(err.text));
        return;
    }
    acct_line_failed(a, kind, text);
}

/* Does the server say it can? Words of RFC 3501 7.2.1. */
bool acct_announces(struct str caps, const char *word)
{
    struct str piece;
    while (str_split(&caps, ' ', &piece))
        if (str_case_eqz(piece, word))
            return true;
    return false;
}

bool acct_connect(struct acct *a, step_fn *done)
{
    struct buf caps = BUF_INIT(3000), unbound = BUF_INIT(400);
    struct err err = ERR_INIT;
    if (!db_meta_get(a->db, "capabilities", &caps, &err) || !db_meta_get(a->db, "unbound", &unbound, &err))
        acct_db_error(a, &err);
    if (a->imap)
        db_set_labels(a->db, acct_announces(buf_str(&caps), "X-GM-EXT-1"));
    struct step *s = STEP(a, done, -1, STEP_CONNECT, .caps = buf_str(&caps), .unbound = buf_str(&unbound));
    buf_fini(&caps);
    buf_fini(&unbound);
    if (!s)
        return false;
    a->connect_step = s->number;
    a->line = LINE_CONNECTING;
    acct_state(a, ACCOUNT_CONNECTING, ERR_NONE, "");
    return true;
}

static bool may_connect(const struct acct *a)
{
    return a->ready && a->line == LINE_DOWN && !a->offline && !a->held && !a->wait_change && !a->retry &&
           !a->connect_step;
}

void acct_connect_soon(struct acct *a)
{
    if (may_connect(a) && acct_connect(a, connect_done))
        imap_connecting(a);
}

/* Something changed for the better: the user asks, the machine woke, a password came. */
void acct_try_now(struct acct *a)
{
    watch_free(&a->retry);
    a->wait_change = false;
}

void acct_seen(struct acct *a)
{
    if (a->db && a->pop) {
        pop_seen(a);
    } else if (a->retry) {
        watch_free(&a->retry);
        acct_pump(a);
    }
}

static void close_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)s;
    (void)kind;
    if (a->line == LINE_UP)
        acct_line_failed(a, ERR_CANCELED, text);
}

bool acct_closing(const struct acct *a)
{
    for (size_t k = 0; k < a->nsteps; k++)
        if (a->steps[k]->done == close_done)
            return true;
    return false;
}

void acct_renew(struct acct *a)
{
    if (!a->db)
        return;
    a->renew = true;
    a->attempt = 0;
    acct_try_now(a);
    seek_renew(a);
    if (a->poprun)
        pop_stop(a);
    else if (a->connect_step && a->fetch)
        PEER_SEND(a->fetch, -1, STEP_CANCEL, .step = a->connect_step);
    else if (a->line == LINE_UP && !acct_closing(a))
        STEP(a, close_done, -1, STEP_CLOSE, .step = 0);
    acct_pump(a);
}

void acct_set_offline(struct acct *a, bool offline)
{
    bool changes = a->offline != offline;
    a->offline = offline;
    if (offline)
        seek_offline(a);
    if (!a->db) {
        if (!offline)
            acct_retry(a);
        return;
    }
    if (a->held) {
        acct_state(a, ACCOUNT_FAILED, ERR_CONFIG, "changes made for another server or login are held back");
    } else if (!changes && a->state != ACCOUNT_WAITING) {
        return;
    } else if (offline) {
        watch_free(&a->retry);
        if (a->connect_step && a->fetch)
            PEER_SEND(a->fetch, -1, STEP_CANCEL, .step = a->connect_step);
        else if (a->line == LINE_UP)
            STEP(a, close_done, -1, STEP_CLOSE, .step = 0);
        else
            acct_state(a, ACCOUNT_OFFLINE, ERR_NONE, "offline");
    } else {
        a->attempt = 0;
        acct_try_now(a);
        acct_state(a, ACCOUNT_WAITING, ERR_NONE, "");
    }
    acct_pump(a);
}

void acct_woke(struct acct *a)
{
    if (!a->db || a->offline)
        return;
    a->attempt = 0;
    if (!a->wait_change)
        watch_free(&a->retry);
    /* The peer of this line may have given it up long ago: a fresh one is certain. */
    if (a->line == LINE_UP && a->imap)
        STEP(a, close_done, -1, STEP_CLOSE, .step = 0);
    a->pop_due = 0;
}
