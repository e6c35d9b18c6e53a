/* What changes mail: intents to the store. The screen shows the change with the next frame; the word for it comes when
 * the store has it safe. Many messages are a few intents, and one step of undo. */
#include "ui/extra.h"

#include "mail/tag.h"

enum { IDS_PER_INTENT = 4000, PARTS_MAX = 4, SHOWN_MAX = 5000, ALL_LOOKED_AT = 2000, COPIES_MAX = 2000 };
enum { LOOK_MS = 6, LOOK_WAIT_MS = 20 };

/* One action. Some parts are under way at once; what is more than these goes as they are answered, and is a job. */
struct batch {
    struct batch *next; /* of the ui */
    struct refs refs;
    struct ref at; /* the last that was sent */
    size_t sent;   /* so many were */
    bool stopped;
    struct action action;
    char *arg;
    char verb[64], where[120], to[120]; /* "marked", " as spam"; where it is then, " to Archive" */
    unsigned waiting, intents;
    uint32_t done;
    bool quiet, refused;
    uint32_t req_first; /* for changes_settle */
    /* The copies of very many messages, in slices when all else is done; timer: it is at that. */
    struct ui *ui;
    struct watch *timer;
    struct ref looked;
    size_t nlooked;
    struct refs copies;
};
struct part { /* one intent of a batch */
    struct batch *batch;
    uint32_t req;
};

uint64_t ui_deed(struct ui *ui)
{
    while (ui->deed == 0)
        fs_random(&ui->deed, sizeof ui->deed);
    return ui->deed;
}

void ui_undo_step(struct ui *ui, unsigned what, uint64_t deed)
{
    ui->nredo = 0;
    if (ui->nundo > 0 && deed && deed == ui->undo_deed) {
        ui->undo_groups[ui->nundo - 1] |= what;
        return;
    }
    if (ui->nundo == COUNT(ui->undo_groups))
        memmove(ui->undo_groups, ui->undo_groups + 1, --ui->nundo * sizeof *ui->undo_groups);
    ui->undo_groups[ui->nundo++] = what;
    ui->undo_deed = deed;
}

static void batch_end(struct ui *ui, struct batch *b)
{
    char left[80] = "", held[40] = "";
    unsigned hold = ui->conf->purge_hold;
    if (b->action.kind == INTENT_PURGE && hold)
        snprintf(held, sizeof held, " · held for %u s", hold);
    if (b->stopped && b->sent < b->refs.n)
        snprintf(left, sizeof left, " · stopped, %zu were left as they are", b->refs.n - b->sent);
    if (!b->quiet && b->done)
        ui_note(ui, NOTE_INFO, "%s %u message%s%s%s%s%s · %s undo", b->verb, b->done, b->done == 1 ? "" : "s", b->where,
                b->to, left, held, ui_key_of(ui, "undo"));
    if (!b->quiet && !b->done && !b->refused)
        ui_note(ui, NOTE_INFO, "nothing to change%s", left);
    if ((b->intents || b->action.once) && !b->quiet)
        ui_undo_step(ui, b->action.once ? UNDO_ONCE : 0, b->action.deed);
    struct batch **at = ui_extra(ui) ? &ui_extra(ui)->batches : NULL; /* at the end of the program there is no list */
    while (at && *at != b)
        at = &(*at)->next;
    if (at)
        *at = b->next;
    watch_free(&b->timer);
    refs_fini(&b->refs);
    refs_fini(&b->copies);
    free(b->arg);
    free(b);
}

static void batch_go(struct ui *ui, struct batch *b);
static void look_fired(void *arg);

