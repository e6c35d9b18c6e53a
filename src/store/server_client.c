/* What clients ask. */
#include "store/server.h"

#include <unistd.h>

#include "store/account.h"

#define MSGS_MAX 4096
#define EARLY_MAX 256

/* ---- Greeting ----------------------------------------------------------------------------------- */
static bool wants_quiet(const struct server *s)
{
    for (size_t i = 0; i < s->nclients; i++)
        if (s->clients[i]->greeted && s->clients[i]->offline)
            return true;
    return false;
}

/* Nothing was connected before the first one came and said whether it may be; what one had kept offline that has gone,
 * or that only needed no line, goes online for the next that does. */
static void lines_for(struct server *s, uint8_t offline)
{
    bool first = !s->greeted, wakes = s->quiet && offline == 0 && !wants_quiet(s);
    for (size_t i = 0; i < s->naccts && (first || wakes); i++)
        acct_set_offline(s->accts[i], offline != 0 || s->accts[i]->conf->offline);
    if (first || wakes)
        s->quiet = offline != 0;
}

static void greet(struct client *c, uint8_t offline)
{
    struct server *s = c->srv;
    PEER_SEND(c->peer, -1, WELCOME, .version = IPC_VERSION, .schema = DB_SCHEMA, .root = str_z(s->root));
    lines_for(s, offline);
    c->greeted = s->greeted = true;
    c->offline = offline == 1;
    for (size_t i = 0; i < s->naccts; i++)
        acct_tell(s->accts[i], c);
    for (size_t i = 0; i < s->naccts; i++)
        acct_seen(s->accts[i]);
}

static void on_hello(struct client *c, struct msg *m)
{
    if (m->u.HELLO.version != IPC_VERSION) {
        PEER_SEND(c->peer, -1, WELCOME, .version = IPC_VERSION, .schema = DB_SCHEMA, .root = str_z(c->srv->root));
        log_msg(LOG_WARN, "a client of another version was refused");
        return;
    }
    int changed = server_conf_changed(c->srv);
    if (changed == 1)
        return;
    c->screen = str_eqz(m->u.HELLO.program, "ui");
    greet(c, m->u.HELLO.offline);
    if (c->screen)
        screen_jobs(c);
    if (changed)
        PEER_SEND(c->peer, -1, NOTE, .account = STR(""), .level = 1, .kind = ERR_NONE,
                  .text =
                      STR("tuimailrc has changed since the programs behind the screen read it: quit each tuimail and "
                          "start one again"));
}

/* ---- Intents ------------------------------------------------------------------------------------ */
static bool name_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7F)
            return false;
    return name.n > 0 && name.n <= 500 && utf8_valid(name);
}

static uint8_t role_of_intent(enum intent_kind kind)
{
    return kind == INTENT_ARCHIVE ? BOX_ARCHIVE
           : kind == INTENT_TRASH ? BOX_TRASH
           : kind == INTENT_SPAM  ? BOX_JUNK
           : kind == INTENT_HAM   ? BOX_INBOX
                                  : BOX_NONE;
}

static uint32_t u32_of(struct str arg)
{
    uint32_t v = 0;
    if (arg.n == 4)
        for (unsigned i = 0; i < 4; i++)
            v |= (uint32_t)(unsigned char)arg.p[i] << (8 * i);
    else
        str_u32(str_trim(arg), &v);
    return v;
}

/* The mailbox under which others can go, made where there is none yet. */
static const struct box *trash_of(struct acct *a, struct err *err)
{
    ptrdiff_t t = box_role(a, BOX_TRASH);
    if (t < 0 && acct_role_box(a, BOX_TRASH, err)) {
        acct_boxes_load(a);
        t = box_role(a, BOX_TRASH);
    }
    const struct box *trash = t < 0 ? NULL : &a->boxes[t];
    return trash && trash->delim && !(trash->attrs & (BOX_NOINFERIORS | BOX_NOSELECT)) ? trash : NULL;
}

/* A mailbox with mail in it goes under Trash, where it can be had back: *x is a renaming then. What is empty goes for
 * good; what has mail and cannot go there is left alone. */
