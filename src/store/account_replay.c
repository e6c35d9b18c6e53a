/* Replay: what the user did goes to the server (or the Maildir) in order, in few commands, and never twice.
 *
 * An intent is marked sent and made durable before its command leaves (db.h). A line lost after that leaves a move,
 * copy or append unknown: it is settled by looking at both mailboxes before anything is sent again. One batch at a
 * time. */
#include "store/account.h"

#include <unistd.h>

#define BATCH_MAX 1000
#define LOCAL_MAX 200
#define SETTLE_MAX 100

enum phase { PHASE_COMMAND, PHASE_FIND /* places unknown */, PHASE_SETTLE /* outcome unknown */ };
struct look {
    bool asked;
    bool source, target, twice; /* found there; more than one */
    uint32_t uidvalidity, uid, source_uid;
};
struct batch_run {
    struct db_batch b; /* borrowed from the db until the next batch */
    enum phase phase;
    unsigned outstanding;
    size_t at, n;  /* PHASE_SETTLE: items under inspection */
    size_t halves; /* copied, but the original is still there */
    struct look *looks;
    enum err_kind kind; /* first failure */
    char text[400];
    bool requeue;
};

static const char *const verbs[] = {
    [INTENT_FLAGS] = "changing flags",
    [INTENT_TAGS] = "changing tags",
    [INTENT_MOVE] = "moving",
    [INTENT_COPY] = "copying",
    [INTENT_PURGE] = "deleting",
    [INTENT_BOX_CREATE] = "creating the mailbox",
    [INTENT_BOX_RENAME] = "renaming the mailbox",
    [INTENT_BOX_DELETE] = "deleting the mailbox",
    [INTENT_APPEND] = "saving",
};

static const char *verb_of(enum intent_kind kind)
{
    return (unsigned)kind < COUNT(verbs) && verbs[kind] ? verbs[kind] : "changing";
}

static void run_free(struct acct *a)
{
    free(a->batch->looks);
    free(a->batch);
    a->batch = NULL;
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
        "it again. It said \"%.120s\"",
        verb_of(b->kind), count, box_words(a, b->target ? b->target : b->box), a->name, a->full_words[0] ? " (" : "",
        a->full_words, a->full_words[0] ? ")" : "", why);
}

/* What is said of a batch that came to nothing: what, how much, where, why. */
static void say_refused(struct acct *a, const struct db_batch *b, enum err_kind kind, const char *why)
{
    char where[200];
    uint64_t box = b->kind == INTENT_APPEND ? b->target : b->box;
    snprintf(where, sizeof where, "%s", box ? box_words(a, box) : clean_line(b->utf8.n ? b->utf8 : b->arg));
    if (b->nitems > 0 && b->kind != INTENT_APPEND)
        acct_note(a, 2, kind, "%s %zu message%s in %s of %s was refused: \"%s\"", verb_of(b->kind), b->nitems,
                  b->nitems == 1 ? "" : "s", where, a->name, why);
    else
        acct_note(a, 2, kind, "%s %s %s of %s was refused: \"%s\"", verb_of(b->kind),
                  b->kind == INTENT_APPEND ? "a mail in" : "", where, a->name, why);
}

static bool try_later(enum err_kind kind)
{
    return kind == ERR_CANCELED || kind == ERR_SERVER_TEMP || (err_retry(kind) == RETRY_LATER && !line_error(kind));
}