static void on_answer(struct ui *ui, void *arg, const struct msg *m)
{
    struct part *part = arg;
    struct batch *b = part->batch;
    changes_settle(&ui->changes, part->req);
    ui_lists_stale(ui);
    ui->boxes.stale = true;
    if (m && m->kind == MSG_INTENT_OK) {
        b->done += m->u.INTENT_OK.count;
        b->intents += m->u.INTENT_OK.count > 0; /* the store keeps no step of what changed nothing */
    } else if (m && m->kind == MSG_REFUSED) {
        b->refused = true;
        ui_note(ui, NOTE_ERROR, "not %s%s: %.*s", b->verb, b->where, STR_FMT(m->u.REFUSED.text));
    } else if (!m) {
        b->refused = b->stopped = true;
        ui_note(ui, NOTE_ERROR, "the store ended before it answered: look whether it was %s%s", b->verb, b->where);
    }
    free(part);
    b->waiting--;
    batch_go(ui, b);
}

/* Those behind `from`, which are `ids`. */
static bool send_part(struct ui *ui, struct batch *b, const struct action *a, unsigned account, struct buf *ids,
                      struct ref from)
{
    struct err err = ERR_INIT;
    struct part *part = mem_new(sizeof *part);
    char clear[4] = {(char)a->clear, (char)(a->clear >> 8), (char)(a->clear >> 16), (char)(a->clear >> 24)};
    struct str arg = a->kind == INTENT_FLAGS ? (struct str){clear, 4} : str_z(a->arg);
    *part = (struct part){b, 0};
    part->req = ui_request(ui, on_answer, part);
    struct str name = str_z(ui->accts.list[account].name), msgs = buf_str(ids);
    struct chan *chan = ui->client->chan;
    bool sent = false;
    switch (a->how) {
    case ACT_SNOOZE:
    case ACT_REMIND:
        sent = SEND(chan, -1, &err, SNOOZE, .req = part->req, .account = name, .msgs = msgs, .due = a->due,
                    .remind = a->how == ACT_REMIND, .deed = a->deed);
        break;
    case ACT_MUTE:
    case ACT_UNMUTE:
        sent = SEND(chan, -1, &err, MUTE, .req = part->req, .account = name, .msgs = msgs, .on = a->how == ACT_MUTE,
                    .deed = a->deed);
        break;
    case ACT_RULES:
        sent = SEND(chan, -1, &err, RULES_RUN, .req = part->req, .account = name, .msgs = msgs, .deed = a->deed);
        break;
    case ACT_INTENT:
        sent = SEND(chan, -1, &err, INTENT, .req = part->req, .account = name, .kind = (uint8_t)a->kind, .msgs = msgs,
                    .box = a->box, .target = a->target, .flags = a->set, .arg = arg, .automatic = b->quiet,
                    .deed = a->deed);
    }
    if (!sent) {
        ui_forget(ui, part->req);
        free(part);
        ui_note_err(ui, &err);
        return false;
    }
    b->waiting++;
    for (size_t i = 0; i < ipc_ids_count(msgs) && ui->changes.n < SHOWN_MAX && refs_next(&b->refs, &from); i++)
        changes_add(&ui->changes, (struct change){part->req, from, a->set, a->clear, a->hide});
    return true;
}

static void batch_go(struct ui *ui, struct batch *b)
{
    while (b->waiting < PARTS_MAX && b->sent < b->refs.n && !b->stopped) {
        struct buf ids = BUF_INIT(8 * IDS_PER_INTENT + 8);
        struct ref next = b->at, last = b->at;
        bool more = refs_next(&b->refs, &next);
        unsigned account = next.account;
        size_t n = 0;
        for (; more && n < IDS_PER_INTENT && next.account == account; n++) {
            ipc_ids_add(&ids, next.id);
            last = next;
            more = refs_next(&b->refs, &next);
        }
        if (send_part(ui, b, &b->action, account, &ids, b->at)) {
            b->at = last;
            b->sent += n;
        } else {
            b->refused = b->stopped = true;
        }
        buf_fini(&ids);
    }
    if (!b->waiting && b->action.looks && !b->stopped)
        b->timer = loop_after(ui->loop, LOOK_WAIT_MS, look_fired, b);
    else if (!b->waiting)
        batch_end(ui, b);
}

