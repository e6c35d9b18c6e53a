/* Replay: what the user did goes to the server (or the Maildir) in order, in few commands, and never twice.
 *
 * An intent is marked sent and made durable before its command leaves (db.h). A line lost after that leaves a move,
 * copy or append unknown: it is settled by looking (account_settle.c) before anything is sent again. */
#include "store/replay.h"

#include <unistd.h>

#define LOCAL_MAX 200
#define QUIET_MS 1000
#define RUNS_MAX 4 /* commands under way; what comes meanwhile is merged */

static const char *const verbs[] = {
    [INTENT_FLAGS] = "changing flags",
    [INTENT_TAGS] = "changing tags",
    [INTENT_MOVE] = "moving",
    [INTENT_COPY] = "copying",
    [INTENT_PURGE] = "deleting",
    [INTENT_BOX_CREATE] = "creating the mailbox",
    [INTENT_BOX_RENAME] = "renaming the mailbox",
    [INTENT_BOX_DELETE] = "deleting the mailbox",
    [INTENT_BOX_SUBSCRIBE] = "subscribing to",
    [INTENT_BOX_UNSUBSCRIBE] = "ending the subscription to",
    [INTENT_APPEND] = "saving",
};

const char *verb_of(enum intent_kind kind)
{
    return (unsigned)kind < COUNT(verbs) && verbs[kind] ? verbs[kind] : "changing";
}