static bool box_to_trash(struct acct *a, struct db_intent *x, struct buf *name, struct buf *shown, struct err *err)
{
    struct db_box counts;
    struct err none = ERR_INIT;
    if (db_box_get(a->db, x->box, &counts, &none) && counts.exists == 0 && counts.known == 0)
        return true;
    const struct box *trash = trash_of(a, &none);
    ptrdiff_t i = box_at(a, x->box);
    const struct box *box = i < 0 ? NULL : &a->boxes[i];
    if (!box)
        return true; /* db_intent_add says so */
    if (!trash || box == trash)
        return err_set(err, ERR_NO_MAILBOX, "%.100s has mail and cannot go under Trash: delete-mailbox for-good",
                       box_words(a, x->box));
    struct str leaf = box_name(box), leaf_shown = box_utf8(box), own = box_name(trash);
    size_t at;
    if (str_starts(leaf, own) && leaf.n > own.n && leaf.p[own.n] == trash->delim)
        return err_set(err, ERR_USAGE, "%.100s is under Trash already: delete-mailbox for-good", box_words(a, x->box));
    while (box->delim && str_find(leaf, box->delim, &at))
        leaf = str_sub(leaf, at + 1, leaf.n);
    while (box->delim && str_find(leaf_shown, box->delim, &at))
        leaf_shown = str_sub(leaf_shown, at + 1, leaf_shown.n);
    for (unsigned n = 1; n < 100; n++) {
        struct db_box other;
        char tail[8] = "";
        if (n > 1)
            snprintf(tail, sizeof tail, " %u", n);
        buf_reset(name);
        buf_reset(shown);
        buf_addf(name, "%.*s%c%.*s%s", STR_FMT(own), trash->delim, STR_FMT(leaf), tail);
        buf_addf(shown, "%.*s%c%.*s%s", STR_FMT(box_utf8(trash)), trash->delim, STR_FMT(leaf_shown), tail);
        if (db_box_by_name(a->db, buf_str(name), &other, &none))
            continue;
        x->kind = INTENT_BOX_RENAME;
        x->arg = buf_str(name);
        x->utf8 = buf_str(shown);
        return true;
    }
    return err_set(err, ERR_USAGE, "too many mailboxes of that name are under Trash: empty it first");
}

static bool intent_run(struct acct *a, const struct m_INTENT *in, uint64_t *ids, size_t n, uint64_t *group,
                       uint64_t *made, uint32_t *count, struct err *err)
{
    struct buf name = BUF_INIT(4000), shown = BUF_INIT(1000);
    struct db_intent x = {.kind = (enum intent_kind)in->kind,
                          .msgs = ids,
                          .n = n,
                          .box = in->box,
                          .target = in->target,
                          .arg = in->arg,
                          .now = clock_wall(),
                          .automatic = in->automatic != 0};
    bool ok = true, box_op = x.kind == INTENT_BOX_CREATE || x.kind == INTENT_BOX_RENAME;
    if (x.kind == INTENT_FLAGS) {
        x.set = in->flags;
        x.clear = u32_of(in->arg);
        x.arg = STR("");
    } else if (box_op) {
        ok = name_valid(in->arg) ||
             err_set(err, ERR_USAGE, "a mailbox name has no control characters and is at most 500 bytes long");
        acct_box_name(a, in->arg, &name, &shown);
        x.arg = buf_str(&name);
        x.utf8 = buf_str(&shown);
        ok = ok && (a->imap || local_name_ok(a, x.arg, err));
    }
    if (x.kind == INTENT_BOX_DELETE && !in->flags)
        ok = ok && box_to_trash(a, &x, &name, &shown, err);
    uint8_t role = role_of_intent(x.kind);
    if (ok && role && x.target == 0 && !acct_listed(a))
        ok = err_set(err, ERR_NO_MAILBOX, "the mailboxes have never been listed: again when there is a connection");
    if (ok && role && x.target == 0) {
        x.target = acct_role_box(a, role, err);
        ok = x.target != 0;
    }
    if (ok && x.kind == INTENT_PURGE && box_role(a, BOX_ALL) >= 0) {
        /* Where mailboxes are views of one store (Gmail), removing a message from one leaves it in that store: by way
         * of Trash it is gone. */
        x.via = acct_role_box(a, BOX_TRASH, err);
        ok = x.via != 0;
    }
    ok = ok && db_intent_add(a->db, &x, group, made, count, err);
    buf_fini(&name);
    buf_fini(&shown);
    return ok;
}