/* The mailbox that archived mail of an account goes to: what the account calls that, else all its mail. */
static const struct box_item *archive_of(const struct ui *ui, unsigned account)
{
    const struct box_item *item = boxes_role(&ui->boxes, account, BOX_ARCHIVE);
    return item ? item : boxes_role(&ui->boxes, account, BOX_ALL);
}

/* Those of other accounts than the target's take a longer way. */
static void act_across(struct ui *ui, const struct refs *refs, const struct action *a)
{
    struct refs own = {.n = 0}, others = {.n = 0};
    struct action within = *a;
    within.into = 0;
    for (struct ref ref = REF_NONE; refs_next(refs, &ref);)
        refs_add(ref.account + 1 == a->into ? &own : &others, ref);
    ui_act_on(ui, &own, &within, false);
    if (others.n)
        ui_transfer(ui, &others, a);
}

void ui_act_one(struct ui *ui, struct ref ref, const struct action *a, bool quiet)
{
    struct refs refs = {.n = 0};
    refs_add(&refs, ref);
    ui_act_on(ui, &refs, a, quiet);
}

void ui_act_on(struct ui *ui, struct refs *refs, const struct action *a, bool quiet)
{
    struct refs all = *refs;
    struct ref first = REF_NONE;
    *refs = (struct refs){.n = 0};
    if (!refs_next(&all, &first) || !ui_online(ui) || a->into) {
        if (all.n && a->into && ui_online(ui))
            act_across(ui, &all, a);
        refs_fini(&all);
        return;
    }
    struct batch *b = mem_new(sizeof *b), **last = &ui_extra(ui)->batches;
    *b = (struct batch){.ui = ui, .quiet = quiet, .action = *a, .refs = all};
    b->action.deed = a->deed ? a->deed : ui_deed(ui);
    if (a->arg)
        b->action.arg = b->arg = mem_dup_z(a->arg);
    while (*last)
        last = &(*last)->next;
    *last = b;
    snprintf(b->verb, sizeof b->verb, "%s", a->verb);
    snprintf(b->where, sizeof b->where, "%s%s", a->where ? " " : "", a->where ? a->where : "");
    const struct box_item *archive = a->kind == INTENT_ARCHIVE ? archive_of(ui, first.account) : NULL;
    if (archive && !refs_next(&all, &(struct ref){first.account, UINT64_MAX}))
        snprintf(b->to, sizeof b->to, " to %.100s", archive->path);
    ui_lists_stale(ui);
    batch_go(ui, b);
}

/* ---- long ones ---- */
static bool is_under_way(const struct batch *b)
{
    return !b->stopped && (b->sent < b->refs.n || b->timer);
}

void batches_end(struct ui *ui)
{
    for (struct batch *b = ui_extra(ui)->batches, *next; b; b = next) {
        next = b->next;
        watch_free(&b->timer);
        if (!b->waiting) { /* else the end of what it waits for */
            b->quiet = true;
            batch_end(ui, b);
        }
    }
}

bool batches_next(const struct ui *ui, const struct batch **at, struct buf *words)
{
    const struct batch *b = *at ? (*at)->next : ui_extra(ui)->batches;
    while (b && !is_under_way(b))
        b = b->next;
    *at = b;
    if (b && b->timer)
        buf_addf(words, "%s%s: looking for copies of %zu of %zu messages", b->verb, b->where, b->nlooked, b->refs.n);
    else if (b)
        buf_addf(words, "%s%s: %zu of %zu messages", b->verb, b->where, b->sent, b->refs.n);
    return b != NULL;
}

bool batches_stop(struct ui *ui, const struct batch *which)
{
    bool any = false;
    for (struct batch *b = ui_extra(ui)->batches; b; b = b->next)
        if ((!which || b == which) && is_under_way(b))
            any = b->stopped = true;
    return any;
}