void run_free(struct acct *a, struct batch_run *r)
{
    for (struct batch_run **at = &a->batch; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    db_batch_free(&r->mem);
    free(r->looks);
    free(r->claims);
    buf_fini(&r->unseen);
    free(r);
}

/* The mailbox that is full, how full, and the way on. */
static void say_full(struct acct *a, const struct db_batch *b, const char *why)
{
    char count[40] = "a mail";
    if (b->kind != INTENT_APPEND)
        snprintf(count, sizeof count, "%zu message%s", b->nitems, b->nitems == 1 ? "" : "s");
    acct_note(
        a, 2, ERR_OVERQUOTA,
        "%s %s failed: the server has no room for %s of %s%s%s%s; empty the trash or delete for good (D), then do "
        "it again (%.120s)",
        verb_of(b->kind), count, box_words(a, b->target ? b->target : b->box), a->name, a->full_words[0] ? " (" : "",
        a->full_words, a->full_words[0] ? ")" : "", why);
}

/* What the user can do about it. */
static const char *next_step(enum err_kind kind)
{
    return kind == ERR_OVERQUOTA    ? "; all is as before: make room, then do it again"
           : kind == ERR_NO_MAILBOX ? "; all is as before: the mailboxes are listed anew, choose another"
           : kind == ERR_READ_ONLY  ? "; all is as before: it can only be read; copying works"
                                    : "; all is as before";
}

/* What is said of a batch that came to nothing: what, how much, where, why. */
static void say_refused(struct acct *a, const struct db_batch *b, enum err_kind kind, const char *why)
{
    char where[200];
    uint64_t box = b->kind == INTENT_APPEND ? b->target : b->box;
    snprintf(where, sizeof where, "%s", box ? box_words(a, box) : clean_line(b->utf8.n ? b->utf8 : b->arg));
    if (b->nitems > 0 && b->kind != INTENT_APPEND)
        acct_note(a, 2, kind, "%s %zu message%s in %s of %s failed: %s%s", verb_of(b->kind), b->nitems,
                  b->nitems == 1 ? "" : "s", where, a->name, why, next_step(kind));
    else
        acct_note(a, 2, kind, "%s %s%s of %s failed: %s%s", verb_of(b->kind),
                  b->kind == INTENT_APPEND ? "a mail in " : "", where, a->name, why,
                  b->kind == INTENT_APPEND ? "" : next_step(kind));
}

/* A server that names new places named none for these: they were not there any more. */
static bool items_gone(struct acct *a, const struct batch_run *r, struct err *err)
{
    const struct db_batch *b = &r->b;
    bool ok = true;
    if (!a->names_places || (b->kind != INTENT_MOVE && b->kind != INTENT_COPY))
        return true;
    for (size_t i = 0; ok && i < b->nitems; i++) {
        const struct db_item *it = &b->items[i];
        struct db_msg m = {0};
        struct err none = ERR_INIT;
        bool pending = false;
        ok = db_item_pending(a->db, it->intent, it->msg, &pending, err);
        if (!ok || !pending)
            continue;
        db_msg_get(a->db, it->msg, &m, &none);
        acct_note(a, 1, ERR_NO_MESSAGE,
                  "%s \"%.*s\" came too late: another program had moved it out of %s of %s or removed it; it stays as "
                  "that left it",
                  verb_of(b->kind), STR_FMT(str_sub(m.subject, 0, 120)), box_words(a, b->box), a->name);
        ok = db_item_failed(a->db, it->intent, it->msg, ERR_NO_MESSAGE, "the message was gone", err);
    }
    return ok;
}

bool try_later(enum err_kind kind)
{
    return kind == ERR_CANCELED || kind == ERR_SERVER_TEMP || (err_retry(kind) == RETRY_LATER && !line_error(kind));
}

static void run_end(struct acct *a, struct batch_run *r, enum err_kind kind, const char *text)
{
    const struct db_batch *b = &r->b;
    struct err err = ERR_INIT;
    bool ok;
    if (kind == ERR_NONE) {
        a->replay_tries = 0;
        ok = items_gone(a, r, &err) && db_intents_done(a->db, b->intents, b->nintents, &err);
        if (b->kind == INTENT_APPEND && ok)
            outbox_unlink(a->srv, b->arg);
        if (intent_on_box(b->kind)) {
            a->changed_boxes = true;
            a->list_at = 0;
            a->list_wanted = !a->imap;
        }
    } else if (line_error(kind)) {
        ok = db_intents_lost(a->db, b->intents, b->nintents, &err);
    } else if (try_later(kind)) {
        uint32_t random;
        fs_random(&random, sizeof random);
        a->replay_after = clock_mono_ms() + sync_backoff_ms(++a->replay_tries, random);
        ok = db_intents_requeue(a->db, b->intents, b->nintents, &err);
    } else if (b->kind == INTENT_TAGS &&
               (kind == ERR_SERVER_NO || kind == ERR_LIMIT || kind == ERR_PERMISSION || kind == ERR_OVERQUOTA)) {
        char why[200];
        snprintf(why, sizeof why, "the server takes not all tags (%.120s)", text);
        ok = db_tags_stay(a->db, b->intents, b->nintents, why, &err);
    } else {
        if (kind == ERR_OVERQUOTA)
            say_full(a, b, text);
        else
            say_refused(a, b, kind, text);
        if (b->kind == INTENT_APPEND)
            acct_note(a, 2, kind, "the mail is kept as outbox/%s", clean_line(b->arg));
        ok = db_intents_refused(a->db, b->intents, b->nintents, kind, text, &err);
        if (kind == ERR_NO_MAILBOX)
            a->list_at = 0;
    }
    if (!ok)
        acct_db_error(a, &err);
    run_free(a, r);
}

static bool local_items(struct acct *, struct batch_run *);

static bool in_box(const struct db_batch *b)
{
    return b->kind == INTENT_FLAGS || b->kind == INTENT_TAGS || b->kind == INTENT_MOVE || b->kind == INTENT_COPY ||
           b->kind == INTENT_PURGE;
}

static void command_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = s->data;
    struct err err = ERR_INIT;
    if (kind == ERR_NONE && a->pop && r->b.kind == INTENT_PURGE && s->b < r->b.nitems &&
        !db_pop_purged(a->db, s->msg, r->b.items[s->b].name, clock_wall(), &err))
        acct_db_error(a, &err);
    if (kind != ERR_NONE && r->kind == ERR_NONE) {
        /* Of several steps (Maildir) each stands for itself; a program that ended takes all with it, and so does a
         * Maildir that is away: what it would be done to is not gone. */
        if (!a->imap && kind == ERR_NO_MAILDIR) {
            r->kind = ERR_CANCELED;
            a->list_wanted = true;
        } else if (!a->imap && !line_error(kind) && s->msg) {
            const char *why = clean_line(text);
            bool marks = r->b.kind == INTENT_FLAGS || r->b.kind == INTENT_TAGS;
            acct_note(a, 2, kind, "%s%s in %s failed: %s; it is as before", verb_of(r->b.kind),
                      marks ? "" : " a message", box_words(a, r->b.box), why);
            if (!db_item_failed(a->db, s->a, s->msg, kind, why, &err))
                acct_db_error(a, &err);
        } else {
            r->kind = kind;
            snprintf(r->text, sizeof r->text, "%s", clean_line(text));
        }
    }
    r->outstanding--;
    bool by_item = !a->imap && in_box(&r->b);
    if (by_item && r->kind == ERR_NONE && r->at < r->b.nitems && !local_items(a, r) && r->outstanding == 0)
        r->kind = ERR_CHANNEL; /* none of the others can be sent: all of it again, later */
    if (r->outstanding == 0)
        run_end(a, r, r->kind, r->text);
}