static void intent_do(struct acct *a, uint64_t client, const struct m_INTENT *in)
{
    struct err err = ERR_INIT;
    uint64_t group = 0, made = 0, ids[MSGS_MAX];
    uint32_t count = 0;
    size_t n = ipc_ids_count(in->msgs);
    for (size_t i = 0; i < n; i++)
        ids[i] = ipc_ids_at(in->msgs, i);
    if (!intent_run(a, in, ids, n, &group, &made, &count, &err))
        server_refuse(a->srv, client, in->req, err.kind, err.text);
    else
        ANSWER(a->srv, client, -1, INTENT_OK, .req = in->req, .group = group, .count = count,
               .box = in->kind == INTENT_BOX_CREATE ? made : 0);
    if (intent_on_box((enum intent_kind)in->kind))
        a->changed_boxes = true;
}

/* What a first connection shows is there before it is known which mailbox is which: an action that needs one of a role
 * waits, and nothing is said to be done. */
struct early {
    struct early *next;
    uint64_t client;
    uint32_t req;
    struct msg m; /* INTENT, SNOOZE, MUTE; of their strings msgs alone: these have no other argument */
    char *mem;    /* what msgs borrows from */
    size_t bytes;
};

static void early_take(struct early **at, struct early *e_r)
{
    struct early *e = *at;
    *e_r = *e;
    *at = e->next;
    free(e);
}

static bool early_holds(struct acct *a, uint64_t client, const struct msg *m)
{
    struct early **at = &a->early;
    unsigned n = 0;
    const struct m_INTENT *in = m->kind == MSG_INTENT ? &m->u.INTENT : NULL;
    if (acct_listed(a) || a->line == LINE_DOWN || (in && (!role_of_intent((enum intent_kind)in->kind) || in->target)))
        return false;
    for (; *at; at = &(*at)->next)
        n++;
    if (n >= EARLY_MAX)
        return false;
    struct early *e = mem_new(sizeof *e);
    struct str msgs = in ? in->msgs : m->kind == MSG_MUTE ? m->u.MUTE.msgs : m->u.SNOOZE.msgs;
    e->client = client;
    e->mem = mem_dup_n(msgs.p, msgs.n);
    e->bytes = msgs.n;
    e->m = (struct msg){.kind = m->kind, .fd = -1};
    if (in) {
        e->m.u.INTENT = *in;
        e->m.u.INTENT.account = e->m.u.INTENT.arg = STR("");
        e->m.u.INTENT.msgs.p = e->mem;
        e->req = in->req;
    } else if (m->kind == MSG_MUTE) {
        e->m.u.MUTE = m->u.MUTE;
        e->m.u.MUTE.account = STR("");
        e->m.u.MUTE.msgs.p = e->mem;
        e->req = m->u.MUTE.req;
    } else {
        e->m.u.SNOOZE = m->u.SNOOZE;
        e->m.u.SNOOZE.account = STR("");
        e->m.u.SNOOZE.msgs.p = e->mem;
        e->req = m->u.SNOOZE.req;
    }
    *at = e;
    return true;
}

static void act_now(struct acct *a, uint64_t client, const struct msg *m)
{
    db_set_deed(a->db, m->kind == MSG_INTENT ? m->u.INTENT.deed
                       : m->kind == MSG_MUTE ? m->u.MUTE.deed
                                             : m->u.SNOOZE.deed);
    if (m->kind == MSG_INTENT)
        intent_do(a, client, &m->u.INTENT);
    else if (m->kind == MSG_MUTE)
        mute_ask(a, client, &m->u.MUTE);
    else if (m->u.SNOOZE.remind)
        remind_ask(a, client, &m->u.SNOOZE);
    else
        snooze_ask(a, client, &m->u.SNOOZE);
    db_set_deed(a->db, 0);
}