/* ---- where the cursor goes (option auto-advance) ---- */
static bool advance_is(const struct ui *ui, const char *way)
{
    return !strcmp(ui->conf->auto_advance, way);
}

/* To the nearest row of the window on that side that stays. */
static bool leave_to(struct list *l, struct refs *leaving, bool below)
{
    struct err err = ERR_INIT;
    for (int64_t i = l->cur; i >= 0 && i < l->n; i += below ? 1 : -1)
        if (!l->rows[i].ghost && !refs_has(leaving, l->rows[i].ref))
            return list_goto(l, l->rows[i].ref, &err);
    return false;
}

/* To the next unread message that stays: below, else above. */
static bool leave_to_unread(struct list *l, struct refs *leaving)
{
    struct err err = ERR_INIT;
    const struct list_row *row = list_cursor(l);
    struct ref from = row ? row->ref : REF_NONE;
    for (int older = 1; older >= 0; older--) {
        for (size_t i = 0; i <= leaving->n && list_unread(l, older, &err); i++)
            if ((row = list_cursor(l)) && !refs_has(leaving, row->ref))
                return true;
        list_reach(l, from, &err);
    }
    return false;
}

/* The messages are about to leave the list: the cursor goes to one that stays, if it is on one of them. */
static void leave(struct ui *ui, struct refs *leaving)
{
    struct list *l = ui_list(ui);
    const struct list_row *row = ui_row(ui);
    if (!row || !refs_has(leaving, row->ref) || advance_is(ui, "no"))
        return;
    bool up = advance_is(ui, "previous");
    if (advance_is(ui, "list") && ui->message.state != MESSAGE_NONE)
        ui_open_close(ui);
    if (!(advance_is(ui, "next-unread") && leave_to_unread(l, leaving)) && !leave_to(l, leaving, !up) &&
        !leave_to(l, leaving, up) && ui->message.state != MESSAGE_NONE)
        ui_open_close(ui);
    ui_follow(ui);
}

/* What is deleted in the list of Trash is deleted for good; a hit of a search or a row of another list that went there
 * meanwhile is not. */
static struct action seen_here(struct ui *ui, const struct action *a)
{
    const struct list *l = ui_list(ui);
    struct action seen = *a;
    if (a->kind != INTENT_TRASH || l->source != LIST_BOX)
        return seen;
    seen.box = l->box;
    const struct box_item *item = boxes_find(&ui->boxes, l->account, l->box);
    if (item && item->role == BOX_TRASH)
        seen.where = "for good";
    return seen;
}

/* What the command is about: the messages it was given (thread, older, a count), the selection, all of a folded thread,
 * or the row. */
static struct refs take_chosen(struct ui *ui, struct err *err)
{
    const struct list_row *row = ui_row(ui);
    struct refs chosen = {.n = 0}, *given = ui->scope.on ? &ui->scope.refs : &ui->selection;
    if (ui->scope.on || given->n) {
        chosen = *given;
        *given = (struct refs){.n = 0};
        ui->scope.on = false;
    } else if (row && row->folded) {
        list_thread_refs(ui_list(ui), row, &chosen, err);
    } else if (row && row->ref.id) {
        refs_add(&chosen, row->ref);
    }
    return chosen;
}

const struct refs *ui_chosen(const struct ui *ui)
{
    return ui->scope.on ? &ui->scope.refs : ui->selection.n ? &ui->selection : NULL;
}

/* ---- tags of copies in other accounts ---- */
static bool takes_off(const struct ui *ui, const char *words)
{
    for (const char *p = words; *p; p++)
        if (*p == '-' && (p == words || p[-1] == ' '))
            return ui->accts.n > 1;
    return false;
}

/* Very many messages are looked at when they are done themselves. */
static bool looks_later(const struct ui *ui, const struct refs *chosen, const char *words)
{
    return chosen->n > COPIES_MAX && takes_off(ui, words);
}

struct copies {
    struct refs *out;
    unsigned account;
};