static void run_end(struct acct *a, enum err_kind kind, const char *text)
{
    struct batch_run *r = a->batch;
    const struct db_batch *b = &r->b;
    struct err err = ERR_INIT;
    bool ok;
    if (kind == ERR_NONE) {
        a->replay_tries = 0;
        ok = db_intents_done(a->db, b->intents, b->nintents, &err);
        if (b->kind == INTENT_APPEND && ok)
            outbox_unlink(a->srv, b->arg);
        if (b->kind >= INTENT_BOX_CREATE && b->kind <= INTENT_BOX_DELETE) {
            a->changed_boxes = true;
            a->list_at = 0;
            a->scan_wanted = a->scan_wanted || !a->imap;
        }
    } else if (line_error(kind)) {
        ok = db_intents_lost(a->db, b->intents, b->nintents, &err);
    } else if (try_later(kind)) {
        uint32_t random;
        fs_random(&random, sizeof random);
        a->replay_after = clock_mono_ms() + sync_backoff_ms(++a->replay_tries, random);
        ok = db_intents_requeue(a->db, b->intents, b->nintents, &err);
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
    run_free(a);
}

static void command_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = a->batch;
    struct err err = ERR_INIT;
    if (!r)
        return;
    if (kind != ERR_NONE && r->kind == ERR_NONE) {
        /* Of several steps (Maildir) each stands for itself; a program that ended takes all with it. */
        if (!a->imap && !line_error(kind) && s->msg) {
            const char *why = clean_line(text);
            acct_note(a, 2, kind, "%s a message in %s of %s was refused: \"%s\"", verb_of(r->b.kind),
                      box_words(a, r->b.box), a->name, why);
            if (!db_item_failed(a->db, s->a, s->msg, kind, why, &err))
                acct_db_error(a, &err);
        } else {
            r->kind = kind;
            snprintf(r->text, sizeof r->text, "%s", clean_line(text));
        }
    }
    if (--r->outstanding == 0)
        run_end(a, r->kind, r->text);
}

/* ---- Commands ----------------------------------------------------------------------------------- */
static bool sent(struct acct *a, struct step *s)
{
    if (!s)
        return false;
    a->batch->outstanding++;
    return true;
}

static struct step *append_send(struct acct *a, const struct db_batch *b)
{
    struct err err = ERR_INIT;
    int fd = outbox_file(a->srv, b->arg, &err);
    struct step *s = NULL;
    if (fd < 0) {
        a->batch->kind = err.kind;
        snprintf(a->batch->text, sizeof a->batch->text, "%s", err.text);
        return NULL;
    }
    uint32_t replaces = 0;
    if (a->imap && b->nintents && db_append_replaces(a->db, b->intents[0], b->target, &replaces, &err) && replaces)
        a->tail = 0; /* fetch may select the mailbox for it */
    if (a->imap)
        s = STEP(a, command_done, fd, STEP_APPEND, .box = b->target, .name = b->target_name, .flags = b->set,
                 .internal_date = b->nitems ? b->items[0].internal_date : 0, .replaces = replaces);
    else
        s = STEP(a, command_done, fd, STEP_MAILDIR_ADD, .box = b->target, .folder = b->target_name, .flags = b->set);
    close(fd);
    if (s && b->nitems) {
        s->msg = b->items[0].msg;
        s->a = b->items[0].intent;
    }
    return s;
}