/* ---- Commands ----------------------------------------------------------------------------------- */
bool run_sent(struct batch_run *r, struct step *s)
{
    if (!s)
        return false;
    s->data = r;
    r->outstanding++;
    return true;
}

static struct step *append_send(struct acct *a, struct batch_run *r)
{
    const struct db_batch *b = &r->b;
    struct err err = ERR_INIT;
    int fd = outbox_file(a->srv, b->arg, &err);
    struct step *s = NULL;
    if (fd < 0) {
        r->kind = err.kind;
        snprintf(r->text, sizeof r->text, "%s", err.text);
        return NULL;
    }
    uint32_t replaces = 0;
    if (a->imap && b->nintents && db_append_replaces(a->db, b->intents[0], b->target, &replaces, &err) && replaces)
        a->tail = 0; /* fetch may select the mailbox for it */
    if (a->imap)
        s = STEP(a, command_done, fd, STEP_APPEND, .box = b->target, .name = b->target_name, .flags = b->set,
                 .internal_date = b->nitems ? b->items[0].internal_date : 0, .replaces = replaces,
                 .keywords = b->nitems ? b->items[0].keywords : STR(""));
    else
        s = STEP(a, command_done, fd, STEP_MAILDIR_ADD, .box = b->target, .folder = b->target_name, .flags = b->set,
                 .arrived = b->nitems ? b->items[0].internal_date : 0);
    close(fd);
    if (s && b->nitems) {
        s->msg = b->items[0].msg;
        s->a = b->items[0].intent;
    }
    return s;
}

static uint8_t op_of(enum intent_kind kind)
{
    return kind == INTENT_BOX_CREATE      ? BOX_CREATE
           : kind == INTENT_BOX_RENAME    ? BOX_RENAME
           : kind == INTENT_BOX_SUBSCRIBE ? BOX_SUBSCRIBE
           : kind == INTENT_BOX_DELETE    ? BOX_DELETE
                                          : BOX_UNSUBSCRIBE;
}

/* What a mailbox that is made is for: the account's own one of a role, so that other programs use it too (RFC 6154). */
static uint8_t role_of_new(struct acct *a, const struct db_batch *b)
{
    struct db_box made, of_role;
    struct err err = ERR_INIT;
    bool is = b->kind == INTENT_BOX_CREATE && db_box_get(a->db, b->box, &made, &err) && made.role > BOX_INBOX &&
              made.role <= BOX_JUNK;
    uint8_t role = is ? made.role : BOX_NONE;
    return role && db_box_by_role(a->db, role, &of_role, &err) && of_role.id == b->box ? role : BOX_NONE;
}

bool stays_behind(struct acct *a, const struct db_batch *b)
{
    ptrdiff_t from = box_at(a, b->box), to = box_at(a, b->target);
    return from >= 0 && a->boxes[from].role == BOX_ALL && to >= 0 && a->boxes[to].role != BOX_TRASH &&
           a->boxes[to].role != BOX_JUNK;
}

static bool batch_uids(const struct db_batch *b, struct buf *out)
{
    struct uid_set set = UID_SET_INIT(BATCH_MAX);
    for (size_t i = 0; i < b->nitems; i++)
        uid_set_add(&set, b->items[i].uid);
    bool ok = b->uids.n ? buf_adds(out, b->uids) : uid_set_pack(&set, out);
    uid_set_fini(&set);
    return ok;
}

/* Of its UIDs; 0: none. */
static uint32_t validity_of(struct acct *a, const struct db_batch *b)
{
    ptrdiff_t i = box_at(a, b->box);
    return b->uidvalidity ? b->uidvalidity : b->uids.n && i >= 0 ? a->boxes[i].uidvalidity : 0;
}