static void copy_found(void *arg, const struct msg_row *row)
{
    struct copies *c = arg;
    refs_add(c->out, (struct ref){c->account, row->id});
}

static void copies_of_one(struct ui *ui, struct ref ref, const char *words, struct refs *out)
{
    struct copies c = {.out = out};
    struct err err = ERR_INIT;
    struct msg_row row = {.id = 0};
    struct reader *own = ref.account < ui->accts.n ? ui->accts.list[ref.account].reader : NULL;
    if (!own || !reader_row(own, ref.id, &row, &err) || !row.id)
        return;
    for (c.account = 0; c.account < ui->accts.n; c.account++)
        if (c.account != ref.account && ui->accts.list[c.account].reader)
            reader_find_tagged(ui->accts.list[c.account].reader, &row, str_z(words), copy_found, &c, &err);
}

/* Copies of these that have a tag which goes. */
static struct refs copies_of(struct ui *ui, const struct refs *chosen, const char *words)
{
    struct refs out = {.n = 0};
    struct ref ref = REF_NONE;
    while (takes_off(ui, words) && refs_next(chosen, &ref))
        copies_of_one(ui, ref, words, &out);
    for (ref = REF_NONE; refs_next(chosen, &ref);)
        refs_drop(&out, ref);
    return out;
}

/* Those of "+x -y" that take off; *more_r: there are others too. */
static void words_off(const char *words, struct buf *less, bool *more_r)
{
    struct str word;
    *more_r = false;
    for (struct str rest = str_z(words); rest.n && str_split(&rest, ' ', &word);) {
        *more_r = *more_r || (word.n && word.p[0] == '+');
        if (word.n && word.p[0] == '-')
            buf_addf(less, "%s%.*s", less->n ? " " : "", STR_FMT(word));
    }
}

/* The last word about a tag is for all copies: one that another account has would keep what is taken off. */
static void untag_copies(struct ui *ui, struct refs *chosen, const struct action *a)
{
    struct action own = *a;
    own.looks = looks_later(ui, chosen, a->arg);
    if (own.looks) {
        ui_act_on(ui, chosen, &own, false);
        return;
    }
    struct refs copies = copies_of(ui, chosen, a->arg);
    struct buf less = BUF_INIT(4096), where = BUF_INIT(4200);
    bool more;
    words_off(a->arg, &less, &more);
    own.arg = buf_z(&less);
    buf_addf(&where, "%s (%s%zu cop%s in other accounts)", own.arg, more ? "" : "with ", copies.n,
             copies.n == 1 ? "y" : "ies");
    own.where = buf_z(&where);
    for (struct ref ref = REF_NONE; !more && refs_next(&copies, &ref);)
        refs_add(chosen, ref);
    bool with = copies.n > 0 && !more;
    if (copies.n && more)
        ui_act_on(ui, &copies, &own, false);
    ui_act_on(ui, chosen, with ? &own : a, false);
    refs_fini(&copies);
    buf_fini(&less);
    buf_fini(&where);
}

/* As a part of the same deed, so that one undo takes back both. */
static void look_done(struct ui *ui, struct batch *b)
{
    struct buf less = BUF_INIT(4096);
    struct action a = b->action;
    bool more;
    words_off(b->arg, &less, &more);
    struct buf where = BUF_INIT(4200);
    buf_addf(&where, "%s (copies in other accounts)", buf_z(&less));
    a.arg = buf_z(&less);
    a.where = buf_z(&where);
    a.looks = false;
    struct refs copies = b->copies;
    b->copies = (struct refs){.n = 0};
    bool stopped = b->stopped;
    batch_end(ui, b);
    if (!stopped)
        ui_act_on(ui, &copies, &a, false);
    refs_fini(&copies);
    buf_fini(&less);
    buf_fini(&where);
}