void early_end(struct acct *a, enum err_kind kind, const char *text)
{
    struct early e;
    while (a->early) {
        early_take(&a->early, &e);
        if (kind == ERR_NONE)
            act_now(a, e.client, &e.m);
        else
            server_refuse(a->srv, e.client, e.req, kind, text);
        free(e.mem);
    }
}

/* The last one is not begun: its undoing is all there is to do. */
static bool early_undo(struct client *c, const struct m_UNDO *u)
{
    for (size_t i = 0; i < c->srv->naccts && !u->redo; i++) {
        struct early **at = &c->srv->accts[i]->early, e;
        if (!*at)
            continue;
        while ((*at)->next)
            at = &(*at)->next;
        early_take(at, &e);
        struct str msgs = {e.mem, e.bytes};
        uint32_t n = (uint32_t)ipc_ids_count(msgs);
        char text[80];
        snprintf(text, sizeof text, "%u message%s stay%s where %s", n, n == 1 ? "" : "s", n == 1 ? "s" : "",
                 n == 1 ? "it is" : "they are");
        server_refuse(c->srv, e.client, e.req, ERR_CANCELED, "undone before it began");
        ANSWER(c->srv, c->id, -1, UNDONE, .req = u->req, .count = n, .text = str_z(text),
               .account = str_z(c->srv->accts[i]->name), .msg = n ? ipc_ids_at(msgs, 0) : 0);
        free(e.mem);
        return true;
    }
    return false;
}

/* Those that file or mark messages; the burst's end is the caller's. */
static void on_act(struct client *c, struct acct *a, const struct msg *m)
{
    if (!early_holds(a, c->id, m)) {
        act_now(a, c->id, m);
        acct_settle(a);
    }
}

static void on_intent(struct client *c, struct acct *a, struct msg *m)
{
    const struct m_INTENT *in = &m->u.INTENT;
    if (ipc_ids_count(in->msgs) > MSGS_MAX || in->kind == 0 || in->kind >= INTENT_KIND_COUNT ||
        in->kind == INTENT_APPEND || in->kind == INTENT_RULES) {
        server_refuse(c->srv, c->id, in->req, ERR_USAGE, "an action that is not known");
        return;
    }
    on_act(c, a, m);
}

/* ---- Undo --------------------------------------------------------------------------------------- */
/* Of messages with their number and plural, of mailboxes with the name. */
static const struct {
    const char *undone, *redone;
} undo_says[INTENT_KIND_COUNT] = {
    [INTENT_FLAGS] = {"flags of %u message%s put back", "flags of %u message%s changed again"},
    [INTENT_TAGS] = {"tags of %u message%s put back", "tags of %u message%s changed again"},
    [INTENT_APPEND] = {"%u message%s: copy removed", ""},
    [INTENT_COPY] = {"%u message%s: copy removed", "%u message%s copied again"},
    [INTENT_MARK_ALL_READ] = {"%u message%s unread again", "%u message%s read again"},
    [INTENT_PURGE] = {"%u message%s restored", "%u message%s deleted for good again"},
    [INTENT_BOX_CREATE] = {"mailbox %s removed again", "mailbox %s created again"},
    [INTENT_BOX_RENAME] = {"mailbox %s is back", "the mailbox is %s again"},
    [INTENT_BOX_DELETE] = {"mailbox %s is back", "mailbox %s deleted again"},
    [INTENT_RULES] = {"changes of %u message%s taken back", "changes of %u message%s made again"},
    [INTENT_BOX_SUBSCRIBE] = {"no longer subscribed to %s", "subscribed to %s again"},
    [INTENT_BOX_UNSUBSCRIBE] = {"subscribed to %s again", "no longer subscribed to %s"},
};

/* The mailbox's name as it is after the undo, which is before `a` has read it again. */
static const char *box_named(struct acct *a, uint64_t id)
{
    struct db_box b;
    struct err err = ERR_INIT;
    static struct buf words = {.max = 200};
    if (!db_box_get(a->db, id, &b, &err))
        return box_words(a, id);
    buf_reset(&words);
    text_from_bytes(b.utf8, TEXT_FOLD_SPACE, &words);
    return buf_z(&words);
}