static bool send_imap(struct acct *a, struct batch_run *r)
{
    const struct db_batch *b = &r->b;
    struct buf uids = BUF_INIT(32768);
    struct step *s = NULL;
    uint32_t validity = validity_of(a, b);
    struct buf keywords = BUF_INIT(16384);
    struct err err = ERR_INIT;
    bool ok = batch_uids(b, &uids);
    if (ok && b->kind == INTENT_TAGS && !db_tags_wire(a->db, b->box, b->arg, &keywords, &err))
        ok = false, acct_db_error(a, &err);
    if (ok && in_box(b))
        ok = uids.n > 0 && imap_select(a, b->box, false);
    if (ok) {
        switch (b->kind) {
        case INTENT_FLAGS:
        case INTENT_TAGS:
            s = STEP(a, command_done, -1, STEP_STORE, .box = b->box, .uids = buf_str(&uids), .uidvalidity = validity,
                     .add = b->set, .remove = b->clear, .keywords = buf_str(&keywords));
            break;
        case INTENT_MOVE:
        case INTENT_COPY:
            s = STEP(a, command_done, -1, STEP_MOVE, .box = b->box, .uids = buf_str(&uids), .uidvalidity = validity,
                     .target = b->target, .target_name = b->target_name,
                     .copy = b->kind == INTENT_COPY || stays_behind(a, b));
            break;
        case INTENT_PURGE:
            s = STEP(a, command_done, -1, STEP_EXPUNGE, .box = b->box, .uids = buf_str(&uids), .uidvalidity = validity);
            break;
        case INTENT_APPEND:
            s = append_send(a, r);
            break;
        default:
            s = STEP(a, command_done, -1, STEP_BOX, .op = op_of(b->kind),
                     .name = b->kind == INTENT_BOX_CREATE ? b->arg : b->box_name,
                     .to = b->kind == INTENT_BOX_RENAME ? b->arg : STR(""), .role = role_of_new(a, b));
            break;
        }
    }
    buf_fini(&uids);
    buf_fini(&keywords);
    return run_sent(r, s);
}

static struct step *local_item(struct acct *a, const struct db_batch *b, const struct db_item *it)
{
    struct db_msg m;
    struct err err = ERR_INIT;
    uint32_t flags = 0;
    uint64_t key = 0;
    bool again = false;
    switch (b->kind) {
    case INTENT_FLAGS:
        if (db_msg_get(a->db, it->msg, &m, &err))
            flags = m.sflags;
        return STEP(a, command_done, -1, STEP_MAILDIR_FLAGS, .box = b->box, .folder = b->box_name, .name = it->name,
                    .flags = (flags | b->set) & ~b->clear);
    case INTENT_MOVE:
    case INTENT_COPY:
        if (it->copy)
            again = db_copy_begins(a->db, it->copy, &key);
        return STEP(a, command_done, -1, STEP_MAILDIR_MOVE, .box = b->box, .folder = b->box_name, .name = it->name,
                    .target = b->target, .target_folder = b->target_name, .copy = b->kind == INTENT_COPY, .key = key,
                    .again = again);
    case INTENT_PURGE:
        return STEP(a, command_done, -1, STEP_MAILDIR_REMOVE, .box = b->box, .folder = b->box_name, .name = it->name);
    default:
        return NULL;
    }
}

/* The next items of a batch, as many as may be under way; true: there are some. The others go as these come back. */
static bool local_items(struct acct *a, struct batch_run *r)
{
    const struct db_batch *b = &r->b;
    while (r->at < b->nitems && r->outstanding < LOCAL_MAX) {
        struct step *s = local_item(a, b, &b->items[r->at]);
        if (!run_sent(r, s))
            break;
        s->msg = b->items[r->at].msg;
        s->a = b->items[r->at].intent;
        s->b = r->at++;
    }
    return r->outstanding > 0;
}

static bool send_local(struct acct *a, struct batch_run *r)
{
    const struct db_batch *b = &r->b;
    if (b->kind == INTENT_APPEND)
        return run_sent(r, append_send(a, r));
    if (intent_on_box(b->kind))
        return run_sent(r, STEP(a, command_done, -1, STEP_MAILDIR_BOX, .op = op_of(b->kind),
                                .folder = b->kind == INTENT_BOX_CREATE ? b->arg : b->box_name,
                                .to = b->kind == INTENT_BOX_RENAME ? b->arg : STR("")));
    r->at = 0;
    return local_items(a, r);
}