/* Some more; what is in the set has been done. */
static void look_fired(void *arg)
{
    struct batch *b = arg;
    int64_t until = clock_mono_ms() + LOOK_MS;
    bool more = true;
    b->timer = NULL;
    while (!b->stopped && more && clock_mono_ms() < until)
        if ((more = refs_next(&b->refs, &b->looked))) {
            copies_of_one(b->ui, b->looked, b->arg, &b->copies);
            b->nlooked++;
        }
    if (more && !b->stopped) {
        b->timer = loop_after(b->ui->loop, LOOK_WAIT_MS, look_fired, b);
        return;
    }
    for (struct ref ref = REF_NONE; refs_next(&b->refs, &ref);)
        refs_drop(&b->copies, ref);
    look_done(b->ui, b);
}

void ui_act(struct ui *ui, const struct action *wanted)
{
    struct err err = ERR_INIT;
    const struct list_row *row = ui_row(ui);
    if (!ui_online(ui))
        return;
    const struct action seen = seen_here(ui, wanted), *a = &seen;
    bool given = ui_chosen(ui) != NULL;
    struct refs chosen = take_chosen(ui, &err);
    if (!given && row && row->ghost) {
        ui_note(ui, NOTE_INFO, "not %s%s%s: this message has left the list already", a->verb, a->where ? " " : "",
                a->where ? a->where : "");
    } else if (chosen.n) {
        if (a->hide)
            leave(ui, &chosen);
        if (a->how == ACT_INTENT && a->kind == INTENT_TAGS)
            untag_copies(ui, &chosen, a);
        else
            ui_act_on(ui, &chosen, a, false);
    }
    refs_fini(&chosen);
}

/* ---- the commands ---- */
static bool act(void *context, const struct action *a)
{
    ui_act(context, a);
    return true;
}

bool run_archive(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return act(context, &(struct action){.kind = INTENT_ARCHIVE, .verb = "archived", .hide = true});
}

bool run_delete(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return act(context, &(struct action){.kind = INTENT_TRASH, .verb = "deleted", .hide = true});
}

bool run_purge(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return act(context, &(struct action){.kind = INTENT_PURGE, .verb = "deleted", .where = "for good", .hide = true});
}

bool run_rules(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return act(context, &(struct action){.how = ACT_RULES, .verb = "changed", .where = "by rules"});
}

bool run_ham(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args, (void)err;
    return act(context, &(struct action){.kind = INTENT_HAM, .verb = "marked", .where = "as not spam", .hide = true});
}

/* What is in Spam is no spam: the same key, both ways. */
bool run_spam(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    const struct list *l = ui_list(ui);
    const struct box_item *item = l->source == LIST_BOX ? boxes_find(&ui->boxes, l->account, l->box) : NULL;
    if (item && item->role == BOX_JUNK)
        return run_ham(context, args, err);
    return act(context, &(struct action){.kind = INTENT_SPAM, .verb = "marked", .where = "as spam", .hide = true});
}

/* Whether `on|off|toggle` (default toggle) asks to set what is `now`. */
bool ui_wanted(const struct cmd_args *args, bool now)
{
    const char *word = cmd_arg(args, 0);
    return !word || !strcmp(word, "toggle") ? !now : !strcmp(word, "on");
}

/* Do all that the command is about have the flag? Of many the first thousands say it. */
static bool all_have(struct ui *ui, uint32_t flag)
{
    const struct list_row *row = ui_row(ui);
    const struct refs *chosen = ui_chosen(ui);
    struct ref ref = REF_NONE;
    for (unsigned i = 0; chosen && i < ALL_LOOKED_AT && refs_next(chosen, &ref); i++) {
        struct reader *reader = ref.account < ui->accts.n ? ui->accts.list[ref.account].reader : NULL;
        struct msg_row raw = {.id = 0};
        struct err err = ERR_INIT;
        if (reader && reader_row(reader, ref.id, &raw, &err) && raw.id && !(raw.flags & flag))
            return false;
    }
    return chosen ? chosen->n > 0 : row && (row->flags & flag);
}