static void undo_words(struct acct *a, const struct db_undone *u, bool redo, char *text, size_t size)
{
    struct buf what = BUF_INIT(400);
    const char *plural = u->count == 1 ? "" : "s";
    const char *form = redo ? undo_says[u->kind].redone : undo_says[u->kind].undone;
    const char *box = intent_on_box(u->kind) ? box_named(a, u->box) : u->box ? box_words(a, u->box) : "their mailboxes";
    if (intent_on_box(u->kind) && !u->count)
        form = "mailbox %s is left as it is: it has changed since";
    if (!form) /* all that moves */
        buf_addf(&what, "%u message%s %s %s", u->count, plural, redo ? "moved again to" : "back in", box);
    else
        for (const char *p = form; *p; p++) {
            bool word = p[0] == '%' && (p[1] == 'u' || p[1] == 's');
            if (word && p[1] == 'u')
                buf_addf(&what, "%u", u->count);
            else if (word)
                buf_addz(&what, intent_on_box(u->kind) ? box : plural);
            else
                buf_addc(&what, *p);
            p += word;
        }
    if (u->skipped && !intent_on_box(u->kind))
        buf_addf(&what, "; %u changed since and left alone", u->skipped);
    snprintf(text, size, "%s", buf_z(&what));
    buf_fini(&what);
}

/* When what was done last, in any account, and not undone, was done: nothing older is done again behind it. */
static uint64_t last_done(struct server *s)
{
    uint64_t last = 0;
    struct db_undo_next next;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < s->naccts; i++)
        if (s->accts[i]->db && db_undo_peek(s->accts[i]->db, false, 0, &next, &err) && next.group)
            last = MAX(last, next.stamp);
    return last;
}

/* What has been taken back or done again so far, of one deed. */
struct undone_sum {
    struct acct *acct; /* NULL: nothing */
    struct db_undone u;
    bool kinds; /* of more than one */
};
struct undoing {
    bool redo;
    struct undone_sum sum,
        copies; /* copies: in another account than their originals, which count where they came back */
    struct acct *back_acct;
    uint64_t back;
    char refused[400];
};

/* The inboxes of two accounts have the same name: that says it. */
static bool same_box(struct acct *a, uint64_t box_a, struct acct *b, uint64_t box_b)
{
    if (a == b || !box_a || !box_b)
        return a == b && box_a == box_b;
    char *name = mem_dup_z(box_words(a, box_a));
    bool same = !strcmp(name, box_words(b, box_b));
    free(name);
    return same;
}

static void undo_sum(struct undoing *all, struct acct *a, const struct db_undone *u)
{
    struct undone_sum *sum = u->kind == INTENT_APPEND ? &all->copies : &all->sum;
    if (!all->back && u->back) {
        all->back = u->back;
        all->back_acct = a;
    }
    if (!sum->acct) {
        sum->acct = a;
        sum->u = *u;
        return;
    }
    sum->kinds = sum->kinds || u->kind != sum->u.kind || intent_on_box(u->kind);
    sum->u.count += u->count;
    sum->u.skipped += u->skipped;
    if (!same_box(sum->acct, sum->u.box, a, u->box))
        sum->u.box = 0;
}

/* The groups of the account that are of this deed; 0: the newest, whichever it is of. */
static bool undo_part(struct undoing *all, struct acct *a, uint64_t deed)
{
    struct db_undo_next next;
    struct err err = ERR_INIT;
    uint64_t last = 0;
    uint32_t before = all->sum.u.count, messages = 0;
    bool copies = false;
    while (a->db && db_undo_peek(a->db, all->redo, deed, &next, &err) && next.group && next.group != last) {
        struct db_undone u;
        last = next.group;
        if (db_undo(a->db, all->redo, deed, clock_wall(), &u, &err)) {
            undo_sum(all, a, &u);
            copies = copies || u.kind == INTENT_APPEND;
        } else {
            snprintf(all->refused, sizeof all->refused, "%s", err.text);
            err = ERR_INIT;
        }
        if (deed == 0)
            break;
    }
    if (!last)
        return false;
    /* One that was changed in several ways is one to the user. */
    if (deed && db_deed_messages(a->db, deed, &messages, &err) && messages > 0)
        all->sum.u.count = MIN(all->sum.u.count, before + messages);
    a->changed_boxes = true;
    acct_settle(a);
    return copies;
}