/* ---- Answers ------------------------------------------------------------------------------------ */
static const struct db_item *item_of_uid(const struct db_batch *b, uint32_t uid)
{
    for (size_t i = 0; i < b->nitems; i++)
        if (b->items[i].uid == uid)
            return &b->items[i];
    return NULL;
}

static void on_moved(struct acct *a, const struct m_MOVED *m)
{
    struct step *s = acct_step_find(a, m->step, MSG_STEP_MOVE);
    const struct batch_run *r = s ? s->data : NULL;
    const struct db_item *it = r ? item_of_uid(&r->b, m->uid) : NULL;
    struct err err = ERR_INIT;
    if (!it || m->box != r->b.box || m->target != r->b.target) {
        acct_violation(a, "a move that was not asked for");
        return;
    }
    struct db_msg copy;
    if (!db_item_moved(a->db, it->intent, it->msg, m->uidvalidity, m->uid_to, STR(""), &err))
        acct_db_error(a, &err);
    else if (it->copy && db_msg_get(a->db, it->copy, &copy, &err))
        open_link(a, &copy, false); /* one file for both; where none is here, the first that is fetched */
}

static void on_appended(struct acct *a, const struct m_APPENDED *m)
{
    struct step *s = acct_step_find(a, m->step, MSG_STEP_APPEND);
    const struct batch_run *r = s ? s->data : NULL;
    struct err err = ERR_INIT;
    if (!r || m->box != r->b.target) {
        acct_violation(a, "an append that was not asked for");
        return;
    }
    if (!db_item_moved(a->db, r->b.intents[0], 0, m->uidvalidity, m->uid, STR(""), &err))
        acct_db_error(a, &err);
}

static bool name_ok(struct str name)
{
    size_t at;
    return name.n > 0 && name.n <= 255 && name.p[0] != '.' && !str_find(name, '/', &at) && !str_find(name, '\0', &at);
}

static void on_is(struct acct *a, const struct m_MAILDIR_IS *m)
{
    struct err err = ERR_INIT;
    struct step *s = NULL;
    if (acct_step_find(a, m->step, MSG_STEP_POP_BODY)) {
        if (name_ok(m->name))
            pop_body_is(a, m);
        else
            acct_violation(a, "a file that was not asked for");
        return;
    }
    for (size_t i = 0; i < a->nsteps; i++)
        if (a->steps[i]->number == m->step && a->steps[i]->done == command_done)
            s = a->steps[i];
    const struct batch_run *r = s ? s->data : NULL;
    if (!r || !name_ok(m->name) || (m->path.n > 0 && !acct_path_ok(m->path))) {
        acct_violation(a, "a file that was not asked for");
        return;
    }
    const struct db_batch *b = &r->b;
    const struct db_item *it = s->b < b->nitems ? &b->items[s->b] : NULL;
    uint64_t msg = b->kind == INTENT_COPY && it ? it->copy : s->msg;
    bool ok;
    if (b->kind == INTENT_FLAGS)
        ok = db_name_is(a->db, s->msg, b->box, m->name, m->flags, &err);
    else
        ok = db_item_moved(a->db, b->kind == INTENT_APPEND ? b->intents[0] : s->a,
                           b->kind == INTENT_APPEND ? 0 : s->msg, 0, 0, m->name, &err);
    /* The file's place is what the index knows it by. */
    if (!ok || (msg && m->path.n > 0 && !db_path_is(a->db, msg, m->path, &err)))
        acct_db_error(a, &err);
}

void replay_message(struct acct *a, struct msg *m)
{
    switch (m->kind) {
    case MSG_MOVED:
        on_moved(a, &m->u.MOVED);
        break;
    case MSG_FOUND:
        if (!open_found(a, &m->u.FOUND))
            settle_found(a, &m->u.FOUND);
        break;
    case MSG_APPENDED:
        on_appended(a, &m->u.APPENDED);
        break;
    default:
        on_is(a, &m->u.MAILDIR_IS);
        break;
    }
}

/* ---- What next ---------------------------------------------------------------------------------- */
bool replay_pending(struct acct *a)
{
    struct db_counts c = {0};
    struct err err = ERR_INIT;
    return a->batch || (!a->held && db_intent_counts(a->db, &c, &err) && c.queued > 0 && !a->wake &&
                        a->replay_after <= clock_mono_ms());
}