bool run_flag(void *context, const struct cmd_args *args, struct err *err)
{
    (void)err;
    bool on = ui_wanted(args, all_have(context, FLAG_FLAGGED));
    return act(context, &(struct action){.kind = INTENT_FLAGS,
                                         .verb = on ? "flagged" : "unflagged",
                                         .set = on ? FLAG_FLAGGED : 0,
                                         .clear = on ? 0 : FLAG_FLAGGED});
}

bool run_unread(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    (void)err;
    bool unread = ui_wanted(args, !all_have(ui, FLAG_SEEN));
    watch_free(&ui->seen_timer);
    return act(ui, &(struct action){.kind = INTENT_FLAGS,
                                    .verb = "marked",
                                    .where = unread ? "unread" : "read",
                                    .set = unread ? 0 : FLAG_SEEN,
                                    .clear = unread ? FLAG_SEEN : 0});
}

/* ---- tags ---- */
/* A blank that no sign follows belongs to the tag. */
static void tag_with(struct ui *ui, const char *text)
{
    struct buf words = BUF_INIT(4096);
    for (const char *p = text; *p; p++) {
        bool ends = p[1] == '+' || p[1] == '-' || p[1] == ' ' || !p[1];
        if (*p == '+' && (p == text || p[-1] == ' ') && (p[1] == '+' || p[1] == '-'))
            continue; /* the one that stood there already */
        if (*p == ' ' && !ends && p > text && p[-1] != ' ')
            buf_addz(&words, TAG_BLANK);
        else
            buf_addc(&words, *p);
    }
    if (words.n)
        ui_remember(ui, "tag", buf_z(&words));
    if (words.n)
        ui_act(ui,
               &(struct action){.kind = INTENT_TAGS, .verb = "tagged", .arg = buf_z(&words), .where = buf_z(&words)});
    buf_fini(&words);
}

static void ask_tags(struct ui *ui, const char *text);

/* Are they what the store takes? */
static bool tags_fit(const char *text, struct err *err)
{
    struct str rest = str_z(text), word, all = str_trim(str_z(text));
    bool signs = all.n && (all.p[0] == '+' || all.p[0] == '-');
    while (str_split(&rest, ' ', &word)) {
        while (word.n > 1 && word.p[0] == '+' && (word.p[1] == '+' || word.p[1] == '-'))
            word = str_sub(word, 1, word.n);
        bool sign = word.n && (word.p[0] == '+' || word.p[0] == '-');
        if (sign && tag_reserved(str_sub(word, 1, word.n)))
            return err_set(err, ERR_USAGE, "the tag '%.*s' follows the message's flags and place; change those",
                           STR_FMT(str_sub(word, 1, word.n)));
        signs = signs && !(sign && word.n == 1);
    }
    return signs || err_set(err, ERR_USAGE, "a tag is added by +name and taken off by -name");
}

/* What will be refused is asked for again, as it was typed. */
static void tags_typed(struct ui *ui, void *arg, const char *text)
{
    struct err err = ERR_INIT;
    (void)arg;
    if (!text)
        return;
    struct str all = str_trim(str_z(text));
    if (!all.n || str_eqz(all, "+"))
        return;
    if (tags_fit(text, &err)) {
        tag_with(ui, text);
        return;
    }
    ask_tags(ui, text);
    ui_note(ui, NOTE_ERROR, "%s", err.text);
}

static void ask_tags(struct ui *ui, const char *text)
{
    ui_ask(ui, "tags (+x -y): ", text, ARG_TAGS, true, NULL, tags_typed, NULL, NULL);
}

bool run_tag(void *context, const struct cmd_args *args, struct err *err)
{
    struct ui *ui = context;
    if (!args->n) {
        ask_tags(ui, "+");
        return true;
    }
    struct buf words = BUF_INIT(1024);
    for (size_t i = 0; i < args->n; i++)
        buf_addf(&words, "%s%s", i ? " " : "", args->words[i]);
    bool ok = tags_fit(buf_z(&words), err);
    if (ok)
        tag_with(ui, buf_z(&words));
    buf_fini(&words);
    return ok;
}