static void undone_tell(struct client *c, uint32_t req, const struct undoing *all)
{
    char text[400];
    const struct undone_sum *sum = all->sum.acct ? &all->sum : &all->copies;
    struct db_undone several = sum->u;
    if (!sum->acct) {
        server_refuse(c->srv, c->id, req, ERR_NOT_UNDOABLE, all->refused);
        return;
    }
    if (sum->kinds) /* the words of what several changes together are called */
        several.kind = INTENT_RULES;
    undo_words(sum->acct, &several, all->redo, text, sizeof text);
    struct buf said = BUF_INIT(400);
    buf_addf(&said, "%s%s%s", text, all->refused[0] ? "; " : "", all->refused);
    ANSWER(c->srv, c->id, -1, UNDONE, .req = req, .redo = all->redo, .count = several.count, .text = buf_str(&said),
           .account = str_z((all->back ? all->back_acct : sum->acct)->name), .msg = all->redo ? 0 : all->back);
    buf_fini(&said);
}

static void on_undo(struct client *c, struct msg *m)
{
    struct server *s = c->srv;
    struct undoing all = {.redo = m->u.UNDO.redo != 0};
    struct acct *best = NULL;
    struct db_undo_next first = {0};
    struct err err = ERR_INIT;
    bool copies = false;
    if (early_undo(c, &m->u.UNDO))
        return;
    uint64_t done = all.redo ? last_done(s) : 0;
    for (size_t i = 0; i < s->naccts; i++) {
        struct acct *a = s->accts[i];
        struct db_undo_next next;
        if (!a->db || !db_undo_peek(a->db, all.redo, 0, &next, &err) || next.group == 0 || next.stamp < done)
            continue;
        /* Undo takes the newest; redo goes forward again from the oldest of what was undone. */
        if (!best || (all.redo ? next.stamp < first.stamp : next.stamp > first.stamp)) {
            best = a;
            first = next;
        }
    }
    if (!best) {
        server_refuse(s, c->id, m->u.UNDO.req, ERR_NOT_UNDOABLE,
                      all.redo ? "there is nothing to redo" : "there is nothing to undo");
        return;
    }
    copies = undo_part(&all, best, first.deed);
    for (size_t i = 0; first.deed && i < s->naccts; i++)
        if (s->accts[i] != best && undo_part(&all, s->accts[i], first.deed))
            copies = true;
    /* What a copy in another account was made of is gone: the rest is not done again without it. */
    for (size_t i = 0; first.deed && copies && i < s->naccts; i++)
        if (s->accts[i]->db && !db_undo_close(s->accts[i]->db, first.deed, &err))
            acct_db_error(s->accts[i], &err);
    undone_tell(c, m->u.UNDO.req, &all);
}

/* ---- The queue, the account behind it, settings ------------------------------------------------- */
static void on_queue_drop(struct client *c, struct acct *a, struct msg *m)
{
    const struct m_QUEUE_DROP *q = &m->u.QUEUE_DROP;
    struct err err = ERR_INIT;
    uint32_t count = 0;
    if (db_intent_drop(a->db, q->intent, &count, &err))
        ANSWER(c->srv, c->id, -1, INTENT_OK, .req = q->req, .count = count);
    else
        server_refuse(c->srv, c->id, q->req, err.kind, err.text);
    a->changed_boxes = true;
    acct_settle(a);
}

static void on_identity(struct client *c, struct acct *a, struct msg *m)
{
    const struct m_IDENTITY *q = &m->u.IDENTITY;
    struct err err = ERR_INIT;
    uint32_t count = 0;
    if (!a->held)
        server_refuse(c->srv, c->id, q->req, ERR_USAGE, "nothing is held back: the account is the one it was");
    else if (acct_identity(a, q->same != 0, &count, &err))
        ANSWER(c->srv, c->id, -1, INTENT_OK, .req = q->req, .count = count);
    else
        server_refuse(c->srv, c->id, q->req, err.kind, err.text);
}