static void wake_fired(void *arg)
{
    struct acct *a = arg;
    a->wake = NULL;
    acct_settle(a);
}

static void quiet_over(void *arg)
{
    struct acct *a = arg;
    a->quiet = NULL;
    acct_settle(a);
}

bool replay_quiet(struct acct *a)
{
    int64_t left = a->acted_at ? a->acted_at + QUIET_MS - clock_mono_ms() : 0;
    if (left > 0 && !a->quiet)
        a->quiet = loop_after(a->srv->loop, left, quiet_over, a);
    return left > 0;
}

static bool needs_places(const struct acct *a, const struct db_batch *b)
{
    if (!a->imap)
        return false;
    for (size_t i = 0; i < b->nitems && b->kind != INTENT_APPEND; i++)
        if (b->items[i].uid == 0)
            return true;
    return false;
}

static void next_known(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)kind;
    (void)text;
    run_free(a, s->data); /* chosen again, now with the answer, if there was one */
}

/* Where the target's UIDNEXT is not known, an outcome that is lost could not be told: asked first. */
static bool needs_next(const struct acct *a, const struct db_batch *b)
{
    return a->imap && b->target && b->target != a->selected && b->target_next == 0 && a->next_asked != b->target;
}

static bool begin_commands(struct acct *a, struct batch_run *r)
{
    struct err err = ERR_INIT;
    a->next_asked = 0;
    a->acted_at = clock_mono_ms();
    r->phase = PHASE_COMMAND;
    if (!db_intents_sent(a->db, r->b.intents, r->b.nintents, &err) || !db_sync(a->db, &err)) {
        acct_db_error(a, &err);
        run_free(a, r);
        return false;
    }
    if (a->imap ? send_imap(a, r) : send_local(a, r))
        return true;
    /* Nothing left this program: so it is not under way. */
    run_end(a, r, r->kind ? r->kind : ERR_CANCELED, r->text);
    return false;
}

static struct batch_run *run_new(struct acct *a, const struct db_batch *b)
{
    struct batch_run *r = mem_new(sizeof *r), **at = &a->batch;
    *r = (struct batch_run){.b = *b, .mem = db_batch_take(a->db)};
    while (*at)
        at = &(*at)->next;
    return *at = r;
}

/* UIDs may have become those of other messages since they were learnt (THREATS 44, 45): without UIDVALIDITY with each
 * selection, without MODSEQ, which would tell, while the line was away. The server is asked what they are now. */
static bool needs_check(struct acct *a, const struct db_batch *b)
{
    ptrdiff_t i = a->imap && in_box(b) ? box_at(a, b->box) : -1;
    if (i < 0 || !(b->nitems || b->uids.n))
        return false;
    if (!validity_of(a, b))
        return a->selected != b->box || a->tail != b->box;
    return b->nitems && !a->boxes[i].modseq && !a->boxes[i].same;
}

static void check_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = s->data;
    r->outstanding = 0;
    r->phase = PHASE_CHECKED;
    snprintf(r->text, sizeof r->text, "%s", clean_line(text));
    if (kind != ERR_NONE)
        run_end(a, r, kind, r->text);
}

/* Goes where nothing has come between; else it is chosen again, with what is known now. */
static void checked_go(struct acct *a, struct batch_run *r)
{
    const struct db_batch *b = &r->b;
    struct err err = ERR_INIT;
    bool stands = true;
    for (size_t i = 0; stands && i < b->nintents; i++)
        stands = db_intent_state(a->db, b->intents[i]) == INTENT_QUEUED;
    for (size_t i = 0; stands && i < b->nitems; i++)
        if (!db_item_stands(a->db, b->items[i].intent, b->items[i].msg, b->items[i].uid, &stands, &err)) {
            acct_db_error(a, &err);
            stands = false;
        }
    if (stands)
        begin_commands(a, r);
    else
        run_free(a, r);
}

static bool check_send(struct acct *a, struct batch_run *r)
{
    struct buf uids = BUF_INIT(32768);
    r->phase = PHASE_FIND;
    bool ok = batch_uids(&r->b, &uids) && imap_select(a, r->b.box, false) &&
              run_sent(r, STEP(a, check_done, -1, STEP_FLAGS, .box = r->b.box, .uids = buf_str(&uids)));
    buf_fini(&uids);
    return ok;
}