/* ---- undo ---- */
/* The cursor goes to what came back, where the list shows it. */
static void go_back_to(struct ui *ui, const struct m_UNDONE *u)
{
    struct list *l = ui_list(ui);
    struct err err = ERR_INIT;
    int account = accts_find(&ui->accts, u->account, false);
    if (account < 0 || !u->msg)
        return;
    list_update(l, &err);
    if (list_reach(l, (struct ref){(unsigned)account, u->msg}, &err))
        ui_follow(ui);
}

/* What was done again took the message under the cursor away: on to the next one, as when it was done first. */
static void leave_ghost(struct ui *ui)
{
    struct list *l = ui_list(ui);
    struct err err = ERR_INIT;
    list_update(l, &err);
    const struct list_row *row = list_cursor(l);
    if (row && row->ghost && !row->hit && !advance_is(ui, "no") && (list_move(l, 1, &err) || list_move(l, -1, &err)))
        ui_follow(ui);
}

static void on_undone(struct ui *ui, void *arg, const struct msg *m)
{
    (void)arg;
    ui_lists_stale(ui);
    ui->boxes.stale = true;
    if (m && m->kind == MSG_UNDONE) {
        const struct m_UNDONE *u = &m->u.UNDONE;
        ui_note(ui, NOTE_INFO, "%.*s", STR_FMT(u->text)); /* the store's words say what is where now */
        go_back_to(ui, u);
        if (u->redo)
            leave_ghost(ui);
    } else if (m && m->kind == MSG_REFUSED) {
        ui_note(ui, NOTE_WARNING, "%.*s", STR_FMT(m->u.REFUSED.text));
    }
}

static bool undo(struct ui *ui, bool redo, struct err *err)
{
    unsigned *from_n = redo ? &ui->nredo : &ui->nundo, *to_n = redo ? &ui->nundo : &ui->nredo;
    unsigned *from = redo ? ui->redo_groups : ui->undo_groups, *to = redo ? ui->undo_groups : ui->redo_groups;
    unsigned what = *from_n ? from[*from_n - 1] : 0; /* also what was done before this start */
    if (redo && (what & UNDO_ONCE)) {
        ui_note(ui, NOTE_WARNING, "what went to another account is not done again: choose it and move or copy it anew");
        return true;
    }
    if ((what & UNDO_RULE) && !rule_undo(ui, redo, err))
        return false;
    *from_n -= *from_n > 0;
    ui->undo_deed = 0;
    if (what & UNDO_ALIAS)
        alias_undo(ui, redo);
    if (what & UNDO_SAVED)
        saved_undo(ui, redo);
    if ((what & UNDO_MAIL) || !(what & (UNDO_ALIAS | UNDO_RULE | UNDO_SAVED))) {
        uint32_t req = ui_request(ui, on_undone, NULL);
        if (!SEND(ui->client->chan, -1, err, UNDO, .req = req, .redo = redo)) {
            ui_forget(ui, req);
            return false;
        }
    }
    if (*to_n < COUNT(ui->undo_groups))
        to[(*to_n)++] = what;
    return true;
}

static bool undo_times(struct ui *ui, bool redo, struct err *err)
{
    bool ok = true;
    if (!ui_online(ui))
        return true;
    if (batches_stop(ui, NULL)) { /* what it has done is one step when it has ended */
        ui_note(ui, NOTE_INFO, "stopped; the same key again takes back what was done");
        return true;
    }
    for (unsigned i = 0; ok && i < MIN(ui_times(ui), (unsigned)COUNT(ui->undo_groups)); i++)
        ok = undo(ui, redo, err);
    return ok;
}

bool run_undo(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return undo_times(context, false, err);
}

bool run_redo(void *context, const struct cmd_args *args, struct err *err)
{
    (void)args;
    return undo_times(context, true, err);
}