static uint8_t op_of(enum intent_kind kind)
{
    return kind == INTENT_BOX_CREATE ? BOX_CREATE : kind == INTENT_BOX_RENAME ? BOX_RENAME : BOX_DELETE;
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

static bool send_imap(struct acct *a, const struct db_batch *b)
{
    struct uid_set set = UID_SET_INIT(BATCH_MAX);
    struct buf uids = BUF_INIT(32768);
    struct step *s = NULL;
    for (size_t i = 0; i < b->nitems; i++)
        uid_set_add(&set, b->items[i].uid);
    bool ok = uid_set_pack(&set, &uids);
    bool in_box = b->kind == INTENT_FLAGS || b->kind == INTENT_TAGS || b->kind == INTENT_MOVE ||
                  b->kind == INTENT_COPY || b->kind == INTENT_PURGE;
    if (ok && in_box)
        ok = uids.n > 0 && imap_select(a, b->box, false);
    if (ok) {
        switch (b->kind) {
        case INTENT_FLAGS:
        case INTENT_TAGS:
            s = STEP(a, command_done, -1, STEP_STORE, .box = b->box, .uids = buf_str(&uids), .add = b->set,
                     .remove = b->clear, .keywords = b->kind == INTENT_TAGS ? b->arg : STR(""));
            break;
        case INTENT_MOVE:
        case INTENT_COPY:
            s = STEP(a, command_done, -1, STEP_MOVE, .box = b->box, .uids = buf_str(&uids), .target = b->target,
                     .target_name = b->target_name, .copy = b->kind == INTENT_COPY);
            break;
        case INTENT_PURGE:
            s = STEP(a, command_done, -1, STEP_EXPUNGE, .box = b->box, .uids = buf_str(&uids));
            break;
        case INTENT_APPEND:
            s = append_send(a, b);
            break;
        default:
            s = STEP(a, command_done, -1, STEP_BOX, .op = op_of(b->kind),
                     .name = b->kind == INTENT_BOX_CREATE ? b->arg : b->box_name,
                     .to = b->kind == INTENT_BOX_RENAME ? b->arg : STR(""), .role = role_of_new(a, b));
            break;
        }
    }
    uid_set_fini(&set);
    buf_fini(&uids);
    return sent(a, s);
}

static struct step *local_item(struct acct *a, const struct db_batch *b, const struct db_item *it)
{
    struct db_msg m;
    struct err err = ERR_INIT;
    uint32_t flags = 0;
    switch (b->kind) {
    case INTENT_FLAGS:
        if (db_msg_get(a->db, it->msg, &m, &err))
            flags = m.sflags;
        return STEP(a, command_done, -1, STEP_MAILDIR_FLAGS, .box = b->box, .folder = b->box_name, .name = it->name,
                    .flags = (flags | b->set) & ~b->clear);
    case INTENT_MOVE:
    case INTENT_COPY:
        return STEP(a, command_done, -1, STEP_MAILDIR_MOVE, .box = b->box, .folder = b->box_name, .name = it->name,
                    .target = b->target, .target_folder = b->target_name, .copy = b->kind == INTENT_COPY);
    case INTENT_PURGE:
        return STEP(a, command_done, -1, STEP_MAILDIR_REMOVE, .box = b->box, .folder = b->box_name, .name = it->name);
    default:
        return NULL;
    }
}

static bool send_local(struct acct *a, const struct db_batch *b)
{
    if (b->kind == INTENT_APPEND)
        return sent(a, append_send(a, b));
    if (b->kind >= INTENT_BOX_CREATE && b->kind <= INTENT_BOX_DELETE)
        return sent(a, STEP(a, command_done, -1, STEP_MAILDIR_BOX, .op = op_of(b->kind),
                            .folder = b->kind == INTENT_BOX_CREATE ? b->arg : b->box_name,
                            .to = b->kind == INTENT_BOX_RENAME ? b->arg : STR("")));
    bool any = false;
    for (size_t i = 0; i < b->nitems; i++) {
        struct step *s = local_item(a, b, &b->items[i]);
        if (s) {
            s->msg = b->items[i].msg;
            s->a = b->items[i].intent;
            s->b = i;
        }
        any = sent(a, s) || any;
    }
    return any;
}

/* ---- Places and outcomes that are not known: looking -------------------------------------------- */
static void look_done(struct acct *a, struct step *s, enum err_kind kind, struct str text);

static bool look_send(struct acct *a, size_t item, bool target)
{
    const struct db_batch *b = &a->batch->b;
    const struct db_item *it = &b->items[item];
    struct step *s = STEP(a, look_done, -1, STEP_FIND, .box = target ? b->target : b->box,
                          .name = target ? b->target_name : b->box_name, .msgid = it->msgid, .size = it->size,
                          .uid = target ? 0 : it->uid, .uid_lo = target ? b->target_next : 0);
    if (s) {
        s->a = item;
        s->b = target;
        s->box = target ? b->target : b->box;
    }
    a->tail = 0; /* fetch may have looked into another mailbox */
    return sent(a, s);
}

static void unsettled(struct acct *a, const struct db_item *it, enum err_kind kind, const char *why)
{
    struct err err = ERR_INIT;
    const struct db_batch *b = &a->batch->b;
    acct_note(a, 2, kind, "%s a message of %s in %s: %s", verb_of(b->kind), a->name, box_words(a, b->box), why);
    if (!db_item_failed(a->db, it->intent, it->msg, kind, why, &err))
        acct_db_error(a, &err);
}

static void settle_item(struct acct *a, const struct db_item *it, struct look *l)
{
    struct batch_run *r = a->batch;
    struct err err = ERR_INIT;
    if (it->msgid.n == 0 && it->size == 0)
        unsettled(a, it, ERR_UNKNOWN_OUTCOME, "it was cut off and cannot be looked up: look in both mailboxes");
    else if (r->b.kind == INTENT_MOVE && l->source && l->target)
        r->halves++; /* a COPY that came without its deletion */
    else if (l->target &&
             !db_item_moved(a->db, it->intent, it->msg, l->uidvalidity, l->twice ? 0 : l->uid, STR(""), &err))
        acct_db_error(a, &err);
    else if (!l->target && (l->source || r->b.kind != INTENT_MOVE))
        r->requeue = true;
    else if (!l->target)
        unsettled(a, it, ERR_NO_MESSAGE, "it is neither there nor in the target of the move any more");
}

static bool settle_send(struct acct *a)
{
    struct batch_run *r = a->batch;
    r->n = MIN(r->b.nitems - r->at, (size_t)SETTLE_MAX);
    bool any = false;
    for (size_t i = r->at; i < r->at + r->n; i++) {
        if (r->b.items[i].msgid.n == 0 && r->b.items[i].size == 0)
            continue;
        if (r->b.kind == INTENT_MOVE)
            any = look_send(a, i, false) || any;
        any = look_send(a, i, true) || any;
    }
    return any;
}

static void settle_end(struct acct *a)
{
    struct batch_run *r = a->batch;
    struct err err = ERR_INIT;
    bool ok = r->requeue ? db_intents_requeue(a->db, r->b.intents, r->b.nintents, &err)
                         : db_intents_done(a->db, r->b.intents, r->b.nintents, &err);
    if (!ok)
        acct_db_error(a, &err);
    if (!r->requeue && r->b.kind == INTENT_APPEND)
        outbox_unlink(a->srv, r->b.arg);
    run_free(a);
}

/* The originals of what was copied have gone, or are at least marked: the moves are whole. */
static void halves_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = a->batch;
    struct err err = ERR_INIT;
    (void)s;
    (void)text;
    if (!r)
        return;
    if (line_error(kind) || try_later(kind)) {
        run_free(a); /* looked up again when the line is back */
        return;
    }
    for (size_t i = 0; i < r->b.nitems; i++) {
        const struct look *l = &r->looks[i];
        const struct db_item *it = &r->b.items[i];
        if (l->source && l->target &&
            !db_item_moved(a->db, it->intent, it->msg, l->uidvalidity, l->twice ? 0 : l->uid, STR(""), &err))
            acct_db_error(a, &err);
    }
    settle_end(a);
}