/* Ranges that hold messages without a row: which of them are unread? */
void replay_unseen(struct acct *a, struct step *s, const struct m_UIDS *u)
{
    struct batch_run *r = s->data;
    if (u->box != r->b.box || !buf_adds(&r->unseen, u->ranges))
        acct_violation(a, "UIDs that were not asked for");
}

static void unseen_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = s->data;
    struct err err = ERR_INIT;
    struct buf normal = BUF_INIT(16u << 20);
    (void)text;
    /* A server that cannot say it: all that is meant is marked. */
    bool knows = kind == ERR_NONE && ranges_normal(buf_str(&r->unseen), &normal);
    if (!line_error(kind) && !try_later(kind) &&
        !db_span_narrow(a->db, r->b.intents[0], knows ? buf_str(&normal) : r->b.uids, &err))
        acct_db_error(a, &err);
    buf_fini(&normal);
    run_free(a, r); /* chosen again */
}

static bool unseen_send(struct acct *a, struct batch_run *r)
{
    r->phase = PHASE_FIND;
    r->unseen = BUF_INIT(16u << 20);
    return imap_select(a, r->b.box, false) &&
           run_sent(r, STEP(a, unseen_done, -1, STEP_UIDS, .box = r->b.box, .among = r->b.uids));
}

/* One more batch on its way; false: nothing may go now. */
static bool replay_one(struct acct *a)
{
    struct err err = ERR_INIT;
    struct db_batch b = {0};
    int64_t due = 0, now = clock_wall();
    bool alone = !a->batch;
    if (alone && a->imap && !db_unknown_next(a->db, &b, &err)) {
        acct_db_error(a, &err);
        return false;
    }
    if (b.nintents > 0) {
        settle_begin(a, run_new(a, &b), PHASE_SETTLE);
        return false;
    }
    if (!db_intent_next(a->db, now, a->imap ? BATCH_MAX : LOCAL_MAX, &b, &due, &err)) {
        acct_db_error(a, &err);
        return false;
    }
    if (b.nintents == 0) {
        if (!alone)
            return false;
        watch_free(&a->wake);
        if (due > 0)
            a->wake =
                loop_after(a->srv->loop, MIN(MAX(due - now, (int64_t)0), (int64_t)3600) * 1000 + 50, wake_fired, a);
        return false;
    }
    bool places = needs_places(a, &b), next = needs_next(a, &b), unseen = b.uids.n && str_eqz(b.arg, "?"),
         check = !places && needs_check(a, &b);
    if ((places || next || unseen || check) && !alone)
        return false; /* looking is done with nothing else under way */
    struct batch_run *r = run_new(a, &b);
    if (!places && claim_begin(a, r))
        return false;
    if (unseen) {
        if (!unseen_send(a, r))
            run_free(a, r);
        return false;
    }
    if (places) {
        imap_select(a, b.box, false); /* what is found there stands until the command */
        settle_begin(a, r, PHASE_FIND);
        return false;
    }
    if (next) {
        a->next_asked = b.target;
        r->phase = PHASE_FIND;
        if (run_sent(r, STEP(a, next_known, -1, STEP_STATUS, .names = b.target_name)))
            return false;
    }
    if (check) {
        if (!check_send(a, r))
            run_free(a, r);
        return false;
    }
    return begin_commands(a, r);
}

bool replay_pump(struct acct *a)
{
    if (a->held || !a->ready || (a->imap && a->line != LINE_UP) || clock_mono_ms() < a->replay_after)
        return a->batch != NULL;
    /* A SELECT for something else that is on its way would come between. */
    if (a->urgent_step)
        return a->batch != NULL;
    size_t runs = 0;
    bool looking = false;
    if (a->batch && a->batch->phase == PHASE_CHECKED)
        checked_go(a, a->batch);
    for (const struct batch_run *r = a->batch; r; r = r->next, runs++)
        looking = looking || r->phase != PHASE_COMMAND;
    for (; !looking && runs < (a->imap ? RUNS_MAX : 1) && replay_one(a); runs++)
        ;
    return a->batch != NULL;
}

void replay_drop(struct acct *a, enum err_kind kind)
{
    /* The steps failed before; what is left of a batch had none under way. */
    while (a->batch)
        if (a->batch->phase == PHASE_COMMAND)
            run_end(a, a->batch, kind, "");
        else
            run_free(a, a->batch);
}