/* ---- The rest ----------------------------------------------------------------------------------- */
static void on_cancel(struct client *c, struct msg *m)
{
    if (m->u.CANCEL.req == 0)
        return;
    for (size_t i = 0; i < c->srv->naccts; i++) {
        open_cancel(c->srv->accts[i], c->id, m->u.CANCEL.req);
        seek_cancel(c->srv->accts[i], c->id, m->u.CANCEL.req);
    }
}

static void on_fetch_now(struct client *c, struct msg *m)
{
    const struct m_FETCH_NOW *f = &m->u.FETCH_NOW;
    struct server *s = c->srv;
    if (f->account.n > 0) {
        struct acct *a = server_acct(s, f->account);
        if (a)
            acct_fetch_now(a, c->id, f->req);
        else
            server_refuse(s, c->id, f->req, ERR_NO_ACCOUNT, "there is no such account");
        return;
    }
    if (s->naccts == 0)
        server_refuse(s, c->id, f->req, ERR_NO_ACCOUNT, "no account is configured");
    /* Recorded with all first, so that the last to end knows that it is. */
    for (size_t i = 0; i < s->naccts; i++)
        acct_pass_add(s->accts[i], c->id, f->req);
    for (size_t i = 0; i < s->naccts; i++)
        acct_fetch_now(s->accts[i], 0, 0);
}

static void on_fetch_stop(struct client *c, struct msg *m)
{
    struct str name = m->u.FETCH_STOP.account;
    for (size_t i = 0; i < c->srv->naccts; i++) {
        struct acct *a = c->srv->accts[i];
        if (a->db && (name.n == 0 || str_eqz(name, a->name)) && !pop_stop(a))
            acct_pass_end(a, ERR_CANCELED, "stopped");
    }
}

static void on_reload(struct client *c, struct msg *m)
{
    /* Accounts and options are read at start: what the file says now is taken by the next store. What waits for a
     * change is tried again. */
    for (size_t i = 0; i < c->srv->naccts; i++)
        acct_retry(c->srv->accts[i]);
    ANSWER(c->srv, c->id, -1, INTENT_OK, .req = m->u.RELOAD.req);
}

static void on_reindex(struct client *c, struct msg *m)
{
    if (m->u.REINDEX.what > REINDEX_GO_ON) {
        server_refuse(c->srv, c->id, m->u.REINDEX.req, ERR_USAGE, "unknown to this store");
        return;
    }
    ANSWER(c->srv, c->id, -1, INTENT_OK, .req = m->u.REINDEX.req);
    indexing_do(c->srv->indexing, (enum reindex)m->u.REINDEX.what);
}

static struct acct *account_of(struct client *c, const struct msg *m, uint32_t *req)
{
    struct str name = STR("");
    *req = 0;
    switch (m->kind) {
#define OF(kind_)                                                                                                      \
    case MSG_##kind_:                                                                                                  \
        name = m->u.kind_.account;                                                                                     \
        *req = m->u.kind_.req;                                                                                         \
        break
#define OF0(kind_)                                                                                                     \
    case MSG_##kind_:                                                                                                  \
        name = m->u.kind_.account;                                                                                     \
        break
        OF(INTENT);
        OF(OPEN);
        OF(SUBMIT);
        OF(OUTBOX_ACT);
        OF(CHECK_LOGIN);
        OF(SIEVE);
        OF(SAVE);
        OF(IMPORT);
        OF(SETTLE);
        OF(QUEUE_DROP);
        OF(IDENTITY);
        OF(RULES_RUN);
        OF(SNOOZE);
        OF(MUTE);
        OF(RULES_DO);
        OF0(WATCH);
        OF(WANT_ROWS);
        OF(SERVER_SEARCH);
        OF0(SET_OFFLINE);
        OF0(SECRET_GIVEN);
#undef OF
#undef OF0
    default:
        break;
    }
    return server_acct(c->srv, name);
}