static bool halves_send(struct acct *a)
{
    struct batch_run *r = a->batch;
    struct uid_set set = UID_SET_INIT(BATCH_MAX);
    struct buf uids = BUF_INIT(32768);
    for (size_t i = 0; i < r->b.nitems; i++)
        if (r->looks[i].source && r->looks[i].target)
            uid_set_add(&set, r->b.items[i].uid ? r->b.items[i].uid : r->looks[i].source_uid);
    bool ok = uid_set_pack(&set, &uids) && imap_select(a, r->b.box, false) &&
              sent(a, STEP(a, halves_done, -1, STEP_EXPUNGE, .box = r->b.box, .uids = buf_str(&uids)));
    uid_set_fini(&set);
    buf_fini(&uids);
    return ok;
}

static void settle_next(struct acct *a)
{
    struct batch_run *r = a->batch;
    for (;;) {
        for (size_t i = r->at; i < r->at + r->n; i++)
            settle_item(a, &r->b.items[i], &r->looks[i]);
        r->at += r->n;
        if (r->at >= r->b.nitems)
            break;
        if (settle_send(a))
            return;
    }
    if (!r->halves)
        settle_end(a);
    else if (!halves_send(a))
        run_free(a);
}

static void find_next(struct acct *a)
{
    struct batch_run *r = a->batch;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < r->b.nitems; i++) {
        const struct db_item *it = &r->b.items[i];
        const struct look *l = &r->looks[i];
        bool ok = true;
        if (it->uid != 0 || (!l->asked && it->msgid.n > 0))
            continue;
        if (l->source && !l->twice) {
            ok = db_item_found(a->db, it->msg, r->b.box, l->uidvalidity, l->uid, &err);
        } else {
            acct_note(a, 2, ERR_NO_MESSAGE, "%s a message in %s of %s: %s", verb_of(r->b.kind), box_words(a, r->b.box),
                      a->name, l->twice ? "it is there twice" : "it is not there any more");
            ok = db_item_failed(a->db, it->intent, it->msg, ERR_NO_MESSAGE, "not found in its mailbox", &err);
        }
        if (!ok)
            acct_db_error(a, &err);
    }
    run_free(a); /* asked for again, now with places */
}

static void look_done(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    struct batch_run *r = a->batch;
    (void)s;
    (void)text;
    if (!r)
        return;
    a->selected = 0;
    if (kind != ERR_NONE && (line_error(kind) || try_later(kind)) && r->kind == ERR_NONE)
        r->kind = kind;
    if (--r->outstanding > 0)
        return;
    if (r->kind != ERR_NONE)
        run_free(a); /* nothing is decided: looked up again when the line is back */
    else if (r->phase == PHASE_SETTLE)
        settle_next(a);
    else
        find_next(a);
}

static void on_found(struct acct *a, const struct m_FOUND *f)
{
    struct step *s = acct_step_find(a, f->step, MSG_STEP_FIND);
    if (!s || !a->batch || f->box != s->box || f->uid == 0 || s->a >= a->batch->b.nitems) {
        acct_violation(a, "a finding that was not asked for");
        return;
    }
    const struct db_item *it = &a->batch->b.items[s->a];
    struct look *l = &a->batch->looks[s->a];
    bool other = it->size && f->size && it->size != f->size && a->batch->b.kind != INTENT_APPEND;
    if (s->b) {
        if (other || f->uid < a->batch->b.target_next)
            return; /* another message with that id, or a copy that was there before */
        l->twice = l->target;
        l->target = true;
    } else if (a->batch->phase == PHASE_FIND) {
        if (other)
            return;
        l->twice = l->source;
        l->source = true;
    } else {
        l->source = true;
        l->source_uid = f->uid;
        return;
    }
    l->uidvalidity = f->uidvalidity;
    l->uid = f->uid;
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
    const struct db_item *it = s && a->batch ? item_of_uid(&a->batch->b, m->uid) : NULL;
    struct err err = ERR_INIT;
    if (!it || m->box != a->batch->b.box || m->target != a->batch->b.target) {
        acct_violation(a, "a move that was not asked for");
        return;
    }
    if (!db_item_moved(a->db, it->intent, it->msg, m->uidvalidity, m->uid_to, STR(""), &err))
        acct_db_error(a, &err);
}

static void on_appended(struct acct *a, const struct m_APPENDED *m)
{
    struct step *s = acct_step_find(a, m->step, MSG_STEP_APPEND);
    struct err err = ERR_INIT;
    if (!s || !a->batch || m->box != a->batch->b.target) {
        acct_violation(a, "an append that was not asked for");
        return;
    }
    if (!db_item_moved(a->db, a->batch->b.intents[0], 0, m->uidvalidity, m->uid, STR(""), &err))
        acct_db_error(a, &err);
}

static bool name_ok(struct str name)
{
    size_t at;
    return name.n > 0 && name.n <= 255 && name.p[0] != '.' && !str_find(name, '/', &at) && !str_find(name, '\0', &at);
}