static void account_message(struct client *c, struct acct *a, struct msg *m, uint32_t req)
{
    switch (m->kind) {
    case MSG_INTENT:
        on_intent(c, a, m);
        break;
    case MSG_OPEN:
        open_ask(a, c->id, &m->u.OPEN);
        break;
    case MSG_SUBMIT:
        outbox_submit(a, c->id, m);
        break;
    case MSG_SAVE:
        outbox_save(a, c->id, m);
        break;
    case MSG_IMPORT:
        import_ask(a, c->id, m);
        break;
    case MSG_SETTLE:
        import_settle(a, c->id, &m->u.SETTLE);
        break;
    case MSG_OUTBOX_ACT:
        outbox_act(a, c->id, m);
        break;
    case MSG_SIEVE:
        sieve_ask(a, c->id, m);
        break;
    case MSG_CHECK_LOGIN:
        outbox_check(a, c->id, req);
        break;
    case MSG_QUEUE_DROP:
        on_queue_drop(c, a, m);
        break;
    case MSG_IDENTITY:
        on_identity(c, a, m);
        break;
    case MSG_RULES_RUN:
        rules_ask(c->srv->rules, a, c->id, &m->u.RULES_RUN);
        break;
    case MSG_SNOOZE:
    case MSG_MUTE:
        on_act(c, a, m);
        break;
    case MSG_RULES_DO:
        rules_do(a, c->id, &m->u.RULES_DO);
        break;
    case MSG_WATCH:
        acct_watch(a, m->u.WATCH.box);
        break;
    case MSG_WANT_ROWS:
        rows_want(a, c->id, &m->u.WANT_ROWS);
        break;
    case MSG_SERVER_SEARCH:
        seek_ask(a, c->id, &m->u.SERVER_SEARCH);
        break;
    case MSG_SET_OFFLINE:
        c->srv->quiet = false; /* the user decides from here on */
        acct_set_offline(a, m->u.SET_OFFLINE.offline);
        break;
    case MSG_SECRET_GIVEN:
        acct_secret_given(a, m->u.SECRET_GIVEN.service, m->fd);
        m->fd = -1;
        break;
    default:
        break;
    }
}

void client_message(struct client *c, struct msg *m)
{
    uint32_t req;
    struct acct *a;
    c->srv->active_at = clock_mono_ms();
    server_stir(c->srv);
    if (!c->greeted) {
        if (m->kind == MSG_HELLO)
            on_hello(c, m);
    } else if (m->kind == MSG_UNDO) {
        on_undo(c, m);
    } else if (m->kind == MSG_CANCEL) {
        on_cancel(c, m);
    } else if (m->kind == MSG_FETCH_NOW) {
        on_fetch_now(c, m);
    } else if (m->kind == MSG_FETCH_STOP) {
        on_fetch_stop(c, m);
    } else if (m->kind == MSG_RELOAD) {
        on_reload(c, m);
    } else if (m->kind == MSG_REINDEX) {
        on_reindex(c, m);
    } else if (m->kind == MSG_SETTING) {
        setting_take(c, &m->u.SETTING);
    } else if (m->kind == MSG_COMMAND) {
        screen_ask(c, &m->u.COMMAND);
    } else if (m->kind == MSG_RAN) {
        screen_ran(c, &m->u.RAN);
    } else if (m->kind == MSG_JOB) {
        screen_job(c, &m->u.JOB);
    } else if (m->kind == MSG_JOB_STOP) {
        screen_job_stop(c, &m->u.JOB_STOP);
    } else if (m->kind != MSG_HELLO) {
        a = account_of(c, m, &req);
        if (!a)
            server_refuse(c->srv, c->id, req, ERR_NO_ACCOUNT, "there is no such account");
        else if (!a->db && m->kind != MSG_WATCH && m->kind != MSG_SET_OFFLINE && m->kind != MSG_SECRET_GIVEN &&
                 m->kind != MSG_SIEVE)
            server_refuse(c->srv, c->id, req, a->why, a->text);
        else
            account_message(c, a, m, req);
    }
    if (m->fd >= 0)
        close(m->fd);
}