static void on_is(struct acct *a, const struct m_MAILDIR_IS *m)
{
    struct batch_run *r = a->batch;
    struct err err = ERR_INIT;
    struct step *s = NULL;
    for (size_t i = 0; i < a->nsteps; i++)
        if (a->steps[i]->number == m->step && a->steps[i]->done == command_done)
            s = a->steps[i];
    if (!s || !r || !name_ok(m->name) || (m->path.n > 0 && !acct_path_ok(m->path))) {
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
    if (!ok || (msg && m->path.n > 0 && !db_body_is(a->db, msg, m->path, STR(""), &err)))
        acct_db_error(a, &err);
}

void replay_message(struct acct *a, struct msg *m)
{
    switch (m->kind) {
    case MSG_MOVED:
        on_moved(a, &m->u.MOVED);
        break;
    case MSG_FOUND:
        on_found(a, &m->u.FOUND);
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

static bool needs_places(const struct acct *a, const struct db_batch *b)
{
    if (!a->imap)
        return false;
    for (size_t i = 0; i < b->nitems && b->kind != INTENT_APPEND; i++)
        if (b->items[i].uid == 0)
            return true;
    return false;
}

static bool begin_looking(struct acct *a, enum phase phase)
{
    struct batch_run *r = a->batch;
    r->phase = phase;
    r->looks = mem_array(r->b.nitems + 1, sizeof *r->looks);
    if (phase == PHASE_SETTLE) {
        if (!settle_send(a))
            settle_next(a);
        return a->batch != NULL;
    }
    bool any = false;
    for (size_t i = 0, n = 0; i < r->b.nitems && n < SETTLE_MAX; i++)
        if (r->b.items[i].uid == 0 && r->b.items[i].msgid.n > 0) {
            r->looks[i].asked = look_send(a, i, false);
            any = r->looks[i].asked || any;
            n++;
        }
    if (!any)
        find_next(a);
    return a->batch != NULL;
}

static void next_known(struct acct *a, struct step *s, enum err_kind kind, struct str text)
{
    (void)s;
    (void)kind;
    (void)text;
    if (a->batch)
        run_free(a); /* chosen again, now with the answer, if there was one */
}

/* Where the target's UIDNEXT is not known, an outcome that is lost could not be told: asked first. */
static bool needs_next(const struct acct *a, const struct db_batch *b)
{
    return a->imap && b->target && b->target != a->selected && b->target_next == 0 && a->next_asked != b->target;
}

static bool begin_commands(struct acct *a)
{
    struct batch_run *r = a->batch;
    struct err err = ERR_INIT;
    a->next_asked = 0;
    if (!db_intents_sent(a->db, r->b.intents, r->b.nintents, &err) || !db_sync(a->db, &err)) {
        acct_db_error(a, &err);
        run_free(a);
        return false;
    }
    if (a->imap ? send_imap(a, &r->b) : send_local(a, &r->b))
        return true;
    /* Nothing left this program: so it is not under way. */
    run_end(a, r->kind ? r->kind : ERR_CANCELED, r->text);
    return false;
}

bool replay_pump(struct acct *a)
{
    struct err err = ERR_INIT;
    struct db_batch b = {0};
    int64_t due = 0, now = clock_wall();
    if (a->batch)
        return true;
    if (a->held || !a->ready || (a->imap && a->line != LINE_UP) || clock_mono_ms() < a->replay_after)
        return false;
    /* A SELECT for something else that is on its way would come between. */
    if (a->urgent_step)
        return false;
    if (a->imap && !db_unknown_next(a->db, &b, &err)) {
        acct_db_error(a, &err);
        return false;
    }
    bool settle = b.nintents > 0;
    if (!settle && !db_intent_next(a->db, now, a->imap ? BATCH_MAX : LOCAL_MAX, &b, &due, &err)) {
        acct_db_error(a, &err);
        return false;
    }
    if (b.nintents == 0) {
        watch_free(&a->wake);
        if (due > 0)
            a->wake =
                loop_after(a->srv->loop, MIN(MAX(due - now, (int64_t)0), (int64_t)3600) * 1000 + 50, wake_fired, a);
        return false;
    }
    a->batch = mem_new(sizeof *a->batch);
    a->batch->b = b;
    if (settle)
        return begin_looking(a, PHASE_SETTLE);
    if (needs_places(a, &b))
        return begin_looking(a, PHASE_FIND);
    if (needs_next(a, &b) && sent(a, STEP(a, next_known, -1, STEP_STATUS, .names = b.target_name))) {
        a->next_asked = b.target;
        return true;
    }
    return begin_commands(a);
}

void replay_drop(struct acct *a, enum err_kind kind)
{
    /* The steps failed before; what is left of a batch had none under way. */
    if (!a->batch)
        return;
    if (a->batch->phase == PHASE_COMMAND)
        run_end(a, kind, "");
    else
        run_free(a);
}
